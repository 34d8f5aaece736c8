"""
The queue of a client: which count gets the next permit to send, and when to give up.

The flow control says whether one more request can be sent now. Counts that have to wait stand in
lines: each fan-out has three, and so have all single counts together: for fresh queries, for those
that were refused, and for those that failed. Fan-outs take turns, and one of the lines is drawn by
lot, but what failed waits behind what was refused. A line is first come, first served, unless the
counts that wait first can be the bad ones: then a probe, or a permit for a fresh query, is drawn by
lot from it.

One timer wakes the queue when the flow control allows the next request. Each answer wakes it, too.

Invariants: each permit comes back exactly once, even if its count is cancelled, or its coroutine
closed, just as it gets the permit. While a count waits for a known time, a timer is set. Nothing
waits in a closed queue.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from math import inf
from operator import itemgetter
from typing import TypeAlias

from galileo_sessions.errors import GalileoError
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.deadlines import Deadlines
from galileo_sessions.flow.outcome import UNSENT, Outcome
from galileo_sessions.flow.settings import Limits, Retry
from galileo_sessions.flow.troubles import Trouble

_Waiter: TypeAlias = "asyncio.Future[Permit | None]"
"""
A count that waits. Without a permit, its wait ends because it is given up, or because the queue is
closed.
"""
_Line: TypeAlias = OrderedDict[_Waiter, Budget]
"""The counts that wait, each with its budget."""
_Key: TypeAlias = "tuple[Budget, int]"
"""
A line: the budget of a fan-out, or of all single counts; and the standing of its queries; see
`Troubles`.
"""


class Queue:
    """
    Gives permits to send.

    Args:
        limits: What the user allows.
        policy: How often and how patiently to try again.
        deadlines: The deadlines of the client's tasks.
    """

    def __init__(
        self,
        limits: Limits,
        policy: Retry,
        deadlines: Deadlines | None = None,
    ) -> None:
        self.flow: FlowControl = FlowControl(limits, policy)
        """The flow control."""
        self.deadlines: Deadlines = deadlines or Deadlines()
        """The deadlines of the client's tasks."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop in which it was used last."""
        self._single = Budget(is_single=True)  # of all single counts
        self._lines: OrderedDict[_Key, _Line] = OrderedDict()  # none is empty
        self._closing = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.last_refusal: GalileoError | None = None
        """What was refused last; None since requests are answered again."""
        self.is_closed: bool = False
        """Whether all waits end."""

    # ---- permits ---------------------------------------------------------------------------------

    def try_acquire(self, budget: Budget, standing: int) -> Permit | None:
        """A permit, if nobody waits and a request can be sent now."""
        now = self._begin()
        if budget.is_single:
            budget = self._single
        if self._lines or self.flow.wait(now, budget, not standing) > 0:
            return None
        return self.flow.sent(now, budget, not standing)

    async def acquire(self, budget: Budget, standing: int) -> Permit | None:
        """
        Waits for a permit; None if the count is given up, or the queue is closed. The caller has
        the deadline.

        Args:
            budget: The line of the count, and its patience while the circuit breaker is open.
            standing: That of its query; a count that leads its query in trouble has slept until
                `not_before`.
        """
        if self.is_closed or self.flow.breaker.is_hopeless(self._begin(), not standing, budget):
            return None
        if (permit := self.try_acquire(budget, standing)) is not None:
            return permit
        key = (self._single if budget.is_single else budget, standing)
        line = self._lines.setdefault(key, OrderedDict())
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        line[waiter] = budget
        if len(line) == 1:  # otherwise those before it are waiting already
            self._pump()
        try:
            return await waiter
        except BaseException:  # a cancellation, or the GeneratorExit of a coroutine that is closed
            self._leave(key, line, waiter)
            raise

    def _leave(self, key: _Key, line: _Line, waiter: _Waiter) -> None:
        permit = None
        if waiter.done() and not waiter.cancelled():
            permit = waiter.result()
        if permit is not None:
            self.released(permit)  # it came together with the cancellation
        else:
            _ = line.pop(waiter, None)
            self._drop_empty(key)
            self._pump()

    async def sleep(self, until: float) -> None:
        """Waits until a time, or until the queue is closed."""
        if until > self._begin():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    _ = await self._closing.wait()

    # ---- what comes back -------------------------------------------------------------------------

    def ended(
        self,
        permit: Permit,
        now: float,
        outcome: Outcome,
        query: Hashable,
        error: GalileoError | None = None,
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
        if outcome.meaning != "ignored":
            if trouble is None:
                self.last_refusal = None
            elif not trouble.is_own or self.flow.breaker.is_open:
                self.last_refusal = error
            if self.flow.breaker.is_open:
                self._end_waits(now)
        self._pump()
        return trouble

    def released(self, permit: Permit, outcome: Outcome = UNSENT) -> None:
        """Takes back a permit whose request wasn't sent, or whose outcome says nothing."""
        _ = self.ended(permit, self._time(), outcome, None)

    def close(self) -> None:
        """Ends all waits, now and later, except those in another event loop."""
        self.is_closed = True
        if self.loop is asyncio.get_running_loop():
            self._end_waits(self._time())
            self._closing.set()

    def needs_comparison(self, trouble: Trouble, budget: Budget) -> bool:
        """
        Whether no other request, under way or waiting, will show if the service refuses all queries
        or only this one.
        """
        fresh_ones_wait = any(not standing for _, standing in self._lines)
        return not fresh_ones_wait and self.flow.needs_comparison(trouble, self._time(), budget)

    # ---- the lines -------------------------------------------------------------------------------

    def _begin(self) -> float:
        """The time by the running event loop's clock; that loop becomes the queue's."""
        self.loop = loop = asyncio.get_running_loop()
        return loop.time()

    def _time(self) -> float:
        """The time by the clock of the queue's event loop."""
        # Without a loop, a coroutine was closed outside of it.
        return self.loop.time() if self.loop is not None else 0.0

    def _pump(self) -> None:
        """Gives permits to the counts whose turn it is, and sets the timer for the next one."""
        loop = self.loop
        if loop is None or loop.is_closed():  # no waiter can be woken any more
            return
        now = loop.time()
        when = inf
        while self._lines:
            waits = {key: self.flow.wait(now, key[0], not key[1]) for key in self._lines}
            # Of several, the one whose last turn is longest ago.
            first = min(waits, key=waits.__getitem__)
            if waits[first] > 0:
                when = now + waits[first]
                break
            ready = [key for key in waits if key[0] is first[0] and waits[key] <= 0]
            key, waiter = self._next(ready, now)
            if not waiter.done():
                waiter.set_result(self.flow.sent(now, key[0], not key[1]))
        self._set_timer(loop, when)

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when == inf else loop.call_at(when, self._pump)

    def _next(self, keys: list[_Key], now: float) -> tuple[_Key, _Waiter]:
        """
        The line and the count whose turn it is, of the lines of one budget; its next turn is behind
        the others'.

        The line is drawn by lot: strict turns could send all retries into an empty bucket. What
        failed waits behind what was refused.
        """
        keys.sort(key=itemgetter(1))
        if [standing for _, standing in keys[-2:]] == [1, 2]:
            del keys[-1]
        key = random.choice(keys)  # noqa: S311
        line = self._lines[key]
        waiter = next(iter(line))
        if self.flow.is_wary(now, not key[1]):
            waiter = random.choice([*line])  # noqa: S311
        del line[waiter]
        for each in [each for each in self._lines if each[0] is key[0]]:
            self._lines.move_to_end(each)
        self._drop_empty(key)
        return key, waiter

    def _drop_empty(self, key: _Key) -> None:
        if not self._lines.get(key, True):
            del self._lines[key]

    # ---- giving up -------------------------------------------------------------------------------

    def _end_waits(self, now: float) -> None:
        """Ends the waits that are hopeless; all of them once the queue is closed."""
        for key, line in [*self._lines.items()]:
            for waiter, budget in [*line.items()]:
                if self.is_closed or self.flow.breaker.is_hopeless(now, not key[1], budget):
                    del line[waiter]
                    if not waiter.done():
                        waiter.set_result(None)
            self._drop_empty(key)
