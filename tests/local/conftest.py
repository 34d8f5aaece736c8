"""A client for tests of the local server that knows nothing of this package."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from support.sockets import PROJECT

from galileo_sessions import ALWAYS, Filter, dump_filter
from galileo_sessions.local import LocalGalileo


class Web:
    """Sends requests with the server's key, unless there are headers."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, server: LocalGalileo, path: str, method: str = "POST", **request: Any) -> tuple[int, Any]:
        """Status and decoded body."""
        request.setdefault("headers", {"Galileo-API-Key": server.api_key})
        if method == "POST" and "data" not in request:
            request.setdefault("json", {})
        async with self.session.request(method, server.url + path, **request) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def post_count(self, server: LocalGalileo, **request: Any) -> tuple[int, Any]:
        """The answer to a request for a count."""
        return await self.ask(server, f"/v2/projects/{PROJECT}/sessions/count", **request)

    async def count(self, server: LocalGalileo, where: Filter = ALWAYS, project: str = PROJECT, **body: Any) -> int:
        """A count that succeeds."""
        tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
        status, answer = await self.ask(server, f"/v2/projects/{project}/sessions/count", json=tree | body)
        assert (200, ["total_count"]) == (status, list(answer))
        total: int = answer["total_count"]
        return total


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Web(session)
