"""Clients for tests, and the error that a count raises."""

import pytest

from galileo_sessions import (
    GalileoError,
    GalileoSessions,
    PasswordAuth,
)
from support.inside import set_jitter
from support.servers import PROJECT

ANN = PasswordAuth("ann", "pa55-word")


def client(url: str, *, jitter: float = 0.0, **arguments: object) -> GalileoSessions:
    """A client whose waits are `jitter` times the longest possible wait; by default it doesn't wait."""
    if "auth" not in arguments:
        arguments.setdefault("api_key", "k")
    galileo = GalileoSessions(base_url=url, **arguments)
    set_jitter(galileo, lambda longest: longest * jitter)
    return galileo


async def failure(galileo: GalileoSessions, **arguments: object) -> GalileoError:
    """Returns the error that one count raises."""
    with pytest.raises(GalileoError) as caught:
        await galileo.count(PROJECT, **arguments)
    return caught.value


def statuses(error: GalileoError) -> list[int | None]:
    """The status of each attempt of an error."""
    return [attempt.status for attempt in error.attempts]
