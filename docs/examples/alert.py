"""
Exits with 3 if too many sessions match: python alert.py "score < 2" "Support chatbot=10%" "Travel planner=15%"
"""

import argparse
import asyncio
import re
import sys
from fractions import Fraction

from galileo_sessions import Col, Filter, FilterCheckError, GalileoError, GalileoSessions, leaves_of, parse_filter


def limit(text: str) -> tuple[str, Fraction]:
    ((name, percent),) = re.findall(r"\A(.*\S)=(\d{1,2}(?:\.\d+)?)%\Z", text)  # 100% would never be exceeded
    return name, Fraction(percent)


async def judge(limits: list[tuple[str, Fraction]], where: Filter, last: str, *, allow_empty: bool) -> int:
    alerts, doubts, period = [], [], Col.date("created_at").last(last)
    async with GalileoSessions(check=True) as galileo:
        projects = [await galileo.project(name) for name, _ in limits]
        report = await galileo.count_all(projects, period, by={"matching": period & where}, timeout=60)
        for (name, highest), project, result in zip(limits, projects, report.results, strict=True):
            try:
                total, matching = result.unwrap(), result.counts_by["matching"]
                if 100 * matching > highest * total:
                    alerts.append(f"{name}: {matching} of {total} sessions, above {float(highest):g}%")
                elif total or not allow_empty:
                    catalog = await galileo.columns(project)
                    _ = [catalog.check(leaf) for leaf in leaves_of(where) if total]  # each alone, also below | and ~
                    typed = {column.id for column in catalog.columns if column.filter_type}
                    if not (total and typed.issuperset(leaf.column_id for leaf in leaves_of(where))):
                        doubts.append(f"{name} can't be judged: no {'types of the columns' if total else 'sessions'}")
            except GalileoError as error:
                doubts.append(f"{name} can't be judged: {error}")
    sys.stdout.writelines([f"{line}\n" for line in alerts + doubts])
    is_wrong = {type(result.error) for result in report.results} == {FilterCheckError}
    return 3 if alerts else 2 if is_wrong else 1 if doubts else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Alerts if too large a share of the last sessions match a filter.")
    parser.add_argument("where", help='a filter, such as "score < 2"')
    parser.add_argument("limits", nargs="+", type=limit, help='a project and its limit: "Support chatbot=10%%"')
    parser.add_argument("--last", default="24h", help="how far to look back (default: 24h)")
    parser.add_argument("--allow-empty", action="store_true", help="let a project without sessions pass")
    asked = parser.parse_args()
    try:
        where = parse_filter(asked.where)
        values = [getattr(leaf, "value", None) for leaf in leaves_of(where)]
        if not values or any("" in value if isinstance(value, tuple) else value == "" for value in values):
            parser.error("the filter has no condition, or an empty text")
        return asyncio.run(judge(asked.limits, where, asked.last, allow_empty=asked.allow_empty))
    except GalileoError as error:
        parser.exit(2 if isinstance(error, ValueError | LookupError) else 1, f"{error}\n")


if __name__ == "__main__":
    sys.exit(main())
