"""
The texts of errors: what is wrong, and what to write instead.

This code runs only after something was refused, so it doesn't have to be fast.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Set
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar, Protocol, cast

from galileo_sessions.display import brief, shortened
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.kinds import LIST_OPERATORS, METHODS, SYMBOLS, FilterType, filter_type_of, is_missing

READ_IT = "Write parse_filter(...) to read it"
JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
TOO_DEEP = "nested too deeply: a filter has at most 100 levels"
LONG = "Write all_of([...]) or any_of([...]) for a long chain"

_MAX_NAMES, _MAX_NAME = 1_000, 60  # names that are compared, and characters of each; the time grows with their square

NO_MISSING = "The API has no test for a missing value"
_OF_ALL = f"{NO_MISSING}. From all sessions, subtract the count of a | ~a, for any condition a on it"
_OTHER_NAMES = {
    **{symbol: name for name, symbol in SYMBOLS.items()},
    **dict.fromkeys(("=", "equals"), "eq"),
    **dict.fromkeys(("<>", "neq", "not_equals", "not_equal", "not_eq", "noteq", "is_not"), "ne"),
    **dict.fromkeys(("in", "is_in", "isin", "in_"), "one_of"),
    "not in": "not_in",
}
"""Names of operators in Python, SQL and other libraries, each with the name here."""
_NO_OPERATOR = {
    "icontains": "Write contains(..., case_sensitive=False) on a column of text or a collection. Ids match in any case",
    **dict.fromkeys(("startswith", "starts_with", "endswith", "like"), "The API has no patterns. Write contains(...)"),
    **dict.fromkeys(("is_null", "is_not_null", "isnull", "notnull", "isna", "notna"), _OF_ALL),
    **dict.fromkeys(("len", "length", "size"), "The API compares values, not their lengths"),
}
"""A hint for each operator of other libraries that the API doesn't have."""
_NO_FILTER: dict[type, str] = {
    type(None): "For no condition write ALWAYS",
    bool: "For all sessions write ALWAYS, for none NEVER",
    Mapping: "Write load_filter(...) for the API's JSON. In count_by, a partition comes before the filter",
    **dict.fromkeys((list, tuple), "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough"),
}
"""What to write instead of a value of a type that is no filter."""
_TIME = re.compile(r"(?!9999)\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d.*)?", re.ASCII)


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    filter_type: ClassVar[FilterType | None]

    @property
    def column_id(self) -> str: ...


# ---- names -----------------------------------------------------------------------------------------------------------


def did_you_mean(name: object, known: Iterable[str], meanings: Mapping[str, str] | None = None) -> str:
    """
    A question that suggests the most similar known name, whatever its case; empty if none is similar.

    Args:
        name: The value that was written. Only text can resemble a name.
        known: The names; the first 1,000 are compared.
        meanings: What to write for a name, if that isn't the name itself.
    """
    from difflib import get_close_matches  # noqa: PLC0415  # only errors need it

    by_key: dict[str, str] = {}
    for each in islice(known, _MAX_NAMES):
        by_key.setdefault(each[:_MAX_NAME].casefold(), (meanings or {}).get(each, each))
    key = name[:_MAX_NAME].casefold() if isinstance(name, str) else ""
    matches = get_close_matches(key, by_key, n=1)
    return f"Did you mean {shortened(by_key[matches[0]])}?" if matches else ""


def no_such_method(column: Column, name: str) -> tuple[str, str]:
    """The text for an unknown method: which methods the column has, and what was probably meant."""
    kind = column.filter_type
    has = METHODS if kind is None else (*kind.methods, *kind.partitions)
    method = _OTHER_NAMES.get(name, name)
    typed = [_typed(column, each) for each in FilterType if method in (*each.methods, *each.partitions)]
    if method in has:
        hint = f"Write {brief(column)}.{method}(...)"
    elif typed:
        hint = by_other_operators(column, method) or "Write " + " or ".join([f"{each}.{method}(...)" for each in typed])
    else:
        hint = _NO_OPERATOR.get(name.removeprefix("not ")) or did_you_mean(name, has)
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}", hint


def by_other_operators(column: Column, operator: str) -> str:
    """What to write on a column whose type lacks an operator, if its other operators can say the same."""
    not_in = f"Write {brief(column)}.not_in([...])" if operator == "ne" else ""
    return f"Write {_for_each(brief(column), operator)}" if operator in LIST_OPERATORS else not_in


def _typed(column: Column, kind: FilterType | None) -> str:
    return f"Col.{kind}({brief(column.column_id)})"


def _for_each(column: str, operator: str) -> str:
    """A comparison with several values that the API doesn't take in a list."""
    each = "contains" if operator == "contains" else "eq"
    return f"{'~' if operator == 'not_in' else ''}any_of([{column}.{each}(value) for value in values])"


def no_such_operator(kind: FilterType, operator: object) -> FilterError:
    """The error that says which operators a filter type has instead of this one, and which one was probably meant."""
    said = f"a {kind} filter has no operator {brief(operator)}; it has {', '.join(kind.operators)}"
    name = operator.lower() if isinstance(operator, str) else ""
    return FilterError(said, hint=_NO_OPERATOR.get(name) or did_you_mean(_OTHER_NAMES.get(name, name), kind.operators))


def no_such_type(name: str) -> tuple[str, str]:
    """The text for a name that `Col` doesn't have: the types of columns that it has, and how to write the column."""
    return f"Col has no {name[:80]}; it has {', '.join(FilterType)}", f"Write Col({brief(name)}) for that column"


# ---- filters ---------------------------------------------------------------------------------------------------------


def expected_filter(value: object, symbol: str = "") -> FilterTypeError:
    """The error for a value that isn't a filter; `symbol` is the `&`, `|` or `~` next to it, if there is one."""
    hint = next((hint for kind, hint in _NO_FILTER.items() if isinstance(value, kind)), of_sdk(value))
    is_column = hasattr(value, "column_id") and not hint
    if is_column and symbol in ("", "~"):
        hint = f"Compare it, as in {symbol}({brief(value)} == ...)"
    elif symbol and not hint:
        hint = f'{symbol} binds tighter than == and <. Write (Col("a") == 1) {symbol} (Col("b") == 2)'
    elif isinstance(value, str):
        hint = READ_IT
    return FilterTypeError(f"{brief(value)} is {'a column, not yet' if is_column else 'not'} a filter", hint=hint)


def of_sdk(value: object) -> str:
    """How to read a leaf or a tree of Galileo's SDK, whose classes are generated; empty for any other value."""
    data = '{"filter": value.to_dict()}' if hasattr(value, "column_id") else "value.to_dict()"
    return f"Write load_filter({data})" if hasattr(value, "additional_properties") else ""


def instead_of_in(column: Column, value: object) -> FilterTypeError:
    """The error for `value in column`, of which Python would make True or False."""
    error, kind = expected_filter(column), column.filter_type or filter_type_of(value)
    call = f"{'contains' if kind and 'contains' in kind.operators else 'eq'}({brief(value)})"
    error.hint = f"Write {brief(column)}.{call}"
    if column.filter_type is None and kind is FilterType.TEXT:
        error.hint += f", or {_typed(column, FilterType.COLLECTION)}.{call}"
    return error


# ---- values that a column is compared with ---------------------------------------------------------------------------


def instead(column: Column, method: str, value: Any) -> str:
    """What to write instead of a value that can't be compared with the column; empty if it can be."""
    wanted, given = column.filter_type, filter_type_of(value)
    if is_missing(value):
        return _OF_ALL
    if isinstance(value, list | tuple | Set):
        return _instead_of_list(column, method, cast("Collection[object]", value))
    if time := _as_time(column, method, value):
        return f"Write {time}"
    if wanted is FilterType.BOOLEAN:
        return "Write True or False"
    if hasattr(value, "column_id"):
        return "A column can't be compared with a column. Write a number, or text or a time in quotes"
    if given is None or given is wanted or (wanted is None and method in given.operators):
        return ""
    if given is FilterType.TEXT:
        number = f"Write a number without quotes, or {_typed(column, FilterType.DATE)} for a time"
        return number if wanted in (None, FilterType.NUMBER) else ""
    if method in LIST_OPERATORS and method not in given.operators:
        return f"Write {_for_each(_typed(column, given) if wanted else brief(column), method)}"
    return f"Write {_typed(column, given)} if the column is of that type" if method in given.operators else ""


def _instead_of_list(column: Column, method: str, values: Collection[object]) -> str:
    """What to write for a list next to an operator that takes a single value."""
    several = {"eq": "one_of", "ne": "not_in"}.get(method, method)
    texts = all(isinstance(value, str) for value in values)
    kinds = [column.filter_type] if column.filter_type else [FilterType.COLLECTION, FilterType.TEXT] if texts else []
    calls = [f"{_typed(column, kind)}.{several}([...])" for kind in kinds if several in kind.operators]
    if several == "contains" or (several in LIST_OPERATORS and not calls):
        return f"Write {_for_each(brief(column), several)}"
    return f"Write {' or '.join(calls)}" if several in LIST_OPERATORS else ""


def _as_time(column: Column, method: str, value: object) -> str:
    """The comparison with a day or an instant that a value stands for, at UTC; empty for any other value."""
    instant, end = instants_of(value)
    if not instant or column.filter_type not in (FilterType.DATE, None) or method not in FilterType.DATE.methods:
        return ""
    written = _typed(column, FilterType.DATE)
    if method == "between":
        return f'{written}.during(start, end, tz="UTC"), which leaves out the end'
    if end and method in ("eq", "ne"):
        return f'{"~" if method == "ne" else ""}{written}.on({str(value)!r}, tz="UTC")'
    if end and method in ("lte", "gt"):  # compares with the end of the day, which is the beginning of the next
        method, instant = "lt" if method == "lte" else "gte", end
    return f"{written}.{method}({instant})"


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The warning that a column without a type compares a time as text; empty if the value isn't a time."""
    time, call = _as_time(column, operator, value), f"{operator}({brief(value)})"
    as_text = f"{_typed(column, FilterType.TEXT)}.{call} if the column is text"
    return time and f"{brief(column)}.{call} compares a time as text. Write {time}, or {as_text}"


# ---- plain data that isn't a filter ----------------------------------------------------------------------------------


def instants_of(value: object) -> tuple[str, str]:
    """
    The texts of the instant that a day or a time stands for, at UTC unless it has an offset, and of the day's end.

    The second is empty for a time of day; both are empty for any other value.
    """
    written = str(value) if isinstance(value, date) else value
    if isinstance(written, str) and _TIME.fullmatch(written):
        with suppress(ValueError):
            moment = datetime.fromisoformat(written.upper())
            begin = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            end = begin + timedelta(days=1)
            return repr(begin.isoformat()), repr(end.isoformat()) if len(written) == len("2026-01-31") else ""
    return "", ""


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree, or an empty string."""
    if isinstance(data, str | bytes | bytearray):
        return "Write load_filter(json.loads(text)) for JSON, or parse_filter(text) for a filter written in Python"
    if isinstance(data, list | tuple):
        return 'Write {"and": [...]} around a list of nodes'
    if isinstance(data, Mapping):
        leaf = 'Write {"filter": {...}} around a leaf'
        return 'Write load_filter(data["filter_tree"])' if "filter_tree" in data else leaf
    return "This is a filter already" if hasattr(data, "depth") else of_sdk(data)
