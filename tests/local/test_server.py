"""The local server as its users meet it: over HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from galileo_sessions import ALWAYS, NEVER, And, Col, CountQuery, Filter, Or, dump_filter, matches
from galileo_sessions.local import LocalGalileo, sample_sessions

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


class Web:
    """A client that knows nothing of this package."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def post(self, server: LocalGalileo, path: str = COUNT, **request: Any) -> tuple[int, Any]:
        """Status and decoded body; with the server's key, unless there are headers."""
        request.setdefault("headers", {"Galileo-API-Key": server.api_key})
        if "data" not in request:
            request.setdefault("json", {})
        async with self.session.post(server.url + path, **request) as response:
            return response.status, await response.json()

    async def count(self, server: LocalGalileo, where: Filter = ALWAYS, project: str = PROJECT, **body: Any) -> int:
        tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
        status, answer = await self.post(server, f"/v2/projects/{project}/sessions/count", json={**tree, **body})
        assert (200, ["total_count"]) == (status, list(answer))
        total: int = answer["total_count"]
        return total


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Web(session)


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


# ---- counting --------------------------------------------------------------------------------------------------------


async def test_it_counts_what_matches(server: LocalGalileo, web: Web) -> None:
    """The count is that of `matches`: a missing score satisfies neither a comparison nor its negation."""
    assert 2 == await web.count(server, WHERE)
    assert 4 == await web.count(server)


async def test_it_counts_within_the_scope(server: LocalGalileo, web: Web) -> None:
    """Project, log stream, experiment and metrics testing each narrow the sessions down."""
    assert 1 == await web.count(server, project=OTHER)
    for name in ("log_stream_id", "experiment_id", "metrics_testing_id"):
        assert 1 == await web.count(server, Col("input").contains("x"), **{name: STREAM.upper()})
    assert 0 == await web.count(server, log_stream_id=STREAM, experiment_id=STREAM)
    assert 0 == await web.count(server, log_stream_id=OTHER)


async def test_a_project_without_sessions_counts_0(server: LocalGalileo, web: Web) -> None:
    """An unknown project is no error here."""
    assert 0 == await web.count(server, project=STREAM)


@pytest.mark.parametrize("prefix", ["", "/v2", "/public/v2"])
async def test_it_has_the_three_prefixes(server: LocalGalileo, web: Web, prefix: str) -> None:
    """The path of the documents, and the two that Galileo's consoles and SDKs use."""
    path = f"{prefix}/projects/{PROJECT.upper()}/sessions/count"
    assert (200, {"total_count": 4}) == await web.post(server, path)


async def test_flat_filters_are_anded(server: LocalGalileo, web: Web) -> None:
    """With one another and with the tree: this server's choice."""
    low, x = dump_filter(Col("score").lt(3))["filter"], dump_filter(Col("input").contains("fix"))["filter"]
    assert 1 == await web.count(server, filters=[low, x])
    assert 1 == await web.count(server, Col("score").lt(3), filters=[x])


async def test_dates_tags_and_booleans_count(web: Web) -> None:
    """A record may hold an aware datetime or its text, a list of text, a boolean."""
    record = {"project_id": PROJECT, "tags": ["a", "b"], "done": True}
    times: list[object] = ["2026-06-01T00:00:00Z", datetime(2026, 6, 2, tzinfo=UTC)]
    async with LocalGalileo([{**record, "created_at": time} for time in times]) as server:
        assert 2 == await web.count(server, Col.collection("tags").contains("b") & Col("done").eq(True))
        assert 1 == await web.count(server, Col.date("created_at").gt("2026-06-01T12:00:00Z"))


async def test_sessions_are_copied(web: Web) -> None:
    """What the caller does with the records later changes no count."""
    record = {"project_id": PROJECT}
    async with LocalGalileo([record]) as server:
        record["project_id"] = OTHER
        assert 1 == await web.count(server)


async def test_the_deepest_filter_is_counted(server: LocalGalileo, web: Web) -> None:
    """100 levels, and 10,000 leaves, which are more than a megabyte."""
    deep: Filter = Col("input").contains("x")
    for _ in range(99):
        deep = And([deep])
    assert 4 == await web.count(server, deep)
    wide = io.BytesIO(json.dumps({"filter_tree": dump_filter(Or([Col("input").contains("x")] * 10_000))}).encode())
    headers = {"Galileo-API-Key": server.api_key, "Content-Type": "application/json"}
    assert (200, {"total_count": 4}) == await web.post(server, data=wide, headers=headers)


async def test_many_count_at_once(web: Web) -> None:
    """A fan-out of one filter over a dozen projects."""
    sessions = sample_sessions()
    projects = list(Counter(str(session["project_id"]) for session in sessions))
    async with LocalGalileo(sessions) as server:
        counts = await asyncio.gather(*(web.count(server, WHERE, project) for project in projects * 5))
    assert sum(matches(WHERE, session) for session in sessions) * 5 == sum(counts)


# ---- credentials -----------------------------------------------------------------------------------------------------


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


async def test_the_key_is_taken_under_both_names(server: LocalGalileo, web: Web) -> None:
    """Newer deployments call Galileo-API-Key Splunk-AO-API-Key."""
    for header in ("Galileo-API-Key", "Splunk-AO-API-Key"):
        assert (200, {"total_count": 4}) == await web.post(server, headers={header: server.api_key})


async def test_the_key_can_be_chosen(web: Web) -> None:
    """Without a choice it is random."""
    async with LocalGalileo(api_key="schlüssel") as server:
        assert "schlüssel" == server.api_key
        assert (200, {"total_count": 0}) == await web.post(server)
    assert LocalGalileo().api_key != LocalGalileo().api_key


async def test_username_and_password_are_taken(server: LocalGalileo, web: Web) -> None:
    """As HTTP Basic."""
    headers = basic(server.username, server.password)
    assert (200, {"total_count": 4}) == await web.post(server, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Galileo-API-Key": ""},
        {"Galileo-API-Key": "clé"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic !"},
        {"Authorization": "Digest x"},
        basic("developer@example.com", "wrong"),
    ],
    ids=["none", "empty", "key", "token", "no Basic", "scheme", "password"],
)
async def test_other_credentials_are_refused(server: LocalGalileo, web: Web, headers: dict[str, str]) -> None:
    """Whatever the body, the answer is a 401 in FastAPI's shape."""
    expected = (401, {"detail": "Invalid credentials"})
    assert expected == await web.post(server, headers=headers)
    assert expected == await web.post(server, headers=headers, json={"filters": 3})


async def login(server: LocalGalileo, web: Web, **form: str) -> tuple[int, Any]:
    return await web.post(server, "/login", headers={}, data=form)


async def test_a_login_gives_a_token(server: LocalGalileo, web: Web) -> None:
    """The token counts as credentials, and says when it expires."""
    status, answer = await login(server, web, username=server.username, password=server.password)
    claims = answer["access_token"].split(".")[1]
    expiry = json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]
    assert (200, "bearer") == (status, answer["token_type"])
    assert 3590 < expiry - time.time() <= 3600
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert (200, {"total_count": 4}) == await web.post(server, headers=headers)


async def test_a_token_expires(web: Web) -> None:
    """After `token_lifetime` seconds it is refused."""
    async with LocalGalileo(token_lifetime=-1) as server:
        _, answer = await login(server, web, username=server.username, password=server.password)
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert (401, {"detail": "Invalid credentials"}) == await web.post(server, headers=headers)


async def test_a_wrong_login_is_refused(server: LocalGalileo, web: Web) -> None:
    """Be it the name or the password."""
    expected = (401, {"detail": "Invalid credentials"})
    assert expected == await login(server, web, username=server.username, password="wrong")
    assert expected == await login(server, web, username="wrong", password=server.password)


async def test_an_incomplete_login_is_echoed(server: LocalGalileo, web: Web) -> None:
    """As the service does, the 422 holds what was sent: clients must not keep it."""
    expected = [{"type": "missing", "msg": "Field required", "input": {"password": "p"}, "loc": ["body", "username"]}]
    assert (422, {"detail": expected}) == await login(server, web, password="p")


# ---- refusals --------------------------------------------------------------------------------------------------------


async def test_a_bad_body_is_a_422(server: LocalGalileo, web: Web) -> None:
    """With one entry for each complaint."""
    status, answer = await web.post(server, json={"filters": 3})
    assert 422 == status
    assert ["list_type"] == [entry["type"] for entry in answer["detail"]]


async def test_a_body_that_is_no_json_is_a_422(server: LocalGalileo, web: Web) -> None:
    """Broken JSON is told where it breaks; JSON without its content type isn't read."""
    headers = {"Galileo-API-Key": server.api_key, "Content-Type": "application/json; charset=utf-8"}
    broken = await web.post(server, data=b"{", headers=headers)
    unnamed = await web.post(server, data=b"{}")
    assert (422, "json_invalid") == (broken[0], broken[1]["detail"][0]["type"])
    assert (422, "model_attributes_type") == (unnamed[0], unnamed[1]["detail"][0]["type"])


async def test_a_bad_project_id_is_a_422(server: LocalGalileo, web: Web) -> None:
    """Its complaint comes before those about the body."""
    status, answer = await web.post(server, "/v2/projects/mine/sessions/count", json={"filters": 3})
    assert 422 == status
    assert [["path", "project_id"], ["body", "filters"]] == [entry["loc"] for entry in answer["detail"]]
    assert 422 == (await web.post(server, "/v2/projects/mine/sessions/count"))[0]
    assert [] == server.requests


async def test_other_paths_are_refused_as_fastapi_does(server: LocalGalileo, web: Web) -> None:
    """404 and 405 have a `detail` too."""
    assert (404, {"detail": "Not Found"}) == await web.post(server, "/v3/projects")
    async with web.session.get(server.url + COUNT) as response:
        assert (405, {"detail": "Method Not Allowed"}) == (response.status, await response.json())


# ---- scripts and records ---------------------------------------------------------------------------------------------


async def test_trouble_can_be_scripted(server: LocalGalileo, web: Web) -> None:
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


async def test_trouble_spares_the_login(server: LocalGalileo, web: Web) -> None:
    """Only counts meet it, and they do before their credentials are looked at."""
    server.fail_next(503)
    assert 200 == (await login(server, web, username=server.username, password=server.password))[0]
    assert 503 == (await web.post(server, headers={}))[0]


async def test_requests_are_remembered(server: LocalGalileo, web: Web) -> None:
    """As queries, in their order, also those that failed."""
    server.fail_next(500)
    with pytest.raises(AssertionError):
        await web.count(server, WHERE)
    assert 401 == (await web.post(server, f"/projects/{OTHER.upper()}/sessions/count", headers={}))[0]
    assert 422 == (await web.post(server, json={"filters": 3}))[0]
    await web.count(server, WHERE, log_stream_id=STREAM)
    expected = [CountQuery(PROJECT, WHERE), CountQuery(OTHER), CountQuery(PROJECT, WHERE, log_stream_id=STREAM)]
    assert expected == server.requests


async def test_flat_filters_are_remembered(server: LocalGalileo, web: Web) -> None:
    """As they were sent; beside a tree, as part of it."""
    low, x = Col("score").lt(3), Col("input").contains("x")
    flat = [dump_filter(low)["filter"]]
    await web.count(server, filters=flat)
    await web.count(server, x, filters=flat)
    assert [CountQuery(PROJECT, filters=[low]), CountQuery(PROJECT, low & x)] == server.requests


async def test_what_no_query_holds_is_not_remembered(server: LocalGalileo, web: Web) -> None:
    """An empty or inside a filter is answered, but `CountQuery` refuses it; alone it is `NEVER`."""
    assert 0 == await web.count(server, And([WHERE, NEVER]))
    assert [] == server.requests
    assert 0 == await web.count(server, NEVER)
    assert [CountQuery(PROJECT, NEVER)] == server.requests


# ---- its life --------------------------------------------------------------------------------------------------------


async def test_it_leaves_nothing_behind(web: Web) -> None:
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
    assert time.perf_counter() - start < 5
    assert b"" == await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_it_can_start_again(web: Web) -> None:
    """On the same port, with the same key, and what it remembers."""
    server = LocalGalileo(SESSIONS)
    async with server:
        await web.count(server)
        first = server.url
    async with server:
        await web.count(server)
        assert first == server.url
    assert 2 == len(server.requests)


async def test_it_starts_once_at_a_time(server: LocalGalileo, web: Web) -> None:
    """Entering a running server is refused, and doesn't disturb it."""
    with pytest.raises(RuntimeError, match="make a second LocalGalileo"):
        await server.__aenter__()
    assert 4 == await web.count(server)


async def test_a_port_in_use_is_an_oserror() -> None:
    """The port may be chosen; if it is taken, nothing is left half open."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = LocalGalileo(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.__aenter__()
    await server.__aexit__()
    async with server:
        assert server.url.startswith("http://127.0.0.1:")


SMALL_STACK = """
import asyncio, threading
from galileo_sessions import And, Col, CountQuery, GalileoSessions
from galileo_sessions.local import LocalGalileo

async def main():
    where = Col("input").contains("x")
    for _ in range(99):
        where = And([where])
    async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
        print(await galileo.count("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", where))

threading.stack_size(256 * 1024)
with LocalGalileo() as server:
    assert threading.stack_size() == 256 * 1024
    asyncio.run(main())
"""


def test_the_deepest_filter_fits_the_stack_of_its_thread() -> None:
    """pydantic recurses, and would end the process in a thread with a small stack."""
    done = subprocess.run([sys.executable, "-c", SMALL_STACK], capture_output=True, text=True, timeout=60)
    assert (0, "0\n", "") == (done.returncode, done.stdout, done.stderr)


def test_without_pydantic_it_says_what_to_install() -> None:
    """The rest of the package doesn't need it."""
    program = "import sys; sys.modules['pydantic'] = None; import galileo_sessions, galileo_sessions.pytest_plugin; "
    program += "import galileo_sessions.local"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    expected = "The local server needs pydantic, which isn't installed: pip install 'galileo-sessions[local]'"
    assert (1, f"ModuleNotFoundError: {expected}") == (done.returncode, done.stderr.splitlines()[-1])


def test_without_pydantic_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process."""
    monkeypatch.delitem(sys.modules, "galileo_sessions.local.schema")
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ModuleNotFoundError, match="local server needs pydantic") as caught:
        importlib.import_module("galileo_sessions.local.schema")
    assert "pydantic" == caught.value.name


def test_there_is_no_url_before_the_port() -> None:
    """The error says where it is known; a chosen port is known at once."""
    with pytest.raises(RuntimeError, match="async with LocalGalileo"):
        _ = LocalGalileo().url
    assert "http://127.0.0.1:8088" == LocalGalileo(port=8088).url
