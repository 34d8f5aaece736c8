"""What Galileo's SDKs ask the local server before they count: the requests that they were seen to send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from galileo_sessions import Col
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
EMPTY = "c0de3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAMS = ["600085a1-8e78-4a69-bff3-11ab0f301443", "33a1413b-3f9b-4835-84ca-3325c3d62917"]
UNAUTHORIZED = (401, {"detail": "Invalid credentials"})
SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": None},
    *({"project_id": PROJECT, "log_stream_id": stream} for stream in [*STREAMS, STREAMS[0]]),
    {"project_id": OTHER, "experiment_id": STREAMS[0]},
]
NAMES: dict[Any, str] = {UUID(EMPTY): "Günther's", PROJECT.upper(): "Support chatbot"}
PAGE = "/projects/paginated"


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


@pytest.mark.parametrize("path", ["/projects", "/projects/all"])
async def test_projects_are_those_of_the_sessions(server: LocalGalileo, web: Any, path: str) -> None:
    """One without a name is found by its id. All are of the type that the SDKs ask for."""
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
    assert (200, PROJECT, None, "gen_ai", []) == (status, *(project[key] for key in ("id", "name", "type", "runs")))
    assert {"id", "email"} == set(project["created_by_user"])
    assert project["created_by_user"]["id"] == project["created_by"]


@pytest.mark.parametrize("path", ["/projects", "/projects/all"])
async def test_projects_have_names(web: Any, path: str) -> None:
    """Those that the server was given; a project that only has a name is listed, too, and counts 0."""
    async with LocalGalileo(SESSIONS, names=NAMES) as server:
        status, answer = await web.ask(server, path, "GET")
        expected = [(EMPTY, "Günther's"), (PROJECT, "Support chatbot"), (OTHER, None)]
        assert (200, expected) == (status, [(each["id"], each["name"]) for each in answer])
        for name, found in (("Support chatbot", [PROJECT]), ("Günther's", [EMPTY]), (PROJECT, []), (OTHER, [OTHER])):
            _, answer = await web.ask(server, f"{path}?project_name={name}&type=gen_ai", "GET")
            assert found == [each["id"] for each in answer]
        _, project = await web.ask(server, f"/projects/{EMPTY}", "GET")
        assert (EMPTY, "Günther's") == (project["id"], project["name"])
        assert (200, []) == await web.ask(server, f"/projects/{EMPTY}/log_streams", "GET")
        assert 0 == await web.count(server, project=EMPTY)
        assert (200, {"columns": []}) == await web.ask(server, f"/projects/{EMPTY}/sessions/available_columns")


async def test_names_alone_make_no_filter_wrong(web: Any) -> None:
    """Without sessions, a strict server has no columns, so it accepts each filter."""
    async with LocalGalileo(names=NAMES, strict=True) as server:
        assert 0 == await web.count(server, Col("scroe") < 3)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"mine": "x"}, "a project id in names must be a version 4 UUID, got 'mine'"),
        ({PROJECT.replace("-4", "-1"): "x"}, "a project id in names must be a version 4 UUID"),
        ({PROJECT: None}, "a project's name must be text, got None"),
    ],
    ids=["id", "version", "name"],
)
def test_wrong_names_are_refused_at_once(names: Any, problem: str) -> None:
    """Their ids are checked as those of sessions."""
    with pytest.raises(ValueError, match=problem):
        LocalGalileo(names=names)


# ---- pages of projects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/v2", "/public/v2"])
async def test_projects_come_in_pages(web: Any, prefix: str) -> None:
    """A page has at most `limit` projects and the token of the next one; without a query, the first 100."""
    async with LocalGalileo(SESSIONS, names=NAMES) as server:
        _, projects = await web.ask(server, "/projects/all", "GET")
        for query, found, following in (
            ("", projects, None),
            ("?starting_token=0&limit=2", projects[:2], 2),
            ("?starting_token=2&limit=2", projects[2:], None),
            ("?starting_token=1&limit=2", projects[1:], None),
            ("?starting_token=99&limit=1000&actions=update", [], None),
        ):
            status, page = await web.ask(server, f"{prefix}{PAGE}{query}")
            assert 200 == status
            assert (found, following is not None) == (page["projects"], page["paginated"])
            assert {"projects", "starting_token", "limit", "paginated", "next_starting_token"} == set(page)
            assert following == page["next_starting_token"]
            given = dict(part.split("=") for part in query.removeprefix("?").split("&") if part)
            shown = int(given.get("starting_token", 0)), int(given.get("limit", 100))
            assert shown == (page["starting_token"], page["limit"])


async def test_pages_of_no_project_are_empty(web: Any) -> None:
    """The one page of a server without projects says that there is no other."""
    async with LocalGalileo() as server:
        page = {"projects": [], "starting_token": 0, "limit": 100, "paginated": False, "next_starting_token": None}
        assert (200, page) == await web.ask(server, PAGE)


async def test_a_wrong_page_is_a_422(server: LocalGalileo, web: Any) -> None:
    """In FastAPI's shape: the query's entries precede the body's. A filter is refused, not ignored."""
    both = ["greater_than_equal", "query", "starting_token"], ["int_parsing", "query", "limit"]
    for query, body, expected in (
        ("?limit=0", {}, [["greater_than_equal", "query", "limit"]]),
        ("?limit=1001", {}, [["less_than_equal", "query", "limit"]]),
        ("?starting_token=-1&limit=x", [], [*both, ["model_attributes_type", "body"]]),
        ("", {"filters": [{"name": "name", "value": "x"}]}, [["too_long", "body", "filters"]]),
    ):
        status, answer = await web.ask(server, PAGE + query, json=body)
        assert (422, expected) == (status, [[entry["type"], *entry["loc"]] for entry in answer["detail"]])
    assert "0" == (await web.ask(server, f"{PAGE}?limit=0"))[1]["detail"][0]["input"]
    assert UNAUTHORIZED == await web.ask(server, f"{PAGE}?limit=0", headers={})


# ---- log streams, and the user ---------------------------------------------------------------------------------------


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
