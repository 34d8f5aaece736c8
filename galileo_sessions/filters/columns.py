"""
Columns, whose comparisons make filters.

`Col("score")` infers the filter type from the value.
`Col.number("score")` states the type, and has only the operators that the API defines for it.
"""

from collections.abc import Generator, Iterable
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Never,
    SupportsFloat,
    TypeAlias,
    TypeVar,
    cast,
    final,
)
from uuid import UUID
from warnings import warn

from attrs import field, frozen

from galileo_sessions.display import brief
from galileo_sessions.errors import (
    DateAsTextWarning,
    FilterError,
    FilterTypeError,
    QueueScopedFilterWarning,
    with_hint,
)
from galileo_sessions.filters import advice, filter_types, partitions
from galileo_sessions.filters.calendar import NO_ZONE, Unit, as_day, bounds, last_period, period
from galileo_sessions.filters.filter_types import (
    LIST_OPERATORS,
    PERIODS,
    RANGE_OPERATORS,
    FilterType,
    filter_type_of,
)
from galileo_sessions.filters.nodes import (
    LEAVES,
    Comparison,
    DateFilter,
    Filter,
    FullyAnnotatedFilter,
)
from galileo_sessions.filters.partitions import Partition
from galileo_sessions.filters.values import Several, as_text, check_order, expected, sendable

__all__ = [
    "BooleanCol",
    "Col",
    "CollectionCol",
    "DateCol",
    "IdCol",
    "NumberCol",
    "TextCol",
    "fully_annotated",
]

NO_QUEUE = (
    "fully_annotated works only in searches of an annotation queue; a count of sessions isn't one"
)

Number: TypeAlias = int | float | Decimal | SupportsFloat
Texts: TypeAlias = Several[str] | AbstractSet[str]  # not Iterable[str], because a lone str is one
Id: TypeAlias = UUID | str
Ids: TypeAlias = Several[Id] | AbstractSet[Id]
Instant: TypeAlias = datetime | str
Value: TypeAlias = Number | datetime | UUID | str
Day: TypeAlias = date | str
Zone: TypeAlias = tzinfo | str | None
Length: TypeAlias = str | timedelta | None
Ordered: TypeAlias = Number | datetime

# What `eq` takes, what `contains` takes, what `one_of` takes, and what `gt` takes.
V = TypeVar("V")
Vc = TypeVar("Vc")
Vs = TypeVar("Vs")
Vo = TypeVar("Vo")


def _refused(
    error: FilterError, column: advice.Column, method: str, *arguments: Any
) -> FilterError:
    """The error with the call of the column's method, and with what to write instead."""
    if method not in (*PERIODS, *FilterType.DATE.partitions) and not error.hint:
        values = arguments
        if method in (*LIST_OPERATORS, "values") and isinstance(
            arguments[0], list | tuple | AbstractSet
        ):
            values = tuple(cast("Iterable[Any]", arguments[0])) or arguments
        hints = (advice.instead(column, method, value, values) for value in values)
        error.hint = next(filter(None, hints), "")
    error.call = f"{brief(column)}.{method}({', '.join(map(brief, arguments))})"
    return error.with_traceback(None)


@contextmanager
def _calling(column: advice.Column, method: str, *arguments: Any) -> Generator[None, None, None]:
    """Wraps a call of a column's method, with which errors begin."""
    try:
        yield
    except FilterError as error:
        raise _refused(error, column, method, *arguments) from None
    except OverflowError:
        problem = FilterError("the day before or after is out of range: years go from 1 to 9999")
        raise _refused(problem, column, method, *arguments) from None


def _no_operator(column: advice.Column, method: str) -> FilterTypeError:
    """The error for Python's operator on a column that doesn't have its method."""
    problem, hint = advice.no_such_method(column, method)
    return FilterTypeError(problem, hint=hint)


def _check_column_id(_: object, __: object, value: str) -> None:
    if not isinstance(value, str):
        raise FilterTypeError(f"a column id must be text, got {brief(value)}")
    if not value:
        raise FilterError(
            "a column id can't be empty", hint='Write the id of a column, such as Col("input")'
        )
    if not sendable(value):
        raise FilterError(f"the column id {brief(value)}: {filter_types.NOT_SENDABLE}")


@frozen(eq=False, repr=False)
class _Column(Generic[V]):
    """
    The base of all columns: an id, and methods that raise, because a column alone isn't a
    condition.
    """

    filter_type: ClassVar[FilterType | None] = None
    """
    The API's name of the type that its filters have; None for `Col`, which infers it from each
    value.
    """
    column_id: str = field(validator=_check_column_id)
    """
    The column's id in the API, such as "input" or "metrics/toxicity"; any text but the empty one.
    """

    def __repr__(self) -> str:
        name = "Col" if self.filter_type is None else f"Col.{self.filter_type}"
        return f"{name}({as_text(self.column_id)!r})"

    def _leaf(self, operator: str, value: object, case_sensitive: object = True) -> Filter:
        try:
            if operator in LIST_OPERATORS:  # a generator can't be read again
                value = filter_types.checked_items(operator, value)
            make: Any = LEAVES[self.filter_type or _inferred_type(operator, value)]
            if case_sensitive is True:  # only leaves for text have the argument
                leaf: Comparison = make(self.column_id, operator, value)
            else:
                leaf = make(self.column_id, operator, value, case_sensitive=case_sensitive)
            filter_types.check_comparison(operator, leaf.value)
        except FilterError as error:  # not a `with`, which would double the time
            shown: Any = value if operator in RANGE_OPERATORS else (value,)
            if operator in LIST_OPERATORS and isinstance(value, tuple):
                shown = ([*cast("tuple[object, ...]", value)],)
            raise _refused(error, self, operator, *shown) from None
        if self.filter_type is None and isinstance(value, str) and operator != "contains":
            said = advice.date_as_text(self, operator, value)
            if said:
                warn(said, DateAsTextWarning, stacklevel=3)
        return leaf

    def __eq__(self, other: V) -> Filter:  # type: ignore[override]  # a comparison makes a filter
        return self._leaf("eq", other)

    def __ne__(self, other: V) -> Filter:  # type: ignore[override]  # a comparison makes a filter
        return self._leaf("ne", other)

    def __and__(self, other: Never) -> Never:
        raise advice.expected_filter(self, "&")

    def __or__(self, other: Never) -> Never:
        raise advice.expected_filter(self, "|")

    __rand__ = __and__
    __ror__ = __or__

    def __bool__(self) -> Never:
        raise advice.expected_filter(self)

    if TYPE_CHECKING:
        __hash__: ClassVar[None]  # type: ignore[assignment]  # Python sets it to None, because of __eq__
    else:  # type checkers reject these; at run time, their errors say what to write instead

        def __invert__(self):
            raise advice.expected_filter(self, "~")

        def __contains__(self, value):
            raise advice.instead_of_in(self, value)

        def __gt__(self, other):
            raise _no_operator(self, "gt")

        def __ge__(self, other):
            raise _no_operator(self, "gte")

        def __lt__(self, other):
            raise _no_operator(self, "lt")

        def __le__(self, other):
            raise _no_operator(self, "lte")

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            # With obj=, Python would add a suggestion of its own.
            raise AttributeError(with_hint(*advice.no_such_method(self, name)), name=name)


class _Equality(_Column[V]):
    """A column that has eq and ne, as methods and as == and !=."""

    def eq(self, value: V) -> Filter:
        """The session's value is `value`."""
        return self._leaf("eq", value)

    def ne(self, value: V) -> Filter:
        """The session's value isn't `value`."""
        return self._leaf("ne", value)


class _Text(_Column[V], Generic[V, Vc, Vs]):
    """A column that has eq, contains, one_of and not_in, each with `case_sensitive`."""

    def eq(self, value: V, *, case_sensitive: bool = True) -> Filter:
        """The session's value is `value`."""
        return self._leaf("eq", value, case_sensitive)

    def contains(self, value: Vc, *, case_sensitive: bool = True) -> Filter:
        """The session's text contains `value`, or its collection has it as a member."""
        return self._leaf("contains", value, case_sensitive)

    def one_of(self, values: Vs, *, case_sensitive: bool = True) -> Filter:
        """
        The session's value is one of `values`: a list, a tuple or a set, which can't be empty.
        """
        return self._leaf("one_of", values, case_sensitive)

    def not_in(self, values: Vs, *, case_sensitive: bool = True) -> Filter:
        """
        The session's value is none of `values`: a list, a tuple or a set, which can't be empty.
        """
        return self._leaf("not_in", values, case_sensitive)


class _UnequalText(_Text[V, Vc, Vs]):
    """A column that has the operators of `_Text` and ne, each with `case_sensitive`."""

    def ne(self, value: V, *, case_sensitive: bool = True) -> Filter:
        """The session's value isn't `value`."""
        return self._leaf("ne", value, case_sensitive)


class _Ordering(_Column[V], Generic[V, Vo]):
    """A column that has gt, gte, lt and lte, as methods and as > >= < <=."""

    def gt(self, value: Vo) -> Filter:
        """
        The session's value is greater than `value`, as with `column > value`. A later instant is
        greater.
        """
        return self._leaf("gt", value)

    def gte(self, value: Vo) -> Filter:
        """The session's value is `value` or greater, as with `column >= value`."""
        return self._leaf("gte", value)

    def lt(self, value: Vo) -> Filter:
        """
        The session's value is less than `value`, as with `column < value`. An earlier instant is
        less.
        """
        return self._leaf("lt", value)

    def lte(self, value: Vo) -> Filter:
        """The session's value is `value` or less, as with `column <= value`."""
        return self._leaf("lte", value)

    __gt__ = gt
    __ge__ = gte
    __lt__ = lt
    __le__ = lte


class _Time(_Column[V]):
    """A column that has on, during and last."""

    def on(self, day: Day, *, tz: tzinfo | str) -> Filter:
        """
        The session's instant is on a calendar day in `tz`. This makes two leaves.

        Args:
            day: A `date`, or its text such as "2026-01-31"; or "today" or "yesterday", which depend
                on when the filter is made.
            tz: The day's time zone: a `tzinfo` such as `timezone.utc`, or the text of a zone's name
                or UTC offset, such as "Europe/Berlin" or "+01:00".
        """
        with _calling(self, "on", day):
            first = as_day(day, tz)
            following = first + timedelta(days=1)
            return self.during(str(first), str(following), tz=tz)

    # Type checkers require tz; at run time, the error says what to write.
    on.__kwdefaults__ = {"tz": None}  # noqa: RUF012  # of the function, not of the class

    def during(self, start: Day, end: Day, *, tz: Zone = None) -> Filter:
        """
        The session's instant is from `start` to before `end`. This makes two leaves.

        Args:
            start: The first instant: an aware `datetime`, ISO 8601 text, or a `date` or text such
                as "2026-05-01", which mean the beginning of that day. A time without an offset is
                local to `tz`. "today", "yesterday", or how many days or weeks ago such as "7d" also
                mean the beginning of that day, and depend on when the filter is made, as does
                "30m" or "12h".
            end: The first instant after the period, in the same forms: "2026-05-08" for a period
                that ends with the seventh, or "today" for one that ends with yesterday, as in
                `during("7d", "today", tz="UTC")` for the last seven whole days.
            tz: The time zone of the days, as for `on`. You can omit it if both are instants: aware
                datetimes, or text with an offset.
        """
        with _calling(self, "during", start, end):
            begin, after, zone = bounds(start, end, tz)
            shown = zone or UTC
            return period(self.column_id, begin.astimezone(shown), after.astimezone(shown))

    def last(self, length: str | timedelta, *, tz: Zone = None) -> Filter:
        """
        The session's instant is in a period that ends when the filter is made. This makes two
        leaves.

        Args:
            length: Minutes, hours, days or weeks: "30m", "12h", "7d", "4w"; or a `timedelta` of at
                most 9,999 days. A day is 24 hours.
            tz: A time zone makes whole days and weeks calendar days: "7d" begins with the first
                instant of the day six days ago, and ends now.
        """
        with _calling(self, "last", length):
            return period(self.column_id, *last_period(length, tz))


@final
class TextCol(_UnequalText[str, str, Texts]):
    """A text column, such as `Col.text("input")`."""

    filter_type: ClassVar[FilterType | None] = FilterType.TEXT

    def values(self, values: Texts) -> Partition:
        """A part for each of `values`: the sessions that have it."""
        return _parts_of(self, values)


@final
class CollectionCol(_Text[str, str, Texts]):
    """
    A collection column, such as `Col.collection("tags")`, whose members are text. The API has no ne
    for it.
    """

    filter_type: ClassVar[FilterType | None] = FilterType.COLLECTION

    def values(self, values: Texts) -> Partition:
        """
        A part for each of `values`: the sessions that have it as a member. A session with two is in
        both parts.
        """
        return _parts_of(self, values)

    def __ne__(self, other: Never) -> Never:  # type: ignore[override]  # type checkers reject it
        raise _no_operator(self, "ne")


@final
class NumberCol(_Equality[Number], _Ordering[Number, Number]):
    """
    A number column, such as `Col.number("score")`.

    Numbers are finite: an `int`, a `float`, a scalar of numpy, or a `Decimal` or `Fraction` that a
    JSON number represents exactly.
    """

    filter_type: ClassVar[FilterType | None] = FilterType.NUMBER

    def between(self, low: Number, high: Number) -> Filter:
        """The session's value is between two numbers, including both."""
        return self._leaf("between", (low, high))

    def bins(self, *edges: Number) -> Partition:
        """
        One part below the first edge, one from each edge to before the next, and one from the last
        edge on.

        Args:
            edges: At least one edge, each greater than the one before it.
        """
        with _calling(self, "bins", *edges):
            return partitions.by_edges(self.column_id, edges)

    def values(self, values: Iterable[Number]) -> Partition:
        """A part for each of `values`: the sessions that have it."""
        return _parts_of(self, values)


@final
class DateCol(_Equality[Instant], _Ordering[Instant, Instant], _Time[Instant]):
    """
    A date column, such as `Col.date("created_at")`.

    An instant is an aware `datetime`, or ISO 8601 text with an offset, such as
    "2026-05-01T09:00:00+02:00".
    """

    filter_type: ClassVar[FilterType | None] = FilterType.DATE

    def between(self, low: Instant, high: Instant) -> Filter:
        """The session's instant is between two, including both. This makes two leaves."""
        return _between_instants(self, low, high)

    def hours(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        last: Length = None,
        tz: Zone = None,
    ) -> Partition:
        """
        A part for each hour, labelled "2026-05-01 09:00"; see `days`. A repeated hour's label has
        the offset.
        """
        return _by_unit(self, "hours", (start, end), last, tz)

    def days(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        last: Length = None,
        tz: Zone = None,
    ) -> Partition:
        """
        A part for each calendar day from `start` to `end`, labelled "2026-05-01".

        Each part includes its beginning but not its end, so an instant is in exactly one part. A
        day has 23 or 25 hours when the clocks change. If `start` or `end` is inside a day, that
        day's part is cut there, and keeps its label.

        Args:
            start: The first instant: an aware `datetime`, ISO 8601 text, or a `date` or text such
                as "2026-05-01", which mean the beginning of that day. A time without an offset is
                local to `tz`. "today", "yesterday", or how long ago such as "7d" depend on when the
                partition is made; the latter means the beginning of that day, or of the hour, week
                or month that the parts are.
            end: The first instant after the last part, in the same forms: "2026-06-01" for the end
                of May. The last seven whole days are `days("7d", "today", tz="UTC")`, the last four
                whole weeks `weeks("4w", "0w", tz="UTC")`.
            tz: The time zone of the days, or its name such as "Europe/Berlin", "UTC" or "+02:00".
                You can omit it if `start` and `end` are datetimes in the same time zone.
            last: Instead of `start` and `end`: how many calendar days, such as "30d", "4w" or
                `timedelta(days=30)`. The last day is today, up to now. The first part is always
                whole: `hours(last="12h")` are this hour and eleven before, `weeks(last="4w")` this
                week and three before, and `months(last="90d")` begins with the first of a month.

        Raises:
            FilterError: if `end` isn't after `start`, or there would be more than 10,000 parts.
        """
        return _by_unit(self, "days", (start, end), last, tz)

    def weeks(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        last: Length = None,
        tz: Zone = None,
    ) -> Partition:
        """
        A part for each week, labelled with its Monday, even if `start` is later in that week; see
        `days`.
        """
        return _by_unit(self, "weeks", (start, end), last, tz)

    def months(
        self,
        start: Day | None = None,
        end: Day | None = None,
        *,
        last: Length = None,
        tz: Zone = None,
    ) -> Partition:
        """A part for each calendar month, labelled "2026-05"; see `days`."""
        return _by_unit(self, "months", (start, end), last, tz)


class _Truth(_Column[V]):
    """A column that has is_true and is_false."""

    def is_true(self) -> Filter:
        """The session's value is true: a boolean leaf."""
        return self._leaf("eq", value=True)

    def is_false(self) -> Filter:
        """The session's value is false: a boolean leaf."""
        return self._leaf("eq", value=False)


@final
class BooleanCol(_Equality[bool], _Truth[bool]):
    """A boolean column, such as `Col.boolean("is_complete")`."""

    filter_type: ClassVar[FilterType | None] = FilterType.BOOLEAN

    def values(self, values: Iterable[bool] = (True, False)) -> Partition:
        """Two parts, "true" and "false"; or one of them."""
        return _parts_of(self, values)


@final
class IdCol(_Equality[Id]):
    """An id column, such as `Col.id("id")`."""

    filter_type: ClassVar[FilterType | None] = FilterType.ID

    def contains(self, value: Id) -> Filter:
        """The session's id contains `value`."""
        return self._leaf("contains", value)

    def one_of(self, values: Ids) -> Filter:
        """The session's id is one of `values`: a list, a tuple or a set, which can't be empty."""
        return self._leaf("one_of", values)

    def not_in(self, values: Ids) -> Filter:
        """The session's id is none of `values`: a list, a tuple or a set, which can't be empty."""
        return self._leaf("not_in", values)

    def values(self, values: Ids) -> Partition:
        """A part for each of `values`: the sessions that have it."""
        return _parts_of(self, values)


class _Types(type):
    """The class of `Col`: `Col.score` is an error that says how to write the column."""

    if not TYPE_CHECKING:  # pragma: no branch  # type checkers reject these themselves

        @wraps(_Column.__init__)  # the signature that help shows
        def __call__(cls, column_id, *types, **named):
            if types or named:
                raise advice.type_apart(column_id, *types, *named.values())
            return super().__call__(column_id)

        def __getattr__(cls, name):
            raise AttributeError(with_hint(*advice.no_such_type(name)), name=name)


@final
class Col(
    _UnequalText[Value, str | UUID, Ids],
    _Ordering[Value, Ordered],
    _Time[Value],
    _Truth[Value],
    metaclass=_Types,
):
    """
    A column whose filter type is inferred from each value.

    `bool` makes a boolean filter, a real number a number filter, an aware `datetime` a date filter,
    a `UUID` or a list of them an id filter, `str` or a list of them a text filter.
    A collection can't be inferred: write `Col.collection("tags")`.

    Raises:
        FilterError: from each method, if it can't take the value, such as a list for `==`.
    """

    text: ClassVar[type[TextCol]] = TextCol
    number: ClassVar[type[NumberCol]] = NumberCol
    date: ClassVar[type[DateCol]] = DateCol
    boolean: ClassVar[type[BooleanCol]] = BooleanCol
    collection: ClassVar[type[CollectionCol]] = CollectionCol
    id: ClassVar[type[IdCol]] = IdCol

    def between(self, low: Ordered, high: Ordered) -> Filter:
        """The session's number or instant is between two, including both."""
        is_date = FilterType.DATE in (filter_type_of(low), filter_type_of(high))
        return _between_instants(self, low, high) if is_date else self._leaf("between", (low, high))


def _between_instants(column: _Column[Any], low: Any, high: Any) -> Filter:
    with _calling(column, "between", low, high):
        first = DateFilter(column.column_id, "gte", low)
        last = DateFilter(column.column_id, "lte", high)
        check_order(first.value, last.value)
        return first & last


def _parts_of(column: _Column[Any], values: object) -> Partition:
    """
    A part for each value: the sessions that have it, or for a collection those with that member.
    """
    with _calling(column, "values", values):
        return partitions.by_value(column.column_id, cast("FilterType", column.filter_type), values)


def _by_unit(
    column: _Column[Any], unit: Unit, span: tuple[object, object], last: Length, tz: Zone
) -> Partition:
    """A part for each unit of time between two bounds, or of the last ones."""
    missing = [bound is None for bound in span]
    with _calling(column, unit, *(span if last is None else (last,))):
        if last is not None and all(missing):
            if tz is None:
                hint = f"Write {unit}(last={brief(last)}, tz='UTC')"
                raise FilterError(f"tz is missing: where {unit} begin {NO_ZONE}", hint=hint)
            span = last_period(last, tz, unit)
        elif last is not None or any(missing):
            raise FilterError(
                f"{unit} takes either two bounds or last=",
                hint=f'Write {unit}(start, end, tz=...), or {unit}(last="30d", tz="UTC")',
            )
        return partitions.by_time(column.column_id, unit, *span, tz)


def _inferred_type(operator: str, value: Any) -> FilterType:
    """The filter type that `Col` infers from a value, or from the items of a list."""
    if operator in LIST_OPERATORS:
        return FilterType.ID if all(isinstance(item, UUID) for item in value) else FilterType.TEXT
    if operator in RANGE_OPERATORS:
        return FilterType.NUMBER
    filter_type = filter_type_of(value)
    if filter_type and operator in filter_type.operators:
        return filter_type
    raise expected(_python_types(operator), value)


def _python_types(operator: str) -> str:
    """The types of values that an operator of `Col` takes, such as "datetime, int or float"."""
    having = [kind for kind in FilterType if operator in kind.operators]
    *others, last = [each.__name__ for kind in having for each in kind.python_types]
    return f"{', '.join(others)} or {last}"


def fully_annotated(user_ids: Iterable[UUID | str] | None = None) -> Filter:
    """
    Sessions that the members of an annotation queue have rated.

    The API's document says that this filter works only in searches of an annotation queue, so
    calling this function warns with `QueueScopedFilterWarning`.

    Args:
        user_ids: The members who must have rated a session, at least one; None means all that the
            key can see.
    """
    warn(NO_QUEUE, QueueScopedFilterWarning, stacklevel=2)
    return FullyAnnotatedFilter(user_ids)  # type: ignore[arg-type]  # it takes any iterable at run time
