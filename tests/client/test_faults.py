"""Trouble that the client must stand: each row of the table of faults, on real sockets."""

import asyncio
import contextlib
import gc
import gzip
import json
import logging
import pickle
import random
import socket
import ssl
import sys
import tracemalloc
import warnings
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import time
from uuid import UUID

import aiohttp
import pytest
import trustme
from support.clock import fast
from support.servers import PROJECT, answers, http, raw_server, until
from test_client import NOT_COUNTS
from test_fanout import DOORS, failing, idle, ids, number_of, numbered, one_by_one, ours, slowly, take_all
from test_secrets import everything
from test_transport import CHUNKED, cut, hang_up, reset

import galileo_sessions as gs
from galileo_sessions import (
    AttemptTimeoutError,
    BasicAuth,
    Col,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    DecodeError,
    DisconnectedError,
    GalileoError,
    GalileoSessions,
    Limits,
    LoginError,
    NotFoundError,
    PasswordAuth,
    ProtocolError,
    RateLimitedError,
    RedirectError,
    Retry,
    ServerError,
    Timeouts,
    TLSError,
    ValidationError,
)

WIDE = Limits(initial=100, maximum=100)


def client(url: str, luck: float = 0.0, **arguments: object) -> GalileoSessions:
    """A client with the defaults, whose waits are drawn as `luck` says: 0 the shortest, 1 the longest."""
    if "auth" not in arguments:
        arguments["api_key"] = "k"
    galileo = GalileoSessions(base_url=url, **arguments)
    galileo._counter._draw = lambda most: most * luck
    return galileo


async def failure(galileo: GalileoSessions, **arguments: object) -> GalileoError:
    """The error that one count ends with."""
    with pytest.raises(GalileoError) as caught:
        await galileo.count(PROJECT, **arguments)
    return caught.value


def statuses(error: GalileoError) -> list[int | None]:
    """The statuses of an error's attempts."""
    return [attempt.status for attempt in error.attempts]


async def silence(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(100_000)


async def half_a_body(number: int, writer: asyncio.StreamWriter) -> None:
    """Begins to answer, and stops."""
    writer.write(http()[:-5])
    await asyncio.sleep(100_000)


# ---- a server for many requests --------------------------------------------------------------------------------------


class Service:
    """A server as fast as can be: `serve(request, answer)` gets each request, and calls `answer` with the bytes."""

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
        """Notes the connection."""
        self.transport = transport
        self.service.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forgets the connection."""
        self.service.connections.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        """Takes requests out of the stream of bytes."""
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
        """Sends the bytes, if somebody is still there."""
        if not self.transport.is_closing():
            self.transport.write(data)


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    """Listens on loopback, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=2048)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for transport in service.connections.copy():
            transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()


# ---- the connection --------------------------------------------------------------------------------------------------


async def test_idle_keep_alive_closed_then_reused():
    """A connection that ended while it was idle costs no attempt."""

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


@pytest.mark.parametrize("trouble", [hang_up, reset], ids=["FIN", "RST"])
async def test_fin_or_rst_once(trouble):
    """A connection that ends as the request arrives: success on the 2nd attempt, within 100 ms."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        if number % 2:
            await trouble(number, writer)
        else:
            writer.write(http())

    async with raw_server(behave) as server, client(server.url, luck=1) as galileo:
        report = await galileo.count_all([PROJECT] * 5, concurrency=1)
    for result in report.results:
        assert [(attempt.number, attempt.status) for attempt in result.attempts] == [(1, None), (2, 200)]
        assert type(result.attempts[0].error) is DisconnectedError
        assert result.attempts[1].waited >= 0.05
    assert min(result.elapsed for result in report.results) < 0.1  # the quickest, for this machine may be busy


@pytest.mark.parametrize("trouble", [hang_up, reset], ids=["FIN", "RST"])
async def test_fin_or_rst_for_ever(trouble):
    """A DisconnectedError after 4 attempts, each of them listed, with waits of 50 ms, 0.5 s and 1 s at most."""
    waits: list[float] = []
    async with raw_server(trouble) as server, client(server.url) as galileo:
        galileo._counter._draw = lambda most: waits.append(most) or 0.0
        error = await failure(galileo)
        assert idle(galileo)
    assert type(error) is DisconnectedError
    assert [(attempt.number, type(attempt.error)) for attempt in error.attempts] == [
        (number, DisconnectedError) for number in (1, 2, 3, 4)
    ]
    assert len(server.requests) == 4
    assert waits == [0.05, 0.5, 1.0]


@asynccontextmanager
async def accept_and_close() -> AsyncIterator[str]:
    """A server that hangs up on everybody."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("trouble", ["accept and close", "half a head", "Content-Length 99 with 17 bytes"])
async def test_answers_that_are_cut_short(trouble):
    """A DisconnectedError, retried; its text holds nothing of the response."""
    half = {
        "half a head": b"HTTP/1.1 200 OK\r\nX-Secret: s3cret",
        "Content-Length 99 with 17 bytes": http(200, b'{"s3cret":1234567', Content_Length="99"),
    }
    async with contextlib.AsyncExitStack() as stack:
        if trouble in half:
            url = (await stack.enter_async_context(raw_server(cut(half[trouble])))).url
        else:
            url = await stack.enter_async_context(accept_and_close())
        galileo = await stack.enter_async_context(client(url))
        error = await failure(galileo)
    assert type(error) is DisconnectedError
    assert statuses(error) == [None] * 4
    assert {type(attempt.error) for attempt in error.attempts} == {DisconnectedError}
    assert "s3cret" not in everything(error)


GARBAGE = {
    "garbage status line": cut(b"s3cret\r\n\r\n"),
    "bad chunk size": cut(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "a 20 kB header": http(200, X="s3cret" * 3500),
}


@pytest.mark.parametrize("trouble", GARBAGE.values(), ids=GARBAGE)
async def test_garbage(trouble):
    """A ProtocolError after retries, and never a status of 400."""
    async with raw_server(trouble) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert type(error) is ProtocolError
    assert statuses(error) == [None] * 4
    assert len(server.requests) == 4
    assert "s3cret" not in str(error)


async def test_garbage_once():
    """Malformed HTTP is retried: a proxy on the way may have had a bad moment."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        await cut(b"garbage\r\n\r\n")(number, writer) if number == 1 else writer.write(http())

    async with raw_server(behave) as server, client(server.url) as galileo:
        assert await galileo.count(PROJECT) == 7
    assert len(server.requests) == 2


class Dawdling(Service):
    """Answers with nothing, with a head alone, or with a byte a second."""

    def __init__(self, begins_with: bytes, then: bytes) -> None:
        super().__init__()
        self.begins_with = begins_with
        self.then = then

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Begins."""
        answer(self.begins_with)
        if self.then:
            self.go_on(answer)

    def go_on(self, answer: Callable[[bytes], None]) -> None:
        """Sends a little each second."""
        answer(self.then)
        asyncio.get_running_loop().call_later(1, self.go_on, answer)


@pytest.mark.parametrize(
    ("begins_with", "then", "phase"),
    [(b"", b"", "response"), (http()[:-17], b"", "body"), (http(200, b" " * 99)[:-99], b" ", "body")],
    ids=["silence", "head, then silence", "one byte a second"],
)
@fast(speed=60)
async def test_silence_ends_after_30_seconds(begins_with, then, phase):
    """An AttemptTimeoutError at 30 s, tried again like any, and each connection is dropped."""
    async with serving(Dawdling(begins_with, then)) as service:
        async with client(service.url, retry=Retry(attempts=2)) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
            await until(lambda: not service.connections)
    assert service.requests == 2
    assert type(error) is AttemptTimeoutError
    assert error.phase == phase
    assert [30 <= attempt.elapsed < 36 for attempt in error.attempts] == [True] * 2
    assert 60 <= error.elapsed < 72


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port that takes no more connections."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            blocker = stack.enter_context(socket.socket())
            blocker.setblocking(False)
            blocker.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@pytest.mark.parametrize(("timeouts", "seconds"), [(Timeouts(), 10)], ids=["connect"])
@fast(speed=20)
async def test_a_full_backlog(timeouts, seconds):
    """An AttemptTimeoutError in phase connect, after 10 s or what the attempt may take; tried 4 times."""
    with full_backlog() as url:
        async with client(url, timeouts=timeouts) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
    assert type(error) is AttemptTimeoutError
    assert [seconds <= attempt.elapsed < seconds + 4 for attempt in error.attempts] == [True] * 4  # aiohttp rounds up
    assert [attempt.error.phase for attempt in error.attempts] == ["connect"] * 4


@pytest.mark.parametrize("url", ["refused port", "https://nowhere.invalid"])
async def test_a_refused_port_and_an_unknown_host(url):
    """A ConnectError after 4 attempts."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        if url == "refused port":
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with client(url) as galileo:
            error = await failure(galileo)
    assert type(error) is ConnectError
    assert statuses(error) == [None] * 4


@pytest.mark.parametrize(("name", "trusts"), [("127.0.0.1", False), ("elsewhere.example", True)])
async def test_an_untrusted_ca_and_a_wrong_host_name(name, trusts):
    """A TLSError, after one attempt and no request."""
    authority = trustme.CA()
    serving_as, context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(serving_as)
    if trusts:
        authority.configure_trust(context)
    async with raw_server(http(), ssl=serving_as) as server, client(server.url, ssl=context) as galileo:
        error = await failure(galileo)
    assert type(error) is TLSError
    assert (len(error.attempts), len(server.requests)) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server(status):
    """A RedirectError after one attempt; the other server saw no request."""
    async with raw_server(http()) as other, raw_server(http(status, "", Location=f"{other.url}/x")) as server:
        async with client(server.url) as galileo:
            error = await failure(galileo)
    assert type(error) is RedirectError
    assert statuses(error) == [status]
    assert (len(server.requests), other.connections) == (1, 0)


# ---- refusals --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


class Noon(datetime):
    """A wall clock that stands."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        """Always noon."""
        return NOW


@pytest.mark.parametrize(
    ("asked", "luck", "expected"),
    [
        pytest.param("1", 0, 1.0, id="1 s, drawn early"),
        pytest.param("1", 1, 1.1, id="1 s, drawn late"),
        pytest.param(format_datetime(NOW + timedelta(seconds=1), usegmt=True), 0, 1.0, id="a date, drawn early"),
        pytest.param(format_datetime(NOW + timedelta(seconds=1), usegmt=True), 1, 1.1, id="a date, drawn late"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", 1, 0.0, id="a past date"),
        pytest.param("0", 1, 0.0, id="0"),
        *[pytest.param(odd, 1, 0.25, id=odd or "empty") for odd in ("-5", "abc", "inf", "1e9", "")],
        pytest.param("Sun, 06 Nov 2094 08:49:37 +99999999999999999999", 1, 0.25, id="a date in no time zone"),
    ],
)
def test_429_with_retry_after(monkeypatch, asked, luck, expected):
    """It is waited for, never less and at most 0.1 s more; what is no Retry-After leaves the usual backoff."""
    monkeypatch.setattr("galileo_sessions.client.responses.datetime", Noon)
    times: list[float] = []

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        times.append(asyncio.get_running_loop().time())
        writer.write(http(429, "", Retry_After=asked) if number == 1 else http())

    @fast(speed=5)
    async def count() -> None:
        async with raw_server(behave) as server, client(server.url, luck=luck) as galileo:
            assert await galileo.count(PROJECT) == 7

    count()
    assert len(times) == 2
    assert expected <= times[1] - times[0] < expected + 0.25


@pytest.mark.parametrize("asked", ["61", "999999999", "Sun, 06 Nov 2094 08:49:37 GMT"])
async def test_429_with_a_retry_after_above_the_cap(asked):
    """It is refused at once, and the error carries the number."""
    async with raw_server(http(429, "", Retry_After=asked)) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert type(error) is RateLimitedError
    assert error.retry_after > 60
    assert asked.startswith("Sun") or error.retry_after == float(asked)
    assert (len(error.attempts), len(server.requests)) == (1, 1)


@fast(speed=10)
async def test_a_retry_after_holds_for_everybody():
    """While one count waits for a Retry-After, no other one is sent, whether it waited already or comes later."""
    times: list[float] = []
    clock = asyncio.get_running_loop().time

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        times.append(clock())
        writer.write(http(429, "", Retry_After="2") if number == 1 else http())

    async with raw_server(behave) as server, client(server.url, limits=Limits(initial=1)) as galileo:
        first = asyncio.create_task(galileo.count_all(ids(10)))
        await until(lambda: len(times) == 1)
        await asyncio.sleep(1)
        second = await galileo.count_all(ids(10))
        assert ((await first).errors, second.errors) == ((), ())
    assert len(times) == 21
    assert min(times[1:]) - times[0] >= 2


class Quota(Service):
    """Takes so many requests a second, and refuses the rest with Retry-After: 1."""

    def __init__(self, a_second: int, window: str) -> None:
        super().__init__()
        self.a_second = a_second
        self.window = window
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.arrived: list[float] = []

    def used(self, now: float) -> int:
        """Requests taken in the second that counts: the current one of the clock, or the last one."""
        begin = int(now) if self.window == "fixed" else now - 1
        return sum(1 for at in self.taken[-self.a_second :] if at >= begin)

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Takes the request, or doesn't."""
        now = asyncio.get_running_loop().time()
        self.arrived.append(now)
        if self.used(now) < self.a_second:
            self.taken.append(now)
            asyncio.get_running_loop().call_later(0.02, answer, http())
        else:
            self.refused.append(now)
            answer(http(429, "", Retry_After="1"))


@pytest.mark.heavy
@pytest.mark.parametrize("window", ["fixed", "sliding"])
@fast(speed=3, debug=False)
async def test_429_storm(window):
    """200 a second, 1,000 counts: none fails, at most 1.1 requests per count, none is sent during a pause."""
    async with serving(Quota(200, window)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(1_000))
        assert idle(galileo)
    assert report.errors == ()
    assert report.total == 7_000
    late = 0.1  # what may be on its way as the refusal is: 33 ms of the wall's
    assert [at for at in service.arrived for no in service.refused if no + late < at < no + 1] == []
    assert service.requests <= 1_100


class Capacity(Service):
    """Takes so many requests at once, each of which takes a while, and refuses the rest."""

    def __init__(self, at_once: int, seconds: float) -> None:
        super().__init__()
        self.at_once = at_once
        self.seconds = seconds
        self.busy = self.most = 0

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Takes the request, or doesn't."""
        if self.busy >= self.at_once:
            answer(http(429, ""))
            return
        self.busy += 1
        self.most = max(self.most, self.busy)
        asyncio.get_running_loop().call_later(self.seconds, self.done, answer)

    def done(self, answer: Callable[[bytes], None]) -> None:
        """Answers, and has room again."""
        self.busy -= 1
        answer(http())


@pytest.mark.heavy
async def test_capacity_20():
    """20 at once, the rest 429, 5,000 counts: none fails, at most 1.05 requests per count."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Capacity(20, 0.006)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(5_000))
        assert idle(galileo)
    assert report.errors == ()
    assert (report.total, service.most) == (35_000, 20)
    assert service.requests <= 5_250


class Dead(Service):
    """Answers 503 for ever."""

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Refuses, after a while."""
        asyncio.get_running_loop().call_later(0.002, answer, http(503, ""))


@fast(speed=2, debug=False)
async def test_503_for_ever():
    """1,000 counts: at most 1.15 requests per count, and each count has its ServerError."""
    async with serving(Dead()) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(1_000))
        assert idle(galileo)
    assert [type(error) for error in report.errors] == [ServerError] * 1_000
    assert service.requests <= 1_150
    assert service.requests == sum(len(error.attempts) for error in report.errors)


async def test_500_twice_then_200():
    """Success, with 3 attempts listed."""
    async with raw_server(answers(http(500, "a"), http(500, "b"), http())) as server, client(server.url) as galileo:
        ((result),) = (await galileo.count_all([PROJECT])).results
    assert result.unwrap() == 7
    assert [(attempt.number, attempt.status) for attempt in result.attempts] == [(1, 500), (2, 500), (3, 200)]
    assert [type(attempt.error) for attempt in result.attempts] == [ServerError, ServerError, type(None)]


async def test_504_twice():
    """A ServerError after 2 attempts."""
    async with raw_server(answers(http(504, ""), http(504, ""), http())) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), statuses(error), len(server.requests)) == (ServerError, [504, 504], 2)


async def test_503_then_rst_for_ever():
    """The last real answer is raised rather than the trouble after it, and the attempts show both."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(http(503, "busy"))
        else:
            await reset(number, writer)

    async with raw_server(behave) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), error.status) == (ServerError, 503)
    assert statuses(error) == [503, None, None, None]
    assert [type(attempt.error) for attempt in error.attempts] == [ServerError] + [DisconnectedError] * 3


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, gs.BadRequestError),
        (403, gs.PermissionDeniedError),
        (404, NotFoundError),
        (409, gs.ResponseError),
        (501, ServerError),
    ],
)
async def test_statuses_that_stay(status, expected):
    """400 403 404 409 501 are mapped, after 1 attempt."""
    async with raw_server(http(status, "why")) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), statuses(error), len(server.requests)) == (expected, [status], 1)


@pytest.mark.parametrize(
    ("body", "issues"),
    [
        pytest.param('{"detail": [{"loc": ["body", "filters", 0], "msg": "bad", "type": "t"}]}', 1, id="list"),
        pytest.param('{"detail": "what it says"}', 0, id="string"),
        pytest.param("", 0, id="empty"),
        pytest.param("<html>sorry</html>", 0, id="HTML"),
        pytest.param("x" * 10_000_000, 0, id="10 MB"),
    ],
)
async def test_422(body, issues):
    """A ValidationError with its issues or the raw text, bounded, after 1 attempt."""
    async with raw_server(http(422, body)) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), len(error.issues), statuses(error)) == (ValidationError, issues, [422])
    assert error.body == body[:2048]
    assert len(str(error)) < 1_000
    assert len(pickle.dumps(error)) < 20_000


# ---- logins ----------------------------------------------------------------------------------------------------------


def token(number: int, **claims: object) -> str:
    """A JWT."""
    part = urlsafe_b64encode(json.dumps({"n": number, **claims}).encode()).rstrip(b"=").decode()
    return f"e30.{part}.sig"


class Guarded(Service):
    """Gives a new token for each login, and takes the newest."""

    def __init__(self, lifetime: float = 86_400) -> None:
        super().__init__()
        self.logins = 0
        self.lifetime = lifetime
        self.waiting: list[Callable[[bytes], None]] = []
        self.hold_until = 0
        self.good = ""
        self.status = 200

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Answers logins a little later, and counts at once, or all together once enough are there."""
        if request.startswith(b"POST /login "):
            self.logins += 1
            asyncio.get_running_loop().call_later(0.02, self.log_in, answer)
        elif self.hold_until:
            self.waiting.append(answer)
            if len(self.waiting) == self.hold_until:
                self.hold_until = 0
                for one in self.waiting:
                    one(http(401, "old"))
        else:
            answer(http() if self.good and self.good.encode() in request else http(401, "old"))

    def log_in(self, answer: Callable[[bytes], None]) -> None:
        """Makes a token, or refuses."""
        if self.status != 200:
            answer(http(self.status, "pa55-word is wrong"))
            return
        self.good = token(self.logins, exp=time() + self.lifetime)
        answer(http(200, json.dumps({"access_token": self.good})))


ANN = PasswordAuth("ann", "pa55-word")


async def test_401_once_with_100_in_flight():
    """A token that 100 counts find refused is replaced by exactly 1 login, and all 100 succeed."""
    async with serving(Guarded()) as service, client(service.url, auth=ANN, limits=WIDE) as galileo:
        assert await galileo.count(PROJECT) == 7
        assert service.logins == 1
        service.good, service.hold_until = "", 100
        assert await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100))) == [7] * 100
        assert idle(galileo)
    assert service.logins == 2
    assert len(service.waiting) == 100


async def test_401_for_ever():
    """A token that is refused again after one new login is an AuthenticationError, for each login made one count."""
    service = Guarded()
    async with serving(service), client(service.url, auth=ANN) as galileo:
        service.log_in = lambda answer: answer(http(200, '{"access_token": "never-good"}'))
        error = await failure(galileo)
    assert type(error) is gs.AuthenticationError
    assert (statuses(error), service.logins) == ([401, 401], 2)


async def test_401_without_a_retry_is_not_for_ever():
    """A client that makes no second attempt still doesn't hold on to a token that was refused."""
    async with serving(Guarded()) as service, client(service.url, auth=ANN, retry=Retry(attempts=1)) as galileo:
        assert await galileo.count(PROJECT) == 7
        service.good = ""
        with contextlib.suppress(gs.AuthenticationError):
            await galileo.count(PROJECT)
        assert await galileo.count(PROJECT) == 7
    assert service.logins == 2


@pytest.mark.parametrize("limits", [Limits(), WIDE], ids=["10 at once", "100 at once"])
async def test_wrong_password_with_100_in_flight(limits):
    """1 login, 100 LoginErrors, and no password anywhere."""
    service = Guarded()
    service.status = 401
    async with serving(service), client(service.url, auth=ANN, limits=limits) as galileo:
        outcomes = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100)), return_exceptions=True)
        assert idle(galileo)
    assert [type(outcome) for outcome in outcomes] == [LoginError] * 100
    assert (service.logins, service.requests) == (1, 1)
    assert "pa55-word" not in "".join(everything(outcome) for outcome in outcomes[::10])


async def test_login_hangs_and_its_first_waiter_is_cancelled():
    """The others get the token of the login that the first one began."""
    release = asyncio.Event()

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        if server.requests[number - 1].startswith(b"POST /login "):
            await release.wait()
            writer.write(http(200, '{"access_token": "t"}'))
        else:
            writer.write(http())

    async with raw_server(behave) as server, client(server.url, auth=ANN) as galileo:
        first, *others = (asyncio.create_task(galileo.count(PROJECT)) for _ in range(5))
        await until(lambda: server.requests)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        release.set()
        assert await asyncio.gather(*others) == [7] * 4
        assert idle(galileo)
    assert len([request for request in server.requests if request.startswith(b"POST /login ")]) == 1


@pytest.mark.parametrize(
    "answer", [http(200, "<html>log in</html>"), http(200, "{}"), http(200, '{"access_token": null}'), http(404, "")]
)
async def test_login_answers_html_or_no_token(answer):
    """A LoginError, after one login."""
    async with raw_server(answer) as server, client(server.url, auth=ANN) as galileo:
        error = await failure(galileo)
    assert (type(error), len(server.requests)) == (LoginError, 1)


async def test_login_answers_a_redirect():
    """A RedirectError; the other server never sees the password."""
    async with raw_server(http()) as other, raw_server(http(307, "", Location=f"{other.url}/login")) as server:
        async with client(server.url, auth=ANN) as galileo:
            error = await failure(galileo)
    assert (type(error), len(server.requests), other.connections) == (RedirectError, 1, 0)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 529])
async def test_login_is_in_trouble_once(status):
    """What is tried again for a count is tried again for a login: it says nothing of the password."""
    async with raw_server(answers(http(status, ""), http(200, '{"access_token": "t"}'), http())) as server:
        async with client(server.url, auth=ANN) as galileo:
            assert await galileo.count(PROJECT) == 7
    assert len(server.requests) == 3


@fast(speed=50)
async def test_login_that_never_comes_about_says_where():
    """A login that can't connect is an AttemptTimeoutError in phase connect, as a count would be."""
    with full_backlog() as url:
        async with client(url, auth=ANN, retry=Retry(attempts=1)) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
    assert (type(error), error.phase) == (AttemptTimeoutError, "connect")


async def test_a_token_that_lives_200_seconds():
    """1,000 counts need 1 login."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Guarded(200)) as service, client(service.url, auth=ANN) as galileo:
        report = await galileo.count_all(ids(1_000))
    assert (report.total, service.logins, service.requests) == (7_000, 1, 1_001)


# ---- answers ---------------------------------------------------------------------------------------------------------

NO_COUNTS = {**NOT_COUNTS, "100,000 levels": b'{"total_count": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"}


@pytest.mark.parametrize("body", NO_COUNTS.values(), ids=NO_COUNTS)
async def test_200_with_what_is_no_count(body):
    """A DecodeError each, after 1 attempt, for it would be the same again."""
    async with raw_server(http(200, body)) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), statuses(error), len(server.requests)) == (DecodeError, [200], 1)


async def test_200_as_text_plain():
    """A right body is accepted whatever its type is called."""
    async with raw_server(http(Content_Type="text/plain")) as server, client(server.url) as galileo:
        assert await galileo.count(PROJECT) == 7


async def a_gibibyte(number: int, writer: asyncio.StreamWriter) -> None:
    """Sends 1 GiB, for as long as somebody listens."""
    writer.write(http(200, b"", Content_Length=str(1 << 30)))
    chunk = b" " * 65_536
    for _ in range(1 << 14):
        writer.write(chunk)
        await writer.drain()


TOO_MUCH = {
    "a 1 GiB body": a_gibibyte,
    "a gzip bomb": http(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
    "broken gzip": http(200, b"\x1f\x8bnonsense", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("trouble", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_bodies_that_are_too_much(trouble):
    """A ProtocolError within 1 s, whatever is drawn, and at most 5 MB of memory for it."""
    async with raw_server(trouble) as server, client(server.url, luck=1) as galileo:
        tracemalloc.start()
        try:
            began = asyncio.get_running_loop().time()
            error = await failure(galileo)
            took = asyncio.get_running_loop().time() - began
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert idle(galileo)
    assert type(error) is ProtocolError
    assert peak < 5_000_000
    assert took < 1


async def test_what_a_failure_keeps_is_bounded():
    """A result that failed keeps 2 KiB of the answer, not the whole of it by way of a traceback."""
    asyncio.get_running_loop().set_debug(False)
    async with raw_server(http(404, "x" * 100_000)) as server, client(server.url) as galileo:
        await galileo.count_all(ids(20))
        tracemalloc.start()
        try:
            report = await galileo.count_all(ids(200))
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(report.errors) == 200
    assert kept / 200 < 20_000


# ---- leaving and deadlines -------------------------------------------------------------------------------------------


@asynccontextmanager
async def stuck(phase: str) -> AsyncIterator[tuple[GalileoSessions, Callable[[], object]]]:
    """A client whose next count gets stuck in a phase, and what tells that it is there."""
    async with contextlib.AsyncExitStack() as stack:
        if phase == "connecting":
            galileo = await stack.enter_async_context(client(stack.enter_context(full_backlog())))
            yield galileo, lambda: galileo._counter.gate.in_flight
            return
        behave = {"body": half_a_body, "backoff": http(503, "")}.get(phase, silence)
        server = await stack.enter_async_context(raw_server(behave))
        auth = {"auth": ANN} if phase == "login" else {}
        limits = Limits(initial=1, maximum=1) if phase == "queue" else Limits()
        galileo = await stack.enter_async_context(client(server.url, luck=1, limits=limits, **auth))
        if phase == "queue":
            first = asyncio.create_task(galileo.count(PROJECT))
            await until(lambda: server.requests)
            yield galileo, lambda: len(ours()) == 2
            assert [task for task in ours() if task is not first] == []
            assert galileo._counter.gate.in_flight == 1
            first.cancel()
            await asyncio.wait([first])
        elif phase == "backoff":
            yield galileo, lambda: server.requests and not galileo._counter.gate.in_flight
        else:
            yield galileo, lambda: server.requests


PHASES = ["queue", "connecting", "head", "body", "backoff", "login"]


@pytest.mark.parametrize("phase", PHASES)
async def test_cancelled_in(phase):
    """CancelledError passes; then nothing is in flight, no connection is held and no task is left."""
    async with stuck(phase) as (galileo, reached):
        width = galileo._counter.gate.width
        task = asyncio.create_task(galileo.count(PROJECT))
        await until(reached)
        await asyncio.sleep(0.02)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        if phase != "queue":
            assert ours() == []
            assert idle(galileo)
        assert galileo._counter.gate.width <= width
    assert idle(galileo)


@pytest.mark.parametrize("phase", PHASES)
async def test_the_callers_own_timeout_is_shorter(phase):
    """The caller's TimeoutError is raised, not one of ours."""
    async with stuck(phase) as (galileo, _):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await galileo.count(PROJECT)
        assert type(caught.value) is TimeoutError
    assert idle(galileo)


async def test_counts_that_nobody_waited_for_are_no_successes():
    """A service that hangs while its callers give up is not asked for more at once."""
    async with raw_server(silence) as server, client(server.url) as galileo:
        width = galileo._counter.gate.width
        for _ in range(3):
            tasks = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(width)]
            before = len(server.requests)
            await until(lambda before=before: len(server.requests) == before + width)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert galileo._counter.gate.width == width
        assert idle(galileo)


@fast(speed=5)
async def test_a_timeout_behind_a_full_queue():
    """count(timeout=1) that gets no place is a DeadlineExceededError at 1.0 s, and was never sent."""
    async with stuck("queue") as (galileo, _):
        error = await failure(galileo, timeout=1)
        assert type(error) is DeadlineExceededError
        assert 1.0 <= error.elapsed < 1.2
        assert (error.attempts, error.last) == ((), None)


@pytest.mark.parametrize(
    ("answer", "timeout"),
    [(http(503, ""), 0.25), (http(429, "", Retry_After="5"), 1), (http(503, "", Retry_After="60"), 59)],
    ids=["backoff", "Retry-After", "long Retry-After"],
)
async def test_a_backoff_that_would_pass_the_deadline(answer, timeout):
    """A DeadlineExceededError at once, without sleeping, that tells what the last attempt met."""
    async with raw_server(answer) as server, client(server.url, luck=1) as galileo:
        error = await failure(galileo, timeout=timeout)
    assert type(error) is DeadlineExceededError
    assert error.elapsed < 0.1
    assert isinstance(error.last, gs.ResponseError)
    assert (len(error.attempts), len(server.requests)) == (1, 1)


@fast(speed=5)
async def test_a_deadline_in_the_middle_of_an_attempt():
    """count(timeout=1) ends at 1.0 s, though the attempt might have 30 s."""
    async with raw_server(silence) as server, client(server.url) as galileo:
        error = await failure(galileo, timeout=1)
        assert idle(galileo)
        assert galileo._counter.gate.width == 10
    assert type(error) is DeadlineExceededError
    assert 1.0 <= error.elapsed < 1.2
    assert type(error.last) is AttemptTimeoutError


@pytest.mark.parametrize("status", [429, 503, 504])
async def test_a_deadline_hides_no_overload(status):
    """A refusal makes the queue narrower also for a count that has a `timeout=`: the service said so, not the clock."""
    async with raw_server(http(status, "")) as server, client(server.url, retry=Retry(attempts=1)) as galileo:
        await failure(galileo, timeout=5)
        assert galileo._counter.gate.width == 7


@fast(speed=10)
async def test_a_retry_after_holds_for_everybody_within_a_deadline():
    """Counts that have a `timeout=` keep the shared pause like any other."""
    times: list[float] = []
    clock = asyncio.get_running_loop().time

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        times.append(clock())
        writer.write(http(429, "", Retry_After="2") if number == 1 else http())

    async with raw_server(behave) as server, client(server.url) as galileo:
        first = asyncio.create_task(galileo.count(PROJECT, timeout=20))
        await until(lambda: len(times) == 1)
        await asyncio.sleep(0.5)
        assert await asyncio.gather(first, galileo.count(PROJECT, timeout=20)) == [7, 7]
    assert len(times) == 3
    assert times[1] - times[0] >= 2


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("door", "expected"), DOORS.values(), ids=DOORS)
async def test_stream_left_by(door, expected):
    """Break, an exception in the body and cancel end all that is under way."""
    async with numbered({number: slowly(60) for number in range(3, 100)}) as server, client(server.url) as galileo:

        async def use() -> None:
            async with galileo.count_many(ids(100)) as stream:
                await until(lambda: len(server.requests) > 5)
                await door(stream)

        (outcome,) = await asyncio.gather(asyncio.create_task(use()), return_exceptions=True)
        assert type(outcome) is (expected or type(None))
        assert idle(galileo)


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_stream_with_a_failing_source(how):
    """The results that came, then the source's own exception."""
    got: list[gs.CountResult] = []
    async with numbered() as server, client(server.url) as galileo:
        async with galileo.count_many(failing(how, 3, LookupError("theirs"))) as stream:
            with pytest.raises(LookupError, match="theirs"):
                await take_all(stream, got)
        assert idle(galileo)
    assert sorted(result.unwrap() for result in got) == [0, 1, 2]


async def test_stream_with_a_slow_consumer():
    """Nothing is lost, and no more than the window is ever sent ahead."""
    async with numbered() as server, client(server.url) as galileo:
        counts = []
        async with galileo.count_many(ids(30), concurrency=3) as stream:
            async for result in stream:
                await asyncio.sleep(0.005)
                counts.append(result.unwrap())
                assert len(server.requests) <= len(counts) + 6
        assert idle(galileo)
    assert sorted(counts) == list(range(30))


@pytest.mark.parametrize("targets", [[], ids(1), [PROJECT] * 20], ids=["empty input", "one item", "duplicates"])
async def test_stream_over(targets):
    """As many results as targets."""
    async with raw_server(http()) as server, client(server.url) as galileo:
        report = await galileo.count_all(one_by_one(targets))
        assert idle(galileo)
    assert report.counts == (7,) * len(targets)
    assert len(server.requests) == len(targets)


async def test_stream_ordered_with_one_slow_item():
    """The slow one's result is in its place."""
    async with numbered({2: slowly(0.1, 2)}) as server, client(server.url) as galileo:
        async with galileo.count_many(ids(30), concurrency=4, ordered=True) as stream:
            assert [result.unwrap() async for result in stream] == list(range(30))
        assert idle(galileo)


async def test_stream_with_fail_fast():
    """The first error ends it all."""
    async with numbered({2: http(404, ""), 3: slowly(60)}) as server, client(server.url) as galileo:
        with pytest.raises(NotFoundError):
            await galileo.count_all(ids(100), fail_fast=True)
        assert idle(galileo)


async def test_stream_with_a_deadline():
    """Targets not counted by then have a DeadlineExceededError."""
    async with numbered({number: slowly(60) for number in range(5, 20)}) as server, client(server.url) as galileo:
        report = await galileo.count_all(ids(20), timeout=0.5)
        assert idle(galileo)
    assert report.counts[:5] == (0, 1, 2, 3, 4)
    assert [type(error) for error in report.errors] == [DeadlineExceededError] * 15


async def test_stream_with_a_progress_callback_that_raises(caplog):
    """It is logged, and loses nothing."""
    async with numbered() as server, client(server.url) as galileo:
        report = await galileo.count_all(ids(3), on_progress=lambda progress: 1 / 0)
        assert idle(galileo)
    assert report.counts == (0, 1, 2)
    assert len([record for record in caplog.records if record.exc_info]) == 3


class Chaotic(Service):
    """Does something else with each request, the same in each run."""

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(7)

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Answers well, late, badly, in part or not at all."""
        later = asyncio.get_running_loop().call_later
        match self.random.randrange(12):
            case 0:
                answer(http(503, ""))
            case 1:
                answer(http(429, "", Retry_After="0"))
            case 2:
                answer(b"garbage\r\n\r\n")
            case 3:
                answer.__self__.transport.abort()
            case 4:
                answer(http()[:-3])
                later(0.001, answer.__self__.transport.close)
            case 5:
                answer(http()[:-3])  # and nothing more
            case 6:
                later(0.01, answer, http())
            case _:
                answer(http())


@pytest.mark.parametrize("ordered", [False, True])
async def test_all_troubles_at_once(ordered):
    """Each target has one result, a count or an error of the tree, and nothing is left when all is over."""
    asyncio.get_running_loop().set_debug(False)
    arguments = {"timeouts": Timeouts(attempt=0.1), "limits": Limits(initial=30), "retry": Retry(backoff=0.01)}
    async with serving(Chaotic()) as service, client(service.url, luck=0.5, **arguments) as galileo:
        singles = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(60)]
        for number, single in enumerate(singles[::2]):
            asyncio.get_running_loop().call_later(number * 0.003, single.cancel)
        async with galileo.count_many(ids(200), ordered=ordered) as stream:
            results = [result async for result in stream]
        outcomes = await asyncio.gather(*singles, return_exceptions=True)
        assert idle(galileo)
        await until(lambda: len(service.connections) <= 64)
    indices = [result.index for result in results]
    assert (indices if ordered else sorted(indices)) == list(range(200))
    assert {result.total_count for result in results if result.ok} == {7}
    assert all(isinstance(result.error, GalileoError) for result in results if not result.ok)
    assert all(1 <= len(result.attempts) <= 4 for result in results)
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, GalileoError)} <= {
        int,
        asyncio.CancelledError,
    }


# Counts 100,000 times over a stream, as a process of its own, so that its memory is nobody else's.
FLOOD = """
import asyncio, json, os, sys, time
from uuid import UUID
from galileo_sessions import GalileoSessions

def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main(url, how_many):
    async with GalileoSessions("k", base_url=url) as galileo:
        await galileo.count_all(str(UUID(int=number)) for number in range(2_000))
        before = most = memory()
        seen, first, began = bytearray(how_many), None, time.perf_counter()
        async with galileo.count_many(str(UUID(int=number)) for number in range(how_many)) as stream:
            async for result in stream:
                if first is None:
                    first = time.perf_counter() - began
                seen[result.index] += result.unwrap() == result.query.project_id.endswith(f"{result.index:x}") + 6
                if result.index % 1_000 == 0:
                    most = max(most, memory())
        took = time.perf_counter() - began
    print(json.dumps({"once": seen == b"\\1" * how_many, "first": first, "took": took, "memory": most - before}))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def run_program(program: str, *arguments: str) -> dict:
    """What a program prints, as JSON; it must print nothing else."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-c", program, *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return json.loads(out)


class Tallying(Service):
    """Notes how often each project was asked for."""

    def __init__(self, how_many: int) -> None:
        super().__init__()
        self.seen = bytearray(how_many)
        self.answers = http()

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7."""
        self.seen[int(request[36:54].replace(b"-", b""), 16)] += 1
        answer(self.answers)


@pytest.mark.heavy
async def test_100_000_counts():
    """At most 20 MB of memory more, the first result within 0.2 s, and every index exactly once."""
    asyncio.get_running_loop().set_debug(False)
    how_many = 100_000
    async with serving(Tallying(how_many)) as service:
        told = await run_program(FLOOD, service.url, str(how_many))
    assert told["once"]
    assert set(service.seen[2_000:]) == {1}
    assert told["memory"] <= 20_000_000
    assert told["first"] <= 0.2


# ---- limits of the machine -------------------------------------------------------------------------------------------

FEW_SOCKETS = """
import asyncio, json, resource, sys, time
from galileo_sessions import ConnectError, GalileoSessions, Limits

async def main(url, project):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with GalileoSessions("k", base_url=url, limits=Limits(initial=200, maximum=200)) as galileo:
        began = time.perf_counter()
        report = await galileo.count_all([project] * 400, concurrency=200)
        took = time.perf_counter() - began
    print(json.dumps({
        "took": took,
        "good": sum(result.ok for result in report.results),
        "kinds": sorted({type(error).__name__ for error in report.errors}),
        "hinted": all("ulimit" in str(error) and "Limits" in str(error) for error in report.errors),
        "attempts": sum(len(result.attempts) for result in report.results),
    }))

asyncio.run(main(*sys.argv[1:]))
"""


class Slow(Service):
    """Takes 50 ms for each request, so that nobody's connection is free."""

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7, later."""
        asyncio.get_running_loop().call_later(0.05, answer, http())


async def test_64_file_descriptors_with_concurrency_200():
    """What finds no socket is a ConnectError with the hint; there is no storm of attempts."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Slow()) as service:
        told = await run_program(FEW_SOCKETS, service.url, PROJECT)
    assert told["kinds"] in ([], ["ConnectError"])
    assert told["hinted"]
    assert told["good"] >= 50
    assert told["good"] == service.requests
    assert told["attempts"] <= 400 + (500 + told["good"]) / 5
    assert told["took"] < 5


# ---- sessions, loops, proxies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["base_url", "raise_for_status", "total", "limit", "limit_per_host"])
async def test_injected_session_with(setting):
    """Our rules win over the session's, which stays open."""
    settings = {
        "base_url": {"base_url": "http://127.0.0.1:9"},
        "raise_for_status": {"raise_for_status": True},
        "total": {"timeout": aiohttp.ClientTimeout(total=0.01)},
        "limit": {"connector": aiohttp.TCPConnector(limit=1)},
        "limit_per_host": {"connector": aiohttp.TCPConnector(limit_per_host=1)},
    }[setting]
    special = {number: slowly(0.05, number) for number in range(1, 20)} | {0: http(404, "gone")}
    async with numbered(special) as server, aiohttp.ClientSession(**settings) as session:
        async with client(server.url, session=session, timeouts=Timeouts(attempt=0.6)) as galileo:
            report = await galileo.count_all(ids(20))
        assert not session.closed
    assert [type(error) for error in report.errors] == [NotFoundError]
    assert report.counts[1:] == tuple(range(1, 20))
    assert {len(result.attempts) for result in report.results} == {1}
    assert len(server.requests) == 20


async def test_injected_session_with_auth_or_closed():
    """A session that would send credentials of its own, and a closed one, are ConfigurationErrors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp deprecates what is tested
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("u", "p"))
    async with session:
        with pytest.raises(ConfigurationError, match="auth="):
            GalileoSessions("k", session=session)
    closed = aiohttp.ClientSession()
    await closed.close()
    async with raw_server(http()) as server, client(server.url, session=closed) as galileo:
        error = await failure(galileo)
        assert (type(error), len(error.attempts)) == (ConfigurationError, 1)
        report = await galileo.count_all(ids(2))
    assert [type(error) for error in report.errors] == [ConfigurationError] * 2
    assert server.connections == 0


def test_second_asyncio_run():
    """A client that was used in one event loop says so in another, one count or many; it may be made outside of any."""
    galileo = client("http://127.0.0.1:9")

    async def use() -> list[type]:
        return [type(error) for error in (await galileo.count_all(ids(2))).errors]

    assert asyncio.run(use()) == [ConnectError] * 2
    assert asyncio.run(use()) == [ConfigurationError] * 2
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(galileo.count(PROJECT))
    asyncio.run(galileo.close())


async def test_never_closed():
    """After a fan-out, too, a client that is forgotten is one ResourceWarning that names our class."""
    async with raw_server(http()) as server:
        galileo = client(server.url)
        assert (await galileo.count_all(ids(5))).total == 35
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del galileo
            gc.collect()
            await until(lambda: not server.open)
            gc.collect()
    assert [(w.category, "unclosed GalileoSessions(" in str(w.message)) for w in caught] == [(ResourceWarning, True)]


@pytest.mark.parametrize("trust_env", [True, False])
async def test_proxies_in_the_environment_and_a_netrc(monkeypatch, tmp_path, trust_env):
    """They are used only with `trust_env`, and the netrc never."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        raw_server(http(200, '{"total_count":1}')) as proxy,
        raw_server(http(200, '{"total_count":2}')) as server,
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with client(server.url, trust_env=trust_env) as galileo:
            report = await galileo.count_all(ids(10))
    assert report.counts == (1 if trust_env else 2,) * 10
    assert (len(proxy.requests), len(server.requests)) == ((10, 0) if trust_env else (0, 10))
    assert b"authorization" not in b"".join(proxy.requests + server.requests).lower()


@pytest.mark.parametrize("proxy", [3, "nonsense", "127.0.0.1:8080"], ids=repr)
async def test_a_proxy_that_cannot_be(proxy):
    """What is no URL of a proxy is a ConfigurationError that names `proxy`, not the base URL."""
    with pytest.raises(ConfigurationError, match="proxy"):
        async with client("http://127.0.0.1:9", proxy=proxy) as galileo:
            await galileo.count(PROJECT)


# ---- secrets ---------------------------------------------------------------------------------------------------------

PASSWORD, KEY = "pa55 word&", "k3y-0123456789abcdefghijklmnopqrstuvwxyz"


def forms(secret: str) -> set[str]:
    """A secret as it is, and as quotes and JSON would have it."""
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}


def all_told(report: gs.CountReport) -> str:
    """All that may be seen of a report."""
    texts = [repr(report), repr(pickle.dumps(report)), *(everything(error) for error in report.errors)]
    with pytest.raises(ExceptionGroup) as caught:
        report.raise_for_errors()
    return "\n".join([*texts, everything(caught.value)])


TROUBLE = {
    "503 that repeats": http(503, f"{PASSWORD} {KEY}", X_Echo=f"{PASSWORD} {KEY}"),
    "429 that repeats": http(429, f'{{"detail": "{PASSWORD} {KEY}"}}', Retry_After="0"),
    "429 above the cap": http(429, f"{PASSWORD} {KEY}", Retry_After="100"),
    "FIN": hang_up,
    "RST": reset,
    "garbage": cut(f"{PASSWORD} {KEY}\r\n\r\n".encode()),
    "too long": http(200, f"{PASSWORD} {KEY}" * 10_000),
    "no count": http(200, f'{{"{KEY}": "{PASSWORD}"}}'),
    "silence": silence,
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("auth", [gs.ApiKeyAuth(KEY), BasicAuth("ann", PASSWORD)], ids=["key", "basic"])
async def test_no_secret_in_what_retries_tell(auth, trouble, caplog):
    """However many attempts an error lists, and however many errors a report, they hold no credential."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    heard: list[gs.Attempt] = []
    arguments = {"auth": auth, "timeouts": Timeouts(attempt=0.05), "retry": Retry(attempts=2)}
    async with raw_server(trouble) as server, client(server.url, on_attempt=heard.append, **arguments) as galileo:
        report = await galileo.count_all(ids(3), Col("input").contains("x"))
    assert len(report.errors) == 3
    told = all_told(report) + caplog.text + repr(heard)
    secret = KEY if isinstance(auth, gs.ApiKeyAuth) else PASSWORD
    assert [form for form in forms(secret) if form in told] == []


LOGIN_TROUBLE = {
    "redirect": http(302, "", Location="https://x.io/login?user=ann&password=pa55+word%26"),
    "redirect unquoted": http(302, "", Location=f"https://x.io/login?password={PASSWORD}"),
    "503": http(503, PASSWORD, X_Echo=PASSWORD),
    "429": http(429, PASSWORD, X_Echo=PASSWORD, Retry_After="0"),
    "422": http(422, f'{{"detail": [{{"loc": ["body", "password"], "msg": "{PASSWORD}", "type": "x"}}]}}'),
    "no token": http(200, PASSWORD, X_Echo=PASSWORD),
    "garbage": cut(f"{PASSWORD}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("trouble", LOGIN_TROUBLE.values(), ids=LOGIN_TROUBLE)
async def test_no_password_in_what_a_login_meets(trouble, caplog):
    """Whatever /login answers, be it the password itself, it isn't told."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    async with raw_server(trouble) as server, client(server.url, auth=PasswordAuth("ann", PASSWORD)) as galileo:
        told = everything(await failure(galileo)) + caplog.text
    assert [form for form in (PASSWORD, "pa55+word%26") if form in told] == []


@pytest.mark.parametrize("before", [0, 8, 16, 24, 40, 2_004, 2_012, 2_028, 2_044])
async def test_no_part_of_a_key_that_a_cut_goes_through(before):
    """A key that the shortening of a body cuts through isn't told in part."""
    body = "." * before + KEY + "." * 300
    async with raw_server(http(400, body)) as server, client(server.url, auth=gs.ApiKeyAuth(KEY)) as galileo:
        error = await failure(galileo)
    told = str(error) + error.body
    assert [KEY[at : at + 8] for at in range(len(KEY) - 8) if KEY[at : at + 8] in told] == []


@pytest.mark.parametrize("secret", ["pa'5\\5", 'pa"55', "pa\\55", "'\"pa55"], ids=repr)
@pytest.mark.parametrize("kind", ["text", "JSON"])
async def test_no_secret_with_quotes(secret, kind):
    """A password that quoting changes isn't told in its quoted form."""
    body = f"is {secret} right?" if kind == "text" else json.dumps({"detail": f"is {secret} right?"})
    async with raw_server(http(400, body)) as server, client(server.url, auth=BasicAuth("ann", secret)) as galileo:
        told = everything(await failure(galileo))
    assert [form for form in forms(secret) | {repr(json.dumps(secret))[2:-2]} if form in told] == []


async def test_no_token_of_yesterday():
    """A token that has been replaced in the meantime isn't told either."""
    hold = asyncio.Event()
    logins = 0

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        request = server.requests[number - 1]
        if request.startswith(b"POST /login "):
            logins += 1
            writer.write(http(200, f'{{"access_token": "t0ken-{logins}-77aa"}}'))
        elif number_of(request) == 1:
            await hold.wait()
            writer.write(http(422, '{"detail": "what is t0ken-1-77aa?"}'))
        else:
            writer.write(http(401, "") if b"t0ken-1-77aa" in request else http())

    async with raw_server(behave) as server, client(server.url, auth=ANN) as galileo:
        held = asyncio.create_task(galileo.count(UUID(int=1)))
        await until(lambda: len(server.requests) == 2)
        assert await galileo.count(UUID(int=2)) == 7
        assert logins == 2
        hold.set()
        with pytest.raises(ValidationError) as caught:
            await held
    assert "t0ken-1-77aa" not in everything(caught.value)
