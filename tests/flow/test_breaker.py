"""The circuit breaker: when it opens, how long its pauses are, what closes it, and when waiting is hopeless."""

import math
from math import inf

import pytest

from galileo_sessions.flow.breaker import Breaker


def opened(first: int = 1) -> Breaker:
    """A breaker that eight failures have opened at 0.0."""
    breaker = Breaker()
    for number in range(first, first + 8):
        breaker.failed(0.0, number, None)
    return breaker


def probe(breaker: Breaker, now: float, number: int) -> float:
    """Waits for the next probe and sends it; returns when."""
    at = now + breaker.wait(now, 0)
    breaker.sent(at, number)
    return at


def probe_in_vain(breaker: Breaker, until: float) -> float:
    """Sends a probe whenever one may be sent, and lets each fail; returns when the first one after `until` did."""
    now, number = 0.0, 9
    while now <= until:
        now, number = probe(breaker, now, number), number + 1
        breaker.failed(now, number - 1, None)
    return now


def test_an_answer_ends_the_row_of_what_was_sent_before_it() -> None:
    """Also if the failures before it come back later."""
    breaker = Breaker()
    for number in range(7):
        breaker.failed(0.0, number, None)
    breaker.passed(0.0, 8)
    assert not breaker.failed(0.0, 7, None)
    assert not any(breaker.failed(0.0, number, None) for number in range(9, 16))


def test_an_answer_to_what_was_sent_before_the_failures_closes_nothing() -> None:
    """It left the service before they did, or was only slow."""
    breaker = opened(first=2)
    assert not breaker.passed(1.0, 1)
    assert breaker.is_open


def test_a_cancelled_request_does_not_end_a_row() -> None:
    """It says nothing about the service."""
    breaker = Breaker()
    for number in range(7):
        breaker.failed(0.0, number, None)
    breaker.released(7)
    assert breaker.failed(0.0, 8, None)


def test_one_probe_at_a_time_is_sent_after_pauses_of_a_quarter_of_the_time_so_far() -> None:
    """They grow from 0.1 to 3 s."""
    breaker, now, pauses = opened(), 0.0, list[float]()
    for number in range(9, 40):
        pauses.append(breaker.wait(now, 0))
        now = probe(breaker, now, number)
        breaker.failed(now, number, None)
    assert (0.1, 3.0) == (pytest.approx(pauses[1]), pytest.approx(pauses[-1]))
    assert pauses[12] == pytest.approx(0.25 * sum(pauses[:12]))


@pytest.mark.parametrize(("retry_after", "pause"), [(30.0, 30.0), (0.4, 0.4), (1.0, 0.1), (0.0, 0.1), (None, 0.1)])
def test_the_probes_retry_after_is_the_pause(retry_after: float | None, pause: float) -> None:
    """Unless it is 1, which is often a rounded-up 0.01."""
    breaker = opened()
    at = probe(breaker, 0.0, 9)
    breaker.failed(at, 9, retry_after)
    assert pause == pytest.approx(breaker.wait(at, 0))


def test_a_cancelled_probe_frees_the_next() -> None:
    """The next one is sent at once."""
    breaker = opened()
    at = probe(breaker, 0.0, 9)
    breaker.released(9)
    assert 0.0 == breaker.wait(at, 0)


def test_once_it_has_closed_answers_are_the_clock() -> None:
    """No more than twice as many requests are under way as have succeeded since."""
    breaker = opened()
    for succeeded in (1, 2, 3):
        breaker.passed(1.0, 8 + succeeded)
        assert [0.0, math.inf] == [breaker.wait(1.0, 2 * succeeded - 1), breaker.wait(1.0, 2 * succeeded)]


def test_an_outage_does_not_lengthen_the_next_one() -> None:
    """The first pause is as short as ever, also if a Retry-After was cut short by a success."""
    breaker = opened()
    breaker.failed(0.0, 9, 60.0)
    assert 60.0 == breaker.wait(0.0, 0)
    breaker.passed(40.0, 10)
    for number in range(11, 19):
        breaker.failed(41.0, number, None)
    assert 0.1 == pytest.approx(breaker.wait(41.0, 0))


def test_waiting_is_hopeless_once_all_has_failed_for_longer_than_patience() -> None:
    """Until the next probe is due: it may succeed."""
    breaker = opened()
    now = probe_in_vain(breaker, 20.0)
    assert breaker.is_hopeless(now, 20.0)
    assert not breaker.is_hopeless(now, 30.0)
    assert not breaker.is_hopeless(now, 20.0, since=5.0)  # when the patience began
    at = now + breaker.wait(now, 0)
    assert not breaker.is_hopeless(at, 20.0)
    breaker.sent(at, 1_000)
    assert not breaker.is_hopeless(at, 20.0)


@pytest.mark.parametrize("patience", [90.0, 1.0])
def test_an_address_where_nothing_has_ever_answered_is_given_up_after_4_s(patience: float) -> None:
    """Whatever the patience, unless that is less."""
    breaker = opened()
    now = probe_in_vain(breaker, min(4.0, patience))
    assert not breaker.is_hopeless(now, 90.0)
    breaker.is_unreachable = True
    assert breaker.is_hopeless(now, patience)


@pytest.mark.parametrize("until", [1.0, 20.0])
def test_a_probe_that_hangs_is_waited_for_for_as_long_as_the_breaker_has_been_open(until: float) -> None:
    """At least 3 s; then the next one is sent."""
    breaker = opened()
    at = probe(breaker, probe_in_vain(breaker, until), 1_000)
    assert pytest.approx(max(3.0, at)) == breaker.wait(at, 1)


@pytest.mark.parametrize(
    ("closed_at", "forgets", "quota"),
    [(0.2, False, inf), (0.3, False, 1 / 0.3), (0.9, False, 1 / 0.9), (0.9, True, inf)],
)
def test_one_request_after_a_wait_is_a_quota(closed_at: float, forgets: bool, quota: float) -> None:
    """A fifth of a second is none, nor is a time after which nobody waited any more; see quotas in `rate`."""
    breaker = opened()
    breaker.sent(closed_at, 9)
    breaker.passed(closed_at, 9)
    if forgets:
        breaker.waited = 0.0
    breaker.failed(closed_at + 0.1, 10, None)
    assert pytest.approx(quota) == breaker.quota
    breaker.passed(closed_at + 0.1, 11)
    breaker.failed(closed_at + 0.1, 12, None)
    assert breaker.quota == inf


@pytest.mark.parametrize(("reopened_at", "quota"), [(1.0, 20.0), (2.5, inf)])
def test_what_got_through_before_it_opened_again_is_a_quota(reopened_at: float, quota: float) -> None:
    """If that was within two seconds: then a window was used up."""
    breaker = opened()
    breaker.sent(0.5, 9)
    for number in range(9, 29):
        breaker.passed(0.5, number)
    for number in range(29, 37):
        assert breaker.quota == inf
        breaker.failed(reopened_at, number, None)
    assert pytest.approx(quota) == breaker.quota


def test_time_in_which_nobody_waits_does_not_count() -> None:
    """Patience begins with the next probe, and so do the pauses."""
    breaker = opened()
    breaker.sent(1_000.0, 9)
    assert 0.0 == breaker.seconds_open(1_000.0)
    breaker.failed(1_000.0, 9, None)
    assert pytest.approx(0.1) == breaker.wait(1_000.0, 0)


def test_patience_is_counted_from_the_first_failure_of_the_row() -> None:
    """Not from when it opened, nor from an earlier row; late failures change nothing."""
    breaker = Breaker()
    breaker.failed(1.0, 2, None)
    breaker.passed(4.0, 3)
    for number in range(4, 12):
        assert 0.0 == breaker.seconds_open(100.0)
        breaker.failed(10.0 * number, number, None)
    breaker.failed(115.0, 1, None)
    assert 80.0 == breaker.seconds_open(120.0)
