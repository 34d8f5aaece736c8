"""A transport that was stopped sends nothing more."""

import asyncio

import pytest

from galileo_sessions import ConfigurationError, Secret, Timeouts
from galileo_sessions.client.transport import Transport


async def test_an_attempt_that_begins_as_the_client_closes_sends_nothing() -> None:
    """It fails with the advice to make a new client."""
    transport = Transport("http://127.0.0.1:9", None, timeouts=Timeouts(), ssl=True, proxy=None, trust_env=False)
    await transport.close()
    until = asyncio.get_running_loop().time() + 1
    with pytest.raises(ConfigurationError, match="Make a new one"):
        await transport.post("/x", b"{}", Secret({}), until=until, max_body=1)
