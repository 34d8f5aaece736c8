"""
Finds conditions that no session satisfies together, such as `(score > 5) & (score < 3)`.

For each column of a conjunction, it tries the values at which the outcome can change: each bound,
its neighbours, and each text. If none satisfies the conditions, no value does. Of collections,
which have several values, and of `contains`, it finds only `x & ~x`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import MAXYEAR, timedelta
from itertools import chain
from math import inf, nextafter
from typing import Any

from galileo_sessions.display import brief
from galileo_sessions.errors import Issue
from galileo_sessions.filters.filter_types import values_of
from galileo_sessions.filters.matching import matches
from galileo_sessions.filters.nodes import And, Comparison, Filter, Not, Or, all_of
from galileo_sessions.filters.tree import failed_check, key_of, leaves_of, walk

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
        if isinstance(node, And | Not) and (part := contradiction_in(node)) is not None:
            said = f"no session can satisfy {brief(part)}; join by | if one condition is enough"
            issues.append(Issue((*path, key_of(node)), said, "contradiction", node))
    if issues:
        raise failed_check(where, "the filter contradicts itself", issues)


def contradiction_in(where: Filter) -> Filter | None:
    """The conditions joined by `&` that no session satisfies together; None if none are found."""
    conditions = list(_joined(where))
    known = set(conditions)
    for condition in conditions:
        if known.issuperset(_joined(~condition)):
            return all_of([condition, ~condition])
    for (column_id, _), together in _by_column(conditions).items():
        part = all_of(together)
        values = _values_to_try(part)
        if values and not any(matches(part, {column_id: value}) for value in values):
            return part
    return None


def _by_column(conditions: list[Filter]) -> dict[tuple[str, str], list[Filter]]:
    """The conditions on each column alone, by its id and filter type; without `contains`."""
    by_column = defaultdict[tuple[str, str], list[Filter]](list)
    for condition in conditions:
        leaves = leaves_of(condition)
        columns = {(leaf.column_id, leaf.type) for leaf in leaves}
        operators = {getattr(leaf, "operator", "") for leaf in leaves}
        if len(columns) == 1 and "contains" not in operators:
            by_column[columns.pop()].append(condition)
    return by_column


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
    """Values of a column of which one satisfies the part if any does; none if they aren't known."""
    leaves = [leaf for leaf in leaves_of(part) if isinstance(leaf, Comparison)]
    values = list(chain.from_iterable(values_of(leaf.value) for leaf in leaves))
    cases = {getattr(leaf, "case_sensitive", True) for leaf in leaves}
    if len(values) > _MOST or len(cases) != 1 or not all(map(_has_neighbours, values)):
        return []
    return _near(leaves[0].type, values)


def _near(filter_type: str, values: list[Any]) -> list[Any]:
    """Values of which one is in each range between these values; none if they aren't known."""
    match filter_type:
        case "text" | "id":
            return [*values, "".join(values) + "0"]  # the last one is longer than each of them
        case "boolean":
            return [True, False]
        case "number":
            return list(chain.from_iterable(map(_near_number, values)))
        case "date":
            return [value + step for value in values for step in (-_STEP, timedelta(), _STEP)]
        case _:
            return []


def _has_neighbours(value: object) -> bool:
    return getattr(value, "year", None) not in (1, MAXYEAR)


def _near_number(value: float) -> tuple[float, ...]:
    if isinstance(value, int) and abs(value) > 2**53:
        return value - 1, value, value + 1
    return nextafter(value, -inf), value, nextafter(value, inf)
