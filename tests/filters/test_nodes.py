"""The nodes: what they are made as, print, compare and measure."""

from __future__ import annotations

import inspect
import operator
import time
from enum import StrEnum
from functools import reduce
from typing import Any

import attrs
import pytest
from support.programs import USER, refused, run

import galileo_sessions as gs
from galileo_sessions import ALWAYS, And, Col, CollectionFilter, DateFilter, Filter, Not, NumberFilter, Or, TextFilter

A = TextFilter("a", "eq", "x")
B = NumberFilter("b", "gt", 1)
C = gs.BooleanFilter("c", "eq", value=True)

LEAVES: list[Filter] = [
    A,
    B,
    C,
    DateFilter("d", "lt", "2026-01-31T09:00:00Z"),
    CollectionFilter("e", "one_of", ["x"], case_sensitive=False),
    gs.IdFilter("f", "contains", "74aec"),
    gs.FullyAnnotatedFilter([USER]),
]
NODES: list[Filter] = [And([A, B]), Or([A, B]), Not(A), ALWAYS, gs.NEVER]


def test_lists_are_copied() -> None:
    """Changing a list later doesn't change the filter that was made of it."""
    texts, users, children = ["x"], [USER], [A]
    made = [Col("a").one_of(texts), gs.FullyAnnotatedFilter(users), And(children), gs.all_of(children)]
    before = [repr(where) for where in made]
    for changed in (texts, users, children):
        changed.clear()
    assert before == [repr(where) for where in made]


@pytest.mark.parametrize("leaf", LEAVES[:-1], ids=repr)
def test_an_operator_is_plain_text(leaf: Any) -> None:
    """An operator from an enumeration becomes plain text."""
    assert str is type(attrs.evolve(leaf, operator=StrEnum("Operator", {"EQ": "eq"}).EQ).operator)


@pytest.mark.parametrize("cls", dict.fromkeys(map(type, [*LEAVES, *NODES])))
def test_filters_match_by_position(cls: Any) -> None:
    """`match` takes the fields in the order of the constructors."""
    assert tuple(inspect.signature(cls).parameters) == cls.__match_args__


def grown(levels: int, wrap: Any) -> Filter:
    """A tree of so many levels."""
    where: Filter = A
    for _ in range(levels - 1):
        where = wrap(where)
    return where


WRAPS = {"Not": Not, "And": lambda where: And([where]), "Or": lambda where: Or([B, where])}


@pytest.mark.parametrize(
    ("program", "top"), [("a & deep", "Not"), ("deep & a", "Or"), ("~deep", "And"), ("any_of([deep, a])", "And")]
)
def test_operators_cannot_build_the_101st_level(program: str, top: str) -> None:
    """&, |, ~, all_of and any_of can't exceed 100 levels either."""
    message = refused(program, gs.FilterTooLargeError, a=A, deep=grown(100, WRAPS[top]))
    assert "at most 100 levels\nhint: Write all_of([...])" in message


def test_flattening_adds_no_level() -> None:
    """A filter of 100 levels can still grow in breadth."""
    deep = grown(100, WRAPS["And"])
    assert (100, 2) == ((deep & A).depth, (deep & A).size)
    assert 99 == (~grown(100, WRAPS["Not"])).depth


MANY = gs.all_of([A] * 10_000)


@pytest.mark.parametrize("program", ["many & a", "And([a] * 10_001)", "any_of([a] * 10_001)", "Or([many, NEVER])"])
def test_the_10_001st_leaf_cannot_be_added(program: str) -> None:
    """A filter has at most 10,000 leaves; the error says what to do."""
    assert 10_000 == MANY.size
    assert "10,000 is the most\nhint: Many values of one" in refused(program, gs.FilterTooLargeError, a=A, many=MANY)


@pytest.mark.parametrize(("start", "join"), [(ALWAYS, operator.and_), (gs.NEVER, operator.or_)], ids=["and", "or"])
def test_a_loop_builds_10_000_leaves_in_well_under_a_second(start: Filter, join: Any) -> None:
    """& and | in a loop take time that hardly grows with the filter."""
    began = time.process_time()
    assert 10_000 == reduce(join, [A] * 10_000, start).size
    assert time.process_time() - began < 2  # 0.3 s on a machine that has nothing else to do


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("Col.text('a').eq('x')", A),
        ("Col.text('a').contains('x', case_sensitive=False)", TextFilter("a", "contains", "x", case_sensitive=False)),
        ("Col.collection('a').not_in(['x'])", CollectionFilter("a", "not_in", ["x"])),
        ("Col.number('b').between(1, 2.5)", NumberFilter("b", "between", [1, 2.5])),
        ("Col.date('d').gte('2026-01-31T09:00:00+05:30')", DateFilter("d", "gte", "2026-01-31T09:00:00+05:30")),
        (f"FullyAnnotatedFilter(user_ids=['{USER}'])", gs.FullyAnnotatedFilter([USER])),
        ("TextFilter('a', 'eq', ['x'])", TextFilter("a", "eq", ["x"])),
        ("TextFilter('a', 'one_of', [])", TextFilter("a", "one_of", [])),
        ("TextFilter('', 'eq', 'x')", TextFilter("", "eq", "x")),
        ("TextFilter('a', 'eq', '\\ud800')", TextFilter("a", "eq", "\ud800")),
        ("NumberFilter('b', 'between', [2, 1])", NumberFilter("b", "between", [2, 1])),
        (f"NumberFilter('b', 'between', [0.5, {2**60}])", NumberFilter("b", "between", [0.5, 2**60])),
        ("ALWAYS", And([])),
        ("NEVER", Or([])),
        ("Col.text('a').eq('x') & (Col.number('b').gt(1) | Col.boolean('c').eq(True))", A & (B | C)),
        ("~(Col.text('a').eq('x') & Col.number('b').gt(1))", ~(A & B)),
        ("Not(~Col.text('a').eq('x'))", Not(Not(A))),
        ("And([Col.text('a').eq('x')])", And([A])),
        ("Or([NEVER, Col.text('a').eq('x')])", Or([gs.NEVER, A])),
        ("And([Col.text('a').eq('x') & Col.number('b').gt(1), Col.boolean('c').eq(True)])", And([And([A, B]), C])),
        (" & ".join(["Col.boolean('c').eq(True)"] * 8), And([C] * 8)),
        ("all_of([" + ", ".join(["Col.boolean('c').eq(True)"] * 9) + "])", And([C] * 9)),
        ("~any_of([" + ", ".join(["Col.boolean('c').eq(True)"] * 9) + "])", ~Or([C] * 9)),
    ],
)
def test_a_filter_prints_as_the_program_that_makes_it(written: str, where: Filter) -> None:
    """The repr uses columns and operators if they can make the filter, and otherwise constructors."""
    assert written == repr(where) == str(where)
    assert where == run(written)


def test_equality_is_by_structure() -> None:
    """Two filters made apart are one key; type, column, operator, value, case and order all count."""
    assert 1 == len({A & B, Col.text("a").eq("x") & Col("b").gt(1), And([A, B])})
    texts = [TextFilter("a", "eq", value) for value in ("x", "y", ["x"])]
    others = [TextFilter("b", "eq", "x"), TextFilter("a", "ne", "x"), TextFilter("a", "eq", "x", case_sensitive=False)]
    others += [CollectionFilter("a", "eq", "x"), gs.IdFilter("a", "eq", "x")]
    assert 11 == len({*texts, *others, Not(A), And([A]), Or([A])})
    assert And([A, B]) != And([B, A])
    assert A != "x"
    assert DateFilter("d", "eq", "2026-01-31T09:00:00Z") == DateFilter("d", "eq", "2026-01-31T10:00:00+01:00")
