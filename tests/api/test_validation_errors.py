"""A 422 as an error: its issues, in all forms that a service sends, and the marked filter."""

import json
import pickle

import pytest
from support.clients import client, failure, statuses
from support.servers import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, GalileoSessions, ValidationError

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)

ISSUE = {"loc": ["body", "filters", 0, "number", "value"], "msg": "not a number", "type": "float_type", "input": "x"}


@pytest.mark.parametrize(
    ("body", "issues", "words"),
    [
        pytest.param(json.dumps({"detail": [ISSUE]}), 1, ["filters.0.number.value: not a number"], id="list"),
        pytest.param(
            json.dumps(
                {"detail": [{"loc": ["body"], "msg": "noise", "type": "missing"}, ISSUE, 3, {"loc": 3, "msg": ""}]}
            ),
            2,
            ["not a number"],
            id="noise",
        ),
        pytest.param('{"detail": "what it says"}', 0, ["what it says"], id="string"),
        pytest.param('{"standard_error": {"message": "what it means"}}', 0, ["what it means"], id="standard-error"),
        pytest.param('{"standard_error": 3}', 0, ["standard_error"], id="odd"),
        pytest.param("[1]", 0, ["[1]"], id="array"),
        pytest.param("", 0, ["an empty body"], id="empty"),
        pytest.param("<html>sorry</html>", 0, ["<html>sorry</html>"], id="html"),
        pytest.param("x" * 10_000_000, 0, ["xxx"], id="10MB"),
    ],
)
async def test_422_in_all_its_forms(body, issues, words):
    """A 422 shows its issue, or at most 2 KiB of its text, and isn't retried."""
    async with raw_server(http(422, body)) as server, client(server.url) as galileo:
        error = await failure(galileo)
    assert (type(error), len(error.issues), statuses(error)) == (ValidationError, issues, [422])
    assert len(server.requests) == 1
    assert [word for word in words if word not in str(error)] == []
    assert error.body == body[:2048]
    assert len(str(error)) < 1_000
    assert len(pickle.dumps(error)) < 20_000


async def test_a_422_is_drawn_on_the_filter():
    """The useful issue of a 422 marks the leaf at fault; `.issues` has all of them."""
    loc = ["body", "filter_tree", "AndNode", "and", 1, "NotNode", "not", "FilterLeaf", "filter", "number", "value"]
    detail = [
        {"loc": ["body", "filter_tree", "FilterLeaf", "filter"], "msg": "Field required", "type": "missing"},
        {"loc": loc, "msg": "too large for this column", "type": "value_error"},
        {"loc": ["body", "filter_tree", "OrNode", "or"], "msg": "Field required", "type": "missing"},
    ]
    async with raw_server(http(422, json.dumps({"detail": detail}))) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            with pytest.raises(gs.ValidationError) as caught:
                await galileo.count(PROJECT, HEADLINE)
    title, _, drawing = caught.value.message.partition(": ")
    assert title.startswith("422 Unprocessable ")  # Entity, or Content since Python 3.13
    assert drawing == (
        "value: too large for this column\n"
        "and\n"
        "├─ input contains 'x'   text\n"
        "└─ not\n"
        "   └─ score > 3         number\n"
        "      ↑ value: too large for this column"
    )
    assert [issue.node for issue in caught.value.issues][1] == Col("score").gt(3)
