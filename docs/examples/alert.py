"""
Exits with 3 if too many sessions match:

    python alert.py "score < 2" "Support chatbot=10%" "Travel planner=15%"
"""

import argparse
import asyncio
import os
import sys

from galileo_sessions import (
    Col,
    Filter,
    GalileoError,
    GalileoSessions,
    Verdict,
    exit_status,
    parse_filter,
)


async def judge(
    galileo: GalileoSessions, limit: str, where: Filter, last: str, *, allow_empty: bool
) -> Verdict | GalileoError:
    name, _, most = limit.rpartition("=")
    try:
        return await galileo.judge(
            [await galileo.project(name, timeout=10)],
            where,
            above=most,
            during=Col.date("created_at").last(last),
            allow_empty=allow_empty,
            timeout=60,
        )
    except GalileoError as error:  # it hides no other limit that is broken
        return error


async def judge_all(limits: list[str], where: Filter, last: str, *, allow_empty: bool) -> int:
    async with GalileoSessions() as galileo:
        judging = [judge(galileo, each, where, last, allow_empty=allow_empty) for each in limits]
        outcomes = await asyncio.gather(*judging)
    for outcome in outcomes:
        if isinstance(outcome, GalileoError) or not outcome.holds:
            tell(outcome)
    return exit_status(*outcomes)


def tell(outcome: object) -> None:
    try:
        print(outcome, file=sys.stderr)
    except OSError:  # a full disk; at exit, Python would try again, and change the status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def main() -> int:
    about = "Alerts if too large a share of the last sessions match a filter."
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("where", help='a filter, such as "score < 2"')
    example = '"Support chatbot=10%%"'
    parser.add_argument("limits", nargs="+", help=f"projects and limits: {example}")
    parser.add_argument("--last", default="24h", help="how far to look back (default: 24h)")
    empty = "let a project without sessions pass"
    parser.add_argument("--allow-empty", action="store_true", help=empty)
    asked = parser.parse_args()
    try:
        where = parse_filter(asked.where)
        judging = judge_all(asked.limits, where, asked.last, allow_empty=asked.allow_empty)
        return asyncio.run(judging)
    except GalileoError as error:
        tell(error)
        return exit_status(error)


if __name__ == "__main__":
    sys.exit(main())
