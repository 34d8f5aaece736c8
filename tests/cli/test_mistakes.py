"""What is wrong is told on stderr, in one line that names options, with status 2 for bad usage."""

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from cli.processes import USAGE, inside, leaves
from support.clients import IDS
from support.proxies import HOST, tunnelling
from support.sockets import PROJECT

import galileo_sessions
from galileo_sessions import errors
from galileo_sessions.__main__ import main
from galileo_sessions.cli.wording import message_of

ID = IDS[1]
NO_PROJECT = f"{USAGE}no project. Give PROJECT, or set GALILEO_PROJECT_ID."
NO_PARTS = (
    f"{USAGE}--by ... must be a column and its parts, such as created_at:day (or hour, week, month), score:1,3, ..."
)
NO_CREDENTIALS = "Error: no credentials: GALILEO_API_KEY isn't set"
NO_FILTER = (
    "Error: --where-json: at .filter_tree: expected a JSON object with exactly one of filter, and, or, not; got {}"
)

MISTAKES = [
    # how options can be used
    ("bogus", "", f"{USAGE}No such command 'bogus'."),
    ("demo bogus", "", f"{USAGE}Got unexpected extra argument (bogus)"),
    ("serve --port 65536", "", f"{USAGE}Invalid value for '--port': 65536 is not in the range 0<=x<=65535."),
    ("count", "", NO_PROJECT),
    ("columns", "", NO_PROJECT),
    (f"count {ID} --projects-from -", "", f"{USAGE}PROJECT and --projects-from can't be used together."),
    (f"count {ID} --all", "", f"{USAGE}PROJECT and --all can't be used together."),
    ("count --all --projects-from -", "", f"{USAGE}--projects-from and --all can't be used together."),
    *[
        (command, "", f"{USAGE}PROJECT must not be empty.")
        for command in ("count ''", "columns ' '", "explain ' ' -w 'a > 1'")
    ],
    *[
        (
            f"explain -w 'a > 1' {option} {ID}",
            "",
            f"{USAGE}--log-stream, --experiment and --metrics-testing need PROJECT.",
        )
        for option in ("--log-stream", "--experiment")
    ],
    ("count --projects-from /nowhere", "", f"{USAGE}... '/nowhere': No such file or directory"),
    *[
        (
            f"count {ID} --timeout '{wrong}'",
            "",
            f"{USAGE}... '{wrong}' must be seconds such as 30, or a time such as ...",
        )
        for wrong in ("-1", "0", "0s", "nan", "inf", "5 s", "5x", "s", "")
    ],
    (f"count {ID} --concurrency 0", "", f"{USAGE}... 0 is not in the range 1<=x<=10000."),
    ("explain", "", f"{USAGE}no filter. Give --where or --where-json."),
    (f"explain {ID} -w 'a > 1' --where 'a > 1'", "", f"{USAGE}--where is given twice."),
    (f"count {ID} --all --all", "", f"{USAGE}--all is given twice."),
    # filters, ids and settings
    (f"count {ID} --experiment x", "", "Error: experiment_id must be a UUID, got 'x'..."),
    (f"count {ID} --where 'Col('", "", "Error: --where: '(' was never closed\n  Col(\n     ^"),
    ("explain -w \"Col('a') == 1 & Col('b') == 2\"", "", "Error: ...binds tighter than ==...\n...\n..."),
    ("serve --data -", "\n{}", "Error: --data: line 2: a session needs its project_id..."),
    ("serve --api-key ''", "", "Error: --api-key: api_key must be text that isn't empty"),
    ("serve --last-day 0001-01-01", "", "Error: --last-day: date value out of range"),
    # a file loses no condition: it would count too many sessions, or none
    *[
        (f"count {ID} --where-json - --experiment {ID}", stdin, f"Error: {err}")
        for stdin, err in {
            "{} {}": "--where-json isn't JSON: Extra data: line 1 column 4 (char 3)",
            "[" * 50_000: "--where-json isn't JSON: ...",
            "{}": "--where-json: at .filter_tree: expected a JSON object with exactly one of filter, and, or, not; ...",
            '{"and": [], "and": [{"not": {}}]}': "...: an object has the same key twice, in ['and', 'and']",
            '{"and": []}': '...an empty "and" would count all sessions. Leave out the filter if that is meant',
            '{"filter_tree": {"and": []}}': "--where-json: at .filter_tree...",
            '{"filters": [{"type": "text", "column_id": "a", "operator": "one_of", "value": []}]}': (
                "...the API doesn't define an empty list. Give it a value, or write NEVER..."
            ),
            f'{{"experiment_id": "{PROJECT}", "filters": []}}': f"experiment_id is {ID}, but the query has ...",
        }.items()
    ],
    # parts
    *[
        (f"count {ID} --by '{by}'", "", NO_PARTS)
        for by in ("is_complete:maybe", "is_complete:", "created_at", "score", "score:1,x", "score:1,,3", "tags:")
    ],
    *[(f"count {ID} --by '{by}'", "", NO_PARTS) for by in ("tags:vip,", "tags: ,vip")],
    (f"count {ID} --by a:week", "", f"{USAGE}--by a:week needs --since, as in --by a:week --since 30d."),
    (f"count {ID} --by scroe", "", "Error: --by: there is no column 'scroe'. Did you mean score?"),
    (f"count {ID} --by score:3,1", "", "Error: --by: the edges must ascend, but 1 comes after 3..."),
    (f"count {ID} --since 30s", "", "Error: --since: '30s' must be a day such as 2026-05-01, a time such as..."),
    (f"count {ID} --since 1d --tz Mars", "", "Error: --tz: unknown time zone 'Mars'. Use, for example, ..."),
]


@pytest.mark.parametrize(("command", "stdin", "err"), MISTAKES, ids=lambda value: value[:60])
async def test_a_mistake_is_told_with_status_2(server, run, command, stdin, err):
    """On stderr, with the usage where an option is wrong, not before what a filter, an id or a setting lacks."""
    assert await run(command, stdin) == leaves(2, err)
    assert server.requests == []


@pytest.mark.parametrize("command", ["count", "columns"])
async def test_credentials_are_needed(run, command):
    """The hint isn't that of Python's client."""
    assert await run(f"{command} {PROJECT}") == leaves(2, NO_CREDENTIALS)


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
    code = compile(Path(galileo_sessions.__file__).read_text(), galileo_sessions.__file__, "exec")
    with pytest.raises(ending) as ended:
        exec(code, {"__name__": "galileo_sessions"})
    assert getattr(ended.value, "code", 130) == 130


async def test_each_command_has_a_summary_that_fits(run):
    """In the list of commands, none is cut. -h is short for --help."""
    assert await run("count -h") == await run("count --help")
    summaries = (await run("-h")).out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(summaries) == 7
    assert [] == [each for each in summaries if not each.endswith(".") or each.endswith("...")]


async def test_the_proxies_of_the_environment_are_used(run, monkeypatch):
    """As with curl: that of HTTPS_PROXY, except for the hosts in NO_PROXY. Every command asks through it."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    monkeypatch.setenv("GALILEO_API_URL", f"https://{HOST}")
    async with tunnelling(1, most=0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        for command in (f"count {PROJECT}", "projects", f"columns {PROJECT}", f"log-streams {PROJECT}"):
            before = len(proxy.heads)
            assert (await run(command)).status == 1
            assert len(proxy.heads) > before
        monkeypatch.setenv("NO_PROXY", HOST)
        before = len(proxy.heads)
        assert (await run(f"count {PROJECT} --timeout 0.5s")).status == 1
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
