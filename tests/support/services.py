"""A fast server for many requests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from support.servers import http


class Service:
    """A fast server; `serve(request, answer)` gets each request, and calls `answer` with the bytes to send."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.connections: set[asyncio.Transport] = set()

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7 for everybody."""
        answer(http())


class Connection(asyncio.Protocol):
    """One connection to a service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Adds the connection."""
        self.transport = transport
        self.service.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Removes the connection."""
        self.service.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        """Splits the bytes into requests."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n") + 4) > 3:
            head = self.buffer[:end]
            end += int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.buffer) < end:
                return
            request, self.buffer = self.buffer[:end], self.buffer[end:]
            self.service.requests += 1
            self.service.serve(request, self.answer)

    def answer(self, data: bytes) -> None:
        """Sends the bytes, unless the connection is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)


@asynccontextmanager
async def serving(service: Service, port: int = 0) -> AsyncIterator[Service]:
    """Listens on loopback, at any free port by default, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=2048)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for transport in service.connections.copy():
            transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
