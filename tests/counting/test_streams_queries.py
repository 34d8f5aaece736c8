"""Targets that are queries, the filter and scope given with them, and queries that need no request."""

import json

import pytest
from support.clients import ids
from support.sockets import PROJECT, RawServer, http, numbered, raw_server

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, CountQuery, Filter, GalileoSessions, any_of, dump_filter, dump_query

A, B = Col.text("a").eq("x"), Col.number("b").gt(1)
STREAM, OTHER = ids(8)[6:]


def sent(server: RawServer) -> list[dict[str, object]]:
    """The JSON of each request."""
    return [json.loads(request.split(b"\r\n\r\n")[1]) for request in server.requests]


@pytest.mark.parametrize(
    ("query", "arguments", "tree"),
    [
        (CountQuery(PROJECT, A, tag="t"), {"where": B}, A & B),
        (CountQuery(PROJECT, tag="t"), {"where": B}, B),
        (CountQuery(PROJECT, filters=[A], tag="t"), {"where": B}, A & B),
        (CountQuery(PROJECT, A, tag="t"), {"filters": [B]}, A & B),
        (CountQuery(PROJECT, filters=[A], tag="t"), {"filters": [B]}, A & B),
        (CountQuery(PROJECT, A | B, tag="t"), {"where": ~B}, (A | B) & ~B),
    ],
    ids=["where, where", "nothing, where", "filters, where", "where, filters", "filters, filters", "or, not"],
)
async def test_a_filter_given_with_queries_applies_to_each(query, arguments, tree):
    """A `where` or `filters` given with a `CountQuery` narrows it; its tag remains."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all([query], **arguments)
        async with galileo.count_many([query], **arguments) as stream:
            streamed = [result async for result in stream]
        assert await galileo.count(query, **arguments) == 7
    expected = {"filter_tree": dump_filter(tree)}
    assert sent(server) == [expected] * 3
    assert [result.query.tag for result in (*report.results, *streamed)] == ["t", "t"]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (CountQuery(PROJECT, A), {"filter_tree": dump_filter(A)}),
        (CountQuery(PROJECT, filters=[A]), {"filters": [dump_filter(A)["filter"]]}),
        (CountQuery(PROJECT, log_stream_id=STREAM), {}),
    ],
    ids=["where", "filters", "scope"],
)
async def test_a_scope_given_with_a_query_is_added(query, body):
    """Its own filter, flat or not, stays as it is. Another log stream than its own is refused, before a request."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(query, log_stream_id=STREAM) == 7
        assert sent(server) == [{**body, "log_stream_id": STREAM}]
        with pytest.raises(gs.ConfigurationError, match=f"log_stream_id is {OTHER}, but the query has {STREAM}"):
            await galileo.count(CountQuery(PROJECT, A, log_stream_id=STREAM), log_stream_id=OTHER)
    assert len(server.requests) == 1


# ---- queries that need no request ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [NEVER, any_of([]), A & NEVER, ~ALWAYS], ids=repr)
async def test_never_is_zero_without_a_request(where: Filter):
    """A filter that matches no session counts 0 without a request."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url, check=True) as galileo:
        assert await galileo.count(PROJECT, where) == 0
        report = await galileo.count_all([*ids(3), CountQuery(PROJECT, where), CountQuery(PROJECT, A)], where)
    assert report.counts == (0,) * 5
    assert {(result.attempts, result.ok) for result in report.results} == {((), True)}
    assert (report.progress.done, report.progress.failed) == (5, 0)
    assert server.connections == 0


async def test_never_among_other_targets():
    """A query that counts nothing is 0 without a request; the other queries are counted."""
    words = {0: ["x"], 1: [], 2: ["y", "z"]}
    queries = [CountQuery(ids(3)[n], any_of([Col("a").contains(word) for word in words[n]])) for n in words]
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert (await galileo.count_all(queries, check=False)).counts == (0, 0, 2)
    assert len(server.requests) == 2


def test_never_travels_as_plain_data():
    """An `or` without conditions is NEVER, and survives as plain data."""
    query = CountQuery(PROJECT, NEVER, tag=1)
    assert dump_query(query) == {"project_id": PROJECT, "filter_tree": {"or": []}, "tag": 1}
    assert gs.load_query(dump_query(query)) == query
    assert query.for_project(STREAM).body == b""
