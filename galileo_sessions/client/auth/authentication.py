"""Credentials at work: added to each request, and removed from what a server repeats."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from attrs import evolve
from multidict import CIMultiDict

from galileo_sessions.client.auth.credentials import (
    Credentials,
    PasswordAuth,
    bearer,
    header_and_secrets,
    header_problem,
    name_problem,
)
from galileo_sessions.client.auth.login import TokenCache, login_form, token_of
from galileo_sessions.client.query import CountQuery
from galileo_sessions.client.responses import Endpoint, Reply, Response, reply_of
from galileo_sessions.client.secret import Secret, forms_of, redact
from galileo_sessions.client.transport import Transport
from galileo_sessions.display import brief
from galileo_sessions.errors import AttemptTimeoutError, ConfigurationError
from galileo_sessions.version import __version__

T = TypeVar("T")

_OURS = {
    "User-Agent": f"galileo-sessions/{__version__} Python/{platform.python_version()}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
_RESERVED = ("content-type", "content-length", "transfer-encoding", "accept-encoding", "host", "authorization")
_LONG = 8  # characters from which a user's header is treated as a secret; shorter ones are common words
_KEPT_TOKENS = 8  # a server can repeat a token that has been replaced in the meantime
_MAX_LOGIN = 64 * 1024  # bytes that the response to a login can have


class Authentication:
    """
    Sends requests with the credentials of a client, and removes all secrets from the responses.

    Args:
        credentials: The client's.
        headers: Those that the user adds to each request. They replace ours of the same name, whatever its case.
        transport: Sends one request.
        login_timeout: Seconds that a login can take.

    Raises:
        ConfigurationError: if a header is reserved, has an invalid name, or a value that isn't printable ASCII.
    """

    def __init__(
        self, credentials: Credentials, headers: Secret[Mapping[str, str]], transport: Transport, login_timeout: float
    ) -> None:
        header, secrets = header_and_secrets(credentials)
        _check(headers, {*_RESERVED, *(name.lower() for name in header.reveal())})
        self._headers = _with(_with(Secret(_OURS), headers), header)
        own = [Secret(value) for value in headers.reveal().values() if len(value) >= _LONG]
        self._secrets = [*secrets, *own]
        self._forms = forms_of(self._secrets)
        self._transport = transport
        self._tokens: TokenCache | None = None
        self._bearer: tuple[Secret[str] | None, Secret[Mapping[str, str]]] = None, self._headers
        self._recent_tokens: deque[Secret[str]] = deque(maxlen=_KEPT_TOKENS)
        if isinstance(credentials, PasswordAuth):
            self._tokens = TokenCache(partial(self._login, login_form(credentials), login_timeout))
        self.logs_in: bool = self._tokens is not None
        """Whether requests carry the token of a login, so that the first one after a 401 carries a new token."""

    async def post(self, endpoint: Endpoint[T], query: CountQuery, body: bytes, *, until: float) -> Reply[T]:
        """
        What comes of a POST with credentials: an answer, or the error of a response, which holds no secret.

        Args:
            endpoint: Where it is sent.
            query: Its project; the text of a 422 has a drawing of its filter.
            body: What is sent.
            until: When the attempt ends, on the loop's clock.

        Raises:
            GalileoError: if no complete response came, or if a login failed.
        """
        token = None if self._tokens is None else self._tokens.current() or await self._token(self._tokens, until)
        response = await self._transport.post(
            endpoint.path.format(project_id=query.project_id),
            body,
            self._headers if token is None else self._bearing(token),
            until=until,
            max_body=endpoint.max_body,
        )
        if response.status == 200:
            reply = reply_of(response, endpoint, query)
            if reply.error is None:  # secrets aren't removed: a password can be a common word that the answer needs
                return reply
        if response.status == 401 and self._tokens is not None and token is not None:
            self._tokens.invalidate(token)
        return reply_of(self._clean(response), endpoint, query)

    async def close(self) -> None:
        """Cancels a login that is in progress."""
        if self._tokens is not None:
            await self._tokens.close()

    def _bearing(self, token: Secret[str]) -> Secret[Mapping[str, str]]:
        """The headers with a token; made once for each."""
        if self._bearer[0] is not token:
            self._bearer = token, _with(self._headers, bearer(token))
        return self._bearer[1]

    async def _token(self, tokens: TokenCache, until: float) -> Secret[str]:
        timeout = asyncio.timeout_at(until)
        try:
            async with timeout:
                return await tokens.get()
        except TimeoutError:
            if not timeout.expired():  # it is the login's own
                raise
        raise AttemptTimeoutError("the login took longer than one attempt may", phase="response")

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


def _check(headers: Secret[Mapping[str, str]], reserved: set[str]) -> None:
    for name in headers.reveal():
        problem = name_problem(Secret(name)) or header_problem(Secret(headers.reveal()[name]))
        if name.lower() in reserved:
            problem = "is set by the client itself. For credentials pass auth="
        if problem is not None:
            raise ConfigurationError(f"the header {brief(name)} in headers= {problem}")


def _with(headers: Secret[Mapping[str, str]], more: Secret[Mapping[str, str]]) -> Secret[Mapping[str, str]]:
    merged = CIMultiDict(headers.reveal())  # as aiohttp would make it for each request
    merged.update(more.reveal())
    return Secret(merged)
