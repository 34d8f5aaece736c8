"""
The rate: how many requests may be sent in a second.

Theory of operation
===================

Additive increase, multiplicative decrease, as in TCP, brings several clients to equal shares at more than about 14
requests a second; below, growth is multiplicative, too, and shares stay as they are. The rate is unlimited until the
first failure that the width doesn't explain. A failure cuts the rate to 0.85 of the load that was refused::

    rate  |      x refused          x
          |    .' |               .'
          |  .'   |_          _.-'      up to 0.95 of what was refused at first,
          |.'       `.____.--'          beyond it once nothing has been cut for a second

*One cut for one overload.* Requests that were sent before a cut say nothing about the new rate: their refusals don't
cut it again. Nor does any other refusal before a request has got through at the new rate.

*Demand isn't supply.* What got through shows the service's rate only if requests were waiting. If they waited for two
latencies or more, the service can't take much more than what got through. So the rate is cut further, to twice that,
but not below half of the load, because a client that arrives late sees only its small share::

    rate = min(0.85 load, max(2 through, load / 2))

*Quotas.* The breaker shows how much a service takes that refuses everything in between: what got through since it
opened before. But the service may also be back from an outage, so the rate doubles with each success up to the ceiling,
unless the quota before was at least half of it. Single refusals don't cut it below the last quota, which the service is
known to take.

*Growth.* The rate grows only while it is the bottleneck: by its square root each second, faster once nothing has been
cut for a second, or for the time of two requests if that is longer. Each success adds at most 2 %, or up to 8 % once
successes have undone the last cut, so that a rate which an outage or others have pushed down comes back soon. A refusal
at its ceiling is never free. A rate that made no request wait for 30 s is forgotten.

*What it earns.* Without quotas, a service that takes 20 a minute gets 10.8 requests for each count instead of 2.5.
Without the rule of demand, the slowest 3 % of random services take 5.1 times the ideal instead of 4.7. If refusals at
the ceiling were free, eight clients that share a service would send 1.20 requests for each count instead of 1.14.
"""

from math import inf, sqrt

from attrs import define

_CUT = 0.85  # the share of the refused load that a cut leaves
_CEILING = 0.95  # the share of the refused load at which growth stops for a while
_PER_SUCCESS = 0.02  # the most growth with one success
_LOWEST = 0.1  # requests a second; a service that takes fewer gets the circuit breaker's probes


@define(eq=False, repr=False)
class Rate:
    """A limit on requests a second: the learned one, or the one that the user sets, which stays as it is."""

    limit: float = inf
    """Requests a second; infinite while no failure has cut it."""
    epoch: int = 0
    """A number that grows with each cut. It shows which requests were sent before the last cut."""
    through: int = 0
    """Requests that got through since the last cut, or since a fresh one was sent without a wait while none was under
    way."""
    since: float = -inf
    """Since when they are counted."""
    has_passed: bool = False
    """Whether a request of this epoch got through."""
    needed_at: float = inf
    """When it was cut, or last made a request wait, or the breaker did."""
    quota: float = 0.0
    """Requests a second that the breaker let through last; 0 while no quota is known."""
    _ceiling: float = inf
    _cut_at: float = -inf
    _grown_at: float = -inf
    _last_sent: float = -inf
    _was_bottleneck: bool = False
    _doubles: bool = False

    def forget(self, now: float) -> None:
        """Removes the limit."""
        self.limit = self._ceiling = inf
        self._was_bottleneck, self._doubles, self.quota = False, False, 0.0
        self.mark(now)

    def raise_to(self, now: float, limit: float) -> None:
        """Tries a higher rate, without a ceiling, to see whether more is refused."""
        self.limit, self._ceiling, self._doubles, self.needed_at = limit, inf, False, now
        self.mark(now)

    def undo(self, now: float, before: float) -> None:
        """Goes back to an earlier rate, because the cuts since then had another reason than the load."""
        self.limit = max(self.limit, before)
        if self.limit == inf:
            self.forget(now)

    def mark(self, now: float) -> None:
        """Begins a new epoch: requests that were sent earlier say nothing about the new rate."""
        self.epoch, self._cut_at, self.has_passed = self.epoch + 1, now, False
        self.gather(now)

    def gather(self, now: float) -> None:
        """Begins to count the requests that get through."""
        self.through, self.since = 0, now

    def wait(self, now: float, others: float) -> float:
        """Seconds until the next request; `others` is how long the other limits make it wait."""
        pace = self._last_sent + 1 / self.limit - now
        if pace <= others:
            return others
        self._was_bottleneck, self.needed_at = True, now
        return pace

    def sent(self, now: float) -> None:
        """A request was sent."""
        self._last_sent = max(self._last_sent + 1 / self.limit, now)

    def unsent(self) -> None:
        """The request that was counted as sent last wasn't."""
        self._last_sent -= 1 / self.limit

    def explains_refusal(self) -> bool:
        """Whether the rate is limited, and close to a load that was refused."""
        return self._ceiling <= self.limit < inf

    def passed(self, now: float, epoch: int) -> None:
        """A request of this epoch was answered."""
        if epoch == self.epoch:
            self.through, self.has_passed = self.through + 1, True
        if self._was_bottleneck:
            rate, quiet = self.limit, now - self._cut_at - max(1.0, 2 / self.limit)
            undone = max(1.0, min(2.0, self.through * _PER_SUCCESS / (1 - _CUT)))  # how often over the last cut
            most = _PER_SUCCESS * rate * rate * undone * undone
            speed = min(sqrt(rate) + rate * min(2.0, max(0.0, quiet)), most)
            grown = rate + min(1 / rate, now - self._grown_at) * speed
            self.limit = grown if quiet > 0 else max(rate, min(grown, self._ceiling))
        if self._doubles:
            self.limit = max(self.limit, min(2 * self.limit, self._ceiling))
        self._was_bottleneck, self._grown_at = False, now

    def refused(self, now: float) -> None:
        """A request was refused: growth starts again from here."""
        self._grown_at = now

    def cut(self, now: float, load: float, latency: float, quota: float = inf) -> None:
        """
        Cuts the rate.

        Args:
            now: When a request was refused.
            load: Requests a second that were refused.
            latency: Seconds that an answer takes.
            quota: Requests a second that the breaker let through; infinite if that shows nothing.
        """
        elapsed, least = now - self.since, min(self.limit, self.quota)
        through = (self.through + 1) / elapsed if elapsed > 2 * latency else inf
        limit = max(least, min(_CUT * load, max(2 * through, load / 2)))
        self._doubles = 2 * self.quota < quota < inf  # not if the last one was like it
        self.quota = quota if quota < inf else self.quota
        self.limit, self._ceiling, self.needed_at = max(_LOWEST, min(limit, quota)), _CEILING * load, now
        self.mark(now)
