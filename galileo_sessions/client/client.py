"""`GalileoSessions`, the client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import NoReturn, Self, TypeAlias, TypedDict, Unpack, overload
from uuid import UUID

import aiohttp
from attrs import evolve

from galileo_sessions.client.address import base_url as resolve_base_url
from galileo_sessions.client.address import proxy_of
from galileo_sessions.client.auth import ApiKeyAuth, Authentication, Credentials, find_credentials
from galileo_sessions.client.columns import ColumnChecks, Zeros
from galileo_sessions.client.flow.queue import Queue
from galileo_sessions.client.query import ANY_PROJECT, Breakdown, CountQuery, build_query, columns_body, narrowed
from galileo_sessions.client.request import Count, Requester, logger, refuse_coroutine_function
from galileo_sessions.client.responses import COLUMNS
from galileo_sessions.client.results import Collector, CountReport, CountsBy, CountsTable, OnProgress
from galileo_sessions.client.secret import Secret
from galileo_sessions.client.settings import Limits, Retry, Timeouts, check_call, check_settings
from galileo_sessions.client.stream import CountStream, Targets, report_of
from galileo_sessions.client.transport import SSL, Transport
from galileo_sessions.display import brief
from galileo_sessions.errors import Attempt, ConfigurationError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.values import Several

Projects: TypeAlias = Several[UUID | str] | AbstractSet[UUID | str]
"""Several projects. The type can't be Iterable, because a single `str` is iterable, too."""
Parts: TypeAlias = Mapping[str, Filter]

_NO_SCOPE = (None, None, None)


class CountByOptions(TypedDict, total=False):
    """The keywords of `count_by`."""

    log_stream_id: UUID | str | None
    experiment_id: UUID | str | None
    metrics_testing_id: UUID | str | None
    concurrency: int | None
    timeout: float | None
    on_progress: OnProgress | None
    check: bool | None


class CountAllOptions(CountByOptions, total=False):
    """The keywords of `count_all`."""

    filters: Iterable[Filter]
    fail_fast: bool


class GalileoSessions:
    """
    Counts the sessions of Galileo projects.

    Creating a client does no I/O and needs no event loop. Leaving its `async with`, or `await close()`, closes its
    connections. Any number of tasks of one event loop can use it.

    Args:
        api_key: The API key. Default, without `auth`: GALILEO_API_KEY from the environment, or GALILEO_USERNAME with
            GALILEO_PASSWORD.
        auth: Other credentials: `ApiKeyAuth`, `BearerAuth`, `PasswordAuth` or `BasicAuth`.
        base_url: The API's URL. It must be https, unless its host is loopback; a path in it is kept, for gateways.
            Default: GALILEO_API_URL, or GALILEO_CONSOLE_URL turned into its API host, or https://api.galileo.ai.
        session: An `aiohttp.ClientSession` to use. The client never closes it. Its own timeouts, redirects and
            `raise_for_status` don't apply; the limits of its connector do.
        timeouts: How long one attempt can take.
        retry: How often and how patiently to try again.
        limits: How many requests can be in flight at once.
        proxy: The URL of a proxy.
        trust_env: Whether to use the proxies that the environment names. A netrc file is never read.
        ssl: What aiohttp takes: an `ssl.SSLContext`, a fingerprint, or False for no verification.
        headers: More headers for each request.
        on_attempt: Called with each `Attempt` when it is over. What it raises is logged, never raised.
        check: With True, each filter is checked against its project's columns before it is counted, unless a call says
            otherwise. With None, a filter is checked only if all its counts in a call are 0; a column that doesn't
            exist or has another type then causes a `ZeroCountWarning`. With False, nothing is checked. A project's
            columns are requested once, and cached for five minutes.

    Raises:
        ConfigurationError: if there are no credentials, or two kinds, or if an argument is invalid.
    """

    def __init__(
        self,
        api_key: str | Secret[str] | None = None,
        *,
        auth: Credentials | None = None,
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
        check: bool | None = None,
    ) -> None:
        check_settings(timeouts, retry, limits)
        refuse_coroutine_function("on_attempt", on_attempt)
        credentials = find_credentials(None if api_key is None else ApiKeyAuth(api_key), auth)
        self._base_url = resolve_base_url(None if base_url is None else Secret(base_url))
        way = proxy_of(self._base_url, None if proxy is None else Secret(proxy), trust_env=trust_env)
        self._transport = Transport(self._base_url, session, timeouts, True if ssl is None else ssl, way)
        most = self._transport.connections
        if limits.maximum > most:  # otherwise requests also queue in the connector, and that wait is attempt time
            limits = evolve(limits, maximum=int(most), initial=min(limits.initial, int(most)))
        self._concurrency = limits.maximum
        self._requester = Requester(
            self._transport,
            Authentication(credentials, Secret(headers or {}), self._transport, timeouts.attempt),
            attempt_timeout=timeouts.attempt,
            retry=retry,
            queue=Queue(limits, retry, partial(logger.debug, "limits: %s")),
            on_attempt=on_attempt,
        )
        self._checks = ColumnChecks(self._requester)
        self._check = check
        self._last_where: Filter | None = None
        self._last_query = CountQuery(ANY_PROJECT)

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
            project_id: The project, a UUID; or a `CountQuery`, whose own filter and scope apply as well.
            where: The filter. None counts all sessions; `NEVER` is 0 without a request.
            filters: The API's flat list of leaves, instead of `where`.
            log_stream_id: Count only in this log stream.
            experiment_id: Count only in this experiment.
            metrics_testing_id: Count only in this metrics testing run.
            timeout: Seconds for the whole call. None sets no limit except that of each attempt.
            check: With True, the filter is checked against the project's columns first, because a column that the
                project doesn't have counts 0. None means the client's `check`: by default, only a count of 0 is
                checked, and a filter that doesn't fit causes a `ZeroCountWarning`. With False, nothing is checked.

        Raises:
            ConfigurationError: before a request, if an id isn't a UUID, or if the client is closed or belongs to
                another event loop.
            FilterError: before a request, if the filter can't be sent.
            FilterCheckError: before the count, if `check` is set and the filter doesn't fit the columns.
            ResponseError: if the service refuses the request; its subclasses say why.
            TransportError: if no complete answer arrived.
            DeadlineExceededError: if `timeout` ran out.
            DecodeError: if the answer isn't a count.
        """
        count, deadline = self._counter(check), _deadline(timeout)
        scope = (log_stream_id, experiment_id, metrics_testing_id)
        if isinstance(project_id, CountQuery):
            query = narrowed(project_id, build_query(ANY_PROJECT, where, filters, *scope))
        elif where is self._last_where and scope == _NO_SCOPE and not filters:  # its JSON is the same
            query = self._last_query.for_project(project_id)
        else:
            query = build_query(project_id, where, filters, *scope)
            if scope == _NO_SCOPE and not query.filters:
                self._last_where, self._last_query = where, query
        total, _ = await count(query, deadline, True)
        if not total and check is self._check is None:
            zeros = Zeros()
            zeros.add(query, total)
            await self._checks.warn_of(zeros, deadline)
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
        timeout: float | None = None,  # noqa: ASYNC109  # as in count
    ) -> ColumnCatalog:
        """
        The columns of a project's sessions: what can be filtered, and how.

        Args:
            project_id: The project, a UUID.
            log_stream_id: Only the columns of this log stream.
            experiment_id: Only the columns of this experiment.
            metrics_testing_id: Only the columns of this metrics testing run.
            start_time: Only the columns of this time and later: an aware `datetime`, or ISO 8601 text with an offset.
            end_time: Only the columns of this time and earlier.
            timeout: Seconds for the whole call. None sets no limit except that of each attempt.

        Raises:
            ConfigurationError: before a request, as in `count`.
            FilterError: before a request, if a time can't be read, or has no UTC offset.
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
        Counts many projects or queries at once: `async with galileo.count_many(ids, where) as stream:`.

        Args:
            targets: Project ids, or `CountQuery` objects: an iterable or asynchronous iterable of any length.
                Each has its own result, even if it is given twice.
                Up to twice `concurrency` targets are pulled before their results are taken.
            where: The filter for each target; a `CountQuery` keeps its own as well.
                The same is true of `filters` and the ids of the scope.
            filters: The API's flat list of leaves, instead of `where`.
            log_stream_id: Count only in this log stream.
            experiment_id: Count only in this experiment.
            metrics_testing_id: Count only in this metrics testing run.
            concurrency: How many targets are counted at once; `Limits.maximum` by default.
            ordered: Whether results come in the order of the targets. A slow target then holds back those after it,
                up to twice `concurrency` of them.
            fail_fast: Whether the first error ends the stream.
            timeout: Seconds for the whole stream. Targets that aren't counted by then have a `DeadlineExceededError`
                as their result. Targets without a length, such as those of a generator, aren't pulled after that,
                and the loop raises the error, too.
            on_progress: Called with a `Progress` after each result. What it raises is logged, never raised.
            check: As in `count`, for each target and its project. If the filter doesn't fit, the error is that
                target's result. With None, once all results have been taken, filters whose counts are all 0 are
                checked as in `count`, each against a project that has columns.

        Raises:
            ConfigurationError: if an argument is invalid.
            FilterError: if the filter can't be sent.
        """
        if targets is None or isinstance(targets, str | UUID | CountQuery | Filter):
            hint = "The targets come before the filter" if isinstance(targets, Filter) else "Write [...]"
            raise ConfigurationError(f"targets must be a list of ids or queries, got {brief(targets)}. {hint}")
        check_call(timeout, concurrency)
        refuse_coroutine_function("on_progress", on_progress)
        return CountStream(
            targets,
            build_query(ANY_PROJECT, where, filters, log_stream_id, experiment_id, metrics_testing_id),
            count=self._counter(check),
            queue=self._requester.queue,
            concurrency=concurrency or self._concurrency,
            ordered=ordered,
            fail_fast=fail_fast,
            timeout=timeout,
            on_progress=on_progress,
            checks=self._checks if check is self._check is None else None,
        )

    async def count_all(
        self, targets: Targets, where: Filter | None = None, **options: Unpack[CountAllOptions]
    ) -> CountReport:
        """
        Counts like `count_many`, and returns all results in the order of the targets.

        Args:
            targets: Project ids, or `CountQuery` objects.
            where: The filter for each target.
            options: `filters`, `log_stream_id`, `experiment_id`, `metrics_testing_id`, `concurrency`, `fail_fast`,
                `timeout`, `on_progress` and `check`, as in `count_many`.

        Raises:
            GalileoError: as a stream does; errors of single targets are in the report. The exception's `report` has
                the results until then.
        """
        return await report_of(self.count_many(targets, where, **options))

    @overload
    async def count_by(
        self, project_id: UUID | str, partition: Parts, where: Filter | None = None, **options: Unpack[CountByOptions]
    ) -> CountsBy: ...
    @overload
    async def count_by(
        self, project_id: Projects, partition: Parts, where: Filter | None = None, **options: Unpack[CountByOptions]
    ) -> CountsTable: ...
    async def count_by(
        self,
        project_id: UUID | str | Projects,
        partition: Parts,
        where: Filter | None = None,
        **options: Unpack[CountByOptions],
    ) -> CountsBy | CountsTable:
        """
        Counts by day, bin or value: one count for each label of a partition, and one for the whole, many at once.

        The whole is all sessions that satisfy `where`, or, for parts of a date without a rest, those in the period.
        A project given twice is counted once.

        Args:
            project_id: The project; or several, in a list, a tuple or a set.
            partition: A mapping of label to filter. Columns make them, such as
                `Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")`.
            where: A filter that applies to all labels.
            options: `log_stream_id`, `experiment_id`, `metrics_testing_id`, `concurrency`, `timeout`, `on_progress`
                and `check`, as in `count_all`.

        Returns:
            `CountsBy`, a mapping of label to count. For several projects, `CountsTable`, a mapping of project to
            `CountsBy`; it lacks the projects that failed, but has their errors.

        Raises:
            GalileoError: for one project, the first error of a count; the other counts are cancelled. For several
                projects, what `count_all` raises.
            FilterError: before a request, if the partition isn't a mapping of label to filter.
        """
        is_single = isinstance(project_id, str | UUID | Filter)
        given = [project_id] if isinstance(project_id, str | UUID | Filter) else project_id
        scope = options.pop("log_stream_id", None), options.pop("experiment_id", None)
        template = build_query(ANY_PROJECT, where, (), *scope, options.pop("metrics_testing_id", None))
        breakdown = Breakdown.by(template, partition)
        projects = dict.fromkeys([template.for_project(each).project_id for each in given])
        report = await report_of(self.count_many(breakdown.targets(projects), fail_fast=is_single, **options))
        collector = Collector(breakdown)
        counted = [counts for result in report.results if (counts := collector.add(result)) is not None]
        tables = {counts.project_id: counts.counts_by for counts in counted if not counts.errors}
        return next(iter(tables.values())) if is_single else CountsTable(tables, report.errors)

    async def close(self) -> None:
        """Closes the connections, except those of a session given as `session=`. Calling it twice is safe."""
        await self._requester.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a GalileoSessions can't be copied or pickled, because its connections belong to one event loop, and its "
            "credentials to one process. Make one in each worker, and send CountQuery objects to it"
        )

    def __repr__(self) -> str:
        return f"GalileoSessions(base_url={getattr(self, '_base_url', None)!r})"  # None while __init__ raises

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        transport: Transport | None = getattr(self, "_transport", None)  # None if __init__ raised
        if transport is not None and transport.abandon():
            _warn(f"unclosed {self!r}; write `async with`, or await its close()", ResourceWarning, source=self)

    def _counter(self, check: bool | None) -> Count:
        return self._checks.count if (self._check if check is None else check) else self._requester.count


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    check_call(timeout)
    return asyncio.get_running_loop().time() + timeout
