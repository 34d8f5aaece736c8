"""Plain data as filters, and what is refused."""

from __future__ import annotations

import json
import operator
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import USER, check_message
from support.sockets import PROJECT
from support.strategies import anything, json_leaves

import galileo_sessions as gs
from galileo_sessions import Col, Filter, FilterDecodeError, FullyAnnotatedFilter, dump_filter, load_filter
from galileo_sessions.filters.plain_data import strict_json

TEXT = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
NUMBER = {"column_id": "a", "operator": "gt", "value": 1, "type": "number"}
DATE = {"column_id": "a", "operator": "gt", "value": "2026-01-31T09:00:00+00:00", "type": "date"}
BOOLEAN = {"column_id": "a", "operator": "eq", "value": True, "type": "boolean"}
ID = {"column_id": "a", "operator": "eq", "value": PROJECT, "type": "id"}
ANNOTATED = {"column_id": "fully_annotated", "type": "fully_annotated"}


def without(leaf: dict[str, Any], name: str) -> dict[str, Any]:
    """The leaf with a key less."""
    return {key: value for key, value in leaf.items() if key != name}


def decode_error(tree: object) -> FilterDecodeError:
    """The error that refuses a tree."""
    with pytest.raises(FilterDecodeError) as caught:
        load_filter(tree)
    check_message(str(caught.value))
    assert isinstance(caught.value.path, tuple)
    return caught.value


# ---- read and written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "tree"),
    [
        (Col("a").eq("x"), {"filter": TEXT}),
        (Col("a").eq("x", case_sensitive=False), {"filter": TEXT | {"case_sensitive": False}}),
        (Col("a").one_of(["x", "y"]), {"filter": TEXT | {"operator": "one_of", "value": ["x", "y"]}}),
        (Col.collection("a").eq("x"), {"filter": TEXT | {"type": "collection"}}),
        (Col("a").gt(1), {"filter": NUMBER}),
        (Col("a").between(1, 2), {"filter": NUMBER | {"operator": "between", "value": [1, 2]}}),
        (Col.date("a").gt("2026-01-31T09:00:00Z"), {"filter": DATE}),
        (Col("a").is_true(), {"filter": BOOLEAN}),
        (Col.id("a").eq(PROJECT), {"filter": ID}),
        (FullyAnnotatedFilter(), {"filter": ANNOTATED}),
        (FullyAnnotatedFilter([USER]), {"filter": ANNOTATED | {"user_ids": [USER]}}),
        (~Col("a").gt(1), {"not": {"filter": NUMBER}}),
        (Col("a").gt(1) & Col("a").eq("x"), {"and": [{"filter": NUMBER}, {"filter": TEXT}]}),
        (Col("a").gt(1) | Col("a").eq("x"), {"or": [{"filter": NUMBER}, {"filter": TEXT}]}),
    ],
    ids=repr,
)
def test_a_filter_is_the_apis_json(where: Filter, tree: dict[str, Any]) -> None:
    """`type`, `operator` and `case_sensitive` are always written; what was dumped loads again."""
    dumped = dump_filter(where)
    assert tree == dumped
    assert tree == json.loads(json.dumps(dumped))
    assert where == load_filter(tree)


def test_what_is_dumped_is_the_callers() -> None:
    """Changing the dumped data changes neither the filter nor the next dump."""
    where = Col("a").one_of(["x"]) & Col("b").gt(1)
    first = dump_filter(where)
    first["and"][0]["filter"]["value"].append("y")
    first["and"].clear()
    assert [["x"], 1] == [node["filter"]["value"] for node in dump_filter(where)["and"]]


def test_loading_leaves_the_data_as_it_is() -> None:
    """Loading doesn't change the caller's data, and takes tuples for lists."""
    tree = {"and": [{"filter": without(TEXT, "column_id") | {"name": "a"}}]}
    before = json.dumps(tree)
    assert load_filter(tree) == load_filter({"and": tuple(tree["and"])})
    assert before == json.dumps(tree)


@pytest.mark.parametrize("leaf", [TEXT, NUMBER, DATE, BOOLEAN, ID], ids=lambda leaf: leaf["type"])
def test_a_column_may_be_called_name(leaf: dict[str, Any]) -> None:
    """Loading takes `name` for `column_id`, as in the API's own example."""
    assert load_filter({"filter": leaf}) == load_filter({"filter": without(leaf, "column_id") | {"name": "a"}})


def test_keys_with_a_default_may_be_left_out() -> None:
    """Only the type of fully_annotated is required, and null means all users."""
    for leaf in ({"type": "fully_annotated"}, ANNOTATED | {"user_ids": None}):
        assert FullyAnnotatedFilter() == load_filter({"filter": leaf})


# ---- refused ---------------------------------------------------------------------------------------------------------

NODES: dict[str, tuple[object, list[str | int], list[str]]] = {
    "null": (None, [], ["expected a JSON object with exactly one of filter, and, or, not; got None"]),
    "text": ("{}", [], ["a JSON object", "'{}'"]),
    "none of the keys": ({}, [], ["exactly one of filter, and, or, not"]),
    "another key": ({"nand": []}, [], ["exactly one of filter, and, or, not", "nand"]),
    "and beside or": ({"and": [], "or": []}, [], ["exactly one of", "{'and': [], 'or': []}"]),
    "a leaf alone": (TEXT, [], ["exactly one of", "'column_id'"]),
    "a key that is no text": ({1: []}, [], ["exactly one of", "1"]),
    "and of null": ({"and": None}, ["and"], ["at .and", "a list of nodes", "None"]),
    "not of a list": ({"not": [{"filter": TEXT}]}, ["not"], ["at .not", "a JSON object"]),
    "filter of null": ({"filter": None}, ["filter"], ["at .filter", "a JSON object", "None"]),
    "far below": (
        {"and": [{"or": []}, {"not": {"or": [{"filter": TEXT}, {"xor": []}]}}]},
        ["and", 1, "not", "or", 1],
        ["at .and[1].not.or[1]", "'xor'"],
    ),
}

LEAVES: dict[str, tuple[object, list[str | int], list[str]]] = {
    "no type": (without(TEXT, "type"), ["type"], ["expected one of text", "fully_annotated", "None"]),
    "unknown type": (TEXT | {"type": "texts"}, ["type"], ["'texts'", "text"]),
    "list as type": (TEXT | {"type": ["text"]}, ["type"], ["['text']"]),
    "no column": (without(TEXT, "column_id"), [], ["column_id is missing"]),
    "no operator": (without(TEXT, "operator"), [], ["operator is missing"]),
    "no value": (without(TEXT, "value"), [], ["value is missing"]),
    "unknown operator": (TEXT | {"operator": "gt"}, ["operator"], ["no operator 'gt'", "eq, ne, contains"]),
    "a symbol": (DATE | {"operator": ">", "value": "x"}, ["operator"], ["no operator '>'", "Did you mean gt?"]),
    "number as column": (TEXT | {"column_id": 1}, ["column_id"], ["text", "1"]),
    "number as text": (TEXT | {"value": 1}, ["value"], ["text", "1"]),
    "number as case": (TEXT | {"case_sensitive": 1}, ["case_sensitive"], ["True or False", "1"]),
    "huge number": (NUMBER | {"value": 10**5000}, ["value"], ["not a number that JSON can carry"]),
    "no offset": (DATE | {"value": "2026-01-31T09:00:00"}, ["value"], ["UTC offset", "+00:00"]),
    "day": (DATE | {"value": "2026-05-01"}, ["value"], ["no UTC offset", "beginning of that day, or '2026-05-02T00"]),
    "date": (DATE | {"value": date(2026, 5, 1)}, ["value"], ["Write '2026-05-01T00:00:00+00:00'"]),
    "time without an offset": (DATE | {"value": "2026-05-01T09:30"}, ["value"], ["Write '2026-05-01T09:30:00+00:00'"]),
    "too fine": (DATE | {"value": "2026-05-01T09:00:00.0000001Z"}, ["value"], ["finer than a microsecond", "Write"]),
    "case on a number": (NUMBER | {"case_sensitive": True}, [], ["number filters have no key 'case_sensitive'"]),
    "misspelt operator": (without(TEXT, "operator") | {"operater": "eq"}, [], ["operator"]),
    "misspelt case": (TEXT | {"case_sensitve": False}, [], ["no key 'case_sensitve'", "mean case_sensitive?"]),
    "misspelt users": (ANNOTATED | {"user_id": [USER]}, [], ["no key 'user_id'", "Did you mean user_ids?"]),
    "two unrelated keys": (NUMBER | {"zzz": 1, "yyy": 2}, [], ["no key 'yyy'"]),
    "empty key": (NUMBER | {"": 1}, [], ["no key ''"]),
    "a key that is no text": (NUMBER | {1: 1}, [], ["keys that are text", "1]"]),
    "two names": (TEXT | {"name": "a"}, [], ["no key 'name'", "column_id"]),
    "number as name": (without(TEXT, "column_id") | {"name": 1}, ["column_id"], ["text", "1"]),
    "column of fully_annotated": (ANNOTATED | {"column_id": "a"}, [], ["no key 'column_id'"]),
    "no users": (ANNOTATED | {"user_ids": []}, ["user_ids"], ["at least one"]),
    "user that is no UUID": (ANNOTATED | {"user_ids": ["x"]}, ["user_ids"], ["at least one UUID", "'x'"]),
}


@pytest.mark.parametrize(("tree", "path", "words"), NODES.values(), ids=NODES)
def test_a_broken_node_is_refused_with_its_path(tree: object, path: list[str | int], words: list[str]) -> None:
    """A node has exactly one of filter, and, or, not; the error has the path to the fault."""
    error = decode_error(tree)
    assert tuple(path) == error.path
    assert [] == [word for word in words if word not in str(error)]


@pytest.mark.parametrize(("leaf", "path", "words"), LEAVES.values(), ids=LEAVES)
def test_a_broken_leaf_is_refused_with_its_path(leaf: object, path: list[str | int], words: list[str]) -> None:
    """Only the schema's keys are accepted, because a misspelt key would otherwise be ignored."""
    error = decode_error({"and": [{"filter": TEXT}, {"not": {"filter": leaf}}]})
    assert ("and", 1, "not", "filter", *path) == error.path
    assert str(error).startswith("at .and[1].not.filter")
    assert [] == [word for word in words if word not in str(error)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[NaN]", "NaN is not JSON"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "an object has the same key twice, in ['c', 'c']"),
        ("[" * 200_000, "too deep"),
    ],
    ids=["NaN", "a key twice", "deep"],
)
def test_text_that_only_python_reads_as_json_is_refused(text: str, problem: str) -> None:
    """So is an object in which a key hides another."""
    assert strict_json('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(ValueError, match=re.escape(problem)):
        strict_json(text)


# ---- size ------------------------------------------------------------------------------------------------------------


def nested(levels: int, key: str) -> Any:
    """A tree of so many levels."""
    tree: Any = {"filter": TEXT}
    for _ in range(levels - 1):
        tree = {key: tree if key == "not" else [tree]}
    return tree


@pytest.mark.parametrize("key", ["and", "or", "not"])
@pytest.mark.parametrize("levels", [101, 1_000, 100_000])
def test_more_levels_are_refused(key: str, levels: int) -> None:
    """However deep the data is, it raises an error with a path."""
    error = decode_error(nested(levels, key))
    assert "100 levels" in str(error)
    assert 100 <= len(error.path) <= 200


def test_more_than_10_000_leaves_are_refused() -> None:
    """10,001 leaves raise the same error as when a filter is built."""
    leaves = [{"filter": NUMBER}] * 10_001
    assert 10_000 == load_filter({"or": leaves[1:]}).size
    with pytest.raises(gs.FilterTooLargeError, match="10,000"):
        load_filter({"not": {"or": leaves}})


# ---- hostile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["column_id", "operator", "value", "type", "case_sensitive", "zzz", "name"])
@pytest.mark.parametrize(
    "value", [["a" * 10**6] * 9 + [1], 10**100_000, {"a": [[[[[[1]]]]]]}], ids=["text", "int", "nested"]
)
def test_no_message_is_long(key: str, value: object) -> None:
    """A megabyte in a leaf doesn't end up in a log line."""
    decode_error({"filter": TEXT | {key: value}})
    decode_error({"filter": TEXT | {"b" * 10**6: value}})
    decode_error({key: value, "b" * 10**6: value})


broken_leaves = st.builds(operator.or_, json_leaves, st.dictionaries(st.sampled_from(list(TEXT)), anything, max_size=2))
broken_trees = st.fixed_dictionaries({"and": st.lists(st.fixed_dictionaries({"filter": broken_leaves}), max_size=3)})


@given(anything | broken_trees)
def test_any_data_is_a_filter_or_a_decode_error(data: Any) -> None:
    """Any data makes a filter or raises FilterDecodeError, and what loads can be dumped."""
    try:
        where = load_filter(data)
    except FilterDecodeError as error:
        check_message(str(error))
    else:
        assert where == load_filter(dump_filter(where))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"filter": {}}', "Write load_filter(json.loads(text))"),
        (b'[{"filter": {}}]', "Write load_filter(json.loads(text))"),
        ("Col('a').gt(1)", "or parse_filter(text) for a filter written in Python"),
        ([{"filter": NUMBER}], 'Write {"and": [...]} around a list of nodes'),
        (NUMBER, 'Write {"filter": {...}} around a leaf'),
        ({"and": [NUMBER]}, "at .and[0]: expected a JSON object with exactly one of filter, and, or, not"),
        ({"type": "fully_annotated"}, 'Write {"filter": {...}} around a leaf'),
        ({"filter_tree": {"filter": NUMBER}}, 'Write load_filter(data["filter_tree"])'),
        (Col("a").gt(1), "This is a filter already"),
        (Col("a"), "got Col('a')"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_filter_tree_is_told_what_to_write(data: object, words: str) -> None:
    """The error for JSON text, a list, a leaf or a whole query says what to write."""
    with pytest.raises(FilterDecodeError) as caught:
        load_filter(data)
    assert words in str(caught.value)
    check_message(str(caught.value))
