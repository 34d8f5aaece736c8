"""
What one call may spend: its deadline, its patience, its requests at once, and the line in which
they wait.
"""

from collections.abc import Callable
from math import inf
from typing import Self

from attrs import define, field

from galileo_sessions.flow.settings import PATIENCE

_PARKED = 10  # times `concurrency` counts can be parked
_MANY = 0.25  # the share of queries in trouble from which on it can be the service's
TIMER = 0.001
"""Seconds by which a timer can be early; a call inside another one has at least as many."""


@define(eq=False, repr=False)
class Budget:
    """
    The limits of one call, and its requests that are under way.

    Each stream has a copy of its own. The queue counts the requests of all single calls in one.
    Times are of the loop's clock.
    """

    deadline: float = inf
    """When the call ends; infinite without `timeout=`."""
    patience: float = inf
    """Seconds that a request waits for a service that refuses everything."""
    began: float = -inf
    """When the call began, and its patience at the earliest."""
    is_single: bool = False
    """Whether the call awaits one request after another. All such calls share their lines."""
    concurrency: float = inf
    """How many of its requests may be under way at once."""
    on_wait: Callable[[], None] | None = None
    """
    Called when one of its requests whose query is in trouble begins to wait, again after each
    retry, or ends.
    """
    in_flight: int = field(default=0, init=False)
    """Its requests that are under way."""
    in_trouble: int = field(default=0, init=False)
    """Its requests under way whose queries are in trouble."""
    ended: int = field(default=0, init=False)
    """Its counts that have ended."""
    # Counts whose queries are or were in trouble, and those of them that wait for another count of
    # their query.
    _waiting: int = field(default=0, init=False)
    _following: int = field(default=0, init=False)

    @property
    def most_parked(self) -> float:
        """
        How many of its counts can be parked, apart from those that wait for another one of their
        query.
        """
        return _PARKED * self.concurrency

    @property
    def parked(self) -> float:
        """Its counts that are parked: they wait, and other workers take the next targets."""
        if not self._waiting:
            return 0
        return self._following + min(self._waiting - self._following, self.most_parked)

    @property
    def is_crowded(self) -> bool:
        """Whether no more counts can be parked."""
        return self._waiting - self._following >= self.most_parked

    @property
    def few_are_in_trouble(self) -> bool:
        """
        Whether it is a fan-out's, and less than a quarter of the queries are in trouble, apart from
        one.
        """
        in_trouble = self._waiting - self._following
        return not self.is_single and in_trouble - 1 < _MANY * (in_trouble + self.ended)

    def has_place(self, is_fresh: bool) -> bool:
        """
        Whether one more request may be under way; those for queries in trouble leave half of
        `concurrency`.
        """
        has_half = is_fresh or self.in_trouble + 1 <= max(1, self.concurrency / 2)
        return has_half and self.in_flight < self.concurrency

    def park(self, waiting: int = 0, following: int = 0) -> None:
        """
        Parks `waiting` more counts; `following` more wait for another count of the same query.
        """
        self._waiting += waiting
        self._following += following
        if self.on_wait is not None:
            self.on_wait()

    @classmethod
    def single(cls, seconds: float | None, patience: float, now: float) -> Self:
        """For a call that awaits one request after another; its `timeout=` is its patience, too."""
        if seconds is None:
            return cls(patience=min(patience, PATIENCE), began=now, is_single=True)
        return cls(now + seconds, seconds, now, is_single=True)

    @classmethod
    def fan_out(cls, seconds: float | None, patience: float, now: float) -> Self:
        """
        For a call that counts many targets at once; its `timeout=` takes the place of its patience.
        """
        if seconds is None:
            return cls(patience=patience, began=now)
        return cls(now + seconds)

    def at_most(self, seconds: float, now: float) -> "Budget":
        """The budget of single requests inside this call, which may take so many seconds."""
        return Budget(min(self.deadline, now + seconds), seconds, now, is_single=True)

    def left(self, now: float) -> float | None:
        """
        The seconds until the deadline, for a call inside this one; None if there is no deadline.
        """
        if self.deadline == inf:
            return None
        return max(TIMER, self.deadline - now)
