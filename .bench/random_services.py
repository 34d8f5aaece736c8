"""Services drawn at random from realistic ranges, each with a job to do there: a seed always gives the same ones."""

import math
import random
from collections.abc import Callable
from functools import cache, partial
from statistics import NormalDist

from attrs import frozen
from flow.weathers import ROUND_TRIP, WIDEST
from support.models import NETWORK, TURN, Bucket, Reply, Service, Slowing, Window, Workers, exponential
from support.network import Weather

_LONGEST = 300.0  # seconds; services whose ideal is longer are drawn again
_KNEES = (2, 80)  # requests at once, beyond which a service melts
_SLOW = 20.0  # times as long as the others, where a few answers are slow


class Bimodal(Service):
    """A share of the answers takes 20 times as long."""

    def __init__(self, latency: float, spread: float, share: float):
        super().__init__(latency, spread)
        self.share = share

    def duration(self) -> float:
        return super().duration() * (_SLOW if self.random.random() < self.share else 1.0)


class Noisy(Service):
    """Another service behind something that refuses a share of the requests, whatever the load."""

    def __init__(self, service: Callable[[], Service], share: float, seconds: float) -> None:
        self.service, self.share, self.seconds = service(), share, seconds
        self.random = self.service.random  # one seed for both

    def arrive(self, now: float) -> Reply:
        return Reply("refused", self.seconds) if self.random.random() < self.share else self.service.arrive(now)


# ---- draws -----------------------------------------------------------------------------------------------------------


class Chance(random.Random):
    """Draws numbers, always the same from the same seed."""

    def log(self, least: float, most: float) -> float:
        """A number whose logarithm is spread evenly, so that 1 to 10 is as likely as 10 to 100."""
        return math.exp(self.uniform(math.log(least), math.log(most)))


@frozen
class Job:
    """The counts to make, and what a single request takes."""

    counts: int  # of all clients together
    clients: int  # that share the service
    stagger: float  # seconds between their beginnings
    latency: float  # seconds of a request, without those that are slow
    spread: float  # of the latency, on a logarithmic scale
    slow: float  # the share of the requests that takes 20 times as long
    noise: float  # the share of the requests that is refused, whatever the load
    noise_seconds: float  # after which these are refused

    @property
    def mean(self) -> float:
        """Seconds of a request on average."""
        return self.latency * (1 + self.slow * (_SLOW - 1))

    def ideal(self, fluid: float) -> float:
        """Seconds of a client that knows the service from the start, if that takes so many with its best load."""
        each = self.counts / self.clients
        own = max(each * (self.mean + ROUND_TRIP) / WIDEST, each * 2 * TURN) / (1 - self.noise)
        deviations = NormalDist().inv_cdf(1 - 0.5 / self.counts)  # of the slowest count
        last = max(self.mean, self.latency * math.exp(self.spread * deviations - self.spread**2 / 2))
        if self.slow * self.counts > 0.1:  # else a slow one is bad luck
            last = max(last, self.latency * _SLOW)
        return max(max(fluid, own) + self.mean, last) + NETWORK


@frozen
class Limit:
    """A service without its noise, and what it takes for a job."""

    service: Callable[[], Service]  # makes it anew
    fluid: float = 0.0  # seconds that it takes with its best load; 0 if it takes any
    is_idle: bool = False  # whether the job hardly meets the limit; most of these are drawn again


@cache  # once in each process
def draw(number: int, seed: int) -> list[Weather]:
    """So many services of all kinds in turn, each with a job, and with what ideal clients take for all of it."""
    chance, drawn, kinds = Chance(seed), list[Weather](), list(KINDS)
    while len(drawn) < number:
        kind = kinds[len(drawn) % len(kinds)]
        job = _job(chance, kind)
        limit = KINDS[kind](chance, job)
        ideal = job.ideal(limit.fluid)
        if ideal > _LONGEST or (limit.is_idle and chance.random() < 0.8):
            continue
        service = partial(Noisy, limit.service, job.noise, job.noise_seconds) if job.noise else limit.service
        ideal += job.stagger * (job.clients - 1)
        drawn.append(Weather(service, job.counts, ideal, math.inf, math.inf, clients=job.clients, stagger=job.stagger))
    return drawn


def _job(chance: Chance, kind: str) -> Job:
    counts = chance.choice([20, 100, 100, 600, 600, 5_000])
    clients = chance.choice([1, 1, 1, 1, 1, 2, 4, 6])
    if counts // clients < 10:
        clients = 1
    stagger = chance.choice([0.0, 0.5, 2.0]) if clients > 1 else 0.0
    latency = chance.log(0.005, 0.8)
    spread = chance.uniform(0.3, 1.0) if kind == "spread" else chance.choice([0.1, 0.1, 0.3, 0.6])
    slow = chance.uniform(0.005, 0.02) if kind == "bimodal" else 0.0
    is_noisy = kind == "503" or chance.random() < 0.1
    noise = chance.log(0.01, 0.3 if kind == "503" else 0.05) if is_noisy else 0.0
    noise_seconds = chance.choice([0.005, 0.005, latency])
    return Job(counts - counts % clients, clients, stagger, latency, spread, slow, noise, noise_seconds)


# ---- kinds -----------------------------------------------------------------------------------------------------------


def _limited(chance: Chance, job: Job) -> Limit:
    workers, line = int(chance.log(1, 128)), chance.choice([0, 0, 0.5, 2, 10])
    return _full(job, workers, line, chance.choice([0.001, 0.001, 0.001, job.latency]))


def _full(job: Job, workers: int, line: float, refusal: float = 0.001) -> Limit:
    """So many workers."""
    service = partial(Workers, lambda _: workers, job.latency, job.spread, line=line, refusal=refusal)
    return Limit(service, job.counts * job.mean / workers)


def _unlimited(_: Chance, job: Job) -> Limit:
    return Limit(partial(Service, job.latency, job.spread))


def _refusing(chance: Chance, job: Job) -> Limit:
    """Noise is what the kind is about; a few have limits, too."""
    return _full(job, int(chance.log(4, 128)), 2) if chance.random() < 0.4 else _unlimited(chance, job)


def _bucket(chance: Chance, job: Job) -> Limit:
    rate = chance.log(0.5, 2_000)
    burst = max(1, int(chance.log(1, max(2, 2 * rate))))
    retry_after = chance.choice([None, None, None, "exact", "whole"])
    strict = chance.random() < 0.15
    service = partial(Bucket, rate, burst, retry_after, job.latency, job.spread, kind="limited", strict=strict)
    return Limit(service, max(0, job.counts - burst) / rate)


def _window(chance: Chance, job: Job) -> Limit:
    quota, seconds = int(chance.log(10, 1_000)), chance.choice([1, 5, 10, 60])
    over, retry_after = chance.random(), chance.choice([None, None, "exact", "whole"])
    service = partial(Window, quota, seconds, retry_after, job.latency, job.spread, over=over)
    windows = math.ceil(job.counts / quota)
    fluid = 0.0 if windows == 1 else (1 - over) * seconds + (windows - 2) * seconds
    return Limit(service, fluid, is_idle=job.counts / (quota / seconds) < 0.2)


def _melting(job: Job, slower: Callable[[int], float]) -> Limit:
    service = partial(Slowing, slower, job.latency, job.spread)
    return Limit(service, job.counts / service().best())


def _exponential(chance: Chance, job: Job) -> Limit:
    return _melting(job, exponential(int(chance.log(*_KNEES)), 1 + chance.log(0.02, 0.6)))


def _square(chance: Chance, job: Job) -> Limit:
    knee = int(chance.log(*_KNEES))
    steep = chance.uniform(0.25, 2) * knee
    return _melting(job, lambda n: 1 + (max(0, n - knee) / steep) ** 2)


def _two_knees(chance: Chance, job: Job) -> Limit:
    """Slower by a root beyond the first knee, and exponentially beyond the second."""
    knee = int(chance.log(*_KNEES))
    second = int(knee * chance.uniform(1.5, 5)) + 1
    soft, melt = chance.uniform(0.2, 0.9), exponential(second, 1 + chance.log(0.02, 0.4))
    return _melting(job, lambda n: (max(1, n / knee) ** soft) * melt(n))


def _proportional(chance: Chance, job: Job) -> Limit:
    cores = int(chance.log(*_KNEES))
    return _melting(job, lambda n: max(1.0, n / cores))


def _changing(job: Job, workers: Callable[[float], float], line: float) -> Limit:
    """Workers whose number changes; what they do in 20 ms is added up."""
    done = seconds = 0.0
    while done < job.counts and seconds < 2_000:
        done += max(1, int(workers(seconds))) * 0.02 / job.mean
        seconds += 0.02
    return Limit(partial(Workers, lambda now: max(1, int(workers(now))), job.latency, job.spread, line=line), seconds)


def _autoscale(chance: Chance, job: Job) -> Limit:
    line = chance.choice([0, 0, 2, 100])
    first, doublings = int(chance.log(2, 24)), chance.randint(1, 5)
    return _changing(job, lambda now: first * 2 ** min(doublings, int(now / 5)), line)


def _drop(chance: Chance, job: Job) -> Limit:
    """A tenth of the workers for a while."""
    line = chance.choice([0, 0, 2, 100])
    workers, since = int(chance.log(20, 200)), chance.uniform(0.5, 3)
    until = since + chance.uniform(1, 8)
    return _changing(job, lambda now: workers / 10 if since <= now < until else workers, line)


KINDS: dict[str, Callable[[Chance, Job], Limit]] = {
    "limit": _limited,
    "bucket": _bucket,
    "window": _window,
    "exp melt": _exponential,
    "square melt": _square,
    "two knees": _two_knees,
    "spread": _unlimited,
    "bimodal": lambda _, job: Limit(partial(Bimodal, job.latency, job.spread, job.slow)),
    "503": _refusing,
    "autoscale": _autoscale,
    "drop": _drop,
    "proportional": _proportional,
}
"""Each kind of service, with what draws one."""
