"""The local server: the sessions that it holds, the requests that it reads, its answers, failures and its life."""

import asyncio
import gc
import json
import math
import re
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import numpy as np
import pytest
from aiohttp.web import HTTPUnprocessableEntity
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.clock import virtual_time
from support.sockets import PROJECT, raw_server
from support.strategies import anything, combined, compared, moments

import galileo_sessions as gs
from galileo_sessions import ALWAYS, Col, CountQuery, Filter, GalileoSessions, Or, dump_filter
from galileo_sessions.api.query import SCOPE, columns_body
from galileo_sessions.filters.catalog import load_catalog
from galileo_sessions.local import LocalGalileo, load_sessions, sample_names, sample_sessions
from galileo_sessions.local.validation import read_sessions_request

DOCUMENT = json.loads((Path(__file__).parents[1] / "support" / "openapi.json").read_text(encoding="utf-8"))
COUNT = f"/v2/projects/{PROJECT}/sessions/count"
COLUMNS = COUNT.replace("count", "available_columns")
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
X = Col("input").contains("x")
SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "input": "fix it", "score": 2.5, "log_stream_id": STREAM},
    {"project_id": PROJECT, "input": "fix it", "score": 4, "experiment_id": STREAM},
    {"project_id": PROJECT, "input": "xylophone", "score": 1, "metrics_testing_id": STREAM},
    {"project_id": PROJECT, "input": "x, without a score"},
    {"project_id": UUID(OTHER), "input": "x", "score": 0, "log_stream_id": UUID(STREAM)},
]


@cache
def judge(schema: str, **more: object) -> Draft202012Validator:
    """What the API's document says of a body."""
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{schema}", **more})


ANSWERS = {
    "sessions/count 200": "LogRecordsQueryCountResponse",
    "sessions/available_columns 200": "LogRecordsAvailableColumnsResponse",
    "sessions/count 422": "HTTPValidationError",
    "sessions/available_columns 422": "HTTPValidationError",
}


@pytest.fixture
async def server():
    async with LocalGalileo(SESSIONS) as running:
        yield running


async def ask(
    server: LocalGalileo, path: str = COUNT, headers: Any = None, method: str = "POST", **body: Any
) -> tuple[int, Any]:
    """Status and body of an answer, which is valid. The request has the server's key unless there are headers."""
    headers = {"Galileo-API-Key": server.api_key} if headers is None else headers
    async with aiohttp.request(method, server.url + path, headers=headers, **(body or {"json": {}})) as response:
        status, answer = response.status, await response.json()
    _, _, place = path.partition(f"{PROJECT}/")
    if schema := ANSWERS.get(f"{place} {status}"):
        judge(schema).validate(answer)
    return status, answer


async def count(server: LocalGalileo, where: Filter = ALWAYS, project: str = PROJECT, **body: Any) -> int:
    """A count that succeeds."""
    tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
    status, answer = await ask(server, COUNT.replace(PROJECT, project), json=tree | body)
    assert (200, ["total_count"]) == (status, list(answer))
    return answer["total_count"]


@pytest.mark.parametrize(
    ("where", "asked", "expected"),
    [
        (ALWAYS, {}, 4),
        (X & ~Col("score").gt(3), {}, 2),  # a missing score satisfies neither a comparison nor its negation
        (ALWAYS, {"filters": [dump_filter(X)["filter"], dump_filter(Col("score").gt(3))["filter"]]}, 1),
        (ALWAYS, {"project": OTHER}, 1),
        (ALWAYS, {"project": STREAM}, 0),  # an unknown project is no error here
        (X, {"log_stream_id": STREAM.upper()}, 1),
        (X, {"experiment_id": STREAM}, 1),
        (X, {"metrics_testing_id": STREAM}, 1),
        (ALWAYS, {"log_stream_id": STREAM, "experiment_id": STREAM}, 0),
        (ALWAYS, {"log_stream_id": OTHER}, 0),
    ],
)
async def test_it_counts_what_matches(server, where, asked, expected):
    assert expected == await count(server, where, **asked)


async def test_the_largest_filter_is_sent_without_a_warning_and_counted(server):
    others = [Col("input").contains(f"{number:0200}") for number in range(9_999)]  # aiohttp warns from 1 MiB on
    async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
        assert 4 == await galileo.count(PROJECT, Or([X, *others]), check=False)


async def test_the_values_of_a_filter_are_read_once_for_all_sessions(monkeypatch):
    read: list[object] = []

    def folded(leaf: Any) -> Any:
        read.append(leaf)
        return str.casefold, [leaf.value.casefold()]

    monkeypatch.setattr("galileo_sessions.filters.matching.folded", folded)
    where = Or([X, Col("input").eq("fix it")])
    async with LocalGalileo(SESSIONS) as server:
        assert 4 == await count(server, where)
    assert [*where.children] == read


async def test_requests_are_remembered(server):
    """As queries, in order, including those that failed, but not those that can't be read."""
    server.fail_next(500)
    assert 500 == (await ask(server, json={"filter_tree": dump_filter(X)}))[0]
    assert 401 == (await ask(server, f"/projects/{OTHER.upper()}/sessions/count", headers={}))[0]
    assert 422 == (await ask(server, json={"filters": 3}))[0]
    assert 200 == (await ask(server, f"/public{COLUMNS}"))[0]
    await count(server, X, log_stream_id=STREAM)
    assert [CountQuery(PROJECT, X), CountQuery(OTHER), CountQuery(PROJECT, X, log_stream_id=STREAM)] == server.requests


# ---- columns ---------------------------------------------------------------------------------------------------------


class NaTType(datetime):
    """Stands for pandas' NaT, which is a datetime that can't be compared, where pandas isn't installed."""

    def utcoffset(self) -> timedelta:
        raise ValueError("NaTType does not support utcoffset")


NAT = NaTType(1, 1, 1)
VALUES: dict[str, tuple[list[object], str | None]] = {
    # the values of a column, and its filter type; None if it isn't listed, because all its values are missing
    "input": (["a refund", np.str_("x")], "text"),
    "external_id": ([OTHER], "text"),  # a UUID is an id only under the names that the API gives to ids
    "id": ([OTHER], "id"),
    "trace_id": ([UUID(STREAM)], "id"),
    "parent_id": (["none"], "text"),
    "score": ([3, None, NAT, np.float32(0.5), Decimal("2.5")], "number"),
    "metrics/toxicity": ([0.5], "number"),
    "is_complete": ([True, np.bool_(True)], "boolean"),
    "tags": ([["vip"], (), np.array(["a"])], "collection"),
    "created_at": (["2026-06-01T00:00:00Z", datetime(2026, 6, 2, tzinfo=UTC)], "date"),
    "seen_at": (["yesterday", NAT], "text"),
    "due": (["2 weeks"], "text"),
    "mixed": ([1, "one"], "text"),
    "odd": ([object()], "text"),
    "nothing": ([None, math.nan, Decimal("NaN"), NAT], None),
    "log_stream_id": ([STREAM], None),  # a scope is none either
}


async def types(server: LocalGalileo, project: str = PROJECT, **body: Any) -> dict[str, str | None]:
    status, answer = await ask(server, COLUMNS.replace(PROJECT, project), json=body)
    assert 200 == status, answer
    return {info.id: info.filter_type for info in load_catalog(answer).columns}


async def test_columns_have_the_types_of_their_values():
    """Values of numpy and decimal are as Python's own. Metrics have their own category."""
    pairs = [(column_id, value) for column_id, (values, _) in VALUES.items() for value in values]
    async with LocalGalileo({"project_id": PROJECT, column_id: value} for column_id, value in pairs) as server:
        expected = {column_id: kind for column_id, (_, kind) in VALUES.items() if kind}
        assert {"project_id": "id", **expected} == await types(server)
        _, answer = await ask(server, COLUMNS)
    assert {"metrics/toxicity"} == {column["id"] for column in answer["columns"] if column["category"] == "metric"}
    assert {"metric", "standard"} == {column["category"] for column in answer["columns"]}
    assert [] == [column for column in answer["columns"] if not column["data_type"] or column["filterable"] is not True]


SCOPED = [
    {"project_id": PROJECT, "log_stream_id": STREAM, "created_at": "2026-06-01T00:00:00Z", "early": 1},
    {"project_id": PROJECT, "experiment_id": STREAM, "created_at": "2026-06-03T00:00:00Z", "late": 1},
    {"project_id": OTHER, "output": "x"},
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["early", "late"]),
        ({"log_stream_id": STREAM}, ["early"]),
        ({"project": OTHER}, ["output"]),
        ({"end_time": "2026-06-01T00:00:00Z"}, ["early"]),
        ({"start_time": "2026-06-01T12:00:00+00:00", "end_time": None}, ["late"]),
        ({"start_time": "2026-06-01T12:00:00Z", "end_time": "2026-06-02T00:00:00Z"}, []),
    ],
)
async def test_columns_are_those_of_the_scope(asked, expected):
    """Of a log stream, an experiment, or a span of time: that of `created_at`, its ends included."""
    async with LocalGalileo(SCOPED) as server:
        found = {*await types(server, **asked)}
    assert found - {"project_id", "created_at"} == {*expected}


# ---- refusals --------------------------------------------------------------------------------------------------------


async def test_only_its_key_is_accepted():
    """Under both names, since newer deployments call it Splunk-AO-API-Key. By default it is random."""
    async with LocalGalileo(api_key="schlüssel") as server:
        for name in ("Galileo-API-Key", "Splunk-AO-API-Key"):
            assert (200, {"total_count": 0}) == await ask(server, headers={name: "schlüssel"})
        for name, key in (("Galileo-API-Key", ""), ("Galileo-API-Key", "clé"), ("Authorization", "Bearer schlüssel")):
            for path in (COUNT, COLUMNS, "/projects/paginated"):
                answer = await ask(server, path, headers={name: key})
                assert (401, {"detail": "Invalid credentials"}) == answer
    assert LocalGalileo().api_key != LocalGalileo().api_key


WRONG = {
    "key": (lambda: LocalGalileo(api_key=""), "api_key must be text that isn't empty"),
    "session": (lambda: LocalGalileo([{"input": "x"}]), "a session needs its project_id"),
    "time": (lambda: LocalGalileo([{"project_id": PROJECT, "c": datetime(2026, 5, 1)}]), "the session's c, datetime"),  # noqa: DTZ001
    "column": (
        lambda: LocalGalileo([{"project_id": PROJECT, "": 1}]),
        "a column id must be text that isn't empty, got ''",
    ),
    "number of a column": (lambda: LocalGalileo([{"project_id": PROJECT, 0: 1}]), "a column id must be text .* got 0"),  # type: ignore[dict-item]  # as a table without names has
    "port": (lambda: LocalGalileo(port=70_000), "port must be from 0 to 65,535, got 70000"),
    "id of a name": (lambda: LocalGalileo(names={"mine": "x"}), "a project id in names must be a version 4 UUID, got"),
    "status": (lambda: LocalGalileo().fail(100), "status must be from 200 to 599, got 100"),
    "status, once": (lambda: LocalGalileo().fail_next(600), "status must be from 200 to 599, got 600"),
    "times": (lambda: LocalGalileo().fail_next(times=0), "times must be 1 or more, got 0"),
    "disconnections": (lambda: LocalGalileo().disconnect(-1), "times must be 1 or more, got -1"),
    "delay": (lambda: LocalGalileo().slow(-2), "delay must be 0 or more, got -2"),
    "no delay": (lambda: LocalGalileo().slow(float("nan")), "delay must be 0 or more, got nan"),
    "no project": (lambda: LocalGalileo().fail(project="x"), "the server has no project 'x'; it has none"),
}


@pytest.mark.parametrize(("call", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_at_once(call, problem):
    with pytest.raises(ValueError, match=f"^{problem}"):
        call()


@pytest.mark.parametrize("name", ["fail_next", "fail", "slow", "disconnect"])
def test_trouble_is_for_a_project_that_the_server_has(name):
    server = LocalGalileo(names=sample_names())
    known = "Support chatbot, Travel planner, Code assistant, Pharmacy helpdesk, Legal guide, ..."
    with pytest.raises(ValueError, match=f"^the server has no project 'Legal giude'; it has {re.escape(known)}$"):
        getattr(server, name)(project="Legal giude")


# ---- requests --------------------------------------------------------------------------------------------------------


STRICTLY = {"unevaluatedProperties": False}  # the client sends no other keys
_ids = st.uuids(version=4)
_scopes = st.fixed_dictionaries({}, optional=dict.fromkeys(SCOPE, _ids))
_leaves = compared | st.builds(gs.FullyAnnotatedFilter, st.none() | st.lists(_ids, min_size=1, max_size=3))


@given(combined | _leaves, _scopes)
def test_the_local_server_reads_what_is_sent(where, scope):
    """A body is valid by the API's document, and read as the query that was sent."""
    query = CountQuery(PROJECT, where, **scope)
    body = query.body or b'{"filter_tree": {"or": []}}'  # a query for NEVER isn't sent
    judge("LogRecordsQueryCountRequest", **STRICTLY).validate(json.loads(body))
    assert query == read_sessions_request("count", PROJECT, body)


@given(st.none() | moments, st.none() | moments, _scopes)
def test_a_request_for_columns_is_read_alike(start, end, scope):
    body = columns_body(CountQuery(PROJECT, **scope), start, end)
    judge("LogRecordsAvailableColumnsRequest", **STRICTLY).validate(json.loads(body))
    created = Col.date("created_at")
    since: gs.Filter = ALWAYS if start is None else created.gte(start)
    until: gs.Filter = ALWAYS if end is None else created.lte(end)
    assert CountQuery(PROJECT, since & until, **scope) == read_sessions_request("available_columns", PROJECT, body)


TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}


def read(body: object, endpoint: str = "count", project_id: str = PROJECT) -> CountQuery:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_sessions_request(endpoint, project_id, sent)


def test_a_request_is_a_query():
    """Its ids are written in one way. Whatever is left out or null asks for all sessions."""
    null = dict.fromkeys(("log_stream_id", "start_time", "end_time"))
    assert CountQuery(PROJECT) == read({"filter_tree": None}) == read(null, "available_columns")
    ids = {"log_stream_id": PROJECT.upper(), "experiment_id": PROJECT.replace("-", ""), "metrics_testing_id": None}
    text, score = Col("input").contains("x"), gs.NumberFilter("score", "gt", 3)
    query = CountQuery(PROJECT, text & score, log_stream_id=PROJECT, experiment_id=PROJECT)
    assert query == read({"filters": [TEXT, SCORE], **ids}, "count", PROJECT.upper())
    since = gs.DateFilter("created_at", "gte", "2026-06-01T00:00:00Z")
    timed = read({"filters": [SCORE], "start_time": "2026-06-01T00:00:00Z"}, "available_columns")
    assert timed == CountQuery(PROJECT, score & since)


REFUSED: dict[str, tuple[tuple[Any, ...], list[str | int], str]] = {
    "project": (({}, "count", "mine"), ["path", "project_id"], "project_id must be a version 4 UUID, got 'mine'"),
    "scope": (({"experiment_id": "mine"},), ["body", "experiment_id"], "experiment_id must be a version 4 UUID"),
    "no body": ((b"",), ["body"], "Expecting value"),
    "no JSON": ((b'{"filters": NaN}',), ["body"], "NaN is not JSON"),
    "key of the other": (({"start_time": None},), ["body"], "a query has no key 'start_time'"),
    "time": (({"start_time": "now"}, "available_columns"), ["body", "start_time"], "'now'"),
    "filters": (({"filters": [TEXT, SCORE | {"value": "3"}]},), ["body", "filters", 1, "value"], "got '3'"),
    "tree": (
        ({"filter_tree": {"and": [{"filter": TEXT}, {"not": {"filter": SCORE | {"operator": "contains"}}}]}},),
        ["body", "filter_tree", "and", 1, "not", "filter", "operator"],
        "contains",
    ),
}


@pytest.mark.parametrize(("sent", "loc", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_request_is_refused_where_it_is_wrong(sent, loc, problem):
    with pytest.raises(HTTPUnprocessableEntity) as caught:
        read(*sent)
    answer = json.loads(caught.value.text or "")
    judge("HTTPValidationError").validate(answer)
    (entry,) = answer["detail"]
    assert (loc, "value_error") == (entry.pop("loc"), entry.pop("type"))
    assert problem in entry.pop("msg")
    assert {} == entry


_bodies = st.dictionaries(st.sampled_from(["filter_tree", "filters", "start_time", "log_stream_id"]), anything)


@given(st.sampled_from(["count", "available_columns"]), _bodies)
def test_any_body_is_a_query_or_a_422(endpoint, body):
    with suppress(HTTPUnprocessableEntity):
        read(body, endpoint)


# ---- strictly: an app's test can't pass on a typo --------------------------------------------------------------------

MIXED: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": STREAM, "input": "x", "score": 2.5, "created_at": "2026-06-01T00:00:00Z"},
    {"project_id": PROJECT, "mixed": 2},
    {"project_id": PROJECT, "mixed": "one", "rating": None, "tags": ["a"]},
    {"project_id": OTHER, "mixed": 1, "is_complete": True},
]
FINE, TYPO = Col("input").eq("x"), Col("scroe") > 3


ACCEPTED: dict[str, tuple[list[dict[str, Any]], bool, Filter, int]] = {
    "not strict": (MIXED, False, FINE & TYPO, 0),
    "no sessions": ([], True, FINE & TYPO, 0),  # so no columns, even if projects have names
    "another project's": (MIXED, True, Col("is_complete").is_true(), 0),
    "the scope": (MIXED, True, Col.id("log_stream_id").eq(STREAM), 1),
    "of two types": (MIXED, True, Col("mixed").eq("one") | Col("mixed").eq(1), 1),
    "without a value": (MIXED, True, Col.number("rating").gt(3) | Col.text("rating").eq("x"), 0),
    "no column": (MIXED, True, gs.FullyAnnotatedFilter(), 0),
}


@pytest.mark.parametrize(("sessions", "strict", "where", "total"), ACCEPTED.values(), ids=ACCEPTED)
async def test_which_columns_are_accepted(sessions, strict, where, total):
    """All if the server isn't strict or has no sessions, else those that some session has."""
    async with LocalGalileo(sessions, names={PROJECT: "Support chatbot"}, strict=strict) as server:
        assert total == await count(server, where)


async def test_another_type_is_a_422():
    """Each wrong leaf has an entry, such as a time that is compared as text; those of a list have their `and`."""
    as_text = Col.text("created_at").eq("2026-06-01T00:00:00Z")
    leaves = [Col("score").gt(1), as_text, Col("tags").contains("a"), Col.number("created_at").between(1, 2)]
    async with LocalGalileo(MIXED, strict=True) as server:
        status, answer = await ask(server, json={"filters": [dump_filter(leaf)["filter"] for leaf in leaves]})
    assert 422 == status
    kinds = {1: "wrong_type", 2: "wrong_type", 3: "no_operator"}
    expected = [(["body", "filter_tree", "and", i, "filter"], kind) for i, kind in kinds.items()]
    assert expected == [(entry["loc"], entry["type"]) for entry in answer["detail"]]
    assert "'created_at' is filtered as date, not as text" in answer["detail"][0]["msg"]


async def test_an_unknown_column_is_drawn_by_clients():
    async with LocalGalileo(MIXED, strict=True) as server:
        async with gs.GalileoSessions(server.api_key, base_url=server.url) as galileo:
            with pytest.raises(gs.ValidationError, match="↑ there is no column 'scroe'; did you mean score") as caught:
                await galileo.count(PROJECT, FINE | ~TYPO)
    (issue,) = caught.value.issues
    assert (TYPO, "unknown_column") == (issue.node, issue.type)


# ---- simulated failures ----------------------------------------------------------------------------------------------


async def test_trouble_can_be_scripted(server):
    """The next counts meet what was queued, in its order; then all is well again."""
    server.fail_next(headers={"Retry-After": 1}, times=2)
    server.fail_next(503, body="<html>down</html>", headers={"content-type": "text/html"})
    server.fail_next(200, body={"total_count": "many"})
    server.fail_next(500, body=b"oops")
    seen: list[tuple[int, str, str | None, str]] = []
    for _ in range(6):
        headers = {"Galileo-API-Key": server.api_key}
        async with aiohttp.request("POST", server.url + COUNT, headers=headers, json={}) as r:
            seen.append((r.status, r.content_type, r.headers.get("Retry-After"), await r.text()))
    assert [
        *[(429, "application/json", "1", '{"detail": "Scripted by fail_next"}')] * 2,
        (503, "text/html", None, "<html>down</html>"),
        (200, "application/json", None, '{"total_count": "many"}'),
        (500, "text/plain", None, "oops"),
        (200, "application/json", None, '{"total_count": 4}'),
    ] == seen


async def test_failures_have_an_order():
    """What is queued comes first, in the order of the calls, then the outage, then the count; each is delayed."""
    server, seen = LocalGalileo(SESSIONS), list[object]()
    server.fail(502, headers={"Retry-After": "7"})  # also before it starts
    async with server:
        server.fail_next(500)
        server.disconnect()
        server.fail_next(429)
        server.slow(0.05)
        start = time.monotonic()
        for path in (COUNT, COUNT, COUNT, COUNT, COLUMNS, COUNT):
            try:
                async with aiohttp.request("POST", server.url + path, json={}) as r:
                    seen.append((r.status, r.headers.get("Retry-After")))
            except aiohttp.ServerDisconnectedError:
                seen.append("closed")
        assert time.monotonic() - start >= 0.3
        assert [(500, None), *["closed"] * 3, (429, None), (502, "7")] == seen
        assert (502, {"detail": "Simulated by fail"}) == await ask(server)
        assert 200 == (await ask(server, "/projects/paginated"))[0]  # which doesn't fail
        server.fail(404)  # replaces the other
        assert 404 == (await ask(server))[0]


@virtual_time
async def test_recover_ends_everything():
    """After `recover`, a count takes one request and no time, whatever was simulated."""
    async with LocalGalileo(SESSIONS) as server:
        server.slow(3_600)
        server.slow(3_600, project=PROJECT)
        server.fail()
        server.fail(project=PROJECT)
        server.disconnect(times=9)
        server.fail_next(500, times=9, project=PROJECT)
        server.recover()
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            start = asyncio.get_running_loop().time()
            assert 4 == await galileo.count(PROJECT)
            assert asyncio.get_running_loop().time() - start < 0.5
            assert 1 == len(server.requests)


@pytest.mark.parametrize("project", ["Support chatbot", PROJECT.upper(), UUID(PROJECT)], ids=["name", "text", "UUID"])
async def test_one_project_can_be_in_trouble(project):
    """The others are counted. Scripted answers that another project gets aren't taken by requests of this one."""
    async with LocalGalileo(SESSIONS, names={PROJECT: "Support chatbot"}) as server:
        server.fail_next(404, project=project)
        server.disconnect(1, project=project)
        server.fail_next(500, project=OTHER)
        server.fail(403, project=project)
        server.slow(60)
        server.slow(0, project=project)
        seen: list[object] = []
        for _ in range(3):
            try:
                seen.append((await ask(server))[0])
            except aiohttp.ServerDisconnectedError:
                seen.append("closed")
        assert [404, "closed", 403] == seen
        server.slow(0)
        others = [await ask(server, COUNT.replace(PROJECT, OTHER)) for _ in range(2)]
        assert [(500, {"detail": "Scripted by fail_next"}), (200, {"total_count": 1})] == others


# ---- the list of projects --------------------------------------------------------------------------------------------

EMPTY = "c0de3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
LISTED: list[dict[str, Any]] = [{"project_id": each} for each in (PROJECT, OTHER, PROJECT)]
LISTED[2]["log_stream_id"] = STREAM  # which is no project, though it has a name
GIVEN: dict[Any, str] = {UUID(EMPTY): "Günther's", PROJECT.upper(): "Support chatbot", STREAM: "production"}
NAMES = {EMPTY: "Günther's", PROJECT: "Support chatbot", OTHER: None}


def comparing(name: str, value: object, operator: str = "eq", **more: object) -> dict[str, object]:
    return {"name": name, "operator": operator, "value": value, **more}


PAGES: list[tuple[str, object, Any]] = [
    # the request's query, its filters, and the projects; or, for a 422, where the mistake is, and what
    ("", [], [*NAMES]),
    ("?starting_token=1&limit=2", [], [PROJECT, OTHER]),
    ("", [comparing("type", "gen_ai")], [*NAMES]),
    ("", [comparing("type", "llm_monitor")], []),
    ("", [comparing("name", "Günther's", case_sensitive=True)], [EMPTY]),
    ("?limit=1", [comparing("name", "support", "contains", case_sensitive=False)], [PROJECT]),
    ("?limit=2", [comparing("id", [OTHER, EMPTY], "one_of")], [EMPTY, OTHER]),
    ("", [comparing("id", OTHER), comparing("name", "x")], []),
    *[
        (f"?limit={text}", [], (["query"], f"limit must be a whole number such as 100, got {text!r}"))
        for text in ("x", "\u0663", "1_0", "3.0", "")
    ],
    ("?limit=0", [], (["query"], "limit must be 1 or more, got 0")),
    ("?starting_token=-1", [], (["query"], "starting_token must be 0 or more, got -1")),
    ("", [comparing("runs", 3)], (["body", "filters", 0, "value"], "got 3")),
    ("", [{"name": "name", "value": "x"}], (["body", "filters", 0], "operator")),
    ("", 5, (["body", "filters"], "expected a list of filters, got 5")),
]


@pytest.mark.parametrize(("query", "filters", "expected"), PAGES)
@pytest.mark.parametrize("prefix", ["", "/v2", "/public/v2"])
async def test_which_projects_are_listed(prefix, query, filters, expected):
    """With their names, also without sessions; those of a type, a name or an id. Wrong requests get a 422."""
    async with LocalGalileo(LISTED, names=GIVEN) as server:
        status, page = await ask(server, f"{prefix}/projects/paginated{query}", json={"filters": filters})
    if isinstance(expected, list):
        assert 200 == status
        assert [(each, NAMES[each]) for each in expected] == [(each["id"], each["name"]) for each in page["projects"]]
        assert all(project["type"] == "gen_ai" for project in page["projects"])
        assert (False, None) == (page["paginated"], page["next_starting_token"])
    else:
        (entry,) = page["detail"]
        assert (422, expected[0], "value_error") == (status, entry["loc"], entry["type"])
        assert expected[1] in entry["msg"]


async def test_projects_come_in_pages():
    """A page has at most `limit` projects, without a query 100, and the token of the next one."""
    many = [f"{number:08x}-1c3e-4d5f-8a7b-9c0d1e2f3a4b" for number in range(102)]
    async with LocalGalileo({"project_id": each} for each in many) as server:
        for query, begin, following in (("", 0, 100), ("?starting_token=100&limit=1", 100, 101)):
            _, page = await ask(server, f"/projects/paginated{query}")
            assert many[begin:following] == [project["id"] for project in page["projects"]]
            assert (True, following) == (page["paginated"], page["next_starting_token"])


@pytest.mark.parametrize("project", [PROJECT, PROJECT.upper(), PROJECT.replace("-", "")])
async def test_the_log_streams_of_a_project_are_listed(project):
    """Those that its sessions have; a null is none. The project is read as for a count."""
    sessions = [{"project_id": PROJECT, "log_stream_id": each} for each in (None, STREAM, math.nan, STREAM.upper())]
    async with LocalGalileo(sessions) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        assert [STREAM] == [stream.id async for stream in galileo.log_streams(PROJECT)]
        status, page = await ask(server, f"/projects/{project}/log_streams/paginated", method="GET")
    assert (200, [(STREAM, PROJECT)]) == (status, [(each["id"], each["project_id"]) for each in page["log_streams"]])


FOURTH, FIFTH = (f"{each}00085a1-8e78-4a69-bff3-11ab0f301443" for each in (4, 5))
STREAMS: list[tuple[dict[str, str], list[str]]] = [
    # the names that are given, and those of four log streams
    ({}, ["production", "staging", "development", FIFTH]),
    ({STREAM: "canary"}, ["canary", "production", "staging", "development"]),
    ({FOURTH: "canary"}, ["production", "staging", "canary", "development"]),
    ({OTHER: "staging"}, ["production", "staging", "development", FIFTH]),  # of two with a name, one would be found
    ({FIFTH: "production"}, ["staging", "development", FOURTH, "production"]),
]


@pytest.mark.parametrize(("names", "expected"), STREAMS)
async def test_the_first_three_log_streams_without_a_name_get_one(names, expected):
    """No two of a project have the same name."""
    ids = [STREAM, OTHER, FOURTH, FIFTH]
    sessions = [{"project_id": PROJECT, "log_stream_id": each} for each in ids]
    async with LocalGalileo(sessions, names=names) as server:
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            assert expected == [stream.name async for stream in galileo.log_streams(PROJECT)]


@pytest.mark.parametrize(("project", "status"), [(OTHER, 200), ("x", 422), (PROJECT.replace("-4", "-1"), 422)])
async def test_the_project_of_log_streams_is_checked_as_that_of_a_count(server, project, status):
    path = f"/projects/{project}/sessions/count"
    expected = await ask(server, path)
    found = await ask(server, path.replace("sessions/count", "log_streams/paginated"), method="GET")
    assert (status, status) == (expected[0], found[0])
    assert found[0] == 200 or expected == found


# ---- its life --------------------------------------------------------------------------------------------------------


async def test_it_leaves_nothing_behind_and_can_start_again():
    """After the block its port refuses connections, and no task is left; port, key and requests stay the same."""
    before, server = asyncio.all_tasks(), LocalGalileo(SESSIONS)
    with pytest.raises(RuntimeError, match="async with LocalGalileo"):
        _ = server.url
    async with server:
        await count(server)
        first = server.url
    assert before == asyncio.all_tasks()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(first.rpartition(":")[2]))
    async with server:
        await count(server)
        assert first == server.url
    assert 2 == len(server.requests)


@pytest.mark.parametrize("make", [LocalGalileo, partial(raw_server, b"")])
@pytest.mark.parametrize("loops", range(6))
async def test_a_connection_of_the_last_moment_is_closed(make, loops):
    """asyncio loses one for which it has no transport yet when its server closes; its socket is then a warning."""
    async with make() as server:
        client = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
        for _ in range(loops):
            await asyncio.sleep(0)
    client.close()
    await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("make", [LocalGalileo, partial(raw_server, b"")])
@pytest.mark.parametrize("loops", range(6))
async def test_a_connection_while_it_closes_is_closed_or_refused(make, loops):
    async def connect() -> None:
        for _ in range(loops):
            await asyncio.sleep(0)
        with suppress(ConnectionRefusedError):
            socket.create_connection(address).close()

    async with make() as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        connecting = asyncio.create_task(connect())
    await connecting
    gc.collect()


def test_a_port_can_be_chosen():
    server = LocalGalileo(SESSIONS, port=8088)
    assert "http://127.0.0.1:8088" == server.url
    assert "<LocalGalileo with 5 sessions at http://127.0.0.1:8088>" == repr(server)


def test_a_port_that_is_taken_is_an_error_of_the_caller():
    with LocalGalileo() as server:
        threads = threading.active_count()
        with pytest.raises(OSError, match="address already in use"):
            LocalGalileo(port=int(server.url.rpartition(":")[2])).__enter__()
        assert threads == threading.active_count()


@virtual_time
async def test_it_closes_quickly_on_a_client_that_stays():
    """By default, aiohttp waits for 60 s."""
    clock = asyncio.get_running_loop().time
    async with LocalGalileo() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        start = clock()
    assert clock() - start < 1
    assert b"" == await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_request_ends_with_its_connection(method):
    """A delayed one, and one that was refused while its body was missing; no task outlives the block."""
    before = asyncio.all_tasks()
    async with LocalGalileo(SESSIONS) as server:
        server.slow(3_600)
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        length = 2 if method == "POST" else 99
        writer.write(f"{method} {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{{}}".encode())
        assert 200 == (await ask(server, "/projects/paginated"))[0]
        writer.close()
        assert 200 == (await ask(server, "/projects/paginated"))[0]
    assert before == asyncio.all_tasks()


def test_its_thread_takes_calls_and_leaves_no_request_behind(caplog):
    """With `with`; also a request that is delayed, and whose client has gone, ends with the block."""
    threads = threading.active_count()
    with LocalGalileo(SESSIONS) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        server.slow(3_600)
        server.disconnect(times=9)
        server.recover()
        assert 4 == asyncio.run(count(server))
        server.slow(3_600)
        with socket.create_connection(address) as connection:
            connection.sendall(f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            while len(server.requests) < 2:
                time.sleep(0.01)
    assert threads == threading.active_count()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    gc.collect()
    assert [] == caplog.messages  # asyncio would log a task that was destroyed


# ---- sessions --------------------------------------------------------------------------------------------------------


def test_the_sample_is_always_the_same():
    """About 3,000 sessions of a dozen projects, made anew on each call; the projects have different names."""
    sessions, names = sample_sessions(), sample_names()
    assert sessions == sample_sessions()
    assert 2_500 < len(sessions) < 3_500
    assert (PROJECT, "support-43521") == (sessions[0]["project_id"], sessions[0]["name"])
    assert (4.7, "2026-06-10T08:59:39+00:00") == (sessions[0]["score"], sessions[0]["created_at"])
    assert all(0 <= float(str(session["metrics/toxicity"])) <= 1 for session in sessions)
    assert [*names] == [*dict.fromkeys(session["project_id"] for session in sessions)]
    assert ("Support chatbot", "Travel planner") == tuple(names.values())[:2]
    assert 12 == len({*names.values()})


def test_the_sample_can_be_recent():
    """With another last day, all dates are later by the same number of days, and nothing else changes."""
    moved = sample_sessions(date(2026, 7, 10))
    for old, new in zip(sample_sessions(), moved, strict=True):
        created = datetime.fromisoformat(str(old["created_at"])) + timedelta(days=10)
        assert old | {"created_at": created.isoformat()} == new


def test_sessions_load_from_json_lines():
    """Empty lines and byte order marks are skipped, ids come as lower-case text, columns as they are."""
    lines = ["\n", "\ufeff" + json.dumps({"project_id": PROJECT.upper(), "score": 3, "log_stream_id": None}) + "\n"]
    assert [{"project_id": PROJECT, "score": 3, "log_stream_id": None}] == load_sessions(lines)
    sample = sample_sessions()
    assert sample == load_sessions(map(json.dumps, sample))


NAIVE: dict[str, tuple[object, str, str]] = {
    # a time of a session, what is wrong with it, and the hint
    "pandas, iso": (
        "2026-05-01T10:00:00.000",
        "'2026-05-01T10:00:00.000' has no UTC offset",
        "2026-05-01T10:00:00+00:00",
    ),
    "a space": ("2026-05-01 10:00", "'2026-05-01 10:00' has no UTC offset", "2026-05-01T10:00:00+00:00"),
    "a day": ("2026-05-01", "'2026-05-01' has no UTC offset", "2026-05-01T00:00:00+00:00"),
    "pandas, epoch": (1_777_629_600_000, "expected a datetime or ISO 8601 text, got 1777629600000", "date_format"),
    "no time": ("May 1", "'May 1' is not an ISO 8601 time", ""),
}


@pytest.mark.parametrize(("time", "problem", "hint"), NAIVE.values(), ids=NAIVE)
@pytest.mark.parametrize("column_id", ["created_at", "updated_at"])
def test_a_session_is_at_an_instant(time, problem, hint, column_id):
    """Any other time is in no period. `to_json` of pandas writes it so unless its column has a time zone."""
    session = {"project_id": PROJECT, column_id: time}
    for refuse, place in (
        (lambda: load_sessions([json.dumps(session)]), "line 1: "),
        (lambda: LocalGalileo([session]), ""),
    ):
        with pytest.raises(ValueError, match=f"^{place}the session's {column_id}: {re.escape(problem)}") as caught:
            refuse()
        assert hint in str(caught.value)


def test_other_columns_hold_any_text():
    session = {"project_id": PROJECT, "input": "2026-05-01T10:00:00", "user_metadata/day": "2026-05-01"}
    assert [session] == load_sessions([json.dumps(session)])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"a": }', "line 2 is not JSON: Expecting value at column 7"),
        ("[" * 200_000, "line 2 is too deep"),
        ("[1]", "line 2: a session maps column ids to values, got [1]"),
        (json.dumps({"project_id": PROJECT, "experiment_id": 3}), "line 2: a session's experiment_id must be"),
    ],
    ids=["json", "deep", "object", "experiment"],
)
def test_a_bad_line_is_named(line, problem):
    with pytest.raises(ValueError, match="line 2") as caught:
        load_sessions([json.dumps({"project_id": PROJECT}), line])
    assert str(caught.value).startswith(problem)
