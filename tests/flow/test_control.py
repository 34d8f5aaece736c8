"""What a client learns from each answer: the width, the rate, and what it says about them."""

import heapq
import math
import re
from collections.abc import Callable

import pytest
from attrs import Factory, define

from galileo_sessions.client.flow.control import FlowControl, Permit

Answer = Callable[[int], tuple[float, bool]]
"""What becomes of a request, by the number under way: the seconds until it comes back, and whether it succeeded."""


@define
class Run:
    """A fan-out that always has more to count, and the sentences that its flow control said."""

    answer: Answer
    said: list[str] = Factory(list)
    flow: FlowControl = Factory(lambda self: FlowControl(on_change=self.said.append), takes_self=True)
    now: float = 0.0
    succeeded: int = 0
    _number: int = 0
    _under_way: list[tuple[float, int, Permit, bool]] = Factory(list)

    def go_on(self, seconds: float) -> None:
        """Sends whatever may be sent, for so many seconds."""
        until = self.now + seconds
        while self.now < until:
            while (wait := self.flow.wait(self.now)) == 0:
                permit = self.flow.sent(self.now)
                took, succeeds = self.answer(permit.at_once)
                self._number += 1
                heapq.heappush(self._under_way, (self.now + took, self._number, permit, succeeds))
            if self._under_way and self._under_way[0][0] <= self.now + wait:
                self.now, _, permit, succeeds = heapq.heappop(self._under_way)
                self.succeeded += succeeds
                (self.flow.succeeded if succeeds else self.flow.refused)(self.now, permit)
            else:
                self.now += wait

    def has_said(self, pattern: str) -> bool:
        """Whether any sentence fits."""
        return any(re.search(pattern, text) for text in self.said)


def steady(latency: float = 0.1) -> Answer:
    """All succeed, after as many seconds."""
    return lambda _: (latency, True)


def at_most(limit: int, latency: float = 0.1) -> Answer:
    """More at once are refused, fast."""
    return lambda at_once: (latency, True) if at_once <= limit else (0.005, False)


def send(flow: FlowControl, now: float, count: int) -> list[Permit]:
    """Sends as many, whatever the limits."""
    return [flow.sent(now) for _ in range(count)]


# ---- the width -------------------------------------------------------------------------------------------------------


def test_the_first_burst_is_sent_at_once_and_the_next_waits_for_an_answer() -> None:
    flow = FlowControl(256, initial=3)
    send(flow, 0.0, 3)
    assert math.inf == flow.wait(0.0)
    assert (3, 3) == (flow.in_flight, flow.width)


def test_no_more_than_the_maximum_are_sent_though_the_first_burst_is_larger() -> None:
    assert 5 == FlowControl(5, initial=10).width


def test_nothing_is_paced_before_the_first_refusal_and_the_width_doubles_per_latency() -> None:
    run = Run(steady())
    counts = []
    for _ in range(6):
        before = run.succeeded
        run.go_on(0.1)
        counts.append(run.succeeded - before)
    assert math.inf == run.flow.rate
    assert [8, 16, 32, 64, 100] <= counts[1:]
    run.go_on(2.0)
    assert run.flow.width in (256, 204)  # now and then, fewer are tried
    assert not run.said


def test_more_at_once_that_only_take_longer_are_withdrawn_and_fewer_are_tried() -> None:
    run = Run(lambda at_once: (0.1 * at_once, True))
    run.go_on(60.0)
    assert 10 > run.flow.width
    assert run.has_said(r"^width \d: more at once only took longer$")


def test_growth_must_raise_the_throughput_by_the_root_of_itself() -> None:
    run = Run(lambda at_once: (0.1 * (at_once / 10) ** 0.3, True))
    run.go_on(200.0)
    assert 128 < run.flow.width
    run = Run(lambda at_once: (0.1 * max(1, at_once / 10) ** 0.7, True))
    run.go_on(50.0)
    assert 20 > run.flow.width


def test_a_melt_is_noticed_after_one_burst() -> None:
    """Each request beyond ten makes all slower by a half; twice as many would take up to 5 s."""
    run = Run(lambda at_once: (0.1 * 1.5 ** max(0, at_once - 10), True))
    run.go_on(20.0)
    assert run.succeeded > 0.55 * 20.0 * 100


def test_what_takes_less_than_ten_milliseconds_says_nothing() -> None:
    run = Run(lambda at_once: (0.0005 * min(16, at_once), True))
    run.go_on(1.0)
    assert 256 == run.flow.width


def test_a_busy_caller_blames_nobody_for_what_takes_longer() -> None:
    run = Run(lambda at_once: (0.02 * at_once, True))
    run.flow.is_busy = True
    run.go_on(20.0)
    assert run.flow.width in (256, 204)


def test_a_limit_on_requests_at_once_is_found() -> None:
    run = Run(at_most(35))
    run.go_on(3.0)
    assert 33 <= run.flow.width <= 35
    assert run.succeeded > 0.75 * 3.0 * 350


def test_refused_requests_of_the_first_burst_narrow_it_though_they_come_last() -> None:
    flow = FlowControl(10, initial=10)
    permits = send(flow, 0.0, 10)
    for permit in permits[:5]:
        flow.succeeded(0.1, permit)
    for permit in permits[5:]:
        flow.refused(0.2, permit)
    assert 5 == flow.width


def test_a_width_of_one_is_the_least() -> None:
    run = Run(lambda at_once: (0.1 * at_once**2, True))
    run.flow = FlowControl(256, initial=1)
    run.go_on(20.0)
    assert 1 <= run.flow.width <= 2


def test_an_answer_without_a_count_tells_no_latency() -> None:
    widths = []
    for end in ("answered", "succeeded"):
        flow, now = FlowControl(256, initial=4), 0.0
        for _ in range(12):
            for permit in send(flow, now, flow.width):
                now += 0.05  # one after another: more at once only take longer
                getattr(flow, end)(now, permit)
        widths.append(flow.width)
    assert widths[0] > 200
    assert widths[1] < 20


# ---- the rate --------------------------------------------------------------------------------------------------------


def at_work(said: list[str] | None = None, width: int = 8) -> FlowControl:
    """A client at the most requests at once that it may have, which have succeeded after 0.1 s."""
    flow = FlowControl(width, initial=width, on_change=None if said is None else said.append)
    for now in (0.0, 0.2, 0.4):
        for permit in send(flow, now, width):
            flow.succeeded(now + 0.1, permit)
    return flow


def refuse(flow: FlowControl, now: float, at_once: int) -> None:
    """Has requests refused that were under way together, until one cuts."""
    rate = flow.rate
    while flow.rate == rate:
        *others, last = send(flow, now, at_once)
        flow.refused(now, last)
        for permit in others:
            flow.released(now, permit)


def paced() -> FlowControl:
    """A client at 34 a second."""
    flow = at_work()
    refuse(flow, 1.0, 4)
    return flow


def succeed(flow: FlowControl, now: float, count: int, every: float = 0.1) -> None:
    """As many successes, one after another, each of which the rate was waited for."""
    for number in range(count):
        at = now + number * every
        permit = flow.sent(at)
        flow.wait(at)
        flow.succeeded(at + 0.5 * every, permit)


def test_after_a_refusal_nothing_is_sent_until_something_is_answered() -> None:
    flow = at_work()
    first, second, *_ = send(flow, 1.0, 4)
    flow.refused(1.0, first)
    held = flow.wait(1.0)
    assert 0.4 == pytest.approx(held, abs=0.1)  # four latencies, if no answer comes
    flow.succeeded(1.1, second)
    assert flow.wait(1.1) < held - 0.1


def test_the_first_refusal_that_no_success_pays_for_gives_a_rate_from_what_is_under_way() -> None:
    said: list[str] = []
    flow = at_work(said)
    refuse(flow, 1.0, 4)
    assert 34.0 == pytest.approx(flow.rate)
    assert ["rate 34.0 a second: refused with 4 at once"] == said
    flow.succeeded(1.1, flow.sent(1.1))
    assert 0.0 < flow.wait(1.1) < 0.1


def test_what_was_sent_before_a_cut_does_not_cut() -> None:
    flow = at_work()
    permits = send(flow, 1.0, 6)
    for permit in permits[:2]:
        flow.refused(1.0, permit)
    rate = flow.rate
    for permit in permits[2:]:
        flow.refused(1.0, permit)
    assert rate == flow.rate < math.inf


def test_a_rate_that_is_far_above_what_got_through_is_cut_to_that() -> None:
    flow = paced()
    flow.refused(1.5, flow.sent(1.5))
    assert 34.0 * 0.2 == pytest.approx(flow.rate)


def test_a_service_that_accepts_one_request_per_wait_gets_that_rate() -> None:
    """Eight are refused, one passes ten seconds later, and the next is refused again."""
    flow = at_work()
    for permit in send(flow, 0.6, 8):
        flow.refused(0.6, permit)
    now = 0.6
    while now < 10.6:
        now += flow.wait(now)
        probe = flow.sent(now)
        (flow.succeeded if now >= 10.6 else flow.refused)(now, probe)
    flow.refused(now + 0.1, flow.sent(now + 0.1))
    assert 0.1 == pytest.approx(flow.rate, rel=0.3)
    rate = flow.rate
    flow.succeeded(now + 10.0, flow.sent(now + 9.9))
    assert 2 * rate == flow.rate  # it may just have been away


def test_the_rate_grows_to_what_was_refused_and_passes_it_after_a_second() -> None:
    flow = paced()
    succeed(flow, 1.05, 19, every=0.03)
    assert 38.0 == pytest.approx(flow.rate)  # 0.95 of 40
    succeed(flow, 2.1, 5, every=0.03)
    assert 38.0 < flow.rate < 45.0


def test_the_rate_grows_faster_after_a_quiet_second() -> None:
    flow = paced()
    succeed(flow, 1.05, 200, every=0.03)
    assert flow.rate > 200.0


def test_a_rate_that_is_not_waited_for_does_not_grow() -> None:
    flow = paced()
    for now in (2.0, 4.0, 6.0):
        flow.succeeded(now, flow.sent(now - 0.1))
    assert 34.0 == pytest.approx(flow.rate)


# ---- noise -----------------------------------------------------------------------------------------------------------


def every_tenth_is_refused() -> Answer:
    """However many are sent."""
    numbers = iter(range(10**9))
    return lambda _: (0.05, True) if next(numbers) % 10 else (0.005, False)


def test_where_cuts_do_not_help_more_is_tried_and_kept_if_it_pays() -> None:
    run = Run(every_tenth_is_refused())
    run.go_on(10.0)
    assert run.has_said(r"^more is tried: \d+ % are refused, however little is sent$")
    before = run.succeeded
    run.go_on(2.0)
    assert run.succeeded - before > 2 * 2_000


def test_what_was_tried_in_vain_is_taken_back() -> None:
    """More brings more refusals, so the rate is what it was before, or less."""
    run = Run(at_most(40, 0.05))
    run.go_on(3.0)
    run.answer = every_tenth_is_refused()
    while not run.has_said("more is tried"):
        run.go_on(0.05)
    run.answer = lambda _: (0.05, False)
    run.go_on(0.3)
    assert run.flow.rate < 1_000.0


# ---- the breaker, and the service's wishes ---------------------------------------------------------------------------


def test_eight_refusals_in_a_row_leave_single_probes_and_a_success_ends_that() -> None:
    said: list[str] = []
    flow = FlowControl(256, on_change=said.append)
    for permit in send(flow, 0.0, 8):
        flow.refused(0.0, permit)
    assert (True, 1.0) == (flow.breaker.is_open, flow.breaker.seconds_open(1.0))
    flow.succeeded(0.3, flow.sent(0.2))
    assert not flow.breaker.is_open
    opened, closed = (
        "only single probes are sent: 8 requests in a row failed",
        "all requests are sent again: a probe succeeded",
    )
    assert [opened, closed] == [text for text in said if not text.startswith("rate")]


def test_after_the_breaker_has_closed_answers_are_the_clock_again() -> None:
    flow = FlowControl(256)
    for permit in send(flow, 0.0, 8):
        flow.refused(0.0, permit)
    flow.succeeded(0.3, flow.sent(0.2))
    send(flow, 0.3, 2)
    assert math.inf == flow.wait(0.3)


@pytest.mark.parametrize(("answered", "patience"), [(True, 20.0), (False, 6.0)])
def test_waiting_is_hopeless_after_patience_or_after_seconds_if_there_never_was_an_answer(
    answered: bool, patience: float
) -> None:
    flow = FlowControl(256, patience=20.0)
    if answered:
        flow.refused(0.0, flow.sent(0.0), told=True)
    for permit in send(flow, 0.0, 8):
        flow.refused(0.0, permit)
    now = 0.0
    while not flow.is_hopeless(now):
        now += flow.wait(now)
        flow.refused(now, flow.sent(now))
    assert patience <= now <= patience + 3.0


def test_the_service_has_answered_once_it_did_what_it_was_asked_or_asked_to_come_later() -> None:
    flow = FlowControl(256)
    for end in (flow.answered, flow.released, flow.refused):
        end(0.0, flow.sent(0.0))
        assert not flow.has_answered
    flow.refused(0.0, flow.sent(0.0), told=True)
    assert flow.has_answered
    other = FlowControl(256)
    other.succeeded(0.1, other.sent(0.0))
    assert other.has_answered


def test_an_allowance_holds_until_the_reset_for_all_but_those_under_way() -> None:
    said: list[str] = []
    flow = FlowControl(256, on_change=said.append)
    permits = send(flow, 0.0, 3)
    flow.succeeded(0.0, permits[0])
    flow.allowance(0.0, 3, 10.0)
    assert 0.0 == flow.wait(0.0)
    last = flow.sent(0.0)
    assert 10.0 == flow.wait(0.0)
    flow.released(0.1, last)
    assert pytest.approx(9.9) == flow.wait(0.1)
    assert 0.0 == flow.wait(10.0)
    flow.allowance(10.0, 0, 5.0)
    assert ["nothing is sent for 5.0 s: its rate limit headers say that nothing remains"] == said
