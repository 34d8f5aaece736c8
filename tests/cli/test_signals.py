"""How a command ends: by Ctrl-C, because its reader left, or because nothing more can be written."""

import sys
from time import sleep

import pytest
from cli.processes import MANY, WHERE, beside, inside, interrupt_when, objects, process, slow_after
from support.clients import IDS
from support.sockets import raw_server

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
