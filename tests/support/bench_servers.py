"""Servers for benchmarks: each runs in a process of its own, answers without parsing much, and counts its requests."""

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"total_count":7}'


class Server(asyncio.Protocol):
    """One connection to a server that answers at once, and counts the requests of all connections."""

    requests = 0

    def __init__(self) -> None:
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.data[:end].lower()
        length = head.find(b"content-length:")
        whole = end + 4 + (int(head[length + 15 :].split(b"\r\n")[0]) if length >= 0 else 0)
        if len(self.data) < whole:
            return
        self.data = self.data[whole:]
        if head.startswith(b"get /requests"):
            body = str(Server.requests).encode()
            self.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        Server.requests += 1
        self.answer()

    def answer(self) -> None:
        """Answers a request."""
        self.write(OK)

    def write(self, data: bytes) -> None:
        """Sends the bytes, unless the client has hung up."""
        if not self.transport.is_closing():
            self.transport.write(data)


def serve(protocol: Callable[[], Server], ports: "multiprocessing.Queue[int]") -> None:
    """The server's process."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def server(protocol: Callable[[], Server] = Server) -> Iterator[str]:
    """The URL of a server, which ends with the block."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(protocol, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=10)}"
    finally:
        process.terminate()
        process.join()
