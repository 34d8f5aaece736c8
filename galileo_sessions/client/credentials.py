"""
Who is asking: credentials, and the life of a login's token.

A secret is a `str` that doesn't show itself: its repr, and so every traceback with local variables, holds `***`.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from copy import copy
from math import inf
from time import time
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus, urlencode

from attrs import field, frozen

from galileo_sessions.client.responses import Answer, Scrub, error_of
from galileo_sessions.errors import ConfigurationError, GalileoError, LoginError, brief

_REFUSED_FOR = 30.0  # seconds during which a refused password isn't tried again
_REFRESH_BEFORE = 300.0  # seconds before a token's end; half its life if that is less


class Secret(str):
    """Text that can be sent but isn't shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _secret(name: str, value: object) -> Secret:
    """`value` as a header can carry it; the error never shows it."""
    if not isinstance(value, str) or not value:
        got = "empty text" if isinstance(value, str) else type(value).__name__
        raise ConfigurationError(f"{name} is text that isn't empty, got {got}")
    if value != value.strip():
        raise ConfigurationError(f"{name} begins or ends with white space, perhaps a line break from a file. Strip it")
    if not value.isprintable() or not value.isascii():
        raise ConfigurationError(f"{name} has a character that a header can't carry; it is printable ASCII")
    return Secret(value)


def _key(value: str) -> Secret:
    return _secret("the API key", value)


def _token(value: str) -> Secret:
    return _secret("the token", value)


def _header(value: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value):
        raise ConfigurationError(f"header {brief(value)} is no name of an HTTP header")
    return value


def _basic_username(value: str) -> str:
    if not isinstance(value, str) or ":" in value:
        raise ConfigurationError("a username of HTTP Basic authentication is text without a colon")
    return value


def _password(value: str) -> Secret:
    if not isinstance(value, str) or not value:
        raise ConfigurationError("the password is text that isn't empty")
    return Secret(value)


@frozen
class ApiKeyAuth:
    """
    An API key, as the console makes it; it needs no login.

    Args:
        key: The key.
        header: Its header's name; newer deployments call it Splunk-AO-API-Key.
    """

    key: str = field(converter=_key)
    header: str = field(default="Galileo-API-Key", converter=_header)


@frozen
class BearerAuth:
    """A token that something else has obtained; it isn't refreshed."""

    token: str = field(converter=_token)


@frozen
class BasicAuth:
    """A user name and a password, sent with each request as HTTP Basic authentication."""

    username: str = field(converter=_basic_username)
    password: str = field(converter=_password)


@frozen
class PasswordAuth:
    """A user name and a password, exchanged for a token at POST /login when first needed."""

    username: str
    password: str = field(converter=_password)


Auth: TypeAlias = ApiKeyAuth | BearerAuth | BasicAuth | PasswordAuth


def credentials(api_key: str | None, auth: Auth | None, environ: Mapping[str, str]) -> Auth:
    """
    What to authenticate with: `api_key`, `auth`, else GALILEO_API_KEY, else GALILEO_USERNAME with GALILEO_PASSWORD.

    Raises:
        ConfigurationError: if there is none, if both arguments are given, or if one can't be sent in a header.
    """
    if api_key is not None and auth is not None:
        raise ConfigurationError("api_key and auth exclude each other. Give one of them")
    if api_key is not None:
        return ApiKeyAuth(api_key)
    if auth is not None:
        if not isinstance(auth, Auth):
            raise ConfigurationError("auth is ApiKeyAuth(...), BearerAuth(...), PasswordAuth(...) or BasicAuth(...)")
        return auth
    key, username, password = (environ.get(f"GALILEO_{name}") for name in ("API_KEY", "USERNAME", "PASSWORD"))
    if key:
        return ApiKeyAuth(key)
    if username and password:
        return PasswordAuth(username, password)
    if username or password:
        missing = "GALILEO_PASSWORD" if username else "GALILEO_USERNAME"
        raise ConfigurationError(f"{missing} isn't set; GALILEO_USERNAME and GALILEO_PASSWORD go together")
    raise ConfigurationError(
        "no credentials. Set GALILEO_API_KEY in the environment, or write GalileoSessions(api_key=...)"
    )


def static_headers(auth: Auth) -> dict[str, str]:
    """The header that authenticates each request; empty for a `PasswordAuth`, whose token comes later."""
    match auth:
        case ApiKeyAuth(key, header):
            return {header: key}
        case BearerAuth(token):
            return bearer(token)
        case BasicAuth(username, password):
            return {"Authorization": Secret(f"Basic {_basic(username, password)}")}
        case _:
            return {}


def bearer(token: str) -> dict[str, str]:
    """The header for a token."""
    return {"Authorization": Secret(f"Bearer {token}")}


def _basic(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode("ascii")


def secrets_of(auth: Auth) -> list[str]:
    """What must not be shown."""
    match auth:
        case ApiKeyAuth(secret) | BearerAuth(secret):
            return [secret]
        case _:
            return [_basic(auth.username, auth.password), auth.password]


def forms_of(secrets: Iterable[str]) -> list[str]:
    """The forms in which a server may repeat what it was sent, the longest first: plain, quoted, as JSON."""
    forms = {
        form for secret in secrets for form in (secret, quote(secret), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    return sorted(forms | {repr(str(secret))[1:-1] for secret in forms}, key=len, reverse=True)


class Tokens:
    """
    The token of a `PasswordAuth`: obtained once however many wait for it, renewed before its end.

    Args:
        login: Sends the login and gives the token; its errors go to all who wait.
        clock: Seconds since the epoch.
    """

    def __init__(self, login: Callable[[], Coroutine[Any, Any, str]], clock: Callable[[], float] = time) -> None:
        self._login = login
        self._clock = clock
        self._token: Secret | None = None
        self._renew_at = inf
        self._task: asyncio.Task[Secret] | None = None
        self._waiting = 0
        self.known: deque[str] = deque(maxlen=8)
        """The last tokens, which a server may still repeat."""
        self._refusal: LoginError | None = None
        self._refused_until = -inf

    async def get(self, stale: str | None = None) -> Secret:
        """
        A token that is valid as far as anybody knows.

        Args:
            stale: The token that the service has just refused, if any; one login replaces it for all.

        Raises:
            LoginError: if the login is refused, and for 30 s after that without asking again.
            GalileoError: if the login fails otherwise.
        """
        if stale is not None:
            self.refused(stale)
        if self._token is not None and self._clock() < self._renew_at:
            return self._token
        if self._refusal is not None and self._clock() < self._refused_until:
            raise copy(self._refusal)
        if self._task is None:
            self._task = asyncio.create_task(self._renew())
            self._task.add_done_callback(self._done)
        login = self._task
        self._waiting += 1
        try:
            return await asyncio.shield(login)  # whoever is cancelled here doesn't cancel it for the others
        except GalileoError as error:
            problem: GalileoError = copy(error)
        except asyncio.CancelledError:
            if not login.cancelled():
                raise
            problem = ConfigurationError("this GalileoSessions was closed while it logged in")
        finally:
            self._waiting -= 1
            if not self._waiting and login is self._task:  # nobody wants it any more
                login.cancel()
                self._task = None
        raise problem

    def refused(self, token: str) -> None:
        """Tells that the service has refused a token; if it is still in use, the next one who asks logs in."""
        if token == self._token:
            self._renew_at = -inf

    async def close(self) -> None:
        """Ends a login under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _renew(self) -> Secret:
        try:
            token = Secret(await self._login())
        except LoginError as error:
            self._refusal, self._refused_until = copy(error), self._clock() + _REFUSED_FOR
            raise
        life = lifetime(token, self._clock())
        self._renew_at = self._clock() + life - min(_REFRESH_BEFORE, life / 2)
        self._token, self._refusal = token, None
        self.known.append(token)
        return token

    def _done(self, task: asyncio.Task[Secret]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # looked at, in case that nobody waits any more


def lifetime(token: str, now: float) -> float:
    """Seconds that a JWT has to live by its `exp`, read without verifying; infinite where that says nothing of use."""
    try:
        payload = token.split(".")[1]
        claims: Any = json.loads(b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_"))
        life = float(claims["exp"]) - now
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return inf
    return life if life > 0 else inf


def login_form(auth: PasswordAuth) -> bytes:
    """The body of POST /login."""
    return urlencode({"username": auth.username, "password": auth.password}).encode("ascii")


def token_of(answer: Answer, scrub: Scrub = str) -> str:
    """
    The token in the answer to POST /login; of its body nothing else is kept, for a 422 repeats the password.

    Raises:
        LoginError: if the login is refused, or there is no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    if answer.status == 200:
        try:
            data: Any = json.loads(answer.body)
            return _secret("the token", data["access_token"])
        except (ValueError, RecursionError, TypeError, KeyError):
            problem = "answered 200 without an access_token. Check that base_url is the API's, not the console's"
    elif answer.status in (408, 425, 429) or not 400 <= answer.status < 500:
        raise error_of(Answer(answer.status, answer.headers, b""), scrub)
    else:
        problem = f"answered {answer.status}. Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)"
    raise LoginError(f"the login {problem}", status=answer.status)
