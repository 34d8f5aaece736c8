"""Formats the output: counts as a table, JSON or CSV; failures in words of the command line; and the total."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import datetime
from io import StringIO
from keyword import iskeyword
from typing import Any, TextIO, TypeAlias, cast

from attrs import Factory, asdict, define, field
from rich.console import Console

from galileo_sessions.cli.options import Limit
from galileo_sessions.client.breakdown import PREVIOUS, Breakdown
from galileo_sessions.client.projects import Project
from galileo_sessions.client.results import ProjectCounts
from galileo_sessions.display import counts_text, label_text, largest, printable, shortened, some
from galileo_sessions.errors import Counted, FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.marking import mark
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.tree import walk

_Record: TypeAlias = dict[str, Any]
_Kind: TypeAlias = tuple[type[GalileoError], int | None]  # the type of an error, and its HTTP status

PROJECT_FIELDS = ["id", "name", "type", "created_at", "updated_at"]

_ROW = "{:36}  {:>14}"
_ROW_OF_TWO = "{:36}  {:>11}  {:>10}  {:>17}"  # 80 columns
_LEAST_NAME = 20  # characters of a name, even if the line is then longer than the terminal
_EXAMPLES = 3
WORDING = {  # what to write in Python: what to write on the command line
    r"(, or)? pass (api_key|auth|ssl)=.*": "",
    r", or PasswordAuth\(...\)": "",
    r"base_url \(GALILEO_API_URL\)": "GALILEO_API_URL",
    r"Check base_url and proxy": "Check GALILEO_API_URL",
    r"Limits\(maximum=...\)": "--concurrency",
    r", or raise timeout= or Retry\(patience=...\)": "",
    r"\. (The client waits no longer than|That is more than timeout= leaves|A single count waits for)\b.*": (
        ". Try again later"
    ),
    r", or await galileo.project\(.*\) for a name": "",
    r"but the CountQuery has": "but --where-json has",
    r"timeout=(?=\d)": "--timeout ",
    r"timeout=": "--timeout",
}


def reword(error: GalileoError, own: Filter | None = None) -> None:
    """
    Makes the text of an error name options of the command line instead of Python's.

    Args:
        error: Its text is replaced.
        own: The user's own filter. A drawing of what doesn't fit then leaves out the conditions of other options.
    """
    text = error.message
    if isinstance(error, FilterCheckError) and own is not None:
        complaints = {issue.node: issue.msg for issue in error.issues}
        marked = {path: leaf for path, leaf in walk(own) if leaf in complaints}
        lines = [text.partition("\n")[0]]
        if marked:
            lines.append(mark(own, [(path, complaints[leaf]) for path, leaf in marked.items()])[1])
        lines += dict.fromkeys([msg for leaf, msg in complaints.items() if leaf not in marked.values()])
        text = "\n".join(lines)
    for python, option in WORDING.items():
        text = re.sub(python, option, text)
    error.args = (text,)


def _terminal_width() -> int:
    """The columns of the terminal on stdout; 0 if there is none, or if it can't show bars."""
    console = Console()
    return console.width if console.is_terminal and not console.options.ascii_only else 0


@define
class Rows:
    """Formats the counts of projects."""

    output: str | None
    """table, json or csv; None shows nothing."""
    breakdown: Breakdown
    waits: bool
    """Whether projects with bars wait for the last one, so that all bars have the same scale."""
    _columns: list[str] = Factory(list[str])
    _waiting: list[ProjectCounts] = Factory(list[ProjectCounts])
    _width: int = field(init=False, factory=_terminal_width)

    def lines(self, counts: ProjectCounts, *, named: bool) -> list[str]:
        """
        The lines for a project; the first one has a head above. No lines if the project waits, or nothing is shown.

        Args:
            counts: The counts of the project.
            named: Whether the names of projects are known.
        """
        if self.output is None:
            return []
        has_bars = self.output == "table" and len(self.breakdown.dimensions) == 1 and self._width > 0
        if has_bars and self.waits:
            self._waiting.append(counts)
            return []
        return self._lines(counts, named=named)

    def rest(self, *, named: bool) -> list[str]:
        """The lines for the projects that have waited."""
        top = largest([count for counts in self._waiting for count in counts.counts.values()])
        return [line for counts in self._waiting for line in self._lines(counts, named=named, top=top)]

    def _lines(self, counts: ProjectCounts, *, named: bool, top: int | None = None) -> list[str]:
        lines = [] if self._columns else self._head(named)
        if self.output == "json":
            lines += [_json(record) for record in counts.rows()]
        elif self.output == "csv":
            lines += [_csv(record, self._columns) for record in counts.rows()]
        else:
            lines.append(self._table_line(counts))
            is_empty_grid = len(self.breakdown.dimensions) > 1 and not counts.total
            if self.breakdown.dimensions and counts.error is None and not is_empty_grid:
                lines.append(counts_text(counts.counts, counts.total, self._width, top=top))
        return lines

    def _head(self, named: bool) -> list[str]:
        name = ["project_name"] if named else []
        labels = ["label", "label2"][: len(self.breakdown.dimensions)]
        is_compared = PREVIOUS in self.breakdown.queries
        change = ["previous_count", "change", "change_percent"] if is_compared else []
        self._columns = ["project_id", *name, *labels, "total_count", *change, "error"]
        if self.output == "csv":
            return [",".join(self._columns)]
        if self.output == "json" or labels:
            return []
        head = (_ROW_OF_TWO if is_compared else _ROW).format("project id", "sessions", "previous", "change")
        return [f"{head}  name" if named else head]

    def _table_line(self, counts: ProjectCounts) -> str:
        project, change = counts.rows()[-1], counts.change
        project_id = shortened(project["project_id"])  # or a line of a pipe
        if counts.error is not None:
            line = f"{_ROW.format(project_id, 'failed')}  {type(counts.error).__name__}"
        elif change is None:
            line = _ROW.format(project_id, f"{counts.total:,}")
        else:
            percent = "" if change.percent is None else f" ({change.percent:+}%)"
            difference = f"{change.difference:+,}{percent}"
            line = _ROW_OF_TWO.format(project_id, f"{counts.total:,}", f"{change.earlier:,}", difference)
        space = max(_LEAST_NAME, (self._width or 1_000) - len(line) - 2)
        return f"{line}  {shortened(project['project_name'] or '', space)}".rstrip()


def _labels(record: _Record) -> list[str]:
    """The labels of a record, one for each dimension."""
    label = record["label"]
    if label is None:
        return []
    return [str(each) for each in cast("tuple[object, ...]", label)] if isinstance(label, tuple) else [str(label)]


def _json(record: _Record) -> str:
    error, labels = record["error"], _labels(record)
    shown = error and {"type": type(error).__name__, "message": printable(error.message)}
    label = {"label": labels[0]} if len(labels) == 1 else {"label": None, "labels": labels or None}
    return _json_line(record | label | {"error": shown})


def _json_line(record: _Record) -> str:
    return json.dumps({name: value for name, value in record.items() if value is not None})


def _csv(record: _Record, columns: list[str]) -> str:
    error = record["error"]
    shown = error and " ".join(f"{type(error).__name__}: {printable(error.message)}".split())
    return _csv_line(record | dict(zip(["label", "label2"], _labels(record), strict=False)) | {"error": shown}, columns)


def _csv_line(record: _Record, columns: list[str]) -> str:
    line = StringIO()
    csv.DictWriter(line, columns, extrasaction="ignore", lineterminator="").writerow(record)
    return line.getvalue()


def _as_text(_: object, __: object, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def project_line(project: Project, output: str) -> str:
    """A project in one of the formats."""
    record = asdict(project, value_serializer=_as_text)
    if output == "table":
        return f"{project.id}  {shortened(project.name or '')}".rstrip()
    return _json_line(record) if output == "json" else _csv_line(record, PROJECT_FIELDS)


def _place(error: GalileoError) -> str:
    """The project and the label that an error is about."""
    query = error.query
    if query is None:
        return ""
    label = "" if query.tag is None else f" {label_text(query.tag)}"
    return f"{_project_of(query)}{label}: "


def _project_of(query: Counted) -> str:
    return query.project_id if query.project_name is None else f"{query.project_id} {shortened(query.project_name)}"


def failure(error: GalileoError) -> str:
    """What an error is about, and its text; further lines are indented."""
    return printable(f"{_place(error)}{error.message}").replace("\n", "\n  ")


def _one_line(error: GalileoError) -> str:
    text = error.issues[0].msg if isinstance(error, FilterCheckError) else error.message.partition("\n")[0]
    return printable(f"{_place(error)}{text}")


@define
class Tally:
    """Counts projects and sessions, and groups failures by error type and HTTP status."""

    own: Filter
    """The user's own filter."""
    file: TextIO | None
    """Where all failures are written, as JSON lines."""
    projects: int | None = None
    """How many projects there are; None if that isn't known."""
    requests: int = 0
    counted: int = 0
    """The projects whose counts all succeeded."""
    failed: int = 0
    """The other projects."""
    sessions: int = 0
    """The sessions, each counted once."""
    unfiltered: int = 0
    """The sessions without the filter."""
    zeros: list[str] = Factory(list[str])
    """The ids of the projects, as long as all of them count 0."""
    is_unchecked: bool = False
    """Whether no project has columns to check the filter against."""
    overlaps: bool = False
    """Whether a session can be in two parts."""
    first: str = ""
    """The first failure, as one line."""
    _misfits: int = 0
    _last: str = ""
    _lines: list[str] = Factory(list[str])
    _kinds: Counter[_Kind] = Factory(Counter[_Kind])
    _examples: list[str] = Factory(list[str])
    _drawings: set[str] = Factory(set[str])

    def add(self, counts: ProjectCounts) -> None:
        """Adds the counts of a project."""
        self.requests += len([result for result in counts.results.values() if result.attempts])
        for error in counts.errors:
            self._add_error(error)
        if counts.errors:
            self.failed += 1
        else:
            self.counted += 1
        self.sessions += counts.total or 0
        self.unfiltered += counts.unfiltered or 0
        self.overlaps = not counts.breakdown.disjoint
        query = counts.whole.query
        self._last = shortened(str(counts.whole.target)) if query is None else _project_of(query)
        if query is not None and not self.sessions:
            self.zeros.append(query.project_id)

    def _add_error(self, error: GalileoError) -> None:
        self.write(error)
        self.first = self.first or _one_line(error)
        if isinstance(error, FilterCheckError) and any(issue.type != "no_columns" for issue in error.issues):
            self._misfits += 1
        kind = type(error), getattr(error, "status", None)
        self._kinds[kind] += 1
        if self._kinds[kind] <= _EXAMPLES:
            text, _, drawing = failure(error).partition("\n")
            if drawing in self._drawings:
                text = f"{text.removesuffix(':')}, as above"
            elif drawing:
                self._drawings.add(drawing)
                text = f"{text}\n{drawing}"
            self._examples.append(text)

    def write(self, error: GalileoError) -> None:
        """Rewords an error, and keeps it for the file."""
        reword(error, self.own)
        if self.file is not None:
            query = error.query
            about = {"project_id": query and query.project_id, "label": query and query.tag}
            self._lines.append(f"{_json(about | {'error': error})}\n")

    def save(self) -> None:
        """Writes the file, if there is one."""
        if self.file is not None:
            self.file.writelines(self._lines)
            self.file.flush()  # click would close it without a word if the disk is full

    @property
    def fits_none(self) -> bool:
        """Whether the filter fits no project's columns. A project without columns doesn't say."""
        return not self.counted and 0 < self._misfits == self._kinds.total()

    def decides(self, limit: Limit) -> bool:
        """Whether a limit can be judged. What failed can only make the total larger."""
        if self.failed:
            return limit.is_upper and not limit.is_share and self.sessions > limit.number
        return not self.is_unchecked and (not limit.is_share or self.unfiltered > 0)

    @property
    def doubt(self) -> str:
        """Why a limit can't be judged."""
        if self.failed:
            return self.first
        if self.is_unchecked:
            return f"{self.place}: no sessions, so no columns to check the filter with; or an id is wrong"
        return f"{self.place}: no sessions in this period, so there is no share"

    @property
    def place(self) -> str:
        """The project, or how many there are."""
        counted = self.counted + self.failed
        return self._last if counted == 1 else some(counted, "project")

    def failures(self) -> list[str]:
        """Three failures of each kind, and how many more there are."""
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
