"""What GalileoSessions promises of one count, of its arguments, attempts and columns, and of itself."""

import asyncio
import copy
import inspect
import json
import logging
import math
import pickle
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.clients import client, connected, failure
from support.programs import run
from support.sockets import PROJECT, answers, http, silence, until
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import Attempt, Col, ColumnCatalog, ConfigurationError, CountQuery, GalileoSessions
from galileo_sessions.counting.stream import report_of
from galileo_sessions.display import brief

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
PROJECT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions"


async def test_headline_filter_travels_as_documented(shapes):
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
        error = await failure(galileo)
    assert [(a.number, a.status, type(a.error)) for a in heard] == [(1, 200, type(None)), (1, 404, gs.NotFoundError)]
    assert error.attempts == (heard[1],)
    records = [(record.getMessage(), record.levelname) for record in caplog.records if record.name != "asyncio"]
    assert records == [("on_attempt raised; the counts go on", "ERROR")] * 2
    assert all(record.exc_info for record in caplog.records)


async def test_an_attempt_has_its_query(sample):
    """`on_attempt` learns the project and the tag; a request for columns has no filter, one for projects no query."""
    heard: list[Attempt] = []
    async with client(sample.url, api_key=sample.api_key, on_attempt=heard.append) as galileo:
        sample.fail_next(503)
        report = await galileo.count_all([CountQuery(PROJECT, HEADLINE, tag="billing")], check=False)
        await galileo.columns(PROJECT)
        await anext(aiter(galileo.projects()))
    query = report.results[0].query
    assert [attempt.query for attempt in heard] == [query, query, CountQuery(PROJECT), None]
    assert all(attempt.query is query for attempt in heard[:2])
    assert "billing" not in repr(heard)


async def test_on_attempt_does_not_hear_of_a_cancelled_request():
    heard: list[Attempt] = []
    async with connected(silence, on_attempt=heard.append) as (server, galileo):
        counting = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        counting.cancel()
        await asyncio.wait([counting])
    assert heard == []


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


async def test_columns_are_asked_as_documented(shapes):
    catalog = ColumnCatalog.of({"metrics/toxicity": "number"}, input="text", tags="collection")
    shapes.post(f"{PROJECT_URL}/available_columns", body=json.dumps(gs.dump_catalog(catalog)), repeat=True)
    scope = dict.fromkeys(("log_stream_id", "experiment_id", "metrics_testing_id"), PROJECT)
    times = {"start_time": "2026-01-31T09:00:00+02:00", "end_time": "2026-02-01T00:00:00+00:00"}
    async with GalileoSessions("the-key") as galileo:
        assert await galileo.columns(PROJECT) == catalog
        await galileo.columns(PROJECT, **scope, **{**times, "end_time": datetime(2026, 2, 1, tzinfo=UTC)})
    (((method, url), calls),) = shapes.requests.items()
    assert (method, url) == ("POST", URL(f"{PROJECT_URL}/available_columns"))
    assert [json.loads(call.kwargs["data"].decode()) for call in calls] == [{}, scope | times]
    assert calls[0].kwargs["headers"]["Galileo-API-Key"] == "the-key"


async def test_many_columns_are_read():
    """A list of columns can have 8 MiB; a longer one is neither read nor requested again."""
    long = json.dumps({"columns": [{"id": f"metrics/{i}", "category": "metric"} for i in range(50_000)]})
    too_long = json.dumps({"columns": [], "more": "x" * (8 << 20)})
    async with connected(answers(http(body=long), http(body=too_long))) as (server, galileo):
        assert len(await galileo.columns(PROJECT)) == 50_000
        with pytest.raises(gs.ProtocolError, match="8,388,608 bytes"):
            await galileo.columns(PROJECT)
    assert len(server.requests) == 2


LEAF = Col("score").gt(3)
SHOWN = brief(LEAF)
TIMEOUT = "timeout must be seconds or a timedelta, more than 0, got {}\nhint: Write timeout=30, or None for no limit"
FILTERS = "filters must be a list of leaves, got {}\nhint: Write where=... for one filter, or for &, | and ~"
TARGETS = "targets must be a list of ids or queries, got {}\nhint: Write [...]"
DAYS = 'Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
PARTITION = f"partition must be a mapping of label to filter, got {{}}\nhint: Write, for example, {DAYS}"
ID = "project_id must be a UUID, got {}\nhint: {}"
ORDER = "The project comes before the filter"
HEADERS = 'headers must be a mapping of name to text, got list\nhint: Write {"X-Team": "blue"}'  # they can be secret
TRUTH = "For all sessions write ALWAYS, for none NEVER. Python's `is` makes True or False, too"
NO_FILTER = "where is None, and must be a filter\nhint: Leave it out, or write ALWAYS, to count all sessions. "
NO_FILTER += "A function that made it may lack its return"
FROM_JSON = "hint: Write load_filter(...) for the API's JSON, or any_of(partition.values()) for a partition. "
FROM_JSON += "In count_by, a partition comes before the filter"
JOIN = "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough"
SEVERAL = "Give one project, or write count_all([...]) for several"
BY_NAME = f"Write an id such as {PROJECT}; await galileo.project('chatbot') finds it by its name"

MISTAKES = [
    ("GalileoSessions('k', session='x')", "session must be an aiohttp.ClientSession, got 'x'"),
    ("GalileoSessions('k', ssl='no')", "ssl must be an ssl.SSLContext, an aiohttp.Fingerprint or False, got 'no'"),
    ("GalileoSessions('k', check='yes')", "check must be True or False, got 'yes'"),
    ("GalileoSessions('k', on_attempt=5)", "on_attempt must be a function, got 5"),
    ("GalileoSessions('k', headers=['secret'])", HEADERS),
    ("GalileoSessions('k', retry=None)", "retry must be Retry(...), got None"),
    ("GalileoSessions('k', limits='5')", "limits must be Limits(...), got '5'"),
    *[(f"galileo.count(PROJECT, timeout={value})", TIMEOUT.format(value)) for value in ("'30'", "0", "-1", "True")],
    ("galileo.count(PROJECT, timeout=float('nan'))", TIMEOUT.format("nan")),
    ("galileo.count(PROJECT, timeout=timedelta(0))", TIMEOUT.format("datetime.timedelta(0)")),
    ("galileo.count(PROJECT, None)", NO_FILTER),
    ("CountQuery(PROJECT, None)", NO_FILTER),
    ("galileo.count(PROJECT, 0)", "0 is not a filter"),
    ("galileo.count(PROJECT, False)", f"False is not a filter\nhint: {TRUTH}"),
    *[(f"galileo.count(PROJECT, {value})", f"{value} is not a filter\nhint: {JOIN}") for value in ("[]", "()")],
    ("galileo.count(PROJECT, filters=LEAF)", FILTERS.format(SHOWN)),
    ("galileo.count(PROJECT, filters=None)", FILTERS.format("None")),
    ("galileo.columns(PROJECT, end_time='x')", "'x' is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00"),
    ("galileo.count_all(PROJECT)", TARGETS.format(f"'{PROJECT}'")),
    ("galileo.count_all(CountQuery(PROJECT))", TARGETS.format(brief(CountQuery(PROJECT)))),
    ("galileo.count_many([PROJECT], {})", "{} is not a filter\n" + FROM_JSON),
    ("galileo.count_many([PROJECT], concurrency=-1)", "concurrency must be a whole number, 1 or more, got -1"),
    ("galileo.count_by(PROJECT, LEAF)", PARTITION.format(SHOWN)),
    ("galileo.count_all([PROJECT], by=Col('score'))", PARTITION.format("Col('score')")),
    ("galileo.count_by(PROJECT, {'a': None})", "None is not a filter\nhint: For no condition write ALWAYS"),
    # in another order, or in another form
    ("galileo.count(LEAF)", ID.format(SHOWN, ORDER)),
    ("galileo.count_all([LEAF], fail_fast=True)", ID.format(SHOWN, ORDER)),
    ("galileo.count_all(LEAF)", TARGETS.replace("Write [...]", "The targets come before the filter").format(SHOWN)),
    ("galileo.count(LEAF, PROJECT)", f"where must be a filter, got '{PROJECT}'\nhint: {ORDER}"),
    ("galileo.count_all(LEAF, [PROJECT])", f"where must be a filter, got ['{PROJECT}']\nhint: {ORDER}"),
    ("galileo.count('chatbot')", ID.format("'chatbot'", BY_NAME)),
    ("galileo.count([PROJECT])", ID.format(f"['{PROJECT}']", SEVERAL)),
]


@pytest.mark.parametrize(("program", "sentence"), MISTAKES)
async def test_a_mistake_in_a_call_is_explained_before_a_request(program, sentence):
    async with connected(http()) as (server, galileo):
        with pytest.raises((ConfigurationError, gs.FilterError)) as caught:
            await run(program, galileo=galileo, LEAF=LEAF)
    assert (str(caught.value), server.connections) == (sentence, 0)


@pytest.mark.parametrize("method", [each for name, each in vars(GalileoSessions).items() if name[0] != "_"])
def test_each_call_spells_its_keywords(method):
    """`help()` and completion show each, and Python refuses any other."""
    kinds = [each.kind for each in inspect.signature(method).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD not in kinds


METHODS: dict[str, Callable[..., Awaitable[Any]]] = {
    "count": lambda galileo, **timeout: galileo.count(PROJECT, **timeout),
    "columns": lambda galileo, **timeout: galileo.columns(PROJECT, **timeout),
    "count_many": lambda galileo, **timeout: report_of(galileo.count_many([PROJECT], **timeout)),
    "count_all": lambda galileo, **timeout: galileo.count_all([PROJECT], **timeout),
    "count_by": lambda galileo, **timeout: galileo.count_by(PROJECT, {"all": LEAF}, **timeout),
    "explain": lambda galileo, **timeout: galileo.explain(PROJECT, LEAF, **timeout),
    "projects": lambda galileo, **timeout: anext(aiter(galileo.projects(**timeout))),
    "project": lambda galileo, **timeout: galileo.project("chatbot", **timeout),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_can_be_a_timedelta(method):
    async with connected(silence) as (_, galileo):
        try:
            outcome = await method(galileo, timeout=timedelta(milliseconds=30))
        except gs.DeadlineExceededError:
            return
    (failed,) = outcome.results if isinstance(outcome, gs.CountReport) else outcome.nodes
    assert type(failed.error) is gs.DeadlineExceededError


@pytest.mark.parametrize("timeout", [math.inf, 10**400, timedelta.max], ids=["infinite", "huge", "timedelta"])
async def test_a_timeout_can_be_longer_than_a_clock_counts(timeout):
    async with connected(http()) as (_, galileo):
        assert await galileo.count(UUID(PROJECT), timeout=timeout) == 7


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 says more")
async def test_what_python_says_stands_on_the_page_of_errors():
    async with GalileoSessions("k") as galileo:
        report = galileo.count_all([])
        with pytest.raises(TypeError) as report_entered:
            async with report:
                pass
        with pytest.raises(TypeError) as stream_awaited:
            await galileo.count_many([])
        with pytest.raises(TypeError) as client_entered:
            with galileo:
                pass
        report.close()
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\* `([^`]*)`: ", page.partition("## Python's own errors")[2], re.MULTILINE)
    assert shown == [str(each.value) for each in (report_entered, stream_awaited, client_entered)]
