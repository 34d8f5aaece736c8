"""
Secrets: values that are used but never shown, and how to remove them from what a server sends back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast, final

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@final
class Secret(Generic[T_co]):
    """
    A value that is used but not shown: its repr, its text and its formats are `***`.

    It has no length, no items and no operators, so that no part of the value can be shown either.
    Its pickle holds the value, because another process may need it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        self._value = value

    def reveal(self) -> T_co:
        """
        The value itself. Use it where it is needed, but not in a local variable, which tracebacks
        can show.
        """
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return cast("object", self._value) == cast("Secret[object]", other).reveal()

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (self._value,)


def hidden(value: str | Secret[str]) -> Secret[str]:
    """The text as a Secret, unless it is one already."""
    if isinstance(value, Secret):
        return value
    return Secret(value)


def unwrapped(argument: Secret[T | Secret[T] | None]) -> Secret[T] | None:
    """A hidden argument, which can be a Secret itself, as one Secret; None if nothing was given."""
    value = argument.reveal()
    if value is None or isinstance(value, Secret):
        return cast("Secret[T] | None", value)
    return Secret(value)


# ---- how others write them -----------------------------------------------------------------------

_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(
    rf"%{_HEX}{{2}}"  # of a URL
    rf"|\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"  # of JSON, for two characters
    rf"|\\u{_HEX}{{4}}|\\[\"\\/bfnrt]"  # of JSON
    r"|&#?\w{1,8};".encode()  # of HTML
)
# A part of a URL in JSON in a page has three writers, and each can write a backslash as two.
_ROUNDS = 8
_SHORT = 4  # bytes; nothing that is shorter is looked for once it is decoded


def spellings_of(secrets: Iterable[Secret[str]]) -> Secret[set[bytes]]:
    """
    What to look for: each secret, and what `redact` makes of it where it contains escapes itself.
    """
    spellings = set[bytes]()
    for secret in secrets:
        written, *decoded = [
            text for text, _ in _rounds(secret.reveal().encode("utf-8", "replace"))
        ]
        spellings.add(written)
        spellings.update([text for text in decoded if len(text) >= _SHORT])
    return Secret(spellings - {b""})


def redact(data: bytes, spellings: Secret[set[bytes]]) -> bytes:
    r"""
    The data with `***` in place of each secret, however others spelled it.

    Writers differ in which characters they escape, and how: a slash can be `/`, `%2F`, `%2f`,
    `%252F`, `\/`, `\u002f` or `&#x2F;`. So the data is decoded, up to seven times, and what then
    equals a secret is replaced where it came from; all else keeps its bytes. With the secret
    `a/b c`:

    * `x=a%2Fb+c&y=1` becomes `x=***&y=1`: a space can be a plus, as in a form.
    * `A/B C` stays: case counts, except in escapes. So does `a/b`, a part of the secret.
    * `xa/b cx` becomes `x***x`: a secret is replaced within a word, too.
    * Secrets that overlap or touch, such as `abc` and `bcd` in `abcd`, become one `***`.
    """
    spans: list[tuple[int, int]] = []
    for decoded, starts in _rounds(data):
        for spelling in spellings.reveal():
            places = [found.span() for found in re.finditer(re.escape(spelling), decoded)]
            spans += [(starts[first], starts[end]) for first, end in places]
    kept = bytearray()
    done = 0
    for start, end in sorted(spans):
        if start > done or not kept:
            kept += data[done:start] + b"***"
        done = max(done, end)
    return bytes(kept) + data[done:]


def _rounds(data: bytes) -> Iterator[tuple[bytes, Sequence[int]]]:
    """
    The data, and what it is after each round of decoding, with where each byte and the end came
    from.
    """
    starts: Sequence[int] = range(len(data) + 1)
    for _ in range(_ROUNDS):
        yield data.replace(b" ", b"+"), starts  # as in a form
        decoded = bytearray()
        moved: list[int] = []
        done = 0
        for found in _ESCAPE.finditer(data):
            start, end = found.span()
            character = _unescaped(found[0])
            decoded += data[done:start] + character
            moved += [*starts[done:start], *[starts[start]] * len(character)]
            done = end
        if not done:
            return
        data = bytes(decoded) + data[done:]
        starts = [*moved, *starts[done:]]


@lru_cache  # each is one character, so that no secret is kept
def _unescaped(escape: bytes) -> bytes:
    """The character that an escape stands for."""
    from html import unescape  # noqa: PLC0415  # few programs need it

    if escape.startswith(b"%"):
        return bytes.fromhex(escape[1:].decode())
    if escape.startswith(b"&"):
        return unescape(escape.decode()).encode()
    text: str = json.loads(b'"%b"' % escape)
    return text.encode("utf-8", "replace")
