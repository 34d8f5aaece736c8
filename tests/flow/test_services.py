"""Whole clients at simulated services, in virtual time: nothing is lost, little is wasted, and what is old expires."""

import asyncio
import logging
import math
import re
from collections.abc import Callable
from functools import partial

import pytest
from flow.weathers import weathers
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clients import ids
from support.clock import virtual_time
from support.models import Away, Bucket, Capacity, Melt, Mixed, Queue, Service, Window
from support.network import DAY, Scripted, Sky, Weather, cost_of, cost_of_new, during, outcome, outcome_of, refusal
from support.sockets import PROJECT

from galileo_sessions import AttemptTimeoutError, BearerAuth, RateLimitedError, ServerError

thorough = pytest.mark.thorough

DEAD = {
    "429": (partial(Capacity, 0, 0.05), 429, RateLimitedError, 92),
    "503": (partial(Capacity, 0, 0.05), 503, ServerError, 92),
    "Retry-After": (partial(Bucket, 1e-9, 0, 1.0), 503, RateLimitedError, 92),
    "no answer": (lambda: Away(Service(), how="silent"), 503, AttemptTimeoutError, 210),
}
"""How a service is made, the status of its refusals, the error of each count, and the seconds until all have ended."""


@thorough
@pytest.mark.parametrize("how", DEAD)
@virtual_time
async def test_a_dead_service_sees_dozens_of_requests(how):
    """Of 2,000 counts at a service that is dead from the start all fail after their patience, with few requests."""
    service, status, error, seconds = DEAD[how]
    cost = await cost_of_new(Sky(service(), status), 2_000)
    assert [error] * 2_000 == [type(one) for one in cost.report.errors]
    assert (True, True) == (cost.requests < 100, cost.seconds < seconds)
    never_sent = [result for result in cost.report.results if not result.attempts]
    assert len(never_sent) > 1_900
    assert all("the service has refused everything for" in str(result.error) for result in never_sent)


@thorough
@pytest.mark.parametrize(("every", "counts"), [(1, 200), (30, 20)])
@virtual_time
async def test_a_slow_service_that_asks_for_time_loses_nothing(every, counts):
    """At one count every 1 or 30 s, while all others are to come in half a minute, they wait longer than patience."""
    cost = await cost_of_new(Sky(Bucket(1 / every, 1, 30.0)), counts)
    assert cost.lost == 0
    assert cost.seconds > 180


@virtual_time
async def test_progress_attempts_and_log_show_the_limits(caplog):
    """Progress and attempts have the width, the rate and whether only probes are sent; the log has the reasons."""
    sky, results = Sky(Away(Window(100, 1), 1.0, 3)), []
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    async with sky.client() as galileo, galileo.count_many(ids(600)) as stream:
        before = stream.progress
        assert (before.width, before.rate, before.breaker_open) == (10, math.inf, False)
        asyncio.get_running_loop().call_later(2.5, lambda: results.append(stream.progress.breaker_open))
        attempts = [attempt async for result in stream for attempt in result.attempts]
    assert results == [True]
    assert {attempt.breaker_open for attempt in attempts} == {False, True}
    assert all(1 <= attempt.width <= 256 and attempt.rate > 0 for attempt in attempts)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("limits: ")]
    for reason in ("refused", "only single probes are sent"):
        assert any(reason in line for line in lines)
    assert [] == warned(caplog)  # three seconds are no outage


@pytest.mark.parametrize("seconds", [0, 1])
@virtual_time
async def test_a_login_is_no_latency_of_the_service(seconds):
    """A limit of 20 a second costs a client whose first token takes a second just that second, and no longer pauses."""

    async def token() -> str:
        await asyncio.sleep(seconds)
        return "t"

    async with Sky(Bucket(20, 5)).client(auth=BearerAuth(token)) as galileo:
        report = await galileo.count_all(ids(200))
    assert report.progress.elapsed - seconds < 10.5
    assert sum(result.attempts[0].elapsed >= seconds for result in report.results) == (10 if seconds else 200)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings so far, without the exact number of seconds."""
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [re.sub(r"\d+ s", "10 s", line) for line in lines]


AWAY = "the service has answered nothing for 10 s: only single probes are sent until one succeeds"
BACK = "the service answers again"
MINUTE = [(2.0, 62.0)]


@pytest.mark.parametrize(
    ("spans", "lines"),
    [
        ([(2, 9)], []),
        (MINUTE, [AWAY, BACK]),
        ([(2, 62), (80, 180)], [AWAY, BACK] * 2),  # for 90 s, the second one looks like a quota
        ([(2, 62), (150, 180)], [AWAY, BACK] * 2),
        ([(2, 999)], [AWAY]),  # though fan-out after fan-out is given up
        ([(at, at + 5) for at in range(2, 92, 10)], []),
    ],
    ids=str,
)
@virtual_time
async def test_a_warning_tells_of_an_outage_that_users_notice_and_of_its_end(caplog, spans, lines):
    """After ten seconds without any answer, once."""
    sky = Scripted(during(spans, refusal()))
    async with sky.client() as galileo:
        while sky.now < 300:
            await galileo.count_all(ids(20))
            await asyncio.sleep(1)
    assert lines == warned(caplog)


@pytest.mark.parametrize(("quota", "seconds"), [(10, 30), (20, 60), (100, 20)])
@virtual_time
async def test_a_quota_that_is_known_is_no_outage(caplog, quota, seconds):
    """The first time that it is used up, it looks like one."""
    assert 0 == (await cost_of_new(Sky(Window(quota, seconds)), 5 * quota)).lost
    assert warned(caplog) in ([], [AWAY, BACK])


# ---- the table -------------------------------------------------------------------------------------------------------

SEED = 1
WEATHERS = weathers()
NAMES = [pytest.param(name, marks=[thorough] * (each.counts > 600)) for name, each in WEATHERS.items()]


@pytest.mark.parametrize("name", NAMES)
def test_known_services_cost_what_they_must_and_lose_nothing(name: str) -> None:
    """Bounds on loss, requests per count, time compared with the ideal, fairness, and the time of a lone count."""
    weather = WEATHERS[name]
    found = outcome(weather, SEED)
    assert 0 == found.lost
    assert weather.requests >= found.requests
    assert weather.wall * weather.ideal + weather.away >= found.seconds
    assert weather.fairness < found.fairness
    assert (weather.lone or math.inf) > found.lone


DYING = {
    "fast": (Service, 1.0, 40_000, 256 + 90),
    "slow": (partial(Bucket, 0.4, 1), 60.0, 200, 200),  # patience begins with the first refusal of a row
}
"""A service, when it dies, how many counts there are, and how many requests it may refuse."""


@thorough
@pytest.mark.parametrize("dying", DYING)
def test_a_service_that_dies_sees_tens_of_requests_until_patience_is_over(dying: str) -> None:
    """In addition to those that were under way. The last pause, of up to 3 s, isn't begun."""
    service, since, counts, most = DYING[dying]
    found = outcome(Weather(lambda: Away(service(), since), counts, 0.0, 1.0, 1.0), SEED)
    assert since / 6 < counts - found.lost
    assert most > found.requests * counts - (counts - found.lost)
    assert since + 90 - 6.0 < found.seconds < since + 115


# ---- random services -------------------------------------------------------------------------------------------------


def made(kind: type[Service], *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Callable[[], Service]]:
    """Makes a service anew, each time with the same arguments."""
    return st.builds(partial, st.just(kind), *arguments)


def away(service: Callable[[], Service], *arguments: object) -> Callable[[], Service]:
    """Makes another service that is away for a while."""
    return lambda: Away(service(), *arguments)


latencies, spreads, times = st.floats(0.002, 0.3), st.floats(0.0, 1.0), st.sampled_from([None, "exact", "whole"])
steady = st.one_of(
    made(Service, latencies, spreads),
    made(Queue, st.integers(1, 64), latencies, spreads),
    made(Capacity, st.integers(1, 200), latencies, spreads),
    made(Bucket, st.floats(5.0, 1_000.0), st.integers(1, 100), st.sampled_from([None, 1.0, 2.0, "exact"]), latencies),
    made(Window, st.integers(20, 500), st.sampled_from([1, 5]), times, latencies),
    made(Melt, st.integers(8, 64), st.floats(0.002, 0.1)),
    made(Mixed, st.floats(0.0, 0.03), st.sampled_from(["refused", "ok"]), st.floats(1.0, 20.0), latencies),
)
outages = st.builds(away, steady, st.floats(0.5, 5.0), st.floats(0.1, 30.0), st.sampled_from(["refused", "reset"]))
# Alone with an outage: a client that has never had an answer may give up after seconds.
crowds = st.one_of(st.tuples(steady, st.integers(1, 3)), st.tuples(outages, st.just(1)))


@thorough
@settings(max_examples=60)
@given(crowds, st.integers(1, 1_000))
def test_nothing_is_lost_while_the_service_makes_progress(crowd: tuple[Callable[[], Service], int], seed: int) -> None:
    """Up to three clients, each with its part of 600 counts."""
    service, clients = crowd
    found = outcome(Weather(service, 600, 0.0, 1.0, 1.0, clients=clients, stagger=0.5), seed)
    assert 0 == found.lost


# ---- what expires ----------------------------------------------------------------------------------------------------


@thorough
@pytest.mark.parametrize(("status", "retry_after"), [(503, None), (429, 30)])
@pytest.mark.parametrize("counts", [1, 50])
@virtual_time
async def test_after_ten_minutes_of_outage_and_a_quiet_time_a_client_is_like_a_new_one(counts, retry_after, status):
    """A fan-out takes no request more and half a second longer at most than a new client's, a single count no time."""
    sky = Scripted(during([(60, 660)], refusal(status, retry_after)))
    async with sky.client() as galileo:
        for minute in range(1, 15):
            await galileo.count_all(ids(counts), timeout=50)
            await sky.until(60 * minute)
        await asyncio.sleep(120)
        assert (await outcome_of(galileo, timeout=1))[0] == 7
        used = await cost_of(sky, galileo, 2_000, timeout=120)
    new = await cost_of_new(sky, 2_000)
    assert (used.lost, used.requests) == (0, new.requests)
    assert used.seconds <= 1.1 * new.seconds + 0.4


@pytest.mark.parametrize(("gap", "status"), [(1, 429), (60, 503), (DAY, 503)])
@pytest.mark.parametrize("targets", [[PROJECT] * 5, ids(5)], ids=["one project", "five"])
@virtual_time
async def test_a_stray_refusal_now_and_then_slows_nothing_down(targets, gap, status):
    """Five counts now and then, one of which is refused once, lose nothing and take less than a second each time."""
    sky = Scripted(lambda _, number: refusal(status) if number % 6 == 3 else None)
    async with sky.client() as galileo:
        for _ in range(40):
            began = sky.now
            assert [7] * 5 == await asyncio.gather(*(galileo.count(target, timeout=5) for target in targets))
            assert sky.now - began < 1
            await asyncio.sleep(gap)
    assert sky.requests == 40 * 6
