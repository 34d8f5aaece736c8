"""Whole clients in virtual time: only the network is replaced, by a model of a service or by a script."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from attrs import define, field, frozen

import galileo_sessions as gs
from galileo_sessions import GalileoError, GalileoSessions
from galileo_sessions.api.responses import error_of
from galileo_sessions.http.responses import Response
from support.clients import ids
from support.clock import BEGIN, run
from support.models import NETWORK, TIMEOUT, Service
from support.private import replace_post, set_jitter
from support.sockets import PROJECT

COUNTED = Response(200, {}, b'{"total_count":7}')


@define
class Sky:
    """A service of the weather table, as the network of clients; it counts its requests."""

    service: Service
    status: int = 503  # what a request is refused with, where no Retry-After comes along
    timeout: float = TIMEOUT  # seconds after which an attempt is given up
    requests: int = 0
    arrivals: list[float] = field(factory=list)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - BEGIN

    async def post(self, _: str) -> Response:
        self.requests += 1
        self.arrivals.append(self.now)
        reply = self.service.arrive(self.now + NETWORK / 2)
        in_order = self.requests % 1_000 * 1e-6  # requests that are sent in the same moment don't end so
        await asyncio.sleep(min(reply.seconds + NETWORK, self.timeout) + in_order)
        if reply.seconds + NETWORK > self.timeout:
            raise gs.AttemptTimeoutError("too long", phase="response")
        if reply.kind == "ok":
            return COUNTED
        if reply.retry_after is not None:
            return Response(429, {"Retry-After": f"{reply.retry_after:.6f}"}, b"")
        return Response(500 if reply.kind == "error" else self.status, {}, b"")

    def client(self, seed: int = 1, **arguments: object) -> GalileoSessions:
        """A client of the service, whose random waits are the same for the same seed."""
        key = {} if "auth" in arguments else {"api_key": "k"}
        galileo, chance = GalileoSessions(base_url="http://127.0.0.1:9", **key, **arguments), random.Random(seed)
        replace_post(galileo, self.post)
        set_jitter(galileo, lambda most: chance.uniform(0, most))
        return galileo

    async def until(self, when: float) -> None:
        """Waits for a time since the beginning."""
        await asyncio.sleep(when - self.now)


@frozen
class Weather:
    """A service, a fan-out, and what it may cost."""

    service: Callable[[], Service]  # makes it anew
    counts: int  # of the fan-out, or of several together
    ideal: float  # seconds, if everything were known from the beginning
    requests: float  # per count, at most
    wall: float  # of the ideal, at most
    away: float = 0.0  # seconds during which the service is away, which come on top
    clients: int = 1  # that share the service
    stagger: float = 0.0  # seconds between their beginnings
    lone: float | None = None  # the 99th percentile of a lone count's seconds meanwhile, at most
    fairness: float = 0.9  # Jain's index of the clients, at least: 1 if all are equal, 1/n if one has it all
    every: float = 0.0  # seconds between the counts, where they come one after another
    timeout: float = TIMEOUT  # seconds after which a request is given up


@frozen
class Outcome:
    """What came of a run."""

    lost: int  # counts without a result
    requests: float  # per count
    seconds: float  # from the beginning to the last result
    fairness: float = 1.0  # Jain's index of the clients' speeds, from when all had begun until the first was over
    lone: float = 0.0  # the 99th percentile of lone counts' seconds; 0 without any


def percentile(ordered: list[float], share: float) -> float:
    """The value that this share of them doesn't exceed; 0 without any."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def outcome(weather: Weather, seed: int) -> Outcome:
    """What comes of fan-outs of whole clients under a weather."""
    sky, counts = Sky(weather.service(), timeout=weather.timeout), weather.counts // weather.clients
    sky.service.seed(100 * seed)
    ends: list[list[tuple[float, bool]]] = [[] for _ in range(weather.clients)]  # of each count, and if it was counted
    lone: list[float] = []  # seconds of the lone counts

    async def ask_alone(galileo: GalileoSessions) -> None:
        await asyncio.sleep(2.05)
        while True:
            lone.append((await outcome_of(galileo))[1])
            await asyncio.sleep(0.25)

    async def fan_out(number: int) -> None:
        await asyncio.sleep(weather.stagger * number)
        async with sky.client(100 * seed + number) as galileo, asyncio.timeout(3_600):
            if weather.every:
                found = await ask(galileo, weather.every, counts)
                ends[number] += [(sky.now, one == 7) for one in found]
                return
            asking = asyncio.create_task(ask_alone(galileo)) if weather.lone else None
            async with galileo.count_many(ids(counts), concurrency=256) as stream:
                ends[number] += [(sky.now, result.ok) async for result in stream]
            if asking is not None:
                asking.cancel()
                await asyncio.wait([asking])

    async def main() -> None:
        await asyncio.gather(*map(fan_out, range(weather.clients)))

    run(main())
    all_began, first_over = weather.stagger * (weather.clients - 1), min(mine[-1][0] for mine in ends)
    speeds = [sum(ok and all_began < at <= first_over for at, ok in mine) for mine in ends]
    squares = len(speeds) * sum(speed * speed for speed in speeds)
    return Outcome(
        lost=sum(not ok for mine in ends for _, ok in mine),
        requests=(sky.requests - len(lone)) / weather.counts,
        seconds=max(mine[-1][0] for mine in ends),
        fairness=sum(speeds) ** 2 / squares if squares else 0.0,
        lone=percentile(sorted(lone), 0.99),
    )


DAY = 86_400.0


@frozen
class Late:
    """An answer that takes so many seconds; by default, none ever comes."""

    seconds: float = inf
    answer: Response | None = None


Answer = Response | Exception | Late | None
"""None is a count."""
Script = Callable[[float, int], Answer]
"""What a request gets, from the seconds since the beginning and its number: 1 for the first, or the project's first."""
Timed = tuple[int | GalileoError, float]
"""The outcome of a count, and how many seconds it took."""


class Scripted(Sky):
    """Answers after so many seconds, by a script, and by others for some projects."""

    def __init__(
        self, script: Script = lambda *_: None, latency: float = 0.02, others: Mapping[str, Script] | None = None
    ) -> None:
        super().__init__(Service(latency, 0.0))
        self.script, self.latency, self.others = script, latency, others or {}
        self.by_project = Counter[str]()  # how many requests each got

    async def post(self, path: str) -> Response:
        self.requests += 1
        self.arrivals.append(self.now)
        project = path.partition("/projects/")[2][:36]
        self.by_project[project] += 1
        other = self.others.get(project)
        answer = other(self.now, self.by_project[project]) if other else self.script(self.now, self.requests)
        if isinstance(answer, Late):
            await asyncio.sleep(answer.seconds)
            return answer.answer or COUNTED
        await asyncio.sleep(self.latency)
        if isinstance(answer, Exception):
            raise answer
        return answer or COUNTED


def refusal(status: int = 503, retry_after: float | None = None) -> Response:
    """A refusal, with a Retry-After or without."""
    return Response(status, {} if retry_after is None else {"Retry-After": f"{retry_after:.0f}"}, b"")


def status(number: int, **headers: str) -> gs.ResponseError:
    """The error of a response; `Retry_After="1"` sets the header Retry-After."""
    return error_of(Response(number, {name.replace("_", "-"): value for name, value in headers.items()}, b""))


def unreachable() -> gs.ConnectError:
    """What a refused connection raises."""
    return gs.ConnectError("no connection to http://127.0.0.1:9: Connection refused")


def during(spans: Iterable[tuple[float, float]], answer: Answer) -> Script:
    """A script with the same answer to all that arrives in some spans of time, and counts otherwise."""
    known = tuple(spans)
    return lambda now, _: answer if any(begin <= now < end for begin, end in known) else None


@frozen
class Cost:
    """What a fan-out cost."""

    report: gs.CountReport
    requests: int
    seconds: float

    @property
    def lost(self) -> int:
        return len(self.report.errors)


async def cost_of(sky: Sky, galileo: GalileoSessions, counts: int, **arguments: Any) -> Cost:
    """What a fan-out costs a client now."""
    began, before = sky.now, sky.requests
    report = await galileo.count_all(ids(counts), **arguments)
    return Cost(report, sky.requests - before, sky.now - began)


async def cost_of_new(sky: Sky, counts: int, **arguments: Any) -> Cost:
    """What a fan-out costs a new client now."""
    async with sky.client() as galileo:
        return await cost_of(sky, galileo, counts, **arguments)


async def outcome_of(galileo: GalileoSessions, project: str = PROJECT, **arguments: Any) -> Timed:
    """The result of a single count, or its error; and how many seconds it took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await galileo.count(project, **arguments), clock() - began
    except GalileoError as error:
        return error, clock() - began


async def ask(galileo: GalileoSessions, every: float, times: int, **arguments: Any) -> list[int | GalileoError]:
    """The outcomes of counts that begin so many seconds apart, whether or not those before have ended."""
    tasks: list[asyncio.Task[Timed]] = []
    for _ in range(times):
        tasks.append(asyncio.create_task(outcome_of(galileo, **arguments)))
        await asyncio.sleep(every)
    return [(await task)[0] for task in tasks]
