"""Failures that are alike are summed up, in the words of the command line."""

import json

import pytest
from support.processes import IDS, objects
from support.servers import PROJECT

from galileo_sessions import AttemptTimeoutError, ConfigurationError, DeadlineExceededError, FilterError
from galileo_sessions.cli.failures import message


async def test_failures_that_are_alike_are_summed_up(server, run):
    """Three of them are told in full, all are counted, and none is left out of the rows."""
    server.fail_next(404, times=5)
    server.fail_next(400, body="no", times=1)
    status, out, err = await run("count", *IDS, "--concurrency", "1", "--format", "json")
    assert status == 1
    assert sum("error" in row for row in objects(out)) == 6
    *told, summary, total = err.splitlines()
    assert [line.split(": ")[0] for line in told if not line.startswith(" ")] == [*IDS[:3], IDS[5]]
    assert summary == (
        "5 counts failed with the same NotFoundError, of which the first 3 are above; --errors FILE writes all of them"
    )
    assert total.startswith("6 of 12 counted, 6 failed")


async def test_all_failures_are_in_a_file(server, run, tmp_path):
    """As JSON lines, also where an error ends it all; a file that can't be written is bad usage."""
    file = tmp_path / "errors.jsonl"
    server.fail_next(404, times=5)
    _, _, err = await run("count", *IDS, "--concurrency", "1", "--errors", str(file))
    rows = objects(file.read_text())
    assert [row["project_id"] for row in rows] == IDS[:5]
    assert rows[0]["error"]["type"] == "NotFoundError"
    assert f"are above; all of them are in {file}" in err
    server.fail_next(404)
    server.fail_next(401)
    status, _, _ = await run("count", *IDS, "--concurrency", "1", "--errors", str(file))
    assert (status, len(objects(file.read_text()))) == (1, 1)
    assert (await run("count", IDS[0], "--errors", str(tmp_path / "no" / "file"))).status == 2


async def test_results_in_the_order_of_the_projects(server, run):
    """With --ordered, a failure keeps its place too."""
    server.fail_next(503, times=2)
    _, out, _ = await run("count", *reversed(IDS), "--ordered", "--format", "json")
    assert [json.loads(line)["project_id"] for line in out.splitlines()] == [*reversed(IDS)]


async def test_messages_speak_of_options_and_the_environment(server, run, monkeypatch):
    """GALILEO_API_URL, and no argument of Python's."""
    server.fail_next(404)
    assert "GALILEO_API_URL is the API's" in (await run("count", IDS[0])).err
    monkeypatch.setenv("GALILEO_API_KEY", "wrong")
    refused = await run("count", IDS[0])
    assert "the deployment that GALILEO_API_URL names" in refused.err
    monkeypatch.setenv("GALILEO_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    for text in (refused.err, (await run("columns", IDS[0])).err):
        assert "base_url" not in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ConfigurationError("no credentials. Set GALILEO_API_KEY in it, or write GalileoSessions(api_key=...)"),
            "no credentials. Set GALILEO_API_KEY in it",
        ),
        (
            AttemptTimeoutError("x took longer than Timeouts(attempt=...) or timeout= allow, in phase y", phase="body"),
            "x took longer than 30 seconds, or than --timeout allows, in phase y",
        ),
        (DeadlineExceededError("timeout= ran out"), "--timeout ran out"),
        (ConfigurationError("metrics_testing_id 'x' is no UUID"), "--metrics-testing 'x' is no UUID"),
        (ConfigurationError("log_stream_id 'x' is no UUID"), "--log-stream 'x' is no UUID"),
        (FilterError("base_url"), "base_url"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_python_arguments_have_the_names_of_options(error, told):
    """A filter's own words are left alone."""
    assert message(error) == told


@pytest.mark.parametrize("command", ["", "count", "columns", "explain", "serve", "demo"])
async def test_each_command_has_its_short_help(run, command):
    """-h is --help."""
    arguments = [command] if command else []
    short, long = await run(*arguments, "-h"), await run(*arguments, "--help")
    assert short == long
    assert short.out.startswith("Usage: ")
    assert PROJECT not in short.out
