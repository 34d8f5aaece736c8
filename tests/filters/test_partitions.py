"""Periods of time, and partitions: one filter for each hour, day, bin or value."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
import pytz
from hypothesis import example, given
from hypothesis import strategies as st
from support.programs import Berlin, run
from support.sockets import PROJECT

from galileo_sessions import ALWAYS, Col, FilterError, Partition, matches
from galileo_sessions.filters import calendar

BERLIN = ZoneInfo("Europe/Berlin")
CREATED = Col.date("created_at")
SCORE = Col.number("score")
NAMED: dict[str, Any] = {"CREATED": CREATED, "BERLIN": BERLIN, "pytz": pytz}
NOW = datetime(2026, 5, 8, 22, 30, tzinfo=UTC)  # in Berlin, the ninth has begun


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "_now", lambda: NOW)


MAY, MAY_UTC = ("2026-05-01T00:00:00+02:00", "2026-05-08T00:00:00+02:00"), ("2026-04-30T22:00", "2026-05-07T22:00")
# A method of a date column, and the first instant and the one after the last; without an offset here, in UTC.
PERIODS: dict[str, tuple[str, str]] = {
    # days need a time zone, instants don't
    "during('2026-05-01', '2026-05-08', tz='+02:00')": MAY,
    "during('2026-05-01', '2026-05-08', tz=pytz.timezone('Europe/Berlin'))": MAY,
    "during(date(2026, 5, 1), datetime(2026, 5, 7, 22, tzinfo=UTC), tz=Berlin())": MAY,
    "during('2026-05-01T00:00', '2026-05-07T22:00Z', tz=BERLIN)": MAY,
    "during('2026-04-30T22:00', '2026-05-07T22:00', tz='utc')": MAY_UTC,
    "during('2026-05-01T00:00+02:00', '2026-05-07T22:00Z')": MAY_UTC,
    "during(datetime(2026, 5, 1, tzinfo=BERLIN), datetime(2026, 5, 8, tzinfo=BERLIN))": MAY,
    # an instant needs no name of a zone, and an offset is one that pytz can tell, too
    "days(*[datetime(2026, 5, day, tzinfo=pytz.FixedOffset(120)) for day in (1, 8)]).whole": MAY_UTC,
    "during(*[datetime(2026, 5, day, tzinfo=pytz.FixedOffset(120)) for day in (1, 8)])": MAY,
    "on('2026-03-29', tz=pytz.FixedOffset(330))": ("2026-03-29T00:00:00+05:30", "2026-03-30T00:00:00+05:30"),
    # a day begins with its first instant; in Beirut, this one has no midnight
    "on('2026-03-29', tz='Asia/Beirut')": ("2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"),
    "on(date(2026, 3, 29), tz=Berlin())": ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
    "on('yesterday', tz='Europe/Berlin')": ("2026-05-08T00:00:00+02:00", "2026-05-09T00:00:00+02:00"),
    "on('today', tz='UTC')": ("2026-05-08T00:00", "2026-05-09T00:00"),
    # how long ago begins with a day, or with the unit of the parts; minutes and hours are exact without one
    "during('7d', 'today', tz='Europe/Berlin')": ("2026-05-02T00:00:00+02:00", "2026-05-09T00:00:00+02:00"),
    "during('1w', 'yesterday', tz='UTC')": ("2026-05-01T00:00", "2026-05-07T00:00"),
    "during('2026-05-01', '0d', tz='UTC')": ("2026-05-01T00:00", "2026-05-08T00:00"),
    "during('12h', '30m')": ("2026-05-08T10:30", "2026-05-08T22:00"),
    "days('7d', 'today', tz='Europe/Berlin').whole": ("2026-05-01T22:00", "2026-05-08T22:00"),
    "days('36h', 'today', tz='UTC').whole": ("2026-05-07T00:00", "2026-05-08T00:00"),
    "weeks('8w', '0w', tz='UTC').whole": ("2026-03-09T00:00", "2026-05-04T00:00"),
    "months('31d', '0d', tz='UTC').whole": ("2026-04-01T00:00", "2026-05-01T00:00"),
    "hours('2h', '0h', tz='UTC').whole": ("2026-05-08T20:00", "2026-05-08T22:00"),
    # what ends now; with a time zone, it has calendar days that end with today
    "last('30m')": ("2026-05-08T22:00", "2026-05-08T22:30"),
    "last('4w')": ("2026-04-10T22:30", "2026-05-08T22:30"),
    "last('7d', tz='Europe/Berlin')": ("2026-05-03T00:00:00+02:00", "2026-05-09T00:30:00+02:00"),
    "days(last='50d', tz=Berlin()).whole": ("2026-03-20T23:00", "2026-05-08T22:30"),  # in winter
    "hours(last='999h', tz=Berlin()).whole": ("2026-03-28T08:00", "2026-05-08T22:30"),
    "days(last=timedelta(weeks=1), tz=BERLIN).whole": ("2026-05-02T22:00", "2026-05-08T22:30"),
}


@pytest.mark.parametrize(("program", "period"), PERIODS.items())
def test_a_period_goes_from_its_start_to_before_its_end(program: str, period: tuple[str, str]) -> None:
    """Its leaves print in the zone that is given or shared, or else in UTC."""
    begin, end = [time if "+" in time else datetime.fromisoformat(f"{time}Z").isoformat() for time in period]
    assert f"Col.date('created_at').gte('{begin}') & Col.date('created_at').lt('{end}')" == repr(
        run(f"CREATED.{program}", **NAMED)
    )


def test_the_zone_of_the_machine_is_in_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        period = CREATED.during("2026-05-01T00:00+02:00", "2026-05-07T22:00Z")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "+09:00" not in repr(period)


def test_now_is_what_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before, where = datetime.now(UTC), Col("created_at").last("1h")
    assert before <= where.children[1].value <= datetime.now(UTC)
    assert UTC is where.children[1].value.tzinfo


IN_BERLIN = NOW.astimezone(Berlin())
IN_LORD_HOWE = datetime(2026, 10, 4, 2, 45, tzinfo=ZoneInfo("Australia/Lord_Howe"))  # clocks went from 2:00 to 2:30
AFTER_SHORT_DAY = datetime(2026, 3, 30, 0, 30, tzinfo=Berlin())  # half an hour after a day of 23 hours in Berlin


@pytest.mark.parametrize(
    ("now", "written", "unit", "instant"),
    [
        (IN_BERLIN, "today", None, "2026-05-08T22:00Z"),
        (IN_BERLIN, "2026-05-01T09:00", None, "2026-05-01T07:00Z"),
        (IN_BERLIN, "7d", "weeks", "2026-04-26T22:00Z"),
        (IN_BERLIN, "7d", "months", "2026-04-30T22:00Z"),
        (AFTER_SHORT_DAY, "1d", "days", "2026-03-28T23:00Z"),  # 24 hours ago it was still the 28th
        (AFTER_SHORT_DAY, "24h", "hours", "2026-03-28T22:00Z"),
        (IN_LORD_HOWE, "5m", "hours", "2026-10-03T15:30Z"),
        (AFTER_SHORT_DAY, "1d", None, "2026-03-28T22:30Z"),
    ],
)
def test_a_time_ago_begins_with_the_unit_of_the_parts(now: datetime, written: str, unit: Any, instant: str) -> None:
    """Without a unit, it is exactly that long ago; days are those of the calendar, also where clocks change."""
    assert calendar.read_time(written, unit, now) == datetime.fromisoformat(instant)


def lengths(partition: Partition) -> dict[str, timedelta]:
    bounds = {label: [leaf.value.astimezone(UTC) for leaf in part.children] for label, part in partition.items()}
    return {label: end - begin for label, (begin, end) in bounds.items()}


# A program, and the hours of each part.
CUT: dict[str, dict[str, float]] = {
    "days('2026-03-28', '2026-03-30', tz=BERLIN)": {"2026-03-28": 24, "2026-03-29": 23},
    "days('2026-10-25', '2026-10-26', tz=BERLIN)": {"2026-10-25": 25},
    "hours('2026-03-29T01:00', '2026-03-29T04:00', tz=BERLIN)": {"2026-03-29 01:00": 1, "2026-03-29 03:00": 1},
    "hours('2026-10-25T01:00', '2026-10-25T04:00', tz=BERLIN)":
        {"2026-10-25 01:00": 1, "2026-10-25 02:00": 1, "2026-10-25 02:00+01:00": 1, "2026-10-25 03:00": 1},
    # the first and the last part can be shorter; their labels are those of the whole ones
    "hours('2026-05-01T09:30', '2026-05-01T10:15', tz='Asia/Kolkata')":
        {"2026-05-01 09:00": 1 / 2, "2026-05-01 10:00": 1 / 4},
    "days(last='2d', tz='Europe/Berlin')": {"2026-05-08": 24, "2026-05-09": 1 / 2},
    # the last ones begin with a whole one, and end now
    "hours(last='2h', tz='Europe/Berlin')": {"2026-05-08 23:00": 1, "2026-05-09 00:00": 1 / 2},
    "hours(last='30m', tz='Asia/Kathmandu')": {"2026-05-09 04:00": 1 / 4},
    "weeks(last='2w', tz='Europe/Berlin')": {"2026-04-27": 7 * 24, "2026-05-04": 5 * 24 + 1 / 2},
    "weeks(last='9d', tz='UTC')": {"2026-05-04": 5 * 24 - 3 / 2},
    "months(last=timedelta(days=40), tz='UTC')": {"2026-03": 31 * 24, "2026-04": 30 * 24, "2026-05": 8 * 24 - 3 / 2},
    "weeks('2026-05-01', '2026-05-13', tz='UTC')": {"2026-04-27": 3 * 24, "2026-05-04": 7 * 24, "2026-05-11": 2 * 24},
    "months('2026-01-15', '2026-04-01', tz='UTC')": {"2026-01": 17 * 24, "2026-02": 28 * 24, "2026-03": 31 * 24},
    # where clocks change by less than an hour, or within an hour
    "hours('2026-10-03T15:15Z', '2026-10-03T17:00Z', tz='Australia/Lord_Howe')":
        {"2026-10-04 01:00": 1 / 4, "2026-10-04 02:30": 1 / 2, "2026-10-04 03:00": 1},
    "hours('2026-04-04T14:45Z', '2026-04-04T15:30Z', tz='Australia/Lord_Howe')":
        {"2026-04-05 01:00": 1 / 4, "2026-04-05 01:30+10:30": 1 / 2},
    "hours('2011-03-13T03:30Z', '2011-03-13T04:31Z', tz='America/St_Johns')":
        {"2011-03-13 00:00": 1, "2011-03-13 02:00": 1 / 60},
    # where clocks skip or repeat midnight, a day begins with the first instant of its date
    "days('2011-12-29', '2012-01-01', tz='Pacific/Apia')": {"2011-12-29": 24, "2011-12-31": 24},
    "days('2006-10-29T02:45:00Z', '2006-10-31', tz='America/St_Johns')": {"2006-10-28": 24.75, "2006-10-30": 24},
}  # fmt: skip


@pytest.mark.parametrize(("program", "hours"), CUT.items())
def test_time_is_cut_where_units_begin_in_the_time_zone(program: str, hours: dict[str, float]) -> None:
    """Days have 23 or 25 hours where clocks change, and an hour that they show twice has its offset."""
    expected = {label: timedelta(hours=length) for label, length in hours.items()}
    assert [*expected.items()] == [*lengths(run(f"CREATED.{program}", **NAMED)).items()]


@pytest.mark.parametrize("unit", ["hours", "days", "weeks", "months"])
@pytest.mark.parametrize("length", ["30d", "4w", timedelta(days=30)], ids=str)
def test_what_is_missing_beside_last_is_the_time_zone(unit: str, length: Any) -> None:
    """What the hint says works, with the same length."""
    method = getattr(CREATED, unit)
    with pytest.raises(FilterError, match=f": tz is missing: where {unit} begin depends on the time zone") as caught:
        method(last=length)
    written = caught.value.hint.removeprefix("Write ").replace("datetime.timedelta", "timedelta")
    assert run(f"CREATED.{written}", **NAMED) == method(last=length, tz="UTC")


ZONES = sorted(available_timezones() - {"localtime"})
UNITS = st.sampled_from(["hours", "days", "weeks", "months"])
INSTANTS = st.integers(-2_500_000_000, 2_500_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=60))
FRACTIONS = st.lists(st.floats(-0.5, 1.5), max_size=5)


@pytest.mark.thorough
@given(st.sampled_from(ZONES), UNITS, INSTANTS, LENGTHS, FRACTIONS)
def test_each_instant_is_in_exactly_one_part(
    zone: str, unit: str, start: datetime, length: timedelta, fractions: list[float]
) -> None:
    partition: Partition = getattr(CREATED, unit)(start, start + length, tz=zone)
    bounds = [child.value for part in partition.values() for child in part.children]
    assert (bounds[0], bounds[-1]) == (start, start + length)
    assert bounds[1:-1:2] == bounds[2:-1:2]
    assert all(length > timedelta() for length in lengths(partition).values())
    for instant in [*bounds[:3], *bounds[-3:], *(start + length * fraction for fraction in fractions)]:
        found = [label for label, part in partition.items() if matches(part, {"created_at": instant})]
        assert len(found) == (start <= instant < start + length)


VALUES: dict[str, dict[str, str]] = {
    "Col.number('n').bins(3)": {"below 3": "Col.number('n').lt(3)", "3 and above": "Col.number('n').gte(3)"},
    "Col.number('n').values(n for n in (1, 2, 1.0))": {"1": "Col.number('n').eq(1)", "2": "Col.number('n').eq(2)"},
    "Col.text('t').values(['b', 'a', 'b'])": {"b": "Col.text('t').eq('b')", "a": "Col.text('t').eq('a')"},
    "Col.boolean('b').values()": {"true": "Col.boolean('b').eq(True)", "false": "Col.boolean('b').eq(False)"},
    "Col.boolean('b').values([np.bool_(False)])": {"false": "Col.boolean('b').eq(False)"},
    "Col.id('i').values([PROJECT, UUID(PROJECT), PROJECT.upper()])": {PROJECT: f"Col.id('i').eq('{PROJECT}')"},
    "Col.collection('c').values({'b', 'a'})":
        {"a": "Col.collection('c').contains('a')", "b": "Col.collection('c').contains('b')"},
}  # fmt: skip


@pytest.mark.parametrize("program", VALUES)
def test_each_bin_or_value_makes_a_part(program: str) -> None:
    """Values that are equal make one part: so do 1 and 1.0, and the spellings of a UUID. Only collections overlap."""
    made = run(program)
    assert [*VALUES[program].items()] == [(label, repr(part)) for label, part in made.items()]
    assert made.disjoint is ("collection" not in program)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)


@given(st.lists(NUMBERS, min_size=1, max_size=8, unique=True), st.lists(NUMBERS))
@example([Decimal(cents) / 100 for cents in range(1, 200)], [])
def test_each_number_is_in_exactly_one_bin(edges: list[Any], numbers: list[float]) -> None:
    """An edge is in the bin that it begins; a session without a number is in none."""
    bins = [*SCORE.bins(*sorted(edges)).values()]
    for number in numbers:
        assert sum(matches(part, {"score": number}) for part in bins) == 1
    for i, edge in enumerate(sorted(edges), 1):
        assert [i] == [j for j, part in enumerate(bins) if matches(part, {"score": edge})]
    assert not any(matches(part, {}) for part in bins)


def test_a_partition_is_a_mapping_from_labels_to_filters() -> None:
    filters = {"a": SCORE.gt(1)}
    made, bins = Partition(filters), SCORE.bins(0, 1, 2.5)
    filters.clear()
    assert {"a": SCORE.gt(1)} == dict(made)
    assert isinstance(bins, Mapping)
    assert [*bins] == ["below 0", "0 to 1", "1 to 2.5", "2.5 and above"]
    assert (len(bins), bins["1 to 2.5"]) == (4, SCORE.gte(1) & SCORE.lt(2.5))


def test_partitions_are_equal_by_their_parts_rest_and_disjointness() -> None:
    """Their order doesn't matter, as in a dict; a plain dict has neither a rest nor disjointness."""
    bins, tags = SCORE.bins(0, 1), Col.collection("tags")
    assert len({bins, SCORE.bins(0, 1)}) == len({tags.values(["a", "b"]), tags.values(["b", "a"])}) == 1
    others: list[object] = [bins.with_rest("none"), Partition(dict(bins)), dict(bins), SCORE.bins(0, 2)]
    assert [False] * 4 == [bins == other for other in others]


def test_with_rest_adds_a_label_and_no_filter() -> None:
    days, bins = CREATED.days("2026-05-01", "2026-05-03", tz="UTC"), SCORE.bins(1)
    made = bins.with_rest("other")
    assert (dict(made), made.rest, bins.rest) == (dict(bins), "other", None)
    assert days.with_rest("other").whole == ALWAYS != days.whole


def test_a_partition_prints_its_labels_and_filters() -> None:
    """A label is anything hashable, and prints with str."""
    made = Partition({date(2026, 5, 1): Col("a") > 1, ("x", 2): Col("a") > 2, "\n": Col("a") > 3})
    rows = [f"{label:10}  Col.number('a').gt({i})" for i, label in enumerate(["2026-05-01", "('x', 2)", r"\n"], 1)]
    assert ["label       filter", *rows] == str(made).splitlines()
    assert rows[2] in unescape(made._repr_html_())
    assert made["x", 2] == Col("a").gt(2)
    assert repr(Partition({})) == "<Partition: 0 parts>"
    assert repr(Partition({"a": Col("a") > 1})) == "<Partition: 1 part, 'a' to 'a'>"
    named = "<Partition: 2 parts, 'below 1' to '1 and above', and 'other' for the rest>"
    assert named == repr(SCORE.bins(1).with_rest("other"))
