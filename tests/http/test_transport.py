"""What the transport makes of broken or oversized answers, down to the bytes."""

import asyncio
import gzip
import json
import tracemalloc
from time import process_time

import aiohttp
import pytest
from support.clients import client, failure
from support.clock import virtual_time
from support.inside import MAX_BODY, idle, translated
from support.leaks import visible_text
from support.sockets import CHUNKED, PROJECT, answers, cut, hang_up, http, raw_server, reset

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, DisconnectedError, GalileoSessions, ProtocolError, Retry, Secret
from galileo_sessions.http.transport import Transport

# What is done, the error that it becomes, and how many attempts are made; a lost connection isn't tried again here.
TROUBLES = {
    "FIN": (hang_up, DisconnectedError, 1),
    "RST": (reset, DisconnectedError, 1),
    "half a head": (cut(b"HTTP/1.1 200 OK\r\nX-Secret: s3cret"), DisconnectedError, 1),
    "half a body": (cut(http(200, b'{"s3cret":1234567', Content_Length="99")), DisconnectedError, 1),
    "half a chunk": (cut(CHUNKED + b"f\r\n{"), DisconnectedError, 1),
    "not HTTP": (cut(b"s3cret\r\n\r\n"), ProtocolError, 4),
    "bad chunk size": (cut(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), ProtocolError, 4),
    "20 kB header": (http(200, X="s3cret" * 3500), ProtocolError, 4),
    "gzip": (http(200, gzip.compress(b"{}"), Content_Encoding="gzip"), ProtocolError, 1),
    "broken gzip": (http(200, b"\x1f\x8bs3cret", Content_Encoding="gzip"), ProtocolError, 1),
    "long body": (http(200, b" " * (MAX_BODY + 1)), ProtocolError, 1),
}


@pytest.mark.parametrize(("behave", "error", "attempts"), TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("injected", [False, True], ids=["own session", "injected session"])
@virtual_time
async def test_broken_answers(behave, error, attempts, injected):
    """An incomplete or malformed answer raises its TransportError, which shows nothing of the answer."""
    async with raw_server(behave) as server, aiohttp.ClientSession() as session:
        retry = Retry(attempts=1 if error is DisconnectedError else 4)
        async with client(server.url, session=session if injected else None, retry=retry) as galileo:
            async with asyncio.timeout(1):
                caught = await failure(galileo)
    assert type(caught) is error
    assert [(attempt.number, attempt.status, type(attempt.error)) for attempt in caught.attempts] == [
        (number, None, error) for number in range(1, attempts + 1)
    ]
    assert len(server.requests) == attempts
    assert "s3cret" not in visible_text(caught)
    assert server.url in str(caught) or error is ProtocolError


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize("coding", ["gzip", " X-GZIP ", "br"])
@pytest.mark.parametrize("status", [404, 503])
async def test_a_status_decides_before_a_compressed_page(status, coding):
    """A page that a gateway compressed is the error of its status, without its text."""
    async with raw_server(answers(http(status, BOMB, Content_Encoding=coding), http())) as server:
        async with client(server.url) as galileo:
            if status == 503:
                assert await galileo.count(PROJECT) == 7
                return
            error = await failure(galileo)
            assert idle(galileo)
    assert error.status == status
    assert error.body == "(compressed, so not read)"


async def a_gibibyte(number: int, writer: asyncio.StreamWriter) -> None:
    """Sends 1 GiB, as long as the client reads."""
    writer.write(http(200, b"", Content_Length=str(1 << 30)))
    chunk = b" " * 65_536
    for _ in range(1 << 14):
        writer.write(chunk)
        await writer.drain()


TOO_MUCH = {"a 1 GiB body": a_gibibyte, "a gzip bomb": http(200, BOMB, Content_Encoding="gzip")}


@pytest.mark.parametrize("trouble", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_bodies_that_are_too_much(trouble):
    """An oversized or compressed body raises ProtocolError, and needs at most 1 s of CPU and 5 MB of memory."""
    async with raw_server(trouble) as server, client(server.url, jitter=1) as galileo:
        tracemalloc.start()
        try:
            began = process_time()
            error = await failure(galileo)
            took = process_time() - began
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert idle(galileo)
    assert type(error) is ProtocolError
    assert peak < 5_000_000
    assert took < 1


async def test_a_body_of_just_the_limit_is_read():
    """A body as long as the limit is read."""
    body = b'{"total_count":7' + b" " * (MAX_BODY - 17) + b"}"
    async with raw_server(http(200, body)) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT) == 7


async def test_a_long_page_is_the_error_of_its_status():
    """Of a page that is longer than the limit, its beginning is kept, and the connection isn't."""
    async with raw_server(http(404, "x" * (2 * MAX_BODY))) as server, client(server.url) as galileo:
        error = await failure(galileo)
        assert idle(galileo)
    assert (error.status, error.body) == (404, "x" * 2048)


@pytest.mark.parametrize(("size", "issues"), [(15 << 20, 1), (16 << 20, 0)], ids=["15 MiB", "16 MiB and more"])
async def test_a_long_422_is_read(size, issues):
    """FastAPI repeats parts of the filter: up to 16 MiB of a 422 are read, and of a longer one its beginning."""
    entry = {"input": "x" * size, "loc": ["body", "filter_tree"], "msg": "refused", "type": "x"}
    async with raw_server(http(422, json.dumps({"detail": [entry]}))) as server, client(server.url) as galileo:
        error = await failure(galileo)
        assert idle(galileo)
    assert (type(error), len(error.issues), len(error.body)) == (gs.ValidationError, issues, 2048)
    assert ("refused" in str(error)) == bool(issues)
    assert len(str(error)) < 500


async def test_a_large_filter_travels_without_a_warning():
    """A body over 1 MiB is sent without aiohttp's warning."""
    where = Col("input").one_of([f"{number:0500}" for number in range(2_500)])
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT, where) == 7
    assert len(server.requests[0]) > 1_200_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ClientError("?"), ProtocolError),
        (aiohttp.NonHttpUrlClientError("ftp://x"), ConfigurationError),
        (ValueError("?"), ConfigurationError),
        (aiohttp.SocketTimeoutError(), gs.AttemptTimeoutError),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 1), gs.TLSError),
        (OSError(32, "Broken pipe"), DisconnectedError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_errors_that_no_server_here_can_cause(error, expected):
    """Each other error of aiohttp becomes one of the package's errors."""
    assert type(translated(error)) is expected


async def test_an_attempt_that_begins_as_the_client_closes_sends_nothing() -> None:
    """It fails with the advice to make a new client."""
    transport = Transport("http://127.0.0.1:9", None, gs.Timeouts(), True, None)
    await transport.close()
    until = asyncio.get_running_loop().time() + 1
    with pytest.raises(ConfigurationError, match="Make a new one"):
        await transport.request("/x", b"{}", Secret({}), until=until, max_body=1)
