"""What mypy, basedpyright, ty and pyrefly say of programs that use filters."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent
MARK = re.compile(r"# E(?:: ([a-z ]+))?$")


def marked(checker: str) -> set[int]:
    """The lines of rejected.py that a checker has to report."""
    lines = (PROGRAMS / "rejected.py").read_text(encoding="utf-8").splitlines()
    marks = [(number, MARK.search(line)) for number, line in enumerate(lines, 1)]
    return {number for number, mark in marks if mark is not None and checker in (mark[1] or checker)}


def run(module: str, *arguments: str) -> str:
    """What a checker prints of both programs."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} isn't installed; mypy and basedpyright are in the extra `check`")
    command = [sys.executable, "-m", module, *arguments, "accepted.py", "rejected.py"]
    finished = subprocess.run(command, cwd=PROGRAMS, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, int]]:
    """Each file and line with an error."""
    cache = tmp_path_factory.mktemp("mypy")
    printed = run("mypy", "--strict", "--warn-unreachable", "--config-file=", f"--cache-dir={cache}")
    return {(name, int(line)) for name, line in re.findall(r"^(\w+\.py):(\d+): error:", printed, re.MULTILINE)}


@pytest.fixture(scope="module")
def pyright() -> set[tuple[str, int]]:
    """Each file and line with an error."""
    printed = run("basedpyright", "--outputjson", "--pythonpath", sys.executable)
    reports = json.loads(printed)["generalDiagnostics"]
    return {
        (Path(report["file"]).name, report["range"]["start"]["line"] + 1)
        for report in reports
        if report["severity"] == "error"
    }


@pytest.fixture(scope="module")
def ty() -> set[tuple[str, int]]:
    """Each file and line with an error."""
    return lines_of(run("ty", "check", "--python", sys.prefix, "--output-format", "concise"))


@pytest.fixture(scope="module")
def pyrefly() -> set[tuple[str, int]]:
    """Each file and line with an error."""
    return lines_of(run("pyrefly", "check", "--python-interpreter-path", sys.executable, "--output-format", "min-text"))


def lines_of(printed: str) -> set[tuple[str, int]]:
    """Each file and line of a checker's concise report."""
    return {(name, int(line)) for name, line in re.findall(r"\b(\w+\.py):(\d+):", printed)}


CHECKERS = pytest.mark.parametrize("checker", ["mypy", "pyright", "ty", "pyrefly"])


@CHECKERS
def test_what_users_write_is_accepted(checker: str, request: pytest.FixtureRequest) -> None:
    """accepted.py has no error, in strict mode."""
    reported = request.getfixturevalue(checker)
    assert [] == sorted(line for name, line in reported if name == "accepted.py")


@CHECKERS
def test_what_cannot_work_is_rejected(checker: str, request: pytest.FixtureRequest) -> None:
    """Each marked line of rejected.py has an error, and no other line."""
    reported = {line for name, line in request.getfixturevalue(checker) if name == "rejected.py"}
    expected = marked(checker)
    assert len(expected) > 50
    assert [] == sorted(expected - reported)
    assert [] == sorted(reported - expected)
