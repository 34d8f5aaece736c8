"""Servers for benchmarks: each runs in a process of its own, answers without parsing much, and counts its requests."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"total_count":7}'


def refusal(status: int, extra: str = "") -> bytes:
    """An answer that is no count."""
    return f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{extra}\r\n".encode()


class Server(asyncio.Protocol):
    """Answers as its `kind` does, and counts the requests."""

    requests = busy = admitted = 0
    window = 0.0

    def __init__(self, kind: str) -> None:
        self.kind = kind
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
            Server.requests = 0
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            return
        Server.requests += 1
        self.answer()

    def answer(self) -> None:
        if self.kind == "fast":
            self.transport.write(OK)
        elif self.kind == "dead":
            self.transport.write(refusal(503))
        elif self.kind == "healthy":
            asyncio.get_running_loop().call_later(0.02, self.transport.write, OK)
        elif self.kind == "capacity 20":
            if Server.busy >= 20:
                self.transport.write(refusal(429))
            else:
                Server.busy += 1
                asyncio.get_running_loop().call_later(0.02, self.done)
        else:  # 200 a second
            now = time.monotonic()
            if now - Server.window >= 1:
                Server.window, Server.admitted = now, 0
            Server.admitted += 1
            self.transport.write(OK if Server.admitted <= 200 else refusal(429, "Retry-After: 1\r\n"))

    def done(self) -> None:
        Server.busy -= 1
        self.transport.write(OK)


def serve(kind: str, ports: "multiprocessing.Queue[int]") -> None:
    """The server's process."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Server(kind), "127.0.0.1", 0, backlog=4096)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def server(kind: str) -> Iterator[str]:
    """The URL of a server of that kind."""
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=serve, args=(kind, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=10)}"
    finally:
        process.terminate()
        process.join()
