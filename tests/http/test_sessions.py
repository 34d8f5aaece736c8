"""Sessions of aiohttp and event loops: a session of the client's own, an injected one, a closed one."""

import asyncio
import gc
import json
import warnings

import aiohttp
import pytest
from support.clients import client, connected, failure, ids
from support.clock import virtual_time
from support.inside import connector
from support.sockets import PROJECT, http, raw_server, slowly, until

from galileo_sessions import Col, ConfigurationError, GalileoSessions, NotFoundError, Timeouts
from galileo_sessions.local import LocalGalileo


@pytest.mark.parametrize("setting", ["base_url", "raise_for_status", "total", "limit", "limit_per_host"])
@virtual_time
async def test_injected_session_with(setting):
    """The client's settings override those of an injected session, which stays open."""
    settings = {
        "base_url": {"base_url": "http://127.0.0.1:9"},
        "raise_for_status": {"raise_for_status": True},
        "total": {"timeout": aiohttp.ClientTimeout(total=0.01)},
        "limit": {"connector": aiohttp.TCPConnector(limit=1)},
        "limit_per_host": {"connector": aiohttp.TCPConnector(limit_per_host=1)},
    }[setting]
    special = {number: slowly(0.05, number) for number in range(1, 20)} | {0: http(404, "gone")}
    async with aiohttp.ClientSession(**settings) as session:
        async with connected(special, session=session, timeouts=Timeouts(attempt=0.3)) as (server, galileo):
            report = await galileo.count_all(ids(20))
        assert not session.closed
    assert [type(error) for error in report.errors] == [NotFoundError]
    assert report.counts[1:] == tuple(range(1, 20))
    assert {len(result.attempts) for result in report.results} == {1}
    assert len(server.requests) == 20


async def test_an_injected_session_that_is_closed():
    """A closed session raises ConfigurationError, and nothing is sent."""
    closed = aiohttp.ClientSession()
    await closed.close()
    async with connected(http(), session=closed) as (server, galileo):
        error = await failure(galileo)
        assert (type(error), len(error.attempts)) == (ConfigurationError, 1)
        assert error.message == "the given aiohttp.ClientSession is closed"
        report = await galileo.count_all(ids(2))
    assert [type(error) for error in report.errors] == [ConfigurationError] * 2
    assert server.connections == 0


async def test_what_an_injected_session_adds():
    """Its default headers and cookies reach the service, except where the client sets the same header."""
    mine = {"X-Team": "blue", "ACCEPT": "text/html", "accept-encoding": "gzip"}
    answer = http(200, '{"total_count": 7}', Set_Cookie="seen=yes")
    jar = aiohttp.CookieJar(unsafe=True)  # which takes the cookies of addresses too
    async with aiohttp.ClientSession(headers=mine, cookie_jar=jar) as session:
        session.cookie_jar.update_cookies({"mine": "too"})
        async with connected(answer, session=session, headers={"x-team": "red"}) as (server, galileo):
            await galileo.count(PROJECT)
            await galileo.count(PROJECT)
    heads = [request.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n") for request in server.requests]
    wanted = ("accept:", "accept-encoding:", "x-team:")
    assert sorted(line for line in heads[0] if line.startswith(wanted)) == [
        "accept-encoding: identity",
        "accept: application/json",
        "x-team: red",
    ]
    cookies = [sorted(line[8:].split("; ")) for head in heads for line in head if line.startswith("cookie: ")]
    assert cookies == [["mine=too"], ["mine=too", "seen=yes"]]


async def test_a_middleware_can_read_and_replace_the_body():
    """A middleware of an injected session gets each body as aiohttp's payload, and can send another one instead."""
    seen: list[bytes] = []

    async def replacing(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(await request.body.as_bytes())
        request.body = seen[-1] + b" "
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=[replacing]) as session:
        async with connected(http(), session=session) as (server, galileo):
            assert await galileo.count(PROJECT, Col("input") == "hällo") == 7
    (request,) = server.requests
    assert request.partition(b"\r\n\r\n")[2] == seen[0] + b" "
    assert json.loads(seen[0])["filter_tree"]["filter"]["value"] == "hällo"


async def test_its_own_session_keeps_no_cookie():
    """A client's own session sends back no cookie."""
    async with raw_server(http(200, '{"total_count": 7}', Set_Cookie="seen=yes")) as server:
        async with client(server.url.replace("127.0.0.1", "localhost")) as galileo:
            await galileo.count(PROJECT)
            await galileo.count(PROJECT)
    assert b"cookie" not in b"".join(server.requests).lower()


def test_closing_in_another_event_loop_ends_the_connections():
    """A client may be closed in another event loop, and nothing warns afterwards."""
    with LocalGalileo() as server:
        with asyncio.Runner() as first, asyncio.Runner() as second:
            galileo = GalileoSessions(server.api_key, base_url=server.url, check=False)
            assert first.run(galileo.count(PROJECT)) == 0
            second.run(galileo.close())
            first.run(asyncio.sleep(0.01))
    gc.collect()


async def test_never_closed_is_one_warning_that_names_our_class():
    """A client that isn't closed causes one ResourceWarning that names its class; one that never connected, none."""
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
    """In a process with another id, dropping a client neither warns nor closes."""
    async with raw_server(http()) as server:
        galileo = client(server.url)
        assert await galileo.count(PROJECT) == 7
        connections = connector(galileo)
        with monkeypatch.context() as child:
            child.setattr("os.getpid", lambda: 1)
            del galileo
            gc.collect()
            connections.__del__()
            await asyncio.sleep(0.01)
            assert server.open == 1
        await connections.close()
