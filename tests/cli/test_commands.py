"""`columns`, `log-streams`, `explain` and the demo, named log streams, and the shells' completion."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from support.clients import IDS
from support.shown import check
from support.sockets import PROJECT, answers, http

from galileo_sessions import Col, CountQuery, dump_filter, dump_query, parse_filter

CHATBOT = "Support chatbot"
UNKNOWN = str(UUID(int=1, version=4))
HOSTILE = "\x1b]0;owned\x07[red]\x1b[2J[link=http://x]y\u202e"
ABOVE_3 = ("-w", "score > 3")


# ---- columns ---------------------------------------------------------------------------------------------------------


async def test_columns_as_a_table_and_as_json(server, run, monkeypatch):
    """The table has a row for each column; JSON is the service's own form."""
    status, table, err = await run("columns", IDS[0])
    assert (status, err) == (0, "")
    header, *rows = table.splitlines()
    assert header.split() == ["id", "filter", "type"]  # the others would be empty
    assert ["score", "number"] in [row.split() for row in rows]
    assert "metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42  number" in rows
    status, out, _ = await run("columns", IDS[0], "--format", "json")
    assert (status, {"score", "input"} <= {column["id"] for column in json.loads(out)["columns"]}) == (0, True)
    monkeypatch.setenv("GALILEO_PROJECT_ID", f" {CHATBOT}\n")  # white space around a project is ignored
    assert (await run("columns")).out == (await run("columns", f" {IDS[0]}")).out == table


async def test_no_columns_are_a_mistake(server, run):
    """An unknown project or scope has no columns: a line on stderr, and status 1."""
    for arguments in ((UNKNOWN,), (IDS[0], "--log-stream", UNKNOWN, "-f", "json")):
        status, out, err = await run("columns", *arguments)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("Error: there are no columns")


async def test_hostile_text_is_inert(server, run):
    """Neither escapes nor markup of a server's text reach the terminal."""
    column = {"id": "a[bold]b\x1b[31m", "category": "standard", "label": HOSTILE, "description": f"{HOSTILE}\n\tend"}
    server.fail_next(200, body={"columns": [column | {"allowed_values": [HOSTILE, 3], "filter_type": "text"}]})
    status, table, _ = await run("columns", IDS[0])
    shown = r"\x1b]0;owned\x07[red]\x1b[2J[link=http://x]y\u202e"
    (row,) = table.splitlines()[1:]
    assert (status, row) == (0, rf"a[bold]b\x1b[31m  text         {shown}  {shown}, 3  {shown} end")
    for output in ("table", "json", "csv"):
        server.fail_next(400, body=HOSTILE)
        done = await run("count", IDS[0], "--format", output)
        assert (done.status, r"\x1b]0;owned\x07[red]" in done.err) == (1, True)
        table += done.out + done.err
    assert not {"\x1b", "\x07", "\u202e"} & {*table}


# ---- log streams -----------------------------------------------------------------------------------------------------


async def test_log_streams_are_listed(server, run):
    """As a table, as JSON or as CSV, which has its head even without log streams."""
    table = await run("log-streams", CHATBOT)
    assert (table.status, table.err) == (0, "")
    assert ["production", "staging", "development"] == [line.split()[-1] for line in table.out.splitlines()[-3:]]
    first, *_ = (await run("log-streams", CHATBOT, "-f", "json")).out.splitlines()
    assert "production" == json.loads(first)["name"]
    assert (await run("log-streams", UNKNOWN, "-f", "csv")).out == "id,name,project_id,project_name\n"


@pytest.mark.parametrize("command", [["count"], ["count", "--by", "score:1,3"], ["explain", *ABOVE_3], ["columns"]])
async def test_a_log_stream_can_be_named(server, run, command):
    """Only its sessions are counted."""
    name, *options = command
    found = await run(name, CHATBOT, *options, "--log-stream", "production")
    assert found.status == 0
    assert len({query.log_stream_id for query in server.requests} - {None}) == (command != ["columns"])
    assert all(query.log_stream_id for query in server.requests)


async def test_an_alert_judges_a_named_log_stream(server, run):
    """Its own total."""
    arguments = ["count", CHATBOT, "--log-stream", "staging", *ABOVE_3, "--fail-above"]
    assert (0, 3) == ((await run(*arguments, "60%")).status, (await run(*arguments, "1%")).status)


@pytest.mark.parametrize("command", ["count", "columns", "explain"])
async def test_a_name_that_no_log_stream_has(server, run, command):
    """Nothing is counted, and a similar name is suggested; of several projects, three are named."""
    options = ABOVE_3 if command == "explain" else ()
    found = await run(command, CHATBOT, "--log-stream", "prodution", *options)
    assert (found.status, server.requests) == (2, [])
    assert "no log stream 'prodution' among the 3 listed. Did you mean production?" in found.err
    found = await run("count", "--all", "--log-stream", "none")
    assert (found.status, server.requests) == (2, [])
    assert found.err.count(": there is no log stream 'none' among the 3 listed") == 3


async def test_log_streams_that_cannot_be_listed(serving, run):
    """The service's error is told, and nothing is counted."""
    async with serving(http(404, "")) as server:
        found = await run("count", PROJECT, "--log-stream", "production")
    assert (found.status, len(server.requests), "404" in found.err) == (1, 1, True)


# ---- explain ---------------------------------------------------------------------------------------------------------


async def test_explain_draws_a_filter(run, monkeypatch):
    """Without PROJECT, it shows the drawing and the JSON, and requests nothing, whatever else names a project."""
    where = Col("input").contains("x") & ~Col("score").gt(3)
    status, out, err = await run("explain", "--where", repr(where))
    drawing, tree = out.split("\n\n")
    assert drawing.splitlines()[1] == "├─ input contains 'x'   text"
    assert (status, err, json.loads(tree)) == (0, "", dump_filter(where))
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[0])
    query = CountQuery(IDS[1], Col("score") > 3, experiment_id=PROJECT)
    for saved in (dump_query(query), dump_filter(query.where)):
        status, out, _ = await run("explain", "--where-json", "-", stdin=json.dumps(saved))
        assert (status, out.splitlines()[0]) == (0, "score > 3   number")


async def test_explain_counts_in_a_project(show, server):
    """With a project, by id or by name, each part has its count, the count without it, and what doesn't fit."""
    server.strict = False
    status, written = await show("explain", CHATBOT, "-w", '(Col("score") > 3) & Col("inputt").contains("x")')
    assert status == 0
    check("explain.txt", written)


async def test_explain_counts_in_a_scope(server, run):
    """The options of a scope apply to all counts."""
    status, out, _ = await run("explain", IDS[0], *ABOVE_3, "--experiment", PROJECT)
    assert (status, out.splitlines()[-1].split(maxsplit=1)[1]) == (0, "no session satisfies this condition")
    assert {query.experiment_id for query in server.requests} == {PROJECT}


async def test_explain_shows_counts_that_fail(run, serving):
    """A count that fails is a part of the drawing, without advice for Python; the status is 1."""
    async with serving(answers(http(404, ""), http(401, ""))):
        status, _, err = await run("explain", PROJECT, *ABOVE_3)
    assert (status, err.startswith("Error: ")) == (1, True)
    async with serving(answers(http(404, ""), http(404, "\x1b[31m"))):
        status, out, _ = await run("explain", PROJECT, *ABOVE_3)
    assert (status, "NotFoundError: 404" in out, "\x1b" in out) == (1, True, False)


# ---- the demo --------------------------------------------------------------------------------------------------------


async def test_the_demo_shows_one_filter_on_sixty_columns(run, show):
    """As Python and as the JSON that is sent. The rest is as recorded."""
    where = Col("input").contains("refund") & ~(Col("score") > 3)
    status, out, err = await run()
    lines = out.splitlines()
    assert (status, err, max(map(len, lines)) <= 60) == (0, "", True)
    text, tree, _ = re.split("as JSON|The server", "".join([f"{line[:14].strip()}{line[14:]}" for line in lines]))
    assert parse_filter(text.removeprefix("The filter")) == where
    assert json.loads(tree) == dump_filter(where)
    check("demo.txt", (await show())[1])


def test_the_demo_takes_less_than_three_seconds_of_cpu():
    """As a command of its own, with warnings as errors, it exits with 0. Its CPU time is as short on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stderr) == (0, "")
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 3


# ---- completion ------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
ASK = {
    "bash": "COMP_WORDS=(_ count --pro); COMP_CWORD=2; _galileo_sessions_completion galileo-sessions; echo $COMPREPLY",
    "zsh": "print -l $functions[_galileo_sessions_completion] | grep -c zsh_complete",
    "fish": 'complete -C "galileo-sessions count --pro"',
}


@pytest.mark.parametrize("name", ASK)
def test_the_line_of_the_page_completes(name):
    """The line of docs/command-line.md makes the shell complete an option of `count`."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here: apt-get install {name}")
    (line,) = re.findall(rf"^.*={name}_source .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [name, "-c", f"{line}\n{ASK[name]}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert ("1" if name == "zsh" else "--projects-from") in done.stdout
