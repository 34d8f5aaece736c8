"""What happens over time at a service: what is in flight, what is counted or refused, and what a client has learned."""

import asyncio
import math

from attrs import field, frozen
from support.by_hand import by_hand
from support.clients import ids
from support.clock import run
from support.models import Reply, Service
from support.network import Sky

from galileo_sessions import CountStream

_EVERY = 0.05  # seconds between two samples


@frozen
class Sample:
    """What a client says about itself at a time: requests in flight, the width, and the rate per second."""

    at: float
    in_flight: int
    width: int
    rate: float


@frozen
class Trace:
    """
    A fan-out over time, in seconds since its beginning.

    Args:
        seconds: When the last result came.
        lost: Counts without a result.
        counted: When each count succeeded.
        refused: When each refusal came.
        samples: Of the client; none if it learns nothing.
    """

    seconds: float
    lost: int
    counted: list[float]
    refused: list[float]
    samples: list[Sample] = field(factory=list)


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
    watched, samples = Watched(service), list[Sample]()
    sky = Sky(watched)

    async def sample(stream: CountStream, began: float) -> None:
        while True:
            now = stream.progress
            at = asyncio.get_running_loop().time() - began
            samples.append(Sample(at, now.in_flight, now.width, now.rate))
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
    return Trace(seconds, lost, watched.times(ok=True), watched.times(ok=False), samples)


def trace_by_hand(service: Service, counts: int, width: int) -> Trace:
    """A fixed number of requests at once, with four tries."""
    watched = Watched(service)
    found = by_hand(watched, width, counts)
    return Trace(found.seconds, found.lost, watched.times(ok=True), watched.times(ok=False))
