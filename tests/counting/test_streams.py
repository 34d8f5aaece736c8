"""What streams and reports count: targets of any source, queries of their own, results in order or not, progress."""

import asyncio
import json
import math
import pickle
from collections.abc import Callable
from uuid import UUID

import pytest
from support.clients import TASKS, Source, connected, ids, one_by_one, take_all
from support.clock import virtual_time
from support.sockets import PROJECT, AtOnce, RawServer, http, number_of, slowly, until

import galileo_sessions as gs
from galileo_sessions import ALWAYS, NEVER, Col, CountQuery, Filter, Limits, NotFoundError, any_of, dump_filter

WHERE = Col("input").contains("x")
A, B = Col.text("a").eq("x"), Col.number("b").gt(1)
STREAM = ids(7)[6]

# ---- targets ---------------------------------------------------------------------------------------------------------


class OnlyAnext:
    """Has `__anext__` alone, which is enough for `async for`. As a queue, it gives more after its end."""

    def __init__(self, targets: list) -> None:
        self.targets = iter([*targets, None])

    async def __anext__(self) -> object:
        if (target := next(self.targets, PROJECT)) is None:
            raise StopAsyncIteration
        return target


class Sparse:
    """An asynchronous source that has as few methods as possible."""

    def __init__(self, targets: list) -> None:
        self.targets = targets

    def __aiter__(self) -> OnlyAnext:
        return OnlyAnext(self.targets)


def without_length(error: type[Exception]) -> Callable[[list], object]:
    """A wrapper such as tqdm or DataLoader, whose `__len__` raises what it likes."""

    class Wrapper(list):
        def __len__(self) -> int:
            raise error("no length")

    return Wrapper


SOURCES = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "dict": dict.fromkeys,
    "set": set,
    "generator": lambda targets: (target for target in targets),
    "async generator": one_by_one,
    "few methods": Sparse,
    **{each.__name__: without_length(each) for each in (TypeError, NotImplementedError, AttributeError, RuntimeError)},
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_targets_of_every_kind(kind):
    """Targets come from any iterable or async iterable, and each is counted once."""
    async with connected({}) as (server, galileo), asyncio.timeout(30):
        report = await galileo.count_all(SOURCES[kind](ids(30)), WHERE)
    assert sorted(report.counts) == sorted(number_of(request) for request in server.requests) == list(range(30))
    assert [result.index for result in report.results] == list(range(30))
    assert report.progress.total == (30 if kind in ("list", "tuple", "dict", "set") else None)
    assert len({id(result.query.body) for result in report.results}) == 1  # it is encoded once
    project = UUID(report.results[3].query.project_id)
    assert report.results[3].query == CountQuery(project, WHERE)
    assert report.results[3].query.body == CountQuery(project, WHERE).body


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
@pytest.mark.parametrize("ordered", [False, True])
async def test_empty_one_and_duplicates(ordered, make):
    """There are as many results as targets, also if there is none, or if targets repeat."""
    async with connected({}, check=False) as (server, galileo):
        for targets in ([], ids(1), [PROJECT] * 5):
            async with galileo.count_many(make(targets), ordered=ordered) as stream:
                results = [result async for result in stream]
            assert sorted(result.index for result in results) == list(range(len(targets)))
            assert {result.query.project_id for result in results} == set(targets)
        report = await galileo.count_all(make([]))
    assert len(server.requests) == 6
    assert (report.results, report.counts, report.errors, report.total) == ((), (), (), 0)
    report.raise_for_errors()


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("ordered", [False, True])
@virtual_time
async def test_targets_are_pulled_as_they_are_needed(kind, ordered):
    """At most twice `concurrency` targets are pulled ahead; each result that is taken allows one more."""
    source = Source(ids(100))
    async with connected({}) as (server, galileo):
        targets = source if kind == "sync" else one_by_one(source)
        async with galileo.count_many(targets, concurrency=4, ordered=ordered) as stream:
            await until(lambda: source.pulled == 8)
            for taken in range(21):
                await asyncio.sleep(0.01)
                assert source.pulled <= 8 + taken
                await anext(stream)
            await asyncio.sleep(0.01)
            assert source.pulled == 29
    assert len(server.requests) <= 29


async def test_nothing_is_pulled_before_the_block_is_entered():
    """A stream that is never entered pulls nothing, sends nothing and doesn't warn."""
    source = Source(ids(3))
    async with connected({}) as (server, galileo):
        galileo.count_many(source)
        await asyncio.sleep(0.01)
    assert (source.pulled, server.connections) == (0, 0)


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("kind", [list, one_by_one], ids=["sync", "async"])
@pytest.mark.parametrize("concurrency", [1, 3, 200])
@virtual_time
async def test_concurrency_is_kept(concurrency, kind, factory):
    """At most `concurrency` targets are under way at once, and no more than the client allows for all its streams."""
    asyncio.get_running_loop().set_task_factory(factory)
    at_once = AtOnce()
    async with connected(at_once, limits=Limits(initial=5, maximum=5)) as (_, galileo):
        assert (await galileo.count_all(kind(ids(40)), concurrency=concurrency)).counts == (7,) * 40
        assert at_once.most == min(concurrency, 5)
        reports = await asyncio.gather(*(galileo.count_all(ids(20), concurrency=concurrency) for _ in range(3)))
    assert [report.total for report in reports] == [140] * 3
    assert at_once.most == min(3 * concurrency, 5)


def failing(how: str, at: int, error: BaseException) -> object:
    """A source that raises after some targets. Objects, unlike generators, could go on."""
    steps = iter([*ids(at), error, *ids(at)])

    def step() -> str:
        if isinstance(given := next(steps), BaseException):
            raise given
        return given

    def generator():
        while True:
            yield step()

    async def async_generator():
        while True:
            await asyncio.sleep(0)
            yield step()

    class Iterator:
        def __iter__(self):
            return self

        def __next__(self) -> str:
            return step()

    class AsyncIterator:
        def __aiter__(self):
            return self

        async def __anext__(self) -> str:
            await asyncio.sleep(0)
            return step()

    kinds = (generator, async_generator, Iterator, AsyncIterator)
    return {kind.__name__: kind for kind in kinds}[how]()


class EmptyError(LookupError):
    """An error that is false, as an empty collection is."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("how", ["generator", "async_generator", "Iterator", "AsyncIterator"])
@pytest.mark.parametrize(
    "error", [LookupError("gone"), TimeoutError("theirs"), RuntimeError("theirs"), EmptyError("theirs")], ids=repr
)
async def test_a_failing_source_raises_its_own_error_after_the_results(how, ordered, error):
    """If the source raises, the stream gives the results before that, and then the same exception."""
    async with connected({2: slowly(0.05, 2)}) as (_, galileo):
        got: list[gs.CountResult] = []
        async with galileo.count_many(failing(how, 5, error), concurrency=3, ordered=ordered, timeout=5) as stream:
            with pytest.raises(type(error)) as caught:
                await take_all(stream, got)
    assert caught.value is error
    counts = [result.unwrap() for result in got]
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert not ordered or counts == sorted(counts)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("generator", StopAsyncIteration()),
        ("Iterator", StopAsyncIteration()),
        ("async_generator", asyncio.CancelledError()),
    ],
)
async def test_an_odd_error_of_a_source_is_no_end(how, error):
    """Neither a StopAsyncIteration of a plain source nor a CancelledError is taken for the end of the source."""
    async with connected({}) as (_, galileo):
        with pytest.raises((RuntimeError, asyncio.CancelledError)) as caught:
            await asyncio.wait_for(galileo.count_all(failing(how, 3, error)), 30)
    assert type(error) in (type(caught.value), type(caught.value.__cause__))


@pytest.mark.parametrize("target", ["not-a-uuid", f"{PROJECT} ", "../../evil", 3, None, b"x"], ids=repr)
async def test_a_target_that_is_no_uuid_has_an_error_as_its_result(target):
    """A target that isn't a UUID has an error that names it, and isn't sent; the other targets are counted."""
    async with connected({}) as (server, galileo):
        report = await galileo.count_all([*ids(3), target, *ids(3)], concurrency=2)
    assert report.counts == (0, 1, 2, None, 0, 1, 2)
    result = report.results[3]
    assert (result.target, result.query, result.attempts) == (target, None, ())
    assert str(result.error).startswith(f"project_id must be a UUID, got {target!r}")
    assert report.rows()[3]["project_id"] == str(target)
    assert repr(result) == f"<CountResult: ConfigurationError, project {target!r}>"
    assert len(server.requests) == 6


# ---- targets that are queries ----------------------------------------------------------------------------------------


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
    async with connected(http()) as (server, galileo):
        report = await galileo.count_all([query], **arguments)
        async with galileo.count_many([query], **arguments) as stream:
            streamed = [result async for result in stream]
        assert await galileo.count(query, **arguments) == 7
    assert sent(server) == [{"filter_tree": dump_filter(tree)}] * 3
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
    """Its own filter, flat or not, stays as it is."""
    async with connected(http()) as (server, galileo):
        assert await galileo.count(query, log_stream_id=STREAM) == 7
    assert sent(server) == [{**body, "log_stream_id": STREAM}]


@pytest.mark.parametrize("where", [NEVER, any_of([]), A & NEVER, ~ALWAYS], ids=repr)
async def test_never_is_zero_without_a_request(where: Filter):
    """A filter that matches no session counts 0 without a request, also among other queries."""
    async with connected({2: http(200, '{"total_count":2}')}, check=True) as (server, galileo):
        assert await galileo.count(PROJECT, where) == 0
        report = await galileo.count_all([*ids(3), CountQuery(PROJECT, where), CountQuery(PROJECT, A)], where)
        assert report.counts == (0,) * 5
        assert {(result.attempts, result.ok) for result in report.results} == {((), True)}
        assert (report.progress.done, report.progress.failed) == (5, 0)
        assert server.connections == 0
        queries = [CountQuery(ids(1)[0], where), ids(3)[2]]
        assert (await galileo.count_all(queries, check=False)).counts == (0, 2)
    assert len(server.requests) == 1


def test_never_travels_as_plain_data():
    """An `or` without conditions is NEVER, and survives as plain data."""
    query = CountQuery(PROJECT, NEVER)
    assert gs.dump_query(query) == {"project_id": PROJECT, "filter_tree": {"or": []}}
    assert gs.load_query(gs.dump_query(query)) == query


# ---- results ---------------------------------------------------------------------------------------------------------


@virtual_time
async def test_results_come_as_they_complete():
    """A slow target doesn't delay the results of others."""
    async with connected({0: slowly(0.2)}) as (_, galileo):
        async with galileo.count_many(ids(12), concurrency=4) as stream:
            assert [result.index async for result in stream] == [*range(1, 12), 0]


@virtual_time
async def test_ordered_results_come_in_the_order_of_the_targets():
    """With `ordered` a slow target delays those after it, within a window of twice `concurrency`."""
    source = Source(ids(40))
    async with connected({1: slowly(20, 1)}) as (_, galileo):
        async with galileo.count_many(source, concurrency=4, ordered=True) as stream:
            assert (await anext(stream)).index == 0
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            assert source.pulled == 9
            results = [(result.index, result.total_count) async for result in stream]
    assert results == [(number, number) for number in range(1, 40)]


async def test_a_failure_is_data():
    """The error of one target is its result, and the other targets are counted."""
    async with connected({3: http(404, "gone")}) as (_, galileo):
        report = await galileo.count_all(ids(6), WHERE)
    assert (report.counts, report.total) == ((0, 1, 2, None, 4, 5), 12)
    (error,) = report.errors
    assert (type(error), error.query) == (NotFoundError, CountQuery(UUID(int=3), WHERE))
    failed = report.results[3]
    assert (failed.ok, failed.error, failed.total_count) == (False, error, None)
    assert failed.attempts == error.attempts
    assert [attempt.status for attempt in failed.attempts] == [404]
    with pytest.raises(NotFoundError) as caught:
        failed.unwrap()
    assert (caught.value, caught.value is error) == (error, False)
    for good in (report.results[0], report.results[4]):  # a count of 0 is a success as well
        assert (good.ok, good.error, good.unwrap()) == (True, None, good.index)
    assert [attempt.status for attempt in good.attempts] == [200]
    assert 0 < good.elapsed <= report.progress.elapsed
    with pytest.raises(ExceptionGroup, match="CountReport: 6 results, total .*, 1 failed") as group:
        report.raise_for_errors()
    assert group.value.exceptions == (error,)


async def test_results_and_reports_can_be_pickled():
    """Pickled results and reports come back equal, with errors, attempts and tags."""
    special = {0: http(404, "gone"), 1: http(200, "{}"), 2: http(503, "")}
    async with connected(special, retry=gs.Retry(attempts=2, backoff=0, patience=0.3)) as (_, galileo):
        report = await galileo.count_all([*ids(4), CountQuery(UUID(int=9), WHERE, tag="a tag")], WHERE)
    assert [type(error) for error in report.errors] == [NotFoundError, gs.DecodeError, gs.ServerError]
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert again.results[4].query.tag == "a tag"
    assert again.results[0].query.body == report.results[0].query.body


# ---- progress --------------------------------------------------------------------------------------------------------


async def test_progress_tells_how_far_it_is():
    """`on_progress` is called with growing numbers after each result."""
    heard: list[gs.Progress] = []
    async with connected({2: http(404, "")}) as (_, galileo):
        report = await galileo.count_all(ids(10), concurrency=3, on_progress=heard.append)
    assert [(progress.done, progress.total) for progress in heard] == [(done, 10) for done in range(1, 11)]
    assert sorted(progress.failed for progress in heard) == [progress.failed for progress in heard]
    assert heard[-1].failed == 1
    assert max(progress.in_flight for progress in heard) < 3
    assert all(5 <= progress.width <= 20 for progress in heard)
    assert {progress.rate for progress in heard} == {math.inf}
    assert sorted(progress.elapsed for progress in heard) == [progress.elapsed for progress in heard]
    assert (report.progress.done, report.progress.failed, report.progress.in_flight) == (10, 1, 0)


async def test_a_progress_callback_that_raises_loses_no_count(caplog):
    """What `on_progress` raises is logged each time, and every target is counted."""

    def broken(progress: gs.Progress) -> None:
        raise RuntimeError(f"broken at {progress.done}")

    async with connected({}) as (_, galileo):
        report = await galileo.count_all(ids(20), on_progress=broken)
    assert report.counts == tuple(range(20))
    records = [record for record in caplog.records if record.name == "galileo_sessions"]
    assert [record.getMessage() for record in records] == ["on_progress raised; the counts go on"] * 20


async def test_progress_can_be_asked_for():
    """`stream.progress` is available at any time; the total of a generator is None."""
    async with connected({}) as (_, galileo):
        assert galileo.count_many(ids(3)).progress.elapsed == 0
        async with galileo.count_many(target for target in ids(3)) as stream:
            assert (stream.progress.done, stream.progress.total) == (0, None)
            await take_all(stream, [])
            assert (stream.progress.done, stream.progress.failed, stream.progress.total) == (3, 0, None)


# ---- places ----------------------------------------------------------------------------------------------------------


async def test_a_place_that_comes_together_with_a_deadline_is_counted_once():
    """A parked count that gets its place just as its deadline passes ends with that one place."""
    async with connected(AtOnce()) as (_, galileo):
        stream = galileo.count_many([], concurrency=1)
        stream._working = 1
        assert stream.park(follows=False)
        assert stream._working == 0
        stream._working = 1  # of the next target
        parked = asyncio.create_task(stream.come_back(lambda: False))
        await asyncio.sleep(0)
        stream._free_place()
        parked.cancel()
        await asyncio.wait([parked])
        stream.leave(is_parked=True)
        assert (stream._working, stream._parked) == (1, 0)
