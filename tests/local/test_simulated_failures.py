"""Failures that the local server simulates, met over HTTP and by a client; long ones in virtual time."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from support.clock import virtual_time

from galileo_sessions import DisconnectedError, GalileoSessions, Retry
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
SESSIONS = [{"project_id": PROJECT, "score": 1}]
DOWN = {"detail": "Simulated by fail"}


def client(server: LocalGalileo, **settings: Any) -> GalileoSessions:
    return GalileoSessions(server.api_key, base_url=server.url, **settings)


def now() -> float:
    return asyncio.get_running_loop().time()


# ---- through a client ------------------------------------------------------------------------------------------------


@virtual_time
async def test_disconnects_are_retried() -> None:
    """A client gets through three lost connections, and fails after one if it has one attempt."""
    async with LocalGalileo(SESSIONS) as server:
        server.disconnect()
        async with client(server) as galileo:
            assert 1 == await galileo.count(PROJECT)
        assert 4 == len(server.requests)
        server.disconnect()
        async with client(server, retry=Retry(attempts=1)) as galileo:
            with pytest.raises(DisconnectedError):
                await galileo.count(PROJECT)
        assert 5 == len(server.requests)


@virtual_time
async def test_recover_ends_everything() -> None:
    """After `recover`, a count takes one request and no time, whatever was simulated; an outage can end early."""
    async with LocalGalileo(SESSIONS) as server:
        server.slow(3_600)
        server.fail(seconds=float("inf"))
        server.disconnect(times=9)
        server.fail_next(500, times=9)
        server.recover()
        async with client(server) as galileo:
            start = now()
            assert 1 == await galileo.count(PROJECT)
            assert now() - start < 0.5
            assert 1 == len(server.requests)
            server.fail(503, seconds=3_600)
            asyncio.get_running_loop().call_later(1, server.recover)
            assert 1 == await galileo.count(PROJECT)


# ---- from threads ----------------------------------------------------------------------------------------------------


def test_a_server_in_a_thread_fails_for_some_time() -> None:
    """With `with`, the calls come from another thread than the server's."""
    with LocalGalileo(SESSIONS) as server:

        async def count() -> int:
            async with client(server) as galileo:
                return await galileo.count(PROJECT)

        start = time.monotonic()
        server.fail(503, seconds=0.2)
        assert 1 == asyncio.run(count())
        assert time.monotonic() - start >= 0.2
        server.slow(3_600)
        server.disconnect(times=9)
        server.recover()
        assert 1 == asyncio.run(count())


async def test_it_can_fail_from_its_start(web: Any) -> None:
    """An outage can begin before the server does."""
    server = LocalGalileo(SESSIONS)
    server.fail(HTTPStatus.BAD_GATEWAY, seconds=60)
    async with server:
        assert (502, DOWN) == await web.post_count(server)


# ---- over HTTP -------------------------------------------------------------------------------------------------------


async def test_failures_have_an_order(web: Any) -> None:
    """What is queued comes first, in the order of the calls, then the outage, then the count; each is delayed."""
    async with LocalGalileo(SESSIONS) as server:
        server.fail(502, seconds=60, headers={"Retry-After": "7"})
        server.fail_next(500)
        server.disconnect(times=1)
        server.fail_next(429)
        server.slow(0.05)
        seen: list[object] = []
        start = time.monotonic()
        for _ in range(4):
            try:
                seen.append((await web.post_count(server))[0])
            except aiohttp.ServerDisconnectedError:
                seen.append("closed")
        assert time.monotonic() - start >= 0.2
        assert [500, "closed", 429, 502] == seen
        headers = {"Galileo-API-Key": server.api_key}
        async with web.session.post(f"{server.url}/projects/{PROJECT}/sessions/count", headers=headers, json={}) as r:
            assert (502, "7", DOWN) == (r.status, r.headers["Retry-After"], await r.json())
        server.fail(seconds=0)  # replaces the other
        assert (200, {"total_count": 1}) == await web.post_count(server)


async def test_only_counts_and_columns_fail(web: Any) -> None:
    """The list of projects is answered as always."""
    async with LocalGalileo(SESSIONS) as server:
        server.fail(seconds=60)
        server.disconnect(times=9)
        server.slow(3_600)
        assert 200 == (await web.ask(server, "/projects/paginated"))[0]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda server: server.fail(100), "status must be from 200 to 599, got 100"),
        (lambda server: server.fail_next(600), "status must be from 200 to 599, got 600"),
        (lambda server: server.fail_next(times=0), "times must be 1 or more, got 0"),
        (lambda server: server.disconnect(-1), "times must be 1 or more, got -1"),
        (lambda server: server.fail(seconds=float("nan")), "seconds must be 0 or more, got nan"),
        (lambda server: server.slow(-2), "delay must be 0 or more, got -2"),
    ],
    ids=["1xx", "script", "script times", "times", "nan", "delay"],
)
def test_wrong_numbers_are_refused(call: Any, problem: str) -> None:
    """The error says what to give."""
    with pytest.raises(ValueError, match="must be") as caught:
        call(LocalGalileo())
    assert problem == str(caught.value)
