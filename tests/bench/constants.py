"""The numbers in the code that decides what is sent and when: which there are, and the code with another one."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

PLACES = ("flow/[!os]*.py", "counting/request.py")  # neither the statuses in outcome, nor settings
_SHOWN = 60  # characters of the line in which a number stands


@frozen
class Constant:
    """A number in the code: its file, its line from 1, where it begins and ends there in bytes, its name, its value."""

    file: str
    line: int
    begin: int
    end: int
    name: str
    value: float

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
    return [one for file in files for one in constants_in(file.read_text(), str(file.relative_to(package)))]


def constants_in(source: str, file: str) -> list[Constant]:
    """The same of one file."""
    tree, lines = ast.parse(source), source.splitlines()
    names = dict(_names(tree))
    found = [
        Constant(
            file,
            node.lineno,
            node.col_offset,
            node.end_col_offset or node.col_offset,
            names.get(id(node)) or lines[node.lineno - 1].strip()[:_SHOWN],
            node.value,
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in (0, 1, 2)
    ]
    return sorted(found, key=lambda one: (one.line, one.begin))


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The numbers in assignments at the top of a module, with the names that these give."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
            pairs: Iterable[tuple[ast.expr, ast.expr]] = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
            for name, number in pairs:
                yield from ((id(node), ast.unparse(name)) for node in ast.walk(number))
