"""The whole client under a weather, in virtual time: only the network is replaced."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field

from galileo_sessions import AttemptTimeoutError, GalileoSessions
from galileo_sessions.client.responses import Response
from support.clock import run
from support.inside import replace_post
from support.weathers import Reply, Service

NETWORK = 0.004  # seconds, there and back
TIMEOUT = 30.0


@define
class Sky:
    """A service of the weather table, as the network of clients; it counts its requests."""

    service: Service
    status: int = 503
    """What a request is refused with, where no Retry-After comes along."""
    requests: int = 0
    began: float = 0.0
    arrivals: list[float] = field(factory=list)

    async def post(self, _: str) -> Response:
        """What becomes of one request."""
        now = asyncio.get_running_loop().time() - self.began
        self.requests += 1
        self.arrivals.append(now)
        reply = self.service.arrive(now + NETWORK / 2)
        in_order = self.requests * 1e-6  # requests that are sent in the same moment don't end so
        await asyncio.sleep(min(reply.seconds + NETWORK, TIMEOUT) + in_order)
        return self._response(reply)

    def _response(self, reply: Reply) -> Response:
        if reply.seconds >= TIMEOUT:
            raise AttemptTimeoutError("too long", phase="response")
        if reply.kind == "ok":
            return Response(200, {}, b'{"total_count":7}')
        if reply.retry_after is not None:
            return Response(429, {"Retry-After": f"{reply.retry_after:.6f}"}, b"")
        return Response(500 if reply.kind == "error" else self.status, {}, b"")

    def client(self, **arguments: object) -> GalileoSessions:
        """A client of the service."""
        galileo = GalileoSessions("k", base_url="http://127.0.0.1:9", **arguments)
        replace_post(galileo, self.post)
        return galileo


def under(sky: Sky, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs `main` in virtual time, without sockets; the service's clock begins with it."""

    async def begin() -> Any:
        sky.began = asyncio.get_running_loop().time()
        return await main()

    return run(begin(), debug=False, grace=0.0)
