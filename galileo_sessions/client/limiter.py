"""
How many requests at once: the one line of a client, whose width follows what the service can take.

Theory of operation
===================

Whoever sends needs a permit. There are `width` of them; who finds none waits in line, first come, first served. The
width is learned like the window of TCP: it starts at `initial`, grows by one with each success until the first refusal,
so that it doubles per round, and by 1/width afterwards; a refusal multiplies it by 0.7::

    width       doubling . cut
      |           . '    |' . . - growth by one per round . cut
      |       . '        |                                |' . .
      |   . '
      +------------------------------------------------------------> time

Requests that were in flight together are refused together, and say one thing only. So a permit carries the number of
its generation: each cut begins a new one, and a refusal of an older generation cuts nothing. The width grows only while
at least half of it is used, for an idle client learns nothing. A Retry-After holds every permit back until it is over.

Invariants: minimum <= width <= maximum; in flight <= width when a permit is given; each permit is released once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import frozen

from galileo_sessions.errors import ConfigurationError

_SHRINK = 0.7


@frozen
class Limits:
    """
    How many requests may be under way at once.

    The width begins at `initial`, doubles until the first refusal, then grows by one per window while at least half
    of it is used, and shrinks to 0.7 of itself when the service is overloaded (429, 503, 504, timeouts).
    A Retry-After stops all requests for its time, and begins anew at `initial` at most.

    Raises:
        ConfigurationError: unless 1 <= minimum <= initial <= maximum <= 10,000.
    """

    initial: int = 10
    maximum: int = 64
    minimum: int = 1
    rate: AbstractAsyncContextManager[Any] | None = None
    """Entered before each request, where the service's rate is known: such as `aiolimiter.AsyncLimiter(200, 1)`."""

    def __attrs_post_init__(self) -> None:
        numbers = (self.minimum, self.initial, self.maximum)
        if (
            any(type(number) is not int for number in numbers)
            or not 1 <= numbers[0] <= numbers[1] <= numbers[2] <= 10_000
        ):
            raise ConfigurationError(f"{self!r}: whole numbers with 1 <= minimum <= initial <= maximum <= 10,000")
        if self.rate is not None and not hasattr(self.rate, "__aenter__"):
            raise ConfigurationError(f"Limits(rate=...) takes an async context manager, got {type(self.rate).__name__}")


class AdaptiveLimiter:
    """
    Gives permits to send, first come, first served.

    A permit is the number of the generation in which it was given; each cut begins a new one.

    Args:
        limits: The bounds.
        clock: Seconds, as the loop counts them.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] | None = None) -> None:
        self._limits = limits
        self._width = float(limits.initial)
        self._doubling = True
        self._generation = 1
        self._in_flight = 0
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._paused_until = 0.0
        self._growing_from = 0.0
        self._clock = clock or (lambda: asyncio.get_running_loop().time())

    @property
    def width(self) -> int:
        """Requests that may be in flight at once, now."""
        return int(self._width)

    @property
    def in_flight(self) -> int:
        """Requests that have a permit, now."""
        return self._in_flight

    def try_acquire(self) -> int | None:
        """A permit, if there is one without waiting."""
        if self._waiters or self._in_flight >= int(self._width) or self._limits.rate is not None:
            return None
        if self._paused_until > 0 and self._clock() < self._paused_until:
            return None
        self._in_flight += 1
        return self._generation

    async def acquire(self) -> int:
        """A permit, after the wait for the width, for the rate, and for the end of a pause."""
        if self._waiters or self._in_flight >= int(self._width):
            await self._wait_in_line()
        else:
            self._in_flight += 1
        try:
            if self._limits.rate is not None:
                async with self._limits.rate:
                    pass
            while (pause := self._paused_until - self._clock()) > 0:  # noqa: ASYNC110  # it may be prolonged meanwhile
                await asyncio.sleep(pause)
        except BaseException:
            self._free_permit()
            raise
        return self._generation

    def release(self, permit: int, *, succeeded: bool) -> None:
        """Takes the permit back; after a success there may be room for more."""
        if succeeded and self._in_flight * 2 >= int(self._width) < self._limits.maximum:
            self._grow()
        self._free_permit()

    def overloaded(self, permit: int, pause: float | None) -> None:
        """
        Learns that the service has too much to do; of all permits of one generation, the first cuts.

        Args:
            permit: With which the refused request was sent.
            pause: Seconds for which no request is sent, if the service asked for that. It then limits requests per
                time: the width begins anew, and doesn't grow before another such time has passed.
        """
        self._doubling = False
        if pause is not None:
            self._paused_until = max(self._paused_until, self._clock() + pause)
            self._growing_from = self._paused_until + pause
        if permit == self._generation:
            self._generation += 1
            before = self._width if pause is None else min(self._width, self._limits.initial / _SHRINK)
            self._width = max(float(self._limits.minimum), before * _SHRINK)

    def _grow(self) -> None:
        if self._growing_from == 0.0 or self._clock() >= self._growing_from:
            growth = 1.0 if self._doubling else 1.0 / self._width
            self._width = min(float(self._limits.maximum), self._width + growth)

    async def _wait_in_line(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # the permit came at the same moment
                self._free_permit()
            self._waiters.pop(waiter, None)
            raise

    def _free_permit(self) -> None:
        self._in_flight -= 1
        while self._waiters and self._in_flight < int(self._width):
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                self._in_flight += 1
