"""Rules 4 and 5: the learned limits on requests at once and in a second, and the refusals that are only noise."""

import random
from collections.abc import Callable
from math import inf

import pytest

from galileo_sessions.flow.noise import Noise
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.rate import Rate
from galileo_sessions.flow.width import Width

# ---- the width -------------------------------------------------------------------------------------------------------

Latency = Callable[[int], float | None]
"""Seconds that an answer takes, by the number of requests under way when it was sent."""


def widths(latency: Latency, bursts: int, width: Width | None = None, answers: int = 256) -> list[int]:
    """The widths after each of some bursts of as many as may be under way, of which so many are answered at most."""
    width, found = width or Width(10, 256), list[int]()
    for _ in range(bursts):
        round_, limit = width.round, int(width.limit)
        for level in range(1, limit + 1):
            width.sent(0.0, level)
        for level in range(limit, max(0, limit - answers), -1):
            width.passed(level, round_, latency(level))
        found.append(int(width.limit))
    return found


def steady(_: int) -> float:
    """However many are under way."""
    return 0.1


@pytest.mark.parametrize(
    ("latency", "least", "most"),
    [
        (steady, 256, 256),
        (lambda level: 0.1 * (level / 10) ** 0.3, 128, 256),
        (lambda level: 0.1 * (level / 10) ** 0.7, 1, 25),
        (lambda level: 0.1 * max(1.0, level / 10), 5, 25),
    ],
    ids=["steady", "less than the root", "more than the root", "a knee at 10"],
)
def test_the_width_grows_while_that_gains_more_than_the_root_of_the_level(latency, least, most) -> None:
    found = widths(latency, 60)[20:]
    assert least <= min(found) <= max(found) <= most


def test_latencies_that_merely_spread_do_not_look_like_a_slope() -> None:
    """Its standard error is taken off."""
    chance = random.Random(1)
    assert 128 < min(widths(lambda _: 0.1 * chance.lognormvariate(0, 1), 60)[20:])


def test_the_first_step_doubles_the_width_and_later_ones_add_half() -> None:
    assert [20, 30, 45, 67] == widths(steady, 4)


def test_the_latency_is_that_of_the_last_round() -> None:
    """The first answer counts at once, and one below 10 ms as 10 ms."""
    width = Width(10, 256)
    widths(lambda _: 1.0, 1, width, answers=1)
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
    widths(steady, 1, width)
    assert [20] == widths(steady, 1, width, answers=9)
    for now, limit in ((0.2, 20), (0.21, 10)):
        width.check(now)
        assert limit == width.limit


def test_a_refused_probe_makes_the_highest_level_that_was_answered_the_limit() -> None:
    """From then on the width grows by an eighth, because the limit is near."""
    width = Width(10, 256)
    widths(steady, 1, width)
    for level in range(11, 15):
        width.passed(level, width.round, 0.1)
    width.refused()
    assert 14 == width.limit
    assert [15, 17] == widths(steady, 2, width)


@pytest.mark.parametrize(("service", "expected"), [(steady, 10), (lambda level: float(level) ** 3, 1)])
def test_what_is_forgotten_is_all_but_a_level_that_was_too_much(service: Latency, expected: int) -> None:
    """It begins with a new client's width, or with the highest level that was answered if that is less."""
    width = Width(10, 256)
    widths(service, 60, width)
    width.forget()
    assert (expected, 0.0) == (width.limit, width.latency)
    assert 2 * expected in widths(steady, 4, width)


# ---- the rate --------------------------------------------------------------------------------------------------------

STRAY = Outcome("refused")


def cut(rate: Rate, now: float, load: float, quota: float = inf) -> None:
    """Cuts a rate because so many requests a second were refused, with a latency of 0.1 s."""
    rate.cut(now, load, 0.1, quota)


def cut_once(load: float = 40.0) -> Rate:
    """A rate that was cut at 1.0 because so many requests a second were refused; nothing waited before."""
    rate = Rate()
    rate.gather(1.0)
    cut(rate, 1.0, load)
    return rate


def succeed(rate: Rate, now: float, seconds: float, every: float = 0.03) -> None:
    """One success after another for so long, while requests wait for the rate alone."""
    for number in range(round(seconds / every)):
        rate.sent(now + number * every)
        assert rate.wait(now + number * every, 0.0) > 0
        rate.passed(now + number * every, rate.epoch)


def test_requests_are_sent_one_after_another() -> None:
    """Time in which none was sent isn't made up for."""
    rate, sent, now = cut_once(), 0, 1.0
    while now < 2.0:
        now += max(0.0, rate.wait(now, 0.0)) + 1e-9
        rate.sent(now)
        sent += 1
    assert 34 <= sent <= 36
    rate.sent(100.0)
    assert pytest.approx(1 / 34) == rate.wait(100.0, 0.0)


@pytest.mark.parametrize(("through", "expected"), [(35, 34.0), (16, 2 * 15.0), (3, 20.0)])
def test_what_got_through_while_requests_waited_bounds_the_rate(through, expected) -> None:
    """A cut leaves twice of it at most, and half of the load at least, since a latecomer sees only its small share."""
    rate = cut_once(1_000.0)
    for _ in range(through - 2):
        rate.passed(1.5, rate.epoch)
    cut(rate, 2.0, 40.0)
    assert pytest.approx(expected, rel=0.001) == rate.limit


def test_it_may_just_have_been_away_so_each_success_doubles_the_rate() -> None:
    """Up to a load that was refused, and until the next refusal, after which it grows as ever."""
    rate, rates = Rate(), list[float]()
    cut(rate, 10.0, 40.0, quota=0.2)
    for _ in range(100):
        rate.passed(11.0, rate.epoch)
        rates.append(rate.limit)
    cut(rate, 16.0, 40.0, quota=0.2)
    rate.passed(16.0, rate.epoch)
    assert pytest.approx([0.4, 0.8, 1.6, 38.0, 0.2]) == [*rates[:3], rates[-1], rate.limit]


def test_single_refusals_cut_no_further_than_to_the_last_quota() -> None:
    """The service has shown that it takes as many."""
    rate = cut_once()
    cut(rate, 10.0, 40.0, quota=0.5)
    for now in range(20, 30):
        cut(rate, now, rate.limit)
    assert pytest.approx(0.5) == rate.limit
    cut(rate, 40.0, rate.limit, quota=0.2)
    assert pytest.approx(0.2) == rate.limit


def test_the_rate_grows_to_095_of_what_was_refused_and_passes_it_after_a_second() -> None:
    """By its root each second, at first."""
    rate = cut_once()
    succeed(rate, 1.0, 0.5)
    assert 36.0 < rate.limit < 37.5
    assert not rate.explains_refusal()
    succeed(rate, 1.5, 0.5)
    assert pytest.approx(38.0) == rate.limit
    assert rate.explains_refusal()
    succeed(rate, 2.1, 0.3)
    assert 38.0 < rate.limit < 45.0


def test_at_a_low_rate_growth_stops_at_the_ceiling_for_the_time_of_two_requests() -> None:
    """Otherwise, a service that takes one in ten seconds refuses every other request."""
    rate, rates = cut_once(0.1), list[float]()
    for now in (11.0, 21.0, 31.5):
        succeed(rate, now, 1.0, every=1.0)
        rates.append(rate.limit)
    assert rates[0] == rates[1] == 0.1 < rates[2]


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


def test_cuts_can_be_undone() -> None:
    """The rate is what it was before, and what was sent since the cut still counts; unless there was none before."""
    rate = cut_once()
    for now in (2.0, 3.0):
        cut(rate, now, 30.0)
    assert rate.limit < 30.0
    epoch = rate.epoch
    rate.undo(4.0, 34.0)
    assert (34.0, epoch) == (rate.limit, rate.epoch)
    rate.undo(5.0, inf)
    assert (inf, True) == (rate.limit, rate.epoch > epoch)


# ---- noise -----------------------------------------------------------------------------------------------------------


def judged(share: float) -> Noise:
    """A budget after 640 answers of which this share was refused, evenly, when 100 a second are cut."""
    noise = Noise()
    for number in range(640):
        noise.count(refused=int((number + 1) * share) > int(number * share), is_fresh=True)
    assert 100.0 == noise.judge(100.0, 0, 1.0, 1)
    return noise


def answers_per_refusal(noise: Noise) -> int:
    """How many answers pay for one refusal."""
    while noise.spend():
        pass
    for number in range(1, 100):
        noise.count(refused=False, is_fresh=True)
        if noise.spend():
            return number
    raise AssertionError("none is free")


@pytest.mark.parametrize(
    ("share", "then", "load", "row", "is_on_trial"),
    [
        (0.2, [], 41.0, 1, False),  # the load has hardly fallen
        (0.2, [], 40.0, 2, True),
        (0.46, [True] * 50, 40.0, 1, True),
        (0.46, [True] * 100, 40.0, 1, False),  # more are refused than noise explains
        (0.2, [], 40.0, 3, False),  # three in a row
        (0.9, [False] * 200, 40.0, 1, False),  # a load of which most is refused was never credible
    ],
)
def test_where_cuts_do_not_help_the_load_is_not_the_reason(share, then, load, row, is_on_trial) -> None:
    """If it has fallen to 0.4 of what was credible, and few are refused, then more is tried; otherwise it is cut."""
    noise = judged(share)
    for refused in then:
        noise.count(refused=refused, is_fresh=True)
    assert (None if is_on_trial else load) == noise.judge(load, 0, 1.0, row)
    assert noise.is_on_trial is is_on_trial


def test_refusals_of_queries_in_trouble_do_not_prevent_a_trial() -> None:
    """Every other request is for a bad project. The load before the trial is still found."""
    noise = Noise()
    for number in range(640):
        noise.count(refused=number % 5 == 0, is_fresh=True)
        noise.count(refused=True, is_fresh=False)
    assert [100.0, None] == [noise.judge(load, 0, 1.0, 1) for load in (100.0, 40.0)]


@pytest.mark.parametrize(
    ("answered", "seconds", "load", "answers"),
    [
        ([63], 2.0, 40.0, [16]),  # the first step is wrong
        ([64, 63], 2.0, 640.0, [16]),  # the second one is
        ([64, 64], 2.0, None, range(5)),
        ([16], 0.25, 64.0, [16]),
        ([15], 0.25, 40.0, [16]),
        ([63], 0.01, 1_000.0, [16]),
    ],
)
def test_64_answers_prove_each_step_of_a_trial_right(answered, seconds, load, answers) -> None:
    """Refusals are then noise, and stay as cheap; otherwise the load goes back, or to what got through."""
    assert 16 == answers_per_refusal(Noise())
    noise, begins = judged(0.2), list[bool]()
    assert noise.judge(40.0, 0, 1.0, 1) is None
    for answers_of_step in answered:
        begins.append(noise.begins_second_step(answers_of_step))
    assert [answered[0] == 64, False][: len(answered)] == begins
    assert load == noise.judge(1_000.0, answered[-1], seconds, 1)
    assert not noise.is_on_trial
    assert answers_per_refusal(noise) in answers
