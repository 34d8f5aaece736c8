"""The node that a 422's entry is about, and the filter drawn with the guilty leaves marked."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import anything, filters, leaves

from galileo_sessions import (
    ALWAYS,
    And,
    Col,
    Filter,
    Issue,
    Not,
    Or,
    all_of,
)
from galileo_sessions.client.explain import explain, node_at

X, SCORE = Col("input").contains("x"), Col("score").gt(3)
Path = tuple[int, ...]


def leaves_drawn(drawing: str) -> int:
    """The leaves of a drawing over number columns, those that are only counted included."""
    cut = [int(number.replace(",", "")) for number in re.findall("… ([0-9,]+) more", drawing)]
    return sum(cut) + sum(line.endswith(" number") for line in drawing.splitlines())


# ---- where a loc leads -----------------------------------------------------------------------------------------------

Step = str | int


def locs(where: Filter, path: Path = (), loc: tuple[Step, ...] = ("body", "filter_tree")) -> list[tuple[Any, ...]]:
    """Each node with its path and the loc that FastAPI gives it, which has class names in it."""
    match where:
        case And(children) | Or(children):
            below = (*loc, "AndNode", "and") if isinstance(where, And) else (*loc, "OrNode", "or")
        case Not(child):
            return [(where, path, loc), *locs(child, (*path, 0), (*loc, "NotNode", "not"))]
        case _:
            return [(where, path, loc), (where, path, (*loc, "FilterLeaf", "filter", where.type, "value", "list", 0))]
    here = [(where, path, loc), (where, path, below)]
    return here + [place for i, child in enumerate(children) for place in locs(child, (*path, i), (*below, i))]


@given(filters)
@settings(max_examples=100)
def test_each_loc_leads_to_its_node(where: Filter) -> None:
    """Whichever node a server means."""
    for node, path, loc in locs(where):
        assert (node, path) == node_at(where, (), loc)


@given(st.lists(leaves, min_size=1, max_size=3))
@settings(max_examples=50)
def test_each_loc_leads_to_its_flat_filter(flat: list[Filter]) -> None:
    """`filters` is a list of leaves."""
    for i, leaf in enumerate(flat):
        assert (leaf, (i,)) == node_at(ALWAYS, flat, ("body", "filters", i, leaf.type, "value", 3))


TREE = X & ~(SCORE | ~Not(Not(X)))


@pytest.mark.parametrize(
    "loc",
    [
        (),
        ("body",),
        ("body", "log_stream_id"),
        ("body", "filters", 0),
        ("filter_tree", "filter"),
        ("filter_tree", "or"),
        ("filter_tree", "not"),
        ("filter_tree", "and", 2),
        ("filter_tree", "and", -1),
        ("filter_tree", "and", True),
        ("filter_tree", "and", 1.0),
        ("filter_tree", "and", None),
        ("filter_tree", "and", [1]),
        ("filter_tree", "and", 0, 0),
        ("filter_tree", "and", 0, "NotNode", "not"),
        ("filter_tree", "and", 1, "filter"),
        ("filter_tree", "and", 1, 0),
        ("filter_tree", "and", 10**30),
    ],
    ids=str,
)
def test_a_loc_that_leads_nowhere_gives_none(loc: Any) -> None:
    """Such as those of the kinds of node that a server tried in vain."""
    assert node_at(TREE, (), loc) is None


@pytest.mark.parametrize(
    "loc", [("body", "filters"), ("body", "filters", 2), ("body", "filter_tree"), ("filters", "x")]
)
def test_a_loc_beside_the_flat_filters_gives_none(loc: Any) -> None:
    """Nor does the list itself count as a filter."""
    assert node_at(ALWAYS, [X, SCORE], loc) is None


def test_words_of_other_servers_are_skipped() -> None:
    """Class names, and tags that are the same as the keys."""
    assert (SCORE, (1, 0, 0)) == node_at(TREE, (), ("query", "filter_tree", 1, "not", "or", 0))
    assert (SCORE, (1, 0, 0)) == node_at(
        TREE, (), ("body", "q", "filter_tree", "and", "and", 1, "not", "not", "or", "or", 0, "filter", "filter", "or")
    )


SOME_STEPS = st.sampled_from(["body", "filter_tree", "filters", "and", "or", "not", "filter", "AndNode", 0, 1, 2, -1])


@given(filters, st.lists(leaves, max_size=2), st.lists(SOME_STEPS | anything, max_size=8), st.lists(st.text()))
@settings(max_examples=300)
def test_no_loc_raises(where: Filter, flat: list[Filter], loc: list[Any], messages: list[str]) -> None:
    """Whatever a server sends, there's a node or None, and a text that isn't long."""
    found = node_at(where, flat, tuple(loc))
    assert found is None or isinstance(found[0], Filter)
    text = explain([Issue(tuple(loc), message, "") for message in messages], where, flat)
    assert (text is None) == (not messages)
    assert text is None or all(line.isprintable() for line in text.split("\n"))


# ---- a 422 -----------------------------------------------------------------------------------------------------------


def issues(detail: str) -> list[Issue]:
    """A 422's entries, written as `type at loc: msg`, the loc in short."""
    words = {"A": "AndNode.and", "O": "OrNode.or", "N": "NotNode.not", "F": "FilterLeaf.filter", "T": "filter_tree"}
    made = []
    for line in detail.strip().splitlines():
        kind, loc, msg = re.fullmatch(r"\s*(\w+) at (\S+): (.*)", line).groups()  # type: ignore[union-attr]
        steps = ".".join(words.get(step, step) for step in loc.split("."))
        made.append(Issue(("body", *(int(step) if step.isdigit() else step for step in steps.split("."))), msg, kind))
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
BAD_VALUE = f"""
    missing at T.F: {MISSING}
    missing at T.A.1.F: {MISSING}
    missing at T.A.1.A: {MISSING}
    int_parsing at T.A.1.O.1.F.number.value.int: Input should be a valid integer, unable to parse string as an integer
    float_parsing at T.A.1.O.1.F.number.value.float: Input should be a valid number, unable to parse string as a number
    list_type at T.A.1.O.1.F.number.value.list[int]: Input should be a valid list
    list_type at T.A.1.O.1.F.number.value.list[float]: Input should be a valid list
    missing at T.A.1.O.1.A: {MISSING}
    missing at T.A.1.O.1.O: {MISSING}
    missing at T.A.1.O.1.N: {MISSING}
    missing at T.A.1.N: {MISSING}
    missing at T.O: {MISSING}
    missing at T.N: {MISSING}"""
TAG = "Input tag 'numeric' found using 'type' does not match any of the expected tags: 'id', 'date', 'number'"
UNKNOWN_TYPE = f"""
    missing at T.F: {MISSING}
    union_tag_invalid at T.A.1.F: {TAG}
    missing at T.A.1.A: {MISSING}
    missing at T.A.1.O: {MISSING}
    missing at T.A.1.N: {MISSING}
    missing at T.O: {MISSING}
    missing at T.N: {MISSING}"""
MISSING_COLUMN = UNKNOWN_TYPE.replace(
    f"union_tag_invalid at T.A.1.F: {TAG}", f"missing at T.A.1.F.text.column_id: {MISSING}"
)
BAD_SCOPE = "uuid_parsing at log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0"
BAD_FLAT = "enum at filters.1.number.operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'"

FIXTURES = {
    "bad operator under not": (BAD_OPERATOR, X & ~SCORE, (), """\
operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
and
├─ input contains 'x'   text
└─ not
   └─ score > 3         number
      ↑ operator"""),
    "bad value in nested or": (BAD_VALUE, X & (Col("score").gt(3) | Col("score").gt(4)), (), """\
value: Input should be a valid integer or a valid number or a valid list
and
├─ input contains 'x'   text
└─ or
   ├─ score > 3         number
   └─ score > 4         number
      ↑ value"""),
    "unknown type": (UNKNOWN_TYPE, X & SCORE, (), f"""\
{TAG}
and
├─ input contains 'x'   text
└─ score > 3            number
   ↑ here"""),
    "missing column_id": (MISSING_COLUMN, X & Col("input").eq("x"), (), """\
column_id: Field required
and
├─ input contains 'x'   text
└─ input == 'x'         text
   ↑ column_id"""),
    "bad log_stream_id": (
        BAD_SCOPE, X, (), "log_stream_id: Input should be a valid UUID, invalid character: found `n` at 0"
    ),
    "bad flat filter": (BAD_FLAT, ALWAYS, (X, Col("score").eq(3)), """\
operator: Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'
filters
├─ input contains 'x'   text
└─ score == 3           number
   ↑ operator"""),
}  # fmt: skip


@pytest.mark.parametrize(("detail", "where", "flat", "expected"), FIXTURES.values(), ids=FIXTURES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_422_names_the_guilty_leaf(detail: str, where: Filter, flat: Any, expected: str, seed: int) -> None:
    """Of ten entries the one that helps, in whatever order they come; the scope's fields by their names."""
    entries = issues(detail)
    if seed and detail != BAD_VALUE:  # whose messages are told in the server's order
        random.Random(seed).shuffle(entries)
    assert expected == explain(entries, where, flat)


def test_several_guilty_leaves_have_each_their_complaint() -> None:
    """And what isn't about the filter stands before."""
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
2 parts of the filter are refused
and
├─ input contains 'x'   text
│  ↑ value: Field required
└─ not
   └─ score > 3         number
      ↑ value: Field required; operator: no such operator"""
    assert expected == explain(issues(detail), X & ~SCORE, ())


def test_without_a_readable_loc_the_deepest_entry_is_told() -> None:
    """As it came."""
    detail = f"missing at T.O: {MISSING}\n missing at T.O.1.F.text.value: no text\n missing at T.N: {MISSING}"
    expected = "body.filter_tree.OrNode.or.1.FilterLeaf.filter.text.value: no text"
    assert expected == explain(issues(detail), X & ~SCORE, ())
    assert "too many\nfilters\n│  ↑ here\n└─ input contains 'x'   text" == explain(
        issues("too_long at filters: too many"), ALWAYS, (X,)
    )


def test_nothing_is_explained_without_issues() -> None:
    """None."""
    assert explain([], X, ()) is None


def test_an_explanation_is_bounded() -> None:
    """A server may complain of everything, at length."""
    where = all_of(Col("n").gt(n) for n in range(1_000))
    many = [Issue(("body", "filter_tree", "and", n), "long " * 500, "") for n in range(1_000)]
    fields = [Issue(("body", f"field{n}" * 500), "long " * 500, "") for n in range(1_000)]
    text = explain([*many, *fields], where, ())
    assert text is not None
    head, *lines = text.split("\n")
    assert len(head) <= 5_000
    assert head.endswith("; and 991 more")
    assert len(lines) <= 130
    assert 10 == text.count("↑")
    assert leaves_drawn(text) == 1_000
    assert "1,000 parts of the filter are refused" in str(explain(many, where, ()))
