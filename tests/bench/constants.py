"""The numbers in the code that decides what is sent and when: which there are, and the code with another one."""

import ast
from pathlib import Path

from attrs import frozen

PLACES = ("flow/[!os]*.py", "counting/request.py")  # neither the statuses in outcome, nor settings


@frozen(order=True)
class Constant:
    """A number in the code: its file, its line from 1, where it begins and ends there in bytes, the line, its value."""

    file: str
    line: int
    begin: int
    end: int
    code: str
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
    found: list[Constant] = []
    for file in [file for place in PLACES for file in package.glob(place)]:
        source, name = file.read_text(), str(file.relative_to(package))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value not in (0, 1, 2):
                end, code = node.end_col_offset or 0, source.splitlines()[node.lineno - 1].strip()
                found.append(Constant(name, node.lineno, node.col_offset, end, code, node.value))
    return sorted(found)
