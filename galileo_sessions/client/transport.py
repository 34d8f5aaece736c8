"""One attempt: a request sent, and its response or an error of ours. Only this file and `local` call aiohttp."""

import asyncio
import errno
import ssl as tls
import zlib
from collections.abc import Mapping
from io import BytesIO
from math import inf
from typing import Literal, TypeAlias

import aiohttp
from attrs import frozen
from yarl import URL

from galileo_sessions import errors
from galileo_sessions.client.address import proxy_of
from galileo_sessions.client.responses import Response
from galileo_sessions.client.secret import Secret

SSL: TypeAlias = tls.SSLContext | aiohttp.Fingerprint | bool
Phase: TypeAlias = Literal["connect", "response", "body"]

MAX_BODY = 256 * 1024  # bytes of a response that are read, unless the endpoint says otherwise
_MAX_422 = 16 << 20  # bytes that are read of a 422, which repeats parts of the filter
_LARGE = 1 << 20  # aiohttp warns of longer bodies given as bytes


@frozen
class Timeouts:
    """
    How long one attempt may take; a whole call has `timeout=`.

    Raises:
        ConfigurationError: unless each is more than 0 and at most a day.
    """

    connect: float = 10.0
    """
    Seconds until a connection stands: all addresses of the host, the proxy and TLS included; with a session of your
    own, also the wait for a place in its pool.
    """
    attempt: float = 30.0
    """Seconds from admission to the last byte."""

    def __attrs_post_init__(self) -> None:
        for name, seconds in (("connect", self.connect), ("attempt", self.attempt)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
                raise errors.ConfigurationError(
                    f"Timeouts({name}={errors.brief(seconds)}): seconds, more than 0 and at most 86400"
                )


class Transport:
    """
    The way to one origin: it sends requests there and nowhere else, follows no redirect and retries nothing.

    Args:
        base_url: Where paths begin, without a slash at its end.
        session: A session to use and to leave open; None means one of its own, made on first use.
    """

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession | None,
        *,
        timeouts: Timeouts,
        ssl: SSL,
        proxy: Secret[str] | None,
        trust_env: bool,
    ) -> None:
        self._base = base_url
        self._url = URL(base_url)
        self._path = self._url.raw_path.rstrip("/")
        self._session = session
        self._owns = session is None
        connect = min(timeouts.connect, timeouts.attempt * 0.9)  # so that a timeout knows its phase
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=inf)  # which rounds nothing
        self._ssl = ssl
        self._proxy = proxy_of(base_url, proxy, trust_env=trust_env)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        if not isinstance(ssl, tls.SSLContext | aiohttp.Fingerprint | bool):
            problem = (
                f"ssl={errors.brief(ssl)}: an ssl.SSLContext, an aiohttp.Fingerprint, or False for no verification"
            )
            raise errors.ConfigurationError(problem)
        if session is not None:
            _check_injected(session)

    @property
    def connections(self) -> float:
        """How many connections the connector of an injected session allows; infinite where it sets no limit."""
        connector = None if self._owns or self._session is None else self._session.connector
        limits = (connector.limit, connector.limit_per_host) if connector is not None else ()
        return min((limit for limit in limits if limit), default=inf)

    async def post(
        self,
        path: str,
        body: bytes | Secret[bytes],
        headers: Secret[Mapping[str, str]],
        *,
        until: float,
        max_body: int = MAX_BODY,
    ) -> Response:
        """
        What the server answers to a POST.

        Args:
            path: From the base URL on, encoded, beginning with a slash.
            body: What is sent.
            headers: All that the request carries, the credentials among them.
            until: When the attempt ends, on the loop's clock.
            max_body: Bytes of the body that are read. A longer body of a 200 is an error; of others the
                beginning is kept. Of a 422 16 MiB are read.

        Raises:
            TransportError: if no whole answer came.
            ConfigurationError: if the session is closed, or belongs to another event loop.
        """
        session = self._open_session()
        phase: Phase = "response"
        try:
            async with asyncio.timeout_at(until):
                async with session.post(
                    self._url.with_path(self._path + path, encoded=True),
                    data=_data(body),
                    headers=headers.reveal(),
                    allow_redirects=False,
                    raise_for_status=False,
                    timeout=self._timeout,
                    ssl=self._ssl,
                    proxy=self._proxy and self._proxy.reveal(),
                    auto_decompress=False,
                ) as response:
                    phase = "body"
                    return Response(response.status, response.headers, await _read(response, max_body), self._base)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            problem = _translate(error, phase, self._base)
        except asyncio.CancelledError as cancelled:
            raise cancelled.with_traceback(None)  # noqa: B904  # the same one, without aiohttp's frames, which hold headers
        raise problem  # outside the except block, so that no header hangs on as __context__

    def refusal(self, loop: asyncio.AbstractEventLoop) -> errors.ConfigurationError | None:
        """Why nothing can be sent from this event loop, if it can't; the first one that asks is the client's."""
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            return errors.ConfigurationError(
                "this GalileoSessions belongs to another event loop, perhaps of an earlier asyncio.run(). "
                "Make one in each, with `async with GalileoSessions() as galileo:`"
            )
        return _closed() if self._closed else None

    def _open_session(self) -> aiohttp.ClientSession:
        refusal = self.refusal(asyncio.get_running_loop())
        if refusal is not None:
            raise refusal
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # how many at once is decided above, in one queue
                cookie_jar=aiohttp.DummyCookieJar(),  # /login sets a cookie
            )
        if self._session.closed:
            raise errors.ConfigurationError("the aiohttp.ClientSession given as session= is closed")
        return self._session

    def stop(self) -> errors.ConfigurationError:
        """Sends nothing more, for the reason that is returned."""
        self._closed = True
        return _closed()

    async def close(self) -> None:
        """Closes the session, if it is its own."""
        _ = self.stop()
        if self._loop not in (None, asyncio.get_running_loop()):
            _ = self.abandon()  # of another event loop's connections nothing can be awaited here
        elif self._owns and self._session is not None:
            await self._session.close()

    def abandon(self) -> bool:
        """Drops a session of its own that nobody closed, and tells whether there was one; finalisers can't await."""
        connector = self._session.connector if self._owns and self._session is not None else None
        if self._session is None or connector is None:
            return False
        self._session.detach()  # or it would warn as well, naming aiohttp's class
        connector.__exit__(None, None, None)  # the one way to close it without awaiting
        return True


def _closed() -> errors.ConfigurationError:
    return errors.ConfigurationError("this GalileoSessions is closed. Make a new one, or count inside its `async with`")


def _data(body: bytes | Secret[bytes]) -> bytes | BytesIO:
    data = body.reveal() if isinstance(body, Secret) else body
    return data if len(data) < _LARGE else BytesIO(data)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body; of one that isn't a 200's, what can be read of it, for the status is what counts."""
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding != "identity" and response.status == 200:
        response.close()
        problem = "the service compressed its answer though identity was asked for; it was not read"
        raise errors.ProtocolError(problem, worth_retrying=False)
    limit = _MAX_422 if response.status == 422 else limit
    chunks = bytearray()
    while len(chunks) <= limit and not response.content.at_eof():
        chunks += await response.content.readany()  # a count comes in one piece
    body = bytes(chunks)
    if len(body) > limit:
        response.close()
        if response.status == 200:
            problem = f"the service's answer is longer than {limit:,} bytes; the rest was not read"
            raise errors.ProtocolError(problem, worth_retrying=False)
    return body[:limit] if coding == "identity" else _decompressed(body, coding, limit)


def _decompressed(body: bytes, coding: str, limit: int) -> bytes:
    """The beginning of a body that a gateway compressed; empty for what can't be read without more libraries."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return b""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, limit)  # 32: gzip or zlib, as it comes
    except zlib.error:
        return b""


def _translate(error: Exception, phase: Phase, base: str) -> errors.TransportError | errors.ConfigurationError:
    """An error of ours, whose text names the origin and holds nothing of request or response."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return errors.AttemptTimeoutError(f"no connection to {base} within Timeouts(connect=...)", phase="connect")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            reason = _reason(error)
            hint = "Give ssl=ssl.create_default_context(cafile=...) for a CA of your own"
            if "WRONG_VERSION_NUMBER" in reason:
                hint = "This port may have no TLS; a server on loopback may be asked with http://"
            return errors.TLSError(f"no trusted TLS connection to {base}: {reason}. {hint}")
        case aiohttp.ClientConnectorError() if error.os_error.errno in (errno.EMFILE, errno.ENFILE):
            return errors.ConnectError(
                f"no file descriptor left to connect to {base}. "
                "Raise the limit (ulimit -n), or lower Limits(maximum=...)"
            )
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return errors.ConnectError(
                f"the proxy refuses to connect to {base}: {_reason(error)}. Check proxy=, or trust_env"
            )
        case aiohttp.ClientConnectorError():
            return errors.ConnectError(f"can't connect to {base}: {_reason(error)}. Check base_url and the network")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            return errors.ConfigurationError(f"{base} is no URL that can be requested. Check base_url")
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return errors.AttemptTimeoutError(
                f"{base} took longer than Timeouts(attempt=...) or timeout= allow, in phase {phase}", phase=phase
            )
        case aiohttp.ClientPayloadError() if str(error).startswith("Response payload is not completed"):
            return errors.DisconnectedError(f"{base} closed the connection in the middle of its answer")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return errors.ProtocolError(f"what {base} answered is not HTTP ({type(error).__name__})")
        case aiohttp.ClientConnectionError() | OSError():
            return errors.DisconnectedError(f"{base} closed the connection before its answer was complete")
        case _:
            return errors.ProtocolError(f"the request to {base} failed in aiohttp ({type(error).__name__})")


def _reason(error: Exception) -> str:
    """The system's words for what happened; aiohttp's own would print a proxy's password."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason: object = getattr(error.certificate_error, "verify_message", None)
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror
        case aiohttp.ClientHttpProxyError():
            reason = f"status {error.status}"
        case _:
            reason = None
    return str(reason)[:200] if reason else "no reason given"


def _check_injected(session: object) -> None:
    if not isinstance(session, aiohttp.ClientSession):
        raise errors.ConfigurationError(f"session is an aiohttp.ClientSession, got {type(session).__name__}")
    if session.auth is not None or "Authorization" in session.headers:
        raise errors.ConfigurationError(
            "the session given as session= has credentials of its own. Leave them out there; give auth= here"
        )
    if session.trust_env:  # it would ask for a proxy, and send the password of a netrc file, with each request
        raise errors.ConfigurationError(
            "the session given as session= has trust_env=True. Leave it out there; give trust_env=True here"
        )
