"""Values of numpy, pandas and pytz in filters and in records."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import pytz
from support.programs import Berlin, check_message

from galileo_sessions import Col, Filter, FilterError, FilterTypeError, matches


def refused(make: Any) -> str:
    """The message that refuses a comparison."""
    with pytest.raises(FilterError) as caught:
        make()
    check_message(str(caught.value))
    return str(caught.value)


@pytest.fixture
def pandas() -> Any:
    """pandas, where it is installed."""
    return pytest.importorskip("pandas", reason="pandas isn't installed; it is in the extra `examples`")


@pytest.mark.parametrize(
    "tz", ["Berlin", "", "+25:00", "+1:00", "../UTC", "/etc/passwd", "Europe", "a\0b", "é", "U" * 500, 3, None]
)
def test_text_that_is_no_time_zone_is_refused(tz: Any) -> None:
    """Other text, including paths of the time zone data, is refused."""
    words = 'Use, for example, "Europe/Berlin" or "+01:00"'
    assert words in refused(lambda: Col("d").on("2026-01-31", tz=tz))


@pytest.mark.parametrize(
    ("tz", "start"),
    [
        ("Asia/Beirut", "2026-03-29T01:00:00+03:00"),  # without a midnight
        ("+05:30", "2026-03-29T00:00:00+05:30"),
        ("utc", "2026-03-29T00:00:00+00:00"),
        ("America/New_York", "2026-03-29T00:00:00-04:00"),
        (Berlin(), "2026-03-29T00:00:00+01:00"),
    ],
    ids=["no midnight", "offset", "UTC", "name", "object"],
)
def test_days_and_on_agree(tz: Any, start: str) -> None:
    """`days` and `on` begin a day with the same instant, for a zone, its name or a UTC offset."""
    day = Col.date("d").days("2026-03-29", "2026-03-30", tz=tz)["2026-03-29"]
    assert Col.date("d").on("2026-03-29", tz=tz) == day == Col("d").on(date(2026, 3, 29), tz=tz)
    assert start == day.children[0].value.isoformat()


def test_a_timestamp_is_an_instant_of_microseconds(pandas: Any) -> None:
    """A Timestamp is taken as a datetime; nanoseconds are refused, because they would be lost."""
    held: Any = Col("d") > pandas.Timestamp("2026-01-31T09:00:00.000001Z")
    assert (datetime, datetime(2026, 1, 31, 9, 0, 0, 1, tzinfo=UTC)) == (type(held.value), held.value)
    fine = pandas.Timestamp("2026-01-31T09:00:00.000000001Z")
    assert "finer than a microsecond, which would be lost" in refused(lambda: Col("d") > fine)


@pytest.mark.parametrize("name", ["NaT", "NA"])
def test_a_missing_value_of_pandas_is_missing(pandas: Any, name: str) -> None:
    """A missing value raises the same error as None; in a record, it satisfies neither a leaf nor its negation."""
    missing = getattr(pandas, name)
    columns: list[Any] = [Col("a"), Col.date("a"), Col.number("a"), Col.text("a")]
    for column in columns:
        assert "no test for a missing value" in refused(lambda column=column: column.eq(missing))
    for where in (Col("a") > 1, Col("a").eq("x"), Col.date("a") > "2026-01-31T00:00Z", Col("a").is_true()):
        assert (False, False) == (matches(where, {"a": missing}), matches(~where, {"a": missing}))


@pytest.mark.parametrize("operator", ["one_of", "not_in"])
def test_a_table_is_no_list(pandas: Any, operator: str) -> None:
    """A table isn't taken as a list, because it would give its column names."""
    table = pandas.DataFrame({"user": ["x", "y"]})
    for values in (table, np.array([["x"]])):
        message = refused(lambda values=values: getattr(Col("a"), operator)(values))
        assert f"{operator} takes a list of text" in message
    assert ("x", "y") == getattr(Col("a"), operator)(table["user"]).value


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        (Col("a") > 1, np.int64(2), True),
        (Col("a") > 1, np.array(2), True),
        (Col("a") > 1, Decimal("1.5"), True),
        (Col("a").eq(0.1), Decimal("0.1"), True),  # Python compares binary fractions
        (Col("a").eq(0.1), Decimal("0.1000000000000000000001"), False),
        (Col("a").eq(2**53), np.int64(2**53 + 1), False),
        (Col("a") > 1, np.float64("nan"), None),
        (Col("a") > 1, Decimal("NaN"), None),
        (Col("a") > 1, Decimal("sNaN"), None),  # which Python can't even compare
        (Col("a") > 1, np.bool_(True), None),
        (Col("a") > 1, np.str_("2"), None),
        (Col("a").is_true(), np.bool_(True), True),
        (Col("a").is_true(), np.int64(1), None),
        (Col("a").eq("x"), np.str_("x"), True),
        (Col.collection("a").contains("x"), np.array(["x", "y"]), True),
        (Col.collection("a").contains("x"), np.array("x"), None),
        (Col.date("a") > "2026-01-31T00:00Z", np.datetime64("2026-02-01"), None),
    ],
    ids=repr,
)
def test_a_record_may_hold_values_as_filters_take_them(where: Filter, value: object, expected: bool | None) -> None:
    """Scalars of numpy and Decimal compare exactly; what is missing satisfies neither a leaf nor its negation."""
    assert (expected is True, expected is False) == (matches(where, {"a": value}), matches(~where, {"a": value}))


def test_a_timestamp_of_a_record_compares_with_its_nanoseconds(pandas: Any) -> None:
    """Nanoseconds of a Timestamp in a record count."""
    where = Col.date("a").gt("2026-01-31T09:00:00Z")
    assert matches(where, {"a": pandas.Timestamp("2026-01-31T09:00:00.000000001Z")})
    assert not matches(where, {"a": pandas.Timestamp("2026-01-31T09:00:00Z")})
    with pytest.raises(FilterError, match="has no UTC offset"):
        matches(where, {"a": pandas.Timestamp("2026-01-31T10:00:00.000000001")})
    with pytest.raises(FilterTypeError, match=r"Write row.to_dict\(\) for a row of a table"):
        matches(where, pandas.Series({"a": 2}))


def test_a_time_of_a_record_without_a_zone_is_refused() -> None:
    """A datetime without a time zone in a record is refused, because it would match nothing."""
    where = Col.date("created_at") > "2026-01-31T09:00:00Z"
    naive = datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None)
    words = r"the session's created_at, datetime.datetime\(2026, 5, 1.*\n.*Write value.replace\(tzinfo=timezone.utc\)"
    with pytest.raises(FilterError, match=words):
        matches(~where, {"created_at": naive})
    assert not matches(Col("created_at") == "x", {"created_at": naive})
    assert not matches(where, {"created_at": "2026-05-01T00:00:00"})


def test_a_datetime_of_pytz_must_be_localized() -> None:
    """Given as `tzinfo=`, a zone of pytz means local mean time, which nobody means: the error says what to write."""
    berlin = pytz.timezone("Europe/Berlin")
    moment = datetime(2026, 1, 31, 9)  # noqa: DTZ001  # pytz takes naive ones
    with pytest.raises(FilterError, match=r"is in local mean time\nhint: Write zone.localize\(...\), or use zoneinfo"):
        _ = Col("d") > moment.replace(tzinfo=berlin)
    assert (Col("d") > berlin.localize(moment)) == (Col.date("d") > "2026-01-31T09:00:00+01:00")


def test_prices_as_decimals_compare_and_are_binned_as_written() -> None:
    """0.10 is a tenth, in a filter as in a record, and each price is in the bin that it begins."""
    prices = [Decimal(cents) / 100 for cents in range(1, 200)]
    bins = Col.number("price").bins(*prices)
    for i, price in enumerate(prices):
        column = Col("price")
        filters = [column == price, column >= price, column <= price, ~(column != price), ~(column > price)]
        assert all(matches(where, {"price": price}) for where in [*filters, column.between(price, price)])
        assert [i + 1] == [j for j in (i, i + 1) if matches([*bins.values()][j], {"price": price})]
