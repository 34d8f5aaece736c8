"""
What people see on a terminal 80 columns wide, beside recordings in tests/cli/snapshots.

`SNAPSHOTS=new python -m pytest tests/cli/test_terminal.py` records them anew.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from threading import Thread

import pytest
from support.processes import IDS, inside, objects, process

SNAPSHOTS = Path(__file__).parent / "snapshots"


def screen(written: str, width: int = 80) -> str:
    """What a terminal shows in the end; it knows the few sequences that are used here, and no others."""
    rows: list[str] = [""]
    row = column = 0
    for match in re.finditer(r"\x1b\[([0-9;?]*)([a-zA-Z])|(\r)|(\n)|([^\x1b\r\n])|([^\0])", written):
        number, order, back, down, letter, unknown = match.groups()
        assert unknown is None, f"what would a terminal do with {written[match.start() :][:20]!r}?"
        if back:
            column = 0
        elif down:
            row += 1
        elif order == "A":
            row -= int(number or 1)
        elif order == "K":
            assert number == "2"
            rows[row] = ""
        elif letter:
            if column == width:
                row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
            rows[row] = f"{rows[row]:{column}}"[:column] + letter + rows[row][column + 1 :]
            column += 1
        else:
            assert order == "m" or (number, order) in (("?25", "l"), ("?25", "h")), match[0]
        rows += [""] * (row + 1 - len(rows))
    return "\n".join(line.rstrip() for line in rows).rstrip() + "\n"


class Terminal:
    """A pseudo-terminal, and all that was written to it."""

    def __init__(self) -> None:
        self.leader, self.follower = os.openpty()
        self._written = bytearray()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self.leader, 65_536):
                self._written += chunk
        except OSError:  # Linux says so when nobody has it open any more
            pass

    def close(self) -> str:
        """Ends it, and tells what was written."""
        os.close(self.follower)
        self._reader.join(10)
        os.close(self.leader)
        return self._written.decode()


@pytest.fixture
def show(request, monkeypatch):
    """Runs a command on a terminal, here or as a process of its own; gives its exit status and what it wrote."""
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "80"), ("LINES", "24")):
        monkeypatch.setenv(name, value)

    async def run(*arguments: str, stdout=None) -> tuple[int, str]:
        terminal = Terminal()
        if getattr(request, "param", "") == "process":
            async with process(*arguments, stdout=stdout or terminal.follower, stderr=terminal.follower) as running:
                status = await running.wait()
        else:
            with open(terminal.follower, "w", closefd=False) as stream, pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "stdout", stdout or stream)
                patch.setattr(sys, "stderr", stream)
                status = await asyncio.to_thread(inside, *arguments)
        return status, terminal.close()

    return run


def check(name: str, written: str) -> None:
    """The final screen is the recorded one, but for the port; no line is wider than the terminal."""
    shown = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", screen(written))
    if os.environ.get("SNAPSHOTS") == "new":
        (SNAPSHOTS / name).write_text(shown, encoding="utf-8")
    assert shown == (SNAPSHOTS / name).read_text(encoding="utf-8")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_the_demo_on_a_terminal(show):
    """The demonstration, with a bar while it counts that is gone in the end."""
    status, written = await show()
    assert status == 0
    assert "12 of 12, " in written
    check("demo.txt", written)


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_counts_on_a_terminal(show, server):
    """Results above the bar, a failure with its reason below its row, the total last."""
    server.fail_next(200, body={"total_count": 1_234_567})
    server.fail_next(404, body={"detail": "There is no such project, or it has been deleted with all that was in it"})
    status, written = await show("count", *IDS[:4], "--concurrency", "1")
    assert status == 1
    assert "4 of 4, " in written
    assert " 1 failed, limit 1\r\n" in written
    check("count.txt", written)


async def test_columns_on_a_terminal(show, server):
    """A table that fits, in which nothing of an id is lost."""
    status, written = await show("columns", IDS[0])
    assert status == 0
    check("columns.txt", written)


async def test_a_bar_beside_results_in_a_file(show, server, tmp_path):
    """With stdout elsewhere, the terminal has the bar and the failures; of a file, nobody knows the end."""
    (tmp_path / "ids").write_text("\n".join(IDS))
    server.fail_next(404)
    with (tmp_path / "out").open("w") as out:
        status, written = await show("count", "--projects-from", str(tmp_path / "ids"), "--format", "json", stdout=out)
    assert status == 1
    assert len(objects((tmp_path / "out").read_text())) == 12
    assert re.search(r"\b12, [\d,]+ a second, 1 failed, limit", written)
    first, *_, last = screen(written).splitlines()
    assert ": 404 " in first
    assert last.startswith("11 counted, 1 failed, total ")


async def test_a_bar_while_the_service_accepts_nothing(show, server):
    """While the service refuses everything the bar says that it waits for it; then all is counted."""
    server.fail_next(503, times=30)
    status, written = await show("count", *IDS)
    assert status == 0
    assert ", 0 failed, waiting for the service\r" in written
    assert screen(written).splitlines()[-1].startswith("total ")
