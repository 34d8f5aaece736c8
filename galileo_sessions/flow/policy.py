"""
Whether a failed attempt is repeated, and when.

Theory of operation
===================

If every query fails, the service is at fault, and a failure costs a count next to nothing. If one query fails while
others succeed, the fault is its own: the failure costs one attempt, or two after a timeout. In between, the more
surprising a failure is, the more it costs: log(f) / log(0.01) of an attempt, where f is the share of the other queries
that fail; see `evidence`::

    others fail        1 %    10 %    50 %    90 %     98 %
    a failure costs    1      0.5     0.15    0.023    0.004

A count with 4 attempts is thus given up when the odds that it was only unlucky fall to 1 in 100 million, however many
attempts that takes. If every response in one second is a 500, no count is lost; yet a filter that the service can't
process fails after four attempts. So does a query that nobody can compare with others.

A refusal, such as a 503 or a 429, means that the service would take the request at another time. So a refused count
isn't given up within its patience, whether or not the service has ever answered. After that, a fan-out's target is
given up once its failures have cost all its attempts. A single count, for which a caller waits, is given up as soon as
its next attempt would come too late for its patience.

The first retry comes as soon as the queue has a permit for it. Later ones wait for a random time, so that clients that
failed together don't return together. The bound of that time doubles with each attempt spent. However short that is, a
wait lasts half as long as the count has been failing, up to 0.15 s. So one count sends at most 100 requests in ten
seconds, whatever the settings. A Retry-After is never cut short.
"""

from collections.abc import Callable, Hashable
from math import log

from attrs import define, field

from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import RARE, Evidence
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.settings import Retry

_SHORT = 0.15  # seconds: waits are this long at least; retries with the same Retry-After are spread over it


@define(eq=False, repr=False)
class Retries:
    """
    The retries of one count.

    Args:
        policy: How often and how patiently to try again.
        budget: The patience and the deadline of the call, and whether the count is a single one.
        jitter: Returns a random number from 0 to its argument.
        query: The query, for the evidence.
        started: When the count began.
        since: When the first attempt failed.
    """

    policy: Retry
    budget: Budget
    jitter: Callable[[float], float]
    query: Hashable
    started: float
    since: float
    spent: float = field(default=0.0, init=False)
    """Attempts that the failures have cost."""

    def next_wait(self, outcome: Outcome, now: float, evidence: Evidence) -> float | None:
        """
        Seconds until the next attempt can begin, or None if the count is given up.

        Args:
            outcome: The outcome of the last attempt.
            now: When that attempt failed.
            evidence: How the other queries fared.
        """
        policy, single, asked, before = self.policy, self.budget.is_single, outcome.retry_after or 0.0, self.spent
        if policy.attempts == 1 or outcome.is_final or asked > policy.max_retry_after:
            return None
        self.spent += outcome.cost * log(evidence.failing_share(self.query, now)) / log(RARE)
        left = min((self.started if single else self.since) + self.budget.patience, self.budget.deadline) - now
        is_refused = outcome.meaning != "failed"
        is_patient = is_refused and left > 0
        if not is_patient and (self.spent >= policy.attempts or (is_refused and single)):
            return None
        if asked:  # 0 sets no time to wait
            wait = asked + self.jitter(min(_SHORT, asked))
            return wait if wait < left or not single else None
        passed = now - self.since
        most = min(policy.max_backoff, policy.backoff * (2 ** min(before, 2 * policy.attempts) - 1))
        if is_patient:  # to notice soon that the service is back, and to try once more before giving up
            most = min(most, left, max(policy.backoff, passed / 2))
        return max(self.jitter(most), min(_SHORT, passed / 2))
