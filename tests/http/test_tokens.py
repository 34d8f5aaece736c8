"""The token of a login, or of a user's function: shared by all counts, replaced if it is refused, and never shown."""

import asyncio
import gc
import json
import pickle
from collections.abc import Callable
from functools import partial

import pytest
from support.clients import ANN, connected, failure, ids
from support.clock import virtual_time
from support.inside import idle, our_tasks
from support.shown import chain_of, our_frames, visible_text
from support.sockets import PROJECT, Service, answers, http, raw_server, serving
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, BearerAuth, GalileoSessions, Limits, LoginError, Retry, Secret
from galileo_sessions.http.auth import token_from

COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"
WIDE = Limits(initial=100, maximum=100)
SECRET = "t0ken-77aa"
RESULT = "the result of get_token() of BearerAuth"


class Tokens(Service):
    """
    Counts 7 for those with a token that isn't refused.

    Args:
        outcomes: What logins, or calls of a user's function, bring in order, the last one repeatedly: tokens, statuses
            of the service, or what the function raises.
        seconds: How long a login, or a call, takes.
    """

    def __init__(self, *outcomes: object, seconds: float = 1.0) -> None:
        super().__init__()
        self.outcomes = list(outcomes)
        self.seconds = seconds
        self.logins = 0
        self.refused: set[str] = set()
        self.sent: list[str] = []
        self.delay = 0.0  # of a count

    def auth(self, kind: str) -> gs.PasswordAuth | BearerAuth:
        """Credentials that log in, or call the function."""
        return ANN if kind == "login" else BearerAuth(self.get_token)

    def next_outcome(self) -> object:
        """One more login."""
        self.logins += 1
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    async def get_token(self) -> object:
        """A user's function."""
        outcome = self.next_outcome()
        await asyncio.sleep(self.seconds)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Logs in, or counts."""
        later = asyncio.get_running_loop().call_later
        if request.startswith(b"POST /login "):
            outcome = self.next_outcome()
            is_token = isinstance(outcome, str)
            body = json.dumps({"access_token": outcome}) if is_token else f"{ANN.password.reveal()} is wrong"
            later(self.seconds, answer, http(200 if is_token else outcome, body))
        else:
            token = request.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
            self.sent.append(token)
            later(self.delay, answer, http(401, f"{token}?") if token in self.refused else http())


KINDS = pytest.mark.parametrize("kind", ["login", "function"])


async def test_password_logs_in_once(shapes):
    """PasswordAuth exchanges the password for a token at /login, and counts with the token."""
    shapes.post("https://api.galileo.ai/login", body='{"access_token": "t-2", "token_type": "bearer"}')
    shapes.post(COUNT_URL, body='{"total_count": 1}', repeat=True)
    async with GalileoSessions(auth=gs.PasswordAuth("ann@example.com", "p w&1")) as galileo:
        counts = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(3)))
    assert counts == [1, 1, 1]
    (login,) = shapes.requests["POST", URL("https://api.galileo.ai/login")]
    assert login.kwargs["data"].decode() == "username=ann%40example.com&password=p+w%261"
    assert login.kwargs["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in login.kwargs["headers"]
    counted = shapes.requests["POST", URL(COUNT_URL)]
    assert [call.kwargs["headers"]["Authorization"] for call in counted] == ["Bearer t-2"] * 3


@pytest.mark.parametrize(
    ("kind", "token"), [("login", "new"), ("function", "new"), ("function", Secret("new"))], ids=str
)
@virtual_time
async def test_one_login_serves_all_counts(kind, token):
    """A token is obtained when the first request needs it, once for all counts, which then use it."""
    tokens = Tokens(token)
    async with connected(serving(tokens), auth=tokens.auth(kind), limits=WIDE) as (_, galileo):
        await asyncio.sleep(5)
        assert tokens.logins == 0
        assert await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100))) == [7] * 100
        assert await galileo.count(PROJECT) == 7
    assert (tokens.logins, {*tokens.sent}) == (1, {"new"})


@KINDS
@virtual_time
async def test_a_token_that_expires_loses_no_count(kind):
    """All counts that meet a 401 share one new token, and none fails; a late 401 for the old one changes nothing."""
    tokens = Tokens("old", "new")
    async with connected(serving(tokens), auth=tokens.auth(kind), limits=WIDE) as (_, galileo):
        assert await galileo.count(PROJECT) == 7
        tokens.refused, tokens.delay = {"old"}, 10
        late = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(1)
        tokens.delay = 0.1
        report = await galileo.count_all(ids(300))
        assert await late == 7
        assert await galileo.count(PROJECT) == 7
    assert (report.errors, tokens.logins) == ((), 2)


@virtual_time
async def test_a_token_that_is_refused_again_is_an_error():
    """A function that gives the refused token again isn't called in a loop: the second 401 ends the count."""
    tokens = Tokens(SECRET)
    tokens.refused = {SECRET}
    async with connected(serving(tokens), auth=tokens.auth("function")) as (_, galileo):
        error = await failure(galileo)
        with pytest.raises(AuthenticationError):
            await galileo.count_all(ids(300))
    assert type(error) is AuthenticationError
    assert [attempt.status for attempt in error.attempts] == [401, 401]
    assert tokens.logins <= 4
    assert SECRET not in visible_text(error)


@pytest.mark.parametrize("limits", [Limits(), WIDE], ids=["10 at once", "100 at once"])
@KINDS
@virtual_time
async def test_a_refusal_is_remembered_for_30_seconds(kind, limits):
    """A wrong password, or what a function raises, is a LoginError for all counts, shown in none, and tried once."""
    problem = KeyError(SECRET)
    problem.__cause__ = ValueError(SECRET)
    tokens = Tokens(401 if kind == "login" else problem, SECRET)
    async with connected(serving(tokens), auth=tokens.auth(kind), limits=limits) as (_, galileo):
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
    async with connected(serving(tokens), auth=tokens.auth(kind), retry=Retry(attempts=1)) as (_, galileo):
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
async def test_a_login_that_nobody_waits_for_fails_in_silence():
    """Its error is retrieved: the event loop complains of nothing, and the next count logs in."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tokens = Tokens(503, "new")
    async with connected(serving(tokens), auth=ANN) as (_, galileo):
        only = asyncio.create_task(galileo.count(PROJECT))
        await asyncio.sleep(0.5)
        only.cancel()
        await asyncio.sleep(1)
        assert await galileo.count(PROJECT) == 7
        del only  # its traceback has the login
        gc.collect()
    assert (tokens.logins, complaints) == (2, [])


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
        with pytest.raises(gs.ConfigurationError, match="closed"):
            await waiter
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (our_tasks(), server.requests) == ([], [])
    assert ended == ["cleaned up"] * (seconds > 0)


async def test_an_attempt_that_begins_as_the_client_closes_sends_nothing():
    """It fails with the advice to make a new client."""
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
    arguments = {"auth": tokens.auth(kind), "timeouts": gs.Timeouts(attempt=5), "retry": Retry(attempts=1)}
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


# ---- logins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (http(200, "<html>log in</html>"), "base_url"),
        (http(200, "{}"), "base_url"),
        (http(200, '{"access_token": null}'), "base_url"),
        (http(200, '{"access_token": "a b\\n"}'), "base_url"),
        (http(404, ""), "base_url"),
        (http(405, ""), "base_url"),
        (http(401, ""), "GALILEO_PASSWORD"),
    ],
    ids=["HTML", "no token", "null", "no header", "404", "405", "401"],
)
async def test_a_login_without_a_token_is_refused(answer, hint):
    """An answer without a token raises LoginError after one login; it names the address, and what to check."""
    async with connected(answer, auth=ANN) as (server, galileo):
        error = await failure(galileo)
    assert (type(error), len(server.requests)) == (LoginError, 1)
    assert f"the login at {server.url}" in error.message
    assert hint in error.hint


async def test_login_answers_a_redirect():
    """A redirected login raises RedirectError, and the other server gets no request."""
    async with raw_server(http()) as other:
        async with connected(http(307, "", Location=f"{other.url}/login"), auth=ANN) as (server, galileo):
            error = await failure(galileo)
    assert (type(error), len(server.requests), other.connections) == (gs.RedirectError, 1, 0)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 529])
async def test_login_is_in_trouble_once(status):
    """The statuses that are retried for a count are retried for a login."""
    troubled = answers(http(status, ""), http(200, '{"access_token": "t"}'), http())
    async with connected(troubled, auth=ANN) as (server, galileo):
        assert await galileo.count(PROJECT) == 7
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [500, 408])
async def test_a_login_that_fails_twice_loses_no_count(status):
    """The counts that waited for a login share the next one as well."""
    tokens = Tokens(status, status, "new", seconds=0.02)
    async with connected(serving(tokens), auth=ANN) as (_, galileo):
        report = await galileo.count_all(ids(50))
    assert (report.errors, tokens.logins) == ((), 3)


@pytest.mark.parametrize(("status", "most"), [(503, 60), (500, 200)])
@virtual_time
async def test_a_fan_out_does_not_storm_a_login_service_that_is_down(status, most):
    """While logins fail, the counts of a fan-out share them, and few are sent."""
    tokens = Tokens(status, seconds=0.02)
    async with connected(serving(tokens), auth=ANN, limits=WIDE) as (_, galileo):
        report = await galileo.count_all(ids(300), timeout=20)
    assert len(report.errors) == 300
    assert [str(error) for error in report.errors if f"{status} " not in str(error)] == []
    assert tokens.logins <= most


# ---- functions -------------------------------------------------------------------------------------------------------


class SecretStr:
    """As pydantic's."""

    def get_secret_value(self) -> str:
        """The text."""
        return SECRET


OUTCOMES: dict[str, tuple[object, str]] = {
    "raises": (KeyError(SECRET), "get_token() of BearerAuth failed with KeyError"),
    "times out": (TimeoutError(SECRET), "get_token() of BearerAuth took too long"),
    "None": (None, f"{RESULT} must be text that isn't empty"),
    "bytes": (SECRET.encode(), f"{RESULT} must be text that isn't empty"),
    "function": (lambda: SECRET, f"{RESULT} must be text that isn't empty"),
    "SecretStr": (SecretStr(), f"{RESULT} is a SecretStr, not text\nhint: Pass its .get_secret_value()"),
    "Secret of a number": (Secret(5), f"{RESULT} must be text that isn't empty"),
    "empty": ("", f"{RESULT} must be text that isn't empty"),
    "line break": (
        f"{SECRET}\n",
        f"{RESULT} begins or ends with white space, perhaps a line break from a file",
    ),
    "two lines": (f"{SECRET}\n{SECRET}", f"{RESULT} has a character that isn't printable ASCII"),
    "not ASCII": (f"{SECRET}é", f"{RESULT} has a character that isn't printable ASCII"),
}


@pytest.mark.parametrize(("outcome", "text"), OUTCOMES.values(), ids=OUTCOMES)
async def test_what_brings_no_token_is_an_error_that_shows_nothing(outcome, text):
    """The error says what is wrong. Neither it nor its frames lead to the result, or to what the function raised."""
    with pytest.raises(gs.GalileoError) as caught:
        await token_from(Secret(Tokens(outcome, seconds=0).get_token), 5)
    assert str(caught.value).startswith(text)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert our_frames(caught.value)
    assert SECRET not in visible_text(caught.value)


async def needs(secret: str) -> str:
    """A function whose argument is a secret."""
    return secret


FUNCTIONS = {
    "not async": (lambda: SECRET, "<lambda>() of BearerAuth failed with TypeError", "`async def`"),
    "no header": (partial(needs, f"{SECRET}\n"), "the result of the function() of BearerAuth begins or ends", "Strip"),
}


@pytest.mark.parametrize(("function", "text", "hint"), FUNCTIONS.values(), ids=FUNCTIONS)
async def test_a_function_that_cannot_be_used_is_refused(function, text, hint):
    """The hint says what to write. The token isn't shown, and nothing is sent."""
    async with connected(http(), auth=BearerAuth(function)) as (server, galileo):
        error = await failure(galileo)
    assert (type(error), server.requests) == (LoginError, [])
    assert error.message.startswith(text)
    assert hint in error.hint
    assert SECRET not in visible_text(error)


async def test_a_partial_function_is_called():
    """Anything that can be called without arguments will do."""
    async with connected(http(), auth=BearerAuth(partial(needs, "new"))) as (server, galileo):
        assert await galileo.count(PROJECT) == 7
    assert b"\r\nAuthorization: Bearer new\r\n" in server.requests[0]


@virtual_time
async def test_a_timeout_in_a_function_is_tried_again():
    """A function that raises TimeoutError is called again, by the retry policy."""
    tokens, heard = Tokens(TimeoutError(SECRET), "new"), list[gs.Attempt]()
    async with connected(serving(tokens), auth=tokens.auth("function"), on_attempt=heard.append) as (_, galileo):
        assert await galileo.count(PROJECT) == 7
    assert [type(attempt.error) for attempt in heard] == [gs.AttemptTimeoutError, type(None)]
    assert "get_token() of BearerAuth took too long" in str(heard[0].error)
    assert SECRET not in visible_text(heard[0].error)


async def module_token() -> str:
    """A function that can be pickled."""
    return SECRET


async def test_a_function_is_a_secret():
    """Reprs don't show it, because it can hold a secret. Credentials are equal if their functions are, and pickle."""
    auth = BearerAuth(partial(needs, SECRET))
    assert repr(auth) == "BearerAuth(token='***')"
    assert SECRET not in repr(GalileoSessions(auth=auth)) + str(auth)
    assert BearerAuth(module_token) == BearerAuth(module_token) == pickle.loads(pickle.dumps(BearerAuth(module_token)))
    assert hash(BearerAuth(module_token)) == hash(BearerAuth(module_token)) != hash(BearerAuth(needs))
    assert BearerAuth(module_token) != BearerAuth("module_token") == BearerAuth("module_token")


async def test_tokens_of_yesterday_are_not_shown():
    """The tokens that a login or a function gave are removed from responses, also those that were replaced."""
    tokens = Tokens("t0ken-1-77aa", "t0ken-2-77aa", seconds=0)
    old_and_new = answers(http(401, "t0ken-1-77aa"), http(400, "t0ken-1-77aa t0ken-2-77aa"))
    async with connected(old_and_new, auth=tokens.auth("function")) as (_, galileo):
        error = await failure(galileo)
    assert "*** ***" in str(error)
    assert "77aa" not in visible_text(error)
