"""Projects and log streams are found by their ids and names: in arguments, a file, stdin and the environment."""

import json
from uuid import UUID

import pytest
from cli.processes import leaves
from support.clients import IDS
from support.sockets import PROJECT, answers, http

A, B, C, *_ = IDS  # the first two are Support chatbot and Travel planner, and have 312 and 363 sessions
EMPTY = str(UUID(int=1, version=4))
LIST = f"\ufeff# comment\r\n Support chatbot \r\n\r\n{B}\r\n  # {C}\n{A.upper()}"
FILES = {
    "list": LIST.encode(),
    "typos": f"{A}\n\nSuport chatbot\nnope\x1b[31m\n".encode(),
    "empty": b"# none\n\n",
    "utf16": A.encode("utf-16"),
}
BOTH = f"project_id,project_name,total_count,error\n{A},Support chatbot,312,\n{B},Travel planner,363,"
CHATBOT, PLANNER = [f"project_id,project_name,total_count,error\n{row}" for row in BOTH.splitlines()[1:]]
UNKNOWN = "there is no project 'Suport chatbot' among the 12 listed. Did you mean Support chatbot?"
ITS_VALUE = "there is no project its value among the 12 listed"
NO_STREAM = "there is no log stream 'prodution' among the 3 listed. Did you mean production?"

TARGETS = [
    # the command, variables after GALILEO_, the exit status, stderr and stdout
    (f"count ' Support chatbot ' {A} {B}", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count --projects-from list", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count --projects-from -", {}, 0, "2 projects counted, 675 sessions", BOTH),
    ("count", {"PROJECT_ID": " Support chatbot\n"}, 0, "1 project counted, 312 sessions", CHATBOT),
    ("count", {"PROJECT_ID": A, "PROJECT": B}, 0, "1 project counted, 312 sessions", f"project_id,total_...\n{A},312,"),
    ("count", {"PROJECT": "Travel planner"}, 0, "1 project counted, 363 sessions", PLANNER),
    ("log-streams", {"PROJECT": "Travel planner"}, 0, "", f"id,...\n...{B}...\n...{B}...\n...{B},Travel planner"),
    # all unknown names are told, at most three, before anything is counted
    (
        f"count 'Suport chatbot' {A} zzz {A[:-1]} 'a fourth'", {}, 2,
        f"Error: {UNKNOWN}\nthere is no project 'zzz' among the 12 listed\nthere is no project '{A[:-1]}' ...", "",
    ),
    (
        "count --projects-from typos", {}, 2,
        f"Error: typos, line 3: {UNKNOWN}\ntypos, line 4: there is no project 'nope\\x1b[31m' among the 12 listed", "",
    ),
    ("columns zzz", {}, 2, "Error: there is no project 'zzz' among the 12 listed", ""),
    ("explain zzz -w 'score > 3'", {}, 2, "Error: there is no project 'zzz' among the 12 listed", ""),
    # a variable's value can be a key in the wrong place
    ("count", {"PROJECT_ID": f"{A} {B}"}, 2, f"Error: GALILEO_PROJECT_ID: {ITS_VALUE}", ""),
    ("count", {"PROJECT": "a key in the wrong place"}, 2, f"Error: GALILEO_PROJECT: {ITS_VALUE}", ""),
    # files without projects
    ("count --projects-from empty", {}, 2, "Error: empty has no project", ""),
    ("count --projects-from utf16", {}, 2, "Error: utf16: ... can't decode ...", ""),
    # log streams
    (f"count {A} --log-stream production", {}, 0, "1 project counted, 74 sessions", f"project_id,total_...\n{A},74,"),
    (
        "count 'Support chatbot' --log-stream staging --by score:3", {}, 0, "1 project counted (3 ...), 49 sessions",
        "project_id,project_name,label,total_count,error\n"
        + "\n".join([f"{A},Support chatbot,{row}," for row in ("below 3,15", "3 and above,30", "no value,4")]),
    ),
    (f"count {A} --log-stream prodution", {}, 2, f"Error: {A}: {NO_STREAM}", ""),
    (f"columns {A} --log-stream prodution", {}, 2, f"Error: {A}: {NO_STREAM}", ""),
    (f"explain {A} --log-stream prodution -w 'score > 3'", {}, 2, f"Error: {A}: {NO_STREAM}", ""),
    (
        "count --all --log-stream none", {}, 2,
        "Error: " + "\n".join([f"{each}: there is no log stream 'none' among the 3 listed" for each in IDS[:3]]), "",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", TARGETS, ids=lambda row: row[0][:60])
async def test_where_an_id_can_stand_a_name_can(server, run, monkeypatch, tmp_path, row):
    """White space around a project is ignored; with an id of the same project, it counts once."""
    command, variables, status, err, out = row
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    for name, value in variables.items():
        monkeypatch.setenv(f"GALILEO_{name}", value)
    command += " -f csv" if command.startswith(("count", "log-streams")) else ""
    assert await run(command, stdin=LIST) == leaves(status, err, out)
    assert status == 0 or server.requests == []


async def test_a_name_can_contain_a_number_sign(server, run):
    """In a file, # begins a comment only at the start of a line. White space around listed names is ignored, too."""
    server._names |= {A: "Team", B: " Team #1 ", C: "bot#1"}
    done = await run("count --projects-from - -f csv", stdin="#none\nTeam #1\nbot#1\n  # none\n")
    assert [line[:36] for line in done.out.splitlines()[1:]] == [B, C]


@pytest.mark.parametrize("command", ["columns 'Legal guide'", "explain 'Legal guide' -w 'error_message == \"x\"'"])
async def test_a_log_stream_has_columns_of_its_own(server, run, command):
    """Here one lacks what the project has."""
    server.strict = False
    whole, part = await run(command), await run(f"{command} --log-stream development")
    assert "no column 'error_message'" not in whole.out
    assert "no column 'error_message'" in part.out or "error_message" not in part.out


def page(*projects: tuple[str, str]) -> bytes:
    """A page of the list of projects."""
    listed = [{"id": project_id, "name": name, "type": "gen_ai"} for project_id, name in projects]
    return http(body=json.dumps({"projects": listed, "paginated": True, "next_starting_token": None}))


TWINS = [str(UUID(int=number, version=4)) for number in (1, 2)]


@pytest.mark.parametrize(
    ("responses", "command", "status", "err", "asked"),
    [
        ([http()], f"count {PROJECT} -q", 0, "", "/sessions/count "),
        ([page()], "count --all", 2, "Error: the credentials can see no project", '"value": "gen_ai"}'),
        ([page(*[(each, "bot") for each in TWINS])], "count bot", 2, f"...{TWINS[0]}, {TWINS[1]}", '"value": "bot"}'),
        (
            [http(403, "")],
            "count bot",
            1,
            "Error: 'bot' isn't an id, and the projects can't be listed to find this name: 403 Forbidden...",
            '"value": "bot"}',
        ),
        ([http(404, "")], f"count {PROJECT} --log-stream production", 1, "Error: ...404 ...", "/log_streams/"),
    ],
)
async def test_no_more_is_asked_for_than_it_takes(serving, run, responses, command, status, err, asked):  # noqa: PLR0917
    """Ids need no list, and a single name only the projects that have it. What can't be listed is told."""
    async with serving(answers(*responses)) as server:
        done = await run(command)
    assert done == leaves(status, err)._replace(out=done.out)
    assert [asked in request.decode() for request in server.requests] == [True]
