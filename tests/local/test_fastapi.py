"""The local server compared with a real FastAPI app, whose models are made from the API's document."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.strategies import PROJECT, SCHEMA, anything, json_leaves, json_trees

from galileo_sessions import all_of, load_filter
from galileo_sessions.local.schema import RequestError, read_sessions_request

pytest.importorskip("fastapi", reason="the extra `examples` installs FastAPI")

from support.fastapi_app import make_app, post

TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}
OWN = "value_error"  # the limits of this package's filters, which the document doesn't have
APP = make_app(SCHEMA)
TIME = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
COLUMNS = make_app(
    {
        "$defs": {},
        "type": "object",
        "properties": {
            **{name: rule for name, rule in SCHEMA["properties"].items() if name.endswith("_id")},
            "start_time": TIME,
            "end_time": TIME,
        },
    }
)


def local(endpoint: str, project_id: str, body: bytes, content_type: str) -> tuple[int, Any]:
    """What the local server would answer; in place of a count, the filter."""
    try:
        question = read_sessions_request(endpoint, project_id, body, content_type)
    except RequestError as error:
        return error.status, json.loads(json.dumps({"detail": error.detail}))
    return 200, question.where


def check(
    body: bytes, content_type: str = "application/json", project_id: str = PROJECT, endpoint: str = "count"
) -> tuple[int, Any]:
    """Both understand the same, or answer with the same type, loc, input, msg and ctx in each entry, in their order."""
    app = APP if endpoint == "count" else COLUMNS
    status, answer = local(endpoint, project_id, body, content_type)
    expected, data = asyncio.run(post(app, f"/projects/{project_id}", body, content_type))
    if status == 422 and answer["detail"][0]["type"] == OWN:
        assert 200 == expected
    elif status == 200 == expected and endpoint == "count":
        nodes = [*({"filter": leaf} for leaf in data.get("filters", ())), data.get("filter_tree", {"and": []})]
        assert all_of(map(load_filter, nodes)) == answer
    elif expected != 200 or status != 200:
        assert repr(_comparable(expected, data)) == repr(_comparable(status, answer))  # as text, for NaN != NaN
    return status, answer


def _comparable(status: int, answer: Any) -> tuple[int, Any]:
    """The answer without the order in which a message lists operators."""
    for entry in answer["detail"] if status == 422 else ():
        if entry["type"] == "enum":
            entry["msg"] = entry["ctx"] = sorted(re.findall("'[a-z_]+'", entry["msg"]))
    return status, answer


# ---- bodies that a client would send, and broken ones ----------------------------------------------------------------

_values = st.sampled_from(
    [
        *("yes", "off", "t", 0, 1, 2, 1.0, 1.5, "1", "1.5", " 7 ", "1e3", "1_000", "", True, None, [], ["1"], [1, "2"]),
        *("2026-01-31", "1700000000", 1_700_000_000, 1.7e12, "2026-01-31T09:00", "20260131", "2026-02-30", "now"),
        *("2026-01-31T09:00:00.1234567Z", "2026-01-31 09:00:00+0130", "2026-01-31T09:00:00+24:00", -1e20, 10**400),
        *(PROJECT, PROJECT.upper(), PROJECT.replace("-", ""), f"urn:uuid:{PROJECT}", f"{{{PROJECT}}}", "\ud800"),
    ]
)
_broken_leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(["id", "date", "number", "boolean", "collection", "text", "fully_annotated", "x", 3])},
    optional={
        "column_id": st.sampled_from(["input", "fully_annotated", "", 3, None]),
        "operator": st.sampled_from(["eq", "ne", "gt", "contains", "one_of", "between", "EQ", 3, None, []]),
        "value": _values | st.lists(_values, max_size=3),
        "case_sensitive": _values,
        "user_ids": st.none() | _values | st.lists(_values, max_size=2),
        "name": st.just("input"),
    },
)
_leaves = json_leaves | _broken_leaves | anything
_nodes = st.recursive(
    st.fixed_dictionaries({"filter": _leaves}) | anything,
    lambda below: st.dictionaries(
        st.sampled_from(["filter", "and", "or", "not"]), below | st.lists(below, max_size=3), max_size=3
    ),
    max_leaves=6,
)
_bodies = st.fixed_dictionaries(
    {},
    optional={
        "filter_tree": json_trees | _nodes,
        "filters": st.lists(_leaves, max_size=3) | anything,
        "log_stream_id": st.none() | _values | anything,
        "experiment_id": st.none() | _values,
        "sort": anything,
    },
)


@given(_bodies | anything.filter(lambda body: body is not None))  # FastAPI's releases differ in what null is
def test_any_body_is_answered_as_fastapi_answers_it(body: Any) -> None:
    """What pydantic takes is counted; what it refuses gets the same entries."""
    text = json.dumps(body)
    assume("\\ud" not in text)  # FastAPI can't write the 422 that echoes a lone surrogate, and answers 500
    check(text.encode())


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("start_time", "end_time", "experiment_id"), _values)))
def test_any_question_for_columns_is_answered_as_fastapi_answers_it(body: Any) -> None:
    """Its two times are pydantic's: also dates, and seconds as a number or as text."""
    check(json.dumps(body).encode(), endpoint="available_columns")


VALUES = {
    "number": ("eq", [3, "3.0", [True, 2], None, [1, None], "high", 10**400]),
    "text": ("eq", ["x", ["x"], 3, None, [3]]),
    "collection": ("eq", ["a", ["a", "b"], ["a", None], 3]),
    "id": ("eq", [PROJECT, "a", ["a", PROJECT], [3], 3, None]),
    "boolean": ("eq", [True, "yes", "T", 0, [1], "maybe", None]),
    "date": (
        "lt",
        [
            *("2026-01-31T09:00:00Z", "2026-01-31", "1700000000", 1_700_000_000, [1_767_225_600], None),
            *("2026-13-31T09:00:00Z", "20260131T090000Z", "yesterday"),
        ],
    ),
}


@pytest.mark.parametrize(
    "leaf",
    [
        *(
            {"type": kind, "column_id": "c", "operator": operator, "value": value}
            for kind, (operator, values) in VALUES.items()
            for value in values
        ),
        *({"type": "fully_annotated", "user_ids": [PROJECT, odd]} for odd in (3, "", PROJECT.replace("-4", "-1"))),
        {"type": "fully_annotated", "column_id": "x", "user_ids": []},
        {"type": "text", "column_id": 3, "case_sensitive": None},
        SCORE | {"operator": "contains"},
        *({"type": tag} for tag in (3, None, [], "Text")),
        {"column_id": "input"},
        *(None, 3, "x", [], {}),
    ],
    ids=lambda leaf: repr(leaf)[:60],
)
def test_odd_leaves_are_answered_as_fastapi_answers_them(leaf: object) -> None:
    """Odd leaves get FastAPI's answer, in the flat list, in a tree, and in place of a node or a list."""
    check(json.dumps({"filters": [leaf]}).encode())
    check(json.dumps({"filter_tree": {"and": [{"filter": TEXT}, {"not": {"or": [{"filter": leaf}]}}]}}).encode())
    check(json.dumps({"filter_tree": {"not": leaf}}).encode())
    check(json.dumps({"filter_tree": {"or": leaf}, "filters": leaf, "experiment_id": leaf}).encode())


def test_of_several_kinds_in_a_node_pydantics_choice_is_taken() -> None:
    """pydantic's releases differ here: the first valid one, or the one with the most fields."""
    for tree in (
        {"or": [{"filter": TEXT}], "and": [{"filter": SCORE}]},
        {"filter": {"type": "text"}, "and": 3, "not": {"filter": SCORE}},
        {"filter": SCORE | {"value": "3"}, "or": [{"filter": SCORE}]},
    ):
        assert 200 == check(json.dumps({"filter_tree": tree}).encode())[0]


@pytest.mark.parametrize("project_id", ["mine", PROJECT.upper(), PROJECT.replace("-4", "-1"), "3", PROJECT + "0"])
@pytest.mark.parametrize("body", [b"{}", b'{"filters": 3}', b"[]"])
def test_a_project_id_is_answered_as_fastapi_answers_it(project_id: str, body: bytes) -> None:
    """The entry about the project id precedes those about the body."""
    check(body, project_id=project_id)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        *((body, "application/json") for body in (b"", b"{", b"{} x", b"\xff\xfe\xfd", b"1" * 5_000, b"NaN")),
        *((b"{}", kind) for kind in ("text/plain", "application/octet-stream", "application/x+json", "text/json")),
        (json.dumps({"filters": []}).encode("utf-16"), "application/json"),
        (b'{"filters": [', "application/vnd.api+json"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bytes_are_answered_as_fastapi_answers_them(body: bytes, content_type: str) -> None:
    """Broken JSON, other content types and an empty body get FastAPI's answer."""
    check(body, content_type)
