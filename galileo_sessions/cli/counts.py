"""Counts as lines: for people, or as JSON or CSV for programs."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

from attrs import define

from galileo_sessions.cli.screen import Screen, printable
from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.fanout import CountResult, Targets
from galileo_sessions.errors import GalileoError


def _table_row(result: CountResult) -> str:
    if result.error is not None:
        return f"{result.query.project_id}  {'failed':>14}  {type(result.error).__name__}"
    return f"{result.query.project_id}  {result.total_count:>14,}"


def _json_row(result: CountResult) -> str:
    row: dict[str, object] = {"project_id": result.query.project_id}
    if result.error is None:
        row["total_count"] = result.total_count
    else:
        row["error"] = {"type": type(result.error).__name__, "message": str(result.error)}
    return json.dumps(row)


def _csv_row(result: CountResult) -> str:
    error = (
        "" if result.error is None else printable(" ".join(f"{type(result.error).__name__}: {result.error}".split()))
    )
    line = StringIO()
    csv.writer(line, lineterminator="").writerow((result.query.project_id, result.total_count, error))
    return line.getvalue()


FORMATS: dict[str, tuple[str | None, Callable[[CountResult], str]]] = {
    "table": (f"{'project id':36}  {'sessions':>14}", _table_row),
    "json": (None, _json_row),
    "csv": ("project_id,total_count,error", _csv_row),
}
"""Each format's header, and the function that makes a line of a result."""


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
    screen: Screen, targets: Targets, tally: Tally, output: str, galileo: GalileoSessions, **options: Any
) -> None:
    """
    Counts, and writes each result as it arrives: its line to stdout, and the reason of a failure to stderr.

    Raises:
        GalileoError: if the stream ends early.
        OSError: if stdout or stderr can't be written.
    """
    header, row = FORMATS[output]
    async with galileo, galileo.count_many(targets, on_progress=screen.on_progress, **options) as stream:
        watching = asyncio.create_task(screen.watch(stream))
        try:
            if header is not None:
                await screen.put(header)
            async for result in stream:
                await screen.put(row(result))
                if result.error is None:
                    tally.counted += 1
                    tally.total += result.unwrap()
                else:
                    tally.failed += 1
                    await screen.put(failure(result.error), err=True)
        finally:
            watching.cancel()


def failure(error: GalileoError) -> str:
    """An error's project and message; further lines are indented."""
    project = f"{error.query.project_id}: " if error.query is not None else ""
    return printable(f"{project}{error}").replace("\n", "\n  ")
