"""
What to write instead: the words of refusals, apart from the code that does the work.

Everything here runs after something was refused, and may take its time.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, date, datetime
from itertools import islice
from types import MappingProxyType
from typing import Protocol

from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters.kinds import (
    FILTER_TYPES,
    LIST_OPERATORS,
    METHODS,
    PARTITIONS,
    SYMBOLS,
    FilterType,
    filter_type_of,
    is_missing,
)

EXAMPLE = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
TOO_DEEP = "nested too deeply: a filter has at most 100 levels. Write all_of([a, b, ...]) for a long chain"
NOT_SENDABLE = "it has a lone surrogate, which can't be sent as UTF-8"

_MAX_NAME = 100  # what is compared of a name: the cost grows with its square
MAX_NAMES = 2_000
_NO_PATTERN = "The API has no test for patterns, or for how text begins or ends; it has contains, for text"
_NO_MISSING = "The API has no test for a missing value. Leave this condition out, or compare with a value"
_METHODS_INSTEAD = {
    "one_of": ("is_in", "isin", "in_", "any_of"),
    "not_in": ("notin", "notin_", "nin", "is_not_in"),
    "contains": ("has", "includes", "icontains"),
    "between": ("is_between",),
    "eq": ("equals", "equal_to"),
    "ne": ("neq", "not_equal", "not_equals"),
    "gte": ("ge", "geq", "greater_equal"),
    "lte": ("le", "leq", "less_equal"),
    _NO_PATTERN: ("starts_with", "startswith", "ends_with", "endswith", "like", "ilike", "match", "rlike", "regex"),
    _NO_MISSING: ("is_null", "is_not_null", "isnull", "notnull", "isna", "notna", "is_none", "is_", "is_not", "exists"),
    JOIN: ("and_", "or_", "not_"),
}
"""What polars, pandas, SQLAlchemy and Django call a method, under the method here or what to say instead."""
_ELSEWHERE = {name: instead for instead, names in _METHODS_INSTEAD.items() for name in names}
_NUMBER_TEXT = re.compile(r"\s*-?[0-9]{1,40}(\.[0-9]{1,40})?\s*")


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    @property
    def column_id(self) -> str: ...


# ---- names -----------------------------------------------------------------------------------------------------------


def did_you_mean(
    name: object, known: Iterable[str], otherwise: str = "", meanings: Mapping[str, str] = MappingProxyType({})
) -> str:
    """
    The question whether the known name is meant that is most like this one, case aside; or `otherwise`.

    Args:
        name: What was written; nothing but text is like a name.
        known: The names, of which at most 2,000 are compared.
        otherwise: What to return where none of them is similar.
        meanings: What to write for a name, where that isn't the name itself.
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
    """A hint with a capital letter."""
    return hint[:1].upper() + hint[1:]


# ---- columns and filters as Python values ----------------------------------------------------------------------------


def no_operand(other: object, symbol: str) -> FilterTypeError:
    """The error for an operand of `&` or `|` that isn't a filter."""
    if other is None:
        return FilterTypeError(f"None is not a filter. For 'no condition' write ALWAYS: f {symbol} ALWAYS is f")
    if hasattr(other, "column_id"):
        return FilterTypeError(
            f"{brief(other)} is a column, not yet a filter: {symbol} binds tighter than == and <. "
            f'Put each comparison into parentheses: (Col("a") == 1) {symbol} (Col("b") == 2)'
        )
    return FilterTypeError(
        f"{brief(other)} is not a filter, so it can't stand beside {symbol}. If it belongs to a comparison, "
        f"note that {symbol} binds tighter than == and <: "
        f'write (Col("a") == 1) {symbol} (Col("b") == 2), or Col("a").eq(1) {symbol} Col("b").eq(2)'
    )


def several_filters(function: str, what: str) -> FilterTypeError:
    """The error for filters as arguments of their own."""
    instead = "~all_of([a, b])" if function == "Not" else f"{function}([a, b])"
    return FilterTypeError(f"{function} takes one {what}. Write {instead}, not {function}(a, b)")


def no_child(value: object) -> FilterTypeError:
    """The error for something that a constructor can't take as a filter."""
    if hasattr(value, "column_id"):
        return FilterTypeError(f"{brief(value)} is a column, not yet a filter. Compare it: {brief(value)}.eq(...)")
    return FilterTypeError(f"expected a filter, got {brief(value)}")


def no_children(value: object) -> FilterTypeError:
    """The error for something that And or Or can't take as a list of filters."""
    return FilterTypeError(
        f"expected a list of filters, got {brief(value)}. Write it in brackets: And([...]), Or([...])"
    )


def too_deep(depth: int, most: int) -> str:
    """The text for a filter of too many levels."""
    return (
        f"this filter would be {depth} levels deep; {most} is the most. "
        "all_of([...]) and any_of([...]) put any number of filters on one level"
    )


def too_many_leaves(size: int, most: int) -> str:
    """The text for a filter of too many leaves."""
    return (
        f"this filter would have {size:,} leaves; {most:,} is the most. "
        "Many values of one column fit into one leaf: one_of([...])"
    )


def no_filters(other: object, function: str) -> FilterTypeError:
    """The error for something that all_of or any_of can't take as a list of filters."""
    if hasattr(other, "size"):
        return FilterTypeError(f"{function} takes one list of filters: write {function}([a, b]), not {function}(a)")
    return FilterTypeError(f"{function} takes a list of filters, got {brief(other)}")


def swapped(where: object, record: object) -> FilterTypeError:
    """The error for arguments of matches that aren't a filter and a session."""
    if hasattr(record, "size") and not hasattr(where, "size"):
        return FilterTypeError("the filter comes first: matches(where, record)")
    if not hasattr(where, "size") or hasattr(where, "keys"):
        return FilterTypeError(f"matches takes a filter and a session's values, got {brief(where)} as the filter")
    row = ". For a row of a table write row.to_dict()" if hasattr(record, "to_dict") else ""
    return FilterTypeError(f"a session is a mapping from column ids to values, not {brief(record)}{row}")


def naive_in_record(column_id: str, value: datetime) -> FilterError:
    """The error for a session's time that names no instant: compared with one, it would match nothing."""
    return FilterError(f"the session's {column_id}, {brief(value)}: {NAIVE}")


def no_mapped_leaf(leaf: object, made: object) -> str:
    """The text for a function of map_leaves that doesn't return a filter."""
    return f"the function made {brief(made)} of {brief(leaf)}. Return a filter; the leaf itself to keep it"


def no_truth_value() -> FilterTypeError:
    """The error for `bool` of a filter."""
    return FilterTypeError(
        "a filter has no truth value, so this would silently drop a condition. "
        "Write a & b for `a and b`, a | b for `a or b`, ~a for `not a`, "
        '(Col("x") > 1) & (Col("x") < 3) for `1 < Col("x") < 3`, Col("x").one_of([...]) for `in [...]`, '
        "and `f is not None` to ask whether there is a filter"
    )


def no_condition(column: Column, where: str) -> FilterTypeError:
    """The error for a column where a filter is needed."""
    return FilterTypeError(
        f"{brief(column)} is a column, not yet a filter, so it can't stand with {where}. "
        f"Compare it first: {brief(column)}.eq(...), or Col.boolean({brief(column.column_id)}).is_true()"
    )


def no_lookup(column: Column) -> FilterTypeError:
    """The error for `hash` of a column."""
    return FilterTypeError(
        f"looking {brief(column)} up in a set or a dict asks Python, not the service. "
        f"For 'one of these values' write {brief(column)}.one_of([...])"
    )


def no_container(column: Column, item: object) -> FilterTypeError:
    """The error for `item in column`."""
    written, value = brief(column), brief(item)
    return FilterTypeError(
        f"`{value} in {written}` asks Python, not the service. Write {written}.contains({value}), "
        f"or Col.collection({brief(column.column_id)}).contains({value}) for a collection such as tags"
    )


def no_such_method(column: Column, filter_type: FilterType | None, name: str) -> str:
    """The text for a method that a type of column doesn't have, with the types that have it."""
    has = filter_type.methods if filter_type else METHODS
    asked = f"{name} ({SYMBOLS[name]})" if name in SYMBOLS else name[:80]
    known = (*has, *(filter_type.partitions if filter_type else ()))
    hint = _instead_of_method(column, filter_type, name) or sentence(did_you_mean(name, known))
    return f"{brief(column)} has no {asked}; it has {', '.join(has)}. {hint}".removesuffix(". ")


def _instead_of_method(column: Column, filter_type: FilterType | None, name: str) -> str:
    """What to write for a method of another type or of another library; "" where nothing is known of it."""
    written, column_id = brief(column), brief(column.column_id)
    if name in FILTER_TYPES:
        return f"Write Col.{name}({column_id})"
    method = _ELSEWHERE.get(name, name)
    if method in PARTITIONS:
        makers = [f"Col.{kind}({column_id}).{method}(...)" for kind in FilterType if method in kind.partitions]
        return f"Write {' or '.join(makers)}"
    if method not in METHODS:
        return "" if method == name else method
    if method in (filter_type.methods if filter_type else METHODS):
        return f"Write {written}.{method}(...)"
    if method == "ne":
        return f"Write {written}.not_in([...]) or ~{written}.eq(...)"
    homes = " or ".join([f"Col.{kind}({column_id}).{method}(...)" for kind in FilterType if method in kind.methods])
    if method in LIST_OPERATORS:
        loop = f"any_of([{written}.eq(value) for value in values])"
        return f"Write {loop if method == 'one_of' else f'~{loop}'}, or {homes}"
    ordered = filter_type is FilterType.TEXT and method in FilterType.NUMBER.methods
    return f"{'Text has no order. ' if ordered else ''}Write {homes}"


def no_factory(name: str) -> str:
    """The text for an attribute that `Col` itself doesn't have."""
    shown = name[:80]
    if name in _ELSEWHERE:
        instead = _ELSEWHERE[name]
        return f"Col has no {shown}. " + (f'Write Col("input").{instead}(...)' if instead in METHODS else instead)
    meant = did_you_mean(name, FILTER_TYPES, meanings={kind: f"Col.{kind}" for kind in FILTER_TYPES})
    hint = f'Write Col("{shown}") for the column. {sentence(meant)}'
    return f"Col has no {shown}; it has {', '.join(FILTER_TYPES)}. {hint}".removesuffix(". ")


# ---- values ----------------------------------------------------------------------------------------------------------


def refusal(column: Column, operator: str, arguments: tuple[object, ...], problem: FilterError) -> FilterError:
    """The error that begins with the call as it was written, with advice on values of the wrong type."""
    reason = str(problem)
    if isinstance(problem, FilterTypeError):
        instead = [_instead_of_value(column.column_id, operator, value) for value in arguments]
        reason = next(filter(None, instead), reason)
    return type(problem)(f"{brief(column)}.{operator}({', '.join(map(brief, arguments))}): {reason}")


def _instead_of_value(column_id: str, operator: str, value: object) -> str:
    """What to write instead of a value of the wrong type; "" where the problem's own text is better."""
    filter_type = filter_type_of(value)
    if isinstance(value, bytes | bytearray):
        return "bytes are not text. Write value.decode() if they are UTF-8"
    if operator in (*LIST_OPERATORS, "on", *PARTITIONS):
        return ""
    if is_missing(value):
        return "the API has no test for a missing value. Leave this condition out, or write a value"
    if hasattr(value, "column_id"):
        return "the API compares a column with a value, not with another column or a filter"
    if isinstance(value, list | tuple | Set | Mapping):
        return f"{operator} takes single values. For a list write one_of([...])"
    if filter_type is None and isinstance(value, date):
        rewrite = f"Col.date({brief(column_id)}).on({str(value)!r}, tz=...)"
        return f"a bare date is a different day in each time zone. Write {rewrite}, or a datetime with tzinfo"
    if filter_type is None:
        return f"{type(value).__name__} is no type for a filter. Write text, a number, a bool, a datetime or a UUID"
    made = f"{brief(value)} makes {'an' if filter_type == 'id' else 'a'} {filter_type} filter"
    if operator in filter_type.operators:
        return f"{made}. If that is meant, write Col.{filter_type}({brief(column_id)}).{operator}(...)"
    if filter_type is FilterType.TEXT:  # which has all operators that don't need an order
        return f"text has no order. {_instead_of_text(column_id, operator, str(value))}"
    return f"{made}, which has only {', '.join(filter_type.operators)}"


def _instead_of_text(column_id: str, operator: str, written: str) -> str:
    """What to write instead of text with an operator that needs an order; of between's two values none is shown."""
    if _NUMBER_TEXT.fullmatch(written):
        kind, what, value = FilterType.NUMBER, "a number", written.strip()
    else:
        try:
            moment = datetime.fromisoformat(written)
            kind, what = FilterType.DATE, "a date"
            value = repr(moment.replace(tzinfo=moment.tzinfo or UTC).isoformat())
        except ValueError:
            kind, what, value = FilterType.DATE, "a date in ISO 8601", "..."
    return f"For {what} write Col.{kind}({brief(column_id)}).{operator}({'...' if operator == 'between' else value})"


NAIVE = (
    "a datetime without a time zone is a different instant in each. "
    "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time"
)


def not_localized(value: datetime) -> str:
    """The text for a datetime that was given a zone of pytz as its tzinfo."""
    offset = brief(value.isoformat()[-6:])
    return (
        f"with tzinfo= a zone of pytz means local mean time, here {offset}. Write zone.localize(...), or use zoneinfo"
    )


def loses_digits(rounded: float) -> str:
    """The text for a number that no float is equal to."""
    return f"a JSON number would lose digits. Write float(...), which rounds to {rounded}"


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The text of the warning that a time beside a column of no type is compared as text."""
    typed = f"Col.{{}}({brief(column.column_id)}).{operator}({brief(value)})"
    return (
        f"{brief(column)}.{operator}({brief(value)}) compares text with a time as it is written. "
        f"Write {typed.format('date')} for the instant, or {typed.format('text')} if the column is text"
    )


def no_list(operator: str, value: object, filter_type: FilterType | None) -> FilterTypeError:
    """The error for something that one_of or not_in can't take as a list."""
    if getattr(value, "ndim", 0) > 1:
        return FilterTypeError(
            f"{operator} takes a list of text, not a table, which would give its column names. "
            f'Write {operator}(table["column"])'
        )
    single = f". For one value write {operator}([{brief(value)}])" if filter_type in ("text", "id") else ""
    return FilterTypeError(f"{operator} takes a list of text{single}")


def empty_list(operator: str) -> FilterError:
    """The error for one_of or not_in with no value."""
    instead = "NEVER" if operator == "one_of" else "ALWAYS"
    return FilterError(f"it isn't documented what the service does with an empty list. Write {instead} instead")


def wrong_items(operator: str, types: set[FilterType | None]) -> FilterTypeError:
    """The error for items of other types than one_of or not_in takes."""
    if types == {FilterType.ID}:
        return FilterTypeError(f"these are UUIDs. If the column is an id, write Col.id(...).{operator}([...])")
    if len(types) > 1 or None in types:
        return FilterTypeError(f"{operator} takes a list of text only, or of UUIDs only")
    loop = "any_of([column.eq(value) for value in values])"
    rewrite = loop if operator == "one_of" else f"~{loop}"
    return FilterTypeError(f"the API has no {operator} for a {types.pop()}. Write {rewrite}")


# ---- plain data that isn't a filter ---


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree; "" where nothing is known of it."""
    if isinstance(data, str | bytes | bytearray):
        is_json = data[:1] in ("{", "[", b"{", b"[")
        return ". Write load_filter(json.loads(text))" if is_json else ". parse_filter reads filters as text"
    if isinstance(data, list | tuple):
        return '. Write {"and": [...]} around a list of nodes; a flat list of leaves is the `filters` of load_query'
    if hasattr(data, "size"):
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


EMPTY_AND = 'an empty and would count all sessions. Leave out "filter_tree" if that is meant'


# ---- a catalog's columns ---------------------------------------------------------------------------------------------


def unknown_column(column_id: object, hint: str) -> str:
    """The text for a column that a catalog doesn't have."""
    return f"there is no column {brief(column_id)}" + (f"; {hint}" if hint else "")


def wrong_type(column_id: str, filter_type: str, leaf_type: str, rewrite: str) -> str:
    """The text for a leaf of another type than its column."""
    return f"{brief(column_id)} is filtered as {filter_type}, not as {leaf_type}. Write {rewrite}"


def other_type(column_id: str, filter_type: str) -> str:
    """The text for a column that is asked of a catalog as another type than it has."""
    if filter_type not in FILTER_TYPES:
        return f"{brief(column_id)} is filtered as {brief(filter_type)}, which this version doesn't know"
    return f"{brief(column_id)} is filtered as {filter_type}. Write catalog.{filter_type}({brief(column_id)})"


def no_operator(column_id: str, filter_type: FilterType, operator: str, rewrite: str | None) -> str:
    """The text for an operator that the column's type doesn't have."""
    problem = f"{brief(column_id)} is filtered as {filter_type}, which has no {operator}"
    return f"{problem}; it has {', '.join(filter_type.operators)}" + (f". Write {rewrite}" if rewrite else "")
