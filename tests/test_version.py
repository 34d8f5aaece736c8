"""The version is the same wherever a user reads it."""

import subprocess
import sys
from importlib.metadata import version

import galileo_sessions


def test_the_version_is_that_of_the_installed_package() -> None:
    """`galileo_sessions.__version__` is what pip shows."""
    assert galileo_sessions.__version__ == version("galileo-sessions")


def test_the_command_line_prints_the_version() -> None:
    """`--version` ends with it."""
    command = [sys.executable, "-m", "galileo_sessions", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split()[-1] == galileo_sessions.__version__
