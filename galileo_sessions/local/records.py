"""The records of sessions: read from mappings and JSON lines, and the columns that they have."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from galileo_sessions.client.query import SCOPE
from galileo_sessions.errors import FilterError, brief
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.coercion import exact_number
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.kinds import filter_type_of, numpy_kind
from galileo_sessions.filters.messages import naive_in_record
from galileo_sessions.filters.values import UUID_TEXT, instant

_IDS = ("id", "session_id", "project_id", "run_id", "trace_id", "parent_id", *SCOPE)  # the document's example; SCOPE
_MISSING = ("NaTType", "NAType")  # the types of pandas' missing values; pandas itself is never imported


def load_sessions(lines: Iterable[str]) -> list[dict[str, object]]:
    """
    Sessions from JSON lines, such as an open file. Empty lines are skipped.

    Raises:
        ValueError: naming the line, from 1 on, that isn't JSON, is no object, or whose ids are no version 4 UUIDs.
    """
    sessions: list[dict[str, object]] = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                sessions.append(read_session(json.loads(line)))
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} is not JSON: {error.msg} at column {error.colno}") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return sessions


def read_session(record: object) -> dict[str, object]:
    """
    A copy of a session's record, its ids as lower-case text.

    Raises:
        ValueError: if it is no mapping, has no `project_id`, has an id or a column id that none could ask for,
            or a `datetime` without a time zone, which would match no filter.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"a session maps column ids to values, got {brief(record)}")  # noqa: TRY004  # one error a line
    items = cast("Mapping[str, object]", record).items()
    session = {Col(column_id).column_id: _plain(column_id, value) for column_id, value in items}
    if session.get("project_id") is None:
        raise ValueError("a session needs its project_id")
    given = [name for name in ("project_id", *SCOPE) if session.get(name) is not None]
    return session | {name: _uuid4(name, session[name]) for name in given}


def _uuid4(name: str, value: object) -> str:
    with suppress(ValueError):
        parsed = UUID(str(value))
        if parsed.version == 4:
            return str(parsed)
    raise ValueError(f"a session's {name} is a version 4 UUID, got {brief(value)}")


def _plain(column_id: str, value: Any) -> object:
    """A value in Python's own types, for filters take numpy's and pandas' as those: NaN, NaT and NA are missing."""
    if type(value) is str:  # the most frequent first
        return value
    kind = numpy_kind(value)
    if kind == "b":
        return bool(value)
    if isinstance(value, Decimal) or kind in ("i", "u", "f"):
        with suppress(FilterError):  # a Decimal that no JSON number is equal to stays one
            value = exact_number(value)
    if type(value).__name__ in _MISSING or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError(str(naive_in_record(column_id, value)))
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
        return cast("object", value)
    return list(cast("Collection[object]", value))  # a copy: answers are kept


# ---- columns ---------------------------------------------------------------------------------------------------------


def columns_of(sessions: Iterable[Mapping[str, object]]) -> ColumnCatalog:
    """The columns of sessions, each of the filter type that its values have, text where they differ."""
    types = _types_of(sessions).items()
    shown = {name: kinds for name, kinds in types if kinds and name not in SCOPE}
    return ColumnCatalog.of({name: _only(kinds) or "text" for name, kinds in shown.items()})


def filterable_columns(sessions: Iterable[Mapping[str, object]]) -> ColumnCatalog:
    """
    All that a filter may ask of sessions: also the ids of their scope, and columns without a value.

    A column has no filter type, and so fits each filter, if its values differ in type or are all missing.
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
    if value[:1].isdigit():  # as each time does in ISO 8601: a refusal costs much more than this look
        with suppress(FilterError):
            _ = instant(value)
            return "date"
    return "id" if column_id in _IDS and UUID_TEXT.fullmatch(value) else "text"
