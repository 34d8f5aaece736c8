"""
The words: columns, whose comparisons make filters.

`Col("score")` infers the filter type from the value.
`Col.number("score")` states it, and has only the operators that the API gives this type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Generic, Never, NoReturn, SupportsFloat, TypeAlias, TypeVar, final
from uuid import UUID
from warnings import warn

from attrs import field, frozen

from galileo_sessions.errors import FilterError, FilterTypeError, QueueScopedFilterWarning, brief
from galileo_sessions.filters import coercion as leaves
from galileo_sessions.filters.nodes import OPERATORS, Filter, FullyAnnotatedFilter, operand_error, sendable, text

Number: TypeAlias = int | float | Decimal | SupportsFloat
Texts: TypeAlias = list[str] | tuple[str, ...] | AbstractSet[str]  # not Iterable[str], for a lone str is one
Ids: TypeAlias = list[UUID] | list[str] | list[UUID | str] | tuple[UUID | str, ...] | AbstractSet[UUID | str]

Day: TypeAlias = date | str

V = TypeVar("V")
Vs = TypeVar("Vs")

_SUGAR = {"boolean": ("is_true", "is_false"), "date": ("between", "on")}
_METHODS: dict[str | None, tuple[str, ...]] = {kind: (*OPERATORS[kind], *_SUGAR.get(kind, ())) for kind in OPERATORS}
_METHODS[None] = tuple(dict.fromkeys(name for methods in _METHODS.values() for name in methods))
_SYMBOLS = {"ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _check_column_id(_: object, __: object, value: str) -> None:
    if type(value) is str and value and value.isascii():  # the most frequent first
        return
    if not isinstance(value, str):
        raise FilterTypeError(f"a column id is text, got {brief(value)}")
    if not value:
        raise FilterError('a column id can\'t be empty. Write the id of a column, such as Col("input")')
    if not sendable(value):
        raise FilterError(f"the column id {brief(value)} has a lone surrogate, which can't be sent as UTF-8")


def _lacking(name: str) -> Callable[[_Column, object], Never]:
    def refuse(self: _Column, _: object) -> Never:
        raise FilterTypeError(_no_such_method(self, name))

    return refuse


@frozen(eq=False, repr=False)
class _Column:
    """What all columns share: an id, and guards, for a column alone is no condition."""

    column_id: str = field(validator=_check_column_id)
    filter_type: ClassVar[str | None] = None

    def __repr__(self) -> str:
        return f"Col{'.' if self.filter_type else ''}{self.filter_type or ''}({text(self.column_id)!r})"

    def _leaf(self, operator: str, value: object, case_sensitive: object = True) -> Filter:
        filter_type = self.filter_type or leaves.inferred(self, operator, value)
        return leaves.leaf(self, filter_type, operator, value, case_sensitive)

    def __and__(self, other: Never) -> NoReturn:
        raise operand_error(self, "&")

    def __or__(self, other: Never) -> NoReturn:
        raise operand_error(self, "|")

    __rand__ = __and__
    __ror__ = __or__

    def __bool__(self) -> Never:
        raise self._no_condition("if, and, or, not, in")

    if TYPE_CHECKING:
        __hash__: ClassVar[None]  # type: ignore[assignment]  # a set would look up, not ask
    else:  # what type checkers shall reject, and those without one shall have explained

        def __invert__(self):
            raise self._no_condition("~")

        def __hash__(self):
            raise FilterTypeError(
                f"looking {brief(self)} up in a set or a dict asks Python, not the service. "
                f"For 'one of these values' write {brief(self)}.one_of([...])"
            )

        def __contains__(self, item):
            column, value = brief(self), brief(item)
            raise FilterTypeError(
                f"`{value} in {column}` asks Python, not the service. Write {column}.contains({value}), "
                f"or Col.collection({brief(self.column_id)}).contains({value}) for a collection such as tags"
            )

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            raise AttributeError(_no_such_method(self, name), name=name)  # with obj, Python would add a guess

        __ne__, __gt__, __ge__, __lt__, __le__ = map(_lacking, _SYMBOLS)

    def _no_condition(self, where: str) -> FilterTypeError:
        return FilterTypeError(
            f"{brief(self)} is a column, not yet a filter, so it can't stand with {where}. "
            f"Compare it first: {brief(self)}.eq(...), or Col.boolean({brief(self.column_id)}).is_true()"
        )


def _no_such_method(column: _Column, name: str) -> str:
    has, written, column_id = _METHODS[column.filter_type], brief(column), brief(column.column_id)
    asked = f"{name} ({_SYMBOLS[name]})" if name in _SYMBOLS else name[:80]
    message = f"{written} has no {asked}; it has {', '.join(has)}"
    if name == "ne":
        return f"{message}. Write {written}.not_in([...]) or ~{written}.eq(...)"
    homes = [kind for kind in OPERATORS if name in _METHODS[kind]]
    if homes:
        return f"{message}. Write " + " or ".join(f"Col.{kind}({column_id}).{name}(...)" for kind in homes)
    import difflib  # noqa: PLC0415  # for mistakes alone

    close = difflib.get_close_matches(name[:80], has, n=1)
    return f"{message}. Did you mean {close[0]}?" if close else message


class _Equality(_Column, Generic[V]):
    """eq and ne, as methods and as == and !=."""

    __slots__ = ()

    def eq(self, value: V) -> Filter:
        """The session's value is `value`."""
        return self._leaf("eq", value)

    def ne(self, value: V) -> Filter:
        """The session's value isn't `value`."""
        return self._leaf("ne", value)

    def __eq__(self, other: V) -> Filter:  # type: ignore[override]  # a comparison makes a filter
        return self._leaf("eq", other)

    def __ne__(self, other: V) -> Filter:  # type: ignore[override]  # as above
        return self._leaf("ne", other)

    if TYPE_CHECKING:
        __hash__: ClassVar[None]  # pyright: ignore[reportIncompatibleMethodOverride]  # as in _Column
    else:
        __hash__ = _Column.__hash__  # which a class that defines == doesn't inherit


class _Ordering(_Column, Generic[V]):
    """gt, gte, lt and lte, as methods and as > >= < <=."""

    __slots__ = ()

    def gt(self, value: V) -> Filter:
        """The session's value is greater than `value`, or later."""
        return self._leaf("gt", value)

    def gte(self, value: V) -> Filter:
        """The session's value is `value`, or greater, or later."""
        return self._leaf("gte", value)

    def lt(self, value: V) -> Filter:
        """The session's value is less than `value`, or earlier."""
        return self._leaf("lt", value)

    def lte(self, value: V) -> Filter:
        """The session's value is `value`, or less, or earlier."""
        return self._leaf("lte", value)

    __gt__ = gt
    __ge__ = gte
    __lt__ = lt
    __le__ = lte


class _Text(_Column, Generic[V, Vs]):
    """eq, contains, one_of and not_in, each with `case_sensitive`."""

    __slots__ = ()

    def eq(self, value: V, *, case_sensitive: bool = True) -> Filter:
        """The session's value is `value`."""
        return self._leaf("eq", value, case_sensitive)

    def contains(self, value: V, *, case_sensitive: bool = True) -> Filter:
        """The session's text has `value` in it; a collection has it as a member."""
        return self._leaf("contains", value, case_sensitive)

    def one_of(self, values: Vs, *, case_sensitive: bool = True) -> Filter:
        """The session's value is one of `values`, of which there is at least one."""
        return self._leaf("one_of", leaves.listed(values), case_sensitive)

    def not_in(self, values: Vs, *, case_sensitive: bool = True) -> Filter:
        """The session's value is none of `values`, of which there is at least one."""
        return self._leaf("not_in", leaves.listed(values), case_sensitive)

    def __eq__(self, other: V) -> Filter:  # type: ignore[override]  # a comparison makes a filter
        return self._leaf("eq", other)

    if TYPE_CHECKING:
        __hash__: ClassVar[None]  # pyright: ignore[reportIncompatibleMethodOverride]  # as in _Column
    else:
        __hash__ = _Column.__hash__  # which a class that defines == doesn't inherit


@final
class TextCol(_Text[str, Texts]):
    """A text column, `Col.text("input")`: eq, ne, contains, one_of, not_in."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "text"

    def ne(self, value: str, *, case_sensitive: bool = True) -> Filter:
        """The session's value isn't `value`."""
        return self._leaf("ne", value, case_sensitive)

    def __ne__(self, other: str) -> Filter:  # type: ignore[override]  # a comparison makes a filter
        return self._leaf("ne", other)


@final
class CollectionCol(_Text[str, Texts]):
    """A collection column, `Col.collection("tags")`: eq, contains, one_of, not_in; the API has no ne for it."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "collection"

    if TYPE_CHECKING:

        def __ne__(self, other: Never) -> Never:  # type: ignore[override]  # rejects !=
            ...


@final
class NumberCol(_Equality[Number], _Ordering[Number]):
    """A number column, `Col.number("score")`: eq, ne, gt, gte, lt, lte, between."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "number"

    def between(self, *bounds: *tuple[Number, Number]) -> Filter:
        """The session's value lies between two numbers, the lower one first, both included."""
        return leaves.between_numbers(self, bounds)


@final
class DateCol(_Equality[datetime | str], _Ordering[datetime | str]):
    """A date column, `Col.date("created_at")`: eq, ne, gt, gte, lt, lte, between, on."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "date"

    def between(self, *bounds: *tuple[datetime | str, datetime | str]) -> Filter:
        """The session's instant lies between two, the earlier one first, both included: two leaves."""
        return leaves.between_dates(self, bounds)

    def on(self, day: Day, *, tz: tzinfo) -> Filter:
        """
        The session's instant lies on a calendar day: from its midnight in `tz` to before the next, two leaves.

        Args:
            day: A `date`, or its text such as "2026-01-31".
            tz: The time zone whose day is meant, such as `timezone.utc`.
        """
        return leaves.on_day(self, day, tz)


@final
class BooleanCol(_Equality[bool]):
    """A boolean column, `Col.boolean("is_complete")`: eq, ne, is_true, is_false."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "boolean"

    def is_true(self) -> Filter:
        """The session's value is true."""
        return self._leaf("eq", value=True)

    def is_false(self) -> Filter:
        """The session's value is false."""
        return self._leaf("eq", value=False)


@final
class IdCol(_Equality[UUID | str]):
    """An id column, `Col.id("id")`: eq, ne, contains, one_of, not_in."""

    __slots__ = ()
    filter_type: ClassVar[str | None] = "id"

    def contains(self, value: UUID | str) -> Filter:
        """The session's id has `value` in it."""
        return self._leaf("contains", value)

    def one_of(self, values: Ids) -> Filter:
        """The session's id is one of `values`, of which there is at least one."""
        return self._leaf("one_of", leaves.listed(values))

    def not_in(self, values: Ids) -> Filter:
        """The session's id is none of `values`, of which there is at least one."""
        return self._leaf("not_in", leaves.listed(values))


@final
class Col(_Text[Number | datetime | UUID | str, Texts | Ids], _Ordering[Number | datetime]):
    """
    A column whose filter type is inferred from each value.

    `bool` makes a boolean filter, a real number a number filter, an aware `datetime` a date filter,
    a `UUID` or a list of them an id filter, `str` or a list of them a text filter.
    Collections can't be told from text: write `Col.collection("tags")`.

    Raises:
        FilterError: from each method, for a value that could not mean what was written.
    """

    __slots__ = ()
    text = TextCol
    number = NumberCol
    date = DateCol
    boolean = BooleanCol
    collection = CollectionCol
    id = IdCol

    def ne(self, value: Number | datetime | UUID | str, *, case_sensitive: bool = True) -> Filter:
        """The session's value isn't `value`."""
        return self._leaf("ne", value, case_sensitive)

    def __ne__(self, other: Number | datetime | UUID | str) -> Filter:  # type: ignore[override]  # makes a filter
        return self._leaf("ne", other)

    def between(self, *bounds: *tuple[Number | datetime, Number | datetime]) -> Filter:
        """The session's number or instant lies between two, the lower one first, both included."""
        dates = any(leaves.filter_type_of(bound) == "date" for bound in bounds)
        return leaves.between_dates(self, bounds) if dates else leaves.between_numbers(self, bounds)

    def on(self, day: Day, *, tz: tzinfo) -> Filter:
        """The session's instant lies on a calendar day in `tz`: two date leaves."""
        return leaves.on_day(self, day, tz)

    def is_true(self) -> Filter:
        """The session's value is true: a boolean leaf."""
        return self._leaf("eq", value=True)

    def is_false(self) -> Filter:
        """The session's value is false: a boolean leaf."""
        return self._leaf("eq", value=False)


def fully_annotated(user_ids: Iterable[UUID | str] | None = None) -> Filter:
    """
    Sessions that the members of an annotation queue have rated.

    The API's document says that this filter works only in searches that come from an annotation queue,
    so it warns with `QueueScopedFilterWarning`.

    Args:
        user_ids: The members whose rating is asked for, at least one; None means all that the key may see.
    """
    warn(
        "fully_annotated works only in searches of an annotation queue; counting sessions gives it no queue",
        QueueScopedFilterWarning,
        stacklevel=2,
    )
    ids = leaves.items_of(user_ids)
    return FullyAnnotatedFilter(user_ids if ids is None else ids)
