"""What holds for every test: no outside credentials, no blocking call, nothing left behind, no unknown skip."""

import asyncio
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import aiohttp
import pytest
from aioresponses import aioresponses
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings
from support.private import with_sample

from galileo_sessions.local import LocalGalileo

pytest_plugins = ["galileo_sessions.pytest_plugin"]

settings.register_profile(
    "project",
    max_examples=100,
    derandomize=True,  # no run depends on chance
    deadline=None,  # a busy machine fails no test, nor one on which data is made slowly
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("few", settings.get_profile("project"), max_examples=10)  # for coverage, which is slow
settings.register_profile(
    "random", settings.get_profile("project"), max_examples=1_000, derandomize=False, print_blob=True
)
settings.load_profile("project")


# ---- skips: any other, where all extras and groups are installed, would hide a test from every run -------------------

LOCAL = "GITHUB_ACTIONS" not in os.environ  # there, .ci/run installs what a machine may lack

KNOWN = {
    "asyncio has eager tasks since Python 3.12": sys.version_info < (3, 12),
    "Python 3.14 says more": sys.version_info >= (3, 14),
    "there is no fish here: apt-get install fish": LOCAL and shutil.which("fish") is None,
    "there is no zsh here: apt-get install zsh": LOCAL and shutil.which("zsh") is None,
}
"""The reason of each, and whether it holds for this run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--known-skips` is for where all that a test can use is installed."""
    parser.addoption("--known-skips", action="store_true", help="fail a test that is skipped for a reason not listed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lets a test fail that is skipped for another reason, or for one that doesn't hold; an xfail is no skip."""
    report = yield
    if item.config.getoption("--known-skips") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not KNOWN.get(reason):
            report.outcome, report.longrepr = "failed", f"unknown skip, see tests/conftest.py: {reason}"
    return report


@pytest.hookimpl(optionalhook=True)  # also without pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are processors, because many tests wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C works as in a terminal: what a script's shell starts with & would ignore it, with all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests don't see the settings of this machine."""
    for name in [*os.environ]:
        if name.startswith(("GALILEO_", "OTEL_", "SPLUNK_AO_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_blocking_call() -> Iterator[BlockBuster | None]:
    """A call that would block the event loop raises; reading files is allowed to tests themselves."""
    with blockbuster_ctx("galileo_sessions") as blockbuster:
        if "coverage" in sys.modules:  # its tracer takes a lock in any frame, and a server's thread may hold it
            blockbuster.functions["threading.Lock.acquire"].deactivate()
        for name in ("os.stat", "io.BufferedReader.read"):  # a zone's file, once for each name
            _ = blockbuster.functions[name].can_block_in("filters/calendar.py", "zone_of")
        yield blockbuster


@pytest.fixture(autouse=True)
def _no_error_in_a_callback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a callback of the client raises reaches nobody but the event loop, which logs it."""
    yield
    for record in caplog.get_records("call"):
        if record.name == "asyncio" and record.exc_info:
            for last in traceback.extract_tb(record.exc_info[2])[-1:]:
                assert "galileo_sessions/" not in last.filename, record.getMessage()


@pytest.fixture(autouse=True)
def _same_jitter_each_time(request: pytest.FixtureRequest) -> None:
    """Random numbers, such as waits before retries, are the same in each run."""
    random.seed(request.node.name)


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    """A test ends with the tasks that it began with."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """Asks `_no_task_left` of each test that has an event loop."""
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_left")


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[LocalGalileo], LocalGalileo]]:
    """Runs a server until the test ends; the environment leads to it."""
    with ExitStack() as stack:

        def run(server: LocalGalileo) -> LocalGalileo:
            stack.enter_context(server)
            monkeypatch.setenv("GALILEO_API_URL", server.url)
            monkeypatch.setenv("GALILEO_API_KEY", server.api_key)
            return server

        yield run


@pytest.fixture
def server(running: Callable[[LocalGalileo], LocalGalileo]) -> LocalGalileo:
    """A strict server that holds the sample; the environment leads to it."""
    return running(with_sample(LocalGalileo(strict=True)))


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Answers requests without a socket: for their shape only, since it knows no timeouts and no trouble."""
    if tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14):
        mended = partial(aiohttp.ClientResponse, stream_writer=SimpleNamespace(output_size=0))
        monkeypatch.setattr("aioresponses.core.ClientResponse", mended)  # 0.7.9 doesn't give what aiohttp asks for
    with aioresponses() as mocked:
        yield mocked
