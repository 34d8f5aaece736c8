"""Programs run as users write them, and how they are refused."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from functools import reduce
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import galileo_sessions
from support.sockets import PROJECT

USER = "0b7a2f0e-5d4c-4b3a-9f1e-2d3c4b5a6f70"

Level = IntEnum("Level", {"LOW": 1, "HIGH": 3})
Mood = StrEnum("Mood", ["GOOD", "BAD"])


class Berlin(datetime.tzinfo):
    """The clock of Berlin in 2026, because not every machine has time zone data."""

    def utcoffset(self, at: datetime.datetime | None) -> datetime.timedelta:
        """Two hours in summer, else one."""
        is_summer = at is not None and "2026-03-29T02:00" <= at.replace(tzinfo=None).isoformat() < "2026-10-25T03:00"
        return datetime.timedelta(hours=2 if is_summer else 1)

    def dst(self, at: datetime.datetime | None) -> datetime.timedelta:
        return self.utcoffset(at) - datetime.timedelta(hours=1)

    def tzname(self, _: datetime.datetime | None) -> str:
        return "Berlin"


STAR_IMPORT = {name: getattr(galileo_sessions, name) for name in galileo_sessions.__all__}
NAMES = STAR_IMPORT | {"UTC": datetime.UTC, "PROJECT": PROJECT, "USER": USER, "np": np}
NAMES |= {
    known.__name__: known for known in (UUID, Berlin, Decimal, Fraction, Level, Mood, datetime.date, datetime.datetime)
}
NAMES |= {"timedelta": datetime.timedelta, "timezone": datetime.timezone}


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


class Silent:
    """A value that can't even be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested_list(levels: int) -> list[Any]:
    """A list in a list in a list."""
    return reduce(lambda inner, _: [inner], range(levels), list[Any]())
