"""What columns make of values, and how they refuse the rest."""

from __future__ import annotations

import copy
import json
import pickle
from collections import deque
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import OPERATORS, PROJECT, USER, Berlin, Level, Mood, anything, check_message, refused, run

from galileo_sessions import (
    ALWAYS,
    BooleanFilter,
    Col,
    CollectionFilter,
    CountQuery,
    DateFilter,
    Filter,
    FilterError,
    FilterTypeError,
    FullyAnnotatedFilter,
    IdFilter,
    NumberFilter,
    QueueScopedFilterWarning,
    TextFilter,
    dump_query,
    fully_annotated,
    load_query,
)

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
TEN = datetime(2026, 1, 31, 10, tzinfo=UTC)

# ---- made ------------------------------------------------------------------------------------------------------------

METHODS: dict[str, Filter] = {
    "Col.text('a').eq('x')": TextFilter("a", "eq", "x"),
    "Col.text('a').ne('x')": TextFilter("a", "ne", "x"),
    "Col.text('a').contains('x')": TextFilter("a", "contains", "x"),
    "Col.text('a').one_of(['x', 'y'])": TextFilter("a", "one_of", ["x", "y"]),
    "Col.text('a').not_in(['x', 'y'])": TextFilter("a", "not_in", ["x", "y"]),
    "Col.text('a').eq('x', case_sensitive=False)": TextFilter("a", "eq", "x", case_sensitive=False),
    "Col.text('a').ne('x', case_sensitive=False)": TextFilter("a", "ne", "x", case_sensitive=False),
    "Col.text('a').contains('x', case_sensitive=False)": TextFilter("a", "contains", "x", case_sensitive=False),
    "Col.text('a').one_of(['x'], case_sensitive=False)": TextFilter("a", "one_of", ["x"], case_sensitive=False),
    "Col.text('a').not_in(['x'], case_sensitive=False)": TextFilter("a", "not_in", ["x"], case_sensitive=False),
    "Col.text('a').eq('x', case_sensitive=True)": TextFilter("a", "eq", "x", case_sensitive=True),
    "Col.text('a').eq('')": TextFilter("a", "eq", ""),
    "Col.collection('a').eq('x')": CollectionFilter("a", "eq", "x"),
    "Col.collection('a').contains('x')": CollectionFilter("a", "contains", "x"),
    "Col.collection('a').one_of(['x', 'y'])": CollectionFilter("a", "one_of", ["x", "y"]),
    "Col.collection('a').not_in(['x', 'y'])": CollectionFilter("a", "not_in", ["x", "y"]),
    "Col.collection('a').eq('x', case_sensitive=False)": CollectionFilter("a", "eq", "x", case_sensitive=False),
    "Col.collection('a').contains('x', case_sensitive=False)": CollectionFilter(
        "a", "contains", "x", case_sensitive=False
    ),
    "Col.collection('a').one_of(['x'], case_sensitive=False)": CollectionFilter(
        "a", "one_of", ["x"], case_sensitive=False
    ),
    "Col.collection('a').not_in(['x'], case_sensitive=False)": CollectionFilter(
        "a", "not_in", ["x"], case_sensitive=False
    ),
    "Col.number('a').eq(1)": NumberFilter("a", "eq", 1),
    "Col.number('a').ne(1)": NumberFilter("a", "ne", 1),
    "Col.number('a').gt(1)": NumberFilter("a", "gt", 1),
    "Col.number('a').gte(1)": NumberFilter("a", "gte", 1),
    "Col.number('a').lt(1)": NumberFilter("a", "lt", 1),
    "Col.number('a').lte(1)": NumberFilter("a", "lte", 1),
    "Col.number('a').between(1, 2.5)": NumberFilter("a", "between", [1, 2.5]),
    "Col.number('a').between(1, 1)": NumberFilter("a", "between", [1, 1]),
    "Col.date('a').eq(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "eq", NINE),
    "Col.date('a').ne(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "ne", NINE),
    "Col.date('a').gt(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "gt", NINE),
    "Col.date('a').gte('2026-01-31T10:00:00+01:00')": DateFilter("a", "gte", NINE),
    "Col.date('a').lt('2026-01-31T09:00:00Z')": DateFilter("a", "lt", NINE),
    "Col.date('a').lte('2026-01-31 09:00:00z')": DateFilter("a", "lte", NINE),
    "Col.date('a').between('2026-01-31T09:00:00Z', datetime(2026, 1, 31, 10, tzinfo=UTC))": (
        DateFilter("a", "gte", NINE) & DateFilter("a", "lte", TEN)
    ),
    "Col.boolean('a').eq(True)": BooleanFilter("a", "eq", value=True),
    "Col.boolean('a').ne(False)": BooleanFilter("a", "ne", value=False),
    "Col.boolean('a').is_true()": BooleanFilter("a", "eq", value=True),
    "Col.boolean('a').is_false()": BooleanFilter("a", "eq", value=False),
    "Col.id('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col.id('a').ne(PROJECT)": IdFilter("a", "ne", PROJECT),
    "Col.id('a').contains('74aec')": IdFilter("a", "contains", "74aec"),
    "Col.id('a').one_of([UUID(PROJECT), USER])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col.id('a').not_in([UUID(PROJECT)])": IdFilter("a", "not_in", [PROJECT]),
    "Col.id('a').not_in(['x'])": IdFilter("a", "not_in", ["x"]),
}

SYMBOLS: dict[str, Filter] = {
    "Col.text('a') == 'x'": TextFilter("a", "eq", "x"),
    "Col.text('a') != 'x'": TextFilter("a", "ne", "x"),
    "Col.collection('a') == 'x'": CollectionFilter("a", "eq", "x"),
    "Col.number('a') == 1": NumberFilter("a", "eq", 1),
    "Col.number('a') != 1": NumberFilter("a", "ne", 1),
    "Col.number('a') > 1": NumberFilter("a", "gt", 1),
    "Col.number('a') >= 1": NumberFilter("a", "gte", 1),
    "Col.number('a') < 1": NumberFilter("a", "lt", 1),
    "Col.number('a') <= 1": NumberFilter("a", "lte", 1),
    "1 < Col.number('a')": NumberFilter("a", "gt", 1),
    "1 >= Col.number('a')": NumberFilter("a", "lte", 1),
    "1 == Col.number('a')": NumberFilter("a", "eq", 1),
    "np.float64(1) < Col.number('a')": NumberFilter("a", "gt", 1),
    "Col.date('a') == '2026-01-31T09:00:00Z'": DateFilter("a", "eq", NINE),
    "Col.date('a') != '2026-01-31T09:00:00Z'": DateFilter("a", "ne", NINE),
    "Col.date('a') > '2026-01-31T09:00:00Z'": DateFilter("a", "gt", NINE),
    "Col.date('a') >= '2026-01-31T09:00:00Z'": DateFilter("a", "gte", NINE),
    "Col.date('a') < '2026-01-31T09:00:00Z'": DateFilter("a", "lt", NINE),
    "Col.date('a') <= '2026-01-31T09:00:00Z'": DateFilter("a", "lte", NINE),
    "datetime(2026, 1, 31, 9, tzinfo=UTC) <= Col.date('a')": DateFilter("a", "gte", NINE),
    "Col.boolean('a') == True": BooleanFilter("a", "eq", value=True),
    "Col.boolean('a') != True": BooleanFilter("a", "ne", value=True),
    "Col.id('a') == UUID(PROJECT)": IdFilter("a", "eq", PROJECT),
    "Col.id('a') != PROJECT": IdFilter("a", "ne", PROJECT),
    "Col('a') == 'x'": TextFilter("a", "eq", "x"),
    "Col('a') != 'x'": TextFilter("a", "ne", "x"),
    "Col('a') != 1": NumberFilter("a", "ne", 1),
    "Col('a') > 1": NumberFilter("a", "gt", 1),
    "Col('a') >= 1": NumberFilter("a", "gte", 1),
    "Col('a') < 1": NumberFilter("a", "lt", 1),
    "Col('a') <= 1": NumberFilter("a", "lte", 1),
}

INFERRED: dict[str, Filter] = {
    "Col('a').eq(True)": BooleanFilter("a", "eq", value=True),
    "Col('a').ne(False)": BooleanFilter("a", "ne", value=False),
    "Col('a').is_true()": BooleanFilter("a", "eq", value=True),
    "Col('a').is_false()": BooleanFilter("a", "eq", value=False),
    "Col('a').eq(np.bool_(True))": BooleanFilter("a", "eq", value=True),
    "Col('a').eq(1)": NumberFilter("a", "eq", 1),
    "Col('a').ne(1.5)": NumberFilter("a", "ne", 1.5),
    "Col('a').gt(-1)": NumberFilter("a", "gt", -1),
    "Col('a').gte(10**400)": NumberFilter("a", "gte", 10**400),
    "Col('a').lt(Decimal('0.1'))": NumberFilter("a", "lt", 0.1),
    "Col('a').lte(Decimal('3.00'))": NumberFilter("a", "lte", 3),
    "Col('a').eq(Decimal('1e400'))": NumberFilter("a", "eq", 10**400),
    "Col('a').eq(Level.HIGH)": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.int64(3))": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.uint8(3))": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.float32(0.5))": NumberFilter("a", "eq", 0.5),
    "Col('a').eq(np.float64(0.1))": NumberFilter("a", "eq", 0.1),
    "Col('a').between(1, 2)": NumberFilter("a", "between", [1, 2]),
    "Col('a').between(np.float32(0.5), Decimal('0.75'))": NumberFilter("a", "between", [0.5, 0.75]),
    "Col('a').gt(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "gt", NINE),
    "Col('a').eq(datetime(2026, 1, 31, 10, tzinfo=Berlin()))": DateFilter("a", "eq", NINE),
    "Col('a').between(datetime(2026, 1, 31, 9, tzinfo=UTC), datetime(2026, 1, 31, 10, tzinfo=UTC))": (
        DateFilter("a", "gte", NINE) & DateFilter("a", "lte", TEN)
    ),
    "Col('a').on('2026-01-31', tz=UTC)": (
        DateFilter("a", "gte", "2026-01-31T00:00:00Z") & DateFilter("a", "lt", "2026-02-01T00:00:00Z")
    ),
    "Col('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col('a').ne(UUID(PROJECT))": IdFilter("a", "ne", PROJECT),
    "Col('a').contains(UUID(PROJECT))": IdFilter("a", "contains", PROJECT),
    "Col('a').one_of([UUID(PROJECT), UUID(USER)])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col('a').not_in((UUID(PROJECT),))": IdFilter("a", "not_in", [PROJECT]),
    "Col('a').eq('x')": TextFilter("a", "eq", "x"),
    "Col('a').ne('x', case_sensitive=False)": TextFilter("a", "ne", "x", case_sensitive=False),
    "Col('a').eq(PROJECT)": TextFilter("a", "eq", PROJECT),
    "Col('a').eq('2026-01-31T09:00:00Z')": TextFilter("a", "eq", "2026-01-31T09:00:00Z"),
    "Col('a').eq(Mood.GOOD)": TextFilter("a", "eq", "good"),
    "Col('a').eq(np.str_('x'))": TextFilter("a", "eq", "x"),
    "Col('a').contains('x')": TextFilter("a", "contains", "x"),
    "Col('a').one_of(['x', 'y'], case_sensitive=False)": TextFilter("a", "one_of", ["x", "y"], case_sensitive=False),
    "Col('a').not_in(['x'])": TextFilter("a", "not_in", ["x"]),
    "Col('a').one_of(list(Mood))": TextFilter("a", "one_of", ["good", "bad"]),
    "Col('a').one_of(np.array(['x', 'y']))": TextFilter("a", "one_of", ["x", "y"]),
}

LISTS: dict[str, Filter] = {
    "Col('a').one_of(('y', 'x'))": TextFilter("a", "one_of", ["y", "x"]),
    "Col('a').one_of({'y', 'z', 'x'})": TextFilter("a", "one_of", ["x", "y", "z"]),
    "Col('a').one_of(frozenset({'y', 'z', 'x'}))": TextFilter("a", "one_of", ["x", "y", "z"]),
    "Col('a').not_in({'y': 1, 'x': 2}.keys())": TextFilter("a", "not_in", ["x", "y"]),
    "Col('a').not_in({1: 'y', 2: 'x'}.values())": TextFilter("a", "not_in", ["y", "x"]),
    "Col('a').one_of(text for text in ['y', 'x'])": TextFilter("a", "one_of", ["y", "x"]),
    "Col('a').not_in(iter(['y', 'x']))": TextFilter("a", "not_in", ["y", "x"]),
    "Col('a').one_of(UUID(text) for text in [PROJECT, USER])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col('a').one_of({UUID(PROJECT), UUID(USER)})": IdFilter("a", "one_of", [USER, PROJECT]),
    "Col.id('a').not_in({UUID(PROJECT), USER})": IdFilter("a", "not_in", [USER, PROJECT]),
    "Col.text('a').one_of(iter(['y', 'x']))": TextFilter("a", "one_of", ["y", "x"]),
    "Col.collection('a').one_of({'y', 'x'})": CollectionFilter("a", "one_of", ["x", "y"]),
    "Col.collection('a').not_in(text for text in 'yx')": CollectionFilter("a", "not_in", ["y", "x"]),
    "Col.id('a').one_of(text for text in [PROJECT])": IdFilter("a", "one_of", [PROJECT]),
}


@pytest.mark.parametrize("program", [*METHODS, *SYMBOLS, *INFERRED, *LISTS])
def test_a_comparison_makes_a_leaf(program: str) -> None:
    """Each method and operator of each column makes the leaf of its type; `Col` takes the type from the value."""
    expected = (METHODS | SYMBOLS | INFERRED | LISTS)[program]
    made = run(program)
    assert expected == made
    assert type(expected) is type(made)


def test_the_tables_above_are_complete() -> None:
    """Each method and symbol of each column type is among them."""
    symbols = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
    for kind, names in OPERATORS.items():
        column = f"Col.{kind}('a')"
        assert all(any(program.startswith(f"{column}.{name}(") for program in METHODS) for name in names)
        written = [symbols[name] for name in names if name in symbols]
        assert all(any(program.startswith(f"{column} {symbol} ") for program in SYMBOLS) for symbol in written)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("Col('a').eq(Level.HIGH)", int),
        ("Col('a').eq(np.int64(3))", int),
        ("Col('a').eq(np.array(3))", int),
        ("Col('a').eq(Decimal('3'))", int),
        ("Col('a').eq(np.float64(0.1))", float),
        ("Col('a').eq(np.float32(0.5))", float),
        ("Col('a').eq(Decimal('0.1'))", float),
        ("Col('a').eq(np.bool_(True))", bool),
        ("Col('a').eq(Mood.GOOD)", str),
        ("Col('a').eq(np.str_('x'))", str),
        ("Col('a').eq(UUID(PROJECT))", str),
        ("Col('a').eq(datetime(2026, 1, 31, tzinfo=Berlin()))", datetime),
        ("Col('a').one_of(['x'])", tuple),
    ],
)
def test_a_leaf_holds_plain_values(program: str, expected: type) -> None:
    """Whatever the value was, the leaf holds one that JSON knows, or a datetime."""
    assert expected is type(run(program).value)


@pytest.mark.parametrize(
    ("program", "start", "end"),
    [
        ("Col.date('a').on('2026-01-31', tz=UTC)", "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("Col.date('a').on(date(2026, 1, 31), tz=Berlin())", "2026-01-31T00:00:00+01:00", "2026-02-01T00:00:00+01:00"),
        ("Col.date('a').on('2026-03-29', tz=Berlin())", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("Col('a').on('2026-10-25', tz=Berlin())", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("Col.date('a').on('9999-12-30', tz=UTC)", "9999-12-30T00:00:00+00:00", "9999-12-31T00:00:00+00:00"),
        (
            "Col.date('a').on('1890-01-01', tz=timezone(timedelta(minutes=53, seconds=28)))",
            "1889-12-31T23:06:32+00:00",
            "1890-01-01T23:06:32+00:00",
        ),
    ],
)
def test_a_day_goes_from_its_midnight_to_the_next(program: str, start: str, end: str) -> None:
    """`on` makes two leaves, 23 or 25 hours apart where the clocks change."""
    made = run(program)
    assert Col.date("a").gte(start) & Col.date("a").lt(end) == made
    assert [start, end] == [leaf.value.isoformat() for leaf in made.children]


def test_a_date_keeps_its_offset() -> None:
    """The instant travels in the offset it was written in, and keeps its microseconds."""
    made = run("Col.date('a').gt('2026-01-31T09:00:00.000001+05:30')")
    assert timezone(timedelta(hours=5, minutes=30)) == made.value.tzinfo
    assert "2026-01-31T09:00:00.000001+05:30" == made.value.isoformat()


@pytest.mark.parametrize("fold", [0, 1], ids=["first", "second"])
def test_an_hour_that_comes_twice_is_told_by_fold(fold: int) -> None:
    """Where clocks go back, an aware datetime's `fold` decides which of the two instants is meant."""

    class Back(Berlin):
        def utcoffset(self, at: datetime | None) -> timedelta:
            return timedelta(hours=1 if at is not None and at.fold else 2)

    made = run("Col('a').eq(at)", at=datetime(2026, 10, 25, 2, 30, tzinfo=Back(), fold=fold))
    assert datetime(2026, 10, 25, fold, 30, tzinfo=UTC) == made.value
    assert 0 == made.value.fold


COLUMNS = ["Col", "Col.text", "Col.number", "Col.date", "Col.boolean", "Col.collection", "Col.id"]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("column_id", ["a", "metrics/0b7a2f0e", 'it\'s "x"\n\\', "é😀"], ids=ascii)
def test_a_column_shows_its_id_and_how_to_make_it(name: str, column_id: str) -> None:
    """`column_id` is the id as it was given; the repr is the program; a pickle and a copy are the same column."""
    column = run(f"{name}({column_id!r})")
    assert column_id == column.column_id
    assert f"{name}({column_id!r})" == repr(column)
    for again in (pickle.loads(pickle.dumps(column)), copy.copy(column), copy.deepcopy(column)):
        assert type(column) is type(again)
        assert column_id == again.column_id


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_cannot_be_changed(name: str) -> None:
    """Its id is set once."""
    column = run(f"{name}('a')")
    with pytest.raises(AttributeError):
        column.column_id = "b"
    with pytest.raises(AttributeError):
        column.other = "b"


# ---- refused: values -------------------------------------------------------------------------------------------------

Refusals = list[tuple[str, type[Exception], list[str]]]

VALUES: Refusals = [
    (
        "Col('a').eq(datetime(2026, 1, 31))",
        FilterError,
        ["Col('a').eq(", "time zone", "tzinfo=timezone.utc", "astimezone()"],
    ),
    ("Col('a').gte(datetime(2026, 1, 31))", FilterError, ["Col('a').gte(", "time zone", "tzinfo=timezone.utc"]),
    ("Col.date('a').ne(datetime(2026, 1, 31))", FilterError, ["Col.date('a').ne(", "time zone", "tzinfo=timezone.utc"]),
    ("Col('a') < datetime(2026, 1, 31)", FilterError, ["Col('a').lt(", "time zone", "tzinfo=timezone.utc"]),
    ("Col('a').eq(date(2026, 1, 31))", FilterTypeError, ["Col('a').eq(", "Col.date('a').on('2026-01-31', tz=...)"]),
    ("Col('a') > date(2026, 1, 31)", FilterTypeError, ["Col('a').gt(", "Col.date('a').on('2026-01-31', tz=...)"]),
    ("Col.date('a').lt(date(2026, 1, 31))", FilterTypeError, ["Col.date('a').lt(", "bare date", ".on('2026-01-31'"]),
    ("Col('a').contains(date(2026, 1, 31))", FilterTypeError, ["Col('a').contains(", ".on('2026-01-31'"]),
    ("Col('a').eq(float('nan'))", FilterError, ["Col('a').eq(nan)", "not a number"]),
    ("Col('a') > float('inf')", FilterError, ["Col('a').gt(inf)", "not a number"]),
    ("Col.number('a').lt(-float('inf'))", FilterError, ["Col.number('a').lt(-inf)", "not a number"]),
    ("Col('a').gt(np.float32('nan'))", FilterError, ["Col('a').gt(", "nan", "not a number"]),
    ("Col('a').gt(np.float64('inf'))", FilterError, ["Col('a').gt(", "inf", "not a number"]),
    ("Col('a').gt(Decimal('NaN'))", FilterError, ["Col('a').gt(Decimal('NaN'))", "not a number"]),
    ("Col('a').gt(Decimal('sNaN'))", FilterError, ["Col('a').gt(Decimal('sNaN'))", "not a number"]),
    ("Col('a').gt(Decimal('-Infinity'))", FilterError, ["Col('a').gt(", "not a number"]),
    ("Col('a').gt(10**5000)", FilterError, ["Col('a').gt(", "4,300 digits"]),
    ("Col('a').gt(Decimal('1e5000'))", FilterError, ["Col('a').gt(", "4,300 digits"]),
    ("Col('a').gt(Decimal('0.1000000000000000000001'))", FilterError, ["Col('a').gt(", "lose digits", "float(...)"]),
    ("Col('a').eq(None)", FilterTypeError, ["Col('a').eq(None)", "missing value", "Leave this condition out"]),
    ("Col('a') == None", FilterTypeError, ["Col('a').eq(None)", "missing value"]),
    ("Col('a') != None", FilterTypeError, ["Col('a').ne(None)", "missing value"]),
    ("Col('a').contains(None)", FilterTypeError, ["Col('a').contains(None)", "missing value"]),
    ("Col.number('a') > None", FilterTypeError, ["Col.number('a').gt(None)", "missing value"]),
    ("Col.text('a').eq(None)", FilterTypeError, ["Col.text('a').eq(None)", "missing value"]),
    ("Col.date('a').eq(None)", FilterTypeError, ["Col.date('a').eq(None)", "missing value"]),
    ("Col.boolean('a').eq(None)", FilterTypeError, ["Col.boolean('a').eq(None)", "missing value"]),
    ("Col.collection('a').contains(None)", FilterTypeError, ["Col.collection('a').contains(None)", "missing value"]),
    ("Col.id('a').eq(None)", FilterTypeError, ["Col.id('a').eq(None)", "missing value"]),
    ("Col('a').one_of(None)", FilterTypeError, ["Col('a').one_of(None)", "a list"]),
    ("Col('a').eq(b'x')", FilterTypeError, ["Col('a').eq(b'x')", ".decode()"]),
    ("Col('a').contains(bytearray(b'x'))", FilterTypeError, ["Col('a').contains(", ".decode()"]),
    ("Col.text('a').eq(b'x')", FilterTypeError, ["Col.text('a').eq(b'x')", ".decode()"]),
    ("Col('a').one_of(b'x')", FilterTypeError, ["Col('a').one_of(b'x')", ".decode()"]),
    ("Col('a').one_of([b'x'])", FilterTypeError, ["Col('a').one_of([b'x'])", "list of text"]),
    ("Col('a').one_of([])", FilterError, ["Col('a').one_of([])", "empty list", "NEVER"]),
    ("Col('a').not_in([])", FilterError, ["Col('a').not_in([])", "empty list", "ALWAYS"]),
    ("Col.text('a').one_of(())", FilterError, ["Col.text('a').one_of(())", "empty list", "NEVER"]),
    ("Col.collection('a').not_in(set())", FilterError, ["Col.collection('a').not_in(set())", "empty list", "ALWAYS"]),
    ("Col.id('a').one_of(iter([]))", FilterError, ["Col.id('a').one_of(())", "empty list", "NEVER"]),
    ("Col('a').one_of(['x', 1])", FilterTypeError, ["Col('a').one_of(['x', 1])", "text only", "UUIDs only"]),
    ("Col('a').not_in(['x', None])", FilterTypeError, ["Col('a').not_in(['x', None])", "text only"]),
    ("Col('a').one_of(['x', UUID(PROJECT)])", FilterTypeError, ["Col('a').one_of(['x', UUID(", "UUIDs only"]),
    ("Col.text('a').one_of(['x', 1])", FilterTypeError, ["Col.text('a').one_of(['x', 1])", "text only"]),
    ("Col.id('a').one_of([UUID(PROJECT), 1])", FilterTypeError, ["Col.id('a').one_of(", "UUIDs only"]),
    (
        "Col('a').one_of([1, 2])",
        FilterTypeError,
        ["Col('a').one_of([1, 2])", "no one_of for a number", "any_of([", ".eq("],
    ),
    ("Col('a').not_in([1.5])", FilterTypeError, ["Col('a').not_in([1.5])", "no not_in for a number", "~any_of(["]),
    ("Col('a').one_of([True])", FilterTypeError, ["Col('a').one_of([True])", "boolean", "any_of([", ".eq("]),
    ("Col('a').one_of({1, 2})", FilterTypeError, ["Col('a').one_of({1, 2})", "number", "any_of([", ".eq("]),
    ("Col('a').one_of(range(3))", FilterTypeError, ["Col('a').one_of(range(0, 3))", "number", "any_of(["]),
    ("Col.text('a').one_of([1])", FilterTypeError, ["Col.text('a').one_of([1])", "number", "any_of(["]),
    ("Col.text('a').one_of([UUID(PROJECT)])", FilterTypeError, ["Col.text('a').one_of(", "UUIDs", "Col.id("]),
    ("Col.collection('a').one_of([UUID(PROJECT)])", FilterTypeError, ["Col.collection('a').one_of(", "Col.id("]),
    ("Col('a').one_of('abc')", FilterTypeError, ["Col('a').one_of('abc')", "a list", "one_of(['abc'])"]),
    ("Col('a').not_in('abc')", FilterTypeError, ["Col('a').not_in('abc')", "a list", "not_in(['abc'])"]),
    ("Col.text('a').one_of('abc')", FilterTypeError, ["Col.text('a').one_of('abc')", "one_of(['abc'])"]),
    ("Col.collection('a').one_of('abc')", FilterTypeError, ["Col.collection('a').one_of('abc')", "one_of(['abc'])"]),
    ("Col.id('a').not_in('abc')", FilterTypeError, ["Col.id('a').not_in('abc')", "not_in(['abc'])"]),
    ("Col.id('a').one_of(UUID(PROJECT))", FilterTypeError, ["Col.id('a').one_of(UUID(", "one_of([UUID("]),
    ("Col('a').one_of(5)", FilterTypeError, ["Col('a').one_of(5)", "a list"]),
    ("Col('a').one_of({'x': 1})", FilterTypeError, ["Col('a').one_of({'x': 1})", "a list"]),
    ("Col('a').one_of(Col('b'))", FilterTypeError, ["Col('a').one_of(Col('b'))", "a list"]),
    ("Col('a').eq(['x'])", FilterTypeError, ["Col('a').eq(['x'])", "single values", "one_of([...])"]),
    ("Col('a') == {'x'}", FilterTypeError, ["Col('a').eq({'x'})", "single values", "one_of([...])"]),
    ("Col('a').contains(('x',))", FilterTypeError, ["Col('a').contains(('x',))", "single values"]),
    ("Col.text('a').eq(['x'])", FilterTypeError, ["Col.text('a').eq(['x'])", "single values", "one_of([...])"]),
    ("Col.text('a').contains(['x'])", FilterTypeError, ["Col.text('a').contains(['x'])", "single values"]),
    ("Col.text('a').ne(())", FilterTypeError, ["Col.text('a').ne(())", "single values"]),
    ("Col.collection('a').contains(['x'])", FilterTypeError, ["Col.collection('a').contains(['x'])", "single values"]),
    ("Col.number('a').gt([1, 2])", FilterTypeError, ["Col.number('a').gt([1, 2])", "single values"]),
    ("Col.number('a') == []", FilterTypeError, ["Col.number('a').eq([])", "single values"]),
    ("Col.id('a').eq([PROJECT])", FilterTypeError, ["Col.id('a').eq([", "single values", "one_of([...])"]),
    ("Col('a').between()", TypeError, ["between()", "'low' and 'high'"]),
    ("Col('a').between(1)", TypeError, ["between()", "'high'"]),
    ("Col('a').between([1, 2])", TypeError, ["between()", "'high'"]),
    ("Col.number('a').between(1, 2, 3)", TypeError, ["between()", "but 4 were given"]),
    ("Col('a').between(2, 1)", FilterError, ["Col('a').between(2, 1)", "Swap"]),
    ("Col('a').between(1, float('nan'))", FilterError, ["Col('a').between(1, nan)", "not a number"]),
    ("Col('a').between(None, 1)", FilterTypeError, ["Col('a').between(None, 1)", "missing value"]),
    (
        "Col('a').between('a', 'b')",
        FilterTypeError,
        ["Col('a').between('a', 'b')", "text has no order", "Col.date('a')"],
    ),
    ("Col('a').between(False, True)", FilterTypeError, ["Col('a').between(False, True)", "boolean"]),
    ("Col('a').between([1], [2])", FilterTypeError, ["Col('a').between([1], [2])"]),
    ("Col.date('a').between('2026-01-31T09:00:00Z')", TypeError, ["between()", "'end'"]),
    (
        "Col.date('a').between('2026-01-31T09:00:00Z', '2026-01-31T09:00:00+01:00')",
        FilterError,
        ["Col.date('a').between(", "Swap"],
    ),
    (
        "Col('a').between(datetime(2026, 1, 31), datetime(2026, 2, 1))",
        FilterError,
        ["Col('a').between(", "time zone", "tzinfo=timezone.utc"],
    ),
    ("Col('a').between(1, datetime(2026, 1, 31, tzinfo=UTC))", FilterTypeError, ["Col('a').between(1, datetime"]),
    ("Col.date('a').between(date(2026, 1, 1), date(2026, 2, 1))", FilterTypeError, [".between(", ".on('2026-01-01'"]),
    ("Col.date('a').gt('2026-01-31T09:00:00')", FilterError, ["Col.date('a').gt('2026", "UTC offset", "+00:00"]),
    ("Col.date('a').gt('yesterday')", FilterError, ["Col.date('a').gt('yesterday')", "ISO 8601", "2026-01-31T09"]),
    ("Col.date('a').gt('2026-01-31T09:00:00.1234567Z')", FilterError, ["Col.date('a').gt('2026", "microsecond"]),
    ("Col.date('a').gt(1)", FilterTypeError, ["Col.date('a').gt(1)", "Col.number('a').gt(...)"]),
    ("Col.date('a').on(datetime(2026, 1, 31), tz=UTC)", FilterTypeError, ["Col.date('a').on(", "a date", "eq"]),
    ("Col.date('a').on('31.1.2026', tz=UTC)", FilterError, ["Col.date('a').on('31.1.2026')", "2026-01-31"]),
    ("Col.date('a').on(None, tz=UTC)", FilterTypeError, ["Col.date('a').on(None)", "2026-01-31"]),
    ("Col.date('a').on('2026-01-31', tz='UTC')", FilterTypeError, ["Col.date('a').on(", "timezone.utc", "ZoneInfo("]),
    ("Col.date('a').on('9999-12-31', tz=UTC)", FilterError, ["Col.date('a').on('9999-12-31')", "1 to 9999"]),
    (
        "Col.date('a').on('0001-01-01', tz=timezone(timedelta(minutes=53, seconds=28)))",
        FilterError,
        ["Col.date('a').on('0001-01-01')", "1 to 9999"],
    ),
    ("Col('a').gt('x')", FilterTypeError, ["Col('a').gt('x')", "text has no order", "Col.date('a').gt(...)"]),
    ("Col('a') > '2.5'", FilterTypeError, ["Col('a').gt('2.5')", "For a number", "write Col.number('a').gt(2.5)"]),
    ("Col.number('a') > '2'", FilterTypeError, ["Col.number('a').gt('2')", "For a number write Col.number('a').gt(2)"]),
    ("Col('a').between('1', '2')", FilterTypeError, ["Col('a').between('1', '2')", "Col.number('a').between(...)"]),
    ("Col('a') > '2026-05-01'", FilterTypeError, ["write Col.date('a').gt('2026-05-01T00:00:00+00:00')"]),
    ("Col('a').lt('2026-05-01T09:00:00+02:00')", FilterTypeError, ["Col.date('a').lt('2026-05-01T09:00:00+02:00')"]),
    ("Col('a').between('2026-05-01', '2026-06-01')", FilterTypeError, ["For a date write Col.date('a').between(...)"]),
    ("Col('a').gt(True)", FilterTypeError, ["Col('a').gt(True)", "boolean", "only eq, ne"]),
    ("Col('a').contains(3)", FilterTypeError, ["Col('a').contains(3)", "number", "only eq, ne, gt"]),
    ("Col('a').eq(3 + 4j)", FilterTypeError, ["Col('a').eq((3+4j))", "complex", "Write text, a number"]),
    ("Col('a').eq(object)", FilterTypeError, ["Col('a').eq(<class 'object'>)", "Write text, a number"]),
    ("Col('a').eq(np.array([1, 2]))", FilterTypeError, ["Col('a').eq(array([1, 2]))", "ndarray"]),
    ("Col('a').eq(Col('b'))", FilterTypeError, ["Col('a').eq(Col('b'))", "another column"]),
    ("Col('a') < Col('b')", FilterTypeError, ["Col('a').lt(Col('b'))", "another column"]),
    ("Col('a') == (Col('b') == 1)", FilterTypeError, ["Col('a').eq(", "a filter"]),
    ("Col.text('a').eq(1)", FilterTypeError, ["Col.text('a').eq(1)", "number", "Col.number('a').eq(...)"]),
    ("Col.text('a').eq(UUID(PROJECT))", FilterTypeError, ["Col.text('a').eq(UUID(", "an id", "Col.id('a').eq(...)"]),
    ("Col.number('a').eq('1')", FilterTypeError, ["Col.number('a').eq('1')", "text", "Col.text('a').eq(...)"]),
    ("Col.number('a').eq(True)", FilterTypeError, ["Col.number('a').eq(True)", "Col.boolean('a').eq(...)"]),
    ("Col.number('a').gt('1')", FilterTypeError, ["Col.number('a').gt('1')", "text"]),
    ("Col.boolean('a').eq(1)", FilterTypeError, ["Col.boolean('a').eq(1)", "Col.number('a').eq(...)"]),
    ("Col.boolean('a').ne('true')", FilterTypeError, ["Col.boolean('a').ne('true')", "Col.text('a').ne(...)"]),
    ("Col.id('a').eq(1)", FilterTypeError, ["Col.id('a').eq(1)", "Col.number('a').eq(...)"]),
    ("Col.id('a').contains(1)", FilterTypeError, ["Col.id('a').contains(1)", "number"]),
    ("Col.collection('a').contains(1)", FilterTypeError, ["Col.collection('a').contains(1)", "number"]),
    ("Col('a').eq('\\ud800')", FilterError, ["Col('a').eq('\\ud800')", "surrogate"]),
    ("Col.text('a').contains('x\\udfff')", FilterError, ["Col.text('a').contains('x\\udfff')", "surrogate"]),
    ("Col('a').one_of(['x', '\\ud800'])", FilterError, ["Col('a').one_of(['x', '\\ud800'])", "surrogate"]),
    ("Col('a').eq(1, case_sensitive=False)", FilterError, ["Col('a').eq(1)", "case_sensitive=False"]),
    (
        "Col('a').one_of([UUID(PROJECT)], case_sensitive=False)",
        FilterError,
        ["Col('a').one_of(", "case_sensitive=False"],
    ),
    (
        "Col('a').eq('x', case_sensitive=None)",
        FilterError,
        ["Col('a').eq('x')", "case_sensitive=None", "True or False"],
    ),
    ("Col.text('a').eq('x', case_sensitive=0)", FilterError, ["Col.text('a').eq('x')", "case_sensitive=0"]),
]

COLUMN_IDS: Refusals = [
    (f"{column}({argument})", error, words)
    for column in COLUMNS
    for argument, error, words in [
        ("''", FilterError, ["column id can't be empty", 'Col("input")']),
        ("None", FilterTypeError, ["column id is text", "None"]),
        ("b'a'", FilterTypeError, ["column id is text", "b'a'"]),
        ("5", FilterTypeError, ["column id is text", "5"]),
        ("Col('a')", FilterTypeError, ["column id is text", "Col('a')"]),
        ("'\\ud800'", FilterError, ["column id '\\ud800'", "surrogate"]),
    ]
]

METHODS_MISSING: Refusals = [
    (
        "Col.number('a').contains('x')",
        AttributeError,
        ["Col.number('a')", "contains", "between", "Col.text('a').contains("],
    ),
    ("Col.number('a').one_of([1])", AttributeError, ["Col.number('a')", "one_of", "Col.text('a').one_of("]),
    ("Col.number('a').is_true()", AttributeError, ["Col.number('a')", "is_true", "Col.boolean('a').is_true("]),
    ("Col.text('a').gt('x')", AttributeError, ["Col.text('a')", "gt (>)", "Col.number('a').gt(", "Col.date('a').gt("]),
    ("Col.text('a').between(1, 2)", AttributeError, ["Col.text('a')", "between", "Col.number('a').between("]),
    ("Col.text('a').on('2026-01-31')", AttributeError, ["Col.text('a')", "Col.date('a').on("]),
    ("Col.boolean('a').lt(True)", AttributeError, ["Col.boolean('a')", "lt (<)", "Col.number('a').lt("]),
    ("Col.boolean('a').one_of([True])", AttributeError, ["Col.boolean('a')", "one_of", "eq, ne"]),
    ("Col.date('a').contains('x')", AttributeError, ["Col.date('a')", "contains", "Col.text('a').contains("]),
    ("Col.date('a').one_of([])", AttributeError, ["Col.date('a')", "one_of"]),
    ("Col.id('a').gte('x')", AttributeError, ["Col.id('a')", "gte (>=)", "Col.number('a').gte("]),
    (
        "Col.collection('a').ne('x')",
        AttributeError,
        ["Col.collection('a')", "ne (!=)", "not_in([...])", "~Col.collection"],
    ),
    ("Col.collection('a').lte('x')", AttributeError, ["Col.collection('a')", "lte (<=)"]),
    ("Col.number('a').betwen(1, 2)", AttributeError, ["Col.number('a')", "betwen", "Did you mean between?"]),
    ("Col('a').contain('x')", AttributeError, ["Col('a')", "contain", "Did you mean contains?"]),
    ("Col('a').like('x')", AttributeError, ["Col('a') has no like", "contains"]),
    ("Col.text('a') < 'x'", FilterTypeError, ["Col.text('a')", "lt (<)", "Col.number('a').lt(", "Col.date('a').lt("]),
    ("Col.text('a') >= 'x'", FilterTypeError, ["Col.text('a')", "gte (>=)"]),
    ("'x' < Col.text('a')", FilterTypeError, ["Col.text('a')", "gt (>)"]),
    ("Col.boolean('a') > True", FilterTypeError, ["Col.boolean('a')", "gt (>)"]),
    (
        "Col.collection('a') != 'x'",
        FilterTypeError,
        ["Col.collection('a')", "ne (!=)", "not_in([...])", "~Col.collection"],
    ),
    ("Col.collection('a') <= 'x'", FilterTypeError, ["Col.collection('a')", "lte (<=)"]),
    ("Col.id('a') >= 'x'", FilterTypeError, ["Col.id('a')", "gte (>=)"]),
]

PARENTHESES = ['(Col("a") == 1) & (Col("b") == 2)', "binds tighter"]
TRUTH = ["a & b", "a | b", "~a", "one_of([...])", '(Col("x") > 1) & (Col("x") < 3)', "f is not None"]

GUARDS: Refusals = [
    ("Col('a') == 1 & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    (
        "Col('a') == 1 | Col('b') == 2",
        FilterTypeError,
        ["Col('b')", '(Col("a") == 1) | (Col("b") == 2)', "binds tighter"],
    ),
    ("Col('a') > 1 & Col('b') > 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') == 'x' & Col('b') == 'y'", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col.number('a') == 1 & Col.number('b') == 2", FilterTypeError, ["Col.number('b')", *PARENTHESES]),
    ("Col('a').eq(1) & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') & Col('b').eq(2)", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("Col('a').eq(1) & 2", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("2 & Col('a').eq(1)", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("'x' | Col('a').eq(1)", FilterTypeError, ["'x' is not a filter", "|"]),
    ("Col('a').eq(1) & None", FilterTypeError, ["None is not a filter", "ALWAYS", "f & ALWAYS"]),
    ("None & Col('a').eq(1)", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("Col('a').eq(1) | None", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("Col('a').eq(1) & True", FilterTypeError, ["True is not a filter", *PARENTHESES]),
    ("True & Col('a').eq(1)", FilterTypeError, ["True is not a filter"]),
    ("False | Col('a').eq(1)", FilterTypeError, ["False is not a filter"]),
    ("Col('a').eq(1) & {'filter': 1}", FilterTypeError, ["{'filter': 1} is not a filter"]),
    ("(Col('a').eq(1) & Col('b').eq(1)) & None", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("ALWAYS & 1", FilterTypeError, ["1 is not a filter"]),
    ("all_of([Col('a').eq(1), None])", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("all_of([Col('a')])", FilterTypeError, ["Col('a') is a column"]),
    ("any_of([1])", FilterTypeError, ["1 is not a filter"]),
    ("all_of(Col('a').eq(1))", FilterTypeError, ["all_of takes one list", "all_of([a, b])"]),
    ("any_of(5)", FilterTypeError, ["any_of takes a list", "5"]),
    ("any_of(Col('a'))", FilterTypeError, ["any_of takes a list", "Col('a')"]),
    ("Col('a') & Col('b')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("Col('a') | Col('b')", FilterTypeError, ["Col('a')", '(Col("a") == 1) | (Col("b") == 2)']),
    ("None & Col('a')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("None | Col('a')", FilterTypeError, ["Col('a')"]),
    ("~Col('a')", FilterTypeError, ["Col('a')", "~", "Col('a').eq(...)", "Col.boolean('a').is_true()"]),
    ("~Col.boolean('a')", FilterTypeError, ["Col.boolean('a')", "Col.boolean('a').is_true()"]),
    ("not Col('a')", FilterTypeError, ["Col('a')", "not", "Col('a').eq(...)"]),
    ("1 if Col('a') else 2", FilterTypeError, ["Col('a')", "if", "Col('a').eq(...)"]),
    ("Col('a') and Col('b')", FilterTypeError, ["Col('a')", "and"]),
    ("Col('a') or Col('b')", FilterTypeError, ["Col('a')", "or"]),
    ("Col('a').eq(1) and Col('b').eq(2)", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('a').eq(1) or Col('b').eq(2)", FilterTypeError, ["a filter", *TRUTH]),
    ("not Col('a').eq(1)", FilterTypeError, ["a filter", *TRUTH]),
    ("1 if Col('a').eq(1) else 2", FilterTypeError, ["a filter", *TRUTH]),
    ("bool(ALWAYS)", FilterTypeError, ["a filter", *TRUTH]),
    ("[1 for _ in 'x' if NEVER]", FilterTypeError, ["a filter", *TRUTH]),
    ("all([Col('a').eq(1)])", FilterTypeError, ["a filter", *TRUTH]),
    ("1 < Col('x') < 3", FilterTypeError, ["a filter", *TRUTH]),
    ("1 < Col.number('x') < 3", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') == Col('y') == 1", FilterTypeError, ["Col('x').eq(Col('y'))"]),
    (
        "'x' in Col('tags')",
        FilterTypeError,
        ["`'x' in Col('tags')`", "Col('tags').contains('x')", "Col.collection('tags')"],
    ),
    ("'x' not in Col('tags')", FilterTypeError, ["Col.collection('tags').contains('x')"]),
    ("'x' in Col.collection('tags')", FilterTypeError, ["Col.collection('tags').contains('x')"]),
    ("Col('x') in ['a', 'b']", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') in ('a', 'b')", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') not in ['a', 'b']", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') in {'a', 'b'}", FilterTypeError, ["Col('x')", "a set or a dict", "Col('x').one_of([...])"]),
    ("Col('x') in {'a': 1}", FilterTypeError, ["Col('x')", "a set or a dict", "Col('x').one_of([...])"]),
    ("{Col('x')}", FilterTypeError, ["Col('x').one_of([...])"]),
    ("{Col.number('x'): 1}", FilterTypeError, ["Col.number('x')"]),
    ("Filter()", FilterTypeError, ['Col("input")']),
]


def ids(refusals: Refusals) -> list[str]:
    """Each program, as pytest may print it."""
    return [ascii(program) for program, _, _ in refusals]


ALL = [*VALUES, *COLUMN_IDS, *METHODS_MISSING, *GUARDS]


@pytest.mark.parametrize(("program", "error", "words"), ALL, ids=ids(ALL))
def test_a_refusal_says_what_was_written_and_what_to_write(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


@pytest.mark.parametrize("name", COLUMNS)
def test_each_kind_of_column_guards_itself(name: str) -> None:
    """No column is a condition: not by truth, not by &, | and ~, not as a member, not as a key."""
    for program in ("bool(c)", "c & c", "c | c", "~c", "1 & c", "1 | c", "'x' in c", "hash(c)"):
        refused(program, FilterTypeError, c=run(f"{name}('a')"))
    with pytest.raises(TypeError, match="not iterable"):
        list(run(f"{name}('a')"))


def test_a_wrong_method_is_an_attribute_that_is_not_there() -> None:
    """hasattr and getattr with a default work, and the error carries the name."""
    column: Any = Col.number("a")
    assert not hasattr("a", "contains")
    assert getattr("a", "contains", None) is None
    with pytest.raises(AttributeError) as caught:
        column.contains("x")
    assert ("contains", None) == (caught.value.name, caught.value.obj)  # with obj, Python would add a guess of its own


def test_on_needs_a_time_zone() -> None:
    """A day without a time zone is a different one in each."""
    with pytest.raises(TypeError, match="tz"):
        run("Col.date('a').on('2026-01-31')")


class Silent:
    """A value that can't even be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


HUGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "bytes": b"a" * 1_000_000,
    "emoji": "😀" * 1_000_000,
    "fraction": "2026-01-31T09:00:00." + "1" * 1_000_000 + "Z",
    "no offset": "2026-01-31T09:00:00." + "0" * 1_000_000,
    "quotes": "'\"\\\n" * 250_000,
    "list of text": ["a" * 1_000_000] * 3 + [1],
    "list": [1] * 1_000_000,
    "dict": {str(i): "a" * 1000 for i in range(1000)},
    "nested": nested(100_000),
    "int": 10**1_000_000,
    "no repr": Silent(),
    "no reprs": [Silent()] * 10,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize(
    "program",
    [
        "Col('a').gt(value)",
        "Col('a').one_of(value)",
        "Col('a').between(value, value)",
        "Col('a').on(value, tz=value)",
        "Col('a').eq('x', case_sensitive=value)",
        "Col.date('a').eq(value)",
        "Col.number('a').between(value, value)",
        "Col.id('a').not_in([[value]])",
        "Col.boolean('a') == value",
        "Col('a').eq(1) & value",
        "value in Col('a')",
        "all_of([value])",
        "any_of(value)",
        "And(value)",
        "Or([value])",
        "Not(value)",
        "TextFilter('a', 'eq', {1: value})",
        "TextFilter('a', value, 'x')",
        "DateFilter('a', 'eq', value)",
        "CountQuery(PROJECT, where=value)",
        "CountQuery(PROJECT, filters=[value])",
    ],
)
def test_no_message_is_long(program: str, value: object) -> None:
    """A megabyte in a value doesn't end up in a log line."""
    with pytest.raises(FilterError) as caught:
        run(program, value=value)
    check_message(str(caught.value))


@pytest.mark.parametrize(
    "program",
    [
        "Col(long).gt(None)",
        "Col(long).gt(long)",
        "Col(long).one_of(long)",
        "Col(long).one_of([1])",
        "Col(long).between(2, 1)",
        "Col(long).eq(date(2026, 1, 31))",
        "Col(long).eq('x', case_sensitive=long)",
        "Col.date(long).on(long, tz=UTC)",
        "Col.collection(long) != 'x'",
        "Col.number(long).contains",
        "Col.text(long).foo",
        "getattr(Col('a'), long)",
        "bool(Col(long))",
        "~Col(long)",
        "hash(Col(long))",
        "long in Col(long)",
        "1 & Col(long)",
        "Col('a').eq(Col(long))",
        "Col('a').eq(1) & Col(long)",
        "CountQuery(PROJECT, Col(long))",
        "CountQuery(PROJECT, And([Or([]), Col(long).eq(long)]))",
    ],
)
def test_no_message_is_long_for_a_long_column_id(program: str) -> None:
    """The same for a column id, whose owner has it written in each message."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(program, long="a" * 1_000_000)
    check_message(str(caught.value))


ODD: list[Any] = [
    *[
        b"x",
        bytearray(b"x"),
        3 + 4j,
        object(),
        object,
        range(3),
        NINE,
        UUID(PROJECT),
        Fraction(1, 3),
        Silent(),
        nested(9),
    ],
    *[datetime(2026, 1, 31), date(2026, 1, 31), timedelta(1), UTC],  # noqa: DTZ001
    *[
        Decimal(text)
        for text in ("1", "0.1", "1e400", "1e5000", "-1e-5000", "NaN", "sNaN", "-Infinity", "0.1" + "0" * 99)
    ],
    *[np.float32(0.1), np.float64("nan"), np.int8(1), np.bool_(False), np.str_("\ud800"), np.datetime64("2026-01-01")],
    *[np.array(1), np.array([1, 2]), np.array(["x"]), np.array([]), np.complex128(1), np.longdouble("1e4000")],
    *[
        {"b", "a"},
        {1, "a"},
        frozenset(),
        {UUID(PROJECT)},
        {"a": 1}.keys(),
        deque(["a"]),
        [[]],
        [NINE],
        [UUID(PROJECT), "a"],
    ],
    *[Level.LOW, Mood.GOOD, list(Mood), [Level.LOW], Col("a"), Col("a").eq(1), [Col("a")], ALWAYS],
]
COMPARISONS = ["eq", "ne", "gt", "gte", "lt", "lte", "between", "contains", "one_of", "not_in"]


def check_outcome(column: Any, method: str, *arguments: Any) -> None:
    """A filter that can be printed, sent and loaded, or a refusal that begins with the call."""
    try:
        made = getattr(column, method)(*arguments)
    except FilterError as error:
        message = str(error)
    else:
        assert made == run(repr(made))
        assert CountQuery(PROJECT, made) == load_query(json.loads(json.dumps(dump_query(CountQuery(PROJECT, made)))))
        return
    check_message(message)
    assert message.startswith(f"{column!r}.{method}(")


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("method", COMPARISONS)
def test_an_odd_value_makes_a_filter_or_a_filter_error(name: str, method: str) -> None:
    """Whatever object stands beside a column, nothing else is raised."""
    column = run(f"{name}('a')")
    for value in ODD if hasattr(column, method) else []:
        for arguments in [(value, 1), (NINE, value)] if method == "between" else [(value,)]:
            check_outcome(column, method, *arguments)


@given(st.sampled_from(COLUMNS), st.sampled_from(COMPARISONS), anything, anything)
@settings(deadline=None, max_examples=300)
def test_any_value_makes_a_filter_or_a_filter_error(name: str, method: str, value: Any, other: Any) -> None:
    """The same for whatever JSON can say."""
    column = run(f"{name}('a')")
    if hasattr(column, method):
        check_outcome(column, method, *((value, other) if method == "between" else (value,)))


# ---- fully_annotated -------------------------------------------------------------------------------------------------


def warned(user_ids: Any) -> Filter:
    """The filter, with its warning taken."""
    with pytest.warns(QueueScopedFilterWarning, match="annotation queue") as caught:
        made = fully_annotated(user_ids)
    assert [Path(__file__)] == [Path(warning.filename) for warning in caught]
    return made


@pytest.mark.parametrize(
    ("user_ids", "expected"),
    [
        pytest.param(None, None, id="all"),
        pytest.param([USER], (USER,), id="text"),
        pytest.param([UUID(USER)], (USER,), id="UUID"),
        pytest.param((PROJECT, UUID(USER)), (PROJECT, USER), id="tuple"),
        pytest.param(iter([PROJECT, USER]), (PROJECT, USER), id="iterator"),
        pytest.param({UUID(PROJECT), UUID(USER)}, (USER, PROJECT), id="set"),
        pytest.param({PROJECT, USER}, (USER, PROJECT), id="set of text"),
    ],
)
def test_fully_annotated_warns_where_it_is_written(user_ids: Any, expected: tuple[str, ...] | None) -> None:
    """The seventh leaf takes users in any iterable, a set in sorted order, and warns on the caller's line."""
    made = warned(user_ids)
    assert FullyAnnotatedFilter(expected) == made
    assert isinstance(made, FullyAnnotatedFilter)
    assert expected == made.user_ids


@pytest.mark.parametrize(
    ("argument", "error", "words"),
    [
        ("[]", FilterError, ["user_ids", "at least one"]),
        ("iter([])", FilterError, ["user_ids", "at least one"]),
        ("USER", FilterTypeError, ["user_ids", "a list of UUIDs", USER]),
        ("UUID(USER)", FilterTypeError, ["user_ids", "a list of UUIDs"]),
        ("5", FilterTypeError, ["user_ids", "a list of UUIDs", "5"]),
        ("['x']", FilterError, ["'x'", "UUID"]),
        ("[5]", FilterTypeError, ["5"]),
        ("[None]", FilterTypeError, ["None"]),
        ("['0x' + 30 * 'a']", FilterError, ["0xaa", "UUID"]),
        ("['a' + 15 * '_a' + 'a']", FilterError, ["a_a", "UUID"]),
    ],
)
@pytest.mark.filterwarnings("ignore::galileo_sessions.QueueScopedFilterWarning")
def test_fully_annotated_refuses_what_is_no_list_of_uuids(
    argument: str, error: type[Exception], words: list[str]
) -> None:
    """A lone id, an empty list and other things are refused in the caller's terms."""
    message = refused(f"fully_annotated({argument})", error)
    assert [] == [word for word in words if word not in message]
