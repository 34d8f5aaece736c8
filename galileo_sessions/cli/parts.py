"""What counts are made by: `--by`, `--since`, `--until` and `--tz` as a partition."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import assert_never

import click

from galileo_sessions.errors import FilterError
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.parsing import parse_partition
from galileo_sessions.filters.partitions import Partition, Unit
from galileo_sessions.filters.zones import zone_of

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}
_AGO = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DAYS = {"today": 0, "yesterday": 1}


def read_partition(by: str, since: str | None, until: str | None, tz: str | None, now: datetime) -> Partition:
    """
    The partition that the options stand for.

    Args:
        by: The call that makes a partition, as its repr prints it, or COLUMN:UNIT, such as `created_at:day`.
        since: The first instant, with COLUMN:UNIT: a date, an ISO 8601 time, or how long ago, such as `30d`.
        until: The first instant after it, in the same forms; `now` unless given.
        tz: The name of the time zone; UTC unless given.
        now: An aware time.

    Raises:
        click.UsageError: if the options don't go together.
        FilterError: if the partition can't be made.
    """
    if by.lstrip().startswith("Col"):
        if since or until or tz:
            raise click.UsageError("--since, --until and --tz go with --by COLUMN:UNIT. Col(...) has its own times.")
        return parse_partition(by)
    column_id, _, name = by.rpartition(":")
    if not column_id or name not in _UNITS:
        raise click.UsageError(
            f"--by {by!r} is neither COLUMN:UNIT, with {', '.join(_UNITS)} as in created_at:day, nor the like of "
            """'Col.number("score").bins(0, 1, 2)'."""
        )
    if since is None:
        raise click.UsageError("--by COLUMN:UNIT needs --since, such as 30d or 2026-05-01.")
    unit, zone = _UNITS[name], zone_of(tz or "UTC")
    local = now.astimezone(zone)
    column = Col.date(column_id)
    make = {"hours": column.hours, "days": column.days, "weeks": column.weeks, "months": column.months}[unit]
    end = local if until is None else _time("--until", until, unit, local)
    return make(_time("--since", since, unit, local), end, tz=zone)


def _time(option: str, written: str, unit: Unit, now: datetime) -> date | str:
    """A time as it is written; if it is relative, the beginning of its unit, so that the first part is a whole one."""
    ago = re.fullmatch(r"(\d{1,6})([hdw])", written.strip())
    if written == "now":
        return now
    if written in _DAYS:
        return now.date() - timedelta(days=_DAYS[written])
    if ago is None and re.match(r"[0-9]{4}-?[0-9W]", written) is None:
        raise click.UsageError(
            f"{option} {written!r} is neither a date such as 2026-05-01, nor an ISO 8601 time, nor today, yesterday or "
            "now, nor how long ago in hours, days or weeks: 12h, 30d, 8w."
        )
    if ago is None:
        return written
    try:
        return _begin(unit, now - int(ago[1]) * _AGO[ago[2]])
    except OverflowError:
        raise FilterError(f"{written!r} is too long ago: years go from 1 to 9999") from None


def _begin(unit: Unit, moment: datetime) -> date:
    """Where the unit begins that a local time lies in."""
    day = moment.date()
    match unit:
        case "hours":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "days":
            return day
        case "weeks":
            return day - timedelta(days=day.weekday())
        case "months":
            return day.replace(day=1)
        case _:
            assert_never(unit)
