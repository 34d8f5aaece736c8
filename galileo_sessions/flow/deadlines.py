"""The deadlines of all tasks of a client, which share one timer."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, cast


class Deadlines:
    """
    The deadlines of one event loop's tasks, with a single timer: a timer for each would cost a
    tenth of a count's time.

    The timer is set for the earliest deadline. When it rings, it is set for the earliest deadline
    that is left. Nearly all blocks end long before their deadlines, so it rings about once in the
    time that a block may take.
    """

    def __init__(self) -> None:
        self.pending: dict[asyncio.Task[Any], float] = {}
        """When the block of each task ends at the latest."""
        self._timer: asyncio.Handle | None = None
        self._rings_at = inf

    def add(self, task: asyncio.Task[Any], when: float) -> None:
        """Cancels a task at a time, unless it isn't pending any more."""
        self.pending[task] = when
        if when < self._rings_at:
            self._set_timer(when)

    def drop_timer(self) -> None:
        """Drops the timer, unless a deadline is pending."""
        if not self.pending:
            self._set_timer(inf)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = None if when == inf else asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        for task in [task for task, when in self.pending.items() if when <= self._rings_at]:
            del self.pending[task]
            _ = task.cancel()
        self._set_timer(min(self.pending.values(), default=inf))


class Deadline:
    """
    `with Deadline(deadlines, when):` does for a task what `async with asyncio.timeout_at(when):`
    does.

    The code after the block runs if the deadline has ended it; nothing is raised. Other
    cancellations take precedence. A task has one such block at a time.
    It is a class, because a generator takes three times as long.
    """

    __slots__ = ("_cancelling", "_pending", "_task")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._task = task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelling = task.cancelling()
        self._pending = deadlines.pending
        deadlines.add(task, when)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        has_passed = self._pending.pop(self._task, None) is None
        return (
            has_passed
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        )
