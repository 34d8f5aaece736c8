"""Time zones as they are given to `on`, to `days` and its like, and to `--tz`; and where a day begins in one."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters import messages

_LONGEST = 100  # characters of a name


def zone_of(tz: object) -> tzinfo:
    """
    A time zone, or what its name or a UTC offset such as `+02:00` stands for; a name's file is read once.

    Raises:
        FilterError: if this machine knows none of that name.
        FilterTypeError: if it is neither a time zone nor text.
    """
    if isinstance(tz, tzinfo):
        return _of_pytz(tz) if hasattr(tz, "localize") else _checked(tz)
    if not isinstance(tz, str):
        raise FilterTypeError(messages.no_zone(tz))
    written = tz if len(tz) <= _LONGEST else ""
    if written.upper() in ("Z", "UTC"):
        return UTC
    try:
        if written[:1] in ("+", "-"):
            return cast("tzinfo", datetime.fromisoformat(f"2000-01-01T00:00{written}").tzinfo)
        return ZoneInfo(written)
    except (KeyError, ValueError, OSError):  # unknown; no name, such as a path; a folder of names
        raise FilterError(messages.no_zone(tz)) from None


def _checked(zone: tzinfo) -> tzinfo:
    """The zone, if it can also tell what its clocks show at an instant; one without `dst()` can't."""
    try:
        _ = datetime(2026, 1, 31, tzinfo=UTC).astimezone(zone)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise FilterError(f"{messages.no_zone(zone)}, which doesn't work: {error}") from None
    return zone


def _of_pytz(zone: Any) -> tzinfo:
    """The zone that one of pytz stands for, which as a `tzinfo` would mean its local mean time."""
    return timezone(zone.utcoffset(None)) if zone.zone is None else zone_of(zone.zone)


def first_instant(day: date, zone: tzinfo) -> datetime:
    """
    The first instant, in UTC, that has a date: midnight, the first of two midnights, or that to which the clocks jump.

    Raises:
        OverflowError: if it is before the year 1 or after 9999.
    """
    early, late = midnight(day, zone, fold=1), midnight(day, zone, fold=0)
    skipped = range(int((late - early).total_seconds()))
    if not skipped:  # the clocks don't jump over midnight
        return late
    jump = bisect_left(skipped, day, key=lambda n: (early + timedelta(seconds=n)).astimezone(zone).date())
    return early + timedelta(seconds=jump)


def midnight(day: date, zone: tzinfo, fold: int) -> datetime:
    """Midnight in UTC: the first of two, or with `fold=1` the second."""
    return datetime(day.year, day.month, day.day, tzinfo=zone, fold=fold).astimezone(UTC)
