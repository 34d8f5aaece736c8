"""What mypy and basedpyright say of programs that use filters."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("programs.py")


def run(module: str, *arguments: str) -> str:
    """What a checker prints of the programs."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} isn't installed; mypy and basedpyright are in the group `check`")
    command = [sys.executable, "-m", module, *arguments, PROGRAMS.name]
    finished = subprocess.run(command, cwd=PROGRAMS.parent, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stdout


def mypy(cache: Path) -> set[int]:
    """Each line with an error."""
    printed = run("mypy", "--strict", "--warn-unreachable", "--config-file=", f"--cache-dir={cache}")
    return {int(line) for line in re.findall(r"^programs\.py:(\d+): error:", printed, re.MULTILINE)}


def pyright(_: Path) -> set[int]:
    """Each line with an error."""
    reports = json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]
    return {report["range"]["start"]["line"] + 1 for report in reports if report["severity"] == "error"}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_types_are_checked_as_users_expect(checker, tmp_path):
    """In strict mode, each marked line has an error, and no other."""
    lines = enumerate(PROGRAMS.read_text(encoding="utf-8").splitlines(), 1)
    expected = {number for number, line in lines if line.endswith(("# E", f"# E: {checker.__name__}"))}
    assert expected
    assert checker(tmp_path) == expected
