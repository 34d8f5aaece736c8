"""Projects are listed, counted without an exception, and found by their names."""

import csv
import json
from uuid import UUID

import pytest
from support.processes import COUNTS, IDS, WHERE, objects
from support.servers import PROJECT, answers, http, raw_server
from support.terminal import check, screen

from galileo_sessions.cli.screen import in_thread
from galileo_sessions.local import sample_names

NAMES = sample_names()
UNKNOWN = "there is no project 'Suport chatbot' among 12. Did you mean Support chatbot?"


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
    _, out, _ = await run("projects", "-f", "csv")
    assert {row["id"]: row["name"] for row in csv.DictReader(out.splitlines())} == NAMES
    _, out, _ = await run("projects", "-f", "json")
    assert {row["id"]: row["name"] for row in objects(out)} == NAMES
    assert [*objects(out)[0]] == ["id", "name", "type", "created_at", "updated_at"]


@pytest.mark.usefixtures("_key")
async def test_many_projects_are_written_at_once(run, monkeypatch):
    """A hundred lines at a time, so that a thread isn't started for each."""
    ids = [str(UUID(int=number, version=4)) for number in range(250)]
    writes = []
    monkeypatch.setattr("galileo_sessions.cli.commands.in_thread", lambda call: writes.append(call) or in_thread(call))
    async with raw_server(answers(page(*[(each, each) for each in ids]))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        _, out, _ = await run("projects", "-f", "csv")
    assert [row["id"] for row in csv.DictReader(out.splitlines())] == ids
    assert len(writes) == 3


@pytest.mark.usefixtures("_key")
async def test_a_page_is_written_before_the_next_one(run, monkeypatch):
    """What came before a page that fails has been written; a name can be missing, and controls no terminal."""
    ids = [str(UUID(int=number, version=4)) for number in range(3)]
    pages = answers(page((ids[0], "a\x1b[31m"), (ids[1], None), then=2), http(404, ""))
    async with raw_server(pages) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        status, out, err = await run("projects")
    assert (status, out.splitlines()[1:]) == (1, [f"{ids[0]}  a\\x1b[31m", ids[1]])
    assert err.startswith("Error: 404 Not Found")


async def test_all_projects_are_counted(server, run):
    """With --all, each row has the name of its project."""
    status, out, err = await run("count", "--all", "-f", "json")
    assert (status, err) == (0, f"12 projects counted, {sum(COUNTS.values()):,} sessions\n")
    assert {row["project_id"]: row["total_count"] for row in objects(out)} == COUNTS
    assert {row["project_id"]: row["project_name"] for row in objects(out)} == NAMES
    _, out, _ = await run("count", "--all", "--by", "is_complete", "-f", "csv")
    assert out.splitlines()[0] == "project_id,project_name,label,total_count,error"
    assert len(out.splitlines()) == 1 + 3 * 12


@pytest.mark.usefixtures("_key")
async def test_there_may_be_no_project(run, monkeypatch):
    """If the credentials can see no project, nothing can be counted."""
    async with raw_server(answers(page())) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        done = await run("count", "-", "-f", "json", stdin="a\nb\n")
        assert (done.status, len(objects(done.out)), len(server.requests)) == (1, 2, 1)
        done = await run("count", "--all")
    assert (done.status, done.err.splitlines()[-1]) == (2, "Error: the list of projects is empty")


async def test_all_projects_on_a_terminal(show, server):
    """Names fit on a line of 80 columns."""
    status, written = await show("count", "--all", "--ordered", "-w", WHERE)
    assert status == 0
    check("count_all.txt", written)


async def test_a_long_name_is_cut(show, server):
    """On a terminal, a name that doesn't fit ends with dots; elsewhere, it is whole."""
    long = "A name that is much longer than the rest of a line on a terminal"
    server._names[IDS[0]] = long
    _, written = await show("count", long)
    assert screen(written).splitlines()[1].endswith("312  A name that is much longe…")


async def test_a_name_stands_where_an_id_can(server, run, tmp_path, monkeypatch):
    """As an argument, in the environment, in a file and in a pipe; with an id of the same project, it counts once."""
    file = tmp_path / "projects"
    file.write_text(f"# comment\nSupport chatbot\n{IDS[1]} # the second\n{IDS[0]}\n")
    text = file.read_text()
    for arguments in (("Support chatbot", IDS[0], IDS[1]), ("--projects-from", str(file)), ("-",)):
        status, out, err = await run("count", *arguments, "-f", "csv", "--ordered", stdin=text)
        assert (status, out.splitlines()) == (
            0,
            [
                "project_id,project_name,total_count,error",
                f"{IDS[0]},Support chatbot,312,",
                f"{IDS[1]},Travel planner,363,",
            ],
        )
    monkeypatch.setenv("GALILEO_PROJECT_ID", "Support chatbot")
    _, out, err = await run("count")
    assert out.splitlines() == [
        "project id                                  sessions  name",
        f"{IDS[0]}             312  Support chatbot",
    ]
    assert err == "1 project counted, 312 sessions\n"
    assert (await run("columns")).out == (await run("columns", IDS[0])).out


async def test_ids_need_no_list(run, monkeypatch):
    """The list of projects is requested only if something isn't an id."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    async with raw_server(answers(http())) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        assert (await run("count", PROJECT)).status == 0
        assert [b"paginated" in request for request in server.requests] == [False]


async def test_a_name_can_contain_a_number_sign(server, run, tmp_path):
    """In a file or a pipe, # begins a comment only at the start of a line or after an id."""
    server._names |= {IDS[0]: "Team", IDS[1]: "Team #1", IDS[2]: "bot#1"}
    text = f"#none\nTeam #1\nbot#1\n  # none\n{IDS[3]}\t# one # two\n"
    (tmp_path / "projects").write_text(text)
    for source in (("--projects-from", str(tmp_path / "projects")), ("-",)):
        status, out, _ = await run("count", *source, "-f", "json", "--ordered", stdin=text)
        assert (status, [row["project_id"] for row in objects(out)]) == (0, IDS[1:4])


async def test_white_space_around_a_name_is_ignored(server, run):
    """In the list of projects and on the command line."""
    server._names[IDS[0]] = " bot "
    for given in ("bot", " bot "):
        _, out, _ = await run("count", given, "-f", "json")
        assert [row["project_id"] for row in objects(out)] == [IDS[0]]


async def test_many_unknown_names_are_summed_up(server, run, monkeypatch):
    """Three are shown. What was perhaps meant is searched only for them, because it takes a while."""
    asked = []
    monkeypatch.setattr("galileo_sessions.api.projects.did_you_mean", lambda name, _: asked.append(name) or "")
    unknown = [f"x{number}" for number in range(1_003)]
    status, _, err = await run("count", *unknown, "Support chatbot", IDS[1])
    *shown, more = err.splitlines()
    assert (status, len(shown), more, asked) == (2, 3, "1,000 more", unknown[:3])


HOSTILE = "a\x1b[31m\nb"


async def test_a_name_controls_no_terminal(server, run, show):
    """Neither in a table, nor in a failure, nor in the reason of an alert; in CSV only if stdout is no terminal."""
    server._names[IDS[0]] = HOSTILE
    given = ("count", HOSTILE)
    done = await run(*given, "--fail-above", "1")
    server.fail_next(404)
    failed = await run(*given)
    for text in (done.out, done.err, failed.out, failed.err):
        assert r"a\x1b[31m\nb" in text
        assert "\x1b" not in text
    for command in (given, ("projects",)):
        assert "\x1b[31m" in (await run(*command, "-f", "csv")).out
        _, written = await show(*command, "-f", "csv")
        assert r"a\x1b[31m" in written
        assert "\x1b[31m" not in written


async def test_a_line_of_a_pipe_controls_no_terminal(server, run):
    """Neither in the table, nor as the reason of an alert."""
    done = await run("count", "-", "--fail-above", "1", stdin="a\x1b[31m\n")
    assert done.out.splitlines()[1].split() == [r"a\x1b[31m", "failed", "ProjectLookupError"]
    assert "\x1b" not in done.out + done.err


async def test_all_unknown_names_are_named_at_once(server, run, tmp_path, monkeypatch):
    """Before anything is counted, with the lines of a file and what was perhaps meant."""
    status, out, err = await run("count", "Suport chatbot", IDS[0], "zzz", IDS[0][:-1])
    assert (status, out, server.requests) == (2, "", [])
    assert err.splitlines() == [
        f"Error: {UNKNOWN}",
        "there is no project 'zzz' among 12",
        f"there is no project '{IDS[0][:-1]}' among 12",
    ]
    (tmp_path / "ids").write_text(f"{IDS[0]}\n\nSuport chatbot\nnope\x1b[31m\n")
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"))
    assert (status, out, server.requests) == (2, "", [])
    assert err.splitlines() == [
        f"Error: {tmp_path / 'ids'}, line 3: {UNKNOWN}",
        f"{tmp_path / 'ids'}, line 4: there is no project 'nope\\x1b[31m' among 12",
    ]
    monkeypatch.setenv("GALILEO_PROJECT_ID", f"{IDS[0]} {IDS[1]}")
    done = await run("count")
    assert (done.status, done.err.startswith("Error: GALILEO_PROJECT_ID: there is no project ")) == (2, True)
    for command in (("columns", "zzz"), ("explain", "zzz", "-w", WHERE)):
        done = await run(*command)
        assert (done.status, done.err) == (2, "Error: there is no project 'zzz' among 12\n")


async def test_a_line_of_a_pipe_that_is_no_project_fails(server, run):
    """The other lines are counted. The failure has its line and its reason."""
    lines = "\n".join([IDS[0], "zzz", "zzz", "Support chatbot", "Travel planner"])
    status, out, err = await run("count", "-", "-f", "json", "--ordered", stdin=lines)
    first, failed, last = objects(out)
    assert (status, first["total_count"], last["total_count"]) == (1, COUNTS[IDS[0]], COUNTS[IDS[1]])
    reason = "line 2: there is no project 'zzz' among 12"
    assert failed == {"project_id": "zzz", "error": {"type": "ProjectLookupError", "message": reason}}
    assert err.splitlines() == [reason, "2 projects counted, 1 failed, 675 sessions"]
    _, out, _ = await run("count", "-", "-f", "json", "--ordered", "--by", "score:3", stdin=lines)
    assert objects(out)[3] == failed
    status, out, err = await run("count", "-", "-f", "json", "--fail-fast", stdin=lines)
    assert (status, err.splitlines()[-1]) == (2, "Error: line 2: there is no project 'zzz' among 12")


@pytest.mark.usefixtures("_key")
async def test_a_name_can_be_ambiguous_or_the_list_refused(run, monkeypatch):
    """The ids tell several projects with one name apart. If there is no list, the error says what it is for."""
    twins = [str(UUID(int=number, version=4)) for number in (1, 2)]
    async with raw_server(answers(page(*[(twin, "bot") for twin in twins]))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        status, _, err = await run("count", "bot")
        assert (status, all(twin in err for twin in twins)) == (2, True)
    async with raw_server(answers(http(403, ""))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        status, _, err = await run("count", "bot")
    said = "Error: 'bot' isn't an id, and the projects can't be listed to find this name: 403 Forbidden"
    assert (status, err.startswith(said)) == (1, True)


async def test_failures_have_names(server, run):
    """A row of a project that failed has its name, and so has the reason."""
    server.fail_next(404)
    _, out, err = await run("count", "Support chatbot")
    assert out.splitlines()[1] == f"{IDS[0]}          failed  NotFoundError  Support chatbot"
    assert err.startswith(f"{IDS[0]} Support chatbot: 404")
