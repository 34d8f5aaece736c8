"""What columns make of values, and what they are themselves."""

from __future__ import annotations

import copy
import operator
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.programs import COLUMNS, USER, Berlin, refused, run
from support.sockets import PROJECT
from support.strategies import OPERATORS

import galileo_sessions as gs
from galileo_sessions import BooleanFilter, Col, DateFilter, Filter, IdFilter, NumberFilter, TextFilter
from galileo_sessions.filters.nodes import LEAVES

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
TEN = datetime(2026, 1, 31, 10, tzinfo=UTC)

# ---- made ------------------------------------------------------------------------------------------------------------

TYPED: dict[str, Filter] = {
    "Col.text('a').eq('')": TextFilter("a", "eq", ""),
    "Col.number('a').between(1, 2.5)": NumberFilter("a", "between", [1, 2.5]),
    "Col.date('a').gte('2026-01-31T10:00:00+01:00')": DateFilter("a", "gte", NINE),
    "Col.date('a').between('2026-01-31T09:00:00Z', datetime(2026, 1, 31, 10, tzinfo=UTC))": (
        DateFilter("a", "gte", NINE) & DateFilter("a", "lte", TEN)
    ),
    "Col.number('a').between(high=2, low=1)": NumberFilter("a", "between", [1, 2]),
    "Col.date('a').between(low='2026-01-31T09:00Z', high='2026-01-31T10:00Z')": (
        DateFilter("a", "gte", NINE) & DateFilter("a", "lte", TEN)
    ),
    "Col.boolean('a').is_true()": BooleanFilter("a", "eq", value=True),
    "Col.boolean('a').is_false()": BooleanFilter("a", "eq", value=False),
    "Col.id('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col.id('a').one_of([UUID(PROJECT), USER])": IdFilter("a", "one_of", [PROJECT, USER]),
    "np.float64(1) < Col.number('a')": NumberFilter("a", "gt", 1.0),
}

INFERRED: dict[str, Filter] = {
    "Col('a').is_true()": BooleanFilter("a", "eq", value=True),
    "Col('a').is_false()": BooleanFilter("a", "eq", value=False),
    "Col('a').eq(np.bool_(True))": BooleanFilter("a", "eq", value=True),
    "Col('a').gte(10**400)": NumberFilter("a", "gte", 10**400),
    "Col('a').lt(Decimal('0.1'))": NumberFilter("a", "lt", 0.1),
    "Col('a').lte(Decimal('3.00'))": NumberFilter("a", "lte", 3),
    "Col('a').eq(Decimal('1e400'))": NumberFilter("a", "eq", 10**400),
    "Col('a').eq(Level.HIGH)": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.uint64(2**64 - 1))": NumberFilter("a", "eq", 2**64 - 1),
    "Col('a').eq(Decimal(2**53 + 1))": NumberFilter("a", "eq", 2**53 + 1),
    "Col('a').eq(np.int64(3))": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.array(3))": NumberFilter("a", "eq", 3),
    "Col('a').eq(np.float32(0.5))": NumberFilter("a", "eq", 0.5),
    "Col('a').between(1, 2)": NumberFilter("a", "between", [1, 2]),
    "Col('a').between(np.float32(0.5), Decimal('0.75'))": NumberFilter("a", "between", [0.5, 0.75]),
    "Col('a').gt(datetime(2026, 1, 31, 9, tzinfo=UTC))": DateFilter("a", "gt", NINE),
    "Col('a').eq(datetime(2026, 1, 31, 10, tzinfo=Berlin()))": DateFilter("a", "eq", NINE),
    "Col('a').eq(UUID(PROJECT))": IdFilter("a", "eq", PROJECT),
    "Col('a').ne(UUID(PROJECT))": IdFilter("a", "ne", PROJECT),
    "Col('a').contains(UUID(PROJECT))": IdFilter("a", "contains", PROJECT),
    "Col('a').one_of([UUID(PROJECT), UUID(USER)])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col('a').not_in((UUID(PROJECT),))": IdFilter("a", "not_in", [PROJECT]),
    "Col('a').ne('x', case_sensitive=False)": TextFilter("a", "ne", "x", case_sensitive=False),
    "Col('a').eq(PROJECT)": TextFilter("a", "eq", PROJECT),
    "Col('a').eq('2026-01-31x')": TextFilter("a", "eq", "2026-01-31x"),
    "Col('a').eq(Mood.GOOD)": TextFilter("a", "eq", "good"),
    "Col('a').eq(np.str_('x'))": TextFilter("a", "eq", "x"),
    "Col('a').one_of(['x', 'y'], case_sensitive=False)": TextFilter("a", "one_of", ["x", "y"], case_sensitive=False),
    "Col('a').not_in(['x'])": TextFilter("a", "not_in", ["x"]),
    "Col('a').one_of(list(Mood))": TextFilter("a", "one_of", ["good", "bad"]),
    "Col('a').one_of(np.array(['x', 'y']))": TextFilter("a", "one_of", ["x", "y"]),
}

LISTS: dict[str, Filter] = {
    "Col('a').one_of(('y', 'x'))": TextFilter("a", "one_of", ["y", "x"]),
    "Col('a').one_of({'y', 'z', 'x'})": TextFilter("a", "one_of", ["x", "y", "z"]),
    "Col('a').not_in({'y': 1, 'x': 2}.keys())": TextFilter("a", "not_in", ["x", "y"]),
    "Col('a').not_in({1: 'y', 2: 'x'}.values())": TextFilter("a", "not_in", ["y", "x"]),
    "Col('a').one_of(text for text in ['y', 'x'])": TextFilter("a", "one_of", ["y", "x"]),
    "Col('a').one_of(UUID(text) for text in [PROJECT, USER])": IdFilter("a", "one_of", [PROJECT, USER]),
    "Col.id('a').not_in({UUID(PROJECT), USER})": IdFilter("a", "not_in", [USER, PROJECT]),
    "Col.collection('a').one_of({'y', 'x'})": gs.CollectionFilter("a", "one_of", ["x", "y"]),
    "Col.collection('a').not_in(text for text in 'yx')": gs.CollectionFilter("a", "not_in", ["y", "x"]),
}


@pytest.mark.parametrize("program", [*TYPED, *INFERRED, *LISTS])
def test_a_comparison_makes_a_leaf(program: str) -> None:
    """Each method and operator makes the leaf of its type, which holds a plain value; `Col` infers the type."""
    expected = (TYPED | INFERRED | LISTS)[program]
    made = run(program)
    assert expected == made
    assert type(expected) is type(made)
    assert type(getattr(expected, "value", None)) is type(getattr(made, "value", None))


VALUES: dict[str, Any] = {"id": PROJECT, "date": NINE, "number": 1, "boolean": True, "collection": "x", "text": "x"}


@pytest.mark.parametrize("kind", VALUES)
def test_a_symbol_makes_what_its_method_makes(kind: str) -> None:
    """On either side of the column; each method makes the leaf of the column's type."""
    column, value = getattr(Col, kind)("a"), VALUES[kind]
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
    ("program", "start", "end"),
    [
        ("Col.date('a').on('2026-01-31', tz=UTC)", "2026-01-31T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("Col.date('a').on('2026-03-29', tz=Berlin())", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("Col('a').on('2026-10-25', tz=Berlin())", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("Col.date('a').on('9999-12-30', tz=UTC)", "9999-12-30T00:00:00+00:00", "9999-12-31T00:00:00+00:00"),
    ],
)
def test_a_day_goes_from_its_midnight_to_the_next(program: str, start: str, end: str) -> None:
    """`on` makes two leaves, 23 or 25 hours apart where the clocks change."""
    made = run(program)
    assert Col.date("a").gte(start) & Col.date("a").lt(end) == made
    assert [start, end] == [leaf.value.isoformat() for leaf in made.children]


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
@pytest.mark.parametrize("column_id", ["a", "metrics/0b7a2f0e", 'it\'s "x"\n\\', "é😀"], ids=ascii)
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


def warned(user_ids: Any) -> Filter:
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
        pytest.param([USER], (USER,), id="text"),
        pytest.param([UUID(USER)], (USER,), id="UUID"),
        pytest.param((PROJECT, UUID(USER)), (PROJECT, USER), id="tuple"),
        pytest.param([f"{{{USER}}}", f"{{{USER.replace('-', '', 1)}"], (USER, USER), id="braces, 36 characters"),
        pytest.param([f"urn:uuid:{USER.upper()}", USER.replace("-", "")], (USER, USER), id="urn, no hyphens"),
        pytest.param(iter([PROJECT, USER]), (PROJECT, USER), id="iterator"),
        pytest.param({UUID(PROJECT), UUID(USER)}, (USER, PROJECT), id="set"),
        pytest.param({PROJECT, USER}, (USER, PROJECT), id="set of text"),
    ],
)
def test_fully_annotated_warns_where_it_is_written(user_ids: Any, expected: tuple[str, ...] | None) -> None:
    """The seventh leaf takes users in any iterable, a set in sorted order, and warns on the caller's line."""
    made = warned(user_ids)
    assert gs.FullyAnnotatedFilter(expected) == made
    assert isinstance(made, gs.FullyAnnotatedFilter)
    assert expected == made.user_ids


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("[]", "a list of at least one UUID as user_ids, got []"),
        ("iter([])", "a list of at least one UUID as user_ids, got <list_iterator"),
        ("USER", f"a list of at least one UUID as user_ids, got '{USER}'"),
        ("UUID(USER)", "a list of at least one UUID as user_ids, got UUID("),
        ("5", "a list of at least one UUID as user_ids, got 5"),
        ("['x']", "a list of at least one UUID as user_ids, got ['x']"),
        ("[5]", "a UUID or text, got 5"),
        ("[None]", "a UUID or text, got None"),
        ("['0x' + 30 * 'a']", "a list of at least one UUID as user_ids"),
        ("['a' + 15 * '_a' + 'a']", "a list of at least one UUID as user_ids"),
    ],
)
@pytest.mark.filterwarnings("ignore::galileo_sessions.QueueScopedFilterWarning")
def test_fully_annotated_takes_a_list_of_uuids_only(argument: str, words: str) -> None:
    """A single id, an empty list and other values are refused in the caller's terms."""
    assert words in refused(f"fully_annotated({argument})", gs.FilterTypeError)
