"""
Sends counts as they arrive, and stops when the reader leaves: `python websocket.py 8080` serves
ws://localhost:8080/counts.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from galileo_sessions import Col, GalileoSessions

GALILEO = web.AppKey("galileo", GalileoSessions)
LIKED = Col("score") > 3


async def send(socket: web.WebSocketResponse, galileo: GalileoSessions) -> None:
    async with galileo.count_many(galileo.projects(), LIKED) as stream:
        async for result in stream:
            await socket.send_json({"project": str(result.target), "count": result.total_count})


async def counts(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send(socket, request.app[GALILEO]))
        leaving = tasks.create_task(socket.receive())  # until the reader leaves, or says anything
        sending.add_done_callback(lambda _: leaving.cancel())
        leaving.add_done_callback(lambda _: sending.cancel())
    await socket.close()
    return socket


async def client(app: web.Application) -> AsyncIterator[None]:
    async with GalileoSessions() as app[GALILEO]:
        yield


def create_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_get("/counts", counts)
    return app


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    web.run_app(create_app(), host="127.0.0.1", port=int(sys.argv[1]))
