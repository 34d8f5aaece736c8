"""What could count something else than was meant is refused before a request, or counts what was meant."""

from collections import ChainMap, UserDict
from collections.abc import AsyncIterator, Iterator
from types import MappingProxyType

import numpy as np
import pytest
from support.clients import connected, ids
from support.sockets import PROJECT, http

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, CountQuery, FilterError, FilterTypeError
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
