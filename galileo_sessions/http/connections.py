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
"""

from __future__ import annotations

import asyncio
import os
import select
import warnings
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from galileo_sessions.http.secret import Secret

if TYPE_CHECKING:  # undocumented, so it may be missing: see `CAN_LOOK`
    from aiohttp.client_proto import ResponseHandler


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


UsedConnections: TypeAlias = "MutableMapping[ResponseHandler, Callable[[], object]]"
"""
The connections that have carried a request, each with a function that says whether it has anything
unread.
"""


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
    is_answered = False
    """Whether the head of a response has arrived."""

    def __init__(self, content: bytes | Secret[bytes], used: UsedConnections | None) -> None:
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
        await writer.write(self._value)

    def look(self, connection: ResponseHandler, *, came_early: bool) -> None:
        """
        Looks whether unread bytes have arrived; if so, and if the connection was used before,
        refuses the body.
        """
        used = cast("UsedConnections", self._used)
        has_unread = used.get(connection)
        self.connection = connection
        self.came_early = came_early
        if has_unread is None:
            used[connection] = _listener(connection)
        else:
            self.came_early = self.is_refused = came_early or bool(has_unread())

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


def _listener(connection: ResponseHandler) -> Callable[[], object]:
    """
    A function that says whether a socket has anything unread: bytes of HTTP, messages of TLS, or
    its end.
    """
    socket = cast("asyncio.BaseTransport", connection.transport).get_extra_info("socket")
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return partial(poll.poll, 0)


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
