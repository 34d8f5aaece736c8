"""Whether a count is tried again and when: decisions over values, for any sequence of answers."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.clock import run
from support.servers import PROJECT

from galileo_sessions import (
    ApiKeyAuth,
    Attempt,
    AttemptTimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    DecodeError,
    DisconnectedError,
    FilterError,
    GalileoError,
    GalileoSessions,
    LoginError,
    NotFoundError,
    PasswordAuth,
    PermissionDeniedError,
    ProtocolError,
    RedirectError,
    ResponseError,
    Retry,
    ServerError,
    TLSError,
    ValidationError,
)
from galileo_sessions.client.responses import Answer, error_of, retry_after
from galileo_sessions.client.retry import Budget, Retrying, is_overload

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
TRANSPORT = {
    "connect": ConnectError("x"),
    "disconnect": DisconnectedError("x"),
    "timeout": AttemptTimeoutError("x", phase="response"),
    "protocol": ProtocolError("x"),
}


def status(number: int, **headers: str) -> ResponseError:
    """The error that an answer stands for; `Retry_After="1"` makes the header Retry-After."""
    return error_of(Answer(number, {name.replace("_", "-"): value for name, value in headers.items()}, b""))


def most(seconds: float) -> float:
    """The longest wait that may be drawn."""
    return seconds


def retrying(policy: Retry = Retry(), budget: Budget | None = None, draw=most) -> Retrying:  # noqa: B008  # frozen
    """The decisions for one count, that draw the longest waits unless told otherwise."""
    return Retrying(policy, budget or Budget(), draw)


# ---- the policy ------------------------------------------------------------------------------------------------------


def test_the_defaults():
    """Four attempts, waits from 0.25 s to 8 s, and at most 60 s of Retry-After."""
    assert Retry() == Retry(attempts=4, backoff=0.25, max_backoff=8.0, max_retry_after=60.0)


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
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_is_refused(arguments, words):
    """A policy has 1 to 20 attempts, and seconds from 0 to a day."""
    with pytest.raises(ConfigurationError) as caught:
        Retry(**arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("arguments", [{"attempts": 1}, {"attempts": 20}, {"backoff": 0, "max_backoff": 86_400}])
def test_a_policy_at_its_bounds_is_taken(arguments):
    """The bounds themselves are allowed."""
    assert Retry(**arguments) == Retry(**arguments)


# ---- what is tried again ---------------------------------------------------------------------------------------------

RETRIED = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529]


def test_statuses_that_are_tried_again():
    """Exactly 408, 425, 429, 500, 502 to 504, 520 to 524 and 529 are tried again."""
    assert [number for number in range(300, 600) if retrying().wait_after(status(number)) is not None] == RETRIED


@pytest.mark.parametrize("error", TRANSPORT.values(), ids=TRANSPORT)
def test_trouble_on_the_way_is_tried_again(error):
    """Disconnects, connect errors, attempt timeouts and malformed HTTP are tried again."""
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
    """An untrusted certificate, an answer that is no count, a mistake of the caller's and a refused login stay."""
    assert retrying().wait_after(error) is None


@pytest.mark.parametrize(
    "error",
    [RedirectError, BadRequestError, AuthenticationError, PermissionDeniedError, NotFoundError, ValidationError],
)
def test_what_the_service_refuses_for_good_costs_nothing(error):
    """An error that isn't tried again takes nothing from the budget."""
    budget = Budget()
    code = {RedirectError: 302, BadRequestError: 400, AuthenticationError: 401, PermissionDeniedError: 403}
    code |= {NotFoundError: 404, ValidationError: 422}
    made = status(code[error])
    assert type(made) is error
    assert retrying(budget=budget).wait_after(made) is None
    assert budget.tokens == 500


@pytest.mark.parametrize("attempts", [1, 2, 4, 20])
def test_attempts_are_counted(attempts):
    """There is a wait after each failure but the last."""
    decisions = retrying(Retry(attempts=attempts))
    waits = [decisions.wait_after(ServerError("x", status=500)) for _ in range(attempts)]
    assert [wait is None for wait in waits] == [False] * (attempts - 1) + [True]


def test_a_504_is_tried_again_once():
    """A gateway's timeout costs the service a whole attempt: the second one is the last."""
    decisions = retrying()
    assert decisions.wait_after(status(504)) is not None
    assert decisions.wait_after(status(504)) is None
    decisions = retrying()
    assert decisions.wait_after(status(504)) is not None
    assert decisions.wait_after(status(503)) is not None
    assert decisions.wait_after(status(504)) is None


@pytest.mark.parametrize(
    ("error", "overload"),
    [(status(number), number in (429, 503, 504)) for number in (400, 408, 429, 500, 502, 503, 504, 520, 529)]
    + [(error, name == "timeout") for name, error in TRANSPORT.items()]
    + [(DecodeError("x"), False), (DeadlineExceededError("x"), False)],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}" if isinstance(value, Exception) else "",
)
def test_what_means_overload(error, overload):
    """429, 503, 504 and attempt timeouts make the queue narrower; nothing else does."""
    assert is_overload(error) is overload


# ---- how long --------------------------------------------------------------------------------------------------------


def test_waits_double_up_to_the_maximum():
    """Each wait is drawn from 0 to a bound that doubles from 0.25 s to 8 s: full jitter."""
    decisions = retrying(Retry(attempts=9))
    waits = [decisions.wait_after(status(500)) for _ in range(8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_the_shortest_wait_is_none():
    """Full jitter goes down to 0."""
    assert retrying(draw=lambda _: 0.0).wait_after(status(500)) == 0


def test_the_first_retry_after_a_disconnect_is_quick():
    """It begins within 50 ms, for often only a kept connection had ended; the second waits like any other."""
    decisions = retrying()
    assert decisions.wait_after(DisconnectedError("x")) == 0.05
    assert decisions.wait_after(DisconnectedError("x")) == 0.5
    later = retrying()
    assert later.wait_after(status(500)) == 0.25
    assert later.wait_after(DisconnectedError("x")) == 0.5


@given(st.integers(0, 6), st.floats(0, 1))
def test_drawn_waits_keep_their_bounds(failures, luck):
    """Whatever is drawn, the wait lies between 0 and the bound of its turn."""
    decisions = retrying(Retry(attempts=8), draw=lambda bound: bound * luck)
    for _ in range(failures):
        decisions.wait_after(status(500))
    wait = decisions.wait_after(status(500))
    assert 0 <= wait <= min(8.0, 0.25 * 2**failures)


@pytest.mark.parametrize("number", [429, 503, 500])
@pytest.mark.parametrize(("luck", "expected"), [(0.0, 1.0), (1.0, 1.1)])
def test_a_retry_after_is_waited_for_never_less(number, luck, expected):
    """Retry-After: 1 is a wait of 1 to 1.1 s."""
    decisions = retrying(draw=lambda bound: bound * luck)
    assert decisions.wait_after(status(number, Retry_After="1")) == pytest.approx(expected)


def test_a_retry_after_of_nothing_is_at_once():
    """A date that is past, or 0, means now."""
    assert retrying().wait_after(status(503, Retry_After="0")) == 0
    assert retrying().wait_after(status(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT")) == 0


@pytest.mark.parametrize(("asked", "waits"), [("60", True), ("60.1", False), ("61", False), ("999999999", False)])
def test_above_the_cap_there_is_no_retry_and_the_error_carries_the_number(asked, waits):
    """More than 60 s are not waited; the caller can read how long it would be."""
    error = status(429, Retry_After=asked)
    budget = Budget()
    assert (retrying(budget=budget).wait_after(error) is not None) is waits
    assert error.retry_after == float(asked)
    assert budget.tokens == (495 if waits else 500)


@pytest.mark.parametrize("cap", [0, 5, 86_400])
def test_the_cap_is_a_setting(cap):
    """`max_retry_after` decides."""
    policy = Retry(max_retry_after=cap)
    assert retrying(policy).wait_after(status(429, Retry_After=str(cap))) is not None
    assert retrying(policy).wait_after(status(429, Retry_After=str(cap + 1))) is None


@pytest.mark.parametrize("asked", [None, "7"])
def test_a_wait_that_would_pass_the_deadline_is_infinite_and_free(asked):
    """Instead of sleeping past the deadline the count ends at once, and pays nothing."""
    budget = Budget()
    error = status(503) if asked is None else status(503, Retry_After=asked)
    wait = 0.25 if asked is None else 7.1
    assert retrying(budget=budget).wait_after(error, left=wait) == math.inf
    assert budget.tokens == 500
    assert retrying(budget=budget).wait_after(error, left=wait + 0.001) == pytest.approx(wait)


# ---- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
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
        ("", None),
        (" ", None),
        ("-5", None),
        ("+5", None),
        ("abc", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("0x10", None),
        ("1_000", None),
        ("1,5", None),
        ("1 2", None),
        (".5", None),
        ("٣", None),
        ("²", None),
        ("\x1c1", None),
        ("9" * 5000, None),
        ("Tue, 24 Nov 2026 25:00:00 GMT", None),
        ("Tue, 31 Feb 2026 12:00:00 GMT", None),
        ("Tue, 24 Nov 99999 12:00:00 GMT", None),
        ("Tue, 24 Nov 2026 12:00:00 +99999999999999999999", None),
    ],
    ids=lambda value: str(value)[:32],
)
def test_retry_after_in_all_its_forms(value, seconds):
    """Seconds and the three forms of a date are read; everything else is as if it were not there."""
    assert retry_after(value, NOW) == seconds


@given(st.integers(0, 3600))
def test_a_date_gives_the_seconds_until_then(seconds):
    """A date is waited for to the second, never less."""
    assert retry_after(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True), NOW) == seconds


ODD_DATES = st.builds(
    "{}{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["", "Tue, ", "Tue ", "Tuesday, "]),
    st.integers(-1, 99),
    st.sampled_from(["Nov", "nov", "13", "November", ""]),
    st.integers(-1, 10**12),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 10**30),
    st.one_of(st.just("GMT"), st.integers(-(10**30), 10**30).map("{:+05d}".format)),
)


@settings(max_examples=300)
@example("Tue, 24 Nov 2026 12:00:00 -99999999999999999999")
@given(st.one_of(st.text(max_size=40), ODD_DATES, st.from_regex(r"[-+]?[0-9]{0,40}(\.[0-9]*)?(e[0-9]+)?")))
def test_a_retry_after_of_any_text_is_seconds_or_nothing(value):
    """Whatever a service writes there, it is read as finite seconds of 0 or more, or passed over."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < math.inf


# ---- the budget ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "price"),
    [
        (status(503), 5),
        (status(429, Retry_After="1"), 5),
        (status(504), 10),
        (TRANSPORT["timeout"], 10),
        (TRANSPORT["disconnect"], 5),
        (TRANSPORT["connect"], 5),
        (TRANSPORT["protocol"], 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_a_retry_costs(error, price):
    """A retry costs 5 tokens, 10 after a timeout or a 504; success on the retry gives the price back."""
    budget = Budget()
    decisions = retrying(budget=budget)
    decisions.wait_after(error)
    assert budget.tokens == 500 - price
    decisions.succeeded()
    assert budget.tokens == 500


@pytest.mark.parametrize(
    ("tokens", "error", "allowed"), [(5, 503, True), (4, 503, False), (10, 504, True), (9, 504, False), (0, 429, False)]
)
def test_without_tokens_there_is_no_retry(tokens, error, allowed):
    """Whoever can't pay gives up; a budget is never overdrawn."""
    budget = Budget(tokens=tokens)
    assert (retrying(budget=budget).wait_after(status(error)) is not None) is allowed
    assert budget.tokens == (0 if allowed else tokens)


def test_a_dead_service_is_asked_a_hundred_times_more_at_most():
    """All counts together spend the 500 tokens once."""
    budget = Budget()
    waits = [retrying(budget=budget).wait_after(status(503)) for _ in range(1_000)]
    assert sum(wait is not None for wait in waits) == 100


def test_successes_fill_the_budget_up_again():
    """Each plain success gives one token back, up to what there was at the beginning."""
    budget = Budget(tokens=3)
    for _ in range(10):
        budget.give_back(1)
    assert budget.tokens == 13
    budget.give_back(10_000)
    assert budget.tokens == 500


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
    luck=st.floats(0, 1),
)
def test_for_any_sequence_of_answers(sequences, tokens, left, luck):
    """Attempts are 4 at most, the budget stays from 0 to 500, a wait ends before the deadline, none is negative."""
    budget = Budget(tokens=tokens)
    for sequence in sequences:
        decisions, time_left = retrying(budget=budget, draw=lambda bound: bound * luck), left
        attempts = 0
        for number, error in enumerate(sequence):
            attempts += 1
            if error is None:
                budget.give_back(1) if number == 0 else decisions.succeeded()
                assert 0 <= budget.tokens <= 500
                break
            wait = decisions.wait_after(error, time_left)
            assert 0 <= budget.tokens <= 500
            if wait is None or wait == math.inf:
                break
            assert 0 <= wait < time_left
            time_left -= wait
        assert attempts <= 4


COUNT = Answer(200, {}, b'{"total_count": 7}')
OUTCOMES = st.one_of(
    st.just(COUNT),
    st.sampled_from([*TRANSPORT.values(), TLSError("x")]),
    st.builds(
        lambda number, asked: Answer(number, {} if asked is None else {"Retry-After": asked}, b"{}"),
        st.sampled_from([200, 302, 400, 401, 403, 404, 422, 429, 500, 503, 504]),
        st.sampled_from([None, "0", "61", "x"]),
    ),
)


@settings(max_examples=200, deadline=None)
@example([Answer(401, {}, b""), *[Answer(503, {}, b"")] * 5], True)
@example([Answer(503, {}, b""), Answer(401, {}, b""), COUNT], True)
@given(outcomes=st.lists(OUTCOMES, min_size=6, max_size=6), logs_in=st.booleans())
def test_a_count_makes_four_requests_at_most_whatever_is_answered(outcomes, logs_in):
    """For any sequence of answers, 401 and a new login among them, a count has 1 to 4 attempts, which it lists."""

    async def play() -> None:
        sent: list[str] = []
        heard: list[Attempt] = []

        async def post(path: str, *_: object, **__: object) -> Answer:
            if path == "/login":
                return Answer(200, {}, b'{"access_token": "t"}')
            sent.append(path)
            outcome = outcomes[len(sent) - 1]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        auth = PasswordAuth("ann", "pw") if logs_in else ApiKeyAuth("k")
        async with GalileoSessions(auth=auth, base_url="http://127.0.0.1:9", on_attempt=heard.append) as galileo:
            galileo._transport.post = post
            galileo._counter._draw = lambda _: 0.0
            listed = None
            try:
                assert await galileo.count(PROJECT) == 7
            except GalileoError as error:
                listed = error.attempts
            assert listed in (None, tuple(heard))
            assert 1 <= len(sent) <= 4
            assert [attempt.number for attempt in heard] == list(range(1, len(sent) + 1))
            assert 0 <= galileo._counter._budget.tokens <= 500
            assert 1 <= galileo._counter.gate.width <= 64
            assert galileo._counter.gate.in_flight == 0

    run(play(), debug=False)
