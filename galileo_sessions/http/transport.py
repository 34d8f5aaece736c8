"""
One HTTP exchange: sends a request, and returns its response or raises one of this package's errors, until a deadline.

Only this file and `local` call aiohttp.

Theory of operation
===================

HTTP/1.1 doesn't say which request an answer belongs to: whatever arrives next on a connection answers the request that
was sent last. Suppose that a gateway gives up with a 504, and passes on the service's answer a moment later. From then
on, each request would get the answer of the one before it::

    sent        POST 1                 POST 2              POST 3
    arrives            504, 200 (1)           200 (2)             200 (3)
    taken              504             200 (1)             200 (2)

aiohttp hands out an idle connection without checking whether bytes have arrived on it. After it has chosen a
connection, and before it sends, it calls only one piece of our code, even in an injected session: the request's body.
So the body checks the connection, and isn't sent if bytes have arrived on it. Bytes that arrive after that check, but
before the server has the request, look like an answer. Therefore a connection is also closed after each status that a
late answer can follow.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import ssl as tls
import warnings
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from galileo_sessions import errors
from galileo_sessions.api.responses import Response, final
from galileo_sessions.flow.settings import Timeouts
from galileo_sessions.http.address import Proxy, unused_proxy
from galileo_sessions.http.secret import Secret

if TYPE_CHECKING:  # undocumented, so it may be missing: see `can_look`
    from aiohttp.client_proto import ResponseHandler

SSL: TypeAlias = tls.SSLContext | aiohttp.Fingerprint | bool
Phase: TypeAlias = Literal["connect", "response", "body"]
_Send: TypeAlias = "Callable[[Body], Awaitable[aiohttp.ClientResponse]]"

_MAX_422 = 16 << 20  # bytes that are read of a 422, which repeats parts of the filter
_MAX_PAGE = 64 * 1024  # bytes that are read of other responses that aren't a 200
_SOON = 0.001  # seconds by which a timeout can be early or late


class _Connector(aiohttp.TCPConnector):
    """Leaves its connections alone in a child process, where closing them would disturb the parent's event loop."""

    pid = 0
    """The process that made the connections."""

    def __del__(self, _warnings: Any = warnings) -> None:
        if self.pid == os.getpid():
            super().__del__(_warnings)


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
            raise errors.ConfigurationError(  # with trust_env, it would send a netrc file's password
                "the given aiohttp.ClientSession can send credentials of its own",
                hint="Leave out its auth, Authorization and trust_env, and pass them to GalileoSessions",
            )
        self._base, self._session, self._timeouts, self._ssl, self._proxy = base, session, timeouts, ssl, proxy
        self._url = URL(base)
        self._path = self._url.raw_path.rstrip("/")
        self._owns = session is None
        self.is_closed: bool = False
        """Once set, nothing more is sent."""
        self.has_answered: bool = False
        """Whether a response has ever come from the address."""
        self._timeout = self._timeout_of(self._timeouts.attempt)
        self.deadlines: Deadlines = Deadlines()
        """The deadlines of the client's tasks."""
        self._used: Used | None = WeakKeyDictionary() if can_look() else None
        if self._used is None:
            version = f"aiohttp {aiohttp.__version__} doesn't show whether a connection can be used again"
            warnings.warn(f"{version}, so each request opens one of its own", RuntimeWarning, stacklevel=4)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connections(self) -> float:
        """How many connections the connector of an injected session allows; infinite where it sets no limit."""
        connector = None if self._owns or self._session is None else self._session.connector
        limits = (connector.limit, connector.limit_per_host) if connector is not None else ()
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
            phase: Phase = "body" if content.is_answered else "response"
            problem = _translate(error, phase, self._base, self._proxy)
            if not self.has_answered and _is_unknown_name(error):
                problem = final(problem)
        except BaseException as error:  # noqa: BLE001  # a cancellation
            raise error.with_traceback(None)  # noqa: B904  # without aiohttp's frames, which hold headers
        raise problem  # outside the except block, so that no header stays reachable through __context__

    async def _exchange(self, send: _Send, content: Body, max_body: int) -> Response | None:
        """The response. None if bytes had already arrived on the connection that aiohttp chose; it is then closed."""
        try:
            response = await send(content)
            content.is_answered = self.has_answered = True
            if content.connection is None and response.connection is not None:
                await content.note_late(cast("ResponseHandler", response.connection.protocol), is_over=response.closed)
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
            connector = _Connector(limit=0)  # a single queue, in flow/queue, limits the requests in flight
            connector.pid = os.getpid()
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),  # /login sets a cookie
            )
        if self._session.closed:
            raise errors.ConfigurationError("the given aiohttp.ClientSession is closed")
        return self._session

    async def close(self) -> None:
        """Closes the transport's own session in the session's event loop; otherwise, leaves that to `abandon`."""
        self.is_closed = True
        self.deadlines.drop_timer()
        if self._owns and self._session is not None and self._loop is asyncio.get_running_loop():
            await self._session.close()

    def abandon(self) -> bool:
        """Drops its own session unless it is closed; False if there is none. Never awaits, so `__del__` can call it."""
        connector = self._session.connector if self._owns and self._session is not None else None
        if self._session is None or not isinstance(connector, _Connector):
            return False
        self._session.detach()  # otherwise it would warn as well, naming aiohttp's class
        if connector.pid != os.getpid():
            return False
        connector.__exit__(None, None, None)  # the only way to close it without awaiting
        return True


def closed_error() -> errors.ConfigurationError:
    """The error that a closed client raises."""
    return errors.ConfigurationError(
        "this GalileoSessions is closed", hint="Make a new one, or count inside its `async with`"
    )


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
        raise final(errors.ProtocolError(problem))
    length = max_body + 1 if is_ok else _MAX_422 if response.status == 422 else _MAX_PAGE
    body = bytearray()
    while len(body) < length and not content.at_eof():
        body += await content.readany()
    if is_ok and len(body) > max_body:
        problem = f"the service's response is longer than {max_body:,} bytes; the rest was not read"
        raise final(errors.ProtocolError(problem))
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
            return final(errors.ConnectError(f"no connection to {base}: {_reason(error)}", hint=hint))
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


Used: TypeAlias = "MutableMapping[ResponseHandler, Callable[[], object]]"
"""The connections that have carried a request, each with a function that says whether it has anything unread."""


class Body(aiohttp.Payload):
    """
    The body of one request, and what is known about its connection. Its repr doesn't show the content.

    Args:
        content: The bytes to send.
        used: The connections of the client's earlier requests; this request's is added. None turns the check off.
    """

    connection: ResponseHandler | None = None
    """The connection that aiohttp chose; None until the request is about to be sent."""
    came_early: bool = False
    """Whether bytes had already arrived on the connection."""
    is_refused: bool = False
    """Whether the body wasn't sent, because those bytes would be taken for its answer."""
    is_answered = False
    """Whether the head of a response has arrived."""

    def __init__(self, content: bytes | Secret[bytes], used: Used | None) -> None:
        super().__init__(content.reveal() if isinstance(content, Secret) else content, content_type="application/json")
        self._size = len(self._value)
        self._used = used

    @property
    def autoclose(self) -> bool:
        """Nothing has to be closed."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text, for a session's middleware."""
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """
        Sends the request: aiohttp holds back the headers until this call, too.

        Raises:
            ConnectionError: if the body is refused; the connection is then closed.
        """
        if self._used is not None:
            connection = cast("ResponseHandler", cast("Any", writer).protocol)
            self.note(connection, came_early=connection.should_close)
            if self.is_refused:
                connection.close()
                raise ConnectionError
        await writer.write(self._value)

    def note(self, connection: ResponseHandler, *, came_early: bool) -> None:
        """Records the connection, and whether bytes have arrived on it that haven't been read."""
        used = cast("Used", self._used)
        has_unread = used.get(connection)
        self.connection, self.came_early = connection, came_early
        if has_unread is None:
            used[connection] = _listener(connection)
        else:
            self.came_early = self.is_refused = came_early or bool(has_unread())

    async def note_late(self, connection: ResponseHandler, *, is_over: bool) -> None:
        """Records the connection on Python 3.11, where aiohttp sends in a task that may not have begun yet."""
        if is_over:  # the task won't begin any more: the response was there before
            self.note(connection, came_early=True)
        else:
            await asyncio.sleep(0)  # so that the task can begin


def _listener(connection: ResponseHandler) -> Callable[[], object]:
    """A function that says whether a socket has anything unread: bytes of HTTP, messages of TLS, or its end."""
    socket = cast("asyncio.BaseTransport", connection.transport).get_extra_info("socket")
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return partial(poll.poll, 0)


def can_look() -> bool:
    """Whether the installed aiohttp has the undocumented names that a `Body` uses."""
    try:
        from aiohttp.client_proto import ResponseHandler  # noqa: PLC0415  # it may be missing
        from aiohttp.http_writer import StreamWriter  # noqa: PLC0415
    except ImportError:
        return False
    used = ("transport", "should_close", "close")
    return hasattr(StreamWriter, "protocol") and all(hasattr(ResponseHandler, name) for name in used)


class Deadlines:
    """
    The deadlines of one event loop's tasks, with a single timer: a timer for each would cost a tenth of a count's time.

    The timer is set for the earliest deadline. When it rings, it is set for the earliest deadline that is left. Nearly
    all blocks end long before their deadlines, so it rings about once in the time that a block may take.
    """

    def __init__(self) -> None:
        self.pending: dict[asyncio.Task[Any], float] = {}
        """When the block of each task ends at the latest."""
        self._timer: asyncio.Handle | None = None
        self._rings_at = inf

    def add(self, task: asyncio.Task[Any], when: float) -> None:
        """Cancels a task at a time, unless it isn't pending any more."""
        self.pending[task] = when
        if when < self._rings_at:
            self._set_timer(when)

    def drop_timer(self) -> None:
        """Drops the timer, unless a deadline is pending."""
        if not self.pending:
            self._set_timer(inf)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = None if when == inf else asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        for task in [task for task, when in self.pending.items() if when <= self._rings_at]:
            del self.pending[task]
            _ = task.cancel()
        self._set_timer(min(self.pending.values(), default=inf))


class Deadline:
    """
    `with Deadline(deadlines, when):` does for a task what `async with asyncio.timeout_at(when):` does.

    The code after the block runs if the deadline has ended it; nothing is raised. Other cancellations take precedence.
    It is a class, because a generator takes three times as long.
    """

    __slots__ = ("_cancelling", "_pending", "_task")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._task = task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelling, self._pending = task.cancelling(), deadlines.pending
        deadlines.add(task, when)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        has_passed = self._pending.pop(self._task, None) is None
        return has_passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError
