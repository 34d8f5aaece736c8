"""What `count` asks the service for, how long it may take, and how it explains a count of 0."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import click
import pytest
from cli.processes import MANY, leaves, slow_after
from support.clients import IDS
from support.sockets import AtOnce, http

from galileo_sessions import ALWAYS, Col, ColumnCatalog, CountQuery, dump_filter, dump_query
from galileo_sessions.cli.commands import count
from galileo_sessions.cli.options import read_period, read_seconds

A, B, *_ = IDS
EMPTY, *SCOPE = [str(UUID(int=number, version=4)) for number in (1, 2, 3, 4)]
ABOVE_3, CREATED = Col("score") > 3, Col.date("created_at")
JUNE = "--since 2026-06-01 --until 2026-07-01"
IN_JUNE = CREATED.gte("2026-06-01T00:00:00Z") & CREATED.lt("2026-07-01T00:00:00Z")
FILES = {
    "where.json": (dump_filter(ABOVE_3), "utf-8-sig"),
    "query.json": (dump_query(CountQuery(B, Col("input").contains("x"), experiment_id=SCOPE[0], tag="t")), "utf-16"),
    "leaves.json": (dump_query(CountQuery(B, filters=[ABOVE_3])), "utf-16"),  # as PowerShell writes it
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
        (f"{A} --until 2026-06-01", [CountQuery(A, CREATED.lt("2026-06-01T00:00:00Z"))]),
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


# ---- periods and parts -----------------------------------------------------------------------------------------------

NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
TYPES = {"a:b": "number", "c:d": "boolean", "score": "number", "tags": "collection", "year": "text", "done": "boolean"}
COLUMNS = ColumnCatalog.of(TYPES)


def utc(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("by", "since", "until", "expected"),
    [
        # how long ago is exact without parts; else it means the beginning of a unit, so that the first part is whole
        (None, "12h", "6h", (CREATED.gte(utc("2026-05-19T22:30")) & CREATED.lt(utc("2026-05-20T04:30")), None)),
        (None, "4w", "today", (CREATED.gte(utc("2026-04-22T10:30")) & CREATED.lt(utc("2026-05-20")), None)),
        (None, "1d", None, (CREATED.gte(utc("2026-05-19T10:30")) & CREATED.lt(NOW), None)),
        ("created_at:week", "yesterday", None, CREATED.weeks("2026-05-19", NOW, tz="UTC")),
        ("created_at:month", "60d", "today", CREATED.months("2026-03-01", "2026-05-20", tz="UTC")),
        (
            "created_at:day",
            "1d",
            "2026-05-21T06:00 Pacific/Auckland",
            CREATED.days("2026-05-19", "2026-05-21T06:00", tz=ZoneInfo("Pacific/Auckland")),
        ),
        (
            "created_at:hour",
            "2026-05-20T00:00Z",
            "1h Asia/Kolkata",
            CREATED.hours("2026-05-20T05:30", "2026-05-20T15:00", tz=ZoneInfo("Asia/Kolkata")),
        ),
        # numbers make bins, values make other parts; a column id can contain colons
        ("score:1,3", None, None, Col.number("score").bins(1, 3).with_rest("no value")),
        ("a:b:-0.5, 1000", None, None, Col.number("a:b").bins(-0.5, 1000).with_rest("no value")),
        ("a:b:day", "1d", None, Col.date("a:b").days("2026-05-19", NOW, tz="UTC")),
        ("tags:2024, 2025 ", None, None, Col.collection("tags").values(["2024", "2025"])),
        ("year:2024", None, None, Col.text("year").values(["2024"]).with_rest("other")),
        ("done", None, None, Col.boolean("done").values().with_rest("no value")),
        ("c:d", None, None, Col.boolean("c:d").values().with_rest("no value")),
        # a value can have the label of the rest
        ("year:other", None, None, Col.text("year").values(["other"]).with_rest("(other)")),
        ("year:other,(other)", None, None, Col.text("year").values(["other", "(other)"]).with_rest("((other))")),
    ],
)
def test_options_name_a_period_and_parts(by, since, until, expected):
    """Times are those of the zone, here after the end, and UTC by default. The end is now by default."""
    until, _, tz = (until or "").partition(" ")
    period, parts = read_period(NOW, COLUMNS, by=by, since=since, until=until or None, tz=tz or "UTC")
    assert (period, parts) == (expected if isinstance(expected, tuple) else (ALWAYS, expected))
    assert parts is None or (dict(parts), parts.rest) == (dict(expected), expected.rest)


# ---- a count of 0 --------------------------------------------------------------------------------------------------

SCROE = "Warning: the count is 0, and there is no column 'scroe'; did you mean score?\n"
SCROE += "galileo-sessions explain PROJECT --where ... shows what each condition counts"


@pytest.mark.parametrize(
    ("responses", "arguments", "err"),
    [
        ([], f"{A} {B} -w 'scroe > 3'", f"2 projects counted, 0 sessions\n{SCROE}"),
        ([], f"{A} {EMPTY} -w 'scroe > 3'", f"2 projects counted, 0 sessions\n{SCROE}"),
        (
            [],
            f"{EMPTY} -w 'scroe > 3'",
            "1 project counted, 0 sessions\n"
            f"Warning: the count is 0, and project {EMPTY} lists no columns: it has no sessions, or its id is wrong",
        ),
        (
            [],
            f"{A} --by craeted_at:day --since 3d",
            "1 project counted, 0 sessions\nWarning: the count is 0, and ...; did you mean created_at?\ngalileo-...",
        ),
        # the columns of the parts are checked, although the rest has all sessions
        ([], f"{A} --by scroe:day --since 2d", f"1 project counted, 0 sessions\n{SCROE}"),
        ([], f"{A} --by score:4.5,5 -w 'score == 4.4'", "1 project counted (4 requests), ... sessions"),
        # a filter that fits needs no explanation, and with -q, there is none
        ([], f"{A} {B} -w 'score > 9e9'", "2 projects counted, 0 sessions"),
        ([], f"{A} -w 'score > 3'", "1 project counted, 180 sessions"),
        ([], f"{A} -w 'scroe > 3' -q", ""),
        ([404], f"{A} -w 'scroe > 3'", f"{A}: 404 ...\n0 of 1 project counted, 1 failed, 0 sessions"),
        # the explanation never turns a count into an error
        ([{"total_count": 0}, 404], f"{A} -w 'scroe > 3'", "1 project counted, 0 sessions"),
    ],
)  # fmt: skip
async def test_0_in_all_explains_itself(server, script, run, responses, arguments, err):  # noqa: PLR0917
    """Counts of 0 name a column that doesn't exist and the closest one."""
    server.strict = False
    script(*responses)
    done = await run(f"count {arguments}")
    assert done == leaves("failed" in err, err)._replace(out=done.out)


async def test_quiet_asks_for_no_explanation(run, serving):
    """With -q, one request is enough."""
    async with serving(http(body='{"total_count":0}')) as server:
        assert (await run(f"count {A} -w 'scroe > 3' -q")).status == 0
    assert len(server.requests) == 1


# ---- attempts, and how long they may take ----------------------------------------------------------------------------


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


@pytest.mark.parametrize("quiet", ["", "-q"])
async def test_an_outage_is_told_once(server, run, quiet):
    """On stderr, unless it shows only failures."""
    server.fail(503, seconds=60)
    done = await run(f"count {' '.join(MANY)} --timeout 1s {quiet}")
    assert (done.status, done.err.count("the service refuses all requests: only")) == (1, not quiet)


async def test_no_more_requests_at_once_than_allowed(run, serving):
    """By --concurrency."""
    at_once = AtOnce()
    async with serving(at_once):
        assert (await run(f"count {' '.join(MANY)} --concurrency 2")).status == 0
    assert at_once.most == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), (".5", 0.5), ("5s", 5), ("0.5m", 30), ("2m", 120), ("1h", 3600), ("1d", 86_400), ("4w", 2_419_200)],
)
def test_timeout_is_a_number_or_a_time(text, seconds):
    """In the units of --since, and in seconds."""
    assert read_seconds(click.Context(count), count.params[0], text) == seconds


async def test_timeout_is_for_all_of_it(run, serving):
    """Projects that aren't counted by the timeout are failures."""
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
async def test_timeout_is_also_for_what_comes_before(run, serving, arguments):
    """For the lists of projects and log streams, and for columns, too."""
    async with serving(slow_after(0)):
        done = await run(f"count {arguments} --timeout 0.3")
    assert (done.status, "--timeout" in done.err) == (1, True)


async def test_timeout_is_one_for_all_steps(run, serving):
    """What finding a name took is missing for the count."""
    listed = json.dumps({"projects": [{"id": A, "name": "bot"}], "next_starting_token": None})

    async def behave(index, writer):
        await asyncio.sleep(1 if index == 1 else 1.5)
        writer.write(http(body=listed if index == 1 else '{"total_count":1}'))

    async with serving(behave):
        done = await run("count bot --timeout 2")
    assert (done.status, "DeadlineExceededError" in done.out) == (1, True)
