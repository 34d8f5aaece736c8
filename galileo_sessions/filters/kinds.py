"""
What a column can be compared with: the table of filter types, and the values that their filters hold.

Columns, leaves, the evaluator, catalogs and the local server look up in the table what differs between types.

Converters turn Python values into plain `str`, `int`, `float`, `bool`, and aware `datetime`. They accept what the API's
schema allows, in a leaf and in JSON. Columns are stricter: see `check_comparison`, which `repr` uses, too.
A converter's error says what is wrong with the value; the caller adds where, and what to write instead.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar, cast, get_args
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError

IdOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]
DateOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte"]
NumberOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "between"]
BooleanOperator: TypeAlias = Literal["eq", "ne"]
CollectionOperator: TypeAlias = Literal["eq", "contains", "one_of", "not_in"]
TextOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]

LIST_OPERATORS = ("one_of", "not_in")
"""The operators that take a list of values."""
RANGE_OPERATORS = ("between",)
"""The operators that take two numbers."""
SYMBOLS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
"""The operators for which Python has a symbol."""
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, {"gte": "ge", "lte": "le"}.get(name, name)) for name in SYMBOLS
}
"""The functions of these operators."""

NOT_SENDABLE = "it has a lone surrogate, which can't be sent as UTF-8"
NO_OFFSET = "has no UTC offset such as +00:00, so it is a different instant in each time zone"
REPLACE_ZONE = "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time"
_LIST = (list, tuple)
_TOO_LARGE, _TOO_SMALL = 10**4_300, -(10**4_300)  # Python neither reads nor writes an int with more digits as text
_HEX = "[0-9a-fA-F]"
UUID_TEXT = re.compile(f"(?i:urn:uuid:)?{{?({_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}})}}?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMPY_TIMES = {
    "M": 'Write pandas.Timestamp(value, tz="UTC"), or another zone if it is in that',
    "m": 'Write value / numpy.timedelta64(1, "s") for seconds',
}
"""By the kind of numpy's dtype, what to write instead of a scalar: it doesn't say its zone, or its unit."""
_UNITS = ("days", "hours", "weeks", "months")


class FilterType(StrEnum):
    """A type of filter, by its name in the API."""

    operators: tuple[str, ...]
    """The operators that the API defines for this type."""
    shortcuts: tuple[str, ...]
    """The column's other methods that make leaves with these operators."""
    python_types: tuple[type, ...]
    """`Col` infers this filter type from values of these types."""
    data_type: str
    """The usual data type of such a column, by its name in the API."""
    partitions: tuple[str, ...]
    """The column's methods that make partitions."""

    ID = "id", get_args(IdOperator), (), (UUID,), "uuid", ("values",)
    DATE = "date", get_args(DateOperator), ("between", "on", "during", "last"), (datetime,), "timestamp", _UNITS
    NUMBER = "number", get_args(NumberOperator), (), (int, float, Decimal), "floating_point", ("bins", "values")
    BOOLEAN = "boolean", get_args(BooleanOperator), ("is_true", "is_false"), (bool,), "boolean", ("values",)
    COLLECTION = "collection", get_args(CollectionOperator), (), (), "string_list", ("values",)
    TEXT = "text", get_args(TextOperator), (), (str,), "text", ("values",)

    def __new__(cls, name: str, *row: Any) -> Self:
        """Makes a member whose value is its name, and whose attributes are the row's cells."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.operators, member.shortcuts, member.python_types, member.data_type, member.partitions = row
        return member

    @property
    def methods(self) -> tuple[str, ...]:
        """The column's methods that make filters."""
        return (*self.operators, *self.shortcuts)


FILTER_TYPES: dict[str, FilterType] = {kind.value: kind for kind in FilterType}
"""The filter types by their names in the API."""
METHODS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.methods))
"""The methods of `Col`: those of all columns that make filters."""
PARTITIONS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.partitions))
"""The methods of typed columns that make partitions."""

_BY_PYTHON_TYPE = {python_type: kind for kind in FilterType for python_type in kind.python_types}


# ---- Python values ---------------------------------------------------------------------------------------------------


def filter_type_of(value: object) -> FilterType | None:
    """The filter type that `Col` infers from a single value, or None."""
    value = python_value(value)
    exact = _BY_PYTHON_TYPE.get(type(value))  # a bool stops here, so it never counts as an int
    return exact or next((kind for kind in FilterType if isinstance(value, kind.python_types)), None)


def is_missing(value: object) -> bool:
    """Whether the value is None, NaN, or missing in pandas: `NaT`, which is a datetime, or `NA`."""
    value = python_value(value)
    if isinstance(value, float | Decimal):
        return Decimal(value).is_nan()
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def python_value(value: Any) -> Any:
    """
    The Python value of a scalar of numpy; any other value itself. It never imports numpy.

    A `datetime64` or `timedelta64` of nanoseconds has none: its `item()` is a plain number.
    """
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    item = value.item()
    return value if numpy_time(value) and isinstance(item, int) else item


def numpy_time(value: Any) -> str:
    """What to write instead of a `datetime64` or a `timedelta64` of numpy; empty for any other value."""
    return _NUMPY_TIMES.get(getattr(getattr(value, "dtype", None), "kind", ""), "")


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


# ---- converters: type checkers take a constructor's parameter types from them ----------------------------------------


def as_text(value: str) -> str:
    """A plain `str`."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise expected("text", value)


def as_texts(value: str | Several[str]) -> str | tuple[str, ...]:
    """A `str`, or a tuple of `str` from a list."""
    return value if type(value) is str else _each(as_text, value)


def as_numbers(value: int | float | Several[int | float]) -> int | float | tuple[int | float, ...]:
    """A number, or a tuple of numbers from a list."""
    return _each(as_number, value)


def as_ids(value: UUID | str | Several[UUID | str]) -> str | tuple[str, ...]:
    """An id as text, or a tuple of ids from a list."""
    return _each(as_id, value)


def _each(convert: Callable[[Any], T], value: Any) -> T | tuple[T, ...]:
    """A converted value, or a tuple of the converted items of a list."""
    if isinstance(value, _LIST):
        return tuple([convert(item) for item in cast("Sequence[Any]", value)])
    return convert(value)


def as_id(value: UUID | str) -> str:
    """An id as text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        return as_text(value)
    raise expected("a UUID or text", value)


def comparable_id(written: str) -> str:
    """Text that is the same for each spelling of a UUID, and for any other id in each case."""
    match = UUID_TEXT.fullmatch(written)
    return match[1].replace("-", "").lower() if match else written.lower()


def as_boolean(value: bool) -> bool:
    """Exactly True or False."""
    value = python_value(value)
    if value is True or value is False:
        return value
    raise expected("True or False", value)


def as_number(value: Any) -> int | float:
    """A plain `int` or `float` that JSON can carry, from an `int`, a `float`, a `Decimal` or a numpy scalar."""
    number = python_value(value)
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        raise expected("a number", value)
    if is_missing(number) or not _TOO_SMALL < number < _TOO_LARGE:
        raise FilterError(f"{brief(value)} is not a number that JSON can carry")
    if isinstance(number, float):
        return float(number)
    exact = int(number) if number == int(number) else float(number)
    if isinstance(number, Decimal) and Decimal(repr(exact)) != number:
        raise FilterError("a JSON number would lose digits", hint=f"Write float(...), which rounds to {exact}")
    return exact


def as_instant(value: datetime | str) -> datetime:
    """An aware `datetime` with a fixed offset of whole minutes, from an aware `datetime` or ISO 8601 text."""
    if isinstance(value, str):
        moment = parse_instant(value)
    elif isinstance(value, datetime) and not is_missing(value):
        moment = value
    else:
        raise expected("a datetime or ISO 8601 text", value)
    if getattr(moment, "nanosecond", 0):  # as pandas' Timestamp has
        raise FilterError(f"{brief(str(value))} is finer than a microsecond, which would be lost")
    if hasattr(moment.tzinfo, "localize") and moment.tzname() == "LMT":  # a pytz zone, used without localize
        problem = f"{brief(str(value))} is in local mean time"
        raise FilterError(problem, hint="Write zone.localize(...), or use zoneinfo")
    offset = moment.utcoffset()
    if offset is None:
        hint = "" if isinstance(value, str) else REPLACE_ZONE
        raise FilterError(f"{brief(str(value))} {NO_OFFSET}", hint=hint)
    try:
        if offset % timedelta(minutes=1):  # RFC 3339 has no seconds in an offset; some zones had them before 1900
            return moment.astimezone(UTC)
    except OverflowError:
        raise FilterError(f"{brief(str(value))} is out of range: years go from 1 to 9999") from None
    return datetime.combine(moment.date(), moment.time(), timezone(offset)).replace(fold=0)


def as_json(value: Any) -> Any:
    """A leaf's value for JSON."""
    if isinstance(value, tuple):
        return [*cast("tuple[object, ...]", value)]
    return value.isoformat() if isinstance(value, datetime) else value


def parse_instant(written: str) -> datetime:
    """The time in ISO 8601 text, with or without an offset."""
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError as error:
        problem = f"doesn't exist: {error}"  # the form is right, and the day or the hour is not
        if "isoformat" in str(error):
            problem = "is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00"
        raise FilterError(f"{brief(written)} {problem}") from None
    if re.search(r"[.,]\d{6}0*[1-9]", written):
        raise FilterError(f"{brief(written)} is finer than a microsecond, which would be lost")
    return moment


def as_user_ids(value: Several[UUID | str] | None) -> tuple[str, ...] | None:
    """At least one UUID, as text; or None."""
    if value is None:
        return None
    written = [as_id(item) for item in items_of(value) or ()]
    found = [match for each in written if (match := UUID_TEXT.fullmatch(each))]
    if not written or len(found) < len(written):
        raise expected("a list of at least one UUID as user_ids", value)
    return tuple([match[0] if match[0] == match[1] and len(match[0]) == 36 else str(UUID(match[1])) for match in found])


def expected(what: str, value: object) -> FilterTypeError:
    """The error for a value of the wrong type."""
    return FilterTypeError(f"expected {what}, got {brief(value)}", hint=numpy_time(value))


# ---- lists -----------------------------------------------------------------------------------------------------------


def as_sequence(value: object) -> Sequence[Any] | None:
    """The value itself if it is a list or a tuple, else None."""
    return cast("Sequence[Any]", value) if isinstance(value, _LIST) else None


def items_of(values: object) -> tuple[Any, ...] | None:
    """
    The items of an iterable. None for text, for mappings and tables, whose items are keys, and for anything else.

    The items of a set are sorted, so that equal filters have the same JSON.
    """
    if isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) != 1:
        return None
    try:
        items = tuple(cast("Iterable[Any]", values))
    except TypeError:
        return None
    if isinstance(values, Set):
        try:
            return tuple(sorted(items))
        except TypeError:  # items of several types, which are refused later
            return tuple(sorted(items, key=brief))
    return items


# ---- values that a column is compared with ---------------------------------------------------------------------------


def check_comparison(operator: str, value: object) -> None:
    """Refuses a value that a leaf can hold, but no column accepts, such as a list for `==`."""
    check_satisfiable(operator, value)
    if operator in LIST_OPERATORS:
        checked_items(operator, value)
    elif operator in RANGE_OPERATORS:
        _check_exact(cast("Sequence[Any]", value))
    elif isinstance(value, tuple):
        raise expected("a single value", list(cast("tuple[object, ...]", value)))
    if not sendable(value):
        raise FilterError(NOT_SENDABLE)


def checked_items(operator: str, values: object) -> tuple[Any, ...]:
    """The values for `one_of` or `not_in`."""
    items = items_of(values)
    if items is None:
        raise FilterTypeError(f"{operator} takes a list of text", hint=f"For one value write {operator}([value])")
    return items


def check_satisfiable(operator: str, value: object) -> None:
    """Refuses what the API doesn't define and no session satisfies: an empty list, or bounds that aren't in order."""
    if value == ():
        instead = "ALWAYS" if operator in ("ne", "not_in") else "NEVER"
        raise FilterError("the API doesn't define an empty list", hint=f"Give it a value, or write {instead}")
    if operator == "contains" and "" in (as_sequence(value) or (value,)):
        raise FilterError("any text contains the empty one", hint="Give it a text, or write ALWAYS for all sessions")
    if operator in RANGE_OPERATORS:
        bounds = as_sequence(value) or ()
        if len(bounds) != 2:
            raise FilterTypeError("between takes two numbers")
        check_order(*bounds)


def _check_exact(bounds: Sequence[Any]) -> None:
    low, high = bounds
    if type(low) is not type(high) and any(type(bound) is int and abs(bound) > 2**53 for bound in bounds):
        problem = "the API reads both as floats, in which an integer above 2**53 can lose digits"
        raise FilterError(problem, hint=f"Write column.gte({brief(low)}) & column.lte({brief(high)})")


def check_order(first: Any, last: Any) -> None:
    """Refuses two numbers or instants that aren't in order."""
    if first > last:
        raise FilterError("the lower or earlier one comes first", hint="Swap the two")


def sendable(value: object) -> bool:
    """Whether UTF-8 can encode the value, or each value of a tuple. It can't encode a lone surrogate."""
    if isinstance(value, str):
        return value.isascii() or _SURROGATE.search(value) is None
    return not isinstance(value, tuple) or all(map(sendable, cast("tuple[object, ...]", value)))
