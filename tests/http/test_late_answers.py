"""Each answer belongs to its request: what a server sends late, or unasked, answers no request."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from types import NoneType

import aiohttp
import pytest
from support.clients import ANN, client, connected, failure, ids
from support.clock import virtual_time
from support.proxies import HOST, tls, tunnelling
from support.sockets import PROJECT, RawServer, http, listening, number_of, raw_server, until

from galileo_sessions import Attempt, ColumnCatalog, GalileoSessions, ProtocolError, Retry, ServerError, dump_catalog
from galileo_sessions.http import connections, transport

SOON = 0.015  # seconds after which a late answer arrives
CATALOG = ColumnCatalog.of(input="text")
OWN_AND_INJECTED = pytest.mark.parametrize("injected", [False, True], ids=["own session", "injected session"])


def right_answer(request: bytes) -> bytes:
    """A token, a project's columns, or n sessions in project n."""
    if request.startswith(b"POST /login "):
        return http(200, '{"access_token": "t-1"}')
    if b"/available_columns " in request:
        return http(200, json.dumps(dump_catalog(CATALOG)))
    return http(200, f'{{"total_count":{number_of(request)}}}')


def later(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Sends the bytes soon, unless the client has hung up by then."""
    asyncio.get_running_loop().call_later(SOON, lambda: writer.is_closing() or writer.write(data))


@asynccontextmanager
async def answering(
    answer: Callable[[int, bytes, asyncio.StreamWriter], Awaitable[None]], *, injected: bool = False, **settings: object
) -> AsyncIterator[tuple[RawServer, GalileoSessions]]:
    """A server that calls `answer(nth, request, writer)`; and its client, with a session of its own or injected."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await answer(nth, server.requests[nth - 1], writer)

    async with aiohttp.ClientSession() if injected else nullcontext() as session:
        async with connected(behave, **{"session": session, "check": False, **settings}) as (server, galileo):
            yield server, galileo


class Keeping:
    """Answers each request rightly, and keeps the way to the client of the last one."""

    async def __call__(self, _: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(right_answer(request))

    async def send(self, data: bytes, *, read: bool) -> None:
        """Sends bytes that nobody has asked for, and returns when aiohttp has read them, or before that."""
        self.writer.write(data)
        if read:
            await asyncio.sleep(SOON)


# ---- statuses that the answer can follow -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 504, 524])
@OWN_AND_INJECTED
@virtual_time
async def test_an_answer_that_comes_after_an_error_is_no_other_counts(injected, status):
    """If an error precedes the answer to the same request, its connection is closed, and each count is right."""

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        if nth == 3:
            writer.write(http(status, "no answer in time"))
            later(writer, right_answer(request))
        else:
            await asyncio.sleep(2 * SOON)  # the late answer would be first
            writer.write(right_answer(request))

    async with answering(answer, injected=injected) as (server, galileo):
        assert [await galileo.count(project) for project in ids(8)] == [*range(8)]
        await until(lambda: server.open == 1)
    assert (server.connections, len(server.requests)) == (2, 9)


@pytest.mark.parametrize("status", [408, 504])
@pytest.mark.parametrize("last", [0, 9], ids=["at once", "in two parts"])
@OWN_AND_INJECTED
@virtual_time
async def test_the_page_of_an_error_is_read_before_its_connection_is_closed(injected, last, status):
    """The error has the page's text, also if that arrives after the head, and then the connection is closed."""

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        page = http(status, "no answer in time")
        begin = len(page) - last
        writer.write(page[:begin])
        await asyncio.sleep(SOON)
        writer.write(page[begin:])

    async with answering(answer, injected=injected, retry=Retry(attempts=1)) as (server, galileo):
        error = await failure(galileo)
        await until(lambda: not server.open)
    assert (error.status, error.body) == (status, "no answer in time")


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_a_connection_is_kept_after_a_refusal(status):
    """A service that refuses a request has answered it, and its connection is used again."""

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(http(status, "no") if nth % 2 else right_answer(request))

    async with answering(answer, retry=Retry(attempts=1)) as (server, galileo):
        for project in ids(6):
            await asyncio.gather(galileo.count(project), return_exceptions=True)
    assert (server.connections, len(server.requests)) == (1, 6)


# ---- idle connections ------------------------------------------------------------------------------------------------

UNASKED = {
    "an answer": http(200, '{"total_count":99}'),
    "two answers": http(200, '{"total_count":99}') * 2,
    "a part of an answer": http(200, '{"total_count":99}')[:-3],
    "the head of a timeout": http(408, "", Content_Length="9"),
}


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
@OWN_AND_INJECTED
@virtual_time
async def test_a_connection_with_something_unasked_is_not_used_again(injected, unasked, read):
    """If something has arrived on an idle connection, the next count uses another one, in its first attempt."""
    attempts, keeping = list[Attempt](), Keeping()
    async with answering(keeping, injected=injected, on_attempt=attempts.append) as (server, galileo):
        assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
        await keeping.send(unasked, read=read)
        assert [await galileo.count(project) for project in ids(8)] == [*range(8)]
        await until(lambda: server.open == 1)
    assert [attempt.number for attempt in attempts] == [1] * 11
    assert (server.connections, len(server.requests)) == (2, 11)


@virtual_time
async def test_all_idle_connections_are_looked_at():
    """After a fan-out, no connection on which something has arrived is used for the next one."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await asyncio.sleep(SOON)
        writer.write(right_answer(request))

    async with answering(answer) as (server, galileo):
        assert (await galileo.count_all(ids(40))).counts == tuple(range(40))
        for writer in {*writers}:
            writer.write(http(200, '{"total_count":99}'))
        await asyncio.sleep(SOON)
        before = server.connections
        report = await galileo.count_all(ids(40))
        assert report.counts == tuple(range(40))
        assert {len(result.attempts) for result in report.results} == {1}
    assert before > 5
    assert not {*writers[:40]} & {*writers[40:]}


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@virtual_time
async def test_logins_and_columns_are_no_other_requests_answers(read):
    """A login and the request for a project's columns don't take what has arrived either."""
    keeping = Keeping()
    async with answering(keeping, auth=ANN) as (server, galileo):
        assert await galileo.count(ids(2)[1]) == 1
        await keeping.send(http(200, '{"total_count":99}'), read=read)
        assert await galileo.columns(PROJECT) == CATALOG
        await keeping.send(http(401, ""), read=read)
        assert await galileo.count(ids(3)[2]) == 2
    assert server.connections == 3
    assert [b"/login " in request for request in server.requests] == [True, False, False, False]


@pytest.mark.parametrize("how", ["TLS", "tunnel"])
async def test_a_connection_of_any_kind_is_looked_at(how):
    """What has arrived with TLS, or in a proxy's tunnel, is no answer."""
    keeping, (serving, trusting) = Keeping(), tls("127.0.0.1" if how == "TLS" else HOST)

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await keeping(nth, server.requests[nth - 1], writer)

    async with raw_server(behave, ssl=serving) as server, tunnelling(int(server.url.rpartition(":")[2])) as proxy:
        url, way = (server.url, None) if how == "TLS" else (f"https://{HOST}", f"http://{proxy.address}")
        async with client(url, check=False, ssl=trusting, proxy=way) as galileo:
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
            assert server.connections == 1
            await keeping.send(http(200, '{"total_count":99}'), read=how == "tunnel")
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert server.connections == 2


# ---- connections that the client hasn't used -------------------------------------------------------------------------


async def test_a_connection_that_the_sessions_owner_used_is_looked_at():
    """What has arrived after a request of the owner's of an injected session is no count, but a failed attempt."""
    keeping, attempts = Keeping(), list[Attempt]()
    async with aiohttp.ClientSession() as session:
        async with answering(keeping, session=session, on_attempt=attempts.append) as (server, galileo):
            async with session.post(f"{server.url}/login", data=b"") as response:
                assert await response.json() == {"access_token": "t-1"}
            await keeping.send(http(200, '{"total_count":99}'), read=True)
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert [type(attempt.error) for attempt in attempts] == [ProtocolError, NoneType, NoneType, NoneType]
    assert "before the request was sent" in str(attempts[0].error)
    assert server.connections == 2


@asynccontextmanager
async def refused_connections() -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A server that sends a 503 as soon as it is connected, and a session that sends its request only then."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(503, "too many connections"))
        await reader.read()
        writer.close()

    async def wait(*_: object) -> None:
        await asyncio.sleep(SOON)

    tracer = aiohttp.TraceConfig()
    tracer.on_connection_create_end.append(wait)
    async with listening(talk) as url, aiohttp.ClientSession(trace_configs=[tracer]) as session:
        yield url, session


async def test_a_server_can_refuse_a_connection_with_an_error():
    """A server that sends a 503 as soon as it is connected raises ServerError."""
    async with refused_connections() as (url, session):
        async with client(url, session=session, retry=Retry(attempts=1)) as galileo:
            error = await failure(galileo)
    assert (type(error), error.status, error.body) == (ServerError, 503, "too many connections")


# ---- another aiohttp -------------------------------------------------------------------------------------------------


async def test_such_an_aiohttp_reads_an_error_that_comes_before_the_request(monkeypatch):
    """A server that refuses the connection with a 503 raises ServerError all the same."""
    monkeypatch.setattr(transport, "CAN_LOOK", False)
    async with refused_connections() as (url, session):
        with pytest.warns(RuntimeWarning, match="doesn't show"):
            galileo = client(url, session=session, retry=Retry(attempts=1))
        async with galileo:
            assert type(await failure(galileo)) is ServerError


@OWN_AND_INJECTED
async def test_an_aiohttp_that_does_not_show_its_connections(monkeypatch, injected):
    """With an aiohttp in which a connection can't be looked at, the client warns, and asks that each be closed."""
    monkeypatch.setitem(sys.modules, "aiohttp.client_proto", None)
    monkeypatch.setattr(transport, "CAN_LOOK", connections._can_look())

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        closes = b"\r\nConnection: close\r\n" in request
        writer.write(right_answer(request))
        if closes:
            writer.close()

    with pytest.warns(RuntimeWarning, match=f"aiohttp {aiohttp.__version__} doesn't show"):
        async with answering(answer, injected=injected) as (server, galileo):
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert (server.connections, len(server.requests)) == (3, 3)
