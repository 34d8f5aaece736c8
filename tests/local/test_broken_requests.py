"""Requests that no client of ours sends: their answers, and that the local server's log stays silent about them."""

import asyncio
import gc
import gzip
import json
import logging
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

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


METHODS = (
    "POST",
    "POST",
    "POST",
    "GET",
    "PUT",
    "PATCH",
    "OPTIONS",
    "HEAD",
    "TRACE",
    "CONNECT",
    "FOO",
    "get",
    "P\u00d6ST",
)
ENCODINGS = (
    "gzip",
    "deflate",
    "br",
    "zstd",
    "identity",
    "compress",
    "gzip, deflate",
    "x-gzip",
    "",
    "\u00fc",
    "gzip" * 99,
)
SIZES = ("2", "02", "2;x=y", "2 ", "0", "zz", "-1", "0x2", "", "1", "3", "ffff", "f" * 17)
BODIES = (*[b"{}"] * 5, b"", b"[]", b"{", b"null", b'{"filters": 3}', b"\xff\xfe", b"\x1f\x8b\x08\x00", b" " * 70_000)
COMPRESS: tuple[Callable[[bytes], bytes], ...] = (
    *[bytes] * 6,
    gzip.compress,
    zlib.compress,
    lambda data: zlib.compress(data)[:-3],
)


def odd_request(server: LocalGalileo, rng: random.Random) -> bytes:
    """A request with some method, encoding and framing, which may all be wrong, and of which the end may be missing."""
    body = rng.choice(COMPRESS)(rng.choice(BODIES))
    headers: dict[str, str] = {}
    if rng.random() < 0.4:
        headers["Content_Encoding"] = rng.choice(ENCODINGS)
    if rng.random() < 0.4:
        headers["Transfer_Encoding"] = rng.choice(["chunked", "chunked", "chunked", "gzip, chunked", "gzip"])
        sizes = [f"{len(body):x}", *rng.choices(SIZES, k=rng.choice([0, 0, 1, 2]))]
        body = b"".join([f"{size}\r\n".encode() + body + b"\r\n" for size in sizes]) + b"0\r\n\r\n"
    elif rng.random() < 0.2:
        headers["Content_Length"] = rng.choice(["0", "1", "99", "-1", "x", "1e3", "9" * 30])
    if rng.random() < 0.1:
        headers |= rng.choice([{"Upgrade": "websocket"}, {"Expect": "100-continue"}, {"Expect": "x"}, {"A\x00": "b"}])
    sent = request(server, body, method=rng.choice(METHODS), **headers)
    return sent[: rng.randrange(len(sent))] if rng.random() < 0.2 else sent


async def answers_to_odd(server: LocalGalileo, seed: int, number: int) -> Counter[int]:
    """How often each status answered odd requests; 0 stands for none until the client left. Others are counted."""
    rng = random.Random(seed)
    found = Counter[int]()
    for _ in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(odd_request(server, rng))
        assert (200, b'{"total_count": 1}') == await answer(server, request(server))
        writer.transport.abort() if rng.random() < 0.3 else writer.close()
        with suppress(ConnectionError):
            head = await reader.readline()
            found[int(head.split()[1]) if head else 0] += 1
    return found


async def test_odd_requests_are_refused_without_a_word_in_the_log(server):
    """Each is answered, or its client leaves; none is an error of the server, and other clients are served."""
    found = await answers_to_odd(server, 1, 200)
    assert {*found} <= {0, 100, 200, 400, 404, 405, 413, 417, 422}
    assert min(found[status] for status in (0, 200, 400, 405, 422)) > 0
