"""Output: lines, and on a terminal a progress bar below them while counts are under way."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from itertools import groupby
from operator import itemgetter
from threading import Event, Thread
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from galileo_sessions.client.fanout import CountStream
from galileo_sessions.client.results import OnProgress, Progress

_MAX_WAITING = 1_000  # lines that may wait for a slow reader
_WATCHED = 0.25  # seconds between looks at a stream that may be waiting
_INTERVAL = 0.02  # seconds; waking the thread for each line would cost as much as the count


def printable(text: str) -> str:
    """The text without anything that a terminal would obey: all that isn't printable is escaped, but for line ends."""
    return "".join([c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text])


class Screen:
    """
    Writes lines from an event loop without blocking it: threads wait for slow readers and for the terminal.

    If stderr is a terminal, a bar at its bottom shows the progress of a fan-out.
    """

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._lines: deque[tuple[bool, str]] = deque()
        self._ended = Event()
        self._error: Exception | None = None
        self._writer = Thread(target=self._run, daemon=True)
        self._bar: Live | None = None
        self._terminals = (sys.stdout.isatty(), sys.stderr.isatty())
        if self._terminals[1]:
            both = self._terminals[0]  # on one terminal, one console must draw the lines and the bar
            console = Console(stderr=not both)
            self._bar = Live(console=console, get_renderable=self._draw, transient=True, redirect_stdout=both)

    def __enter__(self) -> Self:
        self._writer.start()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self._ended.set()
            self._writer.join()
        finally:
            if self._bar is not None:
                self._bar.stop()
        if error is None:
            self._check()

    async def put(self, line: str, *, err: bool = False) -> None:
        """
        Queues a line for stdout or stderr; waits only while too many lines are queued.

        Raises:
            OSError: if an earlier line could not be written, such as a `BrokenPipeError`.
        """
        self._lines.append((err, f"{line}\n"))
        while len(self._lines) > _MAX_WAITING and self._error is None:  # noqa: ASYNC110  # a thread takes them
            await asyncio.sleep(0.01)
        self._check()

    @property
    def on_progress(self) -> OnProgress | None:
        """The callback for a fan-out's progress; None without a terminal to show it."""
        return None if self._bar is None else self._update

    async def watch(self, stream: CountStream) -> None:
        """Shows the progress also while no result comes; for a task beside the stream."""
        while self._bar is not None:
            self._update(stream.progress)
            await asyncio.sleep(_WATCHED)

    def _update(self, progress: Progress) -> None:
        self._progress = progress

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        ended = False
        try:
            while not ended:
                ended = self._ended.wait(_INTERVAL)
                batch = [self._lines.popleft() for _ in range(len(self._lines))]
                for err, lines in groupby(batch, key=itemgetter(0)):
                    self._write(err, "".join([line for _, line in lines]))
        except Exception as error:  # noqa: BLE001  # put raises it
            self._error = error

    def _write(self, err: bool, text: str) -> None:
        if self._bar is not None and self._terminals[err]:
            self._bar.console.print(Text(text, end=""), soft_wrap=True, end="")
            return
        stream = sys.stderr if err else sys.stdout
        left = text.encode(stream.encoding, "backslashreplace")
        while left:  # past Python's buffer, whose lock would delay the exit after Ctrl-C while nobody reads
            left = left[os.write(stream.fileno(), left) :]

    def _draw(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        if (progress := self._progress) is not None:
            done = f"{progress.done:,}" + ("" if progress.total is None else f" of {progress.total:,}")
            rate = progress.done / (progress.elapsed or 1)
            words = f"{done}, {rate:,.0f} a second, {progress.failed:,} failed, limit {progress.width}"
            if progress.closed:
                words = f"{done}, {progress.failed:,} failed, waiting for the service"
            bar = ProgressBar(total=progress.total, completed=progress.done, width=24)
            grid.add_row(bar, Text(words, no_wrap=True))
        return grid
