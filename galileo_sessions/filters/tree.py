"""Walks through a filter; all other modules use this walk."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterTypeError
from galileo_sessions.filters import advice
from galileo_sessions.filters.nodes import And, Filter, LeafFilter, Not, Or

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a node in `dump_filter(where)`, such as ("and", 1, "not")."""
Tree: TypeAlias = Filter | tuple[LeafFilter, ...]
"""A filter, or the API's flat list of leaves."""

_KEYS: dict[type[object], str] = {And: "and", Or: "or", Not: "not"}


def key_of(node: Tree) -> str:
    """The key of a node in the API's JSON: and, or, not or filter."""
    return _KEYS.get(type(node), "filter")


def children(node: Tree) -> list[tuple[Path, Filter]]:
    """
    The nodes directly below a node, each with the path from the node to it. A leaf has none.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    if type(node) is Not:
        return [(("not",), node.child)]
    if type(node) is And or type(node) is Or:
        key = key_of(node)
        return [((key, i), child) for i, child in enumerate(node.children)]
    if isinstance(node, LeafFilter):
        return []
    if isinstance(node, tuple):
        return [((i,), leaf) for i, leaf in enumerate(node)]
    raise advice.expected_filter(node)


def walk(node: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Each node with the path to it: a parent before its children, the children from left to right."""
    yield path, node
    for step, child in children(node):
        yield from walk(child, path + step)


def nodes_at(tree: Tree, paths: Iterable[Path | None]) -> list[tuple[Path, Filter | None]]:
    """
    For each path, the node that it leads to, after the node's own path; None if it leads to no node.

    A path can also end with the key of its node.
    """
    places: dict[Path | None, tuple[Path, Filter | None]] = {}
    for path, node in walk(tree):  # a Not comes first, so its child takes over the path that ends with "not"
        if isinstance(node, Filter):
            places[*path, key_of(node)] = places[path] = path, node
    return [places.get(path, ((), None)) for path in paths]


def leaves_of(where: Filter) -> tuple[LeafFilter, ...]:
    """
    The leaves of a filter from left to right. `ALWAYS` and `NEVER` have none.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    return tuple([node for _, node in walk(where) if isinstance(node, LeafFilter)])


def map_leaves(where: Filter, function: Callable[[LeafFilter], Filter]) -> Filter:
    """
    The same tree with other leaves, for example with a renamed column. Each `and`, `or` and `not` stays.

    Args:
        where: The filter.
        function: Called with each leaf, from left to right. It returns the leaf itself, another leaf, or any filter.

    Returns:
        The new tree. A part whose leaves don't change is the same object as before.

    Raises:
        FilterTypeError: if `where` isn't a filter, or the function returns anything else.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    if isinstance(where, LeafFilter):
        made = function(where)
        if not isinstance(made, Filter):
            hint = "Return a filter, or the leaf itself to keep it"
            raise FilterTypeError(f"the function returned {brief(made)} for {brief(where)}. {hint}")
        return made
    before = [child for _, child in children(where)]
    after = [map_leaves(child, function) for child in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return where
    return Not(*after) if isinstance(where, Not) else And(after) if isinstance(where, And) else Or(after)
