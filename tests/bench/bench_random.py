"""
Random services: the time compared with an ideal client's, the requests per count, and the losses; in virtual time.

`python tests/bench/bench_random.py 1 2 3` draws 204 services from each seed, as `bench.random_services` says, and
counts there with the whole client, with the whole client under AIMD, and with a fixed number of requests at once, four
tries and a random backoff. A seed takes about a minute of CPU time, half of it for this client. `mean` is the geometric
mean; `p97` leaves out the worst job: 97 % of the others take at most this.
"""

import functools
import json
import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from unittest import mock

import frame
from attrs import asdict, frozen
from bench.baselines import aimd
from bench.random_services import KINDS, RandomService, draw
from support.by_hand import by_hand
from support.network import Outcome, outcome, percentile

from galileo_sessions.flow import queue

SEED = 1  # of the services' and clients' own chance, once they are drawn
OURS = "this client"
NEVER = 3_600.0  # seconds after which a run is given up


@frozen
class Run:
    """What came of one service: the time in times the ideal, the requests per count, and the counts lost."""

    contender: str
    seed: int
    kind: str
    name: str
    time: float
    requests: float
    lost: int


def under_aimd(drawn: RandomService) -> Outcome:
    """The whole client with another flow control."""
    with mock.patch.object(queue, "FlowControl", aimd):
        return outcome(drawn.weather, SEED)


def fixed(width: int, drawn: RandomService) -> Outcome:
    """A fixed number of requests at once."""
    of = drawn.weather
    return by_hand(of.service(), width, of.counts, clients=of.clients, stagger=of.stagger, seed=SEED)


CONTENDERS: dict[str, Callable[[RandomService], Outcome]] = {
    OURS: lambda drawn: outcome(drawn.weather, SEED),
    "AIMD": under_aimd,
    "16 at once": functools.partial(fixed, 16),
    "64 at once": functools.partial(fixed, 64),
}


@functools.cache
def services(number: int, seed: int) -> list[RandomService]:
    """The services of a seed, drawn once in each process."""
    return draw(number, seed)


def run(task: tuple[str, int, int, int]) -> Run:
    """Counts at one service; a run that isn't over in an hour has lost all."""
    contender, seed, number, index = task
    drawn = services(number, seed)[index]
    try:
        found = CONTENDERS[contender](drawn)
        time, requests, lost = found.seconds / drawn.ideal, found.requests, found.lost
    except TimeoutError:
        time, requests, lost = NEVER / drawn.weather.ideal, math.inf, drawn.weather.counts
    except Exception as error:
        error.add_note(f"with {contender}, seed {seed}, service {drawn.name}")
        raise
    return Run(contender, seed, drawn.kind, drawn.name, time, requests, lost)


# ---- tables ----------------------------------------------------------------------------------------------------------

Table = tuple[list[str], list[list[str]]]
"""The head and the rows."""


def figures(runs: Sequence[Run]) -> list[str]:
    """Of times: the median, p90, p97, the worst and the geometric mean; of requests: the median, p90; the losses."""
    times, requests = sorted(run.time for run in runs), sorted(run.requests for run in runs)
    values = [statistics.median(times), percentile(times, 0.9), p97(times), times[-1], mean(times)]
    values += [statistics.median(requests), percentile(requests, 0.9)]
    unfinished = sum(run.requests == math.inf for run in runs)
    lossy = f"{sum(run.lost > 0 for run in runs)} of {len(runs):,}" + f", {unfinished} unfinished" * bool(unfinished)
    return [*(f"{each:,.{2 if each < 10 else 1 if each < 100 else 0}f}" for each in values), lossy]


def p97(ordered: Sequence[float]) -> float:
    """The time that 97 % don't exceed, of all but the worst, which stands beside it."""
    return percentile(list(ordered[:-1]) or list(ordered), 0.97)


def mean(times: Iterable[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, times)))


def overall(runs: Sequence[Run], names: Sequence[str], seeds: Sequence[int]) -> Table:
    """A row for each contender, and one for each seed of the first."""
    parts = {name: [run for run in runs if run.contender == name] for name in names}
    if len(seeds) > 1:
        each = {f"… seed {seed}": [run for run in parts[OURS] if run.seed == seed] for seed in seeds}
        parts = {OURS: parts[OURS]} | each | parts
    head = ["time / ideal", "median", "p90", "p97", "worst", "mean", "requests", "p90", "services with a loss"]
    return head, [[name, *figures(part)] for name, part in parts.items()]


def by_kind(runs: Sequence[Run], names: Sequence[str]) -> Table:
    """A row for each kind: the times of this client, the requests and the losses; and what the others came to."""
    others = [name for name in names if name != OURS]
    head = ["kind", "median", "p90", "worst", "requests p90", "with a loss"]
    head += [f"{name}: {column}" for name in others for column in ("p90", "with a loss")]
    rows: list[list[str]] = []
    for kind in [kind for kind in KINDS if any(run.kind == kind for run in runs)]:
        of = {name: figures([run for run in runs if (run.contender, run.kind) == (name, kind)]) for name in names}
        median, p90, _, worst, _, _, requests_p90, lossy = of[OURS]
        rows.append([kind, median, p90, worst, requests_p90, lossy])
        rows[-1] += [cell for name in others for cell in (of[name][1], of[name][-1])]
    return head, rows


def page(seeds: Sequence[int], overall: Table) -> str:
    """The table that the page on performance has."""
    command = f"`python tests/bench/bench_random.py {' '.join(map(str, seeds))}`"
    head = ["", "half of the jobs take at most", "nine in ten", "services with a loss"]
    rows = [[row[0], *(f"{float(cell.replace(',', '')):,.1f}" for cell in row[1:3]), row[-1]] for row in overall[1]]
    rows = [row for row in rows if not row[0].startswith("…")]
    return f"{command} prints these figures, and those of each seed and kind:\n\n{frame.markdown(head, rows)}"


def main() -> None:
    parser = frame.parser(__doc__)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED", help="from which the services are drawn")
    parser.add_argument("--number", type=int, default=204, help="services of each seed")
    parser.add_argument("--alone", action="store_true", help="without AIMD and the fixed numbers at once")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="as many as there are cores")
    parser.add_argument("--json", action="store_true", help="print each service as JSON, and no table")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write a short table between its comments on a page")
    given = parser.parse_args()
    names, seeds = [OURS] if given.alone else list(CONTENDERS), given.seeds
    tasks = [(name, seed, given.number, index) for name in names for seed in seeds for index in range(given.number)]
    with multiprocessing.Pool(given.processes) as pool:
        runs = pool.map(run, tasks, chunksize=1)
    if given.json:
        print(json.dumps([asdict(run) for run in runs]))
        return
    table = overall(runs, names, seeds)
    if given.write:
        frame.write(given.write, "random services", page(seeds, table))
    print(frame.markdown(*table), frame.markdown(*by_kind(runs, names)), sep="\n\n")


if __name__ == "__main__":
    main()
