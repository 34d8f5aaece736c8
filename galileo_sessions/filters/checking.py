"""
Whether a filter fits a project's columns, and what is wrong with each leaf that doesn't.

Values are compared with a column's allowed values only where they are asked for, as in `==` and `~(!=)`, and both are
of the same type.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from galileo_sessions.errors import FilterCheckError, FilterError, FilterTypeError, Issue, brief
from galileo_sessions.filters import messages
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.columns import column_class
from galileo_sessions.filters.drawing import draw
from galileo_sessions.filters.kinds import FILTER_TYPES, FilterType
from galileo_sessions.filters.nodes import And, Comparison, Filter, Not, Or
from galileo_sessions.filters.tree import Path

_ASKING = ("eq", "contains", "one_of")
_ASKING_NEGATED = ("ne", "not_in")
"""What asks for its values under an odd number of nots."""
_MAX_REWRITE = 300  # characters of code that can still be copied; a longer one is cut
_MOST_COMPARED = 150_000  # characters of names that are compared for hints, which takes some tenths of a second
_MAX_SHOWN = 10  # leaves of a refused filter that are drawn and get a hint; `.issues` has all


def check(infos: Mapping[str, ColumnInfo], where: Filter) -> Filter:
    """
    The filter itself, if it fits the columns that `infos` has by their ids.

    Raises:
        FilterCheckError: for all leaves at once that don't.
        FilterTypeError: for anything but a filter.
    """
    if not isinstance(where, Filter):
        raise FilterTypeError(f"check takes a filter, got {brief(where)}")
    checker = _Checker(infos)
    issues: list[Issue] = []
    for leaf, loc in _comparisons(where, (), []):
        problem = checker.problem(leaf, loc, hints=len(issues) < _MAX_SHOWN)
        if problem is not None:
            issues.append(Issue(loc, problem[1], problem[0], leaf))
    if not issues:
        return where
    marks = {issue.loc[:-1]: issue.msg for issue in issues[:_MAX_SHOWN]}
    counted = "1 leaf doesn't" if len(issues) == 1 else f"{len(issues):,} leaves don't"
    first = f", of which the first {_MAX_SHOWN} are marked" if len(issues) > _MAX_SHOWN else ""
    raise FilterCheckError(f"{counted} fit the columns{first}:\n{draw(where, marks)}", issues=tuple(issues))


def names_of(infos: Mapping[str, ColumnInfo]) -> dict[str, str]:
    """What columns may be called, each with the id that is meant: ids, their last parts, labels and older names."""
    names = {column_id: column_id for column_id in infos}
    for info in infos.values():
        for name in (info.id.split("/")[-1], info.label, info.metric_key_alias):
            if name:
                names.setdefault(name, info.id)
    return names


def _comparisons(where: Filter, loc: Path, found: list[tuple[Comparison, Path]]) -> list[tuple[Comparison, Path]]:
    """Each leaf that asks a column, with the keys and positions that lead to it in `dump_filter(where)`."""
    if isinstance(where, Comparison):
        found.append((where, (*loc, "filter")))
    elif isinstance(where, Not):
        _ = _comparisons(where.child, (*loc, "not"), found)
    elif isinstance(where, And | Or):
        key = "and" if isinstance(where, And) else "or"
        for i, child in enumerate(where.children):
            _ = _comparisons(child, (*loc, key, i), found)
    return found


def _asks(leaf: Comparison, loc: Path) -> bool:
    """Whether sessions with the leaf's values are asked for, rather than those without them."""
    return leaf.operator in (_ASKING_NEGATED if loc.count("not") % 2 else _ASKING)


class _Allowed(NamedTuple):
    """A column's allowed values: as they are, as they are compared, and the latter as a set."""

    values: list[Any]
    compared: list[Any]
    known: frozenset[Any]


class _Checker:
    """What is looked up once for all leaves of a filter."""

    def __init__(self, infos: Mapping[str, ColumnInfo]) -> None:
        self._infos = infos
        self._allowed: dict[tuple[str, bool], _Allowed] = {}
        self._left = _MOST_COMPARED

    @cached_property
    def _names(self) -> dict[str, str]:
        return names_of(self._infos)

    def problem(self, leaf: Comparison, loc: Path, *, hints: bool) -> tuple[str, str] | None:
        """Why the columns can't be asked this, as code and text; None if they can."""
        info = self._infos.get(leaf.column_id)
        if info is None:
            names = self._names if hints and self._can_afford(self._names) else {}
            hint = messages.did_you_mean(leaf.column_id, names, meanings=names)
            return "unknown_column", messages.unknown_column(leaf.column_id, hint)
        if not info.filterable:
            return "not_filterable", f"{brief(info.id)} can't be filtered"
        if info.filter_type is None:  # the service doesn't say
            return None
        if info.filter_type != leaf.type:
            return _type_problem(info, leaf)
        if not info.allowed_values or not _asks(leaf, loc) or leaf.value in info.allowed_values:
            return None
        return self._value_problem(info, leaf, hints=hints)

    def _can_afford(self, names: Iterable[str]) -> bool:
        """Whether so many names may be compared once more: it is done in the event loop, where others wait."""
        affordable = self._left > 0
        self._left -= sum(map(len, names))
        return affordable

    def _value_problem(self, info: ColumnInfo, leaf: Comparison, *, hints: bool) -> tuple[str, str] | None:
        fold = getattr(leaf, "case_sensitive", True) is False
        allowed = self._allowed_of(info, leaf.filter_type, fold=fold)
        values: tuple[Any, ...] = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        for value in values if allowed.values else ():
            compared = value.casefold() if fold else value
            contains = leaf.operator == "contains"
            if any(compared in one for one in allowed.compared) if contains else compared in allowed.known:
                continue
            most = allowed.values[: messages.MAX_NAMES if hints else 0]
            names = [each if isinstance(each, str) else brief(each) for each in most]
            names = names if self._can_afford(names) else []
            hint = messages.did_you_mean(value, names, f"it has {brief(allowed.values)}")
            what = "value that contains" if contains else "value"
            return "not_allowed", f"{brief(info.id)} has no {what} {brief(value)}; {hint}"
        return None

    def _allowed_of(self, info: ColumnInfo, filter_type: FilterType, *, fold: bool) -> _Allowed:
        """A column's allowed values; none where one of them is of another type than its filters' values."""
        if (info.id, fold) not in self._allowed:
            types = filter_type.allowed_types
            values = [value for value in info.allowed_values or () if value is not None]
            if not all(isinstance(value, types) and isinstance(value, bool) == (bool in types) for value in values):
                values = []
            compared = [value.casefold() for value in values] if fold else values
            self._allowed[info.id, fold] = _Allowed(values, compared, frozenset(compared))
        return self._allowed[info.id, fold]


def _type_problem(info: ColumnInfo, leaf: Comparison) -> tuple[str, str]:
    """What is wrong with a leaf of another type than its column."""
    if info.filter_type == "fully_annotated":
        return "wrong_type", f"{brief(info.id)} is asked by fully_annotated()"
    filter_type = FILTER_TYPES.get(info.filter_type or "")
    if filter_type is None:
        problem = f"{brief(info.id)} is filtered as {brief(info.filter_type)}, which this version doesn't know"
        return "wrong_type", problem
    if leaf.operator in filter_type.operators:
        instead = _rewrite(info.id, filter_type, leaf.operator, leaf.value, leaf)
        return "wrong_type", messages.wrong_type(info.id, filter_type, leaf.type, instead)
    rewrite: str | None = None
    if leaf.operator in filter_type.shortcuts:
        rewrite = f"{brief(column_class(filter_type)(info.id))}.{leaf.operator}(...), which makes two leaves"
    elif leaf.operator == "ne":
        rewrite = _rewrite(info.id, filter_type, "not_in", [leaf.value], leaf)
    return "no_operator", messages.no_operator(info.id, filter_type, leaf.operator, rewrite)


def _rewrite(column_id: str, filter_type: FilterType, operator: str, value: object, leaf: Comparison) -> str:
    column = column_class(filter_type)(column_id)
    takes_case = filter_type in (FilterType.TEXT, FilterType.COLLECTION)
    case = {} if getattr(leaf, "case_sensitive", True) or not takes_case else {"case_sensitive": False}
    try:
        written = repr(getattr(column, operator)(value, **case))
    except FilterError:
        return f"{brief(column)}.{operator}(...)"
    return written if len(written) <= _MAX_REWRITE else f"{brief(column)}.{operator}({brief(value)})"
