"""
The flow control of one client: when the next request may be sent, and what each answer teaches.

It does no I/O and has no clock: a caller calls `wait(now)`, then `sent(now)`, and gives the permit back with
`ended(now, permit, outcome)`. Four controllers, each with its theory in its own file, don't know each other; only this
file passes values between them. The breaker and the rate each return a wait, and the longer one counts. The width
bounds the requests under way. Noise judges refusals. The first matching line decides::

    an answer                        what changes
    ignored, such as a cancellation  nothing; the same for what is about a query, see `evidence`
    success, 404                     the breaker closes; noise saves; width and rate may grow
    refusal                          while others are under way, nothing is sent until an answer comes, or for two
                                     latencies (2 s until one is known); eight in a row open the breaker
      while the breaker is open      its pause, and no limit
      that uses up a window          noise judges; see quotas in `rate`
      of a probe of the width        the width goes back, unless noise pays (only without a rate, and not on trial)
      sent before the last cut       nothing
      at the rate's ceiling, or      noise judges
      throttled, while there is one
      any other                      nothing if noise pays, else noise judges:
                                     the rate is cut, or all limits are forgotten on trial

What is old is forgotten. A rate that made no request wait for 30 s goes. Once no request has waited or been under way
for 30 s, the client starts as if it were new. Its width is the initial one, or the highest level that was answered if
that is less. Waiting counts as activity: a client that waits a minute for a quota forgets nothing.
"""

from collections.abc import Callable
from math import inf
from typing import TypedDict

from attrs import define

from galileo_sessions.flow.breaker import Breaker
from galileo_sessions.flow.noise import Noise
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.rate import Rate
from galileo_sessions.flow.settings import Limits
from galileo_sessions.flow.width import FLOOR, Width

_QUIET = 30.0  # seconds without a waiting request, after which the client forgets what it learned


@define(eq=False, repr=False)
class Permit:
    """
    The permission to send one request; `FlowControl.ended` takes it back with the outcome.

    Args:
        number: How many requests had been sent, including this one.
        level: How many requests were under way, including this one.
        epoch: The epoch of the rate; a cut begins a new one.
        round: The round of the width.
    """

    number: int
    level: int
    epoch: int
    round: int


class FlowState(TypedDict):
    """What a client allows now, as attempts and progress show it."""

    width: int
    rate: float
    breaker_open: bool


class FlowControl:
    """
    The limits of one client.

    Args:
        limits: How many requests may be under way at once, in the beginning and ever.
        on_change: Called with one sentence for each change of the limits.
    """

    def __init__(self, limits: Limits, on_change: Callable[[str], None] | None = None) -> None:
        self._say: Callable[[str], object] = on_change or str
        self._width = Width(limits.initial, limits.maximum)
        self._rate, self._noise = Rate(), Noise()
        self.breaker: Breaker = Breaker()
        """The circuit breaker."""
        self.in_flight: int = 0
        """Requests that are under way, now."""
        self._number = 0
        self._held_until = -inf
        self._has_waited = False  # whether a request has waited since the last one was sent
        self._busy_until = -inf  # when the last wait ended, or will end

    @property
    def rate(self) -> float:
        """Requests a second, now; infinite while no refusal has cut it."""
        return self._rate.limit

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return int(self._width.limit)

    def state(self) -> FlowState:
        """The width, the rate, and whether only single probes are sent."""
        return {"width": self.width, "rate": self._rate.limit, "breaker_open": self.breaker.is_open}

    def wait(self, now: float, since: float = inf) -> float:
        """
        Seconds until a request may be sent: 0 means now; infinite means to call again after the next answer.

        A single count that has waited since then for a slot goes out after two latencies, at least after a second,
        because the requests that hold the slots may hang.

        Call it only for a request that is ready to be sent, because the call itself is evidence of demand.
        """
        if now - self._busy_until > _QUIET and not self.in_flight:
            self._forget(now)
        if now - self._rate.needed_at > _QUIET:
            self._rate.forget(now)
        self._width.check(now)
        wait = self.breaker.wait(now, self.in_flight)
        if not self.breaker.is_open:
            if self.in_flight >= self.width:
                wait = since + max(1.0, 2 * self._width.latency) - now if self.in_flight < self._width.maximum else inf
            elif self.in_flight:
                wait = max(wait, self._held_until - now)
            wait = max(wait, self._rate.wait(now, wait))
        elif self.rate < inf:
            self._rate.needed_at = now
        self._has_waited |= wait > 0
        self._busy_until = max(self._busy_until, now + wait if wait < inf else now)
        return wait

    def reason(self, now: float) -> str:
        """The limit that requests are waiting for, as a part of a sentence."""
        if self.breaker.is_open:
            seconds = self.breaker.seconds_open(now)
            return f"the circuit breaker: the service has refused everything for {seconds:,.0f} s"
        if self.in_flight >= self.width:
            return f"its turn: {self.in_flight} under way, and the limit is {self.width} at once now"
        if self.rate < inf:
            return f"the service's rate limit (about {self.rate:.3g} requests a second)"
        return f"its turn: {self.in_flight} under way, and the service refuses more" if self.in_flight else "its turn"

    def sent(self, now: float) -> Permit:
        """Counts a request as sent, and returns its permit, which `ended` takes back exactly once."""
        if not self.in_flight and not self._has_waited:
            self._rate.gather(now)  # what got through so far shows the demand, not the supply
            self.breaker.waited = 0.0  # and it is no quota
        self._has_waited, self._number, self._busy_until = False, self._number + 1, max(self._busy_until, now)
        self.in_flight += 1
        self.breaker.sent(now, self._number)
        if not self.breaker.is_open:
            self._rate.sent(now)
        self._width.sent(now, self.in_flight)
        return Permit(self._number, self.in_flight, self._rate.epoch, self._width.round)

    def ended(self, now: float, permit: Permit, outcome: Outcome) -> None:
        """Takes a permit back, and learns from the outcome."""
        self.in_flight -= 1
        self._busy_until = max(self._busy_until, now)
        if outcome.meaning == "ignored":
            self.breaker.released(permit.number)
        elif outcome.meaning == "success":
            self._passed(now, permit, outcome.latency)
        else:
            self._refused(now, permit, outcome)

    def _passed(self, now: float, permit: Permit, latency: float | None) -> None:
        self._held_until = -inf
        if self.breaker.passed(now, permit.number):
            self._say("all requests are sent again: a probe succeeded")
        self._noise.count(refused=False)
        self._width.passed(permit.level, permit.round, latency)
        self._rate.passed(now, permit.epoch)

    def _refused(self, now: float, permit: Permit, outcome: Outcome) -> None:
        width, rate, noise, breaker = self._width, self._rate, self._noise, self.breaker
        was_open = breaker.is_open
        rate.refused(now)
        self._held_until = now + 2 * (width.latency or 1.0)
        if breaker.failed(now, permit.number, outcome.retry_after):
            self._say("only single probes are sent: eight requests in a row failed")
            noise.highest = 0.0
        if was_open:
            return
        noise.count(refused=True)
        if breaker.is_window:
            self._cut(now, permit)
        elif permit.level > width.answered and rate.limit == inf and not noise.is_on_trial:
            if permit.round == width.round and not noise.pays():
                width.refused(permit.round)
        elif permit.epoch == rate.epoch and (rate.explains_refusal(outcome) or not noise.pays()):
            self._cut(now, permit)

    def _cut(self, now: float, permit: Permit) -> None:
        rate, noise, breaker, latency = self._rate, self._noise, self.breaker, self._width.latency or FLOOR
        refused = permit.level / latency if rate.limit == inf else min(rate.limit, self.width / latency)
        quota = inf if noise.is_on_trial else breaker.quota  # on trial, too much was sent
        load = noise.judge(refused, rate.through, breaker.row)
        if load is not None:
            rate.cut(now, load, latency, quota, is_window=breaker.is_window)
            self._say(f"rate {rate.limit:.1f} a second: refused with {permit.level} at once")
        elif noise.is_on_trial:
            rate.forget(now)
            self._width.begin(max(self._width.initial, int(refused * latency)))
            self._say(f"more is tried: {noise.share:.0%} are refused, however little is sent")
        else:
            rate.mark(now)

    def _forget(self, now: float) -> None:
        self._width.forget()
        self._rate.forget(now)
        self._noise, self.breaker = Noise(), Breaker()
