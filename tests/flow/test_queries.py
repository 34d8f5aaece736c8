"""How each query fares, and whether and when it is sent again: decisions over values, for any sequence of answers."""

import itertools
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clock import run
from support.inside import in_flight
from support.network import TRANSPORT, Scripted, status
from support.network import outcome_of as outcome_of_count
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import ConnectError, Retry
from galileo_sessions.api.responses import Response
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.queries import ANSWERED, FRESH, IN_TROUBLE, Queries, Trouble


def most(seconds: float) -> float:
    """Chooses the longest wait."""
    return seconds


def waits_of(
    error: gs.GalileoError,
    policy: Retry = Retry(),  # noqa: B008  # frozen
    *,
    cost: float = 1.0,  # of a failure, relative to that of a query that fails alone
    is_own: bool = True,
    is_single: bool = False,
    draw: Callable[[float], float] = most,
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


# ---- how a query fares -----------------------------------------------------------------------------------------------


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


# ---- giving up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "attempts", "cost", "sent"),
    [
        *[(status(500), attempts, 1, attempts) for attempts in (1, 2, 20)],
        *[(status(500), 4, cost, sent) for cost, sent in ((0.5, 8), (0.15, 27))],
        *[(error, 4, 1, 2) for error in (status(504), TRANSPORT["timeout"])],  # they also took the service's time
    ],
)
def test_a_count_that_fails_is_given_up_once_its_attempts_are_spent(error, attempts, cost, sent):
    """However long that takes, and whoever waits for it."""
    for is_single in (False, True):
        assert sent == len(waits_of(error, Retry(attempts=attempts), cost=cost, is_single=is_single)) + 1


SPENT, CHEAP = {"spent": 4.0}, {"spent": 3.9}
CROWDED = {"is_crowded": True}
ASKED, FAILED, SINGLE = {"asked": 10.0}, {"meaning": "failed"}, {"is_single": True, "spent": 9.0}


@pytest.mark.parametrize(
    ("case", "until"),
    [
        (SPENT, 190.0),
        (SPENT | {"began": 110.0}, 200.0),
        (SPENT | {"helped_at": 95.0}, 275.0),  # sending queries again has helped
        (SPENT | {"is_own": False}, inf),
        (SPENT | ASKED, 190.0),
        (CHEAP, inf),
        (CHEAP | FAILED, inf),
        (SPENT | FAILED, 0.0),
        (SINGLE, 140.0),
        (SINGLE | ASKED, 130.0),
        (SINGLE | {"spent": 0.0, "is_own": False}, 140.0),
        (SINGLE | CHEAP | FAILED, inf),
        *[({"answered_at": at} | case, end) for at, end in ((99.0, 190.0), (120.0, 210.0)) for case in (CHEAP, FAILED)],
        (SINGLE | CHEAP | FAILED | {"answered_at": 99.0}, 190.0),
        (ASKED | {"answered_at": 99.0}, 180.0),
        (CROWDED, 102.85),  # its next attempt comes after 103
        (CROWDED | {"began": 110.0}, 112.85),
        (CROWDED | {"helped_at": 95.0}, 104.85),
        (CROWDED | ASKED, 0.0),
        (CROWDED | ASKED | {"is_own": False}, 110.0),
        (CROWDED | SPENT | {"patience": 2.0}, 102.0),  # its patience ends before
        (CROWDED | {"is_own": False, "helped_at": 105.0}, 115.0),
        (CROWDED | {"is_own": False, "is_outage": True}, inf),
        (CROWDED | ASKED | {"is_outage": True}, 0.0),
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
        budget = Budget(patience=case.get("patience", 90.0), is_single=case["is_single"])
        places = {name: case.get(name, False) for name in ("is_crowded", "is_outage")}
        assert (now >= until) is queries.gives_up(trouble, now, budget, case["began"], **places)


@pytest.mark.parametrize("cap", [0, 5, 60, 86_400])
def test_a_retry_after_above_the_cap_is_not_waited_for(cap):
    """`max_retry_after` is the longest Retry-After that is waited for; a longer one is the count's error."""
    policy = Retry(max_retry_after=cap, attempts=2)
    assert waits_of(status(429, Retry_After=str(cap)), policy, draw=lambda _: 0.0, at_most=1) == [cap]
    assert waits_of(status(429, Retry_After=f"{cap}.1"), policy) == []


# ---- how long --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [status(500), status(503)], ids=str)
def test_the_first_retry_does_not_wait_and_later_ones_double(error):
    """The bound doubles with each attempt spent, up to `max_backoff`."""
    assert waits_of(error, Retry(attempts=9), at_most=8) == [0, 0.25, 0.75, 1.75, 3.75, 7.75, 8, 8]
    expected = [0.25 * (2 ** (number / 2) - 1) for number in range(7)]
    assert waits_of(error, cost=0.5, at_most=7) == pytest.approx(expected)


def test_a_query_that_a_full_service_refuses_learns_soon_that_it_is_taken():
    """It waits for at most 3 s, and half of the time so far."""
    waits = waits_of(status(503), is_own=False, took=0.01, at_most=20)
    since = list(itertools.accumulate([wait + 0.01 for wait in waits], initial=0.0))
    expected = [min(3, 0.25 * (2**spent - 1), max(0.25, at / 2)) for spent, at in enumerate(since[:-1])]
    assert waits == pytest.approx([0, *expected[1:]])
    assert waits[-1] == 3


@pytest.mark.parametrize("number", [500, 503])
@pytest.mark.parametrize("arguments", [{"backoff": 0}, {"max_backoff": 0}, {}], ids=str)
def test_later_retries_wait_for_half_of_the_time_so_far_up_to_a_seventh_of_a_second(number, arguments):
    """Also without a backoff, or if chance chooses 0."""
    waits = waits_of(status(number), Retry(attempts=20, **arguments), draw=lambda _: 0.0, took=0.1, at_most=19)
    assert waits == pytest.approx([0, 0.05, 0.125, *[0.15] * 16])


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 2.0), (1.0, 2.15)], ids=["earliest", "latest"])
@pytest.mark.parametrize("number", [429, 503, 500])
def test_a_retry_after_is_never_cut_short(number, jitter, expected):
    """Counts with the same Retry-After come back within 0.15 s after it, however many attempts are spent."""
    waits = waits_of(status(number, Retry_After="2"), draw=lambda bound: bound * jitter, at_most=10)
    assert waits == [pytest.approx(expected)] * 10


def test_a_retry_after_of_nothing_is_at_once():
    """A past date or 0 names no time, so the backoff holds."""
    for asked in ("0", "Sun, 06 Nov 1994 08:49:37 GMT"):
        assert waits_of(status(503, Retry_After=asked)) == waits_of(status(503))


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
