"""
The width: how many requests may be under way at once.

More requests under way are worthwhile as long as the service answers more of them in the same time.
By Little's law, throughput is the level, the number of requests under way, divided by the latency.
Let `s` be the slope of the logarithm of the latency over the logarithm of the level: at s = 0,
twice the level gives twice the throughput; at s = 1, a higher level gains nothing. The width grows
while s < 1/2, in proportion to 1 - 2 s, and shrinks while s > 1/2.

A round is half as many requests as the width allows, sent while at least half of it was in use. The
width is judged when they are answered. The slope is fitted to their points, and to those of the
round before; one standard error is subtracted. If the answers are late by two latencies, or a
request above the highest level that was answered (a probe) is refused, the width goes back to that
level. The first round can double the width, later ones add half to it until the first setback, and
an eighth from then on.
"""

from math import exp, inf, log, sqrt
from statistics import fmean

# Seconds. The client itself causes shorter latencies, so they say nothing about the service's load.
FLOOR = 0.01
_FIRST, _FAST, _SLOW = 2.0, 1.5, 1.125  # steps up: the first one, before a setback, after it
_SHRINK = 0.25  # the width is divided by 1.25 for a slope of 1, and by at most 1.5
_LEAST = 4  # the fewest answers for a round, and for a slope
# Added to the levels' variance: without it, a width that doesn't change would give any slope.
_RIDGE = 0.01


def slope(points: list[tuple[float, float]]) -> float:
    """The slope of a line through points, one standard error lower."""
    n = len(points)
    x_mean = fmean(x for x, _ in points)
    y_mean = fmean(y for _, y in points)
    xx = _RIDGE + sum((x - x_mean) ** 2 for x, _ in points)
    xy = sum((x - x_mean) * (y - y_mean) for x, y in points)
    yy = sum((y - y_mean) ** 2 for _, y in points)
    return xy / xx - sqrt(max(0.0, yy - xy * xy / xx) / (n * xx))


class Width:
    """
    The learned limit on requests under way.

    Args:
        initial: The width before anything is known.
        maximum: The largest width.
    """

    def __init__(self, initial: int, maximum: int) -> None:
        self.maximum: int = maximum
        self.round: int = 0
        """
        The number of the round; answers to requests of earlier rounds say nothing about this width.
        """
        self.limit: float = float(initial)
        """Requests that may be under way at once; only the integer part counts."""
        self.answered: int = initial
        """The highest level that was answered lately; a request above it is a probe."""
        self.latency: float = 0.0
        """Seconds that an answer took lately; 0 before the first."""
        self._step = _FIRST
        # Logarithms of level and latency, in this round, and in the round before.
        self._points: list[tuple[float, float]] = []
        self._before: list[tuple[float, float]] = []
        self._begin_round()

    def sent(self, now: float, level: int) -> None:
        """A request was sent, with `level` requests under way."""
        if 2 * level >= self.limit:
            self._sent += 1
            if self._sent == self._needed and self.latency:
                self._late_at = now + 2 * self.latency

    def check(self, now: float) -> None:
        """Undoes the last step up if the answers of the round are late."""
        if now > self._late_at and self.answered < int(self.limit):
            self.narrow(self.answered)

    def passed(self, level: int, round_: int, latency: float | None) -> None:
        """
        A request was answered.

        Args:
            level: How many were under way when it was sent.
            round_: The round in which it was sent.
            latency: Seconds that the answer took, or None if they say nothing about the load.
        """
        if round_ != self.round or 2 * level < self.limit:
            return
        self._ended += 1
        self.answered = max(self.answered, level)
        if latency is not None:
            self._points.append((log(level), log(max(FLOOR, latency))))
            self.latency = self.latency or max(FLOOR, latency)
        if self._ended >= self._needed:
            self._judge()

    def narrow(self, width: float) -> None:
        """A setback: goes back to a smaller width."""
        self.limit = max(1.0, width)
        self._step = _SLOW
        self.answered = min(self.answered, int(self.limit))
        self._begin_round()

    def _begin_round(self) -> None:
        self.round += 1
        self._sent = self._ended = 0
        self._late_at = inf
        self._needed: int = max(_LEAST, int(self.limit / 2))

    def _judge(self) -> None:
        points = self._before + self._points
        self._before, self._points = self._points, []
        gain = 1.0
        if len(points) >= _LEAST:
            gain = min(gain, 1 - 2 * slope(points))
        if points:
            self.latency = exp(fmean(y for _, y in points))
        if gain < 0:
            self.narrow(self.limit / (1 + _SHRINK * min(2.0, -gain)))
            return
        self.answered = int(self.limit)
        self.limit = min(self.maximum, self.limit * (1 + gain * (self._step - 1)))
        self._step = min(self._step, _FAST)
        self._begin_round()
