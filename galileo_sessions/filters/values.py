"""
One value, strictly, as JSON will carry it.

Each function returns the value in the form that a filter holds, or raises a `FilterError`.
Subclasses such as a `StrEnum`'s members become plain `str`, `int` and `float`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from galileo_sessions.errors import FilterError, FilterTypeError, brief
from galileo_sessions.filters.kinds import is_missing

_SMALLEST, _LARGEST = (
    -(10**4_300) + 1,
    10**4_300 - 1,
)  # Python reads and writes no int of more than 4,300 digits as text
_HEX = "[0-9a-fA-F]"
UUID_TEXT = re.compile(f"(?:urn:uuid:)?{{?({_HEX}{{8}}(?:-?{_HEX}{{4}}){{3}}-?{_HEX}{{12}})}}?")


WEEK_TEXT = re.compile("[0-9]{4}-?W[0-9]{2}")
"""A week without a day, which Python reads as its Monday."""

T_co = TypeVar("T_co", covariant=True)


class Several(Protocol[T_co]):
    """
    A sequence for type checkers, but no lone `str`: what `str.__contains__` takes sets it apart.

    This is `SequenceNotStr` of the package useful-types.
    """

    def __contains__(self, value: object, /) -> bool: ...
    def __getitem__(self, index: int, /) -> T_co: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def __len__(self) -> int: ...
    def __reversed__(self) -> Iterator[T_co]: ...


def as_sequence(value: object) -> Sequence[Any] | None:
    """The value itself if it is a list or a tuple, else None."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None


def text(value: object) -> str:
    """Exactly a `str`."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise FilterTypeError(f"expected text, got {brief(value)}")


def text_or_texts(value: object) -> str | tuple[str, ...]:
    """A `str`, or a tuple of them from a list."""
    if type(value) is str:  # the most frequent first
        return value
    if isinstance(value, str):
        return text(value)
    items = as_sequence(value)
    if items is None:
        raise FilterTypeError(f"expected text or a list of text, got {brief(value)}")
    return tuple([text(item) for item in items])


def sendable(value: object) -> bool:
    """Whether UTF-8 can carry the value: text with a lone surrogate can't be sent."""
    if not isinstance(value, str) or value.isascii():
        return True
    return not any("\ud800" <= char <= "\udfff" for char in value)


def id_text(value: object) -> str:
    """An id as text, from a `UUID` or from text."""
    return text(str(value) if isinstance(value, UUID) else value)


def id_or_ids(value: object) -> str | tuple[str, ...]:
    """An id as text, or a tuple of them from a list."""
    items = as_sequence(value)
    return id_text(value) if items is None else tuple([id_text(item) for item in items])


def user_ids(value: object) -> tuple[str, ...] | None:
    """UUIDs as text, at least one, or None."""
    items = as_sequence(value)
    if items is None and value is not None:
        raise FilterTypeError(f"user_ids takes a list of UUIDs, got {brief(value)}")
    if items is not None and not items:
        raise FilterError("user_ids takes at least one UUID; leave it out to mean all members")
    return None if items is None else tuple([_user_id(id_text(item)) for item in items])


def _user_id(written: str) -> str:
    match = UUID_TEXT.fullmatch(written)
    if match is None:
        raise FilterError(f"user_ids: {brief(written)} is not a UUID such as 74aec44e-ec21-4c9f-a3e2-b2ab2b81b4db")
    return written if len(written) == 36 else str(UUID(match[1]))


def number(value: object) -> int | float:
    """
    Exactly an `int` or a `float` that JSON can carry.

    Raises:
        FilterError: for NaN, an infinity, or an int of more than 4,300 digits.
        FilterTypeError: for anything else, `bool` included.
    """
    if type(value) is int or type(value) is float:
        exact: int | float = value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterTypeError(f"expected a number, got {brief(value)}")
    else:
        exact = float(value) if isinstance(value, float) else int(value)
    if not _SMALLEST <= exact <= _LARGEST:  # which NaN isn't either
        if type(exact) is int:
            raise FilterError("a number of more than 4,300 digits can't be sent")
        raise FilterError(f"{exact} is not a number that JSON can carry")
    return exact


def number_or_numbers(value: object) -> int | float | tuple[int | float, ...]:
    """A number, or a tuple of them from a list."""
    items = None if type(value) in (int, float) else as_sequence(value)
    return number(value) if items is None else tuple([number(item) for item in items])


def boolean(value: object) -> bool:
    """Exactly True or False."""
    if value is True or value is False:
        return value
    raise FilterTypeError(f"expected True or False, got {brief(value)}")


def instant(value: object) -> datetime:
    """
    An aware `datetime` with a fixed offset of whole minutes, from one or from ISO 8601 text with an offset.

    Raises:
        FilterError: without an offset, or with more than six digits after the second's point.
        FilterTypeError: for anything but a `datetime` or text.
    """
    if is_missing(value):
        raise FilterTypeError(f"expected a datetime or ISO 8601 text, got {brief(value)}")
    if isinstance(value, datetime):
        moment = value
        if getattr(moment, "nanosecond", 0):  # of pandas' Timestamp
            raise FilterError(f"{brief(str(value))} is finer than a microsecond, which would be lost")
    elif isinstance(value, str):
        moment = parse_instant(value)
    else:
        raise FilterTypeError(f"expected a datetime or ISO 8601 text, got {brief(value)}")
    offset = moment.utcoffset()
    if offset is None:
        raise FilterError(
            f"{brief(str(value))} has no UTC offset, so it names no instant. "
            "Write one at its end, as in 2026-01-31T09:00:00+00:00"
        )
    try:
        if offset % timedelta(minutes=1):  # RFC 3339 knows no seconds here; some zones before 1900 have them
            return moment.astimezone(UTC)
    except OverflowError:
        raise FilterError(f"{brief(str(value))} is out of range: years go from 1 to 9999") from None
    return datetime.combine(moment.date(), moment.time(), timezone(offset)).replace(fold=0)


def parse_instant(written: str) -> datetime:
    """
    What ISO 8601 text says, with or without an offset.

    Raises:
        FilterError: if it is none, or has more than six digits after the second's point.
    """
    try:
        moment = datetime.fromisoformat(written.upper())
    except ValueError:
        raise FilterError(f"{brief(written)} is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00") from None
    if re.search(r"[.,]\d{6}0*[1-9]", written):
        raise FilterError(f"{brief(written)} is finer than a microsecond, which would be lost")
    return moment
