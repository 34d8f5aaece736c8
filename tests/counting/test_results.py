"""What counts return: by day, bin or value for one project or many, and as values that are shown."""

import asyncio
import copy
import json
import pickle
import re
from datetime import date
from uuid import UUID

import pytest
from support.clients import COUNTS, IDS, SESSIONS, connected, ids, one_by_one
from support.clock import virtual_time
from support.sockets import PROJECT, answers, http, number_of, slowly

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, CountQuery, CountsBy

CREATED, SCORE = Col.date("created_at"), Col.number("score")
DAYS = CREATED.days("2026-06-01", "2026-06-05", tz="UTC")
YEAR = CREATED.days("2025-07-15", "2026-07-15", tz="Europe/Berlin")
COMPLETE = Col.boolean("is_complete").values()
BINS = SCORE.bins(2, 4)


# ---- one project -----------------------------------------------------------------------------------------------------


async def test_filter_and_scope_hold_for_all_parts(galileo, sample):
    where, bins = Col("input").contains("x"), SCORE.bins(3)
    counts = await galileo.count_by(IDS[0], bins, where)
    assert [*counts.values()] == [await galileo.count(IDS[0], where & part) for part in bins.values()]
    assert counts.total == await galileo.count(IDS[0], where)
    assert await galileo.count_by(CountQuery(IDS[0], where, tag="mine"), bins) == counts
    assert (await galileo.count_all(IDS[:1], by=bins, filters=[where])).results[0].counts_by == counts
    with pytest.warns(gs.ZeroCountWarning, match=f"log stream {PROJECT} lists no columns"):
        await galileo.count_by(IDS[0], bins, log_stream_id=PROJECT)
    assert [request.log_stream_id for request in sample.requests[-4:]] == [None, *[PROJECT] * 3]


async def test_any_mapping_of_filters_is_counted_by(galileo):
    """A part is any filter with any label; parts can overlap, and the total counts each session once."""
    high, day = Col("score") > 3, date(2026, 6, 30)
    counts = await galileo.count_by(IDS[0], {"high": high, 3: gs.ALWAYS, day: CREATED.on(day, tz="UTC"), None: NEVER})
    assert [*counts] == ["high", 3, day, None]
    assert (counts["high"], counts[3], counts[None]) == (await galileo.count(IDS[0], high), COUNTS[IDS[0]], 0)
    assert counts.total == COUNTS[IDS[0]]
    assert [line.split()[0] for line in str(counts).splitlines()] == ["high", "3", "2026-06-30", "None"]


async def test_one_project_is_counted_whole_or_not_at_all(galileo, sample):
    """The first error is raised, and its query has the label as its tag."""
    sample.fail_next(200, body={"total_count": 9})
    sample.fail_next(404)
    with pytest.raises(gs.NotFoundError) as raised:
        await galileo.count_by(IDS[0], YEAR, concurrency=1)
    assert raised.value.query.tag == "2025-07-15"
    assert len(sample.requests) < 10


@pytest.mark.parametrize("where", [ALWAYS, Col("input").contains("refund")], ids=["all", "filtered"])
async def test_the_rest_is_what_is_in_no_part(galileo, sample, where):
    """`with_rest` counts the sessions in no part, also those without a value: the whole minus the parts."""
    bins = SCORE.bins(1, 2)
    counts = await galileo.count_by(IDS[0], bins.with_rest("no score"), where)
    assert len(sample.requests) == 4
    without = await galileo.count_by(IDS[0], bins, where)
    assert counts.total == without.total == await galileo.count(IDS[0], where)
    assert [*counts.items()] == [*without.items(), ("no score", without.total - sum(without.values()))]
    assert counts["no score"] > 0


async def test_what_hints_say_of_a_rest_counts_it(galileo):
    """Sessions without a number are a rest; those in none of the parts that can overlap are subtracted."""
    sessions = [session for session in SESSIONS if session["project_id"] == IDS[0]]
    with pytest.raises(gs.FilterError, match=r"From all sessions, subtract the count of a \| ~a"):
        _ = Col("score").eq(None)
    missing = sum("score" not in session for session in sessions)
    for a in (SCORE > 0, SCORE == -1):
        assert await galileo.count(IDS[0]) - await galileo.count(IDS[0], a | ~a) == missing > 0
    counts = await galileo.count_by(IDS[0], SCORE.bins(0).with_rest("none"))
    assert counts["none"] == missing
    partition = Col.collection("tags").values(["vip", "beta"])
    with pytest.raises(gs.FilterError, match=r"Subtract the count of any_of\(partition.values\(\)\) from the total"):
        partition.with_rest("others")
    rest = COUNTS[IDS[0]] - await galileo.count(IDS[0], gs.any_of(partition.values()))
    assert rest == sum(not {"vip", "beta"} & {*session.get("tags", ())} for session in sessions) > 0


@pytest.mark.parametrize(
    ("partition", "total"),
    [(COMPLETE, 8), (COMPLETE.with_rest("none"), 8), (Col.collection("tags").values(["a", "b"]), 5)],
    ids=["disjoint", "rest", "tags"],
)
async def test_no_share_exceeds_the_whole(partition, total):
    """Sessions that arrive after the whole was counted are in the total, too; a rest isn't negative."""
    answers_in_turn = [http(body=f'{{"total_count":{count}}}') for count in (4, 5, 3)]
    async with connected(answers(*answers_in_turn)) as (_, galileo):
        report = await galileo.count_all(ids(1), by=partition, concurrency=1)
    counts = report.results[0].counts_by
    assert (counts.total, report.total) == (total, total)
    assert [row["share"] for row in counts.rows()] == [5 / total, 3 / total, 0][: len(counts)]


@pytest.mark.parametrize("has_rest", [False, True])
async def test_parts_of_a_date_are_of_their_period(galileo, has_rest):
    """The total of days is that of the period, also if sessions are out of it; a rest has all others."""
    days = CREATED.days("2026-05-01", "2026-05-08", tz="Europe/Berlin")
    counts = await galileo.count_by(IDS[0], days.with_rest("other days") if has_rest else days)
    assert counts.total == sum(counts.values())
    assert (counts.total == COUNTS[IDS[0]]) is has_rest


# ---- many projects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partition", [COMPLETE, BINS.with_rest("none"), DAYS], ids=["values", "rest", "days"])
async def test_each_project_has_the_counts_of_its_parts(galileo, partition):
    """With `by=`, each result has what `count_by` returns, whether the targets are a list, projects or queries."""
    where = Col("input").contains("refund")
    projects = [gs.Project(project, f"p{number}") for number, project in enumerate(IDS[:3])]
    report = await galileo.count_all(one_by_one([*projects, CountQuery(IDS[0], where)]), by=partition)
    expected = [await galileo.count_by(project, partition) for project in projects]
    expected.append(await galileo.count_by(IDS[0], partition, where))
    assert [(result.index, result.counts_by) for result in report.results] == [*enumerate(expected)]
    assert report.counts == tuple(counts.total for counts in expected)
    names = ("project_id", "project_name", "label", "total_count", "whole", "share")
    rows = [row for counts in expected for row in counts.rows()]
    assert [[row[name] for name in names] for row in report.rows()] == [[row[name] for name in names] for row in rows]


async def test_an_empty_project_costs_one_request():
    """Parts follow only if the whole isn't 0, so nine empty projects in ten save most of the requests."""
    async with connected({number: http(200, '{"total_count":0}') for number in range(90)}) as (server, galileo):
        report = await galileo.count_all(ids(100), by=DAYS, check=False)
    assert len(server.requests) == 90 + 10 * 5
    assert [len(result.attempts) for result in report.results] == [1] * 90 + [5] * 10
    assert [*report.results[0].counts_by.items()] == [(day, 0) for day in DAYS]


async def test_the_total_of_progress_grows_with_the_parts():
    """Progress counts requests: those of a target's parts are added once it is known that they follow."""
    told: list[gs.Progress] = []
    async with connected({2: http(404)}) as (_, galileo):
        report = await galileo.count_all(ids(4), by=COMPLETE, on_progress=told.append, concurrency=1, check=False)
    assert [(each.done, each.total) for each in told] == list(zip(range(1, 9), [4, 4, 6, 6, 6, 6, 8, 8], strict=True))
    assert [each.failed for each in told] == [0, 0, 1, 1, 1, 1, 1, 1]
    assert sorted(each.elapsed for each in told) == [each.elapsed for each in told]
    assert report.progress.done == 8


@virtual_time
async def test_the_parts_of_a_target_wait_for_no_other_target():
    async with connected({1: slowly(5, 1)}) as (server, galileo):
        counting = asyncio.create_task(galileo.count_all(ids(4), by=COMPLETE, check=False))
        await asyncio.sleep(4)
        assert sorted(number_of(request) for request in server.requests) == [0, 1, *[2] * 3, *[3] * 3]
        report = await counting
    assert report.counts == (0, 2, 4, 6)  # parts that can't overlap are at least the total
    assert 15 <= report.results[1].elapsed < 15.1  # of three counts
    assert [number_of(request) for request in server.requests[8:]] == [1, 1]


async def test_parts_with_the_same_filter_have_their_own_counts():
    """Also if it is that of the whole: the parts are told apart by their labels."""
    async with connected(answers(*[http(body=b'{"total_count":%d}' % n) for n in (9, 1, 2, 3)])) as (_, galileo):
        low = Col.number("score") < 3
        by = gs.Partition({"all": gs.ALWAYS, "low": low, "same": low}, disjoint=False)
        report = await galileo.count_all(ids(1), by=by, concurrency=1, check=False)
    assert report.results[0].counts_by == {"all": 1, "low": 2, "same": 3}


@pytest.mark.parametrize("concurrency", [2, None])
@virtual_time
async def test_a_target_that_hangs_fails_alone(concurrency):
    """Of twelve targets, one hangs; at the deadline, all counts of the others are known, with their parts."""
    hanging = slowly(1_000, 1)
    async with connected({5: hanging}) as (_, galileo):
        report = await galileo.count_all(ids(12), by=COMPLETE, timeout=60, concurrency=concurrency, check=False)
    assert [result.index for result in report.results if not result.ok] == [5]
    assert [type(error) for error in report.errors] == [gs.DeadlineExceededError]
    assert [len(result.counts_by) for result in report.results if result.ok] == [2] * 11


# ---- failures and early ends -----------------------------------------------------------------------------------------


async def test_a_part_that_fails_is_the_error_of_its_target(sample, galileo):
    """The first error of a target's parts is its error, its rest isn't known, and other targets are counted."""
    for _ in range(2):
        sample.fail_next(200, body={"total_count": 9})
    sample.fail_next(404)
    partition = COMPLETE.with_rest("none")
    failed, counted = (await galileo.count_all(IDS[:2], by=partition, concurrency=1, check=False)).results
    assert (failed.total_count, counted.ok) == (None, True)
    assert (type(failed.error), [error.query.tag for error in failed.errors]) == (gs.NotFoundError, ["true"])
    assert [(row["label"], row["error"] is None) for row in failed.rows()] == [("true", False), ("false", True)]
    assert [(row["whole"], row["share"]) for row in failed.rows()] == [(None, None)] * 2
    with pytest.raises(gs.NotFoundError):
        _ = failed.counts_by


async def test_a_failed_project_is_no_column_of_a_table(galileo, sample):
    """Its rows have the labels of the others, so a pivot has a row of missing values for it."""
    pandas = pytest.importorskip("pandas", reason="pandas isn't installed; it is in the extra `examples`")
    sample.fail_next(404)
    report = await galileo.count_all(IDS[:2], by=COMPLETE, concurrency=1, check=False)
    table = pandas.DataFrame(report.rows()).pivot(index="project_id", columns="label", values="share")
    assert [*table.columns] == ["false", "true"]
    assert table.isna().all(axis=1).to_dict() == {IDS[0]: True, IDS[1]: False}
    assert table.loc[IDS[1]].sum() == pytest.approx(1)


async def test_a_target_that_is_no_project_has_one_error(galileo):
    report = await galileo.count_all(["nope", IDS[0]], by=COMPLETE)
    failed, counted = report.results
    assert (failed.query, failed.parts, len(failed.errors), counted.total_count) == (None, {}, 1, COUNTS[IDS[0]])
    rows = [(row["project_id"], row["label"]) for row in report.rows()]
    assert rows == [(each, label) for each in ("nope", IDS[0]) for label in ("true", "false")]
    assert [row["error"] is None for row in report.rows()] == [False, False, True, True]
    with pytest.raises(gs.ConfigurationError, match="nope"):
        _ = failed.counts_by


async def test_a_target_whose_parts_cannot_be_sent_has_that_error(galileo):
    """As one whose filter can't be sent; the others are counted."""
    deep = Col("score") > 1
    for n in range(99):
        deep = [gs.any_of, gs.all_of][n % 2]([deep, Col("num_traces").ne(n)])
    large = CountQuery(IDS[0], deep)
    partition = {"low": Col("score") < 3, "two": (Col("score") >= 3) & (Col("num_traces") > 1)}
    report = await galileo.count_all([IDS[1], large, IDS[2]], by=partition, check=False)
    first, failed, last = report.results
    assert [type(error) for error in failed.errors] == [gs.FilterTooLargeError] * 2
    assert [first.counts_by, last.counts_by] == [await galileo.count_by(each, partition) for each in (IDS[1], IDS[2])]
    assert report.progress.done == report.progress.total == 3 + 3 * 2


async def test_a_result_without_parts_says_how_to_get_them(galileo):
    (result,) = (await galileo.count_all(IDS[:1])).results
    with pytest.raises(gs.ConfigurationError, match=r"there are no parts\nhint: Write count_all\(..., by=partition\)"):
        _ = result.counts_by


@pytest.mark.parametrize(("timeout", "requests", "complete"), [(0.1, 3, 0), (0.7, 12, 1)], ids=["wholes", "parts"])
@virtual_time
async def test_nothing_is_sent_after_the_deadline(timeout, requests, complete):
    """What isn't counted by then is an error, and no part follows a late whole."""
    clock = asyncio.get_running_loop().time
    async with connected({number: slowly(0.2, 1) for number in range(9)}) as (server, galileo):
        began = clock()
        report = await galileo.count_all(ids(9), by=COMPLETE, timeout=timeout, concurrency=3)
        assert clock() - began < timeout + 0.1
        await asyncio.sleep(5)
    assert [type(error) for error in report.errors] == [gs.DeadlineExceededError] * (9 - complete)
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("number", "complete"), [(2, ["empty"]), (7, ["empty", "full", "failed"])], ids=["wholes", "parts"]
)
async def test_a_call_that_ends_early_reports_complete_targets(number, complete):
    """If a 401 ends the call, `error.report` has the targets of which all counts are known."""
    names = dict(zip(ids(4), ["empty", "full", "failed", "half"], strict=True))
    wholes = [http(body=b'{"total_count":0}'), http(), http(404), http()]
    answered = [*wholes, http(), http(), http()][:number]
    async with connected(answers(*answered, http(401))) as (_, galileo):
        with pytest.raises(gs.AuthenticationError) as caught:
            await galileo.count_all(list(names), by=COMPLETE, concurrency=1, check=False)
    report = caught.value.report
    assert [names[result.target] for result in report.results] == complete
    assert report.progress.done == number


# ---- results, reports and counts as values ---------------------------------------------------------------------------

COUNTED = CountsBy(PROJECT, {"2026-05-01": 1_200, "<b>": 600, "c": 0, "d": 1})
PROGRESS = gs.Progress(2_000, 1, 2_000, 0, 10, 1.0, 100.0, breaker_open=False)


def test_counts_print_short_and_draw_bars():
    """The repr is short, `print` draws bars, and so does a notebook, in which nothing is markup."""
    assert repr(COUNTED) == "<CountsBy: 4 labels, total 1,801>"
    assert repr(CountsBy(PROJECT, {"a": 1})) == "<CountsBy: 1 label, total 1>"
    assert str(COUNTED).splitlines() == [
        "2026-05-01  1,200  66.6%  " + "█" * 54,
        "<b>           600  33.3%  " + "█" * 27,
        "c               0   0.0%",
        "d               1   0.1%  ▏",
    ]
    assert str(CountsBy(PROJECT, {"a": 0})) == "a  0"  # nothing has no share of nothing
    shown = COUNTED._repr_html_()
    assert ("&lt;b&gt;" in shown, "<b>" in shown) == (True, False)


def test_counts_are_a_dict_with_rows():
    """They are independent of the dict that was given, and copied with all they know."""
    given_counts = {"a": 1}
    counts = CountsBy(PROJECT, given_counts, total=4, project_name="Chatbot")
    given_counts["a"] = 2
    assert counts == {"a": 1} == json.loads(json.dumps(counts))
    row = {"project_id": PROJECT, "project_name": "Chatbot", "label": "a", "total_count": 1, "whole": 4, "share": 0.25}
    assert counts.rows() == [row]
    assert [row["share"] for row in CountsBy(PROJECT, {"a": 0}).rows()] == [None]
    for again in (pickle.loads(pickle.dumps(counts)), copy.copy(counts), copy.deepcopy(counts)):
        assert (type(again), again, vars(again)) == (CountsBy, counts, vars(counts))


@pytest.mark.parametrize(
    ("done", "total", "left"), [(0, 10, None), (4, None, None), (4, 10, 3.0), (10, 10, 0.0), (11, 10, 0.0)]
)
def test_the_time_that_is_left_goes_by_the_pace_so_far(done, total, left):
    progress = gs.Progress(done, 0, total, in_flight=0, width=1, elapsed=2.0, rate=9.0, breaker_open=False)
    assert progress.remaining == left


def test_a_report_prints_short_and_has_rows():
    """The repr of 2,000 results is one line, and a notebook shows a chart of them."""
    error = gs.NotFoundError("404 Not Found", status=404)
    queries = [CountQuery(UUID(int=i), tag="t") for i in range(2_000)]
    results = [gs.CountResult(i, query, query, i, None, (), 0.1) for i, query in enumerate(queries)]
    results[1] = gs.CountResult(1, queries[1], queries[1], None, error, (), 0.1)
    assert repr(results[1]) == f"<CountResult: NotFoundError, project {UUID(int=1)} 't'>"
    assert repr(results[2]) == f"<CountResult: 2 sessions, project {UUID(int=2)} 't'>"
    report, one = gs.CountReport(tuple(results), PROGRESS), gs.CountReport(tuple(results[:1]), PROGRESS)
    assert repr(report) == f"<CountReport: 2,000 results, total {sum(range(2_000)) - 1:,}, 1 failed>"
    assert repr(one) == "<CountReport: 1 result, total 0>"
    one.raise_for_errors()  # it has none
    assert "CountReport: 1 result, total 0\n" in one._repr_html_()
    assert re.search(f"{UUID(int=1)} &#x27;t&#x27; +failed", report._repr_html_())
    first, second, *_ = report.rows()
    assert first == {"project_id": str(UUID(int=0)), "project_name": None, "tag": "t", "total_count": 0, "error": None}
    assert (second["total_count"], second["error"]) == (None, "NotFoundError: 404 Not Found")


def test_a_result_has_the_errors_of_its_parts_and_a_hash():
    query, error, other = CountQuery(PROJECT), gs.NotFoundError("404", status=404), gs.ServerError("503", status=503)
    result = gs.CountResult(0, query, query, None, error, (), 0.1, parts={"a": error, "b": 3, "c": other})
    assert result.errors == (error, other)
    assert isinstance(hash(gs.CountResult(0, [], query, 1, None, (), 0.0, parts={})), int)


def test_a_chart_keeps_to_its_width():
    """What isn't printable is escaped, and a long label is cut, so that it leaves room for a bar."""
    assert str(CountsBy(PROJECT, {})) == ""
    for counts in (CountsBy(PROJECT, {"2026-05-01": 10**9, "b\n": 3}), CountsBy(PROJECT, {"a": 5}, total=10**9)):
        assert max(map(len, str(counts).splitlines())) == 80
    assert r"b\n" in str(CountsBy(PROJECT, {"b\n": 3}))
    assert str(CountsBy(PROJECT, {"x" * 200: 1})) == "x" * 54 + "…  1  100.0%  " + "█" * 12


def test_a_chart_is_aligned_in_columns_of_a_terminal():
    """Wide characters take two columns; accents, and the later letters of a decomposed syllable, none."""
    accented, syllable = "e\u0301", "\u1112\u1161\u11ab"
    chart = CountsBy(PROJECT, {accented: 3, syllable: 3, "日本": 3, "abcd": 3})
    labels = [f"{accented}   ", f"{syllable}  ", "日本", "abcd"]
    assert str(chart).splitlines() == [f"{label}  3  25.0%  {'█' * 64}" for label in labels]
    assert str(CountsBy(PROJECT, {"日本" * 40: 3})) == f"{'日本' * 13}日…  3  100.0%  {'█' * 12}"
