"""The circuit breaker: when it opens, how long its pauses are, what closes it, and when waiting is hopeless."""

import math

import pytest

from galileo_sessions.client.flow.breaker import Breaker


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


# ---- when it opens ---------------------------------------------------------------------------------------------------


def test_eight_failures_in_a_row_open_it() -> None:
    """The eighth does, and a pause begins."""
    breaker = Breaker()
    assert [False] * 7 + [True] == [breaker.failed(0.0, number, None) for number in range(8)]
    assert breaker.is_open
    assert 0.1 == breaker.wait(0.0, 0)


def test_an_answer_ends_the_row_of_what_was_sent_before_it() -> None:
    """Also if the failures before it come back later."""
    breaker = Breaker()
    for number in range(7):
        breaker.failed(0.0, number, None)
    breaker.passed(0.0, 8)
    assert not breaker.failed(0.0, 7, None)
    assert not any(breaker.failed(0.0, number, None) for number in range(9, 16))


def test_an_answer_to_an_earlier_request_does_not_end_a_row() -> None:
    """Nor does it close a breaker: the service has refused everything since."""
    breaker = Breaker()
    for number in range(2, 9):
        breaker.failed(0.0, number, None)
    breaker.passed(0.0, 1)
    assert breaker.failed(0.0, 9, None)
    assert not breaker.passed(0.0, 1)
    assert breaker.is_open


def test_requests_whose_answers_are_on_their_way_end_a_row() -> None:
    """A service that refuses every second request is alive, though refusals come back first."""
    breaker = Breaker()
    assert not any(breaker.failed(0.0, number, None) for number in range(0, 40, 2))


def test_a_cancelled_request_does_not_end_a_row() -> None:
    """It says nothing about the service."""
    breaker = Breaker()
    for number in range(7):
        breaker.failed(0.0, number, None)
    breaker.released(7)
    assert breaker.failed(0.0, 8, None)


# ---- while it is open ------------------------------------------------------------------------------------------------


def test_one_probe_at_a_time_is_sent_after_pauses_of_a_quarter_of_the_time_so_far() -> None:
    """They grow from 0.1 to 3 s."""
    breaker, now, pauses = opened(), 0.0, list[float]()
    for number in range(9, 40):
        pauses.append(breaker.wait(now, 0))
        now = probe(breaker, now, number)
        assert math.inf == breaker.wait(now + 60, 1)
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


def test_a_late_retry_after_prolongs_the_pause_and_frees_no_second_probe() -> None:
    """Nothing shortens a pause."""
    breaker = opened(first=2)
    at = probe(breaker, 0.0, 10)
    breaker.failed(at, 1, 5.0)
    assert math.inf == breaker.wait(at + 5.1, 1)
    breaker.failed(at, 10, None)
    assert pytest.approx(5.0) == breaker.wait(at, 0)


def test_a_cancelled_probe_frees_the_next() -> None:
    """The next one is sent at once."""
    breaker = opened()
    at = probe(breaker, 0.0, 9)
    breaker.released(9)
    assert 0.0 == breaker.wait(at, 0)


# ---- when it closes --------------------------------------------------------------------------------------------------


def test_the_first_success_closes_it_at_once() -> None:
    """Whether it was the probe, or an answer on its way that was sent after the failures."""
    breaker = opened()
    assert breaker.passed(47.0, 9)
    assert (False, 0.0, 0.0) == (breaker.is_open, breaker.seconds_open(50.0), breaker.wait(50.0, 0))


def test_a_probe_tells_the_wait_after_which_one_request_gets_through() -> None:
    """Until another one does; an answer that was on its way when it opened has waited for nothing."""
    for is_probe, expected in ((True, 47.0), (False, None)):
        breaker = opened()
        if is_probe:
            breaker.sent(0.5, 9)
        breaker.passed(47.0, 9)
        assert expected == breaker.seconds_per_request
    breaker.passed(47.1, 10)
    assert breaker.seconds_per_request is None


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


# ---- patience --------------------------------------------------------------------------------------------------------


def test_waiting_is_hopeless_once_all_has_failed_for_longer_than_patience() -> None:
    """Until the next probe is due: it may succeed."""
    breaker = opened()
    breaker.has_answered = True
    now = probe_in_vain(breaker, 20.0)
    assert breaker.is_hopeless(now, 20.0)
    assert not breaker.is_hopeless(now, 30.0)
    assert not breaker.is_hopeless(now + breaker.wait(now, 0), 20.0)


def test_waiting_is_hopeless_if_the_next_probe_comes_too_late() -> None:
    """A pause that the service asks for ends at once the waits that it outlasts."""
    breaker = opened()
    breaker.has_answered = True
    at = probe(breaker, 0.0, 9)
    breaker.failed(at, 9, 60.0)
    assert breaker.is_hopeless(at, 50.0)
    assert not breaker.is_hopeless(at, 61.0)


def test_a_service_that_has_never_answered_is_given_up_after_10_s() -> None:
    """Whatever the patience, unless that is less."""
    breaker = opened()
    now = probe_in_vain(breaker, 10.0)
    assert breaker.is_hopeless(now, 90.0)
    breaker.has_answered = True
    assert not breaker.is_hopeless(now, 90.0)
    assert breaker.is_hopeless(now, 5.0)


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
    breaker.failed(0.0, 2, None)
    breaker.passed(4.0, 3)
    for number in range(4, 12):
        assert 0.0 == breaker.seconds_open(100.0)
        breaker.failed(10.0 * number, number, None)
    breaker.failed(115.0, 1, None)
    assert 80.0 == breaker.seconds_open(120.0)


def test_a_service_has_answered_once_it_did_what_it_was_asked() -> None:
    """A refusal can be a gateway's."""
    breaker = opened()
    assert not breaker.has_answered
    breaker.passed(1.0, 9)
    assert breaker.has_answered
