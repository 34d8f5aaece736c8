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
from attrs import Factory, define, evolve, frozen

from galileo_sessions.api.projects import Project
from galileo_sessions.api.query import CountQuery, within
from galileo_sessions.cli.options import Columns
from galileo_sessions.cli.wording import MOST, Refused, line_of, one_line
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import FilterCheckError, GalileoError
from galileo_sessions.filters.contradictions import check_for_contradictions
from galileo_sessions.filters.kinds import as_sequence
from galileo_sessions.filters.nodes import ALWAYS, CollectionFilter, Filter, TextFilter, all_of
from galileo_sessions.filters.tree import leaves_of

Results: TypeAlias = dict[Project, CountResult]
Recount: TypeAlias = Callable[[list[Project], Filter], Awaitable[Results]]
_Text: TypeAlias = TextFilter | CollectionFilter

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
        counted = quantity(sessions, "session")
        if self.is_share:
            texts = [f"{Decimal(100 * sessions) / whole:.{digits}f}" for digits in range(1, 20)]
            shown = next((text for text in texts if self._is_broken_by(Decimal(text), self.number)), texts[-1])
            counted = f"{shown}% ({sessions:,} of {quantity(unfiltered, 'session')})"
        return f"{counted}, {'above' if self.is_upper else 'below'} {self.text}"

    def _is_broken_by(self, number: Decimal | int, limit: Decimal) -> bool:
        return number > limit if self.is_upper else number < limit


def read_limit(_: click.Context, option: click.Parameter, text: str | None) -> Limit | None:
    """The limit for a number such as 100, or a percentage such as 10%."""
    if text is None:
        return None
    if re.fullmatch(r"\d+|\d+(\.\d+)?%", text, re.ASCII) is None:
        is_fraction = re.fullmatch(r"0*\.\d+", text, re.ASCII)
        share = f"{Decimal(text):%}" if is_fraction else "10%"
        said = f"{text!r} must be a whole number such as 100, or a share such as {share}."
        raise click.BadParameter(said, param=option)
    number, is_share, is_upper = Decimal(text.rstrip("%")), text.endswith("%"), option.name == "fail_above"
    most = 100 if is_share else inf
    if not (number < most if is_upper else 0 < number <= most):
        raise click.BadParameter(f"{text!r} can't be a limit: it would apply never, or always.", param=option)
    return Limit(text, number, is_share, is_upper)


@define
class Tally:
    """What a command has counted so far, and what that means for its limits."""

    limits: list[Limit]
    is_each: bool
    """Whether the limits are for each project, not for the total."""
    allow_empty: bool = False
    """Whether a project or a period without sessions is judged: it counts 0, and its share is 0."""
    is_overlapping: bool = False
    """Whether a session can be in several parts."""
    projects: list[Project] = Factory(list[Project])
    """The projects to count."""
    results: tuple[CountResult, ...] = ()
    """The results of those that were counted, or failed."""
    requests: int = 0
    unfiltered: Results = Factory(dict[Project, CountResult])
    """The sessions of each project in the period, without the filter, for a share."""
    doubts: dict[Project, str] = Factory(dict[Project, str])
    """Why the limits can't be judged for a project; empty if they can."""

    @property
    def totals(self) -> Results:
        """The results so far, by their projects."""
        return {self.projects[result.index]: result for result in self.results}

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    async def check(self, where: Filter, period: Filter, columns: Columns) -> None:
        """
        Doubts the projects whose columns can't tell whether a filter counts what it should.

        Args:
            where: The filter, without the period.
            period: The filter of the period.
            columns: Requests the columns of a project.

        Raises:
            Refused: if it has an empty text, as that of a shell's variable that isn't set.
            FilterCheckError: if it contradicts itself or the period, or fits none of the projects.
        """
        check_for_contradictions(where & period)
        empty = [each for each in _texts(where) if not f"{each.value}".strip()]
        if empty:
            raise Refused(f"{brief(empty[0])} has an empty text. Perhaps a variable isn't set")
        found = await asyncio.gather(*[_doubt(each, where, columns) for each in self.projects])
        misfits = [doubt for doubt in found if isinstance(doubt, FilterCheckError)]
        if len(misfits) == len(found):
            raise misfits[0]
        self.doubts = dict(zip(self.projects, map(_unknown, found), strict=True))

    async def look_into(self, period: Filter, recount: Recount, *, may_be_empty: bool) -> None:
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
                place = f"{_place_of(project)}{within(cast('CountQuery', result.query))}"
                self.doubts[project] = "" if may_be_empty else f"no sessions in {place}, so {_UNKNOWN}"
        recounts = [*zeros.items(), *self.unfiltered.items()]
        self.doubts |= {project: _unknown(each.error) for project, each in recounts if each.error}

    def end(self, error: GalileoError) -> None:
        """Doubts the projects that have no count when an error ends the command, or a 0."""
        counted = {project for project, result in self.totals.items() if result.total_count}
        self.doubts |= {each: _unknown(error) for each in self.projects if each not in counted}

    def verdict(self) -> tuple[list[str], int]:
        """
        The lines that say which limits are broken, or why they can't be judged; and the exit status.

        The status is 3 if a limit is broken; else 2 if the filter fits none of the projects; else 1 if a count failed,
        or if a limit can't be judged.
        """
        totals = self.totals
        groups = [[project] for project in self.projects] if self.is_each else [self.projects]
        judged = [self._judge(group, totals) for group in groups if group and self.limits]
        lines = [*dict.fromkeys([line for broken, doubts in judged for line in broken or doubts])]
        if any(broken for broken, _ in judged):
            return lines, 3
        fits_none = {type(result.error) for result in self.results} == {FilterCheckError}
        return lines, 2 if fits_none else 1 if lines or self.errors else 0

    def _judge(self, group: list[Project], totals: Results) -> tuple[list[str], list[str]]:
        """
        A line for each limit that projects break together; and lines that say why limits can't be judged.

        What failed, and projects in doubt, can only make the total larger. So an upper number is judged all the same.
        """
        counted = [totals[project] for project in group if project in totals]
        wholes = [self.unfiltered[project] for project in group if project in self.unfiltered]
        sessions, total = _sum(counted), _sum(wholes)
        failed = [_unknown(result.error) for result in counted if result.error]
        doubts = failed[:1] or [doubt for each in group if (doubt := self.doubts.get(each))]
        has_share = bool(total or (wholes and self.allow_empty))
        sure = [limit for limit in self.limits if not doubts or (limit.is_upper and not limit.is_share)]
        reasons = [each.reason(sessions, total) for each in sure if has_share or not each.is_share]
        place = _place_of(*group) if len(group) == 1 else quantity(len(group), "project")
        if wholes and not (doubts or has_share):
            doubts = [f"no sessions in this period in {place}, so {_UNKNOWN}"]
        return [f"{place}: {reason}" for reason in reasons if reason], doubts

    def failures(self) -> list[str]:
        """Three failures of each class and status, and how many more there are."""
        kinds = defaultdict[tuple[str, int | None], list[GalileoError]](list)
        for error in self.errors:
            kinds[type(error).__name__, getattr(error, "status", None)].append(error)
        lines = [line_of(error) for errors in kinds.values() for error in errors[:MOST]]
        more = [(name, len(errors) - MOST) for (name, _), errors in kinds.items() if len(errors) > MOST]
        return lines + [f"{number:,} more counts failed with {name}" for name, number in more]

    def __str__(self) -> str:
        failed, all_projects = len(self.errors), quantity(len(self.projects), "project")
        counted = len(self.results) - failed
        projects = all_projects if counted == len(self.projects) else f"{counted:,} of {all_projects}"
        several = f" ({quantity(self.requests, 'request')})" if self.requests > len(self.results) else ""
        problems = f", {failed:,} failed" if failed else ""
        return f"{projects} counted{several}{problems}, {quantity(_sum(self.results), 'session')}"


async def _doubt(project: Project, where: Filter, columns: Columns) -> str | GalileoError:
    """Why a project's columns can't tell what a filter counts; empty if they can."""
    lacking = ["columns"]
    try:
        catalog = await columns(project)
        if catalog:
            _ = catalog.check(where)
            ids = {leaf.column_id for leaf in leaves_of(where)}
            infos = [info for info in catalog.columns if info.id in ids]
            texts = [each for each in _texts(where) if catalog.info(each.column_id).allowed_values]
            _ = catalog.check(all_of(texts))
            lacking = [f"type of {brief(info.id)}" for info in infos if info.filter_type is None]
    except GalileoError as error:
        error.query = CountQuery(project)
        return error
    return f"no {lacking[0]} to check the filter with in {_place_of(project)}, so {_UNKNOWN}" if lacking else ""


def _texts(where: Filter) -> list[_Text]:
    """A condition for each text that a column or a member has to equal, or not."""
    texts: list[_Text] = []
    for leaf in leaves_of(where):
        if isinstance(leaf, _Text) and leaf.operator != "contains":
            values = as_sequence(leaf.value) or [leaf.value]
            texts += [evolve(leaf, operator="eq", value=value) for value in values]
    return texts


def _unknown(reason: str | GalileoError) -> str:
    return reason if isinstance(reason, str) else f"{_UNKNOWN}: {line_of(reason)}"


def _sum(results: Iterable[CountResult]) -> int:
    return sum([result.total_count or 0 for result in results])


def _place_of(project: Project) -> str:
    """The id and the name of a project."""
    return one_line(f"{project.id} {project.name or ''}".rstrip())
