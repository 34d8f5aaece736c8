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
from galileo_sessions.http.address import VARIABLES
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

@pytest.fixture
def local_galileo_sessions():
    return [{"project_id": "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", "score": score} for score in (1, 5)]
"""
TESTS = """
import pytest
from galileo_sessions import Col, GalileoSessions

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"

@pytest.mark.asyncio
async def test_my_app(local_galileo):
    async with GalileoSessions() as galileo:
        assert await galileo.count(PROJECT, Col("score") > 3) == 1
    assert [query.where for query in local_galileo.requests] == [Col("score") > 3]

@pytest.mark.asyncio
async def test_my_client(galileo_sessions_client):
    assert await galileo_sessions_client.count(PROJECT) == 2
"""


def run(folder: Path, *arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """pytest in a project of its own, with nothing set up there."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_app.py").write_text(TESTS)
    program = f"import sys, pytest; {before}; sys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ}, capture_output=True, text=True, timeout=60)


def test_it_works_out_of_the_box(tmp_path: Path) -> None:
    """Installing is all, with sessions of one's own, and without a warning; test_docs.py runs it in mode strict."""
    ran = run(tmp_path, "--asyncio-mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    assert (0, True) == (ran.returncode, "2 passed" in ran.stdout), ran.stdout


def test_without_pytest_asyncio_the_rest_works(tmp_path: Path) -> None:
    """Without pytest-asyncio, all fixtures but the client work."""
    hidden = "import importlib.util as u; find = u.find_spec; "
    hidden += "u.find_spec = lambda name, *more: None if name == 'pytest_asyncio' else find(name, *more)"
    (tmp_path / "test_sync.py").write_text("def test_url(local_galileo): assert local_galileo.url\n")
    ran = run(tmp_path, "-p", "no:asyncio", "test_sync.py", before=hidden)
    assert (0, True) == (ran.returncode, "1 passed" in ran.stdout), ran.stdout


NAMES = """
import json
import os
from urllib.request import Request, urlopen
import pytest

OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"

def names(server):
    request = Request(f"{server.url}/projects/paginated", b"{}", {"Galileo-API-Key": server.api_key})
    return [project["name"] for project in json.load(urlopen(request))["projects"]]

def test_sessions_of_my_own(local_galileo):
    assert names(local_galileo) == [None]

class TestNames:
    @pytest.fixture
    def local_galileo_names(self):
        return {OTHER: "Mine"}

    def test_names_of_my_own(self, local_galileo):
        assert names(local_galileo) == ["Mine", None]
"""


def test_projects_have_your_own_names(tmp_path: Path) -> None:
    """Sessions of one's own don't get the sample's names; the fixture `local_galileo_names` gives them others."""
    (tmp_path / "test_names.py").write_text(NAMES)
    ran = run(tmp_path, "test_names.py", "-o", "asyncio_default_fixture_loop_scope=function")
    assert (0, True) == (ran.returncode, "2 passed" in ran.stdout), ran.stdout


def test_the_sample_has_its_names(local_galileo_names: dict[str, str]) -> None:
    """By default, the server has the sample's sessions and the names of their projects."""
    assert sample_names() == local_galileo_names


TYPO = """
import asyncio
import pytest
from galileo_sessions import Col, GalileoSessions, ValidationError

async def count():
    async with GalileoSessions(check=False) as galileo:
        return await galileo.count("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db", Col("scroe") > 3)

def test_zero(local_galileo):
    assert asyncio.run(count()) == 0

class TestLenient:
    @pytest.fixture
    def local_galileo_strict(self):
        return False

    def test_one_class(self, local_galileo):
        assert asyncio.run(count()) == 0
"""


def test_a_typo_fails_a_test(tmp_path: Path) -> None:
    """A count of 0 would let it pass; a fixture and the ini option, here on the command line, turn the check off."""
    (tmp_path / "test_typo.py").write_text(TYPO)
    scope = ("-o", "asyncio_default_fixture_loop_scope=function")
    strict = run(tmp_path, "test_typo.py", *scope)
    assert (1, True) == (strict.returncode, "1 failed, 1 passed" in strict.stdout), strict.stdout
    assert "did you mean score?" in strict.stdout
    lenient = run(tmp_path, "test_typo.py", "-o", "galileo_sessions_strict=false", *scope)
    assert (0, True) == (lenient.returncode, "2 passed" in lenient.stdout), lenient.stdout
