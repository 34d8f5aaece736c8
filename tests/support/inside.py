"""
The one place where tests reach into the package's private parts: what has no public way, under names that stay.

Whoever renames an internal changes this file, and no test. What a client shows is asked of its `Progress`.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from galileo_sessions import GalileoSessions
from galileo_sessions.client import responses, transport
from galileo_sessions.client.responses import Response

MAX_BODY = transport.MAX_BODY
"""Bytes of a count's answer that are read at most."""


def in_flight(galileo: GalileoSessions) -> int:
    """Requests that a client has under way; public, as any stream of the client tells it."""
    return galileo.count_many(()).progress.in_flight


def width(galileo: GalileoSessions) -> int:
    """Requests that a client may have under way at once, now; public likewise."""
    return galileo.count_many(()).progress.limit


def set_jitter(galileo: GalileoSessions, jitter: Callable[[float], float]) -> None:
    """Has `jitter` choose each wait of a client's retries, between 0 and its argument, in place of chance."""
    galileo._requester.jitter = jitter


def retry_tokens(galileo: GalileoSessions) -> int:
    """What the retry budget of a client still holds."""
    return galileo._requester._budget.tokens


def open_connections(galileo: GalileoSessions) -> int:
    """Connections of a client that a request holds; those that are kept for the next request don't count."""
    session = galileo._transport._session
    return len(session.connector._acquired) if session is not None and session.connector is not None else 0


def replace_post(galileo: GalileoSessions, post: Callable[[str], Awaitable[Response]]) -> None:
    """Has `post(path)` answer each attempt of a client, logins among them, in place of the network."""

    async def answer(path: str, *_: object, **__: object) -> Response:
        return await post(path)

    galileo._transport.post = answer


def translated(error: Exception) -> Exception:
    """The error of the package's tree that one of aiohttp's becomes, in phase response."""
    return transport._translate(error, "response", "https://api.x.io")


def stop_wall_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """Stops the clock by which a Retry-After date is read."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return at

    monkeypatch.setattr(responses, "datetime", Stopped)


def state(galileo: GalileoSessions) -> str:
    """The repr of all that a client holds, through every object of the package that it leads to."""
    texts: list[str] = []
    found: list[Any] = [galileo]
    for thing in found:  # grows meanwhile
        names = [field.name for field in attrs.fields(type(thing))] if attrs.has(type(thing)) else thing.__dict__
        values = [getattr(thing, name) for name in names]
        texts.append(repr(values))
        found += [
            value
            for value in values
            if type(value).__module__.startswith("galileo_sessions.client")
            and not isinstance(value, str)
            and not any(value is one for one in found)
        ]
    return "\n".join(texts)


def our_tasks() -> list[asyncio.Task[Any]]:
    """The tasks of this event loop that run a coroutine of the package."""
    coroutines = [(task, task.get_coro()) for task in asyncio.all_tasks()]
    return [
        task
        for task, coroutine in coroutines
        if isinstance(coroutine, types.CoroutineType)
        and "galileo_sessions" in Path(coroutine.cr_code.co_filename).parts
    ]


def idle(galileo: GalileoSessions) -> bool:
    """Whether no task of the package is left, and a client has no request and no connection under way."""
    return not our_tasks() and in_flight(galileo) == 0 and open_connections(galileo) == 0
