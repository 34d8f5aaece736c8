"""Counts as lines: for people, or as JSON or CSV for programs."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

from attrs import Factory, define

from galileo_sessions.cli.failures import Failures, error_row, message
from galileo_sessions.cli.screen import Screen, printable
from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.fanout import Targets
from galileo_sessions.client.results import CountResult
from galileo_sessions.display import chart, shortened, sparkline


def _table_row(result: CountResult) -> str:
    if result.error is not None:
        return f"{result.query.project_id}  {'failed':>14}  {type(result.error).__name__}"
    return f"{result.query.project_id}  {result.total_count:>14,}"


def _json_row(result: CountResult) -> str:
    if result.error is not None:
        return json.dumps(error_row(result, result.error))
    label = {} if result.query.tag is None else {"label": result.query.tag}
    return json.dumps({"project_id": result.query.project_id, **label, "total_count": result.total_count})


def _csv_row(result: CountResult) -> str:
    error = result.error
    told = "" if error is None else " ".join(f"{type(error).__name__}: {message(error)}".split())
    label = () if result.query.tag is None else (result.query.tag,)
    line = StringIO()
    csv.writer(line, lineterminator="").writerow((result.query.project_id, *label, result.total_count, told))
    return line.getvalue()


_TABLE_HEADER = f"{'project id':36}  {'sessions':>14}"
_ROWS: dict[str, tuple[str, str, Callable[[CountResult], str]]] = {  # the header, that with labels, and a line
    "table": (_TABLE_HEADER, _TABLE_HEADER, _table_row),
    "json": ("", "", _json_row),
    "csv": ("project_id,total_count,error", "project_id,label,total_count,error", _csv_row),
}
FORMATS = tuple(_ROWS)
_TOTAL = "{:36}  {:>14,}"


class Rows:
    """A line for each result, in one of the formats."""

    def __init__(self, output: str, *, parts: bool = False) -> None:
        header, with_labels, self._row = _ROWS[output]
        self.header: str = with_labels if parts else header

    def lines(self, result: CountResult) -> list[str]:
        """The lines that a result brings."""
        return [self._row(result)]

    def total(self, total: int) -> str:
        """The last line of a table."""
        return _TOTAL.format("total", total)


@define
class Charts:
    """Counts by something, for people: a chart of one project; of several, a line each with a sparkline."""

    labels: list[str]
    """Of the parts: a project has as many results, which come one after the other."""
    alone: bool
    width: int
    """Columns of the terminal; 0 draws neither bars nor sparklines."""
    _left: int = 5  # columns of the labels
    _own: list[CountResult] = Factory(list[CountResult])

    @property
    def header(self) -> str:
        """Above sparklines, what they are of."""
        if self.alone or not self.width:
            return ""
        ends = f"{shortened(self.labels[0])} … {shortened(self.labels[-1])}"
        return f"{_TABLE_HEADER}  {ends if len(ends) <= self._space else ''}".rstrip()

    @property
    def _space(self) -> int:
        """Columns of a sparkline, beside a project's id and its total."""
        return max(8, self.width - 54)

    def lines(self, result: CountResult) -> list[str]:
        """The lines that a result brings: those of its project, if it is the last one of it."""
        self._own.append(result)
        if len(self._own) < len(self.labels):
            return []
        own, self._own = self._own, []
        if self.alone:
            self._left = max([5, *(len(shortened(str(each.query.tag))) for each in own)])
            return chart([(str(each.query.tag), each.total_count) for each in own], self.width).splitlines()
        if not self.width:
            return [f"{each.query.project_id}  {_count_of(each):>14}  {printable(str(each.query.tag))}" for each in own]
        counts = [each.total_count or 0 for each in own]
        failed = sum(each.error is not None for each in own)
        drawn = f"{failed:,} failed" if failed else sparkline(counts, self._space)
        return [f"{result.query.project_id}  {sum(counts):>14,}  {drawn}"]

    def total(self, total: int) -> str:
        """The last line."""
        return f"{'total':{self._left}}  {total:,}" if self.alone else _TOTAL.format("total", total)


def _count_of(result: CountResult) -> str:
    return "failed" if result.total_count is None else f"{result.total_count:,}"


@define
class Tally:
    """The counts so far."""

    expected: int | None
    """The number of projects, if it is known."""
    counted: int = 0
    failed: int = 0
    total: int = 0

    def __str__(self) -> str:
        of = "" if self.expected is None else f" of {self.expected:,}"
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.counted:,}{of} counted{failed}, total {self.total:,}"


async def count_to(
    screen: Screen,
    *,
    targets: Targets,
    tally: Tally,
    rows: Rows | Charts,
    failures: Failures,
    galileo: GalileoSessions,
    **options: Any,
) -> None:
    """
    Counts, and writes each result as it arrives: its line to stdout, and the reason of a failure to stderr.

    Raises:
        GalileoError: if the stream ends early.
        OSError: if stdout or stderr can't be written.
    """
    async with galileo, galileo.count_many(targets, on_progress=screen.on_progress, **options) as stream:
        watching = asyncio.create_task(screen.watch(stream))
        try:
            if rows.header:
                await screen.put(rows.header)
            async for result in stream:
                for line in rows.lines(result):
                    await screen.put(line)
                if result.error is None:
                    tally.counted += 1
                    tally.total += result.unwrap()
                    continue
                tally.failed += 1
                told = failures.add(result, result.error)
                if told is not None:
                    await screen.put(told, err=True)
        finally:
            watching.cancel()
