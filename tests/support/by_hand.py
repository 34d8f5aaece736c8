"""Fan-outs as people write them by hand: so many requests at once, always, and four tries with a random backoff."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable

from support.models import NETWORK, TIMEOUT, TURN, Reply, Service, parts
from support.network import Outcome

Watch = Callable[[float, int], None]
"""Is told how many requests a fan-out has in flight, and when, whenever that changes."""


class _Events:
    """What happens, in the order of its time; there is no event loop."""

    def __init__(self) -> None:
        self.now, self._number = 0.0, itertools.count()
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []

    def at(self, when: float, happen: Callable[..., None], *arguments: object) -> None:
        """Lets something happen then."""
        heapq.heappush(self._heap, (when, next(self._number), happen, arguments))

    def run(self, until: float) -> None:
        """Lets all of it happen."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, happen, arguments = heapq.heappop(self._heap)
            happen(*arguments)


class _Client:
    """Counts so many, with `width` requests at once; a count is the number of its tries so far."""

    def __init__(self, events: _Events, service: Service, width: int, counts: int, seed: int, *, watch: Watch) -> None:
        self.events, self.service, self.width, self.watch = events, service, width, watch
        self.random, self.ready, self.lost = random.Random(seed), deque([0] * counts), counts
        self.requests = self.in_flight = 0
        self.ended = self.busy_until = 0.0

    def send(self, again: int | None = None) -> None:
        """Sends all that can be sent now; a count that is tried again comes first."""
        if again is not None:
            self.ready.appendleft(again)
        while self.ready and self.in_flight < self.width:
            self.in_flight += 1
            self.requests += 1
            self._turn(NETWORK / 2, self._arrive, self.ready.popleft(), self.events.now)
        self.watch(self.events.now, self.in_flight)

    def _turn(self, seconds: float, then: Callable[..., None], *arguments: object) -> None:
        """Calls `then` some seconds after the next free turn of the client's own event loop."""
        self.busy_until = max(self.busy_until, self.events.now) + TURN
        self.events.at(self.busy_until + seconds, then, *arguments)

    def _arrive(self, tries: int, sent_at: float) -> None:
        reply = self.service.arrive(self.events.now)
        back = self.events.now + reply.seconds + NETWORK / 2
        if back - sent_at > TIMEOUT:
            back, reply = sent_at + TIMEOUT, Reply("timeout")
        self.events.at(back, self._turn, 0.0, self._settle, tries + 1, reply)

    def _settle(self, tries: int, reply: Reply) -> None:
        self.in_flight -= 1
        self.ended = self.events.now
        if reply.kind == "ok":
            self.lost -= 1
        elif tries < 4:
            backoff = self.random.uniform(0, min(8.0, 0.25 * 2 ** (tries - 1)))
            self.events.at(self.events.now + (reply.retry_after or 0.0) + backoff, self.send, tries)
        self.send()


def by_hand(
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
    events = _Events()
    for number, part in enumerate(parts(service)):
        part.random.seed(100 * seed + number)
    crowd = [_Client(events, service, width, counts // clients, 100 * seed + i, watch=watch) for i in range(clients)]
    for i, client in enumerate(crowd):
        events.at(stagger * i, client.send)
    events.run(3_600.0)
    return Outcome(
        lost=sum(client.lost for client in crowd),
        requests=sum(client.requests for client in crowd) / counts,
        seconds=max(client.ended for client in crowd),
    )
