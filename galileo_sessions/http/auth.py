"""
Credentials: what users give, how a token is obtained, what requests carry, and how secrets are removed from responses.

One login obtains the token for all waiting counts; the token is renewed before it expires. A refused login isn't
repeated for 30 s. If the login fails otherwise, the waiting counts fail with its error, and the retry policy decides
whether they try again. Times come from the event loop's clock, which doesn't jump when the machine's clock is set.
"""

from __future__ import annotations

import asyncio
import json
import platform
import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from math import inf
from time import time
from typing import Any, TypeAlias, TypeVar, assert_never
from urllib.parse import urlencode

from attrs import Attribute, astuple, define, evolve, field, frozen
from multidict import CIMultiDict

from galileo_sessions.api.query import CountQuery
from galileo_sessions.api.responses import CONSOLE, Endpoint, Reply, Response, error_of, final, reply_of
from galileo_sessions.display import brief
from galileo_sessions.errors import AttemptTimeoutError, ConfigurationError, DecodeError, GalileoError, LoginError
from galileo_sessions.http.secret import Secret, forms_of, from_environment, hidden, kind_of, redact
from galileo_sessions.http.transport import Transport
from galileo_sessions.version import __version__

T = TypeVar("T")

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = {
    "User-Agent": f"galileo-sessions/{__version__} Python/{platform.python_version()}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
_RESERVED = ("content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "authorization")
_LONG = 8  # characters from which a user's header is treated as a secret; shorter ones are common words
_KEPT_TOKENS = 8  # a server can still repeat a token that has been replaced
_MAX_LOGIN = 64 * 1024  # bytes that the response to a login can have
_PAUSE = 30.0  # seconds without another login: after a refusal, and after a renewal that failed
_RENEW_BEFORE = 300.0  # seconds before a token's end; half its life if that is less
_SHORTEST = 10.0  # the fewest seconds that a token is used, whatever its claims say: the clocks may disagree
_TRY_LATER = (408, 425, 429)  # of the 4xx, those that don't mean a wrong password

# ---- credentials -----------------------------------------------------------------------------------------------------

Problem: TypeAlias = tuple[str, str]
"""What is wrong, and a hint. Functions return it, because a frame that raises must not hold a plain secret."""


def name_problem(secret: Secret[str]) -> Problem | None:
    """Why a header can't have this name, by RFC 9110; None if it can."""
    name = secret.reveal()
    is_valid = isinstance(name, str) and _HEADER_NAME.fullmatch(name)
    return None if is_valid else (f"must have a valid name, got {brief(name)}", "")


def header_problem(secret: Secret[str]) -> Problem | None:
    """Why a header can't carry a secret; None if it can."""
    value, problem = secret.reveal(), _text_problem(secret)
    if problem is None and value != value.strip():
        return "begins or ends with white space, perhaps a line break from a file", "Strip it"
    if problem is None and not (value.isascii() and value.isprintable()):
        return "has a character that isn't printable ASCII", ""
    return problem


def _text_problem(secret: Secret[str]) -> Problem | None:
    """Why a user name or a password can't be sent; None if it can."""
    value = secret.reveal()
    if not isinstance(value, str) or not value:
        return f"must be non-empty text{kind_of(secret)}", ""
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that Python couldn't decode
        return "isn't valid UTF-8", "Check how the environment or the file was encoded"
    return None


def _basic_user_problem(secret: Secret[str]) -> Problem | None:
    return _text_problem(secret) or (("must not have a colon", "") if ":" in secret.reveal() else None)


def _checked(what: str, problem_of: Callable[[Secret[str]], Problem | None]) -> Callable[[object, Any, Any], None]:
    def check(_credentials: object, _field: Attribute[Any], value: str | Secret[str]) -> None:
        problem = problem_of(hidden(value))
        if problem is not None:
            raise ConfigurationError(f"{what} {problem[0]}", hint=problem[1])

    return check


@frozen
class ApiKeyAuth:
    """An API key from the console; it needs no login."""

    key: Secret[str] = field(converter=hidden, validator=_checked("the API key", header_problem))
    """The key, in printable ASCII."""
    header: str = field(default="Galileo-API-Key", validator=_checked("the header", name_problem))
    """The name of the header; newer deployments call it Splunk-AO-API-Key."""


@frozen
class BearerAuth:
    """A token obtained elsewhere; it isn't renewed."""

    token: Secret[str] = field(converter=hidden, validator=_checked("the token", header_problem))
    """The token, in printable ASCII and without the word "Bearer"."""


@frozen
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str | Secret[str] = field(validator=_checked("the user name of a BasicAuth", _basic_user_problem))
    """The user name, without a colon. Unlike the password, it is shown unless it is a `Secret`."""
    password: Secret[str] = field(converter=hidden, validator=_checked("the password", _text_problem))
    """The password, as text that isn't empty."""


@frozen
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str | Secret[str] = field(validator=_checked("the user name", _text_problem))
    """The user name. Unlike the password, it is shown unless it is a `Secret`."""
    password: Secret[str] = field(converter=hidden, validator=_checked("the password", _text_problem))
    """The password, as text that isn't empty."""


Credentials: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth
Headers: TypeAlias = Mapping[str, str | Secret[str]]


def find_credentials(api_key: ApiKeyAuth | None, auth: Secret[Credentials | None]) -> Credentials:
    """
    The credentials: `api_key`, `auth`, else GALILEO_API_KEY, else GALILEO_USERNAME with GALILEO_PASSWORD.

    Raises:
        ConfigurationError: if there are none, if both arguments are given, or if one can't be sent in a header.
    """
    if not isinstance(auth.reveal(), Credentials | None):  # perhaps a key in the wrong place: don't show it
        kinds = "an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth"
        raise ConfigurationError(f"auth must be {kinds}", hint="For an API key write api_key=...")
    if api_key is not None and auth.reveal() is not None:
        raise ConfigurationError("api_key and auth can't both be given", hint="Give one of them")
    given = api_key or auth.reveal()
    if given is not None:
        return given
    key, username, password = (from_environment(f"GALILEO_{name}") for name in ("API_KEY", "USERNAME", "PASSWORD"))
    if key is not None:
        return ApiKeyAuth(key)
    if username is not None and password is not None:
        return PasswordAuth(username.reveal(), password)
    if username is not None or password is not None:
        raise ConfigurationError("GALILEO_USERNAME and GALILEO_PASSWORD go together", hint="Set both")
    raise ConfigurationError("no credentials: GALILEO_API_KEY isn't set", hint="Set it, or pass api_key=...")


def header_and_secrets(credentials: Credentials) -> tuple[Secret[dict[str, str]], list[Secret[str]]]:
    """The header that authenticates a request (none for a `PasswordAuth`, which logs in), and the secrets to hide."""
    secrets: list[Secret[str]] = [value for value in astuple(credentials, recurse=False) if isinstance(value, Secret)]
    match credentials:
        case ApiKeyAuth(key, header):
            return Secret({header: key.reveal()}), secrets
        case BearerAuth(token):
            return bearer(token), secrets
        case BasicAuth():
            basic = _basic(credentials)
            return Secret({"Authorization": f"Basic {basic.reveal()}"}), [*secrets, basic]
        case PasswordAuth():
            return Secret({}), [*secrets, _basic(credentials)]
        case _:
            assert_never(credentials)


def bearer(token: Secret[str]) -> Secret[dict[str, str]]:
    """The header that carries a token."""
    return Secret({"Authorization": f"Bearer {token.reveal()}"})


def _basic(login: BasicAuth | PasswordAuth) -> Secret[str]:
    return Secret(b64encode(f"{hidden(login.username).reveal()}:{login.password.reveal()}".encode()).decode("ascii"))


# ---- the token of a login --------------------------------------------------------------------------------------------

_Outcome: TypeAlias = Secret[str] | GalileoError


@define(eq=False)
class TokenCache:
    """
    The token of a `PasswordAuth`.

    Args:
        login: Sends the login and returns the token.
        clock: A monotonic clock, in seconds.
        wall: Seconds since the epoch, as in a token's claims.
    """

    _login: Callable[[], Coroutine[Any, Any, Secret[str]]]
    _clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    _wall: Callable[[], float] = time
    _token: Secret[str] | None = None
    _renew_at: float = -inf
    _ends_at: float = -inf
    _refusal: LoginError | None = None
    _task: asyncio.Task[_Outcome] | None = None
    _waiting: int = 0

    def current(self) -> Secret[str] | None:
        """The token, unless it is known to be invalid. Before it expires, it is renewed in the background."""
        now = self._clock()
        if self._token is None or now >= self._ends_at:
            return None
        if now >= self._renew_at:
            _ = self._start()
        return self._token

    async def get(self) -> Secret[str]:
        """
        The current token, or the token of a new login.

        Raises:
            LoginError: if the login is refused, and for 30 s after that without another request.
            GalileoError: if the login fails otherwise.
        """
        token = self.current()
        if token is not None:
            return token
        if self._refusal is not None and self._clock() < self._renew_at:
            raise self._refusal
        return await self._wait_for(self._start())

    def invalidate(self, token: Secret[str]) -> None:
        """Drops this token if it is still in use, so that the next `get` logs in."""
        if token == self._token:
            self._token = None

    async def close(self) -> None:
        """Cancels a login that is in progress."""
        if self._task is not None and self._task.get_loop() is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> asyncio.Task[_Outcome]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._renew())
        return self._task

    async def _wait_for(self, login: asyncio.Task[_Outcome]) -> Secret[str]:
        self._waiting += 1
        try:
            outcome = await asyncio.shield(login)  # cancelling one count doesn't cancel the login for others
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if not login.cancelled() or (me is not None and me.cancelling()):
                raise
            outcome = ConfigurationError("this GalileoSessions was closed while it was logging in")
        finally:
            self._waiting -= 1
            if not self._waiting:  # the last waiting count was cancelled, or the login is over
                login.cancel()
                self._task = None
        if isinstance(outcome, GalileoError):
            raise outcome
        return outcome

    async def _renew(self) -> _Outcome:
        """The new token, or the error, which isn't raised: asyncio logs an exception that nobody retrieves."""
        try:
            token = await self._login()
        except GalileoError as error:
            self._refusal = error if isinstance(error, LoginError) else None
            self._renew_at = self._clock() + _PAUSE
            return error
        now, life = self._clock(), max(lifetime(token, self._wall()), _SHORTEST)
        self._renew_at, self._ends_at = now + life - min(_RENEW_BEFORE, life / 2), now + life
        self._token, self._refusal = token, None
        return token


def lifetime(token: Secret[str], now: float) -> float:
    """
    Seconds until a JWT expires by its `exp`, read without verification; infinite without an `exp` in the future.

    A token with an `iat` lives at most from `iat` to `exp`, in case this machine's clock is wrong.
    """
    try:
        payload = token.reveal().split(".")[1]
        claims: Any = json.loads(b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_"))
        end = float(claims["exp"])
        lives = end - now, end - float(claims.get("iat", now))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return inf
    return min((life for life in lives if life > 0), default=inf)


def login_form(credentials: PasswordAuth) -> Secret[bytes]:
    """The body of POST /login."""
    fields = {"username": hidden(credentials.username).reveal(), "password": credentials.password.reveal()}
    return Secret(urlencode(fields).encode("ascii"))


def token_of(response: Response) -> Secret[str]:
    """
    The token in the response to POST /login. The rest of its body isn't kept, because a 422 repeats the password.

    Raises:
        LoginError: if the login is refused, or the response has no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    status, origin = response.status, f"the login at {response.origin}"
    if status == 200:
        token = _token_in(response.body)
        if token is not None and header_problem(token) is None:
            return token
        raise LoginError(f"{origin} answered 200 without an access_token", status=status, hint=CONSOLE)
    if 400 <= status < 500 and status not in _TRY_LATER:
        hint = "Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)"
        raise LoginError(f"{origin} answered {status}", status=status, hint=hint)
    raise error_of(evolve(response, body=b"", origin=origin))


def _token_in(body: bytes) -> Secret[str] | None:
    try:
        data: Any = json.loads(body)
        return Secret(data["access_token"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return None


# ---- requests with credentials ---------------------------------------------------------------------------------------


class Authentication:
    """
    Sends requests with the credentials of a client, and removes all secrets from the responses.

    Args:
        credentials: The client's credentials.
        headers: The user's headers for each request. They replace the client's of the same name, ignoring case.
        transport: Sends one request.
        login_timeout: Seconds that a login can take.

    Raises:
        ConfigurationError: if a header is reserved, has an invalid name, or a value that isn't printable ASCII.
    """

    def __init__(
        self, credentials: Credentials, headers: Secret[Headers], transport: Transport, login_timeout: float
    ) -> None:
        header, secrets = header_and_secrets(credentials)
        given = _checked_headers(headers, {*_RESERVED, *(name.lower() for name in header.reveal())})
        self._headers = _with(_with(Secret(_OURS), given), header)
        own = [hidden(value) for value in headers.reveal().values() if isinstance(value, Secret) or len(value) >= _LONG]
        self._secrets = [*secrets, *own]
        self._forms = forms_of(self._secrets)
        self._transport = transport
        self._tokens: TokenCache | None = None
        self._recent_tokens: deque[Secret[str]] = deque(maxlen=_KEPT_TOKENS)
        if isinstance(credentials, PasswordAuth):
            self._tokens = TokenCache(partial(self._login, login_form(credentials), login_timeout))
        self.logs_in: bool = self._tokens is not None
        """Whether requests carry the token of a login, so that the first one after a 401 carries a new token."""

    async def post(self, endpoint: Endpoint[T], query: CountQuery | None, body: bytes, *, until: float) -> Reply[T]:
        """
        The result of a POST with credentials: an answer, or the error of a response, which holds no secret.

        Args:
            endpoint: Where to send the request.
            query: The query of the request, if it has one; the text of a 422 has a drawing of its filter.
            body: The request body.
            until: When the attempt ends, on the loop's clock.

        Raises:
            GalileoError: if no complete response came, or if a login failed.
        """
        token = None if self._tokens is None else self._tokens.current() or await self._token(self._tokens, until)
        response = await self._transport.post(
            endpoint.path if query is None else endpoint.path.format(project_id=query.project_id),
            body,
            self._headers if token is None else _with(self._headers, bearer(token)),
            until=until,
            max_body=endpoint.max_body,
        )
        if response.status == 200:
            reply = reply_of(response, endpoint, query)
            if reply.error is None:  # secrets aren't removed: a password can be a common word that the answer needs
                return reply
        if response.status == 401 and self._tokens is not None and token is not None:
            self._tokens.invalidate(token)
        reply = reply_of(self._clean(response), endpoint, query)
        if response.status == 200 and reply.error is None:  # a body without secrets can look like an answer
            raise final(DecodeError("the service answered 200 with an unexpected body"))
        return reply

    async def close(self) -> None:
        """Cancels a login that is in progress."""
        if self._tokens is not None:
            await self._tokens.close()

    async def _token(self, tokens: TokenCache, until: float) -> Secret[str]:
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                return await tokens.get()
        except TimeoutError:
            if not timeout.expired():  # the login raised it
                raise
        raise AttemptTimeoutError("the login took longer than one attempt may take", phase="response")

    async def _login(self, form: Secret[bytes], seconds: float) -> Secret[str]:
        until = asyncio.get_running_loop().time() + seconds
        headers = _with(self._headers, Secret({"Content-Type": "application/x-www-form-urlencoded"}))
        response = await self._transport.post("/login", form, headers, until=until, max_body=_MAX_LOGIN)
        token = token_of(response if response.status == 200 else self._clean(response))
        self._recent_tokens.append(token)
        self._forms = forms_of([*self._secrets, *self._recent_tokens])
        return token

    def _clean(self, response: Response) -> Response:
        headers = CIMultiDict(
            (name, redact(value.encode("utf-8", "surrogateescape"), self._forms).decode("utf-8", "surrogateescape"))
            for name, value in response.headers.items()
        )
        return evolve(response, headers=headers, body=redact(response.body, self._forms))


def _checked_headers(headers: Secret[Headers], reserved: set[str]) -> Secret[Mapping[str, str]]:
    if not isinstance(headers.reveal(), Mapping):
        kind = type(headers.reveal()).__name__
        raise ConfigurationError(f"headers must be a mapping, got {kind}", hint='Write headers={"X-Team": "billing"}')
    given = [(name, hidden(value)) for name, value in headers.reveal().items()]
    for name, value in given:
        problem = name_problem(Secret(name)) or header_problem(value)
        if problem is None and name.lower() in reserved:
            problem = "is set by the client itself", "For credentials pass auth="
        if problem is not None:
            raise ConfigurationError(f"the header {brief(name)} in headers= {problem[0]}", hint=problem[1])
    return Secret(CIMultiDict([(name, value.reveal()) for name, value in given]))


def _with(headers: Secret[Mapping[str, str]], more: Secret[Mapping[str, str]]) -> Secret[Mapping[str, str]]:
    merged = CIMultiDict(headers.reveal())  # as aiohttp would make it for each request
    merged.update(more.reveal())
    return Secret(merged)
