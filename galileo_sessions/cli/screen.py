"""The terminal: lines for stdout, and a progress bar while counts are under way."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from datetime import timedelta
from math import ceil
from threading import Event, Thread
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from galileo_sessions.client.stream import CountStream

_MAX_WAITING = 1_000  # lines that wait for a slow reader of stdout
_INTERVAL = 0.02  # seconds; waking the thread for each line would cost as much as the count


class Screen:
    """
    Writes lines to stdout without blocking the event loop: a thread waits for slow readers.

    If stderr is a terminal, a bar at its bottom shows the progress of a stream, unless it is `quiet`.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._lines: deque[str] = deque()
        self._ended = Event()
        self._error: OSError | None = None
        self._writer = Thread(target=self._write_lines, daemon=True)  # so that a second Ctrl-C can end the program
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

    def __enter__(self) -> Self:
        self._bar.start()
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ended.set()
            self._writer.join()
        finally:
            self._bar.stop()
        self._raise_error()

    async def put(self, line: str) -> None:
        """
        Queues a line for stdout; waits only if a thousand lines are queued.

        Raises:
            OSError: if an earlier line couldn't be written, such as a `BrokenPipeError`.
        """
        self._lines.append(f"{line}\n")
        while len(self._lines) > _MAX_WAITING and self._writer.is_alive():  # noqa: ASYNC110  # a thread takes them
            await asyncio.sleep(_INTERVAL)
        self._raise_error()

    async def watch(self, stream: CountStream) -> None:
        """Shows how far a stream has got, until this is cancelled."""
        while True:
            self.show(stream)
            await asyncio.sleep(0.1)

    def show(self, stream: CountStream) -> None:
        """Shows how far a stream has got."""
        progress = stream.progress
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

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _write_lines(self) -> None:
        ended = False
        try:
            while not ended:
                ended = self._ended.wait(_INTERVAL)
                if self._lines:
                    self._write("".join([self._lines.popleft() for _ in range(len(self._lines))]))
        except OSError as error:
            self._error = error

    def _write(self, text: str) -> None:
        if self._on_terminal:
            self._bar.console.print(Text(text), end="", soft_wrap=True)
            return
        # not through sys.stdout: Python would wait for its lock at exit, even after a second Ctrl-C
        with open(
            sys.stdout.fileno(), "w", encoding=sys.stdout.encoding, errors="backslashreplace", closefd=False
        ) as out:
            out.write(text)
