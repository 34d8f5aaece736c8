"""How long an attempt and a count can take."""

import asyncio
from collections.abc import Callable

import pytest
from support.clients import client, failure, ids
from support.clock import virtual_time
from support.inside import idle, replace_post, width
from support.sockets import PROJECT, Service, answers, http, raw_server, serving, silence, until

import galileo_sessions as gs
from galileo_sessions import AttemptTimeoutError, DeadlineExceededError, Limits, Timeouts
from galileo_sessions.api.responses import Response


class Dawdling(Service):
    """Answers with nothing, with a head alone, or with one byte per second."""

    def __init__(self, begins_with: bytes, then: bytes) -> None:
        super().__init__()
        self.begins_with = begins_with
        self.then = then

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Begins."""
        answer(self.begins_with)
        if self.then:
            self.go_on(answer)

    def go_on(self, answer: Callable[[bytes], None]) -> None:
        """Sends a little each second."""
        answer(self.then)
        asyncio.get_running_loop().call_later(1, self.go_on, answer)


@pytest.mark.parametrize(
    ("begins_with", "then", "phase"),
    [(b"", b"", "response"), (http()[:-17], b"", "body"), (http(200, b" " * 99)[:-99], b" ", "body")],
    ids=["silence", "head, then silence", "one byte a second"],
)
@pytest.mark.parametrize(("timeouts", "seconds"), [(Timeouts(), 30), (Timeouts(attempt=5), 5)], ids=["default", "5 s"])
@virtual_time
async def test_silence_ends_an_attempt(begins_with, then, phase, timeouts, seconds):
    """An attempt times out after 30 s, or after `Timeouts.attempt`, is retried, and its connection is closed."""
    async with serving(Dawdling(begins_with, then)) as service:
        async with client(service.url, timeouts=timeouts) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
            await until(lambda: not service.connections)
    assert service.requests == 2
    assert type(error) is AttemptTimeoutError
    assert error.phase == phase
    assert [seconds <= attempt.elapsed < 1.2 * seconds for attempt in error.attempts] == [True] * 2
    assert 2 * seconds <= error.elapsed < 2.4 * seconds


@virtual_time
async def test_a_deadline_in_the_middle_of_an_attempt():
    """count(timeout=1) ends after 1.0 s, although an attempt can take 30 s."""
    async with raw_server(silence) as server, client(server.url) as galileo:
        error = await failure(galileo, timeout=1)
        assert idle(galileo)
        assert width(galileo) == 10
    assert type(error) is DeadlineExceededError
    assert isinstance(error, TimeoutError)
    assert (error.message, error.hint) == ("the timeout ran out during an attempt", "Raise timeout=")
    assert 1.0 <= error.elapsed < 1.2
    assert type(error.last) is AttemptTimeoutError


@virtual_time
async def test_a_timeout_behind_a_full_queue():
    """count(timeout=1) that gets no permit raises DeadlineExceededError after 1.0 s, and sends nothing."""
    async with raw_server(silence) as server, client(server.url, limits=Limits(initial=1, maximum=1)) as galileo:
        first = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        error = await failure(galileo, timeout=1)
        first.cancel()
        await asyncio.wait([first])
    assert type(error) is DeadlineExceededError
    assert 1.0 <= error.elapsed < 1.2
    assert (error.attempts, error.last) == ((), None)
    assert error.message.endswith("ran out while waiting for a free slot (1 request in flight, limit 1)")
    assert len(server.requests) == 1


@virtual_time
async def test_a_backoff_that_would_pass_the_deadline():
    """If the next backoff would exceed the deadline, the count fails at once, with the last error."""
    async with raw_server(http(500, "")) as server, client(server.url, jitter=1) as galileo:
        error = await failure(galileo, timeout=0.25)
    assert type(error) is DeadlineExceededError
    assert error.elapsed < 0.1
    assert type(error.last) is gs.ServerError
    assert (len(error.attempts), len(server.requests)) == (2, 2)  # the first retry has no backoff
    assert error.message == f"the timeout ran out; before that: {error.last.message}"


@virtual_time
async def test_a_deadline_while_the_service_refuses_everything():
    """The text says what the count waited for, and what the service answered last, in its own words."""
    refusal = http(503, '{"detail": "down for maintenance"}')
    async with raw_server(answers(http(), refusal)) as server, client(server.url, jitter=1) as galileo:
        assert await galileo.count(PROJECT) == 7
        error = await failure(galileo, timeout=5)
    assert type(error) is DeadlineExceededError
    assert (error.last.status, "down for maintenance" in error.last.message) == (503, True)
    assert error.message == f"the timeout ran out; before that: {error.last.message}"


@virtual_time
async def test_a_deadline_behind_a_circuit_breaker():
    """The text names the breaker, and the refusal that this call met last, or else the others."""
    async with raw_server(http(503, '{"detail": "down"}')) as server, client(server.url, jitter=1) as galileo:
        report = await galileo.count_all(ids(20), timeout=5)
    waited = [error for error in report.errors if "while waiting" in error.message]
    assert waited
    for error in waited:
        refusal = f"503 Service Unavailable from {server.url}: 'down'"
        assert error.message == (
            "the timeout ran out while waiting for the circuit breaker: the service has refused everything for 5 s; "
            f"{'before that' if error.attempts else 'other requests'}: {refusal}"
        )


@virtual_time
async def test_no_connection_in_time_is_tried_again_before_the_deadline():
    """An attempt that times out before `timeout=` has run out is tried again."""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def post(_: str) -> Response:
        await asyncio.sleep(10)
        if clock() - began < 15:
            raise AttemptTimeoutError("no connection", phase="connect")
        return Response(200, {}, b'{"total_count":7}')

    async with gs.GalileoSessions("k", base_url="http://127.0.0.1:9") as galileo:
        replace_post(galileo, post)
        assert await galileo.count(PROJECT, timeout=25) == 7
