"""What was counted, the limits for it, why they can't be judged, and the verdict."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import TypeAlias, cast

import click
from attrs import Factory, define, evolve, frozen

from galileo_sessions.api.projects import Project
from galileo_sessions.api.query import CountQuery, within
from galileo_sessions.cli.wording import MOST, failure, one_line
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.tree import leaves_of

Results: TypeAlias = dict[Project, CountResult]

_UNKNOWN = "the limit can't be judged"


@frozen
class Limit:
    """`--fail-above` or `--fail-below`."""

    text: str
    number: Decimal
    is_share: bool
    """Whether it is a percentage of all sessions of the same scope and period."""
    is_upper: bool

    def reason(self, sessions: int, unfiltered: int) -> str:
        """How a number of sessions breaks the limit; empty if it doesn't. A share has the digits that show it."""
        if not self._is_broken_by(sessions, self.number * unfiltered / 100 if self.is_share else self.number):
            return ""
        counted = quantity(sessions, "session")
        if self.is_share:
            share = Decimal(100 * sessions) / unfiltered
            texts = [f"{share:.{digits}f}" for digits in range(1, 20)]
            shown = next((text for text in texts if self._is_broken_by(Decimal(text), self.number)), texts[-1])
            counted = f"{shown}% ({sessions:,} of {quantity(unfiltered, 'session')})"
        return f"{counted}, {'above' if self.is_upper else 'below'} {self.text}"

    def _is_broken_by(self, number: Decimal | int, limit: Decimal) -> bool:
        return number > limit if self.is_upper else number < limit


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> Limit | None:
    """The limit for a number such as 100, or a percentage such as 10%."""
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?%?", text, re.ASCII) is None:
        raise click.BadParameter(f"{text!r} must be a number such as 100, or a share such as 10%.", param=option)
    number, is_share, is_upper = Decimal(text.rstrip("%")), text.endswith("%"), option.name == "fail_above"
    if (is_share and (number > 100 or (is_upper and number == 100))) or not (is_upper or number):
        raise click.BadParameter(f"{text!r} can't be a limit: it would apply never, or always.", param=option)
    return Limit(text, number, is_share, is_upper)


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
    unfiltered: Results = Factory(dict[Project, CountResult])
    """The sessions of each project in the period, without the filter, for a share."""
    doubts: dict[Project, str] = Factory(dict[Project, str])
    """Why the limits can't be judged for a project."""

    @property
    def sessions(self) -> int:
        """The sessions of the projects that were counted, each once."""
        return sum([result.total_count or 0 for result in self.results])

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    async def look_into(
        self,
        asked: Filter,
        period: Filter,
        count_all: Callable[[Sequence[Project], Filter], Awaitable[Results]],
        columns: Callable[[Project], Awaitable[ColumnCatalog]],
    ) -> None:
        """Counts the whole of each share, and finds out why projects count 0: each is judged where that succeeds."""
        totals = dict(zip(self.projects, self.results, strict=True))

        async def doubt(project: Project, everything: CountResult) -> str:
            """Why a 0 can't be judged; empty if it can."""
            try:
                total = everything.unwrap()
                catalog = await columns(project) if total and asked != ALWAYS else ColumnCatalog([])
            except GalileoError as error:
                return f"{_UNKNOWN}: {failure(error)}"
            ids = [leaf.column_id for leaf in leaves_of(asked)]
            untyped = [each for each in ids if each not in catalog or catalog.info(each).filter_type is None]
            if total and not untyped:
                return ""
            unchecked = f"type of {brief(untyped[0])}" if catalog else "columns"
            lacking = f"{unchecked} to check the filter with" if total else "sessions"
            place = f"{_place_of(project)}{within(cast('CountQuery', everything.query))}"
            return f"no {lacking} in {place}, so {_UNKNOWN}"

        if any(limit.is_share for limit in self.limits):
            self.unfiltered = await count_all([project for project, total in totals.items() if total.ok], period)
        zeros = await count_all([project for project, total in totals.items() if total.total_count == 0], ALWAYS)
        self.doubts = dict(zip(zeros, await asyncio.gather(*[doubt(*each) for each in zeros.items()]), strict=True))
        for project, whole in self.unfiltered.items():
            if whole.error is not None:
                self.doubts[project] = f"{_UNKNOWN}: {failure(whole.error)}"

    def verdict(self) -> tuple[list[str], int]:
        """Lines that say which limits are broken, and why others can't be judged; and the exit status."""
        pairs = zip(self.projects, self.results, strict=True) if self.is_each else ()
        parts = [evolve(self, projects=[project], results=(result,)) for project, result in pairs] or [self]
        verdicts = [verdict for part in parts if self.limits for verdict in part._verdicts()]
        status = 0
        if any(is_broken for _, is_broken in verdicts):
            status = 3
        elif verdicts or self.errors:
            status = 2 if {type(result.error) for result in self.results} == {FilterCheckError} else 1
        return [line for line, _ in verdicts], status

    def _verdicts(self) -> list[tuple[str, bool]]:
        """
        Lines that say which limits are broken, or if none is, why they can't be judged; each with whether one is.

        What failed, and projects in doubt, can only make the total larger.
        """
        place = _place_of(self.projects[0]) if len(self.projects) == 1 else quantity(len(self.projects), "project")
        doubts = [f"{_UNKNOWN}: {failure(error)}" for error in self.errors[:1]]
        doubts += [self.doubts[project] for project in self.projects if self.doubts.get(project)]
        wholes = [self.unfiltered[project] for project in self.projects if project in self.unfiltered]
        everything = sum([whole.total_count or 0 for whole in wholes])
        sure = [limit for limit in self.limits if not doubts or (limit.is_upper and not limit.is_share)]
        reasons = [limit.reason(self.sessions, everything) for limit in sure if everything or not limit.is_share]
        if wholes and not (doubts or everything):
            doubts = [f"no sessions in this period in {place}, so {_UNKNOWN}"]
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
        projects = f"{of_all}{quantity(len(self.projects), 'project')}"
        several = f" ({quantity(self.requests, 'request')})" if self.requests > len(self.results) else ""
        return (
            f"{projects} counted{several}{f', {failed:,} failed' * bool(failed)}, {quantity(self.sessions, 'session')}"
        )


def _place_of(project: Project) -> str:
    """The id and the name of a project."""
    return one_line(f"{project.id} {project.name or ''}".rstrip())
