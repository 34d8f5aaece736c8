"""`count --by` counts by days, bins or values: a chart on a terminal, rows for programs."""

import csv
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import click
import pytest
from support.processes import COUNTS, IDS, SESSIONS, WHERE, objects
from support.terminal import check

from galileo_sessions import Col, FilterError, FilterParseError, matches
from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.parts import read_partition

MONTHS = ("--by", "created_at:month", "--since", "2026-04-01", "--until", "2026-07-01")
BINS = 'Col.number("score").bins(1, 3)'
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
    """Labels and counts, without bars; the filter holds for all of them."""
    status, out, _ = await run("count", IDS[0], *MONTHS)
    *rows, total = out.splitlines()
    assert status == 0
    assert [tuple(row.split()) for row in rows] == [(label, str(n)) for label, n in expected(IDS[0]).items()]
    assert total == f"total    {COUNTS[IDS[0]]}"
    _, out, _ = await run("count", *IDS[:2], *MONTHS)
    assert out.splitlines()[0] == f"{IDS[0]}  {expected(IDS[0])['2026-04']:>14}  2026-04"
    await run("count", IDS[0], "--by", BINS, "--where", WHERE)
    assert server.requests[-1].where == (Col("score") > 3) & Col.number("score").gte(3)


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_one_project_is_a_chart_on_a_terminal(show, server):
    """A bar for each part, to the width of the terminal."""
    status, written = await show("count", IDS[0], *MONTHS)
    assert status == 0
    check("by.txt", written)


async def test_several_projects_have_sparklines_on_a_terminal(show, server):
    """A line each, with the project's total; what failed is counted."""
    server.fail_next(404)
    days = ("--by", "created_at:day", "--since", "2026-04-01", "--until", "2026-07-01")
    status, written = await show("count", *IDS[:3], *days, "--concurrency", "1")
    assert status == 1
    check("by_several.txt", written)


async def test_a_part_that_fails_is_told_with_its_label(server, run):
    """In the table, in CSV and on stderr; the other parts are counted."""
    for output in ("table", "csv", "json"):
        server.fail_next(404)
        status, out, err = await run("count", IDS[0], *MONTHS, "--concurrency", "1", "--format", output)
        assert status == 1
        assert err.startswith(f"{IDS[0]} 2026-04: 404 Not Found")
        first = out.splitlines()[output == "csv"]
        assert {
            "table": first.split() == ["2026-04", "failed"],
            "csv": first.startswith(f'{IDS[0]},2026-04,,"NotFoundError: 404 '),
            "json": '"label": "2026-04", "error": {"type": "NotFoundError"' in first,
        }[output]


async def test_projects_of_a_file_have_all_parts(server, run, tmp_path):
    """The number of counts is known before the first."""
    (tmp_path / "ids").write_text("\n".join(IDS[:2]))
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"), *MONTHS, "--format", "json")
    assert (status, len(out.splitlines())) == (0, 6)
    assert err.startswith("6 of 6 counted")


async def test_parts_are_checked_before_they_are_counted(server, run):
    """--check holds the column of --by against the project's."""
    status, out, err = await run("count", IDS[0], "--check", "--by", 'Col.number("scroe").bins(1)')
    assert (status, out, server.requests) == (2, "", [])
    assert "did you mean score?" in err


# ---- the options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        (("created_at:day", "2d", None, None), "2026-05-18", NOW),
        (("created_at:day", "2026-05-01", "today", None), "2026-05-01", "2026-05-20"),
        (("created_at:day", "yesterday", "now", None), "2026-05-19", NOW),
        (("created_at:hour", "3h", None, None), "2026-05-20T07:00", NOW),
        (("created_at:week", "2w", "1w", None), "2026-05-04", "2026-05-11"),
        (("created_at:month", "60d", "today", None), "2026-03-01", "2026-05-20"),
        (("created_at:day", "today", "now", "Pacific/Auckland"), "2026-05-20", NOW),
        (("created_at:day", "1d", "2026-05-21T06:00", "Pacific/Auckland"), "2026-05-19", "2026-05-21T06:00"),
        (("created_at:hour", "2026-05-20T00:00Z", "1h", "Asia/Kolkata"), "2026-05-20T05:30", "2026-05-20T15:00"),
    ],
)
def test_times_may_be_relative(options, start, end):
    """They begin with their unit, so that the first part is a whole one; the end is now unless given."""
    by, _, _, tz = options
    partition = read_partition(*options, NOW)
    make = getattr(CREATED, f"{by.partition(':')[2]}s")
    assert partition == make(start, end, tz=ZoneInfo(tz or "UTC"))
    assert repr(partition).endswith(f"tz={tz or 'UTC'!r})")


def test_a_column_id_may_have_colons_and_a_call_has_its_own_times():
    """The unit is what follows the last colon; an expression is what a partition prints."""
    assert read_partition("a:b:day", "1d", None, None, NOW) == Col.date("a:b").days(
        NOW.date() - timedelta(days=1), NOW, tz="UTC"
    )
    assert read_partition(f" {BINS}", None, None, None, NOW) == Col.number("score").bins(1, 3)


@pytest.mark.parametrize(
    ("by", "since", "tz", "error", "message"),
    [
        (BINS, "1d", None, click.UsageError, "--since, --until and --tz go with --by COLUMN:UNIT"),
        ("created_at:day", None, None, click.UsageError, "needs --since, such as 30d or 2026-05-01"),
        ("created_at", "1d", None, click.UsageError, "'created_at' is neither COLUMN:UNIT"),
        (":day", "1d", None, click.UsageError, "':day' is neither COLUMN:UNIT"),
        ("created_at:fortnight", "1d", None, click.UsageError, "hour, day, week, month"),
        ("created_at:day", "30m", None, Refused, "--since '30m' is neither a date nor an ISO 8601 time"),
        ("created_at:day", "999999w", None, Refused, "--since '999999w' is too far away"),
        (
            "created_at:day",
            "2027-01-01",
            None,
            Refused,
            "--since and --until go backwards, from 2027-01-01 to 2026-05-20",
        ),
        ("created_at:day", "1d", "Mars", Refused, "--tz 'Mars' is no time zone. Write its name, such as Europe/Berlin"),
        (
            "created_at:day",
            "2026-02-30",
            None,
            Refused,
            "--since '2026-02-30' is in no calendar. Write the like of 2026-05-01",
        ),
        ("created_at:day", "now", None, Refused, "--since and --until are the same time; for one day"),
        ("created_at:day", "0001-01-01T00:00+14:00", None, Refused, "is too far away"),
        ("created_at:hour", "600w", None, FilterError, "10,000 is the most"),
        ("Col('a').eq(1)", None, None, FilterParseError, "is a filter, not parts to count by"),
    ],
)
def test_a_mistake_in_the_parts_is_explained(by, since, tz, error, message):
    """In the words of the options."""
    with pytest.raises(error) as raised:
        read_partition(by, since, None, tz, NOW)
    assert message in str(raised.value)


async def test_a_mistake_in_the_parts_ends_with_status_2(server, run):
    """It names the option; nothing was counted."""
    status, out, err = await run("count", IDS[0], "--by", 'Col.number("score").bins(3, 1)')
    assert (status, out, server.requests) == (2, "", [])
    assert err.startswith("Error: --by: Col.number('score').bins(3, 1): edges ascend")
    for option, written in (("--since", "1month"), ("--until", "30 days"), ("--since", "2026")):
        times = {"--since": "3d", option: written}
        status, out, err = await run("count", IDS[0], "--by", "created_at:day", *sum(times.items(), ()))
        assert (status, out) == (2, "")
        assert f"Error: {option} {written!r} is neither a date nor an ISO 8601 time" in err
        assert "12h, 30d, 8w" in err
    status, _, err = await run("count", IDS[0], "--since", "3d")
    assert status == 2
    assert "go with --by COLUMN:UNIT" in err


@pytest.mark.parametrize(
    ("unit", "since", "first"),
    [("month", "yesterday", "2026-05"), ("week", "today", "2026-05-18"), ("hour", "today", "2026-05-20 00:00")],
)
def test_yesterday_begins_with_a_whole_part(unit, since, first):
    """As other relative times do; a date is taken as it stands."""
    partition = read_partition(f"created_at:{unit}", since, None, None, NOW)
    whole = read_partition(
        f"created_at:{unit}", {"month": "2026-05-01", "week": "2026-05-18", "hour": "2026-05-20"}[unit], None, None, NOW
    )
    assert partition == whole
    assert next(iter(partition)).startswith(first)


async def test_an_empty_file_of_ids_is_no_success(server, run, tmp_path):
    """Whoever counts nothing hears of it; so does who wrote UTF-16."""
    ids = tmp_path / "ids.txt"
    for content, problem in (
        (b"# none\n", "has no project id"),
        (IDS[0].encode("utf-16"), "is UTF-16. Save it as UTF-8"),
    ):
        ids.write_bytes(content)
        status, _, err = await run("count", "--projects-from", str(ids))
        assert (status, f"Error: {ids} {problem}" in err, server.requests) == (2, True, [])


async def test_a_filter_tree_may_begin_with_a_byte_order_mark(server, run, tmp_path):
    """As some editors write it; a whole query is told from a filter."""
    tree = tmp_path / "tree.json"
    written = '{"filter": {"type": "number", "column_id": "score", "operator": "gt", "value": 3}}'
    tree.write_text(written, encoding="utf-8-sig")
    assert (await run("explain", "--where-json", str(tree))).status == 0
    tree.write_text(f'{{"filter_tree": {written}}}')
    status, _, err = await run("explain", "--where-json", str(tree))
    assert (status, "this is a whole query. Its filter_tree alone is a filter" in err) == (2, True)


async def test_a_terminal_that_knows_no_bars_has_none(show, server):
    """Where the encoding lacks them, the counts alone are written."""
    status, written = await show("count", IDS[0], *MONTHS, encoding="latin-1")
    assert status == 0
    assert "2026-04  104\r\n" in written
    assert "u2588" not in written


async def test_a_full_disk_is_told(show):
    """What can't be written is an error of the system, and ends with status 1."""
    with open("/dev/full", "w") as full:
        status, written = await show("explain", "--where", 'Col("score") > 3', stdout=full)
    assert (status, "Error: No space left on device" in written) == (1, True)
