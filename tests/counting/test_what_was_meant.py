"""What could count something else than was meant is refused before a request, or counts what was meant."""

import asyncio
import gc
import re
from collections import ChainMap, UserDict
from collections.abc import AsyncIterator, Iterator
from types import MappingProxyType

import numpy as np
import pytest
from support.clients import connected, ids
from support.sockets import PROJECT, http

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, CountQuery, FilterError, FilterTypeError, GalileoSessions
from galileo_sessions.local import LocalGalileo

HIGH = Col.number("score") > 3
TWO = ["74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", "7ec9f08b-ec21-4c9f-a3e2-b2ab2b81b4db"]


# ---- targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, MappingProxyType, UserDict, ChainMap])
async def test_a_mapping_from_projects_to_filters_is_refused(kind):
    """Its keys alone would be counted, without the filters. What the hint says counts them."""
    filters = dict.fromkeys(ids(3), HIGH)
    async with connected(http()) as (server, galileo):
        for call in (galileo.count_all, galileo.count_many):
            with pytest.raises(ConfigurationError, match="Write .CountQuery.project, where.") as caught:
                await call(kind(filters))
        assert server.connections == 0
        written = str(caught.value).partition("Write ")[2]
        report = await galileo.count_all(eval(written, {"CountQuery": CountQuery, "filters": filters}))
    assert [result.query for result in report.results] == [CountQuery(project, HIGH) for project in filters]


async def test_the_same_list_of_projects_counts_twice():
    """As it does for a share: it is requested again. Its loop still works as before."""
    server = LocalGalileo([{"project_id": project, "log_stream_id": TWO[0]} for project in TWO])
    async with connected(server, api_key=server.api_key) as (_, galileo):
        projects, streams = galileo.projects(timeout=30), galileo.log_streams(TWO[1])
        for targets, expected in ((projects, 2), (streams, 1)):
            assert [(await galileo.count_all(targets)).total for _ in range(2)] == [expected] * 2
            assert [len([each async for each in targets]) for _ in range(2)] == [expected] * 2


def generated() -> Iterator[str]:
    yield from ids(2)


async def awaited() -> AsyncIterator[str]:
    for project in generated():
        yield project


@pytest.mark.parametrize("generate", [generated, awaited, lambda: (each for each in ids(2))])
async def test_a_generator_that_has_ended_is_refused(generate):
    """It would count nothing, and say 0. One that hasn't begun is counted."""
    async with connected(http()) as (server, galileo):
        targets = generate()
        assert len((await galileo.count_all(targets)).results) == 2
        with pytest.raises(ConfigurationError, match="used up(.|\n)*Pass a list"):
            await galileo.count_all(targets)
        assert len(server.requests) == 2


CALLS = {
    "count": lambda galileo, target: galileo.count(target),
    "explain": lambda galileo, target: galileo.explain(target),
    "columns": lambda galileo, target: galileo.columns(target),
    "count_by": lambda galileo, target: galileo.count_by(target, {"high": HIGH}),
    "log_stream": lambda galileo, target: galileo.log_stream(target, "production"),
    "log_streams": lambda galileo, target: anext(aiter(galileo.log_streams(target))),
    "query": lambda galileo, target: galileo.count(CountQuery(target)),
    "scope": lambda galileo, target: galileo.count(PROJECT, log_stream_id=target),
    "count_all": lambda galileo, target: galileo.count_all(target),
    "count_many": lambda galileo, target: galileo.count_many(target).__aenter__(),
    "judge": lambda galileo, target: galileo.judge(target, HIGH, above=5),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_target_that_lacks_its_await_is_quoted(call):
    """It is closed, so that Python doesn't warn, too. A task isn't: others may await it."""
    async with connected(http()) as (server, galileo):
        task = asyncio.create_task(asyncio.sleep(0, "found"), name="find it")
        for target, quoted in (
            (galileo.project("Chatbot"), "project(...)"),
            (galileo.count_all([PROJECT]), "count_all(...)"),
            (task, "<Task pending name='find it'"),
        ):
            with pytest.raises(ConfigurationError, match=f"(UUID|queries), got {re.escape(quoted)}") as caught:
                await call(galileo, target)
            assert caught.value.hint == "Write await before it"
        del target
        gc.collect()  # pytest fails a test after which Python warns
        assert server.connections == 0
        assert await task == "found"


async def test_each_target_in_a_list_that_lacks_its_await_is_quoted():
    async with connected(http()) as (server, galileo):
        names = ["Chatbot", "Tests"]
        report = await galileo.count_all([PROJECT, *[galileo.project(name) for name in names]])
        verdict = await galileo.judge([galileo.project("Chatbot")], HIGH, above=5)
    gc.collect()
    assert [result.total_count is None for result in report.results] == [False, True, True]
    said = "project_id must be a UUID, got project(...)\nhint: Write await before it"
    assert [said] * 3 == [*map(str, report.errors), str(verdict.doubts[0])]
    assert len(server.requests) == 1


async def test_a_coroutine_that_has_begun_goes_on():
    """Another task may wait for it."""
    async with connected(http()) as (_, galileo):
        going = asyncio.Event()
        waiting = going.wait()
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match=r"got wait\(\.\.\.\)\nhint: Write await"):
            await galileo.count(waiting)
        going.set()
        assert await task


LOOPS = ["project in galileo.projects()", "stream in galileo.log_streams(project)"]


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_list_of_the_service_that_lacks_its_async_shows_the_loop(loop):
    """What the hint says works."""
    name, _, call = loop.partition(" in ")
    server = LocalGalileo([{"project_id": TWO[0], "log_stream_id": TWO[1]}])
    async with connected(server, api_key=server.api_key) as (_, galileo):
        listed = eval(call, {"galileo": galileo, "project": TWO[0]})
        for read in (list, tuple, sorted, asyncio.gather, lambda listed: [*listed], lambda listed: TWO[0] in listed):
            with pytest.raises(ConfigurationError, match="is read by async for, not by for or await") as caught:
                await read(listed)
            comprehension = f"[{name} async for {loop}]"
            assert caught.value.hint == f"Write async for {loop}: or {comprehension}"
            assert caught.value.message.startswith(call)
        with pytest.raises(ConfigurationError, match="got _Listing(.|\n)*Give one project, or write count_all"):
            await galileo.count(listed)
        assert TWO[:1] == [each.id if name == "project" else each.project_id async for each in listed]


# ---- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("join", [gs.all_of, gs.any_of])
@pytest.mark.parametrize("value", ["", b"", {}, {"a": HIGH}, UserDict(), None, 0, HIGH], ids=repr)
def test_only_a_list_of_filters_is_joined(join, value):
    with pytest.raises(FilterTypeError):
        join(value)


@pytest.mark.parametrize(("key", "instead"), [("and", "ALWAYS"), ("or", "NEVER")])
def test_an_empty_list_of_nodes_is_refused_at_any_depth(key, instead):
    """The API doesn't document its meaning."""
    leaf = gs.dump_filter(HIGH)
    for tree in ({key: []}, {"not": {key: []}}, {"and": [leaf, {key: []}]}, {"or": [{"not": {key: []}}, leaf]}):
        with pytest.raises(gs.FilterDecodeError, match=f"write {instead}|Write {instead}"):
            gs.load_filter(tree)
        with pytest.raises(gs.FilterDecodeError, match=f"write {instead}|Write {instead}"):
            gs.load_query({"project_id": PROJECT, "filter_tree": tree})


# ---- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [np.datetime64("2026-05-01T12", "ns"), np.datetime64("2026-05-01"), np.timedelta64(3, "ns")]
)
def test_a_time_of_numpy_is_refused(value):
    """It has no zone, and `int(value)` would be a number of nanoseconds."""
    for column in (Col("created_at"), Col.number("created_at"), Col.date("created_at")):
        with pytest.raises(FilterError):
            column.eq(value)
    with pytest.raises(FilterError, match="UTC offset|no zone"):
        gs.matches(Col.date("created_at").gte("2026-05-01T12:00Z"), {"created_at": value})
    with pytest.raises(ValueError, match="UTC offset|no zone"):
        LocalGalileo([{"project_id": TWO[0], "created_at": value}], strict=True)


def test_a_set_of_numbers_is_in_their_order():
    assert [*Col.number("s").values({10, 9, 2, 1})] == ["1", "2", "9", "10"]
    assert Col.text("s").one_of({"b", "a"}) == Col.text("s").one_of(["a", "b"])


def test_no_text_is_contained_in_each():
    for column in (Col("input"), Col.text("input"), Col.collection("tags"), Col.id("id")):
        with pytest.raises(FilterError, match="ALWAYS"):
            column.contains("")


# ---- the account -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_key": None},
        {"auth": None},
        {"base_url": None},
        {"api_key": "k", "base_url": None},
        {"api_key": None, "base_url": "https://x.io"},
    ],
    ids=repr,
)
def test_none_does_not_choose_the_account_of_the_environment(monkeypatch, arguments):
    """It comes from `os.environ.get` with a misspelt name. What is left out is read from the environment."""
    monkeypatch.setenv("GALILEO_API_KEY", "another account's")
    name = next(name for name, value in arguments.items() if value is None)
    with pytest.raises(ConfigurationError, match=f"^{name} is None\nhint: Leave it out") as caught:
        GalileoSessions(**arguments)
    assert caught.value.hint.endswith('write os.environ["..."], which fails if it isn\'t set')
    assert repr(GalileoSessions()) == "GalileoSessions(base_url='https://api.galileo.ai')"


def test_none_of_what_chooses_no_account_is_the_default():
    nothing = dict.fromkeys(["session", "proxy", "ssl", "headers", "on_attempt", "check"])
    assert repr(GalileoSessions("k", **nothing)) == repr(GalileoSessions("k"))
