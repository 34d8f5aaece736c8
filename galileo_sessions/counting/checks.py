"""
Checks filters against their scope's columns, before or after a count, because one for an unknown
column counts 0.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any
from warnings import warn

from attrs import define, evolve, field

from galileo_sessions.api.query import SCOPE, CountQuery, within
from galileo_sessions.api.responses import COLUMNS
from galileo_sessions.counting.request import Requester
from galileo_sessions.details import Issue
from galileo_sessions.errors import FilterCheckError, GalileoError, ZeroCountWarning
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.columns import NO_QUEUE
from galileo_sessions.filters.contradictions import check_for_contradictions
from galileo_sessions.filters.nodes import ALWAYS, NEVER, Filter, FullyAnnotatedFilter
from galileo_sessions.filters.tree import walk
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.settings import PATIENCE

logger: logging.Logger = logging.getLogger("galileo_sessions")

CACHE_SECONDS = 300.0
MAX_PROJECTS = 1_000  # projects and parts of them with cached columns; each can take 100 kB
MAX_WAIT = 1.0  # seconds that counts of 0, and explanations, wait for columns
MAX_ASKED = 10  # projects whose columns are asked for to find out why all their counts are 0
_scope_of = attrgetter("project_id", *SCOPE)

# What runs tasks.
_LIBRARIES = (
    "galileo_sessions.",
    "asyncio.",
    "anyio.",
    "uvloop.",
    "concurrent.",
    "threading.",
)
_NO_COLUMNS: tuple[Issue, ...] = (Issue((), "", "no_columns"),)
_NOTHING_LISTED = "lists no columns: it has no sessions, or its id is wrong"
_EXPLAIN = "await galileo.explain(project_id, where) shows what each condition counts"


@define(eq=False, repr=False)
class ColumnChecks:
    """
    Checks filters against the columns of their project, or of the part of it that is counted.

    Counts that wait for columns share one request, and the columns are cached. Each count waits
    until its own deadline. If the request fails, all counts that wait for it fail with its error,
    which isn't cached. Single counts share one, those with more patience another, and each fan-out
    has its own. That one counts towards the fan-out's `concurrency`, and is parked while its query
    is in trouble, as are the counts that wait for it.
    """

    _requester: Requester  # sends the requests for columns
    wanted: bool | None
    """
    Whether filters are checked, unless a call says otherwise; with None, only those that count 0.
    """
    # With the time when they came; those that were used last are at the end.
    _cached: dict[tuple[Any, ...], tuple[ColumnCatalog, float]] = field(factory=dict)
    _warned: set[str] = field(factory=set)
    _silent_until: float = 0.0
    _checked: Filter = ALWAYS  # the last filter that is right by itself

    async def check(self, query: CountQuery, budget: Budget) -> None:
        """
        Checks that a query's filter fits its project's columns. A project without sessions has
        none; all filters fit.

        Raises:
            FilterCheckError: if the filter doesn't fit, contradicts itself, or needs an annotation
                queue.
            GalileoError: with `query`, `attempts` and `elapsed`, if the columns can't be requested.
        """
        if query.where in (ALWAYS, NEVER):
            return
        try:
            self._check_alone(query.where)
            catalog = await self.catalog(query, budget)
            if catalog:
                _ = catalog.check(query.where)
        except GalileoError as error:
            error.query = query
            raise error.with_traceback(None) from None  # its frames mean nothing to a user

    def _check_alone(self, where: Filter) -> None:
        """Refuses what is wrong in any project. A fan-out's filter is checked once."""
        if where != self._checked:
            check_for_queues(where)
            check_for_contradictions(where)
            self._checked = where

    async def issues(self, query: CountQuery, budget: Budget) -> tuple[Issue, ...]:
        """
        What doesn't fit the columns of a query's project; nothing if the columns don't come within
        a second.
        """
        try:
            await self.check(query, budget.at_most(MAX_WAIT, asyncio.get_running_loop().time()))
        except FilterCheckError as error:
            return error.issues
        except GalileoError as error:
            logger.debug("a filter isn't checked against the columns: %s", error)
        return ()

    def doubt(self, query: CountQuery) -> str:
        """Why a count of 0 may be wrong, if its scope was checked and lists no columns; else ""."""
        catalog, _ = self._cached.get(_scope_of(query), (None, 0))
        return "" if catalog is None or catalog else f"{_place(query)} {_NOTHING_LISTED}"

    async def warn_of_zeros(
        self,
        zeros: Iterable[Sequence[CountQuery]],
        budget: Budget,
        beside: Iterable[CountQuery] = (),
    ) -> None:
        """
        Looks for the reason for counts of 0, for one second at most, and warns once about each.

        If columns can't be requested, it doesn't try again for five minutes.

        Args:
            zeros: Queries with the same filter whose counts are all 0, up to `MAX_ASKED`. The
                columns of all are asked for at once, and the first project that has some judges the
                filter.
            budget: The budget of the call.
            beside: Queries whose counts are 0, while others with the same filter aren't. The filter
                is right, but a project without columns can be a wrong id.
        """
        now = asyncio.get_running_loop().time()
        budget = budget.at_most(MAX_WAIT, now)
        if now < self._silent_until:
            return
        for queries in zeros:
            reasons = await asyncio.gather(*[self._reason(query, budget) for query in queries])
            judged = [reason for reason in reasons if reason not in (None, _NO_COLUMNS)]
            if judged:
                for issue in judged[0] or ():
                    column_id = getattr(issue.node, "column_id", issue.msg)
                    self._warn(column_id, f"{issue.msg}\n{_EXPLAIN}")
            elif None in reasons:
                self._silent_until = now + CACHE_SECONDS
                return
            else:
                self._warn_of_no_columns(queries)
        several = list(beside)
        reasons = await asyncio.gather(*[self._reason(query, budget) for query in several])
        for query, reason in zip(several, reasons, strict=True):
            if reason == _NO_COLUMNS:
                self._warn_of_no_columns([query])

    def _warn_of_no_columns(self, queries: Sequence[CountQuery]) -> None:
        if len(queries) == 1:
            place, problem = _place(queries[0]), _NOTHING_LISTED
        else:
            place = f"none of {len(queries)} projects"
            problem = "lists a column: they have no sessions, or their ids are wrong"
        self._warn(place, f"{place} {problem}")

    def _warn(self, about: str, text: str) -> None:
        if about not in self._warned:
            if len(self._warned) == MAX_PROJECTS:
                self._warned.clear()
            self._warned.add(about)
            warn(f"the count is 0, and {text}", ZeroCountWarning, stacklevel=_level_of_caller())

    async def _reason(self, query: CountQuery, budget: Budget) -> tuple[Issue, ...] | None:
        """
        Why a query counts 0: what doesn't fit the columns, if anything; None if they can't be
        requested.
        """
        if query.where == NEVER:
            return ()
        try:
            await self.check(query, budget)
            if not await self.catalog(query, budget):
                return _NO_COLUMNS
        except FilterCheckError as error:
            return error.issues
        except GalileoError as error:
            logger.debug("a count of 0 isn't checked against the columns: %s", error)
            return None
        return ()

    def remember(self, query: CountQuery, catalog: ColumnCatalog) -> None:
        """Caches the columns of a query's scope."""
        self._cached[_scope_of(query)] = catalog, asyncio.get_running_loop().time()
        if len(self._cached) > MAX_PROJECTS:
            del self._cached[next(iter(self._cached))]

    async def catalog(self, query: CountQuery, budget: Budget) -> ColumnCatalog:
        """The columns of a query's scope, at most five minutes old."""
        began = asyncio.get_running_loop().time()
        scope = _scope_of(query)
        if scope in self._cached:
            catalog, answered_at = self._cached[scope] = self._cached.pop(scope)
            if answered_at > began - CACHE_SECONDS:
                return catalog
        sent = budget
        key: tuple[object, ...] = scope, budget
        if budget.is_single:
            is_brief = budget.patience <= PATIENCE
            make = Budget.single if is_brief else Budget.fan_out
            sent = make(None, self._requester.retry.patience, began)
            key = scope, is_brief
        shared = self._requester.shared
        is_following = key in shared
        budget.park(waiting=is_following, following=is_following)
        try:
            found = await shared.get(key, partial(self._request, query, sent), budget.deadline)
        finally:
            budget.park(waiting=-is_following, following=-is_following)
        if found is None:
            raise self._requester.too_late_for_columns(_without_filter(query), budget, began)
        return found

    async def _request(self, query: CountQuery, budget: Budget) -> ColumnCatalog:
        everything = _without_filter(query)
        catalog, _ = await self._requester.send(COLUMNS, everything, everything.body, budget)
        self.remember(query, catalog)
        return catalog


def _place(query: CountQuery) -> str:
    return f"project {query.project_id}{within(query)}"


def _without_filter(query: CountQuery) -> CountQuery:
    return evolve(query, where=ALWAYS)


def check_for_queues(where: Filter) -> None:
    """
    Refuses a filter for annotation queues, however it was made: `fully_annotated` warns, a
    constructor doesn't.
    """
    issues = [
        Issue((*path, "filter"), NO_QUEUE, "no_queue", leaf)
        for path, leaf in walk(where)
        if isinstance(leaf, FullyAnnotatedFilter)
    ]
    if issues:
        raise FilterCheckError(NO_QUEUE, issues=tuple(issues))


def _level_of_caller() -> int:
    """
    The `stacklevel` with which the calling function's warning points to the code that called the
    package.

    A task has no caller, so this can be the code that runs the event loop; or none, if a thread
    does that.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_LIBRARIES):
        frame = frame.f_back
        level += 1
    return level
