"""What mypy and basedpyright say of programs that use filters, and mypy of all examples and programs on pages."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from support.pages import DOCS, PAGES, PASTED, python_blocks

PROGRAMS = Path(__file__).with_name("programs.py")


def run(module: str, *arguments: str, folder: Path = PROGRAMS.parent) -> str:
    """What a checker prints of the programs in a folder."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} isn't installed; mypy and basedpyright are in the group `check`")
    command = [sys.executable, "-m", module, *arguments]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stdout


def programs_on_pages() -> dict[str, str]:
    """Each program by a name of its own; what awaits without a function is inside one. Prompts are no programs."""
    programs: dict[str, str] = {}
    for page in PAGES:
        blocks = [block for block, _ in python_blocks(page) if ">>> " not in block]
        for number, block in enumerate(blocks, 1):
            before, pasted, program = block.rpartition(PASTED)
            whole = f"{before}async def pasted() -> None:\n{indent(program, ' ')}"
            programs[f"{page.stem.replace('-', '_')}_{number}.py"] = whole if pasted else block
    return programs


def has_imports(program: str) -> bool:
    """Whether all that it imports is installed, as it is with the extra `examples` and the group `sdk`."""
    modules = {"galileo_sessions"}
    for node in ast.walk(ast.parse(program)):
        modules |= {name.name for name in node.names} if isinstance(node, ast.Import) else set()
        modules |= {str(node.module)} if isinstance(node, ast.ImportFrom) else set()
    return all(importlib.util.find_spec(name.partition(".")[0]) for name in modules)


def mypy(folder: Path) -> set[str]:
    """Each line of the programs with an error; and what is said of others, which have no stubs for some libraries."""
    files = {PROGRAMS.name: PROGRAMS.read_text(encoding="utf-8"), **programs_on_pages()}
    files |= {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("examples/*.py")}
    for name, program in files.items():
        if has_imports(program):
            (folder / name).write_text(program, encoding="utf-8")
    strict = ["--strict", "--warn-unreachable", "--config-file=", f"--cache-dir={folder / 'cache'}"]
    printed = run(
        "mypy", *strict, "--disable-error-code=import-untyped", "--allow-untyped-decorators", ".", folder=folder
    )
    errors = re.findall(r"^.*: error: .*$", printed, re.MULTILINE)
    return {re.sub(r"^programs\.py:(\d+): .*", r"\1", error) for error in errors}


def pyright(_: Path) -> set[str]:
    """Each line with an error."""
    printed = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, PROGRAMS.name)
    reports = json.loads(printed)["generalDiagnostics"]
    return {str(report["range"]["start"]["line"] + 1) for report in reports if report["severity"] == "error"}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_types_are_checked_as_users_expect(checker, tmp_path):
    """In strict mode, each marked line has an error, and no other; so programs on pages have none."""
    lines = enumerate(PROGRAMS.read_text(encoding="utf-8").splitlines(), 1)
    expected = {str(number) for number, line in lines if line.endswith(("# E", f"# E: {checker.__name__}"))}
    assert expected
    assert checker(tmp_path) == expected
