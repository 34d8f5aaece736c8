"""
Our client next to what people write themselves, on real sockets; run by hand: `python tests/bench/bench_services.py`.

Each contender meets a new server in a process of its own. The servers melt, limit the rate, fail or degrade.
`--only a,b` selects cases.
"""

import argparse
import asyncio
import math
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import aiohttp
import uvloop
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.bench_servers import OK, Server, server

from galileo_sessions import GalileoSessions, Timeouts

TRIES, HEADERS = 4, {"Galileo-API-Key": "k"}
NO = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n"
Contender = Callable[[str, int, float], Awaitable[int]]
"""Makes a number of counts at a URL, with a time-out in seconds for each attempt; returns how many were lost."""


class Melting(Server):
    """Latency grows exponentially with each request beyond 10 under way. Work goes on if the client hangs up."""

    under_way = 0

    def __init__(self, latency: float, growth: float = 1.0) -> None:
        super().__init__()
        self.latency, self.growth = latency, growth

    def answer(self) -> None:
        Melting.under_way += 1
        seconds = self.latency * self.growth ** max(0, Melting.under_way - 10)
        asyncio.get_running_loop().call_later(seconds, self.finish)

    def finish(self) -> None:
        Melting.under_way -= 1
        self.write(OK)


class Failing(Melting):
    """Each answer is a 500 during the second second."""

    began = 0.0

    def finish(self) -> None:
        Failing.began = Failing.began or time.monotonic()
        self.write(NO % 500 if 1 <= time.monotonic() - Failing.began < 2 else OK)


class Bucket(Server):
    """A token bucket, which refuses with 503 at once, like nginx's limit_req; `tells` adds RateLimit headers."""

    tokens, at = math.inf, 0.0

    def __init__(self, rate: float, burst: int, *, tells: bool = False) -> None:
        super().__init__()
        self.rate, self.burst, self.tells = rate, burst, tells

    def answer(self) -> None:
        now = time.monotonic()
        Bucket.tokens = min(self.burst, Bucket.tokens + (now - Bucket.at) * self.rate)
        Bucket.at, accepts = now, Bucket.tokens >= 1
        Bucket.tokens -= accepts
        full_in = math.ceil((self.burst - Bucket.tokens) / self.rate)
        told = b'RateLimit: "d";r=%d;t=%d\r\n' % (Bucket.tokens, full_in) if self.tells else b""
        self.write((OK if accepts else NO % 503).replace(b"Content-Length", told + b"Content-Length"))


class Degrading(Server):
    """Four slots of 1 s. Each request beyond four under way makes all 1.2 times slower; one that hangs up leaves."""

    left: ClassVar[dict[Server, float]] = {}  # seconds of work, of the requests under way
    ticks = False

    def answer(self) -> None:
        Degrading.left[self] = 1.0
        if not Degrading.ticks:
            Degrading.ticks = True
            self.work()

    def work(self) -> None:
        asyncio.get_running_loop().call_later(0.02, self.work)
        slower = min(30, 1.2 ** max(0, len(self.left) - 4))
        for request in list(self.left)[:4]:
            self.left[request] -= 0.02 / slower
            if self.left[request] <= 0:
                del self.left[request]
                request.write(OK)

    def connection_lost(self, error: Exception | None) -> None:
        _ = self.left.pop(self, None)


def targets(number: int) -> list[str]:
    return [str(UUID(int=0x74AEC44EEC214C9FA3E2B2AB2B81B4DB + i)) for i in range(number)]


async def lost_of(counts: Iterable[Awaitable[int]]) -> int:
    return sum(result != 7 for result in await asyncio.gather(*counts, return_exceptions=True))


async def ours(url: str, number: int, seconds: float) -> int:
    async with GalileoSessions("k", base_url=url, timeouts=Timeouts(attempt=seconds)) as galileo:
        return len((await galileo.count_all(targets(number))).errors)


async def by_hand(width: int, url: str, number: int, seconds: float) -> int:
    semaphore = asyncio.Semaphore(width)
    async with aiohttp.ClientSession(headers=HEADERS, timeout=aiohttp.ClientTimeout(seconds)) as session:

        async def count(project: str) -> int:
            for attempt in range(TRIES):
                await asyncio.sleep(random.uniform(0, 0.25 * 2**attempt) if attempt else 0)
                with suppress(aiohttp.ClientError, TimeoutError):
                    path = f"{url}/v2/projects/{project}/sessions/count"
                    async with semaphore, session.post(path, json={}, raise_for_status=True) as response:
                        return (await response.json())["total_count"]
            return -1

        return await lost_of(map(count, targets(number)))


CONTENDERS: dict[str, Contender] = {
    "ours": ours,
    "16 at once": partial(by_hand, 16),
    "64 at once": partial(by_hand, 64),
}


@frozen
class Case:
    """A number of counts at a server, with the seconds that a contender and an attempt may take."""

    name: str
    server: Callable[[], Server]
    number: int
    goal: str
    cap: float = 60.0
    attempt: float = 30.0


def melting(latency: float, growth: float, number: int) -> Case:
    ideal = min(number * latency * growth ** max(0, n - 10) / n for n in range(1, 100))
    name = f"b. {number:,} counts, {1000 * latency:.0f} ms x {growth}^(n-10) beyond 10 (ideal {ideal:.1f} s)"
    return Case(name, partial(Melting, latency, growth), number, f"{2 * ideal:.1f} s")


def bucket(rate: float, burst: int, number: int, *, tells: bool) -> Case:
    told = ", RateLimit headers" if tells else ""
    name = f"c. {number} counts, {rate} a second, burst {burst}{told} (ideal {(number - burst) / rate:.0f} s)"
    return Case(name, partial(Bucket, rate, burst, tells=tells), number, "2.2 requests, 0 lost")


CASES = [
    melting(0.025, 1.2, 1_000),
    melting(0.1, 1.1, 2_000),
    *(bucket(rate, burst, number, tells=t) for t in (False, True) for rate, burst, number in ((1, 1, 20), (5, 5, 60))),
    Case("d. 6,000 counts of 20 ms, all 500 for 1 s", partial(Failing, 0.02), 6_000, "0 lost"),
    Case("e. 100 counts, 4 slots of 1 s, 1.2 times slower for each more (ideal 25 s)", Degrading, 100, "-", 90, 5),
]


def run(case: Case, contender: Contender, loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> list[float]:
    """The seconds, requests per count and lost counts; nothing if it took too long."""

    async def measured(url: str) -> list[float]:
        started = time.perf_counter()
        with suppress(TimeoutError):
            async with asyncio.timeout(case.cap):
                lost = await contender(url, case.number, case.attempt)
                seconds = time.perf_counter() - started
            async with aiohttp.ClientSession() as session, session.get(f"{url}/requests") as response:
                return [seconds, int(await response.text()) / case.number, lost]
        return []

    with server(case.server) as url, asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(measured(url))


def show(*cells: object) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def table(*head: str) -> None:
    print()
    show(*head)
    show(*["---"] * len(head))


def cell(case: Case, result: list[float]) -> str:
    return "{:.1f} s, {:.2f}, {} lost".format(*result) if result else f"> {case.cap:.0f} s"


def small_jobs() -> None:
    table("a. counts", "latency, ms", *(f"{name}, ms" for name in CONTENDERS), "ours / best of 16, 64", "goal")
    for latency in (0.002, 0.02, 0.1, 0.3):
        for number in (10, 20, 50, 100, 300):
            case = Case("", partial(Melting, latency), number, "3x" if latency >= 0.1 else "2x")
            rounds = [[run(case, contender)[0] for contender in CONTENDERS.values()] for _ in range(3)]
            best = [min(column) for column in zip(*rounds, strict=True)]
            ratio = f"{best[0] / min(best[1:3]):.2f}x"
            show(number, f"{1000 * latency:.0f}", *(f"{1000 * seconds:.0f}" for seconds in best), ratio, case.goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="a,b,c,d,e,f", metavar="a,b", help="the cases to run")
    only = parser.parse_args().only.split(",")
    if "a" in only:
        small_jobs()
    table("seconds, requests per count, lost", *CONTENDERS, "goal")
    for case in (case for case in CASES if case.name[0] in only):
        show(case.name, *(cell(case, run(case, contender)) for contender in CONTENDERS.values()), case.goal)
    if "f" in only:
        table("f. ours under uvloop", "seconds, requests per count, lost", "goal")
        for case in (CASES[0], CASES[2], CASES[6]):
            show(case.name, cell(case, run(case, ours, uvloop.new_event_loop)), "0 lost")


if __name__ == "__main__":
    main()
