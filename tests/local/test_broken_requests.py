"""Requests that no client of ours sends: their answers, and that the local server's log stays silent about them."""

import asyncio
import gc
import json
import logging
import zlib
from collections.abc import Iterator

import pytest
from support.sockets import PROJECT

from galileo_sessions.local import LocalGalileo

PATH = f"/v2/projects/{PROJECT}/sessions/count"


@pytest.fixture
async def server():
    async with LocalGalileo([{"project_id": PROJECT}]) as running:
        yield running


@pytest.fixture(autouse=True)
def silent(caplog) -> Iterator[None]:
    """Whatever a client sends, aiohttp's log and asyncio's have no line."""
    caplog.set_level(logging.INFO)
    yield
    gc.collect()  # asyncio logs an exception that nobody took when it is collected
    assert [] == caplog.get_records("call")


def request(server: LocalGalileo, body: bytes = b"{}", *, method: str = "POST", **headers: str) -> bytes:
    """A request for a count; `Content_Encoding="gzip"` adds the header Content-Encoding."""
    given = {"Host": "x", "Galileo-API-Key": server.api_key, "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    if "Transfer-Encoding" in given:
        del given["Content-Length"]
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {PATH} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + body


async def answer(server: LocalGalileo, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the first answer on a new connection; 0 without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(sent)
    received = await reader.read()
    writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1] if head else 0), body


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP"])
@pytest.mark.parametrize("body", [b"{}", b"\x1f\x8b\x08" + b"x" * 5_000], ids=["plain", "long"])
async def test_a_body_that_is_not_in_its_encoding_is_a_400(server, encoding, body):
    status, text = await answer(server, request(server, body, Content_Encoding=encoding))
    assert 400 == status
    assert text in (b"deflate", json.dumps({"detail": f"the body can't be read as {encoding!r}"}).encode())


async def test_a_body_in_its_encoding_is_read(server):
    assert (200, b'{"total_count": 1}') == await answer(
        server, request(server, zlib.compress(b"{}"), Content_Encoding="deflate")
    )


@pytest.mark.parametrize("method", ["FOO", "get", "G@T", "BREW", "\x16\x03\x01"])
async def test_an_unknown_method_is_a_400(server, method):
    assert 400 == (await answer(server, request(server, method=method)))[0]


async def test_an_unknown_method_later_on_a_connection_is_a_400(server):
    first = request(server).replace(b"Connection: close\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    for sent, status in ((first, b"200"), (request(server, method="FOO"), b"400")):
        writer.write(sent)
        assert status == (await reader.readuntil(b"\r\n")).split()[1]
        if status == b"200":
            await reader.readuntil(b"}")
    assert b"Invalid method" in await reader.read()
    writer.close()


@pytest.mark.parametrize("size", ["zz", "-1", "0x2", "", " 2", "f" * 20])
async def test_a_bad_chunk_size_is_a_400(server, size):
    body = f"{size}\r\n{{}}\r\n0\r\n\r\n".encode()
    assert 400 == (await answer(server, request(server, body, Transfer_Encoding="chunked")))[0]


async def test_a_bad_chunk_size_after_a_good_one_breaks_only_its_connection(server):
    """aiohttp's parser then tells neither the handler nor the client, which has to leave."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(request(server, b"1\r\n{\r\n", Transfer_Encoding="chunked"))
    assert (200, b'{"total_count": 1}') == await answer(server, request(server))
    writer.write(b"zz\r\n}\r\n0\r\n\r\n")
    assert (200, b'{"total_count": 1}') == await answer(server, request(server))
    writer.close()
    assert (200, b'{"total_count": 1}') == await answer(server, request(server))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_client_that_leaves_is_no_news(server, part, is_reset):
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    sent = request(server, b"{" + b" " * 99 + b"}")
    writer.write(sent[: int(len(sent) * part)])
    await asyncio.sleep(0.01)
    writer.transport.abort() if is_reset else writer.close()
    assert (200, b'{"total_count": 1}') == await answer(server, request(server))


async def test_an_error_of_the_server_itself_is_logged(server, caplog, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("galileo_sessions.local.server._selected", fail)
    assert 500 == (await answer(server, request(server)))[0]
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError
    caplog.clear()
