"""What a client does with sessions of aiohttp, event loops, file descriptors and memory."""

import asyncio
import gc
import json
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from support.clients import Source, client, connected, failure, ids
from support.clock import virtual_time
from support.inside import connector
from support.sockets import PROJECT, Service, http, raw_server, serving, slowly, until

import galileo_sessions as gs
from galileo_sessions import ConfigurationError, GalileoSessions
from galileo_sessions.local import LocalGalileo

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
    assert {len(result.attempts) for result in report.results} == {1}
    assert len(server.requests) == 20


async def test_an_injected_session_that_is_closed():
    closed = aiohttp.ClientSession()
    await closed.close()
    async with connected(http(), session=closed) as (server, galileo):
        error = await failure(galileo)
        report = await galileo.count_all(ids(2))
    assert error.message == "the given aiohttp.ClientSession is closed"
    assert [(type(one), len(one.attempts)) for one in (error, *report.errors)] == [(ConfigurationError, 1)] * 3
    assert server.connections == 0


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


# ---- sessions of the client's own ------------------------------------------------------------------------------------


async def test_its_own_session_keeps_no_cookie():
    async with raw_server(http(200, '{"total_count": 7}', Set_Cookie="seen=yes")) as server:
        async with client(server.url.replace("127.0.0.1", "localhost")) as galileo:
            await galileo.count(PROJECT)
            await galileo.count(PROJECT)
    assert b"cookie" not in b"".join(server.requests).lower()


def test_closing_in_another_event_loop_ends_the_connections():
    """Nothing warns afterwards."""
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


# ---- limits of the machine -------------------------------------------------------------------------------------------

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


class Slow(Service):
    """Takes 50 ms for each request, so that each needs a connection."""

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        asyncio.get_running_loop().call_later(0.05, answer, http())


async def test_64_file_descriptors_with_concurrency_200():
    """The width follows what is open: nothing is lost, few attempts are in vain, and their error says what to do."""
    async with serving(Slow()) as service:
        program = [sys.executable, "-W", "error", "-c", FEW_SOCKETS, service.url, PROJECT]
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(*program, **pipes)
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    total, in_vain, *errors = json.loads(out)
    assert (total, service.requests) == (7 * 400, 400)
    assert in_vain <= 400
    assert errors == ["ConnectError Raise the limit (ulimit -n), or lower Limits(maximum=...)"]


def own_blocks() -> int:
    """How many blocks of memory are held that lines of this package have allocated, and no other code."""
    gc.collect()
    here = tracemalloc.Filter(True, str(Path(gs.__file__).parent / "*"))
    return len(tracemalloc.take_snapshot().filter_traces([here]).traces)


@virtual_time
async def test_a_stream_holds_none_of_what_it_has_given():
    """While counts go by, no memory piles up: not a block for two of them. Each index comes once."""
    blocks = []
    tracemalloc.start()
    try:
        for how_many in (1_000, 3_000):
            seen = bytearray(how_many)
            source = Source(str(UUID(int=number)) for number in range(how_many))
            async with serving(Service()) as service, client(service.url) as galileo:
                async with galileo.count_many(source) as stream:
                    async for result in stream:
                        assert source.pulled - stream.progress.done <= 600
                        assert (result.unwrap(), UUID(result.query.project_id).int) == (7, result.index)
                        seen[result.index] += 1
                        if sum(seen) == how_many:  # and none is under way
                            blocks.append(own_blocks())
                assert service.requests == how_many
            assert seen == b"\1" * how_many
    finally:
        tracemalloc.stop()
    assert blocks[1] - blocks[0] < 1_000  # 2,000 counts more
