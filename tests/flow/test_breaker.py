"""The circuit breaker: when it opens, how long its pauses are, what closes it, and when waiting is hopeless."""

from math import inf

import pytest

from galileo_sessions.flow.breaker import Breaker
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE

STANDINGS = (IN_TROUBLE, FRESH, ANSWERED)


def fail(breaker: Breaker, now: float, *numbers: int, standing: int = FRESH, asked: float = 0.0) -> bool:
    """Lets requests fail, each of another query; returns whether the last one opened the breaker."""
    return [breaker.failed(now, number, number, standing, asked) for number in numbers][-1]


def opened(asked: float = 0.0) -> Breaker:
    """A breaker that eight failures have opened at 0.0, after an answer to a query in trouble."""
    breaker = Breaker()
    breaker.passed(0.0, 0, IN_TROUBLE)
    assert fail(breaker, 0.0, *range(1, 9), asked=asked)
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
        fail(breaker, now, number - 1)
    return now


def probed(breaker: Breaker, first: int, *asked: float, standing: int = FRESH) -> list[float]:
    """Lets probes fail, each with a Retry-After; returns the waits before each and after the last."""
    now, told = 0.0, list[float]()
    for number, seconds in enumerate(asked, first):
        told.append(breaker.wait(now, 0, standing))
        now = probe(breaker, now, number)
        fail(breaker, now, number, standing=standing, asked=seconds)
    return [*told, breaker.wait(now, 0, standing)]


def waits(breaker: Breaker, now: float) -> list[float]:
    """The waits of queries in trouble, of fresh ones, and of those that were answered lately."""
    return [breaker.wait(now, 0, standing) for standing in STANDINGS]


@pytest.mark.parametrize(
    ("queries", "is_alone", "opens"),
    [
        ("abcdefg", True, False),
        ("abcdefgh", False, True),
        ("aaaaaaaa", False, False),
        ("aaaaaaaa", True, True),
        ("abcdefga", False, False),
        ("abcdefgah", False, True),
    ],
)
def test_eight_failures_of_different_queries_or_of_all_that_are_known_open_it(queries, is_alone, opens) -> None:
    """One query that fails says nothing about others that are answered."""
    breaker = Breaker()
    told = [breaker.failed(0.0, number, query, FRESH, is_alone=is_alone) for number, query in enumerate(queries)]
    assert [False] * (len(queries) - 1) + [opens] == told
    assert opens is breaker.is_open


@pytest.mark.parametrize(
    ("events", "is_open"),
    [
        ("x0-6 o8 x7 x9-15", False),  # although 7 was sent before the answer
        ("x2-8 o1 x9", True),  # 1 left the service before the failures did, or was only slow
        ("x1-8 o0", True),
        ("x0-6 -7 x8", True),  # a cancelled request says nothing
        ("x1-8 o9", False),
        ("x1-8 .9 .10 x10 o9", False),  # the first probe answers when a later one has failed
    ],
)
def test_answers_count_in_the_order_in_which_requests_were_sent(events, is_open) -> None:
    """They end the row of what was sent before them, and close it if they were sent later than all that failed."""
    breaker = Breaker()
    acts = {"x": lambda number: fail(breaker, 0.0, number), "o": lambda number: breaker.passed(1.0, number)}
    acts |= {"-": lambda number: breaker.released(0.0, number), ".": lambda number: breaker.sent(0.0, number)}
    for event in events.split():
        first, _, last = event[1:].partition("-")
        for number in range(int(first), int(last or first) + 1):
            acts[event[0]](number)
    assert is_open is breaker.is_open


def test_once_it_has_closed_answers_are_the_clock() -> None:
    """No more than twice as many requests are under way as have succeeded."""
    breaker = opened()
    for succeeded in range(1, 66):
        breaker.passed(1.0, 8 + succeeded)
        assert [0.0, inf] == [breaker.wait(1.0, 2 * succeeded - 1), breaker.wait(1.0, 2 * succeeded)]


def test_one_probe_at_a_time_is_sent_after_pauses_of_a_quarter_of_the_time_so_far() -> None:
    """They grow from 0.1 to 3 s."""
    breaker, now, pauses = opened(), 0.0, list[float]()
    for number in range(9, 40):
        pauses.append(breaker.wait(now, 0))
        now = probe(breaker, now, number)
        fail(breaker, now, number)
    assert pytest.approx([0.1, 0.25 * sum(pauses[:12]), 3.0]) == [pauses[1], pauses[12], pauses[-1]]


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_probe_that_fails_holds_up_queries_of_its_standing_and_below(standing: int) -> None:
    """Those that fared better are sent 0.1 s later."""
    breaker = opened()
    at = probe(breaker, probe_in_vain(breaker, 5.0), 1_000)
    fail(breaker, at, 1_000, standing=standing)
    assert pytest.approx([at / 4 if each <= standing else 0.1 for each in STANDINGS]) == waits(breaker, at)


@pytest.mark.parametrize("until", [1.0, 20.0])
def test_a_probe_that_hangs_is_waited_for_for_a_quarter_of_the_time_so_far(until: float) -> None:
    """At least 3 s; then the next one is sent. If it is cancelled, the next one is sent at once."""
    breaker = opened()
    at = probe(breaker, probe_in_vain(breaker, until), 1_000)
    assert pytest.approx(max(3.0, at / 4)) == breaker.wait(at, 1)
    breaker.released(at, 1_000)
    assert [0.0] * 3 == waits(breaker, at)


@pytest.mark.parametrize(("asked", "pause"), [(30.0, 30.0), (0.4, 0.4), (1.0, 0.1), (0.0, 0.1)])
def test_the_retry_after_of_the_row_and_of_two_probes_is_the_pause(asked: float, pause: float) -> None:
    """Unless it is 1, which is often a rounded-up 0.01. That of a later probe binds only its query."""
    assert pytest.approx([0.1, 0.1, pause, 0.1]) == probed(opened(asked), 9, asked, asked, asked)


def test_what_gets_through_after_a_retry_after_is_no_quota() -> None:
    """The client sent nothing because it was asked to, so it doesn't know what the service would have taken."""
    breaker = opened(30.0)
    assert pytest.approx(30.0) == probed(breaker, 9, 30.0, 30.0)[-1]
    at = probe(breaker, 0.2, 11)
    assert breaker.passed(at, 11, FRESH)
    assert fail(breaker, at + 5, *range(20, 28))
    assert (inf, False) == (breaker.quota, breaker.is_window)


@pytest.mark.parametrize("troubled", [(), (4,), (0,), (0, 1, 2)])
@pytest.mark.parametrize("without", [None, 0, 4, 7])
def test_a_retry_after_binds_all_once_each_query_of_the_row_that_was_in_no_trouble_got_one(troubled, without) -> None:
    """Those in trouble may have one, or none."""
    breaker = Breaker()
    for number in range(8):
        standing = IN_TROUBLE if number in troubled else FRESH
        breaker.failed(0.0, number, number, standing, 0.0 if number in (without, *troubled) else 30.0)
    pause = 30.0 if without is None or without in troubled else 0.1
    assert pytest.approx(pause) == probed(breaker, 8, 30.0, 30.0)[-1]


@pytest.mark.parametrize(("row", "asked"), [(30.0, (0.0, 30.0)), (30.0, (30.0, 0.0)), (0.0, (30.0, 30.0))])
def test_a_retry_after_that_the_row_or_a_probe_did_not_get_binds_nobody(row: float, asked: tuple[float, float]) -> None:
    """The service takes requests of others, so the row is bad."""
    assert pytest.approx(0.1) == probed(opened(row), 9, *asked)[-1]


def test_the_retry_after_of_a_probe_in_trouble_binds_nobody_else() -> None:
    """Fresh queries fared better. A probe that is cancelled doesn't lift what binds all."""
    breaker = opened(30.0)
    assert pytest.approx(0.1) == probed(breaker, 9, 30.0, 30.0, standing=IN_TROUBLE)[-1]
    assert pytest.approx(30.0) == probed(breaker, 11, 30.0, 30.0)[-1]
    before = waits(breaker, 0.5)
    breaker.sent(0.5, 1_000, ANSWERED)
    breaker.released(0.5, 1_000)
    assert pytest.approx([*before[:2], 0.0]) == waits(breaker, 0.5)


@pytest.mark.parametrize(
    ("probe", "closed_at", "answers", "reopened_at", "quota", "is_window", "pause"),
    [
        (9, 0.2, [FRESH], 0.3, inf, False, 0.1),  # a fifth of a second is none
        (9, 0.8, [FRESH], 1.5, 1 / 1.5, False, 0.2),
        (9, 0.8, [FRESH], 1.6, inf, False, 0.1),  # twice as long
        (9, 0.8, [FRESH] * 20, 1.5, 20 / 1.5, True, 0.2),
        (9, 1.05, [FRESH] * 20, 2.05, 20 / 2.05, False, 1.05 / 4),
        (10, 0.8, [FRESH], 1.5, inf, False, 0.1),  # an earlier request was answered
        (9, 0.8, [ANSWERED, FRESH], 1.5, inf, False, 0.2),  # the queries of the row are bad
        (9, 0.8, [ANSWERED, IN_TROUBLE], 1.5, 2 / 1.5, True, 0.2),
    ],
)
def test_what_got_through_before_it_opened_again_is_a_quota(  # noqa: PLR0917
    probe, closed_at, answers, reopened_at, quota, is_window, pause
) -> None:
    """Until the next failure, and if it closed for less time than it was open; within two seconds it's a window."""
    breaker = opened()
    breaker.sent(closed_at, probe)
    for number, standing in enumerate(answers, 9):
        breaker.passed(closed_at, number, standing)
    assert not fail(breaker, reopened_at, *range(30, 37))
    assert (inf, False) == (breaker.quota, breaker.is_window)
    assert fail(breaker, reopened_at, 37)
    assert (pytest.approx(quota), is_window) == (breaker.quota, breaker.is_window)
    assert pytest.approx([pause] * 3) == waits(breaker, reopened_at)
    fail(breaker, reopened_at, 38)
    assert (inf, False) == (breaker.quota, breaker.is_window)


def test_waiting_is_hopeless_once_all_has_failed_for_longer_than_patience() -> None:
    """Until the next probe is due: it may succeed. If it comes too late, as after a Retry-After, it is at once."""
    breaker = opened()
    now = probe_in_vain(breaker, 20.0)
    assert breaker.is_hopeless(now, FRESH, 20.0)
    assert not breaker.is_hopeless(now, ANSWERED, 22.0)  # its next probe comes in time
    assert not breaker.is_hopeless(now, FRESH, 30.0)
    assert not breaker.is_hopeless(now, FRESH, 20.0, since=5.0)  # when the patience began
    at = now + breaker.wait(now, 0)
    assert not breaker.is_hopeless(at, FRESH, 20.0)
    breaker.sent(at, 1_000)
    assert not breaker.is_hopeless(at, FRESH, 20.0)
    breaker = opened(30.0)
    _ = probed(breaker, 9, 30.0, 30.0)  # at 0.1 and 0.2
    assert [True, False] == [breaker.is_hopeless(0.2, FRESH, patience) for patience in (30.1, 30.3)]


@pytest.mark.parametrize("patience", [90.0, 1.0])
def test_an_address_where_nothing_has_ever_answered_is_given_up_after_4_s(patience: float) -> None:
    """Whatever the patience, unless that is less."""
    breaker = opened()
    now = probe_in_vain(breaker, min(4.0, patience))
    assert not breaker.is_hopeless(now, FRESH, 90.0)
    breaker.is_unreachable = True
    assert breaker.is_hopeless(now, FRESH, patience)


def test_time_in_which_nobody_waits_does_not_count() -> None:
    """Patience begins with the next probe, and so do the pauses."""
    breaker = opened()
    breaker.sent(1_000.0, 9)
    assert 0.0 == breaker.seconds_open(1_000.0)
    fail(breaker, 1_000.0, 9)
    assert pytest.approx(0.1) == breaker.wait(1_000.0, 0)


def test_a_probe_that_says_nothing_does_not_begin_the_outage_anew() -> None:
    """As one of a call that is cancelled: patience and pauses go on."""
    breaker = opened()
    now = probe_in_vain(breaker, 80.0)
    at = probe(breaker, now, 1_000)
    breaker.released(at, 1_000)
    breaker.sent(at, 1_001)
    fail(breaker, at, 1_001)
    assert at == breaker.seconds_open(at)
    assert pytest.approx(3.0) == breaker.wait(at, 0)


def test_patience_is_counted_from_the_first_failure_of_the_row() -> None:
    """Not from when it opened, nor from an earlier row; late failures change nothing."""
    breaker = Breaker()
    fail(breaker, 1.0, 2)
    breaker.passed(4.0, 3)
    for number in range(4, 12):
        assert 0.0 == breaker.seconds_open(100.0)
        fail(breaker, 10.0 * number, number)
    fail(breaker, 115.0, 1)
    assert 80.0 == breaker.seconds_open(120.0)
