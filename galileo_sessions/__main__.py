"""`galileo-sessions`, and `python -m galileo_sessions`: the command line, or without its packages the demo alone."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from galileo_sessions.cli.demo import show


def main() -> None:
    """Runs what the arguments say; bad usage is named on stderr, with exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every terminal's encoding has what is drawn
    try:
        from galileo_sessions.cli.commands import program  # noqa: PLC0415  # click and rich may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        if sys.argv[1:] not in ([], ["demo"]):
            message = f"This needs {error.name}, which isn't installed: pip install 'galileo-sessions[cli]'"
            print(message, file=sys.stderr)
            sys.exit(2)
        show()
    else:
        program()


if __name__ == "__main__":
    main()
