"""The strict local server: an app's test can't pass on a typo."""

from __future__ import annotations

from typing import Any

import pytest

from galileo_sessions import ALWAYS, Col, Filter, FullyAnnotatedFilter, GalileoSessions, ValidationError, dump_filter
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
SESSIONS: list[dict[str, Any]] = [
    {"project_id": PROJECT, "log_stream_id": STREAM, "input": "x", "score": 2.5, "created_at": "2026-06-01T00:00:00Z"},
    {"project_id": PROJECT, "mixed": 2},
    {"project_id": PROJECT, "mixed": "one", "rating": None, "tags": ["a"]},
    {"project_id": OTHER, "mixed": 1, "is_complete": True},
]


async def ask(web: Any, where: Filter, *, strict: bool = True, **body: Any) -> tuple[int, Any]:
    """Status and JSON, as any client gets them."""
    async with LocalGalileo(SESSIONS, strict=strict) as server:
        tree = {} if where == ALWAYS else {"filter_tree": dump_filter(where)}
        status, answer = await web.post_count(server, json=tree | body)
        return status, answer


async def test_an_unknown_column_is_a_422(web: Any) -> None:
    """In FastAPI's shape, with the way to the leaf and the column that is meant; otherwise it counts 0."""
    where = Col("input").contains("x") & ~Col("scroe").gt(3)
    status, answer = await ask(web, where)
    (entry,) = answer["detail"]
    assert (422, "unknown_column") == (status, entry["type"])
    assert ["body", "filter_tree", "and", 1, "not", "filter"] == entry["loc"]
    assert entry["msg"].startswith("there is no column 'scroe'; did you mean score?")
    assert (200, {"total_count": 0}) == await ask(web, where, strict=False)


async def test_another_type_is_a_422(web: Any) -> None:
    """Each wrong leaf of the flat list has an entry, such as a time that is compared as text."""
    as_text = Col.text("created_at").eq("2026-06-01T00:00:00Z")
    leaves = [Col("score").gt(1), as_text, Col("tags").contains("a"), Col.number("created_at").between(1, 2)]
    status, answer = await ask(web, ALWAYS, filters=[dump_filter(leaf)["filter"] for leaf in leaves])
    assert 422 == status
    assert [
        (["body", "filters", 1, "filter"], "wrong_type"),
        (["body", "filters", 2, "filter"], "wrong_type"),
        (["body", "filters", 3, "filter"], "no_operator"),
    ] == [(entry["loc"], entry["type"]) for entry in answer["detail"]]
    assert "'created_at' is filtered as date, not as text" in answer["detail"][0]["msg"]


async def test_a_client_draws_what_is_wrong() -> None:
    """The client finds the leaf, in a tree and in the flat list."""
    leaf = Col("scroe") > 3
    async with (
        LocalGalileo(SESSIONS, strict=True) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        for asked in ({"where": Col("input").eq("x") | leaf}, {"filters": [Col("input").eq("x"), leaf]}):
            with pytest.raises(ValidationError, match="↑ there is no column 'scroe'") as caught:
                await galileo.count(PROJECT, **asked)
            assert leaf == caught.value.issues[0].node


@pytest.mark.parametrize(
    "where",
    [
        Col("is_complete").is_true(),
        Col.id("log_stream_id").eq(STREAM),
        Col("mixed").eq("one") | Col("mixed").eq(1),
        Col.number("rating").gt(3) | Col.text("rating").eq("x"),
        FullyAnnotatedFilter(),
    ],
    ids=["another project's", "the scope", "of two types", "without a value", "no column"],
)
async def test_a_column_that_some_session_has_is_counted(web: Any, where: Filter) -> None:
    """Whichever project has it; a column without a value, or with values of several types, can be asked as any."""
    status, answer = await ask(web, where)
    assert (200, ["total_count"]) == (status, list(answer))
