"""
Exits with 3 if too many sessions match:

    python alert.py "score < 2" "Support chatbot=10%" "Travel planner=15%"
"""

import argparse
import asyncio
import re
import sys
from fractions import Fraction

from galileo_sessions import (
    Col,
    ColumnCatalog,
    Filter,
    FilterCheckError,
    GalileoError,
    GalileoSessions,
    leaves_of,
    parse_filter,
)


def limit(text: str) -> tuple[str, Fraction]:
    # 100% would never be exceeded
    ((name, percent),) = re.findall(r"\A(.*\S)=(\d{1,2}(?:\.\d+)?)%\Z", text)
    return name, Fraction(percent)


def has_types(where: Filter, catalog: ColumnCatalog) -> bool:
    for leaf in leaves_of(where):
        catalog.check(leaf)  # each alone, also below | and ~
    typed = {column.id for column in catalog.columns if column.filter_type}
    return typed.issuperset(leaf.column_id for leaf in leaves_of(where))


async def judge(
    limits: list[tuple[str, Fraction]], where: Filter, last: str, *, allow_empty: bool
) -> int:
    alerts, doubts = [], []
    period = Col.date("created_at").last(last)
    parts = {"matching": period & where}
    async with GalileoSessions(check=True) as galileo:
        projects = [await galileo.project(name) for name, _ in limits]
        report = await galileo.count_all(projects, period, by=parts, timeout=60)
        for (name, most), project, result in zip(limits, projects, report.results, strict=True):
            try:
                total, matching = result.unwrap(), result.counts_by["matching"]
                if 100 * matching > most * total:
                    counted = f"{matching} of {total} sessions"
                    alerts.append(f"{name}: {counted}, above {float(most):g}%")
                elif total == 0 and not allow_empty:
                    doubts.append(f"{name} can't be judged: no sessions")
                elif total and not has_types(where, await galileo.columns(project)):
                    doubts.append(f"{name} can't be judged: no types of the columns")
            except GalileoError as error:
                doubts.append(f"{name} can't be judged: {error}")
    sys.stdout.writelines([f"{line}\n" for line in alerts + doubts])
    is_wrong = {type(result.error) for result in report.results} == {FilterCheckError}
    return 3 if alerts else 2 if is_wrong else 1 if doubts else 0


def main() -> int:
    about = "Alerts if too large a share of the last sessions match a filter."
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("where", help='a filter, such as "score < 2"')
    example = '"Support chatbot=10%%"'
    parser.add_argument("limits", nargs="+", type=limit, help=f"projects and limits: {example}")
    parser.add_argument("--last", default="24h", help="how far to look back (default: 24h)")
    empty = "let a project without sessions pass"
    parser.add_argument("--allow-empty", action="store_true", help=empty)
    asked = parser.parse_args()
    try:
        where = parse_filter(asked.where)
        values = [getattr(leaf, "value", None) for leaf in leaves_of(where)]
        lists = [value if isinstance(value, tuple) else [value] for value in values]
        if not values or any("" in texts for texts in lists):
            parser.error("the filter has no condition, or an empty text")
        return asyncio.run(judge(asked.limits, where, asked.last, allow_empty=asked.allow_empty))
    except GalileoError as error:
        parser.exit(2 if isinstance(error, ValueError | LookupError) else 1, f"{error}\n")


if __name__ == "__main__":
    sys.exit(main())
