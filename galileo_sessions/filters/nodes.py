"""
The sentences: a closed family of frozen nodes, with the API's field names.

The constructors hold what the API's schema allows and nothing else.
Common sense beyond the schema lives in the columns, normal form in the operators `&`, `|` and `~`.
What can be done with a filter is a function elsewhere, never a method here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar, Literal, Never, NoReturn, Self, TypeAlias, cast, final, get_args
from uuid import UUID

from attrs import field, frozen

from galileo_sessions.errors import FilterError, FilterTooLargeError, FilterTypeError, brief

MAX_DEPTH = 100
MAX_LEAVES = 10_000

_TOO_LARGE = 10**4_300  # Python reads and writes no int of more than 4,300 digits as text
_HEX = "[0-9a-fA-F]"
UUID_TEXT = re.compile(f"(?:urn:uuid:)?{{?({_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}})}}?")
_INFIX = 8  # more operands than this print as all_of([…]), for Python nests one level deeper with each &

IdOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]
DateOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte"]
NumberOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte", "between"]
BooleanOperator: TypeAlias = Literal["eq", "ne"]
CollectionOperator: TypeAlias = Literal["eq", "contains", "one_of", "not_in"]
TextOperator: TypeAlias = Literal["eq", "ne", "contains", "one_of", "not_in"]

OPERATORS: dict[str, tuple[str, ...]] = {
    "id": get_args(IdOperator),
    "date": get_args(DateOperator),
    "number": get_args(NumberOperator),
    "boolean": get_args(BooleanOperator),
    "collection": get_args(CollectionOperator),
    "text": get_args(TextOperator),
}
"""Each filter type's operators, those that the API's document lists."""


class Filter:
    """
    A condition on sessions.

    Combine filters with `&`, `|` and `~`; `and`, `or`, `not` and `if` raise, for they would drop a condition.
    Filters are immutable, compare and hash by structure, pickle, and print as the program that makes them.
    """

    __slots__ = ()

    _repr_html_: ClassVar[Callable[[Filter], str]]  # set by drawing, which may import filters, not the other way round

    @property
    def depth(self) -> int:
        """Levels of the tree, 1 to 100; a leaf has 1."""
        return 1

    @property
    def size(self) -> int:
        """Leaves of the tree, 1 to 10,000; an empty `And` or `Or` counts as one."""
        return 1

    def __new__(cls, *_: object, **__: object) -> Self:
        if cls is Filter:
            raise FilterTypeError('Filter is only the common name of all filters. Begin with a column: Col("input")')
        return super().__new__(cls)

    def __and__(self, other: Filter) -> Filter:
        return _join_two(And, self, other, "&")

    def __or__(self, other: Filter) -> Filter:
        return _join_two(Or, self, other, "|")

    def __invert__(self) -> Filter:
        if isinstance(self, Not):
            return self.child
        if _is_empty(self):
            return NEVER if isinstance(self, And) else ALWAYS
        return Not(self)

    def __rand__(self, other: Never) -> NoReturn:
        raise operand_error(other, "&")

    def __ror__(self, other: Never) -> NoReturn:
        raise operand_error(other, "|")

    def __bool__(self) -> Never:
        raise FilterTypeError(
            "a filter has no truth value, so this would silently drop a condition. "
            "Write a & b for `a and b`, a | b for `a or b`, ~a for `not a`, "
            '(Col("x") > 1) & (Col("x") < 3) for `1 < Col("x") < 3`, Col("x").one_of([...]) for `in [...]`, '
            "and `f is not None` to ask whether there is a filter"
        )


def operand_error(other: object, symbol: str) -> FilterTypeError:
    """The error for something that stands beside `&` or `|` and isn't a filter."""
    if other is None:
        return FilterTypeError(f"None is not a filter. For 'no condition' write ALWAYS: f {symbol} ALWAYS is f")
    if hasattr(other, "column_id"):
        return FilterTypeError(
            f"{brief(other)} is a column, not yet a filter: {symbol} binds tighter than == and <. "
            f'Put each comparison into parentheses: (Col("a") == 1) {symbol} (Col("b") == 2)'
        )
    return FilterTypeError(
        f"{brief(other)} is not a filter, so it can't stand beside {symbol}. If it belongs to a comparison, "
        f"note that {symbol} binds tighter than == and <: "
        f'write (Col("a") == 1) {symbol} (Col("b") == 2), or Col("a").eq(1) {symbol} Col("b").eq(2)'
    )


# ---- values ----------------------------------------------------------------------------------------------------------


def text(value: object) -> str:
    """Exactly a `str`, also from a subclass such as a `StrEnum`'s member."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise FilterTypeError(f"expected text, got {brief(value)}")


def _listed(value: object) -> Sequence[Any] | None:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def _text_or_texts(value: object) -> str | tuple[str, ...]:
    if type(value) is str:  # the most frequent first
        return value
    items = _listed(value)
    if items is not None:
        return tuple([text(item) for item in items])
    if isinstance(value, str):
        return text(value)
    raise FilterTypeError(f"expected text or a list of text, got {brief(value)}")


def _id(value: object) -> str:
    return text(str(value) if isinstance(value, UUID) else value)


def _id_or_ids(value: object) -> str | tuple[str, ...]:
    items = _listed(value)
    return _id(value) if items is None else tuple([_id(item) for item in items])


def number(value: object) -> int | float:
    """
    Exactly an `int` or a `float` that JSON can carry.

    Raises:
        FilterError: for NaN, an infinity, or an int of more than 4,300 digits.
        FilterTypeError: for anything else, `bool` included.
    """
    if type(value) is int:
        exact: int | float = value
    elif type(value) is float:
        exact = value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterTypeError(f"expected a number, got {brief(value)}")
    else:
        exact = float(value) if isinstance(value, float) else int(value)
    if type(exact) is float and not math.isfinite(exact):
        raise FilterError(f"{exact} is not a number that JSON can carry")
    if type(exact) is int and not -_TOO_LARGE < exact < _TOO_LARGE:
        raise FilterError("a number of more than 4,300 digits can't be sent")
    return exact


def _number_or_numbers(value: object) -> int | float | tuple[int | float, ...]:
    items = None if type(value) is int or type(value) is float else _listed(value)
    return number(value) if items is None else tuple([number(item) for item in items])


def instant(value: object) -> datetime:
    """
    An aware `datetime` with a fixed offset of whole minutes, from one or from ISO 8601 text with an offset.

    Raises:
        FilterError: without an offset, or with more than six digits after the second's point.
        FilterTypeError: for anything but a `datetime` or text.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        moment = _parse_instant(value)
    else:
        raise FilterTypeError(f"expected a datetime or ISO 8601 text, got {brief(value)}")
    offset = moment.utcoffset()
    if offset is None:
        raise FilterError(
            f"{brief(str(value))} has no UTC offset, so it names no instant. "
            "Write one at its end, as in 2026-01-31T09:00:00+00:00"
        )
    try:
        if offset % timedelta(minutes=1):  # RFC 3339 knows no seconds here; some zones before 1900 have them
            return moment.astimezone(UTC)
    except OverflowError:
        raise FilterError(f"{brief(str(value))} is out of range: years go from 1 to 9999") from None
    return datetime.combine(moment.date(), moment.time(), timezone(offset)).replace(fold=0)


def _parse_instant(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError:
        raise FilterError(f"{brief(written)} is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00") from None
    _, point, rest = written.replace(",", ".").partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if point and digits[6:].strip("0"):
        raise FilterError(f"{brief(written)} is finer than a microsecond, which would be lost")
    return moment


def _boolean(value: object) -> bool:
    if value is True or value is False:
        return value
    raise FilterTypeError(f"expected True or False, got {brief(value)}")


def _user_ids(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    items = _listed(value)
    if items is None:
        raise FilterTypeError(f"user_ids takes a list of UUIDs, got {brief(value)}")
    if not items:
        raise FilterError("user_ids takes at least one UUID; leave it out to mean all members")
    return tuple([_user_id(_id(item)) for item in items])


def _user_id(written: str) -> str:
    match = UUID_TEXT.fullmatch(written)
    if match is None:
        raise FilterError(f"user_ids: {brief(written)} is not a UUID such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")
    return written if len(written) == 36 else str(UUID(match[1]))


# ---- leaves ----------------------------------------------------------------------------------------------------------


def check_operator(leaf: LeafFilter | type[LeafFilter], _: object, operator: object) -> None:
    """Raises FilterError for an operator that the leaf's type lacks; attrs calls it as a validator."""
    allowed = OPERATORS[leaf.type]
    if operator not in allowed:
        raise FilterError(f"a {leaf.type} filter has no operator {brief(operator)}; it has {', '.join(allowed)}")


@frozen(repr=False)
class Comparison(Filter):
    """What all leaves but one share: they compare a column with a value, and print as the call that does."""

    type: ClassVar[str]
    column_id: str = field(converter=text)
    operator: str
    value: str | float | datetime | tuple[str | float, ...]

    def __repr__(self) -> str:
        items = _listed(self.value)
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        written = repr(value if items is None else list(items))
        fold = "" if getattr(self, "case_sensitive", True) else ", case_sensitive=False"
        if not self._columns_make_it():
            return f"{type(self).__name__}({self.column_id!r}, {self.operator!r}, {written}{fold})"
        if self.operator == "between":
            written = written[1:-1]
        return f"Col.{self.type}({self.column_id!r}).{self.operator}({written}{fold})"

    def _columns_make_it(self) -> bool:
        """Whether the methods of columns, which have more sense than the schema, would make this leaf."""
        operator, items = self.operator, _listed(self.value)
        if not self.column_id or not sendable(self.column_id):
            return False
        if items is None:
            return operator not in ("one_of", "not_in", "between") and sendable(self.value)
        if operator == "between":
            return len(items) == 2 and items[0] <= items[1]
        return operator in ("one_of", "not_in") and bool(items) and all(map(sendable, items))


def sendable(value: object) -> bool:
    """Whether UTF-8 has it: text with a lone surrogate can't be sent."""
    if not isinstance(value, str) or value.isascii():
        return True
    return not any("\ud800" <= char <= "\udfff" for char in value)


@final
@frozen(repr=False)
class TextFilter(Comparison):
    """A text column compared with text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["text"]] = "text"
    operator: TextOperator = field(validator=check_operator)
    value: str | tuple[str, ...] = field(converter=_text_or_texts)
    case_sensitive: bool = field(default=True, converter=_boolean)


@final
@frozen(repr=False)
class NumberFilter(Comparison):
    """A number column compared with a finite number; `between` takes two, both inclusive."""

    type: ClassVar[Literal["number"]] = "number"
    operator: NumberOperator = field(validator=check_operator)
    value: int | float | tuple[int | float, ...] = field(converter=_number_or_numbers)


@final
@frozen(repr=False)
class DateFilter(Comparison):
    """A date column compared with an instant; `value` is an aware `datetime`."""

    type: ClassVar[Literal["date"]] = "date"
    operator: DateOperator = field(validator=check_operator)
    value: datetime = field(converter=instant)


@final
@frozen(repr=False)
class BooleanFilter(Comparison):
    """A boolean column compared with True or False."""

    type: ClassVar[Literal["boolean"]] = "boolean"
    operator: BooleanOperator = field(validator=check_operator)
    value: bool = field(converter=_boolean)


@final
@frozen(repr=False)
class CollectionFilter(Comparison):
    """A collection column, such as tags, asked for text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["collection"]] = "collection"
    operator: CollectionOperator = field(validator=check_operator)
    value: str | tuple[str, ...] = field(converter=_text_or_texts)
    case_sensitive: bool = field(default=True, converter=_boolean)


@final
@frozen(repr=False)
class IdFilter(Comparison):
    """An id column compared with ids, held as text; `one_of` and `not_in` take several."""

    type: ClassVar[Literal["id"]] = "id"
    operator: IdOperator = field(validator=check_operator)
    value: str | tuple[str, ...] = field(converter=_id_or_ids)


@final
@frozen(repr=False)
class FullyAnnotatedFilter(Filter):
    """Sessions that the members of an annotation queue have rated; `user_ids` names the members, None means all."""

    type: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    column_id: ClassVar[Literal["fully_annotated"]] = "fully_annotated"
    user_ids: tuple[str, ...] | None = field(default=None, converter=_user_ids)

    def __repr__(self) -> str:
        return f"FullyAnnotatedFilter({'' if self.user_ids is None else f'user_ids={list(self.user_ids)}'})"


LeafFilter: TypeAlias = (
    TextFilter | NumberFilter | DateFilter | BooleanFilter | CollectionFilter | IdFilter | FullyAnnotatedFilter
)
LEAVES: dict[str, type[LeafFilter]] = {leaf.type: leaf for leaf in get_args(LeafFilter)}


# ---- nodes -----------------------------------------------------------------------------------------------------------


def _filter(value: object) -> Filter:
    if isinstance(value, Filter):
        return value
    raise FilterTypeError(f"expected a filter, got {brief(value)}")


def _filters(value: object) -> tuple[Filter, ...]:
    if isinstance(value, Filter) or not isinstance(value, Iterable):
        raise FilterTypeError(f"expected a list of filters, got {brief(value)}")
    return tuple([_filter(item) for item in cast("Iterable[object]", value)])


@frozen(repr=False)
class _Node(Filter):
    """What `And`, `Or` and `Not` share: how deep and large they are, which is asked more often than they are made."""

    depth: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]  # read-only all the same
    size: int = field(init=False, eq=False)  # pyright: ignore[reportIncompatibleMethodOverride]

    def _measure(self, depth: int, size: int) -> None:
        if depth > MAX_DEPTH:
            raise FilterTooLargeError(
                f"this filter would be {depth} levels deep; {MAX_DEPTH} is the most. "
                "all_of([...]) and any_of([...]) put any number of filters on one level"
            )
        if size > MAX_LEAVES:
            raise FilterTooLargeError(
                f"this filter would have {size:,} leaves; {MAX_LEAVES:,} is the most. "
                "Many values of one column fit into one leaf: one_of([...])"
            )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "size", size)


@frozen(repr=False)
class _Branch(_Node):
    """What `And` and `Or` share: any number of children."""

    _words: ClassVar[tuple[str, str, str]]
    """What it prints as: the empty one's name, the operator, the function."""
    children: tuple[Filter, ...] = field(converter=_filters)

    def __attrs_post_init__(self) -> None:
        depth = 1 + max([child.depth for child in self.children], default=0)
        self._measure(depth, sum([child.size for child in self.children]) or 1)

    @classmethod
    def joined(cls, children: tuple[Filter, ...], depth: int, size: int) -> Self:
        """What the constructor makes, without looking at each child again: `&=` in a loop would be quadratic."""
        node = cls.__new__(cls)
        node._measure(depth, size)
        object.__setattr__(node, "children", children)
        return node

    def __repr__(self) -> str:
        empty, operator, function = self._words
        if not self.children:
            return empty
        if not self.operators_make_it():
            return f"{type(self).__name__}({list(self.children)!r})"
        if len(self.children) > _INFIX:
            return f"{function}({list(self.children)!r})"
        return f" {operator} ".join([_operand_repr(child) for child in self.children])

    def operators_make_it(self) -> bool:
        """Whether `&` and `|`, which flatten and fold, would leave the children as they are."""
        children = self.children
        return len(children) > 1 and not any(type(child) is type(self) or _is_empty(child) for child in children)


@final
@frozen(repr=False)
class And(_Branch):
    """All of the children hold. Made as written: the constructor neither flattens nor folds."""

    _words = ("ALWAYS", "&", "all_of")


@final
@frozen(repr=False)
class Or(_Branch):
    """At least one of the children holds. Made as written: the constructor neither flattens nor folds."""

    _words = ("NEVER", "|", "any_of")


@final
@frozen(repr=False)
class Not(_Node):
    """The child doesn't hold. Made as written: only `~` removes a double negation."""

    child: Filter = field(converter=_filter)

    def __attrs_post_init__(self) -> None:
        self._measure(1 + self.child.depth, self.child.size)

    def __repr__(self) -> str:
        if isinstance(self.child, Not) or _is_empty(self.child):
            return f"Not({self.child!r})"
        return f"~{_operand_repr(self.child)}"


def _is_empty(node: Filter) -> bool:
    """Whether it is ALWAYS or NEVER, by structure."""
    return isinstance(node, _Branch) and not node.children


def _operand_repr(operand: Filter) -> str:
    """An operand of `&`, `|` or `~`: in parentheses where it prints with an infix of its own."""
    infix = isinstance(operand, _Branch) and operand.operators_make_it() and len(operand.children) <= _INFIX
    return f"({operand!r})" if infix else repr(operand)


def _join_two(kind: type[And | Or], left: Filter, right: Filter, symbol: str) -> Filter:
    """Like `_join`, but growing by a leaf, as `f &= leaf` does in a loop, copies the children once only."""
    if isinstance(left, kind) and left.children and isinstance(right, Filter) and not isinstance(right, _Branch):
        children = left.children + (right,)  # noqa: RUF005  # a third faster than unpacking
        return kind.joined(children, max(left.depth, right.depth + 1), left.size + right.size)
    return _join(kind, (left, right), symbol)


def _join(kind: type[And | Or], parts: Iterable[Filter], symbol: str) -> Filter:
    """The parts under one connective: its own kind flattened, ALWAYS and NEVER folded away."""
    children: list[Filter] = []
    kept: list[Filter] = []
    absorbing: Filter | None = None
    depth = size = 0
    for part in parts:
        if isinstance(part, kind):
            if not part.children:
                continue
            children.extend(part.children)
            depth = max(depth, part.depth)
        elif isinstance(part, _Branch) and not part.children:
            absorbing = part
            continue
        elif isinstance(part, Filter):
            children.append(part)
            depth = max(depth, part.depth + 1)
        else:
            raise operand_error(part, symbol)
        size += part.size
        kept.append(part)
    if absorbing is not None:
        return absorbing
    if len(kept) == 1:
        return kept[0]
    return kind.joined(tuple(children), depth or 1, size or 1)


ALWAYS: Filter = And(())
"""No condition: the empty `And`. It folds away in `&`, `|` and `~`; a query for it sends no filter."""

NEVER: Filter = Or(())
"""No session: the empty `Or`. It folds away in `&`, `|` and `~`; a query for it is refused."""


def all_of(filters: Iterable[Filter]) -> Filter:
    """
    All of the filters hold, like the builtin `all`.

    Returns:
        `ALWAYS` for none, the filter itself for one, else one flat `And`.

    Raises:
        FilterTypeError: if one of them is no filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    return _join(And, _several(filters, "all_of"), "&")


def any_of(filters: Iterable[Filter]) -> Filter:
    """
    At least one of the filters holds, like the builtin `any`.

    Returns:
        `NEVER` for none, the filter itself for one, else one flat `Or`.

    Raises:
        FilterTypeError: if one of them is no filter.
        FilterTooLargeError: if the result would have more than 10,000 leaves or 100 levels.
    """
    return _join(Or, _several(filters, "any_of"), "|")


def _several(filters: Iterable[Filter], function: str) -> Iterable[Filter]:
    if isinstance(filters, Filter):
        raise FilterTypeError(f"{function} takes one list of filters: write {function}([a, b]), not {function}(a)")
    if not isinstance(filters, Iterable):
        raise FilterTypeError(f"{function} takes a list of filters, got {brief(filters)}")
    return filters
