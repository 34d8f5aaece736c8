"""
What this package sends, and what the local server answers, read by models that are generated from the API's document.

The models are pydantic's, on which the service runs; they have no keys but those of the document.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import combined, compared, moments

from galileo_sessions import ALWAYS, Col, CountQuery, Filter, FullyAnnotatedFilter, load_query
from galileo_sessions.api.query import SCOPE, columns_body
from galileo_sessions.local import LocalGalileo, sample_sessions
from galileo_sessions.local.validation import read_sessions_request

generator = pytest.importorskip("datamodel_code_generator", reason="the group `check` installs it")

DOCUMENT = Path(__file__).parents[1] / "support" / "openapi.json"
PROJECT = "74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module with a model for each schema."""
    path = tmp_path_factory.mktemp("models") / "api_models.py"
    generator.generate(
        DOCUMENT,
        input_file_type=generator.InputFileType.OpenAPI,
        output=path,
        output_model_type=generator.DataModelType.PydanticV2BaseModel,
        extra_fields="forbid",
        formatters=[generator.Formatter.BUILTIN],
    )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ids = st.uuids(version=4)
_scopes = st.fixed_dictionaries({}, optional=dict.fromkeys(SCOPE, _ids))
_leaves = compared | st.builds(FullyAnnotatedFilter, st.none() | st.lists(_ids, min_size=1, max_size=3))
_filters = st.fixed_dictionaries({"filters": st.lists(_leaves, max_size=3)}) | st.fixed_dictionaries(
    {"where": combined | _leaves}
)


@given(_filters, _scopes)
def test_the_service_and_the_local_server_read_what_is_sent(models: Any, filters: Any, scope: Any) -> None:
    """Both understand the same query, whatever its filter and its scope."""
    query = CountQuery(PROJECT, **filters, **scope)
    body = query.body or b'{"filter_tree": {"or": []}}'  # a query for NEVER isn't sent
    understood = models.LogRecordsQueryCountRequest.model_validate_json(body)
    data = understood.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    assert query == load_query({"project_id": PROJECT, **data})
    assert query == read_sessions_request("count", PROJECT, body)


@given(st.none() | moments, st.none() | moments, _scopes)
def test_a_request_for_columns_is_read_alike(models: Any, start: Any, end: Any, scope: Any) -> None:
    """Both understand the same scope and times."""
    body = columns_body(CountQuery(PROJECT, **scope), start, end)
    understood = models.LogRecordsAvailableColumnsRequest.model_validate_json(body)
    assert (start, end) == (understood.start_time, understood.end_time)
    assert scope == {name: value for name in SCOPE if (value := getattr(understood, name)) is not None}
    created = Col.date("created_at")
    since: Filter = ALWAYS if start is None else created.gte(start)
    until: Filter = ALWAYS if end is None else created.lte(end)
    asked = read_sessions_request("available_columns", PROJECT, body)
    assert CountQuery(PROJECT, since & until, **scope) == asked


@pytest.mark.parametrize(
    "body",
    [
        {"filters": [{"type": "text", "column_id": "a", "operator": "gt", "value": "x"}]},
        {"filters": [{"type": "text", "column_id": "a", "operator": "eq", "value": "x", "case_sensitve": True}]},
        {"filter_tree": {"filter": {"type": "date", "column_id": "a", "operator": "lt", "value": "2026-01-31T09:00"}}},
        {"experiment_id": PROJECT.replace("-4", "-1")},
        {"tag": 1},
    ],
    ids=["operator", "key of a leaf", "naive time", "version 1", "key"],
)
def test_the_models_refuse_what_is_broken(models: Any, body: Any) -> None:
    """Otherwise these tests would prove nothing."""
    with pytest.raises(ValueError, match="validation error"):
        models.LogRecordsQueryCountRequest.model_validate(body)


async def test_answers_are_as_in_the_document(models: Any, web: Any) -> None:
    """Counts, columns and refusals have what their models require, and nothing else."""
    typo = json.loads(CountQuery(PROJECT, Col("scroe") > 3).body)
    async with LocalGalileo(sample_sessions(), strict=True) as server:
        for endpoint, body, status, model in (
            ("count", {}, 200, models.LogRecordsQueryCountResponse),
            ("available_columns", {}, 200, models.LogRecordsAvailableColumnsResponse),
            ("count", {"filters": 3}, 422, models.HTTPValidationError),
            ("count", typo, 422, models.HTTPValidationError),
        ):
            answer = await web.ask(server, f"/v2/projects/{PROJECT}/sessions/{endpoint}", json=body)
            assert status == answer[0]
            assert model.model_validate(answer[1])
