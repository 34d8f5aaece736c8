"""What fails for many is the service's: overload that shows as failures, outages of failures, and a hang of all."""

import asyncio
from collections.abc import Callable

import pytest
from support.clients import ids
from support.models import Bucket, Capacity, Queue, Reply, Service
from support.network import Cost, Late, Scripted, Sky, Timed, cost_of, during, outcome_of, refusal, under

# ---- overload --------------------------------------------------------------------------------------------------------


class Gateway(Queue):
    """Some workers behind a gateway that answers for them after five seconds, while their work goes on."""

    def arrive(self, now: float) -> Reply:
        reply = super().arrive(now)
        return reply if reply.seconds < 5 else Reply("refused", 5.0)


OVERLOADED: dict[str, tuple[Callable[[], Service], int, float]] = {
    "20 at once": (lambda: Capacity(20, 0.1), 1_000, 5.0),
    "50 a second": (lambda: Bucket(50, 20), 500, 9.6),
    "10 a second": (lambda: Bucket(10, 5), 100, 9.5),
    "4 workers behind a gateway": (lambda: Gateway(4, 1.0), 300, 75.0),
}
"""Services, how many counts a fan-out has, and the fewest seconds that these take."""


@pytest.mark.parametrize("status", [500, 503, 504])
@pytest.mark.parametrize("overloaded", OVERLOADED)
def test_overload_slows_a_fan_out_down_whatever_its_status(overloaded, status):
    """A service that answers 500 or 504 to what is too much loses no count, nor much time."""
    service, counts, ideal = OVERLOADED[overloaded]
    sky = Sky(service(), status)

    async def main() -> Cost:
        async with sky.client(1) as galileo:
            return await cost_of(sky, galileo, counts)

    cost = under(sky, main)
    assert 0 == cost.lost
    assert cost.requests <= (1.5 if status == 503 else 1.7) * counts  # a failure isn't believed at once
    assert cost.seconds <= 1.25 * ideal


@pytest.mark.parametrize("status", [500, 503, 504])
def test_overload_slows_single_counts_down_whatever_its_status(status):
    """Thirty callers at a service that takes ten at once lose no count, and each waits for a few seconds at most."""
    sky = Sky(Capacity(10, 0.1), status)
    projects = iter(ids(1_800))

    async def main() -> Timed:
        async with sky.client(1) as galileo:

            async def call() -> Timed:
                return [await outcome_of(galileo, next(projects)) for _ in range(60)]

            return [outcome for outcomes in await asyncio.gather(*(call() for _ in range(30))) for outcome in outcomes]

    counts = under(sky, main)
    assert {7} == {outcome for outcome, _ in counts}
    assert max(seconds for _, seconds in counts) < 4
    assert sky.requests <= 1.7 * 1_800


# ---- an outage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 504])
@pytest.mark.parametrize(("callers", "pause"), [(50, 1), (10, 0.2)])
def test_a_query_that_everybody_polls_opens_the_breaker(callers, pause, status):
    """Although it is one query, an outage of a minute sees few requests, and its end is noticed within seconds."""
    sky = Scripted(during([(5, 65)], refusal(status)))

    async def main() -> None:
        async with sky.client(1) as galileo:

            async def poll() -> list[float]:
                counted: list[float] = []
                while sky.now < 80:
                    if (await outcome_of(galileo))[0] == 7:
                        counted.append(sky.now)
                    await asyncio.sleep(pause)
                return counted

            counted = await asyncio.gather(*(poll() for _ in range(callers)))
        assert sum(5 <= at < 65 for at in sky.arrivals) <= 600
        assert max(min(at for at in times if at > 65) for times in counted) < 65 + 4

    under(sky, main)


# ---- a hang ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.1, 1])
@pytest.mark.parametrize("polled", [True, False], ids=["one query", "many queries"])
def test_a_hang_of_ten_seconds_holds_nobody_for_longer_than_patience(polled, every):
    """Requests that hang keep their permits until they time out, but the counts behind them go out before."""
    sky = Scripted(during([(5, 15)], Late()))
    after: Timed = []

    async def main() -> None:
        projects = iter(ids(1 if polled else 1_000) * 1_000)

        async def count(galileo: object) -> None:
            began = sky.now
            timed = await outcome_of(galileo, next(projects))
            if began >= 15:
                after.append(timed)

        async with sky.client(1) as galileo, asyncio.TaskGroup() as tasks:
            while sky.now < 90:
                tasks.create_task(count(galileo))
                await asyncio.sleep(every)

    under(sky, main)
    assert {7} == {outcome for outcome, _ in after}
    assert max(seconds for _, seconds in after) <= 10
