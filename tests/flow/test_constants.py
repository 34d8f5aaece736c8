"""The constants of the flow control: all of them are found, and can be tried with other values."""

from pathlib import Path

from support.constants import constants_in, constants_of

import galileo_sessions

SOURCE = '''
"""Waits 99 seconds."""

_WAIT = 30.0  # seconds
_LEAST, _MOST = 5, 10**9


def first(limit=7):
    """As many as 55."""
    return limit - 1 if limit else -0.85 * 2
'''
FOUND = constants_in(SOURCE, "x.py")


def test_a_constant_is_each_number_in_the_code_but_0_1_and_2() -> None:
    """Whether it has a name or not; docstrings and comments don't count."""
    expected = [("_WAIT", 30.0), ("_LEAST", 5), ("_MOST", 10), ("_MOST", 9)]
    expected += [("def first(limit=7):", 7), ("return limit - 1 if limit else -0.85 * 2", 0.85)]
    assert expected == [(constant.name, constant.value) for constant in FOUND]


def test_a_constant_is_replaced_in_its_place_by_half_and_twice() -> None:
    """Of a share or a factor, the distance from 1 is halved and doubled."""
    wait, least, *_, power, _, share = FOUND
    assert SOURCE.replace("10**9", "10**4") == power.replaced(SOURCE, 4)
    assert [(15.0, 60.0), (2, 10), (0.925, 0.7)] == [one.halved_and_doubled() for one in (wait, least, share)]


def test_the_flow_control_has_at_most_30_constants() -> None:
    """Numbers in flow, policy and request, so that a reader can learn what each is for."""
    constants = constants_of(Path(galileo_sessions.__file__).parent)
    assert 0 < len(constants) <= 30, "\n".join(f"{one.file}:{one.line} {one.name}" for one in constants)
