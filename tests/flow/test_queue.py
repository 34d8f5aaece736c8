"""Rule 7, the queue of a client: who gets a permit, in which order, and that no permit is lost."""

import asyncio
import itertools
import random
from math import inf
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import ids
from support.clock import run, virtual_time
from support.inside import in_flight, our_tasks, timers
from support.network import COUNTED, Late, Scripted, cost_of, outcome_of, refusal, status
from support.sockets import PROJECT

from galileo_sessions import ConfigurationError, DisconnectedError, GalileoError, Limits, Retry, TLSError
from galileo_sessions.flow import outcome
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.outcome import Outcome
from galileo_sessions.flow.queries import FRESH, IN_TROUBLE, OWN, Queries, Trouble
from galileo_sessions.flow.queue import Queue
from galileo_sessions.flow.rate import Rate

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


async def acquire(
    queue: Queue, budget: Budget = MANY, seconds: float = 0.0, *, has_failed: bool = False
) -> Permit | None:
    """Waits so long, and then for a permit; None if the count is given up."""
    if not await queue.sleep(now() + seconds, (budget.patience, -inf)):
        return None
    return await queue.acquire(budget, FRESH, -inf, has_failed=has_failed)


def waiting(queue: Queue, *arguments: object, **named: bool) -> asyncio.Task[Permit | None]:
    """A task that does so."""
    return asyncio.create_task(acquire(queue, *arguments, **named))


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


async def visit(
    queue: Queue, order: list[str], name: str, trouble: Trouble | None = None, budget: Budget = MANY
) -> None:
    """Waits for a permit, and notes its name; if it isn't in trouble, it has an answer."""
    permit = await queue.acquire(budget, FRESH if trouble is None else IN_TROUBLE, -inf, has_failed=trouble is not None)
    order.append(name)
    await asyncio.sleep(0)
    queue.released(permit) if trouble else succeed(queue, permit)


def in_trouble() -> Queries:
    """The queries of a client, one of which has just failed."""
    queries = Queries(Retry())
    queries.failed("bad", 1_000.0, 1_000.0)
    return queries


def done(tasks: list[asyncio.Task]) -> list[bool]:
    return [task.done() for task in tasks]


# ---- order -----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_fan_out_goes_on_with_its_next_count_while_only_its_others_wait():
    """It has the permit of an answered count at once, but for one in as many as the width allows."""
    queue = narrow(4)
    first, second, third, fourth = [try_acquire(queue, budget) for budget in (MANY, MANY, Budget(), MANY)]
    waiters = [waiting(queue) for _ in range(3)]
    await turn()
    succeed(queue, first)
    assert [True, False] == [try_acquire(queue) is not None for _ in range(2)]
    succeed(queue, second)
    await turn()  # it has no next count
    assert [True, False, False] == done(waiters)
    for permit in (third, fourth):
        succeed(queue, permit)
        assert try_acquire(queue) is None
    await turn()
    assert [True, True, True] == done(waiters)


@pytest.mark.parametrize("others", [[SINGLE], [Budget()], [MANY, SINGLE]], ids=["single", "another", "both"])
@virtual_time
async def test_a_fan_out_does_not_go_on_before_others(others):
    """While counts of others wait, each permit that comes back is for the line whose turn it is."""
    queue = narrow(4)
    first, *_ = [try_acquire(queue) for _ in range(4)]
    waiters = [waiting(queue, budget) for budget in others]
    await turn()
    succeed(queue, first)
    assert try_acquire(queue) is None
    await turn()
    assert waiters[0].done()
    queue.close()
    await asyncio.wait(waiters)


@pytest.mark.parametrize(
    "state", [{"_wary": 64}, {"_rate": Rate(50.0)}, {"queries": in_trouble()}], ids=["lots", "a rate", "trouble"]
)
@virtual_time
async def test_a_fan_out_does_not_go_on_while_the_order_matters(state):
    """While lots are drawn, at a rate, and while queries fail: if bad targets are last, they are sent last."""
    queue = narrow(4)
    first, *_ = [try_acquire(queue) for _ in range(4)]
    waiter = waiting(queue)
    await turn()
    for name, value in state.items():
        setattr(queue.flow, name, value)
    succeed(queue, first)
    assert try_acquire(queue) is None
    await asyncio.sleep(0.02)
    assert waiter.done()


@virtual_time
async def test_after_an_outage_permits_are_drawn_by_lot():
    """So if the first ones of the line are bad, others find out that the service is back."""
    queue, order, names = narrow(20), list[str](), "abcdefghijklmnopqrst"
    await open_the_breaker(queue)
    await asyncio.gather(*(visit(queue, order, name) for name in names))
    assert sorted(order) == [*names]
    assert {"p", "q", "r", "s", "t"} & {*order[:10]}


@virtual_time
async def test_single_counts_take_turns_with_fan_outs():
    """One target of each fan-out and one single count go in turn, each line in the order in which they came."""
    queue, order, lines = narrow(), list[str](), [("abcde", Budget()), ("xyz", Budget()), ("12", SINGLE)]
    held = try_acquire(queue)
    visits = asyncio.gather(*(visit(queue, order, name, None, budget) for names, budget in lines for name in names))
    await turn()
    queue.released(held)
    await visits
    assert ("ax1by2czde", 0) == ("".join(order), queue.flow.in_flight)


@virtual_time
async def test_a_target_passes_nobody_by_whose_timer_is_late():
    """Where a busy event loop has not yet called the queue, counts that wait still come first, by their line."""
    queue = narrow(20)
    await open_the_breaker(queue)
    waiter = waiting(queue)
    await asyncio.sleep(0)
    asyncio.get_running_loop().work(1.0)
    assert try_acquire(queue) is None
    probe = try_acquire(queue, SINGLE)
    assert probe is not None
    queue.released(probe)
    queue.released(await waiter)


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


@virtual_time
async def test_fresh_queries_take_turns_with_those_in_trouble():
    """While both wait, every other permit is for one in trouble, also if fresh queries wait in more than one line."""
    queue, order = narrow(), list[str]()
    held = try_acquire(queue)
    fresh = [visit(queue, order, name, None, budget) for name, budget in [("f", MANY), ("1", SINGLE)] for _ in range(8)]
    visits = asyncio.gather(*fresh, *(visit(queue, order, "b", Trouble(now())) for _ in range(20)))
    await turn()
    queue.released(held)
    await visits
    assert "fb1b" * 8 + "bbbb" == "".join(order)


@virtual_time
async def test_queries_in_trouble_get_half_of_the_places_and_all_once_nobody_else_waits():
    """If all have their turn at once, and if fresh ones are answered while those in trouble still wait."""
    queue, told = narrow(8), list[tuple[int, int]]()
    held = [try_acquire(queue) for _ in range(8)]
    fresh = [waiting(queue) for _ in range(8)]
    bad = [asyncio.create_task(queue.acquire(MANY, IN_TROUBLE, -inf, has_failed=True)) for _ in range(8)]
    await turn()
    for permits in (held, fresh[:4], fresh[4:]):
        for permit in permits:
            queue.released(permit if isinstance(permit, Permit) else permit.result())
        await turn()
        told.append((sum(done(fresh)), sum(done(bad))))
    assert [(4, 4), (8, 4), (8, 8)] == told
    for each in bad:
        queue.released(await each)
    assert queue.flow.in_flight == 0


@pytest.mark.parametrize("concurrency", [2, 4, 6])
@virtual_time
async def test_a_refused_query_does_not_wait_behind_those_that_fail_by_their_own_fault(concurrency):
    """While fresh ones wait, a fan-out uses two places for queries in trouble, one for each kind; or one of two."""
    queue, few = narrow(20), Budget(concurrency=concurrency)
    held = [try_acquire(queue, few) for _ in range(concurrency)]
    fresh = [waiting(queue, few) for _ in range(8)]
    own, refused = [
        [asyncio.create_task(queue.acquire(few, standing, -inf, has_failed=True)) for _ in range(3)]
        for standing in (OWN, IN_TROUBLE)
    ]
    await turn()
    for permit in held:
        queue.released(permit)
    await turn()
    most = min(2, concurrency - 1)
    assert (concurrency - most, most) == (sum(done(fresh)), sum(done(own + refused)))
    assert (1, most) == (sum(done(own)), few.in_trouble)
    queue.close()
    for permit in await asyncio.gather(*fresh, *own, *refused):
        if permit is not None:
            queue.released(permit)
    assert (0, 0, 0) == (few.in_flight, few.in_trouble, few.own)


@virtual_time
async def test_a_fan_out_has_no_more_requests_under_way_than_its_concurrency():
    """Others go on meanwhile. For queries in trouble it has fewer while others wait, but for those that can't park."""
    queue, few = narrow(20), Budget(concurrency=4)
    held = [try_acquire(queue, few) for _ in range(4)]
    assert try_acquire(queue, few) is None
    fresh = [waiting(queue, few) for _ in range(4)]
    bad = [asyncio.create_task(queue.acquire(few, IN_TROUBLE, -inf, has_failed=True)) for _ in range(4)]
    few.park(41)  # one of them can't
    await turn()
    queue.released(await acquire(queue))
    for permit in held:
        queue.released(permit)
    await turn()
    assert (2, 2, 4) == (sum(done(fresh)), sum(done(bad)), few.in_flight)
    for permit in [await fresh[0], await bad[0]]:
        queue.released(permit)
    await turn()
    assert (3, 3, 4) == (sum(done(fresh)), sum(done(bad)), few.in_flight)
    queue.close()


@virtual_time
async def test_in_an_outage_queries_in_trouble_are_probed_by_lot():
    """Otherwise, healthy ones that were refused wait behind bad ones that hang."""
    queue, order = narrow(), list[int]()

    async def probe(number: int) -> None:
        permit = await queue.acquire(MANY, IN_TROUBLE, -inf, has_failed=True)
        order.append(number)
        refuse(queue, permit)

    await open_the_breaker(queue)
    random.seed(0)
    await asyncio.gather(*map(probe, range(8)))
    assert [*range(8)] == sorted(order) != order


@virtual_time
async def test_a_count_that_led_its_query_leads_it_anew_after_another_one_was_answered():
    """So the Retry-After of its next failure is kept, and the others wait for it again."""
    answers = [refusal(500), Late(0.1), Late(1, refusal(429, 5)), None]
    sky = Scripted(lambda _, number: answers[number - 1])
    async with sky.client() as galileo:
        assert [7, 7] == await asyncio.gather(galileo.count(PROJECT), galileo.count(PROJECT))
    assert 4 == sky.requests
    assert 6 <= sky.arrivals[3] - sky.arrivals[2]


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


@virtual_time
async def test_one_count_of_a_query_leads_and_the_others_meet_its_failures():
    """When it is over, the next one leads, until the query is answered; what a failure raises ends a wait."""
    queue, met = narrow(), list[Trouble]()
    assert await queue.lead("q", met.append) is None

    async def end_with(outcome: Outcome) -> Trouble | None:
        permit = await queue.acquire(MANY, queue.flow.queries.standing("q", now()), -inf, has_failed=True)
        return queue.ended(permit, now(), outcome, "q")

    trouble = await end_with(Outcome("refused"))
    assert await queue.lead("q", met.append) is trouble
    follow = [met.append, met.append, met.append, lambda trouble: 1 // (2 - trouble.attempts)]
    second, third, fourth, fails = [asyncio.create_task(queue.lead("q", meet)) for meet in follow]
    await turn()
    await end_with(Outcome("refused"))
    queue.follow(trouble)
    await turn()
    assert ([True, False, False], [trouble] * 3) == (done([second, third, fourth]), met)
    assert (trouble, ZeroDivisionError) == (await second, type(fails.exception()))
    await end_with(Outcome("success"))
    queue.follow(trouble)
    assert ([None, None], [trouble] * 3) == (await asyncio.gather(third, fourth), met)


# ---- permits come back, and nothing waits in a closed queue ----------------------------------------------------------


@virtual_time
async def test_many_waiters_may_all_be_cancelled_quickly():
    queue = narrow()
    permit = try_acquire(queue)
    waiters = [waiting(queue) for _ in range(20_000)]
    await turn()
    began = process_time()
    for waiter in reversed(waiters):
        waiter.cancel()
    await asyncio.wait(waiters)
    assert process_time() - began < 2
    queue.released(permit)
    assert queue.flow.in_flight == 0
    await turn()
    assert try_acquire(queue) is not None


@virtual_time
async def test_closing_ends_all_waits():
    """Also if one is cancelled in the same moment; a queue that was never used has none."""
    narrow().close()
    queue = narrow()
    held = try_acquire(queue)
    cancelled, *tasks = [waiting(queue), waiting(queue), waiting(queue, SINGLE), waiting(queue, MANY, 60)]
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
async def test_a_count_that_is_given_up_names_what_it_met_last_or_else_what_others_met():
    """And the circuit breaker behind which it waited; somebody else's untrusted certificate is none of its business."""
    queue = narrow(20)
    await open_the_breaker(queue)
    refuse(queue, await acquire(queue), DisconnectedError("gone"))
    refuse(queue, await acquire(queue), TLSError("an untrusted certificate"))
    breaker = "the circuit breaker: the service has refused everything for 0 s"
    assert queue.flow.reason(now()) == breaker
    assert queue.give_up_error().message == f"gone; while waiting for {breaker}"
    assert queue.give_up_error(REFUSED).message == f"{REFUSED.message}; while waiting for {breaker}"
    assert REFUSED.args == ("503 Service Unavailable: an empty body",)
    assert queue.give_up_error(REFUSED, is_single=True).hint == "Try again later, or raise timeout="
    hints = [queue.give_up_error(met).hint for met in (REFUSED, DisconnectedError("gone", hint="Check base_url"))]
    assert hints == ["Try again later, or raise timeout= or Retry(patience=...)", "Check base_url"]
    succeed(queue, await acquire(queue))
    assert queue.last_refusal is None


@virtual_time
async def test_when_there_is_no_hope_a_target_fails_at_once_and_a_new_single_count_is_the_next_probe():
    queue = narrow(20)
    while (permit := await acquire(queue)) is not None:
        refuse(queue, permit)
    pause, began, single = queue.flow.wait(now()), now(), waiting(queue, SINGLE)
    while not single.done():
        for budget in (MANY, SINGLE):
            assert await acquire(queue, budget, has_failed=True) is None
        assert await acquire(queue) is None
        await turn()
    assert pause <= now() - began < pause + 0.2
    succeed(queue, await single)
    assert not queue.flow.breaker.is_open


# ---- laws ------------------------------------------------------------------------------------------------------------

ERRORS = {"404": status(404), "503": REFUSED, "429": status(429, Retry_After="1")}
ERRORS |= {"an hour": status(429, Retry_After="3600")}
EVENTS = ["wait", "alone", "later", "at once", "ok", "failed", "cancel", "pass", *ERRORS]


@given(maximum=st.integers(1, 20), steps=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 20)), max_size=60))
def test_no_permit_is_lost_and_nobody_is_forgotten(maximum, steps):
    """For any events, permits are exact, the width keeps its bounds, and one timer wakes all who wait."""

    async def play() -> None:
        queue, inside, outside = narrow(maximum), list[Permit](), list[asyncio.Task]()

        def settle() -> None:
            for task in [task for task in outside if task.done()]:
                outside.remove(task)
                if not task.cancelled() and isinstance(task.result(), Permit):
                    inside.append(task.result())

        async def step(what: str, which: int) -> None:
            match what:
                case "wait" | "alone":
                    budget = Budget(patience=10.0, is_single=what == "alone")
                    outside.append(waiting(queue, budget, has_failed=which % 2 == 0))
                case "later":
                    outside.append(waiting(queue, MANY, which / 4))
                case "at once" if (permit := try_acquire(queue, SINGLE if which % 2 else MANY)) is not None:
                    inside.append(permit)
                case "cancel" if outside:
                    outside[which % len(outside)].cancel()
                case "pass":
                    await asyncio.sleep(which / 10)
                case "ok" if inside:
                    succeed(queue, inside.pop(which % len(inside)))
                case "failed" if inside:
                    queue.released(inside.pop(which % len(inside)))
                case _ if what in ERRORS and inside:
                    refuse(queue, inside.pop(which % len(inside)), ERRORS[what])

        for what, which in steps:
            await step(what, which)
            for _ in range(which % 3):  # if 0, the next thing happens at the same moment
                await asyncio.sleep(0)
            settle()
            assert 1 <= queue.flow.width <= maximum
            assert queue.flow.in_flight >= len(inside)
            assert timers(type(queue)) <= bool(outside)  # one for all who wait
        for _ in range(400):
            await asyncio.sleep(1)
            settle()
            while inside:
                succeed(queue, inside.pop())
            if not outside:
                break
            await asyncio.sleep(10)
        assert (queue.flow.in_flight, outside) == (0, [])

    run(play())
