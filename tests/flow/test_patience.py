"""No wait is longer than its caller's patience, calls take turns, and each error says what was waited for."""

import asyncio
import re

import pytest
from support.clients import failure, ids
from support.clock import run, virtual_time
from support.models import Away, Bucket, Capacity, Service
from support.network import Late, Scripted, Sky, ask, cost_of, cost_of_new, during, outcome_of, refusal, unreachable
from support.sockets import PROJECT

from galileo_sessions import AttemptTimeoutError, Col, DeadlineExceededError, GalileoError, Limits, Timeouts

PATIENCE = 10.0  # seconds, of a single count without timeout=
SLACK = 0.3  # seconds: of an attempt, and between counts with the same Retry-After
REFUSALS = [(503, None), (429, None), (429, 1), (503, 9), (503, 30), (429, 60), (503, 3600)]

# ---- how long a call waits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 1, 30])
@pytest.mark.parametrize(("status", "retry_after"), REFUSALS)
@pytest.mark.parametrize("first", [True, False], ids=["first request", "after successes"])
@virtual_time
async def test_a_single_count_waits_no_longer_than_its_patience(first, retry_after, status, timeout):
    """Whatever a service refuses it with, a count ends within 10 s, or within its timeout."""
    sky = Scripted(lambda _, number: refusal(status, retry_after) if first or number > 3 else None)
    async with sky.client() as galileo:
        if not first:
            assert await ask(galileo, 0.1, 3) == [7] * 3
        for gap in (0, 0.1, 5, 61):  # the later ones meet an open circuit breaker
            await asyncio.sleep(gap)
            outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=timeout) for _ in range(3)))
            assert max(seconds for _, seconds in outcomes) <= (timeout or PATIENCE) + SLACK
            assert {isinstance(error, GalileoError) for error, _ in outcomes} == {True}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("retry_after", "timeout"), [(1, None), (9, None), (30, 40), (60, 90)])
@virtual_time
async def test_a_shorter_retry_after_is_waited_for(retry_after, timeout, status):
    """A Retry-After within the patience is kept: with `timeout=`, within that."""
    sky = Scripted(during([(0, retry_after)], refusal(status, retry_after)))
    async with sky.client() as galileo:
        total, seconds = await outcome_of(galileo, timeout=timeout)
    assert (total, sky.requests) == (7, 2)
    assert retry_after <= seconds < retry_after + SLACK


@pytest.mark.parametrize(
    ("away", "timeout", "succeeds", "least"),
    [(3, None, True, 3), (7.5, None, True, 7.5), (60, None, False, 8), (60, 20, False, 17.5), (60, 80, True, 60)],
    ids=["3 s", "7.5 s", "a minute", "a minute, timeout=20", "a minute, timeout=80"],
)
@virtual_time
async def test_the_patience_of_a_single_count(away, timeout, succeeds, least):
    """A single count waits 10 s, or its `timeout=`, for a service that answered before, if a probe is due by then."""
    sky = Sky(Away(Service(0.05), 1.0, away))
    async with sky.client() as galileo:
        assert await galileo.count(PROJECT) == 7
        await sky.until(1.01)
        found, took = await outcome_of(galileo, timeout=timeout)
    assert (found == 7) is succeeds
    assert succeeds or "503" in str(getattr(found, "last", found))
    assert succeeds or found.hint in ("Try again later, or raise timeout=", "Raise timeout=")
    assert least - 0.15 <= took < least + 3.1  # the shortest wait of a retry
    assert sky.requests <= 30 + took


@pytest.mark.parametrize(("status", "retry_after"), [(429, 5), (503, 30), (429, 60)])
@virtual_time
async def test_a_fan_out_waits_as_long_as_the_service_asks(retry_after, status):
    """Up to `max_retry_after`, nothing is lost, and nothing is sent before."""
    sky = Scripted(during([(0, retry_after - 0.5)], refusal(status, retry_after)))
    cost = await cost_of_new(sky, 100)
    assert cost.lost == 0
    assert sky.longest_silence(0, cost.seconds) >= retry_after - 0.1
    assert cost.seconds < retry_after + 3


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


@virtual_time
async def test_fan_outs_of_one_client_share_what_the_service_takes():
    """Those that begin later get their share from the first second on."""
    async with Sky(Bucket(50, 10)).client() as galileo:

        async def count(number: int) -> int:
            await asyncio.sleep(number)
            async with galileo.count_many(ids(2_000)) as stream:
                await asyncio.sleep(12 - number)
                return stream.progress.done

        assert min(await asyncio.gather(*map(count, range(3)))) > 100


# ---- what errors say -------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_timeout_that_the_rate_limit_uses_up_names_the_rate():
    """A count that wasn't sent in time names the rate limit, its requests a second, and what to do."""
    async with Sky(Bucket(20, 1, latency=0.005), 429).client() as galileo:
        assert (await galileo.count_all(ids(200))).errors == ()
        outcomes = await asyncio.gather(*(outcome_of(galileo, timeout=0.5) for _ in range(60)))
    unsent = [error for error, _ in outcomes if isinstance(error, GalileoError) and not error.attempts]
    assert len(unsent) >= 30
    for error in unsent:
        assert type(error) is DeadlineExceededError
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
@pytest.mark.parametrize("begin", [0, 2], ids=["new", "has counted"])
@pytest.mark.parametrize("latency", [0.02, 0.3, 0.5, 0.9, 1.2])
@virtual_time
async def test_each_error_names_the_refusal_and_the_limit(latency, begin, counts):
    """While everything is refused, each of some counts with `timeout=2` says so, whether or not it was ever sent."""
    sky, limit = (
        Scripted(lambda now, _: refusal() if now >= begin else None, latency),
        "breaker|rate limit|free slot|an answer",
    )
    async with sky.client() as galileo:
        if begin:
            assert 7 == await galileo.count(PROJECT)
        await sky.until(begin)
        errors = await asyncio.gather(*(failure(galileo, timeout=2) for _ in range(counts)))
    assert [] == [str(error) for error in errors if "503" not in str(error)]
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
    sky = Scripted(lambda *_: Late())
    async with sky.client(timeouts=Timeouts(attempt=1)) as galileo:
        first = asyncio.create_task(failure(galileo))
        await sky.until(1.1)
        errors = await asyncio.gather(first, *(failure(galileo) for _ in range(5)))
    assert {(AttemptTimeoutError, "no answer in time")} == {(type(each), each.message) for each in errors}


@virtual_time
async def test_an_error_tells_an_attempt_that_took_too_long_from_one_that_the_deadline_ended():
    """A count whose attempt has timed out, and that then waits for another one in vain, says what it met itself."""
    sky = Scripted(lambda *_: Late())
    async with sky.client(limits=Limits(1), timeouts=Timeouts(attempt=1)) as galileo:
        first = asyncio.create_task(failure(galileo, timeout=1.5))
        other = asyncio.create_task(outcome_of(galileo, ids(1)[0], timeout=3))
        error = await first
        await other
    assert "waiting for a free slot (1 request in flight, limit 1); before that: no answer in time" in error.message


@pytest.mark.parametrize("then", TROUBLES)
@pytest.mark.parametrize("first", TROUBLES)
def test_nobody_waits_for_requests_that_are_not_there(first, then):
    """Whatever a service does, no error speaks of 0 requests under way."""

    def wrong(seconds: float, latency: float) -> list[str]:
        sky = Scripted(lambda now, _: None if now < 1 else TROUBLES[first if now < 1 + seconds else then](), latency)
        return [text for text in run(texts(sky)) if re.search(r"\b0 requests|limit 0", text)]

    assert [] == [text for seconds in (0.05, 0.2, 1) for latency in (0.02, 0.7, 3) for text in wrong(seconds, latency)]
