"""
The command `galileo-sessions`: a module of its own, since importing the package takes a while, in
which somebody can press Ctrl-C.
"""

import sys


def main() -> None:
    """Imports the package, and runs the command that the arguments name."""
    try:
        from galileo_sessions.__main__ import main as run  # noqa: PLC0415  # see above
    except KeyboardInterrupt:
        sys.exit(130)
    run()
