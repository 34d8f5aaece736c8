"""
The text that `repr` of a filter prints, as a filter again.

Python's grammar reads the text, and nothing runs it: this module walks the tree with a closed list of names.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import warnings
from collections.abc import Iterable
from functools import cache
from operator import eq, ge, gt, invert, le, lt, ne
from typing import Any, get_args
from unicodedata import east_asian_width

from galileo_sessions.errors import FilterError, FilterParseError, brief
from galileo_sessions.filters import nodes as filters
from galileo_sessions.filters.columns import Col
from galileo_sessions.filters.nodes import MAX_DEPTH, OPERATORS, Filter, all_of, any_of, operand_error

MAX_TEXT = 2**20  # characters; Python's parser takes up to 500 bytes for each

_LISTING = (all_of, any_of, filters.And, filters.Or)
_MAKERS: dict[str, Any] = {make.__name__: make for make in (Col, *_LISTING, filters.Not, *get_args(filters.LeafFilter))}
_VALUES = {"ALWAYS": filters.ALWAYS, "NEVER": filters.NEVER}
_KINDS: dict[str, Any] = {kind: getattr(Col, kind) for kind in OPERATORS}
_COLUMNS = (Col, *_KINDS.values())
_METHODS = (*dict.fromkeys(name for names in OPERATORS.values() for name in names), "is_true", "is_false")
_COMPARE: dict[type[ast.cmpop], Any] = {ast.Eq: eq, ast.NotEq: ne, ast.Lt: lt, ast.LtE: le, ast.Gt: gt, ast.GtE: ge}
_signature = cache(inspect.signature)

_LOOK = 'A filter looks like Col("input").contains("x") & ~Col("score").gt(3)'
_JOIN = "Write & for and, | for or, ~ for not, with each comparison in parentheses: (a > 1) & (b < 2)"
_HAS = f"A column has {', '.join(_METHODS)}"
_DEEP = f"nested too deeply: a filter has at most {MAX_DEPTH} levels. Write all_of([a, b, ...]) for a long chain"
_INSTEAD = {
    "datetime": 'Write a time as text: Col.date("created_at").gt("2026-01-31T09:00:00+00:00")',
    "UUID": 'Write an id as text: Col.id("id").eq("74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")',
    "fully_annotated": "Write FullyAnnotatedFilter(user_ids=[...])",
    "on": "A day needs its time zone: write gte(...) & lt(...)",
}


def parse_filter(text: str) -> Filter:
    """
    The filter that a text stands for: what `repr` prints, or the like as people type it, such as `Col("score") > 3`.

    Args:
        text: At most 1,048,576 characters. Nothing in it is evaluated or imported: it may hold columns and their
            comparisons, literal values, `&`, `|`, `~`, `all_of`, `any_of`, `ALWAYS`, `NEVER` and the constructors.

    Raises:
        FilterParseError: for any other text, and for what columns and constructors refuse.
            The message shows the place, `offset` is its position.
        FilterTypeError: if it is no text.
    """
    reader = _Reader(filters.text(text))
    try:
        return reader.operand(reader.tree(), 0)
    except (MemoryError, RecursionError):  # from Python's parser, long before either is used up
        fault = reader.fault(0, _DEEP)
    raise fault


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self._lead = len(text) - len(text.lstrip())

    def tree(self) -> ast.expr:
        unreadable = re.search("[\0\ud800-\udfff]", self.text)
        if len(self.text) > MAX_TEXT:
            raise self.fault(MAX_TEXT, f"more than {MAX_TEXT:,} characters. load_filter reads large filters from JSON")
        if unreadable:
            raise self.fault(unreadable.start(), r"this character can't be read. Write it as an escape, such as \x00")
        try:
            with warnings.catch_warnings(action="ignore"):  # Python warns of "\d" and of 1and
                return ast.parse(self.text[self._lead :], mode="eval").body
        except SyntaxError as error:
            at = self._offset(error.lineno or 1, (error.offset or 1) - 1)
            problem = _wording(error.msg) if self.text.strip() else f"the text is empty. {_LOOK}"
        raise self.fault(at, problem)

    def operand(self, node: ast.expr, depth: int, symbol: str = "") -> Filter:
        """The filter at a node, which may stand beside `&`, `|` or `~`."""
        value = self._read(node, depth)
        if isinstance(value, Filter):
            return value
        if symbol == "~":
            problem = (
                f'~ stands before a filter, and binds tighter than ==. Write ~(Col("a") == 1), not ~{brief(value)}'
            )
        elif symbol:
            problem = str(operand_error(value, symbol))
        elif isinstance(value, _COLUMNS):
            problem = f"{brief(value)} is a column, not yet a filter. Compare it: {brief(value)}.eq(...)"
        else:
            problem = f"{brief(value)} is a value, not a filter. {_LOOK}"
        raise self.fault(node, problem)

    def _read(self, node: ast.expr, depth: int) -> Any:
        """The filter, column or literal at a node; below a filter's own levels are two more, of columns and values."""
        if depth > MAX_DEPTH + 2:
            raise self.fault(node, _DEEP)
        match node:
            case ast.Constant(value):
                return value
            case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, ast.Constant(int() | float() as number)):
                return -number if isinstance(sign, ast.USub) else number
            case ast.List(items) | ast.Tuple(items):
                return [self._read(item, depth) for item in items]
            case ast.Name(name) if name in _VALUES:
                return _VALUES[name]
            case ast.Call(function, arguments, keywords):
                make = self._maker(function, depth + 1)
                listed = [self._read(item, depth + 1) for item in arguments]
                named = {keyword.arg or "**": self._read(keyword.value, depth + 1) for keyword in keywords}
                if len(named) < len(keywords) or "**" in named:
                    raise self.fault(node, "a keyword stands once in a call, by its name")
                return self._made(node, make, *listed, **named)
            case ast.Compare(left, [sign], [right]) if type(sign) in _COMPARE:
                sides = self._read(left, depth + 1), self._read(right, depth + 1)
                if not any(isinstance(side, _COLUMNS) for side in sides):
                    raise self.fault(node, 'one side of a comparison is a column, as in Col("score") > 3')
                return self._made(node, _COMPARE[type(sign)], *sides)
            case ast.UnaryOp(ast.Invert(), inner):
                return self._made(node, invert, self.operand(inner, depth + 1, "~"))
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                return self._join(node, depth + 1)
            case _:
                raise self._unreadable(node, depth)

    def _join(self, node: ast.BinOp, depth: int) -> Any:
        """`a & b & c` is one level, however long: Python nests it to the left."""
        symbol, join = ("&", all_of) if isinstance(node.op, ast.BitAnd) else ("|", any_of)
        nodes: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and type(left.op) is type(node.op):
            nodes.append(left.right)
            left = left.left
        return self._made(node, join, [self.operand(part, depth, symbol) for part in (left, *reversed(nodes))])

    def _maker(self, node: ast.expr, depth: int) -> Any:
        match node:
            case ast.Name(name) if name in _MAKERS:
                return _MAKERS[name]
            case ast.Attribute(ast.Name("Col"), name) if name in _KINDS:
                return _KINDS[name]
            case ast.Attribute(ast.Name("Col"), name):
                problem = _unknown(name, _KINDS, f"Col has {', '.join(_KINDS)}")
            case ast.Attribute(owner, name):
                column = self._read(owner, depth)
                problem = _unknown(name, _METHODS, _HAS)
                if name in _METHODS and isinstance(column, _COLUMNS):
                    try:
                        return getattr(column, name)
                    except AttributeError as error:
                        problem = str(error)
                elif name in _METHODS:
                    problem = f"{name} is a method of columns. Join filters with & and |"
            case _:
                self._read(node, depth)
                raise self.fault(node, "this is a value, which can't be called")
        raise self.fault(self._end(node) - len(name), problem)

    def _made(self, node: ast.expr, make: Any, *arguments: object, **keywords: object) -> Any:
        function = getattr(make, "__func__", make)
        column = () if function is make else (None,)
        try:
            _signature(function).bind(*column, *arguments, **keywords)
            return make(*arguments, **keywords)
        except FilterError as error:
            problem = str(error)
        except TypeError as error:
            problem = f"{error}. Write {make.__name__}([a, b])" if make in _LISTING else str(error)
        raise self.fault(node, problem)

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _unreadable(self, node: ast.expr, depth: int) -> FilterParseError:
        at: ast.expr | int = node
        match node:
            case ast.Name(name) if name in _MAKERS:
                problem = f"{name} stands alone. Write {name}(...)"
            case ast.Name(name):
                hint = f'Write Col("{name[:40]}") for a column, "{name[:40]}" for text. The names are '
                names = (*_MAKERS, *_VALUES, "True", "False", "None")
                problem = _unknown(name, names, hint + ", ".join(names))
            case ast.Attribute(_, name):
                at, problem = self._end(node) - len(name), _unknown(name, _METHODS, _HAS)
                if name in _METHODS or name in _KINDS:
                    problem = f"{name} stands alone. Write {name}(...)"
            case ast.BoolOp(op, [first, *_]):
                word = "and" if isinstance(op, ast.And) else "or"
                at, problem = self.text.find(word, self._end(first)), f"`{word}` would drop a condition. {_JOIN}"
            case ast.UnaryOp(ast.Not()):
                problem = f"`not` would drop a condition. {_JOIN}"
            case ast.Compare(left, _, [_, *more] as sides):
                for side in (left, *sides):
                    self._read(side, depth + 1)  # a == 1 & b == 2 is a chain too, and its middle says so
                problem = (
                    'write two comparisons for a chain: (Col("x") > 1) & (Col("x") < 3)'
                    if more
                    else 'write Col.collection("tags").contains("x") for `"x" in Col("tags")`, '
                    'Col("x").one_of([...]) for `in [...]`, ~(...) for `not in`, and == for `is`'
                )
            case _:
                problem = f"this can't stand in a filter. {_LOOK}"
        return self.fault(at, problem)

    def _end(self, node: ast.expr) -> int:
        return self._offset(node.end_lineno or 1, node.end_col_offset or 0, in_bytes=True)

    def _offset(self, line: int, column: int, *, in_bytes: bool = False) -> int:
        """The position of a column that Python counts in characters, or in its tree in UTF-8's bytes."""
        starts = [self._lead, *(end.end() for end in re.compile("\r\n?|\n").finditer(self.text, self._lead))]
        start = starts[min(line, len(starts)) - 1]
        if in_bytes:
            column = len(self.text[start : start + column].encode()[:column].decode(errors="ignore"))
        return start + column

    def fault(self, at: ast.expr | int, problem: str) -> FilterParseError:
        """The error with the problem, and below it the place: at most 80 characters of its line, and a caret."""
        if isinstance(at, ast.expr):
            at = self._offset(at.lineno, at.col_offset, in_bytes=True)
        at = max(0, min(at, len(self.text)))
        before = re.split("[\r\n]", self.text[max(0, at - 40) : at])[-1]
        line = before + re.split("[\r\n]", self.text[at : at + 80 - len(before)])[0]
        shown = "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in line)
        caret = "".join("\u3000" if east_asian_width(char) in "WF" else " " for char in shown[: len(before)])
        problem = problem if len(problem) <= 400 else f"{problem[:397]}..."
        return FilterParseError(f"{problem}\n  {shown}\n  {caret}^", text=self.text, offset=at)


def _unknown(name: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name[:40], known, n=1)
    return f"{name[:40]} is unknown. {_INSTEAD.get(name) or (f'Did you mean {close[0]}?' if close else otherwise)}"


def _wording(message: str) -> str:
    """What Python says of a syntax error, where that helps with a filter."""
    if "unicode error" in message:
        return "a backslash begins an escape here that isn't complete. Write two for a backslash in text"
    if "limit" in message:
        return "a number of more than 4,300 digits can't be sent"
    if message.startswith("leading zeros"):
        return 'no number begins with 0. A date is text: Col.date("created_at").gte("2026-01-31T09:00:00Z")'
    if message.startswith("invalid syntax") and "==" not in message:
        return f"this can't be read. {_LOOK}. {_JOIN}"
    return message
