"""RateLimit headers: how they are read, and that no more is sent than remains until the reset."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.clients import client
from support.clock import virtual_time
from support.projects import ids
from support.servers import http, raw_server

from galileo_sessions.api.responses import allowance

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"
THEN = 1_795_521_600  # the same, in seconds since 1970


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"RateLimit": '"default";r=50;t=30'}, (50, 29), id="draft 8 and later, a second is taken off"),
        pytest.param({"ratelimit": '"a;r=1,b";r=50; t=30 , "day";r=7;t=3600'}, (7, 3599), id="several, the smaller"),
        pytest.param({"RateLimit": '"a";r=5'}, None, id="no reset"),
        pytest.param({"RateLimit": '"a";r=5, "b";r=9;t=3'}, (9, 2), id="one without a reset"),
        pytest.param(
            {"RateLimit": '"a";r=5;t=9, "b";r=9;t=3', "RateLimit-Policy": '"a";q=100;qu="content-bytes", "b";q=10'},
            (9, 2),
            id="a quota that counts no requests",
        ),
        pytest.param({"RateLimit-Remaining": "3", "RateLimit-Reset": "9"}, (3, 8), id="separate"),
        pytest.param({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1.5"}, (0, 1.5), id="X-, a fraction"),
        pytest.param({"X-RateLimit-Remaining": "4, 9;w=60", "X-RateLimit-Reset": " 2"}, (4, 1), id="X-, a list"),
        pytest.param({"X-RateLimit-Remaining": "3"}, None, id="X-, no reset"),
        pytest.param(
            {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": str(THEN + 20), "Date": DATE}, (3, 19), id="since 1970"
        ),
        pytest.param(
            {"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": str(THEN - 5), "Date": DATE}, (3, 0), id="is over"
        ),
        pytest.param({"X-RateLimit-Remaining": "-3", "X-RateLimit-Reset": "5"}, None, id="negative"),
        pytest.param({"X-RateLimit-Remaining": "9" * 5000, "X-RateLimit-Reset": "5"}, None, id="huge"),
    ],
)
def test_what_headers_say(headers, expected):
    """The IETF's field in all its drafts and X-RateLimit are read, a reset in seconds or as a time; others are none."""
    assert allowance(CIMultiDict(headers)) == expected


def test_a_list_may_be_split_over_several_fields():
    """The hour's quota first, in a field of its own."""
    fields = [("RateLimit", '"hour";r=900;t=1800'), ("RateLimit", '"second";r=3;t=0.4')]
    assert (3, 0.4) == allowance(CIMultiDict(fields))


TEXT = st.one_of(st.text(max_size=30), st.from_regex(r'("[^"]*")?(;?[rt]=[0-9]*){0,3}(, ?limit=1)?'))


@given(st.dictionaries(st.sampled_from(["RateLimit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Date"]), TEXT))
def test_any_text_is_an_allowance_or_none(headers):
    """Any headers are read as a number and seconds of 0 or more, or ignored."""
    found = allowance(CIMultiDict(headers))
    assert found is None or (found[0] >= 0 and found[1] >= 0)


@virtual_time
async def test_no_more_is_sent_than_remains():
    """With a quota of 20 in 5 s that its headers tell, no request is refused, and each window is used."""
    clock = asyncio.get_running_loop().time
    used: dict[int, int] = {}

    async def behave(number: int, writer: asyncio.StreamWriter) -> None:
        window, left = divmod(clock() - began, 5)
        used[int(window)] = used.get(int(window), 0) + 1
        remaining = 20 - used[int(window)]
        fields = {"RateLimit_Remaining": str(max(0, remaining)), "RateLimit_Reset": f"{5 - left + 0.01:.3f}"}
        writer.write(http(**fields) if remaining >= 0 else http(429, "", **fields))

    async with raw_server(behave) as server, client(server.url) as galileo:
        began = clock()
        report = await galileo.count_all(ids(60))
    assert report.errors == ()
    assert len(server.requests) == 60
    assert list(used.values()) == [20, 20, 20]


@virtual_time
async def test_a_reset_that_is_far_away_is_waited_for_as_a_retry_after_at_most():
    """Where nothing remains for an hour, the next request is sent after `max_retry_after`."""
    fields = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "3600"}
    async with raw_server(http(**fields)) as server, client(server.url) as galileo:
        began = asyncio.get_running_loop().time()
        report = await galileo.count_all(ids(3), concurrency=1)
        assert 120 <= asyncio.get_running_loop().time() - began < 124
    assert report.errors == ()
    assert len(server.requests) == 3
