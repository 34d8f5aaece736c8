"""The command line, which the extra `cli` installs: `galileo-sessions`, or `python -m galileo_sessions`."""
