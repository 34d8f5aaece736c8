"""
The queue of a client: which count gets the next permit to send, and when to give up.

Theory of operation
===================

The flow control says whether one more request can be sent now. If it can and no count waits, a count takes its permit
with a plain call. Otherwise it waits in one of two lines::

    interactive    single counts, each awaited by somebody
    fan_out        the targets of fan-outs

Permits go to the interactive line first, so a single count doesn't wait behind forty thousand. Within a line it is
first come, first served, also for a count that failed, so that counts with trouble of their own don't take the place of
others. A count that has to wait for a known time, a backoff or a Retry-After, sleeps on its own before it joins its
line. One timer wakes the queue when the flow control allows the next request; apart from that, it wakes when an answer
comes back.

While the circuit breaker is open, only single probes are sent. When it stays open for longer than a count's patience,
all counts that wait fail together, with the service's last answer. So a dead service sees a few dozen requests, however
many counts wait.

Invariants: each permit comes back exactly once, also if its count is cancelled as it gets it. A timer is set whenever a
count waits for a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from math import inf
from typing import TypeAlias

from galileo_sessions import errors
from galileo_sessions.client.flow.control import FlowControl, Permit
from galileo_sessions.client.flow.limits import Limits
from galileo_sessions.client.policy import FirstAttempts, Retry

_WINDOW, _EVERY = 0.01, 0.1  # seconds: how long the load of the event loop is measured, and how often
_BUSY = 0.5  # share of the time in callbacks from which on the event loop, not the service, makes answers slow

Allowance: TypeAlias = tuple[int, float]
"""How many more requests the service will take, and for how many seconds."""
_Outcome: TypeAlias = Permit | errors.GalileoError
_Line: TypeAlias = OrderedDict["asyncio.Future[_Outcome]", float]
"""The counts that wait, each with its patience in seconds."""


class Queue:
    """
    Gives permits to send.

    Args:
        limits: What the user allows.
        retry: How long to wait for a service that refuses everything, and for which Retry-After.
        on_change: Called with the reason of each change of the limits.
    """

    def __init__(self, limits: Limits, retry: Retry, on_change: Callable[[str], None] | None = None) -> None:
        self._limits = limits
        self._retry = retry
        self._on_change = on_change
        self.flow: FlowControl = self._new_flow(0.0)
        """The flow control in this event loop."""
        self.first_attempts: FirstAttempts = FirstAttempts()
        """How many counts failed lately at their first attempt."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interactive: _Line = OrderedDict()
        self._fan_out: _Line = OrderedDict()
        self._asleep: _Line = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf  # when the timer is due; uvloop's handles don't tell
        self._last_failure: errors.GalileoError = errors.TransportError("the service refuses everything")
        self._load = self._measured_from = 0.0  # `_measured_from` is the beginning of this window, or of the next one
        self._measures = False

    # ---- permits -----------------------------------------------------------------------------------------------------

    def try_acquire(self, *, interactive: bool) -> Permit | None:
        """A permit, if there is one without waiting."""
        if self._interactive or (self._fan_out and not interactive) or self._limits.rate is not None:
            return None
        loop = asyncio.get_running_loop()
        flow = self.flow if self._loop is loop else self._begin(loop)
        now = loop.time()
        if flow.wait(now) > 0 or (flow.breaker.is_open and not interactive and flow.is_hopeless(now)):
            return None
        return flow.sent(now)

    async def acquire(
        self, *, interactive: bool, patience: float, has_failed: bool = False, not_before: float = -inf
    ) -> Permit | errors.GalileoError:
        """
        Waits for a permit, or returns the error to raise.

        Args:
            interactive: Whether somebody awaits this count alone.
            patience: Seconds that it waits while the circuit breaker is open, at most.
            has_failed: Whether an attempt of it has failed. A single count that hasn't failed waits for one more probe.
            not_before: When it can be sent at the earliest, on the loop's clock.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._begin(loop)
        if not_before > loop.time():
            error = await self._sleep(not_before, patience)
            if error is not None:
                return error
        if self._limits.rate is not None:
            async with self._limits.rate:
                pass
        now = loop.time()
        if (has_failed or not interactive) and self.flow.is_hopeless(now, patience):
            return self.give_up_error()
        line = self._interactive if interactive else self._fan_out
        waiter: asyncio.Future[_Outcome] = loop.create_future()
        line[waiter] = patience
        self._pump(now)
        try:
            return await waiter
        except asyncio.CancelledError:
            _ = line.pop(waiter, None)
            if not waiter.cancelled() and isinstance(permit := waiter.result(), Permit):  # it came at the same moment
                self.released(permit)
            else:
                self._pump(loop.time())
            raise

    async def _sleep(self, until: float, patience: float) -> errors.GalileoError | None:
        """Waits for a time; returns an error if all counts that wait fail meanwhile."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[_Outcome] = loop.create_future()
        self._asleep[waiter] = patience
        try:
            _ = await asyncio.wait([waiter], timeout=until - loop.time())
        finally:
            _ = self._asleep.pop(waiter, None)
        outcome = waiter.result() if waiter.done() else None
        return outcome if isinstance(outcome, errors.GalileoError) else None

    # ---- what comes back ---------------------------------------------------------------------------------------------

    def succeeded(self, permit: Permit, now: float, allowance: Allowance | None = None) -> None:
        """Takes the permit of an attempt back that brought what it asked for."""
        self.flow.succeeded(now, permit)
        if allowance is not None:
            self.flow.allowance(now, *allowance)
        if now >= self._measured_from and not self._measures:
            self._measures = True
            _ = asyncio.get_running_loop().call_soon(self._measure_load, now)
        if self._interactive or self._fan_out:
            self._pump(now)

    def failed(
        self,
        permit: Permit,
        error: errors.GalileoError,
        now: float,
        allowance: Allowance | None = None,
        *,
        is_own: bool = False,
    ) -> None:
        """
        Takes the permit of an attempt back that failed.

        Args:
            permit: What it was sent with.
            error: What came.
            now: When it came.
            allowance: What the service said that it would take.
            is_own: Whether the count is in trouble of its own, which says nothing about the service.
        """
        flow, verdict = self.flow, error.verdict
        if verdict.kind == "answered":
            flow.answered(now, permit)
        elif verdict.kind == "fatal" or (is_own and not flow.breaker.is_open):
            flow.released(now, permit)
        else:
            flow.refused(now, permit, verdict.retry_after, told=verdict.kind == "throttled")
            if isinstance(error, errors.ResponseError) or not isinstance(self._last_failure, errors.ResponseError):
                self._last_failure = error
        if allowance is not None:
            flow.allowance(now, *allowance)
        self._after_failure(now)

    def released(self, permit: Permit) -> None:
        """Takes a permit back that says nothing about the service, such as that of a cancelled request."""
        now = asyncio.get_running_loop().time()
        self.flow.released(now, permit)
        self._after_failure(now)

    def close(self, error: errors.GalileoError) -> None:
        """Ends all waits with an error, unless their event loop is another one."""
        if self._loop is asyncio.get_running_loop():
            self._end_waits(lambda _: True, error)

    # ---- the lines ---------------------------------------------------------------------------------------------------

    def _begin(self, loop: asyncio.AbstractEventLoop) -> FlowControl:
        """Begins with the clock of the client's event loop."""
        now = self._measured_from = loop.time()
        self._loop, self.flow = loop, self._new_flow(now)
        return self.flow

    def _new_flow(self, now: float) -> FlowControl:
        return FlowControl(
            self._limits.maximum,
            now=now,
            initial=self._limits.initial,
            patience=self._retry.patience,
            on_change=self._on_change,
        )

    def _pump(self, now: float) -> None:
        """Gives permits to those whose turn it is, and sets the timer for the next one."""
        wait = inf
        while line := self._interactive or self._fan_out:
            wait = self.flow.wait(now)
            if wait > 0:
                break
            waiter, _ = line.popitem(last=False)
            if not waiter.done():
                waiter.set_result(self.flow.sent(now))
        when = now + wait if line else inf
        if self._timer is not None:
            if now < self._wakes_at <= when < inf:
                return  # it comes first, and asks again
            self._timer.cancel()
        self._wakes_at = when
        self._timer = asyncio.get_running_loop().call_at(when, self._wake) if when < inf else None

    def _wake(self) -> None:
        self._timer = None
        self._pump(asyncio.get_running_loop().time())

    # ---- giving up ---------------------------------------------------------------------------------------------------

    def _after_failure(self, now: float) -> None:
        if self.flow.breaker.is_open:
            self._end_waits(lambda patience: self.flow.is_hopeless(now, patience))
        self._pump(now)

    def _end_waits(self, is_over: Callable[[float], bool], error: errors.GalileoError | None = None) -> None:
        for line in (self._interactive, self._fan_out, self._asleep):
            for waiter in [waiter for waiter, patience in line.items() if is_over(patience)]:
                del line[waiter]
                if not waiter.done():
                    waiter.set_result(error or self.give_up_error())

    def give_up_error(self) -> errors.GalileoError:
        """The error of counts that wait no longer: the last failure, a real answer rather than network trouble."""
        seconds = self.flow.breaker.seconds_open(asyncio.get_running_loop().time())
        error = copy(self._last_failure)
        error.args = (f"{error.message}; the service has refused everything for {seconds:,.0f} s, giving up",)
        return error

    # ---- the event loop ----------------------------------------------------------------------------------------------

    def _measure_load(self, begun: float) -> None:
        """
        Adds up the time that callbacks take: if it is most of all time, the event loop makes answers look slow.

        It is measured in one window of ten, since each measurement costs a turn of the loop.
        """
        now = asyncio.get_running_loop().time()
        self._measures = False
        self._load += now - begun
        if (window := now - self._measured_from) >= _WINDOW:
            self.flow.is_busy = self._load > _BUSY * window
            self._load, self._measured_from = 0.0, now + _EVERY
