"""The requests that the local server takes, and the 400 or 422 that others get."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from attrs import evolve

from galileo_sessions.api.query import SCOPE, CountQuery, load_query
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError
from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.filter_types import DateOperator
from galileo_sessions.filters.nodes import DateFilter, Filter, LeafFilter, all_of
from galileo_sessions.filters.plain_data import checked_list, json_object, load, strict_json
from galileo_sessions.local.records import uuid4

_TIMES: dict[str, DateOperator] = {"start_time": "gte", "end_time": "lte"}


async def read_body(request: web.Request) -> bytes:
    """
    The body of a request.

    Raises:
        HTTPBadRequest: if it isn't in its Content-Encoding; then the connection is closed.
    """
    try:
        return await request.read()
    except web.RequestPayloadError:
        encoding = request.headers.get("Content-Encoding", "chunked")
        text = json.dumps({"detail": f"the body can't be read as {brief(encoding)}"})
        refusal = web.HTTPBadRequest(text=text, content_type="application/json")
        refusal.force_close()
        raise refusal from None


def read_sessions_request(endpoint: str, project_id: str, body: bytes) -> CountQuery:
    """
    The query of a request for a count, or for the columns of the sessions that the query selects.

    `load_query` reads the body. The times of a request for columns become a filter on `created_at`.

    Raises:
        HTTPUnprocessableEntity: if `load_query` refuses the body, or an id isn't a version 4 UUID,
            as the service requires.
    """
    with refusing("path", "project_id"):
        _ = uuid4("project_id", project_id)
    with refusing("body"):
        data = json_object(strict_json(body))
    for name in SCOPE:
        if data.get(name) is not None:
            with refusing("body", name):
                _ = uuid4(name, data[name])
    times: list[Filter] = []
    if endpoint == "available_columns":
        for name, operator in _TIMES.items():
            time = data.pop(name, None)
            if time is not None:
                with refusing("body", name):
                    times.append(DateFilter("created_at", operator, time))
    with refusing("body"):
        query = load_query({**data, "project_id": project_id})
        if not times:
            return query
        return evolve(query, where=all_of([query.where, *times]))


def read_projects_request(body: bytes) -> Filter:
    """
    The filter of a request for projects: all its filters, of which those by name, id and type
    compare text.

    Raises:
        HTTPUnprocessableEntity: if they can't be read.
    """
    with refusing("body"):
        path = ("filters",)
        entries = checked_list(json_object(strict_json(body)).get("filters", ()), "filters", path)
        as_text = [{**json_object(each), "type": "text"} for each in entries]
        return all_of(load(as_text, list[LeafFilter], path))


@contextmanager
def refusing(*loc: str) -> Generator[None, None, None]:
    """Turns a ValueError into a 422 of one entry. `loc` leads to what is being read."""
    try:
        yield
    except ValueError as error:
        place = [*loc, *getattr(error, "path", ())]
        raise _unprocessable({"loc": place, "msg": str(error), "type": "value_error"}) from None


def check_strictly(query: CountQuery, columns: ColumnCatalog) -> None:
    """
    Checks that a query's filter fits the columns.

    Raises:
        HTTPUnprocessableEntity: with an entry for each leaf that doesn't fit.
    """
    try:
        _ = columns.check(query.where)
    except FilterCheckError as error:
        entries = [
            {"loc": ["body", "filter_tree", *each.loc], "msg": each.msg, "type": each.type}
            for each in error.issues
        ]
        raise _unprocessable(*entries) from None


def _unprocessable(*entries: dict[str, Any]) -> web.HTTPUnprocessableEntity:
    """A 422 in FastAPI's shape."""
    text = json.dumps({"detail": entries})
    return web.HTTPUnprocessableEntity(text=text, content_type="application/json")
