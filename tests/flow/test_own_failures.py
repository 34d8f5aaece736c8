"""One query's failure is its own: no count waits, slows or fails because another query hangs, fails or is slow."""

import asyncio
import random
from math import inf

import pytest
from support.clients import ids
from support.models import Service
from support.network import Late, Script, Scripted, Timed, ask_and_time, cost_of, during, outcome_of, refusal, under

from galileo_sessions import GalileoSessions, ProtocolError

OTHER = ids(1)[0]
TROUBLES: dict[str, Script] = {
    "hangs": lambda *_: Late(),
    "504": lambda *_: refusal(504),
    "504 after 20 s": lambda *_: Late(20, refusal(504)),
    "500": lambda *_: refusal(500),
    "500 after 5 s": lambda *_: Late(5, refusal(500)),
    "isn't HTTP": lambda *_: ProtocolError("the answer can't be read as HTTP"),
    "answers after 25 s": lambda *_: Late(25),
}
GAPS = {0.1: 1_200, 1: 120, 11: 60}
"""Seconds between good counts, and how many there are."""


def good_counts(
    sky: Scripted, every: float, times: int, *, pause: float | None, seed: int = 1, **arguments: object
) -> Timed:
    """
    The outcomes of good counts while another query is counted again and again, and how long each took.

    Args:
        sky: The service.
        every: Seconds between good counts.
        times: How many good counts there are.
        pause: Seconds between the end of one count of the other query and the next; None if there are none.
        seed: The client's chance.
        arguments: Those of good counts.
    """

    async def count_other(galileo: GalileoSessions) -> None:
        while pause is not None:
            await outcome_of(galileo, OTHER)
            await asyncio.sleep(pause)

    async def main() -> Timed:
        async with sky.client(seed) as galileo:
            other = asyncio.create_task(count_other(galileo))
            try:
                return await ask_and_time(galileo, every, times, **arguments)
            finally:
                other.cancel()
                await asyncio.wait([other])

    return under(sky, main)


def harmed(counts: Timed) -> tuple[int, int]:
    """How many counts failed, and how many took over half a second."""
    return sum(outcome != 7 for outcome, _ in counts), sum(seconds > 0.5 for _, seconds in counts)


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("every", GAPS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_good_counts_are_as_fast_as_ever(trouble, every, timeout):
    """Beside a query that hangs, fails or is slow, none takes half a second more, and none fails."""
    sky = Scripted(others={OTHER: TROUBLES[trouble]})
    counts = good_counts(sky, every, GAPS[every], pause=2, timeout=timeout)
    assert (0, 0) == harmed(counts)


@pytest.mark.parametrize("status", [500, 504])
def test_a_query_that_fails_every_seven_seconds_cuts_no_rate(status):
    """A good count every 25 s takes no time, although fewer good counts than failures are sent."""
    sky = Scripted(others={OTHER: lambda *_: refusal(status)})
    counts = good_counts(sky, 25, 16, pause=7)
    assert (0, 0) == harmed(counts)


# ---- a fan-out with one hanging target -------------------------------------------------------------------------------


def blip(seconds: float) -> Scripted:
    """A service that refuses everything for a moment; then one target hangs."""
    return Scripted(
        during([(0, seconds)], refusal()), others={OTHER: lambda now, _: refusal() if now < seconds else Late()}
    )


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1, 2])
def test_a_target_that_hangs_after_a_blip_is_given_up_after_a_minute(seconds):
    """How the others fared in the blip is no evidence half a minute later: two timeouts are enough."""
    sky = blip(seconds)

    async def main() -> None:
        async with sky.client(1) as galileo:
            cost = await cost_of(sky, galileo, 40)
        assert 1 == cost.lost
        assert cost.seconds < seconds + 62
        assert sky.by_project[OTHER] <= 2 + 3

    under(sky, main)


@pytest.mark.parametrize("seconds", [0.2, 1])
def test_a_target_that_hangs_opens_no_breaker(seconds):
    """Whenever a single count begins meanwhile, it takes no time, and no refusal of minutes ago is its error."""

    def count_at(begin: float) -> tuple[object, float]:
        sky = blip(seconds)

        async def main() -> tuple[object, float]:
            async with sky.client(1) as galileo:
                fan_out = asyncio.create_task(galileo.count_all(ids(40)))
                await sky.until(begin)
                timed = await outcome_of(galileo)
                await fan_out
                return timed

        return under(sky, main)

    assert (0, 0) == harmed([count_at(begin) for begin in range(10, 300, 7)])


# ---- random healthy services -----------------------------------------------------------------------------------------


def seconds_lost(seed: int) -> float:
    """The most seconds that a good count takes more than alone, at a random healthy service; infinite if one fails."""
    chance = random.Random(seed)
    trouble, every, pause = chance.choice([*TROUBLES]), chance.choice([*GAPS]), chance.choice([0.1, 1, 30])
    model = Service(min(3 * every, 0.002 * 1_000 ** chance.random()), chance.uniform(0, 0.5))
    durations = [model.duration() for _ in range(GAPS[every])]

    def counts(pause: float | None) -> Timed:
        number = iter(durations)
        sky = Scripted(lambda *_: Late(next(number)), others={OTHER: TROUBLES[trouble]})
        return good_counts(sky, every, len(durations), pause=pause, seed=seed)

    pairs = zip(counts(pause), counts(None), strict=True)
    return max(took - alone if outcome == 7 else inf for (outcome, took), (_, alone) in pairs)


@pytest.mark.parametrize(
    "seeds", [range(10), pytest.param(range(10, 110), marks=pytest.mark.thorough)], ids=["ten", "a hundred"]
)
def test_at_random_healthy_services_good_counts_are_as_fast_as_alone(seeds):
    """Whatever else is counted, none takes over half a second more than without it."""
    assert {} == {seed: lost for seed in seeds if (lost := seconds_lost(seed)) > 0.5}
