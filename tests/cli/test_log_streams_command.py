"""`log-streams`, and `--log-stream` with a name."""

import json
from uuid import UUID

import pytest
from support.sockets import PROJECT, http

CHATBOT = "Support chatbot"


async def test_log_streams_are_listed(server, run):
    """As a table, as JSON or as CSV."""
    table = await run("log-streams", CHATBOT)
    assert (table.status, table.err) == (0, "")
    assert ["production", "staging", "development"] == [line.split()[-1] for line in table.out.splitlines()[-3:]]
    first, *_ = (await run("log-streams", CHATBOT, "-f", "json")).out.splitlines()
    assert "production" == json.loads(first)["name"]
    head, *_ = (await run("log-streams", CHATBOT, "-f", "csv")).out.splitlines()
    assert "id,name,project_id,project_name" == head


@pytest.mark.parametrize(
    "command", [["count"], ["count", "--by", "score:1,3"], ["explain", "-w", "score > 3"], ["columns"]]
)
async def test_a_log_stream_can_be_named(server, run, command):
    """Only its sessions are counted."""
    name, *options = command
    found = await run(name, CHATBOT, *options, "--log-stream", "production")
    assert found.status == 0
    assert len({query.log_stream_id for query in server.requests} - {None}) == (command != ["columns"])
    assert all(query.log_stream_id for query in server.requests)


async def test_an_alert_judges_a_named_log_stream(server, run):
    """Its own total."""
    arguments = ["count", CHATBOT, "--log-stream", "staging", "-w", "score > 3", "--fail-above"]
    assert (0, 3) == ((await run(*arguments, "60%")).status, (await run(*arguments, "1%")).status)


@pytest.mark.parametrize("command", ["count", "columns", "explain"])
async def test_a_name_that_no_log_stream_has(server, run, command):
    """Nothing is counted, and a similar name is suggested."""
    options = ["-w", "score > 3"] if command == "explain" else []
    found = await run(command, CHATBOT, "--log-stream", "prodution", *options)
    assert (found.status, server.requests) == (2, [])
    assert "no log stream 'prodution' among the 3 listed. Did you mean production?" in found.err


async def test_each_project_that_lacks_a_named_log_stream_is_named(server, run):
    """The first three; nothing is counted. A list without log streams has their head."""
    found = await run("count", "--all", "--log-stream", "none")
    assert (found.status, server.requests) == (2, [])
    assert found.err.count(": there is no log stream 'none' among the 3 listed") == 3
    empty = await run("log-streams", str(UUID(int=1, version=4)), "-f", "csv")
    assert (empty.status, empty.out) == (0, "id,name,project_id,project_name\n")


async def test_log_streams_that_cannot_be_listed(serving, run):
    """The service's error is told, and nothing is counted."""
    async with serving(http(404, "")) as server:
        found = await run("count", PROJECT, "--log-stream", "production")
    assert (found.status, len(server.requests)) == (1, 1)
    assert "404" in found.err
