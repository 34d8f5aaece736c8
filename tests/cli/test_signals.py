"""How a command ends: by Ctrl-C, because its reader left, or because nothing more can be written."""

import asyncio
import json
import os
import signal
import sys
import time
from threading import Thread

import pytest
from support.processes import IDS, MANY, WHERE, beside, inside, interrupt_when, objects, process, slow_after, wait
from support.servers import PROJECT, http, raw_server, until


def test_ctrl_c_tells_what_was_counted(monkeypatch, tmp_path, capfd):
    """SIGINT ends it with 130 and the total so far; no traceback, no warning."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    rows = tmp_path / "rows"
    with beside(raw_server(slow_after(12))) as server, rows.open("w") as out:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setattr(sys, "stdout", out)
        presser = interrupt_when(lambda: rows.read_text().count("\n") == 12)
        assert inside("count", *MANY[:40], "--format", "json", "--concurrency", "1") == 130
        presser.join()
    assert [row["total_count"] for row in objects(rows.read_text())] == [100] * 12
    assert capfd.readouterr().err == "interrupted; 12 of 40 projects counted, 1,200 sessions\n"


@pytest.mark.usefixtures("_key")
async def test_ctrl_c_waits_for_no_pipe(monkeypatch):
    """A silent stdin doesn't keep the program alive."""
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        async with process("count", "--projects-from", "-", "--format", "json", stdin=-1) as running:
            running.stdin.write(f"{PROJECT}\n".encode())
            assert json.loads(await running.stdout.readline())["total_count"] == 7
            running.send_signal(signal.SIGINT)
            assert await running.stderr.read() == b"interrupted; 1 project counted, 7 sessions\n"
            assert await running.wait() == 130


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("interrupted", [False, True])
async def test_a_reader_who_waits_stops_no_request(monkeypatch, tmp_path, interrupted):
    """Counting goes on while nobody reads, for a thousand lines; then everything is there. A second Ctrl-C ends it."""
    (tmp_path / "ids").write_text("\n".join(MANY))
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        read, write = os.pipe()
        arguments = ("count", "--projects-from", str(tmp_path / "ids"), "--format", "json")
        async with process(*arguments, stdout=write) as running:
            os.close(write)
            await until(lambda: len(server.requests) > 1_500)
            seen = 0
            while seen < len(server.requests):
                seen = len(server.requests)
                await asyncio.sleep(0.3)
            assert seen < len(MANY)
            if interrupted:
                running.send_signal(signal.SIGINT)
                await asyncio.sleep(1)
                running.send_signal(signal.SIGINT)
                assert await running.wait() == 130
                assert (await running.stderr.read()).startswith(b"interrupted; ")
            with open(read, encoding="utf-8") as file:
                rows = await asyncio.to_thread(file.read)
            if not interrupted:
                assert sorted(row["project_id"] for row in objects(rows)) == sorted(MANY)
                assert await running.wait() == 0


@pytest.mark.parametrize("arguments", [["explain", "--where", WHERE], ["count", IDS[0]]], ids=lambda a: a[0])
async def test_a_reader_may_have_left_before(server, arguments):
    """No command reports an error if its pipe is closed."""
    read, write = os.pipe()
    os.close(read)
    async with process(*arguments, stdout=write) as running:
        os.close(write)
        assert (await running.stderr.read(), await running.wait()) == (b"", 141)


def test_a_reader_may_leave_inside(monkeypatch, tmp_path):
    """A reader that takes nothing for a while and then leaves ends the command in silence."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    read, write = os.pipe()
    with beside(raw_server(http())) as server, open(write, "w") as out, (tmp_path / "err").open("w") as err:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr("galileo_sessions.cli.screen._MAX_WAITING", 10)
        leaver = Thread(target=lambda: (wait(lambda: len(server.requests) > 800), time.sleep(0.2), os.close(read)))
        leaver.start()
        assert inside("count", *MANY, "--format", "json") == 141
        leaver.join()
        assert len(server.requests) < 1_500
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.parametrize("arguments", [["explain", "--where", WHERE], ["count", IDS[0]]], ids=lambda a: a[0])
async def test_a_full_disk_is_a_message(server, show, arguments):
    """What can't be written is an error of the system, and ends with status 1."""
    with open("/dev/full", "w") as full:
        status, written = await show(*arguments, stdout=full)
    assert (status, "Error: No space left on device" in written) == (1, True)
    assert "Traceback" not in written


@pytest.mark.parametrize(
    ("closed", "command", "status"),
    [
        ("2>&-", "count $ID", 0),
        (">&-", "count $ID", 0),
        ("<&-", "count $ID", 0),
        ("<&-", "count -", 2),
        ("<&- >&- 2>&-", "count $ID", 0),
        (">/dev/full", "--help", 1),
        (">/dev/full", "--version", 1),
    ],
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
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert inside("--help") == 1
    assert capfd.readouterr().err == "Error: No space left on device\n"
