"""Reads `--by`, `--since`, `--until` and `--tz` as a partition."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import click

from galileo_sessions.cli.failures import Refused
from galileo_sessions.cli.screen import printable
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.columns import Col
from galileo_sessions.grouping.partitions import Partition, times
from galileo_sessions.grouping.times import Unit, read_time, zone_of

T = TypeVar("T")

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}


def read_partition(by: str, since: str | None, until: str | None, tz: str | None, now: datetime) -> Partition:
    """
    The partition that the options describe.

    Args:
        by: A date column and a unit such as `created_at:day`, or a number column and edges such as `score:0,1,2`.
        since: With a unit: the first instant, as a day, an ISO 8601 time, or how long ago such as `30d`.
        until: With a unit: the first instant after the last part, in the same forms. By default it is `now`.
        tz: With a unit: the name of the time zone. By default it is UTC.
        now: An aware time.

    Raises:
        click.UsageError: if the options don't go together.
        Refused: if one of them can't be read.
    """
    column_id, _, parts = by.rpartition(":")
    if parts in _UNITS:
        if since is None:
            raise click.UsageError("--by COLUMN:UNIT needs --since, such as 30d or 2026-05-01.")
        unit, zone = _UNITS[parts], named("--tz", zone_of, tz or "UTC")
        local = now.astimezone(zone)
        start = named("--since", read_time, since, unit, local)
        end = named("--until", read_time, until, unit, local) if until else local
        return named("--by", lambda: times(Col.date(column_id), unit, start, end, zone))
    if since or until or tz:
        raise click.UsageError("--since, --until and --tz go with --by COLUMN:UNIT, such as created_at:day.")
    try:
        edges = [Decimal(edge) for edge in parts.split(",")]
    except InvalidOperation:
        raise click.UsageError(
            f"--by {by!r} must be COLUMN:UNIT with {', '.join(_UNITS)}, such as created_at:day, "
            "or COLUMN:EDGE,EDGE,... with numbers, such as score:0,1,2."
        ) from None
    return named("--by", lambda: Col.number(column_id).bins(*edges))


def named(option: str, read: Callable[..., T], *values: object) -> T:
    """
    What `read` makes of an option.

    Raises:
        Refused: with the name of the option, if it can't be read.
    """
    try:
        return read(*values)
    except FilterError as error:
        raise Refused(printable(f"{option}: {error}")) from None
