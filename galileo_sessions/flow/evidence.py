"""
Evidence: whether a failure is the service's fault or the query's own.

Theory of operation
===================

A project can be broken, or a filter too heavy; its query then fails however often it is sent. A service can be full; a
query that it refused then succeeds as often as any other when it is sent again. So what counts is how often queries
succeed when they are sent, by how often they have failed before: never, once, 2 or 3 times, 4 to 7 times, or more.
Those that were refused and those that failed are counted apart, because a full service refuses what it could answer. *A
failure is the service's if queries that failed as often, and were sent again, succeed at least a quarter as often as
fresh ones.* Otherwise it is the query's own. While little is known of queries that failed as often, those that failed
less often are the guess. It weighs one case, or four if they fail by their own fault: those that failed more often are
then more likely to be bad, too. If one query fails several times with no other case between, that counts once for
others: callers who poll a bad project say nothing about them. For example::

    a service                         fresh ones   sent again       so a failure is
    a tenth of the projects is bad    90 %         0 %              the query's own
    full: 30 % are answered           30 %         30 %             the service's
    a tenth is bad, 67 % answered     60 %         50 %, but 0 %    the service's, but the eighth
                                                   after eight      of one query is its own
    down                              0 %          0 %              the service's

Queries that were answered within the minute before are a second witness, with all their attempts until the next answer.
It is forgotten 15 s after the last of these. If they fail less than a quarter as often as fresh ones, the failure isn't
the service's.

Until something is known, what was *refused* is the service's fault, and what *failed* is the query's own, unless a
quarter of the fresh queries fail. A failure is added at the next answer to a request that was sent later. If the
circuit breaker opens instead, the failure is the service's, and costs nothing: an outage says nothing about queries.
But it may soon open again. If meanwhile queries that were answered before were answered again, and none in trouble was,
the queries of the row may be bad. Its failures are added, and keep their cost, if retries have helped no query for the
patience of a fan-out, which outlasts most quotas.

*What a failure costs.* The more surprising a failure is, the more it costs its query: log(f) / log(0.01) of an attempt.
Here f is the share of the fresh queries that fail by the service's fault: all that fail, times how often a query that
is sent again succeeds, relative to a fresh one::

    f                  1 %    10 %    50 %    90 %     98 %
    a failure costs    1      0.5     0.15    0.023    0.004

So a query with 4 attempts is given up when the odds that it was only unlucky fall to 1 in 100 million.

*What it earns.* Without it, three bad projects in a hundred turn a job of 6 seconds into one of 13 hours.
"""

from collections import deque
from math import inf, log

from attrs import define

from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queries import AGE, ANSWERED, KEPT, Trouble

_LATELY = 15.0  # seconds for which a short-lived share is known after its last case
_CASES = 32  # that a share remembers
_ENOUGH = 0.25  # how often something must happen, relative to how often it usually does
_RARE = 0.01  # the share that is assumed to fail while nothing is known: a failure then costs a whole attempt


@define(eq=False, repr=False)
class _Share:
    """How many of the latest cases failed."""

    age: float = AGE
    _n: int = 0
    _failed: float = 0.0
    _at: float = -inf
    _failed_last: Trouble | None = None  # the query of the last case, if it failed
    _repeats: int = 0  # how often it has failed again since then

    def add(self, now: float, *, failed: bool, query: Trouble | None = None) -> None:
        """Adds one case. Failures of one query count once until another case comes, except for itself."""
        if now - self._at > self.age:
            self._n, self._failed, self._failed_last = 0, 0.0, None
        self._at = now
        if failed and query is not None and query is self._failed_last:
            self._repeats += 1
            return
        self._failed_last, self._repeats = query if failed else None, 0
        if self._n == _CASES:
            self._failed -= self._failed / _CASES
        else:
            self._n += 1
        self._failed += failed

    def cases(self, now: float, query: Trouble | None = None) -> tuple[int, float]:
        """How many cases are known, and how many of them failed; for one query, with all its own failures."""
        if now - self._at > self.age:
            return 0, 0.0
        repeats = self._repeats if query is self._failed_last else 0
        return self._n + repeats, self._failed + repeats

    def value(self, now: float, more: int = 0) -> float:
        """The share that failed, if so many more cases had failed, or fewer."""
        n, failed = self.cases(now)
        return max(_RARE, (failed + more + _RARE) / max(1, n + more + 1))


class Evidence:
    """How often queries succeed and fail."""

    def __init__(self) -> None:
        self._fresh = _Share()
        self._fresh_lately = _Share(_LATELY)  # with those that failed when an outage began
        self._answered_before = _Share(_LATELY)  # queries that were answered before
        self._again = [[self._fresh, _Share(), _Share(), _Share(), _Share()] for _ in range(2)]
        """Of those that failed and those that were refused last: never before, once, 2 or 3 times, 4 to 7, or more."""
        self._row: deque[tuple[int, Trouble, _Share, float]] = deque(maxlen=KEPT)
        """
        Failures since which no request that was sent later has been answered; of each: the number of the request, the
        query, the share it belongs to, and the attempts spent before.
        """

    def failed(self, trouble: Trouble, number: int) -> None:
        """Notes the failure of a query, before it is charged, and the number of the request."""
        share = self._alike(trouble.failures, trouble.outcome.is_refusal)[-1]
        self._row.append((number, trouble, share, trouble.spent))

    def answered(self, now: float, trouble: Trouble | None, standing: int, number: int) -> None:
        """Adds an answer to a query, which was in some trouble or none, and the failures of requests sent before it."""
        share, was_answered = self._fresh, standing == ANSWERED
        if trouble is not None:
            share, was_answered = self._alike(trouble.failures, trouble.outcome.is_refusal)[-1], trouble.was_answered
        self._add(now, trouble, share, failed=False, was_answered=was_answered)
        if self._row:
            self.add_row(now, number)

    def add_row(self, now: float, before: float = inf) -> None:
        """Adds the failures of the row as evidence, or those of requests that were sent before a number."""
        row, self._row = self._row, deque(maxlen=KEPT)
        for case in row:
            number, trouble, share, _ = case
            if number < before:
                self._add(now, trouble, share, failed=True, was_answered=trouble.was_answered)
            else:
                self._row.append(case)

    def drop_row(self, now: float) -> None:
        """Takes the failures of a row for the service's, because they began an outage. So they cost nothing."""
        for _, trouble, share, spent in reversed(self._row):
            trouble.spent = spent
            if share is self._fresh:
                self._fresh_lately.add(now, failed=True)
        self._row.clear()

    def is_shared(self, outcome: Outcome, now: float, failures: int, query: Trouble | None = None) -> bool:
        """
        Whether a failure is the service's; its query has failed so often in a row now.

        While nothing is known, a refusal is; another failure is only if a quarter of the fresh queries fail.
        """
        n, failed = self._answered_before.cases(now)
        if failed + 1 < _ENOUGH * (n * self._fresh.value(now) + 1):  # those that were answered lately fail less often
            return False
        guess = 1.0  # until something is known, it is the service's
        if not outcome.is_refusal and self._others_failing(now) < _ENOUGH:
            guess = _RARE  # until something is known, it is the query's own
        return self._help(now, self._alike(failures, outcome.is_refusal), guess, query) >= _ENOUGH

    def cost(self, outcome: Outcome, now: float, failures: int) -> float:
        """The attempts that a failure costs its query, which has failed so often in a row now."""
        help_ = self._help(now, self._alike(failures, outcome.is_refusal), 1.0)
        share = self._others_failing(now) * min(1.0, help_)
        return outcome.cost * log(max(_RARE, share)) / log(_RARE)

    def _others_failing(self, now: float) -> float:
        """How often fresh queries fail, apart from one, and with those of the row."""
        return self._fresh_lately.value(now, sum(share is self._fresh for _, _, share, _ in self._row) - 1)

    def _help(self, now: float, alike: list[_Share], guess: float, query: Trouble | None = None) -> float:
        """How often a query succeeds that is sent again, relative to a fresh one, as those did that are like it."""
        usual, weight = 1 - self._fresh.value(now), 1.0
        for share in alike[1:]:
            n, failed = share.cases(now, query)
            guess = (n - failed + weight * guess) / (n * usual + weight)
            weight = 1.0 if guess >= _ENOUGH else 1 / _ENOUGH  # of the guess, in cases
        return guess

    def _alike(self, failures: int, is_refused: bool) -> list[_Share]:  # of its query
        """The shares of fresh queries, and of those that failed or were refused last, up to so many times."""
        return self._again[is_refused][: failures.bit_length() + 1]

    def _add(self, now: float, query: Trouble | None, share: _Share, *, failed: bool, was_answered: bool) -> None:
        share.add(now, failed=failed, query=query)
        if was_answered:
            self._answered_before.add(now, failed=failed)
        if share is self._fresh:
            self._fresh_lately.add(now, failed=failed)
