"""Mistakes of the odd kind: numbers without end, and zones that are half made."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, tzinfo

import pytest

from galileo_sessions import (
    Col,
    FilterError,
)


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda: Col("x").one_of({10**5_000}), "the API has no one_of for a number"),
        (lambda: Col.number("n").values({10**5_000}), "more than 4,300 digits"),
        (lambda: Col.number("n").values(range(10**12)), "1,000,000 values at most"),
        (lambda: Col("x").one_of(itertools.repeat("a")), "1,000,000 values at most"),
        (lambda: Col.number("n").between(0.5, 10**17 + 1), "would lose digits. Write two integers, or two floats"),
        (lambda: Col.number("n").between(-(10**400), 0.5), "would lose digits"),
        (lambda: Col.date("t").on("2026-W18", tz="UTC"), "a week, not a day"),
        (lambda: Col.date("t").gt(datetime(2026, 1, 1, tzinfo=tzinfo())), "no UTC offset|time zone|naive"),
    ],
)
def test_what_would_be_another_value_is_refused(write, error):
    """With advice, and not with an error of Python's."""
    with pytest.raises(FilterError, match=error):
        write()


class Unnamed(tzinfo):
    """A time zone as Python takes it: without a name, and equal to others, but not hashable."""

    __hash__ = None

    def __eq__(self, other):
        return isinstance(other, Unnamed)

    def utcoffset(self, _):
        return timedelta(hours=1)

    def dst(self, _):
        return timedelta(0)


def test_a_zone_without_a_name_is_one():
    """It needs no hash, and no tzname()."""
    first = datetime(2026, 5, 1, tzinfo=Unnamed())
    assert Col.date("t").gt(first) == Col.date("t").gt("2026-05-01T00:00:00+01:00")
    assert len(Col.date("t").days(first, datetime(2026, 5, 3, tzinfo=Unnamed()))) == 2
