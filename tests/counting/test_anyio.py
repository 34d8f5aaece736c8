"""anyio's scopes, as in FastAPI and Starlette: each recognises its own cancellation, and nothing spins or leaks."""

import asyncio
import gc
import warnings

import anyio
import pytest
from support.clients import ids
from support.inside import idle
from support.sockets import PROJECT, http, numbered, raw_server, slowly, until

from galileo_sessions import GalileoSessions, PasswordAuth


@pytest.mark.parametrize("where", ["in the body", "while leaving"])
async def test_a_scope_around_a_stream_ends_it_and_nothing_else(where):
    """`move_on_after` catches its own cancellation, in a stream's body or while the block is left."""
    async with numbered({0: slowly(60)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with anyio.move_on_after(60 if where == "while leaving" else 0.05) as scope:
            async with galileo.count_many(ids(1)) as stream:
                await until(lambda: server.requests)
                if where == "while leaving":
                    scope.cancel()
                else:
                    await anext(stream)
        assert scope.cancelled_caught
        await asyncio.sleep(0)  # the task isn't cancelled any more
        assert asyncio.current_task().cancelling() == 0
        assert idle(galileo)


async def test_a_stream_does_not_spin_while_its_source_cleans_up():
    """anyio repeats a cancellation as long as it wakes the task. It doesn't wake one that leaves a stream."""
    cancellations = []

    async def source():
        try:
            for project in ids(10**4):
                yield project
        finally:
            await asyncio.sleep(0.1)
            cancellations.append(task.cancelling())

    task = asyncio.current_task()
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        with anyio.CancelScope() as scope:
            async with galileo.count_many(source()) as stream:
                async for _ in stream:
                    scope.cancel()
        assert scope.cancelled_caught
        assert idle(galileo)
    assert cancellations[0] < 5


@pytest.mark.parametrize("auth", [None, PasswordAuth("ann", "pw")], ids=["key", "login"])
async def test_a_client_whose_block_a_scope_ends_is_closed(auth):
    """A cancellation that continues while a client closes neither leaves connections nor causes a warning."""
    key = "k" if auth is None else None
    login = http(200, '{"access_token": "t", "total_count": 7}')
    async with raw_server(login) as server:
        with warnings.catch_warnings(record=True) as caught, anyio.move_on_after(0.3) as scope:
            warnings.simplefilter("always")
            async with GalileoSessions(key, auth=auth, base_url=server.url) as galileo:
                await galileo.count(PROJECT)
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        del galileo
        gc.collect()
        await until(lambda: not server.open)
    assert [warning.message for warning in caught] == []
