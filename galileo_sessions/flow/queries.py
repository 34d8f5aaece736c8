"""
How each query fares: whether it is in trouble, when it is sent again, and when its counts are given up.

Theory of operation
===================

A query whose last attempt failed is in trouble until an attempt succeeds, or for a minute. All its counts share one
back-off, and are sent one at a time. Each of them meets each failure, so that twenty callers of a query that hangs
don't wait twenty times as long. A query that isn't in trouble is fresh.

*When.* The first retry comes as soon as the queue has a permit for it. Later ones wait for a random time, so that
clients that failed together don't return together. The bound of that time grows with each attempt that the failures
have cost; see `evidence`. After a refusal that is the service's fault, it is at most 3 s, and half the time for which
the query has been in trouble. A wait lasts at least half that time, up to 0.15 s. So one query is sent at most 100
times in ten seconds, whatever the settings. A Retry-After is never cut short.

*How often.* A failure, such as a 500 or a timeout, means that the service took the request and couldn't finish it. The
count is given up once the failures have cost all its attempts. A refusal, such as a 503 or a 429, means that the
service would take the request at another time. A single count, for which a caller waits, is given up once its patience
has passed, or if a Retry-After ends too late. A fan-out's target is given up once its patience has passed, its failures
have cost all its attempts, they are its own, and sending queries again has helped none for twice the patience. While no
more counts can be parked, others are answered, and sending queries again has helped none for 10 s, any target whose
failures are its own is given up sooner: once 3 s have passed since its first attempt began, or will have passed when a
Retry-After ends. While no count is answered, only patience matters. To other requests, such as those for columns, any
answer matters. With `attempts=1`, or after a Retry-After above `max_retry_after`, a count is given up at once.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf

from attrs import define

from galileo_sessions import errors
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.settings import PATIENCE, Retry

OWN, IN_TROUBLE, FRESH, ANSWERED = -1, 0, 1, 2
"""
The standing of a query: its last attempt failed by its own fault; it failed otherwise; nothing is known of it; it was
answered within the last minute, and is among the last thousand that were, or those of the last 2 s.
"""
LONGEST = 3.0
"""The most seconds between a probe that failed and the next one."""
AGE = 60.0
"""Seconds for which a failure or an answer is known."""
KEPT = 1_000
"""Queries in trouble that are remembered, and at least as many that were answered; failures in a row."""
_LATEST = 2.0  # seconds: all that were answered since then are remembered, too
_SHORT = 0.15  # seconds: waits are this long at least; retries with the same Retry-After are spread over it


@define(eq=False, repr=False)
class Trouble:
    """A query whose last attempt failed."""

    since: float
    """When its first attempt failed."""
    began: float = 0.0
    """When that attempt was sent."""
    was_answered: bool = False
    """Whether the query was answered within a minute before that attempt failed."""
    failures: int = 0
    """How often it has failed in a row, apart from outages."""
    is_own: bool = False
    """Whether its last failure was its own."""
    spent: float = 0.0
    """Attempts that its failures have cost."""
    not_before: float = 0.0
    """When it can be sent again."""
    ended_at: float = 0.0
    """When its last attempt ended."""
    outcome: Outcome = IGNORED
    """The outcome of its last attempt."""
    attempt: errors.Attempt | None = None
    """Its last attempt."""
    attempts: int = 0
    """How many of its attempts have failed."""
    is_led: bool = False
    """Whether one of its counts is being sent, or waits for that. Its other counts wait for that one."""

    def has_no_time(self, now: float, ends: float) -> bool:
        """Whether a time has passed, or will have passed when a Retry-After ends."""
        return now >= ends or (self.outcome.retry_after > 0 and self.not_before >= ends)


class Queries:
    """
    What is known of each query.

    Args:
        policy: How often and how patiently to try again.
    """

    def __init__(self, policy: Retry) -> None:
        self.policy: Retry = policy
        self.jitter: Callable[[float], float] = lambda most: random.uniform(0, most)  # noqa: S311  # no secret
        """Returns a random number of seconds, from 0 to its argument."""
        self.answered_at: float = -inf
        """When a query was answered last."""
        self.counted_at: float = -inf
        """When a count was answered last, and not another request, such as one for columns."""
        self.helped_at: float = -inf
        """When a query in trouble was answered last."""
        self._failed_at = -inf  # when a query failed last
        self._troubles: dict[Hashable, Trouble] = {}
        self._answers: OrderedDict[Hashable, float] = OrderedDict()  # when each was answered; the latest ones last

    def trouble(self, query: Hashable, now: float) -> Trouble | None:
        """The trouble that a query is in; None if it is fresh."""
        trouble = self._troubles.get(query)
        if trouble is not None and not trouble.is_led and now - max(trouble.ended_at, trouble.not_before) > AGE:
            del self._troubles[query]
            return None
        return trouble

    def standing(self, query: Hashable, now: float) -> int:
        """How a query fares."""
        if (trouble := self.trouble(query, now)) is not None:
            return OWN if trouble.is_own else IN_TROUBLE
        return ANSWERED if now - self._answers.get(query, -inf) < AGE else FRESH

    def some_are_in_trouble(self, now: float) -> bool:
        """Whether a query has failed within the last minute, and isn't known to be answered since then."""
        return bool(self._troubles) and now - self._failed_at < AGE

    def some_are_answered(self, now: float) -> bool:
        """Whether a query is known whose last attempt was answered, within the last minute."""
        return bool(self._answers) and now - next(reversed(self._answers.values())) < AGE

    def answered(self, query: Hashable, now: float, *, is_count: bool = True) -> Trouble | None:
        """A query was answered, of a count or another request; returns the trouble that it was in."""
        trouble = self._troubles.pop(query, None)
        if trouble is not None:
            self.helped_at = now
        self.answered_at = now
        if is_count:
            self.counted_at = now
        self._answers[query] = now
        self._answers.move_to_end(query)
        while len(self._answers) > KEPT and now - next(iter(self._answers.values())) > _LATEST:
            _ = self._answers.popitem(last=False)
        return trouble

    def failed(self, query: Hashable, now: float, sent_at: float) -> Trouble:
        """A query has failed that was sent at some time; returns its trouble, which may be new."""
        answered_at = self._answers.pop(query, -inf)
        self._failed_at = now
        trouble = self.trouble(query, now)
        if trouble is None:
            self._troubles[query] = trouble = Trouble(now, sent_at, was_answered=now - answered_at < AGE)
            for _ in range(2 * (len(self._troubles) > KEPT)):  # one for each new one, and those that are led stay
                oldest = next(iter(self._troubles))
                if (old := self._troubles.pop(oldest)).is_led:
                    self._troubles[oldest] = old
        return trouble

    def charge(self, trouble: Trouble, now: float, outcome: Outcome, cost: float) -> None:
        """Charges a query for a failure, and decides when it can be sent again."""
        policy, spent, passed, asked = self.policy, trouble.spent, now - trouble.since, outcome.retry_after
        trouble.outcome, trouble.ended_at, trouble.spent = outcome, now, spent + cost
        trouble.attempts += 1
        if 0 < asked <= policy.max_retry_after:  # 0 sets no time to wait
            most = min(_SHORT, asked)
        else:
            asked, most = 0.0, min(policy.max_backoff, policy.backoff * (2 ** min(spent, 2 * policy.attempts) - 1))
            if outcome.is_refusal and not trouble.is_own:  # to notice soon that it is taken again
                most = min(most, LONGEST, max(policy.backoff, passed / 2))
        trouble.not_before = now + max(asked + self.jitter(most), min(_SHORT, passed / 2))

    def gives_up(self, trouble: Trouble, now: float, budget: Budget, began: float, *, is_crowded: bool = False) -> bool:
        """
        Whether a count whose query has failed is given up.

        Args:
            trouble: The trouble of the query.
            now: When the attempt failed.
            budget: The patience of the count.
            began: When the count began.
            is_crowded: Whether as many counts wait for their next attempt as are allowed.
        """
        policy, patience, is_refusal = self.policy, budget.patience, trouble.outcome.is_refusal
        is_spent, asked = trouble.spent >= policy.attempts, trouble.outcome.retry_after
        if policy.attempts == 1 or asked > policy.max_retry_after or (is_spent and not is_refusal):
            return True
        if budget.is_single and is_refusal:  # a caller waits for it
            return trouble.has_no_time(now, began + patience)
        since = max(began, trouble.since)
        answered_at = self.counted_at if trouble.outcome.is_count else self.answered_at
        others_are_answered = now < answered_at + LONGEST + asked  # or were, before all waited
        if is_crowded and trouble.is_own and others_are_answered:
            ends = max(began + LONGEST, trouble.began + LONGEST, self.helped_at + PATIENCE)
            if trouble.has_no_time(now, ends):
                return True
        if answered_at < since:  # nothing is answered
            return trouble.has_no_time(now, since + patience)
        if now >= answered_at + patience:
            return True
        return trouble.is_own and is_spent and now >= max(since, self.helped_at + patience) + patience
