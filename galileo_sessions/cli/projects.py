"""Project ids from a file or a pipe, read as they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from io import FileIO
from threading import Thread
from typing import TypeVar

import click

from galileo_sessions.client.query import CountQuery
from galileo_sessions.errors import ConfigurationError

T = TypeVar("T")

_CHUNK = 65_536  # bytes; no line is longer


async def queries(path: str, template: CountQuery) -> AsyncIterator[CountQuery]:
    """
    The template's query for each project of a file, which has one id a line.

    Empty lines are skipped, and lines that begin with #.

    Args:
        path: The file, or `-` for stdin.
        template: The query, with any project id.

    Raises:
        click.UsageError: naming the line that isn't a project id, or the reason why the file can't be read.
    """
    name = "stdin" if path == "-" else path
    number, rest, chunk = 0, b"", b"..."
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
                    text = line.decode("utf-8-sig", "replace").strip()
                    if text and not text.startswith("#"):
                        yield template.for_project(text)
    except ConfigurationError as error:
        raise click.UsageError(f"{name}, line {number}: {error}") from None
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from None


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
