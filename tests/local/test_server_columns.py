"""The local server beyond counting: the columns of its sessions, and what Galileo's own SDK asks before it counts."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from galileo_sessions import Col, dump_filter
from galileo_sessions.errors import FilterCheckError
from galileo_sessions.filters.catalog import ColumnCatalog, load_catalog
from galileo_sessions.local import LocalGalileo, load_sessions, sample_sessions

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
COLUMNS = f"/v2/projects/{PROJECT}/sessions/available_columns"
UNAUTHORIZED = (401, {"detail": "Invalid credentials"})

SESSIONS: list[dict[str, Any]] = [
    {
        "project_id": PROJECT,
        "log_stream_id": STREAM,
        "id": OTHER,
        "external_id": OTHER,
        "input": "a refund",
        "score": 3,
        "metrics/toxicity": 0.5,
        "is_complete": True,
        "tags": ["vip"],
        "created_at": "2026-06-01T00:00:00Z",
    },
    {
        "project_id": PROJECT,
        "experiment_id": STREAM,
        "updated_at": datetime(2026, 6, 2, tzinfo=UTC),
        "created_at": "2026-06-03T00:00:00Z",
        "trace_id": UUID(STREAM),
        "parent_id": "none",
        "seen_at": "yesterday",
        "score": None,
        "mixed": 1,
    },
    {"project_id": PROJECT, "mixed": "one", "labels": (), "nothing": None, "odd": object()},
    {"project_id": OTHER, "output": "x"},
]
EVERYTHING = {
    "project_id": "id",
    "id": "id",
    "external_id": "text",
    "input": "text",
    "score": "number",
    "metrics/toxicity": "number",
    "is_complete": "boolean",
    "tags": "collection",
    "created_at": "date",
    "updated_at": "date",
    "trace_id": "id",
    "parent_id": "text",
    "seen_at": "text",
    "mixed": "text",
    "labels": "collection",
    "odd": "text",
}


class Web:
    """A client that knows nothing of this package; with the server's key, unless there are headers."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(
        self, server: LocalGalileo, path: str = COLUMNS, method: str = "POST", **request: Any
    ) -> tuple[int, Any]:
        request.setdefault("headers", {"Galileo-API-Key": server.api_key})
        if method == "POST" and "data" not in request:
            request.setdefault("json", {})
        async with self.session.request(method, server.url + path, **request) as response:
            return response.status, await response.json()

    async def types(self, server: LocalGalileo, project: str = PROJECT, **body: Any) -> dict[str, str | None]:
        """Filter types by column id."""
        status, answer = await self.ask(server, COLUMNS.replace(PROJECT, project), json=body)
        assert 200 == status, answer
        return {info.id: info.filter_type for info in load_catalog(answer).columns}


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Web(session)


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


# ---- columns ---------------------------------------------------------------------------------------------------------


async def test_columns_have_the_types_of_their_values(server: LocalGalileo, web: Web) -> None:
    """Text that is an instant is a date; that is a UUID an id, only under the names that the API gives those."""
    assert EVERYTHING == await web.types(server)


async def test_metrics_are_a_category(server: LocalGalileo, web: Web) -> None:
    """All else is standard, and each column has what the schema requires."""
    _, answer = await web.ask(server)
    assert {"metrics/toxicity"} == {column["id"] for column in answer["columns"] if column["category"] == "metric"}
    assert {"metric", "standard"} == {column["category"] for column in answer["columns"]}
    assert [] == [column for column in answer["columns"] if not column["data_type"] or column["filterable"] is not True]


@pytest.mark.parametrize("prefix", ["", "/v2", "/public/v2"])
async def test_columns_have_the_three_prefixes(server: LocalGalileo, web: Web, prefix: str) -> None:
    """As counts have."""
    status, answer = await web.ask(server, f"{prefix}/projects/{OTHER.upper()}/sessions/available_columns")
    assert (200, ["project_id", "output"]) == (status, [column["id"] for column in answer["columns"]])


async def test_columns_are_those_of_the_scope(server: LocalGalileo, web: Web) -> None:
    """Of a log stream, an experiment, or a span of time: that of `created_at`, its ends included."""
    first = {name: EVERYTHING[name] for name in SESSIONS[0] if name != "log_stream_id"}
    assert first == await web.types(server, log_stream_id=STREAM)
    assert "updated_at" in await web.types(server, experiment_id=STREAM.upper())
    assert {} == await web.types(server, log_stream_id=STREAM, experiment_id=STREAM)
    assert {} == await web.types(server, STREAM)
    assert first == await web.types(server, end_time="2026-06-01T00:00:00Z")
    assert "updated_at" in await web.types(server, start_time="2026-06-01T12:00:00+00:00", end_time=None)
    assert {} == await web.types(server, start_time="2026-06-01T12:00:00Z", end_time="2026-06-02T00:00:00Z")


async def test_the_samples_columns_fit_the_samples_filters(web: Web) -> None:
    """What a developer tries against the sample is checked as the service's own columns would be."""
    async with LocalGalileo(sample_sessions()) as server:
        _, answer = await web.ask(server)
    catalog = load_catalog(answer)
    where = Col("input").contains("x") & ~Col("score").gt(3) & Col.collection("tags").contains("vip")
    assert where is catalog.check(where)
    with pytest.raises(FilterCheckError, match="did you mean score"):
        catalog.check(Col("scroe").gt(3))


async def test_what_asks_for_columns_is_judged(server: LocalGalileo, web: Web) -> None:
    """By the schema of this request, which knows no filters; keys that it doesn't have are ignored."""
    filters = {"filters": 3, "filter_tree": 3}
    assert EVERYTHING == await web.types(server, **filters)
    bad = {"log_stream_id": "mine", "start_time": "yesterday", "end_time": []}
    status, answer = await web.ask(server, json=bad)
    assert (422, [["body", name] for name in bad]) == (status, [entry["loc"] for entry in answer["detail"]])
    status, answer = await web.ask(server, COLUMNS.replace(PROJECT, "mine"), json=[])
    assert (422, ["path", "body"]) == (status, [entry["loc"][0] for entry in answer["detail"]])
    status, answer = await web.ask(server, f"/v2/projects/{PROJECT}/sessions/count", json={"start_time": 5})
    assert (200, {"total_count": 3}) == (status, answer)


async def test_columns_ask_for_credentials(server: LocalGalileo, web: Web) -> None:
    """As counts do."""
    assert UNAUTHORIZED == await web.ask(server, headers={})


async def test_columns_meet_trouble_and_are_no_counts(server: LocalGalileo, web: Web) -> None:
    """What `fail_next` scripts is met by counts and columns alike; `requests` lists counts only."""
    server.fail_next(503, times=2)
    assert [503, 503, 200] == [(await web.ask(server))[0] for _ in range(3)]
    assert [] == server.requests


async def test_there_is_no_other_question(server: LocalGalileo, web: Web) -> None:
    """Paths that look alike are unknown."""
    for path in ("/v2/projects/x/sessions/search", "/v3/projects/x/sessions/count", "/v2/projects/x/sessions/"):
        assert (404, {"detail": "Not Found"}) == await web.ask(server, path)
    assert (405, {"detail": "Method Not Allowed"}) == await web.ask(server, method="GET")


def test_a_column_that_none_could_ask_for_is_refused() -> None:
    """At once, and in JSON lines with the number of the line."""
    for column_id in ("", 5):
        with pytest.raises(ValueError, match="a column id"):
            LocalGalileo([{"project_id": PROJECT, column_id: "x"}])  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="line 1: the column id"):
        load_sessions([json.dumps({"project_id": PROJECT, "\ud800": 1})])


async def test_without_sessions_there_are_no_columns(web: Web) -> None:
    """Which is no error here."""
    async with LocalGalileo() as server:
        assert (200, ColumnCatalog.of()) == (200, load_catalog((await web.ask(server))[1]))


# ---- what Galileo's SDK asks before it counts ------------------------------------------------------------------------


async def test_a_key_is_changed_for_a_token(server: LocalGalileo, web: Web) -> None:
    """The token counts as credentials."""
    status, answer = await web.ask(server, "/login/api_key", headers={}, json={"api_key": server.api_key})
    assert (200, "bearer") == (status, answer["token_type"])
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    where = {"filter_tree": dump_filter(Col("score").eq(3))}
    count = await web.ask(server, f"/projects/{PROJECT}/sessions/count", headers=bearer, json=where)
    assert (200, {"total_count": 1}) == count


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"json": {"api_key": "wrong"}}, (401, None)),
        ({"json": {}}, (422, ["missing", "body", "api_key"])),
        ({"json": {"api_key": 5}}, (422, ["string_type", "body", "api_key"])),
        ({"json": []}, (422, ["model_attributes_type", "body"])),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, (422, ["json_invalid", "body", 1])),
        ({"data": {"api_key": "x"}}, (422, ["model_attributes_type", "body"])),
    ],
    ids=["wrong", "missing", "number", "list", "no JSON", "a form"],
)
async def test_other_keys_are_refused(
    server: LocalGalileo, web: Web, request_: dict[str, Any], expected: tuple[int, list[Any] | None]
) -> None:
    """A wrong one with a 401, what is none with a 422."""
    status, answer = await web.ask(server, "/login/api_key", **{"headers": {}, **request_})
    if expected[1] is None:
        assert UNAUTHORIZED == (status, answer)
    else:
        [entry] = answer["detail"]
        assert expected == (status, [entry["type"], *entry["loc"]])


async def test_it_is_healthy(server: LocalGalileo, web: Web) -> None:
    """To anybody who asks, in the words of the API's schema."""
    status, answer = await web.ask(server, "/healthcheck", "GET", headers={})
    assert (200, {"api_version", "message", "version"}) == (status, set(answer))


async def test_it_knows_who_asks(server: LocalGalileo, web: Web) -> None:
    """All that the API's schema requires of a user; without credentials, a 401."""
    status, answer = await web.ask(server, "/current_user", "GET")
    required = {"id", "email", "organization_id", "organization_name", "created_at", "updated_at"}
    assert (200, server.username) == (status, answer["email"])
    assert required <= set(answer)
    assert [4, 4] == [UUID(answer[name]).version for name in ("id", "organization_id")]
    assert UNAUTHORIZED == await web.ask(server, "/current_user", "GET", headers={})


FORM = "application/x-www-form-urlencoded"
BROKEN = {
    "charset": ("/login", f"{FORM}; charset=bogus", b"username=a&password=b", 400),
    "bytes": ("/login", FORM, b"username=a&password=\xff", 400),
    "multipart": ("/login", "multipart/form-data", b"x", 400),
    "surrogate": ("/login/api_key", "application/json", b'{"api_key": "\\ud800"}', 401),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_login_is_refused(server: LocalGalileo, web: Web, broken: tuple[str, str, bytes, int]) -> None:
    """As what it is, and not as the server's own fault."""
    path, content_type, data, expected = broken
    status, answer = await web.ask(server, path, headers={"Content-Type": content_type}, data=data)
    assert (expected, ["detail"]) == (status, list(answer))


async def test_an_empty_password_is_missing(server: LocalGalileo, web: Web) -> None:
    """As FastAPI has it for forms."""
    status, answer = await web.ask(server, "/login", headers={}, data={"username": server.username, "password": ""})
    assert (422, [["body", "password"]]) == (status, [entry["loc"] for entry in answer["detail"]])


async def test_a_thousand_columns_are_quick(web: Web) -> None:
    """A project of 3,000 sessions, each with columns of its own."""
    sessions = [{"project_id": PROJECT, f"metrics/{i}": 1, "input": "x", "tags": ["a"]} for i in range(3_000)]
    async with LocalGalileo(sessions) as server:
        began = time.perf_counter()
        assert 3_003 == len(await web.types(server))
        assert time.perf_counter() - began < 5
