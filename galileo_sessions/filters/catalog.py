"""A project's columns, typed and as plain data, and the check of a filter against them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, final

from attrs import Factory, field, frozen
from attrs.converters import optional

from galileo_sessions import display
from galileo_sessions.details import Issue
from galileo_sessions.display import brief, did_you_mean
from galileo_sessions.errors import FilterTypeError, UnknownColumnError
from galileo_sessions.filters.advice import by_other_operators
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.filter_types import FILTER_TYPES, FilterType
from galileo_sessions.filters.nodes import Comparison, Filter, IdFilter, TextFilter
from galileo_sessions.filters.plain_data import checked_list, dump, json_object, load
from galileo_sessions.filters.tree import SHOWN, failed_check, walk
from galileo_sessions.filters.values import (
    UUID_TEXT,
    as_boolean,
    as_sequence,
    as_text,
    items_of,
    values_of,
)


def _column_id(value: str) -> str:
    return Col(as_text(value)).column_id


def _items(value: object) -> tuple[Any, ...]:
    items = as_sequence(value)
    if items is None:
        raise FilterTypeError(f"expected a list, got {brief(value)}")
    return tuple([item for item in items if item is not None])


def _folded_texts(value: object) -> tuple[str, ...]:
    return tuple(map(as_text, _items(value)))


_CONVERTERS: dict[Any, Any] = {str: as_text, str | None: optional(as_text), bool: as_boolean}


def _with_converters(_: type, attributes: list[Any]) -> list[Any]:
    """Gives each field without a converter that of its type."""
    return [each.evolve(converter=each.converter or _CONVERTERS[each.type]) for each in attributes]


@frozen(field_transformer=_with_converters)
class ColumnInfo:
    """
    What the API says about a column. Enums are text here, since the API may add members.

    Raises:
        FilterError: if a field has the wrong type, or the `id` is empty.
    """

    id: str = field(converter=_column_id)
    """What filters call the column, such as "input" or "metrics/toxicity"."""
    category: str = "standard"
    """Where the column comes from: "standard", "metric", "user_metadata", "feedback" and others."""
    filter_type: str | None = None
    """How it is filtered: "id", "date", "number", "boolean", "collection", "text" or
    "fully_annotated"; None if the service doesn't say."""
    data_type: str | None = None
    """
    What its values are, such as "text", "integer", "timestamp" or "string_list"; None if the
    service doesn't say.
    """
    data_unit: str | None = None
    """
    The unit of its values, such as "percentage", "nano_seconds" or "dollars"; None without one.
    """
    label: str | None = None
    """The column's name in Galileo's console; None without one."""
    group_label: str | None = None
    """The heading under which the console lists the column; None without one."""
    description: str | None = None
    """A sentence about the column; None if the service has none."""
    allowed_values: tuple[Any, ...] = field(default=(), converter=_items, hash=False)
    """
    The only values that the column can have, without null; empty if the service doesn't list them.
    """
    applicable_types: tuple[str, ...] = field(default=(), converter=_folded_texts)
    """The types of records that have the column, such as "session", "trace" or "llm"."""
    filterable: bool = True
    """False if the service refuses filters on it; `ColumnCatalog.check` refuses them, too."""
    multi_valued: bool = False
    """True if a record can have several values, as a collection."""
    is_empty: bool = False
    """True if no record has a value."""
    is_optional: bool = False
    """The API calls the column optional, and doesn't say what that means."""
    metric_key_alias: str | None = None
    """The older name of a metric whose id is its scorer's UUID; None for other columns."""


def _columns(columns: Iterable[ColumnInfo]) -> tuple[ColumnInfo, ...]:
    infos = items_of(columns)
    if infos is None or not all(isinstance(info, ColumnInfo) for info in infos):
        raise FilterTypeError(
            f"the columns must be a list of ColumnInfo, got {brief(columns)}",
            hint='Write ColumnCatalog.of({"score": "number"}) for types, or load_catalog(...) for'
            " the API's JSON",
        )
    return tuple({info.id: info for info in infos}.values())


def _by_id(catalog: "ColumnCatalog") -> dict[str, ColumnInfo]:
    return {info.id: info for info in catalog.columns}


@final
@frozen(repr=False)
class ColumnCatalog(Mapping[str, Any]):
    """
    The columns of a project: a mapping from column id to the column, typed by its filter type.

    `catalog["score"]` is a `NumberCol` if the project has a number column of this name; type
    checkers see Any. A column without a filter type, or with one that this version doesn't know, is
    a `Col`. If several columns have the same id, the last one is kept, as in a dict.
    """

    columns: tuple[ColumnInfo, ...] = field(converter=_columns)
    """What the API says about each column, in the API's order."""
    _infos: dict[str, ColumnInfo] = field(
        init=False, eq=False, default=Factory(_by_id, takes_self=True)
    )
    _values: dict[tuple[str, bool], set[str]] = field(init=False, eq=False, factory=dict)
    """
    The texts of the allowed values, by column and whether case counts, once a check needs them.
    """

    @classmethod
    def of(cls, columns: Mapping[str, str] | None = None, /, **others: str) -> Self:
        """
        A catalog made by hand from filter types.

        For example: `ColumnCatalog.of({"metrics/toxicity": "number"}, input="text")`.

        Raises:
            FilterTypeError: for a filter type that the API doesn't have, or an id that isn't text.
            FilterError: for an empty id.
        """
        infos: list[ColumnInfo] = []
        for column_id, name in {**json_object(columns or {}), **others}.items():
            filter_type = FILTER_TYPES.get(str(name))
            if filter_type is None or not isinstance(column_id, str):
                types = ", ".join(FILTER_TYPES)
                hint = f'Write text, as in {{"score": "number"}}; a filter type is one of {types}'
                raise FilterTypeError(f"{brief(column_id)} can't be {brief(name)}", hint=hint)
            info = ColumnInfo(
                id=column_id,
                category="metric" if column_id.startswith("metrics/") else "standard",
                filter_type=name,
                data_type=filter_type.data_type,
                multi_valued=filter_type is FilterType.COLLECTION,
            )
            infos.append(info)
        return cls(infos)

    def info(self, column_id: str) -> ColumnInfo:
        """
        What the API says about a column.

        Raises:
            UnknownColumnError: if the column doesn't exist. The hint is a column with a similar
                name; the error is also a `KeyError`.
        """
        info = self._infos.get(column_id)
        if info is None:
            said, hint = _unknown_column(self._infos, column_id)
            raise UnknownColumnError(said, hint=hint)
        return info

    def check(self, where: Filter) -> Filter:
        """
        The filter itself, if it fits the columns.

        For example: `await galileo.count(project_id, catalog.check(where))`.
        `FullyAnnotatedFilter` isn't about a column, and always fits.

        Raises:
            FilterCheckError: with all leaves that don't fit: the column is unknown, can't be
                filtered, has another type, or lacks the operator.
            FilterTypeError: for anything but a filter.
        """
        issues: list[Issue] = []
        for path, leaf in walk(where):
            if not isinstance(leaf, Comparison):
                continue
            problem = _problem(self._infos, leaf, is_drawn=len(issues) < SHOWN)
            if not problem and {"or", "not"}.isdisjoint(path):  # else, it can match without it
                problem = self._impossible(leaf)
            if problem:
                code, said = problem
                issues.append(Issue((*path, "filter"), said, code, leaf))
        if issues:
            raise failed_check(where, _summary(issues), issues)
        return where

    def _impossible(self, leaf: Comparison) -> tuple[str, str] | None:
        """A code and a text if a column is compared with what it never has."""
        info = self._infos[leaf.column_id]
        instead = ""
        if isinstance(leaf, TextFilter) and info.allowed_values and not self._is_allowed(leaf):
            instead = f"its values are {brief([*info.allowed_values[:SHOWN]])[1:-1]}"
        is_uuid = info.data_type == FilterType.ID.data_type
        if isinstance(leaf, IdFilter) and is_uuid and leaf.operator in ("eq", "one_of"):
            found = [UUID_TEXT.fullmatch(value) for value in values_of(leaf.value)]
            instead = "" if any(found) else "it has UUIDs"
        if not instead:
            return None
        never = "never contains" if leaf.operator == "contains" else "is never"
        said = f"{brief(leaf.column_id)} {never} {brief(leaf.value)}; {instead}"
        return "no_such_value", said

    def _is_allowed(self, leaf: TextFilter) -> bool:
        """Whether one of the values that the service lists satisfies a leaf, unless it negates."""
        fold = str if leaf.case_sensitive else str.casefold
        key = leaf.column_id, leaf.case_sensitive
        if key not in self._values:
            listed = self._infos[leaf.column_id].allowed_values
            self._values[key] = {fold(f"{each}") for each in listed}
        allowed = self._values[key]
        texts = {fold(f"{value}") for value in values_of(leaf.value)}
        if leaf.operator == "contains":
            return any(text in value for value in allowed for text in texts)
        return leaf.operator in ("ne", "not_in") or not allowed.isdisjoint(texts)

    def __getitem__(self, column_id: str) -> Any:
        filter_type = FILTER_TYPES.get(self.info(column_id).filter_type or "")
        return Col(column_id) if filter_type is None else getattr(Col, filter_type)(column_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __contains__(self, column_id: object) -> bool:
        return column_id in self._infos  # Mapping's own method would first look for a similar name

    def __str__(self) -> str:
        head = "id", "filter type", "label", "allowed values", "description"
        rows = [[" ".join(cell.split()) for cell in _cells(info)] for info in self.columns]
        return display.table(head, rows)

    def __repr__(self) -> str:
        return f"<ColumnCatalog of {len(self):,} columns: {brief(list(self))}>"

    def _ipython_key_completions_(self) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # IPython calls it
        return list(self)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.preformatted(self)


def _cells(info: ColumnInfo) -> tuple[str, ...]:
    """A column's row in a table: its id, filter type, label, allowed values and description."""
    filter_type = info.filter_type if info.filterable else "not filterable"
    allowed = ", ".join([_plain(value) for value in info.allowed_values])
    return info.id, filter_type or "", info.label or "", allowed, info.description or ""


def _plain(value: object) -> str:
    return value if isinstance(value, str) else brief(value)


def dump_catalog(catalog: ColumnCatalog) -> dict[str, Any]:
    """
    A catalog as plain data, in the form of the API's response: `{"columns": [...]}`, for a cache or
    offline use.

    Raises:
        FilterTypeError: if it isn't a `ColumnCatalog`.
    """
    if not isinstance(catalog, ColumnCatalog):
        raise FilterTypeError(
            f"{brief(catalog)} is not a catalog", hint="Pass what columns() or load_catalog returns"
        )
    return {"columns": [dump(info) for info in catalog.columns]}


def load_catalog(data: object) -> ColumnCatalog:
    """
    The catalog for plain data: what `dump_catalog` returns, or the API's response.

    Unknown keys and null values are ignored. If several columns have the same id, the last one is
    kept.

    Raises:
        FilterDecodeError: with the path to the first fault, such as `.columns[3].id`.
    """
    path = ("columns",)
    columns = checked_list(json_object(data).get("columns"), "columns", path)
    return ColumnCatalog(load(columns, list[ColumnInfo], path))


# ---- the check of a filter -----------------------------------------------------------------------


def _unknown_column(
    infos: Mapping[str, ColumnInfo], column_id: object, *, is_drawn: bool = True
) -> tuple[str, str]:
    """The text for a column that doesn't exist, and a hint: the one that has a similar name."""
    said = f"there is no column {brief(column_id)}"
    if not infos:
        said += ", because the project has no columns: it has no sessions, or the id is wrong"
    if not is_drawn:
        return said, ""
    names = {name: name for name in infos}
    for info in infos.values():
        for name in (info.id.split("/")[-1], info.label, info.metric_key_alias):
            if name:
                names.setdefault(name, info.id)
    return said, did_you_mean(column_id, names, names)


def _summary(issues: list[Issue]) -> str:
    said = "1 condition doesn't" if len(issues) == 1 else f"{len(issues):,} conditions don't"
    first = f" (the first {SHOWN} are marked)" if len(issues) > SHOWN else ""
    return f"{said} match the project's columns{first}"


def _problem(
    infos: Mapping[str, ColumnInfo], leaf: Comparison, *, is_drawn: bool
) -> tuple[str, str] | None:
    """
    A code and a text if the leaf doesn't fit; None if it fits.

    Only a text that is drawn suggests a similar name, since finding that takes time.
    """
    info = infos.get(leaf.column_id)
    if info is None:
        said, hint = _unknown_column(infos, leaf.column_id, is_drawn=is_drawn)
        if hint:
            said = f"{said}; {hint[0].lower()}{hint[1:]}"
        return "unknown_column" if infos else "no_columns", said
    if not info.filterable:
        return "not_filterable", f"{brief(info.id)} can't be filtered"
    if info.filter_type in (None, leaf.type):
        return None
    return _type_problem(info, leaf)


def _type_problem(info: ColumnInfo, leaf: Comparison) -> tuple[str, str]:
    """A code and a text for a leaf of another filter type than its column has."""
    filter_type = FILTER_TYPES.get(info.filter_type or "")
    said = f"{brief(info.id)} is filtered as {filter_type or brief(info.filter_type)}, "
    if filter_type is None:
        return "wrong_type", f"{said}not as {leaf.type}"
    column = getattr(Col, filter_type)(info.id)
    if leaf.operator in filter_type.operators:
        method = _INSTEAD.get((filter_type, leaf.operator), leaf.operator)
        return "wrong_type", f"{said}not as {leaf.type}. Write {brief(column)}.{method}(...)"
    said = f"{said}which has no {leaf.operator}; it has {', '.join(filter_type.operators)}"
    hint = by_other_operators(column, leaf.operator)
    if hint:
        said = f"{said}. Write {hint}"
    return "no_operator", said


_INSTEAD = {(FilterType.COLLECTION, "eq"): "contains", (FilterType.DATE, "eq"): "on"}
"""The usual comparison, where `eq` compares all members of a collection, or an instant."""
