"""Services on real sockets that go away and come back, refuse, or limit: nothing is lost, and few requests are sent."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from support.inside import idle
from support.projects import ids
from support.servers import http
from support.services import Service, serving

from galileo_sessions import ConnectError, GalileoSessions

SERVER = """
import asyncio, sys

class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        body = b'{"total_count":7}'
        answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body)
        asyncio.get_running_loop().call_later(0.01, self.transport.write, answer)

async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", int(sys.argv[1]), backlog=512)
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@asynccontextmanager
async def server_process(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server as a process of its own, which listens when the block begins, and is killed at its end at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


async def test_a_server_process_is_killed_and_started_again():
    """A fan-out during which the server's process is killed, and another started a second later, loses nothing."""
    asyncio.get_running_loop().set_debug(False)
    port, attempts = free_port(), []
    url = f"http://127.0.0.1:{port}"
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        async with galileo.count_many(ids(3_000)) as stream:
            async with server_process(port) as process:
                counted = [await anext(stream) for _ in range(1_000)]
                process.send_signal(signal.SIGKILL)
                await process.wait()
            await asyncio.sleep(1)
            async with server_process(port):
                counted += [result async for result in stream]
        assert idle(galileo)
    assert [result.error for result in counted if not result.ok] == []
    assert sorted(result.index for result in counted) == list(range(3_000))
    assert any(attempt.breaker_open for attempt in attempts)
    assert len(attempts) <= 3_000 + 256 + 50


async def test_nobody_listens():
    """Of 2,000 counts at a port where nobody listens all fail after few attempts, together."""
    asyncio.get_running_loop().set_debug(False)
    attempts = []
    url = f"http://127.0.0.1:{free_port()}"
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        report = await galileo.count_all(ids(2_000))
        assert idle(galileo)
    assert len(attempts) < 50
    assert {type(error) for error in report.errors} == {ConnectError}
    assert len(report.errors) == 2_000
    assert all(url in str(error) for error in report.errors)


class Limited(Service):
    """Takes so many requests at once, 20 ms each; the rest, or all of them, get a 503 without a hint."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.at_once = at_once
        self.busy = 0

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Takes the request, or doesn't."""
        if self.busy >= self.at_once:
            answer(http(503, ""))
            return
        self.busy += 1
        asyncio.get_running_loop().call_later(0.02, self.done, answer)

    def done(self, answer: Callable[[bytes], None]) -> None:
        """Answers, and has room again."""
        self.busy -= 1
        answer(http())


async def test_a_capacity_that_is_not_told():
    """A service that takes 20 at once and answers 503 to the rest loses no count of 1,000."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Limited(20)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(1_000))
        assert idle(galileo)
    assert report.errors == ()
    assert service.requests <= 1_150


@pytest.mark.parametrize("how_many", [20, 300])
async def test_a_fan_out_that_is_left_while_the_breaker_is_open(how_many):
    """A stream that is left while its targets wait for a dead service ends at once, and leaves nothing."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Limited(0)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        async with galileo.count_many(ids(how_many)) as stream:
            while not stream.progress.breaker_open:
                await asyncio.sleep(0.01)
            began = monotonic()
        assert monotonic() - began < 9  # they would wait for 10 s
        assert idle(galileo)
