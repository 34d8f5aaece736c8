"""`count --by` counts by days, bins or values: a chart on a terminal, rows for programs."""

import csv
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import pytest
from support.processes import COUNTS, IDS, SESSIONS, WHERE, objects
from support.terminal import check

from galileo_sessions import Col, matches
from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.parts import read_partition

MONTHS = ("--by", "created_at:month", "--since", "2026-04-01", "--until", "2026-07-01")
BINS = "score:1,3"
NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
CREATED = Col.date("created_at")


def expected(project: str) -> dict[str, int]:
    """What the sample has in each month."""
    parts = CREATED.months("2026-04-01", "2026-07-01", tz="UTC")
    own = [session for session in SESSIONS if session["project_id"] == project]
    return {label: sum(matches(part, session) for session in own) for label, part in parts.items()}


async def test_parts_as_rows_for_programs(server, run):
    """CSV and JSON have a row for each part with its label, in order; the total is on stderr."""
    counts = expected(IDS[0])
    status, out, err = await run("count", IDS[0], *MONTHS, "--format", "csv")
    assert (status, err) == (0, f"3 of 3 counted, total {COUNTS[IDS[0]]}\n")
    header, *rows = csv.reader(out.splitlines())
    assert header == ["project_id", "label", "total_count", "error"]
    assert rows == [[IDS[0], label, str(count), ""] for label, count in counts.items()]
    server.fail_next(503)  # the first count comes last
    _, out, _ = await run("count", *IDS[:2], *MONTHS, "--format", "json")
    assert objects(out) == [
        {"project_id": project, "label": label, "total_count": count}
        for project in IDS[:2]
        for label, count in expected(project).items()
    ]


async def test_parts_as_a_table_in_a_pipe(server, run):
    """A pipe gets labels and counts without bars; the filter applies to all parts."""
    status, out, _ = await run("count", IDS[0], *MONTHS)
    project, *rows = out.splitlines()
    assert status == 0
    assert project.split() == [IDS[0], str(COUNTS[IDS[0]])]
    assert [tuple(row.split()) for row in rows] == [(label, str(n)) for label, n in expected(IDS[0]).items()]
    await run("count", IDS[0], "--by", BINS, "--where", WHERE)
    assert server.requests[-1].where == (Col("score") > 3) & Col.number("score").gte(3)


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_one_project_is_a_chart_on_a_terminal(show, server):
    """On a terminal, each part has a bar."""
    status, written = await show("count", IDS[0], *MONTHS)
    assert status == 0
    check("by.txt", written)


async def test_several_projects_have_a_chart_each(show, server):
    """Each project has its total and a chart; failures are named."""
    server.fail_next(400)
    status, written = await show("count", *IDS[:2], *MONTHS, "--concurrency", "1")
    assert status == 1
    check("by_several.txt", written)


async def test_a_part_that_fails_is_told_with_its_label(server, run):
    """A part that fails is named in each format and on stderr; the other parts are counted."""
    for output in ("table", "csv", "json"):
        server.fail_next(404)
        status, out, err = await run("count", IDS[0], *MONTHS, "--concurrency", "1", "--format", output)
        assert status == 1
        assert err.startswith(f"{IDS[0]} 2026-04: 404 Not Found")
        first = out.splitlines()[output != "json"]
        assert {
            "table": first.split() == ["2026-04", "failed"],
            "csv": first.startswith(f'{IDS[0]},2026-04,,"NotFoundError: 404 '),
            "json": '"label": "2026-04", "error": {"type": "NotFoundError"' in first,
        }[output]


async def test_projects_of_a_file_have_all_parts(server, run, tmp_path):
    """Each project of a file is counted by all parts."""
    (tmp_path / "ids").write_text("\n".join(IDS[:2]))
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"), *MONTHS, "--format", "json")
    assert (status, len(out.splitlines())) == (0, 6)
    assert err.startswith("6 of 6 counted")


async def test_parts_are_checked_before_they_are_counted(server, run):
    """--check compares the column of --by with the project's."""
    status, out, err = await run("count", IDS[0], "--check", "--by", "scroe:1")
    assert (status, out, server.requests) == (2, "", [])
    assert "did you mean score?" in err


# ---- the options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        (("created_at:day", "2d", None, None), "2026-05-18", NOW),
        (("created_at:day", "2026-05-01", "today", None), "2026-05-01", "2026-05-20"),
        (("created_at:week", "yesterday", None, None), "2026-05-19", NOW),
        (("created_at:hour", "3h", None, None), "2026-05-20T07:00", NOW),
        (("created_at:week", "2w", "1w", None), "2026-05-04", "2026-05-11"),
        (("created_at:month", "60d", "today", None), "2026-03-01", "2026-05-20"),
        (("created_at:day", "today", None, "Pacific/Auckland"), "2026-05-20", NOW),
        (("created_at:day", "1d", "2026-05-21T06:00", "Pacific/Auckland"), "2026-05-19", "2026-05-21T06:00"),
        (("created_at:hour", "2026-05-20T00:00Z", "1h", "Asia/Kolkata"), "2026-05-20T05:30", "2026-05-20T15:00"),
    ],
)
def test_times_can_be_relative(options, start, end):
    """How long ago means the beginning of a unit, so the first part is whole. By default, the end is now."""
    by, _, _, tz = options
    make = getattr(CREATED, f"{by.partition(':')[2]}s")
    assert read_partition(*options, NOW) == make(start, end, tz=ZoneInfo(tz or "UTC"))


@pytest.mark.parametrize(("now", "hours"), [("03:30+01:00", "2"), ("02:30+01:00", "1"), ("02:30+02:00", "0")])
def test_hours_ago_are_hours_where_clocks_change(now, hours):
    """Clocks in Berlin show the hour from 2 to 3 twice that night; `--since 2h` means two hours all the same."""
    moment = datetime.fromisoformat(f"2026-10-25T{now}").astimezone(ZoneInfo("Europe/Berlin"))
    partition = read_partition("created_at:hour", f"{hours}h", "2026-10-26", "Europe/Berlin", moment)
    assert next(iter(partition.values())).children[0].value == datetime(2026, 10, 25, 0, tzinfo=UTC)


def test_edges_make_bins():
    """Numbers separated by commas make bins; a column id can contain colons."""
    for by, partition in (
        ("score:1,3", Col.number("score").bins(1, 3)),
        ("a:b:-0.5, 1e3", Col.number("a:b").bins(-0.5, 1000)),
        ("a:b:day", Col.date("a:b").days("2026-05-19", NOW, tz="UTC")),
    ):
        since = "1d" if "day" in by else None
        assert read_partition(by, since, None, None, NOW) == partition


@pytest.mark.parametrize(
    ("by", "since", "tz", "error", "message"),
    [
        (BINS, "1d", None, click.UsageError, "--since, --until and --tz go with --by COLUMN:UNIT"),
        ("created_at:day", None, None, click.UsageError, "needs --since, such as 30d or 2026-05-01"),
        (
            "created_at",
            None,
            None,
            click.UsageError,
            "--by 'created_at' must be COLUMN:UNIT with hour, day, week, month",
        ),
        ("Col('a').eq(1)", None, None, click.UsageError, "or COLUMN:EDGE,EDGE,... with numbers, such as score:0,1,2"),
        (":day", "1d", None, Refused, "--by: a column id can't be empty"),
        ("score:3,1", None, None, Refused, "--by: Col.number('score').bins(...): the edges must ascend"),
        ("score:nan", None, None, Refused, "Decimal('NaN') is not a number that JSON can carry"),
        ("created_at:day", "30s", None, Refused, "--since: '30s' must be a day such as 2026-05-01, a time such as"),
        (
            "created_at:day",
            "999999w",
            None,
            Refused,
            "today, yesterday, or minutes, hours, days or weeks ago such as 30m",
        ),
        ("created_at:day", "2026-02-30", None, Refused, "--since: '2026-02-30' is not an ISO 8601 time"),
        ("created_at:day", "2027-01-01", None, Refused, "end must be after start, got 2027-01-01 00:00:00+00:00"),
        ("created_at:day", "1d", "Mars", Refused, "--tz: unknown time zone 'Mars'. Use, for example,"),
        ("created_at:hour", "600w", None, Refused, "at most 10,000 parts"),
    ],
)
def test_a_mistake_in_the_parts_is_explained(by, since, tz, error, message):
    """An error about the parts names the option."""
    with pytest.raises(error) as raised:
        read_partition(by, since, None, tz, NOW)
    assert message in str(raised.value)


async def test_a_mistake_in_the_parts_ends_with_status_2(server, run):
    """A mistake in the parts ends the command with status 2, before a request."""
    for options, message in (
        (("--by", "score:3,1"), "Error: --by: Col.number('score').bins(...): the edges must ascend"),
        (("--by", "created_at:day", "--since", "3d", "--until", "30 days"), "Error: --until: '30 days' must be a day"),
        (("--since", "3d"), "go with --by COLUMN:UNIT"),
    ):
        status, out, err = await run("count", IDS[0], *options)
        assert (status, out, server.requests) == (2, "", [])
        assert message in err
