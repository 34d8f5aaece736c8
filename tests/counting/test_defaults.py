"""What holds unless a call says otherwise: how many counts at once, how far ahead, and who hears of attempts."""

import asyncio

import pytest
from support.clients import Source, ids
from support.clock import virtual_time
from support.network import Late, Scripted, refusal
from support.sockets import PROJECT

from galileo_sessions import Attempt, Limits


@pytest.mark.parametrize(("maximum", "at_once"), [(256, 240), (16, 15), (15, 15), (1, 1)])
@virtual_time
async def test_a_fan_out_leaves_a_sixteenth_of_the_limit_to_other_calls(maximum, at_once):
    silent = Scripted(lambda *_: Late())
    async with silent.client(limits=Limits(maximum, initial=maximum)) as galileo:
        counting = asyncio.create_task(galileo.count_all(ids(2 * maximum)))
        await asyncio.sleep(1)
        assert silent.requests == at_once
        counting.cancel()
        await asyncio.wait([counting])


@pytest.mark.parametrize(("is_down", "pulled"), [(False, 2), (True, 112)])
@virtual_time
async def test_a_hundred_more_targets_are_pulled_in_an_outage(is_down, pulled):
    """Of one count at once, ten can be parked; in an outage, a hundred more are tried."""
    source = Source(ids(500))
    sky = Scripted(lambda *_: refusal() if is_down else Late())
    async with sky.client() as galileo:
        counting = asyncio.create_task(galileo.count_all(iter(source), concurrency=1))
        await asyncio.sleep(20)
        assert source.pulled == pulled
        counting.cancel()
        await asyncio.wait([counting])


@virtual_time
async def test_on_attempt_does_not_hear_of_a_cancelled_request():
    heard = list[Attempt]()
    silent = Scripted(lambda *_: Late())
    async with silent.client(on_attempt=heard.append) as galileo:
        counting = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(1)
        assert silent.requests == 1
        counting.cancel()
        await asyncio.wait([counting])
    assert heard == []
