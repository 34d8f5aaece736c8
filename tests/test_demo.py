"""`python -m galileo_sessions` shows the whole path."""

import runpy
import subprocess
import sys
import time

import pytest

from galileo_sessions import __main__ as demo


def test_the_demonstration_counts_and_ends(capsys, monkeypatch):
    """It prints the filter, the JSON that travels, the counts, and how to go on."""
    monkeypatch.setattr(sys, "argv", ["galileo_sessions"])
    runpy.run_path(demo.__file__, run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("Col.text('input').contains('x') & ~Col.number('score').gt(3)")
    assert '"filter": {"column_id": "input"' in lines[1]
    assert lines[2].startswith("One project")
    assert lines[3].startswith("All 12")
    assert "GALILEO_API_KEY" in lines[-1]


def test_a_wrong_argument_is_named_with_status_2(capsys, monkeypatch):
    """Bad usage says what is wrong, and exits with 2."""
    monkeypatch.setattr(sys, "argv", ["galileo_sessions", "bogus"])
    with pytest.raises(SystemExit) as caught:
        demo.main()
    assert caught.value.code == 2
    assert "bogus" in capsys.readouterr().err


def test_it_takes_less_than_three_seconds():
    """As a command of its own, warnings being errors, it exits with 0 in time."""
    started = time.monotonic()
    run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert time.monotonic() - started < 3
