"""`count` counts projects, and reports results, failures and totals."""

import asyncio
import csv
import json
from uuid import UUID

import click
import pytest
from cli.processes import MANY, WHERE, Outcome, objects, slow_after
from support.clients import COUNTS, IDS
from support.sockets import answers, http

from galileo_sessions import (
    Col,
    ColumnCatalog,
    CountQuery,
    NumberFilter,
    TextFilter,
    dump_catalog,
    dump_filter,
    dump_query,
)
from galileo_sessions.cli.commands import count
from galileo_sessions.cli.options import read_seconds

ONE_OF = dump_filter(TextFilter("input", "one_of", []))
BETWEEN = dump_filter(NumberFilter("score", "between", [3, 1]))


async def test_a_table_for_people(server, run):
    """A line for each project, with its count at the right; the total is on stderr."""
    assert await run("count", *IDS[:2]) == Outcome(
        0,
        "project id                            sessions\n"
        f"{IDS[0]}       {COUNTS[IDS[0]]}\n"
        f"{IDS[1]}       {COUNTS[IDS[1]]}\n",
        f"2 projects counted, {COUNTS[IDS[0]] + COUNTS[IDS[1]]} sessions\n",
    )


async def test_json_for_programs(server, run):
    """With --format json, stdout has one object per line in the order of the projects, and nothing else."""
    status, out, err = await run("count", *IDS[::-1], "--format", "json")
    assert (status, err) == (0, f"12 projects counted, {sum(COUNTS.values()):,} sessions\n")
    assert objects(out) == [{"project_id": project, "total_count": COUNTS[project]} for project in IDS[::-1]]


async def test_csv_for_spreadsheets(server, run):
    """A header, and a row for each project with a count or an error."""
    server.fail_next(404, body='gone,\n"away"')
    status, out, err = await run("count", *IDS[:2], "--format", "csv", "--concurrency", "1")
    header, failed, counted = csv.reader(out.splitlines())
    assert header == ["project_id", "total_count", "error"]
    assert failed[:2] == [IDS[0], ""]
    assert failed[2].startswith("NotFoundError: 404")
    assert counted == [IDS[1], str(COUNTS[IDS[1]]), ""]
    assert status == 1
    assert err.startswith(f"{IDS[0]}: 404")
    assert err.endswith(f"\n1 of 2 projects counted, 1 failed, {COUNTS[IDS[1]]} sessions\n")


async def test_filter_and_scope_travel(server, run, tmp_path, monkeypatch):
    """Filters from text, a file or stdin, the ids of a scope and the environment's project reach the service."""
    scope = [str(UUID(int=number, version=4)) for number in range(3)]
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[1])
    (tmp_path / "where.json").write_text(tree := json.dumps(dump_filter(Col("score") > 3)), encoding="utf-8-sig")
    options = ["--log-stream", scope[0], "--experiment", scope[1], "--metrics-testing", scope[2]]
    for arguments, stdin in (
        (["--where", WHERE, *options, IDS[0]], ""),
        (["--where-json", str(tmp_path / "where.json")], ""),
        (["--where-json", "-", "--where", 'Col("input").contains("x")'], tree),
    ):
        assert (await run("count", *arguments, stdin=stdin)).status == 0
    first, second, third = server.requests
    assert first.where == second.where == (Col("score") > 3)
    assert third.where == Col("input").contains("x") & (Col("score") > 3)
    assert [first.log_stream_id, first.experiment_id, first.metrics_testing_id] == scope
    assert (first.project_id, second.project_id, second.log_stream_id) == (IDS[0], IDS[1], None)


async def test_a_saved_query_is_a_filter(server, run, tmp_path):
    """What `dump_query` writes is accepted whole: filter, leaves, scope, and the project unless another is given."""
    scope = str(UUID(int=1, version=4))
    where, leaves = Col("input").contains("x"), [Col("score") > 3]
    files = []
    for query in (CountQuery(IDS[1], where, experiment_id=scope, tag="mine"), CountQuery(IDS[1], filters=leaves)):
        files.append(tmp_path / f"{len(files)}.json")
        files[-1].write_text(json.dumps(dump_query(query)), encoding="utf-16")  # as PowerShell writes it
    await run("count", "--where-json", str(files[0]))
    await run("count", IDS[0], "--where-json", str(files[1]), "-w", 'Col("score") < 4')
    await run("count", IDS[0], "--where-json", str(files[1]), "--by", "score:3")
    first, second, whole, *_ = server.requests
    assert first == CountQuery(IDS[1], where, experiment_id=scope)
    assert second == CountQuery(IDS[0], (Col("score") < 4) & leaves[0])
    assert whole == CountQuery(IDS[0], leaves[0])
    done = await run("count", "--where-json", str(files[0]), "--experiment", IDS[0])
    assert (done.status, "but the query has" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"and": [], "and": [{"not": {}}]}', "an object has the same key twice, in ['and', 'and']"),
        ("[" * 50_000, "--where-json isn't JSON: "),
        ('{"and": []}', 'an empty "and" would count all sessions. Leave out the filter if that is meant'),
        ('{"filter_tree": {"and": []}}', ".filter_tree"),
        (
            json.dumps({"filters": [ONE_OF["filter"]]}),
            "the API doesn't define an empty list. Give it a value, or write NEVER",
        ),
        (json.dumps({"not": BETWEEN}), "NumberFilter('score', 'between', [3, 1]): the lower or earlier one comes"),
    ],
)
async def test_a_file_loses_no_condition(server, run, text, problem):
    """Duplicate keys, empty lists and reversed bounds are refused; they would count too many sessions, or none."""
    done = await run("count", IDS[0], "--where-json", "-", stdin=text)
    assert (done.status, done.out, server.requests) == (2, "", [])
    assert done.err.startswith("Error: ")
    assert problem in done.err


@pytest.mark.parametrize("command", [["count"], ["count", "-q"], ["columns"], ["explain", "-w", WHERE]], ids=" ".join)
async def test_debug_shows_each_attempt(server, run, command):
    """On stderr, one line for each, with the project; with -q, too."""
    server.fail_next(503)
    name, *options = command
    done = await run(name, IDS[0], *options, "--debug")
    lines = [line for line in done.err.splitlines() if line.startswith("POST ")]
    asked = "available_columns" if name != "count" else "count"
    expected = [
        f"POST /v2/projects/{IDS[0]}/sessions/{asked}: attempt {n}, status {s}" for n, s in ((1, 503), (2, 200))
    ]
    assert [line.rpartition(", ")[0] for line in lines][:2] == expected
    assert done.status == 0
    assert "POST " not in (await run(name, IDS[0], *options)).err


async def test_an_outage_is_told_once(serving, run):
    """On stderr, unless it shows only failures."""
    async with serving(answers(http(503, ""))):
        for quiet in ([], ["-q"]):
            done = await run("count", *MANY[:20], *quiet, "--timeout", "1s")
            assert (done.status, done.err.count("the service refuses all requests: only")) == (1, not quiet)


async def test_a_filter_is_checked_before_it_is_counted(server, run):
    """With --check, a column that isn't there is a failure of each project and not a 0; nothing is counted."""
    check = ("count", *IDS[:2], "--check", "--where")
    status, out, err = await run(*check, 'Col("tags").contains("vip")')
    assert (status, out.count("FilterCheckError")) == (2, 2)
    assert "Col.collection('tags').contains(...)" in err
    assert server.requests == []
    assert (await run(*check, WHERE)).status == 0
    assert server.requests != []


async def test_the_first_project_does_not_decide_the_status(run, serving):
    """With --check, a filter that fits one of several projects is a failed count of the others, in any order."""
    catalogs = {IDS[0]: ColumnCatalog.of(score="number"), IDS[1]: ColumnCatalog.of(input="text")}

    async def behave(index, writer):
        head = service.requests[index - 1].split(b"\r\n")[0].decode()
        found = [dump_catalog(catalog) for project, catalog in catalogs.items() if project in head]
        writer.write(http(body=json.dumps(found[0])) if "available_columns" in head else http())

    for projects in (IDS[:2], IDS[1::-1]):
        async with serving(behave) as service:
            status, out, err = await run("count", *projects, "--check", "--where", WHERE, "-f", "json")
        assert (status, sorted("error" in row for row in objects(out))) == (1, [False, True])
        assert f"{IDS[1]}: " in err


async def test_0_in_all_explains_itself(server, run):
    """Counts of 0 name a column that doesn't exist and the closest one; a filter that fits needs no explanation."""
    server.strict = False
    typo, empty = ("--where", 'Col("scroe") > 3'), str(UUID(int=1, version=4))
    warning = "Warning: the count is 0, and there is no column 'scroe'; did you mean score?\n"
    warning += "galileo-sessions explain PROJECT --where ... shows what each condition counts\n"
    for projects in (IDS[:2], [IDS[0], empty]):
        assert (await run("count", *projects, *typo)).err == f"2 projects counted, 0 sessions\n{warning}"
    unknown = f"Warning: the count is 0, and project {empty} lists no columns: it has no sessions, or its id is wrong\n"
    assert (await run("count", empty, *typo)).err == f"1 project counted, 0 sessions\n{unknown}"
    by_day = ("--by", "craeted_at:day", "--since", "3d", "--format", "json")
    assert "did you mean created_at?" in (await run("count", IDS[0], *by_day)).err
    assert "Warning" not in (await run("count", *IDS[:2], "--where", 'Col("score") > 9e9')).err
    assert "Warning" not in (await run("count", *IDS[:2], "--where", WHERE)).err
    assert "Warning" not in (await run("count", *IDS[:2], *typo, "--quiet")).err
    server.fail_next(404)
    assert "Warning" not in (await run("count", IDS[0], *typo)).err


@pytest.mark.parametrize("quiet", [[], ["-q"]])
async def test_0_in_all_stays_if_the_columns_are_not_to_be_had(run, serving, quiet):
    """The explanation never turns a count into an error; with -q, it isn't looked for."""
    async with serving(answers(http(body='{"total_count":0}'), http(404, ""))) as server:
        status, out, err = await run("count", IDS[0], "--where", 'Col("scroe") > 3', *quiet)
    assert (status, out.split()[-2:], err) == (0, [IDS[0], "0"], "" if quiet else "1 project counted, 0 sessions\n")
    assert len(server.requests) == (1 if quiet else 2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), (".5", 0.5), ("5s", 5), ("0.5m", 30), ("2m", 120), ("1h", 3600), ("1d", 86_400), ("4w", 2_419_200)],
)
def test_timeout_is_a_number_or_a_time(text, seconds):
    """In the units of --since, and in seconds."""
    assert read_seconds(click.Context(count), count.params[0], text) == seconds


async def test_timeout_is_for_all_of_it(run, serving):
    """Projects that aren't counted by the timeout are failures."""
    async with serving(slow_after(1)):
        status, out, err = await run("count", *MANY[:3], "--format", "csv", "--timeout", "2")
    assert status == 1
    assert [line.split(",")[1] for line in out.splitlines()] == ["total_count", "100", "", ""]
    assert out.count("DeadlineExceededError") == 2
    assert err.endswith("1 of 3 projects counted, 2 failed, 100 sessions\n")


@pytest.mark.parametrize(
    "options", [["bot"], ["--all"], [IDS[0], "--by", "is_complete"], [IDS[0], "-w", WHERE, "--fail-above", "1"]]
)
async def test_timeout_is_also_for_what_comes_before(run, serving, options):
    """For the list of projects and for columns, too."""
    async with serving(slow_after(0)):
        done = await run("count", *options, "--timeout", "0.3")
    assert (done.status, "--timeout" in done.err) == (1, True)


async def test_timeout_is_one_for_all_steps(run, serving):
    """What finding a name took is missing for the count."""
    listed = json.dumps({"projects": [{"id": IDS[0], "name": "bot"}], "next_starting_token": None})

    async def behave(index, writer):
        await asyncio.sleep(1 if index == 1 else 1.5)
        writer.write(http(body=listed if index == 1 else '{"total_count":1}'))

    async with serving(behave):
        done = await run("count", "bot", "--timeout", "2")
    assert (done.status, "DeadlineExceededError" in done.out) == (1, True)


async def test_what_an_encoding_lacks_is_escaped(server, show):
    """Characters that the output's encoding lacks are escaped."""
    server.fail_next(400, body="caf\u00e9")
    _, written = await show("count", IDS[0], "--format", "csv", encoding="ascii")
    assert r"caf\xe9" in written


# ---- failures --------------------------------------------------------------------------------------------------------


async def test_a_failure_is_reported_with_its_reason(server, run):
    """On one line of stderr, with what the service says; the other counts go on, and the exit status is 1."""
    server.fail_next(422, body={"detail": [{"loc": ["body", "filter_tree"], "msg": "not yours", "type": "x"}]})
    status, out, err = await run("count", *IDS[:2], "--concurrency", "1", "--where", WHERE)
    _, failed, counted = out.splitlines()
    assert (status, failed) == (1, f"{IDS[0]}  ValidationError")
    assert counted.split()[0] == IDS[1]
    reason, last = err.splitlines()
    assert reason.startswith(f"{IDS[0]}: 422 Unprocessable ")
    assert reason.endswith(f" from {server.url}: not yours")
    assert last == f"1 of 2 projects counted, 1 failed, {counted.split()[1]} sessions"


async def test_failures_that_are_alike_are_summed_up(server, run):
    """Three of each type and status are shown, all are counted, and none is left out of the rows."""
    server.fail_next(400, body="no", times=5)
    server.fail_next(405, body="no")
    status, out, err = await run("count", *IDS, "--concurrency", "1", "--format", "json")
    errors = [row for row in objects(out) if "error" in row]
    assert (status, [row["project_id"] for row in errors]) == (1, IDS[:6])
    assert errors[5]["error"]["type"] == "ResponseError"
    assert errors[5]["error"]["message"].startswith("405")
    *first, other, more, total = err.splitlines()
    assert [line.partition(":")[0] for line in (*first, other)] == [*IDS[:3], IDS[5]]
    assert more == "2 more counts failed with ResponseError"
    assert total.startswith("6 of 12 projects counted, 6 failed, ")
