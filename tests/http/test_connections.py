"""Connections: each answer belongs to its request; and what becomes of aiohttp's sessions, loops and descriptors."""

import asyncio
import gc
import json
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import NoneType

import aiohttp
import pytest
from support.clients import client, connected, failure, ids
from support.clock import virtual_time
from support.private import MAX_BODY, connector
from support.proxies import HOST, tls, tunnelling
from support.sockets import PROJECT, RawServer, Service, http, listening, number_of, raw_server, serving, slowly, until

import galileo_sessions as gs
from galileo_sessions import Attempt, GalileoSessions, ProtocolError, Retry, ServerError
from galileo_sessions.http import connections, transport
from galileo_sessions.local import LocalGalileo

SOON = 0.015  # seconds after which a late answer arrives
ONCE = Retry(attempts=1)
UNASKED = http(200, '{"total_count":99}')
CATALOG = gs.ColumnCatalog.of(input="text")
OWN_AND_INJECTED = pytest.mark.parametrize("new_session", [nullcontext, aiohttp.ClientSession], ids=["own", "injected"])


def right_answer(request: bytes) -> bytes:
    """A project's columns, or n sessions in project n."""
    if b"/available_columns " in request:
        return http(200, json.dumps(gs.dump_catalog(CATALOG)))
    return http(200, f'{{"total_count":{number_of(request)}}}')


class Keeping:
    """The behaviour of a server that answers each request rightly, a little later, and keeps the ways to clients."""

    def __init__(self) -> None:
        self.server = RawServer("")
        self.writers: list[asyncio.StreamWriter] = []

    async def __call__(self, nth: int, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await asyncio.sleep(SOON)
        writer.write(right_answer(self.server.requests[nth - 1]))

    async def send(self, data: bytes, *, read: bool) -> None:
        """Sends what nobody has asked for, or hangs up, on all connections; returns when it is read, or before."""
        for writer in {*self.writers}:
            writer.write(data) if data else writer.close()
        if read:
            await asyncio.sleep(SOON)


# ---- each answer belongs to its request ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 504, 524])
@pytest.mark.parametrize("last", [0, 9], ids=["at once", "in two parts"])
@OWN_AND_INJECTED
@virtual_time
async def test_an_answer_that_comes_after_an_error_is_no_other_counts(new_session, last, status):
    """The error's page is read, then its connection is closed: each count is right, also if the answer follows."""
    attempts = list[Attempt]()

    async def fail_once(writer: asyncio.StreamWriter) -> None:
        if len(attempts) == 2:
            page = http(status, "no answer in time")
            writer.write(page[: len(page) - last])
            await asyncio.sleep(SOON)
            writer.write(page[len(page) - last :])
            asyncio.get_running_loop().call_later(SOON, lambda: writer.is_closing() or writer.write(UNASKED))
        else:
            await slowly(3 * SOON, 2)(writer)

    service = {2: fail_once} | {number: slowly(3 * SOON, number) for number in range(3, 8)}  # UNASKED would be first
    async with new_session() as session:
        settings = {"session": session, "check": False, "on_attempt": attempts.append}
        async with connected(service, **settings) as (server, galileo):
            assert [await galileo.count(project) for project in ids(8)] == [*range(8)]
            await until(lambda: server.open == 1)
    assert (attempts[2].status, attempts[2].error.body) == (status, "no answer in time")
    assert (server.connections, len(server.requests)) == (2, 9)


class Gateway:
    """
    The behaviour of a gateway that answers one request late or twice. The service's belated answer follows in the same
    instant as the next request, so that no look at the connection can see it first.
    """

    def __init__(self, status: int, waits: float, at: int) -> None:
        self.server, self.late = RawServer(""), dict[asyncio.StreamWriter, bytes]()
        self.status, self.waits, self.at = status, waits, at

    async def __call__(self, nth: int, writer: asyncio.StreamWriter) -> None:
        answer = right_answer(self.server.requests[nth - 1])
        if nth == self.at:
            await asyncio.sleep(self.waits)
            writer.write(answer if self.status == 200 else http(self.status, "no answer in time"))
            self.late[writer] = answer
        elif late := self.late.get(writer):
            writer.write(late)  # and the right answer moves to the next request
            self.late[writer] = answer
        else:
            writer.write(answer)


@pytest.mark.parametrize("waits", [0.5, 1.0, 20.0])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("at", [1, 2, 4])
@OWN_AND_INJECTED
@virtual_time
async def test_no_count_moves_after_a_gateway_that_answers_late(new_session, at, status, waits):
    """Whatever status a gateway gives up with, the service's late answer becomes no other count."""
    gateway = Gateway(status, waits, at)
    async with new_session() as session:
        async with connected(gateway, session=session, check=False, retry=ONCE) as (gateway.server, galileo):
            outcomes = await galileo.count_all(ids(6), concurrency=1)
    assert outcomes.counts == (*range(at - 1), None, *range(at, 6))
    assert gateway.server.connections == 2


@pytest.mark.parametrize("how", ["read", "unread", "an end", "a 408"])
@pytest.mark.parametrize("before", [1, 3])
@virtual_time
async def test_the_log_says_which_answers_may_have_moved(caplog, before, how):
    """Bytes that nobody asked for put the earlier answers of their connection in doubt, except the first one."""
    unasked = {"an end": b"", "a 408": http(408, "idle")}.get(how, UNASKED)
    keeping = Keeping()
    async with connected(keeping, check=False) as (keeping.server, galileo):
        await galileo.count_all(ids(before), concurrency=1)
        await keeping.send(unasked, read=how == "read")
        assert await galileo.count(ids(6)[5]) == 5
    doubts = before > 1 and unasked == UNASKED
    assert [f"of the last {before} answers" in record.message for record in caplog.records] == [True] * doubts


@pytest.mark.parametrize("status", [401, 404, 429, 503, 529])
async def test_a_connection_is_kept_after_a_refusal(status):
    async with connected({number: http(status, "no") for number in (0, 2, 4)}, retry=ONCE) as (server, galileo):
        for project in ids(6):
            await asyncio.gather(galileo.count(project), return_exceptions=True)
    assert (server.connections, len(server.requests)) == (1, 6)


@pytest.mark.parametrize("at_once", [1, 20])
@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize(
    "unasked",
    [UNASKED, UNASKED * 2, UNASKED[:-3], http(408, "", Content_Length="9"), b""],
    ids=["an answer", "two answers", "a part of an answer", "the head of a timeout", "its end"],
)
@OWN_AND_INJECTED
@virtual_time
async def test_a_connection_with_something_unasked_is_not_used_again(new_session, unasked, read, at_once):
    """If something has arrived on idle connections, the next requests use others, in their first attempts."""
    attempts, keeping = list[Attempt](), Keeping()
    async with new_session() as session:
        settings = {"session": session, "check": False, "on_attempt": attempts.append}
        async with connected(keeping, **settings) as (keeping.server, galileo):
            assert (await galileo.count_all(ids(20), concurrency=at_once)).counts == tuple(range(20))
            before = keeping.server.connections
            assert before == 1 or before > 5
            await keeping.send(unasked, read=read)
            assert (await galileo.count_all(ids(20), concurrency=at_once)).counts == tuple(range(20))
            await until(lambda: keeping.server.open == keeping.server.connections - before)
            await keeping.send(unasked, read=read or not unasked)  # an end is sent in the loop's next turn
            assert await galileo.columns(PROJECT) == CATALOG
    assert {attempt.number for attempt in attempts} == {1}
    assert not {*keeping.writers[:20]} & {*keeping.writers[20:]}
    assert len(keeping.server.requests) == 41


@pytest.mark.parametrize("how", ["TLS", "tunnel"])
async def test_a_connection_of_any_kind_is_looked_at(how):
    keeping, (tls_server, trusting) = Keeping(), tls("127.0.0.1" if how == "TLS" else HOST)
    async with raw_server(keeping, ssl=tls_server) as keeping.server:
        async with tunnelling(int(keeping.server.url.rpartition(":")[2])) as proxy:
            url, way = (keeping.server.url, None) if how == "TLS" else (f"https://{HOST}", f"http://{proxy.address}")
            async with client(url, check=False, ssl=trusting, proxy=way) as galileo:
                assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
                assert keeping.server.connections == 1
                await keeping.send(UNASKED, read=how == "tunnel")
                assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert keeping.server.connections == 2


async def test_a_connection_that_the_sessions_owner_used_is_looked_at():
    """What has arrived after a request of the owner's of an injected session is no count, but a failed attempt."""
    keeping, attempts = Keeping(), list[Attempt]()
    async with aiohttp.ClientSession() as session:
        settings = {"session": session, "check": False, "on_attempt": attempts.append}
        async with connected(keeping, **settings) as (keeping.server, galileo):
            async with session.post(f"{keeping.server.url}/projects/{PROJECT}/sessions/count", data=b"") as response:
                await response.read()
            await keeping.send(UNASKED, read=True)
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert [type(attempt.error) for attempt in attempts] == [ProtocolError, NoneType, NoneType, NoneType]
    assert "before the request was sent" in str(attempts[0].error)
    assert keeping.server.connections == 2


@pytest.mark.filterwarnings("ignore:aiohttp .* doesn't show")
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
        async with client(url, session=session, retry=ONCE) as galileo:
            error = await failure(galileo)
    assert (type(error), error.status, error.body) == (ServerError, 503, "too many connections")


async def test_an_aiohttp_that_does_not_show_its_connections(monkeypatch):
    """With an aiohttp in which a connection can't be looked at, the client warns, and asks that each be closed."""
    monkeypatch.setitem(sys.modules, "aiohttp.client_proto", None)
    monkeypatch.setattr(transport, "CAN_LOOK", connections._can_look())

    async def answer(nth: int, writer: asyncio.StreamWriter) -> None:
        writer.write(right_answer(server.requests[nth - 1]))
        if b"\r\nConnection: close\r\n" in server.requests[nth - 1]:
            writer.close()

    with pytest.warns(RuntimeWarning, match=f"aiohttp {aiohttp.__version__} doesn't show"):
        async with connected(answer, check=False) as (server, galileo):
            assert [await galileo.count(project) for project in ids(3)] == [0, 1, 2]
    assert (server.connections, len(server.requests)) == (3, 3)


# ---- injected sessions -----------------------------------------------------------------------------------------------

SETTINGS: dict[str, Callable[[], dict[str, object]]] = {
    "base_url": lambda: {"base_url": "http://127.0.0.1:9"},
    "raise_for_status": lambda: {"raise_for_status": True},
    "total": lambda: {"timeout": aiohttp.ClientTimeout(total=0.01)},
    "limit": lambda: {"connector": aiohttp.TCPConnector(limit=1)},
    "limit_per_host": lambda: {"connector": aiohttp.TCPConnector(limit_per_host=1)},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@virtual_time
async def test_injected_session_with(settings):
    """The client's settings override those of an injected session, which stays open."""
    special = {number: slowly(0.05, number) for number in range(1, 20)} | {0: http(404, "gone")}
    async with aiohttp.ClientSession(**settings()) as session:
        async with connected(special, session=session, timeouts=gs.Timeouts(attempt=0.3)) as (server, galileo):
            report = await galileo.count_all(ids(20))
        assert not session.closed
    assert [type(error) for error in report.errors] == [gs.NotFoundError]
    assert report.counts[1:] == tuple(range(1, 20))
    assert len(server.requests) == 20


async def test_an_injected_session_that_is_closed():
    closed = aiohttp.ClientSession()
    await closed.close()
    async with connected(http(), session=closed) as (server, galileo):
        error = await failure(galileo)
    assert (type(error), error.message) == (gs.ClosedError, "the given aiohttp.ClientSession is closed")
    assert (len(error.attempts), server.connections) == (1, 0)


async def test_what_an_injected_session_adds():
    mine = {"X-Team": "blue", "ACCEPT": "text/html", "accept-encoding": "gzip"}
    answer = http(200, '{"total_count": 7}', Set_Cookie="seen=yes")
    jar = aiohttp.CookieJar(unsafe=True)  # which takes the cookies of addresses too
    async with aiohttp.ClientSession(headers=mine, cookie_jar=jar) as session:
        session.cookie_jar.update_cookies({"mine": "too"})
        async with connected(answer, session=session, headers={"x-team": "red"}) as (server, galileo):
            await galileo.count(PROJECT)
            await galileo.count(PROJECT)
    heads = [request.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n") for request in server.requests]
    sent = [line for line in heads[0] if line.startswith(("accept:", "accept-encoding:", "x-team:"))]
    assert sorted(sent) == ["accept-encoding: identity", "accept: application/json", "x-team: red"]
    cookies = [sorted(line[8:].split("; ")) for head in heads for line in head if line.startswith("cookie: ")]
    assert cookies == [["mine=too"], ["mine=too", "seen=yes"]]


async def test_a_middleware_can_read_and_replace_the_body():
    seen: list[bytes] = []

    async def replacing(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(await request.body.as_bytes())
        request.body = seen[-1] + b" "
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=[replacing]) as session:
        async with connected(http(), session=session) as (server, galileo):
            assert await galileo.count(PROJECT, gs.Col("input") == "hällo") == 7
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [seen[0] + b" "]
    assert json.loads(seen[0])["filter_tree"]["filter"]["value"] == "hällo"


READ: dict[str, tuple[bytes, type]] = {
    "a count": (http(), int),
    "a page": (http(404, "no such page"), gs.NotFoundError),
    "nothing": (http(200, ""), gs.DecodeError),
    "too much": (http(200, b" " * MAX_BODY + b'{"total_count":7}'), ProtocolError),
}


@pytest.mark.parametrize(("answer", "kind"), READ.values(), ids=READ)
async def test_a_middleware_can_read_the_answer(answer, kind):
    """A count has the same outcome then, and the same limit of its size."""
    seen, outcomes = list[bytes](), list[object]()

    async def reading(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await handler(request)
        seen.append(await response.read())
        return response

    for middlewares in ((), (reading,)):
        async with aiohttp.ClientSession(middlewares=middlewares) as session:
            async with connected(answer, session=session, retry=ONCE) as (_, galileo):
                outcomes += await asyncio.gather(galileo.count(PROJECT), return_exceptions=True)
    assert [answer.partition(b"\r\n\r\n")[2]] == seen
    assert [kind, kind] == [*map(type, outcomes)]
    assert [getattr(outcome, "body", 7) for outcome in outcomes] == [getattr(outcomes[0], "body", 7)] * 2


async def test_its_own_session_keeps_no_cookie():
    async with raw_server(http(200, '{"total_count": 7}', Set_Cookie="seen=yes")) as server:
        async with client(server.url.replace("127.0.0.1", "localhost")) as galileo:
            await galileo.count(PROJECT)
            await galileo.count(PROJECT)
    assert b"cookie" not in b"".join(server.requests).lower()


def test_closing_in_another_event_loop_ends_the_connections():
    with LocalGalileo() as server:
        with asyncio.Runner() as first, asyncio.Runner() as second:
            galileo = GalileoSessions(server.api_key, base_url=server.url, check=False)
            assert first.run(galileo.count(PROJECT)) == 0
            second.run(galileo.close())
            first.run(asyncio.sleep(0.01))
    gc.collect()  # nothing warns


async def test_never_closed_is_one_warning_that_names_our_class():
    async with raw_server(http()) as server:
        galileo, unused = client(server.url), client(server.url)
        assert (await galileo.count_all(ids(5))).total == 35
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del galileo, unused
            gc.collect()
            await until(lambda: not server.open)
            gc.collect()
    assert [(w.category, "unclosed GalileoSessions(" in str(w.message)) for w in caught] == [(ResourceWarning, True)]


async def test_another_process_closes_nothing(monkeypatch):
    async with raw_server(http()) as server:
        galileo = client(server.url)
        assert await galileo.count(PROJECT) == 7
        kept = connector(galileo)
        with monkeypatch.context() as child:
            child.setattr("os.getpid", lambda: 1)
            del galileo
            gc.collect()
            kept.__del__()
            await asyncio.sleep(0.01)
            assert server.open == 1
        await kept.close()


FEW_SOCKETS = """
import asyncio, json, resource, sys
from galileo_sessions import GalileoSessions, Limits

async def main(url, project):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    errors, limits = [], Limits(initial=200, maximum=200)
    hear = lambda attempt: attempt.error and errors.append(f"{type(attempt.error).__name__} {attempt.error.hint}")
    async with GalileoSessions("k", base_url=url, limits=limits, on_attempt=hear) as galileo:
        report = await galileo.count_all([project] * 400, concurrency=200)
    print(json.dumps([report.total, len(errors), *set(errors)]))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_64_file_descriptors_with_concurrency_200():
    """The width follows what is open: nothing is lost, few attempts are in vain, and their error says what to do."""

    async def answer(nth: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)  # so that each request needs a connection
        writer.write(http())

    async with raw_server(answer) as server:
        program = [sys.executable, "-W", "error", "-c", FEW_SOCKETS, server.url, PROJECT]
        process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE, stderr=-1)
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    total, in_vain, *errors = json.loads(out)
    assert (total, len(server.requests)) == (7 * 400, 400)
    assert in_vain <= 400
    assert errors == ["ConnectError Raise the limit (ulimit -n), or send fewer at once (Limits.maximum)"]


@virtual_time
async def test_a_stream_holds_none_of_what_it_has_given(monkeypatch):
    """While counts go by, no memory piles up that this package's lines allocated: not a block for two of them."""
    monkeypatch.setattr("galileo_sessions.flow.troubles.REMEMBERED", 100)  # so many queries in trouble are remembered
    ours, blocks = tracemalloc.Filter(True, str(Path(gs.__file__).parent / "*")), list[int]()
    tracemalloc.start()
    try:
        for projects in (ids(1_000), ids(3_000)):
            async with serving(Service()) as service, client(service.url) as galileo:
                taken = 0
                async with galileo.count_many(projects) as stream:
                    async for _ in stream:
                        taken += 1
                        if taken == len(projects):  # and none is under way
                            gc.collect()
                            blocks.append(len(tracemalloc.take_snapshot().filter_traces([ours]).traces))
    finally:
        tracemalloc.stop()
    assert blocks[1] - blocks[0] < 1_000  # 2,000 counts more
