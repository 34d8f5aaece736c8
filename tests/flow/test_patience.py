"""Rule 11: each call has one patience, in which it retries; calls take turns, and errors say what they waited for."""

import asyncio
import re
import socket
from functools import partial

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from support.clients import failure, ids
from support.clock import virtual_time
from support.models import Bucket, Capacity
from support.network import Late, Scripted, Sky, ask, during, outcome_of, refusal, unreachable
from support.proxies import HOST, tls
from support.sockets import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, ConnectError, GalileoSessions, Limits, Retry, Timeouts

new_or_not = pytest.mark.parametrize("begin", [0, 1], ids=["new", "has counted"])


# ---- how long a call waits -------------------------------------------------------------------------------------------


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
    sky = Scripted(during([(begin, begin + away)], refusal(status, retry_after)), 0.005)
    async with sky.client() as galileo:
        assert [7] * begin == await ask(galileo, begin, begin)
        found, took = await outcome_of(galileo, timeout=timeout)
    assert (found == 7) is (least >= away)  # it is back by then
    assert found == 7 or str(status) in str(getattr(found, "last", found))
    assert least <= took < most
    assert sky.requests <= begin + (30 + took if retry_after is None else 2)


@pytest.mark.parametrize("counts", [1, 20, 2_000])
@virtual_time
async def test_a_new_client_loses_nothing_to_a_restart_of_three_seconds(counts):
    for seed in range(10):
        sky = Scripted(during([(seed * 100, seed * 100 + 3)], unreachable()), 0.005)
        await sky.until(seed * 100)
        async with sky.client(seed) as galileo:
            assert [7] * counts == [*(await galileo.count_all(ids(counts))).counts]


@pytest.mark.parametrize(("counts", "patience", "seconds"), [(1, 90, 4), (2_000, 90, 4), (20, 1, 1)])
@virtual_time
async def test_an_address_where_nothing_has_ever_listened_is_given_up_after_four_seconds(counts, patience, seconds):
    """Or earlier if patience ends; a few dozen connections are tried, and each error names the address."""
    url = "http://127.0.0.1:9"
    clock, attempts, retry = asyncio.get_running_loop().time, list[object](), Retry(patience=patience)
    async with GalileoSessions("k", base_url=url, on_attempt=attempts.append, retry=retry) as galileo:
        began = clock()
        errors = (await galileo.count_all(ids(counts))).errors if counts > 1 else [(await outcome_of(galileo))[0]]
    assert seconds - 1 <= clock() - began <= seconds + 2
    assert [ConnectError] * counts == [type(error) for error in errors]
    assert [] == [str(error) for error in errors if url not in str(error)]
    assert len(attempts) <= 40


@pytest.mark.parametrize("counts", [1, 5, 500])
@virtual_time
async def test_a_timeout_is_the_only_patience(counts):
    """Through an outage of two minutes, with `timeout=300`, nothing is lost, and its end is noticed."""
    sky = Scripted(during([(1, 121)], refusal()), 0.005)
    async with sky.client() as galileo:
        assert 7 == await galileo.count(PROJECT)
        await sky.until(1)
        if counts == 500:
            report = await galileo.count_all(ids(500), by={"all": Col("score") > 3}, timeout=300)
            assert () == report.errors
        else:
            assert {7} == {*await asyncio.gather(*(galileo.count(PROJECT, timeout=300) for _ in range(counts)))}
        assert sky.now < 121 + 8  # the longest backoff


@pytest.mark.parametrize(
    ("answer", "arguments", "retry", "setting"),
    [
        (refusal(429, 3600), {"timeout": 4_000}, Retry(), "max_retry_after"),
        (refusal(429, 30), {"timeout": 5}, Retry(), "the timeout"),
        *((answer, {}, Retry(attempts=1), "") for answer in (refusal(429, 30), refusal(), unreachable())),
    ],
    ids=["an hour", "over the timeout", "one attempt, 429", "one attempt, 503", "one attempt, unreachable"],
)
@new_or_not
@virtual_time
async def test_what_is_not_waited_for_is_the_error_at_once(begin, answer, arguments, retry, setting):
    """After one request; the error has the seconds, and its hint names the setting that is in the way."""
    sky = Scripted(during([(begin, 3_600)], answer), 0.005)
    async with sky.client(retry=retry) as galileo:
        assert [7] * begin == await ask(galileo, begin, begin)
        error, seconds = await outcome_of(galileo, **arguments)
    asked = getattr(answer, "headers", {}).get("Retry-After")
    assert getattr(error, "retry_after", None) == (None if asked is None else float(asked))
    assert (len(error.attempts), sky.requests, seconds < 0.1) == (1, begin + 1, True)
    assert setting in error.hint


class Names(AbstractResolver):
    """Resolves any name to this machine, but first raises these errors, where they aren't None."""

    def __init__(self, *errors: int | None) -> None:
        self.errors = [*errors]

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise socket.gaierror(error, "no address")
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("errors", "counts"),
    [([None, *[socket.EAI_NONAME] * 8], 2), ([socket.EAI_AGAIN] * 8, 1), ([None, *[socket.EAI_AGAIN] * 8], 2)],
    ids=["a name that has resolved before", "a resolver that is busy", "a resolver that becomes busy"],
)
@virtual_time
async def test_a_name_that_may_resolve_soon_is_waited_for(errors, counts):
    serving, trusting = tls()
    connector = aiohttp.TCPConnector(resolver=Names(*errors), use_dns_cache=False, force_close=True)
    async with raw_server(http(), ssl=serving) as server, aiohttp.ClientSession(connector=connector) as session:
        url = f"https://{HOST}:{server.url.rpartition(':')[2]}"
        async with GalileoSessions("k", base_url=url, session=session, ssl=trusting) as galileo:
            assert [7] * counts == [await galileo.count(PROJECT) for _ in range(counts)]


# ---- turns -----------------------------------------------------------------------------------------------------------

WEEK = Col.date("created_at").days(last="7d", tz="UTC")
SMALL = {
    "count": (lambda galileo: galileo.count(PROJECT, timeout=5), 0.6),
    "count_by": (lambda galileo: galileo.count_by(PROJECT, WEEK), 1.6),
    "count_all": (lambda galileo: galileo.count_all(ids(20), timeout=5), 3.0),
}
"""Calls, and the seconds that each may take beside a big fan-out."""


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("limited", [partial(Bucket, 20, 20), partial(Capacity, 10, 0.5)], ids=["a second", "at once"])
@virtual_time
async def test_a_small_call_takes_turns_with_a_big_fan_out(limited, small):
    """It ends within seconds, and loses nothing with `timeout=5`, although hundreds of targets have waited before."""
    sky = Sky(limited())
    call, most = SMALL[small]
    async with sky.client() as galileo:
        big = asyncio.create_task(galileo.count_all(ids(1_000)))
        await sky.until(5)
        assert not big.done()
        report = await call(galileo)
        assert sky.now - 5 < most
        assert [()] * 2 == [getattr(each, "errors", ()) for each in (report, await big)]


# ---- what errors say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [1, 24])
@new_or_not
@pytest.mark.parametrize("latency", [0.02, 0.5, 1.2])
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


@virtual_time
async def test_targets_that_wait_until_the_timeout_say_what_for_and_for_how_long():
    """Although four workers take them only then: the wait for the permit is theirs."""
    async with Scripted(latency=0.1).client(limits=Limits(rate=2)) as galileo:
        report = await galileo.count_all(ids(20), concurrency=4, timeout=3)
    assert report.progress.elapsed < 3.1
    told = "the timeout ran out while waiting for Limits(rate=2)"
    waited = [error.elapsed for error in report.errors if told in str(error)]
    assert (4, True) == (len(waited), max(waited) > 1.5)


@virtual_time
async def test_a_count_that_follows_another_one_keeps_its_own_patience():
    """The one that is sent for both may wait for longer."""
    async with Scripted(lambda *_: refusal(500)).client(retry=Retry(attempts=20)) as galileo:
        first = asyncio.create_task(outcome_of(galileo, timeout=60))
        await asyncio.sleep(1)
        error, seconds = await outcome_of(galileo)
        assert not isinstance(error, int)
        assert seconds < 11
        await first
