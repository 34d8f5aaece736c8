"""Without arguments, it shows the whole path."""

import resource
import subprocess
import sys


async def test_the_demonstration_counts_and_ends(run):
    """It prints the filter, the JSON that travels, the counts, a chart on 80 columns, and how to go on."""
    status, out, err = await run()
    assert (status, err) == (0, "")
    where, tree, one, everything, *chart, last = out.splitlines()
    assert where.endswith("Col.text('input').contains('x') & ~Col.number('score').gt(3)")
    assert '"filter": {"column_id": "input"' in tree
    assert one.startswith("One project")
    assert everything.startswith("All 12")
    counts = [int(line.rpartition(" ")[2]) for line in chart]
    assert f" {sum(counts)} of " in everything
    assert all(abs(line.count("█") - count * 32 / max(counts)) < 1 for line, count in zip(chart, counts, strict=True))
    assert all(len(line) <= 80 for line in (where, one, everything, *chart, last))
    assert "GALILEO_API_KEY" in last


def test_it_takes_less_than_three_seconds_of_cpu():
    """As a command of its own, with warnings as errors, it exits with 0. Its CPU time is as short on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stderr) == (0, "")
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 3
