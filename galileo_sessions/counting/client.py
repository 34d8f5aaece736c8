"""`GalileoSessions`, the client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, Self, TypeAlias, TypeVar
from uuid import UUID

import aiohttp
from attrs import NOTHING, evolve, field, frozen

from galileo_sessions.api.projects import (
    Entry,
    LogStream,
    Page,
    Project,
    ProjectId,
    field_of,
    find_log_stream,
    find_project,
    projects_body,
)
from galileo_sessions.api.query import ANY_PROJECT, SCOPE, CountQuery, columns_body, query_of
from galileo_sessions.api.responses import COLUMNS, COUNT, Endpoint, log_streams_page, projects_page
from galileo_sessions.arguments import Seconds, as_seconds, check_arguments, check_callback
from galileo_sessions.counting.breakdown import Breakdown
from galileo_sessions.counting.checks import ColumnChecks
from galileo_sessions.counting.explanation import Explanation, Plan
from galileo_sessions.counting.judge import AllowEmpty, Judge
from galileo_sessions.counting.limits import Verdict
from galileo_sessions.counting.request import Requester
from galileo_sessions.counting.results import CountReport, CountsBy, OnProgress
from galileo_sessions.counting.stream import CountStream, Targets, report_of
from galileo_sessions.details import Attempt
from galileo_sessions.errors import ConfigurationError, DecodeError, GalileoError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.nodes import ALWAYS, Filter
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.settings import Limits, Retry, Timeouts
from galileo_sessions.http.address import base_url as resolve_base_url
from galileo_sessions.http.address import proxy_of
from galileo_sessions.http.auth import (
    ApiKeyAuth,
    Authentication,
    Credentials,
    Headers,
    find_credentials,
)
from galileo_sessions.http.secret import Secret
from galileo_sessions.http.shared import Shared
from galileo_sessions.http.transport import SSL, Transport

Parts: TypeAlias = Mapping[Any, Filter]
T = TypeVar("T")

_LEFT_OUT: Any = NOTHING  # None is often the value of a variable that isn't set
_COMPARED = 1_000  # projects among which a similar name is looked for

ScopeId: TypeAlias = UUID | str | None


@frozen(eq=False)
class _Listing(AsyncIterable[T]):
    """The entries of a list, which are requested again each time that it is iterated."""

    _entries: Callable[[], AsyncIterator[T]] = field(repr=False)
    _loop: str  # what follows `async for`

    def __aiter__(self) -> AsyncIterator[T]:
        return self._entries()

    def __iter__(self) -> NoReturn:
        raise self._not_async()

    def __await__(self) -> NoReturn:
        raise self._not_async()

    def _not_async(self) -> ConfigurationError:
        name, _, call = self._loop.partition(" in ")
        hint = f"Write async for {self._loop}: or [{name} async for {self._loop}]"
        return ConfigurationError(f"{call} is read by async for, not by for or await", hint=hint)


class GalileoSessions:
    """
    Counts the sessions of Galileo projects.

    Creating a client does no I/O and needs no event loop. Leaving its `async with`, or
    `await close()`, closes its connections. Any number of tasks of one event loop can use it.

    `api_key`, `base_url`, `proxy` and `headers` can be a `Secret`, and so can each value of
    `headers`. `api_key`, `auth` and `base_url` can be left out, but not None, which is often the
    value of a variable that isn't set.

    Args:
        api_key: The API key. Default, without `auth`: SPLUNK_AO_O11Y_API_TOKEN or
            SPLUNK_AO_O11Y_TOKEN for a realm, or GALILEO_JWT_TOKEN, or GALILEO_API_KEY, or
            GALILEO_USERNAME with GALILEO_PASSWORD. These, and those for the URL, can also begin
            with SPLUNK_AO.
        auth: Other credentials: `ApiKeyAuth`, `BearerAuth`, `PasswordAuth` or `BasicAuth`.
        base_url: The API's URL. It must be https, unless its host is loopback; a path in it is
            kept, for gateways. A console's URL is turned into its API's. Default: the URL of
            SPLUNK_AO_REALM, or GALILEO_API_URL, or GALILEO_CONSOLE_URL, or https://api.galileo.ai.
        session: An `aiohttp.ClientSession` to use. The client never closes it. Its own timeouts,
            redirects and `raise_for_status` don't apply; the limits of its connector do.
        timeouts: How long one attempt can take.
        retry: How often and how patiently to try again.
        limits: How many requests can be in flight at once.
        proxy: The URL of a proxy.
        trust_env: Whether to use the proxies that the environment names. A netrc file is never
            read.
        ssl: What aiohttp takes: an `ssl.SSLContext`, a fingerprint, or False for no verification.
        headers: More headers for each request. They win over those in GALILEO_EXTRA_HEADERS. Errors
            hide a value if it is a `Secret`, or if its name is that of a credential, such as
            X-API-Key.
        on_attempt: Called with each `Attempt` when it is over. What it raises is logged, never
            raised.
        check: With True, each filter is checked against its project's columns before it is counted,
            unless a call says otherwise. With None, a filter is checked only if all its counts in a
            call are 0; a column that doesn't exist or has another type then causes a
            `ZeroCountWarning`, and so does a project without any column. With False, nothing is
            checked. The columns of a project, or of the part of it that is counted, are requested
            once, and cached for five minutes; `columns` requests them again.

    Raises:
        ConfigurationError: if there are no credentials, or two kinds, or if an argument is invalid.
    """

    def __init__(
        self,
        api_key: str | Secret[str] = _LEFT_OUT,
        *,
        auth: Credentials = _LEFT_OUT,
        base_url: str | Secret[str] = _LEFT_OUT,
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
        check_arguments(aiohttp.ClientSession | None, "an aiohttp.ClientSession", session=session)
        check_arguments(Timeouts, "Timeouts(...)", timeouts=timeouts)
        check_arguments(Retry, "Retry(...)", retry=retry)
        check_arguments(Limits, "Limits(...)", limits=limits)
        check_arguments(SSL | None, "an ssl.SSLContext, an aiohttp.Fingerprint or False", ssl=ssl)
        check_arguments(bool | None, "True or False", trust_env=trust_env, check=check)
        check_callback("on_attempt", on_attempt)
        _refuse_none(api_key=api_key is None, auth=auth is None, base_url=base_url is None)
        own_key = None if api_key is _LEFT_OUT else ApiKeyAuth(api_key)
        credentials = find_credentials(own_key, Secret(None if auth is _LEFT_OUT else auth))
        own_url = Secret(None if base_url is _LEFT_OUT else base_url)
        self._base_url = resolve_base_url(own_url)
        chosen_proxy = proxy_of(self._base_url, Secret(proxy), trust_env=trust_env)
        verification = True if ssl is None else ssl
        transport = Transport(self._base_url, session, timeouts, verification, chosen_proxy)
        self._transport = transport
        # A wait in aiohttp's connector would be a part of an attempt.
        maximum = int(min(limits.maximum, transport.connection_limit))
        limits = evolve(limits, maximum=maximum, initial=min(limits.initial, maximum))
        shared = Shared()
        self._requester = Requester(
            transport,
            Authentication(credentials, Secret(headers), transport, shared, timeouts.attempt),
            shared,
            attempt_timeout=timeouts.attempt,
            retry=retry,
            queue=Queue(limits, retry, transport.deadlines),
            on_attempt=on_attempt,
        )
        self._checks = ColumnChecks(self._requester, check)
        concurrency = maximum - maximum // 16  # a fan-out leaves some for other calls
        self._stream = partial(CountStream, self._requester, self._checks, concurrency)
        # For the last filter; to encode it again would add 6 % to the time of a count.
        self._template = CountQuery(ANY_PROJECT)

    async def count(
        self,
        project_id: ProjectId | CountQuery,
        where: Filter = ALWAYS,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: ScopeId = None,
        experiment_id: ScopeId = None,
        metrics_testing_id: ScopeId = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # a promised part of the interface
        check: bool | None = None,
    ) -> int:
        """
        The number of sessions in a project that satisfy a filter.

        Args:
            project_id: A UUID, a `Project`, a `LogStream`, or a `CountQuery`. The filter and scope
                of a `CountQuery` apply as well.
            where: The filter. `ALWAYS` counts all sessions; `NEVER` is 0 without a request.
            filters: A list of leaves, as the API has it; the same as `where=all_of(filters)`.
            log_stream_id: The id of a log stream, to count only its sessions.
            experiment_id: The id of an experiment, to count only its sessions.
            metrics_testing_id: The id of a metrics testing run, to count only its sessions.
            timeout: Seconds for the whole call. With None, what the service refuses is retried for
                10 seconds, and each attempt has its own limit.
            check: With True, the filter is checked against the project's columns first, because a
                column that the project doesn't have counts 0. None means the client's `check`: by
                default, only a count of 0 is checked, and a filter that doesn't fit causes a
                `ZeroCountWarning`. With False, nothing is checked.

        Raises:
            ConfigurationError: before a request, if an id isn't a UUID, or if the client is closed
                or belongs to another event loop.
            FilterError: before a request, if the filter can't be sent.
            FilterCheckError: before the count, if `check` is set and the filter doesn't fit the
                columns.
            ResponseError: if the service refuses the request; its subclasses say why.
            TransportError: if no complete answer arrived.
            DeadlineExceededError: if `timeout` ran out.
            DecodeError: if the answer isn't a count.
        """
        check_arguments(bool | None, "True or False", check=check)
        check = self._checks.wanted if check is None else check
        budget = self._budget(Budget.single, timeout)
        scope = log_stream_id, experiment_id, metrics_testing_id
        template = self._template
        has_list = not isinstance(filters, tuple) or bool(filters)  # arrays can't be compared
        if has_list or scope != (None, None, None):
            template = _template(where, filters, *scope)
        elif where is not template.where:
            template = self._template = CountQuery(ANY_PROJECT, where)
        query = query_of(template, project_id)
        if check:
            await self._checks.check(query, budget)
        total, _ = await self._requester.send(COUNT, query, query.body, budget)
        if not total and check is not False:
            await self._checks.warn_of_zeros([[query]], budget)
        return total

    async def columns(
        self,
        project_id: ProjectId,
        *,
        log_stream_id: ScopeId = None,
        experiment_id: ScopeId = None,
        metrics_testing_id: ScopeId = None,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> ColumnCatalog:
        """
        The columns of a project's sessions: what can be filtered, and how.

        They are requested each time; without a time, checks then use them for five minutes.

        Args:
            project_id: A UUID, a `Project`, or a `LogStream`.
            log_stream_id: As in `count`: only the columns of that part.
            experiment_id: As in `count`.
            metrics_testing_id: As in `count`.
            start_time: Only the columns of this time and later: an aware `datetime`, or ISO 8601
                text with an offset.
            end_time: Only the columns of this time and earlier.
            timeout: Seconds for the whole call. None sets no limit except that of each attempt.

        Raises:
            ConfigurationError: before a request, as in `count`.
            FilterError: before a request, if a time can't be read, or has no UTC offset.
            GalileoError: as `count` does.
        """
        template = _template(ALWAYS, (), log_stream_id, experiment_id, metrics_testing_id)
        query = query_of(template, project_id)
        body = columns_body(query, start_time, end_time)
        budget = self._budget(Budget.single, timeout)
        catalog, _ = await self._requester.send(COLUMNS, query, body, budget)
        if start_time is None and end_time is None:
            self._checks.remember(query, catalog)
        return catalog

    async def explain(
        self,
        project_id: ProjectId | CountQuery,
        where: Filter = ALWAYS,
        *,
        filters: Iterable[Filter] = (),
        log_stream_id: ScopeId = None,
        experiment_id: ScopeId = None,
        metrics_testing_id: ScopeId = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> Explanation:
        """
        What each part of a filter counts: `print(await galileo.explain(project_id, where))`.

        There is a count for each node of the filter, up to 200, and for each condition that the
        root joins by `&` the count without it, unless there are too many. All are counted at once.
        What doesn't fit the project's columns is shown at its node, if these come within a second.
        So is a text or a member that matches only in another case, which costs one more count.

        Args:
            project_id: As in `count`.
            where: The filter.
            filters: As in `count`.
            log_stream_id: As in `count`.
            experiment_id: As in `count`.
            metrics_testing_id: As in `count`.
            timeout: Seconds for the whole call.

        Raises:
            GalileoError: as `count` does, except that a count that fails is shown at its node.
        """
        template = _template(where, filters, log_stream_id, experiment_id, metrics_testing_id)
        plan = Plan.of(query_of(template, project_id))
        budget = self._budget(Budget.fan_out, timeout)
        issues = await self._checks.issues(plan.checked(), budget)
        stream = partial(self._stream, budget=budget, check=False)
        report = await report_of(stream(plan.targets()))
        in_any_case = await report_of(stream(plan.in_any_case(report.results)))
        explanation = plan.explanation(report.results, issues, in_any_case.results)
        is_odd = explanation.nodes[0].total_count == 0 and not issues
        if is_odd and self._checks.wanted is not False:
            await self._checks.warn_of_zeros([[plan.query]], budget)
        return explanation

    def count_many(
        self,
        targets: Targets,
        where: Filter = ALWAYS,
        *,
        filters: Iterable[Filter] = (),
        concurrency: int | None = None,
        ordered: bool = False,
        fail_fast: bool = False,
        timeout: Seconds | None = None,
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountStream:
        """
        Counts many projects or queries at once, and yields results as they come::

            async with galileo.count_many(project_ids, where) as stream:
                async for result in stream:
                    print(result)

        Targets are pulled as they are needed. Those whose results haven't been taken are at most

        - twice `concurrency`,
        - plus ten times `concurrency` that wait for their next attempt,
        - plus, in an outage, another ten times, or a hundred if that is more.

        With `ordered`, only the first bound applies, because later results wait for earlier ones.

        Args:
            targets: Ids, `Project`, `LogStream` or `CountQuery` objects: an iterable or
                asynchronous iterable of any length. Each has its own result, even if it is given
                twice, or if it isn't the id of a project.
            where: The filter for each target; a `CountQuery` keeps its own as well.
            filters: As in `count`.
            concurrency: How many counts are made at once, checks included. By default, fifteen
                sixteenths of `Limits.maximum`, so that a fan-out whose requests hang leaves room
                for other calls.
            ordered: Whether results come in the order of the targets. A slow target then holds back
                those after it, up to twice `concurrency` of them.
            fail_fast: Whether the first error ends the stream.
            timeout: Seconds for the whole stream. Targets that aren't counted by then have a
                `DeadlineExceededError` as their result. Targets without a length, such as those of
                a generator, aren't pulled after that, and the loop raises the error, too.
            on_progress: Called with a `Progress` after each count. What it raises is logged, never
                raised.
            check: As in `count`, for each target and its project. If the filter doesn't fit, the
                error is that target's result. With None, a filter whose counts are all 0 is checked
                after all results have been taken, against the columns of up to ten of its projects.
                If only some are 0, up to ten of these projects are named if they have no columns.
                With True, the `doubt` of their results says it.

        Raises:
            ConfigurationError: if an argument is invalid.
            FilterError: if the filter can't be sent.
        """
        return self._stream(
            targets,
            _template(where, filters),
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
        where: Filter = ALWAYS,
        *,
        by: Parts | None = None,
        filters: Iterable[Filter] = (),
        concurrency: int | None = None,
        fail_fast: bool = False,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountReport:
        """
        Counts like `count_many`, and returns all results in the order of the targets.

        Args:
            targets: Ids, `Project`, `LogStream` or `CountQuery` objects.
            where: The filter for each target.
            by: A partition, as in `count_by`. The whole of each target is counted first, and then
                its parts, unless it is 0: a project without sessions costs one request. Each result
                has the counts of its parts as `counts_by`.
            filters: As in `count_many`.
            concurrency: As in `count_many`.
            fail_fast: As in `count_many`.
            timeout: As in `count_many`.
            on_progress: As in `count_many`.
            check: As in `count_many`.

        Raises:
            GalileoError: as a stream does; errors of single targets are in the report. The
                exception's `report` has the results until then.
            FilterError: before a request, if the partition isn't a mapping of label to filter.
        """
        stream = partial(
            self._stream,
            concurrency=concurrency,
            fail_fast=fail_fast,
            timeout=timeout,
            on_progress=on_progress,
            check=check,
        )
        template = _template(where, filters)
        if by is None:
            return await report_of(stream(targets, template))
        return await Breakdown.of(template, by).count(targets, stream)

    async def count_by(
        self,
        project_id: ProjectId | CountQuery,
        partition: Parts,
        where: Filter = ALWAYS,
        *,
        log_stream_id: ScopeId = None,
        experiment_id: ScopeId = None,
        metrics_testing_id: ScopeId = None,
        concurrency: int | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
        on_progress: OnProgress | None = None,
        check: bool | None = None,
    ) -> CountsBy:
        """
        Counts by day, bin or value: one count for each label of a partition, and one for the whole,
        all at once.

        The whole is all sessions that satisfy `where`, or, for parts of a date without a rest,
        those in the period.

        Args:
            project_id: The project, a `LogStream`, or a `CountQuery`, whose own filter and scope
                apply as well. For several projects, write `count_all(projects, where,
                by=partition)`.
            partition: A mapping of label to filter. Columns make them, such as
                `Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")`.
            where: A filter that applies to all labels.
            log_stream_id: As in `count`.
            experiment_id: As in `count`.
            metrics_testing_id: As in `count`.
            concurrency: As in `count_many`.
            timeout: Seconds for the whole call.
            on_progress: As in `count_many`.
            check: As in `count_many`.

        Raises:
            GalileoError: the first error of a count; the other counts are cancelled.
            FilterError: before a request, if the partition isn't a mapping of label to filter.
        """
        template = _template(where, (), log_stream_id, experiment_id, metrics_testing_id)
        breakdown = Breakdown.of(template, partition)
        queries = [query_of(each, project_id) for each in (breakdown.whole, *breakdown.parts)]
        stream = self._stream(
            queries,
            concurrency=concurrency,
            fail_fast=True,
            timeout=timeout,
            on_progress=on_progress,
            check=check,
        )
        report = await report_of(stream)
        return breakdown.result(report.results[0], report.results[1:]).counts_by

    async def judge(
        self,
        targets: Targets,
        where: Filter = ALWAYS,
        *,
        above: int | str | None = None,
        below: int | str | None = None,
        during: Filter = ALWAYS,
        each: bool = False,
        allow_empty: AllowEmpty = False,
        concurrency: int | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
        on_progress: OnProgress | None = None,
    ) -> Verdict:
        """
        Judges whether counts keep limits, for alerts: `verdict = await galileo.judge(projects,
        Col("score") < 2, above="5%", during=Col.date("created_at").last("24h"))`.

        A mistake never passes as good news. What makes a limit meaningless is refused: a filter
        that no session can satisfy, or that each session with a value satisfies, such as
        `a.ne("x") | a.ne("y")`; an empty text; and a column that doesn't exist, has another type,
        or never has the value. What the service can't tell is a doubt in the verdict, as is each
        count that failed. The targets are counted as in `count_all`; each costs a request for its
        columns and one for the filter, a share one more for the whole, and a count of 0 one more to
        find out whether there have ever been sessions.

        Args:
            targets: Ids, `Project`, `LogStream` or `CountQuery` objects without a filter.
            where: The filter. With a share, it has no condition on `created_at`.
            above: The largest number of sessions that is right, such as 100, or the largest share,
                such as "10%": a percentage of all sessions of the same targets and period.
            below: The smallest number, or the smallest share.
            during: The period: conditions on dates. By default, all sessions are counted.
            each: Whether each target is judged by itself, not the total.
            allow_empty: With True, targets and periods without sessions count 0, and their share is
                0%. By default, they can't be judged, because an id may be wrong. With "projects",
                only the targets may be empty, as for those that `projects` lists.
            concurrency: As in `count_many`.
            timeout: Seconds for the whole call. What isn't counted by then can't be judged.
            on_progress: As in `count_many`.

        Raises:
            ConfigurationError: before a request, if a limit can't be one, or is missing, or if an
                argument is invalid.
            FilterError: before a request, if the filter can't break the limits or can't hold them,
                or if the period isn't one.
        """
        judge = Judge.of(
            self._checks,
            where,
            during,
            above=above,
            below=below,
            each=each,
            allow_empty=allow_empty,
        )
        stream = self._stream(
            targets,
            judge.query,
            check=False,
            own_check=judge.check,
            then=judge.then,
            concurrency=concurrency,
            timeout=timeout,
            on_progress=on_progress,
        )

        def verdict(end: GalileoError | None = None) -> Verdict:
            return judge.verdict(stream.steps, stream.progress, end)

        try:
            _ = await report_of(stream, lambda _: verdict().report)
        except GalileoError as error:
            return verdict(error.with_traceback(None))
        return verdict()

    def projects(
        self,
        *,
        type: str | None = "gen_ai",  # noqa: A002  # the API's name
        timeout: Seconds | None = None,
    ) -> AsyncIterable[Project]:
        """
        The projects that the credentials can see, each once:
        `async for project in galileo.projects():`.

        They can be the targets of fan-outs: `await galileo.count_all(galileo.projects(), where)`.
        They are requested in pages of 100, as they are needed, and again for each loop or call.

        Args:
            type: The type of the projects, such as "llm_monitor". By default, these are the
                projects that Galileo's SDK lists. None lists those of older types as well.
            timeout: Seconds for the whole list.

        Raises:
            GalileoError: as `count` does, in the loop.
        """
        check_arguments(str | None, "text or None", type=type)
        return _Listing(
            lambda: self._projects(self._budget(Budget.single, timeout), type=type),
            "project in galileo.projects()",
        )

    def _projects(self, budget: Budget, **wanted: str | None) -> AsyncIterator[Project]:
        """The projects with certain fields."""
        return self._list(projects_page, None, projects_body(**wanted), budget)

    async def _list(
        self,
        page_at: Callable[[int], Endpoint[Page[Entry]]],
        query: CountQuery | None,
        body: bytes,
        budget: Budget,
    ) -> AsyncIterator[Entry]:
        """The entries of a list, page by page."""
        seen: set[str] = set()  # what is created meanwhile shifts the pages
        token: int | None = 0
        while token is not None:
            page, _ = await self._requester.send(page_at(token), query, body, budget)
            for entry in page.entries:
                if entry.id not in seen:
                    seen.add(entry.id)
                    yield entry
            if page.next_token is not None and page.next_token <= token:
                raise DecodeError("the service repeats a page of a list, which would never end")
            token = page.next_token

    async def project(
        self,
        name: UUID | str,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> Project:
        """
        The project with a name, or with an id if the text is a UUID.

        If several have the name, the one of type gen_ai is returned. This is one request. Only if
        there is no such project, up to 1,000 are listed, to suggest a similar name.

        Args:
            name: The name as the console shows it.
            timeout: Seconds for the whole call.

        Raises:
            ProjectLookupError: if there is no such project, or if several have the name.
            GalileoError: as `count` does.
        """
        check_arguments(UUID | str, "a name or a UUID", name=name)
        text = str(name)
        budget = self._budget(Budget.single, timeout)
        listed = [project async for project in self._projects(budget, **field_of(text))]
        if not listed:
            with suppress(GalileoError):  # without a list, there is no suggestion
                async for project in self._projects(budget):
                    listed.append(project)
                    if len(listed) == _COMPARED:
                        break
        return find_project(listed, text)

    def log_streams(
        self,
        project: ProjectId,
        *,
        timeout: Seconds | None = None,
    ) -> AsyncIterable[LogStream]:
        """
        The log streams of a project, each once:
        `async for stream in galileo.log_streams(project):`.

        They can be the targets of fan-outs:
        `await galileo.count_all(galileo.log_streams(project), where)`. They are requested in pages
        of 100, as they are needed, and again for each loop or call. Splunk calls them agent
        streams.

        Args:
            project: The project: a UUID, or a `Project`.
            timeout: Seconds for the whole list.

        Raises:
            GalileoError: as `count` does, in the loop.
        """
        return _Listing(
            lambda: self._log_streams(project, self._budget(Budget.single, timeout)),
            "stream in galileo.log_streams(project)",
        )

    async def _log_streams(self, project: ProjectId, budget: Budget) -> AsyncIterator[LogStream]:
        query = CountQuery(project)
        async for stream in self._list(log_streams_page, query, b"", budget):
            yield evolve(stream, project_name=query.project_name)

    async def log_stream(
        self,
        project: ProjectId,
        name: UUID | str,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109  # as in count
    ) -> LogStream:
        """
        The log stream of a project with a name, or with an id if the text is a UUID.

        Args:
            project: The project: a UUID, or a `Project`.
            name: The name as the console shows it.
            timeout: Seconds for the whole call.

        Raises:
            LogStreamLookupError: if there is no such log stream, or if several have the name.
            GalileoError: as `count` does.
        """
        check_arguments(UUID | str, "a name or a UUID", name=name)
        listed = [stream async for stream in self.log_streams(project, timeout=timeout)]
        return find_log_stream(listed, str(name))

    async def close(self) -> None:
        """
        Closes the connections, except those of a session given as `session=`. Calling it twice is
        safe.
        """
        await self._requester.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a GalileoSessions can't be copied or pickled, because its connections belong to one "
            "event loop, and its credentials to one process",
            hint="Make one in each worker, and send CountQuery objects to it",
        )

    def __repr__(self) -> str:
        base_url = getattr(self, "_base_url", None)  # None while __init__ raises
        return f"GalileoSessions({base_url=!r})"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        transport: Transport | None = getattr(self, "_transport", None)  # None if __init__ raised
        if transport is not None and transport.abandon():
            text = f"unclosed {self!r}; write `async with`, or await its close()"
            _warn(text, ResourceWarning, source=self)

    def _budget(
        self, make: Callable[[float | None, float, float], Budget], timeout: Seconds | None
    ) -> Budget:
        began = asyncio.get_running_loop().time()
        return make(as_seconds(timeout), self._requester.retry.patience, began)


def _refuse_none(**is_none: bool) -> None:
    """Refuses None for an argument in whose place the environment would choose another account."""
    for name in [name for name, missing in is_none.items() if missing]:
        hint = (
            "Leave it out to read the environment. For a variable of your own write "
            'os.environ["..."], which fails if it isn\'t set'
        )
        raise ConfigurationError(f"{name} is None", hint=hint)


def _template(where: Filter, filters: Iterable[Filter] = (), *scope: Any) -> CountQuery:
    """
    The query for a call's arguments, apart from the project; the ids of a scope come in the order
    of `SCOPE`.
    """
    ids = dict(zip(SCOPE, scope, strict=False))
    return CountQuery(ANY_PROJECT, where, filters=filters, **ids)
