"""Bad usage, and packages that aren't installed, are reported on stderr with exit status 2."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from cli.processes import WHERE, inside
from support.proxies import HOST, tunnelling
from support.sockets import PROJECT

import galileo_sessions
from galileo_sessions.__main__ import main

NOBODY = "no credentials: GALILEO_API_KEY isn't set\n"
NO_JSON = "--where-json isn't JSON: Extra data: line 1 column 3 (char 2)"
NO_FILTER = "--where-json: at .filter_tree: expected a JSON object with exactly one of filter, and, or, not; got {}"
NO_PROJECT = "no project. Give PROJECT, or set GALILEO_PROJECT_ID."
WRONG_TIMES = ("-1", "0", "0s", "nan", "inf", "5 s", "5x", "s", "")
USAGE = [
    (["bogus"], "Error: No such command 'bogus'."),
    (["serve", "--port", "65536"], "65536 is not in the range 0<=x<=65535."),
    (["count"], f"Error: {NO_PROJECT}"),
    (["count", PROJECT, "--projects-from", "-"], "Error: PROJECT and --projects-from can't be used together."),
    (["count", PROJECT, "--all"], "Error: PROJECT and --all can't be used together."),
    (["count", "--all", "--projects-from", "-"], "Error: --projects-from and --all can't be used together."),
    (["count", ""], "Error: PROJECT must not be empty."),
    (["columns"], f"Error: {NO_PROJECT}"),
    (["columns", " "], "Error: PROJECT must not be empty."),
    (["explain", " ", "-w", WHERE], "Error: PROJECT must not be empty."),
    *[
        (["explain", "-w", WHERE, option, PROJECT], "Error: --log-stream, --experiment and --metrics-testing need")
        for option in ("--log-stream", "--experiment")
    ],
    (["count", "--projects-from", "/nowhere"], "'/nowhere': No such file or directory"),
    *[(["count", PROJECT, "--timeout", wrong], f"{wrong!r} must be seconds such as 30") for wrong in WRONG_TIMES],
    (["count", PROJECT, "--concurrency", "0"], "0 is not in the range 1<=x<=10000."),
    (["explain"], "Error: no filter. Give --where or --where-json."),
    (["explain", PROJECT, "-w", WHERE, "--where", WHERE], "Error: --where is given twice."),
    (["count", PROJECT, "--all", "--all"], "Error: --all is given twice."),
    (["demo", "bogus"], "Got unexpected extra argument (bogus)"),
]
REFUSED = [
    (["count", PROJECT, "--experiment", "x"], "experiment_id must be a UUID, got 'x'"),
    (["count", PROJECT, "--where", "Col("], "--where: '(' was never closed\n  Col(\n     ^\n"),
    (["count", PROJECT, "--where-json", "-"], NO_FILTER),
    (["count", PROJECT, "--where-json", __file__], NO_JSON),
    (["count", PROJECT], NOBODY),
    (["columns", PROJECT], NOBODY),
    (["explain", "--where", "Col('a') == 1 & Col('b') == 2"], "binds tighter than =="),
    (["serve", "--data", "-"], "--data: line 2: a session needs its project_id"),
    (["serve", "--api-key", ""], "--api-key: api_key must be text that isn't empty"),
    (["serve", "--last-day", "0001-01-01"], "--last-day: date value out of range"),
]


@pytest.mark.parametrize(
    ("arguments", "message", "begin"),
    [(*each, "Usage: ") for each in USAGE] + [(*each, "Error: ") for each in REFUSED],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_bad_usage_is_told_with_status_2(run, monkeypatch, arguments, message, begin):
    """On stderr, with the usage where an option is wrong, not before what a filter, an id or a setting lacks."""
    if message != NOBODY:
        monkeypatch.setenv("GALILEO_API_KEY", "k")
    status, out, err = await run(*arguments, stdin="\n{} ")
    assert (status, out) == (2, "")
    assert message in err.replace("\n\n", "\n")
    assert err.startswith(begin)
    assert "Traceback" not in err


def test_a_stream_may_be_anything():
    """Stdout can be a stream without an encoding."""
    with redirect_stdout(StringIO()) as out:
        assert inside("--version") == 0
    assert "version" in out.getvalue()


@pytest.mark.parametrize("arguments", [[], ["count", PROJECT], ["--help"]], ids=" ".join)
def test_without_the_extra_it_says_what_to_install(monkeypatch, capfd, arguments):
    """Every command says so, with status 2; another module that is missing is an error as in any program."""
    for name in ("commands", "screen"):
        monkeypatch.delitem(sys.modules, f"galileo_sessions.cli.{name}", raising=False)
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "click", None)
        assert inside(*arguments) == 2
    message = "This needs click, which isn't installed. In a clone, run pip install '.[cli]'\n"
    assert capfd.readouterr() == ("", message)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ModuleNotFoundError, match="rich.progress"):
        main()


class Interrupted(ModuleType):
    """A module during whose import somebody presses Ctrl-C."""

    def __getattr__(self, name):
        raise AttributeError if name.startswith("__") else KeyboardInterrupt


def test_ctrl_c_while_it_imports(monkeypatch, capfd):
    """It ends with status 130, without a traceback."""
    monkeypatch.setitem(sys.modules, "galileo_sessions.cli.commands", Interrupted("commands"))
    assert inside("demo") == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("program", "ending"),
    [("-m", SystemExit), ("/usr/bin/galileo-sessions", SystemExit), ("app.py", KeyboardInterrupt)],
)
def test_ctrl_c_while_the_package_is_imported(monkeypatch, program, ending):
    """The command line ends with status 130, without a traceback; other programs get the KeyboardInterrupt."""
    monkeypatch.setitem(sys.modules, "galileo_sessions.filters.text", Interrupted("text"))
    monkeypatch.setattr(sys, "argv", [program, "count"])
    with pytest.raises(ending) as ended:
        exec(
            compile(Path(galileo_sessions.__file__).read_text(), "__init__.py", "exec"),
            {"__name__": "galileo_sessions"},
        )
    assert getattr(ended.value, "code", 130) == 130


async def test_each_command_has_a_summary_that_fits(run):
    """In the list of commands, none is cut. -h is short for --help."""
    assert await run("count", "-h") == await run("count", "--help")
    summaries = (await run("-h")).out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(summaries) == 7
    assert [] == [each for each in summaries if not each.endswith(".") or each.endswith("...")]


async def test_the_proxies_of_the_environment_are_used(run, monkeypatch):
    """As with curl: that of HTTPS_PROXY, except for the hosts in NO_PROXY. Every command asks through it."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    monkeypatch.setenv("GALILEO_API_URL", f"https://{HOST}")
    async with tunnelling(1, most=0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        for command in (["count", PROJECT], ["projects"], ["columns", PROJECT], ["log-streams", PROJECT]):
            before = len(proxy.heads)
            assert (await run(*command)).status == 1
            assert len(proxy.heads) > before
        monkeypatch.setenv("NO_PROXY", HOST)
        before = len(proxy.heads)
        assert (await run("count", PROJECT, "--timeout", "0.5s")).status == 1
        assert len(proxy.heads) == before
