"""The token of a login, or of a user's function: shared by all counts, replaced if it is refused, and never shown."""

import asyncio
import errno
import gc
import socket
import ssl
from collections.abc import Callable
from functools import partial

import aiohttp
import pytest
from support.clients import ANN, connected, failure, ids
from support.clock import virtual_time
from support.private import idle, our_tasks
from support.sockets import PROJECT, Service, answers, http, serving
from support.tracebacks import chain_of, our_frames, visible_text

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, BearerAuth, Limits, LoginError, Retry, Secret
from galileo_sessions.http.auth import token_from

WIDE = Limits(initial=100, maximum=100)
ONCE = Retry(attempts=1)
SECRET = "t0ken-77aa"
KINDS = pytest.mark.parametrize("kind", ["login", "function"])


class Tokens(Service):
    """Counts 7 with a token. A login or a function brings the next outcome: a token, a status, or an error to raise."""

    def __init__(self, *outcomes: object, seconds: float = 1.0) -> None:
        super().__init__()
        self.outcomes, self.seconds, self.logins = outcomes, seconds, 0
        self.refused, self.sent = set[str](), list[str]()
        self.delay = 0.0  # of a count

    def auth(self, kind: str) -> gs.PasswordAuth | BearerAuth:
        return ANN if kind == "login" else BearerAuth(self.get_token)

    def next_outcome(self) -> object:
        self.logins += 1
        return self.outcomes[min(self.logins, len(self.outcomes)) - 1]

    async def get_token(self) -> object:
        outcome = self.next_outcome()
        await asyncio.sleep(self.seconds)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        later = asyncio.get_running_loop().call_later
        if request.startswith(b"POST /login "):
            outcome = self.next_outcome()
            refusal = isinstance(outcome, int) and http(outcome, f"{ANN.password.reveal()} is wrong")
            later(self.seconds, answer, refusal or http(200, f'{{"access_token": "{outcome}"}}'))
        else:
            token = request.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
            self.sent.append(token)
            later(self.delay, answer, http(401, f"{token}?") if token in self.refused else http())


@pytest.mark.parametrize("kind", ["login", "function", "function with a Secret"])
@virtual_time
async def test_a_token_serves_all_counts_until_it_expires(kind):
    """One login obtains it when it is first needed; one replaces it after a 401, and a late 401 changes nothing."""
    tokens = Tokens("old", Secret("new") if "Secret" in kind else "new")
    async with connected(serving(tokens), auth=tokens.auth(kind), limits=WIDE) as (_, galileo):
        await asyncio.sleep(5)
        assert tokens.logins == 0
        assert await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100))) == [7] * 100
        assert (tokens.logins, {*tokens.sent}) == (1, {"old"})
        tokens.refused, tokens.delay = {"old"}, 10
        late = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(1)
        tokens.delay = 0.1
        report = await galileo.count_all(ids(300))
        assert await late == 7
        assert await galileo.count(PROJECT) == 7
    assert (report.errors, tokens.logins, tokens.sent[-1]) == ((), 2, "new")


@virtual_time
async def test_a_token_that_is_refused_again_is_an_error():
    """A function that gives the refused token again isn't called in a loop: the second 401 ends the count."""
    tokens = Tokens(SECRET)
    tokens.refused = {SECRET}
    async with connected(serving(tokens), auth=tokens.auth("function")) as (_, galileo):
        error = await failure(galileo)
        with pytest.raises(AuthenticationError):
            await galileo.count_all(ids(300))
        await asyncio.sleep(1)  # a call that is under way goes on
    assert type(error) is AuthenticationError
    assert [attempt.status for attempt in error.attempts] == [401, 401]
    assert tokens.logins < 10  # twice as many counts are sent with each
    assert SECRET not in visible_text(error)


class Choosy(Tokens):
    """Takes each token for a second, and none for one project."""

    forbidden = b"none"

    async def get_token(self) -> object:
        token = await super().get_token()
        asyncio.get_running_loop().call_later(1, self.refused.add, token)
        return token

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        if self.forbidden in request:
            asyncio.get_running_loop().call_later(2 * self.delay, answer, http(401))
        else:
            super().serve(request, answer)


@virtual_time
async def test_tokens_that_expire_while_counts_wait_for_their_turn_lose_none():
    """A count can meet several: one that has been accepted is renewed once more."""
    tokens = Choosy(*map(str, range(99)), seconds=0.01)
    tokens.delay, limits = 0.2, Limits(100, initial=100, rate=20)
    async with connected(serving(tokens), auth=tokens.auth("function"), limits=limits) as (_, galileo):
        report = await galileo.count_all(ids(300))
    assert report.errors == ()
    assert [401, 401, 200] in [[each.status for each in result.attempts] for result in report.results]


@pytest.mark.parametrize(("retry", "most"), [(Retry(), 4), (Retry(attempts=2), 2), (ONCE, 1)])
@virtual_time
async def test_a_project_that_refuses_every_token_is_given_up(retry, most):
    """Though each has been accepted for others, the count spends an attempt on each, and then ends the fan-out."""
    tokens = Choosy(*map(str, range(99)), seconds=0.01)
    tokens.delay, tokens.forbidden = 0.1, ids(1)[0].encode()
    async with connected(serving(tokens), auth=tokens.auth("function"), retry=retry) as (_, galileo):
        with pytest.raises(AuthenticationError) as caught:
            await galileo.count_all(ids(3_000))
    assert [attempt.status for attempt in caught.value.attempts] == [401] * most
    assert tokens.logins <= most + 1


@KINDS
@virtual_time
async def test_a_refusal_is_remembered_for_30_seconds(kind):
    """A wrong password, or what a function raises, is a LoginError for all counts, shown in none, and tried once."""
    problem = KeyError(SECRET)
    problem.__cause__ = ValueError(SECRET)
    tokens = Tokens(401 if kind == "login" else problem, SECRET)
    async with connected(serving(tokens), auth=tokens.auth(kind)) as (_, galileo):
        outcomes = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100)), return_exceptions=True)
        with pytest.raises(LoginError):
            await galileo.count_all(ids(300))
        await asyncio.sleep(29.9)
        outcomes.append(await failure(galileo))
        assert (tokens.logins, tokens.requests) == (1, kind == "login")
        await asyncio.sleep(0.1)
        assert await galileo.count(PROJECT) == 7
    text = "the login at" if kind == "login" else "get_token() of BearerAuth failed with KeyError (project "
    assert {str(outcome).startswith(text) for outcome in outcomes} == {True}
    assert ("GALILEO_PASSWORD" if kind == "login" else "`async def`") in outcomes[0].hint
    assert {type(one) for outcome in outcomes[::10] for one in chain_of(outcome)} == {LoginError}
    told = "".join(visible_text(outcome) for outcome in outcomes[::10])
    assert [secret for secret in (SECRET, ANN.password.reveal()) if secret in told] == []


@KINDS
@virtual_time
async def test_a_login_outlasts_the_counts_that_wait_for_it(kind):
    """Cancelling a count, even the one that began the login, ends no login: the next count gets its token."""
    tokens = Tokens("1", "2")
    async with connected(serving(tokens), auth=tokens.auth(kind), retry=ONCE) as (_, galileo):
        first, second = (asyncio.create_task(galileo.count(PROJECT)) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == 7
        tokens.refused = {"1"}
        assert type(await failure(galileo)) is AuthenticationError
        only = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.5)
        only.cancel()
        await asyncio.sleep(0.4)
        assert await galileo.count(PROJECT) == 7
    assert (first.cancelled(), only.cancelled(), tokens.logins) == (True, True, 2)


@virtual_time
async def test_a_login_that_nobody_waits_for_fails_in_silence(caplog):
    tokens = Tokens(503, "new")
    async with connected(serving(tokens), auth=ANN) as (_, galileo):
        only = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.5)
        only.cancel()
        await asyncio.sleep(1)
        assert await galileo.count(PROJECT) == 7
        del only  # its traceback has the login
        gc.collect()
    assert (tokens.logins, caplog.messages) == (2, [])


@pytest.mark.parametrize("seconds", [0, 0.5], ids=["that hasn't begun", "in progress"])
@virtual_time
async def test_closing_the_client_ends_a_login(seconds):
    """A function that is being called is cancelled and awaited; counts get an error, or their own cancellation."""
    ended: list[str] = []

    async def get_token() -> str:
        try:
            return await asyncio.sleep(100, "")
        finally:
            await asyncio.sleep(1)
            ended.append("cleaned up")

    async with connected(http(), auth=BearerAuth(get_token)) as (server, galileo):
        waiter, cancelled = (asyncio.create_task(galileo.count(PROJECT)) for _ in range(2))
        await asyncio.sleep(seconds)
        asyncio.get_running_loop().call_soon(cancelled.cancel)
        await galileo.close()
        assert ended == ["cleaned up"] * (seconds > 0)
        with pytest.raises(gs.ConfigurationError, match="closed"):
            await waiter
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (our_tasks(), server.requests) == ([], [])


async def test_an_attempt_that_begins_as_the_client_closes_sends_nothing():
    closing: list[asyncio.Task[None]] = []

    async def get_token() -> str:
        closing.append(asyncio.create_task(galileo.close()))
        return "new"

    async with connected(http(), auth=BearerAuth(get_token)) as (server, galileo):
        assert "Make a new one" in (await failure(galileo)).hint
        await closing[0]
    assert server.connections == 0


@KINDS
@virtual_time
async def test_a_login_that_hangs_is_a_timeout(kind):
    """A count waits as long as an attempt may take, or until its timeout. A function's next call is a new one."""
    tokens = Tokens("new", seconds=100)
    arguments = {"auth": tokens.auth(kind), "timeouts": gs.Timeouts(attempt=5), "retry": ONCE}
    async with connected(serving(tokens), **arguments) as (_, galileo):
        began = asyncio.get_running_loop().time()
        assert type(await failure(galileo, timeout=1)) is gs.DeadlineExceededError
        assert 1 <= asyncio.get_running_loop().time() - began < 1.1
        assert type(await failure(galileo)) is gs.AttemptTimeoutError
        await asyncio.sleep(5)
        assert idle(galileo)
        before, tokens.seconds = tokens.logins, 1
        assert await galileo.count(PROJECT) == 7
    assert tokens.logins == before + 1


WITHOUT_A_TOKEN = {
    "HTML": http(200, "<html>log in</html>"),
    "no token": http(200, "{}"),
    "null": http(200, '{"access_token": null}'),
    "no header": http(200, '{"access_token": "a b\\n"}'),
    "404": http(404, ""),
    "401": http(401, ""),
    "redirect": http(307, "", Location="http://127.0.0.1:9/login"),
}


@pytest.mark.parametrize("answer", WITHOUT_A_TOKEN)
async def test_an_answer_without_a_token_ends_a_login(answer):
    """The error names the address, and what to check. Nothing is sent again, nor elsewhere."""
    async with connected(WITHOUT_A_TOKEN[answer], auth=ANN) as (server, galileo):
        error = await failure(galileo)
    assert type(error) is (gs.RedirectError if answer == "redirect" else LoginError)
    assert f"the login at {server.url}" in error.message
    assert ("GALILEO_PASSWORD" if answer == "401" else "base_url") in error.hint
    assert len(server.requests) == 1


def caused(error: Exception, cause: Exception, *, is_context: bool = False) -> Exception:
    """The error with a cause, as libraries raise it that wrap the errors of others."""
    error.__cause__, error.__context__ = (None, cause) if is_context else (cause, None)
    return error


UNREACHABLE = OSError(errno.EHOSTUNREACH, SECRET)
LOOP = RuntimeError(SECRET)
UNTRUSTED = ssl.SSLCertVerificationError(1, SECRET)
MOMENTARY = [
    *[kind(SECRET) for kind in (ConnectionError, ConnectionRefusedError, TimeoutError, OSError, socket.gaierror)],
    *[kind(SECRET) for kind in (aiohttp.ServerDisconnectedError, aiohttp.ServerTimeoutError, aiohttp.ClientOSError)],
    UNREACHABLE,
    aiohttp.ClientConnectorError(None, UNREACHABLE),
    caused(RuntimeError(SECRET), caused(ValueError(SECRET), ConnectionResetError(SECRET))),
    caused(RuntimeError(SECRET), UNREACHABLE, is_context=True),
]
FINAL = [
    *[kind(SECRET) for kind in (TypeError, KeyError, ValueError, AssertionError, RuntimeError, asyncio.CancelledError)],
    *[kind(SECRET) for kind in (FileNotFoundError, PermissionError, aiohttp.InvalidURL, aiohttp.ClientError)],
    UNTRUSTED,
    aiohttp.ClientConnectorCertificateError(None, UNTRUSTED),
    aiohttp.ServerFingerprintMismatch(b"a", b"b", SECRET, 1),
    type("HTTPError", (OSError,), {})(SECRET),  # as that of requests, which is about a status
    caused(RuntimeError(SECRET), KeyError(SECRET)),
    caused(LOOP, LOOP),
]
STATUSES = [(status, "login") for status in (408, 425, 429, 500, 503, 529)]
TROUBLES = [*STATUSES, *[(error, "function") for error in MOMENTARY]]


@pytest.mark.parametrize(("trouble", "kind"), TROUBLES, ids=repr)
@virtual_time
async def test_a_login_that_fails_twice_loses_no_count(trouble, kind):
    """What is retried for a count is retried for a login, which the counts share each time, and for a function."""
    tokens = Tokens(trouble, trouble, "new", seconds=0.02)
    async with connected(serving(tokens), auth=tokens.auth(kind)) as (_, galileo):
        report = await galileo.count_all(ids(50), timeout=20)  # a refusal would be remembered for longer
    assert (report.errors, tokens.logins) == ((), 3)
    assert SECRET not in repr(report.results)


@pytest.mark.parametrize("trouble", FINAL, ids=repr)
@virtual_time
async def test_a_function_whose_error_would_come_again_is_called_once(trouble):
    tokens = Tokens(trouble, "new")
    async with connected(serving(tokens), auth=tokens.auth("function")) as (_, galileo):
        error = await failure(galileo)
        with pytest.raises(LoginError):
            await galileo.count_all(ids(50))
    assert (type(error), error.status, tokens.logins) == (LoginError, 401, 1)


@pytest.mark.parametrize(("status", "most"), [(503, 60), (500, 200)])
@virtual_time
async def test_a_fan_out_does_not_storm_a_login_service_that_is_down(status, most):
    tokens = Tokens(status, seconds=0.02)
    async with connected(serving(tokens), auth=ANN, limits=WIDE) as (_, galileo):
        report = await galileo.count_all(ids(300), timeout=20)
    assert [f"{status} " in str(error) for error in report.errors] == [True] * 300
    assert tokens.logins <= most


@virtual_time
async def test_a_function_that_reaches_nothing_is_a_login_error_once_the_patience_ends():
    """It is called as often as a service that can't be reached. A fan-out ends; a later count asks again."""
    tokens = Tokens(*[ConnectionError(SECRET)] * 200, seconds=0.02)
    now = asyncio.get_running_loop().time
    async with connected(serving(tokens), auth=tokens.auth("function"), limits=WIDE) as (server, galileo):
        began = now()
        error = await failure(galileo)
        assert (type(error), error.status, error.retriable) == (LoginError, 503, True)
        assert 5 < now() - began <= 10
        assert error.message.startswith("get_token() of BearerAuth failed with ConnectionError")
        assert "Log in the function what it raises" in error.hint
        assert "async def" not in error.hint
        began = now()
        with pytest.raises(LoginError) as caught:
            await galileo.count_all(ids(300))
        assert 5 < now() - began <= 95
        assert (tokens.logins <= 100, server.requests) == (True, 0)
        tokens.outcomes = ["new"]
        assert await galileo.count(PROJECT) == 7
    assert SECRET not in visible_text(error) + visible_text(caught.value)


@virtual_time
async def test_a_count_that_fails_after_its_token_came_is_not_the_fault_of_its_function():
    tokens = Tokens(ConnectionError(SECRET), "new", seconds=0.02)
    tokens.serve = lambda _, answer: answer(b"HTTP/1.1")
    async with connected(serving(tokens), auth=tokens.auth("function"), retry=Retry(attempts=3)) as (_, galileo):
        error = await failure(galileo)
    assert [attempt.status for attempt in error.attempts][:2] == [503, None]
    assert isinstance(error, gs.TransportError)


FUNCTIONS = {
    # what a function raises or returns, or the function; and how the message begins
    "raises": (KeyError(SECRET), "get_token() of BearerAuth failed with KeyError"),
    "is cancelled": (asyncio.CancelledError(SECRET), "get_token() of BearerAuth failed with"),
    "times out": (TimeoutError(SECRET), "get_token() of BearerAuth failed with TimeoutError"),
    "bytes": (SECRET.encode(), "the result of get_token() of BearerAuth must be text"),
    "line break": (f"{SECRET}\n", "the result of get_token() of BearerAuth begins or ends with white space"),
    "has no name": (partial(Tokens(KeyError(SECRET)).get_token), "the function() of BearerAuth failed with KeyError"),
    "is not async": (lambda: SECRET, "<lambda>() of BearerAuth failed with TypeError"),
}


@pytest.mark.parametrize(("outcome", "text"), FUNCTIONS.values(), ids=FUNCTIONS)
@virtual_time
async def test_a_function_that_brings_no_token_is_an_error_that_shows_nothing(outcome, text):
    """Neither the error nor its frames lead to the result, or to what the function raised. Nothing is sent."""
    function = outcome if callable(outcome) else Tokens(outcome).get_token
    async with connected(http(), auth=BearerAuth(function), retry=ONCE) as (server, galileo):
        error = await failure(galileo)
    assert type(error) is (gs.AttemptTimeoutError if "too long" in text else LoginError)
    assert (error.message.startswith(text), server.requests) == (True, [])
    assert our_frames(error)
    assert SECRET not in visible_text(error)
    with pytest.raises(type(error)) as caught:  # the same, before a count gets its copy
        await token_from(Secret(function), 5)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_the_last_8_tokens_are_not_shown():
    names = [f"t0ken-{number}-77-a" for number in range(8)]
    renewed = [http(401), http()] * 7
    page = answers(http(), *renewed, http(404, " ".join(names)))
    async with connected(page, auth=Tokens(*names, seconds=0).auth("function")) as (server, galileo):
        for _ in names:
            assert await galileo.count(PROJECT) == 7
        error = await failure(galileo)
    assert [name for name in names if f"Bearer {name}".encode() not in b"".join(server.requests)] == []
    assert error.body == " ".join(["***"] * 8)
    assert "77-a" not in visible_text(error)
