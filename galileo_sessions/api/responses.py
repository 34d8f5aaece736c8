"""
What a response means: a count, a project's columns, or an error that says what to do. Pure
functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar, cast

from attrs import frozen

from galileo_sessions.api.projects import LogStream, Page, Project, read_page
from galileo_sessions.api.query import CountQuery
from galileo_sessions.details import Issue
from galileo_sessions.display import shortened
from galileo_sessions.errors import DecodeError, ResponseError, as_permanent
from galileo_sessions.filters.catalog import ColumnCatalog, load_catalog
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.plain_data import strict_json, text_of_json
from galileo_sessions.filters.tree import SHOWN, Path, mark, nodes_at
from galileo_sessions.http.responses import BASE_URL_HINT, Response, response_error

T = TypeVar("T")

PROJECT_ID = "{project_id}"
"""What the id of a project replaces in a path."""

_MAX_ENTRIES = 1_000
_MAX_MESSAGE = 500  # characters of an entry's message that are kept
_MAX_ISSUES = 256 * 1024  # characters of all entries that are kept; a fan-out has many such errors
_STEPS = {str, int}  # the types in a `loc`
_LOC_KEYS = ("filter_tree", "and", "or", "not", "filter")
_LEAF_FIELDS = ("column_id", "operator", "value", "case_sensitive", "user_ids")


@frozen(eq=False, repr=False)
class Endpoint(Generic[T]):
    """An endpoint of the API."""

    path: str
    """The path below the base URL; it can contain `PROJECT_ID`, and a query."""
    decode: Callable[[bytes], T]
    """Reads the body of a 200, or raises a ValueError."""
    max_body: int
    """The most bytes that this body can have."""
    method: str = "POST"


def total_count(body: bytes) -> int:
    """
    The count in the body of a 200.

    Raises:
        ValueError: unless it is a JSON object whose one `total_count` is an integer from 0 to
            2**63 - 1. Other keys are ignored, because the API can grow.
    """
    data = strict_json(text_of_json(body))
    count: object = None
    if isinstance(data, dict):  # a match statement would take seven times as long
        count = cast("dict[str, object]", data).get("total_count")
    if type(count) is not int or not 0 <= count < 2**63:
        raise ValueError('expected {"total_count": n} with an integer n of 0 or more')
    return count


def column_catalog(body: bytes) -> ColumnCatalog:
    """
    The columns in the body of a 200.

    Raises:
        ValueError: unless it is a JSON object that `load_catalog` reads.
    """
    return load_catalog(strict_json(text_of_json(body)))


COUNT: Endpoint[int] = Endpoint("/v2/projects/{project_id}/sessions/count", total_count, 256 * 1024)
COLUMNS: Endpoint[ColumnCatalog] = Endpoint(
    "/v2/projects/{project_id}/sessions/available_columns", column_catalog, 8 << 20
)
_PAGE = "paginated?starting_token={}&limit=100"


def projects_page(token: int) -> Endpoint[Page[Project]]:
    """The page of the list of projects that begins with a token."""
    path = "/projects/" + _PAGE.format(token)
    return Endpoint(path, partial(read_page, "projects", list[Project]), 8 << 20)


def log_streams_page(token: int) -> Endpoint[Page[LogStream]]:
    """
    The page of the list of a project's log streams that begins with a token, as Galileo's SDK 2.7.0
    asks for it.
    """
    path = "/projects/{project_id}/log_streams/" + _PAGE.format(token)
    return Endpoint(path, partial(read_page, "log_streams", list[LogStream]), 8 << 20, method="GET")


def error_of(response: Response, query: CountQuery | None = None) -> ResponseError:
    """
    The error that a response other than 200 stands for.

    Args:
        response: A response without secrets.
        query: The query of the request; the text of a 422 has a drawing of its filter.
    """
    if response.status != 422:
        return response_error(response)
    issues, problem = issues_of(response.body, query.where if query else ALWAYS)
    return response_error(response, problem, issues=issues)


def decode_error(response: Response, endpoint: Endpoint[Any]) -> DecodeError:
    """
    The error of a 200 whose body isn't the endpoint's. Unless it is JSON, a retry may bring another
    body.

    Args:
        response: A response without secrets.
        endpoint: What was asked for.
    """
    is_json = True
    problem = "an unexpected body"
    try:
        _ = endpoint.decode(response.body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        is_json = False
        problem = "the body isn't JSON"
    except ValueError as error:  # its hint is about a program's data
        problem, _, _ = str(error).partition("\n")
    text = response.text
    message = f"{response.title}: {problem}; got {response.excerpt}"
    undecodable = DecodeError(message, body=text, hint=BASE_URL_HINT)
    return as_permanent(undecodable) if is_json else undecodable


# ---- what a 422 says -----------------------------------------------------------------------------
# A pydantic server turns one wrong leaf into about ten entries: it reports each kind of node that
# it tried. The useful entry is the one whose `loc` leads to a node of the filter, through positions
# and the keys and, or, not and filter. The other words of a `loc` are names of the server's
# classes, which may change, so they are skipped.


def issues_of(body: bytes, where: Filter) -> tuple[tuple[Issue, ...], str]:
    """
    What the body of a 422 says about a query.

    Args:
        body: The body, without secrets.
        where: The query's filter, sent as `filter_tree`.

    Returns:
        The entries, at most 1,000 and 256 KiB; and a text of about 100 lines: what is wrong, and
        the drawing with each wrong node marked. Without entries in FastAPI's form, both are empty.
    """
    entries = _entries(body)
    places = nodes_at(where, [_path(loc) for loc, _, _ in entries])
    issues = [Issue(*entry, node) for entry, (_, node) in zip(entries, places, strict=True)]
    wrong: list[tuple[Path, str]] = []
    for (path, node), issue in zip(places, issues, strict=True):
        if node is not None:
            wrong.append((path, _with_field(issue)))
    complaints, drawing = mark(where, wrong) if wrong else ([], "")
    text = _listed([*map(_with_path, _without_node(issues)), *complaints])
    return tuple(issues), f"{text}\n{drawing}" if drawing else text


def _without_node(issues: list[Issue]) -> list[Issue]:
    """
    The issues outside the filter. If those of the filter lead to no node, the one that leads
    deepest is added.
    """
    inside = [issue for issue in issues if "filter_tree" in issue.loc]
    outside = [issue for issue in issues if "filter_tree" not in issue.loc]
    if inside and all(issue.node is None for issue in inside):
        outside.append(max(inside, key=lambda issue: len(issue.loc)))
    return outside


def _listed(texts: Iterable[str]) -> str:
    """The first different texts in one line, and how many more there are."""
    lines = list(dict.fromkeys(texts))
    listed = "; ".join([shortened(line, 400) for line in lines[:SHOWN]])
    if len(lines) > SHOWN:
        listed += f"; and {len(lines) - SHOWN:,} more"
    return listed


def _entries(body: bytes) -> list[tuple[Path, str, str]]:
    """
    The `loc`, `msg` and `type` of each entry in FastAPI's form. Others are skipped: a server can
    send anything.
    """
    try:
        entries: Any = json.loads(text_of_json(body))["detail"][:_MAX_ENTRIES]
    except (ValueError, RecursionError, LookupError, TypeError):
        return []
    found: list[tuple[Path, str, str]] = []
    room = _MAX_ISSUES
    for entry in entries:
        match entry:
            case {"loc": [*loc], "msg": str(msg), "type": str(kind)} if {*map(type, loc)} <= _STEPS:
                issue = (tuple(loc), msg[:_MAX_MESSAGE], kind)
                room -= len(repr(issue))
                if room > 0:
                    found.append(issue)
            case _:
                pass
    return found


def _path(loc: Path) -> Path | None:
    """The steps of a `loc` that lead down the filter, or None if it leads elsewhere."""
    steps = [step for step in loc if step in _LOC_KEYS or isinstance(step, int)]
    if steps[:1] != ["filter_tree"]:
        return None
    if "filter" in steps:
        return tuple(steps[1 : steps.index("filter") + 1])
    return tuple(steps[1:])


def _with_path(issue: Issue) -> str:
    path = ".".join(map(str, issue.loc)).removeprefix("body.")
    return f"{path[:300]}: {issue.msg}"


def _with_field(issue: Issue) -> str:
    fields = [step for step in issue.loc if step in _LEAF_FIELDS]
    return f"{fields[0]}: {issue.msg}" if fields else issue.msg
