"""Reads `--by`, `--since`, `--until` and `--tz`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click
from attrs import evolve, frozen

from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.screen import printable
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.grouping.partitions import Partition
from galileo_sessions.grouping.times import Unit, read_time, zone_of

T = TypeVar("T")

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}


@frozen
class Split:
    """What the options make of a project's sessions."""

    period: Filter = ALWAYS
    """The time from `--since` to `--until`."""
    previous: Filter = ALWAYS
    """The time of the same length before it."""
    partition: Partition = Partition({})  # noqa: RUF009  # frozen
    """What `--by` divides the sessions of the period into."""


def read_split(
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    now: datetime,
    *,
    time_column: str = "created_at",
    columns: Callable[[], ColumnCatalog] = ColumnCatalog.of,
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
        time_column: The column of the period, unless `by` has a unit and names it.
        columns: Returns the columns; called if `by` has neither a unit nor edges.

    Raises:
        click.UsageError: if the options don't go together.
        Refused: if one of them can't be read.
    """
    column_id, _, written = (by or "").rpartition(":")
    unit = _UNITS.get(written)
    if unit and since is None:
        raise click.UsageError("--by COLUMN:UNIT needs --since, such as 30d or 2026-05-01.")
    if tz and not (since or until):
        raise click.UsageError("--tz goes with --since or --until.")
    zone = named("--tz", zone_of, tz or "UTC")
    local = now.astimezone(zone)
    start = named("--since", read_time, since, unit, local) if since else None
    end = named("--until", read_time, until, unit, local) if until else local
    column = named("--by" if unit else "--time-column", Col.date, column_id if unit else time_column)
    if start is None:
        split = Split(column.lt(end) if until else ALWAYS)
    elif start >= end:
        raise Refused(f"--since must be before --until, got {start} and {end}")
    else:
        before = start.astimezone(UTC) - (end - start)
        split = Split(column.gte(start) & column.lt(end), column.gte(before) & column.lt(start))
    if unit:
        return evolve(split, partition=named("--by", getattr(column, unit), start, end, tz=zone))
    return split if by is None else evolve(split, partition=named("--by", _partition, by, column_id, written, columns))


def _partition(by: str, column_id: str, written: str, columns: Callable[[], ColumnCatalog]) -> Partition:
    """The parts, and a rest unless they overlap."""
    try:
        edges = [Decimal(edge) for edge in written.split(",")] if column_id else []
    except InvalidOperation:
        edges = []
    if edges:
        return Col.number(column_id).bins(*edges).with_rest("no value")
    catalog = columns()
    is_column = by in catalog or not column_id
    info = catalog.info(by if is_column else column_id)
    is_boolean = info.filter_type == "boolean"
    listed: tuple[Any, ...] = info.allowed_values if is_column else tuple(written.split(","))
    if is_boolean:
        listed = (True, False)
    if not listed or info.filter_type not in ("text", "id", "boolean", "collection"):
        raise click.UsageError(
            f"--by {by!r} must be COLUMN:UNIT with {', '.join(_UNITS)}, such as created_at:day; "
            "COLUMN:EDGE,EDGE,... with numbers, such as score:0,1,2; COLUMN:VALUE,VALUE,... such as tags:vip,beta; "
            "or a boolean column such as is_complete."
        )
    partition: Partition = catalog[info.id].values(listed)
    return partition if partition.overlaps else partition.with_rest("no value" if is_boolean else "other")


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
