"""What Galileo's SDKs ask the local server before they count: the requests that they were seen to send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAMS = ["600085a1-8e78-4a69-bff3-11ab0f301443", "33a1413b-3f9b-4835-84ca-3325c3d62917"]
UNAUTHORIZED = (401, {"detail": "Invalid credentials"})
SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": None},
    *({"project_id": PROJECT, "log_stream_id": stream} for stream in [*STREAMS, STREAMS[0]]),
    {"project_id": OTHER, "experiment_id": STREAMS[0]},
]


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


@pytest.mark.parametrize("path", ["/projects", "/projects/all"])
async def test_projects_are_those_of_the_sessions(server: LocalGalileo, web: Any, path: str) -> None:
    """Each is called by its id, and is of the type that the SDKs ask for."""
    for query, expected in (
        ("", [PROJECT, OTHER]),
        (f"?project_name={OTHER}&type=gen_ai", [OTHER]),
        ("?project_name=default", []),
        ("?project_type=gen_ai", [PROJECT, OTHER]),
        ("?project_type=llm_monitor", []),
    ):
        status, answer = await web.ask(server, path + query, "GET")
        assert (200, expected) == (status, [each["id"] for each in answer])


async def test_a_project_is_found_by_its_id(server: LocalGalileo, web: Any) -> None:
    """In upper or lower case; the SDKs read these fields."""
    status, project = await web.ask(server, f"/projects/{PROJECT.upper()}?project_id={PROJECT}", "GET")
    assert (200, PROJECT, PROJECT, "gen_ai", []) == (status, *(project[key] for key in ("id", "name", "type", "runs")))
    assert {"id", "email"} == set(project["created_by_user"])
    assert project["created_by_user"]["id"] == project["created_by"]


async def test_log_streams_are_those_of_the_sessions(server: LocalGalileo, web: Any) -> None:
    """The first is called default, because the SDKs would otherwise create one; the others are called by their ids."""
    path = f"/projects/{PROJECT}/log_streams"
    status, streams = await web.ask(server, f"{path}?project_id={PROJECT}", "GET")
    assert [("default", STREAMS[0]), (STREAMS[1], STREAMS[1])] == [(each["name"], each["id"]) for each in streams]
    assert (200, {PROJECT}) == (status, {each["project_id"] for each in streams})
    assert {"created_at", "updated_at", "created_by"} <= set(streams[0])
    assert (200, []) == await web.ask(server, f"/projects/{OTHER}/log_streams", "GET")
    _, page = await web.ask(server, f"{path}/paginated?include_counts=false&starting_token=0&limit=500", "GET")
    assert {"log_streams": streams, "starting_token": 0, "limit": 2} == page


@pytest.mark.parametrize("rest", ["", "/log_streams", "/log_streams/paginated"])
async def test_other_projects_are_refused(server: LocalGalileo, web: Any, rest: str) -> None:
    """One without sessions is unknown, a broken id is a 422, and without a key all are a 401."""
    assert (404, {"detail": "Not Found"}) == await web.ask(server, f"/projects/{STREAMS[0]}{rest}", "GET")
    status, answer = await web.ask(server, f"/projects/mine{rest}", "GET")
    assert (422, [["path", "project_id"]]) == (status, [entry["loc"] for entry in answer["detail"]])
    assert UNAUTHORIZED == await web.ask(server, f"/projects/mine{rest}", "GET", headers={})
    assert UNAUTHORIZED == await web.ask(server, "/projects/all", "GET", headers={"Galileo-API-Key": "wrong"})


async def test_it_is_healthy_and_knows_its_user(server: LocalGalileo, web: Any) -> None:
    """`/healthcheck` needs no key, `/current_user` does; both have what the API's schema requires."""
    status, answer = await web.ask(server, "/healthcheck", "GET", headers={})
    assert (200, {"api_version", "message", "version"}) == (status, set(answer))
    status, answer = await web.ask(server, "/current_user", "GET")
    required = {"id", "email", "organization_id", "organization_name", "created_at", "updated_at"}
    assert (200, server.username) == (status, answer["email"])
    assert required <= set(answer)
    assert [4, 4] == [UUID(answer[name]).version for name in ("id", "organization_id")]
    assert UNAUTHORIZED == await web.ask(server, "/current_user", "GET", headers={})
