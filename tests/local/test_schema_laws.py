"""What the local server reads in bodies that are drawn at random."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.strategies import SCHEMA, anything, constructed, deepest, json_leaves, json_trees, leaves, with_defaults

from galileo_sessions import Filter, all_of, dump_filter, load_filter
from galileo_sessions.local.schema import RequestError, SessionsRequest, read_sessions_request

UUID4 = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
JUDGE = Draft202012Validator(SCHEMA)
NOT_READ = {
    *("uuid_parsing", "uuid_version", "datetime_from_date_parsing"),  # formats, at which JUDGE doesn't look
    *("string_unicode", "value_error"),  # lone surrogates, and numbers that JSON can't carry
}


def verdict(body: object) -> SessionsRequest | set[str]:
    """The question, or the types of the entries."""
    try:
        return read_sessions_request("count", UUID4, json.dumps(body).encode(), "application/json")
    except RequestError as error:
        return {entry["type"] for entry in error.detail if isinstance(entry, dict)}


nodes = st.recursive(
    st.fixed_dictionaries({"filter": json_leaves | anything}) | anything,
    lambda below: st.dictionaries(
        st.sampled_from(["and", "or", "not"]), below | st.lists(below, max_size=3), max_size=2
    ),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "filter_tree": json_trees | nodes,
        "filters": st.lists(json_leaves | anything, max_size=3) | anything,
        "log_stream_id": st.just(UUID4) | anything,
    },
)


def keeps_numbers(data: object) -> bool:
    """Whether pydantic changes no number: it reads a list with a float in it as floats."""
    if isinstance(data, dict):
        return all(map(keeps_numbers, data.values()))
    if not isinstance(data, list):
        return True
    large = any(isinstance(item, int) and abs(item) > 2**53 for item in data)
    return all(map(keeps_numbers, data)) and not (large and any(isinstance(item, float) for item in data))


@given(constructed | deepest)
def test_any_filter_arrives_as_it_left(tree: Filter) -> None:
    """What `dump_filter` writes is read back as an equal filter, unless the document doesn't allow it."""
    assume(keeps_numbers(dump_filter(tree)))
    found = verdict({"filter_tree": dump_filter(tree)})
    if isinstance(found, SessionsRequest):
        assert tree == found.where
    else:
        assert {"missing"} | NOT_READ >= found


@given(json_trees)
def test_any_tree_of_the_schema_is_read_as_load_filter_does(tree: dict[str, Any]) -> None:
    """pydantic changes no value of a valid tree; it fills in the schema's defaults."""
    assume(keeps_numbers(tree))
    found = verdict({"filter_tree": tree})
    if isinstance(found, SessionsRequest):
        assert load_filter(with_defaults(tree)) == found.where
    else:
        assert NOT_READ & found


@given(st.lists(leaves, max_size=3))
def test_any_flat_list_arrives_as_it_left(flat: list[Filter]) -> None:
    """Leaves in `filters` are the same leaves, in their order."""
    data = [dump_filter(leaf)["filter"] for leaf in flat]
    assume(keeps_numbers(data))
    found = verdict({"filters": data})
    if isinstance(found, SessionsRequest):
        assert (flat, all_of(flat)) == (found.flat, found.where)
    else:
        assert NOT_READ >= found


@given(bodies | anything)
def test_what_the_document_allows_is_read(body: Any) -> None:
    """JSON of any shape is a question if the API's schema allows it; if not, pydantic may still make sense of it."""
    found = verdict(body)
    assert isinstance(found, SessionsRequest) or not JUDGE.is_valid(body) or NOT_READ & found
