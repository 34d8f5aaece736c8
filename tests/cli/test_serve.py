"""`serve` runs the local server until a signal ends it."""

import json
import signal
import sys

from support.processes import IDS, SESSIONS, inside, interrupt_when, objects, outcome, process

from galileo_sessions.local import LocalGalileo


async def test_serve_prints_what_a_shell_can_source(tmp_path):
    """The lines it prints point the tool at it; SIGTERM ends it with 0."""
    (tmp_path / "data.jsonl").write_text(json.dumps(SESSIONS[0]))
    async with process("serve", "--data", str(tmp_path / "data.jsonl")) as running:
        lines = [(await running.stdout.readline()).decode() for _ in range(5)]
        script = f"{''.join(lines)}exec {sys.executable} -m galileo_sessions count {IDS[0]} --format json"
        counted = await outcome("-c", script, command=["sh"])
        assert objects(counted.out) == [{"project_id": IDS[0], "total_count": 1}]
        assert lines[:2] == ["# 1 session; of them\n", f"# {IDS[0]} has 1\n"]
        running.send_signal(signal.SIGTERM)
        assert await running.communicate() == (b"", b"")
        assert running.returncode == 0


async def test_a_strict_server_refuses_a_column_that_is_not_there():
    """With --strict, a typo is an error and not a 0."""
    async with process("serve", "--strict") as running:
        lines = (await running.stdout.readuntil(b"export GALILEO_API_KEY=") + await running.stdout.readline()).decode()
        script = f"{lines}exec {sys.executable} -m galileo_sessions count {IDS[0]} --where 'Col(\"scroe\") > 3'"
        counted = await outcome("-c", script, command=["sh"])
        running.send_signal(signal.SIGTERM)
        await running.communicate()
    assert (counted.status, "scroe" in counted.err) == (1, True)


async def test_ctrl_c_ends_it_too():
    """SIGINT is no failure: the exit status is 0, and nothing is on stderr."""
    async with process("serve") as running:
        await running.stdout.readuntil(b"export GALILEO_API_KEY=")
        running.send_signal(signal.SIGINT)
        _, err = await running.communicate()
        assert (running.returncode, err) == (0, b"")


def test_serve_inside(monkeypatch, tmp_path):
    """The same in this process, with the sample."""
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        presser = interrupt_when(lambda: "KEY" in (tmp_path / "out").read_text())
        assert inside("serve") == 0
        presser.join()
    assert (tmp_path / "out").read_text().startswith(f"# {len(SESSIONS):,} sessions; of them\n# ")


def test_serve_inside_where_the_port_is_taken(monkeypatch, capfd):
    """Somebody else's port is a message, with status 1."""
    with LocalGalileo() as taken:
        assert inside("serve", "--port", taken.url.rpartition(":")[2]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "in use" in err
