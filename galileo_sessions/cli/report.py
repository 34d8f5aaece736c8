"""Formats the output: counts as a table, JSON or CSV; failures in words of the command line; and the total."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from io import StringIO
from keyword import iskeyword
from typing import Any, TypeAlias, cast

from attrs import Factory, asdict, define, field
from rich.console import Console

from galileo_sessions import errors
from galileo_sessions.api.projects import Project
from galileo_sessions.cli.options import Limit, told
from galileo_sessions.counting.results import CountReport, CountResult
from galileo_sessions.display import chart, largest, printable, shortened, some
from galileo_sessions.errors import FilterCheckError, FilterError, GalileoError, ProjectLookupError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.tree import mark, walk

_Record: TypeAlias = dict[str, Any]
_Kind: TypeAlias = tuple[type[GalileoError], int | None]  # the type of an error, and its HTTP status

PROJECT_FIELDS = ["id", "name", "type", "created_at", "updated_at"]

_ROW = "{:36}  {:>14}"
_LEAST_NAME = 20  # characters of a name, even if the line is then longer than the terminal
_EXAMPLES = 3
_LATER = "Try again later"
_HINTS: dict[type[GalileoError], str] = {  # the library's hints name arguments of Python; other errors have none here
    errors.AuthenticationError: "Check GALILEO_API_KEY, and that it belongs to the deployment at GALILEO_API_URL",
    errors.LoginError: "Check GALILEO_USERNAME and GALILEO_PASSWORD, and that GALILEO_API_URL isn't the console's",
    errors.PermissionDeniedError: "The credentials are valid, but can't read this project",
    errors.NotFoundError: "Check the project's id, and that GALILEO_API_URL isn't the console's",
    errors.RedirectError: "Set GALILEO_API_URL",
    errors.DecodeError: "Check that GALILEO_API_URL isn't the console's",
    errors.TLSError: "Check that this port has TLS. For your own CA, set SSL_CERT_FILE",
    errors.ConnectError: "Check GALILEO_API_URL, the proxy and the network",
    errors.DeadlineExceededError: "Give more --timeout",
    errors.RateLimitedError: _LATER,
    errors.ServerError: _LATER,
}


def hint_of(error: GalileoError) -> str:
    """What to do on the command line; an empty string if nothing is known."""
    if isinstance(error, FilterError | ProjectLookupError):  # it is written as in Python, or has only names
        return error.hint
    return next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), "") if error.hint else ""


def reword(error: GalileoError, own: Filter | None = None) -> None:
    """
    Gives an error a hint for the command line, in place of its hint for Python.

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
    error.args, error.hint = (text,), hint_of(error)


def _terminal_width() -> int:
    """The columns of the terminal on stdout; 0 if there is none, or if it can't show bars."""
    console = Console()
    return console.width if console.is_terminal and not console.options.ascii_only else 0


@define
class Rows:
    """Formats the results of projects."""

    output: str | None
    """table, json or csv; None shows nothing."""
    named: bool
    """Whether the names of projects are known."""
    has_parts: bool
    """Whether `--by` divides each project."""
    _columns: list[str] = Factory(list[str])
    _width: int = field(init=False, factory=_terminal_width)

    def lines(self, results: Iterable[CountResult]) -> list[str]:
        """The lines for some results, whose bars have the same scale; the first lines have a head above."""
        results = tuple(results)
        if self.output is None or not results:
            return []
        lines = [] if self._columns else self._head()
        if self.output == "table":
            top = largest([count for result in results for count in _counts(result).values()])
            return [*lines, *[line for result in results for line in self._table_lines(result, top)]]
        write = _json if self.output == "json" else partial(_csv, columns=self._columns)
        return [*lines, *[write(record) for result in results for record in _records(result)]]

    def _head(self) -> list[str]:
        name, label = ["project_name"] * self.named, ["label"] * self.has_parts
        self._columns = ["project_id", *name, *label, "total_count", "error"]
        if self.output == "csv":
            return [",".join(self._columns)]
        if self.output == "json" or self.has_parts:
            return []
        head = _ROW.format("project id", "sessions")
        return [f"{head}  name" if self.named else head]

    def _table_lines(self, result: CountResult, top: int) -> Iterator[str]:
        project, total = cast("Project", result.target), result.total_count
        shown = "failed" if total is None else f"{total:,}"
        line = _ROW.format(project.id, shown) + ("" if result.error is None else f"  {type(result.error).__name__}")
        space = max(_LEAST_NAME, (self._width or 1_000) - len(line) - 2)
        yield f"{line}  {shortened(project.name or '', space)}".rstrip()
        if result.parts:
            counts = [(str(label), count) for label, count in _counts(result).items()]
            yield chart(counts, self._width, total=total, top=top)


def _counts(result: CountResult) -> dict[Any, int | None]:
    """The count of each label; None if it failed."""
    return {label: count if isinstance(count, int) else None for label, count in (result.parts or {}).items()}


def _records(result: CountResult) -> Iterator[_Record]:
    """A record for each label, or one for the whole."""
    project = cast("Project", result.target)
    named = {"project_id": project.id, "project_name": project.name}
    own = {None: result.total_count if result.error is None else result.error}
    for label, count in (result.parts or own).items():
        record = named if label is None else {**named, "label": str(label)}
        yield {**record, "error" if isinstance(count, GalileoError) else "total_count": count}


def _json(record: _Record) -> str:
    error = record.get("error")
    shown = error and {"type": type(error).__name__, "message": printable(told(error))}
    return _json_line(record | {"error": shown})


def _json_line(record: _Record) -> str:
    return json.dumps({name: value for name, value in record.items() if value is not None})


def _csv(record: _Record, columns: list[str]) -> str:
    error = record.get("error")
    shown = error and " ".join(f"{type(error).__name__}: {printable(told(error))}".split())
    return _csv_line(record | {"error": shown}, columns)


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
    label = "" if query.tag is None else f" {query.tag}"
    return f"{_named(query.project_id, query.project_name)}{label}: "


def _named(project_id: str, name: str | None) -> str:
    return project_id if name is None else f"{project_id} {shortened(name)}"


def failure(error: GalileoError) -> str:
    """What an error is about, its text and its hint; further lines are indented."""
    return printable(f"{_place(error)}{told(error)}").replace("\n", "\n  ")


def _one_line(error: GalileoError) -> str:
    text = error.issues[0].msg if isinstance(error, FilterCheckError) else error.message.partition("\n")[0]
    return printable(f"{_place(error)}{text}")


@define
class Tally:
    """Counts projects and sessions, and groups failures by error type and HTTP status."""

    own: Filter
    """The user's own filter."""
    projects: int | None = None
    """How many projects there are; None if that isn't known."""
    counts: int = 0
    """How many counts were made: the wholes, the parts, and those without the filter."""
    counted: int = 0
    """The projects whose counts all succeeded."""
    failed: int = 0
    """The other projects."""
    sessions: int = 0
    """The sessions of the projects that were counted, each once."""
    unfiltered: int = 0
    """The sessions without the filter."""
    ids: list[str] = Factory(list[str])
    """The ids of the projects."""
    is_unchecked: bool = False
    """Whether no project has columns to check the filter against."""
    overlaps: bool = False
    """Whether a session can be in two parts."""
    first: str = ""
    """The first failure, as one line."""
    _misfits: int = 0
    _last: str = ""
    _kinds: Counter[_Kind] = Factory(Counter[_Kind])
    _examples: list[str] = Factory(list[str])
    _drawings: set[str] = Factory(set[str])

    def add(self, result: CountResult) -> None:
        """Adds the result of a project."""
        project = cast("Project", result.target)
        for error in result.errors:
            self._add_error(error)
        if result.errors:
            self.failed += 1
        else:
            self.counted += 1
        self.sessions += result.total_count or 0
        self._last = _named(project.id, project.name)
        self.ids.append(project.id)

    def add_unfiltered(self, report: CountReport) -> None:
        """Adds the counts of the same projects without the filter. A share of what failed can't be judged."""
        self.counts += report.progress.done
        self.unfiltered = report.total
        for error in report.errors:
            self._add_error(error)
        self.counted -= len(report.errors)
        self.failed += len(report.errors)

    def _add_error(self, error: GalileoError) -> None:
        reword(error, self.own)
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
                lines.append(f"{number - _EXAMPLES:,} more counts failed with {kind.__name__}")
        return lines

    def __str__(self) -> str:
        projects = some(self.counted, "project")
        if self.projects is not None and self.projects != self.counted:
            projects = f"{self.counted:,} of {some(self.projects, 'project')}"
        has_several = self.counts > self.counted + self.failed
        requests = f" ({some(self.counts, 'request')})" if has_several else ""
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
