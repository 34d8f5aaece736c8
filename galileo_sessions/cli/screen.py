"""The terminal: lines for stdout, and a progress bar while counts are under way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from math import ceil
from threading import Thread
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from galileo_sessions.counting import results
from galileo_sessions.display import printable

T = TypeVar("T")

_MAX_WAITING = 1_000  # lines that wait for a slow reader of stdout
_INTERVAL = 0.02  # seconds; writing each line by itself would cost as much as the count


class Screen:
    """
    Writes lines to stdout without blocking the event loop, and shows the progress of a fan-out.

    If stderr is a terminal, a bar at its bottom shows the progress, unless `quiet` is set.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.progress: Callable[[], results.Progress | None] = lambda: None
        """Returns the progress to show."""
        self._lines: list[str] = []
        self._ended = False
        self._on_terminal = sys.stdout.isatty()  # then one console draws the lines and the bar
        has_bar = sys.stderr.isatty() and not quiet
        self._bar = Progress(
            BarColumn(10),
            TextColumn("{task.description}", markup=False),
            # without a terminal, rich 13.0 would write a line end when the bar stops
            console=Console(stderr=not self._on_terminal, quiet=not (has_bar or self._on_terminal)),
            transient=True,
            disable=not has_bar,
        )
        self._task = self._bar.add_task("")

    async def __aenter__(self) -> Self:
        self._bar.start()
        self._writing = asyncio.create_task(self._write_lines())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        try:
            await self._writing
        finally:
            self.show_progress()
            self._bar.stop()

    async def put(self, lines: list[str]) -> None:
        """
        Queues lines for stdout; waits only if a thousand are queued.

        Raises:
            OSError: if an earlier line couldn't be written, such as a `BrokenPipeError`.
        """
        self._lines += [f"{line}\n" for line in lines]
        while len(self._lines) > _MAX_WAITING and not self._writing.done():  # noqa: ASYNC110  # a thread takes them
            await asyncio.sleep(_INTERVAL)
        if self._writing.done():
            self._writing.result()

    def show_progress(self) -> None:
        """Updates the bar."""
        progress = self.progress()
        if progress is None:
            return
        done = f"{progress.done:,}" + ("" if progress.total is None else f" of {progress.total:,}")
        left = f"{timedelta(seconds=ceil(progress.remaining))} left, " if progress.remaining else ""
        rate = f"{progress.done / (progress.elapsed or 1):,.0f} a second, {left}"
        state = f"limit {progress.width}"
        if progress.breaker_open:
            rate, state = "", "waiting for the service"
        self._bar.update(
            self._task,
            completed=progress.done,
            total=progress.total,
            description=f"{done}, {rate}{progress.failed:,} failed, {state}",
        )

    async def _write_lines(self) -> None:
        while self._lines or not self._ended:
            self.show_progress()
            if self._lines:
                text = "".join(self._lines)
                self._lines.clear()
                await in_thread(partial(self._write, text))
            await asyncio.sleep(_INTERVAL)

    def _write(self, text: str) -> None:
        if self._on_terminal:
            self._bar.console.print(Text(printable(text)), end="", soft_wrap=True)
            return
        # not through sys.stdout: Python would wait for its lock at exit, even after a second Ctrl-C
        with open(
            sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, errors="backslashreplace", closefd=False
        ) as out:
            out.write(text)


def in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Like `asyncio.to_thread`, but Ctrl-C doesn't wait for the thread: a silent pipe or a slow reader can block it."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(call())
        except OSError as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)
