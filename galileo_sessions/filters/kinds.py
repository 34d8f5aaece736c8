"""
The table of filter types: which operators the API has for each, and which Python values stand for it.

Columns, leaves, the evaluator, catalogs and the local server look up here what differs between types.
"""

import operator
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Self, TypeAlias, get_args
from uuid import UUID

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

_UNITS = ("days", "hours", "weeks", "months")
_NUMBERS = (int, float, Decimal)
_TRUTH = ("is_true", "is_false")


class FilterType(StrEnum):
    """A type of filter, by its name in the API."""

    operators: tuple[str, ...]
    """The operators that the API defines for this type."""
    shortcuts: tuple[str, ...]
    """The column's other methods that make leaves with these operators."""
    python_types: tuple[type, ...]
    """`Col` infers this filter type from values of these types."""
    data_type: str
    """The usual data type of such a column, by its name in the API."""
    partitions: tuple[str, ...]
    """The column's methods that make partitions, the usual one first."""

    ID = "id", get_args(IdOperator), (), (UUID,), "uuid", ("values",)
    DATE = "date", get_args(DateOperator), ("between", "on", "during", "last"), (datetime,), "timestamp", _UNITS
    NUMBER = "number", get_args(NumberOperator), (), _NUMBERS, "floating_point", ("bins", "values")
    BOOLEAN = "boolean", get_args(BooleanOperator), _TRUTH, (bool,), "boolean", ("values",)
    COLLECTION = "collection", get_args(CollectionOperator), (), (), "string_list", ("values",)
    TEXT = "text", get_args(TextOperator), (), (str,), "text", ("values",)

    def __new__(cls, name: str, *row: Any) -> Self:
        """Makes a member whose value is its name, and whose attributes are the row's cells."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.operators, member.shortcuts, member.python_types, member.data_type, member.partitions = row
        return member

    @property
    def methods(self) -> tuple[str, ...]:
        """The column's methods that make filters."""
        return (*self.operators, *self.shortcuts)


FILTER_TYPES: dict[str, FilterType] = {kind.value: kind for kind in FilterType}
"""The filter types by their names in the API."""
METHODS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.methods))
"""The methods of `Col`: those of all columns that make filters."""
PARTITIONS = tuple(dict.fromkeys(name for kind in FilterType for name in kind.partitions))
"""The methods of typed columns that make partitions."""

_BY_PYTHON_TYPE = {python_type: kind for kind in FilterType for python_type in kind.python_types}


def filter_type_of(value: object) -> FilterType | None:
    """The filter type that `Col` infers from a single value, or None."""
    value = python_value(value)
    exact = _BY_PYTHON_TYPE.get(type(value))  # a bool stops here, so it never counts as an int
    return exact or next(
        (kind for python_type, kind in _BY_PYTHON_TYPE.items() if isinstance(value, python_type)), None
    )


def is_missing(value: object) -> bool:
    """Whether the value is None, NaN, or missing in pandas: `NaT`, which is a datetime, or `NA`."""
    value = python_value(value)
    if isinstance(value, float | Decimal):
        return Decimal(value).is_nan()
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def python_value(value: Any) -> Any:
    """The Python value of a scalar of numpy; any other value itself. It never imports numpy."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
