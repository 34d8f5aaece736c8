"""
What people see on a terminal 80 columns wide, compared with the recordings in tests/cli/snapshots.

`SNAPSHOTS=new python -m pytest tests/cli` records them anew.
"""

import re

import pytest
from cli.processes import objects
from support.clients import IDS
from support.shown import check, screen


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_counts_on_a_terminal(show, server):
    """Results above the bar, and then the failures with their reasons; the bar is gone in the end."""
    server.fail_next(200, body={"total_count": 1_234_567})
    server.fail_next(400, body={"detail": "There is no such project, or it has been deleted with all that was in it"})
    status, written = await show("count", *IDS[:4], "--concurrency", "1")
    assert status == 1
    assert re.search(r"4/4\S* \S*\d:\d\d:\d\d\S* 1 failed, limit 1\b", written)
    check("count.txt", written)


async def test_columns_on_a_terminal(show, server):
    """On a terminal, each column has a line."""
    status, written = await show("columns", IDS[0])
    assert status == 0
    check("columns.txt", written)


async def test_a_bar_and_results_in_a_file(show, server, tmp_path):
    """With stdout elsewhere, the terminal has the bar and the failures."""
    (tmp_path / "ids").write_text("\n".join(IDS))
    server.fail_next(404)
    with (tmp_path / "out").open("w") as out:
        status, written = await show("count", "--projects-from", str(tmp_path / "ids"), "--format", "json", stdout=out)
    assert status == 1
    assert len(objects((tmp_path / "out").read_text())) == 12
    assert re.search(r"12/12\S* \S*\d:\d\d:\d\d\S* 1 failed, limit", written)
    first, *_, last = screen(written).splitlines()
    assert ": 404 " in first
    assert last.startswith("11 of 12 projects counted, 1 failed, ")


async def test_a_bar_while_the_service_accepts_nothing(show, server):
    """While the service refuses everything, the bar says that it waits; then all is counted."""
    server.fail_next(503, times=20)
    status, written = await show("count", *IDS)
    assert (status, "\x1b[?25l" in written) == (0, False)  # a cursor that is hidden would stay so after SIGTERM
    assert "0 failed, waiting for the service" in written
    assert screen(written).splitlines()[-1].startswith("12 projects counted, ")


async def test_a_terminal_that_knows_no_bars_has_none(show, server):
    """If the terminal's encoding lacks bars, only the counts are written."""
    months = ("--by", "created_at:month", "--since", "2026-04-01", "--until", "2026-07-01")
    status, written = await show("count", IDS[0], *months, encoding="latin-1")
    assert status == 0
    assert re.search(r"2026-04 +104  33.3%\r\n", written)
    assert "u2588" not in written


async def test_a_narrow_terminal_cuts_no_id(show, server, monkeypatch):
    """Lines have at least 80 columns, whatever the terminal's width."""
    monkeypatch.setenv("COLUMNS", "30")
    _, written = await show("count", IDS[0])
    assert re.search(rf"{IDS[0]} +312\r\n", written)
