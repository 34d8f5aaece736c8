"""`explain` shows a filter as a drawing and as JSON, or what each part of it counts in a project."""

import json

from support.clients import COUNTS, IDS
from support.shown import check
from support.sockets import PROJECT, answers, http

from galileo_sessions import Col, CountQuery, dump_filter, dump_query

BOTH = '(Col("score") > 3) & Col("inputt").contains("x")'


async def test_explain_draws_a_filter(run):
    """Without a project, it shows the drawing and the JSON, and needs no credentials."""
    status, out, err = await run("explain", "--where", 'Col("input").contains("x") & ~Col("score").gt(3)')
    drawing, tree = out.split("\n\n")
    assert drawing.splitlines()[1] == "├─ input contains 'x'   text"
    assert json.loads(tree) == dump_filter(Col("input").contains("x") & ~Col("score").gt(3))
    assert (status, err) == (0, "")
    status, out, err = await run("explain", "--where-json", "-", stdin=json.dumps(dump_filter(Col("score") > 3)))
    assert out.startswith("score > 3   number\n\n{")


async def test_the_environment_names_no_project_for_explain(run, monkeypatch):
    """Nor does a saved query. Without PROJECT, nothing is requested."""
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[0])
    query = json.dumps(dump_query(CountQuery(IDS[1], Col("score") > 3, experiment_id=PROJECT)))
    for options in (["-w", "score > 3"], ["--where-json", "-"]):
        status, out, _ = await run("explain", *options, stdin=query)
        assert (status, out.splitlines()[0]) == (0, "score > 3   number")


async def test_white_space_around_a_project_is_ignored(server, run, monkeypatch):
    """As an argument and in the environment, for each command."""
    assert (await run("explain", " Support chatbot ", "-w", "score > 3")).status == 0
    monkeypatch.setenv("GALILEO_PROJECT_ID", " Support chatbot\n")
    assert (await run("columns")).out == (await run("columns", f" {IDS[0]}")).out != ""


async def test_explain_counts_in_a_project(show, server):
    """With a project, by id or by name, each part has its count, the count without it, and what doesn't fit."""
    server.strict = False
    status, written = await show("explain", "Support chatbot", "-w", BOTH)
    assert status == 0
    check("explain.txt", written)


async def test_explain_counts_in_a_scope(server, run):
    """The options of a scope apply to all counts."""
    status, out, _ = await run("explain", IDS[0], "-w", "score > 3", "--experiment", PROJECT)
    assert (status, out.splitlines()[-1].split(maxsplit=1)[1]) == (0, "no session satisfies this condition")
    assert {query.experiment_id for query in server.requests} == {PROJECT}
    assert COUNTS[IDS[0]] > 0


async def test_explain_shows_counts_that_fail(run, serving):
    """A count that fails is a part of the drawing, without advice for Python; the status is 1."""
    async with serving(answers(http(404, ""), http(401, ""))):
        status, _, err = await run("explain", PROJECT, "-w", "score > 3")
    assert (status, err.startswith("Error: ")) == (1, True)
    async with serving(answers(http(404, ""), http(404, "\x1b[31m"))):
        status, out, _ = await run("explain", PROJECT, "-w", "score > 3")
    assert (status, "NotFoundError: 404" in out, "\x1b" in out) == (1, True, False)
