"""
What is wrong with a text that isn't a filter, where, and what to write instead.

As with all advice, this runs after something was refused.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width

from galileo_sessions.errors import FilterParseError, brief
from galileo_sessions.filters.messages import EXAMPLE, JOIN, did_you_mean, no_operand, sentence

CHAIN = 'write two comparisons for a chain: (Col("x") > 1) & (Col("x") < 3)'
MEMBERSHIP = (
    'write Col.collection("tags").contains("x") for `"x" in Col("tags")`, '
    'Col("x").one_of([...]) for `in [...]`, ~(...) for `not in`, and == for `is`'
)
NO_ASSIGNMENT = "= names an argument of a call, as in case_sensitive=False. Write == to compare"
CANT_STAND = f"this can't stand in a filter. {EXAMPLE}"
CANT_BE_READ = f"this can't be read. {EXAMPLE}. {JOIN}"
EMPTY = f"the text is empty. {EXAMPLE}"
ENDS_EARLY = f"the text ends too early. {EXAMPLE}"
NO_SIDE = 'one side of a comparison is a column, as in Col("score") > 3'
NO_CALL = "this is a value, which can't be called"
TWICE = f"& and | stand alone. {JOIN}"
NO_LIST_IN_LIST = "a list can't stand in a list"
ONE_KEYWORD = "a keyword stands once in a call, by its name"
KEYWORDS_LAST = "an argument without a name can't follow one with a name"
TOO_MANY_DIGITS = "a number of more than 4,300 digits can't be sent"
INCOMPLETE_ESCAPE = "a backslash begins an escape here that isn't complete. Write two for a backslash in text"
NOT_READABLE = r"this character can't be read. Write it as an escape, such as \x00"

_MAX_LINE = 80
_MAX_PROBLEM = 400
_ZONE = 'Write the time zone as text: Col.date("created_at").on("2026-01-31", tz="Europe/Berlin"), or tz="+01:00"'
_NAMES_INSTEAD = {
    "datetime": 'Write a time as text: Col.date("created_at").gt("2026-01-31T09:00:00+00:00")',
    "UUID": 'Write an id as text: Col.id("id").eq("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")',
    **dict.fromkeys(("timezone", "ZoneInfo", "UTC", "pytz"), _ZONE),
}


def fault(text: str, at: int, problem: str) -> FilterParseError:
    """The error with the problem, and below it the place: at most 80 characters of its line, and a caret."""
    before = re.split("[\r\n]", text[max(0, at - _MAX_LINE // 2) : at])[-1]
    after = re.split("[\r\n]", text[at : at + _MAX_LINE - len(before)])[0]
    shown = "".join([_printable(char) for char in before + after])
    caret = "".join(["\u3000" if east_asian_width(char) in "WF" else " " for char in shown[: len(before)]])
    problem = problem if len(problem) <= _MAX_PROBLEM else f"{problem[: _MAX_PROBLEM - 3]}..."
    return FilterParseError(f"{problem}\n  {shown}\n  {caret}^", text=text, offset=at)


def _printable(char: str) -> str:
    return char if char.isprintable() else " " if char.isspace() else "\ufffd"


def too_long(most: int) -> str:
    """The text for a text of too many characters."""
    return f"more than {most:,} characters. load_filter reads large filters from JSON"


def too_many_words(most: int) -> str:
    """The text for a text of too many names, marks and literals."""
    return f"more than {most:,} names, marks and values. load_filter reads large filters from JSON"


def unreadable(char: str) -> str:
    """The text for a character that begins no word."""
    if char in "'\"":
        return "this text is never closed"
    if char == "\\":
        return CANT_BE_READ
    if char == "!":
        return "! is no operator here. Write ~(...) for not"
    return f"invalid character {brief(char)}: it can stand in text only, between quotes"


def no_number(written: str) -> str:
    """The text for what begins like a number, and is none."""
    if re.fullmatch("0[0-9]+", written):
        return 'no number begins with 0. A date is text: Col.date("created_at").gte("2026-01-31T09:00:00Z")'
    return f"{written[:40]} is no number. {JOIN}"


def no_prefix(prefix: str) -> str:
    """The text for quotes with a prefix that filters don't have."""
    if "b" in prefix:
        return "bytes are not text. Leave out the b before the quotes"
    return f"{prefix} can't stand before quotes here: {CANT_STAND}"


def unknown_name(name: str, known: Iterable[str], otherwise: str) -> str:
    """The text for a name that isn't known."""
    hint = _NAMES_INSTEAD.get(name) or sentence(did_you_mean(name, known, otherwise))
    return f"{name[:40]} is unknown. {hint}"


def unknown_variable(name: str, known: Iterable[str]) -> str:
    """The text for a name that isn't known and may be meant for a column or for text."""
    names = ", ".join(known)
    hint = f'Write Col("{name[:40]}") for a column, "{name[:40]}" for text. The names are {names}'
    return unknown_name(name, known, hint)


def no_method(name: str, known: Iterable[str]) -> str:
    """The text for a method of something that isn't a column."""
    if name in known:
        return f"{name} is a method of columns. Join filters with & and |"
    return unknown_name(name, known, f"A column has {', '.join(known)}")


def stands_alone(name: str) -> str:
    """The text for a function or a method that isn't called."""
    return f"{name} stands alone. Write {name}(...)"


def drops(word: str) -> str:
    """The text for Python's `and`, `or` and `not`."""
    return f"`{word}` would drop a condition. {JOIN}"


def unmatched(closing: str, opening: str) -> str:
    """The text for a bracket that closes none, or another one."""
    return f"{closing!r} doesn't close {opening!r}" if opening else f"unmatched {closing!r}"


def never_closed(opening: str) -> str:
    """The text for a bracket that stays open."""
    return f"{opening!r} was never closed"


def no_filter(value: object, symbol: str) -> str:
    """The text for a value where a filter is needed: beside `&`, `|` or `~`, or, without a symbol, alone."""
    if symbol == "~":
        return f'~ stands before a filter, and binds tighter than ==. Write ~(Col("a") == 1), not ~{brief(value)}'
    if symbol:
        return str(no_operand(value, symbol))
    if hasattr(value, "column_id"):
        return f"{brief(value)} is a column, not yet a filter. Compare it: {brief(value)}.eq(...)"
    return f"{brief(value)} is a value, not a filter. {EXAMPLE}"


def wrong_arguments(
    function: Callable[..., Any], positional: Sequence[object], named: Mapping[str, object], error: TypeError
) -> str:
    """What Python says of arguments that a function doesn't take, without the names that this package gives itself."""
    is_class = isinstance(function, type)
    signature = inspect.signature(vars(function).get("__init__", function.__init__) if is_class else function)
    try:
        signature.bind(*([None] if is_class else []), *positional, **named)
    except TypeError as refused:
        return str(refused)
    return str(error)
