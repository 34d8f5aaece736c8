"""The fixtures for tests of other people's apps, as those people use them."""

import os
import subprocess
import sys
import time
from importlib.metadata import distribution

import pytest

from galileo_sessions import Col, CountQuery, GalileoSessions, Retry
from galileo_sessions.http.environment import VARIABLES
from galileo_sessions.local import sample_names, sample_sessions

PROJECT = str(sample_sessions()[0]["project_id"])
WHERE = Col("score") > 3


@pytest.fixture
def _own_settings(monkeypatch):
    """What the developer's own environment holds."""
    for name in [name for names in VARIABLES.values() for name in names]:
        monkeypatch.setenv(name, "https://console.example.com")


@pytest.mark.usefixtures("_own_settings")
async def test_an_app_counts_in_the_local_server_alone(local_galileo, local_galileo_names, galileo_sessions_client):
    """It finds the server through the environment, whatever that held before; so does the client for tests."""
    async with GalileoSessions() as galileo:
        assert 0 < await galileo.count(PROJECT, WHERE) < 312
    assert await galileo_sessions_client.count(PROJECT) == 312
    assert local_galileo.requests == [CountQuery(PROJECT, WHERE), CountQuery(PROJECT)]
    assert local_galileo_names == sample_names()


@pytest.mark.parametrize("retry", [None, Retry(patience=60, attempts=20)], ids=["the default", "the app's own"])
@pytest.mark.parametrize(
    ("status", "headers"), [(503, {}), (429, {"Retry-After": 30}), (500, {}), (503, {"Retry-After": 0.5})]
)
@pytest.mark.usefixtures("galileo_short_patience")
async def test_an_outage_ends_soon(local_galileo, retry, status, headers):
    """Whatever patience the app's client asks for. Nothing is counted, and each project has its error."""
    local_galileo.fail(status, headers=headers)
    began = time.monotonic()
    async with GalileoSessions(**{} if retry is None else {"retry": retry}) as galileo:
        report = await galileo.count_all([*sample_names()])
    assert {status} == {getattr(error, "status", None) for error in report.errors}
    assert len(report.errors) == 12
    assert time.monotonic() - began < 2


@pytest.mark.usefixtures("galileo_short_patience")
async def test_a_short_patience_is_enough_for_a_refusal(local_galileo):
    local_galileo.fail_next(503, times=2)
    async with GalileoSessions() as galileo:
        assert await galileo.count(PROJECT) == 312


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
    local_galileo.fail_next(503)
    assert asyncio.run(count("score")) == 1
    assert [query.where for query in local_galileo.requests] == [Col("score") > 3] * 2

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
HIDDEN = 'import pytest, sys; sys.modules["pytest_asyncio"] = None; sys.exit(pytest.main(sys.argv[1:]))'
WITH_ASYNCIO = ("-m", "pytest", "-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")


def run(folder, *options: str, **files: str) -> str:
    """What pytest prints in a project of its own that has these files, with no plugin but those of the options."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, *options, "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60).stdout


def test_only_a_typo_fails(tmp_path):
    """With sessions of one's own, without a warning. A count of 0 would let the typo pass, as a fixture can allow."""
    printed = run(tmp_path, *WITH_ASYNCIO, "-W", "error", conftest=CONFTEST, test_app=APP, test_client=CLIENT)
    assert "1 failed, 5 passed" in printed, printed
    assert "FAILED test_app.py::test_a_typo - " in printed
    assert "did you mean score?" in printed


def test_without_pytest_asyncio_all_fixtures_but_the_client_work(tmp_path):
    """The ini option turns the check of columns off."""
    lenient = ("-o", "galileo_sessions_strict=false")
    printed = run(tmp_path, "-c", HIDDEN, *lenient, "-W", "error", conftest=CONFTEST, test_app=APP)
    assert "5 passed" in printed, printed


def test_a_run_that_does_not_ask_for_the_plugin_does_not_load_it():
    assert "pytest11" not in {each.group for each in distribution("galileo-sessions").entry_points}
