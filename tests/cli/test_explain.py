"""`explain` shows a filter as a drawing and as JSON."""

import json

from support.processes import IDS

from galileo_sessions import Col, dump_filter


async def test_explain_draws_and_measures(server, run):
    """The drawing, the JSON, size and depth; with --project, whether it fits its columns."""
    where = 'Col("input").contains("x") & ~Col("score").gt(3)'
    status, out, err = await run("explain", "--where", where, "--project", IDS[0])
    drawing, tree, measures = out.split("\n\n")
    assert drawing.splitlines()[1] == "├─ input contains 'x'   text"
    assert json.loads(tree) == dump_filter(Col("input").contains("x") & ~Col("score").gt(3))
    assert measures == f"size 2, depth 3; fits project {IDS[0]}\n"
    assert (status, err) == (0, "")
    status, out, err = await run("explain", "--where-json", "-", stdin=json.dumps(dump_filter(Col("score") > 3)))
    assert out.endswith("size 1, depth 1\n")
    status, out, err = await run("explain", "--where", 'Col("scor") > 3', "--project", IDS[0])
    assert (status, out) == (2, "")
    assert "did you mean score?" in err
