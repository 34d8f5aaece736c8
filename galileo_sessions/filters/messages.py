"""
The text of refusals: what is wrong, and what to write instead.

Everything here runs after something was refused, so none of it has to be fast.
"""

import difflib
from collections.abc import Iterable, Mapping, Set
from datetime import date, datetime
from itertools import islice
from types import MappingProxyType
from typing import Protocol

from attrs import define

from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters.kinds import (
    FILTER_TYPES,
    LIST_OPERATORS,
    METHODS,
    FilterType,
    filter_type_of,
    is_missing,
)

EXAMPLE = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
TOO_DEEP = "nested too deeply: a filter has at most 100 levels. Write all_of([a, b, ...]) for a long chain"
NOT_SENDABLE = "it has a lone surrogate, which can't be sent as UTF-8"
NAIVE = (
    "has no UTC offset, so it is a different instant in each time zone. Write value.replace(tzinfo=timezone.utc), "
    "or value.astimezone() if it is local time; in text, write +00:00 at its end"
)
EMPTY_AND = 'an empty "and" would count all sessions. Leave out "filter_tree" if that is meant'

MAX_NAMES = 2_000  # names that a misspelt one is compared with
_MAX_NAME = 100  # characters that are compared; the time grows with their square

_NO_PATTERN = "The API has contains, but no test for patterns, or for how text begins or ends"
_NO_MISSING = "Leave this condition out: the API has no test for a missing value"
_ELSEWHERE = {
    **dict.fromkeys(("is_in", "isin", "in_"), "one_of"),
    **dict.fromkeys(("neq", "not_equals"), "ne"),
    **dict.fromkeys(("startswith", "starts_with", "endswith", "like"), _NO_PATTERN),
    **dict.fromkeys(("is_null", "is_not_null", "isnull", "isna"), _NO_MISSING),
}
"""What other libraries call a method: its name here, or what to say."""


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    @property
    def column_id(self) -> str: ...


# ---- names -----------------------------------------------------------------------------------------------------------


def did_you_mean(
    name: object, known: Iterable[str], otherwise: str = "", meanings: Mapping[str, str] = MappingProxyType({})
) -> str:
    """
    A question that suggests the most similar known name, whatever its case, or `otherwise`.

    Args:
        name: What was written. Only text resembles a name.
        known: The names; the first 2,000 are compared.
        otherwise: The result if no name is similar.
        meanings: What to write for a name, if that isn't the name itself.
    """
    by_key: dict[str, str] = {}
    for each in islice(known, MAX_NAMES):
        by_key.setdefault(each[:_MAX_NAME].casefold(), meanings.get(each, each))
    key = name[:_MAX_NAME].casefold() if isinstance(name, str) else ""
    for match in difflib.get_close_matches(key, by_key, n=1):
        close = by_key[match]
        return f"did you mean {close if close.isprintable() and len(close) <= _MAX_NAME else brief(close)}?"
    return otherwise


def sentence(hint: str) -> str:
    """The hint with a capital letter."""
    return hint[:1].upper() + hint[1:]


def no_such_method(column: Column, filter_type: FilterType | None, name: str) -> str:
    """Says which methods a column has instead of this one, and how to write what was probably meant."""
    has = filter_type.methods if filter_type else METHODS
    known = (*has, *(filter_type.partitions if filter_type else ()))
    hint = _other_method(column, known, name) or sentence(did_you_mean(name, known))
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}. {hint}".removesuffix(". ")


def _other_method(column: Column, known: tuple[str, ...], name: str) -> str:
    """What to write for a method of another type or of another library, or an empty text."""
    method = _ELSEWHERE.get(name, name)
    if method in known:
        return f"Write {brief(column)}.{method}(...)"
    if method in LIST_OPERATORS:
        return f"Write {_each_value(column, method)}"
    if method == "ne":
        return f"Write {brief(column)}.not_in([...])"
    makers = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
    if makers:
        return "Write " + " or ".join([f"Col.{kind}({brief(column.column_id)}).{method}(...)" for kind in makers])
    return method if method != name else ""


def _each_value(column: Column, operator: str) -> str:
    """`one_of` or `not_in` for values that the API doesn't take in a list."""
    equal_to_any = f"any_of([{brief(column)}.eq(value) for value in values])"
    return equal_to_any if operator == "one_of" else f"~{equal_to_any}"


# ---- filters ---------------------------------------------------------------------------------------------------------


def expected_filter(value: object, symbol: str = "") -> FilterTypeError:
    """The error for a value that isn't a filter, next to `&` or `|` if that is the symbol."""
    hint = f'. {symbol} binds tighter than == and <. Write (Col("a") == 1) {symbol} (Col("b") == 2)' if symbol else ""
    if value is None:
        hint = ". For no condition write ALWAYS"
    elif type(value) in (list, tuple):
        hint = ". Write all_of([...]) or any_of([...]) to join filters"
    elif hasattr(value, "column_id"):
        hint = hint or '. Compare it, as in Col("score").gt(3) or Col("tags").contains("x")'
        return FilterTypeError(f"{brief(value)} is a column, not yet a filter{hint}")
    return FilterTypeError(f"{brief(value)} is not a filter{hint}")


def no_truth_value() -> FilterTypeError:
    """The error for `bool` of a filter."""
    return FilterTypeError(
        "a filter has no truth value, so this would silently drop a condition. "
        "Write a & b for `a and b`, a | b for `a or b`, ~a for `not a`, "
        '(Col("x") > 1) & (Col("x") < 3) for `1 < Col("x") < 3`, and Col("x").one_of([...]) for `in [...]`. '
        "Write `f is not None` to ask whether there is a filter"
    )


def swapped(where: object, record: object) -> FilterTypeError:
    """The error for arguments of `matches` that aren't a filter and a session."""
    if not hasattr(where, "depth"):
        return expected_filter(where)
    row = ". Write row.to_dict() for a row of a table" if hasattr(record, "to_dict") else ""
    return FilterTypeError(f"a session must be a mapping from column ids to values, got {brief(record)}{row}")


def naive_in_record(column_id: str, value: datetime) -> FilterError:
    """The error for a session's `datetime` without a UTC offset, which would match no filter."""
    return FilterError(f"the session's {column_id}, {brief(value)}, {NAIVE}")


def no_mapped_leaf(leaf: object, made: object) -> str:
    """The text for a function of `map_leaves` that doesn't return a filter."""
    return f"the function returned {brief(made)} for {brief(leaf)}. Return a filter, or the leaf itself to keep it"


# ---- values ----------------------------------------------------------------------------------------------------------


class Source:
    """Where a value comes from, which makes the error that refuses it: here a filter's constructor, or JSON."""

    __slots__ = ()

    def error(self, problem: str, kind: type[FilterError] = FilterError) -> FilterError:
        """The error for a value of the right type that can't be held."""
        return kind(problem)

    def expected(self, what: str, value: object) -> FilterError:
        """The error for a value of the wrong type."""
        problem, hint = f"expected {what}, got {brief(value)}", self._hint(value)
        return self.error(f"{problem}. {hint}" if hint else problem, FilterTypeError)

    def _hint(self, value: object) -> str:
        return ""


CONSTRUCTOR = Source()


@define
class Call(Source):
    """A call of a column's method. Its errors begin with the call as it was written."""

    column: Column
    method: str
    arguments: tuple[object, ...]

    def error(self, problem: str, kind: type[FilterError] = FilterError) -> FilterError:
        """The error, with the call before the problem."""
        return kind(f"{brief(self.column)}.{self.method}({', '.join(map(brief, self.arguments))}): {problem}")

    def _hint(self, value: object) -> str:
        """What to write instead of a value of the wrong type, or an empty text."""
        method, column_id = self.method, brief(self.column.column_id)
        filter_type = filter_type_of(value)
        if is_missing(value):
            return _NO_MISSING
        if filter_type is not None and method in filter_type.operators:
            return f"Write Col.{filter_type}({column_id}).{method}(...) if the column is of that type"
        if method in LIST_OPERATORS:
            return f"Write {_each_value(self.column, method)} for other values"
        if isinstance(value, list | tuple | Set):
            return "Write one_of([...]) for a list"
        if isinstance(value, date):
            return f"Write Col.date({column_id}).on({str(value)!r}, tz=...) for a whole day"
        if isinstance(value, str) and method in FilterType.DATE.methods:
            return f"Text has no order. Write Col.date({column_id}).{method}(...) for a time as text"
        return ""


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The text of the warning that a column without a type compares a time as text."""
    column_id, comparison = brief(column.column_id), f"{operator}({brief(value)})"
    instead = f"Write Col.date({column_id}).{comparison}, or Col.text({column_id}).{comparison} if the column is text"
    return f"{brief(column)}.{comparison} compares a time as text. {instead}"


# ---- plain data that isn't a filter ----------------------------------------------------------------------------------


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree, or an empty text."""
    if isinstance(data, str | bytes | bytearray):
        is_json = data[:1] in ("{", "[", b"{", b"[")
        return ". Write load_filter(json.loads(text))" if is_json else ". parse_filter reads filters as text"
    if isinstance(data, list | tuple):
        return '. Write {"and": [...]} around a list of nodes; a flat list of leaves is the `filters` of load_query'
    if hasattr(data, "depth"):
        return ". This is a filter already"
    if not isinstance(data, Mapping):
        return ""
    if "filter_tree" in data:
        return '. Write load_filter(data["filter_tree"]), or load_query(data) for a whole query'
    if "filters" in data or "project_id" in data:
        return ". load_query(data) reads a whole query"
    if "type" in data or "column_id" in data:
        return '. Write {"filter": {...}} around a leaf'
    return ""


# ---- a catalog's columns ---------------------------------------------------------------------------------------------


def other_type(column_id: str, filter_type: str) -> str:
    """The text for a column that a catalog has with another type."""
    if filter_type not in FILTER_TYPES:
        return f"{brief(column_id)} is filtered as {brief(filter_type)}, which this version doesn't know"
    return f"{brief(column_id)} is filtered as {filter_type}. Write catalog.{filter_type}({brief(column_id)})"
