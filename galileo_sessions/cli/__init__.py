"""The command line, which the extra `cli` installs: `galileo-sessions`, or `python -m galileo_sessions`."""

from galileo_sessions.cli.commands import program

__all__ = ["program"]
