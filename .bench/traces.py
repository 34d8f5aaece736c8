"""What happens over time at a service: what is in flight, what is counted or refused, and what a client has learned."""

import asyncio
import math
import random

from attrs import field, frozen
from fixed_width import fixed_width
from support.clients import ids
from support.clock import run
from support.models import Reply, Service
from support.network import Sky

from galileo_sessions import CountStream, Progress

_EVERY = 0.05  # seconds between two samples


@frozen
class Trace:
    """
    A fan-out over time, in seconds since its beginning.

    Args:
        seconds: When the last result came.
        lost: Counts without a result.
        counted: When each count succeeded.
        refused: When each refusal came.
        in_flight: How many requests were in flight, and from when on.
        widths: The client's width at times; empty if it learns nothing.
        rates: Its rate per second at times; infinite while it has none.
    """

    seconds: float
    lost: int
    counted: list[float]
    refused: list[float]
    in_flight: list[tuple[float, float]]
    widths: list[tuple[float, float]] = field(factory=list)
    rates: list[tuple[float, float]] = field(factory=list)


class Watched(Service):
    """Another service that remembers when it answered what."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.answers: list[tuple[float, bool]] = []

    def arrive(self, now: float) -> Reply:
        reply = self.service.arrive(now)
        if reply.seconds < math.inf:
            self.answers.append((now + reply.seconds, reply.kind == "ok"))
        return reply

    def times(self, *, ok: bool) -> list[float]:
        """When it counted, or refused to."""
        return sorted(at for at, was_ok in self.answers if was_ok is ok)


def trace(service: Service, counts: int) -> Trace:
    """The whole client at a service, in virtual time."""
    random.seed(1)  # with which the client draws lots
    watched, samples = Watched(service), list[tuple[float, Progress]]()
    sky = Sky(watched)

    async def sample(stream: CountStream, began: float) -> None:
        while True:
            samples.append((asyncio.get_running_loop().time() - began, stream.progress))
            await asyncio.sleep(_EVERY)

    async def main() -> tuple[float, int]:
        began = asyncio.get_running_loop().time()
        async with sky.client(seed=1) as galileo, galileo.count_many(ids(counts)) as stream:
            sampling = asyncio.create_task(sample(stream, began))
            lost = sum([not result.ok async for result in stream])
            sampling.cancel()
            await asyncio.wait([sampling])
            return asyncio.get_running_loop().time() - began, lost

    seconds, lost = run(main())
    in_flight, widths = ([(at, float(getattr(now, name))) for at, now in samples] for name in ("in_flight", "width"))
    rates = [(at, now.rate) for at, now in samples]
    return Trace(seconds, lost, watched.times(ok=True), watched.times(ok=False), in_flight, widths, rates)


def trace_fixed_width(service: Service, counts: int, width: int) -> Trace:
    """A fixed number of requests at once, with four tries."""
    watched, in_flight = Watched(service), list[tuple[float, float]]()
    found = fixed_width(watched, width, counts, watch=lambda *now: in_flight.append(now))
    return Trace(found.seconds, found.lost, watched.times(ok=True), watched.times(ok=False), in_flight)
