"""
Whether one session satisfies a filter, without asking the service.

Where the API's documents are silent, this module decides, and docs/filters.md lists the decisions:
a missing value, `contains` with a list, the members of a collection.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import assert_never, cast
from uuid import UUID

from galileo_sessions.errors import FilterError
from galileo_sessions.filters.nodes import (
    And,
    BooleanFilter,
    CollectionFilter,
    DateFilter,
    Filter,
    FullyAnnotatedFilter,
    IdFilter,
    Node,
    Not,
    NumberFilter,
    Or,
    TextFilter,
)
from galileo_sessions.filters.values import instant, text


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
    node = cast("Node", where)
    match node:
        case And(children):
            truths = [_truth(child, record) for child in children]
            return False if False in truths else None if None in truths else True
        case Or(children):
            truths = [_truth(child, record) for child in children]
            return True if True in truths else None if None in truths else False
        case Not(child):
            truth = _truth(child, record)
            return None if truth is None else not truth
        case TextFilter() | IdFilter():
            return _text_truth(node, record.get(node.column_id))
        case CollectionFilter():
            return _collection_truth(node, record.get(node.column_id))
        case NumberFilter():
            return _number_truth(node, record.get(node.column_id))
        case DateFilter():
            return _date_truth(node, record.get(node.column_id))
        case BooleanFilter():
            return _boolean_truth(node, record.get(node.column_id))
        case FullyAnnotatedFilter():
            return None
        case _:
            assert_never(node)


def _folded(leaf: TextFilter | CollectionFilter | IdFilter) -> tuple[Callable[[str], str], list[str]]:
    """How text is made comparable, and the leaf's values in that form; case never matters in an id."""
    fold = str.lower if isinstance(leaf, IdFilter) else text if leaf.case_sensitive else str.casefold
    values = (leaf.value,) if isinstance(leaf.value, str) else leaf.value
    return fold, [fold(value) for value in values]


def _text_truth(leaf: TextFilter | IdFilter, have: object) -> bool | None:
    fold, wanted = _folded(leaf)
    have = str(have) if isinstance(have, UUID) else have
    if not isinstance(have, str):
        return None
    have = fold(have)
    match leaf.operator:
        case "eq" | "one_of":
            return have in wanted
        case "ne" | "not_in":
            return have not in wanted
        case "contains":
            return any(value in have for value in wanted)
        case _:
            assert_never(leaf.operator)


def _collection_truth(leaf: CollectionFilter, have: object) -> bool | None:
    fold, wanted = _folded(leaf)
    if isinstance(have, str) or not isinstance(have, Collection):
        return None
    members = {fold(item) for item in cast("Collection[object]", have) if isinstance(item, str)}
    match leaf.operator:
        case "eq":
            return members == set(wanted)
        case "contains" | "one_of":
            return not members.isdisjoint(wanted)
        case "not_in":
            return members.isdisjoint(wanted)
        case _:
            assert_never(leaf.operator)


def _number_truth(leaf: NumberFilter, have: object) -> bool | None:
    if not isinstance(have, int | float) or isinstance(have, bool) or (isinstance(have, float) and math.isnan(have)):
        return None
    wanted: tuple[float, ...] = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    match leaf.operator:
        case "eq":
            return have in wanted
        case "ne":
            return have not in wanted
        case "gt":
            return any(have > value for value in wanted)
        case "gte":
            return any(have >= value for value in wanted)
        case "lt":
            return any(have < value for value in wanted)
        case "lte":
            return any(have <= value for value in wanted)
        case "between":
            return len(wanted) == 2 and wanted[0] <= have <= wanted[1]
        case _:
            assert_never(leaf.operator)


def _date_truth(leaf: DateFilter, have: object) -> bool | None:
    try:
        moment = instant(have)
    except FilterError:
        return None
    match leaf.operator:
        case "eq":
            return moment == leaf.value
        case "ne":
            return moment != leaf.value
        case "gt":
            return moment > leaf.value
        case "gte":
            return moment >= leaf.value
        case "lt":
            return moment < leaf.value
        case "lte":
            return moment <= leaf.value
        case _:
            assert_never(leaf.operator)


def _boolean_truth(leaf: BooleanFilter, have: object) -> bool | None:
    if not isinstance(have, bool):
        return None
    match leaf.operator:
        case "eq":
            return have is leaf.value
        case "ne":
            return have is not leaf.value
        case _:
            assert_never(leaf.operator)
