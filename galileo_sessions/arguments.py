"""The arguments of calls: their types, and whole numbers and lengths of time of other classes."""

from collections.abc import Callable
from datetime import timedelta
from inspect import iscoroutinefunction
from operator import index
from typing import Any, TypeAlias, TypeVar, cast

from galileo_sessions.display import brief
from galileo_sessions.errors import ConfigurationError

# Seconds of a timeout; the event loop's clock can't be compared with a number of 400 digits.
_LONGEST = 10**9

Seconds: TypeAlias = float | timedelta
"""A length of time: seconds, or a `timedelta`."""
T = TypeVar("T")


def is_number(value: object, kind: Any = int | float) -> bool:
    """Whether it is a number of this kind; a `bool` isn't."""
    return isinstance(value, kind) and not isinstance(value, bool)


def plain(value: T) -> T:
    """An `int` for a whole number of another class, such as numpy's; any other value itself."""
    if isinstance(value, bool):
        return value
    try:
        return cast("T", index(cast("int", value)))
    except TypeError:
        return value


def in_seconds(value: Seconds) -> float:
    """The seconds of a timedelta; the value itself if it is none."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return plain(value)


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
    if is_number(given, int) and given >= 1:
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
    seconds = in_seconds(timeout)
    if is_number(seconds) and seconds > 0:
        return float(min(_LONGEST, seconds))
    problem = f"timeout must be seconds or a timedelta, more than 0, got {brief(timeout)}"
    raise ConfigurationError(problem, hint="Write timeout=30, or None for no limit")
