"""Rules 1, 2 and 11: what an answer means, whose fault a failure is, and whether and when its query is sent again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import failure
from support.clock import virtual_time
from support.network import Scripted, refusal, status
from support.network import outcome_of as outcome
from support.private import stop_wall_clock
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import DecodeError, DisconnectedError, Limits, LoginError, Retry, ServerError
from galileo_sessions.errors import as_permanent
from galileo_sessions.flow.budget import Budget
from galileo_sessions.flow.control import FlowControl
from galileo_sessions.flow.evidence import Evidence
from galileo_sessions.flow.outcome import Outcome, outcome_of
from galileo_sessions.flow.troubles import Trouble, Troubles
from galileo_sessions.http.responses import Response, retry_after

SUCCESS, REFUSED, FAILED = Outcome("success"), Outcome("refused"), Outcome("failed")

# ---- what an error means ---------------------------------------------------------------------------------------------

FINAL = {
    "success": [
        *[status(number) for number in (302, 401, 404, 501)],
        status(404, Retry_After="1"),
        as_permanent(DecodeError("x")),
        LoginError("x", status=401),
        gs.ResponseError("x", status=400, retriable=True),
        gs.ResponseError("x", status=501, retriable=False),
    ],
    "ignored": [
        error("x") for error in (gs.TLSError, gs.ConfigurationError, gs.DeadlineExceededError, gs.GalileoError)
    ],
}
RETRIED = {
    "refused": [
        *[status(number) for number in (429, 502, 503, 520, 521, 522, 523, 524, 529)],
        gs.ResponseError("x", status=501, retriable=True),
        *[error("x") for error in (gs.ConnectError, DisconnectedError, gs.TransportError, DecodeError)],
        *[status(number, Retry_After="1") for number in (408, 425, 429, 500, 502, 503, 504, 529)],
    ],
    "failed": [*[status(number) for number in (408, 425, 500)], gs.ProtocolError("x")],
    "failed, twice as long": [status(504), gs.AttemptTimeoutError("x", phase="response")],
}


@pytest.mark.parametrize(
    ("meaning", "error"), [(meaning, error) for meaning, errors in (FINAL | RETRIED).items() for error in errors]
)
def test_what_an_error_means(meaning, error):
    """Each error has a meaning for the service, a time for which it asks to wait, and a cost."""
    asked = (meaning == "refused" and getattr(error, "retry_after", None)) or 0.0
    kind, _, is_long = meaning.partition(", ")
    assert outcome_of(error) == Outcome(kind, retry_after=asked, cost=2 if is_long else 1)


def test_no_other_status_is_tried_again():
    expected = {error.status for errors in RETRIED.values() for error in errors} - {None, 501}
    assert expected == {number for number in range(300, 600) if outcome_of(status(number)).meaning not in FINAL}


# ---- rule 2: whose fault ---------------------------------------------------------------------------------------------

Case = tuple[int, int, int]
"""How often queries had failed before, how many of them were answered then, and how many failed again."""


def known(outcome: Outcome, cases: Iterable[Case]) -> Evidence:
    """What is known after some cases."""
    evidence = Evidence()
    for failures, _, failed in cases:
        for _ in range(failed):
            evidence.failed(0, Trouble(0.0, failures=failures, outcome=outcome))
    for failures, answered, _ in cases:
        for _ in range(answered):
            evidence.answered(0.0, 1, failures, outcome)
    return evidence


@pytest.mark.parametrize("outcome", [REFUSED, FAILED], ids=["refused", "failed"])
@pytest.mark.parametrize(
    ("cases", "until"),
    [
        ([(0, 36, 4), (1, 0, 8)], 0),  # a tenth of the projects is bad
        ([(0, 6, 14), (1, 3, 7)], 16),  # full
        ([(0, 6, 4), *[(n, 4, 4) for n in (1, 2, 4)], (8, 0, 16)], 7),  # full, and some are bad
        ([(0, 20, 0), (1, 8, 0), (2, 0, 8)], 1),  # it is compared with those that failed once, 2 or 3 times,
        ([(0, 20, 0), (1, 8, 0), (3, 8, 0), (7, 0, 8)], 3),  # or 4 to 7 times
    ],
    ids=str,
)
def test_until_which_failure_in_a_row_it_is_the_services_fault(outcome, cases, until) -> None:
    """As long as queries that failed as often succeed a quarter as often as fresh ones when they are sent again."""
    evidence = known(outcome, cases)
    told = [evidence.is_shared(0.0, failure, outcome) for failure in range(1, 17)]
    assert [failure <= until for failure in range(1, 17)] == told


@pytest.mark.parametrize(
    ("outcome", "cases", "is_shared"),
    [
        (REFUSED, [], True),
        (REFUSED, [(0, 40, 0)], True),
        (FAILED, [(0, 30, 10)], False),
        (FAILED, [(0, 29, 11)], True),  # a quarter of the fresh queries
    ],
    ids=str,
)
def test_until_queries_were_sent_again_a_refusal_is_the_services_and_a_failure_is_not(outcome, cases, is_shared):
    """Unless a quarter of the fresh queries fail, this one among them."""
    evidence = known(outcome, cases)
    evidence.failed(2, Trouble(0.0))
    assert is_shared is evidence.is_shared(0.0, 1, outcome)


def test_what_begins_an_outage_costs_fresh_queries_no_attempt() -> None:
    """Those that had failed before keep what they have spent."""
    evidence = Evidence()
    fresh, failed_before = Trouble(0.0, failures=0, spent=1.0), Trouble(0.0, failures=1, spent=2.0)
    for number, trouble in enumerate((fresh, failed_before)):
        evidence.failed(number, trouble)
        trouble.failures += 1
    evidence.drop_row()
    assert [0.0, 2.0] == [fresh.spent, failed_before.spent]


# ---- rule 1: fresh or in trouble -------------------------------------------------------------------------------------


def fail(troubles: Troubles, query: object, now: float, asked: float = 0.0) -> Trouble:
    """Lets a query fail; returns its trouble."""
    trouble = troubles.failed(query, now)
    troubles.charge(trouble, now, Outcome("refused", retry_after=asked))
    return trouble


@pytest.mark.parametrize(("asked", "until"), [(0.0, 60.0), (30.0, 90.0)])
def test_what_is_known_of_a_query_is_forgotten_after_a_minute(asked, until):
    """From the end of its Retry-After, and not while one of its counts is sent, or waits for that."""
    troubles = Troubles(Retry())
    troubles.jitter = lambda _: 0.0
    trouble = fail(troubles, "bad", 0.0, asked)
    assert [True, False] == [troubles.some_are_in_trouble(now) for now in (59.9, 60.0)]
    trouble.is_led = True
    assert trouble is troubles.recent_trouble("bad", 1_000.0)
    trouble.is_led = False
    assert [trouble, None] == [troubles.recent_trouble("bad", now) for now in (until, until + 0.1)]


@pytest.mark.parametrize("is_led", [False, True])
def test_the_latest_thousand_queries_in_trouble_are_known(is_led):
    """And one is never forgotten while it is sent, or waits for that."""
    troubles = Troubles(Retry())
    fail(troubles, "first", 0.0).is_led = is_led
    for number in range(2_000):
        fail(troubles, number, 0.0)
    known = [troubles.recent_trouble(query, 0.0) is not None for query in ("first", 999, 1_999)]
    assert [is_led, is_led, True] == known


# ---- rules 1 and 11: how long a query waits, and when it is given up -------------------------------------------------


def waits_of(error: gs.GalileoError, policy: Retry, draw: float, took: float, times: int, *, is_own: bool, few: bool):
    """The waits of a query whose attempts take so long, and all end with the same error."""
    troubles, waits, now = Troubles(policy), list[float](), 100.0
    troubles.jitter = lambda most: draw * most
    for _ in range(times):
        trouble = troubles.failed("own", now)
        trouble.is_own = is_own
        troubles.charge(trouble, now, outcome_of(error, policy.max_retry_after), refuses_few=few)
        waits.append(trouble.not_before - now)
        now = trouble.not_before + took
    return waits


UNTIL_8 = [0, 0.25, 0.75, 1.75, 3.75, 7.75, 8, 8]
SOON = [0, 0.005, 0.0125, 0.0238, 0.0406, 0.0659]  # half of the time so far
LEAST = [0, 0.05, 0.125, *[0.15] * 16]


@pytest.mark.parametrize(
    ("error", "policy", "options", "waits"),
    [
        (status(500), Retry(attempts=9), {}, UNTIL_8),
        (status(503), Retry(), {"is_own": False, "took": 0.01}, SOON),
        (status(503), Retry(), {"is_own": False, "took": 30.0}, [0, 3, 3]),
        (status(500), Retry(backoff=0), {"draw": 0, "took": 0.1}, LEAST),
        (status(503), Retry(max_backoff=0), {"draw": 0, "took": 0.1}, LEAST),
        (status(503), Retry(), {}, UNTIL_8[:4]),
        (status(503), Retry(), {"few": True}, [0, 0.25, 2.75 + 0.75, 1.75]),
        (status(503), Retry(max_backoff=1), {"few": True}, [0, 0.25, 1, 1]),
        (status(500), Retry(), {"few": True}, UNTIL_8[:4]),
        (status(429, Retry_After="2"), Retry(), {}, [2.15] * 10),
        (status(500, Retry_After="2"), Retry(), {"draw": 0}, [2] * 10),
        (status(503, Retry_After="0"), Retry(attempts=9), {}, UNTIL_8),  # which names no time
        (status(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT"), Retry(attempts=9), {}, UNTIL_8),
    ],
)
def test_how_long_a_query_waits(error, policy, options, waits):
    """
    The first retry doesn't wait. The bound doubles with each attempt spent, up to `max_backoff`; if the failure is the
    service's, it is half of the time so far. Half of that time is waited for in any case, up to 0.15 s.
    A Retry-After is never cut short, and counts with the same one come back within 0.15 s. If few are refused, their
    last attempt comes after 3 s.
    """
    options = {"draw": 1, "took": 0.0, "is_own": True, "few": False} | options
    assert pytest.approx(waits, abs=0.001) == waits_of(error, policy, times=len(waits), **options)


SINGLE, ASKED, CROWDED = {"is_single": True}, {"asked": 10.0}, {"is_crowded": True}
SHARED, OUTAGE = {"is_own": False}, {"is_open": True}


@pytest.mark.parametrize(
    ("case", "until"),
    [
        ({}, 190.0),
        ({"began": 110.0}, 200.0),
        ({"helped_at": 95.0}, 275.0),  # sending queries again has helped
        (ASKED, 180.0),
        (SHARED, 370.0),
        (SHARED | {"answered_at": 99.0}, 190.0),
        ({"meaning": "failed", "spent": 3}, 190.0),
        ({"meaning": "failed", "spent": 4}, 0.0),
        ({"spent": 4}, 0.0),
        ({"spent": 4, "helped_at": 95.0}, 155.0),  # a limit can be the reason: sending queries again has helped
        ({"spent": 4, "helped_at": 35.0}, 0.0),
        ({"spent": 4, "waiting": 2, "ended": 2}, 190.0),  # so can an outage of some: a quarter of the others wait
        ({"spent": 4, "waiting": 2, "ended": 3}, 0.0),
        (SINGLE | {"spent": 4}, 140.0),
        (SINGLE, 140.0),
        (SINGLE | ASKED, 130.0),
        (SINGLE | SHARED, 140.0),
        (SINGLE | {"meaning": "failed"}, 190.0),
        (CROWDED, 103.0),
        (CROWDED | {"began": 110.0}, 103.0),
        (CROWDED | {"answered_at": 99.0}, 190.0),  # the others aren't answered either
        (CROWDED | {"helped_at": 105.0}, 108.0),
        (CROWDED | SHARED, 370.0),
        (CROWDED | ASKED, 0.0),
        (OUTAGE, 160.0),  # patience begins with the row
        (OUTAGE | {"began": 120.0}, 210.0),
    ],
    ids=str,
)
def test_when_a_count_with_a_patience_of_90_seconds_is_given_up(case, until):
    """It began at 50, and its query has failed since 100; the row of an outage began at 70."""
    case = {"meaning": "refused", "asked": 0.0, "spent": 0, "is_own": True, "is_single": False, "began": 50.0} | case
    for now in (100.0,) if until == 0.0 else (until - 0.01, until):
        flow = FlowControl(Limits(), Retry())
        troubles = flow.troubles
        flow.breaker.is_open, flow.breaker.began = case.get("is_open", False), 70.0
        troubles.jitter = lambda _: 0.0
        troubles.failed("helped", 0.0)
        troubles.answered("helped", case.get("helped_at", 0.0), SUCCESS)
        troubles.answered("other", case.get("answered_at", now), SUCCESS)
        trouble = troubles.failed("own", 100.0)
        troubles.charge(trouble, now, Outcome(case["meaning"], retry_after=case["asked"]))
        trouble.is_own, trouble.spent = case["is_own"], case["spent"]
        budget = Budget(patience=90.0, began=case["began"], is_single=case["is_single"], concurrency=1)
        budget.park(waiting=10 if case.get("is_crowded") else case.get("waiting", 1))
        budget.ended = case.get("ended", 0)
        assert (now >= until) is flow.gives_up(trouble, now, budget, case["began"])


@pytest.mark.parametrize("answers", [1, 2, 5])
@virtual_time
async def test_the_last_answer_is_raised_rather_than_the_disconnects_after_it(answers):
    """Its message says how many attempts failed after it, and how the last one did."""
    sky = Scripted(lambda _, number: refusal() if number <= answers else DisconnectedError(f"lost {number}"))
    async with sky.client(retry=Retry(patience=3)) as galileo:
        error = await failure(galileo)
    assert (type(error), error.status) == (ServerError, 503)
    kinds = [type(attempt.error) for attempt in error.attempts]
    later = len(kinds) - answers
    assert kinds == [ServerError] * answers + [DisconnectedError] * later
    last_answer = error.attempts[answers - 1].error
    failed = f"{later} attempts" if later > 1 else "1 attempt"
    assert error.message.startswith(f"{last_answer.message}; then {failed} failed, the last one: lost {len(kinds)}")
    assert "lost" not in last_answer.message


# ---- how a Retry-After is read ---------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("Tue, 24 Nov 2026 12:00:01 GMT", 1),
        ("Tue, 24 Nov 2026 14:00:05 +0200", 5),
        ("Tue, 24 Nov 2026 12:00:07 -0000", 7),
        ("Tuesday, 24-Nov-26 12:00:02 GMT", 2),
        ("Tue Nov 24 12:00:03 2026", 3),
        ("Tue, 24 Nov 2026 11:59:59 GMT", 0),
        *[(text, None) for text in ("", "-5", "abc", "inf", "1e9", "1_000", "1 2", ".5", "٣", "\x1c1", "9" * 5000)],
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


LATER = format_datetime(NOW + timedelta(seconds=5), usegmt=True)


@pytest.mark.parametrize(
    ("hours", "date", "seconds"),
    [
        (3, {"Date": "Tue, 24 Nov 2026 14:00:00 +0200"}, 5),
        (3, {}, 0),
        (0, {"Date": "now"}, 5),
        (0, {"Date": "Tue, 24 Nov 2026 12:00:00 +9999999999"}, 5),
    ],
)
def test_a_date_is_measured_against_the_answers_own(monkeypatch, hours, date, seconds):
    """If it has one that can be read: then it doesn't matter if the clock here is hours fast."""
    stop_wall_clock(monkeypatch, NOW + timedelta(hours=hours))
    assert status(503, Retry_After=LATER, **date).retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "asked"), [({"retry-after": LATER}, 60), ({"retry-after": LATER, "date": LATER}, 3_600)]
)
def test_a_date_is_no_longer_than_the_user_allows_if_the_response_has_no_date(headers, asked):
    """Without it, the client's clock is compared with the service's, and they can be an hour apart."""
    error = gs.RateLimitedError("no", status=429, headers=headers, body="", retry_after=3_600.0)
    assert asked == outcome_of(error, 60.0).retry_after


@pytest.mark.parametrize(
    ("statuses", "attempts"),
    [([401, 500, 500, 500, 500], 4), ([401, 500, 401, 500, 401, 200], 4), ([401, 500, 401, 401], 4), ([401], 1)],
    ids=str,
)
@virtual_time
async def test_a_refused_token_costs_no_attempt(statuses, attempts):
    """With a login, each 401 is followed by one more attempt, with a new token; if that is refused, the count ends."""
    tried = iter(statuses)
    token = Response(200, {}, b'{"access_token": "t", "total_count": 7}')
    sky = Scripted(others={"": lambda *_: token, PROJECT: lambda *_: Response(next(tried), {}, token.body)})
    arguments = {"auth": gs.PasswordAuth("ann", "pw"), "retry": Retry(attempts=attempts)}
    heard: list[int | None] = []
    async with sky.client(on_attempt=lambda attempt: heard.append(attempt.status), **arguments) as galileo:
        _ = await outcome(galileo)
    assert heard == statuses
    assert sky.by_project[""] == 1 + statuses[:-1].count(401)
