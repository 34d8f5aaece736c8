"""`galileo-sessions` and `python -m galileo_sessions`, which the extra `cli` installs."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def main() -> None:
    """
    Runs the command that the arguments name.

    Exits with status 2 for bad usage, and if a package of the extra `cli` isn't installed.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by 2>&-; a socket would get its number
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r+"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # some encodings have no bars
    try:
        # the extra may be missing
        from galileo_sessions.cli.commands import program  # noqa: PLC0415

        program()
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        remedy = "In a clone, run pip install '.[cli]'"
        print(f"This needs {error.name}, which isn't installed. {remedy}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # while it imports; a command handles its own
        sys.exit(130)


if __name__ == "__main__":
    main()
