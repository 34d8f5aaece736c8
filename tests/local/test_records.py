"""Sessions to count: the fixed sample, and JSON lines; and their columns, typed by their values."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from galileo_sessions import Col, matches
from galileo_sessions.filters.catalog import load_catalog
from galileo_sessions.local import LocalGalileo, load_sessions, sample_names, sample_sessions

PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"
WHERE = Col("input").contains("x") & ~Col("score").gt(3)


def test_the_sample_is_always_the_same() -> None:
    """About 3,000 sessions of a dozen projects, made anew on each call."""
    sessions = sample_sessions()
    assert sessions == sample_sessions()
    assert 12 == len({session["project_id"] for session in sessions})
    assert 2_500 < len(sessions) < 3_500
    assert (PROJECT, "support-43521") == (sessions[0]["project_id"], sessions[0]["name"])
    assert (4.7, "2026-06-10T08:59:39+00:00") == (sessions[0]["score"], sessions[0]["created_at"])


def test_the_sample_has_names() -> None:
    """One for each project, in the order of their sessions, all different."""
    names = sample_names()
    assert [*names] == [*dict.fromkeys(session["project_id"] for session in sample_sessions())]
    assert ("Support chatbot", "Travel planner") == tuple(names.values())[:2]
    assert 12 == len({*names.values()})


def test_the_sample_can_be_recent() -> None:
    """With another last day, all dates are later by the same number of days, and nothing else changes."""
    moved = sample_sessions(date(2026, 7, 10))
    for old, new in zip(sample_sessions(), moved, strict=True):
        created = datetime.fromisoformat(str(old["created_at"])) + timedelta(days=10)
        assert old | {"created_at": created.isoformat()} == new


def test_the_sample_is_worth_asking() -> None:
    """In each project the headline filter counts some sessions, but not all; columns have values of their types."""
    sessions = sample_sessions()
    projects = Counter(session["project_id"] for session in sessions)
    found = Counter(session["project_id"] for session in sessions if matches(WHERE, session))
    assert all(0 < found[project_id] < total / 2 for project_id, total in projects.items())
    spring = Col.date("created_at").between("2026-04-02T00:00:00Z", "2026-06-30T23:59:59Z")
    tagged, safe = Col.collection("tags").one_of(["vip", "beta"]), Col("metrics/toxicity").between(0, 1)
    assert len(sessions) == sum(matches(spring & safe, session) for session in sessions)
    for where in (tagged, Col("is_complete").eq(False), Col("error_message").contains("time"), Col("num_traces").eq(9)):
        assert 0 < sum(matches(where, session) for session in sessions) < len(sessions)


def test_sessions_load_from_json_lines() -> None:
    """Empty lines and byte order marks are skipped, ids come as lower-case text, columns as they are."""
    lines = ["\n", "\ufeff" + json.dumps({"project_id": PROJECT.upper(), "score": 3, "log_stream_id": None}) + "\n"]
    assert [{"project_id": PROJECT, "score": 3, "log_stream_id": None}] == load_sessions(lines)
    sample = sample_sessions()
    assert sample == load_sessions(map(json.dumps, sample))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"a": }', "line 2 is not JSON: Expecting value at column 7"),
        ("[" * 200_000, "line 2 is too deep"),
        ("[1]", "line 2: a session maps column ids to values, got [1]"),
        ('{"input": "x"}', "line 2: a session needs its project_id"),
        ('{"project_id": "mine"}', "line 2: a session's project_id must be a version 4 UUID, got 'mine'"),
        (json.dumps({"project_id": PROJECT.replace("-4", "-1")}), "line 2: a session's project_id must be"),
        (json.dumps({"project_id": PROJECT, "experiment_id": 3}), "line 2: a session's experiment_id must be"),
    ],
    ids=["json", "deep", "object", "no project", "project", "version", "experiment"],
)
def test_a_bad_line_is_named(line: str, problem: str) -> None:
    """The error for a bad line has its number and what is wrong."""
    with pytest.raises(ValueError, match="line 2") as caught:
        load_sessions([json.dumps({"project_id": PROJECT}), line])
    assert str(caught.value).startswith(problem)


def test_a_bad_session_is_refused_at_once() -> None:
    """A bad session is refused when the server is made."""
    with pytest.raises(ValueError, match="a session needs its project_id"):
        LocalGalileo([{"input": "x"}])
    with pytest.raises(ValueError, match="the session's c, datetime.*no UTC offset"):
        LocalGalileo([{"project_id": PROJECT, "c": datetime(2026, 5, 1)}])  # noqa: DTZ001  # which no filter would match


# ---- columns ---------------------------------------------------------------------------------------------------------


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
