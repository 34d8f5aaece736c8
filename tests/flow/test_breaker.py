"""The circuit breaker: when it opens, how long its pauses are, and what closes it."""

import math

import pytest

from galileo_sessions.client.flow.breaker import CircuitBreaker


def opened(first: int = 1, now: float = 0.0) -> CircuitBreaker:
    """A breaker that eight failures have opened."""
    breaker = CircuitBreaker()
    for number in range(first, first + 8):
        breaker.record_failure(now, number, None)
    return breaker


def probe(breaker: CircuitBreaker, now: float, number: int) -> float:
    """Waits for the next probe and sends it; returns when."""
    at = now + breaker.wait(now)
    breaker.record_sent(at, number)
    return at


def test_eight_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker()
    assert [False] * 7 + [True] == [breaker.record_failure(0.0, number, None) for number in range(8)]
    assert breaker.is_open
    assert 0.1 == breaker.wait(0.0)


def test_a_success_ends_the_row_and_what_says_nothing_does_not() -> None:
    breaker = CircuitBreaker()
    for number in range(7):
        breaker.record_failure(0.0, number, None)
    breaker.record_success(0.0, 7)
    for number in range(8, 15):
        breaker.record_failure(0.0, number, None)
    assert not breaker.is_open
    breaker.record_release(15)
    breaker.record_failure(0.0, 16, None)
    assert breaker.is_open


def test_a_success_ends_the_row_of_what_was_sent_before_it_though_that_comes_later() -> None:
    breaker = CircuitBreaker()
    for number in range(7):
        breaker.record_failure(0.0, number, None)
    breaker.record_success(0.0, 8)
    assert not breaker.record_failure(0.0, 7, None)


def test_requests_whose_answers_are_on_their_way_end_a_row() -> None:
    """A service that refuses every second request is alive, though refusals come back first."""
    breaker = CircuitBreaker()
    for number in range(0, 40, 2):
        breaker.record_failure(0.0, number, None)
    assert not breaker.is_open


def test_one_probe_at_a_time_is_sent_after_pauses_of_a_quarter_of_the_time_so_far() -> None:
    breaker, now, pauses = opened(), 0.0, list[float]()
    for number in range(9, 40):
        pauses.append(breaker.wait(now))
        now = probe(breaker, now, number)
        assert math.inf == breaker.wait(now)
        breaker.record_failure(now, number, None)
        assert 0.0 == breaker.wait(now + breaker.wait(now))
    assert (0.1, 3.0) == (pytest.approx(pauses[1]), pytest.approx(pauses[-1]))
    assert pauses[12] == pytest.approx(0.25 * sum(pauses[:12]))


def test_the_first_success_closes_it_at_once() -> None:
    breaker = opened()
    assert breaker.record_success(0.5, 9)
    assert (False, 0.0, 0.0) == (breaker.is_open, breaker.seconds_open(1.0), breaker.wait(1.0))


def test_a_success_that_was_sent_before_the_failures_does_not_close_it() -> None:
    breaker = opened(first=2)
    assert not breaker.record_success(0.5, 1)
    assert breaker.is_open


@pytest.mark.parametrize(("retry_after", "pause"), [(30.0, 30.0), (0.4, 0.4), (1.0, 0.1), (0.0, 0.1), (None, 0.1)])
def test_the_probes_retry_after_is_the_pause_unless_it_may_mean_milliseconds(
    retry_after: float | None, pause: float
) -> None:
    breaker = opened()
    at = probe(breaker, 0.0, 9)
    breaker.record_failure(at, 9, retry_after)
    assert pause == pytest.approx(breaker.wait(at))


def test_a_late_retry_after_prolongs_the_pause_and_frees_no_second_probe() -> None:
    breaker = opened(first=2)
    at = probe(breaker, 0.0, 10)
    breaker.record_failure(at, 1, 5.0)
    assert pytest.approx(5.0) == breaker.wait(at)
    assert math.inf == breaker.wait(at + 5.1)
    breaker.record_failure(at, 0, None)
    assert pytest.approx(5.0) == breaker.wait(at)  # nothing shortens it


def test_a_cancelled_probe_frees_the_next() -> None:
    breaker = opened()
    at = probe(breaker, 0.0, 9)
    breaker.record_release(9)
    assert 0.0 == breaker.wait(at)


def test_after_a_quota_the_first_pause_is_as_long_as_the_last_wait() -> None:
    breaker = opened()
    breaker.record_success(40.0, 9)
    for number in range(10, 18):
        breaker.record_failure(41.0, number, None)
    assert 40.0 == breaker.wait(41.0)


def test_a_pause_that_a_success_cut_short_is_forgotten() -> None:
    breaker = opened()
    breaker.record_failure(0.0, 9, 60.0)
    assert 60.0 == breaker.wait(0.0)
    assert breaker.record_success(1.0, 10)
    for number in range(11, 19):
        breaker.record_failure(10.0, number, None)
    assert 0.1 == pytest.approx(breaker.wait(10.0))


def test_the_last_wait_is_counted_from_when_it_opened() -> None:
    breaker = CircuitBreaker()
    for number in range(8):
        breaker.record_failure(number, number, None)
    breaker.record_success(47.0, 9)
    assert 40.0 == breaker.last_wait


def test_after_an_outage_the_first_pause_is_short() -> None:
    breaker = opened()
    breaker.record_success(40.0, 9)
    for number in range(10, 18):
        breaker.record_failure(60.0, number, None)
    assert 0.1 == pytest.approx(breaker.wait(60.0))


def test_it_is_hopeless_once_the_pauses_have_outlasted_patience_until_a_probe_is_due() -> None:
    breaker, now, number = opened(), 0.0, 9
    while not breaker.is_hopeless(now, 20.0, 20.0):
        now = probe(breaker, now, number)
        breaker.record_failure(now, number, None)
        number += 1
    assert 20.0 <= now <= 23.0
    assert not breaker.is_hopeless(1_000.0, 20.0, 20.0)


def test_time_in_which_nobody_asks_does_not_count() -> None:
    breaker = opened()
    breaker.record_sent(1_000.0, 9)
    assert 0.0 == breaker.seconds_open(1_000.0)
    breaker.record_failure(1_000.0, 9, None)
    assert pytest.approx(0.1) == breaker.wait(1_000.0)  # nor do the pauses grow by it


def test_patience_is_counted_from_the_first_failure_of_the_row() -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(0.0, 1, None)
    breaker.record_success(4.0, 2)
    for number in range(3, 11):
        assert 0.0 == breaker.seconds_open(100.0)
        breaker.record_failure(10.0 * number, number, None)
    assert 170.0 == breaker.seconds_open(200.0)
    breaker.record_sent(200.0 if breaker.pause_until + 1 > 200.0 else 100.5, 11)
    assert 70.5 == breaker.seconds_open(100.5)
    assert not breaker.is_hopeless(100.0, 90.0, 90.0)
    breaker.record_failure(100.5, 11, 30.0)
    assert breaker.is_hopeless(100.5, 90.0, 90.0)
    assert not breaker.is_hopeless(100.5, 100.0, 100.0)


def test_a_late_failure_of_what_was_sent_before_changes_nothing() -> None:
    breaker = opened(first=3)
    breaker.record_failure(30.0, 1, None)
    assert 30.0 == breaker.seconds_open(30.0)
    assert not breaker.record_success(31.0, 2)
