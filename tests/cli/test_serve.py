"""`serve` runs the local server until a signal ends it."""

import json
import signal
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from cli.processes import inside, interrupt_when, outcome, process
from support.clients import IDS, SESSIONS

from galileo_sessions.local import LocalGalileo


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
