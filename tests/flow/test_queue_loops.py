"""The queue of a client and event loops: a second one, one that was closed, and one that is busy."""

import asyncio

import pytest
from support.clock import VirtualLoop, virtual_time
from support.queues import succeed

from galileo_sessions import Limits, Retry
from galileo_sessions.client.flow.queue import Queue


@pytest.mark.parametrize("busy", [False, pytest.param(True, marks=pytest.mark.thorough)])
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
