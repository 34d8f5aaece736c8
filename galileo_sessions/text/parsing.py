"""
The text that `repr` of a filter prints, as a filter again.

The texts are Python's, but nothing runs them: a precedence parser makes each part with a closed list of names.
It keeps what is open on lists of its own, so that no text, however deep, uses up the stack of a thread.
"""

import re
from keyword import iskeyword
from operator import eq, ge, gt, invert, le, lt, ne, neg, pos
from typing import Any, NoReturn, get_args

from attrs import define, field, frozen

from galileo_sessions.errors import FilterError, FilterParseError
from galileo_sessions.filters import messages, nodes, values
from galileo_sessions.filters.columns import Col, TypedCol, column_class
from galileo_sessions.filters.kinds import FILTER_TYPES, METHODS
from galileo_sessions.filters.nodes import MAX_DEPTH, Filter, all_of, any_of
from galileo_sessions.text import text_messages
from galileo_sessions.text.tokens import Token, tokens_of

MAX_TEXT = 2**16  # characters
_MAX_BRACKETS = 2 * MAX_DEPTH + 8  # a level of the tree takes two, a leaf a few more

_FUNCTIONS: dict[str, Any] = {
    **{function.__name__: function for function in (Col, all_of, any_of, *get_args(nodes.Node))},
    "fully_annotated": nodes.FullyAnnotatedFilter,  # without its warning, as load_filter reads it
}
_CONSTANTS: dict[str, Any] = {"ALWAYS": nodes.ALWAYS, "NEVER": nodes.NEVER, "True": True, "False": False, "None": None}
_NAMES = (*_FUNCTIONS, *_CONSTANTS)
_COLUMNS = (Col, *get_args(TypedCol))
_CLOSING = {"(": ")", "[": "]"}
_SIGNS: dict[str, Any] = {"-": neg, "+": pos}
_COMPARE: dict[str, Any] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_JOIN: dict[str, Any] = {"&": all_of, "|": any_of}
_LEVELS = {**dict.fromkeys(_COMPARE, 1), "|": 2, "&": 3}
_PREFIX = 4  # of ~ - +, which bind tightest


def parse_filter(text: str) -> Filter:
    """
    The filter that a text stands for: what `repr` prints, or the like as people type it, such as `Col("score") > 3`.

    Args:
        text: At most 65,536 characters, and 16,384 words: names, marks, and values, of which a list of literals is
            one. Nothing in it is evaluated or imported: it may hold columns and their
            comparisons, literal values, `&`, `|`, `~`, `all_of`, `any_of`, `ALWAYS`, `NEVER`, `fully_annotated`
            and the constructors. Times and ids are text; `on` takes its time zone as text.

    Raises:
        FilterParseError: for any other text, and for what columns and constructors refuse.
            The message shows the place, `offset` is its position.
        FilterTypeError: if it is no text.
    """
    return _Parser(values.text(text)).filter()


@frozen
class _Function:
    """What has to be called next."""

    name: str
    call: Any
    start: int
    """The offset of its name."""


@define
class _Operator:
    """An operator that waits for its last operand; `a & b & c` is one with three, however long."""

    level: int
    symbol: str
    start: int
    operands: int


@define
class _Bracket:
    """An open bracket, or the text itself: what stands in it so far."""

    opening: str
    start: int
    function: _Function | None = None
    call_start: int = 0
    items: list[Any] = field(factory=list[Any])
    """What commas or the end of the bracket made complete."""
    named: dict[str, Any] = field(factory=dict[str, Any])
    keyword: str = ""
    is_tuple: bool = False
    operands: list[tuple[Any, int]] = field(factory=list[tuple[Any, int]])
    """Values of what isn't complete, and the offsets where they begin."""
    operators: list[_Operator] = field(factory=list[_Operator])


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open = _Bracket("", 0)
        self._outer: list[_Bracket] = []

    def filter(self) -> Filter:
        """The filter that the whole text stands for."""
        return self._filter(*self._value())

    def _value(self) -> tuple[Any, int]:
        """What the whole text stands for, and where it begins."""
        if len(self._text) > MAX_TEXT:
            raise self._fault(MAX_TEXT, text_messages.too_long(MAX_TEXT))
        unreadable = re.search("[\0\ud800-\udfff]", self._text)
        if unreadable:
            raise self._fault(unreadable.start(), text_messages.NOT_READABLE)
        has_operand = False  # whether an operand stands before the next token, or has to come
        for token in tokens_of(self._text):
            has_operand = self._after_operand(token) if has_operand else self._operand(token)
        [found] = self._open.operands
        return found

    def _filter(self, value: object, start: int, symbol: str = "") -> Filter:
        """The value, if it is a filter, which may stand beside `&`, `|` or `~`."""
        if isinstance(value, Filter):
            return value
        raise self._fault(start, text_messages.no_filter(value, symbol))

    # ---- tokens; each method returns whether an operand stands before the next one -----------------------------------

    def _operand(self, token: Token) -> bool:
        """Takes a token where an operand begins, or a bracket with nothing more in it ends."""
        kind, value, start = token
        if kind == "value":
            self._open.operands.append((value, start))
        elif kind == "name":
            self._open.operands.append((self._named(str(value), start), start))
        elif kind == "mark" and value in _CLOSING:
            return self._enter(str(value), start)
        elif kind == "mark" and value in ("~", "-", "+"):
            return self._prefix(str(value), start)
        elif kind == "mark" and value in (")", "]") and not self._is_begun():
            self._close(str(value), start)
        elif kind == "keyword" and self._open.function and not self._is_begun():
            self._open.keyword = str(value)
            return False
        else:
            self._refuse_operand(token)
        return True

    def _after_operand(self, token: Token) -> bool:
        """Takes a token behind an operand."""
        kind, symbol, start = token
        value, value_start = self._open.operands[-1]
        if kind == "attribute":
            self._open.operands[-1] = self._attribute(value, str(symbol), start), value_start
        elif symbol == "(" and kind == "mark":
            return self._enter_call(value, value_start, start)
        elif isinstance(value, _Function):
            raise self._fault(value.start, text_messages.stands_alone(value.name))
        elif kind == "mark" and symbol in _LEVELS:
            return self._infix(str(symbol), start)
        elif kind == "mark" and symbol == "," and self._outer:
            self._complete()
            self._open.is_tuple = True
            return False
        elif kind == "mark" and symbol in (")", "]"):
            self._complete_and_close(str(symbol), start)
        elif kind == "end" and not self._outer:
            self._reduce(0)
        else:
            self._refuse_operator(token)
        return True

    def _named(self, name: str, start: int) -> Any:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _FUNCTIONS:
            return _Function(name, _FUNCTIONS[name], start)
        if name == "not":
            raise self._fault(start, text_messages.drops("not"))
        if iskeyword(name):
            raise self._fault(start, text_messages.CANT_STAND)
        raise self._fault(start, text_messages.unknown_variable(name, _NAMES))

    def _attribute(self, owner: Any, name: str, start: int) -> _Function:
        """The method of a column, or the class of columns that `Col.text` is."""
        if isinstance(owner, _Function):
            if owner.call is not Col:
                raise self._fault(owner.start, text_messages.stands_alone(owner.name))
            if name in FILTER_TYPES:
                return _Function(name, column_class(FILTER_TYPES[name]), start)
            has = f"Col has {', '.join(FILTER_TYPES)}"
            raise self._fault(start, text_messages.unknown_name(name, FILTER_TYPES, has))
        if not isinstance(owner, _COLUMNS):
            raise self._fault(start, text_messages.no_method(name, METHODS))
        if name not in METHODS or not hasattr(owner, name):
            raise self._fault(start, messages.no_such_method(owner, owner.filter_type, name))
        return _Function(name, getattr(owner, name), start)

    # ---- operators ---------------------------------------------------------------------------------------------------

    def _prefix(self, symbol: str, start: int) -> bool:
        operators = self._open.operators
        if len(operators) > MAX_DEPTH:
            raise self._fault(start, messages.TOO_DEEP)
        operators.append(_Operator(_PREFIX, symbol, start, 1))
        return False

    def _infix(self, symbol: str, start: int) -> bool:
        """Makes what binds tighter than an operator, which then waits for its right side."""
        level = _LEVELS[symbol]
        self._reduce(level + 1)
        value, value_start = self._open.operands[-1]
        if symbol in _JOIN:
            self._filter(value, value_start, symbol)
        last = self._open.operators[-1] if self._open.operators else None
        if last is None or last.level < level:
            self._open.operators.append(_Operator(level, symbol, start, 2))
        elif symbol in _JOIN:
            last.operands += 1
        else:
            raise self._fault(self._open.operands[-2][1], text_messages.CHAIN)
        return False

    def _reduce(self, level: int) -> None:
        """Makes what the operators of this level, and those that bind tighter, stand for."""
        operands, operators = self._open.operands, self._open.operators
        while operators and operators[-1].level >= level:
            operator = operators.pop()
            taken = operands[-operator.operands :]
            del operands[-operator.operands :]
            start = operator.start if operator.level == _PREFIX else taken[0][1]
            operands.append((self._applied(operator, taken, start), start))

    def _applied(self, operator: _Operator, operands: list[tuple[Any, int]], start: int) -> Any:
        symbol = operator.symbol
        if symbol in _JOIN:
            filters = [self._filter(value, value_start, symbol) for value, value_start in operands]
            return self._made(start, _JOIN[symbol], [filters])
        given = [value for value, _ in operands]
        if symbol == "~":
            self._filter(*operands[0], "~")
            return self._made(operands[0][1], invert, given)
        if operator.level == _PREFIX:
            if not isinstance(given[0], int | float):
                raise self._fault(start, text_messages.CANT_STAND)
            return _SIGNS[symbol](given[0])
        if not any(isinstance(side, _COLUMNS) for side in given):
            raise self._fault(start, text_messages.NO_SIDE)
        return self._made(start, _COMPARE[symbol], given)

    # ---- brackets ----------------------------------------------------------------------------------------------------

    def _enter(self, opening: str, start: int) -> bool:
        if len(self._outer) >= _MAX_BRACKETS:
            raise self._fault(start, messages.TOO_DEEP)
        if opening == "[" == self._open.opening:
            raise self._fault(start, text_messages.NO_LIST_IN_LIST)
        self._outer.append(self._open)
        self._open = _Bracket(opening, start)
        return False

    def _enter_call(self, function: object, call_start: int, start: int) -> bool:
        if not isinstance(function, _Function):
            raise self._fault(call_start, text_messages.NO_CALL)
        self._open.operands.pop()
        self._enter("(", start)
        self._open.function, self._open.call_start = function, call_start
        return False

    def _is_begun(self) -> bool:
        """Whether something stands in the bracket behind its last comma, or behind its beginning."""
        return bool(self._open.operators or self._open.keyword)

    def _complete(self) -> None:
        """Makes what stands before a comma or the end of the bracket an item of it, or a named argument."""
        self._reduce(0)
        bracket = self._open
        value, start = bracket.operands.pop()
        if bracket.keyword in bracket.named:
            raise self._fault(bracket.call_start, text_messages.ONE_KEYWORD)
        if bracket.keyword:
            bracket.named[bracket.keyword] = value
            bracket.keyword = ""
        elif bracket.named:
            raise self._fault(start, text_messages.KEYWORDS_LAST)
        else:
            bracket.items.append(value)

    def _complete_and_close(self, closing: str, start: int) -> None:
        self._check_closing(closing, start)
        self._complete()
        self._close(closing, start)

    def _check_closing(self, closing: str, start: int) -> None:
        if closing != _CLOSING.get(self._open.opening):
            raise self._fault(start, text_messages.unmatched(closing, self._open.opening))

    def _close(self, closing: str, start: int) -> None:
        """Makes the bracket an operand of the one around it: a call, a value in parentheses, or a list."""
        self._check_closing(closing, start)
        bracket, self._open = self._open, self._outer.pop()
        if bracket.function is not None:
            made = self._made(bracket.call_start, bracket.function.call, bracket.items, bracket.named)
            self._open.operands.append((made, bracket.call_start))
        elif bracket.opening == "(" and bracket.items and not bracket.is_tuple:
            self._open.operands.append((bracket.items[0], bracket.start))
        else:
            self._open.operands.append((bracket.items, bracket.start))

    def _made(self, start: int, function: Any, given: list[Any], named: dict[str, Any] | None = None) -> Any:
        try:
            return function(*given, **(named or {}))
        except FilterError as error:
            problem = str(error)
        except TypeError as error:
            problem = text_messages.wrong_arguments(function, given, named or {}, error)
        raise self._fault(start, problem)

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _refuse_operand(self, token: Token) -> NoReturn:
        kind, value, start = token
        if kind == "end":
            self._refuse_end(start)
        if kind == "keyword":
            raise self._fault(start, text_messages.NO_ASSIGNMENT)
        if value == "**":
            raise self._fault(start, text_messages.ONE_KEYWORD)
        if value in ("&", "|") and self._text[start - 1 : start] == value:
            raise self._fault(start, text_messages.TWICE)
        if kind == "mark" and str(value) in "*{@%/^:;":
            raise self._fault(start, text_messages.CANT_STAND)
        raise self._fault(start, text_messages.CANT_BE_READ)

    def _refuse_operator(self, token: Token) -> NoReturn:
        kind, value, start = token
        if kind == "end":
            self._refuse_end(start)
        if kind == "name" and value in ("and", "or"):
            raise self._fault(start, text_messages.drops(str(value)))
        if kind == "name" and value in ("in", "is", "not"):
            self._reduce(2)
            raise self._fault(self._open.operands[-1][1], text_messages.MEMBERSHIP)
        if kind == "mark" and value == "=":
            raise self._fault(start, text_messages.NO_ASSIGNMENT)
        if (kind == "mark" and value not in (",", "~")) or (kind == "name" and iskeyword(str(value))):
            raise self._fault(start, text_messages.CANT_STAND)
        raise self._fault(start, text_messages.CANT_BE_READ)

    def _refuse_end(self, end: int) -> NoReturn:
        if not self._text.strip():
            raise self._fault(0, text_messages.EMPTY)
        if self._outer:
            raise self._fault(self._open.start, text_messages.never_closed(self._open.opening))
        raise self._fault(end, text_messages.ENDS_EARLY)

    def _fault(self, start: int, problem: str) -> FilterParseError:
        return text_messages.fault(self._text, start, problem)
