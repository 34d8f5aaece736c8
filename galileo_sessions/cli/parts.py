"""What counts are made by: `--by`, `--since`, `--until` and `--tz` as a partition."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import assert_never

import click

from galileo_sessions.cli.failures import Refused
from galileo_sessions.errors import FilterError
from galileo_sessions.filters.columns import Col
from galileo_sessions.grouping.partitions import Partition, Unit, instant_in
from galileo_sessions.grouping.times import zone_of
from galileo_sessions.text.parsing import parse_partition

_UNITS: dict[str, Unit] = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}
_AGO = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
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
        Refused: if a time or a time zone is none.
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
    unit, zone = _UNITS[name], _zone(tz)
    local = now.astimezone(zone)
    column = Col.date(column_id)
    make = {"hours": column.hours, "days": column.days, "weeks": column.weeks, "months": column.months}[unit]
    start = _time("--since", since, unit, local)
    end = local if until is None else _time("--until", until, unit, local)
    first, last = instant_in(start, zone), instant_in(end, zone)
    if first >= last:
        fault = "are the same time" if first == last else f"go backwards, from {start} to {end}"
        raise Refused(f"--since and --until {fault}; for one day, --until is the day after")
    return make(start, end, tz=zone)


def _zone(tz: str | None) -> tzinfo:
    try:
        return zone_of(tz or "UTC")
    except FilterError:
        raise Refused(
            f"--tz {tz!r} is no time zone. Write its name, such as Europe/Berlin, or its offset, such as +01:00"
        ) from None


def _time(option: str, written: str, unit: Unit, now: datetime) -> date | str:
    """A time as it is written; if it is relative, the beginning of its unit, so that the first part is a whole one."""
    ago = re.fullmatch(r"(\d{1,6})([hdw])", written.strip())
    if written == "now":
        return now
    try:
        if written in _DAYS:
            day = now.date() - timedelta(days=_DAYS[written])
            return day if unit == "hours" or option == "--until" else _begin(unit, datetime.combine(day, time()))
        if ago is not None:
            return _begin(unit, now - int(ago[1]) * _AGO[ago[2]])
        _ = instant_in(written, UTC)
    except OverflowError:
        raise Refused(f"{option} {written!r} is too far away: years go from 1 to 9999") from None
    except FilterError:
        what = "is in no calendar" if _DATE.match(written) else "is neither a date nor an ISO 8601 time"
        instead = "2026-05-01, 2026-05-01T09:00, today, yesterday, now, or hours, days or weeks ago: 12h, 30d, 8w"
        raise Refused(f"{option} {written!r} {what}. Write the like of {instead}") from None
    return written


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
