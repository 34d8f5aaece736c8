"""Plain data as filters and back: judged by the API's own schema, and refused with the path to the fault."""

import json
import operator
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from support.programs import check_message
from support.sockets import PROJECT
from support.strategies import LEAVES as SCHEMA_LEAVES
from support.strategies import OPERATORS, PAIRS, SCHEMA, anything, filters, json_leaves, json_trees
from support.strategies import with_defaults as understood

import galileo_sessions as gs
from galileo_sessions import Col, Filter, FilterDecodeError, dump_filter, load_filter, load_query
from galileo_sessions.display import brief
from galileo_sessions.filters.catalog import dump_catalog, load_catalog
from galileo_sessions.filters.filter_types import FILTER_TYPES, METHODS, PARTITIONS, FilterType
from galileo_sessions.filters.nodes import LEAVES

TEXT = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
NUMBER = {"column_id": "a", "operator": "gt", "value": 1, "type": "number"}
DATE = {"column_id": "a", "operator": "gt", "value": "2026-01-31T09:00:00+00:00", "type": "date"}
ANNOTATED = {"column_id": "fully_annotated", "type": "fully_annotated"}


def without(leaf: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in leaf.items() if key != name}


# As pydantic, which the service runs on, understands them: a UUID of any version, and RFC 3339.
SHAPES = {
    "uuid4": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "date-time": r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
}
FORMATS = FormatChecker(formats=())
for format_name, shape in SHAPES.items():
    has_shape = re.compile(shape, re.ASCII).fullmatch
    FORMATS.checks(format_name)(lambda value, has_shape=has_shape: not isinstance(value, str) or bool(has_shape(value)))


def changed(data: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The data with each of its dicts changed, the innermost first."""
    if isinstance(data, list):
        return [changed(item, change) for item in data]
    return change({name: changed(value, change) for name, value in data.items()}) if isinstance(data, dict) else data


# without additional keys, so that a misspelt key is an error
CLOSED = changed(SCHEMA, lambda it: it | {"additionalProperties": False} if it.get("type") == "object" else it)
JUDGE = Draft202012Validator(CLOSED, format_checker=FORMATS)


@given(filters)
def test_what_constructors_hold_is_dumped_as_the_schema_says(where: Filter) -> None:
    JUDGE.validate({"filter_tree": dump_filter(where)})


def as_instants(tree: Any) -> Any:
    """The tree with dates as instants, because only the instant is kept."""
    instant = datetime.fromisoformat
    return changed(tree, lambda it: it | {"value": instant(it["value"].upper())} if it.get("type") == "date" else it)


@given(json_trees)
def test_any_valid_tree_loads_and_dumps_back_unchanged(tree: Any) -> None:
    """Whatever the schema allows is held as it is: odd combinations, empty lists, absent keys by their defaults."""
    JUDGE.validate({"filter_tree": tree})
    assert as_instants(understood(tree)) == as_instants(dump_filter(load_filter(tree)))


def asked(body: dict[str, Any]) -> gs.CountQuery | str:
    """The query for a body, or why it is refused."""
    try:
        return load_query({"project_id": PROJECT, **body})
    except gs.FilterError as error:
        return str(error)


@given(st.lists(json_leaves, min_size=2, max_size=4))
def test_a_list_of_leaves_says_no_more_than_a_tree(listed: list[Any]) -> None:
    """Whatever the schema allows in `filters` is read as the `and` of the same leaves."""
    JUDGE.validate({"filters": listed})
    assert asked({"filters": listed}) == asked({"filter_tree": {"and": [{"filter": leaf} for leaf in listed]}})


def test_the_table_has_the_schemas_filter_types() -> None:
    assert set(SCHEMA_LEAVES) == {*FILTER_TYPES, "fully_annotated"} == set(LEAVES)
    ours = {name: sorted(kind.operators) for name, kind in FILTER_TYPES.items()}
    assert ours == {name: sorted(operators) for name, operators in OPERATORS.items()}
    assert 29 == len(PAIRS)
    assert list(METHODS) == [name for name in METHODS if callable(getattr(Col, name, None))]


@pytest.mark.parametrize("filter_type", FilterType, ids=str)
def test_each_filter_type_has_its_leaf_and_its_column(filter_type: FilterType) -> None:
    """Leaf and column are public, and have the type of their row; the column has the row's methods, and no others."""
    column: Any = getattr(Col, filter_type)
    assert {column.__name__, LEAVES[filter_type].__name__} <= set(gs.__all__)
    assert (filter_type, filter_type) == (LEAVES[filter_type].type, column.filter_type)
    assert column is type(gs.ColumnCatalog.of(a=filter_type.value)["a"])
    assert {*filter_type.methods} == {name for name in METHODS if hasattr(column("a"), name)}
    assert {*filter_type.partitions} == {name for name in PARTITIONS if hasattr(column("a"), name)}


def test_the_callers_data_is_left_alone() -> None:
    """Changing the dumped data doesn't change the filter; loading doesn't change data, and takes tuples for lists."""
    where = Col("a").one_of(["x"]) & Col("b").gt(1)
    dump_filter(where)["and"][0]["filter"]["value"].append("y")
    assert [["x"], 1] == [node["filter"]["value"] for node in dump_filter(where)["and"]]
    tree = {"and": [{"filter": without(TEXT, "column_id") | {"name": "a"}}]}
    before = json.dumps(tree)
    assert load_filter(tree) == load_filter({"and": tuple(tree["and"])}) == load_filter({"and": [{"filter": TEXT}]})
    assert before == json.dumps(tree)


def nested(levels: int, key: str) -> Any:
    tree: Any = {"filter": TEXT}
    for _ in range(levels - 1):
        tree = {key: tree if key == "not" else [tree]}
    return tree


# A tree, the path to its fault, and words of the message.
NODES: dict[str, tuple[object, list[str | int], list[str]]] = {
    "null": (None, [], ["expected a JSON object with exactly one of filter, and, or, not; got None"]),
    "and of null": ({"and": None}, ["and"], ["at .and", "a list of nodes", "None"]),
    "not of a list": ({"not": [{"filter": TEXT}]}, ["not"], ["at .not", "a JSON object"]),
    "far below": ({"and": [{"filter": TEXT}, {"not": {"or": [{"xor": 1}]}}]}, ["and", 1, "not", "or", 0],
                  ["at .and[1].not.or[0]: expected a JSON object with exactly one of"]),
    **{f"{levels} levels of {key}": (nested(levels, key), [*[key, 0] * 100] if key != "not" else [key] * 100,
                                     ["deeper than 100 levels", "at …"])
       for key in ("and", "or", "not") for levels in (101, 100_000)},
    # what is no tree is told what to write
    "JSON as text": ('{"filter": {}}', [], ["Write load_filter(json.loads(text)) for JSON, or parse_filter(text)"]),
    "list": ([{"filter": NUMBER}], [], ['Write {"and": [...]} around a list of nodes']),
    "leaf": (NUMBER, [], ['Write {"filter": {...}} around a leaf']),
    "filter": (Col("a").gt(1), [], ["This is a filter already"]),
}  # fmt: skip

LEAF_FAULTS: dict[str, tuple[object, list[str | int], list[str]]] = {
    "no type": (without(TEXT, "type"), ["type"], ["expected one of text", "fully_annotated", "None"]),
    "unknown type": (TEXT | {"type": "texts"}, ["type"], ["'texts'", "text"]),
    "no column": (without(TEXT, "column_id"), [], ["column_id is missing"]),
    "number as text": (TEXT | {"value": 1}, ["value"], ["text", "1"]),
    "no offset": (DATE | {"value": "2026-01-31T09:00:00"}, ["value"], ["UTC offset", "Write '2026-01-31T09:00:00+"]),
    "day": (DATE | {"value": "2026-05-01"}, ["value"], ["no UTC offset", "beginning of that day, or '2026-05-02T00"]),
    "date": (DATE | {"value": date(2026, 5, 1)}, ["value"], ["Write '2026-05-01T00:00:00+00:00'"]),
    "case on a number": (NUMBER | {"case_sensitive": True}, [], ["number filters have no key 'case_sensitive'"]),
    "misspelt case": (TEXT | {"case_sensitve": False}, [], ["no key 'case_sensitve'", "mean case_sensitive?"]),
    "a key that is no text": (NUMBER | {1: 1}, [], ["expected keys that are text, got ['column_id'"]),
    "two names": (TEXT | {"name": "a"}, [], ["no key 'name'", "column_id"]),
    "user that is no UUID": (ANNOTATED | {"user_ids": ["x"]}, ["user_ids"], ["at least one UUID", "'x'"]),
}
NODES |= {name: ({"or": [{"filter": leaf}]}, ["or", 0, "filter", *path], words)
          for name, (leaf, path, words) in LEAF_FAULTS.items()}  # fmt: skip


Fault = tuple[Callable[[Any], Any], object, list[str | int], list[str]]
ID = {"project_id": PROJECT}
FAULTS: list[Fault] = [
    *((load_filter, *node) for node in NODES.values()),
    (load_query, None, [], ["expected a JSON object, got None"]),
    (load_query, {"filters": []}, [], ["needs its project_id"]),
    (load_query, ID | {"where": 1}, [], ["no key 'where'; it has filter_tree, filters"]),
    (load_query, ID | {1: 1}, [], ["no key 1"]),
    (load_query, ID | {"filter_tree": {"and": [{}]}}, ["filter_tree", "and", 0], ["at .filter_tree.and[0]"]),
    (load_query, ID | {"filter_tree": {"and": []}}, ["filter_tree", "and"], ["an empty list", "Leave out"]),
    (load_query, ID | {"filters": False}, ["filters"], ["a list of leaves, got False"]),
    (load_query, ID | {"filters": [{"filter": {}}]}, ["filters", 0, "type"], ["got None"]),
    (load_catalog, [{"id": "x"}], [], ["expected a JSON object, got [{"]),
    (load_catalog, {}, ["columns"], ["at .columns: expected a list of columns, got None"]),
    (load_catalog, {"columns": [{"id": "x"}, "x"]}, ["columns", 1], ["at .columns[1]: expected a JSON object"]),
    (load_catalog, {"columns": [{"category": "standard"}]}, ["columns", 0], ["at .columns[0]: id is missing"]),
    (load_catalog, {"columns": [{"id": 5}]}, ["columns", 0, "id"], ["expected text, got 5"]),
    (load_catalog, {"columns": [{"id": "x", "filterable": 1}]}, ["columns", 0, "filterable"], ["expected True or"]),
]


@pytest.mark.parametrize(("load", "data", "path", "words"), FAULTS, ids=[ascii(brief(each[1])) for each in FAULTS])
def test_broken_data_is_refused_with_its_path(
    load: Callable[[Any], Any], data: object, path: list[str | int], words: list[str]
) -> None:
    """A node has exactly one of filter, and, or, not; a leaf has the schema's keys, since the API ignores others."""
    with pytest.raises(FilterDecodeError) as caught:
        load(data)
    check_message(str(caught.value))
    assert tuple(path) == caught.value.path
    assert [] == [word for word in words if word not in str(caught.value)]


TREE, OWN = {"filter": TEXT}, ("log_stream_id", "experiment_id", "metrics_testing_id", "project_id")
BODIES: list[dict[str, object]] = [
    {"filter_tree": TREE},
    *[{"filter_tree": TREE, name: PROJECT} for name in OWN],
    {"filter_tree": TREE, "log_stream_id": PROJECT, "project_id": PROJECT, "tag": 5},
    {"filters": [TEXT]},
    {"filters": [TEXT], "experiment_id": PROJECT},
    {"project_id": PROJECT, "log_stream_id": PROJECT},
]


@pytest.mark.parametrize("body", BODIES, ids=", ".join)
def test_a_request_that_is_read_as_a_filter_loses_nothing(body: dict[str, object]) -> None:
    """What the hint says reads all of it: a filter alone only where there is nothing else."""
    with pytest.raises(FilterDecodeError) as caught:
        load_filter(body)
    program = caught.value.hint.removeprefix("Write ").partition(", which")[0].replace('"..."', "PROJECT")
    made = eval(program, {"data": body, "PROJECT": PROJECT, "load_filter": load_filter, "load_query": load_query})
    query = gs.CountQuery(PROJECT, made) if isinstance(made, Filter) else made
    meant = {"project_id": PROJECT, **body}
    if meant.pop("filters", None):
        meant["filter_tree"] = TREE
    assert gs.dump_query(query) == meant


broken_leaves = st.builds(operator.or_, json_leaves, st.dictionaries(st.sampled_from(list(TEXT)), anything, max_size=2))
broken_trees = st.fixed_dictionaries({"and": st.lists(st.fixed_dictionaries({"filter": broken_leaves}), max_size=3)})
fields = st.sampled_from(["id", "label", "filter_type", "filterable", "allowed_values", "new"])
broken_catalogs = st.fixed_dictionaries({"columns": st.lists(st.dictionaries(fields, anything), max_size=3)})


@given(anything | broken_trees | broken_catalogs)
def test_any_data_is_read_or_a_decode_error(data: Any) -> None:
    for load, dump in ((load_filter, dump_filter), (load_catalog, dump_catalog)):
        try:
            made = load(data)
        except FilterDecodeError as error:
            check_message(str(error))
        else:
            assert made == load(dump(made))
