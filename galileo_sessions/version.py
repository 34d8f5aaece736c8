"""The version of this package, where the build, the client and the command line find it."""

__version__ = "0.1.0"
