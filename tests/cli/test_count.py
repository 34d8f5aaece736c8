"""`count` counts projects that arguments or a file name, and reports results, failures and totals."""

import csv
import json
from uuid import UUID

import pytest
from support.processes import COUNTS, IDS, MANY, WHERE, Outcome, objects, outcome, process, slow_after
from support.servers import PROJECT, raw_server

from galileo_sessions import Col, dump_filter


async def test_a_table_for_people(server, run_both):
    """A line for each project, counts to the right, and the total below."""
    done = await run_both("count", *IDS[:2], "--concurrency", "1")
    assert done == Outcome(
        0,
        "project id                                  sessions\n"
        f"{IDS[0]}             {COUNTS[IDS[0]]}\n"
        f"{IDS[1]}             {COUNTS[IDS[1]]}\n"
        f"total                                            {COUNTS[IDS[0]] + COUNTS[IDS[1]]}\n",
        "",
    )


async def test_json_for_programs(server, run_both):
    """An object a line, nothing else on stdout; the total is on stderr."""
    status, out, err = await run_both("count", *IDS, "--format", "json")
    assert (status, err) == (0, f"12 of 12 counted, total {sum(COUNTS.values()):,}\n")
    assert {row["project_id"]: row["total_count"] for row in objects(out)} == COUNTS


async def test_csv_for_spreadsheets(server, run):
    """A header, a row for each project; what failed has an error in place of a count."""
    server.fail_next(404, body='gone,\n"away"')
    status, out, err = await run("count", *IDS[:2], "--format", "csv", "--concurrency", "1")
    header, failed, counted = csv.reader(out.splitlines())
    assert header == ["project_id", "total_count", "error"]
    assert failed[:2] == [IDS[0], ""]
    assert failed[2].startswith("NotFoundError: 404")
    assert counted == [IDS[1], str(COUNTS[IDS[1]]), ""]
    assert status == 1
    assert err.startswith(f"{IDS[0]}: 404")
    assert err.endswith(f"\n1 of 2 counted, 1 failed, total {COUNTS[IDS[1]]}\n")


async def test_filter_and_scope_travel(server, run, tmp_path, monkeypatch):
    """A filter as text, from a file or stdin, and the ids of a scope reach the service; the environment's too."""
    scope = [str(UUID(int=number, version=4)) for number in range(4)]
    monkeypatch.setenv("GALILEO_LOG_STREAM_ID", scope[3])
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[1])
    (tmp_path / "where.json").write_text(tree := json.dumps(dump_filter(Col("score") > 3)))
    options = ["--log-stream", scope[0], "--experiment", scope[1], "--metrics-testing", scope[2]]
    for arguments, stdin in (
        (["--where", WHERE, *options, IDS[0]], ""),
        (["--where-json", str(tmp_path / "where.json")], ""),
        (["--where-json", "-"], tree),
    ):
        assert (await run("count", *arguments, stdin=stdin)).status == 0
    first, second, third = server.requests
    assert first.where == second.where == third.where == (Col("score") > 3)
    assert [first.log_stream_id, first.experiment_id, first.metrics_testing_id] == scope[:3]
    assert (first.project_id, second.project_id, second.log_stream_id) == (IDS[0], IDS[1], scope[3])


async def test_a_log_stream_of_the_environment_is_named(server, run, monkeypatch):
    """Who has forgotten that it is set would take the 0 of another project for the truth."""
    monkeypatch.setenv("GALILEO_LOG_STREAM_ID", PROJECT)
    note = f"in log stream {PROJECT} only, as GALILEO_LOG_STREAM_ID says\n"
    assert (await run("count", IDS[0])).err == note
    assert (await run("count", IDS[0], "--log-stream", PROJECT)).err == ""
    assert (await run("columns", IDS[0])).err == note


async def test_a_filter_is_checked_before_it_is_counted(server, run):
    """With --check, a column that isn't there is an error and not a 0; nothing was counted."""
    status, out, err = await run("count", *IDS[:2], "--check", "--where", 'Col("tags").contains("vip")')
    assert (status, out) == (2, "")
    assert "Col.collection('tags').contains('vip')" in err
    assert server.requests == []
    assert (await run("count", IDS[0], "--check", "--where", 'Col("score") > 3')).status == 0
    assert len(server.requests) == 1


async def test_nothing_at_all_may_be_a_column_that_is_not_there(server, run):
    """A 0 in all says how to make sure; not where the columns were checked, nor where no filter asks for one."""
    server.strict = False
    hint = (
        "0 in all; a column that doesn't exist, or is of another type, counts 0 as well. "
        "With --check that is an error\n"
    )
    assert (await run("count", *IDS[:2], "--where", 'Col("scroe") > 3')).err == hint
    assert hint in (await run("count", IDS[0], "--by", "craeted_at:day", "--since", "3d", "--format", "json")).err
    assert hint not in (await run("count", *IDS[:2], "--where", 'Col("score") > 9e9', "--check")).err
    assert hint not in (await run("count", str(UUID(int=1, version=4)))).err
    assert hint not in (await run("count", *IDS[:2], "--where", 'Col("score") > 3')).err
    server.fail_next(404)
    assert hint not in (await run("count", IDS[0], "--where", 'Col("scroe") > 3')).err


async def test_a_filter_is_checked_for_each_project_of_a_file(server, run):
    """With --check and a file, a filter that doesn't fit is a failure of each project; nothing was counted."""
    arguments = ("count", "--projects-from", "-", "--check", "--where", 'Col("tags").contains("vip")')
    status, out, err = await run(*arguments, stdin="\n".join(IDS[:2]))
    assert (status, out.count("FilterCheckError")) == (1, 2)
    assert "Col.collection('tags').contains('vip')" in err
    assert server.requests == []


async def test_failures_are_named_and_the_rest_goes_on(server, run_both):
    """What failed is named on stderr with the whole reason; the exit status is 1."""
    server.fail_next(422, body={"detail": [{"loc": ["body", "filter_tree"], "msg": "not yours", "type": "x"}]})
    status, out, err = await run_both("count", *IDS[:2], "--concurrency", "1", "--where", WHERE)
    _, failed, counted, total = out.splitlines()
    assert status == 1
    assert failed == f"{IDS[0]}          failed  ValidationError"
    assert counted.split()[0] == IDS[1]
    assert total.split() == ["total", counted.split()[1]]
    first, *more = err.splitlines()
    assert first.startswith(f"{IDS[0]}: 422")
    assert all(line.startswith("  ") for line in more)
    assert "not yours" in err


async def test_fail_fast_ends_with_the_first_failure(server, run):
    """--fail-fast prints what was counted, names the failure and ends with 1."""
    server.fail_next(200, body={"total_count": 7})
    server.fail_next(404)
    status, out, err = await run("count", *IDS, "--fail-fast", "--concurrency", "1", "--format", "json")
    assert (status, objects(out)) == (1, [{"project_id": IDS[0], "total_count": 7}])
    stopped, error = err.splitlines()
    assert stopped == "stopped; 1 of 12 counted, total 7"
    assert error.startswith(f"Error: {IDS[1]}: 404")


async def test_refused_credentials_end_it(server, run, monkeypatch):
    """No other count could succeed: the message, and status 1."""
    monkeypatch.setenv("GALILEO_API_KEY", "wrong")
    status, out, err = await run("count", *IDS, "--format", "json")
    assert (status, out) == (1, "")
    assert "Error: " in err
    assert "401" in err
    assert "Traceback" not in err


async def test_a_json_error_has_type_and_message(server, run):
    """A program sees which error it was; a timeout is one."""
    server.fail_next(400, body="no", times=1)
    status, out, _ = await run("count", IDS[0], "--format", "json", "--timeout", "30")
    (row,) = objects(out)
    assert status == 1
    assert row["project_id"] == IDS[0]
    assert row["error"]["type"] == "BadRequestError"
    assert row["error"]["message"].startswith("400")


@pytest.mark.usefixtures("_key")
async def test_timeout_is_for_all_of_it(monkeypatch):
    """What isn't counted by then has failed."""
    async with raw_server(slow_after(1)) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        status, out, err = await outcome("count", *MANY[:3], "--format", "csv", "--timeout", "0.5")
    assert status == 1
    assert [line.split(",")[1] for line in out.splitlines()] == ["total_count", "100", "", ""]
    assert out.count("DeadlineExceededError") == 2
    assert err.endswith("1 of 3 counted, 2 failed, total 100\n")


async def test_what_an_encoding_lacks_is_escaped(server, monkeypatch):
    """No terminal and no pipe is too old."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    server.fail_next(400, body="caf\u00e9")
    counted = await outcome("count", IDS[0], "--format", "csv")
    assert r"caf\xe9" in counted.out
    assert r"caf\xe9" in counted.err
    demo = await outcome("demo")
    assert (demo.status, demo.err) == (0, "")
    assert r"\u2588\u2588" in demo.out


# ---- projects from a file --------------------------------------------------------------------------------------------


async def test_projects_come_from_a_file(server, run, tmp_path):
    """One id a line; what is empty or follows a # is skipped; the last line needs no end; all are counted first."""
    (tmp_path / "ids").write_text(f"\ufeff{IDS[0]}\r\n\n# all\n  {IDS[1]}  # the second\n#{IDS[2]}\n{IDS[3]}")
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"), "--format", "json")
    assert {row["project_id"] for row in objects(out)} == {IDS[0], IDS[1], IDS[3]}
    assert (status, err) == (0, f"3 of 3 counted, total {COUNTS[IDS[0]] + COUNTS[IDS[1]] + COUNTS[IDS[3]]:,}\n")


@pytest.mark.parametrize(
    ("bad", "shown"),
    [("nope", "'nope'"), ("\x1b[31m", r"'\x1b[31m'"), ("x" * 200_000, "'xxx")],
    ids=["word", "escape", "long"],
)
async def test_a_bad_id_is_named_by_its_line(server, run, bad, shown):
    """What came before it is counted and printed."""
    stdin = "\n".join([*IDS * 10, bad, "nor this"])
    status, out, err = await run("count", "--projects-from", "-", "--format", "json", stdin=stdin)
    assert (status, len(out.splitlines())) == (2, 120)
    assert f"Error: stdin, line 121: project_id {shown}" in err
    assert "\x1b" not in err
    assert err.startswith("stopped; 120 counted, total ")


async def test_a_file_that_cannot_be_read_is_bad_usage(server, run, monkeypatch):
    """A file that fails while it is read is named."""
    status, out, err = await run("count", "--projects-from", "/proc/self/mem", "--format", "json")
    assert (status, out) == (2, "")
    assert err.endswith("Error: /proc/self/mem: Input/output error\n")


async def test_a_line_without_an_end_is_a_bad_id(server):
    """It isn't read to an end that never comes."""
    async with process("count", "--projects-from", "/dev/zero") as running:
        assert b"Error: /dev/zero, line 1: project_id '\\x00" in await running.stderr.read()
        assert await running.wait() == 2


async def test_a_slow_pipe_stops_nothing(server):
    """Results of the first lines come while the pipe is open and silent."""
    async with process("count", "--projects-from", "-", "--format", "json", stdin=-1) as running:
        for project in IDS[:3]:
            running.stdin.write(f"{project}\n".encode())
            row = json.loads(await running.stdout.readline())
            assert row == {"project_id": project, "total_count": COUNTS[project]}
        running.stdin.close()
        assert await running.stderr.read() == f"3 counted, total {sum(COUNTS[p] for p in IDS[:3]):,}\n".encode()
        assert await running.wait() == 0
