"""What was counted, the limits for it, why they can't be judged, and the verdict."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from math import inf
from typing import TypeAlias, cast

import click
from attrs import define, evolve, field, frozen

from galileo_sessions.api.projects import Project
from galileo_sessions.api.query import CountQuery, within
from galileo_sessions.cli.options import Columns
from galileo_sessions.cli.wording import MOST, Refused, line_of, one_line
from galileo_sessions.counting.results import CountReport, CountResult
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.contradictions import check_for_contradictions
from galileo_sessions.filters.filter_types import values_of
from galileo_sessions.filters.nodes import ALWAYS, CollectionFilter, Filter, TextFilter, all_of
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.tree import leaves_of

Results: TypeAlias = dict[Project, CountResult]
Recount: TypeAlias = Callable[[list[Project], Filter], Awaitable[Results]]
_Text: TypeAlias = TextFilter | CollectionFilter

BROKEN = 3
"""The exit status if a limit is broken."""

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
        """
        How a number of sessions breaks the limit; empty if it doesn't.

        A share has the digits that show it; that of 0 sessions in 0 is 0.
        """
        whole = unfiltered or 1
        most = self.number * whole / 100 if self.is_share else self.number
        if not self._is_broken_by(sessions, most):
            return ""
        side = "above" if self.is_upper else "below"
        counted = quantity(sessions, "session")
        if self.is_share:
            texts = [f"{Decimal(100 * sessions) / whole:.{digits}f}" for digits in range(1, 20)]
            share = next((text for text in texts if self._is_shown_by(text)), texts[-1])
            counted = f"{share}% ({sessions:,} of {quantity(unfiltered, 'session')})"
        return f"{counted}, {side} {self.text}"

    def can_judge(self, *, is_complete: bool, has_whole: bool) -> bool:
        """
        Whether it can be judged.

        What failed, and projects in doubt, can only make the total larger. So an upper number is
        judged all the same. A share needs its whole.
        """
        if self.is_share:
            return is_complete and has_whole
        return is_complete or self.is_upper

    def _is_shown_by(self, share: str) -> bool:
        return self._is_broken_by(Decimal(share), self.number)

    def _is_broken_by(self, number: Decimal | int, limit: Decimal) -> bool:
        return number > limit if self.is_upper else number < limit


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> Limit | None:
    """The limit for a number such as 100, or a percentage such as 10%."""
    if text is None:
        return None
    if re.fullmatch(r"\d+|\d+(\.\d+)?%", text, re.ASCII) is None:
        is_fraction = re.fullmatch(r"0*\.\d+", text, re.ASCII)
        share = f"{Decimal(text):%}" if is_fraction else "10%"
        problem = f"{text!r} must be a whole number such as 100, or a share such as {share}."
        raise click.BadParameter(problem)
    number = Decimal(text.rstrip("%"))
    limit = Limit(text, number, text.endswith("%"), option.name == "fail_above")
    most = 100 if limit.is_share else inf
    is_possible = limit.number < most if limit.is_upper else 0 < limit.number <= most
    if not is_possible:
        problem = f"{text!r} can't be a limit: every count would break it, or none would."
        raise click.BadParameter(problem)
    return limit


@define
class Tally:
    """What a command has counted so far, and what that means for its limits."""

    limits: list[Limit]
    is_each: bool
    """Whether the limits are for each project, not for the total."""
    allow_empty: bool = False
    """Whether a project or a period without sessions is judged: it counts 0, and its share is 0."""
    parts: Partition | None = None
    """The parts of each project that are counted, too."""
    projects: list[Project] = field(factory=list)
    """The projects to count."""
    results: tuple[CountResult, ...] = ()
    """The results of those that were counted, or failed."""
    requests: int = 0
    """Requests that were sent, also for lists and columns, and again."""
    unfiltered: Results = field(factory=dict)
    """The sessions of each project in the period, without the filter, for a share."""
    doubts: dict[Project, str] = field(factory=dict)
    """Why the limits can't be judged for a project; empty if they can."""

    @property
    def is_overlapping(self) -> bool:
        """Whether a session can be in several parts."""
        return self.parts is not None and not self.parts.disjoint

    @property
    def can_judge(self) -> bool:
        """Whether limits can be judged: without `is_each`, only if no count failed."""
        return bool(self.limits) and (self.is_each or not self.errors)

    @property
    def totals(self) -> Results:
        """The results so far, by their projects."""
        return {self.projects[result.index]: result for result in self.results}

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    def add(self, report: CountReport | None) -> None:
        """Keeps the results of the first report."""
        if report is not None:
            self.results = self.results or report.results

    async def check(self, where: Filter, period: Filter, columns: Columns) -> None:
        """
        With limits, doubts the projects whose columns can't tell whether a filter counts what it
        should.

        Args:
            where: The filter, without the period.
            period: The filter of the period.
            columns: Requests the columns of a project.

        Raises:
            Refused: if it has an empty text, as that of a shell's variable that isn't set.
            FilterCheckError: if it contradicts itself or the period, or fits none of the projects.
        """
        if not self.limits or where == ALWAYS:
            return
        check_for_contradictions(where & period)
        empty = [each for each in _texts(where) if not f"{each.value}".strip()]
        if empty:
            raise Refused(f"{brief(empty[0])} has an empty text. Perhaps a variable isn't set")
        checks = [_why_unchecked(project, where, columns) for project in self.projects]
        found = await asyncio.gather(*checks)
        misfits = [doubt for doubt in found if isinstance(doubt, FilterCheckError)]
        if len(misfits) == len(found):
            raise misfits[0]
        self.doubts = dict(zip(self.projects, map(_unknown, found), strict=True))

    async def count_wholes(self, period: Filter, recount: Recount, *, may_be_empty: bool) -> None:
        """
        Counts the whole of each share, and finds out which projects have no sessions at all.

        Args:
            period: The filter of the period.
            recount: Counts projects with another filter.
            may_be_empty: Whether the count of a project without sessions is judged.
        """
        totals = self.totals.items()
        if any(limit.is_share for limit in self.limits):
            self.unfiltered = await recount([each for each, result in totals if result.ok], period)
        zeros = await recount([each for each, result in totals if result.total_count == 0], ALWAYS)
        for project, result in zeros.items():
            if result.total_count == 0:  # so its columns don't matter
                self.doubts[project] = "" if may_be_empty else _no_sessions(project, result)
        recounts = [*zeros.items(), *self.unfiltered.items()]
        self.doubts |= {project: _unknown(each.error) for project, each in recounts if each.error}

    def end(self, error: GalileoError) -> None:
        """Doubts the projects that have no count when an error ends the command, or a 0."""
        counted = {project for project, result in self.totals.items() if result.total_count}
        self.doubts |= {each: _unknown(error) for each in self.projects if each not in counted}

    def verdict(self) -> tuple[list[str], int]:
        """
        The lines that say which limits are broken, or why they can't be judged; and the exit
        status.

        The status is 3 if a limit is broken; else 2 if the filter fits none of the projects; else 1
        if a count failed, or if a limit can't be judged.
        """
        totals = self.totals
        groups = [[project] for project in self.projects] if self.is_each else [self.projects]
        judged = [self._judge(group, totals) for group in groups if group and self.limits]
        lines = [line for reasons, doubts in judged for line in reasons or doubts]
        is_broken = any(reasons for reasons, _ in judged)
        return [*dict.fromkeys(lines)], self._status(is_broken=is_broken, is_told=bool(lines))

    def _status(self, *, is_broken: bool, is_told: bool) -> int:
        if is_broken:
            return BROKEN
        if {type(result.error) for result in self.results} == {FilterCheckError}:
            return 2
        return 1 if is_told or self.errors else 0

    def _judge(self, group: list[Project], totals: Results) -> tuple[list[str], list[str]]:
        """
        A line for each limit that projects break together; and lines that say why limits can't be
        judged.
        """
        counted = _of(group, totals)
        wholes = _of(group, self.unfiltered)
        doubts = self._doubts_of(group, counted)
        sessions, unfiltered = _sum(counted), _sum(wholes)
        is_complete = not doubts
        has_whole = unfiltered > 0 or (bool(wholes) and self.allow_empty)
        place = _place_of(*group)
        if wholes and is_complete and not has_whole:
            doubts = [f"no sessions in this period in {place}, so {_UNKNOWN}"]
        reasons = [
            limit.reason(sessions, unfiltered)
            for limit in self.limits
            if limit.can_judge(is_complete=is_complete, has_whole=has_whole)
        ]
        return [f"{place}: {reason}" for reason in reasons if reason], doubts

    def _doubts_of(self, group: list[Project], counted: list[CountResult]) -> list[str]:
        failed = [_unknown(result.error) for result in counted if result.error]
        return failed[:1] or [*filter(None, map(self.doubts.get, group))]

    def failures(self) -> list[str]:
        """Three failures of each class and status, and how many more there are."""
        kinds = defaultdict[tuple[str, int | None], list[GalileoError]](list)
        for error in self.errors:
            kinds[type(error).__name__, getattr(error, "status", None)].append(error)
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
        if self.limits or self.parts is not None:
            text += f" ({quantity(self.requests, 'request')})"
        if failed:
            text += f", {failed:,} failed"
        return f"{text}, {quantity(_sum(self.results), 'session')}"


async def _why_unchecked(project: Project, where: Filter, columns: Columns) -> str | GalileoError:
    """Why a project's columns can't tell what a filter counts; empty if they can."""
    try:
        lacking = _check(where, await columns(project))
    except GalileoError as error:
        error.query = CountQuery(project)
        return error
    if not lacking:
        return ""
    return f"no {lacking} to check the filter with in {_place_of(project)}, so {_UNKNOWN}"


def _check(where: Filter, catalog: ColumnCatalog) -> str:
    """
    What the columns lack to check a filter; empty if it fits.

    Raises:
        FilterCheckError: if it doesn't fit.
    """
    if not catalog:
        return "columns"
    _ = catalog.check(where)
    texts = [each for each in _texts(where) if catalog.info(each.column_id).allowed_values]
    _ = catalog.check(all_of(texts))
    ids = {leaf.column_id for leaf in leaves_of(where)}
    infos = [info for info in catalog.columns if info.id in ids and info.filter_type is None]
    return f"type of {brief(infos[0].id)}" if infos else ""


def _texts(where: Filter) -> list[_Text]:
    """A condition for each text that a column or a member has to equal, or not."""
    texts: list[_Text] = []
    for leaf in leaves_of(where):
        if isinstance(leaf, _Text) and leaf.operator != "contains":
            texts += [evolve(leaf, operator="eq", value=text) for text in values_of(leaf.value)]
    return texts


def _no_sessions(project: Project, result: CountResult) -> str:
    place = f"{_place_of(project)}{within(cast('CountQuery', result.query))}"
    return f"no sessions in {place}, so {_UNKNOWN}"


def _unknown(reason: str | GalileoError) -> str:
    return reason if isinstance(reason, str) else f"{_UNKNOWN}: {line_of(reason)}"


def _of(group: list[Project], results: Results) -> list[CountResult]:
    return [results[project] for project in group if project in results]


def _sum(results: Iterable[CountResult]) -> int:
    return sum([result.total_count or 0 for result in results])


def _place_of(*projects: Project) -> str:
    """The id and the name of a project; of several, how many they are."""
    project, *others = projects
    if others:
        return quantity(len(projects), "project")
    return one_line(f"{project.id} {project.name or ''}".rstrip())
