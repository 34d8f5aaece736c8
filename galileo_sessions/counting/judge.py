"""
Judges limits: counts what they need, and refuses what could make an alert pass by mistake.

A limit is judged only for a filter that can break it and can hold it, about one period, in one
place. So the filter is refused if no session can satisfy it, or if each session with a value does;
and so is a share whose filter has a period that the whole lacks. Then each project's columns must
show that the filter counts what it should. A project without sessions is in doubt, because its id
may be wrong.

The counts of a project follow each other, but wait for no other project::

    columns > with the filter > for a share, the whole > after a 0, all that it ever had
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Self, TypeAlias

from attrs import define, evolve, field

from galileo_sessions.api.query import ANY_PROJECT, CountQuery, scope_of, within
from galileo_sessions.arguments import check_arguments
from galileo_sessions.counting.checks import ColumnChecks, check_for_queues
from galileo_sessions.counting.limits import Judgement, Limit, Verdict
from galileo_sessions.counting.results import CountReport, CountResult, Progress, identified
from galileo_sessions.counting.stream import Steps
from galileo_sessions.details import Issue
from galileo_sessions.display import brief, quantity
from galileo_sessions.errors import ConfigurationError, FilterError, GalileoError, JudgementError
from galileo_sessions.filters.advice import expected_filter
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.contradictions import (
    check_for_contradictions,
    check_for_tautologies,
    contradiction_in,
)
from galileo_sessions.filters.nodes import (
    ALWAYS,
    NEVER,
    CollectionFilter,
    DateFilter,
    Filter,
    IdFilter,
    Or,
    TextFilter,
)
from galileo_sessions.filters.tree import failed_check, key_of, leaves_of, walk
from galileo_sessions.filters.values import values_of
from galileo_sessions.flow.budget import Budget

AllowEmpty: TypeAlias = bool | Literal["projects"]
_Texts: TypeAlias = TextFilter | CollectionFilter | IdFilter

_Steps: TypeAlias = dict[CountQuery, CountResult]
"""The results of a target by their queries, apart from the project."""

_CREATED = "created_at"
_AHEAD = timedelta(minutes=5)  # by which the service's clock may be ahead of this one
_EVER = CountQuery(ANY_PROJECT)  # all sessions of a target


@define(eq=False, repr=False)
class Judge:
    """Makes the queries of one call, checks their filter, and puts the counts together."""

    query: CountQuery
    """The query with the filter and the period, apart from the project."""
    _whole: CountQuery
    """The query for all sessions in the period."""
    _limits: tuple[Limit, ...]
    _each: bool
    _allow_empty: AllowEmpty
    _checks: ColumnChecks
    # For queries whose filter the columns can't check.
    _unchecked: dict[CountQuery, JudgementError] = field(factory=dict)

    @classmethod
    def of(
        cls,
        checks: ColumnChecks,
        where: Filter,
        period: Filter,
        *,
        above: object,
        below: object,
        each: bool,
        allow_empty: AllowEmpty,
    ) -> Self:
        """
        The judge of a filter.

        Raises:
            ConfigurationError: if the limits can't be judged together.
            FilterError: if the filter can't break the limits, or can't hold them.
        """
        check_arguments(bool, "True or False", each=each)
        if allow_empty != "projects":
            check_arguments(bool, 'True, False or "projects"', allow_empty=allow_empty)
        limits = _limits(above, below)
        _check_period(period)
        _check_filter(where, period)
        if any(limit.is_share for limit in limits):
            _check_share(where, period)
        query = CountQuery(ANY_PROJECT, where & period)
        whole = CountQuery(ANY_PROJECT, period)
        return cls(query, whole, limits, each, allow_empty, checks)

    # ---- while it counts -------------------------------------------------------------------------

    async def check(self, query: CountQuery, budget: Budget) -> None:
        """
        Checks the filter of a target. If its columns can't tell whether it is right, that is kept
        as a doubt.

        Raises:
            ConfigurationError: if the target has a filter of its own.
            FilterCheckError: if the filter doesn't fit the columns.
            GalileoError: if they can't be requested.
        """
        known = (self.query.where, self._whole.where, ALWAYS)
        if query.where not in known:
            problem = "a target whose counts are judged can't have a filter of its own"
            raise ConfigurationError(problem, hint="Give the filter to judge")
        if query.where == ALWAYS:
            return
        try:
            lacking = _lacking(query, await self._checks.catalog(query, budget))
        except GalileoError as error:
            error.query = query
            raise
        if lacking and query.where != self._whole.where:
            doubt = JudgementError(f"no {lacking} to check the filter with")
            doubt.query = query
            self._unchecked[query] = doubt

    def then(self, result: CountResult, query: CountQuery) -> Iterator[CountQuery]:
        """
        The queries that follow a result: the whole of a share, and after a 0 all that a target ever
        had.

        Args:
            result: The result.
            query: Its query, apart from the project.
        """
        if not result.ok:
            return
        if query is self.query and self._has_shares:
            yield self._whole
        elif result.total_count == 0 and query.where != ALWAYS:
            yield _EVER

    @property
    def _has_shares(self) -> bool:
        return any(limit.is_share for limit in self._limits)

    # ---- the verdict -----------------------------------------------------------------------------

    def verdict(
        self,
        steps: Sequence[Steps],
        progress: Progress,
        end: GalileoError | None,
    ) -> Verdict:
        """
        The verdict on all results.

        Args:
            steps: The results of each target.
            progress: The progress at the end.
            end: What ended the stream before everything was counted, if anything did.
        """
        targets = [dict(own) for own in steps]
        groups = [[own] for own in targets] if self._each else [targets]
        judgements = [self._judged(group, end) for group in groups if group]
        if end is not None or not targets:
            missing = end or JudgementError("there are no projects to count")
            judgements.append(Judgement("the others", 0, None, (missing,)))
        results = tuple([own[self.query] for own in targets])
        return Verdict(self._limits, tuple(judgements), CountReport(results, progress))

    def _judged(self, group: Sequence[_Steps], end: GalileoError | None) -> Judgement:
        """What the counts of some targets are together."""
        results = [own[self.query] for own in group]
        place = quantity(len(results), "project")
        if len(results) == 1:
            place = identified(results[0])
        failed = [result.error for result in results if result.error is not None]
        doubts = failed[:1] or [doubt for own in group if (doubt := self._doubt(own, end))]
        if end is not None and not doubts and not self._each:
            doubts = [end]
        whole = None
        if self._has_shares:
            whole = _sum([own[self._whole] for own in group if self._whole in own])
            if not whole and not doubts and self._allow_empty is not True:
                doubts = [JudgementError(f"no sessions in this period in {place}")]
        if repeated := _repeated(results):
            doubts = [repeated]
        may_be_empty = self._allow_empty is True
        return Judgement(place, _sum(results), whole, tuple(doubts), may_be_empty=may_be_empty)

    def _doubt(self, own: _Steps, end: GalileoError | None) -> GalileoError | None:
        """Why the counts of a target can't be judged; None if they can."""
        for result in own.values():
            if result.error is not None:
                return result.error
        if any(
            query not in own for each, result in own.items() for query in self.then(result, each)
        ):
            return end
        query = own[self.query].query
        if any(each.where == ALWAYS and not result.total_count for each, result in own.items()):
            return None if self._allow_empty or query is None else _no_sessions(query)
        return None if query is None else self._unchecked.get(query)


def _repeated(results: Sequence[CountResult]) -> JudgementError | None:
    """Why results can't be added up: two are about the same sessions; None if they can."""
    known: dict[str, list[dict[str, str]]] = {}
    for query in [result.query for result in results if result.query is not None]:
        scopes = known.setdefault(query.project_id, [])
        scope = scope_of(query)
        is_part = bool(scopes) and not (scope and all(scopes))  # of the whole project
        if is_part or scope in scopes:
            doubt = JudgementError("its sessions would be counted twice; give each target once")
            doubt.query = query
            return doubt
        scopes.append(scope)
    return None


def _sum(results: Sequence[CountResult]) -> int:
    return sum([result.total_count or 0 for result in results])


def _no_sessions(query: CountQuery) -> JudgementError:
    place = within(query).removeprefix(", ")
    problem = f"no sessions in {place}" if place else "no sessions at all"
    doubt = JudgementError(f"there are {problem}, so an id may be wrong")
    doubt.query = query
    return doubt


# ---- what is refused -----------------------------------------------------------------------------


def _limits(above: object, below: object) -> tuple[Limit, ...]:
    limits = [
        Limit.of(value, is_upper=is_upper)
        for value, is_upper in ((above, True), (below, False))
        if value is not None
    ]
    if not limits:
        hint = 'Write above=100 or below="90%"'
        raise ConfigurationError("there is no limit to judge", hint=hint)
    kinds = {limit.is_share for limit in limits}
    if len(limits) > len(kinds) and limits[1].number > limits[0].number:
        problem = f"every count is above {limits[0].text} or below {limits[1].text}"
        raise ConfigurationError(problem, hint="Swap the two")
    return tuple(limits)


def _check_period(period: Filter) -> None:
    """Refuses what is no period."""
    if not isinstance(period, Filter):
        raise expected_filter(period)
    if not all(isinstance(leaf, DateFilter) for leaf in leaves_of(period)):
        hint = 'Write, for example, during=Col.date("created_at").last("24h")'
        raise FilterError(f"a period has conditions on dates alone, got {brief(period)}", hint=hint)


def _check_filter(where: Filter, period: Filter) -> None:
    """Refuses a filter that no session can satisfy, or that each session with a value does."""
    if not isinstance(where, Filter):
        raise expected_filter(where)
    if where == NEVER:
        hint = "An any_of, or an or, in it is perhaps empty"
        raise FilterError("no session satisfies this filter: it is NEVER", hint=hint)
    for text in _texts(where):
        if not f"{text.value}".strip():
            hint = "Perhaps a variable isn't set"
            raise FilterError(f"{brief(text)} has an empty text", hint=hint)
    check_for_queues(where)
    check_for_contradictions(where & period)
    check_for_tautologies(where)
    not_later = Col.date(_CREATED).lte(datetime.now(UTC) + _AHEAD)
    for path, node in walk(where & period):
        if isinstance(node, Filter) and not isinstance(node, Or) and "not" not in path:
            _check_fact(node, not_later, "it is in the future")


def _check_fact(where: Filter, fact: Filter, said: str) -> None:
    """Refuses a filter that contradicts a fact about all sessions."""
    if contradiction_in(where & fact) is not None:
        problem = f"no session can satisfy {brief(where)}: {said}"
        issue = Issue((key_of(where),), problem, "contradiction", where)
        raise failed_check(where, "no session satisfies the filter", [issue])


def _check_share(where: Filter, period: Filter) -> None:
    """Refuses a share that can only be 100%, or whose numbers are about two periods."""
    if where == ALWAYS:
        hint = "Give a filter, or a number as the limit"
        raise FilterError("without a filter, each share is 100%", hint=hint)
    dates = {_CREATED, *[leaf.column_id for leaf in leaves_of(period)]}
    for leaf in leaves_of(where):
        if leaf.column_id in dates:
            problem = f"the whole of a share isn't narrowed by {brief(leaf)}"
            hint = "Give the period as --since and --until, in Python as during="
            raise FilterError(problem, hint=hint)


def _texts(where: Filter) -> Iterator[_Texts]:
    """A condition for each text in a filter, which looks for this text alone."""
    for leaf in leaves_of(where):
        if isinstance(leaf, _Texts):
            is_part = leaf.operator == "contains"
            for text in values_of(leaf.value):
                yield evolve(leaf, operator="contains" if is_part else "eq", value=text)


def _lacking(query: CountQuery, catalog: ColumnCatalog) -> str:
    """
    What a project's columns lack to check a filter; empty if the filter fits.

    Raises:
        FilterCheckError: if it doesn't fit.
    """
    if not catalog:
        return "columns"
    where = catalog.check(query.where)
    for text in _texts(where):  # each alone, also below | and ~
        _ = catalog.check(text)
    project = Col.id("project_id").eq(query.project_id)
    _check_fact(where, project, "it is about another project")
    ids = {leaf.column_id for leaf in leaves_of(where)}
    untyped = [info.id for info in catalog.columns if info.id in ids and not info.filter_type]
    return f"type of {brief(untyped[0])}" if untyped else ""
