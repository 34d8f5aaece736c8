"""Periods: between two days or instants, and those that end now."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.programs import Berlin, check_message

from galileo_sessions import Col, FilterError, matches, parse_filter
from galileo_sessions.filters import calendar

NOW = datetime(2026, 5, 8, 22, 30, tzinfo=UTC)  # in Berlin, the ninth has begun
AFTER_SHORT_DAY = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # half an hour after a day of 23 hours in Berlin
CREATED = Col.date("created_at")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "_now", lambda: NOW)


MAY = CREATED.gte("2026-05-01T00:00:00+02:00") & CREATED.lt("2026-05-08T00:00:00+02:00")


@pytest.mark.parametrize(
    ("start", "end", "tz"),
    [
        ("2026-05-01", "2026-05-08", "+02:00"),
        (date(2026, 5, 1), datetime(2026, 5, 7, 22, tzinfo=UTC), Berlin()),
        ("2026-05-01T00:00+02:00", "2026-05-07T22:00Z", None),
        (datetime(2026, 5, 1, tzinfo=Berlin()), datetime(2026, 5, 8, tzinfo=Berlin()), None),
    ],
    ids=["text", "date and instant", "instants as text", "instants"],
)
def test_a_period_goes_from_its_start_to_before_its_end(start: Any, end: Any, tz: Any) -> None:
    """Days need a time zone, instants don't. The period is two leaves."""
    assert MAY == CREATED.during(start, end, tz=tz) == Col("created_at").during(start, end, tz=tz)


def test_a_period_prints_in_its_time_zone() -> None:
    """The one that is given, the one that two datetimes share, or else UTC."""
    zone = Berlin()
    given = CREATED.during("2026-05-01", "2026-05-08", tz=zone)
    shared = CREATED.during(datetime(2026, 5, 1, tzinfo=zone), datetime(2026, 5, 8, tzinfo=zone))
    assert [repr(MAY)] * 2 == [repr(given), repr(shared)]
    assert "2026-04-30T22:00:00+00:00" in repr(CREATED.during("2026-05-01T00:00+02:00", "2026-05-08T00:00+02:00"))


def test_days_of_a_partition_are_its_period() -> None:
    """Each day from start to before end is in it."""
    days = CREATED.days("2026-05-01", "2026-05-08", tz="+02:00")
    assert MAY == days.whole == parse_filter("created_at.during('2026-05-01', '2026-05-08', tz='+02:00')")
    parts = [CREATED.during(day, date.fromisoformat(day) + timedelta(1), tz="+02:00") for day in days]
    assert parts == [*days.values()]


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
        (timedelta(microseconds=1), timedelta(microseconds=1)),
    ],
)
def test_a_period_ends_now(written: str | timedelta, length: timedelta) -> None:
    """Its first instant belongs to it; now doesn't. Its length is text or a timedelta."""
    where = CREATED.last(written)
    assert CREATED.gte(NOW - length) & CREATED.lt(NOW) == where
    assert where == Col("created_at").last(written) == CREATED.last(length)
    assert isinstance(written, timedelta) or where == parse_filter(f"created_at.last('{written}')")


def test_now_is_what_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC."""
    monkeypatch.undo()
    before, where = datetime.now(UTC), CREATED.last("1h")
    assert before <= where.children[1].value <= datetime.now(UTC)


def test_days_in_a_time_zone_are_calendar_days() -> None:
    """Today is the last of them, and the days of a partition are the same period."""
    first = datetime(2026, 5, 2, 22, tzinfo=UTC)  # midnight in Berlin, six days ago
    where = CREATED.last("7d", tz="Europe/Berlin")
    assert CREATED.gte(first) & CREATED.lt(NOW) == parse_filter(repr(where))
    days = CREATED.days(last="1w", tz="Europe/Berlin")
    assert [f"2026-05-0{day}" for day in range(3, 10)] == [*days]
    assert where == CREATED.last(timedelta(days=7), tz="Europe/Berlin")
    assert days == CREATED.days(last=timedelta(weeks=1), tz="Europe/Berlin")
    for moment in (first - timedelta(microseconds=1), first, NOW - timedelta(microseconds=1), NOW):
        parts = sum(matches(part, {"created_at": moment}) for part in days.values())
        assert parts == matches(where, {"created_at": moment})


@pytest.mark.parametrize(
    ("now", "written", "unit", "instant"),
    [
        (NOW, "today", None, "2026-05-08T22:00Z"),
        (NOW, "yesterday", "days", "2026-05-07T22:00Z"),
        (NOW, "2026-05-01T09:00", None, "2026-05-01T07:00Z"),
        (NOW, "12h", None, "2026-05-08T10:30Z"),
        (NOW, "7d", None, "2026-05-01T22:30Z"),
        (NOW, "12h", "hours", "2026-05-08T10:00Z"),
        (NOW, "7d", "days", "2026-05-01T22:00Z"),
        (NOW, "7d", "weeks", "2026-04-26T22:00Z"),
        (NOW, "7d", "months", "2026-04-30T22:00Z"),
        (AFTER_SHORT_DAY, "1d", "days", "2026-03-28T23:00Z"),  # 24 hours ago it was still the 28th
        (AFTER_SHORT_DAY, "24h", "hours", "2026-03-28T22:00Z"),
        (AFTER_SHORT_DAY, "1d", None, "2026-03-28T22:30Z"),
    ],
)
def test_a_time_ago_begins_with_the_unit_of_the_parts(now: datetime, written: str, unit: Any, instant: str) -> None:
    """Without a unit, it is exactly that long ago; days are those of the calendar, also where clocks change."""
    assert calendar.read_time(written, unit, now.astimezone(Berlin())) == datetime.fromisoformat(instant)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("calendar.read_time('soon', None, NOW)", "'soon' must be a day such as 2026-05-01"),
        ("CREATED.last('7 days')", "'7 days' must be a timedelta, or text such as 30m, 12h, 7d or 4w"),
        ("CREATED.last(7)", "7 must be"),
        ("CREATED.last(timedelta())", "last(datetime.timedelta(0)): a timedelta must be more than 0"),
        ("CREATED.last(timedelta(days=9999, microseconds=1))", "at most 9,999 days"),
        ("CREATED.last('12h', tz='UTC')", "with tz, the length must be whole days or weeks, such as 30d or 4w"),
        ("CREATED.days(last='12h', tz='UTC')", "days('12h'): with tz, the length must be whole days"),
        ("CREATED.days(last='30d')", 'Write days(start, end, tz=...), or days(last="30d", tz="UTC")'),
        ("CREATED.days('2026-05-01', '2026-06-01', last='30d', tz='UTC')", "Write days(start, end, tz=...), or"),
        ("CREATED.days('9999-12-31', '9999-12-31T12:00', tz='UTC')", "years go from 1 to 9999"),
        ("CREATED.hours('0001-01-01', '0001-01-02', tz='+02:00')", "is out of range in UTC"),
        ("CREATED.during('2026-05-08', '2026-05-01', tz='UTC')",
         "Col.date('created_at').during('2026-05-08', '2026-05-01'): end must be after start"),
        ("CREATED.during('2026-05-01', '2026-05-08')", "depends on the time zone\nhint: Write tz=\"UTC\", or"),
        ("CREATED.during('2026-05-01T00:00Z', date(2026, 5, 8))", "datetime.date(2026, 5, 8) depends on the time zone"),
    ],
)  # fmt: skip
def test_what_is_no_period_is_refused(call: str, words: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(FilterError) as caught:
        eval(call, globals())  # each call stands in this file
    assert words in str(caught.value)
    check_message(str(caught.value))
