"""
The circuit breaker: when a service refuses everything, single probes replace all other requests.

Eight failures in a row open it, whatever their status. A row is of requests that were sent one after another, and all
failed; an answer to an earlier request doesn't end it. While it is open, one probe is sent at a time. The pauses
between probes are a quarter of the time so far (0.1 to 3 s), or the probe's Retry-After. The first success closes it::

    closed  xxxxxxxx  open  .x .x ..x ...x ....x .....x ......o  closed
    8 failures in a row     pauses grow, each probe fails; one succeeds

If the next eight fail soon after it closed, the service has a quota, and the first pause is as long as the last wait.
"""

from math import inf

from attrs import define

FAILURES = 8  # in a row; a dead service then gets a few dozen requests in all
GIVE_UP_IF_NEVER_ANSWERED = 6.0  # seconds, in place of `patience`
_SHORTEST_PAUSE = 0.1  # seconds; shorter ones cost more requests
_LONGEST_PAUSE = 3.0  # seconds; longer ones come late after "away for 3 s"
_PAUSE_SHARE = 0.25  # of the time so far; a sixth costs 20 probes more in "20 in 60 s"
_SOON = 0.25  # of the last wait: a breaker that opens again within it has met a quota ("20 in 60 s")
_GRACE = 1.0  # seconds within which waiting requests use a pause that is over
_STALE = 30.0  # seconds between two failures of a row; what failed before a quiet hour says nothing about now


@define
class CircuitBreaker:
    """Counts failures in a row, and says when the next probe may be sent."""

    is_open: bool = False
    """True while only single probes are sent."""
    pause_until: float = -inf
    """When the next probe may be sent."""
    last_wait: float = 0.0
    """How many seconds it was open when it last closed."""
    _closed_at: float = -inf
    _opened_at: float = 0.0
    _row_began: float = 0.0
    _failed_at: float = -inf
    _failures: int = 0
    _last_failed: int = -1
    _probe: int | None = None

    def seconds_open(self, now: float) -> float:
        """For how long everything has failed; 0 while it is closed."""
        return now - self._row_began if self.is_open else 0.0

    def closed_soon_before(self, now: float) -> bool:
        """Whether it closed a short time ago, compared with the wait before."""
        return now - self._closed_at < _SOON * self.last_wait

    def is_hopeless(self, now: float, patience: float, longest_pause: float) -> bool:
        """Whether requests that wait should give up: all has failed for longer, or the next probe comes too late."""
        is_late = now - self._row_began > patience
        is_far = self.pause_until - self._row_began > longest_pause + _LONGEST_PAUSE
        return self.is_open and (is_late or is_far) and now < self.pause_until + _GRACE

    def wait(self, now: float) -> float:
        """Seconds until a probe may be sent, while it is open; infinite while one is under way."""
        if now < self.pause_until:
            return self.pause_until - now
        return 0.0 if self._probe is None else inf

    def record_sent(self, now: float, number: int) -> None:
        """A request that is sent while the breaker is open is the probe."""
        self._probe = number
        if now >= self.pause_until + _GRACE:  # nobody was waiting, so the patience of later callers starts now
            self._row_began = self._opened_at = now

    def record_failure(self, now: float, number: int, retry_after: float | None) -> bool:
        """
        Counts a failure; returns whether it opened the breaker.

        A Retry-After of 1 can mean a few milliseconds, since the header has whole seconds.
        """
        if number > self._last_failed:  # the others are late, and change nothing
            if number != self._last_failed + 1 or now - self._failed_at > _STALE:
                self._failures = 0
            if not self._failures and not self.is_open:
                self._row_began = now
            self._failures += 1
            self._last_failed, self._failed_at = number, now
        if not self.is_open:
            if self._failures >= FAILURES:
                self._pause(now, self.last_wait if self.closed_soon_before(now) else _SHORTEST_PAUSE)
            return self.is_open
        asked = retry_after if retry_after is not None and retry_after != 1 else 0.0
        if number == self._probe:
            self._probe = None
            asked = asked or min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, _PAUSE_SHARE * (now - self._opened_at)))
        self._pause(now, asked)
        return False

    def record_success(self, now: float, number: int) -> bool:
        """Ends the row of failures, unless they were sent later; returns whether it closed the breaker."""
        if number <= self._last_failed:
            return False
        self._failures = 0
        if not self.is_open:
            return False
        self.last_wait, self._closed_at = now - self._opened_at, now
        self.is_open, self._probe, self.pause_until = False, None, -inf
        return True

    def record_release(self, number: int) -> None:
        """A request that says nothing about the service doesn't end a row of failures."""
        self._last_failed += number == self._last_failed + 1
        if number == self._probe:
            self._probe = None

    def _pause(self, now: float, seconds: float) -> None:
        if not self.is_open:
            self.is_open, self._opened_at = True, now
        self.pause_until = max(self.pause_until, now + seconds)
