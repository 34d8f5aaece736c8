"""Filters as trees: what their nodes print, compare and measure, laws of random trees, and drawings."""

import copy
import json
import operator
import pickle
import time
from functools import reduce
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.programs import STAR_IMPORT, USER, run
from support.strategies import combined, constructed, deepest, filters, leaves_drawn, nodes, truth

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, And, Col, Filter, Not, NumberFilter, Or, TextFilter, all_of, any_of
from galileo_sessions.filters.tree import draw_filter, map_leaves, walk

A = TextFilter("a", "eq", "x")
B = NumberFilter("b", "gt", 1)
C = Col("c").is_true()


@pytest.mark.parametrize(("start", "join"), [(ALWAYS, operator.and_), (NEVER, operator.or_)], ids=["and", "or"])
def test_a_loop_builds_10_000_leaves_in_well_under_a_second(start: Filter, join: Any) -> None:
    began = time.process_time()
    where = reduce(join, [A] * 10_000, start)
    assert time.process_time() - began < 2  # 0.3 s on a machine that has nothing else to do
    assert (2, 10_000) == (where.depth, where.size)


IS_X, ABOVE, DONE = "Col.text('a').eq('x')", "Col.number('b').gt(1)", "Col.boolean('c').eq(True)"
PRINTED = ["ALWAYS", "NEVER", f"{IS_X} & ({ABOVE} | {DONE})", f"~({IS_X} & {ABOVE})", f"~{IS_X}"]
PRINTED += [" & ".join([DONE] * 8), f"all_of([{', '.join([DONE] * 9)}])", f"~any_of([{', '.join([DONE] * 9)}])"]
# what no column and no operator makes
PRINTED += ["FullyAnnotatedFilter()", "TextFilter('a', 'one_of', [])", "TextFilter('', 'eq', 'x')"]
PRINTED += ["TextFilter('\\ud800', 'eq', 'x')"]
PRINTED += ["TextFilter('a', 'eq', '\\ud800')", "NumberFilter('b', 'between', [2, 1])", "Not(ALWAYS)", f"Not(~{IS_X})"]
PRINTED += [f"NumberFilter('b', 'between', [0.5, {2**60}])", f"And([{IS_X}])", f"Or([NEVER, {IS_X}])"]
PRINTED += [f"And([{IS_X} & {ABOVE}, {DONE}])"]
PRINTED += [f"Col.number('b').between(0.5, {2**53})", f"Col.number('b').between(1, {2**60})"]


@pytest.mark.parametrize("program", PRINTED)
def test_a_filter_prints_as_the_program_that_makes_it(program: str) -> None:
    assert program == repr(run(program)) == str(run(program))


def test_equality_is_by_structure() -> None:
    """Two filters made apart are one key; type, column, operator, value, case and order all count."""
    assert 1 == len({A & B, Col.text("a").eq("x") & Col("b").gt(1), And([A, B]), A & Col("b").gt(1.0)})
    texts = [TextFilter("a", "eq", value) for value in ("x", "y", ["x"])]
    others = [TextFilter("b", "eq", "x"), TextFilter("a", "ne", "x"), TextFilter("a", "eq", "x", case_sensitive=False)]
    others += [gs.CollectionFilter("a", "eq", "x"), gs.IdFilter("a", "eq", "x")]
    assert 13 == len({*texts, *others, Not(A), And([A]), Or([A]), And([A, B]), And([B, A])})
    assert A != "x"
    assert (A & B) & C == A & (B & C) == And([A, B, C])
    assert (A | B) | C == A | (B | C) == Or([A, B, C])
    assert 1 == len({gs.DateFilter("d", "eq", f"2026-01-31T{time}") for time in ("09:00:00Z", "10:00:00+01:00")})


@given(constructed | combined | deepest)
def test_a_filter_survives_in_each_form(where: Filter) -> None:
    """As JSON, unless an `And` or `Or` in it has no children; as its repr, evaluated or parsed; pickled or copied."""
    tree = gs.dump_filter(where)
    loaded = where
    if not {ALWAYS, NEVER} & {node for _, node in walk(where)}:
        loaded = gs.load_filter(json.loads(json.dumps(tree)))
    evaluated = eval(repr(where), dict(STAR_IMPORT))  # that this is safe to do is the promise
    copies = (gs.parse_filter(repr(where)), pickle.loads(pickle.dumps(where)), copy.deepcopy(where), copy.copy(where))
    for again in (loaded, evaluated, *copies):
        assert where == again
        assert hash(where) == hash(again)
        assert type(where) is type(again)
        assert (where.depth, where.size, repr(where)) == (again.depth, again.size, repr(again))
        assert json.dumps(tree) == json.dumps(gs.dump_filter(again))


@given(combined)
def test_always_never_and_a_double_negation_fold_away(where: Filter) -> None:
    assert where == ~~where
    assert where == (where & ALWAYS) == (ALWAYS & where) == (where | NEVER) == (NEVER | where)
    assert NEVER == (where & NEVER) == (NEVER & where)
    assert ALWAYS == (where | ALWAYS) == (ALWAYS | where)


@given(st.lists(filters | st.sampled_from([ALWAYS, NEVER]), max_size=4))
def test_all_of_and_any_of_are_the_operators_repeated(several: list[Filter]) -> None:
    assert reduce(operator.and_, several, ALWAYS) == all_of(several) == all_of(each for each in several)
    assert reduce(operator.or_, several, NEVER) == any_of(several) == any_of(each for each in several)


@given(filters | deepest)
def test_depth_and_size_are_those_of_the_tree(where: Filter) -> None:
    """Each and, or and not is a level; an empty `And` or `Or` counts as a leaf."""
    nodes = [*walk(where)]
    empty = [node for _, node in nodes if isinstance(node, And | Or) and not node.children]
    depth = 1 + max(sum(isinstance(step, str) for step in path) for path, _ in nodes)
    assert (depth, len(gs.leaves_of(where)) + len(empty)) == (where.depth, where.size)


RECORD = {"n": 1}
KNOWN = {Col("n").eq(2): 0, Col("m").eq(1): 1, Col("n").eq(1): 2}


def kleene(where: Filter) -> int:
    """Kleene's strong logic by arithmetic: false is 0, unknown 1, true 2."""
    match where:
        case And(children):
            return min(map(kleene, children), default=2)
        case Or(children):
            return max(map(kleene, children), default=0)
        case Not(child):
            return 2 - kleene(child)
        case leaf:
            return KNOWN[leaf]


@given(st.recursive(st.sampled_from([*KNOWN]), nodes, max_leaves=8))
def test_matches_is_three_valued_logic(where: Filter) -> None:
    assert [False, None, True][kleene(where)] is truth(where, RECORD)


def test_a_leaf_may_become_any_filter() -> None:
    """Any filter can replace a leaf, and nothing is folded; unchanged parts are the same objects."""
    assert And([Or([B, C]), Not(Or([B, C]))]) == map_leaves(A & ~A, lambda _: B | C)
    assert And([ALWAYS, B]) == map_leaves(A & B, lambda leaf: ALWAYS if leaf == A else leaf)
    both: Any = (A | B) & (B | C)
    seen: list[Filter] = []
    assert both is map_leaves(both, lambda leaf: seen.append(leaf) or leaf)
    assert gs.leaves_of(both) == tuple(seen) == (A, B, B, C)
    changed: Any = map_leaves(both, lambda leaf: leaf if leaf != A else C)
    assert changed.children[1] is both.children[1]
    assert changed.children[0] == Or([C, B])


X, SCORE = Col("input").contains("x"), Col("score").gt(3)
TREE = """\
and
├─ input contains 'x'   text
├─ not
│  └─ or
│     ├─ score > 3      number
│     └─ input == 'Y'   text, any case
└─ done == True         boolean"""
DRAWN: list[tuple[Filter, str]] = [
    (X & ~(SCORE | Col("input").eq("Y", case_sensitive=False)) & Col("done").is_true(), TREE),
    (ALWAYS, "always"),
    (Not(And([ALWAYS])), "not\n└─ and\n   └─ always"),
    (Col("metrics/a-b_c.d:e").lte(-1.5), "metrics/a-b_c.d:e <= -1.5   number"),
    (Col("a\n\x1b").gte(1), r"'a\n\x1b' >= 1   number"),
    (gs.TextFilter("", "eq", "\u202ex\0"), r"'' == '\u202ex\x00'   text"),
    (Col("n").between(1, 2.5), "n between 1 and 2.5   number"),
    (gs.FullyAnnotatedFilter(), "annotated by all members   fully_annotated"),
    (gs.NumberFilter("n", "between", [1]), "n between [1]   number"),
    (Col("t").not_in(list("abcdef")), "t not in ['a', 'b', 'c', 'd', ...]   text"),
    (Col.date("d").gt("2026-01-31T09:00Z"), "d > 2026-01-31T09:00:00+00:00   date"),
    (gs.FullyAnnotatedFilter([USER]), f"annotated by ['{USER}']   fully_annotated"),
    (Col("a").eq(10**1000), f"a == 1{37 * '0'}...{24 * '0'}…   number"),
    (
        ~Col("input").contains("a long text " * 50) & Col("c" * 500).one_of(["b" * 500] * 9),
        "and\n├─ not\n│  └─ input contains 'a long text a long text a long text a...t a long t…   text\n"
        f"└─ '{37 * 'c'}...{28 * 'c'}…   text",
    ),
]


@pytest.mark.parametrize(("where", "expected"), DRAWN, ids=lambda value: str(value)[:40])
def test_a_filter_is_drawn_as_a_tree(where: Filter, expected: str) -> None:
    """Leaves read as people say them, in 80 columns; ids are quoted only if necessary, and everything is printable."""
    assert draw_filter(where) == expected
    assert max(map(len, expected.splitlines())) <= 80


@given(filters | deepest)
def test_any_drawing_has_at_most_62_lines_all_of_them_printable(where: Filter) -> None:
    lines = draw_filter(where).splitlines()
    assert len(lines) <= 62
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


def test_what_is_cut_is_counted() -> None:
    flat = draw_filter(all_of(Col("n").gt(n) for n in range(10_000)))
    assert flat.endswith("├─ n > 58   number\n└─ … 9,941 more")
    assert 61 == len(flat.splitlines())
    nested = any_of(Col("n").gt(n) & ~(Col("m").lt(n) | Col("k").lt(n)) for n in range(3_000))
    for where in (nested, Not(all_of([nested, SCORE]))):
        drawing = draw_filter(where)
        assert len(drawing.splitlines()) <= 62
        assert where.size == leaves_drawn(drawing)


EVIL = ["<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>", "\"'><b>&lt;&amp;", "&#60;b>", "<!--", "]]>"]


@given(filters)
@example(any_of(Col(text).eq(text) & Col.collection(text).one_of([text, text]) for text in EVIL))
def test_html_of_any_filter_is_its_drawing(where: Filter) -> None:
    html = ElementTree.fromstring(where._repr_html_())
    assert ("pre", draw_filter(where), []) == (html.tag, html.text, [*html])
    assert where._repr_html_().encode()
    assert "monospace; line-height: 1.2; white-space: pre" in html.attrib["style"], "the branches must meet"
