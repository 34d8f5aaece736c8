"""
A user's value beside a column becomes a leaf, or is refused.

The constructors of leaves hold what the API's schema allows.
The rules here are stricter: a value that could not mean what was written doesn't become a filter.
"""

import inspect
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import islice
from typing import Any, assert_never, cast

from galileo_sessions.errors import DateAsTextWarning, FilterError, FilterTypeError, brief
from galileo_sessions.filters import messages, nodes
from galileo_sessions.filters.kinds import LIST_OPERATORS, FilterType, filter_type_of, is_missing, numpy_kind
from galileo_sessions.filters.messages import Column
from galileo_sessions.filters.values import WEEK_TEXT, instant, sendable
from galileo_sessions.grouping.times import first_instant, zone_of

_TIME_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")
_MAX_ITEMS = 1_000_000
_PACKAGE = __name__.partition(".")[0]
_PLAIN = (int, float, bool, datetime)  # these and ASCII text are the most frequent, and need no check


def leaf(
    column: Column, filter_type: FilterType | None, operator: str, value: object, case_sensitive: object = True
) -> nodes.Filter:
    """
    The leaf that compares `column` with `value`; without a filter type, of the type that the value stands for.

    Raises:
        FilterError: naming the call as it was written, the reason, and what to write instead.
    """
    try:
        if operator in LIST_OPERATORS:
            value = _read_once(value)
            items = _items(operator, value)
            filter_type = filter_type or _type_of_items(items)
            _check_items(filter_type, operator, items)
            value = items
        else:
            if filter_type is None:
                filter_type = _type_of(operator, value)
                if filter_type is FilterType.TEXT and operator in ("eq", "ne") and _TIME_TEXT.match(str(value)):
                    _warn_of_date(column, operator, str(value))
            if type(value) not in _PLAIN and not (type(value) is str and value.isascii()):
                _check_single(operator, value)
        if case_sensitive is not True:
            _check_case_sensitive(filter_type, case_sensitive)
        return _made(filter_type, column.column_id, operator, value, case_sensitive)
    except FilterError as error:
        raise messages.refusal(column, operator, (value,), error) from None


def _warn_of_date(column: Column, operator: str, value: str) -> None:
    """Warns at the line of the caller, however many of this package's functions are in between."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(messages.date_as_text(column, operator, value), DateAsTextWarning, stacklevel=level)


def _made(filter_type: FilterType, column_id: str, operator: Any, value: Any, case_sensitive: Any) -> nodes.Filter:
    match filter_type:
        case FilterType.TEXT:
            return nodes.TextFilter(column_id, operator, value, case_sensitive)
        case FilterType.NUMBER:
            return nodes.NumberFilter(column_id, operator, exact_number(value))
        case FilterType.DATE:
            return nodes.DateFilter(column_id, operator, aware_instant(value))
        case FilterType.BOOLEAN:
            return nodes.BooleanFilter(column_id, operator, bool(value) if numpy_kind(value) == "b" else value)
        case FilterType.COLLECTION:
            return nodes.CollectionFilter(column_id, operator, value, case_sensitive)
        case FilterType.ID:
            return nodes.IdFilter(column_id, operator, value)
        case _:
            assert_never(filter_type)


def between_numbers(column: Column, low: object, high: object) -> nodes.Filter:
    """The leaf for two numbers, the lower one first, both included."""
    try:
        made = nodes.NumberFilter(column.column_id, "between", [exact_number(low), exact_number(high)])
        bounds = cast("tuple[float, float]", made.value)
        _check_order(*bounds)
        _check_digits(*bounds)
    except FilterError as error:
        raise messages.refusal(column, "between", (low, high), error) from None
    return made


def between_dates(column: Column, low: object, high: object) -> nodes.Filter:
    """Two leaves for two instants, the earlier one first, both included: the API has no `between` for dates."""
    try:
        first, last = aware_instant(low), aware_instant(high)
        _check_order(first, last)
    except FilterError as error:
        raise messages.refusal(column, "between", (low, high), error) from None
    return nodes.DateFilter(column.column_id, "gte", first) & nodes.DateFilter(column.column_id, "lte", last)


def on_day(column: Column, day: object, tz: object) -> nodes.Filter:
    """Two leaves for a calendar day in a time zone: from its midnight to before the next."""
    try:
        start, end = _midnights(day, tz)
    except FilterError as error:
        raise messages.refusal(column, "on", (day,), error) from None
    return nodes.DateFilter(column.column_id, "gte", start) & nodes.DateFilter(column.column_id, "lt", end)


# ---- single values ---------------------------------------------------------------------------------------------------


def _type_of(operator: str, value: object) -> FilterType:
    filter_type = filter_type_of(value)
    if filter_type is None or operator not in filter_type.operators:
        raise FilterTypeError("")  # the advice for such values needs no reason
    return filter_type


def _check_single(operator: str, value: object) -> None:
    if isinstance(value, list | tuple):
        raise FilterTypeError(f"{operator} takes a single value")
    if not sendable(value):
        raise FilterError(messages.NOT_SENDABLE)


def _check_case_sensitive(filter_type: FilterType, case_sensitive: object) -> None:
    if case_sensitive is not False or filter_type not in (FilterType.TEXT, FilterType.COLLECTION):
        raise FilterError(f"case_sensitive={brief(case_sensitive)}: it is True or False, for text and collections")


def _check_digits(*bounds: float) -> None:
    """The service reads a list as one of floats if one of its numbers is."""
    rounded = [each for each in bounds if type(each) is int and not _is_a_float(each)]
    if rounded and any(type(each) is float for each in bounds):
        raise FilterError(f"beside a float, {brief(rounded[0])} would lose digits. Write two integers, or two floats")


def _is_a_float(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _check_order(low: Any, high: Any) -> None:
    if low > high:
        raise FilterError("the lower or earlier one comes first. Swap the two")


def exact_number(value: Any) -> Any:
    """A `Decimal` or a numpy scalar as the number that JSON will carry; anything else as it is."""
    if type(value) is int or type(value) is float:
        return value
    if isinstance(value, Decimal):
        return _exact_decimal(value)
    kind = numpy_kind(value)
    return _exact_float(value) if kind == "f" else int(value) if kind in ("i", "u") else value


def _exact_float(value: Any) -> int | float:
    """A numpy float as one of Python's, of which a longdouble may have more digits than fit."""
    rounded = float(value)
    if rounded == value or not math.isfinite(value):
        return rounded
    if value == int(value):
        return int(value)
    raise FilterError(messages.loses_digits(rounded))


def _exact_decimal(value: Decimal) -> int | float:
    if not value.is_finite():
        raise FilterError(f"{value} is not a number that JSON can carry")
    if value.adjusted() < 4_300 and value == value.to_integral_value():
        return int(value)
    rounded = float(value)
    if math.isinf(rounded):
        raise FilterError("a number of more than 4,300 digits can't be sent")
    if Decimal(repr(rounded)) != value:
        raise FilterError(messages.loses_digits(rounded))
    return rounded


def aware_instant(value: object) -> datetime:
    """What `instant` returns, with advice for a naive `datetime`."""
    if isinstance(value, datetime) and not is_missing(value):
        try:
            offset = value.utcoffset()
        except NotImplementedError:  # of a `tzinfo` that has none
            offset = None
        if offset is None:
            raise FilterError(messages.NAIVE)
        if _is_not_localized(value):
            raise FilterError(messages.not_localized(value))
    return instant(value)


def _is_not_localized(value: Any) -> bool:
    """Whether `tzinfo=` was given a zone of pytz, which then means the local mean time before the first clocks."""
    localize = getattr(value.tzinfo, "localize", None)
    if localize is None or value.tzname() != "LMT":
        return False
    return bool(localize(value.replace(tzinfo=None)).utcoffset() != value.utcoffset())


def _midnights(day: object, tz: object) -> tuple[datetime, datetime]:
    if isinstance(day, str):
        if WEEK_TEXT.fullmatch(day):
            raise FilterError("this is a week, not a day. Write the date of its Monday")
        try:
            day = date.fromisoformat(day)
        except ValueError:
            raise FilterError("this is not a date such as 2026-01-31") from None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise FilterTypeError("on takes a date, or its text such as 2026-01-31. For an instant write eq")
    zone = zone_of(tz)
    try:
        return _begin(day, zone), _begin(day + timedelta(days=1), zone)
    except OverflowError:
        raise FilterError("the day after is out of range: years go from 1 to 9999") from None


def _begin(day: date, zone: tzinfo) -> datetime:
    return instant(first_instant(day, zone).astimezone(zone))


# ---- lists -----------------------------------------------------------------------------------------------------------


def items_of(values: object) -> tuple[Any, ...] | None:
    """
    The items of what was given as a list, or None if it is none.

    Those of a set are sorted, so that one filter has one JSON.

    Raises:
        FilterError: for more than 1,000,000 items, such as an endless generator has.
    """
    if isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) != 1:  # a table gives its column names
        return None
    try:
        iterator = iter(cast("Iterable[object]", values))
    except TypeError:  # asking for the type isn't enough: a numpy array without dimensions is Iterable
        return None
    items = tuple(islice(iterator, _MAX_ITEMS + 1))
    if len(items) > _MAX_ITEMS:
        raise FilterError(f"a list has {_MAX_ITEMS:,} values at most")
    return tuple(sorted(items, key=_in_order)) if isinstance(values, Set) else items


def _in_order(item: object) -> str:
    return item if isinstance(item, str) else brief(item)


def _read_once(values: object) -> object:
    """A tuple of what can be iterated only once, for a message shows it again."""
    if not isinstance(values, Iterator):
        return values
    return tuple(islice(cast("Iterator[object]", values), _MAX_ITEMS + 1))


def _items(operator: str, values: object) -> tuple[object, ...]:
    items = items_of(values)
    if items is None:
        raise messages.no_list(operator, values, filter_type_of(values))
    if not items:
        raise messages.empty_list(operator)
    return items


def _type_of_items(items: tuple[object, ...]) -> FilterType:
    return FilterType.ID if {filter_type_of(item) for item in items} == {FilterType.ID} else FilterType.TEXT


def _check_items(filter_type: FilterType, operator: str, items: tuple[object, ...]) -> None:
    types = {filter_type_of(item) for item in items}
    if not types <= ({FilterType.TEXT, FilterType.ID} if filter_type is FilterType.ID else {FilterType.TEXT}):
        raise messages.wrong_items(operator, types)
    if not all(map(sendable, items)):
        raise FilterError(messages.NOT_SENDABLE)
