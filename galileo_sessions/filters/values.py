"""
Python values that filters, queries and targets are made of, and what they become.

Converters turn them into plain `str`, `int`, `float`, `bool`, and aware `datetime`. They accept
what the API's schema allows, in a leaf and in JSON. Columns are stricter: see
`filter_types.check_comparison`, which `repr` uses, too. A converter's error says what is wrong with
the value; the caller adds where, and what to write instead.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from math import inf, isinf
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError

NO_OFFSET = "has no UTC offset such as +00:00, so it is a different instant in each time zone"
_TOO_FINE = "is finer than a microsecond, which would be lost"
REPLACE_ZONE = "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time"
_TOO_LARGE = 10**4_300  # Python neither reads nor writes an int with more digits as text
_HEX = "[0-9a-fA-F]"
UUID_TEXT = re.compile(f"(?i:urn:uuid:)?{{?({_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}})}}?")
# Python would read 2026-05-01+02:00 as two o'clock.
TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d.*)?", re.ASCII)
TOO_FINE = re.compile(r"[.,]\d{6}0*[1-9]")
"""Found in the text of a time with more digits than microseconds have."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMPY_TIMES = {
    "M": 'Write pandas.Timestamp(value, tz="UTC"), or another zone if it is in that',
    "m": 'Write value / numpy.timedelta64(1, "s") for seconds',
}
"""By the kind of numpy's dtype, what to write: its scalars don't say their zone, or their unit."""
NUMBERS = (int, float, Decimal, Fraction)
_PLAIN = frozenset([str, int, float, bool])
"""The types of nearly all values, which need no closer look."""
_FRAMES = ("gi_frame", "ag_frame")  # of generators; None once they have ended


# ---- Python values -------------------------------------------------------------------------------


def is_missing(value: object) -> bool:
    """Whether the value is None, NaN, or missing in pandas: `NaT`, which is a datetime, or `NA`."""
    value = python_value(value)
    if isinstance(value, float | Decimal):
        return Decimal(value).is_nan()
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def python_value(value: Any) -> Any:
    """
    The Python value of a scalar of numpy or pyarrow; any other value itself. It imports neither.

    A `datetime64` or `timedelta64` of nanoseconds comes back as it is: its `item()` is a plain
    number.
    """
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "as_py"):
        return value.as_py()
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    item = value.item()
    if isinstance(item, int) and numpy_time(value):
        return value
    return item


def numpy_time(value: object) -> str:
    """What to write instead of numpy's `datetime64` or `timedelta64`; empty for any other value."""
    dtype = getattr(value, "dtype", None)
    return _NUMPY_TIMES.get(getattr(dtype, "kind", ""), "")


# ---- converters: type checkers take a constructor's parameter types from them --------------------

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Several(Protocol[T_co]):
    """
    To type checkers, any sequence but a lone `str`: the `__contains__` of `str` takes only `str`.

    This is `SequenceNotStr` of the package useful-types.
    """

    def __contains__(self, value: object, /) -> bool: ...
    def __getitem__(self, index: int, /) -> T_co: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[T_co]: ...


def as_text(value: str) -> str:
    """A plain `str`."""
    if type(value) is str:
        return value
    text = python_value(value)
    if isinstance(text, str):
        return str.__str__(text)
    raise expected("text", value)


def as_texts(value: str | Several[str]) -> str | tuple[str, ...]:
    """A `str`, or a tuple of `str` from a list."""
    return _each(as_text, value)


def as_numbers(value: int | float | Several[int | float]) -> int | float | tuple[int | float, ...]:
    """A number, or a tuple of numbers from a list."""
    return _each(as_number, value)


def as_ids(value: UUID | str | Several[UUID | str]) -> str | tuple[str, ...]:
    """An id as text, or a tuple of ids from a list."""
    return _each(as_id, value)


def _each(convert: Callable[[Any], T], value: object) -> T | tuple[T, ...]:
    """A converted value, or a tuple of the converted items of a list."""
    if isinstance(value, (list, tuple)):
        return tuple([convert(item) for item in cast("Sequence[object]", value)])
    return convert(value)


def as_id(value: UUID | str) -> str:
    """
    An id as text, spelled as it is written.

    Raises:
        FilterTypeError: unless it is a `UUID` or text.
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(text := python_value(value), str):
        return as_text(text)
    raise expected("a UUID or text", value)


def comparable_id(written: str) -> str:
    """
    An id in the form in which it is compared: in lower case, and a UUID as its 32 digits.

    A UUID has several spellings: `{5F0C...}`, `urn:uuid:5f0c...` and others are the same id.
    """
    match = UUID_TEXT.fullmatch(written)
    if match is None:
        return written.lower()
    return match[1].replace("-", "").lower()


def as_boolean(value: bool) -> bool:
    """
    True or False, also from numpy's `bool`.

    Raises:
        FilterTypeError: for anything else, such as 1.
    """
    value = python_value(value)
    if value is True or value is False:
        return value
    raise expected("True or False", value)


def as_number(value: Any) -> int | float:
    """
    A plain `int` or `float` that JSON can carry.

    Takes an `int`, a `float`, a `Decimal`, a `Fraction` or a scalar of numpy. Whole numbers of any
    of them become `int`, except those of a `float`: `Decimal("2.0")` becomes 2, and 2.0 stays 2.0.

    Raises:
        FilterTypeError: for anything else, a `bool` included.
        FilterError: if JSON can't carry the number, or only without some of its digits.
    """
    if type(value) is int and -(2**53) <= value <= 2**53:
        return value
    number = python_value(value)
    if isinstance(number, bool) or not isinstance(number, NUMBERS):
        raise expected("a number", value)
    if is_missing(number) or not -_TOO_LARGE < number < _TOO_LARGE:
        raise FilterError(f"{brief(value)} is not a number that JSON can carry")
    if isinstance(number, float):
        return float(number)
    exact = int(number)
    if number == exact:
        return exact
    try:
        rounded = float(number)
    except OverflowError:  # of a Fraction
        rounded = inf
    if Decimal(repr(rounded)) != number:
        hint = "" if isinf(rounded) else f"Write float(...), which rounds to {rounded}"
        raise FilterError("a JSON number would lose digits", hint=hint)
    return rounded


def as_instant(value: datetime | str) -> datetime:
    """
    An aware `datetime` with a fixed offset of whole minutes.

    Takes an aware `datetime`, or ISO 8601 text with an offset, such as "2026-05-01T10:00z".

    Raises:
        FilterTypeError: for anything else.
        FilterError: if the offset is missing, or the text isn't a time.
    """
    moment = parse_instant(value) if isinstance(value, str) else _checked_datetime(value)
    offset = moment.utcoffset()
    if offset is None:
        hint = "" if isinstance(value, str) else REPLACE_ZONE
        raise FilterError(f"{brief(str(value))} {NO_OFFSET}", hint=hint)
    try:
        # RFC 3339 has no seconds in an offset; some zones had them before 1900.
        if offset % timedelta(minutes=1):
            return moment.astimezone(UTC)
    except OverflowError:
        raise FilterError(f"{brief(str(value))} is out of range: years go from 1 to 9999") from None
    return datetime.combine(moment.date(), moment.time(), timezone(offset)).replace(fold=0)


def _checked_datetime(value: Any) -> datetime:
    """The value, if it is a `datetime` that means one instant, to the microsecond."""
    if not isinstance(value, datetime) or is_missing(value):
        raise expected("a datetime or ISO 8601 text", value)
    if getattr(value, "nanosecond", 0):  # as pandas' Timestamp has
        raise FilterError(f"{brief(str(value))} {_TOO_FINE}")
    if hasattr(value.tzinfo, "localize") and value.tzname() == "LMT":  # pytz without localize
        raise FilterError(
            f"{brief(str(value))} is in local mean time",
            hint="Write zone.localize(...), or use zoneinfo",
        )
    return value


def as_json(value: object) -> Any:
    """A leaf's value for JSON."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [*cast("tuple[object, ...]", value)]
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def parse_instant(written: str) -> datetime:
    """The time in ISO 8601 text, with or without an offset."""
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError as error:
        problem = f"doesn't exist: {error}"  # the form is right, and the day or the hour is not
        if "isoformat" in str(error):
            problem = "is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00"
        raise FilterError(f"{brief(written)} {problem}") from None
    if TOO_FINE.search(written):
        raise FilterError(f"{brief(written)} {_TOO_FINE}")
    return moment


def as_user_ids(value: Several[UUID | str] | None) -> tuple[str, ...] | None:
    """
    At least one UUID, as text in its usual form; or None.

    Raises:
        FilterTypeError: for an empty list, and anything else.
    """
    if value is None:
        return None
    matches = [UUID_TEXT.fullmatch(as_id(item)) for item in items_of(value) or ()]
    found = tuple([_usual_form(match) for match in matches if match])
    if not found or len(found) < len(matches):
        raise expected("a list of at least one UUID as user_ids", value)
    return found


def _usual_form(match: re.Match[str]) -> str:
    """A UUID with its dashes and nothing else; one that has this form keeps its case."""
    usual = str(UUID(match[1]))
    return match[0] if match[0].lower() == usual else usual


def expected(what: str, value: object) -> FilterTypeError:
    """The error for a value of the wrong type."""
    return FilterTypeError(f"expected {what}, got {brief(value)}", hint=numpy_time(value))


AWAIT_IT = "Write await before it"


def not_awaited(value: object) -> str:
    """
    The call that lacks its `await`, such as "project(...)"; empty for what isn't awaited.

    A coroutine that hasn't begun is closed, so that Python doesn't warn of it as well.
    """
    if iscoroutine(value):
        if getcoroutinestate(value) == CORO_CREATED:
            value.close()
        return f"{value.__name__}(...)"
    is_awaited = hasattr(value, "__await__") and not hasattr(value, "__aiter__")
    return brief(value) if is_awaited else ""


# ---- lists ---------------------------------------------------------------------------------------


def as_sequence(value: object) -> Sequence[Any] | None:
    """The value itself if it is a list or a tuple, else None."""
    if isinstance(value, (list, tuple)):
        return cast("Sequence[Any]", value)
    return None


def values_of(value: object) -> tuple[Any, ...]:
    """The values that a leaf holds: the items of a tuple, or else the one value."""
    if isinstance(value, tuple):
        return cast("tuple[object, ...]", value)
    return (value,)


def items_of(values: object) -> tuple[Any, ...] | None:
    """
    The items of anything that Python iterates: a list, a set, a generator, or a column of a table.

    The items of a set are sorted, so that equal filters have the same JSON. A generator is used up.

    Returns:
        A tuple, which is empty for an empty list. None for a value without items, such as 5 or
        None. None also where a list was hardly meant: for `str` and `bytes`, and for mappings,
        tables and other arrays that don't have exactly one dimension.

    Raises:
        FilterTypeError: if an iterator has been used up, or may have been (`has_ended`).
        Exception: what a generator raises.
    """
    if isinstance(values, str | bytes | Mapping) or has_dimensions(values):
        return None
    ended = has_ended(values)
    try:
        iterator = iter(cast("Iterable[Any]", values))
    except TypeError:
        return None
    items = tuple(iterator)
    if not items and ended:
        raise FilterTypeError(used_up(values), hint=READ_TWICE)
    if not isinstance(values, Set):
        return items
    try:
        return tuple(sorted(items))
    except TypeError:  # items of several types, which are refused later
        return tuple(sorted(items, key=brief))


READ_TWICE = "Pass a list, which can be read twice and may be empty, or make it again"


def used_up(values: object) -> str:
    """What is wrong with an iterator that gave no items."""
    if any(hasattr(values, name) for name in _FRAMES):
        return f"this {type(values).__name__} has been used up"
    return f"this {type(values).__name__} is empty, or has been used up"


def has_ended(values: object) -> bool:
    """
    Whether an iterator that gives no items may have been used up.

    A generator knows whether it has begun. No other iterator does, so it counts as used up: a list
    says that nothing was meant. An asynchronous one doesn't: a cursor or a queue can be empty.
    """
    frames = [getattr(values, name) for name in _FRAMES if hasattr(values, name)]
    return None in frames if frames else isinstance(values, Iterator)


def has_dimensions(values: object) -> bool:
    """Whether it is a table, or another array that doesn't have exactly one dimension."""
    shape = getattr(values, "shape", (0,))
    return isinstance(shape, tuple) and len(cast("tuple[object, ...]", shape)) != 1


def check_order(first: Any, last: Any) -> None:
    """Refuses two numbers or instants that aren't in order."""
    if first > last:
        raise FilterError("the lower or earlier one comes first", hint="Swap the two")


def sendable(value: object) -> bool:
    """Whether UTF-8 can encode each text in a leaf's value. It can't encode a lone surrogate."""
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    return not isinstance(value, tuple) or all(map(sendable, cast("tuple[object, ...]", value)))
