"""
Alerts if too large a share of a project's last sessions match a filter. Each project has its own limit:

    python alert.py "score < 2" "Support chatbot=10%" "Travel planner=15%" --last 24h

Exits as the command line does: with 0 if all is well, 3 if a limit is exceeded, 1 if one can't be judged, and 2 if an
argument is invalid, or if the filter fits none of the projects.
"""

import argparse
import asyncio
import sys
from fractions import Fraction

from galileo_sessions import Col, Filter, FilterCheckError, GalileoError, GalileoSessions, parse_filter


def limit(text: str) -> tuple[str, float]:
    name, _, percent = text.rpartition("=")
    return name, float(Fraction(percent.removesuffix("%")) / 100)  # so that 1 of 10 isn't above 10%


async def judge(limits: list[tuple[str, float]], where: Filter, last: str) -> int:
    alerts, doubts, period = [], [], Col.date("created_at").last(last)
    async with GalileoSessions(check=True) as galileo:
        projects = [await galileo.project(name) for name, _ in limits]
        report = await galileo.count_all(projects, period, by={"matching": where}, timeout=60)
        for (name, highest), project, result in zip(limits, projects, report.results, strict=True):
            if not result.total_count:
                doubts.append(f"{name} can't be judged: {result.error or 'no sessions'}")
            elif (share := result.counts_by["matching"] / result.total_count) > highest:
                alerts.append(f"{name}: {share:.1%}, above {highest:.1%}")
            elif not (share or await galileo.columns(project)):
                doubts.append(f"{name} can't be judged: no columns to check the filter with")
    for line in alerts + doubts:
        print(line)
    is_wrong = {type(result.error) for result in report.results} == {FilterCheckError}
    return 3 if alerts else 2 if is_wrong else 1 if doubts else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Alerts if too large a share of the last sessions match a filter.")
    parser.add_argument("where", help='a filter, such as "score < 2"')
    parser.add_argument("limits", nargs="+", type=limit, help='a project and its limit: "Support chatbot=10%%"')
    parser.add_argument("--last", default="24h", help="how far to look back (default: 24h)")
    asked = parser.parse_args()
    try:
        return asyncio.run(judge(asked.limits, parse_filter(asked.where), asked.last))
    except GalileoError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ValueError | LookupError) else 1


if __name__ == "__main__":
    sys.exit(main())
