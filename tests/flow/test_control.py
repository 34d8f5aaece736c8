"""The page of rules, 4 to 6 and 8: what each answer changes, and how old evidence gets."""

import ast
from collections.abc import Callable, Hashable
from math import inf
from pathlib import Path

import pytest
from attrs import evolve

import galileo_sessions
from galileo_sessions import Limits, Retry
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome

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
    while flow.wait(now) == 0:
        permits.append(flow.sent(now, BUDGET))
    return permits


def end(flow: FlowControl, now: float, outcome: Outcome, *permits: Permit, query: Hashable = None) -> None:
    """Ends requests in the order in which they were sent, each with a query of its own if none is given."""
    for permit in permits:
        flow.ended(now, permit, outcome, query or permit.number)


def at_work() -> FlowControl:
    """A client with as many requests at once as it may have, which has had answers after 0.1 s."""
    flow = control(8)
    for now in (0.0, 0.2, 0.4):
        end(flow, now + 0.1, SUCCESS, *send(flow, now, 8))
    return flow


def spend(flow: FlowControl, now: float) -> None:
    """Has as many refusals as the budget covers, none of them in a row that opens the breaker."""
    for _ in range(4):
        end(flow, now, REFUSED, flow.sent(now, BUDGET))
    end(flow, now, Outcome("success"), flow.sent(now, BUDGET))


def paced() -> FlowControl:
    """A client whose rate was cut, at 1.0, with 4 requests under way: to 34 a second."""
    flow = at_work()
    spend(flow, 0.9)
    *others, last = send(flow, 1.0, 4)
    end(flow, 1.0, REFUSED, last)
    end(flow, 1.0, IGNORED, *others)
    assert pytest.approx(34.0) == flow.rate
    return flow


def opened() -> FlowControl:
    """A client whose circuit breaker eight failures have opened, at 0.0."""
    flow = control()
    end(flow, 0.0, REFUSED, *send(flow, 0.0, 8))
    assert flow.breaker.is_open
    return flow


# ---- rule 4: limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("latency", "wait"), [(0.3, 0.6), (None, 0.2)])
def test_after_a_refusal_nothing_is_sent_until_something_is_answered(latency, wait) -> None:
    """Or for two latencies, if no answer comes."""
    flow = control(8)
    end(flow, 0.5, Outcome("success", latency) if latency else IGNORED, *send(flow, 0.0, 8))
    first, second, *_ = send(flow, 1.0, 4)
    end(flow, 1.0, REFUSED, first)
    assert pytest.approx(wait) == flow.wait(1.0)
    end(flow, 1.1, SUCCESS, second)
    assert 0.0 == flow.wait(1.1)


def test_a_refusal_of_a_probe_of_the_width_takes_the_width_back() -> None:
    """It was sent with more under way than have been answered; there is still no rate."""
    flow = control(initial=8)
    for now in (0.0, 0.2):
        end(flow, now + 0.1, SUCCESS, *send(flow, now, 8))
    assert 16 == flow.width
    spend(flow, 0.5)
    below, above = (permits := send(flow, 1.0, 16))[:12], permits[12:]
    end(flow, 1.1, SUCCESS, *below[8:])
    end(flow, 1.1, REFUSED, *above)
    assert (12, inf) == (flow.width, flow.rate)


@pytest.mark.parametrize("is_answered", [False, True])
def test_what_bad_queries_have_cut_is_undone(is_answered: bool) -> None:  # a parameter
    """Once it is known that they keep failing by themselves; if one of them is answered, it was the load."""
    flow, now, rates = at_work(), 2.0, [inf]
    for number in range(4):
        for query in ("bad", "worse"):
            end(flow, now, SUCCESS, flow.sent(now, BUDGET))
            end(flow, now, REFUSED, flow.sent(now, BUDGET), query=query)
            rates.append(flow.rate)
            now += 0.5
        if is_answered and number == 2:
            end(flow, now, SUCCESS, flow.sent(now, BUDGET), query="bad")
    assert min(rates) < 100
    assert (flow.rate < inf) is is_answered


# ---- rule 5: noise ---------------------------------------------------------------------------------------------------


def tried() -> tuple[FlowControl, float, float]:
    """A client on trial, because each fifth request is refused; since when; and the rate to which it had cut."""
    said: list[str] = []
    flow, now = control(say=said.append), 0.0
    while not any("on trial" in text for text in said):
        permits = send_all(flow, now)
        now += 0.1
        for permit in permits:
            end(flow, now, SUCCESS if permit.number % 5 else REFUSED, permit)
    assert any("on trial: 20% are refused, however few are sent" in text for text in said)
    before, after = [float(text.split()[1]) for text in said if text.startswith("rate")][-2:]
    assert 2 * before < after == pytest.approx(flow.rate, abs=0.1)
    return flow, now, before


def test_what_was_tried_in_vain_is_taken_back() -> None:
    """If more brings more refusals, the rate is what it was when the trial began, or less."""
    flow, now, before = tried()
    while flow.rate > before:
        end(flow, now, REFUSED, *send(flow, now, 6))
        end(flow, now, SUCCESS, flow.sent(now, BUDGET))
        now += 0.1
    assert flow.rate <= before


def test_what_was_tried_rightly_is_kept() -> None:
    """If enough is answered, the rate isn't cut once the free refusals are used up."""
    flow, now, before = tried()
    for _ in range(80):
        end(flow, now + 0.1, SUCCESS, *send_all(flow, now))
        now += 0.1
    rate, epoch = flow.rate, flow.sent(now, BUDGET).epoch  # this one stays under way
    for _ in range(50):
        permit = flow.sent(now, BUDGET)
        if permit.epoch != epoch:
            break
        end(flow, now, REFUSED, permit)
        end(flow, now, SUCCESS, flow.sent(now, BUDGET))
    assert permit.epoch == epoch + 1
    assert flow.rate >= rate > 2 * before


def test_answers_to_earlier_requests_prove_no_trial_right() -> None:
    """They say nothing about the load that is tried."""
    flow, now, _ = tried()
    epoch = flow.sent(now, BUDGET).epoch  # this one stays under way
    for of, is_unlimited in ((epoch - 1, False), (epoch, True)):
        for _ in range(64):
            end(flow, now, SUCCESS, evolve(flow.sent(now, BUDGET), epoch=of))
        assert (flow.rate == inf) is is_unlimited


# ---- rule 6: an outage teaches nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "before"), [(at_work, inf), (paced, 34.0)])
def test_an_outage_says_nothing_about_the_rate(begin: Callable[[], FlowControl], before: float) -> None:
    """What its first failures have cut is undone when the breaker opens."""
    flow, cut = begin(), list[float]()
    end(flow, 2.0, SUCCESS, flow.sent(2.0, BUDGET))
    while not flow.breaker.is_open:
        end(flow, 2.0, REFUSED, flow.sent(2.0, BUDGET))
        cut.append(flow.rate)
    assert min(cut) < before
    assert pytest.approx(before) == flow.rate


def test_it_is_said_when_an_outage_begins_and_ends() -> None:
    said: list[str] = []
    flow = control(say=said.append)
    end(flow, 0.0, REFUSED, *send(flow, 0.0, 8))
    end(flow, 0.3, SUCCESS, flow.sent(0.2, BUDGET))
    assert said[-2:] == [
        "only single probes are sent: eight requests in a row failed",
        "all requests are sent again: a probe succeeded",
    ]


def test_a_load_from_before_the_breaker_opened_is_forgotten() -> None:
    """So that the next refusals aren't taken for noise."""
    flow = paced()
    for _ in range(3):
        end(flow, 2.0, SUCCESS, flow.sent(2.0, BUDGET))
        end(flow, 2.0, REFUSED, flow.sent(2.0, BUDGET))
    end(flow, 3.0, SUCCESS, flow.sent(3.0, BUDGET))
    before = flow.rate
    assert 40 / 2 < before < 40 / 2 / 0.85  # one more cut leaves half of the highest load
    end(flow, 4.0, REFUSED, *send(flow, 4.0, 8))
    end(flow, 5.0, SUCCESS, flow.sent(5.0, BUDGET))
    assert before == flow.rate
    for now in (6.0, 7.0):
        end(flow, now, SUCCESS, flow.sent(now, BUDGET))
        end(flow, now, REFUSED, flow.sent(now, BUDGET))
    assert flow.rate < 0.85 * before


def probed(flow: FlowControl, now: float, until: float) -> float:
    """Has each probe refused until then, and the next one answered, of the query refused last; returns when."""
    query: Hashable = None
    while now < until:
        now += flow.wait(now)
        probe = flow.sent(now, BUDGET)
        assert flow.wait(now) > 0  # the next one waits, so the time is a quota
        end(flow, now, SUCCESS if now >= until else REFUSED, probe, query=query if now >= until else None)
        query = probe.number
    return now


def use_up(flow: FlowControl, now: float = 0.0, quota: int = 20) -> None:
    """Refuses for 0.6 s, lets some pass, and refuses the last eight of the next ones, while others wait."""
    passed = probed(flow, now, now + 0.6)
    permits = send(flow, passed, quota - 1)
    assert flow.wait(passed) > 0
    end(flow, passed, SUCCESS, *permits)
    permits = send(flow, now + 1.0, quota)
    end(flow, now + 1.0, IGNORED, *permits[:-8])
    end(flow, now + 1.0, REFUSED, *permits[-8:])
    assert (True, pytest.approx(quota)) == (flow.breaker.is_open, flow.breaker.quota)


def test_a_quota_that_is_used_up_sets_the_rate() -> None:
    flow = opened()
    use_up(flow)
    assert pytest.approx(20.0) == flow.rate


def test_what_was_sent_on_trial_is_no_quota() -> None:
    """The rate goes back to a little below the load at which the trial began."""
    flow, now, before = tried()
    end(flow, now, REFUSED, *send(flow, now, 8))
    use_up(flow, now, quota=10)
    assert 0.8 * before < flow.rate <= before


# ---- rule 8: overtaken requests --------------------------------------------------------------------------------------


def test_a_request_that_was_overtaken_loses_its_place() -> None:
    """After sixteen latencies, another one is sent, but no more than the maximum in all."""
    flow = control(5, initial=2)
    _, last = send_all(flow, 0.0)
    end(flow, 0.1, SUCCESS, last)
    assert [1, 0] == [len(send_all(flow, now)) for now in (0.5, 1.5)]
    (last,) = send_all(flow, 1.6)
    end(flow, 1.7, SUCCESS, last)
    assert [1, 0, 1, 1, 0] == [len(send_all(flow, now)) for now in (1.7, 2.0, 2.1, 60.0, 600.0)]
    assert (inf, 5, 2) == (flow.wait(600.0), flow.in_flight, flow.width)


@pytest.mark.parametrize(("latency", "late"), [(0.05, 1.0), (2.0, 32.0)])
def test_while_nothing_is_answered_one_place_at_a_time_is_freed(latency: float, late: float) -> None:
    """One after each second, or after sixteen latencies, up to the maximum."""
    flow = control(8, initial=4)
    *others, last = send_all(flow, 0.0)
    end(flow, latency, Outcome("success", latency), last)
    end(flow, latency, IGNORED, *others)
    assert 4 == len(send_all(flow, 10.0))
    for number in range(1, 5):
        assert pytest.approx(late) == flow.wait(10.0 + (number - 1) * late)
        assert 1 == len(send_all(flow, 10.0 + number * late))
    assert inf == flow.wait(1_000.0)


def test_once_the_breaker_has_closed_no_more_than_twice_as_many_are_under_way_as_have_succeeded() -> None:
    flow, succeeded = opened(), 1
    end(flow, 0.3, SUCCESS, flow.sent(0.2, BUDGET))
    for _ in range(2):
        permits = send_all(flow, 0.3)
        end(flow, 0.3, SUCCESS, *permits)
        assert 2 * succeeded == len(permits)
        succeeded += len(permits)


def test_in_an_outage_no_more_than_the_maximum_is_under_way() -> None:
    """However long a probe hangs."""
    flow = control(1)
    for _ in range(8):
        end(flow, 0.0, REFUSED, flow.sent(0.0, BUDGET))
    probe = flow.sent(0.2, BUDGET)
    assert inf == flow.wait(100.0)
    end(flow, 100.0, REFUSED, probe)
    assert flow.wait(100.0) < 4


@pytest.mark.parametrize("happens", ["an outage", "a request is overtaken", "nothing is answered"])
def test_the_order_of_the_counts_does_not_matter_for_64_answers(happens: str) -> None:
    """Because the first ones can be bad."""
    flow = control()
    assert not flow.is_wary
    if happens == "nothing is answered":
        send_all(flow, 0.0)
    else:
        permits = send(flow, 0.0, 8)
        end(flow, 1.5, REFUSED, *permits) if happens == "an outage" else end(flow, 1.5, SUCCESS, permits[-1])
    flow.wait(2.0)
    for number in range(64):
        assert flow.is_wary, number
        end(flow, 3.0, SUCCESS, flow.sent(3.0, BUDGET))
    assert not flow.is_wary


# ---- what is old is forgotten ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [31.0, 86_400.0])
def test_after_half_a_minute_without_anybody_waiting_all_is_forgotten(quiet: float) -> None:
    """The rate, the outage and what it said about the order of counts; the width is at most what was answered."""
    for flow, now, width in ((paced(), 1.1, 8), (opened(), 0.1, 10)):
        assert flow.wait(now + quiet) == 0
        assert (width, inf, False, False) == (flow.width, flow.rate, flow.breaker.is_open, flow.is_wary)


def test_a_rate_that_nobody_has_waited_for_in_half_a_minute_is_forgotten() -> None:
    """Also if a request is under way all the time; one that waits keeps it."""
    flow = paced()
    for now in (1.0, 31.0, 61.0):
        flow.sent(now, BUDGET)
        assert flow.wait(now) > 0
    assert pytest.approx(34.0) == flow.rate
    flow.wait(91.1)
    assert inf == flow.rate


# ---- reasons, and the code -------------------------------------------------------------------------------------------


def test_a_reason_says_what_a_request_waits_for_with_its_number() -> None:
    """The breaker, what is under way, the rate, or an answer after a refusal; or the rate that the user sets."""
    full, held = control(3), at_work()
    send(full, 1.0, 3)
    end(held, 1.0, REFUSED, send(held, 1.0, 4)[0])
    assert [flow.reason(1.0) for flow in (opened(), full, paced(), held, control(), control(rate=0.01))] == [
        "the circuit breaker: the service has refused everything for 1 s",
        "a free slot (3 requests in flight, limit 3)",
        "the service's rate limit (about 34 requests a second)",
        "an answer (3 requests in flight)",
        "a free slot",
        "Limits(rate=0.01)",
    ]


def test_the_flow_control_has_at_most_30_constants() -> None:
    """Numbers but 0, 1 and 2 in flow and request, so that a reader can learn what each is for."""
    package, found = Path(galileo_sessions.__file__).parent, list[str]()
    for file in [*package.glob("flow/[!os]*.py"), package / "counting/request.py"]:  # not the statuses, or settings
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in (0, 1, 2):
                found.append(f"{file.name}:{node.lineno} {node.value}")
    assert 0 < len(found) <= 30, "\n".join(found)
