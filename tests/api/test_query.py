"""CountQuery as a value: its ids, the bytes that are sent, and what it rejects."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import USER, check_message, refused, run
from support.sockets import PROJECT
from support.strategies import filters, is_undefined, leaves, uuids

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, FilterDecodeError, FilterError, FilterTypeError, dump_query, load_query
from galileo_sessions.api.query import ANY_PROJECT, query_of
from galileo_sessions.display import brief

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
LEAF = Col("a").eq("x")
ABOVE_1 = {"column_id": "a", "operator": "gt", "value": 1, "type": "number"}
RATED = {"column_id": "fully_annotated", "type": "fully_annotated"}
IDS = ["project_id", "log_stream_id", "experiment_id", "metrics_testing_id"]


# ---- ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    "written",
    [PROJECT, PROJECT.upper(), UUID(PROJECT), f"urn:uuid:{PROJECT}", "{" + PROJECT + "}", PROJECT.replace("-", "")],
    ids=["text", "upper case", "UUID", "urn", "braces", "no hyphens"],
)
def test_an_id_may_be_written_in_any_form_of_a_uuid(name, written):
    """It is kept in the form that the API documents."""
    assert PROJECT == getattr(CountQuery(**{"project_id": USER} | {name: written}), name)


WRONG: list[Any] = ["", "../../evil", f"{PROJECT}/", f" {PROJECT}", f"{PROJECT}\n", PROJECT[:-1], "0x" + 30 * "a"]
WRONG += ["a" + 15 * "_a" + "a", "١" * 32, "\ud800", 5, PROJECT.encode(), [PROJECT], 10**10_000, "a" * 1_000_000]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: ascii(brief(value)))
def test_what_is_no_uuid_is_refused_by_its_fields_name(name, wrong):
    """Because ids become part of a URL."""
    with pytest.raises(gs.ConfigurationError, match=f"^{name} must be a UUID, got ") as caught:
        CountQuery(**{"project_id": USER} | {name: wrong})
    check_message(str(caught.value))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{USER}\n", "It begins or ends with white space, perhaps a line break from a file. Strip it"),
        (f"https://console.galileo.ai/project/{USER}/log-streams", f"Write an id instead of an address: {USER}"),
        ("https://console.galileo.ai", f"Write an id instead of an address: {PROJECT}"),
        (None, f"Write an id such as {PROJECT}"),
    ],
)
def test_what_is_nearly_an_id_gets_a_hint(text, hint):
    assert refused("CountQuery(text)", gs.ConfigurationError, text=text).endswith(f"\nhint: {hint}")


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


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("CountQuery(PROJECT)", {}),
        ("CountQuery(PROJECT, None)", {}),
        ("CountQuery(PROJECT, ~NEVER)", {}),
        ("CountQuery(PROJECT, NEVER)", None),  # nothing is sent
        ("CountQuery(PROJECT, filters=[])", {}),
        ("CountQuery(PROJECT, tag='t')", {}),
        ("CountQuery(PROJECT, log_stream_id=USER)", {"log_stream_id": USER}),
        ("CountQuery(PROJECT, experiment_id=UUID(USER))", {"experiment_id": USER}),
        ("CountQuery(PROJECT, metrics_testing_id=USER.upper())", {"metrics_testing_id": USER}),
        ("CountQuery(PROJECT, filters=iter([Col('a').gt(1), FullyAnnotatedFilter()]))", {"filters": [ABOVE_1, RATED]}),
    ],
)
def test_a_body_holds_what_is_set_and_no_more(query, body):
    """ALWAYS sends no filter, and neither project nor tag is in it."""
    assert body == json.loads(run(query).body or "null")


def test_any_text_travels():
    """Everything beyond ASCII is escaped, even what UTF-8 can't encode."""
    where = gs.all_of([Col("é").eq("😀\0"), ~run("TextFilter('\\ud800', 'eq', '')"), Col("n").gt(10**400)])
    body = CountQuery(PROJECT, where).body
    assert body.isascii()
    assert {"filter_tree": dump_query(CountQuery(PROJECT, where))["filter_tree"]} == json.loads(body)


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
        ("CountQuery(PROJECT, \"Col('a') == 1\")", FilterTypeError, ["is not a filter", "hint: Write parse_filter("]),
        ("CountQuery(PROJECT, Col('a'))", FilterTypeError, ["Col('a') is a column, not yet a filter"]),
        ("CountQuery(PROJECT, True)", FilterTypeError, ["True is not a filter"]),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_request(program, error, words):
    """What the API doesn't document, or what isn't a filter, raises an error that says what to write."""
    message = refused(program, error, leaf=LEAF)
    assert [] == [word for word in words if word not in message]


# ---- a value, also as plain data -------------------------------------------------------------------------------------


def test_queries_are_equal_if_they_count_the_same():
    """The tag doesn't matter, and the repr has no body."""
    query = CountQuery(PROJECT, HEADLINE, log_stream_id=USER, tag=["mine"])
    assert CountQuery(UUID(PROJECT), HEADLINE, log_stream_id=USER.upper(), tag="other") == query
    assert 1 == len({CountQuery(PROJECT), CountQuery(PROJECT, gs.ALWAYS), CountQuery(PROJECT, tag=1)})
    others = [
        CountQuery(PROJECT, filters=[LEAF]),
        CountQuery(USER, LEAF),
        CountQuery(PROJECT, LEAF, experiment_id=USER),
    ]
    assert CountQuery(PROJECT, LEAF) not in others
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
    """load_query(dump_query(q)) == q, also through JSON, with the same tag and body."""
    data = dump_query(query)
    for again in (load_query(data), load_query(json.loads(json.dumps(data)))):
        assert query == again
        assert (query.tag, query.body) == (again.tag, again.body)
    assert json.loads(query.body) == {name: value for name, value in data.items() if name not in ("project_id", "tag")}


def test_plain_data_holds_what_is_set():
    """The keys of the request, with the project and the tag."""
    leaf = {"column_id": "a", "operator": "eq", "value": "x", "case_sensitive": True, "type": "text"}
    data = {"project_id": PROJECT, "filter_tree": {"filter": leaf}, "experiment_id": USER, "tag": 1}
    assert data == dump_query(CountQuery(PROJECT, LEAF, experiment_id=USER, tag=1))
    assert {"project_id": PROJECT, "filters": [leaf]} == dump_query(CountQuery(PROJECT, filters=[LEAF]))


def test_the_documents_own_example_loads():
    """The example of the API's document calls the column `name`. A null means that nothing is set."""
    leaf = {"case_sensitive": True, "name": "input", "operator": "eq", "type": "text", "value": "example input"}
    nulls = dict.fromkeys(["filter_tree", *IDS[2:]])
    expected = CountQuery(USER, filters=[Col("input").eq("example input")], log_stream_id=PROJECT)
    assert expected == load_query({"filters": [leaf], "log_stream_id": PROJECT, "project_id": USER, **nulls})


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
    """The path leads from the top of the data to the fault."""
    with pytest.raises(FilterDecodeError, match=words) as caught:
        load_query(data)
    check_message(str(caught.value))
    assert tuple(path) == caught.value.path
