"""
The rate: how many requests may be sent in a second.

It is unlimited until a failure that the width doesn't explain. The first such failure cuts it to
half of the load that was refused, a later one to 0.85. Each overload cuts it once: requests that
were sent before a cut don't cut it again, nor does any other before a request has got through at
the new rate. If two latencies or more have passed since the last cut, the rate is cut further, to
twice of what got through meanwhile, but not below half of the load. While it is the bottleneck, it
grows by its square root each second, by at most 2 % with each success. Once ten requests have got
through since the last cut, and a second has passed, it doubles each second, by at most 8 % with
each success.

A cut is undone if the query whose failure made it fails again, and by its own fault. Then the rate
is what it was before, unless later cuts still stand. Those before the eight latest ones, and before
a trial, can't be undone.

*Noise* is what fails however little is sent. Each answer saves a sixteenth of a failure, up to
four; a new client has saved four. A failure that these savings pay for cuts nothing. And if cuts
don't help, the load isn't the reason: once the refused load has fallen to three tenths of the
highest one, while at most six tenths of the fresh queries fail, a trial begins. The rate is sixteen
times the load then, 32 failures are saved, and each answer saves twice the failures that it would
have to pay for. The trial was right if 64 of its requests are answered before the savings are used
up; the rate is then unlimited. Otherwise it goes back to the load before, or to what was answered
in a second of the trial if that is more, and at least 16 requests were.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import inf, sqrt

from attrs import define, field

_CUT = 0.85  # the share of the refused load that a cut leaves
_GROWTH, _FAST_GROWTH = 0.02, 0.08  # the most growth with a success: soon after a cut, and later
_CUTS = 8  # that can be undone
_CALM = 10  # answers since the last cut, after which it grows faster
LOWEST = 0.1
"""
The lowest rate. A service that takes fewer requests a second gets the circuit breaker's probes.
"""
_FREE = 16  # answers that pay for one failure
_SAVED = 4.0  # failures that can be paid for beforehand
_ANSWERS = 64  # that prove a trial right
_TRIAL = 16  # times the load
_TRIAL_SAVED = 32.0  # failures that can be paid for in a trial
_FEW = 0.3  # how far the load falls before a trial; noise can explain twice that share of failures


@define(eq=False, repr=False)
class Pace:
    """Spaces requests evenly; it isn't learned."""

    limit: float = inf
    """Requests a second; infinite without a limit."""
    _last_sent: float = -inf

    def wait(self, now: float, others: float) -> float:
        """Seconds until the next request; `others` is how long the other limits make it wait."""
        return max(others, self._last_sent + 1 / self.limit - now)

    def sent(self, now: float) -> None:
        """A request was sent."""
        self._last_sent = max(self._last_sent + 1 / self.limit, now)

    def unsent(self) -> None:
        """The permit for a request was given back."""
        self._last_sent -= 1 / self.limit


@define(eq=False, repr=False)
class Rate(Pace):
    """The learned limit on requests a second."""

    limit: float = inf
    """Requests a second; infinite while no failure has cut it."""
    cut_at: float = -inf
    """When it was set; requests that were sent before say nothing about it."""
    needed_at: float = inf
    """When it was set, or last made a request wait, or the breaker did."""
    _tried: float = 0.0  # the load at which the trial began that is going on, or 0
    # The highest load, in requests a second, at which fewer than half of the fresh queries failed.
    _highest: float = 0.0
    _saved: float = _SAVED
    _per_answer: float = 1 / _FREE
    _through: int = 0  # requests that were answered since the last cut
    _grown_at: float = -inf
    _was_bottleneck: bool = False
    # Whose failures made the cuts, and the rates before them.
    _cuts: OrderedDict[Hashable, float] = field(factory=OrderedDict)

    def wait(self, now: float, others: float) -> float:
        """Seconds until the next request; `others` is how long the other limits make it wait."""
        wait = super().wait(now, others)
        if wait > others:
            self._was_bottleneck = True
            self.needed_at = now
        return wait

    def passed(self, now: float, sent_at: float) -> None:
        """A request was answered."""
        self._saved = max(self._saved, min(_SAVED, self._saved + self._per_answer))
        self._through += sent_at >= self.cut_at
        if self._tried and self._through >= _ANSWERS:  # the trial was right
            self._tried = 0.0
            self._set(now, inf)
        if self._was_bottleneck:
            self._grow(now)
        self._was_bottleneck = False
        self._grown_at = now

    def undo(self, trouble: Hashable) -> None:
        """
        Undoes the cut that the failure of a query made, if it did, since the query fails by its own
        fault.
        """
        if trouble not in self._cuts:
            return
        cuts = [*self._cuts, None]
        later = cuts[cuts.index(trouble) + 1]
        before = self._cuts.pop(trouble)
        if later is None:
            self.limit = max(self.limit, before)
        else:
            self._cuts[later] = max(self._cuts[later], before)

    def is_paid(self, now: float, sent_at: float) -> bool:
        """
        Whether a failure cuts nothing: it is of the same overload as the last cut, or savings pay
        for it.
        """
        self._grown_at = now
        if sent_at < self.cut_at or (self.limit < inf and not self._through):
            return True
        is_paid = self._saved >= 1
        self._saved -= is_paid
        return is_paid

    def cut(self, now: float, load: float, latency: float, share: float, trouble: Hashable) -> None:
        """
        Cuts the rate, begins a trial, or ends one that was wrong.

        Args:
            now: When a request failed.
            load: Requests a second that were refused.
            latency: Seconds that an answer takes.
            share: The share of fresh queries that failed lately.
            trouble: That of the query that failed.
        """
        elapsed = now - self.cut_at
        if self._tried:  # the trial was wrong
            self._highest = load = self._tried
            if self._through >= _FREE:
                load = max(load, self._through / elapsed)
        elif share <= 2 * _FEW and load <= _FEW * self._highest:
            self._cuts.clear()
            self._tried = load
            self._saved = _TRIAL_SAVED
            self._per_answer = max(1 / _FREE, 2 * share)
            self._set(now, _TRIAL * load)
            return
        else:
            _ = self._cuts.setdefault(trouble, self.limit)
            if len(self._cuts) > _CUTS:
                _ = self._cuts.popitem(last=False)
            if 2 * share < 1:
                self._highest = max(self._highest, load)
        self._tried = 0.0
        self._per_answer = 1 / _FREE
        limit = _CUT * load
        if elapsed > 2 * latency:
            through = (self._through + 1) / elapsed
            limit = min(limit, max(2 * through, load / 2))
        self._set(now, max(LOWEST, limit))

    def _set(self, now: float, limit: float) -> None:
        self.limit = limit
        self.cut_at = self.needed_at = now
        self._through = 0
        self._was_bottleneck = False

    def _grow(self, now: float) -> None:
        rate = self.limit
        calm = now - self.cut_at - 1.0
        speed = sqrt(rate)
        longest_step = _GROWTH * rate
        if self._through >= _CALM and calm > 0:
            speed += rate * min(2.0, calm)
            longest_step = _FAST_GROWTH * rate
        self.limit += min(longest_step, min(1 / rate, now - self._grown_at) * speed)
