"""Projects are listed, and found by their ids and names: in arguments, in a file, on stdin and in the environment."""

import csv
import json
from datetime import datetime
from io import StringIO
from uuid import UUID

import pytest
from cli.processes import WHERE, Outcome, objects
from support.clients import COUNTS, IDS
from support.shown import check, screen
from support.sockets import PROJECT, answers, http

from galileo_sessions.local import sample_names

NAMES = sample_names()
UNKNOWN = "there is no project 'Suport chatbot' among the 12 listed. Did you mean Support chatbot?"


def page(*projects: tuple[str, str | None], then: int | None = None) -> bytes:
    """A page of the list of projects."""
    listed = [{"id": project_id, "name": name, "type": "gen_ai"} for project_id, name in projects]
    return http(body=json.dumps({"projects": listed, "paginated": True, "next_starting_token": then}))


async def test_projects_are_listed(server, run):
    """As a table for people, and with all that is known for programs."""
    status, out, err = await run("projects")
    header, *rows = out.splitlines()
    assert (status, err, header.split()) == (0, "", ["project", "id", "name"])
    assert [row.split("  ") for row in rows] == [[*each] for each in NAMES.items()]
    _, out, _ = await run("projects", "-f", "json")
    assert {row["id"]: row["name"] for row in objects(out)} == NAMES
    assert [*csv.DictReader((await run("projects", "-f", "csv")).out.splitlines())] == objects(out)
    assert all(datetime.fromisoformat(row["created_at"]).utcoffset() is not None for row in objects(out))
    assert [*objects(out)[0]] == ["id", "name", "type", "created_at", "updated_at"]


async def test_all_projects_are_counted(server, run):
    """With --all, each row has the name of its project."""
    status, out, err = await run("count", "--all", "-f", "json")
    assert (status, err) == (0, f"12 projects counted, {sum(COUNTS.values()):,} sessions\n")
    assert {row["project_id"]: row["total_count"] for row in objects(out)} == COUNTS
    assert {row["project_id"]: row["project_name"] for row in objects(out)} == NAMES
    _, out, _ = await run("count", "--all", "--by", "is_complete", "-f", "csv")
    assert out.splitlines()[0] == "project_id,project_name,label,total_count,error"
    assert len(out.splitlines()) == 1 + 3 * 12


async def test_there_may_be_no_project(run, serving):
    """If the credentials can see no project, nothing can be counted."""
    async with serving(answers(page())) as server:
        assert await run("count", "--all") == Outcome(2, "", "Error: the credentials can see no project\n")
    assert b'"value": "gen_ai"}' in server.requests[0]


async def test_all_projects_on_a_terminal(show, server):
    """Names fit on a line of 80 columns."""
    status, written = await show("count", "--all", "-w", WHERE)
    assert status == 0
    check("count_all.txt", written)


async def test_a_long_name_is_cut(show, run, server):
    """On a terminal, a name that doesn't fit ends with dots, wide characters included; elsewhere, it is whole."""
    server._names |= {IDS[0]: "A name that is much longer than the rest of a line", IDS[1]: "日本語" * 10}
    _, written = await show("count", *IDS[:2], server._names[IDS[0]])
    first, second = screen(written).splitlines()[1:3]
    assert first.endswith("312  A name that is much longer than…")
    assert second.endswith("363  " + "日本語" * 5 + " …")
    done = await run("count", *IDS[:2], server._names[IDS[0]])
    assert [line.split("  ")[-1] for line in done.out.splitlines()[1:]] == [server._names[each] for each in IDS[:2]]


async def test_a_name_stands_where_an_id_can(server, run, tmp_path, monkeypatch):
    """As an argument, in the environment, in a file and in a pipe; with an id of the same project, it counts once."""
    text = f"\ufeff# comment\r\n Support chatbot \r\n\r\n{IDS[1]}\r\n  # {IDS[2]}\n{IDS[0].upper()}"
    (file := tmp_path / "projects").write_text(text, encoding="utf-8")
    for arguments in ((" Support chatbot ", IDS[0], IDS[1]), ("--projects-from", str(file)), ("--projects-from", "-")):
        status, out, err = await run("count", *arguments, "-f", "csv", stdin=text)
        _, *rows = out.splitlines()
        assert (status, rows) == (0, [f"{IDS[0]},Support chatbot,312,", f"{IDS[1]},Travel planner,363,"])
    monkeypatch.setenv("GALILEO_PROJECT_ID", "Support chatbot")
    _, out, err = await run("count")
    assert [line.split("  ")[-1] for line in out.splitlines()] == ["name", "Support chatbot"]
    assert err == "1 project counted, 312 sessions\n"
    assert (await run("columns")).out == (await run("columns", IDS[0])).out
    monkeypatch.setenv("GALILEO_PROJECT", "Travel planner")
    assert (await run("count")).out == out
    monkeypatch.delenv("GALILEO_PROJECT_ID")
    _, out, _ = await run("count")
    assert [line.split("  ")[-1] for line in out.splitlines()] == ["name", "Travel planner"]


async def test_ids_need_no_list(run, serving):
    """The list of projects is requested only if something isn't an id."""
    async with serving(answers(http())) as server:
        assert (await run("count", PROJECT)).status == 0
        assert [b"paginated" in request for request in server.requests] == [False]


async def test_a_name_can_contain_a_number_sign(server, run, tmp_path):
    """In a file, # begins a comment only at the start of a line. White space around listed names is ignored, too."""
    server._names |= {IDS[0]: "Team", IDS[1]: " Team #1 ", IDS[2]: "bot#1"}
    (tmp_path / "projects").write_text("#none\nTeam #1\nbot#1\n  # none\n")
    status, out, _ = await run("count", "--projects-from", str(tmp_path / "projects"), "-f", "json")
    assert (status, [row["project_id"] for row in objects(out)]) == (0, IDS[1:3])


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"# none\n\n", "has no project"), (IDS[0].encode("utf-16"), "can't decode")],
    ids=["empty", "UTF-16"],
)
async def test_a_file_without_projects_is_refused(server, run, tmp_path, content, problem):
    """An empty file is an error, and so is one in UTF-16."""
    (file := tmp_path / "ids.txt").write_bytes(content)
    status, _, err = await run("count", "--projects-from", str(file))
    assert (status, err.startswith(f"Error: {file}"), problem in err, server.requests) == (2, True, True, [])


HOSTILE = "a[red]\x1b[31m\nb"


async def test_a_name_controls_no_terminal(server, run, show):
    """Neither in a table, nor in a failure, nor in the reason of an alert; in CSV only if stdout is no terminal."""
    server._names[IDS[0]] = HOSTILE
    given = ("count", HOSTILE)
    done = await run(*given, "--fail-above", "1")
    server.fail_next(404)
    failed = await run(*given)
    for text in (done.out, done.err, failed.out, failed.err):
        assert r"a[red]\x1b[31m\nb" in text
        assert "\x1b" not in text
    for command in (given, ("projects",)):
        assert "\x1b[31m" in (await run(*command, "-f", "csv")).out
        _, written = await show(*command, "-f", "csv")
        assert r"a[red]\x1b[31m" in written
        assert "\x1b[31m" not in written


async def test_a_name_is_no_formula(server, run):
    """In CSV, text that a spreadsheet would run begins with an apostrophe; JSON has it as it is."""
    for name in ("=1+1", "+1", "-1", "@sum", "\t=1", " =1", "\r\n=1", "\uff1d1", "1=1", "a\r=1", "a\r\n=1", "a\n=1"):
        server._names[IDS[0]] = name
        cell = name if name[0] in "1a" else f"'{name}"
        for command, key in (("count", "--all"), "project_name"), (("projects",), "name"):
            out = (await run(*command, "-f", "csv")).out
            assert f'"{cell}"' in out or {*cell}.isdisjoint("\r\n")
            rows = [*csv.DictReader(StringIO(out, newline=""))]
            assert rows[0][key] == cell
            assert objects((await run(*command, "-f", "json")).out)[0][key] == name


async def test_all_unknown_names_are_named_at_once(server, run, tmp_path, monkeypatch):
    """Before anything is counted, with the lines of a file and what was perhaps meant."""
    status, out, err = await run("count", "Suport chatbot", IDS[0], "zzz", IDS[0][:-1], "a fourth")
    assert (status, out, server.requests) == (2, "", [])
    assert err.splitlines() == [
        f"Error: {UNKNOWN}",
        "there is no project 'zzz' among the 12 listed",
        f"there is no project '{IDS[0][:-1]}' among the 12 listed",
    ]
    (tmp_path / "ids").write_text(f"{IDS[0]}\n\nSuport chatbot\nnope\x1b[31m\n")
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"))
    assert (status, out, server.requests) == (2, "", [])
    assert err.splitlines() == [
        f"Error: {tmp_path / 'ids'}, line 3: {UNKNOWN}",
        f"{tmp_path / 'ids'}, line 4: there is no project 'nope\\x1b[31m' among the 12 listed",
    ]
    monkeypatch.setenv("GALILEO_PROJECT_ID", f"{IDS[0]} {IDS[1]}")
    done = await run("count")
    assert (done.status, done.err.startswith("Error: GALILEO_PROJECT_ID: there is no project its value")) == (2, True)
    assert IDS[0] not in done.err
    monkeypatch.delenv("GALILEO_PROJECT_ID")
    monkeypatch.setenv("GALILEO_PROJECT", "a key in the wrong place")
    assert (await run("count")).err == "Error: GALILEO_PROJECT: there is no project its value among the 12 listed\n"
    for command in (("columns", "zzz"), ("explain", "zzz", "-w", WHERE)):
        done = await run(*command)
        assert (done.status, done.err) == (2, "Error: there is no project 'zzz' among the 12 listed\n")


async def test_a_name_can_be_ambiguous_or_the_list_refused(run, serving):
    """The ids tell several projects with one name apart. If there is no list, the error says what it is for."""
    twins = [str(UUID(int=number, version=4)) for number in (1, 2)]
    async with serving(answers(page(*[(twin, "bot") for twin in twins]))) as server:
        status, _, err = await run("count", "bot")
        assert (status, all(twin in err for twin in twins)) == (2, True)
        assert [b'"value": "bot"}' in request for request in server.requests] == [True]
    async with serving(answers(http(403, ""))) as server:
        status, _, err = await run("count", "bot")
    said = "Error: 'bot' isn't an id, and the projects can't be listed to find this name: 403 Forbidden"
    assert (status, err.startswith(said)) == (1, True)
