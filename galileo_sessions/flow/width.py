"""
The width: how many requests may be under way at once.

Theory of operation
===================

More requests under way are worthwhile as long as the service answers more of them in the same time. By Little's law,
throughput is the level, the number of requests under way, divided by the latency. Let `s` be the slope of the logarithm
of the latency over the logarithm of the level: at s = 0, twice the level gives twice the throughput; at s = 1, a higher
level gains nothing. The width grows while throughput grows faster than the square root of the level, that is, while
s < 1/2, and in proportion to 1 - 2 s. It shrinks while s > 1/2::

    latency     |                    x  s > 1/2: narrower
    (log)       |                 x
                |              x        s = 1/2: as it is
                | x   x   x  x          s = 0: wider
                +---------------------  level (log)

*Rounds.* A round is half as many requests as the width allows, sent while at least half of it was in use. The width is
judged when they are answered, so it never grows past what has been answered. If they aren't answered within two
latencies of sending the last one, that is evidence enough: a width that has just grown goes back to the one before.

*Slope.* The slope is fitted to the points of a round, and to those of earlier rounds, each with half of the weight of
the next. One standard error is subtracted, so that scattered latencies aren't mistaken for a service that slows down.

*Memory.* Where several clients share a service, each sees only its own part of the slope, and all would grow. So a
round is also compared with the best one, by throughput divided by the root of the level. If the best one is worth more
than 1.25 times as much, the width shrinks for as long as that helps. If it doesn't help, the service itself has become
slower, and the best round is forgotten. The spread of all known latencies, and the size of a round, say how sure its
worth is, by two standard errors: four quick answers in a row can be luck.

*Steps.* The first round can double the width. Later rounds add half to it until the first setback, and an eighth from
then on, because the limit is near.

*Refusals.* A request above the highest level that was answered is a probe; at the beginning, that level is the width.
If a probe is refused, the width goes back to that level, which is often the previous width.

A latency below 10 ms counts as 10 ms, because the client itself causes most of it.

*What it earns.* Without the standard error, the slowest tenth of random services takes 2.8 times the ideal instead of
2.5. Without the check of late rounds, 9 of 612 services lose counts instead of 7. Without the best round, three
clients that share a service which slows down take 2 to 9 times the ideal instead of 1.3 to 1.9.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt

from attrs import define

FLOOR = 0.01  # seconds; shorter latencies say nothing about the service's load
_FIRST, _FAST, _SLOW = 2.0, 1.5, 1.125  # steps up: the first one, before a setback, after it
_SHRINK = 0.25  # the width is divided by 1.25 for a slope of 1, and by at most 1.5
_LEAST = 4  # the fewest answers for a round, and for a slope
_RIDGE = 0.01  # added to the levels' variance: without it, a width that doesn't change would give any slope


@define(eq=False, repr=False)
class Points:
    """A line through points of level and latency, on logarithmic scales, as running means and sums of squares."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def add(self, x: float, y: float) -> None:
        """Adds a point."""
        self.n += 1
        dx, dy = x - self.x, y - self.y
        self.x, self.y = self.x + dx / self.n, self.y + dy / self.n
        self.xx += dx * (x - self.x)
        self.xy += dx * (y - self.y)
        self.yy += dy * (y - self.y)

    def fade(self) -> None:
        """Halves the weight of all points."""
        self.n, self.xx, self.xy, self.yy = self.n / 2, self.xx / 2, self.xy / 2, self.yy / 2

    def slope(self) -> float:
        """The slope of the line, one standard error lower; 0 while there are too few points."""
        if self.n < _LEAST:
            return 0.0
        xx = self.xx + _RIDGE
        slope = self.xy / xx
        return slope - sqrt(max(0.0, self.yy - slope * self.xy) / (self.n * xx))


class Width:
    """
    The learned limit on requests under way.

    Args:
        initial: The width before anything is known.
        maximum: The largest width.
    """

    def __init__(self, initial: int, maximum: int) -> None:
        self.initial: int = initial
        self.maximum: int = maximum
        self.round: int = 0
        """The number of the round; answers to requests of earlier rounds say nothing about this width."""
        self.begin(initial)

    def begin(self, width: int) -> None:
        """Forgets everything, and begins with this width."""
        self.limit: float = float(width)
        """Requests that may be under way at once; only the integer part counts."""
        self.answered: int = width
        """The highest level that was answered lately; a request above it is a probe."""
        self.latency: float = 0.0
        """Seconds that an answer took in the last round; 0 before the first."""
        self._back, self._step = 0.0, _FIRST  # the width before the last step up, or 0; the factor of the next one
        self._points, self._known = Points(), Points()  # since the last verdict; of all, the older the lighter
        self._best = self._fallen_to = -inf  # logarithms of worth: of the best round; of the last, if it fell short
        self._begin_round()

    def forget(self) -> None:
        """Begins like a new client, or with the highest level that was answered, if that is less."""
        self.begin(min(self.initial, self.answered))

    def sent(self, now: float, level: int) -> None:
        """A request was sent, with `level` requests under way."""
        if 2 * level >= self.limit:
            self._sent += 1
            if self._sent == self._needed and self.latency:
                self._late_at = now + 2 * self.latency

    def check(self, now: float) -> None:
        """Undoes the last step up if the answers of the round are late."""
        if now > self._late_at and self._back:
            self._narrow(self._back)

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
            latency = max(FLOOR, latency)
            x, y = log(level), log(latency)
            self._points.add(x, y)
            self._known.add(x, y)
            self.latency = self.latency or latency
        if self._ended >= self._needed:
            self._judge()

    def refused(self) -> None:
        """A probe of this round was refused."""
        self._narrow(self.answered)

    def _begin_round(self) -> None:
        self.round, self._sent, self._ended, self._late_at = self.round + 1, 0, 0, inf
        self._needed: int = max(_LEAST, int(self.limit / 2))

    def _judge(self) -> None:
        points, self._points = self._points, Points()
        has_fallen = bool(points.n) and self._has_fallen(points)
        self.latency = exp(points.y) if points.n else self.latency
        gain = -2.0 if has_fallen else min(1.0, 1 - 2 * self._known.slope())
        self._known.fade()
        if gain < 0:
            self._narrow(self._back or self.limit / (1 + _SHRINK * min(2.0, -gain)))
            return
        self.answered = int(self.limit)
        wider = min(self.maximum, self.limit * (1 + gain * (self._step - 1)))
        self._back = self.limit if int(wider) > int(self.limit) else 0.0
        self.limit, self._step = wider, min(self._step, _FAST)
        self._begin_round()

    def _has_fallen(self, points: Points) -> bool:
        """Whether a round is worth less than the best one, and narrowing still helps."""
        error, worth = 2 * sqrt(max(0.0, self._known.yy) / self._known.n / points.n), points.x / 2 - points.y
        self._best = max(self._best, worth - error)
        has_fallen = worth + error < self._best - log(1 + _SHRINK)
        if has_fallen and worth <= self._fallen_to:  # the service itself has become slower
            self._best, has_fallen = worth, False
        self._fallen_to = worth if has_fallen else -inf
        return has_fallen

    def _narrow(self, width: float) -> None:
        self.limit, self._back, self._step = max(1.0, width), 0.0, _SLOW
        self.answered = min(self.answered, int(self.limit))
        self._begin_round()
