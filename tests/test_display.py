"""How values are shown in messages."""

from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support.programs import Silent, nested_list

from galileo_sessions import Col
from galileo_sessions.display import brief

LOOP: list[Any] = []
LOOP.append(LOOP)
VALUES: dict[str, Any] = {
    "no repr": Silent(),
    "no reprs": {Silent(): [Silent()] * 9},
    "int": 10**1_000_000,
    "numpy": np.zeros((1000, 1000)),
    "fraction": Fraction(1, 10**10_000),
    "text": "\ud800" * 1_000_000,
    "bytes": b"\0" * 1_000_000,
    "list": ["a" * 1_000] * 1_000_000,
    "tuple": (("a" * 1_000,) * 9,) * 9,
    "121 characters": ("a" * 27, *["a" * 26] * 3),
    "dict": {i: {i: "a" * 1_000} for i in range(10_000)},
    "unsortable": {"a", 1, None, (2,)},
    "deep": nested_list(100_000),
    "loop": LOOP,
    "filter": Col("a").one_of(["a" * 1_000] * 1_000),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_value_is_shown_in_at_most_120_characters(value):
    text = brief(value)
    assert 0 < len(text) <= 120
    assert "\n" not in text or isinstance(value, np.ndarray)


@pytest.mark.parametrize(
    "value",
    [None, True, -1.5, 2**198, "it's", b"x", ["a", 1], {"a": [1]}, ("x",), {1, 2}, date(2026, 1, 31), Col("a")],
    ids=repr,
)
def test_a_small_value_is_shown_as_its_repr(value):
    assert repr(value) == brief(value)


def test_a_number_that_python_does_not_print_is_described_without_its_address():
    assert brief(10**10_000) == "<int too long to show>"
    assert brief([10**10_000]) == "<list too long to show>"
