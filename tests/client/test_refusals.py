"""A service that refuses or fails: which requests it gets, and how many retries."""

import asyncio
from collections.abc import Callable

import pytest
from support.clients import client, failure, statuses
from support.clock import virtual_time
from support.decisions import TRANSPORT, retrying, status
from support.inside import (
    idle,
)
from support.projects import ids
from support.servers import PROJECT, answers, http, raw_server
from support.services import Service, serving
from support.troubles import reset

from galileo_sessions import (
    AuthenticationError,
    BadRequestError,
    DeadlineExceededError,
    DecodeError,
    DisconnectedError,
    GalileoSessions,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    RedirectError,
    Retry,
    ServerError,
    TLSError,
    ValidationError,
)
from galileo_sessions.client.policy import RetryBudget, is_overload

# ---- the budget of retries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "price"),
    [
        (status(503), 5),
        (status(429, Retry_After="1"), 5),
        (status(504), 10),
        (TRANSPORT["timeout"], 10),
        (TRANSPORT["disconnect"], 5),
        (TRANSPORT["connect"], 5),
        (TRANSPORT["protocol"], 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_a_retry_costs(error, price):
    """A retry costs 5 tokens, 10 after a timeout or a 504; its success gives them back."""
    budget = RetryBudget()
    decisions = retrying(budget=budget)
    decisions.wait_after(error)
    assert budget.tokens == 500 - price
    budget.give_back(decisions.refund)
    assert budget.tokens == 500


@pytest.mark.parametrize(
    ("tokens", "error", "allowed"),
    [(5, 503, True), (4, 503, False), (10, 504, True), (9, 504, False), (0, 429, False)],
    ids=str,
)
def test_without_tokens_there_is_no_retry(tokens, error, allowed):
    """Without enough tokens there is no retry, and the budget is never overdrawn."""
    budget = RetryBudget(tokens=tokens)
    assert (retrying(budget=budget).wait_after(status(error)) is not None) is allowed
    assert budget.tokens == (0 if allowed else tokens)


def test_a_service_in_trouble_is_asked_a_hundred_times_more_at_most():
    """All counts of a client share 500 tokens, which pay for 100 retries."""
    budget = RetryBudget()
    waits = [retrying(budget=budget).wait_after(status(500)) for _ in range(1_000)]
    assert sum(wait is not None for wait in waits) == 100


def test_successes_fill_the_budget_up_again():
    """Each success without a retry gives one token back, up to 500."""
    budget = RetryBudget(tokens=3)
    for _ in range(10):
        budget.give_back(1)
    assert budget.tokens == 13
    budget.give_back(10_000)
    assert budget.tokens == 500


@pytest.mark.parametrize(
    "error",
    [RedirectError, BadRequestError, AuthenticationError, PermissionDeniedError, NotFoundError, ValidationError],
)
def test_what_the_service_refuses_for_good_costs_nothing(error):
    """An error that isn't retried costs no token."""
    budget = RetryBudget()
    code = {RedirectError: 302, BadRequestError: 400, AuthenticationError: 401, PermissionDeniedError: 403}
    code |= {NotFoundError: 404, ValidationError: 422}
    made = status(code[error])
    assert type(made) is error
    assert retrying(budget=budget).wait_after(made) is None
    assert budget.tokens == 500


@pytest.mark.parametrize(
    ("error", "overload"),
    [(status(number), number not in (400, 408, 500)) for number in (400, 408, 429, 500, 502, 503, 504, 520, 529)]
    + [(status(number, Retry_After="1"), number != 404) for number in (404, 408, 500)]
    + [(error, name != "protocol") for name, error in TRANSPORT.items()]
    + [
        (DecodeError("x"), False),
        (DecodeError("x", is_json=False), True),
        (DeadlineExceededError("x"), False),
        (TLSError("x"), False),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}" if isinstance(value, Exception) else "",
)
def test_what_means_overload(error, overload):
    """Refusals, lost connections, attempt timeouts and a Retry-After mean overload; nothing else does."""
    assert is_overload(error) is overload


# ---- refusals once or for ever ---------------------------------------------------------------------------------------


async def test_500_twice_then_200():
    """A count that succeeds after two errors lists 3 attempts."""
    async with raw_server(answers(http(500, "a"), http(500, "b"), http())) as server, client(server.url) as galileo:
        ((result),) = (await galileo.count_all([PROJECT])).results
    assert result.unwrap() == 7
    assert [(attempt.number, attempt.status) for attempt in result.attempts] == [(1, 500), (2, 500), (3, 200)]
    assert [type(attempt.error) for attempt in result.attempts] == [ServerError, ServerError, type(None)]


async def test_504_twice():
    """A second 504 raises ServerError after 2 attempts."""
    async with raw_server(answers(http(504, ""), http(504, ""), http())) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), statuses(error), len(server.requests)) == (ServerError, [504, 504], 2)


async def test_503_then_rst_for_ever():
    """The last answer is raised rather than the disconnects after it, and the attempts list both."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(http(503, "busy"))
        else:
            await reset(number, writer)

    async with raw_server(behave) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), error.status) == (ServerError, 503)
    assert statuses(error) == [503, None, None, None]
    assert [type(attempt.error) for attempt in error.attempts] == [ServerError] + [DisconnectedError] * 3


@pytest.mark.parametrize("status", [429, 503, 504])
async def test_a_deadline_hides_no_overload(status):
    """Refusals count as overload even if the counts have a `timeout=`."""
    async with raw_server(http(status, "")) as server, client(server.url, retry=Retry(attempts=1)) as galileo:
        for _ in range(8):
            await failure(galileo, timeout=5)
        assert galileo.count_many(()).progress.closed


# ---- refusals under load ---------------------------------------------------------------------------------------------


class Quota(Service):
    """Accepts a number of requests per second, and refuses the rest with Retry-After: 1."""

    def __init__(self, a_second: int, window: str) -> None:
        super().__init__()
        self.a_second = a_second
        self.window = window
        self.taken: list[float] = []

    def used(self, now: float) -> int:
        """Requests taken in the second that counts: the current one of the clock, or the last one."""
        begin = int(now) if self.window == "fixed" else now - 1
        return sum(1 for at in self.taken[-self.a_second :] if at >= begin)

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Takes the request, or doesn't."""
        now = asyncio.get_running_loop().time()
        if self.used(now) < self.a_second:
            self.taken.append(now)
            asyncio.get_running_loop().call_later(0.02, answer, http())
        else:
            answer(http(429, "", Retry_After="1"))


@pytest.mark.heavy
@pytest.mark.parametrize("window", ["fixed", "sliding"])
@virtual_time
async def test_429_storm(window):
    """At a quota of 200 per second 1,000 counts succeed with 1,100 requests at most."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Quota(200, window)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(1_000))
        assert idle(galileo)
    assert report.errors == ()
    assert report.total == 7_000
    assert service.requests <= 1_100


class Capacity(Service):
    """Accepts a number of requests at once, and refuses the rest."""

    def __init__(self, at_once: int, seconds: float) -> None:
        super().__init__()
        self.at_once = at_once
        self.seconds = seconds
        self.busy = self.most = 0

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Takes the request, or doesn't."""
        if self.busy >= self.at_once:
            answer(http(429, ""))
            return
        self.busy += 1
        self.most = max(self.most, self.busy)
        asyncio.get_running_loop().call_later(self.seconds, self.done, answer)

    def done(self, answer: Callable[[bytes], None]) -> None:
        """Answers, and frees a place."""
        self.busy -= 1
        answer(http())


@pytest.mark.heavy
@virtual_time
async def test_capacity_20():
    """At a capacity of 20 at once 5,000 counts succeed with 5,250 requests at most."""
    asyncio.get_running_loop().set_debug(False)
    async with serving(Capacity(20, 0.006)) as service, GalileoSessions("k", base_url=service.url) as galileo:
        report = await galileo.count_all(ids(5_000))
        assert idle(galileo)
    assert report.errors == ()
    assert (report.total, service.most) == (35_000, 20)
    assert service.requests <= 5_250


# ---- after an outage -------------------------------------------------------------------------------------------------


class FreeRate:
    """A rate that never waits."""

    async def __aenter__(self) -> None:
        """Doesn't wait."""

    async def __aexit__(self, *_: object) -> None:
        """Does nothing."""


@pytest.mark.thorough
@pytest.mark.parametrize("limits", [Limits(), Limits(rate=FreeRate())], ids=["no rate", "a rate"])
@pytest.mark.parametrize("ask", ["fan-out", "counts"])
@virtual_time
async def test_an_outage_that_nobody_saw_the_end_of_costs_nothing_later(ask, limits):
    """Counts long after the last refusal succeed: only time with refused probes counts as an outage."""
    down = False

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        writer.write(http(503, "") if down else http())

    async with raw_server(behave) as server, client(server.url, limits=limits) as galileo:
        assert await galileo.count(PROJECT) == 7
        down = True
        await galileo.count_all(ids(300), timeout=3)
        down = False
        await asyncio.sleep(200)
        if ask == "fan-out":
            assert (await galileo.count_all(ids(300))).counts == (7,) * 300
        else:
            assert await asyncio.gather(*[galileo.count(PROJECT) for _ in range(50)]) == [7] * 50


@virtual_time
async def test_who_comes_while_the_service_wants_to_be_left_alone_is_told_at_once():
    """After a Retry-After above `max_retry_after`, new counts fail at once, rather than wait."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        writer.write(http() if nth != 2 else http(503, "", Retry_After="6"))

    async with raw_server(behave) as server, client(server.url, retry=Retry(max_retry_after=1)) as galileo:
        assert await galileo.count(PROJECT) == 7
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            error = await failure(galileo)
            assert asyncio.get_running_loop().time() - began < 1
            assert "nothing is sent for 6 s" in str(error)
        assert len(server.requests) == 2
        await asyncio.sleep(7)
        assert await galileo.count(PROJECT) == 7


@virtual_time
async def test_what_a_header_allows_is_heard_once():
    """An attempt that ends without an answer doesn't apply the RateLimit header of the one before again."""
    arrived: list[float] = []
    began = asyncio.get_running_loop().time()

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        arrived.append(asyncio.get_running_loop().time() - began)
        if nth == 1:
            writer.write(http(500, "", RateLimit='"d";r=0;t=3'))
        elif nth == 2:
            await asyncio.sleep(1)
            writer.transport.abort()
        else:
            writer.write(http())

    async with raw_server(behave) as server, client(server.url) as galileo:
        assert await galileo.count(PROJECT) == 7
    assert 3 <= arrived[1] < 3.5
    assert arrived[2] < 5
