"""Tables of figures, as plain text and as Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def plain(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in columns: the first to the left, the others to the right."""
    table = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in _first_left(table)
    )
    return "\n".join(line.rstrip() for line in lines)


def _first_left(table: Sequence[Sequence[str]]) -> list[list[str]]:
    longest = max(len(row[0]) for row in table)
    return [[row[0].ljust(longest), *row[1:]] for row in table]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same table for a page of the documentation."""
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def write(page: Path, name: str, text: str) -> None:
    """
    Replaces what stands between the comments `<!-- name -->` and `<!-- end of name -->` of a page.

    Raises:
        ValueError: if the page doesn't have both.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} needs the comments {begin.strip()} and {end}")
    _ = page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")
