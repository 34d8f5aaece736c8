"""The sessions that the local server holds, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from itertools import chain

from galileo_sessions.filters.catalog import ColumnCatalog
from galileo_sessions.filters.evaluation import matches
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.local.records import columns_of, filterable_columns, read_session
from galileo_sessions.local.schema import SessionsRequest

_KEPT = 1_024  # answers: sessions never change, and apps ask the same again


class SessionStore:
    """
    Sessions by project.

    Raises:
        ValueError: if a record can't be read; see `read_session`.
    """

    def __init__(self, sessions: Iterable[Mapping[str, object]]) -> None:
        self._sessions: dict[str, list[dict[str, object]]] = {}
        for session in map(read_session, sessions):
            self._sessions.setdefault(str(session["project_id"]), []).append(session)
        self._count = lru_cache(_KEPT)(lambda *question: len(self._find(*question)))
        self._columns = lru_cache(_KEPT)(lambda *question: columns_of(self._find(*question)))

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def count(self, asked: SessionsRequest) -> int:
        """How many sessions satisfy the request; 0 in an unknown project."""
        return self._count(asked.project_id, asked.where, frozenset(asked.scope.items()))

    def columns(self, asked: SessionsRequest) -> ColumnCatalog:
        """The columns of those sessions."""
        return self._columns(asked.project_id, asked.where, frozenset(asked.scope.items()))

    @cached_property
    def all_columns(self) -> ColumnCatalog:
        """What a filter may ask of any session of any project."""
        return filterable_columns(chain.from_iterable(self._sessions.values()))

    @property
    def projects(self) -> list[str]:
        """The ids of the projects, in the order of their first sessions."""
        return list(self._sessions)

    def log_streams(self, project_id: str) -> list[str]:
        """The ids of a project's log streams, in the order of their first sessions."""
        found = [session.get("log_stream_id") for session in self._sessions.get(project_id, ())]
        return list(dict.fromkeys(str(log_stream_id) for log_stream_id in found if log_stream_id))

    def _find(self, project_id: str, where: Filter, scope: frozenset[tuple[str, str]]) -> list[Mapping[str, object]]:
        sessions = self._sessions.get(project_id, [])
        return [session for session in sessions if scope <= session.items() and matches(where, session)]
