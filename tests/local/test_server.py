"""The local server as its users meet it: over HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData

from galileo_sessions import NEVER, And, Col, CountQuery, Filter, Or, dump_filter
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
WHERE = Col("input").contains("x") & ~Col("score").gt(3)
COUNT = f"/v2/projects/{PROJECT}/sessions/count"
UNAUTHORIZED = (401, {"detail": "Invalid credentials"})

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


# ---- credentials -----------------------------------------------------------------------------------------------------


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


async def test_key_and_password_are_taken(server: LocalGalileo, web: Any) -> None:
    """The key under both names, since newer deployments call it Splunk-AO-API-Key; the password as HTTP Basic."""
    for headers in (
        {"Galileo-API-Key": server.api_key},
        {"Splunk-AO-API-Key": server.api_key},
        basic(server.username, server.password),
    ):
        assert (200, {"total_count": 4}) == await web.post_count(server, headers=headers)


async def test_the_key_can_be_chosen(web: Any) -> None:
    """The key can be chosen; by default it is random."""
    async with LocalGalileo(api_key="schlüssel") as server:
        assert "schlüssel" == server.api_key
        assert (200, {"total_count": 0}) == await web.post_count(server)
    assert LocalGalileo().api_key != LocalGalileo().api_key


async def test_other_credentials_are_refused(server: LocalGalileo, web: Any) -> None:
    """Whatever the body, the answer is a 401 in FastAPI's shape."""
    wrong = [{}, {"Galileo-API-Key": ""}, {"Galileo-API-Key": "clé"}, basic("developer@example.com", "wrong")]
    wrong += [{"Authorization": text} for text in ("Bearer a.b.c", "Basic !", "Digest x")]
    for headers in wrong:
        assert UNAUTHORIZED == await web.post_count(server, headers=headers)
        assert UNAUTHORIZED == await web.post_count(server, headers=headers, json={"filters": 3})


async def login(server: LocalGalileo, web: Any, **form: str) -> tuple[int, Any]:
    status, answer = await web.ask(server, "/login", headers={}, data=form)
    return status, answer


async def test_a_login_gets_a_token(server: LocalGalileo, web: Any) -> None:
    """For the password or the key; the token counts as credentials, and says when it expires."""
    key = {"headers": {}, "json": {"api_key": server.api_key}}
    began = time.time()
    for status, answer in (
        await login(server, web, username=server.username, password=server.password),
        await web.ask(server, "/login/api_key", **key),
    ):
        claims = answer["access_token"].split(".")[1]
        expiry = json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]
        assert (200, "bearer") == (status, answer["token_type"])
        assert began + 3599 < expiry <= time.time() + 3600
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert (200, {"total_count": 4}) == await web.post_count(server, headers=headers)


async def test_a_token_expires(web: Any) -> None:
    """After `token_lifetime` seconds it is refused."""
    async with LocalGalileo(token_lifetime=-1) as server:
        _, answer = await login(server, web, username=server.username, password=server.password)
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert UNAUTHORIZED == await web.post_count(server, headers=headers)


async def test_a_wrong_or_incomplete_login_is_refused(server: LocalGalileo, web: Any) -> None:
    """As the service does, the 422 holds what was sent: clients must not keep it. An empty field is missing."""
    assert UNAUTHORIZED == await login(server, web, username=server.username, password="wrong")
    assert UNAUTHORIZED == await login(server, web, username="wrong", password=server.password)
    assert UNAUTHORIZED == await web.ask(server, "/login/api_key", headers={}, json={"api_key": "wrong"})
    expected = [{"type": "missing", "msg": "Field required", "input": {"password": "p"}, "loc": ["body", "username"]}]
    assert (422, {"detail": expected}) == await login(server, web, password="p")
    assert (422, {"detail": expected}) == await login(server, web, username="", password="p")


async def test_a_login_without_a_key_is_a_422(server: LocalGalileo, web: Any) -> None:
    """A login without a key is a 422, like all bodies that the document doesn't allow."""
    for request, expected in (
        ({"json": {"api_key": 5}}, ["string_type", "body", "api_key"]),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, ["json_invalid", "body", 1]),
        ({"data": {"api_key": "x"}}, ["model_attributes_type", "body"]),
    ):
        status, answer = await web.ask(server, "/login/api_key", **{"headers": {}, **request})
        assert (422, [expected]) == (status, [[entry["type"], *entry["loc"]] for entry in answer["detail"]])


async def test_a_bad_request_is_a_422(server: LocalGalileo, web: Any) -> None:
    """The entry about the project id precedes those about the body; JSON is read by its content type."""
    headers = {"Galileo-API-Key": server.api_key, "Content-Type": "application/json; charset=utf-8"}
    path = "/v2/projects/mine/sessions/count"
    for request, expected in (
        ({"data": b'{"filters": 3}', "headers": headers}, [["path", "project_id"], ["body", "filters"]]),
        ({"data": b"{}"}, [["path", "project_id"], ["body"]]),
    ):
        status, answer = await web.ask(server, path, **request)
        assert (422, expected) == (status, [entry["loc"] for entry in answer["detail"]])
    assert [] == server.requests


async def test_a_body_that_is_no_request_is_answered_as_fastapi_does(server: LocalGalileo, web: Any) -> None:
    """No body, too many levels, an operator of another type; and a number that Python doesn't read is a 400."""
    leaf = {"type": "number", "column_id": "score", "operator": "contains", "value": 3}
    headers = {"Galileo-API-Key": server.api_key, "Content-Type": "application/json"}
    for body, expected in (
        (b"", ["missing", "body"]),
        (b"[" * 100_000, ["value_error", "body"]),
        (json.dumps({"filters": [leaf]}).encode(), ["enum", "body", "filters", 0, "number", "operator"]),
    ):
        status, answer = await web.post_count(server, data=body, headers=headers)
        assert (422, expected) == (status, [answer["detail"][0]["type"], *answer["detail"][0]["loc"]])
    answer = await web.post_count(server, data=b"1" * 5_000, headers=headers)
    assert (400, {"detail": "There was an error parsing the body"}) == answer


async def test_a_broken_form_is_a_400(server: LocalGalileo, web: Any) -> None:
    """A broken form is a 400, as in FastAPI: its charset, its bytes, or its parts."""
    form, expected = "application/x-www-form-urlencoded", (400, {"detail": "There was an error parsing the body"})
    broken = (f"{form}; charset=bogus", b"a=b"), (form, b"a=\xff"), ("multipart/form-data", b"x")
    for content_type, data in broken:
        assert expected == await web.ask(server, "/login", headers={"Content-Type": content_type}, data=data)


async def test_a_file_in_a_form_is_a_422(server: LocalGalileo, web: Any) -> None:
    """A file where text belongs is a 422 that echoes it."""
    form = FormData({"password": "p"})
    form.add_field("username", b"a", filename="name.txt")
    status, answer = await web.ask(server, "/login", headers={}, data=form)
    (entry,) = answer["detail"]
    assert (422, "string_type", ["body", "username"]) == (status, entry["type"], entry["loc"])
    assert "name.txt" in entry["input"]


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", COUNT, "POST"), ("PUT", "/login", "POST"), ("HEAD", "/current_user", "GET")]
)
async def test_another_method_is_told_which_are_allowed(
    server: LocalGalileo, web: Any, method: str, path: str, allowed: str
) -> None:
    """A 405 names the allowed methods, as in FastAPI, which doesn't add HEAD to GET."""
    async with web.session.request(method, server.url + path) as response:
        assert (405, allowed) == (response.status, response.headers["Allow"])
        assert method == "HEAD" or {"detail": "Method Not Allowed"} == await response.json()


async def test_an_unknown_path_is_fastapis_404(server: LocalGalileo, web: Any) -> None:
    """An unknown path is a 404, and so is a search, which this server doesn't support."""
    for path in ("/v3/projects", "/v2/projects/x/sessions/search", "/v2/projects/x/sessions/"):
        assert (404, {"detail": "Not Found"}) == await web.ask(server, path)


# ---- scripts and records ---------------------------------------------------------------------------------------------


async def test_trouble_can_be_scripted(server: LocalGalileo, web: Any) -> None:
    """The next counts meet what was queued, in its order; then all is well again."""
    server.fail_next(headers={"Retry-After": "1"}, times=2)
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


async def test_a_scripted_failure_spares_the_login(server: LocalGalileo, web: Any) -> None:
    """A scripted failure affects counts, before their credentials are checked, and never logins."""
    server.fail_next(503)
    assert 200 == (await login(server, web, username=server.username, password=server.password))[0]
    assert 503 == (await web.post_count(server, headers={}))[0]


async def test_requests_are_remembered(server: LocalGalileo, web: Any) -> None:
    """Requests are remembered as queries, in order, including those that failed."""
    server.fail_next(500)
    assert 500 == (await web.post_count(server, json={"filter_tree": dump_filter(WHERE)}))[0]
    assert 401 == (await web.ask(server, f"/projects/{OTHER.upper()}/sessions/count", headers={}))[0]
    assert 422 == (await web.post_count(server, json={"filters": 3}))[0]
    await web.count(server, WHERE, log_stream_id=STREAM)
    expected = [CountQuery(PROJECT, WHERE), CountQuery(OTHER), CountQuery(PROJECT, WHERE, log_stream_id=STREAM)]
    assert expected == server.requests


async def test_flat_filters_are_remembered(server: LocalGalileo, web: Any) -> None:
    """Flat filters are remembered as they were sent; with a tree, they become part of it."""
    low, x = Col("score").lt(3), Col("input").contains("x")
    flat = [dump_filter(low)["filter"]]
    await web.count(server, filters=flat)
    await web.count(server, x, filters=flat)
    assert [CountQuery(PROJECT, filters=[low]), CountQuery(PROJECT, low & x)] == server.requests


async def test_what_no_query_holds_is_not_remembered(server: LocalGalileo, web: Any) -> None:
    """An empty or inside a filter is answered, but `CountQuery` refuses it; alone it is `NEVER`."""
    assert 0 == await web.count(server, And([WHERE, NEVER]))
    assert [] == server.requests
    assert 0 == await web.count(server, NEVER)
    assert [CountQuery(PROJECT, NEVER)] == server.requests


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


def test_without_pydantic_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pydantic, only the local server raises an error: the package and its plugin for pytest are imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("galileo_sessions", "pydantic")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    importlib.import_module("galileo_sessions.pytest_plugin")
    with pytest.raises(ModuleNotFoundError, match=r"needs pydantic.*: pip install '.*local") as caught:
        importlib.import_module("galileo_sessions.local")
    assert "pydantic" == caught.value.name


def test_there_is_no_url_before_the_port() -> None:
    """The error says where it is known; a chosen port is known at once."""
    with pytest.raises(RuntimeError, match="async with LocalGalileo"):
        _ = LocalGalileo().url
    assert "http://127.0.0.1:8088" == LocalGalileo(port=8088).url
