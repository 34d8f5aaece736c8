"""A project's columns: loaded, asked for, shown, and a filter checked against them."""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shown import Markup
from support.strategies import anything

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, Filter, FullyAnnotatedFilter, all_of
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError, FilterDecodeError, FilterError, UnknownColumnError
from galileo_sessions.filters.catalog import ColumnCatalog, ColumnInfo, dump_catalog, load_catalog
from galileo_sessions.filters.tree import mark

FILE = Path(__file__).parents[1] / "support" / "available_columns.json"
EXAMPLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
CATALOG = load_catalog(EXAMPLE)

# ---- the API document's own example, without its prose ---------------------------------------------------------------


def test_the_documents_example_loads() -> None:
    """All 35 columns of the API document's example load, with all their fields, in order."""
    assert 35 == len(CATALOG)
    assert [column["id"] for column in EXAMPLE["columns"]] == list(CATALOG)
    for column in EXAMPLE["columns"]:
        info = CATALOG.info(column["id"])
        told = {name: getattr(info, name) for name in column if hasattr(info, name)}
        assert {k: tuple(v) if isinstance(v, list) else v for k, v in column.items() if k in told} == told


def test_a_catalog_is_plain_data_and_back() -> None:
    """A catalog survives as plain data and as JSON, in the form of the service's answer."""
    dumped = dump_catalog(CATALOG)
    assert CATALOG == load_catalog(dumped) == load_catalog(json.loads(json.dumps(dumped)))
    assert EXAMPLE["columns"][22]["allowed_values"] == dumped["columns"][22]["allowed_values"]
    assert dumped == dump_catalog(load_catalog(dumped))


# ---- leniency and strictness -----------------------------------------------------------------------------------------


def one(**column: Any) -> ColumnInfo:
    return load_catalog({"columns": [{"id": "x", "category": "standard", **column}]}).info("x")


def test_what_is_new_survives() -> None:
    """Unknown enum members are kept as text, and unknown keys are ignored, because the API grows."""
    info = one(category="astrology", data_type="horoscope", data_unit="moons", filter_type="zodiac", house=7)
    made = (info.category, info.data_type, info.data_unit, info.filter_type)
    assert (("astrology", "horoscope", "moons", "zodiac"), False) == (made, hasattr(info, "house"))


def test_null_means_not_said() -> None:
    """A null means the same as an absent key; only the id is required."""
    names = set(dump_catalog(CATALOG)["columns"][0]) - {"id"}
    assert one() == one(**dict.fromkeys(names)) == ColumnInfo("x")
    assert (1, "a") == one(allowed_values=[1, None, "a"]).allowed_values


def test_of_one_id_the_last_counts() -> None:
    """Of columns with the same id the last one counts, at the place of the first."""
    columns = [{"id": name, "category": "standard", "label": label} for name, label in ("a1", "b2", "a3")]
    catalog = load_catalog({"columns": columns})
    assert [("a", "3"), ("b", "2")] == [(info.id, info.label) for info in catalog.columns]
    assert catalog == ColumnCatalog([ColumnInfo("a", label="3"), ColumnInfo("b", label="2")])


COLUMN = {"id": "x", "category": "standard"}


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (None, (), "expected a JSON object, got None"),
        ([COLUMN], (), "expected a JSON object, got [{"),
        ({}, ("columns",), "at .columns: expected a list of columns, got None"),
        ({"columns": [COLUMN, "x"]}, ("columns", 1), "at .columns[1]: expected a JSON object, got 'x'"),
        ({"columns": [{"category": "standard"}]}, ("columns", 0), "at .columns[0]: id is missing"),
        ({"columns": [COLUMN | {"id": 5}]}, ("columns", 0, "id"), "at .columns[0].id: expected text, got 5"),
        ({"columns": [COLUMN | {"id": ""}]}, ("columns", 0, "id"), "at .columns[0].id: a column id can't be empty"),
        (
            {"columns": [COLUMN | {"filterable": 1}]},
            ("columns", 0, "filterable"),
            "at .columns[0].filterable: expected T",
        ),
    ],
)
def test_a_wrong_shape_is_refused(data: object, path: tuple[str | int, ...], message: str) -> None:
    """The error has the path to the first fault."""
    with pytest.raises(FilterDecodeError) as caught:
        load_catalog(data)
    assert path == caught.value.path
    assert str(caught.value).startswith(message)


names = st.sampled_from([*dump_catalog(CATALOG)["columns"][0], "new"])
columns = st.dictionaries(names, anything, max_size=5) | st.fixed_dictionaries(
    {"id": st.text(min_size=1) | anything, "category": st.just("standard")}, optional={"label": anything}
)


@given(st.fixed_dictionaries({"columns": st.lists(columns | anything, max_size=4)}) | anything)
def test_any_data_is_a_catalog_or_a_decode_error(data: Any) -> None:
    """Any data is a catalog or raises FilterDecodeError with a short message."""
    try:
        catalog = load_catalog(data)
    except FilterDecodeError as error:
        said = str(error)
    else:
        said = repr(catalog)
        assert catalog == load_catalog(dump_catalog(catalog))
        assert [] == [info.id for info in catalog.columns if catalog[info.id].column_id != info.id]
    assert 0 < len(said) < 400


# ---- by hand ---------------------------------------------------------------------------------------------------------


def test_a_catalog_is_made_by_hand() -> None:
    """`ColumnCatalog.of` takes a mapping, because ids can contain a slash, keywords, or both."""
    catalog = ColumnCatalog.of({"metrics/toxicity": "number"}, input="text", tags="collection")
    assert Col.number("metrics/toxicity").lt(1) == catalog["metrics/toxicity"].lt(1)
    assert ["metrics/toxicity", "input", "tags"] == list(catalog)
    assert ["metric", "standard", "standard"] == [info.category for info in catalog.columns]
    assert ["floating_point", "text", "string_list"] == [info.data_type for info in catalog.columns]
    assert [False, False, True] == [info.multi_valued for info in catalog.columns]
    assert ColumnCatalog(()) == ColumnCatalog.of()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ColumnCatalog.of(score="numeric"), "; a filter type is one of id, date, number, boolean, coll"),
        (lambda: ColumnCatalog.of({1: "text"}), "1 can't be 'text'\nhint: Write text, as in {\"score\": "),
        (lambda: ColumnCatalog.of({"score": ["number"]}), "'score' can't be ['number']\nhint: Write text"),
        (lambda: ColumnCatalog.of(["score"]), "expected a JSON object, got ['score']"),
        (lambda: ColumnCatalog.of({"": "text"}), "a column id can't be empty"),
        (lambda: ColumnInfo(5), "expected text, got 5"),
        (lambda: ColumnInfo("x", allowed_values="ab"), "expected a list, got 'ab'"),
    ],
)
def test_what_is_no_catalog_is_refused(make: Any, message: str) -> None:
    """The error shows what was given."""
    with pytest.raises(FilterError) as caught:
        make()
    assert message in str(caught.value)


# ---- a mapping -------------------------------------------------------------------------------------------------------


def test_it_is_a_mapping() -> None:
    """A catalog is a mapping from column ids to columns, hashable, and equal if its columns are; the repr is short."""
    again = load_catalog(copy.deepcopy(EXAMPLE))
    assert (CATALOG, hash(CATALOG)) == (again, hash(again))
    assert "<ColumnCatalog of 35 columns: ['input', 'output', 'name', 'created_at', ...]>" == repr(CATALOG)
    assert [*CATALOG] == CATALOG._ipython_key_completions_()
    assert isinstance(CATALOG, Mapping)
    assert (True, False, False) == ("input" in CATALOG, "scroe" in CATALOG, 5 in CATALOG)
    assert CATALOG.get("scroe") is None
    assert Col.text("input").eq("x") == CATALOG.get("input").eq("x")
    assert list(CATALOG) == [column.column_id for column in CATALOG.values()]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("scroe", "score"),
        ("Score", "score"),
        ("toxicity", "metrics/toxicity"),
        ("Created", "created_at"),
        ("correctness", "metrics/5d0a2b8e"),
        ("Ground truth", "metrics/5d0a2b8e"),
        ("a b", r"a\nb"),
    ],
)
def test_a_typo_gets_a_hint(asked: str, hint: str) -> None:
    """Hints consider ids, their last parts, labels and older names of metrics, and ignore case."""
    scorer = ColumnInfo("metrics/5d0a2b8e", label="Ground Truth Adherence", metric_key_alias="correctness")
    created = ColumnInfo("created_at", label="Created")
    by_hand = ColumnCatalog.of({"metrics/toxicity": "number", "a\nb": "text"}, score="number", input="text")
    catalog = ColumnCatalog([*by_hand.columns, scorer, created])
    with pytest.raises(UnknownColumnError) as caught:
        catalog[asked]
    assert f"there is no column {asked!r}\nhint: Did you mean {hint}?" == str(caught.value)


@pytest.mark.parametrize("asked", ["zzz", "", 5, None, 10**5_000, "x" * 100_000, "\ud800\n"], ids=brief)
def test_an_unknown_column_is_a_key_error(asked: Any) -> None:
    """UnknownColumnError is a KeyError with a short text that isn't quoted."""
    with pytest.raises(KeyError) as caught:
        CATALOG[asked]
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert (UnknownColumnError, error, str(error)) == (type(error), again, str(again))
    assert str(error).startswith("there is no column ")
    assert len(str(error)) < 300


def test_a_column_without_a_type_infers_it() -> None:
    """A column without a filter type, or with a new one, infers its type like `Col`."""
    catalog = ColumnCatalog([ColumnInfo("a"), ColumnInfo("b", filter_type="zodiac")])
    assert [Col, Col] == [type(column) for column in catalog.values()]
    assert Col("a").eq(1) == catalog["a"].eq(1)


# ---- printed ---------------------------------------------------------------------------------------------------------


def test_print_and_notebooks_show_a_table() -> None:
    """It has the ids, filter types, labels, allowed values and descriptions, without columns that are all empty."""
    info = ColumnInfo("a", filter_type="text", label="A", allowed_values=("x", 10**5_000), description="<b> & what")
    catalog = ColumnCatalog([info, ColumnInfo("b", filter_type="text", filterable=False)])
    assert str(catalog).splitlines() == [
        "id  filter type     label  allowed values             description",
        "a   text            A      x, <int too long to show>  <b> & what",
        "b   not filterable",
    ]
    assert ["pre"] == (html := Markup(catalog._repr_html_())).tags
    assert str(catalog) == "".join(html.texts)
    assert str(ColumnCatalog.of(score="number")).splitlines() == ["id     filter type", "score  number"]
    assert str(ColumnCatalog([])) == "id  filter type  label  allowed values  description"


def test_many_rows_are_printed_in_linear_time() -> None:
    """10,000 columns are printed in well under a second; with a look at all cells for each it would take 5 s."""
    catalog = ColumnCatalog([ColumnInfo(f"column {i}", filter_type="text") for i in range(10_000)])
    began = time.process_time()
    assert 10_001 == len(str(catalog).splitlines())
    assert time.process_time() - began < 2


def test_print_obeys_nothing_that_a_service_sends() -> None:
    """Each column has one line, whatever its description; what a terminal would obey is escaped."""
    info = ColumnInfo("a\x1b[2J", filter_type="text", description="first\n  second \x07\ud800")
    assert str(ColumnCatalog([info])).splitlines()[1:] == [r"a\x1b[2J  text         first second \x07\ud800"]


# ---- a filter is checked ---------------------------------------------------------------------------------------------

TYPES = ColumnInfo("llm", filter_type="text", allowed_values=("llm", "tool", None))
SECRET = ColumnInfo("secret", filter_type="text", filterable=False)
DONE = ColumnInfo("done", filter_type="fully_annotated")
ODD = ColumnCatalog([*CATALOG.columns, TYPES, SECRET, DONE])
FITTING = [
    Col("input").contains("x") & ~Col("metrics/toxicity").gt(0.3),
    Col.collection("tags").one_of(["vip"]) | Col.date("created_at").between("2026-01-01T00:00Z", "2026-02-01T00:00Z"),
    Col.id("id").eq("x") & Col("is_complete").eq(True) & Col("step_number").between(1, 3),
    FullyAnnotatedFilter(),
    ALWAYS,
    NEVER,
    gs.And([gs.Or([]), gs.Not(~Col("input").eq("x"))]),
    gs.TextFilter("input", "contains", ["a", "b"]),  # as no column makes it
    *[Col.text("llm").eq("LLM", case_sensitive=False), Col("llm").one_of(["x", "tool"]), Col("llm").contains("x")],
    *[Col("llm").ne("x"), ~Col("llm").eq("x"), Col("llm").eq("x") | Col("llm").eq("tool")],
]


@pytest.mark.parametrize("where", FITTING, ids=repr)
def test_a_filter_that_fits_is_handed_back(where: Filter) -> None:
    """`check` returns the filter itself; a filter without columns fits, and one that doesn't need a wrong value."""
    assert where is ODD.check(where)


AS_DATE, AS_TAGS = "'created_at' is filtered as date, ", "'tags' is filtered as collection, "
MISFITS: list[tuple[Filter, str, str]] = [
    (Col("inptu").eq("x"), "unknown_column", "there is no column 'inptu'; did you mean input?"),
    (Col("zzzzzz").eq("x"), "unknown_column", "there is no column 'zzzzzz'"),
    (Col("secret").eq("x"), "not_filterable", "'secret' can't be filtered"),
    (Col("score") > 3, "no_columns", "there is no column 'score', because the project has no columns: it has no"),
    (Col("done").eq("x"), "wrong_type", "'done' is filtered as 'fully_annotated', not as text"),
    (Col("tags").contains("vip"), "wrong_type", AS_TAGS + "not as text. Write Col.collection('tags').contains(...)"),
    (Col("tags").eq("vip"), "wrong_type", AS_TAGS + "not as text. Write Col.collection('tags').contains(...)"),
    (Col("created_at").eq("x"), "wrong_type", AS_DATE + "not as text. Write Col.date('created_at').on(...)"),
    (Col("tags").ne("vip"), "no_operator", AS_TAGS + "which has no ne; it has eq, contains, one_of, not_in. Write"),
    (Col("llm").one_of(["x", "LLM"]), "no_such_value", "'llm' is never ('x', 'LLM'); its values are 'llm', 'tool'"),
]


@pytest.mark.parametrize(("where", "code", "message"), MISFITS, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_explained(where: Filter, code: str, message: str) -> None:
    """The error says what to write instead, if that is known."""
    with pytest.raises(FilterCheckError) as caught:
        (ODD if code != "no_columns" else ColumnCatalog([])).check(where & FullyAnnotatedFilter())
    [issue] = caught.value.issues
    assert (code, where, ("and", 0, "filter")) == (issue.type, issue.node, issue.loc)
    assert issue.msg.startswith(message)
    _, drawing = mark(where & FullyAnnotatedFilter(), [(("and", 0), issue.msg)])
    assert f"1 condition doesn't match the project's columns:\n{drawing}" == str(caught.value)


def test_all_leaves_are_judged_at_once() -> None:
    """The error has an issue for each leaf that doesn't fit; its `loc` leads to the leaf in `dump_filter(where)`."""
    a, b, c, good = Col("inptu").eq("x"), Col("tags").eq("x"), Col("step_number").eq("x"), Col("input").eq("x")
    where = good & (~a | good | (b & ~(good & c)))
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(where)
    assert [a, b, c] == [issue.node for issue in caught.value.issues]
    for issue in caught.value.issues:
        found: Any = gs.dump_filter(where)
        for step in issue.loc:
            found = found[step]
        assert gs.dump_filter(issue.node)["filter"] == found
    assert str(caught.value).startswith("3 conditions don't match the project's columns:\n")
    assert caught.value == pickle.loads(pickle.dumps(caught.value))


def test_the_largest_filter_is_checked() -> None:
    """10,000 leaves and 100 levels are checked quickly, even if no leaf fits."""
    deep: Filter = Col("inptu").eq("x")
    for _ in range(99):
        deep = gs.And([deep])
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(deep)
    assert (*("and", 0) * 99, "filter") == caught.value.issues[0].loc
    many = ColumnCatalog([ColumnInfo(f"column {i}", label=f"Column number {i}") for i in range(500)])
    began = time.process_time()
    with pytest.raises(FilterCheckError) as caught:
        many.check(all_of([Col(f"kolumn {i}").eq("x") for i in range(10_000)]))
    assert time.process_time() - began < 3
    assert 10_000 == len(caught.value.issues)
    assert "10,000 conditions don't match the project's columns (the first 10 are marked):\n" in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert 10 == sum("did you mean" in issue.msg for issue in caught.value.issues)


def test_messages_are_short() -> None:
    """Messages and reprs are short, even if ids and values are long."""
    long = "x" * 100_000
    made = ColumnCatalog([ColumnInfo(long, filter_type="collection")])
    with pytest.raises(FilterCheckError) as caught:
        made.check(all_of([Col(long).ne(long), Col(long).eq(long), Col(long + "y").eq(long)]))
    assert [True] * 3 == [len(issue.msg) <= 600 for issue in caught.value.issues]
    assert (len(str(caught.value)) < 10_000, len(repr(made)) < 200) == (True, True)
