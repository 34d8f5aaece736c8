"""Partitions: one filter for each day, bin or value."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
import pytz
from hypothesis import example, given
from hypothesis import strategies as st
from support.sockets import PROJECT

from galileo_sessions import ALWAYS, Col, FilterError, Partition, matches

CREATED = Col.date("created_at")
SCORE = Col.number("score")
BERLIN = ZoneInfo("Europe/Berlin")
MAY = CREATED.days("2026-05-01", "2026-06-01", tz="UTC")


def lengths(partition: Partition) -> dict[str, timedelta]:
    """How long each part of a time is."""
    bounds = {label: [child.value for child in part.children] for label, part in partition.items()}
    return {label: end.astimezone(UTC) - begin.astimezone(UTC) for label, (begin, end) in bounds.items()}


def test_a_partition_is_a_mapping_of_label_to_filter() -> None:
    """It has a filter for each label, in order. Parts join with other filters."""
    assert isinstance(MAY, Mapping)
    assert len(MAY) == 31
    assert [*MAY][:2] == ["2026-05-01", "2026-05-02"]
    first = CREATED.gte("2026-05-01T00:00:00+00:00") & CREATED.lt("2026-05-02T00:00:00+00:00")
    assert MAY["2026-05-01"] == first
    assert MAY["2026-05-01"] & SCORE.gt(3) == first & SCORE.gt(3)
    with pytest.raises(KeyError):
        MAY["2026-06-01"]


def test_partitions_are_equal_by_their_parts_rest_and_disjointness() -> None:
    """The order of the parts doesn't matter, as in a dict; a plain dict has neither a rest nor disjointness."""
    bins, tags = SCORE.bins(0, 1), Col.collection("tags").values({"vip", "beta"})
    again, turned = pickle.loads(pickle.dumps(bins)), Col.collection("tags").values(["vip", "beta"])
    assert (bins, hash(bins), tags, hash(tags)) == (again, hash(again), turned, hash(turned))
    assert "<Partition: 2 parts, 'beta' to 'vip'> <Partition: 0 parts>" == f"{tags!r} {Partition({})!r}"
    filters = dict(bins)
    others: list[object] = [bins.with_rest("none"), Partition(filters), dict(bins), SCORE.bins(0, 2)]
    filters.clear()
    assert others[1] == Partition(bins)
    assert [False] * 4 == [bins == other for other in others]
    assert len({bins, SCORE.bins(0, 1), bins.with_rest("none"), Partition(bins)}) == 3


def test_days_have_23_or_25_hours_where_clocks_change() -> None:
    """In spring and in autumn, and an hour that the clocks show twice has its offset."""
    hour = timedelta(hours=1)
    spring = CREATED.days("2026-03-28", "2026-03-31", tz="Europe/Berlin")
    assert lengths(spring) == {"2026-03-28": 24 * hour, "2026-03-29": 23 * hour, "2026-03-30": 24 * hour}
    assert lengths(CREATED.days("2026-10-25", "2026-10-26", tz=BERLIN)) == {"2026-10-25": 25 * hour}
    assert len(CREATED.hours("2026-03-29", "2026-03-30", tz=BERLIN)) == 23
    autumn = CREATED.hours("2026-10-25", "2026-10-26", tz=BERLIN)
    assert [*autumn][1:5] == ["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00"]
    assert {*lengths(autumn).values()} == {hour}
    skipped = CREATED.hours("2011-03-13T04:01:00Z", "2011-03-13T06:00:00Z", tz="America/St_Johns")
    assert sum(lengths(skipped).values(), timedelta()) == timedelta(minutes=119)
    ragged = CREATED.hours("2026-05-01T09:30", "2026-05-01T11:15", tz="Asia/Kolkata")
    assert [*ragged] == ["2026-05-01 09:00", "2026-05-01 10:00", "2026-05-01 11:00"]


@pytest.mark.parametrize(
    ("zone", "start", "labels"),
    [
        ("Australia/Lord_Howe", "2026-10-03T15:15Z", ["2026-10-04 01:00", "2026-10-04 02:30", "2026-10-04 03:00"]),
        ("Australia/Lord_Howe", "2026-04-04T14:45Z", ["2026-04-05 01:00", "2026-04-05 01:30+10:30"]),
        ("Asia/Kathmandu", "1985-12-31T18:35Z", ["1986-01-01 00:15", "1986-01-01 01:00"]),
        ("Pacific/Chatham", "2026-09-26T14:05Z", ["2026-09-27 02:00", "2026-09-27 04:00"]),
    ],
)
def test_an_hour_that_start_cuts_keeps_its_label(zone: str, start: str, labels: list[str]) -> None:
    """It is the local time at which the whole hour begins, also where the clocks change by less than an hour."""
    begin = datetime.fromisoformat(start)
    for earlier in (timedelta(), timedelta(hours=5)):
        partition = CREATED.hours(begin - earlier, begin + timedelta(hours=2), tz=zone)
        found = [label for label, part in partition.items() if part.children[1].value > begin]
        assert found[: len(labels)] == labels


def test_weeks_begin_on_monday_and_months_by_the_calendar() -> None:
    """Weeks begin on Monday. The first and the last part can be shorter; their labels are those of the whole ones."""
    weeks = lengths(CREATED.weeks("2026-05-01", "2026-05-13", tz="UTC"))
    assert [*weeks] == ["2026-04-27", "2026-05-04", "2026-05-11"]
    assert [length.days for length in weeks.values()] == [3, 7, 2]
    months = lengths(CREATED.months("2026-01-15", "2026-04-01", tz="UTC"))
    assert [*months] == ["2026-01", "2026-02", "2026-03"]
    assert [length.days for length in months.values()] == [17, 28, 31]


@pytest.mark.parametrize(
    ("zone", "start", "end", "labels"),
    [
        ("Pacific/Apia", "2011-12-29", "2012-01-01", ["2011-12-29", "2011-12-31"]),
        ("America/St_Johns", "2006-10-29T02:30:30Z", "2006-10-31", ["2006-10-29", "2006-10-30"]),
        ("America/St_Johns", "2006-10-29T02:45:00Z", "2006-10-31", ["2006-10-28", "2006-10-30"]),
        ("America/Havana", "2026-11-01", "2026-11-02", ["2026-11-01"]),
    ],
    ids=["a day that was skipped", "two midnights", "between two midnights", "midnight twice"],
)
def test_a_day_begins_with_the_first_instant_of_its_date(zone: str, start: str, end: str, labels: list[str]) -> None:
    """A day begins with the first instant of its date, even if clocks skip or repeat midnight."""
    partition = CREATED.days(start, end, tz=zone)
    assert [*partition] == labels
    for part in [*partition.values()][1:]:
        begin = part.children[0].value.astimezone(UTC)
        assert (begin - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < part.children[0].value.date()


def test_a_time_zone_is_a_zone_or_its_name() -> None:
    """A time zone can be a name, an offset or an object; two datetimes of one zone don't need it."""
    start, end = datetime(2026, 3, 28, tzinfo=BERLIN), datetime(2026, 3, 31, tzinfo=BERLIN)
    expected = CREATED.days("2026-03-28", "2026-03-31", tz="Europe/Berlin")
    assert expected == CREATED.days(start, end) == CREATED.days("2026-03-27T23:00Z", end.astimezone(UTC), tz=BERLIN)
    assert expected == CREATED.days("2026-03-28T00:00", date(2026, 3, 31), tz=BERLIN)
    assert MAY == CREATED.days("2026-05-01", "2026-06-01", tz="utc") == CREATED.days("2026-05-01", "2026-06-01", tz=UTC)
    assert expected == CREATED.days("2026-03-28", "2026-03-31", tz=pytz.timezone("Europe/Berlin"))
    with pytest.raises(FilterError, match="unknown time zone 'pytz.FixedOffset"):
        CREATED.days("2026-03-28", "2026-03-31", tz=pytz.FixedOffset(60))


ZONES = sorted(available_timezones() - {"localtime"})
UNITS = st.sampled_from(["hours", "days", "weeks", "months"])
INSTANTS = st.integers(-2_500_000_000, 2_500_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=60))
FRACTIONS = st.lists(st.floats(-0.5, 1.5), max_size=5)


@pytest.mark.thorough
@given(st.sampled_from(ZONES), UNITS, INSTANTS, LENGTHS, FRACTIONS)
@example("Europe/Berlin", "hours", datetime(2026, 10, 24, 22, tzinfo=UTC), timedelta(hours=25), [0.1])
@example("America/St_Johns", "hours", datetime(2011, 3, 13, 4, 1, tzinfo=UTC), timedelta(hours=2), [0])
@example("America/St_Johns", "days", datetime(2006, 10, 29, 2, 45, tzinfo=UTC), timedelta(days=2), [0])
def test_each_instant_is_in_exactly_one_part(
    zone: str, unit: str, start: datetime, length: timedelta, fractions: list[float]
) -> None:
    """Each instant from start to before end is in one part, in any zone and any unit."""
    partition: Partition = getattr(CREATED, unit)(start, start + length, tz=zone)
    bounds = [child.value for part in partition.values() for child in part.children]
    assert (bounds[0], bounds[-1]) == (start, start + length)
    assert bounds[1:-1:2] == bounds[2:-1:2]
    assert all(length > timedelta() for length in lengths(partition).values())
    for instant in [*bounds[:3], *bounds[-3:], *(start + length * fraction for fraction in fractions)]:
        found = [label for label, part in partition.items() if matches(part, {"created_at": instant})]
        assert len(found) == (start <= instant < start + length)


def test_bins_are_half_open_with_below_and_above() -> None:
    """Bins include their lower edge, and their labels say what is in them."""
    partition = SCORE.bins(0, 1, 2.5)
    assert dict(partition) == {
        "below 0": SCORE.lt(0),
        "0 to 1": SCORE.gte(0) & SCORE.lt(1),
        "1 to 2.5": SCORE.gte(1) & SCORE.lt(2.5),
        "2.5 and above": SCORE.gte(2.5),
    }
    assert dict(SCORE.bins(3)) == {"below 3": SCORE.lt(3), "3 and above": SCORE.gte(3)}


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)


@given(st.lists(NUMBERS, min_size=1, max_size=8, unique=True), st.lists(NUMBERS))
def test_each_number_is_in_exactly_one_bin(edges: list[float], numbers: list[float]) -> None:
    """Whatever the edges, the edges themselves included; a session without a number is in none."""
    partition = SCORE.bins(*sorted(edges))
    for number in [*numbers, *edges]:
        assert sum(matches(part, {"score": number}) for part in partition.values()) == 1
    assert not any(matches(part, {}) for part in partition.values())


def test_values_make_a_part_each() -> None:
    """Each value makes a part; a session with several values of a collection is in several parts."""
    status, tags = Col.text("status"), Col.collection("tags")
    assert dict(status.values(["b", "a", "b"])) == {"b": status.eq("b"), "a": status.eq("a")}
    assert dict(Col.id("id").values([PROJECT])) == {PROJECT: Col.id("id").eq(PROJECT)}
    done = Col.boolean("done")
    assert dict(done.values()) == {"true": done.eq(True), "false": done.eq(False)}
    assert dict(done.values([np.bool_(False)])) == {"false": done.eq(False)}
    assert dict(SCORE.values(n for n in (1, 2))) == {"1": SCORE.eq(1), "2": SCORE.eq(2)}
    both = tags.values(["vip", "beta"])
    assert dict(both) == {"vip": tags.contains("vip"), "beta": tags.contains("beta")}
    assert [matches(part, {"tags": ["vip", "beta"]}) for part in both.values()] == [True, True]


def test_equal_values_make_one_part() -> None:
    """1 and 1.0 are the same number, and each spelling of a UUID is the same id, so each session is counted once."""
    assert ["1"] == list(Col.number("n").values([1, 1.0]))
    assert [PROJECT.upper()] == list(Col.id("i").values([PROJECT.upper(), PROJECT, PROJECT.replace("-", "")]))
    assert ["a", "A"] == list(Col.text("t").values(["a", "A", "a"] * 10_000))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("CREATED.days('2026-05-31', '2026-05-31', tz='UTC')", "must be after start\nhint: For one day, end is the"),
        ("CREATED.hours('2026-05-01', '2026-06-01')", "'2026-05-01' depends on the time zone\nhint: Write tz="),
        ("CREATED.days('2026-05-01T00:00Z', '2026-06-01T00:00Z')", "where days begin depends on the time zone"),
        ("CREATED.days('1 May', '2026-06-01', tz='UTC')", "'1 May' must be a day such as 2026-05-01"),
        ("CREATED.days('2026-05-01+02:00', '2026-06-01', tz='UTC')", "'2026-05-01+02:00' must be a day"),
        ("CREATED.days('2026-02-28T25:00', '2026-06-01', tz='UTC')", "'2026-02-28T25:00' doesn't exist: hour"),
        ("CREATED.days(datetime(2026, 5, 1), '2026-06-01', tz='UTC')", "has no UTC offset"),
        ("CREATED.days('2026-05-01', 3, tz='UTC')", "expected a datetime or ISO 8601 text, got 3"),
        ("CREATED.hours('2015-01-01', '2026-05-29', tz='UTC')", "at most 10,000 parts, since each one is a request"),
        ("SCORE.bins(0, 0)", "the edges must ascend, but 0 comes after 0"),
        ("SCORE.bins(0, float('nan'))", "nan is not a number that JSON can carry"),
        ("SCORE.bins()", "the edges must be arguments"),
        ("SCORE.bins([0, 1])", "the edges must be arguments\nhint: Write bins(0, 1, 2), or bins(*edges) for a list"),
        ("Col.text('a').values('abc')", "values('abc'): values takes a list with at least one value"),
        ("Col.text('a').values([])", "values([]): values takes a list with at least one value"),
    ],
)
def test_a_mistake_is_explained(call: str, message: str) -> None:
    """The error quotes what is wrong and says what to write instead."""
    with pytest.raises(FilterError) as raised:
        eval(call, {**globals(), "datetime": datetime})
    assert message in str(raised.value)


def test_with_rest_keeps_the_parts():
    """`with_rest` adds a label for `count_by`, and no filter."""
    bins = Col.number("score").bins(1)
    made = bins.with_rest("other")
    assert (dict(made), made.rest, bins.rest) == (dict(bins), "other", None)
    assert MAY.with_rest("other").whole == ALWAYS != MAY.whole
    below, above = made.values()
    lines = ["label        filter", f"below 1      {below!r}", f"1 and above  {above!r}"]
    assert (lines, True) == (str(made).splitlines(), lines[1] in unescape(made._repr_html_()))
    assert repr(made) == "<Partition: 2 parts, 'below 1' to '1 and above', and 'other' for the rest>"


def test_with_rest_refuses_what_has_no_rest():
    """A label that a part has, and parts that overlap, are refused."""
    for made in (Col.collection("tags").values(["a", "b"]), Partition({"a": Col("a") > 1, "b": Col("a") > 2})):
        with pytest.raises(FilterError, match="a session can be in several of these parts"):
            made.with_rest("other")
    with pytest.raises(FilterError, match="a part has this label"):
        Partition({"a": Col("a") > 1}, rest="a")
    with pytest.raises(FilterError, match="a label must be text"):
        Col.number("score").bins(1).with_rest(5)


def test_a_label_is_anything_hashable() -> None:
    """Your own labels print with str."""
    partition = Partition({date(2026, 5, 1): Col("a") > 1, ("x", 2): Col("a") > 2, "\n": Col("a") > 3})
    labels = [line[:12].rstrip() for line in str(partition).splitlines()]
    assert labels == ["label", "2026-05-01", "('x', 2)", "\\n"]
    assert partition["x", 2] == Col("a").gt(2)
