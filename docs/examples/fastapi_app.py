"""
A web service that counts: `uvicorn fastapi_app:app`, then
GET /projects/{project_id}/sessions?where=score > 3
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from galileo_sessions import (
    DeadlineExceededError,
    FilterError,
    GalileoError,
    GalileoSessions,
    NotFoundError,
    ResponseError,
    ValidationError,
    parse_filter,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with GalileoSessions(check=True) as app.state.galileo:
        yield


app = FastAPI(lifespan=lifespan)
TIMEOUT = 10


@app.get("/projects/{project_id}/sessions")
async def sessions(project_id: UUID, where: str) -> int:
    galileo: GalileoSessions = app.state.galileo
    return await galileo.count(project_id, parse_filter(where), timeout=TIMEOUT)


@app.exception_handler(GalileoError)
async def explain(_: Request, error: GalileoError) -> JSONResponse:
    answers = [each.error for each in error.attempts if isinstance(each.error, ResponseError)]
    last = answers[-1] if answers else error  # also if the time ran out after the last answer
    match last:
        case FilterError() | ValidationError():
            return JSONResponse({"detail": str(error)}, 400)
        case NotFoundError():
            return JSONResponse({"detail": "No such project"}, 404)
        case ResponseError(status=429 | 502 | 503, retry_after=wait):
            return JSONResponse({"detail": "Busy"}, 503, {"Retry-After": str(ceil(wait or 5))})
    if isinstance(error, DeadlineExceededError) or getattr(last, "status", None) == 504:
        return JSONResponse({"detail": "Galileo took too long"}, 504)
    return JSONResponse({"detail": "Galileo can't be asked"}, 502)  # such as a wrong key


if __name__ == "__main__":
    sys.exit(__doc__)
