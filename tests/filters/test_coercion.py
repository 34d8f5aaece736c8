"""Values beside columns: which are refused, and that nothing else is raised for whatever stands there."""

from __future__ import annotations

import json
import warnings
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import (
    COLUMNS,
    PROJECT,
    Level,
    Mood,
    Refusals,
    Silent,
    anything,
    check_message,
    nested_list,
    refusal_ids,
    refused,
    run,
)

from galileo_sessions import (
    ALWAYS,
    Col,
    CountQuery,
    DateAsTextWarning,
    FilterError,
    FilterTypeError,
    dump_query,
    load_query,
    parse_filter,
)

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)

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
    ("Col.date('a').between('2026-01-31T09:00:00Z')", TypeError, ["between()", "'high'"]),
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
    ("Col.date('a').on('2026-01-31', tz=5)", FilterTypeError, ["Col.date('a').on(", "timezone.utc", "ZoneInfo("]),
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


@pytest.mark.parametrize(
    "program",
    ["Col('a') == '2026-05-03T00:00:00Z'", "Col('a') != '2026-05-03 09:00+02:00'", "Col('a').eq('2026-05-03t09:00')"],
)
def test_a_time_as_text_beside_a_column_of_no_type_warns(program: str) -> None:
    """It would be compared as it is written; the warning is at the line that writes it, also through parse_filter."""
    with pytest.warns(DateAsTextWarning, match=r"Write Col.date\('a'\)\..*, or Col.text\('a'\)") as caught:
        _ = run(program), parse_filter(program)
    assert ["<string>", __file__] == [warning.filename for warning in caught]


@pytest.mark.parametrize(
    "program",
    [
        "Col.text('a') == '2026-05-03T00:00:00Z'",
        "Col.date('a') == '2026-05-03T00:00:00Z'",
        "Col('a') == '2026-05-03'",
        "Col('a').contains('2026-05-03T00:00:00Z')",
        "Col('a').eq('on 2026-05-03T00:00:00Z')",
    ],
)
def test_other_texts_do_not_warn(program: str) -> None:
    """A day, a part of text, and columns whose type was said."""
    with warnings.catch_warnings(action="error"):
        run(program)


@pytest.mark.parametrize(("program", "error", "words"), VALUES, ids=refusal_ids(VALUES))
def test_a_value_that_makes_no_sense_is_refused_with_a_rewrite(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


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
        nested_list(9),
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
@settings(max_examples=300)
def test_any_value_makes_a_filter_or_a_filter_error(name: str, method: str, value: Any, other: Any) -> None:
    """The same for whatever JSON can say."""
    column = run(f"{name}('a')")
    if hasattr(column, method):
        check_outcome(column, method, *((value, other) if method == "between" else (value,)))
