"""The queue of a client and event loops: a second one, one that was closed, and one that is busy."""

import asyncio

import pytest
from support.clock import VirtualLoop, run, virtual_time

from galileo_sessions import ConfigurationError, Limits, Retry
from galileo_sessions.client.flow.queue import Queue


def waiting(queue: Queue, *, interactive: bool = False, **arguments) -> asyncio.Task:
    """A task that waits for a permit."""
    return asyncio.create_task(queue.acquire(interactive=interactive, patience=90.0, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_second_loop_begins_anew():
    """What a client waited for in another event loop doesn't hold it up in this one."""
    queue = Queue(Limits(1), Retry())

    async def leave() -> None:
        assert await queue.acquire(interactive=False, patience=90.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await queue.acquire(interactive=False, patience=90.0)

    await asyncio.to_thread(run, leave())
    assert queue.try_acquire(interactive=False) is not None


def test_who_waited_in_a_loop_that_was_closed_is_forgotten():
    """Whoever waits in a loop that ends without a cancellation gets no permit of the next one's."""
    queue = Queue(Limits(1), Retry())
    closed = VirtualLoop(grace=0)
    closed.set_exception_handler(lambda *_: None)  # it would tell of tasks that nobody awaited
    tasks: list[asyncio.Task] = []

    async def leave() -> None:
        assert queue.try_acquire(interactive=False) is not None
        tasks.extend([waiting(queue), waiting(queue, interactive=True), waiting(queue, not_before=now() + 60)])
        await asyncio.sleep(0.1)

    async def come() -> None:
        queue.close(ConfigurationError("closed"))  # ends only waits of this loop
        for _ in range(3):
            async with asyncio.timeout(10):
                permit = await queue.acquire(interactive=False, patience=90.0)
            await asyncio.sleep(100)
            assert queue.flow.in_flight == 1
            queue.released(permit)
        assert queue.flow.in_flight == 0

    closed.run_until_complete(leave())
    closed.close()
    run(come())
    assert not any(task.done() for task in tasks)


@pytest.mark.parametrize("busy", [False, True])
@virtual_time
async def test_a_busy_event_loop_blames_nobody_for_what_takes_longer(busy):
    """Answers that take longer the more there are narrow the width, unless callbacks take most of the time between."""
    said: list[str] = []
    queue = Queue(Limits(256), Retry(), said.append)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    for _ in range(30 if busy else 100):
        permits = []
        while (permit := queue.try_acquire(interactive=False)) is not None:
            permits.append(permit)
        for permit in permits:
            await asyncio.sleep(0.02)
            queue.succeeded(permit, now())
            if busy:
                loop.work(0.08)
            await asyncio.sleep(0)
    assert busy is not any("more at once only took longer" in text for text in said)
