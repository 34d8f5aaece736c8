"""How a command ends: by Ctrl-C, because its reader left, or because nothing more can be written."""

import asyncio
import json
import os
import signal
import sys
import time
from threading import Thread

import pytest
from support.processes import (
    COMMAND,
    IDS,
    MANY,
    WHERE,
    beside,
    inside,
    interrupt_when,
    objects,
    process,
    slow_after,
    wait,
)
from support.servers import PROJECT, http, raw_server, until


@pytest.mark.usefixtures("_key")
async def test_ctrl_c_tells_what_was_counted(monkeypatch):
    """SIGINT ends it with 130 and the total so far; no traceback, no warning."""
    async with raw_server(slow_after(12)) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        async with process("count", *MANY[:40], "--format", "json") as running:
            lines = [await running.stdout.readline() for _ in range(12)]
            await until(lambda: len(server.requests) > 12)
            running.send_signal(signal.SIGINT)
            rest, err = await running.communicate()
            assert (running.returncode, rest) == (130, b"")
            assert err.decode() == "interrupted; 12 of 40 counted, total 1,200\n"
            assert all(json.loads(line)["total_count"] == 100 for line in lines)


@pytest.mark.usefixtures("_key")
async def test_ctrl_c_waits_for_no_pipe(monkeypatch):
    """A silent stdin doesn't keep the program alive."""
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        async with process("count", "--projects-from", "-", "--format", "json", stdin=-1) as running:
            running.stdin.write(f"{PROJECT}\n".encode())
            assert json.loads(await running.stdout.readline())["total_count"] == 7
            running.send_signal(signal.SIGINT)
            assert await running.stderr.read() == b"interrupted; 1 counted, total 7\n"
            assert await running.wait() == 130


@pytest.mark.usefixtures("_key")
async def test_a_reader_who_waits_stops_no_request(monkeypatch, tmp_path):
    """Counting goes on while nobody reads, for a thousand lines; then everything is there."""
    (tmp_path / "ids").write_text("\n".join(MANY))
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        command = [*COMMAND, "count", "--projects-from", str(tmp_path / "ids"), "--format", "json"]
        read, write = os.pipe()
        async with process(command=command, stdout=write) as running:
            os.close(write)
            await until(lambda: len(server.requests) > 1_500)
            for _ in range(20):
                seen = len(server.requests)
                await asyncio.sleep(0.05)
                if len(server.requests) == seen:
                    break
            assert seen < 3_000
            with open(read, encoding="utf-8") as file:
                rows = objects(await asyncio.to_thread(file.read))
            assert sorted(row["project_id"] for row in rows) == sorted(MANY)
            assert await running.wait() == 0


@pytest.mark.usefixtures("_key")
async def test_a_second_ctrl_c_waits_for_no_reader(monkeypatch, tmp_path):
    """Where nobody reads what is left, the second one ends it."""
    (tmp_path / "ids").write_text("\n".join(MANY))
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        read, write = os.pipe()
        command = [*COMMAND, "count", "--projects-from", str(tmp_path / "ids"), "--format", "json"]
        async with process(command=command, stdout=write) as running:
            os.close(write)
            await until(lambda: len(server.requests) > 1_500)
            for _ in range(2):
                await asyncio.sleep(0.3)
                running.send_signal(signal.SIGINT)
            err = (await running.stderr.read()).decode()
            assert await running.wait() == 130
            assert err.startswith("interrupted; ")
            assert len(err.splitlines()) == 1
        os.close(read)


@pytest.mark.usefixtures("_key")
async def test_a_reader_may_leave(monkeypatch):
    """As with `| head -1`: it ends at once and says nothing, with the status that shells give to tools like it."""
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        read, write = os.pipe()
        async with process("count", *MANY, "--format", "csv", stdout=write) as running:
            os.close(write)
            with open(read, "rb", buffering=0) as file:
                assert await asyncio.to_thread(file.read, 10) == b"project_id"
            assert await running.stderr.read() == b""
            assert await running.wait() == 141
        assert len(server.requests) < len(MANY)


@pytest.mark.parametrize("command", ["demo", "explain", "columns", "count"])
async def test_a_reader_may_have_left_before(server, command):
    """A closed pipe is no error of any command."""
    arguments = {"demo": [], "explain": ["--where", WHERE], "columns": [IDS[0]], "count": [IDS[0]]}[command]
    read, write = os.pipe()
    os.close(read)
    async with process(command, *arguments, stdout=write) as running:
        os.close(write)
        assert (await running.stderr.read(), await running.wait()) == (b"", 141)


def test_ctrl_c_inside(monkeypatch, capfd):
    """The same in this process, where coverage sees it."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    with beside(raw_server(slow_after(1))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        presser = interrupt_when(lambda: len(server.requests) > 1)
        assert inside("count", *MANY[:4], "--format", "json", "--concurrency", "1") == 130
        presser.join()
    assert capfd.readouterr().err == "interrupted; 1 of 4 counted, total 100\n"


def test_a_reader_may_leave_inside(monkeypatch, tmp_path):
    """The same in this process, where the reader takes nothing for a while before."""
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
        assert inside("count", PROJECT, "--format", "json") == 0  # now it goes nowhere
    assert (tmp_path / "err").read_text() == ""


async def test_a_full_disk_is_a_message(server):
    """What can't be written is told, with status 1."""
    for arguments in (["count", IDS[0]], ["columns", IDS[0]]):
        with open("/dev/full", "w") as full:
            async with process(*arguments, stdout=full) as running:
                err = (await running.stderr.read()).decode()
                assert await running.wait() == 1
        assert err.endswith("Error: No space left on device\n")
        assert "Traceback" not in err
