"""In each weather whole clients lose nothing, waste few requests, and take hardly longer than they must."""

import math
import os

import pytest
from support.skies import outcome
from support.weather_table import Weather, weathers
from support.weathers import Away, Service

pytestmark = pytest.mark.thorough

WEATHERS = weathers()
SEEDS = range(1, 6) if os.environ.get("EVERY_SEED") else (1,)  # all of them in tox's environment `weathers`
_REFUSED = "more requests are refused: one in sixteen is free, and a small job has few answers to learn from"
_UNFAIR = "clients that began later need more than a minute to get their share"
_SLOW = "the width or the rate is found more slowly"
_LONE = "a lone count meets refusals, which hold the client for two latencies"
MISSED: dict[str, tuple[tuple[int, ...], str]] = {
    "queue 8 x 20 ms, spread": ((1,), _SLOW),
    "at most 20 at once": ((1, 2, 3, 4, 5), _REFUSED),
    "at most 200 at once": ((1, 3), _SLOW),
    "at most 20 at once, spread": ((2,), _SLOW),
    "20 a second, burst 100, 300 counts": ((2, 4), _REFUSED),
    "20 a second, burst 100, 300 counts, Retry-After 1.0": ((2, 4), _REFUSED),
    "20 a second, burst 100, 300 counts, Retry-After exact": ((2, 4), _REFUSED),
    "200 a second, burst 1, 4000 counts": ((1, 2, 3, 5), _SLOW),
    "200 a second, burst 1, 4000 counts, Retry-After exact": ((1, 2, 3, 5), _SLOW),
    "200 a second, burst 20, 1000 counts": ((1, 2, 3), _REFUSED),
    "200 a second, burst 20, 1000 counts, Retry-After 1.0": ((1, 2, 3), _REFUSED),
    "200 a second, burst 20, 1000 counts, Retry-After exact": ((1, 2, 3), _REFUSED),
    "100 in 1 s": ((1, 2, 3, 4, 5), _REFUSED),
    "100 in 1 s, Retry-After whole": ((1, 2, 3, 4, 5), _REFUSED),
    "100 in 1 s, Retry-After exact": ((1, 2, 4, 5), _REFUSED),
    "30 % 503": ((4, 5), _SLOW),
    "5 % 503": ((2,), _SLOW),
    "10 % 503": ((3,), _SLOW),
    "2 share 200 a second": ((3, 5), _UNFAIR),
    "3 share 200 a second": ((3, 5), _UNFAIR),
    "3 share 40 at once": ((1,), _UNFAIR),
    "4 share 200 a second": ((3, 4, 5), _UNFAIR),
    "4 share 40 at once": ((2,), _UNFAIR),
    "8 share 200 a second": ((2, 3, 4, 5), _REFUSED),
    "8 share 40 at once": ((2, 5), _UNFAIR),
    "3 share what melts beyond 16": ((1,), _UNFAIR),
    "6 share 20 % 503": ((4,), _SLOW),
    "lone counts, 200 a second": ((3,), _LONE),
    "120 a minute, burst 10": ((1, 2, 3, 4, 5), _REFUSED),
    "20 in 60 s": ((1, 2, 3, 4, 5), _REFUSED),
}
"""Rows that miss a bound, with the seeds that do, and why. Unknown services count more than this table."""


def in_weather(name: str, seed: int) -> object:
    """A case of the table; known misses are deterministic, so a lucky change shows."""
    seeds, reason = MISSED.get(name, ((), ""))
    marks = pytest.mark.xfail(reason=reason, strict=True) if seed in seeds else ()
    return pytest.param(name, seed, id=f"{name}, seed {seed}", marks=marks)


@pytest.mark.parametrize(("name", "seed"), [in_weather(name, seed) for name in WEATHERS for seed in SEEDS])
def test_weathers_cost_what_they_must_and_lose_nothing(name: str, seed: int) -> None:
    """Bounds on loss, requests per count, time compared with the ideal, fairness, and the time of a lone count."""
    weather = WEATHERS[name]
    found = outcome(weather, seed)
    assert 0 == found.lost
    assert weather.requests >= found.requests
    assert weather.wall * weather.ideal + weather.away >= found.seconds
    assert weather.fairness < found.fairness
    assert (weather.lone or math.inf) > found.lone


def test_a_service_that_dies_sees_tens_of_requests_until_patience_is_over() -> None:
    """In addition to those that were under way. The last pause, of up to 3 s, isn't begun."""
    found = outcome(Weather(lambda: Away(Service(), since=1.0), 40_000, 0.0, 1.0, 1.0), 1)
    answered = 40_000 - found.lost
    assert 256 + 90 > found.requests * 40_000 - answered
    assert 1.0 + 90.0 - 3.0 < found.seconds < 95.0
