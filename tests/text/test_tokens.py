"""The words of a text, and that no text takes long or takes the interpreter with it."""

from __future__ import annotations

import ast
import contextlib
import sys
import threading
import time
import warnings
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from galileo_sessions import FilterError, FilterParseError, TextFilter, parse_filter
from galileo_sessions.text.parsing import MAX_TEXT
from galileo_sessions.text.tokens import tokens_of


def words(text: str) -> list[Any]:
    """The kinds and values of a text's words, without the end."""
    return [(kind, value) for kind, value, _ in tokens_of(text)][:-1]


# ---- words -----------------------------------------------------------------------------------------------------------


def test_each_word_has_its_kind_and_place() -> None:
    """Space and comments are none; the last one says where the text ends."""
    text = "Col . text('a').eq(value = 'x', n=[1, -2.5], *~0x1F) # not a word\n"
    assert [
        ("name", "Col", 0),
        ("attribute", "text", 6),
        ("mark", "(", 10),
        ("value", "a", 11),
        ("mark", ")", 14),
        ("attribute", "eq", 16),
        ("mark", "(", 18),
        ("keyword", "value", 19),
        ("value", "x", 27),
        ("mark", ",", 30),
        ("keyword", "n", 32),
        ("value", [1, -2.5], 34),
        ("mark", ",", 43),
        ("mark", "*", 45),
        ("mark", "~", 46),
        ("value", 31, 47),
        ("mark", ")", 51),
        ("end", "", len(text)),
    ] == list(tokens_of(text))


@pytest.mark.parametrize("text", ["[1,2]", "[ 1 , 'x', ]", '["a",\n-1.5e3]', "['', '']", "[0,]"])
def test_a_list_of_plain_literals_is_one_word(text: str) -> None:
    """It may hold thousands."""
    assert [("value", ast.literal_eval(text))] == words(text)


@pytest.mark.parametrize("text", ["[]", "['a' 'b']", "[r'a']", "['\\n']", "[1_0]", "[[1]]", "[''' ''']", "[,1]"])
def test_any_other_list_is_read_word_by_word(text: str) -> None:
    """What the shorter way can't read is left to the longer one."""
    assert ("mark", "[") == words(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "0", "00", "10", "1_0", "0x1F", "0XfF", "0o17", "0b1_01", "1.", ".5", "1.5", "1e5", "1E+5", "1.5e-3", "1_0.2_5",
        "''", '""', "'''a'''", '"""a\n\'"b"""', "'a' 'b'", "'a'\"b\"\n'c'", "r'\\d'", "R'\\\\'", "u'é'",
        "'\\\n'", "'\\d'",
        r"'\a\b\f\n\r\t\v\\\'\"'", r"'\x41\u00e9\U0001F600\N{BULLET}\101\0\7778'",
        r"'\ud800'", "'a\\\nb'", "'''\r\n\r'''",
        "'''\\''''", "'\"'",
    ],
)  # fmt: skip
def test_literals_are_read_as_python_reads_them(text: str) -> None:
    """Numbers and texts in all their forms."""
    with warnings.catch_warnings(action="ignore"):  # Python warns of "\d"
        expected = ast.literal_eval(f"({text})")
    assert [("value", expected)] == words(text)
    assert type(expected) is type(words(text)[0][1])


QUOTES = st.sampled_from(["'", '"', "'''", '"""'])
BODIES = st.text(st.sampled_from(list("ab\\'\"\nxuUN{}07 é\r")), max_size=12)


@given(st.sampled_from(["", "r", "u", "R"]), QUOTES, BODIES)
@example("", "'", r"\N{}")
@settings(max_examples=400)
def test_a_text_is_read_as_python_reads_it_or_refused_as_python_refuses_it(prefix: str, quote: str, body: str) -> None:
    """Whatever stands between quotes."""
    text = f"{prefix}{quote}{body}{quote}"
    try:
        with warnings.catch_warnings(action="ignore"):
            expected = ast.literal_eval(f"({text})")
    except (SyntaxError, ValueError):
        with pytest.raises(FilterParseError):
            parse_filter(f"TextFilter('a', 'eq', {text})")
    else:
        assert TextFilter("a", "eq", expected) == parse_filter(f"TextFilter('a', 'eq', {text})")


@given(st.text(st.sampled_from(list("0123456789._eExXoObBaA+-")), min_size=1, max_size=8).map(lambda text: f"1{text}"))
@settings(max_examples=400)
def test_a_number_is_read_as_python_reads_it(text: str) -> None:
    """Where Python takes a number whole, so does this; where it doesn't, neither does this."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        tree = None
    expected = tree.value if isinstance(tree, ast.Constant) and not isinstance(tree.value, complex) else None
    try:
        made = words(text)
    except FilterParseError:
        made = None
    assert (expected is not None) == (made is not None and len(made) == 1)
    assert expected is None or [("value", expected)] == made


@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ("'a", 0, "this text is never closed"),
        ("1 'a\n'", 2, "this text is never closed"),
        ("'''a''", 0, "this text is never closed"),
        ("‘a’", 0, "invalid character '‘'"),
        ("a ?", 2, "invalid character '?'"),
        ("é\u0301", 1, "invalid character"),
        ("\\ ", 0, "this can't be read"),
        ("'ab\\x4'", 3, "a backslash begins an escape"),
        (r"'\U00110000'", 1, "a backslash begins an escape"),
        (r"'\N{NO SUCH}'", 1, "a backslash begins an escape"),
        ("f'x'", 0, "this can't stand in a filter"),
        ("rb'x'", 0, "bytes are not text"),
        ("rr'x'", 0, "rr can't stand before quotes"),
        ("1" * 4_301, 0, "more than 4,300 digits"),
        ("07", 0, "no number begins with 0"),
        ("0x", 0, "0x is no number"),
        ("1and", 0, "1and is no number"),
        ("~" * 16_385, 16_384, "more than 16,384 names, marks and values"),
    ],
)
def test_what_is_no_word_is_refused_where_it_stands(text: str, offset: int, problem: str) -> None:
    """With its offset."""
    with pytest.raises(FilterParseError) as caught:
        list(tokens_of(text))
    assert offset == caught.value.offset
    assert problem in str(caught.value)


def test_numbers_keep_their_limits() -> None:
    """4,300 digits are a number, and 16,384 words a text."""
    assert [("value", int("1" * 4_300))] == words("1" * 4_300)
    assert 16_384 == len(words("~" * 16_384))


# ---- bounds ----------------------------------------------------------------------------------------------------------


def filled(head: str, body: str, tail: str = "") -> str:
    """A text of the greatest length, with the body as often as it fits in."""
    return head + body * ((MAX_TEXT - len(head) - len(tail)) // len(body)) + tail


SHAPES = {
    **{f"only {body!a}": filled("", body) for body in (
        "~", "(", "[", "((", "([", "a", "α", "\u0301", "'", '"', "\\", "\\\n", "1", "1_", "#", "#\n", " ", "\n", ".",
        ",", "=", "{", "*", "-", "0", "é\u0301", "😀", "\xa0", "a ", "a&", "'a'", "1<", "()", "[]", "lambda:", "f'{",
        "not ", "\ud800", ".1", "1.", "a=", "''", "'''", "\"'", "a\u0301", "ﬁ",
    )},
    **{f"list of {body}": filled("And([", f"{body},", "])") for body in (
        "1", "-1", "(1)", "''", "'a'", "'a''b'", "'\\n'", "Col('a')>1", "Col('a').gt(1)", "Or([])", "~NEVER", "NEVER",
        "Col('')", "[]", "()", "~" * 90 + "ALWAYS", "Not(" * 98 + "NEVER" + ")" * 98,
        "And([" * 97 + "NEVER" + "])" * 97,
        "fully_annotated()", "Col('a').between(1,2)", "Col.date('d').on('2026-01-31',tz='UTC')", "((((1))))", "a=1",
        "Col('a').is_true()", "Col('a')=='x'", "Col('a')&Col('b')",
    )},
    "name": "a" + "\u0301" * (MAX_TEXT - 1),
    "hexadecimal": "0x" + "f" * (MAX_TEXT - 2),
    "fraction": "0." + "1" * (MAX_TEXT - 2),
    "exponent": "1e" + "9" * (MAX_TEXT - 2),
    "spaces": "a" + " " * (MAX_TEXT - 2) + "=",
    "escapes": filled("'", "\\x41", "'"),
    "names of characters": filled("'", "\\N{DIGIT ONE}", "'"),
    "f-string": filled("f'", "{", "'"),
    "keywords": filled("Col(", "a=1,", ")"),
    "calls": filled("Col('a')", ".eq(1)"),
    "joined": filled("", "(Col('a')>1)&", "ALWAYS"),
    "columns in a list": filled("Col('a').one_of([", "Col('b'),", "])"),
    "unfinished list": filled("Col('a').one_of([", "'a',"),
    "lists that end badly": filled("", "([1,1,1,1 1],"),
}  # fmt: skip


@pytest.fixture(scope="module")
def small_stack() -> Any:
    """Threads started meanwhile have a stack of 256 KiB."""
    before = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(before)


@pytest.mark.thorough
@pytest.mark.parametrize("shape", SHAPES)
def test_any_text_is_answered_soon_in_a_thread_with_a_small_stack(shape: str, small_stack: None) -> None:
    """
    With a filter or with words, of which none is a foreign error.

    50 ms of CPU are promised for a quiet machine; a busy one gets four times that, and three tries.
    """
    text, answers, seconds = SHAPES[shape], [], []

    def answer() -> None:
        start = time.thread_time()
        try:
            answers.append(parse_filter(text))
        except FilterError as error:
            answers.append(error)
        seconds.append(time.thread_time() - start)

    assert len(text) <= MAX_TEXT
    for _ in range(3):
        thread = threading.Thread(target=answer)
        thread.start()
        thread.join()
    assert 3 == len(answers)
    assert min(seconds) < 0.2


def test_no_state_of_the_process_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the filters of warnings, which threads share, nor the recursion limit."""
    before = (list(warnings.filters), sys.getrecursionlimit())
    monkeypatch.setattr(warnings, "catch_warnings", None)
    for text in (r"Col('a').eq('\d')", "1and ALWAYS", "~" * 1_000):
        with contextlib.suppress(FilterParseError):
            parse_filter(text)
    assert before == (list(warnings.filters), sys.getrecursionlimit())
