"""
Finds conditions that no session satisfies together, such as `(score > 5) & (score < 3)`.

For each column of a conjunction, it tries the values at which the outcome can change: each bound, its neighbours, and
each text. If none satisfies the conditions, no value does. Of collections, which have several values, and of
`contains`, it finds only `x & ~x`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import MAXYEAR, timedelta
from math import inf, nextafter
from typing import Any

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError, Issue
from galileo_sessions.filters.kinds import as_sequence
from galileo_sessions.filters.matching import matches
from galileo_sessions.filters.nodes import And, Comparison, Filter, Not, Or, all_of
from galileo_sessions.filters.tree import key_of, leaves_of, mark, walk

_MOST = 50  # values of a column that are tried; the time grows with the square of their number
_STEP = timedelta(microseconds=1)


def check_for_contradictions(where: Filter) -> None:
    """
    Refuses a filter with conditions that no session satisfies together.

    Raises:
        FilterCheckError: with an issue for each `and` or `not` that has such conditions.
    """
    issues: list[Issue] = []
    for path, node in walk(where):
        part = contradiction_in(node) if isinstance(node, And | Not) else None
        if part is not None:
            said = f"no session can satisfy {brief(part)}; join by | if one condition is enough"
            issues.append(Issue((*path, key_of(node)), said, "contradiction", node))
    if issues:
        _, drawing = mark(where, [(issue.loc[:-1], issue.msg) for issue in issues])
        raise FilterCheckError(f"the filter contradicts itself:\n{drawing}", issues=tuple(issues))


def contradiction_in(where: Filter) -> Filter | None:
    """The conditions among those that `&` joins which no session satisfies together; None if none are found."""
    conditions = list(_joined(where))
    known = set(conditions)
    for condition in conditions:
        if known.issuperset(_joined(~condition)):
            return all_of([condition, ~condition])
    by_column = defaultdict[tuple[str, str], list[Filter]](list)
    for condition in conditions:
        leaves = leaves_of(condition)
        columns = {(leaf.column_id, leaf.type) for leaf in leaves}
        if len(columns) == 1 and all(getattr(leaf, "operator", "") != "contains" for leaf in leaves):
            by_column[columns.pop()].append(condition)
    for (column_id, _), together in by_column.items():
        part = all_of(together)
        tried = [matches(part, {column_id: value}) for value in _values_to_try(part)]
        if tried and not any(tried):
            return part
    return None


def _joined(where: Filter) -> Iterator[Filter]:
    """The conditions that `&` joins, also in the form of `~(a | b)`."""
    if isinstance(where, And):
        for child in where.children:
            yield from _joined(child)
    elif isinstance(where, Not) and isinstance(where.child, Or):
        for child in where.child.children:
            yield from _joined(~child)
    else:
        yield where


def _values_to_try(part: Filter) -> list[Any]:
    """Values of a column of which one satisfies the part if any value does; none if they aren't known."""
    leaves = [leaf for leaf in leaves_of(part) if isinstance(leaf, Comparison)]
    values: list[Any] = [value for leaf in leaves for value in as_sequence(leaf.value) or [leaf.value]]
    kinds = {leaf.type for leaf in leaves}
    if len(values) > _MOST:
        return []
    if kinds == {"boolean"}:
        return [True, False]
    if kinds == {"number"}:
        return [near for value in values for near in _near(value)]
    if kinds == {"date"} and all(1 < value.year < MAXYEAR for value in values):
        return [value + step for value in values for step in (-_STEP, 0 * _STEP, _STEP)]
    cases = {getattr(leaf, "case_sensitive", True) for leaf in leaves}
    if kinds <= {"text", "id"} and len(cases) == 1:
        return [*values, "".join(values) + "0"]  # the last one is longer than each of them
    return []


def _near(value: float) -> tuple[float, ...]:
    if isinstance(value, int) and abs(value) > 2**53:
        return value - 1, value, value + 1
    return nextafter(value, -inf), value, nextafter(value, inf)
