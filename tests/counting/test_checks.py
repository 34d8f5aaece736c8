"""Filters are checked against their project's columns: before a count with `check=True`, or after a count of 0."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from support.clients import connected, ids
from support.clock import virtual_time
from support.network import outcome_of
from support.private import idle, our_tasks
from support.sockets import PROJECT, http, number_of

import galileo_sessions as gs
from galileo_sessions import Col, ColumnCatalog, CountQuery, FilterCheckError, GalileoSessions, ZeroCountWarning
from galileo_sessions.local import LocalGalileo

GOOD, TYPO = Col("input").contains("x"), Col("imput").contains("x")
QUEUE = GOOD | ~gs.FullyAnnotatedFilter()
FEW = ColumnCatalog.of(input="text", score="number")
MORE = ColumnCatalog.of(input="text", score="number", imput="text")
NONE = ColumnCatalog([])
FIRST, FULL = ids(2)
PLACES = [str(UUID(int=number, version=4)) for number in range(41)]
"""Ids that LocalGalileo takes."""


@asynccontextmanager
async def checking(
    *catalogs: ColumnCatalog, check: bool | None = True, is_empty: bool = False, on_attempt: Any = None, **trouble: Any
) -> AsyncIterator[tuple[Any, GalileoSessions]]:
    """
    A service and a client that checks. The service answers for columns, the last catalog repeatedly, after `wait`
    seconds with `status`; it keeps how often by project. If `is_empty`, it counts 0; for FULL only with a typo.
    """
    bodies = [json.dumps(gs.dump_catalog(catalog)) for catalog in catalogs or [FEW]]
    service = SimpleNamespace(columns=Counter(), status=200, wait=0.0)
    vars(service).update(trouble)

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        request = server.requests[nth - 1]
        number = number_of(request)
        if b"/available_columns" in request:
            service.columns[number] += 1
            await asyncio.sleep(service.wait)
            writer.write(http(service.status, bodies[min(service.columns[number], len(bodies)) - 1]))
        else:
            counts_0 = is_empty and (number != 1 or b"imput" in request)
            writer.write(http(body='{"total_count":0}') if counts_0 else http())

    async with connected(behave, check=check, on_attempt=on_attempt, jitter=0.5) as (server, galileo):
        service.requests = server.requests
        yield service, galileo


zeros = partial(checking, is_empty=True, check=None)
"""A service that counts 0, and a client that checks only that."""

CONTRADICTION = (Col("score") > 5) & (Col("score") < 3)
REFUSED = {
    "typo": (CountQuery(FIRST, TYPO), FEW, "imput.*input", ("filter",)),
    "queue": (CountQuery(FIRST, QUEUE), NONE, "annotation queue", ("or", 1, "not", "filter")),
    "contradiction": (CountQuery(FIRST, CONTRADICTION), NONE, "no session can satisfy", ("and",)),
}


@pytest.mark.parametrize(("query", "catalog", "message", "place"), REFUSED.values(), ids=REFUSED)
async def test_a_filter_that_does_not_fit_is_refused_before_the_count(query, catalog, message, place):
    """A column that isn't there, or that has another type, is named; for a queue, columns aren't even asked for."""
    async with checking(catalog) as (service, galileo):
        with pytest.raises(FilterCheckError, match=message) as caught:
            await galileo.count(query)
    assert (caught.value.query, [issue.loc for issue in caught.value.issues]) == (query, [place])
    assert service.columns == ({0: 1} if catalog is FEW else {})
    assert len(service.requests) == service.columns.total()


async def test_a_call_may_check_or_not():
    """`check=` of a call overrides the client's; a count of all sessions needs no columns."""
    async with checking() as (service, galileo):
        assert [await galileo.count(FIRST, TYPO, check=False), await galileo.count(FIRST)] == [7, 7]
        assert service.columns == {}
    async with checking(check=None) as (service, galileo):
        assert await galileo.count(FIRST, TYPO) == 7
        with pytest.raises(FilterCheckError):
            await galileo.count(FIRST, TYPO, check=True)
        (result,) = (await galileo.count_all([FIRST], TYPO, check=True)).results
        assert type(result.error) is FilterCheckError


@virtual_time
async def test_columns_are_cached_for_five_minutes():
    async with checking(FEW, MORE) as (service, galileo):
        for seconds, total, asked in ((0, None, 1), (299, None, 1), (2, 7, 2)):
            await asyncio.sleep(seconds)
            assert (await galileo.count_all([FIRST], TYPO)).counts == (total,)
            assert service.columns == {0: asked}


@virtual_time
async def test_failures_are_shared_by_those_who_wait_and_not_kept():
    async with checking(wait=0.5, status=404) as (service, galileo):
        report = await galileo.count_all([CountQuery(FIRST, GOOD, tag=n) for n in range(5)])
        assert [(type(error), error.query.tag) for error in report.errors] == [(gs.NotFoundError, n) for n in range(5)]
        assert service.columns == {0: 1}
        service.status = 200
        assert await galileo.count(FIRST, GOOD) == 7


@pytest.mark.parametrize("check", [True, None], ids=["checked", "zero"])
async def test_a_request_for_columns_has_the_tag_of_its_count(check):
    """Metrics by tag or name miss no request. Targets of one project share its columns, requested for the first."""
    heard: list[gs.Attempt] = []
    queries = [CountQuery(PROJECT, GOOD, tag=n, project_name=f"name {n}") for n in (1, 2)]
    async with zeros(check=check, on_attempt=heard.append) as (_, galileo):
        assert (await galileo.count_all(queries, concurrency=1)).total == 0
    asked = [attempt.query for attempt in heard if attempt.query.where == gs.ALWAYS]
    assert [(query.tag, query.project_name) for query in asked] == [(1, "name 1")]


@virtual_time
async def test_a_count_that_is_late_or_cancelled_leaves_the_question_to_the_others():
    """A count that reaches its deadline fails alone; the others get the columns that it asked for."""
    async with checking(wait=3) as (service, galileo):
        cancelled = asyncio.create_task(galileo.count(FIRST, GOOD))
        await asyncio.sleep(0)
        waiting = [outcome_of(galileo, FIRST, where=GOOD, timeout=seconds) for seconds in (1, 0.5, None)]
        asyncio.get_running_loop().call_later(0.7, cancelled.cancel)
        (late, after), (_, soon), (count, _) = await asyncio.gather(*waiting)
    assert cancelled.cancelled()
    assert late.message == "the timeout ran out while waiting for the project's columns"
    assert (type(late), late.query.where, late.elapsed) == (gs.DeadlineExceededError, GOOD, after)
    assert (round(after, 1), round(soon, 1), count, service.columns) == (1, 0.5, 7, {0: 1})


CALLS = ["hasty", "single", "long", "fan-out"]


@pytest.mark.parametrize("first", range(4), ids=CALLS)
@virtual_time
async def test_each_call_is_as_patient_as_it_would_be_alone(first):
    """In an outage of 20 s, a single count fails after 10 s, whoever asks first, but no fan-out or patient count."""
    part = CountQuery(PROJECT, log_stream_id=FIRST)
    async with checking(status=503) as (service, galileo):
        calls = {
            "hasty": partial(outcome_of, galileo, part, where=GOOD, timeout=1),
            "single": partial(outcome_of, galileo, part, where=GOOD),
            "long": partial(outcome_of, galileo, part, where=GOOD, timeout=60),
            "fan-out": partial(galileo.count_all, [part, *ids(20)], GOOD),
        }
        asyncio.get_running_loop().call_later(20, setattr, service, "status", 200)
        tasks = {}
        for name in [*CALLS[first:], *CALLS[:first]]:
            tasks[name] = asyncio.create_task(calls[name]())
            await asyncio.sleep(0.01)
        (late, soon), (refused, later), (count, _) = [await tasks[name] for name in CALLS[:3]]
        assert (type(late), type(refused), count) == (gs.DeadlineExceededError, gs.ServerError, 7)
        assert late.message.startswith("the timeout ran out while waiting for the project's columns; before that: 503")
        assert [attempt.status for attempt in late.attempts] == [late.last.status] == [503]
        assert round(soon, 1) == 1
        assert 8 <= later < 14
        assert (await tasks["fan-out"]).counts == (7,) * 21


@virtual_time
async def test_a_fan_out_asks_for_no_columns_after_its_deadline():
    async with checking(wait=3) as (service, galileo):
        report = await galileo.count_all(ids(50), GOOD, timeout=1, concurrency=2)
        assert [type(error) for error in report.errors] == [gs.DeadlineExceededError] * 50
        await asyncio.sleep(60)
    assert service.columns == {0: 1, 1: 1}


@virtual_time
async def test_closing_a_client_ends_its_requests_for_columns():
    """Counts that wait for columns get an error, and no task is left, also of those that nobody waits for any more."""
    async with checking(wait=60) as (service, galileo):
        waiting = asyncio.gather(*[outcome_of(galileo, PROJECT, where=GOOD, timeout=most) for most in (0.5, None)])
        await asyncio.sleep(5)
        await galileo.close()
        assert (our_tasks(), service.columns.total()) == ([], 1)
        (first, _), (second, seconds) = await waiting
    assert seconds < 5.1
    assert type(first) is gs.DeadlineExceededError
    assert "closed" in second.message


async def test_columns_that_were_requested_serve_checks():
    """`columns` is always requested; what it answers is cached for checks, unless a time was given."""
    async with checking(FEW, MORE) as (service, galileo):
        assert list(await galileo.columns(FIRST)) == ["input", "score"]
        with pytest.raises(FilterCheckError):
            await galileo.count(FIRST, TYPO)
        assert service.columns == {0: 1}
        assert "imput" in await galileo.columns(FIRST)
        assert await galileo.count(FIRST, TYPO) == 7
        assert service.columns == {0: 2}
        await galileo.columns(FULL, log_stream_id=PROJECT)
        await galileo.columns(FULL, end_time="2026-05-01T00:00Z")
        assert await galileo.count(FULL, GOOD, log_stream_id=PROJECT) == 7
        assert service.columns == {0: 2, 1: 2}
        assert await galileo.count(FULL, GOOD) == 7
    assert service.columns == {0: 2, 1: 3}


async def test_a_scope_is_judged_by_its_own_columns():
    """A column that the project has elsewhere can't match in this log stream."""
    stream, other, *_ = PLACES
    server = LocalGalileo(
        [{"project_id": PROJECT, "log_stream_id": stream, "input": "x"}, {"project_id": PROJECT, "score": 1}]
    )
    async with connected(server, api_key=server.api_key, check=True) as (_, galileo):
        assert await galileo.count(PROJECT, Col("score") > 0) == 1
        for target in (CountQuery(PROJECT, log_stream_id=stream), gs.LogStream(stream, "s", PROJECT)):
            with pytest.raises(FilterCheckError, match="no column 'score'"):
                await galileo.count(target, Col("score") > 0)
        with pytest.warns(ZeroCountWarning, match=f"project {PROJECT}, log stream {other} lists no columns"):
            assert await galileo.count(PROJECT, Col("score") > 0, log_stream_id=other) == 0


WITH_REST = Col.number("imput").bins(1).with_rest("other")
BY_TYPO = {"a": TYPO, "b": Col("imput").contains("y")}


async def taken(stream: gs.CountStream) -> list[gs.CountResult]:
    """All results of a stream."""
    async with stream:
        return [result async for result in stream]


BINS = Col.number("score").bins(1, 2)
BOTH = r"^the count is 0, and no session can satisfy .*gt\(5\) & .*lt\(3\); join by \|"
COLUMN = r"^the count is 0, and there is no column .*; did you mean input\?\nawait galileo.explain\("
NO_COLUMNS = f"^the count is 0, and project {PROJECT} lists no columns: it has no sessions, or its id is wrong$"
NOWHERE = "^the count is 0, and none of 2 projects lists a column: they have no sessions, or their ids are wrong$"
ZEROS = {
    "typo": (FEW, lambda galileo: galileo.count(PROJECT, TYPO), COLUMN),
    "queue": (FEW, lambda galileo: galileo.count(PROJECT, QUEUE), "annotation queue"),
    "contradiction": (NONE, lambda galileo: galileo.count_all([PROJECT, FIRST], CONTRADICTION), BOTH),
    "contradiction by": (FEW, lambda galileo: galileo.count_by(PROJECT, BINS, CONTRADICTION), BOTH),
    "by": (FEW, lambda galileo: galileo.count_by(PROJECT, BY_TYPO), COLUMN),
    "rest": (FEW, lambda galileo: galileo.count_by(PROJECT, WITH_REST), COLUMN),
    "whole": (FEW, lambda galileo: galileo.count_all([PROJECT], TYPO, by={"a": GOOD}), COLUMN),
    "one part": (FEW, lambda galileo: galileo.count_all([FULL], by={"a": TYPO, "b": GOOD}), COLUMN),
    "all": (FEW, lambda galileo: galileo.count_all([PROJECT, PROJECT], TYPO), COLUMN),
    "one": (FEW, lambda galileo: galileo.count_all([CountQuery(FULL, TYPO), CountQuery(FULL)]), COLUMN),
    "stream": (FEW, lambda galileo: taken(galileo.count_many([PROJECT, *ids(2)], TYPO)), COLUMN),
    "no columns": (NONE, lambda galileo: galileo.count(PROJECT, TYPO), NO_COLUMNS),
    "no columns, no filter": (NONE, lambda galileo: galileo.count(PROJECT), NO_COLUMNS),
    "no columns, by": (NONE, lambda galileo: galileo.count_by(PROJECT, {"a": GOOD}), NO_COLUMNS),
    "no columns, explain": (NONE, lambda galileo: galileo.explain(PROJECT, GOOD), NO_COLUMNS),
    "no columns, several": (NONE, lambda galileo: galileo.count_all([PROJECT, FIRST], TYPO), NOWHERE),
}


@pytest.mark.parametrize(("catalog", "count", "message"), ZEROS.values(), ids=ZEROS)
async def test_a_zero_explains_itself_once(catalog, count, message):
    """If all counts of a filter are 0, a column that doesn't fit is named, or a project without any, once a client."""
    async with zeros(catalog) as (service, galileo):
        with pytest.warns(ZeroCountWarning, match=message) as caught:
            await count(galileo)
        assert [warning.filename for warning in caught] == [__file__]
        await count(galileo)  # a second warning would be an error
    assert {*service.columns.values()} == (set() if message in ("annotation queue", BOTH) else {1})


async def test_a_stream_whose_last_call_is_cancelled_still_explains_its_zeros():
    """As it is by `wait_for` in a loop."""
    async with zeros(wait=0.2) as (_, galileo), galileo.count_many([PROJECT], TYPO) as stream:
        assert (await anext(stream)).total_count == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        with pytest.warns(ZeroCountWarning, match=COLUMN), pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_parts_that_the_filter_excludes_count_0_without_a_request():
    """A bin outside the bounds of the filter is no mistake."""
    async with checking(FEW) as (service, galileo):
        counts = await galileo.count_by(FIRST, BINS, (Col("score") >= 1) & (Col("score") < 2))
    assert [*counts.values()] == [0, 7, 0]
    assert len(service.requests) == 3


async def test_explain_marks_a_contradiction():
    async with zeros() as (_, galileo):
        explained = await galileo.explain(PROJECT, CONTRADICTION & GOOD)
    assert [node.path for node in explained.nodes if "no session can satisfy" in node.complaint] == [("and", 0)]


async def test_a_filter_that_was_checked_fits_a_project_without_columns():
    """But the project is named."""
    async with zeros(NONE, check=True) as (_, galileo):
        for count in (galileo.count(PROJECT, TYPO), galileo.count_all([FIRST], TYPO), galileo.explain(PLACES[2], GOOD)):
            with pytest.warns(ZeroCountWarning, match="lists no columns"):
                await count


@pytest.mark.parametrize("check", [None, True, False])
@pytest.mark.parametrize("place", [0, 2])
async def test_a_wrong_id_beside_good_ones_is_doubted(check, place):
    """As in a single count; an empty count of a project with columns isn't. A checked result says it, too."""
    good = [{"project_id": each, "score": n} for n, each in enumerate(PLACES[:3])]
    targets = [*PLACES[:3]]
    targets.insert(place, PLACES[9])
    said = f"project {PLACES[9]} lists no columns: it has no sessions, or its id is wrong"
    server = LocalGalileo(good)
    async with connected(server, api_key=server.api_key) as (_, galileo):
        with nullcontext() if check is False else pytest.warns(ZeroCountWarning, match=f"^the count is 0, and {said}$"):
            report = await galileo.count_all(targets, Col("score") > 0, check=check)
    assert report.total == 2
    assert [result.doubt for result in report.results if result.doubt] == ([said] if check else [])


def in_thread(coroutine: Any) -> None:
    """Runs a coroutine as the only work of a thread."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, coroutine)


@pytest.mark.parametrize(
    ("run", "has_name", "place"),
    [(asyncio.run, True, __file__), (in_thread, True, "sys"), (asyncio.run, False, "<string>")],
    ids=["task", "thread", "no name"],
)
def test_a_warning_points_to_a_users_code_or_to_none(run, has_name, place):
    """Not into asyncio, where a task begins; nor does code fail whose module has no name."""
    names: dict[str, Any] = {}  # without __name__, as in templates and sandboxes
    exec("async def count(galileo, *query): return await galileo.count(*query)", names)

    async def main() -> None:
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            count = galileo.count(PROJECT, TYPO) if has_name else names["count"](galileo, PROJECT, TYPO)
            assert await asyncio.create_task(count) == 0

    with LocalGalileo([{"project_id": PROJECT, "input": "x"}]) as server:
        with pytest.warns(ZeroCountWarning) as caught:
            run(main())
    assert [warning.filename.strip("<>") for warning in caught] == [place.strip("<>")]  # "<sys>" since Python 3.13


@pytest.mark.parametrize(("how", "counts"), [("all", (0, 0)), ("whole", (0,)), ("one part", (7,)), ("by", (0, 0, 0))])
@pytest.mark.filterwarnings("error::galileo_sessions.ZeroCountWarning")
async def test_a_warning_that_is_an_error_has_the_report(how, counts):
    async with zeros() as (_, galileo):
        with pytest.raises(ZeroCountWarning) as caught:
            await ZEROS[how][1](galileo)
    assert caught.value.report.counts == counts


async def left_early(galileo: GalileoSessions) -> None:
    """Takes one result of two."""
    async with galileo.count_many(ids(2), TYPO) as stream:
        await anext(stream)


async def failed(galileo: GalileoSessions) -> None:
    """Ends with an error, after a count of 0."""
    with pytest.raises(gs.ConfigurationError):
        await galileo.count_all([FIRST, "no id"], TYPO, fail_fast=True, concurrency=1)


SILENT = {
    "call": (None, lambda galileo: galileo.count(PROJECT, TYPO, check=False), 0),
    "client": (False, lambda galileo: galileo.count(PROJECT, TYPO), 0),
    "client, explain": (False, lambda galileo: galileo.explain(PROJECT, GOOD), 1),
    "NEVER": (None, lambda galileo: galileo.count(PROJECT, gs.NEVER), 0),
    "left early": (None, left_early, 0),
    "failed": (None, failed, 0),
    "not all": (None, lambda galileo: galileo.count_all([FULL, FIRST], GOOD, concurrency=1), 1),
    "not all parts": (None, lambda galileo: galileo.count_all([FULL, FULL], by={"a": GOOD}), 0),
    "fits": (None, lambda galileo: galileo.count(PROJECT, GOOD), 1),
    "only in a scope": (None, lambda g: g.count_all([FULL, CountQuery(FIRST, log_stream_id=PROJECT)], GOOD), 1),
}


@pytest.mark.parametrize(("check", "count", "asked"), SILENT.values(), ids=SILENT)
async def test_a_zero_is_not_checked_if(check, count, asked):
    """With `check=False`, and if a stream is left, nothing is asked. A filter that fits is silent, as is none."""
    async with zeros(FEW if check is None else NONE, check=check) as (service, galileo):
        await count(galileo)
    assert service.columns.total() == asked


async def test_what_a_client_remembers_of_projects_is_bounded(monkeypatch):
    """Of two, here: the columns that were used last are kept; all that were named can be named again."""
    monkeypatch.setattr("galileo_sessions.counting.checks.MAX_PROJECTS", 2)
    async with zeros(NONE) as (service, galileo):
        for number, is_named in ((2, True), (3, True), (2, False), (4, True), (2, True), (3, True)):
            with pytest.warns(ZeroCountWarning) if is_named else nullcontext():
                await galileo.count(ids(5)[number])
    assert service.columns == {2: 1, 3: 2, 4: 1}


@pytest.mark.parametrize("place", [0, 5, 9])
async def test_an_empty_project_hides_no_typo(place):
    """Wherever the one with sessions is in a list, it judges the filter, if its columns are among the first ten."""
    server = LocalGalileo([{"project_id": PLACES[place], "input": "x"}])
    async with connected(server, api_key=server.api_key) as (_, galileo):
        with pytest.warns(ZeroCountWarning, match="did you mean input"):
            await galileo.count_all(PLACES, TYPO)


async def test_a_filter_of_log_streams_is_one_filter():
    """It is checked only if it counts 0 in all of them, by the columns of up to ten."""
    first, *others = PLACES[:4]
    sessions = [{"project_id": each, "log_stream_id": each, "score": n} for n, each in enumerate(others)]
    server = LocalGalileo([{"project_id": first, "log_stream_id": first, "input": "x"}, *sessions])
    streams = [gs.LogStream(each, each, each) for each in PLACES[:4]]
    async with connected(server, api_key=server.api_key) as (_, galileo):
        assert (await galileo.count_all(streams, Col("score") > 1)).counts == (0, 0, 0, 1)
        with pytest.warns(ZeroCountWarning, match="no column 'scroe'"):
            await galileo.count_all(streams, Col("scroe") > 1)


async def test_the_filters_that_are_remembered_are_bounded(monkeypatch):
    """Beyond a thousand filters in one call, counts of 0 aren't explained."""
    monkeypatch.setattr("galileo_sessions.counting.stream._MAX_FILTERS", 1)
    async with zeros() as (service, galileo):
        await galileo.count_all([CountQuery(PROJECT, GOOD), CountQuery(FIRST, TYPO)], concurrency=1)
    assert service.columns.total() == 1


@pytest.mark.parametrize(
    ("trouble", "timeout", "most"),
    [({"status": 404}, None, 0.1), ({"wait": 60}, 0.5, 0.6), ({"wait": 60}, None, 1.1)],
    ids=["fail", "don't come by the deadline", "don't come within a second"],
)
@virtual_time
async def test_a_zero_is_returned_if_columns(trouble, timeout, most, caplog):
    """It never becomes an error. The request is cancelled, logged, and not repeated."""
    caplog.set_level("DEBUG", "galileo_sessions")
    clock = asyncio.get_running_loop().time
    async with zeros(**trouble) as (service, galileo):
        began = clock()
        assert await galileo.count(PROJECT, TYPO, timeout=timeout) == 0
        assert clock() - began < most
        await asyncio.sleep(0)
        assert idle(galileo)
        assert await galileo.count(PROJECT, TYPO) == 0
    assert service.columns.total() == 1
    assert "a count of 0 isn't checked against the columns: " in caplog.text
