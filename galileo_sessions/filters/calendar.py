"""
Time: which instants text stands for, and where hours, days, weeks and months begin.

Days are local to a time zone: they begin with their first instant there, which isn't always
midnight, and can have 23 or 25 hours.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal, TypeAlias, cast

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.nodes import DateFilter, Filter
from galileo_sessions.filters.values import TIME_TEXT, as_instant, parse_instant

Unit: TypeAlias = Literal["hours", "days", "weeks", "months"]

NO_ZONE = "depends on the time zone"
ZONE = 'Write tz="UTC", or tz="Europe/Berlin"'

_ZONES = (
    'Use, for example, "Europe/Berlin" or "+01:00".'
    " Systems without time zone names need the package tzdata"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LENGTH = re.compile(r"(\d{1,4})([mhdw])", re.ASCII)
_MONTHS = re.compile(r"(\d{1,3}) ?(?:M|mo|mon|months?)", re.ASCII)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(weeks=1)
LENGTHS = {"m": timedelta(minutes=1), "h": _HOUR, "d": _DAY, "w": _WEEK}
"""The units of lengths of time, such as 30m."""
_DAYS = {"today": timedelta(), "yesterday": _DAY}
_STEPS = {"days": _DAY, "weeks": _WEEK, "months": timedelta(days=32)}
"""A step from the first day of a unit to some day in the next unit."""
_LAST = {"hours": _HOUR, "weeks": _WEEK}
"""The unit that `now` is in, which counts as a whole one; for the others, it is today."""


def zone_of(tz: object) -> tzinfo:
    """
    A time zone from its name, from a UTC offset such as "+02:00", or from a `tzinfo`.

    "UTC" can be written in any case.

    Raises:
        FilterError: if no time zone has that name.
        FilterTypeError: if it is neither text nor a `tzinfo`.
    """
    if hasattr(tz, "localize") and isinstance(tz, tzinfo) and tz.utcoffset(None) is None:
        tz = str(tz)  # used as a tzinfo, a zone of pytz with several offsets is local mean time
    if isinstance(tz, tzinfo):
        return tz
    problem, hint = f"unknown time zone {brief(tz)}", _ZONES
    if not isinstance(tz, str):
        raise FilterTypeError(problem, hint=hint)
    if tz.upper() == "UTC":
        return UTC
    try:
        if tz.startswith(("+", "-")):
            return cast("tzinfo", datetime.fromisoformat(f"2000-01-01T00:00{tz}").tzinfo)
        from zoneinfo import ZoneInfo  # noqa: PLC0415  # few programs name a zone

        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):  # an unknown name, a path, a folder of names
        raise FilterError(problem, hint=hint) from None


def bounds(
    start: object, end: object, tz: object, unit: Unit | None = None
) -> tuple[datetime, datetime, tzinfo | None]:
    """
    The first instant of a period and the first one after it, in UTC, and the period's time zone.

    The zone is the one that is given, else the one that two datetimes share; see `instant_in`.
    Text can also be relative to the current time, as `read_time` says. Without a unit, days and
    weeks ago mean the beginning of that day.

    Raises:
        FilterError: if `end` isn't after `start`, if one of them isn't a day or an instant, or if
            the time zone is unknown.
    """
    shared = getattr(start, "tzinfo", None)
    if tz is None and shared == getattr(end, "tzinfo", None):
        tz = shared
    zone = None if tz is None else zone_of(tz)
    now = _now()
    first, last = [_bound(each, zone, unit, now) for each in (start, end)]
    if first >= last:
        raise FilterError("end must be after start", hint="For one day, end is the next day")
    return first, last, zone


def _bound(value: object, zone: tzinfo | None, unit: Unit | None, now: datetime) -> datetime:
    if not isinstance(value, str) or TIME_TEXT.fullmatch(value):
        return instant_in(value, zone)
    ago = _length(value)
    if unit is None and ago and ago[1]:
        unit = "days"
    if zone is None and ((ago and unit) or value in _DAYS):
        raise _without_zone(value)
    return read_time(value, unit, now.astimezone(zone or UTC))


def _without_zone(value: object) -> FilterError:
    return FilterError(f"{brief(value)} {NO_ZONE}", hint=ZONE)


def instant_in(value: object, zone: tzinfo | None) -> datetime:
    """
    The instant, in UTC, that a day or a time stands for in a time zone.

    Args:
        value: A `date`, which means the beginning of that day; an aware `datetime`; or text for one
            of them, such as "2026-05-01" or "2026-05-01T09:00". Text without an offset is local
            time in the zone.
        zone: The time zone. With None, only instants are accepted: an aware `datetime`, or text
            with an offset.

    Raises:
        FilterError: if it is none of these.
    """
    moment: Any = value
    if isinstance(value, str):
        moment = parse_instant(value)
        if moment.tzinfo is None:
            moment = _local(value, moment, zone)
    elif isinstance(value, date) and not isinstance(value, datetime):
        moment = _local(value, datetime.combine(value, time()), zone)
    try:
        return as_instant(moment).astimezone(UTC)  # as_instant refuses anything else
    except OverflowError:
        raise FilterError(f"{brief(str(moment))} is out of range in UTC") from None


def _local(given: object, clock: datetime, zone: tzinfo | None) -> datetime:
    """The instant at which clocks in a time zone show what is given."""
    if zone is None:
        raise _without_zone(given)
    return clock.replace(tzinfo=zone)


def read_time(written: str, unit: Unit | None, now: datetime) -> datetime:
    """
    The instant, in UTC, that text stands for; it can be relative to the current time.

    Args:
        written: "today" or "yesterday", for the beginning of that day; how long ago, as one to four
            digits and m, h, d or w, such as "30m", "12h", "30d" or "8w"; or text for `instant_in`.
            It is read as it is: "Today", " 7d", "1.5h" and "30s" are refused. "0d" is now.
        unit: The unit of the parts, or None. With a unit, "7d" means the beginning of the hour,
            day, week or month in which that time lies. With None, it means exactly that long ago,
            and a day is 24 hours. Other texts mean the same with any unit.
        now: The current time, in the time zone of the text.

    Raises:
        FilterError: if it is none of these.
    """
    zone = cast("tzinfo", now.tzinfo)
    if written in _DAYS:
        return first_instant((now - _DAYS[written]).date(), zone)
    if ago := _length(written):
        length, is_in_days = ago
        exact = now.astimezone(UTC) - length
        if unit is None:
            return exact
        # hours are subtracted in UTC; days and weeks, in local time
        return begin_of(unit, now - length if is_in_days else exact.astimezone(zone))
    if TIME_TEXT.fullmatch(written):
        return instant_in(written, zone)
    raise FilterError(
        f"{brief(written)} must be a day such as 2026-05-01, a time such as 2026-05-01T09:00,"
        " today, yesterday, or minutes, hours, days or weeks ago such as 30m, 12h, 30d or 8w",
        hint=_instead_of_months(written),
    )


def after_gap(written: str, zone: tzinfo) -> datetime | None:
    """
    The local time for which `read_time` takes text, if the clocks skip the time that it says as
    they go forward; else None.
    """
    if _DATE.fullmatch(written) or not TIME_TEXT.fullmatch(written):
        return None
    clock = parse_instant(written)
    if clock.tzinfo is not None:
        return None
    taken = instant_in(written, zone).astimezone(zone)
    return None if taken.replace(tzinfo=None) == clock else taken


def last_period(length: object, tz: object, unit: Unit = "days") -> tuple[datetime, datetime]:
    """
    The first instant of a period that ends now, and now.

    Args:
        length: How long it is: text such as "30m", "12h", "7d" or "4w", or a `timedelta`.
        tz: The time zone of the period's calendar days, of which today is the last. None means days
            of 24 hours.
        unit: The period begins with a whole one of these: with weeks, "4w" is this one and three
            before.
    """
    now = _now()
    if isinstance(length, timedelta) and not timedelta() < length <= timedelta(days=9_999):
        raise FilterError("a timedelta must be more than 0, and at most 9,999 days")
    known = _length(length)
    if not known or not known[0]:
        problem = f"{brief(length)} must be a timedelta, or text such as 30m, 12h, 7d or 4w"
        raise FilterError(problem, hint=_instead_of_months(length))
    exact, is_in_days = known
    if tz is None:
        return now - exact, now
    if unit != "hours" and not is_in_days:
        raise FilterError("with tz, the length must be whole days or weeks, such as 30d or 4w")
    zone = zone_of(tz)
    local = now.astimezone(zone)
    earlier = max(exact - _LAST.get(unit, _DAY), timedelta())
    first = (now - earlier).astimezone(zone) if unit == "hours" else local - earlier
    return begin_of(unit, first).astimezone(zone), local


def _length(given: object) -> tuple[timedelta, bool] | None:
    """
    The length of time that a `timedelta` is, or text such as "30m"; None for anything else.

    The second value is whether it is in whole days, which can be those of a calendar.
    """
    if isinstance(given, timedelta):
        return given, not given % _DAY
    match = _LENGTH.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return None
    return int(match[1]) * LENGTHS[match[2]], match[2] in "dw"


def _instead_of_months(given: object) -> str:
    """The hint for a length of months, which differ; empty for anything else."""
    match = _MONTHS.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return ""
    number = int(match[1])
    months, minutes = (
        ("a month", "a minute") if number == 1 else (f"{number} months", f"{number} minutes")
    )
    return f"Write {30 * number}d for {months}; {number}m is {minutes}"


def _now() -> datetime:
    return datetime.now(UTC)


def as_day(value: object, tz: object) -> date:
    """A date, from a `date` or its text such as "2026-01-31"; or "today" or "yesterday" in `tz`."""
    if isinstance(value, str) and value in _DAYS:
        if tz is None:
            raise _without_zone(value)
        return (_now().astimezone(zone_of(tz)) - _DAYS[value]).date()
    written = str(value) if isinstance(value, date) else value
    # Python also reads weeks, such as 2026-W05.
    if not isinstance(written, str) or not _DATE.fullmatch(written):
        raise FilterError("expected a date, or text such as 2026-01-31, today or yesterday")
    return parse_instant(written).date()


def first_instant(day: date, zone: tzinfo) -> datetime:
    """
    The instant, in UTC, at which a day begins.

    That is midnight, the first of two midnights, or the time to which the clocks jump.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def next_begin(unit: Unit, moment: datetime, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which the next hour, day, week or month begins in a time zone."""
    local = moment.astimezone(zone)
    if unit == "hours":
        return moment + _HOUR - _into_the_hour(local)
    day = local.date()
    begin = moment
    # If the clocks go back over midnight, the next date has already begun once.
    while begin <= moment:
        day = _first_day(unit, _first_day(unit, day) + _STEPS[unit])
        begin = first_instant(day, zone)
    return begin


def begin_of(unit: Unit, local: datetime) -> datetime:
    """The instant, in UTC, at which the hour, day, week or month of a local time begins."""
    zone = cast("tzinfo", local.tzinfo)
    if unit == "hours":
        moment = local.astimezone(UTC)
        begin = moment - _into_the_hour(local)
        following = next_begin(unit, begin, zone)
        if following <= moment:
            begin = following
        return begin
    return first_instant(_first_day(unit, local.date()), zone)


def _into_the_hour(local: datetime) -> timedelta:
    """The time since the clocks showed a whole hour, which can be one that they skipped."""
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _first_day(unit: Unit, day: date) -> date:
    """The first day of the week or month that a day is in."""
    if unit == "weeks":
        return day - timedelta(days=day.weekday())
    if unit == "months":
        return day.replace(day=1)
    return day


def period(column_id: str, begin: datetime, end: datetime) -> Filter:
    """The filter for the time from `begin`, included, to `end`, not included."""
    return DateFilter(column_id, "gte", begin) & DateFilter(column_id, "lt", end)
