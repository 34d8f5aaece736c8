"""
Counts thousands of projects, and continues where it stopped:

    python count_csv.py "score < 2" projects.csv counts.csv

The ids are in the column `project_id`. Each count is written as soon as it arrives; each failure is printed.
Exits with 0 if every project is counted, 1 if some failed, 2 if it can't begin, 130 after Ctrl-C.
"""

import asyncio
import csv
import sys
from pathlib import Path
from typing import TextIO

from galileo_sessions import Filter, GalileoError, GalileoSessions, parse_filter


def ids_in(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        ids = [row["project_id"] for row in csv.DictReader(lines)]
    return list(dict.fromkeys(ids))  # each id once


async def count(ids: list[str], where: Filter, out: TextIO) -> int:
    rows, failed = csv.writer(out, lineterminator="\n"), 0
    async with GalileoSessions() as galileo, galileo.count_many(ids, where) as stream:
        async for result in stream:
            if result.ok:
                rows.writerow([result.target, result.total_count])
                out.flush()
            else:
                failed += 1
                print(f"{result.target}: {result.error}")
    return failed


def main(where: Filter, source: Path, output: Path) -> int:
    if not output.exists():
        output.write_text("project_id,total_count\n")
    done = set(ids_in(output))
    ids = [each for each in ids_in(source) if each not in done]
    with output.open("a", newline="") as out:
        failed = asyncio.run(count(ids, where, out))
    print(f"{len(ids) - failed} counted, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(parse_filter(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
    except KeyboardInterrupt:
        print("stopped; the same command continues")
        sys.exit(130)
    except (GalileoError, OSError, KeyError) as error:  # a wrong key or filter, no such file, no such column
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
