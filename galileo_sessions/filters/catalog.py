"""
A project's own columns: what each is called, what it holds, and whether a filter fits it.

The fields are those of the API's `LogRecordsColumnInfo`; its enums are kept as text, for they grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Self, TypeAlias, cast, final

from attrs import Factory, field, fields, frozen
from attrs.converters import optional

from galileo_sessions.errors import (
    FilterCheckError,
    FilterError,
    FilterTypeError,
    Issue,
    UnknownColumnError,
    brief,
)
from galileo_sessions.filters import coercion as leaves
from galileo_sessions.filters.columns import BooleanCol, Col, CollectionCol, DateCol, IdCol, NumberCol, TextCol
from galileo_sessions.filters.drawing import draw
from galileo_sessions.filters.nodes import OPERATORS, And, Comparison, Filter, Not, Or, text
from galileo_sessions.filters.serialization import Path, fault_at, plain

_Found: TypeAlias = tuple[Comparison, Path]

_COLUMNS: dict[str | None, Callable[[str], Any]] = {
    column.filter_type: column for column in (IdCol, DateCol, NumberCol, BooleanCol, CollectionCol, TextCol)
}
_DATA_TYPES = {
    "id": "uuid",
    "date": "timestamp",
    "number": "floating_point",
    "boolean": "boolean",
    "collection": "string_list",
    "text": "text",
}
_EXACT = ("eq", "ne", "contains", "one_of", "not_in")  # the others order
_LISTED: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "collection": (str,),
    "number": (int, float),
    "boolean": (bool,),
}
_MAX_REWRITE = 300  # characters of code that can still be copied; a longer one is cut
_MAX_ROWS = 200  # of a table in a notebook
_MAX_CELL = 200
_MAX_SHOWN = 10  # leaves of a refused filter that are drawn and get a hint; `.issues` has all
_MAX_NAME = 100  # what is compared of a name: the cost grows with its square
_MAX_NAMES = 1_000  # with which a wrong one is compared


# ---- one column ------------------------------------------------------------------------------------------------------


def _column_id(value: object) -> str:
    return Col(text(value)).column_id


def _flag(value: object) -> bool:
    if value is True or value is False:
        return value
    raise FilterTypeError(f"expected true or false, got {brief(value)}")


def _items(value: object) -> tuple[object, ...]:
    if isinstance(value, list | tuple):
        return tuple(cast("Iterable[object]", value))
    raise FilterTypeError(f"expected a list, got {brief(value)}")


def _texts(value: object) -> tuple[str, ...]:
    return tuple([text(item) for item in _items(value)])


@frozen
class ColumnInfo:
    """
    What the API says of a column. Enums are text, so that members which this version doesn't know survive.

    Raises:
        FilterError: if a field is of the wrong kind, or no column can have this `id`.
    """

    id: str = field(converter=_column_id)
    category: str = field(default="standard", converter=text)
    """Such as standard, metric, user_metadata, feedback."""
    filter_type: str | None = field(default=None, converter=optional(text))
    """id, date, number, boolean, collection, text or fully_annotated; None if the service doesn't say."""
    data_type: str | None = field(default=None, converter=optional(text))
    """Such as text, integer, floating_point, timestamp, string_list."""
    data_unit: str | None = field(default=None, converter=optional(text))
    """Such as percentage, nano_seconds, dollars."""
    label: str | None = field(default=None, converter=optional(text))
    """Its name in Galileo's console."""
    group_label: str | None = field(default=None, converter=optional(text))
    description: str | None = field(default=None, converter=optional(text))
    allowed_values: tuple[Any, ...] | None = field(default=None, converter=optional(_items), hash=False)
    """The only values that it has; None or none where there is no such list."""
    applicable_types: tuple[str, ...] = field(default=(), converter=_texts)
    """What has the column, such as session, trace, llm."""
    filterable: bool = field(default=True, converter=_flag)
    multi_valued: bool = field(default=False, converter=_flag)
    is_empty: bool = field(default=False, converter=_flag)
    """Whether nothing has a value in it."""
    is_optional: bool = field(default=False, converter=_flag)
    metric_key_alias: str | None = field(default=None, converter=optional(text))
    """The older name of a metric whose id is its scorer's UUID."""


_CONVERTERS: dict[str, Any] = {attribute.name: attribute.converter for attribute in fields(ColumnInfo)}


# ---- all of them -----------------------------------------------------------------------------------------------------


def _columns(value: object) -> tuple[ColumnInfo, ...]:
    if not isinstance(value, Iterable):
        raise FilterTypeError(f"expected a list of ColumnInfo, got {brief(value)}")
    infos: dict[str, ColumnInfo] = {}
    for info in cast("Iterable[object]", value):
        if not isinstance(info, ColumnInfo):
            raise FilterTypeError(f"expected a ColumnInfo, got {brief(info)}")
        infos[info.id] = info
    return tuple(infos.values())


def _by_id(catalog: ColumnCatalog) -> dict[str, ColumnInfo]:
    return {info.id: info for info in catalog.columns}


@final
@frozen(repr=False)
class ColumnCatalog(Mapping[str, Any]):
    """
    The columns of a project: a mapping from column id to the column, typed by its filter type.

    `catalog["score"]` is a `NumberCol` where the project has it so; type checkers know it as Any.
    A column with no filter type, or with one that this version doesn't know, is a `Col`.
    Of several columns with one id the last counts, as in a dict.

    Raises:
        FilterTypeError: for anything but an iterable of `ColumnInfo`.
    """

    columns: tuple[ColumnInfo, ...] = field(converter=_columns)
    """What is known of each, in the service's order."""
    _infos: dict[str, ColumnInfo] = field(init=False, eq=False, default=Factory(_by_id, takes_self=True))

    @classmethod
    def of(cls, columns: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """
        A catalog made by hand from filter types: `ColumnCatalog.of({"metrics/toxicity": "number"}, input="text")`.

        Raises:
            FilterError: for a filter type that the API doesn't have, or an id that no column can have.
        """
        infos: list[ColumnInfo] = []
        for column_id, kind in dict(columns or {}, **more).items():
            if not isinstance(kind, str) or kind not in OPERATORS:
                raise FilterError(
                    f"{brief(column_id)} can't be {brief(kind)}; a filter type is one of {', '.join(OPERATORS)}"
                )
            category = "metric" if text(column_id).startswith("metrics/") else "standard"
            infos.append(ColumnInfo(column_id, category, kind, _DATA_TYPES[kind], multi_valued=kind == "collection"))
        return cls(infos)

    def info(self, column_id: str) -> ColumnInfo:
        """
        What the API says of a column.

        Raises:
            UnknownColumnError: which is a `KeyError`, and names the column that is called most like this.
        """
        info = self._infos.get(column_id)
        if info is None:
            raise UnknownColumnError(_unknown(column_id, _closest(_names(self.columns), column_id)))
        return info

    def check(self, where: Filter) -> Filter:
        """
        The filter itself, if it fits the columns: `await galileo.count(project_id, catalog.check(where))`.

        `FullyAnnotatedFilter` asks no column, and always fits.

        Raises:
            FilterCheckError: for all leaves at once whose column is unknown, can't be filtered, has another type,
                lacks the operator, or never has the value.
            FilterTypeError: for anything but a filter.
        """
        if not isinstance(where, Filter):
            raise FilterTypeError(f"check takes a filter, got {brief(where)}")
        names, lists = cache(partial(_names, self.columns)), _Lists()
        issues: list[Issue] = []
        for leaf, loc in _comparisons(where, (), []):
            info, hints = self._infos.get(leaf.column_id), len(issues) < _MAX_SHOWN
            if info is None:
                hint = _closest(names(), leaf.column_id) if hints else ""
                issues.append(Issue(loc, _unknown(leaf.column_id, hint), "unknown_column", leaf))
            elif (misfit := _misfit(info, leaf, lists, hints=hints)) is not None:
                issues.append(Issue(loc, misfit[1], misfit[0], leaf))
        if issues:
            marks = {_positions(issue.loc): issue.msg for issue in issues[:_MAX_SHOWN]}
            several = "leaf doesn't" if len(issues) == 1 else "leaves don't"
            first = f", of which the first {_MAX_SHOWN} are marked" if len(issues) > _MAX_SHOWN else ""
            message = f"{len(issues):,} {several} fit the columns{first}:\n{draw(where, marks)}"
            raise FilterCheckError(message, issues=tuple(issues))
        return where

    def __getitem__(self, column_id: str) -> Any:
        return _COLUMNS.get(self.info(column_id).filter_type, Col)(column_id)

    def get(self, column_id: str, default: Any = None, /) -> Any:
        """The column, or `default` where there is none."""
        return self[column_id] if column_id in self else default  # noqa: SIM401  # it is what get does

    def __contains__(self, column_id: object) -> bool:
        return column_id in self._infos  # the mixin's would look for a hint first, and so would its get

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __repr__(self) -> str:
        return f"<ColumnCatalog of {len(self):,} columns: {brief(list(self))}>"

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        """A table for notebooks, in which nothing of the service's text is markup."""
        rows = [_row("th", ("id", "filter type", "label", "allowed values", "description"))]
        rows += [_row("td", cells(info)) for info in self.columns[:_MAX_ROWS]]
        more = f"<p>… {len(self) - _MAX_ROWS:,} more</p>" if len(self) > _MAX_ROWS else ""
        return f"<table>{''.join(rows)}</table>{more}"


def cells(info: ColumnInfo) -> tuple[str, ...]:
    """What a table shows of a column: its id, filter type, label, allowed values and description."""
    kind = info.filter_type or "" if info.filterable else "not filterable"
    allowed = ", ".join([value if isinstance(value, str) else brief(value) for value in info.allowed_values or ()])
    return info.id, kind, info.label or "", allowed, info.description or ""


def _row(tag: str, texts: Iterable[str]) -> str:
    import html  # noqa: PLC0415  # for notebooks alone

    short = [cell if len(cell) <= _MAX_CELL else f"{cell[: _MAX_CELL - 1]}…" for cell in texts]
    written = [html.escape(cell.encode("utf-8", "replace").decode()) for cell in short]  # no lone surrogates
    return f"<tr>{''.join([f'<{tag}>{cell}</{tag}>' for cell in written])}</tr>"


# ---- does a filter fit? ----------------------------------------------------------------------------------------------


def _comparisons(where: Filter, loc: Path, found: list[_Found]) -> list[_Found]:
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


def _positions(loc: Path) -> tuple[int, ...]:
    """The same way as `draw` has it: positions of children, of which a Not has one."""
    return tuple([step if isinstance(step, int) else 0 for step in loc if step == "not" or isinstance(step, int)])


def _unknown(column_id: object, hint: str) -> str:
    return f"there is no column {brief(column_id)}" + (f"; did you mean {_plain(hint)}?" if hint else "")


def _plain(name: str) -> str:
    return name if name.isprintable() and len(name) <= _MAX_NAME else brief(name)


def _names(infos: tuple[ColumnInfo, ...]) -> dict[str, str]:
    """What columns are called, in labels and older names too, each with its id."""
    few = infos[:_MAX_NAMES]
    called = [(name, info.id) for info in few for name in (info.label, info.metric_key_alias, info.id.split("/")[-1])]
    return _folded([(name, column_id) for name, column_id in called if name] + [(info.id, info.id) for info in few])


def _folded(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name[:_MAX_NAME].casefold(): meant for name, meant in names}


def _closest(names: Mapping[str, str], asked: object) -> str:
    """What is meant by the name that is most like this, or ""; case isn't told apart."""
    if not isinstance(asked, str):
        return ""
    import difflib  # noqa: PLC0415  # for mistakes alone

    close = difflib.get_close_matches(asked[:_MAX_NAME].casefold(), names, n=1)
    return names[close[0]] if close else ""


def _misfit(info: ColumnInfo, leaf: Comparison, lists: _Lists, *, hints: bool) -> tuple[str, str] | None:
    """Why a column can't be asked this, as code and text; None if it can."""
    kind, allowed = info.filter_type, info.allowed_values
    if kind == leaf.type and info.filterable and (not allowed or leaf.value in allowed):
        return None
    name = brief(info.id)
    if not info.filterable:
        return "not_filterable", f"{name} can't be filtered"
    if kind is None:
        return None  # the service doesn't say
    if kind == leaf.type:
        problem = _stray(info, leaf, lists, hints=hints)
        return ("not_allowed", f"{name} {problem}") if problem else None
    if kind == "fully_annotated":
        return "wrong_type", f"{name} is asked by fully_annotated()"
    if kind not in OPERATORS:
        return "wrong_type", f"{name} is filtered as {brief(kind)}, which this version doesn't know"
    problem = f"{name} is filtered as {kind}"
    if leaf.operator in OPERATORS[kind]:
        return "wrong_type", f"{problem}, not as {leaf.type}. Write {_rewrite(info.id, kind, leaf.operator, leaf)}"
    problem = f"{problem}, which has no {leaf.operator}; it has {', '.join(OPERATORS[kind])}"
    if leaf.operator == "ne":
        problem += f". Write {_rewrite(info.id, kind, 'not_in', leaf)}"
    elif (kind, leaf.operator) == ("date", "between"):
        problem += f". Write {brief(DateCol(info.id))}.between(...), which makes two leaves"
    return "no_operator", problem


def _rewrite(column_id: str, kind: str, operator: str, leaf: Comparison) -> str:
    column, value = _COLUMNS[kind](column_id), leaf.value if operator == leaf.operator else [leaf.value]
    case_sensitive = kind not in ("text", "collection") or getattr(leaf, "case_sensitive", True)
    try:
        written = repr(leaves.leaf(column, kind, operator, value, case_sensitive))
    except FilterError:
        return f"{brief(column)}.{operator}(...)"
    return written if len(written) <= _MAX_REWRITE else f"{brief(column)}.{operator}({brief(value)})"


class _Lists(dict[tuple[str, bool], "tuple[list[Any], list[Any], frozenset[Any]]"]):
    """Allowed values by column and whether case is folded: as they are, as they are compared, and the same as a set."""

    def of(self, info: ColumnInfo, *, fold: bool) -> tuple[list[Any], list[Any], frozenset[Any]]:
        """For one column; empty where nothing can be said, for there is no list, or one that nobody can explain."""
        if (info.id, fold) not in self:
            kinds = _LISTED.get(info.filter_type or "", ())
            listed = [value for value in info.allowed_values or () if value is not None]
            if not all(isinstance(value, kinds) and isinstance(value, bool) == (kinds == (bool,)) for value in listed):
                listed = []
            have = [value.casefold() for value in listed] if fold else listed
            self[info.id, fold] = listed, have, frozenset(have)
        return self[info.id, fold]


def _stray(info: ColumnInfo, leaf: Comparison, lists: _Lists, *, hints: bool) -> str:
    """What is wrong with a leaf's value where a column has a few only, or "" if nothing can be said against it."""
    if leaf.operator not in _EXACT:
        return ""
    fold = getattr(leaf, "case_sensitive", True) is False
    listed, have, known = lists.of(info, fold=fold)
    if not listed:
        return ""
    values: tuple[Any, ...] = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    for value in values:
        wanted = value.casefold() if fold else value
        contains = leaf.operator == "contains"
        if any(wanted in one for one in have) if contains else wanted in known:
            continue
        names = _folded((str(one), str(one)) for one in listed[:_MAX_NAMES]) if hints else {}
        hint = f"did you mean {_plain(close)}?" if (close := _closest(names, value)) else f"it has {brief(listed)}"
        return f"has no value {'that contains ' if contains else ''}{brief(value)}; {hint}"
    return ""


# ---- plain data ------------------------------------------------------------------------------------------------------


def dump_catalog(catalog: ColumnCatalog) -> dict[str, Any]:
    """
    A catalog as plain data, in the form of the API's answer: `{"columns": [...]}`, for a cache or work offline.

    Raises:
        FilterTypeError: for anything but a catalog.
    """
    if not isinstance(catalog, ColumnCatalog):
        raise FilterTypeError(f"expected a ColumnCatalog, got {brief(catalog)}")
    return {"columns": [{name: plain(getattr(info, name)) for name in _CONVERTERS} for info in catalog.columns]}


def load_catalog(data: object) -> ColumnCatalog:
    """
    The catalog that plain data stands for: what `dump_catalog` makes, or what the service answers.

    Keys that this version doesn't know are ignored, and so is null where the API allows it; of one id the last counts.

    Raises:
        FilterDecodeError: with the path to the first fault, as in `.columns[3].id`.
    """
    columns = _mapping(data, ()).get("columns")
    if not isinstance(columns, list | tuple):
        raise fault_at(("columns",), f"expected a list of columns, got {brief(columns)}")
    return ColumnCatalog(_load(item, ("columns", i)) for i, item in enumerate(cast("Iterable[object]", columns)))


def _load(data: object, path: Path) -> ColumnInfo:
    entries = _mapping(data, path)
    given = {name: entries[name] for name in _CONVERTERS if entries.get(name) is not None}
    for name in ("id", "category"):
        if name not in given:
            raise fault_at(path, f"a column needs its {name}")
    for name, value in given.items():
        try:
            given[name] = _CONVERTERS[name](value)
        except FilterError as error:
            raise fault_at((*path, name), str(error)) from None
    return ColumnInfo(**given)


def _mapping(data: object, path: Path) -> Mapping[Any, Any]:
    if isinstance(data, Mapping):
        return cast("Mapping[Any, Any]", data)  # type: ignore[redundant-cast]  # pyright knows less
    raise fault_at(path, f"expected a JSON object, got {brief(data)}")
