"""Conditions that no session satisfies together are found, those that exclude no value, and no others."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations, pairwise
from math import inf, nextafter
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, FilterCheckError, matches
from galileo_sessions.filters.contradictions import (
    check_for_contradictions,
    check_for_tautologies,
    contradiction_in,
    tautology_in,
)

N, T, D, B = Col.number("n"), Col.text("t"), Col.date("d"), Col.boolean("b")
KEY, C = Col.id("i"), Col.collection("c")
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
US = timedelta(microseconds=1)
ID = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
MANY = [f"x{n}" for n in range(9_999)]

CONTRADICTIONS = [
    (N > 5) & (N < 3),
    (N >= 3) & (N <= 3) & (N != 3),
    N.between(1, 2) & N.between(3, 4),
    (N > 10**400) & (N < 5),
    ~((N < 5) | (N > 3)),
    ((N > 5) | (N == 4)) & (N < 3),
    (T == "a") & (T == "b"),
    T.eq("a", case_sensitive=False) & T.ne("A", case_sensitive=False),
    (KEY == ID) & (KEY != UUID(ID)),
    B.is_true() & B.is_false(),
    D.during(MAY, JUNE) & D.gt(JUNE + timedelta(days=1)),
    (N > 5) & (T == "x") & (N < 3),
    ((N > 5) & (N < 3)) | ((T == "a") & (T == "b")),
    *[x & ~x for x in (N > 3, T.contains("x"), C.contains("x"), (N > 3) | (T == "a"), (N > 3) & (T == "a"))],
    gs.And([N > 3, gs.And([T == "a", N < 2])]),
    gs.And([N > 3, gs.Not(gs.Not(N < 2))]),
    # Beside what can't be judged
    (T == "a") & (T == "b") & T.ne("C", case_sensitive=False),
    (T == "a") & (T == "b") & T.not_in(MANY[:60]),
    (T == "a") & (T == "b") & T.contains("x"),
    (KEY == "a") & (KEY == "b") & KEY.not_in(MANY),
    gs.all_of([KEY.not_in(MANY), *[KEY != text for text in MANY[:12]], KEY == "a", KEY == "b"]),
    (D > JUNE) & (D < MAY) & (D > FIRST) & (D < LAST),
    (C.contains("a") & ~C.contains("a") & (C == "b")),
    gs.all_of([N > 5, N < 3, *[N != n for n in range(9_000)]]),
    # Of listed values, each is tried.
    T.one_of(MANY) & (T == "a"),
    (T == "abc") & T.contains("x"),
    (T == "abc") & ~T.contains("B", case_sensitive=False),
    T.eq("ABC", case_sensitive=False) & T.contains("x", case_sensitive=False),
    (T == "abc") & T.eq("ABD", case_sensitive=False),
    T.eq("abc", case_sensitive=False) & T.one_of(["Abd", "ab"]),
    (KEY == "abc") & KEY.contains("x"),
    (KEY == "abc") & ~KEY.contains("B"),
    # A collection has a text or not.
    C.one_of(["vip"]) & C.not_in(["vip"]),
    C.one_of(["a", "b"]) & ~C.contains("a") & ~C.contains("b"),
    C.contains("a") & C.not_in(["A"], case_sensitive=False),
    C.one_of(["vip"]) & C.not_in(["vip"]) & C.not_in(MANY),
]
CONSISTENT = [
    ALWAYS,
    NEVER,
    N > 5,
    (N > 5) & (Col.number("m") < 3),
    (N > 2**60) & (N < 2**60 + 2),
    (T == "a") & T.eq("A", case_sensitive=False),
    T.eq("a", case_sensitive=False) & (T != "a"),
    T.contains("a") & T.contains("b"),
    T.eq("a", case_sensitive=False) & T.contains("A"),
    C.contains("a") & C.contains("b"),
    C.contains("a") & C.contains("A"),
    C.contains("A", case_sensitive=False) & ~C.contains("A"),
    (C == "a") & C.contains("b"),  # the API doesn't document eq of several values, so nothing is said of it
    ~(C == "a") & C.contains("a"),
    gs.CollectionFilter("c", "contains", ["a", "b"]) & C.not_in(["a", "b"]),
    gs.TextFilter("t", "eq", ["a", "b"]) & (T == "c"),
    gs.TextFilter("t", "contains", ["x", "y"]) & (T == "a"),
    gs.NumberFilter("n", "between", [1]) & (N == 1),
    (KEY == ID) & (KEY == ID.upper()),
    (KEY == ID) & KEY.contains("{"),  # one of the spellings of a UUID
    (KEY == ID) & ~KEY.contains("-"),
    gs.FullyAnnotatedFilter(),
    gs.FullyAnnotatedFilter() & (N > 3),
]
BETWEEN = [
    ((N > 1.7e18) & (N < nextafter(1.7e18, inf)), {"n": int(1.7e18) + 1}),
    ((N > 0.1) & (N < nextafter(0.1, inf)), {"n": Decimal("0.100000000000000005")}),
    ((N >= 0.1) & (N <= 0.1), {"n": Decimal("0.1")}),
    ((N > 2**60 + 1) & (N < float(2**60)), {"n": Decimal(2**60 + 2)}),  # 1.152921504606847e+18 is larger
    ((N == 2**60) & (N == float(2**60)), {"n": 2**60}),
    ((N != 2**60) & (N == float(2**60)), {"n": Decimal("1.152921504606847e+18")}),
    ((D < FIRST) & (D < JUNE), {"d": "0001-01-01T00:00+14:00"}),
]
TAUTOLOGIES = [
    (T != "p") | (T != "q"),
    (N > 30) | (N < 50),
    (N <= 30) | (N > 30),
    ~((N == 30) & (N == 50)),
    B.is_true() | B.is_false(),
    (B != True) | B.is_true(),  # noqa: E712
    D.lt(JUNE + US) | D.gt(MAY - US),
    (KEY != "p") | (KEY != "q"),
    C.contains("p") | C.not_in(["p"]),
    ~((T == "p") & T.contains("z")),
    (T != "p") | (T != "q") | T.contains("x"),
    (T != "p") | T.ne("Q", case_sensitive=False) | T.one_of(MANY),
    (N > 7) | ~(N > 7) | (N > 30) | (N < 50),
    (N > 7) | (N > 30) | (T == "p") | (N < 50),
    ((N > 30) & (N > 40)) | (N < 50),
]
NO_TAUTOLOGIES = [
    ALWAYS,
    NEVER,
    gs.Not(ALWAYS),
    (N > 30) | (N < 30),
    (N > 30) & (N < 50),
    (N > 30) | (Col.number("m") < 50),
    (T == "p") | (T == "q"),
    *[x | ~x for x in (N > 3, N != 3, T.contains("x"), (N > 3) | (T == "a"), (N > 3) & (N < 5), C.contains("a"))],
    (N > 3) | ~(N > 3) | (N < 5),
    (N > 3) | ~(N > 3) | (T == "p") | ~(T == "p"),
    gs.FullyAnnotatedFilter() | ~gs.FullyAnnotatedFilter(),
]


def shortened(value):
    return repr(value)[:100]


@pytest.mark.parametrize("where", CONTRADICTIONS, ids=shortened)
def test_what_no_session_satisfies_is_found(where):
    """Alone, with another condition, and below an `or`, which then hides it from the count."""
    for whole in (where, where & (Col("x") == "y"), (Col("x") == "y") | (where & Col("z").contains("z"))):
        with pytest.raises(FilterCheckError, match="no session can satisfy"):
            check_for_contradictions(whole)


@pytest.mark.parametrize("where", CONSISTENT, ids=shortened)
def test_what_a_session_can_satisfy_is_not(where):
    check_for_contradictions(where)
    check_for_contradictions(where & (Col("x") == "y"))


def test_each_place_is_marked():
    where = ((N > 5) & (N < 3)) | ((T == "a") & (T == "b") & (N > 3))
    with pytest.raises(FilterCheckError) as caught:
        check_for_contradictions(where)
    assert [issue.loc for issue in caught.value.issues] == [("or", 0, "and"), ("or", 1, "and")]
    assert [issue.node for issue in caught.value.issues] == [*where.children]
    assert contradiction_in(where.children[1]) == (T == "a") & (T == "b")
    assert str(caught.value).count("↑ no session can satisfy") == 2


@pytest.mark.parametrize(
    ("where", "begins"),
    [
        ((N > 5) & (N < 3), "the filter contradicts itself"),
        (((N > 5) & (N < 3)) | (T == "a"), "a part of the filter contradicts itself"),
    ],
    ids=["all of it", "a part"],
)
def test_only_a_filter_that_no_session_satisfies_is_said_to_contradict_itself(where, begins):
    with pytest.raises(FilterCheckError) as caught:
        check_for_contradictions(where)
    assert str(caught.value).startswith(begins)


@pytest.mark.parametrize(("where", "session"), BETWEEN, ids=shortened)
def test_between_two_bounds_there_is_another_value(where, session):
    assert matches(where, session)
    check_for_contradictions(where)


def test_nanoseconds_are_between_microseconds():
    pandas = pytest.importorskip("pandas")
    where = (D > MAY) & (D < MAY + US)
    assert matches(where, {"d": pandas.Timestamp(MAY) + pandas.Timedelta(1, "ns")})
    check_for_contradictions(where)


def test_a_contradiction_is_told_without_other_conditions():
    found = contradiction_in((N != 1) & (N > 5) & (N > 2) & T.contains("x") & (N != 4) & (N < 3) & (N < 9))
    assert found == (N > 5) & (N < 3)


def test_all_conditions_are_told_if_each_of_many_is_needed():
    where = gs.all_of([N.between(0, 9), *[N != n for n in range(10)], *[~N.between(n, n + 1) for n in range(9)]])
    where &= N.between(0, 8)
    found = contradiction_in(where)
    assert found is not None
    assert set(gs.leaves_of(found)) == set(gs.leaves_of(where))


@pytest.mark.parametrize(
    "where",
    [
        gs.all_of([N != n for n in range(10_000)]),
        gs.any_of([T == text for text in MANY[:5_000]]) & gs.any_of([T.contains(text) for text in MANY[:5_000]]),
        gs.all_of([C.contains(text) for text in MANY]),
        gs.all_of([T.one_of(MANY), *[T != text for text in MANY]]),  # not found
    ],
    ids=["numbers", "searches", "members", "texts"],
)
def test_only_so_many_values_are_tried(where):
    """All of them would take minutes."""
    check_for_contradictions(where)


def test_a_filter_of_100_levels_is_searched():
    deep = N > 5
    while deep.depth < 100:
        deep = gs.Or([deep, N < 3]) if deep.depth % 2 else gs.And([deep, T == "a"])
    for where in (deep, gs.Not(deep.children[0])):
        assert contradiction_in(where) is None
        assert tautology_in(where) is None
    check_for_contradictions(deep)
    check_for_tautologies(deep)


@pytest.mark.parametrize("where", TAUTOLOGIES, ids=shortened)
def test_what_each_value_satisfies_is_found(where):
    """Alone, with another condition, and below a `not`."""
    for whole in (where, where & (Col("x") == "y"), where | (Col("x") == "y"), ~((Col("x") == "y") & where)):
        with pytest.raises(FilterCheckError, match="each session with the column satisfies"):
            check_for_tautologies(whole)


@pytest.mark.parametrize("where", NO_TAUTOLOGIES, ids=shortened)
def test_what_excludes_a_value_or_asks_for_any_is_not(where):
    check_for_tautologies(where)
    check_for_tautologies(where & (Col("x") == "y"))
    check_for_tautologies(where | (Col("x") == "y"))


def test_each_tautology_is_marked_with_advice():
    where = ((N > 3) | (N < 5) | (T == "a")) & ~((T == "a") & (T == "b"))
    with pytest.raises(FilterCheckError) as caught:
        check_for_tautologies(where)
    assert [(issue.loc, issue.type) for issue in caught.value.issues] == [
        (("and", 0, "or"), "tautology"),
        (("and", 1, "not"), "tautology"),
    ]
    assert tautology_in(where.children[0]) == (N > 3) | (N < 5)
    assert tautology_in(where.children[1]) == ~(T == "a") | ~(T == "b")
    assert str(caught.value).count("↑ each session with the column satisfies") == 2


@pytest.mark.parametrize("where", TAUTOLOGIES, ids=shortened)
def test_the_advice_passes_the_check(where):
    part = tautology_in(where)
    check_for_tautologies(gs.all_of(part.children))
    for x in part.children:
        check_for_tautologies(x | ~x)


# ---- generators ------------------------------------------------------------------------------------------------------

BOUNDS = [1, 2, 2.5, 3]
TEXTS = ["a", "A", "b", "ab"]
MOMENTS = [MAY, MAY + 2 * US, JUNE]
ORDER = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"])
SEVERAL = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)
LEAVES = [
    st.builds(gs.NumberFilter, st.just("n"), ORDER, st.sampled_from(BOUNDS)),
    st.builds(gs.DateFilter, st.just("d"), ORDER, st.sampled_from(MOMENTS)),
    st.builds(gs.BooleanFilter, st.just("b"), st.sampled_from(["eq", "ne"]), st.booleans()),
    st.builds(gs.TextFilter, st.just("t"), st.sampled_from(["eq", "ne"]), st.sampled_from(TEXTS)),
    st.builds(gs.TextFilter, st.just("t"), st.sampled_from(["one_of", "not_in"]), SEVERAL),
    st.builds(gs.CollectionFilter, st.just("c"), st.just("contains"), st.sampled_from(TEXTS[1:])),
    st.builds(gs.CollectionFilter, st.just("c"), st.sampled_from(["one_of", "not_in"]), SEVERAL),
]
"""What is always judged."""
VALUES = {
    "n": [0, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 4],
    "d": ["0001-01-01T00:00Z", *MOMENTS, MAY + US, MAY + 3 * US, LAST],
    "b": [True, False],
    "t": [*TEXTS, "other"],
    "c": [[text for i, text in enumerate(TEXTS) if chosen >> i & 1] for chosen in range(2 ** len(TEXTS))],
}
"""Values of which one is in each range."""

NUMBERS = [0.1, nextafter(0.1, inf), 1, 1.7e18, nextafter(1.7e18, inf), 2**60 - 1, 2**60, 2**60 + 1, 2.0**60, 10**400]
INSTANTS = [FIRST, MAY, MAY + US, MAY + 2 * US, LAST, LAST.replace(tzinfo=timezone(-timedelta(hours=5)))]
WORDS = ["a", "A", "b", "ab", "aB", "ß", "SS", "Σ", "ς", ""]
IDS = [ID, ID.upper(), f"{{{ID}}}", ID.replace("-", ""), "a", "A", "ab", "ΑΣ"]
PARTS = {"t": ["a", "B", "s", "ß", "σ"], "c": ["a", "B", "ss"], "i": ["a", "-", "{", "AEC4", "σ", "7"]}
ANY_CASE = {"case_sensitive": st.booleans()}


def any_text(leaf, name, texts, lists=("one_of", "not_in"), **case):
    """A leaf of text with any operator, and also with lists where the API doesn't document them."""
    column, single = st.just(name), st.sampled_from(texts)
    several = st.lists(single, max_size=3)
    operators = st.sampled_from(["eq", "contains"] if leaf is gs.CollectionFilter else ["eq", "ne", "contains"])
    return st.one_of(
        st.builds(leaf, column, operators, single, **case),
        st.builds(leaf, column, st.just("contains"), st.sampled_from(PARTS[name]), **case),
        st.builds(leaf, column, st.sampled_from(lists), several, **case),
        st.builds(leaf, column, operators, several, **case),
    )


WIDE = [
    st.builds(gs.NumberFilter, st.just("n"), ORDER, st.sampled_from(NUMBERS)),
    st.builds(gs.NumberFilter, st.just("n"), st.just("between"), st.lists(st.sampled_from(NUMBERS), max_size=2)),
    st.builds(gs.NumberFilter, st.just("n"), ORDER, st.lists(st.sampled_from(NUMBERS), max_size=2)),
    st.builds(gs.DateFilter, st.just("d"), ORDER, st.sampled_from(INSTANTS)),
    LEAVES[2],
    any_text(gs.TextFilter, "t", WORDS, **ANY_CASE),
    any_text(gs.CollectionFilter, "c", WORDS, **ANY_CASE),
    any_text(gs.IdFilter, "i", IDS),
]
"""Also what can't be judged."""
EXACT = sorted({Fraction(number) for number in NUMBERS} | {Fraction(repr(number)) for number in NUMBERS})


def decimal(number):
    with localcontext(prec=500):
        return Decimal(number.numerator) / number.denominator


def wide_values(name):
    if name == "n":
        near = [decimal(number) for pair in pairwise(EXACT) for number in (pair[0], sum(pair) / 2)]
        integers = [int(number) + step for number in NUMBERS for step in (-1, 0, 1)]
        return [*NUMBERS, *near, *integers, -inf, inf, *[decimal(Fraction(repr(number))) for number in NUMBERS]]
    if name == "d":
        return [*INSTANTS, "0001-01-01T00:00+14:00", JUNE]
    if name == "b":
        return [True, False]
    texts = [*IDS, f"urn:uuid:{ID}", "other"] if name == "i" else [*WORDS, "s", "Ab", "S", "other"]
    if name == "c":
        return [[*some] for size in range(3) for some in combinations(texts, size)]
    return texts


WIDE_VALUES = {name: wide_values(name) for name in "ndbtci"}


def joined(below):
    several = st.lists(below, min_size=1, max_size=4)
    return st.builds(gs.And, several) | st.builds(gs.Or, several) | st.builds(gs.Not, below)


def tree(leaves):
    return st.recursive(leaves, joined, max_leaves=6)


def several(kinds):
    """Conditions on one column."""
    return st.sampled_from(kinds).flatmap(lambda leaves: st.lists(tree(leaves), min_size=2, max_size=4))


def satisfied(where, values):
    """Whether each of a column's values satisfies a filter."""
    column = next(leaf.column_id for leaf in gs.leaves_of(where))
    return [matches(where, {column: value}) for value in values[column]]


@given(several(LEAVES))
def test_of_one_column_exactly_what_no_value_satisfies_is_found(conditions):
    where = gs.And(conditions)
    assert (contradiction_in(where) is None) == any(satisfied(where, VALUES))


@given(st.sampled_from(LEAVES).flatmap(lambda leaves: st.lists(leaves | leaves.map(gs.Not), min_size=2, max_size=4)))
def test_of_one_column_exactly_what_each_value_satisfies_is_found(conditions):
    """Without each `x` that stands beside `~x`."""
    rest = gs.Or([condition for condition in conditions if ~condition not in conditions])
    assume(rest != NEVER)
    assert (tautology_in(gs.Or(conditions)) is not None) == all(satisfied(rest, VALUES))


@settings(max_examples=500)
@given(several(WIDE))
def test_what_a_value_satisfies_is_never_refused_nor_what_one_does_not_satisfy(conditions):
    found = contradiction_in(gs.And(conditions))
    assert found is None or not any(satisfied(found, WIDE_VALUES))
    found = tautology_in(gs.Or(conditions))
    assert found is None or all(satisfied(found, WIDE_VALUES))


@given(st.lists(tree(WIDE[3]), min_size=2, max_size=4), st.sampled_from([-1, 1, 999, 1_001]))
def test_what_an_instant_with_nanoseconds_satisfies_is_never_refused(conditions, step):
    pandas = pytest.importorskip("pandas")
    session = {"d": pandas.Timestamp(MAY) + pandas.Timedelta(step, "ns")}
    assert contradiction_in(gs.And(conditions)) is None or not matches(gs.And(conditions), session)
    assert tautology_in(gs.Or(conditions)) is None or matches(gs.Or(conditions), session)


@given(tree(st.one_of(*LEAVES, *WIDE)), st.fixed_dictionaries({n: st.sampled_from(v) for n, v in WIDE_VALUES.items()}))
def test_what_a_session_satisfies_is_never_refused(where, session):
    found = contradiction_in(where)
    assert found is None or not (matches(where, session) or matches(found, session))
    found = tautology_in(where)
    assert found is None or matches(where, session) or isinstance(where, gs.Not)


@given(st.sampled_from(CONTRADICTIONS), several(WIDE))
def test_no_other_condition_hides_a_contradiction(where, others):
    with pytest.raises(FilterCheckError):
        check_for_contradictions(gs.And([*others, where]))


@given(st.sampled_from([each for each in TAUTOLOGIES if isinstance(each, gs.Or)]), several(WIDE))
def test_no_other_condition_hides_a_tautology(where, others):
    """Unless it is the negation of a part, which then asks for any value."""
    assume(gs.BooleanFilter not in map(type, gs.leaves_of(gs.Or(others))))
    assert tautology_in(gs.Or([*others, where])) is not None


@given(tree(st.one_of(WIDE)), tree(st.one_of(WIDE)))
def test_whether_a_value_is_there_can_be_asked_beside_anything(x, other):
    assert tautology_in(x | ~x) is None
    assume(tautology_in(gs.Or([other])) is None)
    assert tautology_in(gs.Or([x, ~x, other])) is None
