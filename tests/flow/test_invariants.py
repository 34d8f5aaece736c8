"""What holds whatever happens to the flow control, in milliseconds or over days, and to a client at random services."""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.clients import ids
from support.clock import run
from support.models import Service
from support.network import DAY, Sky, refusal, unreachable
from support.private import idle, timers
from support.sockets import number_of

import galileo_sessions as gs
from galileo_sessions import Col, GalileoError, GalileoSessions, Limits, Retry
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.rate import LOWEST
from galileo_sessions.http.responses import Response

LONGEST = 60.0  # seconds, `max_retry_after`: with nothing under way, no wait is longer
ATTEMPT = 30.0  # seconds: what takes longer is a timeout, not an answer

FEW = [0.0, 1e-6, 0.001, 1.0, 60.0, 3_600.0, DAY]
GAPS = st.one_of(st.sampled_from(FEW), st.floats(0, 0.05), st.floats(0, 5), st.floats(0, DAY))
RETRY_AFTERS = st.one_of(st.just(0.0), st.sampled_from([0.0, 0.3, 1.0, 30.0, LONGEST]), st.floats(0, LONGEST))
MEANINGS = st.sampled_from(["refused", "failed"])
FAILURES = st.builds(Outcome, MEANINGS, st.none(), RETRY_AFTERS)
PICKS = st.integers(0, 1_000)
BUDGET = Budget()  # without limits


class FlowMachine(RuleBasedStateMachine):
    """A client that sends when it may, or not, and a service that does as it likes."""

    @initialize(
        maximum=st.integers(1, 300),
        initial=st.integers(1, 30),
        policy=st.builds(Retry, st.integers(1, 20), st.floats(0, 10), patience=st.floats(0, 100)),
        begin=st.floats(0, 1e6),
        queries=st.integers(1, 1_000),
    )
    def begin(self, maximum: int, initial: int, policy: Retry, begin: float, queries: int) -> None:
        """A client begins, which counts so many queries in turn."""
        self.queries = queries
        self.now, self.maximum, self.initial = begin, maximum, min(initial, maximum)
        self.flow = FlowControl(Limits(maximum, initial=self.initial), policy)
        self.out: list[Permit] = []
        self.sent_at: dict[int, float] = {}  # by the numbers of the permits

    def take(self, is_fresh: bool = True) -> None:
        self.out.append(self.flow.sent(self.now, BUDGET, is_fresh))
        self.sent_at[self.out[-1].number] = self.now

    @rule(gap=GAPS)
    def time_passes(self, gap: float) -> None:
        self.now += gap

    @rule(count=st.integers(1, 60), is_fresh=st.booleans())
    def send(self, count: int, is_fresh: bool) -> None:
        """Requests wait, and as many are sent as may be."""
        for _ in range(count):
            wait = self.flow.wait(self.now, BUDGET, is_fresh)
            assert wait >= 0
            if wait > 0:
                return
            self.take(is_fresh)
            assert self.flow.in_flight <= self.maximum

    def end(self, pick: int, count: int, outcome: Callable[[float], Outcome]) -> None:
        """Some of the requests that are under way end, in any order, with the outcome for their latency."""
        for _ in range(min(count, len(self.out))):
            permit = self.out.pop(pick % len(self.out))
            latency = self.now - self.sent_at[permit.number]
            trouble = self.flow.ended(self.now, permit, outcome(latency), permit.number % self.queries)
            if trouble is not None:
                asked = trouble.outcome.retry_after
                longest = asked + 0.15 if asked else max(0.15, self.flow.troubles.policy.max_backoff)
                assert self.now + asked <= trouble.not_before <= self.now + longest + 1e-6

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 80), is_measured=st.booleans())
    def answer(self, pick: int, count: int, is_measured: bool) -> None:
        known = lambda latency: latency if is_measured and latency <= ATTEMPT else None  # noqa: E731
        self.end(pick, count, lambda latency: Outcome("success", known(latency)))

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 30), outcome=FAILURES)
    def fail(self, pick: int, count: int, outcome: Outcome) -> None:
        self.end(pick, count, lambda _: outcome)

    @precondition(lambda self: self.out)
    @rule(pick=PICKS, count=st.integers(1, 10))
    def ignore(self, pick: int, count: int) -> None:
        """Cancelled requests say nothing."""
        before = self.flow.breaker.is_open, self.flow.width, self.flow.rate
        self.end(pick, count, lambda _: IGNORED)
        assert before == (self.flow.breaker.is_open, self.flow.width, self.flow.rate)

    @invariant()
    def limits_are_kept(self) -> None:
        assert 1 <= self.flow.width <= self.maximum
        assert self.flow.rate >= LOWEST
        assert self.flow.in_flight == len(self.out)

    @invariant()
    def nobody_is_stuck(self) -> None:
        """With nothing under way, a time is known when the next request may be sent."""
        assert 0 <= self.flow.wait(self.now, BUDGET) <= (math.inf if self.out else LONGEST)


FlowMachine.TestCase.settings = settings(stateful_step_count=40)
test_invariants = FlowMachine.TestCase


PROJECTS = ids(60)
WEEK = Col.date("created_at").days(last="7d", tz="UTC")
REFUSALS: dict[str, Callable[[], Response | Exception]] = {
    "503": refusal,
    "502": lambda: refusal(502),
    "429": lambda: refusal(429),
    "no connection": unreachable,
}
TROUBLES = REFUSALS | {
    "Retry-After": lambda: refusal(429, 2),
    "500": lambda: refusal(500),
    "504": lambda: refusal(504),
    "a page": lambda: Response(200, {}, b"<html>we will be back soon</html>"),
    "disconnects": lambda: gs.DisconnectedError("lost"),
    "isn't HTTP": lambda: gs.ProtocolError("not HTTP"),
}
HANGS, SLOW = "hangs", "slow"


class Chaos(Sky):
    """A service that counts n + 1 sessions in project n, with random troubles: for a while, now and then, for some."""

    def __init__(self, seed: int) -> None:
        super().__init__(Service())
        chance = self.chance = random.Random(seed)
        self.only_refuses = chance.random() < 0.3
        """Whether nothing hangs, fails or is slow, so that a single count without `timeout=` ends in time, too."""
        self.kinds = [*REFUSALS] if self.only_refuses else [*TROUBLES, HANGS, SLOW]
        self.latency = 0.005 * 200 ** chance.random()
        self.spans = [(begin, begin + chance.expovariate(0.2), self.kind()) for begin in self.times(4)]
        self.noise, self.noisy = chance.choice([0, 0, 0.05, 0.3]), self.kind()
        self.peculiar = {number: self.kind() for number in range(60) if chance.random() < chance.choice([0, 0.1])}

    def kind(self) -> str:
        return self.chance.choice(self.kinds)

    def times(self, most: int) -> list[float]:
        return [self.chance.uniform(0, 40) for _ in range(self.chance.randint(0, most))]

    async def post(self, path: str) -> Response:
        self.requests += 1
        now, number = self.now, number_of(path.encode())
        troubles = [kind for begin, end, kind in self.spans if begin <= now < end]
        if self.chance.random() < self.noise:
            troubles.append(self.noisy)
        kind = self.peculiar.get(number) or next(iter(troubles), "")
        await asyncio.sleep({HANGS: 1e6, SLOW: 10.0}.get(kind, self.chance.uniform(0.5, 1.5) * self.latency))
        answer = TROUBLES.get(kind, lambda: Response(200, {}, b'{"total_count":%d}' % (number + 1)))()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def arguments(self) -> dict[str, object]:
        chance, maximum = self.chance, self.chance.choice([1, 10, 256])
        backoff, patience = chance.choice([0, 0.25, 2]), chance.choice([5, 90])
        return {
            "limits": Limits(maximum, initial=min(maximum, chance.randint(1, 20))),
            "retry": Retry(chance.randint(1, 6), backoff, patience=patience),
            "timeouts": gs.Timeouts(attempt=chance.choice([1, 5, 30])),
        }


class Caller:
    """Makes random calls, and asserts what holds for each."""

    def __init__(self, sky: Chaos, galileo: GalileoSessions) -> None:
        self.sky, self.chance, self.galileo = sky, random.Random(sky.chance.random()), galileo

    async def call(self) -> None:
        """A random call at a random time, which ends within its timeout, or is cancelled."""
        chance, sky = self.chance, self.sky
        await asyncio.sleep(chance.uniform(0, 40))
        make = chance.choice([self.count, self.count, self.count_all, self.count_many, self.count_by])
        timeout, began = chance.choice([None, 0.5, 5, 60]), sky.now
        task = asyncio.ensure_future(make(timeout))
        if chance.random() < 0.2:
            await asyncio.wait([task], timeout=chance.expovariate(1))
            task.cancel()
        with contextlib.suppress(GalileoError, asyncio.CancelledError):
            await task
        if timeout is not None:
            assert sky.now - began <= timeout + 0.01
        elif make == self.count and sky.only_refuses:
            assert sky.now - began <= 10 + 2 * sky.latency

    async def count(self, timeout: float | None) -> None:
        number = self.chance.randrange(60)
        assert number + 1 == await self.galileo.count(PROJECTS[number], timeout=timeout)

    async def count_all(self, timeout: float | None) -> None:
        """A fan-out: each target has one result, the right number or an error."""
        numbers = [self.chance.randrange(60) for _ in range(self.chance.randint(0, 60))]
        projects, concurrency = [PROJECTS[number] for number in numbers], self.chance.choice([None, 1, 16])
        report = await self.galileo.count_all(projects, timeout=timeout, concurrency=concurrency)
        assert [*range(len(numbers))] == [result.index for result in report.results]
        for number, result in zip(numbers, report.results, strict=True):
            assert result.total_count == number + 1 if result.ok else isinstance(result.error, GalileoError)

    async def count_many(self, timeout: float | None) -> None:
        """A stream that is left early."""
        seen: list[int] = []
        async with self.galileo.count_many(PROJECTS, timeout=timeout, ordered=self.chance.random() < 0.5) as stream:
            async for result in stream:
                assert not result.ok or result.total_count == result.index + 1
                seen.append(result.index)
                if self.chance.random() < 0.05:
                    break
        assert len(seen) == len(set(seen))

    async def count_by(self, timeout: float | None) -> None:
        number = self.chance.randrange(60)
        counts = await self.galileo.count_by(PROJECTS[number], WEEK, timeout=timeout)
        assert {number + 1} == {*counts.values()}


async def scenario(sky: Chaos, galileo: GalileoSessions) -> None:
    """Some calls of one client, which then closes; after them it has no permit, task or connection in use."""
    async with galileo:
        caller = Caller(sky, galileo)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(sky.chance.randint(1, 12)):
                tasks.create_task(caller.call())
        assert idle(galileo)


@pytest.mark.parametrize(
    "seeds", [range(25), pytest.param(range(25, 1_025), marks=pytest.mark.thorough)], ids=["25", "1,000"]
)
def test_whatever_happens_each_call_ends_as_it_should_and_leaves_nothing(seeds):
    """Each target has one result and the right number, nobody waits beyond their patience, and nothing is left."""

    async def main(sky: Chaos, seed: int) -> int:
        await scenario(sky, sky.client(seed, **sky.arguments()))
        return timers()

    assert [0] * len(seeds) == [run(main(Chaos(seed), seed)) for seed in seeds]
