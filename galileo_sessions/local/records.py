"""Sessions from mappings and JSON lines, their columns, and the names of projects."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import Any, cast
from uuid import UUID

from galileo_sessions.api.query import SCOPE
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import ColumnCatalog, ColumnInfo
from galileo_sessions.filters.filter_types import filter_type_of
from galileo_sessions.filters.matching import naive_in_record
from galileo_sessions.filters.values import (
    UUID_TEXT,
    as_instant,
    is_missing,
    numpy_time,
    parse_instant,
)

_IDS = ("id", "session_id", "project_id", "run_id", "trace_id", "parent_id", *SCOPE)
_TIMES = ("created_at", "updated_at")


def load_sessions(lines: Iterable[str]) -> list[dict[str, object]]:
    """
    Sessions from JSON lines, such as an open file. Empty lines are skipped.

    Raises:
        ValueError: with the number of the line that isn't a session: a JSON object with a
            `project_id`, whose ids are version 4 UUIDs, and whose `created_at` has a UTC offset.
    """
    sessions: list[dict[str, object]] = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                sessions.append(read_session(json.loads(line.removeprefix("\ufeff"))))
        except json.JSONDecodeError as error:
            problem = f"line {number} is not JSON: {error.msg} at column {error.colno}"
            raise ValueError(problem) from None
        except RecursionError:
            raise ValueError(f"line {number} is too deep") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return sessions


def read_session(record: object) -> dict[str, object]:
    """
    A copy of a session's record, with its ids as lower-case text.

    Raises:
        ValueError: if it isn't a mapping, has no `project_id`, an id that isn't a version 4 UUID,
            or a time without a time zone, which would match no filter. `created_at` and
            `updated_at` are such times also as text.
    """
    if not isinstance(record, Mapping):
        problem = f"a session maps column ids to values, got {brief(record)}"
        raise ValueError(problem)  # noqa: TRY004  # one error a line
    record = cast("Mapping[str, Any]", record)
    session = {column_id: _read_value(column_id, value) for column_id, value in record.items()}
    if session.get("project_id") is None:
        raise ValueError("a session needs its project_id")
    given = [name for name in ("project_id", *SCOPE) if session.get(name) is not None]
    return session | {name: uuid4(f"a session's {name}", session[name]) for name in given}


def _read_value(column_id: str, value: Any) -> object:
    """The value; None if it is missing."""
    if not isinstance(column_id, str) or not column_id:
        raise ValueError(f"a column id must be text that isn't empty, got {brief(column_id)}")
    if is_missing(value):
        return None
    if numpy_time(value) or (isinstance(value, datetime) and value.utcoffset() is None):
        raise naive_in_record(column_id, value)
    if column_id in _TIMES and not isinstance(value, datetime):
        _check_time(column_id, value)
    return value


def _check_time(column_id: str, value: Any) -> None:
    """Refuses what is in no period."""
    try:
        _ = as_instant(value)
    except FilterError as error:
        example = "2026-05-01T10:00:00+00:00"
        with suppress(FilterError):
            example = parse_instant(str(value)).replace(tzinfo=UTC).isoformat()
        pandas = f'{column_id}.dt.tz_localize("UTC") before to_json(date_format="iso")'
        raise FilterError(
            f"the session's {column_id}: {error.message}",
            hint=f"Write ISO 8601 text with an offset, such as {example}; in pandas, {pandas}",
        ) from None


def read_names(names: Mapping[str, str] | Mapping[UUID, str]) -> dict[str, str]:
    """
    Names by project id, the ids as lower-case text.

    Raises:
        ValueError: if an id isn't a version 4 UUID.
    """
    return {uuid4("a project id in names", project_id): name for project_id, name in names.items()}


def uuid4(what: str, value: object) -> str:
    """
    A version 4 UUID as lower-case text; `what` names it in the error.

    Raises:
        ValueError: for anything else.
    """
    with suppress(ValueError):
        parsed = UUID(str(value))
        if parsed.version == 4:
            return str(parsed)
    raise ValueError(f"{what} must be a version 4 UUID, got {brief(value)}")


# ---- columns -------------------------------------------------------------------------------------


def columns_of(sessions: Iterable[Mapping[str, object]]) -> ColumnCatalog:
    """
    The columns that have values, each with the filter type of its values, or text if they differ.
    """
    types = _types_of(sessions).items()
    shown = {column_id: kind or "text" for column_id, kind in types if column_id not in SCOPE}
    return ColumnCatalog.of(shown)


def filterable_columns(sessions: Sequence[Mapping[str, object]]) -> ColumnCatalog:
    """
    All columns that a filter of sessions can use, including the ids of the scope and columns
    without a value.

    A column has no filter type, and so fits every filter, if its values differ in type or are all
    missing.
    """
    types = dict.fromkeys(chain.from_iterable(sessions)) | _types_of(sessions)
    infos = [ColumnInfo(each, filter_type=filter_type) for each, filter_type in types.items()]
    return ColumnCatalog(infos)


def _types_of(sessions: Iterable[Mapping[str, object]]) -> dict[str, str | None]:
    """The filter type of each column that has values; None if they differ in type."""
    types: dict[str, str | None] = {}
    for session in sessions:
        for column_id, value in session.items():
            if value is not None:
                kind = _filter_type(column_id, value)
                if types.setdefault(column_id, kind) != kind:
                    types[column_id] = None
    return types


def _filter_type(column_id: str, value: object) -> str:
    if not isinstance(value, str):
        if isinstance(value, Collection):
            return "collection"
        return filter_type_of(value) or "text"
    if value[:1].isdigit():  # as in every ISO 8601 time; an error costs much more than this check
        with suppress(FilterError):
            _ = as_instant(value)
            return "date"
    is_id = column_id in _IDS and UUID_TEXT.fullmatch(value)
    return "id" if is_id else "text"
