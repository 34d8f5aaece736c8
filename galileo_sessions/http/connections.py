"""
The connections of aiohttp: which request each answer belongs to, and how they are closed in the
end.

Whatever else rests on undocumented names of aiohttp stands here as well; `CAN_LOOK` says whether
they are there.

Theory of operation
===================

HTTP/1.1 doesn't say which request an answer belongs to: whatever arrives next on a connection
answers the request that was sent last. Suppose that a gateway gives up with a 504, and passes on
the service's answer a moment later. From then on, each request would get the answer of the one
before it::

    sent        POST 1                 POST 2              POST 3
    arrives            504, 200 (1)           200 (2)             200 (3)
    taken              504             200 (1)             200 (2)

aiohttp hands out an idle connection without checking whether bytes have arrived on it. After it has
chosen a connection, and before it sends, it calls only one piece of our code, even in an injected
session: the request's body. So the body checks the connection, and isn't sent if bytes have arrived
on it. Bytes that arrive after that check, but before the server has the request, look like an
answer. Therefore a connection is also closed after each status that a late answer can follow.

Nothing announces a 200 that comes twice. But once such answers have moved, bytes are found on the
connection sooner or later; then the log says how many answers may have belonged to other requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import warnings
from collections.abc import MutableMapping
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from galileo_sessions.http.secret import Secret

if TYPE_CHECKING:  # undocumented, so it may be missing: see `CAN_LOOK`
    from aiohttp.client_proto import ResponseHandler

logger: logging.Logger = logging.getLogger("galileo_sessions")

# Bytes that TLS can send at the end of a connection; each answer is longer.
_MAX_ALERT = 40


class Connector(aiohttp.TCPConnector):
    """
    Leaves its connections alone in a child process, where closing them would disturb the parent's
    event loop.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        # flow/queue limits the requests in flight.
        super().__init__(limit=0)  # pyright: ignore[reportUnknownMemberType]  # aiohttp leaves a type open

    def abandon(self) -> bool:
        """Closes the connections without awaiting; False in a child process."""
        if self._pid != os.getpid():
            return False
        self.__exit__(None, None, None)  # the only way
        return True

    def __del__(self, _warnings: Any = warnings) -> None:
        if self._pid == os.getpid():
            super().__del__(_warnings)


class _Used:
    """A connection that has carried a request."""

    def __init__(self, connection: ResponseHandler) -> None:
        transport = cast("asyncio.BaseTransport", connection.transport)
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.requests: int = 1
        """How many requests it has carried."""

    def has_unread(self) -> bool:
        """Whether the socket has anything unread: bytes of HTTP, messages of TLS, or its end."""
        return bool(self._poll.poll(0))

    def has_unread_answer(self) -> bool:
        """Whether that is an answer; its end isn't, nor the 408 of an idle connection."""
        with socket.socket(fileno=os.dup(self._socket)) as same:
            same.setblocking(False)
            unread = same.recv(_MAX_ALERT + 1, socket.MSG_PEEK)
        return len(unread) > _MAX_ALERT and b" 408 " not in unread


UsedConnections: TypeAlias = "MutableMapping[ResponseHandler, _Used]"
"""The connections that have carried a request."""


class Body(aiohttp.Payload):
    """
    The body of one request, and what is known about its connection. Its repr doesn't show the
    content.

    Args:
        content: The bytes to send.
        used: The connections of the client's earlier requests; this request's is added. None turns
            the check off.
    """

    connection: ResponseHandler | None = None
    """The connection that aiohttp chose; None until the request is about to be sent."""
    came_early: bool = False
    """Whether bytes had already arrived on the connection."""
    is_refused: bool = False
    """Whether the body wasn't sent, because those bytes would be taken for its answer."""
    sent_at: float = inf
    """When the request was sent, on the loop's clock."""
    is_answered = False
    """Whether the head of a response has arrived."""

    def __init__(self, content: bytes | Secret[bytes], used: UsedConnections | None) -> None:
        """Makes the body of JSON; its size is known, so aiohttp needs no chunks."""
        super().__init__(
            content.reveal() if isinstance(content, Secret) else content,
            content_type="application/json",
        )
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
            ConnectionError: if the body is refused; aiohttp then closes the connection.
        """
        if self._used is not None:
            connection: ResponseHandler = cast("Any", writer).protocol
            self.look(connection, came_early=connection.should_close)
            if self.is_refused:
                raise ConnectionError
        self.sent_at = asyncio.get_running_loop().time()
        await writer.write(self._value)

    def look(self, connection: ResponseHandler, *, came_early: bool) -> None:
        """
        Looks whether unread bytes have arrived; if so, and if the connection was used before,
        refuses the body.
        """
        used = cast("UsedConnections", self._used)
        before = used.get(connection)
        self.connection = connection
        self.came_early = came_early
        if before is None:
            used[connection] = _Used(connection)
            return
        self.came_early = self.is_refused = came_early or before.has_unread()
        if not self.is_refused:
            before.requests += 1
        elif before.requests > 1 and (came_early or before.has_unread_answer()):
            logger.warning(
                "a connection had an answer that no request waited for: of the last %d answers "
                "on it, all but the first may belong to other requests",
                before.requests,
            )

    async def look_late(self, response: aiohttp.ClientResponse) -> None:
        """
        Does so on Python 3.11, where aiohttp sends in a task that may not have begun when the
        response is there.
        """
        if self._used is None or self.connection is not None or response.connection is None:
            return
        connection = cast("ResponseHandler", response.connection.protocol)
        if response.closed:  # the task won't begin any more: the response was there before
            self.look(connection, came_early=True)
        else:
            await asyncio.sleep(0)  # so that the task can begin


def _can_look() -> bool:
    """Whether the installed aiohttp has the undocumented names that are used."""
    try:
        from aiohttp.client_proto import ResponseHandler  # noqa: PLC0415  # it may be missing
        from aiohttp.http_writer import StreamWriter  # noqa: PLC0415
    except ImportError:
        return False
    used = ("transport", "should_close", "close")
    return hasattr(StreamWriter, "protocol") and all(
        hasattr(ResponseHandler, name) for name in used
    )


CAN_LOOK = _can_look()
"""
Whether a client can see what has arrived on a connection. Otherwise, each request opens one of its
own.
"""
