"""
One HTTP exchange: sends a request, and returns its response or raises one of this package's errors, until a deadline.

Only this file, `connections` and `local` call aiohttp. `connections` makes sure that an answer belongs to its request.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl as tls
import warnings
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from galileo_sessions import errors
from galileo_sessions.api.responses import Response, permanent
from galileo_sessions.flow.deadlines import Deadline, Deadlines
from galileo_sessions.flow.settings import Timeouts
from galileo_sessions.http.address import Proxy, unused_proxy
from galileo_sessions.http.connections import CAN_LOOK, Body, Connector, Used
from galileo_sessions.http.secret import Secret

if TYPE_CHECKING:  # undocumented, so it may be missing: see `CAN_LOOK`
    from aiohttp.client_proto import ResponseHandler

SSL: TypeAlias = tls.SSLContext | aiohttp.Fingerprint | bool
Phase: TypeAlias = Literal["connect", "response", "body"]
_Send: TypeAlias = "Callable[[Body], Awaitable[aiohttp.ClientResponse]]"

_MAX_422 = 16 << 20  # bytes that are read of a 422, which repeats parts of the filter
_MAX_PAGE = 64 * 1024  # bytes that are read of other responses that aren't a 200
_SOON = 0.001  # seconds by which a timeout can be early or late


class Transport:
    """
    Sends requests to one origin and nowhere else; it follows no redirect and retries nothing.

    Args:
        base: The URL that paths are appended to, without a slash at its end.
        session: A session to use and to leave open; None makes one on first use.
        timeouts: How long an attempt can take.
        ssl: As in aiohttp.
        proxy: The proxy, if there is one.
    """

    def __init__(
        self, base: str, session: aiohttp.ClientSession | None, timeouts: Timeouts, ssl: SSL, proxy: Proxy | None
    ) -> None:
        if session is not None and (session.auth or "Authorization" in session.headers or session.trust_env):
            hint = "Leave out its auth, Authorization and trust_env, and pass them to GalileoSessions"
            problem = "the given aiohttp.ClientSession can send credentials of its own"
            raise errors.ConfigurationError(problem, hint=hint)  # with trust_env, a netrc file's password
        self._base, self._session, self._timeouts, self._ssl, self._proxy = base, session, timeouts, ssl, proxy
        self._url = URL(base)
        self._path = self._url.raw_path.rstrip("/")
        self.is_closed: bool = False
        """Once set, nothing more is sent."""
        self.has_answered: bool = False
        """Whether a response has ever come from the address."""
        self._timeout = self._timeout_of(self._timeouts.attempt)
        self.deadlines: Deadlines = Deadlines()
        """The deadlines of the client's tasks."""
        self._used: Used | None = WeakKeyDictionary() if CAN_LOOK else None
        if self._used is None:
            version = f"aiohttp {aiohttp.__version__} doesn't show whether a connection can be used again"
            warnings.warn(f"{version}, so each request opens one of its own", RuntimeWarning, stacklevel=4)
        self._loop: asyncio.AbstractEventLoop | None = None  # that of its own session

    @property
    def connection_limit(self) -> float:
        """How many connections the session allows; infinite where it sets no limit, as the transport's own."""
        connector = None if self._session is None else self._session.connector
        limits = () if connector is None else (connector.limit, connector.limit_per_host)
        return min((limit for limit in limits if limit), default=inf)

    async def request(
        self,
        path: str,
        body: bytes | Secret[bytes],
        headers: Secret[Mapping[str, str]],
        *,
        until: float,
        max_body: int,
        method: str = "POST",
    ) -> Response:
        """
        The response to a request.

        Args:
            path: The path below the base URL, encoded, beginning with a slash; it can have a query.
            body: The request body.
            headers: All headers of the request, including the credentials.
            until: When the attempt ends, on the loop's clock.
            max_body: Bytes that the body of a 200 can have. Of other bodies, only the beginning is read.
            method: The HTTP method.

        Raises:
            TransportError: if no complete response arrived.
            ConfigurationError: if the client or the session is closed, or the request can't be sent.
        """
        session = self._open_session()
        seconds = until - asyncio.get_running_loop().time()
        timeout = self._timeout if self._timeouts.attempt - seconds < _SOON else self._timeout_of(seconds)
        path, _, query = path.partition("?")
        url = self._url.with_path(self._path + path, encoded=True)
        if query:
            url = url.with_query(query)

        def send(content: Body) -> Awaitable[aiohttp.ClientResponse]:  # unlike a partial's, its repr has no headers
            return session.request(
                method,
                url,
                data=content,
                headers=headers.reveal() if self._used is not None else {**headers.reveal(), "Connection": "close"},
                allow_redirects=False,
                raise_for_status=False,
                timeout=timeout,
                ssl=self._ssl,
                proxy=None if self._proxy is None else self._proxy.url,
                proxy_headers=None if self._proxy is None else self._proxy.headers.reveal(),
                auto_decompress=False,
            )

        content = Body(body, self._used)
        try:
            with Deadline(self.deadlines, until):
                while (response := await self._exchange(send, content, max_body)) is None:
                    content = Body(body, self._used)
                return response
            raise TimeoutError  # noqa: TRY301  # translated below, like those of aiohttp
        except Exception as error:  # noqa: BLE001  # a session's middleware can raise anything
            problem = _translate(error, "body" if content.is_answered else "response", self._base, self._proxy)
            if not self.has_answered and _is_unknown_name(error):
                problem = permanent(problem)
        except BaseException as error:  # noqa: BLE001  # a cancellation
            raise error.with_traceback(None)  # noqa: B904  # without aiohttp's frames, which hold headers
        raise problem  # outside the except block, so that no header stays reachable through __context__

    async def _exchange(self, send: _Send, content: Body, max_body: int) -> Response | None:
        """The response. None if bytes had already arrived on the connection that aiohttp chose; it is then closed."""
        try:
            response = await send(content)
            content.is_answered = self.has_answered = True
            if self._used is not None and content.connection is None and response.connection is not None:
                await content.look_late(cast("ResponseHandler", response.connection.protocol), is_over=response.closed)
            status = response.status
            try:
                if content.is_refused:
                    return None
                if content.came_early and status == 200:  # others can mean that the server refuses connections
                    raise errors.ProtocolError(f"{self._base} answered before the request was sent")
                return Response(status, response.headers, await _body_of(response, max_body), self._base)
            finally:
                closes = content.came_early or _can_be_followed(status)
                if closes or not response.closed:  # or the response's end wasn't read
                    response.close()
                if closes and content.connection is not None:  # already idle, if the response's end was read
                    content.connection.close()
        except (aiohttp.ClientError, OSError):
            if not content.is_refused:
                raise
            return None

    def _timeout_of(self, seconds: float) -> aiohttp.ClientTimeout:
        connect = min(self._timeouts.connect, max(seconds, _SOON) * 0.9)  # so that a timeout names the right phase
        return aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=inf)  # inf: never rounded up

    def _open_session(self) -> aiohttp.ClientSession:
        if self.is_closed:
            raise closed_error()
        if self._session is None:
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=0),  # a single queue, in flow/queue, limits the requests in flight
                cookie_jar=aiohttp.DummyCookieJar(),  # /login sets a cookie
            )
        if self._session.closed:
            raise errors.ConfigurationError("the given aiohttp.ClientSession is closed")
        return self._session

    async def close(self) -> None:
        """Closes the transport's own session in the session's event loop; otherwise, leaves that to `abandon`."""
        self.is_closed = True
        self.deadlines.drop_timer()
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()

    def abandon(self) -> bool:
        """Drops its own session unless it is closed; False if there is none. Never awaits, so `__del__` can call it."""
        connector = None if self._session is None else self._session.connector
        if self._session is None or not isinstance(connector, Connector):
            return False
        self._session.detach()  # otherwise it would warn as well, naming aiohttp's class
        return connector.abandon()


def closed_error() -> errors.ConfigurationError:
    """The error that a closed client raises."""
    hint = "Make a new one, or count inside its `async with`"
    return errors.ConfigurationError("this GalileoSessions is closed", hint=hint)


def _can_be_followed(status: int) -> bool:
    """
    Whether a late answer to the same request can follow this status, so that the connection must be closed.

    It can follow the error of a gateway that has given up on the service. It can't follow a 503, a 529 or a 429, which
    refuse a request instead of passing it on. Closing the connections after these would cost the most when the service
    is weakest: with a fifth of the requests refused, 2.8 times the CPU over TLS, and 1.4 times without.
    """
    return status == 408 or (status >= 500 and status not in (503, 529))


async def _body_of(response: aiohttp.ClientResponse, max_body: int) -> bytes:
    """The body of a 200, or the beginning of another response's body."""
    is_ok, content = response.status == 200, response.content
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        if not is_ok:
            return b"(compressed, so not read)"
        problem = "the service compressed its response, although the client accepts no compression"
        raise permanent(errors.ProtocolError(problem))
    length = max_body + 1 if is_ok else _MAX_422 if response.status == 422 else _MAX_PAGE
    body = bytearray()
    while len(body) < length and not content.at_eof():
        body += await content.readany()
    if not body:  # perhaps a session's middleware has read it: then aiohttp keeps it
        body += await response.read()
    if is_ok and len(body) > max_body:
        problem = f"the service's response is longer than {max_body:,} bytes; the rest was not read"
        raise permanent(errors.ProtocolError(problem))
    return bytes(body[:length])


def _translate(error: Exception, phase: Phase, base: str, proxy: Proxy | None) -> errors.GalileoError:
    """This package's error. Its text names the origin, and shows nothing of the request or the response."""
    kind = type(error).__name__
    match error:
        case errors.GalileoError():
            return error.with_traceback(None)
        case aiohttp.ConnectionTimeoutError():
            hint = unused_proxy(base, proxy) or "Check the network, or raise Timeouts(connect=...)"
            return errors.AttemptTimeoutError(f"no connection to {base} in time", phase="connect", hint=hint)
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return errors.TLSError(
                f"no trusted TLS connection to {base}: {_reason(error)}",
                hint="Check that the port has TLS; for your own CA, set SSL_CERT_FILE, or pass "
                "ssl=ssl.create_default_context(cafile=...)",
            )
        case aiohttp.ClientConnectorError(os_error=OSError(errno=errno.EMFILE | errno.ENFILE)):
            hint = "Raise the limit (ulimit -n), or lower Limits(maximum=...)"
            return errors.ConnectError(f"no file descriptor left to connect to {base}", hint=hint)
        case aiohttp.ClientHttpProxyError(status=407):
            hint = "Check the user name and the password of the proxy"
            return permanent(errors.ConnectError(f"no connection to {base}: {_reason(error)}", hint=hint))
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
            hint = unused_proxy(base, proxy) or "Check base_url (GALILEO_API_URL), the network, and any proxy"
            return errors.ConnectError(f"no connection to {base}: {_reason(error)}", hint=hint)
        case TimeoutError():
            problem = f"no complete response from {base} in time (phase {phase})"
            return errors.AttemptTimeoutError(problem, phase=phase, hint="Raise Timeouts(attempt=...)")
        case aiohttp.ClientConnectionError() | OSError():
            return errors.DisconnectedError(f"{base} closed the connection before its response was complete")
        case aiohttp.ClientPayloadError() if str(error).startswith("Response payload is not completed"):
            return errors.DisconnectedError(f"{base} closed the connection in the middle of its response")
        case aiohttp.ClientError() if not isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            return errors.ProtocolError(f"the answer from {base} can't be read as HTTP ({kind})")
        case _:  # also what a middleware or a TraceConfig of session= raises
            problem = f"no request to {base} can be made ({kind})"
            return errors.ConfigurationError(problem, hint="Check base_url (GALILEO_API_URL), proxy, ssl and session")


def _is_unknown_name(error: Exception) -> bool:
    """Whether no such host exists, unlike a name server that doesn't answer."""
    return isinstance(error, aiohttp.ClientConnectorDNSError) and error.os_error.errno == socket.EAI_NONAME


def _reason(error: Exception) -> str:
    """The operating system's text for the error, or the status with which a proxy refused the connection."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    cause: object = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
