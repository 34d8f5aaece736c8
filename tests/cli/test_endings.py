"""How a command ends: by a signal, because its reader left, or because nothing more can be written; and `serve`."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from cli.processes import MANY, beside, inside, leaves, objects, process, slow_after
from support.clients import IDS, SESSIONS
from support.sockets import raw_server

from galileo_sessions.local import LocalGalileo

BY_DAY = ("--by", "created_at:day", "--since", "2026-06-01", "--until", "2026-06-02")


@pytest.mark.parametrize(("by", "answered"), [((), 7), (BY_DAY, 12 + 7)], ids=["whole", "by day"])
def test_ctrl_c_writes_what_was_counted(monkeypatch, capfd, by, answered):
    """SIGINT ends it with 130, the rows so far and the total; no traceback. With --by, projects are complete."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    with beside(raw_server(slow_after(answered, lambda: os.kill(os.getpid(), signal.SIGINT)))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        assert inside("count", *MANY[:12], *by, "--format", "json", "--concurrency", "1") == 130
    out, err = capfd.readouterr()
    assert [row["total_count"] for row in objects(out)] == [100] * 7
    assert err == "interrupted; 7 of 12 projects counted, 700 sessions\n"


async def test_a_closed_stream_is_no_traceback(server):
    """Without stdin, stdout and stderr, it counts all the same."""
    shell = f'"{sys.executable}" -m galileo_sessions count {IDS[0]} <&- >&- 2>&-'
    async with process("-c", shell, command=("sh",)) as running:
        assert await running.communicate() == (b"", b"")
    assert (running.returncode, len(server.requests)) == (0, 1)


def test_closed_streams_inside(monkeypatch, capfd):
    """A stream that is closed is replaced by one that leads nowhere, and not by a socket."""
    for name in ("stdin", "stdout", "stderr"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, None)
            if name == "stdin":
                assert inside("count", "--projects-from", "-") == 2
            assert inside("explain", "--where", "score > 3") == 0
            getattr(sys, name).close()
    assert capfd.readouterr().err.endswith(" has no project\n")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert inside("--help") == 1
    assert capfd.readouterr().err == "Error: No space left on device\n"


# ---- serve -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_serve_prints_what_a_shell_can_source(run, monkeypatch, ending):
    """The lines that it prints point the tool at it; SIGTERM ends it with 0, as Ctrl-C does."""
    options = ("--strict", "--data", "-", "--api-key", "it's $(id); mine")
    async with process("serve", *options, stdin=subprocess.PIPE) as running:
        running.stdin.write(json.dumps(SESSIONS[0]).encode())
        running.stdin.close()
        comment, *exports = [(await running.stdout.readline()).decode() for _ in range(3)]
        assert comment == "# 1 session. Ctrl-C ends it.\n"
        sourced = subprocess.check_output(["sh", "-c", "".join(exports) + "env -0"], text=True).split("\0")
        for name, value in [each.split("=", 1) for each in sourced if each.startswith("GALILEO_API_")]:
            monkeypatch.setenv(name, value)
        assert os.environ["GALILEO_API_KEY"] == "it's $(id); mine"
        assert await run(f"count {IDS[0]} -w 'scroe > 3' -q -f csv") == leaves(
            1, "...422 ...scroe...", "...\n...422 ..."
        )
        running.send_signal(ending)
        assert (await running.stdout.read(), await running.stderr.read()) == (b"", b"")
        assert await running.wait() == 0


@pytest.fixture
def _pressed(monkeypatch):
    """Somebody presses Ctrl-C while `serve` waits. What SIGTERM does is as before then, since `serve` handles it."""

    def pause():
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(signal, "pause", pause)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_pressed")
@pytest.mark.parametrize("options", [(), ("--last-day", "2026-06-30")])
def test_serve_has_a_sample(monkeypatch, capfd, options):
    """By default, `serve` has the sample, up to yesterday or to the last day that is given. Ctrl-C ends it with 0."""
    days = []
    monkeypatch.setattr("galileo_sessions.cli.commands.sample_sessions", lambda day: days.append(day) or SESSIONS)
    before = datetime.now(UTC).date() - timedelta(days=1)
    assert inside("serve", *options) == 0
    assert capfd.readouterr().out.startswith(f"# {len(SESSIONS):,} sessions. Ctrl-C ends it.\nexport ")
    yesterday = {before, datetime.now(UTC).date() - timedelta(days=1)}  # midnight can pass
    assert {*days} <= ({date(2026, 6, 30)} if options else yesterday)


@pytest.mark.usefixtures("_pressed")
def test_serve_where_the_port_is_taken(capfd):
    """A port that another program uses is a message, with status 1."""
    with LocalGalileo() as taken:
        assert inside("serve", "--port", taken.url.rpartition(":")[2]) == 1
    out, err = capfd.readouterr()
    assert (out, err.startswith("Error: "), "in use" in err) == ("", True, True)
