"""
Requests that are made once for all who wait for the answer: logins, and those for a project's
columns.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from copy import copy
from functools import partial
from typing import Any, TypeVar

from galileo_sessions.errors import GalileoError, closed_error

T = TypeVar("T")


class Shared:
    """
    The requests under way, each a task of its own.

    A caller that is cancelled, or waits no longer, leaves the request to the others. When nobody
    waits any more, it is cancelled, unless it is kept. `close` ends it.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        # How many wait for each task that isn't done, even if it is being cancelled.
        self._waiting: Counter[asyncio.Task[Any]] = Counter()

    def __contains__(self, key: Hashable) -> bool:
        """Whether a request is under way."""
        return key in self._tasks

    async def get(
        self,
        key: Hashable,
        ask: Callable[[], Coroutine[Any, Any, T]],
        until: float,
        *,
        is_kept: bool = False,
    ) -> T | None:
        """
        The answer to a request; None if it doesn't come in time.

        Args:
            key: Identifies the request.
            ask: Makes the request, unless it is under way.
            until: How long to wait, on the loop's clock.
            is_kept: Whether the request goes on when nobody waits any more.

        Raises:
            GalileoError: a copy of the error of the request, or if the client is closed.
        """
        seconds = until - asyncio.get_running_loop().time()
        if seconds <= 0:
            return None
        task = self._task(key, ask)
        self._waiting[task] += 1
        try:
            _ = await asyncio.wait([task], timeout=seconds)
        finally:
            if not task.done():
                self._waiting[task] -= 1
                if not self._waiting[task] and not is_kept:
                    _ = task.cancel()
                    self._drop(key, task)
        if not task.done():
            return None
        if task.cancelled():
            raise closed_error()
        outcome: T | GalileoError = task.result()
        if isinstance(outcome, GalileoError):
            raise copy(outcome)
        return outcome

    def _task(
        self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Any]]
    ) -> asyncio.Task[Any]:
        """The task of a request, which begins unless it is under way in this loop."""
        loop = asyncio.get_running_loop()
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not loop:
            task = self._tasks[key] = loop.create_task(_outcome(ask))
            task.add_done_callback(partial(self._drop, key))
            task.add_done_callback(self._waiting.pop)
        return task

    def _drop(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]

    async def close(self) -> None:
        """Cancels the requests of the running loop."""
        tasks = [task for task in self._waiting if task.get_loop() is asyncio.get_running_loop()]
        for task in tasks:
            _ = task.cancel()
        _ = await asyncio.gather(*tasks, return_exceptions=True)


async def _outcome(ask: Callable[[], Coroutine[Any, Any, T]]) -> T | GalileoError:
    """
    The answer, or the error, which isn't raised: asyncio logs an exception that nobody retrieves.
    """
    await asyncio.sleep(0)  # an eager task would begin before it is known
    try:
        return await ask()
    except GalileoError as error:
        return error.with_traceback(None)
