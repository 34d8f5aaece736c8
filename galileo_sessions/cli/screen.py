"""The terminal: what stdout shows, and a progress bar while counts are under way."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from shutil import get_terminal_size

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from galileo_sessions.counting.results import Progress
from galileo_sessions.details import Attempt
from galileo_sessions.display import printable, quantity


def write(text: str) -> None:
    """Writes lines to stdout. On a terminal, nothing in them can control it."""
    print(printable(text) if sys.stdout.isatty() else text, flush=True)


def width() -> int | None:
    """The columns of the terminal, if stdout is one; lines break where it has less than 40."""
    return max(40, get_terminal_size().columns) if sys.stdout.isatty() else None


def encodable(drawing: str) -> str:
    """The drawing; if the encoding of stdout lacks blocks, with bars of other characters."""
    encoding = sys.stdout.encoding or "utf-8"  # a StringIO has none
    has_blocks = encoding.lower().startswith("utf")
    return drawing if has_blocks else re.sub("[\u2588-\u258f]", "#", drawing)


class _Terminal(Console):
    """
    Leaves the cursor visible, since a signal can end the process before anything shows it again.
    """

    def show_cursor(self, show: bool = True) -> bool:
        return False


@contextmanager
def counting_bar(*, quiet: bool) -> Generator[Callable[[Progress | Attempt], None]]:
    """
    A progress bar on stderr, if that is a terminal and `quiet` isn't set; returns what shows news
    on it.
    """
    is_shown = sys.stderr.isatty() and not quiet
    failed = TextColumn("{task.fields[failed]:,} failed, {task.fields[state]}")
    columns = (BarColumn(10), MofNCompleteColumn(), TimeRemainingColumn(), failed)
    # Unless quiet, rich 13.0 would write a line end when a hidden bar stops.
    console = _Terminal(stderr=True, quiet=not is_shown)
    with RichProgress(*columns, console=console, transient=True, disable=not is_shown) as bar:
        task = bar.add_task("", total=None, failed=0, state="starting")

        def show(news: Progress | Attempt) -> None:
            state = f"at most {quantity(news.width, 'request')} at once"
            if news.breaker_open:
                state = "waiting for the service"
            bar.update(task, state=state)
            if isinstance(news, Progress):
                bar.update(task, completed=news.done, total=news.total, failed=news.failed)

        yield show
