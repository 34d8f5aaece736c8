"""`GalileoSessions`, the client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, Self, TypeAlias, TypedDict, Unpack, cast
from uuid import UUID

import aiohttp
from attrs import evolve

from galileo_sessions.api.projects import Project, ProjectId, find_project
from galileo_sessions.api.query import ANY_PROJECT, SCOPE, CountQuery, build_query, columns_body, query_for, query_of
from galileo_sessions.api.responses import COLUMNS, COUNT, projects_page
from galileo_sessions.counting.breakdown import Breakdown, PartQueries
from galileo_sessions.counting.checks import ColumnChecks, Zeros
from galileo_sessions.counting.explanation import Explanation, Plan
from galileo_sessions.counting.request import Requester, logger
from galileo_sessions.counting.results import CountReport, CountsBy, OnProgress, Progress
from galileo_sessions.counting.stream import CountStream, Targets, report_of
from galileo_sessions.display import brief
from galileo_sessions.errors import Attempt, ConfigurationError, DecodeError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.settings import (
    Limits,
    Retry,
    Seconds,
    Timeouts,
    as_seconds,
    check_arguments,
    check_concurrency,
)
from galileo_sessions.http.address import base_url as resolve_base_url
from galileo_sessions.http.address import proxy_of
from galileo_sessions.http.auth import ApiKeyAuth, Authentication, Credentials, Headers, find_credentials
from galileo_sessions.http.secret import Secret, flat
from galileo_sessions.http.transport import SSL, Transport

Parts: TypeAlias = Mapping[Any, Filter]

_NO_SCOPE = (None, None, None)


class CountByOptions(TypedDict, total=False):
    """The keywords of `count_by`."""

    log_stream_id: UUID | str | None
    experiment_id: UUID | str | None
    metrics_testing_id: UUID | str | None
    concurrency: int | None
    timeout: Seconds | None
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

    `api_key`, `base_url`, `proxy` and `headers` can be a `Secret`, and so can each value of `headers`.

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
        base_url: str | Secret[str] | None = None,
        session: aiohttp.ClientSession | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        retry: Retry = Retry(),  # noqa: B008  # frozen
        limits: Limits = Limits(),  # noqa: B008  # frozen
        proxy: str | Secret[str] | None = None,
        trust_env: bool = False,
        ssl: SSL | None = None,
        headers: Headers | Secret[Headers] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
        check: bool | None = None,
    ) -> None:
        check_arguments(timeouts=timeouts, retry=retry, limits=limits)
        check_arguments(trust_env=trust_env, on_attempt=on_attempt, check=check)
        credentials = find_credentials(None if api_key is None else ApiKeyAuth(api_key), Secret(auth))
        self._base_url = resolve_base_url(Secret(base_url))
        way = proxy_of(self._base_url, Secret(proxy), trust_env=trust_env)
        self._transport = Transport(self._base_url, session, timeouts, True if ssl is None else ssl, way)
        more = flat(Secret(headers)) or Secret[Headers]({})
        most = self._transport.connections
        if limits.maximum > most:  # otherwise requests also queue in the connector, and that wait is attempt time
            limits = evolve(limits, maximum=int(most), initial=min(limits.initial, int(most)))
        self._concurrency = limits.maximum
        self._requester = Requester(
            self._transport,
            Authentication(credentials, more, self._transport, timeouts.attempt),
            attempt_timeout=timeouts.attempt,
            retry=retry,
            queue=Queue(limits, retry, partial(logger.debug, "limits: %s")),
            on_attempt=on_attempt,
        )
        self._checks = ColumnChecks(self._requester)
        self._check = check
        self._budget_without_timeout = Budget.single(None, retry.patience)
        self._last_where: Filter | None = None
        self._last_query = CountQuery(ANY_PROJECT)

    async def count(
        self,
        project_id: ProjectId | CountQuery,
        where: Filter | None = None,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # a promised part of the interface
        check: bool | None = None,
    ) -> int:
        """
        The number of sessions in a project that satisfy a filter.

        Args:
            project_id: The project: a UUID, or a `Project`; or a `CountQuery`, whose own filter and scope apply as
                well.
            where: The filter. None counts all sessions; `NEVER` is 0 without a request.
            filters: The API's flat list of leaves, instead of `where`.
            log_stream_id: Count only in this log stream.
            experiment_id: Count only in this experiment.
            metrics_testing_id: Count only in this metrics testing run.
            timeout: Seconds for the whole call. With None, what the service refuses is retried for 10 seconds, and each
                attempt has its own limit.
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
        checked, budget = self._is_checked(check), self._budget(timeout)
        scope = (log_stream_id, experiment_id, metrics_testing_id)
        if isinstance(project_id, CountQuery):
            query = query_for(project_id, where, filters, *scope)
        elif where is self._last_where and scope == _NO_SCOPE and filters == ():  # its JSON is the same
            query = self._last_query.for_project(project_id)
        else:
            query = build_query(project_id, where, filters, *scope)
            if scope == _NO_SCOPE and not query.filters:
                self._last_where, self._last_query = where, query
        if checked:
            await self._checks.check(query, budget)
        total, _ = await self._requester.send(COUNT, query, query.body, budget)
        if not total and check is self._check is None:
            zeros = Zeros()
            zeros.add(query, total)
            await self._checks.warn_of(zeros, budget)
        return total

    async def columns(
        self,
        project_id: ProjectId,
        *,
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> ColumnCatalog:
        """
        The columns of a project's sessions: what can be filtered, and how.

        Args:
            project_id: The project: a UUID, or a `Project`.
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
        catalog, _ = await self._requester.send(COLUMNS, query, body, self._budget(timeout))
        return catalog

    async def explain(
        self,
        project_id: ProjectId | CountQuery,
        where: Filter | None = None,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: UUID | str | None = None,
        experiment_id: UUID | str | None = None,
        metrics_testing_id: UUID | str | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> Explanation:
        """
        What each part of a filter counts: `print(await galileo.explain(project_id, where))`.

        There is a count for each node of the filter, up to 200, and for each condition that the root joins by `&` the
        count without it. All are counted at once. What doesn't fit the project's columns is shown at its node.

        Args:
            project_id: As in `count`.
            where: The filter.
            filters: The API's flat list of leaves, instead of `where`.
            log_stream_id: Count only in this log stream.
            experiment_id: Count only in this experiment.
            metrics_testing_id: Count only in this metrics testing run.
            timeout: Seconds for the whole call.

        Raises:
            GalileoError: as `count` does, except that a count that fails is shown at its node.
        """
        query = query_for(project_id, where, filters, log_stream_id, experiment_id, metrics_testing_id)
        plan, budget = Plan.of(query), self._budget(timeout)
        issues = await self._checks.issues(query, budget)
        report = await self.count_all(plan.targets(), timeout=budget.left(), check=False)
        return plan.explanation(report.results, issues)

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
        timeout: Seconds | None = None,
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountStream:
        """
        Counts many projects or queries at once: `async with galileo.count_many(ids, where) as stream:`.

        Args:
            targets: Ids, `Project` or `CountQuery` objects: an iterable or asynchronous iterable of any length.
                Each has its own result, even if it is given twice, or if it isn't the id of a project.
                Up to twice `concurrency` targets are pulled before their results are taken.
            where: The filter for each target; a `CountQuery` keeps its own as well.
                The same is true of `filters` and the ids of the scope.
            filters: The API's flat list of leaves, instead of `where`.
            log_stream_id: Count only in this log stream.
            experiment_id: Count only in this experiment.
            metrics_testing_id: Count only in this metrics testing run.
            concurrency: How many counts are made at once; `Limits.maximum` by default.
            ordered: Whether results come in the order of the targets. A slow target then holds back those after it,
                up to twice `concurrency` of them.
            fail_fast: Whether the first error ends the stream.
            timeout: Seconds for the whole stream. Targets that aren't counted by then have a `DeadlineExceededError`
                as their result. Targets without a length, such as those of a generator, aren't pulled after that,
                and the loop raises the error, too.
            on_progress: Called with a `Progress` after each count. What it raises is logged, never raised.
            check: As in `count`, for each target and its project. If the filter doesn't fit, the error is that
                target's result. With None, once all results have been taken, filters whose counts are all 0 are
                checked as in `count`, each against a project that has columns.

        Raises:
            ConfigurationError: if an argument is invalid.
            FilterError: if the filter can't be sent.
        """
        return self._stream(
            _checked(targets),
            build_query(ANY_PROJECT, where, filters, log_stream_id, experiment_id, metrics_testing_id),
            concurrency=concurrency,
            ordered=ordered,
            fail_fast=fail_fast,
            timeout=timeout,
            on_progress=on_progress,
            check=check,
        )

    async def count_all(
        self,
        targets: Targets,
        where: Filter | None = None,
        *,
        by: Parts | None = None,
        **options: Unpack[CountAllOptions],
    ) -> CountReport:
        """
        Counts like `count_many`, and returns all results in the order of the targets.

        Args:
            targets: Ids, `Project` or `CountQuery` objects.
            where: The filter for each target.
            by: A partition, as in `count_by`. All wholes are counted first, and then the parts of those that aren't 0:
                a project without sessions costs one request. Each result has the counts of its parts as `counts_by`.
            options: `filters`, `log_stream_id`, `experiment_id`, `metrics_testing_id`, `concurrency`, `fail_fast`,
                `timeout`, `on_progress` and `check`, as in `count_many`.

        Raises:
            GalileoError: as a stream does; errors of single targets are in the report. The exception's `report` has
                the results until then.
            FilterError: before a request, if the partition isn't a mapping of label to filter.
        """
        if by is None:
            return await report_of(self.count_many(targets, where, **options))
        targets, rest = _checked(targets), cast("dict[str, Any]", options)
        breakdown = Breakdown.of(_template(where, rest), by)
        on_progress: OnProgress | None = rest.get("on_progress")
        wholes: CountReport | None = None
        try:
            stream = self._stream(targets, breakdown.whole, **rest)
            wholes = await report_of(stream)
            counted = wholes.progress

            def tell(progress: Progress) -> None:
                if on_progress is not None:
                    _ = on_progress(progress.after(counted))

            rest |= {"budget": stream.budget, "on_progress": on_progress and tell}
            parts = await report_of(self._stream(PartQueries.of(wholes, breakdown), **rest))
        except (GalileoError, asyncio.CancelledError) as error:
            so_far = getattr(error, "report", None)
            if isinstance(so_far, CountReport):
                vars(error)["report"] = breakdown.report(wholes or so_far, so_far if wholes else None)
            raise
        return breakdown.report(wholes, parts)

    async def count_by(
        self,
        project_id: ProjectId | CountQuery,
        partition: Parts,
        where: Filter | None = None,
        **options: Unpack[CountByOptions],
    ) -> CountsBy:
        """
        Counts by day, bin or value: one count for each label of a partition, and one for the whole, all at once.

        The whole is all sessions that satisfy `where`, or, for parts of a date without a rest, those in the period.

        Args:
            project_id: The project, or a `CountQuery`, whose own filter and scope apply as well. For several projects,
                write `count_all(projects, where, by=partition)`.
            partition: A mapping of label to filter. Columns make them, such as
                `Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")`.
            where: A filter that applies to all labels.
            options: `log_stream_id`, `experiment_id`, `metrics_testing_id`, `concurrency`, `timeout`, `on_progress`
                and `check`, as in `count_all`.

        Raises:
            GalileoError: the first error of a count; the other counts are cancelled.
            FilterError: before a request, if the partition isn't a mapping of label to filter.
        """
        if isinstance(project_id, Iterable | AsyncIterable) and not isinstance(project_id, str):
            hint = "For several projects write count_all(projects, where, by=partition)"
            raise ConfigurationError(f"count_by counts one project, got {brief(project_id)}. {hint}")
        rest = cast("dict[str, Any]", options)
        breakdown = Breakdown.of(_template(where, rest), partition)
        queries = [query_of(each, project_id) for each in (breakdown.whole, *breakdown.parts)]
        report = await report_of(self._stream(queries, fail_fast=True, **rest))
        return breakdown.result(report.results[0], report.results[1:]).counts_by

    async def projects(
        self,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> AsyncIterator[Project]:
        """
        All projects that the credentials can see, each once: `async for project in galileo.projects():`.

        They can be the targets of a fan-out: `await galileo.count_all(galileo.projects(), where)`.
        They are requested in pages of 100, as they are needed.

        Args:
            timeout: Seconds for the whole list.

        Raises:
            GalileoError: as `count` does.
        """
        budget = self._budget(timeout)
        seen: set[str] = set()  # a project that is created meanwhile shifts the pages
        token: int | None = 0
        while token is not None:
            page, _ = await self._requester.send(projects_page(token), None, b"{}", budget)
            for project in page.projects:
                if project.id not in seen:
                    seen.add(project.id)
                    yield project
            if page.next_token is not None and page.next_token <= token:
                raise DecodeError("the service repeats a page of the list of projects, which would never end")
            token = page.next_token

    async def project(
        self,
        name: UUID | str,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> Project:
        """
        The project with a name, or with an id if the text is a UUID. All projects are listed to find it.

        Args:
            name: The name as the console shows it.
            timeout: Seconds for the whole call.

        Raises:
            ProjectLookupError: if there is no such project, or if several have the name.
            GalileoError: as `count` does.
        """
        if not isinstance(name, str | UUID):
            raise ConfigurationError(f"name must be a project's name or id, got {brief(name)}")
        return find_project([project async for project in self.projects(timeout=timeout)], str(name))

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
            "credentials to one process",
            hint="Make one in each worker, and send CountQuery objects to it",
        )

    def __repr__(self) -> str:
        return f"GalileoSessions(base_url={getattr(self, '_base_url', None)!r})"  # None while __init__ raises

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        transport: Transport | None = getattr(self, "_transport", None)  # None if __init__ raised
        if transport is not None and transport.abandon():
            _warn(f"unclosed {self!r}; write `async with`, or await its close()", ResourceWarning, source=self)

    def _stream(
        self,
        targets: Targets,
        template: CountQuery = CountQuery(ANY_PROJECT),  # noqa: B008  # frozen
        *,
        concurrency: int | None = None,
        ordered: bool = False,
        fail_fast: bool = False,
        timeout: Seconds | None = None,
        on_progress: OnProgress | None = None,
        check: bool | None = None,
        budget: Budget | None = None,
    ) -> CountStream:
        check_concurrency(concurrency)
        check_arguments(on_progress=on_progress, ordered=ordered, fail_fast=fail_fast)
        return CountStream(
            targets,
            template,
            requester=self._requester,
            checks=self._checks if self._is_checked(check) else None,
            explains=self._checks if check is self._check is None else None,
            concurrency=concurrency or self._concurrency,
            ordered=ordered,
            fail_fast=fail_fast,
            timeout=None if timeout is None else as_seconds(timeout),
            budget=budget,
            on_progress=on_progress,
        )

    def _is_checked(self, check: bool | None) -> bool:
        if check is not None:
            check_arguments(check=check)
        return bool(self._check if check is None else check)

    def _budget(self, timeout: Seconds | None) -> Budget:
        if timeout is None:
            return self._budget_without_timeout
        return Budget.single(as_seconds(timeout), self._requester.retry.patience)


def _checked(targets: Targets) -> Targets:
    if isinstance(targets, str | bytes) or not isinstance(targets, Iterable | AsyncIterable):
        hint = "The targets come before the filter" if isinstance(targets, Filter) else "Write [...]"
        given = brief(cast("object", targets))
        raise ConfigurationError(f"targets must be a list of ids or queries, got {given}", hint=hint)
    return targets


def _template(where: Filter | None, options: dict[str, Any]) -> CountQuery:
    """The query for a call's arguments, apart from the project; they are removed from its options."""
    scope = [options.pop(name, None) for name in SCOPE]
    return build_query(ANY_PROJECT, where, options.pop("filters", ()), *scope)
