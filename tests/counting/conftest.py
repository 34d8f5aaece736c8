"""A client of a server that holds the sample."""

from collections.abc import AsyncIterator

import pytest
from support.clients import client
from support.private import with_sample

from galileo_sessions import GalileoSessions
from galileo_sessions.local import LocalGalileo


@pytest.fixture
async def sample() -> AsyncIterator[LocalGalileo]:
    """A server that holds the sample, in which columns that don't exist count 0, as in the service."""
    async with with_sample(LocalGalileo()) as server:
        yield server


@pytest.fixture
async def galileo(sample) -> AsyncIterator[GalileoSessions]:
    """A client of that server."""
    async with client(sample.url, api_key=sample.api_key) as made:
        yield made
