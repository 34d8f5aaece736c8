"""Random services: the time compared with an ideal client's, the requests per count and the losses; in virtual time."""

import functools
import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import harness
from attrs import frozen
from fixed_width import fixed_width
from random_services import KINDS, draw
from support.network import Outcome, Weather, outcome, percentile

from galileo_sessions.flow import control
from galileo_sessions.flow.width import Width

SEED = 1  # of the services' and clients' own chance, once they are drawn
OURS = "this client"


@frozen
class Run:
    """What came of one service: the time in times the ideal, the requests per count, and the counts lost."""

    contender: str
    seed: int
    kind: str
    time: float
    requests: float
    lost: int


class Aimd(Width):
    """
    Additive increase, multiplicative decrease of the requests at once, as in TCP and in most adaptive clients.

    Until the first refusal each answer adds a request, then each round of them. What was sent before a refusal doesn't
    cut again. There is never a rate, since each request counts as a probe of the width.
    """

    def __init__(self, initial: int, maximum: int) -> None:
        super().__init__(initial, maximum)
        self.answered, self.was_refused = 0, False

    def check(self, now: float) -> None:
        """Late answers are no setback."""

    def passed(self, level: int, round_: int, latency: float | None) -> None:
        self.latency = latency or self.latency
        if 2 * level >= self.limit:
            self.limit = min(self.maximum, self.limit + (1 / self.limit if self.was_refused else 1))

    def narrow(self, width: float) -> None:
        self.limit, self.round, self.was_refused = max(1.0, 0.85 * self.limit), self.round + 1, True


def under_aimd(weather: Weather) -> Outcome:
    """The whole client, with its breaker and noise, but with that in place of our width and rate."""
    with mock.patch.object(control, "Width", Aimd):
        return outcome(weather, SEED)


def fixed(width: int, weather: Weather) -> Outcome:
    """A fixed number of requests at once."""
    service, clients, stagger = weather.service(), weather.clients, weather.stagger
    return fixed_width(service, width, weather.counts, clients=clients, stagger=stagger, seed=SEED)


CONTENDERS: dict[str, Callable[[Weather], Outcome]] = {
    OURS: lambda weather: outcome(weather, SEED),
    "AIMD": under_aimd,
    "16 at once": functools.partial(fixed, 16),
    "64 at once": functools.partial(fixed, 64),
}


def run(task: tuple[str, int, int, int]) -> Run:
    """Counts at one service; a run that isn't over in an hour has lost all."""
    contender, seed, number, index = task
    weather, kind = draw(number, seed)[index], list(KINDS)[index % len(KINDS)]
    try:
        found = CONTENDERS[contender](weather)
    except TimeoutError:
        found = Outcome(weather.counts, math.inf, 3_600)
    except Exception as error:
        error.add_note(f"with {contender}, seed {seed}, service {index}: {kind}")
        raise
    return Run(contender, seed, kind, found.seconds / weather.ideal, found.requests, found.lost)


# ---- tables ----------------------------------------------------------------------------------------------------------


def figures(runs: Sequence[Run]) -> dict[str, float]:
    """Of the times, and of the requests per count; p97 leaves out the worst job, and the mean is the geometric one."""
    times, requests = sorted(run.time for run in runs), sorted(run.requests for run in runs)
    return {
        "median": statistics.median(times),
        "p90": percentile(times, 0.9),
        "p97": percentile(times[:-1] or times, 0.97),
        "worst": times[-1],
        "mean": statistics.geometric_mean(times),
        "requests": statistics.median(requests),
        "requests p90": percentile(requests, 0.9),
    }


def losses(runs: Sequence[Run]) -> str:
    """At how many services counts were lost."""
    unfinished = sum(run.requests == math.inf for run in runs)
    return f"{sum(run.lost > 0 for run in runs)} of {len(runs):,}" + f", {unfinished} unfinished" * bool(unfinished)


def cells(runs: Sequence[Run], *columns: str) -> list[str]:
    """Some of the figures as a table has them, and the losses."""
    values = [value for name, value in figures(runs).items() if name in columns]
    return [*(f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}" for value in values), losses(runs)]


def overall(parts: dict[str, list[Run]], seeds: Sequence[int]) -> str:
    """A row for each contender, and one for each seed of the first."""
    if len(seeds) > 1:
        each = {f"… seed {seed}": [run for run in parts[OURS] if run.seed == seed] for seed in seeds}
        parts = {OURS: parts[OURS]} | each | parts
    columns = ["median", "p90", "p97", "worst", "mean", "requests", "requests p90"]
    head = ["time / ideal", *columns[:-1], "p90", "services with a loss"]
    return harness.markdown(head, [[name, *cells(part, *columns)] for name, part in parts.items()])


def by_kind(parts: dict[str, list[Run]]) -> str:
    """A row for each kind: the times of this client, the requests and the losses; and what the others came to."""
    columns, others = ["median", "p90", "worst", "requests p90"], [name for name in parts if name != OURS]
    rows: list[list[str]] = []
    for kind in [kind for kind in KINDS if any(run.kind == kind for run in parts[OURS])]:
        of = {name: [run for run in part if run.kind == kind] for name, part in parts.items()}
        rows.append([kind, *cells(of[OURS], *columns), *(cell for name in others for cell in cells(of[name], "p90"))])
    head = [f"{name}: {column}" for name in others for column in ("p90", "with a loss")]
    return harness.markdown(["kind", *columns, "with a loss", *head], rows)


def page(parts: dict[str, list[Run]], seeds: Sequence[int]) -> str:
    """The table that the page on performance has."""
    of = {name: figures(part) for name, part in parts.items()}
    rows = [[name, f"{of[name]['median']:,.1f}", f"{of[name]['p90']:,.1f}", losses(parts[name])] for name in parts]
    table = harness.markdown(["", "half of the jobs take at most", "nine in ten", "services with a loss"], rows)
    command = f"`python .bench/bench_random.py {' '.join(map(str, seeds))}`"
    return f"{command} prints these figures, and those of each seed and kind:\n\n{table}"


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED", help="from which the services are drawn")
    parser.add_argument("--number", type=int, default=204, help="services of each seed")
    parser.add_argument("--alone", action="store_true", help="without AIMD and the fixed numbers at once")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write a short table between its comments on a page")
    given = parser.parse_args()
    names, seeds = [OURS] if given.alone else list(CONTENDERS), given.seeds
    tasks = [(name, seed, given.number, index) for name in names for seed in seeds for index in range(given.number)]
    with multiprocessing.Pool() as pool:
        runs = pool.map(run, tasks, chunksize=1)
    parts = {name: [run for run in runs if run.contender == name] for name in names}
    if given.write:
        harness.write(given.write, "random services", page(parts, seeds))
    print(overall(parts, seeds), by_kind(parts), sep="\n\n")


if __name__ == "__main__":
    main()
