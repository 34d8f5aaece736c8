"""Rules 1, 8 and 9, the queue of a client: who gets a permit, in which order, and that no permit is lost."""

import asyncio
import itertools
import random

import pytest
from support.clients import ids
from support.clock import virtual_time
from support.network import COUNTED, Late, Scripted, cost_of, outcome_of, refusal
from support.private import in_flight, our_tasks
from support.sockets import PROJECT

from galileo_sessions import ClosedError, GalileoError, Limits, Retry, TLSError
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.queue import Queue

SINGLE, A, B = Budget(is_single=True), Budget(), Budget()


# ---- order -----------------------------------------------------------------------------------------------------------


async def order_of(lines: list[tuple[str, Budget, int]]) -> str:
    """In which order the counts in some lines are sent, one at a time."""
    queue, order = Queue(Limits(1), Retry()), list[str]()
    held = queue.try_acquire(SINGLE, 0)

    async def visit(name: str, budget: Budget, standing: int) -> None:
        permit = await queue.acquire(budget, standing)
        order.append(name)
        queue.released(permit)

    visits = asyncio.gather(*(visit(name, *line) for names, *line in lines for name in names))
    await asyncio.sleep(0)
    queue.released(held)
    await visits
    assert queue.flow.in_flight == 0
    return "".join(order)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("abcde", A, 0), ("xyz", B, 0), ("12", SINGLE, 0)], "ax1by2czde"),
        ([("abcdef", A, 2), ("uvwxyz", A, 1)], "uvwxyzabcdef"),
    ],
)
@virtual_time
async def test_in_which_order_counts_are_sent(lines, expected):
    """Fan-outs and single counts take turns; of one fan-out, what failed (2) waits behind what was refused (1)."""
    assert await order_of(lines) == expected


@pytest.mark.parametrize("seed", range(10))
@virtual_time
async def test_what_failed_waits_behind_what_was_refused_also_beside_fresh_counts(seed):
    random.seed(seed)
    order = await order_of([("failed", A, 2), ("REFUSED", A, 1), ("012345", A, 0)])
    assert [letter for letter in order if letter.isalpha()] == [*"REFUSEDfailed"]


@virtual_time
async def test_a_rate_that_the_user_sets_is_never_exceeded():
    """Requests are evenly spaced, after a quiet time and an outage, too; retries and single counts are included."""
    sky = Scripted(lambda _, number: refusal() if number % 3 == 0 or 60 < number < 70 else None)
    async with sky.client(limits=Limits(rate=4.0)) as galileo:
        for _ in range(2):
            single = asyncio.gather(*(outcome_of(galileo, project) for project in ids(30)[20:]))
            assert 0 == (await cost_of(sky, galileo, 20)).lost
            await single
            await asyncio.sleep(3_600)
    assert 80 < sky.requests
    assert min(later - before for before, later in itertools.pairwise(sky.arrivals)) > 0.249


# ---- queries in trouble ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [[None], [refusal(500)], []], ids=["answered", "failed", "none"])
@virtual_time
async def test_a_count_that_sleeps_keeps_to_a_later_retry_after_of_its_query(others):
    """While it sleeps, another count of the query is answered or fails; then a third, sent before that, fails."""
    ended = [Late(0.1, each) for each in others]
    answers = dict(enumerate([refusal(429, 3), *ended, Late(1, refusal(429, 6))], 1))
    sky = Scripted(lambda _, number: answers.get(number))
    async with sky.client() as galileo:
        await asyncio.gather(*[galileo.count(PROJECT) for _ in answers])
    assert 7 <= sky.arrivals[len(answers)] - sky.arrivals[0]


# ---- permits come back, and nothing waits in a closed queue ----------------------------------------------------------


def test_nobody_is_woken_in_a_loop_that_is_closed():
    """What waited or slept there can be closed, with a permit or without, and so can the queue, in another loop."""
    loop, queue = asyncio.new_event_loop(), Queue(Limits(1), Retry())
    waiting = [queue.acquire(SINGLE, 0), queue.acquire(SINGLE, 0), queue.sleep(loop.time() + 60)]

    async def wait() -> Permit:
        permit = queue.try_acquire(SINGLE, 0)
        for each in waiting:
            asyncio.create_task(each)._log_destroy_pending = False
        await asyncio.sleep(0)
        return permit

    async def close() -> None:
        queue.close()

    queue.released(loop.run_until_complete(wait()))
    loop.close()
    asyncio.run(close())
    for each in waiting:
        each.close()
    assert (queue.is_closed, queue.flow.in_flight) == (True, 0)


@pytest.mark.parametrize("when", ["in line", "with a permit", "sent", "asleep"])
@pytest.mark.parametrize("maximum", [1, 2])
@virtual_time
async def test_a_closed_coroutine_gives_its_permit_back(maximum, when):
    """After `coroutine.close()` in line, in a request or in a Retry-After, a client counts on, also one at a time."""
    sky = Scripted(lambda _, number: refusal(503, 9) if when == "asleep" and number == 1 else None)
    async with sky.client(limits=Limits(maximum)) as galileo:
        before = 0 if when in ("sent", "asleep") else maximum
        others = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(before)]
        await asyncio.sleep(0)
        closing = galileo.count(PROJECT)
        closing.send(None)  # it runs until it waits, without a task that would resume it
        if when == "asleep":
            await asyncio.sleep(0.03)
            closing.send(None)  # the refusal has come
        if when == "with a permit":
            await asyncio.gather(*others)
        closing.close()
        assert await asyncio.gather(*others) == [7] * before
        assert in_flight(galileo) == 0
        total, seconds = await outcome_of(galileo, timeout=30)
        assert (total, seconds < 11) == (7, True)
        assert (await cost_of(sky, galileo, 20)).lost == 0
        assert our_tasks() == []


@pytest.mark.parametrize("last", [refusal(429, 30), refusal(503), COUNTED])
@pytest.mark.parametrize("turns", [0, 1, 2])
@virtual_time
async def test_nothing_waits_in_a_closed_client(turns, last):
    """An answer that arrives in the turn of `close()`, or just before, ends its count; nothing more is sent."""
    sky = Scripted(lambda now, number: None if number == 1 else Late(0.5 if now < 0.5 else 0.0, last))
    galileo = sky.client()
    assert await galileo.count(PROJECT) == 7
    calls = [asyncio.create_task(call) for call in (galileo.count_all(ids(30)[1:]), outcome_of(galileo))]
    await asyncio.sleep(0.5)
    sent = sky.requests
    for _ in range(turns):
        await asyncio.sleep(0)
    began = sky.now
    await galileo.close()
    report, (found, _) = await asyncio.gather(*calls)
    assert (sky.now - began < 0.1, our_tasks()) == (True, [])
    assert last is COUNTED or (isinstance(found, GalileoError) and 1 <= len(report.errors) <= 29)
    assert sky.requests - sent <= (30 if turns else 0)
    sent = sky.requests
    error, seconds = await outcome_of(galileo)
    assert (type(error), seconds, sky.requests) == (ClosedError, 0, sent)


@virtual_time
async def test_a_count_is_cancelled_in_the_moment_in_which_its_client_closes():
    """It is cancelled; of the others, one is answered, and one waits no longer."""
    async with Scripted().client(limits=Limits(1)) as galileo:
        tasks = [asyncio.create_task(outcome_of(galileo)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
    (answered, _), cancelled, (closed, _) = await asyncio.gather(*tasks, return_exceptions=True)
    assert 7 == answered
    assert [asyncio.CancelledError, ClosedError] == [type(error) for error in (cancelled, closed)]


# ---- while the circuit breaker is open -------------------------------------------------------------------------------


@virtual_time
async def test_a_count_that_is_given_up_names_what_it_met_or_else_what_others_met():
    """And the circuit breaker behind which it waited; somebody else's untrusted certificate is none of its business."""
    answers = {10: TLSError("an untrusted certificate")}
    sky = Scripted(lambda _, number: answers.get(number, refusal()))
    async with sky.client(retry=Retry(patience=3)) as galileo:
        report = await galileo.count_all(ids(30))
        met = [error for error in report.errors if not isinstance(error, TLSError)]
        late, _ = await outcome_of(galileo, ids(31)[30], timeout=0.05)
    assert 29 == len(met)
    for error in met:
        assert error.message.startswith("503 Service Unavailable")
        assert "; while waiting for the circuit breaker: the service has refused everything for " in error.message
        assert "Try again later, or raise the timeout or the patience (Retry.patience)" == error.hint
    assert "503 Service Unavailable" in late.message
