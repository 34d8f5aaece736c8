"""
Fixtures for tests of apps that count sessions. A conftest.py at the root of the tests loads them:

    pytest_plugins = ["galileo_sessions.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from attrs import evolve

from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.flow.settings import Retry
from galileo_sessions.http.environment import VARIABLES
from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

_STRICT = "galileo_sessions_strict"
_HAS_SAMPLE = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds an ini option; `-o galileo_sessions_strict=false` sets it for one run."""
    text = "whether local_galileo answers 422 to a filter on a column that its sessions don't have"
    parser.addini(_STRICT, text, type="bool", default=True)


@pytest.fixture
def local_galileo_sessions(request: pytest.FixtureRequest) -> Iterable[Mapping[str, object]]:
    """The sessions in `local_galileo`: a fixed sample. Override this fixture to use your own."""
    request.node.stash[_HAS_SAMPLE] = True
    return sample_sessions()


@pytest.fixture
def local_galileo_names(
    request: pytest.FixtureRequest,
    local_galileo_sessions: Iterable[Mapping[str, object]],  # it says whether they are the sample
) -> Mapping[str, str]:
    """
    The names of projects in `local_galileo`, by id: those of the sample, or none with sessions of
    your own.

    Override this fixture to use your own.
    """
    return sample_names() if _HAS_SAMPLE in request.node.stash else {}


@pytest.fixture
def local_galileo_strict(pytestconfig: pytest.Config) -> bool:
    """
    Whether `local_galileo` refuses a filter that doesn't fit its sessions' columns. Default: the
    ini option.

    Override this fixture for one module or class.
    """
    return bool(pytestconfig.getini(_STRICT))


@pytest.fixture
def local_galileo(
    local_galileo_sessions: Iterable[Mapping[str, object]],
    local_galileo_names: Mapping[str, str],
    local_galileo_strict: bool,  # fixtures are passed by name
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[LocalGalileo]:
    """
    A running `LocalGalileo`. The environment points to it, so the app's own `GalileoSessions()`
    counts there.

    The server runs in its own thread, so the app can run in the test's event loop, another loop, or
    another process.
    """
    with LocalGalileo(
        local_galileo_sessions, names=local_galileo_names, strict=local_galileo_strict
    ) as server:
        for names in VARIABLES.values():
            for name in names:
                monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        yield server


@pytest.fixture
def galileo_short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Makes each `GalileoSessions` of a test give up early, also those that the app makes itself.

    In an outage, a fan-out ends after about a second. A Retry-After of more than a second isn't
    waited for. Clients in other processes are as patient as ever.
    """
    make = GalileoSessions.__init__

    @wraps(make)
    def make_impatient(client: GalileoSessions, *args: Any, **more: Any) -> None:
        retry = evolve(
            more.pop("retry", Retry()),
            patience=0.5,
            backoff=0.05,
            max_backoff=0.1,
            max_retry_after=1.0,
        )
        make(client, *args, retry=retry, **more)

    monkeypatch.setattr(GalileoSessions, "__init__", make_impatient)


# Without pytest-asyncio, another plugin for asynchronous fixtures, such as anyio's, can run the
# fixture.
_async_fixture: Callable[..., object] = (
    import_module("pytest_asyncio").fixture if find_spec("pytest_asyncio") else pytest.fixture
)


@_async_fixture
async def galileo_sessions_client(local_galileo: LocalGalileo) -> AsyncIterator[GalileoSessions]:
    """
    A `GalileoSessions` that counts in `local_galileo` and is closed after the test. It needs
    pytest-asyncio.

    It belongs to the test's event loop, so pytest-asyncio needs the same loop scope for fixtures
    and tests.
    """
    async with GalileoSessions(local_galileo.api_key, base_url=local_galileo.url) as galileo:
        yield galileo
