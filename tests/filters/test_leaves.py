"""Leaves: what columns and constructors make of values, and what each leaf says of one session."""

import copy
import json
import operator
import pickle
import re
import warnings
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pytz
from support.programs import COLUMNS, USER, Level, Mood, Silent, check_message, nested_list, refused, run
from support.sockets import PROJECT
from support.strategies import OPERATORS, PAIRS, truth

import galileo_sessions as gs
from galileo_sessions import Col, FilterError, FilterTypeError, dump_filter, matches
from galileo_sessions.filters.nodes import LEAVES

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
Colour: Any = Enum("Colour", {"RED": "red"}, type=str)  # the older way, of which `str(...)` isn't the value
Operator = StrEnum("Operator", {"NE": "ne"})
GTE_NINE = "Col.date('a').gte('2026-01-31T09:00:00+00:00')"

MADE: dict[str, str] = {
    "Col.number('a').between(high=2, low=1)": "Col.number('a').between(1, 2)",
    "Col.date('a').gte('2026-01-31T10:00:00+01:00')": "Col.date('a').gte('2026-01-31T10:00:00+01:00')",
    "Col.date('a').between(low='2026-01-31T09:00Z', high=NINE)": f"{GTE_NINE} & {GTE_NINE.replace('gte', 'lte')}",
    "Col.boolean('a').is_false()": "Col.boolean('a').eq(False)",
    "np.float64(1) < Col.number('a')": "Col.number('a').gt(1.0)",
    # Col infers the type
    "Col('a').is_true()": "Col.boolean('a').eq(True)",
    "Col('a').lt(Decimal('0.1'))": "Col.number('a').lt(0.1)",
    "Col('a').lt(Fraction(1, 2))": "Col.number('a').lt(0.5)",
    "Col.number('a') == Fraction(4, 2)": "Col.number('a').eq(2)",
    "NumberFilter('a', 'between', [Fraction(1, 10), Fraction(5, 4)])": "Col.number('a').between(0.1, 1.25)",
    "Col('a').eq(Decimal('1e30'))": f"Col.number('a').eq({10**30})",
    "Col('a').eq(Level.HIGH)": "Col.number('a').eq(3)",
    "Col('a').eq(np.uint64(2**64 - 1))": f"Col.number('a').eq({2**64 - 1})",
    "Col('a').between(np.float32(0.5), Decimal('0.75'))": "Col.number('a').between(0.5, 0.75)",
    "Col('a').gte(datetime(2026, 1, 31, 9, tzinfo=UTC))": GTE_NINE,
    "Col('a').gte(pytz.timezone('Africa/Abidjan').localize(datetime(2026, 1, 31, 9)))": GTE_NINE,
    "Col('a').eq(UUID(PROJECT))": f"Col.id('a').eq('{PROJECT}')",
    "Col('a').one_of([UUID(PROJECT), UUID(USER)])": f"Col.id('a').one_of(['{PROJECT}', '{USER}'])",
    "Col('a').ne('x', case_sensitive=False)": "Col.text('a').ne('x', case_sensitive=False)",
    "Col('a').eq(Mood.GOOD)": "Col.text('a').eq('good')",
    "Col('a').eq(np.str_('x'))": "Col.text('a').eq('x')",
    "Col('a').one_of(['x', 'y'], case_sensitive=False)": "Col.text('a').one_of(['x', 'y'], case_sensitive=False)",
    # lists
    "Col('a').one_of(np.array(['x', 'y']))": "Col.text('a').one_of(['x', 'y'])",
    "Col('a').one_of(iter(('y', 'x')))": "Col.text('a').one_of(['y', 'x'])",
    "Col('a').one_of({'y', 'z', 'x'})": "Col.text('a').one_of(['x', 'y', 'z'])",
    "Col('a').not_in({'y': 1, 'x': 2}.keys())": "Col.text('a').not_in(['x', 'y'])",
    "Col.id('a').not_in({UUID(PROJECT), USER})": f"Col.id('a').not_in(['{USER}', '{PROJECT}'])",
    # constructors take what the schema allows, which knows no link between operator and value
    "TextFilter('a', 'eq', ['x', Mood.GOOD])": "TextFilter('a', 'eq', ['x', 'good'])",
    "TextFilter('a', Operator.NE, ['x'])": "TextFilter('a', 'ne', ['x'])",
    "NumberFilter('a', 'eq', 10**4_300 - 1)": f"Col.number('a').eq({'9' * 4_300})",
    "NumberFilter('a', 'between', [np.int8(2), Decimal('0.5')])": "NumberFilter('a', 'between', [2, 0.5])",
    "IdFilter('a', 'contains', [UUID(PROJECT), 'x'])": f"IdFilter('a', 'contains', ['{PROJECT}', 'x'])",
    "DateFilter('a', 'eq', '2026-01-31t09:00:00.12000000z')": "Col.date('a').eq('2026-01-31T09:00:00.120000+00:00')",
    "FullyAnnotatedFilter([UUID(USER), USER.upper()])": f"FullyAnnotatedFilter(user_ids=['{USER}', '{USER.upper()}'])",
    "FullyAnnotatedFilter(['{' + USER + '}', '{' + USER.replace('-', '', 1)])":  # which has 36 characters, too
        f"FullyAnnotatedFilter(user_ids=['{USER}', '{USER}'])",
    "FullyAnnotatedFilter(iter(['urn:uuid:' + USER.upper(), PROJECT.replace('-', '')]))":
        f"FullyAnnotatedFilter(user_ids=['{USER}', '{PROJECT}'])",
    "FullyAnnotatedFilter({UUID(PROJECT), UUID(USER)})": f"FullyAnnotatedFilter(user_ids=['{USER}', '{PROJECT}'])",
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
    made = run(program, NINE=NINE, Operator=Operator, ZoneInfo=ZoneInfo, pytz=pytz)
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


def test_fully_annotated_warns_where_it_is_written() -> None:
    with pytest.warns(gs.QueueScopedFilterWarning, match="annotation queue") as caught:
        made = gs.fully_annotated({USER})
    assert ([__file__], gs.FullyAnnotatedFilter([USER])) == ([warning.filename for warning in caught], made)


TIMES = ["Col('a') == '2026-05-03T00:00:00Z'", "Col('a') != '2026-05-03 09:00+02:00'"]
TIMES += ["Col('a').eq('2026-05-03t09:00')", "Col('a') == '2026-05-03'"]
QUIET = ["Col.text('a') == '2026-05-03T00:00Z'", "Col.date('a') == '2026-05-03T00:00Z'", "Col('a') == '9999-12-31'"]
QUIET += ["Col('a') == '2026-05-03-report'", "Col('a') == '2026-05-03T25:00'", "Col('a').contains('2026-05-03T00:00Z')"]


@pytest.mark.parametrize("program", TIMES + QUIET)
def test_a_time_as_text_next_to_a_column_without_a_type_warns(program: str) -> None:
    """It would be compared as text; the warning names the line that wrote it. All else is quiet."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        run(program)
    expected = [(gs.DateAsTextWarning, "<string>")] if program in TIMES else []
    assert expected == [(warning.category, warning.filename) for warning in caught]
    for warning in caught:
        assert re.search(r"Write ~?Col.date\('a'\)\..*, or Col.text\('a'\)", str(warning.message))


ODD: list[Any] = [b"x", bytearray(b"x"), 3 + 4j, object(), object, range(3), NINE, UUID(PROJECT), Fraction(1, 3)]
ODD += [Silent(), nested_list(9), datetime(2026, 1, 31), date(2026, 1, 31), timedelta(1), UTC]  # noqa: DTZ001
ODD += [Fraction(1, 2), Fraction(1, 10**400), Fraction(10**400 + 1, 2), Fraction(-(10**400) - 1, 2)]
ODD += map(Decimal, ("1", "0.1", "1e400", "1e5000", "-1e-5000", "NaN", "sNaN", "-Infinity", "0.1" + "0" * 99))
ODD += [np.float32(0.1), np.float64("nan"), np.int8(1), np.bool_(False), np.str_("\ud800"), np.datetime64("2026-01-01")]
ODD += [np.array(1), np.array([1, 2]), np.array(["x"]), np.array([]), np.complex128(1), np.longdouble("1e4000")]
ODD += [{1, "a"}, frozenset(), {UUID(PROJECT)}, {"a": 1}.keys(), deque(["a"]), [[]], [NINE], [UUID(PROJECT), "a"]]
ODD += [Level.LOW, list(Mood), [Level.LOW], Col("a"), [Col("a")], gs.ALWAYS]
COMPARISONS = ["eq", "ne", "gt", "gte", "lt", "lte", "between", "contains", "one_of", "not_in"]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("method", COMPARISONS)
def test_an_odd_value_makes_a_filter_or_a_filter_error(name: str, method: str) -> None:
    """The filter can be printed, sent and loaded; the error begins with the call."""
    column = run(f"{name}('a')")
    for value in ODD if hasattr(column, method) else []:
        for arguments in [(value, 1), (NINE, value)] if method == "between" else [(value,)]:
            made, said = None, ""
            try:
                made = getattr(column, method)(*arguments)
            except FilterError as error:
                said = str(error)
            if made is None:
                check_message(said)
                assert said.startswith(f"{column!r}.{method}(")
            else:
                query = gs.CountQuery(PROJECT, run(repr(made)))
                assert (made, query) == (query.where, gs.load_query(json.loads(json.dumps(gs.dump_query(query)))))


@pytest.mark.parametrize(
    "number", [Fraction(1, 3), Fraction(10**400 + 1, 2), Fraction(1, 10**400)], ids=["1/3", "large", "small"]
)
def test_a_fraction_that_a_number_of_json_is_not_is_refused(number: Fraction) -> None:
    with pytest.raises(FilterError, match="a JSON number would lose digits") as caught:
        Col("score").gt(number)
    assert caught.value.hint == (f"Write float(...), which rounds to {float(number)}" if number < 1 else "")


NAN = float("nan")

# A filter, values that satisfy it, and values that don't.
TABLE: list[tuple[str, list[Any], list[Any]]] = [
    ("Col.text('c').eq('Ab')", ["Ab"], ["ab", "A", "Abc", ""]),
    ("Col.text('c').eq('aB', case_sensitive=False)", ["Ab", "AB", "ab"], ["a", "abc"]),
    ("TextFilter('c', 'eq', ['x', 'good', 'red'])", ["x", np.str_("x"), Mood.GOOD, Colour.RED], ["y", "xgood"]),
    ("Col.text('c').ne('Ab')", ["ab", ""], ["Ab"]),
    ("TextFilter('c', 'ne', ['a', 'b'])", ["c"], ["a", "b"]),
    ("Col.text('c').contains('B', case_sensitive=False)", ["abc", "aBc"], ["ac"]),
    ("Col.text('c').contains('SS', case_sensitive=False)", ["Maß"], ["Mas"]),
    ("TextFilter('c', 'contains', ['x', 'b'])", ["abc", "x"], ["ac", "aBc", ""]),
    ("Col.text('c').one_of(['a', 'B'])", ["a", "B"], ["b", "aB", ""]),
    ("TextFilter('c', 'one_of', 'ab')", ["ab"], ["a", "b"]),
    ("Col.text('c').not_in(['a', 'B'])", ["b", ""], ["a", "B"]),
    ("Col.collection('c').eq('a')", [["a"], ("a",), {"a"}, [None, 1, "a"]], [["a", "b"], [], ["A"]]),
    ("CollectionFilter('c', 'eq', ['a', 'b'])", [["b", "a"], {"a", "b"}], [["a"], ["a", "b", "c"]]),
    ("Col.collection('c').contains('a')", [["a", "b"], ("a",), deque(["a"])], [["ab"], ["A"], []]),
    ("Col.collection('c').contains('A', case_sensitive=False)", [["a"]], [["ab"]]),
    ("CollectionFilter('c', 'contains', ['x', 'red'])", [["x"], [Colour.RED], np.array(["x", "y"])], [["b"]]),
    ("Col.collection('c').one_of(['a', 'b'])", [["a"], ["b", "c"]], [["c"], []]),
    ("Col.collection('c').not_in(['a', 'b'])", [["c"], []], [["a"], ["b", "c"]]),
    ("Col.number('c').eq(1)", [1, 1.0, np.float64(1)], [0, 1.5, float("inf")]),
    ("Col.number('c').eq(0.1)", [0.1, Decimal("0.1"), Fraction(1, 10)], [0.2, Decimal("0.1000000000000000000001")]),
    ("Col.number('c').eq(2**53)", [2**53], [np.int64(2**53 + 1)]),
    ("Col.number('c').ne(1)", [0, 1.5], [1, 1.0]),
    ("Col.number('c').gt(1)", [1.5, Decimal("1.5"), np.array(2), 10**400, float("inf")], [1, 0, -float("inf")]),
    ("NumberFilter('c', 'gt', [1, 5])", [2, 6], [1]),
    ("Col.number('c').gte(1)", [1, 2], [0.5]),
    ("Col.number('c').lt(1)", [0.5, -float("inf")], [1, 2]),
    ("Col.number('c').lte(1)", [1, 0], [1.5]),
    ("Col.number('c').between(0.1, 2)", [0.1, Decimal("0.1"), 1.5, 2], [0.05, 2.5, Fraction(21, 10)]),
    ("NumberFilter('c', 'between', [2, 1])", [], [1, 1.5, 2]),
    ("NumberFilter('c', 'between', [1, 2, 3])", [], [1, 2, 3]),
    ("Col.date('c').eq('2026-01-31T09:00Z')", [NINE, "2026-01-31t10:00:00.0+01:00"], ["2026-01-31T09:00:00.000001Z"]),
    ("Col.date('c').ne('2026-01-31T09:00:00Z')", ["2026-01-31T09:00:01Z"], [NINE]),
    ("Col.date('c').gt('2026-01-31T09:00:00Z')", ["2026-01-31T10:00:00+00:30"], [NINE, "2026-01-31T09:30:00+01:00"]),
    ("Col.date('c').gte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T08:59:59.999999Z"]),
    ("Col.date('c').lt('2026-01-31T09:00:00Z')", ["2025-01-31T09:00:00Z"], [NINE]),
    ("Col.date('c').lte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T09:00:00.000001Z"]),
    ("Col.boolean('c').is_true()", [True, np.bool_(True)], [False]),
    ("Col.boolean('c').ne(True)", [False], [True]),
    ("Col.id('c').eq(PROJECT)", [PROJECT, PROJECT.upper(), UUID(PROJECT)], [USER, PROJECT[:-1], UUID(USER)]),
    ("Col.id('c').eq('rUN-7')", ["Run-7"], ["run7", "{run-7}"]),
    ("Col.id('c').ne(PROJECT)", [USER], [PROJECT.upper(), UUID(PROJECT)]),
    ("Col.id('c').contains('74AEC')", [PROJECT, UUID(PROJECT)], [USER]),
    ("Col.id('c').one_of([PROJECT])", [PROJECT.upper(), UUID(PROJECT)], [USER]),
    ("Col.id('c').not_in([PROJECT])", [USER, UUID(USER)], [PROJECT, UUID(PROJECT)]),
    ("FullyAnnotatedFilter([USER])", [], []),  # sessions don't contain annotation queues
]

# For each type, what a session may hold that is no value of this type.
WRONG: dict[str, list[Any]] = {
    "text": [None, NAN, 1, True, ["a"], b"a", {"a": 1}],
    "collection": [None, NAN, 1, "a", True, np.array("a")],
    "number": [None, NAN, "1", True, [1], NINE, np.float64("nan"), Decimal("sNaN"), np.bool_(True), np.str_("2")],
    "date": [*[None, NAN, 1, True, "", "yesterday", "2026-01-31", "2026-01-31T09:00:00"], *[date(2026, 1, 31), [NINE]]],
    "boolean": [None, NAN, 1, 0, "true", [True], np.int64(1)],
    "id": [None, NAN, 1, True, [PROJECT], b"a"],
    "fully_annotated": [True, USER],
}  # fmt: skip


def test_the_table_has_each_operator_of_each_type_with_a_hit_and_a_miss() -> None:
    filters = [run(program) for program, hits, misses in TABLE if hits and misses]
    assert set(PAIRS) == {(where.type, where.operator) for where in filters}


@pytest.mark.parametrize(("program", "hits", "misses"), TABLE, ids=[row[0] for row in TABLE])
def test_a_leaf_is_true_false_or_unknown(program: str, hits: list[Any], misses: list[Any]) -> None:
    """A missing value satisfies neither a leaf nor its negation. Decimals and scalars of numpy are compared exactly."""
    where = run(program)
    for values, expected in ((hits, True), (misses, False), (WRONG[where.type], None)):
        found = [truth(where, MappingProxyType({where.column_id: value})) for value in values]
        assert [(value, expected) for value in values] == list(zip(values, found, strict=True))
    assert truth(where, {}) is truth(where, {"C": hits[0] if hits else 1}) is None


SPELLINGS = [PROJECT, PROJECT.upper(), f"{{{PROJECT}}}", f"URN:UUID:{PROJECT}".upper(), PROJECT.replace("-", "", 2)]


@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.parametrize("held", [*SPELLINGS, UUID(PROJECT)], ids=str)
def test_each_spelling_of_a_uuid_is_the_same_id(written: str, held: str | UUID) -> None:
    """Ids are compared as UUIDs; contains looks at the text, and so does a text column."""
    ids, record = Col.id("c"), {"c": held}
    found = [ids.eq(written), ids.one_of([USER, written]), ids.ne(written), ids.not_in([USER, written])]
    assert [truth(where, record) for where in found] == [True, True, False, False]
    assert written == dump_filter(ids.eq(written))["filter"]["value"]
    assert truth(ids.contains(written), record) is (written.lower() in str(held).lower())
    assert truth(Col.text("c").eq(written), record) is (written == str(held))


def test_a_time_of_a_record_without_a_zone_is_refused() -> None:
    """It would match nothing. A filter that isn't about times ignores it; text without an offset is no time."""
    where, naive = Col.date("c") > NINE, NINE.replace(tzinfo=None)
    words = r"the session's c, datetime.datetime\(2026, 1, 31.*\n.*Write value.replace\(tzinfo=timezone.utc\)"
    with pytest.raises(FilterError, match=words):
        matches(~where, {"c": naive})
    assert not matches(Col("c") == "x", {"c": naive})


def test_a_value_is_read_once_for_all_conditions_on_it() -> None:
    """So a local server isn't slow with the largest filters."""

    class Counting(dict[str, object]):
        asked = 0

        def get(self, *args: Any) -> Any:
            self.asked += 1
            return super().get(*args)

    record = Counting({"input": "fix it", "score": 3})
    texts = [Col("input").contains(f"{number}") for number in range(50)]
    where = gs.any_of(texts) | ~gs.all_of([Col("score") > number for number in range(50)])
    assert matches(where, record)
    assert 2 == record.asked


@pytest.fixture
def pandas() -> Any:
    return pytest.importorskip("pandas", reason="pandas isn't installed; it is in the extra `examples`")


@pytest.mark.parametrize("name", ["NaT", "NA"])
def test_a_missing_value_of_pandas_is_missing(pandas: Any, name: str) -> None:
    """In a filter it raises the same error as None; a record that has it satisfies neither a leaf nor its negation."""
    missing = getattr(pandas, name)
    for column in ("Col('c')", "Col.date('c')", "Col.number('c')", "Col.text('c')"):
        assert "no test for a missing value" in refused(f"{column}.eq(missing)", FilterTypeError, missing=missing)
    for where in (Col("c") > 1, Col("c").eq("x"), Col.date("c") > NINE, Col("c").is_true()):
        assert truth(where, {"c": missing}) is None


def test_a_timestamp_of_pandas_is_an_instant(pandas: Any) -> None:
    """Nanoseconds are refused in a filter, because they would be lost; in a record they count."""
    where: Any = Col("c") > pandas.Timestamp("2026-01-31T09:00:00.000001Z")
    assert (datetime, NINE.replace(microsecond=1)) == (type(where.value), where.value)
    fine = pandas.Timestamp("2026-01-31T09:00:00.000001001Z")
    assert "finer than a microsecond, which would be lost" in refused("Col('c') > fine", FilterError, fine=fine)
    assert [True, False] == [truth(where, {"c": value}) for value in (fine, fine.floor("us"))]
    with pytest.raises(FilterError, match="has no UTC offset"):
        matches(where, {"c": pandas.Timestamp("2026-01-31T10:00:00.000000001")})


@pytest.mark.parametrize(("method", "hint"), [("gte", "gt"), ("gt", "gt"), ("lt", "lte"), ("lte", "lte"), ("eq", "")])
def test_the_hint_for_a_time_with_nanoseconds_counts_the_same(method: str, hint: str) -> None:
    """No session has a time between two microseconds, so no hint replaces ==."""
    said = refused(f"Col.date('c').{method}('2026-01-31T09:00:00.000001001Z')", FilterError)
    expected = f"Write Col.date('c').{hint}('2026-01-31T09:00:00.000001+00:00')"
    assert said.endswith(expected) if hint else "Write" not in said


def test_a_column_of_a_table_is_a_list_and_a_table_is_none(pandas: Any) -> None:
    """A table's items are its column names; a row of it is no mapping."""
    table = pandas.DataFrame({"c": ["x", "y"]})
    assert Col("c").not_in(["x", "y"]) == Col("c").not_in(table["c"])
    assert "one_of takes a list of text" in refused("Col('c').one_of(table)", FilterTypeError, table=table)
    with pytest.raises(FilterTypeError, match=r"Write row.to_dict\(\) for a row of a table"):
        matches(Col("c") > 1, pandas.Series({"c": 2}))
