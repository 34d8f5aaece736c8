"""What holds whatever happens to a client, in milliseconds or over days."""

import math
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from galileo_sessions import Limits, Retry
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE

DAY = 86_400.0
LONGEST = 60.0  # seconds, `max_retry_after`: with nothing under way, no wait is longer
ATTEMPT = 30.0  # seconds: what takes longer is a timeout, not an answer
QUIET = 120.0  # seconds after which a client is like a new one

FEW = [0.0, 1e-6, 0.001, 1.0, 60.0, 3_600.0, DAY]
GAPS = st.one_of(st.sampled_from(FEW), st.floats(0, 0.05), st.floats(0, 5), st.floats(0, DAY))
RETRY_AFTERS = st.one_of(st.none(), st.sampled_from([0.0, 0.3, 1.0, 30.0, LONGEST]), st.floats(0, LONGEST))
MEANINGS = st.sampled_from(["refused", "throttled", "failed"])
FAILURES = st.builds(Outcome, MEANINGS, st.none(), RETRY_AFTERS)
PICKS = st.integers(0, 1_000)
STANDINGS = st.sampled_from([IN_TROUBLE, FRESH, ANSWERED])


class FlowMachine(RuleBasedStateMachine):
    """A client that sends when it may, or not, and a service that does as it likes."""

    @initialize(
        maximum=st.integers(1, 300), initial=st.integers(1, 30), begin=st.floats(0, 1e6), queries=st.integers(1, 1_000)
    )
    def begin(self, maximum: int, initial: int, begin: float, queries: int) -> None:
        """A client begins, which counts so many queries in turn."""
        self.queries = queries
        self.now, self.maximum, self.initial = begin, maximum, min(initial, maximum)
        self.flow = FlowControl(Limits(maximum, initial=self.initial), Retry())
        self.out: list[Permit] = []
        self.sent_at: dict[int, float] = {}  # by the numbers of the permits

    def take(self, standing: int = FRESH) -> None:
        """A request is sent."""
        self.out.append(self.flow.sent(self.now, standing))
        self.sent_at[self.out[-1].number] = self.now

    @rule(gap=GAPS)
    def time_passes(self, gap: float) -> None:
        self.now += gap

    @rule(count=st.integers(1, 60), standing=STANDINGS)
    def send(self, count: int, standing: int) -> None:
        """Requests wait, and as many are sent as may be."""
        for _ in range(count):
            wait = self.flow.wait(self.now, standing)
            assert wait >= 0
            if wait > 0:
                return
            self.take(standing)
            assert self.flow.in_flight <= self.maximum

    @rule(count=st.integers(1, 5), standing=STANDINGS)
    def wait_and_send(self, count: int, standing: int) -> None:
        """Requests are sent as soon as they may be, however long that is."""
        for _ in range(count):
            wait = self.flow.wait(self.now, standing)
            if wait == math.inf:
                return
            self.now += wait + 1e-6  # as late as a timer is
            is_due = self.flow.wait(self.now, standing) == 0
            assert self.out or is_due
            if is_due:
                self.take(standing)

    def end(self, pick: int, count: int, outcome: Callable[[float], Outcome]) -> None:
        """Some of the requests that are under way end, in any order, with the outcome for their latency."""
        for _ in range(min(count, len(self.out))):
            permit = self.out.pop(pick % len(self.out))
            latency = self.now - self.sent_at[permit.number]
            self.flow.ended(self.now, permit, outcome(latency), permit.number % self.queries)

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 80), is_measured=st.booleans())
    def answer(self, pick: int, count: int, is_measured: bool) -> None:
        known = lambda latency: latency if is_measured and latency <= ATTEMPT else None  # noqa: E731
        self.end(pick, count, lambda latency: Outcome("success", known(latency)))

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 30), outcome=FAILURES)
    def fail(self, pick: int, count: int, outcome: Outcome) -> None:
        before = self.flow.rate
        self.end(pick, count, lambda _: outcome)
        assert self.flow.rate <= before or self.flow.rate == math.inf  # which is tried

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 10))
    def ignore(self, pick: int, count: int) -> None:
        """Cancelled requests say nothing."""
        before = self.flow.breaker.is_open, self.flow.width, self.flow.rate
        self.end(pick, count, lambda _: IGNORED)
        assert before == (self.flow.breaker.is_open, self.flow.width, self.flow.rate)

    @precondition(lambda self: not self.out)
    @rule(gap=st.sampled_from([QUIET, 3_600.0, DAY]))
    def after_a_quiet_time(self, gap: float) -> None:
        """What was learned is forgotten, but for how much at once has proved to be too much."""
        width = self.flow.width  # at most twice as much as was answered: the last step up may be unproven
        self.now += gap
        assert self.flow.wait(self.now) == 0
        self.take()
        assert self.flow.rate == math.inf
        assert 2 * self.flow.width >= min(self.initial, width)
        if self.flow.breaker.is_open:  # at most once, for a single probe
            self.now += 0.05
            self.end(0, 1, lambda latency: Outcome("success", latency))
            assert not self.flow.breaker.is_open
            assert self.flow.wait(self.now) == 0

    @invariant()
    def limits_are_kept(self) -> None:
        assert 1 <= self.flow.width <= self.maximum
        assert self.flow.rate > 0
        assert self.flow.in_flight == len(self.out)

    @invariant()
    def nobody_is_stuck(self) -> None:
        """With nothing under way, a time is known when the next request may be sent."""
        assert 0 <= self.flow.wait(self.now) <= (math.inf if self.out else LONGEST)


FlowMachine.TestCase.settings = settings(stateful_step_count=40)
test_invariants = FlowMachine.TestCase


@given(limit=st.integers(1, 128), latency=st.floats(0.001, 2.0), initial=st.integers(1, 30), gap=GAPS)
def test_successes_at_the_same_latency_widen(limit, latency, initial, gap):
    """While requests wait and all succeed as fast as ever, the width exceeds any limit below the maximum, soon."""
    flow = FlowControl(Limits(initial=initial), Retry())
    now, successes = gap, 0
    while flow.width <= limit:
        out = []
        while flow.wait(now) == 0:
            out.append(flow.sent(now))
        assert out
        now += latency
        for permit in out:
            flow.ended(now, permit, Outcome("success", latency), permit.number)
        successes += len(out)
        assert successes <= 200 + 20 * limit


@given(outcomes=st.lists(st.builds(Outcome, MEANINGS, st.none(), RETRY_AFTERS), min_size=1, max_size=200), gap=GAPS)
def test_a_service_that_refuses_everything_is_probed_for_ever(outcomes, gap):
    """The next probe comes within 3 s, or when the service asks for it; none is earlier if it has asked each query."""
    flow, now, has_asked = FlowControl(Limits(), Retry()), 0.0, True
    for outcome in outcomes:
        now += max(flow.wait(now), gap)
        assert flow.wait(now) < 1e-6
        was_open = flow.breaker.is_open
        flow.ended(now, permit := flow.sent(now), outcome, permit.number)
        asked = outcome.retry_after or 0.0
        assert flow.wait(now) <= max(3.0, asked) + 1e-6
        has_asked &= asked not in (0, 1)
        assert not (was_open and has_asked) or flow.wait(now) >= asked - 1e-6
