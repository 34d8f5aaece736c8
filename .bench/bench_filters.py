"""What filters, their check and the import cost, beside plain dicts, `dump_filter` and the import of aiohttp."""

import json
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import harness

from galileo_sessions import Col, Filter, FilterCheckError, all_of, any_of, dump_filter, load_catalog

EXAMPLE = Path(__file__).parents[1] / "tests" / "support" / "available_columns.json"
CATALOG = load_catalog(json.loads(EXAMPLE.read_text(encoding="utf-8")))
LARGE = 1_000
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
IMPORT = "import sys, time; began = time.perf_counter(); __import__(sys.argv[1]); print(time.perf_counter() - began)"


def best(number: int, *rivals: Callable[[], object]) -> list[float]:
    """The best seconds of each, called so many times in a row."""
    timers = {str(i): partial(timeit.Timer(rival).timeit, number) for i, rival in enumerate(rivals)}
    return [min(times) / number for times in harness.in_turns(timers, 30).values()]


def refused(where: Filter) -> bool:
    """Whether the catalog says that a filter doesn't fit."""
    try:
        return CATALOG.check(where) is not where
    except FilterCheckError:
        return True


def built(text: Col, number: Col, size: int) -> str:
    """The JSON of a filter that is built from these columns."""
    return json.dumps(dump_filter(all_of(text.contains(f"word {i}") if i % 2 else number.gt(i) for i in range(size))))


typed = partial(built, Col.text("input"), Col.number("metrics/score"))
inferred = partial(built, Col("input"), Col("metrics/score"))


def plain(size: int) -> str:
    """The same JSON from dicts that somebody writes by hand."""
    text = {"column_id": "input", "operator": "contains", "value": "", "case_sensitive": True, "type": "text"}
    number = {"column_id": "metrics/score", "operator": "gt", "value": 0, "type": "number"}
    values = [text | {"value": f"word {i}"} if i % 2 else number | {"value": i} for i in range(size)]
    leaves = [{"filter": leaf} for leaf in values]
    return json.dumps({"and": leaves} if size > 1 else leaves[0])


if __name__ == "__main__":
    for size in (1, LARGE):
        assert typed(size) == inferred(size) == plain(size)
    print("building and encoding    plain dicts      typed   ratio   inferred   ratio")
    for size in (1, 10, 100, LARGE):
        other, *ours = best(max(1, 500 // size), *(partial(way, size) for way in (plain, typed, inferred)))
        cells = [f" {seconds * 1e6:>8.1f} µs {seconds / other:>6.2f}x" for seconds in ours]
        print(f"{size:>10,} leaves     {other * 1e6:>10.1f} µs{''.join(cells)}")
    imports = {name: partial(harness.printed, "-c", IMPORT, name) for name in ("aiohttp", "galileo_sessions")}
    theirs, ours = (min(map(float, times)) for times in harness.in_turns(imports, 20).values())
    print(f"import galileo_sessions  {ours:.3f} s, {ours / theirs:.2f}x of import aiohttp ({theirs:.3f} s)")
    print("1,000 leaves             dump       check   ratio")
    for name, where in FILTERS.items():
        dump, check = best(3, partial(dump_filter, where), partial(refused, where))
        times = f"{dump * 1e3:>8.2f} ms {check * 1e3:>8.2f} ms {check / dump:>6.1f}x"
        print(f"{name:<18}{times}{'   (refused)' if refused(where) else ''}")
