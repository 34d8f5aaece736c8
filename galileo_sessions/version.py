"""
The version, written once; the build reads it here, too. Using importlib.metadata would cost 30 ms
at import.
"""

__version__ = "0.3.0"
