"""An event loop whose clock runs faster than the wall's, for waits that no test has the time for."""

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any


class _Hasty:
    """A selector that waits a fraction of what it is told."""

    def __init__(self, speed: float) -> None:
        self._selector = selectors.DefaultSelector()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, after `timeout` seconds of the fast clock at most."""
        return self._selector.select(timeout if timeout is None else timeout / self._speed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop on which `speed` seconds pass in each of the wall's; its sockets are real."""

    def __init__(self, speed: float) -> None:
        self._began = time.monotonic()
        self._speed = speed
        super().__init__(_Hasty(speed))
        self.slow_callback_duration = float("inf")  # it would be measured on the fast clock

    def time(self) -> float:
        """Seconds on the fast clock."""
        return self._began + (time.monotonic() - self._began) * self._speed


def run(main: Coroutine[Any, Any, Any], *, speed: float = 1.0, debug: bool = True) -> Any:
    """Runs `main` on a loop of its own, which must end with no task left."""

    async def checked() -> Any:
        before = asyncio.all_tasks()
        result = await main
        await asyncio.sleep(0)
        assert not asyncio.all_tasks() - before
        return result

    with asyncio.Runner(loop_factory=lambda: FastLoop(speed), debug=debug) as runner:
        return runner.run(checked())


def fast(speed: float, *, debug: bool = True) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Any]:
    """Makes a test of a coroutine function, `speed` times faster than it says."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run_test(*args: Any, **kwargs: Any) -> None:
            run(test(*args, **kwargs), speed=speed, debug=debug)

        return run_test

    return decorate
