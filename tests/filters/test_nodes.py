"""The nodes of filters: what they are made as, print, compare and measure, and their laws over random trees."""

import copy
import json
import operator
import pickle
import time
from enum import StrEnum
from functools import reduce
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import STAR_IMPORT, USER, run
from support.strategies import combined, constructed, deepest, filters, records, small, truth

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, And, Col, DateFilter, Filter, Not, NumberFilter, Or, TextFilter, dump_filter

A = TextFilter("a", "eq", "x")
B = NumberFilter("b", "gt", 1)


def test_an_operator_from_an_enumeration_becomes_plain_text() -> None:
    assert str is type(attrs.evolve(A, operator=StrEnum("Operator", {"NE": "ne"}).NE).operator)


@pytest.mark.parametrize(("start", "join"), [(ALWAYS, operator.and_), (NEVER, operator.or_)], ids=["and", "or"])
def test_a_loop_builds_10_000_leaves_in_well_under_a_second(start: Filter, join: Any) -> None:
    """& and | in a loop take time that hardly grows with the filter; the levels don't grow."""
    began = time.process_time()
    where = reduce(join, [A] * 10_000, start)
    assert time.process_time() - began < 2  # 0.3 s on a machine that has nothing else to do
    assert (2, 10_000) == (where.depth, where.size)


IS_X, ABOVE, DONE = "Col.text('a').eq('x')", "Col.number('b').gt(1)", "Col.boolean('c').eq(True)"
PRINTED = [IS_X, "Col.text('a').contains('x', case_sensitive=False)", "Col.collection('a').not_in(['x'])"]
PRINTED += ["Col.number('b').between(1, 2.5)", "Col.date('d').gte('2026-01-31T09:00:00+05:30')", "ALWAYS", "NEVER"]
PRINTED += [f"{IS_X} & ({ABOVE} | {DONE})", f"~({IS_X} & {ABOVE})", f"~{IS_X}"]
PRINTED += [" & ".join([DONE] * 8), f"all_of([{', '.join([DONE] * 9)}])", f"~any_of([{', '.join([DONE] * 9)}])"]
# what no column and no operator makes
PRINTED += [f"FullyAnnotatedFilter(user_ids=['{USER}'])", "FullyAnnotatedFilter()", "TextFilter('a', 'eq', ['x'])"]
PRINTED += ["TextFilter('a', 'one_of', [])", "TextFilter('', 'eq', 'x')", "TextFilter('a', 'eq', '\\ud800')"]
PRINTED += ["NumberFilter('b', 'between', [2, 1])", f"NumberFilter('b', 'between', [0.5, {2**60}])"]
PRINTED += [
    f"Not(~{IS_X})",
    "Not(ALWAYS)",
    f"And([{IS_X}])",
    f"Or([NEVER, {IS_X}])",
    f"And([{IS_X} & {ABOVE}, {DONE}])",
]


@pytest.mark.parametrize("program", PRINTED)
def test_a_filter_prints_as_the_program_that_makes_it(program: str) -> None:
    """The repr uses columns and operators if they can make the filter, and otherwise constructors."""
    assert program == repr(run(program)) == str(run(program))


def test_equality_is_by_structure() -> None:
    """Two filters made apart are one key; type, column, operator, value, case and order all count."""
    assert 1 == len({A & B, Col.text("a").eq("x") & Col("b").gt(1), And([A, B])})
    texts = [TextFilter("a", "eq", value) for value in ("x", "y", ["x"])]
    others = [TextFilter("b", "eq", "x"), TextFilter("a", "ne", "x"), TextFilter("a", "eq", "x", case_sensitive=False)]
    others += [gs.CollectionFilter("a", "eq", "x"), gs.IdFilter("a", "eq", "x")]
    assert 13 == len({*texts, *others, Not(A), And([A]), Or([A]), And([A, B]), And([B, A])})
    assert A != "x"
    assert DateFilter("d", "eq", "2026-01-31T09:00:00Z") == DateFilter("d", "eq", "2026-01-31T10:00:00+01:00")


# ---- laws ------------------------------------------------------------------------------------------------------------


@given(constructed | combined | deepest)
def test_a_filter_survives_in_each_form(where: Filter) -> None:
    """What was dumped and loaded, evaluated or parsed from the repr, pickled or copied, equals the filter."""
    tree = dump_filter(where)
    loaded = gs.load_filter(json.loads(json.dumps(tree)))
    evaluated = eval(repr(where), dict(STAR_IMPORT))  # that this is safe to do is the promise
    copies = (gs.parse_filter(repr(where)), pickle.loads(pickle.dumps(where)), copy.deepcopy(where), copy.copy(where))
    for again in (loaded, evaluated, *copies):
        assert where == again
        assert hash(where) == hash(again)
        assert type(where) is type(again)
        assert (where.depth, where.size, repr(where)) == (again.depth, again.size, repr(again))
        assert json.dumps(tree) == json.dumps(dump_filter(again))


@given(filters | small, filters | small)
def test_filters_that_differ_are_unequal_and_dump_otherwise(one: Filter, other: Filter) -> None:
    """Equality is that of what is sent: numbers as Python compares them, dates as instants."""
    if one == other:
        assert hash(one) == hash(other)
        assert type(one) is type(other)
    else:
        assert json.dumps(dump_filter(one)) != json.dumps(dump_filter(other))


@given(filters, filters, filters)
def test_joining_is_associative(one: Filter, two: Filter, three: Filter) -> None:
    assert (one & two) & three == one & (two & three)
    assert (one | two) | three == one | (two | three)


@given(combined)
def test_always_never_and_a_double_negation_fold_away(where: Filter) -> None:
    """ALWAYS is neutral to & and absorbs |, NEVER the other way round; ~~f is f."""
    assert where == ~~where
    assert where == (where & ALWAYS) == (ALWAYS & where) == (where | NEVER) == (NEVER | where)
    assert NEVER == (where & NEVER) == (NEVER & where)
    assert ALWAYS == (where | ALWAYS) == (ALWAYS | where)


def is_normal(where: Filter, above: type[Filter] | None = None) -> bool:
    """Whether a tree has no nested connective of one kind, no lone child, no double negation, nothing empty within."""
    match where:
        case And(children) | Or(children):
            lone = len(children) == 1 or (not children and above is not None)
            return type(where) is not above and not lone and all(is_normal(child, type(where)) for child in children)
        case Not(child):
            return above is not Not and is_normal(child, Not)
        case _:
            return True


@given(combined)
def test_operators_make_normal_form(where: Filter) -> None:
    """Same connectives flatten, a lone child stands alone, ALWAYS and NEVER are never inside."""
    assert is_normal(where)


@given(st.lists(filters | st.sampled_from([ALWAYS, NEVER]), max_size=4))
def test_all_of_and_any_of_are_the_operators_repeated(several: list[Filter]) -> None:
    assert reduce(operator.and_, several, ALWAYS) == gs.all_of(several) == gs.all_of(iter(several))
    assert reduce(operator.or_, several, NEVER) == gs.any_of(several) == gs.any_of(iter(several))


@given(filters | deepest)
def test_depth_and_size_are_those_of_the_tree(where: Filter) -> None:
    """Levels and leaves are known on every node; an empty connective counts as a leaf."""

    def measured(node: Filter) -> tuple[int, int]:
        below = node.children if isinstance(node, And | Or) else (node.child,) if isinstance(node, Not) else ()
        measures = [measured(child) for child in below]
        return 1 + max((depth for depth, _ in measures), default=0), sum(size for _, size in measures) or 1

    assert measured(where) == (where.depth, where.size)


def kleene(where: Filter, record: dict[str, Any]) -> bool | None:
    """Kleene's strong logic by arithmetic: false 0, unknown 1, true 2; `and` is min, `or` is max, `not` is 2 - x."""

    def rank(node: Filter) -> int:
        if isinstance(node, And):
            return min([rank(child) for child in node.children], default=2)
        if isinstance(node, Or):
            return max([rank(child) for child in node.children], default=0)
        if isinstance(node, Not):
            return 2 - rank(node.child)
        return {False: 0, None: 1, True: 2}[truth(node, record)]

    return (False, None, True)[rank(where)]


@given(small | filters, records | st.dictionaries(st.text(max_size=2), st.integers() | st.text(max_size=3) | st.none()))
def test_matches_is_three_valued_logic(where: Filter, record: dict[str, Any]) -> None:
    """The truth of any tree is Kleene's: a missing value makes neither true nor false. Each record has an answer."""
    assert kleene(where, record) == truth(where, record)
