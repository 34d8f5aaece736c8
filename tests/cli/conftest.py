"""Fixtures for tests of the command line."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from cli.processes import Outcome, inside
from support.sockets import Behaviour, RawServer, raw_server
from support.terminal import Terminal


@pytest.fixture
def script(server):
    """Scripts the server's next answers: the status of a failure, a status with a body, or the body of a 200."""

    def answer_next(*answers: object) -> None:
        for answer in answers:
            if isinstance(answer, int):
                server.fail_next(answer)
            else:
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                server.fail_next(status, body=body)

    return answer_next


@pytest.fixture
def run(capfd, tmp_path):
    """Runs a command, written as for a shell, to its end in this process."""

    async def run_inside(command: str, stdin: str = "") -> Outcome:
        (file := tmp_path / "stdin").write_text(stdin, encoding="utf-8", newline="")
        with file.open() as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", stream)
            status = await asyncio.to_thread(inside, *shlex.split(command))
        return Outcome(status, *capfd.readouterr())

    return run_inside


@pytest.fixture
def serving(monkeypatch):
    """Starts a server that behaves in a way of its own; the environment names it."""

    @asynccontextmanager
    async def start(behave: Behaviour | bytes) -> AsyncIterator[RawServer]:
        async with raw_server(behave) as server:
            monkeypatch.setenv("GALILEO_API_URL", server.url)
            monkeypatch.setenv("GALILEO_API_KEY", "k")
            yield server

    return start


@pytest.fixture
def show(monkeypatch):
    """Runs a command on a terminal; returns its exit status and what it wrote."""
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "80"), ("LINES", "24")):
        monkeypatch.setenv(name, value)

    async def run(command: str, stdout=None, encoding=None) -> tuple[int, str]:
        terminal = Terminal()
        with open(terminal.follower, "w", encoding=encoding, closefd=False) as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout or stream)
            patch.setattr(sys, "stderr", stream)
            status = await asyncio.to_thread(inside, *shlex.split(command))
        return status, terminal.close()

    return run
