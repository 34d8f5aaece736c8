"""Faults of servers and networks."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from support.servers import http


async def silence(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(100_000)


async def half_a_body(number: int, writer: asyncio.StreamWriter) -> None:
    """Sends a part of the answer, and nothing more."""
    writer.write(http()[:-5])
    await asyncio.sleep(100_000)


async def hang_up(number: int, writer: asyncio.StreamWriter) -> None:
    """Closes the connection when a request arrives."""
    writer.close()


async def reset(number: int, writer: asyncio.StreamWriter) -> None:
    """Resets the connection when a request arrives."""
    writer.transport.abort()


def cut(data: bytes):
    """Sends these bytes, and closes the connection."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return behave


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def listening(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    """A server that calls `talk` for each connection; gives its URL."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port that accepts no more connections."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            blocker = stack.enter_context(socket.socket())
            blocker.setblocking(False)
            blocker.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"
