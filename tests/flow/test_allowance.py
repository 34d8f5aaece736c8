"""The allowance: what a RateLimit header delays, for how long, and when it is ignored."""

from math import inf

import pytest

from galileo_sessions.flow.allowance import Allowance


def told(remaining: int, seconds: float = 60.0) -> Allowance:
    """An allowance of which the answer to request 1 told at 0.0."""
    allowance = Allowance()
    allowance.ended(0.0, 1, (remaining, seconds), passed=True)
    return allowance


def wrong() -> Allowance:
    """One whose header says that nothing remains, although a probe was answered."""
    allowance = told(0)
    allowance.sent(10.0, 0, 2)
    assert allowance.ended(10.1, 2, (0, 60.0), passed=True)
    return allowance


def test_those_under_way_may_need_all_that_remains() -> None:
    """The service had not seen them when it answered; each that ends leaves one less."""
    allowance = told(3)
    assert [0.0, 60.0] == [allowance.wait(0.0, in_flight, inf) for in_flight in (2, 3)]
    allowance.ended(0.0, 2, None, passed=True)
    assert [0.0, 60.0] == [allowance.wait(0.0, in_flight, inf) for in_flight in (1, 2)]


@pytest.mark.parametrize(("patience", "longest"), [(5.0, 5.0), (90.0, 10.0)])
def test_a_hint_delays_a_single_count_for_10_s_or_its_patience(patience: float, longest: float) -> None:
    """They begin when the header says so first, whatever answers come later."""
    allowance = told(0)
    assert longest == allowance.wait(0.0, 0, patience)
    allowance.ended(4.0, 2, (0, 60.0), passed=True)
    assert [longest - 4.0, 0.0] == [allowance.wait(now, 0, patience) for now in (4.0, longest)]
    assert [60.0, 0.0] == [allowance.seconds(now, 0) for now in (4.0, 64.5)]


def test_once_a_refusal_has_come_with_a_header_it_delays_a_count_for_its_patience() -> None:
    """Also where a later answer to an earlier request says the same."""
    allowance = told(0)
    allowance.ended(1.0, 2, (0, 60.0), passed=False)
    allowance.ended(1.0, 3, (0, 60.0), passed=True)
    assert [60.0, 40.0] == [allowance.wait(1.0, 0, patience) for patience in (90.0, 40.0)]


def test_a_header_that_a_probe_has_proved_wrong_is_ignored() -> None:
    """That is: the probe was answered, and its answer says the same again."""
    assert 0.0 == wrong().wait(11.0, 100, inf)


def test_a_refusal_confirms_a_header_that_was_ignored() -> None:
    """From then on it holds again."""
    allowance = wrong()
    allowance.ended(20.0, 3, (0, 60.0), passed=False)
    assert [60.0, 30.0] == [allowance.wait(20.0, 0, patience) for patience in (inf, 30.0)]


def test_a_refusal_without_a_header_makes_the_next_header_a_hint() -> None:
    """A header that was ignored isn't confirmed by it, so it delays a single count for 10 s at most."""
    allowance = wrong()
    allowance.ended(20.0, 3, None, passed=False)
    allowance.ended(80.0, 4, (0, 60.0), passed=True)
    assert [60.0, 10.0] == [allowance.wait(80.0, 0, patience) for patience in (inf, 90.0)]
