"""Rules 5 to 8: the limits on requests at once and in a second, failures that are only noise, and places."""

from collections.abc import Callable, Hashable
from math import inf

import pytest
from support.clients import ids
from support.clock import virtual_time
from support.inside import rate, width
from support.network import Scripted, cost_of, refusal

from galileo_sessions import Limits, Retry
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.rate import Rate
from galileo_sessions.flow.width import Width

# ---- rule 5: the width -----------------------------------------------------------------------------------------------

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


def test_the_first_step_doubles_the_width_and_later_ones_add_half() -> None:
    assert [20, 30, 45, 67] == widths(steady, 4)


def test_a_round_of_which_half_is_late_takes_back_the_last_step() -> None:
    """After twice the usual latency the answers that are missing are evidence enough."""
    width = Width(10, 256)
    widths(steady, 1, width)
    assert [20] == widths(steady, 1, width, answers=0)
    for now, limit in ((0.2, 20), (0.21, 10)):
        width.check(now)
        assert limit == width.limit


# ---- rule 6: the rate ------------------------------------------------------------------------------------------------


def cut_once(load: float = 40.0) -> Rate:
    """A rate that was cut at 1.0 because so many requests a second were refused, and another cut before it."""
    rate = Rate(cut_at=0.9)
    rate.cut(1.0, load, 0.1, 0.0)
    assert pytest.approx(0.85 * load) == rate.limit
    return rate


def succeed(rate: Rate, now: float, count: int) -> float:
    """So many successes while requests wait for the rate alone; returns when the last one came."""
    for _ in range(count):
        now += max(0.0, rate.wait(now, 0.0))
        rate.sent(now)
        assert rate.wait(now, 0.0) > 0
        rate.passed(now, now)
    return now


def test_the_first_cut_leaves_half_of_the_load() -> None:
    """Nothing is known yet of what gets through."""
    rate = Rate()
    rate.cut(1.0, 40.0, 0.1, 0.0)
    assert pytest.approx(20.0) == rate.limit


@pytest.mark.parametrize(("through", "expected"), [(35, 34.0), (14, 30.0), (3, 20.0)])
def test_what_got_through_while_requests_waited_bounds_the_rate(through, expected) -> None:
    """A cut leaves twice of it at most, and half of the load at least, since a latecomer sees only its small share."""
    rate = cut_once(40.0)
    for _ in range(through):
        rate.passed(1.5, 1.5)
    rate.cut(2.0, 40.0, 0.1, 0.0)
    assert pytest.approx(expected) == rate.limit


def test_an_overload_cuts_once() -> None:
    """Requests from before the cut, and those before the first answer at the new rate, cut nothing."""
    rate = cut_once()
    assert [True, True] == [rate.is_paid(1.2, sent_at) for sent_at in (0.9, 1.1)]
    rate.passed(1.3, 1.2)
    assert [True] * 4 + [False] == [rate.is_paid(1.4, 1.2) for _ in range(5)]


def test_the_rate_grows_faster_once_ten_have_got_through_and_a_second_has_passed() -> None:
    """By its root each second and at most 2 % with each success; then it doubles each second, by at most 8 %."""
    rate, limits, now = cut_once(), list[float](), 1.0
    while now < 4.5:
        now = succeed(rate, now, 1)
        limits.append(rate.limit)
        assert rate.limit <= 1.0801 * limits[-2:][0]
        if now < 2.0:
            assert rate.limit <= 34 + 6.5
    assert limits[-1] > 2 * limits[0]
    slow = cut_once(1.0)
    succeed(slow, 1.0, 9)
    assert pytest.approx(0.85 * 1.02**9, rel=0.001) == slow.limit


# ---- rule 7: noise ---------------------------------------------------------------------------------------------------


def paid(rate: Rate, now: float) -> int:
    """How many failures are paid for now."""
    return [rate.is_paid(now, now) for _ in range(40)].count(True)


def test_each_answer_pays_for_a_sixteenth_of_a_failure() -> None:
    """A new client has saved four, and none ever saves more."""
    rate, found = Rate(), list[int]()
    for answers in (0, 15, 1, 32, 1_000):
        for _ in range(answers):
            rate.passed(1.0, 1.0)
        found.append(paid(rate, 1.0))
    assert [4, 0, 1, 2, 4] == found


def tried(share: float, load: float = 30.0) -> Rate:
    """A rate after cuts at 100 requests a second and at `load`, when such a share of the fresh queries failed."""
    rate = Rate()
    for now, refused, failing in ((1.0, 100.0, 0.2), (2.0, load, share)):
        rate.cut(now, refused, 10.0, failing)
    return rate


@pytest.mark.parametrize(
    ("share", "load", "limit"),
    [(0.2, 30.0, 480.0), (0.6, 30.0, 480.0), (0.61, 30.0, 25.5), (0.2, 31.0, 26.35)],
)
def test_where_cuts_do_not_help_sixteen_times_as_much_is_tried(share, load, limit) -> None:
    """If the load has fallen to three tenths, while at most six tenths of the fresh queries fail."""
    assert pytest.approx(limit) == tried(share, load).limit


def test_64_answers_prove_a_trial_right() -> None:
    """Only those count that were sent since it began."""
    rate = tried(0.2)
    for sent_at in [1.9] * 64 + [2.1] * 63:
        rate.passed(3.0, sent_at)
    assert 480.0 == rate.limit
    rate.passed(3.0, 2.1)
    assert inf == rate.limit


@pytest.mark.parametrize(("answers", "load"), [(15, 30.0), (60, 60.0)])
def test_a_trial_that_fails_goes_back(answers: int, load: float) -> None:
    """To the load before it, or to what was answered in a second of it if that is more."""
    rate = tried(0.2)
    for _ in range(answers):
        rate.passed(2.5, 2.1)
    rate.cut(3.0, 480.0, 10.0, 0.2)
    assert pytest.approx(0.85 * load) == rate.limit


# ---- the flow control ------------------------------------------------------------------------------------------------

SUCCESS, REFUSED = Outcome("success", 0.1), Outcome("refused")
BUDGET = Budget()


def control(maximum: int = 256, say: Callable[[str], None] | None = None, **limits: float) -> FlowControl:
    return FlowControl(Limits(maximum, **limits), Retry(), say)


def send(flow: FlowControl, now: float, count: int) -> list[Permit]:
    """Sends as many, whatever the limits."""
    return [flow.sent(now, BUDGET) for _ in range(count)]


def send_all(flow: FlowControl, now: float) -> list[Permit]:
    """Sends as many as may be sent."""
    permits: list[Permit] = []
    while flow.wait(now, BUDGET) == 0:
        permits.append(flow.sent(now, BUDGET))
    return permits


def end(flow: FlowControl, now: float, outcome: Outcome, *permits: Permit, query: Hashable = None) -> None:
    """Ends requests in the order in which they were sent, each with a query of its own if none is given."""
    for permit in permits:
        flow.ended(now, permit, outcome, query or permit.number)


def at_work() -> FlowControl:
    """A client with as many requests at once as it may have, which has had answers after 0.1 s, and saved nothing."""
    flow = control(8)
    for now in (0.0, 0.2, 0.4):
        end(flow, now + 0.1, SUCCESS, *send(flow, now, 8))
    for _ in range(4):
        end(flow, 0.9, REFUSED, flow.sent(0.9, BUDGET))
    end(flow, 0.9, Outcome("success"), flow.sent(0.9, BUDGET))
    return flow


def paced() -> FlowControl:
    """A client whose rate was cut, at 1.0, with 4 requests under way: to less than 40 a second."""
    flow = at_work()
    *others, last = send(flow, 1.0, 4)
    end(flow, 1.0, REFUSED, last)
    end(flow, 1.0, IGNORED, *others)
    assert 19.9 < flow.rate < 34.1
    return flow


def opened(say: Callable[[str], None] | None = None) -> FlowControl:
    """A client whose circuit breaker eight failures have opened, at 0.0."""
    flow = control(say=say)
    end(flow, 0.0, REFUSED, *send(flow, 0.0, 8))
    assert flow.breaker.is_open
    return flow


@pytest.mark.parametrize(("latency", "wait"), [(0.3, 0.6), (None, 0.2)])
def test_after_a_failure_of_the_services_nothing_is_sent_until_something_is_answered(latency, wait) -> None:
    """Or for two latencies, if no answer comes."""
    flow = control(8)
    end(flow, 0.5, Outcome("success", latency) if latency else IGNORED, *send(flow, 0.0, 8))
    first, second, *_ = send(flow, 1.0, 4)
    end(flow, 1.0, REFUSED, first)
    assert pytest.approx(wait) == flow.wait(1.0, BUDGET)
    end(flow, 1.1, SUCCESS, second)
    assert 0.0 == flow.wait(1.1, BUDGET)


def test_a_refusal_of_a_probe_of_the_width_takes_the_width_back() -> None:
    """It was sent with more under way than have been answered; there is still no rate."""
    flow = control(initial=8)
    for now in (0.0, 0.2):
        end(flow, now + 0.1, SUCCESS, *send(flow, now, 8))
    assert 16 == flow.width
    for _ in range(4):
        end(flow, 0.9, REFUSED, flow.sent(0.9, BUDGET))
    below, above = (permits := send(flow, 1.0, 16))[:12], permits[12:]
    end(flow, 1.1, SUCCESS, *below[8:])
    end(flow, 1.1, REFUSED, *above)
    assert (12, inf) == (flow.width, flow.rate)


def test_a_quota_that_is_used_up_sets_the_rate() -> None:
    """To twice what got through: ten in a second."""
    flow = opened()
    probe = flow.sent(0.6, BUDGET)
    end(flow, 0.6, SUCCESS, probe, query=1)  # of one that had failed
    end(flow, 0.6, SUCCESS, *send(flow, 0.6, 9))
    end(flow, 1.0, REFUSED, *send(flow, 1.0, 8))
    assert (True, pytest.approx(20.0)) == (flow.breaker.is_open, flow.rate)


def test_a_rate_that_delays_nothing_for_half_a_minute_goes() -> None:
    """Also if a request is under way all the time; one that waits keeps it."""
    flow = paced()
    before = flow.rate
    for now in (1.0, 31.0, 61.0):
        flow.sent(now, BUDGET)
        assert flow.wait(now, BUDGET) > 0
    assert before == flow.rate
    flow.wait(91.1, BUDGET)
    assert inf == flow.rate


@pytest.mark.parametrize("status", [429, 500])
@virtual_time
async def test_failures_of_queries_own_change_no_limit(status):
    """Each twentieth project is bad; the others are counted as fast as without it."""
    sky = Scripted(latency=0.1, others={str(each): lambda *_: refusal(status) for each in ids(400)[::20]})
    async with sky.client() as galileo:
        cost = await cost_of(sky, galileo, 400, timeout=60)
        assert inf == rate(galileo)
        assert width(galileo) > 10
    assert 20 == cost.lost


# ---- rule 8: places --------------------------------------------------------------------------------------------------


def test_a_request_that_was_overtaken_loses_its_place() -> None:
    """After sixteen latencies, another one is sent, but no more than the maximum in all."""
    flow = control(5, initial=2)
    _, last = send_all(flow, 0.0)
    end(flow, 0.1, SUCCESS, last)
    assert [1, 0] == [len(send_all(flow, now)) for now in (0.5, 1.5)]
    (last,) = send_all(flow, 1.6)
    end(flow, 1.7, SUCCESS, last)
    assert [1, 0, 1, 1, 0] == [len(send_all(flow, now)) for now in (1.7, 2.0, 2.1, 60.0, 600.0)]
    assert (inf, 5, 2) == (flow.wait(600.0, BUDGET), flow.in_flight, flow.width)


@pytest.mark.parametrize(("latency", "late"), [(0.05, 1.0), (2.0, 32.0)])
def test_while_nothing_is_answered_one_place_at_a_time_is_freed(latency: float, late: float) -> None:
    """One after each second, or after sixteen latencies, up to the maximum."""
    flow = control(8, initial=4)
    *others, last = send_all(flow, 0.0)
    end(flow, latency, Outcome("success", latency), last)
    end(flow, latency, IGNORED, *others)
    assert 4 == len(send_all(flow, 10.0))
    for number in range(1, 5):
        assert pytest.approx(late) == flow.wait(10.0 + (number - 1) * late, BUDGET)
        assert 1 == len(send_all(flow, 10.0 + number * late))
    assert inf == flow.wait(1_000.0, BUDGET)


def test_a_reason_says_what_a_request_waits_for_with_its_number() -> None:
    """The breaker, a place, the rate, or the rate that the user sets."""
    full = control(3)
    send(full, 1.0, 3)
    assert [flow.reason(1.0) for flow in (opened(), full, paced(), control(rate=0.01))] == [
        "the circuit breaker: the service has refused everything for 1 s",
        "a free slot (3 requests in flight, limit 3)",
        f"a rate limit of {paced().rate:.3g} requests a second",
        "Limits(rate=0.01)",
    ]
