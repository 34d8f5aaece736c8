"""Authentication of requests: their headers, what a 401 means for them, and the secrets kept out of texts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from io import BytesIO

from multidict import CIMultiDict

from galileo_sessions.client.credentials import Auth, PasswordAuth, bearer, secrets_of, static_headers
from galileo_sessions.client.headers import secret_values
from galileo_sessions.client.login import TokenCache, login_form, token_of
from galileo_sessions.client.redaction import redactor
from galileo_sessions.client.secret import Secret
from galileo_sessions.client.transport import Transport
from galileo_sessions.errors import AttemptTimeoutError, AuthenticationError, GalileoError

_MAX_LOGIN = 64 * 1024  # bytes that the response to a login can have


class Authentication:
    """
    The credentials of a client at work.

    Args:
        auth: The credentials.
        headers: What each request carries beside them.
        transport: Sends a login.
        timeout: Seconds that a login may take.
    """

    def __init__(self, auth: Auth, headers: Secret[Mapping[str, str]], transport: Transport, timeout: float) -> None:
        self._secrets = (*secrets_of(auth), *secret_values(headers))
        self._known: tuple[Secret[str], ...] = ()
        self._redact = redactor(self._secrets)
        self._headers = headers
        for name, value in static_headers(auth).items():
            self._headers = _with(self._headers, name, value)
        self._tokens: TokenCache | None = None
        if isinstance(auth, PasswordAuth):
            self._tokens = TokenCache(partial(self._login, auth, transport, timeout))

    async def headers(self, until: float) -> Secret[Mapping[str, str]]:
        """
        All headers of a request; where there is no valid token, a login comes first.

        Args:
            until: When the attempt ends, on the loop's clock.

        Raises:
            GalileoError: if the login fails, or takes longer than the attempt may.
        """
        if self._tokens is None:
            return self._headers
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                return _with(self._headers, "Authorization", bearer(await self._tokens.get()))
        except TimeoutError:
            if not timeout.expired():  # it is the login's own
                raise
        raise AttemptTimeoutError("the login took longer than the attempt may", phase="response")

    def refused(self, error: GalileoError, headers: Secret[Mapping[str, str]]) -> bool:
        """Whether an error may be the fault of the token in these headers; then the next `headers` has a new one."""
        if self._tokens is None or type(error) is not AuthenticationError:
            return False
        self._tokens.invalidate(Secret(headers.reveal()["Authorization"].removeprefix("Bearer ")))
        return True

    def redact(self, text: str) -> str:
        """The text without secrets: a server may repeat what it was sent."""
        if self._tokens is not None and self._tokens.recent is not self._known:
            self._known = self._tokens.recent
            self._redact = redactor([*self._secrets, *self._known])
        return self._redact(text)

    async def close(self) -> None:
        """Cancels a login that is in progress."""
        if self._tokens is not None:
            await self._tokens.close()

    async def _login(self, auth: PasswordAuth, transport: Transport, seconds: float) -> Secret[str]:
        until = asyncio.get_running_loop().time() + seconds
        headers = _with(self._headers, "Content-Type", Secret("application/x-www-form-urlencoded"))
        form = BytesIO(login_form(auth).reveal())  # whose repr, unlike that of bytes, doesn't show the password
        return token_of(await transport.post("/login", form, headers, until=until, max_body=_MAX_LOGIN), self.redact)


def _with(headers: Secret[Mapping[str, str]], name: str, value: Secret[str]) -> Secret[Mapping[str, str]]:
    return Secret(CIMultiDict({**headers.reveal(), name: value.reveal()}))  # as aiohttp would make it for each request
