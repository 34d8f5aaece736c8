"""Each permit comes back, however its count ends, and nothing waits in a closed client."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from support.clients import ids
from support.inside import in_flight, our_tasks, replace_post
from support.network import COUNTED, Scripted, cost_of, outcome_of, refusal, under
from support.sockets import PROJECT

from galileo_sessions import ConfigurationError, GalileoError, GalileoSessions, Limits
from galileo_sessions.api.responses import Response

# ---- a coroutine that is closed --------------------------------------------------------------------------------------


def driven(galileo: GalileoSessions, timeout: float | None) -> Coroutine[Any, Any, int]:
    """A count that has run until it waits, without a task that would resume it."""
    coroutine = galileo.count(PROJECT, timeout=timeout)
    coroutine.send(None)
    return coroutine


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("when", ["in line", "with a permit", "sent", "asleep"])
@pytest.mark.parametrize("maximum", [1, 2])
def test_a_closed_coroutine_gives_its_permit_back(maximum, when, timeout):
    """After `coroutine.close()` in line, in a request or in a Retry-After, a client counts on, also one at a time."""
    sky = Scripted(lambda _, number: refusal(503, 9) if when == "asleep" and number == 1 else None)

    async def main() -> None:
        async with sky.client(limits=Limits(maximum)) as galileo:
            before = 0 if when in ("sent", "asleep") else maximum
            others = [asyncio.create_task(galileo.count(PROJECT)) for _ in range(before)]
            await asyncio.sleep(0)
            closing = driven(galileo, timeout)
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

    under(sky, main)


# ---- a client that is closed -----------------------------------------------------------------------------------------

LATE = {
    "429, Retry-After": refusal(429, 30),
    "503, Retry-After": refusal(503, 1),
    "503": refusal(503),
    "count": COUNTED,
}


@pytest.mark.parametrize("how", LATE)
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("fan_out", [False, True], ids=["count", "fan-out"])
def test_nothing_waits_in_a_closed_client(fan_out, timeout, turns, how):
    """An answer that arrives in the turn of `close()`, or just before, ends its count; nothing more is sent."""
    sky = Scripted()
    answer: asyncio.Future[Response] | None = None

    async def post(_: str) -> Response:
        sky.requests += 1
        if sky.requests == 1:
            return COUNTED
        return await asyncio.shield(answer)

    async def main() -> None:
        nonlocal answer
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        galileo = sky.client()
        replace_post(galileo, post)
        assert await galileo.count(PROJECT) == 7
        if fan_out:
            waiting = asyncio.create_task(galileo.count_all(ids(30), timeout=timeout))
        else:
            waiting = asyncio.create_task(outcome_of(galileo, timeout=timeout))
        await asyncio.sleep(0.5)
        sent = sky.requests
        answer.set_result(LATE[how])
        for _ in range(turns):
            await asyncio.sleep(0)
        began = loop.time()
        await galileo.close()
        outcome = await waiting
        errors = outcome.errors if fan_out else [outcome[0]] * isinstance(outcome[0], GalileoError)
        assert loop.time() - began < 0.1
        assert how == "count" or 1 <= len(errors) <= 30
        assert sky.requests - sent <= (0 if turns == 0 else 30)
        assert our_tasks() == []
        sent = sky.requests
        error, seconds = await outcome_of(galileo, timeout=timeout)
        assert (type(error), seconds, sky.requests) == (ConfigurationError, 0, sent)

    under(sky, main)
