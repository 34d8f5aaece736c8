"""
Projects and their log streams: their ids and names, and the pages in which the API lists them.
"""

import json
import re
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from attrs import field, frozen
from attrs.converters import optional

from galileo_sessions.display import brief, did_you_mean, shortened
from galileo_sessions.errors import (
    ConfigurationError,
    GalileoError,
    LogStreamLookupError,
    ProjectLookupError,
)
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.plain_data import (
    checked_list,
    json_object,
    load,
    strict_json,
    text_of_json,
)
from galileo_sessions.filters.values import (
    AWAIT_IT,
    UUID_TEXT,
    as_sequence,
    as_text,
    not_awaited,
    python_value,
)

T = TypeVar("T")

CANONICAL: re.Pattern[str] = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""A UUID as the text that the API documents, as most ids are."""
_EXAMPLE = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
_LISTED = 5  # ids or names that an error shows


def as_uuid(name: str, value: object) -> str:
    """
    A UUID as the text that the API documents.

    Args:
        name: What the id is called, such as `project_id`.
        value: The UUID, or its text.

    Raises:
        ConfigurationError: for anything else.
    """
    value = python_value(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and (match := UUID_TEXT.fullmatch(value)):
        return str(UUID(match[1]))
    call = not_awaited(value)
    problem = f"{name} must be a UUID, got {call or brief(value)}"
    raise ConfigurationError(problem, hint=AWAIT_IT if call else _instead_of_id(name, value))


def _instead_of_id(name: str, value: object) -> str:
    """What to write instead of a value that isn't a UUID, as the argument called `name`."""
    if isinstance(value, Filter):
        return "The project comes before the filter"
    if as_sequence(value) is not None or isinstance(value, AsyncIterable):
        return "Give one project, or write count_all([...]) for several"
    text = value if isinstance(value, str) else ""
    if UUID_TEXT.fullmatch(text.strip()):
        return "It begins or ends with white space, perhaps a line break from a file. Strip it"
    if "://" in text:
        found = [*CANONICAL.findall(text.lower()), _EXAMPLE]
        return f"Write an id instead of an address: {found[0]}"
    hint = f"Write an id such as {_EXAMPLE}"
    if text and name == "project_id":
        hint += f"; await galileo.project({brief(text)}) finds it by its name"
    return hint


def _as_project_id(value: UUID | str) -> str:
    return as_uuid("project_id", value)


def _as_log_stream_id(value: UUID | str) -> str:
    return as_uuid("log_stream_id", value)


def _as_project_time(value: datetime | str | None) -> datetime | None:
    """
    An aware time; without an offset, in UTC. Nothing depends on it, so None stands for text that
    isn't a time.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value and value.replace(tzinfo=value.tzinfo or UTC)


@frozen
class Project:
    """
    A project, which can be given wherever a project's id can.

    Raises:
        ConfigurationError: if the id isn't a UUID.
    """

    id: str = field(converter=_as_project_id)
    """A UUID as text, in lower case and with dashes, however it was given."""
    name: str | None = field(default=None, converter=optional(as_text))
    """Its name in the console; None if it isn't known. Several projects can have the same name."""
    type: str | None = field(default=None, converter=optional(as_text))
    """Such as "gen_ai" or "llm_monitor"; the API may add types. None if it isn't known."""
    created_at: datetime | None = field(default=None, converter=_as_project_time)
    """When it was created, as an aware `datetime`; None if the service doesn't say."""
    updated_at: datetime | None = field(default=None, converter=_as_project_time)
    """When it was last updated, as an aware `datetime`; None if the service doesn't say."""


@frozen
class LogStream:
    """
    A log stream. Pass it to the client's methods, or to `CountQuery`, in place of a project.

    Splunk calls it an agent stream.

    Raises:
        ConfigurationError: if an id isn't a UUID.
    """

    id: str = field(converter=_as_log_stream_id)
    """A UUID as text, in lower case and with dashes, however it was given."""
    name: str = field(converter=as_text)
    """Its name in the console."""
    project_id: str = field(converter=_as_project_id)
    """The UUID of its project, as text."""
    project_name: str | None = field(default=None, converter=optional(as_text))
    """The name of its project; None if it isn't known."""


Entry = TypeVar("Entry", Project, LogStream)
"""What a list of the API has."""

ProjectId: TypeAlias = Project | LogStream | UUID | str
"""What names a project, or a log stream in it, to the client."""


@frozen(eq=False, repr=False)
class Page(Generic[T]):
    """A page of a list."""

    entries: list[T]
    next_token: int | None
    """Where the next page begins; None after the last one."""


def read_page(key: str, shape: type[list[T]], body: bytes) -> Page[T]:
    """
    The projects or log streams in the body of a 200.

    Raises:
        ValueError: if it isn't a page of them.
    """
    data = json_object(strict_json(text_of_json(body)))
    entries = checked_list(data.get(key), key, (key,))
    token = data.get("next_starting_token")
    if token is not None and type(token) is not int:
        raise ValueError(f"next_starting_token must be an integer or null, got {brief(token)}")
    return Page(load(entries, shape, (key,)), token)


def projects_body(**wanted: str | None) -> bytes:
    """
    The request body for the list of projects, or of those with a field that has a value: `type`,
    `name` or `id`.
    """
    filters = [
        {"name": name, "operator": "eq", "value": value}
        for name, value in wanted.items()
        if value is not None
    ]
    return json.dumps({"filters": filters} if filters else {}).encode("ascii")


def field_of(name: str) -> dict[str, str]:
    """
    The field of a project that a text names, and its value: `{"id": ...}` in its usual form if the
    text is a UUID, else `{"name": ...}` without white space around it.
    """
    match = UUID_TEXT.fullmatch(name)
    return {"name": name.strip()} if match is None else {"id": str(UUID(match[1]))}


def find_project(projects: Sequence[Project], name: str) -> Project:
    """
    The project with a name, or with an id if the text is a UUID. Case counts in a name, and white
    space around it doesn't.

    If several have the name, the one of type gen_ai is meant, as in Galileo's SDK.

    Raises:
        ProjectLookupError: if there is none, or if there are several.
    """
    return _only("project", ProjectLookupError, name, projects)


def find_log_stream(streams: Sequence[LogStream], name: str) -> LogStream:
    """
    The log stream with a name, or with an id if the text is a UUID.

    Raises:
        LogStreamLookupError: if there is none, or if there are several.
    """
    return _only("log stream", LogStreamLookupError, name, streams)


def _only(
    what: str, error: Callable[..., GalileoError], name: str, known: Sequence[Entry]
) -> Entry:
    """
    The only one with a name or an id; raises an error if there is none, or if there are several.
    """
    found = _named(name, known)
    if len(found) == 1:
        return found[0]
    if found:
        hint = f"Write the id of one: {_some([each.id for each in found])}"
        raise error(f"{len(found)} {what}s are named {brief(name)}", found, hint=hint)
    among = f" among the {len(known):,} listed" if known else ""
    names = [*dict.fromkeys([each.name for each in known if each.name])]
    hint = did_you_mean(name, names)
    if names and not hint:
        hint = f"Write one of {_some([shortened(name) for name in names])}"
    raise error(f"there is no {what} {brief(name)}{among}", hint=hint)


def _some(texts: list[str]) -> str:
    """The first five texts, with dots if there are more."""
    more = ["..."] if len(texts) > _LISTED else []
    return ", ".join([*texts[:_LISTED], *more])


def _named(name: str, known: Iterable[Entry]) -> list[Entry]:
    """
    The entries with a name or an id; if these are projects of several types, only those of type
    gen_ai.
    """
    ((key, value),) = field_of(name).items()
    found = [each for each in known if str(getattr(each, key) or "").strip() == value != ""]
    return [each for each in found if isinstance(each, Project) and each.type == "gen_ai"] or found
