"""Galileo's own SDK and this package, side by side against one local server."""

import importlib.util
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from local.sdk_pages import SDKGalileo

from galileo_sessions import Col, Filter, FullyAnnotatedFilter, GalileoSessions, IdFilter, NumberFilter, dump_filter
from galileo_sessions.local import sample_sessions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("galileo") is None, reason="Galileo's SDK isn't installed; it is in the group `sdk`"
)

SESSIONS = sample_sessions()
PROJECT = str(SESSIONS[0]["project_id"])
STREAM = next(session["log_stream_id"] for session in SESSIONS if session.get("log_stream_id"))
IDS = [str(session["id"]) for session in SESSIONS[:5]]

PROGRAM = """
import json, sys
from galileo.config import GalileoPythonConfig
from galileo.resources.api.trace import count_sessions_projects_project_id_sessions_count_post as counting
from galileo.resources.api.trace import (
    sessions_available_columns_projects_project_id_sessions_available_columns_post as columns,
)
from galileo.resources.models import *

given = json.load(sys.stdin)
project_id, stream, client = given["project_id"], given["stream"], GalileoPythonConfig.get().api_client

def count(body):
    return counting.sync(project_id, client=client, body=LogRecordsQueryCountRequest.from_dict(body)).total_count

answer = columns.sync(project_id, client=client, body=LogRecordsAvailableColumnsRequest(log_stream_id=stream))
print(json.dumps({
    "counts": [count(body) for body in given["bodies"]],
    "columns": {column.id: column.filter_type.value for column in answer.columns},
}))
"""

TOXIC, VIP = Col("metrics/toxicity").between(0.25, 1), Col.collection("tags").one_of(["vip", "beta"])
MAY, SOME = Col("created_at").gte(datetime(2026, 5, 1, tzinfo=UTC)), Col.id("id").not_in(IDS)
SORRY, COMPLETE = Col("output").contains("SORRY", case_sensitive=False), Col("is_complete").eq(True)
FILTERS: list[Filter] = [Col("input").contains("x"), SORRY, Col.text("name").not_in(["a", "b"]), Col("score").gt(3)]
FILTERS += [TOXIC, VIP, COMPLETE, MAY, SOME, NumberFilter("score", "eq", [1, 2.5]), IdFilter("id", "eq", IDS[0])]
FILTERS += [FullyAnnotatedFilter(), FullyAnnotatedFilter([IDS[0]]), ~(~(SOME | TOXIC) & ~COMPLETE)]
FILTERS += [(VIP | (MAY & COMPLETE)) & ~(TOXIC | SORRY)]
BODIES = [{"filter_tree": dump_filter(where)} for where in FILTERS]
BODIES += [{"filters": [dump_filter(where)["filter"] for where in FILTERS[:3]], "log_stream_id": STREAM}]


@pytest.fixture(scope="module")
def server():
    with SDKGalileo(SESSIONS) as server:
        yield server


@pytest.fixture(scope="module")
def theirs(server, tmp_path_factory):
    """What the SDK is told, in a process of its own: it keeps threads and connections until its process ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GALILEO_")}
    environment |= {"GALILEO_API_URL": server.url, "GALILEO_CONSOLE_URL": server.url}
    environment |= {"GALILEO_API_KEY": server.api_key, "GALILEO_HOME_DIR": str(tmp_path_factory.mktemp("home"))}
    given = {"project_id": PROJECT, "stream": STREAM, "bodies": BODIES}
    command, sent = [sys.executable, "-c", PROGRAM], json.dumps(given)
    ran = subprocess.run(command, input=sent, env=environment, capture_output=True, text=True)
    assert 0 == ran.returncode, ran.stderr
    return json.loads(ran.stdout)


async def test_the_sdk_reads_what_is_written_here(server, theirs):
    """A filter dumped here and loaded by the SDK is sent by it as the same filter, whatever its leaves."""
    async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
        counts = [await galileo.count(PROJECT, where, check=False) for where in FILTERS]
        counts += [await galileo.count(PROJECT, filters=FILTERS[:3], log_stream_id=STREAM)]
    asked = server.requests
    assert counts == theirs["counts"]
    assert 0 < counts[-2] < counts[0] < 312
    assert asked[: len(BODIES)] == asked[len(BODIES) :]


async def test_columns_are_alike(server, theirs):
    """The SDK, whose enums are closed, reads the local server's columns, and knows the same types."""
    async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
        catalog = await galileo.columns(PROJECT, log_stream_id=STREAM)
    assert {info.id: info.filter_type for info in catalog.columns} == theirs["columns"]
    assert {"text", "number", "boolean", "date", "collection", "id"} == set(theirs["columns"].values())
