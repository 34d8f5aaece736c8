"""`count_by`, and how counts and reports are shown."""

import csv
import io
import pickle
import re
from collections import Counter
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from support.clients import client
from support.processes import COUNTS, IDS, SESSIONS
from support.projects import ids, numbered
from support.servers import PROJECT, http

import galileo_sessions as gs
from galileo_sessions import Col, CountsBy, CountsTable
from galileo_sessions.display import bar, chart

CREATED = Col.date("created_at")
YEAR = CREATED.days("2025-07-15", "2026-07-15", tz="Europe/Berlin")


@pytest.fixture
async def galileo(local_galileo):
    """A client of a server that holds the sample."""
    async with client(local_galileo.url, api_key=local_galileo.api_key) as made:
        yield made


@pytest.mark.thorough
async def test_each_session_is_in_one_of_365_days(galileo, local_galileo):
    """The days of a year have what their dates say, and add up to the project."""
    counts = await galileo.count_by(IDS[0], YEAR)
    assert isinstance(counts, CountsBy)
    assert (len(counts), counts.total, [*counts]) == (365, COUNTS[IDS[0]], [*YEAR])
    assert len(local_galileo.requests) == 366  # and the year
    times = [session["created_at"] for session in SESSIONS if session["project_id"] == IDS[0]]
    days = Counter(str(datetime.fromisoformat(time).astimezone(ZoneInfo("Europe/Berlin")).date()) for time in times)
    assert {day: count for day, count in counts.items() if count} == days


async def test_where_and_scope_hold_for_all_parts(galileo, local_galileo):
    """The filter and the scope apply to each part."""
    where, bins = Col("input").contains("x"), Col.number("score").bins(3)
    counts = await galileo.count_by(IDS[0], bins, where)
    assert [*counts.values()] == [await galileo.count(IDS[0], where & part) for part in bins.values()]
    await galileo.count_by(IDS[0], bins, log_stream_id=PROJECT)
    assert local_galileo.requests[-1].log_stream_id == PROJECT


async def test_several_projects_give_a_table(galileo):
    """Several projects give a mapping from project id to counts, in the order of the projects."""
    bins = Col.number("score").bins(1, 2.5)
    table = await galileo.count_by([IDS[1], IDS[0], IDS[1].upper()], bins)
    assert isinstance(table, CountsTable)
    assert [*table] == [IDS[1], IDS[0]]
    assert table[IDS[0]] == await galileo.count_by(IDS[0], bins)
    assert (table.total, table.errors) == (sum(counts.total for counts in table.values()), ())
    assert table.rows() == [*table[IDS[1]].rows(), *table[IDS[0]].rows()]
    table.raise_for_errors()
    assert repr(table) == f"<CountsTable: 2 projects, total {table.total}>"
    head, *lines = str(table).splitlines()
    assert [cell.strip() for cell in head.split("  ") if cell] == ["total", *bins]
    assert [line.split() for line in lines] == [
        [project, str(counts.total), *map(str, counts.values())] for project, counts in table.items()
    ]
    assert IDS[0] in table._repr_html_()
    assert await galileo.count_by([], bins) == CountsTable({}, ())


async def test_any_mapping_of_filters_is_counted_by(galileo):
    """`count_by` takes any dict of filters. Its parts can overlap; the total counts each session once."""
    high = Col("score") > 3
    counts = await galileo.count_by(IDS[0], {"high": high, "all": gs.ALWAYS})
    assert counts == {"high": await galileo.count(IDS[0], high), "all": COUNTS[IDS[0]]}
    assert (counts.total, counts.rows()[1]["share"]) == (COUNTS[IDS[0]], 1.0)
    assert await galileo.count_by(IDS[0], {}) == {}


async def test_one_project_is_counted_whole_or_not_at_all(galileo, local_galileo):
    """The first error is raised, and its query has the label as its tag."""
    local_galileo.fail_next(200, body={"total_count": 9})
    local_galileo.fail_next(404)
    with pytest.raises(gs.NotFoundError) as raised:
        await galileo.count_by(IDS[0], YEAR, concurrency=1)
    assert raised.value.query.tag == "2025-07-15"
    assert len(local_galileo.requests) < 10


async def test_a_project_that_fails_is_not_in_the_table():
    """A project that fails isn't in the table; its errors are, and the other projects are counted."""
    parts = Col.boolean("is_complete").values()
    async with numbered({1: http(404)}) as server, client(server.url) as galileo:
        table = await galileo.count_by(ids(3), parts, on_progress=(told := []).append)
    assert [*table] == [ids(3)[0], ids(3)[2]]
    assert [(error.query.project_id, error.query.tag) for error in table.errors] == [(ids(3)[1], None)]
    assert (told[-1].done, told[-1].total) == (5, 5), "no project has sessions but the last, whose parts follow"
    assert repr(table) == "<CountsTable: 2 projects, total 4, 1 failed>"
    with pytest.raises(ExceptionGroup, match="CountsTable: 2 projects, total 4, 1 failed"):
        table.raise_for_errors()


@pytest.mark.parametrize(
    ("project", "partition", "error"),
    [
        (
            PROJECT,
            CREATED,
            r"partition must be a mapping of label to filter, got Col.date.*Write, for example, Col.date",
        ),
        (PROJECT, {"a": None}, "None is not a filter"),
        ("nope", YEAR, "project_id must be a UUID, got 'nope'"),
        (3, YEAR, "project_id must be a UUID, got 3"),
    ],
)
async def test_a_mistake_is_told_before_a_request(galileo, local_galileo, project, partition, error):
    """A mistake in the arguments is refused before a request, in the words of the call."""
    with pytest.raises((gs.FilterError, gs.ConfigurationError), match=error):
        await galileo.count_by(project, partition)
    assert local_galileo.requests == []


# ---- shown -----------------------------------------------------------------------------------------------------------

COUNTED = CountsBy(PROJECT, {"2026-05-01": 1_200, "<b>": 600, "c": 0, "d": 1})


def test_counts_print_short_and_draw_bars():
    """The repr is short, `print` draws bars, and a notebook shows a table in which nothing is markup."""
    assert repr(COUNTED) == "<CountsBy: 4 labels, total 1,801>"
    assert repr(CountsBy(PROJECT, {"a": 1})) == "<CountsBy: 1 label, total 1>"
    assert str(COUNTED).splitlines() == [
        "2026-05-01  1,200   66.6%  " + "█" * 53,
        "<b>           600   33.3%  " + "█" * 26 + "▌",
        "c               0    0.0%",
        "d               1    0.1%  ▏",
    ]
    shown = COUNTED._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert [float(width) for width in re.findall(r"width: ([0-9.]+)em", shown)] == [12, 6, 0, 0.01]


@pytest.mark.parametrize(
    ("done", "total", "left"), [(0, 10, None), (4, None, None), (4, 10, 3.0), (10, 10, 0.0), (11, 10, 0.0)]
)
def test_the_time_that_is_left_goes_by_the_pace_so_far(done, total, left):
    """The time left is unknown before the first result, and without a total."""
    progress = gs.Progress(done, 0, total, in_flight=0, width=1, elapsed=2.0, rate=9.0, breaker_open=False)
    assert progress.remaining == left


def test_rows_are_what_csv_takes():
    """Rows are plain dicts, as csv.DictWriter takes them."""
    rows = COUNTED.rows()
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    head, first = out.getvalue().splitlines()[:2]
    assert (head, first) == (
        "project_id,project_name,label,total_count,share",
        f"{PROJECT},,2026-05-01,1200,{1200 / 1801}",
    )


def test_counts_compare_and_hash_by_value():
    """Counts are values: equal to each other and to plain dicts, hashable, picklable, and independent of their dict."""
    given_counts = {"a": 1}
    counts = CountsBy(PROJECT, given_counts)
    given_counts["a"] = 2
    assert counts == CountsBy(PROJECT, {"a": 1}, whole=3) != CountsBy(PROJECT, {"a": 2})
    assert counts == {"a": 1} == counts != CountsBy(ids(1)[0], {"a": 1})
    assert hash(counts) == hash(CountsBy(PROJECT, {"a": 1}))
    table = CountsTable({PROJECT: counts}, (gs.NotFoundError("404", status=404),))
    assert table == CountsTable({PROJECT: counts}) == {PROJECT: {"a": 1}} != {}
    assert hash(table) == hash(CountsTable({PROJECT: counts}))
    assert pickle.loads(pickle.dumps((counts, table))) == (counts, table)


def test_a_report_prints_short_and_has_rows():
    """The repr of 2,000 results is one line, and a notebook shows 100 of them."""
    template = gs.CountQuery(PROJECT, tag="t")
    error = gs.NotFoundError("404 Not Found", status=404)
    queries = [template.for_project(UUID(int=i)) for i in range(2_000)]
    results = [gs.CountResult(i, query, query, i, None, (), 0.1) for i, query in enumerate(queries)]
    results[1] = gs.CountResult(1, queries[1], queries[1], None, error, (), 0.1)
    progress = gs.Progress(2_000, 1, 2_000, 0, 10, 1.0, 100.0, breaker_open=False)
    assert repr(results[1]) == f"<CountResult: NotFoundError, project {UUID(int=1)}, 't'>"
    assert repr(results[2]) == f"<CountResult: 2 sessions, project {UUID(int=2)}, 't'>"
    report, one = gs.CountReport(tuple(results), progress), gs.CountReport(tuple(results[:1]), progress)
    assert repr(report) == f"<CountReport: 2,000 results, total {sum(range(2_000)) - 1:,}, 1 failed>"
    assert repr(one) == "<CountReport: 1 result, total 0>"
    assert report._repr_html_().count("<tr>") == 101
    assert "<p>… 1,900 more</p>" in report._repr_html_()
    assert "more" not in one._repr_html_()
    assert ">failed<" in report._repr_html_()
    first, second, *_ = report.rows()
    assert first == {
        "project_id": str(UUID(int=0)),
        "project_name": None,
        "tag": "t",
        "total_count": 0,
        "error": None,
    }
    assert (second["total_count"], second["error"]) == (None, "NotFoundError: 404 Not Found")


def test_a_long_table_is_cut_in_a_notebook():
    """A notebook shows 100 of 160 projects, and how many are left out."""
    table = CountsTable({project: CountsBy(project, {"a": 1}) for project in ids(160)})
    shown = table._repr_html_()
    assert shown.count("<tr>") == 101
    assert "<p>… 60 more</p>" in shown


def test_a_chart_keeps_to_its_width():
    """Long labels are cut, what isn't printable is escaped, and what failed says so."""
    assert chart([]) == ""
    drawn = chart([("a", None), ("b\n", 2), ("x" * 200, 1)], 120)
    assert max(map(len, drawn.splitlines())) <= 120
    assert drawn.splitlines()[0].split() == ["a", "failed"]
    assert r"b\n" in drawn
    assert all(len(line) <= 40 for line in chart([("2026-05-01", 10**9), ("b", 3)], 40).splitlines())


def test_charts_with_one_top_have_one_scale():
    """Equal counts have equal bars, also next to shorter numbers."""
    both = chart([("a", 500), ("b", 10_000)], 40)
    assert chart([("a", 500)], 40, top=10_000) == both.splitlines()[0]
    many, few = chart([("a", 9_000)], top=10_000, total=90_000), chart([("a", 4)], top=10_000, total=4)
    assert len(few) < len(many) <= 80
    assert many.index("10.0%") + len("10.0%") == few.index("100.0%") + len("100.0%")


def test_bars_end_at_an_eighth_of_a_column():
    """What isn't 0 has an eighth at least, and the longest has the width that is asked for."""
    drawn = [(0, ""), (None, ""), (1, "▏"), (4, "▌"), (8, "█"), (13, "█▋"), (256, "█" * 32)]
    assert [(count, bar(count, 256, 32)) for count, _ in drawn] == drawn
    assert (bar(1, 10**6, 3), bar(2, 4, 3), bar(4, 4, 0)) == ("▏", "█▌", "")


# ---- the rest, shares and change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [None, Col("input").contains("refund")], ids=["all", "filtered"])
async def test_the_rest_is_what_is_in_no_part(galileo, local_galileo, where):
    """`with_rest` counts the sessions in no part, also those without a value: the whole minus the parts."""
    bins = Col.number("score").bins(1, 2)
    counts = await galileo.count_by(IDS[0], bins.with_rest("no score"), where)
    assert len(local_galileo.requests) == 4
    assert [*counts] == [*bins, "no score"]
    assert counts.total == await galileo.count(IDS[0], where)
    assert counts["no score"] > 0
    without = await galileo.count_by(IDS[0], bins, where)
    assert {label: counts[label] for label in bins} == without
    assert without.total == counts.total
    table = await galileo.count_by(IDS[:2], bins.with_rest("no score"), where)
    assert table[IDS[0]] == counts


async def test_sessions_can_arrive_between_the_requests():
    """Then a rest isn't negative, and the total of parts that can't overlap is at least their sum."""
    async with numbered() as server, client(server.url) as galileo:
        counts = await galileo.count_by(ids(2)[1], Col.number("score").bins(1, 2).with_rest("rest"))
        tags = await galileo.count_by(ids(2)[1], Col.collection("tags").values(["a", "b"]))
    assert counts == {"below 1": 1, "1 to 2": 1, "2 and above": 1, "rest": 0}
    assert (counts.total, tags.total) == (3, 1)


async def test_parts_of_a_date_are_of_their_period(galileo):
    """The total of days is that of the period, also if sessions are out of it; a rest has all others."""
    days = CREATED.days("2026-05-01", "2026-05-08", tz="Europe/Berlin")
    counts = await galileo.count_by(IDS[0], days)
    assert counts.total == sum(counts.values()) < COUNTS[IDS[0]]
    counts = await galileo.count_by(IDS[0], days.with_rest("other days"))
    assert counts.total == sum(counts.values()) == COUNTS[IDS[0]]


def test_shares_are_of_the_total():
    """Rows and charts have each count's share; without a session it is 0."""
    assert [row["share"] for row in CountsBy(PROJECT, {"a": 1, "b": 3}).rows()] == [0.25, 0.75]
    assert [row["share"] for row in CountsBy(PROJECT, {"a": 0}).rows()] == [0.0]
    assert str(CountsBy(PROJECT, {"a": 1, "b": 0})).splitlines()[0].startswith("a  1  100.0%  █")
    assert '<td style="text-align: right">66.6%</td>' in COUNTED._repr_html_()


def test_change_from_compares_labels_or_the_order():
    """Equal labels are compared; others in their order; and the totals. A change from 0 is None."""
    now, before = CountsBy(PROJECT, {"a": 6, "b": 1}), CountsBy(PROJECT, {"b": 0, "a": 4})
    rows = [
        {"label": "a", "earlier": 4, "total_count": 6, "difference": 2, "change": 0.5},
        {"label": "b", "earlier": 0, "total_count": 1, "difference": 1, "change": None},
        {"label": "total", "earlier": 4, "total_count": 7, "difference": 3, "change": 0.75},
    ]
    assert now.change_from(before) == rows
    assert now.change_from(CountsBy(PROJECT, {"x": 4, "y": 0})) == rows
    with pytest.raises(gs.ConfigurationError, match="can't compare 2 labels with 1"):
        now.change_from(CountsBy(PROJECT, {"a": 1}))
