"""
Who may send, and when: the queue of a client, between its questions and the limiter.

Theory of operation
===================

The limiter (`flow`) says whether one more request may be sent now. Where it may and nobody waits, a question takes its
permit by a plain call. Else it waits here, in one of three places::

    later    not before a time: a Retry-After, a backoff      ── time comes ──┐
    single   questions asked one at a time                    <───────────────┤ to its line
    many     the targets of fan-outs                          <───────────────┘

Permits go to `single` first, then to `many`: a person who asks one question doesn't wait behind forty thousand. Within
a line it is first come, first served, but who has been refused once comes back to its head, so that the oldest question
is answered first. Who has been refused again comes to its end: others may fare better, also as probes. One timer, at
most, wakes the queue: when the limiter's pace allows the next request, or when the first of `later` is ripe. Else it is
woken by what comes back from the service.

When nothing is accepted any more, the limiter's door is closed and lets single probes through. When it stays closed for
too long, all who wait are told so together, with the last real answer, and so are those who come, unless they may send
the next probe themselves. Thus a dead service sees some dozens of requests, however many wait. A single question has
less patience than a fan-out, so it may be told before. Who was never sent isn't told before eight others were refused
at their first attempt, for who is refused again and again may have trouble of its own.

Invariants: each permit comes back exactly once, also where a question is cancelled as it gets one; whoever waits is in
one place; there is a timer whenever somebody waits for a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from copy import copy
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, NamedTuple, TypeAlias

from galileo_sessions import errors
from galileo_sessions.client.flow.control import FlowControl, Permit
from galileo_sessions.client.flow.limits import Limits
from galileo_sessions.client.policy import Retry

_NO_ANSWER = errors.TransportError("the service accepts nothing")
_ROW = 8  # questions in a row that were asked for too much time, or refused at their first attempt, mean all
_ANSWERS = 64  # over which the share of refusals is averaged
_WINDOW, _EVERY = 0.01, 0.1  # seconds over which the share of busy time is taken, and until it is taken again
_BUSY = 0.5  # share of the time from which on the event loop, not the service, is what makes answers slow

_Waiter: TypeAlias = "asyncio.Future[Permit | errors.GalileoError]"


class _Claim(NamedTuple):
    """What a question that waits has: its patience in seconds, and whether it was sent before."""

    patience: float
    again: bool


_Line: TypeAlias = OrderedDict[_Waiter, _Claim]


class Admission:
    """
    Gives permits to send.

    Args:
        limits: What the user allows.
        retry: How patient: for how long a closed door, and which Retry-After, is waited for.
        on_change: Called with the reason of each change of the limits.
    """

    def __init__(self, limits: Limits, retry: Retry, on_change: Callable[[str], None] | None = None) -> None:
        self._limits = limits
        self._retry = retry
        self._on_change = on_change
        self.flow: FlowControl = self._new_flow(0.0)
        """The flow control in this event loop."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._single: _Line = OrderedDict()
        self._many: _Line = OrderedDict()
        self._later: list[tuple[float, int, _Waiter, _Line, _Claim, bool]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf  # when the timer is due; uvloop's handles don't tell
        self._sent_away_until = -inf
        self._refusal: errors.GalileoError = _NO_ANSWER
        self._witnesses = self._too_long = 0
        self._refused_share = 0.0
        self._lag = self._lag_from = 0.0  # `_lag_from` is the beginning of the next window, or of this one
        self._measures_lag = self._is_busy = False

    @property
    def last_success(self) -> float:
        """When the service last did what it was asked for, on the loop's clock."""
        return -inf if self.flow.last_success is None else self.flow.last_success

    @property
    def refused_share(self) -> float:
        """What was refused of the last answers, from 0 to 1."""
        return self._refused_share

    @property
    def is_sent_away(self) -> bool:
        """Whether the service has asked for more time than is waited for, so that nothing is sent."""
        return _now() < self._sent_away_until

    # ---- permits -----------------------------------------------------------------------------------------------------

    def try_acquire(self, *, single: bool) -> Permit | None:
        """A permit, if there is one without waiting."""
        if self._single or (self._many and not single) or self._limits.rate is not None:
            return None
        loop = asyncio.get_running_loop()
        flow = self.flow if self._loop is loop else self._begin(loop)
        now = loop.time()
        if flow.wait(now) > 0 or (not single and self._is_witnessed() and flow.is_hopeless(now)):
            return None
        return flow.sent(now)

    async def acquire(
        self, *, single: bool, patience: float, again: bool = False, ahead: bool = False, not_before: float = -inf
    ) -> Permit | errors.GalileoError:
        """
        A permit, after the wait for it; or, where there is no hope, the error that says so.

        Args:
            single: Whether the question is asked alone, not by a fan-out.
            patience: Seconds for which it waits at a closed door, at most.
            again: Whether it was sent before.
            ahead: Whether it waits at the head of its line.
            not_before: When it may be sent at the earliest, on the loop's clock.
        """
        if self._limits.rate is not None:
            await self._pass_rate(self._limits.rate, not_before)
        loop = asyncio.get_running_loop()
        flow = self.flow if self._loop is loop else self._begin(loop)
        now = loop.time()
        claim = _Claim(patience, again)
        newcomer = single and not again  # who asks for itself waits for one more probe, at least
        if now < self._sent_away_until or (not newcomer and flow.wait(now) > 0 and self._is_final(now, claim)):
            return self.farewell()
        return await self._wait_in_line(single, claim, ahead, not_before)

    async def _wait_in_line(
        self, single: bool, claim: _Claim, ahead: bool, not_before: float
    ) -> Permit | errors.GalileoError:
        loop = asyncio.get_running_loop()
        now = loop.time()
        line = self._single if single else self._many
        waiter: _Waiter = loop.create_future()
        if not_before > now:
            heappush(self._later, (not_before, next(self._numbers), waiter, line, claim, ahead))
        elif ahead or not line:
            line[waiter] = claim
            line.move_to_end(waiter, last=False)
        else:  # whoever is first in this line sees that it goes on
            line[waiter] = claim
            return await self._admitted(waiter, line)
        self._pump(now)
        return await self._admitted(waiter, line)

    async def _pass_rate(self, rate: AbstractAsyncContextManager[Any], not_before: float) -> None:
        task = asyncio.current_task()
        cancelled = 0 if task is None else task.cancelling()
        await asyncio.sleep(not_before - _now())
        async with rate:
            pass
        # A rate that has swallowed a cancellation must not send. On 3.11 coverage does not see what follows one.
        if task is not None and task.cancelling() > cancelled:  # pragma: no branch
            raise asyncio.CancelledError  # pragma: no cover

    async def _admitted(self, waiter: _Waiter, line: _Line) -> Permit | errors.GalileoError:
        try:
            return await waiter
        except asyncio.CancelledError:
            _ = line.pop(waiter, None)
            result = waiter.result() if not waiter.cancelled() else None  # it came at the same moment
            if isinstance(result, Permit):
                self.released(result)
            else:
                self._pump(_now())
            raise

    # ---- what comes back ---------------------------------------------------------------------------------------------

    def succeeded(self, permit: Permit, now: float) -> None:
        """Takes the permit of a request back that was answered with what it asked for, on the loop's clock."""
        self.flow.succeeded(now, permit)
        self._refusal, self._witnesses, self._too_long = _NO_ANSWER, 0, 0
        self._refused_share -= self._refused_share / _ANSWERS
        if now >= self._lag_from and not self._measures_lag:
            if self._lag == 0.0:
                self._lag_from = now
            self._measures_lag = True
            _ = asyncio.get_running_loop().call_soon(self._measure_lag, now)
        if self._single or self._many:
            self._pump(now)

    def answered(self, permit: Permit, now: float) -> None:
        """Takes a permit back after an error of the question's own, such as a 404: the service is well."""
        if self.flow.is_closed:
            self.succeeded(permit, now)
        else:
            self.flow.answered(now, permit)
            self._after_failure(now)

    def released(self, permit: Permit) -> None:
        """Takes a permit back that says nothing of the service, such as that of a cancelled request."""
        now = _now()
        self.flow.released(now, permit)
        self._after_failure(now)

    def refused(
        self, permit: Permit, error: errors.GalileoError, *, told: bool, again: bool = False, alone: bool = False
    ) -> None:
        """
        Takes the permit of a refused request back. After a Retry-After that is too long, nothing is sent for as long.

        Args:
            permit: With which it was sent.
            error: What came.
            told: Whether the service itself said to come later.
            again: Whether the question was sent before.
            alone: Whether it says nothing of the service, for others are answered.
        """
        now = _now()
        self._refused_share += (1 - self._refused_share) / _ANSWERS
        if isinstance(error, errors.ResponseError) or not isinstance(self._refusal, errors.ResponseError):
            self._refusal = error
        retry_after = error.retry_after if isinstance(error, errors.ResponseError) else None
        if alone:
            self.flow.released(now, permit)
        else:
            self.flow.refused(now, permit, retry_after, told=told)
        self._witnesses += self.flow.is_closed and not again
        if retry_after is not None and retry_after > self._retry.max_retry_after:
            self._too_long += 1
            if self.last_success <= permit.at or self._too_long >= _ROW:
                self._sent_away_until = max(self._sent_away_until, now + retry_after)
                self.flow.shut(now, retry_after)
                self._dismiss(lambda _: True, self.farewell())
        self._after_failure(now)

    def close(self, error: errors.GalileoError) -> None:
        """Tells all who wait that nothing more is sent; who waits in another event loop is gone with it."""
        if self._loop is asyncio.get_running_loop():
            self._dismiss(lambda _: True, error)

    def allow(self, remaining: int, seconds: float) -> None:
        """Learns from the service how many requests it will take, and until when."""
        self.flow.allowance(_now(), remaining, seconds)

    # ---- the queue ---------------------------------------------------------------------------------------------------

    def _begin(self, loop: asyncio.AbstractEventLoop) -> FlowControl:
        """Begins with the clock of an event loop; what waited in another one is gone with it."""
        now = self._lag_from = loop.time()
        self._loop, self.flow, self._timer = loop, self._new_flow(now), None
        self._single.clear()
        self._many.clear()
        self._later.clear()
        return self.flow

    def _new_flow(self, now: float) -> FlowControl:
        return FlowControl(
            self._limits.maximum,
            now=now,
            initial=self._limits.initial,
            patience=self._retry.patience,
            is_busy=lambda: self._is_busy,
            on_change=self._on_change,
        )

    def _pump(self, now: float) -> None:
        """Gives permits to those whose turn it is, and sees that it is called again in time."""
        while self._later and (self._later[0][0] <= now or self._later[0][2].done()):
            _, _, waiter, line, claim, ahead = heappop(self._later)
            if not waiter.done():
                line[waiter] = claim
                line.move_to_end(waiter, last=not ahead)
        flow, wait = self.flow, inf
        while line := self._single or self._many:
            wait = flow.wait(now)
            if wait > 0:
                break
            waiter, _ = line.popitem(last=False)
            if not waiter.done():
                waiter.set_result(flow.sent(now))
        ripe = self._later[0][0] if self._later else inf
        self._wake_at(now, min(now + wait if line else inf, ripe))

    def _wake_at(self, now: float, when: float) -> None:
        if self._timer is not None:
            if now < self._wakes_at <= when < inf:
                return  # it comes first, and asks again
            self._timer.cancel()
        self._wakes_at = when
        self._timer = asyncio.get_running_loop().call_at(when, self._wake) if when < inf else None

    def _wake(self) -> None:
        self._timer = None
        self._pump(_now())

    # ---- the closed door ---------------------------------------------------------------------------------------------

    def _after_failure(self, now: float) -> None:
        if self.flow.is_closed:
            self._dismiss(lambda claim: self._is_final(now, claim), self.farewell())
        if self._single or self._many or self._later:
            self._pump(now)

    def _is_final(self, now: float, claim: _Claim) -> bool:
        """Whether there is no hope for a question; one that was never sent isn't told so by those that were alone."""
        flow = self.flow
        if not flow.is_closed or not (claim.again or self._is_witnessed()):
            return False
        return flow.is_hopeless(now) or flow.seconds_closed(now) > claim.patience

    def _is_witnessed(self) -> bool:
        """Whether the door is closed for all: in a service that has answered, a few may have trouble of their own."""
        return self._witnesses >= (_ROW if self.last_success > -inf else 1)

    def _dismiss(self, is_over: Callable[[_Claim], bool], farewell: errors.GalileoError) -> None:
        """Tells those whose patience is over, together."""
        for line in (self._single, self._many):
            for waiter in [waiter for waiter, claim in line.items() if is_over(claim)]:
                del line[waiter]
                _tell(waiter, farewell)
        for _, _, waiter, _, claim, _ in self._later:
            if is_over(claim):
                _tell(waiter, farewell)

    def farewell(self) -> errors.GalileoError:
        """What those are told who wait no longer: the last refusal, a real answer rather than network trouble."""
        now = _now()
        error = copy(self._refusal)
        if now < self._sent_away_until:
            seconds = self._sent_away_until - now
            said = f"it asks for more time than Retry(max_retry_after=...): nothing is sent for {seconds:,.0f} s"
        else:
            said = f"nothing has been accepted for {self.flow.seconds_closed(now):,.0f} s, so no more is sent"
        error.args = (f"{error.message}; {said}",)
        return error

    # ---- the event loop ----------------------------------------------------------------------------------------------

    def _measure_lag(self, begun: float) -> None:
        """
        Adds up the time that callbacks take: where it is most of all time, the loop makes answers look slow.

        It is measured in one window of ten, for each measurement costs a turn of the loop.
        """
        now = _now()
        self._measures_lag = False
        self._lag += now - begun
        if (window := now - self._lag_from) >= _WINDOW:
            self._is_busy = self._lag > _BUSY * window
            self._lag, self._lag_from = 0.0, now + _EVERY


def _now() -> float:
    return asyncio.get_running_loop().time()


def _tell(waiter: _Waiter, error: errors.GalileoError) -> None:
    if not waiter.done():
        waiter.set_result(error)
