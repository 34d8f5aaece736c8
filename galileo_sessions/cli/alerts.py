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
from attrs import Factory, define, frozen

from galileo_sessions.api.projects import Project
from galileo_sessions.api.query import CountQuery, within
from galileo_sessions.cli.options import Columns
from galileo_sessions.cli.wording import MOST, line_of, one_line
from galileo_sessions.counting.results import CountResult
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.filters.tree import leaves_of

Results: TypeAlias = dict[Project, CountResult]
Recount: TypeAlias = Callable[[list[Project], Filter], Awaitable[Results]]

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
            texts = [f"{Decimal(100 * sessions) / unfiltered:.{digits}f}" for digits in range(1, 20)]
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
    """Why the limits can't be judged for a project."""

    @property
    def errors(self) -> list[GalileoError]:
        """An error for each project that failed."""
        return [result.error for result in self.results if result.error is not None]

    async def look_into(self, asked: Filter, period: Filter, recount: Recount, columns: Columns) -> None:
        """
        Counts the whole of each share, and finds out why projects count 0: each is judged where that succeeds.

        Args:
            asked: The filter, without the period.
            period: The filter of the period.
            recount: Counts projects with another filter.
            columns: Requests the columns of a project.
        """
        totals = [*zip(self.projects, self.results, strict=True)]
        if any(limit.is_share for limit in self.limits):
            self.unfiltered = await recount([project for project, result in totals if result.ok], period)
        zeros = await recount([project for project, result in totals if result.total_count == 0], ALWAYS)
        column_ids = [leaf.column_id for leaf in leaves_of(asked)]
        doubts = await asyncio.gather(*[_doubt(*each, column_ids, columns) for each in zeros.items()])
        self.doubts = {project: doubt for project, doubt in zip(zeros, doubts, strict=True) if doubt}
        self.doubts |= {each: _unknown(whole.error) for each, whole in self.unfiltered.items() if whole.error}

    def verdict(self) -> tuple[list[str], int]:
        """
        The lines that say which limits are broken, or why they can't be judged; and the exit status.

        The status is 3 if a limit is broken; else 2 if the filter fits none of the projects; else 1 if a count failed,
        or if a limit can't be judged.
        """
        pairs = [*zip(self.projects, self.results, strict=True)]
        groups = [[pair] for pair in pairs] if self.is_each else [pairs]
        judged = [self._judge(dict(group)) for group in groups if self.limits]
        lines = [line for broken, doubts in judged for line in broken or doubts]
        if any(broken for broken, _ in judged):
            return lines, 3
        fits_none = {type(result.error) for result in self.results} == {FilterCheckError}
        return lines, 2 if fits_none else 1 if lines or self.errors else 0

    def _judge(self, totals: Results) -> tuple[list[str], list[str]]:
        """
        A line for each limit that projects break together; and lines that say why limits can't be judged.

        What failed, and projects in doubt, can only make the total larger. So an upper number is judged all the same.
        """
        wholes = [self.unfiltered[project] for project in totals if project in self.unfiltered]
        sessions, unfiltered = _sum(totals.values()), _sum(wholes)
        failed = [_unknown(result.error) for result in totals.values() if result.error]
        doubts = failed[:1] or [self.doubts[project] for project in totals if project in self.doubts]
        sure = [limit for limit in self.limits if not doubts or (limit.is_upper and not limit.is_share)]
        reasons = [limit.reason(sessions, unfiltered) for limit in sure if unfiltered or not limit.is_share]
        place = _place_of(*totals) if len(totals) == 1 else quantity(len(totals), "project")
        if wholes and not (doubts or unfiltered):
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


async def _doubt(project: Project, unfiltered: CountResult, column_ids: list[str], columns: Columns) -> str:
    """
    Why a count of 0 can't be judged; empty if it can.

    Args:
        project: The project that counts 0.
        unfiltered: Its sessions, without period and filter.
        column_ids: The columns of the filter.
        columns: Requests the columns of a project.
    """
    lacking = "sessions"
    try:
        if unfiltered.unwrap():
            catalog = await columns(project) if column_ids else ColumnCatalog([])
            untyped = [each for each in column_ids if each not in catalog or catalog.info(each).filter_type is None]
            if not untyped:
                return ""
            unchecked = f"type of {brief(untyped[0])}" if catalog else "columns"
            lacking = f"{unchecked} to check the filter with"
    except GalileoError as error:
        return _unknown(error)
    place = f"{_place_of(project)}{within(cast('CountQuery', unfiltered.query))}"
    return f"no {lacking} in {place}, so {_UNKNOWN}"


def _unknown(error: GalileoError) -> str:
    return f"{_UNKNOWN}: {line_of(error)}"


def _sum(results: Iterable[CountResult]) -> int:
    return sum([result.total_count or 0 for result in results])


def _place_of(project: Project) -> str:
    """The id and the name of a project."""
    return one_line(f"{project.id} {project.name or ''}".rstrip())
