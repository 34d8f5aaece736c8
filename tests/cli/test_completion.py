"""The shells complete commands and options, with the lines that docs/command-line.md has."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
SCRIPTS = Path(sys.executable).parent
ASK = {
    "bash": "COMP_WORDS=(_ count --pro); COMP_CWORD=2; _galileo_sessions_completion galileo-sessions; echo $COMPREPLY",
    "zsh": "print -l $functions[_galileo_sessions_completion] | grep -c zsh_complete",
    "fish": 'complete -C "galileo-sessions count --pro"',
}


def shell(name: str, program: str) -> str:
    """What a program prints in a shell."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here: apt-get install {name}")
    environment = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([name, "-c", program], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ASK)
def test_the_line_of_the_page_completes(name):
    """The documented line makes the shell complete an option of `count`."""
    (line,) = re.findall(rf"^.*={name}_source .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = shell(name, f"{line}\n{ASK[name]}")
    assert ("1" if name == "zsh" else "--projects-from") in told
