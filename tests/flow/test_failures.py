"""Rules 1, 2 and 9: what an answer means, whose fault a failure is, and whether and when its query is sent again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil, inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import failure
from support.clock import virtual_time
from support.inside import stop_wall_clock
from support.network import TRANSPORT, Scripted, cost_of_new, refusal, status
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import DecodeError, DisconnectedError, LoginError, RateLimitedError, Retry, ServerError
from galileo_sessions.api.responses import Response, permanent, retry_after
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, Queries, Trouble

REFUSED, FAILED = Outcome("refused"), Outcome("failed")
BAD = ((0, FRESH, 20, 0), (1, IN_TROUBLE, 0, 8))  # a service that is well, but doesn't answer what failed before

# ---- what an error means ---------------------------------------------------------------------------------------------

FINAL = {
    "success": [
        *[status(number) for number in (302, 400, 401, 403, 404, 409, 418, 422, 501, 505, 599)],
        *[status(number, Retry_After="1") for number in (404, 422)],
        permanent(DecodeError("x")),
        LoginError("x", status=401),
        LoginError("x", status=200),
        permanent(gs.ProtocolError("x")),
        *[gs.ResponseError("x", status=number, retriable=number == 400) for number in (400, 501)],
    ],
    "ignored": [
        gs.TLSError("x"),
        gs.ConfigurationError("x"),
        gs.FilterError("x"),
        gs.DeadlineExceededError("x"),
        gs.GalileoError("x"),
    ],
}
RETRIED = {
    "refused": [
        *[status(number) for number in (502, 503, 520, 521, 522, 523, 524, 529)],
        *[gs.ResponseError("x", status=number, retriable=True) for number in (500, 501)],
        TRANSPORT["connect"],
        TRANSPORT["disconnect"],
        gs.TransportError("x"),
        DecodeError("x"),
        status(429),
        *[status(number, Retry_After="1") for number in (408, 425, 429, 500, 502, 503, 504, 529)],
    ],
    "failed": [*[status(number) for number in (408, 425, 500, 504)], TRANSPORT["timeout"], TRANSPORT["protocol"]],
}


@pytest.mark.parametrize(
    ("meaning", "error"), [(meaning, error) for meaning, errors in (FINAL | RETRIED).items() for error in errors]
)
def test_what_an_error_means(meaning, error):
    """Each error has a meaning for the service, a time for which it asks to wait, and a cost."""
    asked = (meaning == "refused" and getattr(error, "retry_after", None)) or 0.0
    is_timeout = error is TRANSPORT["timeout"] or (getattr(error, "status", 0) == 504 and meaning == "failed")
    assert outcome_of(error) == Outcome(meaning, retry_after=asked, cost=2 if is_timeout else 1)


def test_no_other_status_is_tried_again():
    expected = {error.status for errors in RETRIED.values() for error in errors if hasattr(error, "status")} - {501}
    assert expected == {number for number in range(300, 600) if outcome_of(status(number)).meaning not in FINAL}


# ---- rule 2: whose fault ---------------------------------------------------------------------------------------------


def fail_again(evidence: Evidence, failures: int, standing: int, before: Outcome = REFUSED, number: int = 0) -> Trouble:
    """Lets a query fail that has failed so often before, with the same outcome; it costs an attempt."""
    trouble = Trouble(0.0, failures=failures, outcome=before, was_answered=standing == ANSWERED)
    evidence.failed(trouble, number)
    trouble.spent = 1.0
    return trouble


def known(*cases: tuple[int, int, int, int], before: Outcome = REFUSED) -> Evidence:
    """What is known at 0.0; cases are failures before, the standing, and how many were answered and failed then."""
    evidence = Evidence()
    for failures, standing, _, failed in cases:
        for _ in range(failed):
            fail_again(evidence, failures, standing, before)
    for failures, standing, answered, _ in cases:
        for _ in range(answered):
            trouble = Trouble(0.0, failures=failures, outcome=before, was_answered=standing == ANSWERED)
            evidence.answered(0.0, trouble, standing, 1)
    return evidence


@pytest.mark.parametrize(
    ("meaning", "cases", "until"),
    [
        *[
            (meaning, cases, until)
            for meaning in ("failed", "refused")
            for cases, until in [
                ([(0, FRESH, 36, 4), (1, IN_TROUBLE, 0, 8)], 0),  # a tenth of the projects is bad
                ([(0, FRESH, 6, 14), (1, IN_TROUBLE, 3, 7)], 16),  # full
                ([(0, FRESH, 6, 4), *[(n, IN_TROUBLE, 4, 4) for n in (1, 2, 4)], (8, IN_TROUBLE, 0, 8)], 7),  # both
                ([(0, FRESH, 0, 7)], 16),  # down
                ([(0, FRESH, 36, 4), (1, IN_TROUBLE, 0, 32), (2, IN_TROUBLE, 1, 0)], 0),  # one was only unlucky
            ]
        ],
        # Queries are compared with those that failed once, 2 or 3 times, 4 to 7 times, or more.
        *[
            ("refused", [(0, FRESH, 20, 0), (failures, IN_TROUBLE, 0, 8)], first - 1)
            for failures, first in [(1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (100, 8)]
        ],
        # Until queries were sent again, a refusal is the service's, and a failure only if a quarter of the others fail.
        *[("refused", [(0, FRESH, *case)], 16) for case in ((0, 0), (40, 0))],
        *[("failed", [(0, FRESH, *case)], until) for case, until in [((0, 0), 0), ((0, 1), 16)]],
        *[("failed", [(0, FRESH, *case)], until) for case, until in [((30, 10), 0), ((30, 11), 16)]],
        # Nothing is the service's while those that were answered lately fail less than a quarter as often as all.
        *[
            ("refused", [(0, standing, answered, failed), (0, FRESH, 0, others)], until)
            for standing, answered, failed, others, until in [
                (ANSWERED, 16, 0, 16, 0),
                (FRESH, 16, 0, 16, 16),
                (ANSWERED, 8, 8, 16, 16),
                (ANSWERED, 12, 1, 14, 16),
                (ANSWERED, 12, 1, 15, 0),  # one in 13 of them fails, and 16 in 28 of all
            ]
        ],
    ],
)
def test_until_which_failure_in_a_row_it_is_the_services_fault(meaning, cases, until) -> None:
    """A case is failures before, the standing, how many were answered and how many failed then."""
    evidence = known(*cases, before=Outcome(meaning))
    fail_again(evidence, 0, FRESH)
    assert [failure <= until for failure in range(1, 17)] == [
        evidence.is_shared(Outcome(meaning), 0.0, failure) for failure in range(1, 17)
    ]


def test_queries_that_failed_say_nothing_of_those_that_were_refused() -> None:
    """A full service refuses; its bad projects fail."""
    evidence = known(*BAD, before=FAILED)
    assert [evidence.is_shared(outcome, 0.0, 1) for outcome in (FAILED, REFUSED)] == [False, True]


@pytest.mark.parametrize(("now", "is_shared"), [(15.0, False), (15.1, True)])
def test_the_second_witness_is_heard_for_fifteen_seconds(now, is_shared) -> None:
    """After that, those that were answered could be in trouble, too."""
    evidence = known((0, ANSWERED, 16, 0), (0, FRESH, 0, 16), (1, IN_TROUBLE, 2, 3))
    assert is_shared is evidence.is_shared(REFUSED, now, 1)


def test_the_second_witness_says_nothing_of_refused_queries_that_are_sent_again() -> None:
    """They come in bursts, when the service is full; callers who ask now and then are rarely hit."""
    evidence = known((0, ANSWERED, 32, 0), (1, IN_TROUBLE, 20, 12))
    assert evidence.is_shared(REFUSED, 0.0, 1)


@pytest.mark.parametrize(("standing", "is_shared"), [(IN_TROUBLE, False), (ANSWERED, True)])
def test_the_second_witness_is_all_attempts_of_queries_that_were_answered_before(standing, is_shared) -> None:
    """If they fail when they are sent again, too, the service may have become full in the meantime."""
    evidence = known((0, ANSWERED, 16, 0), (0, FRESH, 0, 16), (1, standing, 1, 8))
    assert is_shared is evidence.is_shared(REFUSED, 0.0, 1)


@pytest.mark.parametrize("is_outage", [False, True])
def test_a_failure_is_known_once_a_later_request_is_answered(is_outage) -> None:
    """Requests that were sent later say nothing yet. What begins an outage was the service's, and cost nothing."""
    evidence, told = known((0, FRESH, 16, 0)), list[bool]()
    troubles = [fail_again(evidence, number % 2, FRESH, number=number) for number in range(16)]
    if is_outage:
        evidence.drop_row(0.0)
    for number in (0, 4, 10):
        evidence.answered(0.0, None, FRESH, number)
        told.append(evidence.is_shared(REFUSED, 0.0, 1))
    assert [True, True, is_outage] == told
    assert [0.0 if is_outage else 1.0] * 16 == [trouble.spent for trouble in troubles]


@pytest.mark.parametrize(("now", "is_known"), [(60.0, True), (60.1, False)])
def test_a_share_is_known_for_a_minute(now, is_known) -> None:
    bad = known(*BAD)
    assert is_known is not bad.is_shared(REFUSED, now, 1)
    bad.answered(now, Trouble(now, failures=1, outcome=REFUSED), IN_TROUBLE, 1)
    assert is_known is not bad.is_shared(REFUSED, now, 1)


@pytest.mark.parametrize(("now", "cost"), [(15.0, 0.16), (15.1, 1.0)])
def test_how_often_queries_fail_lately_is_known_for_15_seconds(now, cost) -> None:
    assert pytest.approx(cost, abs=0.01) == known((0, FRESH, 16, 16)).cost(FAILED, now, 1)


def test_the_latest_cases_count() -> None:
    """Eight answers after a hundred failures are a quarter of those that a share remembers, until others follow."""
    evidence, told = known((0, FRESH, 20, 0), (1, IN_TROUBLE, 0, 100), (0, FRESH, 1, 0)), list[bool]()
    for failed in [0] * 8 + [8]:
        for _ in range(failed):
            fail_again(evidence, 1, IN_TROUBLE)
        evidence.answered(0.0, None if failed else Trouble(0.0, failures=1, outcome=REFUSED), IN_TROUBLE, 1)
        told.append(evidence.is_shared(REFUSED, 0.0, 1))
    assert [False] * 7 + [True, False] == told


@pytest.mark.parametrize(
    ("failing", "cost", "attempts"), [(0, 1, 4), (3, 0.5, 8), (16, 0.15, 27), (29, 0.021, 188), (31, 0.0068, 587)]
)
def test_a_failure_costs_the_more_the_more_surprising_it_is(failing, cost, attempts) -> None:
    """With 4 attempts, a query is given up when the odds that it was only unlucky fall to 1 in 100 million."""
    evidence = known((0, FRESH, 31 - failing, failing), (1, IN_TROUBLE, 1, 0))
    fail_again(evidence, 0, FRESH)
    found, odds = evidence.cost(FAILED, 0.0, 1), max(0.01, (failing + 0.01) / 32)
    assert (pytest.approx(cost, rel=0.03), attempts) == (found, ceil(4 / found))
    assert odds**attempts < 1.0001e-8 < odds ** (attempts - 1)
    assert 2 * found == evidence.cost(Outcome("failed", cost=2), 0.0, 1)  # a timeout


@pytest.mark.parametrize(
    ("failing", "answered", "cost"), [(16, 0, 0.64), (16, 4, 0.3), (16, 16, 0.16), (4, 4, 0.7), (4, 16, 0.45)]
)
def test_what_a_failure_costs_if_queries_seldom_succeed_when_they_are_sent_again(failing, answered, cost) -> None:
    """It costs more, because the failure is then less likely to be the service's."""
    evidence = known((0, FRESH, 32 - failing, failing), (1, IN_TROUBLE, answered, 16 - answered))
    fail_again(evidence, 0, FRESH)
    assert pytest.approx(cost, abs=0.01) == evidence.cost(REFUSED, 0.0, 1)


def waits_of(
    error: gs.GalileoError,
    policy: Retry = Retry(),  # noqa: B008  # frozen
    *,
    cost: float = 1.0,  # of a failure, relative to that of a query that fails alone
    is_own: bool = True,
    is_single: bool = False,
    draw: Callable[[float], float] = lambda most: most,
    took: float = 0.0,  # seconds of each attempt
    at_most: int = 1_000,
) -> list[float]:
    """The waits of a count whose attempts all end with the same error, until it is given up; others are answered."""
    queries, waits, now, outcome = Queries(policy), list[float](), 100.0, outcome_of(error)
    queries.jitter, budget = draw, Budget(patience=policy.patience, is_single=is_single)
    while len(waits) < at_most:
        queries.answered("other", now)
        trouble = queries.failed("own", now, now)
        trouble.is_own = is_own
        queries.charge(trouble, now, outcome, cost * outcome.cost)
        if queries.gives_up(trouble, now, budget, 100.0):
            break
        waits.append(trouble.not_before - now)
        now = trouble.not_before + took
    return waits


# ---- rule 1: fresh or in trouble -------------------------------------------------------------------------------------


def fail(queries: Queries, query: object, now: float, outcome: Outcome = Outcome("failed")) -> Trouble:  # noqa: B008
    """Lets a query fail; returns its trouble."""
    trouble = queries.failed(query, now, now)
    queries.charge(trouble, now, outcome, 1.0)
    return trouble


def test_a_query_is_in_trouble_until_it_is_answered():
    """All its counts share one trouble."""
    queries, told = Queries(Retry()), list[tuple[int, bool]]()
    trouble = fail(queries, "own", 1.0)
    assert trouble is fail(queries, "own", 2.0) is queries.trouble("own", 3.0)
    for act, query in ((queries.answered, "own"), (queries.answered, "other"), (fail, "own"), (fail, "other")):
        told.append((queries.standing(query, 3.0), queries.some_are_answered(3.0)))
        met = act(query, 2.0 + len(told)) if act != fail else fail(queries, query, 5.0)
        assert (met is trouble) is (len(told) == 1)
    assert [(IN_TROUBLE, False), (FRESH, True), (ANSWERED, True), (ANSWERED, True)] == told
    assert not queries.some_are_answered(5.0)
    assert (4.0, 3.0) == (queries.answered_at, queries.helped_at)


@pytest.mark.parametrize(("asked", "until"), [(0.0, 60.0), (30.0, 90.0)])
def test_what_is_known_of_a_query_is_forgotten_after_a_minute(asked, until):
    """From the end of its Retry-After, and not while one of its counts is sent, or waits for that."""
    queries = Queries(Retry())
    queries.jitter = lambda _: 0.0
    for query, at in (("good", -30.0), ("old", -30.0), ("good", 0.0), ("bad", 0.0)):
        queries.answered(query, at)
    trouble = fail(queries, "bad", 0.0, Outcome("refused", retry_after=asked))
    assert [True, False] == [queries.some_are_in_trouble(now) for now in (59.9, 60.0)]
    assert [ANSWERED, FRESH] == [queries.standing("good", now) for now in (59.9, 60.0)]
    assert [True, False] == [queries.some_are_answered(now) for now in (59.9, 60.0)]
    trouble.is_led = True
    assert IN_TROUBLE == queries.standing("bad", 1_000.0)
    trouble.is_led = False
    assert [IN_TROUBLE, FRESH] == [queries.standing("bad", now) for now in (until, until + 0.1)]
    assert trouble is not queries.failed("bad", until + 0.1, until)


@pytest.mark.parametrize("is_led", [False, True])
def test_the_latest_queries_are_known(is_led):
    """However many there are; and one is never forgotten while it is sent, or waits for that."""
    queries = Queries(Retry())
    fail(queries, "first", 0.0).is_led = is_led
    for number in range(2_000):
        fail(queries, number, 0.0)
        queries.answered(-2 - number, number / 100)
    answered = [queries.standing(query, 20.0) for query in (-2_001, -1_002, -1_001)]  # a thousand of those
    assert [ANSWERED, ANSWERED, FRESH] == answered
    expected = [IN_TROUBLE if is_led else FRESH, FRESH, IN_TROUBLE]
    assert expected == [queries.standing(query, 0.0) for query in ("first", 0, 1_999)]


def test_all_answers_of_the_last_two_seconds_are_known() -> None:
    """A caller who polls is known beside a fan-out, however fast that is."""
    queries = Queries(Retry())
    for number in range(4_000):
        queries.answered(number, number / 1_000)
    assert [FRESH, ANSWERED, ANSWERED] == [queries.standing(query, 4.0) for query in (1_990, 2_010, 3_999)]


# ---- rule 9: how long a query waits, and when it is given up ---------------------------------------------------------

UNTIL_8 = [0, 0.25, 0.75, 1.75, 3.75, 7.75, 8, 8]
SOON = [0, 0.25, 0.25, 0.265, 0.4025, 0.6087, 0.9181, 1.3822, 2.0783, 3, 3]  # half of the time so far
LEAST = [0, 0.05, 0.125, *[0.15] * 16]


@pytest.mark.parametrize(
    ("error", "policy", "options", "waits"),
    [
        *[(status(number), Retry(attempts=9), {}, UNTIL_8) for number in (500, 503)],
        (status(503), Retry(), {"cost": 0.5}, [0.25 * (2 ** (number / 2) - 1) for number in range(7)]),
        (status(503), Retry(), {"is_own": False, "took": 0.01}, SOON),
        *[
            (status(number), Retry(attempts=20, **given), {"draw": lambda _: 0.0, "took": 0.1}, LEAST)
            for number in (500, 503)
            for given in ({"backoff": 0}, {"max_backoff": 0}, {})
        ],
        *[(status(number, Retry_After="2"), Retry(), {}, [2.15] * 10) for number in (429, 503, 500)],
        *[(status(number, Retry_After="2"), Retry(), {"draw": lambda _: 0.0}, [2] * 10) for number in (429, 503, 500)],
        (status(429, Retry_After="5"), Retry(max_retry_after=5), {"draw": lambda _: 0.0}, [5] * 3),
        (status(503, Retry_After="0"), Retry(attempts=9), {}, UNTIL_8),  # which names no time
        (status(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT"), Retry(attempts=9), {}, UNTIL_8),
    ],
)
def test_how_long_a_query_waits(error, policy, options, waits):
    """
    The first retry doesn't wait. The bound doubles with each attempt spent, up to `max_backoff`; if a full service
    refuses, the query learns soon that it is taken. Half of the time so far is waited for in any case, up to 0.15 s.
    A Retry-After is never cut short, and counts with the same one come back within 0.15 s.
    """
    assert pytest.approx(waits, abs=0.001) == waits_of(error, policy, at_most=len(waits), **options)


@pytest.mark.parametrize(
    ("error", "policy", "cost", "sent"),
    [
        *[(status(500), Retry(attempts=attempts), 1, attempts) for attempts in (1, 2, 20)],
        *[(status(500), Retry(), cost, sent) for cost, sent in ((0.5, 8), (0.15, 27))],
        *[(error, Retry(), 1, 2) for error in (status(504), TRANSPORT["timeout"])],  # they also took the service's time
        (status(429, Retry_After="5.1"), Retry(max_retry_after=5), 0, 1),
    ],
)
def test_a_count_that_fails_is_given_up_once_its_attempts_are_spent(error, policy, cost, sent):
    """However long that takes, and whoever waits for it; or if it is asked to wait for too long."""
    for is_single in (False, True):
        assert sent == len(waits_of(error, policy, cost=cost, is_single=is_single)) + 1


SPENT, CHEAP = {"spent": 4.0}, {"spent": 3.9}
CROWDED = {"is_crowded": True}
ASKED, FAILS, SINGLE = {"asked": 10.0}, {"meaning": "failed"}, {"is_single": True, "spent": 9.0}


@pytest.mark.parametrize(
    ("case", "until"),
    [
        (SPENT, 190.0),
        (SPENT | {"began": 110.0}, 200.0),
        (SPENT | {"helped_at": 95.0}, 275.0),  # sending queries again has helped
        (SPENT | {"is_own": False}, inf),
        (SPENT | ASKED, 190.0),
        (CHEAP, inf),
        (CHEAP | FAILS, inf),
        (SPENT | FAILS, 0.0),
        (SINGLE, 140.0),
        (SINGLE | ASKED, 130.0),
        (SINGLE | {"spent": 0.0, "is_own": False}, 140.0),
        (SINGLE | CHEAP | FAILS, inf),
        *[({"answered_at": at} | case, end) for at, end in ((99.0, 190.0), (120.0, 210.0)) for case in (CHEAP, FAILS)],
        (SINGLE | CHEAP | FAILS | {"answered_at": 99.0}, 190.0),
        (ASKED | {"answered_at": 99.0}, 180.0),
        (CROWDED, 103.0),
        (CROWDED | {"began": 110.0}, 113.0),
        (CROWDED | {"first": 98.0}, 101.0),
        (CROWDED | {"answered_at": 102.7}, 103.0),
        (CROWDED | {"answered_at": 99.0}, 190.0),  # the others aren't answered either
        (CROWDED | {"helped_at": 95.0}, 105.0),
        (CROWDED | ASKED, 0.0),
        (CROWDED | ASKED | {"answered_at": 95.0}, 0.0),  # the others were answered before all waited
        (CROWDED | ASKED | {"is_own": False}, inf),
        (CROWDED | SPENT | {"patience": 2.0}, 102.0),  # its patience ends before
        (CROWDED | {"is_own": False, "answered_at": 106.0}, 196.0),
    ],
    ids=str,
)
def test_when_a_count_with_a_patience_of_90_seconds_is_given_up(case, until):
    """It began at 50, and its query has failed since 100; while others are answered, only for reasons of its own."""
    case = {"meaning": "refused", "asked": 0.0, "spent": 0.0, "is_own": True, "is_single": False, "began": 50.0} | case
    for now in (100.0, 1_000.0) if until in (0.0, inf) else (until - 0.01, until):
        queries = Queries(Retry())
        queries.jitter = lambda _: 0.0
        queries.failed("helped", 0.0, 0.0)
        queries.answered("helped", case.get("helped_at", 0.0))
        queries.answered("other", case.get("answered_at", now))
        trouble = queries.failed("own", 100.0, case.get("first", 100.0))
        trouble.is_own = case["is_own"]
        queries.charge(trouble, now, Outcome(case["meaning"], retry_after=case["asked"]), case["spent"])
        budget = Budget(patience=case.get("patience", 90.0), is_single=case["is_single"])
        is_crowded = case.get("is_crowded", False)
        assert (now >= until) is queries.gives_up(trouble, now, budget, case["began"], is_crowded=is_crowded)


@virtual_time
async def test_the_last_answer_is_raised_rather_than_the_disconnects_after_it():
    sky = Scripted(lambda _, number: refusal() if number == 1 else DisconnectedError("lost"))
    async with sky.client(retry=Retry(patience=0.3)) as galileo:
        error = await failure(galileo)
    assert (type(error), error.status) == (ServerError, 503)
    first, *others = [type(attempt.error) for attempt in error.attempts]
    assert (first, set(others)) == (ServerError, {DisconnectedError})


@pytest.mark.parametrize(
    ("outcomes", "attempts"),
    [
        ([401, 200], 4),
        ([401, 500, 500, 500, 500], 4),
        ([500, 401, 200], 4),
        ([401, 401], 4),
        ([401, 500, 401, 500, 401, 200], 4),
        ([401, 500, 401, 401], 4),
        ([401], 1),
    ],
    ids=str,
)
@virtual_time
async def test_a_refused_token_costs_no_attempt(outcomes, attempts):
    """With a login, each 401 is followed by one more attempt, with a new token; two 401s in a row end the count."""
    tried = iter([*outcomes, 200])
    token = Response(200, {}, b'{"access_token": "t", "total_count": 7}')
    sky = Scripted(others={"": lambda *_: token, PROJECT: lambda *_: Response(next(tried), {}, token.body)})
    heard: list[int | None] = []
    arguments = {"auth": gs.PasswordAuth("ann", "pw"), "retry": Retry(attempts=attempts)}
    async with sky.client(on_attempt=lambda attempt: heard.append(attempt.status), **arguments) as galileo:
        if outcomes[-1] == 200:
            assert await galileo.count(PROJECT) == 7
        else:
            assert (await failure(galileo)).status == outcomes[-1]
    assert heard == outcomes
    assert sky.by_project[""] == 1 + outcomes[:-1].count(401)


@virtual_time
async def test_a_service_that_asks_everybody_for_an_hour_is_probed_for_as_long_as_patience_lasts():
    """After that, all fail together, with its last answer."""
    sky = Scripted(lambda *_: refusal(429, 3600))
    cost = await cost_of_new(sky, 2_000)
    assert 90 - 3 < cost.seconds < 90
    assert {(type(error), error.retry_after) for error in cost.report.errors} == {(RateLimitedError, 3600)}
    assert len({error.query.project_id for error in cost.report.errors}) == cost.lost == 2_000
    assert sky.requests < 70


# ---- how a Retry-After is read ---------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("999999999", 999_999_999),
        ("Tue, 24 Nov 2026 12:00:01 GMT", 1),
        ("Tue, 24 Nov 2026 12:01:00 +0000", 60),
        ("Tue, 24 Nov 2026 14:00:05 +0200", 5),
        ("Tue, 24 Nov 2026 12:00:07 -0000", 7),
        ("Tuesday, 24-Nov-26 12:00:02 GMT", 2),
        ("Tue Nov 24 12:00:03 2026", 3),
        ("Tue, 24 Nov 2026 11:59:59 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        *[(text, None) for text in ("", " ", "-5", "+5", "abc", "inf", "nan", "1e9", "0x10", "1_000", "1,5", "1 2")],
        *[(text, None) for text in (".5", "٣", "²", "\x1c1", "9" * 5000)],
        ("Tue, 24 Nov 2026 25:00:00 GMT", None),
        ("Tue, 31 Feb 2026 12:00:00 GMT", None),
        ("Tue, 24 Nov 99999 12:00:00 GMT", None),
        ("Tue, 24 Nov 2026 12:00:00 +99999999999999999999", None),
    ],
    ids=lambda value: str(value)[:32],
)
def test_retry_after_in_all_its_forms(value, seconds):
    assert retry_after(value, NOW) == seconds


ODD_NUMBERS = r"[-+]?[0-9]{0,40}(\.[0-9]*)?(e[0-9]+)?"
ODD_DATES = r"(Tue,? )?-?[0-9]{1,2} (Nov|13|) [0-9]{1,13} [0-9]{1,2}:[0-9]{1,2}:[0-9]{1,30} (GMT|[-+][0-9]{4,30})"


@example("Tue, 24 Nov 2026 12:00:00 -99999999999999999999")
@given(st.one_of(st.text(max_size=40), *[st.from_regex(odd, fullmatch=True) for odd in (ODD_DATES, ODD_NUMBERS)]))
def test_a_retry_after_of_any_text_is_seconds_or_nothing(value):
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < inf


def test_a_date_is_measured_against_the_answers_own(monkeypatch):
    """Where the answer has a Date header, a Retry-After date is measured against it, whatever this machine's clock."""
    stop_wall_clock(monkeypatch, NOW + timedelta(hours=3))
    later = format_datetime(NOW + timedelta(seconds=5), usegmt=True)
    assert status(503, Retry_After=later, Date=format_datetime(NOW, usegmt=True)).retry_after == 5
    assert status(503, Retry_After=later, Date="Tue, 24 Nov 2026 14:00:00 +0200").retry_after == 5
    assert status(503, Retry_After=later).retry_after == 0
    stop_wall_clock(monkeypatch, NOW)
    for unreadable in ("", "now", "Tue, 24 Nov 2026 25:00:00 GMT", "Tue, 24 Nov 2026 12:00:00 +9999999999"):
        assert status(503, Retry_After=later, Date=unreadable).retry_after == 5


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 06:28:00 GMT"}, 3600.0),
        ({"retry-after": "3600"}, 3600.0),
    ],
    ids=["date alone", "with Date", "seconds"],
)
def test_a_date_is_no_longer_than_the_user_allows_if_the_response_has_no_date(headers: dict[str, str], asked: float):
    """Without it, the client's clock is compared with the service's, and they can be an hour apart."""
    error = RateLimitedError("no", status=429, headers=headers, body="", retry_after=3600.0)
    assert asked == outcome_of(error, 60.0).retry_after
