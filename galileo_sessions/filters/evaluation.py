"""
Whether one session satisfies a filter, without asking the service.

Where the API's documents are silent, this module decides, and docs/filters.md lists the decisions:
a missing value, `contains` with a list, the members of a collection.
"""

import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias, assert_never, cast
from uuid import UUID

from galileo_sessions.errors import FilterError
from galileo_sessions.filters import messages, nodes
from galileo_sessions.filters.kinds import DateOperator, FilterType, filter_type_of, is_missing, numpy_kind
from galileo_sessions.filters.values import instant, text

_Textual: TypeAlias = nodes.TextFilter | nodes.CollectionFilter | nodes.IdFilter


def matches(where: nodes.Filter, record: Mapping[str, object]) -> bool:
    """
    Whether a session satisfies a filter, by three-valued logic.

    A value that is missing, None, NaN or NaT, or has another type than the filter's, satisfies neither a leaf nor its
    negation.
    A leaf with a list where the API documents none holds if any of its items does; `ne` with a list, if none does.
    A collection contains a text if one of its members is that text.
    `FullyAnnotatedFilter` needs an annotation queue, so it is never satisfied, nor is its negation.

    Args:
        where: The filter.
        record: A session's values by column id: text, numbers, booleans, aware datetimes or ISO 8601 text,
            collections of text; numpy's and pandas' scalars and `Decimal` as filters take them.

    Raises:
        FilterTypeError: if the first isn't a filter, or the second no mapping.
        FilterError: if a date filter meets a `datetime` without a time zone, which names no instant.
    """
    if not isinstance(where, nodes.Filter) or not isinstance(record, Mapping):
        raise messages.swapped(where, record)
    return _truth(where, record) is True


def _truth(where: nodes.Filter, record: Mapping[str, object]) -> bool | None:
    """Kleene's logic: None is 'unknown'."""
    node = cast("nodes.Node", where)
    match node:
        case nodes.And(children):
            truths = [_truth(child, record) for child in children]
            return False if False in truths else None if None in truths else True
        case nodes.Or(children):
            truths = [_truth(child, record) for child in children]
            return True if True in truths else None if None in truths else False
        case nodes.Not(child):
            truth = _truth(child, record)
            return None if truth is None else not truth
        case nodes.TextFilter() | nodes.IdFilter():
            return _text_truth(node, record.get(node.column_id))
        case nodes.CollectionFilter():
            return _collection_truth(node, record.get(node.column_id))
        case nodes.NumberFilter():
            return _number_truth(node, record.get(node.column_id))
        case nodes.DateFilter(column_id, operator, moment):
            have = _instant_or_none(column_id, record.get(column_id))
            return None if have is None else _compare(operator, have, moment)
        case nodes.BooleanFilter(column_id, operator, value):
            have = _boolean_or_none(record.get(column_id))
            return None if have is None else _compare(operator, have, value)
        case nodes.FullyAnnotatedFilter():
            return None
        case _:
            assert_never(node)


def _compare(operator: DateOperator, have: Any, value: Any) -> bool:
    match operator:
        case "eq":
            return bool(have == value)
        case "ne":
            return bool(have != value)
        case "gt":
            return bool(have > value)
        case "gte":
            return bool(have >= value)
        case "lt":
            return bool(have < value)
        case "lte":
            return bool(have <= value)
        case _:
            assert_never(operator)


def _number_truth(leaf: nodes.NumberFilter, value: object) -> bool | None:
    have = _number_or_none(value)
    if have is None:
        return None
    wanted = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    if leaf.operator == "between":
        return len(wanted) == 2 and wanted[0] <= have <= wanted[1]
    truths = [_compare(leaf.operator, have, value) for value in wanted]
    return all(truths) if leaf.operator == "ne" else any(truths)


def _boolean_or_none(value: object) -> bool | None:
    return bool(value) if isinstance(value, bool) or numpy_kind(value) == "b" else None


def _number_or_none(value: Any) -> Any:
    """A number that compares exactly with Python's, or None for NaN and what is no number."""
    if filter_type_of(value) is not FilterType.NUMBER:
        return None
    if isinstance(value, Decimal):  # whose signalling NaN can't even be compared
        return None if value.is_nan() else value
    if value != value:  # noqa: PLR0124  # NaN alone is so
        return None
    match numpy_kind(value):
        case "i" | "u":
            return int(value)
        case "f" if math.isfinite(value):
            return Fraction(*value.as_integer_ratio())  # a longdouble has more digits than a float
        case _:
            return value


def _instant_or_none(column_id: str, have: Any) -> object:
    if isinstance(have, datetime) and not is_missing(have):
        if have.utcoffset() is None:
            raise messages.naive_in_record(column_id, have)
        if getattr(have, "nanosecond", 0):  # pandas' Timestamp compares exactly with a datetime
            return have
    try:
        return instant(have)
    except FilterError:
        return None


def _folded(leaf: _Textual) -> tuple[Callable[[str], str], list[str]]:
    """How text is made comparable, and the leaf's values in that form; case never matters in an id."""
    fold = str.lower if isinstance(leaf, nodes.IdFilter) else text if leaf.case_sensitive else str.casefold
    return fold, [fold(value) for value in ((leaf.value,) if isinstance(leaf.value, str) else leaf.value)]


def _text_truth(leaf: nodes.TextFilter | nodes.IdFilter, have: object) -> bool | None:
    fold, wanted = _folded(leaf)
    if not isinstance(have, str | UUID):
        return None
    folded = fold(have if isinstance(have, str) else str(have))
    match leaf.operator:
        case "eq" | "one_of":
            return folded in wanted
        case "ne" | "not_in":
            return folded not in wanted
        case "contains":
            return any(value in folded for value in wanted)
        case _:
            assert_never(leaf.operator)


def _collection_truth(leaf: nodes.CollectionFilter, have: object) -> bool | None:
    fold, wanted = _folded(leaf)
    if isinstance(have, str) or not isinstance(have, Collection):
        return None
    try:
        members = {fold(item) for item in cast("Collection[object]", have) if isinstance(item, str)}
    except TypeError:  # a numpy array without dimensions
        return None
    match leaf.operator:
        case "eq":
            return members == set(wanted)
        case "contains" | "one_of":
            return not members.isdisjoint(wanted)
        case "not_in":
            return members.isdisjoint(wanted)
        case _:
            assert_never(leaf.operator)
