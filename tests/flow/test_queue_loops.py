"""The queue of a client and event loops: a second one, one that was closed, and one that is busy."""

import asyncio

import pytest
from support.clock import VirtualLoop, virtual_time
from support.queues import succeed

from galileo_sessions import Limits, Retry
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.queue import Queue


@pytest.mark.parametrize("busy", [False, True])
@virtual_time
async def test_a_busy_event_loop_blames_nobody_for_what_takes_longer(busy):
    """Answers that take longer the more there are narrow the width, unless callbacks take most of the time between."""
    queue = Queue(Limits(256), Retry())
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    for _ in range(30 if busy else 100):
        permits = []
        while (permit := queue.try_acquire(interactive=False)) is not None:
            permits.append(permit)
        for permit in permits:
            await asyncio.sleep(0.02)
            succeed(queue, permit)
            if busy:
                loop.work(0.08)
            await asyncio.sleep(0)
    assert queue.flow.width == 256 if busy else queue.flow.width < 20


def test_counts_that_are_closed_after_their_loop_wake_nobody():
    """Coroutines that waited in a loop that is closed by then can be closed, whether or not they have a permit."""
    loop, queue = asyncio.new_event_loop(), Queue(Limits(1), Retry())
    waiters = [queue.acquire(interactive=False, patience=90.0) for _ in range(3)]

    async def wait() -> Permit:
        permit = queue.try_acquire(interactive=False)
        for waiter in waiters:
            asyncio.create_task(waiter)._log_destroy_pending = False
        await asyncio.sleep(0)
        return permit

    queue.released(loop.run_until_complete(wait()))
    loop.close()
    for waiter in waiters:
        waiter.close()
    assert queue.flow.in_flight == 0
