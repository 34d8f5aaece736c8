"""How a command ends: by a signal, because its reader left, or because nothing more can be written; and `serve`."""

import json
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from time import sleep

import pytest
from cli.processes import MANY, WHERE, beside, inside, interrupt_when, objects, outcome, process, slow_after
from support.clients import IDS, SESSIONS
from support.sockets import raw_server

from galileo_sessions.local import LocalGalileo

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


# ---- serve -----------------------------------------------------------------------------------------------------------


async def test_serve_prints_what_a_shell_can_source(run, monkeypatch, tmp_path):
    """The lines that it prints point the tool at it; SIGTERM ends it with 0, as Ctrl-C does."""
    (tmp_path / "data.jsonl").write_text(json.dumps(SESSIONS[0]))
    options = ("--api-key", "it's $(id); mine", "--data", str(tmp_path / "data.jsonl"))
    async with process("serve", "--strict", *options) as running:
        lines = [(await running.stdout.readline()).decode() for _ in range(3)]
        assert lines[0] == "# 1 session. Ctrl-C ends it.\n"
        assert lines[2] == """export GALILEO_API_KEY='it'"'"'s $(id); mine'\n"""
        for name in ("GALILEO_API_URL", "GALILEO_API_KEY"):
            sourced = await outcome("-c", f'{"".join(lines)}printf %s "${name}"', command=["sh"])
            monkeypatch.setenv(name, sourced.out)
        counted = await run("count", IDS[0], "--where", 'Col("scroe") > 3')
        assert (counted.status, "422" in counted.err, "scroe" in counted.err) == (1, True, True)  # --strict refuses it
        running.send_signal(signal.SIGTERM)
        assert await running.communicate() == (b"", b"")
        assert running.returncode == 0


@pytest.fixture
def _same_handlers():
    """What SIGTERM does is as before, since `serve` handles it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("options", [(), ("--last-day", "2026-06-30")])
@pytest.mark.usefixtures("_same_handlers")
def test_serve_inside(monkeypatch, tmp_path, options):
    """By default, `serve` has the sample, up to yesterday or to the last day that is given. Ctrl-C ends it with 0."""
    days, file = [], tmp_path / "out"
    monkeypatch.setattr("galileo_sessions.cli.commands.sample_sessions", lambda day: days.append(day) or SESSIONS)
    with file.open("w", buffering=1) as out:
        monkeypatch.setattr(sys, "stdout", out)
        presser = interrupt_when(lambda: "KEY" in file.read_text())
        assert inside("serve", *options) == 0
        presser.join()
    assert file.read_text().startswith(f"# {len(SESSIONS):,} sessions. Ctrl-C ends it.\nexport ")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    expected = {date(2026, 6, 30)} if options else {yesterday, yesterday - timedelta(days=1)}  # midnight can pass
    assert {*days} <= expected


@pytest.mark.usefixtures("_same_handlers")
def test_serve_inside_where_the_port_is_taken(capfd):
    """A port that another program uses is a message, with status 1."""
    with LocalGalileo() as taken:
        assert inside("serve", "--port", taken.url.rpartition(":")[2]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "in use" in err
