"""Reads `--by`, `--since`, `--until` and `--tz`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar

import click
from attrs import frozen

from galileo_sessions.cli.failures import Refused
from galileo_sessions.display import printable
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col, DateCol
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.times import Unit, read_time, zone_of

T = TypeVar("T")

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}
_TRUTH = {"true": True, "false": False}


@frozen
class Split:
    """What the options make of a project's sessions."""

    column: DateCol
    """The column of the period."""
    start: datetime | None
    end: datetime | None
    partition: Partition
    """What `--by` divides the sessions of the period into."""

    @property
    def period(self) -> Filter:
        """The time from `--since` to `--until`."""
        since = ALWAYS if self.start is None else self.column.gte(self.start)
        return since if self.end is None else since & self.column.lt(self.end)

    @property
    def previous(self) -> Filter:
        """
        The time of the same length before it; all time if it has no beginning.

        Raises:
            Refused: if that is before the year 1.
        """
        if self.start is None or self.end is None:
            return ALWAYS
        try:
            before = self.start.astimezone(UTC) - (self.end - self.start)
        except OverflowError:
            raise Refused("--compare: the previous period is out of range: years go from 1 to 9999") from None
        return self.column.gte(before) & self.column.lt(self.start)


def read_split(
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    now: datetime,
    *,
    time_column: str | None = None,
    columns: Callable[[], ColumnCatalog | None] = ColumnCatalog.of,
) -> Split:
    """
    The period and the parts that the options describe.

    Args:
        by: A date column and a unit such as `created_at:day`; a number column and edges such as `score:0,1,2`;
            a column and values such as `tags:vip,beta`; or a boolean column, or one whose values the service lists.
        since: The first instant, as a day, an ISO 8601 time, or how long ago such as `30d`.
        until: The first instant after the period, in the same forms. By default it is `now`.
        tz: The name of the time zone. By default it is UTC.
        now: An aware time.
        time_column: The column of the period, by default `created_at`; a `by` with a unit names its own.
        columns: Returns the columns if they can be known; called if `by` has no unit.

    Raises:
        click.UsageError: if the options don't go together.
        Refused: if one of them can't be read.
    """
    column_id, _, written = (by or "").rpartition(":")
    unit = _UNITS.get(written)
    if unit and (since is None or not column_id):
        raise click.UsageError("--by COLUMN:UNIT needs a column and --since, as in --by created_at:day --since 30d.")
    if not (since or until) and (tz or time_column):
        raise click.UsageError(f"{'--tz' if tz else '--time-column'} goes with --since or --until.")
    if unit and time_column:
        raise click.UsageError(f"--by {by} names the column of the time. Leave out --time-column.")
    zone = named("--tz", zone_of, tz or "UTC")
    local = now.astimezone(zone)
    start = named("--since", read_time, since, unit, local) if since else None
    end = named("--until", read_time, until, unit, local) if until else local if since else None
    column = named("--by" if unit else "--time-column", Col.date, column_id if unit else time_column or "created_at")
    if start is not None and end is not None and start >= end:
        raise Refused(f"--since must be before --until, got {start} and {end}")
    if unit:
        partition = named("--by", getattr(column, unit), start, end, tz=zone)
    else:
        partition = named("--by", _partition, by, column_id, written, columns) if by else Partition({}, disjoint=True)
    return Split(column, start, end, partition)


def _partition(by: str, column_id: str, written: str, columns: Callable[[], ColumnCatalog | None]) -> Partition:
    """The parts, and a rest unless they overlap."""
    catalog = columns()
    if catalog is None:
        if bins := _bins(column_id, written):
            return bins
        raise click.UsageError(f"--by {by!r} needs PROJECT, or a file of ids that isn't a pipe.")
    is_column = by in catalog or not column_id
    info = catalog.info(by if is_column else column_id)
    if info.filter_type == "number":
        return _bins(column_id, written) or _refuse(by)
    listed: tuple[Any, ...] = info.allowed_values if is_column else tuple(written.split(","))
    if info.filter_type == "boolean":
        listed = (True, False) if is_column else tuple([_TRUTH.get(each.lower(), each) for each in listed])
    if not listed or info.filter_type not in ("text", "id", "boolean", "collection"):
        _refuse(by)
    partition: Partition = catalog[info.id].values(listed)
    rest = "no value" if info.filter_type == "boolean" and is_column else "other"
    while rest in partition:
        rest = f"({rest})"
    return partition.with_rest(rest) if partition.disjoint else partition


def _bins(column_id: str, written: str) -> Partition | None:
    try:
        edges = [Decimal(edge) for edge in written.split(",")]
    except InvalidOperation:
        return None
    return Col.number(column_id).bins(*edges).with_rest("no value")


def _refuse(by: str) -> NoReturn:
    raise click.UsageError(
        f"--by {by!r} must be COLUMN:UNIT with {', '.join(_UNITS)}, such as created_at:day; "
        "COLUMN:EDGE,EDGE,... with numbers, such as score:0,1,2; COLUMN:VALUE,VALUE,... such as tags:vip,beta; "
        "or a boolean column such as is_complete."
    )


def named(option: str, read: Callable[..., T], *values: object, **more: object) -> T:
    """
    What `read` makes of an option.

    Raises:
        Refused: with the name of the option, if it can't be read.
    """
    try:
        return read(*values, **more)
    except FilterError as error:
        raise Refused(printable(f"{option}: {error}")) from None
