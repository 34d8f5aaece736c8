"""What a client has learned expires: neither long outages nor callers that ask rarely slow down what comes later."""

import asyncio

import pytest
from support.clients import ids
from support.models import Bucket
from support.network import DAY, Cost, Scripted, Sky, ask, cost_of, cost_of_new, during, outcome_of, refusal, under
from support.sockets import PROJECT

from galileo_sessions import GalileoSessions
from galileo_sessions.api.responses import Response

pytestmark = pytest.mark.thorough

STATUSES = pytest.mark.parametrize("status", [429, 503])

# ---- after a quiet time ----------------------------------------------------------------------------------------------


async def asks_each_minute(_: Scripted, galileo: GalileoSessions) -> None:
    """One count a minute."""
    await ask(galileo, 60, 14)


async def is_busy(_: Scripted, galileo: GalileoSessions) -> None:
    """Three counts a second."""
    await ask(galileo, 0.3, 2_300, timeout=5)


async def fans_out_each_minute(sky: Scripted, galileo: GalileoSessions) -> None:
    """Fan-outs that fail."""
    for minute in range(1, 13):
        await galileo.count_all(ids(50), timeout=50)
        await sky.until(60 * minute)


@pytest.mark.parametrize(("status", "retry_after"), [(503, None), (429, 30)])
@pytest.mark.parametrize("history", [asks_each_minute, is_busy, fans_out_each_minute])
def test_after_ten_minutes_of_outage_and_a_quiet_time_a_client_is_like_a_new_one(history, retry_after, status):
    """A fan-out takes no request more and half a second longer at most than a new client's, a single count no time."""
    sky = Scripted(during([(60, 660)], refusal(status, retry_after)))

    async def main() -> None:
        async with sky.client() as galileo:
            await history(sky, galileo)
            await asyncio.sleep(120)
            assert (await outcome_of(galileo, timeout=1))[0] == 7
            used = await cost_of(sky, galileo, 2_000, timeout=120)
        new = await cost_of_new(sky, 2_000)
        assert (used.lost, used.requests) == (0, new.requests)
        assert used.seconds <= 1.1 * new.seconds + 0.4

    under(sky, main)


# ---- a caller that asks rarely ---------------------------------------------------------------------------------------


@STATUSES
@pytest.mark.parametrize("gap", [1, 60, 600, DAY])
@pytest.mark.parametrize("together", ["counts", "fan-out"])
def test_a_stray_refusal_now_and_then_slows_nothing_down(together, gap, status):
    """Five counts now and then, one of which is refused once, lose nothing and take less than a second each time."""
    sky = Scripted()

    async def five(galileo: GalileoSessions) -> float:
        refused = sky.requests + 3
        sky.script = lambda _, number: refusal(status) if number == refused else None
        began = sky.now
        if together == "counts":
            assert await asyncio.gather(*(galileo.count(PROJECT, timeout=5) for _ in range(5))) == [7] * 5
        else:
            assert (await galileo.count_all(ids(5), timeout=5)).errors == ()
        return sky.now - began

    async def main() -> None:
        async with sky.client() as galileo:
            for _ in range(40):
                assert await five(galileo) < 1
                await asyncio.sleep(gap)
        assert sky.requests == 40 * 6

    under(sky, main)


@pytest.mark.parametrize(("every", "status"), [(0.5, 429), (60, 503)])
def test_how_often_a_caller_asks_is_not_what_the_service_takes(every, status):
    """One count after another, some refused once, teach no rate: a fan-out is then as fast as a new client's."""
    sky = Scripted(lambda now, number: refusal(status) if number % 10 == 5 else None)

    async def main() -> None:
        async with sky.client() as galileo:
            assert await ask(galileo, every, 200, timeout=5) == [7] * 200
            sky.script = lambda *_: None
            used = await cost_of(sky, galileo, 2_000)
        new = await cost_of_new(sky, 2_000)
        assert (used.lost, used.requests) == (0, new.requests)
        assert used.seconds <= 1.1 * new.seconds

    under(sky, main)


@pytest.mark.parametrize("seconds", [0.002, 0.1])
def test_a_blink_is_one_piece_of_evidence(seconds):
    """While all is refused for some milliseconds, at once, a rate isn't cut again and again."""

    class Blinking(Sky):
        def __init__(self, seconds: float) -> None:
            super().__init__(Bucket(500, 20, latency=0.005))
            self.seconds = seconds

        async def post(self, path: str) -> Response:
            if 3 <= asyncio.get_running_loop().time() - self.began < 3 + self.seconds:
                self.requests += 1
                await asyncio.sleep(0.001)
                return refusal()
            return await super().post(path)

    def took(seconds: float) -> float:
        sky = Blinking(seconds)

        async def main() -> Cost:
            return await cost_of_new(sky, 4_000)

        cost = under(sky, main)
        assert cost.lost == 0
        return cost.seconds

    assert took(seconds) <= 1.05 * took(0.0) + seconds + 0.2
