"""Sessions, read from mappings and JSON lines, and the columns that they have."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from galileo_sessions.client.query import SCOPE
from galileo_sessions.errors import FilterError, brief
from galileo_sessions.filters.advice import naive_in_record
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.kinds import filter_type_of, is_missing
from galileo_sessions.filters.values import UUID_TEXT, instant

_IDS = ("id", "session_id", "project_id", "run_id", "trace_id", "parent_id", *SCOPE)


def load_sessions(lines: Iterable[str]) -> list[dict[str, object]]:
    """
    Sessions from JSON lines, such as an open file. Empty lines are skipped.

    Raises:
        ValueError: with the number of the line that isn't a session; see `read_session`.
    """
    sessions: list[dict[str, object]] = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                sessions.append(read_session(json.loads(line.removeprefix("\ufeff"))))
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} is not JSON: {error.msg} at column {error.colno}") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return sessions


def read_session(record: object) -> dict[str, object]:
    """
    A copy of a session's record, its ids as lower-case text.

    Raises:
        ValueError: if it isn't a mapping, has no `project_id`, an id that isn't a version 4 UUID,
            or a `datetime` without a time zone, which would match no filter.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"a session maps column ids to values, got {brief(record)}")  # noqa: TRY004  # one error a line
    items = cast("Mapping[str, Any]", record).items()
    session: dict[str, object] = {column_id: None if _is_missing(value) else value for column_id, value in items}
    if session.get("project_id") is None:
        raise ValueError("a session needs its project_id")
    for column_id, value in session.items():
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise naive_in_record(column_id, value)
    given = [name for name in ("project_id", *SCOPE) if session.get(name) is not None]
    return session | {name: _uuid4(name, session[name]) for name in given}


def _is_missing(value: Any) -> bool:
    return is_missing(value) or (filter_type_of(value) == "number" and value != value)  # noqa: PLR0124  # NaN alone


def _uuid4(name: str, value: object) -> str:
    with suppress(ValueError):
        parsed = UUID(str(value))
        if parsed.version == 4:
            return str(parsed)
    raise ValueError(f"a session's {name} must be a version 4 UUID, got {brief(value)}")


# ---- columns ---------------------------------------------------------------------------------------------------------


def columns_of(sessions: Iterable[Mapping[str, object]]) -> ColumnCatalog:
    """The columns that have values, each with the filter type of its values, or text if they differ."""
    types: dict[str, str] = {}
    for column_id, kinds in _types_of(sessions).items():
        if kinds and column_id not in SCOPE:
            types[column_id] = _only(kinds) or "text"
    return ColumnCatalog.of(types)


def filterable_columns(sessions: Iterable[Mapping[str, object]]) -> ColumnCatalog:
    """
    What a filter can ask about sessions: all columns, including the ids of the scope and columns without a value.

    A column has no filter type, and so fits every filter, if its values differ in type or are all missing.
    """
    return ColumnCatalog([ColumnInfo(name, filter_type=_only(kinds)) for name, kinds in _types_of(sessions).items()])


def _types_of(sessions: Iterable[Mapping[str, object]]) -> dict[str, set[str]]:
    types: dict[str, set[str]] = {}
    for session in sessions:
        for column_id, value in session.items():
            kinds = types.setdefault(column_id, set())
            if value is not None:
                kinds.add(_filter_type(column_id, value))
    return types


def _only(kinds: set[str]) -> str | None:
    return next(iter(kinds)) if len(kinds) == 1 else None


def _filter_type(column_id: str, value: object) -> str:
    if isinstance(value, str):
        return _text_type(column_id, value)
    return "collection" if isinstance(value, Collection) else filter_type_of(value) or "text"


def _text_type(column_id: str, value: str) -> str:
    if value[:1].isdigit():  # as in every ISO 8601 time; an error costs much more than this check
        with suppress(FilterError):
            _ = instant(value)
            return "date"
    return "id" if column_id in _IDS and UUID_TEXT.fullmatch(value) else "text"
