"""Single counts and fan-outs take turns."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.clients import ids
from support.models import Bucket, Capacity
from support.network import Sky, under
from support.sockets import PROJECT

from galileo_sessions import Col, GalileoSessions

WHERE = Col("a").eq("x") & Col("b").gt(1) & Col("c").is_true()
WEEK = Col.date("created_at").days(last="7d", tz="UTC")


async def count_of_20(galileo: GalileoSessions, timeout: float | None) -> object:
    """A fan-out."""
    report = await galileo.count_all(ids(20), timeout=timeout)
    assert () == report.errors
    return report


SMALL: dict[str, tuple[Callable[[GalileoSessions, float | None], Awaitable[object]], float]] = {
    "count": (lambda galileo, timeout: galileo.count(PROJECT, timeout=timeout), 0.6),
    "count_by": (lambda galileo, timeout: galileo.count_by(PROJECT, WEEK, timeout=timeout), 1.6),
    "explain": (lambda galileo, timeout: galileo.explain(PROJECT, WHERE, timeout=timeout), 2.0),
    "count_all": (count_of_20, 3.0),
}
"""Calls, and the seconds that each may take beside a big fan-out."""
LIMITED: dict[str, Callable[[], Sky]] = {
    "20 a second": lambda: Sky(Bucket(20, 20)),
    "100 a second": lambda: Sky(Bucket(100, 20)),
    "10 at once": lambda: Sky(Capacity(10, 0.5)),
}


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize("limited", LIMITED)
def test_a_small_call_takes_turns_with_a_big_fan_out(limited, small, timeout):
    """It ends within seconds, and loses nothing with `timeout=5`, although hundreds of targets have waited before."""
    sky = LIMITED[limited]()
    call, most = SMALL[small]

    async def main() -> float:
        clock = asyncio.get_running_loop().time
        async with sky.client(1) as galileo:
            big = asyncio.create_task(galileo.count_all(ids(1_000)))
            await asyncio.sleep(5)
            assert not big.done()
            began = clock()
            await call(galileo, timeout)
            took = clock() - began
            assert () == (await big).errors
        return took

    assert under(sky, main) < most


def test_fan_outs_of_one_client_share_what_the_service_takes():
    """Those that begin later get their share from the first second on."""
    sky = Sky(Bucket(50, 10))

    async def main() -> list[int]:
        async with sky.client(1) as galileo:

            async def count(number: int) -> int:
                await asyncio.sleep(number)
                async with galileo.count_many(ids(2_000)) as stream:
                    await asyncio.sleep(12 - number)
                    return stream.progress.done

            return await asyncio.gather(*map(count, range(3)))

    assert min(under(sky, main)) > 100
