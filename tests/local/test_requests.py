"""Which sessions the local server takes, which requests, as in the API's document, and the 422 that others get."""

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp.web import HTTPUnprocessableEntity
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.sockets import PROJECT
from support.strategies import combined, compared, moments

import galileo_sessions as gs
from galileo_sessions import ALWAYS, Col, CountQuery, FullyAnnotatedFilter, NumberFilter
from galileo_sessions.api.query import SCOPE, columns_body
from galileo_sessions.local import LocalGalileo, load_sessions, sample_names, sample_sessions
from galileo_sessions.local.validation import read_sessions_request

DOCUMENT = json.loads((Path(__file__).parents[1] / "support" / "openapi.json").read_text(encoding="utf-8"))

# ---- sessions --------------------------------------------------------------------------------------------------------


def test_the_sample_is_always_the_same():
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


def test_the_sample_can_be_recent():
    """With another last day, all dates are later by the same number of days, and nothing else changes."""
    moved = sample_sessions(date(2026, 7, 10))
    for old, new in zip(sample_sessions(), moved, strict=True):
        created = datetime.fromisoformat(str(old["created_at"])) + timedelta(days=10)
        assert old | {"created_at": created.isoformat()} == new


def test_the_headline_filter_counts_some_sessions_of_each_project_in_the_sample():
    sessions, headline = sample_sessions(), Col("input").contains("x") & ~Col("score").gt(3)
    projects = Counter(session["project_id"] for session in sessions)
    found = Counter(session["project_id"] for session in sessions if gs.matches(headline, session))
    assert all(0 < found[project_id] < total / 2 for project_id, total in projects.items())


def test_sessions_load_from_json_lines():
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
def test_a_bad_line_is_named(line, problem):
    with pytest.raises(ValueError, match="line 2") as caught:
        load_sessions([json.dumps({"project_id": PROJECT}), line])
    assert str(caught.value).startswith(problem)


# ---- what clients send -----------------------------------------------------------------------------------------------


@cache
def judge(name: str) -> Draft202012Validator:
    """What the document says of the body of a request; other keys than its own are refused."""
    return Draft202012Validator(
        {**DOCUMENT, "$ref": f"#/components/schemas/LogRecords{name}Request", "unevaluatedProperties": False}
    )


_ids = st.uuids(version=4)
_scopes = st.fixed_dictionaries({}, optional=dict.fromkeys(SCOPE, _ids))
_leaves = compared | st.builds(FullyAnnotatedFilter, st.none() | st.lists(_ids, min_size=1, max_size=3))
_filters = st.fixed_dictionaries({"filters": st.lists(_leaves, max_size=3)}) | st.fixed_dictionaries(
    {"where": combined | _leaves}
)


@given(_filters, _scopes)
def test_the_local_server_reads_what_is_sent(filters, scope):
    """A body is valid by the API's document, and read as the query that was sent."""
    query = CountQuery(PROJECT, **filters, **scope)
    body = query.body or b'{"filter_tree": {"or": []}}'  # a query for NEVER isn't sent
    judge("QueryCount").validate(json.loads(body))
    assert query == read_sessions_request("count", PROJECT, body)


@given(st.none() | moments, st.none() | moments, _scopes)
def test_a_request_for_columns_is_read_alike(start, end, scope):
    body = columns_body(CountQuery(PROJECT, **scope), start, end)
    judge("AvailableColumns").validate(json.loads(body))
    created = Col.date("created_at")
    since: gs.Filter = ALWAYS if start is None else created.gte(start)
    until: gs.Filter = ALWAYS if end is None else created.lte(end)
    assert CountQuery(PROJECT, since & until, **scope) == read_sessions_request("available_columns", PROJECT, body)


# ---- what others send ------------------------------------------------------------------------------------------------

TEXT = {"column_id": "input", "operator": "contains", "value": "x", "case_sensitive": True, "type": "text"}
SCORE = {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}


def read(body: object, endpoint: str = "count", project_id: str = PROJECT) -> CountQuery:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_sessions_request(endpoint, project_id, sent)


def test_a_request_is_a_query():
    """Its ids are written in one way. Whatever is left out or null asks for all sessions."""
    null = dict.fromkeys(("log_stream_id", "start_time", "end_time"))
    assert CountQuery(PROJECT) == read({"filter_tree": None}) == read(null, "available_columns")
    ids = {"log_stream_id": PROJECT.upper(), "experiment_id": PROJECT.replace("-", ""), "metrics_testing_id": None}
    filters = [Col("input").contains("x"), NumberFilter("score", "gt", 3)]
    query = CountQuery(PROJECT, filters=filters, log_stream_id=PROJECT, experiment_id=PROJECT)
    assert query == read({"filters": [TEXT, SCORE], **ids}, "count", PROJECT.upper())


REFUSED: dict[str, tuple[tuple[Any, ...], list[str | int], str]] = {
    "project": (({}, "count", "mine"), ["path", "project_id"], "project_id must be a version 4 UUID, got 'mine'"),
    "version": (({}, "count", PROJECT.replace("-4", "-1")), ["path", "project_id"], "must be a version 4 UUID"),
    "scope": (({"experiment_id": "mine"},), ["body", "experiment_id"], "experiment_id must be a version 4 UUID"),
    "no body": ((b"",), ["body"], "Expecting value"),
    "deep": ((b"[" * 200_000,), ["body"], "too deep"),
    "no JSON": ((b'{"filters": NaN}',), ["body"], "NaN is not JSON"),
    "no object": (([],), ["body"], "expected a JSON object, got []"),
    "key of the other": (({"start_time": None},), ["body"], "a query has no key 'start_time'"),
    "time": (({"start_time": "now"}, "available_columns"), ["body", "start_time"], "'now'"),
    "filters": (({"filters": [TEXT, SCORE | {"value": "3"}]},), ["body", "filters", 1, "value"], "got '3'"),
    "tree": (
        ({"filter_tree": {"and": [{"filter": TEXT}, {"not": {"filter": SCORE | {"operator": "contains"}}}]}},),
        ["body", "filter_tree", "and", 1, "not", "filter", "operator"],
        "contains",
    ),
}


@pytest.mark.parametrize(("sent", "loc", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_request_is_refused_where_it_is_wrong(sent, loc, problem):
    with pytest.raises(HTTPUnprocessableEntity) as caught:
        read(*sent)
    (entry,) = json.loads(caught.value.text or "")["detail"]
    assert (loc, "value_error") == (entry.pop("loc"), entry.pop("type"))
    assert problem in entry.pop("msg")
    assert {} == entry


def explained(rule: Any) -> Any:
    """The document with what Schemathesis can't know: uuid4, that a discriminator is required, and the 401."""
    if isinstance(rule, list):
        return [explained(each) for each in rule]
    if not isinstance(rule, dict):
        return rule
    made = {key: explained(value) for key, value in rule.items()}
    if made.get("format") == "uuid4":
        made["pattern"] = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
    if "const" in made.get("properties", {}).get("type", {}):
        made["required"] = sorted({*made.get("required", ()), "type"})
    if "responses" in made:
        made["responses"]["401"] = {"description": "to another key, which the document leaves out"}
    return made


@pytest.mark.parametrize(
    ("strict", "phase", "seconds"),
    [(False, "coverage", 12), (False, "fuzzing", 6), (True, "fuzzing", 4)],
    ids=["coverage", "fuzzing", "strict"],
)
def test_schemathesis_finds_nothing(tmp_path, strict, phase, seconds):
    """Of requests made from the document, none gets a 5xx, or an answer that the document doesn't allow."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("Schemathesis isn't installed; it is in the group `check`")
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(explained(DOCUMENT)))
    options = ["--phases", phase, "--max-time", str(seconds), "--continue-on-failure", "--no-shrink", "--seed", "1"]
    options += ["--exclude-checks", "positive_data_acceptance"]  # it refuses valid bodies that the client never sends
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), *options]
    with LocalGalileo(sample_sessions(), strict=strict) as server:
        command += ["--url", server.url, "--header", f"Galileo-API-Key: {server.api_key}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=seconds + 120)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 selected / 2 total" in done.stdout
