"""Event loops of all kinds: eager tasks, a second loop, and clients that are closed meanwhile."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator

import pytest
from support.clients import ids, one_by_one
from support.inside import idle
from support.sockets import PROJECT, AtOnce, http, numbered, raw_server, silence, until

from galileo_sessions import Attempt, ConfigurationError, GalileoSessions, Limits, PasswordAuth

EAGER = getattr(asyncio, "eager_task_factory", None)
eagerly = pytest.mark.skipif(EAGER is None, reason="asyncio has eager tasks since Python 3.12")


@eagerly
@pytest.mark.parametrize("kind", [list, one_by_one], ids=["sync", "async"])
@pytest.mark.parametrize("concurrency", [1, 3, 256])
async def test_eager_tasks_keep_every_promise(concurrency, kind):
    """With eager tasks all targets are counted, `concurrency` is kept, and wide streams don't recurse."""
    at_once = AtOnce()
    asyncio.get_running_loop().set_task_factory(EAGER)
    async with raw_server(at_once) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with asyncio.timeout(20):
            report = await galileo.count_all(kind(ids(300)), concurrency=concurrency)
            assert report.counts == (7,) * 300
            assert at_once.most <= concurrency
            assert idle(galileo)
            async with galileo.count_many(kind(ids(300)), concurrency=concurrency) as stream:
                async for _ in stream:
                    break
            assert idle(galileo)


CURRENT = contextvars.ContextVar("current", default="unset")


async def holding_a_task_group(seen: list[str]) -> AsyncIterator[str]:
    """An async generator with a context variable, a timeout and a task group around its yields."""
    token = CURRENT.set("source")
    try:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for target in ids(100):
                await group.create_task(asyncio.sleep(0))
                yield target
                seen.append(CURRENT.get())
    finally:
        CURRENT.reset(token)
        seen.append("closed")


def holding_a_context_variable(seen: list[str]) -> Iterator[str]:
    """A plain generator with a context variable around its yields."""
    token = CURRENT.set("source")
    try:
        for target in ids(100):
            yield target
            seen.append(CURRENT.get())
    finally:
        CURRENT.reset(token)
        seen.append("closed")


@pytest.mark.parametrize("source", [holding_a_task_group, holding_a_context_variable], ids=["async", "sync"])
async def test_a_generator_is_pulled_by_one_task(source):
    """Task groups, timeouts and context variables hold across the yields of a generator, also if it is left early."""
    seen: list[str] = []
    early: list[str] = []
    left = source(early)
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(source(seen), concurrency=8)
        async with galileo.count_many(left, concurrency=2) as stream:
            await anext(stream)
    assert report.counts == tuple(range(100))
    assert seen == ["source"] * 100 + ["closed"]
    assert early[-1] == "closed"
    assert CURRENT.get() == "unset"


async def test_a_queue_as_source_may_be_left():
    """`wait_for(queue.get())` in a source, whose cancellation Python 3.11 can lose, doesn't keep the block open."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def source() -> AsyncIterator[str]:
        while True:
            yield await asyncio.wait_for(queue.get(), 60)

    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with asyncio.timeout(30):
            async with galileo.count_many(source(), concurrency=4) as stream:
                for target in ids(20):
                    queue.put_nowait(target)
                async for _ in stream:
                    queue.put_nowait(PROJECT)
                    break
            assert idle(galileo)


async def test_a_second_event_loop_is_told_before_it_waits():
    """A client that is used in another loop says so at once, also where the first loop left it no place."""

    async def second(galileo: GalileoSessions) -> None:
        async with asyncio.timeout(30):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await galileo.count(PROJECT)
            report = await galileo.count_all(ids(3))
        assert ["another event loop" in str(error) for error in report.errors] == [True] * 3
        assert report.errors[0].query.project_id == ids(1)[0]

    limits = Limits(1)
    async with raw_server(silence) as server, GalileoSessions("k", base_url=server.url, limits=limits) as galileo:
        counting = asyncio.create_task(galileo.count(PROJECT))
        try:
            await until(lambda: server.requests)
            await asyncio.to_thread(asyncio.run, second(galileo))
        finally:
            counting.cancel()
            await asyncio.wait([counting])


@pytest.mark.parametrize("auth", [None, PasswordAuth("ann", "pw")], ids=["key", "password"])
async def test_two_close_at_once(auth):
    """Closing twice, also at the same time and during a login, ends once and leaves nothing; then nothing counts."""
    async with raw_server(silence) as server:
        galileo = GalileoSessions("k" if auth is None else None, auth=auth, base_url=server.url)
        counting = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        async with asyncio.timeout(30):
            await asyncio.gather(galileo.close(), galileo.close())
            await galileo.close()
            (outcome,) = await asyncio.gather(counting, return_exceptions=True)
        assert type(outcome) is ConfigurationError
        assert idle(galileo)
        with pytest.raises(ConfigurationError, match="closed"):
            await galileo.count(PROJECT)
        assert [type(error) for error in (await galileo.count_all(ids(3))).errors] == [ConfigurationError] * 3


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

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:

        async def use() -> None:
            async with galileo.count_many(source()) as stream:
                await anext(stream)
                raise KeyError("in the body")

        task = asyncio.create_task(use())
        await ending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert idle(galileo)
    assert task.cancelled()
    assert isinstance(caught.value.__context__, KeyError | asyncio.CancelledError)


# ---- three kinds of event loops --------------------------------------------------------------------------------------


def eager_loop() -> asyncio.AbstractEventLoop:
    """An event loop of asyncio whose tasks begin at once."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(EAGER)
    return loop


def uv_loop() -> asyncio.AbstractEventLoop:
    """An event loop of uvloop, whose handles of timers have no `when()` for short delays."""
    import uvloop

    return uvloop.new_event_loop()


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(eager_loop, id="eager tasks", marks=eagerly),
    pytest.param(uv_loop, id="uvloop"),
]


def refuses(nth: int) -> bytes:
    """Asks the first four to come a second later, and refuses one request in twenty."""
    if nth <= 4:
        return http(429, "", Retry_After="1")
    return http(503, "") if nth % 20 == 0 else http()


def is_away(nth: int) -> bytes:
    """Is away after 20 requests, for 28."""
    return http(503, "") if 20 < nth <= 48 else http()


@pytest.mark.parametrize("service", [refuses, is_away])
@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_fan_out_loses_nothing_in_any_loop(new_loop, service):
    """Timers of pauses, backoffs and Retry-Afters wake each count, and all are counted."""
    attempts: list[Attempt] = []

    async def count() -> None:
        async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            writer.write(service(nth))

        async with raw_server(behave) as server:
            async with GalileoSessions("k", base_url=server.url, on_attempt=attempts.append) as galileo:
                async with asyncio.timeout(30):
                    report = await galileo.count_all(ids(300))
                assert report.counts == (7,) * 300
                assert idle(galileo)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(count())
    assert any(attempt.breaker_open for attempt in attempts) is (service is is_away)
    assert (max(attempt.waited for attempt in attempts) >= 1) or service is is_away


@pytest.mark.parametrize("answer", [None, http(503, ""), http(429, "", Retry_After="9")], ids=["silent", "503", "429"])
@pytest.mark.parametrize("new_loop", LOOPS)
def test_counts_that_wait_can_be_cancelled_in_any_loop(new_loop, answer):
    """Whether they wait for an answer, a place, a probe or a Retry-After, nothing is left of them."""

    async def count() -> None:
        async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
            if nth == 1 or answer is not None:
                writer.write(http() if nth == 1 else answer)
            else:
                await asyncio.sleep(60)

        async with raw_server(behave) as server, GalileoSessions("k", base_url=server.url) as galileo:
            assert await galileo.count(PROJECT) == 7
            singles = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(30)]
            async with asyncio.timeout(30):
                async with galileo.count_many(ids(50)):
                    await until(lambda: len(server.requests) > 8)
                    await asyncio.sleep(0.2)
                    for single in singles:
                        single.cancel()
                    await asyncio.wait(singles)
            assert all(single.cancelled() for single in singles)
            assert idle(galileo)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(count())
