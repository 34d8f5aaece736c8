"""Which requests the local server takes, and the entry of the 422 that the others get."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp.web import HTTPUnprocessableEntity

from galileo_sessions import Col, CountQuery, NumberFilter
from galileo_sessions.local.validation import read_sessions_request

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}
DATE = {"column_id": "created_at", "operator": "lt", "value": "2026-06-01T00:00:00", "type": "date"}


def read(body: object, endpoint: str = "count", project_id: str = PROJECT) -> CountQuery:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_sessions_request(endpoint, project_id, sent)


def refusal(*request: Any) -> tuple[list[str | int], str]:
    """Where the mistake is, and what it is."""
    with pytest.raises(HTTPUnprocessableEntity) as caught:
        read(*request)
    (entry,) = json.loads(caught.value.text or "")["detail"]
    assert ({"loc", "msg", "type"}, "value_error") == (set(entry), entry["type"])
    return entry["loc"], entry["msg"]


def ands(levels: int) -> dict[str, Any]:
    """A body with a tree of that many levels."""
    tree: dict[str, Any] = {"filter": TEXT}
    for _ in range(levels - 1):
        tree = {"and": [tree]}
    return {"filter_tree": tree}


@pytest.mark.parametrize("endpoint", ["count", "available_columns"])
def test_what_is_null_narrows_nothing_down(endpoint: str) -> None:
    """Whatever is left out or null asks for all sessions."""
    null = dict.fromkeys(["log_stream_id", "start_time", "end_time"] if endpoint != "count" else ["filter_tree"])
    assert CountQuery(PROJECT) == read({}, endpoint) == read(null, endpoint)


def test_a_request_is_the_query_that_was_sent() -> None:
    """The scope's ids are written in one way; the times of a request for columns are a filter."""
    ids = {"log_stream_id": PROJECT.upper(), "experiment_id": PROJECT.replace("-", ""), "metrics_testing_id": None}
    query = read({"filters": [TEXT, SCORE], **ids}, "count", PROJECT.upper())
    filters = [Col("input").contains("x"), NumberFilter("score", "gt", 3)]
    assert CountQuery(PROJECT, filters=filters, log_stream_id=PROJECT, experiment_id=PROJECT) == query
    start, end = "2026-06-01T00:00:00Z", "2026-06-02T00:00:00+02:00"
    created = Col.date("created_at")
    columns = read({"start_time": start, "end_time": end, "experiment_id": PROJECT}, "available_columns")
    assert CountQuery(PROJECT, created.gte(start) & created.lte(end), experiment_id=PROJECT) == columns
    assert 100 == read(ands(100)).where.depth


@pytest.mark.parametrize(
    ("request_", "loc", "problem"),
    [
        (({}, "count", "mine"), ["path", "project_id"], "project_id must be a version 4 UUID, got 'mine'"),
        (({}, "count", PROJECT.replace("-4", "-1")), ["path", "project_id"], "must be a version 4 UUID"),
        (({"experiment_id": "mine"},), ["body", "experiment_id"], "experiment_id must be a version 4 UUID"),
        ((b"",), ["body"], "Expecting value"),
        ((b"\xff\xfe\xfd",), ["body"], "decode"),
        ((b"[" * 200_000,), ["body"], "too deep"),
        ((b"1" * 5_000,), ["body"], "digits"),
        ((json.dumps({"filters": [SCORE]}).replace("3", "NaN").encode(),), ["body"], "NaN is not JSON"),
        ((json.dumps({"filters": [SCORE]}).replace("3", "1e999").encode(),), ["body", "filters", 0, "value"], "inf"),
        (([],), ["body"], "expected a JSON object, got []"),
        (({"sort": {}},), ["body"], "a query has no key 'sort'"),
        (({"start_time": None},), ["body"], "a query has no key 'start_time'"),
        (({"start_time": "now"}, "available_columns"), ["body", "start_time"], "'now'"),
        (({"filters": 3},), ["body", "filters"], "expected a list of leaves, got 3"),
        (({"filters": [TEXT, SCORE | {"value": "3"}]},), ["body", "filters", 1, "value"], "got '3'"),
        (({"filters": [DATE]},), ["body", "filters", 0, "value"], "has no UTC offset"),
        (
            ({"filter_tree": {"and": [{"filter": TEXT}, {"not": {"filter": SCORE | {"operator": "contains"}}}]}},),
            ["body", "filter_tree", "and", 1, "not", "filter", "operator"],
            "contains",
        ),
        (({"filter_tree": {"and": []}},), ["body", "filter_tree"], "empty"),
        (({"filter_tree": {"not": {"or": []}}},), ["body"], "empty Or"),
        (({"filters": [TEXT], "filter_tree": {"filter": SCORE}},), ["body"], "combines where and filters"),
        ((ands(101),), ["body", "filter_tree", *["and", 0] * 100], "deeper than 100 levels"),
        (({"filter_tree": {"or": [{"filter": SCORE}] * 10_001}},), ["body"], "10,000"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_request_is_refused_where_it_is_wrong(request_: Any, loc: list[str | int], problem: str) -> None:
    """The only entry leads to the mistake, and says what it is."""
    where, said = refusal(*request_)
    assert loc == where
    assert problem in said
