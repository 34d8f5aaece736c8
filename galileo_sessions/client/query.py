"""One count: which sessions, of which project; and the same as the bytes that travel."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self, cast
from uuid import UUID

from attrs import evolve, field, fields, frozen

from galileo_sessions.errors import (
    ConfigurationError,
    FilterDecodeError,
    FilterError,
    FilterTypeError,
    brief,
)
from galileo_sessions.filters.messages import EMPTY_AND
from galileo_sessions.filters.nodes import ALWAYS, NEVER, And, Filter, LeafFilter, Not, Or, all_of
from galileo_sessions.filters.serialization import checked_list, dump_filter, fault_at, load, load_node
from galileo_sessions.filters.values import UUID_TEXT, instant

_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
SCOPE = ("log_stream_id", "experiment_id", "metrics_testing_id")


def _uuid(name: str, value: object) -> str:
    if type(value) is str and _CANONICAL.fullmatch(value):  # the most frequent first
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        match = UUID_TEXT.fullmatch(value)
        if match is not None:
            return str(UUID(match[1]))
    several = ". For several write count_all([...])" if type(value) in (list, tuple, set) else ""
    example = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
    raise ConfigurationError(f"{name} {brief(value)} is no UUID such as {example}{several}")


def _project_id(value: UUID | str) -> str:
    return _uuid("project_id", value)


def _log_stream_id(value: UUID | str | None) -> str | None:
    return None if value is None else _uuid("log_stream_id", value)


def _experiment_id(value: UUID | str | None) -> str | None:
    return None if value is None else _uuid("experiment_id", value)


def _metrics_testing_id(value: UUID | str | None) -> str | None:
    return None if value is None else _uuid("metrics_testing_id", value)


def _where(value: Filter | None) -> Filter:
    if value is None:
        return ALWAYS
    if isinstance(value, Filter):
        return value
    if isinstance(value, Mapping):
        hint = "load_filter({...}) for a filter_tree as plain data"
    elif hasattr(value, "column_id"):
        hint = f"a comparison, such as {brief(value)}.eq(...)"
    else:
        hint = 'one, such as Col("input").contains("x")'
    raise FilterTypeError(f"where takes a filter, got {brief(value)}. Write {hint}")


def _leaves(filters: Iterable[Filter] | Filter) -> tuple[LeafFilter, ...]:
    if not isinstance(filters, Iterable | Filter):
        raise FilterTypeError(f"filters is the API's flat list of leaves, got {brief(filters)}. Write filters=[...]")
    leaves = (filters,) if isinstance(filters, Filter) else tuple(filters)
    for leaf in leaves:
        if not isinstance(leaf, Filter) or isinstance(leaf, And | Or | Not):
            raise FilterTypeError(
                f"filters is the API's flat list of leaves, so it can't hold {brief(leaf)}. "
                "Write where=... for filters combined with &, | and ~"
            )
    return cast("tuple[LeafFilter, ...]", leaves)


@frozen
class CountQuery:
    """
    One count: the sessions of a project, of a scope within it, that satisfy a filter.

    Raises:
        ConfigurationError: if an id is no UUID.
        FilterError: if the filter can't be sent: it holds an empty `And` or `Or`, or `filters` stands beside `where`.

    A query whose `where` is `NEVER` asks for no session: its count is 0 without a request.
    """

    project_id: str = field(converter=_project_id)
    """A UUID; also taken as `uuid.UUID`."""
    where: Filter = field(default=None, converter=_where)
    """The filter; None and `ALWAYS` mean all sessions."""
    filters: tuple[LeafFilter, ...] = field(default=(), kw_only=True, converter=_leaves)
    """The API's flat list of leaves; `where` excludes it, for how the service combines the two isn't documented."""
    log_stream_id: str | None = field(default=None, kw_only=True, converter=_log_stream_id)
    experiment_id: str | None = field(default=None, kw_only=True, converter=_experiment_id)
    metrics_testing_id: str | None = field(default=None, kw_only=True, converter=_metrics_testing_id)
    tag: Any = field(default=None, kw_only=True, eq=False)
    """Anything that helps to recognise the result; it isn't sent, and queries compare without it."""
    body: bytes = field(init=False, eq=False, repr=False)
    """The JSON that travels; empty where the answer is known to be 0."""

    def __attrs_post_init__(self) -> None:
        if self.filters and self.where is not ALWAYS and self.where != ALWAYS:
            raise FilterError(
                "where and filters exclude each other, for nobody has said how the service combines them. "
                "Write where=where & all_of(filters)"
            )
        if self.where == NEVER:
            object.__setattr__(self, "body", b"")
            return
        if self.where != ALWAYS:
            _refuse_empty(self.where)
        object.__setattr__(self, "body", _encoded(self))

    def for_project(self, project_id: UUID | str) -> Self:
        """The same question to another project; the filter isn't checked or encoded again."""
        checked = _project_id(project_id)
        query = type(self).__new__(type(self))
        for name in _SHARED:  # copy.copy would take 3 % of a count longer
            object.__setattr__(query, name, getattr(self, name))
        object.__setattr__(query, "project_id", checked)
        return query


_SHARED = [attribute.name for attribute in fields(CountQuery) if attribute.name != "project_id"]


def build_query(
    project_id: UUID | str, where: Filter | None, filters: Iterable[Filter], *scope: UUID | str | None
) -> CountQuery:
    """The query for a client's arguments; `scope` has the ids in the order of `SCOPE`."""
    return CountQuery(project_id, where, filters=filters, **dict(zip(SCOPE, scope, strict=True)))


def narrows(template: CountQuery) -> bool:
    """Whether a query asks for less than all sessions of its project."""
    return template.where != ALWAYS or bool(template.filters) or any(getattr(template, name) for name in SCOPE)


def narrowed(query: CountQuery, template: CountQuery) -> CountQuery:
    """
    The query, of the sessions that satisfy the template's filter as well, in its scope.

    Raises:
        ConfigurationError: if both have the same part of a scope, but not the same id.
        FilterError: if the filters together can't be sent.
    """
    if not narrows(template):
        return query  # nor is it encoded again
    scope = {name: getattr(query, name) or getattr(template, name) for name in SCOPE}
    for name, used in scope.items():
        given = getattr(template, name)
        if given is not None and given != used:
            raise ConfigurationError(
                f"{name}={given!r} beside a CountQuery of {name} {used!r}: no session is in both. Leave one of them out"
            )
    if not template.filters and template.where == ALWAYS:
        return evolve(query, **scope)
    where = all_of([query.where, *query.filters, template.where, *template.filters])
    return evolve(query, where=where, filters=(), **scope)


def part_queries(template: CountQuery, partition: Mapping[str, Filter]) -> list[CountQuery]:
    """
    A query for each label of a partition; the label is its tag.

    Raises:
        FilterTypeError: if `partition` isn't a mapping of label to filter.
    """
    if not isinstance(partition, Mapping):
        raise FilterTypeError(
            f"partition must be a mapping of label to filter, got {brief(partition)}. "
            'Write, for example, Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
        )
    return [evolve(template, where=all_of([template.where, part]), tag=label) for label, part in partition.items()]


def columns_body(query: CountQuery, start_time: datetime | str | None, end_time: datetime | str | None) -> bytes:
    """
    The JSON that asks which columns a query's scope has, between two times.

    Raises:
        ConfigurationError: if a time has no offset, or isn't one.
    """
    times: dict[str, str] = {}
    for name, value in (("start_time", start_time), ("end_time", end_time)):
        try:
            times |= {} if value is None else {name: instant(value).isoformat()}
        except FilterError as error:
            raise ConfigurationError(f"{name}: {error}") from None
    return _encoded(query, **times)


def _encoded(query: CountQuery, **more: str) -> bytes:
    data = {**dump_query(query), **more}
    del data["project_id"]
    data.pop("tag", None)
    return _JSON.encode(data).encode("ascii")


def _refuse_empty(where: Filter) -> None:
    nodes = [where]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Not):
            nodes.append(node.child)
        elif isinstance(node, And | Or):
            if not node.children:
                raise FilterError(
                    f"{node!r} stands inside this filter, and nobody has said what the service makes of an empty "
                    f"{type(node).__name__}. Write the filter with &, | and ~, which fold it away"
                )
            nodes.extend(node.children)


def dump_query(query: CountQuery) -> dict[str, Any]:
    """
    A query as plain data: the API's request body, with the `project_id` that travels in the path, and the `tag`.

    What isn't set is left out. `load_query` makes an equal query of it.
    """
    data: dict[str, Any] = {"project_id": query.project_id}
    if query.where != ALWAYS:
        data["filter_tree"] = dump_filter(query.where)
    if query.filters:
        data["filters"] = [dump_filter(leaf)["filter"] for leaf in query.filters]
    data |= {name: value for name in SCOPE if (value := getattr(query, name)) is not None}
    return data if query.tag is None else {**data, "tag": query.tag}


def load_query(data: object) -> CountQuery:
    """
    The query that plain data stands for: what `dump_query` makes, or an API request body with its `project_id`.

    Raises:
        FilterDecodeError: if it isn't one, with the path to the fault. An empty `and` as its filter_tree is none
            either: a query for all sessions has no filter_tree.
        ConfigurationError: if an id is no UUID.
        FilterError: if the query can't be sent; see `CountQuery`.
    """
    if not isinstance(data, Mapping):
        raise FilterDecodeError(f"expected a query, which is a JSON object; got {brief(data)}")
    entries = dict(cast("Mapping[Any, Any]", data))  # type: ignore[redundant-cast]  # pyright knows less
    unknown = [key for key in entries if key not in ("project_id", "filter_tree", "filters", "tag", *SCOPE)]
    if unknown:
        raise FilterDecodeError(
            f"a query has no key {brief(unknown[0])}; it has filter_tree, filters, {', '.join(SCOPE)}"
        )
    if "project_id" not in entries:
        raise FilterDecodeError("a query needs its project_id, for it says which sessions are counted")
    tree = entries.pop("filter_tree", None)
    flat = checked_list(entries.pop("filters", ()), "leaves", ("filters",))
    leaves = load(flat, list[LeafFilter], ("filters",))
    where = None if tree is None else load_node(tree, ("filter_tree",))
    if where == ALWAYS:
        raise fault_at(("filter_tree",), EMPTY_AND)
    return CountQuery(where=where, filters=leaves, **entries)
