"""
Evaluates a filter on one session, without the service.

The API doesn't document missing values, `contains` with a list, or the members of a collection.
docs/filters.md lists how this module treats them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, assert_never, cast
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters import advice, filter_types, nodes
from galileo_sessions.filters.filter_types import COMPARISONS, FilterType, is_missing, python_value


def matches(where: nodes.Filter, record: Mapping[str, object]) -> bool:
    """
    Whether a session satisfies a filter, by three-valued logic.

    A value satisfies neither a leaf nor its negation if it is missing, None, NaN or NaT, or has
    another type than the filter.
    Where the API documents no list, a leaf with a list is satisfied by any of its items; `ne` with
    a list, by any value that isn't in it.
    Each spelling of a UUID is the same id: with or without dashes, in capitals, in braces, or as a
    URN. A collection contains a text if one of its members is equal to the text.
    `FullyAnnotatedFilter` needs an annotation queue, so neither the filter nor its negation is
    satisfied.

    Args:
        where: The filter.
        record: A session's values by column id: text, numbers, booleans, aware datetimes or ISO
            8601 text, collections of text; also the scalars of numpy and pandas, `Decimal` and
            `Fraction`.

    Raises:
        FilterTypeError: if `where` isn't a filter, or `record` isn't a mapping.
        FilterError: if a date filter is evaluated on a `datetime` without a time zone, or a
            `datetime64` of numpy.
    """
    if not isinstance(where, nodes.Filter):
        raise advice.expected_filter(where)
    if not isinstance(record, Mapping):
        hint = "Write row.to_dict() for a row of a table" if hasattr(record, "to_dict") else ""
        raise FilterTypeError(
            f"a session must be a mapping from column ids to values, got {brief(record)}", hint=hint
        )
    return _truth(where, record) == 1


def _truth(where: nodes.Filter, record: Mapping[str, object]) -> float:
    """
    1 if the session satisfies the filter, 0 if it doesn't, and 0.5 if that is unknown.

    This is Kleene's logic: `and` is the least of its parts, and `or` is the greatest.
    """
    if isinstance(where, nodes.Not):
        return 1 - _truth(where.child, record)
    if isinstance(where, nodes.And):
        return min([_truth(child, record) for child in where.children], default=1)
    if isinstance(where, nodes.Or):
        return max([_truth(child, record) for child in where.children], default=0)
    leaf = cast("nodes.LeafFilter", where)
    truth = _leaf_truth(leaf, record.get(leaf.column_id))
    return 0.5 if truth is None else truth


def _leaf_truth(leaf: nodes.LeafFilter, have: object) -> bool | None:
    match leaf:
        case nodes.TextFilter() | nodes.IdFilter():
            return _text_truth(leaf, have)
        case nodes.CollectionFilter():
            return _collection_truth(leaf, have)
        case nodes.NumberFilter():
            return _number_truth(leaf, have)
        case nodes.DateFilter():
            return _compared(leaf, _instant_or_none(leaf.column_id, have), [leaf.value])
        case nodes.BooleanFilter():
            value = python_value(have)
            return _compared(leaf, value if isinstance(value, bool) else None, [leaf.value])
        case nodes.FullyAnnotatedFilter():
            return None
        case _:
            assert_never(leaf)


def _compared(leaf: nodes.Comparison, have: Any, wanted: Sequence[Any]) -> bool | None:
    """Whether a session's value satisfies a leaf with one of the wanted values; None without it."""
    if have is None:
        return None
    match leaf.operator:
        case "eq" | "one_of":
            return have in wanted
        case "ne" | "not_in":
            return have not in wanted
        case "contains":
            return any(value in have for value in wanted)
        case operator:
            return any(COMPARISONS[operator](have, value) for value in wanted)


def _number_truth(leaf: nodes.NumberFilter, value: object) -> bool | None:
    have = python_value(value)
    if filter_types.filter_type_of(have) is not FilterType.NUMBER or is_missing(have):
        return None
    wanted = filter_types.values_of(leaf.value)
    if isinstance(have, Decimal | Fraction):  # 0.1 means a tenth, not the nearest binary fraction
        wanted = tuple([Decimal(repr(value)) for value in wanted])
    if leaf.operator == "between":
        return len(wanted) == 2 and wanted[0] <= have <= wanted[1]
    return _compared(leaf, have, wanted)


def naive_in_record(column_id: str, value: object) -> FilterError:
    """The error for a session's time without a UTC offset, which would match no filter."""
    hint = filter_types.numpy_time(value) or filter_types.REPLACE_ZONE
    return FilterError(
        f"the session's {column_id}, {brief(value)}, {filter_types.NO_OFFSET}", hint=hint
    )


def _instant_or_none(column_id: str, have: Any) -> object:
    if is_missing(have):
        return None
    is_naive = isinstance(have, datetime) and have.utcoffset() is None
    if is_naive or filter_types.numpy_time(have):
        raise naive_in_record(column_id, have)
    if getattr(have, "nanosecond", 0):  # pandas' Timestamp, which compares exactly with a datetime
        return have
    try:
        return filter_types.as_instant(have)
    except FilterError:
        return None


def folded(
    leaf: nodes.TextFilter | nodes.CollectionFilter | nodes.IdFilter,
) -> tuple[Callable[[str], str], list[str]]:
    """The function that makes text comparable, and the leaf's values after it."""
    fold: Callable[[str], str] = str.casefold
    if isinstance(leaf, nodes.IdFilter):
        fold = str.lower if leaf.operator == "contains" else filter_types.comparable_id
    elif leaf.case_sensitive:
        fold = filter_types.as_text
    return fold, [fold(value) for value in filter_types.values_of(leaf.value)]


def _text_truth(leaf: nodes.TextFilter | nodes.IdFilter, have: object) -> bool | None:
    if not isinstance(have, str | UUID):
        return None
    fold, wanted = folded(leaf)
    return _compared(leaf, fold(filter_types.as_id(have)), wanted)


def _collection_truth(leaf: nodes.CollectionFilter, have: object) -> bool | None:
    if isinstance(have, str) or not isinstance(have, Collection):
        return None
    fold, wanted = folded(leaf)
    try:
        members = {fold(item) for item in cast("Collection[object]", have) if isinstance(item, str)}
    except TypeError:  # a numpy array without dimensions
        return None
    if leaf.operator == "eq":
        return members == set(wanted)
    if leaf.operator == "not_in":
        return members.isdisjoint(wanted)
    return not members.isdisjoint(wanted)
