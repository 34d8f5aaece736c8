"""One count: the sessions of a project that satisfy a filter, as the bytes that are sent and as plain data."""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeGuard, cast
from uuid import UUID

from attrs import Attribute, Factory, evolve, field, fields, frozen
from attrs.validators import optional

from galileo_sessions.display import brief
from galileo_sessions.errors import ConfigurationError, FilterDecodeError, FilterError, FilterTypeError
from galileo_sessions.filters.advice import EMPTY_AND, expected_filter
from galileo_sessions.filters.json import checked_list, dump_filter, fault_at, json_object, load, load_node
from galileo_sessions.filters.nodes import ALWAYS, NEVER, And, Filter, LeafFilter, Not, Or, all_of
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.values import UUID_TEXT, as_instant, as_sequence

ANY_PROJECT = str(UUID(int=0))  # a placeholder for the project in a template of queries
SCOPE = ("log_stream_id", "experiment_id", "metrics_testing_id")

_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ORDER = "The project comes before the filter"
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_NO_FILTER = b"{}"  # the body of a query for all sessions of a project


def _is_canonical(value: object) -> TypeGuard[str]:
    """Whether the value is a UUID in the text form that the API documents, as most ids are."""
    return type(value) is str and _CANONICAL.fullmatch(value) is not None


def _uuid(value: UUID | str | None) -> str | None:
    """A UUID in the text form that the API documents. Anything else stays as it is, for `_check_id` to refuse."""
    if _is_canonical(value):
        return value
    if isinstance(value, UUID):
        return str(value)
    match = UUID_TEXT.fullmatch(value) if isinstance(value, str) else None
    return str(UUID(match[1])) if match else value


def _project_id(value: UUID | str) -> str:
    if isinstance(value, Filter):  # swapped arguments; `_where` would say less about them
        raise ConfigurationError(f"project_id must be a UUID, got {brief(value)}. {_ORDER}")
    return cast("str", _uuid(value))


def _check_id(_: object, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or not _CANONICAL.fullmatch(value):
        hint = "Write an id such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
        if isinstance(value, str):
            hint += ", not a name; find it in the project's console URL"
        elif as_sequence(value) is not None:
            hint = "For several projects write count_all([...])"
        raise ConfigurationError(f"{attribute.name} must be a UUID, got {brief(value)}. {hint}")


_check_scope = optional(_check_id)


def _where(value: Filter | None) -> Filter:
    if value is None:
        return ALWAYS
    if isinstance(value, Filter):
        return value
    items = as_sequence(value) or [value]
    if all(isinstance(item, UUID) or (isinstance(item, str) and UUID_TEXT.fullmatch(item)) for item in items):
        raise FilterTypeError(f"where must be a filter, got {brief(value)}. {_ORDER}")
    raise expected_filter(value)


def _check_nodes(where: Filter) -> None:
    """Refuses a filter with an empty node below its root."""
    nodes = [where]
    for node in nodes:  # the list grows during the loop
        if type(node) is Not:
            nodes.append(node.child)
        elif type(node) is And or type(node) is Or:
            if not node.children and node is not where:
                raise FilterError(
                    f"this filter contains {node!r}, and the API doesn't define an empty {type(node).__name__}. "
                    "Write the filter with &, | and ~, which simplify it"
                )
            nodes += node.children


def _leaves(filters: Iterable[Filter]) -> tuple[LeafFilter, ...]:
    leaves = tuple(filters)
    for leaf in leaves:
        if not isinstance(leaf, LeafFilter):
            raise FilterTypeError(
                f"filters must be a list of leaves, but has {brief(leaf)}. "
                "Write where=... for filters combined with &, | and ~"
            )
    return cast("tuple[LeafFilter, ...]", leaves)


@frozen
class CountQuery:
    """
    One count: the sessions of a project, or of a scope in it, that satisfy a filter.

    If `where` is `NEVER`, the count is 0 without a request.

    Raises:
        ConfigurationError: if an id isn't a UUID.
        FilterError: if the filter can't be sent: it contains an empty `And` or `Or`, or both `where` and `filters` are
            given.
    """

    project_id: str = field(converter=_project_id, validator=_check_id)
    """A UUID, as text or as `uuid.UUID`."""
    where: Filter = field(default=None, converter=_where)
    """The filter; None and `ALWAYS` mean all sessions."""
    filters: tuple[LeafFilter, ...] = field(default=(), kw_only=True, converter=_leaves)
    """The API's flat list of leaves, instead of `where`: the API doesn't document how it combines the two."""
    log_stream_id: str | None = field(default=None, kw_only=True, converter=_uuid, validator=_check_scope)
    experiment_id: str | None = field(default=None, kw_only=True, converter=_uuid, validator=_check_scope)
    metrics_testing_id: str | None = field(default=None, kw_only=True, converter=_uuid, validator=_check_scope)
    tag: Any = field(default=None, kw_only=True, eq=False)
    """Anything that helps to recognise the result. It isn't sent, and queries compare without it."""
    body: bytes = field(init=False, eq=False, repr=False)
    """The JSON that is sent; empty if the count is known to be 0."""

    def __attrs_post_init__(self) -> None:
        if self.filters and self.where != ALWAYS:
            raise FilterError(
                "the API doesn't document how it combines where and filters. Write where=where & all_of(filters)"
            )
        _check_nodes(self.where)
        object.__setattr__(self, "body", b"" if self.where == NEVER else _encoded(self))

    def for_project(self, project_id: UUID | str) -> Self:
        """The same query for another project; the filter isn't checked or encoded again."""
        query = type(self).__new__(type(self))
        for get, set_ in _SHARED:  # by slot, because copy.copy would add 3 % to the time of a count
            set_(query, get(self))
        if not _is_canonical(project_id):
            project_id = _project_id(project_id)
            _check_id(query, _PROJECT_ID, project_id)
        _SET_PROJECT_ID(query, project_id)
        return query


_PROJECT_ID: "Attribute[str]" = fields(CountQuery).project_id
_SLOTS = {attribute.name: CountQuery.__dict__[attribute.name] for attribute in fields(CountQuery)}
_SET_PROJECT_ID = _SLOTS.pop("project_id").__set__
_SHARED = [(slot.__get__, slot.__set__) for slot in _SLOTS.values()]


def build_query(
    project_id: UUID | str, where: Filter | None, filters: Iterable[Filter], *scope: UUID | str | None
) -> CountQuery:
    """The query for a client's arguments; `scope` has the ids in the order of `SCOPE`."""
    return CountQuery(project_id, where, filters=filters, **dict(zip(SCOPE, scope, strict=True)))


def narrowed(query: CountQuery, template: CountQuery) -> CountQuery:
    """
    The query, narrowed to the template's filter and scope.

    Raises:
        ConfigurationError: if both have an id for the same part of the scope, and the ids differ.
        FilterError: if the combined filter can't be sent.
    """
    if template.body == _NO_FILTER:
        return query
    changes: dict[str, Any] = {}
    for name in SCOPE:
        own, given = getattr(query, name), getattr(template, name)
        if own and given and own != given:
            raise ConfigurationError(f"{name} is {given}, but the CountQuery has {own}. Leave one of them out")
        changes[name] = own or given
    if template.filters or template.where != ALWAYS:
        where = all_of([query.where, *query.filters, template.where, *template.filters])
        changes |= {"where": where, "filters": ()}
    return evolve(query, **changes)


@frozen
class Breakdown:
    """What is counted in each project."""

    whole: CountQuery
    """The query for all sessions that are divided."""
    parts: dict[str, CountQuery] = Factory(dict[str, CountQuery])
    """The query for each label of a partition; the label is its tag."""
    rest: str | None = None
    """The label for the sessions that are in no part: the whole minus the parts."""
    disjoint: bool = True
    """Whether no session is in two parts."""
    previous: CountQuery | None = None
    """The whole in the previous period."""
    unfiltered: CountQuery | None = None
    """The whole without the filter."""

    @classmethod
    def by(cls, template: CountQuery, partition: Mapping[str, Filter]) -> Self:
        """
        The breakdown by a partition: its parts, and the whole that they divide.

        Raises:
            FilterTypeError: if `partition` isn't a mapping of label to filter.
        """
        if not isinstance(partition, Mapping):
            raise FilterTypeError(
                f"partition must be a mapping of label to filter, got {brief(partition)}. "
                'Write, for example, Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
            )
        wheres = {label: all_of([template.where, part]) for label, part in partition.items()}
        parts = {label: evolve(template, where=where, tag=label) for label, where in wheres.items()}
        if not isinstance(partition, Partition):
            return cls(template, parts, disjoint=False)
        whole = evolve(template, where=template.where & partition.whole)
        return cls(whole, parts, partition.rest, partition.disjoint)

    @property
    def queries(self) -> list[CountQuery]:
        """All queries for a project: the parts, the whole, and what the whole is compared with."""
        more = [query for query in (self.previous, self.unfiltered) if query is not None]
        return [*self.parts.values(), self.whole, *more]

    def targets(
        self, projects: Collection[str] | AsyncIterable[str]
    ) -> Iterable[CountQuery] | AsyncIterator[CountQuery]:
        """The queries for each project, made as they are needed."""
        queries = self.queries
        if isinstance(projects, AsyncIterable):
            return (query.for_project(project) async for project in projects for query in queries)
        return _Targets(projects, queries)


@frozen
class _Targets:
    """The queries for each project, and their number."""

    projects: Collection[str]
    queries: Sequence[CountQuery]

    def __len__(self) -> int:
        return len(self.projects) * len(self.queries)

    def __iter__(self) -> Iterator[CountQuery]:
        return (query.for_project(project) for project in self.projects for query in self.queries)


def columns_body(query: CountQuery, start_time: datetime | str | None, end_time: datetime | str | None) -> bytes:
    """
    The request body for the columns of a query's scope between two times.

    Raises:
        FilterError: if a time can't be read, or has no UTC offset.
    """
    times = {"start_time": start_time, "end_time": end_time}
    return _encoded(query, **{name: as_instant(time).isoformat() for name, time in times.items() if time is not None})


def _encoded(query: CountQuery, **more: str) -> bytes:
    data = {**dump_query(query), **more}
    del data["project_id"]
    data.pop("tag", None)
    return _JSON.encode(data).encode("ascii")


def dump_query(query: CountQuery) -> dict[str, Any]:
    """
    A query as plain data: the API's request body, with the `project_id`, which is sent in the path, and the `tag`.

    What isn't set is left out. `load_query` turns it back into an equal query.
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
    The query for plain data: what `dump_query` returns, or an API request body with its `project_id`.

    Raises:
        FilterDecodeError: with the path to the fault, if it isn't a query. An empty `and` as `filter_tree` is refused
            too: a query for all sessions has no filter_tree.
        ConfigurationError: if an id isn't a UUID.
        FilterError: if the query can't be sent; see `CountQuery`.
    """
    entries = json_object(data)
    unknown = [key for key in entries if key not in ("project_id", "filter_tree", "filters", "tag", *SCOPE)]
    if unknown:
        raise FilterDecodeError(
            f"a query has no key {brief(unknown[0])}; it has filter_tree, filters, {', '.join(SCOPE)}"
        )
    if "project_id" not in entries:
        raise FilterDecodeError("a query needs its project_id")
    tree = entries.pop("filter_tree", None)
    flat = checked_list(entries.pop("filters", ()), "leaves", ("filters",))
    leaves = load(flat, list[LeafFilter], ("filters",))
    where = None if tree is None else load_node(tree, ("filter_tree",))
    if where == ALWAYS:
        raise fault_at(("filter_tree",), EMPTY_AND)
    return CountQuery(where=where, filters=leaves, **entries)
