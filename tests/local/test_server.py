"""The local server as its users meet it: over HTTP on loopback."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import json
import socket
import time
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from galileo_sessions import And, Col, CountQuery, Filter, GalileoSessions, Or, dump_filter
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
WHERE = Col("input").contains("x") & ~Col("score").gt(3)
COUNT = f"/v2/projects/{PROJECT}/sessions/count"

SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "input": "fix it", "score": 2.5, "log_stream_id": STREAM},
    {"project_id": PROJECT, "input": "fix it", "score": 4, "experiment_id": STREAM},
    {"project_id": PROJECT, "input": "xylophone", "score": 1, "metrics_testing_id": STREAM},
    {"project_id": PROJECT, "input": "x, without a score"},
    {"project_id": UUID(OTHER), "input": "x", "score": 0, "log_stream_id": UUID(STREAM)},
]


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


# ---- counting --------------------------------------------------------------------------------------------------------


async def test_it_counts_what_matches(server: LocalGalileo, web: Any) -> None:
    """The count is that of `matches`: a missing score satisfies neither a comparison nor its negation."""
    assert 2 == await web.count(server, WHERE)
    assert 4 == await web.count(server)


async def test_it_counts_within_the_scope(server: LocalGalileo, web: Any) -> None:
    """Project, log stream, experiment and metrics testing each narrow the sessions down."""
    assert 1 == await web.count(server, project=OTHER)
    for name in ("log_stream_id", "experiment_id", "metrics_testing_id"):
        assert 1 == await web.count(server, Col("input").contains("x"), **{name: STREAM.upper()})
    assert 0 == await web.count(server, log_stream_id=STREAM, experiment_id=STREAM)
    assert 0 == await web.count(server, log_stream_id=OTHER)
    assert 0 == await web.count(server, project=STREAM)  # an unknown project is no error here


async def test_dates_tags_and_booleans_count(web: Any) -> None:
    """A record can hold an aware datetime or its text, a list of text, a boolean."""
    record = {"project_id": PROJECT, "tags": ["a", "b"], "done": True}
    times: list[object] = ["2026-06-01T00:00:00Z", datetime(2026, 6, 2, tzinfo=UTC)]
    async with LocalGalileo([{**record, "created_at": time} for time in times]) as server:
        record["project_id"] = OTHER  # sessions are copied
        assert 2 == await web.count(server, Col.collection("tags").contains("b") & Col("done").eq(True))
        assert 1 == await web.count(server, Col.date("created_at").gt("2026-06-01T12:00:00Z"))


async def test_the_largest_filters_are_counted(server: LocalGalileo, web: Any) -> None:
    """100 levels, and 10,000 leaves, which are more than a megabyte."""
    deep: Filter = Col("input").contains("x")
    for _ in range(99):
        deep = And([deep])
    assert 4 == await web.count(server, deep)
    wide = io.BytesIO(json.dumps({"filter_tree": dump_filter(Or([Col("input").contains("x")] * 10_000))}).encode())
    headers = {"Galileo-API-Key": server.api_key, "Content-Type": "application/json"}
    assert (200, {"total_count": 4}) == await web.post_count(server, data=wide, headers=headers)


# ---- refusals --------------------------------------------------------------------------------------------------------


async def test_only_its_key_is_accepted(web: Any) -> None:
    """Under both names, since newer deployments call it Splunk-AO-API-Key. By default it is random."""
    async with LocalGalileo(api_key="schlüssel") as server:
        for name in ("Galileo-API-Key", "Splunk-AO-API-Key"):
            assert (200, {"total_count": 0}) == await web.post_count(server, headers={name: "schlüssel"})
        for name, key in (("Galileo-API-Key", ""), ("Galileo-API-Key", "clé"), ("Authorization", "Bearer schlüssel")):
            for path in (COUNT, "/projects/paginated"):
                answer = await web.ask(server, path, headers={name: key})
                assert (401, {"detail": "Invalid credentials"}) == answer
    assert LocalGalileo().api_key != LocalGalileo().api_key
    with pytest.raises(ValueError, match="api_key must be text that isn't empty"):
        LocalGalileo(api_key="")


async def test_a_wrong_request_is_a_422(server: LocalGalileo, web: Any) -> None:
    """With one entry in FastAPI's shape; also a page that isn't a number, or has no entries."""
    for path, body, loc, said in (
        (COUNT, {"filters": 3}, ["body", "filters"], "at .filters: expected a list of leaves, got 3"),
        ("/projects/paginated?limit=x", {}, ["query"], "invalid literal for int() with base 10: 'x'"),
        ("/projects/paginated?limit=0", {}, ["query"], "limit must be 1 or more, got 0"),
        ("/projects/paginated?starting_token=-1", {}, ["query"], "starting_token must be 0 or more, got -1"),
    ):
        entry = {"loc": loc, "msg": said, "type": "value_error"}
        assert (422, {"detail": [entry]}) == await web.ask(server, path, json=body)
    assert [] == server.requests


async def test_a_body_can_be_compressed(server: LocalGalileo, web: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One that can't be unpacked, such as one that was cut, is a 400."""
    body = json.dumps({"log_stream_id": STREAM, "filters": []}).encode()
    headers = {"Galileo-API-Key": server.api_key, "Content-Encoding": "gzip"}
    for path in (COUNT, "/projects/paginated"):
        for packed, status in ((gzip.compress(body), 200), (zlib.compress(body), 200), (body, 400), (b"", 400)):
            assert status == (await web.ask(server, path, data=packed, headers=headers))[0]
        status, answer = await web.ask(server, path, data=gzip.compress(body)[:-1], headers=headers)
        assert (400, "The body can't be unpacked: Error -5") == (status, answer["detail"][:36])
    assert [CountQuery(PROJECT, log_stream_id=STREAM)] * 2 == server.requests
    assert [] == caplog.records


async def test_what_it_does_not_serve_is_refused(server: LocalGalileo, web: Any) -> None:
    """Another method is a 405; an unknown path is a 404, and so is a search, which this server doesn't support."""
    for method, path, status in (("GET", COUNT, 405), ("POST", "/v3/projects", 404), ("POST", "/login", 404)):
        async with web.session.request(method, server.url + path) as response:
            assert status == response.status


# ---- scripts and records ---------------------------------------------------------------------------------------------


async def test_trouble_can_be_scripted(server: LocalGalileo, web: Any) -> None:
    """The next counts meet what was queued, in its order; then all is well again."""
    server.fail_next(headers={"Retry-After": 1}, times=2)
    server.fail_next(503, body="<html>down</html>", headers={"content-type": "text/html"})
    server.fail_next(200, body={"total_count": "many"})
    server.fail_next(500, body=b"oops")
    seen: list[tuple[int, str, str | None, str]] = []
    for _ in range(6):
        async with web.session.post(server.url + COUNT, headers={"Galileo-API-Key": server.api_key}, json={}) as r:
            seen.append((r.status, r.content_type, r.headers.get("Retry-After"), await r.text()))
    assert [
        (429, "application/json", "1", '{"detail": "Scripted by fail_next"}'),
        (429, "application/json", "1", '{"detail": "Scripted by fail_next"}'),
        (503, "text/html", None, "<html>down</html>"),
        (200, "application/json", None, '{"total_count": "many"}'),
        (500, "text/plain", None, "oops"),
        (200, "application/json", None, '{"total_count": 4}'),
    ] == seen


async def test_requests_are_remembered(server: LocalGalileo, web: Any) -> None:
    """Requests are remembered as queries, in order, including those that failed."""
    server.fail_next(500)
    assert 500 == (await web.post_count(server, json={"filter_tree": dump_filter(WHERE)}))[0]
    assert 401 == (await web.ask(server, f"/projects/{OTHER.upper()}/sessions/count", headers={}))[0]
    assert 422 == (await web.post_count(server, json={"filters": 3}))[0]
    await web.count(server, WHERE, log_stream_id=STREAM)
    expected = [CountQuery(PROJECT, WHERE), CountQuery(OTHER), CountQuery(PROJECT, WHERE, log_stream_id=STREAM)]
    assert expected == server.requests


# ---- the list of projects --------------------------------------------------------------------------------------------

EMPTY = "c0de3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
LISTED: list[dict[str, Any]] = [{"project_id": each} for each in (PROJECT, OTHER, PROJECT)]
LISTED[2]["log_stream_id"] = STREAM  # which is no project, though it has a name
NAMES: dict[Any, str] = {UUID(EMPTY): "Günther's", PROJECT.upper(): "Support chatbot", STREAM: "production"}


async def test_projects_have_names(web: Any) -> None:
    """Those that the server was given; a project that only has a name is listed, too, and counts 0."""
    async with (
        LocalGalileo(LISTED, names=NAMES) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        projects = [(project.id, project.name, project.type) async for project in galileo.projects()]
        expected = [(EMPTY, "Günther's"), (PROJECT, "Support chatbot"), (OTHER, None)]
        assert [(*project, "gen_ai") for project in expected] == projects
        assert 0 == await web.count(server, project=EMPTY)
        assert (200, {"columns": []}) == await web.ask(server, f"/projects/{EMPTY}/sessions/available_columns")


async def test_projects_come_in_pages(web: Any) -> None:
    """A page has at most `limit` projects and the token of the next one; without a query, the first 100."""
    ids = [EMPTY, PROJECT, OTHER]
    async with LocalGalileo(LISTED, names=NAMES) as server:
        for path, expected, following in (
            ("/projects/paginated", ids, None),
            ("/v2/projects/paginated?starting_token=0&limit=2", ids[:2], 2),
            ("/public/v2/projects/paginated?starting_token=2&limit=2", ids[2:], None),
            ("/projects/paginated?starting_token=1&limit=2", ids[1:], None),
            ("/projects/paginated?starting_token=99&limit=1000&actions=update", [], None),
        ):
            status, page = await web.ask(server, path)
            assert (200, expected) == (status, [project["id"] for project in page["projects"]])
            assert (following is not None, following) == (page["paginated"], page["next_starting_token"])


async def test_names_alone_make_no_filter_wrong(web: Any) -> None:
    """Without sessions, a strict server has no columns, so it accepts each filter."""
    async with LocalGalileo(names=NAMES, strict=True) as server:
        assert 0 == await web.count(server, Col("scroe") < 3)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([{"name": "type", "operator": "eq", "value": "gen_ai"}], [EMPTY, PROJECT, OTHER]),
        ([{"name": "type", "operator": "eq", "value": "llm_monitor"}], []),
        ([{"name": "name", "operator": "eq", "value": "Günther's", "case_sensitive": True}], [EMPTY]),
        ([{"name": "name", "operator": "contains", "value": "support", "case_sensitive": False}], [PROJECT]),
        ([{"name": "id", "operator": "one_of", "value": [OTHER, EMPTY]}], [EMPTY, OTHER]),
        ([{"name": name, "operator": "eq", "value": value} for name, value in (("id", OTHER), ("name", "x"))], []),
        ([{"name": "runs", "operator": "eq", "value": 3}], ["body", "filters", 0, "value"]),
        ([{"name": "name", "value": "x"}], ["body", "filters", 0]),
        (5, ["body", "filters"]),
    ],
)
async def test_projects_are_filtered(web: Any, filters: Any, expected: list[str]) -> None:
    """By type, name and id, with the operators of text, as the client and Galileo's SDK do; others get a 422."""
    async with LocalGalileo(LISTED, names=NAMES) as server:
        status, page = await web.ask(server, "/projects/paginated?limit=3", json={"filters": filters})
        if status == 200:
            assert expected == [project["id"] for project in page["projects"]]
            assert page["next_starting_token"] is None
        else:
            assert (422, expected) == (status, page["detail"][0]["loc"])


@pytest.mark.parametrize("project_id", ["mine", PROJECT.replace("-4", "-1")], ids=["id", "version"])
def test_wrong_names_are_refused_at_once(project_id: str) -> None:
    """Their ids are checked as those of sessions."""
    with pytest.raises(ValueError, match="a project id in names must be a version 4 UUID, got"):
        LocalGalileo(names={project_id: "x"})


# ---- its life --------------------------------------------------------------------------------------------------------


async def test_it_leaves_nothing_behind(web: Any) -> None:
    """After the block its port refuses connections, and no task is left."""
    before = asyncio.all_tasks()
    async with LocalGalileo() as server:
        await web.count(server)
    assert before == asyncio.all_tasks()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))


async def test_it_closes_quickly_on_a_client_that_stays(server: LocalGalileo) -> None:
    """A connection that sends half a request doesn't keep the server open."""
    async with LocalGalileo() as other:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(other.url.rpartition(":")[2]))
        writer.write(f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        start = time.perf_counter()
    assert time.perf_counter() - start < 30  # by default, aiohttp waits for 60 s
    assert b"" == await reader.read()
    writer.close()
    await writer.wait_closed()


def test_its_thread_leaves_no_request_behind(caplog: pytest.LogCaptureFixture) -> None:
    """A request that is delayed, and whose client has gone, ends with the block."""
    with LocalGalileo(SESSIONS) as server:
        server.slow(3_600)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
            client.sendall(f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            while not server.requests:
                time.sleep(0.01)
    gc.collect()
    assert [] == caplog.messages  # asyncio would log a task that was destroyed


async def test_it_can_start_again(web: Any) -> None:
    """A server starts again with the same port, key and remembered requests."""
    server = LocalGalileo(SESSIONS)
    async with server:
        await web.count(server)
        first = server.url
    async with server:
        await web.count(server)
        assert first == server.url
    assert 2 == len(server.requests)


def test_there_is_no_url_before_the_port() -> None:
    """The error says where it is known; a chosen port is known at once, and the repr shows it."""
    with pytest.raises(RuntimeError, match="async with LocalGalileo"):
        _ = LocalGalileo().url
    server = LocalGalileo(SESSIONS, port=8088)
    assert ("http://127.0.0.1:8088", "<LocalGalileo with 5 sessions at http://127.0.0.1:8088>") == (
        server.url,
        repr(server),
    )
