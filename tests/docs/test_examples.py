"""The programs of docs/examples, as they stand: their environment alone leads them to a local server."""

import ast
import asyncio
import base64
import csv
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cli.processes import inside
from support.inside import with_sample

from galileo_sessions import ALWAYS, Col, DecodeError, Filter, GalileoSessions, matches
from galileo_sessions.local import LocalGalileo, sample_sessions

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SESSIONS = sample_sessions()
PROJECTS = list(dict.fromkeys(str(session["project_id"]) for session in SESSIONS))
PROJECT, EMPTY = PROJECTS[0], "00000000-ec21-4c9f-a3e2-b2ab2b81b4db"
COMPLETE, REFUND, LIKED = Col("is_complete").eq(True), Col("input").contains("refund"), Col("score") > 3


def counted(where: Filter, project: str = PROJECT) -> int:
    return sum(session["project_id"] == project and matches(where, session) for session in SESSIONS)


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"pip install -e '.[examples]' would bring {', '.join(missing)}")


@pytest.fixture
def server(running):
    return running(with_sample(LocalGalileo()))


def load(name: str) -> ModuleType:
    """An example as a module."""
    module = ModuleType(name.removesuffix(".py"))
    exec(compile((EXAMPLES / name).read_text(encoding="utf-8"), name, "exec"), vars(module))
    return module


async def run(name: str, *arguments: object) -> tuple[int, str, str]:
    """The exit status of an example that runs in this process, what it prints, and what it complains of."""
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as said:
        status = await asyncio.to_thread(inside, *map(str, arguments), path=str(EXAMPLES / name), name=name)
    if isinstance(status, str):  # which Python would print
        return 1, printed.getvalue(), f"{said.getvalue()}{status}\n"
    return status, printed.getvalue(), said.getvalue()


def test_examples_have_at_most_60_lines_and_stand_on_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in EXAMPLES.parent.glob("*.md"))
    for path in filter(Path.is_file, EXAMPLES.iterdir()):
        assert f"(examples/{path.name})" in pages
        assert path.suffix != ".py" or len(path.read_text(encoding="utf-8").splitlines()) <= 60, path.name


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
async def test_examples_without_arguments_say_how_they_are_called(name):
    pytest.importorskip({"dask_count.py": "distributed", "fastapi_app.py": "fastapi"}.get(name, "asyncio"))
    status, printed, said = await run(name)
    assert (status > 0, printed, name.removesuffix(".py") in said, "Error" in said) == (True, "", True, False)


@needs("mypy", "distributed", "fastapi")
def test_mypy_accepts_the_examples_in_strict_mode(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(EXAMPLES)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("Success", "") == (checked.stdout[:7], checked.stderr)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file as Excel writes it, of all projects, one of them twice, and a bad id; and the file to write."""
    rows = [f"{name},{i}" for i, name in enumerate(["project_id", *PROJECTS, "no-id", PROJECTS[0]])]
    (tmp_path / "ids.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    return tmp_path / "ids.csv", tmp_path / "counts.csv"


def rows_of(file: Path) -> list[tuple[str, ...]]:
    return sorted(tuple(row) for row in csv.reader(file.read_text().splitlines()))


HEAD = ("project_id", "total_count")
LIKES = sorted([HEAD, *[(project, str(counted(LIKED, project))) for project in PROJECTS]])


async def test_count_csv_counts_each_project_once(server, files):
    """What fails is named. Run again, the program counts only what is missing."""
    server.fail_next(403)
    status, printed, said = await run("count_csv.py", "score > 3", *files)
    assert (status, said, "': 403 Forbidden" in printed) == (1, "", True)
    assert "'no-id': project_id must be a UUID" in printed
    assert printed.endswith("\n11 counted, 2 failed\n")
    status, printed, said = await run("count_csv.py", "score > 3", *files)
    assert (status, said, printed.endswith("\n1 counted, 1 failed\n")) == (1, "", True)
    assert rows_of(files[1]) == LIKES


async def test_count_csv_continues_after_ctrl_c(server, files):
    server.slow(1.0)  # the client begins with ten requests, so two of the twelve have no answer after the first
    command = [sys.executable, str(EXAMPLES / "count_csv.py"), "score > 3", *map(str, files)]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    while not files[1].exists() or len(rows_of(files[1])) < 2:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert (process.returncode, said) == (1, b"stopped; the same command continues\n")
    missing = 13 - len(rows_of(files[1]))
    server.recover()
    _, printed, _ = await run("count_csv.py", "score > 3", *files)
    assert printed.endswith(f"\n{missing} counted, 1 failed\n")
    assert rows_of(files[1]) == LIKES


DONE, NEW = PROJECTS[:2]


@pytest.mark.parametrize("cut", ["", f"{NEW},1", f"{NEW},", NEW[:20]])
async def test_count_csv_counts_what_is_missing(server, files, cut):
    """An id counts once, however it is written; what a crash or a full disk has cut is counted again."""
    rows = ["project_id", DONE, NEW, NEW.upper(), NEW.replace("-", ""), ""]
    files[0].write_text("".join([f"{text},x\n" for text in rows]))
    files[1].write_text(f"project_id,total_count\n{DONE.upper()},5\n{cut}")
    status, printed, _ = await run("count_csv.py", "score > 3", *files)
    assert (status, printed) == (1, "'': project_id must be a UUID, got ''\n1 counted, 1 failed\n")
    assert rows_of(files[1]) == sorted([HEAD, (DONE.upper(), "5"), (NEW, str(counted(LIKED, NEW)))])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("filter", "the text ends too early"),
        ("key", "401"),
        ("ids.csv", "ids.csv has no column 'project_id'. Its columns: ['name', 'project']\n"),
        ("counts.csv", "counts.csv has no column 'total_count'. Its columns: ['name', 'project']\n"),
    ],
)
async def test_count_csv_says_why_it_cannot_begin(server, monkeypatch, files, wrong, reason):
    """The status is 2; the reason and its hint take at most four lines. A file of something else stays as it is."""
    if wrong == "key":
        monkeypatch.setenv("GALILEO_API_KEY", "a-wrong-key")
    for file in [each for each in files if each.name == wrong]:
        file.write_text("name,project\nx,y")
    before = [file.read_bytes() for file in files if file.exists()]
    status, _, said = await run("count_csv.py", "score >" if wrong == "filter" else "score > 3", *files)
    assert (status, reason in said, "Traceback" in said, "a-wrong-key" in said) == (2, True, False, False)
    assert len(said.splitlines()) <= 4
    assert [file.read_bytes() for file in files if file.exists()][: len(before)] == before


FULL, FINE, STALE = PROJECTS[:3]
LOW = "score < 2"
CONTRADICTIONS = ["(score > 5) & (score < 3)", "(score > 3) & ~(score > 3)", "created_at.on('2020-01-01', tz='UTC')"]
WRONG = ["full", "full=", "full=10", "full=nan", "full=-1%", "full=1/2", "full=100%", "full=150%", "=10%", " =10%"]


@pytest.fixture
def recent(running):
    """A tenth of the last sessions of one project have low scores, none of another; a third has only an old session."""
    now = datetime.now(UTC)
    rows = [(FULL, 1, 1), *[(FULL, 4, 2)] * 9, (FINE, 4, 1), (STALE, 1, 100)]
    sessions = [
        {"project_id": project, "score": score, "created_at": now - timedelta(hours=hours)}
        for project, score, hours in rows
    ]
    names = {FULL: "full", FINE: "fine", STALE: "stale", EMPTY: "empty"}
    return running(LocalGalileo(sessions, names=names))


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((LOW, "full=10%", "fine=0%"), 0, ""),
        ((LOW, "full=9.9%", "fine=0%"), 3, "full: 1 of 10 sessions, above 9.9%\n"),
        ((LOW, "empty=9%", "full=9%"), 3, "full: 1 of 10 sessions, above 9%\nempty can't be judged: no sessions\n"),
        ((LOW, f"{STALE}=40%", "--last", "101h"), 3, ": 1 of 1 sessions, above 40%\n"),
        ((LOW, "full=60%", "stale=60%"), 1, "stale can't be judged: no sessions\n"),
        ((LOW, "full=60%", "empty=60%"), 1, "empty can't be judged: no sessions\n"),
        ((LOW, "full=60%", "stale=60%", "empty=60%", "--allow-empty"), 0, ""),
        (("scroe < 2", "full=60%", "--allow-empty"), 2, "did you mean score?\n"),
        (("scroe < 2", "full=60%", "empty=60%"), 1, "did you mean score?\nempty can't be judged: no sessions\n"),
        (("scroe < 2", "full=60%", "fine=60%"), 2, "did you mean score?\n"),
        (("score <", "full=60%"), 2, "the text ends too early"),
        (("any_of([])", "full=60%"), 2, "the filter has no condition"),
        (("input == ''", "full=60%"), 2, "an empty text"),
        (("~input.one_of(['', 'x'])", "full=60%"), 2, "an empty text"),
        *[((where, "full=60%"), 2, "no session can satisfy") for where in CONTRADICTIONS],
        ((LOW, "ful=60%"), 2, "there is no project 'ful'"),
        ((LOW, "full=60%", "--last", "0h"), 2, "Col.date('created_at').last('0h')"),
        ((LOW,), 2, "the following arguments are required: limits"),
        *[((LOW, wrong), 2, f"invalid limit value: {wrong!r}") for wrong in WRONG],
    ],
)
async def test_alert_has_the_statuses_of_the_command_line(recent, arguments, status, reason):
    """3 above a limit; else 1 if a project can't be judged; 2 for a mistake. If all is well, it prints nothing."""
    ended, printed, said = await run("alert.py", *arguments)
    assert (ended, bool(printed + said)) == (status, bool(reason))
    assert reason in printed + said


async def test_alert_names_a_text_that_a_column_never_has(recent):
    columns = [{"id": "created_at", "filter_type": "date"}]
    columns.append({"id": "status", "filter_type": "text", "allowed_values": ["ok", "error"]})
    for body in ({"columns": columns}, {"total_count": 9}, {"total_count": 1}, {"columns": columns}):
        recent.fail_next(200, body=body)
    status, printed, _ = await run("alert.py", "(status == 'ok') | ~(status == 'eror')", "full=60%")
    assert (status, "'status' is never 'eror'" in printed) == (1, True)


@pytest.mark.filterwarnings("ignore::galileo_sessions.ZeroCountWarning")
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [("key", "401"), ("counts", "403"), ("columns", "has no columns"), ("types", "no types of the columns")],
)
@pytest.mark.parametrize("matching", [0, 1])
async def test_alert_does_not_pass_if_it_cannot_count(recent, monkeypatch, trouble, reason, matching):
    """If the service refuses what is asked, or lists no columns to check the filter with, the status is 1."""
    if trouble == "key":
        monkeypatch.setenv("GALILEO_API_KEY", "a-wrong-key")
    elif trouble == "counts":
        recent.fail(403)
    else:
        listed = [{"id": "score"}, {"id": "created_at", "filter_type": "date"}] if trouble == "types" else []
        for body in ({"columns": listed}, {"total_count": 2}, {"total_count": matching}, {"columns": listed}):
            recent.fail_next(200, body=body)
    status, printed, said = await run("alert.py", LOW, "fine=60%")
    assert (status, reason in printed + said) == (1, True)


async def test_alert_is_not_hidden_by_a_project_whose_columns_cannot_be_requested(recent, monkeypatch):
    monkeypatch.setattr(GalileoSessions, "columns", AsyncMock(side_effect=DecodeError("it's away")))
    status, printed, _ = await run("alert.py", LOW, "fine=60%", "full=9%")
    assert (status, printed) == (3, "full: 1 of 10 sessions, above 9%\nfine can't be judged: it's away\n")


async def test_funnel_counts_clauses_alone_and_together(server):
    """A row for all sessions, and one for each clause. A filter that it can't read is explained."""
    rows, so_far = ["   alone  so far  clause"], ALWAYS
    for clause in (ALWAYS, COMPLETE, REFUND, LIKED):
        so_far &= clause
        name = "all sessions" if clause == ALWAYS else repr(clause)
        rows.append(f"{counted(clause):>8,}{counted(so_far):>8,}  {name}")
    assert await run("funnel.py", PROJECT, repr(so_far)) == (0, "".join([f"{row}\n" for row in rows]), "")
    status, printed, said = await run("funnel.py", PROJECT, "Col('a') and Col('b')")
    assert (status, printed, "Write & for and" in said, "Traceback" in said) == (1, "", True, False)


async def visit(path: str, where: str, seconds: float = 10) -> Any:
    """The app's answer, with so many seconds for a count."""
    import httpx

    module = load("fastapi_app.py")
    app, module.TIMEOUT = module.app, seconds
    visitor = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")
    async with app.router.lifespan_context(app), visitor:
        return await visitor.get(f"/projects/{path}/sessions", params={"where": where})


@needs("fastapi", "httpx")
@pytest.mark.filterwarnings("ignore::galileo_sessions.ZeroCountWarning")  # of a project without sessions
@pytest.mark.parametrize(
    ("project", "where", "status", "expected"),
    [
        (PROJECT, "Col('score') > 3", 200, counted(LIKED)),
        (EMPTY, "scroe > 3", 200, 0),
        (PROJECT, "scroe > 3", 400, "did you mean score?"),
        (PROJECT, "Col('score') > 3 and Col('x') > 1", 400, "Write & for and"),
        ("no-uuid", "ALWAYS", 422, "uuid"),
    ],
)
async def test_fastapi_app_counts_and_explains(server, project, where, status, expected):
    """A mistake in a visitor's filter is a 400 that says what to write; a project without sessions has no mistakes."""
    answer = await visit(project, where)
    assert answer.status_code == status
    assert answer.json() == expected if status == 200 else str(expected) in answer.text


@needs("fastapi", "httpx")
@pytest.mark.parametrize(
    ("status", "wait", "seconds", "expected"),
    [
        (403, None, 10, (502, None)),
        (404, None, 10, (404, None)),
        (422, None, 10, (400, None)),
        (429, "90", 10, (503, "90")),
        (500, None, 10, (502, None)),
        (503, "11", 10, (503, "11")),
        # until the timeout
        (429, None, 0.3, (503, "5")),
        (502, None, 0.3, (503, "5")),
        (503, "0.1", 0.3, (503, "1")),
        (None, None, 0.3, (504, None)),
    ],
)
async def test_fastapi_app_has_a_status_for_each_trouble(server, status, wait, seconds, expected):
    """It says when to try again. A visitor isn't told of what only the app's owner can mend. None is no answer."""
    if status is None:
        server.slow(0.4)
    else:
        server.fail(status, seconds=60, headers={} if wait is None else {"Retry-After": wait})
    answer = await visit(PROJECT, "score > 3", seconds)
    assert (answer.status_code, answer.headers.get("Retry-After")) == expected


async def test_websocket_sends_each_count_and_closes(server):
    app = load("websocket.py").create_app()
    async with TestClient(TestServer(app)) as client, client.ws_connect("/counts") as socket:
        sent = [message.json() async for message in socket]
        assert socket.close_code == 1000
    assert sorted([row["count"] for row in sent]) == sorted([counted(LIKED, project) for project in PROJECTS])


@pytest.fixture
def many(running):
    """A thousand projects, which take a while."""
    server = running(LocalGalileo([], names={f"{number:08}{PROJECT[8:]}": "" for number in range(1_000)}))
    server.slow(0.05)
    return server


@pytest.mark.parametrize("says", [False, True])
async def test_websocket_stops_when_its_reader_leaves(many, says):
    app = load("websocket.py").create_app()
    async with TestClient(TestServer(app)) as client, client.ws_connect("/counts") as socket:
        await socket.receive_json()
        await (socket.send_str("stop") if says else socket.close())
        sent = -1
        while sent < len(many.requests):  # until it has stopped
            sent = len(many.requests)
            await asyncio.sleep(0.2)
        assert sent < 500


NOTEBOOK = EXAMPLES / "notebook.ipynb"
STORED = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def test_the_notebook_has_what_format_4_5_asks_for():
    assert (STORED["nbformat"], STORED["nbformat_minor"]) == (4, 5)
    assert len(STORED["cells"]) == len({cell["id"] for cell in STORED["cells"]})
    for cell in STORED["cells"]:
        run = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert {*cell} == {"cell_type", "id", "metadata", "source"} | run


async def outputs_of(source: str, number: int, namespace: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """What a cell prints, its last value, and the figures that it draws: as the inline backend does, in format 4.5."""
    program, value = ast.parse(source), None
    last = program.body.pop() if isinstance(program.body[-1], ast.Expr) else None
    with redirect_stdout(StringIO()) as printed:
        for tree, mode in (program, "exec"), (last and ast.Expression(last.value), "eval"):
            if tree is not None:
                value = eval(compile(tree, "<cell>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
                value = await value if inspect.isawaitable(value) else value
    if printed.getvalue():
        yield {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
    if value is not None:
        shown = {"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {}
        data = {kind: text.splitlines(keepends=True) for kind, text in {**shown, "text/plain": repr(value)}.items()}
        yield {"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"}
    if plt := namespace.get("plt"):
        for figure in map(plt.figure, plt.get_fignums()):
            figure.savefig(drawn := BytesIO(), format="png", dpi=72)
            data = {"image/png": base64.b64encode(drawn.getvalue()).decode(), "text/plain": [repr(figure)]}
            yield {"data": data, "metadata": {}, "output_type": "display_data"}
        plt.close("all")


@needs("matplotlib")
async def test_the_notebook_run_again_shows_what_it_stores(server, monkeypatch):
    """With `SNAPSHOTS=new`, it stores anew what its cells show."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    again, namespace = deepcopy(STORED), dict[str, Any]()
    for number, cell in enumerate([cell for cell in again["cells"] if cell["cell_type"] == "code"], start=1):
        cell["execution_count"] = number
        cell["outputs"] = [output async for output in outputs_of("".join(cell["source"]), number, namespace)]
    if os.environ.get("SNAPSHOTS") == "new":
        NOTEBOOK.write_text(json.dumps(again, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    outputs = [output for cell in stored["cells"] + again["cells"] for output in cell.get("outputs", [])]
    pictures = [output["data"] for output in outputs if "image/png" in output.get("data", {})]
    for data in pictures:  # their bytes differ with matplotlib's version
        data["image/png"] = base64.b64decode(data["image/png"])[:8]
    assert again == stored
    assert {data["image/png"] for data in pictures} == {b"\x89PNG\r\n\x1a\n"}
    widths = [bar.get_width() for bar in namespace["axes"].patches]
    assert widths == [counted(where, project) for where in (ALWAYS, namespace["where"]) for project in PROJECTS]


@needs("distributed")
async def test_dask_counts_with_a_client_per_worker(server):
    """A real cluster of processes, which starts and ends with the program; a bad id costs only its own count."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "dask_count.py"), "Col('score') > 3", "--workers", "2"]
    process = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1, stderr=-1)
    printed, said = await process.communicate("\n".join([*PROJECTS, "no-id"]).encode())
    assert (1, b"") == (process.returncode, said)
    rows = [[project, str(counted(LIKED, project)), ""] for project in PROJECTS]
    rows.append(["no-id", "", "project_id must be a UUID, got 'no-id'"])
    assert sorted(rows) == sorted(csv.reader(printed.decode().splitlines()))
