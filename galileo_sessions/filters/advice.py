"""
The texts of errors: what is wrong, and what to write instead.

This code runs only after something was refused, so it doesn't have to be fast.
"""

import re
from collections.abc import Collection, Generator, Iterable, Mapping, Set
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, cast

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.kinds import (
    LIST_OPERATORS,
    METHODS,
    NO_OFFSET,
    REPLACE_ZONE,
    SYMBOLS,
    FilterType,
    filter_type_of,
    is_missing,
    items_of,
)

EXAMPLE = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
TOO_DEEP = "nested too deeply: a filter has at most 100 levels"
NO_QUEUE = "fully_annotated works only in searches of an annotation queue; a count of sessions isn't one"
LONG = "Write all_of([...]) or any_of([...]) for a long chain"

_MAX_NAMES, _MAX_NAME = 1_000, 60  # names that are compared, and characters of each; the time grows with their square

_NO_PATTERN = "The API has contains, but no test for patterns, or for how text begins or ends"
_REST = 'Col.number("score").bins(0).with_rest("none")'
_NO_MISSING = f"The API has no test for a missing value. To count sessions without a number, pass {_REST} to count_by"
_OTHER_NAMES = {
    **{symbol: name for name, symbol in SYMBOLS.items()},
    **dict.fromkeys(("=", "equals"), "eq"),
    **dict.fromkeys(("<>", "neq", "not_equals"), "ne"),
    **dict.fromkeys(("in", "is_in", "isin", "in_"), "one_of"),
    "not in": "not_in",
}
"""Names of operators in Python, SQL and other libraries, each with the name here."""
_NO_OPERATOR = {
    "icontains": "Write contains(..., case_sensitive=False) on a column of text or a collection. Ids match in any case",
    **dict.fromkeys(("startswith", "starts_with", "endswith", "like"), _NO_PATTERN),
    **dict.fromkeys(("is_null", "is_not_null", "isnull", "isna"), _NO_MISSING),
    "with_rest": f"Make a partition first, as in {_REST}",
}
"""A hint for each operator of other libraries that the API doesn't have."""
_PERIODS = (*FilterType.DATE.partitions, "on", "during", "last")
"""Methods whose arguments aren't compared with the column."""
_JOINED = "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough"
_NO_FILTER: dict[type, str] = {
    type(None): "For no condition write ALWAYS",
    bool: "For all sessions write ALWAYS, for none NEVER",
    dict: "Write load_filter(...) to read a filter from the API's JSON",
    list: _JOINED,
    tuple: _JOINED,
}
"""What to write instead of a value of a type that is no filter."""
_AFTER_DAY = {"lte": "lt", "gt": "gte"}
"""Methods that compare with the end of a day, each with the method that compares with the beginning of the next."""
_TIME = re.compile(r"(?!9999)\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d.*)?", re.ASCII)


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    filter_type: ClassVar[FilterType | None]

    @property
    def column_id(self) -> str: ...


# ---- names -----------------------------------------------------------------------------------------------------------


def did_you_mean(name: object, known: Iterable[str], meanings: Mapping[str, str] = MappingProxyType({})) -> str:
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
        by_key.setdefault(each[:_MAX_NAME].casefold(), meanings.get(each, each))
    key = name[:_MAX_NAME].casefold() if isinstance(name, str) else ""
    for match in get_close_matches(key, by_key, n=1):
        close = by_key[match]
        return f"Did you mean {close if close.isprintable() and len(close) <= _MAX_NAME else brief(close)}?"
    return ""


def no_such_method(column: Column, name: str) -> tuple[str, str]:
    """The text for an unknown method: which methods the column has, and what was probably meant."""
    kind = column.filter_type
    has = METHODS if kind is None else (*kind.methods, *kind.partitions)
    method = _OTHER_NAMES.get(name, name)
    call = f"{method}({'[...]' if method in LIST_OPERATORS else '...'})"
    makers = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
    if method in has:
        hint = f"Write {brief(column)}.{call}"
    elif makers:
        calls = [f"Col.{kind}({brief(column.column_id)}).{call}" for kind in makers]
        hint = other_way(column, method) or f"Write {' or '.join(calls)}"
    else:
        hint = _NO_OPERATOR.get(name.removeprefix("not ")) or did_you_mean(name, has)
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}", hint


def other_way(column: Column, operator: str) -> str:
    """What to write on a column whose type lacks an operator, if its other operators can say the same."""
    if operator in LIST_OPERATORS:
        return f"Write {_for_each(brief(column), operator)}"
    return f"Write {brief(column)}.not_in([...])" if operator == "ne" else ""


def _for_each(column: str, operator: str) -> str:
    """A comparison with several values that the API doesn't take in a list."""
    each = "contains" if operator == "contains" else "eq"
    return f"{'~' if operator == 'not_in' else ''}any_of([{column}.{each}(value) for value in values])"


def no_such_operator(kind: FilterType, operator: object) -> FilterError:
    """The error that says which operators a filter type has instead of this one, and which one was probably meant."""
    name = operator.lower() if isinstance(operator, str) else ""
    hint = _NO_OPERATOR.get(name) or did_you_mean(_OTHER_NAMES.get(name, name), kind.operators)
    said = f"a {kind} filter has no operator {brief(operator)}; it has {', '.join(kind.operators)}"
    return FilterError(said, hint=hint)


def no_such_type(name: str) -> tuple[str, str]:
    """Says which types of columns `Col` has instead of this name, and how to write a column of this name."""
    hint = f"Write Col({brief(name)}) for that column. {did_you_mean(name, FilterType)}"
    return f"Col has no {name[:80]}; it has {', '.join(FilterType)}", hint.rstrip()


# ---- filters ---------------------------------------------------------------------------------------------------------


def expected_filter(value: object, symbol: str = "") -> FilterTypeError:
    """The error for a value that isn't a filter; `symbol` is the `&`, `|` or `~` next to it, if there is one."""
    is_column, hint = hasattr(value, "column_id"), _NO_FILTER.get(type(value), "")
    if symbol == "~":
        hint = f"Compare it first, as in ~({brief(value)} == ...)"
    elif symbol and not hint:
        hint = f'{symbol} binds tighter than == and <. Write (Col("a") == 1) {symbol} (Col("b") == 2)'
    elif is_column:
        hint = f"Compare it, as in {brief(value)}.eq(...)"
    elif isinstance(value, str):
        hint = "Write parse_filter(...) to read a filter from text"
    return FilterTypeError(f"{brief(value)} is {'a column, not yet' if is_column else 'not'} a filter", hint=hint)


def instead_of_in(column: Column, value: object) -> FilterTypeError:
    """The error for `value in column`, of which Python would make True or False."""
    kind = column.filter_type or filter_type_of(value)
    method = "contains" if kind is not None and "contains" in kind.operators else "eq"
    hint = f"Write {brief(column)}.{method}({brief(value)})"
    if column.filter_type is None and kind is FilterType.TEXT:
        hint += f", or Col.collection({brief(column.column_id)}).contains({brief(value)})"
    return FilterTypeError(f"{brief(column)} is a column, not yet a filter", hint=hint)


def naive_in_record(column_id: str, value: datetime) -> FilterError:
    """The error for a session's `datetime` without a UTC offset, which would match no filter."""
    return FilterError(f"the session's {column_id}, {brief(value)}, {NO_OFFSET}", hint=REPLACE_ZONE)


# ---- values that a column is compared with ---------------------------------------------------------------------------


@contextmanager
def calling(column: Column, method: str, *arguments: Any) -> Generator[None, None, None]:
    """Wraps a call of a column's method. Errors begin with the call, and say what to write instead of a value."""
    try:
        yield
    except FilterError as error:
        raise refused(error, column, method, *arguments) from None
    except OverflowError:
        problem = FilterError("the day before or after is out of range: years go from 1 to 9999")
        raise refused(problem, column, method, *arguments) from None


def refused(error: FilterError, column: Column, method: str, *arguments: Any) -> FilterError:
    """The error with the call of the column's method, as it was written, and with what to write instead."""
    if method not in _PERIODS and not error.hint:
        items = items_of(arguments[0]) if method in (*LIST_OPERATORS, "values") else None
        error.hint = next(filter(None, (_instead(column, method, value) for value in items or arguments)), "")
    error.call = f"{brief(column)}.{method}({', '.join(map(brief, arguments))})"
    return error.with_traceback(None)


def _instead(column: Column, method: str, value: Any) -> str:
    """What to write instead of a value that can't be compared with the column; empty if it can be."""
    wanted, given = column.filter_type, filter_type_of(value)
    if is_missing(value):
        return _NO_MISSING
    if isinstance(value, list | tuple | Set):
        return _instead_of_list(column, method, cast("Collection[object]", value))
    time = _as_time(column, method, value)
    if time:
        return f"Write {time}"
    if wanted is FilterType.BOOLEAN:
        return "Write True or False"
    if hasattr(value, "column_id"):
        write, time = f"{brief(value.column_id)} for text", _as_time(column, method, "2026-05-01T00:00Z")
        if wanted in (FilterType.DATE, FilterType.NUMBER) or method not in FilterType.TEXT.operators:
            write = f"{time} or Col.date({brief(column.column_id)}).last('1d') for a time" if time else "a number"
        return f"A column can't be compared with a column. Write {write}"
    if given is None or given is wanted or (wanted is None and method in given.operators):
        return ""
    if given is FilterType.TEXT and wanted is None:
        return f"Text has no order. Write a number without quotes, or Col.date({brief(column.column_id)}) for a time"
    if given is FilterType.TEXT:
        return "Write a number without quotes" if wanted is FilterType.NUMBER else ""
    typed = f"Col.{given}({brief(column.column_id)})"
    if method in LIST_OPERATORS and method not in given.operators:
        return f"Write {_for_each(typed if wanted else brief(column), method)}"
    return f"Write {typed} if the column is of that type" if method in given.operators else ""


def _instead_of_list(column: Column, method: str, values: Collection[object]) -> str:
    """What to write for a list next to an operator that takes a single value."""
    several = {"eq": "one_of", "ne": "not_in"}.get(method, method)
    texts = all(isinstance(value, str) for value in values)
    wanted = column.filter_type
    kinds = [wanted] if wanted else [FilterType.COLLECTION, FilterType.TEXT] if texts else []
    takes = [kind for kind in kinds if several in LIST_OPERATORS and several in kind.operators]
    if takes:
        return "Write " + " or ".join([f"Col.{kind}({brief(column.column_id)}).{several}([...])" for kind in takes])
    return f"Write {_for_each(brief(column), several)}" if several in (*LIST_OPERATORS, "contains") else ""


def _as_time(column: Column, method: str, value: object) -> str:
    """The comparison with a day or an instant that a value stands for, at UTC; empty for any other value."""
    instant = instead_of_time(value)
    if not instant or column.filter_type not in (FilterType.DATE, None) or method not in FilterType.DATE.methods:
        return ""
    written = f"Col.date({brief(column.column_id)})"
    if method == "between":
        return f'{written}.during(start, end, tz="UTC"), which leaves out the end'
    end = end_of_day(value)
    if end and method in ("eq", "ne"):
        return f'{"~" if method == "ne" else ""}{written}.on({str(value)!r}, tz="UTC")'
    if end and method in _AFTER_DAY:
        method, instant = _AFTER_DAY[method], end
    return f"{written}.{method}({instant})"


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The warning that a column without a type compares a time as text; empty if the value isn't a time."""
    time, call = _as_time(column, operator, value), f"{operator}({brief(value)})"
    as_text = f"Col.text({brief(column.column_id)}).{call} if the column is text"
    return time and f"{brief(column)}.{call} compares a time as text. Write {time}, or {as_text}"


# ---- plain data that isn't a filter ----------------------------------------------------------------------------------


def instead_of_time(value: object) -> str:
    """The text of the instant that a day or a time stands for, at UTC unless it has an offset; else an empty string."""
    written = str(value) if isinstance(value, date) else value
    if not isinstance(written, str) or not _TIME.fullmatch(written):
        return ""
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError:
        return ""
    return repr((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat())


def end_of_day(value: object) -> str:
    """The text of the instant, at UTC, at which the day after a day begins; empty for a time of day."""
    is_day = len(str(value)) == len("2026-01-31")
    return instead_of_time(date.fromisoformat(str(value)) + timedelta(days=1)) if is_day else ""


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree, or an empty string."""
    if isinstance(data, str | bytes | bytearray):
        return "Write load_filter(json.loads(text)) for JSON, or parse_filter(text) for a filter written in Python"
    if isinstance(data, list | tuple):
        return 'Write {"and": [...]} around a list of nodes; a flat list of leaves is the `filters` of load_query'
    if isinstance(data, Mapping):
        write = 'load_filter(data["filter_tree"])' if "filter_tree" in data else '{"filter": {...}} around a leaf'
        return f"Write {write}, or load_query(data) to read a whole query"
    return "This is a filter already" if hasattr(data, "depth") else ""
