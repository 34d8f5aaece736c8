"""
The text that `repr` of a filter prints, as a filter again.

Python's grammar reads the text, and nothing runs it: this module walks the tree with a closed list of names.
"""

import ast
import inspect
import re
import warnings
from functools import cache
from operator import eq, ge, gt, invert, le, lt, ne
from typing import Any, get_args
from unicodedata import east_asian_width

from galileo_sessions.errors import FilterError, FilterParseError
from galileo_sessions.filters import advice, nodes, values
from galileo_sessions.filters.columns import Col, TypedCol, column_class
from galileo_sessions.filters.kinds import FILTER_TYPES, METHODS, PARTITIONS
from galileo_sessions.filters.nodes import MAX_DEPTH, Filter, all_of, any_of
from galileo_sessions.filters.partitions import Partition

MAX_TEXT = 2**20  # characters; Python's parser takes up to 500 bytes for each
_MAX_LINE = 80
_MAX_PROBLEM = 400

_JOINING = (all_of, any_of, nodes.And, nodes.Or)
_FUNCTIONS: dict[str, Any] = {f.__name__: f for f in (Col, *_JOINING, nodes.Not, *get_args(nodes.LeafFilter))}
_CONSTANTS = {"ALWAYS": nodes.ALWAYS, "NEVER": nodes.NEVER}
_NAMES = (*_FUNCTIONS, *_CONSTANTS, "True", "False", "None")
_COLUMNS = (Col, *get_args(TypedCol))
_METHODS = tuple(name for name in METHODS if name != "on")  # whose time zone can't be written without an import
_COMPARE: dict[type[ast.cmpop], Any] = {ast.Eq: eq, ast.NotEq: ne, ast.Lt: lt, ast.LtE: le, ast.Gt: gt, ast.GtE: ge}
_JOIN: dict[type[ast.operator], Any] = {ast.BitAnd: ("&", all_of), ast.BitOr: ("|", any_of)}
_signature = cache(inspect.signature)


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
    parser = _Parser(values.text(text))
    try:
        return parser.operand(parser.tree(), 0)
    except (MemoryError, RecursionError):  # from Python's parser, long before either is used up
        fault = parser.fault(0, advice.TOO_DEEP)
    raise fault


def parse_partition(text: str) -> Partition:
    """
    The partition that a text stands for: what its `repr` prints, such as `Col.number("score").bins(0, 1, 2)`.

    Args:
        text: A typed column and one of the methods that make partitions, with literal values; as `parse_filter`.

    Raises:
        FilterParseError: for any other text, and for what the column refuses.
        FilterTypeError: if it is no text.
    """
    parser = _Parser(values.text(text), (*_METHODS, *PARTITIONS))
    try:
        tree = parser.tree()
        value = parser.value(tree, 0)
    except (MemoryError, RecursionError):  # as in parse_filter
        fault = parser.fault(0, advice.TOO_DEEP)
    else:
        if isinstance(value, Partition):
            return value
        fault = parser.fault(tree, advice.no_partition(value))
    raise fault


class _Parser:
    def __init__(self, text: str, methods: tuple[str, ...] = _METHODS) -> None:
        self.text = text
        self._methods = methods
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
            problem = advice.unreadable(error.msg if self.text.strip() else "")
        raise self.fault(at, problem)

    def operand(self, node: ast.expr, depth: int, symbol: str = "") -> Filter:
        """The filter at a node, which may stand beside `&`, `|` or `~`."""
        value = self.value(node, depth)
        if isinstance(value, Filter):
            return value
        raise self.fault(node, advice.no_filter(value, symbol))

    def value(self, node: ast.expr, depth: int) -> Any:
        """The filter, column or literal at a node; below a filter's own levels are two more, of columns and values."""
        if depth > MAX_DEPTH + 2:
            raise self.fault(node, advice.TOO_DEEP)
        match node:
            case ast.Constant(value):
                return value
            case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, ast.Constant(int() | float() as number)):
                return -number if isinstance(sign, ast.USub) else number
            case ast.List(items) | ast.Tuple(items):
                return [self.value(item, depth) for item in items]
            case ast.Name(name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.Call():
                return self._call(node, depth + 1)
            case ast.Compare(left, [sign], [right]) if type(sign) in _COMPARE:
                sides = self.value(left, depth + 1), self.value(right, depth + 1)
                if not any(isinstance(side, _COLUMNS) for side in sides):
                    raise self.fault(node, 'one side of a comparison is a column, as in Col("score") > 3')
                return self._made(node, _COMPARE[type(sign)], *sides)
            case ast.UnaryOp(ast.Invert(), inner):
                return self._made(node, invert, self.operand(inner, depth + 1, "~"))
            case ast.BinOp() if type(node.op) in _JOIN:
                return self._joined(node, depth + 1)
            case _:
                raise self._unreadable(node, depth)

    def _joined(self, node: ast.BinOp, depth: int) -> Any:
        """`a & b & c` is one level, however long: Python nests it to the left."""
        symbol, join = _JOIN[type(node.op)]
        nodes: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and type(left.op) is type(node.op):
            nodes.append(left.right)
            left = left.left
        return self._made(node, join, [self.operand(part, depth, symbol) for part in (left, *reversed(nodes))])

    def _call(self, node: ast.Call, depth: int) -> Any:
        function = self._function(node.func, depth)
        positional = [self.value(item, depth) for item in node.args]
        named = {keyword.arg or "**": self.value(keyword.value, depth) for keyword in node.keywords}
        if len(named) < len(node.keywords) or "**" in named:
            raise self.fault(node, "a keyword stands once in a call, by its name")
        return self._made(node, function, *positional, **named)

    def _function(self, node: ast.expr, depth: int) -> Any:
        match node:
            case ast.Name(name) if name in _FUNCTIONS:
                return _FUNCTIONS[name]
            case ast.Attribute(ast.Name("Col"), name):
                if name in FILTER_TYPES:
                    return column_class(FILTER_TYPES[name])
                problem = advice.unknown_name(name, FILTER_TYPES, f"Col has {', '.join(FILTER_TYPES)}")
            case ast.Attribute(owner, name):
                column = self.value(owner, depth)
                if name not in self._methods:
                    problem = advice.unknown_method(name, self._methods)
                elif not isinstance(column, _COLUMNS):
                    problem = f"{name} is a method of columns. Join filters with & and |"
                elif hasattr(column, name):
                    return getattr(column, name)
                else:
                    problem = advice.no_such_method(column, column.filter_type, name)
            case _:
                self.value(node, depth)
                raise self.fault(node, "this is a value, which can't be called")
        raise self.fault(self._end(node) - len(name), problem)

    def _made(self, node: ast.expr, function: Any, *arguments: object, **keywords: object) -> Any:
        plain = getattr(function, "__func__", function)
        column = () if plain is function else (None,)
        try:
            _signature(plain).bind(*column, *arguments, **keywords)
            return function(*arguments, **keywords)
        except FilterError as error:
            problem = str(error)
        except TypeError as error:
            problem = f"{error}. Write {function.__name__}([a, b])" if function in _JOINING else str(error)
        raise self.fault(node, problem)

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _unreadable(self, node: ast.expr, depth: int) -> FilterParseError:
        at: ast.expr | int = node
        match node:
            case ast.Name(name) if name in _FUNCTIONS:
                problem = advice.stands_alone(name)
            case ast.Name(name):
                problem = advice.unknown_variable(name, _NAMES)
            case ast.Attribute(_, name):
                at, known = self._end(node) - len(name), name in self._methods or name in FILTER_TYPES
                problem = advice.stands_alone(name) if known else advice.unknown_method(name, self._methods)
            case ast.BoolOp(op, [first, *_]):
                word = "and" if isinstance(op, ast.And) else "or"
                at, problem = self.text.find(word, self._end(first)), advice.drops(word)
            case ast.UnaryOp(ast.Not()):
                problem = advice.drops("not")
            case ast.Compare(left, operators, sides):
                for side in (left, *sides):
                    self.value(side, depth + 1)  # a == 1 & b == 2 is a chain too, and its middle says so
                problem = advice.CHAIN if len(operators) > 1 else advice.MEMBERSHIP
            case _:
                problem = f"this can't stand in a filter. {advice.EXAMPLE}"
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
        before = re.split("[\r\n]", self.text[max(0, at - _MAX_LINE // 2) : at])[-1]
        after = re.split("[\r\n]", self.text[at : at + _MAX_LINE - len(before)])[0]
        shown = "".join([_printable(char) for char in before + after])
        caret = "".join(["\u3000" if east_asian_width(char) in "WF" else " " for char in shown[: len(before)]])
        problem = problem if len(problem) <= _MAX_PROBLEM else f"{problem[: _MAX_PROBLEM - 3]}..."
        return FilterParseError(f"{problem}\n  {shown}\n  {caret}^", text=self.text, offset=at)


def _printable(char: str) -> str:
    return char if char.isprintable() else " " if char.isspace() else "\ufffd"
