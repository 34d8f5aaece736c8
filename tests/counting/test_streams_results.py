"""What a stream gives: results in order or as they complete, reports, and progress."""

import asyncio
import math
import pickle
from uuid import UUID

import pytest
from support.clients import Source, ids
from support.clock import virtual_time
from support.inside import idle
from support.sockets import AtOnce, http, numbered, raw_server, slowly, until, when

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, GalileoSessions, Limits, NotFoundError, Retry, ServerError

WHERE = Col("input").contains("x")


@virtual_time
async def test_results_come_as_they_complete():
    """A slow target doesn't delay the results of others."""
    async with numbered({0: slowly(0.2)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(ids(12), concurrency=4) as stream:
            indices = [result.index async for result in stream]
    assert sorted(indices) == list(range(12))
    assert indices[-1] == 0


@virtual_time
async def test_ordered_results_come_in_the_order_of_the_targets():
    """With `ordered` a slow target delays those after it, within a window of twice `concurrency`."""
    release = asyncio.Event()
    source = Source(ids(40))
    async with numbered({1: when(release, 1)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with galileo.count_many(source, concurrency=4, ordered=True) as stream:
            assert (await anext(stream)).index == 0
            await until(lambda: source.pulled == 9)
            await asyncio.sleep(0.05)
            assert source.pulled == 9
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.02)
            release.set()
            results = [result async for result in stream]
    assert [result.index for result in results] == list(range(1, 40))
    assert [result.total_count for result in results] == list(range(1, 40))


async def test_a_failure_is_data():
    """The error of one target is its result, and the other targets are counted."""
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
    async with numbered(special) as server:
        retry = Retry(attempts=2, backoff=0, patience=0.3)
        async with GalileoSessions("k", base_url=server.url, retry=retry) as galileo:
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
    """`on_progress` is called with growing numbers after each result."""
    heard: list[gs.Progress] = []
    async with numbered({2: http(404, "")}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(10), concurrency=3, on_progress=heard.append)
    assert [progress.done for progress in heard] == list(range(1, 11))
    assert {progress.total for progress in heard} == {10}
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

    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(20), on_progress=broken)
    assert report.counts == tuple(range(20))
    records = [record for record in caplog.records if record.name == "galileo_sessions"]
    assert [record.getMessage() for record in records] == ["on_progress raised; the counts go on"] * 20


async def test_progress_can_be_asked_for():
    """`stream.progress` is available at any time; the total of a generator is None."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert galileo.count_many(ids(3)).progress.elapsed == 0
        async with galileo.count_many(target for target in ids(3)) as stream:
            assert (stream.progress.done, stream.progress.total) == (0, None)
            async for _ in stream:
                pass
            assert (stream.progress.done, stream.progress.failed, stream.progress.total) == (3, 0, None)


# ---- streams side by side --------------------------------------------------------------------------------------------


@virtual_time
async def test_several_streams_share_one_queue():
    """Concurrent streams of one client share its limit."""
    at_once = AtOnce()
    async with raw_server(at_once) as server:
        async with GalileoSessions("k", base_url=server.url, limits=Limits(initial=4, maximum=4)) as galileo:
            reports = await asyncio.gather(*(galileo.count_all(ids(20)) for _ in range(3)))
            assert idle(galileo)
    assert [report.total for report in reports] == [140] * 3
    assert at_once.most == 4
