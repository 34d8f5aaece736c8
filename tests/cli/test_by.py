"""`count --by` counts by days, bins or values: a chart on a terminal, rows for programs."""

import csv
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import click
import pytest
from cli.processes import WHERE, objects
from support.clients import COUNTS, IDS, SESSIONS
from support.shown import check

from galileo_sessions import Col, ColumnCatalog, matches
from galileo_sessions.cli.options import read_period
from galileo_sessions.cli.wording import Refused
from galileo_sessions.filters.partitions import Partition

MONTHS = ("--by", "created_at:month", "--since", "2026-04-01", "--until", "2026-07-01")
BINS = "score:1,3"
EMPTY = str(UUID(int=1, version=4))
NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
CREATED = Col.date("created_at")


def read(by=None, since=None, until=None, tz="UTC", *, now=NOW, columns=None):
    """The period and the parts that the options name."""
    return read_period(now, columns or ColumnCatalog([]), by=by, since=since, until=until, tz=tz)


def parts(*options, **more) -> Partition:
    """The parts alone."""
    return read(*options, **more)[1]


def expected(project: str) -> dict[str, int]:
    """What the sample has in each month."""
    parts = CREATED.months("2026-04-01", "2026-07-01", tz="UTC")
    own = [session for session in SESSIONS if session["project_id"] == project]
    return {label: sum(matches(part, session) for session in own) for label, part in parts.items()}


async def test_parts_as_rows_for_programs(server, run):
    """CSV and JSON have a row for each part with its label, in order; the total is on stderr."""
    counts = expected(IDS[0])
    status, out, err = await run("count", IDS[0], *MONTHS, "--format", "csv")
    assert (status, err) == (0, f"1 project counted (4 requests), {COUNTS[IDS[0]]} sessions\n")
    header, *rows = csv.reader(out.splitlines())
    assert header == ["project_id", "label", "total_count", "error"]
    assert rows == [[IDS[0], label, str(count), ""] for label, count in counts.items()]
    server.fail_next(503)  # the first count comes last, and still stands first
    _, out, _ = await run("count", *IDS[:2], *MONTHS, "--format", "json")
    assert objects(out) == [
        {"project_id": project, "label": label, "total_count": count}
        for project in IDS[:2]
        for label, count in expected(project).items()
    ]


async def test_parts_as_a_table_in_a_pipe(server, run):
    """A pipe gets labels, counts and shares without bars; the filter applies to all parts."""
    status, out, _ = await run("count", IDS[0], *MONTHS)
    head, project, *rows = out.splitlines()
    assert (status, head.split()) == (0, ["project", "id", "sessions", "share"])
    assert project.split() == [IDS[0], str(COUNTS[IDS[0]])]
    assert [row.split() for row in rows] == [
        [label, str(n), f"{n / COUNTS[IDS[0]]:.1%}"] for label, n in expected(IDS[0]).items()
    ]
    await run("count", IDS[0], "--by", BINS, "--where", WHERE, "--concurrency", "1")
    assert server.requests[-1].where == (Col("score") > 3) & Col.number("score").gte(3)


async def test_charts_on_a_terminal(show, server):
    """Each project has its total and a chart, all with the same scale; failures are named."""
    server.fail_next(200, body={"total_count": 312})
    server.fail_next(400)
    status, written = await show("count", *IDS[:2], *MONTHS, "--concurrency", "1")
    assert status == 1
    check("by_several.txt", written)


async def test_a_part_that_fails_is_told_with_its_label(server, run):
    """A part that fails is named in each format and on stderr; the other parts are counted."""
    for output in ("table", "csv", "json"):
        server.fail_next(200, body={"total_count": 312})  # the whole
        server.fail_next(404)
        status, out, err = await run("count", IDS[0], *MONTHS, "--concurrency", "1", "--format", output)
        assert status == 1
        assert err.startswith(f"{IDS[0]} 2026-04: 404 Not Found")
        first = out.splitlines()[output != "json"]
        assert {
            "table": out.splitlines()[2].split() == ["2026-04", "NotFoundError"],
            "csv": first.startswith(f'{IDS[0]},2026-04,,"NotFoundError: 404 '),
            "json": '"label": "2026-04", "error": {"type": "NotFoundError"' in first,
        }[output]


async def test_the_rest_of_a_project_has_a_label(server, run):
    """Bins and booleans end with the sessions that have no value, so that parts add up to the project's sessions."""
    for by, labels in (
        ("score:1,3", ["below 1", "1 to 3", "3 and above", "no value"]),
        ("is_complete", ["true", "false", "no value"]),
        ("external_id:chat-43521,chat-1", ["chat-43521", "chat-1", "other"]),
    ):
        status, out, err = await run("count", IDS[0], "--by", by, "--format", "json")
        rows = objects(out)
        assert (status, [row["label"] for row in rows]) == (0, labels)
        assert sum(row["total_count"] for row in rows) == COUNTS[IDS[0]]
        assert err.endswith(f" requests), {COUNTS[IDS[0]]} sessions\n")
    missing = sum("score" not in session for session in SESSIONS if session["project_id"] == IDS[0])
    assert f"no value,{missing},\n" in (await run("count", IDS[0], "--by", BINS, "-f", "csv")).out


async def test_a_session_can_be_in_several_parts(server, run):
    """A session can have several tags. The total is the number of sessions, not the sum of the parts."""
    status, out, err = await run("count", IDS[0], "--by", "tags:support,vip,beta")
    _, project, *parts = [line.split() for line in out.splitlines()]
    assert (status, project) == (0, [IDS[0], str(COUNTS[IDS[0]])])
    assert [label for label, *_ in parts] == ["support", "vip", "beta"]
    assert sum(int(number) for _, number, _ in parts) > COUNTS[IDS[0]]
    assert [share for *_, share in parts] == [f"{int(number) / COUNTS[IDS[0]]:.1%}" for _, number, _ in parts]
    assert err == f"1 project counted (4 requests), {COUNTS[IDS[0]]} sessions\n"
    rows = objects((await run("count", IDS[0], "--by", "tags:support,vip,beta", "-f", "json")).out)
    assert rows[0] == {"project_id": IDS[0], "total_count": COUNTS[IDS[0]]}
    assert [row["label"] for row in rows[1:]] == ["support", "vip", "beta"]
    rows = (await run("count", EMPTY, IDS[0], "--by", "tags:vip", "-f", "csv")).out.splitlines()
    assert rows[1:4] == [f"{EMPTY},,0,", f"{EMPTY},vip,0,", f"{IDS[0]},,{COUNTS[IDS[0]]},"]


async def test_a_whole_or_a_part_that_fails_leaves_no_rest(server, run):
    """If the count of the project's sessions fails, or that of a part, the rest is unknown."""
    for before in (0, 1, 3):
        server.fail_next(200, body={"columns": [{"id": "score", "filter_type": "number"}]})
        for _ in range(before):
            server.fail_next(200, body={"total_count": 1})
        server.fail_next(404)
        done = await run("count", IDS[0], "--by", BINS, "--format", "json", "--concurrency", "1")
        assert (done.status, "no value" in done.out, done.out.count('"error"')) == (1, False, 1)


async def test_a_project_without_sessions_does_not_decide_the_parts(server, run):
    """--by uses the columns of the first project that has some."""
    for projects in ([EMPTY, IDS[0]], [IDS[0], EMPTY]):
        status, out, _ = await run("count", *projects, "--by", "is_complete", "-f", "json")
        assert (status, [row["project_id"] for row in objects(out)]) == (0, [p for p in projects for _ in range(3)])
    done = await run("count", EMPTY, "--by", "is_complete")
    assert (done.status, "because the project has no columns" in done.err) == (2, True)
    many = [str(UUID(int=number, version=4)) for number in range(1, 31)]
    done = await run("count", *many, IDS[0], "--by", "is_complete", "-f", "json")
    assert (done.status, len(objects(done.out))) == (0, 31 * 3)
    done = await run("count", EMPTY, "--by", BINS, "-f", "json")
    assert (done.status, [row["total_count"] for row in objects(done.out)]) == (0, [0] * 4)


async def test_the_parts_come_from_the_scope(server, run):
    """A column that an experiment lacks makes no parts of it, although the project has it."""
    done = await run("count", IDS[0], "--by", "is_complete", "--experiment", EMPTY)
    assert (done.status, "because the project has no columns" in done.err) == (2, True)


async def test_the_parts_come_from_the_project_that_has_the_column(server, run):
    """Wherever it stands: after one that can't be read, and after one that lacks the column."""
    lacking = {"columns": [{"id": "input", "filter_type": "text"}]}
    for first, status in ((404, 1), (403, 1), (200, 0)):
        server.fail_next(first, body=lacking)
        if status:
            server.fail_next(200, body={"columns": [{"id": "is_complete", "filter_type": "boolean"}]})
            server.fail_next(first)
        done = await run("count", *IDS[:2], "--by", "is_complete", "-f", "json", "--concurrency", "1")
        labels = [row.get("label") for row in objects(done.out) if row["project_id"] == IDS[1]]
        assert (done.status, labels) == (status, ["true", "false", "no value"])
        server.recover()
    for _ in range(11):
        server.fail_next(200, body=lacking)
    done = await run("count", *IDS, "--by", "is_completed")
    assert (done.status, "there is no column 'is_completed'" in done.err) == (2, True)
    assert "score" not in (await run("columns", IDS[0])).out, "the eleventh answer is left"
    server.fail_next(404)
    done = await run("count", IDS[0], "--by", "is_complete")
    assert (done.status, done.err.startswith(f"Error: {IDS[0]}: 404")) == (1, True)


# ---- periods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("12h", "6h", datetime(2026, 5, 19, 22, 30, tzinfo=UTC), datetime(2026, 5, 20, 4, 30, tzinfo=UTC)),
        ("4w", "today", datetime(2026, 4, 22, 10, 30, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC)),
    ],
)
def test_a_period_needs_no_parts(since, until, start, end):
    """Without --by, --since and --until filter created_at; how long ago is exact."""
    assert read(None, since, until) == (CREATED.gte(start) & CREATED.lt(end), None)


async def test_a_period_is_counted(server, run):
    """--since and --until apply to a count and to bins; --until alone has no beginning."""
    june = CREATED.gte("2026-06-01T00:00:00Z") & CREATED.lt("2026-07-01T00:00:00Z")
    options = ("--since", "2026-06-01", "--until", "2026-07-01")
    _, out, _ = await run("count", IDS[0], *options, "--format", "json")
    assert objects(out)[0]["total_count"] == expected(IDS[0])["2026-06"]
    await run("count", IDS[0], *options, "--by", "score:3", "--concurrency", "1")
    first, whole, below, _ = server.requests
    assert first.where == whole.where == june
    assert below.where == june & (Col("score") < 3)
    await run("count", IDS[0], "--until", "2026-06-01")
    assert server.requests[-1].where == CREATED.lt("2026-06-01T00:00:00Z")


# ---- the options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        (("created_at:week", "yesterday", None, "UTC"), "2026-05-19", NOW),
        (("created_at:month", "60d", "today", "UTC"), "2026-03-01", "2026-05-20"),
        (("created_at:day", "1d", "2026-05-21T06:00", "Pacific/Auckland"), "2026-05-19", "2026-05-21T06:00"),
        (("created_at:hour", "2026-05-20T00:00Z", "1h", "Asia/Kolkata"), "2026-05-20T05:30", "2026-05-20T15:00"),
    ],
)
def test_times_can_be_relative(options, start, end):
    """How long ago means the beginning of a unit, so the first part is whole. By default, the end is now."""
    by, _, _, tz = options
    make = getattr(CREATED, f"{by.partition(':')[2]}s")
    assert parts(*options) == make(start, end, tz=ZoneInfo(tz))


TYPES = {"score": "number", "tags": "collection", "year": "text", "done": "boolean", "made": "date"}
COLUMNS = ColumnCatalog.of({"a:b": "number", **TYPES})


def test_edges_make_bins():
    """Numbers separated by commas make bins, spaces aside; values make other parts. A column id can contain colons."""
    for by, partition in (
        ("score:1,3", Col.number("score").bins(1, 3)),
        ("a:b:-0.5, 1000", Col.number("a:b").bins(-0.5, 1000)),
        ("a:b:day", Col.date("a:b").days("2026-05-19", NOW, tz="UTC")),
        ("tags:2024, 2025 ", Col.collection("tags").values(["2024", "2025"])),
        ("year:2024", Col.text("year").values(["2024"])),
        ("done", Col.boolean("done").values()),
    ):
        since = "1d" if "day" in by else None
        assert dict(parts(by, since, columns=COLUMNS)) == dict(partition)


def test_a_rest_has_a_label_of_its_own():
    """A value can be `other`; then the rest is in brackets. A boolean column ends with the sessions without a value."""
    for by, rest in (("a:x", "other"), ("a:other", "(other)"), ("a:other,(other)", "((other))"), ("done", "no value")):
        assert read(by, columns=ColumnCatalog.of(a="text", done="boolean"))[1].rest == rest


async def test_zeros_with_a_rest_explain_themselves(server, run):
    """If no session is in a part, the columns of the parts are checked, although the rest has all sessions."""
    server.strict = False
    done = await run("count", IDS[0], "--by", "scroe:day", "--since", "2d")
    assert (done.status, "Warning: the count is 0, and " in done.err, "did you mean score?" in done.err) == (0, 1, 1)
    done = await run("count", IDS[0], "--by", "score:4.5,5", "-w", "score == 4.4")
    assert (done.status, "Warning" in done.err) == (0, False)


EMPTY_LABELS = ("tags:", "tags:vip,", "tags: ,vip", "score:1,,3", "done:")


@pytest.mark.parametrize(
    ("by", "since", "tz", "error", "message"),
    [
        (BINS, "2027-01-01", "UTC", Refused, "--since must be before --until and in the past, got 2027-01-01"),
        ("a:week", None, "UTC", click.UsageError, "--by a:week needs --since, as in --by a:week --since 30d."),
        ("done:maybe", None, "UTC", click.UsageError, "such as created_at:day (or hour, week, month), score:1,3,"),
        ("made", None, "UTC", click.UsageError, "--by 'made' must be a column and its parts, such as created_at:day"),
        ("score", None, "UTC", click.UsageError, "--by 'score' must be a column and its parts, such as created_at:day"),
        ("score:1,x", None, "UTC", click.UsageError, "--by 'score:1,x' must be a column and its parts"),
        *[(by, None, "UTC", click.UsageError, f"--by {by!r} must be a column and its parts") for by in EMPTY_LABELS],
        ("scroe", None, "UTC", Refused, "--by: there is no column 'scroe'. Did you mean score?"),
        ("score:3,1", None, "UTC", Refused, "--by: the edges must ascend, but 1 comes after 3"),
        ("created_at:day", "30s", "UTC", Refused, "--since: '30s' must be a day such as 2026-05-01, a time such as"),
        ("created_at:day", "1d", "Mars", Refused, "--tz: unknown time zone 'Mars'. Use, for example, "),
    ],
)
def test_a_mistake_in_the_parts_is_explained(by, since, tz, error, message):
    """An error about the parts names the option."""
    with pytest.raises(error) as raised:
        read(by, since, None, tz, columns=COLUMNS)
    assert message in str(raised.value)
