"""Whether a count is retried, and when: decisions over values, for any sequence of answers."""

import asyncio
import itertools
from math import log

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clock import run
from support.inside import in_flight, replace_post, set_jitter, width
from support.policy import MANY, TRANSPORT, failing, most, status, waits_of
from support.sockets import PROJECT

from galileo_sessions import (
    ApiKeyAuth,
    Attempt,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    DecodeError,
    FilterError,
    GalileoError,
    GalileoSessions,
    LoginError,
    PasswordAuth,
    ProtocolError,
    ResponseError,
    Retry,
    TLSError,
)
from galileo_sessions.api.responses import Response, final
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import outcome_of
from galileo_sessions.flow.policy import Retries

# ---- what is tried again ---------------------------------------------------------------------------------------------


RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]
FOR_GOOD = [
    TLSError("x"),
    final(DecodeError("x")),
    ConfigurationError("x"),
    FilterError("x"),
    DeadlineExceededError("x"),
    LoginError("x", status=401),
    LoginError("x", status=200),
    final(ProtocolError("too long")),
    status(404, Retry_After="1"),
    *[status(number) for number in (302, 400, 401, 403, 404, 409, 422, 501, 599)],
]


def test_statuses_that_are_tried_again():
    """Exactly 408, 425, 429, 500, 502 to 504, 520 to 524 and 529 are retried."""
    assert [number for number in range(300, 600) if waits_of(status(number), at_most=1)] == RETRIED


@pytest.mark.parametrize("error", [*TRANSPORT.values(), DecodeError("x")], ids=[*TRANSPORT, "a page"])
def test_trouble_on_the_way_is_tried_again(error):
    """Disconnects, connect errors, attempt timeouts, malformed HTTP and pages of a proxy are retried."""
    assert waits_of(error, at_most=1)


@pytest.mark.parametrize("error", FOR_GOOD, ids=lambda error: type(error).__name__)
def test_what_would_fail_again_is_not_tried_again(error):
    """An untrusted certificate, a wrong body, a caller's mistake or a refused login isn't retried."""
    assert waits_of(error, share=1) == []


@pytest.mark.parametrize(
    ("code", "retriable", "meaning"),
    [(500, True, "refused"), (501, True, "refused"), (501, False, "success"), (400, True, "success")],
)
def test_a_5xx_that_the_service_calls_retriable_is_a_refusal(code, retriable, meaning):
    """`retriable: true` of a `standard_error` is believed for a 5xx."""
    assert meaning == outcome_of(ResponseError("x", status=code, retriable=retriable)).meaning


@pytest.mark.parametrize("error", [status(503), status(429, Retry_After="1"), status(500)], ids=str)
def test_with_one_attempt_nothing_is_sent_twice(error):
    """`attempts=1` holds for refusals and for a Retry-After, too."""
    assert waits_of(error, Retry(attempts=1), share=1) == []


# ---- whose trouble it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "cost"), [(0, 1), (0.1, 0.51), (0.5, 0.15), (0.9, 0.0251), (0.98, 0.0069)])
def test_a_failure_costs_the_more_the_more_surprising_it_is(share, cost):
    """It costs log(f) / log(0.01) of an attempt, where f is the share of the others that fail."""
    retries = Retries(Retry(), MANY, most, "own", started=0.0, since=0.0)
    retries.next_wait(outcome_of(status(500)), 0.0, failing(share))
    assert retries.spent == pytest.approx(cost, rel=0.02)


@pytest.mark.parametrize(("failed", "attempts"), [(0, 4), (6, 8), (32, 27), (57, 160)])
def test_a_count_is_given_up_when_it_is_hardly_unlucky(failed, attempts):
    """With 4 attempts, it is given up when the odds of so many failures fall to 1 in 100 million."""
    assert len(waits_of(status(500), share=failed / 63)) + 1 == attempts
    odds = max(0.01, (failed + 0.01) / 64)  # this query counts as one of the others that succeed
    assert odds**attempts < 1.01e-8 < odds ** (attempts - 1)


@pytest.mark.parametrize("attempts", [1, 2, 4, 20])
def test_a_count_that_is_alone_has_its_attempts(attempts):
    """A failure costs a whole attempt if nothing says that others fail, too."""
    assert len(waits_of(status(500), Retry(attempts=attempts))) == attempts - 1


@pytest.mark.parametrize(("error", "attempts"), [(status(504), 2), (TRANSPORT["timeout"], 2), (status(408), 4)])
def test_a_timeout_costs_two_attempts(error, attempts):
    """It also took the service's time."""
    assert len(waits_of(error)) + 1 == attempts


# ---- patience --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_single", [False, True])
@pytest.mark.parametrize(
    "error", [status(503), status(429), status(429, Retry_After="2"), TRANSPORT["connect"]], ids=str
)
def test_a_refused_count_is_not_given_up_within_its_patience(error, is_single):
    """Although its attempts are spent."""
    waits = waits_of(error, took=0.1, is_single=is_single)
    next_one = outcome_of(error).retry_after if is_single else None  # which a single count doesn't wait for
    assert 90 <= sum(waits) + 0.1 * len(waits) + 1.1 * (next_one or 0) < 92.5


@pytest.mark.parametrize(("share", "is_single", "gives_up"), [(1, False, False), (1, True, True), (0, False, True)])
def test_a_target_is_not_given_up_after_its_patience_while_its_refusals_are_no_surprise(share, is_single, gives_up):
    """A single count is, and so is a target that is refused while others are counted."""
    waits = waits_of(status(429, Retry_After="1"), share=share, is_single=is_single, at_most=200)
    assert (len(waits) < 100) is gives_up


# ---- how long --------------------------------------------------------------------------------------------------------


def test_the_first_retry_does_not_wait_and_later_ones_double():
    """The bound doubles with each attempt spent, up to `max_backoff`."""
    assert waits_of(status(500), Retry(attempts=9)) == [0, 0.25, 0.75, 1.75, 3.75, 7.75, 8, 8]
    shared = waits_of(status(500), share=0.1)
    assert shared == pytest.approx([0.25 * (2 ** (number * log(6 / 64, 0.01)) - 1) for number in range(7)], rel=0.01)


@pytest.mark.parametrize("number", [500, 503])
def test_later_retries_wait_for_half_of_the_time_so_far_up_to_a_seventh_of_a_second(number):
    """Also without a backoff, or if chance chooses 0."""
    for arguments in ({"policy": Retry(attempts=20, backoff=0)}, {"policy": Retry(attempts=20), "draw": lambda _: 0.0}):
        waits = waits_of(status(number), took=0.1, at_most=19, **arguments)
        assert waits == pytest.approx([0, 0.05, 0.125, *[0.15] * 16])


def test_a_refused_count_learns_soon_that_the_service_is_back():
    """Within its patience it waits for at most half of the time so far, and tries once more before it gives up."""
    waits = waits_of(status(503), took=0.01)
    since = list(itertools.accumulate([wait + 0.01 for wait in waits], initial=0.0))
    expected = [min(8, 0.25 * (2**spent - 1), max(0.25, at / 2), 90 - at) for spent, at in enumerate(since[:-1])]
    assert waits == pytest.approx([0, *expected[1:]])
    assert since[-2] < 90 <= since[-1] < 90.1


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 2.0), (1.0, 2.15)], ids=["earliest", "latest"])
@pytest.mark.parametrize("number", [429, 503, 500])
@pytest.mark.parametrize("share", [0, 0.9])
def test_a_retry_after_is_never_cut_short(number, jitter, expected, share):
    """Counts with the same Retry-After come back within 0.15 s after it, however many attempts are spent."""
    error = status(number, Retry_After="2")
    waits = waits_of(error, draw=lambda bound: bound * jitter, share=share, at_most=10)
    assert waits == [pytest.approx(expected)] * 10


def test_a_retry_after_of_nothing_is_at_once():
    """A past date or 0 names no time, so the backoff holds."""
    for asked in ("0", "Sun, 06 Nov 1994 08:49:37 GMT"):
        assert waits_of(status(503, Retry_After=asked)) == waits_of(status(503))


@pytest.mark.parametrize("cap", [0, 5, 60, 86_400])
def test_a_retry_after_above_the_cap_is_not_waited_for(cap):
    """`max_retry_after` is the longest Retry-After that is waited for; a longer one is the count's error."""
    policy = Retry(max_retry_after=cap, attempts=2)
    assert waits_of(status(429, Retry_After=str(cap)), policy, draw=lambda _: 0.0, at_most=1) == [cap]
    assert waits_of(status(429, Retry_After=f"{cap}.1"), policy) == []


# ---- laws ------------------------------------------------------------------------------------------------------------


ERRORS = st.one_of(
    st.sampled_from([*TRANSPORT.values(), *FOR_GOOD]),
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
    is_single=st.booleans(),
)
def test_for_any_sequence_of_answers(outcomes, policy, jitter, is_single):
    """Waits keep their bounds, and a count is given up only for a reason."""
    evidence, now, spent = Evidence(), 0.0, 0.0
    budget = Budget(patience=policy.patience, is_single=is_single)
    retries = Retries(policy, budget, lambda bound: bound * jitter, "own", started=now, since=now)
    for number, error in enumerate(outcomes):
        if error is None:  # another query succeeds
            evidence.add(number, now, failed=False)
            continue
        evidence.add("own", now, failed=True)
        wait = retries.next_wait(outcome_of(error), now, evidence)
        assert retries.spent >= spent
        spent, asked = retries.spent, outcome_of(error).retry_after
        if wait is None:
            is_over = is_single and now + 1.1 * (asked or 0) >= policy.patience
            assert error in FOR_GOOD or policy.attempts == 1 or spent >= policy.attempts or is_over or (asked or 0) > 60
            break
        assert (asked or 0.0) <= wait <= (asked + 0.15 if asked else policy.max_backoff)  # 0 names no time
        assert spent < policy.attempts or outcome_of(error).meaning != "failed"
        now += wait


COUNT = Response(200, {}, b'{"total_count": 7}')

OUTCOMES = st.one_of(
    st.just(COUNT),
    st.sampled_from([*TRANSPORT.values(), TLSError("x")]),
    st.builds(
        lambda number, asked: Response(number, {} if asked is None else {"Retry-After": asked}, b"{}"),
        st.sampled_from([200, 302, 400, 401, 403, 404, 422, 500, 503, 504]),
        st.sampled_from([None, "x"]),
    ),
)


@example([Response(401, {}, b""), Response(503, {}, b"")], True)
@example([Response(503, {}, b""), Response(401, {}, b""), COUNT], True)
@example([Response(401, {}, b""), ConnectError("x")] * 2, True)
@given(outcomes=st.lists(OUTCOMES, min_size=1, max_size=6), logs_in=st.booleans())
def test_a_count_makes_four_attempts_at_most_unless_it_is_refused(outcomes, logs_in):
    """A refused count goes on until its patience is over, and a 401 is followed by one more attempt."""

    async def play() -> None:
        sent: list[str] = []
        heard: list[Attempt] = []

        async def post(path: str) -> Response:
            if path == "/login":
                return Response(200, {}, b'{"access_token": "t"}')
            sent.append(path)
            outcome = outcomes[min(len(sent), len(outcomes)) - 1]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        auth = PasswordAuth("ann", "pw") if logs_in else ApiKeyAuth("k")
        async with GalileoSessions(auth=auth, base_url="http://127.0.0.1:9", on_attempt=heard.append) as galileo:
            replace_post(galileo, post)
            set_jitter(galileo, lambda bound: bound / 2)
            listed, began = None, asyncio.get_running_loop().time()
            try:
                assert await galileo.count(PROJECT) == 7
            except GalileoError as error:
                listed = error.attempts
            assert listed in (None, tuple(heard))
            failed = [attempt for attempt in heard if attempt.error is not None]
            is_refused = any(
                attempt.status == 401 or outcome_of(attempt.error).meaning == "refused" for attempt in failed
            )
            assert 1 <= len(sent) <= (80 if is_refused else 4)
            assert asyncio.get_running_loop().time() - began < 10.1
            assert [attempt.number for attempt in heard] == list(range(1, len(sent) + 1))
            assert 1 <= width(galileo) <= 256
            assert in_flight(galileo) == 0

    run(play())
