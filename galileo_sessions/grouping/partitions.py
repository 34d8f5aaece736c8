"""
Partitions: one filter for each label, to count sessions by something.

A column makes them: `Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")` has a filter for each day.

Parts of dates and numbers are half-open, so a value lies in one of them. Time is cut by the clock of a time zone:
a day begins at the first instant that has its date there, which isn't always midnight, and may take 23 or 25 hours.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any, Literal, TypeAlias, assert_never, cast, final

from attrs import Factory, field, frozen

from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters import messages, nodes
from galileo_sessions.filters.coercion import aware_instant, exact_number, items_of, leaf
from galileo_sessions.filters.kinds import FilterType
from galileo_sessions.filters.messages import Column
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.values import WEEK_TEXT, as_sequence, parse_instant
from galileo_sessions.grouping.times import first_instant, midnight, zone_of

Unit: TypeAlias = Literal["hours", "days", "weeks", "months"]

_TIME = re.compile("[0-9]{4}(?:-?[0-9]{2}-?[0-9]{2}|-?W[0-9]{2}-?[0-9])[Tt ]")
MAX_PARTS = 10_000
_SECONDS = {"hours": 3_600, "days": 86_400, "weeks": 604_800, "months": 2_629_746}
"""How long each unit is, on average."""
_ZONE = 'Write tz="UTC", or a name such as tz="Europe/Berlin"'


@final
@frozen(repr=False)
class Partition(Mapping[str, Filter]):
    """
    A mapping from labels to filters, in the order of the values; a column makes it, and it prints as that call.

    It is immutable, hashable and picklable, and equal to a partition with the same labels and filters.
    `await galileo.count_by(project_id, partition)` counts each part; `partition["2026-05-01"]` is a filter like others.
    A session without a value in the column is in no part.
    """

    parts: tuple[tuple[str, Filter], ...]
    """The labels, each with its filter."""
    written: str = field(eq=False)
    """The call that makes it."""
    overlapping: bool = False
    """Whether a session may be in several parts, as with the members of a collection."""
    _filters: dict[str, Filter] = field(init=False, eq=False, default=Factory(lambda self: dict(self.parts), True))

    def __getitem__(self, label: str) -> Filter:
        return self._filters[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filters)

    def __len__(self) -> int:
        return len(self._filters)

    def __repr__(self) -> str:
        return self.written


def _call(column: Column, method: str, *arguments: str) -> str:
    return f"{column!r}.{method}({', '.join(arguments)})"


def _limit(number: int, instead: str) -> None:
    if number > MAX_PARTS:
        raise FilterError(
            f"it would have {number:,} parts, each of which is a count; {MAX_PARTS:,} is the most. {instead}"
        )


# ---- numbers and values ----------------------------------------------------------------------------------------------


def bins(column: Column, edges: tuple[object, ...]) -> Partition:
    """
    Numbers between edges, the lower one included; with a part below the first edge, and one from the last on.

    Raises:
        FilterError: naming the call, if the edges don't ascend or one isn't a number that can be sent.
    """
    try:
        return _bins(column, edges)
    except FilterError as error:
        raise messages.refusal(column, "bins", edges, error) from None


def _bins(column: Column, edges: tuple[object, ...]) -> Partition:
    if not edges or any(as_sequence(edge) is not None for edge in edges):
        raise FilterError("bins takes its edges one by one. Write bins(0, 1, 2), or bins(*edges) for a list")
    _limit(len(edges) + 1, "Write fewer edges")
    below = [nodes.NumberFilter(column.column_id, "lt", exact_number(edge)) for edge in edges]
    above = [nodes.NumberFilter(column.column_id, "gte", exact_number(edge)) for edge in edges]
    numbers = [cast("float", leaf.value) for leaf in below]
    parts: list[tuple[str, Filter]] = [(f"below {numbers[0]}", below[0])]
    for i, (low, high) in enumerate(pairwise(numbers)):
        if low >= high:
            raise FilterError(f"edges ascend, but {high} comes after {low}. Write them in order, each of them once")
        parts.append((f"{low} to {high}", above[i] & below[i + 1]))
    parts.append((f"{numbers[-1]} and above", above[-1]))
    return Partition(tuple(parts), _call(column, "bins", *map(repr, numbers)))


def values(column: Column, filter_type: FilterType, wanted: object) -> Partition:
    """
    One part for each value; of a collection, the sessions that have it as a member.

    Raises:
        FilterError: naming the call, if there is no list of values, or one that the column can't be compared with.
    """
    try:
        items = _items(wanted)
    except FilterError as error:
        raise messages.refusal(column, "values", (wanted,), error) from None
    operator = "contains" if filter_type is FilterType.COLLECTION else "eq"
    made = [leaf(column, filter_type, operator, item) for item in items]
    parts: dict[Any, Filter] = {}  # 1 and 1.0 are one value, and so are the two ways to write an id
    for each in made:
        _ = parts.setdefault(_identity(filter_type, cast("nodes.Comparison", each).value), each)
    held = [cast("nodes.Comparison", each).value for each in parts.values()]
    labelled = zip([_label(value) for value in held], parts.values(), strict=True)
    return Partition(tuple(labelled), _call(column, "values", repr(held)), filter_type is FilterType.COLLECTION)


def _identity(filter_type: FilterType, value: Any) -> object:
    return value.lower() if filter_type is FilterType.ID else value


def _items(wanted: object) -> tuple[object, ...]:
    items = items_of(wanted)
    if items is None:
        raise FilterTypeError("values takes a list. For one value write values([...])")
    if not items:
        raise FilterError("there is no value to count by. Write at least one")
    _limit(len(items), "Write fewer values")
    return items


def _label(value: object) -> str:
    """A value as text; a boolean as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---- time ------------------------------------------------------------------------------------------------------------
# Instants are in UTC until they are shown: Python compares two datetimes of one zone by what its clocks show.


def times(column: Column, unit: Unit, start: object, end: object, tz: object) -> Partition:
    """
    The time from `start` to before `end`, cut where an hour, a day, a Monday or a month begins in a time zone.

    Raises:
        FilterError: naming the call, if the two aren't in order, one of them names no instant, or there are more than
            10,000 parts.
    """
    try:
        zone = _zone(tz, start, end)
        first, last = instant_in(start, zone), instant_in(end, zone)
        _check_length(unit, first, last)
        parts = tuple(_cut(column.column_id, unit, first, last, zone))
        bounds = [repr(_shortest(moment, zone)) for moment in (first, last)]
    except (FilterError, OverflowError) as error:
        known = error if isinstance(error, FilterError) else FilterError("years go from 1 to 9999")
        raise messages.refusal(column, unit, (start, end), known) from None
    return Partition(parts, _call(column, unit, *bounds, f"tz={_name_of(zone)!r}"))


def _check_length(unit: Unit, first: datetime, last: datetime) -> None:
    if first >= last:
        same = "they are the same. For one day, end is the day after"
        fault = same if first == last else "end is before start. Swap the two"
        raise FilterError(f"the time is from start to before end, and {fault}")
    number = int((last - first).total_seconds()) // _SECONDS[unit]
    _limit(number, f"Write {'days' if unit == 'hours' else 'months'}(...), or a shorter time")


def _zone(tz: object, start: object, end: object) -> tzinfo:
    if tz is not None:
        return zone_of(tz)
    own = [each.tzinfo if isinstance(each, datetime) else None for each in (start, end)]
    zone, other = (None if each is None else zone_of(each) for each in own)
    if zone is None or zone != other:
        raise FilterError(f"a day is another time in each time zone. {_ZONE}")
    return zone


def _name_of(zone: tzinfo) -> object:
    """What `tz` takes for a zone: its offset or its name if it has one, else the zone."""
    if isinstance(zone, timezone):
        return datetime(2000, 1, 1, tzinfo=zone).isoformat()[19:] if zone.utcoffset(None) else "UTC"
    return getattr(zone, "key", None) or zone


def _shortest(moment: datetime, zone: tzinfo) -> str:
    """The text that means an instant: a date where that day begins with it."""
    local = moment.astimezone(zone)
    return str(local.date()) if moment == first_instant(local.date(), zone) else local.isoformat()


def instant_in(value: object, zone: tzinfo) -> datetime:
    """
    The instant, in UTC, of a day, which is its first, of text with an offset or without one, or of an aware `datetime`.

    Raises:
        FilterError: if it is none of these.
        OverflowError: if it is before the year 1 or after 9999.
    """
    if isinstance(value, str):
        value = _parsed(value, zone)
    if isinstance(value, date) and not isinstance(value, datetime):
        return first_instant(value, zone)
    return aware_instant(value).astimezone(UTC)


def _parsed(written: str, zone: tzinfo) -> date:
    if WEEK_TEXT.fullmatch(written):
        raise FilterError(f"{brief(written)} is a week, not a day. Write the date of its Monday")
    try:
        return date.fromisoformat(written)
    except ValueError:
        pass
    try:
        moment = parse_instant(written)
    except FilterError:
        if _TIME.match(written):
            raise
        raise FilterError(f"{brief(written)} is neither a day such as 2026-05-01 nor an ISO 8601 time") from None
    if _TIME.match(written) is None:  # Python takes any character between date and time, and so an offset for a time
        raise FilterError(f"{brief(written)}: a day has no offset. Write the time with it, or tz= beside the day")
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _cut(column_id: str, unit: Unit, first: datetime, last: datetime, zone: tzinfo) -> Iterator[tuple[str, Filter]]:
    """The parts, each from the beginning of one unit, or from `first`, to that of the next, or to `last`."""
    seen: set[str] = set()
    while first < last:
        following = min(next_begin(unit, first, zone), last)
        begin, end = first.astimezone(zone), following.astimezone(zone)
        label = _time_label(unit, begin)
        if label in seen:  # an hour that the clocks show twice
            label += begin.isoformat(timespec="minutes")[16:]
        seen.add(label)
        yield label, nodes.DateFilter(column_id, "gte", begin) & nodes.DateFilter(column_id, "lt", end)
        first = following


def _time_label(unit: Unit, begin: datetime) -> str:
    match unit:
        case "hours":
            return begin.isoformat(" ")[:16]
        case "days" | "weeks":
            return begin.isoformat()[:10]
        case "months":
            return begin.isoformat()[:7]
        case _:
            assert_never(unit)


def next_begin(unit: Unit, moment: datetime, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which the next hour, day, Monday or month begins in a time zone."""
    local = moment.astimezone(zone)
    day = local.date()
    match unit:
        case "hours":
            past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            return moment + timedelta(hours=1) - past
        case "days":
            following = day + timedelta(days=1)
        case "weeks":
            following = day + timedelta(days=7 - day.weekday())
        case "months":
            following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            assert_never(unit)
    begin = first_instant(following, zone)
    return begin if begin > moment else midnight(following, zone, fold=1)
