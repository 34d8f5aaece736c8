"""
Count Galileo sessions from asyncio.

    async with GalileoSessions() as galileo:
        where = Col("input").contains("x") & ~Col("score").gt(3)
        print(await galileo.count(project_id, where))
"""

from galileo_sessions import errors as _errors
from galileo_sessions.api.projects import LogStream, Project
from galileo_sessions.api.query import CountQuery, dump_query, load_query
from galileo_sessions.counting.client import GalileoSessions
from galileo_sessions.counting.explanation import Explanation, NodeCount
from galileo_sessions.counting.limits import Judgement, Limit, Verdict, exit_status
from galileo_sessions.counting.results import CountReport, CountResult, CountsBy, Progress
from galileo_sessions.counting.stream import CountStream
from galileo_sessions.details import Attempt, Issue
from galileo_sessions.errors import *  # noqa: F403  # its __all__ is added below
from galileo_sessions.filters import columns as _columns
from galileo_sessions.filters import nodes as _nodes
from galileo_sessions.filters.catalog import (
    ColumnCatalog,
    ColumnInfo,
    dump_catalog,
    load_catalog,
)
from galileo_sessions.filters.columns import *  # noqa: F403  # its __all__ is added below
from galileo_sessions.filters.matching import matches
from galileo_sessions.filters.nodes import *  # noqa: F403  # its __all__ is added below
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.plain_data import dump_filter, load_filter
from galileo_sessions.filters.text import parse_filter
from galileo_sessions.filters.tree import draw_filter, leaves_of, map_leaves
from galileo_sessions.flow.settings import Limits, Retry, Timeouts
from galileo_sessions.http.auth import ApiKeyAuth, BasicAuth, BearerAuth, PasswordAuth
from galileo_sessions.http.secret import Secret
from galileo_sessions.version import __version__ as __version__

__all__ = [
    "ApiKeyAuth",
    "Attempt",
    "BasicAuth",
    "BearerAuth",
    "ColumnCatalog",
    "ColumnInfo",
    "CountQuery",
    "CountReport",
    "CountResult",
    "CountStream",
    "CountsBy",
    "Explanation",
    "GalileoSessions",
    "Issue",
    "Judgement",
    "Limit",
    "Limits",
    "LogStream",
    "NodeCount",
    "Partition",
    "PasswordAuth",
    "Progress",
    "Project",
    "Retry",
    "Secret",
    "Timeouts",
    "Verdict",
    "draw_filter",
    "dump_catalog",
    "dump_filter",
    "dump_query",
    "exit_status",
    "leaves_of",
    "load_catalog",
    "load_filter",
    "load_query",
    "map_leaves",
    "matches",
    "parse_filter",
]
__all__ += _errors.__all__
__all__ += _columns.__all__
__all__ += _nodes.__all__

# Pickles, tracebacks and reprs show the path that users import.
for _public in [globals()[name] for name in __all__]:
    if isinstance(_public, type):
        _public.__module__ = __name__


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
