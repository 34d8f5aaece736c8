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

from galileo_sessions import Col, Filter, FullyAnnotatedFilter, GalileoSessions, IdFilter, NumberFilter, dump_filter
from galileo_sessions.local import LocalGalileo, sample_sessions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("galileo") is None, reason="Galileo's SDK isn't installed: pip install galileo"
)

SESSIONS = sample_sessions()
PROJECT = str(SESSIONS[0]["project_id"])
STREAM = next(str(s["log_stream_id"]) for s in SESSIONS if s["project_id"] == PROJECT and "log_stream_id" in s)
IDS = [str(session["id"]) for session in SESSIONS[:5]]

BEGIN = """
import datetime, json, sys
from galileo.config import GalileoPythonConfig
from galileo.resources.api.trace import count_sessions_projects_project_id_sessions_count_post as counting
from galileo.resources.api.trace import (
    sessions_available_columns_projects_project_id_sessions_available_columns_post as columns,
)
from galileo.resources.models import *
from galileo.resources.models.and_node_log_records_filter import AndNodeLogRecordsFilter as And
from galileo.resources.models.filter_leaf_log_records_filter import FilterLeafLogRecordsFilter as Leaf
from galileo.resources.models.not_node_log_records_filter import NotNodeLogRecordsFilter as Not
from galileo.resources.models.or_node_log_records_filter import OrNodeLogRecordsFilter as Or

given = json.load(sys.stdin)
project_id, client = given["project_id"], GalileoPythonConfig.get().api_client

def count(body):
    return counting.sync(project_id, client=client, body=body).total_count
"""

BY_HAND = """
contains_x = Leaf(LogRecordsTextFilter("input", LogRecordsTextFilterOperator.CONTAINS, "x"))
above_3 = Leaf(LogRecordsNumberFilter("score", LogRecordsNumberFilterOperator.GT, 3))
toxic = Leaf(LogRecordsNumberFilter("metrics/toxicity", LogRecordsNumberFilterOperator.BETWEEN, [0.25, 1]))
vip = Leaf(LogRecordsCollectionFilter("tags", LogRecordsCollectionFilterOperator.ONE_OF, ["vip", "beta"]))
complete = Leaf(LogRecordsBooleanFilter("is_complete", True))
may = Leaf(LogRecordsDateFilter(
    "created_at", LogRecordsDateFilterOperator.GTE, datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
))
sorry = Leaf(LogRecordsTextFilter("output", LogRecordsTextFilterOperator.CONTAINS, "SORRY", case_sensitive=False))
some = Leaf(LogRecordsIDFilter("id", given["ids"], LogRecordsIDFilterOperator.NOT_IN))
print(json.dumps([
    count(LogRecordsQueryCountRequest()),
    count(LogRecordsQueryCountRequest(filter_tree=And([contains_x, Not(above_3)]))),
    count(LogRecordsQueryCountRequest(filter_tree=And([Or([vip, And([may, complete])]), Not(Or([toxic, sorry]))]))),
    count(LogRecordsQueryCountRequest(
        filter_tree=Not(And([Not(Or([some, toxic])), Not(complete)])), log_stream_id=given["stream"]
    )),
]))
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

contains_x, above_3 = Col("input").contains("x"), Col("score").gt(3)
toxic, vip = Col("metrics/toxicity").between(0.25, 1), Col.collection("tags").one_of(["vip", "beta"])
complete, may = Col("is_complete").eq(True), Col("created_at").gte(datetime(2026, 5, 1, tzinfo=UTC))
sorry, some = Col("output").contains("SORRY", case_sensitive=False), Col.id("id").not_in(IDS)


async def sdk(server: LocalGalileo, home: Path, program: str, **given: Any) -> Any:
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


async def test_nested_filters_count_alike(tmp_path: Path) -> None:
    """One filter in the SDK's words and in ours: the same request reaches the server, and the same count returns."""
    ours = [
        (None, None),
        (contains_x & ~above_3, None),
        ((vip | (may & complete)) & ~(toxic | sorry), None),
        (~(~(some | toxic) & ~complete), STREAM),
    ]
    async with LocalGalileo(SESSIONS) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        theirs = await sdk(server, tmp_path, BY_HAND, ids=IDS, stream=STREAM)
        counts = [await galileo.count(PROJECT, where, log_stream_id=stream) for where, stream in ours]
        asked = server.requests
    assert counts == theirs
    assert asked[:4] == asked[4:]
    assert counts[0] == 312 > max(counts[1:]) > min(counts[1:]) > 0


async def test_the_sdk_reads_what_is_written_here(tmp_path: Path) -> None:
    """A filter dumped here and loaded by the SDK is sent by it as the same filter, whatever its leaves."""
    filters: list[Filter] = [
        contains_x,
        sorry,
        Col.text("name").not_in(["a", "b"]),
        above_3,
        toxic,
        NumberFilter("score", "eq", [1, 2.5]),
        vip,
        complete,
        may,
        some,
        IdFilter("id", "eq", IDS[0]),
        FullyAnnotatedFilter(),
        FullyAnnotatedFilter([IDS[0]]),
        ~(contains_x | (vip & ~~above_3 & ~toxic)),
    ]
    bodies = [{"filter_tree": dump_filter(where)} for where in filters]
    bodies += [{"filters": [dump_filter(where)["filter"] for where in filters[:3]], "log_stream_id": STREAM}]
    async with LocalGalileo(SESSIONS) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        theirs = await sdk(server, tmp_path, AS_WRITTEN_HERE, bodies=bodies)
        counts = [await galileo.count(PROJECT, where) for where in filters]
        counts += [await galileo.count(PROJECT, filters=filters[:3], log_stream_id=STREAM)]
        asked = server.requests
    assert counts == theirs
    assert asked[: len(bodies)] == asked[len(bodies) :]


async def test_columns_are_alike(tmp_path: Path) -> None:
    """The SDK, whose enums are closed, reads the local server's columns, and knows the same types."""
    async with LocalGalileo(SESSIONS) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        theirs = await sdk(server, tmp_path, COLUMNS, stream=STREAM)
        catalog = await galileo.columns(PROJECT, log_stream_id=STREAM)
    assert {info.id: info.filter_type for info in catalog.columns} == theirs
    assert {"text", "number", "boolean", "date", "collection", "id"} == set(theirs.values())


async def test_the_sdk_finds_log_streams(tmp_path: Path) -> None:
    """By name, from a project by id or name; those that the sessions of the project have."""
    found = [session.get("log_stream_id") for session in SESSIONS if session["project_id"] == PROJECT]
    streams = list(dict.fromkeys(filter(None, found)))
    async with LocalGalileo(SESSIONS) as server:
        found = await sdk(server, tmp_path, LOG_STREAMS, stream=streams[-1])
    assert [["default", streams[0], PROJECT], [streams[-1], streams[-1], PROJECT], None] == found
