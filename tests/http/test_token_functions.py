"""`BearerAuth` with an async function: keys that expire, and all that can go wrong in a user's function."""

import asyncio
import pickle
from collections.abc import Callable
from functools import partial

import pytest
from support.clients import client, failure, ids
from support.clock import virtual_time
from support.inside import idle, our_tasks
from support.leaks import chain_of, our_frames, visible_text
from support.sockets import PROJECT, Service, answers, http, raw_server, serving

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, BearerAuth, GalileoSessions, LoginError, Retry, Secret
from galileo_sessions.http.auth import token_from

SECRET = "t0ken-77aa"


class Vault:
    """A user's function that gives tokens, each a second later, and counts its calls."""

    def __init__(self, *tokens: object, seconds: float = 1.0) -> None:
        self.tokens = list(tokens)
        self.seconds = seconds
        self.calls = 0

    async def get_token(self) -> object:
        """Gives the tokens in order, the last one repeatedly, or raises them."""
        self.calls += 1
        await asyncio.sleep(self.seconds)
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        if isinstance(token, BaseException):
            raise token
        return token


class Guarded(Service):
    """Accepts one token."""

    def __init__(self, good: str = "") -> None:
        super().__init__()
        self.good = good
        self.sent: list[bytes] = []

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts, or answers 401."""
        (line,) = [line for line in request.split(b"\r\n") if line.startswith(b"Authorization: ")]
        self.sent.append(line)
        answer(http() if line == f"Authorization: Bearer {self.good}".encode() else http(401, f"{line!r}?"))


@pytest.mark.parametrize("token", ["new", Secret("new")], ids=["text", "Secret"])
@virtual_time
async def test_one_call_serves_fifty_counts(token):
    """The function is called when the first request needs a token, once for all counts; its token is then used."""
    vault = Vault(token)
    async with serving(Guarded("new")) as service, client(service.url, auth=BearerAuth(vault.get_token)) as galileo:
        await asyncio.sleep(5)
        assert vault.calls == 0
        assert await asyncio.gather(*(galileo.count(PROJECT) for _ in range(50))) == [7] * 50
        assert await galileo.count(PROJECT) == 7
    assert vault.calls == 1
    assert {*service.sent} == {b"Authorization: Bearer new"}


@virtual_time
async def test_a_token_that_expires_is_replaced_by_one_call():
    """All counts that meet a 401 share one more call, and none fails."""
    vault = Vault("old", "new")
    async with serving(Guarded("old")) as service, client(service.url, auth=BearerAuth(vault.get_token)) as galileo:
        assert await galileo.count(PROJECT) == 7
        service.good = "new"
        report = await galileo.count_all(ids(300))
    assert (report.errors, vault.calls) == ((), 2)


@virtual_time
async def test_a_token_that_is_refused_again_is_an_error():
    """A function that gives the refused token again isn't called in a loop: the second 401 ends the count."""
    vault = Vault(SECRET)
    async with serving(Guarded("new")) as service, client(service.url, auth=BearerAuth(vault.get_token)) as galileo:
        error = await failure(galileo)
        with pytest.raises(AuthenticationError):
            await galileo.count_all(ids(300))
    assert type(error) is AuthenticationError
    assert [attempt.status for attempt in error.attempts] == [401, 401]
    assert vault.calls <= 4
    assert SECRET not in visible_text(error)


@virtual_time
async def test_what_a_function_raises_is_a_login_error_without_it():
    """All counts get a LoginError with the function's name and the exception's; the next call comes 30 s later."""
    problem = KeyError(SECRET)
    problem.__cause__ = ValueError(SECRET)
    vault = Vault(problem, SECRET)
    async with serving(Guarded(SECRET)) as service, client(service.url, auth=BearerAuth(vault.get_token)) as galileo:
        outcomes = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(50)), return_exceptions=True)
        outcomes.append(await failure(galileo))
        with pytest.raises(LoginError):
            await galileo.count_all(ids(300))
        assert (vault.calls, service.requests) == (1, 0)
        await asyncio.sleep(30)
        assert await galileo.count(PROJECT) == 7
    text = "get_token() of BearerAuth failed with KeyError (project "
    assert {type(outcome) for outcome in outcomes} == {LoginError}
    assert {str(outcome).startswith(text) for outcome in outcomes} == {True}
    assert "`async def`" in outcomes[0].hint
    for outcome in outcomes[::10]:
        assert {type(one) for one in chain_of(outcome)} == {LoginError}
        assert SECRET not in visible_text(outcome)


@pytest.mark.parametrize("error", [KeyError, TimeoutError])
async def test_nothing_is_chained_to_the_error_of_a_function(error):
    """Neither the error nor its frames lead to what the function raised."""
    with pytest.raises(gs.GalileoError) as caught:
        await token_from(Secret(Vault(error(SECRET), seconds=0).get_token), 5)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert our_frames(caught.value)
    assert SECRET not in visible_text(caught.value)


class SecretStr:
    """As pydantic's."""

    def get_secret_value(self) -> str:
        """The text."""
        return SECRET


RESULTS: dict[str, tuple[object, str]] = {
    "None": (None, "must be text that isn't empty"),
    "bytes": (SECRET.encode(), "must be text that isn't empty"),
    "function": (lambda: SECRET, "must be text that isn't empty"),
    "SecretStr": (SecretStr(), "is a SecretStr, not text\nhint: Pass its .get_secret_value()"),
    "Secret of a number": (Secret(5), "must be text that isn't empty"),
    "empty": ("", "must be text that isn't empty"),
    "line break": (f"{SECRET}\n", "begins or ends with white space, perhaps a line break from a file\nhint: Strip it"),
    "two lines": (f"{SECRET}\n{SECRET}", "has a character that isn't printable ASCII"),
    "not ASCII": (f"{SECRET}é", "has a character that isn't printable ASCII"),
}


@pytest.mark.parametrize(("result", "problem"), RESULTS.values(), ids=RESULTS)
@virtual_time
async def test_a_result_that_no_header_can_carry_is_refused(result, problem):
    """The error says what is wrong with the token, and doesn't show it; nothing is sent."""
    vault = Vault(result)
    async with raw_server(http()) as server, client(server.url, auth=BearerAuth(vault.get_token)) as galileo:
        error = await failure(galileo)
        await failure(galileo)
    with pytest.raises(LoginError) as caught:
        await token_from(Secret(vault.get_token), 5)
    assert our_frames(caught.value)
    assert SECRET not in visible_text(caught.value)
    assert (type(error), vault.calls, server.requests) == (LoginError, 2, [])
    assert f"{error.message}\nhint: {error.hint}".startswith(f"the result of get_token() of BearerAuth {problem}")
    assert SECRET not in visible_text(error)


async def test_a_function_that_is_not_async_is_refused():
    """The hint says what to write. The token isn't shown."""
    async with raw_server(http()) as server, client(server.url, auth=BearerAuth(lambda: SECRET)) as galileo:
        error = await failure(galileo)
    assert (type(error), server.requests) == (LoginError, [])
    assert "`async def`" in error.hint
    assert SECRET not in visible_text(error)


@virtual_time
async def test_a_function_that_hangs_is_a_timeout():
    """A count waits as long as an attempt may take. Then the call is over, and the next count makes a new one."""
    vault, timeouts = Vault("new", seconds=100), gs.Timeouts(attempt=5)
    arguments = {"auth": BearerAuth(vault.get_token), "timeouts": timeouts, "retry": Retry(attempts=1)}
    async with serving(Guarded("new")) as service, client(service.url, **arguments) as galileo:
        began = asyncio.get_running_loop().time()
        assert type(await failure(galileo)) is gs.AttemptTimeoutError
        assert 5 <= asyncio.get_running_loop().time() - began < 5.1
        await asyncio.sleep(0.1)
        assert idle(galileo)
        vault.seconds = 1
        assert await galileo.count(PROJECT) == 7
    assert vault.calls == 2


@virtual_time
async def test_a_timeout_in_a_function_is_tried_again():
    """A function that raises TimeoutError is called again, by the retry policy."""
    vault = Vault(TimeoutError(SECRET), "new")
    heard: list[gs.Attempt] = []
    async with serving(Guarded("new")) as service:
        async with client(service.url, auth=BearerAuth(vault.get_token), on_attempt=heard.append) as galileo:
            assert await galileo.count(PROJECT) == 7
    assert [type(attempt.error) for attempt in heard] == [gs.AttemptTimeoutError, type(None)]
    assert "get_token() of BearerAuth took too long" in str(heard[0].error)
    assert SECRET not in visible_text(heard[0].error)


@virtual_time
async def test_closing_the_client_ends_a_call():
    """A function that is being called is cancelled when the client is closed, and awaited."""
    ended: list[str] = []

    async def get_token() -> str:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append("cleaned up")
        return ""

    async with raw_server(http()) as server:
        galileo = client(server.url, auth=BearerAuth(get_token))
        counting = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(1)
        await galileo.close()
        assert (ended, our_tasks()) == (["cleaned up"], [])
        with pytest.raises(gs.ConfigurationError, match="closed"):
            await counting


async def module_token() -> str:
    """A function that can be pickled."""
    return SECRET


async def needs(secret: str) -> str:
    """A function whose argument is a secret."""
    return secret


async def test_a_function_is_a_secret():
    """Reprs don't show it, because it can hold a secret. Credentials are equal if their functions are, and pickle."""
    auth = BearerAuth(partial(needs, SECRET))
    assert repr(auth) == "BearerAuth(token='***')"
    assert SECRET not in repr(GalileoSessions(auth=auth)) + str(auth)
    assert BearerAuth(module_token) == BearerAuth(module_token) == pickle.loads(pickle.dumps(BearerAuth(module_token)))
    assert hash(BearerAuth(module_token)) == hash(BearerAuth(module_token)) != hash(BearerAuth(needs))
    assert BearerAuth(module_token) != BearerAuth("module_token") == BearerAuth("module_token")


async def test_a_partial_function_is_called():
    """Anything that can be called without arguments will do; without a name, it is called the function."""
    async with raw_server(http()) as server, client(server.url, auth=BearerAuth(partial(needs, "new"))) as galileo:
        assert await galileo.count(PROJECT) == 7
    assert b"\r\nAuthorization: Bearer new\r\n" in server.requests[0]
    async with raw_server(http()) as server, client(server.url, auth=BearerAuth(partial(needs, ""))) as galileo:
        assert str(await failure(galileo)).startswith("the result of the function() of BearerAuth must be text")


async def test_old_tokens_of_a_function_are_not_shown():
    """The tokens that a function gave are removed from responses, also those that were replaced."""
    vault = Vault("t0ken-1-77aa", "t0ken-2-77aa", seconds=0)
    async with raw_server(answers(http(401, "t0ken-1-77aa"), http(400, "t0ken-1-77aa t0ken-2-77aa"))) as server:
        async with client(server.url, auth=BearerAuth(vault.get_token)) as galileo:
            error = await failure(galileo)
    assert "*** ***" in str(error)
    assert "77aa" not in visible_text(error)
