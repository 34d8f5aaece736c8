"""Values: what the constructors of filters hold, what stands next to a column, and what each refuses."""

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
from support.programs import (
    COLUMNS,
    Level,
    Mood,
    Refusals,
    Silent,
    check_message,
    nested_list,
    refusal_ids,
    refused,
    run,
)
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import ALWAYS, Col, CountQuery, DateAsTextWarning, FilterError, FilterTypeError, dump_query

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)

# ---- constructors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("TextFilter('a', 'eq', ['x', 'y'])", ("x", "y")),
        ("TextFilter('a', 'not_in', [])", ()),
        ("TextFilter('', 'eq', '')", ""),
        ("TextFilter('a', 'eq', '\\ud800')", "\ud800"),
        ("TextFilter('a', 'eq', Mood.GOOD)", "good"),
        ("NumberFilter('a', 'between', [2, 1])", (2, 1)),
        ("NumberFilter('a', 'gt', [])", ()),
        ("NumberFilter('a', 'gt', Level.HIGH)", 3),
        pytest.param("NumberFilter('a', 'eq', 10**4_300 - 1)", 10**4_300 - 1, id="largest"),
        pytest.param("NumberFilter('a', 'eq', 1 - 10**4_300)", 1 - 10**4_300, id="smallest"),
        ("NumberFilter('a', 'between', [np.int8(1), Decimal('0.5')])", (1, 0.5)),
        ("DateFilter('a', 'eq', '2026-01-31t09:00:00.12000000z')", datetime(2026, 1, 31, 9, 0, 0, 120_000, tzinfo=UTC)),
        ("DateFilter('a', 'eq', '2026-01-31T09:00:00,5+00:00')", datetime(2026, 1, 31, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("IdFilter('a', 'eq', 'not a UUID')", "not a UUID"),
        ("IdFilter('a', 'eq', UUID(PROJECT))", PROJECT),
        ("IdFilter('a', 'contains', [UUID(PROJECT), 'x'])", (PROJECT, "x")),
    ],
)
def test_a_constructor_holds_what_the_schema_allows(program: str, value: object) -> None:
    """The schema knows no link between operator and value, so neither do the constructors; lists become tuples."""
    held = run(program).value
    assert value == held
    assert type(value) is type(held)


def test_an_offset_with_seconds_becomes_utc() -> None:
    """An offset with seconds, as some zones had before 1900, becomes UTC, because RFC 3339 allows only minutes."""
    made = run("DateFilter('a', 'eq', datetime(1890, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))))")
    assert "1889-12-31T23:06:32+00:00" == made.value.isoformat()


# ---- next to a column ------------------------------------------------------------------------------------------------

NO_OFFSET = ["has no UTC offset", "value.replace(tzinfo=timezone.utc)", "value.astimezone()"]
MISSING = ["got None", "The API has no test for a missing value"]
NOT_JSON = "is not a number that JSON can carry"

VALUES: Refusals = [
    ("Col('a').eq(datetime(2026, 1, 31))", FilterError, ["Col('a').eq(datetime.datetime(2026,", *NO_OFFSET]),
    ("Col.date('a') < datetime(2026, 1, 31)", FilterError, ["Col.date('a').lt(", *NO_OFFSET]),
    ("Col.date('a').gt('2026-01-31T09:00:00')", FilterError, ["'2026-01-31T09:00:00' has no UTC offset", "+00:00"]),
    ("Col.date('a').gt('yesterday')", FilterError, ["Col.date('a').gt('yesterday')", "ISO 8601 time such as 2026-"]),
    ("Col.date('a').gt('2026-06-31')", FilterError, ["gt('2026-06-31'): '2026-06-31' doesn't exist: day "]),
    ("Col.date('a').on('2026-06-31', tz=UTC)", FilterError, ["on('2026-06-31'): '2026-06-31' doesn't exist: day "]),
    ("Col.date('a').gt('2026-01-31T09:00:00.1234567Z')", FilterError, ["Col.date('a').gt('2026", "microsecond"]),
    ("Col('a').eq(date(2026, 1, 31))", FilterTypeError, ["hint: Write Col.date('a').on('2026-01-31', tz="]),
    ("Col('a').eq(float('nan'))", FilterError, [f"Col('a').eq(nan): nan {NOT_JSON}"]),
    ("Col('a').gt(Decimal('NaN'))", FilterError, [f"Col('a').gt(Decimal('NaN')): Decimal('NaN') {NOT_JSON}"]),
    ("Col('a').gt(Decimal('sNaN'))", FilterError, [NOT_JSON]),
    ("Col('a').gt(10**5000)", FilterError, ["Col('a').gt(<int too long to show>)", NOT_JSON]),
    ("Col('a').gt(Decimal('0.10000000000000000001'))", FilterError, ["lose digits", "float(...), which rounds to 0.1"]),
    ("Col('a').gt(Decimal('0.0999999999999999999999'))", FilterError, ["lose digits", "which rounds to 0.1"]),
    ("Col('a') == None", FilterTypeError, ["Col('a').eq(None): expected UUID, datetime, int, float", *MISSING]),
    ("Col.number('a') > None", FilterTypeError, ["Col.number('a').gt(None): expected a number", *MISSING]),
    ("Col.date('a').eq(None)", FilterTypeError, ["Col.date('a').eq(None): expected a datetime or ISO 8601", *MISSING]),
    ("Col('a').one_of(['x', None])", FilterTypeError, ["Col('a').one_of(['x', None]): expected text", *MISSING]),
    ("Col('a').eq(b'x')", FilterTypeError, ["Col('a').eq(b'x'): expected UUID, datetime", "got b'x'"]),
    ("Col.text('a').contains(bytearray(b'x'))", FilterTypeError, ["expected text, got bytearray(b'x')"]),
    ("Col('a').one_of([])", FilterError, ["Col('a').one_of([])", "an empty list\nhint: Write NEVER"]),
    ("Col.collection('a').not_in(set())", FilterError, ["Col.collection('a').not_in(set())", "Write ALWAYS"]),
    ("Col('a').one_of(['x', 1])", FilterTypeError, ["expected text, got 1", "any_of([Col('a').eq(value) for value in"]),
    ("Col('a').not_in([1.5])", FilterTypeError, ["Col('a').not_in([1.5])", "~any_of([Col('a').eq(value) for"]),
    ("Col('a').one_of({10**5_000})", FilterTypeError, ["any_of([Col('a').eq(value) for"]),
    ("Col.id('a').one_of([UUID(PROJECT), 1])", FilterTypeError, ["expected a UUID or text, got 1"]),
    ("Col('a').one_of(['x', UUID(PROJECT)])", FilterTypeError, ["expected text, got UUID("]),
    ("Col.collection('a').one_of([UUID(PROJECT)])", FilterTypeError, ["hint: Write Col.id('a') if"]),
    ("Col('a').one_of('abc')", FilterTypeError, ["Col('a').one_of('abc'): one_of takes a list", "one_of([value])"]),
    ("Col.id('a').not_in(UUID(PROJECT))", FilterTypeError, ["not_in takes a list", "not_in([value])"]),
    ("Col('a').one_of({'x': 1})", FilterTypeError, ["Col('a').one_of({'x': 1}): one_of takes a list"]),
    ("Col('a') == {'x'}", FilterTypeError, ["Col('a').eq({'x'})", "or Col.text('a').one_of([...])"]),
    (
        "Col.text('a').contains(['x'])",
        FilterTypeError,
        ["expected a single value, got ['x']\nhint: Write any_of([Col."],
    ),
    ("Col('a').between()", TypeError, ["between()", "'low' and 'high'"]),
    ("Col.number('a').between(1, 2, 3)", TypeError, ["between()", "but 4 were given"]),
    ("Col('a').between(2, 1)", FilterError, ["between(2, 1): the lower or earlier one comes first\nhint: Swap"]),
    ("Col('a').between(1, float('nan'))", FilterError, [f"Col('a').between(1, nan): nan {NOT_JSON}"]),
    ("Col.number('a').between(0.5, 10**4000)", FilterError, ["lose digits\nhint: Write column.gte(0.5) & column.lte("]),
    (
        "Col('a').between('a', 'b')",
        FilterTypeError,
        ["Col('a').between('a', 'b')", "Write a number without quotes, or Col.date('a')"],
    ),
    ("Col('a').between(False, True)", FilterTypeError, ["Col('a').between(False, True): expected a number, got False"]),
    ("Col.date('a').between('2026-01-31T09:00Z', '2026-01-31T09:00+01:00')", FilterError, ["a').between(", "Swap"]),
    ("Col('a').between(1, datetime(2026, 1, 31, tzinfo=UTC))", FilterTypeError, ["expected a datetime or", "got 1"]),
    ("Col.date('a').on(datetime(2026, 1, 31), tz=UTC)", FilterError, ["Col.date('a').on(", "expected a date"]),
    ("Col.date('a').on('2026-W18', tz=UTC)", FilterError, ["on('2026-W18')", "a date, or its text such as 2026-01-31"]),
    ("Col.date('a').on('2026-01-31', tz=5)", FilterTypeError, ["unknown time zone 5", '"+01:00"']),
    ("Col.date('a').on('9999-12-31', tz=UTC)", FilterError, ["Col.date('a').on('9999-12-31')", "1 to 9999"]),
    (
        "Col('a') > 'x'",
        FilterTypeError,
        ["Col('a').gt('x'): expected datetime, int, float", "Write a number without quotes, or Col.date('a')"],
    ),
    ("Col('a').gt(True)", FilterTypeError, ["Col('a').gt(True): expected datetime, int, float or Decimal, got True"]),
    ("Col('a').contains(3)", FilterTypeError, ["Col('a').contains(3): expected UUID or str, got 3"]),
    ("Col('a').eq(np.array([1, 2]))", FilterTypeError, ["Col('a').eq(array([1, 2])): expected UUID"]),
    ("Col('a') < Col('b')", FilterTypeError, ["expected datetime, int, float or Decimal, got Col('b')"]),
    ("Col.text('a').eq(1)", FilterTypeError, ["Col.text('a').eq(1): expected text", "Col.number('a') if the column"]),
    ("Col.text('a').eq(UUID(PROJECT))", FilterTypeError, ["Col.text('a').eq(UUID(", "Col.id('a') if the column is"]),
    ("Col.number('a').eq('1')", FilterTypeError, ["Col.number('a').eq('1')", "Write a number without quotes"]),
    ("Col.number('a').eq(True)", FilterTypeError, ["Col.number('a').eq(True)", "Col.boolean('a') if the column is"]),
    ("Col.boolean('a').ne(1)", FilterTypeError, ["hint: Write True or False"]),
    ("Col.date('a').gt(1)", FilterTypeError, ["Col.date('a').gt(1)", "Col.number('a') if the column is"]),
    ("Col('a').eq('\\ud800')", FilterError, ["Col('a').eq('\\ud800')", "surrogate"]),
    ("Col('a').one_of(['x', '\\ud800'])", FilterError, ["Col('a').one_of(['x', '\\ud800'])", "surrogate"]),
    ("Col('a').eq(1, case_sensitive=False)", TypeError, ["case_sensitive"]),
    ("Col.text('a').eq('x', case_sensitive=None)", FilterTypeError, ["expected True or False, got None"]),
]


@pytest.mark.parametrize(
    "program",
    [
        "Col('a') == '2026-05-03T00:00:00Z'",
        "Col('a') != '2026-05-03 09:00+02:00'",
        "Col('a').eq('2026-05-03t09:00')",
        "Col('a') == '2026-05-03'",
    ],
)
def test_a_time_as_text_next_to_a_column_without_a_type_warns(program: str) -> None:
    """It would be compared as text; the warning names the line that wrote it."""
    with pytest.warns(DateAsTextWarning, match=r"Write ~?Col.date\('a'\)\..*, or Col.text\('a'\)") as caught:
        _ = run(program)
    assert ["<string>"] == [warning.filename for warning in caught]


@pytest.mark.parametrize(
    "program",
    [
        "Col.text('a') == '2026-05-03T00:00:00Z'",
        "Col.date('a') == '2026-05-03T00:00:00Z'",
        "Col('a') == '2026-05-03-report'",
        "Col('a') == '2026-05'",
        "Col.number('a').between(0.5, 2**53) & Col.number('a').between(1, 10**400)",
        "Col('a') == '2026-05-03T25:00'",
        "Col('a').contains('2026-05-03T00:00:00Z')",
        "Col('a').eq('on 2026-05-03T00:00:00Z')",
    ],
)
def test_other_texts_do_not_warn(program: str) -> None:
    """Longer texts, parts of text and columns with a type cause no warning."""
    with warnings.catch_warnings(action="error"):
        run(program)


@pytest.mark.parametrize(("program", "error", "words"), VALUES, ids=refusal_ids(VALUES))
def test_a_value_that_makes_no_sense_is_refused_with_a_rewrite(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


ODD: list[Any] = [b"x", bytearray(b"x"), 3 + 4j, object(), object, range(3), NINE, UUID(PROJECT), Fraction(1, 3)]
ODD += [Silent(), nested_list(9), datetime(2026, 1, 31), date(2026, 1, 31), timedelta(1), UTC]  # noqa: DTZ001
ODD += map(Decimal, ("1", "0.1", "1e400", "1e5000", "-1e-5000", "NaN", "sNaN", "-Infinity", "0.1" + "0" * 99))
ODD += [np.float32(0.1), np.float64("nan"), np.int8(1), np.bool_(False), np.str_("\ud800"), np.datetime64("2026-01-01")]
ODD += [np.array(1), np.array([1, 2]), np.array(["x"]), np.array([]), np.complex128(1), np.longdouble("1e4000")]
ODD += [{"b", "a"}, {1, "a"}, frozenset(), {UUID(PROJECT)}, {"a": 1}.keys(), deque(["a"]), [[]], [NINE]]
ODD += [[UUID(PROJECT), "a"], Level.LOW, Mood.GOOD, list(Mood), [Level.LOW]]
ODD += [Col("a"), Col("a").eq(1), [Col("a")], ALWAYS]
COMPARISONS = ["eq", "ne", "gt", "gte", "lt", "lte", "between", "contains", "one_of", "not_in"]


def check_outcome(column: Any, method: str, *arguments: Any) -> None:
    """A filter that can be printed, sent and loaded, or a refusal that begins with the call."""
    try:
        made = getattr(column, method)(*arguments)
    except FilterError as error:
        message = str(error)
    else:
        assert made == run(repr(made))
        assert CountQuery(PROJECT, made) == gs.load_query(json.loads(json.dumps(dump_query(CountQuery(PROJECT, made)))))
        return
    check_message(message)
    assert message.startswith(f"{column!r}.{method}(")


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("method", COMPARISONS)
def test_an_odd_value_makes_a_filter_or_a_filter_error(name: str, method: str) -> None:
    """Any Python object makes a filter or raises FilterError."""
    column = run(f"{name}('a')")
    for value in ODD if hasattr(column, method) else []:
        for arguments in [(value, 1), (NINE, value)] if method == "between" else [(value,)]:
            check_outcome(column, method, *arguments)
