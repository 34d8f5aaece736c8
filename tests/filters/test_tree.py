"""The leaves of a filter, and the same tree with others."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from support.sockets import PROJECT
from support.strategies import combined, constructed, deepest

import galileo_sessions as gs
from galileo_sessions import ALWAYS, And, Col, CountQuery, Filter, FilterTypeError, Not, Or, leaves_of, map_leaves
from galileo_sessions.filters.tree import key_of, walk

A, B, C = Col("a").gt(1), Col("b").lt(2), Col("c").eq("x")


def renamed(leaf: gs.LeafFilter) -> Filter:
    """The leaf with another column, if it has one."""
    return (
        leaf if isinstance(leaf, gs.FullyAnnotatedFilter) else attrs.evolve(leaf, column_id=f"metrics/{leaf.column_id}")
    )


def test_leaves_come_in_their_order() -> None:
    """Leaves come from left to right, repeated ones included; ALWAYS and NEVER have none."""
    assert (A, B, A, C) == leaves_of(A & (B | ~A) & Not(Not(C)))
    assert (A,) == leaves_of(A)
    assert () == leaves_of(ALWAYS)
    assert () == leaves_of(And([Or([]), Not(gs.NEVER)]))


FUNCTIONS: list[Any] = [
    gs.dump_filter,
    gs.draw_filter,
    leaves_of,
    gs.ColumnCatalog(()).check,
    CountQuery,
    gs.matches,
    map_leaves,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("value", [{"a": 1}, [A], Col("a"), "a > 1", 3], ids=repr)
def test_only_filters_are_taken(function: Any, value: Any) -> None:
    """Each function that takes a filter refuses what is none, and says so; so do swapped arguments."""
    arguments = {CountQuery: (PROJECT, value), gs.matches: (value, A), map_leaves: (value, renamed)}
    with pytest.raises(FilterTypeError, match="is not a filter|not yet a filter"):
        function(*arguments.get(function, (value,)))


@given(constructed | deepest)
def test_a_path_leads_to_its_node_in_the_json(where: Filter) -> None:
    """The walk has each node once, and its path leads to it in `dump_filter(where)`."""
    dumped = gs.dump_filter(where)
    found: list[Any] = []
    for path, node in walk(where):
        tree: Any = dumped
        for step in path:
            tree = tree[step]
        assert [key_of(node)] == list(tree)
        found.append(path)
    assert () == found[0]
    assert len(found) == len(set(found))


@given(constructed | deepest)
def test_leaves_are_mapped_in_the_order_of_leaves_of(where: Filter) -> None:
    """`map_leaves` calls the function once for each leaf, in the order of `leaves_of`."""
    seen: list[Filter] = []

    def see(leaf: gs.LeafFilter) -> Filter:
        seen.append(leaf)
        return leaf

    assert where is map_leaves(where, see)
    assert leaves_of(where) == tuple(seen)


@given(combined)
def test_the_tree_stays(where: Filter) -> None:
    """`map_leaves` changes the leaves, and nothing else."""
    made = map_leaves(where, renamed)
    assert tuple(map(renamed, leaves_of(where))) == leaves_of(made)
    assert (where.depth, where.size) == (made.depth, made.size)


def test_a_leaf_may_become_any_filter() -> None:
    """Any filter can replace a leaf, and nothing is folded."""
    assert And([Or([B, C]), Not(Or([B, C]))]) == map_leaves(A & ~A, lambda _: B | C)
    assert And([ALWAYS, B]) == map_leaves(A & B, lambda leaf: ALWAYS if leaf == A else leaf)
    assert Not(C) == map_leaves(~A, lambda _: C)
    assert C is map_leaves(A, lambda _: C)


def test_the_unchanged_part_is_the_very_object() -> None:
    """Unchanged parts are the same objects, so that one leaf doesn't copy a large filter."""
    changed = map_leaves(all_three := (A | B) & (B | C), lambda leaf: leaf if leaf != A else C)
    assert isinstance(changed, And)
    assert isinstance(all_three, And)
    assert changed.children[1] is all_three.children[1]
    assert changed.children[0] == Or([C, B])


def test_what_does_not_fit_is_refused() -> None:
    """Other values, a function that returns None and a tree that gets too deep are refused."""
    nothing: Any = lambda _: None  # noqa: E731
    with pytest.raises(
        FilterTypeError, match=r"the function returned None for Col.number\('a'\).gt\(1\)\nhint: Return a filter"
    ):
        map_leaves(A & B, nothing)
    tall: Filter = A
    for _ in range(99):
        tall = Not(tall)
    with pytest.raises(gs.FilterTooLargeError, match="at most 100 levels"):
        map_leaves(tall, Not)
