"""
Counts thousands of projects, and continues where it stopped:

    python count_csv.py "score < 2" projects.csv counts.csv

The ids are in the column `project_id`. Each count is written as soon as it arrives; each failure is printed.
Exits with 0 if every project is counted, 1 if some aren't, 2 if it can't begin.
"""

import asyncio
import csv
import sys
from pathlib import Path
from typing import TextIO

from galileo_sessions import CountResult, Filter, GalileoError, GalileoSessions, parse_filter


def ids_in(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as lines:
        ids = [row["project_id"] for row in csv.DictReader(lines)]
    return list(dict.fromkeys(ids))  # each id once


def save(result: CountResult, out: TextIO) -> bool:
    if result.ok:
        out.write(f"{result.target},{result.total_count}\n")
        out.flush()
    else:
        reason = str(result.error).partition(". ")[0]
        print(f"{result.target}: {reason}")
    return result.ok


async def count(ids: list[str], where: Filter, out: TextIO) -> int:
    async with GalileoSessions() as galileo:
        stream = galileo.count_many(ids, where)
        async with stream:
            return sum([save(result, out) async for result in stream])


def main(where: Filter, source: Path, output: Path) -> int:
    if not output.exists():
        output.write_text("project_id,total_count\n")
    done = set(ids_in(output))
    ids = [each for each in ids_in(source) if each not in done]
    with output.open("a", newline="") as out:
        counted = asyncio.run(count(ids, where, out))
    print(f"{counted} counted, {len(ids) - counted} failed")
    return 0 if counted == len(ids) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(parse_filter(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues")
    except (GalileoError, OSError, KeyError) as error:  # a wrong key or filter, no such file, no such column
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
