"""How a stream ends, by an error or by leaving it, and that nothing remains."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import attrs
import pytest
from support.clients import ids, one_by_one, take_all
from support.clock import virtual_time
from support.inside import idle, replace_post
from support.sockets import PROJECT, http, numbered, raw_server, slowly, until

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, ConfigurationError, GalileoSessions, NotFoundError, PasswordAuth
from galileo_sessions.api.responses import Response


@pytest.mark.parametrize("ordered", [False, True])
async def test_fail_fast_ends_at_the_first_error(ordered):
    """With `fail_fast` the first error is raised after the results before it, and ends all requests."""
    special = {4: http(404, "gone"), 5: slowly(60), 6: slowly(60)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(ids(1000), concurrency=4, fail_fast=True, ordered=ordered) as stream:
            with pytest.raises(NotFoundError) as caught:
                await take_all(stream, got)
            assert idle(galileo)
            with pytest.raises(NotFoundError):
                await anext(stream)
        assert caught.value.query.project_id == ids(5)[4]
    assert {0, 1, 2, 3} >= {result.index for result in got}
    assert len(server.requests) < 20
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(NotFoundError):
            await galileo.count_all(ids(1000), concurrency=4, fail_fast=True)
        assert idle(galileo)


@pytest.mark.parametrize(
    ("auth", "error", "most"),
    [(gs.ApiKeyAuth("k"), AuthenticationError, 10), (PasswordAuth("ann", "pw"), gs.LoginError, 1)],
    ids=["key", "password"],
)
async def test_bad_credentials_end_a_stream_at_once(auth, error, most):
    """A 401 is raised, rather than repeated for each target; a wrong password is sent once."""
    async with raw_server(http(401, "who?")) as server, GalileoSessions(auth=auth, base_url=server.url) as galileo:
        with pytest.raises(error) as caught:
            await galileo.count_all(ids(40_000))
        assert idle(galileo)
    assert (type(caught.value), caught.value.status) == (error, 401)
    assert len(server.requests) <= most


# ---- leaving ---------------------------------------------------------------------------------------------------------


async def leave_by_break(stream: gs.CountStream) -> None:
    """Takes one result."""
    async for _ in stream:
        break


async def leave_by_error(stream: gs.CountStream) -> None:
    """Fails on the first result."""
    async for _ in stream:
        raise KeyError("in the body")


async def leave_at_once(stream: gs.CountStream) -> None:
    """Takes nothing."""


async def leave_by_cancelling_oneself(stream: gs.CountStream) -> None:
    """Is cancelled at the next await."""
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


DOORS = {
    "break": (leave_by_break, None),
    "exception": (leave_by_error, KeyError),
    "at once": (leave_at_once, None),
    "cancel": (leave_by_cancelling_oneself, asyncio.CancelledError),
}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("door", "error"), DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_leaving_by_any_door_joins_all(door, error, kind, ordered):
    """However the block is left, no task, permit or connection remains, and the client still counts."""
    special = {number: slowly(60) for number in range(1, 500)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:

        async def use() -> None:
            targets = ids(500) if kind == "sync" else one_by_one(ids(500))
            async with galileo.count_many(targets, ordered=ordered) as stream:
                await until(lambda: len(server.requests) > 5)
                await door(stream)

        (outcome,) = await asyncio.gather(asyncio.create_task(use()), return_exceptions=True)
        assert idle(galileo)
        assert type(outcome) is (error or type(None))
        assert await galileo.count(ids(1)[0]) == 0


# ---- entering and closing --------------------------------------------------------------------------------------------


async def test_a_stream_is_entered_once():
    """Entering a stream twice raises an error that says to call count_many again."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        stream = galileo.count_many(ids(2))
        async with stream:
            with pytest.raises(ConfigurationError, match="count_many again"):
                async with stream:
                    pass
            assert len([result async for result in stream]) == 2
            assert [result async for result in stream] == []
        with pytest.raises(ConfigurationError, match="count_many again"):
            async with stream:
                pass


async def test_a_stream_is_entered_before_it_is_iterated():
    """Iterating without `async with` raises an error that says what to write."""
    galileo = GalileoSessions("k")
    with pytest.raises(ConfigurationError, match="async with"):
        async for _ in galileo.count_many(ids(2)):
            pass


async def test_a_source_that_swallows_its_cancellation_sends_nothing_more():
    """After the block is left no request starts, even if the source goes on as if nothing had happened."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        for target in ids(100):
            yield target

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(source()) as stream:
            await anext(stream)
        assert idle(galileo)
    assert len(server.requests) == 1


async def test_a_worker_that_is_cancelled_ends_the_stream():
    """A CancelledError from below a count ends the stream, also while its source has nothing to offer."""

    async def source() -> AsyncIterator[str]:
        yield PROJECT
        await asyncio.sleep(60)

    async def post(path: str) -> Response:
        raise asyncio.CancelledError

    galileo = GalileoSessions("k")
    replace_post(galileo, post)
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await galileo.count_all(source())
    assert idle(galileo)


async def test_a_stream_that_was_left_does_not_look_complete():
    """Iterating a stream after leaving its block early raises an error."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(50), concurrency=2) as stream:
            async for _ in stream:
                break
        with pytest.raises(ConfigurationError, match="left before all its results were taken"):
            await take_all(stream, [])


async def test_an_exception_of_a_source_is_raised_as_it_is():
    """It stays as it is, without a `report`, so that it may be one that can't be changed."""

    @attrs.frozen
    class Own(Exception):  # noqa: N818  # a user's
        number: int = 1

    def source():
        yield PROJECT
        raise Own

    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(Own) as caught:
            await galileo.count_all(source())
    assert not hasattr(caught.value, "report")


@virtual_time
async def test_a_source_that_fails_as_it_is_closed_loses_no_target():
    """If a source fails as it is closed, each pulled target still has a result."""

    in_flight: list[int] = []

    async def source() -> AsyncIterator[str]:
        try:
            for target in ids(500):
                yield target
        finally:
            raise ValueError("it can't be closed")

    async def post(_: str) -> Response:
        in_flight.append(1)
        await asyncio.sleep(5 + len(in_flight) / 100)
        raise gs.AttemptTimeoutError("no answer", phase="response")

    async with GalileoSessions("k", base_url="http://127.0.0.1:9") as galileo:
        replace_post(galileo, post)
        with pytest.raises(gs.DeadlineExceededError, match="the 6 pulled by then have a result") as caught:
            await galileo.count_all(source(), concurrency=3, timeout=5)
    assert [type(error) for error in caught.value.report.errors] == [gs.DeadlineExceededError] * 6


async def test_a_count_that_waits_for_the_rate_ends_when_the_client_is_closed():
    """Nothing is sent any more."""
    async with raw_server(http()) as server:
        galileo = GalileoSessions("k", base_url=server.url, limits=gs.Limits(rate=0.01))
        assert await galileo.count(PROJECT) == 7
        count = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.01)
        await galileo.close()
        with pytest.raises(ConfigurationError, match="this GalileoSessions is closed"):
            await count
    assert len(server.requests) == 1
