"""
Partitions: one filter for each label, to count sessions by day, bin or value.

Parts of dates and numbers are half-open, so each value is in one of them. Days follow the clocks of a time zone:
they begin with their first instant there, which isn't always midnight, and can have 23 or 25 hours.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from itertools import islice, pairwise
from typing import Any, cast, final

from attrs import evolve, field, frozen

from galileo_sessions import display
from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters.advice import Call, Column
from galileo_sessions.filters.kinds import FilterType
from galileo_sessions.filters.nodes import ALWAYS, Comparison, DateFilter, Filter, NumberFilter
from galileo_sessions.filters.times import Unit, instant_in, next_begin, zone_of
from galileo_sessions.filters.values import items_of, number

MAX_PARTS = 10_000


def _copied(filters: Mapping[str, Filter]) -> dict[str, Filter]:
    return dict(filters)


def _check_rest(partition: "Partition", _: object, label: str | None) -> None:
    if label is None:
        return
    if not isinstance(label, str):
        raise FilterTypeError(f"with_rest({brief(label)}): a label must be text")
    if label in partition:
        raise FilterError(f"with_rest({brief(label)}): a part has this label. Write another one")
    if not partition.disjoint:
        problem = "a session can be in several of these parts, so the rest isn't the total minus their sum"
        raise FilterError(f"with_rest({brief(label)}): {problem}. Count ~any_of(partition.values()) instead")


@final
@frozen(eq=False, repr=False)
class Partition(Mapping[str, Filter]):
    """
    A mapping from labels to filters, in the order of the values. A column makes it.

    It is immutable, hashable and picklable.
    `await galileo.count_by(project_id, partition)` counts each part; `partition["2026-05-01"]` is a filter like others.
    A session without a value in the column isn't in any part, unless `with_rest` adds one for it.
    """

    _filters: dict[str, Filter] = field(converter=_copied)
    disjoint: bool = field(default=False, kw_only=True)
    """Whether no session is in two parts, as in all partitions that columns make but those of a collection."""
    rest: str | None = field(default=None, kw_only=True, validator=_check_rest)
    """The label of the sessions that are in no part, if `count_by` counts them."""
    whole: Filter = field(default=ALWAYS, kw_only=True)
    """What all parts have in common: the period of parts of a date that have no rest. `count_by` counts it, too."""

    def with_rest(self, label: str) -> "Partition":
        """
        The partition with one more label in `count_by`, for the sessions that are in no part.

        Its count is that of all sessions minus the sum of the parts: the API doesn't document whether `~` selects
        sessions without a value. So the mapping itself has no filter with this label.

        Raises:
            FilterError: if a part has the label, or if parts can overlap: those of a collection, and those of a
                partition that no column made.
        """
        return evolve(self, rest=label, whole=ALWAYS)

    def __getitem__(self, label: str) -> Filter:
        return self._filters[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filters)

    def __len__(self) -> int:
        return len(self._filters)

    def __hash__(self) -> int:
        return hash(frozenset(self._filters.items()))

    def __str__(self) -> str:
        return display.text_table([("label", "filter"), *self._rows()])

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_table(("label", "filter"), self._rows(), len(self), repr(self)[1:-1])

    def _rows(self) -> list[tuple[str, str]]:
        return [(display.shortened(label), display.shortened(repr(part), 200)) for label, part in self.items()]

    def __repr__(self) -> str:
        labels = [*self._filters]
        ends = f", {brief(labels[0])} to {brief(labels[-1])}" if labels else ""
        rest = "" if self.rest is None else f", and {brief(self.rest)} for the rest"
        return f"<Partition: {len(labels)} parts{ends}{rest}>"


def _partition(call: Call, parts: Iterable[tuple[str, Filter]]) -> Partition:
    made = dict(islice(parts, MAX_PARTS + 1))
    if len(made) > MAX_PARTS:
        raise call.error(f"a partition has at most {MAX_PARTS:,} parts, since each one is a request")
    return Partition(made, disjoint=call.column.filter_type is not FilterType.COLLECTION)


# ---- numbers and values ----------------------------------------------------------------------------------------------


def bins(call: Call) -> Partition:
    """
    Numbers between edges, the lower one included, with a part below the first edge and one from the last edge on.

    Raises:
        FilterError: if the edges don't ascend, or if one of them isn't a number that can be sent.
    """
    if not call.arguments or isinstance(call.arguments[0], list | tuple):
        raise call.error("write the edges as arguments: bins(0, 1, 2), or bins(*edges) for a list")
    return _partition(call, _bins(call))


def _bins(call: Call) -> Iterator[tuple[str, Filter]]:
    numbers = [number(edge, call) for edge in call.arguments]
    below = [NumberFilter(call.column.column_id, "lt", edge) for edge in numbers]
    above = [NumberFilter(call.column.column_id, "gte", edge) for edge in numbers]
    yield f"below {numbers[0]}", below[0]
    for i, (low, high) in enumerate(pairwise(numbers)):
        if low >= high:
            raise call.error(f"the edges must ascend, but {high} comes after {low}")
        yield f"{low} to {high}", above[i] & below[i + 1]
    yield f"{numbers[-1]} and above", above[-1]


def values(call: Call) -> Partition:
    """
    One part for each value: the sessions that have it, or for a collection those with that member.

    Raises:
        FilterError: if the values aren't a list with at least one, or if the column can't be compared with one of them.
    """
    items = items_of(call.arguments[0])
    if not items:
        raise call.error("write a list with at least one value")
    return _partition(call, _values(call.column, items))


def _values(column: Column, items: tuple[object, ...]) -> Iterator[tuple[str, Filter]]:
    filter_type = column.filter_type
    operator = "contains" if filter_type is FilterType.COLLECTION else "eq"
    seen: set[object] = set()
    for item in items:
        part = getattr(column, operator)(item)
        value = _value(part)
        key = value.lower() if filter_type is FilterType.ID else value  # an id is the same in capitals, and 1 is 1.0
        if key not in seen:
            yield str(value).lower() if filter_type is FilterType.BOOLEAN else str(value), part
        seen.add(key)


def _value(part: Filter) -> Any:
    return cast("Comparison", part).value


# ---- time ------------------------------------------------------------------------------------------------------------
# Instants stay in UTC until they are shown: Python compares two datetimes of one zone by what its clocks show.


def times(call: Call, unit: Unit, start: object, end: object, tz: object) -> Partition:
    """
    The time from `start` to before `end`, cut where an hour, a day, a Monday or a month begins in a time zone.

    Raises:
        FilterError: if `end` isn't after `start`, if one of them isn't a day or an instant, if the time zone is unknown
            or missing, or if there are more than 10,000 parts.
    """
    if tz is None and isinstance(start, datetime) and isinstance(end, datetime) and start.tzinfo == end.tzinfo:
        tz = start.tzinfo
    if tz is None:
        raise call.error(f'{unit} depend on the time zone. Write tz="UTC", or tz="Europe/Berlin"')
    zone = zone_of(tz)
    first, last = instant_in(start, zone), instant_in(end, zone)
    if first >= last:
        raise call.error("end must be after start. For one day, end is the next day")
    column_id = call.column.column_id
    period = DateFilter(column_id, "gte", first) & DateFilter(column_id, "lt", last)
    return evolve(_partition(call, _times(column_id, unit, first, last, zone)), whole=period)


def _times(column_id: str, unit: Unit, first: datetime, last: datetime, zone: tzinfo) -> Iterator[tuple[str, Filter]]:
    while first < last:
        following = min(next_begin(unit, first, zone), last)
        begin = first.astimezone(zone)
        end = following.astimezone(zone)
        part = DateFilter(column_id, "gte", begin) & DateFilter(column_id, "lt", end)
        yield _time_label(unit, begin), part
        first = following


def _time_label(unit: Unit, begin: datetime) -> str:
    if unit == "hours":
        label = begin.isoformat(" ", "minutes")
        return label if begin.fold else label[:16]  # when clocks show an hour again, its label includes the offset
    return begin.isoformat()[: 7 if unit == "months" else 10]
