"""
What a count costs, next to what it could cost; run by hand: `python tests/bench/bench_fanout.py`.

All figures of one run are of one machine, against one server in a process of its own. The contenders take turns, so
each round compares them under the same conditions: a cost is the best of all rounds, a ratio the median of theirs.
`--before CHECKOUT` measures the package of another checkout as well, and leaves out a large job.
"""

import argparse
import asyncio
import importlib.util
import json
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypeAlias

import aiohttp
import frame
from support.clients import ids
from support.sockets import in_process

from galileo_sessions import Col, CountQuery, GalileoSessions

WHERE = Col("input").contains("x") & ~Col("score").gt(3)
PROJECTS = ids(100_000)
QUERY = CountQuery(PROJECTS[0], WHERE)
HEADERS = {"Galileo-API-Key": "k", "Content-Type": "application/json"}


# ---- contenders ------------------------------------------------------------------------------------------------------


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
    data = json.loads(QUERY.body)
    async with aiohttp.ClientSession(headers={"Galileo-API-Key": "k"}) as session:
        semaphore = asyncio.Semaphore(width)

        async def one(project: str) -> int:
            async with semaphore, session.post(f"{url}/v2/projects/{project}/sessions/count", json=data) as response:
                return (await response.json())["total_count"]

        await asyncio.gather(*(one(project) for project in projects))


async def count(url: str, projects: list[str], width: int) -> None:
    async with GalileoSessions("k", base_url=url) as galileo:
        await in_turn(projects, width, lambda project: galileo.count(project, WHERE))


async def count_many(url: str, projects: list[str], width: int) -> None:
    async with GalileoSessions("k", base_url=url) as galileo:
        async with galileo.count_many(projects, WHERE, concurrency=width) as stream:
            async for result in stream:
                assert result.ok


CONTENDERS = {each.__name__: each for each in (bare, by_hand, count, count_many)}
OURS = ("count", "count_many")
_WARM = 300  # counts before those that are measured


# ---- costs -----------------------------------------------------------------------------------------------------------

Cost: TypeAlias = tuple[float, float]
"""Microseconds of CPU and of wall time per count."""


def cost(name: str, url: str, number: int, width: int, loop: str) -> Cost:
    """What the counts of one contender cost, with a new client in a process that has counted before."""
    loop_factory = importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(CONTENDERS[name](url, PROJECTS[:_WARM], width))
        cpu, wall = time.process_time(), time.perf_counter()
        runner.run(CONTENDERS[name](url, PROJECTS[:number], width))
        return (time.process_time() - cpu) / number * 1e6, (time.perf_counter() - wall) / number * 1e6


def cost_in(checkout: Path, name: str, *arguments: str) -> Cost:
    """
    The same with the package of a checkout, in a process of its own.

    Each time it is another process, because a process can be a tenth slower than the next one all its life, by the
    layout of its memory alone.
    """
    cpu, wall = json.loads(frame.printed(__file__, "--cost", name, *arguments, PYTHONPATH=str(checkout)))
    return cpu, wall


def compare(contenders: dict[str, Callable[[], Cost]], rounds: int) -> None:
    """Prints what each contender costs, also as a multiple of `bare`."""
    spent = frame.in_turns(contenders, rounds)
    for name, each in spent.items():
        ratio = median(cpu / bare_cpu for (cpu, _), (bare_cpu, _) in zip(each, spent["bare"], strict=True))
        print(f"{name:<18} {min(each)[0]:8.1f} {ratio:8.2f}x {min(wall for _, wall in each):9.1f}")


# ---- what is printed -------------------------------------------------------------------------------------------------


async def large(url: str, number: int) -> tuple[float, float, float]:
    """MB added at the most, seconds to the first result, seconds in all."""
    async with GalileoSessions("k", base_url=url) as galileo:
        await galileo.count(PROJECTS[0], WHERE)
        started, first = time.perf_counter(), 0.0
        tracemalloc.start()
        seen = bytearray(number)
        async with galileo.count_many(islice(PROJECTS, number), WHERE) as stream:
            async for result in stream:
                first = first or time.perf_counter() - started
                seen[result.index] += 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen == b"\x01" * number
        return peak / 1e6, first, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, nargs="+", default=[10_000], help="counts per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="next to bare")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="whose package is measured as well")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--cost", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cost:
        name, url, number, width, loop = arguments.cost
        print(json.dumps(cost(name, url, int(number), int(width), loop)))
        return
    loop = "uvloop" if arguments.uvloop else "asyncio"
    measured = {name: (frame.ROOT, name) for name in CONTENDERS if name in ("bare", *arguments.only)}
    if arguments.before:
        measured |= {f"{name}, before": (arguments.before, name) for name in OURS if name in measured}
    with in_process() as url:
        for width, number in ((1, 1_000), *((64, number) for number in arguments.numbers)):
            print(f"\n{f'{number:,}, {width} in flight':<18}   CPU µs   of bare   wall µs")
            contenders = {
                shown: partial(cost_in, checkout, name, url, str(number), str(width), loop)
                for shown, (checkout, name) in measured.items()
            }
            compare(contenders, arguments.rounds)
        if arguments.before:
            return
        peak, first, took = asyncio.run(large(url, 100_000))
        print(f"\n100,000 counts: {peak:.1f} MB at the most, first result after {first:.3f} s, {took:.0f} s traced")


if __name__ == "__main__":
    main()
