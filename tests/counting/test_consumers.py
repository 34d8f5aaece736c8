"""Those who take a stream's results: one or several tasks, that may be slow, or cancelled while they wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import anyio
import pytest
from support.clients import TASKS, Source, connected, ids
from support.clock import virtual_time
from support.inside import idle, our_tasks, replace_post
from support.sockets import slowly

import galileo_sessions as gs
from galileo_sessions import GalileoSessions, NotFoundError
from galileo_sessions.api.responses import Response

COUNTED = Response(200, {}, b'{"total_count":7}')


@asynccontextmanager
async def posting(post: Callable[[str], Awaitable[Response]]) -> AsyncIterator[GalileoSessions]:
    """A client whose network is a function."""
    async with GalileoSessions("k", base_url="http://127.0.0.1:9") as galileo:
        replace_post(galileo, post)
        yield galileo


class Answers(list[asyncio.Future[Response]]):
    """A network that answers requests in one turn of the event loop, when it is told to."""

    async def __call__(self, path: str) -> Response:
        """Answers when it is told to."""
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


def taking(stream: gs.CountStream, how_many: int) -> list[asyncio.Task[gs.CountResult]]:
    """Tasks that take one result each."""
    return [asyncio.create_task(stream.__anext__()) for _ in range(how_many)]


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("ordered", [False, True])
@virtual_time
async def test_results_of_one_moment_reach_all_who_wait(ordered, factory):
    """If several results come at the same moment, each task that waits gets one of them."""
    asyncio.get_running_loop().set_task_factory(factory)
    async with posting(answers := Answers()) as galileo:
        async with galileo.count_many(ids(4), ordered=ordered) as stream:
            tasks = taking(stream, 3)
            await answers.give(3)
            async with asyncio.timeout(30):
                results = await asyncio.gather(*tasks)
    assert [result.index for result in results] == [0, 1, 2]


@pytest.mark.parametrize("factory", TASKS)
@pytest.mark.parametrize("others", [0, 2])
@virtual_time
async def test_a_result_that_comes_as_its_task_is_cancelled_goes_to_another(others, factory):
    """If a task is cancelled at the moment its result comes, another one that waits gets it, or the next call."""
    asyncio.get_running_loop().set_task_factory(factory)
    async with posting(answers := Answers()) as galileo:
        async with galileo.count_many(ids(1), on_progress=lambda _: tasks[0].cancel()) as stream:
            tasks = taking(stream, 1 + others)
            await answers.give()
            assert tasks[0].cancelled()
            results = [task.result() for task in tasks[1:] if task.done() and task.exception() is None]
            results += [result async for result in stream]
            await asyncio.gather(*tasks, return_exceptions=True)
    assert [result.index for result in results] == [0]


@virtual_time
async def test_a_result_does_not_wait_for_the_end_if_its_task_is_cancelled():
    """The result of a task that is cancelled as it comes reaches another one at once, not with the next result."""
    async with posting(answers := Answers()) as galileo:
        async with galileo.count_many(ids(2), concurrency=1, on_progress=lambda _: tasks[0].cancel()) as stream:
            tasks = taking(stream, 3)
            await answers.give()
            assert [task.done() for task in tasks] == [True, True, False]
            assert (await tasks[1]).index == 0
            await answers.give()
            assert (await tasks[2]).index == 1


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

    async with posting(answers := Answers()) as galileo:
        async with galileo.count_many(source(), fail_fast=True) as stream:

            async def take_all() -> None:
                while True:
                    await anext(stream)

            tasks = [asyncio.create_task(take_all()) for _ in range(3)]
            await answers.give(status=404 if end is NotFoundError else 200)
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            outcomes += await asyncio.gather(take_all(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [end] * 4
        assert idle(galileo)


@virtual_time
async def test_consumers_that_give_up_all_the_time_lose_nothing():
    """Tasks whose waits time out again and again, in asyncio's way or anyio's, take each result once."""
    taken: list[int] = []
    async with connected({number: slowly(0.01 + number % 7 / 100, number) for number in range(100)}) as (_, galileo):
        async with galileo.count_many(ids(100), concurrency=5) as stream:

            async def consume(patience: float, *, is_anyio: bool) -> None:
                while True:
                    try:
                        with anyio.move_on_after(patience if is_anyio else 60):
                            async with asyncio.timeout(60 if is_anyio else patience):
                                taken.append((await anext(stream)).unwrap())
                    except TimeoutError:
                        pass
                    except StopAsyncIteration:
                        return

            patient = [0.003, 0.005, 0.01, 0.02]
            async with asyncio.timeout(30):
                await asyncio.gather(*(consume(each, is_anyio=each in patient[::2]) for each in patient))
    assert sorted(taken) == list(range(100))


# ---- the pace --------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_source_that_pauses_keeps_no_task_but_its_own():
    """While a source has nothing to offer, one task waits for it; its next targets are counted as before."""
    in_flight, waiting = [0], list[int]()

    async def source() -> AsyncIterator[str]:
        for target in ids(10):
            if target == ids(6)[5]:
                await asyncio.sleep(60)
                waiting.append(len(our_tasks()))
            yield target

    async def post(_: str) -> Response:
        in_flight.append(in_flight[-1] + 1)
        await asyncio.sleep(1)
        in_flight.append(in_flight[-1] - 1)
        return COUNTED

    async with posting(post) as galileo:
        async with galileo.count_many(source(), concurrency=3) as stream:
            assert [result.unwrap() async for result in stream] == [7] * 10
            assert 62 <= stream.progress.elapsed < 62.1
    assert (waiting, max(in_flight)) == ([1], 3)


@virtual_time
async def test_targets_are_pulled_while_others_are_counted():
    """A source whose next page takes a while holds up no count, because it is pulled before the last one is used."""

    async def pages() -> AsyncIterator[str]:
        for nth, target in enumerate(ids(160)):
            if nth % 4 == 0:
                await asyncio.sleep(0.4)
            yield target

    async def post(path: str) -> Response:
        await asyncio.sleep(0.8 + UUID(path.split("/")[3]).int % 5 / 10)
        return COUNTED

    async with posting(post) as galileo:
        async with galileo.count_many(pages(), concurrency=8) as stream:
            assert [result.unwrap() async for result in stream] == [7] * 160
            assert stream.progress.elapsed < 21.3  # 20.4 if each count began where another one ended


@virtual_time
async def test_room_is_used_while_the_consumer_is_busy():
    """The room that a result leaves is used once there are few queries, also if nobody takes the next result."""
    source = Source(ids(100))
    async with posting(answers := Answers()) as galileo:
        async with galileo.count_many(source, concurrency=4) as stream:
            await answers.give(1)
            await anext(stream)
            for _ in range(5):
                await answers.give()
            assert source.pulled == 9
