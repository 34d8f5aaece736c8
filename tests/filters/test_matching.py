"""What a filter says of one session: each operator of each type on a hit, a miss, and what is neither."""

from __future__ import annotations

from collections import deque
from datetime import UTC, date, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from support.programs import USER, Mood, run
from support.sockets import PROJECT
from support.strategies import PAIRS, truth

from galileo_sessions import dump_filter

Truth = bool | None
NAN = float("nan")
NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)


Colour: Any = Enum("Colour", {"RED": "red"}, type=str)  # the older way, of which `str(...)` isn't the value


# Each type and operator with a filter's program, values that satisfy it and values that don't.
TABLE: dict[tuple[str, str], list[tuple[str, list[Any], list[Any]]]] = {
    ("text", "eq"): [
        ("Col.text('c').eq('Ab')", ["Ab"], ["ab", "A", "Abc", ""]),
        ("Col.text('c').eq('aB', case_sensitive=False)", ["Ab", "AB", "ab"], ["a", "abc"]),
        ("Col.text('c').eq('STRASSE', case_sensitive=False)", ["straße"], ["strase"]),
        ("Col.text('c').eq('')", [""], [" "]),
        ("TextFilter('c', 'eq', ['a', 'b'])", ["a", "b"], ["c", "ab"]),
        ("TextFilter('c', 'eq', [])", [], ["a"]),
    ],
    ("text", "ne"): [
        ("Col.text('c').ne('Ab')", ["ab", ""], ["Ab"]),
        ("Col.text('c').ne('aB', case_sensitive=False)", ["a"], ["Ab"]),
        ("TextFilter('c', 'ne', ['a', 'b'])", ["c"], ["a", "b"]),
    ],
    ("text", "contains"): [
        ("Col.text('c').contains('b')", ["abc", "b"], ["aBc", ""]),
        ("Col.text('c').contains('B', case_sensitive=False)", ["abc", "aBc"], ["ac"]),
        ("Col.text('c').contains('SS', case_sensitive=False)", ["Maß"], ["Mas"]),
        ("Col.text('c').contains('')", ["", "a"], []),
        ("TextFilter('c', 'contains', ['x', 'b'])", ["abc", "x"], ["ac"]),
    ],
    ("text", "one_of"): [
        ("Col.text('c').one_of(['a', 'B'])", ["a", "B"], ["b", "aB", ""]),
        ("Col.text('c').one_of(['a', 'B'], case_sensitive=False)", ["A", "b"], ["ab"]),
        ("TextFilter('c', 'one_of', 'ab')", ["ab"], ["a", "b"]),
    ],
    ("text", "not_in"): [
        ("Col.text('c').not_in(['a', 'B'])", ["b", ""], ["a", "B"]),
        ("Col.text('c').not_in(['a', 'B'], case_sensitive=False)", ["ab"], ["A", "b"]),
        ("TextFilter('c', 'not_in', 'ab')", ["a"], ["ab"]),
    ],
    ("collection", "eq"): [
        ("Col.collection('c').eq('a')", [["a"], ("a",), {"a"}], [["a", "b"], [], ["A"]]),
        ("Col.collection('c').eq('A', case_sensitive=False)", [["a"]], [["b"]]),
        ("CollectionFilter('c', 'eq', ['a', 'b'])", [["b", "a"], {"a", "b"}], [["a"], ["a", "b", "c"]]),
    ],
    ("collection", "contains"): [
        ("Col.collection('c').contains('a')", [["a", "b"], ("a",), deque(["a"])], [["ab"], ["A"], []]),
        ("Col.collection('c').contains('A', case_sensitive=False)", [["a"]], [["ab"]]),
        ("CollectionFilter('c', 'contains', ['x', 'a'])", [["a"], ["x"]], [["b"]]),
    ],
    ("collection", "one_of"): [
        ("Col.collection('c').one_of(['a', 'b'])", [["a"], ["b", "c"]], [["c"], []]),
        ("Col.collection('c').one_of(['A'], case_sensitive=False)", [["a"]], [["b"]]),
        ("CollectionFilter('c', 'one_of', 'ab')", [["ab"]], [["a"]]),
    ],
    ("collection", "not_in"): [
        ("Col.collection('c').not_in(['a', 'b'])", [["c"], []], [["a"], ["b", "c"]]),
        ("Col.collection('c').not_in(['A'], case_sensitive=False)", [["b"]], [["a"]]),
    ],
    ("number", "eq"): [
        ("Col.number('c').eq(1)", [1, 1.0, np.float64(1)], [0, 1.5, float("inf")]),
        ("Col.number('c').eq(0.1)", [0.1], [0.2]),
        ("Col.number('c').eq(10**400)", [10**400], [float("inf"), 1]),
        ("NumberFilter('c', 'eq', [1, 2])", [1, 2], [3]),
    ],
    ("number", "ne"): [("Col.number('c').ne(1)", [0, 1.5], [1, 1.0]), ("NumberFilter('c', 'ne', [1, 2])", [3], [1, 2])],
    ("number", "gt"): [
        ("Col.number('c').gt(1)", [1.5, 10**400, float("inf")], [1, 0, -float("inf")]),
        ("NumberFilter('c', 'gt', [1, 5])", [2, 6], [1]),
    ],
    ("number", "gte"): [("Col.number('c').gte(1)", [1, 2], [0.5])],
    ("number", "lt"): [("Col.number('c').lt(1)", [0.5, -float("inf")], [1, 2])],
    ("number", "lte"): [("Col.number('c').lte(1)", [1, 0], [1.5])],
    ("number", "between"): [
        ("Col.number('c').between(1, 2)", [1, 1.5, 2], [0.5, 2.5]),
        ("NumberFilter('c', 'between', [2, 1])", [], [1, 1.5, 2]),
        ("NumberFilter('c', 'between', [1])", [], [1, 2]),
        ("NumberFilter('c', 'between', 1)", [], [1, 2]),
        ("NumberFilter('c', 'between', [1, 2, 3])", [], [1, 2, 3]),
    ],
    ("date", "eq"): [
        (
            "Col.date('c').eq('2026-01-31T09:00:00Z')",
            [NINE, "2026-01-31T09:00:00Z", "2026-01-31T10:00:00+01:00", "2026-01-31t09:00:00.000000z"],
            ["2026-01-31T09:00:00.000001Z", "2026-01-31T09:00:00+01:00"],
        )
    ],
    ("date", "ne"): [("Col.date('c').ne('2026-01-31T09:00:00Z')", ["2026-01-31T09:00:01Z"], [NINE])],
    ("date", "gt"): [
        ("Col.date('c').gt('2026-01-31T09:00:00Z')", ["2026-01-31T10:00:00+00:30"], [NINE, "2026-01-31T09:30:00+01:00"])
    ],
    ("date", "gte"): [("Col.date('c').gte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T08:59:59.999999Z"])],
    ("date", "lt"): [("Col.date('c').lt('2026-01-31T09:00:00Z')", ["2025-01-31T09:00:00Z"], [NINE])],
    ("date", "lte"): [("Col.date('c').lte('2026-01-31T09:00:00Z')", [NINE], ["2026-01-31T09:00:00.000001Z"])],
    ("boolean", "eq"): [
        ("Col.boolean('c').is_true()", [True], [False]),
        ("Col.boolean('c').eq(False)", [False], [True]),
    ],
    ("boolean", "ne"): [("Col.boolean('c').ne(True)", [False], [True])],
    ("id", "eq"): [
        ("Col.id('c').eq(PROJECT)", [PROJECT, PROJECT.upper(), UUID(PROJECT)], [USER, PROJECT[:-1], UUID(USER)]),
        ("Col.id('c').eq(PROJECT.upper())", [PROJECT, UUID(PROJECT)], [USER]),
        ("IdFilter('c', 'eq', [PROJECT, USER])", [PROJECT, USER], [""]),
        ("Col.id('c').eq('rUN-7')", ["Run-7"], ["run7", "{run-7}"]),
    ],
    ("id", "ne"): [("Col.id('c').ne(PROJECT)", [USER], [PROJECT.upper(), UUID(PROJECT)])],
    ("id", "contains"): [("Col.id('c').contains('74AEC')", [PROJECT, UUID(PROJECT)], [USER])],
    ("id", "one_of"): [("Col.id('c').one_of([PROJECT])", [PROJECT.upper(), UUID(PROJECT)], [USER])],
    ("id", "not_in"): [("Col.id('c').not_in([PROJECT])", [USER, UUID(USER)], [PROJECT, UUID(PROJECT)])],
}

# For each type, what a session may hold that is no value of this type.
WRONG: dict[str, list[Any]] = {
    "text": [None, NAN, 1, True, ["a"], b"a", {"a": 1}],
    "collection": [None, NAN, 1, "a", True],
    "number": [None, NAN, "1", True, [1], NINE, np.float64("nan")],
    "date": [*[None, NAN, 1, True, "", "yesterday", "2026-01-31", "2026-01-31T09:00:00"], *[date(2026, 1, 31), [NINE]]],
    "boolean": [None, NAN, 1, 0, "true", [True]],
    "id": [None, NAN, 1, True, [PROJECT], b"a"],
}

ROWS = [(pair, *row) for pair, rows in TABLE.items() for row in rows]


def test_the_table_is_complete() -> None:
    """The table has each operator of each type, with a hit and a miss."""
    assert set(PAIRS) == set(TABLE)
    assert all(any(hits and misses for _, hits, misses in rows) for rows in TABLE.values())


@pytest.mark.parametrize(("pair", "program", "hits", "misses"), ROWS, ids=[row[1] for row in ROWS])
def test_a_leaf_is_true_false_or_unknown(
    pair: tuple[str, str], program: str, hits: list[Any], misses: list[Any]
) -> None:
    """A leaf is true for a hit and false for a miss; a missing value satisfies neither it nor its negation."""
    where = run(program)
    assert pair == (where.type, where.operator)
    assert [(value, True) for value in hits] == [(value, truth(where, {"c": value})) for value in hits]
    assert [(value, False) for value in misses] == [(value, truth(where, {"c": value})) for value in misses]
    assert [None] * len(WRONG[pair[0]]) == [truth(where, {"c": value}) for value in WRONG[pair[0]]]
    assert truth(where, {}) is None
    assert truth(where, {"C": hits[0] if hits else 1}) is None


@pytest.mark.parametrize(
    ("program", "record", "expected"),
    [
        ("Col.text('c').eq('good')", {"c": Mood.GOOD}, True),
        ("Col.text('c').eq('red')", {"c": Colour.RED}, True),
        ("Col.collection('c').contains('red')", {"c": [Colour.RED]}, True),
        ("Col.collection('c').contains('a')", {"c": [None, 1, "a"]}, True),
        ("Col.collection('c').eq('a')", {"c": [1, "a"]}, True),
        ("Col.text('c').eq(PROJECT)", {"c": UUID(PROJECT)}, True),
        ("Col.number('metrics/a b')==1", {"metrics/a b": 1}, True),
        ("Col.number('c').gt(1)", MappingProxyType({"c": 2}), True),
    ],
)
def test_records_hold_values_in_many_forms(program: str, record: dict[str, Any], expected: Truth) -> None:
    """Enumerations and UUIDs count as their text; members of a collection that aren't text are ignored."""
    assert expected is truth(run(program), record)


SPELLINGS = [PROJECT, PROJECT.upper(), PROJECT.replace("-", ""), f"{{{PROJECT}}}", f"urn:uuid:{PROJECT}"]
SPELLINGS += [f"URN:UUID:{PROJECT}".upper(), PROJECT.replace("-", "", 2).upper()]


@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.parametrize("held", [*SPELLINGS, UUID(PROJECT)], ids=str)
def test_each_spelling_of_a_uuid_is_the_same_id(written: str, held: str | UUID) -> None:
    """Ids are compared as UUIDs; contains looks at the text, and so does a text column."""
    ids, record = run("Col.id('c')"), {"c": held}
    found = [ids.eq(written), ids.one_of([USER, written]), ids.ne(written), ids.not_in([USER, written])]
    assert [truth(where, record) for where in found] == [True, True, False, False]
    assert [dump_filter(where)["filter"]["value"] for where in found[::2]] == [written] * 2
    assert truth(ids.contains(written), record) is (written.lower() in str(held).lower())
    assert truth(run("Col.text('c').eq(written)", written=written), record) is (written == str(held))


def test_fully_annotated_is_unknown() -> None:
    """`fully_annotated` is unknown for every session, because sessions don't contain annotation queues."""
    assert truth(run("FullyAnnotatedFilter([USER])"), {"fully_annotated": True}) is None
