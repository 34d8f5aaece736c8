"""The one module in which tests use private attributes of the package; renaming one changes this file, and no test."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest

from galileo_sessions import AttemptTimeoutError, CountStream, GalileoSessions
from galileo_sessions.api.responses import COUNT
from galileo_sessions.flow import breaker
from galileo_sessions.flow.deadlines import Deadline
from galileo_sessions.http import responses
from galileo_sessions.http.responses import Response
from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

MAX_BODY = COUNT.max_body
"""The longest answer to a count that is read, in bytes."""


def in_flight(galileo: GalileoSessions) -> int:
    return galileo.count_many(()).progress.in_flight


def width(galileo: GalileoSessions) -> int:
    return galileo.count_many(()).progress.width


def rate(galileo: GalileoSessions) -> float:
    return galileo.count_many(()).progress.rate


def is_over(stream: CountStream) -> bool:
    """Whether no request of a stream is under way, and none of its counts is parked."""
    budget = stream._budget
    return budget.in_flight == budget.in_trouble == budget.parked == 0


def timers(of: type = object) -> int:
    """The number of timers for which the running event loop waits, to call a method of such an object."""
    waiting = [timer._callback for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    return sum(isinstance(getattr(callback, "__self__", None), of) for callback in waiting)


def set_jitter(galileo: GalileoSessions, jitter: Callable[[float], float]) -> None:
    """Replaces the random choice of each retry's wait: `jitter` gets the longest wait, and returns the one to use."""
    galileo._requester.queue.flow.troubles.jitter = jitter


def connector(galileo: GalileoSessions) -> object:
    """The connector of a client that has counted."""
    return galileo._transport._session.connector


def replace_post(galileo: GalileoSessions, post: Callable[[str], Awaitable[Response]]) -> None:
    """Replaces the network: `post(path)` returns the answer to each attempt of a client, logins included."""

    async def answer(path: str, *_: object, until: float, **__: object) -> Response:
        with Deadline(galileo._transport.deadlines, until):
            response = await post(path)
            galileo._transport.has_answered = True
            return response
        raise AttemptTimeoutError("no answer in time", phase="response")

    galileo._transport.request = answer


def warn_of_outages_after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Replaces the seconds without any answer after which a warning is logged."""
    monkeypatch.setattr(breaker, "PATIENCE", seconds)


def stop_wall_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    """Stops the clock with which a Retry-After date is compared."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return at

    monkeypatch.setattr(responses, "datetime", Stopped)


@cache
def _sample() -> LocalGalileo:
    return LocalGalileo(sample_sessions(), names=sample_names())


def with_sample(server: LocalGalileo) -> LocalGalileo:
    """Gives a server the sample, which is read once for all tests, because that takes longer than most of them."""
    sample = _sample()
    server._sessions, server._names, server._columns = sample._sessions, {**sample._names}, sample._columns
    return server


def state(galileo: GalileoSessions) -> str:
    """The repr of all attributes of a client, and of each object of the package that they lead to."""
    texts: list[str] = []
    found: list[Any] = [galileo]
    for thing in found:  # which grows meanwhile
        names = vars(thing) if hasattr(thing, "__dict__") else [field.name for field in attrs.fields(type(thing))]
        values = [getattr(thing, name) for name in names]
        texts.append(repr(values))
        ours = [value for value in values if type(value).__module__.startswith("galileo_sessions.")]
        found += [value for value in ours if not isinstance(value, str) and not any(value is one for one in found)]
    return "\n".join(texts)


def our_tasks() -> list[asyncio.Task[Any]]:
    """The tasks of the running event loop that run a coroutine of the package."""
    codes = [(task, getattr(task.get_coro(), "cr_code", None)) for task in asyncio.all_tasks()]
    return [task for task, code in codes if code and "galileo_sessions" in Path(code.co_filename).parts]


def idle(galileo: GalileoSessions) -> bool:
    """Whether the package has no task, and the client no request in flight and no connection in use."""
    session = galileo._transport._session
    is_open = session is not None and session.connector is not None
    return not our_tasks() and in_flight(galileo) == 0 and not (is_open and session.connector._acquired)
