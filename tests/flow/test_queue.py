"""Rules 1, 8 and 9, the queue of a client: who gets a permit, in which order, and that no permit is lost."""

import asyncio
import itertools
import random

import pytest
from support.clients import ids
from support.clock import virtual_time
from support.inside import in_flight, our_tasks
from support.network import COUNTED, Late, Scripted, cost_of, outcome_of, refusal, status
from support.sockets import PROJECT

from galileo_sessions import ConfigurationError, GalileoError, Limits, Retry, TLSError
from galileo_sessions.flow import outcome
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queue import Queue

FRESH, REFUSED_LAST, FAILED_LAST = range(3)
SINGLE, MANY = Budget(patience=90.0, is_single=True), Budget(patience=90.0)
REFUSED = status(503)


def narrow(width: int = 1, **limits: float) -> Queue:
    return Queue(Limits(width, **limits), Retry())


def now() -> float:
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Lets all tasks run as far as they can, the pace of requests included."""
    await asyncio.sleep(0.1)


def try_acquire(queue: Queue, budget: Budget = MANY) -> Permit | None:
    """A permit of a fresh query, if there is one now."""
    return queue.try_acquire(budget, FRESH)


async def acquire(queue: Queue, budget: Budget = MANY, seconds: float = 0.0, standing: int = FRESH) -> Permit | None:
    """Waits so long, and then for a permit; None if the count is given up."""
    return await queue.acquire(budget, standing) if await queue.sleep(now() + seconds) else None


def waiting(queue: Queue, *arguments: object) -> asyncio.Task[Permit | None]:
    """A task that does so."""
    return asyncio.create_task(acquire(queue, *arguments))


def succeed(queue: Queue, permit: Permit) -> None:
    """Ends a request of a query of its own with an answer."""
    queue.ended(permit, now(), Outcome("success", 0.1), permit.number)


def refuse(queue: Queue, permit: Permit, error: GalileoError = REFUSED) -> None:
    """Ends a request of a query of its own with an error."""
    queue.ended(permit, now(), outcome.outcome_of(error), permit.number, error)


async def open_the_breaker(queue: Queue) -> None:
    """Lets the service refuse until only single probes are sent."""
    while not queue.flow.breaker.is_open:
        refuse(queue, await acquire(queue))


async def visit(queue: Queue, order: list[str], name: str, budget: Budget = MANY, standing: int = FRESH) -> None:
    """Waits for a permit, notes its name, and has an answer."""
    permit = await queue.acquire(budget, standing)
    order.append(name)
    await asyncio.sleep(0)
    succeed(queue, permit)


def done(tasks: list[asyncio.Task]) -> list[bool]:
    return [task.done() for task in tasks]


# ---- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lot", range(20))
@virtual_time
async def test_after_an_outage_permits_are_drawn_by_lot(lot):
    """So if the first ones of the line are bad, others find out that the service is back."""
    random.seed(lot)
    queue, order, names = narrow(20), list[str](), "abcdefghijklmnopqrst"
    await open_the_breaker(queue)
    await asyncio.gather(*(visit(queue, order, name) for name in names))
    assert [*names] == sorted(order)
    assert {*"klmnopqrst"} & {*order[:10]}


@virtual_time
async def test_single_counts_take_turns_with_fan_outs():
    """One target of each fan-out and one single count go in turn, each line in the order in which they came."""
    queue, order, lines = narrow(), list[str](), [("abcde", Budget()), ("xyz", Budget()), ("12", SINGLE)]
    held = try_acquire(queue)
    visits = asyncio.gather(*(visit(queue, order, name, budget) for names, budget in lines for name in names))
    await turn()
    queue.released(held)
    await visits
    assert ("ax1by2czde", 0) == ("".join(order), queue.flow.in_flight)


@virtual_time
async def test_a_rate_that_the_user_sets_is_never_exceeded():
    """Requests are evenly spaced, after a quiet time and an outage, too; retries and single counts are included."""
    queue, sent = narrow(20, rate=4.0), list[float]()

    async def count(budget: Budget) -> None:
        permit = await acquire(queue, budget)
        sent.append(now())
        await asyncio.sleep(0.1)
        (refuse if len(sent) % 3 else succeed)(queue, permit)

    for _ in range(2):
        await asyncio.gather(*(count(budget) for budget in [MANY, SINGLE] * 10))
        await asyncio.sleep(3_600)
    assert 40 == len(sent)
    assert min(later - before for before, later in itertools.pairwise(sent)) > 0.249


# ---- queries in trouble ----------------------------------------------------------------------------------------------


async def at_once(queue: Queue, budget: Budget, held: int) -> tuple[int, int, int]:
    """Of counts that wait while all places are taken, how many fresh, refused and failed ones are sent then."""
    permits = [try_acquire(queue, budget) for _ in range(held)]
    waiters = [
        [waiting(queue, budget, 0.0, standing) for _ in range(8)] for standing in (FRESH, REFUSED_LAST, FAILED_LAST)
    ]
    await turn()
    for permit in permits:
        queue.released(permit)
    await turn()
    sent = tuple(sum(done(tasks)) for tasks in waiters)
    queue.close()
    for permit in await asyncio.gather(*itertools.chain(*waiters)):
        if permit is not None:
            queue.released(permit)
    assert (0, 0, 0) == (queue.flow.in_flight, budget.in_flight, budget.in_trouble)
    return sent


@pytest.mark.parametrize("lot", range(20))
@pytest.mark.parametrize("concurrency", [2, 4, 16, 100])
@virtual_time
async def test_queries_in_trouble_leave_half_of_the_places_to_fresh_ones(concurrency, lot):
    """Of the width, and of `concurrency`; what failed waits behind what was refused."""
    random.seed(lot)
    places = min(8, concurrency)
    fresh, refused, failed = await at_once(narrow(8), Budget(concurrency=concurrency), places)
    assert (places, 0) == (fresh + refused, failed)
    assert places // 2 <= fresh


@virtual_time
async def test_a_fan_out_has_no_more_requests_under_way_than_its_concurrency():
    """Others go on meanwhile."""
    queue, few = narrow(20), Budget(concurrency=4)
    held = [try_acquire(queue, few) for _ in range(4)]
    assert try_acquire(queue, few) is None
    waiters = [waiting(queue, few) for _ in range(4)]
    await turn()
    queue.released(await acquire(queue))
    assert (0, 4) == (sum(done(waiters)), few.in_flight)
    queue.released(held[0])
    await turn()
    assert (1, 4) == (sum(done(waiters)), few.in_flight)
    queue.close()


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


@virtual_time
async def test_closing_ends_all_waits():
    """Also if one is cancelled in the same moment; a queue that was never used has none."""
    narrow().close()
    queue = narrow()
    held = try_acquire(queue)
    cancelled, *tasks = [waiting(queue), waiting(queue), waiting(queue, SINGLE), waiting(queue, MANY, 60.0)]
    await turn()
    cancelled.cancel()
    queue.close()
    assert [None] * 3 == await asyncio.gather(*tasks)
    await asyncio.wait([cancelled])
    queue.released(held)
    assert (True, 0) == (cancelled.cancelled(), queue.flow.in_flight)


def test_counts_that_are_closed_after_their_loop_wake_nobody():
    """Coroutines that waited in a loop that is closed by then can be closed, whether or not they have a permit."""
    loop, queue = asyncio.new_event_loop(), narrow()
    waiters = [acquire(queue) for _ in range(3)]

    async def wait() -> Permit:
        permit = try_acquire(queue)
        for waiter in waiters:
            asyncio.create_task(waiter)._log_destroy_pending = False
        await asyncio.sleep(0)
        return permit

    queue.released(loop.run_until_complete(wait()))
    loop.close()
    for waiter in waiters:
        waiter.close()
    assert queue.flow.in_flight == 0


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("when", ["in line", "with a permit", "sent", "asleep"])
@pytest.mark.parametrize("maximum", [1, 2])
@virtual_time
async def test_a_closed_coroutine_gives_its_permit_back(maximum, when, timeout):
    """After `coroutine.close()` in line, in a request or in a Retry-After, a client counts on, also one at a time."""
    sky = Scripted(lambda _, number: refusal(503, 9) if when == "asleep" and number == 1 else None)
    async with sky.client(limits=Limits(maximum)) as galileo:
        before = 0 if when in ("sent", "asleep") else maximum
        others = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(before)]
        await asyncio.sleep(0)
        closing = galileo.count(PROJECT, timeout=timeout)
        closing.send(None)  # it runs until it waits, without a task that would resume it
        if when == "asleep":
            await asyncio.sleep(0.03)
            closing.send(None)  # the refusal has come
        if when == "with a permit":
            await asyncio.gather(*others)
        closing.close()
        assert await asyncio.gather(*others) == [7] * before
        assert in_flight(galileo) == 0
        for _ in range(maximum + 1):
            total, seconds = await outcome_of(galileo, timeout=30)
            assert (total, seconds < 11) == (7, True)
        assert (await cost_of(sky, galileo, 20)).lost == 0
        assert our_tasks() == []


@pytest.mark.parametrize("last", [refusal(429, 30), refusal(503, 1), refusal(503), COUNTED])
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("fan_out", [False, True], ids=["count", "fan-out"])
@virtual_time
async def test_nothing_waits_in_a_closed_client(fan_out, timeout, turns, last):
    """An answer that arrives in the turn of `close()`, or just before, ends its count; nothing more is sent."""
    sky = Scripted(lambda now, number: None if number == 1 else Late(0.5 if now < 0.5 else 0.0, last))
    galileo = sky.client()
    assert await galileo.count(PROJECT) == 7
    call = galileo.count_all(ids(30), timeout=timeout) if fan_out else outcome_of(galileo, timeout=timeout)
    waiting = asyncio.create_task(call)
    await asyncio.sleep(0.5)
    sent = sky.requests
    for _ in range(turns):
        await asyncio.sleep(0)
    began = now()
    await galileo.close()
    found = await waiting
    errors = found.errors if fan_out else [found[0]] * isinstance(found[0], GalileoError)
    assert (now() - began < 0.1, our_tasks()) == (True, [])
    assert last is COUNTED or 1 <= len(errors) <= 30
    assert sky.requests - sent <= (30 if turns else 0)
    sent = sky.requests
    error, seconds = await outcome_of(galileo, timeout=timeout)
    assert (type(error), seconds, sky.requests) == (ConfigurationError, 0, sent)


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
        assert "Try again later, or raise timeout= or Retry(patience=...)" == error.hint
    assert "503 Service Unavailable" in late.message


@virtual_time
async def test_when_there_is_no_hope_counts_fail_at_once_and_a_new_one_is_the_next_probe():
    queue, brief = narrow(20), Budget(patience=5.0)
    while (permit := await acquire(queue, brief)) is not None:
        refuse(queue, permit)
    began = now()
    assert [None] * 3 == [await acquire(queue, brief, 0.0, standing) for standing in (FRESH, REFUSED_LAST, FAILED_LAST)]
    assert began == now()
    permit = await acquire(queue, Budget(patience=5.0, began=now()))
    assert now() - began <= 3
    succeed(queue, permit)
    assert not queue.flow.breaker.is_open


def test_a_queue_closes_although_a_count_sleeps_in_an_event_loop_that_is_closed() -> None:
    """Nobody can wake it any more."""
    queue = narrow()

    async def sleep() -> None:
        await queue.sleep(asyncio.get_running_loop().time() + 60)

    async def close() -> None:
        queue.close()

    loop = asyncio.new_event_loop()
    task = loop.create_task(sleep())
    loop.run_until_complete(asyncio.sleep(0))
    coroutine = task.get_coro()
    asyncio.run(close())
    assert queue.is_closed
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert coroutine.cr_frame is None
