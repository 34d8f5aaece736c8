"""The output: counts, projects and columns as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from unicodedata import normalize

from attrs import evolve, fields

from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import CountQuery
from galileo_sessions.cli.screen import encodable, width
from galileo_sessions.cli.tally import Tally
from galileo_sessions.cli.wording import message_of
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import cell, count_row, table
from galileo_sessions.filters.values import as_json


def _lines(output: str, fields: Sequence[str], records: Iterable[dict[str, Any]]) -> str:
    """
    Records as JSON lines without what is missing, or as CSV with a head. In CSV, no text is a
    formula.
    """
    if output == "json":
        return "\n".join([json.dumps(_known(fields, record)) for record in records])
    lines = _Lines()
    # Python 3.11 quotes a \r only if lines end with it.
    writer = csv.DictWriter(lines, fields, extrasaction="ignore")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _inert(value) for name, value in record.items()})
    return "\n".join([line.removesuffix("\r\n") for line in lines])


def _known(fields: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in fields if record.get(name) is not None}


class _Lines(list[str]):
    write = list[str].append


def _inert(value: object) -> object:
    """
    The value of a cell; text that a spreadsheet could run as a formula, also after spaces, follows
    an apostrophe.
    """
    if isinstance(value, str):
        is_formula = normalize("NFKC", value).lstrip().startswith(("=", "+", "-", "@"))
        return f"'{value}" if is_formula else value
    return value


# ---- counts --------------------------------------------------------------------------------------


def show_counts(tally: Tally, output: str) -> str:
    """The results of projects, with their parts, in one of the formats."""
    if output == "table":
        return _count_table(tally.results)
    if output == "value":
        return str(tally.sessions)
    records = [record for result in tally.results for record in _records(result, tally, output)]
    given = {name for record in records for name, value in record.items() if value}
    names = [name for name in ("project_name", "label") if name in given]
    share = ["share"] if "label" in given else []
    return _lines(output, ["project_id", *names, "total_count", *share, "error"], records)


def _records(result: CountResult, tally: Tally, output: str) -> list[dict[str, Any]]:
    """
    The rows of a result, after one for the whole if the parts don't add up to it; only that one if
    the whole failed.
    """
    whole = evolve(result, parts=None, labels=())
    results = [result] if result.parts else [whole]
    if result.parts and tally.is_overlapping:
        results.insert(0, whole)
    records = [row for each in results for row in each.rows()]
    failed = [record for record in records if record["error"]]
    errors = [error for each in results for error in each.errors]
    for record, error in zip(failed, errors, strict=True):
        kind, message = type(error).__name__, message_of(error)
        shown = {"csv": f"{kind}: {message}", "json": {"type": kind, "message": message}}
        record["error"] = shown[output]
    return records


def _count_table(results: Sequence[CountResult]) -> str:
    """A line for each project, and below it one for each part. All bars have the same scale."""
    rows = [row for result in results for row in _table_rows(result)]
    # Without names, the last column has the bars alone.
    has_names = any(cast("CountQuery", result.query).project_name for result in results)
    head = ["project id", "sessions", "share", "name" if has_names else ""]
    return encodable(table(head, rows, numbers=(1, 2), width=width()))


def _table_rows(result: CountResult) -> Iterator[Sequence[str | int]]:
    query = cast("CountQuery", result.query)
    total = result.total_count
    yield query.project_id, cell(result.error or total), "", query.project_name or ""
    for label, count in (result.parts or {}).items():
        yield count_row(str(label), count, total)


# ---- projects ------------------------------------------------------------------------------------


def show_list(
    kind: type[Project | LogStream], found: Sequence[Project | LogStream], output: str
) -> str:
    """Projects or log streams in one of the formats."""
    if output == "table":
        head = "log stream id" if kind is LogStream else "project id"
        return table([head, "name"], [(each.id, each.name or "") for each in found], width=width())
    names = [each.name for each in fields(kind)]
    records = [{name: as_json(getattr(each, name)) for name in names} for each in found]
    return _lines(output, names, records)
