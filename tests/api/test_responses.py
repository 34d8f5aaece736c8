"""What an HTTP answer means: a count, or the error of its status."""

import gc
import json
import pickle
import re
import tracemalloc

import pytest
from support.clients import client, failure, ids, statuses
from support.clock import virtual_time
from support.sockets import PROJECT, http, raw_server

import galileo_sessions as gs
from galileo_sessions import Col, CountQuery, GalileoSessions, Retry
from galileo_sessions.api.responses import Response, error_of, total_count

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
PAGE = "<!doctype html><html><title>Galileo</title></html>"
WHY = '{"detail": "why"}'
STATUSES = {
    "300": (300, WHY, gs.RedirectError, "to 'nowhere'", "Set base_url (GALILEO_API_URL): a redirect isn't followed"),
    "400": (400, WHY, gs.ResponseError, "'why'", ""),
    "401": (401, WHY, gs.AuthenticationError, "'why'", "Check that the key hasn't expired, and belongs to the"),
    "403": (403, WHY, gs.PermissionDeniedError, "'why'", "Ask for access to the project"),
    "403, a page": (403, PAGE, gs.PermissionDeniedError, f"'{PAGE}'", "A gateway or a proxy seems to refuse this"),
    "403, another's": (403, "No", gs.PermissionDeniedError, "'No'", "A gateway or a proxy"),
    "403, nothing": (403, "", gs.PermissionDeniedError, "an empty body", "A gateway or a proxy seems to refuse this"),
    "404": (404, WHY, gs.NotFoundError, "'why'", "Check the project's id, and base_url (GALILEO_API_URL)"),
    "404, a page": (404, PAGE, gs.NotFoundError, f"'{PAGE}'", "Set base_url (GALILEO_API_URL) to the address of the"),
    "405": (405, "", gs.ResponseError, "an empty body", "Set base_url (GALILEO_API_URL) to the address of the API"),
    "422": (422, WHY, gs.ValidationError, "'why'", ""),
    "429": (429, WHY, gs.RateLimitedError, "'why'", ""),
    "500": (500, WHY, gs.ServerError, "'why'", ""),
    "599": (599, PAGE, gs.ServerError, f"'{PAGE}'", ""),
}
STANDARD = {"message": "The quota is used up", "user_action": "Ask Ann.", "documentation_link": "https://x.org/1"}


@pytest.mark.parametrize(
    ("status", "standard", "said", "hint", "retriable"),
    [
        (404, STANDARD, "The quota is used up", "Ask Ann. See https://x.org/1", False),
        (501, {**STANDARD, "user_action": None, "retriable": True}, "The quota", "See https://x.org/1", True),
        (401, {"message": "a\x1b[31m" * 99, "user_action": "b" * 999}, r"a\x1b[31ma", "b" * 399 + "…", False),
        (403, {"message": 3, "retriable": "true"}, '\'{"standard_error": ', "Ask for access to the project", False),
    ],
)
async def test_a_standard_error_says_what_to_do(status, standard, said, hint, retriable):
    """Its message is in the text, its action and link are the hint, and only `true` says that a retry may succeed."""
    async with raw_server(http(status, json.dumps({"standard_error": standard}))) as server:
        async with client(server.url, api_key="the-key", retry=Retry(attempts=1)) as galileo:
            error = await failure(galileo)
    assert f" from {server.url}: {said}" in error.message
    assert (error.hint[: len(hint)], error.retriable) == (hint, retriable)
    assert len(str(error)) < 1_000
    assert pickle.loads(pickle.dumps(error)) == error


@pytest.mark.parametrize(("status", "body", "error", "said", "hint"), STATUSES.values(), ids=STATUSES)
async def test_statuses_are_mapped(status, body, error, said, hint):
    """Each status raises its error, which says what the service says, and what to do."""
    async with raw_server(http(status, body, X_Trace="t1", Set_Cookie="c=1")) as server:
        async with client(server.url, retry=Retry(attempts=1 if status == 429 else 4)) as galileo:
            caught = await failure(galileo, where=HEADLINE, timeout=5)
    attempts = 4 if status == 500 else 1
    assert (type(caught), caught.status, caught.body) == (error, status, body)
    assert caught.query == CountQuery(PROJECT, HEADLINE)
    assert caught.headers["x-trace"] == "t1"
    assert "set-cookie" not in caught.headers
    assert re.fullmatch(rf"{status}[\w -]* from {server.url}: {re.escape(said)}", caught.message)
    assert (hint in caught.hint) if hint else caught.hint == ""
    first, _, rest = str(caught).partition("\n")
    assert (f" (project {PROJECT}" in first, rest) == (True, f"hint: {caught.hint}" if hint else "")
    assert bool(re.search(r", 4 attempts, [0-9]\.[0-9] s waited\)$", first)) == (attempts == 4)
    assert statuses(caught) == [status] * attempts
    assert len(server.requests) == attempts
    assert caught.elapsed > 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_of_observability_cloud_needs_a_role(status):
    """Splunk's gateway refuses a token for ingestion, or one without the role, with either status."""
    refused = Response(status, {}, b"", "https://app.us1.observability.splunkcloud.com/ao/api")
    assert error_of(refused).hint.startswith("Check that the token is an API token with the role agent_observability_")


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


@pytest.mark.parametrize(("asked", "said"), [("12", "'no'; it asks for a wait of 12 s"), ("0", "'no'"), ("x", "'no'")])
async def test_a_refusal_says_how_long_to_wait(asked, said):
    """The message says how long the service asks to wait."""
    async with raw_server(http(429, "no", Retry_After=asked)) as server:
        async with client(server.url, retry=Retry(attempts=1)) as galileo:
            with pytest.raises(gs.RateLimitedError) as caught:
                await galileo.count(PROJECT)
    assert caught.value.message == f"429 Too Many Requests from {server.url}: {said}"


NOT_COUNTS = {
    "true": b'{"total_count": true}',
    "float": b'{"total_count": 3.0}',
    "negative": b'{"total_count": -1}',
    "too large": b'{"total_count": 9223372036854775808}',
    "nan": b'{"total_count": NaN}',
    "twice": b'{"total_count": 1, "total_count": 2}',
    "null": b"null",
    "latin-1": '{"total_count": 1, "é": 2}'.encode("latin-1"),
    "deep": b'{"total_count": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"total_count": ' + b"9" * 5_000 + b"}",
    "html": b"<html>hello</html>",
    "vertical tab": b'\v{"total_count":5}',
    "form feed": b'{"total_count":\f5}',
    "bom": b'\xef\xbb\xbf{"total_count": 1}',
}
NO_JSON = {"latin-1", "html", "vertical tab", "form feed", "bom"}


@pytest.mark.parametrize("name", NOT_COUNTS)
@virtual_time
async def test_a_200_that_is_no_count_is_a_decode_error(name):
    """A body without a non-negative integer raises DecodeError; it is requested again only if it isn't JSON at all."""
    body = NOT_COUNTS[name]
    async with raw_server(http(200, body)) as server, client(server.url, retry=Retry(patience=0.3)) as galileo:
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.count(PROJECT)
    assert caught.value.body == body[:2048].decode("utf-8", "replace")
    assert len(str(caught.value)) < 500
    assert type(caught.value) is gs.DecodeError
    assert caught.value.hint == "Set base_url (GALILEO_API_URL) to the address of the API, not of the console"
    assert caught.value.message.startswith(f"200 OK from {server.url}: ")
    assert (": the body isn't JSON; got " in caught.value.message) == (name in NO_JSON)
    assert statuses(caught.value) == [200] * len(server.requests)
    assert (len(server.requests) > 1) is (name in NO_JSON)


async def test_counts_in_any_valid_json():
    """White space, additional keys and the content type don't matter."""
    assert total_count(b'{"total_count": 9223372036854775807}') == 2**63 - 1
    assert total_count(b'{"more": [1, {"total_count": 5}], "total_count": 0}') == 0
    answer = http(200, b' {\n"total_count" :\t12 } ', Content_Type="text/plain; charset=latin-1")
    async with raw_server(answer) as server, client(server.url) as galileo:
        assert await galileo.count(PROJECT) == 12


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
