"""
What people see on a terminal 80 columns wide, compared with the recordings in tests/cli/snapshots.

`SNAPSHOTS=new python -m pytest tests/cli` records them anew.
"""

import re

import pytest
from cli.processes import objects
from support.clients import IDS
from support.shown import check, screen

MONTHS = "--by created_at:month --since 2026-04-01 --until 2026-07-01"
GONE = {"detail": "There is no such project, or it has been deleted with all that was in it"}
LONG = "A name that is much longer than the rest of a line"

RECORDED = {
    "columns.txt": (f"columns {IDS[0]}", 0, []),
    "count_all.txt": ("count --all -w 'score > 3'", 0, []),  # names fit on a line
    "by_several.txt": (f"count {IDS[0]} {IDS[1]} {MONTHS} --concurrency 1", 1, [{"total_count": 312}, 400]),
    "explain.txt": ("explain 'Support chatbot' -w '(score > 3) & Col(\"inputt\").contains(\"x\")'", 0, []),
    "demo.txt": ("", 0, []),
}
"""Commands, their exit statuses, and the server's first answers."""


@pytest.mark.parametrize("name", RECORDED)
async def test_the_screen_is_as_recorded(show, server, script, name):
    """Columns are aligned; charts have one scale for all projects; what fails, or doesn't fit a project, is named."""
    command, expected, responses = RECORDED[name]
    server.strict = False
    script(*responses)
    status, written = await show(command)
    assert status == expected
    check(name, written)


@pytest.mark.parametrize("show", ["process", "inside"], indirect=True)
async def test_counts_on_a_terminal(show, script):
    """Results above the bar, and then the failures with their reasons; the bar is gone in the end."""
    script({"total_count": 1_234_567}, (400, GONE))
    status, written = await show(f"count {' '.join(IDS[:4])} --concurrency 1")
    assert status == 1
    assert re.search(r"4/4\S* \S*\d:\d\d:\d\d\S* 1 failed, limit 1\b", written)
    check("count.txt", written)


async def test_a_bar_and_results_in_a_file(show, script, tmp_path):
    """With stdout elsewhere, the terminal has the bar and the failures."""
    script(404)
    with (tmp_path / "out").open("w") as out:
        status, written = await show(f"count {' '.join(IDS)} --format json", stdout=out)
    assert status == 1
    assert len(objects((tmp_path / "out").read_text())) == 12
    assert re.search(r"12/12\S* \S*\d:\d\d:\d\d\S* 1 failed, limit", written)
    first, *_, last = screen(written).splitlines()
    assert ": 404 " in first
    assert last.startswith("11 of 12 projects counted, 1 failed, ")


async def test_a_bar_while_the_service_accepts_nothing(show, server):
    """While the service refuses everything, the bar says that it waits; then all is counted."""
    server.fail_next(503, times=20)
    status, written = await show(f"count {' '.join(IDS)}")
    assert (status, "\x1b[?25l" in written) == (0, False)  # a cursor that is hidden would stay so after SIGTERM
    assert "0 failed, waiting for the service" in written
    assert screen(written).splitlines()[-1].startswith("12 projects counted, ")


async def test_what_an_encoding_lacks_is_left_out_or_escaped(show, server):
    """Without bars in the terminal's encoding, only the counts are written; other characters are escaped."""
    status, written = await show(f"count {IDS[0]} {MONTHS}", encoding="latin-1")
    assert status == 0
    assert re.search(r"2026-04 +104  33.3%\r\n", written)
    assert "u2588" not in written
    server.fail_next(400, body="caf\u00e9")
    _, written = await show(f"count {IDS[0]} --format csv", encoding="ascii")
    assert r"caf\xe9" in written


async def test_a_line_cuts_names_and_no_ids(show, server, monkeypatch):
    """A name that doesn't fit ends with dots, wide characters included. A line has at least 80 columns."""
    server._names |= {IDS[0]: LONG, IDS[1]: "日本語" * 10}
    monkeypatch.setenv("COLUMNS", "30")
    _, written = await show(f"count {IDS[0]} {IDS[1]} '{LONG}'")
    first, second = screen(written).splitlines()[1:3]
    assert first == f"{IDS[0]}       312  A name that is much longer than…"
    assert second == f"{IDS[1]}       363  " + "日本語" * 5 + " …"
