"""Rules 5 to 8: the width, the rate, noise, and places; `weathers` has what they cost."""

import asyncio
from math import inf

import pytest
from support.clock import virtual_time
from support.models import Bucket
from support.network import Sky, cost_of
from support.private import rate
from support.sockets import PROJECT

from galileo_sessions import Limits, Retry
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.rate import Rate

# ---- through the client ----------------------------------------------------------------------------------------------


@virtual_time
async def test_a_rate_is_named_and_goes_once_it_has_delayed_nothing_for_half_a_minute():
    """Also if a count is sent now and then. In a fan-out of 40 s, the targets that wait keep it."""
    sky = Sky(Bucket(20, 20))
    async with sky.client() as galileo:
        report = (await cost_of(sky, galileo, 1_000, timeout=40)).report
        assert "while waiting for a rate limit of " in str(report.errors[-1])
        rates = [rate(galileo)]
        for gap in (5, 5, 5, 5, 5, 10):
            await asyncio.sleep(gap)
            assert 7 == await galileo.count(PROJECT)
            rates.append(rate(galileo))
    assert 15 < min(rates) <= max(rates[:-1]) < 30
    assert inf == rates[-1]


# ---- the rate, by itself ---------------------------------------------------------------------------------------------


def cut(rate: Rate, now: float, load: float = 40.0, trouble: str = "") -> None:
    """Cuts a rate because a query was refused at such a load; a fifth of the fresh queries fail."""
    rate.cut(now, load, 10.0, 0.2, trouble)


@pytest.mark.parametrize(
    ("cuts", "undone", "limits"),
    [
        ("ab", "ba", [50.0, inf]),
        ("abc", "aca", [34.0, 34.0, 34.0]),  # the cut of the query in between stays
        ("aba", "ab", [34.0, inf]),
        ("abcdefghi", "abcdefghi", [34.0] * 8 + [50.0]),  # the first of more than eight is for good
    ],
)
def test_cuts_are_undone_in_any_order(cuts: str, undone: str, limits: list[float]) -> None:
    """The rate is what it was before, unless later cuts still stand. A letter is a query."""
    rate = Rate()
    for now, query in enumerate(cuts):
        cut(rate, now, 40.0 if now else 100.0, query)
    found: list[float] = []
    for query in undone:
        rate.undo(query)
        found.append(rate.limit)
    assert pytest.approx(limits) == found


def tried() -> Rate:
    """A rate whose cuts didn't help: the load has fallen to three tenths, so sixteen times as much is tried."""
    rate = Rate()
    cut(rate, 1.0, 100.0)
    cut(rate, 2.0, 30.0)
    assert 480.0 == rate.limit
    return rate


def test_64_answers_prove_a_trial_right() -> None:
    """Only those count that were sent since it began."""
    rate = tried()
    for sent_at in [1.9] * 64 + [2.1] * 63:
        rate.passed(3.0, sent_at)
    assert 480.0 == rate.limit
    rate.passed(3.0, 2.1)
    assert inf == rate.limit


@pytest.mark.parametrize(("answers", "load"), [(15, 30.0), (60, 60.0)])
def test_a_trial_that_fails_goes_back(answers: int, load: float) -> None:
    """To the load before it, or to what was answered in a second of it if that is more."""
    rate = tried()
    for _ in range(answers):
        rate.passed(2.5, 2.1)
    cut(rate, 3.0, 480.0)
    assert pytest.approx(0.85 * load) == rate.limit


# ---- rule 5: the width takes back a step that was too much -----------------------------------------------------------


def end(flow: FlowControl, now: float, outcome: Outcome, *permits: Permit) -> None:
    """Ends requests in the order in which they were sent, each with a query of its own."""
    for permit in permits:
        flow.ended(now, permit, outcome, permit.number)


def doubled() -> FlowControl:
    """A client that has had answers after 0.1 s to eight requests at once, so that sixteen are allowed."""
    flow, budget = FlowControl(Limits(initial=8), Retry()), Budget()
    end(flow, 0.1, Outcome("success", 0.1), *[flow.sent(0.0, budget) for _ in range(8)])
    assert 16 == flow.width
    return flow


def test_a_round_that_is_late_by_two_latencies_takes_back_the_last_step() -> None:
    flow = doubled()
    for _ in range(16):
        flow.sent(1.0, Budget())
    for now, limit in ((1.2, 16), (1.21, 8)):
        flow.wait(now, Budget())
        assert limit == flow.width


def test_a_refusal_with_more_at_once_than_before_takes_back_the_last_step_and_cuts_no_rate() -> None:
    flow = doubled()
    for _ in range(4):  # failures that a new client has saved
        end(flow, 0.9, Outcome("refused"), flow.sent(0.9, Budget()))
    *_, last = [flow.sent(1.0, Budget()) for _ in range(16)]
    end(flow, 1.1, Outcome("refused"), last)
    assert (8, inf) == (flow.width, flow.rate)


# ---- rule 8: places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("concurrency", "places"), [(1, 1), (4, 4), (100, 8)])
def test_queries_in_trouble_leave_half_of_the_places_to_fresh_ones(concurrency: int, places: int) -> None:
    """Of the width, and of `concurrency`."""
    flow, budget, sent = FlowControl(Limits(8), Retry()), Budget(concurrency=concurrency), list[int]()
    for is_fresh in (False, True):
        while flow.wait(0.0, budget, is_fresh) == 0:
            flow.sent(0.0, budget, is_fresh)
        sent.append(flow.in_flight)
    assert [max(1, places // 2), places] == sent


@pytest.mark.parametrize(("latency", "late"), [(0.05, 1.0), (2.0, 32.0)])
def test_while_nothing_is_answered_one_place_at_a_time_is_freed(latency: float, late: float) -> None:
    """One after each second, or after sixteen latencies, up to the maximum."""
    flow, budget = FlowControl(Limits(8, initial=4), Retry()), Budget()
    *others, last = [flow.sent(0.0, budget) for _ in range(4)]
    end(flow, latency, Outcome("success", latency), last)
    end(flow, latency, IGNORED, *others)
    for _ in range(4):
        assert 0 == flow.wait(10.0, budget)
        flow.sent(10.0, budget)
    for freed in range(4):
        assert pytest.approx(late) == flow.wait(10.0 + freed * late, budget)
        assert 0 == flow.wait(10.0 + (freed + 1) * late, budget)
        flow.sent(10.0 + (freed + 1) * late, budget)
    assert inf == flow.wait(1_000.0, budget)
