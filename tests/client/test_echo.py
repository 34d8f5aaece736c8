"""A 422 that repeats a large filter: its entries are read, the echo isn't kept."""

import asyncio
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients import client, failure
from support.inside import idle
from support.servers import http, raw_server

from galileo_sessions import And, Col, Filter, ValidationError, all_of, dump_filter
from galileo_sessions.client.echo import EntriesOf422


def condensed(body: bytes, *, piece: int, limit: int = 100_000) -> bytes:
    """What is left of a body that arrives in pieces of this length."""
    entries = EntriesOf422(limit)
    for at in range(0, len(body), piece):
        entries.feed(body[at : at + piece])
    return entries.result()


def without_input(data: dict[str, Any]) -> dict[str, Any]:
    """What should be left."""
    return data | {"detail": [entry | ({"input": None} if "input" in entry else {}) for entry in data["detail"]]}


TEXTS = st.text(st.sampled_from('{}[]":,\\ inputé'), max_size=6) | st.just("input")
JSON = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
ENTRIES = st.lists(st.dictionaries(TEXTS | st.sampled_from(["loc", "input", "msg"]), JSON, max_size=4), max_size=4)


@given(ENTRIES, st.integers(1, 50), st.booleans(), st.sampled_from([None, 1]))
def test_any_answer_loses_its_inputs_and_nothing_else(entries, piece, ascii_only, indent):
    """However an answer is cut into pieces, each entry's `input` is null, and all else is as it came."""
    data = {"detail": entries, "input": {"input": 1}}
    body = json.dumps(data, ensure_ascii=ascii_only, indent=indent).encode()
    assert json.loads(condensed(body, piece=piece)) == without_input(data)


@pytest.mark.parametrize(
    "body", [b"<html>" * 50, b'"input": {}', b"", b'{"detail": "no: {[\\"}"}', b"}]}]{{[[", b'{"a']
)
@pytest.mark.parametrize("piece", [1, 7, 1_000])
def test_what_has_no_entries_stays_as_it_is(body, piece):
    """Anything else is kept as it came, up to the limit."""
    assert condensed(body, piece=piece) == body
    assert condensed(body, piece=piece, limit=5) == body[:5]


@pytest.mark.parametrize("kept", [40, 65, 80, 100])
def test_a_missing_end_leaves_the_whole_entries(kept):
    """Where an answer is cut, or more than the limit, what is left is JSON with the entries that are whole."""
    entries = [{"loc": [number], "input": ["x" * 50], "msg": "no"} for number in range(10)]
    body = json.dumps({"detail": entries}).encode()
    for left in (condensed(body[: kept * 4], piece=9), condensed(body, piece=9, limit=kept * 2)):
        found = json.loads(left)["detail"]
        assert 0 < len(found) < 10
        assert found == [entry | {"input": None} for entry in entries[: len(found)]]


def refused(where: Filter, levels: int) -> bytes:
    """A 422 that complains at each of so many levels of `and`, and repeats what it complains about, as FastAPI does."""
    node, entries, loc = dump_filter(where), [], ["body", "filter_tree"]
    for _ in range(levels):
        entries.append({"type": "missing", "loc": [*loc, "or"], "msg": "Field required", "input": node})
        loc += ["and", 0]
        node = node["and"][0]
    entries.append(
        {"type": "int", "loc": [*loc, "filter", "number", "value"], "msg": "a number, please", "input": node}
    )
    return json.dumps({"detail": entries}).encode()


def deep(levels: int, width: int) -> Filter:
    """A tree whose first leaf is `levels` deep, with so many leaves beside it at each level."""
    where: Filter = Col("score") > 3
    for level in range(levels):
        where = And([where, *(Col(f"c{level}-{number}") == "some text" for number in range(width))])
    return where


@pytest.mark.parametrize(
    ("levels", "width"),
    [pytest.param(20, 60, id="2 MB"), pytest.param(40, 100, id="12 MB", marks=pytest.mark.thorough)],
)
async def test_a_422_of_a_large_filter_is_drawn(levels, width):
    """A long answer leads to the guilty leaf, needs little memory, and doesn't hold the event loop up."""
    where = deep(levels, width)
    body = refused(where, levels)
    assert 1_000_000 < len(body) < 16 << 20
    late = 0.0

    async def tick() -> None:
        nonlocal late
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(0.001)
            late = max(late, clock() - before)

    asyncio.get_running_loop().set_debug(False)
    answer = http(422, body)

    async def in_pieces(number: int, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(answer), 65_536):
            writer.write(answer[at : at + 65_536])
            await writer.drain()

    async with raw_server(in_pieces) as server, client(server.url) as galileo:
        ticking = asyncio.create_task(tick())
        tracemalloc.start()
        try:
            error = await failure(galileo, where=where)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            ticking.cancel()
        assert idle(galileo)
    assert isinstance(error, ValidationError)
    assert len(error.issues) == levels + 1
    assert error.issues[-1].node == (Col("score") > 3)
    assert "value: a number, please" in str(error)
    assert "score > 3" in str(error)
    assert peak < 5_000_000 + 3 * len(where_bytes(where))
    assert late < 0.5


def where_bytes(where: Filter) -> bytes:
    """The filter as JSON."""
    return json.dumps(dump_filter(where)).encode()


async def test_a_422_without_an_end_is_left():
    """After 16 MiB, or once enough is kept, the rest isn't read."""
    chunk = b'{"loc": ["body"], "msg": "no", "type": "x", "input": "' + b"x" * 60_000 + b'"}, '

    async def for_ever(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 422 Whatever\r\nContent-Length: 1000000000\r\n\r\n" + b'{"detail": [')
        for _ in range(15_000):
            writer.write(chunk)
            await writer.drain()

    asyncio.get_running_loop().set_debug(False)
    where = all_of([Col("a") == "x"])
    async with raw_server(for_ever) as server, client(server.url) as galileo:
        error = await failure(galileo, where=where)
        assert idle(galileo)
    assert isinstance(error, ValidationError)
    assert 250 < len(error.issues) < 320  # 16 MiB in entries of 60 kB
