"""The output: counts, projects and columns as a table, JSON or CSV; and what is told of all counts together."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any, cast

from attrs import Factory, asdict, define, evolve, fields
from rich.bar import Bar

from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import CountQuery
from galileo_sessions.cli.options import Limit
from galileo_sessions.cli.screen import draw_table, has_bars
from galileo_sessions.cli.wording import MOST, failure, one_line, told
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import some
from galileo_sessions.errors import GalileoError


def _lines(output: str, fields: Sequence[str], records: Iterable[dict[str, Any]]) -> str:
    """Records as JSON lines without what is missing, or as CSV with a head. In CSV, no text is a formula."""
    if output == "json":
        known = [{name: value for name, value in record.items() if value is not None} for record in records]
        return "\n".join([json.dumps(record) for record in known])
    lines = StringIO()
    writer = csv.DictWriter(lines, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows([{name: _inert(value) for name, value in record.items()} for record in records])
    return lines.getvalue().removesuffix("\n")


def _inert(value: object) -> object:
    """The value of a cell; text that a spreadsheet would run as a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


# ---- counts ----------------------------------------------------------------------------------------------------------


def show_counts(tally: Tally, output: str) -> str:
    """The results of projects, with their parts, in one of the formats."""
    if output == "table":
        return _count_table(tally.results)
    records = [record for result in tally.results for record in _records(result, tally)]
    names = [name for name in ("project_name", "label") if any(record[name] for record in records)]
    if output == "csv":
        text = "{type}: {message}"
        records = [{**each, "error": each["error"] and one_line(text.format_map(each["error"]))} for each in records]
    return _lines(output, ["project_id", *names, "total_count", "error"], records)


def _records(result: CountResult, tally: Tally) -> Iterator[dict[str, Any]]:
    """A record for each label; and one for the whole if there are no labels, or if the parts don't add up to it."""
    query = cast("CountQuery", result.query)
    whole: dict[Any, int | GalileoError] = {None: result.error or result.total_count or 0}
    for label, count in ((whole if tally.is_overlapping else {}) | (result.parts or whole)).items():
        error = count if isinstance(count, GalileoError) else None
        yield {
            "project_id": query.project_id,
            "project_name": query.project_name,
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
        query, total = cast("CountQuery", result.query), result.total_count
        rows.append([query.project_id, _sessions(result.error or total or 0), "", query.project_name or ""])
        for label, count in (result.parts or {}).items():
            number = count if isinstance(count, int) else 0
            share = f"{number / total:.1%}" if total else ""
            rows.append([f"{label}", _sessions(count), share, Bar(max(counts), 0, number) if shown and number else ""])
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
    return _lines(output, names, [asdict(each, value_serializer=_plain) for each in found])


def _plain(_: object, __: object, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


# ---- all counts together ---------------------------------------------------------------------------------------------


UNKNOWN = "the limit can't be judged"


def place_of(project: Project) -> str:
    """The id and the name of a project."""
    return one_line(f"{project.id} {project.name or ''}".rstrip())


@define
class Tally:
    """What a command has counted so far, and what that means."""

    limits: list[Limit]
    is_each: bool
    """Whether the limits are for each project, not for the total."""
    is_overlapping: bool = False
    """Whether a session can be in several parts."""
    projects: list[Project] = Factory(list[Project])
    results: tuple[CountResult, ...] = ()
    """A result for each project that was counted, or failed."""
    requests: int = 0
    unfiltered: dict[Project, int | None] = Factory(dict[Project, "int | None"])
    """The sessions of each project in the period, without the filter, for a share."""
    doubts: dict[Project, str] = Factory(dict[Project, str])
    """Why a project that counts 0 can't be judged; empty if it can."""

    @property
    def sessions(self) -> int:
        """The sessions of the projects that were counted, each once."""
        return sum([result.total_count or 0 for result in self.results])

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    def parts(self) -> list[Tally]:
        """What the limits judge: the tally, or one for each project."""
        pairs = zip(self.projects, self.results, strict=True) if self.is_each else ()
        return [evolve(self, projects=[project], results=(result,)) for project, result in pairs] or [self]

    def verdicts(self) -> list[tuple[str, bool]]:
        """
        Lines that say which limits are broken, or if none is, why they can't be judged; each with whether one is.

        What failed, and projects in doubt, can only make the total larger.
        """
        place = place_of(self.projects[0]) if len(self.projects) == 1 else some(len(self.projects), "project")
        doubts = [f"{UNKNOWN}: {failure(error)}" for error in self.errors[:1]]
        doubts += [self.doubts[project] for project in self.projects if self.doubts.get(project)]
        everything = sum([self.unfiltered.get(project) or 0 for project in self.projects])
        sure = [limit for limit in self.limits if not doubts or (limit.is_upper and not limit.is_share)]
        reasons = [limit.reason(self.sessions, everything) for limit in sure]
        if not (doubts or everything) and any(limit.is_share for limit in self.limits):
            doubts = [f"no sessions in this period in {place}, so {UNKNOWN}"]
        return [(f"{place}: {reason}", True) for reason in reasons if reason] or [(line, False) for line in doubts]

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
