"""
The allowance: how many more requests the service will take until a reset, as its RateLimit headers say.

Theory of operation
===================

A header on a success is only a hint: that request wasn't refused. While the header says that nothing remains, requests
wait; a single count waits for at most 10 s, and then goes out as a probe. If the probe is answered, and its header says
again that nothing remains, the header is wrong. It is then ignored until a refusal confirms it. After a refusal with a
header, a single count waits for as long as its patience lasts. An allowance never raises a limit.
"""

from math import inf

from attrs import define

from galileo_sessions.flow.settings import PATIENCE


@define
class Allowance:
    """How many more requests the service takes: the last header's number minus the requests that have ended since."""

    is_ignored: bool = False
    """Whether a probe has shown that the headers are wrong."""
    _left: float = inf
    _is_confirmed: bool = False
    _told_at: float = -inf
    _resets_at: float = -inf
    _probe: int = 0

    def seconds(self, now: float, in_flight: int) -> float:
        """Seconds for which the header says that nothing remains."""
        return max(0.0, self._resets_at - now) if in_flight >= self._left and not self.is_ignored else 0.0

    def wait(self, now: float, in_flight: int, patience: float) -> float:
        """Seconds until the next request, at most `patience`, which is infinite in a fan-out."""
        longest = patience if self._is_confirmed or patience == inf else min(patience, PATIENCE)
        return min(self.seconds(now, in_flight), max(0.0, self._told_at + longest - now))

    def sent(self, now: float, in_flight: int, number: int) -> None:
        """A request was sent while `in_flight` others were under way."""
        if self.seconds(now, in_flight):
            self._probe = number

    def ended(self, now: float, number: int, told: tuple[int, float] | None, *, passed: bool) -> bool:
        """
        A request has ended. `told` is what its header says: how many requests remain, and for how many seconds.

        Returns:
            Whether the headers are ignored from now on.
        """
        self._left -= 1
        was_ignored, is_probe = self.is_ignored, number == self._probe
        self.is_ignored &= passed
        if told is None:
            return False
        remaining, seconds = told
        self._is_confirmed |= not passed
        if passed and is_probe and not remaining:
            self.is_ignored, self._is_confirmed = True, False
        if now >= self._resets_at or is_probe or not passed:
            self._told_at = now
        self._left, self._resets_at = remaining, now + seconds
        return self.is_ignored > was_ignored
