"""
Filter nodes: a closed family of frozen classes, with the API's field names.

The constructors hold what the API's schema allows and nothing else.
Common sense beyond the schema is in the columns, normal form in the operators `&`, `|` and `~`.
What can be done with a filter is a function in another module, not a method here.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Literal, Never, NoReturn, Self, TypeAlias, TypeVar, cast, final, get_args
from uuid import UUID

from attrs import field, frozen

from galileo_sessions import display
from galileo_sessions.errors import FilterError, FilterTooLargeError, FilterTypeError, brief
from galileo_sessions.filters import kinds, messages, values
from galileo_sessions.filters.kinds import FilterType
from galileo_sessions.filters.values import Several

MAX_DEPTH = 100
MAX_LEAVES = 10_000

_MAX_INFIX = 8  # more operands than this print as all_of([…]), for Python nests one level deeper with each &


class Filter:
    """
    A condition on sessions.

    Combine filters with `&`, `|` and `~`; `and`, `or`, `not` and `if` raise, for they would drop a condition.
    Filters are immutable, compare and hash by structure, pickle, and print as the program that makes them.
    """

    __slots__ = ()

    @property
    def depth(self) -> int:
        """Levels of the tree, 1 to 100; a leaf has 1."""
        return 1

    @property
    def size(self) -> int:
        """Leaves of the tree, 1 to 10,000; an empty `And` or `Or` counts as one."""
        return 1

    def __init__(self) -> None:
        raise FilterTypeError('Filter is the common name of all filters. Begin with a column: Col("input")')

    def __and__(self, other: "Filter") -> "Filter":
        return _join(And, (self, other))

    def __or__(self, other: "Filter") -> "Filter":
        return _join(Or, (self, other))

    def __invert__(self) -> "Filter":
        if isinstance(self, Not):
            return self.child
        if _is_empty(self):
            return NEVER if isinstance(self, And) else ALWAYS
        return Not(self)

    def __rand__(self, other: Never) -> NoReturn:
        raise messages.no_operand(other, "&")

    def __ror__(self, other: Never) -> NoReturn:
        raise messages.no_operand(other, "|")

    def __bool__(self) -> Never:
        raise messages.no_truth_value()

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        from galileo_sessions.filters.drawing import draw_filter  # noqa: PLC0415  # which imports the nodes

        return display.html_drawing(draw_filter(self))


# ---- leaves ----------------------------------------------------------------------------------------------------------


# The converters' parameters are what type checkers let the constructors take.

T = TypeVar("T")


def _known(filter_type: FilterType, operator: T) -> T:
    """The operator as a plain `str`, if the filter type has it."""
    if not isinstance(operator, str) or operator not in filter_type.operators:
        raise FilterError(
            f"a {filter_type} filter has no operator {brief(operator)}; it has {', '.join(filter_type.operators)}"
        )
    return cast("T", str.__str__(operator))


def _column_id(value: str) -> str:
    return values.text(value)


def _text_operator(operator: kinds.TextOperator) -> kinds.TextOperator:
    return _known(FilterType.TEXT, operator)


def _number_operator(operator: kinds.NumberOperator) -> kinds.NumberOperator:
    return _known(FilterType.NUMBER, operator)


def _date_operator(operator: kinds.DateOperator) -> kinds.DateOperator:
    return _known(FilterType.DATE, operator)


def _boolean_operator(operator: kinds.BooleanOperator) -> kinds.BooleanOperator:
    return _known(FilterType.BOOLEAN, operator)


def _collection_operator(operator: kinds.CollectionOperator) -> kinds.CollectionOperator:
    return _known(FilterType.COLLECTION, operator)


def _id_operator(operator: kinds.IdOperator) -> kinds.IdOperator:
    return _known(FilterType.ID, operator)


def _text_value(value: str | Several[str]) -> str | tuple[str, ...]:
    return values.text_or_texts(value)


def _number_value(value: int | float | Several[int | float]) -> int | float | tuple[int | float, ...]:
    return values.number_or_numbers(value)


def _date_value(value: datetime | str) -> datetime:
    return values.instant(value)


def _boolean_value(value: bool) -> bool:
    return values.boolean(value)


def _id_value(value: UUID | str | Several[UUID | str]) -> str | tuple[str, ...]:
    return values.id_or_ids(value)


def _user_ids(value: Several[UUID | str] | None) -> tuple[str, ...] | None:
    return values.user_ids(value)


@frozen(repr=False)
class Comparison(Filter):
    """The base of all leaves but one: they compare a column with a value, and print as the call that makes them."""

    type: ClassVar[str]
    filter_type: ClassVar[FilterType]
    column_id: str = field(converter=_column_id)
    operator: str
    value: str | float | datetime | tuple[str | float, ...]

    def __repr__(self) -> str:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        written = repr(value.isoformat() if isinstance(value, datetime) else value)
        case = "" if getattr(self, "case_sensitive", True) else ", case_sensitive=False"
        if not self._is_made_by_a_column():
            return f"{type(self).__name__}({self.column_id!r}, {self.operator!r}, {written}{case})"
        if self.operator == "between":
            written = written[1:-1]
        return f"Col.{self.type}({self.column_id!r}).{self.operator}({written}{case})"

    def _is_made_by_a_column(self) -> bool:
        """Whether a column's method, which is stricter than the schema, would make this leaf."""
        items = values.as_sequence(self.value)
        held = (self.value,) if items is None else items
        if not self.column_id or not all(map(values.sendable, (self.column_id, *held))):
            return False
        if self.operator == "between":
            return items is not None and len(items) == 2 and items[0] <= items[1]
        return bool(items) if self.operator in kinds.LIST_OPERATORS else items is None


@final
@frozen(repr=False)
class TextFilter(Comparison):
    """A text column compared with text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["text"]] = "text"
    filter_type: ClassVar[FilterType] = FilterType.TEXT
    operator: kinds.TextOperator = field(converter=_text_operator)
    value: str | tuple[str, ...] = field(converter=_text_value)
    case_sensitive: bool = field(default=True, converter=_boolean_value)


@final
@frozen(repr=False)
class NumberFilter(Comparison):
    """A number column compared with a finite number; `between` takes two, both inclusive."""

    type: ClassVar[Literal["number"]] = "number"
    filter_type: ClassVar[FilterType] = FilterType.NUMBER
    operator: kinds.NumberOperator = field(converter=_number_operator)
    value: int | float | tuple[int | float, ...] = field(converter=_number_value)


@final
@frozen(repr=False)
class DateFilter(Comparison):
    """A date column compared with an instant; `value` is an aware `datetime`."""

    type: ClassVar[Literal["date"]] = "date"
    filter_type: ClassVar[FilterType] = FilterType.DATE
    operator: kinds.DateOperator = field(converter=_date_operator)
    value: datetime = field(converter=_date_value)


@final
@frozen(repr=False)
class BooleanFilter(Comparison):
    """A boolean column compared with True or False."""

    type: ClassVar[Literal["boolean"]] = "boolean"
    filter_type: ClassVar[FilterType] = FilterType.BOOLEAN
    operator: kinds.BooleanOperator = field(converter=_boolean_operator)
    value: bool = field(converter=_boolean_value)


@final
@frozen(repr=False)
class CollectionFilter(Comparison):
    """A collection column, such as tags, compared with text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["collection"]] = "collection"
    filter_type: ClassVar[FilterType] = FilterType.COLLECTION
    operator: kinds.CollectionOperator = field(converter=_collection_operator)
    value: str | tuple[str, ...] = field(converter=_text_value)
    case_sensitive: bool = field(default=True, converter=_boolean_value)


@final
@frozen(repr=False)
class IdFilter(Comparison):
    """An id column compared with ids, held as text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["id"]] = "id"
    filter_type: ClassVar[FilterType] = FilterType.ID
    operator: kinds.IdOperator = field(converter=_id_operator)
    value: str | tuple[str, ...] = field(converter=_id_value)


@final
@frozen(repr=False)
class FullyAnnotatedFilter(Filter):
    """Sessions that the members of an annotation queue have rated; `user_ids` names the members, None means all."""

    type: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    column_id: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    user_ids: tuple[str, ...] | None = field(default=None, converter=_user_ids)

    def __repr__(self) -> str:
        return f"FullyAnnotatedFilter({'' if self.user_ids is None else f'user_ids={list(self.user_ids)}'})"


ComparisonFilter: TypeAlias = TextFilter | NumberFilter | DateFilter | BooleanFilter | CollectionFilter | IdFilter
LeafFilter: TypeAlias = ComparisonFilter | FullyAnnotatedFilter
LEAVES: dict[str, type[LeafFilter]] = {leaf.type: leaf for leaf in get_args(LeafFilter)}
"""The leaves by the API's words."""


# ---- connectives -----------------------------------------------------------------------------------------------------


def _filter(value: Filter) -> Filter:
    if isinstance(value, Filter):
        return value
    raise messages.no_child(value)


def _filters(value: Iterable[Filter]) -> tuple[Filter, ...]:
    if isinstance(value, Filter) or not isinstance(value, Iterable):
        raise messages.no_children(value)
    return tuple([_filter(item) for item in value])


@frozen(repr=False)
class _Connective(Filter):
    """The base of `And`, `Or` and `Not`, which store their depth and size."""

    depth: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]  # read-only all the same
    size: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __new__(cls, *given: object, **_: object) -> Self:
        if len(given) > 1:
            raise messages.several_filters(cls.__name__, "filter" if cls.__name__ == "Not" else "list of filters")
        return object.__new__(cls)


def _measure(node: _Connective, depth: int, size: int) -> None:
    if depth > MAX_DEPTH:
        raise FilterTooLargeError(messages.too_deep(depth, MAX_DEPTH))
    if size > MAX_LEAVES:
        raise FilterTooLargeError(messages.too_many_leaves(size, MAX_LEAVES))
    object.__setattr__(node, "depth", depth)
    object.__setattr__(node, "size", size)


@frozen(repr=False)
class _Junction(_Connective):
    """The base of `And` and `Or`, which have any number of children."""

    symbol: ClassVar[str]
    function: ClassVar[str]
    _empty: ClassVar[str]
    children: tuple[Filter, ...] = field(converter=_filters)

    def __attrs_post_init__(self) -> None:
        depth = 1 + max([child.depth for child in self.children], default=0)
        _measure(self, depth, sum([child.size for child in self.children]) or 1)

    def __repr__(self) -> str:
        if not self.children:
            return self._empty
        if not self._is_normal():
            return f"{type(self).__name__}({list(self.children)!r})"
        if not self.is_infix():
            return f"{self.function}({list(self.children)!r})"
        return f" {self.symbol} ".join([_operand_repr(child) for child in self.children])

    def is_infix(self) -> bool:
        """Whether it prints with its symbol between the children."""
        return self._is_normal() and len(self.children) <= _MAX_INFIX

    def _is_normal(self) -> bool:
        """Whether `&` and `|`, which flatten and fold, would leave the children as they are."""
        children = self.children
        return len(children) > 1 and not any(type(child) is type(self) or _is_empty(child) for child in children)


@final
@frozen(repr=False)
class And(_Junction):
    """All of the children hold. Made as written: the constructor neither flattens nor folds."""

    symbol: ClassVar[str] = "&"
    function: ClassVar[str] = "all_of"
    _empty: ClassVar[str] = "ALWAYS"


@final
@frozen(repr=False)
class Or(_Junction):
    """At least one of the children holds. Made as written: the constructor neither flattens nor folds."""

    symbol: ClassVar[str] = "|"
    function: ClassVar[str] = "any_of"
    _empty: ClassVar[str] = "NEVER"


@final
@frozen(repr=False)
class Not(_Connective):
    """The child doesn't hold. Made as written: only `~` removes a double negation."""

    child: Filter = field(converter=_filter)

    def __attrs_post_init__(self) -> None:
        _measure(self, 1 + self.child.depth, self.child.size)

    def __repr__(self) -> str:
        if isinstance(self.child, Not) or _is_empty(self.child):
            return f"Not({self.child!r})"
        return f"~{_operand_repr(self.child)}"


Node: TypeAlias = And | Or | Not | LeafFilter
"""Each class that a `Filter` can have, for an exhaustive `match`."""

ALWAYS: Filter = And(())
"""No condition: the empty `And`. It folds away in `&`, `|` and `~`; a query for it sends no filter."""

NEVER: Filter = Or(())
"""No session: the empty `Or`. It folds away in `&`, `|` and `~`; a query for it is refused."""


def _is_empty(node: Filter) -> bool:
    """Whether it is ALWAYS or NEVER, by structure."""
    return isinstance(node, _Junction) and not node.children


def _operand_repr(operand: Filter) -> str:
    """An operand of `&`, `|` or `~`: in parentheses where it prints with a symbol of its own."""
    return f"({operand!r})" if isinstance(operand, And | Or) and operand.is_infix() else repr(operand)


# ---- joining ---------------------------------------------------------------------------------------------------------


def _join(kind: type[And | Or], parts: Iterable[Filter]) -> Filter:
    """The parts under one connective: its own kind flattened, ALWAYS and NEVER folded away."""
    if isinstance(parts, Filter) or not isinstance(parts, Iterable):
        raise messages.no_filters(parts, kind.function)
    kept: list[Filter] = []
    absorbing: Filter | None = None
    for part in parts:
        if not isinstance(part, Filter):
            raise messages.no_operand(part, kind.symbol)
        if not _is_empty(part):
            kept.append(part)
        elif not isinstance(part, kind):
            absorbing = part
    if absorbing is not None:
        return absorbing
    if len(kept) == 1:
        return kept[0]
    children: list[Filter] = []
    for part in kept:
        children.extend(part.children if isinstance(part, kind) else [part])
    # The constructor would look at each child again, so that &= in a loop of 10,000 took 5 s instead of 0.2 s.
    node: And | Or = object.__new__(kind)
    depths = [part.depth if isinstance(part, kind) else part.depth + 1 for part in kept]
    size = sum([part.size for part in kept]) or 1
    _measure(node, max(depths, default=1), size)
    object.__setattr__(node, "children", tuple(children))
    return node


def all_of(filters: Iterable[Filter], *more: Never) -> Filter:
    """
    All of the filters hold, like the builtin `all`.

    Returns:
        `ALWAYS` for none, the filter itself for one, else one flat `And`.

    Raises:
        FilterTypeError: if one of them is no filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    if more:
        raise messages.several_filters("all_of", "list of filters")
    return _join(And, filters)


def any_of(filters: Iterable[Filter], *more: Never) -> Filter:
    """
    At least one of the filters holds, like the builtin `any`.

    Returns:
        `NEVER` for none, the filter itself for one, else one flat `Or`.

    Raises:
        FilterTypeError: if one of them is no filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    if more:
        raise messages.several_filters("any_of", "list of filters")
    return _join(Or, filters)
