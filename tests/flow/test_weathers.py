"""In each weather whole clients lose nothing, waste few requests, and take hardly longer than they must."""

import math
import os

import pytest
from support.simulation import TIMEOUT
from support.skies import outcome
from support.weather_table import Weather, weathers
from support.weathers import Away, Service

pytestmark = pytest.mark.thorough

WEATHERS = weathers()
SEEDS = range(1, 6) if os.environ.get("EVERY_SEED") else (1,)  # all of them in tox's environment `weathers`
MISSED = {
    ("at most 20 at once, spread", 5): "it is slow to find the width where latencies are spread",
    ("3 share 40 at once", 1): "clients that began later need more than a minute to get their share",
    ("8 share 40 at once", 2): "clients that began later need more than a minute to get their share",
    ("8 share 40 at once", 3): "clients that began later need more than a minute to get their share",
}


def in_weather(name: str, seed: int) -> object:
    """A case of the table; known misses are deterministic, so a lucky change shows."""
    reason = MISSED.get((name, seed))
    marks = () if reason is None else pytest.mark.xfail(reason=reason, strict=True)
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


@pytest.mark.parametrize(("how", "seconds"), [("refused", 10.0), ("silent", 2 * TIMEOUT + 3.0)])
def test_a_service_that_is_dead_from_the_start_sees_few_requests(how: str, seconds: float) -> None:
    """All counts that wait fail together."""
    found = outcome(Weather(lambda: Away(Service(), how=how), 2_000, 0.0, 1.0, 1.0), 1)
    assert 2_000 == found.lost
    assert 50 / 2_000 > found.requests
    assert seconds > found.seconds


def test_a_service_that_dies_sees_tens_of_requests_until_patience_is_over() -> None:
    """In addition to those that were under way."""
    found = outcome(Weather(lambda: Away(Service(), since=1.0), 40_000, 0.0, 1.0, 1.0), 1)
    answered = 40_000 - found.lost
    assert 256 + 90 > found.requests * 40_000 - answered
    assert 90.0 < found.seconds < 95.0
