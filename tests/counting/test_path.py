"""How short the path of one count through the files of the package is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from support.clients import client
from support.servers import PROJECT, http, raw_server

import galileo_sessions
from galileo_sessions import Col

PACKAGE = Path(galileo_sessions.__file__).parent


class Steps:
    """The files that are entered, and how often one file calls into another. The controllers of `flow` are one."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.calls = 0
        self._entered: set[FrameType] = set()

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """Notes a call, unless it resumes a coroutine; a profile function."""
        place = place_of(frame)
        if event != "call" or place is None or frame in self._entered:
            return
        self._entered.add(frame)
        self.files.add(place)
        caller = frame.f_back
        while caller is not None and place_of(caller) is None:
            caller = caller.f_back
        self.calls += caller is not None and place_of(caller) != place


def place_of(frame: FrameType) -> str | None:
    """The file of a frame in the package, `flow` for its controllers, and None for other code."""
    file = Path(frame.f_code.co_filename)
    if not file.is_relative_to(PACKAGE):
        return None
    return "flow" if file.parent.name == "flow" else file.stem


@contextmanager
def noted() -> Iterator[Steps]:
    """Notes the steps of what runs in the block."""
    steps, before = Steps(), sys.getprofile()
    sys.setprofile(steps.note)
    try:
        yield steps
    finally:
        sys.setprofile(before)


async def test_a_warm_count_takes_a_short_path() -> None:
    """It enters nine files, and each call into another file leads closer to the network or back with the answer."""
    where = Col("input").contains("x")
    async with raw_server(http()) as server, client(server.url) as galileo:
        for _ in range(3):
            await galileo.count(PROJECT, where)
        with noted() as steps:
            assert await galileo.count(PROJECT, where) == 7
    path = {"client", "query", "request", "flow", "auth", "transport", "secret", "responses"}
    assert steps.files == path | {"policy"}
    assert steps.calls <= 10, "a call and its return are two passages from one file to another"
