"""The constants of the flow control: all of them are found, and can be tried with other values."""

from pathlib import Path

from support.constants import Constant, constants_in, constants_of

import galileo_sessions

SOURCE = '''
"""Waits 99 seconds."""

_WAIT = 30.0  # seconds
_LEAST, _MOST = 5, 10**9


def first(limit=7):
    """As many as 55."""
    return limit - 1 if limit else -0.85 * 2


def _default(settings):
    return min(12, settings.maximum)


class Limits:
    maximum: int = 256
    initial: int = _default
'''


def found(*, settings: bool) -> list[Constant]:
    """Those of the source above."""
    return [constant for constant in constants_in(SOURCE, "x.py") if constant.is_setting is settings]


def test_a_constant_is_each_number_in_the_code_but_0_1_and_2() -> None:
    """Whether it has a name or not; docstrings and comments don't count."""
    expected = [("_WAIT", 30.0), ("_LEAST", 5), ("_MOST", 10), ("_MOST", 9)]
    expected += [("def first(limit=7):", 7), ("return limit - 1 if limit else -0.85 * 2", 0.85)]
    assert expected == [(constant.name, constant.value) for constant in found(settings=False)]


def test_what_users_choose_is_a_setting() -> None:
    """The numbers of `Limits` and `Retry`, and of functions that only these use."""
    assert [12, 256] == [constant.value for constant in found(settings=True)]


def test_a_constant_is_replaced_in_its_place() -> None:
    """The rest of the code stays as it is."""
    constants = found(settings=False)
    assert SOURCE.replace("10**9", "10**4") == constants[3].replaced(SOURCE, 4)
    assert SOURCE.replace("30.0", "15.0") == constants[0].replaced(SOURCE, constants[0].halved_and_doubled()[0])


def test_shares_and_factors_stay_on_their_side_of_1() -> None:
    """Their distance from 1 is halved and doubled; other numbers are halved and doubled themselves."""
    wait, least, *_, share = found(settings=False)
    assert [(15.0, 60.0), (2, 10), (0.925, 0.7)] == [one.halved_and_doubled() for one in (wait, least, share)]


def test_the_flow_control_has_at_most_30_constants() -> None:
    """Numbers in flow, queue, policy and request, so that a reader can learn what each is for."""
    constants = [one for one in constants_of(Path(galileo_sessions.__file__).parent) if not one.is_setting]
    assert 30 >= len(constants), "\n".join(f"{one.file}:{one.line} {one.name}" for one in constants)
