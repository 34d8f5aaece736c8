"""Services that answer by a script: whole clients meet outages, refusals and headers at times that a test chooses."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from galileo_sessions import CountReport, GalileoError, GalileoSessions
from galileo_sessions.api.responses import Response
from support.projects import ids
from support.servers import PROJECT
from support.skies import Sky
from support.weathers import Service

HOUR, DAY = 3_600.0, 86_400.0
COUNTED = Response(200, {}, b'{"total_count":7}')
Answer = Response | Exception | None
"""None is a count."""


class Scripted(Sky):
    """
    Answers by a script.

    Args:
        script: What a request gets, from the seconds since the beginning and its number, 1 for the first.
        latency: Seconds that each answer takes.
    """

    def __init__(self, script: Callable[[float, int], Answer] = lambda *_: None, latency: float = 0.02) -> None:
        super().__init__(Service(latency, 0.0))
        self.script, self.latency = script, latency

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self.began

    async def post(self, path: str) -> Response:
        """What becomes of one request."""
        self.requests += 1
        self.arrivals.append(self.now)
        answer = self.script(self.now, self.requests)
        await asyncio.sleep(self.latency)
        if isinstance(answer, Exception):
            raise answer
        return answer or COUNTED

    async def until(self, when: float) -> None:
        """Waits for a time since the beginning."""
        await asyncio.sleep(when - self.now)

    def longest_silence(self, begin: float, end: float) -> float:
        """The longest time between `begin` and `end` without a request."""
        times = [begin, *(at for at in self.arrivals if begin <= at <= end), end]
        return max(later - before for before, later in itertools.pairwise(times))


def refusal(status: int = 503, retry_after: float | None = None) -> Response:
    """A refusal, with a Retry-After or without."""
    return Response(status, {} if retry_after is None else {"Retry-After": f"{retry_after:.0f}"}, b"")


def during(spans: Iterable[tuple[float, float]], answer: Answer) -> Callable[[float, int], Answer]:
    """A script with the same answer to all that arrives in some spans of time, and counts otherwise."""
    known = tuple(spans)
    return lambda now, _: answer if any(begin <= now < end for begin, end in known) else None


@frozen
class Cost:
    """What a fan-out cost."""

    report: CountReport
    requests: int
    seconds: float

    @property
    def lost(self) -> int:
        """Counts without a result."""
        return len(self.report.errors)


async def cost_of(sky: Sky, galileo: GalileoSessions, counts: int, **arguments: Any) -> Cost:
    """What a fan-out costs a client now."""
    clock = asyncio.get_running_loop().time
    began, before = clock(), sky.requests
    report = await galileo.count_all(ids(counts), **arguments)
    return Cost(report, sky.requests - before, clock() - began)


async def cost_of_new(sky: Sky, counts: int, **arguments: Any) -> Cost:
    """What a fan-out costs a new client now."""
    async with sky.client() as galileo:
        return await cost_of(sky, galileo, counts, **arguments)


async def outcome_of(galileo: GalileoSessions, **arguments: Any) -> tuple[int | GalileoError, float]:
    """The result of a single count, or its error; and how many seconds it took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        result: int | GalileoError = await galileo.count(PROJECT, **arguments)
    except GalileoError as error:
        result = error
    return result, clock() - began


async def ask(galileo: GalileoSessions, every: float, times: int, **arguments: Any) -> list[int | GalileoError]:
    """The outcomes of single counts that begin so many seconds apart, whether or not those before have ended."""
    tasks: list[asyncio.Task[tuple[int | GalileoError, float]]] = []
    for _ in range(times):
        tasks.append(asyncio.create_task(outcome_of(galileo, **arguments)))
        await asyncio.sleep(every)
    return [(await task)[0] for task in tasks]
