"""
Counts many projects into a CSV: `python nightly_csv.py "Col('score') < 2" < project_ids.txt > counts.csv`

Exits with 0 if every project was counted, 1 if some rows hold an error, 2 if nothing could be counted.
"""

import asyncio
import csv
import sys

from galileo_sessions import GalileoError, GalileoSessions, parse_filter


async def main(where: str, project_ids: list[str]) -> int:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["project_id", "total_count", "error"])
    failed = 0
    async with (
        GalileoSessions() as galileo,
        galileo.count_many(project_ids, parse_filter(where), ordered=True, timeout=3600) as stream,
    ):
        async for result in stream:
            error = "" if result.ok else f"{type(result.error).__name__}: {result.error}"
            rows.writerow([result.query.project_id, result.total_count, error])
            failed += not result.ok
    print(f"{len(project_ids) - failed} counted, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1], sys.stdin.read().split())))
    except GalileoError as error:  # a wrong key, a filter that can't be read, a line that is no project id
        print(error, file=sys.stderr)
        sys.exit(2)
