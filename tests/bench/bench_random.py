"""
Random services: the time compared with an ideal client's, the requests per count, and the losses; in virtual time.

`python tests/bench/bench_random.py 1 2 3` draws 204 services from each seed, as `bench.random_services` says, and
counts there with the whole client, with the whole client under AIMD, and with a fixed number of requests at once, four
tries and a random backoff. A seed takes about a minute of CPU time, half of it for this client. `mean` is the geometric
mean; `p97` leaves out the worst job: 97 % of the others take at most this.
"""

import argparse
import functools
import importlib
import json
import math
import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import frame
from attrs import asdict, frozen
from bench.baselines import controlled_by
from bench.random_services import KINDS, RandomService, draw
from support.by_hand import by_hand
from support.network import Outcome, outcome, percentile

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


def fixed(width: int, drawn: RandomService) -> Outcome:
    """A fixed number of requests at once."""
    of = drawn.weather
    return by_hand(of.service(), width, of.counts, clients=of.clients, stagger=of.stagger, seed=SEED)


def whole_client(control: str | None, drawn: RandomService) -> Outcome:
    """The whole client, perhaps with another flow control."""
    if control is None:
        return outcome(drawn.weather, SEED)
    module, _, name = control.partition(":")
    with controlled_by(getattr(importlib.import_module(module), name)):
        return outcome(drawn.weather, SEED)


def contenders(control: str | None) -> dict[str, Callable[[RandomService], Outcome]]:
    """What is compared, by name; this client comes first."""
    return {
        OURS: functools.partial(whole_client, control),
        "AIMD": functools.partial(whole_client, "bench.baselines:aimd"),
        "16 at once": functools.partial(fixed, 16),
        "64 at once": functools.partial(fixed, 64),
    }


@functools.cache
def services(number: int, seed: int) -> list[RandomService]:
    """The services of a seed, drawn once in each process."""
    return draw(number, seed)


def run(task: tuple[str, Callable[[RandomService], Outcome], int, int, int]) -> Run:
    """Counts at one service; a run that isn't over in an hour has lost all."""
    contender, count, seed, number, index = task
    drawn = services(number, seed)[index]
    try:
        found = count(drawn)
        time, requests, lost = found.seconds / drawn.ideal, found.requests, found.lost
    except TimeoutError:
        time, requests, lost = NEVER / drawn.weather.ideal, math.inf, drawn.weather.counts
    except Exception as error:
        error.add_note(f"with {contender}, seed {seed}, service {drawn.name}")
        raise
    return Run(contender, seed, drawn.kind, drawn.name, time, requests, lost)


def run_all(names: Iterable[str], control: str | None, seeds: Sequence[int], number: int, processes: int) -> list[Run]:
    """All runs, in so many processes."""
    known = contenders(control)
    tasks = [(name, known[name], seed, number, index) for name in names for seed in seeds for index in range(number)]
    if processes == 1:
        return [run(task) for task in tasks]
    with multiprocessing.Pool(processes) as pool:
        return pool.map(run, tasks, chunksize=1)


# ---- tables ----------------------------------------------------------------------------------------------------------

Table: TypeAlias = tuple[list[str], list[list[str]]]
"""The head and the rows."""


def figures(runs: Sequence[Run]) -> list[str]:
    """Of times: the median, p90, p97, the worst and the geometric mean; of requests: the median, p90; the losses."""
    times, requests = sorted(run.time for run in runs), sorted(run.requests for run in runs)
    values = [statistics.median(times), percentile(times, 0.9), p97(times), times[-1], mean(times)]
    values += [statistics.median(requests), percentile(requests, 0.9)]
    unfinished = sum(run.requests == math.inf for run in runs)
    lossy = f"{sum(run.lost > 0 for run in runs)} of {len(runs):,}" + f", {unfinished} unfinished" * bool(unfinished)
    return [*map(number_text, values), lossy]


def p97(ordered: Sequence[float]) -> float:
    """The time that 97 % don't exceed, of all but the worst, which stands beside it."""
    return percentile(list(ordered[:-1]) or list(ordered), 0.97)


def mean(times: Iterable[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, times)))


def number_text(value: float) -> str:
    """Three digits, or more where there are more before the point."""
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


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
    for kind in KINDS:
        of = {name: [run for run in runs if (run.contender, run.kind) == (name, kind)] for name in names}
        if of[OURS]:
            median, p90, _, worst, _, _, requests_p90, lossy = figures(of[OURS])
            theirs = [figures(of[name]) for name in others]
            row = [kind, median, p90, worst, requests_p90, lossy]
            rows.append(row + [cell for their in theirs for cell in (their[1], their[-1])])
    return head, rows


def page(seeds: Sequence[int], overall: Table) -> str:
    """The table that the page on performance has."""
    command = f"`python tests/bench/bench_random.py {' '.join(map(str, seeds))}`"
    head = ["", "half of the jobs take at most", "nine in ten", "services with a loss"]
    rows = [[name, brief(median), brief(p90), lossy] for name, median, p90, *_, lossy in overall[1] if name[0] != "…"]
    return f"{command} prints these figures, and those of each seed and kind:\n\n{frame.markdown(head, rows)}"


def brief(figure: str) -> str:
    """A figure with one digit after the point."""
    return f"{float(figure.replace(',', '')):,.1f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED", help="from which the services are drawn")
    parser.add_argument("--number", type=int, default=204, help="services of each seed")
    parser.add_argument("--control", metavar="MODULE:NAME", help="makes the flow control in place of this client's")
    parser.add_argument("--alone", action="store_true", help="without AIMD and the fixed numbers at once")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="as many as there are cores")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each service, the worst first")
    parser.add_argument("--json", action="store_true", help="print each service as JSON, and no table")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write a short table between its comments on a page")
    return parser.parse_args()


def main() -> None:
    """Runs all, and prints the tables."""
    given = arguments()
    names = [OURS] if given.alone else list(contenders(None))
    runs = run_all(names, given.control, given.seeds, given.number, given.processes)
    if given.json:
        print(json.dumps([asdict(run) for run in runs]))
        return
    if given.verbose:
        for run in sorted(runs, key=lambda run: (run.contender != OURS, run.contender, -run.time)):
            found = f"{run.time:8.2f} {run.requests:6.2f} {run.lost:5} lost  seed {run.seed}, {run.name}"
            print(f"{run.contender:12}{found}")
    found = overall(runs, names, given.seeds), by_kind(runs, names)
    if given.write:
        frame.write(given.write, "random services", page(given.seeds, found[0]))
    print("\n\n".join(frame.markdown(*table) for table in found))


if __name__ == "__main__":
    main()
