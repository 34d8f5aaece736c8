"""
Counts thousands of projects: `python count_csv.py "score < 2" projects.csv counts.csv`. Continues
where it stopped. Exits with 0 if every project is counted, 1 if some aren't, 2 if it can't begin.
"""

import asyncio
import csv
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from galileo_sessions import Filter, GalileoError, GalileoSessions, Project, parse_filter


def as_id(text: str) -> str:
    with suppress(GalileoError):  # not an id: its result says so
        return Project(text).id  # in lower case, with dashes
    return text


def ids_in(path: Path, column: str) -> set[str]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        if column not in (rows.fieldnames or []):
            raise ValueError(f"{path} has no column {column!r}. Its columns: {rows.fieldnames}")
        return {as_id(row[column]) for row in rows}  # each id once


async def count(ids: set[str], where: Filter, out: TextIO) -> int:
    async with GalileoSessions() as galileo, galileo.count_many(ids, where) as stream:
        async for result in stream:
            if result.ok:
                print(f"{result.target},{result.total_count}", file=out, flush=True)
            else:
                print(f"{result.target!r}: {str(result.error).splitlines()[0]}")
    return stream.progress.failed


def main(where: Filter, source: Path, output: Path) -> int:
    ids = ids_in(source, "project_id")  # the column of the ids in your file
    if output.exists():
        ids_in(output, "total_count")  # nothing is added to a file of something else
    with output.open("a", newline="") as out:
        if not out.truncate(output.read_bytes().rfind(b"\n") + 1):  # without a line that was cut
            print("project_id,total_count", file=out, flush=True)
        ids -= ids_in(output, "project_id")  # those that are counted
        failed = asyncio.run(count(ids, where, out))
    print(f"{len(ids) - failed} counted, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(parse_filter(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues")
    except (GalileoError, IndexError, OSError, ValueError) as error:  # a wrong key or file
        print(f"{type(error).__name__}: {error}" if sys.argv[3:] else __doc__, file=sys.stderr)
        sys.exit(2)
