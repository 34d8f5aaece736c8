"""What GalileoSessions promises of one count."""

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import warnings
from base64 import b64encode

import aiohttp
import pytest
from support.servers import PROJECT, answers, http, raw_server, until
from yarl import URL

import galileo_sessions as gs
from galileo_sessions import (
    ApiKeyAuth,
    Attempt,
    BasicAuth,
    BearerAuth,
    Col,
    ConfigurationError,
    CountQuery,
    GalileoSessions,
    PasswordAuth,
    Timeouts,
)
from galileo_sessions.local import LocalGalileo

HEADLINE = Col("input").contains("x") & ~Col("score").gt(3)
COUNT_URL = f"https://api.galileo.ai/v2/projects/{PROJECT}/sessions/count"


# ---- the shape of a request ------------------------------------------------------------------------------------------


async def test_headline_filter_travels_as_documented(shapes):
    """`count` POSTs the filter tree to the documented path, with the key, and gives an int."""
    shapes.post(COUNT_URL, body='{"total_count": 12}')
    async with GalileoSessions("the-key") as galileo:
        assert await galileo.count(PROJECT, HEADLINE) == 12
    ((method, url),) = shapes.requests
    assert (method, url) == ("POST", URL(COUNT_URL))
    (call,) = shapes.requests[method, url]
    assert json.loads(call.kwargs["data"]) == {
        "filter_tree": {
            "and": [
                {
                    "filter": {
                        "column_id": "input",
                        "operator": "contains",
                        "value": "x",
                        "case_sensitive": True,
                        "type": "text",
                    }
                },
                {"not": {"filter": {"column_id": "score", "operator": "gt", "value": 3, "type": "number"}}},
            ]
        }
    }
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["headers"]["Galileo-API-Key"] == "the-key"
    assert call.kwargs["headers"]["Content-Type"] == "application/json"
    assert call.kwargs["headers"]["Accept-Encoding"] == "identity"


async def test_scope_and_flat_filters_travel(shapes):
    """The three scope ids and the flat `filters` stand in the body under the API's names."""
    shapes.post(COUNT_URL, body='{"total_count": 0}')
    ids = {
        name: PROJECT.replace("7", digit) for name, digit in zip(("log_stream_id", "experiment_id"), "12", strict=True)
    }
    async with GalileoSessions("the-key") as galileo:
        count = await galileo.count(PROJECT, filters=[Col("score").gt(3)], metrics_testing_id=PROJECT.upper(), **ids)
    assert count == 0
    ((call,),) = shapes.requests.values()
    assert json.loads(call.kwargs["data"]) == {
        "filters": [{"column_id": "score", "operator": "gt", "value": 3, "type": "number"}],
        "metrics_testing_id": PROJECT,
        **ids,
    }


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        pytest.param(ApiKeyAuth("k-1"), "Galileo-API-Key", "k-1", id="api-key"),
        pytest.param(ApiKeyAuth("k-1", header="Splunk-AO-API-Key"), "Splunk-AO-API-Key", "k-1", id="renamed-header"),
        pytest.param(BearerAuth("t-1"), "Authorization", "Bearer t-1", id="bearer"),
        pytest.param(BasicAuth("ann", "p:w"), "Authorization", f"Basic {b64encode(b'ann:p:w').decode()}", id="basic"),
    ],
)
async def test_ways_to_authenticate(shapes, auth, header, value):
    """Each kind of credentials travels in its own header."""
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions(auth=auth) as galileo:
        await galileo.count(PROJECT)
    ((call,),) = shapes.requests.values()
    assert call.kwargs["headers"][header] == value


async def test_password_logs_in_once(shapes):
    """PasswordAuth exchanges the password for a token at /login, and counts with the token."""
    shapes.post("https://api.galileo.ai/login", body='{"access_token": "t-2", "token_type": "bearer"}')
    shapes.post(COUNT_URL, body='{"total_count": 1}', repeat=True)
    async with GalileoSessions(auth=PasswordAuth("ann@example.com", "p w&1")) as galileo:
        counts = await asyncio.gather(*(galileo.count(PROJECT) for _ in range(3)))
    assert counts == [1, 1, 1]
    (login,) = shapes.requests["POST", URL("https://api.galileo.ai/login")]
    assert login.kwargs["data"] == b"username=ann%40example.com&password=p+w%261"
    assert login.kwargs["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    counted = shapes.requests["POST", URL(COUNT_URL)]
    assert [call.kwargs["headers"]["Authorization"] for call in counted] == ["Bearer t-2"] * 3


async def test_headers_of_ones_own(shapes):
    """`headers=` adds to each request, and may change the user agent."""
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions("k", headers={"X-Team": "blue", "User-Agent": "app/1"}) as galileo:
        await galileo.count(PROJECT)
    ((call,),) = shapes.requests.values()
    assert call.kwargs["headers"]["X-Team"] == "blue"
    assert call.kwargs["headers"]["User-Agent"] == "app/1"


# ---- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"GALILEO_API_KEY": "k"}, {"Galileo-API-Key": "k"}, id="key"),
        pytest.param(
            {"GALILEO_API_KEY": "k", "GALILEO_USERNAME": "u", "GALILEO_PASSWORD": "p"},
            {"Galileo-API-Key": "k"},
            id="key-before-password",
        ),
    ],
)
async def test_credentials_from_the_environment(shapes, monkeypatch, environment, expected):
    """The environment's key is used, before a user name and a password."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions() as galileo:
        await galileo.count(PROJECT)
    ((call,),) = shapes.requests.values()
    assert expected.items() <= call.kwargs["headers"].items()


async def test_user_name_and_password_from_the_environment(shapes, monkeypatch):
    """GALILEO_USERNAME with GALILEO_PASSWORD logs in."""
    monkeypatch.setenv("GALILEO_USERNAME", "ann")
    monkeypatch.setenv("GALILEO_PASSWORD", "pw")
    shapes.post("https://api.galileo.ai/login", body='{"access_token": "t"}')
    shapes.post(COUNT_URL, body='{"total_count": 1}')
    async with GalileoSessions() as galileo:
        assert await galileo.count(PROJECT) == 1


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        pytest.param({}, "https://api.galileo.ai", id="public"),
        pytest.param({"GALILEO_API_URL": "https://api.x.io/"}, "https://api.x.io", id="api-url"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://app.galileo.ai/"}, "https://api.galileo.ai", id="app"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://console.x.io"}, "https://api.x.io", id="console-dot"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://console-dev.x.io:8443"}, "https://api-dev.x.io:8443", id="dash"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://g.x.io/console."}, "https://g.x.io/console.", id="as-it-is"),
        pytest.param({"GALILEO_CONSOLE_URL": "https://a.io/app.galileo.ai"}, "https://a.io/app.galileo.ai", id="path"),
        pytest.param(
            {"GALILEO_API_URL": "https://api.x.io", "GALILEO_CONSOLE_URL": "https://app.galileo.ai"},
            "https://api.x.io",
            id="api-url-first",
        ),
    ],
)
def test_where_the_api_is(monkeypatch, environment, url):
    """The environment names the API, or its console, whose host alone is turned into the API's."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert repr(GalileoSessions("k")) == f"GalileoSessions(base_url='{url}')"


async def test_a_base_path_is_kept():
    """A gateway's path stands before the API's."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=f"{server.url}/gate/way/") as galileo:
        assert await galileo.count(PROJECT) == 7
    assert server.requests[0].startswith(f"POST /gate/way/v2/projects/{PROJECT}/sessions/count HTTP/1.1".encode())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({}, ["no credentials", "GALILEO_API_KEY", "api_key="], id="none"),
        pytest.param({"api_key": "k", "auth": BearerAuth("t")}, ["api_key", "auth", "one of them"], id="two"),
        pytest.param({"auth": "k"}, ["ApiKeyAuth(...)"], id="auth-as-text"),
        pytest.param({"api_key": "k", "base_url": "http://api.x.io"}, ["base_url", "unencrypted", "https"], id="http"),
        pytest.param({"api_key": "k", "base_url": "api.x.io"}, ["base_url", "'api.x.io'", "https://"], id="no-scheme"),
        pytest.param({"api_key": "k", "base_url": 3}, ["base_url", "3"], id="no-text"),
        pytest.param({"api_key": "k", "base_url": "https://x:99999"}, ["base_url", "99999"], id="port"),
        pytest.param({"api_key": "k", "base_url": "https://x.io/?a=1"}, ["base_url", "query"], id="query"),
        pytest.param({"api_key": "k", "base_url": "https://u:hush@x.io"}, ["base_url", "credentials"], id="user"),
        pytest.param({"api_key": "k", "session": 3}, ["session", "aiohttp.ClientSession"], id="session"),
        pytest.param({"api_key": "k", "headers": {"galileo-api-key": "x"}}, ["galileo-api-key", "auth="], id="header"),
        pytest.param({"api_key": "k", "headers": {"X": "a\nb"}}, ["headers=", "'X'"], id="header-line"),
    ],
)
def test_what_cannot_work_is_a_configuration_error(arguments, words):
    """A mistake in the set-up is named, with what to write instead, and without secrets."""
    with pytest.raises(ConfigurationError) as caught:
        GalileoSessions(**arguments)
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    assert "hush" not in message


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8", "HTTPS://X.io"])
def test_loopback_may_go_without_tls(url):
    """http is taken for this machine's loopback."""
    assert GalileoSessions("k", base_url=url)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: ApiKeyAuth(""), ["API key", "got empty text"], id="empty"),
        pytest.param(lambda: ApiKeyAuth("s3cret\n"), ["API key", "line break", "Strip"], id="line-break"),
        pytest.param(lambda: ApiKeyAuth("s3cr\x00et"), ["API key", "ASCII"], id="nul"),
        pytest.param(lambda: BearerAuth("s3cr€t"), ["token", "ASCII"], id="not-ascii"),
        pytest.param(lambda: ApiKeyAuth(None), ["API key", "NoneType"], id="none"),
        pytest.param(lambda: PasswordAuth("u", ""), ["password", "empty"], id="password"),
        pytest.param(lambda: BasicAuth("a:b", "p"), ["username", "colon"], id="colon"),
        pytest.param(lambda: Timeouts(connect=0), ["connect=0", "seconds"], id="connect"),
        pytest.param(lambda: Timeouts(attempt=float("nan")), ["attempt=nan"], id="attempt"),
        pytest.param(lambda: ApiKeyAuth("s3cret", header="bad header"), ["header", "'bad header'"], id="header-name"),
    ],
)
def test_bad_credentials_are_refused_without_showing_them(make, words):
    """Credentials that a header can't carry are refused when made."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("missing", ["GALILEO_USERNAME", "GALILEO_PASSWORD"])
def test_half_a_login_is_named(monkeypatch, missing):
    """A user name without a password, or the reverse, says which is missing."""
    monkeypatch.setenv("GALILEO_USERNAME", "ann")
    monkeypatch.setenv("GALILEO_PASSWORD", "pw")
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigurationError, match=missing):
        GalileoSessions()


@pytest.mark.parametrize("timeout", [0, -1, True, "3", float("nan")])
async def test_a_timeout_is_seconds(timeout):
    """`timeout=` must be more than 0 seconds."""
    async with GalileoSessions("k") as galileo:
        with pytest.raises(ConfigurationError, match="timeout="):
            await galileo.count(PROJECT, timeout=timeout)


async def test_a_bad_query_sends_nothing():
    """A project id that is no UUID, or a filter that can't be sent, is refused before a request."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(ConfigurationError, match="project_id '../../evil'"):
            await galileo.count("../../evil")
        with pytest.raises(gs.FilterError, match="NEVER"):
            await galileo.count(PROJECT, gs.NEVER)
        with pytest.raises(gs.FilterTypeError, match="where takes a filter"):
            await galileo.count(PROJECT, Col("a"))
    assert server.connections == 0


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (300, gs.RedirectError, ["300"]),
        (304, gs.RedirectError, ["304"]),
        (400, gs.BadRequestError, ["400 Bad Request", "why"]),
        (401, gs.AuthenticationError, ["401", "why", "key"]),
        (403, gs.PermissionDeniedError, ["403", "project"]),
        (404, gs.NotFoundError, ["404", "project_id", "base_url"]),
        (409, gs.ResponseError, ["409 Conflict", "why"]),
        (422, gs.ValidationError, ["422", "why"]),
        (429, gs.RateLimitedError, ["429"]),
        (500, gs.ServerError, ["500"]),
        (501, gs.ServerError, ["501"]),
        (599, gs.ServerError, ["599"]),
    ],
)
async def test_statuses_are_mapped(status, error, words):
    """Each status has its error, which says what to do and knows query, attempts and time."""
    body = "" if status == 304 else '{"detail": "why"}'
    async with raw_server(http(status, body, X_Trace="t1", Set_Cookie="c=1")) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            with pytest.raises(gs.GalileoError) as caught:
                await galileo.count(PROJECT, HEADLINE, timeout=5)
    assert type(caught.value) is error
    assert caught.value.status == status
    assert caught.value.body == body
    assert caught.value.headers["x-trace"] == "t1"
    assert "set-cookie" not in caught.value.headers
    assert [word for word in words if word not in str(caught.value)] == []
    assert caught.value.query == CountQuery(PROJECT, HEADLINE)
    assert caught.value.attempts[-1].status == status
    assert 0 < caught.value.elapsed < 5


@pytest.mark.parametrize("path", ["/x", "http://{other}/v2"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_key_never_follows_a_redirect(status, path):
    """A redirect is an error, and the server that it leads to sees no request."""
    async with raw_server(http()) as other:
        location = path.format(other=other.url.removeprefix("http://"))
        async with raw_server(http(status, "", Location=location)) as server:
            async with GalileoSessions("k", base_url=server.url) as galileo:
                with pytest.raises(gs.RedirectError, match="base_url") as caught:
                    await galileo.count(PROJECT)
    assert location in str(caught.value)
    assert (len(server.requests), other.connections) == (1, 0)


NOT_COUNTS = {
    "true": b'{"total_count": true}',
    "float": b'{"total_count": 3.0}',
    "text": b'{"total_count": "3"}',
    "negative": b'{"total_count": -1}',
    "too large": b'{"total_count": 9223372036854775808}',
    "nan": b'{"total_count": NaN}',
    "infinity": b'{"total_count": 1, "x": Infinity}',
    "twice": b'{"total_count": 1, "total_count": 2}',
    "no key": b'{"count": 1}',
    "null": b"null",
    "null count": b'{"total_count": null}',
    "list": b"[]",
    "empty": b"",
    "latin-1": '{"total_count": 1, "é": 2}'.encode("latin-1"),
    "utf-16": '{"total_count": 1}'.encode("utf-16"),
    "deep": b'{"total_count": 1, "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"total_count": ' + b"9" * 5_000 + b"}",
    "html": b"<html>hello</html>",
    "bom": b'\xef\xbb\xbf{"total_count": 1}',
}


@pytest.mark.parametrize("body", NOT_COUNTS.values(), ids=NOT_COUNTS)
async def test_a_200_that_is_no_count_is_a_decode_error(body):
    """Only a non-negative integer is a count."""
    async with raw_server(http(200, body)) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(gs.DecodeError) as caught:
            await galileo.count(PROJECT)
    assert caught.value.body == body[:2048].decode("utf-8", "replace")
    assert len(str(caught.value)) < 500
    assert caught.value.attempts[0].status == 200


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"total_count":0}', 0),
        (b' {\n"total_count" :\t12 } ', 12),
        (b'{"total_count": 9223372036854775807}', 2**63 - 1),
        (b'{"more": [1, {"total_count": 5}], "total_count": 3}', 3),
    ],
)
async def test_counts_in_any_valid_json(body, count):
    """White space and keys that the API may add don't matter, nor does the content type."""
    answer = http(200, body, Content_Type="text/plain; charset=latin-1")
    async with raw_server(answer) as server, GalileoSessions("k", base_url=server.url) as galileo:
        assert await galileo.count(PROJECT) == count


ISSUE = {"loc": ["body", "filters", 0, "number", "value"], "msg": "not a number", "type": "float_type", "input": "x"}


@pytest.mark.parametrize(
    ("body", "issues", "words"),
    [
        pytest.param(json.dumps({"detail": [ISSUE]}), 1, ["body.filters.0.number.value", "not a number"], id="list"),
        pytest.param(
            json.dumps(
                {"detail": [{"loc": ["body"], "msg": "noise", "type": "missing"}, ISSUE, 3, {"loc": 3, "msg": ""}]}
            ),
            2,
            ["not a number"],
            id="noise",
        ),
        pytest.param('{"detail": "what it says"}', 0, ["what it says"], id="string"),
        pytest.param('{"standard_error": {"message": "what it means"}}', 0, ["what it means"], id="standard-error"),
        pytest.param('{"standard_error": 3}', 0, ["standard_error"], id="odd"),
        pytest.param("[1]", 0, ["[1]"], id="array"),
        pytest.param("", 0, ["an empty body"], id="empty"),
        pytest.param("<html>sorry</html>", 0, ["<html>sorry</html>"], id="html"),
        pytest.param("x" * 10_000_000, 0, ["xxx"], id="10MB"),
    ],
)
async def test_422_in_all_its_forms(body, issues, words):
    """A 422 gives its useful entry, or its raw text, and never more than 2 KiB of it."""
    async with raw_server(http(422, body)) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(gs.ValidationError) as caught:
            await galileo.count(PROJECT)
    assert len(caught.value.issues) == issues
    assert [word for word in words if word not in str(caught.value)] == []
    assert len(caught.value.body) <= 2048
    assert len(str(caught.value)) < 1000


async def test_a_422_is_drawn_on_the_filter():
    """The useful entry of a 422 marks the guilty leaf; the noise stays in `.issues`."""
    loc = ["body", "filter_tree", "AndNode", "and", 1, "NotNode", "not", "FilterLeaf", "filter", "number", "value"]
    detail = [
        {"loc": ["body", "filter_tree", "FilterLeaf", "filter"], "msg": "Field required", "type": "missing"},
        {"loc": loc, "msg": "too large for this column", "type": "value_error"},
        {"loc": ["body", "filter_tree", "OrNode", "or"], "msg": "Field required", "type": "missing"},
    ]
    async with raw_server(http(422, json.dumps({"detail": detail}))) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            with pytest.raises(gs.ValidationError) as caught:
                await galileo.count(PROJECT, HEADLINE)
    title, _, drawing = str(caught.value).partition(": ")
    assert title.startswith("422 Unprocessable ")  # Entity, or Content since Python 3.13
    assert drawing == (
        "value: too large for this column\n"
        "and\n"
        "├─ input contains 'x'   text\n"
        "└─ not\n"
        "   └─ score > 3         number\n"
        "      ↑ value"
    )
    assert [issue.node for issue in caught.value.issues][1] == Col("score").gt(3)


# ---- deadlines -------------------------------------------------------------------------------------------------------


async def silence(number: int, writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(60)


async def half_a_body(number: int, writer: asyncio.StreamWriter) -> None:
    """Begins to answer, and stops."""
    writer.write(http()[:-5])
    await asyncio.sleep(60)


async def test_timeout_is_exact():
    """`timeout=` ends the call when it should, with what the attempt met."""
    async with raw_server(silence) as server, GalileoSessions("k", base_url=server.url) as galileo:
        started = asyncio.get_running_loop().time()
        with pytest.raises(gs.DeadlineExceededError, match="timeout=") as caught:
            await galileo.count(PROJECT, timeout=0.2)
        assert 0.2 <= asyncio.get_running_loop().time() - started < 0.4
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value.last, gs.AttemptTimeoutError)


@pytest.mark.parametrize(("behave", "phase"), [(silence, "response"), (half_a_body, "body")])
async def test_an_attempt_ends_by_itself(behave, phase):
    """An attempt that takes longer than `Timeouts(attempt=)` is an error that says in which phase."""
    async with raw_server(behave) as server:
        async with GalileoSessions("k", base_url=server.url, timeouts=Timeouts(attempt=0.1)) as galileo:
            with pytest.raises(gs.AttemptTimeoutError) as caught:
                await galileo.count(PROJECT)
    assert caught.value.phase == phase


async def test_a_timeout_of_the_callers_own_stays_theirs():
    """The caller's asyncio.timeout raises the caller's TimeoutError."""
    async with raw_server(silence) as server, GalileoSessions("k", base_url=server.url) as galileo:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await galileo.count(PROJECT)
    assert not isinstance(caught.value, gs.GalileoError)


async def test_cancellation_passes_and_holds_nothing():
    """A cancelled count raises CancelledError and gives its connection up."""
    async with raw_server(silence) as server, GalileoSessions("k", base_url=server.url) as galileo:
        task = asyncio.create_task(galileo.count(PROJECT))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not galileo._transport._session.connector._acquired


# ---- sessions and loops ----------------------------------------------------------------------------------------------


async def test_an_injected_session_is_used_and_stays_open():
    """A session given by the caller is used with our rules, not its own, and isn't closed."""
    async with raw_server(answers(http(), http(500, "sorry"))) as server:
        timeout = aiohttp.ClientTimeout(total=0.000_001)
        async with aiohttp.ClientSession("http://127.0.0.1:9", raise_for_status=True, timeout=timeout) as session:
            async with GalileoSessions("k", base_url=server.url, session=session) as galileo:
                assert await galileo.count(PROJECT) == 7
                with pytest.raises(gs.ServerError):
                    await galileo.count(PROJECT, timeout=5)
            assert not session.closed
            with pytest.raises(ConfigurationError, match="closed"):
                await galileo.count(PROJECT)
        with pytest.raises(ConfigurationError, match="session= is closed"):
            await GalileoSessions("k", base_url=server.url, session=session).count(PROJECT)


async def test_an_injected_session_with_credentials_is_refused():
    """A session that would authenticate by itself is refused, for it would replace ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp deprecates what is tested
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("u", "p"))
    async with session:
        with pytest.raises(ConfigurationError, match="auth="):
            GalileoSessions("k", session=session)


async def test_its_own_session_closes():
    """Leaving the block closes the connections; closing again does nothing, counting again is an error."""
    async with raw_server(http()) as server:
        async with GalileoSessions("k", base_url=server.url) as galileo:
            await galileo.count(PROJECT)
        await galileo.close()
        await until(lambda: not server.open)
        with pytest.raises(ConfigurationError, match="closed"):
            await galileo.count(PROJECT)


async def test_connections_are_kept():
    """Counts one after another go over one connection."""
    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url) as galileo:
        for _ in range(5):
            await galileo.count(PROJECT)
        assert (server.connections, len(server.requests)) == (1, 5)


def test_a_second_event_loop_is_a_clear_error():
    """A client that has been used in one loop says so in another; it may be made outside of any."""
    galileo = GalileoSessions("k", base_url="http://127.0.0.1:9")

    async def use() -> None:
        with pytest.raises(gs.ConnectError):
            await galileo.count(PROJECT)

    asyncio.run(use())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(galileo.count(PROJECT))
    asyncio.run(galileo.close())


def test_closing_in_another_event_loop_ends_the_connections():
    """As fixtures of a wider scope do; nothing is left to warn of."""
    with LocalGalileo() as server:
        with asyncio.Runner() as first, asyncio.Runner() as second:
            galileo = GalileoSessions(server.api_key, base_url=server.url)
            assert first.run(galileo.count(PROJECT)) == 0
            second.run(galileo.close())
            first.run(asyncio.sleep(0.01))
    gc.collect()


async def test_never_closed_is_one_warning_that_names_our_class():
    """A client that is forgotten warns once, by its own name, and lets its connections go."""
    async with raw_server(http()) as server:
        galileo = GalileoSessions("k", base_url=server.url)
        await galileo.count(PROJECT)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del galileo
            gc.collect()
            await until(lambda: not server.open)
            gc.collect()
    assert [(w.category, "unclosed GalileoSessions(" in str(w.message)) for w in caught] == [(ResourceWarning, True)]


def test_never_used_needs_no_closing():
    """A client that has made no connection may be dropped in silence."""
    galileo = GalileoSessions("k")
    del galileo
    gc.collect()


# ---- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["argument", "environment", "ignored", "bypassed"])
async def test_proxies(monkeypatch, how, tmp_path):
    """A proxy is used when given, or when the environment names one and `trust_env` is set; a netrc never is."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password netrc-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        raw_server(http(200, '{"total_count":1}')) as proxy,
        raw_server(http(200, '{"total_count":2}')) as server,
    ):
        if how != "argument":
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
        if how == "bypassed":
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        arguments = {"proxy": proxy.url} if how == "argument" else {"trust_env": how != "ignored"}
        async with GalileoSessions("k", base_url=server.url, **arguments) as galileo:
            count = await galileo.count(PROJECT)
    assert count == (1 if how in ("argument", "environment") else 2)
    assert b"authorization" not in (proxy.requests + server.requests)[0].lower()


# ---- what is told ----------------------------------------------------------------------------------------------------


async def test_on_attempt_hears_of_each_attempt_and_may_fail(caplog):
    """`on_attempt` gets the objects that errors list; what it raises is logged, never raised."""
    heard: list[Attempt] = []

    def listen(attempt: Attempt) -> None:
        heard.append(attempt)
        raise RuntimeError("listener broke")

    async with raw_server(answers(http(), http(404, "gone"))) as server:
        async with GalileoSessions("k", base_url=server.url, on_attempt=listen) as galileo:
            assert await galileo.count(PROJECT) == 7
            with pytest.raises(gs.NotFoundError) as caught:
                await galileo.count(PROJECT)
    assert [(a.number, a.status, type(a.error)) for a in heard] == [(1, 200, type(None)), (1, 404, gs.NotFoundError)]
    assert caught.value.attempts == (heard[1],)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "on_attempt raised; the count goes on"
    ] * 2


async def test_one_debug_line_an_attempt(caplog):
    """The logger writes path template, status and milliseconds; no header, no body, no id."""
    caplog.set_level(logging.DEBUG, "galileo_sessions")
    async with raw_server(http()) as server, GalileoSessions("the-key", base_url=server.url) as galileo:
        await galileo.count(PROJECT, HEADLINE)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "galileo_sessions"]
    assert line.startswith("POST /v2/projects/{project_id}/sessions/count: attempt 1, status 200, ")
    assert line.endswith(" ms")


def test_import_starts_nothing_and_reads_no_environment():
    """Importing the package makes no event loop and needs no credentials."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GALILEO_")}
    program = "import galileo_sessions, sys; print(len(galileo_sessions.__all__) > 40)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == ("True\n", "")
