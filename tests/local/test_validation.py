"""Which requests the local server takes, also if it is strict, and the 422 that the others get."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp.web import HTTPUnprocessableEntity

from galileo_sessions import (
    ALWAYS,
    Col,
    CountQuery,
    Filter,
    FullyAnnotatedFilter,
    GalileoSessions,
    NumberFilter,
    ValidationError,
    dump_filter,
)
from galileo_sessions.local import LocalGalileo
from galileo_sessions.local.validation import read_sessions_request

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
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


# ---- strictly: an app's test can't pass on a typo -------------------------------------------------------------------

SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": STREAM, "input": "x", "score": 2.5, "created_at": "2026-06-01T00:00:00Z"},
    {"project_id": PROJECT, "mixed": 2},
    {"project_id": PROJECT, "mixed": "one", "rating": None, "tags": ["a"]},
    {"project_id": OTHER, "mixed": 1, "is_complete": True},
]


async def ask(web: Any, where: Filter, *, strict: bool = True, **body: Any) -> tuple[int, Any]:
    """Status and JSON, as any client gets them."""
    async with LocalGalileo(SESSIONS, strict=strict) as server:
        tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
        status, answer = await web.post_count(server, json=tree | body)
        return status, answer


async def test_an_unknown_column_is_a_422(web: Any) -> None:
    """In FastAPI's shape, with the way to the leaf and the column that is meant; otherwise it counts 0."""
    where = Col("input").contains("x") & ~Col("scroe").gt(3)
    status, answer = await ask(web, where)
    (entry,) = answer["detail"]
    assert (422, "unknown_column") == (status, entry["type"])
    assert ["body", "filter_tree", "and", 1, "not", "filter"] == entry["loc"]
    assert entry["msg"].startswith("there is no column 'scroe'; did you mean score?")
    assert (200, {"total_count": 0}) == await ask(web, where, strict=False)


async def test_another_type_is_a_422(web: Any) -> None:
    """Each wrong leaf of the flat list has an entry, such as a time that is compared as text."""
    as_text = Col.text("created_at").eq("2026-06-01T00:00:00Z")
    leaves = [Col("score").gt(1), as_text, Col("tags").contains("a"), Col.number("created_at").between(1, 2)]
    status, answer = await ask(web, ALWAYS, filters=[dump_filter(leaf)["filter"] for leaf in leaves])
    assert 422 == status
    assert [
        (["body", "filters", 1, "filter"], "wrong_type"),
        (["body", "filters", 2, "filter"], "wrong_type"),
        (["body", "filters", 3, "filter"], "no_operator"),
    ] == [(entry["loc"], entry["type"]) for entry in answer["detail"]]
    assert "'created_at' is filtered as date, not as text" in answer["detail"][0]["msg"]


async def test_a_client_draws_what_is_wrong() -> None:
    """The client finds the leaf, in a tree and in the flat list."""
    leaf = Col("scroe") > 3
    async with (
        LocalGalileo(SESSIONS, strict=True) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        for asked in ({"where": Col("input").eq("x") | leaf}, {"filters": [Col("input").eq("x"), leaf]}):
            with pytest.raises(ValidationError, match="↑ there is no column 'scroe'") as caught:
                await galileo.count(PROJECT, **asked)
            assert leaf == caught.value.issues[0].node


@pytest.mark.parametrize(
    "where",
    [
        Col("is_complete").is_true(),
        Col.id("log_stream_id").eq(STREAM),
        Col("mixed").eq("one") | Col("mixed").eq(1),
        Col.number("rating").gt(3) | Col.text("rating").eq("x"),
        FullyAnnotatedFilter(),
    ],
    ids=["another project's", "the scope", "of two types", "without a value", "no column"],
)
async def test_a_column_that_some_session_has_is_counted(web: Any, where: Filter) -> None:
    """Whichever project has it; a column without a value, or with values of several types, can be asked as any."""
    status, answer = await ask(web, where)
    assert (200, ["total_count"]) == (status, list(answer))
