"""Project ids from a file or a pipe, read as they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from io import FileIO
from pathlib import Path
from threading import Thread
from typing import TypeVar

from attrs import frozen

from galileo_sessions.cli.failures import Refused
from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import ConfigurationError

T = TypeVar("T")

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CHUNK = 65_536  # bytes; no line is longer


@frozen
class KnownNumber:
    """Queries whose number is known before they are pulled."""

    source: AsyncIterator[CountQuery]
    number: int

    def __aiter__(self) -> AsyncIterator[CountQuery]:
        return self.source

    def __len__(self) -> int:
        return self.number


def count_ids(path: str) -> int | None:
    """How many project ids a file has; None if it can be read only once, as a pipe, or not at all."""
    if path == "-" or not Path(path).is_file():
        return None
    try:
        with Path(path).open("rb") as file:
            return sum([bool(_project_of(line)) for line in iter(partial(file.readline, _CHUNK), b"")])
    except OSError:  # who reads the projects will meet it again
        return None


def _project_of(line: bytes) -> str:
    """What stands in a line before a comment."""
    return line.decode("utf-8-sig", "replace").partition("#")[0].strip()


async def queries(path: str, templates: Sequence[CountQuery]) -> AsyncIterator[CountQuery]:
    """
    The templates' queries for each project of a file, which has one id a line.

    Empty lines are skipped, and what follows a #.

    Args:
        path: The file, or `-` for stdin.
        templates: The queries, with any project id.

    Raises:
        Refused: naming the line that isn't a project id, or the reason why the file can't be read.
    """
    name = "stdin" if path == "-" else path
    number, rest, chunk = 0, b"", b"..."
    empty = True
    try:
        with await _in_thread(partial(_open, path)) as file:
            next_chunk = _in_thread(partial(file.read, _CHUNK))
            while chunk:
                chunk = await next_chunk
                if chunk:  # read ahead: workers that once wait here would go on one after the other
                    next_chunk = _in_thread(partial(file.read, _CHUNK))
                *lines, rest = (rest + chunk).split(b"\n")
                if not chunk or len(rest) > _CHUNK:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    number += 1
                    if number == 1 and line.startswith(_UTF_16):
                        raise Refused(f"{name} is UTF-16. Save it as UTF-8")
                    if project := _project_of(line):
                        empty = False
                        for template in templates:
                            yield template.for_project(project)
    except ConfigurationError as error:
        raise Refused(f"{name}, line {number}: {error}") from None
    except OSError as error:
        raise Refused(f"{name}: {error.strerror}") from None
    if empty:
        raise Refused(f"{name} has no project id")


def _open(path: str) -> FileIO:
    return FileIO(0, closefd=False) if path == "-" else FileIO(path)


def _in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """The result of a call that may block on a pipe; after Ctrl-C, `asyncio.to_thread` would still wait for it."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001  # the loop raises it
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)
