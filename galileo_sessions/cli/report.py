"""The output: counts, projects and columns as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast
from unicodedata import normalize

from attrs import evolve, fields
from rich.bar import Bar

from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import CountQuery
from galileo_sessions.cli.alerts import Tally
from galileo_sessions.cli.screen import draw_table, has_bars
from galileo_sessions.cli.wording import message_of
from galileo_sessions.counting.results import CountResult
from galileo_sessions.errors import GalileoError
from galileo_sessions.filters.kinds import as_json


def _lines(output: str, fields: Sequence[str], records: Iterable[dict[str, Any]]) -> str:
    """Records as JSON lines without what is missing, or as CSV with a head. In CSV, no text is a formula."""
    if output == "json":
        known = [{name: record[name] for name in fields if record.get(name) is not None} for record in records]
        return "\n".join([json.dumps(record) for record in known])
    lines = _Lines()
    writer = csv.DictWriter(lines, fields, extrasaction="ignore")  # Python 3.11 quotes a \r only if lines end with it
    writer.writeheader()
    writer.writerows([{name: _inert(value) for name, value in record.items()} for record in records])
    return "\n".join([line.removesuffix("\r\n") for line in lines])


class _Lines(list[str]):
    write = list[str].append


def _inert(value: object) -> object:
    """The value of a cell; text that a spreadsheet could run as a formula, also after spaces, follows an apostrophe."""
    is_formula = isinstance(value, str) and normalize("NFKC", value).lstrip().startswith(("=", "+", "-", "@"))
    return f"'{value}" if is_formula else value


# ---- counts ----------------------------------------------------------------------------------------------------------


def show_counts(tally: Tally, output: str) -> str:
    """The results of projects, with their parts, in one of the formats."""
    if output == "table":
        return _count_table(tally.results)
    records = [record for result in tally.results for record in _records(result, tally)]
    names = [name for name in ("project_name", "label") if any(record.get(name) for record in records)]
    for record in records if output == "csv" else ():
        record["error"] = record["error"] and "{type}: {message}".format_map(record["error"])
    return _lines(output, ["project_id", *names, "total_count", "error"], records)


def _records(result: CountResult, tally: Tally) -> list[dict[str, Any]]:
    """The rows of a result, after one for the whole if the parts don't add up to it. An error is a dict."""
    wholes = [evolve(result, parts=None)] if result.parts and tally.is_overlapping else []
    records = [row for each in (*wholes, result) for row in each.rows()]
    failed = [record for record in records if record["error"]]
    errors = [error for each in (*wholes, result) for error in each.errors]
    for record, error in zip(failed, errors, strict=True):
        record["error"] = {"type": type(error).__name__, "message": message_of(error)}
    return records


def _count_table(results: Sequence[CountResult]) -> str:
    """A line for each project, and below it one for each part. All bars have the same scale."""
    shown = has_bars()
    counts = [count for result in results for count in (result.parts or {}).values() if isinstance(count, int)]
    top = max(counts, default=0)
    rows: list[list[str | Bar]] = []
    for result in results:
        query, total = cast("CountQuery", result.query), result.total_count
        rows.append([query.project_id, _sessions(result.error or total or 0), "", query.project_name or ""])
        for label, count in (result.parts or {}).items():
            number = count if isinstance(count, int) else 0
            share = f"{number / total:.1%}" if total else ""
            rows.append([f"{label}", _sessions(count), share, Bar(top, 0, number) if shown and number else ""])
    has_names = any(cast("CountQuery", result.query).project_name for result in results)  # otherwise the bars alone
    return draw_table(["project id", "sessions", "share", "name" if has_names else ""], rows)


def _sessions(count: int | GalileoError) -> str:
    return f"{count:,}" if isinstance(count, int) else type(count).__name__


# ---- projects --------------------------------------------------------------------------------------------------------


def show_list(kind: type[Project | LogStream], found: Sequence[Project | LogStream], output: str) -> str:
    """Projects or log streams in one of the formats."""
    if output == "table":
        head = "log stream id" if kind is LogStream else "project id"
        return draw_table([head, "name"], [[each.id, each.name or ""] for each in found])
    names = [each.name for each in fields(kind)]
    return _lines(output, names, [{name: as_json(getattr(each, name)) for name in names} for each in found])
