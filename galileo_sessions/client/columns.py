"""Filters are checked against their project's columns, because an unknown column counts 0: before a count, or after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from copy import copy
from math import inf
from typing import cast
from warnings import warn

from attrs import Factory, define

from galileo_sessions.client.query import CountQuery, columns_body
from galileo_sessions.client.request import Attempts, Requester, logger
from galileo_sessions.client.responses import COLUMNS
from galileo_sessions.errors import (
    Counted,
    DeadlineExceededError,
    FilterCheckError,
    GalileoError,
    Issue,
    ZeroCountWarning,
)
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Comparison, Filter, all_of, any_of
from galileo_sessions.filters.tree import leaves_of

CACHE_SECONDS = 300.0
RECHECK_AFTER = 10.0  # seconds; with older columns, a filter that doesn't fit is checked again against new ones
MAX_PROJECTS = 1_000  # projects whose columns are cached; each catalog can take 100 kB
_MAX_ZERO = 5.0  # seconds that a count of 0 waits for columns
_MAX_WARNED = 1_000  # columns that a client warns about


@define
class _Columns:
    """The cached answer about one project."""

    lock: asyncio.Lock = Factory(asyncio.Lock)
    """Held while the service is asked."""
    answer: ColumnCatalog | GalileoError = Factory(lambda: GalileoError("the columns weren't requested"))
    answered_at: float = -inf


class ColumnChecks:
    """
    Counts whose filters are checked against the project's columns first.

    The columns are requested once, however many counts wait for them, and cached. If the request fails, all counts
    that waited for it fail with its error, which isn't cached.

    Args:
        requester: Asks for columns and counts.
    """

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        self._projects: dict[str, _Columns] = {}  # the most recently used last
        self._warned: set[str] = set()
        self._zeros_from = -inf

    async def count(
        self, query: CountQuery, deadline: float | None, *, interactive: bool = True
    ) -> tuple[int, Attempts]:
        """
        The count of a query whose filter fits its project's columns; otherwise like `Requester.count`.

        Raises:
            FilterCheckError: if the filter doesn't fit. No count is requested.
            GalileoError: with `query`, `attempts` and `elapsed`, also if the columns couldn't be requested.
        """
        where = all_of([query.where, *query.filters])
        if query.body and where != ALWAYS:
            try:
                await self._check(query, where, deadline, interactive)
            except GalileoError as error:
                error.query = cast("Counted", query)
                raise error.with_traceback(None) from None  # the frames of the check mean nothing to a user
        return await self._requester.count(query, deadline, interactive=interactive)

    async def explain_zero(self, queries: Iterable[CountQuery], deadline: float | None) -> None:
        """
        Warns once about each column of the filters that the first query's project lacks, or has as another type.

        If the columns can't be requested, it is silent, and isn't tried again for five minutes.
        """
        asked = [query for query in queries if query.body]
        leaves = [leaf for query in asked for leaf in (*leaves_of(query.where), *query.filters)]
        kinds = {(leaf.column_id, leaf.type): leaf for leaf in leaves if isinstance(leaf, Comparison)}
        now = asyncio.get_running_loop().time()
        if not kinds or now < self._zeros_from:
            return
        until = now + _MAX_ZERO if deadline is None else min(deadline, now + _MAX_ZERO)
        issues: tuple[Issue, ...] = ()
        try:
            if await self._catalog(asked[0].project_id, CACHE_SECONDS, until, interactive=True):  # it has sessions
                await self._check(asked[0], any_of(kinds.values()), until, interactive=True)
        except FilterCheckError as error:
            issues = error.issues
        except GalileoError as error:
            self._zeros_from = now + CACHE_SECONDS
            logger.debug("a count of 0 isn't checked against the columns: %s", error)
        for issue in issues:
            column_id = cast("Comparison", issue.node).column_id
            is_new = column_id not in self._warned and len(self._warned) < _MAX_WARNED
            if is_new and issue.type != "not_allowed":
                self._warned.add(column_id)
                warn(f"the count is 0, and {issue.msg}", ZeroCountWarning, stacklevel=3)

    async def _check(self, query: CountQuery, where: Filter, deadline: float | None, interactive: bool) -> None:
        try:
            (await self._catalog(query.project_id, CACHE_SECONDS, deadline, interactive)).check(where)
        except FilterCheckError:  # perhaps the column is new
            (await self._catalog(query.project_id, RECHECK_AFTER, deadline, interactive)).check(where)

    async def _catalog(self, project_id: str, age: float, deadline: float | None, interactive: bool) -> ColumnCatalog:
        """The columns of a project, at most `age` seconds old when the call began."""
        began = asyncio.get_running_loop().time()
        columns = self._projects.pop(project_id, _Columns())
        self._projects[project_id] = columns
        if len(self._projects) > MAX_PROJECTS:
            del self._projects[next(iter(self._projects))]
        try:
            async with asyncio.timeout_at(deadline):
                await columns.lock.acquire()
        except TimeoutError:
            raise DeadlineExceededError("timeout= ran out while waiting for the project's columns") from None
        try:
            oldest = began - age if isinstance(columns.answer, ColumnCatalog) else began  # errors aren't cached
            if columns.answered_at <= oldest:
                await self._ask(columns, CountQuery(project_id), deadline, interactive)
        finally:
            columns.lock.release()
        if isinstance(columns.answer, ColumnCatalog):
            return columns.answer
        raise copy(columns.answer)

    async def _ask(self, columns: _Columns, query: CountQuery, deadline: float | None, interactive: bool) -> None:
        body = columns_body(query, None, None)
        try:
            catalog, _ = await self._requester.send(COLUMNS, query, body, deadline, interactive=interactive)
        except DeadlineExceededError:  # of this count alone
            raise
        except GalileoError as error:
            columns.answer = error.with_traceback(None)
        else:
            columns.answer = catalog
        columns.answered_at = asyncio.get_running_loop().time()
