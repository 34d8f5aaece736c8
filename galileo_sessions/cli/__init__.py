"""The command line, `galileo-sessions`. The extra `cli` installs what it needs."""
