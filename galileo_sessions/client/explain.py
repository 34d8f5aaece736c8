"""
A 422 explained: its entries, and the filter drawn with what is wrong.

A pydantic server turns one wrong leaf into about ten entries: it reports each kind of node that it tried.
The useful entry is the one whose `loc` leads to a node of the filter, through positions and the keys and, or, not and
filter. The other words of a `loc` are names of the server's classes, which may change, so they are skipped.
"""

import json
from functools import lru_cache
from itertools import islice
from typing import Any

from attrs import evolve

from galileo_sessions.display import shortened
from galileo_sessions.errors import Issue
from galileo_sessions.filters.marking import draw
from galileo_sessions.filters.nodes import Filter, LeafFilter
from galileo_sessions.filters.tree import Path, Tree, key_of, walk

_MAX_ENTRIES = 1_000
_MAX_MESSAGE = 2_048  # characters of an entry's message that are kept
_SHOWN = 10  # complaints in the text; `.issues` has all
_KEYS = ("filters", "filter_tree", "and", "or", "not", "filter")
_FIELDS = ("column_id", "operator", "value", "case_sensitive", "user_ids")


@lru_cache(maxsize=1)  # in a fan-out, many answers to one filter are the same
def explain(body: bytes, where: Filter, filters: tuple[LeafFilter, ...]) -> tuple[tuple[Issue, ...], str]:
    """
    What the body of a 422 says about a query.

    Args:
        body: The body, without secrets.
        where: The query's filter, sent as `filter_tree`.
        filters: The query's flat list of leaves, sent as `filters`.

    Returns:
        The entries, at most 1,000; and a text of about 100 lines: what is wrong, and the drawing with each wrong
        node marked. Without entries of FastAPI's form, both are empty.
    """
    root, tree = ("filters", filters) if filters else ("filter_tree", where)
    places = _places(tree, root)
    issues: list[Issue] = []
    wrong: dict[Path, list[str]] = {}
    lost: list[Issue] = []
    other: list[Issue] = []
    for issue in _issues(body):
        place = places.get(_steps(issue.loc))
        if place is not None:
            path, node = place
            issues.append(evolve(issue, node=node))
            wrong.setdefault(path, []).append(_complaint(issue))
        else:
            issues.append(issue)
            (lost if root in issue.loc else other).append(issue)
    if lost and not wrong:
        other.append(max(lost, key=lambda issue: len(issue.loc)))
    above = {path[:length] for path in wrong for length in range(len(path))}
    marks = {path: "; ".join(dict.fromkeys(said)) for path, said in wrong.items() if path not in above}
    lines = list(dict.fromkeys([*map(_plainly, other), *marks.values()]))
    text = "; ".join([shortened(line, 400) for line in lines[:_SHOWN]])
    if len(lines) > _SHOWN:
        text += f"; and {len(lines) - _SHOWN:,} more"
    return tuple(issues), f"{text}\n{draw(tree, dict(islice(marks.items(), _SHOWN)))}" if marks else text


def _issues(body: bytes) -> list[Issue]:
    """The entries of FastAPI's form. A server can send anything."""
    try:
        entries: Any = json.loads(body)["detail"][:_MAX_ENTRIES]
    except (ValueError, RecursionError, LookupError, TypeError):
        return []
    return [issue for issue in map(_issue, entries) if issue is not None]


def _issue(entry: Any) -> Issue | None:
    match entry:
        case {"loc": [*loc], "msg": str(msg), "type": str(kind)} if all(isinstance(step, str | int) for step in loc):
            return Issue(tuple(loc), msg[:_MAX_MESSAGE], kind[:_MAX_MESSAGE])
        case _:
            return None


def _places(tree: Tree, root: str) -> dict[Path, tuple[Path, Filter]]:
    """Maps the steps of a `loc`, with or without the key of the node at their end, to that node and its path."""
    places: dict[Path, tuple[Path, Filter]] = {}
    for path, node in walk(tree):
        if isinstance(node, Filter):
            places[root, *path] = places[root, *path, key_of(node)] = path, node
    return places


def _steps(loc: Path) -> Path:
    """The steps of a `loc` that lead down the filter."""
    steps = [step for step in loc if step in _KEYS or isinstance(step, int)]
    if "filter" in steps:
        return tuple(steps[: steps.index("filter") + 1])
    return tuple(steps[:2] if "filters" in steps else steps)


def _complaint(issue: Issue) -> str:
    field = next((step for step in issue.loc if step in _FIELDS), None)
    return issue.msg if field is None else f"{field}: {issue.msg}"


def _plainly(issue: Issue) -> str:
    return f"{'.'.join(map(str, issue.loc)).removeprefix('body.')[:300]}: {issue.msg}"
