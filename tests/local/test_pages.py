"""What Galileo's SDKs ask of the local server beside counts: the requests that they were seen to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAMS = ["600085a1-8e78-4a69-bff3-11ab0f301443", "33a1413b-3f9b-4835-84ca-3325c3d62917"]
SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": None},
    *({"project_id": PROJECT, "log_stream_id": stream} for stream in [*STREAMS, STREAMS[0]]),
    {"project_id": OTHER, "experiment_id": STREAMS[0]},
]
Get: TypeAlias = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
async def get() -> AsyncIterator[Get]:
    async with LocalGalileo(SESSIONS) as server, aiohttp.ClientSession() as session:

        async def ask(path: str, key: str = server.api_key) -> tuple[int, Any]:
            async with session.get(server.url + path, headers={"Galileo-API-Key": key}) as response:
                return response.status, await response.json()

        yield ask


async def ids(get: Get, path: str) -> list[str]:
    status, answer = await get(path)
    assert 200 == status
    return [each["id"] for each in answer]


@pytest.mark.parametrize("path", ["/projects", "/projects/all"])
async def test_projects_are_those_of_the_sessions(get: Get, path: str) -> None:
    """Each is called by its id, and is of the type that the SDKs ask for."""
    assert [PROJECT, OTHER] == await ids(get, path)
    assert [OTHER] == await ids(get, f"{path}?project_name={OTHER}&type=gen_ai")
    assert [] == await ids(get, f"{path}?project_name=default")
    assert [PROJECT, OTHER] == await ids(get, f"{path}?project_type=gen_ai")
    assert [] == await ids(get, f"{path}?project_type=llm_monitor")


async def test_a_project_is_found_by_its_id(get: Get) -> None:
    """Written in any way; the SDKs read these fields."""
    status, project = await get(f"/projects/{PROJECT.upper()}?project_id={PROJECT}")
    assert (200, PROJECT, PROJECT, "gen_ai", []) == (status, *(project[key] for key in ("id", "name", "type", "runs")))
    assert {"id", "email"} == set(project["created_by_user"])
    assert project["created_by_user"]["id"] == project["created_by"]


async def test_log_streams_are_those_of_the_sessions(get: Get) -> None:
    """The first is called default, for the SDKs would otherwise create one; the others are called by their ids."""
    status, streams = await get(f"/projects/{PROJECT}/log_streams?project_id={PROJECT}")
    assert [("default", STREAMS[0]), (STREAMS[1], STREAMS[1])] == [(each["name"], each["id"]) for each in streams]
    assert (200, {PROJECT}) == (status, {each["project_id"] for each in streams})
    assert {"created_at", "updated_at", "created_by"} <= set(streams[0])
    assert (200, []) == await get(f"/projects/{OTHER}/log_streams")
    _, page = await get(f"/projects/{PROJECT}/log_streams/paginated?include_counts=false&starting_token=0&limit=500")
    assert {"log_streams": streams, "starting_token": 0, "limit": 2} == page


@pytest.mark.parametrize("rest", ["", "/log_streams", "/log_streams/paginated"])
async def test_other_projects_are_refused(get: Get, rest: str) -> None:
    """One without sessions is unknown; what is no id is a 422; and who has no key is told nothing."""
    assert (404, {"detail": "Not Found"}) == await get(f"/projects/{STREAMS[0]}{rest}")
    status, answer = await get(f"/projects/mine{rest}")
    assert (422, [["path", "project_id"]]) == (status, [entry["loc"] for entry in answer["detail"]])
    assert (401, {"detail": "Invalid credentials"}) == await get(f"/projects/mine{rest}", key="wrong")
    assert (401, {"detail": "Invalid credentials"}) == await get("/projects/all", key="wrong")
