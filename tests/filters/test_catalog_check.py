"""A filter checked against a project's columns."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
from filters.catalogs import CATALOG

from galileo_sessions.errors import FilterCheckError
from galileo_sessions.filters import catalog
from galileo_sessions.filters.catalog import ColumnCatalog, ColumnInfo
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.nodes import ALWAYS, NEVER, And, Filter, FullyAnnotatedFilter, Not, Or, TextFilter, all_of
from galileo_sessions.filters.plain_data import dump_filter
from galileo_sessions.filters.tree import Path

FULLY = FullyAnnotatedFilter()
FITTING = [
    Col("input").contains("x") & ~Col("metrics/toxicity").gt(0.3),
    Col.collection("tags").one_of(["vip"]) | Col.date("created_at").between("2026-01-01T00:00Z", "2026-02-01T00:00Z"),
    Col.id("id").eq("x") & Col("is_complete").eq(True) & Col("step_number").between(1, 3),
    Col("type").one_of(["session", "of no allowed value"]) & Col("type").ne("LLM", case_sensitive=False),
    FULLY,
    ALWAYS,
    NEVER,
    And([Or([]), Not(Not(Col("input").eq("x")))]),
]


@pytest.mark.parametrize("where", FITTING, ids=repr)
def test_a_filter_that_fits_is_handed_back(where: Filter) -> None:
    """`check` returns the filter itself; a filter without columns always fits."""
    assert where is CATALOG.check(where)


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Filter, dict[Path, str]]]:
    """What was drawn, instead of the drawing."""
    drawn: list[tuple[Filter, dict[Path, str]]] = []
    monkeypatch.setattr(catalog, "mark", lambda where, marks: (drawn.append((where, dict(marks))), "the drawing"))
    return drawn


ODD = ColumnCatalog(
    [
        *CATALOG.columns,
        ColumnInfo("secret", filter_type="text", filterable=False),
        ColumnInfo("opaque"),
        ColumnInfo("sign", filter_type="zodiac"),
        ColumnInfo("done", filter_type="fully_annotated"),
    ]
)

MISFITS: dict[str, tuple[Filter, str, str]] = {
    "typo": (Col("inptu").eq("x"), "unknown_column", "there is no column 'inptu'; did you mean input?"),
    "nothing like it": (Col("zzzzzz").eq("x"), "unknown_column", "there is no column 'zzzzzz'"),
    "not filterable": (Col("secret").eq("x"), "not_filterable", "'secret' can't be filtered"),
    "annotated": (Col("done").eq("x"), "wrong_type", "'done' is filtered as 'fully_annotated', not as text"),
    "text for a collection": (
        Col("tags").contains("vip", case_sensitive=False),
        "wrong_type",
        "'tags' is filtered as collection, not as text. Write Col.collection('tags').contains(...)",
    ),
    "number for a boolean": (
        Col("is_complete").eq(1),
        "wrong_type",
        "'is_complete' is filtered as boolean, not as number. Write Col.boolean('is_complete').eq(...)",
    ),
    "no ne": (
        Col("tags").ne("vip"),
        "no_operator",
        "'tags' is filtered as collection, which has no ne; it has eq, contains, one_of, not_in. Write Col.coll",
    ),
}


@pytest.mark.parametrize(("where", "code", "message"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_explained(where: Filter, code: str, message: str, marks: list[Any]) -> None:
    """The error says what to write instead, if that is known."""
    with pytest.raises(FilterCheckError) as caught:
        ODD.check(where)
    [issue] = caught.value.issues
    assert (code, where, ("filter",)) == (issue.type, issue.node, issue.loc)
    assert issue.msg.startswith(message)
    assert [(where, {(): issue.msg})] == marks
    assert "1 condition doesn't match the project's columns:\nthe drawing" == str(caught.value)


def test_all_leaves_are_judged_at_once(marks: list[Any]) -> None:
    """The error has an issue for each leaf that doesn't fit; its `loc` leads to the leaf in `dump_filter(where)`."""
    a, b, c, good = Col("inptu").eq("x"), Col("tags").eq("x"), Col("step_number").eq("x"), Col("input").eq("x")
    where = good & (~a | good | (b & ~(good & c))) & FULLY
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(where)
    assert [a, b, c] == [issue.node for issue in caught.value.issues]
    for issue in caught.value.issues:
        found: Any = dump_filter(where)
        for step in issue.loc:
            found = found[step]
        assert dump_filter(issue.node)["filter"] == found
    assert [(*path, "filter") for path in marks[0][1]] == [issue.loc for issue in caught.value.issues]
    assert str(caught.value).startswith("3 conditions don't match the project's columns:\n")
    assert caught.value == pickle.loads(pickle.dumps(caught.value))


def test_the_largest_filter_is_checked() -> None:
    """10,000 leaves and 100 levels are checked quickly, even if no leaf fits."""
    fits = all_of([Col("input").eq(str(i)) for i in range(10_000)])
    assert fits is CATALOG.check(fits)
    deep: Filter = Col("inptu").eq("x")
    for _ in range(99):
        deep = And([deep])
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(deep)
    assert (*("and", 0) * 99, "filter") == caught.value.issues[0].loc
    many = ColumnCatalog([ColumnInfo(f"column {i}", label=f"Column number {i}") for i in range(500)])
    began = time.process_time()
    with pytest.raises(FilterCheckError) as caught:
        many.check(all_of([Col(f"kolumn {i}").eq("x") for i in range(10_000)]))
    assert time.process_time() - began < 3
    assert 10_000 == len(caught.value.issues)
    assert str(caught.value).startswith(
        "10,000 conditions don't match the project's columns (the first 10 are marked):\n"
    )
    assert len(str(caught.value)) < 10_000
    assert 10 == sum("did you mean" in issue.msg for issue in caught.value.issues)


def test_messages_are_short() -> None:
    """Messages are short, even if ids and values are long."""
    long = "x" * 100_000
    catalog = ColumnCatalog([ColumnInfo(long, filter_type="collection")])
    where = all_of([Col(long).ne(long), Col(long).eq(long), Col(long + "y").eq(long)])
    with pytest.raises(FilterCheckError) as caught:
        catalog.check(where)
    assert 3 == len(caught.value.issues)
    assert [] == [issue.msg for issue in caught.value.issues if len(issue.msg) > 600]
    assert len(str(caught.value)) < 10_000


def test_a_leaf_that_no_column_makes_is_checked_too() -> None:
    """Leaves that only constructors make are checked by their type and operator."""
    fits = TextFilter("input", "contains", ["a", "b"])
    assert fits is CATALOG.check(fits)
    with pytest.raises(FilterCheckError, match="Write"):
        CATALOG.check(TextFilter("tags", "eq", ["a", "b"]))
