"""What the transport makes of the network's troubles, down to the bytes."""

import asyncio
import contextlib
import gzip
import os
import resource
import socket
import ssl

import aiohttp
import pytest
import trustme
from support.servers import PROJECT, answers, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, GalileoSessions, Retry, Timeouts
from galileo_sessions.client.transport import MAX_BODY

ONCE = Retry(attempts=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts unless told."""
    return trustme.CA()


def served_as(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's TLS for one name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls_that_is_trusted(authority):
    """A CA of one's own is given as `ssl=`."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with raw_server(http(), ssl=served_as(authority, "127.0.0.1")) as server:
        async with GalileoSessions("k", base_url=server.url, ssl=trusting) as galileo:
            assert await galileo.count(PROJECT) == 7


@pytest.mark.parametrize(("name", "trusts"), [("127.0.0.1", False), ("elsewhere.example", True)])
async def test_tls_that_is_not_trusted(authority, name, trusts):
    """An unknown CA and a wrong name are TLSErrors, with one attempt and no request."""
    context = ssl.create_default_context()
    if trusts:
        authority.configure_trust(context)
    async with raw_server(http(), ssl=served_as(authority, name)) as server:
        async with GalileoSessions("k", base_url=server.url, ssl=context) as galileo:
            with pytest.raises(gs.TLSError, match="ssl=") as caught:
                await galileo.count(PROJECT)
    assert (len(server.requests), len(caught.value.attempts)) == (0, 1)


async def test_tls_to_a_server_without():
    """A server that doesn't speak TLS is a TLSError."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 what\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with (
        server,
        GalileoSessions("k", base_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as galileo,
    ):
        with pytest.raises(gs.TLSError) as caught:
            await galileo.count(PROJECT)
    assert "http://" in str(caught.value) or "WRONG_VERSION" not in str(caught.value)


async def test_a_port_that_refuses_and_a_host_that_is_unknown():
    """Both are ConnectErrors that name the base URL."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for url in (refused, "https://nowhere.invalid"):
            async with GalileoSessions("k", base_url=url, retry=ONCE) as galileo:
                with pytest.raises(gs.ConnectError, match="base_url") as caught:
                    await galileo.count(PROJECT)
            assert url in str(caught.value)
            assert type(caught.value) is gs.ConnectError


@pytest.mark.parametrize("timeouts", [Timeouts(connect=0.1), Timeouts(attempt=0.3)], ids=["connect", "attempt"])
async def test_a_full_backlog_is_a_timeout_in_phase_connect(timeouts):
    """A connection that doesn't come about ends after `Timeouts(connect=)`, or before an attempt's time is over."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        blockers = []
        for _ in range(3):
            blocker = socket.socket()
            blocker.setblocking(False)
            blocker.connect_ex(full.getsockname())
            blockers.append(blocker)
        async with GalileoSessions(
            "k", base_url=f"http://127.0.0.1:{full.getsockname()[1]}", timeouts=timeouts, retry=ONCE
        ) as galileo:
            with pytest.raises(gs.AttemptTimeoutError) as caught:
                await galileo.count(PROJECT)
        for blocker in blockers:
            blocker.close()
    assert caught.value.phase == "connect"


async def test_no_file_descriptor_left():
    """Running out of sockets says so, and what to lower or to raise."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url, retry=ONCE) as galileo:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
            with contextlib.suppress(OSError):
                for _ in range(1_000):
                    taken.append(socket.socket())  # noqa: PERF401  # those before the one that fails are kept
            with pytest.raises(gs.ConnectError, match=r"ulimit.*Limits"):
                await galileo.count(PROJECT)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in taken:
                one.close()


async def hang_up(number: int, writer: asyncio.StreamWriter) -> None:
    """Closes as the request arrives."""
    writer.close()


async def reset(number: int, writer: asyncio.StreamWriter) -> None:
    """Resets as the request arrives."""
    writer.transport.abort()


def cut(data: bytes):
    """Sends this much, and closes."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return behave


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TROUBLES = {
    "FIN": (hang_up, gs.DisconnectedError),
    "RST": (reset, gs.DisconnectedError),
    "half a head": (cut(b"HTTP/1.1 200 OK\r\nContent-"), gs.DisconnectedError),
    "half a body": (cut(http(200, "s3cret", Content_Length="99")), gs.DisconnectedError),
    "half a chunk": (cut(CHUNKED + b"f\r\n{"), gs.DisconnectedError),
    "not HTTP": (cut(b"s3cret\r\n\r\n"), gs.ProtocolError),
    "bad chunk size": (cut(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"), gs.ProtocolError),
    "20 kB header": (http(200, X="s3cret" * 3500), gs.ProtocolError),
    "gzip": (http(200, gzip.compress(b"{}"), Content_Encoding="gzip"), gs.ProtocolError),
    "broken gzip": (http(200, b"\x1f\x8bs3cret", Content_Encoding="gzip"), gs.ProtocolError),
    "bomb": (http(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"), gs.ProtocolError),
    "long body": (http(200, b" " * (MAX_BODY + 1)), gs.ProtocolError),
    "1 GiB body": (http(200, b" " * 1_000_000, Content_Length="1073741824"), gs.ProtocolError),
}


@pytest.mark.parametrize(("behave", "error"), TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("injected", [False, True], ids=["own session", "injected session"])
async def test_broken_answers(behave, error, injected):
    """What is no whole answer is a TransportError of its kind, which shows nothing of it, at once."""
    async with raw_server(behave) as server, aiohttp.ClientSession() as session:
        async with GalileoSessions(
            "k", base_url=server.url, session=session if injected else None, retry=ONCE
        ) as galileo:
            async with asyncio.timeout(1):
                with pytest.raises(gs.TransportError) as caught:
                    await galileo.count(PROJECT)
    assert type(caught.value) is error
    assert "s3cret" not in str(caught.value)
    assert server.url in str(caught.value) or error is gs.ProtocolError


async def test_a_body_of_just_the_limit_is_read():
    """A body as long as the limit is read; one byte more isn't."""
    body = b'{"total_count":7' + b" " * (MAX_BODY - 17) + b"}"
    async with raw_server(http(200, body)) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT) == 7


async def test_a_large_filter_travels_without_a_warning():
    """A body over 1 MiB is sent as it is, though aiohttp warns of such bytes."""
    where = Col("input").one_of([f"{number:0500}" for number in range(2_500)])
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT, where) == 7
    assert len(server.requests[0]) > 1_200_000


async def test_a_proxy_that_refuses():
    """A proxy that doesn't connect, or doesn't let through, is a ConnectError without its password."""
    async with raw_server(http(407, "no")) as server:
        closed = GalileoSessions("k", base_url="https://api.x.io", proxy="http://ann:pr0xy-pw@127.0.0.1:9")
        asked = GalileoSessions("k", base_url="http://127.0.0.1:9", proxy=server.url)
        async with closed, asked:
            with pytest.raises(gs.ConnectError, match="proxy") as caught:
                await closed.count(PROJECT)
            assert "pr0xy-pw" not in str(caught.value)
            with pytest.raises(gs.ResponseError, match="407"):
                await asked.count(PROJECT)


async def test_a_proxy_that_refuses_the_tunnel():
    """A proxy's refusal of CONNECT is a ConnectError that gives the status."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, GalileoSessions("k", base_url="https://api.x.io", proxy=proxy) as galileo:
        with pytest.raises(gs.ConnectError, match=r"proxy.*403"):
            await galileo.count(PROJECT)


async def test_an_idle_connection_that_the_server_closed_is_not_used():
    """A keep-alive connection that ended while idle costs no attempt."""

    async def once(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(http())
        await writer.drain()
        writer.close()

    async with raw_server(once) as server, GalileoSessions("k", base_url=server.url) as galileo:
        for _ in range(3):
            assert await galileo.count(PROJECT) == 7
            await asyncio.sleep(0.02)
    assert (server.connections, len(server.requests)) == (3, 3)


async def test_a_url_that_aiohttp_refuses():
    """A base URL that only aiohttp finds wrong is a ConfigurationError all the same."""
    async with GalileoSessions("k", base_url="https://x..y") as galileo:
        with pytest.raises(gs.ConfigurationError, match="base_url"):
            await galileo.count(PROJECT)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ClientError("?"), gs.ProtocolError),
        (aiohttp.NonHttpUrlClientError("ftp://x"), gs.ConfigurationError),
        (aiohttp.SocketTimeoutError(), gs.AttemptTimeoutError),
        (aiohttp.ServerFingerprintMismatch(b"a", b"b", "h", 1), gs.TLSError),
        (OSError(32, "Broken pipe"), gs.DisconnectedError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_errors_that_no_server_here_can_cause(error, expected):
    """The rest of aiohttp's errors has a place in our tree too."""
    from galileo_sessions.client.transport import _translated

    assert type(_translated(error, "response", "https://api.x.io")) is expected


async def test_a_login_that_fails_otherwise():
    """A login may meet what a count may: it is told as it is, and isn't remembered."""
    troubled = answers(
        http(503, "pa55"), http(200, "{}"), http(302, "", Location="/x"), http(429, "pa55"), http(401, "pa55")
    )
    expected = [gs.ServerError, gs.LoginError, gs.LoginError]
    async with raw_server(troubled) as server:
        async with GalileoSessions(auth=gs.PasswordAuth("ann", "pa55"), base_url=server.url, retry=ONCE) as galileo:
            for error in expected:
                with pytest.raises(gs.GalileoError) as caught:
                    await galileo.count(PROJECT)
                assert type(caught.value) is error
                assert "pa55" not in repr(caught.value)
    assert len(server.requests) == 2  # the refusal is remembered for 30 s


async def test_a_login_that_hangs_is_a_timeout_and_ends_with_the_client():
    """Who waits for a login waits no longer than the attempt may take, and closing ends the login."""

    async def silence(number: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with raw_server(silence) as server:
        galileo = GalileoSessions(auth=gs.PasswordAuth("a", "b"), base_url=server.url)
        with pytest.raises(gs.DeadlineExceededError):
            await galileo.count(PROJECT, timeout=0.1)
        await galileo.close()
