"""
Checks whether a filter fits a project's columns, and says what is wrong with each leaf that doesn't.

Values are compared with a column's allowed values only where sessions with these values are asked for, as in `==` and
`~(!=)`, and only if all allowed values have the type that the column's filters have.
"""

from collections.abc import Mapping
from typing import Any

from galileo_sessions.display import brief
from galileo_sessions.errors import FilterCheckError, Issue
from galileo_sessions.filters.advice import did_you_mean
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.columns import column_class
from galileo_sessions.filters.kinds import FILTER_TYPES
from galileo_sessions.filters.marking import draw
from galileo_sessions.filters.nodes import Comparison, Filter
from galileo_sessions.filters.tree import Path, walk

_SHOWN = 10  # leaves that are drawn and get a "did you mean"; `.issues` has all


def check(infos: Mapping[str, ColumnInfo], where: Filter) -> Filter:
    """
    The filter itself, if it fits the columns that `infos` has by their ids.

    Raises:
        FilterCheckError: for all leaves at once that don't fit.
        FilterTypeError: for anything but a filter.
    """
    checker = _Checker(infos)
    issues: list[Issue] = []
    for path, leaf in walk(where):
        if isinstance(leaf, Comparison):
            problem = checker.problem(leaf, path, hints=len(issues) < _SHOWN)
            if problem is not None:
                issues.append(Issue((*path, "filter"), problem[1], problem[0], leaf))
    if not issues:
        return where
    marks = {issue.loc[:-1]: issue.msg for issue in issues[:_SHOWN]}
    counted = "1 leaf doesn't" if len(issues) == 1 else f"{len(issues):,} leaves don't"
    first = f", of which the first {_SHOWN} are marked" if len(issues) > _SHOWN else ""
    raise FilterCheckError(f"{counted} fit the columns{first}:\n{draw(where, marks)}", issues=tuple(issues))


def unknown_column(infos: Mapping[str, ColumnInfo], column_id: object, *, hint: bool = True) -> str:
    """The text for a column that doesn't exist, with the column that has a similar id, label or older name."""
    said = f"there is no column {brief(column_id)}"
    if not infos:
        return f"{said}, because the project has no columns: it has no sessions, or its id is another one"
    if not hint:
        return said
    names = {name: name for name in infos}
    for info in infos.values():
        for name in (info.id.split("/")[-1], info.label, info.metric_key_alias):
            if name:
                names.setdefault(name, info.id)
    meant = did_you_mean(column_id, names, meanings=names)
    return f"{said}; {meant}" if meant else said


class _Checker:
    """Checks single leaves, and makes each column's set of allowed values once."""

    def __init__(self, infos: Mapping[str, ColumnInfo]) -> None:
        self._infos = infos
        self._allowed: dict[tuple[str, bool], frozenset[Any]] = {}

    def problem(self, leaf: Comparison, path: Path, *, hints: bool) -> tuple[str, str] | None:
        """A code and a text if the leaf doesn't fit; None if it fits."""
        info = self._infos.get(leaf.column_id)
        if info is None:
            return "unknown_column", unknown_column(self._infos, leaf.column_id, hint=hints)
        if not info.filterable:
            return "not_filterable", f"{brief(info.id)} can't be filtered"
        if info.filter_type is None:
            return None
        if info.filter_type != leaf.type:
            return _type_problem(info, leaf)
        return self._value_problem(info, leaf, hints=hints) if _asks_for_its_values(leaf, path) else None

    def _value_problem(self, info: ColumnInfo, leaf: Comparison, *, hints: bool) -> tuple[str, str] | None:
        fold = getattr(leaf, "case_sensitive", True) is False
        allowed = self._allowed_values(info, leaf, fold=fold)
        values: tuple[Any, ...] = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        for value in values if allowed else ():
            if (value.casefold() if fold else value) not in allowed:
                names = info.allowed_values if hints and isinstance(value, str) else ()
                hint = did_you_mean(value, names, f"it has {brief(list(info.allowed_values[:5]))}")
                return "not_allowed", f"{brief(info.id)} has no value {brief(value)}; {hint}"
        return None

    def _allowed_values(self, info: ColumnInfo, leaf: Comparison, *, fold: bool) -> frozenset[Any]:
        """A column's allowed values, to compare with those in filters; empty if any has a different type."""
        key = info.id, fold
        if key not in self._allowed:
            values = info.allowed_values
            same = set(map(type, values)) <= set(leaf.filter_type.allowed_types)
            self._allowed[key] = frozenset((map(str.casefold, values) if fold else values) if same else ())
        return self._allowed[key]


def _asks_for_its_values(leaf: Comparison, path: Path) -> bool:
    """Whether the leaf asks for sessions that have its values, rather than for sessions without them."""
    if path.count("not") % 2:
        return leaf.operator in ("ne", "not_in")
    return leaf.operator in ("eq", "one_of") or (leaf.operator == "contains" and leaf.type == "collection")


def _type_problem(info: ColumnInfo, leaf: Comparison) -> tuple[str, str]:
    """What is wrong with a leaf of another type than its column."""
    filter_type = FILTER_TYPES.get(info.filter_type or "")
    said = f"{brief(info.id)} is filtered as {filter_type or brief(info.filter_type)}, "
    if filter_type is None:
        return "wrong_type", f"{said}not as {leaf.type}"
    if leaf.operator in filter_type.operators:
        column = column_class(filter_type)(info.id)
        return "wrong_type", f"{said}not as {leaf.type}. Write {brief(column)}.{leaf.operator}(...)"
    return "no_operator", f"{said}which has no {leaf.operator}; it has {', '.join(filter_type.operators)}"
