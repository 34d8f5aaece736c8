"""The local server's columns: those of its sessions, typed by their values."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from galileo_sessions.filters.catalog import load_catalog
from galileo_sessions.local import LocalGalileo

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
COLUMNS = f"/v2/projects/{PROJECT}/sessions/available_columns"


class NaTType(datetime):
    """Stands for pandas' NaT, which is a datetime that can't be compared, where pandas isn't installed."""

    def utcoffset(self) -> timedelta:
        raise ValueError("NaTType does not support utcoffset")


SESSIONS: list[dict[str, Any]] = [
    {
        "project_id": PROJECT,
        "log_stream_id": STREAM,
        "id": OTHER,
        "external_id": OTHER,
        "input": "a refund",
        "score": 3,
        "metrics/toxicity": 0.5,
        "is_complete": True,
        "tags": ["vip"],
        "created_at": "2026-06-01T00:00:00Z",
    },
    {
        "project_id": PROJECT,
        "experiment_id": STREAM,
        "updated_at": datetime(2026, 6, 2, tzinfo=UTC),
        "created_at": "2026-06-03T00:00:00Z",
        "trace_id": UUID(STREAM),
        "parent_id": "none",
        "seen_at": "yesterday",
        "score": None,
        "mixed": 1,
    },
    {"project_id": PROJECT, "mixed": "one", "labels": (), "nothing": None, "odd": object()},
    {"project_id": OTHER, "output": "x"},
    dict.fromkeys(("missing", "seen_at"), NaTType(1, 1, 1)) | {"project_id": PROJECT, "score": np.float32(0.5)},
    {"project_id": PROJECT, "done": np.bool_(True), "names": np.array(["a"]), "owner": UUID(STREAM)},
    {"project_id": PROJECT, "nothing": math.nan, "price": Decimal("Infinity"), "input": np.str_("x")},
    {"project_id": PROJECT, "nothing": Decimal("NaN"), "score": Decimal("2.5")},
]
EVERYTHING = dict.fromkeys(("external_id", "input", "parent_id", "seen_at", "mixed", "odd"), "text")
EVERYTHING |= dict.fromkeys(("project_id", "id", "trace_id"), "id") | {"score": "number", "metrics/toxicity": "number"}
EVERYTHING |= {"is_complete": "boolean", "created_at": "date", "updated_at": "date"}
EVERYTHING |= {"tags": "collection", "labels": "collection"}
EVERYTHING |= {"done": "boolean", "names": "collection", "owner": "id", "price": "number"}


async def types(web: Any, server: LocalGalileo, project: str = PROJECT, **body: Any) -> dict[str, str | None]:
    """Filter types by column id."""
    status, answer = await web.ask(server, COLUMNS.replace(PROJECT, project), json=body)
    assert 200 == status, answer
    return {info.id: info.filter_type for info in load_catalog(answer).columns}


@pytest.fixture
async def server() -> AsyncIterator[LocalGalileo]:
    async with LocalGalileo(SESSIONS) as running:
        yield running


async def test_columns_have_the_types_of_their_values(server: LocalGalileo, web: Any) -> None:
    """
    Values of numpy and decimal are as Python's own; one that is missing makes no column. Text that is an instant is a
    date; text that is a UUID is an id, only under the names that the API gives to ids.
    """
    assert EVERYTHING == await types(web, server)


async def test_metrics_are_a_category(server: LocalGalileo, web: Any) -> None:
    """Metrics have their own category, and each column has what the schema requires."""
    _, answer = await web.ask(server, COLUMNS)
    assert {"metrics/toxicity"} == {column["id"] for column in answer["columns"] if column["category"] == "metric"}
    assert {"metric", "standard"} == {column["category"] for column in answer["columns"]}
    assert [] == [column for column in answer["columns"] if not column["data_type"] or column["filterable"] is not True]


async def test_counts_and_columns_have_three_prefixes(server: LocalGalileo, web: Any) -> None:
    """The path of the documents, and the two that Galileo's consoles and SDKs use."""
    for prefix in ("", "/v2", "/public/v2"):
        path = f"{prefix}/projects/{OTHER.upper()}/sessions/"
        assert (200, {"total_count": 1}) == await web.ask(server, f"{path}count")
        status, answer = await web.ask(server, f"{path}available_columns")
        assert (200, ["project_id", "output"]) == (status, [column["id"] for column in answer["columns"]])


async def test_columns_are_those_of_the_scope(server: LocalGalileo, web: Any) -> None:
    """Of a log stream, an experiment, or a span of time: that of `created_at`, its ends included."""
    first = {name: EVERYTHING[name] for name in SESSIONS[0] if name != "log_stream_id"}
    assert first == await types(web, server, log_stream_id=STREAM)
    assert "updated_at" in await types(web, server, experiment_id=STREAM.upper())
    assert {} == await types(web, server, log_stream_id=STREAM, experiment_id=STREAM)
    assert {} == await types(web, server, STREAM)
    assert first == await types(web, server, end_time="2026-06-01T00:00:00Z")
    assert "updated_at" in await types(web, server, start_time="2026-06-01T12:00:00+00:00", end_time=None)
    assert {} == await types(web, server, start_time="2026-06-01T12:00:00Z", end_time="2026-06-02T00:00:00Z")


async def test_columns_need_credentials_and_meet_trouble(server: LocalGalileo, web: Any) -> None:
    """`fail_next` scripts answers for counts and columns alike; `requests` lists counts only."""
    assert (401, {"detail": "Invalid credentials"}) == await web.ask(server, COLUMNS, headers={})
    server.fail_next(503, times=2)
    assert [503, 503, 200] == [(await web.ask(server, COLUMNS))[0] for _ in range(3)]
    assert [] == server.requests


async def test_a_thousand_columns_are_quick(web: Any) -> None:
    """The columns of 3,000 sessions, each with a column of its own, need at most 5 s of CPU."""
    sessions = [{"project_id": PROJECT, f"metrics/{i}": 1, "input": "x", "tags": ["a"]} for i in range(3_000)]
    async with LocalGalileo(sessions) as server:
        began = time.process_time()
        assert 3_003 == len(await types(web, server))
        assert time.process_time() - began < 5
