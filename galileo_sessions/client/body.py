"""
What a request sends, and what has arrived on its connection before.

HTTP/1.1 doesn't say to which request an answer belongs: what comes next on a connection answers the request that was
sent last. So after a gateway that gives up with a 504, and passes on the service's answer a moment later, each request
would get the answer of the one before it::

    sent        POST 1                 POST 2              POST 3
    arrives            504, 200 (1)           200 (2)             200 (3)
    taken              504             200 (1)             200 (2)

aiohttp hands out an idle connection without looking whether something has arrived on it. The one place where it calls
code of ours between its choice of a connection and the sending is the request's body, and it does so in an injected
session too. So the body looks, and isn't sent after such bytes. What arrives between that look and the moment at which
the server has the request can't be told from an answer. Therefore the transport also closes a connection after each
status that a late answer can follow.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, Protocol, TypeAlias, cast
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractStreamWriter


class Connection(Protocol):
    """What is used of aiohttp's `ResponseHandler`: public names, though without documentation."""

    transport: asyncio.BaseTransport

    @property
    def should_close(self) -> bool:
        """Whether it can't be used again; one reason is that something was read that nobody had asked for."""
        ...

    def close(self) -> None:
        """Closes it now."""


Used: TypeAlias = MutableMapping[Connection, Callable[[], object]]
"""The connections that have carried a request, and for each, what tells whether its socket has something unread."""


class Body(aiohttp.Payload):
    """
    The body of one request, and what is known about its connection. Its repr doesn't show it.

    Args:
        content: What is sent.
        used: The connections of the client's earlier requests, to which this one's is added. None means not to look.
    """

    connection: Connection | None = None
    """The connection that aiohttp chose; None until the request is about to be sent."""
    came_early: bool = False
    """Whether something had arrived on the connection already."""
    is_refused: bool = False
    """Whether it wasn't sent, because its answer couldn't be told from what had arrived."""
    is_answered = False
    """Whether the head of a response has arrived."""

    def __init__(self, content: bytes, used: Used | None) -> None:
        super().__init__(content, content_type="application/json")
        self._size = len(content)
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
        Sends the request; aiohttp has kept its head until now, too.

        Raises:
            ConnectionError: if it is refused; the connection is closed.
        """
        if self._used is not None:
            connection = cast("Connection", cast("Any", writer).protocol)
            self.note(connection, came_early=connection.should_close)
            if self.is_refused:
                connection.close()
                raise ConnectionError
        await writer.write(self._value)

    def note(self, connection: Connection, *, came_early: bool) -> None:
        """Notes the connection, and looks for what has arrived on it and isn't read yet."""
        used = cast("Used", self._used)
        has_unread = used.get(connection)
        self.connection, self.came_early = connection, came_early
        if has_unread is None:
            used[connection] = _listener(connection.transport)
        else:
            self.came_early = self.is_refused = came_early or bool(has_unread())


def no_connections() -> Used:
    """The used connections of a new client. It forgets those that are gone."""
    return WeakKeyDictionary()


def _listener(transport: asyncio.BaseTransport) -> Callable[[], object]:
    """What tells whether a socket has anything unread: bytes of HTTP, messages of TLS, or its end."""
    socket = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # on Windows
        return lambda: select.select([socket], [], [], 0)[0]
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return partial(poll.poll, 0)


def can_look() -> bool:
    """Whether the installed aiohttp has the names that a `Body` uses, which are no part of its documentation."""
    try:
        from aiohttp.client_proto import ResponseHandler  # noqa: PLC0415  # it may be missing
        from aiohttp.http_writer import StreamWriter  # noqa: PLC0415
    except ImportError:
        return False
    used = ("transport", "should_close", "close")
    return hasattr(StreamWriter, "protocol") and all(hasattr(ResponseHandler, name) for name in used)
