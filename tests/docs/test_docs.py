"""README, docs/ and docstrings are true: what they show is executed."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.size import sizes
from cli.processes import inside
from local.sdk_pages import SDKGalileo
from support.inside import with_sample
from support.shown import paste

import galileo_sessions
import galileo_sessions.local
from galileo_sessions import GalileoError, errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
MODULES = [
    found.name
    for found in pkgutil.walk_packages(galileo_sessions.__path__, "galileo_sessions.")
    if not found.name.endswith("__main__")
]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
START = [DOCS / "tutorial.md", DOCS / "reports.md"]
PROMPT = "# python -m asyncio\n"
LOOP, ATEXIT = "asyncio.run(", "@atexit.register"  # whole programs: one ends its event loop, the other its process


def is_installed(name: str) -> bool:
    """Whether a module can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of a package that it is in
        return False


EXAMPLES = ["celery", "flask", "matplotlib", "opentelemetry.sdk", "opentelemetry.instrumentation.aiohttp_client"]
EXAMPLES += ["pandas", "polars", "prometheus_client", "quart"]
WITH = {"examples": EXAMPLES, "sdk": ["galileo"]}
PYTEST = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
PYTEST += ["-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"]
PLUGINS = ["-p", "pytest_asyncio.plugin", "-p", "galileo_sessions.pytest_plugin"]  # by name, installed or not


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str | None]]:
    """The Python blocks of a page, at their own lines, so that errors name them; and the output shown right below."""
    text = text_of(page)
    return [("\n" * text[: found.start(1)].count("\n") + found[1], found[2]) for found in BLOCK.finditer(text)]


async def printed_by(*arguments: str, **environment: str) -> str:
    """What a Python process of its own prints, if it ends well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=-1, stderr=-1, env={**os.environ, **environment}
    )
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


async def run_examples(block: str, page: Path) -> None:
    """Executes a session of the interactive interpreter, which holds its own outputs."""
    test = doctest.DocTestParser().get_doctest(block, {"__name__": "__main__"}, page.name, str(page), 0)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert results.failed == 0, "".join(report)


async def run_tests(blocks: list[str], folder: Path) -> None:
    """Executes the blocks of tests of a page, each as a module of its own, with the plugin as installed."""
    for number, block in enumerate(blocks):
        (folder / f"test_block_{number}.py").write_text(block, encoding="utf-8")
    arguments = [*PYTEST, *PLUGINS, "--rootdir", str(folder), str(folder)]
    printed = await printed_by(*arguments, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert f"{''.join(blocks).count('def test_')} passed" in printed


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


async def execute(block: str, page: Path, folder: Path) -> str | None:
    """What a block prints, run as its page says; None if the block shows its own outputs."""
    if ATEXIT in block:
        return await printed_by("-W", "error", "-c", block)
    if LOOP in block:
        return await asyncio.to_thread(run_program, block, page)
    if "from galileo." in block:  # Galileo's SDK keeps threads and connections until its process ends
        return await printed_by("-c", block, GALILEO_HOME_DIR=str(folder))
    if ">>> " in block:
        return await run_examples(block, page)
    return await paste(block, {})


def needed_by(block: str) -> str:
    """What a block needs beside the extra `test`: an extra or a group."""
    if re.search(rf"^(from|import) ({'|'.join(EXAMPLES)})\b", block, re.MULTILINE):
        return "examples"
    return "sdk" if "from galileo." in block else ""


def pages_and_needs() -> Iterator[object]:
    """Each page once for each kind of its blocks, so that a skip tells what didn't run."""
    for page in PAGES:
        for need in {needed_by(block): None for block, _ in blocks(page)}:
            missing = [name for name in WITH.get(need, ()) if not is_installed(name)]
            marks = pytest.mark.skipif(bool(missing), reason=f"`{need}` would bring {', '.join(missing)}")
            yield pytest.param(page, need, id=f"{page.name}{need and f' with {need}'}", marks=marks)


@pytest.mark.parametrize(("page", "need"), list(pages_and_needs()))
async def test_pages_are_true(page, need, monkeypatch, tmp_path):
    """Every Python block of a page runs by itself, and prints what is shown below it."""
    async with with_sample(SDKGalileo()) as server:
        for name in ("GALILEO_API_URL", "GALILEO_CONSOLE_URL"):  # Galileo's SDK wants both
            monkeypatch.setenv(name, server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        monkeypatch.setenv("MPLBACKEND", "Agg")
        monkeypatch.chdir(tmp_path)
        for block, shown in blocks(page):
            if needed_by(block) == need and "def test_" not in block:
                printed = await execute(block, page, tmp_path)
                assert printed is None or printed == shown
        if tests := [block for block, _ in blocks(page) if "def test_" in block and needed_by(block) == need]:
            await run_tests(tests, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_whole(page):
    """Each is a program, a test, an interpreter's session, or says how to paste it; output is shown, not asserted."""
    for block, shown in blocks(page):
        if "def test_" not in block and ">>> " not in block:
            assert any(mark in block for mark in (LOOP, ATEXIT, "from galileo.")) or block.lstrip().startswith(PROMPT)
            assert shown is not None
            assert "assert " not in block


def test_the_prompt_is_explained_on_each_page():
    """Above the first program for it, the page says what to paste it into."""
    unexplained = []
    for page in PAGES:
        above, prompt, _ = text_of(page).partition(PROMPT)
        if prompt and "`python -m asyncio`" not in above:
            unexplained.append(page.name)
    assert unexplained == []


def test_one_sample_fits_all_pages():
    """README and the first pages start the same server: one whose days are those of the outputs."""
    commands = {page.name: re.findall(r"galileo-sessions serve[^`\n]*", text_of(page)) for page in PAGES[:1] + START}
    last = max(str(session["created_at"]) for session in galileo_sessions.local.sample_sessions())[:10]
    assert commands == {name: [f"galileo-sessions serve --last-day {last}"] for name in commands}


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_are_true(name):
    """Examples in docstrings give what they show."""
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_every_public_name_stands_in_the_reference():
    """The pages of the reference have each public name once, and no others; the first page lists each page's names."""
    entry, pages = r"^\.\. (?:auto\w+|py:data):: galileo_sessions\.(\S+)$", sorted(DOCS.glob("api-*.md"))
    listed = [name for page in pages for name in re.findall(entry, text_of(page), re.MULTILINE)]
    assert sorted(re.findall(r"^\.\. names:: (\S+)$", text_of(DOCS / "api.md"), re.MULTILINE)) == [
        p.stem for p in pages
    ]
    local = [f"local.{name}" for name in galileo_sessions.local.__all__]
    assert sorted(listed) == sorted([*galileo_sessions.__all__, *local])


def test_the_page_of_errors_has_the_tree_of_the_module():
    """The page of errors lists the same tree as the module draws, and no class twice in its tables."""
    page = text_of(DOCS / "errors.md")
    tree = (errors.__doc__ or "").partition("::\n\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^( *)\* `(\w+)`", page, re.MULTILINE)
    assert [name for _, name in listed] == re.findall(r"(?<!also a )\b[A-Z]\w+Error\b", tree)
    above: list[type] = []
    for indent, name in listed:
        del above[len(indent) // 2 :]
        assert getattr(errors, name).__bases__[:1] == tuple(above[-1:] or [Exception])
        above.append(getattr(errors, name))
    raised = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, GalileoError)}
    rows = re.findall(r"^\| `(\w+Error)` \|", page, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) <= {cls.__name__ for cls in raised}


def test_every_file_has_its_line():
    """CONTRIBUTING has each file of the package once, under the heading of its folder."""
    package, listed = ROOT / "galileo_sessions", list[str]()
    for section in text_of(CONTRIBUTING).split("\n### ")[1:]:
        heading, _, rest = section.partition("\n")
        if folder := re.fullmatch(r"`galileo_sessions/(.*)`", heading):
            listed += [f"{folder[1]}{name}" for name in re.findall(r"^\| `([\w/]+)` \|", rest, re.MULTILINE)]
    files = [file.relative_to(package).with_suffix("").as_posix() for file in package.rglob("*.py")]
    assert sorted(listed) == sorted(file for file in files if not file.endswith("__init__"))


LEVELS = {
    "self._say": "DEBUG limits: ",
    "logger.debug": "DEBUG ",
    "logger.warning": "WARNING ",
    "logger.exception": "ERROR ",
}


def test_the_log_is_as_shown():
    """The page on logging has an example of each line that the package can log, and of no other."""
    sources = "".join([text_of(file) for file in (ROOT / "galileo_sessions").rglob("*.py")])
    calls = re.findall(r'(self\._say|logger\.(?!isEnabledFor)\w+)\((?:f?"(.*?)")?', sources)
    shown = re.findall(r"^(?:DEBUG|WARNING|ERROR) .*$", text_of(DOCS / "metrics.md"), re.MULTILINE)
    for call, text in calls:
        parts = re.split(r"\{.*?\}|%[\d.]*[sdf]", LEVELS[call] + text)
        line = re.compile(".+".join(map(re.escape, parts)))
        assert len([*filter(line.fullmatch, shown)]) == 1
    assert len(shown) == len(calls)


def test_links_lead_somewhere():
    """Relative links of the pages name files that exist, and headings that their pages have."""
    broken = []
    for page in [*PAGES, CONTRIBUTING]:
        for file, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", text_of(page)):
            target = page.parent / file if file else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.name}: {file}#{anchor}")
    assert broken == []


def anchors(page: Path) -> list[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_readme_is_short():
    """README has at most 120 lines, a program by line 30, and exactly two set-up commands."""
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 120
    assert "```python" in lines[:30]
    assert sum(line.startswith("python3 -m venv ") for line in lines) == 2


def test_pages_have_at_most_13_000_words():
    """README and docs/ together, without their code and output."""
    prose = [re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE) for page in PAGES]
    assert len(" ".join(prose).split()) <= 13_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_commands_print_what_is_shown(page, monkeypatch, tmp_path):
    """Each line of a console block that begins with $ prints what is shown, with the lines that a backslash adds."""
    projects = ["74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", "7ec9f08b-ec21-4c9f-a3e2-b2ab2b81b4db"]
    projects.append("d9be7eb0-ec21-4c9f-a3e2-b2ab2b81b4db")
    (tmp_path / "ids.txt").write_text("\n".join(["# the largest", *projects]))
    ids = ["project_id", *projects[:2], "my bot", projects[0].upper()]
    (tmp_path / "projects.csv").write_text("".join(f"{line}\n" for line in ids))
    shutil.copy(DOCS / "examples" / "count_csv.py", tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    async with with_sample(SDKGalileo()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        for block in re.findall(r"^```console\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE):
            for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                assert await said_by(command) == shown


def test_what_does_not_run_is_setting_up():
    """Blocks of other languages hold output; those of a shell install, set variables, or serve until Ctrl-C."""
    kinds, lines = set(), []
    for page in PAGES:
        found = re.findall(r"^```(\S+)\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
        kinds |= {kind for kind, _ in found}
        lines += [line for kind, block in found if kind == "sh" for line in block.splitlines()]
    assert kinds == {"python", "text", "console", "sh", "{toctree}", "{eval-rst}"}
    setting_up = ("pip install ", "export GALILEO_", "python3 -m venv .venv && ", "galileo-sessions serve ")
    setting_up += (
        'eval "$(_GALILEO_SESSIONS_COMPLETE=',
        "_GALILEO_SESSIONS_COMPLETE=",
        "autoload -Uz compinit",
    )  # tests/cli/test_commands.py
    assert [line for line in lines if not line.startswith(setting_up)] == []


# ---- the page on the architecture -----------------------------------------------------------------------------------

ARCHITECTURE = text_of(DOCS / "architecture.md")


def test_the_rooms_have_the_size_that_is_told():
    """Each folder has a row, whose lines of code are right to within a tenth."""
    told = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", ARCHITECTURE, re.MULTILINE)
    lines, _ = sizes(None)
    folders = {name: count for name, count in lines.items() if name not in ("all", "(top)")}
    assert {name: int(count.replace(",", "")) for name, count in told} == pytest.approx(folders, rel=0.1)


def test_the_layers_are_those_that_are_checked():
    """The layers of each contract are shown in their order."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    for contract in [each for each in settings["importlinter"]["contracts"] if each["type"] == "layers"]:
        layers = " > ".join([layer.replace(" | ", ", ") for layer in contract["layers"]])
        room = contract["containers"][0].removeprefix("galileo_sessions.")
        assert re.search(rf"^{room} +{re.escape(layers)}$", ARCHITECTURE, re.MULTILINE)


def test_each_thing_is_where_the_page_says():
    """Each row names files of the package, and after a colon what is defined in the first one."""
    rows = ARCHITECTURE.partition("| what | where |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(rows) > 30
    for row in rows:
        where, _, names = row.split("|")[2].partition(": ")
        files = [ROOT / "galileo_sessions" / f"{name}.py" for name in re.findall(r"`(\w+(?:/\w+)?)`", where)]
        lacking = [str(file) for file in files if not file.exists()]
        for name in re.findall(r"`(\w+)`", names):
            if not lacking and not re.search(rf"(def|class) {name}\b", files[0].read_text(encoding="utf-8")):
                lacking.append(name)
        assert (row, lacking) == (row, [])
