"""Partitions: one filter for each day, bin or value."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.strategies import PROJECT

import galileo_sessions
from galileo_sessions import (
    Col,
    ColumnCatalog,
    ColumnInfo,
    Filter,
    FilterError,
    FilterParseError,
    FilterTypeError,
    Partition,
    UnknownColumnError,
    matches,
    parse_filter,
    parse_partition,
)
from galileo_sessions.filters.columns import column_class
from galileo_sessions.filters.kinds import PARTITIONS, FilterType

CREATED = Col.date("created_at")
SCORE = Col.number("score")
BERLIN = ZoneInfo("Europe/Berlin")
MAY = CREATED.days("2026-05-01", "2026-06-01", tz="UTC")


def lengths(partition: Partition) -> dict[str, timedelta]:
    """How long each part of a time is."""
    bounds = {label: [child.value for child in part.children] for label, part in partition.items()}
    return {label: end.astimezone(UTC) - begin.astimezone(UTC) for label, (begin, end) in bounds.items()}


# ---- a mapping -------------------------------------------------------------------------------------------------------


def test_a_partition_is_a_mapping_of_label_to_filter() -> None:
    """It has a filter for each label, in order, and prints as the call that makes it."""
    assert isinstance(MAY, Mapping)
    assert len(MAY) == 31
    assert [*MAY][:2] == ["2026-05-01", "2026-05-02"]
    first = CREATED.gte("2026-05-01T00:00:00+00:00") & CREATED.lt("2026-05-02T00:00:00+00:00")
    assert MAY["2026-05-01"] == first
    assert repr(MAY) == "Col.date('created_at').days('2026-05-01', '2026-06-01', tz='UTC')"
    with pytest.raises(KeyError):
        MAY["2026-06-01"]


ALL = [
    MAY,
    CREATED.hours("2026-05-01T09:30", "2026-05-02", tz="Europe/Berlin"),
    CREATED.weeks(date(2026, 5, 1), date(2026, 6, 1), tz=timezone(timedelta(hours=-3.5))),
    CREATED.months("2026-01-15T00:00:00Z", datetime(2026, 4, 1, tzinfo=UTC), tz=BERLIN),
    SCORE.bins(0, Decimal("0.5"), np.float64(2)),
    SCORE.values([1, 2.5]),
    Col.text("status").values(["done", "it's"]),
    Col.id("id").values([PROJECT]),
    Col.boolean("is_complete").values(),
    Col.collection("tags").values({"vip", "beta"}),
]


@pytest.mark.parametrize("partition", ALL, ids=repr)
def test_a_partition_prints_as_the_program_that_makes_it(partition: Partition) -> None:
    """It is read back equal, by Python and by parse_partition; it pickles, and hashes by structure."""
    namespace: dict[str, Any] = vars(galileo_sessions).copy()
    for again in (
        eval(repr(partition), namespace),
        parse_partition(repr(partition)),
        pickle.loads(pickle.dumps(partition)),
    ):
        assert again == partition
        assert (hash(again), repr(again), dict(again)) == (hash(partition), repr(partition), dict(partition))
    assert partition != dict(partition)


def test_a_partition_cannot_be_changed() -> None:
    """It is frozen, as filters are."""
    for change in ("MAY.parts = ()", "MAY['x'] = MAY['2026-05-01']", "del MAY['2026-05-01']"):
        with pytest.raises((AttributeError, TypeError)):
            exec(change, {"MAY": MAY})


def test_each_partition_method_is_in_the_table() -> None:
    """A typed column has the methods of its row and no other's; Col has none, and says which column has it."""
    for kind in FilterType:
        column = column_class(kind)("a")
        assert [name for name in PARTITIONS if hasattr(column, name)] == [n for n in PARTITIONS if n in kind.partitions]
    with pytest.raises(AttributeError, match=r"Write Col.date\('a'\).days\(...\)$"):
        Col("a").days("2026-05-01", "2026-06-01")
    with pytest.raises(AttributeError, match=r"Did you mean values\?$"):
        Col.text("a").vlaues(["x"])


# ---- time ------------------------------------------------------------------------------------------------------------


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
    ragged = CREATED.hours("2026-05-01T09:30", "2026-05-01T11:15", tz="Asia/Kolkata")
    assert [*ragged] == ["2026-05-01 09:30", "2026-05-01 10:00", "2026-05-01 11:00"]


def test_weeks_begin_on_monday_and_months_by_the_calendar() -> None:
    """What the time begins or ends within is the shorter, and labelled by its first day."""
    weeks = CREATED.weeks("2026-05-01", "2026-05-13", tz="UTC")
    assert {label: length.days for label, length in lengths(weeks).items()} == {
        "2026-05-01": 3,
        "2026-05-04": 7,
        "2026-05-11": 2,
    }
    months = CREATED.months("2026-01-15", "2026-04-01", tz="UTC")
    assert {label: length.days for label, length in lengths(months).items()} == {
        "2026-01": 17,
        "2026-02": 28,
        "2026-03": 31,
    }


@pytest.mark.parametrize(
    ("zone", "start", "end", "labels"),
    [
        ("Pacific/Apia", "2011-12-29", "2012-01-01", ["2011-12-29", "2011-12-31"]),
        ("America/Toronto", "1919-03-30", "1919-04-01", ["1919-03-30", "1919-03-31"]),
        ("America/St_Johns", "2006-10-29T02:30:30Z", "2006-10-31", ["2006-10-29", "2006-10-30"]),
        ("America/St_Johns", "2006-10-29T02:45:00Z", "2006-10-31", ["2006-10-28", "2006-10-29", "2006-10-30"]),
        ("America/Havana", "2026-11-01", "2026-11-02", ["2026-11-01"]),
    ],
    ids=["a day that was skipped", "a skipped midnight", "two midnights", "between two midnights", "midnight twice"],
)
def test_a_day_begins_with_the_first_instant_of_its_date(zone: str, start: str, end: str, labels: list[str]) -> None:
    """Also where the clocks jump over midnight, show it twice, or leave out a day."""
    partition = CREATED.days(start, end, tz=zone)
    assert [*partition] == labels
    for part in [*partition.values()][1:]:
        begin = part.children[0].value.astimezone(UTC)
        before, first = [
            (begin - timedelta(microseconds=n)).astimezone(ZoneInfo(zone)).date().isoformat() for n in (1, 0)
        ]
        assert before < first


def test_a_time_zone_is_a_zone_or_its_name() -> None:
    """Datetimes of one zone bring it; where none is known, the error says what to write."""
    start, end = datetime(2026, 3, 28, tzinfo=BERLIN), datetime(2026, 3, 31, tzinfo=BERLIN)
    expected = CREATED.days("2026-03-28", "2026-03-31", tz="Europe/Berlin")
    assert expected == CREATED.days(start, end) == CREATED.days("2026-03-27T23:00Z", end.astimezone(UTC), tz=BERLIN)
    assert CREATED.days("2026-05-01", "2026-05-02", tz="+02:00") == CREATED.days(
        "2026-05-01", "2026-05-02", tz=timezone(timedelta(hours=2))
    )
    assert MAY == CREATED.days("2026-05-01", "2026-06-01", tz="z") == CREATED.days("2026-05-01", "2026-06-01", tz=UTC)


class Unnamed(tzinfo):
    """A zone of somebody's own."""

    def utcoffset(self, _: object) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _: object) -> timedelta:
        return timedelta()

    def __repr__(self) -> str:
        return "Unnamed()"


def test_a_zone_without_a_name_is_printed_as_it_prints_itself() -> None:
    """Its days are its own."""
    partition = CREATED.days("2026-05-01", "2026-05-02", tz=Unnamed())
    assert repr(partition) == "Col.date('created_at').days('2026-05-01', '2026-05-02', tz=Unnamed())"
    assert lengths(partition) == {"2026-05-01": timedelta(days=1)}


ZONES = sorted(available_timezones() - {"localtime"})
UNITS = st.sampled_from(["hours", "days", "weeks", "months"])
INSTANTS = st.integers(-2_500_000_000, 2_500_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=60))
FRACTIONS = st.lists(st.floats(-0.5, 1.5), max_size=5)


@pytest.mark.thorough
@given(st.sampled_from(ZONES), UNITS, INSTANTS, LENGTHS, FRACTIONS)
@example("Europe/Berlin", "hours", datetime(2026, 10, 24, 22, tzinfo=UTC), timedelta(hours=25), [0.1])
@example("America/St_Johns", "days", datetime(2006, 10, 29, 2, 45, tzinfo=UTC), timedelta(days=2), [0])
def test_each_instant_is_in_exactly_one_part(
    zone: str, unit: str, start: datetime, length: timedelta, fractions: list[float]
) -> None:
    """In any zone, with any unit, at any change of the clocks: parts lie end to end, from start to before end."""
    partition: Partition = getattr(CREATED, unit)(start, start + length, tz=zone)
    bounds = [child.value for part in partition.values() for child in part.children]
    assert (bounds[0], bounds[-1]) == (start, start + length)
    assert bounds[1:-1:2] == bounds[2:-1:2]
    assert all(length > timedelta() for length in lengths(partition).values())
    for instant in [*bounds[:3], *bounds[-3:], *(start + length * fraction for fraction in fractions)]:
        found = [label for label, part in partition.items() if matches(part, {"created_at": instant})]
        assert len(found) == (start <= instant < start + length)


# ---- numbers and values ----------------------------------------------------------------------------------------------


def test_bins_are_half_open_with_below_and_above() -> None:
    """Labels say what is in them; each number is in one."""
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
    """By equality; of collections by membership, so that a session may be in several parts."""
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
    assert (both.overlapping, status.values(["a"]).overlapping) == (True, False)


def test_a_catalog_knows_the_values() -> None:
    """The allowed ones; without a column id, values() is every mapping's."""
    catalog = ColumnCatalog(
        [
            ColumnInfo("status", filter_type="text", allowed_values=["done", None, "failed"]),
            ColumnInfo("rating", filter_type="number", allowed_values=[1, 2]),
            ColumnInfo("input", filter_type="text"),
            ColumnInfo("odd", filter_type="new", allowed_values=["x"]),
        ]
    )
    assert catalog.values("status") == Col.text("status").values(["done", "failed"])
    assert catalog.values("rating") == Col.number("rating").values([1, 2])
    assert len(catalog.values()) == 4
    with pytest.raises(UnknownColumnError, match="did you mean status"):
        catalog.values("statsu")
    for name in ("input", "odd"):
        with pytest.raises(
            FilterError, match=rf"^the service lists no values of '{name}' .* Write the values yourself"
        ):
            catalog.values(name)


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("CREATED.days('2026-05-31', '2026-05-01', tz='UTC')", "end is before start. Swap the two"),
        ("CREATED.days('2026-05-01', '2026-05-01', tz='UTC')", "they are the same. For one day, end is the day after"),
        ("CREATED.days('2026-05-01', '2026-06-01')", 'a day is another time in each time zone. Write tz="UTC"'),
        ("CREATED.days(datetime(2026, 5, 1, tzinfo=UTC), '2026-06-01')", "a day is another time in each time zone"),
        ("CREATED.days('2026-05-01', '2026-06-01', tz=2)", "not 2"),
        ("CREATED.days('2026-05-01', '2026-06-01', tz='Europe/Berln')", "'Europe/Berln' is no time zone that this"),
        ("CREATED.days('2026-05-01', '2026-06-01', tz='../x')", "'../x' is no time zone"),
        ("CREATED.days('2026-05-01', '2026-06-01', tz='Europe')", "'Europe' is no time zone"),
        ("CREATED.days('2026-05-01', '2026-06-01', tz='+99')", "'+99' is no time zone"),
        ("CREATED.days('1 May', '2026-06-01', tz='UTC')", "'1 May' is neither a day such as 2026-05-01 nor an ISO"),
        ("CREATED.days(datetime(2026, 5, 1), '2026-06-01', tz='UTC')", "a datetime without a time zone"),
        ("CREATED.days('2026-05-01', 3, tz='UTC')", "expected a datetime or ISO 8601 text, got 3"),
        ("CREATED.days('9999-12-30', '9999-12-31T12:00', tz='UTC')", "years go from 1 to 9999"),
        (
            "CREATED.hours('2015-01-01', '2026-05-29T16:00', tz='UTC')",
            "it would have 100,000 parts, each of which is a count; 10,000 is the most. Write days(...)",
        ),
        ("CREATED.days('1900-01-01', '2026-06-01', tz='UTC')", "Write months(...), or a shorter time"),
        ("SCORE.bins(0, 2, 1)", "edges ascend, but 1 comes after 2. Write them in order"),
        ("SCORE.bins(0, 0)", "edges ascend, but 0 comes after 0"),
        ("SCORE.bins(0, float('nan'))", "nan is not a number that JSON can carry"),
        ("SCORE.bins('a')", "expected a number, got 'a'"),
        ("SCORE.bins()", "bins takes its edges one by one"),
        ("SCORE.bins([0, 1])", "bins takes its edges one by one. Write bins(0, 1, 2), or bins(*edges) for a list"),
        ("SCORE.bins(*range(10_000))", "it would have 10,001 parts"),
        ("Col.text('a').values('abc')", "values takes a list. For one value write values([...])"),
        ("Col.text('a').values([])", "there is no value to count by"),
        ("Col.text('a').values([None])", "the API has no test for a missing value"),
        ("Col.id('a').values(map(str, range(10_001)))", "it would have 10,001 parts"),
    ],
)
def test_a_mistake_is_explained_in_the_words_of_the_call(call: str, message: str) -> None:
    """The error begins with the call, and says what to write instead."""
    with pytest.raises(FilterError) as raised:
        eval(call, {**globals(), "datetime": datetime})
    assert message in str(raised.value)
    assert str(raised.value).startswith("Col.")


def test_a_text_that_is_no_partition_is_refused_at_its_place() -> None:
    """A filter, a column, a value; and a partition where a filter is asked for."""
    for text, message in (
        ("Col('a') > 1", "is a filter, not parts to count by. Write Col.date("),
        ("Col.text('a')", "is a column, not parts to count by"),
        ("3", "3 is a value, not parts to count by"),
        ("Col.number('a').bins(2, 1)", "edges ascend"),
        ("Col.number('a').bnis(2, 1)", "Did you mean bins?"),
        ("Col('a').days('2026-05-01', '2026-06-01')", "Write Col.date('a').days(...)"),
        ("~" * 10_000 + "ALWAYS", "nested too deeply"),
    ):
        with pytest.raises(FilterParseError) as raised:
            parse_partition(text)
        assert message in str(raised.value)
    with pytest.raises(FilterParseError, match="days is unknown. It makes parts to count by, for count_by"):
        parse_filter(repr(MAY))
    with pytest.raises(FilterTypeError):
        parse_partition(MAY)


def test_parts_are_filters_like_others() -> None:
    """They join with others."""
    joined: Filter = MAY["2026-05-01"] & SCORE.gt(3)
    assert joined.size == 3


@pytest.mark.parametrize("name", ["CET", "CEST"])
def test_a_named_offset_is_written_as_an_offset(name: str) -> None:
    """The name of a `datetime.timezone` may be that of a zone with other offsets, or of none."""
    days = Col.date("d").days("2026-07-01", "2026-07-03", tz=timezone(timedelta(hours=1), name))
    assert "tz='+01:00'" in repr(days)
    assert days == parse_partition(repr(days))


def test_values_that_are_one_make_one_part() -> None:
    """1 and 1.0 are the same number, and an id is the same in capitals: each session is counted once."""
    assert ["1"] == list(Col.number("n").values([1, 1.0]))
    upper = "74AEC44E-EC21-4C9F-A3E2-B2AB2B81B4DB"
    assert 1 == len(Col.id("i").values([upper, upper.lower()]))
    assert ["a", "A"] == list(Col.text("t").values(["a", "A", "a"]))


def test_a_text_makes_one_partition() -> None:
    """A second one is refused before it is made, for each may have 10,000 parts."""
    hours = "Col.date('t').hours('2026-01-01', '2027-02-20', tz='UTC')"
    with pytest.raises(FilterParseError, match="a second one can't stand beside it") as caught:
        parse_partition(f"[{', '.join([hours] * 1_000)}]")
    assert f"[{hours}, Col.date('t')." == caught.value.text[: caught.value.offset]
