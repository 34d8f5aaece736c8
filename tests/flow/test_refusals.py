"""What an answer means, how a Retry-After is read, and whom it and a refused token bind."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import failure
from support.clock import virtual_time
from support.inside import stop_wall_clock
from support.network import TRANSPORT, Scripted, refusal, status
from support.sockets import PROJECT

import galileo_sessions as gs
from galileo_sessions import DecodeError, DisconnectedError, LoginError, RateLimitedError, Retry, ServerError
from galileo_sessions.api.responses import Response, permanent, retry_after
from galileo_sessions.flow.outcome import Outcome, outcome_of

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
    ],
    "throttled": [
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
    asked = getattr(error, "retry_after", None) if meaning == "throttled" else None
    is_timeout = error is TRANSPORT["timeout"] or (getattr(error, "status", 0) == 504 and meaning == "failed")
    assert outcome_of(error) == Outcome(meaning, retry_after=asked, cost=2 if is_timeout else 1)


def test_no_other_status_is_tried_again():
    expected = {error.status for errors in RETRIED.values() for error in errors if hasattr(error, "status")} - {501}
    assert expected == {number for number in range(300, 600) if outcome_of(status(number)).meaning not in FINAL}


# ---- how often a count is sent ---------------------------------------------------------------------------------------


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


@example("Tue, 24 Nov 2026 12:00:00 -99999999999999999999")
@given(st.one_of(st.text(max_size=40), ODD_DATES, st.from_regex(r"[-+]?[0-9]{0,40}(\.[0-9]*)?(e[0-9]+)?")))
def test_a_retry_after_of_any_text_is_seconds_or_nothing(value):
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < math.inf


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
