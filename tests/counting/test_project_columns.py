"""What GalileoSessions promises of a project's columns; test_catalog.py tests the catalog itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from support.clients import client
from support.clock import virtual_time
from support.sockets import PROJECT, answers, http, raw_server
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import AuthenticationError, Col, ColumnCatalog, ConfigurationError, DecodeError, GalileoSessions
from galileo_sessions.local import LocalGalileo

BY_HAND = ColumnCatalog.of({"metrics/toxicity": "number"}, input="text", tags="collection")
ANSWER = json.dumps(gs.dump_catalog(BY_HAND))
COLUMNS_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/available_columns"


async def test_columns_are_asked_as_documented(shapes: Any) -> None:
    """`columns` POSTs an empty object to the documented path, with the key, and returns a catalog."""
    shapes.post(COLUMNS_URL, body=ANSWER)
    async with GalileoSessions("the-key") as galileo:
        assert BY_HAND == await galileo.columns(PROJECT)
    ((method, url),) = shapes.requests
    assert ("POST", URL(COLUMNS_URL)) == (method, url)
    (call,) = shapes.requests[method, url]
    assert {} == json.loads(call.kwargs["data"].decode())
    assert "the-key" == call.kwargs["headers"]["Galileo-API-Key"]


async def test_the_scope_and_the_times_travel(shapes: Any) -> None:
    """The body has the scope ids and the times, as ISO 8601 with an offset, under the API's names."""
    shapes.post(COLUMNS_URL, body=ANSWER)
    scope = dict.fromkeys(("log_stream_id", "experiment_id", "metrics_testing_id"), PROJECT)
    async with GalileoSessions("the-key") as galileo:
        await galileo.columns(
            PROJECT, **scope, start_time="2026-01-31T09:00:00+02:00", end_time=datetime(2026, 2, 1, tzinfo=UTC)
        )
    ((call,),) = shapes.requests.values()
    times = {"start_time": "2026-01-31T09:00:00+02:00", "end_time": "2026-02-01T00:00:00+00:00"}
    assert scope | times == json.loads(call.kwargs["data"].decode())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"start_time": datetime(2026, 1, 31)}, "'2026-01-31 00:00:00' has no UTC offset"),  # noqa: DTZ001  # the mistake
        ({"end_time": "2026-01-31T09:00:00"}, "'2026-01-31T09:00:00' has no UTC offset"),
        ({"end_time": "yesterday"}, "'yesterday' is not an ISO 8601 time"),
        ({"start_time": 5}, "expected a datetime or ISO 8601 text, got 5"),
        ({"project_id": "mine"}, "project_id must be a UUID, got 'mine'"),
        ({"log_stream_id": "mine"}, "log_stream_id must be a UUID, got 'mine'"),
    ],
    ids=["a naive time", "a time without an offset", "no time", "a number", "project", "log stream"],
)
async def test_what_cannot_be_asked_is_refused(arguments: dict[str, Any], words: str) -> None:
    """An invalid argument is quoted in the error, and nothing is sent."""
    async with raw_server(http(body=ANSWER)) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises((ConfigurationError, gs.FilterError), match=words):
            await galileo.columns(**{"project_id": PROJECT, **arguments})
        assert [] == server.requests


async def test_a_filter_is_checked_and_counted(sample: LocalGalileo, galileo: GalileoSessions) -> None:
    """The catalog passes a valid filter on to the count, and rejects an invalid one before a request."""
    catalog = await galileo.columns(PROJECT)
    assert isinstance(catalog["score"], gs.NumberCol)
    assert 0 < await galileo.count(PROJECT, catalog.check(catalog["score"] > 3))
    with pytest.raises(gs.FilterCheckError, match="did you mean score"):
        await galileo.count(PROJECT, catalog.check(Col("scroe") > 3))
    assert 1 == len(sample.requests)


async def test_trouble_is_met_as_by_counts(sample: LocalGalileo, galileo: GalileoSessions) -> None:
    """Columns are retried like counts, and their errors know the query and the attempts."""
    sample.fail_next(503)
    assert "input" in await galileo.columns(PROJECT)
    for status, error in ((404, gs.NotFoundError), (401, AuthenticationError)):
        sample.fail_next(status)
        with pytest.raises(error) as caught:
            await galileo.columns(PROJECT, timeout=5)
        assert (PROJECT, 1) == (getattr(caught.value.query, "project_id", None), len(caught.value.attempts))
    async with client(sample.url, api_key=sample.api_key) as fresh:  # which has seen no other failure
        sample.fail_next(500, times=4)
        with pytest.raises(gs.ServerError) as server_error:
            await fresh.columns(PROJECT)
        assert 4 == len(server_error.value.attempts)
        sample.fail_next(429, headers={"Retry-After": "30"})
        with pytest.raises(gs.RateLimitedError, match="it asks for a wait of 30 s"):
            await fresh.columns(PROJECT, timeout=5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[]", "expected a JSON object"),
        ('{"columns": [{"label": "x"}]}', "at .columns[0]: id is missing"),
        ('{"columns": NaN}', "NaN is not JSON"),
        ('{"total_count": 3}', "at .columns: expected a list of columns"),
        ("", "an empty body"),
        ('{"columns": [{"category": "standard", "id": ["the-secret-key"]}]}', "at .columns[0].id: expected text"),
    ],
    ids=["list", "no id", "NaN", "a count", "empty", "an id that is no text"],
)
@virtual_time
async def test_a_200_without_columns_is_a_decode_error(body: str, words: str) -> None:
    """The error names the place of the fault, and holds no credential that the service echoed."""
    async with raw_server(http(body=body)) as server:
        async with GalileoSessions("the-secret-key", base_url=server.url) as galileo:
            with pytest.raises(DecodeError) as caught:
                await galileo.columns(PROJECT)
    assert words in str(caught.value)
    assert "the-secret-key" not in f"{caught.value!r} {caught.value.body}"
    assert caught.value.__context__ is None


async def test_many_columns_are_read() -> None:
    """A list of columns can have 8 MiB; a longer one is neither read nor requested again."""
    long = json.dumps({"columns": [{"id": f"metrics/{i}", "category": "metric"} for i in range(50_000)]})
    too_long = json.dumps({"columns": [], "more": "x" * (8 << 20)})
    async with raw_server(answers(http(body=long), http(body=too_long))) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            assert 50_000 == len(await galileo.columns(PROJECT))
            with pytest.raises(gs.ProtocolError, match="8,388,608 bytes"):
                await galileo.columns(PROJECT)
            assert 2 == len(server.requests)
