"""The demo: from a filter to counts, against a local server of its own."""

from __future__ import annotations

import asyncio
import json

from galileo_sessions.client.client import GalileoSessions
from galileo_sessions.client.results import CountReport
from galileo_sessions.display import chart
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.json import dump_filter
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.local import LocalGalileo, sample_sessions

_WIDTH = 58  # characters of a line, which can be read on a telephone


def show() -> None:
    """Prints a filter, its JSON, and what it counts in a sample."""
    where = Col("input").contains("refund") & ~(Col("score") > 3)
    print("The filter   ", repr(where).replace(" & ", f"\n{'':14}& "))
    print("as JSON      ", json.dumps(dump_filter(where)))
    found, everything, url = asyncio.run(_count(where))
    print("The server   ", url)
    print("One project  ", found.counts[0], "of", everything.counts[0], "sessions")
    print(f"All {len(found.counts)}        {found.total} of {everything.total:,} sessions")
    print(chart([(result.query.project_id, result.total_count) for result in found.results], _WIDTH))
    print("With your own data: export GALILEO_API_KEY=...")


async def _count(where: Filter) -> tuple[CountReport, CountReport, str]:
    sessions = sample_sessions()
    projects = sorted({str(session["project_id"]) for session in sessions})
    async with LocalGalileo(sessions) as server, GalileoSessions(server.api_key, base_url=server.url) as galileo:
        found = await galileo.count_all(projects, where)
        return found, await galileo.count_all(projects), server.url
