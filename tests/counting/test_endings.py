"""How streams, counts and clients end, by an error, a cancellation or by leaving, and that nothing remains."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator

import anyio
import attrs
import pytest
from support.clients import ANN, TASKS, client, connected, ids, one_by_one, take_all
from support.clock import virtual_time
from support.inside import idle, in_flight, our_tasks, replace_post, width
from support.sockets import PROJECT, full_backlog, http, raw_server, silence, slowly, until

import galileo_sessions as gs
from galileo_sessions import ALWAYS, AuthenticationError, ConfigurationError, GalileoSessions, Limits, NotFoundError
from galileo_sessions.api.responses import Response


@pytest.mark.parametrize("ordered", [False, True])
async def test_fail_fast_ends_at_the_first_error(ordered):
    """With `fail_fast` the first error is raised after the results before it, and ends all requests."""
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
    ("auth", "error", "most"),
    [(gs.ApiKeyAuth("k"), AuthenticationError, 10), (ANN, gs.LoginError, 1)],
    ids=["key", "password"],
)
async def test_bad_credentials_end_a_stream_at_once(auth, error, most):
    """A 401 is raised, rather than repeated for each target; a wrong password is sent once."""
    async with connected(http(401, "who?"), auth=auth) as (server, galileo):
        with pytest.raises(error) as caught:
            await galileo.count_all(ids(40_000))
    assert (type(caught.value), caught.value.status) == (error, 401)
    assert len(server.requests) <= most


@pytest.mark.parametrize(
    ("last", "error", "fail_fast"),
    [(ids(100)[99], AuthenticationError, False), ("no-id", ConfigurationError, True)],
    ids=["401", "bad id"],
)
async def test_an_early_end_leaves_what_was_counted(last, error, fail_fast):
    """A 401 and, with `fail_fast`, an invalid id end the fan-out; the exception's `report` has the counts so far."""
    async with connected({99: http(401, "who?")}) as (_, galileo):
        with pytest.raises(error) as caught:
            await galileo.count_all([*ids(50), last, *ids(3)], concurrency=1, fail_fast=fail_fast)
    assert caught.value.report.counts == tuple(range(50))
    assert caught.value.report.progress.done == 50


# ---- leaving ---------------------------------------------------------------------------------------------------------

DOORS = {"break": type(None), "exception": KeyError, "at once": type(None), "cancel": asyncio.CancelledError}


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("door", "error"), DOORS.items())
@pytest.mark.parametrize("kind", [list, one_by_one], ids=["sync", "async"])
async def test_leaving_by_any_door_joins_all(door, error, kind, ordered, factory):
    """However the block is left, no task, permit or connection remains, and the client still counts."""
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


async def test_a_cancellation_while_joining_after_the_body_raised_is_not_lost():
    """A cancellation that comes while the block is left because of an error is raised in its place."""
    ending = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield PROJECT
            await asyncio.sleep(60)
        finally:
            ending.set()
            await asyncio.sleep(0.2)

    async with connected(http()) as (_, galileo):

        async def use() -> None:
            async with galileo.count_many(source()) as stream:
                await anext(stream)
                raise KeyError("in the body")

        task = asyncio.create_task(use())
        await ending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert task.cancelled()
    assert isinstance(caught.value.__context__, KeyError | asyncio.CancelledError)


async def test_a_stream_is_entered_once_before_it_is_iterated():
    """Other uses raise an error that says what to write; so does iterating a stream that was left early."""
    async with connected({}) as (_, galileo):
        stream = galileo.count_many(ids(20), concurrency=2)
        with pytest.raises(ConfigurationError, match="async with"):
            await anext(stream)
        async with stream:
            with pytest.raises(ConfigurationError, match="count_many again"):
                async with stream:
                    pass
            await take_all(stream, results := [])
            assert (len(results), [result async for result in stream]) == (20, [])
        with pytest.raises(ConfigurationError, match="count_many again"):
            async with stream:
                pass
        async with galileo.count_many(ids(50), concurrency=2) as left:
            await anext(left)
        with pytest.raises(ConfigurationError, match="left before all its results were taken"):
            await take_all(left, [])


# ---- sources and workers that end oddly ------------------------------------------------------------------------------


async def test_a_source_that_swallows_its_cancellation_sends_nothing_more():
    """After the block is left no request starts, even if the source goes on as if nothing had happened."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        for target in ids(100):
            yield target

    async with connected(http()) as (server, galileo):
        async with galileo.count_many(source()) as stream:
            await anext(stream)
    assert len(server.requests) == 1


async def test_a_queue_as_source_may_be_left():
    """`wait_for(queue.get())` in a source, whose cancellation Python 3.11 can lose, doesn't keep the block open."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def source() -> AsyncIterator[str]:
        while True:
            yield await asyncio.wait_for(queue.get(), 60)

    async with connected({}) as (_, galileo), asyncio.timeout(30):
        async with galileo.count_many(source(), concurrency=4) as stream:
            for target in ids(20):
                queue.put_nowait(target)
            await anext(stream)
            queue.put_nowait(PROJECT)


async def test_a_worker_that_is_cancelled_ends_the_stream():
    """A CancelledError from below a count ends the stream, also while its source has nothing to offer."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        await asyncio.sleep(60)

    async def post(path: str) -> Response:
        raise asyncio.CancelledError

    galileo = GalileoSessions("k")
    replace_post(galileo, post)
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await galileo.count_all(source())
    assert idle(galileo)


async def test_an_exception_of_a_source_is_raised_as_it_is():
    """It stays as it is, without a `report`, so that it may be one that can't be changed."""

    @attrs.frozen
    class Own(Exception):  # noqa: N818  # a user's
        number: int = 1

    def source():
        yield PROJECT
        raise Own

    async with connected({}) as (_, galileo):
        with pytest.raises(Own) as caught:
            await galileo.count_all(source())
    assert not hasattr(caught.value, "report")


@virtual_time
async def test_a_source_that_fails_as_it_is_closed_loses_no_target():
    """If a source fails as it is closed, each pulled target still has a result."""
    begun: list[int] = []

    async def source() -> AsyncIterator[str]:
        try:
            for target in ids(500):
                yield target
        finally:
            raise ValueError("it can't be closed")

    async def post(_: str) -> Response:
        begun.append(1)
        await asyncio.sleep(5 + len(begun) / 100)
        raise gs.AttemptTimeoutError("no answer", phase="response")

    async with GalileoSessions("k", base_url="http://127.0.0.1:9") as galileo:
        replace_post(galileo, post)
        with pytest.raises(gs.DeadlineExceededError, match="the 6 pulled by then have a result") as caught:
            await galileo.count_all(source(), concurrency=3, timeout=5)
    assert [type(error) for error in caught.value.report.errors] == [gs.DeadlineExceededError] * 6


# ---- counts that are cancelled ---------------------------------------------------------------------------------------


async def half_a_body(_: int, writer: asyncio.StreamWriter) -> None:
    """Sends a part of the answer, and nothing more."""
    writer.write(http()[:-5])
    await asyncio.sleep(100_000)


PHASES = {"queue": silence, "connecting": silence, "head": silence, "body": half_a_body, "backoff": http(503, "")}


@pytest.mark.parametrize(("phase", "behave"), PHASES.items(), ids=PHASES)
@virtual_time
async def test_cancelled_in(phase, behave):
    """A cancelled count raises CancelledError and leaves no request, no connection and no task."""
    limits = Limits(initial=1, maximum=1) if phase == "queue" else Limits()
    async with raw_server(behave) as server:
        with full_backlog() as full:
            async with client(full if phase == "connecting" else server.url, jitter=1, limits=limits) as galileo:
                others = [asyncio.create_task(galileo.count(PROJECT))] if phase == "queue" else []
                await asyncio.sleep(0.02)
                before, task = width(galileo), asyncio.create_task(galileo.count(PROJECT))
                await asyncio.sleep(0.02)
                await until(lambda: bool(server.requests) is (phase != "connecting"))
                await until(lambda: in_flight(galileo) == (phase != "backoff"))
                assert not task.done()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.sleep(0)
                assert our_tasks() == others
                assert width(galileo) <= before
                for other in others:
                    assert (in_flight(galileo), len(server.requests)) == (1, 1)
                    other.cancel()
                    await asyncio.wait([other])
                assert idle(galileo)


@virtual_time
async def test_the_callers_own_timeout_is_shorter():
    """If the caller's asyncio.timeout ends a count, the caller's TimeoutError is raised."""
    async with connected(silence) as (_, galileo):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await galileo.count(PROJECT)
    assert type(caught.value) is TimeoutError


async def test_cancelled_counts_are_not_successes():
    """Counts that their callers cancelled don't raise the limit of requests at once."""
    async with connected(silence) as (server, galileo):
        at_once = width(galileo)
        for round_ in range(1, 4):
            tasks = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(at_once)]
            await until(lambda sent=round_ * at_once: len(server.requests) == sent)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert width(galileo) == at_once


@pytest.mark.parametrize("by", [None, {"all": ALWAYS}], ids=["plain", "by"])
@virtual_time
async def test_a_cancelled_fan_out_keeps_what_was_counted(by):
    """The `report` of the cancellation has the results until then, so that Ctrl-C loses no counts."""
    async with connected({3: slowly(60, 3)}) as (_, galileo):
        counting = asyncio.create_task(galileo.count_all(ids(4), by=by))
        await asyncio.sleep(1)
        counting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await counting
    assert caught.value.report.counts == ((0, 1, 2) if by is None else (0,))


async def test_a_result_that_comes_with_the_cancellation_is_kept():
    """A result that nobody has taken when a fan-out is cancelled is in the report, too."""
    async with connected({}) as (_, galileo):
        counting = asyncio.create_task(galileo.count_all(ids(1), on_progress=lambda _: counting.cancel()))
        with pytest.raises(asyncio.CancelledError) as caught:
            await counting
    assert caught.value.report.counts == (0,)


# ---- anyio's scopes, as in FastAPI and Starlette ---------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in the body", "while leaving"])
async def test_a_scope_around_a_stream_ends_it_and_nothing_else(where):
    """`move_on_after` catches its own cancellation, in a stream's body or while the block is left."""
    async with connected({0: slowly(60)}) as (server, galileo):
        with anyio.move_on_after(60 if where == "while leaving" else 0.05) as scope:
            async with galileo.count_many(ids(1)) as stream:
                await until(lambda: server.requests)
                if where == "while leaving":
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


@pytest.mark.parametrize("auth", [gs.ApiKeyAuth("k"), ANN], ids=["key", "login"])
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


# ---- clients that are closed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [gs.ApiKeyAuth("k"), ANN], ids=["key", "password"])
async def test_two_close_at_once(auth):
    """Closing twice, also at the same time and during a login, ends once and leaves nothing; then nothing counts."""
    async with connected(silence, auth=auth) as (server, galileo):
        counting = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        async with asyncio.timeout(30):
            await asyncio.gather(galileo.close(), galileo.close())
            await galileo.close()
            (outcome,) = await asyncio.gather(counting, return_exceptions=True)
        assert type(outcome) is ConfigurationError
        with pytest.raises(ConfigurationError, match="closed"):
            await galileo.count(PROJECT)
        assert [type(error) for error in (await galileo.count_all(ids(3))).errors] == [ConfigurationError] * 3


async def test_a_count_that_waits_for_the_rate_ends_when_the_client_is_closed():
    """Nothing is sent any more."""
    async with connected(http(), limits=Limits(rate=0.01)) as (server, galileo):
        assert await galileo.count(PROJECT) == 7
        count = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.01)
        await galileo.close()
        with pytest.raises(ConfigurationError, match="this GalileoSessions is closed"):
            await count
    assert len(server.requests) == 1
