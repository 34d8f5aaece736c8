"""A client for tests of the local server that knows nothing of this package."""

from typing import Any

import aiohttp
from support.sockets import PROJECT

from galileo_sessions import ALWAYS, Filter, dump_filter
from galileo_sessions.local import LocalGalileo

COUNT = f"/v2/projects/{PROJECT}/sessions/count"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"


async def ask(server: LocalGalileo, path: str = COUNT, headers: Any = None, **body: Any) -> tuple[int, Any]:
    """Status and decoded body of the answer to a POST, which has the server's key unless there are headers."""
    headers = {"Galileo-API-Key": server.api_key} if headers is None else headers
    async with aiohttp.request("POST", server.url + path, headers=headers, **(body or {"json": {}})) as response:
        return response.status, await response.json()


async def count(server: LocalGalileo, where: Filter = ALWAYS, project: str = PROJECT, **body: Any) -> int:
    """A count that succeeds."""
    tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
    status, answer = await ask(server, COUNT.replace(PROJECT, project), json=tree | body)
    assert (200, ["total_count"]) == (status, list(answer))
    return answer["total_count"]
