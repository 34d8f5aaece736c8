"""Many 422s: explained when they are looked at, and once for equal answers to one question."""

import asyncio
import copy
import gc
import json
import pickle
import tracemalloc

import pytest
from support.clients import client, failure
from support.projects import ids
from support.servers import answers, http, raw_server

from galileo_sessions import Col, all_of
from galileo_sessions.client import explain as problems


def an_answer(msg: str = "a number, please") -> bytes:
    """A 422 about the second leaf of `SHARED`."""
    loc = ["body", "filter_tree", "and", 1, "filter", "number", "value"]
    return http(422, json.dumps({"detail": [{"loc": loc, "msg": msg, "type": "int"}]}))


SHARED = (Col("input") == "x") & (Col("score") > 3.5)


async def test_equal_answers_share_an_explanation(monkeypatch):
    """In a fan-out, equal answers to one question are explained once, when the first of them is looked at."""
    drawn: list[object] = []
    monkeypatch.setattr(problems, "draw", lambda *arguments: drawn.append(arguments) or "the drawing")
    async with raw_server(an_answer()) as server, client(server.url) as galileo:
        report = await galileo.count_all(ids(50), SHARED)
    assert len(report.errors) == 50
    assert drawn == []
    assert {str(error).partition("\n")[2] for error in report.errors} == {"the drawing"}
    assert len(drawn) == 1
    assert len({id(error.issues) for error in report.errors}) == 1
    assert len({id(error.body) for error in report.errors}) == 1


async def test_another_answer_or_question_has_its_own_explanation():
    """What differs in the answer, in the filter or in the list of filters isn't shared."""
    async with raw_server(answers(an_answer("one"), an_answer("two"), an_answer("two"))) as server:
        async with client(server.url) as galileo:
            first, second = await failure(galileo, where=SHARED), await failure(galileo, where=SHARED)
            third = await failure(galileo, where=(Col("output") == "x") & (Col("age") > 3.5))
            fourth = await failure(galileo, filters=[Col("age") > 3.5])
    assert "value: one" in str(first)
    assert "value: two" in str(second)
    assert "age > 3.5" in str(third)
    assert "score" not in str(fourth)


@pytest.mark.parametrize(
    "look",
    [
        str,
        repr,
        lambda error: error.args[0],
        lambda error: str(pickle.loads(pickle.dumps(error))),
        copy.copy,
        copy.deepcopy,
    ],
    ids=["str", "repr", "args", "pickle", "copy", "deepcopy"],
)
async def test_a_drawing_is_there_however_an_error_is_looked_at(look):
    """The drawing is made when it is wanted, and an error that was looked at equals one that wasn't."""
    async with raw_server(an_answer()) as server, client(server.url) as galileo:
        error, other = await failure(galileo, where=SHARED), await failure(galileo, where=SHARED)
    assert "score > 3.5" in str(look(error))
    other.attempts, other.elapsed = error.attempts, error.elapsed
    assert error == other
    assert hash(error) == hash(other)


async def test_a_fan_out_of_refused_counts_is_small():
    """A long 422 costs a fan-out little more than its headers."""
    where = all_of(Col(f"c{number}") == "x" * 50 for number in range(10))
    loc = ["body", "filter_tree", "and", 7, "filter", "text", "value"]
    answer = http(422, json.dumps({"detail": [{"loc": loc, "msg": "no", "type": "x"}] * 100}))
    asyncio.get_running_loop().set_debug(False)
    async with raw_server(answer) as server, client(server.url) as galileo:
        _ = await galileo.count_all(ids(20), where)
        tracemalloc.start()
        try:
            report = await galileo.count_all(ids(300), where)
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(report.errors) == 300
    assert held / 300 < 12_000
