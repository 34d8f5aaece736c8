"""What is wrong is told on stderr, in one line that names options, with status 2 for bad usage."""

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from cli.processes import WHERE, Outcome, inside
from support.clients import IDS
from support.proxies import HOST, tunnelling
from support.sockets import PROJECT, answers, http

import galileo_sessions
from galileo_sessions import errors
from galileo_sessions.__main__ import main
from galileo_sessions.cli.wording import message_of

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
            compile(Path(galileo_sessions.__file__).read_text(), galileo_sessions.__file__, "exec"),
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


# ---- errors in the words of the command line -------------------------------------------------------------------------


PYTHON = re.compile(r"\b(api_key|auth|base_url|timeout|ssl|proxy)=|await|Retry\(|Limits\(|PasswordAuth|count_all")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (errors.ConfigurationError("no credentials", hint="Pass api_key=..."), "no credentials"),
        (errors.FilterError("no", hint="Write Col('a') > 1"), "no. Write Col('a') > 1"),
        (errors.ProjectLookupError("no project 'a'", hint="Did you mean b?"), "no project 'a'. Did you mean b?"),
        (errors.TLSError("the certificate isn't trusted", hint="Pass ssl="), "trusted. Check that this port has TLS."),
        (errors.ConnectError("refused"), "refused. Check GALILEO_API_URL, the proxy and the network"),
        (errors.DeadlineExceededError("the timeout ran out", hint="timeout=9"), "ran out. Raise --timeout"),
        (errors.LoginError("401", status=401, hint="PasswordAuth(...)"), "401. Check GALILEO_USERNAME and"),
        (errors.AuthenticationError("401", status=401), "401. Check GALILEO_API_KEY, and that it belongs"),
        (errors.RateLimitedError("429", status=429, hint="Raise Retry(patience=...)"), "429. Try again later"),
        (errors.ResponseError("400", status=400), "400"),
        (errors.ValidationError("422: bad\na\n↑ bad", status=422), "422: bad"),
        (errors.GalileoError("a\x1b[31m"), r"a\x1b[31m"),
        (
            errors.FilterParseError("no\n  a >\n     ^", text="a >", offset=3, hint="Add a value"),
            "no. Add a value\n  a >\n     ^",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_class_has_its_own_hint(error, shown):
    """A filter's hint is the library's, because filters are written as in Python. A drawing marks only text."""
    assert shown in message_of(error)
    assert PYTHON.search(message_of(error)) is None


async def test_errors_of_commands_have_no_python(run, serving, monkeypatch):
    """No credentials, a URL with credentials, a login that is refused, a timeout, and an outage: one line each."""
    shown: list[Outcome] = []
    for url, environment in (
        ("https://api.example.com", {}),
        ("https://me:pw@example.com", {"API_KEY": "k"}),
        ("https://127.0.0.1:1", {"API_KEY": "k"}),
    ):
        with monkeypatch.context() as patch:
            patch.setenv("GALILEO_API_URL", url)
            for name, value in environment.items():
                patch.setenv(f"GALILEO_{name}", value)
            shown.append(await run("explain", PROJECT, "-w", "a > 1"))
    async with serving(answers(http(401, ""))):
        with monkeypatch.context() as patch:
            patch.delenv("GALILEO_API_KEY")
            patch.setenv("GALILEO_USERNAME", "me")
            patch.setenv("GALILEO_PASSWORD", "pw")
            shown.append(await run("columns", PROJECT))
    async with serving(answers(http(429, "", Retry_After="100"))):
        shown.append(await run("columns", PROJECT))
    assert [done.status for done in shown] == [2, 2, 1, 1, 1]
    assert [done.err for done in shown if PYTHON.search(done.err) or done.err.count("\n") > 1] == []


async def test_a_filter_that_does_not_fit_is_one_line(server, run):
    """With --check, each condition that doesn't fit is named once; a period's condition is named, too."""
    where = (
        '(Col("scor") > 3) & (Col("scor") < 5) & (Col("score") == "a") & (Col("inputt") == "x") & (Col("nam") == "x")'
    )
    done = await run("count", IDS[0], "-w", where, "--since", "1d", "--check")
    assert done.err == (
        f"{IDS[0]}: there is no column 'scor'; did you mean score?; 'score' is filtered as number, not as text. "
        "Write Col.number('score').eq(...); there is no column 'inputt'; did you mean input?\n"
        "0 of 1 project counted, 1 failed, 0 sessions\n"
    )
