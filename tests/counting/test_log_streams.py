"""Log streams: found by name, and targets wherever a project is."""

import pytest
from support.clients import connected, ids
from support.sockets import PROJECT, answers, http

from galileo_sessions import Col, ConfigurationError, CountQuery, LogStream, LogStreamLookupError
from galileo_sessions.local import LocalGalileo

OWN, PRODUCTION, STAGING, *MORE = [f"{each[:14]}4{each[15:19]}8{each[20:]}" for each in ids(10)]
SESSIONS = [
    {"project_id": OWN, "log_stream_id": stream, "score": score}
    for score, stream in enumerate([PRODUCTION, STAGING, PRODUCTION, *MORE])
]
HIGH = Col("score") > 1


@pytest.fixture
async def galileo():
    server = LocalGalileo(SESSIONS, names={OWN: "Chatbot", STAGING: "Tests"})
    async with connected(server, api_key=server.api_key) as (_, galileo):
        yield galileo


async def test_the_log_streams_of_a_project_are_listed(galileo):
    """Each with its name and its project's, in order."""
    project = await galileo.project("Chatbot")
    names = ["production", "Tests", "development", *MORE[1:]]
    expected = [LogStream(*each, OWN, "Chatbot") for each in zip([PRODUCTION, STAGING, *MORE], names, strict=True)]
    assert expected == [stream async for stream in galileo.log_streams(project)]
    assert [stream async for stream in galileo.log_streams(PROJECT)] == []


@pytest.mark.parametrize("name", ["production", " production\n", PRODUCTION, PRODUCTION.upper()])
async def test_a_log_stream_is_a_target_wherever_a_project_is(galileo, name):
    """Only its sessions are counted, and rows have its name."""
    stream = await galileo.log_stream(OWN, name)
    assert (2, 1) == (await galileo.count(stream), await galileo.count(stream, HIGH))
    assert await galileo.count(CountQuery(stream, HIGH)) == await galileo.count(OWN, HIGH, log_stream_id=PRODUCTION)
    assert [node.total_count for node in (await galileo.explain(stream, HIGH)).nodes] == [1]
    assert "score" in await galileo.columns(stream)
    counts = await galileo.count_by(stream, Col.number("score").bins(0, 1, 2, 3))
    assert [0, 1, 0, 1, 0] == [*counts.values()]
    assert {"production"} == {row["log_stream"] for row in counts.rows()}
    report = await galileo.count_all(galileo.log_streams(OWN), by={"high": HIGH})
    assert [("production", 1), ("Tests", 0)] == [(row["log_stream"], row["total_count"]) for row in report.rows()[:2]]
    assert "production" in repr(report.results[0])


async def test_a_log_stream_that_is_not_there(galileo):
    """The error suggests a similar name; an unknown id has none."""
    with pytest.raises(LogStreamLookupError, match="there is no log stream 'prodution' among the 9 listed") as caught:
        await galileo.log_stream(OWN, "prodution")
    assert "Did you mean production?" == caught.value.hint
    with pytest.raises(LogStreamLookupError):
        await galileo.log_stream(OWN, OWN)


async def test_two_log_streams_of_one_name():
    """Their ids are in the error."""
    server = LocalGalileo(SESSIONS, names={PRODUCTION: "a", STAGING: "a"})
    async with connected(server, api_key=server.api_key) as (_, galileo):
        with pytest.raises(LogStreamLookupError, match="2 log streams are named 'a'") as caught:
            await galileo.log_stream(OWN, "a")
    assert (PRODUCTION, STAGING) == tuple(stream.id for stream in caught.value.log_streams)
    assert f"Write the id of one: {PRODUCTION}, {STAGING}" == caught.value.hint


async def test_another_log_stream_than_the_target_is_refused(galileo):
    """Before a request, with both ids. The same one is no mistake."""
    stream, query = LogStream(PRODUCTION, "production", OWN), CountQuery(OWN, HIGH, log_stream_id=PRODUCTION)
    assert await galileo.count(stream, log_stream_id=PRODUCTION.upper()) == 2
    with pytest.raises(ConfigurationError, match=f"log_stream_id is {STAGING}, but the query has {PRODUCTION}"):
        await galileo.count(query, log_stream_id=STAGING)
    for call in (galileo.count, galileo.columns, galileo.explain):
        with pytest.raises(ConfigurationError, match=f"log_stream_id is {STAGING}, but the query has {PRODUCTION}"):
            await call(stream, log_stream_id=STAGING)
    with pytest.raises(ConfigurationError, match=f"log_stream_id is {STAGING}, but log stream 'production' has"):
        CountQuery(stream, log_stream_id=STAGING)


async def test_log_streams_are_asked_for_as_the_sdk_does():
    """By a GET without a body, page by page, with the credentials."""
    page = '{"log_streams": [{"id": "%s", "name": "a", "project_id": "%s"}], "next_starting_token": %s}'
    pages = answers(http(body=page % (PRODUCTION, OWN, 100)), http(body=page % (STAGING, OWN, "null")))
    async with connected(pages) as (server, galileo):
        assert [PRODUCTION, STAGING] == [stream.id async for stream in galileo.log_streams(OWN)]
    first, second = [request.decode() for request in server.requests]
    assert first.startswith(f"GET /projects/{OWN}/log_streams/paginated?starting_token=0&limit=100 HTTP/1.1\r\n")
    assert "starting_token=100" in second
    assert "Galileo-API-Key: k" in first
    assert first.endswith("\r\n\r\n")
