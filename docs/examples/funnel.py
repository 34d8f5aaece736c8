"""
Which condition costs the sessions? Counts each one alone, and together with those before it:

    python funnel.py PROJECT_ID "Col('input').contains('refund') & (Col('score') > 3)"
"""

import asyncio
import sys

from galileo_sessions import (
    ALWAYS,
    And,
    Filter,
    GalileoError,
    GalileoSessions,
    all_of,
    parse_filter,
)


def clauses_of(where: Filter) -> list[Filter]:
    match where:
        case And(children):
            return list(children)
        case _:
            return [where]


async def main(project_id: str, where: Filter) -> None:
    clauses = [ALWAYS, *clauses_of(where)]
    parts = {("alone", i): clause for i, clause in enumerate(clauses)}
    parts |= {("so far", i): all_of(clauses[: i + 1]) for i in range(len(clauses))}
    async with GalileoSessions() as galileo:
        counts = await galileo.count_by(project_id, parts, timeout=60)
    print(f"{'alone':>8}{'so far':>8}  clause")
    for i, clause in enumerate(clauses):
        name = "all sessions" if clause == ALWAYS else repr(clause)
        print(f"{counts['alone', i]:>8,}{counts['so far', i]:>8,}  {name}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], parse_filter(sys.argv[2])))
    except GalileoError as problem:
        sys.exit(str(problem))
