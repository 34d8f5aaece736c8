"""The text that repr prints, read back; and each way in which a text is no filter."""

from __future__ import annotations

import pickle
import re
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from support.strategies import PROJECT, USER, combined, constructed, deepest

from galileo_sessions import (
    ALWAYS,
    NEVER,
    And,
    Col,
    Filter,
    FilterError,
    FilterParseError,
    FilterTypeError,
    FullyAnnotatedFilter,
    Not,
    NumberFilter,
    Or,
    TextFilter,
    all_of,
    any_of,
)
from galileo_sessions.text import text_messages
from galileo_sessions.text.parsing import MAX_TEXT, parse_filter

A, B, C = Col("a").gt(1), Col("b").lt(2), Col("c").eq("x")


def refused(text: str) -> FilterParseError:
    """The error with which a text is refused; its message fits a screen, and says nothing of the package's inside."""
    with pytest.raises(FilterParseError) as caught:
        parse_filter(text)
    check(caught.value, text)
    return caught.value


def check(error: FilterParseError, text: str) -> None:
    """What holds of every FilterParseError."""
    problem, line, caret = str(error).split("\n")
    assert text == error.text
    assert 0 <= error.offset <= len(text)
    assert problem
    assert len(str(error)) <= 600
    assert len(line) <= 82
    assert re.fullmatch("  [ \u3000]*\\^", caret)
    assert len(caret) <= len(line) + 1
    for internal in ("galileo_sessions", "ast.", "Traceback", "_Reader", "Error", "__new__", "operand", "node"):
        assert internal in text or internal not in str(error)


# ---- filters ---------------------------------------------------------------------------------------------------------


@given(constructed)
@settings(max_examples=150)
def test_what_constructors_make_is_read_from_its_repr(where: Filter) -> None:
    """parse_filter(repr(f)) is f, whatever text and numbers it holds."""
    assert where == parse_filter(repr(where))
    assert repr(where) == repr(parse_filter(repr(where)))


@given(combined)
@settings(max_examples=150)
def test_what_operators_make_is_read_from_its_repr(where: Filter) -> None:
    """The same for what users write."""
    assert where == parse_filter(repr(where))


@given(deepest)
@settings(max_examples=20)
def test_the_deepest_trees_are_read_from_their_repr(where: Filter) -> None:
    """The same at the limit of 100 levels."""
    assert where == parse_filter(repr(where))


@pytest.mark.parametrize(
    "steps",
    [
        [lambda f: And([f])],
        [lambda f: Or([f]), Not],
        [Not],
        [lambda f: And([f, A]), lambda f: Or([B, f])],
        [lambda f: And([f, *[A] * 9]), lambda f: Or([*[B] * 9, f])],
    ],
    ids=["and", "not or", "not", "two", "many"],
)
def test_no_kind_of_nesting_is_too_deep(steps: list[Any]) -> None:
    """Two brackets a level are 200 at 100 levels, the most that Python's own reader takes."""
    where: Filter = TextFilter("a", "one_of", ["x"])
    for i in range(99):
        where = steps[i % len(steps)](where)
    assert 100 == where.depth
    assert where == parse_filter(repr(where))


def test_the_largest_filter_is_read() -> None:
    """All that 64 KiB hold: leaves with column ids as long as those of metrics, and one leaf with many values."""
    for where in (
        all_of(Col(f"metrics/{PROJECT}").gt(n) for n in range(900)),
        Col("a").one_of([str(n) for n in range(8_000)]),
    ):
        assert 60_000 < len(repr(where)) <= MAX_TEXT
        assert where == parse_filter(repr(where))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Col("a") > 1', A),
        ("1 < Col('a')", A),
        ("Col('a') >= -1.5", Col("a").gte(-1.5)),
        ("Col('a') <= +1", Col("a").lte(1)),
        ("Col('a') == +True", Col("a").eq(1)),
        ("Col('a') == -False", Col("a").eq(0)),
        ("Col('a') == --1_0.5e-1", Col("a").eq(1.05)),
        ("Col('a') == .5", Col("a").eq(0.5)),
        ("Col('a').between(0o17, 0B11_11)", Col("a").between(15, 15)),
        ("(" * 208 + "ALWAYS" + ")" * 208, ALWAYS),
        ("ALWAYS & (Col('a') > 1) | Col('b').lt(2) & Col('c').eq('x')", A | B & C),
        ("~Col('a').gt(1) & ~Col('b').lt(2) | NEVER", ~A & ~B),
        (f"fully_annotated(['{USER}'])", FullyAnnotatedFilter([USER])),
        ("fully_annotated()", FullyAnnotatedFilter()),
        ("~fully_annotated(user_ids=None)", ~FullyAnnotatedFilter()),
        ("Col.text('a') . eq (  value = 'x' , )", Col.text("a").eq("x")),
        ("Col('a').eq(R'\\d' u'é' '' \\\n 'x')", Col("a").eq("\\déx")),
        ("Col('a').eq('\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\x41\\u00e9\\U0001f600\\N{DIGIT ONE}\\101\\0')",
         Col("a").eq("\a\b\f\n\r\t\v\\'\"Aé😀1A\0")),
        ("Col('a').eq(\"\"\"x\r\n'\"\"y\\\nz\"\"\")", Col("a").eq("x\n'\"\"yz")),
        ("Col('a').eq('x\\\r\ny')", Col("a").eq("xy")),
        ("Col('a').contains(\"\")", Col("a").contains("")),
        ("Col('a').gt(1)\n& Col('b').lt(2)", A & B),
        ("Col('a') == 'x'", Col("a").eq("x")),
        ("Col.number('a') != 0x10", Col("a").ne(16)),
        ("(Col('a') > 1) & (Col('b') < 2) | (Col('c') == 'x')", A & B | C),
        ("Col('a').gt(1) & (Col('b').lt(2) | ~Col('c').eq('x'))", A & (B | ~C)),
        ("~~Col('a').gt(1)", A),
        ("~~Not(Not(ALWAYS))", ~~Not(Not(ALWAYS))),
        ("all_of([Col('a') > 1, Col('b') < 2, ALWAYS])", A & B),
        ("any_of((Col('a') > 1, NEVER))", A),
        ("any_of([])", NEVER),
        ("all_of(filters=())", ALWAYS),
        ("And([Or([Not(ALWAYS)]), And([])])", And([Or([Not(ALWAYS)]), And([])])),
        ("Col('a').between(-1, 2)", Col("a").between(-1, 2)),
        ("Col.date('d').between('2026-01-01T00:00Z', '2026-01-02T00:00Z')",
         Col.date("d").between("2026-01-01T00:00Z", "2026-01-02T00:00Z")),
        ("Col('b').is_true() & Col.boolean('b').is_false()", Col("b").is_true() & Col("b").is_false()),
        ("Col('a').one_of(['x', 'y'], case_sensitive=False)", Col("a").one_of(["x", "y"], case_sensitive=False)),
        ("Col.collection('t').not_in(('x',))", Col.collection("t").not_in(["x"])),
        ("TextFilter('a', 'eq', 'x', case_sensitive=False)", TextFilter("a", "eq", "x", case_sensitive=False)),
        ("NumberFilter(column_id='a', operator='between', value=[2, -0.0])", NumberFilter("a", "between", [2, -0.0])),
        (f"FullyAnnotatedFilter(user_ids=['{USER}'])", FullyAnnotatedFilter([USER])),
        ("FullyAnnotatedFilter()", FullyAnnotatedFilter()),
        (" \n\t ((Col('a') > 1)\r\n  & # both\n  Col('b').lt(2)) \n", A & B),
        ("Col('a' 'b').eq(\"\"\"x\"\"\")", Col("ab").eq("x")),
        (r"Col('a').eq('\d')", Col("a").eq("\\d")),
        ("&".join(["(Col('a') > 1)"] * 700), all_of([A] * 700)),
        ("|".join(["Col('a').gt(1)"] * 700), any_of([A] * 700)),
    ],
)  # fmt: skip
def test_people_type_filters_in_more_ways_than_repr_prints(text: str, expected: Filter) -> None:
    """Comparisons, inferred types, keywords, tuples, comments, long chains."""
    assert expected == parse_filter(text)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # words of other languages
        ("Col('a').gt(1) and Col('b').lt(2)", "and", "`and` would drop a condition. Write & for and"),
        ("Col('a').gt(1) or Col('b').lt(2)", "or", "`or` would drop a condition"),
        ("Col('a').gt(1) && Col('b').lt(2)", "& Col", "& and | stand alone. Write & for and"),
        ("Col('a').gt(1) || Col('b').lt(2)", "| Col", "& and | stand alone"),
        ("!Col('a').gt(1)", "!", "! is no operator here. Write ~(...) for not"),
        ("not Col('a').gt(1)", "not", "~ for not"),
        ("Col('a').gt(1) AND Col('b').lt(2)", "AND", "Write & for and"),
        ("Col('a').gt(1) && Col('b').lt(2)", "& Col", "Write & for and"),
        ("(Col('a').gt(1) Col('b').lt(2))", "Col('b')", "this can't be read. A filter looks like Col("),
        ("Col('a').eq(true)", "true", "Did you mean True?"),
        ("Col('a').eq(null)", "null", 'Write Col("null") for a column, "null" for text. The names are Col, all_of,'),
        ("input.contains('x')", "input", 'Write Col("input") for a column'),
        # names
        ("col('a').eq(1)", "col", "col is unknown. Did you mean Col?"),
        ("Co('a').eq(1)", "Co", "Did you mean Col?"),
        ("Col.txt('a').eq(1)", "txt", "txt is unknown. Did you mean text?"),
        ("Col.eq('a')", "eq(", "Col has id, date, number, boolean, collection, text"),
        ("Col('a').contain('x')", "contain", "Did you mean contains?"),
        ("Col('a').foo('x')", "foo", "Col('a') has no foo; it has eq, ne, contains"),
        ("Col('a').isin(['x'])", "isin", "Write Col('a').one_of(...)"),
        ("Col('a').startswith('x')", "startswith", "no test for patterns"),
        ("Col('a').text('x')", "text", "Write Col.text('a')"),
        ("'x'.foo(1)", "foo", "A column has eq, ne"),
        ("TextFilter.foo(1)", "TextFilter", "TextFilter stands alone"),
        ("Col('a').on('2026-01-31')", "Col", "argument: 'tz'"),
        ("Col('a').on('2026-01-31', tz=timezone.utc)", "timezone", "Write the time zone as text"),
        ("Col('a').on('2026-01-31', tz=ZoneInfo('UTC'))", "ZoneInfo", 'tz="Europe/Berlin"'),
        ("Col('d').gt(datetime(2026, 1, 31))", "datetime", "Write a time as text: Col.date("),
        (f"Col('i').eq(UUID('{PROJECT}'))", "UUID", "Write an id as text: Col.id("),
        ("fully_annotated([])", "fully", "at least one UUID"),
        ("fully_annotated", "fully", "fully_annotated stands alone"),
        ("fully_annotated(1, 2)", "fully", "too many positional arguments"),
        ("Col", "Col", "Col stands alone. Write Col(...)"),
        ("Col('a').eq", "eq", "eq stands alone. Write eq(...)"),
        ("Col.text", "text", "text stands alone"),
        ("ALWAYS()", "ALWAYS", "this is a value, which can't be called"),
        # what stands where
        ("Col('a') > 1 & Col('b') < 2", "1", "& binds tighter than == and <"),
        ("Col('a').eq(1) & 3 > Col('b')", "3", "3 is not a filter"),
        ("Col('a') | Col('b').eq(1)", "Col('a')", "Col('a') is a column, not yet a filter"),
        ("Col('a').eq(1) & None", "None", "write ALWAYS"),
        ("~Col('a') == 1", "Col", "Write ~(Col(\"a\") == 1), not ~Col('a')"),
        ("1 < Col('a') < 3", "1", 'write two comparisons for a chain: (Col("x") > 1) & (Col("x") < 3)'),
        ("'x' in Col('tags')", "'x'", 'Col.collection("tags").contains("x")'),
        ("Col('a') not in ['x']", "Col", "~(...) for `not in`"),
        ("Col('a') is None", "Col", "== for `is`"),
        ("(Col('a') > 1) == True", "(", "one side of a comparison is a column"),
        ("Col('a')", "Col", "Compare it: Col('a').eq(...)"),
        ("'x'", "'x'", "'x' is a value, not a filter"),
        ("[Col('a').eq(1)]", "[", "is a value, not a filter"),
        ("Col('a').eq(1).eq(2)", "eq(2)", "eq is a method of columns. Join filters with & and |"),
        ("'x'.contains('y')", "contains", "contains is a method of columns"),
        ("Col('a').eq(1), Col('b').eq(2)", ",", "this can't be read"),
        ("(Col('a').eq(1),)", "(", "is a value, not a filter"),
        ("Col('a') = 1", "=", "Write == to compare"),
        ("a = 1", "a", "Write == to compare"),
        ("(a = 1)", "a", "Write == to compare"),
        ("Col('a').eq(1, , 2)", ", 2", "this can't be read"),
        ("Col('a').eq([['x']])", "['x']", "a list can't stand in a list"),
        ("Col('a').eq('x']", "]", "']' doesn't close '('"),
        ("[1)", ")", "')' doesn't close '['"),
        ("Col('a').eq(1) &", "", "the text ends too early"),
        ("Col('a').eq(-'x')", "-", "this can't stand in a filter"),
        ("Col('a').eq(value='x', 'y')", "'y'", "an argument without a name can't follow one with a name"),
        ("Col('a').eq(node=1)", "Col", "missing a required argument: 'value'"),
        ("Col('a').eq(self=1)", "Col", "missing a required argument: 'value'"),
        ("TextFilter('a')", "Text", "missing a required argument: 'operator'"),
        ("And()", "And", "missing a required argument: 'children'"),
        ("Col(1, 2)", "Col", "too many positional arguments"),
        ("Col('a').eq(b'x')", "b'x'", "bytes are not text. Leave out the b"),
        ("Col('a').eq(ur'x')", "ur'x'", "ur can't stand before quotes here"),
        ("Col('a').eq(1.2.3)", "1.2.3", "1.2.3 is no number"),
        ("Col('a').eq(1__0)", "1__0", "1__0 is no number"),
        ("Col('a').eq(1٣)", "1٣", "1٣ is no number"),
        ("Col('a').eq(2j)", "2j", "2j is no number"),
        ("Col('a').eq(0123)", "0123", "no number begins with 0. A date is text"),
        ("Col('a').eq('x)", "'x)", "this text is never closed"),
        ("Col('a').eq('x\ny')", "'x", "this text is never closed"),
        ("Col('a').eq(\\ 1)", "\\", "this can't be read"),
        ("Col('a').eq(1) + Col('b').eq(2)", "+", "this can't stand in a filter"),
        ("Col('a').eq(f'x')", "f'x'", "this can't stand in a filter"),
        ("Col('a').eq(1 + 1)", "+", "this can't stand in a filter"),
        ("(lambda: 1)()", "lambda", "this can't stand in a filter"),
        # arguments
        ("Col('a').eq()", "Col", "missing a required argument: 'value'"),
        ("Col.text('a').eq('x', True)", "Col", "too many positional arguments"),
        ("Col.text('a').eq('x', case=True)", "Col", "unexpected keyword argument 'case'"),
        ("Col.text('a').eq('x', case_sensitive=True, case_sensitive=False)", "Col", "a keyword stands once"),
        ("Col.text('a').eq({})", "{}", "this can't stand in a filter"),
        ("Col.text('a').eq(**1)", "**", "a keyword stands once in a call, by its name"),
        ("Col.text('a').eq(*['x'])", "*", "this can't stand in a filter"),
        ("all_of(Col('a').eq(1), Col('b').eq(2))", "all_of", "takes one list of filters. Write all_of([a, b]), not"),
        # what columns and constructors refuse
        ("ALWAYS & Col('a').eq(None)", "Col", "the API has no test for a missing value"),
        ("Col.text('a').gt(3)", "gt", "Col.text('a') has no gt (>); it has eq"),
        ("Col.collection('t') != 'x'", "Col", "has no ne (!=)"),
        ("Col('a').eq(1e999)", "Col", "inf is not a number that JSON can carry"),
        ("Col('a').one_of('x')", "Col", "one_of takes a list of text"),
        ("Col('').eq(1)", "Col", "a column id can't be empty"),
        ("TextFilter('a', 'like', 'x')", "Text", "a text filter has no operator 'like'"),
        ("And([1])", "And", "expected a filter, got 1"),
        ("all_of(Col('a').eq(1))", "all_of", "write all_of([a, b]), not all_of(a)"),
        ("Col('a').between(1, 2, 3)", "Col", "too many positional arguments"),
        # Python's own complaints
        ("Col('a').eq('x'", "('x'", "'(' was never closed"),
        ("Col('a').eq('x'))", ")", "unmatched ')'"),
        ("Col('a').eq(‘x’)", "‘", "invalid character"),
        ("Col('a').eq(1\0)", "\0", "Write it as an escape"),
        ("Col('a').eq('\ud800')", "\ud800", "Write it as an escape"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_and_where(text: str, place: str, words: str) -> None:
    """The offset is that of the fault, and the caret stands under it."""
    error = refused(text)
    assert words in str(error)
    assert text.rindex(place) == error.offset or text.index(place) == error.offset
    _, line, caret = str(error).split("\n")
    if text.isprintable():
        assert f"  {text}" == line
        assert 2 + error.offset == caret.index("^")


@pytest.mark.parametrize("text", [r"Col('a').eq('C:\Users')", r"Col('a').eq('\N{no such}')", r"Col('a').eq('\x1')"])
def test_an_incomplete_escape_is_explained(text: str) -> None:
    """Paths of Windows are text too."""
    assert "Write two for a backslash in text" in str(refused(text))


@pytest.mark.parametrize("text", ["", " ", "\n\t\n", "\x0c"])
def test_an_empty_text_is_explained(text: str) -> None:
    """With an example of a filter."""
    assert "the text is empty. A filter looks like" in str(refused(text))


@pytest.mark.parametrize("text", [None, 3, b"ALWAYS", ALWAYS, ["ALWAYS"]])
def test_only_text_is_parsed(text: Any) -> None:
    """Anything else is a FilterTypeError."""
    with pytest.raises(FilterTypeError, match="expected text"):
        parse_filter(text)


def test_an_offset_counts_characters() -> None:
    """Python's tree counts the bytes of UTF-8."""
    text = "Col('é漢😀').eq('ü') & foo"
    assert text.index("foo") == refused(text).offset
    assert f"  {text}\n        \u3000\u3000{' ' * 13}^" == str(refused(text)).partition("\n")[2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_of_the_fault_is_shown(end: str) -> None:
    """Only that one of many, and the offset is still that in the whole text."""
    text = end.join(["  (", "Col('a').eq(1)", "  & é_é.eq(2)", ")"])
    error = refused(text)
    assert text.index("é_é") == error.offset
    assert str(error).endswith("\n    & é_é.eq(2)\n      ^")
    broken = end.join(["  (", "Col('a').eq(1)", "  & * 3", ")"])
    assert broken.index("*") == refused(broken).offset


def test_a_long_line_is_shown_around_the_fault() -> None:
    """At most 80 characters of it."""
    text = f"{'ALWAYS & ' * 1000}foo{' & ALWAYS' * 1000}"
    error = refused(text)
    assert 9000 == error.offset
    assert ("  " + text[8960:9040], 42 * " " + "^") == tuple(str(error).split("\n")[1:])


def test_a_long_complaint_is_cut() -> None:
    """However much was written."""
    refused(f"Col('{'a' * 5000}').between({', '.join(['100000000'] * 500)})")
    refused(f"{'a' * 5000}.eq(1)")
    refused(f"Col('a').{'a' * 5000}(1)")
    refused(f"Col('a').{'a' * 5000}")
    refused(f"Col('a').eq('x', {'a' * 5000}=1)")
    assert "more than 4,300 digits" in str(refused(f"Col('a').eq({'1' * 5000})"))
    assert "more than 4,300 digits" in str(refused(f"Col('a').eq(0x{'1' * 5000})"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~" * 120 + "ALWAYS", "nested too deeply"),
        ("~" * 60_000 + "ALWAYS", "nested too deeply"),
        ("(" * 209 + "ALWAYS" + ")" * 209, "Write all_of([a, b, ...]) for a long chain"),
        ("Col('a')" + ".eq(1)" * 10_000, "eq is a method of columns"),
        ("Not(" * 110 + "ALWAYS" + ")" * 110, "101 levels deep"),
        ("Not(" * 99 + "Col('a').gt(1) & ALWAYS & Col('b').gt(1)" + ")" * 99, "101 levels deep"),
        ("And([" + "NEVER," * 10_001 + "])", "more than 16,384 names, marks and values. load_filter"),
        ("a" * (MAX_TEXT + 1), "more than 65,536 characters. load_filter"),
        ("[(" * (MAX_TEXT // 4) + ")]" * (MAX_TEXT // 4), "nested too deeply"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_too_deep_or_too_large_is_refused(text: str, words: str) -> None:
    """Before it costs much."""
    assert words in str(refused(text))


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "Col.__init__.__globals__",
    "Col('a').__class__('b')",
    "Col('a').column_id",
    "Col('a').column_id.eq('x')",
    "Col('a')._leaf('eq', 'x')",
    "Col.mro()",
    "ALWAYS.children",
    "ALWAYS.joined((), 1, 1)",
    "eval('ALWAYS')",
    "open('x')",
    "[f for f in (ALWAYS,)]",
    "(x := ALWAYS)",
    "ALWAYS if 1 else NEVER",
    "all_of(ALWAYS for _ in [1])",
    "{'a': ALWAYS}['a']",
    "Col('a').eq('x' * 1000000000)",
    "Col('a').eq(9 ** 9 ** 9)",
    "Col('a').eq('%s' % 1)",
    "And.joined((), 1, 1)",
    "Filter()",
    "parse_filter('ALWAYS')",
    "import os",
    "ALWAYS; ALWAYS",
    "x = ALWAYS",
    "await ALWAYS",
    "yield ALWAYS",
    "print(ALWAYS)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_evaluated(text: str) -> None:
    """Names, attributes and operations outside of the closed list are refused."""
    refused(text)


@pytest.mark.parametrize(
    "text", [r"Col('a').eq('\d')", "1and ALWAYS", "Col('a').eq(1if 1else 2)", r"Col('a').eq('\777')"]
)
def test_no_warning_leaks(text: str) -> None:
    """Python warns of some texts while it reads them, even of good ones."""
    for action in ("error", "always"):
        with warnings.catch_warnings(record=True, action=action) as caught:  # type: ignore[call-overload]
            try:
                parse_filter(text)
            except FilterParseError as error:
                check(error, text)
        assert [] == caught


def test_a_type_error_from_inside_keeps_its_words() -> None:
    """Arguments that fit a function's signature aren't what is wrong."""
    assert "no" == text_messages.wrong_arguments(lambda value: value, [1], {}, TypeError("no"))


def test_an_error_pickles_and_has_no_context() -> None:
    """What Python or a column said is in the message; the error itself stands alone."""
    for text in ("Col('a').eq(", "Col('a').eq(None)", "Col.text('a').gt(1)", "~" * 100_000, "Col('a').eq()"):
        error = refused(text)
        assert error.__context__ is None
        assert error == pickle.loads(pickle.dumps(error))


# ---- a corpus --------------------------------------------------------------------------------------------------------

GOOD = [
    "ALWAYS",
    "~(NEVER)",
    "Col('a') > 3",
    "1.5e3 <= Col.number('a')",
    "Col('input').contains('x') & ~Col('score').gt(-3)",
    "Col.text('a').eq('x', case_sensitive=False)",
    "Col.collection('t').one_of(['x', 'y']) | NEVER",
    "Col('é').eq('\\u00fc漢')",
    "Col.date('d').gte('2026-01-31T09:00:00+00:00')",
    "Col('n').between(-1, 2.0)",
    f"Col.id('i').not_in(('{PROJECT}',))",
    "Col.boolean('b').is_true()",
    "all_of([Col('a').eq(1), Col('b').ne(True)])",
    "any_of(filters=[ALWAYS])",
    "And([Or([]), Not(ALWAYS)])",
    "TextFilter('', 'one_of', [], case_sensitive=False)",
    "NumberFilter(column_id='a', operator='eq', value=[1])",
    f"FullyAnnotatedFilter(user_ids=['{USER}'])",
    "(Col('a') == 'x') & (Col('b') != \"y\")",
    "(Col('a').lt(0x1F)\n | Col('b').is_false())",
]
NASTY = list("()[]{}'\"\\&|~.,=#0xf \n\r\0é\ud800\u2028😀")


def changes(text: str) -> list[str]:
    """Every prefix, and the text with any one character deleted, replaced, or put in between."""
    places = range(len(text))
    return [
        *(text[:i] for i in places),
        *(text[:i] + text[i + 1 :] for i in places),
        *(text[:i] + char + text[i + 1 :] for i in places for char in NASTY),
        *(text[:i] + char + text[i:] for i in [*places, len(text)] for char in NASTY),
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("good", GOOD)
def test_a_text_broken_anywhere_is_a_filter_or_a_parse_error(good: str) -> None:
    """Whatever one character makes of it, there's an answer that people can read."""
    assert parse_filter(good) == parse_filter(repr(parse_filter(good)))
    for text in changes(good):
        try:
            where = parse_filter(text)
        except FilterParseError as error:
            check(error, text)
        except FilterError:
            pytest.fail(f"{text!r} raises another FilterError")
        else:
            assert isinstance(where, Filter)
