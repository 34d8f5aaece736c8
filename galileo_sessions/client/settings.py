"""What a user can set: how many requests at once, and how often and how patiently to try again."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import Factory, field, frozen

from galileo_sessions.errors import ConfigurationError, brief

PATIENCE = 10.0
"""
Seconds that a single request without a deadline waits for a service that refuses everything, at most.

That is about how long people stay attentive while they wait (Miller 1968, Nielsen 1993). It outlasts a restart or
a failover of some seconds, and is less than the 30 s after which most gateways in front of the caller give up.
"""


def _initial(limits: "Limits") -> int:
    return min(10, limits.maximum) if type(limits.maximum) is int else 10


@frozen
class Limits:
    """
    How many requests may be under way at once: `Limits(5)` means at most 5.

    Below `maximum`, a client learns from the service's answers how many requests at once, and how many a second, it
    takes. None of these numbers has to be set.

    Raises:
        ConfigurationError: unless 1 <= initial <= maximum <= 10,000.
    """

    maximum: int = 256
    """Requests under way at once, at most."""
    initial: int = field(default=Factory(_initial, takes_self=True), kw_only=True)
    """Requests that may be sent at once before the service has answered any; unless given, 10, or fewer if `maximum`
    is less."""
    rate: AbstractAsyncContextManager[Any] | None = field(default=None, kw_only=True)
    """Entered before each request, where the service's rate is known: such as `aiolimiter.AsyncLimiter(200, 1)`."""

    def __attrs_post_init__(self) -> None:
        for name in ("maximum", "initial"):
            number = getattr(self, name)
            if type(number) is not int or not 1 <= number <= 10_000:
                raise ConfigurationError(f"Limits({name}={brief(number)}): a whole number from 1 to 10,000")
        if self.initial > self.maximum:
            raise ConfigurationError(f"Limits(initial={self.initial}) is more than maximum={self.maximum}")
        if self.rate is not None and not hasattr(self.rate, "__aenter__"):
            raise ConfigurationError(f"Limits(rate=...) takes an async context manager, got {type(self.rate).__name__}")


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
    """Seconds for which a fan-out waits for a service that refuses everything. A single `count` has 10 s, or the time
    that its `timeout=` gives."""

    def __attrs_post_init__(self) -> None:
        if type(self.attempts) is not int or not 1 <= self.attempts <= 20:
            raise ConfigurationError(f"Retry(attempts={brief(self.attempts)}): a whole number from 1 to 20")
        for name in ("backoff", "max_backoff", "max_retry_after", "patience"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
                raise ConfigurationError(f"Retry({name}={brief(seconds)}): seconds from 0 to 86400")
