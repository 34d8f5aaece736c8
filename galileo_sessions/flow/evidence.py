"""
Evidence: whether a failed attempt is about its query or about the service.

Theory of operation
===================

A refusal, such as a 503, a 429 or a refused connection, says that the service takes no request now. A failure, such as a
500, a 504 or a timeout, says that it took this one and couldn't finish it. The reason can be the service, but also the
query: a filter that takes too long, or a project that is broken. Only other queries can tell. So the last outcome of each
query is kept, for the latest 64 queries, and for a minute::

    an attempt of a query is     and of the other queries        then it is about
    refused                      any                             the service
    refused again                fewer than a quarter fail       the query
    failed                       fewer than two fail, or fewer   the query
                                 than a quarter
    failed                       others                          the service

What is about a query neither slows the client down nor opens the circuit breaker, so no other count waits because of it.
The counts of one query share its fate: a filter that hangs is one failing query, however many tasks ask for it.

The share of the other queries that fail also says what a failure costs its count; see `policy`.
"""

from collections import OrderedDict
from collections.abc import Hashable

from attrs import define, field

from galileo_sessions.flow.outcome import Outcome

_KEPT, _AGE = 64, 60.0  # queries and seconds; 64 are enough to distinguish 2 % from 10 %
_ALONE = 8  # failures in a row of the only query that is asked; then it stands for the service
_SEVERAL = 0.25  # the share of the other queries that must fail
RARE = 0.01
"""The share that is assumed to fail while nothing is known: a failure then costs a whole attempt."""


@define
class Evidence:
    """How the latest queries fared."""

    _last: OrderedDict[Hashable, tuple[float, int]] = field(factory=OrderedDict[Hashable, tuple[float, int]])
    # for each query, when its last attempt ended, and how many have failed in a row

    def add(self, query: Hashable, now: float, *, failed: bool) -> None:
        """Adds the outcome of an attempt, in place of the query's earlier one."""
        self._last[query] = now, self._row(query) + 1 if failed else 0
        self._last.move_to_end(query)
        if len(self._last) > _KEPT:
            _ = self._last.popitem(last=False)

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
        is_again = attempts > 1 or (others > 0 and self._row(query) > 1)
        if outcome.meaning == "failed":
            return self._row(query) < _ALONE if not others else failing < 2 or failing < _SEVERAL * others
        return is_again and failing < _SEVERAL * max(1, others)

    def failing_share(self, query: Hashable, now: float) -> float:
        """The share of the other queries that fail; a guess while there are none."""
        others, failing = self._others(query, now)
        return max(RARE, (failing + RARE) / (others + 1))

    def _row(self, query: Hashable) -> int:
        """How many attempts of a query have failed in a row."""
        return self._last[query][1] if query in self._last else 0

    def _others(self, query: Hashable, now: float) -> tuple[int, int]:
        """How many other queries are known, and how many of them fail."""
        while self._last and next(iter(self._last.values()))[0] < now - _AGE:
            _ = self._last.popitem(last=False)
        rows = [row for other, (_, row) in self._last.items() if other != query]
        return len(rows), len(rows) - rows.count(0)
