"""
Redaction: a secret that a server repeats is taken out of texts, also where it was encoded on its way.

Only characters other than ASCII letters, digits and `-_.~` are looked for in other spellings than their own, for these
are what encoders change: percent-encoding, JSON, HTML, and the reprs of Python.
The whole secret is also looked for in hexadecimal and in Base64, by itself or inside something longer.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from html.entities import codepoint2name

from galileo_sessions.client.secret import Secret

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_PARTS = re.compile(r"[A-Za-z0-9_.~-]+|\\+|.", re.DOTALL)
_SHORT_ESCAPES = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}  # of JSON, and mostly of Python
_ESCAPE = r"\\{1,8}+"  # bounded, as all repetitions here are, so that a search takes linear time
_ENCODED_FROM = 6  # bytes: of shorter secrets, hexadecimal and Base64 could be a part of anything


def redactor(secrets: Iterable[Secret[str]]) -> Callable[[str], str]:
    """A function that replaces each of the secrets in a text by `***`."""
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    pattern = re.compile("|".join(sorted(forms, key=lambda form: (-len(form), form))) or "(?!)")
    return lambda text: pattern.sub("***", text)


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions for the secret."""
    yield "".join(map(_spelled, _PARTS.findall(secret)))
    raw = secret.encode()
    if len(raw) >= _ENCODED_FROM:
        yield raw.hex()
        yield raw.hex().upper()
        yield from (_base64(raw, before) for before in range(3))


def _spelled(part: str) -> str:
    """A part of a secret in each of its spellings: plain text, backslashes, or one other character."""
    if _PLAIN.fullmatch(part):
        return re.escape(part)
    encoded = _encoded(part[0])
    if part[0] == "\\":  # which each escaping doubles; not possessive, for the next character may be escaped too
        return rf"(?:\\{{{len(part)},{8 * len(part)}}}|(?:{encoded}){{{len(part)}}})"
    literal = re.escape(part)
    short = _SHORT_ESCAPES.get(part, literal)
    lost = "|\ufffd" if part > "\x7f" else "|[+]" if part == " " else ""  # what decoding, or a form, makes of it
    return rf"(?:{literal}|{_ESCAPE}(?:{literal}|{short})|{encoded}{lost})"


def _encoded(character: str) -> str:
    """The ways to encode one character: as JSON and Python, URLs, and HTML do."""
    code = ord(character)
    units = character.encode("utf-16-be").hex()
    escapes = [rf"{_ESCAPE}u".join(["", *(_any_case(units[at : at + 4]) for at in range(0, len(units), 4))])]
    escapes.append(rf"{_ESCAPE}U{_any_case(f'{code:08x}')}")
    if code < 256:
        escapes.append(rf"{_ESCAPE}x{_any_case(f'{code:02x}')}")
    percent = "".join(f"%{_any_case(f'{byte:02x}')}" for byte in character.encode())
    names = {codepoint2name.get(code), "apos" if character == "'" else None} - {None}
    entities = "|".join([f"#0{{0,6}}{code}", f"#[xX]0{{0,6}}{_any_case(f'{code:x}')}", *sorted(map(str, names))])
    return "|".join([*escapes, percent, f"&(?:amp;){{0,3}}(?:{entities});"])


def _any_case(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _base64(raw: bytes, before: int) -> str:
    """What Base64, also that for URLs, makes of `raw` after so many other bytes; the ends mix with what is beside."""
    whole = (before + len(raw)) * 8 // 6
    text = b64encode(bytes(before) + raw).decode()[(0, 2, 3)[before] : whole]
    form = text.replace("+", r"(?:[+-]|%2[bB])").replace("/", r"(?:\\*/|_|%2[fF])")
    rest = (before + len(raw)) * 8 % 6
    return form + (r"[\w+/-]?(?:=|%3[dD]){0,2}" if rest else "")
