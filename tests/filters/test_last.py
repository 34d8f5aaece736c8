"""Periods that end now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.strategies import check_message

from galileo_sessions import Col, FilterError, matches, parse_filter
from galileo_sessions.filters import times

NOW = datetime(2026, 5, 8, 22, 30, tzinfo=UTC)  # in Berlin, the ninth has begun
CREATED = Col.date("created_at")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "_now", lambda: NOW)


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_a_period_ends_now(written: str, length: timedelta) -> None:
    """Its first instant belongs to it; now doesn't."""
    where = CREATED.last(written)
    assert CREATED.gte(NOW - length) & CREATED.lt(NOW) == where
    assert where == Col("created_at").last(written) == parse_filter(f"created_at.last('{written}')")


def test_days_in_a_time_zone_are_calendar_days() -> None:
    """Today is the last of them, and the days of a partition are the same period."""
    first = datetime(2026, 5, 2, 22, tzinfo=UTC)  # midnight in Berlin, six days ago
    where = CREATED.last("7d", tz="Europe/Berlin")
    assert CREATED.gte(first) & CREATED.lt(NOW) == parse_filter(repr(where))
    days = CREATED.days(last="1w", tz="Europe/Berlin")
    assert [f"2026-05-0{day}" for day in range(3, 10)] == [*days]
    for moment in (first - timedelta(microseconds=1), first, NOW - timedelta(microseconds=1), NOW):
        parts = sum(matches(part, {"created_at": moment}) for part in days.values())
        assert parts == matches(where, {"created_at": moment})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CREATED.last("7 days"), "'7 days' must be minutes, hours, days or weeks. Write 30m, 12h, 7d or 4w"),
        (lambda: CREATED.last("0d"), "'0d' must be"),
        (lambda: CREATED.last(7), "7 must be"),
        (lambda: CREATED.last("12h", tz="UTC"), "Leave out tz"),
        (lambda: CREATED.last("7d", tz="Mars"), "unknown time zone 'Mars'"),
        (lambda: CREATED.days(last="12h", tz="UTC"), "days('12h'): write days or weeks, such as 30d or 4w"),
        (lambda: CREATED.days(last="30d"), 'Write tz="UTC"'),
        (lambda: CREATED.days("2026-05-01", "2026-06-01", last="30d", tz="UTC"), "write days(start, end, tz=...), or"),
        (lambda: CREATED.days("2026-05-01", last="30d", tz="UTC"), "write days(start, end, tz=...), or"),
        (lambda: CREATED.days(tz="UTC"), 'days(last="30d", tz=...)'),
        (lambda: CREATED.days("9999-12-31", "9999-12-31T12:00", tz="UTC"), "years go from 1 to 9999"),
        (lambda: CREATED.hours("0001-01-01", "0001-01-02", tz="+02:00"), "years go from 1 to 9999"),
    ],
)
def test_what_is_no_period_is_refused(call: Any, words: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(FilterError) as caught:
        call()
    assert words in str(caught.value)
    check_message(str(caught.value))
