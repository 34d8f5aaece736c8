"""A 422 explained: its entries, which of them are useful, and the filter with the guilty leaves marked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias, cast

from attrs import define, evolve

from galileo_sessions.errors import Issue
from galileo_sessions.filters.drawing import Path, children_of, draw, printable, shorten
from galileo_sessions.filters.drawing import Tree as Drawable
from galileo_sessions.filters.nodes import And, Filter, Not, Or

_Messages: TypeAlias = dict[str, list[str]]

_MAX_MESSAGE = 2048  # characters of one entry's message
_SHOWN = 10  # complaints in the message; `.issues` has all
_KEYS: dict[type[object], str] = {And: "and", Or: "or", Not: "not", tuple: ""}  # those of leaves are "filter"
_FIELDS = ("column_id", "operator", "value", "case_sensitive", "user_ids")


def issues_of(
    detail: object, redact: Callable[[str], str], where: Filter, filters: Sequence[Filter]
) -> tuple[Issue, ...]:
    """The entries of a 422 that have FastAPI's form, at most 1,000; a service may send anything."""
    if not isinstance(detail, list):
        return ()
    made = [_issue(entry, redact) for entry in cast("Iterable[object]", detail[:1000])]
    found = [(issue, node_at(where, filters, issue.loc)) for issue in made if issue]
    return tuple([evolve(issue, node=at[0]) if at else issue for issue, at in found])


@define(eq=False, repr=False)
class Explanation:
    """What an answer says of a question: the entries, and the drawing, which is made when it is first asked for."""

    where: Filter
    filters: Sequence[Filter]
    answer: bytes
    """A digest of the body, which itself would be kept for as long as an error is."""
    redact: Callable[[str], str]
    issues: tuple[Issue, ...]
    excerpt: str
    """What is said where nothing can be drawn."""
    beginning: str
    """What errors keep of the body."""
    _text: str | None = None

    def text(self) -> str:
        """The drawing with what is wrong, or the beginning of the body, without credentials."""
        if self._text is None:
            explanation = explain(self.issues, self.where, self.filters)
            self._text = self.redact(explanation) if explanation else self.excerpt
        return self._text


class Explanations:
    """The last explanations: in a fan-out, many answers to one question are the same, and share one."""

    def __init__(self) -> None:
        self._last: deque[Explanation] = deque(maxlen=4)

    def find(self, where: Filter, filters: Sequence[Filter], answer: bytes) -> Explanation | None:
        """The one for this very question and an equal answer."""
        for one in self._last:
            if one.where is where and one.filters is filters and one.answer == answer:
                return one
        return None

    def add(self, explanation: Explanation) -> None:
        """Keeps one, in place of the oldest."""
        self._last.append(explanation)


def _issue(entry: Any, redact: Callable[[str], str]) -> Issue | None:
    try:
        loc, msg, kind = entry["loc"], entry["msg"], entry.get("type", "")
    except (AttributeError, KeyError, TypeError):
        return None
    if not isinstance(loc, list) or not all(isinstance(step, str | int) for step in cast("list[object]", loc)):
        return None
    steps = [redact(step) if isinstance(step, str) else step for step in cast("list[str | int]", loc)]
    return Issue(loc=tuple(steps), msg=redact(str(msg))[:_MAX_MESSAGE], type=redact(str(kind))[:_MAX_MESSAGE])


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
    text = "; ".join([shorten(printable(line), 400) for line in lines[:_SHOWN]]) or None
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
    return shorten("; ".join(said), 400)


def _plainly(issue: Issue) -> str:
    loc = issue.loc[1:] if len(issue.loc) == 2 else issue.loc
    return f"{'.'.join(map(str, loc))[:300]}: {issue.msg}"


def _root(filters: Sequence[Filter]) -> str:
    return "filters" if filters else "filter_tree"


def _walk(where: Filter, filters: Sequence[Filter], loc: Sequence[str | int]) -> tuple[Drawable, Path, int] | None:
    """The node, its path, and how much of `loc` led to it."""
    if _root(filters) not in loc:
        return None
    node: Drawable = tuple(filters) or where
    path: Path = ()
    used = loc.index(_root(filters)) + 1
    for i, step in enumerate(loc[used:], used):
        children, key = children_of(node), _KEYS.get(type(node), "filter")
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
