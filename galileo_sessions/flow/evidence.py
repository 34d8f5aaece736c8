"""
Evidence: whether a failed attempt is about its query or about the service.

Theory of operation
===================

A refusal, such as a 503, a 429 or a refused connection, says that the service takes no request now. A failure, such as
a 500, a 504 or a timeout, says that it took this one and couldn't finish it. The reason can be the service, but also
the query: a filter that takes too long, or a project that is broken. Only other queries can tell. So it is kept how the
latest 64 queries fared within the last minute. A query fails if its last attempt failed, or one within 15 s::

    an attempt is     and of the other queries                 then it is about
    refused           any                                      the service
    refused again     fewer than a quarter fail, and few       the query
                      retries have succeeded
    failed            fewer than two or than a quarter fail    the query
    failed            more fail                                the service
    failed            none is known, for 64 attempts           the service

What is about a query neither slows the client down nor opens the circuit breaker, so no other count waits because of
it. All counts of one query are one piece of evidence: a filter that hangs is one failing query, however many ask it. A
retry that is refused is no evidence, so that a few projects that are always refused don't crowd out the others.

Once about twenty retries have succeeded, with less than a minute between two of them, no refusal is about its query: a
service that is full refuses anybody, and takes them later. A project that is always refused isn't helped by a retry.

The share of the other queries that fail also says what a failure costs its count; see `policy`.

*What it earns.* Beside a query that hangs or answers 504, a good count takes as long as alone. Without evidence of its
own, up to a quarter of the good counts waited, for as long as 30 s. Without either, refused projects lose 16 to 21 of
816 fan-outs of random services instead of 8.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import inf

from attrs import define, field

from galileo_sessions.flow.outcome import Outcome

_KEPT, _AGE = 64, 60.0  # queries and seconds; 64 are enough to distinguish 2 % from 10 %
_LATELY = 15.0  # seconds for which a failure counts although a later attempt succeeded
_SEVERAL = 0.25  # the share of the other queries that must fail
RARE = 0.01
"""The share that is assumed to fail while nothing is known: a failure then costs a whole attempt."""


@define(eq=False, repr=False)
class _Record:
    """How one query fared."""

    ended_at: float = -inf
    row: int = 0
    """How many of its attempts have failed since the last one that succeeded."""
    failed_at: float = -inf


@define(eq=False, repr=False)
class Evidence:
    """How the latest queries fared."""

    _records: OrderedDict[Hashable, _Record] = field(factory=OrderedDict[Hashable, _Record])
    _recovered: float = 0.0  # the share of the retries that were added and succeeded; the latest 64 weigh most
    _retried_at: float = -inf

    def add(self, query: Hashable, now: float, *, failed: bool, again: bool = False) -> None:
        """Adds the outcome of a count's first attempt, or of one that follows, which brings no other query back."""
        if again:
            share = self._recovering(now)
            self._recovered, self._retried_at = share + ((not failed) - share) / _KEPT, now
            if query not in self._records:
                return
        record = self._records.setdefault(query, _Record())
        if not again:
            self._records.move_to_end(query)
        record.ended_at, record.row = now, record.row + 1 if failed else 0
        record.failed_at = now if failed else record.failed_at
        if len(self._records) > _KEPT:
            _ = self._records.popitem(last=False)

    def is_of_query(self, query: Hashable, now: float, outcome: Outcome, attempts: int) -> bool:
        """
        Whether a failed attempt is about its query, not about the service.

        Args:
            query: The query.
            now: When the attempt ended.
            outcome: Its outcome.
            attempts: How many attempts its count had made before.
        """
        others, failing = self._others(query, now)
        row = self._records[query].row if query in self._records else 0
        if outcome.meaning != "failed":
            is_again = (attempts > 1 or (others > 0 and row > 1)) and self._recovering(now) < _SEVERAL
            return is_again and failing < _SEVERAL * max(1, others)
        return (failing < 2 or failing < _SEVERAL * others) if others else row < _KEPT

    def failing_share(self, query: Hashable, now: float) -> float:
        """The share of the other queries that fail; a guess while there are none."""
        others, failing = self._others(query, now)
        return max(RARE, (failing + RARE) / (others + 1))

    def _others(self, query: Hashable, now: float) -> tuple[int, int]:
        """How many other queries are known, and how many of them fail, or failed within the last seconds."""
        records = [each for other, each in self._records.items() if other != query and now - each.ended_at < _AGE]
        return len(records), sum([each.row > 0 or now - each.failed_at < _LATELY for each in records])

    def _recovering(self, now: float) -> float:
        return self._recovered if now - self._retried_at < _AGE else 0.0
