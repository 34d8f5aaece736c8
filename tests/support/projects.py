"""Projects numbered from 0, and a server that counts n sessions in project n."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from uuid import UUID

import galileo_sessions as gs
from support.servers import RawServer, http, raw_server

Doing = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def ids(how_many: int) -> list[str]:
    """Project ids that are numbered from 0."""
    return [str(UUID(int=number)) for number in range(how_many)]


def number_of(request: bytes) -> int:
    """The number of the project that a request asks for."""
    return UUID(request.split(b"/projects/")[1][:36].decode()).int


@asynccontextmanager
async def numbered(special: dict[int, Doing] | None = None) -> AsyncIterator[RawServer]:
    """A server that counts n sessions in project n, with other behaviour for some projects."""

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
    """Answers once the event is set."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await event.wait()
        writer.write(http(200, f'{{"total_count":{count}}}'))

    return behave


async def one_by_one(targets: list) -> AsyncIterator:
    """An async generator over the targets."""
    for target in targets:
        yield target


class Source:
    """Targets that know how many of them were pulled."""

    def __init__(self, targets: list) -> None:
        self.targets = targets
        self.pulled = 0

    def __iter__(self) -> Iterator:
        for target in self.targets:
            self.pulled += 1
            yield target

    async def later(self) -> AsyncIterator:
        """The same as an async iterator."""
        for target in self:
            await asyncio.sleep(0)
            yield target


async def take_all(stream: gs.CountStream, into: list[gs.CountResult]) -> None:
    """Appends all results to a list, which keeps those before an error."""
    async for result in stream:
        into.append(result)  # noqa: PERF401  # a comprehension would lose them
