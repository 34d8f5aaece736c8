"""
What a 422 says: its entries, and the filter drawn with what is wrong.

A pydantic server turns one wrong leaf into about ten entries: it reports each kind of node that it tried.
The useful entry is the one whose `loc` leads to a node of the filter, through positions and the keys and, or, not and
filter. The other words of a `loc` are names of the server's classes, which may change, so they are skipped.
"""

import json
from typing import Any

from galileo_sessions.display import shortened
from galileo_sessions.errors import Issue
from galileo_sessions.filters.marking import SHOWN, mark
from galileo_sessions.filters.nodes import Filter, LeafFilter
from galileo_sessions.filters.tree import Path, nodes_at

_MAX_ENTRIES = 1_000
_MAX_MESSAGE = 2_048  # characters of an entry's message that are kept
_KEYS = ("filters", "filter_tree", "and", "or", "not", "filter")
_FIELDS = ("column_id", "operator", "value", "case_sensitive", "user_ids")


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
    entries = _entries(body)
    places = nodes_at(tree, [_path(loc, root) for loc, _, _ in entries])
    issues = [Issue(*entry, node) for entry, (_, node) in zip(entries, places, strict=True)]
    wrong = [
        (path, _complaint(issue)) for issue, (path, _) in zip(issues, places, strict=True) if issue.node is not None
    ]
    other = [issue for issue in issues if root not in issue.loc]
    lost = [issue for issue in issues if root in issue.loc and issue.node is None]
    if lost and not wrong:
        other.append(max(lost, key=lambda issue: len(issue.loc)))
    complaints, drawing = mark(tree, wrong) if wrong else ([], "")
    plain = [f"{'.'.join(map(str, issue.loc)).removeprefix('body.')[:300]}: {issue.msg}" for issue in other]
    lines = list(dict.fromkeys([*plain, *complaints]))
    text = "; ".join([shortened(line, 400) for line in lines[:SHOWN]])
    if len(lines) > SHOWN:
        text += f"; and {len(lines) - SHOWN:,} more"
    return tuple(issues), f"{text}\n{drawing}" if drawing else text


def _entries(body: bytes) -> list[tuple[Path, str, str]]:
    """The `loc`, `msg` and `type` of each entry of FastAPI's form. A server can send anything."""
    try:
        entries: Any = json.loads(body)["detail"][:_MAX_ENTRIES]
    except (ValueError, RecursionError, LookupError, TypeError):
        return []
    found: list[tuple[Path, str, str]] = []
    for entry in entries:
        match entry:
            case {"loc": [*loc], "msg": str(msg), "type": str(kind)} if set(map(type, loc)) <= {str, int}:
                found.append((tuple(loc), msg[:_MAX_MESSAGE], kind[:_MAX_MESSAGE]))
            case _:
                pass
    return found


def _path(loc: Path, root: str) -> Path | None:
    """The steps of a `loc` that lead down the filter, or None if it leads elsewhere."""
    steps = [step for step in loc if step in _KEYS or isinstance(step, int)]
    if steps[:1] != [root]:
        return None
    if "filter" in steps:
        return tuple(steps[1 : steps.index("filter") + 1])
    return tuple(steps[1:2] if root == "filters" else steps[1:])


def _complaint(issue: Issue) -> str:
    fields = [step for step in issue.loc if step in _FIELDS]
    return f"{fields[0]}: {issue.msg}" if fields else issue.msg
