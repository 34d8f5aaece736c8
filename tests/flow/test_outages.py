"""Each call has one patience, from its first request on: a refusal is retried within it, and nothing outlives it."""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from support.clients import ids
from support.clock import run, virtual_time
from support.inside import idle, set_jitter
from support.network import DAY, HOUR, Answer, Scripted, Timed, ask, during, outcome_of, refusal, unreachable
from support.proxies import HOST, tls, tunnelling
from support.sockets import PROJECT, http, raw_server

from galileo_sessions import Col, ConnectError, GalileoSessions, Retry, ServerError, TLSError

REFUSALS: dict[str, Callable[[], Answer]] = {"503": refusal, "connection refused": unreachable}


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def answering(refuses: Callable[[], Answer], begin: float, end: float) -> Scripted:
    """A service that refuses everything from `begin` to `end`."""
    return Scripted(lambda now, _: refuses() if begin <= now < end else None, latency=0.005)


# ---- a new client ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["count", "timeout=20", "count_all"])
@pytest.mark.parametrize(
    ("refuses", "seconds"),
    [("503", 2), ("503", 3), ("503", 5), ("connection refused", 2), ("connection refused", 3)],
)
def test_a_new_client_waits_for_a_service_that_restarts(refuses, seconds, how):
    """Of 20 clients whose first count begins while the service restarts, each gets its count."""

    async def first_count(seed: int) -> object:
        sky = answering(REFUSALS[refuses], 0, seconds * (1 - seed / 20))
        async with sky.client(seed) as galileo:
            if how == "count_all":
                return (await galileo.count_all([PROJECT])).total
            return (await outcome_of(galileo, timeout=20 if how == "timeout=20" else None))[0]

    assert 20 == [run(first_count(seed)) for seed in range(20)].count(7)


@virtual_time
async def test_a_service_that_refuses_a_new_client_for_ever_is_given_up_after_ten_seconds():
    """The count fails with the refusal, after a few dozen requests."""
    sky = Scripted(lambda *_: refusal())
    async with sky.client() as galileo:
        error, seconds = await outcome_of(galileo)
    assert isinstance(error, ServerError)
    assert 7 <= seconds <= 10.1
    assert sky.requests <= 40


@pytest.mark.parametrize("counts", [1, 20, 2_000])
@virtual_time
async def test_an_address_where_nothing_has_ever_listened_is_given_up_after_four_seconds(counts):
    """A wrong port is noticed soon, and a few dozen connections are tried."""
    url = f"http://127.0.0.1:{free_port()}"
    clock, attempts = asyncio.get_running_loop().time, list[object]()
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        began = clock()
        errors = (await galileo.count_all(ids(counts))).errors if counts > 1 else [(await outcome_of(galileo))[0]]
    assert 3 <= clock() - began <= 5
    assert [ConnectError] * counts == [type(error) for error in errors]
    assert [] == [str(error) for error in errors if url not in str(error)]
    assert len(attempts) <= 40


# ---- an outage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [1, 2, 5])
@virtual_time
async def test_a_timeout_is_the_only_patience_of_a_count(counts):
    """Through an outage of two minutes, each of a few counts at once with `timeout=300` gets its count."""
    sky = answering(refusal, 1, 121)
    async with sky.client() as galileo:
        assert 7 == await galileo.count(PROJECT)
        await sky.until(1)
        assert [7] * counts == await asyncio.gather(*(galileo.count(PROJECT, timeout=300) for _ in range(counts)))
        assert sky.now < 121 + 8  # the longest backoff


@pytest.mark.parametrize("by", [None, {"all": Col("score") > 3}], ids=["plain", "by"])
@virtual_time
async def test_a_timeout_is_the_only_patience_of_a_fan_out(by):
    """Through an outage of two minutes, a fan-out with `timeout=300` loses nothing."""
    sky = answering(refusal, 1, 121)
    async with sky.client() as galileo:
        assert 7 == await galileo.count(PROJECT)
        await sky.until(1)
        assert () == (await galileo.count_all(ids(500), by=by, timeout=300)).errors


@virtual_time
async def test_a_blip_after_an_outage_is_a_blip():
    """After a minute of outage and a few successes, a count that meets 50 ms of refusals takes under a second."""
    sky = Scripted(during([(2, 62), (70, 70.05)], refusal()))
    async with sky.client() as galileo:
        assert 7 == await galileo.count(PROJECT)
        await sky.until(2)
        assert 7 in await ask(galileo, 1, 61)
        await sky.until(70)
        outcome, seconds = await outcome_of(galileo)
    assert (7, True) == (outcome, seconds < 1)


def rare_counts(seed: int, outages: Callable[[random.Random], float], until: float) -> list[tuple[float, float]]:
    """When single counts, one every 11 s, began and failed, of those whose service was back within 7 s."""
    chance = random.Random(seed)
    spans = [(-2.0, -1.0)]
    while spans[-1][1] < until:
        begin = spans[-1][1] + 30 + chance.expovariate(1 / 300)
        spans.append((begin, begin + outages(chance)))
    sky, failed = Scripted(during(spans, refusal())), list[tuple[float, float]]()

    async def count(galileo: GalileoSessions) -> None:
        began = sky.now
        outcome, seconds = await outcome_of(galileo)
        if outcome != 7 and not any(begin <= began < end - 7 for begin, end in spans):
            failed.append((began, seconds))

    async def main() -> list[tuple[float, float]]:
        async with sky.client(seed) as galileo, asyncio.TaskGroup() as tasks:
            while sky.now < until:
                tasks.create_task(count(galileo))
                await asyncio.sleep(11)
        return failed

    return run(main())


@pytest.mark.parametrize("hours", [2, pytest.param(24, marks=pytest.mark.thorough)], ids=["two hours", "a day"])
@pytest.mark.parametrize(
    "outages",
    [lambda chance: chance.uniform(0.05, 6.9), lambda chance: chance.expovariate(1 / 20)],
    ids=["under 7 s", "of any length"],
)
def test_counts_that_are_seconds_apart_make_no_row_of_failures(outages, hours):
    """A count every 11 s fails in no outage that ends within 7 s of its beginning, whatever earlier counts met."""
    assert [] == [failed for seed in range(3) for failed in rare_counts(seed, outages, hours * HOUR)]


# ---- a service that dies under way ----------------------------------------------------------------------------------


async def brief(_: int, writer: asyncio.StreamWriter) -> None:
    """Takes 10 ms for each request."""
    await asyncio.sleep(0.01)
    writer.write(http())


async def test_a_server_that_dies_and_starts_again():
    """A fan-out during which a server resets all connections, and another begins a second later, loses nothing."""
    port, attempts = free_port(), []
    url = f"http://127.0.0.1:{port}"
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        async with galileo.count_many(ids(1_000)) as stream:
            async with raw_server(brief, port=port):
                counted = [await anext(stream) for _ in range(300)]
            await asyncio.sleep(1)
            async with raw_server(brief, port=port):
                counted += [result async for result in stream]
        assert idle(galileo)
    assert [result.error for result in counted if not result.ok] == []
    assert sorted(result.index for result in counted) == list(range(1_000))
    assert any(attempt.breaker_open for attempt in attempts)
    assert len(attempts) <= 1_000 + 256 + 50


@pytest.mark.parametrize("how_many", [20, 300])
@virtual_time
async def test_a_fan_out_that_is_left_while_the_breaker_is_open(how_many):
    """A stream that is left while its targets wait for a dead service ends at once, and leaves nothing."""
    async with raw_server(http(503, "")) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(how_many)) as stream:
            while not stream.progress.breaker_open:
                await asyncio.sleep(0.01)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 0.1  # they would wait for 10 s
        assert idle(galileo)


# ---- how often a count is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chance", [None, 0.0], ids=["Retry(backoff=0)", "every random wait is 0"])
@pytest.mark.parametrize("refuses", REFUSALS)
@pytest.mark.parametrize("begin", [0, 1], ids=["new", "has counted"])
@pytest.mark.parametrize("counts", [1, 3])
@virtual_time
async def test_no_count_hammers_a_service_that_refuses_it(counts, begin, refuses, chance):
    """In ten seconds of outage each count is sent at most a hundred times, even without a backoff."""
    sky = answering(REFUSALS[refuses], begin, begin + 10.05)
    async with sky.client(retry=Retry(backoff=0.0 if chance is None else 0.25)) as galileo:
        if chance is not None:
            set_jitter(galileo, lambda longest: longest * chance)
        before = await ask(galileo, begin, begin)
        await asyncio.gather(*(outcome_of(galileo) for _ in range(counts)))
    assert [7] * begin == before
    assert sum(begin <= at < begin + 10.05 for at in sky.arrivals) <= 100 * counts


@pytest.mark.parametrize("refuses", REFUSALS)
@pytest.mark.parametrize("begin", [0, 1], ids=["new", "has counted"])
@virtual_time
async def test_one_attempt_is_one(begin, refuses):
    """With `Retry(attempts=1)` a refused count is sent once, and fails at once."""
    sky = answering(REFUSALS[refuses], begin, DAY)
    async with sky.client(retry=Retry(attempts=1)) as galileo:
        assert [7] * begin == await ask(galileo, begin, begin)
        error, seconds = await outcome_of(galileo)
    assert (begin + 1, 1) == (sky.requests, len(error.attempts))
    assert seconds < 0.1


# ---- what can't change in seconds ------------------------------------------------------------------------------------


class Names(AbstractResolver):
    """Resolves any name to this machine, but first raises these errors, where they aren't None; it counts questions."""

    def __init__(self, *errors: int | None) -> None:
        self.errors, self.asked = [*errors], 0

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        """One address, or an error."""
        self.asked += 1
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise socket.gaierror(error, "no address")
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing to close."""


async def count_by_name(names: Names, counts: int = 1, trusting: ssl.SSLContext | None = None) -> Timed:
    """The outcome of the last of some counts, each on a new connection to a server that has a name."""
    serving, its_own = tls()
    connector = aiohttp.TCPConnector(resolver=names, use_dns_cache=False, force_close=True)
    async with raw_server(http(), ssl=serving) as server, aiohttp.ClientSession(connector=connector) as session:
        url = f"https://{HOST}:{server.url.rpartition(':')[2]}"
        async with GalileoSessions("k", base_url=url, session=session, ssl=trusting or its_own) as galileo:
            return [await outcome_of(galileo) for _ in range(counts)][-1]


@pytest.mark.parametrize(
    ("errors", "trusting", "kind"),
    [([socket.EAI_NONAME] * 100, None, ConnectError), ([], ssl.create_default_context(), TLSError)],
    ids=["a name that doesn't exist", "a certificate that isn't trusted"],
)
@virtual_time
async def test_what_another_attempt_would_meet_again_fails_at_once(errors, trusting, kind):
    """One attempt is enough to notice."""
    names = Names(*errors)
    error, seconds = await count_by_name(names, trusting=trusting)
    assert (kind, 1, 1) == (type(error), len(error.attempts), names.asked)
    assert seconds < 1


@pytest.mark.parametrize(
    ("errors", "counts"),
    [([None, *[socket.EAI_NONAME] * 8], 2), ([socket.EAI_AGAIN] * 8, 1), ([None, *[socket.EAI_AGAIN] * 8], 2)],
    ids=["a name that has resolved before", "a resolver that is busy", "a resolver that becomes busy"],
)
@virtual_time
async def test_a_name_that_may_resolve_soon_is_waited_for(errors, counts):
    """A resolver that is away is like a service that is away."""
    assert 7 == (await count_by_name(Names(*errors), counts))[0]


@pytest.mark.parametrize("before", [0, 1], ids=["new", "has counted"])
@virtual_time
async def test_a_proxy_that_refuses_the_password_is_asked_once(before):
    """Its 407 doesn't change by asking again, and each wrong password counts against the user."""
    serving, trusting = tls()
    async with raw_server(http(Connection="close"), ssl=serving) as server:
        port = int(server.url.rpartition(":")[2])
        async with tunnelling(port, before) as proxy:
            address = f"http://ann:wrong@{proxy.address}"
            async with GalileoSessions("k", base_url=f"https://{HOST}", proxy=address, ssl=trusting) as galileo:
                outcomes = [await outcome_of(galileo) for _ in range(before + 1)]
    error, seconds = outcomes[-1]
    assert isinstance(error, ConnectError)
    assert "407" in str(error)
    assert (1, before + 1) == (len(error.attempts), len(proxy.heads))
    assert seconds < 1
