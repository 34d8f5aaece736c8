"""What a filter says of one session: each operator of each type on a hit, a miss, and what is neither."""

from collections import deque
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from support.programs import USER, Mood, refused, run
from support.sockets import PROJECT
from support.strategies import PAIRS, truth

from galileo_sessions import Col, FilterError, FilterTypeError, dump_filter, matches

NAN = float("nan")
NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
Colour: Any = Enum("Colour", {"RED": "red"}, type=str)  # the older way, of which `str(...)` isn't the value

# A filter, values that satisfy it, and values that don't.
TABLE: list[tuple[str, list[Any], list[Any]]] = [
    ("Col.text('c').eq('Ab')", ["Ab"], ["ab", "A", "Abc", ""]),
    ("Col.text('c').eq('aB', case_sensitive=False)", ["Ab", "AB", "ab"], ["a", "abc"]),
    ("Col.text('c').eq('STRASSE', case_sensitive=False)", ["straße"], ["strase"]),
    ("Col.text('c').eq('')", [""], [" "]),
    ("TextFilter('c', 'eq', ['a', 'b'])", ["a", "b"], ["c", "ab"]),
    ("Col.text('c').ne('Ab')", ["ab", ""], ["Ab"]),
    ("TextFilter('c', 'ne', ['a', 'b'])", ["c"], ["a", "b"]),
    ("Col.text('c').contains('b')", ["abc", "b"], ["aBc", ""]),
    ("Col.text('c').contains('B', case_sensitive=False)", ["abc", "aBc"], ["ac"]),
    ("Col.text('c').contains('SS', case_sensitive=False)", ["Maß"], ["Mas"]),
    ("Col.text('c').contains('')", ["", "a"], []),
    ("TextFilter('c', 'contains', ['x', 'b'])", ["abc", "x"], ["ac"]),
    ("Col.text('c').one_of(['a', 'B'])", ["a", "B"], ["b", "aB", ""]),
    ("TextFilter('c', 'one_of', 'ab')", ["ab"], ["a", "b"]),
    ("Col.text('c').not_in(['a', 'B'])", ["b", ""], ["a", "B"]),
    ("Col.collection('c').eq('a')", [["a"], ("a",), {"a"}], [["a", "b"], [], ["A"]]),
    ("CollectionFilter('c', 'eq', ['a', 'b'])", [["b", "a"], {"a", "b"}], [["a"], ["a", "b", "c"]]),
    ("Col.collection('c').contains('a')", [["a", "b"], ("a",), deque(["a"])], [["ab"], ["A"], []]),
    ("Col.collection('c').contains('A', case_sensitive=False)", [["a"]], [["ab"]]),
    ("CollectionFilter('c', 'contains', ['x', 'a'])", [["a"], ["x"]], [["b"]]),
    ("Col.collection('c').one_of(['a', 'b'])", [["a"], ["b", "c"]], [["c"], []]),
    ("CollectionFilter('c', 'one_of', 'ab')", [["ab"]], [["a"]]),
    ("Col.collection('c').not_in(['a', 'b'])", [["c"], []], [["a"], ["b", "c"]]),
    ("Col.number('c').eq(1)", [1, 1.0, np.float64(1)], [0, 1.5, float("inf")]),
    ("Col.number('c').eq(0.1)", [0.1], [0.2]),
    ("Col.number('c').eq(10**400)", [10**400], [float("inf"), 1]),
    ("NumberFilter('c', 'eq', [1, 2])", [1, 2], [3]),
    ("Col.number('c').ne(1)", [0, 1.5], [1, 1.0]),
    ("NumberFilter('c', 'ne', [1, 2])", [3], [1, 2]),
    ("Col.number('c').gt(1)", [1.5, 10**400, float("inf")], [1, 0, -float("inf")]),
    ("NumberFilter('c', 'gt', [1, 5])", [2, 6], [1]),
    ("Col.number('c').gte(1)", [1, 2], [0.5]),
    ("Col.number('c').lt(1)", [0.5, -float("inf")], [1, 2]),
    ("Col.number('c').lte(1)", [1, 0], [1.5]),
    ("Col.number('c').between(1, 2)", [1, 1.5, 2], [0.5, 2.5]),
    ("NumberFilter('c', 'between', [2, 1])", [], [1, 1.5, 2]),
    ("NumberFilter('c', 'between', [1])", [], [1, 2]),
    ("NumberFilter('c', 'between', 1)", [], [1, 2]),
    ("NumberFilter('c', 'between', [1, 2, 3])", [], [1, 2, 3]),
    ("Col.date('c').eq('2026-01-31T09:00:00Z')", [NINE, "2026-01-31T10:00:00+01:00"], ["2026-01-31T09:00:00+01:00"]),
    ("Col.date('c').eq('2026-01-31T09:00:00Z')", ["2026-01-31t09:00:00.000000z"], ["2026-01-31T09:00:00.000001Z"]),
    ("Col.date('c').ne('2026-01-31T09:00:00Z')", ["2026-01-31T09:00:01Z"], [NINE]),
    ("Col.date('c').gt('2026-01-31T09:00:00Z')", ["2026-01-31T10:00:00+00:30"], [NINE, "2026-01-31T09:30:00+01:00"]),
    ("Col.date('c').gte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T08:59:59.999999Z"]),
    ("Col.date('c').lt('2026-01-31T09:00:00Z')", ["2025-01-31T09:00:00Z"], [NINE]),
    ("Col.date('c').lte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T09:00:00.000001Z"]),
    ("Col.boolean('c').is_true()", [True], [False]),
    ("Col.boolean('c').eq(False)", [False], [True]),
    ("Col.boolean('c').ne(True)", [False], [True]),
    ("Col.id('c').eq(PROJECT)", [PROJECT, PROJECT.upper(), UUID(PROJECT)], [USER, PROJECT[:-1], UUID(USER)]),
    ("Col.id('c').eq(PROJECT.upper())", [PROJECT, UUID(PROJECT)], [USER]),
    ("IdFilter('c', 'eq', [PROJECT, USER])", [PROJECT, USER], [""]),
    ("Col.id('c').eq('rUN-7')", ["Run-7"], ["run7", "{run-7}"]),
    ("Col.id('c').ne(PROJECT)", [USER], [PROJECT.upper(), UUID(PROJECT)]),
    ("Col.id('c').contains('74AEC')", [PROJECT, UUID(PROJECT)], [USER]),
    ("Col.id('c').one_of([PROJECT])", [PROJECT.upper(), UUID(PROJECT)], [USER]),
    ("Col.id('c').not_in([PROJECT])", [USER, UUID(USER)], [PROJECT, UUID(PROJECT)]),
]

# For each type, what a session may hold that is no value of this type.
WRONG: dict[str, list[Any]] = {
    "text": [None, NAN, 1, True, ["a"], b"a", {"a": 1}],
    "collection": [None, NAN, 1, "a", True, np.array("a")],
    "number": [None, NAN, "1", True, [1], NINE, np.float64("nan"), Decimal("sNaN"), np.bool_(True), np.str_("2")],
    "date": [*[None, NAN, 1, True, "", "yesterday", "2026-01-31", "2026-01-31T09:00:00"], *[date(2026, 1, 31), [NINE]],
             np.datetime64("2026-02-01")],
    "boolean": [None, NAN, 1, 0, "true", [True], np.int64(1)],
    "id": [None, NAN, 1, True, [PROJECT], b"a"],
}  # fmt: skip


def test_the_table_has_each_operator_of_each_type_with_a_hit_and_a_miss() -> None:
    filters = [run(program) for program, hits, misses in TABLE if hits and misses]
    assert set(PAIRS) == {(where.type, where.operator) for where in filters}


@pytest.mark.parametrize(("program", "hits", "misses"), TABLE, ids=[row[0] for row in TABLE])
def test_a_leaf_is_true_false_or_unknown(program: str, hits: list[Any], misses: list[Any]) -> None:
    """A leaf is true for a hit and false for a miss; a missing value satisfies neither it nor its negation."""
    where = run(program)
    assert [(value, True) for value in hits] == [(value, truth(where, {"c": value})) for value in hits]
    assert [(value, False) for value in misses] == [(value, truth(where, {"c": value})) for value in misses]
    assert {None} == {truth(where, {"c": value}) for value in WRONG[where.type]}
    assert truth(where, {}) is truth(where, {"C": hits[0] if hits else 1}) is None


@pytest.mark.parametrize(
    ("program", "value", "expected"),
    [
        ("Col.text('c').eq('good')", Mood.GOOD, True),
        ("Col.text('c').eq('red')", Colour.RED, True),
        ("Col.text('c').eq('x')", np.str_("x"), True),
        ("Col.text('c').eq(PROJECT)", UUID(PROJECT), True),
        ("Col.collection('c').contains('red')", [Colour.RED], True),
        ("Col.collection('c').eq('a')", [None, 1, "a"], True),
        ("Col.collection('c').contains('x')", np.array(["x", "y"]), True),
        ("Col.boolean('c').is_true()", np.bool_(True), True),
        ("Col.number('c').gt(1)", np.array(2), True),
        ("Col.number('c').gt(1)", Decimal("1.5"), True),
        ("Col.number('c').eq(0.1)", Decimal("0.1"), True),  # Python compares binary fractions
        ("Col.number('c').eq(0.1)", Decimal("0.1000000000000000000001"), False),
        ("Col.number('c').between(Decimal('0.1'), 1)", Decimal("0.1"), True),
        ("Col.number('c').eq(2**53)", np.int64(2**53 + 1), False),
        ("FullyAnnotatedFilter([USER])", True, None),  # sessions don't contain annotation queues
    ],
    ids=repr,
)
def test_a_record_may_hold_values_in_many_forms(program: str, value: object, expected: bool | None) -> None:
    """Enumerations and UUIDs count as their text; scalars of numpy and Decimal compare exactly."""
    where = run(program)
    assert expected is truth(where, MappingProxyType({where.column_id: value}))


SPELLINGS = [PROJECT, PROJECT.upper(), PROJECT.replace("-", ""), f"{{{PROJECT}}}", f"urn:uuid:{PROJECT}"]
SPELLINGS += [f"URN:UUID:{PROJECT}".upper(), PROJECT.replace("-", "", 2).upper()]


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


@pytest.fixture
def pandas() -> Any:
    """pandas, where it is installed."""
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


def test_a_column_of_a_table_is_a_list_and_a_table_is_none(pandas: Any) -> None:
    """A table's items are its column names; a row of it is no mapping."""
    table = pandas.DataFrame({"c": ["x", "y"]})
    assert Col("c").not_in(["x", "y"]) == Col("c").not_in(table["c"])
    assert "one_of takes a list of text" in refused("Col('c').one_of(table)", FilterTypeError, table=table)
    with pytest.raises(FilterTypeError, match=r"Write row.to_dict\(\) for a row of a table"):
        matches(Col("c") > 1, pandas.Series({"c": 2}))
