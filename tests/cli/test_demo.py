"""Without arguments, it shows the whole path."""

import runpy
import subprocess
import sys
import time

import pytest

from galileo_sessions import __main__ as program
from galileo_sessions.cli.demo import bar, show


def test_the_demonstration_counts_and_ends(capsys, monkeypatch):
    """It prints the filter, the JSON that travels, the counts, and how to go on."""
    monkeypatch.setattr(sys, "argv", ["galileo_sessions"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(program.__file__, run_name="__main__")
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("Col.text('input').contains('x') & ~Col.number('score').gt(3)")
    assert '"filter": {"column_id": "input"' in lines[1]
    assert lines[2].startswith("One project")
    assert lines[3].startswith("All 12")
    assert "GALILEO_API_KEY" in lines[-1]


def test_it_charts_a_dozen_projects_on_80_columns(capsys):
    """A fan-out, of which it tells its progress, and a bar for each project."""
    told = []
    show(told.append)
    lines = capsys.readouterr().out.splitlines()
    chart = lines[4:-1]
    counts = [int(line.rpartition(" ")[2]) for line in chart]
    assert [progress.done for progress in told] == [*range(1, 13)]
    assert f" {sum(counts)} of " in lines[3]
    assert all(abs(line.count("█") - count * 32 / max(counts)) < 1 for line, count in zip(chart, counts, strict=True))
    assert all(len(line) <= 80 for line in lines if "JSON" not in line)


@pytest.mark.parametrize(
    ("part", "drawn"), [(0, ""), (1 / 256, "▏"), (1 / 64, "▌"), (1 / 32, "█"), (0.05, "█▋"), (1, "█" * 32)]
)
def test_bars_end_at_an_eighth(part, drawn):
    """A column has eight steps; none is drawn for nothing."""
    assert bar(part) == drawn


def test_a_wrong_argument_is_named_with_status_2(capsys, monkeypatch):
    """Bad usage says what is wrong, and exits with 2."""
    monkeypatch.setattr(sys, "argv", ["galileo_sessions", "bogus"])
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert caught.value.code == 2
    assert "bogus" in capsys.readouterr().err


def test_it_takes_less_than_three_seconds():
    """As a command of its own, warnings being errors, it exits with 0 in time."""
    took = []
    for _ in range(3):  # a busy machine gets three tries
        started = time.monotonic()
        run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, "")
        took.append(time.monotonic() - started)
        if took[-1] < 3:
            return
    pytest.fail(f"it took {took} s")
