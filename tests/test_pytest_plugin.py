"""The fixtures for tests of other people's apps, as those people use them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from galileo_sessions import Col, CountQuery, GalileoSessions
from galileo_sessions.http.environment import VARIABLES
from galileo_sessions.local import LocalGalileo, sample_names, sample_sessions

PROJECT = str(sample_sessions()[0]["project_id"])
WHERE = Col("score") > 3


async def app() -> int:
    """An app: it knows nothing of the test."""
    async with GalileoSessions() as galileo:
        return await galileo.count(PROJECT, WHERE)


# ---- in this process -------------------------------------------------------------------------------------------------


async def test_an_app_counts_in_the_local_server(local_galileo: LocalGalileo) -> None:
    """An app finds the local server through the environment, and the test sees its queries."""
    assert 0 < await app() < 312
    assert [CountQuery(PROJECT, WHERE)] == local_galileo.requests


def test_an_app_may_have_a_loop_of_its_own(local_galileo: LocalGalileo) -> None:
    """The server is in a thread of its own, so a test that blocks doesn't stop it."""
    local_galileo.fail_next(503)
    assert 0 < asyncio.run(app())
    assert [CountQuery(PROJECT, WHERE)] * 2 == local_galileo.requests


async def test_the_client_counts_there_too(
    galileo_sessions_client: GalileoSessions, local_galileo: LocalGalileo
) -> None:
    """`galileo_sessions_client` counts in the local server."""
    assert 312 == await galileo_sessions_client.count(PROJECT)
    assert "score" in await galileo_sessions_client.columns(PROJECT)
    assert [CountQuery(PROJECT)] == local_galileo.requests


def test_the_sample_has_its_names(local_galileo_names: dict[str, str]) -> None:
    """By default, the server has the sample's sessions and the names of their projects."""
    assert sample_names() == local_galileo_names


def test_no_other_setting_stays(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What the developer's own environment holds can't carry a test to the real service."""
    for name in [name for names in VARIABLES.values() for name in names]:
        monkeypatch.setenv(name, "https://console.example.com")
    request.getfixturevalue("local_galileo")
    assert 0 < asyncio.run(app())


# ---- a thread of its own ---------------------------------------------------------------------------------------------


def test_a_server_in_a_thread_ends_with_its_block() -> None:
    """After the block, the thread has ended and the port is free."""
    before = threading.active_count()
    with LocalGalileo(sample_sessions()) as server:
        assert before + 1 == threading.active_count()
        url = server.url
    assert before == threading.active_count()
    with LocalGalileo(port=int(url.rpartition(":")[2])) as server:
        assert url == server.url


def test_a_server_that_cannot_start_leaves_no_thread() -> None:
    """A port that is taken is an OSError in the caller's own thread."""
    with LocalGalileo() as server:
        before = threading.active_count()
        with pytest.raises(OSError, match="address already in use"):
            LocalGalileo(port=int(server.url.rpartition(":")[2])).__enter__()
        assert before == threading.active_count()


# ---- in somebody's own project ---------------------------------------------------------------------------------------

CONFTEST = """
import pytest

pytest_plugins = ["galileo_sessions.pytest_plugin"]

@pytest.fixture
def local_galileo_sessions():
    return [{"project_id": "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", "score": score} for score in (1, 5)]
"""
APP = """
import asyncio
import json
from urllib.request import Request, urlopen
import pytest
from galileo_sessions import Col, GalileoSessions

PROJECT, OTHER = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"

async def count(column):
    async with GalileoSessions(check=False) as galileo:
        return await galileo.count(PROJECT, Col(column) > 3)

def names(server):
    request = Request(f"{server.url}/projects/paginated", b"{}", {"Galileo-API-Key": server.api_key})
    return [project["name"] for project in json.load(urlopen(request))["projects"]]

def test_my_app(local_galileo):
    assert asyncio.run(count("score")) == 1
    assert [query.where for query in local_galileo.requests] == [Col("score") > 3]

def test_a_typo(local_galileo):
    assert asyncio.run(count("scroe")) == 0

def test_sessions_of_my_own_have_no_names(local_galileo):
    assert names(local_galileo) == [None]

class TestMyOwn:
    @pytest.fixture
    def local_galileo_strict(self):
        return False

    @pytest.fixture
    def local_galileo_names(self):
        return {OTHER: "Mine"}

    def test_a_class_can_be_lenient(self, local_galileo):
        assert asyncio.run(count("scroe")) == 0

    def test_names_of_my_own(self, local_galileo):
        assert names(local_galileo) == ["Mine", None]
"""
CLIENT = """
import pytest

@pytest.mark.asyncio
async def test_my_client(galileo_sessions_client):
    assert await galileo_sessions_client.count("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db") == 2
"""
HIDDEN = """
import importlib.util, sys
import pytest

find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pytest_asyncio" else find(name, *more)
sys.exit(pytest.main(sys.argv[1:]))
"""
WITH_ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")


def run(folder: Path, *options: str, **files: str) -> str:
    """What pytest prints in a project of its own that has these files, with no plugin but those of the options."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, *options, "-q", "-W", "error", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60).stdout


def test_only_a_typo_fails(tmp_path: Path) -> None:
    """With sessions of one's own, without a warning. A count of 0 would let the typo pass, as a fixture can allow."""
    printed = run(tmp_path, "-m", "pytest", *WITH_ASYNCIO, conftest=CONFTEST, test_app=APP, test_client=CLIENT)
    assert "1 failed, 5 passed" in printed, printed
    assert "FAILED test_app.py::test_a_typo - " in printed
    assert "did you mean score?" in printed


def test_without_pytest_asyncio_the_rest_works(tmp_path: Path) -> None:
    """Without pytest-asyncio, all fixtures but the client work. The ini option turns the check of columns off."""
    lenient = ("-o", "galileo_sessions_strict=false")
    printed = run(tmp_path, "-c", HIDDEN, *lenient, conftest=CONFTEST, test_app=APP)
    assert "5 passed" in printed, printed


def test_a_run_that_does_not_ask_for_it_does_not_import_it(tmp_path: Path) -> None:
    """pytest imports what an installed package's entry point names, at each run of its environment."""
    (tmp_path / "test_other.py").write_text("import sys\n\ndef test(): assert 'galileo_sessions' not in sys.modules")
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
