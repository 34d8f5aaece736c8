"""
The circuit breaker: while a service refuses everything, single probes replace all other requests.

Theory of operation
===================

Eight failures in a row open the breaker. A row is a series of requests that were sent one after another, and all
failed, in this order; an answer to an earlier request doesn't end it. It must be made of eight different queries,
unless all queries that were answered within the last minute have failed since. While the breaker is open, one probe is
sent at a time. The pause between two probes is a quarter of the time since the breaker opened, from 0.1 to 3 s. If a
probe hangs, the next one follows after a quarter of that time, but at least 3 s. The first probe that is answered
closes the breaker::

    closed  xxxxxxxx  open  .x .x ..x ...x ....x .....x ......o  closed, then  oo  oooo  oooooooo
    8 failures in a row     pauses grow, each probe fails; one succeeds        as many again as have succeeded

*Answers set the pace.* After the breaker has closed, at most twice as many requests are under way as have succeeded
since then.

*Standing.* A probe's failure says little about queries that fared better. So it sets the pause for queries of the same
standing and below; the others get the shortest. All queries in trouble have one standing here. A single count of a
query that was answered lately is thus sent within 0.1 s, although many that are in trouble keep failing. A Retry-After
binds its own query. If each fresh query of the row got one, and so did the first two probes of fresh queries, that of
the second binds all queries that fared no better than its own. The Retry-After of a later probe doesn't: if a list had
bad projects in a row, each would hold up all others as long as it asks.

*Only queries in trouble.* If all queries of the row failed before, too, they can be bad ones that are left when all
others are counted, and a healthy one that a limit refused waits among them. So no pause is longer than 0.2 s, also
after a probe that hangs, unless a quota is used up. A healthy one then has its turn before patience ends.

*Quotas.* If the breaker opens again, and was open for more than half of the time since it opened before, a quota may be
used up: the service takes as many requests in that time as got through; see `rate`. But the queries of both rows may
also be bad. So it counts as a quota only once a query in trouble has been answered. It doesn't if more retries failed
by their own fault than requests got through, nor if queries that were answered before were answered again, and none in
trouble was; the later row may then be evidence. While a quota is used up, the next probes wait for at least a quarter
of the time for which the breaker was open. Once the breaker has been open for a quarter longer than before, or for
three quarters of a fan-out's patience, the probes may have met bad queries, and pauses are short: 0.75 s at most, also
after a probe that hangs.

*Patience.* Requests that wait give up when a probe has failed, and the next one would come after their patience ends.
The patience of a single count that hasn't failed begins with the count, or with the outage if that is later. At an
address where nothing has ever listened, any patience is at most 3 s. If nothing waited when a pause ended, that outage
doesn't count for later requests: their patience, and the growth of pauses, begin with the next probe.

*What it earns.* A dead service sees a few dozen requests, however many counts wait. If a quota needed no proof, then of
90 fan-outs with a quarter of bad projects, beside a limit of twenty a second, four would take two to five times as
long, and two of these would lose 34 healthy counts in all.
"""

from collections.abc import Hashable
from math import inf

from attrs import define, field

from galileo_sessions.flow.budget import TIMER
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, LONGEST

_FAILURES = 8  # in a row; a dead service then gets a few dozen requests in all
_PROBES = 2  # that must be asked to wait, too, before a Retry-After binds others
SHORTEST_PAUSE = 0.1
"""Seconds of the shortest pause. After a refusal, an answer is assumed to take as long while no latency is known."""
_SHARE = 0.25  # of the time since the breaker opened, of the wait for a quota, and of a patience
_NO_PAUSES = -inf, -inf, -inf


@define(eq=False, repr=False)
class Breaker:
    """Counts failures in a row, and says when the next probe may be sent."""

    patience: float = inf
    """Seconds after which a fan-out's counts give up. Before, a quota is probed more often."""
    is_open: bool = False
    """True while only single probes are sent."""
    is_unreachable: bool = False
    """Whether connections are refused at an address where nothing has ever answered."""
    row: int = 0
    """Requests in a row that failed, by the order in which they were sent."""
    last_failed: int = -1
    """The number of the last request that failed."""
    quota: float = inf
    """Requests a second that got through before it opened last, if that is all that the service takes."""
    row_may_be_bad: bool = False
    """Whether it soon opened again, and meanwhile queries that were answered before were again, but none in trouble."""
    waited: float = 0.0
    """Seconds for which it was open, if a probe closed it and others have waited since then."""
    began: float = 0.0
    """When the row of failures began, or the patience of those who wait."""
    succeeded: float = inf
    """Requests that succeeded since it last closed; at most twice as many are under way."""
    _queries: set[Hashable] = field(factory=set[Hashable])  # of the row
    _stands: set[int] = field(factory=set[int])  # the standing of queries that were answered since it opened
    _has_helped: bool = False  # whether a query in trouble was ever answered
    _own: int = 0  # retries that failed by their own fault since it opened
    _pauses: tuple[float, ...] = _NO_PAUSES  # until when queries of each standing wait; `OWN` counts as `IN_TROUBLE`
    _least: float = SHORTEST_PAUSE  # seconds of the shortest pause, until a quota is overdue
    _is_asked: bool | None = None  # whether all queries of the row that weren't in trouble got a Retry-After, if any
    _opened: float = 0.0  # when it opened, or when the Retry-After ends that binds others
    _probe: int | None = None
    _probes: int = 0  # of queries that weren't in trouble, which failed since it opened
    _first_probe: float = inf

    def limited(self, patience: float) -> float:
        """A patience in seconds, which is short where nothing has ever answered."""
        return min(patience, LONGEST) if self.is_unreachable else patience

    def is_hopeless(self, now: float, standing: int, patience: float, since: float = -inf) -> bool:
        """
        Whether requests should give up, because their next probe comes too late for this patience, in seconds. It
        begins with the outage, or at `since` if that is later. While a probe is under way, none gives up.
        """
        until = self._pauses[max(IN_TROUBLE, standing)]
        if not self.is_open or self._probe is not None or now >= until:
            return False
        return until - max(self.began, since) > self.limited(patience) + TIMER

    def wait(self, now: float, standing: int = FRESH) -> float:
        """Seconds until the next probe, while it is open."""
        return max(0.0, self._pauses[max(IN_TROUBLE, standing)] - now)

    def sent(self, now: float, number: int, standing: int = FRESH) -> None:
        """A request was sent; while the breaker is open, it is the probe."""
        if self.is_open:
            self._probe, self._first_probe = number, min(self._first_probe, number)
            if -inf < self._pauses[IN_TROUBLE] < now - 1:  # no request was waiting
                self.began = self._opened = now
            _, longest = self._bounds(now)
            least = _SHARE * (now - self._opened) if longest == LONGEST else 0.0
            self._pause(now, max(longest, least), standing)  # for the answer of this probe

    def failed(
        self, now: float, number: int, query: Hashable, standing: int, asked: float = 0.0, *, is_alone: bool = False
    ) -> None:
        """
        Counts a failure.

        The eighth in a row opens the breaker, if they are of eight queries or `is_alone`. While it is open, the failure
        of the probe sets the pauses of queries of the same standing and below; the others get the shortest one.

        Args:
            now: When the request failed.
            number: The number of the request.
            query: Its query.
            standing: How the query fared before.
            asked: The seconds of the Retry-After, or 0. A single second counts as none.
            is_alone: Whether no other query was answered lately.
        """
        asked = 0.0 if asked == 1 else asked  # 1 is often a rounded-up 0.01
        if number > self.last_failed:  # a late failure of an earlier request changes nothing
            if number != self.last_failed + 1 and not self.is_open:
                self._end_row()
            if not self.row:
                self.began = now
            self.row, self.last_failed = self.row + 1, number
            self._queries.add(query)
            if standing > IN_TROUBLE:
                self._is_asked = asked > 0 and self._is_asked is not False
        if self.is_open:
            if number == self._probe:
                self._probe, self._pauses = None, tuple(min(now, until) for until in self._pauses)
                shortest, longest = self._bounds(now)
                pause = max(shortest, min(longest, _SHARE * (now - self._opened)))
                self._probes += standing > IN_TROUBLE
                if standing > IN_TROUBLE and self._is_asked and self._probes == _PROBES and asked > pause:
                    self._opened = now + asked  # what gets through after that is no quota of the time until then
                self._pause(now, max(pause, self._opened - now), standing)
        elif self.row >= _FAILURES and (is_alone or len(self._queries) >= _FAILURES):
            self._open(now)

    def passed(self, now: float, number: int, standing: int = FRESH) -> None:
        """Ends the row of failures, unless they were sent later, and closes the breaker."""
        self.succeeded += 1
        self._stands.add(standing)
        self._has_helped |= standing <= IN_TROUBLE
        if number > self.last_failed or (self.is_open and number >= self._first_probe):
            self._end_row()
            if self.is_open:
                self.waited, self.succeeded = (now - self._opened if number == self._probe else 0.0), 1
                self.is_open, self._probe = False, None

    def released(self, now: float, number: int, *, is_own: bool = False) -> None:
        """Takes back a request that says nothing about the service, so it is in no row of failures, and ends none."""
        self._own += is_own
        if number == self.last_failed + 1:
            self.last_failed = number
        if number == self._probe:
            bound = self._opened - SHORTEST_PAUSE if self._opened > now else inf  # pauses after it are a Retry-After
            self._probe, self._pauses = None, tuple(until if until > bound else -inf for until in self._pauses)

    def _note_quota(self, elapsed: float) -> None:
        """Finds out whether a quota is used up, from what got through since the breaker opened before."""
        could_be = self.waited > 2 * SHORTEST_PAUSE and elapsed < 2 * self.waited
        self.row_may_be_bad = could_be and ANSWERED in self._stands and min(self._stands) > IN_TROUBLE
        is_used_up = could_be and self._has_helped and not self.row_may_be_bad and self._own <= self.succeeded
        self.quota = self.succeeded / elapsed if is_used_up else inf
        self._least = max(SHORTEST_PAUSE, _SHARE * self.waited) if is_used_up else SHORTEST_PAUSE

    def _open(self, now: float) -> None:
        self._note_quota(now - self._opened)
        self.is_open, self._opened, self._probes, self._first_probe, self._own = True, now, 0, inf, 0
        self._stands.clear()
        self._pauses = _NO_PAUSES
        self._pause(now, self._least, FRESH)

    def _pause(self, now: float, seconds: float, standing: int) -> None:
        shortest, _ = self._bounds(now)
        self._pauses = tuple(
            max(until, now + (seconds if each <= max(IN_TROUBLE, standing) else shortest))
            for each, until in enumerate(self._pauses)
        )

    def _bounds(self, now: float) -> tuple[float, float]:
        """
        Seconds of the shortest and the longest pause.

        The shortest is longer while a quota is used up, until that is overdue: clearly longer than before, or for most
        of a fan-out's patience. The longest is short if those that failed may be bad queries, and others wait.
        """
        usual, patience = (1 + _SHARE) * self._least / _SHARE, (1 - _SHARE) * self.patience
        if self._least > SHORTEST_PAUSE and (now - self._opened >= usual or now - self.began >= patience):
            return SHORTEST_PAUSE, _SHARE * LONGEST
        return self._least, 2 * SHORTEST_PAUSE if self._is_asked is None else LONGEST

    def _end_row(self) -> None:
        self.row, self._is_asked = 0, None
        self._queries.clear()
