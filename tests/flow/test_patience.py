"""Rule 9: each call has one patience, in which it retries; calls take turns, and errors say what they waited for."""

import asyncio
import random
import re
import socket
import ssl
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from support.clients import failure, ids
from support.clock import run, virtual_time
from support.inside import idle
from support.models import Bucket, Capacity
from support.network import (
    Late,
    Scripted,
    Sky,
    ask,
    ask_and_time,
    cost_of,
    cost_of_new,
    during,
    outcome_of,
    refusal,
    unreachable,
)
from support.proxies import HOST, tls, tunnelling
from support.sockets import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, ConnectError, GalileoError, GalileoSessions, Limits, Retry, Timeouts, TLSError

REFUSES: dict[str, Callable[[], object]] = {"503": refusal, "connection refused": unreachable}
REFUSALS = [(503, None), (429, None), (429, 1), (503, 9), (503, 30), (429, 60), (503, 3600)]
new_or_not = pytest.mark.parametrize("begin", [0, 1], ids=["new", "has counted"])


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def answering(refuses: Callable[[], object], begin: float, end: float) -> Scripted:
    """A service that refuses everything from `begin` to `end`."""
    return Scripted(lambda now, _: refuses() if begin <= now < end else None, latency=0.005)


# ---- how long a call waits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 1, 30])
@pytest.mark.parametrize(("status", "retry_after"), REFUSALS)
@pytest.mark.parametrize("first", [True, False], ids=["first request", "after successes"])
@virtual_time
async def test_a_single_count_waits_no_longer_than_10_s_or_its_timeout(first, retry_after, status, timeout):
    sky = Scripted(lambda _, number: refusal(status, retry_after) if first or number > 3 else None)
    async with sky.client() as galileo:
        assert await ask(galileo, 0.1, 0 if first else 3) == [7] * (0 if first else 3)
        for gap in (0, 0.1, 5, 61):  # the later ones meet an open circuit breaker
            await asyncio.sleep(gap)
            outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=timeout) for _ in range(3)))
            assert max(seconds for _, seconds in outcomes) <= (timeout or 10) + 0.3  # of an attempt, and a Retry-After
            assert {isinstance(error, GalileoError) for error, _ in outcomes} == {True}


@new_or_not
@pytest.mark.parametrize(
    ("retry_after", "away", "timeout", "least", "most"),
    [
        (None, 3, None, 3, 6.1),
        (None, 7.5, None, 7.5, 10.1),
        (None, 60, None, 7, 10.1),
        (None, 60, 20, 17.35, 20.1),
        (None, 60, 80, 60, 63.1),
        *[(asked, asked - 0.1, limit, asked, asked + 0.3) for asked, limit in [(1, None), (9, None), (60, 90)]],
    ],
)
@pytest.mark.parametrize("status", [429, 503])
@virtual_time
async def test_how_long_a_single_count_waits(status, retry_after, away, timeout, *, least, most, begin):
    """For a probe that is due within its patience, with few requests; and as long as it is asked to, with two."""
    sky = answering(lambda: refusal(status, retry_after), begin, begin + away)
    async with sky.client() as galileo:
        assert [7] * begin == await ask(galileo, begin, begin)
        found, took = await outcome_of(galileo, timeout=timeout)
    assert (found == 7) is (least >= away)  # it is back by then
    assert found == 7 or str(status) in str(getattr(found, "last", found))
    assert found == 7 or found.hint in ("Try again later, or raise timeout=", "Raise timeout=")
    assert least <= took < most
    assert sky.requests <= begin + (30 + took if retry_after is None else 2)


@pytest.mark.parametrize("how", ["count", "timeout=20", "count_all"])
@pytest.mark.parametrize(
    ("refuses", "seconds"),
    [("503", 2), ("503", 3), ("503", 5), ("connection refused", 2), ("connection refused", 3)],
)
def test_a_new_client_waits_for_a_service_that_restarts(refuses, seconds, how):
    """Of 20 clients whose first count begins while the service restarts, each gets its count."""

    async def first_count(seed: int) -> object:
        async with answering(REFUSES[refuses], 0, seconds * (1 - seed / 20)).client(seed) as galileo:
            if how == "count_all":
                return (await galileo.count_all([PROJECT])).total
            return (await outcome_of(galileo, timeout=20 if how == "timeout=20" else None))[0]

    assert 20 == [run(first_count(seed)) for seed in range(20)].count(7)


@pytest.mark.parametrize(("counts", "patience", "seconds"), [(1, 90, 4), (20, 90, 4), (2_000, 90, 4), (20, 1, 1)])
@virtual_time
async def test_an_address_where_nothing_has_ever_listened_is_given_up_after_four_seconds(counts, patience, seconds):
    """Or earlier if patience ends; a few dozen connections are tried, and each error names the address."""
    url = f"http://127.0.0.1:{free_port()}"
    clock, attempts, retry = asyncio.get_running_loop().time, list[object](), Retry(patience=patience)
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append, retry=retry) as galileo:
        began = clock()
        errors = (await galileo.count_all(ids(counts))).errors if counts > 1 else [(await outcome_of(galileo))[0]]
    assert seconds - 1 <= clock() - began <= seconds + 1
    assert [ConnectError] * counts == [type(error) for error in errors]
    assert [] == [str(error) for error in errors if url not in str(error)]
    assert len(attempts) <= 40


@pytest.mark.parametrize(
    "arguments", [{"counts": 1}, {"counts": 2}, {"counts": 5}, {"by": None}, {"by": {"all": Col("score") > 3}}], ids=str
)
@virtual_time
async def test_a_timeout_is_the_only_patience(arguments):
    """Through an outage of two minutes, with `timeout=300`, nothing is lost, and its end is noticed."""
    sky = answering(refusal, 1, 121)
    async with sky.client() as galileo:
        assert 7 == await galileo.count(PROJECT)
        await sky.until(1)
        if "by" in arguments:
            assert () == (await galileo.count_all(ids(500), timeout=300, **arguments)).errors
        else:
            counts = arguments["counts"]
            assert [7] * counts == await asyncio.gather(*(galileo.count(PROJECT, timeout=300) for _ in range(counts)))
        assert sky.now < 121 + 8  # the longest backoff


@pytest.mark.parametrize(("status", "retry_after"), [(429, 5), (503, 30), (429, 60)])
@virtual_time
async def test_a_fan_out_waits_as_long_as_the_service_asks_and_loses_nothing(retry_after, status):
    sky = Scripted(during([(0, retry_after - 0.5)], refusal(status, retry_after)))
    cost = await cost_of_new(sky, 100)
    assert cost.lost == 0
    assert sky.longest_silence(0, cost.seconds) >= retry_after - 0.1
    assert cost.seconds < retry_after + 3


@pytest.mark.parametrize(
    ("answer", "arguments", "retry", "setting"),
    [
        (refusal(429, 3600), {"timeout": 4_000}, Retry(), "max_retry_after"),
        (refusal(429, 30), {}, Retry(), "timeout="),
        (refusal(429, 30), {"timeout": 5}, Retry(), "timeout="),
        *((answer, {}, Retry(attempts=1), "") for answer in (refusal(429, 30), refusal(), unreachable())),
    ],
)
@new_or_not
@virtual_time
async def test_what_is_not_waited_for_is_the_error_at_once(begin, answer, arguments, retry, setting):
    """After one request; the error has the seconds, and its hint names the setting that is in the way."""
    sky = answering(lambda: answer, begin, 3_600)
    async with sky.client(retry=retry) as galileo:
        assert [7] * begin == await ask(galileo, begin, begin)
        error, seconds = await outcome_of(galileo, **arguments)
    asked = getattr(answer, "headers", {}).get("Retry-After")
    assert getattr(error, "retry_after", None) == (None if asked is None else float(asked))
    assert (len(error.attempts), sky.requests, seconds < 0.1) == (1, begin + 1, True)
    assert setting in error.hint


# ---- an outage and after ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "retry_after"), [*REFUSALS, (429, 61), (429, 86_400)])
@pytest.mark.parametrize("how", ["fan-out", "counts", "counts in a hurry", "first requests"])
@virtual_time
async def test_a_minute_after_an_outage_all_is_well(how, retry_after, status):
    """After ten seconds of refusals, whatever time they asked for, a count takes seconds, and a fan-out loses none."""
    sky = Scripted(during([(0 if how == "first requests" else 5, 15)], refusal(status, retry_after)))
    async with sky.client() as galileo:
        if how != "first requests":
            assert (await cost_of(sky, galileo, 20)).lost == 0
        await sky.until(5)
        if how == "fan-out":
            await galileo.count_all(ids(200), timeout=10)
        else:
            await ask(galileo, 0.5, 20, timeout=1 if how == "counts in a hurry" else None)
        await sky.until(15 + 61)
        total, seconds = await outcome_of(galileo)
        assert (total, seconds < 3.5) == (7, True)
        cost = await cost_of(sky, galileo, 100)
    assert (cost.lost, cost.seconds < 3.5) == (0, True)


@pytest.mark.parametrize("retry_after", [None, 3600])
@pytest.mark.parametrize("seconds", [20, 600])
@virtual_time
async def test_a_probe_goes_out_every_few_seconds(seconds, retry_after):
    """While a service refuses everything and callers wait, probes are at most 3 s apart, or a minute if it asks."""
    sky = Scripted(during([(1, 1 + seconds)], refusal(503, retry_after)))
    async with sky.client() as galileo:
        outcomes = await ask(galileo, 0.2, 5 * (seconds + 75), timeout=3.5)
    assert sky.longest_silence(0, seconds) < (3.6 if retry_after is None else 61)
    assert set(outcomes[-40:]) == {7}


@pytest.mark.parametrize("hours", [2, pytest.param(24, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    "outages",
    [lambda chance: chance.uniform(0.05, 6.9), lambda chance: chance.expovariate(1 / 20)],
    ids=["under 7 s", "of any length"],
)
@pytest.mark.parametrize("seed", range(3))
def test_counts_that_are_seconds_apart_make_no_row_of_failures(seed, outages, hours):
    """A count every 11 s fails in no outage that ends within 7 s of its beginning, whatever earlier counts met."""
    chance, spans = random.Random(seed), [(-2.0, -1.0)]
    while spans[-1][1] < hours * 3_600:
        begin = spans[-1][1] + 30 + chance.expovariate(1 / 300)
        spans.append((begin, begin + outages(chance)))

    async def main() -> list[tuple[object, float]]:
        async with Scripted(during(spans, refusal())).client(seed) as galileo:
            return await ask_and_time(galileo, 11, hours * 3_600 // 11)

    counts = [(11 * number, found) for number, (found, _) in enumerate(run(main()))]
    assert {7} == {found for began, found in counts if not any(begin <= began < end - 7 for begin, end in spans)}


async def test_a_server_that_dies_and_starts_again():
    """A fan-out during which a server resets all connections, and another begins a second later, loses nothing."""
    port, attempts = free_port(), []
    url = f"http://127.0.0.1:{port}"

    async def brief(_: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(http())

    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append) as galileo:
        async with galileo.count_many(ids(1_000)) as stream:
            async with raw_server(brief, port=port):
                counted = [await anext(stream) for _ in range(300)]
            await asyncio.sleep(1)
            async with raw_server(brief, port=port):
                counted += [result async for result in stream]
        assert idle(galileo)
    assert [(number, True) for number in range(1_000)] == sorted((result.index, result.ok) for result in counted)
    assert any(attempt.breaker_open for attempt in attempts)
    assert len(attempts) <= 1_000 + 256 + 50


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


async def count_by_name(names: Names, counts: int = 1, trusting: ssl.SSLContext | None = None) -> tuple[object, float]:
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
    names = Names(*errors)
    error, seconds = await count_by_name(names, trusting=trusting)
    assert (kind, 1, 1, True) == (type(error), len(error.attempts), names.asked, seconds < 1)


@pytest.mark.parametrize(
    ("errors", "counts"),
    [([None, *[socket.EAI_NONAME] * 8], 2), ([socket.EAI_AGAIN] * 8, 1), ([None, *[socket.EAI_AGAIN] * 8], 2)],
    ids=["a name that has resolved before", "a resolver that is busy", "a resolver that becomes busy"],
)
@virtual_time
async def test_a_name_that_may_resolve_soon_is_waited_for(errors, counts):
    assert 7 == (await count_by_name(Names(*errors), counts))[0]


@new_or_not
@virtual_time
async def test_a_proxy_that_refuses_the_password_is_asked_once(begin):
    """Its 407 doesn't change by asking again, and each wrong password counts against the user."""
    serving, trusting = tls()
    async with raw_server(http(Connection="close"), ssl=serving) as server:
        async with tunnelling(int(server.url.rpartition(":")[2]), begin) as proxy:
            address = f"http://ann:wrong@{proxy.address}"
            async with GalileoSessions("k", base_url=f"https://{HOST}", proxy=address, ssl=trusting) as galileo:
                outcomes = [await outcome_of(galileo) for _ in range(begin + 1)]
    error, seconds = outcomes[-1]
    assert isinstance(error, ConnectError)
    assert "407" in str(error)
    assert (1, begin + 1, True) == (len(error.attempts), len(proxy.heads), seconds < 1)


# ---- turns -----------------------------------------------------------------------------------------------------------

WHERE = Col("a").eq("x") & Col("b").gt(1) & Col("c").is_true()
WEEK = Col.date("created_at").days(last="7d", tz="UTC")
SMALL = {
    "count": (lambda galileo, timeout: galileo.count(PROJECT, timeout=timeout), 0.6),
    "count_by": (lambda galileo, timeout: galileo.count_by(PROJECT, WEEK, timeout=timeout), 1.6),
    "explain": (lambda galileo, timeout: galileo.explain(PROJECT, WHERE, timeout=timeout), 2.0),
    "count_all": (lambda galileo, timeout: galileo.count_all(ids(20), timeout=timeout), 3.0),
}
"""Calls, and the seconds that each may take beside a big fan-out."""
LIMITED = {
    "20 a second": lambda: Bucket(20, 20),
    "100 a second": lambda: Bucket(100, 20),
    "10 at once": lambda: Capacity(10, 0.5),
}


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("limited", LIMITED)
@virtual_time
async def test_a_small_call_takes_turns_with_a_big_fan_out(limited, small, timeout):
    """It ends within seconds, and loses nothing with `timeout=5`, although hundreds of targets have waited before."""
    sky = Sky(LIMITED[limited]())
    call, most = SMALL[small]
    async with sky.client() as galileo:
        big = asyncio.create_task(galileo.count_all(ids(1_000)))
        await sky.until(5)
        assert not big.done()
        report = await call(galileo, timeout)
        assert sky.now - 5 < most
        assert [()] * 2 == [getattr(each, "errors", ()) for each in (report, await big)]


# ---- what errors say -------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_timeout_that_the_rate_limit_uses_up_names_the_rate():
    async with Sky(Bucket(20, 1, latency=0.005), 429).client() as galileo:
        assert (await galileo.count_all(ids(200))).errors == ()
        outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=0.5) for _ in range(60)))
    unsent = [error for error, _ in outcomes if isinstance(error, GalileoError) and not error.attempts]
    assert len(unsent) >= 30
    for error in unsent:
        assert type(error) is gs.DeadlineExceededError
        (rate,) = re.findall(r"rate limit.* ([\d.]+) requests a second", str(error))
        assert 5 < float(rate) < 40
        assert "timeout" in str(error)


@pytest.mark.parametrize("how", ["count", "count_all", "count_all, timeout=30"])
@virtual_time
async def test_a_refusal_of_hours_ago_is_in_no_error(how):
    """When connections are refused now, no error names the 503 that other counts met five hours before."""
    sky = Scripted(lambda now, _: refusal() if 1 <= now < 60 else unreachable() if now > 17_000 else None)
    async with sky.client() as galileo:
        await ask(galileo, 2, 30, timeout=5)
        await sky.until(100)
        assert 7 == await galileo.count(PROJECT)
        await sky.until(18_000)
        if how == "count":
            errors = [(await outcome_of(galileo))[0] for _ in range(3)]
        else:
            errors = (await galileo.count_all(ids(20), timeout=30 if "timeout" in how else None)).errors
    assert [] == [str(error) for error in errors if "503" in str(error) or "Connection refused" not in str(error)]


@pytest.mark.parametrize("counts", [1, 3, 24])
@new_or_not
@pytest.mark.parametrize("latency", [0.02, 0.3, 0.5, 0.9, 1.2])
@virtual_time
async def test_each_error_names_the_refusal_and_the_limit(latency, begin, counts):
    """While everything is refused, each of some counts with `timeout=2` says so, whether or not it was ever sent."""
    sky = Scripted(lambda now, _: refusal() if now >= 2 * begin else None, latency)
    async with sky.client() as galileo:
        if begin:
            assert 7 == await galileo.count(PROJECT)
        await sky.until(2 * begin)
        errors = await asyncio.gather(*(failure(galileo, timeout=2) for _ in range(counts)))
    assert [] == [str(error) for error in errors if "503" not in str(error)]
    limit = "breaker|rate limit|free slot|an answer"
    assert [] == [str(error) for error in errors if not error.attempts and not re.search(limit, str(error))]


TROUBLES = {
    "503": refusal,
    "429": lambda: refusal(429),
    "500": lambda: refusal(500),
    "connection refused": unreachable,
    "hangs": Late,
}


async def texts(sky: Scripted, timeout: float = 2) -> list[str]:
    """The texts of 24 counts that begin together after a second."""
    async with sky.client() as galileo:
        await ask(galileo, 0.1, 3)
        await sky.until(1)
        outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=timeout) for _ in range(24)))
    return [str(found) for found, _ in outcomes]


@virtual_time
async def test_a_hang_is_not_called_a_refusal():
    """While nothing is answered, the counts that are never sent say that they waited for those that were."""
    hung = await texts(Scripted(lambda now, _: Late() if now >= 1 else None), timeout=0.9)
    waited = [text for text in hung if "waiting for" in text]
    assert [14, 0] == [sum(word in text for text in waited) for word in ("free slot", "refuses")]


@virtual_time
async def test_counts_of_one_query_that_hangs_end_with_the_same_error():
    """Those that met the last timeout of another one name that timeout, and no limit: they waited for none."""
    async with Scripted(lambda *_: Late()).client(timeouts=Timeouts(attempt=1)) as galileo:
        first = asyncio.create_task(failure(galileo))
        await asyncio.sleep(1.1)
        errors = await asyncio.gather(first, *(failure(galileo) for _ in range(5)))
    assert {(gs.AttemptTimeoutError, "no answer in time")} == {(type(each), each.message) for each in errors}


@virtual_time
async def test_an_error_tells_an_attempt_that_took_too_long_from_one_that_the_deadline_ended():
    """A count whose attempt has timed out, and that then waits for another one in vain, says what it met itself."""
    async with Scripted(lambda *_: Late()).client(limits=Limits(1), timeouts=Timeouts(attempt=1)) as galileo:
        other = outcome_of(galileo, ids(1)[0], timeout=3)
        error, _ = await asyncio.gather(failure(galileo, timeout=1.5), other)
    assert "waiting for a free slot (1 request in flight, limit 1); before that: no answer in time" in error.message


@pytest.mark.parametrize("then", TROUBLES)
@pytest.mark.parametrize("first", TROUBLES)
def test_nobody_waits_for_requests_that_are_not_there(first, then):

    def wrong(seconds: float, latency: float) -> list[str]:
        sky = Scripted(lambda now, _: None if now < 1 else TROUBLES[first if now < 1 + seconds else then](), latency)
        return [text for text in run(texts(sky)) if re.search(r"\b0 requests|limit 0", text)]

    assert [] == [text for seconds in (0.05, 0.2, 1) for latency in (0.02, 0.7, 3) for text in wrong(seconds, latency)]
