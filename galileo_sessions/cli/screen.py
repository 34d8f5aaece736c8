"""The terminal: what stdout shows, tables, and a progress bar while counts are under way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from io import StringIO

from rich.bar import Bar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from galileo_sessions.cli.wording import one_line
from galileo_sessions.counting.results import Progress
from galileo_sessions.display import printable
from galileo_sessions.errors import Attempt

_NUMBERS = ("sessions", "share")  # the heads of columns whose cells are never cut
_LEAST, _ENDLESS = 40, 100_000  # columns of a narrow terminal, and of a pipe or a file
_ID, _NAME = 16, 14  # columns that a narrow terminal leaves for ids and labels, and for names


def write(text: str) -> None:
    """Writes lines to stdout. On a terminal, nothing in them can control it."""
    print(printable(text) if sys.stdout.isatty() else text, flush=True)


def has_bars() -> bool:
    """Whether stdout is a terminal that can show bars."""
    return sys.stdout.isatty() and sys.stdout.encoding.lower().startswith("utf")


def draw_table(head: Sequence[str], rows: Sequence[Sequence[str | Bar]]) -> str:
    """
    Rows as aligned lines, without the columns that are empty below the head.

    On a terminal, text ends with dots if a line would be too long, in the first column only where
    the others leave no room; and bars fill the rest of the line.
    """
    columns = [cells for cells in zip(head, *rows, strict=True) if not rows or any(cells[1:])]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    _add_columns(table, columns)
    for row in zip(*[cells[1:] for cells in columns], strict=True):
        table.add_row(*map(_cell, row))
    file = StringIO()
    Console(file=file, width=_width(), color_system=None).print(table)
    lines = file.getvalue().rstrip("\n").split("\n")
    return "\n".join([line.rstrip() for line in lines])


def _add_columns(table: Table, columns: Sequence[Sequence[str | Bar]]) -> None:
    """Adds columns, each of which has its title and its cells, with the room for the first one."""
    numbers = [cells for cells in columns if cells[0] in _NUMBERS]
    widths = [max(map(len, map(str, cells))) for cells in numbers]
    taken = sum(widths) + 2 * len(widths)
    for title in [str(cells[0]) for cells in columns]:
        if title in _NUMBERS:
            table.add_column(title, justify="right", no_wrap=True)
        elif not table.columns:
            table.add_column(title, no_wrap=True, max_width=max(_ID, _width() - taken - _NAME))
        else:
            table.add_column(title)


def _width() -> int:
    return max(_LEAST, Console().width) if sys.stdout.isatty() else _ENDLESS


def _cell(content: str | Bar) -> Text | Bar:
    """Text of users and of the service is no markup."""
    if isinstance(content, Bar):
        return content
    return Text(one_line(content), no_wrap=True, overflow="ellipsis")


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
            state = "waiting for the service" if news.breaker_open else f"limit {news.width}"
            bar.update(task, state=state)
            if isinstance(news, Progress):
                bar.update(task, completed=news.done, total=news.total, failed=news.failed)

        yield show
