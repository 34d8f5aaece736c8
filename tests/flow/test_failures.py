"""Rules 1, 2 and 9: whether a failure is shared or its query's own, and whether and when the query is sent again."""

from collections.abc import Callable
from math import ceil, inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clock import run, virtual_time
from support.inside import in_flight
from support.network import TRANSPORT, Scripted, cost_of_new, refusal, status
from support.network import outcome_of as outcome_of_count
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import ConnectError, RateLimitedError, Retry
from galileo_sessions.api.responses import Response
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, Queries, Trouble

REFUSED, FAILED = Outcome("refused"), Outcome("failed")
BAD = ((0, FRESH, 20, 0), (1, IN_TROUBLE, 0, 8))  # a service that is well, but doesn't answer what failed before

# ---- rule 2: whose fault ---------------------------------------------------------------------------------------------


def fail_again(evidence: Evidence, failures: int, standing: int, before: Outcome = REFUSED) -> Trouble:
    """Lets a query fail that has failed so often before, with the same outcome; it costs an attempt."""
    trouble = Trouble(0.0, failures, outcome=before)
    evidence.failed(trouble, standing)
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
            evidence.answered(0.0, Trouble(0.0, failures, outcome=before), standing, ends_row=True)
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
            ]
        ],
        # Queries are compared with those that failed once, 2 or 3 times, 4 to 7 times, or more.
        *[
            ("refused", [(0, FRESH, 20, 0), (failures, IN_TROUBLE, 0, 8)], first - 1)
            for failures, first in [(1, 1), (2, 2), (3, 2), (4, 4), (7, 4), (8, 8), (100, 8)]
        ],
        # Until queries were sent again, a refusal is the service's, and a failure only if a quarter of the others fail.
        *[(meaning, [(0, FRESH, *case)], 16) for meaning in ("refused", "throttled") for case in ((0, 0), (40, 0))],
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
def test_the_second_witness_knows_those_that_failed_as_often(now, is_shared) -> None:
    """Even if hardly any fresh ones fail; for fifteen seconds, because it could be in trouble by then."""
    evidence = known((0, ANSWERED, 16, 0), (1, IN_TROUBLE, 2, 3))
    assert is_shared is evidence.is_shared(REFUSED, now, 1)
    assert evidence.is_shared(REFUSED, now, 2)


@pytest.mark.parametrize("is_outage", [False, True])
def test_a_row_of_failures_is_known_once_a_later_request_is_answered(is_outage) -> None:
    """An answer to an earlier one doesn't end it. If it begins an outage, it was the service's, and cost nothing."""
    evidence, told = known((0, FRESH, 16, 0)), list[bool]()
    troubles = [fail_again(evidence, failures, FRESH) for failures in [0, 1] * 8]
    if is_outage:
        evidence.drop_row(0.0)
    for ends_row in (False, True):
        evidence.answered(0.0, None, FRESH, ends_row=ends_row)
        told.append(evidence.is_shared(REFUSED, 0.0, 1))
    assert [True, is_outage] == told
    assert [0.0 if is_outage else 1.0] * 16 == [trouble.spent for trouble in troubles]


@pytest.mark.parametrize(("now", "is_known"), [(60.0, True), (60.1, False)])
def test_a_share_is_known_for_a_minute(now, is_known) -> None:
    bad = known(*BAD)
    assert is_known is not bad.is_shared(REFUSED, now, 1)
    bad.answered(now, Trouble(now, 1, outcome=REFUSED), IN_TROUBLE, ends_row=True)
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
        evidence.answered(0.0, None if failed else Trouble(0.0, 1, outcome=REFUSED), IN_TROUBLE, ends_row=True)
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
    ("failing", "answered", "cost"),
    [
        (16, 0, 0.64),
        (16, 1, 0.49),
        (16, 2, 0.04),  # from here on, it is the service's
        (16, 4, 0.07),
        (16, 8, 0.15),
        (16, 16, 0.16),
        (4, 0, 1.0),
        (4, 4, 0.7),  # too few of the fresh ones fail
        (4, 16, 0.45),
    ],
)
def test_what_a_failure_costs_if_queries_seldom_succeed_when_they_are_sent_again(failing, answered, cost) -> None:
    """It costs more, but it costs less if a quarter of the fresh ones fail, too, and the failure is the service's."""
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
        trouble = queries.failed("own", now)
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
    trouble = queries.failed(query, now)
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


def test_it_is_known_for_a_minute_that_some_are_in_trouble():
    """Also if nobody asks for them again."""
    queries = Queries(Retry())
    queries.failed("q", 10.0)
    assert [True, False] == [queries.some_are_in_trouble(now) for now in (69.0, 71.0)]


@pytest.mark.parametrize(("asked", "until"), [(0.0, 60.0), (30.0, 90.0)])
def test_what_is_known_of_a_query_is_forgotten_after_a_minute(asked, until):
    """From the end of its Retry-After, and not while one of its counts is sent, or waits for that."""
    queries = Queries(Retry())
    queries.jitter = lambda _: 0.0
    for query, at in (("good", -30.0), ("old", -30.0), ("good", 0.0), ("bad", 0.0)):
        queries.answered(query, at)
    trouble = fail(queries, "bad", 0.0, Outcome("throttled", retry_after=asked))
    assert [ANSWERED, FRESH] == [queries.standing("good", now) for now in (59.9, 60.0)]
    assert [True, False] == [queries.some_are_answered(now) for now in (59.9, 60.0)]
    trouble.is_led = True
    assert IN_TROUBLE == queries.standing("bad", 1_000.0)
    trouble.is_led = False
    assert [IN_TROUBLE, FRESH] == [queries.standing("bad", now) for now in (until, until + 0.1)]
    assert trouble is not queries.failed("bad", until + 0.1)


@pytest.mark.parametrize("is_led", [False, True])
def test_the_latest_queries_are_known(is_led):
    """However many there are; and one is never forgotten while it is sent, or waits for that."""
    queries = Queries(Retry())
    fail(queries, "first", 0.0).is_led = is_led
    for number in range(20_000):
        fail(queries, number, 0.0)
        queries.answered(-2 - number, 0.0)
    assert [ANSWERED, FRESH] == [queries.standing(query, 0.0) for query in (-20_001, -2)]
    expected = [IN_TROUBLE if is_led else FRESH, FRESH, IN_TROUBLE]
    assert expected == [queries.standing(query, 0.0) for query in ("first", 0, 19_999)]


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
        (CROWDED, 102.85),  # its next attempt comes after 103
        (CROWDED | {"began": 110.0}, 112.85),
        (CROWDED | {"first": 98.0}, 100.85),
        (CROWDED | {"answered_at": 102.7}, 102.85),
        (CROWDED | {"answered_at": 99.0}, 190.0),  # the others aren't answered either
        (CROWDED | {"helped_at": 95.0}, 104.85),
        (CROWDED | ASKED, 0.0),
        (CROWDED | ASKED | {"is_own": False}, 0.0),
        (CROWDED | SPENT | {"patience": 2.0}, 102.0),  # its patience ends before
        (CROWDED | {"is_own": False, "helped_at": 105.0}, 114.85),
    ],
    ids=str,
)
def test_when_a_count_with_a_patience_of_90_seconds_is_given_up(case, until):
    """It began at 50, and its query has failed since 100; while others are answered, only for reasons of its own."""
    case = {"meaning": "refused", "asked": 0.0, "spent": 0.0, "is_own": True, "is_single": False, "began": 50.0} | case
    for now in (100.0, 1_000.0) if until in (0.0, inf) else (until - 0.01, until):
        queries = Queries(Retry())
        queries.jitter = lambda _: 0.0
        queries.failed("helped", 0.0)
        queries.answered("helped", case.get("helped_at", 0.0))
        queries.answered("other", case.get("answered_at", now))
        trouble = queries.failed("own", 100.0)
        trouble.is_own = case["is_own"]
        queries.charge(trouble, now, Outcome(case["meaning"], retry_after=case["asked"]), case["spent"])
        trouble.began = case.get("first", 100.0)
        budget = Budget(patience=case.get("patience", 90.0), is_single=case["is_single"])
        is_crowded = case.get("is_crowded", False)
        assert (now >= until) is queries.gives_up(trouble, now, budget, case["began"], is_crowded=is_crowded)


# ---- whom a Retry-After binds ----------------------------------------------------------------------------------------


@virtual_time
async def test_a_retry_after_holds_for_the_refused_count_while_others_pass():
    sky = Scripted(lambda _, number: refusal(429, 2) if number == 1 else None)
    cost = await cost_of_new(sky, 50)
    assert cost.lost == 0
    (again,) = [result for result in cost.report.results if len(result.attempts) == 2]
    assert 2 <= again.attempts[1].waited < 2.2
    assert sky.arrivals[-2] < 1


@virtual_time
async def test_a_retry_after_above_the_cap_is_only_the_counts_own_error():
    """Others are counted meanwhile, and nobody waits for it."""
    sky = Scripted(lambda _, number: refusal(429, 3600) if number % 5 == 1 else None, 0.1)
    cost = await cost_of_new(sky, 100)
    assert cost.seconds < 10
    errors = [(type(error), error.retry_after, len(error.attempts)) for error in cost.report.errors]
    assert [(RateLimitedError, 3600, 1)] * 20 == errors
    assert sky.requests == 100


@virtual_time
async def test_a_service_that_asks_everybody_for_an_hour_is_probed_for_as_long_as_patience_lasts():
    """After that, and a quarter more for those that were never sent, all fail together, with its last answer."""
    sky = Scripted(lambda *_: refusal(429, 3600))
    cost = await cost_of_new(sky, 2_000)
    assert 110 < cost.seconds < 112.6
    assert {(type(error), error.retry_after) for error in cost.report.errors} == {(RateLimitedError, 3600)}
    assert len({error.query.project_id for error in cost.report.errors}) == cost.lost == 2_000
    assert sky.requests < 70


# ---- laws ------------------------------------------------------------------------------------------------------------

RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]
ERRORS = st.one_of(
    st.sampled_from([*TRANSPORT.values()]),
    st.builds(
        lambda number, asked: status(number) if asked is None else status(number, Retry_After=str(asked)),
        st.sampled_from(RETRIED),
        st.one_of(st.none(), st.integers(0, 90)),
    ),
)


@given(
    outcomes=st.lists(st.one_of(st.none(), ERRORS), max_size=60),
    policy=st.builds(Retry, attempts=st.integers(1, 20), backoff=st.floats(0, 10), patience=st.floats(0, 100)),
    jitter=st.floats(0, 1),
    cost=st.floats(0, 2),
    is_single=st.booleans(),
)
def test_for_any_sequence_of_answers(outcomes, policy, jitter, cost, is_single):
    """Waits keep their bounds, and a count is given up only for a reason."""
    queries, now, budget = Queries(policy), 0.0, Budget(patience=policy.patience, is_single=is_single)
    queries.jitter = lambda bound: bound * jitter
    for error in outcomes:
        if error is None:
            queries.answered("other", now)
            continue
        outcome, trouble = outcome_of(error), queries.failed("own", now)
        queries.charge(trouble, now, outcome, cost)
        asked, is_spent = outcome.retry_after or 0.0, trouble.spent >= policy.attempts
        if queries.gives_up(trouble, now, budget, 0.0):
            assert policy.attempts == 1 or is_spent or asked > 60 or now + asked + 0.15 >= policy.patience
            break
        assert not is_spent or outcome.meaning != "failed"
        assert now + asked <= trouble.not_before <= now + (asked + 0.15 if asked else policy.max_backoff)
        now = trouble.not_before


COUNT, TOKEN = [Response(200, {}, body) for body in (b'{"total_count": 7}', b'{"access_token": "t"}')]
ANSWERS = st.one_of(
    st.just(COUNT),
    st.sampled_from([*TRANSPORT.values(), gs.TLSError("x")]),
    st.builds(
        lambda number, asked: Response(number, {} if asked is None else {"Retry-After": asked}, b"{}"),
        st.sampled_from([200, 302, 400, 401, 403, 404, 422, 500, 503, 504]),
        st.sampled_from([None, "x"]),
    ),
)


@example([Response(401, {}, b""), Response(503, {}, b"")], True)
@example([Response(503, {}, b""), Response(401, {}, b""), COUNT], True)
@example([Response(401, {}, b""), ConnectError("x")] * 2, True)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=6), logs_in=st.booleans())
def test_a_count_makes_four_attempts_at_most_unless_it_is_refused(answers, logs_in):
    """A refused count goes on until its patience is over, and a 401 is followed by one more attempt."""
    heard: list[gs.Attempt] = []
    script = {PROJECT: lambda _, number: answers[min(number, len(answers)) - 1], "": lambda *_: TOKEN}
    sky, auth = Scripted(latency=0.0, others=script), gs.PasswordAuth("ann", "pw") if logs_in else gs.ApiKeyAuth("k")

    async def count() -> None:
        async with sky.client(auth=auth, on_attempt=heard.append) as galileo:
            found, seconds = await outcome_of_count(galileo)
            assert in_flight(galileo) == 0
        assert found == 7 or found.attempts == tuple(heard)
        assert seconds < 10.1

    run(count())
    failed = [attempt for attempt in heard if attempt.error is not None]
    is_refused = any(each.status == 401 or outcome_of(each.error).meaning == "refused" for each in failed)
    assert 1 <= sky.by_project[PROJECT] <= (80 if is_refused else 4)
    assert [attempt.number for attempt in heard] == list(range(1, sky.by_project[PROJECT] + 1))
