"""How a command ends: by Ctrl-C, because its reader left, or because nothing more can be written."""

import asyncio
import os
import signal
import sys
from time import sleep

import pytest
from cli.processes import MANY, WHERE, beside, inside, interrupt_when, objects, process, slow_after
from support.clients import IDS
from support.sockets import raw_server, until

BY_DAY = ("--by", "created_at:day", "--since", "2026-06-01", "--until", "2026-06-02")


@pytest.mark.parametrize(("by", "answered"), [((), 7), (BY_DAY, 12 + 7)], ids=["whole", "by day"])
def test_ctrl_c_writes_what_was_counted(monkeypatch, tmp_path, capfd, by, answered):
    """SIGINT ends it with 130, the rows so far and the total; no traceback. With --by, projects are complete."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    rows = tmp_path / "rows"
    with beside(raw_server(slow_after(answered))) as server, rows.open("w") as out:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setattr(sys, "stdout", out)
        presser = interrupt_when(lambda: len(server.requests) > answered and not sleep(0.2))
        assert inside("count", *MANY[:12], *by, "--format", "json", "--concurrency", "1") == 130
        presser.join()
    assert [row["total_count"] for row in objects(rows.read_text())] == [100] * 7
    assert capfd.readouterr().err == "interrupted; 7 of 12 projects counted, 700 sessions\n"


async def test_ctrl_c_ends_a_process(serving):
    """As a process of its own, too."""
    async with serving(slow_after(1)) as server:
        async with process("count", *MANY[:2], "--format", "csv", "--concurrency", "1") as running:
            await until(lambda: len(server.requests) == 2)
            await asyncio.sleep(0.2)  # until the first result has been taken
            running.send_signal(signal.SIGINT)
            out, err = await running.communicate()
    assert (running.returncode, out.splitlines()[1:]) == (130, [f"{MANY[0]},100,".encode()])
    assert err == b"interrupted; 1 of 2 projects counted, 100 sessions\n"


async def test_a_reader_may_have_left_before(server):
    """A command reports no error if its pipe is closed."""
    read, write = os.pipe()
    os.close(read)
    async with process("count", IDS[0], stdout=write) as running:
        os.close(write)
        assert (await running.stderr.read(), await running.wait()) == (b"", 141)


@pytest.mark.parametrize("arguments", [["explain", "--where", WHERE], ["count", IDS[0]]], ids=lambda a: a[0])
async def test_a_full_disk_is_a_message(server, show, arguments):
    """What can't be written is an error of the system, and ends with status 1."""
    with open("/dev/full", "w") as full:
        status, written = await show(*arguments, stdout=full)
    assert (status, "Error: No space left on device" in written) == (1, True)
    assert "Traceback" not in written


@pytest.mark.parametrize(
    ("closed", "command", "status"), [("<&- >&- 2>&-", "count $ID", 0), (">/dev/full", "--help", 1)]
)
async def test_a_closed_stream_is_no_traceback(server, closed, command, status):
    """Without stdin, stdout or stderr, it counts all the same, or says in one line what it can't do."""
    shell = f'ID={IDS[0]}; "{sys.executable}" -m galileo_sessions {command} {closed}'
    async with process("-c", shell, command=("sh",)) as running:
        out, err = await running.communicate()
        assert running.returncode == status
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    assert (b"312" in out) == (status == 0 and ">&-" not in closed.split())
    assert err.count(b"\n") <= 2


def test_closed_streams_inside(server, monkeypatch, capfd):
    """A stream that is closed is replaced by one that leads nowhere, and not by a socket."""
    for name in ("stdin", "stdout", "stderr"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, None)
            assert inside("explain", "--where", WHERE) == 0
            getattr(sys, name).close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", None)
        assert inside("count", "--projects-from", "-") == 2
        sys.stdin.close()
    assert capfd.readouterr().err.endswith(" has no project\n")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert inside("--help") == 1
    assert capfd.readouterr().err == "Error: No space left on device\n"
