"""Whether to try again, and when: decisions over values, without a clock, a socket or a sleep of their own."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, field, frozen

from galileo_sessions.errors import (
    AttemptTimeoutError,
    ConfigurationError,
    DisconnectedError,
    GalileoError,
    ProtocolError,
    ResponseError,
    TLSError,
    TransportError,
)

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
            raise ConfigurationError(f"Retry(attempts={self.attempts!r}): a whole number from 1 to 20")
        for name in ("backoff", "max_backoff", "max_retry_after"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
                raise ConfigurationError(f"Retry({name}={seconds!r}): seconds from 0 to 86400")


@define
class Budget:
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
class Retrying:
    """
    The decisions for one count.

    Args:
        policy: How often and how patiently.
        budget: Shared by all counts.
        draw: Gives a random number from 0 to its argument.
    """

    policy: Retry
    budget: Budget
    draw: Callable[[float], float]
    made: int = field(default=0, init=False)
    _paid: int = field(default=0, init=False)
    _gateway_timeouts: int = field(default=0, init=False)

    def wait_after(self, error: GalileoError, left: float = inf) -> float | None:
        """
        Seconds to wait before the next attempt; None if there is none; infinite if the wait would pass the deadline.

        Args:
            error: What the last attempt met.
            left: Seconds to the deadline.
        """
        self.made += 1
        if not self._is_worth_it(error) or self.made >= self.policy.attempts:
            return None
        wait = self._wait(error)
        if wait >= left:
            return inf
        price = _DEAR_PRICE if isinstance(error, AttemptTimeoutError) or _status(error) == 504 else _PRICE
        if not self.budget.take(price):
            return None
        self._paid = price
        return wait

    def succeeded(self) -> None:
        """Tells that the count came, on a retry: the price of the retry comes back."""
        self.budget.give_back(self._paid)

    def _is_worth_it(self, error: GalileoError) -> bool:
        if isinstance(error, ResponseError):
            self._gateway_timeouts += error.status == 504
            in_time = error.retry_after is None or error.retry_after <= self.policy.max_retry_after
            return error.status in _STATUSES and self._gateway_timeouts < 2 and in_time
        if isinstance(error, ProtocolError):
            return error.worth_retrying
        return isinstance(error, TransportError) and not isinstance(error, TLSError)

    def _wait(self, error: GalileoError) -> float:
        asked = error.retry_after if isinstance(error, ResponseError) else None
        if asked is not None:
            return asked + self.draw(min(_GRACE, asked))
        if self.made == 1 and isinstance(error, DisconnectedError):
            return self.draw(_QUICK)
        return self.draw(min(self.policy.max_backoff, self.policy.backoff * 2 ** (self.made - 1)))


def _status(error: GalileoError) -> int | None:
    return error.status if isinstance(error, ResponseError) else None


def is_overload(error: GalileoError) -> bool:
    """Whether an error says that the service has too much to do."""
    return isinstance(error, AttemptTimeoutError) or _status(error) in _OVERLOAD
