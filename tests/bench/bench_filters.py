"""
What filters cost, beside what they replace, and what checking one against a catalog costs, beside dumping it.

`python tests/bench/bench_filters.py` measures both sides of each ratio in the same run, in turns; the best of each
counts. The goal of the check is 5 times `dump_filter` at most, for a filter of 1,000 leaves that fits. What is refused
takes longer, since each leaf gets its explanation.
"""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from filters.catalogs import CATALOG

from galileo_sessions import ALWAYS, Col, Filter, FilterCheckError, all_of, any_of, dump_filter

ROUNDS = 30
LARGE = 1_000
SIZES = (1, 10, 100, LARGE)

TEXT = Col("input").contains("x")
COLUMNS = [TEXT, Col("metrics/toxicity").gt(0.5), Col.collection("tags").contains("vip"), Col.id("id").eq("x")]
ALLOWED = [Col("type").eq("llm"), Col("agent_type").one_of(["judge", "react"]), Col("check_stage").contains("p")]

FILTERS: dict[str, Filter] = {
    "one column": all_of([TEXT] * LARGE),
    "four columns": all_of(COLUMNS * (LARGE // 4)),
    "nested": all_of([~any_of(COLUMNS[:2])] * (LARGE // 2)),
    "allowed values": all_of(ALLOWED * (LARGE // 3)),
    "all wrong": all_of([Col("tags").contains("vip")] * LARGE),
    "all unknown": all_of([Col(f"inptu {i}").contains("x") for i in range(LARGE)]),
}


def fastest(rivals: dict[str, Callable[[], object]], number: int) -> dict[str, float]:
    """The best seconds of each, measured in turns so that a busy moment hits all alike."""
    timers = {name: timeit.Timer(rival) for name, rival in rivals.items()}
    rounds = [{name: timer.timeit(number) / number for name, timer in timers.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in rivals}


def refused(where: Filter) -> bool:
    """Whether the catalog says that a filter doesn't fit."""
    try:
        return CATALOG.check(where) is not where
    except FilterCheckError:
        return True


def typed(size: int) -> str:
    """Filters by columns that state their type."""
    text, number = Col.text("input"), Col.number("metrics/score")
    return json.dumps(dump_filter(all_of(text.contains(f"word {i}") if i % 2 else number.gt(i) for i in range(size))))


def inferred(size: int) -> str:
    """Filters by columns that infer it."""
    text, number = Col("input"), Col("metrics/score")
    return json.dumps(dump_filter(all_of(text.contains(f"word {i}") if i % 2 else number.gt(i) for i in range(size))))


def plain(size: int) -> str:
    """The same JSON from dicts that somebody writes by hand."""
    text = {"column_id": "input", "operator": "contains", "value": "", "case_sensitive": True, "type": "text"}
    number = {"column_id": "metrics/score", "operator": "gt", "value": 0, "type": "number"}
    values = [text | {"value": f"word {i}"} if i % 2 else number | {"value": i} for i in range(size)]
    leaves = [{"filter": leaf} for leaf in values]
    return json.dumps({"and": leaves} if size > 1 else leaves[0])


def grow() -> None:
    """&= in a loop up to the limit."""
    where, leaf = ALWAYS, Col("a").eq("x")
    for _ in range(10_000):
        where &= leaf


def import_seconds(module: str) -> float:
    """The time of an import in a fresh interpreter, measured inside it."""
    program = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print the table."""
    assert typed(1_000) == inferred(1_000) == plain(1_000)
    assert typed(1) == inferred(1) == plain(1)
    print("building and encoding    plain dicts      typed   ratio   inferred   ratio")
    for size in SIZES:
        rivals = {f.__name__: lambda f=f, size=size: f(size) for f in (plain, typed, inferred)}
        best = fastest(rivals, max(1, 500 // size))
        print(
            f"{size:>10,} leaves     {best['plain'] * 1e6:>10.1f} µs"
            f" {best['typed'] * 1e6:>8.1f} µs {best['typed'] / best['plain']:>6.2f}x"
            f" {best['inferred'] * 1e6:>8.1f} µs {best['inferred'] / best['plain']:>6.2f}x"
        )
    print(f"10,000 times &=          {min(timeit.repeat(grow, number=1, repeat=5)):.3f} s")
    modules = ("aiohttp", "galileo_sessions")
    rounds = [{module: import_seconds(module) for module in modules} for _ in range(10)]
    theirs, ours = [min(times[module] for times in rounds) for module in modules]
    print(f"import galileo_sessions  {ours:.3f} s, {ours / theirs:.2f}x of import aiohttp ({theirs:.3f} s)")
    print("1,000 leaves             dump       check   ratio")
    for name, where in FILTERS.items():
        rivals = {"dump": lambda where=where: dump_filter(where), "check": lambda where=where: refused(where)}
        best = fastest(rivals, number=3)
        times = f"{best['dump'] * 1e3:>8.2f} ms {best['check'] * 1e3:>8.2f} ms {best['check'] / best['dump']:>6.1f}x"
        print(f"{name:<18}{times}{'   (refused)' if refused(where) else ''}")


if __name__ == "__main__":
    main()
