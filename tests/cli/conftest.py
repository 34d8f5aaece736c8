"""Fixtures for tests of the command line."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.processes import Outcome, inside, outcome, stdin_holding

from galileo_sessions.local import LocalGalileo

Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def server(local_galileo: LocalGalileo) -> LocalGalileo:
    """A server that holds the sample; the environment names it."""
    return local_galileo


@pytest.fixture
def run(capfd, tmp_path) -> Run:
    """Runs a command to its end in this process."""

    async def run_inside(*arguments: str, stdin: str = "") -> Outcome:
        with stdin_holding(stdin, tmp_path):
            status = await asyncio.to_thread(inside, *arguments)
        return Outcome(status, *capfd.readouterr())

    return run_inside


@pytest.fixture(params=["process", "inside"])
def run_both(request, run) -> Run:
    """Runs a command to its end, once as a process of its own and once in this one."""
    return outcome if request.param == "process" else run


@pytest.fixture
def _key(monkeypatch):
    monkeypatch.setenv("GALILEO_API_KEY", "k")
