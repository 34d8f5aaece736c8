"""What GalileoSessions promises of one count and of its own arguments."""

import copy
import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from support.inside import replace_post
from support.sockets import PROJECT, answers, http, raw_server
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import Attempt, Col, ConfigurationError, CountQuery, GalileoSessions
from galileo_sessions.api.responses import Response

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)

COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"


async def test_headline_filter_travels_as_documented(shapes):
    """`count` POSTs the filter tree to the documented path, with the key, and returns an int."""
    shapes.post(COUNT_URL, body='{"total_count": 12}')
    async with GalileoSessions("the-key") as galileo:
        assert await galileo.count(PROJECT, HEADLINE) == 12
    ((method, url),) = shapes.requests
    assert (method, url) == ("POST", URL(COUNT_URL))
    (call,) = shapes.requests[method, url]
    assert call.kwargs["data"].decode() == CountQuery(PROJECT, HEADLINE).body.decode()
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["headers"]["Galileo-API-Key"] == "the-key"
    assert call.kwargs["headers"]["Content-Type"] == "application/json"
    assert call.kwargs["headers"]["Accept-Encoding"] == "identity"


async def test_three_hops_lead_to_the_network():
    """A count or a worker calls `send`, that calls `post`, and that `request` of the transport."""
    package, paths = Path(gs.__file__).parent, list[list[str]]()

    async def post(_: str) -> Response:
        codes = [frame.f_code for frame, _ in traceback.walk_stack(sys._getframe())]
        paths.append([code.co_qualname for code in codes if Path(code.co_filename).is_relative_to(package)])
        return Response(200, {}, b'{"total_count":7}')

    async with GalileoSessions("k") as galileo:
        replace_post(galileo, post)
        assert await galileo.count(PROJECT, HEADLINE) == 7
        assert (await galileo.count_all([PROJECT])).total == 7
    above = ["Requester.post", "Requester.send"]
    assert paths == [[*above, "GalileoSessions.count"], [*above, "CountStream._work"]]


@pytest.mark.parametrize("name", ["user-agent", "USER-AGENT", "accept", "Accept"])
async def test_a_header_in_another_case_replaces_ours(name):
    """`headers=` adds headers to each request; one of ours is replaced, whatever its case, and sent once."""
    async with raw_server(http()) as server:
        headers = {name: "text/mine", "X-Team": "blue"}
        async with GalileoSessions("k", base_url=server.url, headers=headers) as galileo:
            await galileo.count(PROJECT)
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    assert [line for line in head if line.lower().startswith(f"{name.lower()}:")] == [f"{name}: text/mine"]
    assert "X-Team: blue" in head


async def test_on_attempt_hears_of_each_attempt_and_may_fail(caplog):
    """`on_attempt` gets the objects that errors list; what it raises is logged, never raised."""
    heard: list[Attempt] = []

    def listen(attempt: Attempt) -> None:
        heard.append(attempt)
        raise RuntimeError("listener broke")

    async with raw_server(answers(http(), http(404, "gone"))) as server:
        async with GalileoSessions("k", base_url=server.url, on_attempt=listen) as galileo:
            assert await galileo.count(PROJECT) == 7
            with pytest.raises(gs.NotFoundError) as caught:
                await galileo.count(PROJECT)
    assert [(a.number, a.status, type(a.error)) for a in heard] == [(1, 200, type(None)), (1, 404, gs.NotFoundError)]
    assert caught.value.attempts == (heard[1],)
    records = [record for record in caplog.records if record.name == "galileo_sessions"]
    assert [record.getMessage() for record in records] == ["on_attempt raised; the counts go on"] * 2
    assert all(record.levelno == logging.ERROR and record.exc_info for record in records)


async def test_an_attempt_has_its_query(sample):
    """`on_attempt` learns the project and the tag; a request for columns has no filter, one for projects no query."""
    heard: list[Attempt] = []
    async with GalileoSessions(sample.api_key, base_url=sample.url, on_attempt=heard.append) as galileo:
        sample.fail_next(503)
        report = await galileo.count_all([CountQuery(PROJECT, HEADLINE, tag="billing")], check=False)
        _ = await galileo.columns(PROJECT)
        _ = [project async for project in galileo.projects()]
    query = report.results[0].query
    assert [attempt.query for attempt in heard] == [query, query, CountQuery(PROJECT), None]
    assert all(attempt.query is query for attempt in heard[:2])
    assert "billing" not in repr(heard)


async def test_one_debug_line_an_attempt(caplog):
    """The logger writes the path template, the status and the milliseconds, but no header, body or id."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    async with raw_server(http()) as server, GalileoSessions("the-key", base_url=server.url) as galileo:
        await galileo.count(PROJECT, HEADLINE)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "galileo_sessions"]
    assert line.startswith("POST /v2/projects/{project_id}/sessions/count: attempt 1, status 200, ")
    assert line.endswith(" ms")


def test_import_starts_nothing_and_reads_no_environment():
    """Importing the package makes no event loop and needs no credentials."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GALILEO_")}
    program = "import galileo_sessions, sys; print(len(galileo_sessions.__all__) > 40)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == ("True\n", "")


# ---- calls that can't work -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_a_client_is_neither_copied_nor_pickled(call):
    """A copy would share connections, and a pickle would carry the key: both are refused with what to do."""
    with pytest.raises(ConfigurationError, match="Make one in each worker, and send CountQuery objects"):
        call(GalileoSessions("k"))
