"""Deadlines that share one timer, because a timer for each request would cost a tenth of a count."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, cast


class Deadlines:
    """
    The deadlines of the tasks of one event loop.

    The timer is set for the earliest deadline. When it rings, it is set for the earliest of those that are left. Nearly
    all blocks end long before their deadlines, so it rings about once in the time that a block may take.
    """

    def __init__(self) -> None:
        self._pending: set[Deadline] = set()
        self._timer: asyncio.Handle | None = None
        self._rings_at = inf

    def at(self, when: float) -> Deadline:
        """`with deadlines.at(when):` does for a task what `async with asyncio.timeout_at(when):` does."""
        return Deadline(self, when)

    def add(self, deadline: Deadline) -> None:
        """Cancels the task when the deadline passes, unless it is removed before."""
        self._pending.add(deadline)
        if deadline.when < self._rings_at:
            self._set_timer(deadline.when)

    def remove(self, deadline: Deadline) -> bool:
        """Whether the deadline hadn't passed."""
        if deadline not in self._pending:
            return False
        self._pending.remove(deadline)
        return True

    def drop_timer(self) -> None:
        """Leaves no timer behind, unless a deadline is pending."""
        if not self._pending:
            self._set_timer(inf)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = None if when == inf else asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        for deadline in [deadline for deadline in self._pending if deadline.when <= self._rings_at]:
            self._pending.remove(deadline)
            _ = deadline.task.cancel()
        self._set_timer(min((deadline.when for deadline in self._pending), default=inf))


class Deadline:
    """A block of the current task that ends with a TimeoutError when its time is over. Other cancellations win."""

    __slots__ = ("_all", "_cancelling", "task", "when")

    def __init__(self, all_of_them: Deadlines, when: float) -> None:
        self.when: float = when
        self.task: asyncio.Task[Any] = cast("asyncio.Task[Any]", asyncio.current_task())
        self._all = all_of_them
        self._cancelling = self.task.cancelling()

    def __enter__(self) -> None:
        self._all.add(self)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._all.remove(self):
            return
        if self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError
