"""A 422: its issues in all forms that a service sends, their nodes, and the filter drawn with what is wrong."""

from __future__ import annotations

import json
import pickle
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import client, failure, statuses
from support.sockets import http, raw_server
from support.strategies import filters, leaves, leaves_drawn

from galileo_sessions import ALWAYS, And, Col, Filter, Issue, Not, Or, ValidationError, all_of
from galileo_sessions.api.responses import issues_of

X, SCORE = Col("input").contains("x"), Col("score").gt(3)


def explained(entries: list[Any], where: Filter, flat: Any = ()) -> tuple[tuple[Issue, ...], str]:
    """The explanation of a 422 with these entries."""
    return issues_of(json.dumps({"detail": entries}).encode(), where, tuple(flat))


def nodes_at(locs: list[Any], where: Filter, flat: Any = ()) -> list[Filter | None]:
    """The node that each `loc` leads to."""
    issues, _ = explained([{"loc": loc, "msg": "wrong", "type": "x"} for loc in locs], where, flat)
    assert locs == [list(issue.loc) for issue in issues]
    return [issue.node for issue in issues]


Step = str | int


def places(where: Filter, loc: tuple[Step, ...] = ("body", "filter_tree")) -> list[tuple[Filter, list[Step]]]:
    """Each node with the locs that FastAPI gives it, which have class names in them."""
    match where:
        case And(children) | Or(children):
            below = (*loc, "AndNode", "and") if isinstance(where, And) else (*loc, "OrNode", "or")
        case Not(child):
            return [(where, [*loc]), *places(child, (*loc, "NotNode", "not"))]
        case _:
            return [(where, [*loc]), (where, [*loc, "FilterLeaf", "filter", where.type, "value", "list", 0])]
    here: list[tuple[Filter, list[Step]]] = [(where, [*loc]), (where, [*below])]
    return here + [place for i, child in enumerate(children) for place in places(child, (*below, i))]


@given(filters)
def test_each_loc_leads_to_its_node(where: Filter) -> None:
    """The `loc` of each node leads to it."""
    expected = places(where)[:1000]
    assert [node for node, _ in expected] == nodes_at([loc for _, loc in expected], where)


@given(st.lists(leaves, min_size=1, max_size=3))
def test_each_loc_leads_to_its_flat_filter(flat: list[Filter]) -> None:
    """A `loc` in `filters` leads to its leaf."""
    assert flat == nodes_at([["body", "filters", i, leaf.type, "value"] for i, leaf in enumerate(flat)], ALWAYS, flat)


TREE = X & ~(SCORE | ~Not(Not(X)))


NOWHERE: list[list[Any]] = [["filter"], ["or"], ["not"], ["and", 2], ["and", -1], ["and", 0, 0], ["and", 10**30], [1]]
NOWHERE += [["and", 0, "NotNode", "not"], ["and", 1, "filter"], ["and", 1, 0]]
ELSEWHERE = [[], ["body"], ["body", "log_stream_id"], ["body", "filters", 0], *(["filter_tree", *x] for x in NOWHERE)]


@pytest.mark.parametrize("loc", ELSEWHERE, ids=str)
def test_a_loc_that_leads_nowhere_gives_none(loc: Any) -> None:
    """A `loc` that leads to no node gives None, as for kinds of node that the server tried."""
    assert nodes_at([loc], TREE) == [None]
    assert nodes_at([["body", "filters", 2], ["body", "filters"], loc], ALWAYS, [X, SCORE])[:2] == [None, None]


STEPS = st.sampled_from(["body", "filter_tree", "filters", "and", "or", "not", "filter", "AndNode", 0, 1, 2, -1])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["loc", "msg", "type", "detail"]) | st.text(), inner)
    ),
    max_leaves=10,
)


@given(filters, st.lists(leaves, max_size=2), st.lists(STEPS | JSON, max_size=8), st.lists(st.text()), JSON)
def test_whatever_a_server_sends_is_explained(
    where: Filter, flat: list[Filter], loc: list[Any], messages: list[str], other: Any
) -> None:
    """Each entry has a node or None, and the text is printable; without entries of FastAPI's form, there is none."""
    issues, text = explained([*({"loc": loc, "msg": msg, "type": ""} for msg in messages), other], where, flat)
    assert all(issue.node is None or isinstance(issue.node, Filter) for issue in issues)
    assert bool(text) is bool(issues)
    assert all(line.isprintable() for line in text.split("\n"))
    for body in (json.dumps(other), json.dumps({"detail": other})):
        _ = issues_of(body.encode(), where, tuple(flat))  # type: ignore[arg-type]


def entries_of(detail: str) -> list[dict[str, Any]]:
    """A 422's entries, written as `type at loc: msg`, the loc in short."""
    words = {"A": "AndNode.and", "O": "OrNode.or", "N": "NotNode.not", "F": "FilterLeaf.filter", "T": "filter_tree"}
    made = []
    for line in detail.strip().splitlines():
        kind, loc, msg = re.fullmatch(r"\s*(\w+) at (\S+): (.*)", line).groups()  # type: ignore[union-attr]
        steps = ".".join(words.get(step, step) for step in loc.split("."))
        loc = ["body", *(int(step) if step.isdigit() else step for step in steps.split("."))]
        made.append({"loc": loc, "msg": msg, "type": kind})
    return made


# Real answers of FastAPI, as in the shared fixtures; each filter is broken in the place that the first word names.
MISSING = "Field required"
BAD_OPERATOR = f"""
    missing at T.F: {MISSING}
    missing at T.A.1.F: {MISSING}
    missing at T.A.1.A: {MISSING}
    missing at T.A.1.O: {MISSING}
    enum at T.A.1.N.F.number.operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
    missing at T.A.1.N.A: {MISSING}
    missing at T.A.1.N.O: {MISSING}
    missing at T.A.1.N.N: {MISSING}
    missing at T.O: {MISSING}
    missing at T.N: {MISSING}"""
BAD_SCOPE = "uuid_parsing at log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0"
BAD_FLAT = "enum at filters.1.number.operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'"

FIXTURES = {
    "bad operator under not": (BAD_OPERATOR, X & ~SCORE, (), """\
operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
and
├─ input contains 'x'   text
└─ not
   └─ score > 3         number
      ↑ operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or
        'between'"""),
    "bad log_stream_id": (
        BAD_SCOPE, X, (), "log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0"
    ),
    "bad flat filter": (BAD_FLAT, ALWAYS, (X, Col("score").eq(3)), """\
operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
filters
├─ input contains 'x'   text
└─ score == 3           number
   ↑ operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'"""),
}  # fmt: skip


@pytest.mark.parametrize(("detail", "where", "flat", "expected"), FIXTURES.values(), ids=FIXTURES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_422_names_the_guilty_leaf(detail: str, where: Filter, flat: Any, expected: str, seed: int) -> None:
    """The useful entry is shown, in whatever order the entries come; ids of the scope are named."""
    entries = entries_of(detail)
    random.Random(seed).shuffle(entries)
    assert expected == explained(entries, where, flat)[1]


def test_several_guilty_leaves_have_each_their_complaint() -> None:
    """Entries that aren't about the filter come first; a node isn't marked if a node below it is."""
    detail = f"""
        missing at T.A.0.F.text.value: {MISSING}
        missing at T.A.1.N.F.number.value: {MISSING}
        enum at T.A.1.N.F.number.operator: no such operator
        too_long at T.A: shadowed by what is below
        {BAD_SCOPE}
        {BAD_SCOPE}
        json_invalid at x: what
        model_type at T.O.1.F: no or is here"""
    expected = """\
log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0; x: what; \
value: Field required; value: Field required; operator: no such operator
and
├─ input contains 'x'   text
│  ↑ value: Field required
└─ not
   └─ score > 3         number
      ↑ value: Field required; operator: no such operator"""
    assert expected == explained(entries_of(detail), X & ~SCORE)[1]


def test_without_a_readable_loc_the_deepest_entry_is_told() -> None:
    """If no `loc` leads to a node, the deepest entry is shown as it came."""
    detail = f"missing at T.O: {MISSING}\n missing at T.O.1.F.text.value: no text\n missing at T.N: {MISSING}"
    expected = "filter_tree.OrNode.or.1.FilterLeaf.filter.text.value: no text"
    assert expected == explained(entries_of(detail), X & ~SCORE)[1]
    assert "filters: too many" == explained(entries_of("too_long at filters: too many"), ALWAYS, (X,))[1]


def test_an_explanation_is_bounded() -> None:
    """An explanation is short, even if the server complains of every leaf at length."""
    where = all_of(Col("n").gt(n) for n in range(1_000))
    many = [{"loc": ["body", "filter_tree", "and", n], "msg": f"{n} long " * 20, "type": ""} for n in range(1_001)]
    fields = [{"loc": ["body", f"field{n}" * 50], "msg": "long " * 5, "type": ""} for n in range(50)]
    issues, text = explained([*fields, *many], where)
    assert 1_000 == len(issues)
    head, *lines = text.split("\n")
    assert len(head) <= 5_000
    assert head.endswith("; and 990 more")
    assert len(lines) <= 150
    assert 10 == text.count("↑")
    huge = [{"loc": ["body"], "msg": "m" * 2_048, "type": "t" * 2_048}] * 1_000
    issues, _ = explained(huge, where)
    assert {500} == {len(issue.msg) for issue in issues}
    assert 200_000 < len(repr(issues)) < 300_000
    assert "more" not in explained(fields[:10], where)[1].split("\n")[0]
    assert leaves_drawn(text) == 1_000


ISSUE = {"loc": ["body", "filters", 0, "number", "value"], "msg": "not a number", "type": "float_type", "input": "x"}


@pytest.mark.parametrize(
    ("body", "issues", "words"),
    [
        pytest.param(json.dumps({"detail": [3, ISSUE, {"loc": 3}]}), 1, ["filters.0.number.value: not"], id="list"),
        pytest.param('{"detail": "what it says"}', 0, ["what it says"], id="string"),
        pytest.param('{"detail": null, "standard_error": {"message": "so"}}', 0, [": so ("], id="null-and-standard"),
        pytest.param('{"standard_error": 3}', 0, ["standard_error"], id="odd"),
        pytest.param("{", 0, ["'{'"], id="cut"),
        pytest.param('{"detail": [1, {"loc": 3}]}', 0, ["loc"], id="no-entries"),
        pytest.param("[" * 99_999, 0, ["[["], id="deep"),
        pytest.param("", 0, ["an empty body"], id="empty"),
        pytest.param("x" * 10_000_000, 0, ["xxx"], id="10MB"),
    ],
)
async def test_422_in_all_its_forms(body, issues, words):
    """A 422 shows its issue, or at most 2 KiB of its text, and isn't retried."""
    async with raw_server(http(422, body)) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), len(error.issues), statuses(error)) == (ValidationError, issues, [422])
    assert len(server.requests) == 1
    assert [word for word in words if word not in str(error)] == []
    assert error.body == body[:2048]
    assert len(str(error)) < 1_000
    assert len(pickle.dumps(error)) < 20_000


async def test_a_422_is_drawn_on_the_filter():
    """The text has the title, what is wrong, and the drawing; `.issues` has all entries."""
    async with raw_server(http(422, json.dumps({"detail": entries_of(BAD_OPERATOR)}))) as server:
        async with client(server.url) as galileo:
            error = await failure(galileo, where=X & ~SCORE)
    title, _, drawing = error.message.partition(": ")
    assert title.startswith("422 Unprocessable ")  # Entity, or Content since Python 3.13
    assert title.endswith(f" from {server.url}")
    assert drawing == FIXTURES["bad operator under not"][-1]
    assert (len(error.issues), error.issues[4].node) == (10, SCORE)
