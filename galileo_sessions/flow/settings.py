"""
What a user can set: how many requests at once, how long an attempt takes, and how patiently to try
again.
"""

from collections.abc import Callable
from datetime import timedelta
from inspect import iscoroutinefunction
from operator import index
from typing import Any, TypeAlias, TypeVar, cast

from attrs import Attribute, Factory, field, frozen
from attrs.validators import optional

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
# Seconds of a timeout; the event loop's clock can't be compared with a number of 400 digits.
_LONGEST = 10**9

Seconds: TypeAlias = float | timedelta
"""A length of time: seconds, or a `timedelta`."""
T = TypeVar("T")
_Validator: TypeAlias = Callable[[object, "Attribute[Any]", Any], None]


def _between(
    least: float, most: float, what: str = "seconds", kind: Any = int | float
) -> _Validator:
    def check(settings: object, attribute: "Attribute[Any]", value: Any) -> None:
        if _is_number(value, kind) and least <= value <= most:  # NaN isn't
            return
        given = f"{type(settings).__name__}({attribute.name}={brief(value)})"
        raise ConfigurationError(f"{given}: expected {what} from {least} to {most:,}")

    return check


def _is_number(value: object, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def plain(value: T) -> T:
    """An `int` for a whole number of another class, such as numpy's; any other value itself."""
    if isinstance(value, bool):
        return value
    try:
        return cast("T", index(cast("int", value)))
    except TypeError:
        return value


def _plain_int(value: int) -> int:
    return plain(value)


def _plain_rate(value: float | None) -> float | None:
    return plain(value)


def _in_seconds(value: Seconds) -> float:
    """The seconds of a timedelta; the value itself if it is none."""
    if isinstance(value, timedelta):
        return value.total_seconds()
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
    backoff: float = field(default=0.25, converter=_in_seconds, validator=_WAIT)
    """The most seconds that a retry waits after a failure of the query's own, once one attempt is
    spent; the first retry doesn't wait. The bound grows with each attempt spent, and each wait is
    random. After a failure of the service's, the bound is half of the time since the trouble began,
    at most 3 s. Waits can be 0.15 s even if the bound is less."""
    max_backoff: float = field(default=8.0, converter=_in_seconds, validator=_WAIT)
    """The most seconds that any retry waits, unless a Retry-After is longer."""
    max_retry_after: float = field(default=60.0, converter=_in_seconds, validator=_WAIT)
    """
    The longest Retry-After to wait for, in seconds. With a longer one, the count fails; its error
    has the time.
    """
    patience: float = field(default=90.0, converter=_in_seconds, validator=_WAIT)
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

    connect: float = field(default=10.0, converter=_in_seconds, validator=_TIMEOUT)
    """
    Seconds until a connection is ready, including all addresses of the host, the proxy and TLS;
    with a session of your own, also the wait for a place in its pool.
    """
    attempt: float = field(default=30.0, converter=_in_seconds, validator=_TIMEOUT)
    """Seconds from when the limits let the attempt begin until the last byte of its response."""


def check_arguments(kinds: Any, words: str, **given: object) -> None:
    """
    Checks the types of arguments.

    Args:
        kinds: The types that they can have, as `isinstance` takes them.
        words: What to write, for the error.
        given: The arguments by their names.

    Raises:
        ConfigurationError: if one has another type.
    """
    for name, value in given.items():
        if not isinstance(value, kinds):
            raise ConfigurationError(f"{name} must be {words}, got {brief(value)}")


def check_callback(name: str, function: object) -> None:
    """
    Checks an argument that is called, and not awaited.

    Raises:
        ConfigurationError: unless it is None, or a function that isn't asynchronous.
    """
    check_arguments(Callable | None, "a function", **{name: function})
    if any(map(iscoroutinefunction, (function, getattr(function, "__call__", None)))):  # noqa: B004  # an object's
        hint = "Write def instead of async def; it can call asyncio.create_task(...)"
        problem = f"{name} isn't awaited, got the async function {brief(function)}"
        raise ConfigurationError(problem, hint=hint)


def as_concurrency(given: int | None, default: int) -> int:
    """
    A call's `concurrency`, or the client's by default.

    Raises:
        ConfigurationError: unless it is a whole number, 1 or more.
    """
    if given is None:
        return default
    given = plain(given)
    if _is_number(given, int) and given >= 1:
        return given
    raise ConfigurationError(f"concurrency must be a whole number, 1 or more, got {brief(given)}")


def as_seconds(timeout: Seconds | None) -> float | None:
    """
    The seconds of a call's `timeout`; None for no limit.

    Raises:
        ConfigurationError: unless it is more than 0.
    """
    if timeout is None:
        return None
    seconds = _in_seconds(timeout)
    if _is_number(seconds) and seconds > 0:
        return float(min(_LONGEST, seconds))
    problem = f"timeout must be seconds or a timedelta, more than 0, got {brief(timeout)}"
    raise ConfigurationError(problem, hint="Write timeout=30, or None for no limit")
