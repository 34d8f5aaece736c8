"""An event loop in virtual time: long waits take no time, and a busy machine exceeds no bound."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

BEGIN = 1_000.0  # the virtual time at which each run begins: the same one, as rounding is
_GRACE = 0.01  # seconds of the wall's that loopback has to deliver before the clock jumps; less where it jumps less
_LATE = 1e-6  # seconds that a timer is late, as a real one is: what is waited for has passed, also when rounded


class VirtualLoop(asyncio.SelectorEventLoop):
    """Has real sockets; if none is ready, its clock jumps to the next timer, and stands still while callbacks run."""

    _default_executor: object  # asyncio's own: None until something runs in a thread

    def __init__(self) -> None:
        self._now = BEGIN
        super().__init__(selector := selectors.DefaultSelector())
        self._really_select, selector.select = selector.select, self._select
        self.slow_callback_duration = float("inf")  # it would be measured on the virtual clock

    def _select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The sockets that are ready; without a timer it really waits."""
        if timeout is None or timeout <= 0:
            return self._really_select(timeout)
        has_sockets = len(self._selector.get_map()) > 1  # one is the loop's own, through which threads wake it
        has_threads = self._default_executor is not None
        ready = self._really_select(min(timeout / 10, _GRACE) if has_sockets or has_threads else 0)
        if not ready:
            self._now += timeout + _LATE
        return ready

    def time(self) -> float:
        return self._now

    def work(self, seconds: float) -> None:
        """Lets the callback that calls it take so long, though time stands still otherwise while callbacks run."""
        self._now += seconds


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
