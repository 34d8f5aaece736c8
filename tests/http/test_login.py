"""The token of a login: shared by all counts, and replaced if the service refuses it."""

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable

import pytest
from support.clients import ANN, client, failure, ids
from support.clock import virtual_time
from support.inside import idle
from support.leaks import visible_text
from support.sockets import PROJECT, Service, answers, full_backlog, http, raw_server, serving, silence
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import (
    AttemptTimeoutError,
    AuthenticationError,
    GalileoSessions,
    Limits,
    LoginError,
    Retry,
    Secret,
    ServerError,
)
from galileo_sessions.api.responses import COUNT, Response
from galileo_sessions.counting.request import Requester
from galileo_sessions.flow.queue import Queue
from galileo_sessions.http.auth import Authentication

COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"

WIDE = Limits(initial=100, maximum=100)


class Guarded(Service):
    """Issues a new token for each login, and accepts only the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.logins = 0
        self.good = ""
        self.status = 200
        self.troubles: list[int] = []

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Answers logins a little later, and counts at once."""
        if request.startswith(b"POST /login "):
            self.logins += 1
            asyncio.get_running_loop().call_later(0.02, self.log_in, answer)
        else:
            answer(http() if self.good and self.good.encode() in request else http(401, "old"))

    def log_in(self, answer: Callable[[bytes], None]) -> None:
        """Makes a token, or refuses."""
        status = self.troubles.pop() if self.troubles else self.status
        if status != 200:
            answer(http(status, "pa55-word is wrong"))
            return
        self.good = f"t0ken-{self.logins}"
        answer(http(200, json.dumps({"access_token": self.good})))


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
    counted = shapes.requests["POST", URL(COUNT_URL)]
    assert [call.kwargs["headers"]["Authorization"] for call in counted] == ["Bearer t-2"] * 3


async def test_401_without_a_retry_is_not_for_ever():
    """A client without retries replaces a refused token before the next count."""
    async with serving(Guarded()) as service, client(service.url, auth=ANN, retry=Retry(attempts=1)) as galileo:
        assert await galileo.count(PROJECT) == 7
        service.good = ""
        with contextlib.suppress(AuthenticationError):
            await galileo.count(PROJECT)
        assert await galileo.count(PROJECT) == 7
    assert service.logins == 2


async def test_a_token_that_expires_loses_no_count():
    """All counts that meet a 401 share one new login, and none fails."""
    async with serving(Guarded()) as service, client(service.url, auth=ANN, limits=WIDE) as galileo:
        assert await galileo.count(PROJECT) == 7
        service.good = ""
        report = await galileo.count_all(ids(300))
    assert (report.errors, service.logins) == ((), 2)


@pytest.mark.parametrize("limits", [Limits(), WIDE], ids=["10 at once", "100 at once"])
async def test_wrong_password_with_100_in_flight(limits):
    """A wrong password costs 1 login, raises 100 LoginErrors, and appears in none of them."""
    service = Guarded()
    service.status = 401
    async with serving(service), client(service.url, auth=ANN, limits=limits) as galileo:
        outcomes = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(100)), return_exceptions=True)
        assert idle(galileo)
    assert [type(outcome) for outcome in outcomes] == [LoginError] * 100
    assert (service.logins, service.requests) == (1, 1)
    assert "pa55-word" not in "".join(visible_text(outcome) for outcome in outcomes[::10])


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
    async with raw_server(answer) as server, client(server.url, auth=ANN) as galileo:
        error = await failure(galileo)
    assert (type(error), len(server.requests)) == (LoginError, 1)
    assert f"the login at {server.url}" in error.message
    assert hint in error.hint


async def test_login_answers_a_redirect():
    """A redirected login raises RedirectError, and the other server gets no request."""
    async with raw_server(http()) as other, raw_server(http(307, "", Location=f"{other.url}/login")) as server:
        async with client(server.url, auth=ANN) as galileo:
            error = await failure(galileo)
    assert (type(error), len(server.requests), other.connections) == (gs.RedirectError, 1, 0)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 529])
async def test_login_is_in_trouble_once(status):
    """The statuses that are retried for a count are retried for a login."""
    async with raw_server(answers(http(status, ""), http(200, '{"access_token": "t"}'), http())) as server:
        async with client(server.url, auth=ANN) as galileo:
            assert await galileo.count(PROJECT) == 7
    assert len(server.requests) == 3


@virtual_time
async def test_login_that_never_comes_about_says_where():
    """A login that can't connect raises AttemptTimeoutError in phase connect."""
    with full_backlog() as url:
        async with client(url, auth=ANN, retry=Retry(attempts=1)) as galileo:
            error = await failure(galileo)
            assert idle(galileo)
    assert (type(error), error.phase) == (AttemptTimeoutError, "connect")


async def test_a_login_that_hangs_is_a_timeout_and_ends_with_the_client():
    """A count waits for a login no longer than its timeout, and closing the client ends the login."""

    async with raw_server(silence) as server:
        galileo = GalileoSessions(auth=gs.PasswordAuth("a", "b"), base_url=server.url)
        with pytest.raises(gs.DeadlineExceededError):
            await galileo.count(PROJECT, timeout=0.1)
        await galileo.close()


@pytest.mark.parametrize(("status", "most"), [(503, 60), (500, 200)])
@virtual_time
async def test_a_fan_out_does_not_storm_a_login_service_that_is_down(status, most):
    """While logins fail, the counts of a fan-out share them, and few are sent."""
    service = Guarded()
    service.status = status
    async with serving(service), client(service.url, auth=ANN, limits=WIDE) as galileo:
        report = await galileo.count_all(ids(300), timeout=20)
    assert len(report.errors) == 300
    assert [str(error) for error in report.errors if f"{status} " not in str(error)] == []
    assert service.logins <= most


@pytest.mark.parametrize("status", [500, 408])
async def test_a_login_that_fails_twice_loses_no_count(status):
    """The counts that waited for a login share the next one as well."""
    service = Guarded()
    service.troubles = [status, status]
    async with serving(service), client(service.url, auth=ANN) as galileo:
        report = await galileo.count_all(ids(50))
    assert report.errors == ()
    assert service.logins == 3


# ---- the credentials alone -------------------------------------------------------------------------------------------


class Login:
    """The network of some credentials: each login takes a second, and brings a number, which counts then count."""

    def __init__(self, *outcomes: int) -> None:
        self.outcomes = list(outcomes)
        self.logins = 0
        self.refused: set[int] = set()
        self.seconds = 0.0
        auth, retry = Authentication(ANN, Secret({}), self, 30), Retry()
        self.requester = Requester(self, auth, 30, retry, Queue(Limits(), retry), None)

    async def count(self) -> int:
        """The number with which a count is sent."""
        return await self.requester.post(COUNT, None, b"{}", asyncio.get_running_loop().time() + 30)

    async def request(self, path: str, _body: bytes, headers: Secret[dict[str, str]], **_: object) -> Response:
        """The outcomes of logins in order, the last one repeatedly: a number, or from 100 the status of an error."""
        if path == "/login":
            self.logins += 1
            await asyncio.sleep(1)
            outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            return Response(outcome if outcome >= 100 else 200, {}, b'{"access_token": "%d"}' % outcome)
        number = int(headers.reveal()["Authorization"].removeprefix("Bearer "))
        await asyncio.sleep(self.seconds)
        return Response(401 if number in self.refused else 200, {}, b'{"total_count": %d}' % number)

    async def count_100(self) -> list[object]:
        """What becomes of 100 counts at once: their numbers, or the classes of their errors."""
        outcomes = await asyncio.gather(*(self.count() for _ in range(100)), return_exceptions=True)
        return [type(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]


@virtual_time
async def test_one_login_however_many_wait():
    """All counts that wait for a login get its token or its error; after an error the next count logs in."""
    login = Login(503, 1)
    assert await login.count_100() == [ServerError] * 100
    assert await login.count_100() == [1] * 100
    assert login.logins == 2


@virtual_time
async def test_a_refused_token_is_replaced_once():
    """Counts that got a 401 with the same token share one new login, and a newer token is kept."""
    login = Login(1, 2)
    assert await login.count() == 1
    login.refused.add(1)
    login.seconds = 10
    late = asyncio.create_task(login.count())
    await asyncio.sleep(1)
    login.seconds = 0.1
    assert await login.count_100() == [AuthenticationError] * 100
    assert await login.count_100() == [2] * 100
    with pytest.raises(AuthenticationError):
        await late
    assert await login.count() == 2
    assert login.logins == 2


@virtual_time
async def test_a_refused_password_is_remembered_for_30_seconds():
    """All counts get the refusal, and no other login is sent for 30 s."""
    login = Login(401, 1)
    assert await login.count_100() == [LoginError] * 100
    await asyncio.sleep(29.9)
    with pytest.raises(LoginError):
        await login.count()
    assert login.logins == 1
    await asyncio.sleep(0.1)
    assert await login.count() == 1


@virtual_time
async def test_a_login_outlasts_the_counts_that_wait_for_it():
    """Cancelling a count, even the one that began the login, ends no login: the next count gets its token."""
    login = Login(1, 2)
    first, second = (asyncio.create_task(login.count()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    assert await second == 1
    login.refused.add(1)
    with pytest.raises(AuthenticationError):
        await login.count()
    only = asyncio.create_task(login.count())
    await asyncio.sleep(0.5)
    only.cancel()
    await asyncio.sleep(0.4)
    assert await login.count() == 2
    assert (first.cancelled(), only.cancelled(), login.logins) == (True, True, 2)


@virtual_time
async def test_a_login_that_nobody_waits_for_fails_in_silence():
    """Its error is retrieved: the event loop complains of nothing, and the next count logs in."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    login = Login(503, 1)
    only = asyncio.create_task(login.count())
    await asyncio.sleep(0.5)
    only.cancel()
    await asyncio.sleep(1)
    assert await login.count() == 1
    del only  # its traceback has the login
    gc.collect()
    assert (login.logins, complaints) == (2, [])


@pytest.mark.parametrize("seconds", [0, 0.5], ids=["that hasn't begun", "in progress"])
@virtual_time
async def test_closing_ends_a_login(seconds):
    """Closing ends a login; counts that wait get an error, or their own cancellation."""
    before = asyncio.all_tasks()
    await Login(1).requester.authentication.shared.close()  # which has nothing to end
    login = Login(1)
    waiter, cancelled = (asyncio.create_task(login.count()) for _ in range(2))
    await asyncio.sleep(seconds)
    closing = asyncio.create_task(login.requester.authentication.shared.close())
    await asyncio.sleep(0)
    cancelled.cancel()
    await closing
    assert asyncio.all_tasks() - before <= {waiter, cancelled}
    with pytest.raises(gs.ConfigurationError, match="closed"):
        await waiter
    with pytest.raises(asyncio.CancelledError):
        await cancelled
