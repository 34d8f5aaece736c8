"""
Walks through a filter, and its drawing: an indented tree, with complaints below the nodes that they are about.

::

    and
    ├─ input contains 'x'   text
    └─ not
       └─ score > 3         number
          ↑ value
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from galileo_sessions import display
from galileo_sessions.display import brief, shortened
from galileo_sessions.errors import FilterTypeError
from galileo_sessions.filters import advice
from galileo_sessions.filters.kinds import RANGE_OPERATORS, SYMBOLS
from galileo_sessions.filters.nodes import And, Comparison, Filter, FullyAnnotatedFilter, LeafFilter, Not, Or

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a node in `dump_filter(where)`, such as ("and", 1, "not")."""
Tree: TypeAlias = Filter | tuple[LeafFilter, ...]
"""A filter, or the API's flat list of leaves."""

SHOWN = 10
"""The most complaints that are drawn; more would be hard to read."""
_WIDTH = 80
_LINES = 60
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
            raise FilterTypeError(f"the function returned {brief(made)} for {brief(where)}", hint=hint)
        return made
    before = [child for _, child in children(where)]
    after = [map_leaves(child, function) for child in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return where
    return Not(*after) if isinstance(where, Not) else And(after) if isinstance(where, And) else Or(after)


# ---- drawings --------------------------------------------------------------------------------------------------------


def draw_filter(where: Filter) -> str:
    """
    A filter as an indented tree: a line for each leaf, and for each and, or, not.

    Returns:
        At most about 60 lines. `… 9,940 more` counts the leaves that are left out.
        Long values are shortened to fit into 80 columns, and unprintable characters are escaped.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    return draw(where, {})


display.drawing.register(Filter, draw_filter)


def mark(tree: Tree, complaints: Iterable[tuple[Path, str]]) -> tuple[list[str], str]:
    """
    The complaints about a tree, as texts and in its drawing.

    Args:
        tree: The tree.
        complaints: Texts, each with the path to its node. A text is left out if a node below its own has one, too.

    Returns:
        The text for each node; and the drawing, with the first ten texts below their nodes.
    """
    by_node: dict[Path, list[str]] = {}
    for path, complaint in complaints:
        by_node.setdefault(path, []).append(complaint)
    above = {path[:length] for path in by_node for length in range(len(path))}
    marks = {path: "; ".join(dict.fromkeys(said)) for path, said in by_node.items() if path not in above}
    return list(marks.values()), draw(tree, dict(islice(marks.items(), SHOWN)))


def draw(tree: Tree, marks: Mapping[Path, str], *, notes: Mapping[Path, str] | None = None, head: str = "") -> str:
    """
    The drawing with a complaint under each marked node.

    Args:
        tree: The tree.
        marks: The complaints. Their nodes are drawn even if all else is cut.
        notes: What stands to the right of a node, in place of its filter type. These nodes are drawn, too.
        head: The line above the notes.
    """
    needed = {path[:length] for path in [*marks, *(notes or ())] for length in range(len(path) + 1)}
    rows: list[tuple[str, str]] = [("", head)] if head else []  # a line, and what stands to its right
    cut, edge = 0, ""  # the number of leaves left out, and the prefix of the line that shows it

    def add(node: Tree, path: Path, before: str, below: str) -> None:
        nonlocal cut, edge
        branches = children(node)
        words, kind = _label(node)
        kind = kind if notes is None else notes.get(path, "")
        rows.append((before + shortened(words, max(30, _WIDTH - 3 - len(before) - len(kind))), kind))
        if path in marks:
            rows.extend([(line, "") for line in _complaint(marks[path], below + ("│  " if branches else ""))])
        for i, (step, child) in enumerate(branches, 1):
            if len(rows) >= _LINES and path + step not in needed:
                edge = below if not cut or len(below) < len(edge) else edge
                cut += child.size
                continue
            if cut:
                rows.append((f"{edge}{'├' if edge == below else '└'}─ … {cut:,} more", ""))
                cut = 0
            fork, trunk = ("├─ ", "│  ") if i < len(branches) else ("└─ ", "   ")
            add(child, path + step, below + fork, below + trunk)

    add(tree, (), "", "")
    if cut:
        rows.append((f"{edge}└─ … {cut:,} more", ""))
    column = 3 + min(max([len(line) for line, kind in rows if kind], default=0), _WIDTH - 20)
    return "\n".join([f"{line:{max(column, len(line) + 3)}}{kind}".rstrip() for line, kind in rows])


def _complaint(complaint: str, below: str) -> list[str]:
    """The lines of a complaint, the first of which begins with an arrow."""
    lines = textwrap.wrap(
        f"↑ {shortened(complaint, 10_000)}",
        max(42, _WIDTH - len(below)),
        subsequent_indent="  ",
        max_lines=8,
        placeholder=" …",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [below + line for line in lines]


def _label(node: Tree) -> tuple[str, str]:
    """The text of a node's line, and its filter type if it is a leaf."""
    match node:
        case Comparison(column_id, operator):
            column = column_id if re.fullmatch(r"[\w./:-]{1,48}", column_id) else brief(column_id)
            symbol = SYMBOLS.get(operator, operator.replace("_", " "))
            case = "" if getattr(node, "case_sensitive", True) else ", any case"
            return f"{column} {symbol} {_value(node)}", node.type + case
        case FullyAnnotatedFilter(user_ids):
            return f"annotated by {'all members' if user_ids is None else brief(list(user_ids))}", node.type
        case And(()) | Or(()):
            return repr(node).lower(), ""  # always or never
        case tuple():
            return "filters", ""
        case _:
            return key_of(node), ""


def _value(leaf: Comparison) -> str:
    match leaf.value:
        case datetime() as moment:
            return moment.isoformat()
        case (low, high) if leaf.operator in RANGE_OPERATORS:
            return f"{brief(low)} and {brief(high)}"
        case tuple(several):
            return brief(list(several))
        case single:
            return brief(single)
