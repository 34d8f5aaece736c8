"""
Whether to try again, and when: decisions over values, without a clock, a socket or a sleep of their own.

Theory of operation
===================

Each question has a `RetryDecisions`; all of a client share a `RetryBudget`. A failed attempt is one of three::

    refusal       the service, or what stands before it, has no room: 429, 502, 503, 504, 520 to 524, 529, any retried
                  status with a Retry-After, a 200 that is no JSON but a page, no connection, a lost connection
    own trouble   408, 425, 500, a broken answer, an attempt that took too long
    final         all else: it would come again

A refusal is backpressure. It costs no attempt while there is reason for hope: the service said "later" itself (429,
Retry-After), or another answer came within the last `patience` seconds, or the question belongs to a fan-out, which is
told by the limiter's closed door when hope is over. The refused question returns to the head of the queue, and the
limiter decides when it is sent; after a Retry-After not before that time is over. One that is refused again goes to
the end of the queue; when others have succeeded in between again and again, its refusals tell nothing of the service,
and it waits on its own. Else a few projects that are always refused would take the others' place, or close the door.
A question that has been refused for longer than `patience` has no more free attempts, and waits for no further
Retry-After. In a fan-out that takes more, for where nine of ten are refused, it is only unlucky: so many refusals that
they can't be chance, given the share that is refused of all answers::

    500          429, Retry-After: 1      503          200
    attempt 1 ── jitter up to 0.25 s ── · ── 1 to 1.1 s ── · ── at once ── ·
         attempts 1 of 4            still 1          still 1
         budget -5                                               budget +5

Own trouble costs an attempt and tokens. Waits are random, from 0 to a bound that doubles, so that clients which failed
together don't return together. The first retry after a lost connection is quick, for often only a kept connection was
stale. A Retry-After is never cut short, and one above `max_retry_after` is not waited for.

The budget keeps retries from multiplying the load of a service in trouble: it starts full at 500 tokens, a retry takes
5 or 10, and success gives tokens back. An empty budget means that own trouble is final, until successes refill it.

Invariants: at most `attempts` attempts that cost one; 0 <= tokens <= 500; no wait that would pass the deadline; with
`Retry(attempts=1)` nothing is sent twice.
"""

from collections.abc import Callable
from math import inf, log

from attrs import define, field, frozen

from galileo_sessions import errors

OWN_TROUBLE = frozenset({408, 425, 500})
_REFUSALS = frozenset({429, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_STATUSES = OWN_TROUBLE | _REFUSALS
_QUICK = 0.05  # seconds within which the first retry after a disconnect begins: often it was only a stale connection
_GRACE = 0.1  # seconds over which those who wait for the same Retry-After come back
_AT_ONCE = 4  # times that others succeed between refusals of a question, before it waits on its own
_ALONE = 2.0  # minus the logarithm of a chance of 1 in 7, from which on a refusal tells of this question alone
_CHANCE = 20.0  # minus the logarithm of the chance that an unlucky question is given up: 1 in 500,000,000
_LEAST, _MOST = 0.05, 0.95  # share of refusals that is reckoned with: 7 in a row are no chance, or 390

_FULL, _PRICE, _DEAR_PRICE = 500, 5, 10


@frozen
class Retry:
    """
    How often and how patiently to try again; counting changes nothing, so that a repeated request does no harm.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    attempts: int = 4
    """Requests for one count that end in trouble of its own (a 500, a broken answer, a timeout), 1 to 20. Refusals of
    a service that is overloaded or away don't count while it may recover. 1 means no retry at all."""
    backoff: float = 0.25
    """Seconds that the first wait is at most; it doubles with each attempt, and is drawn from 0 up to that."""
    max_backoff: float = 8.0
    """Seconds that any wait is at most, unless the service asks for more with Retry-After."""
    max_retry_after: float = 60.0
    """Seconds of Retry-After that are waited; if it is more, nothing is sent for as long, and the error has the
    number."""
    patience: float = 90.0
    """Seconds for which a fan-out waits for a service that answered and now refuses everything; a single `count`
    without `timeout=` waits 10 s at most, and once for a Retry-After that is longer."""

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
class RetryBudget:
    """
    What all counts of a client may spend on retries together, so that a service in trouble isn't asked four times.

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
        patience: Seconds for which refusals are free, from the first one on.
        trusts_door: Whether a refusal is free until the limiter's closed door ends all hope, whatever came before.
    """

    policy: Retry
    budget: RetryBudget
    jitter: Callable[[float], float]
    patience: float = inf
    trusts_door: bool = False
    made: int = field(default=0, init=False)
    refund: int = field(default=1, init=False)
    """Tokens that a success gives back: 1, or the price of the last retry."""
    _refusals: int = field(default=0, init=False)
    _chance: float = field(default=0.0, init=False)
    _overtaken: int = field(default=0, init=False)
    _first_refusal: float | None = field(default=None, init=False)
    _is_impatient: bool = field(default=False, init=False)
    _last_refusal: float = field(default=0.0, init=False)
    _gateway_timeouts: int = field(default=0, init=False)
    _new_tokens: int = field(default=0, init=False)

    def wait_after_refusal(
        self, error: errors.GalileoError, now: float, last_success: float, left: float = inf, share: float = 0.0
    ) -> float | None:
        """
        Seconds to wait before a refused question may be sent again, if that is free; None if it isn't.

        Args:
            error: What the last attempt met.
            now: Seconds on any clock.
            last_success: When any question last succeeded, on the same clock.
            left: Seconds to the deadline; the wait is infinite if it would pass it.
            share: Of all answers, what was refused lately, from 0 to 1.
        """
        if not is_refusal(error) or self.policy.attempts == 1 or not self._is_in_time(error):
            return None
        if self._first_refusal is None:
            self._first_refusal = self._last_refusal = now
        hope = self.trusts_door or is_told(error) or now - last_success < self.patience
        refused_for = now - self._first_refusal
        self._chance -= log(min(_MOST, max(_LEAST, share)))
        had_enough = not self.trusts_door or self._chance >= _CHANCE
        self._is_impatient = had_enough and refused_for > self.patience
        if not hope or (had_enough and refused_for >= self.patience):
            return None
        self._overtaken += last_success > self._last_refusal
        self._last_refusal = now
        self._refusals += 1
        wait = self._wait_of_refusal(error)
        return wait if wait < left else inf

    @property
    def goes_first(self) -> bool:
        """Whether the question returns to the head of the queue: unless it was refused more than once."""
        return self._refusals <= 1

    def is_overtaken(self, last_success: float) -> bool:
        """Whether one more refusal would tell of this question alone, for others succeed again and again."""
        return self._overtaken > 0 and self._chance >= _ALONE and last_success > self._last_refusal

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
        if not self._is_worth_it(error) or (self._is_impatient and asked_wait(error) is not None):
            return None
        wait = self._wait(error)
        if wait >= left:
            return inf
        price = _DEAR_PRICE if isinstance(error, errors.AttemptTimeoutError) or _status(error) == 504 else _PRICE
        if not self.budget.take(price):
            return None
        self.refund = price
        return wait

    def _is_worth_it(self, error: errors.GalileoError) -> bool:
        if isinstance(error, errors.ResponseError):
            self._gateway_timeouts += error.status == 504
            return error.status in _STATUSES and self._gateway_timeouts < 2 and self._is_in_time(error)
        if isinstance(error, errors.ProtocolError):
            return error.worth_retrying
        if _is_page(error):
            return True
        return isinstance(error, errors.TransportError) and not isinstance(error, errors.TLSError)

    def _is_in_time(self, error: errors.GalileoError) -> bool:
        return (asked_wait(error) or 0.0) <= self.policy.max_retry_after

    def _wait_of_refusal(self, error: errors.GalileoError) -> float:
        if self._overtaken >= _AT_ONCE and asked_wait(error) is None:
            return self._backoff(self._overtaken - _AT_ONCE + 1)
        is_first = self._refusals == 1 and isinstance(error, errors.DisconnectedError)
        return self._wait(error) if is_first or asked_wait(error) is not None else 0.0

    def _wait(self, error: errors.GalileoError) -> float:
        asked = asked_wait(error)
        if asked is not None:
            return asked + self.jitter(min(_GRACE, asked))
        if self.made <= 1 and isinstance(error, errors.DisconnectedError):
            return self.jitter(_QUICK)
        return self._backoff(self.made)

    def _backoff(self, times: int) -> float:
        return self.jitter(min(self.policy.max_backoff, self.policy.backoff * 2 ** min(times - 1, 50)))


def _status(error: errors.GalileoError) -> int | None:
    return error.status if isinstance(error, errors.ResponseError) else None


def _is_page(error: errors.GalileoError) -> bool:
    """Whether a 200 isn't JSON, but the page of a proxy, say, or nothing."""
    return isinstance(error, errors.DecodeError) and not error.is_json


def asked_wait(error: errors.GalileoError) -> float | None:
    """Seconds that the service asked to wait, or None."""
    return error.retry_after if isinstance(error, errors.ResponseError) else None


def is_told(error: errors.GalileoError) -> bool:
    """Whether the service itself said to come later: a 429, or a status that is retried with a Retry-After."""
    status = _status(error)
    return status == 429 or (status in _STATUSES and asked_wait(error) is not None)


def is_refusal(error: errors.GalileoError) -> bool:
    """Whether the service, or what stands before it, had no room for the request, or was away."""
    if isinstance(error, errors.ConnectError | errors.DisconnectedError):
        return not isinstance(error, errors.TLSError)
    return _status(error) in _REFUSALS or is_told(error) or _is_page(error)


def is_overload(error: errors.GalileoError) -> bool:
    """Whether an error says that the service has too much to do: a refusal, or an attempt that took too long."""
    return isinstance(error, errors.AttemptTimeoutError) or is_refusal(error)


def is_trouble(error: errors.GalileoError) -> bool:
    """Whether an error is the service's or the network's, rather than an answer to this question alone."""
    return isinstance(error, errors.TransportError) or _status(error) in _STATUSES
