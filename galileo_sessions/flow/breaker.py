"""
The circuit breaker: while a service refuses everything, single probes replace all other requests.

Eight failures in a row, in the order of sending, open it. While it is open, one probe is sent at a
time, and the pause between two of them is a quarter of the time since it opened, from 0.1 to 3 s.
If a probe hangs, the next one follows after as long, but at least 3 s. If the probe was refused
with a Retry-After of more than 3 s, that time is divided into equal pauses, so that a probe is sent
when it ends: others that share the limit are back then, too. The first answer closes it.

A failed probe of a query in trouble says little about fresh ones, which wait for 0.1 s only. And if
all that failed in the row were in trouble, they can be bad ones that are left when all others are
counted, and a healthy one that a limit refused waits among them. So no pause is longer than 0.2 s
then.

If it opens again, and was open for more than half of the time since it opened before, a quota is
used up: the service takes as many requests in that time as got through. That needs an answer to a
query in trouble, and at least as many answers as failures that were their queries' own; otherwise
those that are left may be bad. What took longer than 90 s was an outage. After a quota, the next
probe comes after half of the time for which the breaker was open, and pauses get short only after
all of it.
"""

from math import ceil, inf

from attrs import define

from galileo_sessions.flow.budget import TIMER, Budget
from galileo_sessions.flow.settings import PATIENCE
from galileo_sessions.flow.troubles import AGE, LONGEST

_FAILURES = 8  # in a row; a dead service then gets a few dozen requests in all
SHORTEST_PAUSE = 0.1
"""
Seconds of the shortest pause. After a refusal, an answer is assumed to take as long while no
latency is known.
"""
_PAUSE_SHARE = 0.25  # of the time since the breaker opened
_LONGEST_QUOTA = 1.5 * AGE  # seconds
# Seconds of patience where nothing has ever answered; a restart takes about three.
_UNREACHABLE = 4.0


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
    """
    Requests a second that got through before it opened last, if that is all that the service takes.
    """
    began: float = 0.0
    """When the row of failures began, or the patience of those who wait."""
    succeeded: float = inf
    """Requests that succeeded since it last closed; at most twice as many are under way."""
    _waited: float = 0.0  # seconds for which it was open, if a probe closed it
    # The number of the last request that failed, or was sent before the breaker opened.
    _last_failed: int = -1
    # When all pauses get short, if all that failed in the row were in trouble.
    _short_at: float = inf
    _opened: float = 0.0
    _at: float = -inf  # when a query in trouble may be the next probe
    _fresh_at: float = -inf  # when a fresh one may
    _sent: int = -1  # the number of the last request
    _probe: int | None = None
    _own: int = 0  # failures by their queries' own fault since it opened last
    _has_helped: bool = False  # whether a query in trouble was answered since it opened last

    def limited(self, patience: float) -> float:
        """A patience in seconds, which is short where nothing has ever answered."""
        if self.is_unreachable:
            return min(patience, _UNREACHABLE)
        return patience

    def is_hopeless(self, now: float, is_fresh: bool, budget: Budget) -> bool:
        """
        Whether the next probe comes after the patience of a call, which began with the call or with
        the row.
        """
        ends = max(self.began, budget.began) + self.limited(budget.patience)
        return self._probe is None and now + self.wait(now, is_fresh) > max(now, ends + TIMER)

    def is_outage(self, now: float) -> bool:
        """
        Whether nothing has been answered for so long that users want to know; once a quota is
        known, for longer than any quota takes.
        """
        longest = PATIENCE if self.quota == inf else _LONGEST_QUOTA
        return self.is_open and now >= self.began + longest

    def may_open(self, now: float) -> bool:
        """Whether several requests have just failed in a row: an outage may have begun."""
        return self.is_open or (self.row > 1 and now < self.began + LONGEST)

    def wait(self, now: float, is_fresh: bool = True) -> float:
        """Seconds until the next probe; 0 while it is closed."""
        if not self.is_open:
            return 0.0
        at = self._fresh_at if is_fresh else self._at
        return max(0.0, at - now)

    def sent(self, now: float, number: int, is_fresh: bool = True) -> None:
        """A request was sent; while the breaker is open, it is the probe."""
        self._sent = number
        if self.is_open:
            if self._at < now - LONGEST:  # no request was waiting
                self.began = self._opened = now
            self._probe = number
            self._pause(now, max(LONGEST, _PAUSE_SHARE * (now - self._opened)), is_fresh)

    def failed(self, now: float, number: int, is_fresh: bool, asked: float = 0.0) -> None:
        """
        Counts a failure: the eighth in a row opens the breaker; that of the probe sets the next
        pause.

        Args:
            now: When it failed.
            number: The number of the request.
            is_fresh: Whether its query wasn't in trouble.
            asked: The seconds of its Retry-After, or 0.
        """
        if self.is_open:
            if is_fresh:
                self._short_at = inf
        elif number > self._last_failed:  # a late failure of an earlier request changes nothing
            self._add_to_row(now, number, is_fresh)
        if number == self._probe:
            self._probe_failed(now, is_fresh, asked)
        elif self.row >= _FAILURES and not self.is_open:
            self._open(now)

    def passed(self, now: float, number: int, is_fresh: bool) -> None:
        """Ends the row of failures, unless they were sent later, and closes the breaker."""
        self.succeeded += 1
        self._has_helped |= not is_fresh
        if number > self._last_failed:
            self.row = 0
            if self.is_open:
                self._waited = 0.0
                if number == self._probe:
                    self._waited = now - self._opened
                self.is_open = False
                self._probe = None
                self.succeeded = 1

    def released(self, now: float, number: int) -> None:
        """
        Takes back a request that says nothing about the service, so it is in no row of failures,
        and ends none.
        """
        if number == self._last_failed + 1:
            self._last_failed = number
        if number == self._probe:
            self._probe = None
            self._at = self._fresh_at = now

    def failed_alone(self, now: float, number: int) -> None:
        """A query in trouble failed by its own fault."""
        self._own += 1
        self.released(now, number)

    def _add_to_row(self, now: float, number: int, is_fresh: bool) -> None:
        if number != self._last_failed + 1:
            self.row = 0
        if not self.row:
            self.began = now
            self._short_at = -inf
        if is_fresh:
            self._short_at = inf
        self.row += 1
        self._last_failed = number

    def _open(self, now: float) -> None:
        elapsed = now - self._opened
        pause = SHORTEST_PAUSE
        self.quota = inf
        may_be_quota = self._has_helped and self._own <= self.succeeded
        if may_be_quota and elapsed < 2 * self._waited < 2 * _LONGEST_QUOTA:  # it is used up
            pause = self._waited / 2
            self.quota = self.succeeded / elapsed
            self._short_at = max(self._short_at, now + self._waited)
        self.is_open = True
        self._opened = now
        self._last_failed = self._sent
        self._has_helped = False
        self._own = 0
        self._pause(now, pause)

    def _probe_failed(self, now: float, is_fresh: bool, asked: float) -> None:
        self._probe = None
        longest = LONGEST if now < self._short_at else 2 * SHORTEST_PAUSE
        pause = max(SHORTEST_PAUSE, min(longest, _PAUSE_SHARE * (now - self._opened)))
        if asked > LONGEST:
            pause = asked / ceil(asked / pause)
        self._pause(now, pause, is_fresh)

    def _pause(self, now: float, seconds: float, is_fresh: bool = True) -> None:
        self._at = self._fresh_at = now + seconds
        if not is_fresh:
            self._fresh_at = now + SHORTEST_PAUSE
