"""
The queue of a client: which count gets the next permit to send, and when to give up.

Theory of operation
===================

The flow control says whether one more request can be sent now. If it can and no count waits, a count takes its permit
with a plain call. So does a single count while no other single count waits. And so does the next count of a fan-out,
right after an answer to its last one, while only fresh queries of that fan-out wait and nothing fails; but one permit
in as many as the width allows goes to those that wait. Otherwise a count waits in a line::

    single     single counts, each awaited on its own
    fan-out    the counts of one fan-out, its workers and those that are parked

Each of these has four lines: for queries that failed last by their own fault, for others in trouble, for unknown ones,
and for those that were answered lately. Lines take turns, so a single count doesn't wait behind 40,000 targets, nor a
small fan-out behind a big one, nor a healthy query that was refused behind bad ones. Each line is first come, first
served, except as *Outages* says.

*Places.* A fan-out has at most `concurrency` requests under way. Fresh queries and those in trouble get permits
alternately. While fresh ones wait, each fan-out's requests for those in trouble are bounded by half of the width, and
by a sixteenth of `concurrency` if those that wait are its own; but by two at least, if its `concurrency` is more.
Otherwise, queries that hang would take all places. Those that failed by their own fault leave one for the others. Each
count that can't be parked raises this bound by one. For all single counts, it is half of the width. These places aren't
those of the width, which overtaken requests lose.

*Single file.* Of all counts of a query in trouble, one leads: it sleeps until its back-off or Retry-After ends, joins
its line, and is sent. The others follow: they wait, meet each of its failures, and one of them leads once the leader
has ended.

*Outages.* While the circuit breaker is open, only single probes are sent, in turn by each line whose pause is over. The
first counts of a line can be bad, so each probe is drawn by lot. So are the permits of fresh queries until 64 requests
are answered after an outage, or after an overtaken request. When the breaker stays open for longer than a count's
patience, the count fails with what it met last; or if it was never sent, with what others met.

One timer wakes the queue when the flow control allows the next request. Each answer wakes it, too.

Invariants: each permit comes back exactly once, even if its count is cancelled, or its coroutine closed, just as it
gets the permit. While a count waits for a known time, a timer is set. Nothing waits in a closed queue.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Hashable
from copy import copy
from math import inf
from typing import TypeAlias

from galileo_sessions import errors
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, OWN, Trouble
from galileo_sessions.flow.settings import Limits, Retry

_Patience: TypeAlias = tuple[float, float]
"""Seconds that a count waits for a service that refuses everything, and the earliest time at which they begin."""
_Waiter: TypeAlias = "asyncio.Future[Permit | None]"
"""A count that waits. Without a permit, its wait ends because it is given up, or because the queue is closed."""
_Line: TypeAlias = OrderedDict[_Waiter, _Patience]
"""The counts that wait, each with its patience."""
_Key: TypeAlias = "tuple[Budget, int]"
"""A line: the budget of a fan-out, or of all single counts; and the standing of its queries."""
PLACES = 16
"""Of so many requests at once, a fan-out leaves one for others by default, and uses one for queries in trouble while
fresh ones wait."""


class Queue:
    """
    Gives permits to send.

    Args:
        limits: What the user allows.
        policy: How often and how patiently to try again.
        on_change: Called with the reason for each change of the limits.
    """

    def __init__(self, limits: Limits, policy: Retry, on_change: Callable[[str], None] | None = None) -> None:
        self.flow: FlowControl = FlowControl(limits, policy, on_change)
        """The flow control."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._single = Budget(is_single=True)  # of all single counts
        self._lines: OrderedDict[_Key, _Line] = OrderedDict()  # none is empty
        self._asleep: _Line = OrderedDict()
        self._changes: dict[Trouble, asyncio.Event] = {}  # of queries: a failure, or the end of a lead
        self._is_turn_of_trouble = False  # whether the last permit wasn't for a query in trouble
        self._goes_on: Budget | None = None  # the fan-out that may send its next count before those that wait
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf  # when the timer is due, which uvloop's handles don't show
        self.last_refusal: errors.GalileoError | None = None
        """What was refused last; None since requests are answered again."""
        self.is_closed: bool = False
        """Whether all waits end."""

    # ---- permits -----------------------------------------------------------------------------------------------------

    def try_acquire(self, budget: Budget, standing: int) -> Permit | None:
        """A permit, if a query of this standing isn't in trouble and needn't wait; see `acquire`."""
        now = self._begin()
        if standing <= IN_TROUBLE or not budget.has_place() or (self._lines and not self._is_next(budget)):
            return None
        if self.flow.wait(now, standing) > 0:
            return None
        return self.flow.sent(now, self._counted_in(budget), standing)

    def _is_next(self, budget: Budget) -> bool:
        """Whether a query needn't wait behind others, as the next of its fan-out or the only single count."""
        return budget is self._goes_on or (budget.is_single and all(not line.is_single for line, _ in self._lines))

    def _counted_in(self, budget: Budget) -> Budget:
        """The budget that counts the requests of a call: its own, or that of all single counts."""
        return self._single if budget.is_single else budget

    async def acquire(self, budget: Budget, standing: int, since: float, *, has_failed: bool) -> Permit | None:
        """
        Waits for a permit; None if the count is given up, or the queue is closed. The caller has the deadline.

        Args:
            budget: The line of the count, and its patience while the circuit breaker is open.
            standing: How its query fares; a count that leads its query in trouble has slept until its `not_before`.
            since: When the patience of a single count begins, unless an outage began later.
            has_failed: Whether an attempt of this count has failed. If not, a single count is given up only when a
                probe fails. Others are given up at once if no probe is under way, and the next one comes too late.
        """
        now = self._begin()
        patience = budget.patience, since
        waits_for_probe = budget.is_single and not has_failed
        if self.is_closed or (not waits_for_probe and self.flow.breaker.is_hopeless(now, standing, *patience)):
            return None
        key = self._counted_in(budget), standing
        line = self._lines.setdefault(key, OrderedDict())
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        line[waiter] = patience
        if len(line) == 1:  # otherwise those before it are waiting already
            self._pump()
        try:
            return await waiter
        except BaseException:  # a cancellation, or the GeneratorExit of a coroutine that is closed
            self._withdraw(key, waiter)
            raise

    def _withdraw(self, key: _Key, waiter: _Waiter) -> None:
        """Takes a count out of its line, or gives back the permit that came together with its cancellation."""
        if waiter.done() and not waiter.cancelled() and (permit := waiter.result()) is not None:
            self.released(permit)
            return
        if (line := self._lines.get(key)) is not None:
            _ = line.pop(waiter, None)
            self._drop_empty(key)
        self._pump()

    # ---- queries in trouble ------------------------------------------------------------------------------------------

    async def lead(self, query: Hashable, meet: Callable[[Trouble], None]) -> Trouble | None:
        """
        Waits until a query is fresh, or no other count leads it; returns the trouble, which the count leads.

        Args:
            query: The query.
            meet: Called after each failure of another count of the query. What it raises ends the wait.
        """
        while (trouble := self.flow.queries.trouble(query, self._begin())) is not None and trouble.is_led:
            attempts = trouble.attempts
            _ = await self._changes.setdefault(trouble, asyncio.Event()).wait()
            if trouble.attempts > attempts:
                meet(trouble)
        if trouble is not None:
            trouble.is_led = True
        return trouble

    def follow(self, trouble: Trouble) -> None:
        """A count doesn't lead its query any more, so another one can."""
        trouble.is_led = False
        self._wake_followers(trouble)

    def _wake_followers(self, trouble: Trouble) -> None:
        if (change := self._changes.pop(trouble, None)) is not None:
            change.set()

    async def sleep(self, until: float, patience: _Patience) -> bool:
        """Waits until a time; returns False if the count is given up meanwhile, or the queue closed."""
        seconds = until - self._begin()
        if seconds <= 0 or self.is_closed:
            return not self.is_closed
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._asleep[waiter] = patience
        try:
            _ = await asyncio.wait([waiter], timeout=seconds)
        finally:
            _ = self._asleep.pop(waiter, None)
        return not waiter.done()

    # ---- what comes back ---------------------------------------------------------------------------------------------

    def ended(
        self,
        permit: Permit,
        now: float,
        outcome: Outcome,
        query: Hashable,
        error: errors.GalileoError | None = None,
    ) -> Trouble | None:
        """
        Takes back the permit of an attempt; returns the trouble that its query is in now.

        Args:
            permit: The attempt's permit.
            now: When the attempt ended.
            outcome: What the attempt says about the service.
            query: The query.
            error: The attempt's error, if it failed.
        """
        trouble = self.flow.ended(now, permit, outcome, query)
        if trouble is not None:
            self._wake_followers(trouble)
        if outcome.meaning != "ignored":
            if trouble is None:
                self.last_refusal = None
            elif not trouble.is_own or self.flow.breaker.is_open:
                self.last_refusal = error
            if self.flow.breaker.is_open:
                self._end_waits(now)
        if outcome.meaning == "success" and permit.number % self.flow.width and self._is_alone(permit.budget, now):
            if self._goes_on is None:
                _ = asyncio.get_running_loop().call_soon(self._go_on)
            self._goes_on = permit.budget
        else:
            self._pump()
        return trouble

    def _is_alone(self, budget: Budget, now: float) -> bool:
        """Whether only fresh queries of one fan-out wait, and nothing fails: otherwise the order matters."""
        flow, lines = self.flow, self._lines
        if not lines or budget.is_single or flow.rate < inf or flow.is_wary or flow.queries.some_are_in_trouble(now):
            return False
        return lines.keys() <= {(budget, FRESH), (budget, ANSWERED)}

    def unused(self, permit: Permit) -> None:
        """Takes back a permit with which nothing was sent, so that another count can have it at once."""
        self.flow.unsent()
        self.released(permit)

    def released(self, permit: Permit) -> None:
        """Takes back a permit without learning from it, as after a cancellation."""
        _ = self.ended(permit, self._time(), IGNORED, None)

    def close(self) -> None:
        """Ends all waits, now and later, except those in another event loop."""
        self.is_closed = True
        if self._loop is asyncio.get_running_loop():
            self._end_waits(self._time())

    # ---- the lines ---------------------------------------------------------------------------------------------------

    def _begin(self) -> float:
        """The time by the running event loop's clock; that loop becomes the queue's."""
        self._loop = loop = asyncio.get_running_loop()
        return loop.time()

    def _time(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()  # a coroutine can be closed outside of the loop

    def _pump(self) -> None:
        """Gives permits to the counts whose turn it is, and sets the timer for the next one."""
        loop = self._loop
        if loop is None or loop.is_closed():  # no waiter can be woken any more
            return
        now, when = loop.time(), inf
        while self._lines and (key := self._turn(now)) is not None:
            wait = self.flow.wait(now, key[1])
            if wait > 0:
                when = now + wait
                break
            waiter = self._next(key)
            if not waiter.done():
                waiter.set_result(self.flow.sent(now, *key))
        if self._timer is not None:
            if now < self._wakes_at <= when < inf:
                return  # the timer is due first, and runs this again
            self._timer.cancel()
        self._wakes_at = when
        self._timer = None if when == inf else loop.call_at(when, self._wake)

    def _turn(self, now: float) -> "_Key | None":
        """The line whose turn it is, if one has a place; while the breaker is open, the first that can send a probe."""
        flow, lines = self.flow, [key for key in self._lines if self._has_place(*key)]
        if flow.breaker.is_open:
            return min(lines, key=lambda key: flow.breaker.wait(now, key[1]), default=None)
        return min(lines, key=lambda key: (key[1] <= IN_TROUBLE) is not self._is_turn_of_trouble, default=None)

    def _has_place(self, budget: Budget, standing: int) -> bool:
        """Whether one more request of a line may be under way."""
        most: float = inf
        if standing <= IN_TROUBLE and any(other > IN_TROUBLE for _, other in self._lines):
            most = self.flow.width // 2
            if (budget, FRESH) in self._lines or (budget, ANSWERED) in self._lines:
                most = min(most, budget.concurrency / PLACES)
            most = max(1, most, min(2, budget.concurrency - 1))
        return budget.has_place(most, is_own=standing == OWN)

    def _next(self, key: _Key) -> _Waiter:
        """The count whose turn it is, and the next turn of its line is behind the others."""
        line = self._lines[key]
        self._is_turn_of_trouble = key[1] > IN_TROUBLE
        is_lot = self.flow.breaker.is_open or (self.flow.is_wary and key[1] > IN_TROUBLE)
        waiter = random.choice([*line]) if is_lot else next(iter(line))  # noqa: S311  # no secret
        del line[waiter]
        self._lines.move_to_end(key)
        self._drop_empty(key)
        return waiter

    def _drop_empty(self, key: _Key) -> None:
        if not self._lines.get(key, True):
            del self._lines[key]

    def _wake(self) -> None:
        self._timer = None
        self._pump()

    def _go_on(self) -> None:
        self._goes_on = None
        self._pump()

    # ---- giving up ---------------------------------------------------------------------------------------------------

    def _end_waits(self, now: float) -> None:
        """Ends the waits that are hopeless; all of them once the queue is closed."""
        for key, line in [*self._lines.items(), ((self._single, IN_TROUBLE), self._asleep)]:
            for waiter, patience in [*line.items()]:
                if self.is_closed or self.flow.breaker.is_hopeless(now, key[1], *patience):
                    del line[waiter]
                    if not waiter.done():
                        waiter.set_result(None)
            self._drop_empty(key)

    def give_up_error(self, last: errors.GalileoError | None = None, *, is_single: bool = False) -> errors.GalileoError:
        """The error of a count that is given up: what it met last, or else what others met, and what it waited for."""
        met = last or self.last_refusal or errors.TransportError("the service refuses everything")
        error = copy(met)
        error.args = (f"{met.message}; while waiting for {self.flow.reason(self._time())}",)
        patience = "" if is_single else " or Retry(patience=...)"  # which can't exceed the 10 s of a single count
        error.hint = met.hint or f"Try again later, or raise timeout={patience}"
        return error
