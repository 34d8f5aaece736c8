"""
One HTTP exchange: sends a request, and returns its response or raises one of this package's errors,
until a deadline.

Only this file, `connections` and `local` call aiohttp. `connections` makes sure that an answer
belongs to its request.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl as tls
import warnings
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import TypeAlias
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from galileo_sessions.errors import (
    AttemptTimeoutError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    DisconnectedError,
    GalileoError,
    Phase,
    ProtocolError,
    TLSError,
    as_permanent,
    closed_error,
)
from galileo_sessions.flow.deadlines import Deadline, Deadlines
from galileo_sessions.flow.settings import Timeouts
from galileo_sessions.http.address import Proxy
from galileo_sessions.http.connections import CAN_LOOK, Body, Connector, UsedConnections
from galileo_sessions.http.responses import Response
from galileo_sessions.http.secret import Secret

RequestHeaders: TypeAlias = Secret[Mapping[str, str]]
"""All headers of a request; hidden, because some hold credentials."""
SSL: TypeAlias = tls.SSLContext | aiohttp.Fingerprint | bool
_Send: TypeAlias = "Callable[[Body], Awaitable[aiohttp.ClientResponse]]"

_MAX_422 = 1 << 20  # bytes that are read of a 422, which repeats parts of the filter
_MAX_PAGE = 64 * 1024  # bytes that are read of other responses that aren't a 200
_NO_REFUSAL = 0.5  # seconds from which a 503 means a gateway that has waited for the service
_SOON = 0.001  # seconds by which a timeout can be early or late
_CUT_SHORT = "Response payload is not completed"  # how aiohttp's text for that begins
_BAD_URL = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)


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
        self,
        base: str,
        session: aiohttp.ClientSession | None,
        timeouts: Timeouts,
        ssl: SSL,
        proxy: Proxy | None,
    ) -> None:
        if session is not None and _has_credentials(session):
            raise ConfigurationError(
                "the given aiohttp.ClientSession can send credentials of its own",
                hint="Leave out its auth, Authorization and trust_env, "
                "and pass them to GalileoSessions",
            )
        self._base = base
        self._session = session
        self._timeouts = timeouts
        self._ssl = ssl
        self._proxy = proxy
        self._url = URL(base)
        self._path = self._url.raw_path.rstrip("/")
        self.is_closed: bool = False
        """Once set, nothing more is sent."""
        self.has_answered: bool = False
        """Whether a response has ever come from the address."""
        self._timeout = self._timeout_of(timeouts.attempt)
        self.deadlines: Deadlines = Deadlines()
        """The deadlines of the client's tasks."""
        self._used: UsedConnections | None = WeakKeyDictionary()
        if not CAN_LOOK:
            self._used = None
            warnings.warn(
                f"aiohttp {aiohttp.__version__} doesn't show whether a connection can be used "
                "again, so each request opens one of its own",
                RuntimeWarning,
                stacklevel=4,
            )
        self._loop: asyncio.AbstractEventLoop | None = None  # that of its own session

    @property
    def connection_limit(self) -> float:
        """
        How many connections the session allows; infinite where it sets no limit, as the transport's
        own.
        """
        if self._session is None or self._session.connector is None:
            return inf
        connector = self._session.connector
        return min(connector.limit or inf, connector.limit_per_host or inf)  # 0 is no limit

    async def request(
        self,
        path: str,
        body: bytes | Secret[bytes],
        headers: RequestHeaders,
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
            max_body: Bytes that the body of a 200 can have. Of other bodies, only the beginning is
                read.
            method: The HTTP method.

        Raises:
            TransportError: if no complete response arrived.
            ConfigurationError: if the client or the session is closed, or the request can't be
                sent.
        """
        send = self._sender(method, path, headers, until)
        content = Body(body, self._used)
        try:
            with Deadline(self.deadlines, until):
                while (response := await self._exchange(send, content, max_body)) is None:
                    content = Body(body, self._used)
                return response
            raise TimeoutError  # noqa: TRY301  # translated below, like those of aiohttp
        except Exception as error:  # noqa: BLE001  # a session's middleware can raise anything
            phase: Phase = "body" if content.is_answered else "response"
            problem = _translate(error, phase, self._base)
            if not self.has_answered and _is_unknown_name(error):
                problem = as_permanent(problem)
        except BaseException as error:  # noqa: BLE001  # a cancellation
            raise error.with_traceback(None)  # noqa: B904  # without aiohttp's frames, which hold headers
        # Outside the except block, so that no header stays reachable through __context__.
        raise problem

    def _sender(self, method: str, path: str, headers: RequestHeaders, until: float) -> _Send:
        session = self._open_session()
        # To parse the whole URL, and to make a timeout for each request, would take 2.7 µs.
        path, _, query = path.partition("?")
        url = self._url.with_path(self._path + path, encoded=True)
        if query:
            url = url.with_query(query)
        timeout = self._timeout
        seconds = until - asyncio.get_running_loop().time()
        if self._timeouts.attempt - seconds >= _SOON:
            timeout = self._timeout_of(seconds)
        if self._used is None:
            headers = Secret({**headers.reveal(), "Connection": "close"})
        proxy = self._proxy

        # Unlike a partial's, its repr has no headers.
        def send(content: Body) -> Awaitable[aiohttp.ClientResponse]:
            return session.request(
                method,
                url,
                data=content,
                headers=headers.reveal(),
                allow_redirects=False,
                raise_for_status=False,
                timeout=timeout,
                ssl=self._ssl,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else proxy.headers.reveal(),
                auto_decompress=False,
            )

        return send

    async def _exchange(self, send: _Send, content: Body, max_body: int) -> Response | None:
        """
        The response. None if bytes had already arrived on the connection that aiohttp chose; it is
        then closed.
        """
        try:
            response = await send(content)
            content.is_answered = self.has_answered = True
            await content.look_late(response)
            try:
                if content.is_refused:
                    return None
                return await self._read(response, content, max_body)
            finally:
                _end(response, content)
        except (aiohttp.ClientError, OSError):
            if not content.is_refused:
                raise
            return None

    async def _read(
        self, response: aiohttp.ClientResponse, content: Body, max_body: int
    ) -> Response:
        # Others can mean that the server refuses connections.
        if content.came_early and response.status == 200:
            raise ProtocolError(f"{self._base} answered before the request was sent")
        body = await _body_of(response, max_body)
        return Response(response.status, response.headers, body, self._base)

    def _timeout_of(self, seconds: float) -> aiohttp.ClientTimeout:
        # Less than the attempt has, so that a timeout names the right phase; never rounded up.
        connect = min(self._timeouts.connect, max(seconds, _SOON) * 0.9)
        return aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=inf)

    def _open_session(self) -> aiohttp.ClientSession:
        if self.is_closed:
            raise closed_error()
        if self._session is None:
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=Connector(),
                cookie_jar=aiohttp.DummyCookieJar(),  # /login sets a cookie
            )
        if self._session.closed:
            raise ClosedError("the given aiohttp.ClientSession is closed")
        return self._session

    async def close(self) -> None:
        """
        Closes the transport's own session in the session's event loop; otherwise, leaves that to
        `abandon`.
        """
        self.is_closed = True
        self.deadlines.drop_timer()
        if self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()

    def abandon(self) -> bool:
        """
        Drops its own session unless it is closed; False if there is none. Never awaits, so
        `__del__` can call it.
        """
        if self._session is None:
            return False
        connector = self._session.connector
        if not isinstance(connector, Connector):
            return False
        self._session.detach()  # otherwise it would warn as well, naming aiohttp's class
        return connector.abandon()


def _has_credentials(session: aiohttp.ClientSession) -> bool:
    """Whether a session adds some to requests; with trust_env, a netrc file's password."""
    return bool(session.auth or "Authorization" in session.headers or session.trust_env)


def _end(response: aiohttp.ClientResponse, content: Body) -> None:
    """Closes the connection, unless the next request can use it."""
    took = asyncio.get_running_loop().time() - content.sent_at
    closes = content.came_early or _can_be_followed(response.status, took)
    if closes or not response.closed:  # or the response's end wasn't read
        response.close()
    if closes and content.connection is not None:  # already idle, if the end was read
        content.connection.close()


def _can_be_followed(status: int, took: float) -> bool:
    """
    Whether a late answer to the same request can follow this status, which took so many seconds, so
    that the connection must be closed.

    It can follow the error of a gateway that has given up on the service; some say so with a 503.
    It can't follow a 503, a 529 or a 429 that refuses a request instead of passing it on, which
    takes little more than a round trip, whereas the time that gateways wait is a second or more.
    Closing the connections after refusals would cost the most when the service is weakest: with a
    fifth of the requests refused, 2.8 times the CPU over TLS, and 1.4 times without.
    """
    if status in (429, 503, 529):
        return took >= _NO_REFUSAL
    return status == 408 or status >= 500


async def _body_of(response: aiohttp.ClientResponse, max_body: int) -> bytes:
    """The body of a 200, or the beginning of another response's body."""
    is_ok = response.status == 200
    content = response.content
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        if not is_ok:
            return b"(compressed, so not read)"
        problem = "the service compressed its response, although the client accepts no compression"
        raise as_permanent(ProtocolError(problem))
    lengths = {200: max_body + 1, 422: _MAX_422}
    length = lengths.get(response.status, _MAX_PAGE)
    body = bytearray()
    while len(body) < length and not content.at_eof():
        body += await content.readany()
    if not body:  # perhaps a session's middleware has read it: then aiohttp keeps it
        body += await response.read()
    if is_ok and len(body) > max_body:
        problem = f"the service's response is longer than {max_body:,} bytes; the rest was not read"
        raise as_permanent(ProtocolError(problem))
    return bytes(body[:length])


def _translate(error: Exception, phase: Phase, base: str) -> GalileoError:
    """
    This package's error. Its text names the origin, and shows nothing of the request or the
    response.
    """
    kind = type(error).__name__
    match error:
        case GalileoError():
            return error.with_traceback(None)
        case aiohttp.ConnectionTimeoutError():
            return AttemptTimeoutError(
                f"no connection to {base} in time",
                phase="connect",
                hint="Check the network, or allow more time to connect (Timeouts.connect)",
            )
        case (
            aiohttp.ClientConnectorError()
            | aiohttp.ServerFingerprintMismatch()
            | aiohttp.ClientHttpProxyError()
        ):
            return _no_connection(error, base)
        case TimeoutError():
            return AttemptTimeoutError(
                f"no complete response from {base} in time (phase {phase})",
                phase=phase,
                hint="Allow more time for an attempt (Timeouts.attempt)",
            )
        case aiohttp.ClientConnectionError() | OSError():
            return DisconnectedError(
                f"{base} closed the connection before its response was complete"
            )
        case aiohttp.ClientPayloadError() if str(error).startswith(_CUT_SHORT):
            return DisconnectedError(f"{base} closed the connection in the middle of its response")
        case aiohttp.ClientError() if not isinstance(error, _BAD_URL):
            return ProtocolError(f"the answer from {base} can't be read as HTTP ({kind})")
        case _:  # also what a middleware or a TraceConfig of session= raises
            return ConfigurationError(
                f"no request to {base} can be made ({kind})",
                hint="Check base_url (GALILEO_API_URL), proxy, ssl and session",
            )


def is_momentary(error: BaseException) -> bool:
    """
    Whether what a user's function raised is a failed connection, or was caused by one, so that the
    next call can succeed. A file that doesn't exist, or an untrusted certificate, isn't.
    """
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        match link:
            case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
                return False
            case (
                ConnectionError()
                | TimeoutError()
                | socket.gaierror()
                | aiohttp.ClientConnectionError()
            ):
                return True
            case _ if type(link) is OSError:  # such as an unreachable network
                return True
            case _:
                links.append(link)
                link = link.__cause__ or link.__context__
    return False


def _no_connection(error: Exception, base: str) -> GalileoError:
    problem = f"no connection to {base}: {_reason(error)}"
    match error:
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return TLSError(
                f"no trusted TLS connection to {base}: {_reason(error)}",
                hint="Check that the port has TLS; for your own CA, set SSL_CERT_FILE, or pass "
                "ssl=ssl.create_default_context(cafile=...)",
            )
        case aiohttp.ClientConnectorError(os_error=OSError(errno=errno.EMFILE | errno.ENFILE)):
            return ConnectError(
                f"no file descriptor left to connect to {base}",
                hint="Raise the limit (ulimit -n), or send fewer at once (Limits.maximum)",
            )
        case aiohttp.ClientHttpProxyError(status=403 | 407 as status):
            hint = "Check the user name and the password of the proxy"
            if status == 403:
                hint = "The proxy doesn't allow this host: check base_url (GALILEO_API_URL)"
            return as_permanent(ConnectError(problem, hint=hint))
        case _:
            hint = "Check base_url (GALILEO_API_URL), the network, and any proxy"
            return ConnectError(problem, hint=hint)


def _is_unknown_name(error: Exception) -> bool:
    """Whether no such host exists, unlike a name server that doesn't answer."""
    return (
        isinstance(error, aiohttp.ClientConnectorDNSError)
        and error.os_error.errno == socket.EAI_NONAME
    )


def _reason(error: Exception) -> str:
    """
    The operating system's text for the error, or the status with which a proxy refused the
    connection.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    cause = getattr(error, "certificate_error", error)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
