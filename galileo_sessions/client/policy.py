"""
Whether a failed attempt is repeated, and when.

Theory of operation
===================

Whose trouble is it? Trouble that everybody has is the service's, and costs a count next to nothing. Trouble that one
count has while others succeed is its own, and costs it an attempt, or two after a timeout. In between, a failure costs
the more the more surprising it is: log(f) / log(0.01) of an attempt, where f is the share of the other counts whose
first attempts failed lately::

    others failed     1 %    10 %    50 %    90 %     98 %
    a failure costs   1      0.5     0.15    0.023    0.004

A count with 4 attempts is thus given up when the odds that it was only unlucky fall to 1 in 100 million, however many
attempts fail. A second of 500s loses nothing, yet a filter that the service can't process fails after four attempts.
So does a count that is alone, because nothing says that others fail, too.

A service that refuses a request, or asks to come later, says itself that it would take the request at another time. If
it has answered before, such a count isn't given up within its `patience`. After that, a fan-out's target is given up
once its failures have cost all its attempts.

A count that has failed twice while fewer than a quarter of the others fail is in trouble of its own. Its further
failures say nothing about the service: they neither slow the client down nor open the circuit breaker.

The first retry comes as soon as the queue has a place for it. Later ones wait for a random time, so that clients which
failed together don't return together. Its bound doubles with each attempt spent. A Retry-After is never cut short.
"""

from collections.abc import Callable
from math import log

from attrs import define, field, frozen

from galileo_sessions import errors

_LATELY = 1 - 1 / 64  # weight that an attempt keeps with each later one; 64 are enough to tell 2 % from 10 %
_QUIET = 60.0  # seconds
_RARE = 0.01  # the share that is assumed before anything is known: a failure then costs a whole attempt
_FEW = 0.25  # a share of failures that most counts don't have; a rate limit that has just begun soon exceeds it
_SPREAD = 0.1  # seconds over which counts with the same Retry-After come back


@frozen
class Retry:
    """
    How often and how patiently to try again. Counting changes nothing, so repeating a request is safe.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    attempts: int = 4
    """Attempts for one count whose failures are its own, 1 to 20. A failure that other counts share costs less, or
    nothing. 1 means that nothing is sent twice."""
    backoff: float = 0.25
    """Seconds that the second retry waits at most; the first doesn't wait. The bound grows with each attempt spent, and
    the wait is drawn from 0 up to it."""
    max_backoff: float = 8.0
    """Seconds that any retry waits at most, unless the service asks for more with a Retry-After."""
    max_retry_after: float = 60.0
    """The longest Retry-After to wait for, in seconds. A longer one is the count's error, which has the number."""
    patience: float = 90.0
    """Seconds for which a fan-out waits for a service that refuses everything. A single `count` without `timeout=`
    begins no further wait after 10 s."""

    def __attrs_post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= 20:
            raise errors.ConfigurationError(
                f"Retry(attempts={errors.brief(self.attempts)}): a whole number from 1 to 20"
            )
        for name in ("backoff", "max_backoff", "max_retry_after", "patience"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
                raise errors.ConfigurationError(f"Retry({name}={errors.brief(seconds)}): seconds from 0 to 86400")


@define
class FirstAttempts:
    """
    How many counts failed lately at their first attempt; each weighs less as others come.

    Later attempts are left out, because they belong to counts that have failed before.
    """

    made: float = 0.0
    failed: float = 0.0
    number: int = 0
    """Of all first attempts ever."""
    _last_at: float = 0.0

    def add(self, now: float, *, failed: bool) -> None:
        """Adds one; after a quiet time, those before it say nothing any more."""
        if now - self._last_at > _QUIET:
            self.made = self.failed = 0.0
        self._last_at = now
        self.number += 1
        self.made = self.made * _LATELY + 1
        self.failed = self.failed * _LATELY + failed

    def failing_share(self, number: int) -> float:
        """The share that failed lately, without the failed one of this number; a guess if there were no others."""
        own = min(self.failed, _LATELY ** (self.number - number))  # less after a quiet time
        return max(_RARE, (self.failed - own + _RARE) / (self.made - own + 1))


@define
class Retries:
    """
    The retries of one count.

    Args:
        policy: How often and how patiently.
        interactive: Whether somebody awaits this count alone, so that it is given up when its patience ends.
        jitter: Returns a random number from 0 to its argument.
        number: Of its first attempt, in `FirstAttempts`; 0 if that didn't fail.
        since: When the first attempt failed.
        until: When its patience ends.
    """

    policy: Retry
    interactive: bool
    jitter: Callable[[float], float]
    number: int
    since: float
    until: float
    spent: float = field(default=0.0, init=False)
    """Attempts that the failures have cost."""
    _failures: int = field(default=0, init=False)

    def has_own_trouble(self, others: FirstAttempts) -> bool:
        """Whether it has failed twice, and most others don't, so that its failures say nothing about the service."""
        return self._failures >= 2 and others.failing_share(self.number) < _FEW

    def next_wait(
        self, verdict: errors.Verdict, now: float, others: FirstAttempts, *, has_answered: bool
    ) -> float | None:
        """
        Seconds until the next attempt can begin, or None if the count is given up.

        Args:
            verdict: On the last attempt.
            now: When it failed.
            others: The first attempts of all counts.
            has_answered: Whether the service has ever answered this client.
        """
        policy, asked, before = self.policy, verdict.retry_after, self.spent
        if policy.attempts == 1 or verdict.kind in ("answered", "fatal") or (asked or 0.0) > policy.max_retry_after:
            return None
        self._failures += 1
        self.spent += verdict.cost * log(others.failing_share(self.number)) / log(_RARE)
        is_spent, left = self.spent >= policy.attempts, self.until - now
        has_hope = has_answered and verdict.kind != "trouble"
        is_patient = has_hope and left > 0
        if not is_patient and (is_spent or (has_hope and self.interactive)):
            return None
        if asked:  # 0 names no time
            return asked + self.jitter(min(_SPREAD, asked))
        most = min(policy.max_backoff, policy.backoff * (2 ** min(before, 50.0) - 1))
        if is_patient:  # it learns soon that the service is back, and tries once more before it gives up
            most = min(most, left, max(policy.backoff, (now - self.since) / 2))
        return self.jitter(most)
