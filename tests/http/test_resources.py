"""Limits of the machine: file descriptors and memory."""

import asyncio
import contextlib
import gc
import json
import os
import resource
import socket
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from support.clients import Source, client
from support.clock import virtual_time
from support.sockets import PROJECT, Service, http, raw_server, serving

import galileo_sessions as gs
from galileo_sessions import Retry


async def run_program(program: str, *arguments: str) -> dict:
    """Runs a program, which must print nothing but JSON, and returns that."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-c", program, *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    return json.loads(out)


async def test_no_file_descriptor_left():
    """Without a free file descriptor the error says what to raise or to lower."""
    async with raw_server(http()) as server, client(server.url, retry=Retry(attempts=1)) as galileo:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
            with contextlib.suppress(OSError):
                for _ in range(1_000):
                    taken.append(socket.socket())  # noqa: PERF401  # those before the one that fails are kept
            with pytest.raises(gs.ConnectError, match=r"ulimit.*Limits"):
                await galileo.count(PROJECT)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in taken:
                one.close()


FEW_SOCKETS = """
import asyncio, json, resource, sys
from galileo_sessions import GalileoSessions, Limits

async def main(url, project):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with GalileoSessions("k", base_url=url, limits=Limits(initial=200, maximum=200)) as galileo:
        report = await galileo.count_all([project] * 400, concurrency=200)
    print(json.dumps({
        "good": sum(result.ok for result in report.results),
        "kinds": sorted({type(error).__name__ for error in report.errors}),
        "attempts": sum(len(result.attempts) for result in report.results),
    }))

asyncio.run(main(*sys.argv[1:]))
"""


class Slow(Service):
    """Takes 50 ms for each request, so that each needs a connection."""

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7, later."""
        asyncio.get_running_loop().call_later(0.05, answer, http())


async def test_64_file_descriptors_with_concurrency_200():
    """With too few file descriptors the width follows what is open: nothing is lost, and few attempts are in vain."""
    async with serving(Slow()) as service:
        told = await run_program(FEW_SOCKETS, service.url, PROJECT)
    assert told["kinds"] == []
    assert told["good"] == service.requests == 400
    assert told["attempts"] <= 2 * 400


class Tallying(Service):
    """Notes how often each project was requested."""

    def __init__(self, how_many: int) -> None:
        super().__init__()
        self.seen = bytearray(how_many)
        self.answers = http()

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Counts 7."""
        self.seen[int(request[36:54].replace(b"-", b""), 16)] += 1
        answer(self.answers)


def own_blocks() -> int:
    """How many blocks of memory are held that lines of this package have allocated, and no other code."""
    gc.collect()
    here = tracemalloc.Filter(True, str(Path(gs.__file__).parent / "*"))
    return len(tracemalloc.take_snapshot().filter_traces([here]).traces)


@virtual_time
async def test_a_stream_holds_none_of_what_it_has_given():
    """While counts go by, no memory piles up: not a block for two of them. Each index and request comes once."""
    blocks = []
    tracemalloc.start()
    try:
        for how_many in (1_000, 3_000):
            seen = bytearray(how_many)
            source = Source(str(UUID(int=number)) for number in range(how_many))
            async with serving(Tallying(how_many)) as service, client(service.url) as galileo:
                async with galileo.count_many(source) as stream:
                    async for result in stream:
                        assert source.pulled - stream.progress.done <= 600
                        assert (result.unwrap(), UUID(result.query.project_id).int) == (7, result.index)
                        seen[result.index] += 1
                        if sum(seen) == how_many:  # and none is under way
                            blocks.append(own_blocks())
            assert seen == service.seen == b"\1" * how_many
    finally:
        tracemalloc.stop()
    assert blocks[1] - blocks[0] < 1_000  # 2,000 counts more
