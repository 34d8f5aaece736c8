"""Each program of docs/examples runs as it stands: its environment alone leads it to a local server."""

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
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cli.processes import inside, process
from support.sockets import until

from galileo_sessions import ALWAYS, Col, Filter, matches
from galileo_sessions.local import sample_names, sample_sessions

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SESSIONS, NAMES = sample_sessions(), sample_names()
PROJECTS = list(dict.fromkeys(str(session["project_id"]) for session in SESSIONS))
PROJECT = PROJECTS[0]
REFUND, LIKED = Col("input").contains("refund"), Col("score") > 3


def counted(where: Filter, project: str = PROJECT) -> int:
    return sum(session["project_id"] == project and matches(where, session) for session in SESSIONS)


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"pip install -e '.[examples]' would bring {', '.join(missing)}")


def load(name: str) -> ModuleType:
    """An example as a module."""
    module = ModuleType(name.removesuffix(".py"))
    exec(compile((EXAMPLES / name).read_text(encoding="utf-8"), name, "exec"), vars(module))
    return module


async def run(name: str, *arguments: object) -> tuple[int, str, str]:
    """The exit status of an example that runs in this process, what it prints, and what it complains of."""
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as said:
        status = await asyncio.to_thread(inside, *map(str, arguments), path=str(EXAMPLES / name), name=name)
    return status, printed.getvalue(), said.getvalue()


def test_each_example_stands_on_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in EXAMPLES.parent.glob("*.md"))
    assert [path.name for path in EXAMPLES.iterdir() if path.is_file() and f"(examples/{path.name})" not in pages] == []


async def test_count_csv_counts_what_is_missing(server, tmp_path):
    """What fails is named. Run again, the program counts only that."""
    given, written = tmp_path / "ids.csv", tmp_path / "counts.csv"
    given.write_text("\n".join(["project_id", *PROJECTS, "no-id"]), encoding="utf-8-sig")  # as Excel writes it
    server.fail_next(403)
    status, printed, said = await run("count_csv.py", "score > 3", given, written)
    assert (status, said, "': 403 Forbidden" in printed) == (1, "", True)
    assert "'no-id': project_id must be a UUID" in printed
    assert printed.endswith("\n11 counted, 2 failed\n")
    _, printed, _ = await run("count_csv.py", "score > 3", given, written)
    assert printed.endswith("\n1 counted, 1 failed\n")
    rows = sorted(csv.reader(written.read_text().splitlines()))
    assert rows == sorted([["project_id", "total_count"], *[[each, str(counted(LIKED, each))] for each in PROJECTS]])


async def test_count_csv_keeps_what_was_counted_before_a_ctrl_c(server, tmp_path):
    given, written = tmp_path / "ids.csv", tmp_path / "counts.csv"
    given.write_text("\n".join(["project_id", *PROJECTS]))
    server.slow(60, project=PROJECT)
    program = (sys.executable, str(EXAMPLES / "count_csv.py"))
    async with process("score > 3", str(given), str(written), command=program) as running:
        await until(lambda: written.exists() and len(written.read_text().splitlines()) == len(PROJECTS))
        running.send_signal(signal.SIGINT)
        assert await running.communicate() == (b"", b"stopped; the same command continues\n")
    server.recover()
    _, printed, _ = await run("count_csv.py", "score > 3", given, written)
    assert printed == "1 counted, 0 failed\n"


@pytest.mark.parametrize(
    ("where", "limit", "status", "reason"),
    [
        ("score < 4", "99%", 0, ""),
        ("score < 4", "1%", 3, "sessions), above 1%\n"),
        ("scroe < 4", "99%", 2, "did you mean score?\n"),
        ("score <", "99%", 2, "the text ends too early"),
        ("input == ' '", "99%", 2, "has an empty text"),
        ("score < 4", "100%", 2, "can't be a limit"),
    ],
)
async def test_alert_has_the_statuses_of_the_command_line(server, where, limit, status, reason):
    """3 above a limit, and 2 for a mistake. If all is well, it prints nothing."""
    ended, printed, said = await run("alert.py", where, f"{NAMES[PROJECT]}={limit}", "--last", "9999d")
    assert (ended, bool(printed + said)) == (status, bool(reason))
    assert reason in printed + said


async def test_alert_finds_a_typo_on_a_quiet_day(server):
    ended, _, said = await run("alert.py", "scroe < 4", f"{NAMES[PROJECT]}=5%", "--last", "1h", "--allow-empty")
    assert (ended, "did you mean score?" in said) == (2, True)


async def test_alert_that_fires_is_hidden_by_no_other_project_and_no_full_disk(server):
    program = (sys.executable, str(EXAMPLES / "alert.py"), "score < 4", "--last", "9999d")
    with open("/dev/full", "w") as full:
        async with process(f"{NAMES[PROJECT]}=1%", "unknown=1%", command=program, stdout=full, stderr=full) as running:
            assert await running.wait() == 3


async def test_funnel_counts_clauses_alone_and_together(server):
    rows, so_far = ["   alone  so far  clause"], ALWAYS
    for clause in (ALWAYS, REFUND, LIKED):
        so_far &= clause
        name = "all sessions" if clause == ALWAYS else repr(clause)
        rows.append(f"{counted(clause):>8,}{counted(so_far):>8,}  {name}")
    assert await run("funnel.py", PROJECT, repr(so_far)) == (0, "".join([f"{row}\n" for row in rows]), "")


FASTAPI = [
    # how the service is in trouble, the filter, the status, the Retry-After and what the answer says
    ({}, "score > 3", 200, None, str(counted(LIKED))),
    ({}, "scroe > 3", 400, None, "did you mean score?"),
    ({"status": 429}, "score > 3", 503, "5", "Busy"),
    ({"status": 429, "headers": {"Retry-After": "30"}}, "score > 3", 503, "30", "Busy"),
    ({"status": 502}, "score > 3", 503, "5", "Busy"),
    ({"status": 503}, "score > 3", 503, "5", "Busy"),
    ({"status": 504}, "score > 3", 504, None, "took too long"),
    ({"delay": 60}, "score > 3", 504, None, "took too long"),
    ({"status": 404}, "score > 3", 404, None, "No such project"),
    ({"status": 403}, "score > 3", 502, None, "can't be asked"),
]


@needs("fastapi", "httpx")
@pytest.mark.parametrize(("trouble", "where", "status", "after", "said"), FASTAPI)
async def test_fastapi_app_has_a_status_for_each_outcome(server, trouble, where, status, after, said):  # noqa: PLR0917
    import httpx

    example = load("fastapi_app.py")
    if "status" in trouble:
        server.fail(**trouble)
    elif "delay" in trouble:
        server.slow(**trouble)
    if trouble:
        example.TIMEOUT = 0.3
    visitor = httpx.AsyncClient(transport=httpx.ASGITransport(example.app), base_url="http://app")
    async with example.app.router.lifespan_context(example.app), visitor:
        answer = await visitor.get(f"/projects/{PROJECT}/sessions", params={"where": where})
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, after)
    assert said in answer.text


async def test_websocket_sends_each_count_and_closes(server):
    app = load("websocket.py").create_app()
    async with TestClient(TestServer(app)) as client, client.ws_connect("/counts") as socket:
        sent = [message.json() async for message in socket]
        assert socket.close_code == 1000
    assert sorted([row["count"] for row in sent]) == sorted([counted(LIKED, project) for project in PROJECTS])


NOTEBOOK = EXAMPLES / "notebook.ipynb"
STORED = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


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
    async with process(command=command, stdin=subprocess.PIPE) as running:
        printed, said = await running.communicate("\n".join([*PROJECTS, "no-id"]).encode())
        assert (1, b"") == (running.returncode, said)
    rows = [[project, str(counted(LIKED, project)), ""] for project in PROJECTS]
    rows.append(["no-id", "", "project_id must be a UUID, got 'no-id'"])
    assert sorted(rows) == sorted(csv.reader(printed.decode().splitlines()))
