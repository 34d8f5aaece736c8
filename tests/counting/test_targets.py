"""What is counted: queries of their own, NEVER, what is no project, and log streams, which are found by name."""

import asyncio

import pytest
from support.clients import connected, ids
from support.clock import virtual_time
from support.network import Scripted
from support.private import in_flight
from support.sockets import PROJECT, answers, http

from galileo_sessions import (
    ALWAYS,
    NEVER,
    Col,
    ConfigurationError,
    CountQuery,
    FilterDecodeError,
    LogStream,
    LogStreamLookupError,
    any_of,
)
from galileo_sessions.api.query import ANY_PROJECT, dump_query, load_query, query_of
from galileo_sessions.flow.settings import Limits
from galileo_sessions.local import LocalGalileo

A, B = Col.text("a").eq("x"), Col.number("b").gt(1)


@pytest.mark.parametrize(
    ("own", "given", "both"),
    [
        ({"where": A}, {"where": B}, {"where": A & B}),
        ({}, {"where": B}, {"where": B}),
        ({"where": A | B}, {"where": ~B}, {"where": (A | B) & ~B}),
        ({"where": A}, {"log_stream_id": PROJECT}, {"where": A, "log_stream_id": PROJECT}),
        ({"log_stream_id": PROJECT}, {"log_stream_id": PROJECT}, {"log_stream_id": PROJECT}),
    ],
    ids=str,
)
def test_a_query_is_narrowed_to_what_is_given_with_it(own, given, both):
    """Its own filter stays as it is if only a scope is given; its tag remains."""
    query = query_of(CountQuery(ANY_PROJECT, **given), CountQuery(PROJECT, **own, tag="t"))
    assert (query, query.tag, query.body) == (CountQuery(PROJECT, **both), "t", CountQuery(PROJECT, **both).body)


async def test_a_filter_given_with_queries_applies_to_each():
    query = CountQuery(PROJECT, A)
    async with connected(http()) as (server, galileo):
        await galileo.count(query, B)
        await galileo.count_all([query], filters=[B])
        async with galileo.count_many([query], B) as stream:
            await anext(stream)
    assert [request.split(b"\r\n\r\n")[1] for request in server.requests] == [CountQuery(PROJECT, A & B).body] * 3


@pytest.mark.parametrize("where", [NEVER, any_of([]), A & NEVER, ~ALWAYS], ids=repr)
async def test_never_is_zero_without_a_request(where):
    async with connected({}, check=True) as (server, galileo):
        assert await galileo.count(PROJECT, where) == 0
        report = await galileo.count_all([*ids(3), CountQuery(PROJECT, where), CountQuery(PROJECT, A)], where)
        assert report.counts == (0,) * 5
        assert {(result.attempts, result.ok) for result in report.results} == {((), True)}
        assert (report.progress.done, report.progress.failed) == (5, 0)
    assert server.connections == 0


@virtual_time
async def test_what_is_not_sent_gives_its_permit_back():
    """A target that is no id takes no time of the rate, either; nor does a filter that never applies."""
    targets = [each for number in range(20) for each in (f"no id {number}", CountQuery(PROJECT, NEVER), PROJECT)]
    async with Scripted(latency=0.01).client(limits=Limits(2, rate=1)) as galileo, asyncio.timeout(50):
        assert [None, 0, 7] * 20 == [*(await galileo.count_all(targets)).counts]
        assert 0 == in_flight(galileo)
        began = asyncio.get_running_loop().time()
        await galileo.count_all([f"no id {number}" for number in range(20)])
        await galileo.count_all(ids(20), NEVER)
        assert asyncio.get_running_loop().time() - began < 2


def test_never_travels_as_plain_data():
    """It is an `or` without conditions, whose meaning the API doesn't document, so that it can't be read back."""
    data = dump_query(CountQuery(PROJECT, NEVER))
    assert data == {"project_id": PROJECT, "filter_tree": {"or": []}}
    with pytest.raises(FilterDecodeError, match="Write NEVER in Python"):
        load_query(data)


@pytest.mark.parametrize("target", ["not-a-uuid", f"{PROJECT} ", "../../evil", 3, None, b"x"], ids=repr)
async def test_a_target_that_is_no_uuid_has_an_error_as_its_result(target):
    async with connected({}, check=False) as (server, galileo):
        report = await galileo.count_all([*ids(3), target, *ids(3)], concurrency=2)
    assert report.counts == (0, 1, 2, None, 0, 1, 2)
    result = report.results[3]
    assert (result.target, result.query, result.attempts) == (target, None, ())
    assert str(result.error).startswith(f"project_id must be a UUID, got {target!r}")
    assert report.rows()[3]["project_id"] == str(target)
    assert repr(result) == f"<CountResult: ConfigurationError, project {target!r}>"
    assert len(server.requests) == 6


OWN, PRODUCTION, STAGING, *MORE = [f"{each[:14]}4{each[15:19]}8{each[20:]}" for each in ids(10)]
SESSIONS = [
    {"project_id": OWN, "log_stream_id": stream, "score": score}
    for score, stream in enumerate([PRODUCTION, STAGING, PRODUCTION, *MORE])
]
HIGH, TWO = Col("score") > 1, MORE[-2:]


@pytest.fixture
async def galileo():
    server = LocalGalileo(SESSIONS, names={OWN: "Chatbot", STAGING: "Tests"} | dict.fromkeys(TWO, "twice"))
    async with connected(server, api_key=server.api_key) as (_, galileo):
        yield galileo


async def test_the_log_streams_of_a_project_are_listed(galileo):
    project = await galileo.project("Chatbot")
    names = ["production", "Tests", "staging", "development", *MORE[2:-2], "twice", "twice"]
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


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("prodution", "there is no log stream 'prodution' among the 9 listed", "Did you mean production?"),
        ("twice", "2 log streams are named 'twice'", f"Write the id of one: {TWO[0]}, {TWO[1]}"),
    ],
)
async def test_a_name_that_finds_no_single_log_stream_says_why(galileo, name, said, hint):
    with pytest.raises(LogStreamLookupError) as caught:
        await galileo.log_stream(OWN, name)
    assert (caught.value.message, caught.value.hint) == (said, hint)
    assert TWO[: 2 * (name == "twice")] == [stream.id for stream in caught.value.log_streams]


async def test_another_log_stream_than_the_target_is_refused(galileo):
    """Before a request, with both ids. The same one is no mistake."""
    stream, query = LogStream(PRODUCTION, "production", OWN), CountQuery(OWN, HIGH, log_stream_id=PRODUCTION)
    assert await galileo.count(stream, log_stream_id=PRODUCTION.upper()) == 2
    for call, target in ((galileo.count, query), (galileo.columns, stream), (galileo.explain, stream)):
        with pytest.raises(ConfigurationError, match=f"log_stream_id is {STAGING}, but the query has {PRODUCTION}"):
            await call(target, log_stream_id=STAGING)
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
