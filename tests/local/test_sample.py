"""Sessions to count: the fixed sample, and JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from galileo_sessions import Col, matches
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
