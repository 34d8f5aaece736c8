"""Event loops of all kinds: asyncio's, with eager tasks, uvloop's, and a second one."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator

import pytest
import uvloop
from support.clients import EAGER, connected, eagerly, ids
from support.sockets import PROJECT, http, silence, until

from galileo_sessions import Attempt, Col, ConfigurationError, GalileoSessions, Limits

CURRENT = contextvars.ContextVar("current", default="unset")


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


async def holding_a_task_group(seen: list[str]) -> AsyncIterator[str]:
    """An async generator with a timeout, a task group and the same around its yields."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for target in holding_a_context_variable(seen):
            await group.create_task(asyncio.sleep(0))
            yield target


@pytest.mark.parametrize("source", [holding_a_task_group, holding_a_context_variable], ids=["async", "sync"])
async def test_a_generator_is_pulled_by_one_task(source):
    """Task groups, timeouts and context variables hold across the yields of a generator, also if it is left early."""
    seen: list[str] = []
    early: list[str] = []
    left = source(early)
    async with connected({}) as (_, galileo):
        report = await galileo.count_all(source(seen), concurrency=8)
        async with galileo.count_many(left, concurrency=2) as stream:
            await anext(stream)
    assert report.counts == tuple(range(100))
    assert seen == ["source"] * 100 + ["closed"]
    assert early[-1] == "closed"
    assert CURRENT.get() == "unset"


@pytest.mark.parametrize("check", [False, True], ids=["counts", "checks"])
async def test_a_second_event_loop_is_told_before_it_waits(check):
    """A client that is used in another loop says so at once, also where the first loop left it no place."""
    where = Col("input") == "x"

    async def second(galileo: GalileoSessions) -> None:
        async with asyncio.timeout(30):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await galileo.count(PROJECT, where)
            report = await galileo.count_all(ids(3), where)
        assert ["another event loop" in str(error) for error in report.errors] == [True] * 3
        assert report.errors[0].query.project_id == ids(1)[0]

    async with connected(silence, limits=Limits(1), check=check) as (server, galileo):
        counting = asyncio.create_task(galileo.count(PROJECT, where))
        try:
            await until(lambda: server.requests)
            await asyncio.to_thread(asyncio.run, second(galileo))
        finally:
            counting.cancel()
            await asyncio.wait([counting])


@pytest.mark.parametrize(
    ("new_loop", "factory"),
    [
        pytest.param(asyncio.new_event_loop, None, id="asyncio"),
        pytest.param(asyncio.new_event_loop, EAGER, id="eager tasks", marks=eagerly),
        pytest.param(uvloop.new_event_loop, None, id="uvloop"),
    ],
)
def test_a_fan_out_loses_nothing_in_any_loop(new_loop, factory):
    """Timers of pauses, backoffs and Retry-Afters wake each count; and what is left early leaves nothing behind."""
    attempts: list[Attempt] = []

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        is_away = nth <= 16 or nth > 340
        writer.write(http(429, "", Retry_After="1") if nth <= 4 else http(503, "") if is_away else http())

    async def count() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        options = {"limits": Limits(initial=1), "jitter": 0.5}  # one after another at first, so failures come in order
        async with connected(behave, on_attempt=attempts.append, **options) as (server, galileo), asyncio.timeout(30):
            assert (await galileo.count_all(ids(300), concurrency=256)).counts == (7,) * 300
            assert any(attempt.breaker_open for attempt in attempts)
            assert max(attempt.waited for attempt in attempts) >= 1
            async with galileo.count_many(ids(300)):
                await until(lambda: len(server.requests) > 360 and attempts[-1].breaker_open)  # none connects now

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(count())
