"""Counts that are cancelled, or ended by the caller's own timeout, leave nothing behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from support.clients import client, ids
from support.clock import virtual_time
from support.inside import idle, in_flight, our_tasks, width
from support.sockets import PROJECT, full_backlog, half_a_body, http, numbered, raw_server, silence, slowly, until

from galileo_sessions import ALWAYS, GalileoSessions, Limits


@asynccontextmanager
async def stuck(phase: str) -> AsyncIterator[tuple[GalileoSessions, Callable[[], object]]]:
    """Gives a client whose next count gets stuck in a phase, and a condition that holds once it is stuck."""
    async with contextlib.AsyncExitStack() as stack:
        if phase == "connecting":
            galileo = await stack.enter_async_context(client(stack.enter_context(full_backlog())))
            yield galileo, lambda: in_flight(galileo)
            return
        behave = {"body": half_a_body, "backoff": http(503, "")}.get(phase, silence)
        server = await stack.enter_async_context(raw_server(behave))
        limits = Limits(initial=1, maximum=1) if phase == "queue" else Limits()
        galileo = await stack.enter_async_context(client(server.url, jitter=1, limits=limits))
        if phase == "queue":
            first = asyncio.create_task(galileo.count(PROJECT))
            await until(lambda: server.requests)
            yield galileo, lambda: True  # it waits as soon as it begins, because the only permit is taken
            assert our_tasks() == [first]
            assert (in_flight(galileo), len(server.requests)) == (1, 1)
            first.cancel()
            await asyncio.wait([first])
        elif phase == "backoff":
            yield galileo, lambda: server.requests and not in_flight(galileo)
        else:
            yield galileo, lambda: server.requests


@pytest.mark.parametrize("phase", ["queue", "connecting", "head", "body", "backoff"])
@virtual_time
async def test_cancelled_in(phase):
    """A cancelled count raises CancelledError and leaves no request, no connection and no task."""
    async with stuck(phase) as (galileo, reached):
        before = width(galileo)
        task = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.02)
        await until(reached)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        if phase != "queue":
            assert our_tasks() == []
            assert idle(galileo)
        assert width(galileo) <= before
    assert idle(galileo)


@virtual_time
async def test_the_callers_own_timeout_is_shorter():
    """If the caller's asyncio.timeout ends a count, the caller's TimeoutError is raised."""
    async with stuck("head") as (galileo, _):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await galileo.count(PROJECT)
        assert type(caught.value) is TimeoutError
    assert idle(galileo)


async def test_cancelled_counts_are_not_successes():
    """Counts that their callers cancelled don't raise the limit of requests at once."""
    async with raw_server(silence) as server, client(server.url) as galileo:
        at_once = width(galileo)
        for _ in range(3):
            tasks = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(at_once)]
            before = len(server.requests)
            await until(lambda before=before: len(server.requests) == before + at_once)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert width(galileo) == at_once
        assert idle(galileo)


@pytest.mark.parametrize("by", [None, {"all": ALWAYS}], ids=["plain", "by"])
@virtual_time
async def test_a_cancelled_fan_out_keeps_what_was_counted(by):
    """The `report` of the cancellation has the results until then, so that Ctrl-C loses no counts."""
    async with numbered({3: slowly(60, 3)}) as server, client(server.url) as galileo:
        counting = asyncio.create_task(galileo.count_all(ids(4), by=by))
        await asyncio.sleep(1)
        counting.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await counting
        assert idle(galileo)
    assert caught.value.report.counts == ((0, 1, 2) if by is None else (0,))


async def test_a_result_that_comes_with_the_cancellation_is_kept():
    """A result that nobody has taken when a fan-out is cancelled is in the report, too."""
    async with numbered({}) as server, client(server.url) as galileo:
        counting = asyncio.create_task(galileo.count_all(ids(1), on_progress=lambda _: counting.cancel()))
        with pytest.raises(asyncio.CancelledError) as caught:
            await counting
    assert caught.value.report.counts == (0,)
