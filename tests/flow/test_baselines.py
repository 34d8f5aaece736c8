"""A simpler width plugs into the flow control, so that a reader sees what ours earns."""

import pytest
from support.baselines import aimd, controlled_by
from support.simulation import simulate
from support.skies import outcome
from support.weather_table import Weather
from support.weathers import Capacity, Melt

from galileo_sessions.flow.control import FlowControl

SERVICE = Weather(lambda: Melt(16, 0.05), 2_000, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("control", [FlowControl, aimd], ids=["ours", "AIMD"])
def test_either_finds_a_limit_that_the_service_enforces(control) -> None:
    """Where 20 at once are taken and more are refused, nothing is lost, and few requests are wasted."""
    found = simulate(Capacity(20, 0.05), control, 1_000)
    assert (0, True) == (found.lost, found.requests < 1.2)
    assert found.seconds < 1.5 * 1_000 * 0.054 / 20


def test_a_service_that_slows_down_before_it_refuses_is_why_the_latency_counts() -> None:
    """AIMD goes on to widen; ours takes a third of its time at most. The bench runs either."""
    with controlled_by(aimd):
        slow = outcome(SERVICE, 1)
    assert slow.lost == 0
    assert slow.seconds > 3 * outcome(SERVICE, 1).seconds
