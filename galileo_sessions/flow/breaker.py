"""
The circuit breaker: while a service refuses everything, single probes replace all other requests.

Theory of operation
===================

Eight refusals in a row open the breaker. A row is a series of requests that were sent one after another, and were all
refused; an answer to an earlier request doesn't end it. What is about a query (see `evidence`) is in no row. While the
breaker is open, one probe is sent at a time. The pause between two probes is a quarter of the time since the breaker
opened, from 0.1 to 3 s, or the Retry-After of a refusal while it is open, if that is longer. A probe without an answer
is followed by the next one after as long as the breaker was open, at least 3 s. The first success closes it::

    closed  xxxxxxxx  open  .x .x ..x ...x ....x .....x ......o  closed, then  oo  oooo  oooooooo
    8 refusals in a row     pauses grow, each probe fails; one succeeds        as many again as have succeeded

*Answers set the pace.* After the breaker has closed, at most twice as many requests are under way as have succeeded
since then.

*Patience.* Requests that wait give up if everything has failed for longer than their patience, or if the next probe
comes too late for them. A single count has its patience from when it began. At an address where nothing has ever
listened, it is 4 s. If nothing waited when a pause ended, that outage doesn't count for later requests: their patience
begins with the next probe.

*What it earns.* A dead service sees a few dozen requests, however many counts wait. Without a row by the order of
sending, the slowest tenth of random services takes 2.92 times the ideal instead of 2.60.
"""

from math import inf

from attrs import define

_UNREACHABLE = 4.0  # seconds of patience with an address where nothing has ever answered
_FAILURES = 8  # in a row; a dead service then gets a few dozen requests in all
_SHORTEST, _LONGEST = 0.1, 3.0  # seconds of a pause
_SHARE = 0.25  # of the time since the breaker opened


@define(eq=False, repr=False)
class Breaker:
    """Counts failures in a row, and says when the next probe may be sent."""

    is_open: bool = False
    """True while only single probes are sent."""
    is_unreachable: bool = False
    """Whether connections are refused at an address where nothing has ever answered."""
    row: int = 0
    """Requests in a row that failed, by the order in which they were sent."""
    quota: float = inf
    """Requests a second that got through since it opened, if that is all that the service takes; see `rate`."""
    is_window: bool = False
    """Whether the quota is that of a window that is used up: several got through before it opened again."""
    waited: float = 0.0
    """Seconds for which it was open, if a probe closed it and others have waited since then."""
    _passed: float = inf  # requests that succeeded since it last closed
    _pause_until: float = -inf
    _began: float = 0.0  # when the row of failures began, or the patience of those who wait
    _opened: float = 0.0
    _last_failed: int = -1
    _probe: int | None = None

    def seconds_open(self, now: float) -> float:
        """Seconds for which everything has failed; 0 while the breaker is closed."""
        return now - self._began if self.is_open else 0.0

    def limited(self, patience: float) -> float:
        """A patience in seconds, which is short where nothing has ever answered."""
        return min(patience, _UNREACHABLE) if self.is_unreachable else patience

    def is_hopeless(self, now: float, patience: float, since: float = -inf) -> bool:
        """Whether requests with this patience, in seconds, and at the earliest since then, should give up."""
        if not self.is_open or self._probe is not None or now >= self._pause_until:
            return False
        return self._pause_until - max(self._began, since) > self.limited(patience)

    def wait(self, now: float, in_flight: int) -> float:
        """Seconds until the next request; infinite if it must wait for an answer."""
        if not self.is_open:
            return inf if in_flight >= 2 * self._passed else 0.0
        return max(0.0, self._pause_until - now)

    def sent(self, now: float, number: int) -> None:
        """A request was sent; while the breaker is open, it is the probe."""
        if self.is_open:
            self._probe = number
            if now > self._pause_until + 1:  # no request was waiting
                self._began = self._opened = now
            self._pause_until = now + max(_LONGEST, now - self._opened)  # for the answer of this probe

    def failed(self, now: float, number: int, retry_after: float | None) -> bool:
        """Counts a failure; returns whether it opened the breaker."""
        if number > self._last_failed:  # a late failure of an earlier request changes nothing
            if number != self._last_failed + 1:
                self.row = 0
            if not self.row and not self.is_open:
                self._began = now
            self.row, self._last_failed = self.row + 1, number
        if not self.is_open:
            elapsed, opens, has_waited = now - self._opened, self.row >= _FAILURES, self.waited > 2 * _SHORTEST
            self.is_window = opens and has_waited and self._passed > 1 and elapsed < 2
            per_wait = 1 / self.waited if has_waited and self._passed == 1 else inf
            self.quota = self._passed / elapsed if self.is_window else per_wait
            if opens:
                self.is_open, self._opened, self._pause_until = True, now, now + _SHORTEST
            return self.is_open
        pause = retry_after if retry_after is not None and retry_after != 1 else 0.0  # 1 is often a rounded-up 0.01
        if number == self._probe:
            self._probe, self._pause_until = None, now
            pause = max(pause, min(_LONGEST, max(_SHORTEST, _SHARE * (now - self._opened))))
        self._pause_until = max(self._pause_until, now + pause)
        return False

    def passed(self, now: float, number: int) -> bool:
        """Ends the row of failures, unless they were sent later; returns whether this closed the breaker."""
        self._passed += 1
        if number <= self._last_failed:
            return False
        self.row = 0
        if not self.is_open:
            return False
        self.waited, self._passed = (now - self._opened if number == self._probe else 0.0), 1
        self.is_open, self._probe = False, None
        return True

    def released(self, number: int) -> None:
        """Takes back a request that says nothing about the service, so it doesn't end a row of failures."""
        if number == self._last_failed + 1:
            self._last_failed = number
        if number == self._probe:
            self._probe, self._pause_until = None, -inf
