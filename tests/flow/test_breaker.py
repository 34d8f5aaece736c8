"""The circuit breaker, rules 3 and 6: what opens and closes it, its pauses and quotas, and when waiting is hopeless."""

from math import inf

import pytest

from galileo_sessions.flow.breaker import Breaker
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE

STANDINGS = (IN_TROUBLE, FRESH, ANSWERED)


def fail(breaker: Breaker, now: float, *numbers: int, standing: int = FRESH, asked: float = 0.0) -> bool:
    """Lets requests fail, each of another query; returns whether the breaker is open then."""
    for number in numbers:
        breaker.failed(now, number, number, standing, asked)
    return breaker.is_open


def opened(asked: float = 0.0) -> Breaker:
    """A breaker that eight failures have opened at 0.0, after an answer to a query in trouble."""
    breaker = Breaker()
    breaker.passed(0.0, 0, IN_TROUBLE)
    assert fail(breaker, 0.0, *range(1, 9), asked=asked)
    return breaker


def probe(breaker: Breaker, now: float, number: int) -> float:
    """Waits for the next probe and sends it; returns when."""
    at = now + breaker.wait(now)
    breaker.sent(at, number)
    return at


def probe_in_vain(breaker: Breaker, until: float) -> float:
    """Sends a probe whenever one may be sent, and lets each fail; returns when the first one after `until` did."""
    now, number = 0.0, 9
    while now <= until:
        now, number = probe(breaker, now, number), number + 1
        fail(breaker, now, number - 1)
    return now


def probed(breaker: Breaker, first: int, *asked: float) -> list[float]:
    """Lets probes fail, each with a Retry-After; returns the waits before each and after the last."""
    now, told = 0.0, list[float]()
    for number, seconds in enumerate(asked, first):
        told.append(breaker.wait(now))
        now = probe(breaker, now, number)
        fail(breaker, now, number, asked=seconds)
    return [*told, breaker.wait(now)]


def waits(breaker: Breaker, now: float) -> list[float]:
    """The waits of queries in trouble, of fresh ones, and of those that were answered lately."""
    return [breaker.wait(now, standing) for standing in STANDINGS]


@pytest.mark.parametrize(
    ("queries", "is_alone", "opens"),
    [
        ("abcdefg", True, False),
        ("abcdefgh", False, True),
        ("aaaaaaaa", False, False),  # one query says nothing about others that are answered
        ("aaaaaaaa", True, True),
        ("abcdefga", False, False),
        ("abcdefgah", False, True),
    ],
)
def test_eight_failures_of_different_queries_or_of_all_that_are_known_open_it(queries, is_alone, opens) -> None:
    breaker = Breaker()
    for number, query in enumerate(queries):
        assert not breaker.is_open
        breaker.failed(0.0, number, query, FRESH, is_alone=is_alone)
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
        ("x1-8 .9 o9 x11-17 o10 x18", True),  # after an outage, too, an answer to an earlier request ends no row
    ],
)
def test_answers_count_in_the_order_in_which_requests_were_sent(events, is_open) -> None:
    """An x fails, an o is answered, a - is cancelled, and a . is sent."""
    breaker = Breaker()
    acts = {"x": lambda number: fail(breaker, 1.0, number), "o": lambda number: breaker.passed(1.0, number)}
    acts |= {"-": lambda number: breaker.released(0.0, number), ".": lambda number: breaker.sent(0.0, number)}
    for event in events.split():
        first, _, last = event[1:].partition("-")
        for number in range(int(first), int(last or first) + 1):
            acts[event[0]](number)
    assert is_open is breaker.is_open


def test_pauses_are_a_quarter_of_the_time_so_far_from_a_tenth_of_a_second_to_three() -> None:
    pauses = probed(opened(), 9, *[0.0] * 30)
    assert pytest.approx([0.1, 0.25 * sum(pauses[:12]), 3.0]) == [pauses[1], pauses[12], pauses[-1]]


@pytest.mark.parametrize(("fresh", "longest"), [(range(0), 0.2), (range(1), 3.0), (range(7, 8), 3.0)])
def test_pauses_are_short_while_only_queries_fail_that_failed_before(fresh: range, longest: float) -> None:
    """A healthy one, which a limit refused, can wait among many bad ones; probes without an answer pause no longer."""
    breaker, at = Breaker(), 0.0
    for number in range(50):
        at += breaker.wait(at, IN_TROUBLE)
        breaker.sent(at, number, IN_TROUBLE)
        unanswered = breaker.wait(at, IN_TROUBLE)
        breaker.failed(at, number, number, FRESH if number in fresh else IN_TROUBLE)
    assert [max(longest, at / 4 * bool(fresh)), longest] == pytest.approx([unanswered, breaker.wait(at, IN_TROUBLE)])


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
    assert pytest.approx(max(3.0, at / 4)) == breaker.wait(at)
    breaker.released(at, 1_000)
    assert [0.0] * 3 == waits(breaker, at)


@pytest.mark.parametrize(
    ("row", "probes", "binds"),
    [
        ("aaaaaaaa", "aa", True),
        ("aaaaaaaa", "a", False),
        ("aaaaaaaa", "aaa", False),  # that of a later probe binds only its query
        ("aaaaaaaa", "-a", False),
        ("aaaaaaaa", "a-", False),
        *((row, "aa", False) for row in ("-aaaaaaa", "aaa-aaaa", "aaaaaaa-", "--------", "ttt-aaaa")),
        *((row, "aa", True) for row in ("taaaaaaa", "aaaataaa", "tttaaaaa", "aaaaaaat")),
        ("aaaaaaaa", "TT", False),  # it fared worse than those that it would bind
        ("aaaaaaaa", "TTaa", True),
    ],
)
def test_a_retry_after_binds_all_if_all_of_the_row_and_the_first_two_probes_got_one(row, probes, binds) -> None:
    """An "a" is asked to wait, a "-" isn't; a "t" isn't, and was in trouble before; a "T" is, and was, too."""
    breaker = Breaker()
    for number, kind in enumerate(row):
        breaker.failed(0.0, number, number, IN_TROUBLE if kind == "t" else FRESH, 30.0 if kind == "a" else 0.0)
    for number, kind in enumerate(probes, 8):
        at = probe(breaker, 0.0, number)
        fail(breaker, at, number, standing=IN_TROUBLE if kind == "T" else FRESH, asked=0.0 if kind == "-" else 30.0)
    assert pytest.approx(30.0 if binds else 0.1) == breaker.wait(at)


@pytest.mark.parametrize(("asked", "pause"), [(0.4, 0.4), (1.0, 0.1)])
def test_a_retry_after_of_one_second_is_none(asked: float, pause: float) -> None:
    """It is often a rounded-up 0.01."""
    assert pytest.approx([0.1, 0.1, pause]) == probed(opened(asked), 9, asked, asked)


def test_a_probe_that_is_cancelled_does_not_lift_a_retry_after_that_binds_all() -> None:
    breaker = opened(30.0)
    probed(breaker, 9, 30.0, 30.0)
    before = waits(breaker, 0.5)
    breaker.sent(0.5, 1_000, ANSWERED)
    breaker.released(0.5, 1_000)
    assert pytest.approx([*before[:2], 0.0]) == waits(breaker, 0.5)


def test_what_gets_through_after_a_retry_after_is_no_quota() -> None:
    """The client sent nothing because it was asked to, so it doesn't know what the service would have taken."""
    breaker = opened(30.0)
    probed(breaker, 9, 30.0, 30.0)
    at = probe(breaker, 0.2, 11)
    breaker.passed(at, 11, FRESH)
    assert fail(breaker, at + 5, *range(20, 28))
    assert breaker.quota == inf


@pytest.mark.parametrize(
    ("probe", "closed_at", "answers", "reopened_at", "quota", "pause"),
    [
        (9, 0.2, [FRESH], 0.3, inf, 0.1),  # a fifth of a second is none
        (9, 0.8, [FRESH], 1.5, 1 / 1.5, 0.2),
        (9, 0.8, [FRESH], 1.6, inf, 0.1),  # twice as long
        (9, 1.05, [FRESH] * 20, 2.05, 20 / 2.05, 1.05 / 4),
        (10, 0.8, [FRESH], 1.5, inf, 0.1),  # an earlier request was answered
        (9, 0.8, [ANSWERED, FRESH], 1.5, inf, 0.1),  # the queries of the row are bad
        (9, 0.8, [ANSWERED, IN_TROUBLE], 1.5, 2 / 1.5, 0.2),
    ],
)
def test_what_got_through_before_it_opened_again_is_a_quota(  # noqa: PLR0917
    probe, closed_at, answers, reopened_at, quota, pause
) -> None:
    """If it closed for less time than it was open."""
    breaker = opened()
    breaker.sent(closed_at, probe)
    for number, standing in enumerate(answers, 9):
        breaker.passed(closed_at, number, standing)
    assert not fail(breaker, reopened_at, *range(30, 37))
    assert fail(breaker, reopened_at, 37)
    assert pytest.approx(quota) == breaker.quota
    assert pytest.approx([pause] * 3) == waits(breaker, reopened_at)


@pytest.mark.parametrize(("own", "is_quota"), [(3, True), (4, False)])
def test_if_more_failures_were_the_queries_own_than_got_through_it_is_no_quota(own, is_quota) -> None:
    """Bad queries are left, among which a few healthy ones were found."""
    breaker = opened()
    breaker.sent(0.8, 9)
    for number in range(9, 12):
        breaker.passed(0.8, number, IN_TROUBLE)
    for number in range(20, 20 + own):
        breaker.released(1.0, number, is_own=True)
    assert fail(breaker, 1.5, *range(30, 38), standing=IN_TROUBLE)
    assert is_quota is (breaker.quota < inf)


@pytest.mark.parametrize(("standing", "is_quota"), [(FRESH, False), (IN_TROUBLE, True)])
def test_a_quota_is_believed_once_a_query_in_trouble_was_answered(standing: int, is_quota: bool) -> None:
    """Until then, the queries of both rows may be bad."""
    breaker = Breaker()
    assert fail(breaker, 0.0, *range(1, 9))
    breaker.sent(0.8, 9, standing)
    breaker.passed(0.8, 9, standing)
    assert fail(breaker, 1.5, *range(10, 18))
    assert is_quota is (breaker.quota < inf)


@pytest.mark.parametrize(("patience", "rarely"), [(inf, 4), (1.0, 3)])
def test_a_quota_is_probed_often_if_it_is_used_up_for_longer_than_before(patience: float, rarely: int) -> None:
    """Or for most of patience: its probes, which come rarely at first, may have met bad queries, or some that hang."""
    breaker = opened()
    breaker.patience = patience
    breaker.sent(0.8, 9)
    breaker.passed(0.8, 9)
    assert fail(breaker, 1.5, *range(30, 38))
    unanswered, pauses, others, at = list[float](), list[float](), list[float](), 1.5
    for number in range(38, 58):
        at = probe(breaker, at, number)
        unanswered.append(breaker.wait(at))
        fail(breaker, at, number)
        pauses.append(breaker.wait(at))
        others.append(breaker.wait(at, ANSWERED))
    assert pytest.approx([0.2] * rarely + [0.1] * 8) == others[: rarely + 8]
    assert pytest.approx([0.75] * 6) == [*unanswered[-3:], *pauses[-3:]]


def test_waiting_is_hopeless_once_all_has_failed_for_longer_than_patience() -> None:
    """Until the next probe is due: it may succeed. If it comes too late, as after a Retry-After, it is at once."""
    breaker = opened()
    now = probe_in_vain(breaker, 20.0)
    assert breaker.is_hopeless(now, FRESH, 20.0)
    assert not breaker.is_hopeless(now, ANSWERED, 22.0)  # its next probe comes in time
    assert not breaker.is_hopeless(now, FRESH, 30.0)
    assert not breaker.is_hopeless(now, FRESH, 20.0, since=5.0)  # when the patience began
    at = now + breaker.wait(now)
    assert not breaker.is_hopeless(at, FRESH, 20.0)
    breaker.sent(at, 1_000)
    assert not breaker.is_hopeless(at, FRESH, 20.0)
    breaker = opened(30.0)
    probed(breaker, 9, 30.0, 30.0)  # at 0.1 and 0.2
    assert [True, False] == [breaker.is_hopeless(0.2, FRESH, patience) for patience in (30.1, 30.3)]


def test_time_in_which_nobody_waits_does_not_count() -> None:
    """Patience begins with the next probe, and so do the pauses."""
    breaker = opened()
    breaker.sent(1_000.0, 9)
    assert 1_000.0 == breaker.began
    fail(breaker, 1_000.0, 9)
    assert pytest.approx(0.1) == breaker.wait(1_000.0)


def test_a_probe_that_is_cancelled_does_not_begin_the_outage_anew() -> None:
    breaker = opened()
    at = probe(breaker, probe_in_vain(breaker, 80.0), 1_000)
    breaker.released(at, 1_000)
    breaker.sent(at, 1_001)
    fail(breaker, at, 1_001)
    assert (0.0, pytest.approx(3.0)) == (breaker.began, breaker.wait(at))


def test_patience_is_counted_from_the_first_failure_of_the_row() -> None:
    """Not from when it opened, nor from an earlier row; late failures change nothing."""
    breaker = Breaker()
    fail(breaker, 1.0, 2)
    breaker.passed(4.0, 3)
    for number in range(4, 12):
        assert not breaker.is_open
        fail(breaker, 10.0 * number, number)
    fail(breaker, 115.0, 1)
    assert 40.0 == breaker.began
