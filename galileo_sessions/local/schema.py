"""
The requests that the local server reads, as pydantic models of the API's document.

The service runs FastAPI, which validates with pydantic, so a 422 has the same entries as the service's.
FastAPI tries all four kinds of node at each node and reports each attempt: one wrong leaf makes 7 to 13 entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from attrs import frozen

from galileo_sessions.api.query import SCOPE, CountQuery
from galileo_sessions.errors import FilterCheckError, FilterError
from galileo_sessions.filters import kinds
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.json import load, load_filter
from galileo_sessions.filters.matching import matches
from galileo_sessions.filters.nodes import ALWAYS, Filter, LeafFilter, all_of

try:
    from pydantic import UUID4, AfterValidator, BaseModel, Field, ValidationError
except ModuleNotFoundError:
    message = "The local server needs pydantic, which isn't installed: pip install 'galileo-sessions[local]'"
    raise ModuleNotFoundError(message, name="pydantic") from None

_CREATED = Col.date("created_at")


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


# ---- filters ---------------------------------------------------------------------------------------------------------


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=value.tzinfo or UTC)


Time: TypeAlias = Annotated[datetime, AfterValidator(_aware)]


class Leaf(BaseModel):
    """The field that all comparisons share."""

    column_id: str


class IdLeaf(Leaf):
    operator: kinds.IdOperator = "eq"
    value: UUID4 | list[UUID4 | str] | str
    type: Literal["id"]


class DateLeaf(Leaf):
    operator: kinds.DateOperator
    value: Time
    type: Literal["date"]


class NumberLeaf(Leaf):
    operator: kinds.NumberOperator
    value: int | float | list[int] | list[float]
    type: Literal["number"]


class BooleanLeaf(Leaf):
    operator: kinds.BooleanOperator = "eq"
    value: bool
    type: Literal["boolean"]


class CollectionLeaf(Leaf):
    operator: kinds.CollectionOperator
    value: str | list[str]
    type: Literal["collection"]
    case_sensitive: bool = True


class TextLeaf(Leaf):
    operator: kinds.TextOperator
    value: str | list[str]
    type: Literal["text"]
    case_sensitive: bool = True


class FullyAnnotatedLeaf(BaseModel):
    column_id: Literal["fully_annotated"] = "fully_annotated"
    type: Literal["fully_annotated"]
    user_ids: Annotated[list[UUID4], Field(min_length=1)] | None = None


AnyLeaf: TypeAlias = Annotated[
    IdLeaf | DateLeaf | NumberLeaf | BooleanLeaf | CollectionLeaf | TextLeaf | FullyAnnotatedLeaf,
    Field(discriminator="type"),
]


# The names of these four classes are part of an entry's `loc`.


class FilterLeaf(BaseModel):
    filter: AnyLeaf


class AndNode(BaseModel):
    children: list[Node] = Field(alias="and")


class OrNode(BaseModel):
    children: list[Node] = Field(alias="or")


class NotNode(BaseModel):
    child: Node = Field(alias="not")


Node: TypeAlias = FilterLeaf | AndNode | OrNode | NotNode


# ---- requests --------------------------------------------------------------------------------------------------------


class Path(BaseModel):
    project_id: UUID4


class Scope(BaseModel):
    """The fields that both request bodies share."""

    log_stream_id: UUID4 | None = None
    experiment_id: UUID4 | None = None
    metrics_testing_id: UUID4 | None = None


class CountBody(Scope):
    filters: list[AnyLeaf] = []
    filter_tree: Node | None = None


class ColumnsBody(Scope):
    start_time: Time | None = None
    end_time: Time | None = None


class PageQuery(BaseModel):
    starting_token: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class ProjectsBody(BaseModel):
    """Filters would be ignored, so they are refused."""

    filters: Annotated[list[Any], Field(max_length=0)] = []


class Login(BaseModel):
    username: str
    password: str


class KeyLogin(BaseModel):
    api_key: str


def validated(**parts: tuple[type[BaseModel], object]) -> dict[str, Any]:
    """
    The parts of a request, such as `path` and `body`, as plain data.

    Raises:
        RequestError: with pydantic's errors, which repeat the input, as the service's do.
    """
    data: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    for part, (model, given) in parts.items():
        try:
            data[part] = model.model_validate(given, from_attributes=True).model_dump(by_alias=True, exclude_none=True)
        except ValidationError as error:
            entries += [{**entry, "loc": (part, *entry["loc"])} for entry in error.errors(include_url=False)]
    for entry in entries:
        if entry["type"] == "literal_error" and entry["loc"][-1] == "operator":
            entry["type"] = "enum"  # the service's models have an enum for operators
    if entries:
        raise RequestError(entries)
    return data


@frozen
class SessionsRequest:
    """A valid request for a count or columns."""

    project_id: str
    where: Filter
    """The tree, the flat filters and the times together: all must hold, although the API doesn't document that."""
    tree: Filter
    """The tree alone."""
    flat: list[LeafFilter]
    """The flat filters alone."""
    scope: dict[str, Any]
    """The ids that narrow the project down, by name."""

    def holds_for(self, session: Mapping[str, object]) -> bool:
        """Whether a session of the project is in the scope and satisfies the filter."""
        return self.scope.items() <= session.items() and matches(self.where, session)

    def query(self) -> CountQuery:
        """
        The client's query for this request.

        Raises:
            FilterError: if a query can't hold the filter, such as an empty and/or inside a tree.
        """
        if self.tree == ALWAYS:
            return CountQuery(self.project_id, filters=self.flat, **self.scope)
        return CountQuery(self.project_id, self.where, **self.scope)


def read_sessions_request(endpoint: str, project_id: str, body: bytes, content_type: str) -> SessionsRequest:
    """
    Reads a request to `count` or `available_columns`.

    pydantic's rules hold: keys that the document doesn't have are ignored, `"3"` is a number, a time without an
    offset is UTC, and if a node has several of the keys filter, and, or, not, the one that fits best is taken.

    Raises:
        RequestError: if the API's document doesn't allow it, or its filter has more than 100 levels or 10,000 leaves.
    """
    model = CountBody if endpoint == "count" else ColumnsBody
    request = validated(path=(Path, {"project_id": project_id}), body=(model, decoded(body, content_type)))
    data = request["body"]
    try:
        flat: list[LeafFilter] = load(data.get("filters", []), list[LeafFilter], ("filters",))
        tree = load_filter(data["filter_tree"]) if "filter_tree" in data else ALWAYS
        since = _CREATED.gte(data["start_time"]) if "start_time" in data else ALWAYS
        until = _CREATED.lte(data["end_time"]) if "end_time" in data else ALWAYS
        where = all_of([*flat, tree, since, until])
    except FilterError as error:  # too large, or NaN or an infinity, which Python's json reads
        raise _value_error(str(error)) from None
    scope = {name: str(data[name]) for name in SCOPE if name in data}
    return SessionsRequest(str(request["path"]["project_id"]), where, tree, flat, scope)


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


# ---- columns ---------------------------------------------------------------------------------------------------------


def check_columns(request: SessionsRequest, columns: ColumnCatalog) -> None:
    """
    Checks that a request's filters fit the columns.

    Raises:
        RequestError: with an entry for each leaf that doesn't fit; its `loc` leads to the leaf as FastAPI's would.
    """
    entries: list[dict[str, Any]] = []
    for i, where in enumerate([*request.flat, request.tree]):
        try:
            _ = columns.check(where)
        except FilterCheckError as error:
            for issue in error.issues:
                leaf: Any = issue.node
                place = ("filters", i) if i < len(request.flat) else ("filter_tree", *issue.loc)
                key = {"unknown_column": "column_id", "no_operator": "operator"}.get(issue.type, "type")
                loc = ("body", *place, leaf.type, key)
                entries.append({"type": issue.type, "loc": loc, "msg": issue.msg, "input": getattr(leaf, key)})
    if entries:
        raise RequestError(entries)
