"""
The allowance: how many more requests the service will take until a reset, as its RateLimit headers say.

Theory of operation
===================

A header on an answer is a hint: it wasn't this request that was refused. While the header says that nothing remains,
requests wait, but a single count for no longer than 10 s. Then it goes out as a probe. If it is answered, and the
header says the same again, the header is wrong, and is ignored until a refusal confirms it. Once a refusal has come
with a header, headers count for as long as the caller's patience lasts. An allowance never raises a limit.
"""

from math import inf

from attrs import define

from galileo_sessions.client.settings import PATIENCE


@define
class Allowance:
    """What remains, of all that the service had not seen when it said so."""

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
        """Seconds until the next request, which waits for at most `patience` seconds; infinite in a fan-out."""
        longest = patience if self._is_confirmed or patience == inf else min(patience, PATIENCE)
        return min(self.seconds(now, in_flight), max(0.0, self._told_at + longest - now))

    def sent(self, now: float, in_flight: int, number: int) -> None:
        """A request was sent while so many others were under way."""
        if self.seconds(now, in_flight):
            self._probe = number

    def ended(self, now: float, number: int, told: tuple[int, float] | None, *, passed: bool) -> bool:
        """
        An answer came, with what it says remains and for how many seconds.

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
