"""A project's own columns, typed, and as plain data."""

from collections.abc import Iterable, Iterator, Mapping, ValuesView
from typing import Any, Self, TypeVar, cast, final, overload

from attrs import Factory, field, frozen

from galileo_sessions import display
from galileo_sessions.errors import FilterError, FilterTypeError, UnknownColumnError, brief
from galileo_sessions.filters import checking, messages
from galileo_sessions.filters.column_info import ColumnInfo
from galileo_sessions.filters.columns import (
    BooleanCol,
    Col,
    CollectionCol,
    DateCol,
    IdCol,
    NumberCol,
    TextCol,
    TypedCol,
    column_class,
)
from galileo_sessions.filters.kinds import FILTER_TYPES
from galileo_sessions.filters.nodes import Filter
from galileo_sessions.filters.serialization import checked_list, dump, json_object, load
from galileo_sessions.filters.values import text
from galileo_sessions.grouping.partitions import Partition

T = TypeVar("T", bound=TypedCol)


def _columns(value: object) -> tuple[ColumnInfo, ...]:
    if not isinstance(value, Iterable):
        raise FilterTypeError(f"expected a list of ColumnInfo, got {brief(value)}")
    infos: dict[str, ColumnInfo] = {}
    for info in cast("Iterable[object]", value):
        if not isinstance(info, ColumnInfo):
            raise FilterTypeError(f"expected a ColumnInfo, got {brief(info)}")
        infos[info.id] = info
    return tuple(infos.values())


def _by_id(catalog: "ColumnCatalog") -> dict[str, ColumnInfo]:
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
        for column_id, name in dict(columns or {}, **more).items():
            filter_type = FILTER_TYPES.get(name) if isinstance(name, str) else None
            if filter_type is None:
                raise FilterError(
                    f"{brief(column_id)} can't be {brief(name)}; a filter type is one of {', '.join(FILTER_TYPES)}"
                )
            category = "metric" if text(column_id).startswith("metrics/") else "standard"
            multi_valued = filter_type == "collection"
            infos.append(ColumnInfo(column_id, category, name, filter_type.data_type, multi_valued=multi_valued))
        return cls(infos)

    def info(self, column_id: str) -> ColumnInfo:
        """
        What the API says of a column.

        Raises:
            UnknownColumnError: which is a `KeyError`, and names the column that is called most like this.
        """
        info = self._infos.get(column_id)
        if info is None:
            names = checking.names_of(self._infos)
            hint = messages.did_you_mean(column_id, names, meanings=names)
            raise UnknownColumnError(messages.unknown_column(column_id, hint))
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
        return checking.check(self._infos, where)

    @overload
    def values(self) -> ValuesView[Any]: ...
    @overload
    def values(self, column_id: str) -> Partition: ...
    def values(self, column_id: str | None = None) -> ValuesView[Any] | Partition:
        """
        A part for each allowed value of a column, to count by them: `catalog.values("status")`.

        Without a column id, it is all columns, as of any mapping.

        Raises:
            UnknownColumnError: if there is no such column.
            FilterError: if the service lists no values for it, or no filter can compare them.
        """
        return super().values() if column_id is None else self._values(self.info(column_id))

    def _values(self, info: ColumnInfo) -> Partition:
        column = self[info.id]
        allowed = [value for value in info.allowed_values or () if value is not None]
        if allowed and hasattr(column, "values"):
            return cast("Partition", column.values(allowed))
        raise FilterError(
            f"the service lists no values of {brief(info.id)} that can be counted by. "
            f"Write the values yourself: {brief(column)}.values([...])"
        )

    def __getitem__(self, column_id: str) -> Any:
        filter_type = FILTER_TYPES.get(self.info(column_id).filter_type or "")
        return Col(column_id) if filter_type is None else column_class(filter_type)(column_id)

    def text(self, column_id: str) -> TextCol:
        """
        The column, typed for type checkers; so are `number`, `date`, `boolean`, `collection` and `id`.

        Raises:
            FilterTypeError: if the column has another type; one of no type is as it is asked for.
            UnknownColumnError: if there is no such column.
        """
        return self._typed(column_id, TextCol)

    def number(self, column_id: str) -> NumberCol:
        """The column, if it is a number; see `text`."""
        return self._typed(column_id, NumberCol)

    def date(self, column_id: str) -> DateCol:
        """The column, if it is a date; see `text`."""
        return self._typed(column_id, DateCol)

    def boolean(self, column_id: str) -> BooleanCol:
        """The column, if it is a boolean; see `text`."""
        return self._typed(column_id, BooleanCol)

    def collection(self, column_id: str) -> CollectionCol:
        """The column, if it is a collection; see `text`."""
        return self._typed(column_id, CollectionCol)

    def id(self, column_id: str) -> IdCol:
        """The column, if it is an id; see `text`."""
        return self._typed(column_id, IdCol)

    def _typed(self, column_id: str, made: type[T]) -> T:
        filter_type = self.info(column_id).filter_type
        if filter_type not in (None, made.filter_type):
            raise FilterTypeError(messages.other_type(column_id, str(filter_type)))
        return made(column_id)

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
        head = ("id", "filter type", "label", "allowed values", "description")
        return display.html_table(head, map(cells, self.columns), len(self))


def cells(info: ColumnInfo) -> tuple[str, ...]:
    """What a table shows of a column: its id, filter type, label, allowed values and description."""
    filter_type = info.filter_type or "" if info.filterable else "not filterable"
    allowed = ", ".join([value if isinstance(value, str) else brief(value) for value in info.allowed_values or ()])
    return info.id, filter_type, info.label or "", allowed, info.description or ""


def dump_catalog(catalog: ColumnCatalog) -> dict[str, Any]:
    """
    A catalog as plain data, in the form of the API's answer: `{"columns": [...]}`, for a cache or work offline.

    Raises:
        FilterTypeError: for anything but a catalog.
    """
    if not isinstance(catalog, ColumnCatalog):
        raise FilterTypeError(f"expected a ColumnCatalog, got {brief(catalog)}")
    return {"columns": dump(catalog.columns)}


def load_catalog(data: object) -> ColumnCatalog:
    """
    The catalog that plain data stands for: what `dump_catalog` makes, or what the service answers.

    Keys that this version doesn't know are ignored, and so is null where the API allows it; of one id the last counts.

    Raises:
        FilterDecodeError: with the path to the first fault, as in `.columns[3].id`.
    """
    columns = checked_list(json_object(data).get("columns"), "columns", ("columns",))
    return ColumnCatalog(load(columns, list[ColumnInfo], ("columns",)))
