"""Filters held against the columns of their project before they are counted: a column that isn't there counts 0."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from copy import copy
from math import inf

from attrs import Factory, define

from galileo_sessions.client.endpoints import COLUMNS
from galileo_sessions.client.query import CountQuery, columns_body
from galileo_sessions.client.request import Attempts, Requester
from galileo_sessions.errors import DeadlineExceededError, FilterCheckError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Filter, all_of

_KEPT = 300.0  # seconds for which a project's columns are kept
_FRESH = 10.0  # seconds within which a filter that doesn't fit them is refused; later they are asked for again
_MOST = 1_000  # projects whose columns are kept


@define
class _Columns:
    """What is known of a project's columns."""

    lock: asyncio.Lock = Factory(asyncio.Lock)
    """Held by whoever asks."""
    answer: ColumnCatalog | GalileoError = Factory(lambda: GalileoError("nobody has asked for the columns"))
    answers: int = 0
    """How many came before, errors among them."""
    came_at: float = -inf
    """When the last catalog came, on the loop's clock."""


class ColumnChecks:
    """
    Counts that hold the filter against the project's columns first.

    A project's columns are asked for once, however many counts wait for them, and kept for five minutes.
    Each project has its own: in a fan-out, a column that one project lacks is an error of that project's count.

    Args:
        requester: Asks for columns and counts.
    """

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        self._projects: OrderedDict[str, _Columns] = OrderedDict()

    async def count(self, query: CountQuery, deadline: float | None, *, single: bool = True) -> tuple[int, Attempts]:
        """
        The count for a query whose filter fits its project's columns; as `Requester.count`.

        Raises:
            FilterCheckError: if it doesn't fit, without asking for a count.
            GalileoError: with `query`, `attempts` and `elapsed`; also if the columns can't be had.
        """
        where = all_of([query.where, *query.filters])
        if query.body and where != ALWAYS:
            try:
                await self._check(query, where, deadline, single)
            except GalileoError as error:
                error.query = query
                raise error.with_traceback(None) from None  # the frames of the check say nothing to a user
        return await self._requester.count(query, deadline, single=single)

    async def _check(self, query: CountQuery, where: Filter, deadline: float | None, single: bool) -> None:
        try:
            (await self._catalog(query, _KEPT, deadline, single)).check(where)
        except FilterCheckError:  # unless the column has come to be since
            (await self._catalog(query, _FRESH, deadline, single)).check(where)

    async def _catalog(self, query: CountQuery, age: float, deadline: float | None, single: bool) -> ColumnCatalog:
        """The columns of a query's project, at most `age` seconds old."""
        known = self._projects.setdefault(query.project_id, _Columns())
        self._projects.move_to_end(query.project_id)
        if len(self._projects) > _MOST:
            self._projects.popitem(last=False)
        if asyncio.get_running_loop().time() - known.came_at >= age:
            await self._ask_once(known, query, deadline, single)
        if isinstance(known.answer, GalileoError):
            raise copy(known.answer)
        return known.answer

    async def _ask_once(self, known: _Columns, query: CountQuery, deadline: float | None, single: bool) -> None:
        answers = known.answers
        timeout = asyncio.timeout_at(deadline)
        try:
            async with timeout:
                await known.lock.acquire()
        except TimeoutError:
            raise DeadlineExceededError("timeout= ran out while the project's columns were waited for") from None
        try:
            if known.answers == answers:  # nobody has asked while this one waited
                await self._ask(known, query, deadline, single)
        finally:
            known.lock.release()

    async def _ask(self, known: _Columns, query: CountQuery, deadline: float | None, single: bool) -> None:
        everything = CountQuery(query.project_id)
        body = columns_body(everything, None, None)
        try:
            catalog, _ = await self._requester.send(COLUMNS, everything, body, deadline, single=single)
        except DeadlineExceededError:  # of this count alone
            raise
        except GalileoError as error:
            known.answer, known.came_at = error.with_traceback(None), -inf
        else:
            known.answer, known.came_at = catalog, asyncio.get_running_loop().time()
        known.answers += 1
