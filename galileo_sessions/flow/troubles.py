"""
How each query fares: whether it is in trouble, and when it is sent again.

A query whose last attempt failed is in trouble until an attempt succeeds, or for a minute. All its
counts share one back-off, and are sent one at a time; each failure counts for all of them. A query
that isn't in trouble is fresh.

*When.* After a failure of its own, a query waits for a random time, up to a bound that doubles with
each attempt spent; after one that is the service's, up to half the time for which it has been in
trouble, at most 3 s. A wait lasts at least half that time, up to 0.15 s. A Retry-After is never cut
short. If the service refuses few queries, each has its last attempt 3 s after its first failure, or
later: so long can a restart of a part of the service take.

*What it costs.* A failure of its own spends an attempt of the query, and a timeout or a 504 two.
Rule 11 of `control` says when its counts are given up.
"""

import random
from collections.abc import Callable, Hashable
from functools import partial
from math import inf

from attrs import define, field

from galileo_sessions.details import Attempt
from galileo_sessions.flow.outcome import IGNORED, Outcome
from galileo_sessions.flow.settings import Retry

LONGEST = 3.0
"""The most seconds between a probe that failed and the next one."""
AGE = 60.0
"""Seconds for which a failure or an answer is known."""
REMEMBERED = 1_000
"""Queries in trouble, and failures in a row, that are remembered."""
# Seconds: waits are this long at least; retries with the same Retry-After are spread over it.
_SHORT = 0.15


@define(eq=False, repr=False)
class Trouble:
    """A query whose last attempt failed."""

    since: float
    """When its first attempt failed."""
    failures: int = 0
    """How often it has failed in a row."""
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
    attempt: Attempt | None = None
    """Its last attempt."""
    is_led: bool = False
    """Whether one of its counts is being sent, or waits for that. Its other counts follow."""
    followers: dict[Callable[[], object], None] = field(factory=dict)
    """What wakes each of those, in the order in which they came."""

    def wake_followers(self) -> None:
        """Wakes them: the query has failed again, or the count that led has ended."""
        followers, self.followers = self.followers, {}
        for wake in followers:
            _ = wake()


class Troubles:
    """
    The queries that are in trouble.

    Args:
        policy: How often and how patiently to try again.
    """

    def __init__(self, policy: Retry) -> None:
        self.policy: Retry = policy
        self.jitter: Callable[[float], float] = partial(random.uniform, 0)
        """Returns a random number of seconds, from 0 to its argument."""
        self.answered_at: float = -inf
        """When a count was answered last."""
        self.helped_at: float = -inf
        """When a query in trouble was answered last."""
        self._failed_at = -inf  # when a query failed last
        self._troubles: dict[Hashable, Trouble] = {}

    def recent_trouble(self, query: Hashable, now: float) -> Trouble | None:
        """
        The trouble that a query is in; None if it is fresh. One that is older than a minute is
        forgotten, unless a count leads.
        """
        trouble = self._troubles.get(query)
        if trouble is None or trouble.is_led:
            return trouble
        if now - max(trouble.ended_at, trouble.not_before) > AGE:
            del self._troubles[query]
            return None
        return trouble

    def standing(self, query: Hashable, now: float) -> int:
        """0 if a query is fresh, 1 if it was refused last, and 2 if it failed in another way."""
        trouble = self.recent_trouble(query, now)
        if trouble is None:
            return 0
        return 2 - trouble.outcome.is_refusal

    def some_are_in_trouble(self, now: float) -> bool:
        """
        Whether a query has failed within the last minute, and isn't known to be answered since
        then.
        """
        return bool(self._troubles) and now - self._failed_at < AGE

    def answered(self, query: Hashable, now: float, outcome: Outcome) -> Trouble | None:
        """A query was answered; returns the trouble that it was in."""
        trouble = self._troubles.pop(query, None)
        if trouble is not None:
            self.helped_at = now
        if outcome.is_count:
            self.answered_at = now
        return trouble

    def failed(self, query: Hashable, now: float) -> Trouble:
        """A query has failed; returns its trouble, which may be new."""
        self._failed_at = now
        trouble = self.recent_trouble(query, now)
        if trouble is None:
            self._troubles[query] = trouble = Trouble(now)
            self._forget_oldest()
        return trouble

    def _forget_oldest(self) -> None:
        while len(self._troubles) > REMEMBERED:
            query, oldest = next(iter(self._troubles.items()))
            if oldest.is_led:
                return
            del self._troubles[query]

    def charge(
        self, trouble: Trouble, now: float, outcome: Outcome, *, refuses_few: bool = False
    ) -> None:
        """
        Charges a query for a failure if it is its own, and decides when it can be sent again.

        Args:
            trouble: Its trouble.
            now: When it failed.
            outcome: How it failed.
            refuses_few: Whether the service refuses only few queries, so that the last attempt ends
                the counts of one that is refused.
        """
        policy = self.policy
        passed = now - trouble.since
        trouble.outcome = outcome
        trouble.ended_at = now
        is_next_last = False
        if trouble.is_own:
            doublings = min(trouble.spent, 2 * policy.attempts)
            longest = policy.backoff * (2**doublings - 1)
            trouble.spent += outcome.cost
            is_nearly_spent = trouble.spent >= policy.attempts - 1
            is_next_last = refuses_few and outcome.is_refusal and is_nearly_spent
        else:
            longest = min(LONGEST, passed / 2)
        longest = min(policy.max_backoff, longest)
        asked = outcome.retry_after
        if asked > policy.max_retry_after:
            asked = 0.0
        if asked > 0:  # 0 sets no time to wait
            longest = min(_SHORT, asked)
        if is_next_last:
            asked = max(asked, min(policy.max_backoff - longest, LONGEST - passed))
        trouble.not_before = now + max(asked + self.jitter(longest), min(_SHORT, passed / 2))
