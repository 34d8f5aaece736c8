"""
How many requests at once, and how many a second: both are learned from what a service accepts.

Theory of operation
===================

A service limits its clients by how many requests it serves at once, and by how many it takes a second. It rarely says
which. So two limits are learned: the *width* bounds the requests under way, and the *rate* spaces them out.

1. *Until the first refusal, answers are the clock.* No rate exists, and the width alone limits. After each refusal
   nothing is sent until something has been answered, or four latencies have passed.

2. *Growth is tried, judged, and then kept.* A trial adds extra requests to the proven width, two for each answer, and
   replaces none of them before it is judged. An extra request counts for the new width if its latency has risen by no
   more than the root of what is under way, so that throughput has risen by at least the root as well; one that takes
   longer, or is refused, counts against it. Half of them decide, so outliers don't matter. Trials double the width,
   and add a quarter after the first one that failed::

       width         |        x x failed: the service takes 30 at once
                     |    ....:...
                     |   |    :   |......:..... proven
                     | .-'    x        x
                     |'  one trial per latency    then one per 16 latencies

   The mirror image: after a failed trial a smaller width is tried, and kept if as much gets through. Then services
   where more at once buys nothing end at a few. Latencies below 0.01 s, and all while the caller itself is busy, are
   no evidence against a width.

3. *Refusals during a trial count against the width; all others cut the rate.* The first cut creates it, from what is
   under way. What was sent before a cut doesn't cut again. While requests are refused, what gets through is the
   service's rate, so a rate that is more than four times as high is cut to that, by at most a factor of five, since a
   latecomer's share is small at first. A service that lets one request through after a long wait gets exactly that
   rate; since it may also have been away, the rate doubles with each success until the next refusal.

4. *A rate grows while it is what is waited for*: by 1.4 times its root a second, at most by 2 % per success, and faster
   after a quiet second. It stops at 0.95 of what was refused until a second has passed. Cuts multiply
   and growth adds, so several clients come to equal shares.

5. *Where cuts don't help, more is tried.* Refusals that come however little is sent, such as those of one broken
   replica in ten, would cut the rate for ever. If it has fallen to a third and few are refused, or if hardly anything
   passed after each of 14 cuts, the client begins again to double, and lets successes pay for more refusals than there
   were. 80 successes before the next cut show that refusals don't depend on the load.

6. *Eight failures in a row* open the circuit breaker (`breaker`). After it has closed, answers are the clock again: no
   more than twice as many are under way as have succeeded since. *An allowance* (RateLimit headers) holds until its
   reset, and never raises a limit.

Invariants: when one is sent, under way <= width, or it is a probe; 1 <= width <= maximum; with nothing under way the
wait is finite; a refusal of what was sent before a cut doesn't cut. Decisions take `now`, in seconds of a clock that
never goes back, hold no clock, and are O(1).

Each constant names the weathers (`tests/support/weather_table.py`) that miss their bounds with another value.
"""

from collections.abc import Callable
from math import inf, sqrt

from attrs import define

from galileo_sessions.client.flow.breaker import FAILURES, GIVE_UP_IF_NEVER_ANSWERED, CircuitBreaker

# The width.
_FLOOR = 0.01  # seconds of latency; shorter ones are the client's own ("queue 8 x 20 ms, spread", "8 share 40 at once")
_DOUBLE, _STEP = 2.0, 1.25  # times as many are tried (small jobs; "3 share what melts beyond 16", "slower by 1.1 ...")
_SAMPLES = 16  # answers that the latency is learned from ("queue 8 x 20 ms, spread", "8 share 40 at once")
_AS_GOOD = 1.05  # times the latency that keeps up the throughput ("melts beyond 12", "3 share what melts beyond 16")
_REST = 16  # latencies between a trial that failed and the next ("3 share ...", "1 % 503", "melts beyond 12")
# The rate.
_CUT = 0.85  # of the rate is left ("20 a second, burst 1", "8 share 40 at once")
_FAR_BELOW, _DEEPEST_CUT = 0.25, 0.2  # of the rate, is evidence; is left at least ("20 a second, burst 1", low rates)
_ONE_BY_ONE = 0.5  # seconds of a wait after which one request passes: the rate ("20 a minute", "120 a minute")
_LOWEST = 0.1  # requests a second; what takes less is served by the breaker's probes ("30 % 503", "three share ...")
_SPEED, _PER_SUCCESS = 1.4, 0.02  # growth: times the root a second; of the rate, at most ("200 a second"; "5 a second")
_BELOW = 0.95  # of what was refused isn't passed at once ("20 a second, burst 1")
_HELD = 4  # latencies for which nothing is sent after a refusal, unless an answer comes (low rates)
_QUIET = 1.0  # seconds without a cut ("1000 a second, burst 100", "away for 20 s")
# Refusals that don't depend on the load.
_SEEN = 64  # answers over which the refused share is averaged ("10 % 503", "50 a second, burst 50")
_LEAST_SAVED, _SAVED_FOR = 5.0, 32  # refusals that can be paid for beforehand, or the share of so many answers ("30 %")
_TIMES, _ENOUGH = 4.0, 80  # the share is spared; successes show that it pays ("10 % 503"; "8 share 40 at once")
_MARGIN = 0.4  # refusals for each success that are spared besides a large share ("50 a second, burst 50"; "30 % 503")
_FALLEN = 3.0  # times lower than the highest: cuts haven't helped ("1 % 503", "10 % 503")
_CREDIBLE = 20  # successes before a cut that make its load credible ("20 a second, burst 1", "120 a minute, burst 10")
_FEW, _IN_VAIN = 8, 14  # successes; cuts with fewer in a row haven't helped ("30 % 503")
_MOST_REFUSED = 0.25  # a larger share is no noise ("100 a second, refusals count")


@define
class Permit:
    """
    What a request was sent with; it goes back with the answer.

    Args:
        at: When it was sent.
        number: How many had been sent, this one included.
        at_once: How many were under way, this one included.
        cuts: How often the rate had been cut.
        trial: The trial of another width that was on, or 0.
        is_extra: Whether it was one of the requests that the trial sent in addition.
    """

    at: float
    number: int
    at_once: int
    cuts: int
    trial: int
    is_extra: bool


@define
class _Width:
    """The width that has proved worthwhile, and the trial of another one."""

    maximum: int
    goal: int
    """The width that is being tried; at first, the initial one."""
    proven: int = 0
    """The width that has proved worthwhile; 0 before the first has."""
    latency: float = 0.0
    """Seconds that an answer takes at the proven width."""
    trial: int = 1
    """The number of the trial."""
    accepted: int = 0
    """The number of the last trial that passed."""
    is_on: bool = True
    """Whether a trial is on."""
    opened: int = 0
    """How many extra requests the trial may send so far, of `needed`."""
    out: int = 0
    """How many of them are under way."""
    good: int = 0
    """Votes for the new width."""
    bad: int = 0
    """Votes against it."""
    needed: int = 0
    """Votes that there are at most."""
    last_extra: float = inf
    """When the last extra request was sent."""
    grows: bool = True
    """Whether the next trial is of a larger width."""
    failed: bool = False
    """Whether a trial of a larger width has failed, so that they grow by less."""
    next_at: float = -inf
    """When the next trial can begin."""
    samples: int = 0
    """How many latencies have been learned, up to `_SAMPLES`."""

    def __attrs_post_init__(self) -> None:
        self.opened = self.needed = self.goal

    @property
    def is_wider(self) -> bool:
        """Whether a larger width is being tried."""
        return self.is_on and self.goal > self.proven

    @property
    def limit(self) -> int:
        """How many requests may be under way at once."""
        if self.is_wider:
            return self.proven + self.opened - self.good - self.bad
        return self.goal if self.is_on else self.proven

    def sent(self, now: float, at_once: int) -> tuple[int, bool]:
        """The trial to which a request belongs that is sent now, and whether it is an extra one."""
        if self.is_wider:
            if at_once > self.proven + self.out and self.out + self.good + self.bad < self.opened:
                self.out, self.last_extra = self.out + 1, now
                return self.trial, True
            return (self.trial if self.out else 0), False
        return (self.trial if self.is_on else 0), False

    def succeeded(self, now: float, permit: Permit, latency: float | None) -> bool:
        """Learns from a latency, if it says anything, and judges; returns whether the proven width has changed."""
        is_sample = self.is_on and permit.trial == self.trial and (permit.is_extra or not self.is_wider)
        if latency is not None and (permit.trial in (0, self.accepted) or not self.proven):
            self._learn(latency)
        if is_sample:
            return self._sample(now, permit, latency)
        if self.is_wider:
            self.opened = min(self.opened + 2, self.needed)
            is_late = now > self.last_extra + self.latency * sqrt(self.goal / max(1, self.proven))
            return is_late and latency is not None and self._end(now, passed=False)
        if not self.is_on and now >= self.next_at:
            self._begin()
        return False

    def _sample(self, now: float, permit: Permit, latency: float | None) -> bool:
        if self.is_wider:
            self.out -= 1
            allowed = self.latency * sqrt(permit.at_once / max(1, self.proven))
            return self.vote(now, good=latency is None or latency <= allowed)
        if permit.at_once > self.goal:
            return False
        return self.vote(now, good=latency is not None and latency <= self.latency * _AS_GOOD * self.goal / self.proven)

    def vote(self, now: float, *, good: bool) -> bool:
        """Counts for or against the width that is being tried."""
        self.good, self.bad = self.good + good, self.bad + (not good)
        if 2 * self.good >= self.needed:
            return self._end(now, passed=True)
        return 2 * self.bad > self.needed and self._end(now, passed=False)

    def withdraw(self, permit: Permit) -> None:
        """An extra request came back that says nothing about the width."""
        self.out -= self.is_wider and permit.is_extra and permit.trial == self.trial

    def restart(self, now: float, width: int) -> None:
        """Begins again to double, from a smaller width."""
        self.proven = min(self.proven, width)
        self.is_on, self.failed, self.grows, self.next_at = False, False, True, now

    def _learn(self, latency: float) -> None:
        """The geometric mean of the last latencies, which single slow answers hardly move."""
        self.samples = min(_SAMPLES, self.samples + 1)
        self.latency = self.latency ** (1 - 1 / self.samples) * latency ** (1 / self.samples)

    def _begin(self) -> None:
        if self.grows:
            self.goal = min(self.maximum, max(self.proven + 1, int(self.proven * (_STEP if self.failed else _DOUBLE))))
        else:
            self.goal = max(1, int(self.proven / _STEP))
        if self.goal == self.proven:
            self.grows = not self.grows
            return
        self.trial, self.is_on, self.last_extra = self.trial + 1, True, inf
        self.opened = self.out = self.good = self.bad = 0
        self.needed = self.goal - self.proven if self.grows else max(_SAMPLES, self.goal)

    def _end(self, now: float, *, passed: bool) -> bool:
        is_wider, before, self.is_on = self.is_wider, self.proven or self.goal, False
        if passed:
            self.latency *= 1 if is_wider else self.goal / self.proven
            self.proven = max(1, self.goal - self.bad) if is_wider else self.goal
            self.accepted = self.trial
            self.grows, self.failed = True, self.failed or not is_wider
            self._begin()
        else:
            self.proven = before
            self.grows, self.failed = not self.grows, True
            self.next_at = now + _REST * self.latency
        return self.proven != before


@define
class _Noise:
    """Refusals that come however little is sent: how many of them are spared."""

    per_success: float = 0.0
    """Refusals that a success pays for."""
    saved: float = 1.0
    """Refusals that have been paid for."""
    share: float = 0.0
    """The share of the last answers that were refused, from 0 to 1."""
    answers: int = 0
    """How many answers the share is of, up to `_SEEN`."""
    highest: float = 0.0
    """The highest credible load at a cut, in requests a second."""
    in_vain: int = 0
    """Cuts in a row after which hardly anything passed."""
    tried_from: float | None = None
    """The load from which more is being tried, or None."""

    def count(self, *, refused: bool) -> None:
        """Counts an answer; a success pays for a part of a refusal."""
        self.answers = min(_SEEN, self.answers + 1)
        self.share += (refused - self.share) / self.answers
        if not refused:
            self.saved = min(max(_LEAST_SAVED, _SAVED_FOR * self.share), self.saved + self.per_success)

    def is_spared(self) -> bool:
        """Whether successes have paid for a refusal, which then is spent."""
        paid = self.saved >= 1
        self.saved -= paid
        return paid

    def is_suspected(self, load: float, passed: int) -> bool:
        """Whether a cut at this load shows that cuts don't help, since few are refused, but again and again."""
        if passed >= _CREDIBLE:
            self.highest = max(self.highest, load)
        self.in_vain = self.in_vain + 1 if passed < _FEW else 0
        return self.in_vain >= _IN_VAIN or (load < self.highest / _FALLEN and self.share < _MOST_REFUSED)

    def begin_trial(self, load: float) -> None:
        """From now on more than the share is spared."""
        self.tried_from, self.saved = load, max(_LEAST_SAVED, _SAVED_FOR * self.share)
        self.in_vain = 0
        self.per_success = min(_TIMES * self.share, self.share / (1 - self.share) + _MARGIN)

    def end_trial(self, passed: int) -> bool:
        """Ends the trial after so many successes; returns whether they show that it pays."""
        if passed >= _ENOUGH:
            self.tried_from = None
            return True
        self.per_success, self.highest, self.tried_from = 0.0, self.tried_from or 0.0, None
        return False


class FlowControl:
    """
    The width and the rate at which one client sends, and the circuit breaker.

    Args:
        maximum: Requests that may be under way at once, at most.
        now: When it begins.
        initial: Requests that are sent at once to begin with.
        patience: Seconds for which waiting requests stay at an open breaker, if the service ever answered.
        on_change: Called with one sentence for each change of the limits.
    """

    def __init__(
        self,
        maximum: int = 256,
        *,
        now: float = 0.0,
        initial: int = 10,
        patience: float = 90.0,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self._initial, self._patience = min(initial, maximum), patience
        self._on_change = on_change
        self._width, self._noise = _Width(maximum, self._initial), _Noise()
        self.breaker: CircuitBreaker = CircuitBreaker()
        self._refused_rate = inf
        self._number = self._cuts = self._passed = 0
        self._since_closed = maximum
        self._cut_at = self._grown_at = now
        self._last_sent = -inf
        self._was_paced = self._is_guess = False
        self._held_until = -inf
        self._left, self._resets_at = 0, -inf
        self.rate: float = inf
        """Requests a second, now; infinite before the first refusal."""
        self.is_busy: bool = False
        """Whether the caller itself is what makes answers slow."""
        self.in_flight: int = 0
        """Requests that are under way, now."""
        self.has_answered: bool = False
        """Whether it ever did what it was asked, or asked to come later."""

    @property
    def width(self) -> int:
        """Requests that may be under way at once, now."""
        return max(1, self._width.limit)

    def is_hopeless(self, now: float, patience: float = inf) -> bool:
        """Whether requests with so much patience should give up, because nothing has been accepted for too long."""
        most = self._patience if self.has_answered else GIVE_UP_IF_NEVER_ANSWERED
        return self.breaker.is_hopeless(now, min(patience, most), most)

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent; 0: now; infinite: ask again when an answer has come."""
        if self.breaker.is_open:
            return self.breaker.wait(now)
        if now < self._resets_at and self.in_flight >= self._left:
            return self._resets_at - now
        if self.in_flight and now < self._held_until:
            return self._held_until - now
        if self.in_flight and self.in_flight >= min(self._width.limit, 2 * self._since_closed):
            return inf
        pace = self._last_sent + 1 / self.rate - now
        if pace <= 0:
            return 0.0
        self._was_paced = True
        return pace

    def sent(self, now: float) -> Permit:
        """Counts a request that is sent; its permit goes back once, with what came of it."""
        self.in_flight += 1
        self._number += 1
        if self.breaker.is_open:
            self.breaker.record_sent(now, self._number)
        self._last_sent = max(self._last_sent + 1 / self.rate, now)
        trial, is_extra = self._width.sent(now, self.in_flight)
        return Permit(now, self._number, self.in_flight, self._cuts, trial, is_extra)

    def answered(self, now: float, permit: Permit) -> None:
        """The service had room, but a 404, for example, says nothing about how long a count takes."""
        _ = self._width.succeeded(now, permit, None)
        self._accepted(now, permit)

    def succeeded(self, now: float, permit: Permit) -> None:
        """The service did what it was asked."""
        self.has_answered = True
        self._accepted(now, permit)
        width, latency = self._width, None if self.is_busy else max(_FLOOR, now - permit.at)
        before = width.proven
        if width.succeeded(now, permit, latency) and width.proven < before:
            self._say(f"width {self.width}: more at once only took longer")

    def refused(self, now: float, permit: Permit, retry_after: float | None = None, *, told: bool = False) -> None:
        """
        The service had too much to do: a 429, 5xx, a connection error, a reset or a time-out.

        Args:
            now: When it came.
            permit: What it was sent with.
            retry_after: Seconds, if the answer had them.
            told: Whether the service answered on purpose: with a 429, or with a Retry-After.
        """
        self._settle()
        self.has_answered = self.has_answered or told
        width, noise, was_open = self._width, self._noise, self.breaker.is_open
        self._grown_at, self._held_until = now, now + (_HELD * width.latency or inf)
        if self.breaker.record_failure(now, permit.number, retry_after):
            self._say(f"only single probes are sent: {FAILURES} requests in a row failed")
        if not was_open:
            noise.count(refused=True)
        if width.is_wider and permit.trial == width.trial:
            width.out -= permit.is_extra
            _ = width.vote(now, good=False)
            if noise.tried_from is None:
                return
        if permit.is_extra and permit.trial == width.accepted:
            width.proven = max(1, width.proven - 1)
        elif permit.cuts == self._cuts and not was_open and not noise.is_spared():
            self._cut(now, permit)

    def released(self, now: float, permit: Permit) -> None:
        """What came says nothing about the load, such as a cancellation."""
        self._settle()
        self._width.withdraw(permit)
        self.breaker.record_release(permit.number)

    def allowance(self, now: float, remaining: int, seconds: float) -> None:
        """
        The service says, with the answer that came last, what remains until a reset; this never raises a limit.

        Args:
            now: When it came.
            remaining: Requests that it takes until the reset, of all that it hadn't seen then.
            seconds: Until the reset.
        """
        if remaining == 0 and now >= self._resets_at:
            self._say(f"nothing is sent for {seconds:.1f} s: its rate limit headers say that nothing remains")
        self._left, self._resets_at = remaining, now + seconds

    def _settle(self) -> None:
        self.in_flight -= 1
        self._left -= 1  # used; an allowance that comes with the answer says so itself

    def _accepted(self, now: float, permit: Permit) -> None:
        self._settle()
        if self.breaker.record_success(now, permit.number):
            self._since_closed = 0
            self._say("all requests are sent again: a probe succeeded")
        self._noise.count(refused=False)
        self._passed += permit.cuts == self._cuts
        self._since_closed += 1
        self._held_until = -inf
        if self.rate < inf:
            self._grow(now)

    def _grow(self, now: float) -> None:
        rate, quiet = self.rate, now - self._cut_at
        if self._was_paced:
            speed = _SPEED * sqrt(rate) + rate * min(2.0, max(0.0, quiet - _QUIET))
            grown = rate + min(max(0.25, 1 / rate), now - self._grown_at) * min(speed, _PER_SUCCESS * rate * rate)
            self.rate = grown if quiet > _QUIET else max(rate, min(grown, self._refused_rate))
        if self._is_guess:  # it may just have been away
            self.rate = 2 * rate
        self._was_paced, self._grown_at = False, now

    def _cut(self, now: float, permit: Permit) -> None:
        """Cuts the rate to what the evidence shows, unless cuts don't help."""
        noise, width, breaker = self._noise, self._width, self.breaker
        latency, window, passed = max(_FLOOR, width.latency), now - self._cut_at, self._passed
        load = permit.at_once / latency if self.rate == inf else min(self.rate, width.proven / latency)
        self._cuts, self._cut_at, self._passed = self._cuts + 1, now, 0
        tried_from, tries_more = noise.tried_from, False
        if tried_from is None:
            tries_more = noise.is_suspected(load, passed)
        elif noise.end_trial(passed):
            return
        else:
            load = min(load, tried_from)
        through = (passed + 1) / window if window > 2 * latency else inf
        self._refused_rate = _BELOW * load
        self.rate = max(through, _DEEPEST_CUT * load) if through < _FAR_BELOW * load else _CUT * load
        waits = breaker.last_wait > _ONE_BY_ONE and self._since_closed <= 1 and breaker.closed_soon_before(now)
        self._is_guess = waits and not self._is_guess
        if waits:
            self.rate = min(self.rate, self._since_closed / breaker.last_wait)
        self.rate = max(self.rate, _LOWEST)
        self._say(f"rate {self.rate:.1f} a second: refused with {permit.at_once} at once")
        if tries_more:
            noise.begin_trial(load)
            self.rate = inf
            width.restart(now, max(self._initial, int(load * latency)))
            self._say(f"more is tried: {100 * noise.share:.0f} % are refused, however little is sent")

    def _say(self, reason: str) -> None:
        if self._on_change is not None:
            self._on_change(reason)
