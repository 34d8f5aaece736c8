"""
Many counts at once: targets are pulled as they are needed, results are delivered as they come.

Theory of operation
===================

A stream has a source of targets, up to `concurrency` workers, and a queue of results that the consumer takes from::

    source ──pull──> worker ── Requester.count ──> results ──> consumer
       ^                                                          │
       └────────────────────── room <─────────────────────────────┘

Room. For each worker, at most two targets may be pulled whose results the consumer hasn't taken. Whoever pulls a target
first takes one unit of room; the consumer gives it back with each result that it takes. So a slow consumer slows the
pulling down, and memory is bounded.

Pulling. A worker pulls a plain iterator itself, since that can't be interrupted. An asynchronous source is pulled by a
task of its own, the feeder, for timeouts, task groups and context variables inside it belong to one task.

Workers. The stream begins with one worker. Each spawns the next one when it has got its first target, so three targets
don't start 256 tasks. A worker ends when there are no more targets.

Ends. Where the source is exhausted or fails, the counts in progress are completed and delivered first. So they are at
the deadline, which ends the pulling of a source that has no length, for it may be endless. Where the block is left,
`fail_fast` or a 401 makes an error final, or a worker fails with something that isn't a result, all tasks are
cancelled. In each case the queue of results ends with a mark once the last task is done::

    pulled      1 2 3 4 (source fails)
    results     2 1 4 3 mark           consumer: 2 1 4 3, then the failure is raised

Invariants. Every target that was pulled has exactly one result, unless the tasks were cancelled. No task outlives the
block. After a cancellation no request starts, even if the source swallows the cancellation.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterable, Iterator, Sized
from typing import Any, Self, TypeAlias
from uuid import UUID

from galileo_sessions.client.flow.queue import Admission
from galileo_sessions.client.query import CountQuery, narrowed, narrows
from galileo_sessions.client.request import Count, call_back, refuse_coroutine_function
from galileo_sessions.client.results import CountReport, CountResult, OnProgress, Progress
from galileo_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    GalileoError,
)

Target: TypeAlias = CountQuery | UUID | str
Targets: TypeAlias = Iterable[Target] | AsyncIterable[Target]

_PATIENCE = 5.0  # seconds that a source has to clean up; a task that swallowed its cancellation is cancelled again


class CountStream:
    """
    Results as they come: `async with galileo.count_many(...) as stream:` and `async for result in stream:`.

    Up to twice `concurrency` targets are pulled before their results are taken, so a slow consumer slows the pulling.
    A result whose `error` is set is data; the loop itself raises what the source of the targets raises,
    `AuthenticationError` since no other count can succeed either, and with `fail_fast` the first error.
    Leaving the block in any way cancels all requests, and joins every task, before it returns.
    """

    def __init__(
        self,
        targets: Targets,
        template: CountQuery,
        *,
        count: Count,
        admission: Admission,
        workers: int,
        ordered: bool,
        fail_fast: bool,
        timeout: float | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._count = count
        self._admission = admission
        self._targets = targets
        self._template = template
        self._narrows = narrows(template)
        self._most_workers = workers
        self._fail_fast = fail_fast
        self._timeout = timeout
        refuse_coroutine_function("on_progress", on_progress)
        self._on_progress = on_progress
        self._started: float | None = None
        self._ended: float | None = None
        self._deadline: float | None = None
        self._iterator: Iterator[Target] | None = None
        self._queries: asyncio.Queue[CountQuery | None] = asyncio.Queue()  # from the feeder; None is the end
        self._room = asyncio.Semaphore(2 * workers)
        self._tasks: set[asyncio.Task[None]] = set()  # the workers and the feeder
        self._results: asyncio.Queue[CountResult | None] = asyncio.Queue()  # None is the end
        self._early: dict[int, CountResult] | None = {} if ordered else None
        self._failure: BaseException | None = None
        self._exhausted = self._cancelled = self._is_all_taken = False
        self._spawned = self._pulled = self._delivered = self._done = self._failed = 0

    @property
    def progress(self) -> Progress:
        """How far it is, now."""
        total = len(self._targets) if isinstance(self._targets, Sized) else None
        now = self._admission
        counts = (self._done, self._failed, total, now.in_flight)
        return Progress(*counts, now.width, self._elapsed(), now.rate, now.is_closed)

    def _elapsed(self) -> float:
        if self._started is None:
            return 0.0
        ended = asyncio.get_running_loop().time() if self._ended is None else self._ended
        return ended - self._started

    async def __aenter__(self) -> Self:
        if self._started is not None:
            raise ConfigurationError("this stream has been entered before. Call count_many again for another pass")
        source = aiter(self._targets) if isinstance(self._targets, AsyncIterable) else iter(self._targets)
        self._started = asyncio.get_running_loop().time()
        self._deadline = None if self._timeout is None else self._started + self._timeout
        if isinstance(source, AsyncIterator):
            self._spawn(self._feed(source))
        else:
            self._iterator = source
        self._spawn(self._work())
        self._spawned = 1
        return self

    async def __aexit__(self, *_: object) -> None:
        caught: asyncio.CancelledError | None = None
        self._cancel_tasks()
        while self._tasks:
            try:
                await asyncio.wait(self._tasks, timeout=_PATIENCE)
            except asyncio.CancelledError as error:
                caught = error
            else:
                self._cancel_tasks()
        if not self._is_all_taken:
            self._fail(ConfigurationError("this stream was left before all its results were taken"))
        if caught is not None:
            raise caught  # itself: anyio's scopes recognise their own cancellation by the exception

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CountResult:
        if self._started is None:
            raise ConfigurationError("enter the stream first: async with galileo.count_many(...) as stream")
        result = await self._results.get()
        if result is None:
            self._is_all_taken = True
            self._results.put_nowait(None)  # for whoever asks next
            if self._failure is not None:
                raise self._failure
            raise StopAsyncIteration
        self._room.release()
        return result

    # ---- tasks -------------------------------------------------------------------------------------------------------

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _spawn_worker(self) -> None:
        if self._tasks and self._spawned < self._most_workers and not self._exhausted:
            self._spawned += 1
            self._spawn(self._work())

    def _cancel_tasks(self) -> None:
        self._exhausted = self._cancelled = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if not self._cancelled:  # not by this stream: the source, or code below a count, has cancelled it
                self._fail(asyncio.CancelledError("a worker of this stream was cancelled"))
                self._cancel_tasks()
        elif (error := task.exception()) is not None:
            self._fail(error)
            self._cancel_tasks()
        if not self._tasks:
            self._ended = asyncio.get_running_loop().time()
            self._results.put_nowait(None)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._exhausted = True

    # ---- targets -----------------------------------------------------------------------------------------------------

    async def _feed(self, source: AsyncIterator[Target]) -> None:
        """Pulls an asynchronous source, and closes it if it is a generator."""
        try:
            await self._room.acquire()
            while (
                not self._exhausted
            ):  # pragma: no branch  # it ends so after a cancellation, which 3.11 does not trace
                target = await self._pull(source)
                self._queries.put_nowait(self._query(target))
                await self._room.acquire()
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001  # the source is the consumer's, and so is what it raises
            self._failure = self._failure or error
        finally:
            self._queries.put_nowait(None)
            await self._close(source)

    async def _close(self, source: AsyncIterator[Target]) -> None:
        """Closes a generator, in the task that pulled it, to which its timeouts and task groups belong."""
        try:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
        except Exception as error:  # noqa: BLE001  # the source is the consumer's, and so is what it raises
            self._failure = self._failure or error

    async def _pull(self, source: AsyncIterator[Target]) -> Target:
        """The next target of an asynchronous source, which is waited for until the deadline."""
        if self._is_late():  # a source that never waits doesn't let a timeout happen
            raise self._too_late()
        timeout = asyncio.timeout_at(self._deadline)
        try:
            async with timeout:
                return await anext(source)
        except TimeoutError:
            if not timeout.expired():  # then it is the source's own
                raise
        raise self._too_late()

    def _is_late(self) -> bool:
        return self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline

    def _too_late(self) -> DeadlineExceededError:
        pulled = self._pulled + self._queries.qsize()
        return DeadlineExceededError(
            f"timeout= ran out before the targets ended. The {pulled:,} that were pulled by then have a result; "
            "give more time, or fewer targets"
        )

    async def _next_query(self) -> CountQuery | None:
        """The next query, or None at the end of the targets."""
        if self._iterator is None:
            query = await self._queries.get()
            if query is None:
                self._queries.put_nowait(None)  # for the other workers
            return query
        await self._room.acquire()
        if not self._exhausted and self._is_late() and not isinstance(self._targets, Sized):
            self._fail(self._too_late())
        if self._exhausted:
            self._room.release()
            return None
        try:
            return self._query(next(self._iterator))
        except StopIteration:
            self._exhausted = True
        except Exception as error:  # noqa: BLE001  # the source is the consumer's, and so is what it raises
            self._fail(error)
        self._room.release()
        return None

    def _query(self, target: Target) -> CountQuery:
        if not isinstance(target, CountQuery):
            return self._template.for_project(target)
        return narrowed(target, self._template) if self._narrows else target

    # ---- counts ------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        first = True
        while (query := await self._next_query()) is not None and not self._cancelled:
            index = self._pulled
            self._pulled += 1
            if first:
                loop.call_soon(self._spawn_worker)  # not at once: an eager task would begin inside this one
                first = False
            started = loop.time()
            try:
                total, attempts = await self._count(query, self._deadline, single=False)
            except GalileoError as error:
                if self._fail_fast or isinstance(error, AuthenticationError):
                    self._fail(error)
                    self._cancel_tasks()
                    return
                data = error.with_traceback(None)  # which would keep its frames alive
                result = CountResult(index, query, None, data, error.attempts, loop.time() - started)
            else:
                result = CountResult(index, query, total, None, attempts, loop.time() - started)
            self._deliver(result)

    def _deliver(self, result: CountResult) -> None:
        self._done += 1
        self._failed += result.error is not None
        if self._early is None:
            self._results.put_nowait(result)
        else:
            self._early[result.index] = result
            while (following := self._early.pop(self._delivered, None)) is not None:
                self._results.put_nowait(following)
                self._delivered += 1
        if self._on_progress is not None:
            call_back("on_progress", self._on_progress, self.progress)


async def report_of(stream: CountStream) -> CountReport:
    """
    All results of a stream.

    Raises:
        Exception: what the stream raises, with what was counted until then as its `report`.
    """
    results: list[CountResult] = []

    def report() -> CountReport:
        return CountReport(tuple(sorted(results, key=lambda result: result.index)), stream.progress)

    try:
        async with stream:
            async for result in stream:
                results.append(result)  # noqa: PERF401  # a comprehension would lose them to an exception
    except Exception as error:
        with contextlib.suppress(AttributeError):  # of a source's own error that can't be changed
            error.report = report()  # type: ignore[attr-defined]  # a source's own error has it as well
        raise
    return report()
