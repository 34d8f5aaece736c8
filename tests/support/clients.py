"""Clients for tests, what they count, and the error that a count raises."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

import galileo_sessions as gs
from galileo_sessions import GalileoError, GalileoSessions, PasswordAuth
from galileo_sessions.local import sample_sessions
from support.private import idle, set_jitter
from support.sockets import PROJECT, Behaviour, Doing, numbered, raw_server

ANN = PasswordAuth("ann", "pa55-word")
EAGER = getattr(asyncio, "eager_task_factory", None)
eagerly = pytest.mark.skipif(EAGER is None, reason="asyncio has eager tasks since Python 3.12")
TASKS = [pytest.param(None, id="tasks"), pytest.param(EAGER, id="eager tasks", marks=eagerly)]
"""The factories of tasks that a client can meet."""


def client(url: str, *, jitter: float = 0.0, **arguments: object) -> GalileoSessions:
    """
    A client whose waits are `jitter` times the longest possible wait, but a millisecond where that is less.

    What is None is left out.
    """
    if "auth" not in arguments:
        arguments.setdefault("api_key", "k")
    given = {name: value for name, value in arguments.items() if value is not None}
    galileo = GalileoSessions(base_url=url, **given)
    set_jitter(galileo, lambda longest: max(longest * jitter, min(longest, 0.001)))  # virtual time has to pass
    return galileo


@asynccontextmanager
async def connected(
    service: bytes | Behaviour | dict[int, Doing] | AbstractAsyncContextManager[Any], **arguments: object
) -> AsyncIterator[tuple[Any, GalileoSessions]]:
    """A server, and a client that is idle at the end. A dict is what a `numbered` server does for some projects."""
    if isinstance(service, dict):
        service = numbered(service)
    elif not isinstance(service, AbstractAsyncContextManager):
        service = raw_server(service)
    async with service as server, client(server.url, **arguments) as galileo:
        yield server, galileo
        assert idle(galileo)


async def failure(galileo: GalileoSessions, **arguments: object) -> GalileoError:
    """The error that one count raises."""
    with pytest.raises(GalileoError) as caught:
        await galileo.count(PROJECT, **arguments)
    return caught.value


def statuses(error: GalileoError) -> list[int | None]:
    """The status of each attempt of an error."""
    return [attempt.status for attempt in error.attempts]


SESSIONS = sample_sessions()
IDS = sorted({str(session["project_id"]) for session in SESSIONS})
COUNTS = {project: sum(session["project_id"] == project for session in SESSIONS) for project in IDS}


def ids(how_many: int) -> list[str]:
    """Project ids that are numbered from 0."""
    return [str(UUID(int=number)) for number in range(how_many)]


async def one_by_one(targets: list) -> AsyncIterator:
    """An async generator over the targets."""
    for target in targets:
        yield target


class Source:
    """Targets that know how many of them were pulled."""

    def __init__(self, targets: list) -> None:
        self.targets, self.pulled = targets, 0

    def __iter__(self) -> Iterator:
        for target in self.targets:
            self.pulled += 1
            yield target


async def take_all(stream: gs.CountStream, into: list[gs.CountResult]) -> None:
    """Appends all results to a list, which keeps those before an error."""
    async for result in stream:
        into.append(result)  # noqa: PERF401  # a comprehension would lose them
