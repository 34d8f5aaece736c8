"""
Galileo's own SDK and this package, side by side against one local server.

The SDK runs in a process of its own: it keeps threads and connections until its process ends.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from local.sdk_pages import SDKGalileo

from galileo_sessions import Col, Filter, FullyAnnotatedFilter, GalileoSessions, IdFilter, NumberFilter, dump_filter
from galileo_sessions.local import sample_names, sample_sessions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("galileo") is None, reason="Galileo's SDK isn't installed; it is in the group `sdk`"
)

SESSIONS = sample_sessions()
PROJECT = str(SESSIONS[0]["project_id"])
STREAM = next(str(s["log_stream_id"]) for s in SESSIONS if s["project_id"] == PROJECT and "log_stream_id" in s)
IDS = [str(session["id"]) for session in SESSIONS[:5]]

BEGIN = """
import json, sys
from galileo.config import GalileoPythonConfig
from galileo.resources.api.trace import count_sessions_projects_project_id_sessions_count_post as counting
from galileo.resources.api.trace import (
    sessions_available_columns_projects_project_id_sessions_available_columns_post as columns,
)
from galileo.resources.models import *

given = json.load(sys.stdin)
project_id, client = given["project_id"], GalileoPythonConfig.get().api_client

def count(body):
    return counting.sync(project_id, client=client, body=body).total_count
"""

AS_WRITTEN_HERE = """
print(json.dumps([count(LogRecordsQueryCountRequest.from_dict(body)) for body in given["bodies"]]))
"""

COLUMNS = """
answer = columns.sync(project_id, client=client, body=LogRecordsAvailableColumnsRequest(log_stream_id=given["stream"]))
print(json.dumps({column.id: column.filter_type.value for column in answer.columns}))
"""

LOG_STREAMS = """
from galileo.log_stream import LogStream
found = [
    LogStream.get(name="default", project_id=project_id),
    LogStream.get(name=given["stream"], project_name=project_id),
    LogStream.get(name="none", project_id=project_id),
]
print(json.dumps([stream and [stream.name, stream.id, stream.project_id] for stream in found]))
"""


PROJECTS = """
from galileo.project import Project
from galileo.resources.api.projects import get_projects_paginated_projects_paginated_post as pages

paged, token = [], 0
while token is not None:
    page = pages.sync(client=client, body=ProjectCollectionParams(), starting_token=token, limit=5)
    paged += page.projects
    token = page.next_starting_token if page.paginated else None
listed = [[each.id, each.name, each.type] for each in Project.list()]
paged = [[each.id, each.name, each.type_] for each in paged]
found = [Project.get(name=name) for name in ("Support chatbot", given["nameless"], "none")]
print(json.dumps([listed, paged, [project and project.id for project in found]]))
"""


async def sdk(server: SDKGalileo, home: Path, program: str, **given: Any) -> Any:
    """What a program for the SDK prints, with the server as its Galileo."""
    settings = {
        "GALILEO_API_URL": server.url,
        "GALILEO_CONSOLE_URL": server.url,
        "GALILEO_API_KEY": server.api_key,
        "GALILEO_HOME_DIR": str(home),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BEGIN + program, stdin=-1, stdout=-1, stderr=-1, env={**os.environ, **settings}
    )
    try:
        async with asyncio.timeout(60):
            printed, said = await process.communicate(json.dumps({"project_id": PROJECT, **given}).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert 0 == process.returncode, said.decode()
    return json.loads(printed)


async def test_the_sdk_reads_what_is_written_here(tmp_path: Path) -> None:
    """A filter dumped here and loaded by the SDK is sent by it as the same filter, whatever its leaves."""
    contains_x, above_3 = Col("input").contains("x"), Col("score").gt(3)
    toxic = Col("metrics/toxicity").between(0.25, 1)
    vip, complete = Col.collection("tags").one_of(["vip", "beta"]), Col("is_complete").eq(True)
    may, some = Col("created_at").gte(datetime(2026, 5, 1, tzinfo=UTC)), Col.id("id").not_in(IDS)
    sorry = Col("output").contains("SORRY", case_sensitive=False)
    filters: list[Filter] = [contains_x, sorry, Col.text("name").not_in(["a", "b"]), above_3, toxic, vip, complete, may]
    filters += [some, NumberFilter("score", "eq", [1, 2.5]), IdFilter("id", "eq", IDS[0]), FullyAnnotatedFilter()]
    filters += [FullyAnnotatedFilter([IDS[0]])]
    filters += [~(~(some | toxic) & ~complete), (vip | (may & complete)) & ~(toxic | sorry)]
    bodies = [{"filter_tree": dump_filter(where)} for where in filters]
    bodies += [{"filters": [dump_filter(where)["filter"] for where in filters[:3]], "log_stream_id": STREAM}]
    async with SDKGalileo(SESSIONS) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        theirs = await sdk(server, tmp_path, AS_WRITTEN_HERE, bodies=bodies)
        counts = [await galileo.count(PROJECT, where) for where in filters]
        counts += [await galileo.count(PROJECT, filters=filters[:3], log_stream_id=STREAM)]
        asked = server.requests
    assert counts == theirs
    assert 0 < counts[-2] < counts[0] < 312
    assert asked[: len(bodies)] == asked[len(bodies) :]


async def test_columns_are_alike(tmp_path: Path) -> None:
    """The SDK, whose enums are closed, reads the local server's columns, and knows the same types."""
    async with SDKGalileo(SESSIONS) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        theirs = await sdk(server, tmp_path, COLUMNS, stream=STREAM)
        catalog = await galileo.columns(PROJECT, log_stream_id=STREAM)
    assert {info.id: info.filter_type for info in catalog.columns} == theirs
    assert {"text", "number", "boolean", "date", "collection", "id"} == set(theirs.values())


async def test_the_sdk_finds_log_streams(tmp_path: Path) -> None:
    """By name, from a project by id or name; those that the sessions of the project have."""
    found = [session.get("log_stream_id") for session in SESSIONS if session["project_id"] == PROJECT]
    streams = list(dict.fromkeys(filter(None, found)))
    async with SDKGalileo(SESSIONS) as server:
        found = await sdk(server, tmp_path, LOG_STREAMS, stream=streams[-1])
    assert [["default", streams[0], PROJECT], [streams[-1], streams[-1], PROJECT], None] == found


async def test_the_sdk_lists_the_same_projects(tmp_path: Path) -> None:
    """All at once and in pages, with their names; one without a name is found by its id."""
    names = sample_names()
    nameless = names.popitem()[0]
    async with SDKGalileo(SESSIONS, names=names) as server:
        listed, paged, found = await sdk(server, tmp_path, PROJECTS, nameless=nameless)
    assert [*([project_id, name, "gen_ai"] for project_id, name in names.items()), [nameless, None, "gen_ai"]] == listed
    assert listed == paged
    assert [PROJECT, nameless, None] == found
