"""
Decides whether a filter can hold a value, and converts it to JSON.

The converters of a leaf's fields are here. They accept what the API's schema allows, so a leaf and JSON share them.
A column calls the same converters, and `judge` also refuses what makes no sense there, such as a list for `==`.
The value's `Source`, which says where it comes from, makes the error that refuses it.
Subclasses of `str`, `int` and `float`, such as the members of a `StrEnum`, become plain ones.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterTypeError
from galileo_sessions.filters.advice import CONSTRUCTOR, NAIVE, NOT_SENDABLE, WITH_OFFSET, Source
from galileo_sessions.filters.kinds import LIST_OPERATORS, FilterType, filter_type_of, is_missing, numpy_kind

_MAX_DIGITS = 4_300  # Python neither reads nor writes an int with more digits as text
_TOO_LARGE, _TOO_SMALL = 10**_MAX_DIGITS, -(10**_MAX_DIGITS)
_HEX = "[0-9a-fA-F]"
UUID_TEXT = re.compile(f"(?:urn:uuid:)?{{?({_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}})}}?")
_SURROGATE = re.compile("[\ud800-\udfff]")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Several(Protocol[T_co]):
    """
    To type checkers, a sequence but not a lone `str`, whose `__contains__` takes only `str`.

    This is `SequenceNotStr` of the package useful-types.
    """

    def __contains__(self, value: object, /) -> bool: ...
    def __getitem__(self, index: int, /) -> T_co: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[T_co]: ...


# ---- converters of leaves' fields; to type checkers, a constructor accepts what these do -----------------------------


def text(value: str, source: Source = CONSTRUCTOR) -> str:
    """A plain `str`."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise source.expected("text", value)


def texts(value: str | Several[str], source: Source = CONSTRUCTOR) -> str | tuple[str, ...]:
    """A `str`, or a tuple of them from a list."""
    return _each(text, value, source)


def numbers(
    value: int | float | Several[int | float], source: Source = CONSTRUCTOR
) -> int | float | tuple[int | float, ...]:
    """A number, or a tuple of them from a list."""
    return _each(number, value, source)


def ids(value: UUID | str | Several[UUID | str], source: Source = CONSTRUCTOR) -> str | tuple[str, ...]:
    """An id as text, or a tuple of them from a list."""
    return _each(id_text, value, source)


def _each(read: Callable[[Any, Source], T], value: Any, source: Source) -> T | tuple[T, ...]:
    """What `read` makes of a value, or of each item of a list."""
    if isinstance(value, list | tuple):
        return tuple([read(item, source) for item in cast("Sequence[Any]", value)])
    return read(value, source)


def boolean(value: bool, source: Source = CONSTRUCTOR) -> bool:
    """Exactly True or False."""
    if value is True or value is False:
        return value
    if numpy_kind(value) == "b":
        return bool(value)
    raise source.expected("True or False", value)


def instant(value: datetime | str, source: Source = CONSTRUCTOR) -> datetime:
    """An aware `datetime` with a fixed offset of whole minutes, from an aware `datetime` or ISO 8601 text."""
    if isinstance(value, str):
        moment = parse_instant(value, source)
    elif isinstance(value, datetime) and not is_missing(value):
        moment = value
    else:
        raise source.expected("a datetime or ISO 8601 text", value)
    if getattr(moment, "nanosecond", 0):  # pandas' Timestamp has it
        raise source.error(f"{brief(str(value))} is finer than a microsecond, which would be lost")
    if hasattr(moment.tzinfo, "localize") and moment.tzname() == "LMT":  # what pytz's zones mean without it
        raise source.error(f"{brief(str(value))} is in local mean time. Write zone.localize(...), or use zoneinfo")
    offset = moment.utcoffset()
    if offset is None:
        raise source.error(f"{brief(str(value))} {NAIVE}{source.hint(value) or WITH_OFFSET}")
    try:
        if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in an offset; some zones had them before 1900
            return moment.astimezone(UTC)
    except OverflowError:
        raise source.error(f"{brief(str(value))} is out of range: years go from 1 to 9999") from None
    return datetime.combine(moment.date(), moment.time(), timezone(offset)).replace(fold=0)


def user_ids(value: Several[UUID | str] | None) -> tuple[str, ...] | None:
    """UUIDs as text, at least one, or None."""
    if value is None:
        return None
    written = [id_text(item) for item in items_of(value) or ()]
    found = [match for each in written if (match := UUID_TEXT.fullmatch(each))]
    if not written or len(found) < len(written):
        raise CONSTRUCTOR.expected("a list of at least one UUID as user_ids", value)
    return tuple([match[0] if match[0] == match[1] and len(match[0]) == 36 else str(UUID(match[1])) for match in found])


# ---- single values ---------------------------------------------------------------------------------------------------


def as_sequence(value: object) -> Sequence[Any] | None:
    """The value itself if it is a list or a tuple, else None."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def id_text(value: UUID | str, source: Source = CONSTRUCTOR) -> str:
    """An id as text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        return text(value)
    raise source.expected("a UUID or text", value)


def number(value: Any, source: Source = CONSTRUCTOR) -> int | float:
    """A plain `int` or `float` that JSON can carry, from either of them, a `Decimal` or a numpy scalar."""
    exact: int | float = value if type(value) is int or type(value) is float else _python_number(value, source)
    if _TOO_SMALL < exact < _TOO_LARGE:  # which NaN isn't
        return exact
    raise source.error(f"{brief(exact)} is not a number that JSON can carry")


def _python_number(value: Any, source: Source) -> int | float:
    if isinstance(value, Decimal):
        return _exact_decimal(value, source)
    if numpy_kind(value) in ("i", "u", "f"):
        value = value.item()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise source.expected("a number", value)


def _exact_decimal(value: Decimal, source: Source) -> int | float:
    if not value.is_finite() or value.adjusted() >= _MAX_DIGITS:
        raise source.error(f"{brief(value)} is not a number that JSON can carry")
    if value == value.to_integral_value():
        return int(value)
    rounded = float(value)
    if Decimal(repr(rounded)) != value:
        raise source.error(f"a JSON number would lose digits. Write float(...), which rounds to {rounded}")
    return rounded


def parse_instant(written: str, source: Source = CONSTRUCTOR) -> datetime:
    """What ISO 8601 text says, with or without an offset."""
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError:
        raise source.error(f"{brief(written)} is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00") from None
    if re.search(r"[.,]\d{6}0*[1-9]", written):
        raise source.error(f"{brief(written)} is finer than a microsecond, which would be lost")
    return moment


def day(value: object, source: Source) -> date:
    """A date, from a `date` or from text such as "2026-01-31"."""
    written: Any = str(value) if isinstance(value, date) else value
    try:
        parsed = date.fromisoformat(written)
    except (TypeError, ValueError):
        parsed = None
    if parsed is None or str(parsed) != written:  # Python also reads weeks, as their Mondays
        raise source.error("expected a date, or its text such as 2026-01-31")
    return parsed


def sendable(value: object) -> bool:
    """Whether UTF-8 can carry the value, or each value of a tuple: it can't carry a lone surrogate."""
    if isinstance(value, str):
        return value.isascii() or _SURROGATE.search(value) is None
    return not isinstance(value, tuple) or all(map(sendable, cast("tuple[object, ...]", value)))


# ---- values next to a column -----------------------------------------------------------------------------------------


def judge(read: Callable[[Any, Source], Any], operator: str, value: Any, source: Source) -> Any:
    """
    The value that a column is compared with, as the leaf holds it.

    Args:
        read: The converter of the leaf's value.
        operator: The operator that compares it.
        value: The value, or for `one_of` and `not_in` the items.
        source: The call, which makes the error.
    """
    held = read(value, source)
    if operator not in LIST_OPERATORS and isinstance(held, tuple):
        raise source.expected("a single value", value)
    if not sendable(held):
        raise source.error(NOT_SENDABLE)
    return held


def inferred_type(operator: str, value: Any, source: Source) -> FilterType:
    """The filter type that a value next to `Col` stands for, or the items of a list."""
    if operator in LIST_OPERATORS:
        return FilterType.ID if all(isinstance(item, UUID) for item in value) else FilterType.TEXT
    filter_type = filter_type_of(value)
    if filter_type is not None and operator in filter_type.operators:
        return filter_type
    *most, last = [each.__name__ for kind in FilterType if operator in kind.operators for each in kind.python_types]
    raise source.expected(f"{', '.join(most)} or {last}", value)


def list_of(operator: str, value: object, source: Source) -> tuple[Any, ...]:
    """The values for `one_of` or `not_in`, of which there is at least one."""
    items = items_of(value)
    if items is None:
        raise source.error(f"{operator} takes a list of text. For one value write {operator}([value])", FilterTypeError)
    if not items:
        instead = "NEVER" if operator == "one_of" else "ALWAYS"
        raise source.error(f"it isn't documented what the service does with an empty list. Write {instead} instead")
    return items


def bounds(read: Callable[[Any, Source], Any], low: object, high: object, source: Source) -> tuple[Any, Any]:
    """Two numbers or instants in order."""
    first, last = read(low, source), read(high, source)
    if first > last:
        raise source.error("the lower or earlier one comes first. Swap the two")
    return first, last


def items_of(values: object) -> tuple[Any, ...] | None:
    """
    The items of an iterable, or None for anything else, for text, and for a mapping or a table, which have keys.

    Those of a set are sorted, so that one filter has one JSON.
    """
    if isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) != 1:
        return None
    try:
        items = tuple(cast("Iterable[Any]", values))
    except TypeError:
        return None
    return tuple(sorted(items, key=_in_order)) if isinstance(values, Set) else items


def _in_order(item: object) -> str:
    return item if isinstance(item, str) else brief(item)
