"""The strict local server: an app's test can't pass on a typo."""

from __future__ import annotations

from typing import Any

import pytest

from galileo_sessions import Col, Filter, FullyAnnotatedFilter, GalileoSessions, dump_filter
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
        status, answer = await web.post_count(server, json={"filter_tree": dump_filter(where)} | body)
        return status, answer


UNKNOWN = {
    "type": "unknown_column",
    "loc": ["body", "filter_tree", "and", 1, "not", "filter", "number", "column_id"],
    "msg": "there is no column 'scroe'; did you mean score?",
    "input": "scroe",
}


async def test_an_unknown_column_is_a_422(web: Any) -> None:
    """In FastAPI's shape, with the way to the leaf and the column that is meant; otherwise it counts 0."""
    where = Col("input").contains("x") & ~Col("scroe").gt(3)
    assert (422, {"detail": [UNKNOWN]}) == await ask(web, where)
    assert (200, {"total_count": 0}) == await ask(web, where, strict=False)


async def test_another_type_is_a_422(web: Any) -> None:
    """Each wrong leaf has an entry, flat ones too, such as a time that is compared as text."""
    as_text = Col.text("created_at").eq("2026-06-01T00:00:00Z")
    leaves = [Col("score").gt(1), as_text, Col("tags").contains("a"), Col.number("created_at").between(1, 2)]
    status, answer = await ask(web, Col.text("input").eq("x"), filters=[dump_filter(leaf)["filter"] for leaf in leaves])
    assert 422 == status
    assert [
        (["body", "filters", 1, "text", "type"], "wrong_type", "text"),
        (["body", "filters", 2, "text", "type"], "wrong_type", "text"),
        (["body", "filters", 3, "number", "operator"], "no_operator", "between"),
    ] == [(entry["loc"], entry["type"], entry["input"]) for entry in answer["detail"]]
    assert (
        "'created_at' is filtered as date, not as text. Write Col.date('created_at').eq(" in answer["detail"][0]["msg"]
    )


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


async def test_without_sessions_any_column_is_counted() -> None:
    """A strict server without sessions counts any column."""
    async with (
        LocalGalileo(strict=True) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        assert 0 == await galileo.count(PROJECT, Col("scroe").gt(3))
