"""The targets of a stream: any source, pulled no further than needed, that can fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import cycle
from uuid import UUID

import pytest
from support.clients import Source, ids, one_by_one, take_all
from support.clock import virtual_time
from support.inside import idle
from support.sockets import PROJECT, AtOnce, number_of, numbered, raw_server, slowly, until

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, GalileoSessions, Limits

WHERE = Col("input").contains("x")


class OnlyAnext:
    """Has `__anext__` alone, which is enough for `async for` in Python."""

    def __init__(self, targets: list) -> None:
        self.targets = iter(targets)

    async def __anext__(self) -> object:
        for target in self.targets:
            return target
        raise StopAsyncIteration


class GivesOnlyAnext:
    """Its `__aiter__` returns an iterator that has no `__aiter__`."""

    def __init__(self, targets: list) -> None:
        self.targets = targets

    def __aiter__(self) -> OnlyAnext:
        return OnlyAnext(self.targets)


class EndsOnce(OnlyAnext):
    """Never ends if it is asked again after its end, as a queue."""

    def __aiter__(self) -> "EndsOnce":
        return self

    async def __anext__(self) -> object:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            self.targets = cycle([PROJECT])
            raise


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
    "no __aiter__": GivesOnlyAnext,
    "ends once": EndsOnce,
    **{each.__name__: without_length(each) for each in (TypeError, NotImplementedError, AttributeError, RuntimeError)},
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_targets_of_every_kind(kind):
    """Targets come from any iterable or async iterable, and each is counted once."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        async with asyncio.timeout(30):
            report = await galileo.count_all(SOURCES[kind](ids(30)), WHERE)
    assert sorted(report.counts) == list(range(30))
    assert sorted(number_of(request) for request in server.requests) == list(range(30))
    assert [result.index for result in report.results] == list(range(30))
    assert report.progress.total == (30 if kind in ("list", "tuple", "dict", "set") else None)


async def test_the_body_is_encoded_once():
    """All queries of one fan-out share the same bytes."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(20), WHERE)
    assert len({id(result.query.body) for result in report.results}) == 1
    assert report.results[3].query == CountQuery(UUID(int=3), WHERE)
    assert report.results[3].query.body == CountQuery(UUID(int=3), WHERE).body


@pytest.mark.parametrize("arguments", [{"targets": PROJECT}, {"concurrency": -1}, {"where": {}}])
def test_what_cannot_work_is_refused_before_a_stream_is_entered(arguments):
    """An argument that can't be raises in the call itself."""
    with pytest.raises((gs.GalileoError, TypeError)):
        GalileoSessions("k").count_many(**{"targets": [PROJECT], **arguments})


@pytest.mark.parametrize("make", [list, one_by_one], ids=["list", "async generator"])
@pytest.mark.parametrize("ordered", [False, True])
async def test_empty_one_and_duplicates(ordered, make):
    """There are as many results as targets, also if there is none, or if targets repeat."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url, check=False) as galileo:
        for targets in ([], ids(1), [PROJECT] * 5):
            async with galileo.count_many(make(targets), ordered=ordered) as stream:
                results = [result async for result in stream]
            assert sorted(result.index for result in results) == list(range(len(targets)))
            assert {result.query.project_id for result in results} == set(targets)
            assert idle(galileo)
        report = await galileo.count_all(make([]))
    assert len(server.requests) == 6
    assert (report.results, report.counts, report.errors, report.total) == ((), (), (), 0)
    report.raise_for_errors()


# ---- laziness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("ordered", [False, True])
@virtual_time
async def test_targets_are_pulled_as_they_are_needed(kind, ordered):
    """At most twice `concurrency` targets are pulled ahead; each result that is taken allows one more."""
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
    """A stream that is never entered pulls nothing, sends nothing and doesn't warn."""
    source = Source(ids(3))
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        galileo.count_many(source)
        await asyncio.sleep(0.01)
    assert (source.pulled, server.connections) == (0, 0)


@pytest.mark.parametrize("concurrency", [1, 3, 200])
@virtual_time
async def test_concurrency_is_kept(concurrency):
    """At most `concurrency` targets are under way at once, and no more than the client allows."""
    at_once = AtOnce()
    async with raw_server(at_once) as server:
        async with GalileoSessions("k", base_url=server.url, limits=Limits(initial=5, maximum=5)) as galileo:
            report = await galileo.count_all(ids(40), concurrency=concurrency)
    assert report.counts == (7,) * 40
    assert at_once.most == min(concurrency, 5)


# ---- sources that fail -----------------------------------------------------------------------------------------------


def failing(how: str, at: int, error: BaseException) -> object:
    """A source that raises after some targets."""

    def sync() -> Iterator[str]:
        yield from ids(at)
        raise error

    async def later() -> AsyncIterator[str]:
        for target in ids(at):
            yield target
        await asyncio.sleep(0)
        raise error

    class Stubborn:
        """Raises once, and could go on."""

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
        """The same as an async iterator."""

        def __aiter__(self) -> "StubbornLater":
            return self

        async def __anext__(self) -> str:
            await asyncio.sleep(0)
            return next(self)

        __iter__ = None

    kinds = {"sync": sync, "async": later, "sync, goes on": Stubborn, "async, goes on": StubbornLater}
    return kinds[how]()


class EmptyError(LookupError):
    """An error that is false, as an empty collection is."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("how", ["sync", "async", "sync, goes on", "async, goes on"])
@pytest.mark.parametrize(
    "error", [LookupError("gone"), TimeoutError("theirs"), RuntimeError("theirs"), EmptyError("theirs")], ids=repr
)
async def test_a_failing_source_raises_its_own_error_after_the_results(how, ordered, error):
    """If the source raises, the stream gives the results before that, and then the same exception."""
    async with numbered({2: slowly(0.05, 2)}) as server, GalileoSessions("k", base_url=server.url) as galileo:
        got: list[gs.CountResult] = []
        async with galileo.count_many(failing(how, 5, error), concurrency=3, ordered=ordered, timeout=5) as stream:
            with pytest.raises(type(error)) as caught:
                await take_all(stream, got)
        assert caught.value is error
        assert idle(galileo)
    counts = [result.unwrap() for result in got]
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert not ordered or counts == sorted(counts)


@pytest.mark.parametrize(
    ("how", "error"),
    [("sync", StopAsyncIteration()), ("sync, goes on", StopAsyncIteration()), ("async", asyncio.CancelledError())],
)
async def test_an_odd_error_of_a_source_is_no_end(how, error):
    """Neither a StopAsyncIteration of a plain source nor a CancelledError is taken for the end of the source."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises((RuntimeError, asyncio.CancelledError)) as caught:
            await asyncio.wait_for(galileo.count_all(failing(how, 3, error)), 30)
        assert type(error) in (type(caught.value), type(caught.value.__cause__))
        assert idle(galileo)


@pytest.mark.parametrize("target", ["not-a-uuid", f"{PROJECT} ", "../../evil", 3, None, b"x"], ids=repr)
async def test_a_target_that_is_no_uuid_has_an_error_as_its_result(target):
    """A target that isn't a UUID has an error that names it, and isn't sent; the other targets are counted."""
    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all([*ids(3), target, *ids(3)], concurrency=2)
        assert idle(galileo)
    assert report.counts == (0, 1, 2, None, 0, 1, 2)
    result = report.results[3]
    assert (result.target, result.query, result.attempts) == (target, None, ())
    assert repr(target) in str(result.error)
    assert "project_id" in str(result.error)
    assert report.rows()[3]["project_id"] == str(target)
    assert repr(result) == f"<CountResult: ConfigurationError, project {target!r}>"
    assert len(server.requests) == 6
