"""A project's columns: loaded, asked for, and held against a filter."""

from __future__ import annotations

import copy
import json
import pickle
import re
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogs import CATALOG, EXAMPLE
from support.strategies import anything

from galileo_sessions.errors import (
    FilterCheckError,
    FilterDecodeError,
    FilterError,
    FilterTypeError,
    UnknownColumnError,
    brief,
)
from galileo_sessions.filters import checking
from galileo_sessions.filters.catalog import (
    ColumnCatalog,
    dump_catalog,
    load_catalog,
)
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.columns import BooleanCol, Col, CollectionCol, DateCol, IdCol, NumberCol, TextCol
from galileo_sessions.filters.nodes import ALWAYS, NEVER, And, Filter, FullyAnnotatedFilter, Not, Or, TextFilter, all_of
from galileo_sessions.filters.parsing import parse_filter
from galileo_sessions.filters.serialization import dump_filter

# ---- the API document's own example, without its prose ---------------------------------------------------------------

KINDS = {
    "text": TextCol,
    "number": NumberCol,
    "date": DateCol,
    "boolean": BooleanCol,
    "collection": CollectionCol,
    "id": IdCol,
}


def test_the_documents_example_loads() -> None:
    """All of its 35 columns, in its order, with what it says of each."""
    assert 35 == len(CATALOG)
    assert [column["id"] for column in EXAMPLE["columns"]] == list(CATALOG)
    for column in EXAMPLE["columns"]:
        info = CATALOG.info(column["id"])
        told = {name: getattr(info, name) for name in column if hasattr(info, name)}
        assert {k: tuple(v) if isinstance(v, list) else v for k, v in column.items() if k in told} == told
    metric = CATALOG.info("metrics/toxicity")
    assert ("metric", "percentage") == (metric.category, metric.data_unit)


def test_each_column_has_its_type() -> None:
    """That of its filter type, so that its methods are those that the project can be asked."""
    for column in EXAMPLE["columns"]:
        made = CATALOG[column["id"]]
        assert (KINDS[column["filter_type"]], column["id"]) == (type(made), made.column_id)
    assert Col.number("metrics/toxicity").gt(0.5) == CATALOG["metrics/toxicity"].gt(0.5)
    with pytest.raises(AttributeError, match="Col.collection"):
        CATALOG["tags"].ne("vip")


def test_a_catalog_is_plain_data_and_back() -> None:
    """Also as JSON; what is dumped has the form of the service's answer."""
    dumped = dump_catalog(CATALOG)
    assert CATALOG == load_catalog(dumped) == load_catalog(json.loads(json.dumps(dumped)))
    assert EXAMPLE["columns"][22]["allowed_values"] == dumped["columns"][22]["allowed_values"]
    assert dumped == dump_catalog(load_catalog(dumped))
    with pytest.raises(FilterTypeError, match=r"expected a ColumnCatalog, got \{\}"):
        dump_catalog({})  # type: ignore[arg-type]


# ---- leniency and strictness -----------------------------------------------------------------------------------------


def one(**column: Any) -> ColumnInfo:
    return load_catalog({"columns": [{"id": "x", "category": "standard", **column}]}).info("x")


def test_what_is_new_survives() -> None:
    """The API's enums grow, and so do its objects: unknown members are text, unknown keys are left out."""
    info = one(category="astrology", data_type="horoscope", data_unit="moons", filter_type="zodiac", house=7)
    assert ("astrology", "horoscope", "moons", "zodiac") == (
        info.category,
        info.data_type,
        info.data_unit,
        info.filter_type,
    )
    assert not hasattr(info, "house")


def test_null_means_not_said() -> None:
    """And so does a key that is absent."""
    names = set(dump_catalog(CATALOG)["columns"][0]) - {"id", "category"}
    assert one() == one(**dict.fromkeys(names)) == ColumnInfo("x")


def test_of_one_id_the_last_counts() -> None:
    """As in a dict; it keeps the place of the first."""
    columns = [{"id": name, "category": "standard", "label": label} for name, label in ("a1", "b2", "a3")]
    catalog = load_catalog({"columns": columns})
    assert [("a", "3"), ("b", "2")] == [(info.id, info.label) for info in catalog.columns]
    assert catalog == ColumnCatalog([ColumnInfo("a", label="3"), ColumnInfo("b", label="2")])


COLUMN = {"id": "x", "category": "standard"}


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (None, (), "at the top: expected a JSON object, got None"),
        ([COLUMN], (), "at the top: expected a JSON object, got [{"),
        ({}, ("columns",), "at .columns: expected a list of columns, got None"),
        ({"columns": COLUMN}, ("columns",), "at .columns: expected a list of columns, got {"),
        ({"columns": [COLUMN, "x"]}, ("columns", 1), "at .columns[1]: expected a JSON object, got 'x'"),
        ({"columns": [{"category": "standard"}]}, ("columns", 0), "at .columns[0]: a column needs its id"),
        ({"columns": [{"id": "x"}]}, ("columns", 0), "at .columns[0]: a column needs its category"),
        ({"columns": [COLUMN | {"id": 5}]}, ("columns", 0, "id"), "at .columns[0].id: expected text, got 5"),
        ({"columns": [COLUMN | {"id": ""}]}, ("columns", 0, "id"), "at .columns[0].id: a column id can't be empty"),
        ({"columns": [COLUMN | {"id": "\ud800"}]}, ("columns", 0, "id"), "at .columns[0].id: the column id '\\ud800'"),
        (
            {"columns": [COLUMN | {"label": ["x"]}]},
            ("columns", 0, "label"),
            "at .columns[0].label: expected text, got ['x']",
        ),
        (
            {"columns": [COLUMN | {"filterable": "yes"}]},
            ("columns", 0, "filterable"),
            "at .columns[0].filterable: expected true or false, got 'yes'",
        ),
        (
            {"columns": [COLUMN | {"allowed_values": "abc"}]},
            ("columns", 0, "allowed_values"),
            "at .columns[0].allowed_values: expected a list, got 'abc'",
        ),
        (
            {"columns": [COLUMN | {"applicable_types": [None]}]},
            ("columns", 0, "applicable_types"),
            "at .columns[0].applicable_types: expected text, got None",
        ),
    ],
)
def test_a_wrong_shape_is_refused(data: object, path: tuple[str | int, ...], message: str) -> None:
    """With the path to the first fault."""
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
    """Never another exception, and no message is long."""
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
    """In one line: from a mapping, for ids can hold a slash, from keywords, or from both."""
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
        (lambda: ColumnCatalog.of(score="numeric"), "'score' can't be 'numeric'; a filter type is one of id, date"),
        (lambda: ColumnCatalog.of({"": "text"}), "a column id can't be empty"),
        (lambda: ColumnCatalog.of({5: "text"}), "expected text, got 5"),
        (lambda: ColumnCatalog(5), "expected a list of ColumnInfo, got 5"),
        (lambda: ColumnCatalog(["input"]), "expected a ColumnInfo, got 'input'"),
        (lambda: ColumnInfo("x", allowed_values="ab"), "expected a list, got 'ab'"),
    ],
)
def test_what_is_no_catalog_is_refused(make: Any, message: str) -> None:
    """By a FilterError that shows what was given."""
    with pytest.raises(FilterError) as caught:
        make()
    assert message in str(caught.value)


# ---- a mapping -------------------------------------------------------------------------------------------------------


def test_it_is_a_mapping() -> None:
    """From column id to column."""
    assert isinstance(CATALOG, Mapping)
    assert "input" in CATALOG
    assert "scroe" not in CATALOG
    assert 5 not in CATALOG
    assert CATALOG.get("scroe") is None
    assert list(CATALOG) == [column.column_id for column in CATALOG.values()]


def test_it_is_a_value() -> None:
    """Frozen, hashable, equal by its columns, picklable."""
    again = load_catalog(copy.deepcopy(EXAMPLE))
    assert (CATALOG, hash(CATALOG)) == (again, hash(again))
    assert CATALOG == pickle.loads(pickle.dumps(CATALOG)) == copy.deepcopy(CATALOG)
    assert ColumnCatalog.of(input="text") != ColumnCatalog.of(input="id")
    with pytest.raises(AttributeError):
        CATALOG.columns = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        CATALOG.info("input").id = "output"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("scroe", "score"),
        ("Score", "score"),
        ("toxicity", "metrics/toxicity"),
        ("Created", "created_at"),
        ("correctness", "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"),
        ("Ground truth", "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"),
        ("a b", "'a\\nb'"),
    ],
)
def test_a_typo_gets_a_hint(asked: str, hint: str) -> None:
    """Ids, what stands behind their last slash, labels, and older names of metrics are known; case isn't told apart."""
    scorer = ColumnInfo(
        "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42",
        label="Ground Truth Adherence",
        metric_key_alias="correctness",
    )
    created = ColumnInfo("created_at", label="Created")
    by_hand = ColumnCatalog.of({"metrics/toxicity": "number", "a\nb": "text"}, score="number", input="text")
    catalog = ColumnCatalog([*by_hand.columns, scorer, created])
    with pytest.raises(UnknownColumnError) as caught:
        catalog[asked]
    assert f"there is no column {asked!r}; did you mean {hint}?" == str(caught.value)


@pytest.mark.parametrize("asked", ["zzz", "", 5, None, 10**5_000, "x" * 100_000, "\ud800\n"], ids=brief)
def test_an_unknown_column_is_a_key_error(asked: Any) -> None:
    """And a FilterError, which reads as one: no quotes around its text, no line too long."""
    with pytest.raises(KeyError) as caught:
        CATALOG[asked]
    error = caught.value
    assert isinstance(error, UnknownColumnError)
    assert str(error).startswith("there is no column ")
    assert len(str(error)) < 300
    assert "\n" not in str(error)
    assert (error, str(error)) == (pickle.loads(pickle.dumps(error)), str(pickle.loads(pickle.dumps(error))))
    with pytest.raises(UnknownColumnError):
        CATALOG.info(asked)


def test_asking_whether_it_is_there_is_quick() -> None:
    """Neither `in` nor get looks for a hint, which takes long among many columns."""
    catalog = ColumnCatalog.of({f"metrics/{i:032x}": "number" for i in range(20_000)})
    began = time.perf_counter()
    assert [None] * 1_000 == [catalog.get(f"metrics/{i:031x}") for i in range(1_000)]
    assert 5 == catalog.get("none", 5)
    assert Col.number("metrics/" + "0" * 32).gt(1) == catalog.get("metrics/" + "0" * 32).gt(1)
    with pytest.raises(UnknownColumnError):
        catalog["metrics/x"]
    assert time.perf_counter() - began < 2


def test_a_column_without_a_type_infers_it() -> None:
    """The service may have columns that no filter asks, and types that this version doesn't know."""
    catalog = ColumnCatalog([ColumnInfo("a"), ColumnInfo("b", filter_type="zodiac")])
    assert [Col, Col] == [type(column) for column in catalog.values()]
    assert Col("a").eq(1) == catalog["a"].eq(1)


def test_its_repr_is_short() -> None:
    """However many columns there are."""
    assert "<ColumnCatalog of 1 columns: ['input']>" == repr(ColumnCatalog.of(input="text"))
    assert "<ColumnCatalog of 35 columns: ['input', 'output', 'name', 'created_at', ...]>" == repr(CATALOG)
    assert len(repr(ColumnCatalog([ColumnInfo("x" * 1000 + str(i)) for i in range(1000)]))) < 200


# ---- checking a filter -----------------------------------------------------------------------------------------------

FULLY = FullyAnnotatedFilter()
FITTING = [
    Col("input").contains("x") & ~Col("metrics/toxicity").gt(0.3),
    Col.collection("tags").one_of(["vip"]) | Col.date("created_at").between("2026-01-01T00:00Z", "2026-02-01T00:00Z"),
    Col.id("id").eq("x") & Col("is_complete").eq(True) & Col("step_number").between(1, 3),
    Col("type").one_of(["session", "trace"]) & Col("type").ne("LLM", case_sensitive=False),
    Col("type").contains("tri") & Col("agent_type").not_in(["judge"]),
    FULLY,
    ~FULLY & Col("name").eq("x"),
    ALWAYS,
    NEVER,
    And([Or([]), Not(Not(Col("input").eq("x")))]),
]


@pytest.mark.parametrize("where", FITTING, ids=repr)
def test_a_filter_that_fits_is_handed_back(where: Filter) -> None:
    """Itself, so that it can be handed on to a count; what has no column always fits."""
    assert where is CATALOG.check(where)


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Filter, dict[tuple[int, ...], str]]]:
    """What was drawn, instead of the drawing."""
    drawn: list[tuple[Filter, dict[tuple[int, ...], str]]] = []
    monkeypatch.setattr(checking, "draw", lambda where, marks: drawn.append((where, dict(marks))) or "the drawing")
    return drawn


ODD = ColumnCatalog(
    [
        *CATALOG.columns,
        ColumnInfo("secret", filter_type="text", filterable=False),
        ColumnInfo("opaque"),
        ColumnInfo("sign", filter_type="zodiac"),
        ColumnInfo("done", filter_type="fully_annotated"),
        ColumnInfo("stars", filter_type="number", allowed_values=(1, 2, 3)),
        ColumnInfo("flag", filter_type="boolean", allowed_values=(True,)),
        ColumnInfo("labels", filter_type="collection", allowed_values=("Good", "Bad")),
        ColumnInfo("mixed", filter_type="text", allowed_values=("a", 1)),
        ColumnInfo("free", filter_type="text", allowed_values=()),
        ColumnInfo("null", filter_type="text", allowed_values=("a", "b", None)),
        ColumnInfo("nothing", filter_type="text", allowed_values=(None,)),
        ColumnInfo("day", filter_type="date", allowed_values=("2026-01-01",)),
        ColumnInfo("key", filter_type="id", allowed_values=("a",)),
    ]
)

MISFITS: dict[str, tuple[Filter, str, str]] = {
    "typo": (Col("inptu").eq("x"), "unknown_column", "there is no column 'inptu'; did you mean input?"),
    "nothing like it": (Col("zzzzzz").eq("x"), "unknown_column", "there is no column 'zzzzzz'"),
    "not filterable": (Col("secret").eq("x"), "not_filterable", "'secret' can't be filtered"),
    "annotated": (Col("done").eq("x"), "wrong_type", "'done' is asked by fully_annotated()"),
    "new filter type": (
        Col("sign").eq("x"),
        "wrong_type",
        "'sign' is filtered as 'zodiac', which this version doesn't know",
    ),
    "text for a collection": (
        Col("tags").contains("vip", case_sensitive=False),
        "wrong_type",
        "'tags' is filtered as collection, not as text. "
        "Write Col.collection('tags').contains('vip', case_sensitive=False)",
    ),
    "list for a collection": (
        Col("tags").not_in(["a", "b"]),
        "wrong_type",
        "'tags' is filtered as collection, not as text. Write Col.collection('tags').not_in(['a', 'b'])",
    ),
    "text for an id": (
        Col("id").ne("x", case_sensitive=False),
        "wrong_type",
        "'id' is filtered as id, not as text. Write Col.id('id').ne('x')",
    ),
    "text for a date": (
        Col("created_at").eq("2026-01-31T09:00Z"),
        "wrong_type",
        "'created_at' is filtered as date, not as text. Write Col.date('created_at').eq('2026-01-31T09:00:00+00:00')",
    ),
    "text for a number": (
        Col("step_number").eq("3"),
        "wrong_type",
        "'step_number' is filtered as number, not as text. Write Col.number('step_number').eq(...)",
    ),
    "number for a boolean": (
        Col("is_complete").eq(1),
        "wrong_type",
        "'is_complete' is filtered as boolean, not as number. Write Col.boolean('is_complete').eq(...)",
    ),
    "no ne": (
        Col("tags").ne("vip"),
        "no_operator",
        "'tags' is filtered as collection, which has no ne; it has eq, contains, one_of, not_in. "
        "Write Col.collection('tags').not_in(['vip'])",
    ),
    "no ne, and no text": (
        Col("tags").ne(3),
        "no_operator",
        "'tags' is filtered as collection, which has no ne; it has eq, contains, one_of, not_in. "
        "Write Col.collection('tags').not_in(...)",
    ),
    "no contains": (
        Col("created_at").contains("2026"),
        "no_operator",
        "'created_at' is filtered as date, which has no contains; it has eq, ne, gt, gte, lt, lte",
    ),
    "not allowed": (
        Col("check_stage").eq("posst"),
        "not_allowed",
        "'check_stage' has no value 'posst'; did you mean post?",
    ),
    "one of them not allowed": (
        Col("check_stage").one_of(["pre", "never"]),
        "not_allowed",
        "'check_stage' has no value 'never'; it has ['post', 'pre']",
    ),
    "case": (Col("type").ne("LLM"), "not_allowed", "'type' has no value 'LLM'; did you mean llm?"),
    "nothing like them": (Col("type").ne("x"), "not_allowed", "'type' has no value 'x'; it has ['control', 'tool', "),
    "one of them null": (Col("null").eq("c"), "not_allowed", "'null' has no value 'c'; it has ['a', 'b']"),
    "no between": (
        Col("created_at").between(1, 2),
        "no_operator",
        "'created_at' is filtered as date, which has no between; it has eq, ne, gt, gte, lt, lte. "
        "Write Col.date('created_at').between(...), which makes two leaves",
    ),
    "contains": (
        Col("check_stage").contains("x"),
        "not_allowed",
        "'check_stage' has no value that contains 'x'; it has ['post', 'pre']",
    ),
    "collection": (
        Col.collection("labels").contains("ugly"),
        "not_allowed",
        "'labels' has no value that contains 'ugly'; it has ['Good', 'Bad']",
    ),
    "number": (Col("stars").eq(4), "not_allowed", "'stars' has no value 4; it has [1, 2, 3]"),
    "boolean": (Col("flag").eq(False), "not_allowed", "'flag' has no value False; it has [True]"),
}


@pytest.mark.parametrize(("where", "code", "message"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_explained(where: Filter, code: str, message: str, marks: list[Any]) -> None:
    """With what to write instead, where that is known."""
    with pytest.raises(FilterCheckError) as caught:
        ODD.check(where)
    [issue] = caught.value.issues
    assert (code, where, ("filter",)) == (issue.type, issue.node, issue.loc)
    assert issue.msg.startswith(message)
    assert [(where, {(): issue.msg})] == marks
    assert "1 leaf doesn't fit the columns:\nthe drawing" == str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        Col("stars").gt(7),
        Col("stars").between(0, 9),
        Col("stars").ne(2.0),
        Col.collection("labels").eq("bAD", case_sensitive=False),
        Col("mixed").eq("b"),
        Col("free").eq("x"),
        Col("nothing").eq("x"),
        Col("opaque").eq("x"),
        Col.date("day").eq("2026-01-02T00:00Z"),
        Col.id("key").eq("b"),
    ],
    ids=repr,
)
def test_values_are_judged_only_where_that_is_safe(where: Filter) -> None:
    """Not where an operator orders, where allowed values are of other kinds, or where there are none."""
    assert where is ODD.check(where)


def test_all_leaves_are_judged_at_once(marks: list[Any]) -> None:
    """The error has an issue for each that doesn't fit, in their order; `loc` leads to it in `dump_filter(where)`."""
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
    assert [(1, 0, 0), (1, 2, 0), (1, 2, 1, 0, 1)] == list(marks[0][1])
    assert str(caught.value).startswith("3 leaves don't fit the columns:\n")
    assert caught.value == pickle.loads(pickle.dumps(caught.value))


def test_the_error_shows_the_filter() -> None:
    """As it is drawn elsewhere, with a mark at each leaf that doesn't fit."""
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(Col("input").eq("x") & ~Col("inptu").eq("y"))
    shown = str(caught.value)
    assert shown.index("1 leaf doesn't fit") < shown.index("input") < shown.index("there is no column 'inptu'")


def test_only_filters_are_checked() -> None:
    """A column, a dict or None is no filter."""
    for other in (Col("input"), {}, None):
        with pytest.raises(FilterTypeError, match="check takes a filter, got"):
            CATALOG.check(other)  # type: ignore[arg-type]


def test_the_largest_filter_is_checked() -> None:
    """10,000 leaves, and 100 levels; also where none fits, and every id is another."""
    fits = all_of([Col("input").eq(str(i)) for i in range(10_000)])
    assert fits is CATALOG.check(fits)
    deep: Filter = Col("inptu").eq("x")
    for _ in range(99):
        deep = And([deep])
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(deep)
    assert (*("and", 0) * 99, "filter") == caught.value.issues[0].loc
    many = ColumnCatalog([ColumnInfo(f"column {i}", label=f"Column number {i}") for i in range(500)])
    began = time.perf_counter()
    with pytest.raises(FilterCheckError) as caught:
        many.check(all_of([Col(f"kolumn {i}").eq("x") for i in range(10_000)]))
    assert time.perf_counter() - began < 5
    assert 10_000 == len(caught.value.issues)
    assert str(caught.value).startswith("10,000 leaves don't fit the columns, of which the first 10 are marked:\n")
    assert len(str(caught.value)) < 10_000
    assert 10 == sum("did you mean" in issue.msg for issue in caught.value.issues)


def test_messages_are_short() -> None:
    """Whatever ids and values are."""
    long = "x" * 100_000
    many = ColumnInfo("b", filter_type="text", allowed_values=(long,) * 1000)
    catalog = ColumnCatalog([ColumnInfo(long, filter_type="collection"), many])
    where = all_of([Col(long).ne(long), Col(long).eq(long), Col(long + "y").eq(long), Col("b").eq(long + "y")])
    with pytest.raises(FilterCheckError) as caught:
        catalog.check(where)
    assert 4 == len(caught.value.issues)
    assert [] == [issue.msg for issue in caught.value.issues if len(issue.msg) > 600]
    assert len(str(caught.value)) < 10_000


SCORER = "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42"


@pytest.mark.parametrize("levels", [0, 20])
def test_a_rewrite_can_be_copied(levels: int) -> None:
    """Also for ids as long as those of scorers, and deep in a tree: it is read as a filter that fits."""
    catalog = ColumnCatalog.of({SCORER: "collection"}, a="number")
    where: Filter = Col(SCORER).contains("hallucination of a longer kind")
    for _ in range(levels):
        where = Or([And([where, Col("a").gt(1)]), Col("a").lt(1)])
    with pytest.raises(FilterCheckError) as caught:
        catalog.check(where)
    said = re.sub(r"\n[│├└─ ]*", " ", str(caught.value))
    rewrite = parse_filter(re.findall(r"Write (.*? kind'\))", said)[0])
    assert Col.collection(SCORER).contains("hallucination of a longer kind") == catalog.check(rewrite)


def test_a_rewrite_too_long_to_copy_is_cut() -> None:
    """And no message is long for it."""
    with pytest.raises(FilterCheckError) as caught:
        CATALOG.check(Col("tags").contains("x" * 10_000))
    assert "Write Col.collection('tags').contains('xxx" in caught.value.issues[0].msg
    assert len(caught.value.issues[0].msg) < 300


def test_long_lists_of_values_are_quick() -> None:
    """30,000 values, all asked for, and one that isn't there."""
    values = tuple(f"value {i}" for i in range(30_000))
    catalog = ColumnCatalog([ColumnInfo("a", filter_type="text", allowed_values=values)])
    began = time.perf_counter()
    assert 1 == catalog.check(Col("a").one_of(values)).size
    with pytest.raises(FilterCheckError, match="has no value 'valve 9'"):
        catalog.check(Col("a").one_of([*values, "valve 9"]))
    assert time.perf_counter() - began < 2


def test_many_values_are_quick() -> None:
    """1,000 leaves, each with a value that isn't among 1,000; ten of them get a hint."""
    values = tuple(f"value {i}" for i in range(1_000))
    catalog = ColumnCatalog([ColumnInfo("a", filter_type="text", allowed_values=values)])
    began = time.perf_counter()
    with pytest.raises(FilterCheckError) as caught:
        catalog.check(all_of([Col("a").eq(f"valve {i}") for i in range(1_000)]))
    assert time.perf_counter() - began < 5
    assert 10 == sum("did you mean" in issue.msg for issue in caught.value.issues)


def test_a_leaf_that_no_column_makes_is_checked_too() -> None:
    """What the constructors allow beyond the columns' sense is judged by its type and operator."""
    fits = TextFilter("input", "contains", ["a", "b"])
    assert fits is CATALOG.check(fits)
    with pytest.raises(FilterCheckError, match="Write"):
        CATALOG.check(TextFilter("tags", "eq", ["a", "b"]))


# ---- notebooks -------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Which tags there are, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


HOSTILE = "</td><script>alert(1)</script><img src=x onerror='a'>&amp;\"\ud800\0"


def test_a_notebook_shows_a_table() -> None:
    """A row for each column: id, filter type, label, allowed values, description."""
    info = ColumnInfo("a", filter_type="text", label="A", allowed_values=("x", 10**5_000), description="what it is")
    read = Reader(ColumnCatalog([info, ColumnInfo("b", filter_type="text", filterable=False)])._repr_html_())
    assert ["id", "filter type", "label", "allowed values", "description"] == read.texts[:5]
    assert ["a", "text", "A", "x, <an int of 16,610 bits>", "what it is", "b", "not filterable"] == read.texts[5:]


def test_html_is_inert() -> None:
    """Nothing in ids, labels, values and descriptions becomes markup; it can be sent as UTF-8."""
    safe = HOSTILE.replace("\ud800", "")
    info = ColumnInfo(safe, filter_type=HOSTILE, label=HOSTILE, allowed_values=[HOSTILE], description=HOSTILE)
    shown = ColumnCatalog([info])._repr_html_()
    assert {"table", "tr", "th", "td"} == set(Reader(shown).tags)
    assert shown.encode()


def test_html_is_bounded() -> None:
    """200 rows, and 200 characters a cell; the rest is counted."""
    catalog = ColumnCatalog([ColumnInfo(f"{i:05}", description="x" * 10_000) for i in range(1_234)])
    read = Reader(catalog._repr_html_())
    assert (201, 1) == (read.tags.count("tr"), read.tags.count("p"))
    assert "… 1,034 more" == read.texts[-1]
    assert 200 == max(map(len, read.texts))
