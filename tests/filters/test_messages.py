"""What error messages tell users to write, and that they are short."""

from __future__ import annotations

from typing import Any

import pytest
from support.programs import COLUMNS, Refusals, Silent, check_message, nested_list, refusal_ids, refused, run
from support.sockets import PROJECT

from galileo_sessions import Col, FilterError, FilterTypeError

COLUMN_IDS: Refusals = [
    (f"{column}({argument})", error, words)
    for column in COLUMNS
    for argument, error, words in [
        ("''", FilterError, ["column id can't be empty", 'Col("input")']),
        ("None", FilterTypeError, ["a column id must be text, got None"]),
        ("b'a'", FilterTypeError, ["a column id must be text, got b'a'"]),
        ("Col('a')", FilterTypeError, ["a column id must be text, got Col('a')"]),
        ("'\\ud800'", FilterError, ["column id '\\ud800'", "surrogate"]),
        ("", TypeError, ["column_id"]),
    ]
]

METHODS_MISSING: Refusals = [
    (
        "Col.number('a').contains('x')",
        AttributeError,
        ["Col.number('a') has no contains; it has eq, ne, gt, gte, lt, lte, between", "Write Col.id('a').contains("],
    ),
    ("Col.number('a').is_true()", AttributeError, ["Write Col.boolean('a').is_true(...)"]),
    ("Col.text('a').gt('x')", AttributeError, ["Write Col.date('a').gt(...) or Col.number('a').gt(...)"]),
    ("Col.text('a').bins(1)", AttributeError, ["Write Col.number('a').bins(...)"]),
    ("Col.boolean('a').one_of([True])", AttributeError, ["Write any_of([Col.boolean('a').eq(value) for"]),
    ("Col.number('a').not_in([1])", AttributeError, ["Write ~any_of([Col.number('a').eq(value) for value in values])"]),
    ("Col.collection('a').ne('x')", AttributeError, ["has no ne", "Write Col.collection('a').not_in([...])"]),
    ("Col.collection('a') != 'x'", FilterTypeError, ["has no ne", "Write Col.collection('a').not_in([...])"]),
    ("Col.number('a').betwen(1, 2)", AttributeError, ["Col.number('a') has no betwen", "Did you mean between?"]),
    ("Col('a').contain('x')", AttributeError, ["Col('a') has no contain", "Did you mean contains?"]),
    ("Col.text('a') < 'x'", TypeError, ["'<' not supported"]),
    ("Col.id('a') >= 'x'", TypeError, ["'>=' not supported"]),
    ("Col.score", AttributeError, ["Col has no score; it has id, date, number", "Write Col('score') for that column"]),
    ("Col.txt('a')", AttributeError, ["Write Col('txt') for that column"]),
]

ELSEWHERE: Refusals = [
    ("Col('a').is_in(['x'])", AttributeError, ["Col('a') has no is_in", "Write Col('a').one_of(...)"]),
    ("Col.text('a').in_(['x'])", AttributeError, ["Write Col.text('a').one_of(...)"]),
    ("Col.number('a').is_in([1])", AttributeError, ["Write any_of([Col.number('a').eq(value) for value in values])"]),
    ("Col.collection('a').neq('b')", AttributeError, ["Write Col.collection('a').not_in([...])"]),
    ("Col.number('a').icontains('x')", AttributeError, ["has no icontains", "case_sensitive=False) on"]),
    ("Col('a').starts_with('x')", AttributeError, ["The API has no patterns. Write contains(...)"]),
    ("Col('a').like('x')", AttributeError, ["Col('a') has no like", "no patterns"]),
    ("Col('a').is_null()", AttributeError, ["The API has no test for a missing value"]),
]

COLUMN = ["is a column, not yet a filter\nhint: Compare it, as in (Col('a') == ...)"]
PARENTHESES = ['& binds tighter than == and <. Write (Col("a") == 1) & (Col("b") == 2)']
OR_PARENTHESES = ['| binds tighter than == and <. Write (Col("a") == 1) | (Col("b") == 2)']
TRUTH = [
    "a filter has no truth value",
    "hint: Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)",
    'For `in` write Col("a").one_of([...])',
]

GUARDS: Refusals = [
    *[
        (program.replace("c", f"{column}('a')"), FilterTypeError, ["is a column, not yet a filter"])
        for column in COLUMNS
        for program in ("bool(c)", "c & c", "c | c", "~c", "1 & c", "1 | c", "'x' in c")
    ],
    *[(f"{program}({column}('a'))", TypeError, []) for column in COLUMNS for program in ("hash", "list")],
    ("Col('a') == 1 & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') == 1 | Col('b') == 2", FilterTypeError, ["Col('b')", *OR_PARENTHESES]),
    ("Col.number('a') == 1 & Col.number('b') == 2", FilterTypeError, ["Col.number('b')", *PARENTHESES]),
    ("Col('a').eq(1) & 2", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("2 & Col('a').eq(1)", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("'x' | Col('a').eq(1)", FilterTypeError, ["'x' is not a filter", "| binds tighter than"]),
    ("Col('a').eq(1) & None", FilterTypeError, ["None is not a filter\nhint: For no condition write ALWAYS"]),
    ("Col('a').eq(1) & [Col('b').eq(1)]", FilterTypeError, ["Write all_of([...]) to join filters, or any_of([...])"]),
    ("all_of(None)", FilterTypeError, ["expected a list of filters, got None\nhint: Write [...] around filters"]),
    ("any_of(Col('a') == 1)", FilterTypeError, ["a list of filters, got Col.number('a').eq(1)\nhint: Write [...]"]),
    ("And(5)", FilterTypeError, ["expected a list of filters, got 5\nhint: Write [...] around filters"]),
    ("all_of([Col('a').eq(1), None])", FilterTypeError, ["None is not a filter\nhint: For no condition write ALWAYS"]),
    ("all_of([Col('a')])", FilterTypeError, COLUMN),
    ("Col('a') & Col('b')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("None & Col('a')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("~Col('a')", FilterTypeError, ["column, not yet a filter\nhint: Compare it, as in ~(Col('a') == ...)"]),
    ("not Col('a')", FilterTypeError, ["Col('a')", *COLUMN]),
    ("Col('a').eq(1) and Col('b').eq(2)", FilterTypeError, TRUTH),
    ("not Col('a').eq(1)", FilterTypeError, TRUTH),
    ("1 < Col('x') < 3", FilterTypeError, TRUTH),
    ("Col('x') == Col('y') == 1", FilterTypeError, ["Col('x').eq(Col('y'))"]),
    ("'x' in Col('tags')", FilterTypeError, ["Col('tags') is a column", "Write Col('tags').contains('x')"]),
    ("'x' in Col.collection('a')", FilterTypeError, ["Write Col.collection('a').contains('x')"]),
    ("PROJECT in Col.id('a')", FilterTypeError, [f"Write Col.id('a').contains('{PROJECT}')"]),
    ("3 in Col.number('a')", FilterTypeError, ["Col.number('a') is a column", "Write Col.number('a').eq(3)"]),
    ("3 in Col('a')", FilterTypeError, ["Write Col('a').eq(3)"]),
    ("'x' in Col.date('a')", FilterTypeError, ["Write Col.date('a').eq('x')"]),
    ("Col('a').eq(1) & True", FilterTypeError, ["True is not a filter\nhint: For all sessions write ALWAYS"]),
    ("any_of([False])", FilterTypeError, ["False is not a filter\nhint: For all sessions write ALWAYS, for none"]),
    ("CountQuery(PROJECT, True)", FilterTypeError, ["True is not a filter\nhint: For all sessions write ALWAYS"]),
    ("CountQuery(PROJECT, False)", FilterTypeError, ["False is not a filter\nhint: For all sessions write ALWAYS"]),
    ("matches(True, {})", FilterTypeError, ["True is not a filter\nhint: For all sessions write ALWAYS"]),
    ("Col('x') in ['a', 'b']", FilterTypeError, TRUTH),
    ("Col('x') in {'a', 'b'}", TypeError, ["unhashable type: 'Col'"]),
    ("Filter()", FilterTypeError, ['Col("input")']),
]


OPERATORS: Refusals = [
    ("NumberFilter('a', '>', 1)", FilterError, ["it has eq, ne, gt, gte, lt, lte, between\nhint: Did you mean gt?"]),
    ("DateFilter('a', '>=', '2026-01-31T09:00Z')", FilterError, ["Did you mean gte?"]),
    ("TextFilter('a', '=', 'x')", FilterError, ["Did you mean eq?"]),
    ("TextFilter('a', '<>', 'x')", FilterError, ["Did you mean ne?"]),
    ("TextFilter('a', 'in', ['x'])", FilterError, ["Did you mean one_of?"]),
    ("TextFilter('a', 'equals', 'x')", FilterError, ["contains, one_of, not_in\nhint: Did you mean eq?"]),
    ("TextFilter('a', 'like', 'x')", FilterError, ["no patterns"]),
    ("TextFilter('a', 'is_null', 'x')", FilterError, ["no test for a missing value"]),
    ("CollectionFilter('a', '!=', 'x')", FilterError, ["it has eq, contains, one_of, not_in"]),
    ("TextFilter('a', '>', 'x')", FilterError, ["it has eq, ne, contains, one_of, not_in"]),
    ("TextFilter('a', ['eq'], 'x')", FilterError, ["no operator ['eq']; it has eq"]),
]  # fmt: skip

CONSTRUCTORS: Refusals = [
    ("TextFilter('a', 'gt', 'x')", FilterError, ["text filter has no operator 'gt'", "eq, ne, contains"]),
    ("TextFilter('a', 'eq', ['x', 1])", FilterTypeError, ["expected text, got 1"]),
    ("TextFilter('a', 'eq', {'x'})", FilterTypeError, ["expected text, got {'x'}"]),
    ("TextFilter('a', 'eq', 'x', 1)", FilterTypeError, ["expected True or False, got 1"]),
    ("NumberFilter('a', 'eq', [1, False])", FilterTypeError, ["expected a number, got False"]),
    ("NumberFilter('a', 'eq', float('nan'))", FilterError, ["nan is not a number that JSON can carry"]),
    ("NumberFilter('a', 'eq', 10**4_300)", FilterError, ["is not a number that JSON can carry"]),
    ("NumberFilter('a', 'eq', -(10**4_300))", FilterError, ["is not a number that JSON can carry"]),
    ("DateFilter('a', 'eq', '2026-01-31')", FilterError, ["'2026-01-31' has no UTC offset"]),
    ("DateFilter('a', 'eq', datetime(2026, 1, 31))", FilterError, ["hint: Write value.replace("]),
    ("DateFilter('a', 'eq', '2026-01-31T09:00:00,0000001Z')", FilterError, ["finer than a microsecond"]),
    ("DateFilter('a', 'eq', date(2026, 1, 31))", FilterTypeError, ["expected a datetime or ISO 8601 text"]),
    (
        "DateFilter('a', 'eq', datetime(1, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))))",
        FilterError,
        ["years go from 1 to 9999"],
    ),
    ("BooleanFilter('a', 'eq', 1)", FilterTypeError, ["expected True or False, got 1"]),
    ("IdFilter('a', 'eq', 1)", FilterTypeError, ["expected a UUID or text, got 1"]),
    ("FullyAnnotatedFilter([])", FilterTypeError, ["a list of at least one UUID as user_ids, got []"]),
    ("And([1])", FilterTypeError, ["1 is not a filter"]),
    ("Not(Col('a'))", FilterTypeError, ["Col('a') is a column, not yet a filter\nhint: Compare it"]),
    ("any_of(ALWAYS, NEVER)", TypeError, ["any_of() takes 1 positional argument but 2 were given"]),
    ("Col.date('a').on('2026-01-31')", TypeError, ["tz"]),
]

ALL = [*COLUMN_IDS, *METHODS_MISSING, *ELSEWHERE, *GUARDS, *OPERATORS, *CONSTRUCTORS]


@pytest.mark.parametrize(("program", "error", "words"), ALL, ids=refusal_ids(ALL))
def test_a_refusal_says_what_was_written_and_what_to_write(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


def test_a_wrong_method_is_an_attribute_that_is_not_there() -> None:
    """hasattr and getattr with a default work, and the error carries the name."""
    column: Any = Col.number("a")
    assert not hasattr(column, "contains")
    assert getattr(column, "contains", None) is None
    with pytest.raises(AttributeError) as caught:
        column.contains("x")
    assert ("contains", None) == (caught.value.name, caught.value.obj)  # with obj, Python would add a guess of its own


HUGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "fraction": "2026-01-31T09:00:00." + "1" * 1_000_000 + "Z",
    "no offset": "2026-01-31T09:00:00." + "0" * 1_000_000,
    "list of text": ["a" * 1_000_000] * 3 + [1],
    "dict": {str(i): "a" * 1000 for i in range(1000)},
    "nested": nested_list(100_000),
    "int": 10**1_000_000,
    "no repr": Silent(),
}
OF_VALUES = [
    "Col('a').gt(value)",
    "Col('a').one_of(value)",
    "Col('a').on(value, tz=value)",
    "Col('a').eq('x', case_sensitive=value)",
    "Col.date('a').eq(value)",
    "Col.number('a').between(value, value)",
    "Col.id('a').not_in([[value]])",
    "Col.boolean('a') == value",
    "Col('a').eq(1) & value",
    "value in Col('a')",
    "all_of([value])",
    "Or([value])",
    "TextFilter('a', 'eq', {1: value})",
    "TextFilter('a', value, 'x')",
    "DateFilter('a', 'eq', value)",
    "CountQuery(PROJECT, where=value)",
    "CountQuery(PROJECT, filters=[value])",
]
OF_COLUMN_IDS = [
    "Col(value).gt(None)",
    "Col(value).gt(value)",
    "Col(value).between(2, 1)",
    "Col(value).eq(date(2026, 1, 31))",
    "Col(value).eq('x', case_sensitive=value)",
    "Col.date(value).on(value, tz=UTC)",
    "Col.collection(value) != 'x'",
    "Col.number(value).contains",
    "Col.text(value).foo",
    "getattr(Col('a'), value)",
    "bool(Col(value))",
    "~Col(value)",
    "value in Col(value)",
    "Col('a').eq(Col(value))",
    "Col('a').eq(1) & Col(value)",
    "CountQuery(PROJECT, And([Or([]), Col(value).eq(value)]))",
]
LONG = [(program, name) for program in OF_VALUES for name in HUGE] + [(program, "text") for program in OF_COLUMN_IDS]


@pytest.mark.parametrize(("program", "name"), LONG)
def test_no_message_is_long(program: str, name: str) -> None:
    """A megabyte as a value or as a column id doesn't make a message long, though each message quotes it."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(program, value=HUGE[name])
    check_message(str(caught.value))
