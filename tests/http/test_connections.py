"""Connections that are made, trusted, kept and lost."""

import asyncio
import socket

import pytest
from support.clients import client, failure, statuses
from support.clock import virtual_time
from support.inside import idle
from support.proxies import HOST, tls
from support.sockets import PROJECT, full_backlog, http, listening, raw_server

import galileo_sessions as gs
from galileo_sessions import AttemptTimeoutError, ConnectError, Retry, Timeouts, TLSError


async def test_idle_keep_alive_closed_then_reused():
    """A connection that the server closed while it was idle costs no attempt."""

    async def once(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(http())
        await writer.drain()
        writer.close()

    heard: list[gs.Attempt] = []
    async with raw_server(once) as server, client(server.url, on_attempt=heard.append) as galileo:
        for _ in range(3):
            assert await galileo.count(PROJECT) == 7
            await asyncio.sleep(0.02)
    assert [(attempt.number, attempt.status) for attempt in heard] == [(1, 200)] * 3
    assert (server.connections, len(server.requests)) == (3, 3)


@pytest.mark.parametrize("where", ["refused port", "unknown host"])
async def test_a_refused_port_and_an_unknown_host(monkeypatch, where):
    """Both are a ConnectError which names the URL and what to check; a name that doesn't exist fails at once."""
    if where == "refused port":
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.x.io")  # which loopback never uses
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"http://127.0.0.1:{port}" if where == "refused port" else "https://nowhere.invalid"
        async with client(url, retry=Retry(patience=0.3)) as galileo:
            error = await failure(galileo)
    assert type(error) is ConnectError
    assert (len(error.attempts) == 1) is (where == "unknown host")
    assert [word for word in (url, "base_url") if word not in str(error)] == []


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [(Timeouts(), 10), (Timeouts(connect=0.1), 0.1), (Timeouts(attempt=0.3), 0.27)],
    ids=["by default", "connect", "attempt"],
)
@virtual_time
async def test_a_full_backlog(timeouts, seconds):
    """A connection that is never accepted times out in phase connect; each time-out costs two attempts of the four."""
    with full_backlog() as url:
        async with client(url, timeouts=timeouts) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
    assert type(error) is AttemptTimeoutError
    assert [seconds <= attempt.elapsed < seconds + 0.05 for attempt in error.attempts] == [True] * 2
    assert [attempt.error.phase for attempt in error.attempts] == ["connect"] * 2


@virtual_time
async def test_a_proxy_that_does_not_answer_connect():
    """`Timeouts.connect` applies to a proxy's tunnel too."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_000):
            pass
        writer.close()

    async with listening(silent) as url:
        arguments = {"proxy": url, "timeouts": Timeouts(connect=6.3), "retry": Retry(attempts=1)}
        async with client("https://api.x.io", **arguments) as galileo:
            error = await failure(galileo)
    assert (type(error), error.phase) == (AttemptTimeoutError, "connect")
    assert 6.3 <= error.attempts[0].elapsed < 6.35


@pytest.mark.parametrize("trouble", ["unknown CA", "wrong name", "no TLS"])
async def test_tls_that_is_not_trusted(trouble):
    """An unknown CA, a wrong host name or a server without TLS raises TLSError after one attempt."""
    serving, trusting = tls("127.0.0.1" if trouble == "unknown CA" else HOST)
    context = trusting if trouble == "wrong name" else True

    def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(400))
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=None if trouble == "no TLS" else serving) as server:
        async with client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ssl=context) as galileo:
            error = await failure(galileo)
    assert (type(error), statuses(error)) == (TLSError, [None])
    assert "Check that the port has TLS; for your own CA, set SSL_CERT_FILE, or pass ssl=" in error.hint
