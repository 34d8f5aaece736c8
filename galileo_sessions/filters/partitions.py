"""
Partitions: one filter for each value, for each bin of numbers, or for each hour, day, week or
month.

Parts of dates and numbers are half-open, so each value is in one of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from itertools import islice, pairwise
from typing import Any, final

from attrs import evolve, field, frozen

from galileo_sessions import display
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.calendar import (
    NO_ZONE,
    ZONE,
    Unit,
    begin_of,
    bounds,
    next_begin,
    period,
)
from galileo_sessions.filters.filter_types import FilterType, check_comparison
from galileo_sessions.filters.nodes import ALWAYS, LEAVES, Filter, NumberFilter, as_filter
from galileo_sessions.filters.values import (
    as_boolean,
    as_number,
    as_sequence,
    comparable_id,
    items_of,
)

MAX_PARTS = 10_000
_LABELS = {"hours": len("2026-05-01 09:00"), "months": len("2026-05")}


def _copied(filters: Mapping[Any, Filter]) -> dict[Any, Filter]:
    """
    A dict with the parts of a partition.

    Raises:
        FilterTypeError: if they aren't a mapping of labels to filters, or are a partition, whose
            rest and whole would be lost.
        FilterError: if two parts have the same label, as in a multidict.
    """
    if not isinstance(filters, Mapping):
        example = 'Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
        raise FilterTypeError(
            f"partition must be a mapping of label to filter, got {brief(filters)}",
            hint=f"Write, for example, {example}",
        )
    if isinstance(filters, Partition):
        raise FilterTypeError(
            f"{brief(filters)} is a partition already",
            hint="Pass it as it is, or Partition(dict(partition), ...) for its filters alone",
        )
    return _labelled(filters.items())


def _labelled(parts: Iterable[tuple[Any, Filter]]) -> dict[Any, Filter]:
    made: dict[Any, Filter] = {}
    for label, part in parts:
        if label in made:
            raise FilterError(f"two parts have the label {brief(label)}")
        made[label] = as_filter(part)
    return made


def _parts(filters: dict[Any, Filter]) -> frozenset[tuple[Any, Filter]]:
    return frozenset(filters.items())


def _check_rest(partition: "Partition", _: object, label: str | None) -> None:
    if label is None:
        return
    call = f"with_rest({brief(label)})"
    if not isinstance(label, str):
        raise FilterTypeError(f"{call}: a label must be text")
    if label in partition:
        raise FilterError(f"{call}: a part has this label", hint="Write another one")
    if partition.whole != ALWAYS:
        problem = "the rest of a partition with a whole isn't defined"
        raise FilterError(problem, hint=f"Write {call}, which counts the rest of all sessions")
    if not partition.disjoint:
        raise FilterError(
            f"{call}: a session can be in several of these parts, so the rest isn't the total minus"
            " their sum",
            hint="Subtract the count of any_of(partition.values()) from the total;"
            " pass disjoint=True if no parts overlap",
        )


@final
@frozen(repr=False)
class Partition(Mapping[Any, Filter]):
    """
    A mapping from labels to filters, in the order of the values. Columns make partitions, with text
    as labels.

    It is immutable, hashable and picklable. It equals a partition with the same parts, in any
    order, and the same `rest` and `disjoint`. It doesn't equal a plain dict, which has none of
    them.

    `await galileo.count_by(project_id, partition)` counts each part; `partition["2026-05-01"]` is
    an ordinary filter. A session without a value in the column isn't in any part, unless
    `with_rest` adds one for it.
    """

    _filters: dict[Any, Filter] = field(converter=_copied, eq=_parts)
    disjoint: bool = field(default=False, kw_only=True, converter=as_boolean)
    """
    Whether no session is in two parts. True for all partitions that columns make, except those of a
    collection.
    """
    rest: str | None = field(default=None, kw_only=True, validator=_check_rest)
    """The label for the sessions that are in no part; None if `count_by` doesn't count them."""
    whole: Filter = field(default=ALWAYS, kw_only=True, converter=as_filter)
    """
    The filter that all parts share: the period, for parts of a date without a rest. `count_by`
    counts it, too.
    """

    def with_rest(self, label: str) -> "Partition":
        """
        The partition with one more label in `count_by`, for the sessions that are in no part.

        The label's count is that of all sessions minus the sum of the parts, because the API
        doesn't document whether `~` selects sessions without a value. So the mapping itself has no
        filter for this label.

        Raises:
            FilterError: if a part has the label, or if parts can overlap: those of a collection,
                and those of a partition that no column made.
        """
        if label is None:  # pyright: ignore[reportUnnecessaryComparison]  # not every caller is typed
            raise FilterTypeError("with_rest(None): a label must be text")
        return evolve(self, rest=label, whole=ALWAYS)

    def __getitem__(self, label: Any) -> Filter:
        return self._filters[label]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._filters)

    def __len__(self) -> int:
        return len(self._filters)

    def __str__(self) -> str:
        rows = [
            (display.shortened(str(label)), display.shortened(repr(part), 200))
            for label, part in self.items()
        ]
        return display.table(("label", "filter"), rows)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.preformatted(self)

    def __repr__(self) -> str:
        labels = [*self._filters]
        ends = f", {brief(labels[0])} to {brief(labels[-1])}" if labels else ""
        rest = "" if self.rest is None else f", and {brief(self.rest)} for the rest"
        return f"<Partition: {display.quantity(len(labels), 'part')}{ends}{rest}>"


def _partition(
    parts: Iterable[tuple[Any, Filter]], *, disjoint: bool = True, whole: Filter = ALWAYS
) -> Partition:
    """
    Makes a partition of at most `MAX_PARTS` parts.

    Raises:
        FilterError: if there are more, or if two have the same label.
    """
    made = _labelled(islice(parts, MAX_PARTS + 1))
    if len(made) > MAX_PARTS:
        raise FilterError(
            f"a partition has at most {MAX_PARTS:,} parts, since each one is a request"
        )
    return Partition(made, disjoint=disjoint, whole=whole)


# ---- numbers and values --------------------------------------------------------------------------


def by_edges(column_id: str, edges: tuple[Any, ...]) -> Partition:
    """
    One part below the first edge, one from each to before the next, and one from the last on.

    Raises:
        FilterError: if the edges don't ascend, or if one of them isn't a number that can be sent.
    """
    if not edges or as_sequence(edges[0]) is not None:
        raise FilterError(
            "the edges must be arguments", hint="Write bins(0, 1, 2), or bins(*edges) for a list"
        )
    numbers = [as_number(edge) for edge in edges]
    first, last = numbers[0], numbers[-1]
    parts: dict[str, Filter] = {f"below {first}": NumberFilter(column_id, "lt", first)}
    for low, high in pairwise(numbers):
        if low >= high:
            raise FilterError(f"the edges must ascend, but {high} comes after {low}")
        above = NumberFilter(column_id, "gte", low)
        parts[f"{low} to {high}"] = above & NumberFilter(column_id, "lt", high)
    parts[f"{last} and above"] = NumberFilter(column_id, "gte", last)
    return _partition(parts.items())


def by_value(column_id: str, filter_type: FilterType, values: object) -> Partition:
    """
    One part for each value: the sessions that have it, or for a collection those with that member.

    Raises:
        FilterError: if it isn't a list of values, or has none, or if the column can't be compared
            with one of them.
    """
    items = items_of(values)
    if not items:
        raise FilterError("values takes a list with at least one value")
    is_collection = filter_type is FilterType.COLLECTION
    operator = "contains" if is_collection else "eq"
    make: Any = LEAVES[filter_type]
    leaves: dict[object, Any] = {}
    for each in items:
        leaf = make(column_id, operator, each)
        check_comparison(operator, leaf.value)
        # 1 equals 1.0, and a UUID has several spellings.
        key = comparable_id(leaf.value) if filter_type is FilterType.ID else leaf.value
        leaves.setdefault(key, leaf)
    labels = [str(leaf.value) for leaf in leaves.values()]
    if filter_type is FilterType.BOOLEAN:
        labels = [label.lower() for label in labels]
    return _partition(zip(labels, leaves.values(), strict=True), disjoint=not is_collection)


# ---- parts of time -------------------------------------------------------------------------------
# Instants stay in UTC until they are shown, because Python compares two datetimes of one zone by
# their local times.


def by_time(column_id: str, unit: Unit, start: object, end: object, tz: object) -> Partition:
    """
    The time from `start` to before `end`, cut where each unit begins in a time zone.

    Raises:
        FilterError: if `end` isn't after `start`, if one of them isn't a day or an instant, if the
            time zone is unknown or missing, or if there are more than 10,000 parts.
    """
    first, last, zone = bounds(start, end, tz, unit)
    if zone is None:
        raise FilterError(f"where {unit} begin {NO_ZONE}", hint=ZONE)
    parts = _units(column_id, unit, first, last, zone)
    return _partition(parts, whole=period(column_id, first, last))


def _units(
    column_id: str, unit: Unit, first: datetime, last: datetime, zone: tzinfo
) -> Iterator[tuple[str, Filter]]:
    # The whole unit labels the first part, wherever `start` cuts it.
    begin = begin_of(unit, first.astimezone(zone))
    while first < last:
        following = min(next_begin(unit, first, zone), last)
        part = period(column_id, first.astimezone(zone), following.astimezone(zone))
        yield _time_label(unit, begin.astimezone(zone)), part
        first = begin = following


def _time_label(unit: Unit, begin: datetime) -> str:
    label = begin.isoformat(" ", "minutes")
    if unit == "hours" and begin.fold:
        return label  # that of a repeated hour includes the offset
    return label[: _LABELS.get(unit, len("2026-05-01"))]
