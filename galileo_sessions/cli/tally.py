"""What a command has counted so far, and its exit status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from attrs import define

from galileo_sessions.api.projects import Project
from galileo_sessions.cli.wording import MOST, line_of
from galileo_sessions.counting.limits import Verdict, status_of
from galileo_sessions.counting.results import CountReport, CountResult
from galileo_sessions.display import quantity
from galileo_sessions.errors import GalileoError
from galileo_sessions.filters.partitions import Partition


@define
class Tally:
    """What a command has counted so far."""

    has_limits: bool = False
    parts: Partition | None = None
    """The parts of each project that are counted, too."""
    projects: Sequence[Project] = ()
    """The projects to count."""
    results: tuple[CountResult, ...] = ()
    """The results of those that were counted, or failed."""
    requests: int = 0
    """Requests that were sent, also for lists and columns, and again."""
    verdict: Verdict | None = None
    """The verdict on the limits, once there is one."""

    @property
    def is_overlapping(self) -> bool:
        """Whether a session can be in several parts."""
        return self.parts is not None and not self.parts.disjoint

    @property
    def is_complete(self) -> bool:
        """Whether all projects were counted."""
        return len(self.results) == len(self.projects) and not self.errors

    @property
    def sessions(self) -> int:
        """The sum of the counts."""
        return sum([result.total_count or 0 for result in self.results])

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    @property
    def status(self) -> int:
        """The exit status."""
        if self.verdict is not None:
            return self.verdict.status
        return status_of(self.errors, is_all=len(self.errors) == len(self.results))

    def add(self, report: CountReport | None) -> None:
        """Keeps the results of a report, if there is one."""
        if report is not None:
            self.results = report.results

    def judged(self, *, quiet: bool) -> list[str]:
        """The lines of the verdict; if all limits hold, none with `quiet`."""
        if self.verdict is None:
            return []
        doubts = [f"the limit can't be judged: {line_of(each)}" for each in self.verdict.doubts]
        numbers = () if quiet else self.verdict.numbers
        return [*dict.fromkeys([*doubts, *self.verdict.reasons, *numbers])]

    def failures(self) -> list[str]:
        """Three failures of each class and status, and how many more there are."""
        kinds = defaultdict[tuple[str, int | None], list[GalileoError]](list)
        for error in self.errors:
            kinds[type(error).__name__, error.status].append(error)
        lines = [line_of(error) for errors in kinds.values() for error in errors[:MOST]]
        for (name, _), errors in kinds.items():
            if len(errors) > MOST:
                lines.append(f"{len(errors) - MOST:,} more counts failed with {name}")
        return lines

    def __str__(self) -> str:
        failed = len(self.errors)
        counted = len(self.results) - failed
        projects = quantity(len(self.projects), "project")
        if counted != len(self.projects):
            projects = f"{counted:,} of {projects}"
        text = f"{projects} counted"
        if self.has_limits or self.parts is not None:
            text += f" ({quantity(self.requests, 'request')})"
        if failed:
            text += f", {failed:,} failed"
        return f"{text}, {quantity(self.sessions, 'session')}"
