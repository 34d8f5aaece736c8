"""The queue of a client whose circuit breaker is open: single probes are sent, and all who wait fail together."""

import asyncio

import pytest
from support.clock import virtual_time
from support.decisions import status
from support.queues import REFUSED, narrow, now, open_the_breaker, refuse, succeed, turn, waiting

from galileo_sessions import DisconnectedError, GalileoError, ServerError
from galileo_sessions.client.flow.control import Permit


@virtual_time
async def test_all_who_wait_fail_together():
    """When patience ends, all counts get the service's last answer in the same moment, wherever they wait."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(interactive=False))
    clock = asyncio.get_running_loop().time
    await open_the_breaker(queue)
    everybody = {*[waiting(queue) for _ in range(200)], waiting(queue, interactive=True)}
    everybody.add(waiting(queue, not_before=clock() + 10_000))
    ended: dict[asyncio.Task, float] = {}
    for task in everybody:
        task.add_done_callback(lambda task: ended.setdefault(task, clock()))
    began, probes, pending = clock(), 0, everybody
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)  # the callbacks of the last ones
        for probe in [task.result() for task in done if isinstance(task.result(), Permit)]:
            probes += 1
            refuse(queue, probe, REFUSED if probes % 2 else DisconnectedError("gone"))
    told = [task for task in everybody if not isinstance(task.result(), Permit)]
    assert 100 <= len(told) == 202 - probes
    assert len({ended[task] for task in told}) == 1
    assert 87 < clock() - began <= 90
    assert {type(task.result()) for task in told} == {ServerError}
    words = ("503", "the service has refused everything for")
    assert all(word in str(task.result()) for task in told for word in words)
    assert REFUSED.args == ("503 Service Unavailable: an empty body",)


@virtual_time
async def test_an_interactive_count_has_less_patience():
    """A count with a patience of 10 s fails before the others; a new one that comes then waits for the next probe."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(interactive=False))
    await open_the_breaker(queue)
    began = now()
    lone = waiting(queue, interactive=True, patience=10.0, not_before=began + 10_000)
    many = [waiting(queue) for _ in range(40)]
    for task in many:
        refuse(queue, await task)
        await turn()
        if lone.done():
            break
    assert 7 < now() - began <= 10
    assert type(lone.result()) is ServerError
    assert type(await queue.acquire(interactive=True, patience=10.0, has_failed=True)) is ServerError
    queue.released(await queue.acquire(interactive=True, patience=10.0))
    for task in many:
        task.cancel()
    await asyncio.wait(many)


@virtual_time
async def test_a_target_that_comes_when_there_is_no_hope_fails_at_once():
    """After all have failed, a fan-out's target fails at once, until the next probe is due: it can be that."""
    queue = narrow(20)
    while not isinstance(permit := await queue.acquire(interactive=False, patience=90.0), GalileoError):
        refuse(queue, permit)
    pause, began = queue.flow.wait(now()), now()
    while (probe := queue.try_acquire(interactive=False)) is None:
        before = now()
        assert type(await queue.acquire(interactive=False, patience=90.0)) is ServerError
        assert now() == before
        await turn()
    assert pause <= now() - began < pause + 0.2
    succeed(queue, probe)
    assert not queue.flow.breaker.is_open


@virtual_time
async def test_an_answer_closes_the_breaker():
    """A probe that is answered with a 404 shows that the service is back; one that is cancelled doesn't."""
    queue = narrow(5)
    await open_the_breaker(queue)
    queue.released(await queue.acquire(interactive=False, patience=90.0))
    assert queue.flow.breaker.is_open
    refuse(queue, await queue.acquire(interactive=False, patience=90.0), status(404))
    assert not queue.flow.breaker.is_open
    refuse(queue, await queue.acquire(interactive=False, patience=90.0), status(404))
    assert queue.flow.in_flight == 0


@virtual_time
async def test_only_single_probes_are_sent():
    """Whether the count is interactive or not, one request is under way, until one succeeds."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(interactive=False))
    await open_the_breaker(queue)
    tasks = [waiting(queue, interactive=number % 2 == 0) for number in range(10)]
    for number in range(3):
        await asyncio.sleep(5)
        (probe,) = [task for task in tasks if task.done()]
        assert queue.flow.in_flight == 1, number
        tasks.remove(probe)
        refuse(queue, probe.result())
    await asyncio.sleep(5)
    (probe,) = [task for task in tasks if task.done()]
    succeed(queue, probe.result())
    await turn()
    assert sum(task.done() for task in tasks) > 1
    for task in tasks:
        if task is not probe:
            succeed(queue, await task)


@pytest.mark.parametrize("error", [status(429, Retry_After="3600"), status(503, Retry_After="100")], ids=str)
@virtual_time
async def test_a_pause_that_outlasts_patience_ends_all_waits_at_once(error):
    """The error is the service's own, with its Retry-After."""
    queue = narrow(20)
    await open_the_breaker(queue, error)
    began = now()
    probe, *others = [waiting(queue, interactive=number == 3) for number in range(5)]
    others.append(waiting(queue, not_before=began + 50))
    refuse(queue, await next(asyncio.as_completed([probe, others[2]])), error)
    await asyncio.wait(others)
    told = [task.result() for task in (probe, *others) if not isinstance(task.result(), Permit)]
    assert now() - began < 1
    assert {(type(one), one.retry_after) for one in told} == {(type(error), error.retry_after)}
    assert len(told) == 5
