"""`galileo.explain`: what each part of a filter counts."""

import asyncio

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from support.clients import COUNTS, IDS, connected, ids
from support.clock import virtual_time
from support.sockets import PROJECT, http

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, CollectionFilter, CountQuery, all_of, any_of
from galileo_sessions.counting.explanation import Plan
from galileo_sessions.filters.tree import walk

REFUND, HIGH, LATER = Col("input").contains("refund"), Col("score") > 3, Col.date("created_at").gte("2027-01-01T00:00Z")


async def test_each_part_of_a_filter_is_counted(galileo, sample):
    """Each node has its own count, and each condition of the root the count without it, in one fan-out."""
    conditions = [REFUND, HIGH, LATER, ~(REFUND | HIGH)]
    explanation = await galileo.explain(IDS[0], all_of(conditions))
    assert len(sample.requests) == len(explanation.nodes) + 4 == 8 + 4
    for each in explanation.nodes:
        assert each.total_count == await galileo.count(IDS[0], each.node, check=False)
    without = {each.path: each.without for each in explanation.nodes}
    for i in range(4):
        rest = all_of([*conditions[:i], *conditions[i + 1 :]])
        assert without["and", i] == await galileo.count(IDS[0], rest, check=False)
    assert without["and", 3, "not", "or", 0] is None
    assert [*without][:2] == [(), ("and", 0)]


async def test_an_explanation_draws_what_counts_nothing(galileo):
    """Conditions without sessions and wrong columns are marked, on lines of at most 80 characters."""
    shown = str(await galileo.explain(IDS[0], REFUND & LATER & ~((Col("scor") < 2) | HIGH)))
    first, root, refund, *_ = [line.split() for line in shown.splitlines()]
    assert (first, root) == (["sessions", "without", "it"], ["and", "0"])
    assert refund[-2:] == [str(await galileo.count(IDS[0], REFUND)), "0"]
    assert shown.count("↑ no session satisfies this condition") == 2  # the date and the not
    assert "↑ there is no column 'scor'; did you mean score?" in shown
    assert max(map(len, shown.splitlines())) <= 80


async def test_the_bounds_of_a_period_are_one_condition(galileo):
    """Else those of a day in a wrong time zone would seem to exclude each other. A lone period has two conditions."""
    day = Col.date("created_at").on("2026-06-27", tz="Asia/Tokyo")
    explanation = await galileo.explain(IDS[0], day & REFUND & (Col("score") >= 3))
    counts = [await galileo.count(IDS[0], where) for where in (day, REFUND, Col("score") >= 3)]
    assert [each.node for each in explanation.nodes[1:4]] == [day, REFUND, Col("score") >= 3]
    assert [each.total_count for each in explanation.nodes[1:4]] == counts
    assert None not in [each.without for each in explanation.nodes[1:4]]
    assert explanation.nodes[1].path == ("and", 0)
    may = Col.date("created_at").during("2026-05-01", "2026-06-01", tz="UTC")
    assert [each.node for each in (await galileo.explain(IDS[0], day & may & REFUND)).nodes[1:4]] == [day, may, REFUND]
    low, higher = Col("score") > 1, Col("score") > 2
    assert [each.node for each in (await galileo.explain(IDS[0], low & higher & REFUND)).nodes[1:3]] == [low, higher]
    alone = await galileo.explain(IDS[0], day)
    assert (alone.where, len(alone.nodes)) == (day, 3)


async def test_an_explanation_is_data(galileo):
    explanation = await galileo.explain(IDS[0], filters=[REFUND, HIGH])
    both, refund, high = [await galileo.count(IDS[0], where) for where in (REFUND & HIGH, REFUND, HIGH)]
    assert explanation.rows()[:2] == [
        {"path": "", "filter": repr(REFUND & HIGH), "total_count": both, "without": None, "complaint": ""},
        {"path": "and.0", "filter": repr(REFUND), "total_count": refund, "without": high, "complaint": ""},
    ]
    assert repr(explanation) == f"<Explanation: 3 nodes, total {both}>"
    assert "input contains &#x27;refund&#x27;" in explanation._repr_html_()


@pytest.mark.parametrize(("where", "total"), [(ALWAYS, COUNTS[IDS[0]]), (NEVER, 0)])
async def test_a_filter_without_conditions_is_one_line(galileo, where, total):
    (only,) = (await galileo.explain(IDS[0], where)).nodes
    assert (only.total_count, only.without) == (total, None)


@pytest.mark.parametrize("where", [Col("input").contains("REFUND"), Col("input").contains("REFUND") & HIGH], ids=repr)
async def test_a_text_in_another_case_is_named(galileo, where):
    explanation = await galileo.explain(IDS[0], where)
    number = await galileo.count(IDS[0], Col("input").contains("REFUND", case_sensitive=False))
    said = f"no session satisfies this condition; {number} sessions with case_sensitive=False"
    assert [said] == [each.complaint for each in explanation.nodes if each.complaint]


@pytest.mark.parametrize(("case_sensitive", "requests"), [(False, 1), (True, 2)])
async def test_a_text_in_no_case_is_in_no_session(galileo, sample, case_sensitive, requests):
    """The count in any case is one more, unless the filter is already that."""
    never = await galileo.explain(IDS[0], Col("input").contains("xyzzy", case_sensitive=case_sensitive))
    assert len(sample.requests) == requests
    assert "no session satisfies this condition" in str(never)
    assert "with case" not in str(never)


async def test_a_query_is_explained_in_its_scope(galileo, sample):
    """A query keeps its scope; each request has it, that for columns included."""
    with pytest.warns(gs.ZeroCountWarning, match=f"log stream {PROJECT} lists no columns"):
        await galileo.explain(CountQuery(IDS[0], REFUND, log_stream_id=PROJECT), HIGH)
    assert {request.log_stream_id for request in sample.requests} == {PROJECT}
    assert REFUND & HIGH in [request.where for request in sample.requests]


async def test_a_large_filter_is_explained_in_part():
    """The first 200 nodes are counted, one level after another; the drawing says how many are left out."""
    async with connected({}, check=False) as (server, galileo):
        where = any_of([Col("score").eq(n) & REFUND for n in range(100)]) & HIGH
        explanation = await galileo.explain(ids(1)[0], where)
    assert (len(explanation.nodes), explanation.left_out) == (200, 103)
    assert len(server.requests) == 200 + 2 + 1 + 1  # without each condition, in any case, and for the columns
    assert max(map(len, [each.path for each in explanation.nodes])) == 6
    assert str(explanation).endswith("\n103 more nodes aren't counted")


@pytest.mark.parametrize(("number", "is_counted"), [(50, True), (51, False), (199, False), (200, False)])
async def test_many_conditions_are_not_counted_without_each_of_them(number, is_counted):
    """The cost would grow with their square. The drawing says so."""
    async with connected({}, check=False) as (server, galileo):
        explanation = await galileo.explain(ids(1)[0], all_of([Col("score") < n for n in range(1, number + 1)]))
    assert len(explanation.nodes) == min(200, number + 1)
    assert len(server.requests) == len(explanation.nodes) + number * is_counted + 1
    assert ("too many conditions to count the filter without each of them" in str(explanation)) is not is_counted
    assert ("without it" in str(explanation)) is is_counted


async def test_250_bounds_are_explained_with_few_leaves():
    """125 pairs of bounds are 125 conditions, which take no more leaves to count than they have themselves."""
    bounds = [(Col("score") > -n, Col("score") < n) for n in range(1, 126)]
    async with connected({}, check=False) as (server, galileo):
        explanation = await galileo.explain(ids(1)[0], all_of([bound for pair in bounds for bound in pair]))
    assert sum(request.count(b'"operator"') for request in server.requests) < 1_000
    assert [each.node for each in explanation.nodes[1:126]] == [low & high for low, high in bounds]
    assert explanation.left_out == 1 + 125 + 250 - 200


OLDER, YOUNGER = Col.date("created_at") < "2026-06-01T00:00Z", Col.date("created_at") >= "2026-05-01T00:00Z"
CONDITIONS = [
    HIGH,
    Col("score") < 4,
    Col("score") > 1,
    OLDER,
    YOUNGER,
    REFUND,
    ~(HIGH | REFUND),
    HIGH | (REFUND & LATER),
]


@given(st.lists(st.sampled_from(CONDITIONS), max_size=7).map(all_of))
def test_the_paths_lead_into_the_callers_filter(where):
    """Only a lower bound and the upper bound after it are one condition; the order is kept, and no node is left out."""
    plan = Plan.of(CountQuery(PROJECT, where))
    assert plan.query.where == where
    own = dict(walk(where))
    pairs = [(path, node) for path, node in plan.nodes.values() if own[path] != node]
    for (_, position), node in pairs:
        low, high = where.children[position : position + 2]
        assert (node, low.column_id) == (low & high, high.column_id)
        assert (low.operator[:2], high.operator[:2]) == ("gt", "lt")
    alone = [pair for pair in plan.nodes.values() if pair not in pairs]
    assert sorted(alone, key=repr) == sorted(walk(where), key=repr)
    level = [path for place, (path, _) in plan.nodes.items() if len(place) == 2]
    assert level == sorted(level)


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (HIGH & (Col("score") < 2) & REFUND, ("and", 0)),
        (HIGH & REFUND & (Col("score") < 2), ()),
        (HIGH & (Col("score") < 2), ()),
        (~((Col("score") <= 3) | (Col("score") >= 2)) & REFUND, ("and", 0)),
        ((REFUND | LATER) & any_of([HIGH & (Col("score") < 2), LATER]), ("and", 1, "or", 0)),
    ],
    ids=repr,
)
async def test_a_contradiction_is_marked_once(galileo, where, path):
    """At the deepest node that has it, though those above it contradict themselves, too."""
    explanation = await galileo.explain(IDS[0], where)
    assert [each.path for each in explanation.nodes if "no session can satisfy" in each.complaint] == [path]
    assert str(explanation).count("no session can satisfy") == 1


async def test_a_contradiction_below_the_last_node_is_marked_above_it():
    """A node that isn't counted can't be marked."""
    impossible = ~any_of([Col("score") <= 3, Col("score") >= 2])
    deep = all_of([any_of([Col("score").eq(n) for n in range(250)]), impossible])
    async with connected({}, check=False) as (_, galileo):
        explanation = await galileo.explain(ids(1)[0], any_of([deep, REFUND]))
    assert sum("no session can satisfy" in each.complaint for each in explanation.nodes) == 1


@pytest.mark.parametrize("operator", ["contains", "one_of"])
async def test_a_member_in_another_case_is_named(galileo, operator):
    """As a text is; what is in no member says that `contains` needs a whole one."""
    tags = Col.collection("tags")
    found, part = CollectionFilter("tags", operator, ["VIP"]), tags.contains("vi")
    number = await galileo.count(IDS[0], evolve(found, case_sensitive=False))
    explanation = await galileo.explain(IDS[0], found & part)
    said = [f"{number} sessions with case_sensitive=False", "`contains` needs a whole member of the collection"]
    assert [each.complaint for each in explanation.nodes[1:]] == [
        f"no session satisfies this condition; {text}" for text in said
    ]
    assert "needs a whole member" not in str(await galileo.explain(IDS[0], tags.one_of(["vi"])))


async def test_a_count_that_fails_is_the_error_of_its_node():
    """Also if its own count succeeded, and only the one without it failed; the other counts are shown."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        conditions = server.requests[nth - 1].count(b'"operator"')
        writer.write(http(404) if conditions > 1 else http())

    async with connected(behave) as (server, galileo):
        explanation = await galileo.explain(PROJECT, REFUND & HIGH & LATER)
    root, *others = [(type(each.error), each.total_count) for each in explanation.nodes]
    assert (root, others) == ((gs.NotFoundError, None), [(gs.NotFoundError, 7)] * 3)
    assert "failed" in str(explanation)
    assert "↑ NotFoundError: 404" in str(explanation)
    assert repr(explanation) == "<Explanation: 4 nodes, total failed>"


@pytest.mark.parametrize(("seconds", "took"), [(0, 0), (60, 1)], ids=["no catalog", "none in time"])
@virtual_time
async def test_an_explanation_needs_no_columns(seconds, took):
    """If the columns can't be had, or take longer than a second, the counts are explained without them."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds if b"/available_columns" in server.requests[nth - 1] else 0)
        writer.write(http())

    async with connected(behave) as (server, galileo):
        began = asyncio.get_running_loop().time()
        explanation = await galileo.explain(PROJECT, REFUND)
        assert took <= asyncio.get_running_loop().time() - began < took + 0.1
    assert [(each.total_count, each.complaint) for each in explanation.nodes] == [(7, "")]
