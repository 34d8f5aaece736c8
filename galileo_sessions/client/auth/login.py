"""
The life of a login's token: obtained once for all waiting counts, and renewed before it expires.

A login that was refused isn't repeated for 30 s. Any other failure is the error of the counts that waited for it, and
the retry policy decides whether they try again. Times come from the event loop's clock, which doesn't jump when
somebody sets the machine's clock.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable, Coroutine
from math import inf
from time import time
from typing import Any, TypeAlias
from urllib.parse import urlencode

from attrs import evolve

from galileo_sessions.client.auth.credentials import PasswordAuth, header_problem
from galileo_sessions.client.responses import Response, error_of
from galileo_sessions.client.secret import Secret
from galileo_sessions.errors import ConfigurationError, GalileoError, LoginError

_PAUSE = 30.0  # seconds without another login: after a refusal, and after a renewal that failed
_RENEW_BEFORE = 300.0  # seconds before a token's end; half its life if that is less
_SHORTEST = 10.0  # seconds that a token is used, whatever its claims say: the clocks may disagree
_TRY_LATER = (408, 425, 429)  # of the 4xx, those that don't mean a wrong password

_Outcome: TypeAlias = Secret[str] | GalileoError


class TokenCache:
    """
    The token of a `PasswordAuth`.

    Args:
        login: Sends the login and returns the token.
        clock: A monotonic clock, in seconds.
        wall: Seconds since the epoch, as in a token's claims.
    """

    def __init__(
        self,
        login: Callable[[], Coroutine[Any, Any, Secret[str]]],
        clock: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
        wall: Callable[[], float] = time,
    ) -> None:
        self._login = login
        self._clock = clock
        self._wall = wall
        self._token: Secret[str] | None = None
        self._renew_at = self._ends_at = -inf
        self._refusal: LoginError | None = None
        self._task: asyncio.Task[_Outcome] | None = None
        self._waiting = 0

    def current(self) -> Secret[str] | None:
        """The token, if it isn't known to be invalid. Towards its end, it is renewed in the background."""
        now = self._clock()
        if self._token is None or now >= self._ends_at:
            return None
        if now >= self._renew_at:
            _ = self._start()
        return self._token

    async def get(self) -> Secret[str]:
        """
        The current token, or that of a new login.

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
        """If this token is still in use, the next `get` logs in."""
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
            outcome = await asyncio.shield(login)  # one count that is cancelled doesn't cancel it for the others
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if not login.cancelled() or (me is not None and me.cancelling()):
                raise
            outcome = ConfigurationError("this GalileoSessions was closed while it was logging in")
        finally:
            self._waiting -= 1
            if not self._waiting:  # the last one was cancelled, or the login is over
                login.cancel()
                self._task = None
        if isinstance(outcome, GalileoError):
            raise outcome
        return outcome

    async def _renew(self) -> _Outcome:
        """The new token, or the error. It is returned, because asyncio logs an exception that nobody retrieves."""
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
    Seconds that a JWT has left by its `exp`, read without verification; infinite without an `exp` in the future.

    If it says when it was issued, its life is at most from then to `exp`, in case this machine's clock is wrong.
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
    fields = {"username": credentials.username, "password": credentials.password.reveal()}
    return Secret(urlencode(fields).encode("ascii"))


def token_of(response: Response) -> Secret[str]:
    """
    The token in the response to POST /login. The rest of its body isn't kept, because a 422 repeats the password.

    Raises:
        LoginError: if the login is refused, or there is no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    status, origin = response.status, f"the login at {response.origin}"
    if status == 200:
        token = _token_in(response.body)
        if token is not None and header_problem(token) is None:
            return token
        hint = "Check that base_url (GALILEO_API_URL) isn't the console's"
        raise LoginError(f"{origin} answered 200 without an access_token. {hint}", status=status)
    if 400 <= status < 500 and status not in _TRY_LATER:
        hint = "Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)"
        raise LoginError(f"{origin} answered {status}. {hint}", status=status)
    raise error_of(evolve(response, body=b"", origin=origin))


def _token_in(body: bytes) -> Secret[str] | None:
    try:
        data: Any = json.loads(body)
        return Secret(data["access_token"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
