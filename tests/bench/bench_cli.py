"""
What the command line costs beside the library; run by hand: `python tests/bench/bench_cli.py`.

Both count the 10,000 projects of a file, in a process of their own, against a server in another, with the interpreter
and all imports; the best of five rounds counts.
"""

import os
import tempfile
import time
from functools import partial

import frame
from support.clients import ids
from support.sockets import in_process

COMMAND = ["-m", "galileo_sessions", "count", "--format", "json", "--projects-from"]
PROGRAM = """
import asyncio, sys
from galileo_sessions import GalileoSessions

async def main():
    projects = open(sys.argv[1]).read().split()
    async with GalileoSessions() as galileo, galileo.count_many(projects) as stream:
        total = sum([result.unwrap() async for result in stream])
    print(total)

asyncio.run(main())
"""


def seconds(*program: object) -> float:
    """Seconds of a Python program's process."""
    started = time.perf_counter()
    frame.printed(*program)
    return time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w") as file, in_process() as url:
        file.write("\n".join(ids(10_000)))
        file.flush()
        os.environ.pop("PYTHONUNBUFFERED", None)  # as users have it
        os.environ |= {"GALILEO_API_URL": url, "GALILEO_API_KEY": "k"}
        programs = {"command line": COMMAND, "library": ["-c", PROGRAM]}
        rivals = {name: partial(seconds, *program, file.name) for name, program in programs.items()}
        for name, times in frame.in_turns(rivals, 5).items():
            print(f"{name:<12}  {min(times):.2f} s")
