"""Connections that are made, kept and lost; answers that are broken or too long; and the deadlines of attempts."""

import asyncio
import gzip
import json
import socket
import tracemalloc
from time import process_time

import aiohttp
import pytest
from support.clients import ANN, client, connected, failure, ids, statuses
from support.clock import virtual_time
from support.inside import MAX_BODY, deadline_timers, idle, translated
from support.proxies import HOST, tls
from support.shown import visible_text
from support.sockets import (
    PROJECT,
    answers,
    cut,
    full_backlog,
    hang_up,
    http,
    listening,
    raw_server,
    reset,
    silence,
    until,
)

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, DisconnectedError, ProtocolError, Retry, Timeouts
from galileo_sessions.http.deadlines import Deadline, Deadlines

# ---- connections -----------------------------------------------------------------------------------------------------


async def test_idle_keep_alive_closed_then_reused():
    """A connection that the server closed while it was idle costs no attempt."""

    async def once(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(http())
        await writer.drain()
        writer.close()

    heard: list[gs.Attempt] = []
    async with connected(once, on_attempt=heard.append) as (server, galileo):
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
    assert type(error) is gs.ConnectError
    assert (len(error.attempts) == 1) is (where == "unknown host")
    assert [word for word in (url, "base_url") if word not in str(error)] == []


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that doesn't answer CONNECT."""
    while await reader.read(1_000):
        pass
    writer.close()


NO_CONNECTION: dict[str, tuple[dict[str, object], float]] = {
    "by default": ({}, 10),
    "login": ({"auth": ANN}, 10),
    "connect": ({"timeouts": Timeouts(connect=0.1)}, 0.1),
    "attempt": ({"timeouts": Timeouts(attempt=0.3)}, 0.27),
    "proxy": ({"timeouts": Timeouts(connect=6.3), "url": "https://api.x.io"}, 6.3),
}


@pytest.mark.parametrize("how", NO_CONNECTION)
@virtual_time
async def test_a_full_backlog(how):
    """A connection that isn't made times out in phase connect, also a proxy's; this costs two attempts of the four."""
    arguments, seconds = NO_CONNECTION[how]
    async with listening(silent) as proxy:
        with full_backlog() as url:
            way = {"url": url, "proxy": proxy if how == "proxy" else None, **arguments}
            async with client(**way) as galileo:
                error = await failure(galileo)
                assert idle(galileo)
    assert type(error) is gs.AttemptTimeoutError
    assert [seconds <= attempt.elapsed < seconds + 0.05 for attempt in error.attempts] == [True] * 2
    assert [attempt.error.phase for attempt in error.attempts] == ["connect"] * 2


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
    assert (type(error), statuses(error)) == (gs.TLSError, [None])
    assert "Check that the port has TLS; for your own CA, set SSL_CERT_FILE, or pass ssl=" in error.hint


# ---- answers ---------------------------------------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

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
    retry = Retry(attempts=1 if error is DisconnectedError else 4)
    async with aiohttp.ClientSession() as session:
        async with connected(behave, session=session if injected else None, retry=retry) as (server, galileo):
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
    async with connected(answers(http(status, BOMB, Content_Encoding=coding), http())) as (_, galileo):
        if status == 503:
            assert await galileo.count(PROJECT) == 7
            return
        error = await failure(galileo)
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
    async with connected(trouble, jitter=1) as (_, galileo):
        tracemalloc.start()
        try:
            began = process_time()
            error = await failure(galileo)
            took = process_time() - began
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert type(error) is ProtocolError
    assert peak < 5_000_000
    assert took < 1


async def test_a_body_of_just_the_limit_is_read():
    """A body as long as the limit is read."""
    body = b'{"total_count":7' + b" " * (MAX_BODY - 17) + b"}"
    async with connected(http(200, body)) as (_, galileo):
        assert await galileo.count(PROJECT) == 7


async def test_a_long_page_is_the_error_of_its_status():
    """Of a page that is longer than the limit, its beginning is kept, and the connection isn't."""
    async with connected(http(404, "x" * (2 * MAX_BODY))) as (_, galileo):
        error = await failure(galileo)
    assert (error.status, error.body) == (404, "x" * 2048)


@pytest.mark.parametrize(("size", "issues"), [(15 << 20, 1), (16 << 20, 0)], ids=["15 MiB", "16 MiB and more"])
async def test_a_long_422_is_read(size, issues):
    """FastAPI repeats parts of the filter: up to 16 MiB of a 422 are read, and of a longer one its beginning."""
    entry = {"input": "x" * size, "loc": ["body", "filter_tree"], "msg": "refused", "type": "x"}
    async with connected(http(422, json.dumps({"detail": [entry]}))) as (_, galileo):
        error = await failure(galileo)
    assert (type(error), len(error.issues), len(error.body)) == (gs.ValidationError, issues, 2048)
    assert ("refused" in str(error)) == bool(issues)
    assert len(str(error)) < 500


async def test_a_large_filter_travels_without_a_warning():
    """A body over 1 MiB is sent without aiohttp's warning."""
    where = Col("input").one_of([f"{number:0500}" for number in range(2_500)])
    async with connected(http()) as (server, galileo):
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


# ---- deadlines, which share one timer --------------------------------------------------------------------------------


async def seconds_until_timeout(deadlines: Deadlines, seconds: float) -> float:
    """How long a block took that only its deadline ends."""
    clock = asyncio.get_running_loop().time
    began = clock()
    with Deadline(deadlines, began + seconds):
        await asyncio.sleep(100_000)
    return clock() - began


@virtual_time
async def test_each_block_ends_at_its_own_deadline():
    """Whatever the order of the deadlines, each ends its own block in time, and no timer is left."""
    deadlines, limits = Deadlines(), [5.0, 3.0, 1.0, 4.0, 1.0, 2.0, 7.5, 0.25, 0.0, -1.0]
    took = await asyncio.gather(*(seconds_until_timeout(deadlines, limit) for limit in limits))
    assert [round(seconds, 3) for seconds in took] == [max(limit, 0) for limit in limits]
    assert deadline_timers() == 0


@virtual_time
async def test_a_block_that_ends_before_its_deadline_is_not_disturbed():
    """After a block has ended, its deadline cancels nothing, also if the same task is in another block by then."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time
    with Deadline(deadlines, clock() + 1):
        await asyncio.sleep(0.5)
    with Deadline(deadlines, clock() + 10):
        await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("later", [False, True], ids=["before", "at the same moment"])
@virtual_time
async def test_a_cancellation_from_elsewhere_wins(later):
    """A task that is cancelled, before its deadline or just as it passes, ends with CancelledError."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time

    async def block() -> None:
        with Deadline(deadlines, clock() + 1):
            await asyncio.sleep(100_000)

    task = asyncio.create_task(block())
    asyncio.get_running_loop().call_at(clock() + (1 if later else 0.5), task.cancel)
    await asyncio.wait([task])
    assert task.cancelled()


@virtual_time
async def test_another_error_of_the_block_is_raised():
    """An error that the block raises as it is cancelled is raised, not a TimeoutError."""

    async def block() -> None:
        with Deadline(Deadlines(), asyncio.get_running_loop().time() + 1):
            try:
                await asyncio.sleep(100_000)
            finally:
                raise LookupError

    with pytest.raises(LookupError):
        await block()


async def test_counts_share_one_timer():
    """While many counts are under way there is one timer for all, and none once the client is closed."""
    async with connected(silence) as (server, galileo):
        counts = [asyncio.create_task(galileo.count(project)) for project in ids(10)]
        await until(lambda: len(server.requests) == 10)
        assert deadline_timers() == 1
        for count in counts:
            count.cancel()
        await asyncio.wait(counts)
    assert deadline_timers() == 0


@pytest.mark.parametrize("injected", [False, True], ids=["own session", "injected session"])
@virtual_time
async def test_counts_with_timeouts_of_their_own_end_in_time(injected):
    """Counts at once with several `timeout=` end after just that time, and the others go on until the attempt ends."""
    async with aiohttp.ClientSession() as session:
        settings = {"session": session if injected else None, "timeouts": Timeouts(attempt=9)}
        async with connected(silence, **settings) as (_, galileo):
            limits = [4, None, 2, 1, 3]
            errors = await asyncio.gather(*(failure(galileo, timeout=limit) for limit in limits))
    assert [round(error.attempts[0].elapsed, 2) for error in errors] == [limit or 9 for limit in limits]
    assert [type(error) for error in errors] == [
        gs.AttemptTimeoutError if limit is None else gs.DeadlineExceededError for limit in limits
    ]


@virtual_time
async def test_an_injected_sessions_request_times_out_after_the_client_is_closed():
    """A count that goes on while its client is closed still ends at its deadline."""
    async with raw_server(silence) as server, aiohttp.ClientSession() as session:
        galileo = client(server.url, session=session, timeouts=Timeouts(attempt=5))
        count = asyncio.create_task(failure(galileo))
        await until(lambda: server.requests)
        await galileo.close()
        async with asyncio.timeout(6):
            await count


def test_deadlines_end_counts_in_uvloop():
    """In uvloop an attempt times out, too, and the next one can succeed."""
    import uvloop

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await (silence(nth, writer) if nth == 1 else asyncio.sleep(0))
        writer.write(http())

    async def count() -> None:
        async with connected(behave, timeouts=Timeouts(attempt=1)) as (server, galileo):
            assert await galileo.count(PROJECT) == 7
            assert len(server.requests) == 2

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(count())
