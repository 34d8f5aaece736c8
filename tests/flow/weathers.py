"""The services that the flow control must stand, each with what it may cost."""

import math
from functools import partial as p

from support import models as m
from support.models import NETWORK, TURN
from support.network import Weather

WIDEST = 256
ROUND_TRIP = NETWORK + 2 * TURN  # seconds in which a place at the service is empty, whatever the client knows


def full(places: int, counts: int, latency: float) -> float:
    """Seconds with so many at once."""
    return counts * (latency + ROUND_TRIP) / places + latency


def unlimited(counts: int, latency: float) -> float:
    """Seconds with 256 at once, or as fast as the client's own loop turns."""
    return max(full(WIDEST, counts, latency), counts * 2 * TURN + latency)


def away(*arguments: object, **named: float) -> m.Service:
    """A service that is away at times."""
    return m.Away(m.Service(), *arguments, **named)


def weathers() -> dict[str, Weather]:
    """All of them by name. Bounds leave room for other lots."""
    return plain() | at_once() | a_second() | troubles() | crowds() | small_jobs()


def plain() -> dict[str, Weather]:
    """No refusals: latencies, queues, and services that melt: each request too many makes all slower."""
    gentle, steep = p(m.Slowing, m.exponential(40, 1.05), 0.05), p(m.Slowing, m.exponential(10, 1.1), 0.1)
    turns, some_slow = p(m.Queue, 32, 0.02, 0.1, (2_000, 10.0)), p(m.Mixed, 0.01, times=20)
    return {
        "latency 5 ms": Weather(p(m.Service, 0.005), 5_000, unlimited(5_000, 0.005), 1.0, 1.25),
        "latency 50 ms": Weather(p(m.Service, 0.05), 10_000, unlimited(10_000, 0.05), 1.0, 1.25),
        "1 % slow by 20 times": Weather(some_slow, 10_000, unlimited(10_000, 0.06) + 1, 1.0, 1.2),
        "queue 8 x 20 ms, spread": Weather(p(m.Queue, 8, 0.02, spread=1.0), 4_000, 10.0, 1.0, 1.35),
        "32 workers, ten times slower by turns": Weather(turns, 8_000, 27.5, 1.0, 1.2),
        "melts beyond 16": Weather(m.Melt, 8_000, 8_000 * 0.02 / 16, 1.0, 1.4),
        "slower by 1.05 for each beyond 40": Weather(gentle, 10_000, 10_000 / gentle().best(), 1.0, 1.4),
        "slower by 1.1 for each beyond 10": Weather(steep, 1_000, 1_000 / steep().best(), 1.0, 1.3),
        "more at once buys nothing": Weather(p(m.Slowing, float, 0.1), 200, 20.0, 1.0, 1.1),
    }


def at_once() -> dict[str, Weather]:
    """So many at once; refusals that are as slow as answers, or silence in place of them."""
    dropped, ideal = p(m.Capacity, 64, 0.05, changes=((3.0, 8), (6.0, 64))), 6 + (10_000 - 3 * (1_280 + 160)) / 1_280
    return {
        "at most 5 at once": Weather(p(m.Capacity, 5, 0.05), 1_000, full(5, 1_000, 0.05), 1.2, 1.25),
        "at most 200 at once": Weather(p(m.Capacity, 200, 0.1), 10_000, full(200, 10_000, 0.1), 1.06, 3.6),
        "64 at once, an eighth for 3 s": Weather(dropped, 10_000, ideal, 1.05, 1.7),
        "at most 5 at once, slow refusals": Weather(p(m.Strict, 5), 500, 10.0, 1.3, 1.7),
        "100 a second, refusals count": Weather(p(m.Strict, rate=100), 1_000, 9.1, 1.5, 2.8),
        "silence above 5 at once": Weather(p(m.Strict, 5, silent=True), 500, 10.0, 1.65, 1.9, timeout=1.0),
    }


def a_second() -> dict[str, Weather]:
    """So many a second, in each second or in each minute; 20 a minute to 10 a second, as free plans have them."""
    table = {}
    # Nothing is paced before the first refusal, so the burst that finds the limit weighs more in a small job.
    for rate, burst, latency, counts, requests, wall in (
        (20, 1, 0.03, 200, 1.85, 1.45),
        (20, 100, 0.005, 300, 1.45, 1.15),
        (50, 50, 0.005, 2_000, 1.2, 1.15),
        (200, 1, 0.05, 4_000, 1.1, 1.25),
        (1_000, 100, 0.02, 10_000, 1.1, 1.15),
    ):
        name, ideal = f"{rate} a second, burst {burst}", (counts - burst) / rate + latency + 0.005
        for told, after, most in ((None, "", wall), (1.0, ", Retry-After", max(wall, 1.25))):
            service = p(m.Bucket, rate, burst, told, latency)
            table[name + after] = Weather(service, counts, ideal, requests, most)
    for quota, requests in ((20, 1.7), (200, 1.1)):  # a quota that is used up is one overload
        table[f"{quota} in each second"] = Weather(p(m.Window, quota, 1.0), 20 * quota, 19.0, requests, 1.1)
    for quota, seconds, counts, told, wall in ((100, 1, 1_000, "whole", 1.3), (600, 60, 1_500, None, 1.1)):
        ideal = (0.7 + math.ceil(counts / quota) - 2) * seconds + 0.05
        table[f"{quota} in {seconds} s"] = Weather(p(m.Window, quota, seconds, told), counts, ideal, 1.25, wall)
    rarely = p(m.Bucket, retry_after=None, latency=0.05)
    return table | {
        "20 a minute, burst 1": Weather(p(rarely, 1 / 3, 1), 30, 29 * 3, 4.2, 1.5),
        "600 a minute, burst 10": Weather(p(rarely, 10, 10), 200, 190 / 10, 1.9, 1.1),
        "one in 10 s": Weather(p(rarely, 0.1, 1), 60, 590.0, 4.1, 2.2),
        "20 in 60 s": Weather(p(m.Window, 20, 60), 60, 102.0, 4.1, 1.3),
    }


def troubles() -> dict[str, Weather]:
    """Faults and outages."""
    counts, ideal = 10_000, unlimited(10_000, 0.05)
    return {
        "1 % 503": Weather(p(m.Mixed, 0.01, "refused"), counts, ideal + 0.5, 1.02, 1.6),
        "30 % 503": Weather(p(m.Mixed, 0.3, "refused"), 3_000, 1.2, 1.5, 40.0),
        "every answer a 500 for 1 s": Weather(p(away, 1.0, 1.0), 6_000, 1.4, 1.1, 2.0, away=1.0),
        "away for 20 s, reset": Weather(p(away, 1.0, 20, "reset"), counts, ideal, 1.05, 3.1, away=20),
        "5 s up, 5 s away": Weather(p(away, 5.0, 5.0, every=10.0), 30_000, 3 * ideal, 1.05, 1.3, away=5.0),
    }


def crowds() -> dict[str, Weather]:
    """Several clients at one service; and somebody who waits for one count, while the same client fans out."""
    two, three = {"clients": 2, "stagger": 2.0, "fairness": 0.9}, {"clients": 3, "stagger": 2.0, "fairness": 0.6}
    four, eight = {"clients": 4, "stagger": 0.5, "fairness": 0.6}, {"clients": 8, "stagger": 0.5, "fairness": 0.55}
    small = p(m.Bucket, 4, 4)
    # Nothing is refused by what melts, so each client learns of the others by latency.
    return {
        "2 share 200 a second": Weather(p(m.Bucket, 200, 20), 6_000, 30.0, 1.12, 1.3, **two),
        "3 share 40 at once": Weather(p(m.Capacity, 40, 0.1), 6_000, 15.0, 1.12, 1.3, **three),
        "8 share 4 a second": Weather(small, 240, 59.0, 4.9, 2.8, **eight),
        "4 share 20 % 503": Weather(p(m.Mixed, 0.2, "refused"), 6_000, 0.76, 1.4, 10.0, **four),
        "3 share what melts beyond 16": Weather(m.Melt, 12_000, 12_000 * 0.02 / 16, 1.0, 2.1, **three),
        "lone counts, queue 8 x 20 ms": Weather(p(m.Queue, 8, 0.02), 10_000, 25.0, 1.05, 1.2, lone=0.11),
        "lone counts, 200 a second": Weather(p(m.Bucket, 200, 20, None, 0.005), 5_000, 25.0, 1.1, 1.2, lone=0.05),
    }


def small_jobs() -> dict[str, Weather]:
    """Jobs of 10 to 300 counts, with a client that has just begun: most jobs are these."""
    table = {}
    for counts, latency, wall in ((10, 0.02, 1.1), (100, 0.002, 1.3), (100, 0.1, 4.2), (300, 0.1, 4.9)):
        ideal = latency * 1.25 + NETWORK + 2 * counts * TURN
        table[f"{counts} counts, {latency} s"] = Weather(p(m.Service, latency), counts, ideal, 1.0, wall)
    return table | {
        "latency 40 ms, spread": Weather(p(m.Service, 0.04, 1.0), 600, unlimited(600, 0.04) + 0.4, 1.0, 3.0),
        "one count after another": Weather(p(m.Service, 0.05), 100, 10.0, 1.0, 1.02, every=0.1),
        "40 counts, 20 a second": Weather(p(m.Bucket, 20, 5), 40, 1.75, 2.6, 1.5),
        "100 counts, at most 8 at once": Weather(p(m.Capacity, 8, 0.1), 100, 1.35, 1.3, 1.65),
    }
