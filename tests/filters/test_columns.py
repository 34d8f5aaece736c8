"""What columns and constructors make of values."""

import copy
import json
import operator
import pickle
import warnings
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pytz
from support.programs import COLUMNS, USER, Level, Mood, Silent, check_message, nested_list, run
from support.sockets import PROJECT
from support.strategies import OPERATORS

import galileo_sessions as gs
from galileo_sessions import Col, FilterError
from galileo_sessions.filters.nodes import LEAVES

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
GTE_NINE = "Col.date('a').gte('2026-01-31T09:00:00+00:00')"

MADE: dict[str, str] = {
    "Col.number('a').between(high=2, low=1)": "Col.number('a').between(1, 2)",
    "Col.date('a').gte('2026-01-31T10:00:00+01:00')": "Col.date('a').gte('2026-01-31T10:00:00+01:00')",
    "Col.date('a').between(low='2026-01-31T09:00Z', high=NINE)": f"{GTE_NINE} & {GTE_NINE.replace('gte', 'lte')}",
    "Col.boolean('a').is_false()": "Col.boolean('a').eq(False)",
    "np.float64(1) < Col.number('a')": "Col.number('a').gt(1.0)",
    # Col infers the type
    "Col('a').is_true()": "Col.boolean('a').eq(True)",
    "Col('a').eq(np.bool_(True))": "Col.boolean('a').eq(True)",
    "Col('a').gte(10**30)": f"Col.number('a').gte({10**30})",
    "Col('a').lt(Decimal('0.1'))": "Col.number('a').lt(0.1)",
    "Col('a').eq(Decimal('1e30'))": f"Col.number('a').eq({10**30})",
    "Col('a').eq(Level.HIGH)": "Col.number('a').eq(3)",
    "Col('a').eq(np.uint64(2**64 - 1))": f"Col.number('a').eq({2**64 - 1})",
    "Col('a').between(np.float32(0.5), Decimal('0.75'))": "Col.number('a').between(0.5, 0.75)",
    "Col('a').gte(datetime(2026, 1, 31, 9, tzinfo=UTC))": GTE_NINE,
    "Col('a').gte(pytz.timezone('Africa/Abidjan').localize(datetime(2026, 1, 31, 9)))": GTE_NINE,
    "Col('a').eq(UUID(PROJECT))": f"Col.id('a').eq('{PROJECT}')",
    "Col('a').one_of([UUID(PROJECT), UUID(USER)])": f"Col.id('a').one_of(['{PROJECT}', '{USER}'])",
    "Col('a').ne('x', case_sensitive=False)": "Col.text('a').ne('x', case_sensitive=False)",
    "Col('a').eq(PROJECT)": f"Col.text('a').eq('{PROJECT}')",
    "Col('a').eq(Mood.GOOD)": "Col.text('a').eq('good')",
    "Col('a').eq(np.str_('x'))": "Col.text('a').eq('x')",
    "Col('a').one_of(['x', 'y'], case_sensitive=False)": "Col.text('a').one_of(['x', 'y'], case_sensitive=False)",
    # lists
    "Col('a').one_of(np.array(['x', 'y']))": "Col.text('a').one_of(['x', 'y'])",
    "Col('a').one_of(('y', 'x'))": "Col.text('a').one_of(['y', 'x'])",
    "Col('a').one_of({'y', 'z', 'x'})": "Col.text('a').one_of(['x', 'y', 'z'])",
    "Col('a').not_in({'y': 1, 'x': 2}.keys())": "Col.text('a').not_in(['x', 'y'])",
    "Col('a').not_in({1: 'y', 2: 'x'}.values())": "Col.text('a').not_in(['y', 'x'])",
    "Col('a').one_of(text for text in ['y', 'x'])": "Col.text('a').one_of(['y', 'x'])",
    "Col.id('a').not_in({UUID(PROJECT), USER})": f"Col.id('a').not_in(['{USER}', '{PROJECT}'])",
    "Col.collection('a').one_of({'y', 'x'})": "Col.collection('a').one_of(['x', 'y'])",
    # constructors take what the schema allows, which knows no link between operator and value
    "TextFilter('a', 'eq', ['x', Mood.GOOD])": "TextFilter('a', 'eq', ['x', 'good'])",
    "TextFilter('a', 'not_in', ())": "TextFilter('a', 'not_in', [])",
    "TextFilter('', 'eq', '\\ud800')": "TextFilter('', 'eq', '\\ud800')",
    "NumberFilter('a', 'gt', Level.HIGH)": "Col.number('a').gt(3)",
    "NumberFilter('a', 'eq', 10**4_300 - 1)": f"Col.number('a').eq({'9' * 4_300})",
    "NumberFilter('a', 'eq', 1 - 10**4_300)": f"Col.number('a').eq(-{'9' * 4_300})",
    "NumberFilter('a', 'between', [np.int8(2), Decimal('0.5')])": "NumberFilter('a', 'between', [2, 0.5])",
    "IdFilter('a', 'contains', [UUID(PROJECT), 'x'])": f"IdFilter('a', 'contains', ['{PROJECT}', 'x'])",
    "DateFilter('a', 'eq', '2026-01-31t09:00:00.12000000z')": "Col.date('a').eq('2026-01-31T09:00:00.120000+00:00')",
    "DateFilter('a', 'eq', '2026-01-31T09:00:00,5+00:00')": "Col.date('a').eq('2026-01-31T09:00:00.500000+00:00')",
    # RFC 3339 has no seconds in an offset, as some zones had before 1900; an hour that comes twice is told by `fold`
    "DateFilter('a', 'eq', datetime(1889, 12, 31, 23, tzinfo=timezone(timedelta(minutes=53, seconds=28))))":
        "Col.date('a').eq('1889-12-31T22:06:32+00:00')",
    "DateFilter('a', 'eq', datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo('Europe/Berlin')))":
        "Col.date('a').eq('2026-10-25T02:30:00+02:00')",
    "DateFilter('a', 'eq', datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo('Europe/Berlin'), fold=1))":
        "Col.date('a').eq('2026-10-25T02:30:00+01:00')",
}  # fmt: skip


@pytest.mark.parametrize("program", MADE)
def test_a_leaf_is_plain_whatever_it_is_made_of(program: str) -> None:
    made = run(program, NINE=NINE, ZoneInfo=ZoneInfo, pytz=pytz)
    assert MADE[program] == repr(made)
    assert "fold" not in repr(getattr(made, "value", "")), "a fixed offset needs none"


BY_TYPE: dict[str, Any] = {"id": PROJECT, "date": NINE, "number": 1, "boolean": True, "collection": "x", "text": "x"}
MIRRORED = {"eq": "eq", "ne": "ne", "gt": "lt", "gte": "le", "lt": "gt", "lte": "ge"}


@pytest.mark.parametrize("kind", BY_TYPE)
def test_a_symbol_makes_what_its_method_makes(kind: str) -> None:
    """On either side of the column; each method makes the leaf of the column's type."""
    column, value = getattr(Col, kind)("a"), BY_TYPE[kind]
    inferred: Any = Col("a")
    for name in set(OPERATORS[kind]) & MIRRORED.keys():
        compare = getattr(operator, {"gte": "ge", "lte": "le"}.get(name, name))
        made = LEAVES[kind]("a", name, value)
        assert made == getattr(column, name)(value) == compare(column, value)
        assert made == getattr(operator, MIRRORED[name])(value, column)
        if kind in ("date", "number", "boolean", "text"):
            assert made == compare(inferred, value) == getattr(inferred, name)(value)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("column_id", ["metrics/0b7a2f0e", 'it\'s "x"\n\\', "é😀"], ids=ascii)
def test_a_column_shows_its_id_and_how_to_make_it(name: str, column_id: str) -> None:
    column = run(f"{name}({column_id!r})")
    for again in (column, pickle.loads(pickle.dumps(column)), copy.deepcopy(column)):
        assert (type(column), column_id) == (type(again), again.column_id)
        assert f"{name}({column_id!r})" == repr(again)
    with pytest.raises(AttributeError):
        column.column_id = "b"


# ---- warnings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_ids", "expected"),
    [
        pytest.param(None, None, id="all"),
        pytest.param([UUID(USER), USER.upper()], (USER, USER.upper()), id="UUID, capitals as written"),
        pytest.param([f"{{{USER}}}", f"{{{USER.replace('-', '', 1)}"], (USER, USER), id="braces, 36 characters"),
        pytest.param([f"urn:uuid:{USER.upper()}", USER.replace("-", "")], (USER, USER), id="urn, no hyphens"),
        pytest.param(iter([PROJECT, USER]), (PROJECT, USER), id="iterator"),
        pytest.param({UUID(PROJECT), UUID(USER)}, (USER, PROJECT), id="set"),
    ],
)
def test_fully_annotated_warns_where_it_is_written(user_ids: Any, expected: tuple[str, ...] | None) -> None:
    """It takes users in any iterable, a set in sorted order."""
    with pytest.warns(gs.QueueScopedFilterWarning, match="annotation queue") as caught:
        made: Any = gs.fully_annotated(user_ids)
    assert [__file__] == [warning.filename for warning in caught]
    assert (gs.FullyAnnotatedFilter(expected), expected) == (made, made.user_ids)


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
def test_what_is_no_time_or_is_meant_as_text_does_not_warn(program: str) -> None:
    with warnings.catch_warnings(action="error"):
        run(program)


# ---- any value -------------------------------------------------------------------------------------------------------

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
    """Expects a filter that can be printed, sent and loaded, or a refusal that begins with the call."""
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
    column = run(f"{name}('a')")
    for value in ODD if hasattr(column, method) else []:
        for arguments in [(value, 1), (NINE, value)] if method == "between" else [(value,)]:
            check_outcome(column, method, *arguments)
