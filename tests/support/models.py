"""Services in virtual time, each with a weather of its own: they answer, queue, refuse, melt, fail or are away."""

import heapq
import math
import random
from collections.abc import Callable

from attrs import frozen

NETWORK = 0.004  # seconds, there and back
TURN = 0.0001  # seconds of a client's event loop for each request that goes out and each answer: 5,000 counts a second
TIMEOUT = 30.0


@frozen
class Reply:
    """What a service does with a request."""

    kind: str = "ok"  # or "refused" (500, 503, or no connection), or "limited" (429)
    seconds: float = 0.001  # after which the client sees it
    retry_after: float | None = None


class Service:
    """Answers each request after its latency, with a log-normal spread around it."""

    def __init__(self, latency: float = 0.05, spread: float = 0.1) -> None:
        self.latency, self.spread, self.random = latency, spread, random.Random(1)

    def seed(self, seed: int) -> None:
        """Begins its random numbers anew."""
        self.random.seed(seed)

    def duration(self) -> float:
        """Seconds of work for one request."""
        return self.latency * math.exp(self.random.gauss(-(self.spread**2) / 2, self.spread))

    def arrive(self, now: float) -> Reply:
        """What comes of a request that arrives now."""
        return Reply("ok", self.duration())


class Workers(Service):
    """So many workers at a time, for each of which so many requests can wait in line; the rest is refused."""

    def __init__(self, workers: Callable[[float], int], latency, spread=0.1, *, line: float, refusal: float = 0.001):
        super().__init__(latency, spread)
        self.workers, self.line, self.refusal, self.ends = workers, line, refusal, Ends()

    def arrive(self, now: float) -> Reply:
        workers = self.workers(now)
        before = self.ends.under_way(now) - workers
        if before >= self.line * workers:
            return Reply("refused", self.refusal)
        begin = now if before < 0 else sorted(self.ends)[before]
        return Reply("ok", self.ends.add(now, begin - now + self.duration()))


class Queue(Workers):
    """So many workers, first come, first served. `turns`: every second block of so many takes longer."""

    def __init__(self, workers: int, latency: float, spread: float = 0.1, turns: tuple[int, float] = (1, 1.0)) -> None:
        super().__init__(lambda _: workers, latency, spread, line=math.inf)
        self.turns, self.arrived = turns, 0

    def duration(self) -> float:
        self.arrived += 1
        length, times = self.turns
        return super().duration() * (times if self.arrived // length % 2 else 1.0)


class Capacity(Workers):
    """So many at once, and other numbers from given times on; the rest is refused."""

    def __init__(self, capacity: int, latency: float, spread: float = 0.1, changes: tuple[tuple[float, int], ...] = ()):
        def at_once(now: float) -> int:
            return next((number for since, number in reversed(changes) if now >= since), capacity)

        super().__init__(at_once, latency, spread, line=0)


class Bucket(Service):
    """A token bucket: so many a second, so many in a burst. If it is `strict`, a refused request takes half a token."""

    def __init__(self, rate, burst, retry_after=None, latency=0.03, spread=0.1, *, kind="refused", strict=False):
        super().__init__(latency, spread)
        self.rate, self.burst, self.retry_after, self.kind, self.strict = rate, burst, retry_after, kind, strict
        self.tokens, self.filled_at = float(burst), 0.0

    def arrive(self, now: float) -> Reply:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            if self.strict:
                self.tokens = max(-self.burst, self.tokens - 0.5)
            return Reply(self.kind, retry_after=told((1 - self.tokens) / self.rate, self.retry_after))
        self.tokens -= 1
        return Reply("ok", self.duration())


class Window(Service):
    """A quota in each window, the first of which is over by so large a share when the clients begin."""

    def __init__(self, quota, seconds, retry_after=None, latency=0.03, spread=0.1, *, over=0.3):
        super().__init__(latency, spread)
        self.quota, self.seconds, self.retry_after, self.over = quota, seconds, retry_after, over
        self.number, self.used = -1, 0

    def arrive(self, now: float) -> Reply:
        number, position = divmod(now / self.seconds + self.over, 1)
        if number != self.number:
            self.number, self.used = number, 0
        if self.used >= self.quota:
            return Reply("limited", retry_after=told((1 - position) * self.seconds, self.retry_after))
        self.used += 1
        return Reply("ok", self.duration())


class Slowing(Service):
    """Nothing is refused; each request takes `slower(n)` times as long, where n are under way once it has arrived."""

    def __init__(self, slower: Callable[[int], float], latency: float, spread: float = 0.1) -> None:
        super().__init__(latency, spread)
        self.slower, self.ends = slower, Ends()

    def arrive(self, now: float) -> Reply:
        seconds = self.duration() * self.slower(self.ends.under_way(now) + 1)
        return Reply("ok", self.ends.add(now, min(1e6, seconds)))

    def best(self) -> float:
        """The most that it answers in a second, on average, with up to 400 under way."""
        return max(n / (self.latency * self.slower(n)) for n in range(1, 400))


def exponential(knee: int, base: float) -> Callable[[int], float]:
    """Beyond so many at once, each more makes all slower by a factor."""
    return lambda level: base ** min(500, max(0, level - knee))  # beyond, floats end


class Melt(Slowing):
    """Fast up to so many at once; beyond, each takes longer by the square of the overload."""

    def __init__(self, knee: int = 16, latency: float = 0.02) -> None:
        super().__init__(lambda level: 1 + (max(0, level - knee) / (knee / 2)) ** 2, latency)


class Strict(Service):
    """Takes so many at once and in a second, refusals included. If it is `silent`, too many at once get no answer."""

    def __init__(self, at_once: int = 10_000, rate: int = 10_000, *, silent: bool = False, latency: float = 0.1):
        super().__init__(latency)
        self.at_once, self.rate, self.silent = at_once, rate, silent
        self.ends, self.last_second = Ends(), Ends()

    def arrive(self, now: float) -> Reply:
        is_fast = self.last_second.under_way(now) >= self.rate
        _ = self.last_second.add(now, 1.0)
        is_full = self.ends.under_way(now) >= self.at_once
        if is_full and self.silent:
            return Reply("ok", math.inf)
        return Reply("refused" if is_full or is_fast else "ok", self.ends.add(now, self.duration()))


class Mixed(Service):
    """A share of the requests takes so many times as long, or gets another answer, whatever the load."""

    def __init__(self, share: float, kind: str = "ok", times: float = 1.0, latency: float = 0.05) -> None:
        super().__init__(latency)
        self.share, self.kind, self.times = share, kind, times

    def arrive(self, now: float) -> Reply:
        if self.random.random() >= self.share:
            return super().arrive(now)
        return Reply(self.kind, self.duration() * self.times if self.kind == "ok" else 0.005)


class Away(Service):
    """Another service that refuses all for a while. How "reset" loses what is under way, too; "silent" answers none."""

    def __init__(self, service: Service, since=0.0, seconds=math.inf, how="refused", *, every: float = math.inf):
        super().__init__()
        self.service, self.since, self.until, self.how, self.every = service, since, since + seconds, how, every

    def seed(self, seed: int) -> None:
        super().seed(seed)
        self.service.seed(seed + 1)

    def arrive(self, now: float) -> Reply:
        if self.since <= now % self.every < self.until:
            return Reply("ok", math.inf) if self.how == "silent" else Reply("refused")
        reply = self.service.arrive(now)
        if self.how == "reset" and now < self.since < now + reply.seconds:
            return Reply("refused", self.since - now)
        return reply


class Ends(list[float]):
    """When the requests under way end, as a heap."""

    def under_way(self, now: float) -> int:
        """How many haven't ended."""
        while self and self[0] <= now:
            heapq.heappop(self)
        return len(self)

    def add(self, now: float, seconds: float) -> float:
        """One more, that takes so long; returns how long."""
        heapq.heappush(self, now + seconds)
        return seconds


def told(seconds: float, retry_after: float | str | None) -> float | None:
    """The Retry-After where there is room in so many seconds: none, a number, "exact", or in "whole" seconds."""
    if isinstance(retry_after, str):
        return math.ceil(seconds) if retry_after == "whole" else seconds
    return retry_after
