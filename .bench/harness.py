"""
What the benchmarks share: programs that are run, turns, and tables as Markdown.

Each program here imports this module first. So it finds the simulated network of the tests, `tests/support`; no test
imports a module of this folder.
"""

import argparse
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
logging.getLogger("galileo_sessions").setLevel(logging.ERROR)  # simulated outages are no news


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark, with its docstring as their help."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def printed(*program: object) -> str:
    """What a Python program prints, in a process of its own."""
    return subprocess.run([sys.executable, *map(str, program)], capture_output=True, check=True, text=True).stdout


def in_turns(rivals: dict[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each rival returns in each round, so that a busy moment hits all alike, and none always follows another."""
    found: dict[str, list[T]] = {name: [] for name in rivals}
    turns = list(rivals.items())
    for _ in range(rounds):
        for name, measure in turns:
            found[name].append(measure())
        turns.reverse()
    return found


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as plain text that a page of the documentation can hold."""
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def write(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the comments `<!-- name -->` and `<!-- end of name -->` of a page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    assert closed, f"{page} needs the comments {begin.strip()} and {end}"
    _ = page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")
