"""
From a value, as somebody wrote it beside a column, to a leaf; or to a refusal in their own words.

The constructors of leaves hold what the API's schema allows.
Here is the sense beyond it: values that could not mean what somebody wrote don't become filters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Protocol, cast
from uuid import UUID

from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters.nodes import (
    OPERATORS,
    BooleanFilter,
    CollectionFilter,
    DateFilter,
    Filter,
    IdFilter,
    NumberFilter,
    TextFilter,
    instant,
    sendable,
)

_MANY = ("one_of", "not_in")
_PLAIN = (int, float, bool, datetime)  # these and ASCII text are the most frequent, and need no check
_TYPES: dict[type[object], str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    datetime: "date",
    UUID: "id",
    str: "text",
}
_NO_SURROGATES = "it has a lone surrogate, which can't be sent as UTF-8"


class Column(Protocol):
    """What a leaf needs of a column: its id, and for messages its repr."""

    @property
    def column_id(self) -> str: ...


def leaf(column: Column, filter_type: str, operator: str, value: object, case_sensitive: object = True) -> Filter:
    """
    The leaf that compares `column` with `value`.

    Raises:
        FilterError: naming the call as it was written, the reason, and what to write instead.
    """
    try:
        if operator in _MANY:
            value = _several(filter_type, operator, value)
        elif type(value) not in _PLAIN and not (type(value) is str and value.isascii()):
            _check_single(operator, value)
        if case_sensitive is not True:
            _check_case_sensitive(filter_type, case_sensitive)
        return _MAKERS[filter_type](column.column_id, operator, value, case_sensitive)
    except FilterError as error:
        raise _refusal(column, operator, (value,), error) from None


def inferred(column: Column, operator: str, value: object) -> str:
    """
    The filter type that `value` stands for: the first that fits of boolean, number, date, id, text.

    Raises:
        FilterTypeError: if it stands for none, or its type has no such operator.
    """
    if operator in _MANY:
        return "id" if {filter_type_of(item) for item in items_of(value) or ()} == {"id"} else "text"
    filter_type = filter_type_of(value)
    if filter_type is None or operator not in OPERATORS[filter_type]:
        raise _refusal(column, operator, (value,), FilterTypeError(""))
    return filter_type


def listed(values: object) -> object:
    """`values` itself, or where they can be walked only once, a tuple of them."""
    return tuple(cast("Iterator[object]", values)) if isinstance(values, Iterator) else values


def between_numbers(column: Column, bounds: tuple[object, ...]) -> Filter:
    """The leaf for two numbers, the lower one first, both included."""
    try:
        low, high = [_exact(bound) for bound in _pair(bounds, "numbers")]
        made = NumberFilter(column.column_id, "between", [low, high])
        _check_order(low, high)
    except FilterError as error:
        raise _refusal(column, "between", bounds, error) from None
    return made


def between_dates(column: Column, bounds: tuple[object, ...]) -> Filter:
    """Two leaves for two instants, the earlier one first, both included: the API has no `between` for dates."""
    try:
        start, end = [_instant(bound) for bound in _pair(bounds, "dates")]
        _check_order(start, end)
    except FilterError as error:
        raise _refusal(column, "between", bounds, error) from None
    return DateFilter(column.column_id, "gte", start) & DateFilter(column.column_id, "lte", end)


def on_day(column: Column, day: object, tz: object) -> Filter:
    """Two leaves for a calendar day in a time zone: from its midnight to before the next."""
    try:
        start, end = _midnights(day, tz)
    except FilterError as error:
        raise _refusal(column, "on", (day,), error) from None
    return DateFilter(column.column_id, "gte", start) & DateFilter(column.column_id, "lt", end)


# ---- values ----------------------------------------------------------------------------------------------------------


def _check_single(operator: str, value: object) -> None:
    if isinstance(value, list | tuple):
        raise FilterTypeError(f"{operator} takes a single value")
    if not sendable(value):
        raise FilterError(_NO_SURROGATES)


def _check_case_sensitive(filter_type: str, case_sensitive: object) -> None:
    if case_sensitive is not False or filter_type not in ("text", "collection"):
        raise FilterError(f"case_sensitive={brief(case_sensitive)}: it is True or False, for text and collections")


def _boolean(value: Any) -> Any:
    return bool(value) if _numpy_kind(value) == "b" else value


_MAKERS: dict[str, Callable[[str, Any, Any, Any], Filter]] = {
    "text": TextFilter,
    "number": lambda column_id, operator, value, _: NumberFilter(column_id, operator, _exact(value)),
    "date": lambda column_id, operator, value, _: DateFilter(column_id, operator, _instant(value)),
    "boolean": lambda column_id, operator, value, _: BooleanFilter(column_id, operator, _boolean(value)),
    "collection": CollectionFilter,
    "id": lambda column_id, operator, value, _: IdFilter(column_id, operator, value),
}


def filter_type_of(value: object) -> str | None:
    """The filter type that a single value stands for, or None; bool is asked before int, for it is one."""
    exact = _TYPES.get(type(value))
    if exact is not None:
        return exact
    for kind, filter_type in _TYPES.items():
        if isinstance(value, kind):
            return filter_type
    return {"b": "boolean", "i": "number", "u": "number", "f": "number"}.get(_numpy_kind(value))


def _numpy_kind(value: object) -> str:
    """The kind letter of a numpy scalar's dtype, "" for all else; numpy itself is never imported."""
    dtype = getattr(value, "dtype", None) if getattr(value, "shape", None) == () else None
    return str(getattr(dtype, "kind", ""))


def _exact(value: Any) -> Any:
    """A number as JSON will carry it: only `Decimal` and numpy scalars have to change for that."""
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, Decimal):
        return _exact_decimal(value)
    kind = _numpy_kind(value)
    return float(value) if kind == "f" else int(value) if kind in ("i", "u") else value


def _exact_decimal(value: Decimal) -> int | float:
    if not value.is_finite():
        raise FilterError(f"{value} is not a number that JSON can carry")
    if value.adjusted() < 4_300 and value == value.to_integral_value():
        return int(value)
    rounded = float(value)
    if math.isinf(rounded):
        raise FilterError("a number of more than 4,300 digits can't be sent")
    if Decimal(repr(rounded)) != value:
        raise FilterError(f"a JSON number would lose digits. Write float(...), which rounds to {rounded}")
    return rounded


def _instant(value: object) -> datetime:
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise FilterError(
            "a datetime without a time zone is a different instant in each. "
            "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time"
        )
    return instant(value)


def _midnights(day: object, tz: object) -> tuple[datetime, datetime]:
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError:
            raise FilterError("this is not a date such as 2026-01-31") from None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise FilterTypeError("on takes a date, or its text such as 2026-01-31. For an instant write eq")
    if not isinstance(tz, tzinfo):
        raise FilterTypeError(f'tz is a time zone like timezone.utc or ZoneInfo("Europe/Berlin"), not {brief(tz)}')
    start = datetime(day.year, day.month, day.day, tzinfo=tz)
    try:
        return instant(start), instant(start + timedelta(days=1))
    except OverflowError:
        raise FilterError("the day after is out of range: years go from 1 to 9999") from None


def _pair(bounds: tuple[object, ...], what: str) -> tuple[object, object]:
    if len(bounds) != 2:
        raise FilterError(f"between takes two {what}, the lower one first. Got {len(bounds)}")
    return bounds[0], bounds[1]


def _check_order(low: Any, high: Any) -> None:
    if low > high:
        raise FilterError("the lower or earlier one comes first. Swap the two")


def items_of(values: object) -> tuple[object, ...] | None:
    """
    The items of what was given as a list, or None if it is none.

    A set's come in sorted order, so that one filter has one JSON.
    """
    if isinstance(values, str | bytes | Mapping):
        return None
    try:
        iterator = iter(cast("Iterable[object]", values))
    except TypeError:  # asking for the type isn't enough: a numpy array without dimensions is Iterable
        return None
    return tuple(sorted(iterator, key=str)) if isinstance(values, Set) else tuple(iterator)


def _several(filter_type: str, operator: str, values: object) -> tuple[object, ...]:
    items = items_of(values)
    if items is None:
        single = f". For one value write {operator}([{brief(values)}])" if isinstance(values, str | UUID) else ""
        raise FilterTypeError(f"{operator} takes a list of text{single}")
    if not items:
        instead = "NEVER" if operator == "one_of" else "ALWAYS"
        raise FilterError(f"nobody has said what the service does with an empty list. Write {instead} instead")
    kinds = {filter_type_of(item) for item in items}
    if not kinds <= ({"text", "id"} if filter_type == "id" else {"text"}):
        raise FilterTypeError(_wrong_items(operator, kinds))
    if not all(map(sendable, items)):
        raise FilterError(_NO_SURROGATES)
    return items


def _wrong_items(operator: str, kinds: set[str | None]) -> str:
    if kinds == {"id"}:
        return f"these are UUIDs. If the column is an id, write Col.id(...).{operator}([...])"
    if len(kinds) > 1 or None in kinds:
        return f"{operator} takes a list of text only, or of UUIDs only"
    loop = "any_of([column.eq(value) for value in values])"
    rewrite = loop if operator == "one_of" else f"~{loop}"
    return f"the API has no {operator} for a {kinds.pop()}. Write {rewrite}"


# ---- refusals --------------------------------------------------------------------------------------------------------


def _refusal(column: Column, operator: str, arguments: tuple[object, ...], problem: FilterError) -> FilterError:
    """The complaint with the call as it was written before it, and with advice on values of the wrong kind."""
    reason = str(problem)
    if isinstance(problem, FilterTypeError):
        advice = [_advice(column.column_id, operator, value) for value in arguments]
        reason = next(filter(None, advice), reason)
    written = ", ".join(map(brief, arguments[:3])) + (", ..." if len(arguments) > 3 else "")
    return type(problem)(f"{brief(column)}.{operator}({written}): {reason}")


def _ordered(column_id: str, operator: str, written: str) -> str:
    """What to write instead of text beside an operator that needs an order; between has two values, not shown here."""
    column = brief(column_id)
    if re.fullmatch(r"\s*-?[0-9]{1,40}(\.[0-9]{1,40})?\s*", written):
        return (
            f"For a number write Col.number({column}).{operator}({'...' if operator == 'between' else written.strip()})"
        )
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return f"For a date in ISO 8601 write Col.date({column}).{operator}(...)"
    aware = repr(moment.replace(tzinfo=moment.tzinfo or UTC).isoformat())
    return f"For a date write Col.date({column}).{operator}({'...' if operator == 'between' else aware})"


_A = {filter_type: f"{'an' if filter_type == 'id' else 'a'} {filter_type}" for filter_type in OPERATORS}


def _advice(column_id: str, operator: str, value: object) -> str:
    """What to write instead of a value of the wrong kind; "" where the complaint says it already."""
    if isinstance(value, bytes | bytearray):
        return "bytes are not text. Write value.decode() if they are UTF-8"
    if operator in (*_MANY, "on"):
        return ""
    if value is None:
        return "the API has no test for a missing value. Leave this condition out, or write a value"
    if hasattr(value, "column_id"):
        return "the API compares a column with a value, not with another column or a filter"
    if isinstance(value, list | tuple | Set | Mapping):
        return f"{operator} takes single values. For a list write one_of([...])"
    filter_type = filter_type_of(value)
    if filter_type is None and isinstance(value, date):
        rewrite = f"Col.date({brief(column_id)}).on({str(value)!r}, tz=...)"
        return f"a bare date is a different day in each time zone. Write {rewrite}, or a datetime with tzinfo"
    if filter_type is None:
        return f"{type(value).__name__} is no type for a filter. Write text, a number, a bool, a datetime or a UUID"
    if operator in OPERATORS[filter_type]:
        rewrite = f"Col.{filter_type}({brief(column_id)}).{operator}(...)"
        return f"{brief(value)} makes {_A[filter_type]} filter. If that is meant, write {rewrite}"
    if filter_type == "text" and operator in (*OPERATORS["date"], "between"):
        return f"text has no order. {_ordered(column_id, operator, str(value))}"
    return f"{brief(value)} makes {_A[filter_type]} filter, which has only {', '.join(OPERATORS[filter_type])}"
