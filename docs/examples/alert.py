"""
Alerts when a project has too many sessions of a kind, for cron or CI:

    python alert.py PROJECT_ID "Col('metrics/toxicity') > 0.8" --above 10 --hours 24

Exits with 0 if all is well, 1 if there are more than that, 2 if that can't be told.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta

from galileo_sessions import Col, Filter, GalileoError, GalileoSessions, draw_filter, parse_filter


async def count(project_id: str, where: Filter) -> int:
    async with GalileoSessions() as galileo:
        return await galileo.count(project_id, where, timeout=60, check=True)  # a typo must not count 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Alerts when a project has too many sessions of a kind.")
    parser.add_argument("project_id")
    parser.add_argument("where", help="a filter, as in \"Col('score') < 2\"")
    parser.add_argument("--above", type=int, default=0, help="alert if there are more than this (default: 0)")
    parser.add_argument("--hours", type=float, default=24, help="how far to look back (default: 24)")
    asked = parser.parse_args()
    since = datetime.now(UTC) - timedelta(hours=asked.hours)
    try:
        where = Col("created_at").gte(since) & parse_filter(asked.where)
        total = asyncio.run(count(asked.project_id, where))
    except GalileoError as error:  # not knowing isn't being well
        print(f"can't tell: {error}", file=sys.stderr)
        return 2
    if total <= asked.above:
        return 0
    print(f"{total} sessions in {asked.hours:g} hours, more than {asked.above}:\n{draw_filter(where)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
