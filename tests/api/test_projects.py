"""Projects by name: the list, its pages, and a `Project` wherever an id is taken."""

import asyncio
import json
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from support.clients import client, ids
from support.inside import idle
from support.sockets import PROJECT, RawServer, http, number_of, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, Project, ProjectLookupError, dump_query, load_query
from galileo_sessions.api.projects import find_project

NAMES = ["Support chatbot", "Travel planner", "Three\nlines", "Twin", "Twin", PROJECT]
TIME = "2026-04-02T00:00:00+00:00"


class Listed:
    """A service with projects, which lists them in pages and counts n sessions in project n."""

    def __init__(self, names: list[str | None], size: int = 100, **more: object) -> None:
        self.entries: list[dict[str, Any]] = [
            {"id": str(UUID(int=number)), "name": name, "type": "gen_ai", "created_at": TIME, "runs": [], **more}
            for number, name in enumerate(names)
        ]
        self.size = size
        self.pages: list[int] = []
        self.wanted: list[dict[str, str]] = []
        self.server: RawServer

    async def behave(self, nth: int, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        request = self.server.requests[nth - 1]
        url = urlsplit(request.split(b" ")[1].decode())
        if url.path != "/projects/paginated":
            writer.write(http(200, json.dumps({"total_count": number_of(request)})))
            return
        body = json.loads(request.partition(b"\r\n\r\n")[2])
        assert body.keys() <= {"filters"}
        filters = body.get("filters", [])
        assert all(each["operator"] == "eq" for each in filters)
        self.wanted.append({each["name"]: each["value"] for each in filters})
        found = [entry for entry in self.entries if self.wanted[-1].items() <= entry.items()]
        token = int(parse_qs(url.query)["starting_token"][0])
        assert parse_qs(url.query)["limit"] == ["100"]
        self.pages.append(token)
        end = token + self.size
        following = end if end < len(found) else None
        page = {"projects": found[token:end], "paginated": following is not None, "next_starting_token": following}
        writer.write(http(200, json.dumps(page)))


@asynccontextmanager
async def asking(service: Listed) -> AsyncIterator[gs.GalileoSessions]:
    """A client of the service."""
    async with raw_server(service.behave) as service.server, client(service.server.url) as galileo:
        yield galileo
        assert idle(galileo)


async def test_projects_are_listed_page_by_page_as_they_are_needed():
    """The next page is requested once the last one is used up; unknown fields are ignored."""
    service = Listed([f"p{number}" for number in range(250)], size=100, bookmark=False)
    async with asking(service) as galileo:
        found: list[Project] = []
        async for project in galileo.projects():
            found.append(project)
            if len(found) == 100:
                assert service.pages == [0]
        assert [project.name for project in found] == [f"p{number}" for number in range(250)]
        assert found[0] == Project(UUID(int=0), "p0", "gen_ai", TIME)
        assert found[0].updated_at is None
    assert service.pages == [0, 100, 200]
    assert service.wanted == [{"type": "gen_ai"}] * 3


@pytest.mark.parametrize(
    ("given", "wanted", "found"),
    [({}, {"type": "gen_ai"}, ["new"]), ({"type": None}, {}, ["new", "old"]), ({"type": "protect"}, None, ["old"])],
)
async def test_projects_are_listed_by_type(given, wanted, found):
    """As Galileo's SDK does, only those of type gen_ai, unless another type is given, or None for all."""
    service = Listed(["new", "old"])
    service.entries[1]["type"] = "protect"
    async with asking(service) as galileo:
        assert [project.name async for project in galileo.projects(**given)] == found
    assert service.wanted == [given if wanted is None else wanted]


async def test_a_project_that_shifts_to_the_next_page_is_listed_once():
    """A project that is created meanwhile shifts the pages; no project is listed twice."""
    service = Listed(["a", "b", "c", "d"], size=2)
    async with asking(service) as galileo:
        names: list[str | None] = []
        async for project in galileo.projects(type=None):
            names.append(project.name)
            if len(names) == 1:
                service.entries.insert(0, {"id": str(UUID(int=9)), "name": "new"})
        assert names == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", "expected a JSON object, got []"),
        ("{}", "at .projects: expected a list of projects, got None"),
        ('{"projects": [{"name": "a"}]}', "at .projects[0]: id is missing"),
        ('{"projects": [{"id": "x"}]}', "at .projects[0].id: project_id must be a UUID, got 'x'"),
        ('{"projects":[],"next_starting_token":"1"}', "an unexpected body"),  # the key, k, is a part of its words
    ],
)
async def test_a_page_that_is_none_is_an_error(body, problem):
    """A 200 that isn't a page is a `DecodeError` without a project."""
    async with raw_server(http(200, body)) as server, client(server.url) as galileo:
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.project("a")
    assert caught.value.query is None
    assert caught.value.message.startswith(f"200 OK from {server.url}: {problem}; got '")
    assert "base_url" in caught.value.hint


async def test_a_list_that_repeats_a_page_is_an_error():
    """A service that answers the same page again would be asked forever."""
    body = json.dumps({"projects": [], "next_starting_token": 100})
    async with raw_server(http(200, body)) as server, client(server.url) as galileo:
        with pytest.raises(gs.DecodeError, match="repeats a page"):
            await galileo.project("a")
    assert len(server.requests) == 2


def test_an_odd_time_spoils_no_list():
    """A time without an offset is UTC, and what isn't a time is None: nothing depends on it."""
    times = ["2026-04-02T00:00:00", "2026-04-02T02:00:00+02:00", "soon", None]
    then = datetime.fromisoformat(TIME)
    assert [Project(PROJECT, created_at=time).created_at for time in times] == [then, then, None, None]


async def test_a_project_is_found_by_its_name_or_id():
    """In one request, whatever its type; text that is a UUID is an id, even if it is another project's name."""
    service = Listed(NAMES, size=4)
    service.entries[1]["type"] = "protect"
    async with asking(service) as galileo:
        assert await galileo.project(" Travel planner\n") == Project(UUID(int=1), "Travel planner", "protect", TIME)
        assert (await galileo.project(str(UUID(int=2)).upper())).id == str(UUID(int=2))
        assert (await galileo.project(UUID(int=2))).id == str(UUID(int=2))
        assert service.wanted == [{"name": "Travel planner"}, *[{"id": str(UUID(int=2))}] * 2]
        with pytest.raises(ProjectLookupError, match=f"no project '{PROJECT}' among the 6 listed"):
            await galileo.project(PROJECT)
        assert service.wanted[3:] == [{"id": PROJECT}, {}, {}]


async def test_a_name_with_spaces_around_it_is_found_in_the_whole_list():
    """The service compares names exactly; what it doesn't find is looked for among all projects, spaces aside."""
    service = Listed(["a ", None, "b"])
    async with asking(service) as galileo:
        assert (await galileo.project("a")).name == "a "
        with pytest.raises(ProjectLookupError, match="no project '' among the 3 listed"):
            await galileo.project("")
    assert service.wanted == [{"name": "a"}, {}, {"name": ""}, {}]


def test_of_several_projects_with_a_name_the_one_of_type_gen_ai_is_meant():
    """As in Galileo's SDK."""
    one, other = Project(UUID(int=3), "Twin", "llm_monitor"), Project(UUID(int=4), "Twin", "gen_ai")
    assert find_project([one, other], "Twin") == other


async def test_a_misspelled_name_is_compared_with_a_thousand_others():
    """In ten requests; if they can't be listed, the error is the same, without a suggestion."""
    service = Listed(["other"] * 2_000, size=100)
    async with asking(service) as galileo:
        with pytest.raises(ProjectLookupError, match="'othre' among the 1,000 listed\nhint: Did you mean other"):
            await galileo.project("othre")
    assert len(service.wanted) == 11
    pages = [http(200, json.dumps({"projects": []})), http(422, "no")]

    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(pages[number - 1])

    async with raw_server(answer) as server, client(server.url) as galileo:
        with pytest.raises(ProjectLookupError, match="^there is no project 'a'$"):
            await galileo.project("a")


def test_what_is_nearly_an_id_gets_a_hint():
    """White space around it is named; the hint for an address has the id in it."""
    with pytest.raises(gs.ConfigurationError, match="It begins or ends with white space, .*Strip it"):
        CountQuery(f"{PROJECT}\n")
    with pytest.raises(gs.ConfigurationError, match=f"Write an id instead of an address: {PROJECT}"):
        CountQuery(f"https://console.galileo.ai/project/{PROJECT}/log-streams")


@pytest.mark.parametrize(
    ("name", "said", "number"),
    [
        ("TWIN", "there is no project 'TWIN' among the 6 listed\nhint: Did you mean Twin?", 0),
        ("zzz", "there is no project 'zzz' among the 6 listed", 0),
        ("Twin", f"2 projects are named 'Twin'\nhint: Write the id of one: {UUID(int=3)}, {UUID(int=4)}", 2),
    ],
)
async def test_a_name_that_finds_no_single_project_says_why(name, said, number):
    """An unknown name gets the most similar one, an ambiguous name the ids. The error is a LookupError and pickles."""
    async with asking(Listed(NAMES)) as galileo:
        with pytest.raises(LookupError) as caught:
            await galileo.project(name)
        error = caught.value
        assert isinstance(error, ProjectLookupError)
        assert (str(error), len(error.projects)) == (said, number)
        assert pickle.loads(pickle.dumps(error)) == error


async def test_a_project_is_taken_wherever_an_id_is():
    """A `Project` can be counted, checked, and given to a query. Results, rows and errors have its name."""
    chatbot = Project(ids(6)[5], "Support chatbot")
    where = Col("input").contains("x")
    async with asking(Listed(["x"])) as galileo:
        assert await galileo.count(chatbot, where) == await galileo.count(chatbot) == 5
        report = await galileo.count_all([chatbot, ids(8)[7]], where)
        assert [row["project_name"] for row in report.rows()] == ["Support chatbot", None]
        assert repr(report.results[0]) == f"<CountResult: 5 sessions, project {chatbot.id} Support chatbot>"
        assert report.results[0].target is chatbot
        counts = await galileo.count_by(chatbot, {"a": where})
        assert (counts.project_id, counts.project_name) == (chatbot.id, "Support chatbot")
        assert counts.rows()[0]["project_name"] == "Support chatbot"
        assert (await galileo.explain(chatbot, where)).nodes[0].total_count == 5
        query = CountQuery(chatbot, where)
        assert query.project_name == query.for_project(chatbot).project_name == "Support chatbot"
        assert query.for_project(PROJECT).project_name is None
        assert query == CountQuery(chatbot.id, where) == load_query(dump_query(query))
        assert b"chatbot" not in query.body


async def test_all_projects_are_counted_as_they_are_listed():
    """The list is a source of targets. A project that may not be read is a result with a 403, which names it."""

    async def behave(nth: int, writer: asyncio.StreamWriter) -> None:
        if b"0002/sessions" in service.server.requests[nth - 1]:
            writer.write(http(403))
        else:
            await service.behave(nth, writer)

    service = Listed(NAMES, size=4)
    async with raw_server(behave) as service.server, client(service.server.url) as galileo:
        report = await galileo.count_all(galileo.projects(), Col("a").eq("b"), check=False)
        assert idle(galileo)
    assert report.counts == (0, 1, None, 3, 4, 5)
    assert [row["project_name"] for row in report.rows()] == NAMES
    assert f" (project {UUID(int=2)} 'Three\\nlines')\n" in str(report.errors[0])
    assert [result.errors for result in report.results[1:3]] == [(), report.errors]
