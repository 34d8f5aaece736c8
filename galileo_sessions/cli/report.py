"""The output: counts, projects and columns as a table, JSON or CSV; and what is told of all counts together."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any, cast

from attrs import Factory, asdict, define
from rich.bar import Bar

from galileo_sessions.api.projects import Project
from galileo_sessions.cli.options import Limit
from galileo_sessions.cli.screen import draw_table, has_bars
from galileo_sessions.cli.wording import MOST, failure, one_line, told
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import some
from galileo_sessions.errors import FilterCheckError, GalileoError


def _lines(output: str, fields: Sequence[str], records: Iterable[dict[str, Any]]) -> str:
    """Records as JSON lines without what is missing, or as CSV with a head."""
    if output == "json":
        known = [{name: value for name, value in record.items() if value is not None} for record in records]
        return "\n".join([json.dumps(record) for record in known])
    lines = StringIO()
    writer = csv.DictWriter(lines, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return lines.getvalue().removesuffix("\n")


# ---- counts ----------------------------------------------------------------------------------------------------------


def show_counts(results: Sequence[CountResult], output: str) -> str:
    """The results of projects, with their parts, in one of the formats."""
    if output == "table":
        return _count_table(results)
    records = [record for result in results for record in _records(result)]
    names = [name for name in ("project_name", "label") if any(record[name] for record in records)]
    if output == "csv":
        text = "{type}: {message}"
        records = [{**each, "error": each["error"] and one_line(text.format_map(each["error"]))} for each in records]
    return _lines(output, ["project_id", *names, "total_count", "error"], records)


def _records(result: CountResult) -> Iterator[dict[str, Any]]:
    """A record for each label, or one for the whole."""
    project = cast("Project", result.target)
    whole: dict[Any, int | GalileoError] = {None: result.error or result.total_count or 0}
    for label, count in (result.parts or whole).items():
        error = count if isinstance(count, GalileoError) else None
        yield {
            "project_id": project.id,
            "project_name": project.name,
            "label": label,
            "total_count": None if error else count,
            "error": error and {"type": type(error).__name__, "message": told(error)},
        }


def _count_table(results: Sequence[CountResult]) -> str:
    """A line for each project, and below it one for each part. All bars have the same scale."""
    shown = has_bars()
    counts = [count for result in results for count in (result.parts or {}).values() if isinstance(count, int)]
    rows: list[list[str | Bar]] = []
    for result in results:
        project, total = cast("Project", result.target), result.total_count
        rows.append([project.id, _sessions(result.error or total or 0), "", project.name or ""])
        for label, count in (result.parts or {}).items():
            number = count if isinstance(count, int) else 0
            share = f"{number / total:.1%}" if total else ""
            rows.append([f"{label}", _sessions(count), share, Bar(max(counts), 0, number) if shown and number else ""])
    name = "name" if any(cast("Project", result.target).name for result in results) else ""  # else the bars alone
    return draw_table(["project id", "sessions", "share", name], rows)


def _sessions(count: int | GalileoError) -> str:
    return f"{count:,}" if isinstance(count, int) else type(count).__name__


# ---- projects --------------------------------------------------------------------------------------------------------


def show_projects(projects: Sequence[Project], output: str) -> str:
    """Projects in one of the formats."""
    if output == "table":
        return draw_table(["project id", "name"], [[project.id, project.name or ""] for project in projects])
    fields = ["id", "name", "type", "created_at", "updated_at"]
    return _lines(output, fields, [asdict(project, value_serializer=_plain) for project in projects])


def _plain(_: object, __: object, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


# ---- all counts together ---------------------------------------------------------------------------------------------


@define
class Tally:
    """What a command has counted so far, and what that means."""

    limits: list[Limit]
    projects: list[Project] = Factory(list[Project])
    results: tuple[CountResult, ...] = ()
    """A result for each project that was counted, or failed."""
    requests: int = 0
    unfiltered: int = 0
    """The sessions of the same projects without the filter, for a share."""
    is_unchecked: bool = False
    """Whether no project has columns to check the filter against."""

    @property
    def sessions(self) -> int:
        """The sessions of the projects that were counted, each once."""
        return sum([result.total_count or 0 for result in self.results])

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    @property
    def status(self) -> int:
        """1 if something failed, or 2 if that is because the filter fits no project's columns."""
        fits = not self.results or any(not isinstance(result.error, FilterCheckError) for result in self.results)
        return 1 if fits else 2

    @property
    def place(self) -> str:
        """The project, or how many there are."""
        if len(self.projects) != 1:
            return some(len(self.projects), "project")
        return one_line(f"{self.projects[0].id} {self.projects[0].name or ''}".rstrip())

    def doubt(self, limit: Limit) -> str:
        """Why a limit can't be judged; empty if it can. What failed can only make the total larger."""
        if self.errors:
            is_exceeded = limit.is_upper and not limit.is_share and self.sessions > limit.number
            return "" if is_exceeded else failure(self.errors[0])
        if self.is_unchecked:
            return f"{self.place}: no sessions, so no columns to check the filter with; or an id is wrong"
        return f"{self.place}: no sessions in this period" if limit.is_share and not self.unfiltered else ""

    def failures(self) -> list[str]:
        """Three failures of each class and status, and how many more there are."""
        kinds = defaultdict[tuple[str, int | None], list[GalileoError]](list)
        for error in self.errors:
            kinds[type(error).__name__, getattr(error, "status", None)].append(error)
        lines = [failure(error) for errors in kinds.values() for error in errors[:MOST]]
        more = [(name, len(errors) - MOST) for (name, _), errors in kinds.items()]
        return [*lines, *[f"{number:,} more counts failed with {name}" for name, number in more if number > 0]]

    def __str__(self) -> str:
        failed = len(self.errors)
        counted = len(self.results) - failed
        of_all = f"{counted:,} of " if counted != len(self.projects) else ""
        projects = f"{of_all}{some(len(self.projects), 'project')}"
        several = f" ({some(self.requests, 'request')})" if self.requests > len(self.results) else ""
        return f"{projects} counted{several}{f', {failed:,} failed' * bool(failed)}, {some(self.sessions, 'session')}"
