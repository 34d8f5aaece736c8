"""What each command writes in each format, the demo, and the shells' completion."""

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from cli.processes import leaves, objects
from support.clients import COUNTS, IDS

from galileo_sessions import Col, CountQuery, dump_filter, dump_query
from galileo_sessions.local import sample_names

A, B, *_ = IDS  # they have 312 and 363 sessions
ALL = " ".join(IDS)
NAMES = sample_names()
EMPTY = str(UUID(int=1, version=4))
MONTHS = f"count {A} --by created_at:month --since 2026-04-01 --until 2026-07-01"
NO_COLUMNS = "Error: there are no columns: no sessions are there yet, or an id is wrong"
TIMES = ("2026-04-02T00:00:00+00:00", "2026-04-02T00:00:00+00:00")
LISTED = [{"id": each, "name": name, "type": "gen_ai"} for each, name in NAMES.items()]
SCORE = {"columns": [{"id": "score", "filter_type": "number"}]}
BOOLEAN = {"columns": [{"id": "is_complete", "filter_type": "boolean"}]}
LACKING = {"columns": [{"id": "input", "filter_type": "text"}]}
PARTS = {"true": 0, "false": 0, "no value": 0}
COMPLETE, OF_B = PARTS | {"true": 285, "false": 27}, PARTS | {"true": 333, "false": 30}
MANY_EMPTY = " ".join([str(UUID(int=number, version=4)) for number in range(1, 31)])
WRONG = "(scor > 3) & (scor < 5) & (score == 'a') & (inputt == 'x') & (nam == 'x')"
SPEAKING = {"detail": [{"loc": ["body", "filter_tree"], "msg": "not yours", "type": "x"}]}


def lines(*rows: dict) -> str:
    """Rows as JSON lines."""
    return "\n".join(map(json.dumps, rows))


def parts(project: str, **counts: int) -> str:
    """JSON lines of a project's parts."""
    return lines(*[{"project_id": project, "label": label, "total_count": count} for label, count in counts.items()])


def failed(project: str, kind: str, **more: object) -> str:
    """The JSON line of a failure."""
    return lines({"project_id": project, **more, "error": {"type": kind, "message": "..."}})


FORMATS = [
    # the server's first answers, the command, its exit status, stderr and stdout
    ([], f"count {A} {B}", 0, "2 projects counted, 675 sessions", f"""\
project id                            sessions
{A}       312
{B}       363"""),
    (
        [], f"count {' '.join(IDS[::-1])} -f json", 0, "12 projects counted, 3,343 sessions",
        lines(*[{"project_id": each, "total_count": COUNTS[each]} for each in IDS[::-1]]),
    ),
    (
        [], "count --all -f json", 0, "12 projects counted, 3,343 sessions",
        lines(*[{"project_id": each, "project_name": NAMES[each], "total_count": COUNTS[each]} for each in IDS]),
    ),
    # failures
    ([(404, 'gone,\n"away"')], f"count {A} {B} -f csv", 1, f"""\
{A}: 404 Not Found from ...
1 of 2 projects counted, 1 failed, 363 sessions""", f"""\
project_id,total_count,error
{A},,"NotFoundError: 404 ...
{B},363,"""),
    ([400] * 5 + [405] * 3, f"count {ALL} -f json", 1, f"""\
{IDS[0]}: 400 ...
{IDS[1]}: 400 ...
{IDS[2]}: 400 ...
{IDS[5]}: 405 ...
{IDS[6]}: 405 ...
{IDS[7]}: 405 ...
2 more counts failed with ResponseError
4 of 12 projects counted, 8 failed, 992 sessions""", "\n".join([
        *[failed(each, "ResponseError") for each in IDS[:8]],
        *[lines({"project_id": each, "total_count": COUNTS[each]}) for each in IDS[8:]],
    ])),
    # parts
    (  # the first count comes last, and still stands first
        [503], f"{MONTHS} {B} -f json", 0, "2 projects counted (8 requests), 675 sessions",
        parts(A, **{"2026-04": 104, "2026-05": 112, "2026-06": 96})
        + "\n" + parts(B, **{"2026-04": 122, "2026-05": 114, "2026-06": 127}),
    ),
    ([], f"count {A} --by score:1,3 -f csv", 0, "1 project counted (4 requests), 312 sessions", f"""\
project_id,label,total_count,error
{A},below 1,7,
{A},1 to 3,87,
{A},3 and above,185,
{A},no value,33,"""),
    # a session can be in several parts, so their sum isn't the total, which has its own row
    ([], f"count {A} --by tags:support,vip,beta", 0, "1 project counted (4 requests), 312 sessions", f"""\
project id                            sessions   share
{A}       312
support                                    312  100.0%
vip                                         59   18.9%
beta                                        56   17.9%"""),
    ([], f"count {EMPTY} {A} --by tags:vip -f csv", 0, "2 projects counted (3 requests), 312 sessions", f"""\
project_id,label,total_count,error
{EMPTY},,0,
{EMPTY},vip,0,
{A},,312,
{A},vip,59,"""),
    # a part that fails is told with its label; without it or the whole, there is no rest
    ([{"total_count": 312}, (422, SPEAKING)], MONTHS, 1, f"""\
{A} 2026-04: 422 Unprocessable ... from http://127.0.0.1:...: not yours
0 of 1 project counted (4 requests), 1 failed, 0 sessions""", f"""\
project id                                   sessions
{A}  ValidationError
2026-04                               ValidationError
2026-05                                           112
2026-06                                            96"""),
    (
        [SCORE, {"total_count": 9}, {"total_count": 1}, 404],
        f"count {A} --by score:1,3 -f json",
        1,
        f"{A} 1 to 3: 404 ...\n0 of 1 ...",
        "\n".join([
            parts(A, **{"below 1": 1}),
            failed(A, "NotFoundError", label="1 to 3"),
            parts(A, **{"3 and above": 185}),
        ]),
    ),
    (
        [SCORE, 404], f"count {A} --by score:1,3 -f json", 1, f"{A}: 404 ...\n0 of 1 project counted, 1 failed, 0 ...",
        failed(A, "NotFoundError"),
    ),
    # the columns of --by are those of the first project that has them, in the scope
    (
        [], f"count {MANY_EMPTY} {A} --by is_complete -f json", 0, "31 projects counted (...",
        "\n".join([parts(each, **PARTS) for each in MANY_EMPTY.split()] + [parts(A, **COMPLETE)]),
    ),
    (
        [LACKING], f"count {A} {B} --by is_complete -f json", 0, "2 projects counted (6 requests), 675 sessions",
        f"{parts(A, **COMPLETE)}\n{parts(B, **OF_B)}",
    ),
    *[
        (
            [status, BOOLEAN, status], f"count {A} {B} --by is_complete -f json", 1, f"{A}: {status} ...\n1 of 2 ...",
            f"{failed(A, kind)}\n{parts(B, **OF_B)}",
        )
        for status, kind in ((404, "NotFoundError"), (403, "PermissionDeniedError"))
    ],
    ([404], f"count {A} --by is_complete", 1, f"Error: {A}: 404 ...", ""),
    ([LACKING] * 10 + [401], f"count {ALL} --by is_completed", 2, "Error: ...no column 'is_completed'...", ""),
    ([], f"count {EMPTY} --by is_complete", 2, "Error: ... because the project has no columns...", ""),
    ([], f"count {A} --by is_complete --experiment {EMPTY}", 2, "Error: ... because the project has no columns...", ""),
    (
        [], f"count {EMPTY} --by score:1,3 -f json", 0, "1 project counted, 0 sessions\nWarning: ...",
        parts(EMPTY, **{"below 1": 0, "1 to 3": 0, "3 and above": 0, "no value": 0}),
    ),
    # with --check, a filter that doesn't fit a project is a failure, and not a 0; each mistake is named once
    (
        [], f"count {A} {B} --check -w 'tags.contains(\"vip\")'", 2,
        f"{A}: ...Col.collection('tags').contains(...)\n{B}: ...\n0 of 2 projects counted, 2 failed, 0 sessions",
        f"project id                                    sessions\n{A}  FilterCheckError\n{B}  FilterCheckError",
    ),
    ([], f'count {A} -w "{WRONG}" --since 1d --check -f json', 2, f"""\
{A}: there is no column 'scor'; did you mean score?; 'score' is filtered as number, not as text. \
Write Col.number('score').eq(...); there is no column 'inputt'; did you mean input?
0 of 1 project counted, 1 failed, 0 sessions""", failed(A, "FilterCheckError")),
    (
        [SCORE, {"total_count": 7}, LACKING], f"count {A} {B} --check -w 'score > 3' -f json", 1,
        f"{B}: ...\n1 of 2 projects counted, 1 failed, 7 sessions",
        lines({"project_id": A, "total_count": 7}) + "\n" + failed(B, "FilterCheckError"),
    ),
    (
        [LACKING, SCORE, {"total_count": 7}], f"count {B} {A} --check -w 'score > 3' -f json", 1,
        f"{B}: ...\n1 of 2 projects counted, 1 failed, 7 sessions",
        failed(B, "FilterCheckError") + "\n" + lines({"project_id": A, "total_count": 7}),
    ),
    # lists
    (
        [], "projects", 0, "",
        "\n".join([f"project id{'':26}  name", *[f"{each}  {name}" for each, name in NAMES.items()]]),
    ),
    ([], "projects -f json", 0, "", lines(*[{**each, "created_at": "...", "updated_at": "..."} for each in LISTED])),
    (
        [], "projects -f csv", 0, "",
        "\n".join(["id,name,type,created_at,updated_at", *[",".join([*each.values(), *TIMES]) for each in LISTED]]),
    ),
    ([], "log-streams 'Support chatbot'", 0, "", """\
log stream id                         name
5dfcdd0e-91eb-4776-959e-d5a47a9995a1  production
e6f34f01-e6e2-4ad3-98fd-597865cf326f  staging
600085a1-8e78-4a69-bff3-11ab0f301443  development"""),
    ([], f"log-streams {EMPTY} -f csv", 0, "", "id,name,project_id,project_name"),
    # columns
    (
        [{"columns": [{"id": "score", "label": "S", "filter_type": "number"}, {"id": "metrics/a"}]}],
        f"columns {A}", 0, "", "id         filter type  label\nscore      number       S\nmetrics/a",
    ),
    ([], f"columns {EMPTY}", 1, NO_COLUMNS, ""),
    ([], f"columns {A} --log-stream {EMPTY} -f json", 1, NO_COLUMNS, ""),
    ([], f"columns {A} --experiment {EMPTY}", 1, NO_COLUMNS, ""),
    # explain; its counts can fail
    ([], f"explain {A} -w 'score > 3' --experiment {EMPTY}", 0, "Warning: the count is 0, and project ...", """\
                sessions
score > 3              0
↑ no session satisfies this condition"""),
    ([404, 401], f"explain {A} -w 'score > 3'", 1, f"Error: {A}: 401 ...", ""),
    ([404, (404, "\x1b[31m")], f"explain {A} -w 'score > 3'", 1, "", r"""...
score > 3         failed
↑ NotFoundError: 404 Not Found from http://127.0.0.1:...: '\x1b[31m'"""),
]  # fmt: skip


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: re.sub("([0-9a-f]{4})[0-9a-f-]{30,}", r"\1", row[1])[:80])
async def test_what_a_command_writes(server, script, run, row):
    """Rows are in the order of the projects. Failures and totals are on stderr; one that fails stops no other."""
    responses, command, status, err, out = row
    script(*responses)
    command += " --concurrency 1" if command.startswith("count") else ""
    assert await run(command) == leaves(status, err, out)
    assert status != 2 or server.requests == []


async def test_columns_as_json_are_the_services_own_form(server, run):
    """`load_catalog` reads it."""
    columns = json.loads((await run(f"columns {A} -f json")).out)["columns"]
    assert {"id": "score", "filter_type": "number"}.items() <= {each["id"]: each for each in columns}["score"].items()


# ---- text of users and of the service --------------------------------------------------------------------------------

HOSTILE = "a[red]\x1b]0;owned\x07\x1b[31m[link=http://x]y\u202e"
ESCAPED = r"a[red]\x1b]0;owned\x07\x1b[31m[link=http://x]y\u202e"


async def test_hostile_text_is_inert(server, script, run):
    """Neither escapes nor markup of a server's text reach the terminal."""
    column = {"id": "a[bold]b\x1b[31m", "label": HOSTILE, "description": f"{HOSTILE}\n\tend"}
    script({"columns": [column | {"allowed_values": [HOSTILE, 3], "filter_type": "text"}]})
    status, table, _ = await run(f"columns {A}")
    assert (status, table.splitlines()[1:]) == (
        0,
        [rf"a[bold]b\x1b[31m  text         {ESCAPED}  {ESCAPED}, 3  {ESCAPED} end"],
    )
    for output in ("table", "json", "csv"):
        script((400, HOSTILE))
        done = await run(f"count {A} --format {output}")
        assert (done.status, ESCAPED in done.err) == (1, True)
        assert {"\x1b", "\x07", "\u202e"}.isdisjoint(done.out + done.err)


async def test_a_name_controls_no_terminal(server, script, run, show):
    """Neither in a table, nor in a failure, nor in the reason of an alert; in CSV only if stdout is no terminal."""
    name = server._names[A] = f"{HOSTILE}\nb"
    alert = await run(f"count '{name}' --fail-above 1")
    script(404)
    failure = await run(f"count '{name}'")
    for text in (alert.out, alert.err, failure.out, failure.err):
        assert rf"{ESCAPED}\nb" in text
        assert "\x1b" not in text
    for command in (f"count '{name}' -f csv", "projects -f csv"):
        assert "\x1b[31m" in (await run(command)).out
        _, written = await show(command)
        assert (ESCAPED in written, "\x1b[31m" in written) == (True, False)


async def test_a_name_is_no_formula(server, run):
    """In CSV, text that a spreadsheet would run begins with an apostrophe; JSON has it as it is."""
    formulas = ["=1+1", "+1", "-1", "@sum", "\t=1", " =1", "\r\n=1", "\uff1d1"]
    names = [*formulas, "1=1", "a\r=1", "a\r\n=1", "a\n=1"]
    server._names |= dict(zip(IDS, names, strict=True))
    out = (await run("projects -f csv")).out
    cells = [f"'{name}" if name in formulas else name for name in names]
    assert [row["name"] for row in csv.DictReader(StringIO(out, newline=""))] == cells
    assert [cell for cell in cells if not {*cell}.isdisjoint("\r\n") and f'"{cell}"' not in out] == []
    assert [row["name"] for row in objects((await run("projects -f json")).out)] == names


# ---- explain, and the demo -------------------------------------------------------------------------------------------


async def test_explain_draws_a_filter(run, monkeypatch):
    """Without PROJECT, it shows the drawing and the JSON, and requests nothing, whatever else names a project."""
    monkeypatch.setenv("GALILEO_PROJECT_ID", A)
    where = Col("input").contains("x") & ~Col("score").gt(3)
    query = CountQuery(B, where, experiment_id=EMPTY)
    status, out, err = await run("explain --where-json -", json.dumps(dump_query(query)))
    drawing, tree = out.split("\n\n")
    assert drawing.splitlines()[1] == "├─ input contains 'x'   text"
    assert (status, err, json.loads(tree)) == (0, "", dump_filter(where))


def test_the_demo_is_narrow_and_takes_less_than_three_seconds_of_cpu():
    """As a command of its own, with warnings as errors, it exits with 0. Its CPU time is as short on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, "-W", "error", "-m", "galileo_sessions"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (run.returncode, run.stderr, max(map(len, run.stdout.splitlines())) <= 60) == (0, "", True)
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
