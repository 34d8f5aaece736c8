"""Checks filters against their project's columns, before or after a count, because an unknown column counts 0."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from copy import copy
from functools import partial
from math import inf
from typing import TypeAlias, cast
from warnings import warn

from attrs import Factory, define

from galileo_sessions.api.query import ANY_PROJECT, CountQuery, columns_body
from galileo_sessions.api.responses import COLUMNS
from galileo_sessions.counting.request import Requester, logger
from galileo_sessions.errors import DeadlineExceededError, FilterCheckError, GalileoError, Issue, ZeroCountWarning
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Comparison, Filter, all_of, any_of
from galileo_sessions.filters.tree import leaves_of
from galileo_sessions.flow.budget import Budget

CACHE_SECONDS = 300.0
RECHECK_AFTER = 10.0  # seconds; with older columns, a filter that doesn't fit is checked again against new ones
MAX_PROJECTS = 1_000  # projects whose columns are cached; each catalog can take 100 kB
MAX_ZERO = 5.0  # seconds that a count of 0 waits for columns
MAX_ASKED = 20  # projects whose columns are requested to find one that has columns
_EXPLAIN = "await galileo.explain(project_id, where) shows what each condition counts"
_MAX_WARNED = 1_000  # columns that a client warns about
_MAX_FILTERS = 1_000  # filters whose counts of 0 are remembered


Columns: TypeAlias = Callable[[CountQuery, float], Awaitable[ColumnCatalog]]
"""Returns the columns of a query's project, at most the given seconds old."""


async def first_columns(columns: Columns, queries: Iterable[CountQuery]) -> tuple[CountQuery, ColumnCatalog]:
    """
    The first query whose project has columns, and these columns. Projects without sessions have none.

    Raises:
        GalileoError: what `columns` raises.
    """
    query, catalog = CountQuery(ANY_PROJECT), ColumnCatalog([])
    for query in queries:
        catalog = await columns(query, CACHE_SECONDS)
        if catalog:
            break
    return query, catalog


class Zeros:
    """
    Counts of 0, and the columns that may be the reason: a column that doesn't exist counts 0.

    A filter is explained if all its counts are 0. Filters with the same columns are explained together.
    """

    def __init__(self) -> None:
        self._queries: dict[bytes, list[CountQuery] | None] = {}  # by request body; None if some count isn't 0

    def add(self, query: CountQuery, count: int | None) -> None:
        """Adds a count; None if it failed."""
        queries = self._queries.get(query.body, [] if len(self._queries) < _MAX_FILTERS else None)
        if count is not None and queries is not None:
            self._queries[query.body] = None if count else [*queries[: MAX_ASKED - 1], query]

    async def explain(self, columns: Columns) -> dict[str, str]:
        """
        A sentence for each column of these filters that doesn't exist, or has another type.

        Raises:
            GalileoError: what `columns` raises.
        """
        sentences: dict[str, str] = {}
        explained: set[frozenset[tuple[str, str]]] = {frozenset()}  # the column and the type of each leaf of a filter
        for queries in filter(None, self._queries.values()):
            given = [*leaves_of(queries[0].where), *queries[0].filters]
            leaves = [leaf for leaf in given if isinstance(leaf, Comparison)]
            kinds = frozenset([(leaf.column_id, leaf.type) for leaf in leaves])
            if kinds in explained:
                continue
            explained.add(kinds)
            query, catalog = await first_columns(columns, queries)
            try:
                if catalog:
                    await check_columns(columns, query, any_of(leaves))
            except FilterCheckError as error:
                for issue in error.issues:
                    sentences[cast("Comparison", issue.node).column_id] = f"the count is 0, and {issue.msg}"
        return sentences


async def check_columns(columns: Columns, query: CountQuery, where: Filter) -> None:
    """
    Checks a filter against the columns of a query's project, and again against newer ones: a column can be new.

    Raises:
        FilterCheckError: if the filter doesn't fit.
        GalileoError: what `columns` raises.
    """
    try:
        (await columns(query, CACHE_SECONDS)).check(where)
    except FilterCheckError:
        (await columns(query, RECHECK_AFTER)).check(where)


@define
class _Answer:
    """The cached answer for one project."""

    lock: asyncio.Lock = Factory(asyncio.Lock)
    """Held while the columns are requested."""
    answer: ColumnCatalog | GalileoError = Factory(lambda: GalileoError("the columns weren't requested"))
    answered_at: float = -inf


class ColumnChecks:
    """
    Checks filters against their project's columns.

    The columns are requested once, however many counts wait for them, and cached. If the request fails, all counts
    that waited for it fail with its error, which isn't cached.

    Args:
        requester: Sends the requests for columns.
    """

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        self._projects: dict[str, _Answer] = {}  # the most recently used last
        self._warned: set[str] = set()
        self._silent_until = -inf

    async def check(self, query: CountQuery, budget: Budget) -> None:
        """
        Checks that a query's filter fits its project's columns. A project without columns fits.

        Raises:
            FilterCheckError: if the filter doesn't fit.
            GalileoError: with `query`, `attempts` and `elapsed`, if the columns can't be requested.
        """
        where = all_of([query.where, *query.filters])
        if not query.body or where == ALWAYS:
            return
        try:
            await check_columns(partial(self._catalog, budget=budget), query, where)
        except GalileoError as error:
            issues = error.issues if isinstance(error, FilterCheckError) else ()
            if {issue.type for issue in issues} != {"no_columns"}:  # a project without sessions counts 0
                error.query = query
                raise error.with_traceback(None) from None  # the frames of the check mean nothing to a user

    async def issues(self, query: CountQuery, budget: Budget) -> tuple[Issue, ...]:
        """What doesn't fit the columns of a query's project; nothing if the columns can't be requested."""
        columns = partial(self._catalog, budget=budget)
        try:
            await check_columns(columns, query, all_of([query.where, *query.filters]))
        except FilterCheckError as error:
            return error.issues
        except GalileoError as error:
            logger.debug("an explanation has no columns: %s", error)
        return ()

    async def warn_of(self, zeros: Zeros, budget: Budget) -> None:
        """
        Warns once about each column that explains why counts are 0.

        If the columns can't be requested, it doesn't warn, and doesn't try again for five minutes.
        """
        now = asyncio.get_running_loop().time()
        if now < self._silent_until:
            return
        try:
            sentences = await zeros.explain(partial(self._catalog, budget=budget.at_most(MAX_ZERO)))
        except GalileoError as error:
            self._silent_until = now + CACHE_SECONDS
            logger.debug("a count of 0 isn't checked against the columns: %s", error)
            return
        for column_id, sentence in sentences.items():
            if column_id not in self._warned and len(self._warned) < _MAX_WARNED:
                self._warned.add(column_id)
                warn(f"{sentence}\n{_EXPLAIN}", ZeroCountWarning, stacklevel=_level_of_caller())

    async def _catalog(self, query: CountQuery, age: float, budget: Budget) -> ColumnCatalog:
        """The columns of a query's project, at most `age` seconds old when the call began."""
        began = asyncio.get_running_loop().time()
        columns = self._projects.pop(query.project_id, _Answer())
        self._projects[query.project_id] = columns
        if len(self._projects) > MAX_PROJECTS:
            del self._projects[next(iter(self._projects))]
        try:
            async with asyncio.timeout_at(None if budget.deadline == inf else budget.deadline):
                await columns.lock.acquire()
        except TimeoutError:
            raise DeadlineExceededError("timeout= ran out while waiting for the project's columns") from None
        try:
            oldest = began - age if isinstance(columns.answer, ColumnCatalog) else began  # errors aren't cached
            if columns.answered_at <= oldest:
                query = CountQuery(query.project_id, tag=query.tag, project_name=query.project_name)
                body = columns_body(query, None, None)
                try:
                    catalog, _ = await self._requester.send(COLUMNS, query, body, budget)
                    columns.answer = catalog
                except DeadlineExceededError:  # of this count only
                    raise
                except GalileoError as error:
                    columns.answer = error.with_traceback(None)
                columns.answered_at = asyncio.get_running_loop().time()
        finally:
            columns.lock.release()
        if isinstance(columns.answer, ColumnCatalog):
            return columns.answer
        raise copy(columns.answer)


def _level_of_caller() -> int:
    """The `stacklevel` with which the calling function's warning points to the code that called the package."""
    frame, level = inspect.currentframe(), -1
    while frame is not None and frame.f_globals["__name__"].startswith("galileo_sessions."):
        frame, level = frame.f_back, level + 1
    return level + 1
