"""The width: how many requests at once are worthwhile, learned from levels and latencies."""

from collections.abc import Callable

import pytest

from galileo_sessions.flow.width import Width

Latency = Callable[[int], float | None]
"""Seconds that an answer takes, by the number of requests under way when it was sent."""


def burst(width: Width, latency: Latency, answers: int | None = None) -> None:
    """Sends as many as may be under way, and answers all of them, or so many."""
    round_, limit = width.round, int(width.limit)
    for level in range(1, limit + 1):
        width.sent(0.0, level)
    for level in range(limit, limit - (limit if answers is None else answers), -1):
        width.passed(level, round_, latency(level))


def widths(latency: Latency, bursts: int, width: Width | None = None) -> list[int]:
    """The widths after each burst at a service."""
    width = width or Width(10, 256)
    found = []
    for _ in range(bursts):
        burst(width, latency)
        found.append(int(width.limit))
    return found


def steady(_: int) -> float:
    """However many are under way."""
    return 0.1


def test_while_the_latency_stays_the_width_grows_to_the_maximum() -> None:
    """The first step doubles it, later ones add half."""
    assert [20, 30, 45, 67] == widths(steady, 4)
    assert 256 == widths(steady, 9)[-1]


@pytest.mark.parametrize(("slope", "widest"), [(0.3, (128, 256)), (0.7, (1, 25))])
def test_growth_must_gain_more_than_the_root_of_the_level(slope: float, widest: tuple[int, int]) -> None:
    """Where the latency grows as level to the power of 0.3 the width grows, and where it is 0.7 it doesn't."""
    assert widest[0] <= widths(lambda level: 0.1 * (level / 10) ** slope, 40)[-1] <= widest[1]


def test_a_service_with_a_knee_is_kept_near_it() -> None:
    """Ten at once take 0.1 s; more only wait for one another."""
    assert 5 <= min(found := widths(lambda level: 0.1 * max(1.0, level / 10), 60)[20:])
    assert 25 >= max(found)


def test_a_latency_that_merely_spreads_does_not_look_like_a_slope() -> None:
    """Its standard error is taken off."""
    spread = [0.02, 0.3, 0.05, 0.1, 0.2]
    assert 256 == widths(lambda level: spread[level * 7 % 5], 12)[-1]


def test_the_latency_is_that_of_the_last_round() -> None:
    """The first answer counts at once, and one below 10 ms as 10 ms."""
    width = Width(10, 256)
    burst(width, lambda _: 1.0, answers=1)
    assert 1.0 == width.latency
    for latency, expected in ((0.5, 0.5), (0.001, 0.01)):
        widths(lambda _, latency=latency: latency, 3, width)
        assert pytest.approx(expected) == width.latency


def test_a_service_that_has_become_slower_is_used_as_widely_again() -> None:
    """At first the width falls, as if others had come to share the service; but that doesn't help."""
    width = Width(10, 256)
    assert 67 == widths(steady, 4, width)[-1]
    found = widths(lambda _: 0.3, 25, width)
    assert found[0] < 67
    assert found[-1] > 200


def test_a_round_of_which_half_is_late_takes_back_the_last_step() -> None:
    """After twice the usual latency the answers that are missing are evidence enough."""
    width = Width(10, 256)
    burst(width, steady)
    burst(width, steady, answers=9)
    width.check(0.2)
    assert 20 == width.limit
    width.check(0.21)
    assert 10 == width.limit


def test_a_refused_probe_makes_the_highest_level_that_was_answered_the_limit() -> None:
    """From then on the width grows by an eighth, because the limit is near."""
    width = Width(10, 256)
    burst(width, steady)
    for level in range(11, 15):
        width.passed(level, width.round, 0.1)
    before = width.round
    width.refused(before)
    assert 14 == width.limit
    width.refused(before)
    assert 14 == width.limit
    burst(width, steady)
    assert 14 * 1.125 == width.limit


def melting(level: int) -> float:
    """The slower the more there are, far more than they gain."""
    return float(level) ** 3


@pytest.mark.parametrize(("service", "expected"), [(steady, 10), (melting, 1)])
def test_what_is_forgotten_is_all_but_a_level_that_was_too_much(service: Latency, expected: int) -> None:
    """It begins with a new client's width, or with the highest level that was answered if that is less."""
    width = Width(10, 256)
    widths(service, 60, width)
    width.forget()
    assert (expected, 0.0) == (width.limit, width.latency)
    assert 2 * expected in widths(steady, 4, width)
