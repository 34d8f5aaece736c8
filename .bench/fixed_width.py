"""Fan-outs as people write them by hand: so many requests at once, always, and four tries with a random backoff."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from support.models import NETWORK, TIMEOUT, TURN, Reply, Service
from support.network import Outcome

Watch = Callable[[float, int], None]
"""Is told when the requests of a fan-out in flight change, and how many there are then."""


class _Client:
    """Counts so many, with `width` requests at once; a count is the number of its tries so far."""

    def __init__(self, at: Callable[..., None], service: Service, width: int, counts: int, seed: int, *, watch: Watch):
        self.at, self.service, self.width, self.watch = at, service, width, watch
        self.random, self.ready, self.lost = random.Random(seed), deque([0] * counts), counts
        self.requests = self.in_flight = 0
        self.ended = self.busy_until = 0.0

    def send(self, now: float, again: int | None = None) -> None:
        """Sends all that can be sent now; a count that is tried again comes first."""
        if again is not None:
            self.ready.appendleft(again)
        while self.ready and self.in_flight < self.width:
            self.in_flight += 1
            self.requests += 1
            self.turn(now, NETWORK / 2, self.arrive, self.ready.popleft(), now)
        self.watch(now, self.in_flight)

    def turn(self, now: float, seconds: float, then: Callable[..., None], *arguments: object) -> None:
        """Calls `then` some seconds after the next free turn of the client's own event loop."""
        self.busy_until = max(self.busy_until, now) + TURN
        self.at(self.busy_until + seconds, then, *arguments)

    def arrive(self, now: float, tries: int, sent_at: float) -> None:
        """A request arrives at the service."""
        reply = self.service.arrive(now)
        back = now + reply.seconds + NETWORK / 2
        if back - sent_at > TIMEOUT:
            back, reply = sent_at + TIMEOUT, Reply("timeout")
        self.at(back, self.turn, 0.0, self.settle, tries + 1, reply)

    def settle(self, now: float, tries: int, reply: Reply) -> None:
        """A reply is read."""
        self.in_flight -= 1
        self.ended = now
        if reply.kind == "ok":
            self.lost -= 1
        elif tries < 4:
            backoff = self.random.uniform(0, min(8.0, 0.25 * 2 ** (tries - 1)))
            self.at(now + (reply.retry_after or 0.0) + backoff, self.send, tries)
        self.send(now)


def fixed_width(
    service: Service,
    width: int,
    counts: int,
    *,
    clients: int = 1,
    stagger: float = 0.0,
    seed: int = 1,
    watch: Watch = lambda _at, _in_flight: None,
) -> Outcome:
    """What comes of fan-outs that begin `stagger` seconds apart, each over its part of the counts, in an hour."""
    events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
    numbers = itertools.count()

    def at(when: float, happen: Callable[..., None], *arguments: object) -> None:
        """Lets something happen then; there is no event loop."""
        heapq.heappush(events, (when, next(numbers), happen, arguments))

    service.seed(100 * seed)
    crowd = [_Client(at, service, width, counts // clients, 100 * seed + i, watch=watch) for i in range(clients)]
    for i, client in enumerate(crowd):
        at(stagger * i, client.send)
    while events and events[0][0] <= 3_600.0:
        now, _, happen, arguments = heapq.heappop(events)
        happen(now, *arguments)
    return Outcome(
        lost=sum(client.lost for client in crowd),
        requests=sum(client.requests for client in crowd) / counts,
        seconds=max(client.ended for client in crowd),
    )
