"""Sessions to count: the fixed sample, and JSON lines; and their columns, typed by their values."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from support.sockets import PROJECT

from galileo_sessions import Col, matches
from galileo_sessions.filters.catalog import load_catalog
from galileo_sessions.local import LocalGalileo, load_sessions, sample_names, sample_sessions

# ---- sessions --------------------------------------------------------------------------------------------------------


def test_the_sample_is_always_the_same() -> None:
    """About 3,000 sessions of a dozen projects, made anew on each call; the projects have different names."""
    sessions, names = sample_sessions(), sample_names()
    assert sessions == sample_sessions()
    assert 2_500 < len(sessions) < 3_500
    assert (PROJECT, "support-43521") == (sessions[0]["project_id"], sessions[0]["name"])
    assert (4.7, "2026-06-10T08:59:39+00:00") == (sessions[0]["score"], sessions[0]["created_at"])
    assert all(0 <= float(str(session["metrics/toxicity"])) <= 1 for session in sessions)
    assert [*names] == [*dict.fromkeys(session["project_id"] for session in sessions)]
    assert ("Support chatbot", "Travel planner") == tuple(names.values())[:2]
    assert 12 == len({*names.values()})


def test_the_sample_can_be_recent() -> None:
    """With another last day, all dates are later by the same number of days, and nothing else changes."""
    moved = sample_sessions(date(2026, 7, 10))
    for old, new in zip(sample_sessions(), moved, strict=True):
        created = datetime.fromisoformat(str(old["created_at"])) + timedelta(days=10)
        assert old | {"created_at": created.isoformat()} == new


def test_the_headline_filter_counts_some_sessions_of_each_project_in_the_sample() -> None:
    sessions, headline = sample_sessions(), Col("input").contains("x") & ~Col("score").gt(3)
    projects = Counter(session["project_id"] for session in sessions)
    found = Counter(session["project_id"] for session in sessions if matches(headline, session))
    assert all(0 < found[project_id] < total / 2 for project_id, total in projects.items())


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
        (json.dumps({"project_id": PROJECT, "experiment_id": 3}), "line 2: a session's experiment_id must be"),
    ],
    ids=["json", "deep", "object", "no project", "project", "experiment"],
)
def test_a_bad_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match="line 2") as caught:
        load_sessions([json.dumps({"project_id": PROJECT}), line])
    assert str(caught.value).startswith(problem)


# ---- columns ---------------------------------------------------------------------------------------------------------

OTHER = "0f6c3b1e-7d52-4a7c-9a51-5f0c9b1c2d3e"
STREAM = "600085a1-8e78-4a69-bff3-11ab0f301443"
COLUMNS = f"/v2/projects/{PROJECT}/sessions/available_columns"


class NaTType(datetime):
    """Stands for pandas' NaT, which is a datetime that can't be compared, where pandas isn't installed."""

    def utcoffset(self) -> timedelta:
        raise ValueError("NaTType does not support utcoffset")


NAT = NaTType(1, 1, 1)
VALUES: dict[str, tuple[list[object], str | None]] = {
    # the values of a column, and its filter type; None if it isn't listed, because all its values are missing
    "input": (["a refund", np.str_("x")], "text"),
    "external_id": ([OTHER], "text"),  # a UUID is an id only under the names that the API gives to ids
    "id": ([OTHER], "id"),
    "trace_id": ([UUID(STREAM)], "id"),
    "owner": ([UUID(STREAM)], "id"),
    "parent_id": (["none"], "text"),
    "score": ([3, None, NAT, np.float32(0.5), Decimal("2.5")], "number"),
    "metrics/toxicity": ([0.5], "number"),
    "price": ([Decimal("Infinity")], "number"),
    "is_complete": ([True], "boolean"),
    "done": ([np.bool_(True)], "boolean"),
    "tags": ([["vip"]], "collection"),
    "labels": ([()], "collection"),
    "names": ([np.array(["a"])], "collection"),
    "created_at": (["2026-06-01T00:00:00Z"], "date"),
    "updated_at": ([datetime(2026, 6, 2, tzinfo=UTC)], "date"),
    "seen_at": (["yesterday", NAT], "text"),
    "due": (["2 weeks"], "text"),
    "mixed": ([1, "one"], "text"),
    "odd": ([object()], "text"),
    "nothing": ([None, math.nan, Decimal("NaN"), NAT], None),
    "log_stream_id": ([STREAM], None),  # a scope is none either
}


async def types(web: Any, server: LocalGalileo, project: str = PROJECT, **body: Any) -> dict[str, str | None]:
    status, answer = await web.ask(server, COLUMNS.replace(PROJECT, project), json=body)
    assert 200 == status, answer
    return {info.id: info.filter_type for info in load_catalog(answer).columns}


async def test_columns_have_the_types_of_their_values(web: Any) -> None:
    """Values of numpy and decimal are as Python's own. Metrics have their own category."""
    pairs = [(column_id, value) for column_id, (values, _) in VALUES.items() for value in values]
    async with LocalGalileo({"project_id": PROJECT, column_id: value} for column_id, value in pairs) as server:
        expected = {column_id: kind for column_id, (_, kind) in VALUES.items() if kind}
        assert {"project_id": "id", **expected} == await types(web, server)
        _, answer = await web.ask(server, COLUMNS)
    assert {"metrics/toxicity"} == {column["id"] for column in answer["columns"] if column["category"] == "metric"}
    assert {"metric", "standard"} == {column["category"] for column in answer["columns"]}
    assert [] == [column for column in answer["columns"] if not column["data_type"] or column["filterable"] is not True]


SCOPED = [
    {"project_id": PROJECT, "log_stream_id": STREAM, "created_at": "2026-06-01T00:00:00Z", "early": 1},
    {"project_id": PROJECT, "experiment_id": STREAM, "created_at": "2026-06-03T00:00:00Z", "late": 1},
    {"project_id": OTHER, "output": "x"},
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["early", "late"]),
        ({"log_stream_id": STREAM}, ["early"]),
        ({"experiment_id": STREAM.upper()}, ["late"]),
        ({"log_stream_id": STREAM, "experiment_id": STREAM}, []),
        ({"project": OTHER}, ["output"]),
        ({"project": STREAM}, []),
        ({"end_time": "2026-06-01T00:00:00Z"}, ["early"]),
        ({"start_time": "2026-06-01T12:00:00+00:00", "end_time": None}, ["late"]),
        ({"start_time": "2026-06-01T12:00:00Z", "end_time": "2026-06-02T00:00:00Z"}, []),
    ],
)
async def test_columns_are_those_of_the_scope(web: Any, asked: Any, expected: list[str]) -> None:
    """Of a log stream, an experiment, or a span of time: that of `created_at`, its ends included."""
    async with LocalGalileo(SCOPED) as server:
        found = {*await types(web, server, **asked)}
    assert found - {"project_id", "created_at"} == {*expected}


async def test_a_thousand_columns_are_quick(web: Any) -> None:
    """The columns of 3,000 sessions, each with a column of its own, need at most 5 s of CPU."""
    sessions = [{"project_id": PROJECT, f"metrics/{i}": 1, "input": "x", "tags": ["a"]} for i in range(3_000)]
    async with LocalGalileo(sessions) as server:
        began = time.process_time()
        assert 3_003 == len(await types(web, server))
        assert time.process_time() - began < 5
