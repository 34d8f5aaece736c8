"""
A filter as an indented tree, and the guilty leaf of a 422 in it.

::

    and
    ├─ input contains 'x'   text
    └─ not
       └─ score > 3         number
          ↑ value
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from galileo_sessions.errors import FilterTypeError, Issue, brief
from galileo_sessions.filters.nodes import And, Filter, FullyAnnotatedFilter, Not, Or

Path: TypeAlias = tuple[int, ...]
"""Positions of children from the root to a node; the child of a `Not` is its 0."""
Tree: TypeAlias = Filter | tuple[Filter, ...]
"""A filter, or the API's flat list of them."""
_Messages: TypeAlias = dict[str, list[str]]

_WIDTH = 80
_LINES = 60
_SHOWN = 10  # complaints of a 422 in its message; `.issues` has all
_SIGNS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_KEYS: dict[type[object], str] = {And: "and", Or: "or", Not: "not", tuple: ""}  # those of leaves are "filter"
_FIELDS = ("column_id", "operator", "value", "case_sensitive", "user_ids")


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


def html_of_filter(where: Filter) -> str:
    """What `draw_filter` makes, for notebooks: escaped, so that nothing in the filter is read as HTML."""
    import html  # noqa: PLC0415  # for notebooks alone

    return f"<pre>{html.escape(draw_filter(where))}</pre>"


Filter._repr_html_ = html_of_filter  # pyright: ignore[reportPrivateUsage]  # notebooks ask for it


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
        children = _children(node)
        kept = len(children) > 1  # a line to say what is cut
        self._left -= 1 + kept
        words, kind = _words(node)
        self.rows.append((before + _short(words, _WIDTH - 3 - len(before) - len(kind)), kind))
        if path in self._marks:
            self._complain(self._marks[path], below + ("│  " if children else ""))
        cut = 0
        for i, child in enumerate(children):
            last = i == len(children) - 1
            alone = last and not cut and not _children(child)  # takes no more than the line that says what is cut
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
            _printable(complaint), width, max_lines=8, placeholder=" …", break_on_hyphens=False, break_long_words=False
        )
        self.rows += [(f"{below}{'  ' if i else '↑ '}{line}", "") for i, line in enumerate(lines)]


def _children(node: Tree) -> tuple[Filter, ...]:
    if isinstance(node, tuple):
        return node
    return node.children if isinstance(node, And | Or) else (node.child,) if isinstance(node, Not) else ()


def _words(node: Tree) -> tuple[str, str]:
    """What a node says, and its filter type if it is a leaf."""
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
            leaf: Any = node
    column = leaf.column_id if re.fullmatch(r"[\w./:-]{1,48}", leaf.column_id) else brief(leaf.column_id)
    sign = _SIGNS.get(leaf.operator, leaf.operator.replace("_", " "))
    match leaf.value:
        case datetime() as moment:
            written = moment.isoformat()
        case (low, high) if leaf.operator == "between":
            written = f"{brief(low)} and {brief(high)}"
        case [*several]:
            written = brief(several)
        case single:
            written = brief(single)
    kind = leaf.type if getattr(leaf, "case_sensitive", True) else f"{leaf.type}, any case"
    return f"{column} {sign} {written}", kind


def _short(text: str, width: int) -> str:
    width = max(30, width)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


# ---- a 422 -----------------------------------------------------------------------------------------------------------


def node_at(where: Filter, filters: Sequence[Filter], loc: Sequence[str | int]) -> tuple[Filter, Path] | None:
    """
    The node that the `loc` of a 422's entry leads to, and the path to it.

    Args:
        where: What was sent as `filter_tree`.
        filters: What was sent as `filters`; then a path begins with the position among them.
        loc: Integers and the words and, or, not, filter lead down the tree.
            Others are skipped, for the server's class names are among them.

    Returns:
        None where `loc` leads to no node: a server reports each kind of node that it tried, not only the one it got.
    """
    found = _walk(where, filters, loc)
    return (found[0], found[1]) if found and isinstance(found[0], Filter) else None


def explain(issues: Iterable[Issue], where: Filter, filters: Sequence[Filter]) -> str | None:
    """
    The useful entries of a 422: what is wrong, and the drawing with the guilty nodes marked.

    Useful are those about the deepest nodes, and those about anything but the filter.
    Where none leads to a node, the entry with the longest `loc` is given as it is.

    Returns:
        About 100 lines, more only where guilty nodes lie deep; None if there are no issues.
    """
    guilty, lines = _sorted(issues, where, filters)
    marks = {path: _complaint(messages) for path, messages in guilty.items()}
    if len(marks) == 1:
        lines += marks.values()
        marks = {path: ", ".join(filter(None, messages)) or "here" for path, messages in guilty.items()}
    elif marks:
        lines.append(f"{len(marks):,} parts of the filter are refused")
    text = "; ".join([_short(_printable(line), 400) for line in lines[:_SHOWN]]) or None
    if len(lines) > _SHOWN:
        text = f"{text}; and {len(lines) - _SHOWN:,} more"
    shown = dict(islice(marks.items(), _SHOWN))
    return f"{text}\n{draw(tuple(filters) or where, shown)}" if shown else text


def _sorted(
    issues: Iterable[Issue], where: Filter, filters: Sequence[Filter]
) -> tuple[dict[Path, _Messages], list[str]]:
    """The guilty nodes with their messages by field, and lines about all else."""
    found: list[tuple[Path, int, Issue]] = []
    lost: list[Issue] = []
    other: list[Issue] = []
    for issue in issues:
        walked = _walk(where, filters, issue.loc)
        if walked is None:
            (lost if _root(filters) in issue.loc else other).append(issue)
        else:
            found.append((*walked[1:], issue))
    deepest = {path: used for path, used, _ in sorted(found, key=itemgetter(1))}
    above = {path[:length] for path in deepest for length in range(len(path))}
    guilty: dict[Path, _Messages] = {}
    for path, used, issue in found:
        if used == deepest[path] and path not in above:
            field = next((step for step in issue.loc[used:] if step in _FIELDS), "")
            guilty.setdefault(path, {}).setdefault(field, []).append(issue.msg)
    if not found:
        other += sorted(lost, key=lambda issue: -len(issue.loc))[:1]
    return guilty, list(dict.fromkeys(map(_plainly, other)))


def _complaint(messages: _Messages) -> str:
    """A node's messages; of several about one field, which a server gives for each type it tried, the beginnings."""
    said: list[str] = []
    for field, several in messages.items():
        once = list(dict.fromkeys(several))
        if len(once) > 1:
            first, *rest = dict.fromkeys(message.partition(",")[0] for message in once)
            once = [" or ".join([first, *(message.removeprefix("Input should be ") for message in rest)])]
        said.append(f"{field}: {once[0]}" if field else once[0])
    return _short("; ".join(said), 400)


def _plainly(issue: Issue) -> str:
    loc = issue.loc[1:] if len(issue.loc) == 2 else issue.loc
    return f"{'.'.join(map(str, loc))[:300]}: {issue.msg}"


def _root(filters: Sequence[Filter]) -> str:
    return "filters" if filters else "filter_tree"


def _walk(where: Filter, filters: Sequence[Filter], loc: Sequence[str | int]) -> tuple[Tree, Path, int] | None:
    """The node, its path, and how much of `loc` led to it."""
    if _root(filters) not in loc:
        return None
    node: Tree = tuple(filters) or where
    path: Path = ()
    used = loc.index(_root(filters)) + 1
    for i, step in enumerate(loc[used:], used):
        children, key = _children(node), _KEYS.get(type(node), "filter")
        if type(step) is int:
            if key == "not" or not 0 <= step < len(children):
                return None
            node, path, used = children[step], (*path, step), i + 1
        elif step == key:
            used = i + 1
            if key == "not":
                node, path = children[0], (*path, 0)
        elif not isinstance(step, str) or (step in ("and", "or", "not", "filter") and step != loc[i - 1]):
            return None  # the same word twice is a server's own name for a node, and then the key
        if key in ("", "filter") and used == i + 1:
            break  # a leaf is reached; what follows leads into it
    return node, path, used
