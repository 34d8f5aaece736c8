"""
Reads a filter from text: what `repr` prints, and what people write in Python.

Nothing is evaluated: a name is in a closed list, or is a column.
Only brackets nest. Between a pair of them, operands and operators form a flat list, which is joined
by precedence.
"""

import operator
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any, TypeAlias, get_args
from unicodedata import east_asian_width

from attrs import frozen

from galileo_sessions.display import brief, did_you_mean
from galileo_sessions.errors import FilterError, FilterParseError
from galileo_sessions.filters import advice, nodes
from galileo_sessions.filters.columns import Col, fully_annotated
from galileo_sessions.filters.filter_types import (
    COMPARISONS,
    FILTER_TYPES,
    METHODS,
    PARTITIONS,
    SYMBOLS,
)
from galileo_sessions.filters.nodes import MAX_DEPTH, Filter, all_of, any_of
from galileo_sessions.filters.values import as_text

Token: TypeAlias = re.Match[str]
Operand: TypeAlias = tuple[Any, int]
"""A value, and the offset at which it begins."""

MAX_TEXT = 2**16  # characters
MAX_BRACKETS = 2 * MAX_DEPTH
"""And([Or([...])]) has two on each level. Each takes two frames of Python's stack."""

_TOKEN = re.compile(
    r"""
      (?P<space>    (?: \s++ | \#[^\r\n]*+ )++ )
    | (?P<string>   [rR]?+ (?: '(?: [^'\\\r\n]++ | \\. )*+' | "(?: [^"\\\r\n]++ | \\. )*+" ) )
    | (?P<number>   [-+]?+ \.?+ [0-9] (?: [eE][-+] | [\w.] )*+ )
    | (?P<reserved> (?: and | or | not | in | is | AND | OR | NOT | IN | IS ) \b )
    | (?P<keyword>  [^\W\d]\w*+ (?= \s*+ = (?![=<>]) ) )
    | (?P<name>     [^\W\d]\w*+ )
    | (?P<tight>    , (?= [0-9] ) )
    | (?P<symbol>   [=!]== | [=!<>]= | <> | =[<>] | . )
    | (?P<end>      \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""
    \\ (?: [nrt\\'\"] | x[\da-fA-F]{2} | u[\da-fA-F]{4}
         | U00(?: 0[\da-fA-F] | 10 )[\da-fA-F]{4} | (?P<unknown>) )
    """,
    re.ASCII | re.VERBOSE,
)


_CONSTANTS: dict[str, Any] = {
    "ALWAYS": nodes.ALWAYS,
    "NEVER": nodes.NEVER,
    "True": True,
    "False": False,
    **dict.fromkeys(("None", "null", "NULL")),  # columns refuse it, and say why
}
_NAMES = ("Col", "all_of", "any_of", "fully_annotated", *_CONSTANTS)
_FUNCTIONS: dict[str, Any] = {
    each.__name__: each for each in (Col, all_of, any_of, fully_annotated, *get_args(nodes.Node))
}
_COLUMNS: tuple[type[Any], ...] = (Col, *[getattr(Col, name) for name in FILTER_TYPES])
_KNOWN = frozenset(map(str.lower, _NAMES))
# Stops Python from storing each warning here, with the text that was parsed.
__warningregistry__ = None
_CLOSING = {"": "", "(": ")", "[": "]"}  # the text itself is like a pair of brackets
_JOIN: dict[str, Any] = {"&": all_of, "|": any_of}  # & binds tighter
_COMPARE = {symbol: COMPARISONS[name] for name, symbol in SYMBOLS.items()}
_OPERATORS = {*_JOIN, *_COMPARE}
_EXAMPLE = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
_QUOTES = "Write times, ids and text in quotes, and numbers without commas and spaces"
_MEANT = {
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "≠": "!=",
    "=<": "<=",
    "≤": "<=",
    "=>": ">=",
    "≥": ">=",
}
_INSTEAD = {
    **dict.fromkeys(("and", "or", "not", "&", "|", "!"), advice.JOIN),
    **dict.fromkeys(("'", '"'), "Close the quotes on the same line"),
    **dict.fromkeys((")", "]"), "Check the brackets before it"),
    "in": 'Write Col("a").one_of([...]) or Col.collection("tags").contains("x")',
    "is": f"Write == to compare. {advice.NO_MISSING}",
    ",": "Write & between filters, and numbers without commas, such as 1000 or 0.5",
    **{symbol: f"Write {meant} to compare" for symbol, meant in _MEANT.items()},
    **dict.fromkeys("“”„«»‘’‚`´", "Write straight quotes: \" or '"),
    "/": 'Write Col("metrics/toxicity") for a column whose id isn\'t a name',
    "%": "Write a number without %: 0.5 or 50, as the column has it",
    "=": "Write == to compare. A single = names an argument, as in case_sensitive=False",
}
"""What to write instead of an unexpected token."""


def parse_filter(text: str) -> Filter:
    """
    The filter that a text describes, such as `Col("score") > 3` or the repr of a filter.

    The text can contain columns and their comparisons, `&`, `|`, `~`, `all_of`, `any_of`, `ALWAYS`,
    `NEVER`, `fully_annotated`, the constructors of filters, and literal values. Times, ids and time
    zones are text. Any other name is a column: `score > 3` is `Col("score") > 3`. For a column with
    the name of a function, a constant or a keyword, such as `not`, write `Col("not")`. Nothing is
    evaluated or imported.

    Args:
        text: At most 65,536 characters, with brackets nested at most 200 deep. It can have several
            lines.

    Raises:
        FilterParseError: if the text isn't a filter, or if a column or a constructor refuses a
            value. The message shows the place, and `offset` is its position.
        FilterTypeError: if `text` isn't a `str`.
    """
    return _Parser(as_text(text)).filter()


@frozen(eq=False, repr=False)
class _Function:
    """A function, a constructor or a column's method. The text must call it."""

    name: str
    start: int
    call: Any


def _printable(char: str) -> str:
    return char if char.isprintable() else " "


def _blank(char: str) -> str:
    """A space that is as wide as the character."""
    return "\u3000" if east_asian_width(char) in "WF" else " "


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = (token for token in _TOKEN.finditer(text) if token.lastgroup != "space")
        self._next = next(self._tokens)
        self._open: list[tuple[str, int]] = []
        """The open brackets, with their offsets."""

    def filter(self) -> Filter:
        """The filter that the whole text describes."""
        if len(self._text) > MAX_TEXT:
            raise self._error(
                MAX_TEXT,
                f"the text is longer than {MAX_TEXT:,} characters",
                "load_filter reads more",
            )
        if self._next.lastgroup == "end":
            raise self._error(0, "the text is empty", _EXAMPLE)
        start = self._next.start()
        [value], _, _ = self._items("", start)
        if not isinstance(value, Filter):
            raise self._located(start, advice.expected_filter(value))
        return value

    def _take(self) -> Token:
        """Returns the next token, and moves past it."""
        token, self._next = self._next, next(self._tokens, self._next)
        return token

    # ---- brackets and operands -------------------------------------------------------------------

    def _items(
        self, opening: str, start: int, *, is_call: bool = False
    ) -> tuple[list[Any], dict[str, Any], bool]:
        """
        Reads up to the closing bracket.

        Returns the values, the keyword arguments, and whether there was a comma.
        """
        if len(self._open) > MAX_BRACKETS:
            raise self._error(start, advice.TOO_DEEP, advice.LONG)
        self._open.append((opening, start))
        items: list[Any] = []
        keywords: dict[str, Any] = {}
        has_comma = False
        while self._next[0] != _CLOSING[opening]:
            keyword = self._keyword(keywords) if is_call else None
            operands, symbols = [self._operand()], list[Token]()
            while self._next[0] in _OPERATORS:
                symbols.append(self._take())
                operands.append(self._operand())
            value = self._joined(operands, symbols)
            if keyword is None:
                items.append(value)
            else:
                keywords[keyword] = value
            if self._next[0] != _CLOSING[opening]:
                self._comma(operands[-1][0], is_after_comparison=bool(symbols))
                has_comma = True
        self._take()
        self._open.pop()
        return items, keywords, has_comma

    def _keyword(self, given: Collection[str]) -> str | None:
        """Reads the name of a keyword argument and its =, if they are next."""
        if self._next.lastgroup != "keyword":
            return None
        keyword = self._take()
        self._take()  # the =
        if keyword[0] in given:
            raise self._error(keyword.start(), f"{brief(keyword[0])} is given twice")
        return keyword[0]

    def _comma(self, operand: Any, *, is_after_comparison: bool) -> None:
        opening, _ = self._open[-1]
        is_in_number = is_after_comparison and self._next.lastgroup == "tight"  # (a > 1,000)
        if self._next[0] != "," or not opening or is_in_number:
            raise self._unexpected(self._next, operand)
        self._take()

    def _operand(self) -> Operand:
        """
        Reads a literal, a name or brackets, with any ~ before and any call after.

        Returns the value, and the offset at which it begins.
        """
        inversions = 0
        while self._next[0] == "~":
            self._take()
            inversions += 1
        token = self._take()
        start = token.start()
        value: Any
        if token[0] in ("(", "["):
            value, _, has_comma = self._items(token[0], start)
            if (token[0], len(value), has_comma) == ("(", 1, False):
                value = value[0]
        else:
            value = self._literal(token)
        while self._next[0] in (".", "("):
            symbol = self._take()
            if symbol[0] == ".":
                value = self._attribute(value, self._take())
            elif isinstance(value, _Function):
                items, keywords, _ = self._items("(", symbol.start(), is_call=True)
                value = self._apply(start, value.call, *items, **keywords)
            else:
                raise self._error(start, "this is a value, so it can't be called")
        if isinstance(value, _Function):
            raise self._uncalled(value)
        return self._inverted(value, inversions, start), start

    def _inverted(self, value: Any, times: int, start: int) -> Any:
        if times and not isinstance(value, Filter):
            raise self._error(
                start,
                "~ must come before a filter, and binds tighter than ==",
                'Write ~(Col("a") == 1)',
            )
        for _ in range(times):
            value = self._apply(start, operator.invert, value)
        return value

    # ---- literals and names ----------------------------------------------------------------------

    def _literal(self, token: Token) -> Any:
        """The value of a string, a number or a name."""
        match token.lastgroup:
            case "string":
                return self._string(token)
            case "number":
                return self._number(token)
            case "name":
                return self._meaning(token)
            case _:
                raise self._unexpected(token)

    def _meaning(self, token: Token) -> Any:
        """The value that a name stands for. Only this method gives names a meaning."""
        name = token[0]
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _FUNCTIONS:
            return _Function(name, token.start(), _FUNCTIONS[name])
        if self._next[0] != "(" and name.lower() not in _KNOWN:
            return Col(name)
        hint = did_you_mean(name, _NAMES) or "Times, ids and time zones are text"
        if name in FILTER_TYPES:
            hint = f"Write Col.{name}(...)"
        raise self._error(token.start(), f"unknown name {brief(name)}", hint)

    def _attribute(self, owner: Any, token: Token) -> _Function:
        """A column's method, or a class of columns such as `Col.text`."""
        name = token[0]
        start = token.start()
        if token.lastgroup != "name":
            raise self._unexpected(token)
        if isinstance(owner, _Function):
            if owner.call is not Col:
                raise self._uncalled(owner)
            if name not in FILTER_TYPES:
                raise self._error(start, *advice.no_such_type(name))
            return _Function(f"Col.{name}", owner.start, getattr(Col, name))
        if not isinstance(owner, _COLUMNS):
            raise self._error(start, "only columns have methods", advice.JOIN)
        if name in PARTITIONS:
            raise self._error(
                start,
                f"{name} makes a partition, not a filter",
                "Partitions can't be written as text",
            )
        if name not in METHODS or not hasattr(owner, name):
            problem, hint = advice.no_such_method(owner, name)
            if type(owner) is Col and self._next[0] in (".", *_OPERATORS):
                hint = f"Write Col({brief(f'{owner.column_id}.{name}')}) for a column of that name"
            raise self._error(start, problem, hint)
        return _Function(name, start, getattr(owner, name))

    def _number(self, token: Token) -> int | float:
        written = token[0]
        with suppress(ValueError):
            return float(written) if set(written) & set(".eE") else int(written)
        raise self._error(token.start(), f"{brief(written)} can't be read as a number", _QUOTES)

    def _string(self, token: Token) -> str:
        written = token[0]
        if written[0] in "rR":
            return written[2:-1]
        for escape in _ESCAPE.finditer(written):
            if escape["unknown"] is not None:
                place = token.start() + escape.start()
                raise self._error(place, "unknown escape", r"Write \\ for a backslash in text")
        return written[1:-1].encode("ascii", "backslashreplace").decode("unicode_escape")

    # ---- operators -------------------------------------------------------------------------------

    def _joined(self, operands: list[Operand], symbols: list[Token]) -> Any:
        """
        Joins operands by the operators between them.

        First by each &, then by each |, then by a comparison.
        """
        for symbol in _JOIN:
            groups, others = [operands[:1]], list[Token]()
            for token, operand in zip(symbols, operands[1:], strict=True):
                if token[0] == symbol:
                    groups[-1].append(operand)
                else:
                    groups.append([operand])
                    others.append(token)
            operands = [self._group(symbol, group) for group in groups]
            symbols = others
        left, start = operands[0]
        if not symbols:
            return left
        if len(symbols) > 1:
            raise self._error(
                start,
                "a chain of comparisons",
                'Write two comparisons: (Col("a") > 1) & (Col("a") < 3)',
            )
        right = operands[1][0]
        if not isinstance(left, _COLUMNS) and not isinstance(right, _COLUMNS):
            raise self._error(start, "one side of a comparison must be a column", _EXAMPLE)
        return self._apply(start, _COMPARE[symbols[0][0]], left, right)

    def _group(self, symbol: str, operands: list[Operand]) -> Operand:
        """Joins operands by & or |; a single one stays as it is."""
        if len(operands) == 1:
            return operands[0]
        for value, place in operands:
            if not isinstance(value, Filter):
                raise self._located(place, advice.expected_filter(value, symbol))
        start = operands[0][1]
        return self._apply(start, _JOIN[symbol], [value for value, _ in operands]), start

    # ---- errors ----------------------------------------------------------------------------------

    def _apply(self, start: int, call: Any, /, *values: Any, **keywords: Any) -> Any:
        """Calls a function or an operator, and turns its errors into parse errors."""
        try:
            return call(*values, **keywords)
        except FilterError as error:
            raised = self._located(start, error)
        except TypeError as error:  # wrong arguments: Python's text, without the class's name
            problem = f"{call.__name__}() {str(error).rpartition('() ')[2][:200]}"
            has_comma = re.search(r"\d,\d", self._text[start : self._next.start()])
            raised = self._error(start, problem, _QUOTES if has_comma else "")
        raise raised

    def _unexpected(self, token: Token, operand: Any = None) -> FilterParseError:
        """The error for an unexpected token, after an operand if there is one."""
        opening, start = self._open[-1]
        if token.lastgroup == "end":
            if opening:
                return self._error(start, f"{opening!r} was never closed")
            return self._error(token.start(), "the text ends too early", _EXAMPLE)
        written = token[0]
        place = token.start()
        if token.lastgroup == "keyword":
            written = "="
            place = self._text.index("=", place)
        example = _QUOTES if token.lastgroup == "number" else _EXAMPLE
        hint = _INSTEAD.get(written.lower(), example)
        if token.lastgroup in ("name", "reserved"):
            hint = self._hint_for_word(written.lower(), operand, hint)
        return self._error(place, f"unexpected {brief(written)}", hint)

    def _hint_for_word(self, word: str, operand: Any, hint: str) -> str:
        """What to write for a word after an operand, such as `like`, `is not null` or `in`."""
        if isinstance(operand, _COLUMNS):
            words = [word]
            while words[-1] in ("is", "not"):
                self._take()
                words.append(self._next[0].lower())
            said = [" ".join(words[:end]) for end in range(len(words), 0, -1)]
            hints = (advice.no_such_method(operand, name)[1] for name in said)
            return next(filter(None, hints), f"{hint}. {_QUOTES}")
        if word == "in" and isinstance(operand, str):  # as in Python
            right = next(self._tokens)
            if right.lastgroup == "name" and right[0] not in _NAMES:
                return advice.instead_of_in(Col(right[0]), operand).hint
        return hint

    def _uncalled(self, function: _Function) -> FilterParseError:
        return self._error(
            function.start, f"{function.name} must be called", f"Write {function.name}(...)"
        )

    def _located(self, offset: int, error: FilterError) -> FilterParseError:
        """The error as a parse error, which has the offset."""
        call = f"{error.call}: " if error.call else ""
        hint = error.hint.replace(advice.READ_IT, "Leave out the quotes around the filter")
        return self._error(offset, f"{call}{error.message}", hint)

    def _error(self, offset: int, problem: str, hint: str = "") -> FilterParseError:
        """
        The error with the problem, at most 80 characters of the line below it, and a caret at the
        offset.
        """
        before = re.split("[\r\n]", self._text[max(0, offset - 40) : offset])[-1]
        after = re.split("[\r\n]", self._text[offset : offset + 40])[0]
        line = "".join(map(_printable, before + after))
        indent = "".join(map(_blank, before))
        return FilterParseError(
            f"{problem}\n  {line}\n  {indent}^", text=self._text, offset=offset, hint=hint
        )
