"""What GalileoSessions promises of one count, of a project's columns, of its attempts, and of itself."""

import copy
import json
import logging
import pickle
from datetime import UTC, datetime

import pytest
from support.clients import connected
from support.clock import virtual_time
from support.sockets import PROJECT, answers, http
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import Attempt, Col, ColumnCatalog, ConfigurationError, CountQuery, GalileoSessions

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
BY_HAND = ColumnCatalog.of({"metrics/toxicity": "number"}, input="text", tags="collection")
ANSWER = json.dumps(gs.dump_catalog(BY_HAND))

PROJECT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions"


async def test_headline_filter_travels_as_documented(shapes):
    """`count` POSTs the filter tree to the documented path, with the key, and returns an int."""
    shapes.post(f"{PROJECT_URL}/count", body='{"total_count": 12}')
    async with GalileoSessions("the-key") as galileo:
        assert await galileo.count(PROJECT, HEADLINE) == 12
    (((method, url), (call,)),) = shapes.requests.items()
    assert (method, url) == ("POST", URL(f"{PROJECT_URL}/count"))
    assert call.kwargs["data"].decode() == CountQuery(PROJECT, HEADLINE).body.decode()
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["headers"]["Galileo-API-Key"] == "the-key"
    assert call.kwargs["headers"]["Content-Type"] == "application/json"
    assert call.kwargs["headers"]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("name", ["user-agent", "USER-AGENT", "accept", "Accept"])
async def test_a_header_in_another_case_replaces_ours(name):
    """`headers=` adds headers to each request; one of ours is replaced, whatever its case, and sent once."""
    async with connected(http(), headers={name: "text/mine", "X-Team": "blue"}) as (server, galileo):
        await galileo.count(PROJECT)
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    assert [line for line in head if line.lower().startswith(f"{name.lower()}:")] == [f"{name}: text/mine"]
    assert "X-Team: blue" in head


async def test_on_attempt_hears_of_each_attempt_and_may_fail(caplog):
    """It gets the objects that errors list; what it raises is logged, never raised."""
    heard: list[Attempt] = []

    def listen(attempt: Attempt) -> None:
        heard.append(attempt)
        raise RuntimeError("listener broke")

    async with connected(answers(http(), http(404, "gone")), on_attempt=listen) as (_, galileo):
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
    async with connected(http()) as (_, galileo):
        await galileo.count(PROJECT, HEADLINE)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "galileo_sessions"]
    assert line.startswith("POST /v2/projects/{project_id}/sessions/count: attempt 1, status 200, ")
    assert line.endswith(" s")


@pytest.mark.parametrize("call", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_a_client_is_neither_copied_nor_pickled(call):
    """A copy would share connections, and a pickle would carry the key: both are refused with what to do."""
    with pytest.raises(ConfigurationError, match="Make one in each worker, and send CountQuery objects"):
        call(GalileoSessions("k"))


# ---- columns ---------------------------------------------------------------------------------------------------------


async def test_columns_are_asked_as_documented(shapes):
    """`columns` POSTs the scope and the times, as ISO 8601 with an offset, and returns a catalog."""
    shapes.post(f"{PROJECT_URL}/available_columns", body=ANSWER, repeat=True)
    scope = dict.fromkeys(("log_stream_id", "experiment_id", "metrics_testing_id"), PROJECT)
    times = {"start_time": "2026-01-31T09:00:00+02:00", "end_time": "2026-02-01T00:00:00+00:00"}
    async with GalileoSessions("the-key") as galileo:
        assert await galileo.columns(PROJECT) == BY_HAND
        await galileo.columns(PROJECT, **scope, **{**times, "end_time": datetime(2026, 2, 1, tzinfo=UTC)})
    (((method, url), calls),) = shapes.requests.items()
    assert (method, url) == ("POST", URL(f"{PROJECT_URL}/available_columns"))
    assert [json.loads(call.kwargs["data"].decode()) for call in calls] == [{}, scope | times]
    assert calls[0].kwargs["headers"]["Galileo-API-Key"] == "the-key"


SECRET_ID = '{"columns": [{"category": "standard", "id": ["the-secret-key"]}]}'


@pytest.mark.parametrize(
    ("body", "words"),
    [("[]", "expected a JSON object"), (SECRET_ID, "at .columns[0].id: expected text")],
    ids=["a list", "an id that is no text"],
)
@virtual_time
async def test_a_200_without_columns_is_a_decode_error(body, words):
    """The error names the place of the fault, and holds no credential that the service echoed."""
    async with connected(http(body=body), api_key="the-secret-key") as (_, galileo):
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.columns(PROJECT)
    assert words in str(caught.value)
    assert "the-secret-key" not in f"{caught.value!r} {caught.value.body}"
    assert caught.value.__context__ is None


async def test_many_columns_are_read():
    """A list of columns can have 8 MiB; a longer one is neither read nor requested again."""
    long = json.dumps({"columns": [{"id": f"metrics/{i}", "category": "metric"} for i in range(50_000)]})
    too_long = json.dumps({"columns": [], "more": "x" * (8 << 20)})
    async with connected(answers(http(body=long), http(body=too_long))) as (server, galileo):
        assert len(await galileo.columns(PROJECT)) == 50_000
        with pytest.raises(gs.ProtocolError, match="8,388,608 bytes"):
            await galileo.columns(PROJECT)
    assert len(server.requests) == 2
