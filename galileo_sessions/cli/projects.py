"""Project ids from a file or a pipe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import BinaryIO, TypeVar

from galileo_sessions.cli.failures import Refused
from galileo_sessions.client.query import CountQuery

T = TypeVar("T")

_CHUNK = 65_536  # bytes


def read_projects(file: BinaryIO, templates: Sequence[CountQuery]) -> list[CountQuery] | AsyncIterator[CountQuery]:
    """
    The templates' queries for each project id, one per line; a # begins a comment.

    Returns:
        A list for a file; for a pipe, an iterator that reads it as the queries are needed.

    Raises:
        Refused: if a line isn't a project id.
    """

    def queries(number: int, line: bytes) -> list[CountQuery]:
        try:
            project = line.decode("utf-8-sig").partition("#")[0].strip()
            return [template.for_project(project) for template in templates if project]
        except ValueError as error:
            raise Refused(f"{file.name}, line {number}: {error}") from None

    if file.seekable():
        return [query for number, line in enumerate(file, 1) for query in queries(number, line)]
    return _read_pipe(file, queries)


async def _read_pipe(pipe: BinaryIO, queries: Callable[[int, bytes], list[CountQuery]]) -> AsyncIterator[CountQuery]:
    number, rest = 0, b""
    while chunk := await _in_thread(partial(os.read, pipe.fileno(), _CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            for query in queries(number, line):
                yield query
    for query in queries(number + 1, rest):
        yield query


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
