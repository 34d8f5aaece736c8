"""Columns and constructors: what they make of values, and what they refuse."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import warnings
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from support.programs import (
    COLUMNS,
    USER,
    Berlin,
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
from support.strategies import OPERATORS

import galileo_sessions as gs
from galileo_sessions import Col, DateFilter, Filter, FilterError, FilterTypeError, IdFilter, NumberFilter, TextFilter
from galileo_sessions.filters.nodes import LEAVES

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)

# ---- made ------------------------------------------------------------------------------------------------------------

MADE: dict[str, Filter] = {
    "Col.text('a').eq('')": TextFilter("a", "eq", ""),
    "Col.number('a').between(1, 2.5)": NumberFilter("a", "between", [1, 2.5]),
    "Col.date('a').gte('2026-01-31T10:00:00+01:00')": DateFilter("a", "gte", NINE),
    "Col.number('a').between(high=2, low=1)": NumberFilter("a", "between", [1, 2]),
    "Col.date('a').between(low='2026-01-31T09:00Z', high=NINE)": Col("a").gte(NINE) & Col("a").lte(NINE),
    "Col.boolean('a').is_true()": gs.BooleanFilter("a", "eq", value=True),
    "Col.boolean('a').is_false()": gs.BooleanFilter("a", "eq", value=False),
    "Col.id('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col.id('a').one_of([UUID(PROJECT), USER])": IdFilter("a", "one_of", [PROJECT, USER]),
    "np.float64(1) < Col.number('a')": NumberFilter("a", "gt", 1.0),
    "Col('a').is_true()": gs.BooleanFilter("a", "eq", value=True),
    "Col('a').eq(np.bool_(True))": gs.BooleanFilter("a", "eq", value=True),
    "Col('a').gte(10**400)": NumberFilter("a", "gte", 10**400),
    "Col('a').lt(Decimal('0.1'))": NumberFilter("a", "lt", 0.1),
    "Col('a').eq(Decimal('1e400'))": NumberFilter("a", "eq", 10**400),
    "Col('a').eq(Level.HIGH)": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.uint64(2**64 - 1))": NumberFilter("a", "eq", 2**64 - 1),
    "Col('a').eq(np.int64(3))": NumberFilter("a", "eq", 3),
    "Col('a').between(np.float32(0.5), Decimal('0.75'))": NumberFilter("a", "between", [0.5, 0.75]),
    "Col('a').gt(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "gt", NINE),
    "Col('a').eq(datetime(2026, 1, 31, 10, tzinfo=Berlin()))": DateFilter("a", "eq", NINE),
    "Col('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col('a').contains(UUID(PROJECT))": IdFilter("a", "contains", PROJECT),
    "Col('a').one_of([UUID(PROJECT), UUID(USER)])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col('a').not_in((UUID(PROJECT),))": IdFilter("a", "not_in", [PROJECT]),
    "Col('a').ne('x', case_sensitive=False)": TextFilter("a", "ne", "x", case_sensitive=False),
    "Col('a').eq(PROJECT)": TextFilter("a", "eq", PROJECT),
    "Col('a').eq(Mood.GOOD)": TextFilter("a", "eq", "good"),
    "Col('a').eq(np.str_('x'))": TextFilter("a", "eq", "x"),
    "Col('a').one_of(['x', 'y'], case_sensitive=False)": TextFilter("a", "one_of", ["x", "y"], case_sensitive=False),
    "Col('a').one_of(np.array(['x', 'y']))": TextFilter("a", "one_of", ["x", "y"]),
    "Col('a').one_of(('y', 'x'))": TextFilter("a", "one_of", ["y", "x"]),
    "Col('a').one_of({'y', 'z', 'x'})": TextFilter("a", "one_of", ["x", "y", "z"]),
    "Col('a').not_in({'y': 1, 'x': 2}.keys())": TextFilter("a", "not_in", ["x", "y"]),
    "Col('a').not_in({1: 'y', 2: 'x'}.values())": TextFilter("a", "not_in", ["y", "x"]),
    "Col('a').one_of(text for text in ['y', 'x'])": TextFilter("a", "one_of", ["y", "x"]),
    "Col.id('a').not_in({UUID(PROJECT), USER})": IdFilter("a", "not_in", [USER, PROJECT]),
    "Col.collection('a').one_of({'y', 'x'})": gs.CollectionFilter("a", "one_of", ["x", "y"]),
}


@pytest.mark.parametrize("program", MADE)
def test_a_comparison_makes_a_leaf(program: str) -> None:
    """Each method and operator makes the leaf of its type, which holds a plain value; `Col` infers the type."""
    expected, made = MADE[program], run(program, NINE=NINE)
    assert expected == made
    assert type(expected) is type(made)
    assert type(getattr(expected, "value", None)) is type(getattr(made, "value", None))


BY_TYPE: dict[str, Any] = {"id": PROJECT, "date": NINE, "number": 1, "boolean": True, "collection": "x", "text": "x"}


@pytest.mark.parametrize("kind", BY_TYPE)
def test_a_symbol_makes_what_its_method_makes(kind: str) -> None:
    """On either side of the column; each method makes the leaf of the column's type."""
    column, value = getattr(Col, kind)("a"), BY_TYPE[kind]
    inferred: Any = Col("a")
    mirrored = {"eq": "eq", "ne": "ne", "gt": "lt", "gte": "le", "lt": "gt", "lte": "ge"}
    for name in set(OPERATORS[kind]) & mirrored.keys():
        compare = getattr(operator, {"gte": "ge", "lte": "le"}.get(name, name))
        made = getattr(column, name)(value)
        assert (LEAVES[kind]("a", name, value), True) == (made, made == compare(column, value))
        assert made == getattr(operator, mirrored[name])(value, column)
        if kind in ("date", "number", "boolean", "text"):
            assert made == compare(inferred, value) == getattr(inferred, name)(value)


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


@pytest.mark.parametrize("fold", [0, 1], ids=["first", "second"])
def test_an_hour_that_comes_twice_is_told_by_fold(fold: int) -> None:
    """When clocks go back, `fold` of a datetime decides between the two instants."""

    class Back(Berlin):
        def utcoffset(self, at: datetime | None) -> timedelta:
            return timedelta(hours=1 if at is not None and at.fold else 2)

    made = run("Col('a').eq(at)", at=datetime(2026, 10, 25, 2, 30, tzinfo=Back(), fold=fold))
    assert datetime(2026, 10, 25, fold, 30, tzinfo=UTC) == made.value
    assert 0 == made.value.fold


# ---- columns themselves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("column_id", ["metrics/0b7a2f0e", 'it\'s "x"\n\\', "é😀"], ids=ascii)
def test_a_column_shows_its_id_and_how_to_make_it(name: str, column_id: str) -> None:
    """`column_id` is the id as it was given; the repr is the program; copies are the same; it is frozen."""
    column = run(f"{name}({column_id!r})")
    assert column_id == column.column_id
    assert f"{name}({column_id!r})" == repr(column)
    for again in (pickle.loads(pickle.dumps(column)), copy.copy(column), copy.deepcopy(column)):
        assert type(column) is type(again)
        assert column_id == again.column_id
    with pytest.raises(AttributeError):
        column.column_id = "b"


# ---- fully_annotated -------------------------------------------------------------------------------------------------


def warned(user_ids: Any) -> Any:
    """The filter; the test catches its warning."""
    with pytest.warns(gs.QueueScopedFilterWarning, match="annotation queue") as caught:
        made = gs.fully_annotated(user_ids)
    assert [Path(__file__)] == [Path(warning.filename) for warning in caught]
    assert caught[0].lineno - warned.__code__.co_firstlineno == 3, "the line of the call above"
    return made


@pytest.mark.parametrize(
    ("user_ids", "expected"),
    [
        pytest.param(None, None, id="all"),
        pytest.param([UUID(USER)], (USER,), id="UUID"),
        pytest.param([f"{{{USER}}}", f"{{{USER.replace('-', '', 1)}"], (USER, USER), id="braces, 36 characters"),
        pytest.param([f"urn:uuid:{USER.upper()}", USER.replace("-", "")], (USER, USER), id="urn, no hyphens"),
        pytest.param(iter([PROJECT, USER]), (PROJECT, USER), id="iterator"),
        pytest.param({UUID(PROJECT), UUID(USER)}, (USER, PROJECT), id="set"),
    ],
)
def test_fully_annotated_warns_where_it_is_written(user_ids: Any, expected: tuple[str, ...] | None) -> None:
    """The seventh leaf takes users in any iterable, a set in sorted order, and warns on the caller's line."""
    assert gs.FullyAnnotatedFilter(expected) == (made := warned(user_ids))
    assert expected == made.user_ids


# ---- refused ---------------------------------------------------------------------------------------------------------

COLUMN_IDS: Refusals = [
    (f"{column}({argument})", error, words)
    for column in COLUMNS
    for argument, error, words in [
        ("''", FilterError, ["column id can't be empty", 'Col("input")']),
        ("None", FilterTypeError, ["a column id must be text, got None"]),
        ("b'a'", FilterTypeError, ["a column id must be text, got b'a'"]),
        ("Col('a')", FilterTypeError, ["a column id must be text, got Col('a')"]),
        ("'\\ud800'", FilterError, ["column id '\\ud800'", "surrogate"]),
        ("", TypeError, ["column_id"]),
    ]
]

SECONDS = "timedelta(minutes=53, seconds=28)"
METHODS_MISSING: Refusals = [
    ("Col.number('a').contains('x')", AttributeError, ["no contains; it has eq, ne, gt,", "Write Col.id('a')."]),
    ("Col.number('a').is_true()", AttributeError, ["Write Col.boolean('a').is_true(...)"]),
    ("Col.text('a').gt('x')", AttributeError, ["Write Col.date('a').gt(...) or Col.number('a').gt(...)"]),
    ("Col.collection('a') != 'x'", FilterTypeError, ["has no ne", "Write Col.collection('a').not_in([...])"]),
    ("Col.number('a').betwen(1, 2)", AttributeError, ["Col.number('a') has no betwen", "Did you mean between?"]),
    ("Col('a').contain('x')", AttributeError, ["Col('a') has no contain", "Did you mean contains?"]),
    ("Col.text('a') < 'x'", TypeError, ["'<' not supported"]),
    ("Col.score", AttributeError, ["Col has no score; it has id, date, number", "Write Col('score') for that column"]),
    ("Col.collection('a').neq('b')", AttributeError, ["Write Col.collection('a').not_in([...])"]),
    ("Col.number('a').icontains('x')", AttributeError, ["has no icontains", "case_sensitive=False) on"]),
    ("Col('a').like('x')", AttributeError, ["Col('a') has no like", "no patterns"]),
    ("Col('a').is_null()", AttributeError, ["The API has no test for a missing value"]),
]

COLUMN = ["is a column, not yet a filter\nhint: Compare it, as in (Col('a') == ...)"]
PARENTHESES = ['& binds tighter than == and <. Write (Col("a") == 1) & (Col("b") == 2)']
OR_PARENTHESES = ['| binds tighter than == and <. Write (Col("a") == 1) | (Col("b") == 2)']
TRUTH = ["no truth value", "hint: Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1"]
TRUTH += ['For `in` write Col("a").one_of([...])']

GUARDS: Refusals = [
    *[
        (program.replace("c", f"{column}('a')"), FilterTypeError, ["is a column, not yet a filter"])
        for column in COLUMNS
        for program in ("bool(c)", "c & c", "c | c", "~c", "1 & c", "1 | c", "'x' in c")
    ],
    *[(f"{program}({column}('a'))", TypeError, []) for column in COLUMNS for program in ("hash", "list")],
    ("Col('a') == 1 & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') == 1 | Col('b') == 2", FilterTypeError, ["Col('b')", *OR_PARENTHESES]),
    ("2 & Col('a').eq(1)", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("Col('a').eq(1) & 2", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("'x' | Col('a').eq(1)", FilterTypeError, ["'x' is not a filter", "| binds tighter than"]),
    ("Col('a').eq(1) & None", FilterTypeError, ["None is not a filter\nhint: For no condition write ALWAYS"]),
    ("all_of(None)", FilterTypeError, ["expected a list of filters, got None\nhint: Write [...] around filters"]),
    ("And(5)", FilterTypeError, ["expected a list of filters, got 5\nhint: Write [...] around filters"]),
    ("all_of([Col('a').eq(1), None])", FilterTypeError, ["None is not a filter\nhint: For no condition write ALWAYS"]),
    ("all_of([Col('a')])", FilterTypeError, COLUMN),
    ("not Col('a')", FilterTypeError, ["Col('a')", *COLUMN]),
    ("Col('a').eq(1) and Col('b').eq(2)", FilterTypeError, TRUTH),
    ("not Col('a').eq(1)", FilterTypeError, TRUTH),
    ("1 < Col('x') < 3", FilterTypeError, TRUTH),
    ("Col('x') == Col('y') == 1", FilterTypeError, ["Col('x').eq(Col('y'))"]),
    ("'x' in Col.collection('a')", FilterTypeError, ["Write Col.collection('a').contains('x')"]),
    ("3 in Col.number('a')", FilterTypeError, ["Col.number('a') is a column", "Write Col.number('a').eq(3)"]),
    ("'x' in Col.date('a')", FilterTypeError, ["Write Col.date('a').eq('x')"]),
    ("Col('a').eq(1) & True", FilterTypeError, ["True is not a filter\nhint: For all sessions write ALWAYS"]),
    ("Col('x') in ['a', 'b']", FilterTypeError, TRUTH),
    ("Col('x') in {'a', 'b'}", TypeError, ["unhashable type: 'Col'"]),
    ("Filter()", FilterTypeError, ['Col("input")']),
]


CONSTRUCTORS: Refusals = [
    ("NumberFilter('a', '>', 1)", FilterError, ["it has eq, ne, gt, gte, lt, lte, between\nhint: Did you mean gt?"]),
    ("TextFilter('a', '<>', 'x')", FilterError, ["Did you mean ne?"]),
    ("TextFilter('a', 'in', ['x'])", FilterError, ["Did you mean one_of?"]),
    ("TextFilter('a', 'equals', 'x')", FilterError, ["contains, one_of, not_in\nhint: Did you mean eq?"]),
    ("TextFilter('a', 'like', 'x')", FilterError, ["no patterns"]),
    ("TextFilter('a', 'is_null', 'x')", FilterError, ["no test for a missing value"]),
    ("TextFilter('a', ['eq'], 'x')", FilterError, ["no operator ['eq']; it has eq"]),
    ("TextFilter('a', 'eq', ['x', 1])", FilterTypeError, ["expected text, got 1"]),
    ("TextFilter('a', 'eq', {'x'})", FilterTypeError, ["expected text, got {'x'}"]),
    ("TextFilter('a', 'eq', 'x', 1)", FilterTypeError, ["expected True or False, got 1"]),
    ("NumberFilter('a', 'eq', [1, False])", FilterTypeError, ["expected a number, got False"]),
    ("NumberFilter('a', 'eq', 10**4_300)", FilterError, ["is not a number that JSON can carry"]),
    ("NumberFilter('a', 'eq', -(10**4_300))", FilterError, ["is not a number that JSON can carry"]),
    ("DateFilter('a', 'eq', datetime(2026, 1, 31))", FilterError, ["hint: Write value.replace("]),
    ("DateFilter('a', 'eq', '2026-01-31T09:00:00,00000001Z')", FilterError, ["finer than a microsecond"]),
    ("DateFilter('a', 'eq', date(2026, 1, 31))", FilterTypeError, ["expected a datetime or ISO 8601 text"]),
    (
        "DateFilter('a', 'eq', datetime(1, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))))",
        FilterError,
        ["1 to"],
    ),
    ("IdFilter('a', 'eq', 1)", FilterTypeError, ["expected a UUID or text, got 1"]),
    ("FullyAnnotatedFilter([])", FilterTypeError, ["a list of at least one UUID as user_ids, got []"]),
    ("FullyAnnotatedFilter(iter([]))", FilterTypeError, ["at least one UUID as user_ids, got <list_iterator"]),
    ("FullyAnnotatedFilter(USER)", FilterTypeError, [f"at least one UUID as user_ids, got '{USER}'"]),
    ("FullyAnnotatedFilter([5])", FilterTypeError, ["a UUID or text, got 5"]),
    ("FullyAnnotatedFilter(['0x' + 30 * 'a'])", FilterTypeError, ["a list of at least one UUID"]),
    ("FullyAnnotatedFilter(['a' + 15 * '_a' + 'a'])", FilterTypeError, ["a list of at least one UUID"]),
    ("And([1])", FilterTypeError, ["1 is not a filter"]),
    ("any_of(ALWAYS, NEVER)", TypeError, ["any_of() takes 1 positional argument but 2 were given"]),
    ("Col.date('a').on('2026-01-31')", TypeError, ["tz"]),
]


NO_OFFSET = ["has no UTC offset", "value.replace(tzinfo=timezone.utc)", "value.astimezone()"]
MISSING = ["got None", "The API has no test for a missing value"]
NOT_JSON = "is not a number that JSON can carry"


VALUES: Refusals = [
    ("Col('a').eq(datetime(2026, 1, 31))", FilterError, ["Col('a').eq(datetime.datetime(2026,", *NO_OFFSET]),
    ("Col.date('a').gt('2026-01-31T09:00:00')", FilterError, ["'2026-01-31T09:00:00' has no UTC offset", "+00:00"]),
    ("Col.date('a').gt('yesterday')", FilterError, ["Col.date('a').gt('yesterday')", "ISO 8601 time such as 2026-"]),
    ("Col.date('a').gt('2026-06-31')", FilterError, ["gt('2026-06-31'): '2026-06-31' doesn't exist: day "]),
    ("Col.date('a').on('2026-06-31', tz=UTC)", FilterError, ["on('2026-06-31'): '2026-06-31' doesn't exist: day "]),
    ("Col.date('a').gt('2026-01-31T09:00:00.1234567Z')", FilterError, ["Col.date('a').gt('2026", "microsecond"]),
    ("Col('a').eq(float('nan'))", FilterError, [f"Col('a').eq(nan): nan {NOT_JSON}"]),
    ("Col('a').gt(Decimal('NaN'))", FilterError, [f"Col('a').gt(Decimal('NaN')): Decimal('NaN') {NOT_JSON}"]),
    ("Col('a').gt(Decimal('sNaN'))", FilterError, [NOT_JSON]),
    ("Col('a').gt(10**5000)", FilterError, ["Col('a').gt(<int too long to show>)", NOT_JSON]),
    ("Col('a').gt(Decimal('0.10000000000000000001'))", FilterError, ["lose digits", "float(...), which rounds to 0.1"]),
    ("Col('a') == None", FilterTypeError, ["Col('a').eq(None): expected UUID, datetime, int, float", *MISSING]),
    ("Col('a').one_of(['x', None])", FilterTypeError, ["Col('a').one_of(['x', None]): expected text", *MISSING]),
    ("Col('a').eq(b'x')", FilterTypeError, ["Col('a').eq(b'x'): expected UUID, datetime", "got b'x'"]),
    (
        "Col('a').one_of([])",
        FilterError,
        ["Col('a').one_of([])", "an empty list\nhint: Give it a value, or write NEVER"],
    ),
    ("Col.collection('a').not_in(set())", FilterError, ["Col.collection('a').not_in(set())", "write ALWAYS"]),
    ("Col('a').one_of(['x', 1])", FilterTypeError, ["expected text, got 1", "any_of([Col('a').eq(value) for value in"]),
    ("Col.id('a').one_of([UUID(PROJECT), 1])", FilterTypeError, ["expected a UUID or text, got 1"]),
    ("Col.collection('a').one_of([UUID(PROJECT)])", FilterTypeError, ["hint: Write Col.id('a') if"]),
    ("Col('a').one_of('abc')", FilterTypeError, ["Col('a').one_of('abc'): one_of takes a list", "one_of([value])"]),
    ("Col('a').one_of({'x': 1})", FilterTypeError, ["Col('a').one_of({'x': 1}): one_of takes a list"]),
    ("Col('a') == {'x'}", FilterTypeError, ["Col('a').eq({'x'})", "or Col.text('a').one_of([...])"]),
    ("Col.text('a').contains(['x'])", FilterTypeError, ["expected a single value, got ['x']\nhint: Write any_of("]),
    ("Col('a').between()", TypeError, ["between()", "'low' and 'high'"]),
    ("Col.number('a').between(1, 2, 3)", TypeError, ["between()", "but 4 were given"]),
    ("Col('a').between(2, 1)", FilterError, ["between(2, 1): the lower or earlier one comes first\nhint: Swap"]),
    ("Col.number('a').between(0.5, 10**4000)", FilterError, ["lose digits\nhint: Write column.gte(0.5) & column.lte("]),
    ("Col('a').between('a', 'b')", FilterTypeError, ["Col('a').between('a', 'b')", "Write a number without quotes"]),
    ("Col('a').between(False, True)", FilterTypeError, ["Col('a').between(False, True): expected a number, got False"]),
    ("Col.date('a').between('2026-01-31T09:00Z', '2026-01-31T09:00+01:00')", FilterError, ["a').between(", "Swap"]),
    ("Col('a').between(1, datetime(2026, 1, 31, tzinfo=UTC))", FilterTypeError, ["expected a datetime or", "got 1"]),
    ("Col.date('a').on(datetime(2026, 1, 31), tz=UTC)", FilterError, ["Col.date('a').on(", "expected a date"]),
    ("Col.date('a').on('2026-W18', tz=UTC)", FilterError, ["on('2026-W18')", "a date, or its text such as 2026-01-31"]),
    ("Col.date('a').on('2026-01-31', tz=5)", FilterTypeError, ["unknown time zone 5", '"+01:00"']),
    ("Col.date('a').on('9999-12-31', tz=UTC)", FilterError, ["Col.date('a').on('9999-12-31')", "1 to 9999"]),
    ("Col('a') > 'x'", FilterTypeError, ["Col('a').gt('x'): expected datetime, int, float or Decimal, got 'x'"]),
    ("Col('a').gt(True)", FilterTypeError, ["Col('a').gt(True): expected datetime, int, float or Decimal, got True"]),
    ("Col('a').contains(3)", FilterTypeError, ["Col('a').contains(3): expected UUID or str, got 3"]),
    ("Col('a').eq(np.array([1, 2]))", FilterTypeError, ["Col('a').eq(array([1, 2])): expected UUID"]),
    ("Col.text('a').eq(UUID(PROJECT))", FilterTypeError, ["Col.text('a').eq(UUID(", "Col.id('a') if the column is"]),
    ("Col.number('a').eq(True)", FilterTypeError, ["Col.number('a').eq(True)", "Col.boolean('a') if the column is"]),
    ("Col('a').eq('\\ud800')", FilterError, ["Col('a').eq('\\ud800')", "surrogate"]),
    ("Col('a').one_of(['x', '\\ud800'])", FilterError, ["Col('a').one_of(['x', '\\ud800'])", "surrogate"]),
    ("Col('a').eq(1, case_sensitive=False)", TypeError, ["case_sensitive"]),
    ("Col.text('a').eq('x', case_sensitive=None)", FilterTypeError, ["expected True or False, got None"]),
]


ALL = [*COLUMN_IDS, *METHODS_MISSING, *GUARDS, *CONSTRUCTORS, *VALUES]


@pytest.mark.parametrize(("program", "error", "words"), ALL, ids=refusal_ids(ALL))
def test_a_refusal_says_what_was_written_and_what_to_write(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


def test_a_wrong_method_is_an_attribute_that_is_not_there() -> None:
    """hasattr and getattr with a default work, and the error carries the name."""
    column: Any = Col.number("a")
    assert not hasattr(column, "contains")
    assert getattr(column, "contains", None) is None
    with pytest.raises(AttributeError) as caught:
        column.contains("x")
    assert ("contains", None) == (caught.value.name, caught.value.obj)  # with obj, Python would add a guess of its own


@pytest.mark.parametrize(
    "program",
    ["== '2026-05-03T00:00:00Z'", "!= '2026-05-03 09:00+02:00'", ".eq('2026-05-03t09:00')", "== '2026-05-03'"],
)
def test_a_time_as_text_next_to_a_column_without_a_type_warns(program: str) -> None:
    """It would be compared as text; the warning names the line that wrote it."""
    with pytest.warns(gs.DateAsTextWarning, match=r"Write ~?Col.date\('a'\)\..*, or Col.text\('a'\)") as caught:
        _ = run(f"Col('a') {program}")
    assert ["<string>"] == [warning.filename for warning in caught]


QUIET = ["Col.text('a') == '2026-05-03T00:00Z'", "Col.date('a') == '2026-05-03T00:00Z'", "Col('a') == '9999-12-31'"]
QUIET += ["Col('a') == '2026-05-03-report'", "Col('a') == '2026-05-03T25:00'", "Col('a').contains('2026-05-03T00:00Z')"]
QUIET += ["Col.number('a').between(0.5, 2**53) & Col.number('a').between(1, 10**400)"]


@pytest.mark.parametrize("program", QUIET)
def test_other_texts_do_not_warn(program: str) -> None:
    """Longer texts, parts of text and columns with a type cause no warning."""
    with warnings.catch_warnings(action="error"):
        run(program)


HUGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "fraction": "2026-01-31T09:00:00." + "1" * 1_000_000 + "Z",
    "no offset": "2026-01-31T09:00:00." + "0" * 1_000_000,
    "list of text": ["a" * 1_000_000] * 3 + [1],
    "dict": {str(i): "a" * 1000 for i in range(1000)},
    "nested": nested_list(100_000),
    "int": 10**1_000_000,
    "no repr": Silent(),
}
OF_VALUES = ["Col('a').gt(value)", "Col('a').one_of(value)", "Col('a').on(value, tz=value)", "value in Col('a')"]
OF_VALUES += ["Col.number('a').between(value, value)", "Col.id('a').not_in([[value]])", "Col('a').eq(1) & value"]
OF_VALUES += ["Or([value])", "TextFilter('a', value, 'x')", "DateFilter('a', 'eq', value)"]
OF_VALUES += ["CountQuery(PROJECT, where=value)", "CountQuery(PROJECT, filters=[value])"]
OF_IDS = ["Col(value).gt(None)", "Col(value).eq(date(2026, 1, 31))", "Col.collection(value) != 'x'", "~Col(value)"]
OF_IDS += ["Col.text(value).foo", "getattr(Col('a'), value)", "value in Col(value)", "Col('a').eq(Col(value))"]
OF_IDS += ["CountQuery(PROJECT, And([Or([]), Col(value).eq(value)]))"]
LONG = [(program, name) for program in OF_VALUES for name in HUGE] + [(program, "text") for program in OF_IDS]


@pytest.mark.parametrize(("program", "name"), LONG)
def test_no_message_is_long(program: str, name: str) -> None:
    """A megabyte as a value or as a column id doesn't make a message long, though each message quotes it."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(program, value=HUGE[name])
    check_message(str(caught.value))


ODD: list[Any] = [b"x", bytearray(b"x"), 3 + 4j, object(), object, range(3), NINE, UUID(PROJECT), Fraction(1, 3)]
ODD += [Silent(), nested_list(9), datetime(2026, 1, 31), date(2026, 1, 31), timedelta(1), UTC]  # noqa: DTZ001
ODD += map(Decimal, ("1", "0.1", "1e400", "1e5000", "-1e-5000", "NaN", "sNaN", "-Infinity", "0.1" + "0" * 99))
ODD += [np.float32(0.1), np.float64("nan"), np.int8(1), np.bool_(False), np.str_("\ud800"), np.datetime64("2026-01-01")]
ODD += [np.array(1), np.array([1, 2]), np.array(["x"]), np.array([]), np.complex128(1), np.longdouble("1e4000")]
ODD += [{"b", "a"}, {1, "a"}, frozenset(), {UUID(PROJECT)}, {"a": 1}.keys(), deque(["a"]), [[]], [NINE]]
ODD += [[UUID(PROJECT), "a"], Level.LOW, Mood.GOOD, list(Mood), [Level.LOW]]
ODD += [Col("a"), Col("a").eq(1), [Col("a")], gs.ALWAYS]
COMPARISONS = ["eq", "ne", "gt", "gte", "lt", "lte", "between", "contains", "one_of", "not_in"]


def check_outcome(column: Any, method: str, *arguments: Any) -> None:
    """A filter that can be printed, sent and loaded, or a refusal that begins with the call."""
    try:
        made = getattr(column, method)(*arguments)
    except FilterError as error:
        message = str(error)
    else:
        assert made == run(repr(made))
        query = gs.CountQuery(PROJECT, made)
        assert query == gs.load_query(json.loads(json.dumps(gs.dump_query(query))))
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
