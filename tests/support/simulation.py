"""Fan-outs in virtual time: discrete events on a heap, clients that keep their counts' books, and what came of it."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import Factory, define, frozen

from galileo_sessions.flow.control import FlowControl
from galileo_sessions.flow.outcome import Outcome as Answer
from support.weathers import Reply, Service, parts

NETWORK = 0.004  # seconds, there and back
TURN = 0.0001  # seconds of a client's event loop for each request that goes out and each answer: 5,000 counts a second
TIMEOUT = 30.0
ATTEMPTS = 4
PATIENCE = 90.0  # seconds for which refusals cost nothing, from the first one after a success


class Fixed:
    """So many at once, always, and four tries with a random backoff: what people write by hand."""

    def __init__(self, width: int) -> None:
        self.width, self.in_flight = width, 0

    def wait(self, now: float) -> float:
        return 0.0 if self.in_flight < self.width else math.inf

    def sent(self, now: float) -> None:
        self.in_flight += 1

    def ended(self, now: float, permit: Any, outcome: Answer) -> None:
        self.in_flight -= 1

    def is_hopeless(self, now: float) -> bool:
        return False


class Events:
    """What happens, in the order of its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._number = 0

    def at(self, when: float, happen: Callable[..., None], *arguments: object) -> None:
        """Lets something happen then."""
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, happen, arguments))

    def run(self, until: float) -> None:
        """Lets all of it happen, in virtual time."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, happen, arguments = heapq.heappop(self._heap)
            happen(*arguments)

    def stop(self) -> None:
        """Lets nothing more happen."""
        self._heap.clear()


@define(eq=False)
class Count:
    """One that is counted, and the attempts that it has paid for."""

    attempts: int = 0


@define(eq=False)
class Client:
    """Counts `targets` through a control; refusals go back to the front of the queue, as flow control wants it."""

    events: Events
    service: Service
    control: FlowControl | Fixed
    targets: int
    start: float
    random: random.Random
    on_over: Callable[[], None]
    timeout: float = Factory(lambda: TIMEOUT)
    requests: int = 0
    done: int = 0
    done_before: int = 0
    lost: int = 0
    in_flight: int = 0
    left: int = 0
    ended: float = 0.0
    _refused_since: float = math.inf
    _ready: deque[Count] = Factory(deque)
    _later: list[tuple[float, int, Count]] = Factory(list)
    _busy_until: float = 0.0
    _timer: float = math.inf
    _number: int = 0

    def __attrs_post_init__(self) -> None:
        self.left = self.targets
        self.events.at(self.start, self.pump)

    def begin_to_compare(self) -> None:
        """All clients are there: what is done from now on shows how they share."""
        self.done_before = self.done

    def pump(self) -> None:
        """Sends all that may be sent now."""
        now = self.events.now
        if self.control.is_hopeless(now):
            self._give_up()
        while self._has_one(now):
            wait = self.control.wait(now)
            if wait > 0:
                self._wake(now + max(wait, 1e-6))
                return
            self._send(self._ready.popleft() if self._ready else self._next())

    def _has_one(self, now: float) -> bool:
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        if self._later:
            self._wake(self._later[0][0])
        return bool(self._ready or self.left)

    def _next(self) -> Count:
        self.left -= 1
        return Count()

    def _wake(self, when: float) -> None:
        if when < self._timer and when < math.inf:
            self._timer = when
            self.events.at(when, self._on_timer, when)

    def _on_timer(self, when: float) -> None:
        if self._timer == when:
            self._timer = math.inf
            self.pump()

    def _give_up(self) -> None:
        waiting = self.left + len(self._ready) + len(self._later)
        self.left = 0
        self._ready.clear()
        self._later.clear()
        if waiting:
            self._ended(0, waiting)

    def _send(self, count: Count) -> None:
        now = self.events.now
        self.in_flight += 1
        self.requests += 1
        permit = self.control.sent(now)
        self._busy_until = max(self._busy_until, now) + TURN
        self.events.at(self._busy_until + NETWORK / 2, self._arrive, count, permit, now)

    def _arrive(self, count: Count, permit: Any, sent_at: float) -> None:
        reply = self.service.arrive(self.events.now)
        back = self.events.now + reply.seconds + NETWORK / 2
        if back - sent_at > self.timeout:
            back, reply = sent_at + self.timeout, Reply("timeout")
        self.events.at(back, self._receive, count, permit, reply)

    def _receive(self, count: Count, permit: Any, reply: Reply) -> None:
        self._busy_until = max(self._busy_until, self.events.now) + TURN
        self.events.at(self._busy_until, self._settle, count, permit, reply)

    def _settle(self, count: Count, permit: Any, reply: Reply) -> None:
        now = self.events.now
        self.in_flight -= 1
        if reply.kind == "ok":
            self.control.ended(now, permit, Answer("success", now - permit.at if permit else None))
            self._refused_since = math.inf
            self._ended(1, 0)
        else:
            meaning = "failed" if reply.kind == "timeout" else "refused"
            if reply.kind == "limited" or reply.retry_after is not None:
                meaning = "throttled"
            self.control.ended(now, permit, Answer(meaning, None, reply.retry_after))
            self._refused_since = min(self._refused_since, now)
            self._refused(count, reply)
        self.pump()

    def _refused(self, count: Count, reply: Reply) -> None:
        if isinstance(self.control, Fixed):
            self._try_again(count, reply.retry_after)
        elif reply.retry_after is not None:
            self._put_back(count, reply.retry_after + self.random.uniform(0, min(0.1, reply.retry_after)))
        elif reply.kind == "limited" or (reply.kind == "refused" and self.events.now - self._refused_since <= PATIENCE):
            self._ready.appendleft(count)
        else:
            self._try_again(count)

    def _try_again(self, count: Count, retry_after: float | None = None) -> None:
        count.attempts += 1
        if count.attempts >= ATTEMPTS:
            self._ended(0, 1)
        else:
            backoff = self.random.uniform(0, min(8.0, 0.25 * 2 ** (count.attempts - 1)))
            self._put_back(count, (retry_after or 0.0) + backoff)

    def _put_back(self, count: Count, seconds: float) -> None:
        self._number += 1
        heapq.heappush(self._later, (self.events.now + seconds, self._number, count))

    def _ended(self, done: int, lost: int) -> None:
        self.done, self.lost, self.ended = self.done + done, self.lost + lost, self.events.now
        if self.done + self.lost == self.targets:
            self.on_over()


@frozen
class Outcome:
    """What came of a run."""

    lost: int  # counts without a result
    requests: float  # per count
    seconds: float  # from the beginning to the last result
    fairness: float  # Jain's index of the clients' speeds, from when all had begun until the first was over
    lone: float  # the 99th percentile of lone counts' seconds; 0 without any


def simulate(
    service: Service,
    control: Callable[[], FlowControl | Fixed],
    targets: int,
    *,
    clients: int = 1,
    stagger: float = 0.0,
    seed: int = 1,
) -> Outcome:
    """Runs fan-outs that begin `stagger` seconds apart, each over its part of the targets, for an hour at most."""
    events = Events()
    for number, part in enumerate(parts(service)):
        part.random.seed(100 * seed + number)
    crowd: list[Client] = []
    speeds: list[float] = []
    over: list[int] = []

    def on_over() -> None:
        if not speeds:
            speeds.extend(client.done - client.done_before for client in crowd)
        over.append(1)
        if len(over) == clients:
            events.stop()

    for i in range(clients):
        random_ = random.Random(100 * seed + i)
        crowd.append(Client(events, service, control(), targets // clients, stagger * i, random_, on_over))
    events.at(stagger * (clients - 1), lambda: [client.begin_to_compare() for client in crowd])
    events.run(3600.0)
    return Outcome(
        lost=sum(client.targets - client.done for client in crowd),
        requests=sum(client.requests for client in crowd) / targets,
        seconds=max(client.ended for client in crowd),
        fairness=jain(speeds),
        lone=0.0,
    )


def jain(speeds: list[float]) -> float:
    """Jain's index of fairness: 1 if all are equal, 1/n if one has it all."""
    squares = sum(speed * speed for speed in speeds)
    return sum(speeds) ** 2 / (len(speeds) * squares) if squares else 0.0


def percentile(ordered: list[float], share: float) -> float:
    """The value that this share of them doesn't exceed; 0 without any."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
