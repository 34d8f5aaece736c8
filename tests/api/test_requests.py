"""What requests ask for: `CountQuery` with its ids, its body and what it rejects; and projects by name."""

import json
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import connected, ids
from support.programs import USER, check_message, refused
from support.sockets import PROJECT, Service, answers, http, number_of, serving
from support.strategies import combined, uuids

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, FilterError, FilterTypeError, Project, dump_query, load_query
from galileo_sessions.api.query import ANY_PROJECT, query_of
from galileo_sessions.display import brief

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
LEAF = Col("a").eq("x")
IDS = ["project_id", "log_stream_id", "experiment_id", "metrics_testing_id"]


WRONG: list[Any] = ["", "../../evil", f"{PROJECT}/", f" {PROJECT}", f"{PROJECT}\n", PROJECT[:-1], "0x" + 30 * "a"]
WRONG += ["a" + 15 * "_a" + "a", "١" * 32, "\ud800", 5, PROJECT.encode(), [PROJECT], 10**10_000, "a" * 1_000_000]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: ascii(brief(value)))
def test_what_is_no_uuid_is_refused_by_its_fields_name(name, wrong):
    """Because ids become part of a URL."""
    with pytest.raises(gs.ConfigurationError, match=f"^{name} must be a UUID, got ") as caught:
        CountQuery(**{"project_id": USER} | {name: wrong})
    check_message(str(caught.value))


@pytest.mark.parametrize(("path", "found"), [(f"/project/{USER}/log-streams", USER), ("", PROJECT)])
def test_an_address_gets_the_id_in_it_as_a_hint(path, found):
    message = refused("CountQuery(text)", gs.ConfigurationError, text=f"https://console.galileo.ai{path}")
    assert message.endswith(f"\nhint: Write an id instead of an address: {found}")


# ---- the body --------------------------------------------------------------------------------------------------------


def test_the_headline_filter_travels_as_these_bytes():
    """The body is compact ASCII JSON that always has type, operator and case_sensitive."""
    expected = (
        b'{"filter_tree":{"and":['
        b'{"filter":{"column_id":"input","operator":"contains","value":"x","case_sensitive":true,"type":"text"}},'
        b'{"not":{"filter":{"column_id":"score","operator":"gt","value":3,"type":"number"}}}'
        b"]}}"
    )
    assert expected == CountQuery(PROJECT, HEADLINE).body


EVERY: list[dict[str, Any]] = [{}, {"where": gs.ALWAYS}, {"where": ~gs.NEVER}, {"filters": []}]


@pytest.mark.parametrize(("arguments", "body"), [*[(each, b"{}") for each in EVERY], ({"where": gs.NEVER}, b"")])
def test_a_query_for_all_sessions_has_no_filter_and_one_for_none_has_no_body(arguments, body):
    assert CountQuery(PROJECT, **arguments).body == body


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        ("CountQuery(PROJECT, leaf, filters=[leaf])", FilterError, ["combines where", "where=where & all_of(filters)"]),
        ("CountQuery(PROJECT, And([leaf, ALWAYS]))", FilterError, ["contains ALWAYS", "empty And", "&, | and ~"]),
        ("CountQuery(PROJECT, Or([leaf, Not(Not(NEVER))]))", FilterError, ["contains NEVER", "empty Or"]),
        ("CountQuery(PROJECT, Or([And([Or([])])]))", FilterError, ["contains NEVER", "empty Or"]),
        ("CountQuery(PROJECT, ~TextFilter('a', 'one_of', []))", FilterError, ["'one_of', []): the API", "NEVER"]),
        (
            "CountQuery(PROJECT, filters=[IdFilter('a', 'ne', [])])",
            FilterError,
            ["an empty list", "hint: Give it a value"],
        ),
        ("CountQuery(PROJECT, leaf | NumberFilter('a', 'between', [3, 1]))", FilterError, ["[3, 1]", "Swap the two"]),
        ("CountQuery(PROJECT, NumberFilter('a', 'between', [1, 2, 3]))", FilterTypeError, ["two numbers"]),
        ("CountQuery(PROJECT, NumberFilter('a', 'between', 3))", FilterTypeError, ["'between', 3)", "two numbers"]),
        ("CountQuery(PROJECT, filters=[leaf, leaf & leaf])", FilterTypeError, ["filters[1] is Col", "where=..."]),
        ("CountQuery(PROJECT, filters=[Col('a')])", FilterTypeError, ["filters must be a list", "[0] is Col('a')"]),
        ("CountQuery(PROJECT, filters='ab')", FilterTypeError, ["filters must be a list"]),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_request(program, error, words):
    message = refused(program, error, leaf=LEAF)
    assert [] == [word for word in words if word not in message]


# ---- a value, also as plain data -------------------------------------------------------------------------------------


def test_queries_are_equal_if_they_count_the_same():
    """The tag doesn't matter, and the repr has no body."""
    query = CountQuery(PROJECT, HEADLINE, log_stream_id=USER, tag=["mine"])
    assert CountQuery(UUID(PROJECT), HEADLINE, log_stream_id=USER.upper(), tag="other") == query
    assert 1 == len({CountQuery(PROJECT), CountQuery(PROJECT, gs.ALWAYS), CountQuery(PROJECT, tag=1)})
    scoped = CountQuery(PROJECT, LEAF, experiment_id=USER)
    assert CountQuery(PROJECT, LEAF) not in [CountQuery(USER, LEAF), scoped]
    assert (repr(HEADLINE) in repr(query), "tag=['mine']" in repr(query), "body" in repr(query)) == (True, True, False)
    assert query_of(CountQuery(ANY_PROJECT, tag="the part's"), query).tag == "the part's"
    assert query_of(CountQuery(ANY_PROJECT, LEAF), query).tag == ["mine"]


@pytest.mark.parametrize("leaves", [[LEAF], [LEAF, Col("b").gt(1)], [LEAF, LEAF]], ids=str)
def test_a_list_of_leaves_is_sent_as_the_tree_of_all_of_them(leaves):
    """The query is the same as with `where`: it has the same body, plain data and text, and can be changed."""
    query, same = CountQuery(PROJECT, filters=leaves), CountQuery(PROJECT, gs.all_of(leaves))
    assert (query, query.body, repr(query)) == (same, same.body, repr(same))
    assert evolve(query, where=HEADLINE) == CountQuery(PROJECT, HEADLINE)
    listed = {"project_id": PROJECT, "filters": [gs.dump_filter(leaf)["filter"] for leaf in leaves]}
    assert dump_query(load_query(listed)) == {"project_id": PROJECT, "filter_tree": gs.dump_filter(gs.all_of(leaves))}


def test_another_projects_query_shares_the_body():
    query = CountQuery(PROJECT, HEADLINE, log_stream_id=PROJECT, tag="t")
    other = query.for_project(UUID(USER))
    assert CountQuery(USER, HEADLINE, log_stream_id=PROJECT) == other
    assert (query.body is other.body, query.where is other.where) == (True, True)
    assert (PROJECT, "t") == (query.project_id, other.tag)


scopes = st.fixed_dictionaries({name: st.none() | uuids for name in IDS[1:]})
tags = st.none() | st.integers() | st.text() | st.lists(st.text())
wheres = combined.filter(lambda where: where != gs.NEVER)  # which has no body
queries = st.builds(lambda pid, where, tag, ids: CountQuery(pid, where, tag=tag, **ids), uuids, wheres, tags, scopes)


@given(queries)
@example(CountQuery(PROJECT, ~gs.And([gs.TextFilter("", "eq", "\ud800")]), tag="t"))
def test_a_query_survives_as_plain_data(query):
    """With the same tag and body, also through JSON. The body is ASCII, even for text that UTF-8 can't encode."""
    data = dump_query(query)
    for again in (load_query(data), load_query(json.loads(json.dumps(data)))):
        assert query == again
        assert (query.tag, query.body) == (again.tag, again.body)
    assert query.body.isascii()
    assert json.loads(query.body) == {name: value for name, value in data.items() if name not in ("project_id", "tag")}


# ---- the list of projects --------------------------------------------------------------------------------------------

TIME = "2026-04-02T00:00:00+00:00"


class Listed(Service):
    """A service that lists projects in pages, and counts n sessions in project n, but can't read project 2."""

    def __init__(self, entries: list[dict[str, Any]], size: int) -> None:
        super().__init__()
        self.entries, self.size = entries, size
        self.pages: list[int] = []
        self.wanted: list[dict[str, str]] = []

    def serve(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        url = urlsplit(request.split(b" ")[1].decode())
        if url.path != "/projects/paginated":
            number = number_of(request)
            answer(http(403) if number == 2 else http(200, json.dumps({"total_count": number})))
            return
        body, asked = json.loads(request.partition(b"\r\n\r\n")[2]), parse_qs(url.query)
        self.wanted.append({each["name"]: each["value"] for each in body.get("filters", [])})
        filters = [{"name": name, "operator": "eq", "value": value} for name, value in self.wanted[-1].items()]
        assert (body, asked["limit"]) == ({"filters": filters} if filters else {}, ["100"])
        found = [entry for entry in self.entries if self.wanted[-1].items() <= entry.items()]
        self.pages.append(int(asked["starting_token"][0]))
        end = self.pages[-1] + self.size
        following = end if end < len(found) else None
        answer(http(200, json.dumps({"projects": found[end - self.size : end], "next_starting_token": following})))


@asynccontextmanager
async def listing(*names: str | None, size: int = 100, types=()) -> AsyncIterator[tuple[Listed, gs.GalileoSessions]]:
    """A service with projects of these names, whose type is gen_ai unless another is given; and its client."""
    entries = [
        {"id": each, "name": name, "type": dict(types).get(number, "gen_ai"), "created_at": TIME, "runs": []}
        for number, (each, name) in enumerate(zip(ids(len(names)), names, strict=True))
    ]
    async with connected(serving(Listed(entries, size))) as (service, galileo):
        yield service, galileo


async def test_projects_are_listed_page_by_page_as_they_are_needed():
    """The next page is requested once the last one is used up; unknown fields are ignored."""
    names = [f"p{number}" for number in range(250)]
    async with listing(*names) as (service, galileo):
        found: list[Project] = []
        async for project in galileo.projects():
            found.append(project)
            assert service.pages == [0, 100, 200][: (len(found) - 1) // 100 + 1]
    assert [project.name for project in found] == names
    assert (found[0], found[0].updated_at) == (Project(UUID(int=0), "p0", "gen_ai", TIME), None)
    assert service.wanted == [{"type": "gen_ai"}] * 3


@pytest.mark.parametrize(("given", "found"), [({}, ["a"]), ({"type": None}, ["a", "b"]), ({"type": "protect"}, ["b"])])
async def test_projects_are_listed_by_type(given, found):
    """As Galileo's SDK does, only those of type gen_ai, unless another type is given, or None for all."""
    async with listing("a", "b", types={1: "protect"}) as (_, galileo):
        assert [project.name async for project in galileo.projects(**given)] == found


async def test_a_project_that_shifts_to_the_next_page_is_listed_once():
    async with listing("a", "b", "c", "d", size=2) as (service, galileo):
        names: list[str | None] = []
        async for project in galileo.projects(type=None):
            names.append(project.name)
            if names == ["a"]:
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
    async with connected(http(200, body)) as (server, galileo):
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.project("a")
    assert caught.value.query is None
    assert caught.value.message.startswith(f"200 OK from {server.url}: {problem}; got '")
    assert "base_url" in caught.value.hint


async def test_a_list_that_repeats_a_page_is_an_error():
    body = json.dumps({"projects": [], "next_starting_token": 100})
    async with connected(http(200, body)) as (server, galileo):
        with pytest.raises(gs.DecodeError, match="repeats a page"):
            await galileo.project("a")
    assert len(server.requests) == 2


def test_an_odd_time_spoils_no_list():
    times = ["2026-04-02T00:00:00", "2026-04-02T02:00:00+02:00", "soon", None]
    then = datetime.fromisoformat(TIME)
    assert [Project(PROJECT, created_at=time).created_at for time in times] == [then, then, None, None]


# ---- one project -----------------------------------------------------------------------------------------------------

NAMES = ["Support chatbot", "Travel planner", "Twin", "Twin", "Pair", "Pair", PROJECT, "spaced ", None, *["Many"] * 4]
TYPES = {1: "protect", 4: "llm_monitor"}
ID = str(UUID(int=10))


@pytest.mark.parametrize(
    ("text", "number", "wanted"),
    [
        (" Travel planner\n", 1, [{"name": "Travel planner"}]),
        (ID.upper(), 10, [{"id": ID}]),
        (UUID(ID), 10, [{"id": ID}]),
        ("Pair", 5, [{"name": "Pair"}]),  # of several with a name, the one of type gen_ai is meant, as in Galileo's SDK
        ("spaced", 7, [{"name": "spaced"}, {}, {}]),  # the service compares names exactly
    ],
)
async def test_a_project_is_found_by_its_name_or_id(text, number, wanted):
    """In one request, whatever its type; or else in the whole list."""
    async with listing(*NAMES, size=8, types=TYPES) as (service, galileo):
        found = await galileo.project(text)
    assert (found.id, found.name, service.wanted) == (str(UUID(int=number)), NAMES[number], wanted)


def no(text: str, hint: str = "") -> str:
    """What is said of a name or an id that no project has."""
    return f"there is no project '{text}' among the 13 listed" + (hint and f"\nhint: {hint}")


@pytest.mark.parametrize(
    ("text", "said", "number"),
    [
        ("TWIN", no("TWIN", "Did you mean Twin?"), 0),
        ("zzz", no("zzz", f"Write one of Support chatbot, Travel planner, Twin, Pair, {PROJECT}, ..."), 0),
        (PROJECT, no(PROJECT, f"Did you mean {PROJECT}?"), 0),  # it is an id, although a project has it as its name
        ("Twin", f"2 projects are named 'Twin'\nhint: Write the id of one: {', '.join(ids(4)[2:])}", 2),
        ("Many", f"4 projects are named 'Many'\nhint: Write the id of one: {', '.join(ids(13)[9:])}", 4),
    ],
)
async def test_a_name_that_finds_no_single_project_says_why(text, said, number):
    """An unknown name gets the most similar one, an ambiguous name the ids. The error is a LookupError and pickles."""
    async with listing(*NAMES, types=TYPES) as (_, galileo):
        with pytest.raises(LookupError) as caught:
            await galileo.project(text)
    assert isinstance(caught.value, gs.ProjectLookupError)
    assert (str(caught.value), len(caught.value.projects)) == (said, number)
    assert pickle.loads(pickle.dumps(caught.value)) == caught.value


async def test_a_misspelled_name_is_compared_with_a_thousand_others():
    """In ten requests; if they can't be listed, the error is the same, without a suggestion."""
    async with listing(*["other"] * 2_000) as (service, galileo):
        with pytest.raises(gs.ProjectLookupError, match="'othre' among the 1,000 listed\nhint: Did you mean other"):
            await galileo.project("othre")
    assert len(service.wanted) == 11
    pages = answers(http(200, json.dumps({"projects": []})), http(422, "no"))
    async with connected(pages) as (_, galileo):
        with pytest.raises(gs.ProjectLookupError, match="^there is no project 'a'$"):
            await galileo.project("a")


async def test_a_project_is_taken_wherever_an_id_is():
    """A `Project` can be counted, checked, and given to a query. Results, rows and errors have its name."""
    chatbot, where = Project(ids(6)[5], "Support chatbot"), Col("input").contains("x")
    async with listing("x") as (_, galileo):
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


def test_the_names_of_a_changed_query_are_those_of_its_project():
    """Those of the project before would reach rows and errors. Another change keeps them."""
    first, second, nameless = Project(ids(3)[0], "A"), Project(ids(3)[1], "B"), Project(ids(3)[2])
    stream = gs.LogStream(PROJECT, "production", second.id)
    for project, names in ((first, ("A", None)), (stream, (None, "production"))):
        query = CountQuery(project, tag=1)
        assert (query.project_name, query.log_stream_name) == names
        changed = evolve(query, where=Col("input").contains("x"))
        assert (changed.project_name, changed.log_stream_name) == names
    for project in (second, nameless, first):
        assert evolve(CountQuery(first), project_id=project) == CountQuery(project)
        assert evolve(CountQuery(first), project_id=project).project_name == project.name
    moved = evolve(CountQuery(first), project_id=stream)
    assert (moved.project_id, moved.project_name, moved.log_stream_name) == (second.id, None, "production")


async def test_all_projects_are_counted_as_they_are_listed():
    """The list is a source of targets. A project that may not be read is a result with a 403, which names it."""
    names = ["a", "b", "Three\nlines", "d"]
    async with listing(*names, size=3) as (_, galileo):
        report = await galileo.count_all(galileo.projects(), Col("a").eq("b"), check=False)
    assert report.counts == (0, 1, None, 3)
    assert [row["project_name"] for row in report.rows()] == names
    assert f" (project {UUID(int=2)} 'Three\\nlines')\n" in str(report.errors[0])
    assert [result.errors for result in report.results[1:3]] == [(), report.errors]
