"""What holds whatever happens to a client."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from galileo_sessions.client.flow.control import FlowControl, Permit

seconds = st.one_of(st.floats(0.0, 0.05), st.floats(0.0, 5.0))
retry_afters = st.sampled_from([None, 0.0, 0.3, 1.0, 60.0])


class FlowMachine(RuleBasedStateMachine):
    """A client that sends as soon as it may, and a service that does as it likes."""

    @initialize(maximum=st.integers(1, 300), initial=st.integers(1, 30), patience=st.floats(1.0, 90.0))
    def begin(self, maximum: int, initial: int, patience: float) -> None:
        """A client begins."""
        self.now, self.maximum, self.messages = 100.0, maximum, list[str]()
        self.flow = FlowControl(
            maximum, now=self.now, initial=initial, patience=patience, on_change=self.messages.append
        )
        self.out: list[tuple[Permit, int]] = []
        self.cuts = 0
        self.remaining, self.reset_at = math.inf, 0.0

    @rule(after=seconds)
    def time_passes(self, after: float) -> None:
        self.now += after

    @rule(count=st.integers(1, 60))
    def send(self, count: int) -> None:
        for _ in range(count):
            wait = self.flow.wait(self.now)
            assert wait >= 0
            if wait > 0:
                return
            probing = self.flow.breaker.is_open
            self.out.append((self.flow.sent(self.now), self.cuts))
            assert self.flow.in_flight <= self.flow.width or probing
            if self.now < self.reset_at:
                self.remaining -= 1
                assert self.remaining >= 0

    @precondition(lambda self: self.out)
    @rule(data=st.data(), count=st.integers(1, 80))
    def succeed(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.out))):
            self.flow.succeeded(self.now, self.take(data)[0])

    @precondition(lambda self: self.out)
    @rule(data=st.data(), count=st.integers(1, 30), retry_after=retry_afters)
    def refuse(self, data: st.DataObject, count: int, retry_after: float | None) -> None:
        for _ in range(min(count, len(self.out))):
            permit, cuts = self.take(data)
            before = self.flow.rate
            self.flow.refused(self.now, permit, retry_after, told=retry_after is not None)
            if self.flow.rate < before:
                assert self.cuts == cuts, "sent before a cut, it cut again"
                self.cuts += 1

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.flow.released(self.now, self.take(data)[0])

    @precondition(lambda self: self.out)
    @rule(data=st.data(), remaining=st.integers(0, 50), until_reset=st.floats(0.0, 10.0))
    def allow(self, data: st.DataObject, remaining: int, until_reset: float) -> None:
        """An answer says what remains: those under way may need it all."""
        permit, _ = self.take(data)
        before = self.flow.width, self.flow.rate
        self.flow.released(self.now, permit)
        self.flow.allowance(self.now, remaining, until_reset)
        assert before == (self.flow.width, self.flow.rate)
        self.remaining, self.reset_at = max(0, remaining - len(self.out)), self.now + until_reset

    @invariant()
    def limits_are_kept(self) -> None:
        assert 1 <= self.flow.width <= self.maximum
        assert self.flow.rate > 0
        assert len(self.out) == self.flow.in_flight

    @invariant()
    def nobody_is_stuck(self) -> None:
        """With nothing under way, a time is known; a pause over, one is sent at once, or as the rate has it."""
        if not self.out:
            wait = self.flow.wait(self.now)
            assert wait < math.inf
            assert self.flow.wait(self.now + wait) <= 1 / self.flow.rate or self.now + wait < self.reset_at

    def take(self, data: st.DataObject) -> tuple[Permit, int]:
        return self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))


FlowMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, derandomize=True)
test_invariants = FlowMachine.TestCase
