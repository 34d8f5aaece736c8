"""Conditions that no session satisfies together are found, and no others."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import galileo_sessions as gs
from galileo_sessions import ALWAYS, Col, FilterCheckError, matches
from galileo_sessions.filters.contradictions import check_for_contradictions, contradiction_in

N, T, D, B = Col.number("n"), Col.text("t"), Col.date("d"), Col.boolean("b")
KEY, C = Col.id("i"), Col.collection("c")
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
ID = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"

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
]
CONSISTENT = [
    ALWAYS,
    N > 5,
    (N > 5) & (Col.number("m") < 3),
    (N > 2**60) & (N < 2**60 + 2),
    (T == "a") & T.eq("A", case_sensitive=False),
    T.contains("a") & T.contains("b"),
    C.contains("a") & C.contains("b"),
    (C == "a") & C.contains("b"),  # it has several values, so nothing is said of it
    (KEY == ID) & (KEY == ID.upper()),
    gs.FullyAnnotatedFilter(),
]


@pytest.mark.parametrize("where", CONTRADICTIONS, ids=repr)
def test_what_no_session_satisfies_is_found(where):
    """Alone, with another condition, and below an `or`, which then hides it from the count."""
    for whole in (where, where & (Col("x") == "y"), (Col("x") == "y") | (where & Col("z").contains("z"))):
        with pytest.raises(FilterCheckError, match="no session can satisfy"):
            check_for_contradictions(whole)


@pytest.mark.parametrize("where", CONSISTENT, ids=repr)
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
    "where", [gs.all_of([N != n for n in range(10_000)]), T.one_of(map(str, range(9_999))) & (T == "x")]
)
def test_many_values_are_not_tried(where):
    """It would take minutes."""
    check_for_contradictions(where)


# ---- a generator -----------------------------------------------------------------------------------------------------

BOUNDS = [1, 2, 2.5, 3]
TEXTS = ["a", "A", "b", "ab"]
MOMENTS = [MAY, MAY + timedelta(microseconds=1), JUNE]
ORDER = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"])
SEVERAL = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)
LEAVES = [
    st.builds(gs.NumberFilter, st.just("n"), ORDER, st.sampled_from(BOUNDS)),
    st.builds(gs.DateFilter, st.just("d"), ORDER, st.sampled_from(MOMENTS)),
    st.builds(gs.BooleanFilter, st.just("b"), st.just("eq"), st.booleans()),
    st.builds(gs.TextFilter, st.just("t"), st.sampled_from(["eq", "ne"]), st.sampled_from(TEXTS)),
    st.builds(gs.TextFilter, st.just("t"), st.sampled_from(["one_of", "not_in"]), SEVERAL),
]
VALUES = {
    "n": [0, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 4],
    "d": [moment + timedelta(microseconds=step) for moment in MOMENTS for step in (-1, 0, 1)],
    "b": [True, False],
    "t": [*TEXTS, "other"],
}
SESSIONS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})


def joined(below):
    several = st.lists(below, min_size=1, max_size=4)
    return st.builds(gs.And, several) | st.builds(gs.Or, several) | st.builds(gs.Not, below)


def tree(leaves):
    return st.recursive(leaves, joined, max_leaves=6)


@given(st.sampled_from(LEAVES).flatmap(lambda leaves: st.lists(tree(leaves), min_size=2, max_size=4)))
def test_of_one_column_exactly_what_no_value_satisfies_is_found(conditions):
    where = gs.And(conditions)
    column = next(leaf.column_id for leaf in gs.leaves_of(where))
    can_be_satisfied = any(matches(where, {column: value}) for value in VALUES[column])
    assert (contradiction_in(where) is None) == can_be_satisfied


@given(tree(st.one_of(LEAVES)), SESSIONS)
def test_what_a_session_satisfies_is_never_refused(where, session):
    found = contradiction_in(where)
    assert found is None or not (matches(where, session) or matches(found, session))
