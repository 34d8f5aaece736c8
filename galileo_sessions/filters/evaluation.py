"""
What a filter says of one session, without asking the service.

Where the API's documents are silent, this module decides, and docs/filters.md says so:
a missing value, `contains` with a list, the members of a collection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, cast
from uuid import UUID

from galileo_sessions.errors import FilterError
from galileo_sessions.filters.nodes import (
    And,
    BooleanFilter,
    CollectionFilter,
    DateFilter,
    Filter,
    IdFilter,
    Not,
    NumberFilter,
    Or,
    TextFilter,
    instant,
    text,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}


def matches(where: Filter, record: Mapping[str, object]) -> bool:
    """
    Whether a session satisfies a filter, by three-valued logic.

    A value that is missing, None, NaN or of another type than the filter's satisfies neither a leaf nor its negation.
    A leaf with a list where the API documents none holds if any of its items does; `ne` with a list, if none does.
    A collection contains a text if one of its members is that text.
    `FullyAnnotatedFilter` needs an annotation queue, so it is never satisfied, nor is its negation.

    Args:
        where: The filter.
        record: A session's values by column id: text, numbers, booleans, aware datetimes or ISO 8601 text,
            collections of text.
    """
    return _truth(where, record) is True


def _truth(where: Filter, record: Mapping[str, object]) -> bool | None:
    """Kleene's logic: None is 'unknown'."""
    match where:
        case And(children):
            truths = [_truth(child, record) for child in children]
            return False if False in truths else None if None in truths else True
        case Or(children):
            truths = [_truth(child, record) for child in children]
            return True if True in truths else None if None in truths else False
        case Not(child):
            truth = _truth(child, record)
            return None if truth is None else not truth
        case TextFilter(column_id) | CollectionFilter(column_id) | IdFilter(column_id):
            return _text_truth(where, record.get(column_id))
        case NumberFilter(column_id, operator, value):
            return _number_truth(operator, value, record.get(column_id))
        case DateFilter(column_id, operator, value):
            return _date_truth(operator, value, record.get(column_id))
        case BooleanFilter(column_id, operator, value):
            have = record.get(column_id)
            return _COMPARE[operator](have, value) if isinstance(have, bool) else None
        case _:
            return None


def _text_truth(leaf: TextFilter | CollectionFilter | IdFilter, have: object) -> bool | None:
    fold = str.lower if isinstance(leaf, IdFilter) else text if leaf.case_sensitive else str.casefold
    wanted = [fold(value) for value in ((leaf.value,) if isinstance(leaf.value, str) else leaf.value)]
    if isinstance(leaf, CollectionFilter):
        if isinstance(have, str) or not isinstance(have, Collection):
            return None
        members = {fold(item) for item in cast("Collection[object]", have) if isinstance(item, str)}
        if leaf.operator == "eq":
            return members == set(wanted)
        return members.isdisjoint(wanted) is (leaf.operator == "not_in")
    if isinstance(have, UUID):
        have = str(have)
    if not isinstance(have, str):
        return None
    if leaf.operator == "contains":
        return any(value in fold(have) for value in wanted)
    return (fold(have) in wanted) is (leaf.operator in ("eq", "one_of"))


def _number_truth(operator: str, value: float | tuple[float, ...], have: object) -> bool | None:
    if not isinstance(have, int | float) or isinstance(have, bool) or (isinstance(have, float) and math.isnan(have)):
        return None
    if operator == "between":
        return isinstance(value, tuple) and len(value) == 2 and value[0] <= have <= value[1]
    wanted = value if isinstance(value, tuple) else (value,)
    if operator == "ne":
        return have not in wanted
    return any(_COMPARE[operator](have, item) for item in wanted)


def _date_truth(operator: str, value: datetime, have: object) -> bool | None:
    try:
        return _COMPARE[operator](instant(have), value)
    except FilterError:
        return None
