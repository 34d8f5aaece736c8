"""The queue of a client: how many requests it lets in, in which order, and that no permit is lost."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import run, virtual_time

from galileo_sessions import ConfigurationError, Limits
from galileo_sessions.client.limiter import AdaptiveLimiter


def overloaded(limiter: AdaptiveLimiter, permit: int, pause: float | None = None) -> None:
    """Ends a request that an overloaded service refused."""
    limiter.overloaded(permit, pause)
    limiter.release(permit, succeeded=False)


async def acquire_all(limiter: AdaptiveLimiter) -> list[int]:
    """Takes all permits that are free."""
    return [await limiter.acquire() for _ in range(limiter.width - limiter.in_flight)]


async def turn() -> None:
    """Lets all tasks run as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"initial": 0}, "initial=0"),
        ({"minimum": 0}, "minimum=0"),
        ({"minimum": 11}, "minimum=11"),
        ({"initial": 65}, "initial=65"),
        ({"maximum": 9}, "maximum=9"),
        ({"maximum": 10_001}, "maximum=10001"),
        ({"initial": 10.0}, "initial=10.0"),
        ({"minimum": True}, "minimum=True"),
        ({"maximum": "64"}, "maximum='64'"),
        ({"maximum": None}, "maximum=None"),
        ({"rate": 200}, "rate=...) takes an async context manager, got int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits_that_cannot_be_are_refused(arguments, words):
    """Limits are integers with 1 <= minimum <= initial <= maximum <= 10,000; the rate is a context manager."""
    with pytest.raises(ConfigurationError) as caught:
        Limits(**arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("arguments", [{}, {"initial": 1, "maximum": 1}, {"initial": 64}, {"maximum": 10_000}], ids=str)
def test_limits_that_can_be(arguments):
    """The bounds themselves are allowed, and equal limits compare equal."""
    assert Limits(**arguments) == Limits(**arguments)


def test_the_defaults():
    """A client starts with 10 requests at once, and adapts between 1 and 64."""
    assert Limits() == Limits(initial=10, maximum=64, minimum=1, rate=None)


async def a_round(limiter: AdaptiveLimiter) -> None:
    """As many successes as there are permits, all of which are in use."""
    places = await acquire_all(limiter)
    for permit in places:
        limiter.release(permit, succeeded=True)
        await limiter.acquire()
    for permit in places:
        limiter.release(permit, succeeded=False)


async def test_the_width_doubles_until_the_first_refusal():
    """Each round of successes doubles the width, up to the maximum."""
    limiter = AdaptiveLimiter(Limits(initial=4, maximum=20))
    widths = []
    for _ in range(4):
        await a_round(limiter)
        widths.append(limiter.width)
    assert widths == [8, 16, 20, 20]


async def test_after_a_refusal_the_width_grows_by_one_a_round():
    """A refusal shrinks the width to 0.7 of itself; afterwards a round of successes adds about one."""
    limiter = AdaptiveLimiter(Limits(initial=20, maximum=64))
    overloaded(limiter, await limiter.acquire())
    widths = [limiter.width]
    for _ in range(5):
        await a_round(limiter)
        widths.append(limiter.width)
    assert widths[0] == 14
    assert widths[-1] in (18, 19)
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(widths))


async def test_of_one_generation_one_request_shrinks():
    """However many of the requests in flight are refused, the width shrinks once; later ones shrink it again."""
    limiter = AdaptiveLimiter(Limits(initial=20, maximum=64))
    for permit in await acquire_all(limiter):
        overloaded(limiter, permit)
    assert limiter.width == 14
    for permit in await acquire_all(limiter):
        overloaded(limiter, permit)
    assert limiter.width == 9


async def test_the_width_never_shrinks_below_the_minimum():
    """A service that always refuses still gets `minimum` requests at once."""
    limiter = AdaptiveLimiter(Limits(initial=10, minimum=3))
    for _ in range(20):
        overloaded(limiter, await limiter.acquire())
    assert limiter.width == 3


@pytest.mark.parametrize(("busy", "grows"), [(4, False), (5, True)])
async def test_the_width_grows_only_while_half_of_it_is_used(busy, grows):
    """Successes don't raise the width unless at least half of it is in use."""
    limiter = AdaptiveLimiter(Limits(initial=10, maximum=64))
    places = [await limiter.acquire() for _ in range(busy)]
    limiter.release(places[0], succeeded=True)
    assert (limiter.width > 10) is grows


async def test_a_failure_that_is_no_overload_changes_nothing():
    """An error that doesn't mean overload, such as a 404, leaves the width as it is."""
    limiter = AdaptiveLimiter(Limits(initial=10))
    for permit in await acquire_all(limiter):
        limiter.release(permit, succeeded=False)
    assert (limiter.width, limiter.in_flight) == (10, 0)


async def test_first_come_first_served():
    """Waiters are admitted in the order in which they came."""
    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1))
    order: list[int] = []

    async def visit(number: int) -> None:
        permit = await limiter.acquire()
        order.append(number)
        await asyncio.sleep(0)
        limiter.release(permit, succeeded=True)

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == list(range(20))
    assert (limiter.in_flight, limiter.width) == (0, 1)


async def test_entering_at_once_passes_nobody_by():
    """A permit is given without waiting only if there is no queue, no pause and no rate."""
    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1))
    first = limiter.try_acquire()
    assert first is not None
    assert limiter.try_acquire() is None
    waiter = asyncio.create_task(limiter.acquire())
    await turn()
    limiter.release(first, succeeded=True)
    assert limiter.try_acquire() is None
    second = await waiter
    overloaded(limiter, second, pause=60)
    assert limiter.try_acquire() is None
    assert limiter.in_flight == 0
    assert AdaptiveLimiter(Limits(rate=asynccontextmanager(lambda: None)())).try_acquire() is None


@pytest.mark.parametrize("when", ["before its permit came", "as its permit came"])
async def test_a_cancelled_waiter_leaks_no_place(when):
    """If a waiter is cancelled, even as it gets its permit, the next one gets the permit."""
    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1))
    held = await limiter.acquire()
    first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
    await turn()
    if when == "as its permit came":
        limiter.release(held, succeeded=False)  # the permit is given, but the waiter has not run yet
        first.cancel()
    else:
        first.cancel()
        await turn()
        limiter.release(held, succeeded=False)
    with pytest.raises(asyncio.CancelledError):
        await first
    limiter.release(await asyncio.wait_for(second, 1), succeeded=False)
    assert limiter.in_flight == 0
    assert limiter.try_acquire() is not None


@pytest.mark.parametrize("where", ["pause", "rate", "leaving the rate"])
async def test_a_waiter_cancelled_behind_its_place_gives_it_back(where):
    """A waiter that is cancelled during the pause or the rate releases its permit."""
    reached = asyncio.Event()

    class Rate:
        async def __aenter__(self) -> None:
            if where == "rate":
                reached.set()
                await asyncio.sleep(60)

        async def __aexit__(self, *_: object) -> None:
            if where == "leaving the rate":
                reached.set()
                await asyncio.sleep(60)

    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1, rate=Rate()))
    if where == "pause":
        limiter.overloaded(1, 60)
        reached.set()
    task = asyncio.create_task(limiter.acquire())
    await reached.wait()
    await turn()
    assert limiter.in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert limiter.in_flight == 0


async def test_a_rate_that_fails_gives_the_place_back():
    """An error of the rate's context manager is raised to the waiter, and the permit is released."""

    class Broken:
        async def __aenter__(self) -> None:
            raise RuntimeError("the rate broke")

        async def __aexit__(self, *_: object) -> None:
            pass

    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1, rate=Broken()))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="the rate broke"):
            await limiter.acquire()
    assert limiter.in_flight == 0


async def test_the_rate_is_entered_before_each_request():
    """The context manager given as `rate` is entered and left once before each request."""
    told: list[str] = []

    class Rate:
        async def __aenter__(self) -> None:
            told.append("entered")

        async def __aexit__(self, *_: object) -> None:
            told.append("left")

    limiter = AdaptiveLimiter(Limits(rate=Rate()))
    for _ in range(3):
        permit = await limiter.acquire()
        told.append("sent")
        limiter.release(permit, succeeded=True)
    assert told == ["entered", "left", "sent"] * 3


@virtual_time
async def test_a_pause_holds_everybody_up():
    """Nobody is admitted during a pause, neither those who wait already nor those who come."""
    clock = asyncio.get_running_loop().time
    limiter = AdaptiveLimiter(Limits(initial=2, maximum=2))
    first, second = await limiter.acquire(), await limiter.acquire()
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
    await turn()
    began = clock()
    overloaded(limiter, first, pause=2.0)
    limiter.release(second, succeeded=False)
    assert limiter.try_acquire() is None
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert 2.0 <= clock() - began < 3.0
    for _ in waiting:
        limiter.release(0, succeeded=False)
    await asyncio.wait(waiting)
    assert clock() - began < 3.0


@virtual_time
async def test_a_pause_may_be_prolonged_while_somebody_waits():
    """A longer Retry-After prolongs the pause for all who wait; a shorter one doesn't shorten it."""
    clock = asyncio.get_running_loop().time
    limiter = AdaptiveLimiter(Limits(initial=4))
    began = clock()
    limiter.overloaded(1, 1.0)
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.5)
    limiter.overloaded(1, 2.0)
    limiter.overloaded(1, 0.1)
    await waiter
    assert 2.5 <= clock() - began < 3.5


@virtual_time
async def test_a_pause_that_is_over_is_over():
    """After a pause the next request is admitted without waiting."""
    limiter = AdaptiveLimiter(Limits())
    limiter.overloaded(1, 0.5)
    assert limiter.try_acquire() is None
    await asyncio.sleep(0.6)
    assert limiter.try_acquire() is not None


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "at once", "ok", "failed", "overloaded", "paused", "cancel", "cancel as it comes"]),
        st.integers(0, 20),
    ),
    max_size=60,
)
BOUNDS = st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(0, 8)).map(
    lambda steps: Limits(minimum=steps[0], initial=steps[0] + steps[1], maximum=sum(steps))
)


@settings(max_examples=200, deadline=None)
@given(limits=BOUNDS, operations=OPERATIONS)
def test_the_width_stays_within_its_bounds_and_no_place_is_lost(limits, operations):
    """For any sequence of events the width keeps its bounds, and all permits come back."""

    async def play() -> None:
        now = 0.0
        limiter = AdaptiveLimiter(limits, lambda: now)
        inside: list[int] = []
        waiting: list[asyncio.Task[int]] = []

        def settle() -> None:
            for task in [task for task in waiting if task.done()]:
                waiting.remove(task)
                if not task.cancelled():
                    inside.append(task.result())

        for what, which in operations:
            match what:
                case "enter":
                    waiting.append(asyncio.create_task(limiter.acquire()))
                case "at once" if (permit := limiter.try_acquire()) is not None:
                    inside.append(permit)
                case "ok" if inside:
                    limiter.release(inside.pop(which % len(inside)), succeeded=True)
                case "failed" if inside:
                    limiter.release(inside.pop(which % len(inside)), succeeded=False)
                case "overloaded" if inside:
                    overloaded(limiter, inside.pop(which % len(inside)))
                case "paused" if inside:
                    overloaded(limiter, inside.pop(which % len(inside)), pause=1.0)
                    now += 1.0  # the pause is over at once, for sleeping is not what is tested here
                case "cancel" if waiting:
                    waiting[which % len(waiting)].cancel()
                case "cancel as it comes" if inside and waiting:
                    limiter.release(inside.pop(), succeeded=False)
                    waiting[which % len(waiting)].cancel()
            if what != "cancel as it comes":
                await turn()
            settle()
            assert limits.minimum <= limiter.width <= limits.maximum
            assert limiter.in_flight >= len(inside)
        for _ in range(len(operations) + 1):
            await turn()
            settle()
            while inside:
                limiter.release(inside.pop(), succeeded=False)
        assert (limiter.in_flight, waiting) == (0, [])
        assert limiter.try_acquire() is not None

    run(play(), debug=False)


async def test_many_waiters_may_all_be_cancelled_quickly():
    """Cancelling 20,000 waiters, the last one first, takes linear time."""
    asyncio.get_running_loop().set_debug(False)
    limiter = AdaptiveLimiter(Limits(initial=1, maximum=1))
    permit = await limiter.acquire()
    waiters = [asyncio.create_task(limiter.acquire()) for _ in range(20_000)]
    await turn()
    began = process_time()
    for waiter in reversed(waiters):
        waiter.cancel()
    await asyncio.wait(waiters)
    assert process_time() - began < 1
    limiter.release(permit, succeeded=False)
    assert limiter.in_flight == 0
    assert limiter.try_acquire() is not None
