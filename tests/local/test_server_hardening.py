"""What must not break the local server: deep bodies, cut connections, many logins, the same question asked often."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from galileo_sessions import ALWAYS, Col, CountQuery, GalileoSessions
from galileo_sessions.local import LocalGalileo, sample_sessions
from galileo_sessions.local.schema import SessionsRequest
from galileo_sessions.local.store import SessionStore

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
COUNT = f"/v2/projects/{PROJECT}/sessions/count"
WHERE = Col("input").contains("x") & ~Col("score").gt(3)


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo([{"project_id": PROJECT, "created_at": "2026-05-01T12:00:00Z"}]) as running:
        yield running


async def ask(server: LocalGalileo, method: str, path: str, **request: Any) -> tuple[int, Any, str | None]:
    """Status, JSON and the Allow header."""
    headers = {"Galileo-API-Key": server.api_key}
    async with aiohttp.ClientSession() as session:
        async with session.request(method, server.url + path, headers=headers, **request) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None, response.headers.get("Allow")


# ---- depth -----------------------------------------------------------------------------------------------------------

SMALL_STACK = """
import asyncio, json, threading, urllib.error, urllib.request
from galileo_sessions.local import LocalGalileo

async def main():
    async with LocalGalileo() as server:
        for path, body in BODIES.items():
            print(await asyncio.to_thread(post, f"{server.url}/{path}", body, server.api_key))

def post(url, body, key):
    headers = {"Galileo-API-Key": key, "Content-Type": "application/json"}
    try:
        return json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))
    except urllib.error.HTTPError as error:
        return error.code, len(error.read()) > 0

LEAF = b'{"filter": {"type": "text", "column_id": "c", "operator": "eq", "value": "x"}}'
BODIES = {
    "projects/74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db/sessions/count":
        b'{"filter_tree": ' + b'{"and": [' * 99 + LEAF + b"]}" * 99 + b"}",
    "login/api_key": b'{"api_key": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
threading.stack_size(128 * 1024)
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
thread.join()
assert threading.stack_size() == 128 * 1024
"""


def test_a_deep_body_fits_the_stack_of_any_thread() -> None:
    """The server shares its caller's thread here, whose stack of 128 KiB would end the process."""
    done = subprocess.run([sys.executable, "-c", SMALL_STACK], capture_output=True, text=True, timeout=60)
    assert (0, "{'total_count': 0}\n(422, True)\n", "") == (done.returncode, done.stdout, done.stderr)


# ---- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "request_",
    [
        f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{",
        f"POST {COUNT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 99\r\n\r\nusername=",
    ],
    ids=["body", "chunk", "form"],
)
def test_a_cut_upload_is_no_error(request_: str, reset: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The client has gone, so nobody is told, and the log of the test's author stays empty."""
    with caplog.at_level(logging.WARNING), LocalGalileo() as server:
        connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=5)
        connection.sendall(request_.encode())
        time.sleep(0.05)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        time.sleep(0.05)
    assert [] == caplog.messages


async def test_a_body_that_cannot_be_decompressed_is_a_400(server: LocalGalileo) -> None:
    """As any body that can't be read."""
    encoded = {"Galileo-API-Key": server.api_key, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(server.url + COUNT, headers=encoded, data=b"not gzip", compress=None) as response:
            expected = {"detail": "There was an error parsing the body"}
            assert (400, expected) == (response.status, await response.json())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", COUNT, "POST"),
        ("PUT", "/login", "POST"),
        ("POST", "/healthcheck", "GET"),
        ("HEAD", "/current_user", "GET"),
        ("DELETE", f"/projects/{PROJECT}", "GET"),
    ],
)
async def test_another_method_is_told_which_are_allowed(
    server: LocalGalileo, method: str, path: str, allowed: str
) -> None:
    """As FastAPI tells, which doesn't add HEAD to GET."""
    status, answer, allow = await ask(server, method, path)
    body = None if method == "HEAD" else {"detail": "Method Not Allowed"}
    assert (405, body, allowed) == (status, answer, allow)


async def test_an_unknown_path_is_fastapis_404(server: LocalGalileo) -> None:
    """Also where something would be searched, which this server doesn't do."""
    for method, path in (("GET", "/"), ("POST", f"/projects/{PROJECT}/sessions/search"), ("GET", "/openapi.json")):
        assert (404, {"detail": "Not Found"}, None) == await ask(server, method, path)


@pytest.mark.parametrize(("time_", "expected"), [("2026-05-01T11:59:59", 1), ("2026-05-01T12:00:00", 0)])
async def test_a_time_without_an_offset_is_utc(server: LocalGalileo, time_: str, expected: int) -> None:
    """As FastAPI takes it; Galileo's own SDK sends such times."""
    leaf = {"type": "date", "column_id": "created_at", "operator": "gt", "value": time_}
    assert (200, {"total_count": expected}, None) == await ask(server, "POST", COUNT, json={"filters": [leaf]})


# ---- what is kept ----------------------------------------------------------------------------------------------------


async def test_expired_tokens_are_forgotten() -> None:
    """A server that runs for days keeps only the tokens that it would accept."""
    async with LocalGalileo(token_lifetime=0.05) as server:
        for _ in range(3):
            await ask(server, "POST", "/login/api_key", json={"api_key": server.api_key})
        await asyncio.sleep(0.1)
        await ask(server, "POST", "/login/api_key", json={"api_key": server.api_key})
        assert 1 == len(server._tokens)  # no behaviour shows it


async def test_the_same_question_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions never change, so an answer is kept; another scope is another question."""
    asked: list[object] = []
    monkeypatch.setattr("galileo_sessions.local.store.matches", lambda where, _: asked.append(where) or True)
    sessions = [{"project_id": PROJECT, "log_stream_id": PROJECT}, {"project_id": PROJECT}]
    async with LocalGalileo(sessions) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        counts = [await galileo.count(PROJECT, WHERE) for _ in range(3)]
        assert ([2, 2, 2], [WHERE] * 2) == (counts, asked)
        assert 1 == await galileo.count(PROJECT, WHERE, log_stream_id=PROJECT)
        assert [CountQuery(PROJECT, WHERE)] * 3 == server.requests[:3]


def test_a_kept_count_is_well_under_a_millisecond() -> None:
    """The demo's projects have about 250 sessions each."""
    store = SessionStore(sample_sessions())
    question = SessionsRequest(PROJECT, WHERE, WHERE, (), {})
    assert store.count(question) < store.count(SessionsRequest(PROJECT, ALWAYS, None, (), {})) == 312
    began = time.process_time()
    for _ in range(1_000):
        store.count(question)
    assert time.process_time() - began < 0.2
