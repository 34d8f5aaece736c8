"""Functions of the user's that the client calls: checked when they are given, and never able to lose a count."""

import inspect
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from galileo_sessions.errors import ConfigurationError, brief

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("galileo_sessions")


class Callback(Generic[T]):
    """
    A function of the user's.

    Its first failure is logged with its traceback; of later ones, the 10th, the 100th and so on are, in one line.

    Args:
        name: The argument it was given as.
        function: What to call; it can't be a coroutine function, for nothing would await it.

    Raises:
        ConfigurationError: if it can't be called so.
    """

    def __init__(self, name: str, function: Callable[[T], object]) -> None:
        if not callable(function):
            raise ConfigurationError(f"{name} is a function, got {brief(function)}")
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004  # its own
            raise ConfigurationError(
                f"{name}={brief(function)} is a coroutine function, which nothing awaits. "
                f"Write a plain function, such as queue.put_nowait"
            )
        self._name = name
        self._function = function
        self._failures = 0

    def __call__(self, value: T) -> None:
        """Calls it; what it raises is logged."""
        try:
            outcome = self._function(value)
        except Exception:  # noqa: BLE001  # logged: it must not lose a count
            self._count_failure("raised", traceback=True)
            return
        if inspect.isawaitable(outcome):
            if inspect.iscoroutine(outcome):
                outcome.close()  # or it would warn that it was never awaited
            self._count_failure("returned an awaitable, which nothing awaits", traceback=False)

    def _count_failure(self, what: str, *, traceback: bool) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.error("%s %s; the counts go on", self._name, what, exc_info=traceback)
        elif set(str(self._failures)[1:]) == {"0"} and str(self._failures)[0] == "1":
            logger.error("%s %s %d times by now", self._name, what, self._failures)
