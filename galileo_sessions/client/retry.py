"""
Whether to try again, and when: decisions over values, without a clock, a socket or a sleep of their own.

Theory of operation
===================

Each question has a `RetryDecisions`; all questions of a client share a `RetryBudget`. After each failed attempt the
first one decides, in this order: a new attempt at once after a 401 if a new token may help, once; no attempt for errors
that would come again; a wait; no attempt if the budget can't pay for it::

    503          429, Retry-After: 1      200
    attempt 1 ── jitter up to 0.25 s ── attempt 2 ── 1 to 1.1 s ── attempt 3
         budget -5                 budget -5                 budget +5

Waits are random, from 0 to a bound that doubles, so that clients which failed together don't return together. The first
retry after a lost connection is quick, for often only a kept connection was stale. A Retry-After is never cut short.

The budget keeps retries from multiplying the load of a failing service: it starts full at 500 tokens, a retry takes 5
or 10, and success gives tokens back. An empty budget means that each question is asked once, until successes refill it.

Invariants: at most `attempts` attempts for a question; 0 <= tokens <= 500; no wait that would pass the deadline.
"""

from collections.abc import Callable
from math import inf

from attrs import define, field, frozen

from galileo_sessions import errors

_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_OVERLOAD = frozenset({429, 503, 504})
_QUICK = 0.05  # seconds within which the first retry after a disconnect begins: often it was only a stale connection
_GRACE = 0.1  # seconds over which those who wait for the same Retry-After come back

_FULL, _PRICE, _DEAR_PRICE = 500, 5, 10


@frozen
class Retry:
    """
    How often and how patiently to try again; counting changes nothing, so that a repeated request does no harm.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    attempts: int = 4
    """Requests for one count at most, 1 to 20; 1 means no retry."""
    backoff: float = 0.25
    """Seconds that the first wait is at most; it doubles with each attempt, and is drawn from 0 up to that."""
    max_backoff: float = 8.0
    """Seconds that any wait is at most, unless the service asks for more with Retry-After."""
    max_retry_after: float = 60.0
    """Seconds of Retry-After that are waited; if it is more, the error is raised, and carries the number."""

    def __attrs_post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= 20:
            raise errors.ConfigurationError(f"Retry(attempts={self.attempts!r}): a whole number from 1 to 20")
        for name in ("backoff", "max_backoff", "max_retry_after"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
                raise errors.ConfigurationError(f"Retry({name}={seconds!r}): seconds from 0 to 86400")


@define
class RetryBudget:
    """
    What all counts of a client may spend on retries together, so that a dead service isn't asked four times as often.

    A retry costs 5 tokens, 10 after a timeout or a 504. Success at once gives 1 back, success on a retry its price.
    """

    tokens: int = _FULL

    def take(self, price: int) -> bool:
        """Pays for a retry, if there is enough."""
        if price > self.tokens:
            return False
        self.tokens -= price
        return True

    def give_back(self, tokens: int) -> None:
        """Refunds, up to what there was at the beginning."""
        self.tokens = min(_FULL, self.tokens + tokens)


@define
class RetryDecisions:
    """
    The decisions for one question.

    Args:
        policy: How often and how patiently.
        budget: Shared by all questions of a client.
        jitter: Returns a random number from 0 to its argument.
    """

    policy: Retry
    budget: RetryBudget
    jitter: Callable[[float], float]
    made: int = field(default=0, init=False)
    _refund: int = field(default=1, init=False)
    _gateway_timeouts: int = field(default=0, init=False)
    _new_tokens: int = field(default=0, init=False)

    def wait_after(self, error: errors.GalileoError, left: float = inf, *, new_token: bool = False) -> float | None:
        """
        Seconds to wait before the next attempt; None if there is none; infinite if the wait would pass the deadline.

        Args:
            error: What the last attempt met.
            left: Seconds to the deadline.
            new_token: Whether the next attempt has a new token; after a 401 that is worth an attempt, once.
        """
        self.made += 1
        if self.made >= self.policy.attempts:
            return None
        if new_token and not self._new_tokens:
            self._new_tokens += 1
            return 0.0
        if not self._is_worth_it(error):
            return None
        wait = self._wait(error)
        if wait >= left:
            return inf
        price = _DEAR_PRICE if isinstance(error, errors.AttemptTimeoutError) or _status(error) == 504 else _PRICE
        if not self.budget.take(price):
            return None
        self._refund = price
        return wait

    def succeeded(self) -> None:
        """Gives tokens back: 1 after success at once, the price of the retry after success on a retry."""
        self.budget.give_back(self._refund)

    def _is_worth_it(self, error: errors.GalileoError) -> bool:
        if isinstance(error, errors.ResponseError):
            self._gateway_timeouts += error.status == 504
            in_time = error.retry_after is None or error.retry_after <= self.policy.max_retry_after
            return error.status in _STATUSES and self._gateway_timeouts < 2 and in_time
        if isinstance(error, errors.ProtocolError):
            return error.worth_retrying
        return isinstance(error, errors.TransportError) and not isinstance(error, errors.TLSError)

    def _wait(self, error: errors.GalileoError) -> float:
        asked = error.retry_after if isinstance(error, errors.ResponseError) else None
        if asked is not None:
            return asked + self.jitter(min(_GRACE, asked))
        if self.made == 1 and isinstance(error, errors.DisconnectedError):
            return self.jitter(_QUICK)
        return self.jitter(min(self.policy.max_backoff, self.policy.backoff * 2 ** (self.made - 1)))


def _status(error: errors.GalileoError) -> int | None:
    return error.status if isinstance(error, errors.ResponseError) else None


def is_overload(error: errors.GalileoError) -> bool:
    """Whether an error says that the service has too much to do."""
    return isinstance(error, errors.AttemptTimeoutError) or _status(error) in _OVERLOAD
