"""Tables of figures as Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as plain text that a page of the documentation can hold."""
    lines = [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def write(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the comments `<!-- name -->` and `<!-- end of name -->` of a page."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    assert closed, f"{page} needs the comments {begin.strip()} and {end}"
    _ = page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")
