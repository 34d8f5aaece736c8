"""Laws of filters, over trees drawn at random."""

from __future__ import annotations

import copy
import json
import pickle
from functools import reduce
from operator import and_, or_
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.programs import STAR_IMPORT
from support.strategies import combined, constructed, deepest, filters, records, small, truth

from galileo_sessions import ALWAYS, NEVER, And, Filter, Not, Or, all_of, any_of, dump_filter, load_filter, parse_filter

Record = dict[str, Any]
Truth = bool | None


@given(constructed | combined | deepest)
def test_a_filter_survives_in_each_form(where: Filter) -> None:
    """What was dumped and loaded, evaluated or parsed from the repr, pickled or copied, equals the filter."""
    tree = dump_filter(where)
    loaded = load_filter(json.loads(json.dumps(tree)))
    evaluated = eval(repr(where), dict(STAR_IMPORT))  # that this is safe to do is the promise
    copies = (parse_filter(repr(where)), pickle.loads(pickle.dumps(where)), copy.deepcopy(where), copy.copy(where))
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
    """How filters are grouped under one connective makes no difference."""
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
    """all_of means a & b & …, and any_of means a | b | …."""
    assert reduce(and_, several, ALWAYS) == all_of(several) == all_of(iter(several))
    assert reduce(or_, several, NEVER) == any_of(several) == any_of(iter(several))


@given(filters | deepest)
def test_depth_and_size_are_those_of_the_tree(where: Filter) -> None:
    """Levels and leaves are known on every node; an empty connective counts as a leaf."""

    def measured(node: Filter) -> tuple[int, int]:
        below = node.children if isinstance(node, And | Or) else (node.child,) if isinstance(node, Not) else ()
        measures = [measured(child) for child in below]
        return 1 + max((depth for depth, _ in measures), default=0), sum(size for _, size in measures) or 1

    assert measured(where) == (where.depth, where.size)


def kleene(where: Filter, record: Record) -> Truth:
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
def test_matches_is_three_valued_logic(where: Filter, record: Record) -> None:
    """The truth of any tree is Kleene's: a missing value makes neither true nor false. Each record has an answer."""
    assert kleene(where, record) == truth(where, record)
