"""`columns` lists what a filter can use, and lets no text of a server command the terminal."""

import json
from uuid import UUID

from support.clients import IDS

UNKNOWN = str(UUID(int=1, version=4))
HOSTILE = "\x1b]0;owned\x07[red]\x1b[2J[link=http://x]y\u202e"


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
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[0])
    assert (await run("columns")).out == table


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
        assert done.status == 1
        assert r"\x1b]0;owned\x07[red]" in done.err
        table += done.out + done.err
    assert not {"\x1b", "\x07", "\u202e"} & {*table}
