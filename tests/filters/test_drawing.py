"""Filters as trees, and a 422's complaint at the leaf that it is about."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import USER, anything, deepest, filters, leaves

from galileo_sessions import (
    ALWAYS,
    NEVER,
    And,
    Col,
    Filter,
    FilterTypeError,
    FullyAnnotatedFilter,
    Issue,
    Not,
    NumberFilter,
    Or,
    TextFilter,
    all_of,
    any_of,
)
from galileo_sessions.client.problems import explain, node_at
from galileo_sessions.filters.drawing import draw, draw_filter, html_of_filter

X, SCORE = Col("input").contains("x"), Col("score").gt(3)
Path = tuple[int, ...]

# ---- drawings --------------------------------------------------------------------------------------------------------


def test_a_filter_is_drawn_as_a_tree() -> None:
    """A line for each leaf and connective, the types in a column of their own."""
    where = X & ~(SCORE | Col("input").eq("Y", case_sensitive=False)) & Col("done").is_true()
    expected = """\
and
├─ input contains 'x'   text
├─ not
│  └─ or
│     ├─ score > 3      number
│     └─ input == 'Y'   text, any case
└─ done == True         boolean"""
    assert expected == draw_filter(where)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (ALWAYS, "always"),
        (NEVER, "never"),
        (Not(And([ALWAYS])), "not\n└─ and\n   └─ always"),
        (Col("metrics/a-b_c.d:e").lte(-1.5), "metrics/a-b_c.d:e <= -1.5   number"),
        (Col("a b").ne(1), "'a b' != 1   number"),
        (Col("a\n\x1b").gte(1), r"'a\n\x1b' >= 1   number"),
        (Col("été").lt(1), "été < 1   number"),
        (TextFilter("", "eq", ""), "'' == ''   text"),
        (Col("n").between(1, 2.5), "n between 1 and 2.5   number"),
        (NumberFilter("n", "between", [1]), "n between [1]   number"),
        (NumberFilter("n", "eq", [1, 2]), "n == [1, 2]   number"),
        (Col.collection("t").one_of(["a", "b"]), "t one of ['a', 'b']   collection"),
        (Col("t").not_in(list("abcdef")), "t not in ['a', 'b', 'c', 'd', ...]   text"),
        (Col.date("d").gt("2026-01-31T09:00Z"), "d > 2026-01-31T09:00:00+00:00   date"),
        (Col.id("id").eq(USER), f"id == '{USER}'   id"),
        (FullyAnnotatedFilter(), "annotated by all members   fully_annotated"),
        (FullyAnnotatedFilter([USER]), f"annotated by ['{USER}']   fully_annotated"),
        (Col("a").eq("\u202ex\0"), r"a == '\u202ex\x00'   text"),
        (Col("a").eq(10**1000), "a == <an int of 3,322 bits>   number"),
    ],
    ids=lambda value: value.splitlines()[0] if isinstance(value, str) else "",
)
def test_each_kind_of_leaf_is_drawn(where: Filter, expected: str) -> None:
    """As people say it; column ids in quotes only where they need them, nothing unprintable."""
    assert draw_filter(where) == expected


def test_long_values_are_shortened_to_80_columns() -> None:
    """And column ids too."""
    where = ~Col("input").contains("a long text " * 50) & Col("c" * 500).one_of(["b" * 500] * 9) & Not(SCORE)
    drawing = draw_filter(where)
    assert all(len(line) <= 80 for line in drawing.splitlines())
    assert drawing.splitlines()[2].startswith("│  └─ input contains 'a long text a long text")


@pytest.mark.parametrize("value", [None, 3, "ALWAYS", Col("a"), [X]])
def test_only_filters_are_drawn(value: Any) -> None:
    """Anything else is a FilterTypeError."""
    with pytest.raises(FilterTypeError, match="expected a filter, got"):
        draw_filter(value)


@given(filters | deepest)
@settings(deadline=None, max_examples=150)
def test_any_filter_has_a_short_printable_drawing(where: Filter) -> None:
    """About 60 lines, whatever it holds, each of them printable."""
    lines = draw_filter(where).splitlines()
    assert len(lines) <= 62
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


def leaves_drawn(drawing: str) -> int:
    """The leaves of a drawing over number columns, those that are only counted included."""
    cut = [int(number.replace(",", "")) for number in re.findall("… ([0-9,]+) more", drawing)]
    return sum(cut) + sum(line.endswith(" number") for line in drawing.splitlines())


def test_what_is_cut_is_counted() -> None:
    """The first leaves are drawn, wherever in the tree the others are."""
    flat = draw_filter(all_of(Col("n").gt(n) for n in range(10_000)))
    assert flat.endswith("├─ n > 57   number\n└─ … 9,942 more")
    assert 60 == len(flat.splitlines())
    nested = any_of(Col("n").gt(n) & ~(Col("m").lt(n) | Col("k").lt(n)) for n in range(3_000))
    left: Filter = SCORE
    for n in range(49):
        left = And([Or([left, Col("n").gt(n)]), Col("m").gt(n)])
    for where in (nested, left, Not(all_of([nested, SCORE]))):
        drawing = draw_filter(where)
        assert len(drawing.splitlines()) <= 62
        assert where.size == leaves_drawn(drawing)


# ---- marks -----------------------------------------------------------------------------------------------------------


def test_marks_stand_under_their_nodes() -> None:
    """With the complaint, wrapped and printable; those of a connective before its children."""
    where = X & ~SCORE & (Col("a").eq("b") | Col("c").eq("d"))
    marks = {(1, 0): "value: not\na number " + "and so on " * 9, (2,): "too long", (): "too deep"}
    expected = """\
and
│  ↑ too deep
├─ input contains 'x'   text
├─ not
│  └─ score > 3         number
│     ↑ value: not\\na number and so on and so on and so on and so on and so on
│       and so on and so on and so on and so on
└─ or
   │  ↑ too long
   ├─ a == 'b'          text
   └─ c == 'd'          text"""
    assert expected == draw(where, marks)
    expected = """\
filters
├─ input contains 'x'   text
└─ score > 3            number
   ↑ here"""
    assert expected == draw((X, SCORE), {(1,): "here"})
    assert len(draw(X, {(): "x " * 1000}).splitlines()) == 9


def test_marked_leaves_are_drawn_wherever_the_tree_is_cut() -> None:
    """What lies between is counted."""
    where = any_of(Col("n").gt(n) & ~Col("m").lt(n) for n in range(5_000))
    marks = {(4000, 1, 0): "first", (4001,): "second", (4999, 0): "third"}
    drawing = draw(where, marks)
    expected = """
├─ … 7,970 more
├─ and
│  ├─ … 1 more
│  └─ not
│     └─ m < 4000   number
│        ↑ first
├─ and
│  │  ↑ second
│  └─ … 2 more
├─ … 1,994 more
└─ and
   ├─ n > 4999      number
   │  ↑ third
   └─ … 1 more"""
    assert drawing.endswith(expected)
    assert where.size == leaves_drawn(drawing)


# ---- HTML ------------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What HTML a text holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Notes it."""
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        """Notes it."""
        self.text += data


EVIL = ["<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>", "\"'><b>&lt;&amp;", "&#60;b>", "<!--", "]]>"]


@pytest.mark.parametrize("text", EVIL)
def test_html_is_inert(text: str) -> None:
    """Hostile column ids and values are text, and read as they were written."""
    where = Col(text).eq(text) & Col.collection(text).one_of([text, text])
    html = Tags(html_of_filter(where))
    assert ([("pre", [])], draw_filter(where)) == (html.tags, html.text)


@given(filters)
@settings(deadline=None, max_examples=50)
def test_html_of_any_filter_is_its_drawing(where: Filter) -> None:
    """In one pre."""
    html = Tags(html_of_filter(where))
    assert ([("pre", [])], draw_filter(where)) == (html.tags, html.text)


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
@settings(deadline=None, max_examples=100)
def test_each_loc_leads_to_its_node(where: Filter) -> None:
    """Whichever node a server means."""
    for node, path, loc in locs(where):
        assert (node, path) == node_at(where, (), loc)


@given(st.lists(leaves, min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
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
@settings(deadline=None, max_examples=300)
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
