"""Counts as lines: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO

from attrs import Factory, define, frozen
from rich.console import Console

from galileo_sessions.cli.screen import printable
from galileo_sessions.client.results import CountResult
from galileo_sessions.display import chart

FORMATS = ("table", "json", "csv")
_ROW = "{:36}  {:>14}"


@frozen
class Rows:
    """One of the formats."""

    header: str
    lines: Callable[[CountResult], str]
    """Returns the lines for a result."""


def rows_of(output: str, parts: int | None) -> Rows:
    """
    The format with that name.

    Args:
        output: One of `FORMATS`.
        parts: The number of labels, if each project has a count for each label; the results must be in order.
    """
    if output == "json":
        return Rows("", json_line)
    if output == "csv":
        return Rows(f"project_id,{'' if parts is None else 'label,'}total_count,error", _csv_line)
    if parts is None:
        return Rows(_ROW.format("project id", "sessions"), _table_line)
    console = Console()
    width = console.width if console.is_terminal and not console.options.ascii_only else 0
    return Rows("", _Charts(parts, width))


def json_line(result: CountResult) -> str:
    """An object with the project, the label if there is one, and the count or the error."""
    query, error = result.query, result.error
    shown = None if error is None else {"type": type(error).__name__, "message": printable(error.message)}
    row = {"project_id": query.project_id, "label": query.tag, "total_count": result.total_count, "error": shown}
    return json.dumps({name: value for name, value in row.items() if value is not None})


def _csv_line(result: CountResult) -> str:
    query, error = result.query, result.error
    label = [] if query.tag is None else [query.tag]
    shown = "" if error is None else " ".join(f"{type(error).__name__}: {printable(error.message)}".split())
    line = StringIO()
    csv.writer(line, lineterminator="").writerow([query.project_id, *label, result.total_count, shown])
    return line.getvalue()


def _table_line(result: CountResult) -> str:
    if result.error is not None:
        return f"{_ROW.format(result.query.project_id, 'failed')}  {type(result.error).__name__}"
    return _ROW.format(result.query.project_id, f"{result.total_count:,}")


@define
class _Charts:
    """A row for each project, and below it a chart of its counts by label."""

    parts: int
    width: int
    _own: list[CountResult] = Factory(list[CountResult])

    def __call__(self, result: CountResult) -> str:
        self._own.append(result)
        if len(self._own) < self.parts:
            return ""
        own, self._own = self._own, []
        total = sum(each.total_count or 0 for each in own)
        drawn = chart([(str(each.query.tag), each.total_count) for each in own], self.width)
        return f"{_ROW.format(result.query.project_id, f'{total:,}')}\n{drawn}"
