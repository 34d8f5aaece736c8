"""
How values, counts, columns and filters are shown: in messages, and as bars on a terminal or in a
notebook.
"""

import re
import reprlib
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import singledispatch
from itertools import accumulate, takewhile
from unicodedata import category, east_asian_width

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_SHORTEST = 5  # letters of a word that may have a typo: "dont" isn't "done"
_READABLE = 12  # columns of a text; no other text takes them if it can be narrower itself
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


def quantity(number: int, what: str) -> str:
    """A number and what it counts, such as "1 session" or "1,200 sessions"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """The text, with everything escaped that could control a terminal, except line breaks."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    is_harmless = character.isprintable() or character == "\n"
    return character if is_harmless else character.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """The text, with everything escaped that could control a terminal or break a line."""
    return printable(text).replace("\n", "\\n")


def shortened(text: str, width: int = 80) -> str:
    """The text on one line, escaped, and cut to `width` columns of a terminal."""
    shown = one_line(text)
    ends = [*takewhile(width.__ge__, accumulate(map(_columns, shown)))]
    if len(ends) == len(shown):
        return shown
    return f"{shown[: bisect_right(ends, width - 1)]}…"


def _columns(character: str) -> int:
    """The columns of a terminal that a printable character takes."""
    if category(character).startswith("M") or "\u1160" <= character <= "\u11ff":
        return 0  # an accent, or a vowel or final of a decomposed Hangul syllable
    return 2 if east_asian_width(character) in "WF" else 1


# ---- tables and bars -----------------------------------------------------------------------------


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | int]],
    *,
    numbers: Container[int] = (),
    width: int | None = None,
) -> str:
    """
    Rows of cells as aligned lines. A column is left out if all its cells below the head are empty.

    Args:
        head: The title of each column.
        rows: The cells: texts, and counts that are drawn as bars, the longest for the largest one.
        numbers: The positions of columns that are aligned to the right and never cut.
        width: The length of the longest line, in columns of a terminal. Texts are cut to fit, those
            of the last column first, and bars fill the rest of a line. Without it, no text is cut,
            and there are no bars.
    """
    columns = dict(enumerate(zip(head, *rows, strict=True)))
    widths = {
        place: max([_length(cell, width) for cell in cells])
        for place, cells in columns.items()
        if any(cells[1:]) or len(cells) == 1
    }
    if width is not None:
        _fit(widths, numbers, width)
    drawn = [
        _drawn(columns[place], room, is_number=place in numbers) for place, room in widths.items()
    ]
    return "\n".join(["  ".join(cells).rstrip() for cells in zip(*drawn, strict=True)])


def _length(cell: str | int, width: int | None) -> int:
    """The columns of the terminal that a cell can use."""
    return sum(map(_columns, one_line(cell))) if isinstance(cell, str) else width or 0


def _fit(widths: dict[int, int], numbers: Container[int], width: int) -> None:
    """Narrows columns of texts, the last one first, until a line fits."""
    excess = sum(widths.values()) + 2 * (len(widths) - 1) - width
    for least in (_READABLE, 1):
        for place in reversed(widths):
            if place not in numbers:
                cut = max(0, min(excess, widths[place] - least))
                widths[place] -= cut
                excess -= cut


def _drawn(cells: Sequence[str | int], width: int, *, is_number: bool) -> Iterator[str]:
    """The cells of a column, filled up to its width."""
    top = max([cell for cell in cells if isinstance(cell, int)], default=0)
    for cell in cells:
        text = shortened(cell, width) if isinstance(cell, str) else _bar(cell, top, width)
        space = " " * (width - _length(text, None))
        yield space + text if is_number else text + space


def _bar(count: int, top: int, width: int) -> str:
    """A bar, in steps of an eighth of a column; at least one step long unless the count is 0."""
    if not count or not width:
        return ""
    steps = max(1, round(count / top * width * len(_EIGHTHS)))
    full, rest = divmod(steps, len(_EIGHTHS))
    return ("█" * full + _EIGHTHS[rest]).rstrip()


def chart(
    counts: Iterable[tuple[str, int | None]], width: int = 80, *, total: int | None = None
) -> str:
    """
    A line of at most `width` columns for each label: its count, or `failed`, and a bar.

    Args:
        counts: Labels and counts; None means that the count failed.
        width: The length of the longest line.
        total: If given, each line also shows the count's share of it, such as 25.0%.
    """
    rows = [count_row(label, count, total) for label, count in counts]
    return table([""] * 4, rows, numbers=(1, 2), width=width).removeprefix("\n")


def count_row(
    label: str, count: int | Exception | None, total: int | None
) -> tuple[str, str, str, int]:
    """A label, its count, the count's share of the total, if that is known, and a bar."""
    if not isinstance(count, int):
        return label, cell(count), "", 0
    return label, cell(count), f"{count / total:.1%}" if total else "", count


def cell(count: int | Exception | None) -> str:
    """A count as a cell of a table; in place of a failed one, the error's name, or `failed`."""
    if isinstance(count, int):
        return f"{count:,}"
    return "failed" if count is None else type(count).__name__


# ---- notebooks -----------------------------------------------------------------------------------


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
    A question that suggests a known name with the same words, such as "Did you mean score?".

    Case and what separates the words don't matter, and each word may have a typo. It is empty for
    any other name, since a word or a prefix more can mean the opposite: "inactive" isn't "active".

    Args:
        name: The value that was written. Only text can resemble a name.
        known: The names.
        meanings: What to write for a name, if that isn't the name itself.
    """
    written = _words(name) if isinstance(name, str) else []
    similar = [each for each in known if written and _are_similar(written, _words(each))]
    if not similar:
        return ""
    best = min(similar, key=lambda each: "".join(_words(each)) != "".join(written))
    return f"Did you mean {shortened((meanings or {}).get(best, best))}?"


def _words(name: str) -> list[str]:
    """The words of a name in lower case: those of "isActive" are "is" and "active"."""
    return [word.casefold() for word in _WORD.findall(name)]


def _are_similar(name: list[str], other: list[str]) -> bool:
    """Whether two names differ at most in what separates their words, in plurals and in typos."""
    if "".join(name) == "".join(other):
        return True
    return len(name) == len(other) and all(map(_is_same_word, name, other))


def _is_same_word(word: str, other: str) -> bool:
    """Whether two words are equal but for a plural, a letter, or two letters that are swapped."""
    begin = _common_length(word, other)
    end = _common_length(word[begin:][::-1], other[begin:][::-1])
    here, there = word[begin : len(word) - end], other[begin : len(other) - end]
    if here + there == "s" and not end:
        return True
    if max(len(word), len(other)) < _SHORTEST:
        return word == other
    if here and there:
        return len(here) == len(there) == 1 or (len(here) == 2 and here == there[::-1])
    return len(here + there) <= 1 and begin > 0  # "typical" isn't "atypical"


def _common_length(text: str, other: str) -> int:
    return len([*takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))])
