"""Retry-After: how it is read, how long it delays a retry, and that it holds for all counts."""

import asyncio
import math
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clients import client, failure, ids
from support.clock import virtual_time
from support.inside import stop_wall_clock
from support.policy import NOW, status
from support.sockets import http, raw_server

from galileo_sessions import RateLimitedError, Retry
from galileo_sessions.api.responses import retry_after
from galileo_sessions.flow.outcome import outcome_of

# ---- reading ---------------------------------------------------------------------------------------------------------


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
    """Seconds and the three forms of a date are read; everything else is ignored."""
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
    """Any text is read as finite seconds of 0 or more, or ignored."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < math.inf


# ---- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "arguments", "retry", "setting"),
    [
        ("3600", {"timeout": 4_000}, Retry(), "max_retry_after"),
        ("30", {}, Retry(), "timeout="),
        ("30", {"timeout": 5}, Retry(), "timeout="),
        ("30", {}, Retry(attempts=1), ""),
    ],
    ids=["the cap", "a single count", "its timeout", "no retry"],
)
@virtual_time
async def test_what_is_not_waited_for_is_the_error_at_once(asked, arguments, retry, setting):
    """The error has the seconds, and its hint names the setting that is in the way."""
    async with raw_server(http(429, "no", Retry_After=asked)) as server, client(server.url, retry=retry) as galileo:
        error = await failure(galileo, **arguments)
    assert (type(error), error.retry_after) == (RateLimitedError, float(asked))
    assert (len(error.attempts), len(server.requests)) == (1, 1)
    assert setting in error.hint


# ---- by whose clock --------------------------------------------------------------------------------------------------


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


# ---- for whom --------------------------------------------------------------------------------------------------------


@virtual_time
async def test_a_retry_after_holds_for_the_refused_count_while_others_pass():
    """The refused count waits for its Retry-After; the others are sent meanwhile."""
    times: dict[str, list[float]] = {}
    clock = asyncio.get_running_loop().time

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        times.setdefault("refused" if number == 1 else "others", []).append(clock())
        writer.write(http(429, "", Retry_After="2") if number == 1 else http())

    async with raw_server(behave) as server, client(server.url) as galileo:
        report = await galileo.count_all(ids(50))
    assert report.errors == ()
    (again,) = [result for result in report.results if len(result.attempts) == 2]
    assert 2 <= again.attempts[1].waited < 2.2
    assert times["others"][-2] - times["refused"][0] < 1


@virtual_time
async def test_a_retry_after_above_the_cap_is_only_the_counts_own_error():
    """Others are counted meanwhile, and nobody waits for it."""

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(http(429, "", Retry_After="3600") if number % 5 == 1 else http())

    async with raw_server(behave) as server, client(server.url) as galileo:
        began = asyncio.get_running_loop().time()
        report = await galileo.count_all(ids(100))
        assert asyncio.get_running_loop().time() - began < 10
    assert {(type(error), error.retry_after, len(error.attempts)) for error in report.errors} == {
        (RateLimitedError, 3600, 1)
    }
    assert (len(report.errors), len(server.requests)) == (20, 100)


@virtual_time
async def test_a_service_that_asks_everybody_for_an_hour_is_probed_for_as_long_as_patience_lasts():
    """After that, and a quarter more for those that were never sent, all fail together, with its last answer."""
    async with raw_server(http(429, "", Retry_After="3600")) as server, client(server.url) as galileo:
        began = asyncio.get_running_loop().time()
        report = await galileo.count_all(ids(2_000))
        assert 87 < asyncio.get_running_loop().time() - began < 112.6
    assert {(type(error), error.retry_after) for error in report.errors} == {(RateLimitedError, 3600)}
    assert len({error.query.project_id for error in report.errors}) == len(report.errors) == 2_000
    assert len(server.requests) < 70


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
