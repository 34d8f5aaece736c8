"""A service that refuses or fails: which requests it gets, and how many retries."""

import asyncio

import pytest
from support.clients import client, failure, ids, statuses
from support.clock import virtual_time
from support.policy import TRANSPORT, status
from support.sockets import PROJECT, answers, http, numbered, raw_server, reset

from galileo_sessions import (
    ConfigurationError,
    DeadlineExceededError,
    DecodeError,
    DisconnectedError,
    FilterError,
    GalileoError,
    LoginError,
    PasswordAuth,
    ProtocolError,
    Retry,
    ServerError,
    TLSError,
    TransportError,
)
from galileo_sessions.api.responses import permanent
from galileo_sessions.flow.outcome import Outcome, outcome_of

# ---- what an error means ---------------------------------------------------------------------------------------------

MEANINGS = {
    "success": [
        *[status(number) for number in (302, 400, 401, 403, 404, 409, 418, 422, 501, 505)],
        *[status(number, Retry_After="1") for number in (404, 422)],
        permanent(DecodeError("x")),
        LoginError("x", status=401),
        permanent(ProtocolError("x")),
    ],
    "ignored": [
        TLSError("x"),
        ConfigurationError("x"),
        FilterError("x"),
        DeadlineExceededError("x"),
        GalileoError("x"),
    ],
    "refused": [
        *[status(number) for number in (502, 503, 520, 521, 522, 523, 524, 529)],
        TRANSPORT["connect"],
        TRANSPORT["disconnect"],
        TransportError("x"),
        DecodeError("x"),
    ],
    "throttled": [
        status(429),
        *[status(number, Retry_After="1") for number in (408, 425, 429, 500, 502, 503, 504, 529)],
    ],
    "failed": [*[status(number) for number in (408, 425, 500, 504)], TRANSPORT["timeout"], TRANSPORT["protocol"]],
}


@pytest.mark.parametrize(
    ("meaning", "error"), [(meaning, error) for meaning, errors in MEANINGS.items() for error in errors]
)
def test_what_an_error_means(meaning, error):
    """Each error has a meaning for the service, a time for which it asks to wait, and a cost."""
    asked = getattr(error, "retry_after", None) if meaning == "throttled" else None
    is_timeout = error is TRANSPORT["timeout"] or (getattr(error, "status", 0) == 504 and meaning == "failed")
    assert outcome_of(error) == Outcome(meaning, retry_after=asked, cost=2 if is_timeout else 1)


# ---- refusals once or for ever ---------------------------------------------------------------------------------------


async def test_500_twice_then_200():
    """A count that succeeds after two errors lists 3 attempts."""
    async with raw_server(answers(http(500, "a"), http(500, "b"), http())) as server, client(server.url) as galileo:
        ((result),) = (await galileo.count_all([PROJECT])).results
    assert result.unwrap() == 7
    assert [(attempt.number, attempt.status) for attempt in result.attempts] == [(1, 500), (2, 500), (3, 200)]
    assert [type(attempt.error) for attempt in result.attempts] == [ServerError, ServerError, type(None)]


async def test_503_then_rst_for_ever():
    """The last answer is raised rather than the disconnects after it, and the attempts list both."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(http(503, "busy"))
        else:
            await reset(number, writer)

    async with raw_server(behave) as server, client(server.url, retry=Retry(patience=0.3)) as galileo:
        error = await failure(galileo)
    assert (type(error), error.status) == (ServerError, 503)
    first, *others = [type(attempt.error) for attempt in error.attempts]
    assert (first, set(others)) == (ServerError, {DisconnectedError})


@pytest.mark.parametrize("status", [429, 503, 500, 504])
async def test_eight_failures_open_the_breaker_whatever_their_status(status):
    """Also where the counts have a `timeout=`."""
    async with raw_server(http(status, "")) as server, client(server.url, retry=Retry(attempts=1)) as galileo:
        for project in ids(8):
            assert galileo.count_many(()).progress.breaker_open is False, project
            with pytest.raises(GalileoError):
                await galileo.count(project, timeout=5)
        assert galileo.count_many(()).progress.breaker_open


# ---- whose trouble it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [500, 503, 504])
@virtual_time
async def test_a_project_in_trouble_of_its_own_fails_alone(number):
    """It fails after its attempts while the others are counted; a lone count that isn't refused fails as soon."""
    async with numbered({40: http(number, "")}) as server, client(server.url, jitter=1) as galileo:
        report = await galileo.count_all(ids(120))
    (error,) = report.errors
    assert type(error) is ServerError
    assert sum(len(result.attempts) == 1 for result in report.results) == 119
    if number != 503:  # which asks to come at another time, and is tried for as long as patience lasts
        async with raw_server(http(number, "")) as server, client(server.url) as galileo:
            alone = await failure(galileo)
        assert statuses(error) == statuses(alone) == [number] * (2 if number == 504 else 4)


# ---- a new token -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "attempts", "expected"),
    [
        ([401, 200], 4, [401, 200]),
        ([401, 500, 500, 500, 500], 4, [401, 500, 500, 500, 500]),
        ([500, 401, 200], 4, [500, 401, 200]),
        ([401, 401], 4, [401, 401]),
        ([401, 500, 401, 500, 401, 200], 4, [401, 500, 401, 500, 401, 200]),
        ([401, 500, 401, 401], 4, [401, 500, 401, 401]),
        ([401, 200], 1, [401]),
    ],
    ids=str,
)
@virtual_time
async def test_a_refused_token_costs_no_attempt(outcomes, attempts, expected):
    """With a login, each 401 is followed by one more attempt, with a new token; two 401s in a row end the count."""
    logins = 0

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        login = b" /login" in server.requests[-1].splitlines()[0]
        logins += login
        status = 200 if login else outcomes[len(server.requests) - logins - 1]
        writer.write(http(status, '{"access_token": "t", "total_count": 7}'))

    heard: list[int | None] = []
    arguments = {"auth": PasswordAuth("ann", "pw"), "retry": Retry(attempts=attempts)}
    async with raw_server(behave) as server:
        async with client(server.url, on_attempt=lambda attempt: heard.append(attempt.status), **arguments) as galileo:
            if expected[-1] == 200:
                assert await galileo.count(PROJECT) == 7
            else:
                assert (await failure(galileo)).status == expected[-1]
    assert heard == expected
    assert logins == 1 + expected[:-1].count(401)
