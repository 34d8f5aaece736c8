"""
The text of refusals: what is wrong, and what to write instead.

Everything here runs after something was refused, so none of it has to be fast.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from heapq import nsmallest
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, cast

from attrs import define

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError
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
NAIVE = "has no UTC offset, so it is a different instant in each time zone. "
WITH_OFFSET = (
    "Write value.replace(tzinfo=timezone.utc), or value.astimezone() if it is local time; "
    "text has the offset after the time, as in 2026-01-31T09:00:00+00:00"
)
EMPTY_AND = 'an empty "and" would count all sessions. Leave out "filter_tree" if that is meant'

MAX_NAMES = 1_000  # names that a misspelt one is compared with
_LIKELY = 20  # of these, the ones that have about the same letters are compared well, which is slow
_MAX_NAME = 100  # characters that are compared; the time grows with their square

_NO_PATTERN = "The API has contains, but no test for patterns, or for how text begins or ends"
_NO_MISSING = "Leave this condition out: the API has no test for a missing value"
_ELSEWHERE = {
    **dict.fromkeys(("is_in", "isin", "in_"), "one_of"),
    **dict.fromkeys(("neq", "not_equals"), "ne"),
    "icontains": "contains",
    **dict.fromkeys(("startswith", "starts_with", "endswith", "like"), _NO_PATTERN),
    **dict.fromkeys(("is_null", "is_not_null", "isnull", "isna"), _NO_MISSING),
}
"""What other libraries call a method: its name here, or what to say."""

_TIME = re.compile(r"(?!9999)\d{4}-\d\d(-\d\d([Tt ]\d\d:\d\d.*)?)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NUMBER = re.compile(r"[-+]?\d{1,15}(\.\d{1,15})?", re.ASCII)
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
        name: What was written. Only text resembles a name.
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


def no_such_method(column: Column, filter_type: FilterType | None, name: str) -> str:
    """Says which methods a column has instead of this one, and how to write what was probably meant."""
    has = filter_type.methods if filter_type else METHODS
    known = (*has, *(filter_type.partitions if filter_type else ()))
    hint = _other_method(column, known, name) or sentence(did_you_mean(name, known))
    return f"{brief(column)} has no {name[:80]}; it has {', '.join(has)}. {hint}".removesuffix(". ")


def _other_method(column: Column, known: tuple[str, ...], name: str) -> str:
    """What to write for a method of another type or of another library, or an empty text."""
    method = _ELSEWHERE.get(name, name)
    folds = name == "icontains" and column.filter_type is not FilterType.ID  # the case of an id doesn't matter
    arguments = "(..., case_sensitive=False)" if folds else "(...)"
    if method in known:
        return f"Write {brief(column)}.{method}{arguments}"
    if method in LIST_OPERATORS:
        return f"Write {_each_value(brief(column), method)}"
    if method == "ne":
        return f"Write {brief(column)}.not_in([...])"
    makers = [kind for kind in FilterType if method in (*kind.methods, *kind.partitions)]
    if makers:
        if name == "icontains":
            makers.remove(FilterType.ID)
        return "Write " + " or ".join([f"Col.{kind}({brief(column.column_id)}).{method}{arguments}" for kind in makers])
    return method if method != name else ""


def _each_value(column: str, operator: str) -> str:
    """`one_of` or `not_in` for values that the API doesn't take in a list."""
    equal_to_any = f"any_of([{column}.eq(value) for value in values])"
    return equal_to_any if operator == "one_of" else f"~{equal_to_any}"


# ---- filters ---------------------------------------------------------------------------------------------------------


def expected_filter(value: Any, symbol: str = "") -> FilterTypeError:
    """The error for a value that isn't a filter, next to `&` or `|` if that is the symbol."""
    hint = f'. {symbol} binds tighter than == and <. Write (Col("a") == 1) {symbol} (Col("b") == 2)' if symbol else ""
    if value is None:
        hint = ". For no condition write ALWAYS"
    elif isinstance(value, str):
        hint = hint or ". Write parse_filter(...) to read a filter from text"
    elif hasattr(value, "keys"):
        hint = ". Write load_filter(...) to read a filter from the API's JSON"
    elif type(value) in (list, tuple):
        hint = ". Write all_of([...]) to join filters, or any_of([...]) if one of them is enough"
    elif hasattr(value, "column_id"):
        hint = hint or '. Compare it, as in Col("score").gt(3) or Col("tags").contains("x")'
        return FilterTypeError(f"{brief(value)} is a column, not yet a filter{hint}")
    return FilterTypeError(f"{brief(value)} is not a filter{hint}")


def no_truth_value() -> FilterTypeError:
    """The error for `bool` of a filter. It can't know whether `and`, `not`, a chain or `in` asked for it."""
    return FilterTypeError(
        "a filter has no truth value, so this would silently drop a condition. "
        'Write (Col("a") > 1) & (Col("a") < 3) for `and` and for a chain, | for `or`, ~ for `not`, '
        'and Col("a").one_of([...]) for `in`'
    )


def swapped(where: object, record: object) -> FilterTypeError:
    """The error for arguments of `matches` that aren't a filter and a session."""
    if not hasattr(where, "depth"):
        return expected_filter(where)
    row = ". Write row.to_dict() for a row of a table" if hasattr(record, "to_dict") else ""
    return FilterTypeError(f"a session must be a mapping from column ids to values, got {brief(record)}{row}")


def naive_in_record(column_id: str, value: datetime) -> FilterError:
    """The error for a session's `datetime` without a UTC offset, which would match no filter."""
    return FilterError(f"the session's {column_id}, {brief(value)}, {NAIVE}{WITH_OFFSET}")


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
        problem, hint = f"expected {what}, got {brief(value)}", self.hint(value)
        return self.error(f"{problem}. {hint}" if hint else problem, FilterTypeError)

    def hint(self, value: Any) -> str:
        """What to write instead of a value, or an empty text."""
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

    def hint(self, value: Any) -> str:
        """What to write instead of a value that can't be compared with the column, or an empty text."""
        column, method, wanted = self.column, self.method, self.column.filter_type
        filter_type = filter_type_of(value)
        if is_missing(value):
            return _NO_MISSING
        if filter_type is FilterType.DATE and value.utcoffset() is None:
            return WITH_OFFSET
        if hasattr(value, "column_id"):
            return f"A column can't be compared with a column. Write {brief(value.column_id)} for text"
        if method in LIST_OPERATORS and filter_type is not FilterType.ID:
            typed = brief(column) if wanted is None else f"Col.{filter_type}({brief(column.column_id)})"
            return f"Write {_each_value(typed, method)} for other values" if filter_type else ""
        if isinstance(value, list | tuple | Set):
            return self._instead_of_list(cast("Collection[object]", value))
        column_id, words = brief(column.column_id), [_plain(each).lower() for each in self.arguments]
        if wanted is FilterType.BOOLEAN and method in ("eq", "ne") and words[0] in _BOOLEANS:
            truth = _BOOLEANS[words[0]] is (method == "eq")
            return f"Write Col.boolean({column_id}).is_{str(truth).lower()}()"
        if wanted in (FilterType.NUMBER, None) and isinstance(value, str) and all(map(_NUMBER.fullmatch, words)):
            return f"Write Col.number({column_id}).{method}({', '.join(words)})"
        if wanted in (FilterType.DATE, None) and (instead := _as_time(column_id, method, self.arguments)):
            return f"Write {instead}"
        if filter_type is not None and method in filter_type.operators:
            return f"Write Col.{filter_type}({column_id}).{method}(...) if the column is of that type"
        return "Text has no order" if isinstance(value, str) and method in FilterType.DATE.methods else ""

    def _instead_of_list(self, values: Collection[object]) -> str:
        """What to write for a list next to an operator that takes a single value."""
        column, wanted = self.column, self.column.filter_type
        written = "values" if "..." in brief(values) else brief(values)
        method = {"eq": "one_of", "ne": "not_in"}.get(self.method)
        if self.method == "contains":
            return f"Write any_of([{brief(column)}.contains(value) for value in {written}])"
        if method is None:
            return ""
        if wanted is None and all(isinstance(value, str) for value in values):
            call = f"({brief(column.column_id)}).{method}({written})"
            return f"Write Col.collection{call} if the column is a collection, or Col.text{call} if it is text"
        if wanted and method in wanted.operators:
            return f"Write {brief(column)}.{method}({written})"
        return f"Write {_each_value(brief(column), method)}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, date) else brief(value)


def _as_time(column_id: str, method: str, arguments: tuple[object, ...]) -> str:
    """The comparison with the times that text, days or seconds since 1970 stand for, or an empty text."""
    column, written = f"Col.date({column_id})", _plain(arguments[0])
    spans = [span for each in arguments if (span := _span(each))]
    if len(spans) < len(arguments) or method not in FilterType.DATE.methods:
        return ""
    (begin, end), (last, after) = spans[0], spans[-1]
    if method == "between" and (end or after):
        return f"({column}.gte({begin}) & {column}.{f'lt({after})' if after else f'lte({last})'})"
    if not end:
        return f"{column}.{method}({', '.join([time for time, _ in spans])})"
    if method not in ("eq", "ne"):  # a day or a month is over when the next one begins
        return f"{column}." + {"gt": f"gte({end})", "lte": f"lt({end})"}.get(method, f"{method}({begin})")
    is_day = len(written) == len("2026-01-31")
    made = f'{column}.on({written!r}, tz="UTC")' if is_day else f"({column}.gte({begin}) & {column}.lt({end}))"
    return made if method == "eq" else f"~{made}"


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
    """The text of the warning that a column without a type compares a time as text; empty if the value isn't one."""
    column_id, comparison = brief(column.column_id), f"{operator}({brief(value)})"
    instead = _as_time(column_id, operator, (value,)) if value[:1].isdigit() else ""
    as_text = f"Col.text({column_id}).{comparison} if the column is text"
    return instead and f"{brief(column)}.{comparison} compares a time as text. Write {instead}, or {as_text}"


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
