"""
Filter nodes: a closed family of frozen classes, with the API's field names.

The constructors accept what the API's schema allows. Columns are stricter, and `&`, `|` and `~`
simplify. Whatever works on filters is a function in another module, not a method here.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Literal, Never, NoReturn, TypeAlias, final, get_args

from attrs import Attribute, field, frozen

from galileo_sessions import display
from galileo_sessions.errors import FilterError, FilterTooLargeError, FilterTypeError
from galileo_sessions.filters import advice, filter_types
from galileo_sessions.filters.filter_types import FILTER_TYPES
from galileo_sessions.filters.values import (
    as_boolean,
    as_ids,
    as_instant,
    as_json,
    as_numbers,
    as_text,
    as_texts,
    as_user_ids,
    items_of,
    sendable,
)

__all__ = [
    "ALWAYS",
    "NEVER",
    "And",
    "BooleanFilter",
    "CollectionFilter",
    "DateFilter",
    "Filter",
    "FullyAnnotatedFilter",
    "IdFilter",
    "LeafFilter",
    "Not",
    "NumberFilter",
    "Or",
    "TextFilter",
    "all_of",
    "any_of",
]

MAX_DEPTH = 100
MAX_LEAVES = 10_000

_MAX_INFIX = 8
"""The repr of more operands is all_of([...]), since each & nests Python's expression deeper."""


class Filter:
    """
    A condition on sessions.

    Combine filters with `&`, `|` and `~`; `and`, `or`, `not` and `if` raise, because they would
    drop a condition. Filters are immutable and picklable, compare and hash by structure, and print
    as the code that makes them.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise FilterTypeError(
            "Filter is the base class of all filters", hint='Begin with a column: Col("input")'
        )

    @property
    def depth(self) -> int:
        """Levels of the tree, 1 to 100; a leaf has 1."""
        return 1

    @property
    def size(self) -> int:
        """Leaves of the tree, 1 to 10,000; an empty `And` or `Or` counts as one."""
        return 1

    def __and__(self, other: "Filter") -> "Filter":
        return _join(And, (self, other), "&")

    def __or__(self, other: "Filter") -> "Filter":
        return _join(Or, (self, other), "|")

    def __invert__(self) -> "Filter":
        if isinstance(self, Not):
            return self.child
        if _is_empty(self):
            return NEVER if isinstance(self, And) else ALWAYS
        return Not(self)

    def __rand__(self, other: Never) -> NoReturn:
        raise advice.expected_filter(other, "&")

    def __ror__(self, other: Never) -> NoReturn:
        raise advice.expected_filter(other, "|")

    def __bool__(self) -> Never:  # it can't know whether `and`, `not`, a chain or `in` called it
        raise FilterTypeError(
            "a filter has no truth value, so this would silently drop a condition",
            hint=f'{advice.JOIN}. For `in` write Col("a").one_of([...])',
        )

    def _repr_html_(self) -> str:  # pyright: ignore[reportUnusedFunction]  # notebooks call it
        return display.preformatted(self)


# ---- leaves: type checkers take a constructor's parameter types from the fields' converters ------


def _with_operators(leaf: type[Any], attributes: "list[Attribute[Any]]") -> "list[Attribute[Any]]":
    """Makes a leaf check its operator, which to type checkers is the annotation's Literal."""
    kind = FILTER_TYPES[leaf.type]

    def as_operator(operator: object) -> str:
        if isinstance(operator, str) and operator in kind.operators:
            return as_text(operator)
        raise advice.no_such_operator(kind, operator)

    column_id, operator, *others = attributes
    return [column_id, operator.evolve(converter=as_operator), *others]


@frozen(repr=False)
class Comparison(Filter):
    """
    The base of the leaves that compare a column with a value. They print as the call that makes
    them.
    """

    type: ClassVar[str]
    """The filter type, by its name in the API."""
    column_id: str = field(converter=as_text)
    """The column that is compared. Whether a project has it, `ColumnCatalog.check` says."""
    operator: str
    """The comparison, by its name in the API."""
    value: str | float | datetime | tuple[str | float, ...]
    """What the column is compared with."""

    def __repr__(self) -> str:
        written = repr(as_json(self.value))
        case = "" if getattr(self, "case_sensitive", True) else ", case_sensitive=False"
        if not self._is_made_by_a_column():
            return f"{type(self).__name__}({self.column_id!r}, {self.operator!r}, {written}{case})"
        if self.operator in filter_types.RANGE_OPERATORS:
            written = written[1:-1]
        return f"Col.{self.type}({self.column_id!r}).{self.operator}({written}{case})"

    def _is_made_by_a_column(self) -> bool:
        """Whether a column's method, which is stricter than the schema, would make this leaf."""
        try:
            filter_types.check_comparison(self.operator, self.value)
        except FilterError:
            return False
        return self.column_id != "" and sendable(self.column_id)


@final
@frozen(repr=False, field_transformer=_with_operators)
class TextFilter(Comparison):
    """A text column compared with text; `one_of` and `not_in` take several values."""

    type: ClassVar[Literal["text"]] = "text"
    operator: filter_types.TextOperator
    value: str | tuple[str, ...] = field(converter=as_texts)
    """The text, or a tuple of several."""
    case_sensitive: bool = field(default=True, converter=as_boolean)
    """False if "A" and "a" are the same."""


@final
@frozen(repr=False, field_transformer=_with_operators)
class NumberFilter(Comparison):
    """A number column compared with a finite number; `between` takes two, and includes both."""

    type: ClassVar[Literal["number"]] = "number"
    operator: filter_types.NumberOperator
    value: int | float | tuple[int | float, ...] = field(converter=as_numbers)
    """The number, or a tuple of several; for `between`, the lower and the upper bound."""


@final
@frozen(repr=False, field_transformer=_with_operators)
class DateFilter(Comparison):
    """A date column compared with an instant."""

    type: ClassVar[Literal["date"]] = "date"
    operator: filter_types.DateOperator
    value: datetime = field(converter=as_instant)
    """The instant: a `datetime` with a fixed UTC offset of whole minutes."""


@final
@frozen(repr=False, field_transformer=_with_operators)
class BooleanFilter(Comparison):
    """A boolean column compared with True or False."""

    type: ClassVar[Literal["boolean"]] = "boolean"
    operator: filter_types.BooleanOperator
    value: bool = field(converter=as_boolean)
    """True or False."""


@final
@frozen(repr=False, field_transformer=_with_operators)
class CollectionFilter(Comparison):
    """
    A collection column, such as tags, compared with text; `one_of` and `not_in` take several
    values.
    """

    type: ClassVar[Literal["collection"]] = "collection"
    operator: filter_types.CollectionOperator
    value: str | tuple[str, ...] = field(converter=as_texts)
    """A member of the collection, or a tuple of several."""
    case_sensitive: bool = field(default=True, converter=as_boolean)
    """False if "A" and "a" are the same."""


@final
@frozen(repr=False, field_transformer=_with_operators)
class IdFilter(Comparison):
    """An id column compared with an id, held as text; `one_of` and `not_in` take several ids."""

    type: ClassVar[Literal["id"]] = "id"
    operator: filter_types.IdOperator
    value: str | tuple[str, ...] = field(converter=as_ids)
    """The id as it was written, or a tuple of several. A `UUID` is held as its text."""


@final
@frozen(repr=False)
class FullyAnnotatedFilter(Filter):
    """Sessions that members of an annotation queue have rated; see `fully_annotated`."""

    type: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    """The filter type, by its name in the API."""
    column_id: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    """The API's placeholder for a column: this filter has none."""
    user_ids: tuple[str, ...] | None = field(default=None, converter=as_user_ids)
    """The UUIDs of the members who must have rated a session; None for all that the key can see."""

    def __repr__(self) -> str:
        users = "" if self.user_ids is None else f"user_ids={list(self.user_ids)}"
        return f"FullyAnnotatedFilter({users})"


LeafFilter: TypeAlias = (
    TextFilter
    | NumberFilter
    | DateFilter
    | BooleanFilter
    | CollectionFilter
    | IdFilter
    | FullyAnnotatedFilter
)
LEAVES: dict[str, type[LeafFilter]] = {leaf.type: leaf for leaf in get_args(LeafFilter)}
"""The classes of leaves by their names in the API."""


# ---- connectives ---------------------------------------------------------------------------------


def as_filter(value: Filter, place: str = "") -> Filter:
    """The filter itself; anything else is refused."""
    if isinstance(value, Filter):
        return value
    raise advice.expected_filter(value, place)


def _each_of(value: Iterable[Filter]) -> Iterable[Filter]:
    items = items_of(value)
    if items is None:
        raise FilterTypeError(
            f"expected a list of filters, got {display.brief(value)}",
            hint="Write [...] around filters",
        )
    return items


def _filters(value: Iterable[Filter]) -> tuple[Filter, ...]:
    return tuple([as_filter(item, "children") for item in _each_of(value)])


def _child(value: Filter) -> Filter:
    return as_filter(value, "child")


@frozen(repr=False)
class _Connective(Filter):
    """The base of `And`, `Or` and `Not`, which store their depth and size."""

    depth: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]  # it stays read-only
    """Levels of the tree, 1 to 100: those of the deepest child, and one more."""
    size: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]
    """Leaves of the tree, 1 to 10,000; without children 1."""


def _measure(node: _Connective, depth: int, size: int) -> None:
    if depth > MAX_DEPTH:
        raise FilterTooLargeError(advice.TOO_DEEP, hint=advice.LONG)
    if size > MAX_LEAVES:
        problem = f"this filter would have {size:,} leaves; {MAX_LEAVES:,} is the most"
        raise FilterTooLargeError(
            problem, hint="Many values of one column fit into one leaf: one_of([...])"
        )
    object.__setattr__(node, "depth", depth)
    object.__setattr__(node, "size", size)


@frozen(repr=False)
class _Junction(_Connective):
    """The base of `And` and `Or`, which have any number of children."""

    symbol: ClassVar[str]
    """The operator that joins the children: `&` or `|`."""
    _function: ClassVar[str]
    _empty: ClassVar[str]
    children: tuple[Filter, ...] = field(converter=_filters)
    """The filters that are joined, in the order in which they were written."""

    def __attrs_post_init__(self) -> None:
        depth = 1 + max([child.depth for child in self.children], default=0)
        _measure(self, depth, sum([child.size for child in self.children]) or 1)

    def __repr__(self) -> str:
        if not self.children:
            return self._empty
        if _is_infix(self):
            return f" {self.symbol} ".join([_operand_repr(child) for child in self.children])
        name = self._function if _is_normal(self) else type(self).__name__
        return f"{name}({list(self.children)!r})"


@final
@frozen(repr=False)
class And(_Junction):
    """
    All of the children hold. The constructor keeps them as they are: it neither flattens nor folds.
    """

    symbol: ClassVar[str] = "&"
    _function: ClassVar[str] = "all_of"
    _empty: ClassVar[str] = "ALWAYS"


@final
@frozen(repr=False)
class Or(_Junction):
    """
    At least one of the children holds. The constructor keeps them as they are: it neither flattens
    nor folds.
    """

    symbol: ClassVar[str] = "|"
    _function: ClassVar[str] = "any_of"
    _empty: ClassVar[str] = "NEVER"


@final
@frozen(repr=False)
class Not(_Connective):
    """The child doesn't hold. The constructor keeps a double negation; `~` removes it."""

    child: Filter = field(converter=_child)
    """The filter that doesn't hold."""

    def __attrs_post_init__(self) -> None:
        _measure(self, 1 + self.child.depth, self.child.size)

    def __repr__(self) -> str:
        if isinstance(self.child, Not) or _is_empty(self.child):
            return f"Not({self.child!r})"
        return f"~{_operand_repr(self.child)}"


Node: TypeAlias = And | Or | Not | LeafFilter
"""Every class of filter, for an exhaustive `match`."""

ALWAYS: Filter = And(())
"""
No condition: the empty `And`. It folds away in `&`, `|` and `~`; a query for it sends no filter.
"""

NEVER: Filter = Or(())
"""
No session: the empty `Or`. It folds away in `&`, `|` and `~`; a query for it counts 0 without a
request.
"""


def _is_empty(node: Filter) -> bool:
    """Whether the node is ALWAYS or NEVER, by structure."""
    return isinstance(node, _Junction) and not node.children


def _is_normal(node: _Junction) -> bool:
    """Whether `&` and `|`, which flatten and fold, would leave the children as they are."""
    folds = [type(child) is type(node) or _is_empty(child) for child in node.children]
    return len(folds) > 1 and not any(folds)


def _is_infix(node: _Junction) -> bool:
    """Whether the repr has the symbol between the children."""
    return _is_normal(node) and len(node.children) <= _MAX_INFIX


def _operand_repr(operand: Filter) -> str:
    """The repr of an operand of `&`, `|` or `~`, in parentheses if it has a symbol itself."""
    if isinstance(operand, And | Or) and _is_infix(operand):
        return f"({operand!r})"
    return repr(operand)


# ---- joining -------------------------------------------------------------------------------------


def _join(kind: type[And | Or], parts: Iterable[Filter], symbol: str = "") -> Filter:
    """
    Joins by one connective: flattens parts of the same kind, and folds ALWAYS and NEVER away.

    The constructor would check each child again: &= in a loop of 10,000 would take 5 s instead of
    0.2 s.
    """
    kept: list[Filter] = []
    children: list[Filter] = []
    depth = 0
    absorbing: Filter | None = None
    for part in parts:
        below = as_filter(part, symbol).depth
        if isinstance(part, kind):
            if not part.children:
                continue
            children += part.children
            below -= 1
        elif _is_empty(part):
            absorbing = part
            continue
        else:
            children.append(part)
        kept.append(part)
        depth = max(depth, below)
    if absorbing is not None:
        return absorbing
    if len(kept) == 1:
        return kept[0]
    node: And | Or = object.__new__(kind)
    _measure(node, depth + 1, sum([part.size for part in kept]) or 1)
    object.__setattr__(node, "children", tuple(children))
    return node


def all_of(filters: Iterable[Filter]) -> Filter:
    """
    All of the filters hold, like the builtin `all`.

    Returns:
        `ALWAYS` for none, the filter itself for one, else one flat `And`. An `ALWAYS` among them is
        left out, and with a `NEVER`, all is `NEVER`.

    Raises:
        FilterTypeError: if they aren't a list, or an item isn't a filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    return _join(And, _each_of(filters))


def any_of(filters: Iterable[Filter]) -> Filter:
    """
    At least one of the filters holds, like the builtin `any`.

    Returns:
        `NEVER` for none, the filter itself for one, else one flat `Or`. A `NEVER` among them is
        left out, and with an `ALWAYS`, all is `ALWAYS`.

    Raises:
        FilterTypeError: if they aren't a list, or an item isn't a filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    return _join(Or, _each_of(filters), "any_of")
