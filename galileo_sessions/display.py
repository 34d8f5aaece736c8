"""How counts are shown: as a chart of bars on a terminal, and as a short table in a notebook."""

from collections.abc import Iterable, Sequence
from math import ceil

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SPARKS = "▁▂▃▄▅▆▇█"
_BAR = 32  # columns of the longest bar, unless told otherwise
MAX_ROWS = 40  # of a table in a notebook
_MAX_CELL = 80


def bar(part: float, width: int = _BAR) -> str:
    """
    A horizontal bar, to an eighth of a column.

    Args:
        part: From 0 to 1, of the longest.
        width: The columns that the longest takes.
    """
    full, rest = divmod(round(part * width * len(_EIGHTHS)), len(_EIGHTHS))
    return ("█" * full + _EIGHTHS[rest]).rstrip()


def sparkline(counts: Sequence[int], width: int = 26) -> str:
    """
    A row of columns as high as the counts; neighbours share one, as high as their mean, where there are more.

    Args:
        width: The columns at most; 26 beside a project's id and its total keep to 80.
    """
    share = -(-len(counts) // width) or 1
    groups = [counts[i : i + share] for i in range(0, len(counts), share)]
    means = [sum(group) / len(group) for group in groups]  # for the last group may be shorter
    top = max(means, default=0) or 1
    return "".join([_SPARKS[ceil(7 * mean / top)] for mean in means])


def chart(counts: Sequence[tuple[str, int | None]], width: int = 80) -> str:
    """
    A line for each label: its count, or `failed`, and a bar.

    Args:
        width: The columns of the longest line, but where labels are long; 0 draws no bars.
    """
    labels = [shortened(label) for label, _ in counts]
    numbers = ["failed" if count is None else f"{count:,}" for _, count in counts]
    left, middle = (max(map(len, texts), default=0) for texts in (labels, numbers))
    top = max([count or 0 for _, count in counts], default=0) or 1
    space = max(8, width - left - middle - 4) if width else 0
    lines = [
        f"{label:{left}}  {number:>{middle}}  {_bar_of(count, top, space)}".rstrip()
        for label, number, (_, count) in zip(labels, numbers, counts, strict=True)
    ]
    return "\n".join(lines)


def _bar_of(count: int | None, top: int, width: int) -> str:
    """The bar of a count, which shows that there is one, however small beside the longest."""
    return bar(max(count / top, 1 / len(_EIGHTHS) / width), width) if count and width else ""


def html_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], left_out: int) -> str:
    """A table for a notebook, in which no text is markup; below it, how many rows are left out."""
    lines = [_row("th", head), *[_row("td", row) for row in rows]]
    more = f"<p>… {left_out:,} more</p>" if left_out > 0 else ""
    return f"<p>{_escaped(caption)}</p><table>{''.join(lines)}</table>{more}"


def html_chart(caption: str, head: Sequence[str], counts: Sequence[tuple[str, int | None]]) -> str:
    """A table for a notebook with a bar for each count, of the first 40."""
    shown = counts[:MAX_ROWS]
    top = max([count or 0 for _, count in shown], default=0) or 1
    rows = [(label, "" if count is None else f"{count:,}", _bar_of(count, top, _BAR)) for label, count in shown]
    return html_table(caption, (*head, ""), rows, len(counts) - len(shown))


def shortened(text: str) -> str:
    """At most 80 printable characters of a text."""
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= _MAX_CELL else f"{printable[: _MAX_CELL - 1]}…"


def _row(tag: str, cells: Sequence[object]) -> str:
    written = [f'<{tag} style="text-align: left">{_escaped(str(cell))}</{tag}>' for cell in cells]
    return f"<tr>{''.join(written)}</tr>"


def _escaped(text: str) -> str:
    import html  # noqa: PLC0415  # for notebooks alone

    return html.escape(shortened(text).encode("utf-8", "replace").decode())  # no lone surrogates
