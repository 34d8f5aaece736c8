"""README, docs/ and docstrings are true: what they show is executed."""

import ast
import asyncio
import contextlib
import doctest
import importlib
import importlib.util
import io
import os
import pkgutil
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.processes import inside
from local.sdk_pages import SDKGalileo
from support.pages import DOCS, PAGES, ROOT, python_blocks, text_of
from support.private import with_sample
from support.terminal import paste

import galileo_sessions.local
from galileo_sessions import GalileoError, errors
from galileo_sessions.local import LocalGalileo

PACKAGE = ROOT / "galileo_sessions"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
MODULES = [found.name for found in pkgutil.walk_packages(galileo_sessions.__path__, "galileo_sessions.")]
LOOP, ATEXIT = "asyncio.run(", "@atexit.register"  # marks of whole programs
WITH = {
    "examples": {"celery", "flask", "matplotlib", "opentelemetry", "pandas", "polars", "prometheus_client", "quart"},
    "sdk": {"galileo"},
}
"""What blocks import that an extra or a group brings."""
PYTEST = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
PYTEST += ["-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"]
PYTEST += ["-p", "pytest_asyncio.plugin", "-p", "galileo_sessions.pytest_plugin"]  # by name, installed or not
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def found_in(page: Path, pattern: str) -> list:
    return re.findall(pattern, text_of(page), re.MULTILINE)


@pytest.fixture
def _server(running: Callable[[LocalGalileo], LocalGalileo], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sample in a local server, which Galileo's SDK finds, too; and an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALILEO_CONSOLE_URL", running(with_sample(SDKGalileo())).url)
    monkeypatch.setenv("GALILEO_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")


async def printed_by(*arguments: str, **environment: str) -> str:
    """What a Python process of its own prints, if it ends well."""
    known = {**os.environ, **environment}
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=-1, stderr=-1, env=known)
    output, said = await process.communicate()
    assert process.returncode == 0, output.decode() + said.decode()
    return output.decode()


def run_program(block: str, page: Path) -> str:
    """What a program prints, which has an event loop of its own."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(block, str(page), "exec"), {"__name__": "__main__"})
    if "matplotlib.pyplot" in sys.modules:  # a program ends with its figures
        sys.modules["matplotlib.pyplot"].close("all")
    return printed.getvalue()


async def execute(block: str, page: Path) -> str | None:
    """What a block prints, run as its page says; None if the block shows its own outputs."""
    if ATEXIT in block or needed_by(block) == "sdk":  # only with their process end handlers, or threads of the SDK
        return await printed_by(*(["-W", "error"] if ATEXIT in block else []), "-c", block)
    if LOOP in block:
        return await asyncio.to_thread(run_program, block, page)
    if ">>> " not in block:
        return await paste(block, {})
    session = doctest.DocTestParser().get_doctest(block, {"__name__": "__main__"}, page.name, str(page), 0)
    report = io.StringIO()
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, out=report.write)
    assert results.failed == 0, report.getvalue()
    return None


def needed_by(block: str) -> str:
    """What a block needs beside the extra `test`: an extra or a group."""
    imported = {*re.findall(r"^(?:from|import) (\w+)", block, re.MULTILINE)}
    return next((need for need, names in WITH.items() if names & imported), "")


def pages_and_needs() -> Iterator[object]:
    """Each page once for each kind of its blocks, so that a skip tells what didn't run."""
    for page in PAGES:
        for need in dict.fromkeys(needed_by(block) for block, _ in python_blocks(page)):
            missing = [name for name in sorted(WITH.get(need, ())) if importlib.util.find_spec(name) is None]
            marks = pytest.mark.skipif(bool(missing), reason=f"`{need}` would bring {', '.join(missing)}")
            yield pytest.param(page, need, id=f"{page.name}{need and f' with {need}'}", marks=marks)


@pytest.mark.usefixtures("_server")
@pytest.mark.parametrize(("page", "need"), list(pages_and_needs()))
async def test_pages_are_true(page, need, tmp_path):
    """Every Python block of a page runs by itself, and prints what is shown below it; tests run with the plugin."""
    tests = []
    for block, shown in python_blocks(page):
        if needed_by(block) == need and "def test_" in block:
            tests.append(block)
        elif needed_by(block) == need:
            printed = await execute(block, page)
            assert printed is None or printed == shown
    for number, block in enumerate(tests):
        (tmp_path / f"test_block_{number}.py").write_text(block, encoding="utf-8")
    if tests:
        printed = await printed_by(*PYTEST, "--rootdir", ".", ".", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        assert f"{''.join(tests).count('def test_')} passed" in printed


async def said_by(command: str) -> str:
    """What a command prints: in this process, but in a shell if it needs one or is another program."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    name, *arguments = lexer
    if name == "galileo-sessions" and not any(set(word) <= set("();<>|&") for word in arguments):
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
            await asyncio.to_thread(inside, *arguments)
        return printed.getvalue()
    process = await asyncio.create_subprocess_shell(command, stdout=-1, stderr=asyncio.subprocess.STDOUT)
    return (await process.communicate())[0].decode()


@each_page
@pytest.mark.usefixtures("_server")
async def test_commands_print_what_is_shown(page, monkeypatch, tmp_path):
    """Each line of a console block that begins with $ prints what is shown, with the lines that a backslash adds."""
    projects = [f"{first}-ec21-4c9f-a3e2-b2ab2b81b4db" for first in ("74aec44e", "7ec9f08b", "d9be7eb0")]
    (tmp_path / "ids.txt").write_text("\n".join(["# the largest", *projects]))
    ids = ["project_id", *projects[:2], "my bot", projects[0].upper()]
    (tmp_path / "projects.csv").write_text("".join(f"{line}\n" for line in ids))
    shutil.copy(DOCS / "examples" / "count_csv.py", tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for block in found_in(page, r"^```console\n((?:.*\n)*?)```"):
        for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            assert await said_by(command) == shown


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_one_sample_fits_all_pages():
    """README and the first pages start the same server: one whose days are those of the outputs."""
    last = max(str(session["created_at"]) for session in galileo_sessions.local.sample_sessions())[:10]
    for page in (ROOT / "README.md", DOCS / "tutorial.md", DOCS / "reports.md"):
        assert found_in(page, r"galileo-sessions serve[^`\n]*") == [f"galileo-sessions serve --last-day {last}"]


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.name)
def test_relative_links_lead_to_files_and_headings(page):
    """A heading is named as on GitHub."""
    for file, anchor in found_in(page, r"\]\(([^)#:]*)(?:#([^)]+))?\)"):
        target = page.parent / file if file else page
        assert target.exists(), file
        headings = [re.sub(r"[^\w -]", "", each.lower()) for each in (found_in(target, r"^#+ (.*)$") if anchor else ())]
        assert not anchor or anchor in [each.replace(" ", "-") for each in headings], f"{file}#{anchor}"


def test_the_page_of_errors_has_the_tree_of_the_classes():
    """Each error stands once in the list, below the class that it extends."""
    known = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, GalileoError)}
    listed = found_in(DOCS / "errors.md", r"^( *)\* `(\w+)`")
    assert sorted(name for _, name in listed) == sorted(known)
    above: list[type] = [Exception]
    for indent, name in listed:
        del above[len(indent) // 2 + 1 :]
        assert known[name].__bases__[0] is above[-1]
        above.append(known[name])


LEVELS = {
    "logger.debug": "DEBUG",
    "logger.warning": "WARNING",
    "logger.exception": "ERROR",
}
"""What logs a line, and how the line begins."""


def logged_by(call: ast.Call) -> str:
    """The lines that a call logs, as a regular expression."""
    text = call.args[0]
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    literals = [str(part.value) if isinstance(part, ast.Constant) else "%s" for part in parts]
    line = f"{LEVELS[ast.unparse(call.func)]} {''.join(literals)}"
    return ".+".join(map(re.escape, re.split(r"%[\d.]*[sdf]", line)))


def test_the_page_on_logging_shows_each_line_that_can_be_logged_and_no_other():
    nodes = [node for file in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(text_of(file)))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) in LEVELS]
    lines = [logged_by(call) for call in calls if isinstance(call.args[0], ast.Constant | ast.JoinedStr)]
    shown = found_in(DOCS / "metrics.md", r"^(?:DEBUG|WARNING|ERROR) .*$")
    assert [1] * len(lines) == [sum(re.fullmatch(line, each) is not None for each in shown) for line in lines]
    assert len(shown) == len(lines)


def test_the_architecture_shows_the_layers_of_each_contract_in_their_order():
    settings = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]
    for contract in [each for each in settings["importlinter"]["contracts"] if each["type"] == "layers"]:
        layers = " > ".join([layer.replace(" | ", ", ") for layer in contract["layers"]])
        room = contract["containers"][0].removeprefix("galileo_sessions.")
        assert found_in(DOCS / "architecture.md", rf"^{room} +{re.escape(layers)}$")


def test_each_thing_is_where_the_architecture_says():
    """Each row names files of the package, and after a colon what is defined in the first one."""
    rows = text_of(DOCS / "architecture.md").partition("| what | where |\n")[2].partition("\n\n")[0].splitlines()[1:]
    for row in rows:
        where, _, names = row.split("|")[2].partition(": ")
        files = [PACKAGE / f"{name}.py" for name in re.findall(r"`(\w+(?:/\w+)?)`", where)]
        assert [file.name for file in files if not file.exists()] == [], row
        for name in re.findall(r"`(\w+)`", names):
            assert found_in(files[0], rf"(def|class) {name}\b"), row
