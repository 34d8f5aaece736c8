"""CountQuery as a value: its ids, the bytes that are sent, and what it rejects."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import USER, check_message, refused
from support.sockets import PROJECT
from support.strategies import filters, is_undefined, leaves, uuids

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, FilterDecodeError, FilterError, FilterTypeError, dump_query, load_query
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


EVERY: list[dict[str, Any]] = [{}, {"where": None}, {"where": ~gs.NEVER}, {"filters": iter([])}]


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
        ("CountQuery(PROJECT, filters=[IdFilter('a', 'ne', [])])", FilterError, ["an empty list", "write ALWAYS"]),
        ("CountQuery(PROJECT, leaf | NumberFilter('a', 'between', [3, 1]))", FilterError, ["[3, 1]", "Swap the two"]),
        ("CountQuery(PROJECT, NumberFilter('a', 'between', 3))", FilterTypeError, ["'between', 3)", "two numbers"]),
        ("CountQuery(PROJECT, filters=[leaf & leaf])", FilterTypeError, ["filters must be a list", "where=..."]),
        ("CountQuery(PROJECT, filters=[Col('a')])", FilterTypeError, ["filters must be a list", "Col('a')"]),
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
    assert CountQuery(PROJECT, LEAF) not in [CountQuery(PROJECT, filters=[LEAF]), CountQuery(USER, LEAF), scoped]
    assert (repr(HEADLINE) in repr(query), "tag=['mine']" in repr(query), "body" in repr(query)) == (True, True, False)
    assert query_of(CountQuery(ANY_PROJECT, tag="the part's"), query).tag == "the part's"
    assert query_of(CountQuery(ANY_PROJECT, LEAF), query).tag == ["mine"]


def test_another_projects_query_shares_the_body():
    query = CountQuery(PROJECT, HEADLINE, log_stream_id=PROJECT, tag="t")
    other = query.for_project(UUID(USER))
    assert CountQuery(USER, HEADLINE, log_stream_id=PROJECT) == other
    assert (query.body is other.body, query.where is other.where) == (True, True)
    assert (PROJECT, "t") == (query.project_id, other.tag)
    with pytest.raises(gs.ConfigurationError, match="project_id must be a UUID, got 'x'"):
        query.for_project("x")


scopes = st.fixed_dictionaries({name: st.none() | uuids for name in IDS[1:]})
tags = st.none() | st.integers() | st.text() | st.lists(st.text())
wheres = st.just(gs.ALWAYS) | filters.filter(lambda where: not is_undefined(where))
lists = st.lists(leaves.filter(lambda leaf: not is_undefined(leaf)), max_size=3)
either = st.fixed_dictionaries({"where": wheres}) | st.fixed_dictionaries({"filters": lists})
queries = st.builds(lambda pid, tag, a, b: CountQuery(pid, tag=tag, **a, **b), uuids, tags, either, scopes)


@given(queries)
def test_a_query_survives_as_plain_data(query):
    """With the same tag and body, also through JSON. The body is ASCII, even for text that UTF-8 can't encode."""
    data = dump_query(query)
    for again in (load_query(data), load_query(json.loads(json.dumps(data)))):
        assert query == again
        assert (query.tag, query.body) == (again.tag, again.body)
    assert query.body.isascii()
    assert json.loads(query.body) == {name: value for name, value in data.items() if name not in ("project_id", "tag")}


@pytest.mark.parametrize(
    ("data", "path", "words"),
    [
        (None, [], "expected a JSON object, got None"),
        ({"filters": []}, [], "needs its project_id"),
        ({"project_id": PROJECT, "where": 1}, [], "no key 'where'.*filter_tree, filters"),
        ({"project_id": PROJECT, 1: 1}, [], "no key 1"),
        ({"project_id": PROJECT, "filter_tree": {"and": [{}]}}, ["filter_tree", "and", 0], r"at .filter_tree.and\[0\]"),
        ({"project_id": PROJECT, "filter_tree": {"and": []}}, ["filter_tree"], r'empty "and" would(.|\s)*Leave'),
        ({"project_id": PROJECT, "filters": 1}, ["filters"], "a list of leaves.*1"),
        ({"project_id": PROJECT, "filters": False}, ["filters"], "a list of leaves"),
        ({"project_id": PROJECT, "filters": [{"filter": {}}]}, ["filters", 0, "type"], "got None"),
    ],
    ids=str,
)
def test_what_is_no_query_is_refused_with_its_path(data, path, words):
    with pytest.raises(FilterDecodeError, match=words) as caught:
        load_query(data)
    check_message(str(caught.value))
    assert tuple(path) == caught.value.path
