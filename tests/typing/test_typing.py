"""What mypy and basedpyright say of programs that use filters."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent


def run(module: str, *arguments: str) -> str:
    """What a checker prints of both programs."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} isn't installed; mypy and basedpyright are in the group `check`")
    command = [sys.executable, "-m", module, *arguments, "accepted.py", "rejected.py"]
    finished = subprocess.run(command, cwd=PROGRAMS, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stdout


def mypy(cache: Path) -> set[tuple[str, int]]:
    """Each file and line with an error."""
    printed = run("mypy", "--strict", "--warn-unreachable", "--config-file=", f"--cache-dir={cache}")
    return {(name, int(line)) for name, line in re.findall(r"^(\w+\.py):(\d+): error:", printed, re.MULTILINE)}


def pyright(_: Path) -> set[tuple[str, int]]:
    """Each file and line with an error."""
    reports = json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]
    errors = [report for report in reports if report["severity"] == "error"]
    return {(Path(error["file"]).name, error["range"]["start"]["line"] + 1) for error in errors}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_types_are_checked_as_users_expect(checker, tmp_path: Path) -> None:
    """accepted.py has no error, in strict mode; rejected.py has one in each marked line, and in no other."""
    lines = enumerate((PROGRAMS / "rejected.py").read_text(encoding="utf-8").splitlines(), 1)
    expected = {("rejected.py", number) for number, line in lines if line.endswith(("# E", f"# E: {checker.__name__}"))}
    assert len(expected) > 50
    assert expected == checker(tmp_path)
