"""
What the command line costs beside the library; run by hand: `python tests/bench/bench_cli.py [ROUNDS]`.

Both count the projects of one file, in a process of their own, against a server in another; the best of several rounds.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path

import frame
from support.clients import ids
from support.sockets import in_process

COMMAND = ["-m", "galileo_sessions", "count", "--format", "json", "--projects-from"]
PROGRAM = """
import asyncio, sys, time
from galileo_sessions import GalileoSessions

async def main():
    started = time.perf_counter()
    projects = open(sys.argv[1]).read().split()
    async with GalileoSessions() as galileo, galileo.count_many(projects) as stream:
        total = sum([result.unwrap() async for result in stream])
    print(total, time.perf_counter() - started)

asyncio.run(main())
"""


def run(command: list[str], path: Path) -> tuple[float, float, float, str]:
    """Seconds in all, seconds to the first line, MB of memory at the most, and the last line of stdout."""
    started, program = time.perf_counter(), [sys.executable, *command, path]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = deque([process.stdout.readline()], maxlen=1)
    first = time.perf_counter() - started
    lines.extend(process.stdout)
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - started, first, usage.ru_maxrss / 1024, lines[0]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, in_process() as url:
        os.environ.pop("PYTHONUNBUFFERED", None)  # as users have it
        os.environ |= {"GALILEO_API_URL": url, "GALILEO_API_KEY": "k"}
        peaks = {}
        for number in (1, 1_000, 10_000):
            path = Path(folder, str(number))
            path.write_text("\n".join(ids(number)))
            rivals = {"ours": partial(run, COMMAND, path), "theirs": partial(run, ["-c", PROGRAM], path)}
            ours, theirs = frame.in_turns(rivals, int((sys.argv[1:] or ["5"])[0])).values()
            wall, first, peaks[number] = (min(each[i] for each in ours) for i in range(3))
            whole, inner = min(each[0] for each in theirs), min(float(each[3].split()[1]) for each in theirs)
            print(f"{number:6,} projects: first line after {first:.2f} s, at most {peaks[number]:.1f} MB")
            print(f"    command line, with interpreter and imports  {wall:.2f} s")
            print(f"    library, with interpreter and imports       {whole:.2f} s, {wall / whole:.2f}x")
            print(f"    library, count_many alone                   {inner:.2f} s, {wall / inner:.2f}x")
        print(f"memory from 1,000 to 10,000 projects: {peaks[10_000] - peaks[1_000]:+.1f} MB")
