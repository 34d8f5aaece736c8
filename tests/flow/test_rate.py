"""The rate: how many requests a second, learned from what is refused while requests wait."""

from collections.abc import Callable
from math import inf

import pytest

from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.rate import Rate

STRAY = Outcome("refused")


def cut(rate: Rate, now: float, load: float, quota: float = inf, *, is_window: bool = False) -> None:
    """Cuts a rate because so many requests a second were refused, with a latency of 0.1 s."""
    rate.cut(now, load, 0.1, quota, is_window=is_window)


def cut_once(load: float = 40.0, now: float = 1.0) -> Rate:
    """A rate that was cut because so many requests a second were refused."""
    rate = Rate()
    rate.gather(now)  # nothing waited before, so that nothing is known of what got through
    cut(rate, now, load)
    return rate


def succeed(rate: Rate, now: float, seconds: float, every: float = 0.03) -> None:
    """One success after another for so long, while requests wait for the rate alone."""
    for number in range(round(seconds / every)):
        rate.sent(now + number * every)
        assert rate.wait(now + number * every, 0.0) > 0
        rate.passed(now + number * every, rate.epoch)


def test_requests_are_sent_one_after_another() -> None:
    """A rate of 34 a second is one every 29 ms, and time in which none was sent isn't made up for."""
    rate, sent, now = cut_once(), 0, 1.0
    while now < 2.0:
        now += max(0.0, rate.wait(now, 0.0)) + 1e-9
        rate.sent(now)
        sent += 1
    assert 34 <= sent <= 36
    rate.sent(100.0)
    assert pytest.approx(1 / 34) == rate.wait(100.0, 0.0)


def test_what_got_through_while_requests_waited_bounds_the_rate() -> None:
    """A cut leaves twice of it at most, and half of the load at least, since a latecomer sees only its small share."""
    for through, expected in ((35, 34.0), (16, 2 * 15.0), (3, 20.0)):
        rate = cut_once(1_000.0)
        for _ in range(through - 2):
            rate.passed(1.5, rate.epoch)
        cut(rate, 2.0, 40.0)
        assert pytest.approx(expected, rel=0.001) == rate.limit


def test_it_may_just_have_been_away_so_each_success_doubles_the_rate() -> None:
    """Until the next refusal, after which it grows as ever."""
    rate = Rate()
    cut(rate, 10.0, 40.0, quota=0.2)
    for expected in (0.4, 0.8, 1.6):
        rate.passed(11.0, rate.epoch)
        assert pytest.approx(expected) == rate.limit
    cut(rate, 16.0, 40.0, quota=0.2)
    rate.passed(16.0, rate.epoch)
    assert pytest.approx(0.2) == rate.limit


def test_single_refusals_cut_no_further_than_to_the_last_quota() -> None:
    """The service has shown that it takes as many."""
    rate = cut_once(40.0)
    cut(rate, 10.0, 40.0, quota=0.5)
    for now in range(20, 30):
        cut(rate, now, rate.limit)
    assert pytest.approx(0.5) == rate.limit
    cut(rate, 40.0, rate.limit, quota=0.2)
    assert pytest.approx(0.2) == rate.limit


@pytest.mark.parametrize(("quota", "expected"), [(25.0, 25.0), (5.0, 20.0), (50.0, 34.0)])
def test_a_window_that_is_used_up_bounds_the_rate(quota: float, expected: float) -> None:
    """By what got through; half of the load is left, and nothing doubles."""
    rate = cut_once(1_000.0)
    cut(rate, 1.001, 40.0, quota=quota, is_window=True)
    assert pytest.approx(expected) == rate.limit
    rate.passed(1.002, rate.epoch)
    assert pytest.approx(expected) == rate.limit


def test_the_rate_grows_to_095_of_what_was_refused_and_passes_it_after_a_second() -> None:
    """By its root each second, at first."""
    rate = cut_once(40.0)
    succeed(rate, 1.0, 0.5)
    assert 36.0 < rate.limit < 37.5
    assert not rate.explains_refusal(STRAY)
    succeed(rate, 1.5, 0.5)
    assert pytest.approx(38.0) == rate.limit
    assert rate.explains_refusal(STRAY)

    succeed(rate, 2.1, 0.3)
    assert 38.0 < rate.limit < 45.0


def test_the_rate_grows_faster_the_longer_nothing_is_cut() -> None:
    """By at most 2 % with each success, and by 8 % once that has undone the last cut twice."""
    rate, rates = cut_once(12.0), list[float]()
    for number in range(20):
        rates.append(rate.limit)
        succeed(rate, 4.0 + number, 1.0, every=1.0)
    assert [pytest.approx(1.02), pytest.approx(1.08)] == [rates[1] / rates[0], rates[-1] / rates[-2]]


def test_the_rate_grows_by_the_time_since_the_last_answer() -> None:
    """So the answer after a refusal brings little, though it didn't cut."""
    rates = cut_once(), cut_once()
    for rate, refused_at in zip(rates, (1.5, 1.999), strict=True):
        rate.refused(refused_at)
        rate.sent(2.0)
        assert rate.wait(2.0, 0.0) > 0
        rate.passed(2.0, rate.epoch)
    assert rates[0].limit > rates[1].limit > 34.0


def test_a_rate_that_is_forgotten_is_none() -> None:
    """Requests that were sent before say nothing any more."""
    rate = cut_once()
    number = rate.epoch
    rate.forget(2.0)
    assert (inf, True) == (rate.limit, rate.epoch > number)
    assert not rate.explains_refusal(STRAY)


def test_a_429_is_explained_by_the_rate_wherever_the_rate_is() -> None:
    """While there is one: before, it may be a stray one."""
    assert cut_once().explains_refusal(Outcome("throttled"))
    assert not cut_once().explains_refusal(STRAY)
    assert not Rate().explains_refusal(Outcome("throttled"))


@pytest.mark.parametrize(("before", "others"), [(cut_once, 34.0), (Rate, inf)], ids=["limited", "unlimited"])
def test_cuts_can_be_undone(before: Callable[[], Rate], others: float) -> None:
    """The rate is what it was before; without one, requests that were sent before say nothing."""
    rate = before()
    limit = rate.limit
    for now in (2.0, 3.0):
        cut(rate, now, 30.0)
    assert rate.limit < 30.0
    epoch = rate.epoch
    rate.undo(4.0, limit)
    assert (others, others == inf) == (pytest.approx(rate.limit), rate.epoch > epoch)
