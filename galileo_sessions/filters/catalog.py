"""A project's columns, typed, and as plain data."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, final

from attrs import Factory, field, frozen

from galileo_sessions import display
from galileo_sessions.display import brief
from galileo_sessions.errors import FilterError, FilterTypeError, UnknownColumnError
from galileo_sessions.filters import advice, checking
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
from galileo_sessions.filters.json import checked_list, dump, json_object, load
from galileo_sessions.filters.kinds import FILTER_TYPES
from galileo_sessions.filters.nodes import Filter

T = TypeVar("T", bound=TypedCol)

_HEAD = ("id", "filter type", "label", "allowed values", "description")


def _columns(columns: Iterable[ColumnInfo]) -> tuple[ColumnInfo, ...]:
    return tuple({info.id: info for info in columns}.values())


def _by_id(catalog: "ColumnCatalog") -> dict[str, ColumnInfo]:
    return {info.id: info for info in catalog.columns}


@final
@frozen(repr=False)
class ColumnCatalog(Mapping[str, Any]):
    """
    The columns of a project: a mapping from column id to the column, typed by its filter type.

    `catalog["score"]` is a `NumberCol` if the project has a number of this name; type checkers see Any.
    A column without a filter type, or with one that this version doesn't know, is a `Col`.
    Of several columns with the same id, the last one counts, as in a dict.
    """

    columns: tuple[ColumnInfo, ...] = field(converter=_columns)
    """What the API says about each column, in the API's order."""
    _infos: dict[str, ColumnInfo] = field(init=False, eq=False, default=Factory(_by_id, takes_self=True))

    @classmethod
    def of(cls, columns: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """
        A catalog made by hand from filter types: `ColumnCatalog.of({"metrics/toxicity": "number"}, input="text")`.

        Raises:
            FilterError: for a filter type that the API doesn't have, or an empty id.
        """
        infos: list[ColumnInfo] = []
        for column_id, name in {**(columns or {}), **more}.items():
            filter_type = FILTER_TYPES.get(name)
            if filter_type is None:
                raise FilterError(
                    f"{brief(column_id)} can't be {brief(name)}; a filter type is one of {', '.join(FILTER_TYPES)}"
                )
            category = "metric" if column_id.startswith("metrics/") else "standard"
            multi_valued = filter_type == "collection"
            infos.append(ColumnInfo(column_id, category, name, filter_type.data_type, multi_valued=multi_valued))
        return cls(infos)

    def info(self, column_id: str) -> ColumnInfo:
        """
        What the API says about a column.

        Raises:
            UnknownColumnError: if there is no such column. It names the column with the most similar name, and is also
                a `KeyError`.
        """
        info = self._infos.get(column_id)
        if info is None:
            raise UnknownColumnError(checking.unknown_column(self._infos, column_id))
        return info

    def check(self, where: Filter) -> Filter:
        """
        The filter itself, if it fits the columns: `await galileo.count(project_id, catalog.check(where))`.

        `FullyAnnotatedFilter` isn't about a column, and always fits.

        Raises:
            FilterCheckError: for all leaves at once that don't fit: the column is unknown, can't be filtered, has
                another type, lacks the operator, or never has the value.
            FilterTypeError: for anything but a filter.
        """
        return checking.check(self._infos, where)

    def __getitem__(self, column_id: str) -> Any:
        filter_type = FILTER_TYPES.get(self.info(column_id).filter_type or "")
        return Col(column_id) if filter_type is None else column_class(filter_type)(column_id)

    def text(self, column_id: str) -> TextCol:
        """
        The column as a `TextCol`, also to type checkers. `number`, `date`, `boolean`, `collection`, `id` work alike.

        Raises:
            FilterTypeError: if the column has another type. A column without a type can have any of these types.
            UnknownColumnError: if there is no such column.
        """
        return self._typed(column_id, TextCol)

    def number(self, column_id: str) -> NumberCol:
        """The column as a `NumberCol`; see `text`."""
        return self._typed(column_id, NumberCol)

    def date(self, column_id: str) -> DateCol:
        """The column as a `DateCol`; see `text`."""
        return self._typed(column_id, DateCol)

    def boolean(self, column_id: str) -> BooleanCol:
        """The column as a `BooleanCol`; see `text`."""
        return self._typed(column_id, BooleanCol)

    def collection(self, column_id: str) -> CollectionCol:
        """The column as a `CollectionCol`; see `text`."""
        return self._typed(column_id, CollectionCol)

    def id(self, column_id: str) -> IdCol:
        """The column as an `IdCol`; see `text`."""
        return self._typed(column_id, IdCol)

    def _typed(self, column_id: str, made: type[T]) -> T:
        filter_type = self.info(column_id).filter_type
        if filter_type not in (None, made.filter_type):
            raise FilterTypeError(advice.other_type(column_id, str(filter_type)))
        return made(column_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __contains__(self, column_id: object) -> bool:
        return column_id in self._infos  # Mapping's would first look for a similar name

    def __str__(self) -> str:
        rows = [[display.printable(" ".join(cell.split())) for cell in _cells(info)] for info in self.columns]
        return display.text_table([_HEAD, *rows])

    def __repr__(self) -> str:
        return f"<ColumnCatalog of {len(self):,} columns: {brief(list(self))}>"

    def _ipython_key_completions_(self) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # IPython calls it
        return list(self)

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.html_table(_HEAD, map(_cells, self.columns), len(self))


def _cells(info: ColumnInfo) -> tuple[str, ...]:
    """What a table shows of a column: its id, filter type, label, allowed values and description."""
    filter_type = info.filter_type or "" if info.filterable else "not filterable"
    allowed = ", ".join([value if isinstance(value, str) else brief(value) for value in info.allowed_values])
    return info.id, filter_type, info.label or "", allowed, info.description or ""


def dump_catalog(catalog: ColumnCatalog) -> dict[str, Any]:
    """A catalog as plain data, in the form of the API's response: `{"columns": [...]}`, for a cache or offline use."""
    return {"columns": dump(catalog.columns)}


def load_catalog(data: object) -> ColumnCatalog:
    """
    The catalog for plain data: what `dump_catalog` returns, or the API's response.

    Unknown keys and null values are ignored. Of several columns with the same id, the last one counts.

    Raises:
        FilterDecodeError: with the path to the first fault, such as `.columns[3].id`.
    """
    columns = checked_list(json_object(data).get("columns"), "columns", ("columns",))
    return ColumnCatalog(load(columns, list[ColumnInfo], ("columns",)))
