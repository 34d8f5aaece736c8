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
    """Answers each request rightly, a little later, and keeps the ways to the clients."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, _: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await asyncio.sleep(SOON)
        writer.write(right_answer(request))

    async def send(self, data: bytes, *, read: bool) -> None:
        """Sends what nobody has asked for, or hangs up, on all connections; returns when it is read, or before."""
        for writer in {*self.writers}:
            writer.write(data) if data else writer.close()
        if read:
            await asyncio.sleep(SOON)


# ---- statuses that the answer can follow -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 504, 524])
@pytest.mark.parametrize("last", [0, 9], ids=["at once", "in two parts"])
@OWN_AND_INJECTED
@virtual_time
async def test_an_answer_that_comes_after_an_error_is_no_other_counts(injected, last, status):
    """The error's page is read, then its connection is closed: each count is right, also if the answer follows."""
    attempts = list[Attempt]()

    async def answer(nth: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        if nth == 3:
            page = http(status, "no answer in time")
            begin = len(page) - last
            writer.write(page[:begin])
            await asyncio.sleep(SOON)
            writer.write(page[begin:])
            answers = right_answer(request)
            asyncio.get_running_loop().call_later(SOON, lambda: writer.is_closing() or writer.write(answers))
        else:
            await asyncio.sleep(3 * SOON)  # the late answer would be first
            writer.write(right_answer(request))

    async with answering(answer, injected=injected, on_attempt=attempts.append) as (server, galileo):
        assert [await galileo.count(project) for project in ids(8)] == [*range(8)]
        await until(lambda: server.open == 1)
    assert (attempts[2].status, attempts[2].error.body) == (status, "no answer in time")
    assert (server.connections, len(server.requests)) == (2, 9)


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_a_connection_is_kept_after_a_refusal(status):

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
    "its end": b"",
}


@pytest.mark.parametrize("at_once", [1, 20])
@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
@OWN_AND_INJECTED
@virtual_time
async def test_a_connection_with_something_unasked_is_not_used_again(injected, unasked, read, at_once):
    """If something has arrived on idle connections, the next counts use others, in their first attempts."""
    attempts, keeping = list[Attempt](), Keeping()
    async with answering(keeping, injected=injected, on_attempt=attempts.append) as (server, galileo):
        assert (await galileo.count_all(ids(20), concurrency=at_once)).counts == tuple(range(20))
        before = server.connections
        assert before == 1 or before > 5
        await keeping.send(unasked, read=read)
        assert (await galileo.count_all(ids(20), concurrency=at_once)).counts == tuple(range(20))
        await until(lambda: server.open == server.connections - before)
    assert {attempt.number for attempt in attempts} == {1}
    assert not {*keeping.writers[:20]} & {*keeping.writers[20:]}
    assert len(server.requests) == 40


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@virtual_time
async def test_logins_and_columns_are_no_other_requests_answers(read):
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


@pytest.mark.parametrize("can_look", [True, False], ids=["any aiohttp", "one that doesn't show its connections"])
async def test_a_server_can_refuse_a_connection_with_an_error(monkeypatch, can_look):
    """A 503 that a server sends as soon as it is connected, before the request, raises ServerError."""
    monkeypatch.setattr(transport, "CAN_LOOK", can_look)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(503, "too many connections"))
        await reader.read()
        writer.close()

    async def wait(*_: object) -> None:
        await asyncio.sleep(SOON)

    tracer = aiohttp.TraceConfig()
    tracer.on_connection_create_end.append(wait)
    async with listening(refuse) as url, aiohttp.ClientSession(trace_configs=[tracer]) as session:
        with nullcontext() if can_look else pytest.warns(RuntimeWarning, match="doesn't show"):
            galileo = client(url, session=session, retry=Retry(attempts=1))
        async with galileo:
            error = await failure(galileo)
    assert (type(error), error.status, error.body) == (ServerError, 503, "too many connections")


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
