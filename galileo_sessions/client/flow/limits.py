"""The limits that a user sets: requests at once, at most, and a rate that is known. What is learned is in `flow`."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import Factory, field, frozen

from galileo_sessions.errors import ConfigurationError, brief


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
