"""The numbers in the code that decides what is sent and when: which there are, and the code with another one."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

PLACES = ("client/flow/*.py", "client/queue.py", "client/policy.py", "client/request.py")
_SETTINGS = {"Limits", "Retry"}  # classes whose numbers are the user's to choose
_SHOWN = 60  # characters of the line in which a number stands


@frozen
class Constant:
    """
    A number in the code.

    Args:
        file: Its file, in the package's folder.
        line: Its line, from 1.
        begin: Where it begins in the line, in bytes.
        end: Where it ends.
        name: The name that it's given, or the text of its line.
        value: The number.
        is_setting: Whether users choose it, so that it's only a default or a bound.
    """

    file: str
    line: int
    begin: int
    end: int
    name: str
    value: float
    is_setting: bool

    def halved_and_doubled(self) -> tuple[float, float]:
        """Half of it and twice; near 1 it is a factor or a share, so that its distance from 1 is halved and doubled."""
        value = self.value
        if type(value) is int:
            return value // 2, 2 * value
        if 0.5 < value < 2:
            return round(1 + (value - 1) / 2, 9), round(1 + 2 * (value - 1), 9)
        return value / 2, 2 * value

    def replaced(self, source: str, value: float) -> str:
        """The source of its file with another number in its place."""
        lines = source.encode().splitlines(keepends=True)
        line = lines[self.line - 1]
        lines[self.line - 1] = line[: self.begin] + repr(value).encode() + line[self.end :]
        return b"".join(lines).decode()


def constants_of(package: Path) -> list[Constant]:
    """All numbers but 0, 1 and 2 in the code at `PLACES`, in the order of the files."""
    files = [file for place in PLACES for file in sorted(package.glob(place))]
    return [
        found
        for file in files
        for found in constants_in(file.read_text(encoding="utf-8"), str(file.relative_to(package)))
    ]


def constants_in(source: str, file: str) -> list[Constant]:
    """The same of one file."""
    tree, lines = ast.parse(source), source.splitlines()
    settings = {id(node) for statement in _settings(tree) for node in ast.walk(statement)}
    names = dict(_names(tree))
    numbers = [
        (node, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in (0, 1, 2)
    ]
    return [
        Constant(
            file,
            node.lineno,
            node.col_offset,
            node.end_col_offset or node.col_offset,
            names.get(id(node)) or lines[node.lineno - 1].strip()[:_SHOWN],
            value,
            id(node) in settings,
        )
        for node, value in sorted(numbers, key=lambda pair: (pair[0].lineno, pair[0].col_offset))
    ]


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The numbers in assignments at the top of a module, with the names that these give."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        pairs: Iterable[tuple[ast.expr, ast.expr]] = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=True)
        for name, number in pairs:
            yield from ((id(node), ast.unparse(name)) for node in ast.walk(number))


def _settings(tree: ast.Module) -> list[ast.stmt]:
    """The classes of the settings, and the functions that only these use."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in _SETTINGS]
    others = [node for node in tree.body if node not in classes]
    used = _used(classes)
    return [
        *classes,
        *(
            node
            for node in others
            if isinstance(node, ast.FunctionDef)
            and node.name in used
            and node.name not in _used(other for other in others if other is not node)
        ),
    ]


def _used(statements: Iterable[ast.stmt]) -> set[str]:
    return {node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)}
