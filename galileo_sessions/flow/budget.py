"""What one call may spend: its deadline, its patience, and the line in which its requests wait."""

import asyncio
from math import inf
from typing import Self

from attrs import evolve, frozen

from galileo_sessions.flow.settings import PATIENCE


@frozen
class Budget:
    """Made once for each call of a client, and shared by all requests of that call."""

    deadline: float = inf
    """When the call ends, on the loop's clock; infinite without `timeout=`."""
    patience: float = inf
    """Seconds that a request waits for a service that refuses everything."""
    is_single: bool = False
    """The line in which its requests wait: each single one, which is awaited on its own, is sent before fan-outs."""

    @classmethod
    def single(cls, seconds: float | None, patience: float) -> Self:
        """For a call that awaits one request after another; its `timeout=` is its patience, too."""
        if seconds is None:
            return cls(patience=min(patience, PATIENCE), is_single=True)
        return cls(asyncio.get_running_loop().time() + seconds, seconds, is_single=True)

    @classmethod
    def fan_out(cls, seconds: float | None, patience: float) -> Self:
        """For a call that counts many targets at once."""
        return cls(inf if seconds is None else asyncio.get_running_loop().time() + seconds, patience)

    def left(self) -> float | None:
        """The seconds until the deadline, for a call inside this one; None if there is no deadline."""
        return None if self.deadline == inf else max(0.001, self.deadline - asyncio.get_running_loop().time())

    def at_most(self, seconds: float) -> "Budget":
        """The budget of a single request inside this call, which may take so many seconds."""
        end = min(self.deadline, asyncio.get_running_loop().time() + seconds)
        return evolve(self, deadline=end, patience=seconds, is_single=True)
