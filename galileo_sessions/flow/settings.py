"""
What a user can set: how many requests at once, how long an attempt takes, and how patiently to try
again.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import Attribute, Factory, field, frozen
from attrs.validators import optional

from galileo_sessions.arguments import in_seconds, is_number, plain
from galileo_sessions.display import brief
from galileo_sessions.errors import ConfigurationError

PATIENCE = 10.0
"""
The most seconds that a single request without a deadline waits for a service that refuses
everything.

That is about how long people stay attentive while they wait (Miller 1968, Nielsen 1993). It
outlasts a restart or a failover of a few seconds, and is less than the 30 s after which most
gateways in front of the caller give up.
"""
_DAY = 86_400  # seconds; no setting is longer

_Validator: TypeAlias = Callable[[object, "Attribute[Any]", Any], None]


def _between(
    least: float, most: float, what: str = "seconds", kind: Any = int | float
) -> _Validator:
    def check(settings: object, attribute: "Attribute[Any]", value: Any) -> None:
        if is_number(value, kind) and least <= value <= most:  # NaN isn't
            return
        given = f"{type(settings).__name__}({attribute.name}={brief(value)})"
        raise ConfigurationError(f"{given}: expected {what} from {least} to {most:,}")

    return check


def _plain_int(value: int) -> int:
    return plain(value)


def _plain_rate(value: float | None) -> float | None:
    return plain(value)


_REQUESTS = _between(1, 10_000, "a whole number", int)
_WAIT = _between(0, _DAY)
_TIMEOUT = _between(0.001, _DAY)


def _default_initial(limits: "Limits") -> int:
    if limits.maximum in range(10):  # it isn't checked yet
        return limits.maximum
    return 10


@frozen
class Limits:
    """
    How many requests may be under way at once, and how many may be sent in a second: `Limits(5,
    rate=50)`.

    Below `maximum`, a client learns from the service's answers how many requests the service takes
    at once, and how many a second. None of these numbers has to be set.

    Raises:
        ConfigurationError: unless 1 <= initial <= maximum <= 10,000, or if `rate` is out of its
            range.
    """

    maximum: int = field(default=256, converter=_plain_int, validator=_REQUESTS)
    """The most requests under way at once."""
    initial: int = field(
        default=Factory(_default_initial, takes_self=True),
        kw_only=True,
        converter=_plain_int,
        validator=_REQUESTS,
    )
    """Requests that may be sent at once before the service has answered any. Default: 10, or
    `maximum` if that is less."""
    rate: float | None = field(
        default=None,
        kw_only=True,
        converter=_plain_rate,
        validator=optional(_between(0.001, 10_000, "requests a second")),
    )
    """The most requests a second, from 0.001 to 10,000, evenly spaced; None sets no limit."""

    def __attrs_post_init__(self) -> None:
        if self.initial > self.maximum:
            problem = f"Limits(initial={self.initial}) is more than maximum={self.maximum}"
            raise ConfigurationError(problem)


@frozen
class Retry:
    """
    How often and how patiently to try again. Counting changes nothing, so repeating a request is
    safe.

    Seconds are 0 to 86,400, or a `timedelta` of at most a day.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    attempts: int = field(
        default=4, converter=_plain_int, validator=_between(1, 20, "a whole number", int)
    )
    """Attempts that a query may use up by its own failures, 1 to 20; all its counts share them. A
    failure that is the service's costs none; a timeout or a 504 costs two. 1 means that no count is
    sent twice.
    """
    backoff: float = field(default=0.25, converter=in_seconds, validator=_WAIT)
    """The most seconds that a retry waits after a failure of the query's own, once one attempt is
    spent; the first retry doesn't wait. The bound grows with each attempt spent, and each wait is
    random. After a failure of the service's, the bound is half of the time since the trouble began,
    at most 3 s. Waits can be 0.15 s even if the bound is less."""
    max_backoff: float = field(default=8.0, converter=in_seconds, validator=_WAIT)
    """The most seconds that any retry waits, unless a Retry-After is longer."""
    max_retry_after: float = field(default=60.0, converter=in_seconds, validator=_WAIT)
    """
    The longest Retry-After to wait for, in seconds. With a longer one, the count fails; its error
    has the time.
    """
    patience: float = field(default=90.0, converter=in_seconds, validator=_WAIT)
    """Seconds for which a fan-out waits for a service that refuses everything. If it refuses few
    queries and answers others, those few have only `attempts`. A single `count` has at most 10 s,
    or what its `timeout=` gives.
    """


@frozen
class Timeouts:
    """
    How long one attempt may take, in seconds or as a `timedelta`; a whole call has `timeout=`.

    Raises:
        ConfigurationError: unless each is from a millisecond to a day.
    """

    connect: float = field(default=10.0, converter=in_seconds, validator=_TIMEOUT)
    """
    Seconds until a connection is ready, including all addresses of the host, the proxy and TLS;
    with a session of your own, also the wait for a place in its pool.
    """
    attempt: float = field(default=30.0, converter=in_seconds, validator=_TIMEOUT)
    """Seconds from when the limits let the attempt begin until the last byte of its response."""
