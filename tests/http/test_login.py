"""The token of a login: shared by all counts, renewed in time, replaced if the service refuses it."""

import asyncio
import contextlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from time import time

import pytest
from support.clients import ANN, client, failure
from support.clock import virtual_time
from support.inside import idle
from support.projects import ids
from support.servers import PROJECT, answers, http, raw_server
from support.services import Service, serving
from support.troubles import full_backlog, silence
from support.visible import visible_text
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import (
    AttemptTimeoutError,
    GalileoSessions,
    Limits,
    LoginError,
    PasswordAuth,
    RedirectError,
    Retry,
)

COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"

WIDE = Limits(initial=100, maximum=100)


def token(number: int, **claims: object) -> str:
    """A JWT."""
    part = urlsafe_b64encode(json.dumps({"n": number, **claims}).encode()).rstrip(b"=").decode()
    return f"e30.{part}.sig"


class Guarded(Service):
    """Issues a new token for each login, and accepts only the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.logins = 0
        self.good = ""
        self.status = 200

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Answers logins a little later, and counts at once."""
        if request.startswith(b"POST /login "):
            self.logins += 1
            asyncio.get_running_loop().call_later(0.02, self.log_in, answer)
        else:
            answer(http() if self.good and self.good.encode() in request else http(401, "old"))

    def log_in(self, answer: Callable[[bytes], None]) -> None:
        """Makes a token, or refuses."""
        if self.status != 200:
            answer(http(self.status, "pa55-word is wrong"))
            return
        self.good = token(self.logins, exp=time() + 86_400)
        answer(http(200, json.dumps({"access_token": self.good})))


async def test_password_logs_in_once(shapes):
    """PasswordAuth exchanges the password for a token at /login, and counts with the token."""
    shapes.post("https://api.galileo.ai/login", body='{"access_token": "t-2", "token_type": "bearer"}')
    shapes.post(COUNT_URL, body='{"total_count": 1}', repeat=True)
    async with GalileoSessions(auth=PasswordAuth("ann@example.com", "p w&1")) as galileo:
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
        with contextlib.suppress(gs.AuthenticationError):
            await galileo.count(PROJECT)
        assert await galileo.count(PROJECT) == 7
    assert service.logins == 2


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
    "answer",
    [http(200, "<html>log in</html>"), http(200, "{}"), http(200, '{"access_token": null}'), http(404, "")],
    ids=["HTML", "no token", "null", "404"],
)
async def test_login_answers_html_or_no_token(answer):
    """An answer without a token raises LoginError after one login."""
    async with raw_server(answer) as server, client(server.url, auth=ANN) as galileo:
        error = await failure(galileo)
    assert (type(error), len(server.requests)) == (LoginError, 1)


async def test_login_answers_a_redirect():
    """A redirected login raises RedirectError, and the other server gets no request."""
    async with raw_server(http()) as other, raw_server(http(307, "", Location=f"{other.url}/login")) as server:
        async with client(server.url, auth=ANN) as galileo:
            error = await failure(galileo)
    assert (type(error), len(server.requests), other.connections) == (RedirectError, 1, 0)


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
    assert {type(error) for error in report.errors} == {gs.ServerError}
    assert len(report.errors) == 300
    assert service.logins <= most


class Recovering(Guarded):
    """Logs in from the third time on."""

    def log_in(self, answer: Callable[[bytes], None]) -> None:
        """Counts the logins."""
        self.status = 200 if self.logins >= 3 else self.status
        super().log_in(answer)


@pytest.mark.parametrize("status", [500, 408])
async def test_a_login_that_fails_twice_loses_no_count(status):
    """The counts that waited for a login share the next one as well."""
    service = Recovering()
    service.status = status
    async with serving(service), client(service.url, auth=ANN) as galileo:
        report = await galileo.count_all(ids(50))
    assert report.errors == ()
    assert service.logins == 3
