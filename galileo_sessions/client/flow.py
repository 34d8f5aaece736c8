"""How many requests at once, and how many a second: learned from what a service accepts. Pure, O(1), no clock."""

from collections.abc import Callable
from math import inf, sqrt

from attrs import frozen

_TICK, _FIRM, _STEP = 0.1, 64, 1.5  # s and answers in a round, at least; growth that has to pay
_FIRST, _CUT, _NARROW = 0.7, 0.85, 0.9  # the rate after the first refusal, after later ones; the width after one
_HOLD, _ENOUGH, _BELOW = 0.5, 20, 0.95  # for so many s and successes, 0.95 of the refused rate is not passed
_SPEED, _SHARE = 2.0, 0.25  # growth a second: 2 sqrt(x), x/4 at most
_SPARE, _EVERY = 5.0, 50  # refusals that change nothing: one in 50 successes, 5 saved up at most
_CLOSED, _LONGEST, _DOUBT = 8, 2.0, 5.0  # refused in a row: a closed door; longest pause; s of hope


@frozen
class Permit:
    """What one request was sent with."""

    at: float
    number: int
    cuts: int
    at_once: int


class FlowControl:
    """The width and the rate at which one client sends."""

    def __init__(
        self,
        maximum: int = 256,
        *,
        now: float = 0.0,
        initial: int = 10,
        rate: float = 100.0,
        patience: float = 90.0,
        is_busy: Callable[[], bool] | None = None,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self._width, self._rate, self._maximum, self._burst = float(initial), rate, maximum, initial
        self._patience, self._is_busy, self._on_change = patience, is_busy or (lambda: False), on_change
        self.in_flight = self._number = self._cuts = self._quiet = self._round_n = self._round_from = 0
        self._slow_start, self._paid_latency = True, 0.0
        self._latency = self._spare = self._mean = self._spread = self._area = self._round_area = self._paid_n = 0.0
        self._refused_width = self._refused_rate = inf
        self._cut_at = self._grown_at = self._last_ok = self._shut_until = self._round_at = self._area_at = now
        self._last_sent, self._binding = -inf, ""
        self._row, self._row_end, self.is_closed, self._closed_at = 0, -1, False, 0.0
        self._probing = self._alive = False
        self._left, self._left_until = 0, -inf

    @property
    def width(self) -> int:
        """Requests that may be under way."""
        return int(self._width + 0.5)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self._rate

    def wait(self, now: float) -> float:
        """Seconds until one may be sent; 0: now; infinite: ask again when something has come back."""
        if now < self._shut_until:
            return self._shut_until - now
        if self._probing if self.is_closed else self.in_flight >= int(self._width + 0.5):
            self._binding = "width"
            return inf
        if self._left <= 0 and now < self._left_until:
            return self._left_until - now
        pace = self._last_sent + 1 / self._rate - now
        if pace <= 0.0002 or self._burst:  # timers are no finer
            return 0.0
        self._binding = "rate"
        return pace

    def sent(self, now: float) -> Permit:
        """Counts one that is sent."""
        self._count(now, +1)
        self._left -= 1
        self._number, self._probing = self._number + 1, self.is_closed
        self._last_sent = max(self._last_sent + 1 / self._rate, now - 0.002)
        cuts, self._burst = -1 if self._burst else self._cuts, max(0, self._burst - 1)
        return Permit(now, self._number, cuts, self.in_flight)

    def succeeded(self, now: float, permit: Permit) -> None:
        """Learns from an answer."""
        self._count(now, -1)
        self._last_ok, self._alive, self._spare = now, True, min(_SPARE, self._spare + 1 / _EVERY)
        self._latency += (now - permit.at - self._latency) / (16 if self._latency else 1)
        if permit.number > self._row_end:
            self._row, self.is_closed, self._probing = 0, False, False
        if permit.cuts in (self._cuts, -1):
            self._quiet += 1
            self._mean += (permit.at_once - self._mean) / (25 if self._mean else 1)
            self._spread += (abs(permit.at_once - self._mean) - self._spread) / 25
        self._grow(now, min(0.25, now - self._grown_at), permit.at_once)
        if permit.number <= self._round_from:
            self._round_at, self._round_area, self._round_n = now, self._area, -1
        self._round_n, lasted, area = self._round_n + 1, now - self._round_at, self._area - self._round_area
        if self._round_n >= (16 if self._slow_start else _FIRM) and lasted >= max(self._latency, _TICK):
            self._judge(now, area / lasted, area / self._round_n)

    def released(self, now: float, permit: Permit) -> None:
        """No word on the load: a 404, a cancellation."""
        self._count(now, -1)
        self._probing = False

    def refused(self, now: float, permit: Permit, retry_after: float | None = None, *, told: bool = False) -> None:
        """503, 504, 529, a time-out; told to come later: a 429, or whatever has a Retry-After."""
        self._count(now, -1)
        self._alive = self._alive or told
        self._grown_at, self._round_from, self._paid_n = now, self._number, 0.0
        self._row, self._row_end = self._row + 1 if permit.number == self._row_end + 1 else 1, permit.number
        if self._row >= _CLOSED and permit.cuts >= 0:
            pause = min(_LONGEST, max(_TICK, (now - self._last_ok) / 2))
            pause = retry_after if retry_after and self.is_closed else pause
            self._closed_at = self._closed_at if self.is_closed else now
            self._shut_until, self.is_closed, self._probing = max(self._shut_until, now + pause), True, False
        if permit.cuts != self._cuts or self._spare >= 1:
            self._spare -= permit.cuts == self._cuts
            return
        if self._row < _CLOSED:
            late = not self._slow_start and now - self._cut_at > _HOLD
            if late and 3 < permit.at_once >= min(self._mean + 1 + self._spread, self._width - 0.5):
                self._refused_width, self._width = permit.at_once - 0.5, max(1.0, _NARROW * (permit.at_once - 1))
            else:
                cut = _FIRST if self._slow_start else _CUT
                self._refused_rate, self._rate = _BELOW * self._rate, max(0.5, self._rate * cut)
            if self._on_change is not None:
                self._on_change(f"width {self.width}, {self.rate:.3g} a second: refused")
        self._cuts, self._cut_at, self._quiet, self._slow_start = self._cuts + 1, now, 0, False

    def shut(self, now: float, seconds: float) -> None:
        """Closes the door for all."""
        self._shut_until = max(self._shut_until, now + seconds)

    def allowance(self, now: float, remaining: int, seconds: float) -> None:
        """What may be sent until the reset."""
        self._left, self._left_until = remaining - self.in_flight, now + seconds

    def is_hopeless(self, now: float) -> bool:
        """Whether the door has been closed for so long that those who wait had better hear it."""
        return self.is_closed and now - self._closed_at > (self._patience if self._alive else _DOUBT)

    def _count(self, now: float, change: int) -> None:
        self._area += self.in_flight * (now - self._area_at)
        self._area_at, self.in_flight = now, self.in_flight + change

    def _climb(self, x: float, refused: float, dt: float, since: float) -> float:
        y = x + dt * (min(_SPEED * sqrt(x), _SHARE * x) + x * min(2.0, max(0.0, since - 1)))
        return y if since > _HOLD and self._quiet >= _ENOUGH else max(x, min(y, refused))

    def _grow(self, now: float, dt: float, at_once: int) -> None:
        if self._slow_start:
            self._width += at_once * 2 >= self._width
            self._rate *= 2 ** (dt / max(self._latency, _TICK)) if self._binding == "rate" else 1
        elif self._binding == "width":
            self._width = min(self._width + 0.25, self._climb(self._width, self._refused_width, dt, now - self._cut_at))
        elif self._binding == "rate":
            self._rate = self._climb(self._rate, self._refused_rate, dt, now - self._cut_at)
        self._width, self._binding, self._grown_at = min(self._width, self._maximum), "", now

    def _judge(self, now: float, n: float, latency: float) -> None:
        """Growth must pay: with half as many again under way, latency may grow by the root of that, not more."""
        self._round_at, self._round_area, self._round_n = now, self._area, 0
        grown = self._paid_n and n >= max(4, _STEP * self._paid_n)
        if grown and latency > self._paid_latency * sqrt(n / self._paid_n) and not self._is_busy():
            self._refused_width, self._width = self._paid_n, max(1.0, min(self._width, _NARROW * self._paid_n))
            self._slow_start, self._cut_at, self._round_from = False, now, self._number
        elif grown or not self._paid_n or n < self._paid_n or latency < self._paid_latency:
            self._paid_n, self._paid_latency = n, latency
