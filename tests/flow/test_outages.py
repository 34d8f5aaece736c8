"""Services on real sockets that go away and come back, refuse, or limit: nothing is lost, and few requests are sent."""

import asyncio
import socket

import pytest
from support.clients import ids
from support.clock import virtual_time
from support.inside import idle
from support.sockets import http, raw_server

from galileo_sessions import ConnectError, GalileoSessions


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


async def brief(_: int, writer: asyncio.StreamWriter) -> None:
    """Takes 10 ms for each request."""
    await asyncio.sleep(0.01)
    writer.write(http())


async def test_a_server_that_dies_and_starts_again():
    """A fan-out during which a server resets all connections, and another begins a second later, loses nothing."""
    port, attempts = free_port(), []
    url = f"http://127.0.0.1:{port}"
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        async with galileo.count_many(ids(1_000)) as stream:
            async with raw_server(brief, port=port):
                counted = [await anext(stream) for _ in range(300)]
            await asyncio.sleep(1)
            async with raw_server(brief, port=port):
                counted += [result async for result in stream]
        assert idle(galileo)
    assert [result.error for result in counted if not result.ok] == []
    assert sorted(result.index for result in counted) == list(range(1_000))
    assert any(attempt.breaker_open for attempt in attempts)
    assert len(attempts) <= 1_000 + 256 + 50


@virtual_time
async def test_nobody_listens():
    """Of 2,000 counts at a port where nobody listens all fail after few attempts, together."""
    attempts = []
    url = f"http://127.0.0.1:{free_port()}"
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        report = await galileo.count_all(ids(2_000))
        assert idle(galileo)
    assert len(attempts) < 50
    assert {type(error) for error in report.errors} == {ConnectError}
    assert len(report.errors) == 2_000
    assert all(url in str(error) for error in report.errors)


@pytest.mark.parametrize("how_many", [20, 300])
@virtual_time
async def test_a_fan_out_that_is_left_while_the_breaker_is_open(how_many):
    """A stream that is left while its targets wait for a dead service ends at once, and leaves nothing."""
    async with raw_server(http(503, "")) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(how_many)) as stream:
            while not stream.progress.breaker_open:
                await asyncio.sleep(0.01)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 0.1  # they would wait for 10 s
        assert idle(galileo)
