"""What users hold: a client that counts, and knows columns."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast, overload
from uuid import UUID

from attrs import evolve

from galileo_sessions.client.address import base_url as resolve_base_url
from galileo_sessions.client.auth import Authentication
from galileo_sessions.client.checks import ColumnChecks
from galileo_sessions.client.credentials import Auth, find_credentials
from galileo_sessions.client.endpoints import COLUMNS
from galileo_sessions.client.fanout import CountStream, Targets, report_of
from galileo_sessions.client.flow.limits import Limits
from galileo_sessions.client.flow.queue import Admission
from galileo_sessions.client.headers import request_headers
from galileo_sessions.client.policy import Retry
from galileo_sessions.client.query import CountQuery, build_query, columns_body, narrowed
from galileo_sessions.client.request import Count, Requester, logger
from galileo_sessions.client.results import CountReport, CountsBy, CountsTable, OnProgress, PartQueries, Projects
from galileo_sessions.client.secret import Secret, hide
from galileo_sessions.client.transport import SSL, Timeouts, Transport
from galileo_sessions.errors import Attempt, ConfigurationError, brief
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import Filter

if TYPE_CHECKING:  # for annotations alone: only the transport calls aiohttp
    import aiohttp


class GalileoSessions:
    """
    Counts the sessions of Galileo projects.

    Making one does no I/O and needs no event loop; leaving its `async with`, or `await close()`, ends its connections.
    It may be used by any number of tasks of one event loop.

    Args:
        api_key: The API key; without it and `auth`, GALILEO_API_KEY of the environment,
            else GALILEO_USERNAME with GALILEO_PASSWORD.
        auth: Other credentials: `ApiKeyAuth`, `BearerAuth`, `PasswordAuth` or `BasicAuth`.
        base_url: The API's URL, https unless its host is loopback; a path in it is kept, for gateways.
            Without it GALILEO_API_URL, else GALILEO_CONSOLE_URL turned into its API host, else https://api.galileo.ai.
        session: An `aiohttp.ClientSession` to use; it is never closed here. Its own timeouts, redirects and
            `raise_for_status` don't apply; the limits of its connector do.
        timeouts: How long one attempt may take.
        retry: How often and how patiently to try again.
        limits: How many requests may be under way at once.
        proxy: The URL of a proxy.
        trust_env: Whether to use the proxies that the environment names. A netrc file is never read.
        ssl: As aiohttp takes it: an `ssl.SSLContext`, a fingerprint, or False for no verification.
        headers: More headers for each request.
        on_attempt: Called with each `Attempt` when it is over; what it raises is logged, never raised.
        check: Whether each filter is held against its project's columns before it is counted, unless a call says
            otherwise. A project's columns are asked for once, and kept for five minutes.

    Raises:
        ConfigurationError: if there are no credentials or two, or if one of the arguments can't work.
    """

    def __init__(
        self,
        api_key: str | Secret[str] | None = None,
        *,
        auth: Auth | None = None,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        retry: Retry = Retry(),  # noqa: B008  # frozen
        limits: Limits = Limits(),  # noqa: B008  # frozen
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: SSL | None = None,
        headers: Mapping[str, str] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        check: bool = False,
    ) -> None:
        key, auths, address, way, extra = map(_hidden, (api_key, auth, base_url, proxy, headers))
        del api_key, auth, base_url, proxy, headers  # tracebacks show local variables
        found = find_credentials(key, auths)
        self._base_url = resolve_base_url(address)
        for name, value, expected, example in (
            ("timeouts", timeouts, Timeouts, "attempt"),
            ("retry", retry, Retry, "attempts"),
            ("limits", limits, Limits, "maximum"),
        ):
            if not isinstance(value, expected):
                kind = expected.__name__
                raise ConfigurationError(f"{name} must be a {kind}, got {brief(value)}. Write {kind}({example}=...)")
        self._transport = Transport(
            self._base_url,
            session,
            timeouts=timeouts,
            ssl=True if ssl is None else ssl,
            proxy=way,
            trust_env=trust_env,
        )
        self._limits = _within(limits, self._transport.connections)
        sent = request_headers(extra, found)
        self._requester = Requester(
            self._transport,
            Authentication(found, sent, self._transport, timeouts.attempt),
            attempt_timeout=timeouts.attempt,
            retry=retry,
            admission=Admission(self._limits, retry, partial(logger.debug, "limits: %s")),
            on_attempt=on_attempt,
        )
        self._checks = ColumnChecks(self._requester)
        self._check = check

    async def count(
        self,
        project_id: UUID | str | CountQuery,
        where: Filter | None = None,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # a promised part of the interface
        check: bool | None = None,
    ) -> int:
        """
        The number of sessions in a project that satisfy a filter.

        Args:
            project_id: The project, a UUID; or a `CountQuery`, whose own filter and scope hold as well.
            where: The filter; None counts all sessions, and `NEVER` is 0 without a request.
            filters: The API's flat list of leaves, in place of `where`.
            log_stream_id: Count in this log stream only.
            experiment_id: Count in this experiment only.
            metrics_testing_id: Count in this metrics testing run only.
            timeout: Seconds for the whole call; None sets no limit beyond that of each attempt.
            check: Whether the filter is held against the project's columns first, for a column that a project
                doesn't have counts 0; None means what the client was made with.

        Raises:
            ConfigurationError: before a request, if an id is no UUID, or the client can't be used here.
            FilterError: before a request, if the filter can't be sent.
            FilterCheckError: before the count, if the filter doesn't fit the columns, and `check` is set.
            ResponseError: if the service refuses; its subclasses tell why.
            TransportError: if no whole answer came.
            DeadlineExceededError: if `timeout` ran out.
            DecodeError: if the answer is not a count.
        """
        scope = (log_stream_id, experiment_id, metrics_testing_id)
        if isinstance(project_id, CountQuery):
            query = narrowed(project_id, build_query(UUID(int=0), where, filters, *scope))
        else:
            query = build_query(project_id, where, filters, *scope)
        total, _ = await self._counter(check)(query, _deadline(timeout))
        return total

    async def columns(
        self,
        project_id: UUID | str,
        *,
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as count has it
    ) -> ColumnCatalog:
        """
        The columns that a project's sessions have: what can be filtered, and how.

        Args:
            project_id: The project, a UUID.
            log_stream_id: Those in this log stream only; likewise the other two ids.
            experiment_id: Those in this experiment only.
            metrics_testing_id: Those in this metrics testing run only.
            start_time: Those of this time and later only: an aware `datetime`, or ISO 8601 text with an offset.
            end_time: Those of this time and earlier only.
            timeout: Seconds for the whole call; None sets no limit beyond that of each attempt.

        Raises:
            ConfigurationError: before a request, if an id is no UUID, a time names no instant,
                or the client can't be used here.
            GalileoError: as `count` does.
        """
        query = build_query(project_id, None, (), log_stream_id, experiment_id, metrics_testing_id)
        body = columns_body(query, start_time, end_time)
        catalog, _ = await self._requester.send(COLUMNS, query, body, _deadline(timeout))
        return catalog

    def count_many(
        self,
        targets: Targets,
        where: Filter | None = None,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        concurrency: int | None = None,
        ordered: bool = False,
        fail_fast: bool = False,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountStream:
        """
        Counts in many projects, or many queries, at once: `async with galileo.count_many(ids, where) as stream:`.

        Args:
            targets: Project ids, or `CountQuery` objects; an iterable, also an asynchronous one, of any length.
                Up to twice `concurrency` of them are pulled before their results are taken.
            where: The filter for each target; a `CountQuery` counts the sessions that satisfy its own as well.
                Likewise `filters` and the ids of the scope.
            concurrency: Targets under way at once; `Limits.maximum` unless given.
            ordered: Whether results come in the order of the targets; a slow one then holds back those after it,
                up to twice `concurrency` of them.
            fail_fast: Whether the first error ends it all.
            timeout: Seconds for it all; targets not counted by then have a `DeadlineExceededError` as their result.
                Targets without a length, as of a generator, aren't pulled after that: the loop then raises it too.
            on_progress: Called with a `Progress` after each result; what it raises is logged, never raised.
            check: As `count` has it, for each target and its project; a filter that doesn't fit is that target's error.

        Raises:
            ConfigurationError: if an argument can't work.
            FilterError: if the filter can't be sent.
        """
        if isinstance(targets, str | UUID | CountQuery) or not isinstance(targets, Iterable | AsyncIterable):
            raise ConfigurationError(f"targets is a list of project ids or queries, got {brief(targets)}. Write [...]")
        if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
            raise ConfigurationError(f"concurrency={brief(concurrency)}: a whole number, 1 or more")
        template = build_query(UUID(int=0), where, filters, log_stream_id, experiment_id, metrics_testing_id)
        return CountStream(
            targets,
            template,
            count=self._counter(check),
            admission=self._requester.admission,
            concurrency=concurrency or self._limits.maximum,
            ordered=ordered,
            fail_fast=fail_fast,
            timeout=_seconds(timeout),
            on_progress=on_progress,
        )

    async def count_all(
        self,
        targets: Targets,
        where: Filter | None = None,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        concurrency: int | None = None,
        fail_fast: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  # as count has it
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountReport:
        """
        Counts like `count_many`, and returns all results in the order of the targets.

        Takes the arguments of `count_many`, except `ordered`.

        Raises:
            GalileoError: what a stream raises; errors of single targets are in the report. What was counted until
                then is the `report` of the exception, also where the targets' source has raised it.
        """
        stream = self.count_many(
            targets,
            where,
            filters=filters,
            log_stream_id=log_stream_id,
            experiment_id=experiment_id,
            metrics_testing_id=metrics_testing_id,
            concurrency=concurrency,
            fail_fast=fail_fast,
            timeout=timeout,
            on_progress=on_progress,
            check=check,
        )
        return await report_of(stream)

    @overload
    async def count_by(
        self,
        project_id: UUID | str,
        partition: Mapping[str, Filter],
        where: Filter | None = None,
        *,
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as count has it
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountsBy: ...
    @overload
    async def count_by(
        self,
        project_id: Projects,
        partition: Mapping[str, Filter],
        where: Filter | None = None,
        *,
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as count has it
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountsTable: ...
    async def count_by(
        self,
        project_id: UUID | str | Projects,
        partition: Mapping[str, Filter],
        where: Filter | None = None,
        *,
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as count has it
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountsBy | CountsTable:
        """
        Counts by something: one count for each label of a partition, many at once.

        Args:
            project_id: The project; or several, in a list, a tuple or a set.
            partition: What a column makes, such as `Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")`,
                or another mapping of label to filter.
            where: A filter that all sessions satisfy which are counted; likewise the ids of the scope.
            concurrency: As `count_many` takes it; likewise `timeout`, `on_progress` and `check`.

        Returns:
            `CountsBy`, a mapping of label to count; for several projects `CountsTable`, in which a project that failed
            isn't, but its errors are.

        Raises:
            GalileoError: what `count` raises, for one project if any of its counts fails; the others are cancelled.
            FilterError: before a request, if the partition is no mapping of label to filter.
        """
        several = isinstance(project_id, Iterable) and not isinstance(project_id, str)
        projects = cast("Projects", project_id if several else (project_id,))
        template = build_query(UUID(int=0), where, (), log_stream_id, experiment_id, metrics_testing_id)
        queries = PartQueries(projects, partition, template)
        report = await self.count_all(
            queries,
            concurrency=concurrency,
            fail_fast=not several,
            timeout=timeout,
            on_progress=on_progress,
            check=check,
        )
        table = queries.table(report.results)
        return table if several else next(iter(table.values()))

    async def close(self) -> None:
        """Ends the connections; a session given as `session=` stays open. Closing twice does nothing more."""
        await self._requester.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a GalileoSessions can't be copied or pickled, for its connections belong to one event loop, and its "
            "credentials to one process. Make one in each worker, and send CountQuery objects to it"
        )

    def _counter(self, check: bool | None) -> Count:
        checked = self._check if check is None else check
        return self._checks.count if checked else self._requester.count

    def __repr__(self) -> str:
        return f"GalileoSessions(base_url={getattr(self, '_base_url', None)!r})"  # None while __init__ raises

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        transport: Transport | None = getattr(self, "_transport", None)  # None if __init__ raised
        if transport is not None and transport.abandon():
            _warn(f"unclosed {self!r}; write `async with`, or await its close()", ResourceWarning, source=self)


def _hidden(argument: Any) -> Secret[Any] | None:
    return None if argument is None else hide(argument)


def _within(limits: Limits, connections: float) -> Limits:
    """Limits that a connector can keep: else it would be a second queue, whose waiting counts as the attempt's."""
    if limits.maximum <= connections:
        return limits
    most = int(connections)
    return evolve(limits, maximum=most, initial=min(limits.initial, most))


def _seconds(timeout: Any) -> float | None:
    if timeout is None or timeout == inf:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= sys.float_info.max:
        raise ConfigurationError(f"timeout={brief(timeout)}: seconds, more than 0, or None for no limit")
    return float(timeout)


def _deadline(timeout: float | None) -> float | None:
    seconds = _seconds(timeout)
    return None if seconds is None else asyncio.get_running_loop().time() + seconds
