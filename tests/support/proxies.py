"""A proxy on 127.0.0.1 that tunnels, and the certificates of the servers behind it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import trustme
from attrs import define, field

HOST = "api.behind.example"


@define
class Proxy:
    """What a proxy saw."""

    address: str
    heads: list[bytes] = field(factory=list)


def tls(host: str = HOST) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of a server with this name, and of a client that trusts it."""
    authority = trustme.CA()
    serving, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(host).configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting


@asynccontextmanager
async def tunnelling(port: int, most: float = inf) -> AsyncIterator[Proxy]:
    """A proxy that forwards each CONNECT to this port, whatever host it names, and refuses those after so many."""
    tasks = set[asyncio.Task[None]]()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def one_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        proxy.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if len(proxy.heads) > most:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
        finally:
            far_writer.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(one_connection, "127.0.0.1", 0)
    proxy = Proxy(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield proxy
    finally:
        server.close()
        await asyncio.sleep(0.01)  # for the client's end of the connections
        waiting = [task for task in tasks if task.cancel()]
        await asyncio.gather(*waiting, return_exceptions=True)
