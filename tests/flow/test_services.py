"""Whole clients at simulated services, in virtual time: nothing is lost, and little is wasted."""

import asyncio
import logging
import math

import pytest
from flow.weathers import unlimited, weathers
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clients import ids
from support.inside import idle
from support.models import Away, Bucket, Capacity, Melt, Mixed, Queue, Service, Window
from support.network import Sky, Weather, outcome, under

from galileo_sessions import AttemptTimeoutError, CountReport, RateLimitedError, ServerError
from galileo_sessions.api.responses import Response

pytestmark = pytest.mark.thorough


def counted(sky: Sky, counts: int, **arguments: object) -> tuple[CountReport, float]:
    """The report of a fan-out with the defaults, and the seconds that it took."""

    async def main() -> tuple[CountReport, float]:
        clock = asyncio.get_running_loop().time
        began = clock()
        async with sky.client(**arguments) as galileo:
            report = await galileo.count_all(ids(counts))
            assert idle(galileo)
        return report, clock() - began

    return under(sky, main)


@pytest.mark.parametrize("name", ["200 a second, burst 20, 1000 counts", "1 % 503"])
def test_a_429_is_a_refusal_like_a_503(name):
    """It keeps the table's bounds on requests and on time, and each request is listed as an attempt."""
    weather = weathers()[name]
    sky = Sky(weather.service(), 429)
    report, seconds = counted(sky, weather.counts)
    assert report.errors == ()
    assert sky.requests <= weather.requests * weather.counts
    assert seconds <= weather.wall * weather.ideal + weather.away
    assert sum(len(result.attempts) for result in report.results) == sky.requests


def test_a_page_of_maintenance_is_an_outage():
    """While a proxy answers 200 with a page of its own, counts wait as they do at a 503."""

    class Page(Sky):
        async def post(self, path: str) -> Response:
            response = await super().post(path)
            return response if response.status == 200 else Response(200, {}, b"<html>we will be back soon</html>")

    sky = Page(Away(Service(0.05), 1.0, 5.0))
    report, took = counted(sky, 8_000)
    assert report.errors == ()
    assert took < 5 * 1.15 + 4


DEAD = {
    "429": (Sky(Capacity(0, 0.05), 429), RateLimitedError, 115),
    "503": (Sky(Capacity(0, 0.05)), ServerError, 115),
    "502": (Sky(Capacity(0, 0.05), 502), ServerError, 115),
    "Retry-After": (Sky(Bucket(1e-9, 0, 1.0)), RateLimitedError, 115),
    "no answer": (Sky(Away(Service(), how="silent")), AttemptTimeoutError, 150),
}


@pytest.mark.parametrize("how", DEAD)
def test_a_dead_service_sees_dozens_of_requests(how):
    """Of 2,000 counts at a service that is dead from the start all fail after their patience, with few requests."""
    sky, error, seconds = DEAD[how]
    report, took = counted(sky, 2_000)
    assert {type(one) for one in report.errors} == {error}
    assert len(report.errors) == 2_000
    assert sky.requests < 100
    assert took < seconds
    never_sent = [result for result in report.results if not result.attempts]
    assert len(never_sent) > 1_900
    assert all("the service has refused everything for" in str(result.error) for result in never_sent)


# ---- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency", "connect"), [(0.002, 0.01), (0.02, 0.03), (0.02, 0.1), (0.1, 0.1)], ids=lambda seconds: f"{seconds} s"
)
def test_connecting_is_not_the_services_latency(latency, connect):
    """A new client at a healthy service widens, although the first request of each connection takes longer."""
    idle = 0

    class Connecting(Sky):
        async def post(self, path: str) -> Response:
            nonlocal idle
            if idle:
                idle -= 1
            else:
                await asyncio.sleep(connect)
            response = await super().post(path)
            idle += 1
            return response

    sky = Connecting(Service(latency))

    async def main() -> tuple[int, float]:
        async with sky.client(1) as galileo, galileo.count_many(ids(4_000)) as stream:
            widths = [stream.progress.width async for _ in stream]
            return widths[1_000], stream.progress.elapsed

    width, seconds = under(sky, main)
    assert width > 64
    assert seconds <= 2 * (unlimited(4_000, latency) + connect)


@pytest.mark.parametrize(("every", "counts"), [(1, 200), (30, 20)])
def test_a_slow_service_that_asks_for_time_loses_nothing(every, counts):
    """At one count every 1 or 30 s, while all others are to come in half a minute, they wait longer than patience."""
    report, seconds = counted(Sky(Bucket(1 / every, 1, 30.0)), counts)
    assert report.errors == ()
    assert seconds > 180


def test_a_service_that_dies_while_it_is_slow_is_given_up():
    """At the lowest rate, too, patience begins with the first refusal of a row, and no probe comes after its end."""
    sky = Sky(Away(Bucket(0.4, 1), 60.0))
    report, seconds = counted(sky, 200)
    assert 10 < len(report.results) - len(report.errors) < 25
    assert 144 < seconds < 175


# ---- seen through ----------------------------------------------------------------------------------------------------


def test_progress_attempts_and_log_show_the_limits(caplog):
    """Progress and attempts have the width, the rate and whether only probes are sent; the log has the reasons."""
    sky = Sky(Away(Window(100, 1), 1.0, 3))
    caplog.set_level(logging.DEBUG, "galileo_sessions")

    async def main() -> tuple[CountReport, object, object]:
        async with sky.client() as galileo, galileo.count_many(ids(600)) as stream:
            before = stream.progress
            results = [anext(stream) for _ in range(600)]
            task = asyncio.create_task(take(results))
            await asyncio.sleep(2.5)
            during = stream.progress
            return await task, before, during

    async def take(results: list) -> list:
        return [await result for result in results]

    results, before, during = under(sky, main)
    assert (before.width, before.rate, before.breaker_open) == (10, math.inf, False)
    assert during.breaker_open
    attempts = [attempt for result in results for attempt in result.attempts]
    assert {attempt.breaker_open for attempt in attempts} == {False, True}
    assert all(1 <= attempt.width <= 256 and attempt.rate > 0 for attempt in attempts)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("limits: ")]
    assert any("refused" in line for line in lines)
    assert any("only single probes are sent" in line for line in lines)
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned == ["the service refuses all requests: only single probes are sent until one succeeds"]


# ---- the table -------------------------------------------------------------------------------------------------------

WEATHERS = weathers()
SEED = 1
_REFUSED = "more requests are refused: one in sixteen is free, and a small job has few answers to learn from"
_UNFAIR = "clients that began later need more than a minute to get their share"
_SLOW = "the width or the rate is found more slowly"
_CHANCE = "2 to 4 % over the bound, or a share of 0.75; the seeds 2 and 3 or 3 and 4 keep it"
MISSED = {
    "at most 20 at once": _REFUSED,
    "200 a second, burst 1, 4000 counts": _SLOW,
    "200 a second, burst 1, 4000 counts, Retry-After exact": _SLOW,
    "200 a second, burst 20, 1000 counts": _REFUSED,
    "200 a second, burst 20, 1000 counts, Retry-After 1.0": _REFUSED,
    "200 a second, burst 20, 1000 counts, Retry-After exact": _REFUSED,
    "3 share what melts beyond 16": _UNFAIR,
    "120 a minute, burst 10": _REFUSED,
    "20 in 60 s": _REFUSED,
    "queue 8 x 20 ms, spread": _CHANCE,
    "at most 200 at once": _CHANCE,
    "1000 a second, burst 100, 10000 counts": "1.27 requests a count: refusals in a row cut the rate once",
    "600 in 60 s": _SLOW,
    "5 % 503": "1.53 times the ideal instead of 1.5",
    "20 a minute, burst 1": _REFUSED,
    "three share 75 a minute": _REFUSED,
    "4 share 40 at once": _UNFAIR,
    "8 share 200 a second": _REFUSED,
}
"""Rows that miss a bound, and why. Unknown services count more than this table."""


def row(name: str) -> object:
    """A case of the table; known misses are deterministic, so a lucky change shows."""
    marks = pytest.mark.xfail(reason=MISSED[name], strict=True) if name in MISSED else ()
    return pytest.param(name, id=name, marks=marks)


@pytest.mark.parametrize("name", [row(name) for name in WEATHERS])
def test_known_services_cost_what_they_must_and_lose_nothing(name: str) -> None:
    """Bounds on loss, requests per count, time compared with the ideal, fairness, and the time of a lone count."""
    weather = WEATHERS[name]
    found = outcome(weather, SEED)
    assert 0 == found.lost
    assert weather.requests >= found.requests
    assert weather.wall * weather.ideal + weather.away >= found.seconds
    assert weather.fairness < found.fairness
    assert (weather.lone or math.inf) > found.lone


def test_a_service_that_dies_sees_tens_of_requests_until_patience_is_over() -> None:
    """In addition to those that were under way. The last pause, of up to 3 s, isn't begun."""
    found = outcome(Weather(lambda: Away(Service(), since=1.0), 40_000, 0.0, 1.0, 1.0), SEED)
    answered = 40_000 - found.lost
    assert 256 + 90 > found.requests * 40_000 - answered
    assert 1.0 + 112.5 - 3.0 < found.seconds < 117.5


# ---- random services -------------------------------------------------------------------------------------------------

latencies = st.floats(0.002, 0.3)
retry_after = st.sampled_from([None, 1.0, 2.0, "exact"])
steady = st.one_of(
    st.builds(Service, latencies, st.floats(0.0, 1.0)),
    st.builds(Queue, st.integers(1, 64), latencies, st.floats(0.0, 1.0)),
    st.builds(Capacity, st.integers(1, 200), latencies, st.floats(0.0, 1.0)),
    st.builds(Bucket, st.floats(5.0, 1_000.0), st.integers(1, 100), retry_after, latencies),
    st.builds(
        Window, st.integers(20, 500), st.sampled_from([1, 5]), st.sampled_from([None, "exact", "whole"]), latencies
    ),
    st.builds(Melt, st.integers(8, 64), st.floats(0.002, 0.1)),
    st.builds(Mixed, st.floats(0.0, 0.03), st.sampled_from(["refused", "ok"]), st.floats(1.0, 20.0), latencies),
)
outages = st.builds(Away, steady, st.floats(0.5, 5.0), st.floats(0.1, 30.0), st.sampled_from(["refused", "reset"]))
# Alone with an outage: a client that has never had an answer may give up after seconds.
crowds = st.one_of(st.tuples(steady, st.integers(1, 3)), st.tuples(outages, st.just(1)))


@settings(max_examples=60)
@given(crowds, st.integers(1, 1_000))
def test_nothing_is_lost_while_the_service_makes_progress(crowd: tuple[Service, int], seed: int) -> None:
    """Up to three clients, each with its part of 600 counts."""
    service, clients = crowd
    found = outcome(Weather(lambda: service, 600, 0.0, 1.0, 1.0, clients=clients, stagger=0.5), seed)
    assert 0 == found.lost
