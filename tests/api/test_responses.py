"""What an HTTP answer means: a count, or the error of its status."""

import gc
import re
import tracemalloc

import pytest
from support.clients import ANN, client, statuses
from support.projects import ids
from support.servers import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, GalileoSessions, Retry
from galileo_sessions.api.responses import Response

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (300, gs.RedirectError, ["300"]),
        (304, gs.RedirectError, ["304"]),
        (400, gs.ResponseError, ["400 Bad Request", "why"]),
        (401, gs.AuthenticationError, ["401", "why", "credentials"]),
        (403, gs.PermissionDeniedError, ["403", "project"]),
        (404, gs.NotFoundError, ["404", "project's id", "base_url (GALILEO_API_URL)"]),
        (409, gs.ResponseError, ["409 Conflict", "why"]),
        (422, gs.ValidationError, ["422", "why"]),
        (429, gs.RateLimitedError, ["429"]),
        (500, gs.ServerError, ["500"]),
        (501, gs.ServerError, ["501"]),
        (599, gs.ServerError, ["599"]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_statuses_are_mapped(status, error, words):
    """Each status raises its error, which says what to do and has the query, the attempts and the time."""
    body = "" if status == 304 else '{"detail": "why"}'
    async with raw_server(http(status, body, X_Trace="t1", Set_Cookie="c=1")) as server:
        retry = Retry(attempts=1 if status == 429 else 4)
        async with client(server.url, retry=retry) as galileo:
            with pytest.raises(gs.GalileoError) as caught:
                await galileo.count(PROJECT, HEADLINE, timeout=5)
    assert type(caught.value) is error
    assert caught.value.status == status
    assert caught.value.body == body
    assert caught.value.headers["x-trace"] == "t1"
    assert "set-cookie" not in caught.value.headers
    assert [word for word in words if word not in str(caught.value)] == []
    assert server.url in caught.value.message
    assert f" (project {PROJECT}" in str(caught.value)
    tried = re.search(r", 4 attempts, [0-9]\.[0-9] s waited\)$", str(caught.value))
    assert bool(tried) == (status == 500)
    assert caught.value.query == CountQuery(PROJECT, HEADLINE)
    assert statuses(caught.value) == [status] * (4 if status == 500 else 1)
    assert len(server.requests) == len(caught.value.attempts)
    assert caught.value.elapsed > 0


@pytest.mark.parametrize("path", ["/x", "http://{other}/v2"], ids=["same server", "other server"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_never_follows_a_redirect(status, path):
    """A redirect raises RedirectError, and the server that it names gets no request."""
    async with raw_server(http()) as other:
        location = path.format(other=other.url.removeprefix("http://"))
        async with raw_server(http(status, "", Location=location)) as server:
            async with GalileoSessions("k", base_url=server.url) as galileo:
                with pytest.raises(gs.RedirectError, match="base_url") as caught:
                    await galileo.count(PROJECT)
    assert location in str(caught.value)
    assert type(caught.value) is gs.RedirectError
    assert statuses(caught.value) == [status]
    assert (len(server.requests), other.connections) == (1, 0)


@pytest.mark.parametrize(
    ("asked", "words"), [("120", ". It asks for a wait of 120 s"), ("0", "429 Too Many"), ("x", "429")]
)
async def test_a_refusal_says_how_long_to_wait(asked, words):
    """The message says how long the service asks to wait."""
    async with raw_server(http(429, "no", Retry_After=asked)) as server:
        async with client(server.url, retry=Retry(patience=0.3)) as galileo:
            with pytest.raises(gs.RateLimitedError) as caught:
                await galileo.count(PROJECT)
    assert words in str(caught.value)
    assert ("It asks" in str(caught.value)) == (asked == "120")


@pytest.mark.parametrize("status", [401, 503])
async def test_a_failed_login_names_the_address(status):
    """The error of a login names the login's address."""
    async with raw_server(http(status, "")) as server:
        async with client(server.url, auth=ANN) as galileo:
            with pytest.raises(gs.ResponseError) as caught:
                await galileo.count(PROJECT)
    assert f"the login at {server.url}" in str(caught.value)


NOT_COUNTS = {
    "true": b'{"total_count": true}',
    "float": b'{"total_count": 3.0}',
    "text": b'{"total_count": "3"}',
    "negative": b'{"total_count": -1}',
    "too large": b'{"total_count": 9223372036854775808}',
    "nan": b'{"total_count": NaN}',
    "twice": b'{"total_count": 1, "total_count": 2}',
    "no key": b'{"count": 1}',
    "null": b"null",
    "null count": b'{"total_count": null}',
    "list": b"[]",
    "empty": b"",
    "latin-1": '{"total_count": 1, "é": 2}'.encode("latin-1"),
    "deep": b'{"total_count": 1, "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"total_count": ' + b"9" * 5_000 + b"}",
    "html": b"<html>hello</html>",
    "bom": b'\xef\xbb\xbf{"total_count": 1}',
}


NO_JSON = {"empty", "latin-1", "html", "bom"}


@pytest.mark.parametrize("name", NOT_COUNTS)
async def test_a_200_that_is_no_count_is_a_decode_error(name):
    """A body without a non-negative integer raises DecodeError; it is requested again only if it isn't JSON at all."""
    body = NOT_COUNTS[name]
    async with raw_server(http(200, body)) as server, client(server.url) as galileo:
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.count(PROJECT)
    assert caught.value.body == body[:2048].decode("utf-8", "replace")
    assert len(str(caught.value)) < 500
    assert type(caught.value) is gs.DecodeError
    attempts = 4 if name in NO_JSON else 1
    assert (statuses(caught.value), len(server.requests)) == ([200] * attempts, attempts)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"total_count":0}', 0),
        (b' {\n"total_count" :\t12 } ', 12),
        (b'{"total_count": 9223372036854775807}', 2**63 - 1),
        (b'{"more": [1, {"total_count": 5}], "total_count": 0}', 0),
    ],
    ids=["zero", "white space", "the largest", "more keys"],
)
async def test_counts_in_any_valid_json(body, count):
    """White space, additional keys and the content type don't matter."""
    answer = http(200, body, Content_Type="text/plain; charset=latin-1")
    async with raw_server(answer) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT) == count


async def test_what_a_failure_keeps_is_bounded():
    """A failed result keeps 2 KiB of the answer, and no traceback that holds the rest."""
    async with raw_server(http(404, "x" * 100_000)) as server, client(server.url) as galileo:
        await galileo.count_all(ids(20))
        tracemalloc.start()
        try:
            report = await galileo.count_all(ids(200))
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(report.errors) == 200
    assert kept / 200 < 20_000


def test_a_response_shows_neither_headers_nor_body():
    """The repr shows neither headers nor body, because both can repeat credentials."""
    shown = repr(Response(200, {"X-Secret": "in a header"}, b"in a body", "https://api.x.io"))
    assert shown == "Response(status=200, origin='https://api.x.io')"
