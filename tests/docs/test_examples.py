"""The programs of docs/examples, as they stand: their environment alone leads them to a local server."""

import asyncio
import base64
import csv
import importlib.util
import json
import runpy
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from docs.notebooks import run_cells
from support.inside import with_sample

from galileo_sessions import ALWAYS, Col, CountQuery, DecodeError, Filter, GalileoSessions, matches
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
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalGalileo]:
    async with with_sample(LocalGalileo()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        yield server


async def run(name: str, *arguments: str) -> tuple[int, str, str]:
    """The exit status of an example that runs in this process, what it prints, and what it complains of."""

    def program() -> object:
        try:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0
        return 0

    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as said:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [name, *arguments])
            status = await asyncio.to_thread(program)
    if isinstance(status, str):  # which Python would print
        return 1, printed.getvalue(), f"{said.getvalue()}{status}\n"
    return status, printed.getvalue(), said.getvalue()


def test_examples_are_short_and_linked() -> None:
    """At most 60 lines each, and each on a page."""
    pages = "".join(page.read_text(encoding="utf-8") for page in EXAMPLES.parent.glob("*.md"))
    files = [path for path in EXAMPLES.iterdir() if path.is_file()]
    assert [] == [path.name for path in files if f"(examples/{path.name})" not in pages]
    programs = [path for path in files if path.suffix == ".py"]
    assert [] == [path.name for path in programs if len(path.read_text(encoding="utf-8").splitlines()) > 60]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
async def test_examples_without_arguments_say_how_they_are_called(name: str) -> None:
    """In a few lines, and not with status 0."""
    pytest.importorskip({"dask_count.py": "distributed", "fastapi_app.py": "fastapi"}.get(name, "asyncio"))
    status, printed, said = await run(name)
    assert (True, "") == (status > 0, printed)
    assert name.removesuffix(".py") in said
    assert "Error" not in said


@needs("mypy", "distributed", "fastapi")
def test_mypy_accepts_the_examples(tmp_path: Path) -> None:
    """In strict mode."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(EXAMPLES)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("Success", "") == (checked.stdout[:7], checked.stderr)


# ---- count_csv.py ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file as Excel writes it, of all projects, one of them twice, and a bad id; and the file to write."""
    rows = [f"{name},{i}" for i, name in enumerate(["project_id", *PROJECTS, "no-id", PROJECTS[0]])]
    (tmp_path / "ids.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    return tmp_path / "ids.csv", tmp_path / "counts.csv"


def rows_of(file: Path) -> list[list[str]]:
    return sorted(csv.reader(file.read_text().splitlines()))


def liked() -> list[list[str]]:
    return sorted([["project_id", "total_count"], *[[project, str(counted(LIKED, project))] for project in PROJECTS]])


async def count_csv(files: tuple[Path, Path], where: str = "score > 3") -> tuple[int, str, str]:
    return await run("count_csv.py", where, *map(str, files))


async def test_count_csv_counts_each_project_once(server: LocalGalileo, files: tuple[Path, Path]) -> None:
    """What fails is named. Run again, the program counts only what is missing."""
    server.fail_next(403)
    status, printed, said = await count_csv(files)
    assert (1, "") == (status, said)
    assert "'no-id': project_id must be a UUID" in printed
    assert "': 403 Forbidden" in printed
    assert printed.endswith("\n11 counted, 2 failed\n")
    status, printed, said = await count_csv(files)
    assert (1, "") == (status, said)
    assert printed.endswith("\n1 counted, 1 failed\n")
    assert liked() == rows_of(files[1])


async def test_count_csv_continues_after_ctrl_c(server: LocalGalileo, files: tuple[Path, Path]) -> None:
    """The counts so far stay, and aren't made again."""
    server.slow(1.0)  # the client begins with ten requests, so two of the twelve have no answer after the first
    command = [sys.executable, str(EXAMPLES / "count_csv.py"), "score > 3", *map(str, files)]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    while not files[1].exists() or len(rows_of(files[1])) < 2:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert (1, b"stopped; the same command continues\n") == (process.returncode, said)
    missing = 13 - len(rows_of(files[1]))
    server.recover()
    _, printed, _ = await count_csv(files)
    assert printed.endswith(f"\n{missing} counted, 1 failed\n")
    assert liked() == rows_of(files[1])
    await asyncio.sleep(1.0)  # the server ends the slow answers, which nobody waits for


@pytest.mark.parametrize("cut", [1, 2, 40, 60])
async def test_count_csv_counts_again_what_was_cut(server: LocalGalileo, files: tuple[Path, Path], cut: int) -> None:
    """A line whose end a crash or a full disk has cut, be it the count or the id."""
    await count_csv(files)
    files[1].write_text(files[1].read_text()[:-cut])
    _, printed, _ = await count_csv(files)
    assert printed.endswith(f"\n{1 + cut // 60} counted, 1 failed\n")
    assert liked() == rows_of(files[1])


async def test_count_csv_leaves_a_file_of_something_else(server: LocalGalileo, files: tuple[Path, Path]) -> None:
    """Such as two that are exchanged: nothing is cut off or added."""
    before = files[0].read_text()
    status, _, said = await run("count_csv.py", "score > 3", str(files[0]), str(files[0]))
    assert (2, before) == (status, files[0].read_text())
    assert "has no column 'total_count'" in said


async def test_count_csv_counts_an_id_once_however_it_is_written(
    server: LocalGalileo, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """In capitals or without dashes, in either file. An empty entry is visible."""
    done, new = PROJECTS[:2]
    rows = [done, new, new.upper(), new.replace("-", ""), ""]
    files[0].write_text("".join([f"{text},x\n" for text in ["project_id", *rows]]))
    files[1].write_text(f"project_id,total_count\n{done.upper()},5\n")
    assert 1 == await asyncio.to_thread(load("count_csv.py").main, LIKED, *files)
    assert "'': project_id must be a UUID, got ''\n1 counted, 1 failed\n" == capsys.readouterr().out
    assert [done.upper(), "5"] in rows_of(files[1])
    assert [new, str(counted(LIKED, new))] in rows_of(files[1])
    assert 1 == len(server.requests)


async def test_count_csv_names_the_columns_of_a_file_without_its_own(
    server: LocalGalileo, files: tuple[Path, Path]
) -> None:
    """In one line, before a file for the counts is made."""
    files[0].write_text(f"name,project\nx,{PROJECT}\n")
    status, _, said = await count_csv(files)
    assert 2 == status
    assert f"ValueError: {files[0]} has no column 'project_id'. Its columns: ['name', 'project']\n" == said
    assert not files[1].exists()


@pytest.mark.parametrize("wrong", ["filter", "key"])
async def test_count_csv_says_why_it_cannot_begin(
    server: LocalGalileo, monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], wrong: str
) -> None:
    """The reason and its hint take at most four lines, and the status is 2."""
    if wrong == "key":
        monkeypatch.setenv("GALILEO_API_KEY", "a-wrong-key")
    status, _, said = await count_csv(files, "score >" if wrong == "filter" else "score > 3")
    assert 2 == status
    assert "Traceback" not in said
    assert server.api_key not in said
    assert 1 <= len(said.splitlines()) <= 4


# ---- alert.py --------------------------------------------------------------------------------------------------------

FULL, FINE, STALE = PROJECTS[:3]
LOW = "score < 2"
WRONG = ["full", "full=", "full=nan", "full=-1%", "full=1/2", "full=100%", "full=150%", "=10%", " =10%"]


@pytest.fixture
async def recent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalGalileo]:
    """A tenth of the last sessions of one project have low scores, none of another; a third has only an old session."""
    now = datetime.now(UTC)
    rows = [(FULL, 1, 1), *[(FULL, 4, 2)] * 9, (FINE, 4, 1), (STALE, 1, 100)]
    sessions = [
        {"project_id": project, "score": score, "created_at": now - timedelta(hours=hours)}
        for project, score, hours in rows
    ]
    names = {FULL: "full", FINE: "fine", STALE: "stale", EMPTY: "empty"}
    async with LocalGalileo(sessions, names=names) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        yield server


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((LOW, "full=10%", "fine=0"), 0, ""),
        ((LOW, "full=9.9%", "fine=0"), 3, "full: 1 of 10 sessions, above 9.9%\n"),
        ((LOW, "empty=9", "full=9"), 3, "full: 1 of 10 sessions, above 9%\nempty can't be judged: no sessions\n"),
        ((LOW, f"{STALE}=40", "--last", "101h"), 3, ": 1 of 1 sessions, above 40%\n"),
        ((LOW, "full=60", "stale=60"), 1, "stale can't be judged: no sessions\n"),
        ((LOW, "full=60", "empty=60"), 1, "empty can't be judged: no sessions\n"),
        (("scroe < 2", "full=60", "empty=60"), 1, "did you mean score?\nempty can't be judged: no sessions\n"),
        (("scroe < 2", "full=60", "fine=60"), 2, "did you mean score?\n"),
        (("score <", "full=60"), 2, "the text ends too early"),
        ((LOW, "ful=60"), 2, "there is no project 'ful'"),
        ((LOW, f"{PROJECTS[3]}=60"), 2, f"there is no project '{PROJECTS[3]}'"),
        *[((LOW, wrong), 2, f"invalid limit value: {wrong!r}") for wrong in WRONG],
        (("any_of([])", "full=60"), 2, "the filter has no condition"),
        (("TextFilter('input', 'one_of', [])", "full=60"), 2, "the API doesn't define an empty list"),
        (("NumberFilter('score', 'between', [3, 1])", "full=60"), 2, "the lower or earlier one comes first"),
        (("~FullyAnnotatedFilter()", "full=60"), 2, "annotation queue"),
        (("score == 'a'", "full=60"), 2, "'score' is filtered as number"),
        ((LOW, "full=60", "--last", "0h"), 2, "Col.date('created_at').last('0h')"),
        ((LOW,), 2, "the following arguments are required: limits"),
    ],
)
async def test_alert_has_the_statuses_of_the_command_line(
    recent: LocalGalileo, arguments: tuple[str, ...], status: int, reason: str
) -> None:
    """3 above a limit; else 1 if a project can't be judged; 2 for a mistake. If all is well, it prints nothing."""
    ended, printed, said = await run("alert.py", *arguments)
    assert (status, bool(reason)) == (ended, bool(printed + said))
    assert reason in printed + said


@pytest.mark.filterwarnings("ignore::galileo_sessions.ZeroCountWarning")
@pytest.mark.parametrize("trouble", ["key", "address", "counts", "columns", "types"])
async def test_alert_does_not_pass_if_it_cannot_count(
    recent: LocalGalileo, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """If the service is down, refuses what is asked, or lists no columns for a count of 0, the status is 1."""
    if trouble == "key":
        monkeypatch.setenv("GALILEO_API_KEY", "a-wrong-key")
    elif trouble == "address":
        monkeypatch.setenv("GALILEO_API_URL", recent.url.replace("http", "https"))
    elif trouble == "counts":
        recent.fail(403)
    else:
        created = {"id": "created_at", "filter_type": "date"}
        columns = {"columns": [{"id": "score"}, created] if trouble == "types" else []}
        for body in (columns, {"total_count": 1}, {"total_count": 0}, columns):
            recent.fail_next(200, body=body)
    status, printed, said = await run("alert.py", LOW, "fine=60")
    assert 1 == status
    reasons = {"key": "401", "address": "TLS", "counts": "403"}
    assert reasons.get(trouble, "no columns for the filter") in printed + said


async def test_alert_tells_what_it_has_found(recent: LocalGalileo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose columns can't be requested hides no alert."""

    async def refuse(*_: object) -> None:
        raise DecodeError("it's away")

    monkeypatch.setattr(GalileoSessions, "columns", refuse)
    status, printed, _ = await run("alert.py", LOW, "fine=60", "full=9")
    assert (3, "full: 1 of 10 sessions, above 9%\nfine can't be judged: it's away\n") == (status, printed)


# ---- funnel.py -------------------------------------------------------------------------------------------------------


async def test_funnel_counts_clauses_alone_and_together(server: LocalGalileo) -> None:
    """A row for all sessions, and one for each clause."""
    status, printed, said = await run("funnel.py", PROJECT, repr(COMPLETE & REFUND & LIKED))
    alone = [counted(clause) for clause in (ALWAYS, COMPLETE, REFUND, LIKED)]
    so_far = [counted(where) for where in (ALWAYS, COMPLETE, COMPLETE & REFUND, COMPLETE & REFUND & LIKED)]
    names = ["all sessions", repr(COMPLETE), repr(REFUND), repr(LIKED)]
    rows = [f"{a:>8,}{b:>8,}  {name}" for a, b, name in zip(alone, so_far, names, strict=True)]
    assert (0, "") == (status, said)
    assert ["   alone  so far  clause", *rows] == printed.splitlines()


async def test_funnel_explains_what_it_cannot_read(server: LocalGalileo) -> None:
    """A filter that can't be read is explained in a few lines, with status 1."""
    status, printed, said = await run("funnel.py", PROJECT, "Col('a') and Col('b')")
    assert (1, "") == (status, printed)
    assert "Write & for and" in said
    assert "Traceback" not in said


# ---- fastapi_app.py --------------------------------------------------------------------------------------------------


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def visitor(seconds: float = 10) -> AsyncIterator[Any]:
    """A client of the app while it runs, with so many seconds for a count."""
    import httpx

    module = load("fastapi_app.py")
    app, module.TIMEOUT = module.app, seconds
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as made:
        yield made


@needs("fastapi", "httpx")
@pytest.mark.filterwarnings("ignore::galileo_sessions.ZeroCountWarning")  # of a project without sessions
async def test_fastapi_app_counts_and_explains(server: LocalGalileo) -> None:
    """A mistake in a visitor's filter is a 400 that says what to write."""
    path = f"/projects/{PROJECT}/sessions"
    async with visitor() as client:
        answer = await client.get(path, params={"where": "Col('score') > 3"})
        assert (200, counted(LIKED)) == (answer.status_code, answer.json())
        assert [CountQuery(PROJECT, LIKED)] == server.requests
        answer = await client.get(path, params={"where": "Col('score') > 3 and Col('x') > 1"})
        assert (400, True) == (answer.status_code, "Write & for and" in answer.json()["detail"])
        answer = await client.get(path, params={"where": "scroe > 3"})
        assert (400, True) == (answer.status_code, "did you mean score?" in answer.json()["detail"])
        assert 422 == (await client.get("/projects/no-uuid/sessions", params={"where": "ALWAYS"})).status_code
        answer = await client.get(f"/projects/{EMPTY}/sessions", params={"where": "scroe > 3"})
        assert (200, 0) == (answer.status_code, answer.json())
    async with GalileoSessions() as galileo:
        assert not await galileo.columns(EMPTY)


@needs("fastapi", "httpx")
@pytest.mark.filterwarnings("ignore:Using `httpx`")  # newer versions of TestClient prefer httpx2
async def test_fastapi_app_has_no_client_outside_with(server: LocalGalileo) -> None:
    """A test in the same process uses the app inside `with TestClient(app)`."""
    from fastapi.testclient import TestClient

    app, path, where = load("fastapi_app.py").app, f"/projects/{PROJECT}/sessions", {"where": "score > 3"}

    def visit() -> int:
        with pytest.raises(AttributeError, match="galileo"):
            TestClient(app).get(path, params=where)
        with TestClient(app) as visitor:
            return visitor.get(path, params=where).status_code

    assert 200 == await asyncio.to_thread(visit)


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
async def test_fastapi_app_has_a_status_for_each_trouble(
    server: LocalGalileo, status: int | None, wait: str | None, seconds: float, expected: tuple[int, str | None]
) -> None:
    """It says when to try again. A visitor isn't told of what only the app's owner can mend. None is no answer."""
    if status is None:
        server.slow(0.4)
    else:
        server.fail(status, seconds=60, headers={} if wait is None else {"Retry-After": wait})
    async with visitor(seconds) as client:
        answer = await client.get(f"/projects/{PROJECT}/sessions", params={"where": "score > 3"})
    assert expected == (answer.status_code, answer.headers.get("Retry-After"))
    await asyncio.sleep(0.2 if status is None else 0)  # the server ends the slow answer, which nobody waits for


# ---- websocket.py ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def reader() -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection to the program, which runs in this process."""
    runner = web.AppRunner(load("websocket.py").create_app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/counts") as socket:
                yield socket
    finally:
        await runner.cleanup()


async def test_websocket_sends_each_count(server: LocalGalileo) -> None:
    """And then closes the connection."""
    async with reader() as socket:
        sent = [message.json() async for message in socket]
    assert sorted([row["count"] for row in sent]) == sorted([counted(LIKED, project) for project in PROJECTS])
    assert socket.close_code == 1000


@pytest.mark.parametrize("says", [False, True])
async def test_websocket_stops_when_its_reader_leaves(monkeypatch: pytest.MonkeyPatch, says: bool) -> None:
    """Without a warning; the client sends nothing more."""
    names = {f"{number:08}-ec21-4c9f-a3e2-b2ab2b81b4db": "" for number in range(1_000)}
    async with LocalGalileo([], names=names) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
        server.slow(0.05)
        async with reader() as socket:
            await socket.receive_json()
            await (socket.send_str("stop") if says else socket.close())
            await asyncio.sleep(0.1)
            sent = len(server.requests)
            await asyncio.sleep(0.2)
            assert sent == len(server.requests) < 500


# ---- notebook.ipynb --------------------------------------------------------------------------------------------------


def cells() -> list[dict[str, object]]:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (4, 5) == (notebook["nbformat"], notebook["nbformat_minor"])
    return list(notebook["cells"])


def test_the_notebook_is_whole() -> None:
    """Each cell has what format 4.5 asks for, and was run once, from top to bottom."""
    ids = [cell["id"] for cell in cells()]
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(ids) == len(set(ids))
    assert [*range(1, len(code) + 1)] == [cell["execution_count"] for cell in code]
    assert all(set(cell) == {"cell_type", "id", "metadata", "source"} for cell in cells() if cell not in code)


def outputs(executed: list[dict[str, object]]) -> list[object]:
    """What the cells show; a picture's bytes differ with matplotlib's version."""
    return json.loads(json.dumps([cell.get("outputs") for cell in executed]), object_hook=without_picture)


def without_picture(data: dict[str, object]) -> dict[str, object]:
    return {kind: base64.b64decode(str(value))[:8] if kind == "image/png" else value for kind, value in data.items()}


@needs("matplotlib")
async def test_the_notebook_shows_what_it_stores(server: LocalGalileo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run again, its cells have the stored outputs; the bars are the counts."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    stored, again, namespace = cells(), cells(), dict[str, Any]()
    await run_cells(again, namespace)
    assert outputs(again) == outputs(stored)
    assert b"\x89PNG\r\n\x1a\n" in [data.get("image/png") for cell in outputs(stored) for data in shown(cell)]
    widths = [int(bar.get_width()) for bar in namespace["axes"].patches]
    assert [counted(ALWAYS, project) for project in PROJECTS] == widths[:12]
    assert [counted(namespace["where"], project) for project in PROJECTS] == widths[12:]
    assert sum(widths[12:]) > 0
    namespace["plt"].close("all")


def shown(cell: Any) -> list[dict[str, object]]:
    return [output["data"] for output in cell or [] if "data" in output]


# ---- dask_count.py ---------------------------------------------------------------------------------------------------


@needs("distributed")
async def test_dask_counts_with_a_client_per_worker(server: LocalGalileo) -> None:
    """A real cluster of processes, which starts and ends with the program; a bad id costs only its own count."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "dask_count.py"), "Col('score') > 3", "--workers", "2"]
    process = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1, stderr=-1)
    printed, said = await process.communicate("\n".join([*PROJECTS, "no-id"]).encode())
    assert (1, b"") == (process.returncode, said)
    rows = [[project, str(counted(LIKED, project)), ""] for project in PROJECTS]
    assert sorted([*rows, ["no-id", "", "project_id must be a UUID, got 'no-id'"]]) == sorted(
        csv.reader(printed.decode().splitlines())
    )
