"""What a user can set: how many requests at once, how long an attempt takes, and how patiently to try again."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from math import inf
from typing import Any, TypeAlias

from attrs import Attribute, Factory, field, frozen

from galileo_sessions.display import brief
from galileo_sessions.errors import ConfigurationError

PATIENCE = 10.0
"""
The most seconds that a single request without a deadline waits for a service that refuses everything.

That is about how long people stay attentive while they wait (Miller 1968, Nielsen 1993). It outlasts a restart or
a failover of a few seconds, and is less than the 30 s after which most gateways in front of the caller give up.
"""
DAY = 86_400  # seconds; no setting is longer
_LONGEST = 10**9  # seconds of a timeout; the event loop's clock can't be compared with a number of 400 digits

Seconds: TypeAlias = float | timedelta
"""A length of time: seconds, or a `timedelta`."""
_Validator: TypeAlias = Callable[[object, "Attribute[Any]", Any], None]


def _range(words: str, is_valid: Callable[[Any], bool]) -> _Validator:
    def check(settings: object, attribute: "Attribute[Any]", value: Any) -> None:
        if not is_valid(value):
            raise ConfigurationError(f"{type(settings).__name__}({attribute.name}={brief(value)}): {words}")

    return check


def _whole(most: int) -> _Validator:
    return _range(f"a whole number from 1 to {most:,}", lambda value: type(value) is int and 1 <= value <= most)


def _is_seconds(value: object, most: float = DAY) -> bool:
    """Whether it is a number from 0 to `most`; NaN isn't."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _in_seconds(value: Seconds) -> float:
    """The seconds of a timedelta; the value itself if it is none."""
    return value.total_seconds() if isinstance(value, timedelta) else value


_requests = _whole(10_000)
_seconds = _range(f"seconds from 0 to {DAY}", _is_seconds)
_timeout = _range(f"seconds, more than 0 and at most {DAY}", lambda value: _is_seconds(value) and value > 0)


def _initial(limits: "Limits") -> int:
    return min(10, limits.maximum) if type(limits.maximum) is int else 10


@frozen
class Limits:
    """
    How many requests may be under way at once: `Limits(5)` means at most 5.

    Below `maximum`, a client learns from the service's answers how many requests the service takes at once, and how
    many a second. None of these numbers has to be set.

    Raises:
        ConfigurationError: unless 1 <= initial <= maximum <= 10,000.
    """

    maximum: int = field(default=256, validator=_requests)
    """The most requests under way at once."""
    initial: int = field(default=Factory(_initial, takes_self=True), kw_only=True, validator=_requests)
    """Requests that may be sent at once before the service has answered any. Default: 10, or `maximum` if that is
    less."""
    rate: AbstractAsyncContextManager[Any] | None = field(default=None, kw_only=True)
    """A limiter to enter before each request, if the service's rate is known: `aiolimiter.AsyncLimiter(200, 1)`."""

    def __attrs_post_init__(self) -> None:
        if self.initial > self.maximum:
            raise ConfigurationError(f"Limits(initial={self.initial}) is more than maximum={self.maximum}")
        if self.rate is not None and not hasattr(self.rate, "__aenter__"):
            raise ConfigurationError(f"Limits(rate=...) takes an async context manager, got {type(self.rate).__name__}")


@frozen
class Retry:
    """
    How often and how patiently to try again. Counting changes nothing, so repeating a request is safe.

    Seconds are 0 to 86,400, or a `timedelta` of at most a day.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    attempts: int = field(default=4, validator=_whole(20))
    """Attempts for one count if only that count fails, 1 to 20. A failure that other counts share costs less, or
    nothing. 1 means that nothing is sent twice."""
    backoff: float = field(default=0.25, converter=_in_seconds, validator=_seconds)
    """The most seconds that the second retry waits; the first doesn't wait. The bound grows with each attempt spent,
    and each wait is random, from 0 up to the bound."""
    max_backoff: float = field(default=8.0, converter=_in_seconds, validator=_seconds)
    """The most seconds that any retry waits, unless a Retry-After is longer."""
    max_retry_after: float = field(default=60.0, converter=_in_seconds, validator=_seconds)
    """The longest Retry-After to wait for, in seconds. With a longer one, the count fails; its error has the time."""
    patience: float = field(default=90.0, converter=_in_seconds, validator=_seconds)
    """Seconds for which a fan-out waits for a service that refuses everything. A single `count` has 10 s, or the time
    that its `timeout=` gives."""


@frozen
class Timeouts:
    """
    How long one attempt may take, in seconds or as a `timedelta`; a whole call has `timeout=`.

    Raises:
        ConfigurationError: unless each is more than 0 and at most a day.
    """

    connect: float = field(default=10.0, converter=_in_seconds, validator=_timeout)
    """
    Seconds until a connection is ready, including all addresses of the host, the proxy and TLS; with a session of your
    own, also the wait for a place in its pool.
    """
    attempt: float = field(default=30.0, converter=_in_seconds, validator=_timeout)
    """Seconds from when the limits let the attempt begin until the last byte of its response."""


def as_seconds(timeout: Seconds | None) -> float | None:
    """
    The seconds of a call's `timeout`; None for no limit.

    Raises:
        ConfigurationError: if it is 0 or less, too long for a clock, or neither a number nor a `timedelta`.
    """
    if timeout is None:
        return None
    seconds = _in_seconds(timeout)
    if _is_seconds(seconds, inf) and seconds > 0 and not _LONGEST < seconds < inf:
        return min(float(_LONGEST), seconds)
    words = f"seconds or a timedelta, more than 0 and at most {_LONGEST:,} s"
    raise ConfigurationError(
        f"timeout must be {words}, got {brief(timeout)}", hint="Write timeout=30, or None for no limit"
    )
