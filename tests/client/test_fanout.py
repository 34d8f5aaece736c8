"""Many counts: pulled lazily, in order or as they come, and nothing left behind by any door."""

import asyncio
import json
import logging
import pickle
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from support.servers import PROJECT, RawServer, http, raw_server, until

import galileo_sessions as gs
from galileo_sessions import (
    AuthenticationError,
    Col,
    ConfigurationError,
    CountQuery,
    DeadlineExceededError,
    GalileoSessions,
    Limits,
    NotFoundError,
    PasswordAuth,
    Retry,
    ServerError,
)

WHERE = Col("input").contains("x")
Doing = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def ids(how_many: int) -> list[str]:
    """Project ids that are numbered from 0."""
    return [str(UUID(int=number)) for number in range(how_many)]


def number_of(request: bytes) -> int:
    """The number of the project that a request asks for."""
    return UUID(request.split(b"/projects/")[1][:36].decode()).int


@asynccontextmanager
async def numbered(special: dict[int, Doing] | None = None) -> AsyncIterator[RawServer]:
    """A server that counts n sessions in project n, and does something special for some."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        number = number_of(server.requests[nth - 1])
        doing = (special or {}).get(number, http(200, f'{{"total_count":{number}}}'))
        if isinstance(doing, bytes):
            writer.write(doing)
        else:
            await doing(writer)

    async with raw_server(behave) as server:
        yield server


def slowly(seconds: float, count: int = 0) -> Doing:
    """Answers after a while."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(http(200, f'{{"total_count":{count}}}'))

    return behave


def when(event: asyncio.Event, count: int = 0) -> Doing:
    """Answers once the event has come."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        writer.write(http(200, f'{{"total_count":{count}}}'))

    return behave


def ours() -> list[asyncio.Task]:
    """The tasks that the package has under way."""
    coroutines = [(task, task.get_coro()) for task in asyncio.all_tasks()]
    files = [
        (task, Path(coro.cr_code.co_filename)) for task, coro in coroutines if isinstance(coro, types.CoroutineType)
    ]
    return [task for task, file in files if "galileo_sessions" in file.parts]


def idle(galileo: GalileoSessions) -> bool:
    """Whether a client has no task, no request and no connection under way."""
    session = galileo._transport._session
    connections = session is not None and session.connector is not None and session.connector._acquired
    return not ours() and galileo._counter.gate.in_flight == 0 and not connections


async def take_all(stream: gs.CountStream, into: list[gs.CountResult]) -> None:
    """Takes results until there are no more; those before an error are kept."""
    async for result in stream:
        into.append(result)  # noqa: PERF401  # a comprehension would lose them


class Source:
    """Targets that tell how far they were pulled."""

    def __init__(self, targets: list) -> None:
        self.targets = targets
        self.pulled = 0

    def __iter__(self) -> Iterator:
        for target in self.targets:
            self.pulled += 1
            yield target

    async def later(self) -> AsyncIterator:
        """The same, to be awaited."""
        for target in self:
            await asyncio.sleep(0)
            yield target


# ---- targets ---------------------------------------------------------------------------------------------------------


async def one_by_one(targets: list) -> AsyncIterator:
    """An async generator over the targets."""
    for target in targets:
        yield target


class Awaited:
    """An async iterable that is no generator."""

    def __init__(self, targets: list) -> None:
        self.targets = iter(targets)

    def __aiter__(self) -> "Awaited":
        return self

    async def __anext__(self) -> object:
        for target in self.targets:
            return target
        raise StopAsyncIteration


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, dict.fromkeys, set, lambda targets: (target for target in targets), one_by_one, Awaited],
    ids=["list", "tuple", "iterator", "dict", "set", "generator", "async generator", "async iterator"],
)
async def test_targets_of_every_kind(make):
    """Targets come from any iterable or async iterable, and each is counted once."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(make(ids(30)), WHERE)
    assert sorted(report.counts) == list(range(30))
    assert sorted(number_of(request) for request in server.requests) == list(range(30))
    assert [result.index for result in report.results] == list(range(30))


async def test_ids_and_queries_may_be_mixed():
    """A query brings all of its own, tag and scope; an id takes the filter and the scope of the call."""
    own = CountQuery(UUID(int=1), Col("score").gt(3), experiment_id=PROJECT, tag={"row": 7})
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all([ids(1)[0], own, UUID(int=2)], WHERE, log_stream_id=PROJECT)
    assert report.counts == (0, 1, 2)
    assert report.results[0].query == CountQuery(UUID(int=0), WHERE, log_stream_id=PROJECT)
    assert report.results[1].query is own
    assert report.results[1].query.tag == {"row": 7}
    sent = {number_of(request): json.loads(request.split(b"\r\n\r\n")[1]) for request in server.requests}
    assert sent[0] == sent[2]
    assert sent[0]["log_stream_id"] == PROJECT
    assert (sent[0]["filter_tree"]["filter"]["column_id"], sent[1]["filter_tree"]["filter"]["column_id"]) == (
        "input",
        "score",
    )
    assert (sent[1]["experiment_id"], "log_stream_id" in sent[1]) == (PROJECT, False)


async def test_flat_filters_fan_out_too():
    """`filters` takes the place of `where`."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(2), filters=[Col("score").gt(3)])
    assert report.counts == (0, 1)
    assert [list(json.loads(request.split(b"\r\n\r\n")[1])) for request in server.requests] == [["filters"]] * 2


async def test_the_body_is_encoded_once():
    """All queries of one fan-out share the same bytes."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(20), WHERE)
    assert len({id(result.query.body) for result in report.results}) == 1
    assert report.results[3].query == CountQuery(UUID(int=3), WHERE)
    assert report.results[3].query.body == CountQuery(UUID(int=3), WHERE).body


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"targets": PROJECT}, "targets is a list"),
        ({"targets": UUID(PROJECT)}, "targets is a list"),
        ({"targets": CountQuery(PROJECT)}, "targets is a list"),
        ({"targets": 3}, "targets is a list"),
        ({"targets": None}, "targets is a list"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": -1}, "concurrency=-1"),
        ({"concurrency": 2.0}, "concurrency=2.0"),
        ({"concurrency": True}, "concurrency=True"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"log_stream_id": "x"}, "log_stream_id"),
        ({"where": gs.NEVER}, "NEVER"),
        ({"where": {"filter": {}}}, "load_filter"),
        ({"where": WHERE, "filters": [WHERE]}, "exclude"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_work_is_refused_before_anything_is_sent(arguments, words):
    """A single target in place of a list, and arguments out of range, are errors of the call itself."""
    galileo = GalileoSessions("k")
    with pytest.raises(gs.GalileoError) as caught:
        galileo.count_many(**{"targets": [PROJECT], **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize("ordered", [False, True])
async def test_empty_one_and_duplicates(ordered):
    """No target is no result, one is one, and the same target twice is counted twice."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        for targets in ([], ids(1), [PROJECT] * 5):
            async with galileo.count_many(targets, ordered=ordered) as stream:
                results = [result async for result in stream]
            assert sorted(result.index for result in results) == list(range(len(targets)))
            assert {result.query.project_id for result in results} == set(targets)
            assert idle(galileo)
        report = await galileo.count_all([])
    assert len(server.requests) == 6
    assert (report.results, report.counts, report.errors, report.total) == ((), (), (), 0)
    report.raise_for_errors()


# ---- laziness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("ordered", [False, True])
async def test_targets_are_pulled_as_they_are_needed(kind, ordered):
    """A consumer that holds stops the pulling after twice `concurrency` targets; each result taken pulls one more."""
    source = Source(ids(100))
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        targets = source if kind == "sync" else source.later()
        async with galileo.count_many(targets, concurrency=4, ordered=ordered) as stream:
            await until(lambda: source.pulled == 8)
            await asyncio.sleep(0.05)
            assert source.pulled == 8
            for taken in range(1, 21):
                await anext(stream)
                await asyncio.sleep(0.01)
                assert source.pulled <= 8 + taken
            assert source.pulled == 28
    assert len(server.requests) <= 28


async def test_nothing_is_pulled_before_the_block_is_entered():
    """A stream that is never entered pulls nothing, sends nothing and warns of nothing."""
    source = Source(ids(3))
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        galileo.count_many(source)
        await asyncio.sleep(0.01)
    assert (source.pulled, server.connections) == (0, 0)


@pytest.mark.parametrize("concurrency", [1, 3, 200])
async def test_concurrency_is_kept(concurrency):
    """No more targets than `concurrency` are under way at once, and no more than the client's width."""
    at_once: list[int] = []
    running = 0

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.01)
        running -= 1
        writer.write(http())

    async with raw_server(behave) as server:
        async with GalileoSessions("k", base_url=server.url, limits=Limits(initial=5, maximum=5)) as galileo:
            report = await galileo.count_all(ids(40), concurrency=concurrency)
    assert report.counts == (7,) * 40
    assert max(at_once) == min(concurrency, 5)


async def test_an_endless_source_may_be_left():
    """A source without an end is pulled as far as its results are taken."""

    def forever() -> Iterator[str]:
        while True:
            yield PROJECT

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        taken = 0
        async with galileo.count_many(forever(), concurrency=4) as stream:
            async for _ in stream:
                taken += 1
                if taken == 50:
                    break
        assert idle(galileo)
    assert len(server.requests) < 70


# ---- order -----------------------------------------------------------------------------------------------------------


async def test_results_come_as_they_complete():
    """A slow target holds nothing up: its result comes last."""
    async with numbered({0: slowly(0.2)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(12), concurrency=4) as stream:
            indices = [result.index async for result in stream]
    assert sorted(indices) == list(range(12))
    assert indices[-1] == 0


async def test_ordered_results_come_in_the_order_of_the_targets():
    """With `ordered` a slow target holds those after it back, within a window of twice `concurrency`."""
    release = asyncio.Event()
    source = Source(ids(40))
    async with numbered({1: when(release, 1)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(source, concurrency=4, ordered=True) as stream:
            assert (await anext(stream)).index == 0
            await until(lambda: source.pulled == 9)
            await asyncio.sleep(0.05)
            assert source.pulled == 9
            assert not stream._ready
            release.set()
            results = [result async for result in stream]
    assert [result.index for result in results] == list(range(1, 40))
    assert [result.total_count for result in results] == list(range(1, 40))


async def test_a_report_is_in_the_order_of_the_targets():
    """`count_all` sorts what came in any order."""
    async with numbered({0: slowly(0.1, 5)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(4))
    assert [result.index for result in report.results] == [0, 1, 2, 3]
    assert report.counts == (5, 1, 2, 3)


# ---- results ---------------------------------------------------------------------------------------------------------


async def test_a_failure_is_data():
    """One target's error is its result; the others are counted."""
    async with numbered({3: http(404, "gone")}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(6), WHERE)
    assert report.counts == (0, 1, 2, None, 4, 5)
    assert report.total == 12
    (error,) = report.errors
    assert type(error) is NotFoundError
    assert error.query == CountQuery(UUID(int=3), WHERE)
    failed = report.results[3]
    assert (failed.ok, failed.error, failed.total_count) == (False, error, None)
    assert failed.attempts == error.attempts
    assert [attempt.status for attempt in failed.attempts] == [404]
    with pytest.raises(NotFoundError) as caught:
        failed.unwrap()
    assert caught.value is error
    good = report.results[4]
    assert (good.ok, good.error, good.unwrap()) == (True, None, 4)
    assert [attempt.status for attempt in good.attempts] == [200]
    assert 0 < good.elapsed < 5
    with pytest.raises(ExceptionGroup, match="1 of 6 counts failed") as group:
        report.raise_for_errors()
    assert group.value.exceptions == (error,)


async def test_unwrap_of_zero_is_zero():
    """A count of 0 is a count."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(1))
    assert (report.results[0].ok, report.results[0].unwrap(), report.counts, report.total) == (True, 0, (0,), 0)


async def test_attempts_of_a_result_show_its_retries():
    """A result that took two attempts lists both."""
    seen: list[int] = []

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        number = number_of(server.requests[nth - 1])
        writer.write(http(503, "") if number == 2 and number not in seen else http())
        seen.append(number)

    async with raw_server(behave) as server, GalileoSessions("k", base_url=server.url) as galileo:
        galileo._counter._draw = lambda _: 0.0
        report = await galileo.count_all(ids(4))
    assert [[attempt.status for attempt in result.attempts] for result in report.results] == [
        [200],
        [200],
        [503, 200],
        [200],
    ]


async def test_results_and_reports_can_be_pickled():
    """They come back equal, errors, attempts and tags with them."""
    special = {0: http(404, "gone"), 1: http(200, "no count"), 2: http(503, "")}
    async with numbered(special) as server:
        async with GalileoSessions("k", base_url=server.url, retry=Retry(attempts=2, backoff=0)) as galileo:
            report = await galileo.count_all([*ids(4), CountQuery(UUID(int=9), WHERE, tag="a tag")], WHERE)
    assert [type(error) for error in report.errors] == [NotFoundError, gs.DecodeError, ServerError]
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert again.results[4].query.tag == "a tag"
    assert again.results[0].query.body == report.results[0].query.body
    for result in report.results:
        assert pickle.loads(pickle.dumps(result)) == result


# ---- progress --------------------------------------------------------------------------------------------------------


async def test_progress_tells_how_far_it_is():
    """`on_progress` hears of each result, with numbers that grow to the end."""
    heard: list[gs.Progress] = []
    async with numbered({2: http(404, "")}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(10), concurrency=3, on_progress=heard.append)
    assert [progress.done for progress in heard] == list(range(1, 11))
    assert {progress.total for progress in heard} == {10}
    assert sorted(progress.failed for progress in heard) == [progress.failed for progress in heard]
    assert heard[-1].failed == 1
    assert max(progress.in_flight for progress in heard) < 3
    assert min(progress.limit for progress in heard) >= 10
    assert sorted(progress.elapsed for progress in heard) == [progress.elapsed for progress in heard]
    assert (report.progress.done, report.progress.failed, report.progress.in_flight) == (10, 1, 0)


async def test_progress_can_be_asked_for():
    """`stream.progress` tells the same at any time; the total of a generator isn't known."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert galileo.count_many(ids(3)).progress.elapsed == 0
        async with galileo.count_many(target for target in ids(3)) as stream:
            assert (stream.progress.done, stream.progress.total) == (0, None)
            async for _ in stream:
                pass
            assert (stream.progress.done, stream.progress.failed, stream.progress.total) == (3, 0, None)


async def test_a_progress_callback_that_raises_is_logged(caplog):
    """What `on_progress` raises loses no count."""

    def broken(progress: gs.Progress) -> None:
        raise RuntimeError("the listener broke")

    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(4), on_progress=broken)
    assert report.counts == (0, 1, 2, 3)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == ["on_progress raised; the counts go on"] * 4
    assert all(record.name == "galileo_sessions" and record.exc_info for record in warnings)


# ---- what ends a stream ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
async def test_fail_fast_ends_at_the_first_error(ordered):
    """The results that came are delivered, then the first error is raised, and what is under way is ended."""
    special = {4: http(404, "gone"), 5: slowly(60), 6: slowly(60)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(ids(1000), concurrency=4, fail_fast=True, ordered=ordered) as stream:
            with pytest.raises(NotFoundError) as caught:
                await take_all(stream, got)
            assert idle(galileo)
            with pytest.raises(NotFoundError):
                await anext(stream)
        assert caught.value.query.project_id == ids(5)[4]
    assert {0, 1, 2, 3} >= {result.index for result in got}
    assert len(server.requests) < 20
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(NotFoundError):
            await galileo.count_all(ids(1000), concurrency=4, fail_fast=True)
        assert idle(galileo)


async def test_bad_credentials_end_a_stream_at_once():
    """A 401 is raised rather than repeated for each of the targets."""
    async with raw_server(http(401, "who?")) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(AuthenticationError) as caught:
            await galileo.count_all(ids(40_000))
        assert idle(galileo)
    assert caught.value.status == 401
    assert len(server.requests) <= 10


async def test_a_refused_login_ends_a_stream_at_once():
    """A wrong password is tried once, whatever the number of targets."""
    async with raw_server(http(401, "who?")) as server:
        async with GalileoSessions(auth=PasswordAuth("ann", "pw"), base_url=server.url) as galileo:
            with pytest.raises(gs.LoginError):
                await galileo.count_all(ids(40_000))
            assert idle(galileo)
    assert len(server.requests) == 1


def failing(how: str, at: int, error: BaseException) -> object:
    """Targets that fail after some."""

    def sync() -> Iterator[str]:
        yield from ids(at)
        raise error

    async def later() -> AsyncIterator[str]:
        for target in ids(at):
            yield target
        await asyncio.sleep(0)
        raise error

    class Stubborn:
        """Raises once, and would go on."""

        def __init__(self) -> None:
            self.asked = 0

        def __iter__(self) -> "Stubborn":
            return self

        def __next__(self) -> str:
            self.asked += 1
            if self.asked == at + 1:
                raise error
            return ids(self.asked)[-1]

    class StubbornLater(Stubborn):
        """Likewise, to be awaited."""

        def __aiter__(self) -> "StubbornLater":
            return self

        async def __anext__(self) -> str:
            await asyncio.sleep(0)
            return next(self)

        __iter__ = None

    kinds = {"sync": sync, "async": later, "sync, goes on": Stubborn, "async, goes on": StubbornLater}
    return kinds[how]()


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("how", ["sync", "async", "sync, goes on", "async, goes on"])
async def test_a_failing_source_raises_its_own_error_after_the_results(how, ordered):
    """What was pulled before the source failed is counted and delivered; then comes the source's own exception."""
    error = LookupError("the database is gone")
    async with numbered({2: slowly(0.05, 2)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(failing(how, 5, error), concurrency=3, ordered=ordered) as stream:
            with pytest.raises(LookupError) as caught:
                await take_all(stream, got)
        assert caught.value is error
        assert idle(galileo)
    counts = [result.unwrap() for result in got]
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert not ordered or counts == sorted(counts)


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("error", [TimeoutError("theirs"), RuntimeError("theirs"), ConnectionError("theirs")], ids=repr)
async def test_a_source_may_fail_with_anything(how, error):
    """The source's exception comes through as it is, even one that the package itself knows."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(type(error), match="theirs") as caught:
            await galileo.count_all(failing(how, 3, error), timeout=5)
        assert caught.value is error
        assert idle(galileo)


async def test_a_source_that_was_cancelled_is_no_end():
    """A source that ends with a CancelledError of its own must not look like one that is exhausted."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(BaseException) as caught:  # noqa: PT011  # which one it is matters less than that there is one
            await asyncio.wait_for(galileo.count_all(failing("async", 3, asyncio.CancelledError())), 5)
        assert not isinstance(caught.value, TimeoutError)
        assert idle(galileo)


async def test_an_exhausted_source_is_not_asked_again():
    """A source that ends once, such as a queue with an end mark, is left alone after its end."""

    class FromQueue:
        def __init__(self) -> None:
            self.queue: asyncio.Queue[str | None] = asyncio.Queue()

        def __aiter__(self) -> "FromQueue":
            return self

        async def __anext__(self) -> str:
            target = await self.queue.get()
            if target is None:
                raise StopAsyncIteration
            return target

    source = FromQueue()
    for target in [*ids(5), None]:
        source.queue.put_nowait(target)
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with asyncio.timeout(3):
            assert (await galileo.count_all(source)).counts == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("target", ["not-a-uuid", "../../evil", 3, None, b"x"], ids=repr)
async def test_a_target_that_is_no_uuid_ends_the_stream(target):
    """It is named, after the results of those before it; nothing is sent for it."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many([*ids(3), target, *ids(3)], concurrency=2) as stream:
            with pytest.raises(ConfigurationError, match="project_id") as caught:
                await take_all(stream, got)
        assert idle(galileo)
    assert sorted(result.index for result in got) == [0, 1, 2]
    assert repr(target) in str(caught.value)
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", ["RuntimeError", "OSError", "TimeoutError"])
async def test_a_rate_that_fails_loses_no_target_in_silence(kind):
    """What the rate's context manager raises reaches the consumer; no target is missing without a word."""
    error = {"RuntimeError": RuntimeError, "OSError": OSError, "TimeoutError": TimeoutError}[kind]("the rate broke")

    class Broken:
        async def __aenter__(self) -> None:
            raise error

        async def __aexit__(self, *_: object) -> None:
            pass

    async with raw_server(http()) as server:
        async with GalileoSessions("k", base_url=server.url, limits=Limits(rate=Broken())) as galileo:
            async with asyncio.timeout(3):
                with pytest.raises(type(error), match="the rate broke"):
                    await galileo.count_all(ids(5), timeout=60)
            assert idle(galileo)


# ---- the deadline for all --------------------------------------------------------------------------------------------


async def test_a_deadline_ends_all_that_is_not_counted_by_then():
    """What came in time is a count; each other target has a DeadlineExceededError, and nothing more is sent for it."""
    clock = asyncio.get_running_loop().time
    arrived: list[float] = []

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        arrived.append(clock())
        await asyncio.sleep(0.1)
        writer.write(http())

    async with raw_server(behave) as server, GalileoSessions("k", base_url=server.url) as galileo:
        began = clock()
        report = await galileo.count_all(ids(600), concurrency=8, timeout=1)
        took = clock() - began
        assert idle(galileo)
    assert len(report.results) == 600
    assert {type(error) for error in report.errors} == {DeadlineExceededError}
    assert 8 <= sum(result.ok for result in report.results) <= 80
    assert took < 3
    assert [at - began for at in arrived if at > began + 1.3] == []


async def test_a_deadline_ends_the_wait_for_a_source():
    """A source that brings nothing more in time ends the stream with an error of ours, after the results that came."""

    async def stuck() -> AsyncIterator[str]:
        yield PROJECT
        await asyncio.sleep(60)

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(stuck(), timeout=0.2) as stream:
            with pytest.raises(DeadlineExceededError):
                await take_all(stream, got)
        assert idle(galileo)
    assert [result.unwrap() for result in got] == [7]


async def test_a_deadline_that_is_not_reached_changes_nothing():
    """Counts that come in time come as they would."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(one_by_one(ids(10)), timeout=30)
    assert report.counts == tuple(range(10))


# ---- leaving ---------------------------------------------------------------------------------------------------------


async def leave_by_break(stream: gs.CountStream) -> None:
    """Takes one result."""
    async for _ in stream:
        break


async def leave_by_error(stream: gs.CountStream) -> None:
    """Fails on the first result."""
    async for _ in stream:
        raise KeyError("in the body")


async def leave_at_once(stream: gs.CountStream) -> None:
    """Takes nothing."""


async def leave_by_cancelling_oneself(stream: gs.CountStream) -> None:
    """Is cancelled at the next await."""
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


DOORS = {
    "break": (leave_by_break, None),
    "exception": (leave_by_error, KeyError),
    "at once": (leave_at_once, None),
    "cancel": (leave_by_cancelling_oneself, asyncio.CancelledError),
}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("door", "error"), DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_leaving_by_any_door_joins_all(door, error, kind, ordered):
    """When the block is left, no task, no place and no connection of it is under way, and the client counts on."""
    special = {number: slowly(60) for number in range(1, 500)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:

        async def use() -> None:
            targets = ids(500) if kind == "sync" else one_by_one(ids(500))
            async with galileo.count_many(targets, ordered=ordered) as stream:
                await until(lambda: len(server.requests) > 5)
                await door(stream)

        (outcome,) = await asyncio.gather(asyncio.create_task(use()), return_exceptions=True)
        assert idle(galileo)
        assert type(outcome) is (error or type(None))
        assert await galileo.count(ids(1)[0]) == 0


async def test_a_return_from_the_block_joins_all():
    """`return` in the middle of the loop is a door like any other."""
    async with numbered({5: slowly(60)}) as server, GalileoSessions("k", base_url=server.url) as galileo:

        async def first() -> int:
            async with galileo.count_many(ids(100)) as stream:
                async for result in stream:
                    return result.unwrap()
            return -1

        assert await first() >= 0
        assert idle(galileo)


async def test_cancelled_while_joining_still_joins_all():
    """A second cancellation, as the block is being left, neither is lost nor leaves a worker behind."""
    async with numbered({0: slowly(60)}) as server, GalileoSessions("k", base_url=server.url) as galileo:

        async def use() -> None:
            async with galileo.count_many(ids(1)):
                await until(lambda: server.requests)
                asyncio.get_running_loop().call_soon(task.cancel)

        task = asyncio.create_task(use())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert idle(galileo)


async def test_the_callers_own_timeout_around_a_stream():
    """The caller's asyncio.timeout ends a stream as it would end anything, with the caller's TimeoutError."""
    special = {number: slowly(60) for number in range(20)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await galileo.count_all(ids(20))
        assert type(caught.value) is TimeoutError
        assert idle(galileo)


async def test_waiting_for_one_result_may_be_cancelled():
    """A result whose wait timed out isn't lost: the next one who asks gets it."""
    release = asyncio.Event()
    async with numbered({0: when(release)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(1)) as stream:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.02)
            release.set()
            assert [result.index async for result in stream] == [0]


async def test_two_tasks_may_share_a_stream():
    """Several consumers take turns, each result goes to one of them, and all of them come to the end."""
    special = {number: slowly(0.005, number) for number in range(40)}
    async with numbered(special) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(40), concurrency=3) as stream:

            async def consume() -> list[int]:
                return [result.unwrap() async for result in stream]

            async with asyncio.timeout(5):
                shares = await asyncio.gather(consume(), consume())
    assert sorted(shares[0] + shares[1]) == list(range(40))


async def test_a_stream_is_entered_once():
    """A second pass needs a second call."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        stream = galileo.count_many(ids(2))
        async with stream:
            with pytest.raises(ConfigurationError, match="count_many again"):
                async with stream:
                    pass
            assert len([result async for result in stream]) == 2
            assert [result async for result in stream] == []
        with pytest.raises(ConfigurationError, match="count_many again"):
            async with stream:
                pass


async def test_a_stream_is_entered_before_it_is_iterated():
    """Iterating without `async with` says what to write."""
    galileo = GalileoSessions("k")
    with pytest.raises(ConfigurationError, match="async with"):
        async for _ in galileo.count_many(ids(2)):
            pass


async def test_a_closed_client_says_so_for_each_target():
    """A fan-out over a client that is closed has its ConfigurationError as results, and ends."""
    async with raw_server(http()) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            pass
        report = await galileo.count_all(ids(3))
    assert [type(error) for error in report.errors] == [ConfigurationError] * 3
    assert server.connections == 0


async def test_closing_the_client_during_a_login_loses_no_target_in_silence():
    """A client that is closed under a stream ends it with an error or with errors as results, never early and well."""
    login = asyncio.Event()

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        login.set()
        await asyncio.sleep(60)

    async with raw_server(behave) as server:
        galileo = GalileoSessions(auth=PasswordAuth("ann", "pw"), base_url=server.url)
        counting = asyncio.create_task(galileo.count_all(ids(30)))
        await login.wait()
        await galileo.close()
        (outcome,) = await asyncio.gather(counting, return_exceptions=True)
    assert isinstance(outcome, BaseException) or len(outcome.errors) == 30


async def test_several_streams_share_one_queue():
    """Fan-outs of one client side by side keep its width together."""
    running = most = 0

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        writer.write(http())

    async with raw_server(behave) as server:
        async with GalileoSessions("k", base_url=server.url, limits=Limits(initial=4, maximum=4)) as galileo:
            reports = await asyncio.gather(*(galileo.count_all(ids(20)) for _ in range(3)))
            assert idle(galileo)
    assert [report.total for report in reports] == [140] * 3
    assert most == 4
