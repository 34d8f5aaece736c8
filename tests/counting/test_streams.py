"""What streams pull and when, in which order results come, what their progress is, and who gets each result."""

import asyncio
import math
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from support.clients import TASKS, Source, connected, ids, one_by_one, take_all
from support.clock import virtual_time
from support.network import COUNTED, Late, Scripted, refusal
from support.private import idle, replace_post
from support.sockets import PROJECT, AtOnce, http, number_of, slowly, until

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, GalileoSessions, Limits, NotFoundError
from galileo_sessions.http.responses import Response

WHERE = Col("input").contains("x")

# ---- sources ---------------------------------------------------------------------------------------------------------


class Steps:
    """An asynchronous source of targets and errors; unlike a generator, it goes on after an error, or after its end."""

    def __init__(self, *steps: str | BaseException) -> None:
        self.steps = iter(steps)

    def __aiter__(self) -> "Steps":
        return self

    async def __anext__(self) -> str:
        if isinstance(step := next(self.steps), BaseException):
            raise step
        return step


class Wrapper(list):
    """A list in a wrapper such as tqdm or DataLoader, whose `__len__` can raise any error."""

    def __len__(self) -> int:
        raise AttributeError("no length")


SOURCES = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "set": set,
    "generator": lambda targets: (target for target in targets),
    "async generator": one_by_one,
    "queue": lambda targets: Steps(*targets, StopAsyncIteration(), PROJECT),
    "wrapper": Wrapper,
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_targets_of_every_kind(kind):
    """Each is counted once, if there are any; the filter is encoded once for all."""
    async with connected({}, check=False) as (server, galileo), asyncio.timeout(30):
        if kind != "iterator":  # one that is empty may have been used up
            assert (await galileo.count_all(SOURCES[kind]([]))).results == ()
        report = await galileo.count_all(SOURCES[kind](ids(30)), WHERE)
    assert sorted(report.counts) == sorted(number_of(request) for request in server.requests) == list(range(30))
    assert [result.index for result in report.results] == list(range(30))
    assert report.progress.total == (30 if kind in ("list", "tuple", "set") else None)
    assert len({id(result.query.body) for result in report.results}) == 1
    query = report.results[3].query
    assert (query, query.body) == (again := CountQuery(UUID(query.project_id), WHERE), again.body)


@pytest.mark.parametrize("make", [iter, one_by_one], ids=["sync", "async"])
@pytest.mark.parametrize("ordered", [False, True])
@virtual_time
async def test_targets_are_pulled_as_they_are_needed(make, ordered):
    """None before the block, and in it twice `concurrency` of them; each result that is taken allows one more."""
    source = Source(ids(100))
    async with connected({}) as (server, galileo):
        stream = galileo.count_many(make(source), concurrency=4, ordered=ordered)
        await asyncio.sleep(0.01)
        assert (source.pulled, server.connections) == (0, 0)
        async with stream:
            await until(lambda: source.pulled == 8)
            for taken in range(21):
                await asyncio.sleep(0.01)
                assert source.pulled <= 8 + taken
                await anext(stream)
            await asyncio.sleep(0.01)
            assert source.pulled == 29
    assert len(server.requests) <= 29


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


def failing(error: BaseException) -> Iterator[str]:
    """A source that raises an error after five targets."""
    yield from ids(5)
    raise error


class EmptyError(LookupError):
    """An error that is false, as an empty collection is."""

    def __len__(self) -> int:
        return 0


FAILING: dict[str, Callable[[BaseException], object]] = {
    "generator": failing,
    "async generator": lambda error: one_by_one(failing(error)),
    "async iterator": lambda error: Steps(*ids(5), error, *ids(5)),
}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
@pytest.mark.parametrize("error", [LookupError("gone"), TimeoutError("theirs"), EmptyError("theirs")], ids=repr)
async def test_a_failing_source_raises_its_own_error_after_the_results(source, ordered, error):
    async with connected({2: slowly(0.05, 2)}) as (_, galileo):
        got: list[gs.CountResult] = []
        async with galileo.count_many(source(error), concurrency=3, ordered=ordered, timeout=5) as stream:
            with pytest.raises(type(error)) as caught:
                await take_all(stream, got)
        with pytest.raises(type(error)):
            await galileo.count_all(source(error))
    assert caught.value is error
    assert not hasattr(error, "report")  # it may be one that can't be changed
    counts = [result.unwrap() for result in got]
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert not ordered or counts == sorted(counts)


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
async def test_a_source_that_raises_a_cancellation_fails_like_any_other(source):
    """Nobody cancelled the stream, so the counts in flight are completed first."""
    error = asyncio.CancelledError("theirs")
    async with connected({2: slowly(0.05, 2)}) as (_, galileo):
        got: list[gs.CountResult] = []
        async with galileo.count_many(source(error), concurrency=3) as stream:
            with pytest.raises(asyncio.CancelledError) as caught:
                await take_all(stream, got)
        assert caught.value is error
        with pytest.raises(asyncio.CancelledError) as caught:
            await galileo.count_all(source(error))
    assert sorted(result.unwrap() for result in got) == [0, 1, 2, 3, 4]
    assert vars(caught.value)["report"].counts == (0, 1, 2, 3, 4)


# ---- results and progress --------------------------------------------------------------------------------------------


@virtual_time
async def test_results_come_as_they_complete():
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
    async with connected({3: http(404, "gone")}) as (_, galileo):
        report = await galileo.count_all(ids(6), WHERE)
    assert (report.counts, report.total) == ((0, 1, 2, None, 4, 5), 12)
    (error,), failed = report.errors, report.results[3]
    assert (type(error), error.query) == (NotFoundError, CountQuery(UUID(int=3), WHERE))
    assert (failed.ok, failed.error, failed.total_count, failed.attempts) == (False, error, None, error.attempts)
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
    assert pickle.loads(pickle.dumps(report)) == report


async def test_on_progress_hears_of_each_count_and_may_fail(caplog):
    """What it raises is logged, and loses no count."""
    heard: list[gs.Progress] = []

    def listen(progress: gs.Progress) -> None:
        heard.append(progress)
        raise RuntimeError("listener broke")

    async with connected({2: http(404, "")}) as (_, galileo):
        report = await galileo.count_all(ids(10), concurrency=3, on_progress=listen)
    assert report.counts == (0, 1, None, *range(3, 10))
    assert [(progress.done, progress.total) for progress in heard] == [(done, 10) for done in range(1, 11)]
    assert (heard[-1].failed, {progress.rate for progress in heard}) == (1, {math.inf})
    records = [record for record in caplog.records if record.name == "galileo_sessions"]
    assert [record.getMessage() for record in records] == ["on_progress raised; the counts go on"] * 10


@virtual_time
async def test_progress_can_be_asked_for_at_any_time():
    """Its seconds begin with the block, and stand still once the last task is done; a generator has no total."""
    async with connected({0: slowly(2)}) as (_, galileo):
        stream = galileo.count_many(target for target in ids(3))
        assert stream.progress.elapsed == 0
        async with stream:
            assert (stream.progress.done, stream.progress.total) == (0, None)
            await take_all(stream, [])
            await asyncio.sleep(50)
        await asyncio.sleep(50)
    assert (stream.progress.done, stream.progress.failed, stream.progress.total) == (3, 0, None)
    assert 2 <= stream.progress.elapsed < 3


# ---- those who take the results: one or several tasks, which may be slow, or cancelled while they wait ---------------


class Answers(list[asyncio.Future[Response]]):
    """A network that answers requests in one turn of the event loop, when it is told to."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[GalileoSessions]:
        """A client of this network."""
        async with GalileoSessions("k", base_url="http://127.0.0.1:9") as galileo, asyncio.timeout(30):
            replace_post(galileo, self.post)
            yield galileo

    async def post(self, _: str) -> Response:
        """The answer to a request, once it is given."""
        self.append(asyncio.get_running_loop().create_future())
        return await self[-1]

    async def give(self, how_many: int | None = None, status: int = 200) -> None:
        """Answers the oldest requests, or all, and lets everything happen that needs no time before and after."""
        await some_turns()
        for each in self[:how_many]:
            each.set_result(Response(status, {}, COUNTED.body))
        del self[:how_many]
        await some_turns()


async def some_turns() -> None:
    """Lets everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("others", [0, 2])
@virtual_time
async def test_results_of_one_moment_reach_all_who_wait(others, ordered, factory):
    """Also if a task is cancelled as its result comes: another one has it at once, or the next call gets it."""
    asyncio.get_running_loop().set_task_factory(factory)
    answers = Answers()
    async with answers.client() as galileo:
        async with galileo.count_many(
            ids(3), concurrency=2, ordered=ordered, on_progress=lambda _: tasks[0].cancel()
        ) as stream:
            tasks = [asyncio.create_task(stream.__anext__()) for _ in range(1 + others)]
            await answers.give(2)
            assert [task.done() for task in tasks] == [True] * (1 + others)
            await answers.give()
            results = [*await asyncio.gather(*tasks[1:]), *[result async for result in stream]]
    assert tasks[0].cancelled()
    assert [result.index for result in results] == [0, 1, 2]


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("end", [StopAsyncIteration, NotFoundError, LookupError])
@virtual_time
async def test_the_end_reaches_all_who_wait(end, factory):
    """All tasks that wait learn that the stream has ended, or with which error, and so does whoever asks later."""
    asyncio.get_running_loop().set_task_factory(factory)

    async def source() -> AsyncIterator[str]:
        yield ids(1)[0]
        await asyncio.sleep(1)
        if end is LookupError:
            raise LookupError("the database is gone")

    async def take_until_the_end() -> None:
        while True:
            await anext(stream)

    answers = Answers()
    async with answers.client() as galileo:
        async with galileo.count_many(source(), fail_fast=True) as stream:
            tasks = [asyncio.create_task(take_until_the_end()) for _ in range(3)]
            await answers.give(status=404 if end is NotFoundError else 200)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            outcomes += await asyncio.gather(take_until_the_end(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [end] * 4
        assert idle(galileo)


@virtual_time
async def test_targets_are_pulled_while_others_are_counted():
    """A source whose next page takes a while holds up no count, because it is pulled before the last one is used."""

    async def pages() -> AsyncIterator[str]:
        for nth, target in enumerate(ids(160)):
            if nth % 4 == 0:
                await asyncio.sleep(0.4)
            yield target

    async with Scripted(lambda _, number: Late(0.8 + number % 5 / 10)).client() as galileo:
        async with galileo.count_many(pages(), concurrency=8) as stream:
            assert [result.unwrap() async for result in stream] == [7] * 160
            assert stream.progress.elapsed < 21.3  # 20.4 if each count began where another one ended


@virtual_time
async def test_a_hundred_more_targets_are_pulled_in_an_outage():
    """Of one count at once, ten can be parked besides."""
    source = Source(ids(500))
    async with Scripted(lambda *_: refusal()).client() as galileo:
        async with galileo.count_many(source, concurrency=1):
            await asyncio.sleep(20)
            assert source.pulled == 112


@pytest.mark.parametrize(("maximum", "at_once"), [(256, 240), (16, 15), (15, 15), (1, 1)])
@virtual_time
async def test_a_fan_out_leaves_a_sixteenth_of_the_limit_to_other_calls(maximum, at_once):
    silent = Scripted(lambda *_: Late())
    async with silent.client(limits=Limits(maximum, initial=maximum)) as galileo:
        async with galileo.count_many(ids(2 * maximum)):
            await asyncio.sleep(1)
            assert silent.requests == at_once


@virtual_time
async def test_room_is_used_while_the_consumer_is_busy():
    """The room that a result leaves is used once there are few queries, also if nobody takes the next result."""
    source, answers = Source(ids(100)), Answers()
    async with answers.client() as galileo:
        async with galileo.count_many(source, concurrency=4) as stream:
            await answers.give(1)
            await anext(stream)
            for _ in range(5):
                await answers.give()
            assert source.pulled == 9


class Odd:
    """A target that nobody can look at."""

    @property
    def __class__(self) -> type:
        raise KeyError


async def test_a_target_that_raises_an_error_of_its_own_keeps_no_permit():
    """The stream ends with the error, and nothing counts as sent any more."""
    async with connected({}) as (_, galileo):
        with pytest.raises(KeyError):
            await galileo.count_all([Odd()])
        assert idle(galileo)
