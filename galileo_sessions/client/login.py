"""
The life of a login's token: obtained once for all who wait, and renewed before its end, while counts still use it.

A login that was refused isn't repeated for 30 s. After other failures logins come at growing distances, however many
counts ask for a token; until the next one is due, all get the error of the last one. Where a status tells of trouble,
the error has the seconds to the next login as its `retry_after`, so that counts wait for that rather than fail.
Times are those of the event loop, which don't jump when somebody sets the clock.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable, Coroutine
from copy import copy
from math import inf
from time import time
from typing import Any
from urllib.parse import urlencode

from attrs import evolve

from galileo_sessions.client.credentials import PasswordAuth, header_problem
from galileo_sessions.client.policy import OWN_TROUBLE
from galileo_sessions.client.responses import Redact, Response, error_of
from galileo_sessions.client.secret import Secret
from galileo_sessions.errors import ConfigurationError, GalileoError, LoginError, ResponseError, TransportError

_REFUSED_FOR = 30.0  # seconds during which a refused password isn't tried again
_MOST_PAUSE = 30.0  # seconds between logins that fail otherwise; 0 after the first failure, then 1, 2, 4, and so on
_MOST_ASKED = 60.0  # seconds of a Retry-After that are waited, as Retry(max_retry_after=...) has it
_REFRESH_BEFORE = 300.0  # seconds before a token's end; half its life if that is less
_SHORTEST = 10.0  # seconds that a token is used, whatever its claims say: the clocks may disagree
_KEPT_TOKENS = 8
_TRY_LATER = (408, 425, 429)  # of the 4xx, those that say nothing of the password


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class TokenCache:
    """
    The token of a `PasswordAuth`.

    Args:
        login: Sends the login and returns the token; its errors reach all who wait.
        clock: Seconds that only grow.
        wall: Seconds since the epoch, to which a token's claims refer.
    """

    def __init__(
        self,
        login: Callable[[], Coroutine[Any, Any, Secret[str]]],
        clock: Callable[[], float] = _loop_time,
        wall: Callable[[], float] = time,
    ) -> None:
        self._login = login
        self._clock = clock
        self._wall = wall
        self._token: Secret[str] | None = None
        self._renew_at = self._ends_at = inf
        self._task: asyncio.Task[Secret[str]] | None = None
        self._waiting = 0
        self.recent: tuple[Secret[str], ...] = ()
        """The last tokens, which a server may still repeat."""
        self._failures = 0
        self._error: GalileoError | None = None
        self._next_login = -inf

    async def get(self) -> Secret[str]:
        """
        A token that isn't known to be invalid.

        Raises:
            LoginError: if the login is refused, and for 30 s after that without another request.
            GalileoError: if the login fails otherwise, or failed a moment ago.
        """
        now = self._clock()
        if self._token is not None and now < self._ends_at:
            if self._renew_at <= now >= self._next_login:
                _ = self._start()  # which nobody waits for: if it fails, this token is still good
            return self._token
        if self._error is not None and now < self._next_login:
            raise copy(self._error)
        return await self._wait_for(self._start())

    def _start(self) -> asyncio.Task[Secret[str]]:
        if self._task is None:
            self._task = asyncio.create_task(self._renew())
            self._task.add_done_callback(self._on_done)
        return self._task

    async def _wait_for(self, login: asyncio.Task[Secret[str]]) -> Secret[str]:
        me = asyncio.current_task()
        cancellations = me.cancelling() if me else 0
        self._waiting += 1
        try:
            return await asyncio.shield(login)  # whoever is cancelled here doesn't cancel it for the others
        except GalileoError as error:
            problem: GalileoError = copy(error)
        except asyncio.CancelledError:
            if not login.cancelled() or (me and me.cancelling() > cancellations):
                raise
            problem = ConfigurationError("this GalileoSessions was closed while it logged in")
        finally:
            self._waiting -= 1
            if not self._waiting and login is self._task:  # nobody wants it any more
                login.cancel()
                self._task = None
        raise problem

    def invalidate(self, token: Secret[str]) -> None:
        """If this token is still in use, the next `get` logs in."""
        if token == self._token:
            self._ends_at = -inf

    async def close(self) -> None:
        """Cancels a login that is in progress."""
        if self._task is not None and self._task.get_loop() is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _renew(self) -> Secret[str]:
        try:
            token = await self._login()
        except (ResponseError, TransportError) as error:
            self._failures += 1
            pause = _pause(error, self._failures)
            if isinstance(error, ResponseError) and error.status in OWN_TROUBLE and error.retry_after is None:
                error.retry_after = pause
            self._error, self._next_login = copy(error), self._clock() + pause
            raise
        now, life = self._clock(), max(lifetime(token, self._wall()), _SHORTEST)
        self._renew_at, self._ends_at = now + life - min(_REFRESH_BEFORE, life / 2), now + life
        self._token, self._error, self._failures = token, None, 0
        self.recent = (*self.recent, token)[-_KEPT_TOKENS:]
        return token

    def _on_done(self, task: asyncio.Task[Secret[str]]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # retrieved, in case nobody waits any more


def _pause(error: GalileoError, failures: int) -> float:
    """Seconds to the next login after so many failures in a row."""
    if isinstance(error, LoginError):
        return _REFUSED_FOR
    asked = error.retry_after if isinstance(error, ResponseError) else None
    grown = min(2.0 ** (failures - 2), _MOST_PAUSE) if failures > 1 else 0.0
    return max(min(asked or 0.0, _MOST_ASKED), grown)


def lifetime(token: Secret[str], now: float) -> float:
    """
    Seconds that a JWT has to live by its `exp`, read without verifying; infinite if there is no `exp` to come.

    Where it says when it was issued, it lives no longer than from then on, and so also by a clock that is wrong.
    """
    try:
        payload = token.reveal().split(".")[1]
        claims: Any = json.loads(b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_"))
        end = float(claims["exp"])
        lives = end - now, end - float(claims.get("iat", now))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return inf
    return min((life for life in lives if life > 0), default=inf)


def login_form(auth: PasswordAuth) -> Secret[bytes]:
    """The body of POST /login."""
    return Secret(urlencode({"username": auth.username, "password": auth.password.reveal()}).encode("ascii"))


def token_of(response: Response, redact: Redact) -> Secret[str]:
    """
    The token in the response to POST /login. The rest of its body isn't kept, for a 422 repeats the password.

    Raises:
        LoginError: if the login is refused, or there is no token.
        ResponseError: for a redirect, a 429 or a 5xx.
    """
    status = response.status
    if status == 200:
        token = _token_in(response)
        if token is not None and header_problem(token) is None:
            return token
        problem = "answered 200 without an access_token. Check that base_url is the API's, not the console's"
    elif 400 <= status < 500 and status not in _TRY_LATER:
        problem = f"answered {status}. Check GALILEO_USERNAME and GALILEO_PASSWORD, or PasswordAuth(...)"
    else:
        raise error_of(evolve(response, body=b"", origin=f"the login at {response.origin}"), redact)
    raise LoginError(f"the login at {response.origin} {problem}", status=status)


def _token_in(response: Response) -> Secret[str] | None:
    try:
        data: Any = json.loads(response.body)
        return Secret(data["access_token"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
