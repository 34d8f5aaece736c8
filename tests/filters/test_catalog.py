"""A project's columns: loaded, asked for, and shown."""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections.abc import Mapping
from typing import Any

import pytest
from filters.catalogs import CATALOG, EXAMPLE
from hypothesis import given
from hypothesis import strategies as st
from support.shown import Markup
from support.strategies import anything

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError, FilterDecodeError, FilterError, UnknownColumnError
from galileo_sessions.filters.catalog import ColumnCatalog, ColumnInfo, dump_catalog, load_catalog
from galileo_sessions.filters.columns import Col

# ---- the API document's own example, without its prose ---------------------------------------------------------------


def test_the_documents_example_loads() -> None:
    """All 35 columns of the API document's example load, with all their fields, in order."""
    assert 35 == len(CATALOG)
    assert [column["id"] for column in EXAMPLE["columns"]] == list(CATALOG)
    for column in EXAMPLE["columns"]:
        info = CATALOG.info(column["id"])
        told = {name: getattr(info, name) for name in column if hasattr(info, name)}
        assert {k: tuple(v) if isinstance(v, list) else v for k, v in column.items() if k in told} == told
    metric = CATALOG.info("metrics/toxicity")
    assert ("metric", "percentage") == (metric.category, metric.data_unit)


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
    assert ("astrology", "horoscope", "moons", "zodiac") == (
        info.category,
        info.data_type,
        info.data_unit,
        info.filter_type,
    )
    assert not hasattr(info, "house")


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
        ({"columns": COLUMN}, ("columns",), "at .columns: expected a list of columns, got {"),
        ({"columns": [COLUMN, "x"]}, ("columns", 1), "at .columns[1]: expected a JSON object, got 'x'"),
        ({"columns": [{"category": "standard"}]}, ("columns", 0), "at .columns[0]: id is missing"),
        ({"columns": [COLUMN | {"id": 5}]}, ("columns", 0, "id"), "at .columns[0].id: expected text, got 5"),
        ({"columns": [COLUMN | {"id": ""}]}, ("columns", 0, "id"), "at .columns[0].id: a column id can't be empty"),
        ({"columns": [COLUMN | {"id": "\ud800"}]}, ("columns", 0, "id"), "at .columns[0].id: the column id '\\ud800'"),
        (
            {"columns": [COLUMN | {"filterable": "yes"}]},
            ("columns", 0, "filterable"),
            "at .columns[0].filterable: expected True or False, got 'yes'",
        ),
        (
            {"columns": [COLUMN | {"allowed_values": "abc"}]},
            ("columns", 0, "allowed_values"),
            "at .columns[0].allowed_values: expected a list, got 'abc'",
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
    """A catalog is a mapping from column ids to columns."""
    assert isinstance(CATALOG, Mapping)
    assert "input" in CATALOG
    assert "scroe" not in CATALOG
    assert 5 not in CATALOG
    assert CATALOG.get("scroe") is None
    assert Col.text("input").eq("x") == CATALOG.get("input").eq("x")
    assert list(CATALOG) == [column.column_id for column in CATALOG.values()]


def test_it_is_a_value() -> None:
    """Catalogs are hashable, and equal if its columns are."""
    again = load_catalog(copy.deepcopy(EXAMPLE))
    assert (CATALOG, hash(CATALOG)) == (again, hash(again))
    assert ColumnCatalog.of(input="text") != ColumnCatalog.of(input="id")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("scroe", "score"),
        ("Score", "score"),
        ("toxicity", "metrics/toxicity"),
        ("Created", "created_at"),
        ("correctness", "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"),
        ("Ground truth", "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"),
        ("a b", r"a\nb"),
    ],
)
def test_a_typo_gets_a_hint(asked: str, hint: str) -> None:
    """Hints consider ids, their last parts, labels and older names of metrics, and ignore case."""
    scorer = ColumnInfo(
        "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42", label="Ground Truth Adherence", metric_key_alias="correctness"
    )
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
    assert isinstance(error, UnknownColumnError)
    assert str(error).startswith("there is no column ")
    assert len(str(error)) < 300
    assert (error, str(error)) == (pickle.loads(pickle.dumps(error)), str(pickle.loads(pickle.dumps(error))))
    with pytest.raises(UnknownColumnError):
        CATALOG.info(asked)


def test_a_column_without_a_type_infers_it() -> None:
    """A column without a filter type, or with a new one, infers its type like `Col`."""
    catalog = ColumnCatalog([ColumnInfo("a"), ColumnInfo("b", filter_type="zodiac")])
    assert [Col, Col] == [type(column) for column in catalog.values()]
    assert Col("a").eq(1) == catalog["a"].eq(1)


def test_its_repr_is_short() -> None:
    """The repr is short, even if there are many columns."""
    assert "<ColumnCatalog of 1 columns: ['input']>" == repr(ColumnCatalog.of(input="text"))
    assert "<ColumnCatalog of 35 columns: ['input', 'output', 'name', 'created_at', ...]>" == repr(CATALOG)
    assert len(repr(ColumnCatalog([ColumnInfo("x" * 1000 + str(i)) for i in range(1000)]))) < 200


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


def test_without_columns_the_project_is_in_question() -> None:
    """A project without columns has no sessions, or isn't the one that was meant; no other column is suggested."""
    with pytest.raises(FilterCheckError, match="because the project has no columns: it has no") as caught:
        ColumnCatalog([]).check(Col("score") > 3)
    assert [issue.type for issue in caught.value.issues] == ["no_columns"]


def test_ipython_completes_ids() -> None:
    """After `catalog["`, IPython offers the ids of the columns."""
    assert ["score", "metrics/toxicity"] == ColumnCatalog.of(
        {"score": "number", "metrics/toxicity": "number"}
    )._ipython_key_completions_()


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        (Col("type").eq("llm"), True),
        (Col("type").eq("LLM"), False),
        (Col.text("type").eq("LLM", case_sensitive=False), True),
        (Col("type").one_of(["x", "tool"]), True),
        (Col("type").one_of(["x", "y"]), False),
        (Col("type").contains("x"), True),
        (Col("type").ne("x"), True),
        (~Col("type").eq("x"), True),
        (Col("type").eq("x") | Col("type").eq("llm"), True),
        (Col("type").eq("x") & Col("type").contains("l"), False),
    ],
    ids=repr,
)
def test_a_text_that_its_column_never_has_is_named(where, fits):
    """If the column lists its values, and the filter asks for others only."""
    catalog = ColumnCatalog([ColumnInfo("type", filter_type="text", allowed_values=("llm", "tool", None))])
    if fits:
        assert catalog.check(where) == where
    else:
        with pytest.raises(FilterCheckError, match="'type' is never .*; its values are 'llm', 'tool'") as caught:
            catalog.check(where)
        assert [issue.type for issue in caught.value.issues] == ["no_such_value"]
