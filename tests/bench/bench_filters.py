"""
What filters cost, beside what they replace: `python tests/bench/bench_filters.py`.

Both sides of each ratio are measured in the same run, in turns, and the best of each counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.timing import fastest

from galileo_sessions import ALWAYS, Col, all_of, dump_filter

SIZES = (1, 10, 100, 1_000)


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


if __name__ == "__main__":
    main()
