"""
The command line keeps what --help says: results, messages, exit statuses, and quiet ends.

Most commands run twice: as a process of their own, and inside this one, where coverage sees them.
"""

import asyncio
import csv
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from io import StringIO
from threading import Thread
from typing import NamedTuple
from uuid import UUID

import pytest
from support.servers import PROJECT, http, raw_server, until

from galileo_sessions import Col, dump_filter
from galileo_sessions.__main__ import main
from galileo_sessions.local import LocalGalileo, sample_sessions

COMMAND = (sys.executable, "-W", "error", "-m", "galileo_sessions")
SESSIONS = sample_sessions()
IDS = sorted({str(session["project_id"]) for session in SESSIONS})
COUNTS = {project: sum(session["project_id"] == project for session in SESSIONS) for project in IDS}
MANY = [str(UUID(int=UUID(PROJECT).int + number)) for number in range(3_000)]
WHERE = 'Col("score") > 3'
NOBODY = "Error: no credentials. Set GALILEO_API_KEY in the environment"


class Outcome(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str


Run = Callable[..., Awaitable[Outcome]]


@asynccontextmanager
async def process(*arguments: str, command=COMMAND, **options) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that runs, with pipes unless told otherwise; whatever happens, it ends with the block."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as users have it
    pipes = {"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    running = await asyncio.create_subprocess_exec(*command, *arguments, env=environment, **pipes | options)
    try:
        async with asyncio.timeout(20):
            yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def outcome(*arguments: str, stdin: str = "", **options) -> Outcome:
    """What a command leaves as a process of its own."""
    async with process(*arguments, stdin=asyncio.subprocess.PIPE, **options) as running:
        out, err = await running.communicate(stdin.encode())
        return Outcome(running.returncode, out.decode(), err.decode())


def inside(*arguments: str) -> int:
    """The exit status of a command that runs in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["galileo-sessions", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code or 0


@contextmanager
def stdin_holding(text: str, folder) -> Iterator[None]:
    """This process's stdin, also the one of the operating system, is a file with this text."""
    folder.joinpath("stdin").write_text(text)
    kept = os.dup(0)
    with folder.joinpath("stdin").open() as file, pytest.MonkeyPatch.context() as patch:
        os.dup2(file.fileno(), 0)
        patch.setattr(sys, "stdin", file)
        try:
            yield
        finally:
            os.dup2(kept, 0)
            os.close(kept)


@contextmanager
def beside(context) -> Iterator:
    """What an async context manager gives, its event loop in a thread, so that the main thread is free."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(5)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
async def server(monkeypatch):
    """A server that holds the sample; the environment names it."""
    async with LocalGalileo(SESSIONS) as local:
        monkeypatch.setenv("GALILEO_API_URL", local.url)
        monkeypatch.setenv("GALILEO_API_KEY", local.api_key)
        yield local


@pytest.fixture
def run_inside(capfd, tmp_path) -> Run:
    """Runs a command to its end in this process."""

    async def run_inside(*arguments: str, stdin: str = "") -> Outcome:
        with stdin_holding(stdin, tmp_path):
            status = await asyncio.to_thread(inside, *arguments)
        return Outcome(status, *capfd.readouterr())

    return run_inside


@pytest.fixture(params=["process", "inside"])
def run(request, run_inside) -> Run:
    """Runs a command to its end, once so and once so."""
    return outcome if request.param == "process" else run_inside


def wait(condition: Callable[[], object]) -> None:
    """Waits for a condition in a thread, at most five seconds."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)


def interrupt_when(condition: Callable[[], object]) -> Thread:
    """A thread that presses Ctrl-C."""
    thread = Thread(target=lambda: (wait(condition), os.kill(os.getpid(), signal.SIGINT)))
    thread.start()
    return thread


def objects(out: str) -> list[dict]:
    """JSON lines, read."""
    return [json.loads(line) for line in out.splitlines()]


def slow_after(number: int):
    """Answers so many requests, and leaves the others waiting."""

    async def behave(index, writer):
        if index <= number:
            writer.write(http(body='{"total_count":100}'))
        else:
            await asyncio.sleep(60)

    return behave


@pytest.fixture
def _key(monkeypatch):
    monkeypatch.setenv("GALILEO_API_KEY", "k")


# ---- count -----------------------------------------------------------------------------------------------------------


async def test_a_table_for_people(server, run):
    """A line for each project, counts to the right, and the total below."""
    done = await run("count", *IDS[:2], "--concurrency", "1")
    assert done == Outcome(
        0,
        "project id                                  sessions\n"
        f"{IDS[0]}             {COUNTS[IDS[0]]}\n"
        f"{IDS[1]}             {COUNTS[IDS[1]]}\n"
        f"total                                            {COUNTS[IDS[0]] + COUNTS[IDS[1]]}\n",
        "",
    )


async def test_json_for_programs(server, run):
    """An object a line, nothing else on stdout; the total is on stderr."""
    status, out, err = await run("count", *IDS, "--format", "json")
    assert (status, err) == (0, f"12 of 12 counted, total {sum(COUNTS.values()):,}\n")
    assert {row["project_id"]: row["total_count"] for row in objects(out)} == COUNTS


async def test_csv_for_spreadsheets(server, run):
    """A header, a row for each project; what failed has an error in place of a count."""
    server.fail_next(404, body='gone,\n"away"')
    status, out, err = await run("count", *IDS[:2], "--format", "csv", "--concurrency", "1")
    header, failed, counted = csv.reader(out.splitlines())
    assert header == ["project_id", "total_count", "error"]
    assert failed[:2] == [IDS[0], ""]
    assert failed[2].startswith("NotFoundError: 404")
    assert counted == [IDS[1], str(COUNTS[IDS[1]]), ""]
    assert status == 1
    assert err.startswith(f"{IDS[0]}: 404")
    assert err.endswith(f"\n1 of 2 counted, 1 failed, total {COUNTS[IDS[1]]}\n")


async def test_filter_and_scope_travel(server, run, tmp_path, monkeypatch):
    """A filter as text, from a file or stdin, and the ids of a scope reach the service; the environment's too."""
    scope = [str(UUID(int=number, version=4)) for number in range(4)]
    monkeypatch.setenv("GALILEO_LOG_STREAM_ID", scope[3])
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[1])
    (tmp_path / "where.json").write_text(tree := json.dumps(dump_filter(Col("score") > 3)))
    options = ["--log-stream", scope[0], "--experiment", scope[1], "--metrics-testing", scope[2]]
    for arguments, stdin in (
        (["--where", WHERE, *options, IDS[0]], ""),
        (["--where-json", str(tmp_path / "where.json")], ""),
        (["--where-json", "-"], tree),
    ):
        assert (await run("count", *arguments, stdin=stdin)).status == 0
    first, second, third = server.requests
    assert first.where == second.where == third.where == (Col("score") > 3)
    assert [first.log_stream_id, first.experiment_id, first.metrics_testing_id] == scope[:3]
    assert (first.project_id, second.project_id, second.log_stream_id) == (IDS[0], IDS[1], scope[3])


async def test_a_log_stream_of_the_environment_is_named(server, run, monkeypatch):
    """Who has forgotten that it is set would take the 0 of another project for the truth."""
    monkeypatch.setenv("GALILEO_LOG_STREAM_ID", PROJECT)
    note = f"in log stream {PROJECT} only, as GALILEO_LOG_STREAM_ID says\n"
    assert (await run("count", IDS[0])).err == note
    assert (await run("count", IDS[0], "--log-stream", PROJECT)).err == ""
    assert (await run("columns", IDS[0])).err == note


async def test_a_filter_is_checked_before_it_is_counted(server, run):
    """With --check, a column that isn't there is an error and not a 0; nothing was counted."""
    status, out, err = await run("count", *IDS[:2], "--check", "--where", 'Col("tags").contains("vip")')
    assert (status, out) == (2, "")
    assert "Col.collection('tags').contains('vip')" in err
    assert server.requests == []
    assert (await run("count", IDS[0], "--check", "--where", 'Col("score") > 3')).status == 0
    assert len(server.requests) == 1


async def test_failures_are_named_and_the_rest_goes_on(server, run):
    """What failed is named on stderr with the whole reason; the exit status is 1."""
    server.fail_next(422, body={"detail": [{"loc": ["body", "filter_tree"], "msg": "not yours", "type": "x"}]})
    status, out, err = await run("count", *IDS[:2], "--concurrency", "1", "--where", WHERE)
    _, failed, counted, total = out.splitlines()
    assert status == 1
    assert failed == f"{IDS[0]}          failed  ValidationError"
    assert counted.split()[0] == IDS[1]
    assert total.split() == ["total", counted.split()[1]]
    first, *more = err.splitlines()
    assert first.startswith(f"{IDS[0]}: 422")
    assert all(line.startswith("  ") for line in more)
    assert "not yours" in err


async def test_fail_fast_ends_with_the_first_failure(server, run):
    """--fail-fast prints what was counted, names the failure and ends with 1."""
    server.fail_next(200, body={"total_count": 7})
    server.fail_next(404)
    status, out, err = await run("count", *IDS, "--fail-fast", "--concurrency", "1", "--format", "json")
    assert (status, objects(out)) == (1, [{"project_id": IDS[0], "total_count": 7}])
    stopped, error = err.splitlines()
    assert stopped == "stopped; 1 of 12 counted, total 7"
    assert error.startswith(f"Error: {IDS[1]}: 404")


async def test_refused_credentials_end_it(server, run, monkeypatch):
    """No other count could succeed: the message, and status 1."""
    monkeypatch.setenv("GALILEO_API_KEY", "wrong")
    status, out, err = await run("count", *IDS, "--format", "json")
    assert (status, out) == (1, "")
    assert "Error: " in err
    assert "401" in err
    assert "Traceback" not in err


async def test_a_json_error_has_type_and_message(server, run):
    """A program sees which error it was; a timeout is one."""
    server.fail_next(400, body="no", times=1)
    status, out, _ = await run("count", IDS[0], "--format", "json", "--timeout", "30")
    (row,) = objects(out)
    assert status == 1
    assert row["project_id"] == IDS[0]
    assert row["error"]["type"] == "BadRequestError"
    assert row["error"]["message"].startswith("400")


@pytest.mark.usefixtures("_key")
async def test_timeout_is_for_all_of_it(monkeypatch):
    """What isn't counted by then has failed."""
    async with raw_server(slow_after(1)) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        status, out, err = await outcome("count", *MANY[:3], "--format", "csv", "--timeout", "0.5")
    assert status == 1
    assert [line.split(",")[1] for line in out.splitlines()] == ["total_count", "100", "", ""]
    assert out.count("DeadlineExceededError") == 2
    assert err.endswith("1 of 3 counted, 2 failed, total 100\n")


async def test_what_an_encoding_lacks_is_escaped(server, monkeypatch):
    """No terminal and no pipe is too old."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    server.fail_next(400, body="caf\u00e9")
    counted = await outcome("count", IDS[0], "--format", "csv")
    assert r"caf\xe9" in counted.out
    assert r"caf\xe9" in counted.err
    demo = await outcome("demo")
    assert (demo.status, demo.err) == (0, "")
    assert r"\u2588\u2588" in demo.out


# ---- projects from a file --------------------------------------------------------------------------------------------


async def test_projects_come_from_a_file(server, run, tmp_path):
    """One id a line; what is empty or begins with # is skipped; the last line needs no end."""
    (tmp_path / "ids").write_text(f"\ufeff{IDS[0]}\r\n\n# all\n  {IDS[1]}\n#{IDS[2]}\n{IDS[3]}")
    status, out, err = await run("count", "--projects-from", str(tmp_path / "ids"), "--format", "json")
    assert {row["project_id"] for row in objects(out)} == {IDS[0], IDS[1], IDS[3]}
    assert (status, err) == (0, f"3 counted, total {COUNTS[IDS[0]] + COUNTS[IDS[1]] + COUNTS[IDS[3]]:,}\n")


@pytest.mark.parametrize(
    ("bad", "shown"),
    [("nope", "'nope'"), ("\x1b[31m", r"'\x1b[31m'"), ("x" * 200_000, "'xxx")],
    ids=["word", "escape", "long"],
)
async def test_a_bad_id_is_named_by_its_line(server, run, bad, shown):
    """What came before it is counted and printed."""
    stdin = "\n".join([*IDS * 10, bad, "nor this"])
    status, out, err = await run("count", "--projects-from", "-", "--format", "json", stdin=stdin)
    assert (status, len(out.splitlines())) == (2, 120)
    assert f"Error: stdin, line 121: project_id {shown}" in err
    assert "\x1b" not in err
    assert err.startswith("stopped; 120 counted, total ")


async def test_a_file_that_cannot_be_read_is_bad_usage(server, run, monkeypatch):
    """A file that fails while it is read is named."""
    status, out, err = await run("count", "--projects-from", "/proc/self/mem", "--format", "json")
    assert (status, out) == (2, "")
    assert err.endswith("Error: /proc/self/mem: Input/output error\n")


async def test_a_line_without_an_end_is_a_bad_id(server):
    """It isn't read to an end that never comes."""
    async with process("count", "--projects-from", "/dev/zero") as running:
        assert b"Error: /dev/zero, line 1: project_id '\\x00" in await running.stderr.read()
        assert await running.wait() == 2


async def test_a_slow_pipe_stops_nothing(server):
    """Results of the first lines come while the pipe is open and silent."""
    async with process("count", "--projects-from", "-", "--format", "json", stdin=-1) as running:
        for project in IDS[:3]:
            running.stdin.write(f"{project}\n".encode())
            row = json.loads(await running.stdout.readline())
            assert row == {"project_id": project, "total_count": COUNTS[project]}
        running.stdin.close()
        assert await running.stderr.read() == f"3 counted, total {sum(COUNTS[p] for p in IDS[:3]):,}\n".encode()
        assert await running.wait() == 0


# ---- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_key")
async def test_ctrl_c_tells_what_was_counted(monkeypatch):
    """SIGINT ends it with 130 and the total so far; no traceback, no warning."""
    async with raw_server(slow_after(12)) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        async with process("count", *MANY[:40], "--format", "json") as running:
            lines = [await running.stdout.readline() for _ in range(12)]
            await until(lambda: len(server.requests) > 12)
            running.send_signal(signal.SIGINT)
            rest, err = await running.communicate()
            assert (running.returncode, rest) == (130, b"")
            assert err.decode() == "interrupted; 12 of 40 counted, total 1,200\n"
            assert all(json.loads(line)["total_count"] == 100 for line in lines)


@pytest.mark.usefixtures("_key")
async def test_ctrl_c_waits_for_no_pipe(monkeypatch):
    """A silent stdin doesn't keep the program alive."""
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        async with process("count", "--projects-from", "-", "--format", "json", stdin=-1) as running:
            running.stdin.write(f"{PROJECT}\n".encode())
            assert json.loads(await running.stdout.readline())["total_count"] == 7
            running.send_signal(signal.SIGINT)
            assert await running.stderr.read() == b"interrupted; 1 counted, total 7\n"
            assert await running.wait() == 130


@pytest.mark.usefixtures("_key")
async def test_a_reader_who_waits_stops_no_request(monkeypatch, tmp_path):
    """Counting goes on while nobody reads, for a thousand lines; then everything is there."""
    (tmp_path / "ids").write_text("\n".join(MANY))
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        command = [*COMMAND, "count", "--projects-from", str(tmp_path / "ids"), "--format", "json"]
        read, write = os.pipe()
        async with process(command=command, stdout=write) as running:
            os.close(write)
            await until(lambda: len(server.requests) > 1_500)
            for _ in range(20):
                seen = len(server.requests)
                await asyncio.sleep(0.05)
                if len(server.requests) == seen:
                    break
            assert seen < 3_000
            with open(read, encoding="utf-8") as file:
                rows = objects(await asyncio.to_thread(file.read))
            assert sorted(row["project_id"] for row in rows) == sorted(MANY)
            assert await running.wait() == 0


@pytest.mark.usefixtures("_key")
async def test_a_second_ctrl_c_waits_for_no_reader(monkeypatch, tmp_path):
    """Where nobody reads what is left, the second one ends it."""
    (tmp_path / "ids").write_text("\n".join(MANY))
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        read, write = os.pipe()
        command = [*COMMAND, "count", "--projects-from", str(tmp_path / "ids"), "--format", "json"]
        async with process(command=command, stdout=write) as running:
            os.close(write)
            await until(lambda: len(server.requests) > 1_500)
            for _ in range(2):
                await asyncio.sleep(0.5)
                running.send_signal(signal.SIGINT)
            err = (await running.stderr.read()).decode()
            assert await running.wait() == 130
            assert err.startswith("interrupted; ")
            assert len(err.splitlines()) == 1
        os.close(read)


@pytest.mark.usefixtures("_key")
async def test_a_reader_may_leave(monkeypatch):
    """As with `| head -1`: it ends at once and says nothing, with the status that shells give to tools like it."""
    async with raw_server(http()) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        read, write = os.pipe()
        async with process("count", *MANY, "--format", "csv", stdout=write) as running:
            os.close(write)
            with open(read, "rb", buffering=0) as file:
                assert await asyncio.to_thread(file.read, 10) == b"project_id"
            assert await running.stderr.read() == b""
            assert await running.wait() == 141
        assert len(server.requests) < len(MANY)


@pytest.mark.parametrize("command", ["demo", "explain", "columns", "count"])
async def test_a_reader_may_have_left_before(server, command):
    """A closed pipe is no error of any command."""
    arguments = {"demo": [], "explain": ["--where", WHERE], "columns": [IDS[0]], "count": [IDS[0]]}[command]
    read, write = os.pipe()
    os.close(read)
    async with process(command, *arguments, stdout=write) as running:
        os.close(write)
        assert (await running.stderr.read(), await running.wait()) == (b"", 141)


def test_ctrl_c_inside(monkeypatch, capfd):
    """The same in this process, where coverage sees it."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    with beside(raw_server(slow_after(1))) as server:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        presser = interrupt_when(lambda: len(server.requests) > 1)
        assert inside("count", *MANY[:4], "--format", "json", "--concurrency", "1") == 130
        presser.join()
    assert capfd.readouterr().err == "interrupted; 1 of 4 counted, total 100\n"


def test_a_reader_may_leave_inside(monkeypatch, tmp_path):
    """The same in this process, where the reader takes nothing for a while before."""
    monkeypatch.setenv("GALILEO_API_KEY", "k")
    read, write = os.pipe()
    with beside(raw_server(http())) as server, open(write, "w") as out, (tmp_path / "err").open("w") as err:
        monkeypatch.setenv("GALILEO_API_URL", server.url)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr("galileo_sessions.cli.screen._MOST", 10)
        leaver = Thread(target=lambda: (wait(lambda: len(server.requests) > 800), time.sleep(0.2), os.close(read)))
        leaver.start()
        assert inside("count", *MANY, "--format", "json") == 141
        leaver.join()
        assert len(server.requests) < 1_500
        assert inside("count", PROJECT, "--format", "json") == 0  # now it goes nowhere
    assert (tmp_path / "err").read_text() == ""


async def test_a_full_disk_is_a_message(server):
    """What can't be written is told, with status 1."""
    for arguments in (["count", IDS[0]], ["columns", IDS[0]]):
        with open("/dev/full", "w") as full:
            async with process(*arguments, stdout=full) as running:
                err = (await running.stderr.read()).decode()
                assert await running.wait() == 1
        assert err.endswith("Error: No space left on device\n")
        assert "Traceback" not in err


# ---- bad usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "Error: No such command 'bogus'."),
        (["serve", "--port", "65536"], "65536 is not in the range 0<=x<=65535."),
        (["count"], "Error: no project. Give PROJECT, or --projects-from, or set GALILEO_PROJECT_ID."),
        (["count", "nope"], "Error: project_id 'nope' is no UUID such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"),
        (["count", PROJECT, "--experiment", "x"], "Error: experiment_id 'x' is no UUID"),
        (["count", PROJECT, "--projects-from", "-"], "Error: PROJECT and --projects-from exclude each other."),
        (["count", "--projects-from", "-", "--where-json", "-"], "can't both read stdin."),
        (["count", "--projects-from", "/nowhere"], "File '/nowhere' does not exist."),
        (
            ["count", PROJECT, "--where", WHERE, "--where-json", "-"],
            "Error: --where and --where-json exclude each other.",
        ),
        (["count", PROJECT, "--where", "Col("], "Error: '(' was never closed\n  Col(\n     ^\n"),
        (["count", PROJECT, "--where", "NEVER"], "Error: NEVER asks for no session"),
        (
            ["count", PROJECT, "--where-json", "-"],
            "Error: at the top: a node has exactly one of filter, and, or, not; got []",
        ),
        (
            ["count", PROJECT, "--where-json", __file__],
            "test_commands.py is not JSON: Extra data: line 1 column 3 (char 2)",
        ),
        (["count", PROJECT, "--timeout", "-1"], "-1.0 is not in the range x>0."),
        (["count", PROJECT, "--concurrency", "0"], "0 is not in the range 1<=x<=10000."),
        (["count", PROJECT], NOBODY),
        (["columns", PROJECT], NOBODY),
        (["count", "--projects-from", "-", "--check"], "--check needs PROJECT. For a file write explain --project."),
        (["explain"], "Error: no filter. Give --where or --where-json."),
        (["explain", "--where", "Col('a') == 1 & Col('b') == 2"], "binds tighter than =="),
        (["serve", "--data", "-"], "Error: -, line 2: a session needs its project_id"),
        (["demo", "bogus"], "Got unexpected extra argument (bogus)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_bad_usage_is_told_with_status_2(run_inside, monkeypatch, arguments, message):
    """In click's form and the library's words, on stderr; nothing was sent."""
    if message != NOBODY:
        monkeypatch.setenv("GALILEO_API_KEY", "k")
    status, out, err = await run_inside(*arguments, stdin="\n{} ")
    assert (status, out) == (2, "")
    assert message in err.replace("\n\n", "\n")
    assert err.startswith("Usage: ")
    assert "Traceback" not in err


WITHOUT = """
import runpy, sys

class Finder:
    def find_spec(name, path, target=None):
        if name == {!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Finder)
runpy.run_module("galileo_sessions", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("missing", ["click", "rich"])
async def test_without_the_extra_the_demo_runs_all_the_same(missing):
    """Anything else says what to install, and exits with 2."""
    command = (sys.executable, "-W", "error", "-c", WITHOUT.format(missing))
    for arguments in ([], ["demo"]):
        done = await outcome(*arguments, command=command)
        assert (done.status, done.err) == (0, "")
        assert "GALILEO_API_KEY" in done.out.splitlines()[-1]
    for arguments in (["count", PROJECT], ["--help"], ["demo", "bogus"]):
        message = f"This needs {missing}, which isn't installed: pip install 'galileo-sessions[cli]'\n"
        assert await outcome(*arguments, command=command) == Outcome(2, "", message)


async def test_another_missing_module_is_no_missing_extra():
    """What is broken isn't called missing."""
    done = await outcome("demo", command=(sys.executable, "-W", "error", "-c", WITHOUT.format("rich.live")))
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("ModuleNotFoundError: No module named 'rich.live'\n")


def test_without_the_extra_inside(monkeypatch, capsys):
    """The same in this process."""
    for name in [*sys.modules]:
        if name.startswith("galileo_sessions.cli"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "click", None)
    assert inside("count", PROJECT) == 2
    assert capsys.readouterr().err.endswith("pip install 'galileo-sessions[cli]'\n")
    monkeypatch.setattr(sys, "argv", ["galileo-sessions"])
    with redirect_stdout(StringIO()) as out:
        main()
    assert "GALILEO_API_KEY" in out.getvalue().splitlines()[-1]
    monkeypatch.delitem(sys.modules, "click")
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with pytest.raises(ModuleNotFoundError, match="rich.live"):
        main()


# ---- columns, explain, serve -----------------------------------------------------------------------------------------


async def test_columns_as_a_table_and_as_json(server, run, monkeypatch):
    """The table has a row for each column, whole where no terminal is narrow; JSON is the service's own form."""
    status, table, err = await run("columns", IDS[0])
    assert (status, err) == (0, "")
    assert "│ score" in table
    assert "│ metrics/5d0a2b8e-93c4-4c1f-8f5e-0b7a6c9d1e42 │ number " in table
    status, out, _ = await run("columns", IDS[0], "--format", "json", "--log-stream", PROJECT)
    assert (status, json.loads(out)) == (0, {"columns": []})
    monkeypatch.setenv("GALILEO_PROJECT_ID", IDS[0])
    assert (await run("columns")).out == table


HOSTILE = "\x1b]0;owned\x07[red]\x1b[2J[link=http://x]y\u202e"


async def test_hostile_text_is_inert(server, run):
    """Neither escapes nor markup of a server's text reach the terminal as such."""
    column = {"id": "a[bold]b\x1b[31m", "category": "standard", "label": HOSTILE, "description": f"{HOSTILE}\nend"}
    server.fail_next(200, body={"columns": [column | {"allowed_values": [HOSTILE, 3], "filter_type": "text"}]})
    status, table, _ = await run("columns", IDS[0])
    assert status == 0
    assert r"│ a[bold]b\x1b[31m │ text " in table
    assert r"\x1b]0;owned\x07[red]\x1b[2J[link=http://x]y\u202e" in table
    for output in ("table", "json", "csv"):
        server.fail_next(400, body=HOSTILE)
        done = await run("count", IDS[0], "--format", output)
        assert done.status == 1
        assert r"\x1b]0;owned\x07[red]" in done.err
        table += done.out + done.err
    assert not {"\x1b", "\x07", "\u202e"} & {*table}


async def test_columns_that_are_refused(server, run):
    """An error of the service is told in one line, with status 1."""
    server.fail_next(404)
    status, out, err = await run("columns", IDS[0])
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {IDS[0]}: 404")


async def test_explain_draws_and_measures(server, run):
    """The drawing, the JSON, size and depth; with --project, whether it fits its columns."""
    where = 'Col("input").contains("x") & ~Col("score").gt(3)'
    status, out, err = await run("explain", "--where", where, "--project", IDS[0])
    drawing, tree, measures = out.split("\n\n")
    assert drawing.splitlines()[1] == "├─ input contains 'x'   text"
    assert json.loads(tree) == dump_filter(Col("input").contains("x") & ~Col("score").gt(3))
    assert measures == f"size 2, depth 3; fits project {IDS[0]}\n"
    assert (status, err) == (0, "")
    status, out, err = await run("explain", "--where-json", "-", stdin='{"and": []}')
    assert out.endswith("size 1, depth 1\n")
    status, out, err = await run("explain", "--where", 'Col("scor") > 3', "--project", IDS[0])
    assert (status, out) == (2, "")
    assert "did you mean score?" in err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_serve_prints_what_a_shell_can_source(signum, tmp_path):
    """The lines it prints point the tool at it; SIGINT and SIGTERM end it with 0."""
    (tmp_path / "data.jsonl").write_text(json.dumps(SESSIONS[0]))
    async with process("serve", "--data", str(tmp_path / "data.jsonl")) as running:
        lines = [(await running.stdout.readline()).decode() for _ in range(5)]
        script = f"{''.join(lines)}exec {sys.executable} -m galileo_sessions count {IDS[0]} --format json"
        counted = await outcome("-c", script, command=["sh"])
        assert objects(counted.out) == [{"project_id": IDS[0], "total_count": 1}]
        assert lines[:2] == ["# 1 sessions; of them\n", f"# {IDS[0]} has 1\n"]
        running.send_signal(signum)
        assert await running.communicate() == (b"", b"")
        assert running.returncode == 0


def test_serve_inside(monkeypatch, tmp_path):
    """The same in this process, with the sample."""
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        presser = interrupt_when(lambda: "KEY" in (tmp_path / "out").read_text())
        assert inside("serve") == 0
        presser.join()
    assert (tmp_path / "out").read_text().startswith(f"# {len(SESSIONS):,} sessions; of them\n# ")


def test_serve_inside_where_the_port_is_taken(monkeypatch, capfd):
    """Somebody else's port is a message, with status 1."""
    with beside(LocalGalileo()) as taken:
        assert inside("serve", "--port", taken.url.rpartition(":")[2]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "in use" in err
