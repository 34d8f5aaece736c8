"""`python -m galileo_sessions`: the whole path, from a filter to a count, against a local server."""

from __future__ import annotations

import argparse
import asyncio
import json

from galileo_sessions.client import GalileoSessions
from galileo_sessions.columns import Col
from galileo_sessions.local import LocalGalileo, sample_sessions
from galileo_sessions.wire import dump_filter

_REAL = """\
To count in the real service: export GALILEO_API_KEY=..., and write GalileoSessions() without arguments."""


async def _demo() -> None:
    sessions = sample_sessions()
    projects = sorted({str(session["project_id"]) for session in sessions})
    where = Col("input").contains("x") & ~Col("score").gt(3)
    print(f"The filter    {where!r}")
    print(f"as JSON       {json.dumps(dump_filter(where))}")
    async with (
        LocalGalileo(sessions) as server,
        GalileoSessions(server.api_key, base_url=server.url) as galileo,
    ):
        print(f"One project   {await galileo.count(projects[0], where)} of {await galileo.count(projects[0])} sessions")
        counts = [await galileo.count(project, where) for project in projects]
        total = [await galileo.count(project) for project in projects]
        print(f"All {len(projects)}        {sum(counts)} of {sum(total):,} sessions, in {server.url}")
    print(_REAL)


def main() -> None:
    """Runs the demonstration; a wrong argument is named, with exit status 2."""
    parser = argparse.ArgumentParser("python -m galileo_sessions", description="Count a sample with a filter.")
    parser.parse_args()
    asyncio.run(_demo())


if __name__ == "__main__":
    main()
