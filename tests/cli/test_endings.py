"""How a command ends: with a mistake that it tells, by a signal, or since its reader left; and `serve`."""

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from types import ModuleType
from unittest.mock import Mock

import pytest
from cli.processes import USAGE, inside, leaves, objects, process
from support.clients import IDS, SESSIONS
from support.proxies import HOST, tunnelling
from support.sockets import PROJECT

from galileo_sessions import errors
from galileo_sessions.__main__ import main
from galileo_sessions.cli.commands import _tell, program
from galileo_sessions.cli.wording import message_of
from galileo_sessions.local import LocalGalileo

ID = IDS[1]
EMPTY_LIST = "Error: ...the API doesn't define an empty list. Give it a value, or write NEVER..."
WRONG_PARTS = ["created_at", "score", "score:1,x", "score:1,,3", "is_complete:", "is_complete:maybe", "tags:"]
WRONG_PARTS += ["tags:vip,", "'tags: ,vip'"]

MISTAKES = {
    # stderr, and the commands that end with it: first what can't be used so
    f"{USAGE}No such command 'bogus'.": ["bogus"],
    f"{USAGE}Invalid value for '--port': 65536 is not in the range 0<=x<=65535.": ["serve --port 65536"],
    f"{USAGE}no project. Give PROJECT, or set GALILEO_PROJECT_ID.": ["count", "columns"],
    f"{USAGE}PROJECT and --projects-from can't be used together.": [f"count {ID} --projects-from -"],
    f"{USAGE}--project-prefix and --all can't be used together.": ["count --all --project-prefix x"],
    f"{USAGE}--project-prefix must not be empty.": ["count --project-prefix ''"],
    f"{USAGE}PROJECT must not be empty.": ["count ''", "columns ' '", "explain ' ' -w 'a > 1'"],
    f"{USAGE}--log-stream, --experiment and --metrics-testing need PROJECT.": [
        f"explain -w 'a > 1' {option} {ID}" for option in ("--log-stream", "--experiment")
    ],
    f"{USAGE}... '/nowhere': No such file or directory": ["count --projects-from /nowhere"],
    f"{USAGE}... '...' must be seconds such as 30, or a time such as ...": [
        f"count {ID} --timeout '{wrong}'" for wrong in ("-1", "0", "0s", "nan", "inf", "5 s", "5x", "s", "")
    ],
    f"{USAGE}... 0.0 is not in the range 0.001<=x<=10000.": [f"count {ID} --rate 0"],
    f"{USAGE}no filter. Give --where or --where-json.": ["explain"],
    f"{USAGE}there is no option --json. Write -f json.": ["projects --json", "columns --json", f"count {ID} --json=x"],
    f"{USAGE}there is no option --csv. Write -f csv.": [f"count {ID} --csv"],
    f"{USAGE}there is no option --json. Write -f json, after the command.": ["--json", "--json columns"],
    f"{USAGE}No such option...--...": [
        "count --jso",
        "columns --csv",
        "columns --value",
        "body --json",
        "explain --json",
        "--table",
    ],
    f"{USAGE}--where is given twice.": [f"explain {ID} -w 'a > 1' --where 'a > 1'"],
    f"{USAGE}-f value is one number, so --by can't be used with it. Write -f csv.": [
        f"count {ID} -f value --by is_complete"
    ],
    # filters, ids and settings
    "Error: experiment_id must be a UUID, got 'x'...": [f"count {ID} --experiment x"],
    "Error: --where: '(' was never closed\n  Col(\n     ^": [f"count {ID} --where 'Col('"],
    "Error: --where looks like JSON. Write --where-json FILE; - is stdin": [
        f"count {ID} -w '{text}'" for text in ('{"filter": {}}', ' [{"filter": {}}]')
    ],
    "Error: no session satisfies this filter...": [f"count {ID} -w 'any_of([])'"],
    EMPTY_LIST: [f"count {ID} -w \"TextFilter('input', 'one_of', [])\""],
    "Error: --api-key: api_key must be text that isn't empty": ["serve --api-key ''"],
    "Error: --last-day: date value out of range": ["serve --last-day 0001-01-01"],
    # periods and parts
    f"{USAGE}... must be a column and its parts, such as created_at:day (or hour, week, month), score:1,3, ...": [
        f"count {ID} --by {wrong}" for wrong in WRONG_PARTS
    ],
    f"{USAGE}--by a:week needs --since, as in --by a:week --since 30d.": [f"count {ID} --by a:week"],
    "Error: --by: there is no column 'scroe'. Did you mean score?": [f"count {ID} --by scroe"],
    "Error: --by: the edges must ascend, but 1 comes after 3...": [f"count {ID} --by score:3,1"],
    "Error: --since: '30s' must be a day such as 2026-05-01, a time such as...": [f"count {ID} --since 30s"],
    "Error: --since: '1mo' must be a day such as ... 8w. Write 30d for a month; 1m is a minute": [
        f"count {ID} --since 1mo"
    ],
    "Error: --since: '3 months' must be a day ... 8w. Write 90d for 3 months; 3m is 3 minutes": [
        f"count {ID} --since '3 months'"
    ],
    "Error: --...: '' must be a day...": [f"count {ID} --since ''", f"count {ID} --until ''"],
    "Error: --since: '0001-... is out of range...": [f"count {ID} --since 0001-01-01 --tz Asia/Tokyo"],
    "Error: --since must be before --until and in the past, got ...": [
        f"count {ID} --since {period}" for period in ("2020-01-02 --until 2020-01-01", "2999-01-01 --until 2999-01-02")
    ],
    "Error: --tz: unknown time zone 'Mars'. Use, for example, ...": [f"count {ID} --since 1d --tz Mars"],
}
EMPTY_LIST_AS_JSON = {"type": "text", "column_id": "a", "operator": "one_of", "value": []}
WRONG_FILES = {
    # a file loses no condition: it would count too many sessions, or none
    "{} {}": "Error: --where-json isn't JSON: Extra data: line 1 column 4 (char 3)",
    "{}": "Error: --where-json: at .filter_tree: expected a JSON object with exactly one of filter, and, or, not; ...",
    '{"and": [], "and": [{"not": {}}]}': "...: an object has the same key twice, in ['and', 'and']",
    json.dumps({"filter": EMPTY_LIST_AS_JSON}): EMPTY_LIST,
    f'{{"experiment_id": "{PROJECT}", "filters": []}}': f"Error: experiment_id is {ID}, but the query has ...",
}
COMMANDS = [(command, "", err) for err, commands in MISTAKES.items() for command in commands]
COMMANDS += [(f"count {ID} --where-json - --experiment {ID}", *each) for each in WRONG_FILES.items()]
NAIVE = json.dumps({"project_id": PROJECT, "created_at": "2026-05-01T10:00:00.000"})  # as pandas writes it
COMMANDS += [
    ("serve --data -", "\n{}", "Error: --data: line 2: a session needs its project_id..."),
    (
        "serve --data -",
        NAIVE,
        "Error: --data: line 1: the session's created_at: ... has no UTC offset...\nhint: ...pandas...",
    ),
]


@pytest.mark.parametrize(("command", "stdin", "err"), COMMANDS, ids=lambda value: value[:60])
async def test_a_mistake_is_told_with_status_2(server, run, command, stdin, err):
    """On stderr, with the usage where an option is wrong, not before what a filter, an id or a setting lacks."""
    assert await run(command, stdin) == leaves(2, err)
    assert server.requests == []


@pytest.mark.parametrize("command", ["count", "columns"])
async def test_credentials_are_needed(run, command):
    assert await run(f"{command} {PROJECT}") == leaves(2, "Error: no credentials: GALILEO_API_KEY isn't set. Set it...")


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


def test_ctrl_c_while_it_imports_is_no_traceback(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "galileo_sessions.cli.commands", Interrupted("commands"))
    assert inside("demo") == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("short", "long"), [("count -h", "count --help"), ("-h", "--help"), ("-V", "--version")])
async def test_help_and_version_have_short_options(run, short, long):
    assert (done := await run(short)) == await run(long)
    assert done.status == 0


@pytest.mark.parametrize("command", ["", *program.commands])
async def test_help_fits_into_80_columns(run, monkeypatch, command):
    """Nothing is cut or broken by hand in a wider one."""
    monkeypatch.setenv("COLUMNS", "200")
    done = await run(f"{command} --help")
    assert [] == [line for line in done.out.splitlines() if len(line) > 80]


@pytest.mark.parametrize(
    ("command", "no_proxy"),
    [(f"count {ID}", ""), ("projects", ""), (f"columns {ID}", ""), (f"count {ID} --timeout 0.5s", HOST)],
)
async def test_the_proxies_of_the_environment_are_used(run, monkeypatch, command, no_proxy):
    """As with curl: that of HTTPS_PROXY, except for the hosts in NO_PROXY. Every command asks through it."""
    async with tunnelling(1, most=0) as proxy:
        known = {"GALILEO_API_URL": f"https://{HOST}", "HTTPS_PROXY": f"http://{proxy.address}", "NO_PROXY": no_proxy}
        for name, value in {"GALILEO_API_KEY": "k", **known}.items():
            monkeypatch.setenv(name, value)
        assert (await run(command)).status == 1
        assert bool(proxy.heads) == (no_proxy == "")


OF_SERVICE = "Reduce the filter(s) or split the request, or ask ops (24x7=yes). See https://x.org/?a=1, or call f(x)"
"""A hint that no pattern may change."""
MESSAGES = [
    (errors.GalileoError("no"), "no"),
    *[
        (kind("no", hint=OF_SERVICE), f"no. {OF_SERVICE}")
        for kind in (errors.GalileoError, errors.FilterError, errors.ProjectLookupError, errors.ConfigurationError)
    ],
    (errors.ValidationError("422: bad\na\n↑ bad", status=422), "422: bad"),
    (errors.GalileoError("a\x1b[31m"), r"a\x1b[31m"),
    (errors.FilterParseError("no\n  a >\n     ^", text="a >", offset=3, hint="Add it"), "no. Add it\n  a >\n     ^"),
]


@pytest.mark.parametrize(("error", "shown"), MESSAGES)
def test_a_hint_is_the_librarys(error, shown):
    """It is whole, on the line of the message. A drawing marks only text."""
    assert message_of(error) == shown


def test_ctrl_c_writes_no_number_of_some_projects(server, monkeypatch, capfd):
    def interrupt(news):
        if getattr(news, "done", 0) == 7:
            server.slow(60)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("galileo_sessions.cli.commands.counting_bar", lambda quiet: nullcontext(interrupt))
    assert inside("count", *IDS, "--format", "value", "--concurrency", "1") == 130
    out, err = capfd.readouterr()
    assert (out, err.startswith("interrupted; 7 of 12 projects counted, ")) == ("", True)


BY_MONTH = ("--by", "created_at:month", "--since", "2026-06-01", "--until", "2026-07-01")


@pytest.mark.parametrize(("by", "answered"), [((), 7), (BY_MONTH, 15)], ids=["whole", "by month"])
def test_ctrl_c_writes_what_was_counted(server, monkeypatch, capfd, by, answered):
    """SIGINT ends it with 130, the rows so far and the total; no traceback. With --by, projects are complete."""

    def interrupt(news):
        if getattr(news, "done", 0) == answered:
            server.slow(60)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("galileo_sessions.cli.commands.counting_bar", lambda quiet: nullcontext(interrupt))
    assert inside("count", *IDS, *by, "--format", "json", "--concurrency", "1") == 130
    out, err = capfd.readouterr()
    counts = [row["total_count"] for row in objects(out)]
    assert len(counts) == 7
    asked = f" ({answered} requests)" if by else ""
    assert err == f"interrupted; 7 of 12 projects counted{asked}, {sum(counts):,} sessions\n"


def test_odd_streams_inside(monkeypatch, capfd):
    """A stream that is closed is replaced by one that leads nowhere, and not by a socket; one can lack an encoding."""
    with redirect_stdout(StringIO()) as out:
        assert inside("--version") == 0
    assert "version" in out.getvalue()
    for name in ("stdin", "stdout", "stderr"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, None)
            if name == "stdin":
                assert inside("count", "--projects-from", "-") == 2
            assert inside("explain", "--where", "score > 3") == 0
            getattr(sys, name).close()
    assert capfd.readouterr().err.endswith(" has no project\n")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert inside("--help") == 1
    assert capfd.readouterr().err == "Error: No space left on device\n"
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert inside("--help") == 141
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        _tell(["nobody reads this"])  # no error, because the exit status tells


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_serve_prints_what_a_shell_can_source(run, monkeypatch, ending):
    """The lines that it prints point the tool at it; SIGTERM ends it with 0, as Ctrl-C does."""
    options = ("--strict", "--data", "-", "--api-key", "it's $(id); mine")
    async with process("serve", *options, stdin=subprocess.PIPE) as running:
        running.stdin.write(json.dumps(SESSIONS[0]).encode())
        running.stdin.close()
        comment, *exports = [(await running.stdout.readline()).decode() for _ in range(3)]
        assert comment == "# 1 session. Ctrl-C ends it.\n"
        sourced = subprocess.check_output(["sh", "-c", "".join(exports) + "env -0"], text=True).split("\0")
        for name, value in [each.split("=", 1) for each in sourced if each.startswith("GALILEO_API_")]:
            monkeypatch.setenv(name, value)
        assert os.environ["GALILEO_API_KEY"] == "it's $(id); mine"
        assert await run(f"count {IDS[0]} -w 'scroe > 3' -q -f csv") == leaves(
            1, "...422 ...scroe...", "...\n...422 ..."
        )
        running.send_signal(ending)
        assert (await running.stdout.read(), await running.stderr.read()) == (b"", b"")
        assert await running.wait() == 0


@pytest.fixture
def _pressed(monkeypatch):
    """Somebody presses Ctrl-C while `serve` waits; it changes no real handler of a signal."""
    monkeypatch.setattr(signal, "signal", Mock())
    monkeypatch.setattr(signal, "pause", Mock(side_effect=KeyboardInterrupt))


@pytest.mark.usefixtures("_pressed")
@pytest.mark.parametrize("options", [(), ("--last-day", "2026-06-30")])
def test_serve_has_a_sample(monkeypatch, capfd, options):
    """By default, `serve` has the sample, up to yesterday or to the last day that is given. Ctrl-C ends it with 0."""
    monkeypatch.setattr("galileo_sessions.cli.commands.sample_sessions", make := Mock(return_value=SESSIONS))
    before = datetime.now(UTC).date() - timedelta(days=1)
    assert inside("serve", *options) == 0
    assert capfd.readouterr().out.startswith(f"# {len(SESSIONS):,} sessions. Ctrl-C ends it.\nexport ")
    yesterday = {before, datetime.now(UTC).date() - timedelta(days=1)}  # midnight can pass
    assert {*make.call_args.args} <= ({date(2026, 6, 30)} if options else yesterday)


@pytest.mark.usefixtures("_pressed")
def test_serve_says_that_a_port_is_taken(capfd):
    with LocalGalileo() as taken:
        assert inside("serve", "--port", taken.url.rpartition(":")[2]) == 1
    out, err = capfd.readouterr()
    assert (out, err.startswith("Error: "), "in use" in err) == ("", True, True)
