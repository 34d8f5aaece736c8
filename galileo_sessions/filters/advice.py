"""
The texts of errors: what is wrong, and what to write instead.

This code runs only after something was refused, so it doesn't have to be fast.
"""

from collections.abc import Collection, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, ClassVar, Protocol, cast

from attrs import frozen

from galileo_sessions.display import brief, did_you_mean
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters import other_names
from galileo_sessions.filters.filter_types import (
    LIST_OPERATORS,
    METHODS,
    FilterType,
    filter_type_of,
)
from galileo_sessions.filters.values import TIME_TEXT, TOO_FINE, is_missing

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
_HAS_VALUE = "Each session with a value satisfies a | ~a, for any condition a on it"
_OPPOSITES = {"eq": "ne", "ne": "eq", "one_of": "not_in", "not_in": "one_of"}
_IDEAS = {
    (other_names.MISSING, False): _OF_ALL,
    (other_names.MISSING, True): _HAS_VALUE,
    (other_names.LENGTH, False): "The API compares values, not their lengths",
    (other_names.LENGTH, True): "The API compares values, not their lengths",
    (other_names.NEGATION, False): "Write ~ before a filter",
}
"""A hint for each idea of other libraries for which the API has no operator."""
_NO_CONDITION = {
    **dict.fromkeys(("|", "any_of"), "write NEVER"),
    "children": "leave it out",
    "child": "leave out the Not",
}
_NO_FILTER: dict[Any, str] = {
    bool: "For all sessions write ALWAYS, for none NEVER. Python's `is` makes True or False, too",
    Mapping: "Write load_filter(...) for the API's JSON, or any_of(partition.values()) for a"
    " partition. In count_by, a partition comes before the filter",
    (list, tuple): "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough",
}
"""What to write instead of a value of a type that is no filter."""
_IN_ANY_CASE = (FilterType.ID, FilterType.NUMBER, FilterType.DATE, FilterType.BOOLEAN)
_FOR_EACH = {
    "contains": ("any_of", "contains"),
    "one_of": ("any_of", "eq"),
    "not_in": ("~any_of", "eq"),
    "all": ("all_of", "contains"),
}
"""For several values that the API doesn't take in a list: what joins a comparison with each."""


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
    hint = _by_meaning(column, name, has) or did_you_mean(name, has)
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}", hint


def no_such_operator(kind: FilterType, operator: object) -> FilterError:
    """The error that says which operators a filter type has, and which one was probably meant."""
    said = f"a {kind} filter has no operator {brief(operator)}; it has {', '.join(kind.operators)}"
    name = operator if isinstance(operator, str) else ""
    method, is_negated, _ = other_names.meaning_of(name)
    if is_negated:
        method = _OPPOSITES.get(method, "")
    if method in kind.operators:
        return FilterError(said, hint=f"Write {method}")
    hint = _by_meaning(cast("Column", _AnyColumn(kind)), name, kind.methods)
    return FilterError(said, hint=hint or did_you_mean(name.lower(), kind.operators))


@frozen(repr=False)
class _AnyColumn:
    """A column of a type, of which the id isn't known."""

    filter_type: FilterType
    column_id: str = "..."

    def __repr__(self) -> str:
        return f"Col.{self.filter_type}(...)"


def _by_meaning(column: Column, name: str, has: Collection[str]) -> str:
    """What to write on a column for an operator of other libraries; empty for an unknown name."""
    method, is_negated, in_any_case = other_names.meaning_of(name)
    if idea := _IDEAS.get((method, is_negated)):
        return idea
    said = ""
    if method == other_names.PATTERN:
        said, method = "The API has no patterns. ", "contains"
    several = {other_names.ANY_MEMBER: "contains", other_names.ALL_MEMBERS: "all"}.get(method, "")
    if several:
        method = "contains"
    elif is_negated and method in _OPPOSITES:
        method, is_negated = _OPPOSITES[method], False
    sign = "~" if is_negated else ""
    if method not in has and (other := by_other_operators(column, method)):
        return f"Write {other}"
    columns = {brief(column): column.filter_type}
    if method not in has:
        kinds = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
        columns = {_typed(column, kind): kind for kind in kinds}
    calls: list[str] = []
    for written, kind in columns.items():
        arguments = (
            "" if method.startswith("is_") else "[...]" if method in LIST_OPERATORS else "..."
        )
        if in_any_case and kind not in _IN_ANY_CASE:
            arguments += ", case_sensitive=False"
        call = _for_each(written, several) if several else f"{written}.{method}({arguments})"
        calls.append(sign + call)
    return f"{said}Write {' or '.join(calls)}" if calls else ""


def by_other_operators(column: Column, operator: str) -> str:
    """What to write on a column whose type lacks an operator; empty if nothing says the same."""
    if operator in LIST_OPERATORS:
        return _for_each(brief(column), operator)
    return f"{brief(column)}.not_in([...])" if operator == "ne" else ""


def _for_each(column: str, several: str, values: Collection[object] = ()) -> str:
    """A comparison with each of several values, of which it shows up to three."""
    join, method = _FOR_EACH[several]
    shown = [brief(value) for value in islice(values, 3)] or ["..."]
    calls = [f"{column}.{method}({value})" for value in shown]
    if len(values) != len(shown):
        calls.append("...")
    return f"{join}([{', '.join(calls)}])"


def _typed(column: Column, kind: FilterType | None) -> str:
    column_id = "..." if isinstance(column, _AnyColumn) else brief(column.column_id)
    return f"Col.{kind}({column_id})"


def no_such_type(name: str) -> tuple[str, str]:
    """The text for a name that `Col` doesn't have: its types, and how to write the column."""
    column, kind = brief(name), other_names.type_of(name)
    hint = f"Write Col({column}) for that column, or Col.collection({column}) if it holds a list"
    return (
        f"Col has no {name[:80]}; it has {', '.join(FilterType)}",
        f"Write Col.{kind}(...)" if kind else hint,
    )


def type_apart(column_id: object, *types: object) -> FilterTypeError:
    """The error for `Col("score", "number")`: `Col` takes an id, and its type is a method."""
    kind = other_names.type_of(types[0]) if isinstance(types[0], str) else ""
    written = f"Col.{kind}({brief(column_id)})"
    if not kind:
        written = f"Col({brief(column_id)}), or Col.text({brief(column_id)}) for its type"
    said = f"Col takes a column's id, not {', '.join(map(brief, types))} beside it"
    return FilterTypeError(said, hint=f"Write {written}")


# ---- filters -------------------------------------------------------------------------------------


def expected_filter(value: object, symbol: str = "") -> FilterTypeError:
    """
    The error for a value that isn't a filter.

    Args:
        value: The value.
        symbol: The `&`, `|` or `~` next to it, if there is one; "any_of" for its arguments, and
            "children" or "child" for those of a constructor.
    """
    if value is None:
        nothing = _NO_CONDITION.get(symbol, "write ALWAYS")
        return FilterTypeError("None is not a filter", hint=f"For no condition {nothing}")
    if symbol in ("any_of", "children", "child"):
        symbol = ""
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


def instead(column: Column, method: str, value: Any, values: Collection[object]) -> str:
    """
    What to write instead of a value that a column refuses; empty if it isn't known.

    Args:
        column: The column.
        method: Its method.
        value: The value.
        values: All values that the method was given, as arguments or in a list.
    """
    given = filter_type_of(value)
    if is_missing(value):
        return _instead_of_missing(column, method, is_single=len(values) == 1)
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
    return _instead_of_type(column, method, given, values)


def _instead_of_missing(column: Column, method: str, *, is_single: bool) -> str:
    """What to write instead of None, or of one value of several that is None."""
    if method in LIST_OPERATORS and not is_single:
        if method == "not_in":
            return "Leave it out: a session without a value never matches"
        return (
            f"{NO_MISSING}. Leave it out, and from all sessions subtract the count of"
            f" ~{brief(column)}.one_of([...])"
        )
    by_method = {"eq": _OF_ALL, "one_of": _OF_ALL, "ne": _HAS_VALUE, "not_in": _HAS_VALUE}
    return by_method.get(method, NO_MISSING)


def _instead_of_type(
    column: Column, method: str, given: FilterType, values: Collection[object]
) -> str:
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
        written = _typed(column, given) if wanted else brief(column)
        return f"Write {_for_each(written, method, values)}"
    return ""


def _instead_of_list(column: Column, method: str, values: Collection[object]) -> str:
    """What to write for a list next to an operator that takes a single value."""
    several = {"eq": "one_of", "ne": "not_in"}.get(method, method)
    if several not in _FOR_EACH:
        return ""
    if not values:
        return "The API has no test for an empty list"
    if any(map(is_missing, values)):
        return _instead_of_missing(column, several, is_single=len(values) == 1)
    hints: list[str] = []
    kind = column.filter_type
    if kind is None and several != "contains" and all(isinstance(each, str) for each in values):
        hints.append(f"Write {_typed(column, FilterType.TEXT)}.{several}([...])")
        kind = FilterType.COLLECTION
    if kind is FilterType.COLLECTION and several != "contains":
        members = _typed(column, kind)
        sign, some = ("~", "for none of them") if method == "ne" else ("", "for at least one")
        for_all = f"{sign}{_for_each(members, 'all', values)}"
        hints.append(f"For a collection write {for_all}, or {members}.{several}([...]) {some}")
    elif kind and several in kind.operators and several != "contains":
        hints.append(f"Write {brief(column)}.{several}([...])")
    else:
        hints.append(f"Write {_for_each(brief(column), several, values)}")
    return ". ".join(hints)


def _as_time(column: Column, method: str, value: object) -> str:
    """The comparison with the time at UTC that a value stands for; empty for any other value."""
    instant, end_of_day = instants_of(value)
    can_be_date = column.filter_type in (FilterType.DATE, None)
    if not instant or not can_be_date or method not in FilterType.DATE.methods:
        return ""
    written = _typed(column, FilterType.DATE)
    if method == "between":
        return f'{written}.during(start, end, tz="UTC"), which leaves out the end'
    if TOO_FINE.search(str(value)):  # between this microsecond and the next
        method = {"gte": "gt", "lt": "lte"}.get(method, method)
        if method not in ("gt", "lte"):
            return ""
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
    if not isinstance(written, str) or not TIME_TEXT.fullmatch(written):
        return "", ""
    try:
        begin = datetime.fromisoformat(written.upper())
        end = begin + timedelta(days=1)
    except (ValueError, OverflowError):  # as for the last day of all
        return "", ""
    if begin.tzinfo is None:
        begin, end = begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    is_day = len(written) == len("2026-01-31")
    return repr(begin.isoformat()), repr(end.isoformat()) if is_day else ""


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
