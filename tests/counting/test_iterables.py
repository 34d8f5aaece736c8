"""Whatever holds several things can be passed where several are taken; what has been used up is refused."""

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from copy import copy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, islice, tee
from typing import Any, Self

import numpy as np
import pytest
from multidict import MultiDict
from support.clients import IDS

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, CountQuery, FilterError, Partition

A, B = IDS[:2]
HIGH, LOW = Col("score") > 3, Col("score") < 2


class OwnIterator:
    def __init__(self, items: list[Any]) -> None:
        self.left = deque(items)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        if not self.left:
            raise StopIteration
        return self.left.popleft()


HOLDERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "generator": lambda items: (each for each in items),
    "iterator": iter,
    "iterator of a tuple": lambda items: iter(tuple(items)),
    "map": partial(map, copy),
    "filter": lambda items: filter(lambda _: True, items),
    "map of a generator": lambda items: map(copy, (each for each in items)),
    "map of values": lambda items: map(copy, dict(enumerate(items)).values()),
    "chain": lambda items: chain(items[:1], items[1:]),
    "chain of lists": lambda items: chain.from_iterable([each] for each in items),
    "islice": lambda items: islice(items, len(items)),
    "tee": lambda items: tee(items)[0],
    "reversed": lambda items: reversed([*reversed(items)]),
    "iterator of a deque": lambda items: iter(deque(items)),
    "iterator of a function": lambda items: iter(partial(next, iter([*items, None])), None),
    "own iterator": OwnIterator,
}
ARRAYS = {"numpy": ("array", {"dtype": object}), "pandas": ("Series", {"dtype": object}), "polars": ("Series", {})}
ARRAYS["pyarrow"] = ("array", {})
HOLDERS |= {
    module: partial(getattr(import_module(module), name), **more)
    for module, (name, more) in ARRAYS.items()
    if find_spec(module)  # the extra `examples` installs some
}
OF_TEXT_ONLY = ("polars", "pyarrow")
OBJECTS = [name for name in HOLDERS if name not in OF_TEXT_ONLY]
ONCE = ("generator", "filter", *(name for name in HOLDERS if re.search("iterator|map|chain|islice|tee|reversed", name)))


@pytest.mark.parametrize("holder", HOLDERS)
async def test_targets_can_be_in_anything_that_holds_ids(galileo, holder):
    targets = HOLDERS[holder]([A, B])
    assert sorted((await galileo.count_all(targets, HIGH)).counts) == [180, 200]
    if holder in ONCE:
        with pytest.raises(ConfigurationError, match="been used up"):
            await galileo.count_all(targets, HIGH)
    else:
        assert sorted((await galileo.count_all(targets, HIGH)).counts) == [180, 200]


FILTERS: dict[str, Callable[[Any], object]] = {
    "all_of": gs.all_of,
    "any_of": gs.any_of,
    "And": gs.And,
    "Or": gs.Or,
    "CountQuery": lambda filters: CountQuery(A, filters=filters),
}


@pytest.mark.parametrize("holder", OBJECTS)
@pytest.mark.parametrize("take", FILTERS)
def test_filters_can_be_in_anything_that_holds_some(holder, take):
    """Those of a set come in the order of their text."""
    filters = HOLDERS[holder]([LOW, HIGH])
    expected = FILTERS[take]({LOW, HIGH} if holder in ("set", "frozenset", "keys") else [LOW, HIGH])
    assert FILTERS[take](filters) == expected
    if holder in ONCE:
        with pytest.raises(FilterError, match="been used up"):
            FILTERS[take](filters)
    else:
        assert FILTERS[take](filters) == expected


@pytest.mark.parametrize("holder", OBJECTS)
async def test_a_used_up_list_of_filters_counts_nothing(galileo, holder):
    """It would count all sessions."""
    filters = HOLDERS[holder]([HIGH])
    for _ in range(2):
        try:
            found = [await galileo.count(A, filters=filters), *(await galileo.count_all([A], filters=[HIGH])).counts]
        except FilterError:
            assert holder in ONCE
        else:
            assert found == [180, 180]


@pytest.mark.parametrize("holder", HOLDERS)
def test_values_can_be_in_anything_that_holds_text(holder):
    for make in (Col.text("a").one_of, Col.id("a").not_in, Col.collection("a").one_of, Col.text("a").values):
        values = HOLDERS[holder]([A, B])
        assert make(values) == make(sorted([A, B]))
        if holder in ONCE:
            with pytest.raises(FilterError, match="been used up"):
                make(values)


class Scalar:
    """A value as the columns of pyarrow hold them."""

    def __init__(self, value: object) -> None:
        self.value = value

    def as_py(self) -> object:
        return self.value


async def test_columns_of_arrow_hold_scalars(galileo):
    """So they are tested where pyarrow isn't installed, too."""
    assert (await galileo.count_all([Scalar(A), Scalar(B)], HIGH)).counts == (180, 200)
    assert Col.text("a").one_of([Scalar("x")]) == Col.text("a").one_of(["x"])
    assert Col.number("a").eq(Scalar(3)) == Col.number("a").eq(3)


@pytest.mark.parametrize("empty", [[], (), set(), (each for each in ()), range(0), {}.keys()])
def test_what_is_empty_from_the_start_is_no_mistake(empty: Iterable[Any]):
    assert gs.all_of(empty) == gs.ALWAYS


@pytest.mark.parametrize("empty", [iter([]), map(str, []), reversed(()), OwnIterator([])])
def test_an_iterator_without_items_may_have_been_used_up(empty: Iterable[Any]):
    name = type(empty).__name__
    with pytest.raises(FilterError, match=f"this {name} is empty, or has been used up\nhint: Pass a list, .* may be"):
        gs.all_of(empty)


class Cursor:
    """An asynchronous iterator that isn't a generator. It can be empty, as a table can."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        raise StopAsyncIteration


async def no_targets():
    for each in [A][1:]:
        yield each


async def test_a_generator_and_a_cursor_without_targets_are_no_mistake(galileo):
    assert (await galileo.count_all(no_targets(), HIGH)).counts == ()
    assert (await galileo.count_all(Cursor(), HIGH)).counts == ()


@pytest.mark.parametrize(("targets", "hint"), [
    (lambda galileo: galileo.projects, r"Call it, with \(\)"), (lambda _: no_targets, "Call it"),
    (lambda _: None, "A function that made them may lack its return"),
    (lambda _: np.array([[A, B]]), re.escape('Write frame["id"] for the column')), (lambda _: 3, "Write "),
])  # fmt: skip
async def test_a_mistaken_source_of_targets(galileo, targets, hint):
    with pytest.raises(ConfigurationError, match=f"targets must be a list of ids or queries, got .*\nhint: {hint}"):
        await galileo.count_all(targets(galileo), HIGH)


@pytest.mark.parametrize("values", [["a", None], ["a", 1], []])
def test_a_generator_of_wrong_values_gets_the_error_of_a_list(values):
    for make in (Col.text("a").one_of, Col("a").not_in, Col.collection("a").one_of):
        with pytest.raises(FilterError) as of_list:
            make(values)
        for iterate in (iter, lambda items: (each for each in items)):
            if values or iterate is not iter:
                with pytest.raises(FilterError) as of_iterator:
                    make(iterate(values))
                assert str(of_iterator.value) == str(of_list.value)
    with pytest.raises(FilterError, match="expected a number, got 'x'"):
        Col.number("a").values(each for each in [1, "x"])


def test_what_a_generator_raises_comes_through():
    """Also a TypeError, which isn't about the list."""
    with pytest.raises(FilterError, match="expected a number, got 'x'"):
        gs.any_of(Col.number("score").eq(value) for value in ["x"])
    with pytest.raises(ZeroDivisionError):
        gs.all_of(HIGH for _ in [1 / 0 for _ in "x"])
    with pytest.raises(TypeError, match=re.escape("unsupported operand type(s) for +: 'int' and 'str'")):
        Col("a").one_of(str(1 + value) for value in ["x"])


# ---- partitions ------------------------------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: Partition("x"), "partition must be a mapping of label to filter, got 'x'"),
    (lambda: Partition([("a", HIGH)]), "partition must be a mapping of label to filter"),
    (lambda: Partition({"a": 1}), "1"),
    (lambda: Partition({"a": HIGH}, whole=3), "3"),
    (lambda: Partition({"a": HIGH}, disjoint="no"), "expected True or False, got 'no'"),
    (lambda: Partition(MultiDict([("a", HIGH), ("a", LOW)])), "two parts have the label 'a'"),
]


@pytest.mark.parametrize(("make", "said"), WRONG)
def test_a_partition_holds_filters_by_labels(make, said):
    with pytest.raises(FilterError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("parts", [{}, OrderedDict(), Partition({})])
async def test_a_partition_without_parts_is_refused(galileo, parts):
    """It would be a row without a label."""
    for call in (galileo.count_all([A], by=parts), galileo.count_by(A, parts)):
        with pytest.raises(FilterError, match="the partition has no parts"):
            await call


async def test_a_list_is_no_partition(galileo):
    with pytest.raises(FilterError, match="partition must be a mapping"):
        await galileo.count_all([A], by=())
