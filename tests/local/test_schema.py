"""What the local server reads in a request; test_fastapi.py compares it with FastAPI, also for broken requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from galileo_sessions import ALWAYS, Col
from galileo_sessions.local.schema import RequestError, SessionsRequest, read_sessions_request

UUID4 = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}


def read(body: bytes) -> SessionsRequest:
    return read_sessions_request("count", UUID4, body, "application/json")


def asked(body: object) -> SessionsRequest:
    return read(json.dumps(body).encode())


def refusal(body: bytes) -> list[dict[str, Any]]:
    """The entries of the 422 for a body that is refused."""
    with pytest.raises(RequestError) as caught:
        read(body)
    assert (422, list) == (caught.value.status, type(caught.value.detail))
    return json.loads(json.dumps(caught.value.detail))


@pytest.mark.parametrize("body", [{}, {"filter_tree": None, "filters": [], "log_stream_id": None}], ids=["no", "null"])
def test_no_filter_asks_for_all(body: dict[str, Any]) -> None:
    """Whatever is left out or null narrows nothing down."""
    question = asked(body)
    assert (ALWAYS, [], {}) == (question.where, question.flat, question.scope)


def test_scope_ids_are_written_one_way() -> None:
    """A UUID in capitals or without hyphens is the same UUID."""
    body = {"log_stream_id": UUID4.upper(), "experiment_id": UUID4.replace("-", ""), "metrics_testing_id": UUID4}
    assert dict.fromkeys(body, UUID4) == asked(body).scope


def test_flat_filters_hold_together() -> None:
    """Flat filters are ANDed, with one another and with a tree."""
    x, high = Col("input").contains("x"), Col("score").gt(3)
    flat = asked({"filters": [TEXT, SCORE]})
    both = asked({"filters": [TEXT, SCORE], "filter_tree": {"or": [{"filter": TEXT}, {"filter": SCORE}]}})
    assert (x & high, [x, high]) == (flat.where, flat.flat)
    assert (x & high & (x | high), [x, high]) == (both.where, both.flat)


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
    assert 300 < len(refusal(json.dumps(ands(100, {"type": "text"})).encode()))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (json.dumps(ands(101)), "deeper than 100 levels"),
        (json.dumps({"filter_tree": {"or": [{"filter": SCORE}] * 10_001}}), "10,000 is the most"),
        (json.dumps({"filters": [SCORE] * 10_001}), "10,000 is the most"),
        ("[" * 100_000, "too many levels of JSON"),
        *(
            (json.dumps({"filters": [SCORE]}).replace("3", value), "JSON can carry")
            for value in ("NaN", "1e999", "[1, NaN]")
        ),
    ],
    ids=["depth", "leaves", "flat", "JSON", "NaN", "overflow", "a list"],
)
def test_what_no_filter_holds_gets_one_entry(body: str, limit: str) -> None:
    """One sentence names the limit, or that JSON can't carry the number, which Python's JSON reads."""
    [entry] = refusal(body.encode())
    assert ("value_error", ["body"]) == (entry["type"], entry["loc"])
    assert limit in entry["msg"]
