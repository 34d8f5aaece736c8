"""The queue of a client and event loops: a second one, one that was closed, and one that is busy."""

import asyncio

import pytest
from support.clock import VirtualLoop, run, virtual_time

from galileo_sessions import Limits, Retry
from galileo_sessions.client.flow.queue import Admission


def waiting(admission: Admission, *, single: bool = False, **arguments) -> asyncio.Task:
    """A task that waits for a permit."""
    return asyncio.create_task(admission.acquire(single=single, patience=90.0, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_second_loop_begins_anew():
    """What a client waited for in another event loop doesn't hold it up in this one."""
    admission = Admission(Limits(1), Retry())

    async def leave() -> None:
        assert await admission.acquire(single=False, patience=90.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await admission.acquire(single=False, patience=90.0)

    await asyncio.to_thread(run, leave())
    assert admission.try_acquire(single=False) is not None


def test_who_waited_in_a_loop_that_was_closed_is_forgotten():
    """Whoever waits in a loop that ends without a cancellation gets no permit of the next one's."""
    admission = Admission(Limits(1), Retry())
    closed = VirtualLoop(grace=0)
    closed.set_exception_handler(lambda *_: None)  # it would tell of tasks that nobody awaited
    tasks: list[asyncio.Task] = []

    async def leave() -> None:
        assert admission.try_acquire(single=False) is not None
        tasks.extend([waiting(admission), waiting(admission, single=True), waiting(admission, not_before=now() + 60)])
        await asyncio.sleep(0.1)

    async def come() -> None:
        for _ in range(3):
            async with asyncio.timeout(10):
                permit = await admission.acquire(single=False, patience=90.0)
            await asyncio.sleep(100)
            assert admission.flow.in_flight == 1
            admission.released(permit)
        assert admission.flow.in_flight == 0

    closed.run_until_complete(leave())
    closed.close()
    run(come())
    assert not any(task.done() for task in tasks)


@pytest.mark.parametrize("busy", [0, 16])
@virtual_time
async def test_a_busy_event_loop_blames_nobody_for_what_takes_longer(busy):
    """Slow answers narrow the width, unless callbacks take most of the time between them."""
    said: list[str] = []
    admission = Admission(Limits(256, initial=64), Retry(), said.append)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    for number in range(16):
        permit = admission.try_acquire(single=False)
        await asyncio.sleep(0.02)
        admission.succeeded(permit, now())
        if number < busy:
            loop.work(0.08)
        await asyncio.sleep(0 if number < busy else 0.08)
    permits = [admission.try_acquire(single=False) for _ in range(16)]
    await asyncio.sleep(0.4)
    for permit in permits:
        admission.succeeded(permit, now())
    assert said == ([] if busy == 16 else ["width 4: more at once only took longer"])
