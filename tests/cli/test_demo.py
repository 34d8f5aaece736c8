"""Without arguments, it shows the whole path."""

import json
import re
import resource
import subprocess
import sys

from galileo_sessions import Col, dump_filter, parse_filter
from galileo_sessions.local import sample_names

README = Col("input").contains("refund") & ~(Col("score") > 3)


async def test_the_demonstration_counts_and_ends(run):
    """It prints the filter, the JSON that travels, the counts, a chart on 60 columns, and how to go on."""
    status, out, err = await run()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    *shown, _, one, everything = lines[:-13]
    *chart, last = lines[-13:]
    assert [line[14:] for line in shown[:2]] == ["Col.text('input').contains('refund')", "& ~Col.number('score').gt(3)"]
    assert parse_filter("".join(line[14:] for line in shown[:2])) == README
    assert json.loads("".join(line[14:] for line in shown[2:])) == dump_filter(README)
    assert one.startswith("One project")
    assert everything.startswith("All 12")
    rows = [re.fullmatch(r"(\S.*?) +(\d+)  (█*).?", line).groups() for line in chart]
    assert [name for name, *_ in rows] == [*sample_names().values()]
    counts = [int(count) for _, count, _ in rows]
    assert f" {sum(counts)} of " in everything
    assert all(abs(len(bar) - int(count) * 35 / max(counts)) < 1 for _, count, bar in rows)
    assert all(len(line) <= 60 for line in lines)
    assert "GALILEO_API_KEY" in last


def test_it_takes_less_than_three_seconds_of_cpu():
    """As a command of its own, with warnings as errors, it exits with 0. Its CPU time is as short on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stderr) == (0, "")
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 3
