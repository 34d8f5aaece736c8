"""Many counts: targets pulled as they are needed, results handed out as they come, and every worker joined."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Self, TypeAlias, cast
from uuid import UUID

from attrs import frozen

from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.request import Counter, tell
from galileo_sessions.errors import (
    Attempt,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    GalileoError,
)

Target: TypeAlias = CountQuery | UUID | str
Targets: TypeAlias = Iterable[Target] | AsyncIterable[Target]


@frozen
class CountResult:
    """What became of one target: a count, or an error."""

    index: int
    """Its place among the targets, from 0."""
    query: CountQuery
    total_count: int | None
    """The count, or None if there is an error."""
    error: GalileoError | None
    attempts: tuple[Attempt, ...]
    elapsed: float
    """Seconds since the target was pulled."""

    @property
    def ok(self) -> bool:
        """Whether the count came."""
        return self.error is None

    def unwrap(self) -> int:
        """
        The count.

        Raises:
            GalileoError: the error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("int", self.total_count)


@frozen
class Progress:
    """How far a fan-out is."""

    done: int
    """Targets that have a result."""
    failed: int
    """Those of them that have an error."""
    total: int | None
    """All targets, if their number can be asked for."""
    in_flight: int
    """Requests under way, of the whole client."""
    limit: int
    """Requests that may be under way, now."""
    elapsed: float
    """Seconds since the first target was pulled."""


OnProgress: TypeAlias = Callable[[Progress], object]


@frozen
class CountReport:
    """All results of a fan-out, in the order of the targets."""

    results: tuple[CountResult, ...]
    progress: Progress
    """How it stood at the end."""

    @property
    def counts(self) -> tuple[int | None, ...]:
        """Each target's count, None where it failed."""
        return tuple([result.total_count for result in self.results])

    @property
    def errors(self) -> tuple[GalileoError, ...]:
        """The errors of those that failed; `error.query` tells which."""
        return tuple([result.error for result in self.results if result.error is not None])

    @property
    def total(self) -> int:
        """The sum of the counts that came."""
        return sum([result.total_count or 0 for result in self.results])

    def raise_for_errors(self) -> None:
        """
        Raises what failed, if anything did.

        Raises:
            ExceptionGroup: of the errors.
        """
        if self.errors:
            raise ExceptionGroup(f"{len(self.errors)} of {len(self.results)} counts failed", self.errors)


class CountStream:
    """
    Results as they come: `async with galileo.count_many(...) as stream:` and `async for result in stream:`.

    Targets are pulled as places get free; a slow consumer slows the pulling down.
    A result whose `error` is set is data; the loop itself raises what the source of the targets raises,
    `AuthenticationError` since no other count can succeed either, and with `fail_fast` the first error.
    Leaving the block by any door ends all requests, and joins every task, before it returns.
    """

    def __init__(
        self,
        counter: Counter,
        targets: Targets,
        template: CountQuery,
        *,
        workers: int,
        ordered: bool,
        fail_fast: bool,
        timeout: float | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._counter = counter
        self._targets = targets
        self._template = template
        self._most = workers
        self._fail_fast = fail_fast
        self._timeout = timeout
        self._deadline: float | None = None
        self._on_progress = on_progress
        self._source: Iterator[Target] | AsyncIterator[Target] | None = None
        self._iterator: Iterator[Target] | None = None  # the source, if it can be pulled without awaiting
        self._pulling = asyncio.Lock()
        self._window = 2 * workers  # targets that may be claimed beyond the results that somebody has taken
        self._full: deque[asyncio.Future[None]] = deque()  # workers that wait for the consumer
        self._workers: set[asyncio.Task[None]] = set()
        self._early: dict[int, CountResult] | None = {} if ordered else None
        self._ready: deque[CountResult] = deque()
        self._consumers: list[asyncio.Future[None]] = []
        self._failure: BaseException | None = None
        self._exhausted = self._dismissed = False
        self._claimed = self._pulled = self._taken = self._handed = self._done = self._failed = 0
        self._started = 0.0

    @property
    def progress(self) -> Progress:
        """How far it is, now."""
        total = len(self._targets) if hasattr(self._targets, "__len__") else None  # type: ignore[arg-type]  # asked just now
        gate = self._counter.gate
        elapsed = 0.0 if self._source is None else asyncio.get_running_loop().time() - self._started
        return Progress(self._done, self._failed, total, gate.in_flight, gate.width, elapsed)

    async def __aenter__(self) -> Self:
        if self._source is not None:
            raise ConfigurationError("this stream has been entered before. Call count_many again for another pass")
        source = self._targets
        self._source = aiter(source) if isinstance(source, AsyncIterable) else iter(source)
        self._iterator = self._source if isinstance(self._source, Iterator) else None
        self._started = asyncio.get_running_loop().time()
        self._deadline = None if self._timeout is None else self._started + self._timeout
        self._hire()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        cancelled = False
        self._dismiss()
        while self._workers:  # again, should this task be cancelled meanwhile: nothing may be left behind
            try:
                await asyncio.wait(self._workers)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled and error is None:
            raise asyncio.CancelledError

    def __aiter__(self) -> Self:
        if self._source is None:
            raise ConfigurationError("enter the stream first: async with galileo.count_many(...) as stream")
        return self

    async def __anext__(self) -> CountResult:
        while not self._ready:
            if not self._workers:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._consumers.append(waiting)
            await waiting
        self._taken += 1
        if self._full and not (worker := self._full.popleft()).done():
            worker.set_result(None)
        return self._ready.popleft()

    async def _wait_for_consumer(self) -> None:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._full.append(room)
        await room

    def _wake(self) -> None:
        for waiting in self._consumers:
            if not waiting.done():
                waiting.set_result(None)
        self._consumers.clear()

    # ---- workers -----------------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        """One worker more, while there are fewer than allowed: each hires the next once it has something to do."""
        if len(self._workers) < self._most:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._left)

    def _dismiss(self) -> None:
        self._dismissed = True
        for worker in self._workers:
            if worker is not asyncio.current_task():
                worker.cancel()

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled():
            self._fail(worker.exception())
        elif not self._dismissed:  # not by us: the source, or somebody else's code below a count, has cancelled it
            self._fail(asyncio.CancelledError("a worker of this stream was cancelled"))
        self._wake()

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        hired = False
        while self._failure is None and not self._exhausted:
            if self._claimed - self._taken >= self._window:
                await self._wait_for_consumer()
                continue
            self._claimed += 1
            query = self._pull() if self._iterator is not None else await self._pull_async()
            if query is None:
                return
            index = self._pulled
            self._pulled += 1
            if not hired:
                self._hire()
                hired = True
            started = clock()
            try:
                total, attempts = await self._counter.count(query, self._deadline)
            except GalileoError as error:
                if self._fail_fast or isinstance(error, AuthenticationError):
                    self._fail(error)
                    self._dismiss()
                    return
                data = error.with_traceback(None)  # which would keep its frames alive
                result = CountResult(index, query, None, data, error.attempts, clock() - started)
            else:
                result = CountResult(index, query, total, None, attempts, clock() - started)
            self._hand(result)

    def _pull(self) -> CountQuery | None:
        """The next target, or None at the end; what the source raises goes to the consumer."""
        try:
            return self._query(next(cast("Iterator[Target]", self._iterator)))
        except StopIteration:
            self._exhausted = True
        except Exception as error:  # noqa: BLE001  # the source is the consumer's, and so is what it raises
            self._fail(error)
        return None

    async def _pull_async(self) -> CountQuery | None:
        """Likewise, from a source that has to be awaited: one worker at a time, and not beyond the deadline."""
        timeout = nullcontext() if self._deadline is None else asyncio.timeout_at(self._deadline)
        try:
            async with self._pulling, timeout:
                if not self._exhausted and self._failure is None:  # it may have ended while the others pulled
                    return self._query(await anext(cast("AsyncIterator[Target]", self._source)))
        except StopAsyncIteration:
            self._exhausted = True
        except Exception as error:  # noqa: BLE001  # as above
            ours = isinstance(timeout, asyncio.Timeout) and isinstance(error, TimeoutError) and timeout.expired()
            self._fail(DeadlineExceededError("timeout= ran out before the targets ended") if ours else error)
        return None

    def _query(self, target: Target) -> CountQuery:
        return target if isinstance(target, CountQuery) else self._template.for_project(target)

    def _fail(self, error: BaseException | None) -> None:
        self._failure = self._failure or error

    def _hand(self, result: CountResult) -> None:
        self._done += 1
        self._failed += result.error is not None
        if self._early is None:
            self._ready.append(result)
        else:
            self._early[result.index] = result
            while self._handed in self._early:
                self._ready.append(self._early.pop(self._handed))
                self._handed += 1
        self._wake()
        report = self._on_progress
        if report is not None:
            tell(lambda: report(self.progress), "on_progress raised; the counts go on")
