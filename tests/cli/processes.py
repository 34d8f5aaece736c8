"""The command line, run as a process of its own or inside this one, where coverage sees it."""

import asyncio
import json
import os
import runpy
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import NamedTuple
from uuid import UUID

import pytest
from support.sockets import PROJECT, http

from galileo_sessions import __main__ as program

COMMAND = (sys.executable, "-W", "error", "-m", "galileo_sessions")
MANY = [str(UUID(int=UUID(PROJECT).int + number)) for number in range(3_000)]
WHERE = 'Col("score") > 3'


class Outcome(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str


@asynccontextmanager
async def process(*arguments: str, command=COMMAND, **options) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs, with pipes unless told otherwise; whatever happens, it ends with the block."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as users have it
    pipes = {"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    running = await asyncio.create_subprocess_exec(*command, *arguments, env=environment, **pipes | options)
    try:
        async with asyncio.timeout(60):
            yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def outcome(*arguments: str, stdin: str = "", **options) -> Outcome:
    """What a command leaves as a process of its own."""
    async with process(*arguments, stdin=asyncio.subprocess.PIPE, **options) as running:
        out, err = await running.communicate(stdin.encode())
        return Outcome(running.returncode, out.decode(), err.decode())


def inside(*arguments: str) -> int:
    """The exit status of a command that runs in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["galileo-sessions", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(program.__file__, run_name="__main__")
    return ended.value.code or 0


@contextmanager
def piped(text: str) -> Iterator[None]:
    """Makes this process's stdin a pipe that holds a text."""
    kept, (read, write) = os.dup(0), os.pipe()
    os.write(write, text.encode())
    os.close(write)
    os.dup2(read, 0)
    os.close(read)
    try:
        with open(0, closefd=False) as stdin, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@contextmanager
def beside(context) -> Iterator:
    """What an async context manager gives, its event loop in a thread, so that the main thread is free."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def wait(condition: Callable[[], object]) -> bool:
    """Waits for a condition in a thread, for at most thirty seconds; returns whether it came true."""
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def interrupt_when(condition: Callable[[], object]) -> Thread:
    """A thread that presses Ctrl-C once the condition is true."""
    thread = Thread(target=lambda: wait(condition) and os.kill(os.getpid(), signal.SIGINT))
    thread.start()
    return thread


def objects(out: str) -> list[dict]:
    """JSON lines, read."""
    return [json.loads(line) for line in out.splitlines()]


def slow_after(number: int):
    """Answers so many requests, and leaves the others waiting."""

    async def behave(index, writer):
        if index <= number:
            writer.write(http(body='{"total_count":100}'))
        else:
            await asyncio.sleep(60)

    return behave
