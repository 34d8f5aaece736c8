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
from galileo_sessions.client.limiter import Gate


def overloaded(gate: Gate, place: int, pause: float | None = None) -> None:
    """Ends a request that an overloaded service refused."""
    gate.shrink(place, pause)
    gate.leave(place, ok=False)


async def enter_all(gate: Gate) -> list[int]:
    """Takes all permits that are free."""
    return [await gate.enter() for _ in range(gate.width - gate.in_flight)]


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


async def a_round(gate: Gate) -> None:
    """As many successes as there are permits, all of which are in use."""
    places = await enter_all(gate)
    for place in places:
        gate.leave(place, ok=True)
        await gate.enter()
    for place in places:
        gate.leave(place, ok=False)


async def test_the_width_doubles_until_the_first_refusal():
    """Each round of successes doubles the width, up to the maximum."""
    gate = Gate(Limits(initial=4, maximum=20))
    widths = []
    for _ in range(4):
        await a_round(gate)
        widths.append(gate.width)
    assert widths == [8, 16, 20, 20]


async def test_after_a_refusal_the_width_grows_by_one_a_round():
    """A refusal shrinks the width to 0.7 of itself; afterwards a round of successes adds about one."""
    gate = Gate(Limits(initial=20, maximum=64))
    overloaded(gate, await gate.enter())
    widths = [gate.width]
    for _ in range(5):
        await a_round(gate)
        widths.append(gate.width)
    assert widths[0] == 14
    assert widths[-1] in (18, 19)
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(widths))


async def test_of_one_generation_one_request_shrinks():
    """However many of the requests in flight are refused, the width shrinks once; later ones shrink it again."""
    gate = Gate(Limits(initial=20, maximum=64))
    for place in await enter_all(gate):
        overloaded(gate, place)
    assert gate.width == 14
    for place in await enter_all(gate):
        overloaded(gate, place)
    assert gate.width == 9


async def test_the_width_never_shrinks_below_the_minimum():
    """A service that always refuses still gets `minimum` requests at once."""
    gate = Gate(Limits(initial=10, minimum=3))
    for _ in range(20):
        overloaded(gate, await gate.enter())
    assert gate.width == 3


@pytest.mark.parametrize(("busy", "grows"), [(4, False), (5, True)])
async def test_the_width_grows_only_while_half_of_it_is_used(busy, grows):
    """Successes don't raise the width unless at least half of it is in use."""
    gate = Gate(Limits(initial=10, maximum=64))
    places = [await gate.enter() for _ in range(busy)]
    gate.leave(places[0], ok=True)
    assert (gate.width > 10) is grows


async def test_a_failure_that_is_no_overload_changes_nothing():
    """An error that doesn't mean overload, such as a 404, leaves the width as it is."""
    gate = Gate(Limits(initial=10))
    for place in await enter_all(gate):
        gate.leave(place, ok=False)
    assert (gate.width, gate.in_flight) == (10, 0)


async def test_first_come_first_served():
    """Waiters are admitted in the order in which they came."""
    gate = Gate(Limits(initial=1, maximum=1))
    order: list[int] = []

    async def visit(number: int) -> None:
        place = await gate.enter()
        order.append(number)
        await asyncio.sleep(0)
        gate.leave(place, ok=True)

    await asyncio.gather(*(visit(number) for number in range(20)))
    assert order == list(range(20))
    assert (gate.in_flight, gate.width) == (0, 1)


async def test_entering_at_once_passes_nobody_by():
    """A permit is given without waiting only if there is no queue, no pause and no rate."""
    gate = Gate(Limits(initial=1, maximum=1))
    first = gate.enter_at_once()
    assert first is not None
    assert gate.enter_at_once() is None
    waiter = asyncio.create_task(gate.enter())
    await turn()
    gate.leave(first, ok=True)
    assert gate.enter_at_once() is None
    second = await waiter
    overloaded(gate, second, pause=60)
    assert gate.enter_at_once() is None
    assert gate.in_flight == 0
    assert Gate(Limits(rate=asynccontextmanager(lambda: None)())).enter_at_once() is None


@pytest.mark.parametrize("when", ["before its place came", "as its place came"])
async def test_a_cancelled_waiter_leaks_no_place(when):
    """If a waiter is cancelled, even as it gets its permit, the next one gets the permit."""
    gate = Gate(Limits(initial=1, maximum=1))
    held = await gate.enter()
    first, second = (asyncio.create_task(gate.enter()) for _ in range(2))
    await turn()
    if when == "as its place came":
        gate.leave(held, ok=False)  # the place is given, but the waiter has not run yet
        first.cancel()
    else:
        first.cancel()
        await turn()
        gate.leave(held, ok=False)
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.leave(await asyncio.wait_for(second, 1), ok=False)
    assert gate.in_flight == 0
    assert gate.enter_at_once() is not None


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

    gate = Gate(Limits(initial=1, maximum=1, rate=Rate()))
    if where == "pause":
        gate.shrink(0, 60)
        reached.set()
    task = asyncio.create_task(gate.enter())
    await reached.wait()
    await turn()
    assert gate.in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.in_flight == 0


async def test_a_rate_that_fails_gives_the_place_back():
    """An error of the rate's context manager is raised to the waiter, and the permit is released."""

    class Broken:
        async def __aenter__(self) -> None:
            raise RuntimeError("the rate broke")

        async def __aexit__(self, *_: object) -> None:
            pass

    gate = Gate(Limits(initial=1, maximum=1, rate=Broken()))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="the rate broke"):
            await gate.enter()
    assert gate.in_flight == 0


async def test_the_rate_is_entered_before_each_request():
    """The context manager given as `rate` is entered and left once before each request."""
    told: list[str] = []

    class Rate:
        async def __aenter__(self) -> None:
            told.append("entered")

        async def __aexit__(self, *_: object) -> None:
            told.append("left")

    gate = Gate(Limits(rate=Rate()))
    for _ in range(3):
        place = await gate.enter()
        told.append("sent")
        gate.leave(place, ok=True)
    assert told == ["entered", "left", "sent"] * 3


@virtual_time
async def test_a_pause_holds_everybody_up():
    """Nobody is admitted during a pause, neither those who wait already nor those who come."""
    clock = asyncio.get_running_loop().time
    gate = Gate(Limits(initial=2, maximum=2))
    first, second = await gate.enter(), await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await turn()
    began = clock()
    overloaded(gate, first, pause=2.0)
    gate.leave(second, ok=False)
    assert gate.enter_at_once() is None
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert 2.0 <= clock() - began < 3.0
    for _ in waiting:
        gate.leave(0, ok=False)
    await asyncio.wait(waiting)
    assert clock() - began < 3.0


@virtual_time
async def test_a_pause_may_be_prolonged_while_somebody_waits():
    """A longer Retry-After prolongs the pause for all who wait; a shorter one doesn't shorten it."""
    clock = asyncio.get_running_loop().time
    gate = Gate(Limits(initial=4))
    began = clock()
    gate.shrink(0, 1.0)
    waiter = asyncio.create_task(gate.enter())
    await asyncio.sleep(0.5)
    gate.shrink(0, 2.0)
    gate.shrink(0, 0.1)
    await waiter
    assert 2.5 <= clock() - began < 3.5


@virtual_time
async def test_a_pause_that_is_over_is_over():
    """After a pause the next request is admitted without waiting."""
    gate = Gate(Limits())
    gate.shrink(0, 0.5)
    assert gate.enter_at_once() is None
    await asyncio.sleep(0.6)
    assert gate.enter_at_once() is not None


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
        gate = Gate(limits, lambda: now)
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
                    waiting.append(asyncio.create_task(gate.enter()))
                case "at once" if (place := gate.enter_at_once()) is not None:
                    inside.append(place)
                case "ok" if inside:
                    gate.leave(inside.pop(which % len(inside)), ok=True)
                case "failed" if inside:
                    gate.leave(inside.pop(which % len(inside)), ok=False)
                case "overloaded" if inside:
                    overloaded(gate, inside.pop(which % len(inside)))
                case "paused" if inside:
                    overloaded(gate, inside.pop(which % len(inside)), pause=1.0)
                    now += 1.0  # the pause is over at once, for sleeping is not what is tested here
                case "cancel" if waiting:
                    waiting[which % len(waiting)].cancel()
                case "cancel as it comes" if inside and waiting:
                    gate.leave(inside.pop(), ok=False)
                    waiting[which % len(waiting)].cancel()
            if what != "cancel as it comes":
                await turn()
            settle()
            assert limits.minimum <= gate.width <= limits.maximum
            assert gate.in_flight >= len(inside)
        for _ in range(len(operations) + 1):
            await turn()
            settle()
            while inside:
                gate.leave(inside.pop(), ok=False)
        assert (gate.in_flight, waiting) == (0, [])
        assert gate.enter_at_once() is not None

    run(play(), debug=False)


async def test_many_waiters_may_all_be_cancelled_quickly():
    """Cancelling 20,000 waiters, the last one first, takes linear time."""
    asyncio.get_running_loop().set_debug(False)
    gate = Gate(Limits(initial=1, maximum=1))
    place = await gate.enter()
    waiters = [asyncio.create_task(gate.enter()) for _ in range(20_000)]
    await turn()
    began = process_time()
    for waiter in reversed(waiters):
        waiter.cancel()
    await asyncio.wait(waiters)
    assert process_time() - began < 1
    gate.leave(place, ok=False)
    assert gate.in_flight == 0
    assert gate.enter_at_once() is not None
