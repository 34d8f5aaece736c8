"""The whole client under a weather, in virtual time: only the network is replaced."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field

from galileo_sessions import AttemptTimeoutError, GalileoError, GalileoSessions
from galileo_sessions.api.responses import Response
from support.clock import run
from support.inside import replace_post, set_jitter
from support.projects import ids
from support.servers import PROJECT
from support.simulation import NETWORK, TIMEOUT, Outcome, jain, percentile
from support.weather_table import Weather
from support.weathers import Reply, Service, parts


@define
class Sky:
    """A service of the weather table, as the network of clients; it counts its requests."""

    service: Service
    status: int = 503
    """What a request is refused with, where no Retry-After comes along."""
    timeout: float = TIMEOUT
    """Seconds after which an attempt is given up."""
    requests: int = 0
    began: float = 0.0
    arrivals: list[float] = field(factory=list)

    async def post(self, _: str) -> Response:
        """What becomes of one request."""
        now = asyncio.get_running_loop().time() - self.began
        self.requests += 1
        self.arrivals.append(now)
        reply = self.service.arrive(now + NETWORK / 2)
        in_order = self.requests % 1_000 * 1e-6  # requests that are sent in the same moment don't end so
        await asyncio.sleep(min(reply.seconds + NETWORK, self.timeout) + in_order)
        return self._response(reply)

    def _response(self, reply: Reply) -> Response:
        if reply.seconds + NETWORK > self.timeout:
            raise AttemptTimeoutError("too long", phase="response")
        if reply.kind == "ok":
            return Response(200, {}, b'{"total_count":7}')
        if reply.retry_after is not None:
            return Response(429, {"Retry-After": f"{reply.retry_after:.6f}"}, b"")
        return Response(500 if reply.kind == "error" else self.status, {}, b"")

    def client(self, seed: int | None = None, **arguments: object) -> GalileoSessions:
        """A client of the service; with a seed, its random waits are always the same."""
        galileo = GalileoSessions("k", base_url="http://127.0.0.1:9", **arguments)
        replace_post(galileo, self.post)
        if seed is not None:
            chance = random.Random(seed)
            set_jitter(galileo, lambda most: chance.uniform(0, most))
        return galileo


def under(sky: Sky, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs `main` in virtual time, without sockets; the service's clock begins with it."""

    async def begin() -> Any:
        sky.began = asyncio.get_running_loop().time()
        return await main()

    return run(begin())


@define
class FanOut:
    """One client's part of the counts, and what has become of it."""

    sky: Sky
    counts: int
    seed: int
    on_first_end: Callable[[], None]
    done: int = 0
    lost: int = 0
    ended: float = 0.0
    done_before: int = 0
    latencies: list[float] = field(factory=list)
    """Seconds of the lone counts."""

    async def run(self, weather: Weather, start: float) -> None:
        """Counts, and asks for lone counts meanwhile if the weather has them."""
        await asyncio.sleep(start)
        async with self.sky.client(self.seed) as galileo, asyncio.timeout(3_600):
            if weather.every:
                await self._one_by_one(galileo, weather.every)
                return
            lone = asyncio.create_task(self._ask_alone(galileo)) if weather.lone else None
            async with galileo.count_many(ids(self.counts)) as stream:
                async for result in stream:
                    self._end(ok=result.ok)
            self.on_first_end()
            if lone is not None:
                lone.cancel()
                await asyncio.wait([lone])

    async def _one_by_one(self, galileo: GalileoSessions, every: float) -> None:
        async def count() -> None:
            try:
                await galileo.count(PROJECT)
            except GalileoError:
                self._end(ok=False)
            else:
                self._end(ok=True)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.counts):
                tasks.create_task(count())
                await asyncio.sleep(every)

    async def _ask_alone(self, galileo: GalileoSessions) -> None:
        await asyncio.sleep(2.05)
        while True:
            began = asyncio.get_running_loop().time()
            await galileo.count(PROJECT)
            self.latencies.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(0.25)

    def _end(self, *, ok: bool) -> None:
        self.done, self.lost = self.done + ok, self.lost + (not ok)
        self.ended = asyncio.get_running_loop().time() - self.sky.began


def outcome(weather: Weather, seed: int) -> Outcome:
    """What comes of fan-outs of whole clients under a weather."""
    sky = Sky(weather.service(), timeout=weather.timeout)
    for number, part in enumerate(parts(sky.service)):
        part.random.seed(100 * seed + number)
    speeds: list[int] = []

    def on_first_end() -> None:
        if not speeds:
            speeds.extend(crowd.done - crowd.done_before for crowd in crowds)

    crowds = [
        FanOut(sky, weather.counts // weather.clients, 100 * seed + number, on_first_end)
        for number in range(weather.clients)
    ]

    def begin_to_compare() -> None:
        for crowd in crowds:
            crowd.done_before = crowd.done

    async def main() -> None:
        asyncio.get_running_loop().call_later(weather.stagger * (weather.clients - 1), begin_to_compare)
        starts = [weather.stagger * number for number in range(weather.clients)]
        await asyncio.gather(*(crowd.run(weather, start) for crowd, start in zip(crowds, starts, strict=True)))

    under(sky, main)
    latencies = sorted(crowds[0].latencies)
    return Outcome(
        lost=sum(crowd.lost for crowd in crowds),
        requests=(sky.requests - len(latencies)) / weather.counts,
        seconds=max(crowd.ended for crowd in crowds),
        fairness=jain(speeds) if weather.clients > 1 else 1.0,
        lone=percentile(latencies, 0.99),
    )
