"""Text as filters: what repr prints, what people type, and what is refused."""

import ast
import contextlib
import re
import sys
import threading
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import USER
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import ALWAYS, And, Col, Filter, FilterParseError, Not, TextFilter, all_of
from galileo_sessions.filters.text import MAX_BRACKETS, MAX_TEXT, parse_filter

A, B, C = Col("a").gt(1), Col("b").lt(2), Col("c").eq("x")


def check(error: FilterParseError, text: str) -> None:
    """The error fits a screen and reveals no internals of the package."""
    problem, line, caret = error.message.split("\n")
    assert text == error.text
    assert 0 <= error.offset <= len(text)
    assert 0 < len(problem) <= len(str(error)) <= 600
    assert len(line) <= 82
    assert re.fullmatch("  [ \u3000]*\\^", caret)
    assert len(caret) <= len(line) + 1
    for internal in ("galileo_sessions", " ast.", "Traceback", "_Parser", "Error", "__new__", "operand", "node"):
        assert internal in text or internal not in str(error)


def refused(text: str) -> FilterParseError:
    """The error with which a text is refused: it stands alone."""
    with pytest.raises(FilterParseError) as caught:
        parse_filter(text)
    check(caught.value, text)
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.filterwarnings("ignore::galileo_sessions.QueueScopedFilterWarning")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 < Col('a')", A),
        ("Col('a') == .5", Col("a").eq(0.5)),
        ("Col('a') != 1_0.5e-1", Col("a").ne(1.05)),
        ("Col('a').one_of(('x',))", Col("a").one_of(["x"])),
        ("Col('a').eq(r'\\d')", Col("a").eq("\\d")),
        ("Col.text('a') . eq (  value = 'x' , )", Col.text("a").eq("x")),
        ("NumberFilter(column_id='a', operator='eq', value=[2, -0.0])", gs.NumberFilter("a", "eq", [2, -0.0])),
        ("d.during('2026-01-31', '2026-02-02', tz='+01:00')", Col("d").during("2026-01-31", "2026-02-02", tz="+01:00")),
        ("score > 3", Col("score") > 3),
        ('tags.contains("vip") | ~(3 == id)', Col("tags").contains("vip") | ~(Col("id") == 3)),
        ("~Col('a').gt(1) & ~Col('b').lt(2) | NEVER", ~A & ~B),
        ("Col('b').lt(2) | Col('a').gt(1) & Col('c').eq('x') | ALWAYS & Col('a').gt(1)", gs.any_of([B, A & C, A])),
        ("any_of((Col('a') > 1, NEVER))", A),
        ("~~Not(Not(ALWAYS))", ~~Not(Not(ALWAYS))),
        (" \n\t ((Col('a') > 1)\r\n  & # both\n  Col('b').lt(2)) \n", A & B),
        ("(" * MAX_BRACKETS + "ALWAYS" + ")" * MAX_BRACKETS, ALWAYS),
        ("~" * (MAX_TEXT - len("ALWAYS")) + "ALWAYS", ALWAYS),
        (f"~fully_annotated(user_ids=['{USER}'])", ~gs.FullyAnnotatedFilter([USER])),
        ("&".join(["(Col('a') > 1)"] * 700), all_of([A] * 700)),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_people_type_filters_in_more_ways_than_repr_prints(text: str, expected: Filter) -> None:
    assert expected == parse_filter(text)


def test_the_deepest_text_is_read_far_from_the_top_of_the_stack() -> None:
    """Two brackets a level are 200 at 100 levels; a program can be 400 calls deep, and Python stops at 1,000."""

    def call(depth: int) -> Filter:
        return call(depth - 1) if depth else parse_filter(repr(where))

    where: Filter = TextFilter("a", "one_of", ["x"])
    for _ in range(99):
        where = And([where])
    assert where == call(400)


@given(st.sampled_from("'\""), st.text(st.sampled_from(list("ab\\'\"\nxuU07 é")), max_size=12))
def test_text_in_quotes_means_what_it_means_in_python_or_is_refused(quote: str, body: str) -> None:
    text = f"TextFilter('a', 'eq', {quote}{body}{quote})"
    with contextlib.suppress(FilterParseError):
        where = parse_filter(text)
        with warnings.catch_warnings(action="ignore"):
            assert where == TextFilter("a", "eq", ast.literal_eval(f"{quote}{body}{quote}"))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # words of other languages
        ("!Col('a').gt(1)", "!", "~ for not"),
        ("'x' in Col('tags')", "in", 'Col.collection("tags").contains("x")'),
        ("a NOT IN ('x', 'y')", "NOT", "unexpected 'NOT'. Write Col('a').not_in([...])"),
        ("Col('a') is None", "is", "The API has no test for a missing value. From all sessions, subtract"),
        ("a is not null", "is", "Each session with a value satisfies a | ~a"),
        ("a is 'x'", "is", "Write == to compare. The API has no test for a missing value"),
        ("a is not 'x'", "is", "Write Col('a').ne(...)"),
        ("a is not b", "is", "Write Col('a').ne(...)"),
        ("done is not True", "is", "Write ~Col('done').is_true()"),
        ("a is in ['x']", "is", "Write Col('a').one_of([...])"),
        ("a IS NOT IN ['x']", "IS", "Write Col('a').not_in([...])"),
        ("user.name.contains('x')", "name", "Write Col('user.name') for a column of that name"),
        ("'score > 3'", "'s", "'score > 3' is not a filter. Leave out the quotes around the filter"),
        ("a > 1,000", ",", "unexpected ','. Write & between filters, and numbers without commas, such as 1000 or 0.5"),
        ("(a > 1,000)", ",", "unexpected ','. Write & between filters, and numbers without commas"),
        ("a > 1 000", "000", "text in quotes, and numbers without commas and spaces"),
        ("a.gt(1,000)", "a", "arguments but 3 were given. Write times, ids and text in quotes, and numbers"),
        ("a > 50%", "%", "unexpected '%'. Write a number without %: 0.5 or 50, as the column has it"),
        ("a contains 'x' and b > 1", "contains", "unexpected 'contains'. Write Col('a').contains(...)"),
        ("a not like 'x%'", "not", "The API has no patterns"),
        ("a banana 'x'", "banana", "unexpected 'banana'. A filter looks like Col("),
        ("a not", "not", "Write ~ before a filter"),
        ("", "", "the text is empty. A filter looks like"),
        # names
        ("col('a').eq(1)", "col", "unknown name 'col'. Did you mean Col?"),
        ("Col('a').eq(true)", "true", "Did you mean True?"),
        ("Col('d').gt(datetime(2026, 1, 31))", "datetime", "Times, ids and time zones are text"),
        ("Col.txt('a').eq(1)", "txt", "it has id, date, number, boolean, collection, text. Write Col('txt')"),
        ("Col.number('a').bins(1)", "bins", "bins makes a partition, not a filter"),
        ("number('a') > 1", "number", "unknown name 'number'. Write Col.number(...)"),
        ("Col('a').(1)", "(1)", "unexpected '('"),
        ("Col('a').eq(1).eq(2)", "eq(2)", "only columns have methods. Write & for and"),
        ("Col('a').eq", "eq", "eq must be called. Write eq(...)"),
        ("TextFilter.foo(1)", "TextFilter", "TextFilter must be called"),
        ("ALWAYS()", "ALWAYS", "this is a value, so it can't be called"),
        ("metrics/toxicity > 1", "/", 'Write Col("metrics/toxicity") for a column'),
        # operators
        ("~Col('a') == 1", "Col", 'Write ~(Col("a") == 1)'),
        ("1 < Col('a') < 3", "1", 'a chain of comparisons. Write two comparisons: (Col("a") > 1) & (Col("a") < 3)'),
        ("(Col('a') > 1) == True", "(", "one side of a comparison must be a column"),
        ("(Col('a').gt(1) Col('b').lt(2))", "Col('b')", "unexpected 'Col'"),
        # brackets, text and numbers
        ("Col('a').eq('x'))", ")", "Check the brackets before it"),
        ("Col('a').eq('x'", "('x'", "'(' was never closed"),
        ("Col('a').eq(1) &", "", "the text ends too early"),
        ("Col('a').eq('x)", "'x)", "Close the quotes on the same line"),
        (r"Col('a').eq('C:\Users')", r"\U", r"unknown escape. Write \\ for a backslash in text"),
        ("Col('a').eq(1.2.3)", "1.2.3", "'1.2.3' can't be read as a number"),
        ("Col('a').gt(2026-01-31)", "-01", "unexpected '-01'. Write times, ids and text in quotes"),
        # arguments
        ("Col('a').eq(self=1)", "Col", "eq() got multiple values for argument 'self'"),
        ("Col.text('a').eq('x', case_sensitive=True, case_sensitive=False)", "case_sensitive=F", "is given twice"),
        (f"Col('a').eq('x', {'a' * 5000}=1)", "Col", "eq() got an unexpected keyword argument 'aaa"),
        # what columns and constructors refuse
        ("Not(" * 110 + "ALWAYS" + ")" * 110, "Not(" * 100, "at most 100 levels"),
        ("(" * 201 + "ALWAYS" + ")" * 201, "(A", "nested too deeply"),
        ("[(" * (MAX_TEXT // 4) + ")]" * (MAX_TEXT // 4), "[(" * (MAX_TEXT // 4 - 100), "nested too deeply"),
        ("a" * (MAX_TEXT + 1), "", "longer than 65,536 characters. load_filter reads more"),
    ],
    ids=lambda value: value[:60],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong_and_where(text: str, place: str, words: str) -> None:
    error = refused(text)
    problem, line, caret = error.message.split("\n")
    assert words in f"{problem}. {error.hint}"
    assert error.offset in (text.rindex(place), text.index(place), MAX_TEXT)
    if text.isprintable() and len(text) < 80 and error.offset < 40:
        assert f"  {text}"[: len(line)] == line
        assert 2 + error.offset == caret.index("^")


WORDS = {"===": "==", "=": "==", "<>": "!=", "≠": "!=", "!==": "!=", "≥": ">=", "=>": ">=", "≤": "<=", "=<": "<="}
WORDS |= dict.fromkeys(("&&", "and", "AND"), "&") | dict.fromkeys(("||", "or", "OR"), "|")
QUOTES = ["“x”", "‘x’", "„x“", "`x`", "´x´", "«x»"]


@pytest.mark.parametrize("word", WORDS)
def test_an_operator_of_another_language_is_quoted_with_the_one_to_write(word: str) -> None:
    right = WORDS[word]
    error = refused(f"score {word} 1" if "=" in right else f"(a > 1) {word} (b > 1)")
    assert error.message.startswith("unexpected '")
    assert error.text[error.offset :].startswith(error.message.split("'")[1])
    assert f"Write {right} to compare" in error.hint or f"{right} for {'and' if right == '&' else 'or'}" in error.hint


@pytest.mark.parametrize("text", QUOTES)
def test_quotes_of_a_text_editor_are_refused(text: str) -> None:
    error = refused(f"a.contains({text})")
    assert (11, "Write straight quotes: \" or '") == (error.offset, error.hint)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_of_the_fault_is_shown(end: str) -> None:
    """Only the line of the fault is shown; the offset counts characters of the whole text."""
    text = end.join(["  (", "Col('a').eq(1)", "  & Col('漢\uff21').eq('\t') & é_é", ")"])
    error = refused(text)
    assert text.index("é_é") == error.offset
    long = f"{'ALWAYS & ' * 1000}foo{' & ALWAYS' * 1000}"  # of which 80 characters are shown
    assert refused(long).message.endswith(f"\n  {long[8960:9040]}\n{42 * ' '}^")
    assert error.message.endswith(f"\n    & Col('漢\uff21').eq(' ') & é_é\n  {' ' * 9}\u3000\u3000{' ' * 13}^")


HOSTILE = ["__import__('os').system('true')", "().__class__.__bases__[0]", "Col.__init__.__globals__", "Filter()"]
HOSTILE += ["Col('a').__class__('b')", "Col('a').column_id.eq('x')", "Col('a')._leaf('eq', 'x')", "(x := ALWAYS)"]
HOSTILE += ["[f for f in (ALWAYS,)]", "ALWAYS if 1 else NEVER", "{'a': ALWAYS}['a']", "ALWAYS; ALWAYS"]
HOSTILE += ["Col('a').eq('x' * 1000000000)", "Col('a').eq(9 ** 9 ** 9)", "Col('a').eq(f'{1}')", "Col('a').eq(*['x'])"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_evaluated(text: str) -> None:
    refused(text)


GOOD = ["1.5e3 <= Col.number('a')", "Col('input').contains('x') & ~Col('score').gt(-3)", "Col('é').eq('\\u00fc漢')"]
GOOD += ["Col.collection('t').one_of(['x', 'y']) | NEVER", "all_of([Col('a').eq(1), Col('b').ne(True)])"]
GOOD += [f"Col.id('i').not_in(('{PROJECT}',))", "NumberFilter(column_id='a', operator='eq', value=[1])"]
GOOD += ["(Col('a') == 'x') & (Col('b') != \"y\")", "(Col('a').lt(31) # one\n | Col('b').is_false())"]
NASTY = list("()[]{}'\"\\&|~.,=#0xf \n\r\0é\ud800\u2028😀")


@pytest.mark.thorough
@pytest.mark.parametrize("good", GOOD)
def test_a_text_broken_anywhere_is_a_filter_or_a_parse_error(good: str) -> None:
    assert parse_filter(good) == parse_filter(repr(parse_filter(good)))
    places = range(len(good) + 1)
    changed = [good[:i] + char + good[j:] for i in places for j in (i, i + 1) for char in ["", *NASTY]]
    for text in [*(good[:i] for i in places), *changed]:
        try:
            where = parse_filter(text)
        except FilterParseError as error:
            check(error, text)
        else:
            assert isinstance(where, Filter)


def filled(head: str, body: str, tail: str = "") -> str:
    """A text of the greatest length, with the body as often as it fits in."""
    return head + body * ((MAX_TEXT - len(head) - len(tail)) // len(body)) + tail


ONLY = [*"~([a'\\1#. \n,={-\ud800", "([", "a\u0301", "\\\n", "1_", "#\n", "a&", "'a'", "1<", "()", "not ", ".1", "\"'"]
LISTED = ["1", "(1)", "'\\n'", "Col('a')>1", "Col('a').gt(1)", "Col('a')&Col('b')", "~NEVER", "[]", "a=1"]
LISTED += ["And([" * 97 + "NEVER" + "])" * 97, "fully_annotated()", "Col.date('d').on('2026-01-31',tz='UTC')"]
SHAPES = {
    **{f"only {body!a}": filled("", body) for body in ONLY},
    **{f"list of {body[:20]}": filled("And([", f"{body},", "])") for body in LISTED},
    "exponent": "1e" + "9" * (MAX_TEXT - 2),
    "spaces": "a" + " " * (MAX_TEXT - 2) + "=",
    "escapes": filled("'", "\\x41", "'"),
    "keywords": filled("Col(", "a=1,", ")"),
    "calls": filled("Col('a')", ".eq(1)"),
    "joined": filled("", "(Col('a')>1)&", "ALWAYS"),
    "unfinished list": filled("Col('a').one_of([", "'a',"),
}


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::galileo_sessions.QueueScopedFilterWarning")
@pytest.mark.parametrize("shape", SHAPES)
def test_any_text_is_answered_soon_in_a_thread_with_a_small_stack(shape: str) -> None:
    """It takes at most 0.1 s of CPU on a quiet machine. A busy one gets four times that, and three tries."""
    text, answers, seconds = SHAPES[shape], [], []

    def answer() -> None:
        start = time.thread_time()
        try:
            answers.append(parse_filter(text))
        except gs.FilterError as error:
            answers.append(error)
        seconds.append(time.thread_time() - start)

    assert len(text) <= MAX_TEXT
    for _ in range(3):
        thread, before = threading.Thread(target=answer), threading.stack_size(256 * 1024)
        thread.start()
        threading.stack_size(before)
        thread.join()
    assert 3 == len(answers)
    assert min(seconds) < 0.4


def test_the_texts_of_strangers_leave_nothing_behind() -> None:
    """Python remembers in a module what it has warned of; a service that reads filters would remember each text."""
    with warnings.catch_warnings(record=True, action="default") as caught:
        for day in range(1, 10):
            _ = parse_filter(f"Col('a') == '2026-05-0{day}'")
        for text in ("a == 1is 2", r"a == '\d'"):
            with contextlib.suppress(FilterParseError):
                _ = parse_filter(text)
    assert {gs.DateAsTextWarning} == {warning.category for warning in caught}
    modules = [module for name, module in sys.modules.items() if name.startswith("galileo_sessions")]
    assert "2026-05-0" not in str([getattr(module, "__warningregistry__", None) for module in modules])


# ---- a text with typical mistakes, and who follows the hints ---------------------------------------------------------

MISTAKES: dict[str, list[str]] = {
    " == ": [" === ", " = ", "="], " != ": [" <> ", " ≠ ", " !== "],
    " >= ": [" => ", " ≥ ", "=>"], " <= ": [" =< ", " ≤ ", "=<"],
    " & ": [" && ", " and ", " AND "], " | ": [" || ", " or ", " OR "], "~": ["not ", "!", "NOT "],
    "1000": ["1,000", "1 000"], "2500000": ["2,500,000"], "0.5": ["0,5", "50%"],
    "'a b'": ["“a b”", "‘a b’", "`a b`", "„a b“"], ".eq(": [".equals("], ".ne(": [".not_eq(", ".neq("],
    ".one_of(": [".isin(", ".is_in("], "Col(": ["col("], ", tz='UTC')": [")"],
}  # fmt: skip
"""What is written in a text, and how people write it by mistake."""
SIDES = ["score {} 1000", "score {} 2500000", "score {} -3", "Col('x/y') {} 0.5"]
LEAF_TEXTS = [side.format(symbol) for side in SIDES for symbol in ("==", "!=", ">", ">=", "<", "<=")]
LEAF_TEXTS += ["score.gt(1000)", "score.between(0.5, 2500000)", "input.contains('a b')", "Col('input').eq('a b')"]
LEAF_TEXTS += ['input == "it\'s"', "score.gte(-3)", "tags.one_of(['a b', \"it's\"])", "input.ne('a b')"]
LEAF_TEXTS += ["created_at.on('2026-05-01', tz='Europe/Berlin')"]


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    both = st.builds("({} {} {})".format, parts, st.sampled_from("&|"), parts)
    return both | st.builds("~{}".format, parts)


texts = st.recursive(st.sampled_from(LEAF_TEXTS).map("({})".format), joined, max_leaves=4)


def follow(error: FilterParseError) -> str:
    """The text in which the place of an error is written as its hint says."""
    text, hint = error.text, error.hint
    before, after = text[: error.offset], text[error.offset :]
    word = re.match(r"\w+|[=!<>]+|.", after)[0]
    rest = after[len(word) :]
    if meant := re.match(r"Write (\S+) to compare", hint):
        return before + meant[1] + rest
    if hint.startswith("Write & for and"):
        return before + {"and": "&", "or": "|", "not": "~", "!": "~"}.get(word.lower(), "") + rest
    if method := re.match(r"Write Col\(.*\)\.(\w+)\(\[?\.\.\.\]?\)|Did you mean (\w+)\?", hint):
        return before + (method[1] or method[2]) + rest
    if "straight quotes" in hint:
        return re.sub("[“”„‘’`]", "'", text)
    if "without commas" in hint:
        return re.sub(r"(?<=\d)[, ](?=\d\d\d\b)", "", text).replace("0,5", "0.5")
    if "without %" in hint:
        return text.replace("50%", "0.5")
    if "Leave out the quotes" in hint:
        return ast.literal_eval(text)
    assert hint.startswith('Write tz="UTC"'), f"{error} says nothing to follow"
    return text.replace("on('2026-05-01')", "on('2026-05-01', tz='UTC')")


@given(texts, st.data())
def test_who_follows_the_hints_gets_the_filter_that_was_meant(text: str, data: st.DataObject) -> None:
    """With up to three mistakes in a text, or twice in quotes; each error quotes what stands at its place."""
    meant = parse_filter(text)
    for _ in range(data.draw(st.integers(1, 3))):
        places = [(found.start(), right) for right in MISTAKES for found in re.finditer(re.escape(right), text)]
        if places:
            place, right = data.draw(st.sampled_from(places))
            text = text[:place] + data.draw(st.sampled_from(MISTAKES[right])) + text[place + len(right) :]
    text = data.draw(st.sampled_from([text, repr(text)]))
    for _ in range(40):
        with contextlib.suppress(FilterParseError):
            assert meant == parse_filter(text)
            return
        error = refused(text)
        if quoted := re.match(r"(?:unexpected|unknown name) '(.*)'\n", error.message):
            assert text[error.offset :].startswith(quoted[1])
        text = follow(error)
    raise AssertionError(f"{text} is never read")
