"""
What checking a filter against a catalog costs, beside dumping it: `python tests/bench/bench_catalog.py`.

The goal is 5 times `dump_filter` at most, for a filter of 1,000 leaves that fits; both are measured in turns.
What is refused takes longer, since each leaf gets its explanation.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.catalogs import CATALOG
from support.timing import fastest

from galileo_sessions import Col, Filter, FilterCheckError, all_of, any_of, dump_filter

SIZE = 1_000

TEXT = Col("input").contains("x")
COLUMNS = [TEXT, Col("metrics/toxicity").gt(0.5), Col.collection("tags").contains("vip"), Col.id("id").eq("x")]
ALLOWED = [Col("type").eq("llm"), Col("agent_type").one_of(["judge", "react"]), Col("check_stage").contains("p")]

FILTERS: dict[str, Filter] = {
    "one column": all_of([TEXT] * SIZE),
    "four columns": all_of(COLUMNS * (SIZE // 4)),
    "nested": all_of([~any_of(COLUMNS[:2])] * (SIZE // 2)),
    "allowed values": all_of(ALLOWED * (SIZE // 3)),
    "all wrong": all_of([Col("tags").contains("vip")] * SIZE),
    "all unknown": all_of([Col(f"inptu {i}").contains("x") for i in range(SIZE)]),
}


def refused(where: Filter) -> bool:
    """Whether the catalog says that a filter doesn't fit."""
    try:
        return CATALOG.check(where) is not where
    except FilterCheckError:
        return True


def main() -> None:
    """Print the table."""
    print(f"{SIZE:,} leaves             dump       check   ratio")
    for name, where in FILTERS.items():
        rivals = {"dump": lambda where=where: dump_filter(where), "check": lambda where=where: refused(where)}
        best = fastest(rivals, number=3)
        times = f"{best['dump'] * 1e3:>8.2f} ms {best['check'] * 1e3:>8.2f} ms {best['check'] / best['dump']:>6.1f}x"
        print(f"{name:<18}{times}{'   (refused)' if refused(where) else ''}")


if __name__ == "__main__":
    main()
