"""An event loop in virtual time: long waits take no time, and a busy machine exceeds no bound."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

BEGIN = 1_000.0  # the virtual time at which each run begins: the same one, as rounding is
_GRACE = 0.01  # seconds of the wall's that loopback has to deliver before the clock jumps; less where it jumps less
_LATE = 1e-6  # seconds that a timer is late, as a real one is: what is waited for has passed, also when rounded


class _JumpingSelector:
    """
    A selector that doesn't wait for timers: if no socket is ready, the clock jumps to the next timer.

    Args:
        has_threads: Whether threads may wake the loop.
    """

    def __init__(self, has_threads: Callable[[], bool]) -> None:
        self._selector = selectors.DefaultSelector()
        self._has_threads = has_threads
        self.now = BEGIN

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The sockets that are ready; without a timer it really waits."""
        if timeout is None or timeout <= 0:
            return self._selector.select(timeout)
        has_sockets = len(self._selector.get_map()) > 1  # one is the loop's own, through which threads wake it
        grace = min(timeout / 10, _GRACE) if has_sockets or self._has_threads() else 0
        ready = self._selector.select(grace)
        if not ready:
            self.now += timeout + _LATE
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop with real sockets and virtual time.

    Time stands still while callbacks run, however busy the machine is, and while data arrives.
    """

    _default_executor: object  # asyncio's own: None until something runs in a thread

    def __init__(self) -> None:
        self._jumping = _JumpingSelector(lambda: self._default_executor is not None)
        super().__init__(self._jumping)
        self.slow_callback_duration = float("inf")  # it would be measured on the virtual clock

    def time(self) -> float:
        """Seconds on the virtual clock."""
        return self._jumping.now

    def work(self, seconds: float) -> None:
        """Lets the callback that calls it take so long, though time stands still otherwise while callbacks run."""
        self._jumping.now += seconds


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Runs `main` in virtual time on an event loop of its own, and asserts that it leaves no task."""

    async def checked() -> Any:
        before = asyncio.all_tasks()
        result = await main
        for _ in range(3):  # an async generator that nobody exhausted is closed by a task of the loop's
            await asyncio.sleep(0)
        assert not asyncio.all_tasks() - before
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(checked())


def virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a coroutine function a test that runs in virtual time."""

    @functools.wraps(test)
    def run_test(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return run_test
