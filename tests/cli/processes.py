"""The command line, run as a process of its own or inside this one, where coverage sees it."""

import asyncio
import json
import os
import re
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

import pytest
from support.sockets import PROJECT, http

from galileo_sessions import __main__ as program

COMMAND = (sys.executable, "-W", "error", "-m", "galileo_sessions")
MANY = [str(UUID(int=UUID(PROJECT).int + number)) for number in range(20)]
USAGE = "Usage: ...\nTry ...\n\nError: "
"""How an error begins if click shows the usage."""


class Outcome(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str


class Like(str):
    """Text in which `...` stands for any part of a line."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        pattern = re.escape(self).replace(r"\.\.\.", ".*")
        return isinstance(other, str) and re.fullmatch(pattern, other) is not None


def leaves(status: int = 0, err: str = "", out: str = "") -> Outcome:
    """What a command is to leave; in its lines, whose last line break isn't given, `...` stands for any text."""
    return Outcome(status, *[Like(text and f"{text}\n") for text in (out, err)])


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


def inside(*arguments: str, path: str = program.__file__, name: str = "galileo-sessions") -> int | str:
    """The exit status of a program that runs in this process, by default of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0
    return 0


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
