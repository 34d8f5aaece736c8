"""Counts as lines: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from io import StringIO
from itertools import chain, count
from keyword import iskeyword
from typing import Any, TypeAlias

from attrs import field, frozen
from rich.console import Console

from galileo_sessions.client.results import CountResult, rest_of
from galileo_sessions.display import chart, printable
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col

FORMATS = ("table", "json", "csv")
_Record: TypeAlias = dict[str, Any]

_ROW = "{:36}  {:>14}"
_CHANGE_ROW = "{:36}  {:>11}  {:>10}  {:>17}"  # 80 columns


def _chart_width() -> int:
    console = Console()
    return console.width if console.is_terminal and not console.options.ascii_only else 0


@frozen
class Rows:
    """One of the formats."""

    output: str
    """One of `FORMATS`."""
    results: int
    """The number of results for each project."""
    parts: int
    """The number of labels; the whole comes after them."""
    rest: str | None
    """The label of the sessions that are in no part."""
    compare: bool
    """Whether the previous period follows the whole."""
    _width: int = field(init=False, factory=_chart_width)

    @property
    def header(self) -> str:
        """The line above all others."""
        if self.output == "csv":
            label = ["label"] if self.parts else []
            change = ["previous_count", "change", "change_percent"] if self.compare else []
            return ",".join(["project_id", *label, "total_count", *change, "error"])
        if self.output == "json" or self.parts:
            return ""
        names = ("project id", "sessions")
        return _CHANGE_ROW.format(*names, "previous", "change") if self.compare else _ROW.format(*names)

    def lines(self, results: Sequence[CountResult]) -> str:
        """The lines for the results of a project."""
        records = self._records(results)
        if self.output == "json":
            return "\n".join(map(_json, records))
        if self.output == "csv":
            return "\n".join([_csv(record, self.header.split(",")) for record in records])
        whole = _record(results[self.parts])
        if not self.parts:
            return _table_line(records[0])
        counts = [(str(record["label"]), record["total_count"]) for record in records if record["label"] is not None]
        return f"{_table_line(whole)}\n{chart(counts, self._width, total=whole['total_count'])}"

    def _records(self, results: Sequence[CountResult]) -> list[_Record]:
        """One for each part and the rest; without parts, one for the project. A whole that failed has its own."""
        whole, parts = _record(results[self.parts]), [_record(result) for result in results[: self.parts]]
        if self.compare:
            return [_compared(whole, _record(results[1]))]
        if whole["error"] or not parts:
            return [*parts, whole]
        if self.rest is None or any(part["error"] for part in parts):
            return parts
        rest = rest_of(whole["total_count"], [part["total_count"] for part in parts])
        return [*parts, whole | {"label": self.rest, "total_count": rest}]


def json_line(result: CountResult) -> str:
    """An object with the project, the label if there is one, and the count or the error."""
    return _json(_record(result))


def _record(result: CountResult) -> _Record:
    query = result.query
    numbers = {"total_count": result.total_count, "error": result.error}
    return {"project_id": query.project_id, "label": query.tag, **numbers}


def _compared(whole: _Record, previous: _Record) -> _Record:
    """The whole, with the previous period's count and the change; or with the error of either."""
    record = whole | {"label": None, "previous_count": previous["total_count"]}
    if error := whole["error"] or previous["error"]:
        return record | {"error": error}
    before = previous["total_count"]
    change = whole["total_count"] - before
    return record | {"change": change, "change_percent": round(100 * change / before, 1) if before else None}


def _json(record: _Record) -> str:
    error = record["error"]
    shown = error and {"type": type(error).__name__, "message": printable(error.message)}
    return json.dumps({name: value for name, value in (record | {"error": shown}).items() if value is not None})


def _csv(record: _Record, columns: Sequence[str]) -> str:
    error = record["error"]
    shown = error and " ".join(f"{type(error).__name__}: {printable(error.message)}".split())
    line = StringIO()
    csv.writer(line, lineterminator="").writerow([(record | {"error": shown}).get(name) for name in columns])
    return line.getvalue()


def _table_line(record: _Record) -> str:
    if record["error"]:
        return f"{_ROW.format(record['project_id'], 'failed')}  {type(record['error']).__name__}"
    project, count = record["project_id"], f"{record['total_count']:,}"
    if "change" not in record:
        return _ROW.format(project, count)
    percent = record["change_percent"]
    change = f"{record['change']:+,}" + ("" if percent is None else f" ({percent:+}%)")
    return _CHANGE_ROW.format(project, count, f"{record['previous_count']:,}", change)


def columns_code(catalog: ColumnCatalog) -> str:
    """An assignment for each column, whose name is its id as far as Python allows."""
    lines, names = list[str](), {"Col"}
    for info in catalog.columns:
        plain = re.sub(r"\W|^(?=\d)", "_", info.id, flags=re.ASCII)
        choices = (f"{plain}{end}" for end in chain([""], (f"_{i}" for i in count(2))))
        name = next(name for name in choices if not iskeyword(name) and name not in names)
        names.add(name)
        column_id = json.dumps(info.id) if info.id.isascii() and info.id.isprintable() else repr(info.id)
        method = f".{info.filter_type}" if type(catalog[info.id]) is not Col else ""
        lines.append(f"{name} = Col{method}({column_id})")
    return "\n".join(lines)
