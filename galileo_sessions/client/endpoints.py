"""The API's endpoints for a project's sessions: path, decoder, and how long an answer may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from galileo_sessions.client.responses import Redact, column_catalog, total_count
from galileo_sessions.filters.catalog import ColumnCatalog

T = TypeVar("T")


@frozen
class Endpoint(Generic[T]):
    """An endpoint that is asked by POST."""

    path: str
    """From the base URL on, with `{project_id}`."""
    decode: Callable[[bytes, Redact], T]
    """Reads the body of a 200."""
    max_body: int
    """Bytes that such a body may have."""


COUNT: Endpoint[int] = Endpoint("/v2/projects/{project_id}/sessions/count", total_count, 256 * 1024)
COLUMNS: Endpoint[ColumnCatalog] = Endpoint(
    "/v2/projects/{project_id}/sessions/available_columns", column_catalog, 8 << 20
)
