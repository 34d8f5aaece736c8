"""
How long `import galileo_sessions` takes, next to `import aiohttp`; run by hand: `python tests/bench/bench_import.py`.

Each import is the first of a new process. Modules are compiled beforehand, as pip leaves them. Medians of all rounds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from statistics import median

MODULES = ("aiohttp", "galileo_sessions")
PROGRAM = """
import sys, time
started = time.perf_counter()
__import__(sys.argv[1])
print(time.perf_counter() - started)
"""


def seconds(module: str, compiled: str) -> float:
    """Seconds for the import of a module by a new process, which keeps what it compiles in a folder."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
    command = [sys.executable, "-c", PROGRAM, module]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    times = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as compiled:
        for number in range(rounds + 1):
            for module in MODULES:
                elapsed = seconds(module, compiled)
                if number:  # the first round compiles
                    times[module].append(elapsed)
    theirs, ours = (median(times[module]) for module in MODULES)
    print(f"import aiohttp           {theirs * 1000:5.0f} ms")
    print(f"import galileo_sessions  {ours * 1000:5.0f} ms, {ours / theirs:.2f}x")


if __name__ == "__main__":
    main()
