"""
Evaluates a filter on sessions, without the service.

The API doesn't document missing values, `contains` with a list, or the members of a collection.
docs/filters.md lists how this module treats them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from operator import contains, itemgetter
from typing import Any, TypeAlias, assert_never, cast
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters import advice, filter_types, nodes
from galileo_sessions.filters.filter_types import COMPARISONS, FilterType
from galileo_sessions.filters.values import (
    NO_OFFSET,
    REPLACE_ZONE,
    as_id,
    as_instant,
    as_text,
    comparable_id,
    is_missing,
    numpy_time,
    python_value,
    values_of,
)


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
    return matcher(where)(record)


def matcher(where: nodes.Filter) -> Callable[[Mapping[str, object]], bool]:
    """
    Makes a function that says whether a session satisfies a filter.

    For many sessions, it is much faster than `matches`: the filter is read once, and of each
    session, a column's value is read once for all conditions on it.
    """
    leaves: list[nodes.LeafFilter] = []
    truth = _truth(where, leaves)
    conditions: dict[tuple[str, _Reading], list[tuple[int, _Test]]] = {}
    for place, leaf in enumerate(leaves):
        reading, test = _condition(leaf)
        conditions.setdefault((leaf.column_id, reading), []).append((place, test))

    def is_match(record: Mapping[str, object]) -> bool:
        truths: list[float] = [0.5] * len(leaves)
        for (column_id, (read, how)), tests in conditions.items():
            have = read(how, record.get(column_id))
            if have is not None:
                for place, test in tests:
                    truths[place] = test(have)
        return truth(truths) == 1

    return is_match


def _truth(where: nodes.Filter, leaves: list[nodes.LeafFilter]) -> Callable[[list[float]], float]:
    """
    The truth of a filter as a function of the truths of its leaves, which it adds to `leaves`.

    That is 1 if the session satisfies the filter, 0 if it doesn't, and 0.5 if that is unknown. This
    is Kleene's logic: `and` is the least of its parts, and `or` is the greatest.
    """
    if isinstance(where, nodes.Not):
        negated = _truth(where.child, leaves)
        return lambda truths: 1 - negated(truths)
    if isinstance(where, nodes.And):
        parts = [_truth(child, leaves) for child in where.children]
        return lambda truths: min([part(truths) for part in parts], default=1)
    if isinstance(where, nodes.Or):
        parts = [_truth(child, leaves) for child in where.children]
        return lambda truths: max([part(truths) for part in parts], default=0)
    leaves.append(cast("nodes.LeafFilter", where))
    return itemgetter(len(leaves) - 1)


def naive_in_record(column_id: str, value: object) -> FilterError:
    """The error for a session's time without a UTC offset, which would match no filter."""
    hint = numpy_time(value) or REPLACE_ZONE
    return FilterError(f"the session's {column_id}, {brief(value)}, {NO_OFFSET}", hint=hint)


# ---- conditions ----------------------------------------------------------------------------------

_Reading: TypeAlias = tuple[Callable[[Any, Any], Any], object]
"""Reads a session's value, given the second; None if there is nothing to compare."""
_Test: TypeAlias = Callable[[Any], bool]
"""Whether the value that was read satisfies a leaf."""

_EXACT = (Decimal, Fraction)


def _condition(leaf: nodes.LeafFilter) -> tuple[_Reading, _Test]:
    """How a session's value is read for a leaf, and then tested."""
    match leaf:
        case nodes.TextFilter() | nodes.IdFilter():
            fold, wanted = folded(leaf)
            return (_read_text, fold), _compared(leaf.operator, wanted)
        case nodes.CollectionFilter():
            fold, wanted = folded(leaf)
            return (_read_members, fold), _members_compared(leaf.operator, {*wanted})
        case nodes.NumberFilter():
            return (_read_number, None), _number_compared(leaf)
        case nodes.DateFilter():
            return (_read_instant, leaf.column_id), _compared(leaf.operator, [leaf.value])
        case nodes.BooleanFilter():
            return (_read_boolean, None), _compared(leaf.operator, [leaf.value])
        case nodes.FullyAnnotatedFilter():
            return (_read_nothing, None), bool
        case _:
            assert_never(leaf)


def _compared(operator: str, wanted: Sequence[Any]) -> _Test:
    """Tests whether a value satisfies an operator with one of the wanted values."""
    if operator in ("eq", "one_of"):
        return lambda have: have in wanted
    if operator in ("ne", "not_in"):
        return lambda have: have not in wanted
    compare = COMPARISONS.get(operator, contains)
    if len(wanted) != 1:
        return lambda have: any(compare(have, value) for value in wanted)
    value = wanted[0]
    return lambda have: compare(have, value)


def _number_compared(leaf: nodes.NumberFilter) -> _Test:
    def compared(wanted: Sequence[Any]) -> _Test:
        if leaf.operator == "between":
            return lambda have: len(wanted) == 2 and wanted[0] <= have <= wanted[1]
        return _compared(leaf.operator, wanted)

    def is_satisfied_by(have: Any) -> bool:
        if isinstance(have, _EXACT):  # 0.1 means a tenth, not the nearest binary fraction
            return compared([Decimal(repr(value)) for value in values])(have)
        return test(have)

    values = values_of(leaf.value)
    test = compared(values)
    return is_satisfied_by


def _members_compared(operator: str, wanted: Set[str]) -> _Test:
    if operator == "eq":
        return lambda have: have == wanted
    if operator == "not_in":
        return wanted.isdisjoint
    return lambda have: not wanted.isdisjoint(have)


# ---- what is read of a session -------------------------------------------------------------------


def _read_text(fold: Callable[[str], str], have: object) -> str | None:
    return fold(as_id(have)) if isinstance(have, str | UUID) else None


def _read_members(fold: Callable[[str], str], have: object) -> Set[str] | None:
    if isinstance(have, str) or not isinstance(have, Collection):
        return None
    try:
        return {fold(item) for item in cast("Collection[object]", have) if isinstance(item, str)}
    except TypeError:  # a numpy array without dimensions
        return None


def _read_number(_: object, have: object) -> Any:
    value = python_value(have)
    is_number = filter_types.filter_type_of(value) is FilterType.NUMBER
    return value if is_number and not is_missing(value) else None


def _read_boolean(_: object, have: object) -> bool | None:
    value = python_value(have)
    return value if isinstance(value, bool) else None


def _read_nothing(_: object, __: object) -> None:
    return None


def _read_instant(column_id: str, have: Any) -> object:
    if is_missing(have):
        return None
    is_naive = isinstance(have, datetime) and have.utcoffset() is None
    if is_naive or numpy_time(have):
        raise naive_in_record(column_id, have)
    if getattr(have, "nanosecond", 0):  # pandas' Timestamp, which compares exactly with a datetime
        return have
    try:
        return as_instant(have)
    except FilterError:
        return None


def folded(
    leaf: nodes.TextFilter | nodes.CollectionFilter | nodes.IdFilter,
) -> tuple[Callable[[str], str], list[str]]:
    """The function that makes text comparable, and the leaf's values after it."""
    fold: Callable[[str], str] = str.casefold
    if isinstance(leaf, nodes.IdFilter):
        fold = str.lower if leaf.operator == "contains" else comparable_id
    elif leaf.case_sensitive:
        fold = as_text
    return fold, [fold(value) for value in values_of(leaf.value)]
