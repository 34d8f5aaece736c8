"""A project's columns: loaded, asked for, shown, and a filter checked against them."""

import json
import pickle
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, Filter, FullyAnnotatedFilter, all_of
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError, UnknownColumnError
from galileo_sessions.filters.catalog import ColumnCatalog, ColumnInfo, dump_catalog, load_catalog
from galileo_sessions.filters.filter_types import FilterType

FILE = Path(__file__).parents[1] / "support" / "available_columns.json"
EXAMPLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
CATALOG = load_catalog(EXAMPLE)
ID = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"


def test_the_api_documents_example_loads_and_dumps_back() -> None:
    dumped = dump_catalog(CATALOG)
    assert CATALOG == load_catalog(json.loads(json.dumps(dumped)))
    assert 35 == len(dumped["columns"])
    for column, again in zip(EXAMPLE["columns"], dumped["columns"], strict=True):
        assert {name: value for name, value in column.items() if name in again} == {
            name: value for name, value in again.items() if name in column
        }


NEW = {"category": "astrology", "data_type": "horoscope", "data_unit": "moons", "filter_type": "zodiac"}
SAID: list[tuple[list[dict[str, Any]], list[ColumnInfo]]] = [
    ([{"id": "x", "house": 7} | NEW], [ColumnInfo("x", **NEW)]),  # the API grows
    ([dict.fromkeys(dump_catalog(CATALOG)["columns"][0]) | {"id": "x"}], [ColumnInfo("x")]),
    ([{"id": "x", "allowed_values": [1, None, "a"]}], [ColumnInfo("x", allowed_values=(1, "a"))]),
    # of columns with one id, the last counts, at the place of the first
    ([{"id": "a"}, {"id": "b"}, {"id": "a", "label": "3"}], [ColumnInfo("a", label="3"), ColumnInfo("b")]),
]


@pytest.mark.parametrize(("said", "expected"), SAID)
def test_what_the_service_says_is_kept_but_for_nulls_and_unknown_keys(said: Any, expected: list[ColumnInfo]) -> None:
    catalog = load_catalog({"columns": said})
    assert (tuple(expected), catalog) == (catalog.columns, ColumnCatalog(expected))


def test_it_is_a_mapping_from_ids_to_columns() -> None:
    again = load_catalog(EXAMPLE)
    assert (CATALOG, hash(CATALOG)) == (again, hash(again))
    assert "<ColumnCatalog of 35 columns: ['input', 'output', 'name', 'created_at', ...]>" == repr(CATALOG)
    assert isinstance(CATALOG, Mapping)
    assert [column["id"] for column in EXAMPLE["columns"]] == [*CATALOG] == CATALOG._ipython_key_completions_()
    assert [*CATALOG] == [column.column_id for column in CATALOG.values()]
    assert (True, False, False) == ("input" in CATALOG, "scroe" in CATALOG, 5 in CATALOG)


def test_a_column_without_a_known_type_infers_it() -> None:
    catalog = ColumnCatalog([ColumnInfo("a"), ColumnInfo("b", filter_type="zodiac"), ColumnInfo("c", filter_type="id")])
    assert [Col, Col, Col.id] == [type(column) for column in catalog.values()]


def test_a_catalog_is_made_by_hand() -> None:
    """`ColumnCatalog.of` takes a mapping, because ids can contain a slash, keywords, or both."""
    catalog = ColumnCatalog.of({"metrics/toxicity": "number"}, input="text", tags="collection")
    assert catalog.columns == (
        ColumnInfo("metrics/toxicity", "metric", "number", "floating_point"),
        ColumnInfo("input", "standard", "text", "text"),
        ColumnInfo("tags", "standard", "collection", "string_list", multi_valued=True),
    )
    assert ColumnCatalog(()) == ColumnCatalog.of()


SCORER = ColumnInfo("metrics/5d0a2b8e", label="Ground Truth Adherence", metric_key_alias="correctness")
OF_HAND = ColumnCatalog.of({"metrics/toxicity": "number", "a\nb": "text"}, score="number", input="text")
NAMED = ColumnCatalog([*OF_HAND.columns, SCORER, ColumnInfo("created_at", label="Created")])
TYPOS = {"SCORE": "score", "toxicity": "metrics/toxicity", "Created": "created_at", "a b": r"a\nb"}
TYPOS |= {"correctness": SCORER.id, "ground truth adherance": SCORER.id}
UNLIKE_ANY: list[Any] = ["zzz", "Ground Truth", 5, 10**5_000, "x" * 100_000, "\ud800\n"]


@pytest.mark.parametrize("asked", [*TYPOS, *UNLIKE_ANY], ids=brief)
def test_an_unknown_column_is_a_key_error_with_a_hint(asked: Any) -> None:
    """Hints consider ids, their last parts, labels and older names of metrics, and ignore case."""
    with pytest.raises(KeyError) as caught:
        NAMED[asked]
    hint = f"\nhint: Did you mean {TYPOS[asked]}?" if asked in TYPOS else ""
    assert (UnknownColumnError, f"there is no column {brief(asked)}{hint}") == (type(caught.value), str(caught.value))
    assert len(str(caught.value)) < 300


def test_print_and_notebooks_show_a_table_of_one_line_for_each_column() -> None:
    """Columns of the table that are all empty are left out; what a terminal would obey is escaped."""
    info = ColumnInfo("a", filter_type="text", label="A", allowed_values=("x", 10**5_000), description="<b> & what")
    hostile = ColumnInfo("c\x1b[2J", filter_type="text", description="first\n  second \x07\ud800")
    catalog = ColumnCatalog([info, ColumnInfo("b", filter_type="text", filterable=False), hostile])
    assert str(catalog).splitlines() == [
        "id        filter type     label  allowed values             description",
        "a         text            A      x, <int too long to show>  <b> & what",
        "b         not filterable",
        r"c\x1b[2J  text                                              first second \x07\ud800",
    ]
    html = ElementTree.fromstring(catalog._repr_html_())
    assert ("pre", str(catalog), []) == (html.tag, html.text, [*html])
    assert str(ColumnCatalog.of(score="number")).splitlines() == ["id     filter type", "score  number"]
    assert str(ColumnCatalog([])) == "id  filter type  label  allowed values  description"


TYPES = ColumnInfo("llm", filter_type="text", allowed_values=("llm", "tool", None))
SECRET = ColumnInfo("secret", filter_type="text", filterable=False)
DONE = ColumnInfo("done", filter_type="fully_annotated")
ODD = ColumnCatalog([*CATALOG.columns, TYPES, SECRET, DONE])
FITTING = [
    Col("input").contains("x") & ~Col("metrics/toxicity").gt(0.3),
    Col.collection("tags").one_of(["vip"]) | Col.date("created_at").between("2026-01-01T00:00Z", "2026-02-01T00:00Z"),
    Col.id("id").one_of([ID, "x"]) & Col("is_complete").eq(True) & Col("step_number").between(1, 3),
    FullyAnnotatedFilter(),
    gs.And([gs.Or([ALWAYS, NEVER]), gs.Not(~Col("input").eq("x"))]),
    gs.TextFilter("input", "contains", ["a", "b"]),  # as no column makes it
    *[Col.text("llm").eq("LLM", case_sensitive=False), Col("llm").one_of(["x", "tool"]), Col("llm").contains("oo")],
    *[Col("llm").ne("x"), ~Col("llm").eq("x"), Col("llm").eq("x") | Col("llm").eq("tool")],
]


@pytest.mark.parametrize("where", FITTING, ids=repr)
def test_a_filter_that_fits_is_handed_back(where: Filter) -> None:
    assert where is ODD.check(where)


class Counted(str):
    """Text that counts how often it is read."""

    __slots__ = ()
    read: ClassVar[list[str]] = []

    def __format__(self, _: str) -> str:
        self.read.append(str(self))
        return str(self)


def test_the_values_of_a_column_are_folded_once() -> None:
    """So 5,000 leaves on a column of 50,000 values take no longer than those on one without."""
    allowed = tuple([Counted(f"Value {i}") for i in range(1_000)])
    catalog = ColumnCatalog([ColumnInfo("a", filter_type="text", allowed_values=allowed)])
    leaves = [Col.text("a").eq(f"Value {i}") for i in range(100)]
    leaves += [Col.text("a").one_of([f"VALUE {i}"], case_sensitive=False) for i in range(100)]
    Counted.read.clear()
    for _ in range(3):
        catalog.check(all_of(leaves))
    assert 2 * 1_000 == len(Counted.read), "once with case and once without"
    assert catalog == pickle.loads(pickle.dumps(catalog))


AS_TAGS = "'tags' is filtered as collection, "
MISFITS: list[tuple[Filter, str, str]] = [
    (Col("inptu").eq("x"), "unknown_column", "there is no column 'inptu'; did you mean input?"),
    (Col("zzzzzz").eq("x"), "unknown_column", "there is no column 'zzzzzz'"),
    (Col("secret").eq("x"), "not_filterable", "'secret' can't be filtered"),
    (Col("score") > 3, "no_columns", "there is no column 'score', because the project has no columns: it has no"),
    (Col("done").eq("x"), "wrong_type", "'done' is filtered as 'fully_annotated', not as text"),
    (Col("tags").contains("vip"), "wrong_type", AS_TAGS + "not as text. Write Col.collection('tags').contains(...)"),
    (Col("created_at").eq("x"), "wrong_type", "'created_at' is filtered as date, not as text. Write Col.date("),
    (Col("tags").ne("vip"), "no_operator", AS_TAGS + "which has no ne; it has eq, contains, one_of, not_in. Write Col"),
    (Col.id("id").eq("x"), "no_such_value", "'id' is never 'x'; it has UUIDs"),
    (Col("llm").contains("LLM"), "no_such_value", "'llm' never contains 'LLM'; its values are 'llm', 'tool'"),
    (Col("llm").one_of(["x", "LLM"]), "no_such_value", "'llm' is never ('x', 'LLM'); its values are 'llm', 'tool'"),
]


@pytest.mark.parametrize(("where", "code", "message"), MISFITS, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_explained(where: Filter, code: str, message: str) -> None:
    with pytest.raises(FilterCheckError) as caught:
        (ODD if code != "no_columns" else ColumnCatalog([])).check(where & FullyAnnotatedFilter())
    [issue] = caught.value.issues
    assert (code, where, ("and", 0, "filter")) == (issue.type, issue.node, issue.loc)
    assert issue.msg.startswith(message)
    first, root, _, marked, *_ = str(caught.value).splitlines()
    assert ("1 condition doesn't match the project's columns:", "and") == (first, root)
    assert marked.startswith(f"│  ↑ {message[:40]}")


@pytest.mark.parametrize("kind", FilterType)
def test_a_leaf_fits_a_column_of_its_own_type_only(kind: FilterType) -> None:
    leaves = [Col.id("a").eq(ID), Col.date("a").eq("2026-01-01T00:00Z"), Col.number("a").eq(1)]
    for leaf in (*leaves, Col.boolean("a").eq(True), Col.collection("a").eq("x"), Col.text("a").eq("x")):
        with nullcontext() if leaf.type == kind else pytest.raises(FilterCheckError, match=f"is filtered as {kind}, "):
            ColumnCatalog.of(a=kind).check(leaf)


def test_all_leaves_are_judged_at_once() -> None:
    """The error has an issue for each leaf that doesn't fit; its `loc` leads to the leaf in `dump_filter(where)`."""
    a, b, c, good = Col("inptu").eq("x"), Col("tags").eq("x"), Col("step_number").eq("x"), Col("input").eq("x")
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(good & (~a | good | (b & ~(good & c))))
    places = [("or", 0, "not"), ("or", 2, "and", 0), ("or", 2, "and", 1, "not", "and", 1)]
    expected = [(("and", 1, *place, "filter"), node) for place, node in zip(places, (a, b, c), strict=True)]
    assert expected == [(issue.loc, issue.node) for issue in caught.value.issues]
    assert str(caught.value).startswith("3 conditions don't match the project's columns:\n")


def test_of_10_000_leaves_that_do_not_fit_ten_are_marked() -> None:
    """Only these get a hint, whose search takes long."""
    many = ColumnCatalog([ColumnInfo(f"column {i}", label=f"Column number {i}") for i in range(500)])
    with pytest.raises(FilterCheckError) as caught:
        many.check(all_of([Col(f"kolumn {i}").eq("x") for i in range(10_000)]))
    assert 10_000 == len(caught.value.issues)
    assert "10,000 conditions don't match the project's columns (the first 10 are marked):\n" in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert 10 == sum("did you mean" in issue.msg for issue in caught.value.issues)
