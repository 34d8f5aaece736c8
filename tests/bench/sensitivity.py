"""
What each number in the flow control and the retries is good for: it is halved and doubled, and random services show.

`python tests/bench/sensitivity.py 1 2` finds all numbers but 0, 1 and 2 in the code of flow, policy and request.
For each it patches a copy of the package, and counts at the services of `bench_random.py`, drawn from the same seeds.
Numbers between 0.5 and 2 are shares and factors: their distance from 1 is halved and doubled. The table compares times,
requests and losses with those of the unchanged code. In it, `=` means that nothing has changed, and the last column
says at how many services something has.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cattrs
import frame
from bench.constants import Constant, constants_of
from bench_random import Run, figures

PACKAGE = frame.ROOT / "galileo_sessions"
PATIENCE = 5  # times as long as the unchanged code may a variant run, in seconds of the wall's


def run(package: Path, given: argparse.Namespace, seconds: float | None = None) -> list[Run] | str:
    """The runs with the package in a folder, in a process of their own; or why there are none."""
    program = [frame.ROOT / "tests/bench/bench_random.py", *given.seeds, "--number", given.number]
    environment = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        found = frame.printed(*program, "--alone", "--json", "--processes", 1, seconds=seconds, **environment)
    except subprocess.TimeoutExpired:
        return f"not over in {seconds:.0f} s"
    except subprocess.CalledProcessError as error:
        return next(line for line in reversed(error.stderr.splitlines()) if "Error" in line)
    return cattrs.structure(json.loads(found), list[Run])


def run_variant(constant: Constant, value: float, given: argparse.Namespace, seconds: float) -> list[Run] | str:
    """The same with a copy of the package in which a constant has another value."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(shutil.copytree(PACKAGE, Path(folder, PACKAGE.name), ignore=shutil.ignore_patterns("*.pyc")))
        source = (package / constant.file).read_text(encoding="utf-8")
        (package / constant.file).write_text(constant.replaced(source, value), encoding="utf-8")
        return run(package, given, seconds)


FIGURES = ("mean", "p90", "p97", "requests p90", "lossy")
HEAD = ("constant", "value", "tried", "mean time", "p90", "p97", "requests p90", "services with a loss", "changed")


def row(constant: Constant, value: float, found: list[Run] | str, unchanged: Sequence[Run]) -> list[str]:
    """What is different with another value: the losses by how many, all else in percent."""
    cells = [f"{constant.code} ({constant.file}:{constant.line})", f"{constant.value:g}", f"{value:g}"]
    if isinstance(found, str):
        return [*cells, found, *[""] * (len(HEAD) - 4)]
    old, new = figures(unchanged), figures(found)
    for name in FIGURES:
        change = f"{new[name] - old[name]:+.0f}" if name == "lossy" else f"{100 * (new[name] / old[name] - 1):+.1f} %"
        cells.append("=" if old[name] == new[name] else change)
    changed = sum(before != now for before, now in zip(unchanged, found, strict=True))
    return [*cells, f"{changed or '='}"]


def main() -> None:
    parser = frame.parser(__doc__)
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED", help="without one, the constants are only listed")
    parser.add_argument("--number", type=int, default=204, help="services of each seed")
    parser.add_argument("--only", default="", metavar="TEXT", help="constants with this in their line or file")
    given = parser.parse_args()
    constants = constants_of(PACKAGE)
    print(f"{len(constants)} constants")
    for one in constants:
        print(f"  {one.file}:{one.line}  {one.value:g}  {one.code}")
    if not given.seeds:
        return
    tried = [one for one in constants if given.only in f"{one.file} {one.code}"]
    variants = [(one, value) for one in tried for value in one.halved_and_doubled()]
    began, unchanged = time.monotonic(), run(PACKAGE, given)
    if isinstance(unchanged, str):
        raise SystemExit(f"The unchanged code: {unchanged}")
    patience = PATIENCE * (time.monotonic() - began)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda variant: run_variant(*variant, given, patience), variants))
    rows = [row(*variant, runs, unchanged) for variant, runs in zip(variants, found, strict=True)]
    known = figures(unchanged)
    before = ["unchanged", "", "", *(f"{known[name]:.3g}" for name in FIGURES), f"of {len(unchanged)}"]
    print(f"\n{frame.markdown(HEAD, [before, *rows])}")


if __name__ == "__main__":
    main()
