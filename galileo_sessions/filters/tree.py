"""The leaves of a filter, and the same tree with other leaves."""

from collections.abc import Callable
from typing import cast

from galileo_sessions.errors import FilterTypeError, brief
from galileo_sessions.filters import messages
from galileo_sessions.filters.nodes import And, Filter, LeafFilter, Not, Or


def leaves_of(where: Filter) -> tuple[LeafFilter, ...]:
    """
    The leaves of a filter in their order, from left to right; of `ALWAYS` and `NEVER` none.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    found: list[LeafFilter] = []
    _collect(_checked(where), found)
    return tuple(found)


def map_leaves(where: Filter, function: Callable[[LeafFilter], Filter]) -> Filter:
    """
    The same tree with other leaves, such as with a renamed column; `and`, `or` and `not` stay as they are.

    Args:
        where: The filter.
        function: Called for each leaf in its order. It returns the leaf itself, another one, or any filter.

    Returns:
        The tree; the very object where no leaf has changed.

    Raises:
        FilterTypeError: if `where` is no filter, or the function returns something else.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    where = _checked(where)
    if isinstance(where, And | Or):
        children = [map_leaves(child, function) for child in where.children]
        return where if all(map(_is, children, where.children)) else type(where)(children)
    if isinstance(where, Not):
        child = map_leaves(where.child, function)
        return where if child is where.child else Not(child)
    made = function(cast("LeafFilter", where))
    if not isinstance(made, Filter):
        raise FilterTypeError(messages.no_mapped_leaf(where, made))
    return made


def _is(one: object, other: object) -> bool:
    return one is other


def _checked(where: Filter) -> Filter:
    if isinstance(where, Filter):
        return where
    raise FilterTypeError(f"expected a filter, got {brief(where)}")


def _collect(where: Filter, found: list[LeafFilter]) -> None:
    if isinstance(where, And | Or):
        for child in where.children:
            _collect(child, found)
    elif isinstance(where, Not):
        _collect(where.child, found)
    else:
        found.append(cast("LeafFilter", where))
