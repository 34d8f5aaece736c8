"""
One count: the sessions of a project that satisfy a filter, as the bytes that are sent and as plain
data.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, Self
from uuid import UUID

from attrs import evolve, field, fields, frozen

from galileo_sessions.api.projects import CANONICAL, LogStream, Project, ProjectId, as_uuid
from galileo_sessions.display import brief
from galileo_sessions.errors import (
    ConfigurationError,
    FilterDecodeError,
    FilterError,
    FilterTypeError,
)
from galileo_sessions.filters.advice import expected_filter, of_sdk
from galileo_sessions.filters.filter_types import check_satisfiable
from galileo_sessions.filters.nodes import (
    ALWAYS,
    NEVER,
    And,
    Comparison,
    Filter,
    LeafFilter,
    Or,
    all_of,
)
from galileo_sessions.filters.plain_data import (
    checked_list,
    dump_filter,
    json_object,
    load,
    load_node,
)
from galileo_sessions.filters.tree import walk
from galileo_sessions.filters.values import UUID_TEXT, as_instant, as_sequence, items_of

ANY_PROJECT = str(UUID(int=0))  # a placeholder for the project in a template of queries
SCOPE = ("log_stream_id", "experiment_id", "metrics_testing_id")

_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
NO_FILTER = b"{}"  # the body of a query for all sessions of a project


def _where(value: Filter) -> Filter:
    if isinstance(value, Filter):
        return value
    if value is None:
        hint = (
            "Leave it out, or write ALWAYS, to count all sessions. "
            "A function that made it may lack its return"
        )
        raise FilterTypeError("where is None, and must be a filter", hint=hint)
    items = as_sequence(value) or [value]
    if all(isinstance(item, UUID | str) and UUID_TEXT.fullmatch(str(item)) for item in items):
        problem = f"where must be a filter, got {brief(value)}"
        raise FilterTypeError(problem, hint="The project comes before the filter")
    raise expected_filter(value)


def _check_nodes(where: Filter) -> None:
    """
    Refuses what the API doesn't define: an empty node below the root, and values that no session
    can satisfy.
    """
    for path, node in walk(where):
        if isinstance(node, Comparison):
            try:
                check_satisfiable(node.operator, node.value)
            except FilterError as error:
                error.args = (f"{brief(node)}: {error.message}",)
                raise
        elif path and isinstance(node, And | Or) and not node.children:
            kind = type(node).__name__
            raise FilterError(
                f"this filter contains {node!r}, and the API doesn't define an empty {kind}",
                hint="Write the filter with &, | and ~, which simplify it",
            )


def _leaves(filters: Iterable[Filter]) -> tuple[LeafFilter, ...]:
    leaves = items_of(filters)
    hint = "Write where=... for one filter, or for &, | and ~"
    if leaves is None:
        raise FilterTypeError(f"filters must be a list of leaves, got {brief(filters)}", hint=hint)
    for i, leaf in enumerate(leaves):
        if not isinstance(leaf, LeafFilter):
            problem = f"filters must be a list of leaves, and filters[{i}] is {brief(leaf)}"
            raise FilterTypeError(problem, hint=of_sdk(leaf) or hint)
    return leaves


@frozen(init=False)
class CountQuery:
    """
    One count: the sessions of a project, or of a scope in it, that satisfy a filter.

    If `where` is `NEVER`, the count is 0 without a request. The argument `filters`, the API's flat
    list of leaves, is another way to write `where=all_of(filters)`.

    Raises:
        ConfigurationError: if an id isn't a UUID.
        FilterError: if the filter can't be sent: it contains an empty `And` or `Or`, an empty list,
            or bounds that aren't in order, or both `where` and `filters` are given.
    """

    __match_args__ = ("project_id", "where")

    project_id: str
    """A UUID as text, in lower case and with dashes, however it was given."""
    where: Filter
    """The filter; `ALWAYS` if all sessions are counted."""
    log_stream_id: str | None
    """Counts only this log stream's sessions; None for all."""
    experiment_id: str | None
    """Counts only this experiment's sessions; None for all."""
    metrics_testing_id: str | None
    """Counts only the sessions of this metrics testing run; None for all."""
    tag: Any = field(eq=False)
    """
    Anything that helps to recognise the result. It isn't sent, and queries compare without it.
    """
    project_name: str | None = field(eq=False)
    """
    The project's name, if a `Project` was given. It isn't sent, and queries compare without it.
    """
    log_stream_name: str | None = field(eq=False)
    """
    The log stream's name, if a `LogStream` was given. It isn't sent, and queries compare without
    it.
    """
    body: bytes = field(init=False, eq=False, repr=False)
    """The JSON that is sent; empty if `where` is `NEVER`, because nothing is sent."""

    def __init__(
        self,
        project_id: ProjectId,
        where: Filter = ALWAYS,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        tag: Any = None,
        project_name: str | None = None,
        log_stream_name: str | None = None,
    ) -> None:
        if isinstance(project_id, LogStream):
            stream = project_id
            given = _as_scope("log_stream_id", log_stream_id)
            if given not in (None, stream.id):
                what = f"log stream {brief(stream.name)}"
                raise _other_id("log_stream_id", given, what, stream.id)
            log_stream_id = stream.id
            log_stream_name = stream.name
            project_id = stream.project_id
            project_name = stream.project_name
        if isinstance(project_id, Project):
            project_name = project_id.name  # `evolve` passes that of the project before
            project_id = project_id.id
        where = _where(where)
        leaves = _leaves(filters)
        if leaves:
            if where != ALWAYS:
                problem = "the API doesn't document how it combines where and filters"
                raise FilterError(problem, hint="Write where=where & all_of(filters)")
            where = all_of(leaves)
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # attrs makes it
            as_uuid("project_id", project_id),
            where,
            tag=tag,
            project_name=project_name,
            log_stream_name=log_stream_name,
            log_stream_id=_as_scope("log_stream_id", log_stream_id),
            experiment_id=_as_scope("experiment_id", experiment_id),
            metrics_testing_id=_as_scope("metrics_testing_id", metrics_testing_id),
        )

    def __attrs_post_init__(self) -> None:
        _check_nodes(self.where)
        object.__setattr__(self, "body", b"" if self.where == NEVER else _encoded(self))

    def for_project(self, project_id: Project | UUID | str) -> Self:
        """The same query for another project; the filter isn't checked or encoded again."""
        name = None
        if isinstance(project_id, Project):
            name = project_id.name
            project_id = project_id.id
        if type(project_id) is not str or CANONICAL.fullmatch(project_id) is None:
            project_id = as_uuid("project_id", project_id)
        query = object.__new__(type(self))
        values = (project_id, name, *_all_but_project(self))
        for put, value in zip(_SETTERS, values, strict=True):  # a copy takes three times as long
            put(query, value)
        return query


_OF_PROJECT = ("project_id", "project_name")
_OTHERS = [each.name for each in fields(CountQuery) if each.name not in _OF_PROJECT]
_SETTERS = [getattr(CountQuery, name).__set__ for name in (*_OF_PROJECT, *_OTHERS)]
_all_but_project = attrgetter(*_OTHERS)


def _as_scope(name: str, value: UUID | str | None) -> str | None:
    return None if value is None else as_uuid(name, value)


def query_of(template: CountQuery, target: CountQuery | ProjectId) -> CountQuery:
    """
    The template's query for a target: a project, or a query, which is narrowed to the template's
    filter and scope.

    Raises:
        ConfigurationError: if the target isn't a project, or if both have an id for the same part
            of the scope, and the ids differ.
        FilterError: if the combined filter can't be sent.
    """
    if isinstance(target, LogStream):
        target = CountQuery(target)
    if not isinstance(target, CountQuery):
        return template.for_project(target)
    if template.body == NO_FILTER and template.tag is None:
        return target
    changes: dict[str, Any] = _common_scope(target, template)
    if template.tag is not None:
        changes["tag"] = template.tag
    if template.where != ALWAYS:
        changes["where"] = target.where & template.where
    return evolve(target, **changes)


def _common_scope(target: CountQuery, template: CountQuery) -> dict[str, str]:
    """The ids of both scopes, which may not differ."""
    common = scope_of(target)
    for name, given in scope_of(template).items():
        own = common.setdefault(name, given)
        if own != given:
            raise _other_id(name, given, "the query", own)
    return common


def _other_id(name: str, given: str | None, what: str, own: str) -> ConfigurationError:
    problem = f"{name} is {given}, but {what} has {own}"
    return ConfigurationError(problem, hint="Leave one of them out")


def scope_of(query: CountQuery) -> dict[str, str]:
    """The ids of a query's scope by their names; empty if it is the whole project."""
    return {name: value for name in SCOPE if (value := getattr(query, name)) is not None}


def within(query: CountQuery) -> str:
    """
    The scope of a query in a project, for a message: ", log stream " and its id, and so on; empty
    without one.
    """
    ids = [f", {name.removesuffix('_id')} {value}" for name, value in scope_of(query).items()]
    return "".join(ids).replace("_", " ")


def columns_body(
    query: CountQuery, start_time: datetime | str | None, end_time: datetime | str | None
) -> bytes:
    """
    The request body for the columns of a query's scope between two times.

    Raises:
        FilterError: if a time can't be read, or has no UTC offset.
    """
    times = {"start_time": start_time, "end_time": end_time}
    given = {name: as_instant(time).isoformat() for name, time in times.items() if time is not None}
    return _encoded(query, **given)


def _encoded(query: CountQuery, **entries: str) -> bytes:
    return _JSON.encode(_dump_body(query) | entries).encode("ascii")


def _dump_body(query: CountQuery) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if query.where != ALWAYS:
        data["filter_tree"] = dump_filter(query.where)
    return data | scope_of(query)


def dump_query(query: CountQuery) -> dict[str, Any]:
    """
    A query as plain data: the API's request body, with the `project_id`, which is sent in the path,
    and the `tag`.

    What isn't set is left out. `load_query` turns it back into an equal query, unless that is for
    `NEVER`.

    Raises:
        FilterTypeError: if it isn't a `CountQuery`.
    """
    if not isinstance(query, CountQuery):
        hint = "Write dump_filter(...)" if isinstance(query, Filter) else "Pass a CountQuery"
        raise FilterTypeError(f"{brief(query)} is not a query", hint=hint)
    data = {"project_id": query.project_id, **_dump_body(query)}
    return data if query.tag is None else {**data, "tag": query.tag}


def load_query(data: object) -> CountQuery:
    """
    The query for plain data: what `dump_query` returns, or an API request body with its
    `project_id`.

    The API's flat list, `filters`, becomes the query's `where`, as in `CountQuery`.

    Raises:
        FilterDecodeError: with the path to the fault, if it isn't a query. An empty `and` or `or`
            is refused, too.
        ConfigurationError: if an id isn't a UUID.
        FilterError: if the query can't be sent; see `CountQuery`.
    """
    entries = json_object(data)
    for key in entries:
        if key not in ("project_id", "filter_tree", "filters", "tag", *SCOPE):
            known = ", ".join(["filter_tree", "filters", *SCOPE])
            raise FilterDecodeError(f"a query has no key {brief(key)}; it has {known}")
    if "project_id" not in entries:
        hint = 'Write {"project_id": "...", **data}: the API has it in the path, not in the request'
        raise FilterDecodeError("a query needs its project_id", hint=hint)
    tree = entries.pop("filter_tree", None)
    leaves = checked_list(entries.pop("filters", ()), "leaves", ("filters",))
    filters = load(leaves, list[LeafFilter], ("filters",))
    where = ALWAYS if tree is None else load_node(tree, ("filter_tree",))
    return CountQuery(where=where, filters=filters, **entries)
