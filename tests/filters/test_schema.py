"""The API's own schema judges what the package sends, and what it has to read."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from hypothesis import given
from jsonschema import Draft202012Validator, FormatChecker
from support.programs import USER
from support.sockets import PROJECT
from support.strategies import SCHEMA, filters, is_undefined, json_leaves, json_trees
from support.strategies import with_defaults as understood

from galileo_sessions import CountQuery, Filter, dump_filter, dump_query, load_filter, load_query

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


def body_of(where: Filter) -> Any:
    """The body of a query with this filter."""
    return json.loads(CountQuery(PROJECT, where).body)


# ---- the judge -------------------------------------------------------------------------------------------------------


TEXT = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
BROKEN_LEAVES: list[dict[str, object]] = [
    {"column_id": "a", "operator": "eq", "value": "x"},
    {"name": "a", "operator": "eq", "value": "x", "type": "text"},
    TEXT | {"operator": "gt"},
    TEXT | {"value": [1]},
    TEXT | {"case_sensitve": True},
    {"column_id": "a", "operator": "eq", "value": True, "type": "number"},
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


# ---- what is sent ----------------------------------------------------------------------------------------------------


@given(filters)
def test_what_constructors_hold_is_dumped_as_the_schema_says(where: Filter) -> None:
    """Any tree is valid when dumped; as a body too, unless it holds what the API doesn't define."""
    JUDGE.validate({"filter_tree": dump_filter(where)})
    if not is_undefined(where):
        JUDGE.validate(body_of(where))


# ---- what is read ----------------------------------------------------------------------------------------------------


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
