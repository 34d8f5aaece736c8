"""What each answer changes, how old evidence gets, and what a request waits for: the decisions of the flow control."""

from math import inf

import pytest
from support.clients import ids
from support.inside import rate
from support.models import Mixed
from support.network import Sky, under

from galileo_sessions import Limits
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Meaning, Outcome

SUCCESS, REFUSED = Outcome("success", 0.1), Outcome("refused")
FAILURES: list[Meaning] = ["refused", "throttled", "failed"]


def send(flow: FlowControl, now: float, count: int) -> list[Permit]:
    """Sends as many, whatever the limits."""
    return [flow.sent(now) for _ in range(count)]


def end(flow: FlowControl, now: float, permits: list[Permit], outcome: Outcome) -> None:
    """Ends requests in the order in which they were sent."""
    for permit in permits:
        flow.ended(now, permit, outcome)


def at_work(said: list[str] | None = None, width: int = 8) -> FlowControl:
    """A client with as many requests at once as it may have, which has had answers after 0.1 s."""
    flow = FlowControl(Limits(width, initial=width), None if said is None else said.append)
    for now in (0.0, 0.2, 0.4):
        end(flow, now + 0.1, send(flow, now, width), SUCCESS)
    return flow


def spend(flow: FlowControl, now: float) -> None:
    """Has as many refusals as the budget covers, none of them in a row that opens the breaker."""
    for _ in range(4):
        end(flow, now, send(flow, now, 1), REFUSED)
    flow.ended(now, flow.sent(now), Outcome("success"))


def paced(said: list[str] | None = None) -> FlowControl:
    """A client whose rate was cut, at 1.0, with 4 requests under way: to 34 a second."""
    flow = at_work(said)
    spend(flow, 0.9)
    *others, last = send(flow, 1.0, 4)
    flow.ended(1.0, last, REFUSED)
    end(flow, 1.0, others, IGNORED)
    assert pytest.approx(34.0) == flow.rate
    return flow


def opened(said: list[str] | None = None, meaning: Meaning = "refused") -> FlowControl:
    """A client whose circuit breaker eight failures have opened, at 0.0."""
    flow = FlowControl(Limits(), None if said is None else said.append)
    end(flow, 0.0, send(flow, 0.0, 8), Outcome(meaning))
    assert flow.breaker.is_open
    return flow


def limits(flow: FlowControl) -> tuple[int, float]:
    """The width and the rate."""
    return flow.width, flow.rate


# ---- what limits -----------------------------------------------------------------------------------------------------


def test_the_first_burst_is_sent_at_once_and_the_next_waits_for_an_answer() -> None:
    """There is no rate, and the width is what was asked for, or the maximum."""
    flow = FlowControl(Limits(256, initial=3))
    assert 0.0 == flow.wait(0.0)
    send(flow, 0.0, 3)
    assert inf == flow.wait(0.0)
    assert (3, 3, inf) == (flow.in_flight, flow.width, flow.rate)


# ---- what an answer changes ------------------------------------------------------------------------------------------


def test_successes_save_for_refusals() -> None:
    """One in eight answers may be refused, for ever, and nothing is narrower or slower."""
    flow = at_work()
    for number in range(200):
        flow.ended(1.0 + number, flow.sent(0.9 + number), REFUSED if number % 8 == 0 else SUCCESS)
    assert (8, inf) == limits(flow)


def test_after_a_refusal_nothing_is_sent_until_something_is_answered() -> None:
    """Or for two latencies, if no answer comes."""
    flow = at_work()
    first, second, *_ = send(flow, 1.0, 4)
    flow.ended(1.0, first, REFUSED)
    assert pytest.approx(0.2) == flow.wait(1.0)
    flow.ended(1.1, second, SUCCESS)
    assert 0.0 == flow.wait(1.1)


@pytest.mark.parametrize("meaning", FAILURES)
def test_eight_failures_in_a_row_leave_single_probes_and_a_success_ends_that(meaning: Meaning) -> None:
    """Whatever they mean; it is said both times."""
    said: list[str] = []
    flow = opened(said, meaning)
    flow.ended(0.3, flow.sent(0.2), SUCCESS)
    send(flow, 0.3, 2)
    assert inf == flow.wait(0.3)
    expected = [
        "only single probes are sent: eight requests in a row failed",
        "all requests are sent again: a probe succeeded",
    ]
    assert expected == [text for text in said if not text.startswith("rate")]


def test_a_refusal_of_a_probe_of_the_width_takes_the_width_back() -> None:
    """It was sent with more under way than have been answered; there is still no rate."""
    flow = FlowControl(Limits(256, initial=8))
    for now in (0.0, 0.2):
        end(flow, now + 0.1, send(flow, now, 8), SUCCESS)
    assert 16 == flow.width
    spend(flow, 0.5)
    below, above = (permits := send(flow, 1.0, 16))[:12], permits[12:]
    end(flow, 1.1, below[8:], SUCCESS)
    end(flow, 1.1, above, REFUSED)
    assert (12, inf) == limits(flow)


def every_fifth_refused(flow: FlowControl, now: float, seconds: float) -> float:
    """Sends what may be sent for so long, of which each fifth request is refused, however many there are."""
    until = now + seconds
    while now < until:
        permits: list[Permit] = []
        while flow.wait(now) == 0:
            permits.append(flow.sent(now))
        now += 0.1
        for permit in permits:
            flow.ended(now, permit, SUCCESS if permit.number % 5 else REFUSED)
    return now


def test_refusals_that_do_not_depend_on_the_load_stop_cutting_the_rate() -> None:
    """At a service that refuses a quarter of all requests, whatever is sent, the rate doesn't sink."""
    sky = Sky(Mixed(0.25, "refused"))

    async def main() -> float:
        async with sky.client(seed=1) as galileo:
            assert () == (await galileo.count_all(ids(3_000))).errors
            return rate(galileo)

    assert 400 < under(sky, main)


def test_what_was_tried_in_vain_is_taken_back() -> None:
    """If more brings more refusals, the rate is what it was when the trial began, or less."""
    said: list[str] = []
    flow, now, before = FlowControl(Limits(), said.append), 0.0, inf
    while not any("more is tried" in text for text in said):
        before = flow.rate
        now = every_fifth_refused(flow, now, 0.1)
    assert inf == flow.rate
    while flow.rate == inf:
        end(flow, now, send(flow, now, 6), REFUSED)
        flow.ended(now, flow.sent(now), SUCCESS)
        now += 0.1
    assert flow.rate <= before


def probed(flow: FlowControl, now: float, until: float) -> float:
    """Has each probe refused until then, and the next one answered, while others wait; returns when."""
    while now < until:
        now += flow.wait(now)
        probe = flow.sent(now)
        assert flow.wait(now) > 0  # the next one waits, so the time is a quota
        flow.ended(now, probe, SUCCESS if now >= until else REFUSED)
    return now


def test_a_service_that_takes_one_request_per_wait_gets_that_rate() -> None:
    """Eight are refused, one passes ten seconds later, and the next ones are refused again."""
    flow = at_work()
    end(flow, 0.6, send(flow, 0.6, 8), REFUSED)
    now = probed(flow, 0.6, 10.6)
    while flow.rate > 1:
        now += 0.01
        flow.ended(now, flow.sent(now), REFUSED)
    assert 0.1 == pytest.approx(flow.rate, rel=0.3)


def window(flow: FlowControl) -> None:
    """Refuses until 0.5, lets twenty pass, and refuses eight at 1.0, while others wait."""
    now = probed(flow, 0.0, 0.5)
    permits = send(flow, now, 19)
    assert flow.wait(now) > 0
    end(flow, now, permits, SUCCESS)
    end(flow, 1.0, send(flow, 1.0, 8), REFUSED)
    assert flow.breaker.is_open
    assert pytest.approx(20.0) == flow.breaker.quota


def test_a_window_that_is_used_up_gets_what_it_let_through() -> None:
    """Or a third of the load, if that is more: ten at once, each 0.1 s, are a load of 100 a second."""
    flow = opened()
    window(flow)
    assert pytest.approx(100 / 3) == flow.rate


def test_what_was_sent_on_trial_is_no_quota() -> None:
    """The rate goes back to below the load at which the trial began."""
    flow = opened()
    flow._noise.is_on_trial, flow._noise._tried_at, flow._noise._saved = True, 40.0, 8.0
    window(flow)
    assert pytest.approx(0.85 * 40) == flow.rate


def test_a_load_from_before_the_breaker_opened_is_forgotten() -> None:
    """So that after a used-up window, the next refusals aren't taken for noise."""
    flow = paced()
    before = flow._noise.highest
    end(flow, 2.0, send(flow, 2.0, 8), REFUSED)
    assert flow.breaker.is_open
    assert flow._noise.highest < before


def test_an_answer_that_was_on_its_way_closes_the_breaker_in_the_same_moment() -> None:
    """Then nobody has waited for it, and the next refusal cuts the rate as any other does."""
    flow = FlowControl(Limits(9, initial=9))
    *refused, last = send(flow, 0.0, 9)
    end(flow, 0.0, refused, REFUSED)
    flow.ended(0.0, last, SUCCESS)
    assert not flow.breaker.is_open
    flow.ended(0.0, flow.sent(0.0), REFUSED)
    assert 1 < flow.rate < inf


# ---- the age of evidence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [31.0, 86_400.0])
def test_after_half_a_minute_without_anybody_waiting_all_is_forgotten(quiet: float) -> None:
    """The rate, the row of failures and the budget are those of a new client, and the width is as wide."""
    for flow, now in ((paced(), 1.1), (opened(), 0.1)):
        assert flow.wait(now + quiet) == 0
        new = FlowControl(Limits(8 if flow.width == 8 else 256))
        assert limits(new) == limits(flow)
        assert not flow.breaker.is_open


def test_a_rate_that_nobody_has_waited_for_in_half_a_minute_is_forgotten() -> None:
    """Also if a request is under way all the time; one that waits keeps it."""
    flow = paced()
    for now in (1.0, 31.0, 61.0):
        flow.sent(now)
        assert flow.wait(now) > 0
    assert pytest.approx(34.0) == flow.rate
    flow.wait(91.1)
    assert inf == flow.rate


# ---- reasons ---------------------------------------------------------------------------------------------------------


def test_a_reason_says_what_a_request_waits_for_with_its_number() -> None:
    """The breaker, what is under way, the rate, or an answer after a refusal."""
    full, held, free = FlowControl(Limits(3)), at_work(), FlowControl(Limits())
    send(full, 0.0, 3)
    held.ended(1.0, send(held, 1.0, 4)[0], REFUSED)
    reasons = [opened().reason(5.0), full.reason(0.0), paced().reason(1.0), held.reason(1.0), free.reason(1.0)]
    assert reasons == [
        "the circuit breaker: the service has refused everything for 5 s",
        "its turn: 3 under way, and the limit is 3 at once now",
        "the service's rate limit (about 34 requests a second)",
        "its turn: 3 under way, and the service refuses more",
        "its turn",
    ]
