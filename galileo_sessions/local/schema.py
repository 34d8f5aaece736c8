"""
The requests that the local server reads, as pydantic models of the API's document.

The service runs FastAPI, which validates with pydantic, so the entries of a 422 come out as the service writes them.
FastAPI tries all four kinds of node at each node and reports each attempt: one wrong leaf makes 7 to 13 entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, cast

from attrs import fields_dict, frozen

from galileo_sessions.client.query import SCOPE
from galileo_sessions.errors import FilterCheckError, FilterError, Issue
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.json import dump_filter, load, load_filter
from galileo_sessions.filters.kinds import FILTER_TYPES
from galileo_sessions.filters.matching import matches
from galileo_sessions.filters.nodes import LEAVES, Filter, LeafFilter, all_of

try:
    from pydantic import UUID4, AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
except ModuleNotFoundError:
    message = "The local server needs pydantic, which isn't installed: pip install 'galileo-sessions[local]'"
    raise ModuleNotFoundError(message, name="pydantic") from None

_CREATED = Col.date("created_at")
_TIMES = {"start_time": _CREATED.gte, "end_time": _CREATED.lte}


class RequestError(Exception):
    """
    A request that the server refuses.

    Args:
        detail: FastAPI's `detail`: the entries of a 422, or a text.
        status: The HTTP status.
    """

    def __init__(self, detail: list[dict[str, Any]] | str, status: int = 422) -> None:
        super().__init__(detail, status)
        self.detail = detail
        self.status = status


# ---- models ----------------------------------------------------------------------------------------------------------


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


_Time: Any = Annotated[datetime, AfterValidator(_aware)]
_VALUES: dict[str, Any] = {
    "id": UUID4 | list[UUID4 | str] | str,
    "date": _Time,
    "number": int | float | list[int] | list[float],
    "boolean": bool,
    "collection": str | list[str],
    "text": str | list[str],
}
_model: Any = create_model  # no type checker follows fields that come from a table


def _leaf_model(kind: str) -> Any:
    operators = {name: name for name in FILTER_TYPES[kind].operators}
    fields: dict[str, Any] = {
        "column_id": (str, ...),
        "operator": (Enum("Operator", operators), "eq" if kind in ("id", "boolean") else ...),
        "value": (_VALUES[kind], ...),
        "type": (Literal[kind], ...),
    }
    if "case_sensitive" in fields_dict(LEAVES[kind]):
        fields["case_sensitive"] = (bool, True)
    return _model(kind, __config__=ConfigDict(use_enum_values=True), **fields)


class FullyAnnotated(BaseModel):
    """The leaf without an operator."""

    column_id: Literal["fully_annotated"] = "fully_annotated"
    type: Literal["fully_annotated"]
    user_ids: Annotated[list[UUID4], Field(min_length=1)] | None = None


_Leaf: Any = Annotated[Union[(*map(_leaf_model, FILTER_TYPES), FullyAnnotated)], Field(discriminator="type")]
_Node: Any = Union[  # noqa: UP007  # the names below are part of each entry's loc
    _model("FilterLeaf", filter=(_Leaf, ...)),
    _model("AndNode", __module__=__name__, **{"and": ("list[_Node]", ...)}),
    _model("OrNode", __module__=__name__, **{"or": ("list[_Node]", ...)}),
    _model("NotNode", __module__=__name__, **{"not": ("_Node", ...)}),
]


class Scope(BaseModel):
    """What the bodies of both requests have."""

    log_stream_id: UUID4 | None = None
    experiment_id: UUID4 | None = None
    metrics_testing_id: UUID4 | None = None


_CountBody = _model("CountBody", __base__=Scope, filters=(list[_Leaf], []), filter_tree=(_Node | None, None))
_ColumnsBody = _model("ColumnsBody", __base__=Scope, **dict.fromkeys(_TIMES, (_Time | None, None)))
_Path = _model("Path", project_id=(UUID4, ...))
_Login = _model("Login", username=(str, ...), password=(str, ...))
_ApiKeyLogin = _model("ApiKeyLogin", api_key=(str, ...))
_REQUESTS: dict[str, Any] = {
    "count": _model("CountRequest", path=(_Path, ...), body=(_CountBody, ...)),
    "available_columns": _model("ColumnsRequest", path=(_Path, ...), body=(_ColumnsBody, ...)),
    "project": _model("ProjectRequest", path=(_Path, ...)),
    "login": _model("LoginRequest", body=(_Login, ...)),
    "api_key": _model("ApiKeyLoginRequest", body=(_ApiKeyLogin, ...)),
}


# ---- requests --------------------------------------------------------------------------------------------------------


@frozen
class SessionsRequest:
    """A valid request for a count or columns."""

    project_id: str
    where: Filter
    """Tree, flat filters and times, all of which must hold; the API doesn't document how it combines them."""
    tree: Filter | None
    """The tree alone."""
    flat: tuple[LeafFilter, ...]
    """The flat filters alone."""
    scope: dict[str, str]
    """The ids that narrow the project down, by name."""

    def holds_for(self, session: Mapping[str, object]) -> bool:
        """Whether a session of the project is in the scope and satisfies the filter."""
        return self.scope.items() <= session.items() and matches(self.where, session)


def read_sessions_request(endpoint: str, project_id: str, body: bytes, content_type: str) -> SessionsRequest:
    """
    Reads a request to `count` or `available_columns`.

    pydantic's rules hold: keys that the document doesn't have are ignored, `"3"` is a number, a time without an
    offset is UTC, and if a node has several of the keys filter, and, or, not, the one that fits best is taken.

    Raises:
        RequestError: if the API's document doesn't allow it, or its filter has more than 100 levels or 10,000 leaves.
    """
    request = validated(endpoint, path={"project_id": project_id}, body=decoded(body, content_type))
    data = request["body"]
    try:
        flat: list[LeafFilter] = load(data.get("filters", []), list[LeafFilter], ("filters",))
        tree = load_filter(data["filter_tree"]) if "filter_tree" in data else None
        times = [compare(data[name]) for name, compare in _TIMES.items() if name in data]
        where = all_of([*flat, *([] if tree is None else [tree]), *times])
    except FilterError as error:  # too large, or NaN or an infinity, which Python's JSON has
        raise _value_error(str(error)) from None
    scope = {name: str(data[name]) for name in SCOPE if name in data}
    return SessionsRequest(str(request["path"]["project_id"]), where, tree, tuple(flat), scope)


def check_columns(request: SessionsRequest, columns: ColumnCatalog) -> None:
    """
    Checks that a request's filters fit columns.

    Raises:
        RequestError: with an entry for each leaf that doesn't; its `loc` leads to the leaf as FastAPI's would.
    """
    parts: list[tuple[tuple[str | int, ...], Filter]] = [(("filters", i), leaf) for i, leaf in enumerate(request.flat)]
    parts += [] if request.tree is None else [(("filter_tree",), request.tree)]
    entries: list[dict[str, Any]] = []
    for loc, where in parts:
        try:
            _ = columns.check(where)
        except FilterCheckError as error:
            entries += [_misfit(loc, issue) for issue in error.issues]
    if entries:
        raise RequestError(entries)


def _misfit(loc: tuple[str | int, ...], issue: Issue) -> dict[str, Any]:
    leaf = dump_filter(cast("Filter", issue.node))["filter"]
    steps = () if loc[0] == "filters" else issue.loc
    key = {"unknown_column": "column_id", "no_operator": "operator"}.get(issue.type, "type")
    return {"type": issue.type, "loc": ("body", *loc, *steps, leaf["type"], key), "msg": issue.msg, "input": leaf[key]}


def validated(request: str, **parts: object) -> Any:
    """
    The path and the body of a request as plain data.

    Raises:
        RequestError: with pydantic's errors, which echo what was sent, as the service does.
    """
    try:
        return _REQUESTS[request].model_validate(parts, from_attributes=True).model_dump(exclude_none=True)
    except ValidationError as error:
        raise RequestError([{**entry} for entry in error.errors(include_url=False)]) from None


def decoded(body: bytes, content_type: str) -> object:
    """
    A body as FastAPI decodes it: JSON if the content type says so, otherwise text.

    Raises:
        RequestError: if there is no body, or it isn't JSON.
    """
    if not body:
        raise _refusal("missing", "Field required", None)
    if not re.fullmatch(r"application/(.+\+)?json", content_type):
        return body.decode(errors="replace")
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise _refusal("json_invalid", "JSON decode error", {}, error.pos, error=error.msg) from None
    except RecursionError:
        raise _value_error("too many levels of JSON") from None
    except ValueError:  # bytes that aren't text, or a number of more than 4,300 digits
        raise unreadable_body() from None


def unreadable_body() -> RequestError:
    """FastAPI's answer to a body that is neither JSON nor a form."""
    return RequestError("There was an error parsing the body", 400)


def _value_error(reason: str) -> RequestError:
    return _refusal("value_error", f"Value error, {reason}", None, error=reason)


def _refusal(code: str, message: str, given: object, *position: int, **context: object) -> RequestError:
    entry = {"type": code, "loc": ("body", *position), "msg": message, "input": given}
    return RequestError([entry | {"ctx": context} if context else entry])
