"""`timeout=` of a fan-out ends pulling and counting, and the results so far are reported."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from uuid import UUID

import pytest
from support.clients import ids, take_all
from support.clock import virtual_time
from support.inside import idle
from support.sockets import PROJECT, http, numbered, raw_server, slowly

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, ConfigurationError, DeadlineExceededError, GalileoSessions


@virtual_time
async def test_a_deadline_ends_all_that_is_not_counted_by_then():
    """At the deadline each target without a count gets a DeadlineExceededError, and no request follows."""
    clock = asyncio.get_running_loop().time
    arrived: list[float] = []

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        arrived.append(clock())
        await asyncio.sleep(0.1)
        writer.write(http())

    async with raw_server(behave) as server, GalileoSessions("k", base_url=server.url) as galileo:
        began = clock()
        report = await galileo.count_all(ids(600), concurrency=8, timeout=1)
        took = clock() - began
        assert idle(galileo)
    assert len(report.results) == 600
    assert {type(error) for error in report.errors} == {DeadlineExceededError}
    assert {result.total_count for result in report.results if result.ok} == {7}
    assert 8 <= sum(result.ok for result in report.results) <= 80
    assert took < 3
    assert [at - began for at in arrived if at > began + 1.3] == []


@virtual_time
async def test_a_deadline_ends_the_wait_for_a_source():
    """A source that gives nothing more in time ends the stream with DeadlineExceededError, after the results."""

    async def stuck() -> AsyncIterator[str]:
        yield PROJECT
        await asyncio.sleep(60)

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(stuck(), timeout=0.2) as stream:
            with pytest.raises(DeadlineExceededError):
                await take_all(stream, got)
        assert idle(galileo)
    assert [result.unwrap() for result in got] == [7]


async def endlessly() -> AsyncIterator[str]:
    """An asynchronous source that never waits and never ends."""
    for target in cycle(ids(40)):
        yield target


def list_iterator() -> Iterator[str]:
    """A generator has no length, so it can be endless."""
    yield from ids(400)


@pytest.mark.parametrize("source", [endlessly, lambda: cycle(ids(40)), list_iterator], ids=["async", "sync", "list"])
@virtual_time
async def test_a_deadline_ends_the_pulling_of_a_source_without_length(source):
    """At the deadline, pulling ends; each pulled target has a result in the exception's report."""
    async with numbered({number: slowly(0.2, number) for number in range(400)}) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            with pytest.raises(DeadlineExceededError, match="pulled by then have a result") as caught:
                await galileo.count_all(source(), concurrency=4, timeout=0.5)
            assert idle(galileo)
    report = caught.value.report
    assert [result.index for result in report.results] == list(range(len(report.results)))
    assert report.counts[:8] == tuple(range(8))
    assert {type(error) for error in report.errors} <= {DeadlineExceededError}
    assert 12 <= len(report.results) <= 16


@virtual_time
async def test_elapsed_ends_with_the_stream():
    """The seconds of a stream's progress stand still once its last task is done."""
    async with numbered({0: slowly(2)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(1)) as stream:
            assert [result.ok async for result in stream] == [True]
            await asyncio.sleep(50)
        await asyncio.sleep(50)
        assert 2 <= stream.progress.elapsed < 3


# ---- reports of fan-outs that end early ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "error", "counted", "fail_fast"),
    [
        ([*ids(50), str(UUID(int=999)), *ids(3)], AuthenticationError, 50, False),
        ([*ids(40), "no-id", *ids(3)], ConfigurationError, 40, True),
    ],
    ids=["401", "bad id"],
)
async def test_an_early_end_leaves_what_was_counted(source, error, counted, fail_fast):
    """A 401 and, with `fail_fast`, an invalid id end the fan-out; the exception's `report` has the counts so far."""
    async with numbered({999: http(401, "who?")}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(error) as caught:
            await galileo.count_all(source, concurrency=1, fail_fast=fail_fast)
        assert idle(galileo)
    report = caught.value.report
    assert report.counts == tuple(range(counted))
    assert report.progress.done == counted
