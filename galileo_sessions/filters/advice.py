"""
The texts of errors: what is wrong, and what to write instead.

This code runs only after something was refused, so it doesn't have to be fast.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Protocol, cast

from galileo_sessions.display import brief, did_you_mean
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.filter_types import (
    LIST_OPERATORS,
    METHODS,
    SYMBOLS,
    FilterType,
    filter_type_of,
    is_missing,
)

READ_IT = "Write parse_filter(...) to read it"
JOIN = (
    "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
)
TOO_DEEP = "nested too deeply: a filter has at most 100 levels"
LONG = "Write all_of([...]) or any_of([...]) for a long chain"


NO_MISSING = "The API has no test for a missing value"
_OF_ALL = (
    f"{NO_MISSING}. From all sessions, subtract the count of a | ~a, for any condition a on it"
)
_OTHER_NAMES = {
    **{symbol: name for name, symbol in SYMBOLS.items()},
    **dict.fromkeys(("=", "equals"), "eq"),
    **dict.fromkeys(("<>", "neq", "not_equals", "not_equal", "not_eq", "noteq", "is_not"), "ne"),
    **dict.fromkeys(("in", "is_in", "isin", "in_"), "one_of"),
    "not in": "not_in",
}
"""Names of operators in Python, SQL and other libraries, each with the name here."""
_NO_OPERATOR = {
    "icontains": "Write contains(..., case_sensitive=False) on a column of text or a collection."
    " Ids match in any case",
    **dict.fromkeys(
        ("startswith", "starts_with", "endswith", "like"),
        "The API has no patterns. Write contains(...)",
    ),
    **dict.fromkeys(("is_null", "is_not_null", "isnull", "notnull", "isna", "notna"), _OF_ALL),
    **dict.fromkeys(("len", "length", "size"), "The API compares values, not their lengths"),
}
"""A hint for each operator of other libraries that the API doesn't have."""
_NO_FILTER: dict[Any, str] = {
    type(None): "For no condition write ALWAYS",
    bool: "For all sessions write ALWAYS, for none NEVER",
    Mapping: "Write load_filter(...) for the API's JSON."
    " In count_by, a partition comes before the filter",
    (list, tuple): "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough",
}
"""What to write instead of a value of a type that is no filter."""
_FOR_EACH = {
    "contains": "Write any_of([{}.contains(value) for value in values])",
    "one_of": "Write any_of([{}.eq(value) for value in values])",
    "not_in": "Write ~any_of([{}.eq(value) for value in values])",
}
"""A comparison with several values that the API doesn't take in a list, on the column in `{}`."""
_TIME = re.compile(r"(?!9999)\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d.*)?", re.ASCII)


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    filter_type: ClassVar[FilterType | None]

    @property
    def column_id(self) -> str: ...


# ---- names ---------------------------------------------------------------------------------------


def no_such_method(column: Column, name: str) -> tuple[str, str]:
    """The text for an unknown method: which methods the column has, and what was probably meant."""
    kind = column.filter_type
    has = METHODS if kind is None else (*kind.methods, *kind.partitions)
    method = _OTHER_NAMES.get(name, name)
    others = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
    if method in has:
        hint = f"Write {brief(column)}.{method}(...)"
    elif others:
        hint = by_other_operators(column, method) or _on_types(column, others, f"{method}(...)")
    else:
        hint = _NO_OPERATOR.get(name.removeprefix("not ")) or did_you_mean(name, has)
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}", hint


def by_other_operators(column: Column, operator: str) -> str:
    """What to write on a column whose type lacks an operator; empty if nothing says the same."""
    if operator in LIST_OPERATORS:
        return _FOR_EACH[operator].format(brief(column))
    if operator == "ne":
        return f"Write {brief(column)}.not_in([...])"
    return ""


def _typed(column: Column, kind: FilterType | None) -> str:
    return f"Col.{kind}({brief(column.column_id)})"


def _on_types(column: Column, types: Iterable[FilterType], call: str) -> str:
    """What to write to call a method on a column of one of these types."""
    return "Write " + " or ".join([f"{_typed(column, each)}.{call}" for each in types])


def no_such_operator(kind: FilterType, operator: object) -> FilterError:
    """The error that says which operators a filter type has, and which one was probably meant."""
    said = f"a {kind} filter has no operator {brief(operator)}; it has {', '.join(kind.operators)}"
    name = operator.lower() if isinstance(operator, str) else ""
    meant = did_you_mean(_OTHER_NAMES.get(name, name), kind.operators)
    return FilterError(said, hint=_NO_OPERATOR.get(name, meant))


def no_such_type(name: str) -> tuple[str, str]:
    """The text for a name that `Col` doesn't have: its types, and how to write the column."""
    return (
        f"Col has no {name[:80]}; it has {', '.join(FilterType)}",
        f"Write Col({brief(name)}) for that column",
    )


# ---- filters -------------------------------------------------------------------------------------


def expected_filter(value: object, symbol: str = "") -> FilterTypeError:
    """
    The error for a value that isn't a filter.

    Args:
        value: The value.
        symbol: The `&`, `|` or `~` next to it, if there is one.
    """
    hints = (hint for kind, hint in _NO_FILTER.items() if isinstance(value, kind))
    hint = next(hints, of_sdk(value))
    said = "not"
    if not hint and hasattr(value, "column_id"):
        said = "a column, not yet"
        if symbol in ("", "~"):
            hint = f"Compare it, as in {symbol}({brief(value)} == ...)"
    if symbol and not hint:
        example = f'(Col("a") == 1) {symbol} (Col("b") == 2)'
        hint = f"{symbol} binds tighter than == and <. Write {example}"
    elif isinstance(value, str):
        hint = READ_IT
    return FilterTypeError(f"{brief(value)} is {said} a filter", hint=hint)


def of_sdk(value: object) -> str:
    """How to read a leaf or a tree of Galileo's SDK, whose classes are generated; else empty."""
    if not hasattr(value, "additional_properties"):
        return ""
    if hasattr(value, "column_id"):
        return 'Write load_filter({"filter": value.to_dict()})'
    return "Write load_filter(value.to_dict())"


def instead_of_in(column: Column, value: object) -> FilterTypeError:
    """The error for `value in column`, of which Python would make True or False."""
    error = expected_filter(column)
    kind = column.filter_type or filter_type_of(value)
    method = "contains" if kind and "contains" in kind.operators else "eq"
    call = f"{method}({brief(value)})"
    error.hint = f"Write {brief(column)}.{call}"
    if column.filter_type is None and kind is FilterType.TEXT:
        error.hint += f", or {_typed(column, FilterType.COLLECTION)}.{call}"
    return error


# ---- values that a column is compared with -------------------------------------------------------


def instead(column: Column, method: str, value: Any) -> str:
    """What to write instead of a value that a column refuses; empty if it isn't known."""
    given = filter_type_of(value)
    if is_missing(value):
        return _OF_ALL
    if isinstance(value, list | tuple | Set):
        return _instead_of_list(column, method, cast("Collection[object]", value))
    if time := _as_time(column, method, value):
        return f"Write {time}"
    if column.filter_type is FilterType.BOOLEAN:
        return "Write True or False"
    if hasattr(value, "column_id"):
        return (
            "A column can't be compared with a column. Write a number, or text or a time in quotes"
        )
    if given is None or given is column.filter_type:
        return ""
    return _instead_of_type(column, method, given)


def _instead_of_type(column: Column, method: str, given: FilterType) -> str:
    """What to write for a value of another filter type than the column has."""
    wanted = column.filter_type
    has_method = method in given.operators
    if has_method and wanted is None:
        return ""
    if given is FilterType.TEXT:
        if wanted not in (None, FilterType.NUMBER):
            return ""
        return f"Write a number without quotes, or {_typed(column, FilterType.DATE)} for a time"
    if has_method:
        return f"Write {_typed(column, given)} if the column is of that type"
    if method in LIST_OPERATORS:
        return _FOR_EACH[method].format(_typed(column, given) if wanted else brief(column))
    return ""


def _instead_of_list(column: Column, method: str, values: Collection[object]) -> str:
    """What to write for a list next to an operator that takes a single value."""
    several = {"eq": "one_of", "ne": "not_in"}.get(method, method)
    if several not in _FOR_EACH:
        return ""
    kinds: list[FilterType] = []
    if column.filter_type:
        kinds = [column.filter_type]
    elif all(isinstance(value, str) for value in values):
        kinds = [FilterType.COLLECTION, FilterType.TEXT]
    kinds = [kind for kind in kinds if several in kind.operators]
    if kinds and several != "contains":
        return _on_types(column, kinds, f"{several}([...])")
    return _FOR_EACH[several].format(brief(column))


def _as_time(column: Column, method: str, value: object) -> str:
    """The comparison with the time at UTC that a value stands for; empty for any other value."""
    instant, end_of_day = instants_of(value)
    can_be_date = column.filter_type in (FilterType.DATE, None)
    if not instant or not can_be_date or method not in FilterType.DATE.methods:
        return ""
    written = _typed(column, FilterType.DATE)
    if method == "between":
        return f'{written}.during(start, end, tz="UTC"), which leaves out the end'
    plain = f"{written}.{method}({instant})"
    if not end_of_day:
        return plain
    day = f'{written}.on({str(value)!r}, tz="UTC")'
    after = {"lte": f"{written}.lt({end_of_day})", "gt": f"{written}.gte({end_of_day})"}
    return {"eq": day, "ne": f"~{day}", **after}.get(method, plain)


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The warning that a column without a type compares a time as text; empty for other text."""
    time = _as_time(column, operator, value)
    if not time:
        return ""
    call = f"{operator}({brief(value)})"
    as_text = f"{_typed(column, FilterType.TEXT)}.{call} if the column is text"
    return f"{brief(column)}.{call} compares a time as text. Write {time}, or {as_text}"


# ---- plain data that isn't a filter --------------------------------------------------------------


def instants_of(value: object) -> tuple[str, str]:
    """
    The reprs of the instant that a day or a time stands for, and of the day's end.

    They are at UTC, unless a time has an offset. The second is empty for a time of day; both are
    empty for any other value.
    """
    written = str(value) if isinstance(value, date) else value
    if not isinstance(written, str) or not _TIME.fullmatch(written):
        return "", ""
    try:
        begin = datetime.fromisoformat(written.upper())
    except ValueError:
        return "", ""
    if begin.tzinfo is None:
        begin = begin.replace(tzinfo=UTC)
    if len(written) > len("2026-01-31"):
        return repr(begin.isoformat()), ""
    end = begin + timedelta(days=1)
    return repr(begin.isoformat()), repr(end.isoformat())


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree, or an empty string."""
    if isinstance(data, str | bytes | bytearray):
        return (
            "Write load_filter(json.loads(text)) for JSON, or parse_filter(text) for a filter"
            " written in Python"
        )
    if isinstance(data, list | tuple):
        return 'Write {"and": [...]} around a list of nodes'
    if isinstance(data, Mapping):
        if data.keys() == {"filter_tree"}:
            return 'Write load_filter(data["filter_tree"])'
        if "project_id" in data:
            return "Write load_query(data), which keeps what is beside the filter"
        if not data.keys().isdisjoint({"filter_tree", "filters"}):
            query = 'load_query({"project_id": "...", **data})'
            return f"Write {query}, which keeps what is beside the filter"
        return 'Write {"filter": {...}} around a leaf'
    if hasattr(data, "depth"):
        return "This is a filter already"
    return of_sdk(data)
