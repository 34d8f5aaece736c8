"""Small servers on 127.0.0.1 that control each byte, and what goes wrong with them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from uuid import UUID

from attrs import define, field

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"


def http(status: int = 200, body: bytes | str = b'{"total_count":7}', **headers: str) -> bytes:
    """An HTTP answer; `Retry_After="1"` makes the header Retry-After."""
    body = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def number_of(request: bytes) -> int:
    """The number of the project that a request asks for."""
    return UUID(request.split(b"/projects/")[1][:36].decode()).int


async def until(condition: Callable[[], object]) -> None:
    """Waits until the condition is true, for at most thirty seconds of real time."""
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end, "it did not come about within thirty seconds"
        await asyncio.sleep(0.01)


# ---- servers ---------------------------------------------------------------------------------------------------------


@define
class RawServer:
    """What a raw server saw."""

    url: str
    requests: list[bytes] = field(factory=list)
    connections: int = 0
    open: int = 0


Behaviour = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(behave: Behaviour | bytes, *, ssl=None, port: int = 0) -> AsyncIterator[RawServer]:
    """A server that reads requests and calls `behave(number, writer)`; bytes are the answer to every request."""
    behave = answers(behave) if isinstance(behave, bytes) else behave

    async def one_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        state.open += 1
        tasks.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
                state.requests.append(head + await reader.readexactly(length))
                await behave(len(state.requests), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            state.open -= 1
            writer.transport.abort()
            tasks.discard(asyncio.current_task())

    tasks: set[asyncio.Task] = set()
    server = await asyncio.start_server(one_connection, "127.0.0.1", port, ssl=ssl, backlog=2048)
    scheme = "http" if ssl is None else "https"
    state = RawServer(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield state
    finally:
        asyncio.get_running_loop().remove_reader(server.sockets[0])  # accepts no more
        for _ in range(5):  # asyncio would lose a connection that it is still accepting; then its task has to begin
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()


class Service:
    """A server with a state: `serve(request, answer)` gets each request, and calls `answer` with the bytes to send."""

    url, requests = "", 0

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7 for everybody."""
        answer(http())


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    """Listens for as long as the block lasts. Requests are counted, and aren't kept."""

    async def behave(_: int, writer: asyncio.StreamWriter) -> None:
        service.requests += 1
        service.serve(server.requests.pop(), lambda data: None if writer.is_closing() else writer.write(data))

    async with raw_server(behave) as server:
        service.url = server.url
        yield service


Doing = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def numbered(special: dict[int, Doing] | None = None) -> AsyncIterator[RawServer]:
    """A server that counts n sessions in project n, with other behaviour for some projects."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        number = number_of(server.requests[nth - 1])
        doing = (special or {}).get(number, http(200, f'{{"total_count":{number}}}'))
        await (answers(doing)(nth, writer) if isinstance(doing, bytes) else doing(writer))

    async with raw_server(behave) as server:
        yield server


@asynccontextmanager
async def listening(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    """A server that calls `talk` for each connection; gives its URL."""
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def refused_port() -> Iterator[str]:
    """A port that refuses connections, and that no other test gets meanwhile; gives its URL."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port that accepts no more connections."""
    with contextlib.ExitStack() as stack:
        full, *blockers = [stack.enter_context(socket.socket()) for _ in range(4)]
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


# ---- behaviours ------------------------------------------------------------------------------------------------------


def answers(*sequence: bytes) -> Behaviour:
    """Gives these answers in order, the last one repeatedly."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(sequence[min(number, len(sequence)) - 1])
        await writer.drain()

    return behave


class AtOnce:
    """As a behaviour, counts 7 a little later, and notes how many requests were under way at the most."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def __call__(self, _: int, writer: asyncio.StreamWriter) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.005)
        self.running -= 1
        writer.write(http())


def slowly(seconds: float, count: int = 0) -> Doing:
    """Answers after a while."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(http(200, f'{{"total_count":{count}}}'))

    return behave


async def silence(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(100_000)


async def reset(number: int, writer: asyncio.StreamWriter) -> None:
    """Resets the connection when a request arrives."""
    writer.transport.abort()


def cut(data: bytes) -> Behaviour:
    """Sends these bytes, and closes the connection."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        await answers(data)(number, writer)
        writer.close()

    return behave


hang_up = cut(b"")
"""Closes the connection when a request arrives."""
