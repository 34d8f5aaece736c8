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
from support.strategies import anything, json_leaves

import galileo_sessions as gs
from galileo_sessions import Col, FilterDecodeError, FullyAnnotatedFilter, dump_filter, load_filter
from galileo_sessions.filters.plain_data import strict_json

TEXT = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
NUMBER = {"column_id": "a", "operator": "gt", "value": 1, "type": "number"}
DATE = {"column_id": "a", "operator": "gt", "value": "2026-01-31T09:00:00+00:00", "type": "date"}
BOOLEAN = {"column_id": "a", "operator": "eq", "value": True, "type": "boolean"}
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


def test_the_callers_data_is_left_alone() -> None:
    """Changing the dumped data doesn't change the filter; loading doesn't change data, and takes tuples for lists."""
    where = Col("a").one_of(["x"]) & Col("b").gt(1)
    dump_filter(where)["and"][0]["filter"]["value"].append("y")
    assert [["x"], 1] == [node["filter"]["value"] for node in dump_filter(where)["and"]]
    tree = {"and": [{"filter": without(TEXT, "column_id") | {"name": "a"}}]}
    before = json.dumps(tree)
    assert load_filter(tree) == load_filter({"and": tuple(tree["and"])}) == load_filter({"and": [{"filter": TEXT}]})
    assert before == json.dumps(tree)


def test_keys_with_a_default_may_be_left_out() -> None:
    """Only the type of fully_annotated is required, and null means all users."""
    for leaf in ({"type": "fully_annotated"}, ANNOTATED | {"user_ids": None}):
        assert FullyAnnotatedFilter() == load_filter({"filter": leaf})


NODES: dict[str, tuple[object, list[str | int], list[str]]] = {
    "null": (None, [], ["expected a JSON object with exactly one of filter, and, or, not; got None"]),
    "none of the keys": ({}, [], ["exactly one of filter, and, or, not"]),
    "another key": ({"nand": []}, [], ["exactly one of filter, and, or, not", "nand"]),
    "and of null": ({"and": None}, ["and"], ["at .and", "a list of nodes", "None"]),
    "not of a list": ({"not": [{"filter": TEXT}]}, ["not"], ["at .not", "a JSON object"]),
    "far below": (
        {"and": [{"or": []}, {"not": {"or": [{"xor": 1}]}}]},
        ["and", 1, "not", "or", 0],
        ["at .and[1].not.or[0]"],
    ),
}

LEAVES: dict[str, tuple[object, list[str | int], list[str]]] = {
    "no type": (without(TEXT, "type"), ["type"], ["expected one of text", "fully_annotated", "None"]),
    "unknown type": (TEXT | {"type": "texts"}, ["type"], ["'texts'", "text"]),
    "no column": (without(TEXT, "column_id"), [], ["column_id is missing"]),
    "unknown operator": (TEXT | {"operator": "gt"}, ["operator"], ["no operator 'gt'", "eq, ne, contains"]),
    "a symbol": (DATE | {"operator": ">", "value": "x"}, ["operator"], ["no operator '>'", "Did you mean gt?"]),
    "number as text": (TEXT | {"value": 1}, ["value"], ["text", "1"]),
    "huge number": (NUMBER | {"value": 10**5000}, ["value"], ["not a number that JSON can carry"]),
    "no offset": (DATE | {"value": "2026-01-31T09:00:00"}, ["value"], ["UTC offset", "+00:00"]),
    "day": (DATE | {"value": "2026-05-01"}, ["value"], ["no UTC offset", "beginning of that day, or '2026-05-02T00"]),
    "date": (DATE | {"value": date(2026, 5, 1)}, ["value"], ["Write '2026-05-01T00:00:00+00:00'"]),
    "too fine": (DATE | {"value": "2026-05-01T09:00:00.0000001Z"}, ["value"], ["finer than a microsecond", "Write"]),
    "case on a number": (NUMBER | {"case_sensitive": True}, [], ["number filters have no key 'case_sensitive'"]),
    "misspelt case": (TEXT | {"case_sensitve": False}, [], ["no key 'case_sensitve'", "mean case_sensitive?"]),
    "misspelt users": (ANNOTATED | {"user_id": [USER]}, [], ["no key 'user_id'", "Did you mean user_ids?"]),
    "two unrelated keys": (NUMBER | {"zzz": 1, "yyy": 2}, [], ["no key 'yyy'"]),
    "a key that is no text": (NUMBER | {1: 1}, [], ["expected keys that are text, got ['column_id'"]),
    "two names": (TEXT | {"name": "a"}, [], ["no key 'name'", "column_id"]),
    "column of fully_annotated": (ANNOTATED | {"column_id": "a"}, [], ["no key 'column_id'"]),
    "user that is no UUID": (ANNOTATED | {"user_ids": ["x"]}, ["user_ids"], ["at least one UUID", "'x'"]),
}


NODES |= {name: ({"or": [{"filter": row[0]}]}, ["or", 0, "filter", *row[1]], row[2]) for name, row in LEAVES.items()}


@pytest.mark.parametrize(("tree", "path", "words"), NODES.values(), ids=NODES)
def test_broken_data_is_refused_with_its_path(tree: object, path: list[str | int], words: list[str]) -> None:
    """A node has exactly one of filter, and, or, not; a leaf has the schema's keys, since the API ignores others."""
    error = decode_error(tree)
    assert tuple(path) == error.path
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
        ("Col('a').gt(1)", "or parse_filter(text) for a filter written in Python"),
        ([{"filter": NUMBER}], 'Write {"and": [...]} around a list of nodes'),
        (NUMBER, 'Write {"filter": {...}} around a leaf'),
        ({"and": [NUMBER]}, "at .and[0]: expected a JSON object with exactly one of filter, and, or, not"),
        (Col("a").gt(1), "This is a filter already"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_filter_tree_is_told_what_to_write(data: object, words: str) -> None:
    """The error for JSON text, a list, a leaf or a whole query says what to write."""
    assert words in str(decode_error(data))
