"""What a count costs, next to what it could cost, against one server: the best of all rounds, and the median ratio."""

import asyncio
import json
import multiprocessing
import os
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

import aiohttp
import harness
from support.clients import ids
from support.sockets import Service, serving

from galileo_sessions import Col, CountQuery, GalileoSessions

WHERE = Col("input").contains("x") & ~Col("score").gt(3)
PROJECTS = ids(100_000)
QUERY = CountQuery(PROJECTS[0], WHERE)
HEADERS = {"Galileo-API-Key": "k", "Content-Type": "application/json"}
COMMAND = ["-m", "galileo_sessions", "count", "--format", "json", "--projects-from"]
PROGRAM = """
import asyncio, sys
from galileo_sessions import GalileoSessions

async def main():
    projects = open(sys.argv[1]).read().split()
    async with GalileoSessions() as galileo, galileo.count_many(projects) as stream:
        total = sum([result.unwrap() async for result in stream])
    print(total)

asyncio.run(main())
"""


@contextmanager
def in_process() -> Iterator[str]:
    """The URL of a server in a process of its own, which ends with the block. It counts 7 for everybody."""
    urls: multiprocessing.Queue[str] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(urls,), daemon=True)
    process.start()
    try:
        yield urls.get(timeout=10)
    finally:
        process.terminate()
        process.join()


def _serve(urls: "multiprocessing.Queue[str]") -> None:
    async def serve() -> None:
        async with serving(Service()) as server:
            urls.put(server.url)
            await asyncio.sleep(100_000)

    asyncio.run(serve())


async def in_turn(projects: list[str], width: int, one: Callable[[str], Awaitable[object]]) -> None:
    """Workers on one shared iterator."""
    shared = iter(projects)

    async def work() -> None:
        for project in shared:
            await one(project)

    await asyncio.gather(*(work() for _ in range(width)))


async def bare(url: str, projects: list[str], width: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(project: str) -> None:
            target = f"{url}/v2/projects/{project}/sessions/count"
            async with session.post(target, data=QUERY.body, headers=HEADERS) as response:
                json.loads(await response.read())["total_count"]

        await in_turn(projects, width, one)


async def by_hand(url: str, projects: list[str], width: int) -> None:
    data, semaphore = json.loads(QUERY.body), asyncio.Semaphore(width)
    async with aiohttp.ClientSession(headers={"Galileo-API-Key": "k"}) as session:

        async def one(project: str) -> int:
            async with semaphore, session.post(f"{url}/v2/projects/{project}/sessions/count", json=data) as response:
                return (await response.json())["total_count"]

        await asyncio.gather(*map(one, projects))


async def count(url: str, projects: list[str], width: int) -> None:
    async with GalileoSessions("k", base_url=url) as galileo:
        await in_turn(projects, width, lambda project: galileo.count(project, WHERE))


async def count_many(url: str, projects: list[str], width: int) -> None:
    async with GalileoSessions("k", base_url=url) as galileo:
        async with galileo.count_many(projects, WHERE, concurrency=width) as stream:
            async for result in stream:
                assert result.ok


CONTENDERS = {each.__name__: each for each in (bare, by_hand, count, count_many)}


def cost(name: str, url: str, number: int, width: int) -> tuple[float, float]:
    """The microseconds of CPU and of wall time per count, with a new client in a process that has counted before."""
    with asyncio.Runner() as runner:
        runner.run(CONTENDERS[name](url, PROJECTS[:300], width))
        cpu, wall = time.process_time(), time.perf_counter()
        runner.run(CONTENDERS[name](url, PROJECTS[:number], width))
        return (time.process_time() - cpu) / number * 1e6, (time.perf_counter() - wall) / number * 1e6


def cost_in_process(*arguments: Any) -> tuple[float, float]:
    """The same in a new process each time, since one can be a tenth slower all its life."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(cost, *arguments).result()


async def large(url: str) -> str:
    """What 100,000 counts cost."""
    async with GalileoSessions("k", base_url=url) as galileo:
        await galileo.count(PROJECTS[0], WHERE)
        started, first, seen = time.perf_counter(), 0.0, bytearray(100_000)
        tracemalloc.start()
        async with galileo.count_many(PROJECTS, WHERE) as stream:
            async for result in stream:
                first = first or time.perf_counter() - started
                seen[result.index] += 1
        peak, took = tracemalloc.get_traced_memory()[1] / 1e6, time.perf_counter() - started
        assert seen == b"\x01" * 100_000
        return f"{peak:.1f} MB at the most, first result after {first:.3f} s, {took:.0f} s traced"


def seconds(*program: object) -> float:
    """Seconds of a Python program's process, with the interpreter and all imports."""
    started = time.perf_counter()
    harness.printed(*program)
    return time.perf_counter() - started


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with in_process() as url, tempfile.NamedTemporaryFile("w") as file:
        for width, number in ((1, 1_000), (64, 10_000)):
            print(f"\n{f'{number:,}, {width} in flight':<18}   CPU µs   of bare   wall µs")
            rivals = {name: partial(cost_in_process, name, url, number, width) for name in CONTENDERS}
            spent = harness.in_turns(rivals, rounds)
            for name, each in spent.items():
                ratio = median(cpu / bare_cpu for (cpu, _), (bare_cpu, _) in zip(each, spent["bare"], strict=True))
                print(f"{name:<18} {min(each)[0]:8.1f} {ratio:8.2f}x {min(wall for _, wall in each):9.1f}")
        print(f"\n100,000 counts: {asyncio.run(large(url))}\n")
        file.write("\n".join(PROJECTS[:10_000]))
        file.flush()
        os.environ.pop("PYTHONUNBUFFERED", None)  # as users have it
        os.environ |= {"GALILEO_API_URL": url, "GALILEO_API_KEY": "k"}
        programs = {"command line": COMMAND, "library": ["-c", PROGRAM]}
        rivals = {name: partial(seconds, *program, file.name) for name, program in programs.items()}
        for name, times in harness.in_turns(rivals, rounds).items():
            print(f"{name:<12}  {min(times):.2f} s")


if __name__ == "__main__":
    main()
