"""The life of a login's token: obtained once for all who wait, renewed before its end, not asked for when refused."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Coroutine
from copy import copy
from math import inf
from time import time
from typing import Any
from urllib.parse import urlencode

from galileo_sessions.client.credentials import PasswordAuth, Secret, header_secret
from galileo_sessions.client.responses import Redact, Response, error_of
from galileo_sessions.errors import ConfigurationError, GalileoError, LoginError

_REFUSED_FOR = 30.0  # seconds during which a refused password isn't tried again
_REFRESH_BEFORE = 300.0  # seconds before a token's end; half its life if that is less
_TRY_LATER = (408, 425, 429)  # of the 4xx, those that say nothing of the password


class TokenCache:
    """
    The token of a `PasswordAuth`.

    Args:
        login: Sends the login and returns the token; its errors reach all who wait.
        clock: Seconds since the epoch.
    """

    def __init__(self, login: Callable[[], Coroutine[Any, Any, str]], clock: Callable[[], float] = time) -> None:
        self._login = login
        self._clock = clock
        self._token: Secret | None = None
        self._renew_at = inf
        self._task: asyncio.Task[Secret] | None = None
        self._waiting = 0
        self.recent: deque[str] = deque(maxlen=8)
        """The last tokens, which a server may still repeat."""
        self._refusal: LoginError | None = None
        self._refused_until = -inf

    async def get(self) -> Secret:
        """
        A token that isn't known to be invalid.

        Raises:
            LoginError: if the login is refused, and for 30 s after that without another request.
            GalileoError: if the login fails otherwise.
        """
        if self._token is not None and self._clock() < self._renew_at:
            return self._token
        if self._refusal is not None and self._clock() < self._refused_until:
            raise copy(self._refusal)
        if self._task is None:
            self._task = asyncio.create_task(self._renew())
            self._task.add_done_callback(self._on_done)
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

    def invalidate(self, token: str) -> None:
        """If this token is still in use, the next `get` logs in."""
        if token == self._token:
            self._renew_at = -inf

    async def close(self) -> None:
        """Cancels a login that is in progress."""
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
        self.recent.append(token)
        return token

    def _on_done(self, task: asyncio.Task[Secret]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # retrieved, in case nobody waits any more


def lifetime(token: str, now: float) -> float:
    """Seconds that a JWT has to live by its `exp`, read without verifying; infinite if there is no `exp` to come."""
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


def token_of(response: Response, redact: Redact) -> str:
    """
    The token in the response to POST /login. The rest of its body isn't kept, for a 422 repeats the password.

    Raises:
        LoginError: if the login is refused, or there is no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    status = response.status
    if status == 200:
        try:
            data: Any = json.loads(response.body)
            return header_secret("the token", data["access_token"])
        except (ValueError, RecursionError, TypeError, KeyError):
            problem = "answered 200 without an access_token. Check that base_url is the API's, not the console's"
    elif 400 <= status < 500 and status not in _TRY_LATER:
        problem = f"answered {status}. Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)"
    else:
        raise error_of(Response(status, response.headers, b""), redact)
    raise LoginError(f"the login {problem}", status=status)
