"""What each command writes: in each format, on a terminal, and for shells that complete it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from cli.processes import leaves, objects, process
from support.clients import IDS
from support.terminal import check, screen

from galileo_sessions import Col, CountQuery, dump_filter, dump_query
from galileo_sessions.local import sample_names

A, B, *_ = IDS  # they have 312 and 363 sessions
EMPTY = str(UUID(int=1, version=4))
LETTERS = dict(zip("ABCDEFGHIJKLZ", [*IDS, EMPTY], strict=True))
SCORE = {"columns": [{"id": "score", "filter_type": "number"}]}
BOOLEAN = {"columns": [{"id": "is_complete", "filter_type": "boolean"}]}
LACKING = {"columns": [{"id": "input", "filter_type": "text"}]}
TRANSCRIPTS = (Path(__file__).parent / "transcripts.txt").read_text(encoding="utf-8").strip().split("\n\n")[1:]


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda text: text[text.index("$") :][:60])
async def test_what_a_command_writes(server, script, run, transcript):
    """As transcripts.txt says; its head explains the marks. With status 2, nothing was counted."""
    marked = defaultdict[str, list[str]](list)
    for line in re.sub(r"\b[A-LZ]\b", lambda letter: LETTERS[letter[0]], transcript).splitlines():
        mark = line[0] if line[0] in "#<$![" else "out"
        marked[mark].append(line.removeprefix(f"{mark} "))
    for answers in marked["<"]:
        script(*eval(answers, globals()))
    (command,) = marked["$"]
    status = int(marked["["][0].strip("[]")) if marked["["] else 0
    done = await run(f"{command} --concurrency 1" if command.startswith("count") else command)
    assert done == leaves(status, "\n".join(marked["!"]), "\n".join(marked["out"]))
    assert status != 2 or server.requests == []


async def test_projects_are_listed(server, run):
    times = dict.fromkeys(("created_at", "updated_at"), "2026-04-02T00:00:00+00:00")
    rows = [{"id": each, "name": name, "type": "gen_ai", **times} for each, name in sample_names().items()]
    assert objects((await run("projects -f json")).out) == rows
    lines = [",".join(row) for row in ([*rows[0]], *[[*row.values()] for row in rows])]
    assert await run("projects -f csv") == leaves(out="\n".join(lines))
    table = [f"{'project id':36}  name", *[f"{row['id']}  {row['name']}" for row in rows]]
    assert await run("projects") == leaves(out="\n".join(table))
    del server._names[A]  # a project can lack a name
    assert objects((await run("projects --project-prefix F -f json")).out) == [rows[8]]


@pytest.mark.parametrize("options", ["-w 'score > 3'", "--where-json -"])
async def test_a_body_is_what_a_request_has(server, run, options):
    """It needs no project, and requests nothing."""
    where = Col("score") > 3
    query = CountQuery(A, where, log_stream_id=EMPTY, experiment_id=B)
    done = await run(f"body {options} --log-stream {EMPTY} --experiment {B}", json.dumps(dump_filter(where)))
    assert done == leaves(out=query.body.decode())
    assert (await run("body")).out == "{}\n"
    assert server.requests == []


async def test_projects_without_sessions_have_no_columns_for_parts_however_many_they_are(server, run):
    many = [str(UUID(int=number, version=4)) for number in range(1, 31)]
    done = await run(f"count {' '.join(many)} {A} --by is_complete -f json")
    assert (done.status, [row["label"] for row in objects(done.out)]) == (0, ["true", "false", "no value"] * 31)


async def test_columns_as_json_are_the_services_own_form(server, run):
    columns = json.loads((await run(f"columns {A} -f json")).out)["columns"]
    assert {"id": "score", "filter_type": "number"}.items() <= {each["id"]: each for each in columns}["score"].items()


HOSTILE = "a[red]\x1b]0;owned\x07\x1b[31m[link=http://x]y\u202e"
ESCAPED = r"a[red]\x1b]0;owned\x07\x1b[31m[link=http://x]y\u202e"


async def test_hostile_text_of_a_server_reaches_no_terminal(server, script, run):
    column = {"id": "a[bold]b\x1b[31m", "label": HOSTILE, "description": f"{HOSTILE}\n\tend"}
    script({"columns": [column | {"allowed_values": [HOSTILE, 3], "filter_type": "text"}]})
    row = rf"a[bold]b\x1b[31m  text         {ESCAPED}  {ESCAPED}, 3  {ESCAPED} end"
    assert await run(f"columns {A}") == leaves(out=f"id...\n{row}")
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


async def test_explain_draws_a_filter(run, monkeypatch):
    """Without PROJECT, it shows the drawing and the JSON, and requests nothing, whatever else names a project."""
    monkeypatch.setenv("GALILEO_PROJECT_ID", A)
    where = Col("input").contains("x") & ~Col("score").gt(3)
    query = CountQuery(B, where, experiment_id=EMPTY)
    status, out, err = await run("explain --where-json -", json.dumps(dump_query(query)))
    drawing, tree = out.split("\n\n")
    assert "├─ input contains 'x'   text" in drawing.splitlines()
    assert (status, err, json.loads(tree)) == (0, "", dump_filter(where))


async def test_the_demo_has_bars_where_the_encoding_has_no_blocks(monkeypatch):
    """As a command of its own, with warnings as errors. It is narrow, and ends with 0."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    async with process() as running:
        out, err = await running.communicate()
    lines = out.decode().splitlines()
    assert lines[-1] == "To try it out first: galileo-sessions serve"
    assert (running.returncode, err, max(map(len, lines)) <= 60) == (0, b"", True)
    assert "###" in out.decode()


MONTHS = "--by created_at:month --since 2026-04-01 --until 2026-07-01"
GONE = {"detail": "There is no such project, or it has been deleted with all that was in it"}
LONG = "A name that is much longer than the rest of a line"


@pytest.mark.parametrize(
    ("name", "responses", "command"),
    [
        ("count_all.txt", [], "count --all -w 'score > 3'"),  # names fit on a line
        ("by_several.txt", [{"total_count": 312}, 400], f"count {A} {B} {MONTHS} --concurrency 1"),
        ("count.txt", [{"total_count": 1_234_567}, (400, GONE)], f"count {' '.join(IDS[:4])} --concurrency 1"),
        ("demo.txt", [], ""),
    ],
)
async def test_the_screen_is_as_recorded(show, server, script, name, responses, command):  # noqa: PLR0917
    """Charts have one scale; what fails is named below; a bar is gone in the end. `SNAPSHOTS=new` records it anew."""
    server.strict = False
    script(*responses)
    status, written = await show(command)
    assert status == bool(responses)
    check(name, written)


async def test_a_narrow_terminal_has_room_for_labels_and_bars(show, server, monkeypatch):
    """With shares, names get less of a line of 40 columns than labels."""
    monkeypatch.setenv("COLUMNS", "40")
    _, written = await show(f"count 'Support chatbot' {MONTHS}")
    assert screen(written).splitlines()[:4] == [
        "project id    sessions  share  name",
        "74aec44e-ec…       312         Support …",
        "2026-04            104  33.3%  ████████▍",
        "2026-05            112  35.9%  █████████",
    ]
    _, written = await show("demo")
    assert f"Pharmacy helpdesk  24  {'█' * 17}\r\n" in written


async def test_with_stdout_elsewhere_a_terminal_has_the_bar_and_the_failures(show, script, tmp_path):
    script(404)
    with (tmp_path / "out").open("w") as out:
        status, written = await show(f"count {' '.join(IDS)} --format json --concurrency 1", stdout=out)
    assert (status, len(objects((tmp_path / "out").read_text()))) == (1, 12)
    assert re.search(r"12/12\S* \S*\d:\d\d:\d\d\S* 1 failed, at most 1 request at once", written)
    first, *_, last = screen(written).splitlines()
    assert ": 404 " in first
    assert last.startswith("11 of 12 projects counted, 1 failed, ")


async def test_the_bar_says_that_it_waits_while_the_service_refuses_everything(show, server):
    server.fail_next(503, times=20)
    status, written = await show(f"count {' '.join(IDS)}")
    assert (status, "\x1b[?25l" in written) == (0, False)  # a cursor that is hidden would stay so after SIGTERM
    assert "0 failed, waiting for the service" in written
    assert screen(written).splitlines()[-1].startswith("12 projects counted, ")


async def test_what_an_encoding_lacks_is_replaced_or_escaped(show, server):
    """Without blocks in the terminal's encoding, bars have other characters; the rest is escaped."""
    status, written = await show(f"count {IDS[0]} {MONTHS}", encoding="latin-1")
    assert status == 0
    assert re.search(r"2026-04 +104  33.3%  #+\r\n", written)
    assert "u2588" not in written
    server.fail_next(400, body="caf\u00e9")
    _, written = await show(f"count {IDS[0]} --format csv", encoding="ascii")
    assert r"caf\xe9" in written


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            "80",
            [
                f"{IDS[0]}       312  A name that is much longer than…",
                f"{IDS[1]}       363  日本語日本語日本語日本語日本語…",
            ],
        ),
        ("40", ["74aec44e-ec21-4…       312  A name that…", "7ec9f08b-ec21-4…       363  日本語日本…"]),
        ("20", ["74aec44e-ec21-4…       312  A name that…", "7ec9f08b-ec21-4…       363  日本語日本…"]),
    ],
)
async def test_a_line_cuts_names_then_ids_and_no_counts(show, server, monkeypatch, columns, lines):
    """What doesn't fit ends with dots, wide characters included; a line of 40 columns is long enough."""
    server._names |= {IDS[0]: LONG, IDS[1]: "日本語" * 10}
    monkeypatch.setenv("COLUMNS", columns)
    _, written = await show(f"count {IDS[0]} {IDS[1]} '{LONG}'")
    assert screen(written).splitlines()[1:3] == lines


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
