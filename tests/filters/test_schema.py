"""The API's own schema: the table of filter types follows it, and it judges what is sent and what can be read."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, FormatChecker
from support.programs import USER
from support.sockets import PROJECT
from support.strategies import LEAVES as SCHEMA_LEAVES
from support.strategies import OPERATORS, PAIRS, SCHEMA, filters, is_undefined, json_leaves, json_trees
from support.strategies import with_defaults as understood

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, Filter, dump_filter, dump_query, load_filter, load_query
from galileo_sessions.filters.columns import column_class
from galileo_sessions.filters.kinds import FILTER_TYPES, METHODS, PARTITIONS, FilterType
from galileo_sessions.filters.nodes import LEAVES

FORMATS = FormatChecker(formats=())


@FORMATS.checks("uuid4")
def is_uuid(value: object) -> bool:
    """As pydantic, which the service runs on, understands uuid4 in a schema: a UUID, here of any version."""
    return (
        not isinstance(value, str)
        or re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None
    )


@FORMATS.checks("date-time")
def is_date_time(value: object) -> bool:
    """RFC 3339."""
    shape = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
    return not isinstance(value, str) or re.fullmatch(shape, value, re.ASCII) is not None


def closed(schema: Any) -> Any:
    """The schema without additional keys, so that a misspelt key is an error."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rules = {name: closed(rule) for name, rule in schema.items()}
    return rules | {"additionalProperties": False} if schema.get("type") == "object" else rules


JUDGE = Draft202012Validator(closed(SCHEMA), format_checker=FORMATS)


TEXT = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
BROKEN_LEAVES: list[dict[str, object]] = [
    {"column_id": "a", "operator": "eq", "value": "x"},
    {"name": "a", "operator": "eq", "value": "x", "type": "text"},
    TEXT | {"operator": "gt"},
    TEXT | {"value": [1]},
    TEXT | {"case_sensitve": True},
    {"column_id": "a", "operator": "eq", "value": "2026-01-31T09:00:00", "type": "date"},
    {"column_id": "fully_annotated", "user_ids": [], "type": "fully_annotated"},
    {"user_ids": [f"urn:uuid:{USER}"], "type": "fully_annotated"},
]


def test_the_judge_convicts_what_is_broken() -> None:
    """The schema that these tests use refuses broken leaves, nodes and requests."""
    assert JUDGE.is_valid({"filter_tree": {"filter": TEXT}})
    bodies: list[Any] = [{"filter_tree": {"filter": leaf}} for leaf in BROKEN_LEAVES]
    bodies += [{"filters": [leaf]} for leaf in BROKEN_LEAVES]
    bodies += [{"filter_tree": tree} for tree in ({}, {"and": [], "or": []}, {"not": [{"filter": TEXT}]})]
    bodies += [{"filters": None}, {"log_stream_id": "x"}, {"tag": 1}]
    assert [] == list(filter(JUDGE.is_valid, bodies))


@given(filters)
def test_what_constructors_hold_is_dumped_as_the_schema_says(where: Filter) -> None:
    """Any tree is valid when dumped; as a body too, unless it holds what the API doesn't define."""
    JUDGE.validate({"filter_tree": dump_filter(where)})
    if not is_undefined(where):
        JUDGE.validate(json.loads(CountQuery(PROJECT, where).body))


def as_instants(tree: Any) -> Any:
    """The tree with dates as instants, because only the instant is kept."""
    if isinstance(tree, list):
        return [as_instants(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("type") == "date":
        return tree | {"value": datetime.fromisoformat(tree["value"].upper())}
    return {name: as_instants(value) for name, value in tree.items()}


@given(json_trees)
def test_any_valid_tree_loads_and_dumps_back_unchanged(tree: Any) -> None:
    """Whatever the schema allows is held as it is: odd combinations, empty lists, absent keys by their defaults."""
    JUDGE.validate({"filter_tree": tree})
    assert as_instants(understood(tree)) == as_instants(dump_filter(load_filter(tree)))


@given(json_leaves.filter(lambda leaf: not is_undefined(load_filter({"filter": leaf}))))
def test_any_valid_flat_list_loads_and_dumps_back_unchanged(leaf: Any) -> None:
    """A valid flat list is dumped as it was loaded, unless a leaf holds what the API doesn't define."""
    request = {"project_id": PROJECT, "filters": [leaf], "log_stream_id": None, "experiment_id": USER}
    dumped = dump_query(load_query(request))
    expected = {"project_id": PROJECT, "experiment_id": USER, "filters": [understood({"filter": leaf})["filter"]]}
    assert as_instants(expected) == as_instants(dumped)


def test_the_table_has_the_schemas_filter_types() -> None:
    """The table has the schema's types and operators, except fully_annotated, which compares nothing."""
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
    assert column is column_class(filter_type) is type(gs.ColumnCatalog.of(a=filter_type.value)["a"])
    assert {*filter_type.methods} == {name for name in METHODS if hasattr(column("a"), name)}
    assert {*filter_type.partitions} == {name for name in PARTITIONS if hasattr(column("a"), name)}
