"""
Finds conditions that no session satisfies together, such as `(score > 5) & (score < 3)`; and those
of which each session with the column satisfies one, such as `(score > 3) | (score < 5)`.

The values of a column fall into cells, within which the conditions tell no value from another: each
value that they mention, and the values between, below and above. A set of cells is an `int`, with a
bit for each. If conditions have no cell in common, no value satisfies them together.

What can't be judged, such as `contains` on values that aren't mentioned, counts as true and as
false. So it hides nothing else, and never makes a contradiction.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import reduce
from itertools import accumulate, chain, islice
from typing import Any, cast

from attrs import frozen

from galileo_sessions.details import Issue
from galileo_sessions.display import brief
from galileo_sessions.filters.matching import folded
from galileo_sessions.filters.nodes import (
    And,
    CollectionFilter,
    Comparison,
    Filter,
    IdFilter,
    Not,
    Or,
    TextFilter,
    all_of,
    any_of,
)
from galileo_sessions.filters.tree import failed_check, key_of, leaves_of, walk
from galileo_sessions.filters.values import UUID_TEXT, values_of

_MOST = 100_000  # cells of a column, times the leaves that are tried in each
_FEW = 5  # conditions that a message can show


def check_for_contradictions(where: Filter) -> None:
    """
    Refuses a filter with conditions that no session satisfies together.

    Raises:
        FilterCheckError: with an issue for each `and` or `not` that has such conditions.
    """
    said = "no session can satisfy {}; join by | if one condition is enough"
    issues = _issues(where, And, contradiction_in, "contradiction", said)
    if issues:
        what = "a part of the filter" if contradiction_in(where) is None else "the filter"
        raise failed_check(where, f"{what} contradicts itself", issues)


def check_for_tautologies(where: Filter) -> None:
    """
    Refuses a filter with conditions of which each session that has the column satisfies one.

    It accepts `x | ~x`, which asks whether a session has a value.

    Raises:
        FilterCheckError: with an issue for each `or` or `not` that has such conditions.
    """
    said = (
        "each session with the column satisfies {}; join by & if all conditions are meant, or "
        "write x | ~x for any value"
    )
    issues = _issues(where, Or, tautology_in, "tautology", said)
    if issues:
        raise failed_check(where, "a part of the filter excludes no value", issues)


def _issues(
    where: Filter,
    kind: type[And | Or],
    find: Callable[[Filter], Filter | None],
    code: str,
    said: str,
) -> list[Issue]:
    return [
        Issue((*path, key_of(node)), said.format(brief(part)), code, node)
        for path, node in walk(where)
        if isinstance(node, kind | Not) and (part := find(node)) is not None
    ]


def contradiction_in(where: Filter) -> Filter | None:
    """The conditions joined by `&` that no session satisfies together; None if none are found."""
    conditions = list(_joined(where))
    found = next(_opposites(conditions), None) or _conflict(conditions)
    return all_of(found) if found else None


def tautology_in(where: Filter) -> Filter | None:
    """
    The conditions joined by `|` of which each value satisfies one; None if none are found.

    These are conditions whose negations no value satisfies together. `x` and `~x` are left out.
    """
    negated = list(_joined(where, negate=True))
    literal = set(chain.from_iterable(_opposites(negated)))
    found = _conflict([condition for condition in negated if condition not in literal])
    return any_of([~condition for condition in found]) if found else None


def _joined(where: Filter, *, negate: bool = False) -> Iterator[Filter]:
    """The conditions that `&` joins in a filter or in its negation, also in that of `a | b`."""
    if isinstance(where, Not):
        yield from _joined(where.child, negate=not negate)
    elif isinstance(where, Or if negate else And):
        for child in where.children:
            yield from _joined(child, negate=negate)
    else:
        yield ~where if negate else where


def _opposites(conditions: list[Filter]) -> Iterator[list[Filter]]:
    """For each condition whose negation is among them, too: it, and what its negation joins."""
    known = set(conditions)
    for condition in conditions:
        opposite = list(_joined(condition, negate=True))
        if known.issuperset(opposite):
            yield [condition, *opposite]


def _conflict(conditions: Iterable[Filter]) -> list[Filter]:
    """Conditions on one column that no value satisfies together, without any others; or none."""
    by_column = defaultdict[tuple[str, str], list[_Condition]](list)
    for condition in conditions:
        leaves = leaves_of(condition)
        columns = {(leaf.column_id, leaf.type) for leaf in leaves}
        if len(columns) == 1 and isinstance(leaves[0], Comparison):
            values = chain.from_iterable(map(_values, cast("tuple[Comparison, ...]", leaves)))
            by_column[columns.pop()].append(_Condition(condition, len(leaves), [*values]))
    for (_, filter_type), together in by_column.items():
        cells = _cells_by_condition(filter_type, _tried(filter_type, together))
        if cells and not reduce(int.__and__, cells.values()):
            return _shortest(cells)
    return []


@frozen
class _Condition:
    """A condition on one column."""

    where: Filter
    size: int
    values: list[Any]


def _tried(filter_type: str, together: list[_Condition]) -> list[_Condition]:
    """The conditions that take little time to try: first those with few values."""
    tried: list[_Condition] = []
    known: set[Hashable] = set()
    size = 0
    for condition in sorted(together, key=lambda each: len(each.values)):
        new = {*condition.values} - known
        count = len(known) + len(new)
        cells = 1 << count if filter_type == "collection" else count + 1
        if cells * (size + condition.size) <= _MOST:
            tried.append(condition)
            known |= new
            size += condition.size
    return tried


def _shortest(cells: Mapping[Filter, int]) -> list[Filter]:
    """
    Conditions without a common cell of which none can be spared; all of them if these are many.

    The first condition after which no cell is left is one of them; then the first after which none
    of its own cells is left, and so on.
    """
    found: list[Filter] = []
    left = -1
    while left and len(found) < _FEW:
        lefts = islice(accumulate(cells.values(), int.__and__, initial=left), 1, None)
        last = next(each for each, left in zip(cells, lefts, strict=True) if not left)
        found.append(last)
        left &= cells[last]
    return [condition for condition in cells if left or condition in found]


# ---- the cells of a column -----------------------------------------------------------------------

_BOUNDED: dict[str, Callable[[int], int]] = {
    "gt": lambda bound: -2 * bound,
    "gte": lambda bound: -bound,
    "lt": lambda bound: bound - 1,
    "lte": lambda bound: 2 * bound - 1,
}
"""By operator, the cells on one side of a bound, which is a single bit in the order of a column."""


@frozen
class _Cells:
    """The cells into which the values of a column fall."""

    every: int
    of: Mapping[Hashable, int]
    """The cells of each value that is mentioned."""
    own: Mapping[Hashable, int] = {}
    """For text, the cell of this spelling, or of the spellings that aren't mentioned themselves."""
    key: Callable[[Any], Hashable] = lambda value: value
    """What stands for a value in `of`."""

    def where(self, condition: Filter, *, negate: bool = False) -> int:
        """The cells in which a condition, or its negation, can be true."""
        if isinstance(condition, Not):
            return self.where(condition.child, negate=not negate)
        if isinstance(condition, And | Or):
            cells = [self.where(child, negate=negate) for child in condition.children]
            if isinstance(condition, Or if negate else And):
                return reduce(int.__and__, cells, self.every)
            return reduce(int.__or__, cells, 0)
        true, false = self._judged(cast("Comparison", condition))
        return false if negate else true

    def _judged(self, leaf: Comparison) -> tuple[int, int]:
        """The cells in which a leaf can be true, and those in which it can be false."""
        if isinstance(leaf, TextFilter | IdFilter) and leaf.operator == "contains":
            return self._searched(leaf)
        every = self.every
        match leaf.operator, [self.of[self.key(value)] for value in _values(leaf)]:
            case ("eq" | "contains", [true]):
                pass
            case ("ne", [false]):
                true = every ^ false
            case ("one_of", several):
                true = reduce(int.__or__, several, 0)
            case ("not_in", several):
                true = every ^ reduce(int.__or__, several, 0)
            case ("between", [low, high]):
                true = -low & 2 * high - 1
            case (bounded, [bound]) if bounded in _BOUNDED:
                true = every & _BOUNDED[bounded](bound)
            case _:  # the API doesn't document it
                return every, every
        return true, every ^ true

    def _searched(self, leaf: TextFilter | IdFilter) -> tuple[int, int]:
        """The cells whose texts can contain that of a leaf, and those whose texts may not."""
        fold, wanted = folded(leaf)
        true, false = self.every, self.every
        for (is_exact, text), cell in cast("Mapping[tuple[bool, str], int]", self.own).items():
            if isinstance(leaf, IdFilter):
                is_known = UUID_TEXT.fullmatch(text) is None  # a UUID has several spellings
            else:
                is_known = is_exact or not leaf.case_sensitive
            if is_known and len(wanted) == 1:
                if wanted[0] in fold(text):
                    false ^= cell
                else:
                    true ^= cell
        return true, false


def _cells_by_condition(filter_type: str, conditions: list[_Condition]) -> dict[Filter, int]:
    """For each condition, the cells in which it can be true."""
    values = [value for condition in conditions for value in condition.values]
    match filter_type:
        case "boolean":
            orders = [_Cells(0b11, {False: 0b01, True: 0b10})]
        case "date" | "number":
            orders = [_in_order(values)]
        case _:
            orders = [_of_texts(values, are_members=filter_type == "collection")]
    if filter_type == "number" and any(abs(value) > 2**53 for value in values):
        # To a Decimal, a float is the number that is written, so that integers as large as these
        # can have another order beside floats.
        orders.append(_in_order(values, _as_written))
    found = dict.fromkeys([condition.where for condition in conditions], 0)
    for cells in orders:
        for where in found:
            found[where] = found[where] << cells.every.bit_length() | cells.where(where)
    return found


def _values(leaf: Comparison) -> list[Hashable]:
    """What a leaf compares with, each text with whether its case matters; not what it searches."""
    match leaf:
        case CollectionFilter(operator="eq"):
            return []
        case TextFilter() | IdFilter() if leaf.operator == "contains":
            return []
        case TextFilter() | CollectionFilter() | IdFilter():
            is_exact = getattr(leaf, "case_sensitive", False)
            return [(is_exact, text) for text in folded(leaf)[1]]
        case _:
            return [*values_of(leaf.value)]


def _in_order(values: Iterable[Any], key: Callable[[Any], Any] = lambda value: value) -> _Cells:
    """
    A cell for each number or instant, and cells between, below and above them.

    There are values between any two: a Decimal, or an instant with nanoseconds.
    """
    bounds = sorted({key(value) for value in values})
    of = {bound: 2 << 2 * i for i, bound in enumerate(bounds)}
    return _Cells((2 << 2 * len(bounds)) - 1, of, key=key)


def _as_written(value: float) -> Decimal:
    return Decimal(repr(value))


def _of_texts(values: Iterable[Any], *, are_members: bool) -> _Cells:
    """
    A cell for each text, and one for all others.

    A text whose case doesn't matter stands for its spellings that aren't mentioned themselves. Of a
    collection, each set of these texts has a cell.
    """
    texts = list(dict.fromkeys(values))
    if are_members:
        every = (1 << (1 << len(texts))) - 1
        sizes = [1 << i for i in range(len(texts))]
        own = {
            text: every // ((1 << size) + 1) << size
            for text, size in zip(texts, sizes, strict=True)
        }
    else:
        every = (2 << len(texts)) - 1
        own = {text: 1 << i for i, text in enumerate(texts)}
    of = dict(own)
    for is_exact, text in texts:
        if is_exact and (False, text.casefold()) in of:
            of[False, text.casefold()] |= own[is_exact, text]
    return _Cells(every, of, own)
