"""Formats the output: counts as a table, JSON or CSV; the failures; and the total."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from io import StringIO
from keyword import iskeyword
from typing import Any, TextIO, TypeAlias

from attrs import Factory, define, field, frozen
from rich.console import Console

from galileo_sessions.client.query import Breakdown
from galileo_sessions.client.results import Collector, CountResult, ProjectCounts
from galileo_sessions.display import chart, printable, some
from galileo_sessions.errors import FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog

_Record: TypeAlias = dict[str, Any]
_Kind: TypeAlias = tuple[type[GalileoError], int | None]  # the type of an error, and its HTTP status

_ROW = "{:36}  {:>14}"
_ROW_OF_TWO = "{:36}  {:>11}  {:>10}  {:>17}"  # 80 columns
_EXAMPLES = 3


def _chart_width() -> int:
    console = Console()
    return console.width if console.is_terminal and not console.options.ascii_only else 0


@frozen
class Rows:
    """Formats the counts of projects."""

    output: str
    """table, json or csv."""
    breakdown: Breakdown
    _width: int = field(init=False, factory=_chart_width)

    @property
    def header(self) -> str:
        """The line above all others; empty if there is none."""
        if self.output == "csv":
            return ",".join(self._columns)
        if self.output == "json" or self.breakdown.parts:
            return ""
        if self.breakdown.previous is None:
            return _ROW.format("project id", "sessions")
        return _ROW_OF_TWO.format("project id", "sessions", "previous", "change")

    @property
    def _columns(self) -> list[str]:
        label = ["label"] if self.breakdown.parts else []
        change = [] if self.breakdown.previous is None else ["previous_count", "change", "change_percent"]
        return ["project_id", *label, "total_count", *change, "error"]

    def lines(self, counts: ProjectCounts) -> str:
        """The lines for a project."""
        if self.output == "json":
            return "\n".join([_json(record) for record in counts.rows()])
        if self.output == "csv":
            return "\n".join([_csv(record, self._columns) for record in counts.rows()])
        line = _table_line(counts)
        if not self.breakdown.parts:
            return line
        return f"{line}\n{chart([*counts.counts.items()], self._width, total=counts.total)}"


def _json(record: _Record) -> str:
    error = record["error"]
    shown = error and {"type": type(error).__name__, "message": printable(error.message)}
    return json.dumps({name: value for name, value in (record | {"error": shown}).items() if value is not None})


def _csv(record: _Record, columns: list[str]) -> str:
    error = record["error"]
    shown = error and " ".join(f"{type(error).__name__}: {printable(error.message)}".split())
    line = StringIO()
    rows = csv.DictWriter(line, columns, extrasaction="ignore", lineterminator="")
    rows.writerow(record | {"error": shown})
    return line.getvalue()


def _table_line(counts: ProjectCounts) -> str:
    if counts.error is not None:
        return f"{_ROW.format(counts.project_id, 'failed')}  {type(counts.error).__name__}"
    number, change = f"{counts.total:,}", counts.change
    if change is None:
        return _ROW.format(counts.project_id, number)
    percent = "" if change.percent is None else f" ({change.percent:+}%)"
    return _ROW_OF_TWO.format(counts.project_id, number, f"{change.earlier:,}", f"{change.difference:+,}{percent}")


def failure(error: GalileoError) -> str:
    """The project and the label that an error is about, and its text; further lines are indented."""
    query = error.query
    place = "" if query is None else f"{query.project_id} {query.tag or ''}".rstrip() + ": "
    return printable(f"{place}{error.message}").replace("\n", "\n  ")


@define
class Tally:
    """Counts projects and sessions, and groups failures by error type and HTTP status."""

    collector: Collector
    projects: int | None
    """How many projects there are; None if that isn't known."""
    file: TextIO | None
    """Where all failures are written, as JSON lines."""
    requests: int = 0
    counted: int = 0
    """The projects whose counts all succeeded."""
    failed: int = 0
    """The other projects."""
    sessions: int = 0
    """The sessions, each counted once."""
    unfiltered: int = 0
    """The sessions without the filter."""
    _lines: list[str] = Factory(list[str])
    _kinds: Counter[_Kind] = Factory(Counter[_Kind])
    _examples: list[str] = Factory(list[str])

    def add(self, result: CountResult) -> ProjectCounts | None:
        """Adds the result of one request; returns the counts of its project once they are complete."""
        self.requests += 1
        if result.error is not None:
            self._add_error(result, result.error)
        counts = self.collector.add(result)
        if counts is not None:
            if counts.errors:
                self.failed += 1
            else:
                self.counted += 1
            self.sessions += counts.total or 0
            if counts.unfiltered is not None:
                self.unfiltered += counts.unfiltered.total_count or 0
        return counts

    def _add_error(self, result: CountResult, error: GalileoError) -> None:
        if self.file is not None:
            record = {"project_id": result.query.project_id, "label": result.query.tag, "error": error}
            self._lines.append(f"{_json(record)}\n")
        kind = type(error), getattr(error, "status", None)
        self._kinds[kind] += 1
        if self._kinds[kind] <= _EXAMPLES:
            self._examples.append(failure(error))

    @property
    def fits_none(self) -> bool:
        """Whether the filter fits no project's columns."""
        return not self.counted and {kind for kind, _ in self._kinds} == {FilterCheckError}

    def failures(self) -> list[str]:
        """Writes the failures to the file; returns three of each kind, and how many more there are."""
        if self.file is not None:
            self.file.writelines(self._lines)
            self.file.flush()
        lines = list(self._examples)
        for (kind, _), number in self._kinds.items():
            if number > _EXAMPLES:
                more = f"{number - _EXAMPLES:,} more counts failed with {kind.__name__}"
                lines.append(f"{more}; --errors FILE writes all of them")
        return lines

    def __str__(self) -> str:
        projects = some(self.counted, "project")
        if self.projects is not None and self.projects != self.counted:
            projects = f"{self.counted:,} of {some(self.projects, 'project')}"
        has_several = self.requests > self.counted + self.failed
        requests = f" ({some(self.requests, 'request')})" if has_several else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{projects} counted{requests}{failed}, {some(self.sessions, 'session')}"


def columns_code(catalog: ColumnCatalog) -> str:
    """An assignment for each column. Variables are named after the column ids, as far as Python allows."""
    lines: list[str] = []
    names = {"Col"}
    for column_id, column in catalog.items():
        name = plain = re.sub(r"\W|^(?=\d)", "_", column_id, flags=re.ASCII)
        number = 1
        while iskeyword(name) or name in names:
            number += 1
            name = f"{plain}_{number}"
        names.add(name)
        lines.append(f"{name} = {column!r}")
    return "\n".join(lines)
