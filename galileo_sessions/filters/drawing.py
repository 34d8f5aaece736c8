"""
A filter as an indented tree, with complaints at marked nodes.

::

    and
    ├─ input contains 'x'   text
    └─ not
       └─ score > 3         number
          ↑ value
"""

import re
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias, cast

from galileo_sessions.errors import FilterTypeError, brief
from galileo_sessions.filters.kinds import SYMBOLS
from galileo_sessions.filters.nodes import And, Comparison, Filter, FullyAnnotatedFilter, Node, Not, Or

Path: TypeAlias = tuple[int, ...]
"""Positions of children from the root to a node; the child of a `Not` is its 0."""
Tree: TypeAlias = Filter | tuple[Filter, ...]
"""A filter, or the API's flat list of them."""

_WIDTH = 80
_LINES = 60


def draw_filter(where: Filter) -> str:
    """
    A filter as an indented tree: a line for each leaf, and for each and, or, not.

    Returns:
        About 60 lines at most; what is cut is counted, as in `… 9,940 more`.
        Long values are shortened to keep to 80 columns, and what isn't printable in them is escaped.

    Raises:
        FilterTypeError: for anything but a filter.
    """
    if not isinstance(where, Filter):
        raise FilterTypeError(f"expected a filter, got {brief(where)}")
    return draw(where, {})


def draw(tree: Tree, marks: Mapping[Path, str]) -> str:
    """The drawing with an arrow and a complaint under each marked node, which is shown wherever the rest is cut."""
    drawing = _Drawing(marks)
    drawing.add(tree, (), "", "")
    edge = 3 + min(max([len(line) for line, kind in drawing.rows if kind], default=0), _WIDTH - 20)
    rows = [f"{line:{max(edge, len(line) + 3)}}{kind}" for line, kind in drawing.rows]
    return "\n".join([row.rstrip() for row in rows])


class _Drawing:
    """Rows: a line, and the filter type that stands to its right."""

    def __init__(self, marks: Mapping[Path, str]) -> None:
        self.rows: list[tuple[str, str]] = []
        self._marks = marks
        self._needed = {path[:length] for path in marks for length in range(len(path) + 1)}
        self._left = _LINES

    def add(self, node: Tree, path: Path, before: str, below: str) -> None:
        """The rows of a node, with what stands `before` its own line and before the lines `below` it."""
        children = children_of(node)
        kept = len(children) > 1  # a line to say what is cut
        self._left -= 1 + kept
        words, kind = _label(node)
        self.rows.append((before + shorten(words, _WIDTH - 3 - len(before) - len(kind)), kind))
        if path in self._marks:
            self._complain(self._marks[path], below + ("│  " if children else ""))
        cut = 0
        for i, child in enumerate(children):
            last = i == len(children) - 1
            alone = last and not cut and not children_of(child)  # takes no more than the line that says what is cut
            if self._left <= 0 and (*path, i) not in self._needed and not alone:
                cut += child.size
                continue
            if cut:
                self.rows.append((f"{below}├─ … {cut:,} more", ""))
            cut = 0
            fork, trunk = ("└─ ", "   ") if last else ("├─ ", "│  ")
            self.add(child, (*path, i), below + fork, below + trunk)
        if cut:
            self.rows.append((f"{below}└─ … {cut:,} more", ""))
        else:
            self._left += kept

    def _complain(self, complaint: str, below: str) -> None:
        width = max(40, _WIDTH - 2 - len(below))
        lines = textwrap.wrap(
            printable(complaint), width, max_lines=8, placeholder=" …", break_on_hyphens=False, break_long_words=False
        )
        self.rows += [(f"{below}{'  ' if i else '↑ '}{line}", "") for i, line in enumerate(lines)]


def children_of(node: Tree) -> tuple[Filter, ...]:
    """The nodes below a node; a leaf has none."""
    if isinstance(node, tuple):
        return node
    return node.children if isinstance(node, And | Or) else (node.child,) if isinstance(node, Not) else ()


def _label(tree: Tree) -> tuple[str, str]:
    """What a node says, and its filter type if it is a leaf."""
    node = cast("Node | tuple[Filter, ...]", tree)
    match node:
        case And(children):
            return "and" if children else "always", ""
        case Or(children):
            return "or" if children else "never", ""
        case Not():
            return "not", ""
        case tuple():
            return "filters", ""
        case FullyAnnotatedFilter(user_ids):
            return f"annotated by {'all members' if user_ids is None else brief(list(user_ids))}", node.type
        case _:
            kind = node.type if getattr(node, "case_sensitive", True) else f"{node.type}, any case"
            return f"{_column(node.column_id)} {_sign(node.operator)} {_written(node)}", kind


def _column(column_id: str) -> str:
    return column_id if re.fullmatch(r"[\w./:-]{1,48}", column_id) else brief(column_id)


def _sign(operator: str) -> str:
    return SYMBOLS.get(operator, operator.replace("_", " "))


def _written(leaf: Comparison) -> str:
    match leaf.value:
        case datetime() as moment:
            return moment.isoformat()
        case (low, high) if leaf.operator == "between":
            return f"{brief(low)} and {brief(high)}"
        case tuple(several):
            return brief(list(several))
        case single:
            return brief(single)


def shorten(text: str, width: int) -> str:
    """At most `width` characters, or 30 where that is less."""
    width = max(30, width)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def printable(text: str) -> str:
    """The text, escaped where something in it can't be printed."""
    return text if text.isprintable() else repr(text)[1:-1]
