"""Services drawn at random: a seed always gives the same, and their ideal times can be trusted."""

from functools import partial

import pytest
from support.random_services import RandomService, draw
from support.simulation import Fixed, simulate


def facts(drawn: list[RandomService]) -> list[tuple[str, float]]:
    """What tells services apart."""
    return [(service.name, service.ideal) for service in drawn]


def test_a_seed_always_gives_the_same_services() -> None:
    """Also in a later version, so that figures can be compared."""
    first, *_, last = draw(24, 1)
    assert "0 limit: 100 counts, 1 cl, 18 ms s0.6, 23 workers, line 0, refusal 1 ms" == first.name
    assert pytest.approx(0.10157757) == first.ideal
    assert "23 proportional: 600 counts, 6 cl, 26 ms s0.6, 3 cores shared" == last.name
    assert pytest.approx(5.24322344) == last.ideal


def test_more_services_begin_with_the_same_ones() -> None:
    """Another seed gives others."""
    assert facts(draw(24, 1)) == facts(draw(36, 1))[:24]
    assert not set(facts(draw(24, 1))) & set(facts(draw(24, 2)))


def test_the_right_number_at_once_takes_about_the_ideal_time() -> None:
    """The best of five takes 0.7 to 1.5 times as long where nothing is refused, and at least 0.7 times anywhere."""
    best, at_ease = {}, {}
    for drawn in draw(24, 1):
        weather = drawn.weather
        crowd = {"clients": weather.clients, "stagger": weather.stagger}
        runs = [simulate(weather.service(), partial(Fixed, n), weather.counts, **crowd) for n in (1, 4, 16, 64, 256)]
        times = [run.seconds / drawn.ideal for run in runs if not run.lost]
        best |= {drawn.name: min(times)} if times else {}
        at_ease |= {drawn.name: min(times)} if {1.0} == {run.requests for run in runs} else {}
    assert {} == {name: time for name, time in best.items() if time < 0.7}
    assert 8 <= len(at_ease)
    assert {} == {name: time for name, time in at_ease.items() if time > 1.5}
