"""Secrets: values that can be used but aren't shown, wherever an object, a frame or a traceback is printed."""

from __future__ import annotations

import os
from typing import Any, Generic, TypeVar, cast, final

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@final
class Secret(Generic[T_co]):
    """
    A value that is used but not shown: its repr, its text and its formats are `***`.

    It has no length, no items and no operators, so that no part of it can be shown either.
    A pickle of it holds the value, for another process may need it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        self._value = value

    def reveal(self) -> T_co:
        """The value itself. Use it where it is needed, and give it no name: tracebacks show local variables."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine: object = self._value
        return mine == cast("Secret[object]", other).reveal()

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (self._value,)


def hide(value: T | Secret[T]) -> Secret[T]:
    """The value as a `Secret`, if it isn't one. It never raises, for its caller still holds the plain value."""
    return cast("Secret[T]", value) if isinstance(value, Secret) else Secret(value)


def from_environment(name: str) -> Secret[str] | None:
    """A variable of the environment, unless it is empty; no frame holds all of it, which tracebacks would show."""
    return Secret(os.environ[name]) if os.environ.get(name) else None
