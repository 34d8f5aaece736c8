"""
The texts of errors: what is wrong, and what to write instead.

This code runs only after something was refused, so it doesn't have to be fast.
"""

import difflib
import re
from collections.abc import Collection, Generator, Iterable, Mapping, Set
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from heapq import nsmallest
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, cast

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
from galileo_sessions.filters.kinds import LIST_OPERATORS, METHODS, SYMBOLS, FilterType, filter_type_of, is_missing

EXAMPLE = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
TOO_DEEP = "nested too deeply: a filter has at most 100 levels"
LONG = "Write all_of([...]) or any_of([...]) for a long chain"
NOT_SENDABLE = "it has a lone surrogate, which can't be sent as UTF-8"
NO_OFFSET = "has no UTC offset such as +00:00, so it is a different instant in each time zone"
REPLACE_ZONE = "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time"
EMPTY_AND = 'an empty "and" would count all sessions'
NO_TREE = 'Leave out "filter_tree" if that is meant'

MAX_NAMES = 1_000  # names that a misspelt one is compared with
_LIKELY = 20  # of these, only the names with the most similar letters are compared closely, which is slow
_MAX_NAME = 100  # characters that are compared; the time grows with their square

_NO_PATTERN = "The API has contains, but no test for patterns, or for how text begins or ends"
_NO_MISSING = "Leave this condition out: the API has no test for a missing value"
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
}
"""A hint for each operator of other libraries that the API doesn't have."""

_TIME = re.compile(r"(?!9999)\d{4}-\d\d(-\d\d([Tt ]\d\d:\d\d.*)?)?", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_FOR_EACH = {
    "one_of": "any_of([{column}.eq(value) for value in {values}])",
    "not_in": "~any_of([{column}.eq(value) for value in {values}])",
    "contains": "any_of([{column}.contains(value) for value in {values}])",
}
_PERIODS = (*FilterType.DATE.partitions, "on", "during", "last")
"""Methods whose arguments aren't compared with the column."""
_BY_KEY = {
    "filter_tree": 'Write load_filter(data["filter_tree"]), or load_query(data) for a whole query',
    **dict.fromkeys(("filters", "project_id"), "load_query(data) reads a whole query"),
    **dict.fromkeys(("type", "column_id"), 'Write {"filter": {...}} around a leaf'),
}
"""What to write for a JSON object that isn't a node, by one of its keys."""
_MILLISECONDS = 10**11  # as seconds, this would be in the year 5138


class Column(Protocol):
    """A column; its repr is the call that makes it."""

    filter_type: ClassVar[FilterType | None]

    @property
    def column_id(self) -> str: ...


# ---- names -----------------------------------------------------------------------------------------------------------


def did_you_mean(
    name: object, known: Iterable[str], otherwise: str = "", meanings: Mapping[str, str] = MappingProxyType({})
) -> str:
    """
    A question that suggests the most similar known name, whatever its case, or `otherwise`.

    Args:
        name: The value that was written. Only text can resemble a name.
        known: The names; the first 1,000 are compared.
        otherwise: The result if no name is similar.
        meanings: What to write for a name, if that isn't the name itself.
    """
    by_key: dict[str, str] = {}
    for each in islice(known, MAX_NAMES):
        by_key.setdefault(each[:_MAX_NAME].casefold(), meanings.get(each, each))
    key = name[:_MAX_NAME].casefold() if isinstance(name, str) else ""
    letters = set(key)
    likely = nsmallest(_LIKELY, by_key, lambda each: len(letters ^ set(each)) + abs(len(key) - len(each)))
    for match in difflib.get_close_matches(key, likely, n=1):
        close = by_key[match]
        return f"did you mean {close if close.isprintable() and len(close) <= _MAX_NAME else brief(close)}?"
    return otherwise


def sentence(hint: str) -> str:
    """The hint with a capital letter."""
    return hint[:1].upper() + hint[1:]


def no_such_method(column: Column, name: str) -> tuple[str, str]:
    """The text for an unknown method: which methods the column has, and what was probably meant."""
    kind = column.filter_type
    has, partitions = (METHODS, ()) if kind is None else (kind.methods, kind.partitions)
    known = (*has, *partitions)
    hint = _other_method(column, known, name) or sentence(did_you_mean(name, known))
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}", hint


def _other_method(column: Column, known: tuple[str, ...], name: str) -> str:
    """What to write for a method of another type or another library, or an empty string."""
    method = _OTHER_NAMES.get(name, name)
    if method in known:
        return f"Write {brief(column)}.{method}(...)"
    if method in LIST_OPERATORS:
        return f"Write {_for_each(brief(column), method)}"
    if method == "ne":
        return f"Write {brief(column)}.not_in([...])"
    makers = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
    if makers:
        return "Write " + " or ".join([f"Col.{kind}({brief(column.column_id)}).{method}(...)" for kind in makers])
    return _NO_OPERATOR.get(name, "")


def no_such_operator(kind: FilterType, operator: object) -> FilterError:
    """The error that says which operators a filter type has instead of this one, and which one was probably meant."""
    name = operator.lower() if isinstance(operator, str) else ""
    hint = _NO_OPERATOR.get(name) or sentence(did_you_mean(_OTHER_NAMES.get(name, name), kind.operators))
    said = f"a {kind} filter has no operator {brief(operator)}; it has {', '.join(kind.operators)}"
    return FilterError(said, hint=hint)


def no_such_type(name: str) -> tuple[str, str]:
    """Says which types of columns `Col` has instead of this name, and how to write a column of this name."""
    hint = f"Write Col({brief(name)}) for that column. {sentence(did_you_mean(name, FilterType))}"
    return f"Col has no {name[:80]}; it has {', '.join(FilterType)}", hint.rstrip()


def instead_of_word(column: str, word: str, values: list[str]) -> str:
    """What to write for a column with a word of SQL behind it, such as BETWEEN or LIKE, or an empty string."""
    method = _OTHER_NAMES.get(word, word)
    if method in LIST_OPERATORS:
        return f"Write {column}.{method}([...])"
    if method in METHODS:
        most = 2 if method == "between" else 1
        return f"Write {column}.{method}({', '.join(values[:most]) or '...'})"
    return _NO_OPERATOR.get(word.removeprefix("not "), "")


def _for_each(column: str, method: str, values: str = "values") -> str:
    """A comparison with several values that the API doesn't take in a list."""
    return _FOR_EACH[method].format(column=column, values=values)


# ---- filters ---------------------------------------------------------------------------------------------------------


def expected_filter(value: Any, symbol: str = "") -> FilterTypeError:
    """The error for a value that isn't a filter; `symbol` is the `&` or `|` next to it, if there is one."""
    hint = f'{symbol} binds tighter than == and <. Write (Col("a") == 1) {symbol} (Col("b") == 2)' if symbol else ""
    if value is None:
        hint = "For no condition write ALWAYS"
    elif isinstance(value, bool):
        hint = "For all sessions write ALWAYS" if value else "For no sessions write NEVER"
    elif isinstance(value, str):
        hint = hint or "Write parse_filter(...) to read a filter from text"
    elif hasattr(value, "keys"):
        hint = "Write load_filter(...) to read a filter from the API's JSON"
    elif type(value) in (list, tuple):
        hint = "Write all_of([...]) to join filters, or any_of([...]) if one of them is enough"
    elif hasattr(value, "column_id"):
        hint = hint or f"Compare it, as in {brief(value)}.eq(...)"
        return FilterTypeError(f"{brief(value)} is a column, not yet a filter", hint=hint)
    return FilterTypeError(f"{brief(value)} is not a filter", hint=hint)


def instead_of_in(column: Column, value: object) -> FilterTypeError:
    """The error for `value in column`, of which Python would make True or False."""
    kind = column.filter_type or filter_type_of(value)
    method = "contains" if kind is not None and "contains" in kind.operators else "eq"
    hint = f"Write {brief(column)}.{method}({brief(value)})"
    return FilterTypeError(f"{brief(column)} is a column, not yet a filter", hint=hint)


def naive_in_record(column_id: str, value: datetime) -> FilterError:
    """The error for a session's `datetime` without a UTC offset, which would match no filter."""
    return FilterError(f"the session's {column_id}, {brief(value)}, {NO_OFFSET}", hint=REPLACE_ZONE)


# ---- values that a column is compared with ---------------------------------------------------------------------------


@contextmanager
def calling(column: Column, method: str, *arguments: object) -> Generator[None, None, None]:
    """Wraps a call of a column's method. Errors begin with the call, and say what to write instead of a value."""
    try:
        yield
    except FilterError as error:
        raise refused(error, column, method, *arguments) from None
    except OverflowError:
        problem = FilterError("the day before or after is out of range: years go from 1 to 9999")
        raise refused(problem, column, method, *arguments) from None


def refused(error: FilterError, column: Column, method: str, *arguments: Any) -> FilterError:
    """The error of a column's method: the call as it was written, what is wrong, and what to write instead."""
    hints, no_offset = [error.hint], error.message.endswith(NO_OFFSET) and not error.hint
    if method not in _PERIODS and (isinstance(error, FilterTypeError) or no_offset):
        values = arguments
        if method in (*LIST_OPERATORS, "values") and isinstance(arguments[0], list):
            values = tuple(cast("list[object]", arguments[0]))
        hints += islice(filter(None, [_instead(column, method, arguments, value) for value in values]), 1)
    kind = FilterTypeError if isinstance(error, FilterTypeError) else FilterError
    raised = kind(error.message, hint=". ".join(filter(None, hints)))
    raised.call = f"{brief(column)}.{method}({', '.join(map(brief, arguments))})"
    return raised


def _instead(column: Column, method: str, arguments: tuple[object, ...], value: Any) -> str:
    """What to write instead of a value that can't be compared with the column; empty if it can be."""
    column_id, wanted, filter_type = brief(column.column_id), column.filter_type, filter_type_of(value)
    if is_missing(value):
        return _NO_MISSING
    if hasattr(value, "column_id"):
        return f"A column can't be compared with a column. Write {brief(value.column_id)} for text"
    if _takes(wanted, method, filter_type):
        return ""
    if method in LIST_OPERATORS and filter_type is not FilterType.ID:
        typed = brief(column) if wanted is None else f"Col.{filter_type}({column_id})"
        return f"Write {_for_each(typed, method)} for other values" if filter_type else ""
    if isinstance(value, list | tuple | Set):
        return _instead_of_list(column, method, cast("Collection[object]", value))
    if wanted is FilterType.BOOLEAN:
        return f"Write Col.boolean({column_id}).is_true() or Col.boolean({column_id}).is_false()"
    numbers = [_plain(each) for each in arguments]
    if wanted in (FilterType.NUMBER, None) and isinstance(value, str) and all(map(_NUMBER.fullmatch, numbers)):
        return f"Write Col.number({column_id}).{method}({', '.join(numbers)})"
    time = _as_time(column_id, method, arguments) if wanted in (FilterType.DATE, None) else ""
    if time:
        return f"Write {time}"
    if filter_type is not None and method in filter_type.operators:
        return f"Write Col.{filter_type}({column_id}).{method}(...) if the column is of that type"
    return "Text has no order" if isinstance(value, str) and method in FilterType.NUMBER.operators else ""


def _takes(wanted: FilterType | None, method: str, given: FilterType | None) -> bool:
    """Whether a column of the wanted type (None for any) can be compared with values of the given type."""
    if given is FilterType.TEXT and (method in LIST_OPERATORS or wanted in (FilterType.COLLECTION, FilterType.ID)):
        return True
    if wanted is None and method not in LIST_OPERATORS:
        return given is not None and method in given.operators
    return given is wanted


def _instead_of_list(column: Column, method: str, values: Collection[object]) -> str:
    """What to write for a list next to an operator that takes a single value."""
    wanted, written = column.filter_type, brief(values)
    if "..." in written:
        written = "values"
    several = {"eq": "one_of", "ne": "not_in"}.get(method, method)
    if wanted is None and several in LIST_OPERATORS and all(isinstance(value, str) for value in values):
        call = f"({brief(column.column_id)}).{several}({written})"
        return f"Write Col.collection{call} if the column is a collection, or Col.text{call} if it is text"
    if wanted is not None and several in LIST_OPERATORS and several in wanted.operators:
        return f"Write {brief(column)}.{several}({written})"
    return f"Write {_for_each(brief(column), several, written)}" if several in _FOR_EACH else ""


def _plain(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, date) else brief(value)


def _as_time(column_id: str, method: str, arguments: tuple[object, ...]) -> str:
    """The comparison with the times that text, days or seconds since 1970 stand for, or an empty string."""
    spans = [span for each in arguments if (span := _span(each)) is not None]
    if len(spans) < len(arguments) or method not in FilterType.DATE.methods:
        return ""
    (begin, _), (last, after) = spans[0], spans[-1]
    column = f"Col.date({column_id})"
    written = {"between": f"{column}.between({begin}, {last})"}
    if after:
        day, period = _plain(arguments[0]), f"{column}.during({begin}, {after})"
        written = {"eq": period, "ne": f"~{period}", "between": period}
        written["gt"] = f"{column}.gte({after}) to begin after {day}, or {column}.gte({begin}) to begin with it"
        written["lte"] = f"{column}.lt({after}) to end with {day}, or {column}.lt({begin}) to end before it"
    return written.get(method, f"{column}.{method}({begin})")


def _span(value: object) -> tuple[str, str] | None:
    """The time that a value stands for, as an expression; and for a day or a month, the beginning of the next."""
    if isinstance(value, int | float) and 1 < value < 1_000 * _MILLISECONDS:
        return f"datetime.fromtimestamp({value}{' / 1000' if value >= _MILLISECONDS else ''}, UTC)", ""
    written = _plain(value)
    if not _TIME.fullmatch(written):
        return None
    is_month = len(written) == len("2026-01")
    try:
        moment = datetime.fromisoformat(f"{written}-01" if is_month else written.upper())
    except ValueError:
        return None
    begin = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if len(written) > len("2026-01-31"):
        return repr(begin.isoformat()), ""
    after = (begin + timedelta(days=31)).replace(day=1) if is_month else begin + timedelta(days=1)
    return repr(begin.isoformat()), repr(after.isoformat())


def date_as_text(column: Column, operator: str, value: str) -> str:
    """The warning that a column without a type compares a time as text; empty if the value isn't a time."""
    if _span(value) is None:
        return ""
    column_id, comparison = brief(column.column_id), f"{operator}({brief(value)})"
    instead = _as_time(column_id, operator, (value,))
    as_text = f"Col.text({column_id}).{comparison} if the column is text"
    return instead and f"{brief(column)}.{comparison} compares a time as text. Write {instead}, or {as_text}"


# ---- plain data that isn't a filter ----------------------------------------------------------------------------------


def instead_of_time(value: object) -> str:
    """What to write for a day, or for a time without an offset, or an empty string."""
    span = _span(value)
    return "" if span is None else f"Write {span[0]}"


def instead_of_node(data: object) -> str:
    """What to write where plain data isn't a node of a filter_tree, or an empty string."""
    if isinstance(data, str | bytes | bytearray):
        is_json = data[:1] in ("{", "[", b"{", b"[")
        return "Write load_filter(json.loads(text))" if is_json else "parse_filter reads filters as text"
    if isinstance(data, list | tuple):
        return 'Write {"and": [...]} around a list of nodes; a flat list of leaves is the `filters` of load_query'
    if hasattr(data, "depth"):
        return "This is a filter already"
    if not isinstance(data, Mapping):
        return ""
    return next((hint for key, hint in _BY_KEY.items() if key in data), "")
