"""How streams, counts and clients end, by an error, a deadline, a cancellation or by leaving; nothing remains."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator
from itertools import cycle

import anyio
import pytest
from support.clients import ANN, TASKS, client, connected, failure, ids, one_by_one, take_all
from support.clock import virtual_time
from support.private import idle, in_flight, replace_post, width
from support.sockets import PROJECT, full_backlog, http, raw_server, silence, slowly, until

import galileo_sessions as gs
from galileo_sessions import (
    ClosedError,
    ConfigurationError,
    DeadlineExceededError,
    GalileoSessions,
    Limits,
    NotFoundError,
)
from galileo_sessions.http.responses import Response

CREDENTIALS = pytest.mark.parametrize("auth", [gs.ApiKeyAuth("k"), ANN], ids=["key", "password"])


@pytest.mark.parametrize("ordered", [False, True])
async def test_fail_fast_ends_at_the_first_error(ordered):
    """It is raised after the results before it, and ends all requests."""
    got: list[gs.CountResult] = []
    async with connected({4: http(404, "gone"), 5: slowly(60), 6: slowly(60)}) as (server, galileo):
        async with galileo.count_many(ids(1000), concurrency=4, fail_fast=True, ordered=ordered) as stream:
            with pytest.raises(NotFoundError) as caught:
                await take_all(stream, got)
            assert idle(galileo)
            with pytest.raises(NotFoundError):
                await anext(stream)
    assert caught.value.query.project_id == ids(5)[4]
    assert {0, 1, 2, 3} >= {result.index for result in got}
    assert len(server.requests) < 20


@pytest.mark.parametrize(
    ("last", "error", "fail_fast"),
    [(ids(100)[99], gs.AuthenticationError, False), ("no-id", ConfigurationError, True)],
    ids=["401", "bad id"],
)
async def test_an_early_end_leaves_what_was_counted(last, error, fail_fast):
    """A 401 and, with `fail_fast`, an invalid id end the fan-out; the exception's `report` has the counts so far."""
    async with connected({99: http(401, "who?")}) as (_, galileo):
        with pytest.raises(error) as caught:
            await galileo.count_all([*ids(50), last, *ids(3)], concurrency=1, fail_fast=fail_fast)
    assert (caught.value.report.counts, caught.value.report.progress.done) == (tuple(range(50)), 50)


# ---- leaving ---------------------------------------------------------------------------------------------------------

DOORS = {"break": type(None), "exception": KeyError, "at once": type(None), "cancel": asyncio.CancelledError}


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("door", "error"), DOORS.items())
@pytest.mark.parametrize("kind", [list, one_by_one], ids=["sync", "async"])
async def test_leaving_by_any_door_joins_all(door, error, kind, ordered, factory):
    """No task, permit or connection remains, and the client still counts."""
    asyncio.get_running_loop().set_task_factory(factory)
    async with connected({number: slowly(60) for number in range(1, 500)}) as (server, galileo):

        async def use() -> None:
            async with galileo.count_many(kind(ids(500)), ordered=ordered) as stream:
                await until(lambda: len(server.requests) > 5)
                if door in ("break", "exception"):
                    await anext(stream)
                if door == "exception":
                    raise KeyError("in the body")
                if door == "cancel":
                    asyncio.current_task().cancel()
                    await asyncio.sleep(0)

        (outcome,) = await asyncio.gather(asyncio.create_task(use()), return_exceptions=True)
        assert idle(galileo)
        assert type(outcome) is error
        assert await galileo.count(ids(1)[0]) == 0


async def test_a_stream_is_entered_once_before_it_is_iterated():
    """Other uses raise an error that says what to write; so does iterating a stream that was left early."""
    async with connected({}) as (_, galileo):
        stream = galileo.count_many(ids(20), concurrency=2)
        with pytest.raises(ConfigurationError, match="async with"):
            await anext(stream)
        async with stream:
            with pytest.raises(ConfigurationError, match="count_many again"):
                await stream.__aenter__()
            await take_all(stream, results := [])
            assert (len(results), [result async for result in stream]) == (20, [])
        async with galileo.count_many(ids(50), concurrency=2) as left:
            await anext(left)
        with pytest.raises(ConfigurationError, match="left before all its results were taken"):
            await take_all(left, [])


# ---- being cancelled -------------------------------------------------------------------------------------------------


async def test_a_source_that_swallows_its_cancellation_sends_nothing_more():
    """The block is left, and no request starts, even if the source goes on: Python 3.11 can lose a cancellation."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        for target in ids(100):
            yield target

    async with connected(http()) as (server, galileo), asyncio.timeout(30):
        async with galileo.count_many(source(), concurrency=1) as stream:
            await anext(stream)
    assert len(server.requests) == 1


@virtual_time
async def test_a_worker_that_is_cancelled_ends_the_stream():
    """A CancelledError from below a count ends the stream, also while its source has nothing to offer."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        await asyncio.sleep(60)

    async def post(path: str) -> Response:
        raise asyncio.CancelledError

    galileo = GalileoSessions("k")
    replace_post(galileo, post)
    with pytest.raises(asyncio.CancelledError):
        await galileo.count_all(source())
    assert idle(galileo)


async def half_a_body(_: int, writer: asyncio.StreamWriter) -> None:
    """Sends a part of the answer, and nothing more."""
    writer.write(http()[:-5])
    await asyncio.sleep(100_000)


PHASES = {"connecting": silence, "head": silence, "body": half_a_body, "backoff": http(503, "")}


@pytest.mark.parametrize(("phase", "behave"), PHASES.items(), ids=PHASES)
@virtual_time
async def test_counts_that_are_cancelled_leave_nothing(phase, behave):
    """No request, no connection and no task, whatever they were waiting for; nor do they raise the limit."""
    with full_backlog() as full:
        async with raw_server(behave) as server:
            async with client(full if phase == "connecting" else server.url, jitter=1) as galileo:
                at_once = width(galileo)
                counts = [asyncio.create_task(galileo.count(project)) for project in ids(at_once)]
                await asyncio.sleep(0.02)
                await until(lambda: len(server.requests) >= at_once * (phase != "connecting"))
                await until(lambda: in_flight(galileo) == at_once * (phase != "backoff"))
                for count in counts:
                    count.cancel()
                await asyncio.wait(counts)
                assert {count.cancelled() for count in counts} == {True}
                await asyncio.sleep(0)
                assert width(galileo) <= at_once
                assert idle(galileo)


@pytest.mark.parametrize("by", [None, {"all": gs.ALWAYS}], ids=["plain", "by"])
async def test_a_cancelled_fan_out_keeps_what_was_counted(by):
    """The cancellation has a `report`, so that Ctrl-C loses no counts, not even one that comes in the same moment."""

    def cancel_at_the_third(progress: gs.Progress) -> None:
        if progress.done == 3:
            counting.cancel()

    async with connected({3: slowly(60, 3)}) as (_, galileo):
        counting = asyncio.create_task(galileo.count_all(ids(4), by=by, on_progress=cancel_at_the_third))
        with pytest.raises(asyncio.CancelledError) as caught:
            await counting
    assert caught.value.report.counts == ((0, 1, 2) if by is None else (0,))


# ---- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins_with", "then", "phase"),
    [(b"", b"", "response"), (http()[:-17], b"", "body"), (http(200, b" " * 99)[:-99], b" ", "body")],
    ids=["silence", "head, then silence", "one byte a second"],
)
@virtual_time
async def test_silence_ends_an_attempt(begins_with, then, phase):
    """An attempt times out after 30 s, is retried, and its connection is closed."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        writer.write(begins_with)
        while then and not writer.is_closing():
            writer.write(then)
            await asyncio.sleep(1)

    async with connected(behave) as (server, galileo):
        error = await failure(galileo)
        await until(lambda: not server.open)
    assert len(server.requests) == 2
    assert (type(error), error.phase) == (gs.AttemptTimeoutError, phase)
    assert [30 <= attempt.elapsed < 36 for attempt in error.attempts] == [True] * 2
    assert 60 <= error.elapsed < 72


@virtual_time
async def test_a_deadline_in_the_middle_of_an_attempt():
    """count(timeout=1) ends after 1.0 s, although an attempt can take 30 s, and that doesn't lower the width."""
    async with connected(silence) as (_, galileo):
        error = await failure(galileo, timeout=1)
        assert width(galileo) == 10
    assert isinstance(error, TimeoutError)
    assert (type(error), type(error.last)) == (DeadlineExceededError, gs.AttemptTimeoutError)
    assert (error.message, error.hint) == ("the timeout ran out during an attempt", "Raise the timeout")
    assert 1.0 <= error.elapsed < 1.2


@virtual_time
async def test_a_backoff_that_would_pass_the_deadline():
    """If the next backoff would exceed the deadline, the count fails at once, with the last error."""
    async with connected(http(500, ""), jitter=1) as (server, galileo):
        error = await failure(galileo, timeout=0.25)
    assert (type(error), type(error.last)) == (DeadlineExceededError, gs.ServerError)
    assert error.elapsed < 0.1
    assert (len(error.attempts), len(server.requests)) == (2, 2)  # the first retry has no backoff
    assert error.message == f"the timeout ran out; before that: {error.last.message}"


@virtual_time
async def test_a_deadline_or_patience_that_ends_while_a_retry_is_not_due():
    """The error names no limit, because the count waited for none. It has a hint, also without a `timeout=`."""
    refused = http(429, "", Retry_After="20")
    async with connected(refused) as (server, galileo):
        slow = asyncio.create_task(failure(galileo, timeout=15))
        await until(lambda: len(server.requests) == 1)
        errors = await asyncio.gather(failure(galileo, timeout=5), failure(galileo))
        _ = await slow
    assert [type(error) for error in errors] == [DeadlineExceededError, gs.RateLimitedError]
    assert "while waiting for" not in "".join(error.message for error in errors)
    assert [error.hint for error in errors] == ["Raise the timeout", "Try again later, or raise the timeout"]


@virtual_time
async def test_a_single_count_that_is_refused_until_its_patience_ends_has_a_hint():
    """Its project alone answers 503, so no limit is to blame. A longer timeout is a longer patience."""
    good, bad = ids(2)
    async with connected({1: http(503, "")}) as (_, galileo):
        counting = asyncio.create_task(galileo.count(bad))
        while not counting.done():
            _ = await galileo.count(good)
            await asyncio.sleep(0.2)
    error = counting.exception()
    assert isinstance(error, gs.ServerError)
    assert (error.hint, 8 < error.elapsed < 12) == ("Try again later, or raise the timeout", True)


class Sized(list[str]):
    """An asynchronous source that has a length, and nothing after its twelfth target."""

    async def __aiter__(self) -> AsyncIterator[str]:
        for target in self[:12]:
            yield target
        await asyncio.sleep(60)


async def not_closable() -> AsyncIterator[str]:
    """An asynchronous source that never ends, and fails as it is closed."""
    try:
        for target in cycle(ids(40)):
            yield target
    finally:
        raise ValueError("it can't be closed")


SOURCES = {
    "async": lambda: one_by_one(cycle(ids(40))),
    "async that fails as it is closed": not_closable,
    "sync": lambda: cycle(ids(40)),
    "generator": lambda: (target for target in ids(400)),  # it has no length, so it can be endless
    "async with a length": lambda: Sized(ids(400)),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@virtual_time
async def test_a_deadline_ends_the_pulling_of_a_source_that_can_be_endless(source):
    """At the deadline, pulling ends; each pulled target has a result in the exception's report."""
    async with connected({number: slowly(0.2, number) for number in range(400)}) as (_, galileo):
        with pytest.raises(DeadlineExceededError, match="pulled by then have a result") as caught:
            await galileo.count_all(source(), concurrency=4, timeout=0.5)
    report = caught.value.report
    assert caught.value.hint == "Raise the timeout, or give fewer targets"
    assert [result.index for result in report.results] == list(range(len(report.results)))
    assert report.counts[:8] == tuple(range(8))
    assert {type(error) for error in report.errors} <= {DeadlineExceededError}
    assert 12 <= len(report.results) <= 16


# ---- anyio's scopes, as in FastAPI and Starlette ---------------------------------------------------------------------


@pytest.mark.parametrize("is_leaving", [False, True], ids=["in the body", "while leaving"])
async def test_a_scope_around_a_stream_ends_it_and_nothing_else(is_leaving):
    async with connected({0: slowly(60)}) as (server, galileo):
        with anyio.move_on_after(60 if is_leaving else 0.05) as scope:
            async with galileo.count_many(ids(1)) as stream:
                await until(lambda: server.requests)
                if is_leaving:
                    scope.cancel()
                else:
                    await anext(stream)
        assert scope.cancelled_caught
        await asyncio.sleep(0)  # the task isn't cancelled any more
        assert asyncio.current_task().cancelling() == 0


async def test_a_stream_does_not_spin_while_its_source_cleans_up():
    """anyio repeats a cancellation as long as it wakes the task. It doesn't wake one that leaves a stream."""
    cancellations, task = [], asyncio.current_task()

    async def source():
        try:
            for project in ids(10**4):
                yield project
        finally:
            await asyncio.sleep(0.1)
            cancellations.append(task.cancelling())

    async with connected({}) as (_, galileo):
        with anyio.CancelScope() as scope:
            async with galileo.count_many(source()) as stream:
                async for _ in stream:
                    scope.cancel()
        assert scope.cancelled_caught
    assert cancellations[0] < 5


@CREDENTIALS
async def test_a_client_whose_block_a_scope_ends_is_closed(auth):
    """A cancellation that continues while a client closes neither leaves connections nor causes a warning."""
    async with raw_server(http(200, '{"access_token": "t", "total_count": 7}')) as server:
        with warnings.catch_warnings(record=True) as caught, anyio.move_on_after(0.3) as scope:
            warnings.simplefilter("always")
            async with GalileoSessions(auth=auth, base_url=server.url) as galileo:
                await galileo.count(PROJECT)
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        del galileo
        gc.collect()
        await until(lambda: not server.open)
    assert [warning.message for warning in caught] == []


@CREDENTIALS
async def test_closing_twice_is_safe(auth):
    """Also at once, during a count or a login; counts that are under way, and later ones, have the same error."""
    async with connected(silence, auth=auth, limits=Limits(rate=0.01)) as (server, galileo):
        under_way = [asyncio.create_task(failure(galileo)) for _ in ("sent", "waiting for the rate")]
        await until(lambda: server.requests)
        async with asyncio.timeout(30):
            await asyncio.gather(galileo.close(), galileo.close())
            await galileo.close()
            errors = [*await asyncio.gather(*under_way), await failure(galileo)]
            errors += (await galileo.count_all(ids(3))).errors
            errors.append(await failure(galileo, where=gs.NEVER))
    closed = ClosedError, "this GalileoSessions is closed"
    assert [(type(error), error.message) for error in errors] == [closed] * 7
    assert len(server.requests) == 1


def test_a_closed_client_is_a_state_and_for_one_release_a_setting():
    error = ClosedError("closed")
    assert isinstance(error, RuntimeError)
    assert isinstance(error, ConfigurationError)
    assert (error.status, gs.DeadlineExceededError("late").status) == (None, None)


def test_a_header_is_given_once():
    with pytest.raises(ConfigurationError, match="the header 'a' is given twice"):
        GalileoSessions("k", headers={"A": "1", "a": "2"})
