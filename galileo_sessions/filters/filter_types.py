"""
What a column can be compared with: the table of filter types.

Columns, leaves, the evaluator, catalogs and the local server look up in it what differs between
types.
"""

import operator
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self, TypeAlias, cast, get_args
from uuid import UUID

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.values import (
    NUMBERS,
    check_order,
    expected,
    items_of,
    python_value,
    sendable,
    values_of,
)

IdOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]
DateOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte"]
NumberOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "between"]
BooleanOperator: TypeAlias = Literal["eq", "ne"]
CollectionOperator: TypeAlias = Literal["eq", "contains", "one_of", "not_in"]
TextOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]
LIST_OPERATORS = ("one_of", "not_in")
"""The operators that take a list of values."""
RANGE_OPERATORS = ("between",)
"""The operators that take two numbers."""
SYMBOLS = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
"""The operators for which Python has a symbol."""
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, {"gte": "ge", "lte": "le"}.get(name, name)) for name in SYMBOLS
}
"""The functions of these operators."""
NOT_SENDABLE = "it has a lone surrogate, which can't be sent as UTF-8"
PERIODS = ("on", "during", "last")
"""The methods of date columns whose arguments are no bounds."""
_UNITS = ("days", "hours", "weeks", "months")


class FilterType(StrEnum):
    """A type of filter, by its name in the API."""

    operators: tuple[str, ...]
    """The operators that the API defines for this type."""
    data_type: str
    """The usual data type of such a column, by its name in the API."""
    python_types: tuple[type, ...]
    """`Col` infers this filter type from values of these types."""
    methods: tuple[str, ...]
    """The column's methods that make filters: one for each operator, and others."""
    partitions: tuple[str, ...]
    """The column's methods that make partitions."""

    ID = "id", IdOperator, "uuid", (UUID,)
    DATE = "date", DateOperator, "timestamp", (datetime,), ("between", *PERIODS), _UNITS
    NUMBER = "number", NumberOperator, "floating_point", NUMBERS, (), ("bins", "values")
    BOOLEAN = "boolean", BooleanOperator, "boolean", (bool,), ("is_true", "is_false")
    COLLECTION = "collection", CollectionOperator, "string_list"
    TEXT = "text", TextOperator, "text", (str,)

    def __new__(  # noqa: PLR0917  # the cells of a row above
        cls,
        name: str,
        operators: object,
        data_type: str,
        python_types: tuple[type, ...] = (),
        others: tuple[str, ...] = (),
        partitions: tuple[str, ...] = ("values",),
    ) -> Self:
        """Makes a member whose value is its name, and which has the rest of its row."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.operators = get_args(operators)
        member.data_type = data_type
        member.python_types = python_types
        member.methods = (*member.operators, *others)
        member.partitions = partitions
        return member


FILTER_TYPES: dict[str, FilterType] = {kind.value: kind for kind in FilterType}
"""The filter types by their names in the API."""
METHODS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.methods))
"""The methods of `Col`: those of all columns that make filters."""
PARTITIONS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.partitions))
"""The methods of typed columns that make partitions."""
_BY_PYTHON_TYPE = {python_type: kind for kind in FilterType for python_type in kind.python_types}


def filter_type_of(value: object) -> FilterType | None:
    """The filter type that `Col` infers from a single value, or None."""
    if type(value) not in _BY_PYTHON_TYPE:
        value = python_value(value)
    if type(value) in _BY_PYTHON_TYPE:  # a bool stops here, so it never counts as an int
        return _BY_PYTHON_TYPE[type(value)]
    return next((kind for kind in FilterType if isinstance(value, kind.python_types)), None)


# ---- values that a column is compared with -------------------------------------------------------


def check_comparison(operator: str, value: object) -> None:
    """Refuses a value that a leaf can hold, but no column accepts, such as a list for `==`."""
    check_satisfiable(operator, value)
    if operator in LIST_OPERATORS:
        checked_items(operator, value)
    elif operator in RANGE_OPERATORS:
        _check_exact(*values_of(value))
    elif isinstance(value, tuple):
        raise expected("a single value", list(cast("tuple[object, ...]", value)))
    if not sendable(value):
        raise FilterError(NOT_SENDABLE)


def checked_items(operator: str, values: object) -> tuple[Any, ...]:
    """The values for `one_of` or `not_in`."""
    items = items_of(values)
    if items is None:
        raise FilterTypeError(
            f"{operator} takes a list of text", hint=f"For one value write {operator}([value])"
        )
    return items


def check_satisfiable(operator: str, value: object) -> None:
    """
    Refuses what the API doesn't define and no session satisfies.

    That is an empty list, an empty text for `contains`, or bounds that aren't in order.
    """
    values = values_of(value)
    if not values:
        hint = "Give it a value"
        if operator in LIST_OPERATORS:
            hint += f", or write {'ALWAYS' if operator == 'not_in' else 'NEVER'}"
        raise FilterError("the API doesn't define an empty list", hint=hint)
    if operator == "contains" and "" in values:
        hint = "Give it a text, or write ALWAYS for all sessions"
        raise FilterError("any text contains the empty one", hint=hint)
    if operator in RANGE_OPERATORS:
        if len(values) != 2:
            raise FilterTypeError("between takes two numbers")
        check_order(*values)


def _check_exact(low: Any, high: Any) -> None:
    """Refuses a large integer next to a float, which the API would make a float, too."""
    if type(low) is type(high):
        return
    if any(type(bound) is int and abs(bound) > 2**53 for bound in (low, high)):
        problem = "the API reads both as floats, in which an integer above 2**53 can lose digits"
        raise FilterError(
            problem, hint=f"Write column.gte({brief(low)}) & column.lte({brief(high)})"
        )
