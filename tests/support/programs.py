"""Programs run as users write them, and how they are refused."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import galileo_sessions
from support.sockets import PROJECT

USER = "0b7a2f0e-5d4c-4b3a-9f1e-2d3c4b5a6f70"


class Level(IntEnum):
    """An enumeration of numbers."""

    LOW = 1
    HIGH = 3


class Mood(StrEnum):
    """An enumeration of text."""

    GOOD = "good"
    BAD = "bad"


class Berlin(datetime.tzinfo):
    """The clock of Berlin in 2026, because not every machine has time zone data."""

    def utcoffset(self, at: datetime.datetime | None) -> datetime.timedelta:
        """Two hours in summer, else one."""
        summer = at is not None and datetime.datetime(2026, 3, 29, 2) <= at.replace(tzinfo=None) < datetime.datetime(  # noqa: DTZ001
            2026, 10, 25, 3
        )
        return datetime.timedelta(hours=2 if summer else 1)

    def dst(self, at: datetime.datetime | None) -> datetime.timedelta:
        """What the offset is more than in winter."""
        return self.utcoffset(at) - datetime.timedelta(hours=1)

    def tzname(self, _: datetime.datetime | None) -> str:
        """The zone's name."""
        return "Berlin"


STAR_IMPORT = {name: getattr(galileo_sessions, name) for name in galileo_sessions.__all__}
NAMES = STAR_IMPORT | {
    "UTC": datetime.UTC,
    "UUID": UUID,
    "Berlin": Berlin,
    "Decimal": Decimal,
    "Level": Level,
    "Mood": Mood,
    "PROJECT": PROJECT,
    "USER": USER,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "np": np,
    "timedelta": datetime.timedelta,
    "timezone": datetime.timezone,
}


def run(program: str, **names: object) -> Any:
    """What an expression gives, with the package's names, the usual ones and `names` at hand."""
    return eval(program, NAMES | names)  # each program stands in a test


def check_message(message: str) -> None:
    """A message fits a screen and says nothing of how the package is built."""
    assert 0 < len(message) <= 700
    assert not re.search(r"galileo_sessions\.[a-z]|attrs|Traceback", message)  # "cattrs" has "attrs" in it


def refused(program: str, error: type[Exception], **names: object) -> str:
    """The message with which a program is refused by exactly this error."""
    with pytest.raises(error) as caught:
        run(program, **names)
    assert error is type(caught.value)
    check_message(str(caught.value))
    return str(caught.value)


COLUMNS = ["Col", "Col.text", "Col.number", "Col.date", "Col.boolean", "Col.collection", "Col.id"]
"""The programs that make a column of each type, without the id."""

Refusals = list[tuple[str, type[Exception], list[str]]]
"""Programs, the errors that refuse them, and words of the messages."""


def refusal_ids(refusals: Refusals) -> list[str]:
    """Each program as ASCII, so that pytest can print it."""
    return [ascii(program) for program, _, _ in refusals]


class Silent:
    """A value that can't even be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested_list(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value
