"""The deadlines of all attempts, which share one timer."""

import asyncio

import aiohttp
import pytest
from support.clients import client, connected, failure, ids
from support.clock import virtual_time
from support.inside import deadline_timers
from support.sockets import PROJECT, http, raw_server, silence, until

from galileo_sessions import AttemptTimeoutError, DeadlineExceededError, Timeouts
from galileo_sessions.http.transport import Deadline, Deadlines


async def seconds_until_timeout(deadlines: Deadlines, seconds: float) -> float:
    """How long a block took that only its deadline ends."""
    clock = asyncio.get_running_loop().time
    began = clock()
    with Deadline(deadlines, began + seconds):
        await asyncio.sleep(100_000)
    return clock() - began


@virtual_time
async def test_each_block_ends_at_its_own_deadline():
    """Whatever the order of the deadlines, each ends its own block in time, and no timer is left."""
    deadlines, limits = Deadlines(), [5.0, 3.0, 1.0, 4.0, 1.0, 2.0, 7.5, 0.25, 0.0, -1.0]
    took = await asyncio.gather(*(seconds_until_timeout(deadlines, limit) for limit in limits))
    assert [round(seconds, 3) for seconds in took] == [max(limit, 0) for limit in limits]
    assert deadline_timers() == 0


@virtual_time
async def test_a_block_that_ends_before_its_deadline_is_not_disturbed():
    """After a block has ended, its deadline cancels nothing, also if the same task is in another block by then."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time
    with Deadline(deadlines, clock() + 1):
        await asyncio.sleep(0.5)
    with Deadline(deadlines, clock() + 10):
        await asyncio.sleep(5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("later", [False, True], ids=["before", "at the same moment"])
@virtual_time
async def test_a_cancellation_from_elsewhere_wins(later):
    """A task that is cancelled, before its deadline or just as it passes, ends with CancelledError."""
    deadlines, clock = Deadlines(), asyncio.get_running_loop().time

    async def block() -> None:
        with Deadline(deadlines, clock() + 1):
            await asyncio.sleep(100_000)

    task = asyncio.create_task(block())
    asyncio.get_running_loop().call_at(clock() + (1 if later else 0.5), task.cancel)
    await asyncio.wait([task])
    assert task.cancelled()


@virtual_time
async def test_another_error_of_the_block_is_raised():
    """An error that the block raises as it is cancelled is raised, not a TimeoutError."""

    async def block() -> None:
        with Deadline(Deadlines(), asyncio.get_running_loop().time() + 1):
            try:
                await asyncio.sleep(100_000)
            finally:
                raise LookupError

    with pytest.raises(LookupError):
        await block()


async def test_counts_share_one_timer():
    """While many counts are under way there is one timer for all, and none once the client is closed."""
    async with connected(silence) as (server, galileo):
        counts = [asyncio.create_task(galileo.count(project)) for project in ids(10)]
        await until(lambda: len(server.requests) == 10)
        assert deadline_timers() == 1
        for count in counts:
            count.cancel()
        await asyncio.wait(counts)
    assert deadline_timers() == 0


@pytest.mark.parametrize("injected", [False, True], ids=["own session", "injected session"])
@virtual_time
async def test_counts_with_timeouts_of_their_own_end_in_time(injected):
    """Counts at once with several `timeout=` end after just that time, and the others go on until the attempt ends."""
    async with aiohttp.ClientSession() as session:
        settings = {"session": session if injected else None, "timeouts": Timeouts(attempt=9)}
        async with connected(silence, **settings) as (_, galileo):
            limits = [4, None, 2, 1, 3]
            errors = await asyncio.gather(*(failure(galileo, timeout=limit) for limit in limits))
    assert [round(error.attempts[0].elapsed, 2) for error in errors] == [limit or 9 for limit in limits]
    assert [type(error) for error in errors] == [
        AttemptTimeoutError if limit is None else DeadlineExceededError for limit in limits
    ]


@virtual_time
async def test_an_injected_sessions_request_times_out_after_the_client_is_closed():
    """A count that goes on while its client is closed still ends at its deadline."""
    async with raw_server(silence) as server, aiohttp.ClientSession() as session:
        galileo = client(server.url, session=session, timeouts=Timeouts(attempt=5))
        count = asyncio.create_task(failure(galileo))
        await until(lambda: server.requests)
        await galileo.close()
        async with asyncio.timeout(6):
            await count


def test_deadlines_end_counts_in_uvloop():
    """In uvloop an attempt times out, too, and the next one can succeed."""
    import uvloop

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        await (silence(nth, writer) if nth == 1 else asyncio.sleep(0))
        writer.write(http())

    async def count() -> None:
        async with connected(behave, timeouts=Timeouts(attempt=1)) as (server, galileo):
            assert await galileo.count(PROJECT) == 7
            assert len(server.requests) == 2

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(count())
