"""What refusals tell people to write instead, and that no message is long."""

from __future__ import annotations

from typing import Any

import pytest
from support.strategies import (
    COLUMNS,
    Refusals,
    Silent,
    check_message,
    nested_list,
    refusal_ids,
    refused,
    run,
)

from galileo_sessions import (
    Col,
    FilterError,
    FilterTypeError,
)

COLUMN_IDS: Refusals = [
    (f"{column}({argument})", error, words)
    for column in COLUMNS
    for argument, error, words in [
        ("''", FilterError, ["column id can't be empty", 'Col("input")']),
        ("None", FilterTypeError, ["column id is text", "None"]),
        ("b'a'", FilterTypeError, ["column id is text", "b'a'"]),
        ("5", FilterTypeError, ["column id is text", "5"]),
        ("Col('a')", FilterTypeError, ["column id is text", "Col('a')"]),
        ("'\\ud800'", FilterError, ["column id '\\ud800'", "surrogate"]),
    ]
]

METHODS_MISSING: Refusals = [
    (
        "Col.number('a').contains('x')",
        AttributeError,
        ["Col.number('a')", "contains", "between", "Col.text('a').contains("],
    ),
    ("Col.number('a').one_of([1])", AttributeError, ["Col.number('a')", "one_of", "Col.text('a').one_of("]),
    ("Col.number('a').is_true()", AttributeError, ["Col.number('a')", "is_true", "Col.boolean('a').is_true("]),
    ("Col.text('a').gt('x')", AttributeError, ["Col.text('a')", "gt (>)", "Col.number('a').gt(", "Col.date('a').gt("]),
    ("Col.text('a').between(1, 2)", AttributeError, ["Col.text('a')", "between", "Col.number('a').between("]),
    ("Col.text('a').on('2026-01-31')", AttributeError, ["Col.text('a')", "Col.date('a').on("]),
    ("Col.boolean('a').lt(True)", AttributeError, ["Col.boolean('a')", "lt (<)", "Col.number('a').lt("]),
    ("Col.boolean('a').one_of([True])", AttributeError, ["Col.boolean('a')", "one_of", "eq, ne"]),
    ("Col.date('a').contains('x')", AttributeError, ["Col.date('a')", "contains", "Col.text('a').contains("]),
    ("Col.date('a').one_of([])", AttributeError, ["Col.date('a')", "one_of"]),
    ("Col.id('a').gte('x')", AttributeError, ["Col.id('a')", "gte (>=)", "Col.number('a').gte("]),
    (
        "Col.collection('a').ne('x')",
        AttributeError,
        ["Col.collection('a')", "ne (!=)", "not_in([...])", "~Col.collection"],
    ),
    ("Col.collection('a').lte('x')", AttributeError, ["Col.collection('a')", "lte (<=)"]),
    ("Col.number('a').betwen(1, 2)", AttributeError, ["Col.number('a')", "betwen", "Did you mean between?"]),
    ("Col('a').contain('x')", AttributeError, ["Col('a')", "contain", "Did you mean contains?"]),
    ("Col('a').like('x')", AttributeError, ["Col('a') has no like", "no test for patterns", "it has contains"]),
    ("Col.text('a') < 'x'", FilterTypeError, ["Col.text('a')", "lt (<)", "Col.number('a').lt(", "Col.date('a').lt("]),
    ("Col.text('a') >= 'x'", FilterTypeError, ["Col.text('a')", "gte (>=)"]),
    ("'x' < Col.text('a')", FilterTypeError, ["Col.text('a')", "gt (>)"]),
    ("Col.boolean('a') > True", FilterTypeError, ["Col.boolean('a')", "gt (>)"]),
    (
        "Col.collection('a') != 'x'",
        FilterTypeError,
        ["Col.collection('a')", "ne (!=)", "not_in([...])", "~Col.collection"],
    ),
    ("Col.collection('a') <= 'x'", FilterTypeError, ["Col.collection('a')", "lte (<=)"]),
    ("Col.id('a') >= 'x'", FilterTypeError, ["Col.id('a')", "gte (>=)"]),
]

ELSEWHERE: Refusals = [
    ("Col('a').is_in(['x'])", AttributeError, ["Col('a') has no is_in", "Write Col('a').one_of(...)"]),
    ("Col('a').isin(['x'])", AttributeError, ["Write Col('a').one_of(...)"]),
    ("Col.text('a').in_(['x'])", AttributeError, ["Write Col.text('a').one_of(...)"]),
    ("Col.number('a').is_in([1])", AttributeError, ["Write any_of([Col.number('a').eq(value) for value in values])"]),
    ("Col.number('a').not_in([1])", AttributeError, ["Write ~any_of([Col.number('a').eq(value) for value in values])"]),
    ("Col('a').starts_with('x')", AttributeError, ["no test for patterns, or for how text begins", "it has contains"]),
    ("Col('a').startswith('x')", AttributeError, ["no test for patterns"]),
    ("Col('a').is_null()", AttributeError, ["no test for a missing value", "Leave this condition out"]),
    ("Col.date('a').is_not_null()", AttributeError, ["no test for a missing value"]),
    (
        "Col.text('a').between('a', 'b')",
        AttributeError,
        ["Text has no order. Write Col.date('a').between(...) or Col."],
    ),
    ("Col.text('a').ge('b')", AttributeError, ["Text has no order. Write Col.date('a').gte(...) or Col.number('a')"]),
    ("Col.date('a').ge('b')", AttributeError, ["Write Col.date('a').gte(...)"]),
    ("Col.collection('a').neq('b')", AttributeError, ["Write Col.collection('a').not_in([...]) or ~Col.collection("]),
    ("Col('a').not_()", AttributeError, ["Write & for and, | for or, ~ for not"]),
    ("Col()", FilterError, ["can't be empty", 'such as Col("input")']),
    ("Col.number()", FilterError, ["can't be empty"]),
    ("Col.score", AttributeError, ["Col has no score", 'Write Col("score") for the column']),
    ("Col.numbr('a')", AttributeError, ['Write Col("numbr") for the column. Did you mean Col.number?']),
    ("Col.is_in(['x'])", AttributeError, ['Col has no is_in. Write Col("input").one_of(...)']),
    ("Col.is_null()", AttributeError, ["Col has no is_null. The API has no test for a missing value"]),
    ("Col._made", AttributeError, ["_made"]),
]

PARENTHESES = ['(Col("a") == 1) & (Col("b") == 2)', "binds tighter"]
TRUTH = ["a & b", "a | b", "~a", "one_of([...])", '(Col("x") > 1) & (Col("x") < 3)', "f is not None"]

GUARDS: Refusals = [
    ("Col('a') == 1 & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    (
        "Col('a') == 1 | Col('b') == 2",
        FilterTypeError,
        ["Col('b')", '(Col("a") == 1) | (Col("b") == 2)', "binds tighter"],
    ),
    ("Col('a') > 1 & Col('b') > 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') == 'x' & Col('b') == 'y'", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col.number('a') == 1 & Col.number('b') == 2", FilterTypeError, ["Col.number('b')", *PARENTHESES]),
    ("Col('a').eq(1) & Col('b') == 2", FilterTypeError, ["Col('b')", *PARENTHESES]),
    ("Col('a') & Col('b').eq(2)", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("Col('a').eq(1) & 2", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("2 & Col('a').eq(1)", FilterTypeError, ["2 is not a filter", *PARENTHESES]),
    ("'x' | Col('a').eq(1)", FilterTypeError, ["'x' is not a filter", "|"]),
    ("Col('a').eq(1) & None", FilterTypeError, ["None is not a filter", "ALWAYS", "f & ALWAYS"]),
    ("None & Col('a').eq(1)", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("Col('a').eq(1) | None", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("Col('a').eq(1) & True", FilterTypeError, ["True is not a filter", *PARENTHESES]),
    ("True & Col('a').eq(1)", FilterTypeError, ["True is not a filter"]),
    ("False | Col('a').eq(1)", FilterTypeError, ["False is not a filter"]),
    ("Col('a').eq(1) & {'filter': 1}", FilterTypeError, ["{'filter': 1} is not a filter"]),
    ("(Col('a').eq(1) & Col('b').eq(1)) & None", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("ALWAYS & 1", FilterTypeError, ["1 is not a filter"]),
    ("all_of([Col('a').eq(1), None])", FilterTypeError, ["None is not a filter", "ALWAYS"]),
    ("all_of([Col('a')])", FilterTypeError, ["Col('a') is a column"]),
    ("any_of([1])", FilterTypeError, ["1 is not a filter"]),
    ("all_of(Col('a').eq(1))", FilterTypeError, ["all_of takes one list", "all_of([a, b])"]),
    ("any_of(5)", FilterTypeError, ["any_of takes a list", "5"]),
    ("any_of(Col('a'))", FilterTypeError, ["any_of takes a list", "Col('a')"]),
    ("Col('a') & Col('b')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("Col('a') | Col('b')", FilterTypeError, ["Col('a')", '(Col("a") == 1) | (Col("b") == 2)']),
    ("None & Col('a')", FilterTypeError, ["Col('a')", *PARENTHESES]),
    ("None | Col('a')", FilterTypeError, ["Col('a')"]),
    ("~Col('a')", FilterTypeError, ["Col('a')", "~", "Col('a').eq(...)", "Col.boolean('a').is_true()"]),
    ("~Col.boolean('a')", FilterTypeError, ["Col.boolean('a')", "Col.boolean('a').is_true()"]),
    ("not Col('a')", FilterTypeError, ["Col('a')", "not", "Col('a').eq(...)"]),
    ("1 if Col('a') else 2", FilterTypeError, ["Col('a')", "if", "Col('a').eq(...)"]),
    ("Col('a') and Col('b')", FilterTypeError, ["Col('a')", "and"]),
    ("Col('a') or Col('b')", FilterTypeError, ["Col('a')", "or"]),
    ("Col('a').eq(1) and Col('b').eq(2)", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('a').eq(1) or Col('b').eq(2)", FilterTypeError, ["a filter", *TRUTH]),
    ("not Col('a').eq(1)", FilterTypeError, ["a filter", *TRUTH]),
    ("1 if Col('a').eq(1) else 2", FilterTypeError, ["a filter", *TRUTH]),
    ("bool(ALWAYS)", FilterTypeError, ["a filter", *TRUTH]),
    ("[1 for _ in 'x' if NEVER]", FilterTypeError, ["a filter", *TRUTH]),
    ("all([Col('a').eq(1)])", FilterTypeError, ["a filter", *TRUTH]),
    ("1 < Col('x') < 3", FilterTypeError, ["a filter", *TRUTH]),
    ("1 < Col.number('x') < 3", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') == Col('y') == 1", FilterTypeError, ["Col('x').eq(Col('y'))"]),
    (
        "'x' in Col('tags')",
        FilterTypeError,
        ["`'x' in Col('tags')`", "Col('tags').contains('x')", "Col.collection('tags')"],
    ),
    ("'x' not in Col('tags')", FilterTypeError, ["Col.collection('tags').contains('x')"]),
    ("'x' in Col.collection('tags')", FilterTypeError, ["Col.collection('tags').contains('x')"]),
    ("Col('x') in ['a', 'b']", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') in ('a', 'b')", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') not in ['a', 'b']", FilterTypeError, ["a filter", *TRUTH]),
    ("Col('x') in {'a', 'b'}", FilterTypeError, ["Col('x')", "a set or a dict", "Col('x').one_of([...])"]),
    ("Col('x') in {'a': 1}", FilterTypeError, ["Col('x')", "a set or a dict", "Col('x').one_of([...])"]),
    ("{Col('x')}", FilterTypeError, ["Col('x').one_of([...])"]),
    ("{Col.number('x'): 1}", FilterTypeError, ["Col.number('x')"]),
    ("Filter()", FilterTypeError, ['Col("input")']),
]


ALL = [*COLUMN_IDS, *METHODS_MISSING, *ELSEWHERE, *GUARDS]


@pytest.mark.parametrize(("program", "error", "words"), ALL, ids=refusal_ids(ALL))
def test_a_refusal_says_what_was_written_and_what_to_write(
    program: str, error: type[Exception], words: list[str]
) -> None:
    """Each bad input is one error, whose text names the column, the operator and the rewrite."""
    message = refused(program, error)
    assert [] == [word for word in words if word not in message]


@pytest.mark.parametrize("name", COLUMNS)
def test_each_kind_of_column_guards_itself(name: str) -> None:
    """No column is a condition: not by truth, not by &, | and ~, not as a member, not as a key."""
    for program in ("bool(c)", "c & c", "c | c", "~c", "1 & c", "1 | c", "'x' in c", "hash(c)"):
        refused(program, FilterTypeError, c=run(f"{name}('a')"))
    with pytest.raises(TypeError, match="not iterable"):
        list(run(f"{name}('a')"))


def test_a_wrong_method_is_an_attribute_that_is_not_there() -> None:
    """hasattr and getattr with a default work, and the error carries the name."""
    column: Any = Col.number("a")
    assert not hasattr("a", "contains")
    assert getattr("a", "contains", None) is None
    with pytest.raises(AttributeError) as caught:
        column.contains("x")
    assert ("contains", None) == (caught.value.name, caught.value.obj)  # with obj, Python would add a guess of its own


HUGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "bytes": b"a" * 1_000_000,
    "emoji": "😀" * 1_000_000,
    "fraction": "2026-01-31T09:00:00." + "1" * 1_000_000 + "Z",
    "no offset": "2026-01-31T09:00:00." + "0" * 1_000_000,
    "quotes": "'\"\\\n" * 250_000,
    "list of text": ["a" * 1_000_000] * 3 + [1],
    "list": [1] * 1_000_000,
    "dict": {str(i): "a" * 1000 for i in range(1000)},
    "nested": nested_list(100_000),
    "int": 10**1_000_000,
    "no repr": Silent(),
    "no reprs": [Silent()] * 10,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize(
    "program",
    [
        "Col('a').gt(value)",
        "Col('a').one_of(value)",
        "Col('a').between(value, value)",
        "Col('a').on(value, tz=value)",
        "Col('a').eq('x', case_sensitive=value)",
        "Col.date('a').eq(value)",
        "Col.number('a').between(value, value)",
        "Col.id('a').not_in([[value]])",
        "Col.boolean('a') == value",
        "Col('a').eq(1) & value",
        "value in Col('a')",
        "all_of([value])",
        "any_of(value)",
        "And(value)",
        "Or([value])",
        "Not(value)",
        "TextFilter('a', 'eq', {1: value})",
        "TextFilter('a', value, 'x')",
        "DateFilter('a', 'eq', value)",
        "CountQuery(PROJECT, where=value)",
        "CountQuery(PROJECT, filters=[value])",
    ],
)
def test_no_message_is_long(program: str, value: object) -> None:
    """A megabyte in a value doesn't end up in a log line."""
    with pytest.raises(FilterError) as caught:
        run(program, value=value)
    check_message(str(caught.value))


@pytest.mark.parametrize(
    "program",
    [
        "Col(long).gt(None)",
        "Col(long).gt(long)",
        "Col(long).one_of(long)",
        "Col(long).one_of([1])",
        "Col(long).between(2, 1)",
        "Col(long).eq(date(2026, 1, 31))",
        "Col(long).eq('x', case_sensitive=long)",
        "Col.date(long).on(long, tz=UTC)",
        "Col.collection(long) != 'x'",
        "Col.number(long).contains",
        "Col.text(long).foo",
        "getattr(Col('a'), long)",
        "bool(Col(long))",
        "~Col(long)",
        "hash(Col(long))",
        "long in Col(long)",
        "1 & Col(long)",
        "Col('a').eq(Col(long))",
        "Col('a').eq(1) & Col(long)",
        "CountQuery(PROJECT, Col(long))",
        "CountQuery(PROJECT, And([Or([]), Col(long).eq(long)]))",
    ],
)
def test_no_message_is_long_for_a_long_column_id(program: str) -> None:
    """The same for a column id, whose owner has it written in each message."""
    with pytest.raises((FilterError, AttributeError)) as caught:
        run(program, long="a" * 1_000_000)
    check_message(str(caught.value))
