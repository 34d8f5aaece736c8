"""What one call may spend: its deadline, its patience, and the line in which its requests wait."""

from math import inf
from typing import Self

from attrs import frozen

from galileo_sessions.flow.settings import PATIENCE

TIMER = 0.001
"""Seconds by which a timer can be early; a call inside another one has at least as many."""


@frozen(eq=False, repr=False)
class Budget:
    """Made once for each call of a client, and shared by all requests of that call. Times are of the loop's clock."""

    deadline: float = inf
    """When the call ends; infinite without `timeout=`."""
    patience: float = inf
    """Seconds that a request waits for a service that refuses everything."""
    is_single: bool = False
    """Whether the call awaits one request after another. All such calls share one line."""

    @classmethod
    def single(cls, seconds: float | None, patience: float, now: float) -> Self:
        """For a call that awaits one request after another; its `timeout=` is its patience, too."""
        if seconds is None:
            return cls(patience=min(patience, PATIENCE), is_single=True)
        return cls(now + seconds, seconds, is_single=True)

    @classmethod
    def fan_out(cls, seconds: float | None, patience: float, now: float) -> Self:
        """For a call that counts many targets at once; its `timeout=` takes the place of its patience."""
        return cls(patience=patience) if seconds is None else cls(now + seconds)

    def at_most(self, seconds: float, now: float) -> "Budget":
        """The budget of single requests inside this call, which may take so many seconds."""
        return Budget(min(self.deadline, now + seconds), seconds, is_single=True)

    def left(self, now: float) -> float | None:
        """The seconds until the deadline, for a call inside this one; None if there is no deadline."""
        return None if self.deadline == inf else max(TIMER, self.deadline - now)
