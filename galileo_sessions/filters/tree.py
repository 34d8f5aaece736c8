"""
Walks through a filter, and its drawing: an indented tree, with complaints below the nodes that they
are about.

::

    and
    ├─ input contains 'x'   text
    └─ not
       └─ score > 3         number
          ↑ value
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import is_
from typing import TypeAlias

from attrs import frozen

from galileo_sessions import display
from galileo_sessions.details import Issue
from galileo_sessions.display import brief, shortened
from galileo_sessions.errors import FilterCheckError, FilterTypeError
from galileo_sessions.filters import advice
from galileo_sessions.filters.filter_types import RANGE_OPERATORS, SYMBOLS
from galileo_sessions.filters.nodes import (
    And,
    Comparison,
    Filter,
    FullyAnnotatedFilter,
    LeafFilter,
    Not,
    Or,
)
from galileo_sessions.filters.values import as_json

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a node in `dump_filter(where)`, such as ("and", 1, "not")."""

SHOWN = 10
"""The most complaints that are drawn; more would be hard to read."""
_WIDTH = 80
_NODES = 60
_PLAIN_ID = re.compile(r"[\w./:-]{1,48}")
_KEYS: dict[type[object], str] = {And: "and", Or: "or", Not: "not"}


def key_of(node: Filter) -> str:
    """The key of a node in the API's JSON: and, or, not or filter."""
    return _KEYS.get(type(node), "filter")


def children(node: Filter) -> list[tuple[Path, Filter]]:
    """
    The nodes directly below a node, each with the path from the node to it. A leaf has none.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    match node:
        case And(nodes) | Or(nodes):
            return [((key_of(node), i), child) for i, child in enumerate(nodes)]
        case Not(child):
            return [(("not",), child)]
        case Comparison() | FullyAnnotatedFilter():
            return []
        case _:
            raise advice.expected_filter(node)


def walk(node: Filter, path: Path = ()) -> Iterator[tuple[Path, Filter]]:
    """Each node with its path: a parent before its children, the children from left to right."""
    yield path, node
    for step, child in children(node):
        yield from walk(child, path + step)


def nodes_at(where: Filter, paths: Iterable[Path | None]) -> list[tuple[Path, Filter | None]]:
    """
    For each path, the path of a node and the node; `((), None)` for a path that leads to no node.

    A path leads to the node that has it in `walk`, or else to the node whose own path and key it
    is: in `A & ~B`, both ("and", 0) and ("and", 0, "filter") lead to A, ("and", 1) leads to ~B, and
    ("and", 1, "not") to B.
    """
    found: dict[Path | None, tuple[Path, Filter | None]] = {}
    for path, node in walk(where):
        # The child of a `not` comes later, and replaces it at ("not",).
        found[path] = found[*path, key_of(node)] = (path, node)
    return [found.get(path, ((), None)) for path in paths]


def leaves_of(where: Filter) -> tuple[LeafFilter, ...]:
    """
    The leaves of a filter from left to right. `ALWAYS` and `NEVER` have none.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    return tuple([node for _, node in walk(where) if isinstance(node, LeafFilter)])


def map_leaves(where: Filter, function: Callable[[LeafFilter], Filter]) -> Filter:
    """
    The same tree with other leaves, for example with a renamed column. Each `and`, `or` and `not`
    stays.

    Args:
        where: The filter.
        function: Called with each leaf, from left to right. It returns the leaf itself, another
            leaf, or any filter.

    Returns:
        The new tree. A part whose leaves don't change is the same object as before.

    Raises:
        FilterTypeError: if `where` isn't a filter, `function` can't be called, or it returns
            anything but a filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    if not callable(function):
        raise FilterTypeError(
            f"{brief(function)} is not a function", hint="Write map_leaves(where, lambda leaf: ...)"
        )
    if isinstance(where, LeafFilter):
        made = function(where)
        if not isinstance(made, Filter):
            raise FilterTypeError(
                f"the function returned {brief(made)} for {brief(where)}",
                hint="Return a filter, or the leaf itself to keep it",
            )
        return made
    before = [child for _, child in children(where)]
    after = [map_leaves(child, function) for child in before]
    if all(map(is_, before, after)):
        return where
    if isinstance(where, Not):
        return Not(*after)
    if isinstance(where, And):
        return And(after)
    return Or(after)


# ---- drawings ------------------------------------------------------------------------------------


def draw_filter(where: Filter) -> str:
    """
    A filter as an indented tree: a line for each leaf, and for each and, or, not.

    Returns:
        At most about 60 lines. `… 9,941 more` counts the leaves that are left out.
        Long values are shortened to fit into 80 columns, and unprintable characters are escaped.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    return draw(where, {})


display.drawing.register(Filter, draw_filter)


def mark(where: Filter, complaints: Iterable[tuple[Path, str]]) -> tuple[list[str], str]:
    """
    The complaints about a filter, as texts and in its drawing.

    Args:
        where: The filter.
        complaints: Texts, each with the path to its node. A text is left out if a node below its
            own has one, too.

    Returns:
        The text for each node; and the drawing, with the first ten texts below their nodes.
    """
    by_node: dict[Path, list[str]] = {}
    for path, complaint in complaints:
        by_node.setdefault(path, []).append(complaint)
    above = _above(by_node)
    marks: dict[Path, str] = {}
    for path, said in by_node.items():
        if path not in above:
            marks[path] = "; ".join(dict.fromkeys(said))
    shown = dict(islice(marks.items(), SHOWN))
    return list(marks.values()), draw(where, shown)


def failed_check(where: Filter, said: str, issues: Sequence[Issue]) -> FilterCheckError:
    """The error that draws the filter, with each issue below its node."""
    complaints = [(issue.loc[:-1], issue.msg) for issue in issues]
    _, drawing = mark(where, complaints)
    return FilterCheckError(f"{said}:\n{drawing}", issues=tuple(issues))


@frozen
class _Row:
    """A node's place in a drawing."""

    node: Filter
    path: Path
    before: str
    """The branches before the node's text."""
    below: str
    """The branches before the lines below it."""


def _rows(node: Filter, path: Path = (), before: str = "", below: str = "") -> Iterator[_Row]:
    """A row for the node and for each one below it, in the order of `walk`."""
    branches = children(node)
    yield _Row(node, path, before, below + ("│  " if branches else ""))
    for i, (step, child) in enumerate(branches, 1):
        fork, trunk = ("├─ ", "│  ") if i < len(branches) else ("└─ ", "   ")
        yield from _rows(child, path + step, below + fork, below + trunk)


def draw(
    where: Filter,
    marks: Mapping[Path, str],
    *,
    notes: Mapping[Path, str] | None = None,
    head: str = "",
) -> str:
    """
    The drawing of the first 60 nodes, and of all that have a complaint or a note.

    The nodes above those are drawn, too. Where nodes are left out, one line counts their leaves.

    Args:
        where: The filter.
        marks: The complaints, which stand under their nodes.
        notes: What stands to the right of each node, if anything, in place of the filter types of
            leaves.
        head: The line above the notes.
    """
    paths = {*marks, *(notes or ())}
    rows = list(_rows(where))
    drawn = paths | _above(paths) | {row.path for row in rows[:_NODES]}
    lines = [("", head)]
    for is_drawn, group in groupby(rows, key=lambda row: row.path in drawn):
        if not is_drawn:
            lines.append((_left_out(list(group)), ""))
            continue
        for row in group:
            lines += _lines_of(row, marks, notes)
    return _aligned(lines).removeprefix("\n")


def _above(paths: Iterable[Path]) -> set[Path]:
    """The paths of the nodes above these."""
    return {path[:length] for path in paths for length in range(len(path))}


def _aligned(lines: Iterable[tuple[str, str]]) -> str:
    """Lines, each with what stands to its right in a second column."""
    longest = max([len(line) for line, right in lines if right], default=0)
    column = 3 + min(longest, _WIDTH - 20)
    return "\n".join(
        [f"{line:{max(column, len(line) + 3)}}{right}".rstrip() for line, right in lines]
    )


def _lines_of(
    row: _Row, marks: Mapping[Path, str], notes: Mapping[Path, str] | None
) -> list[tuple[str, str]]:
    """The lines of a node and its complaint, each with what stands to its right."""
    text, right = _label(row.node)
    if notes is not None:
        right = notes.get(row.path, "")
    room = _WIDTH - 3 - len(row.before) - len(right)
    lines = [(row.before + shortened(text, max(30, room)), right)]
    if row.path in marks:
        lines += [(line, "") for line in _complaint(marks[row.path], row.below)]
    return lines


def _left_out(rows: list[_Row]) -> str:
    """The line for rows that aren't drawn, at the last of those that are the least deep."""
    place = min(reversed(rows), key=lambda row: len(row.before))
    return f"{place.before}… {sum(not children(row.node) for row in rows):,} more"


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


def _label(node: Filter) -> tuple[str, str]:
    """The text of a node's line, and its filter type if it is a leaf."""
    match node:
        case Comparison(column_id, operator):
            column = column_id if _PLAIN_ID.fullmatch(column_id) else brief(column_id)
            symbol = SYMBOLS.get(operator, operator.replace("_", " "))
            case = "" if getattr(node, "case_sensitive", True) else ", any case"
            return f"{column} {symbol} {_value(node)}", node.type + case
        case FullyAnnotatedFilter(user_ids):
            members = "all members" if user_ids is None else brief(list(user_ids))
            return f"annotated by {members}", node.type
        case And(()) | Or(()):
            return repr(node).lower(), ""  # always or never
        case _:
            return key_of(node), ""


def _value(leaf: Comparison) -> str:
    match leaf.value:
        case [low, high] if leaf.operator in RANGE_OPERATORS:
            return f"{brief(low)} and {brief(high)}"
        case datetime() as instant:
            return instant.isoformat()
        case value:
            return brief(as_json(value))
