"""
Evidence: whether a failure is the service's fault or the query's own.

Theory of operation
===================

A project can be broken, or a filter too heavy; its query then fails however often it is sent. A service can be full; a
query that it refused then succeeds as often as any other when it is sent again. So what counts is how often queries
succeed when they are sent, by how often they have failed before: never, once, 2 or 3 times, 4 to 7 times, or more.
*A failure is the service's if queries that failed as often, and were sent again, succeed at least a quarter as often as
fresh ones.* Otherwise it is the query's own::

    a service                         fresh ones   sent again       so a failure is
    a tenth of the projects is bad    90 %         0 %              the query's own
    full: 30 % are answered           30 %         30 %             the service's
    both                              60 %         50 %, but 0 %    the service's, but the eighth
                                                   after eight      of one query is its own
    down                              0 %          0 %              the service's

Queries that were answered within the last minute are a second witness. If they fail less than a quarter as often as
all, the failures of the others aren't the service's.

Until something is known, what was *refused* is the service's fault, and what *failed* is the query's own, unless a
quarter of the fresh queries fail. Failures in a row are added when a later request is answered. If the circuit breaker
opens instead, they are the service's, and cost nothing: an outage says nothing about queries.

*What a failure costs.* The more surprising a failure is, the more it costs its query: log(f) / log(0.01) of an attempt.
Here f is the share of the fresh queries that fail by the service's fault: all that fail, times how often a query that
is sent again succeeds, relative to a fresh one. Where a quarter of them or more fail by the service's fault, it is at
least the share of those that fail when they are sent again::

    f                  1 %    10 %    50 %    90 %     98 %
    a failure costs    1      0.5     0.15    0.023    0.004

So a query with 4 attempts is given up when the odds that it was only unlucky fall to 1 in 100 million.

*What it earns.* Without it, three bad projects in a hundred turn a job of 6 seconds into one of 13 hours.
"""

from collections import deque
from math import inf, log

from attrs import define

from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queries import AGE, ANSWERED, Trouble

_LATELY = 15.0  # seconds after the last case for which it is known how often queries fail lately
_CASES = 32  # that a share remembers
_ENOUGH = 0.25  # how often something must happen, relative to how often it usually does
_RARE = 0.01  # the share that is assumed to fail while nothing is known: a failure then costs a whole attempt


@define(eq=False, repr=False)
class _Share:
    """In how many of the latest cases something happened."""

    age: float = AGE
    _n: int = 0
    _sum: float = 0.0
    _at: float = -inf

    def add(self, now: float, *, happened: bool) -> None:
        """Adds one case."""
        if now - self._at > self.age:
            self._n, self._sum = 0, 0.0
        if self._n == _CASES:
            self._sum -= self._sum / _CASES
        else:
            self._n += 1
        self._sum, self._at = self._sum + happened, now

    def relative_to(self, usual: float, now: float, guess: float) -> float:
        """How often it happened, relative to a usual share; the guess weighs as much as one case where it happened."""
        return (self._sum + guess) / (self._n * usual + 1) if now - self._at <= self.age else guess

    def value(self, now: float, more: int = 0) -> float:
        """How often it happened, with so many more cases where it did, or fewer."""
        n, total = (self._n, self._sum) if now - self._at <= self.age else (0, 0.0)
        return max(_RARE, (total + more + _RARE) / max(1, n + more + 1))


class Evidence:
    """How often queries succeed and fail."""

    def __init__(self) -> None:
        self._failing = _Share()  # of the queries that aren't in trouble
        self._failing_lately = _Share(_LATELY)  # the same, with those that failed when an outage began
        self._failing_answered = _Share()  # of those that were answered lately
        self._helped = [_Share(), _Share(), _Share(), _Share()]  # had failed once, 2 or 3 times, 4 to 7 times, more
        self._row: deque[tuple[Trouble, int, int, float]] = deque(maxlen=_CASES)
        """Failures whose fault isn't known yet; of each: the failures before, the standing, and the attempts spent."""

    def failed(self, trouble: Trouble, standing: int) -> None:
        """Notes the failure of a query, before it is charged, with the standing that the query had."""
        self._row.append((trouble, trouble.failures, standing, trouble.spent))

    def answered(self, now: float, failures: int, standing: int, *, ends_row: bool) -> None:
        """Adds an answer, and the failures of the row that it ends."""
        self._add(now, failures, standing, failed=False)
        if ends_row:
            for _, before, stood, _ in self._row:
                self._add(now, before, stood, failed=True)
            self._row.clear()

    def drop_row(self, now: float) -> None:
        """Takes the failures of a row for the service's, because they began an outage. So they cost nothing."""
        for trouble, failures, _, spent in reversed(self._row):
            trouble.spent = spent
            if not failures:
                self._failing_lately.add(now, happened=True)
        self._row.clear()

    def is_shared(self, outcome: Outcome, now: float, failures: int) -> bool:
        """Whether a failure is the service's; the query has failed so often in a row now."""
        if self._failing_answered.relative_to(self._failing.value(now), now, 1.0) < _ENOUGH:
            return False
        is_likely = outcome.meaning != "failed" or self._others_failing(now) >= _ENOUGH
        return self._help(now, failures, 1.0 if is_likely else _RARE) >= _ENOUGH

    def cost(self, outcome: Outcome, now: float, failures: int) -> float:
        """The attempts that a failure costs its query, which has failed so often in a row now."""
        failing, succeeding = self._others_failing(now), min(1.0, self._help(now, failures, 1.0))
        share = failing * succeeding
        if min(failing, succeeding) >= _ENOUGH:
            share = max(share, 1 - (1 - failing) * succeeding)
        return outcome.cost * log(max(_RARE, share)) / log(_RARE)

    def _others_failing(self, now: float) -> float:
        """How often fresh queries fail, apart from one, and with those of the row."""
        return self._failing_lately.value(now, sum(not failures for _, failures, _, _ in self._row) - 1)

    def _help(self, now: float, failures: int, guess: float) -> float:
        """How often a query succeeds that is sent again after so many failures, relative to a fresh one."""
        usual = 1 - self._failing.value(now)
        for share in self._helped[: failures.bit_length()]:
            guess = share.relative_to(usual, now, guess)
        return guess

    def _add(self, now: float, failures: int, standing: int, *, failed: bool) -> None:
        if failures:
            self._helped[min(len(self._helped), failures.bit_length()) - 1].add(now, happened=not failed)
            return
        self._failing.add(now, happened=failed)
        self._failing_lately.add(now, happened=failed)
        if standing == ANSWERED:
            self._failing_answered.add(now, happened=failed)
