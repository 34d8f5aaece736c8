"""Whether a count is retried, and when: decisions over values, for any sequence of answers."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.clock import run
from support.decisions import TRANSPORT, retrying, status
from support.inside import in_flight, replace_post, retry_tokens, set_jitter, width
from support.servers import PROJECT

from galileo_sessions import (
    ApiKeyAuth,
    Attempt,
    ConfigurationError,
    DeadlineExceededError,
    DecodeError,
    DisconnectedError,
    FilterError,
    GalileoError,
    GalileoSessions,
    LoginError,
    PasswordAuth,
    Retry,
    ServerError,
    TLSError,
)
from galileo_sessions.client.policy import RetryBudget
from galileo_sessions.client.responses import Response


def test_the_defaults():
    """Four attempts, waits from 0.25 s to 8 s, at most 60 s of Retry-After, and 90 s of patience."""
    assert Retry() == Retry(attempts=4, backoff=0.25, max_backoff=8.0, max_retry_after=60.0, patience=90.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"attempts": 21}, "attempts=21"),
        ({"attempts": 3.0}, "attempts=3.0"),
        ({"attempts": True}, "attempts=True"),
        ({"attempts": None}, "attempts=None"),
        ({"backoff": -0.1}, "backoff=-0.1"),
        ({"backoff": math.nan}, "backoff=nan"),
        ({"backoff": "1"}, "backoff='1'"),
        ({"max_backoff": math.inf}, "max_backoff=inf"),
        ({"max_backoff": True}, "max_backoff=True"),
        ({"max_retry_after": 86_401}, "max_retry_after=86401"),
        ({"max_retry_after": None}, "max_retry_after=None"),
        ({"patience": -1}, "patience=-1"),
        ({"patience": math.nan}, "patience=nan"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_policy_that_cannot_be_is_refused(arguments, words):
    """A policy has 1 to 20 attempts, and seconds from 0 to a day."""
    with pytest.raises(ConfigurationError) as caught:
        Retry(**arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "arguments", [{"attempts": 1}, {"attempts": 20}, {"backoff": 0, "max_backoff": 86_400}], ids=str
)
def test_a_policy_at_its_bounds_is_taken(arguments):
    """The bounds themselves are allowed."""
    assert Retry(**arguments) == Retry(**arguments)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_a_question_that_others_overtake_waits_on_its_own():
    """After others have succeeded four times between its refusals, its waits double from the backoff on."""
    decisions = retrying()
    overtaken = [decisions.wait_after_refusal(status(503), float(now), now - 0.5) for now in range(1, 9)]
    assert overtaken == [0, 0, 0, 0, 0.25, 0.5, 1, 2]


def test_a_question_that_nobody_overtakes_waits_for_its_permit_only():
    """Refusals with no success of others between them cost no wait of their own, however many there are."""
    decisions = retrying()
    assert {decisions.wait_after_refusal(status(503), float(now), -1.0) for now in range(20)} == {0}


def test_a_retry_after_goes_before_the_waits_of_the_overtaken():
    """Who is told for how long to wait does so, with 0.1 s in which to come back, however often it was overtaken."""
    decisions = retrying()
    error = status(503, Retry_After="2")
    waits = {decisions.wait_after_refusal(error, float(now), now - 0.5) for now in range(1, 9)}
    assert waits == {2.1}


def test_only_the_first_refusal_by_a_disconnect_is_waited_for():
    """A disconnect may be a stale connection's: the first refusal waits 50 ms at most, a later one for its permit."""
    decisions = retrying()
    assert decisions.wait_after_refusal(TRANSPORT["disconnect"], 1.0, 0.0) == 0.05
    assert decisions.wait_after_refusal(TRANSPORT["disconnect"], 1.1, 0.0) == 0
    assert retrying().wait_after_refusal(TRANSPORT["connect"], 1.0, 0.0) == 0


# ---- what is tried again ---------------------------------------------------------------------------------------------


RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]


def test_statuses_that_are_tried_again():
    """Exactly 408, 425, 429, 500, 502 to 504, 520 to 524 and 529 are retried."""
    assert [number for number in range(300, 600) if retrying().wait_after(status(number)) is not None] == RETRIED


@pytest.mark.parametrize("error", TRANSPORT.values(), ids=TRANSPORT)
def test_trouble_on_the_way_is_tried_again(error):
    """Disconnects, connect errors, attempt timeouts and malformed HTTP are retried."""
    assert retrying().wait_after(error) is not None


@pytest.mark.parametrize(
    "error",
    [
        TLSError("x"),
        DecodeError("x"),
        ConfigurationError("x"),
        FilterError("x"),
        DeadlineExceededError("x"),
        LoginError("x", status=401),
        LoginError("x", status=200),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}".strip(),
)
def test_what_would_fail_again_is_not_tried_again(error):
    """An untrusted certificate, a wrong body, a mistake of the caller's or a refused login isn't retried."""
    assert retrying().wait_after(error) is None


@pytest.mark.parametrize("attempts", [1, 2, 4, 20])
def test_attempts_are_counted(attempts):
    """There is a wait after each failure except the last."""
    decisions = retrying(Retry(attempts=attempts))
    waits = [decisions.wait_after(ServerError("x", status=500)) for _ in range(attempts)]
    assert [wait is None for wait in waits] == [False] * (attempts - 1) + [True]


def test_a_504_is_tried_again_once():
    """A second 504 isn't retried, for each costs the service a whole attempt."""
    decisions = retrying()
    assert decisions.wait_after(status(504)) is not None
    assert decisions.wait_after(status(504)) is None
    decisions = retrying()
    assert decisions.wait_after(status(504)) is not None
    assert decisions.wait_after(status(503)) is not None
    assert decisions.wait_after(status(504)) is None


# ---- how long --------------------------------------------------------------------------------------------------------


def test_waits_double_up_to_the_maximum():
    """The longest wait doubles from 0.25 s to 8 s."""
    decisions = retrying(Retry(attempts=9))
    waits = [decisions.wait_after(status(500)) for _ in range(8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_the_shortest_wait_is_none():
    """A wait may be 0: full jitter."""
    assert retrying(draw=lambda _: 0.0).wait_after(status(500)) == 0


def test_the_first_retry_after_a_disconnect_is_quick():
    """The first retry after a disconnect waits 50 ms at most, later ones as after any error."""
    decisions = retrying()
    assert decisions.wait_after(DisconnectedError("x")) == 0.05
    assert decisions.wait_after(DisconnectedError("x")) == 0.5
    later = retrying()
    assert later.wait_after(status(500)) == 0.25
    assert later.wait_after(DisconnectedError("x")) == 0.5


@given(st.integers(0, 6), st.floats(0, 1))
def test_drawn_waits_keep_their_bounds(failures, jitter):
    """With any jitter the wait is between 0 and its bound."""
    decisions = retrying(Retry(attempts=8), draw=lambda bound: bound * jitter)
    for _ in range(failures):
        decisions.wait_after(status(500))
    wait = decisions.wait_after(status(500))
    assert 0 <= wait <= min(8.0, 0.25 * 2**failures)


@pytest.mark.parametrize("asked", [None, "7"], ids=["backoff", "Retry-After"])
def test_a_wait_that_would_pass_the_deadline_is_infinite_and_free(asked):
    """A wait that would pass the deadline is infinite, and costs no token."""
    budget = RetryBudget()
    error = status(503) if asked is None else status(503, Retry_After=asked)
    wait = 0.25 if asked is None else 7.1
    assert retrying(budget=budget).wait_after(error, left=wait) == math.inf
    assert budget.tokens == 500
    assert retrying(budget=budget).wait_after(error, left=wait + 0.001) == pytest.approx(wait)


# ---- laws ------------------------------------------------------------------------------------------------------------


ERRORS = st.one_of(
    st.sampled_from([*TRANSPORT.values(), TLSError("x"), DecodeError("x"), LoginError("x", status=401)]),
    st.builds(
        lambda number, asked: status(number) if asked is None else status(number, Retry_After=str(asked)),
        st.sampled_from([302, 400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 501, 502, 503, 504, 520, 529, 599]),
        st.one_of(st.none(), st.integers(0, 90)),
    ),
)


@settings(max_examples=500)
@given(
    sequences=st.lists(st.lists(st.one_of(st.none(), ERRORS), min_size=1, max_size=6), max_size=12),
    tokens=st.integers(0, 500),
    left=st.one_of(st.just(math.inf), st.floats(0.01, 100)),
    jitter=st.floats(0, 1),
)
def test_for_any_sequence_of_answers(sequences, tokens, left, jitter):
    """For any errors there are 4 attempts at most, the budget keeps its bounds, and waits end before the deadline."""
    budget = RetryBudget(tokens=tokens)
    for sequence in sequences:
        decisions, time_left = retrying(budget=budget, draw=lambda bound: bound * jitter), left
        attempts = 0
        for number, error in enumerate(sequence):
            attempts += 1
            if error is None:
                budget.give_back(1) if number == 0 else budget.give_back(decisions.refund)
                assert 0 <= budget.tokens <= 500
                break
            wait = decisions.wait_after(error, time_left)
            assert 0 <= budget.tokens <= 500
            if wait is None or wait == math.inf:
                break
            assert 0 <= wait < time_left
            time_left -= wait
        assert attempts <= 4


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


@settings(max_examples=200)
@example([Response(401, {}, b""), *[Response(503, {}, b"")] * 5], True)
@example([Response(503, {}, b""), Response(401, {}, b""), COUNT], True)
@given(outcomes=st.lists(OUTCOMES, min_size=6, max_size=6), logs_in=st.booleans())
def test_a_count_makes_four_requests_at_most_whatever_is_answered(outcomes, logs_in):
    """For any answers of a service that never said "later", new logins among them, a count makes 1 to 4 attempts."""

    async def play() -> None:
        sent: list[str] = []
        heard: list[Attempt] = []

        async def post(path: str) -> Response:
            if path == "/login":
                return Response(200, {}, b'{"access_token": "t"}')
            sent.append(path)
            outcome = outcomes[len(sent) - 1]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        auth = PasswordAuth("ann", "pw") if logs_in else ApiKeyAuth("k")
        async with GalileoSessions(auth=auth, base_url="http://127.0.0.1:9", on_attempt=heard.append) as galileo:
            replace_post(galileo, post)
            set_jitter(galileo, lambda _: 0.0)
            listed = None
            try:
                assert await galileo.count(PROJECT) == 7
            except GalileoError as error:
                listed = error.attempts
            assert listed in (None, tuple(heard))
            assert 1 <= len(sent) <= 4
            assert [attempt.number for attempt in heard] == list(range(1, len(sent) + 1))
            assert 0 <= retry_tokens(galileo) <= 500
            assert 1 <= width(galileo) <= 256
            assert in_flight(galileo) == 0

    run(play(), debug=False)
