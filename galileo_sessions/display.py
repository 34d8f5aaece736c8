"""How values, counts, columns and filters are shown: in messages, as bars on a terminal, and as HTML in a notebook."""

import reprlib
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import singledispatch
from html import escape
from itertools import accumulate, islice
from typing import Any, cast

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NARROW = 20  # characters of the labels of a grid that is too wide
_MAX_LABEL = 80  # characters of a label in a chart
_MAX_ROWS, _MAX_CELL = 100, 200  # in a notebook's table: rows, and characters of a cell
_MONOSPACED = "font-family: ui-monospace, Menlo, Consolas, monospace; line-height: 1.2; white-space: pre"
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 80
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxset = _BRIEF.maxfrozenset = _BRIEF.maxdict = 4
_BRIEF.maxlevel = 3


def brief(value: object) -> str:
    """
    The repr of a value, shortened to fit into a message.

    Returns:
        At most 120 characters, whatever the value.
    """
    try:
        text = _BRIEF.repr(value)
    except ValueError:  # Python doesn't print integers of more than 4,300 digits
        text = f"<{type(value).__name__} too long to show>"
    return text if len(text) <= 120 else f"{text[:117]}..."


def bar(count: int | None, top: int, width: int) -> str:
    """
    A horizontal bar, in steps of an eighth of a column; at least one step long, unless the count is 0 or None.

    Args:
        count: The count that it shows.
        top: The count of the longest bar.
        width: The length of the longest bar, in columns.
    """
    if not count or not width:
        return ""
    full, rest = divmod(max(1, round(count / top * width * len(_EIGHTHS))), len(_EIGHTHS))
    return ("█" * full + _EIGHTHS[rest]).rstrip()


def some(number: int, what: str) -> str:
    """A number and what it counts, such as "1 session" or "1,200 sessions"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """The text, with everything escaped that could control a terminal, except line breaks."""
    return "".join([c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text])


def text_table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of printable cells as aligned lines. Columns that are empty below the head are left out."""
    rows = without_empty_columns(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows])


def without_empty_columns(rows: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """The rows without the columns that are empty below the head. A head by itself stays whole."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:]) or len(column) == 1]
    return [*zip(*columns, strict=True)]


def chart(
    counts: Sequence[tuple[str, int | None]], width: int = 80, *, total: int | None = None, top: int | None = None
) -> str:
    """
    A line for each label: its count, or `failed`, and a bar.

    Args:
        counts: Labels and counts; None means that the count failed.
        width: The length of the longest line, unless labels are long; 0 draws no bars.
        total: If given, each line also shows the count's share of it.
        top: The count of the longest bar, for charts with one scale. Default: the largest count.
    """
    labels = [shortened(label) for label, _ in counts]
    numbers = ["failed" if count is None else _number(count, total) for _, count in counts]
    top = largest([count for _, count in counts]) if top is None else top
    left = max(map(len, labels), default=0)
    middle = max(map(len, [*numbers, _number(top, None if total is None else max(top, total))]))
    space = max(8, width - left - middle - 4) if width else 0
    lines = [
        f"{label:{left}}  {number:>{middle}}  {bar(count, top, space)}".rstrip()
        for label, number, (_, count) in zip(labels, numbers, counts, strict=True)
    ]
    return "\n".join(lines)


def largest(counts: Iterable[int | None]) -> int:
    """The largest count; 0 if there is none."""
    return max([count or 0 for count in counts], default=0)


def label_text(label: object) -> str:
    """A label as text; the labels of two dimensions are joined."""
    return ", ".join(map(str, cast("tuple[object, ...]", label))) if isinstance(label, tuple) else str(label)


def _is_grid(counts: Mapping[Any, int | None]) -> bool:
    """Whether the labels are pairs."""
    lengths = {len(cast("tuple[object, ...]", label)) if isinstance(label, tuple) else 1 for label in counts}
    return lengths == {2}


def counts_text(counts: Mapping[Any, int | None], total: int | None, width: int = 80, *, top: int | None = None) -> str:
    """Counts by label as a chart, or those of two dimensions as a grid."""
    if _is_grid(counts):
        return grid(counts, width)
    return chart([(label_text(label), count) for label, count in counts.items()], width, total=total, top=top)


def grid(cells: Mapping[Any, int | None], width: int = 80) -> str:
    """
    Counts as a table, with a line for each first label. Columns of zeros are left out, unless all are.

    Args:
        cells: The count of each pair of labels; None means that the count failed.
        width: The columns of the longest line. The head says how many columns don't fit. 0 sets no limit.
    """
    head, *lines = _table_of(cells)
    sizes = [max(map(len, column)) + 2 for column in zip(head, *lines, strict=True)]
    ends = [*accumulate(sizes)]
    if width and ends[-1] > width:
        sizes[0] = min(sizes[0], _NARROW + 2)
        ends = [end for end in accumulate(sizes) if end <= width - len("  … 999 more")]
    shown = max(2, len(ends))
    more = f"  … {len(head) - shown} more" if shown < len(head) else ""
    first, *others = sizes[:shown]
    aligned: list[str] = []
    for label, *counts in (head, *lines):
        cut = "".join([count.rjust(size) for count, size in zip(counts, others, strict=False)])
        aligned.append(shortened(label, first - 2).ljust(first - 2) + cut)
    return "\n".join([aligned[0] + more, *aligned[1:]])


def _table_of(cells: Mapping[Any, int | None]) -> list[list[str]]:
    """The head of a grid and its lines."""
    rows = dict.fromkeys([row for row, _ in cells])
    columns = [*dict.fromkeys([column for _, column in cells])]
    filled = {column for (_, column), count in cells.items() if count != 0} or columns
    columns = [column for column in columns if column in filled]
    head = ["", *[shortened(str(column), 20) for column in columns]]
    return [head, *[[shortened(str(row), 36), *[cell(cells.get((row, each), 0)) for each in columns]] for row in rows]]


def cell(count: int | None) -> str:
    """A count as a cell of a table; None means that it failed."""
    return "failed" if count is None else f"{count:,}"


def _number(count: int, total: int | None) -> str:
    return f"{count:,}" if total is None else f"{count:,}  {count / (total or 1):>6.1%}"


def shortened(text: str, most: int = _MAX_LABEL) -> str:
    """The text, with unprintable characters escaped, cut to `most` characters."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


# ---- notebooks -------------------------------------------------------------------------------------------------------
# Everything is escaped, so that text from a filter or the service can't become markup.


@singledispatch
def drawing(value: object) -> str:
    """The drawing of a value. Modules register drawings for their classes here; the default is the repr."""
    return repr(value)


def html_drawing(value: object) -> str:
    """The drawing of a value for a notebook, monospaced so that its lines meet."""
    return f"<pre style='{_MONOSPACED}'>{escape(drawing(value))}</pre>"


class Html(str):
    """Markup made by this module, which isn't escaped."""

    __slots__ = ()


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], total: int, caption: str = "", numbers: Container[int] = ()
) -> str:
    """
    A table for a notebook: the first 100 rows, and how many more there are.

    Args:
        head: The name of each column.
        rows: The cells of each row.
        total: The number of rows.
        caption: A line above the table.
        numbers: The positions of the columns with numbers, which are aligned right.
    """
    above = f"<p>{_cell_text(caption)}</p>" if caption else ""
    below = f"<p>… {total - _MAX_ROWS:,} more</p>" if total > _MAX_ROWS else ""
    body = "".join([_html_row("td", row, numbers) for row in islice(rows, _MAX_ROWS)])
    return f"{above}<table>{_html_row('th', head, numbers)}{body}</table>{below}"


def counts_html(counts: Mapping[Any, int | None], total: int) -> str:
    """Counts by label for a notebook, those of two dimensions as a grid."""
    caption = f"total {total:,}"
    if _is_grid(counts):
        return html_grid(counts, caption)
    return html_chart(
        ("label", "sessions"), [(label_text(label), count) for label, count in counts.items()], caption, total
    )


def html_grid(cells: Mapping[Any, int | None], caption: str) -> str:
    """A grid for a notebook; see `grid`."""
    head, *lines = _table_of(cells)
    return html_table(head, lines, len(lines), caption, numbers=range(1, len(head)))


def html_chart(head: Sequence[str], counts: Sequence[tuple[str, int | None]], caption: str, total: int) -> str:
    """A table for a notebook, with a bar for each count and the count's share of the total."""
    top = largest([count for _, count in counts[:_MAX_ROWS]]) or 1
    rows = ((label, *_html_count(count, top, total)) for label, count in counts)
    return html_table((*head, "share", ""), rows, len(counts), caption, numbers=(1, 2))


def _html_count(count: int | None, top: int, total: int) -> tuple[str, str, str]:
    if count is None:
        return cell(count), "", ""
    length = f"{12 * count / top:.2f}em"  # of a bar; block characters would leave lines between the bars
    drawn = Html(f'<div style="width: {length}; height: 0.8em; background: currentColor"></div>')
    return cell(count), f"{count / (total or 1):.1%}", drawn


def _html_row(tag: str, cells: Sequence[str], numbers: Container[int]) -> str:
    row = ""
    for i, cell in enumerate(cells):
        written = cell if isinstance(cell, Html) else _cell_text(cell)
        row += f'<{tag} style="text-align: {"right" if i in numbers else "left"}">{written}</{tag}>'
    return f"<tr>{row}</tr>"


def _cell_text(text: str) -> str:
    return escape(shortened(text, _MAX_CELL))
