"""
A web service that counts: `uvicorn fastapi_app:app`, then
GET /projects/{project_id}/sessions?where=score > 3
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from galileo_sessions import (
    CountQuery,
    DeadlineExceededError,
    FilterError,
    GalileoError,
    GalileoSessions,
    NotFoundError,
    RateLimitedError,
    ValidationError,
    parse_filter,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # one client for the app: all requests share its connections and its queue. A typo in a filter must not count 0
    async with GalileoSessions(check=True) as galileo:
        app.state.galileo = galileo
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/projects/{project_id}/sessions")
async def sessions(request: Request, project_id: UUID, where: str) -> dict[str, int | None]:
    galileo: GalileoSessions = request.app.state.galileo
    queries = [CountQuery(project_id), CountQuery(project_id, parse_filter(where))]
    report = await galileo.count_all(queries, fail_fast=True, timeout=10)
    return dict(zip(("all", "matching"), report.counts, strict=True))


@app.exception_handler(GalileoError)
async def explain(_: Request, error: GalileoError) -> JSONResponse:
    match error:
        case FilterError() | ValidationError():
            return JSONResponse({"detail": str(error)}, 400)
        case NotFoundError():
            return JSONResponse({"detail": "No such project"}, 404)
        case RateLimitedError(retry_after=seconds):
            return JSONResponse({"detail": "Galileo is busy"}, 503, {"Retry-After": f"{seconds or 1:.0f}"})
        case DeadlineExceededError():
            return JSONResponse({"detail": "Galileo took too long"}, 504)
    return JSONResponse({"detail": "Galileo can't be asked"}, 502)  # such as a wrong key: nothing a visitor can mend
