"""What the constructors of filters hold, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.strategies import PROJECT, refused, run

from galileo_sessions import (
    FilterError,
    FilterTypeError,
)


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("TextFilter('a', 'eq', ['x', 'y'])", ("x", "y")),
        ("TextFilter('a', 'one_of', 'x')", "x"),
        ("TextFilter('a', 'not_in', [])", ()),
        ("TextFilter('', 'eq', '')", ""),
        ("TextFilter('a', 'eq', '\\ud800')", "\ud800"),
        ("TextFilter('a', 'eq', Mood.GOOD)", "good"),
        ("CollectionFilter('a', 'contains', ('x', 'y'))", ("x", "y")),
        ("CollectionFilter('a', 'one_of', 'x', case_sensitive=False)", "x"),
        ("NumberFilter('a', 'between', 1)", 1),
        ("NumberFilter('a', 'between', [2, 1])", (2, 1)),
        ("NumberFilter('a', 'between', [1])", (1,)),
        ("NumberFilter('a', 'gt', [])", ()),
        ("NumberFilter('a', 'gt', Level.HIGH)", 3),
        pytest.param("NumberFilter('a', 'eq', 10**4_300 - 1)", 10**4_300 - 1, id="largest"),
        pytest.param("NumberFilter('a', 'eq', 1 - 10**4_300)", 1 - 10**4_300, id="smallest"),
        ("NumberFilter('a', 'gt', np.float64(0.5))", 0.5),
        ("DateFilter('a', 'eq', '2026-01-31T09:00:00Z')", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        (
            "DateFilter('a', 'eq', '2026-01-31t09:00:00.120000000z')",
            datetime(2026, 1, 31, 9, 0, 0, 120_000, tzinfo=UTC),
        ),
        ("DateFilter('a', 'eq', '2026-01-31T09:00:00,5+00:00')", datetime(2026, 1, 31, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("BooleanFilter('a', 'ne', False)", False),
        ("IdFilter('a', 'eq', 'not a UUID')", "not a UUID"),
        ("IdFilter('a', 'eq', UUID(PROJECT))", PROJECT),
        ("IdFilter('a', 'contains', [UUID(PROJECT), 'x'])", (PROJECT, "x")),
    ],
)
def test_a_constructor_holds_what_the_schema_allows(program: str, value: object) -> None:
    """The schema knows no link between operator and value, so neither do the constructors; lists become tuples."""
    held = run(program).value
    assert value == held
    assert type(value) is type(held)


def test_an_offset_with_seconds_becomes_utc() -> None:
    """RFC 3339 has no seconds in an offset, some zones before 1900 have."""
    made = run("DateFilter('a', 'eq', datetime(1890, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))))")
    assert "1889-12-31T23:06:32+00:00" == made.value.isoformat()


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        ("TextFilter('a', 'gt', 'x')", FilterError, ["text filter has no operator 'gt'", "eq, ne, contains"]),
        ("TextFilter('a', ['eq'], 'x')", FilterError, ["no operator ['eq']"]),
        ("TextFilter('a', None, 'x')", FilterError, ["no operator None"]),
        ("TextFilter('a', 'eq', 1)", FilterTypeError, ["text or a list of text", "1"]),
        ("TextFilter('a', 'eq', ['x', 1])", FilterTypeError, ["text", "1"]),
        ("TextFilter('a', 'eq', {'x'})", FilterTypeError, ["text or a list of text", "{'x'}"]),
        ("TextFilter('a', 'eq', [['x']])", FilterTypeError, ["text", "['x']"]),
        ("TextFilter(1, 'eq', 'x')", FilterTypeError, ["text", "1"]),
        ("TextFilter('a', 'eq', 'x', 1)", FilterTypeError, ["True or False", "1"]),
        ("CollectionFilter('a', 'ne', 'x')", FilterError, ["collection filter has no operator 'ne'", "not_in"]),
        ("CollectionFilter('a', 'eq', b'x')", FilterTypeError, ["text", "b'x'"]),
        ("CollectionFilter('a', 'eq', 'x', case_sensitive=None)", FilterTypeError, ["True or False", "None"]),
        ("NumberFilter('a', 'contains', 1)", FilterError, ["number filter has no operator 'contains'"]),
        ("NumberFilter('a', 'eq', True)", FilterTypeError, ["a number", "True"]),
        ("NumberFilter('a', 'eq', '1')", FilterTypeError, ["a number", "'1'"]),
        ("NumberFilter('a', 'eq', None)", FilterTypeError, ["a number", "None"]),
        ("NumberFilter('a', 'eq', [1, False])", FilterTypeError, ["a number", "False"]),
        ("NumberFilter('a', 'eq', float('nan'))", FilterError, ["nan is not a number"]),
        ("NumberFilter('a', 'between', [1, float('inf')])", FilterError, ["inf is not a number"]),
        ("NumberFilter('a', 'eq', 10**5000)", FilterError, ["4,300 digits"]),
        ("NumberFilter('a', 'eq', 10**4_300)", FilterError, ["4,300 digits"]),
        ("NumberFilter('a', 'eq', -(10**4_300))", FilterError, ["4,300 digits"]),
        ("DateFilter('a', 'contains', '2026-01-31T09:00:00Z')", FilterError, ["date filter has no operator"]),
        ("DateFilter('a', 'eq', '2026-01-31')", FilterError, ["'2026-01-31'", "UTC offset"]),
        ("DateFilter('a', 'eq', datetime(2026, 1, 31))", FilterError, ["2026-01-31 00:00:00", "UTC offset"]),
        ("DateFilter('a', 'eq', 'soon')", FilterError, ["'soon'", "ISO 8601"]),
        ("DateFilter('a', 'eq', '2026-01-31T09:00:00.0000001Z')", FilterError, ["microsecond"]),
        ("DateFilter('a', 'eq', '2026-01-31T09:00:00,0000001Z')", FilterError, ["microsecond"]),
        ("DateFilter('a', 'eq', 1)", FilterTypeError, ["datetime or ISO 8601", "1"]),
        ("DateFilter('a', 'eq', date(2026, 1, 31))", FilterTypeError, ["datetime or ISO 8601"]),
        (
            "DateFilter('a', 'eq', datetime(1, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))))",
            FilterError,
            ["1 to 9999"],
        ),
        ("BooleanFilter('a', 'gt', True)", FilterError, ["boolean filter has no operator 'gt'", "eq, ne"]),
        ("BooleanFilter('a', 'eq', 1)", FilterTypeError, ["True or False", "1"]),
        ("IdFilter('a', 'lt', 'x')", FilterError, ["id filter has no operator 'lt'"]),
        ("IdFilter('a', 'eq', 1)", FilterTypeError, ["text", "1"]),
        ("FullyAnnotatedFilter([])", FilterError, ["at least one"]),
        ("FullyAnnotatedFilter('x')", FilterTypeError, ["a list of UUIDs", "'x'"]),
        ("FullyAnnotatedFilter(['x'])", FilterError, ["'x' is not a UUID"]),
        ("FullyAnnotatedFilter([1])", FilterTypeError, ["text", "1"]),
        ("And(Col('a').eq(1))", FilterTypeError, ["a list of filters", "Col.number('a').eq(1)"]),
        ("And(1)", FilterTypeError, ["a list of filters", "1"]),
        ("And([1])", FilterTypeError, ["a filter", "1"]),
        ("Or([Col('a')])", FilterTypeError, ["Col('a') is a column, not yet a filter", "Col('a').eq(...)"]),
        ("Not(Col('a'))", FilterTypeError, ["Col('a') is a column, not yet a filter", "Col('a').eq(...)"]),
        ("And(Col('a').eq(1))", FilterTypeError, ["And([...])"]),
        ("And(ALWAYS, NEVER)", FilterTypeError, ["And takes one list of filters. Write And([a, b]), not And(a, b)"]),
        ("Or(ALWAYS, NEVER)", FilterTypeError, ["Write Or([a, b])"]),
        ("Not(ALWAYS, NEVER)", FilterTypeError, ["Not takes one filter. Write ~all_of([a, b]), not Not(a, b)"]),
        ("all_of(ALWAYS, NEVER)", FilterTypeError, ["all_of takes one list of filters. Write all_of([a, b]), not"]),
        ("any_of(ALWAYS, NEVER, ALWAYS)", FilterTypeError, ["Write any_of([a, b]), not any_of(a, b)"]),
        ("Or(None)", FilterTypeError, ["a list of filters", "None"]),
        ("Not(True)", FilterTypeError, ["a filter", "True"]),
        ("Not([Col('a').eq(1)])", FilterTypeError, ["a filter", "[Col.number('a').eq(1)]"]),
    ],
)
def test_a_constructor_refuses_what_the_schema_forbids(program: str, error: type[Exception], words: list[str]) -> None:
    """Operators of other types, values of other types, and what JSON can't carry."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]
