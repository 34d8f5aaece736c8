"""How many requests at once: the one queue of a client, whose width follows what the service can take."""

from __future__ import annotations

import asyncio
from collections import deque
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


class Gate:
    """
    Lets requests in, first come, first served.

    Args:
        limits: The bounds.
        clock: Seconds, as the loop counts them.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] | None = None) -> None:
        self._limits = limits
        self._width = float(limits.initial)
        self._doubling = True
        self._generation = 0
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._clock = clock or (lambda: asyncio.get_running_loop().time())

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return int(self._width)

    @property
    def in_flight(self) -> int:
        """Requests that are let in, now."""
        return self._in_flight

    def enter_at_once(self) -> int | None:
        """Like `enter` where nothing has to be waited for; None where something has."""
        if self._waiters or self._in_flight >= int(self._width) or self._limits.rate is not None:
            return None
        if self._paused_until > 0 and self._clock() < self._paused_until:
            return None
        self._in_flight += 1
        return self._generation

    async def enter(self) -> int:
        """Waits for a place, for the rate, and for the end of a pause; gives what `leave` wants back."""
        if self._waiters or self._in_flight >= int(self._width):
            await self._wait_for_place()
        else:
            self._in_flight += 1
        try:
            if self._limits.rate is not None:
                async with self._limits.rate:
                    pass
            while (pause := self._paused_until - self._clock()) > 0:  # noqa: ASYNC110  # it may be prolonged meanwhile
                await asyncio.sleep(pause)
        except BaseException:
            self._give_place()
            raise
        return self._generation

    def leave(self, generation: int, *, ok: bool, overloaded: bool) -> None:
        """
        Gives the place back, and learns from what happened.

        Args:
            generation: What `enter` gave.
            ok: Whether a count came.
            overloaded: Whether the service has too much to do; of all requests let in before a shrink, one shrinks.
        """
        if overloaded:
            self._doubling = False
            if generation == self._generation:
                self._generation += 1
                self._width = max(float(self._limits.minimum), self._width * _SHRINK)
        elif ok and self._in_flight * 2 >= int(self._width):
            growth = 1.0 if self._doubling else 1.0 / self._width
            self._width = min(float(self._limits.maximum), self._width + growth)
        self._give_place()

    def pause(self, seconds: float) -> None:
        """Lets nobody in for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def _wait_for_place(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # the place came at the same moment
                self._give_place()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _give_place(self) -> None:
        self._in_flight -= 1
        while self._waiters and self._in_flight < int(self._width):
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._in_flight += 1
