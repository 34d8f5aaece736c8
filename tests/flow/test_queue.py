"""The queue of a client: who gets a permit, in which order, that none is lost, and when all who wait fail together."""

import asyncio
from contextlib import asynccontextmanager
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import run, virtual_time
from support.inside import awaited_timers
from support.policy import MANY, REFUSED, SINGLE, narrow, now, open_the_breaker, refuse, status, succeed, turn, waiting

from galileo_sessions import ConfigurationError, DisconnectedError, GalileoError, Limits, ServerError, TLSError
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import Permit
from galileo_sessions.flow.queue import Queue

# ---- order -----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_first_come_first_served():
    """Those who wait in a line get their permits in the order in which they came."""
    queue = narrow(rate=None)
    order: list[int] = []

    async def visit(number: int) -> None:
        permit = await queue.acquire(MANY)
        order.append(number)
        await asyncio.sleep(0)
        queue.released(permit)

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == list(range(20))
    assert queue.flow.in_flight == 0


@virtual_time
async def test_a_single_count_is_served_before_fan_outs():
    """A single count gets the next permit, however many targets wait."""
    queue = narrow()
    held = queue.try_acquire(MANY)
    assert held is not None
    targets = [waiting(queue) for _ in range(5)]
    await turn()
    lone = waiting(queue, SINGLE)
    await turn()
    queue.released(held)
    await turn()
    assert lone.done()
    assert not any(target.done() for target in targets)
    queue.released(lone.result())
    for target in targets:
        queue.released(await target)


@pytest.mark.parametrize("budget", [MANY, SINGLE], ids=["many", "single"])
@virtual_time
async def test_a_count_that_failed_waits_behind_those_that_came_before_it(budget):
    """So a few counts with trouble of their own don't take the place of all others."""
    queue = narrow()
    held = queue.try_acquire(MANY)
    new = waiting(queue, budget)
    await turn()
    failed = waiting(queue, budget, has_failed=True)
    await turn()
    queue.released(held)
    await turn()
    assert (failed.done(), new.done()) == (False, True)
    queue.released(new.result())
    queue.released(await failed)


@virtual_time
async def test_a_count_that_sleeps_lets_others_pass():
    """A count with a Retry-After waits for its time on its own; only then does it join its line."""
    queue = narrow()
    held = queue.try_acquire(MANY)
    assert held is not None
    late = waiting(queue, not_before=now() + 2)
    queued = waiting(queue)
    await asyncio.sleep(1)
    queue.released(held)
    await turn()
    assert (late.done(), queued.done()) == (False, True)
    held = queued.result()
    behind = waiting(queue, SINGLE, not_before=now() + 1.5)
    await asyncio.sleep(2)
    assert not late.done()
    queue.released(held)
    await turn()
    assert (late.done(), behind.done()) == (False, True)
    queue.released(behind.result())
    queue.released(await late)
    assert queue.try_acquire(MANY) is not None


@virtual_time
async def test_a_permit_without_waiting_passes_nobody_by():
    """There is none without waiting while somebody waits, the width is used up, or there is a rate to enter."""
    queue = narrow()
    first = queue.try_acquire(MANY)
    assert first is not None
    assert queue.try_acquire(SINGLE) is None
    waiter = waiting(queue)
    await turn()
    queue.released(first)
    assert queue.try_acquire(MANY) is None
    queue.released(await waiter)
    assert Queue(Limits(rate=asynccontextmanager(lambda: None)())).try_acquire(SINGLE) is None


@virtual_time
async def test_a_target_passes_nobody_by_whose_timer_is_late():
    """Where a busy event loop has not yet called the queue, counts that wait still come first, by their line."""
    queue = narrow(20)
    await open_the_breaker(queue)
    waiter = waiting(queue)
    await asyncio.sleep(0)
    asyncio.get_running_loop().work(1.0)
    assert queue.try_acquire(MANY) is None
    probe = queue.try_acquire(SINGLE)
    assert probe is not None
    queue.released(probe)
    queue.released(await waiter)


# ---- timers ----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_there_is_one_timer_if_a_count_waits_for_a_time():
    """However many wait, one timer wakes the queue; there is none if nobody waits, or if all wait for an answer."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(MANY))
    await open_the_breaker(queue)
    assert awaited_timers(queue) == 0
    tasks = [waiting(queue, SINGLE if number % 2 else MANY) for number in range(30)]
    await asyncio.sleep(0)
    assert (awaited_timers(queue), queue.flow.in_flight) == (1, 0)
    while tasks:
        assert (awaited_timers(queue), queue.flow.in_flight) in ((1, 0), (0, 1), (1, 1))
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        tasks = [*pending]
        for task in done:
            succeed(queue, task.result())
            assert awaited_timers(queue) <= 1
    assert (awaited_timers(queue), queue.flow.in_flight) == (0, 0)


@virtual_time
async def test_a_timer_is_set_anew_for_an_earlier_time():
    """A success that ends a long pause lets the next count go as soon as the rate allows."""
    queue = narrow(10)
    *refused, late = [queue.try_acquire(MANY) for _ in range(10)]
    for permit in refused:
        refuse(queue, permit, status(429, Retry_After="60"))
    waiter = waiting(queue)
    await asyncio.sleep(0)
    assert queue.flow.wait(now()) > 50
    succeed(queue, late)
    assert 0 < queue.flow.wait(now()) < 1
    assert awaited_timers(queue) == 1
    queue.released(await asyncio.wait_for(waiter, 1))


@virtual_time
async def test_a_cancelled_wait_leaves_no_timer():
    """When the last one who waits for a time is cancelled, nothing is left that would wake up."""
    queue = narrow()
    await open_the_breaker(queue)
    tasks = [waiting(queue) for _ in range(3)]
    await asyncio.sleep(0)
    assert awaited_timers(queue) == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert awaited_timers(queue) == 0


# ---- permits come back, and nothing waits in a closed queue ----------------------------------------------------------


@virtual_time
async def test_many_waiters_may_all_be_cancelled_quickly():
    """Cancelling 20,000 waiters, the last one first, takes linear time."""
    queue = narrow()
    permit = queue.try_acquire(MANY)
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
    assert queue.try_acquire(MANY) is not None


@virtual_time
async def test_closing_ends_all_waits():
    """They get the error that is given; a queue that was never used has none."""
    closed = ConfigurationError("closed")
    narrow().close(closed)
    queue = narrow()
    held = queue.try_acquire(MANY)
    cancelled, *tasks = [waiting(queue), waiting(queue), waiting(queue, SINGLE)]
    tasks.append(waiting(queue, not_before=now() + 60))
    await turn()
    cancelled.cancel()  # in the same moment
    queue.close(closed)
    assert [await task for task in tasks] == [closed] * 3
    await asyncio.wait([cancelled])
    assert cancelled.cancelled()
    queue.released(held)
    assert queue.flow.in_flight == 0


def test_counts_that_are_closed_after_their_loop_wake_nobody():
    """Coroutines that waited in a loop that is closed by then can be closed, whether or not they have a permit."""
    loop, queue = asyncio.new_event_loop(), Queue(Limits(1))
    waiters = [queue.acquire(MANY) for _ in range(3)]

    async def wait() -> Permit:
        permit = queue.try_acquire(MANY)
        for waiter in waiters:
            asyncio.create_task(waiter)._log_destroy_pending = False
        await asyncio.sleep(0)
        return permit

    queue.released(loop.run_until_complete(wait()))
    loop.close()
    for waiter in waiters:
        waiter.close()
    assert queue.flow.in_flight == 0


# ---- a rate that is known --------------------------------------------------------------------------------------------


class Rate:
    """Notes when it is entered and left, and may stop there."""

    def __init__(self, stops: str = "") -> None:
        self.told: list[str] = []
        self.stops = stops

    async def __aenter__(self) -> None:
        await self.note("entered")

    async def __aexit__(self, *_: object) -> None:
        await self.note("left")

    async def note(self, what: str) -> None:
        """Notes it."""
        self.told.append(what)
        if what == self.stops:
            await asyncio.sleep(60)


@virtual_time
async def test_the_rate_is_entered_before_each_request():
    """The context manager given as `rate` is entered and left once before each request, after its backoff."""
    rate = Rate()
    queue = narrow(rate=rate)
    for _ in range(3):
        task = waiting(queue, not_before=now() + 5)
        await asyncio.sleep(4)
        rate.told.append("asleep")
        succeed(queue, await task)
    assert rate.told == ["asleep", "entered", "left"] * 3


@pytest.mark.parametrize("stops", ["entered", "left"])
@virtual_time
async def test_a_count_that_is_cancelled_at_the_rate_holds_nothing(stops):
    """A waiter that is cancelled in the rate gives its permit back, and the next one enters."""
    rate = Rate(stops)
    queue = narrow(rate=rate)
    task, other = waiting(queue), waiting(queue)
    await turn()
    assert [stops] == [what for what in rate.told if what == stops]
    assert queue.reason(now()) == "Limits(rate=...)"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turn()
    assert [stops] * 2 == [what for what in rate.told if what == stops]
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert queue.flow.in_flight == 0


@virtual_time
async def test_nobody_passes_the_rate_before_the_request_can_be_sent():
    """After an outage, the counts that waited are sent at the rate, not all at once."""
    rate = Rate()
    queue = narrow(20, rate=rate)
    first = await waiting(queue)
    others = [waiting(queue) for _ in range(30)]
    await turn()
    assert 10 == rate.told.count("left") == queue.flow.in_flight
    succeed(queue, first)
    await turn()
    assert 11 == rate.told.count("left")
    for other in others:
        other.cancel()
    await asyncio.wait(others)


# ---- while the circuit breaker is open -------------------------------------------------------------------------------


@virtual_time
async def test_all_who_wait_fail_together():
    """When patience ends, all counts get the service's last answer in the same moment, wherever they wait."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(MANY))
    clock = asyncio.get_running_loop().time
    await open_the_breaker(queue)
    everybody = {*[waiting(queue) for _ in range(200)], waiting(queue, SINGLE)}
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
async def test_a_single_count_has_less_patience():
    """A count with a patience of 10 s fails before the others; a new one that comes then waits for the next probe."""
    queue = narrow(20)
    succeed(queue, queue.try_acquire(MANY))
    await open_the_breaker(queue)
    began = now()
    single = Budget(patience=10.0, is_single=True)
    lone = waiting(queue, single, not_before=began + 10_000)
    many = [waiting(queue) for _ in range(40)]
    for task in many:
        refuse(queue, await task)
        await turn()
        if lone.done():
            break
    assert 7 < now() - began <= 10
    assert type(lone.result()) is ServerError
    assert type(await queue.acquire(single, has_failed=True)) is ServerError
    queue.released(await queue.acquire(single))
    for task in many:
        task.cancel()
    await asyncio.wait(many)


@virtual_time
async def test_what_says_nothing_about_the_service_is_no_reason_to_give_up():
    """Those who give up get the last error of the service, not a later one of somebody else's own."""
    queue = narrow(20)
    await open_the_breaker(queue, DisconnectedError("gone"))
    refuse(queue, await queue.acquire(MANY), TLSError("an untrusted certificate"))
    assert type(queue.give_up_error()) is DisconnectedError


@virtual_time
async def test_a_count_that_is_given_up_names_what_it_met_last_or_else_what_others_met():
    """And the circuit breaker behind which it waited; a wait has a reason, also `Limits(rate=...)`."""
    assert narrow(rate=Rate()).reason(now()) == "Limits(rate=...)"
    queue = narrow(20)
    await open_the_breaker(queue)
    refuse(queue, await queue.acquire(MANY), DisconnectedError("gone"))
    breaker = "the circuit breaker: the service has refused everything for 0 s"
    assert queue.reason(now()) == breaker
    assert queue.give_up_error().message == f"gone; while waiting for {breaker}"
    assert queue.give_up_error(REFUSED).message == f"{REFUSED.message}; while waiting for {breaker}"
    hints = [queue.give_up_error(met).hint for met in (REFUSED, DisconnectedError("gone", hint="Check base_url"))]
    assert hints == ["Try again later, or raise timeout= or Retry(patience=...)", "Check base_url"]
    succeed(queue, await queue.acquire(MANY))
    assert queue.last_refusal is None


@virtual_time
async def test_a_target_that_comes_when_there_is_no_hope_fails_at_once():
    """After all have failed, a fan-out's target fails at once, until the next probe is due: it can be that."""
    queue = narrow(20)
    while not isinstance(permit := await queue.acquire(MANY), GalileoError):
        refuse(queue, permit)
    pause, began = queue.flow.wait(now()), now()
    while (probe := queue.try_acquire(MANY)) is None:
        before = now()
        assert type(await queue.acquire(MANY)) is ServerError
        assert now() == before
        await turn()
    assert pause <= now() - began < pause + 0.2
    succeed(queue, probe)
    assert not queue.flow.breaker.is_open


# ---- laws ------------------------------------------------------------------------------------------------------------


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["wait", "alone", "later", "at once", "ok", "404", "failed", "503", "429", "an hour", "cancel", "pass"]
        ),
        st.integers(0, 20),
    ),
    max_size=60,
)


@given(maximum=st.integers(1, 20), steps=STEPS)
def test_no_permit_is_lost_and_nobody_is_forgotten(maximum, steps):
    """For any events, permits are exact, the width keeps its bounds, and all who wait get a permit or an error."""

    async def play() -> None:
        clock = asyncio.get_running_loop().time
        queue = Queue(Limits(maximum))
        inside: list[Permit] = []
        outside: list[asyncio.Task] = []

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
                    outside.append(waiting(queue, not_before=clock() + which / 4))
                case "at once" if (permit := queue.try_acquire(SINGLE if which % 2 else MANY)) is not None:
                    inside.append(permit)
                case "ok" if inside:
                    succeed(queue, inside.pop(which % len(inside)))
                case "404" if inside:
                    refuse(queue, inside.pop(which % len(inside)), status(404))
                case "failed" if inside:
                    queue.released(inside.pop(which % len(inside)))
                case "503" | "429" | "an hour" if inside:
                    after = {"503": None, "429": "1", "an hour": "3600"}[what]
                    error = status(429, Retry_After=after) if after else status(503)
                    refuse(queue, inside.pop(which % len(inside)), error)
                case "cancel" if outside:
                    outside[which % len(outside)].cancel()
                case "pass":
                    await asyncio.sleep(which / 10)

        for what, which in steps:
            await step(what, which)
            for _ in range(which % 3):  # if 0, the next thing happens at the same moment
                await asyncio.sleep(0)
            settle()
            assert 1 <= queue.flow.width <= maximum
            assert queue.flow.in_flight >= len(inside)
            assert awaited_timers(queue) <= 1
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
