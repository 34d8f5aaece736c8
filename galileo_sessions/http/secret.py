"""Secrets: values that are used but never shown, and how to remove them from what a server sends back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast, final
from urllib.parse import quote, quote_plus

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
        """The value itself. Use it where it is needed, but not in a local variable, which tracebacks can show."""
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
    return value if isinstance(value, Secret) else Secret(value)


def unwrapped(argument: Secret[T | Secret[T] | None]) -> Secret[T] | None:
    """A hidden argument, which can be a Secret itself, as one Secret; None if nothing was given."""
    value = argument.reveal()
    if value is None or isinstance(value, Secret):
        return cast("Secret[T] | None", value)
    return Secret(value)


def forms_of(secrets: Iterable[Secret[str]]) -> Secret[list[bytes]]:
    """What to look for: each secret as it is, percent-encoded, and as JSON writes it."""
    forms = {form.encode() for secret in secrets for form in _forms(secret.reveal())}
    return Secret(sorted(forms, key=len, reverse=True))  # longest first: one secret can begin with another


def _forms(text: str) -> list[str]:
    in_json = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    return [text, quote(text), quote(text, safe=""), quote_plus(text), *in_json]


def redact(data: bytes, forms: Secret[list[bytes]]) -> bytes:
    """The data with `***` in place of each form of a secret."""
    for form in forms.reveal():
        data = data.replace(form, b"***")
    return data
