"""The services that the flow control must stand, each with what it may cost."""

import math
from functools import partial as p

from support.models import (
    NETWORK,
    TURN,
    Away,
    Bucket,
    Capacity,
    Flapping,
    Melt,
    Mixed,
    Queue,
    Service,
    Slowing,
    Strict,
    Window,
    exponential,
)
from support.network import Weather

WIDEST = 256
ROUND_TRIP = NETWORK + 2 * TURN  # seconds in which a place at the service is empty, whatever the client knows


def unlimited(counts: int, latency: float) -> float:
    """Seconds with 256 at once, or as fast as the client's own loop turns."""
    return max(counts * (latency + ROUND_TRIP) / WIDEST, counts * 2 * TURN) + latency


def suffix(retry_after: float | str | None) -> str:
    """How a name says what the Retry-After is."""
    return "" if retry_after is None else f", Retry-After {retry_after}"


def weathers() -> dict[str, Weather]:
    """All of them by name."""
    known = plain() | capacities() | buckets() | windows() | troubles() | crowds()
    return known | small_jobs() | low_rates() | melts()


def plain() -> dict[str, Weather]:
    """No refusals: latencies, queues, and a service that melts."""
    table = {
        f"latency {round(1000 * latency)} ms": Weather(
            p(Service, latency), counts, unlimited(counts, latency), 1.0, 1.25
        )
        for latency, counts in ((0.005, 10_000), (0.05, 20_000), (0.2, 10_000))
    }
    slow = unlimited(20_000, 0.05 * 1.19) + 1.0
    return table | {
        "queue 8 x 20 ms": Weather(p(Queue, 8, 0.02), 4_000, 10.0, 1.0, 1.15),
        "queue 8 x 20 ms, spread": Weather(p(Queue, 8, 0.02, spread=1.0), 4_000, 10.0, 1.0, 1.35),
        "latency 40 ms, spread": Weather(p(Service, 0.04, 1.0), 600, unlimited(600, 0.04) + 0.4, 1.0, 3.0),
        "queue 200 x 100 ms": Weather(p(Queue, 200, 0.1), 20_000, 10.1, 1.0, 1.15),
        "melts beyond 16": Weather(Melt, 8_000, 8_000 * 0.02 / 16, 1.02, 1.4),
        "1 % slow by 20 times": Weather(p(Mixed, 0.01, times=20), 20_000, slow, 1.02, 1.2),
    }


def capacities() -> dict[str, Weather]:
    """So many at once; refusals that are as slow as answers, or silence in place of them."""
    table = {}
    for capacity, latency, counts, wall in ((5, 0.05, 1_000, 1.25), (20, 0.1, 2_000, 1.25), (200, 0.1, 20_000, 1.4)):
        ideal = counts * (latency + ROUND_TRIP) / capacity + latency
        table[f"at most {capacity} at once"] = Weather(p(Capacity, capacity, latency), counts, ideal, 1.06, wall)
    dropped, ideal = p(Capacity, 64, 0.05, changes=((3.0, 8), (6.0, 64))), 6 + (10_000 - 3 * (1_280 + 160)) / 1_280
    return table | {
        "at most 20 at once, spread": Weather(p(Capacity, 20, 0.1, spread=1.0), 2_000, 10.4, 1.06, 1.9),
        "64 at once, an eighth for 3 s": Weather(dropped, 10_000, ideal, 1.05, 1.7),
        "at most 5 at once, slow refusals": Weather(p(Strict, 5), 500, 10.0, 1.3, 1.7),
        "100 a second, refusals count": Weather(p(Strict, rate=100), 1_000, 9.1, 1.5, 2.8),
        "silence above 5 at once": Weather(p(Strict, 5, silent=True), 500, 10.0, 1.4, 1.9, timeout=1.0),
    }


def buckets() -> dict[str, Weather]:
    """So many a second."""
    table = {}
    for rate, burst, latency, counts in (
        (20, 1, 0.03, 200),
        (20, 100, 0.005, 300),
        (50, 50, 0.005, 300),
        (50, 50, 0.005, 2_000),
        (200, 1, 0.05, 4_000),
        (200, 20, 0.005, 1_000),
        (200, 20, 0.05, 10_000),
        (1_000, 100, 0.02, 10_000),
    ):
        ideal = (counts - burst) / rate + latency + 0.005
        # Nothing is paced before the first refusal, so the burst that finds the limit weighs more in a small job.
        requests = 1.1 if counts > 300 else 1.45 if burst in (1, 100) else 1.3
        for retry_after, wall in ((None, 1.15), (1.0, 1.25), ("exact", 1.15)):
            name = f"{rate} a second, burst {burst}, {counts} counts" + suffix(retry_after)
            table[name] = Weather(p(Bucket, rate, burst, retry_after, latency), counts, ideal, requests, wall)
    return table


def windows() -> dict[str, Weather]:
    """So many in each second, or in each minute."""
    table = {}
    for quota, seconds, counts, wall in ((100, 1, 1_000, 1.3), (600, 60, 1_500, 1.05)):
        ideal = (0.7 + math.ceil(counts / quota) - 2) * seconds + 0.05
        for after in (None, "whole", "exact"):
            name = f"{quota} in {seconds} s" + suffix(after)
            table[name] = Weather(p(Window, quota, seconds, after), counts, ideal, 1.25, wall)
    return table


def troubles() -> dict[str, Weather]:
    """Faults and outages."""
    counts, ideal = 20_000, unlimited(20_000, 0.05)
    table = {
        "every answer a 500 for 1 s": Weather(lambda: Away(Service(), 1.0, 1.0), 6_000, 1.4, 1.1, 1.7, away=1.0),
        "30 % 503": Weather(p(Mixed, 0.3, "refused"), 3_000, 1.2, 1.5, 40.0),
        "1 % 503": Weather(p(Mixed, 0.01, "refused"), counts, ideal + 0.5, 1.02, 1.6),
        # A service that has become ten times slower looks like one that melts, so the width is halved until it's clear.
        "32 workers, ten times slower by turns": Weather(
            p(Queue, 32, 0.02, turns=(2_000, 10.0)), 8_000, 4_000 / 1_600 + 4_000 / 160, 1.0, 2.3
        ),
        "5 s up, 5 s away": Weather(p(Flapping, 5.0), 3 * counts // 2, 1.5 * ideal, 1.05, 1.3, away=5.0),
    }
    for share, requests, wall in ((2, 1.03, 2.5), (5, 1.07, 1.5), (10, 1.13, 2.0)):
        passed = 1 - share / 100
        table[f"{share} % 503"] = Weather(p(Mixed, 1 - passed, "refused"), counts, ideal / passed + 0.5, requests, wall)
    for seconds, size in ((0.5, 1), (3, 1), (20, 2)):
        for how in ("refused", "reset"):
            away = lambda *args: Away(Service(), *args)  # noqa: E731  # made anew
            table[f"away for {seconds} s, {how}"] = Weather(
                p(away, 2.0, seconds, how), size * counts, size * ideal, 1.05, 1.3, away=seconds
            )
    return table


def crowds() -> dict[str, Weather]:
    """Several clients at one service; and somebody who waits for one count, while the same client fans out."""
    table = {}
    for clients, stagger in ((2, 2.0), (3, 2.0), (4, 1.0), (8, 1.0)):
        shared = {"requests": 1.12, "wall": 1.3, "clients": clients, "stagger": stagger}
        table[f"{clients} share 200 a second"] = Weather(p(Bucket, 200, 20), 12_000, 60.0, **shared)
        table[f"{clients} share 40 at once"] = Weather(p(Capacity, 40, 0.1), 24_000, 60.0, **shared)
    # Nothing is refused by what melts, so each client learns of the others by latency: 1.4 to 2 times, by the seed.
    many, three = {"clients": 6, "fairness": 0.65}, {"clients": 3, "stagger": 2.0, "fairness": 0.85}
    return table | {
        "6 share 20 % 503": Weather(p(Mixed, 0.2, "refused"), 6_000, 0.76, 1.4, 10.0, **many),
        "3 share what melts beyond 16": Weather(Melt, 24_000, 24_000 * 0.02 / 16, 1.02, 2.1, **three),
        "lone counts, queue 8 x 20 ms": Weather(p(Queue, 8, 0.02), 20_000, 50.0, 1.05, 1.2, lone=0.1),
        "lone counts, 200 a second": Weather(p(Bucket, 200, 20, None, 0.005), 10_000, 50.0, 1.1, 1.2, lone=0.05),
    }


def small_jobs() -> dict[str, Weather]:
    """Jobs of 10 to 300 counts, with a client that has just begun: most jobs are these."""
    table = {
        f"{counts} counts, latency {round(1000 * latency)} ms": Weather(
            p(Service, latency), counts, latency * 1.25 + NETWORK + 2 * counts * TURN, 1.0, wall
        )
        for latency, walls in ((0.002, (1.1, 1.7, 1.7)), (0.02, (1.1, 3.1, 2.7)), (0.1, (1.1, 4.2, 4.9)))
        for counts, wall in zip((10, 100, 300), walls, strict=True)
    }
    return table | {
        "a web page, 50 a second": Weather(p(Service, 0.02), 1_000, 20.0, 1.0, 1.02, every=0.02),
        "one count after another": Weather(p(Service, 0.05), 100, 10.0, 1.0, 1.02, every=0.1),
        "40 counts, 20 a second": Weather(p(Bucket, 20, 5), 40, 1.75, 1.8, 1.2),
        "100 counts, at most 8 at once": Weather(p(Capacity, 8, 0.1), 100, 1.35, 1.3, 1.6),
    }


def low_rates() -> dict[str, Weather]:
    """20 a minute to 10 a second, as free plans have them."""
    table = {}
    for rate, burst, counts, requests, wall in (
        (1 / 3, 1, 30, 2.4, 1.3),
        (0.5, 1, 30, 2.4, 1.3),
        (2, 1, 60, 1.6, 1.25),
        (2, 10, 60, 1.65, 1.1),
        (5, 5, 100, 1.5, 1.15),
        (10, 10, 200, 1.3, 1.1),
    ):
        name, ideal = f"{60 * rate:.0f} a minute, burst {burst}", (counts - burst) / rate
        table[name] = Weather(p(Bucket, rate, burst, None, 0.05), counts, ideal, requests, wall)
    three = Weather(p(Bucket, 1.25, 10, None, 0.003), 300, 232.0, 1.6, 2.2, clients=3, fairness=0.6)
    return table | {"20 in 60 s": Weather(p(Window, 20, 60), 60, 102.0, 2.1, 1.06), "three share 75 a minute": three}


def melts() -> dict[str, Weather]:
    """Services that refuse nothing and melt: each request too many makes all slower, by a factor or a little."""
    table = {"more at once buys nothing": Weather(p(Slowing, float, 0.1), 200, 20.0, 1.0, 1.1)}
    for knee, base, latency, counts, wall in (
        (10, 1.1, 0.1, 1_000, 1.3),
        (10, 1.5, 0.1, 3_000, 2.5),
        (12, 1.1, 0.025, 5_000, 1.4),
        (40, 1.05, 0.05, 20_000, 1.5),
    ):
        slower = exponential(knee, base)
        best = max(n / (latency * slower(n)) for n in range(1, 256))
        name = f"slower by {base} for each beyond {knee}"
        table[name] = Weather(p(Slowing, slower, latency), counts, counts / best, 1.05, wall)
    for knee, latency, counts in ((6, 0.05, 1_000), (100, 0.05, 20_000)):
        table[f"melts beyond {knee}"] = Weather(p(Melt, knee, latency), counts, counts * latency / knee, 1.02, 1.6)
    return table
