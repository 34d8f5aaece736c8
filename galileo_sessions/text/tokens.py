r"""
The words of a text that stands for a filter: names, marks and literal values, by Python's rules for them.

One scan over the text finds them, in a time that grows with its length.
Python's own reader isn't used: it normalises identifiers in quadratic time, warns of "\d" by global state, and has no
bound on the stack it takes.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias
from unicodedata import lookup

from galileo_sessions.text import text_messages

Kind: TypeAlias = Literal["value", "name", "keyword", "attribute", "mark", "end"]

_MAX_DIGITS = 4_300
_MAX_WORDS = 2**14  # what is made of them costs more than the characters
_SPACE = r"[ \t\f\r\n]"
_NAME = r"[^\W\d]\w*+"
_PLAIN = r"'[^'\\\r\n]*+'|\"[^\"\\\r\n]*+\"|-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,5})?"
_ITEM = re.compile(_PLAIN)
_TOKEN = re.compile(
    rf"""
      (?P<space> (?: {_SPACE}++ | \\\r?\n | \#[^\r\n]*+ )++ )
    | (?P<text> (?P<prefix>[rRuUbBfF]{{0,2}}) (?P<quoted>
          '''(?: [^\\']++ | \\. | '(?!'') )*+'''
        | \"\"\"(?: [^\\\"]++ | \\. | \"(?!\"\") )*+\"\"\"
        | '(?!'') (?: [^\\'\r\n]++ | \\\r\n | \\. )*+'
        | \"(?!\"\") (?: [^\\\"\r\n]++ | \\\r\n | \\. )*+\"
      ) )
    | (?P<keyword> {_NAME} {_SPACE}*+ = (?!=) )
    | (?P<name> {_NAME} )
    | (?P<number> (?: [0-9] | \.[0-9] ) (?: [eE][+-] | [\w.] )*+ )
    | (?P<attribute> \. {_SPACE}*+ {_NAME} )
    | (?P<list> \[ (?: {_SPACE}*+ (?: {_PLAIN} ) {_SPACE}*+ , )++ (?: {_SPACE}*+ (?: {_PLAIN} ) )?+ {_SPACE}*+ \] )
    | (?P<mark> [=!<>]= | \*\* | [-+~&|<>()\[\],.=*/%@^{{}}:;] )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|N\{(?P<N>[^{}]++)\}"
    r"|(?P<octal>[0-7]{1,3})|(?P<char>.))",
    re.DOTALL,
)
_CHARACTERS = {
    "\n": "",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    **{char: char for char in "\\'\""},
}


Token: TypeAlias = tuple[Kind, Any, int]
"""
A word's kind; its text, or the literal that a value is; its offset in characters from 0, of an attribute its name's.

A list of plain literals is one value, for it may hold thousands.
"""


def tokens_of(text: str) -> Iterator[Token]:
    """
    The words of a text, one after the other, and a last one that says where it ends.

    Raises:
        FilterParseError: for a character that begins no word, a literal that isn't complete, and too many words.
    """
    parts: list[str] = []  # of texts that stand side by side, which are one
    first = words = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "space":
            continue
        if parts and kind != "text":
            yield "value", "".join(parts), first
            parts.clear()
        words += 1
        if words > _MAX_WORDS:
            raise text_messages.fault(text, match.start(), text_messages.too_many_words(_MAX_WORDS))
        if kind == "mark":
            yield "mark", match[0], match.start()
        elif kind == "name":
            yield "name", match[0], match.start()
        elif kind == "text":
            first = first if parts else match.start()
            parts.append(_text_of(text, match))
        elif kind == "attribute":
            name = match[0].lstrip(". \t\f\r\n")
            yield "attribute", name, match.end() - len(name)
        elif kind in ("list", "number"):
            yield "value", _list_of(match[0]) if kind == "list" else _number_of(text, match), match.start()
        elif kind == "keyword":
            yield "keyword", match[0].rstrip("= \t\f\r\n"), match.start()
        else:
            raise text_messages.fault(text, match.start(), text_messages.unreadable(match[0]))
    if parts:
        yield "value", "".join(parts), first
    yield "end", "", len(text)


def _list_of(written: str) -> list[str | float]:
    return [_literal(item) for item in _ITEM.findall(written)]


def _literal(written: str) -> str | float:
    if written[0] in "'\"":
        return written[1:-1]
    return float(written) if set(written) & set(".eE") else int(written)


def _number_of(text: str, match: re.Match[str]) -> int | float:
    written = match[0]
    if len(written) > _MAX_DIGITS and written.isdecimal():
        raise text_messages.fault(text, match.start(), text_messages.TOO_MANY_DIGITS)
    whole = written.replace("_", "").isdecimal() or written[1:2] in ("x", "X", "o", "O", "b", "B")
    try:
        if written.isascii():
            return int(written, 0) if whole else float(written)
    except ValueError:
        pass
    raise text_messages.fault(text, match.start(), text_messages.no_number(written))


def _text_of(text: str, match: re.Match[str]) -> str:
    prefix, quoted = match["prefix"].lower(), match["quoted"]
    if "f" in prefix or "b" in prefix or prefix in ("ur", "ru", "uu", "rr"):
        raise text_messages.fault(text, match.start(), text_messages.no_prefix(prefix))
    width = 3 if quoted.startswith(("'''", '"""')) else 1
    body = quoted[width:-width]
    if "\r" in body:  # as Python reads the ends of lines
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    if "\\" not in body or prefix == "r":
        return body
    start = match.start("quoted") + width

    def character(escape: re.Match[str]) -> str:
        made = _character_of(escape)
        if made is None:
            raise text_messages.fault(text, start + escape.start(), text_messages.INCOMPLETE_ESCAPE)
        return made

    return _ESCAPE.sub(character, body)


def _character_of(escape: re.Match[str]) -> str | None:
    """What an escape stands for, or None where it isn't complete; a backslash before any other character stays."""
    kind = escape.lastgroup or ""
    written = escape[kind]
    if kind == "char":
        return None if written in "xuUN" else _CHARACTERS.get(written, escape[0])
    try:
        return lookup(written) if kind == "N" else chr(int(written, 8 if kind == "octal" else 16))
    except (KeyError, ValueError, OverflowError):  # no such name, or beyond Unicode
        return None
