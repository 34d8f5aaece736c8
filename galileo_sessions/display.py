"""
How values, counts, columns and filters are shown: in messages, and as bars on a terminal or in a
notebook.
"""

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from itertools import islice

_MAX_NAMES = 1_000  # names that are compared; the time grows with their square
_MAX_NAME = 60  # characters of each that are compared
_OPPOSITES = {
    "min": "max",
    "first": "last",
    "start": "end",
    "before": "after",
    "true": "false",
    "input": "output",
    "without": "with",
    "success": "failure",
}
"""Words that turn a name into its opposite. Other words that do so are left out of it."""
_NEGATION = re.compile(
    r"(?<![^\W_])(?:(?:n(?=on)|not|non|no|[a-z]*nt(?=[\W_])|un|in|im|dis|never|exclude|lacks|n(?!n))"
    rf"[\W_]?|{'|'.join(_OPPOSITES)})"
)
_EIGHTHS = " ▏▎▍▌▋▊▉"
_MONOSPACED = (
    "font-family: ui-monospace, Menlo, Consolas, monospace; line-height: 1.2; white-space: pre"
)


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        _ = repr(x)  # raises ValueError for too many digits; newer Pythons would show an address
        return super().repr_int(x, level)


_BRIEF = _Repr()
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 80
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxset = _BRIEF.maxfrozenset = _BRIEF.maxdict = 4
_BRIEF.maxlevel = 3


def brief(value: object) -> str:
    """
    The repr of a value, shortened to fit into a message: `brief([1, 2, 3, 4, 5])` is
    "[1, 2, 3, 4, ...]".

    Of long text, the middle is left out.

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
    A horizontal bar, in steps of an eighth of a column: `bar(3, 4, 2)` is "█▌".

    It is empty for 0 and None, and at least one step long for any other count.

    Args:
        count: The count that it shows.
        top: The count of the longest bar.
        width: The length of the longest bar, in columns.
    """
    if not count:
        return ""
    steps = max(1, round(count / top * width * len(_EIGHTHS)))
    full, rest = divmod(steps, len(_EIGHTHS))
    return ("█" * full + _EIGHTHS[rest]).rstrip()


def quantity(number: int, what: str) -> str:
    """A number and what it counts, such as "1 session" or "1,200 sessions"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """The text, with everything escaped that could control a terminal, except line breaks."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    is_harmless = character.isprintable() or character == "\n"
    return character if is_harmless else character.encode("unicode_escape").decode()


def text_table(rows: Iterable[Sequence[str]]) -> str:
    """
    Rows of printable cells as aligned lines. A column is left out if all its cells below the head
    are empty.
    """
    columns = [column for column in zip(*rows, strict=True) if any(column[1:]) or len(column) == 1]
    widths = [max(map(len, column)) for column in columns]
    lines: list[str] = []
    for row in zip(*columns, strict=True):
        cells = map(str.ljust, row, widths)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def chart(
    counts: Sequence[tuple[str, int | None]], width: int = 80, *, total: int | None = None
) -> str:
    """
    A line for each label: its count, or `failed`, and a bar. The longest bar is that of the largest
    count.

    Args:
        counts: Labels and counts; None means that the count failed.
        width: The length of the longest line, unless labels are long.
        total: If given, each line also shows the count's share of it, such as 25.0%.
    """
    if not counts:
        return ""
    labels = [shortened(label) for label, _ in counts]
    numbers = [cell(count) + _share(count, total) for _, count in counts]
    top = max([count or 0 for _, count in counts])
    left = max(map(len, labels))
    middle = max(map(len, numbers))
    space = max(8, width - left - middle - 4)
    lines = [
        f"{label:{left}}  {number:>{middle}}  {bar(count, top, space)}".rstrip()
        for label, number, (_, count) in zip(labels, numbers, counts, strict=True)
    ]
    return "\n".join(lines)


def cell(count: int | None) -> str:
    """A count as a cell of a table; None means that it failed."""
    return "failed" if count is None else f"{count:,}"


def _share(count: int | None, total: int | None) -> str:
    return f"  {count / total:>6.1%}" if total and count is not None else ""


def shortened(text: str, width: int = 80) -> str:
    """The text, with unprintable characters escaped, cut to `width` characters."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


@singledispatch
def drawing(value: object) -> str:
    """
    The drawing of a value; by default, what `print` shows. A module above a class registers its
    drawing here.
    """
    return str(value)


def preformatted(value: object) -> str:
    """
    The drawing of a value, or a text, for a notebook: monospaced, so that its lines meet.

    It is escaped, so that text from a filter or the service can't become markup.
    """
    from html import escape  # noqa: PLC0415  # only notebooks need it

    return f"<pre style='{_MONOSPACED}'>{escape(drawing(value))}</pre>"


def did_you_mean(
    name: object, known: Iterable[str], meanings: Mapping[str, str] | None = None
) -> str:
    """
    A question that suggests the most similar known name, such as "Did you mean score?".

    It ignores case, and is empty if no name is similar. It never suggests the opposite, such as
    "active" for "inactive".

    Args:
        name: The value that was written. Only text can resemble a name.
        known: The names; the first 1,000 are compared.
        meanings: What to write for a name, if that isn't the name itself.
    """
    from difflib import get_close_matches  # noqa: PLC0415  # only errors need it

    if not isinstance(name, str):
        return ""
    by_key: dict[str, str] = {}
    for each in islice(known, _MAX_NAMES):
        by_key.setdefault(each[:_MAX_NAME].casefold(), each)
    written = name[:_MAX_NAME].casefold()
    for key in get_close_matches(written, by_key):
        if not _are_opposites(written, key):
            similar = by_key[key]
            return f"Did you mean {shortened((meanings or {}).get(similar, similar))}?"
    return ""


def _are_opposites(first: str, second: str) -> bool:
    """Whether two names are more similar once one is negated, as "inactive" and "active" are."""
    from difflib import SequenceMatcher  # noqa: PLC0415  # only errors need it

    similarity = SequenceMatcher(None, first, second).ratio()
    for name, other in ((first, second), (second, first)):
        for found in _NEGATION.finditer(name):
            negated = name[: found.start()] + _OPPOSITES.get(found[0], "") + name[found.end() :]
            if SequenceMatcher(None, negated, other).ratio() > similarity:
                return True
    return False
