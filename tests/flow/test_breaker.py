"""Rules 3 and 4: what opens and closes the circuit breaker, its pauses and quotas, and what an outage costs."""

import itertools
from math import inf

import pytest
from support.clock import virtual_time
from support.network import Scripted, cost_of, cost_of_new, during, refusal, unreachable
from support.private import rate

from galileo_sessions import Limits
from galileo_sessions.flow.breaker import Breaker
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.troubles import LONGEST

# ---- through the client ----------------------------------------------------------------------------------------------


OUTAGES = {str(status): refusal(status) for status in (429, 500, 502, 503, 504)}
OUTAGES["no connection"] = unreachable()  # where others have been answered before


@pytest.mark.parametrize("outage", OUTAGES)
@virtual_time
async def test_an_outage_gets_single_probes_cuts_no_limit_and_costs_no_attempt(outage):
    """A pause is a quarter of the time so far, from 0.1 to 3 s; after a query in trouble, fresh ones wait for 0.1 s."""
    sky = Scripted(during([(1, 31)], OUTAGES[outage]))
    async with sky.client(limits=Limits(rate=100)) as galileo:
        cost = await cost_of(sky, galileo, 400)
        assert (0, inf) == (cost.lost, rate(galileo))
    assert cost.requests - 400 < 60
    assert cost.seconds < 31 + 3 + 5
    probes = [at for at in sky.arrivals if 2 < at < 31]
    for before, after in itertools.pairwise(probes):
        longest = min(3.0, max(0.1, (before - 1.1) / 4))
        assert any(pytest.approx(pause, abs=0.15) == after - before for pause in (0.1, longest))


@virtual_time
async def test_after_an_outage_at_most_twice_as_many_are_under_way_as_have_succeeded():
    """So a service that is still weak isn't flooded; ten are as many as the width allows."""
    sky = Scripted(during([(0, 5)], refusal()), 0.1)
    assert 0 == (await cost_of_new(sky, 40)).lost
    end = min(at for at in sky.arrivals if at >= 5)
    assert [1 + 2, 6, 10] == [sum(end + 0.12 * n <= at < end + 0.12 * (n + 1) for at in sky.arrivals) for n in range(3)]


# ---- by itself -------------------------------------------------------------------------------------------------------


def fail(breaker: Breaker, now: float, *numbers: int, is_fresh: bool = True) -> bool:
    """Lets requests fail; returns whether the breaker is open then."""
    for number in numbers:
        breaker.failed(now, number, is_fresh)
    return breaker.is_open


def test_failures_in_a_row_may_begin_an_outage_for_a_while():
    """While they may, a query that has spent its attempts isn't given up."""
    breaker = Breaker()
    fail(breaker, 0.0, 1)
    assert not breaker.may_open(0.0)
    fail(breaker, 1.0, 2)
    assert [breaker.may_open(LONGEST - 0.1), breaker.may_open(LONGEST + 1.1)] == [True, False]


def opened() -> Breaker:
    """A breaker that eight failures have opened at 0.0."""
    breaker = Breaker()
    breaker.sent(0.0, 8)
    assert fail(breaker, 0.0, *range(1, 9))
    return breaker


def probe(breaker: Breaker, now: float, number: int) -> float:
    """Waits for the next probe, sends it, and lets it fail; returns when."""
    at = now + breaker.wait(now)
    breaker.sent(at, number)
    fail(breaker, at, number)
    return at


def probe_until(breaker: Breaker, until: float) -> tuple[float, int]:
    """Lets all probes fail until then; returns when the last one did, and the number of the next."""
    at, number = 0.0, 9
    while at <= until:
        at, number = probe(breaker, at, number), number + 1
    return at, number


@pytest.mark.parametrize(
    ("events", "is_open"),
    [
        ("x0-6", False),
        ("x0-7", True),
        ("x0-6 o8 x7 x9-15", False),  # although 7 was sent before the answer
        ("x2-8 o1 x9", True),  # 1 left the service before the failures did, or was only slow
        ("x1-8 o0", True),
        ("x0-6 -7 x8", True),  # a cancelled request says nothing
        ("x1-8 o9", False),
        ("x1-8 .9 o9 x11-17 o10 x18", True),  # after an outage, too, an answer to an earlier request ends no row
    ],
)
def test_answers_count_in_the_order_in_which_requests_were_sent(events: str, is_open: bool) -> None:
    """An x fails, an o is answered, a - is cancelled, and a . is sent; those up to 8 are sent before."""
    breaker = Breaker()
    breaker.sent(0.0, 8)
    acts = {"x": lambda number: fail(breaker, 1.0, number), "o": lambda number: breaker.passed(1.0, number, True)}
    acts |= {"-": lambda number: breaker.released(0.0, number), ".": lambda number: breaker.sent(0.0, number)}
    for event in events.split():
        first, _, last = event[1:].partition("-")
        for number in range(int(first), int(last or first) + 1):
            acts[event[0]](number)
    assert is_open is breaker.is_open


@pytest.mark.parametrize("until", [1.0, 20.0, 80.0])
def test_a_probe_that_hangs_or_is_cancelled_is_followed_by_another_one(until: float) -> None:
    """After a quarter of the time so far, at least 3 s, or at once; the outage and patience don't begin anew."""
    breaker = opened()
    at, number = probe_until(breaker, until)
    at += breaker.wait(at)
    breaker.sent(at, number)
    assert pytest.approx(max(3.0, at / 4)) == breaker.wait(at)
    assert not breaker.is_hopeless(at, True, Budget(patience=0.0))
    breaker.released(at, number)
    assert 0.0 == breaker.wait(at)
    at = probe(breaker, at, number + 1)
    assert (0.0, pytest.approx(min(3.0, at / 4))) == (breaker.began, breaker.wait(at))


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 3.0), (2.0, 3.0), (40.0, 40 / 14), (7.0, 7 / 3)])
def test_a_long_retry_after_is_divided_into_equal_pauses(asked: float, pause: float) -> None:
    """So that a probe is sent when it ends, as those of other clients are that share a quota."""
    breaker = opened()
    at, number = probe_until(breaker, 20.0)
    at += breaker.wait(at)
    breaker.sent(at, number)
    breaker.failed(at, number, is_fresh=True, asked=asked)
    assert pytest.approx(pause) == breaker.wait(at)


def test_a_probe_after_a_time_without_requests_begins_the_outage_anew():
    breaker = opened()
    breaker.sent(1_000.0, 9)
    assert fail(breaker, 1_000.0, 9)
    assert (breaker.began, breaker.wait(1_000.0)) == (1_000.0, pytest.approx(0.1))


def test_patience_begins_with_the_first_failure_of_the_row():
    breaker = Breaker()
    for number in range(8):
        breaker.sent(10.0 * number, number)
        breaker.failed(10.0 * number + 9, number, True)
    assert (breaker.is_open, breaker.began) == (True, 9.0)


@pytest.mark.parametrize(
    ("closed_at", "is_fresh", "own", "reopened_at", "quota", "pause"),
    [
        (0.8, False, 1, 1.5, 1 / 1.5, 0.4),
        (0.8, False, 2, 1.5, inf, 0.1),  # more than got through failed by their own fault
        (0.8, False, 0, 1.7, inf, 0.1),  # it was closed for longer than it was open
        (0.8, True, 0, 1.5, inf, 0.1),  # those of the row can be bad
        (89.0, False, 0, 170.0, 1 / 170.0, 44.5),
        (91.0, False, 0, 181.0, inf, 0.1),  # an outage
    ],
)
def test_what_got_through_before_it_opened_again_is_a_quota(closed_at, is_fresh, own, *, reopened_at, quota, pause):
    """The first probe comes after half of the time for which the breaker was open."""
    breaker = opened()
    _, probe_number = probe_until(breaker, closed_at - 4.0)
    breaker.sent(closed_at, probe_number)
    breaker.passed(closed_at, probe_number, is_fresh)
    for number in range(900, 900 + own):
        breaker.failed_alone(closed_at, number)
    assert fail(breaker, reopened_at, *range(1_000, 1_008), is_fresh=False)
    assert [pytest.approx(quota), pytest.approx(pause)] == [breaker.quota, breaker.wait(reopened_at)]


@pytest.mark.parametrize(
    ("patience", "began", "is_unreachable", "is_hopeless"),
    [
        (20.0, 0.0, False, True),
        (30.0, 0.0, False, False),
        (20.0, 5.0, False, False),  # it begins with the call
        (30.0, 0.0, True, True),  # nothing has ever answered
        (30.0, 21.0, True, False),
    ],
)
def test_waiting_is_hopeless_if_the_next_probe_comes_after_patience(patience, began, is_unreachable, is_hopeless):
    """It begins with the row of failures or with the call; a probe that is due may succeed."""
    breaker = opened()
    breaker.is_unreachable = is_unreachable
    at, _ = probe_until(breaker, 19.0)
    budget = Budget(patience=patience, began=began)
    assert is_hopeless is breaker.is_hopeless(at, True, budget)
    assert not breaker.is_hopeless(at + breaker.wait(at), True, budget)
