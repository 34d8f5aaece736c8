"""In each weather nothing is lost, few requests are wasted, and it takes hardly longer than it must."""

import math

import pytest
from support.simulation import TIMEOUT, simulate
from support.weather_table import Weather, weathers
from support.weathers import Away, Service

from galileo_sessions.client.flow.control import FlowControl

pytestmark = pytest.mark.thorough

WEATHERS = weathers()


@pytest.mark.parametrize("weather", WEATHERS.values(), ids=WEATHERS)
def test_weathers_cost_what_they_must_and_lose_nothing(weather: Weather) -> None:
    """Bounds of loss, requests per count, time beside the ideal, fairness, and the wait of a lone count."""
    outcome = simulate(
        weather.service(),
        FlowControl,
        weather.counts,
        clients=weather.clients,
        stagger=weather.stagger,
        lone_every=None if weather.lone is None else 0.25,
    )
    assert 0 == outcome.lost
    assert weather.requests >= outcome.requests
    assert weather.wall * weather.ideal + weather.away >= outcome.seconds
    assert weather.fairness < outcome.fairness
    assert (weather.lone or math.inf) > outcome.lone


@pytest.mark.parametrize(("how", "seconds"), [("refused", 10.0), ("silent", 2 * TIMEOUT + 3.0)])
def test_a_service_that_is_dead_from_the_start_sees_few_requests(how: str, seconds: float) -> None:
    """All that wait hear of it together."""
    outcome = simulate(Away(Service(), how=how), FlowControl, 2_000)
    assert 2_000 == outcome.lost
    assert 50 / 2_000 > outcome.requests
    assert seconds > outcome.seconds


def test_a_service_that_dies_sees_tens_of_requests_of_the_fan_out_until_patience_is_over() -> None:
    """Those that it had under way aside."""
    outcome = simulate(Away(Service(), since=1.0), FlowControl, 40_000)
    answered = 40_000 - outcome.lost
    assert 256 + 90 > outcome.requests * 40_000 - answered
    assert 90.0 < outcome.seconds < 95.0
