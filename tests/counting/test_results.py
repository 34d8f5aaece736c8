"""Results, reports and counts as values, as rows, and as they are shown."""

import copy
import json
import pickle
import re
from uuid import UUID

import pytest
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import CountsBy
from galileo_sessions.display import bar, chart

COUNTED = CountsBy(PROJECT, {"2026-05-01": 1_200, "<b>": 600, "c": 0, "d": 1})
PROGRESS = gs.Progress(2_000, 1, 2_000, 0, 10, 1.0, 100.0, breaker_open=False)


def test_counts_print_short_and_draw_bars():
    """The repr is short, `print` draws bars, and so does a notebook, in which nothing is markup."""
    assert repr(COUNTED) == "<CountsBy: 4 labels, total 1,801>"
    assert repr(CountsBy(PROJECT, {"a": 1})) == "<CountsBy: 1 label, total 1>"
    assert str(COUNTED).splitlines() == [
        "2026-05-01  1,200   66.6%  " + "█" * 53,
        "<b>           600   33.3%  " + "█" * 26 + "▌",
        "c               0    0.0%",
        "d               1    0.1%  ▏",
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
    row = {"project_id": PROJECT, "project_name": "Chatbot", "label": "a", "total_count": 1, "share": 0.25}
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
    template, error = gs.CountQuery(PROJECT, tag="t"), gs.NotFoundError("404 Not Found", status=404)
    queries = [template.for_project(UUID(int=i)) for i in range(2_000)]
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
    query, error, other = gs.CountQuery(PROJECT), gs.NotFoundError("404", status=404), gs.ServerError("503", status=503)
    result = gs.CountResult(0, query, query, None, error, (), 0.1, parts={"a": error, "b": 3, "c": other})
    assert result.errors == (error, other)
    assert isinstance(hash(gs.CountResult(0, [], query, 1, None, (), 0.0, parts={})), int)


def test_a_chart_keeps_to_its_width():
    """Long labels are cut, what isn't printable is escaped, and what failed says so."""
    assert chart([]) == ""
    drawn = chart([("a", None), ("b\n", 2), ("x" * 200, 1)], 120)
    assert max(map(len, drawn.splitlines())) <= 120
    assert drawn.splitlines()[0].split() == ["a", "failed"]
    assert r"b\n" in drawn
    for total in (None, 10**9):
        assert max(map(len, chart([("2026-05-01", 10**9), ("b", 3)], 50, total=total).splitlines())) == 50


def test_bars_end_at_an_eighth_of_a_column():
    """What isn't 0 has an eighth at least, and the longest has the width that is asked for."""
    drawn = [(0, ""), (None, ""), (1, "▏"), (4, "▌"), (8, "█"), (13, "█▋"), (256, "█" * 32)]
    assert [(count, bar(count, 256, 32)) for count, _ in drawn] == drawn
    assert (bar(1, 10**6, 3), bar(2, 4, 3)) == ("▏", "█▌")
