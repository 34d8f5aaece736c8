"""What the local server reads in a request; test_fastapi.py compares it with FastAPI, also for broken requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from galileo_sessions import (
    ALWAYS,
    BooleanFilter,
    Col,
    DateFilter,
    Filter,
    FullyAnnotatedFilter,
    IdFilter,
    TextFilter,
)
from galileo_sessions.local.schema import RequestError, SessionsRequest, read_sessions_request

UUID4 = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
MISSING = "Field required"
NUMBER_OPERATORS = "Input should be 'eq', 'ne', 'gt', 'gte', 'lt', 'lte' or 'between'"

TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}


def read(body: bytes, content_type: str = "application/json") -> SessionsRequest:
    return read_sessions_request("count", UUID4, body, content_type)


def asked(body: object) -> SessionsRequest:
    return read(json.dumps(body).encode())


def where(leaf: dict[str, Any]) -> Filter:
    return asked({"filter_tree": {"filter": leaf}}).where


def refusal(body: bytes, content_type: str = "application/json") -> Any:
    """The detail of the answer to a body that is refused."""
    with pytest.raises(RequestError) as caught:
        read(body, content_type)
    assert caught.value.status == (400 if isinstance(caught.value.detail, str) else 422)
    return json.loads(json.dumps(caught.value.detail))


def complaints(body: object) -> list[tuple[str, str, str]]:
    """Type, loc below "body" and msg of each entry."""
    entries = refusal(json.dumps(body).encode())
    assert {"body"} == {entry["loc"][0] for entry in entries}
    return [(entry["type"], " ".join(map(str, entry["loc"][1:])), entry["msg"]) for entry in entries]


def test_a_broken_filter_makes_the_noise_of_fastapi() -> None:
    """Types, places, texts and order are those that a real FastAPI server answered."""
    wrong = {"not": {"filter": SCORE | {"operator": "contains"}}}
    tree, second = "filter_tree", "filter_tree AndNode and 1"
    inner = f"{second} NotNode not"
    missing = [
        f"{tree} FilterLeaf filter",
        f"{second} FilterLeaf filter",
        f"{second} AndNode and",
        f"{second} OrNode or",
    ]
    after = [f"{inner} AndNode and", f"{inner} OrNode or", f"{inner} NotNode not"]
    expected = [
        *(("missing", loc, MISSING) for loc in missing),
        ("enum", f"{inner} FilterLeaf filter number operator", NUMBER_OPERATORS),
        *(("missing", loc, MISSING) for loc in (*after, f"{tree} OrNode or", f"{tree} NotNode not")),
    ]
    assert expected == complaints({"filter_tree": {"and": [{"filter": TEXT}, wrong]}})


def test_an_entry_has_the_fields_of_fastapi() -> None:
    """An entry holds the faulty input and, as pydantic does, what its text was made of."""
    expected = {
        "type": "enum",
        "loc": ["body", "filters", 0, "number", "operator"],
        "msg": NUMBER_OPERATORS,
        "input": "one_of",
        "ctx": {"expected": NUMBER_OPERATORS.removeprefix("Input should be ")},
    }
    assert [expected] == refusal(json.dumps({"filters": [SCORE | {"operator": "one_of"}]}).encode())


# ---- what is valid ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"filter_tree": None, "filters": [], "log_stream_id": None}], ids=["no", "null"])
def test_no_filter_asks_for_all(body: dict[str, Any]) -> None:
    """Whatever is left out or null narrows nothing down."""
    question = asked(body)
    assert (ALWAYS, [], {}) == (question.where, question.flat, question.scope)


def test_scope_ids_are_written_one_way() -> None:
    """A UUID in capitals or without hyphens is the same UUID."""
    body = {"log_stream_id": UUID4.upper(), "experiment_id": UUID4.replace("-", ""), "metrics_testing_id": UUID4}
    assert dict.fromkeys(["log_stream_id", "experiment_id", "metrics_testing_id"], UUID4) == asked(body).scope


def test_flat_filters_hold_together() -> None:
    """Flat filters are ANDed, with one another and with a tree."""
    tree = {"or": [{"filter": TEXT}, {"filter": SCORE}]}
    x, high = Col("input").contains("x"), Col("score").gt(3)
    flat = asked({"filters": [TEXT, SCORE]})
    both = asked({"filters": [TEXT, SCORE], "filter_tree": tree})
    assert (x & high, [x, high]) == (flat.where, flat.flat)
    assert (x & high & (x | high), [x, high]) == (both.where, both.flat)


def test_defaults_are_the_schemas() -> None:
    """An id and a boolean compare with eq, text minds its case, fully_annotated has its own column."""
    assert IdFilter("id", "eq", "a") == where({"type": "id", "column_id": "id", "value": "a"})
    assert BooleanFilter("b", "eq", True) == where({"type": "boolean", "column_id": "b", "value": True})
    assert TextFilter("t", "eq", "a") == where({"type": "text", "column_id": "t", "operator": "eq", "value": "a"})
    assert FullyAnnotatedFilter() == where({"type": "fully_annotated"})
    assert FullyAnnotatedFilter([UUID4]) == where({"type": "fully_annotated", "user_ids": [UUID4]})


def test_unknown_keys_are_ignored() -> None:
    """A key that the schema doesn't have changes nothing, at any level."""
    leaf = SCORE | {"case_sensitive": "maybe", "name": 3}
    assert Col("score").gt(3) == asked({"sort": 1, "filter_tree": {"filter": leaf, "nand": []}}).where


@pytest.mark.parametrize(
    ("leaf_type", "value", "expected"),
    [
        *(("number", value, 3) for value in (3, 3.0, "3", " 3 ", "3.0")),
        *(("number", value, (1, 2)) for value in ([1, "2"], [True, 2])),
        *(("boolean", value, True) for value in (True, 1, "yes", "on", "T", "1")),
        *(("boolean", value, False) for value in (False, 0, "no", "off", "f")),
    ],
    ids=repr,
)
def test_values_are_converted_as_pydantic_does(leaf_type: str, value: object, expected: object) -> None:
    """The service's lax mode takes numbers and booleans as text, and one for the other."""
    leaf = where({"type": leaf_type, "column_id": "c", "operator": "eq", "value": value})
    assert expected == getattr(leaf, "value", None)


NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, NINE) for value in ("2026-01-31T09:00:00Z", "2026-01-31 10:00:00.000+01:00", "2026-01-31T09:00:00")),
        *((value, NINE) for value in (1769850000, "1769850000", 1769850000e3, "2026-01-31T09:00:00.0000009Z")),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_dates_are_those_of_pydantic(value: object, expected: datetime) -> None:
    """RFC 3339, a day, or seconds or milliseconds since 1970; without an offset, a time is UTC."""
    leaf = {"type": "date", "column_id": "c", "operator": "lt", "value": value}
    assert DateFilter("c", "lt", expected) == where(leaf)


# ---- limits ----------------------------------------------------------------------------------------------------------


def ands(levels: int, leaf: dict[str, Any] = TEXT) -> dict[str, Any]:
    """A tree of that many levels."""
    tree: dict[str, Any] = {"filter": leaf}
    for _ in range(levels - 1):
        tree = {"and": [tree]}
    return {"filter_tree": tree}


def test_a_hundred_levels_are_taken() -> None:
    """That is as deep as a filter of this package can be; also its faults are found."""
    assert 100 == asked(ands(100, TEXT | {"operator": "one_of", "value": ["x"]})).where.depth
    assert 300 < len(complaints(ands(100, {"type": "text"})))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (json.dumps(ands(101)), "deeper than 100 levels"),
        (json.dumps({"filter_tree": {"or": [{"filter": SCORE}] * 10_001}}), "10,000 is the most"),
        (json.dumps({"filters": [SCORE] * 10_001}), "10,000 is the most"),
        ("[" * 100_000, "too many levels of JSON"),
    ],
    ids=["depth", "leaves", "flat", "JSON"],
)
def test_larger_trees_get_one_entry(body: str, limit: str) -> None:
    """A tree that is too deep or too large is refused in one sentence that names the limit."""
    [entry] = refusal(body.encode())
    assert ("value_error", ["body"]) == (entry["type"], entry["loc"])
    assert limit in entry["msg"]


# ---- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "position"), [(b"{", 1), (b'{"filters": [}', 13), (b"{} x", 3)])
def test_broken_json_is_told_where_it_breaks(body: bytes, position: int) -> None:
    """The entry says where in the body the fault is."""
    [entry] = refusal(body)
    assert ("json_invalid", "JSON decode error", {}) == (entry["type"], entry["msg"], entry["input"])
    assert ["body", position] == entry["loc"]
    assert entry["ctx"]["error"]


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"1" * 5_000], ids=["latin", "digits"])
def test_what_python_cannot_read(body: bytes) -> None:
    """As in FastAPI, it is a 400 and not a 422."""
    assert "There was an error parsing the body" == refusal(body)


def test_no_body_and_json_by_another_name() -> None:
    """An empty body isn't read as JSON, nor is JSON without its content type: `json=` sets it, `data=` doesn't."""
    assert [{"type": "missing", "loc": ["body"], "msg": MISSING, "input": None}] == refusal(b"")
    [entry] = refusal(b"{}", "text/plain")
    assert ("model_attributes_type", ["body"], "{}") == (entry["type"], entry["loc"], entry["input"])
    assert {} == read(b"{}", "application/problem+json").scope


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999", b"[1, NaN]"])
def test_numbers_beyond_json_are_refused(number: bytes) -> None:
    """Python reads them, but JSON can't carry them."""
    leaf = b'{"type": "number", "column_id": "score", "operator": "gt", "value": ' + number + b"}"
    [entry] = refusal(b'{"filters": [' + leaf + b"]}")
    assert "value_error" == entry["type"]
    assert "JSON can carry" in entry["msg"]
