"""The queue of a client: who gets a permit, in which order, and that none is lost."""

import asyncio
from contextlib import asynccontextmanager
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import run, virtual_time
from support.decisions import status
from support.inside import awaited_timers

from galileo_sessions import DisconnectedError, GalileoError, Limits, RateLimitedError, Retry, ServerError
from galileo_sessions.client.flow.control import Permit
from galileo_sessions.client.flow.queue import Admission

REFUSED = status(503)


def narrow(width: int = 1, **arguments) -> Admission:
    """A queue with so many places."""
    return Admission(Limits(width, **arguments), Retry())


def waiting(admission: Admission, *, single: bool = False, patience: float = 90.0, **arguments) -> asyncio.Task:
    """A task that waits for a permit."""
    return asyncio.create_task(admission.acquire(single=single, patience=patience, **arguments))


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def turn() -> None:
    """Lets all tasks run as far as they can, the pace of requests included."""
    await asyncio.sleep(0.1)


def refuse(admission: Admission, permit: Permit, error: GalileoError = REFUSED) -> None:
    """Ends a request with a refusal."""
    admission.refused(permit, error, told=error.retry_after is not None if hasattr(error, "retry_after") else False)


async def close_the_door(admission: Admission) -> None:
    """Lets the service refuse until single probes are sent only."""
    while not admission.flow.is_closed:
        refuse(admission, await admission.acquire(single=False, patience=90.0))


# ---- order -----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_first_come_first_served():
    """Those who wait in a line get their permits in the order in which they came."""
    admission = narrow(rate=None)
    order: list[int] = []

    async def visit(number: int) -> None:
        permit = await admission.acquire(single=False, patience=90.0)
        order.append(number)
        await asyncio.sleep(0)
        admission.released(permit)

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == list(range(20))
    assert admission.flow.in_flight == 0


@virtual_time
async def test_a_single_question_is_served_before_fan_outs():
    """A question that is asked alone gets the next permit, however many targets wait, and may take a free one."""
    admission = narrow()
    held = admission.try_acquire(single=False)
    assert held is not None
    targets = [waiting(admission) for _ in range(5)]
    await turn()
    lone = waiting(admission, single=True)
    await turn()
    admission.released(held)
    await turn()
    assert lone.done()
    assert not any(target.done() for target in targets)
    admission.released(lone.result())
    for target in targets:
        admission.released(await target)


@virtual_time
async def test_who_was_refused_comes_first():
    """A refused question waits ahead of those that were never sent."""
    admission = narrow()
    held = admission.try_acquire(single=False)
    new = waiting(admission)
    await turn()
    refused = waiting(admission, ahead=True)
    await turn()
    admission.released(held)
    await turn()
    assert (refused.done(), new.done()) == (True, False)
    admission.released(refused.result())
    admission.released(await new)


@virtual_time
async def test_who_may_not_be_sent_yet_lets_others_pass():
    """A question with a Retry-After waits for its time; others are sent meanwhile; then it is the first."""
    admission = narrow()
    clock = asyncio.get_running_loop().time
    late = waiting(admission, not_before=clock() + 2, ahead=True)
    await turn()
    other = admission.try_acquire(single=False)
    assert other is not None
    queued = waiting(admission)
    await asyncio.sleep(3)
    assert (late.done(), queued.done()) == (False, False)
    admission.released(other)
    await turn()
    assert (late.done(), queued.done()) == (True, False)
    admission.released(late.result())
    admission.released(await queued)


@virtual_time
async def test_who_was_refused_again_and_may_not_be_sent_yet_comes_last():
    """When its time has come, it waits at the end of the line."""
    admission = narrow()
    held = admission.try_acquire(single=False)
    late = waiting(admission, not_before=asyncio.get_running_loop().time() + 2)
    queued = waiting(admission)
    await asyncio.sleep(3)
    admission.released(held)
    await turn()
    assert (late.done(), queued.done()) == (False, True)
    admission.released(await queued)
    admission.released(await late)


@virtual_time
async def test_a_permit_without_waiting_passes_nobody_by():
    """There is none without waiting while somebody waits, the width is used up, or there is a rate to enter."""
    admission = narrow()
    first = admission.try_acquire(single=False)
    assert first is not None
    assert admission.try_acquire(single=True) is None
    waiter = waiting(admission)
    await turn()
    admission.released(first)
    assert admission.try_acquire(single=False) is None
    admission.released(await waiter)
    assert Admission(Limits(rate=asynccontextmanager(lambda: None)()), Retry()).try_acquire(single=True) is None


# ---- timers ----------------------------------------------------------------------------------------------------------


@virtual_time
async def test_there_is_one_timer_at_most():
    """Whoever waits for whatever, one timer wakes the queue; without anybody who waits there is none."""
    admission = narrow(50)
    clock = asyncio.get_running_loop().time
    later = [waiting(admission, not_before=clock() + number) for number in range(5, 0, -1)]
    soon = [waiting(admission) for _ in range(40)]
    await turn()
    assert awaited_timers(admission) == 1
    for task in soon + later:
        admission.succeeded(await task, now())
        assert awaited_timers(admission) <= 1
    await turn()
    assert awaited_timers(admission) == 0
    assert admission.flow.in_flight == 0


@virtual_time
async def test_a_cancelled_wait_leaves_no_timer():
    """When the last one who waits for a time is cancelled, nothing is left that would wake up."""
    admission = narrow()
    tasks = [waiting(admission, not_before=asyncio.get_running_loop().time() + 60) for _ in range(3)]
    await turn()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert awaited_timers(admission) == 0
    assert admission.try_acquire(single=False) is not None


# ---- cancellation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before its permit came", "as its permit came"])
@virtual_time
async def test_a_cancelled_waiter_leaks_no_permit(when):
    """If a waiter is cancelled, even as it gets its permit, the next one gets the permit."""
    admission = narrow()
    held = admission.try_acquire(single=False)
    first, second = (waiting(admission) for _ in range(2))
    await turn()
    if when == "as its permit came":
        admission.released(held)  # the permit is given, but the waiter has not run yet
        first.cancel()
    else:
        first.cancel()
        await turn()
        admission.released(held)
    with pytest.raises(asyncio.CancelledError):
        await first
    admission.released(await asyncio.wait_for(second, 1))
    assert admission.flow.in_flight == 0


@virtual_time
async def test_a_cancelled_probe_lets_the_next_one_ask():
    """At a closed door, a probe that is cancelled makes room for another one."""
    admission = narrow(5)
    await close_the_door(admission)
    first, second = waiting(admission), waiting(admission)
    await asyncio.wait([first])
    assert not second.done()
    admission.released(first.result())
    admission.succeeded(await second, now())
    assert not admission.flow.is_closed


@virtual_time
async def test_many_waiters_may_all_be_cancelled_quickly():
    """Cancelling 20,000 waiters, the last one first, takes linear time."""
    asyncio.get_running_loop().set_debug(False)
    admission = narrow()
    permit = admission.try_acquire(single=False)
    waiters = [waiting(admission) for _ in range(20_000)]
    await turn()
    began = process_time()
    for waiter in reversed(waiters):
        waiter.cancel()
    await asyncio.wait(waiters)
    assert process_time() - began < 2
    admission.released(permit)
    assert admission.flow.in_flight == 0
    await turn()
    assert admission.try_acquire(single=False) is not None


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
    """The context manager given as `rate` is entered and left once before each request."""
    rate = Rate()
    admission = Admission(Limits(rate=rate), Retry())
    for _ in range(3):
        permit = await admission.acquire(single=True, patience=10.0)
        rate.told.append("sent")
        admission.succeeded(permit, now())
    assert rate.told == ["entered", "left", "sent"] * 3


@pytest.mark.parametrize("stops", ["entered", "left"])
@virtual_time
async def test_who_is_cancelled_at_the_rate_holds_nothing(stops):
    """A waiter that is cancelled in the rate has no permit yet."""
    rate = Rate(stops)
    admission = narrow(rate=rate)
    task = waiting(admission)
    await turn()
    assert stops in rate.told
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert admission.flow.in_flight == 0


@virtual_time
async def test_the_rate_is_entered_after_a_backoff():
    """A question that may not be sent yet enters the rate when its time has come."""
    rate = Rate()
    admission = narrow(rate=rate)
    task = waiting(admission, not_before=asyncio.get_running_loop().time() + 5)
    await asyncio.sleep(4)
    assert rate.told == []
    admission.succeeded(await task, now())
    assert rate.told == ["entered", "left"]


# ---- the closed door -------------------------------------------------------------------------------------------------


@virtual_time
async def test_all_who_wait_are_told_together():
    """When there is no hope, all who wait get the last real answer in the same moment, wherever they wait."""
    admission = narrow(20)
    admission.succeeded(admission.try_acquire(single=False), now())
    clock = asyncio.get_running_loop().time
    await close_the_door(admission)
    everybody = {*[waiting(admission) for _ in range(200)], waiting(admission, single=True)}
    everybody.add(waiting(admission, not_before=clock() + 10_000))
    ended: dict[asyncio.Task, float] = {}
    for task in everybody:
        task.add_done_callback(lambda task: ended.setdefault(task, clock()))
    began, probes, pending = clock(), 0, everybody
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for probe in [task.result() for task in done if isinstance(task.result(), Permit)]:
            probes += 1
            refuse(admission, probe, REFUSED if probes % 2 else DisconnectedError("gone"))
    told = [task for task in everybody if not isinstance(task.result(), Permit)]
    assert 100 <= len(told) == 202 - probes
    assert len({ended[task] for task in told}) == 1
    assert 90 <= clock() - began < 95
    assert {type(task.result()) for task in told} == {ServerError}
    assert all("503" in str(task.result()) and "nothing has been accepted for" in str(task.result()) for task in told)
    assert REFUSED.args == ("503 Service Unavailable: an empty body",)


@virtual_time
async def test_a_single_question_has_less_patience():
    """One who waits with a patience of 10 s is told before the others; who comes then waits for the next probe."""
    admission = narrow(20)
    admission.succeeded(admission.try_acquire(single=False), now())
    await close_the_door(admission)
    began = asyncio.get_running_loop().time()
    lone = waiting(admission, single=True, patience=10.0, not_before=began + 10_000)
    many = [waiting(admission) for _ in range(40)]
    for task in many:
        refuse(admission, await task)
        await turn()
        if lone.done():
            break
    assert 10 <= asyncio.get_running_loop().time() - began < 13
    assert type(lone.result()) is ServerError
    admission.released(await admission.acquire(single=True, patience=10.0))
    for task in many:
        task.cancel()
    await asyncio.wait(many)


@virtual_time
async def test_who_comes_when_there_is_no_hope_is_told_at_once():
    """After all were told, a fan-out's target is told at once, but a single question may be the next probe."""
    admission = narrow(20)
    while not isinstance(permit := await admission.acquire(single=False, patience=90.0), GalileoError):
        refuse(admission, permit)
    assert admission.flow.is_closed
    assert admission.try_acquire(single=False) is None
    assert type(await admission.acquire(single=False, patience=90.0)) is ServerError
    while (probe := admission.try_acquire(single=True)) is None:
        assert type(await admission.acquire(single=False, patience=90.0)) is ServerError
        await asyncio.sleep(0.1)
    admission.succeeded(probe, now())
    assert not admission.flow.is_closed


@virtual_time
async def test_an_answer_to_the_question_opens_the_door():
    """A probe that is answered with a 404 shows that the service is back; one that ends in a 500 doesn't."""
    admission = narrow(5)
    await close_the_door(admission)
    admission.released(await admission.acquire(single=False, patience=90.0))
    assert admission.flow.is_closed
    admission.answered(await admission.acquire(single=False, patience=90.0), now())
    assert not admission.flow.is_closed
    admission.answered(await admission.acquire(single=False, patience=90.0), now())
    assert admission.flow.in_flight == 0


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


@settings(max_examples=200)
@given(maximum=st.integers(1, 20), steps=STEPS)
def test_no_permit_is_lost_and_nobody_is_forgotten(maximum, steps):
    """For any events, permits are exact, the width keeps its bounds, and all who wait get a permit or an error."""

    async def play() -> None:
        clock = asyncio.get_running_loop().time
        admission = Admission(Limits(maximum), Retry())
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
                    outside.append(waiting(admission, single=what == "alone", patience=10.0, ahead=which % 2 == 0))
                case "later":
                    outside.append(waiting(admission, not_before=clock() + which / 4))
                case "at once" if (permit := admission.try_acquire(single=which % 2 == 0)) is not None:
                    inside.append(permit)
                case "ok" if inside:
                    admission.succeeded(inside.pop(which % len(inside)), now())
                case "404" if inside:
                    admission.answered(inside.pop(which % len(inside)), now())
                case "failed" if inside:
                    admission.released(inside.pop(which % len(inside)))
                case "503" | "429" | "an hour" if inside:
                    after = {"503": None, "429": "1", "an hour": "3600"}[what]
                    error = status(429, Retry_After=after) if after else REFUSED
                    refuse(admission, inside.pop(which % len(inside)), error)
                case "cancel" if outside:
                    outside[which % len(outside)].cancel()
                case "pass":
                    await asyncio.sleep(which / 10)

        for what, which in steps:
            await step(what, which)
            for _ in range(which % 3):  # if 0, the next thing happens at the same moment
                await asyncio.sleep(0)
            settle()
            assert 1 <= admission.flow.width <= maximum
            assert admission.flow.in_flight >= len(inside)
            assert awaited_timers(admission) <= 1
        for _ in range(400):
            await asyncio.sleep(1)
            settle()
            while inside:
                admission.succeeded(inside.pop(), now())
            if not outside:
                break
            await asyncio.sleep(10)
        assert (admission.flow.in_flight, outside) == (0, [])

    run(play(), debug=False, grace=0.0)


def test_an_error_is_told_with_its_own_kind():
    """A Retry-After above the cap is told as the RateLimitedError that it was."""

    async def play() -> None:
        admission = narrow(5)
        refuse(admission, admission.try_acquire(single=False), status(429, Retry_After="3600"))
        told = await admission.acquire(single=False, patience=90.0)
        assert (type(told), told.retry_after) == (RateLimitedError, 3600)
        assert "nothing is sent for 3,600 s" in str(told)

    run(play(), grace=0.0)


@virtual_time
async def test_a_long_retry_after_of_one_question_sends_nobody_away_while_others_are_answered():
    """Eight in a row do, whoever was answered before."""
    admission = Admission(Limits(10), Retry())
    refused = [admission.try_acquire(single=False) for _ in range(8)]
    await turn()
    admission.succeeded(admission.try_acquire(single=False), now())
    told: list[bool] = []
    for permit in refused:
        refuse(admission, permit, status(429, Retry_After="3600"))
        told.append(admission.is_sent_away)
    assert told == [False] * 7 + [True]
