"""How long an attempt, a count and a fan-out can take."""

import asyncio
from collections.abc import AsyncIterator
from itertools import cycle

import pytest
from support.clients import connected, failure, ids
from support.clock import virtual_time
from support.inside import width
from support.sockets import PROJECT, http, silence, slowly, until

import galileo_sessions as gs
from galileo_sessions import AttemptTimeoutError, DeadlineExceededError, Limits, Timeouts


@pytest.mark.parametrize(
    ("begins_with", "then", "phase"),
    [(b"", b"", "response"), (http()[:-17], b"", "body"), (http(200, b" " * 99)[:-99], b" ", "body")],
    ids=["silence", "head, then silence", "one byte a second"],
)
@pytest.mark.parametrize(("timeouts", "seconds"), [(Timeouts(), 30), (Timeouts(attempt=5), 5)], ids=["default", "5 s"])
@virtual_time
async def test_silence_ends_an_attempt(begins_with, then, phase, timeouts, seconds):
    """An attempt times out after 30 s, or after `Timeouts.attempt`, is retried, and its connection is closed."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        writer.write(begins_with)
        while then and not writer.is_closing():
            writer.write(then)
            await asyncio.sleep(1)

    async with connected(behave, timeouts=timeouts) as (server, galileo):
        error = await failure(galileo)
        await until(lambda: not server.open)
    assert len(server.requests) == 2
    assert (type(error), error.phase) == (AttemptTimeoutError, phase)
    assert [seconds <= attempt.elapsed < 1.2 * seconds for attempt in error.attempts] == [True] * 2
    assert 2 * seconds <= error.elapsed < 2.4 * seconds


@virtual_time
async def test_a_deadline_in_the_middle_of_an_attempt():
    """count(timeout=1) ends after 1.0 s, although an attempt can take 30 s, and that doesn't lower the width."""
    async with connected(silence) as (_, galileo):
        error = await failure(galileo, timeout=1)
        assert width(galileo) == 10
    assert isinstance(error, TimeoutError)
    assert (type(error), type(error.last)) == (DeadlineExceededError, AttemptTimeoutError)
    assert (error.message, error.hint) == ("the timeout ran out during an attempt", "Raise timeout=")
    assert 1.0 <= error.elapsed < 1.2


@virtual_time
async def test_a_deadline_behind_a_full_queue():
    async with connected(silence, limits=Limits(1)) as (server, galileo):
        first = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        error = await failure(galileo, timeout=1)
        first.cancel()
        await asyncio.wait([first])
    assert (type(error), error.attempts, error.last) == (DeadlineExceededError, (), None)
    assert 1.0 <= error.elapsed < 1.2
    assert error.message.endswith("ran out while waiting for a free slot (1 request in flight, limit 1)")
    assert len(server.requests) == 1


@virtual_time
async def test_a_backoff_that_would_pass_the_deadline():
    """If the next backoff would exceed the deadline, the count fails at once, with the last error."""
    async with connected(http(500, ""), jitter=1) as (server, galileo):
        error = await failure(galileo, timeout=0.25)
    assert (type(error), type(error.last)) == (DeadlineExceededError, gs.ServerError)
    assert error.elapsed < 0.1
    assert (len(error.attempts), len(server.requests)) == (2, 2)  # the first retry has no backoff
    assert error.message == f"the timeout ran out; before that: {error.last.message}"


# ---- fan-outs --------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_deadline_ends_all_that_is_not_counted_by_then():
    """Each target without a count gets a DeadlineExceededError, and no request follows."""
    clock = asyncio.get_running_loop().time
    async with connected({number: slowly(0.1, number) for number in range(600)}) as (server, galileo):
        began = clock()
        report = await galileo.count_all(ids(600), concurrency=8, timeout=1)
        assert clock() - began < 1.1
        sent = len(server.requests)
        await asyncio.sleep(5)
    assert (len(report.results), len(server.requests)) == (600, sent)
    assert {type(error) for error in report.errors} == {DeadlineExceededError}
    counted = [result for result in report.results if result.ok]
    assert 8 <= len(counted) <= 80
    assert all(result.total_count == result.index for result in counted)


async def endlessly() -> AsyncIterator[str]:
    """An asynchronous source that never waits and never ends."""
    for target in cycle(ids(40)):
        yield target


class Sized(list[str]):
    """An asynchronous source that has a length, and nothing after its twelfth target."""

    async def __aiter__(self) -> AsyncIterator[str]:
        for target in self[:12]:
            yield target
        await asyncio.sleep(60)


SOURCES = {
    "async": endlessly,
    "sync": lambda: cycle(ids(40)),
    "generator": lambda: (target for target in ids(400)),  # it has no length, so it can be endless
    "async with a length": lambda: Sized(ids(400)),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@virtual_time
async def test_a_deadline_ends_the_pulling_of_a_source_that_can_be_endless(source):
    """At the deadline, pulling ends; each pulled target has a result in the exception's report."""
    async with connected({number: slowly(0.2, number) for number in range(400)}) as (_, galileo):
        with pytest.raises(DeadlineExceededError, match="pulled by then have a result") as caught:
            await galileo.count_all(source(), concurrency=4, timeout=0.5)
    report = caught.value.report
    assert caught.value.hint == "Raise timeout=, or give fewer targets"
    assert [result.index for result in report.results] == list(range(len(report.results)))
    assert report.counts[:8] == tuple(range(8))
    assert {type(error) for error in report.errors} <= {DeadlineExceededError}
    assert 12 <= len(report.results) <= 16
