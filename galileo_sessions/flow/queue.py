"""
The queue of a client: which count gets the next permit to send, and when to give up.

Theory of operation
===================

The flow control says whether one more request can be sent now. If it can and no count waits, a count takes its permit
with a plain call. Otherwise it waits in a line::

    single     single counts, each awaited on its own
    fan-out    a line for each fan-out, with its targets

Permits go to the single line first, so a single count doesn't wait behind 40,000 targets. Fan-outs take turns, so a
small one doesn't wait behind a big one. Each line is first come, first served. A count that failed goes to the end of
its line, so that counts that keep failing don't hold up the others. A count that has to wait for a known time, a
backoff or a Retry-After, sleeps on its own before it joins its line. One timer wakes the queue when the flow control
allows the next request. Each answer wakes it, too. If the user sets a rate, a count enters it with its permit, just
before it is sent, and one at a time: so no burst follows an outage.

While the circuit breaker is open, only single probes are sent. When it stays open for longer than a count's patience,
the count fails with what it met last; or if it was never sent, with what others met.

Nobody waits for another request's answer without a bound. Requests that hang can hold all slots until they time out, so
a single count that has waited for a slot for two latencies, at least for a second, goes out all the same.

Invariants: each permit comes back exactly once, even if its count is cancelled, or its coroutine closed, just as it
gets the permit. While a count waits for a known time, a timer is set. Nothing waits in a closed queue.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from math import inf
from typing import TypeAlias

from galileo_sessions import errors
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl, Permit
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.settings import Limits

_Permission: TypeAlias = Permit | errors.GalileoError
_Patience: TypeAlias = tuple[float, float]
"""Seconds that a count waits for a service that refuses everything, and the earliest time at which they begin."""
_Line: TypeAlias = OrderedDict["asyncio.Future[_Permission]", tuple[_Patience, float]]
"""The counts that wait, each with its patience, and since when it waits."""


class Queue:
    """
    Gives permits to send.

    Args:
        limits: What the user allows.
        on_change: Called with the reason for each change of the limits.
    """

    def __init__(self, limits: Limits, on_change: Callable[[str], None] | None = None) -> None:
        self._rate = limits.rate
        self.flow: FlowControl = FlowControl(limits, on_change)
        """The flow control."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: OrderedDict[Budget | None, _Line] = OrderedDict()  # by fan-out, None for single; none is empty
        self._asleep: _Line = OrderedDict()
        self._paced: asyncio.Future[_Permission] | None = None  # has a permit, and waits for Limits(rate=...)
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf  # when the timer is due, which uvloop's handles don't show
        self.last_refusal: errors.GalileoError | None = None
        """What was refused last; None since requests are answered again."""
        self._closed: errors.GalileoError | None = None

    # ---- permits -----------------------------------------------------------------------------------------------------

    def try_acquire(self, budget: Budget) -> Permit | None:
        """A permit, if one is available now; see `acquire`."""
        if None in self._lines or (self._lines and not budget.is_single) or self._rate is not None:
            return None
        now = self._begin()
        return self.flow.sent(now) if self.flow.wait(now) <= 0 else None

    async def acquire(
        self, budget: Budget, since: float = -inf, *, has_failed: bool = False, not_before: float = -inf
    ) -> _Permission:
        """
        Waits for a permit, or returns the error to raise. The caller ends the wait at the deadline.

        Args:
            budget: The line of the count, and its patience while the circuit breaker is open.
            since: When the patience of a single count begins.
            has_failed: Whether an attempt of this count has failed. If not, a single count waits for one more probe.
            not_before: The earliest time at which the count can be sent, on the loop's clock.
        """
        now, patience = self._begin(), (budget.patience, since)
        if not_before > now and self._closed is None:
            error = await self._sleep(not_before - now, patience)
            if error is not None:
                return error
        now = self._time()
        if self._closed is not None:
            return self._closed
        if (has_failed or not budget.is_single) and self.flow.breaker.is_hopeless(now, *patience):
            return self.give_up_error()
        key = None if budget.is_single else budget
        line = self._lines.setdefault(key, OrderedDict())
        waiter: asyncio.Future[_Permission] = asyncio.get_running_loop().create_future()
        line[waiter] = patience, now
        self._pump(now)
        try:
            permission = await waiter
            if self._paced is waiter and self._rate is not None:
                async with self._rate:
                    pass
        except BaseException:  # a cancellation, or the GeneratorExit of a coroutine that is closed
            _ = line.pop(waiter, None)
            self._drop_empty(key)
            permit = waiter.result() if waiter.done() and not waiter.cancelled() else None
            if isinstance(permit, Permit):
                self.released(permit)  # it came together with the cancellation
            else:
                self._pump(self._time())
            raise
        else:
            return permission
        finally:
            if self._paced is waiter:
                self._paced = None
                self._pump(self._time())

    async def _sleep(self, seconds: float, patience: _Patience) -> errors.GalileoError | None:
        """Waits for some seconds; returns an error if all waiting counts fail meanwhile."""
        waiter: asyncio.Future[_Permission] = asyncio.get_running_loop().create_future()
        self._asleep[waiter] = patience, inf
        try:
            _ = await asyncio.wait([waiter], timeout=seconds)
        finally:
            _ = self._asleep.pop(waiter, None)
        outcome = waiter.result() if waiter.done() else None
        return outcome if isinstance(outcome, errors.GalileoError) else None

    # ---- what comes back ---------------------------------------------------------------------------------------------

    def ended(self, permit: Permit, now: float, outcome: Outcome, error: errors.GalileoError | None = None) -> None:
        """
        Takes back the permit of an attempt.

        Args:
            permit: The attempt's permit.
            now: When the attempt ended.
            outcome: What the attempt says about the service.
            error: The attempt's error, if it failed.
        """
        self.flow.ended(now, permit, outcome)
        if outcome.meaning != "ignored":
            self.last_refusal = None if outcome.is_final else error
            if self.flow.breaker.is_open:
                self._end_waits(lambda patience: self.flow.breaker.is_hopeless(now, *patience))
        self._pump(now)

    def released(self, permit: Permit) -> None:
        """Takes back a permit without learning from it, as after a cancellation."""
        self.ended(permit, self._time(), IGNORED)

    def close(self, error: errors.GalileoError) -> None:
        """Ends all waits, now and later, with an error, except those in another event loop."""
        self._closed = error
        if self._loop is asyncio.get_running_loop():
            self._end_waits(lambda _: True, error)

    # ---- the lines ---------------------------------------------------------------------------------------------------

    def _begin(self) -> float:
        """The time by the running event loop's clock; that loop becomes the queue's."""
        self._loop = loop = asyncio.get_running_loop()
        return loop.time()

    def _time(self) -> float:
        return 0.0 if self._loop is None else self._loop.time()  # a coroutine can be closed outside of the loop

    def _pump(self, now: float) -> None:
        """Gives permits to the counts whose turn it is, and sets the timer for the next one."""
        loop = self._loop
        if loop is None or loop.is_closed():  # no waiter can be woken any more
            return
        when = inf
        while self._lines and self._paced is None:
            single = self._lines.get(None)
            wait = self.flow.wait(now, next(iter(single.values()))[1] if single else inf)
            if wait > 0:
                when = now + wait
                break
            waiter = self._next()
            if not waiter.done():
                waiter.set_result(self.flow.sent(now))
                self._paced = None if self._rate is None else waiter
        if self._timer is not None:
            if now < self._wakes_at <= when < inf:
                return  # the timer is due first, and runs this again
            self._timer.cancel()
        self._wakes_at = when
        self._timer = None if when == inf else loop.call_at(when, self._wake)

    def _next(self) -> "asyncio.Future[_Permission]":
        """The count whose turn it is."""
        key = None if None in self._lines else next(iter(self._lines))
        waiter, _ = self._lines[key].popitem(last=False)
        self._lines.move_to_end(key)
        self._drop_empty(key)
        return waiter

    def _drop_empty(self, key: Budget | None) -> None:
        if not self._lines.get(key, True):
            del self._lines[key]

    def _wake(self) -> None:
        self._timer = None
        self._pump(self._time())

    # ---- giving up ---------------------------------------------------------------------------------------------------

    def _end_waits(self, is_over: Callable[[_Patience], bool], error: errors.GalileoError | None = None) -> None:
        for line in (*self._lines.values(), self._asleep):
            for waiter in [waiter for waiter, (patience, _) in line.items() if is_over(patience)]:
                del line[waiter]
                if not waiter.done():
                    waiter.set_result(error or self.give_up_error())
        for key in [*self._lines]:
            self._drop_empty(key)

    def give_up_error(self, last: errors.GalileoError | None = None) -> errors.GalileoError:
        """The error of a count that is given up: what it met last, or else what others met, and what it waited for."""
        met = last or self.last_refusal or errors.TransportError("the service refuses everything")
        error = copy(met)
        error.args = (f"{met.message}; while waiting for {self.reason(self._time())}",)
        error.hint = met.hint or "Try again later, or raise timeout= or Retry(patience=...)"
        return error

    def reason(self, now: float) -> str:
        """What requests are waiting for, as a part of a sentence."""
        has_room = self._paced is not None or self.flow.in_flight < self.flow.width
        is_paced = self._rate is not None and has_room and not self.flow.breaker.is_open
        return "Limits(rate=...)" if is_paced else self.flow.reason(now)
