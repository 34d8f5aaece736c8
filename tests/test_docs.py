"""README, docs/ and docstrings are true: what they show is executed."""

import ast
import asyncio
import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import galileo_sessions
from galileo_sessions.local import LocalGalileo

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(galileo_sessions.__path__, "galileo_sessions.")
    if not found.name.endswith("__main__")
]


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, moved down to their own lines, so that errors name them."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return ["\n" * (text[: match.start(1)].count("\n")) + match[1] for match in found]


async def run(block: str, page: Path, namespace: dict[str, object]) -> None:
    """Executes a block: a session of the interactive interpreter, or a program, which may await."""
    if ">>> " in block:
        test = doctest.DocTestParser().get_doctest(block, namespace, page.name, str(page), 0)
        report: list[str] = []
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False)
        namespace.update(test.globs)
        assert results.failed == 0, "".join(report)
    else:
        code = compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, namespace)
        if inspect.isawaitable(outcome):
            await outcome


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_pages_are_true(page, monkeypatch):
    """Every Python block of a page runs, one after another, as if in one session."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    async with LocalGalileo() as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        for block in blocks(page):
            if "asyncio.run(" in block:  # a whole program, with an event loop of its own
                process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", block, stdout=-1)
                output, _ = await process.communicate()
                assert (process.returncode, output.decode().strip()) == (0, "0")
            else:
                await run(block, page, namespace)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_docstrings_are_true(module):
    """Examples in docstrings give what they show."""
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_every_public_name_is_documented():
    """Each public class and function, and each of its public methods, has a docstring."""
    bare = []
    for name in galileo_sessions.__all__:
        thing = getattr(galileo_sessions, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            methods = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
            bare += [name] * (not inspect.getdoc(thing))
            bare += [f"{name}.{m}" for m, method in methods if not m.startswith("_") and not inspect.getdoc(method)]
    assert bare == []


def test_links_lead_somewhere():
    """Relative links of the pages name files that exist."""
    broken = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_readme_is_short():
    """README has at most 120 lines, a program by line 30, and exactly two set-up commands."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert "```python" in lines[:30]
    assert sum(line.startswith("python3 -m venv ") for line in lines) == 2
