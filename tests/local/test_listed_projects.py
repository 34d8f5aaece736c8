"""The local server's list of projects, in pages, with the names that it was given."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from galileo_sessions import Col, GalileoSessions
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
EMPTY = "c0de3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
SESSIONS: list[dict[str, Any]] = [{"project_id": PROJECT}, {"project_id": OTHER}, {"project_id": PROJECT}]
NAMES: dict[Any, str] = {UUID(EMPTY): "Günther's", PROJECT.upper(): "Support chatbot"}


async def test_projects_have_names(web: Any) -> None:
    """Those that the server was given; a project that only has a name is listed, too, and counts 0."""
    async with (
        LocalGalileo(SESSIONS, names=NAMES) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        projects = [(project.id, project.name, project.type) async for project in galileo.projects()]
        expected = [(EMPTY, "Günther's"), (PROJECT, "Support chatbot"), (OTHER, None)]
        assert [(*project, "gen_ai") for project in expected] == projects
        assert 0 == await web.count(server, project=EMPTY)
        assert (200, {"columns": []}) == await web.ask(server, f"/projects/{EMPTY}/sessions/available_columns")


async def test_projects_come_in_pages(web: Any) -> None:
    """A page has at most `limit` projects and the token of the next one; without a query, the first 100."""
    ids = [EMPTY, PROJECT, OTHER]
    async with LocalGalileo(SESSIONS, names=NAMES) as server:
        for path, expected, following in (
            ("/projects/paginated", ids, None),
            ("/v2/projects/paginated?starting_token=0&limit=2", ids[:2], 2),
            ("/public/v2/projects/paginated?starting_token=2&limit=2", ids[2:], None),
            ("/projects/paginated?starting_token=1&limit=2", ids[1:], None),
            ("/projects/paginated?starting_token=99&limit=1000&actions=update", [], None),
        ):
            status, page = await web.ask(server, path)
            assert (200, expected) == (status, [project["id"] for project in page["projects"]])
            assert (following is not None, following) == (page["paginated"], page["next_starting_token"])


async def test_names_alone_make_no_filter_wrong(web: Any) -> None:
    """Without sessions, a strict server has no columns, so it accepts each filter."""
    async with LocalGalileo(names=NAMES, strict=True) as server:
        assert 0 == await web.count(server, Col("scroe") < 3)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([{"name": "type", "operator": "eq", "value": "gen_ai"}], [EMPTY, PROJECT, OTHER]),
        ([{"name": "type", "operator": "eq", "value": "llm_monitor"}], []),
        ([{"name": "name", "operator": "eq", "value": "Günther's", "case_sensitive": True}], [EMPTY]),
        ([{"name": "name", "operator": "contains", "value": "support", "case_sensitive": False}], [PROJECT]),
        ([{"name": "id", "operator": "one_of", "value": [OTHER, EMPTY]}], [EMPTY, OTHER]),
        ([{"name": name, "operator": "eq", "value": value} for name, value in (("id", OTHER), ("name", "x"))], []),
        ([{"name": "runs", "operator": "eq", "value": 3}], ["body", "filters", 0, "value"]),
        ([{"name": "name", "value": "x"}], ["body", "filters", 0]),
        (5, ["body", "filters"]),
    ],
)
async def test_projects_are_filtered(web: Any, filters: Any, expected: list[str]) -> None:
    """By type, name and id, with the operators of text, as the client and Galileo's SDK do; others get a 422."""
    async with LocalGalileo(SESSIONS, names=NAMES) as server:
        status, page = await web.ask(server, "/projects/paginated?limit=3", json={"filters": filters})
        if status == 200:
            assert expected == [project["id"] for project in page["projects"]]
            assert page["next_starting_token"] is None
        else:
            assert (422, expected) == (status, page["detail"][0]["loc"])


@pytest.mark.parametrize("project_id", ["mine", PROJECT.replace("-4", "-1")], ids=["id", "version"])
def test_wrong_names_are_refused_at_once(project_id: str) -> None:
    """Their ids are checked as those of sessions."""
    with pytest.raises(ValueError, match="a project id in names must be a version 4 UUID, got"):
        LocalGalileo(names={project_id: "x"})
