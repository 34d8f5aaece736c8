"""Project ids from a file or a pipe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import BinaryIO, TypeVar

from galileo_sessions.cli.options import Refused
from galileo_sessions.client.query import CountQuery

T = TypeVar("T")

_CHUNK = 65_536  # bytes


def read_projects(file: BinaryIO) -> list[str] | AsyncIterator[str]:
    """
    The project ids, one per line, each of them once; a # begins a comment.

    Returns:
        A list for a file; for a pipe, an iterator that reads it as the ids are needed.

    Raises:
        Refused: if a line isn't a project id.
    """
    seen: set[str] = set()

    def new(number: int, line: bytes) -> Iterator[str]:
        try:
            written = line.decode("utf-8-sig").partition("#")[0].strip()
            project = written and CountQuery(written).project_id
        except ValueError as error:
            raise Refused(f"{file.name}, line {number}: {error}") from None
        if project and project not in seen:
            seen.add(project)
            yield project

    if file.seekable():
        return [project for number, line in enumerate(file, 1) for project in new(number, line)]
    return _read_pipe(file, new)


async def _read_pipe(pipe: BinaryIO, ids: Callable[[int, bytes], Iterator[str]]) -> AsyncIterator[str]:
    number, rest = 0, b""
    while chunk := await _in_thread(partial(os.read, pipe.fileno(), _CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            for project in ids(number, line):
                yield project
    for project in ids(number + 1, rest):
        yield project


def _in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Like `asyncio.to_thread`, but Ctrl-C doesn't wait for the thread, which can be blocked by a silent pipe."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(call())
        except OSError as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)
