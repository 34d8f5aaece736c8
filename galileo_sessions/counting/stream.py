"""
Many counts at once: targets are pulled as they are needed, results are delivered as they come.

Theory of operation
===================

A stream has a source of targets, one task that pulls them (the feeder), workers that count them,
and a queue of results that the consumer takes from::

    source ──> feeder ──> targets ──> worker ── Requester.send ──> results ──> consumer
                 ^                                                                │
                 └────────────────────────────── room <───────────────────────────┘

Room. At most twice `concurrency` targets are pulled whose results the consumer hasn't taken. So a
slow consumer slows down the pulling, and memory is bounded. While the circuit breaker is open, ten
times `concurrency` more are, or a hundred if that is more, unless the stream is ordered.

Waking. It costs more to wake a task than to pull a target, so the feeder pulls many each time it
wakes. While it waits for room, it is woken when there is room and the workers have at most half of
`concurrency` targets left; in an outage, as soon as there is room. Several tasks can consume one
stream. A semaphore counts the results that none has taken, and wakes one consumer for each. The end
counts as one more, which each consumer that meets it passes on to the next.

Pulling. If the source is a generator, the task that pulls it also closes it, because timeouts, task
groups and context variables inside a generator belong to one task. Plain iterators are pulled in
the same way.

Workers. The feeder starts one with each target while fewer than `concurrency` are at work, so three
targets don't start 240 tasks. A worker counts one target after another, and ends when there is
none, or if too many are at work. In an outage, ten times `concurrency` more may work, or a hundred
if that is more, and the queue draws each probe by lot. So if the first targets are all bad, a probe
of another one can succeed.

Following. A result can add queries for its target, such as those of its parts. They take their turn
after the targets that were pulled before, so one target that hangs holds back no other.

Parking. A count whose query is in trouble is parked until it ends: it no longer counts as a worker,
so another worker takes the next target. At most ten times `concurrency` counts are parked, apart
from those that wait for another count of their query; any others stay workers. The queue decides
which of them all is sent, and sends at most `concurrency` requests at once. Parked counts take no
room, up to twenty times `concurrency` of them, except in an ordered stream, where the results after
theirs are kept.

Ends. When the source is exhausted or fails, the counts in progress are completed and delivered
first. The same holds for the deadline, which ends the pulling of a source without a length, because
it can be endless. When the block is left, when `fail_fast` or a 401 ends the stream, or when a task
fails, all tasks are cancelled. In each case, the stream ends once the last task is done and no
result is left::

    pulled      1 2 3 4 (source fails)
    results     2 1 4 3                consumer: 2 1 4 3, then the failure is raised

Invariants. Every target that was pulled has exactly one result, unless the tasks were cancelled. No
task outlives the block. After a cancellation no request starts, even if the source swallows the
cancellation.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from inspect import isgenerator
from itertools import chain, islice
from math import inf
from typing import Any, Self, TypeAlias, cast

from attrs import evolve

from galileo_sessions.api.projects import ProjectId
from galileo_sessions.api.query import ANY_PROJECT, CountQuery, query_of
from galileo_sessions.api.responses import COUNT
from galileo_sessions.arguments import (
    Seconds,
    as_concurrency,
    as_seconds,
    check_arguments,
    check_callback,
)
from galileo_sessions.counting.checks import MAX_ASKED, ColumnChecks
from galileo_sessions.counting.request import Requester, notify
from galileo_sessions.counting.results import CountReport, CountResult, OnProgress, Progress
from galileo_sessions.display import brief
from galileo_sessions.errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    GalileoError,
)
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.values import (
    AWAIT_IT,
    READ_TWICE,
    has_dimensions,
    has_ended,
    not_awaited,
    used_up,
)
from galileo_sessions.flow.budget import Budget

Target: TypeAlias = CountQuery | ProjectId
Targets: TypeAlias = Iterable[Target] | AsyncIterable[Target]
Check: TypeAlias = Callable[[CountQuery, Budget], Awaitable[None]]
"""Raises a GalileoError if a query must not be counted."""
Steps: TypeAlias = list[tuple[CountQuery, CountResult]]
"""The results of a target as they came, each after its template; the first is the stream's."""
_Task: TypeAlias = tuple[int, Target, CountQuery]
"""The index of a target, the target, and the template of the query."""

_LEAST_EXTRA = 100  # workers more in an outage at least, so that some have healthy targets
_MAX_FILTERS = 1_000  # filters whose counts of 0 are remembered
_END = cast("Target", object())  # what `anext` returns at the end of a source


class _Join(asyncio.Future[None]):
    """
    A future that refuses to be cancelled: a task that awaits it is cancelled only once the future
    is done.

    A loop that waits again after each cancellation would run all the time, because anyio cancels
    again and again.
    """

    def cancel(self, msg: object = None) -> bool:  # the task keeps the message itself
        return False


class CountStream:
    """
    Results as they come: `async with galileo.count_many(...) as stream:` and `async for result in
    stream:`.

    Up to twice `concurrency` targets are pulled before their results are taken, so a slow consumer
    slows the pulling. Unless `ordered`, counts that wait for their next attempt come on top, up to
    ten times `concurrency`, and as many that wait for another one of the same query; and in an
    outage, another ten times, at least a hundred. A count that fails is a result with an `error`.
    The loop itself raises what the source of the targets raises; an `AuthenticationError`, because
    no other count can succeed either; and with `fail_fast`, the first error. Leaving the block in
    any way cancels all requests, and waits until every task has ended.
    """

    def __init__(
        self,
        requester: Requester,
        checks: ColumnChecks,
        default_concurrency: int,
        targets: Targets,
        # The query, apart from the project.
        template: CountQuery = CountQuery(ANY_PROJECT),  # noqa: B008  # it can't be changed
        *,
        check: bool | None = None,
        # Another check than that of the columns.
        own_check: Check | None = None,
        # Templates of more queries for the target of a result, by the result and its template.
        then: Callable[[CountResult, CountQuery], Iterable[CountQuery]] | None = None,
        concurrency: int | None = None,
        ordered: bool = False,
        fail_fast: bool = False,
        timeout: Seconds | None = None,  # from when the stream is entered
        budget: Budget | None = None,  # of a call that began before that, instead of `timeout`
        on_progress: OnProgress | None = None,
    ) -> None:
        _check_targets(targets)
        check_arguments(
            bool | None, "True or False", ordered=ordered, fail_fast=fail_fast, check=check
        )
        check_callback("on_progress", on_progress)
        self._targets = targets
        self._template = template
        self._requester = requester
        self._checks = checks
        self._flow = requester.queue.flow
        wanted = checks.wanted if check is None else check
        self._explains_zeros = wanted is not False
        self._check = own_check or (checks.check if wanted else None)
        self._then = then
        self._steps: dict[int, Steps] = {}
        self._concurrency = as_concurrency(concurrency, default_concurrency)
        self._ordered = ordered
        self._fail_fast = fail_fast
        self._timeout = as_seconds(timeout)
        self._common_budget = budget
        self._on_progress = on_progress
        self._done = self._failed = 0
        self._total = _length_of(targets)
        self._started: float | None = None
        self._ended: float | None = None
        self._queries: deque[_Task] = deque()  # targets that no worker has taken yet
        self._results: deque[CountResult] = deque()
        self._wanted = asyncio.Event()  # more queries; the feeder waits for it
        # Results that no consumer has taken; one more once the stream has ended.
        self._available = asyncio.Semaphore(0)
        # Results that wait for those before them, in an ordered stream.
        self._early: dict[int, CountResult] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # the feeder and the workers
        # The first queries of each filter that count 0, and whether all do.
        self._zeros: dict[object, tuple[tuple[CountQuery, ...], bool]] = {}
        # The filters of them whose targets have sessions: they follow a count that isn't 0.
        self._parts: set[object] = set()
        self._failure: BaseException | None = None
        self._aborted = False
        self._pulled = self._queued = self._delivered = self._taken = 0
        self._workers = 0  # tasks that count, also parked ones
        self._is_starting = False  # whether `_start_workers` runs

    @property
    def progress(self) -> Progress:
        """The progress of the stream so far."""
        elapsed = 0.0
        if self._started is not None:
            elapsed = (self._ended or asyncio.get_running_loop().time()) - self._started
        return Progress(
            self._done,
            self._failed,
            self._total,
            in_flight=self._flow.in_flight,
            elapsed=elapsed,
            width=self._flow.width,
            rate=self._flow.rate,
            breaker_open=self._flow.breaker.is_open,
        )

    @property
    def steps(self) -> list[Steps]:
        """With `then`, the results so far of each target, in the order of the targets."""
        return [steps for _, steps in sorted(self._steps.items())]

    async def __aenter__(self) -> Self:
        if self._started is not None:
            hint = "Call count_many again for another pass"
            raise ClosedError("this stream has been entered before", hint=hint)
        if isinstance(self._targets, AsyncIterable):
            source = aiter(self._targets)
        else:
            source = _one_by_one(iter(self._targets))
        self._joined = _Join()
        self._started = asyncio.get_running_loop().time()
        budget = self._common_budget or Budget.fan_out(
            self._timeout, self._requester.retry.patience, self._started
        )
        self._budget = evolve(budget, concurrency=self._concurrency, on_wait=self._on_wait)
        self._spawn(self._feed(source, has_ended=has_ended(self._targets)))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tasks:
            problem = "this stream was left before all its results were taken"
            self._abort(ClosedError(problem))
        await self._joined

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CountResult:
        if self._started is None:
            hint = "Write async with galileo.count_many(...) as stream:"
            raise ClosedError("this stream hasn't been entered", hint=hint)
        _ = await self._available.acquire()
        if not self._results:
            self._available.release()  # for the next consumer
            if self._failure is not None:
                raise self._failure
            zeros = self._zeros
            self._zeros = {}  # each is explained only once
            try:
                every = [queries for queries, is_every in zeros.values() if is_every]
                others = [
                    queries
                    for key, (queries, is_every) in zeros.items()
                    if not is_every and key not in self._parts
                ]
                beside = islice(chain.from_iterable(others), MAX_ASKED)
                await self._checks.warn_of_zeros(every, self._budget, beside)
            except asyncio.CancelledError:  # the next call explains them
                self._zeros = zeros
                raise
            raise StopAsyncIteration
        self._taken += 1
        self._wake_feeder()
        return self._results.popleft()

    # ---- tasks -----------------------------------------------------------------------------------

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._abort(asyncio.CancelledError("a task of this stream was cancelled"))
        elif (error := task.exception()) is not None:
            self._abort(error)
        if not self._tasks:
            self._ended = asyncio.get_running_loop().time()
            self._available.release()
            self._joined.set_result(None)

    def _abort(self, error: BaseException) -> None:
        """
        Ends the stream with an error, and cancels its tasks only once, so that their cleanup can
        finish.
        """
        if not self._aborted:
            self._aborted = True
            self._fail(error)
            for task in self._tasks:
                task.cancel()

    def _fail(self, error: BaseException) -> None:
        """Keeps the first error, to be raised after the results."""
        self._failure = self._failure or error

    # ---- targets ---------------------------------------------------------------------------------

    async def _feed(self, source: AsyncIterator[Target], *, has_ended: bool) -> None:
        """
        Pulls targets while there is room for their results, and closes the source if it is a
        generator. A source without targets is refused if it had ended before.
        """
        timeout = asyncio.timeout_at(self._pulling_ends_at())
        closed: AbstractAsyncContextManager[object] = nullcontext()
        if isinstance(cast("object", source), AsyncGenerator):
            closed = aclosing(cast("AsyncGenerator[Target]", source))
        try:
            async with closed, timeout:
                while (target := await anext(source, _END)) is not _END:
                    # The source swallowed the cancellation, after which 3.11 can't trace.
                    if self._aborted:  # pragma: no cover
                        break
                    self._queries.append((self._pulled, target, self._template))
                    self._pulled += 1
                    self._queued += 1
                    self._start_workers()
                    if not self._has_room():
                        self._wanted.clear()  # it may have been set while there was room
                        _ = await self._wanted.wait()
            if has_ended and not self._pulled:
                problem = f"targets: {used_up(self._targets)}"
                self._fail(ConfigurationError(problem, hint=READ_TWICE))
        except (Exception, asyncio.CancelledError) as error:  # the source is the user's
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise
            self._fail(self._too_late() if timeout.expired() else error)

    def _pulling_ends_at(self) -> float | None:
        """The deadline of a source that can be endless; None without one."""
        is_endless = self._total is None or isinstance(self._targets, AsyncIterable)
        has_deadline = self._budget.deadline < inf
        return self._budget.deadline if is_endless and has_deadline else None

    def _has_room(self) -> bool:
        room: float = 2 * self._concurrency
        if not self._ordered:  # in order, the results after the parked ones are kept
            room += min(self._budget.parked, 2 * self._budget.most_parked) + self._extra
        return self._queued - self._taken < room

    @property
    def _extra(self) -> float:
        """How many more workers than `concurrency` can be at work in an outage."""
        return max(_LEAST_EXTRA, self._budget.most_parked) if self._flow.breaker.is_open else 0

    def _wake_feeder(self) -> None:
        """Wakes the feeder if there is room, and few targets are left, or the breaker is open."""
        are_few_left = 2 * len(self._queries) <= self._concurrency
        if (are_few_left or self._flow.breaker.is_open) and self._has_room():
            self._wanted.set()

    def _too_late(self) -> DeadlineExceededError:
        text = (
            "the timeout ran out before the targets ended; "
            f"the {self._pulled:,} pulled by then have a result"
        )
        last = self._requester.queue.last_refusal
        hint = "Raise the timeout, or give fewer targets"
        return DeadlineExceededError(text, last=last, hint=hint)

    # ---- counts ----------------------------------------------------------------------------------

    async def _work(self, taken: _Task | None) -> None:
        """Counts a target, and then others as long as it finds one."""
        clock = asyncio.get_running_loop().time
        while taken is not None:
            index, target, template = taken
            started = clock()
            query: CountQuery | None = None
            doubt = ""
            total = None
            error = None
            try:
                query = query_of(template, target)
                if self._check is not None:
                    await self._check(query, self._budget)
                total, attempts = await self._requester.send(COUNT, query, query.body, self._budget)
                if self._explains_zeros:
                    self._note_zero(query, total, is_part=index in self._steps)
                if self._check is not None and not total:
                    doubt = self._checks.doubt(query)
            except GalileoError as problem:
                if self._fail_fast or isinstance(problem, AuthenticationError):
                    self._abort(problem)
                    return
                error = problem.with_traceback(None)  # a traceback keeps its frames alive
                attempts = error.attempts
            elapsed = clock() - started
            result = CountResult(index, target, query, total, error, attempts, elapsed, doubt=doubt)
            self._add(result)
            self._workers -= 1
            self._follow(result, template)
            taken = self._take()

    def _follow(self, result: CountResult, template: CountQuery) -> None:
        """Adds the queries that follow a result."""
        if self._then is None:
            return
        self._steps.setdefault(result.index, []).append((template, result))
        for following in self._then(result, template):
            self._queries.append((result.index, result.target, following))
            self._queued += 1
            if self._total is not None:
                self._total += 1
        self._start_workers()

    def _take(self) -> _Task | None:
        """
        The next target for a worker; None if there is none, or if as many workers as allowed are at
        work.
        """
        at_work = self._workers - self._budget.parked
        if at_work >= self._concurrency + self._extra or self._aborted or not self._queries:
            return None
        self._workers += 1
        target = self._queries.popleft()
        self._wake_feeder()
        return target

    def _start_workers(self) -> None:
        """Starts a worker for each target that was pulled, as many as allowed."""
        while not self._is_starting and (target := self._take()) is not None:
            self._is_starting = True  # an eager task can come here again
            self._spawn(self._work(target))
            self._is_starting = False

    def _on_wait(self) -> None:
        """
        Starts more workers if parked counts or an outage make room for them, and wakes the feeder.
        """
        self._start_workers()
        self._wake_feeder()

    def _add(self, result: CountResult) -> None:
        """
        Delivers a result: in an ordered stream once those before it have come, otherwise as the
        next one.
        """
        self._done += 1
        self._failed += result.error is not None
        place = result.index if self._ordered else self._delivered
        self._early[place] = result
        while (following := self._early.pop(self._delivered, None)) is not None:
            self._delivered += 1
            self._results.append(following)
            self._available.release()
        if self._on_progress is not None:
            notify("on_progress", self._on_progress, self.progress)

    def _note_zero(self, query: CountQuery, total: int, *, is_part: bool) -> None:
        """Keeps the first queries of each filter that count 0."""
        key: object = query.body
        if query.log_stream_name is not None:
            key = query.where
        if key not in self._zeros and len(self._zeros) == _MAX_FILTERS:
            return
        if is_part:
            self._parts.add(key)
        known, is_every = self._zeros.get(key, ((), True))
        if not total and len(known) < MAX_ASKED:
            known = *known, query
        self._zeros[key] = known, is_every and not total


def _check_targets(targets: Targets) -> None:
    """Refuses what isn't a list of targets, and what would count something else, or nothing."""
    given = cast("object", targets)
    hint = "Write [...]"
    call = not_awaited(targets)
    if call:  # a Future is an iterable, too
        hint = AWAIT_IT
    elif isinstance(targets, Filter):
        hint = "The targets come before the filter"
    elif isinstance(targets, Mapping):
        hint = "Write [CountQuery(project, where) for project, where in filters.items()]"
    elif has_dimensions(targets):
        hint = 'Write frame["id"] for the column that has the ids'
    elif isinstance(given, Iterable | AsyncIterable) and not isinstance(given, str | bytes):
        return
    elif callable(given):
        hint = "Call it, with ()"
    elif given is None:
        hint = "A function that made them may lack its return"
    problem = f"targets must be a list of ids or queries, got {call or brief(given)}"
    raise ConfigurationError(problem, hint=hint)


def _length_of(targets: Targets) -> int | None:
    try:
        return len(targets)  # type: ignore[arg-type]  # some classes have a __len__ that raises
    except Exception:  # noqa: BLE001  # tqdm and others raise any error of the object inside
        return None


async def _one_by_one(targets: Iterator[Target]) -> AsyncIterator[Target]:
    try:
        for target in targets:
            yield target
    finally:
        if isgenerator(targets):
            targets.close()


async def report_of(
    stream: CountStream, so_far: Callable[[CountReport], CountReport] = lambda report: report
) -> CountReport:
    """
    All results of a stream.

    Args:
        stream: The stream.
        so_far: Makes the `report` of an exception from the one of the results until then.

    Raises:
        Exception: what the stream raises. The `report` of a GalileoError, a warning or a
            cancellation has the results until then.
    """
    results: list[CountResult] = []

    def report() -> CountReport:
        late = stream._results  # pyright: ignore[reportPrivateUsage]  # with a cancellation
        in_order = sorted([*results, *late], key=lambda result: result.index)
        return CountReport(tuple(in_order), stream.progress)

    try:
        async with stream:
            async for result in stream:
                results.append(result)  # noqa: PERF401  # a comprehension would lose them to an exception
    except (GalileoError, Warning, asyncio.CancelledError) as error:
        vars(error)["report"] = so_far(report())
        raise
    return report()
