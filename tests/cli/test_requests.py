"""What commands ask the service for: which projects, filters and periods; and how long it may take."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import click
import pytest
from cli.processes import MANY, leaves, slow_after
from support.clients import IDS
from support.private import warn_of_outages_after
from support.sockets import AtOnce, http

from galileo_sessions import ALWAYS, Col, ColumnCatalog, CountQuery, dump_filter, dump_query
from galileo_sessions.cli.commands import count
from galileo_sessions.cli.options import read_period, read_seconds

A, B, C, *_ = IDS  # the first two are Support chatbot and Travel planner, and have 312 and 363 sessions
EMPTY, *SCOPE = [str(UUID(int=number, version=4)) for number in (1, 2, 3, 4)]

LIST = f"\ufeff# comment\r\n Support chatbot \r\n\r\n{B}\r\n  # {C}\n{A.upper()}"
LISTS = {"list": LIST.encode(), "empty": b"# none\n\n", "utf16": A.encode("utf-16")}
LISTS |= {"typos": f"{A}\n\nSuport chatbot\nnope\x1b[31m\n".encode()}
BOTH = f"project_id,project_name,total_count,error\n{A},Support chatbot,312,\n{B},Travel planner,363,"
CHATBOT, PLANNER = [f"project_id,project_name,total_count,error\n{row}" for row in BOTH.splitlines()[1:]]
UNKNOWN = "there is no project 'Suport chatbot' among the 12 listed. Did you mean Support chatbot?"
ONE_OF = "Write one of Support chatbot, Travel planner, Code assistant, Pharmacy helpdesk, Legal guide, ..."
ITS_VALUE = f"there is no project with this value among the 12 listed. {ONE_OF}"
NO_STREAMS = "there is no log stream 'none' among the 3 listed. Write one of production, staging, development"
NO_STREAM = "there is no log stream 'prodution' among the 3 listed. Did you mean production?"

TARGETS = [
    # the command, variables after GALILEO_, the exit status, stderr and stdout
    (f"count ' Support chatbot ' {A} {B}", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count --projects-from list", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count --projects-from -", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count --project-prefix Supp", {}, 0, "1 project counted, 312 sessions", CHATBOT),
    ("count --project-prefix supp", {}, 2, "Error: ... can see no project whose name begins with 'supp'", ""),
    ("count", {"PROJECT_ID": A, "PROJECT": B}, 0, "1 project counted, 312 sessions", f"project_id,total_...\n{A},312,"),
    ("count", {"PROJECT": "Travel planner"}, 0, "1 project counted, 363 sessions", PLANNER),
    ("log-streams", {"PROJECT": "Travel planner"}, 0, "", f"id,...\n...{B}...\n...{B}...\n...{B},Travel planner"),
    # all unknown names are told, at most three, before anything is counted
    (f"count 'Suport chatbot' {A} zzz {A[:-1]} 'a fourth'", {}, 2,
     f"Error: {UNKNOWN}\nthere is no project 'zzz' among the 12 listed. {ONE_OF}\n"
     f"there is no project '{A[:-1]}' ...", ""),
    ("count --projects-from typos", {}, 2,
     f"Error: typos, line 3: {UNKNOWN}\n"
     f"typos, line 4: there is no project 'nope\\x1b[31m' among the 12 listed. {ONE_OF}", ""),
    # a variable's value can be a key in the wrong place
    ("count", {"PROJECT_ID": f"{A} {B}"}, 2, f"Error: GALILEO_PROJECT_ID: {ITS_VALUE}", ""),
    # files without projects
    ("count --projects-from empty", {}, 2, "Error: empty has no project", ""),
    ("count --projects-from utf16", {}, 2, "Error: utf16: ... can't decode ...", ""),
    # log streams
    (f"count {A} --log-stream production", {}, 0, "1 project counted, 74 sessions", f"project_id,total_...\n{A},74,"),
    ("count 'Support chatbot' --log-stream staging --by score:3", {}, 0, "1 project counted (6 ...), 49 sessions",
     "project_id,project_name,label,total_count,share,error\n"
     + "\n".join([f"{A},Support chatbot,{row}...," for row in ("below 3,15,0.3", "3 and above,30,0.6", "no value,4")])),
    (f"count {A} --log-stream prodution", {}, 2, f"Error: {A}: {NO_STREAM}", ""),
    (f"explain {A} --log-stream prodution -w 'score > 3'", {}, 2, f"Error: {A}: {NO_STREAM}", ""),
    ("count --all --log-stream none", {}, 2,
     "Error: " + "\n".join([f"{each}: {NO_STREAMS}" for each in IDS[:3]]), ""),
]  # fmt: skip


@pytest.mark.parametrize("row", TARGETS, ids=lambda row: row[0][:60])
async def test_where_an_id_can_stand_a_name_can(server, run, monkeypatch, tmp_path, row):
    """White space around a project is ignored; with an id of the same project, it counts once."""
    command, variables, status, err, out = row
    monkeypatch.chdir(tmp_path)
    for name, content in LISTS.items():
        (tmp_path / name).write_bytes(content)
    for name, value in variables.items():
        monkeypatch.setenv(f"GALILEO_{name}", value)
    command += " -f csv" if command.startswith(("count", "log-streams")) else ""
    assert await run(command, stdin=LIST) == leaves(status, err, out)
    assert status == 0 or server.requests == []


async def test_a_name_can_contain_a_number_sign(server, run):
    """In a file, # begins a comment only at the start of a line. White space around listed names is ignored, too."""
    server._names |= {A: "Team", B: " Team #1 ", C: "bot#1"}
    done = await run("count --projects-from - -f csv", stdin="#none\nTeam #1\nbot#1\n  # none\n")
    assert [line[:36] for line in done.out.splitlines()[1:]] == [B, C]


@pytest.mark.parametrize("command", ["columns 'Legal guide'", "explain 'Legal guide' -w 'error_message == \"x\"'"])
async def test_a_log_stream_has_columns_of_its_own(server, run, command):
    server.strict = False
    whole, part = await run(command), await run(f"{command} --log-stream development")
    assert "no column 'error_message'" not in whole.out
    assert "no column 'error_message'" in part.out or "error_message" not in part.out


def page(*ids: str) -> bytes:
    """A page of the list of projects, each of which has the name bot."""
    projects = [{"id": each, "name": "bot", "type": "gen_ai"} for each in ids]
    return http(body=json.dumps({"projects": projects, "paginated": True, "next_starting_token": None}))


REFUSED = "Error: 'bot' isn't an id, and the projects can't be listed to find this name: 403 Forbidden..."


@pytest.mark.parametrize(
    ("response", "command", "status", "err", "asked"),
    [
        (http(), f"count {A} -q", 0, "", "/sessions/count "),
        (page(), "count --all", 2, "Error: the credentials can see no project", '"value": "gen_ai"}'),
        (page(A, B), "count bot", 2, f"...{A}, {B}", '"value": "bot"}'),
        (http(403, ""), "count bot", 1, REFUSED, '"value": "bot"}'),
        (http(404, ""), f"count {A} --log-stream production", 1, "Error: ...404 ...", "/log_streams/"),
    ],
)
async def test_no_more_is_asked_for_than_it_takes(serving, run, response, command, status, err, asked):  # noqa: PLR0917
    """Ids need no list, a single name only its projects. What can't be listed is told."""
    async with serving(response) as server:
        done = await run(command)
    assert done == leaves(status, err)._replace(out=done.out)
    assert [asked in request.decode() for request in server.requests] == [True]


async def test_what_the_service_says_to_do_is_told(serving, run):
    """It is whole: a pattern that looks for settings in Python would find one."""
    action = "Reduce the filter(s) or split the request, or set limit=1"
    refusal = json.dumps({"standard_error": {"message": "too much", "user_action": action}})
    async with serving(http(400, refusal)):
        done = await run(f"count {A} -f json")
    assert f"too much. {action}\n" in done.err
    assert json.loads(done.out)["error"]["message"].endswith(f"too much. {action}")


ABOVE_3, CREATED = Col("score") > 3, Col.date("created_at")
JUNE = "--since 2026-06-01 --until 2026-07-01"
IN_JUNE = CREATED.gte("2026-06-01T00:00:00Z") & CREATED.lt("2026-07-01T00:00:00Z")
FILES = {
    "where.json": (dump_filter(ABOVE_3), "utf-8-sig"),
    "query.json": (dump_query(CountQuery(B, Col("input").contains("x"), experiment_id=SCOPE[0], tag="t")), "utf-16"),
    "leaves.json": ({"filters": [dump_filter(ABOVE_3)["filter"]]}, "utf-16"),  # as PowerShell writes it
}


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        (
            f"{A} -w 'score > 3' --log-stream {SCOPE[0]} --experiment {SCOPE[1]} --metrics-testing {SCOPE[2]}",
            [CountQuery(A, ABOVE_3, log_stream_id=SCOPE[0], experiment_id=SCOPE[1], metrics_testing_id=SCOPE[2])],
        ),
        ("--where-json where.json", [CountQuery(B, ABOVE_3)]),
        ("--where-json - -w 'input.contains(\"x\")'", [CountQuery(B, Col("input").contains("x") & ABOVE_3)]),
        ("--where-json query.json", [CountQuery(B, Col("input").contains("x"), experiment_id=SCOPE[0])]),
        (f"{A} --where-json leaves.json -w 'score < 4'", [CountQuery(A, (Col("score") < 4) & ABOVE_3)]),
        (f"{A} --where-json leaves.json --by score:3", [CountQuery(A, ABOVE_3)]),
        (f"{A} {JUNE}", [CountQuery(A, IN_JUNE)]),
        (
            f"{A} {JUNE} -w 'score > 1' --by score:3",
            [
                CountQuery(A, (Col("score") > 1) & IN_JUNE),
                CountQuery(A, (Col("score") > 1) & IN_JUNE & (Col("score") < 3)),
                CountQuery(A, (Col("score") > 1) & IN_JUNE & Col.number("score").gte(3)),
            ],
        ),
    ],
)
async def test_filter_scope_and_period_travel(server, run, tmp_path, monkeypatch, arguments, queries):  # noqa: PLR0917
    """Filters from text, a file or stdin are joined; a saved query brings its scope, and its project by default."""
    monkeypatch.chdir(tmp_path)
    if "query.json" not in arguments:
        monkeypatch.setenv("GALILEO_PROJECT_ID", B)
    for name, (data, encoding) in FILES.items():
        (tmp_path / name).write_text(json.dumps(data), encoding=encoding)
    done = await run(f"count {arguments} --concurrency 1", stdin=json.dumps(dump_filter(ABOVE_3)))
    assert done.status == 0
    assert server.requests[: len(queries)] == queries


NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
TYPES = {"a:b": "number", "c:d": "boolean", "score": "number", "tags": "collection", "year": "text", "done": "boolean"}
AUCKLAND, KOLKATA = ZoneInfo("Pacific/Auckland"), ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("by", "since", "until", "expected"),
    [
        # how long ago is exact without parts; else it means the beginning of a unit, so that the first part is whole
        (None, "4w", "1h", CREATED.gte("2026-04-22T10:30Z") & CREATED.lt("2026-05-20T09:30Z")),
        (None, "36h", "today", CREATED.gte("2026-05-18T22:30Z") & CREATED.lt("2026-05-20T00:00Z")),
        # a period that ends with a whole day begins with one
        (None, "4w", "today", CREATED.during("2026-04-22", "2026-05-20", tz="UTC")),
        (None, "7d", "2026-05-20 Asia/Kolkata", CREATED.during("2026-05-13", "2026-05-20", tz=KOLKATA)),
        (None, "7d", "yesterday Asia/Kolkata", CREATED.during("2026-05-13", "2026-05-19", tz=KOLKATA)),
        (None, "yesterday", "today", CREATED.gte("2026-05-19T00:00Z") & CREATED.lt("2026-05-20T00:00Z")),
        (None, "1d", "", CREATED.gte("2026-05-19T10:30Z") & CREATED.lt("2026-05-20T10:30Z")),
        ("created_at:month", "60d", "today", CREATED.months("2026-03-01", "2026-05-20", tz="UTC")),
        ("created_at:day", "1d", "2026-05-21T06:00 Pacific/Auckland",
         CREATED.days("2026-05-19", "2026-05-21T06:00", tz=AUCKLAND)),
        ("created_at:hour", "2026-05-20T00:00Z", "1h Asia/Kolkata",
         CREATED.hours("2026-05-20T05:30", "2026-05-20T15:00", tz=KOLKATA)),
        # numbers make bins, values make other parts; a column id can contain colons
        ("a:b:-0.5, 1000", None, "", Col.number("a:b").bins(-0.5, 1000).with_rest("no value")),
        ("a:b:day", "1d", "", Col.date("a:b").days("2026-05-19", NOW, tz="UTC")),
        ("tags:2024, 2025 ", None, "", Col.collection("tags").values(["2024", "2025"])),
        ("year:2024", None, "", Col.text("year").values(["2024"]).with_rest("other")),
        ("c:d", None, "", Col.boolean("c:d").values().with_rest("no value")),
        # a value can have the label of the rest
        ("year:other,(other)", None, "", Col.text("year").values(["other", "(other)"]).with_rest("((other))")),
    ],
)  # fmt: skip
def test_options_name_a_period_and_parts(by, since, until, expected):
    """Times are those of the zone, here after the end, and UTC by default. The end is now by default."""
    until, _, tz = until.partition(" ")
    period, parts = read_period(NOW, ColumnCatalog.of(TYPES), by=by, since=since, until=until or None, tz=tz or "UTC")
    assert (period, parts) == ((expected, None) if by is None else (ALWAYS, expected))
    assert parts is None or (dict(parts), parts.rest) == (dict(expected), expected.rest)


@pytest.mark.parametrize("more", ["", "-q", "-w 'score > 3' --fail-above 400", "--by created_at:day"])
async def test_a_time_that_the_clocks_skip_is_told(server, run, more):
    """With the instant that it is taken for. A day begins, and a time with an offset is, whatever clocks show."""
    command = f"count {A} --since 2026-03-29T02:30 --until 2026-07-01 --tz Europe/Berlin {more}"
    done = await run(command)
    skips = "the clocks in Europe/Berlin skip 2026-03-29T02:30, so it is taken for 2026-03-29T03:30:00+02:00"
    assert (done.status, done.err.splitlines()[0]) == (0, f"Warning: --since: {skips}")
    assert (await run(command.replace("2026-03-29T02:30", "2026-03-29T03:30"))).out == done.out
    for exact in ("2026-03-29", "2026-03-29T02:30Z", "2026-03-29T01:59", "2026-03-29T03:00", "2026-03-30T02:30", "99w"):
        assert "skip" not in (await run(command.replace("2026-03-29T02:30", exact))).err
    swapped = command.replace("--since 2026-03-29T02:30 --until 2026-07-01", "--since 99w --until 2026-03-29T02:30")
    assert f"Warning: --until: {skips}\n" in (await run(swapped)).err


SCROE = """\
Warning: the count is 0, and there is no column 'scroe'; did you mean score?
galileo-sessions explain PROJECT --where ... shows what each condition counts"""
CREATED_AT = SCROE.replace("scroe", "craeted_at").replace("score", "created_at")
NO_COLUMNS = f"Warning: the count is 0, and project {EMPTY} lists no columns: it has no sessions, or its id is wrong"


@pytest.mark.parametrize(
    ("responses", "arguments", "warning"),
    [
        ([], f"{A} {B} -w 'scroe > 3'", SCROE),
        ([], f"{EMPTY} -w 'scroe > 3'", NO_COLUMNS),
        # the columns of the parts are checked, although the rest has all sessions
        ([], f"{A} --by craeted_at:day --since 3d", CREATED_AT),
        ([], f"{A} --by score:4.5,5 -w 'score == 4.4'", ""),
        # a filter that fits needs no explanation
        ([], f"{A} {B} -w 'score > 9e9'", ""),
        # a failure has one already, and what fails to explain a count never turns it into an error
        ([404], f"{A} -w 'scroe > 3'", ""),
        ([{"total_count": 0}, 404], f"{A} -w 'scroe > 3'", ""),
    ],
)
async def test_a_count_of_0_names_the_closest_column(server, script, run, responses, arguments, warning):  # noqa: PLR0917
    server.strict = False
    script(*responses)
    status, _, err = await run(f"count {arguments}")
    assert (status, err.partition(" sessions\n")[2]) == (responses == [404], warning and f"{warning}\n")
    if warning:
        assert (await run(f"count {arguments} -q")).err == f"{warning}\n"


@pytest.mark.parametrize("command", ["count", "count -q", "columns", "explain -w 'score > 3'"])
async def test_debug_shows_each_attempt(server, run, command):
    """On stderr, one line for each, with the project; with -q, too."""
    server.fail_next(503)
    done = await run(f"{command} {A} --debug")
    asked = "count" if command.startswith("count") else "available_columns"
    attempts = [line.rpartition(", ")[0] for line in done.err.splitlines() if line.startswith("POST ")]
    path = f"POST /v2/projects/{A}/sessions/{asked}"
    assert attempts[:2] == [f"{path}: attempt 1, status 503", f"{path}: attempt 2, status 200"]
    assert done.status == 0
    assert "POST " not in (await run(f"{command} {A}")).err


@pytest.mark.parametrize("command", ["--debug count {}", "--debug count {} --debug", "--debug"])
async def test_debug_can_stand_before_the_command(server, run, command):
    done = await run(command.format(A))
    assert (done.status, "/sessions/count: attempt 1, status 200" in done.err) == (0, True)


EXAMPLES = re.findall(r"^ *galileo-sessions (.*)$", count.help or "", re.MULTILINE)


@pytest.mark.parametrize("command", EXAMPLES)
async def test_the_help_of_count_begins_with_three_examples(server, run, command):
    """They work, but for a share of a period without sessions; its other paragraphs are short."""
    paragraphs = (await run("count --help")).out.split("Options:")[0].split("\n\n")
    assert [len(lines := paragraphs[2].splitlines()), lines[0].strip()] == [3, f"galileo-sessions {EXAMPLES[0]}"]
    assert max(paragraph.count("\n") for paragraph in paragraphs) <= 6
    assert (await run(command)).status == ("%" in command)


@pytest.mark.parametrize("quiet", ["", "-q"])
async def test_an_outage_is_told_once_unless_only_failures_are_shown(server, run, quiet, monkeypatch):
    warn_of_outages_after(monkeypatch, 0.3)
    server.fail(503)
    done = await run(f"count {' '.join(MANY)} --timeout 1s {quiet}")
    assert (done.status, done.err.count("the service has answered nothing for 0 s: only")) == (1, not quiet)


async def test_no_more_requests_at_once_than_concurrency_allows(run, serving):
    at_once = AtOnce()
    async with serving(at_once):
        assert (await run(f"count {' '.join(MANY)} --concurrency 2")).status == 0
    assert at_once.most == 2


async def test_no_more_requests_a_second_than_the_rate_allows(server, run):
    began = time.monotonic()
    assert (await run(f"count {' '.join(IDS[:4])} --rate 5")).status == 0
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), (".5", 0.5), ("5s", 5), ("0.5m", 30), ("1h", 3600), ("1d", 86_400), ("4w", 2_419_200)],
)
def test_timeout_is_a_number_or_a_time(text, seconds):
    assert read_seconds(click.Context(count), count.params[0], text) == seconds


async def test_projects_that_are_not_counted_by_the_timeout_are_failures(run, serving):
    async with serving(slow_after(1)):
        done = await run(f"count {' '.join(MANY[:3])} -f csv --timeout 2 --concurrency 1")
    late = [f"{each},,DeadlineExceededError: the timeout ran out..." for each in MANY[1:3]]
    assert done == leaves(
        1,
        f"{MANY[1]}: ...\n{MANY[2]}: ...\n1 of 3 projects counted, 2 failed, 100 sessions",
        "\n".join(["project_id,total_count,error", f"{MANY[0]},100,", *late]),
    )


@pytest.mark.parametrize(
    "arguments", ["bot", "--all", f"{A} --log-stream x", f"{A} --by is_complete", f"{A} -w 'score > 3' --fail-above 1"]
)
async def test_timeout_is_also_for_lists_and_columns(run, serving, arguments):
    async with serving(slow_after(0)):
        done = await run(f"count {arguments} --timeout 0.3")
    assert (done.status, "Raise the timeout" in done.err) == (75, True)


async def test_what_finding_a_name_took_is_missing_for_the_count(run, serving):
    async def behave(index, writer):
        await asyncio.sleep(1 if index == 1 else 2.5)
        writer.write(page(A) if index == 1 else http())

    async with serving(behave):
        done = await run("count bot --timeout 3")
    assert (done.status, "DeadlineExceededError" in done.out) == (75, True)
