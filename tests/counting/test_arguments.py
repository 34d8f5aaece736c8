"""Arguments of the wrong kind: one sentence with what was written and what to write, before anything is sent."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from support.clients import client
from support.servers import PROJECT, RawServer, http, raw_server
from support.troubles import silence

from galileo_sessions import (
    Col,
    ConfigurationError,
    CountQuery,
    DeadlineExceededError,
    FilterTypeError,
    GalileoSessions,
    Retry,
    Timeouts,
)
from galileo_sessions.display import brief

LEAF = Col("score").gt(3)
PARTS = {"all": LEAF}
TIMEOUT = "timeout must be seconds or a timedelta, more than 0 and at most 1,000,000,000 s, got {}. " + (
    "Write timeout=30, or None for no limit"
)
FILTERS = "filters must be a list of leaves, got {}. Write where=... for one filter, or for &, | and ~"
SPACE = "It begins or ends with white space, perhaps a line break from a file. Strip it"

SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"api_key": 5}, "the API key must be non-empty text, got int"),
    ({"api_key": b"s3cret"}, "the API key must be non-empty text, got bytes"),
    ({"base_url": 5}, "base_url must be an http(s) URL such as https://api.galileo.ai, got int"),
    ({"base_url": b"https://x.io"}, "base_url must be an http(s) URL such as https://api.galileo.ai, got bytes"),
    ({"proxy": 5}, "proxy must be an http(s) URL such as http://proxy.example.com:8080, got int"),
    ({"session": "x"}, "session must be an aiohttp.ClientSession, got 'x'"),
    (
        {"session": aiohttp.ClientSession},
        "session must be an aiohttp.ClientSession, got <class 'aiohttp.client.ClientSession'>",
    ),
    ({"ssl": "x"}, "ssl must be an ssl.SSLContext, an aiohttp.Fingerprint or a bool, got 'x'"),
    ({"headers": ["s3cret"]}, 'headers must be a mapping, got list. Write headers={"X-Team": "billing"}'),
    ({"headers": "s3cret"}, 'headers must be a mapping, got str. Write headers={"X-Team": "billing"}'),
    ({"headers": {"a": 5}}, "the header 'a' in headers= must be non-empty text, got int"),
    ({"headers": {"a": None}}, "the header 'a' in headers= must be non-empty text, got NoneType"),
    ({"headers": {5: "a"}}, "the header 5 in headers= must have a valid name, got 5"),
    ({"on_attempt": 5}, "on_attempt must be a function, got 5"),
    ({"trust_env": "no"}, "trust_env must be True or False, got 'no'"),
    ({"check": "yes"}, "check must be True, False or None, got 'yes'"),
    ({"timeouts": 5}, "timeouts must be Timeouts(...), got 5"),
    ({"retry": None}, "retry must be Retry(...), got None"),
    ({"limits": 10**5000}, "limits must be Limits(...), got <int too long to show>"),
    (
        {"api_key": None, "auth": "s3cret"},
        "auth must be an ApiKeyAuth, a BearerAuth, a PasswordAuth or a BasicAuth. For an API key write api_key=...",
    ),
]

Call = Callable[[GalileoSessions], Awaitable[object]]
CALLS: list[tuple[Call, str]] = [
    (lambda galileo: galileo.count(PROJECT, timeout=10**400), TIMEOUT.format(brief(10**400))),
    (lambda galileo: galileo.count(PROJECT, timeout="30"), TIMEOUT.format("'30'")),
    (lambda galileo: galileo.count(PROJECT, timeout=True), TIMEOUT.format("True")),
    (lambda galileo: galileo.count(PROJECT, check="yes"), "check must be True, False or None, got 'yes'"),
    (lambda galileo: galileo.count_all([PROJECT], check=1), "check must be True, False or None, got 1"),
    (lambda galileo: galileo.count(PROJECT, filters=LEAF), FILTERS.format("Col.number('score').gt(3)")),
    (lambda galileo: galileo.count(PROJECT, filters="x"), FILTERS.format("'x'")),
    (lambda galileo: galileo.count(PROJECT, filters=None), FILTERS.format("None")),
    (lambda galileo: galileo.count_all([PROJECT], filters=LEAF), FILTERS.format("Col.number('score').gt(3)")),
    (lambda galileo: galileo.explain(PROJECT, filters=LEAF), FILTERS.format("Col.number('score').gt(3)")),
    (lambda galileo: galileo.count(PROJECT, where=True), "True is not a filter. For all sessions write ALWAYS"),
    (lambda galileo: galileo.count(f"{PROJECT} "), f"project_id must be a UUID, got '{PROJECT} '. {SPACE}"),
    (
        lambda galileo: galileo.count(PROJECT, log_stream_id=f"{PROJECT}\n"),
        f"log_stream_id must be a UUID, got '{PROJECT}\\n'. {SPACE}",
    ),
    (lambda galileo: galileo.count_by(f"{PROJECT} ", PARTS), f"project_id must be a UUID, got '{PROJECT} '. {SPACE}"),
    (lambda galileo: galileo.count_all(5), "targets must be a list of ids or queries, got 5. Write [...]"),
    (lambda galileo: galileo.count_all(None), "targets must be a list of ids or queries, got None. Write [...]"),
    (
        lambda galileo: galileo.count_all([PROJECT], concurrency=2.5),
        "concurrency must be a whole number, 1 or more, got 2.5",
    ),
    (
        lambda galileo: galileo.count_all([PROJECT], concurrency=True),
        "concurrency must be a whole number, 1 or more, got True",
    ),
    (
        lambda galileo: galileo.count_all([PROJECT], on_progress=5),
        "on_progress must be a function, got 5",
    ),
    (
        lambda galileo: galileo.count_all([PROJECT], fail_fast="no"),
        "fail_fast must be True or False, got 'no'",
    ),
    (
        lambda galileo: first(galileo.count_many([PROJECT], ordered="no")),
        "ordered must be True or False, got 'no'",
    ),
]


async def first(items: AsyncIterator[object]) -> object:
    """The first of some items."""
    return await anext(items)


@asynccontextmanager
async def nothing_sent() -> AsyncIterator[RawServer]:
    """A server to which nobody connects."""
    async with raw_server(http()) as server:
        yield server
    assert server.connections == 0


@pytest.mark.parametrize(("arguments", "sentence"), SETTINGS, ids=[brief(arguments) for arguments, _ in SETTINGS])
async def test_a_setting_of_the_wrong_kind(arguments, sentence):
    """The error of each argument of a client says what to write, and quotes what was written if it can't be secret."""
    async with nothing_sent() as server:
        with pytest.raises(ConfigurationError) as caught:
            GalileoSessions(**{"api_key": "k", "base_url": server.url} | arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("call", "sentence"), CALLS, ids=[sentence[:40] for _, sentence in CALLS])
async def test_an_argument_of_the_wrong_kind(call, sentence):
    """The error of each argument of a call says what to write, and quotes what was written."""
    async with nothing_sent() as server, client(server.url) as galileo:
        with pytest.raises((ConfigurationError, FilterTypeError)) as caught:
            await call(galileo)
    assert str(caught.value) == sentence


async def test_an_id_with_a_space_among_others():
    """An id with a space at its end is that target's error; the others are counted."""
    async with raw_server(http()) as server, client(server.url) as galileo:
        report = await galileo.count_all([f"{PROJECT} ", PROJECT])
    assert [result.total_count for result in report.results] == [None, 7]
    assert str(report.errors[0]) == f"project_id must be a UUID, got '{PROJECT} '. {SPACE}"


@pytest.mark.parametrize("filters", [[], (), iter(()), {LEAF}, [LEAF]], ids=lambda value: type(value).__name__)
async def test_filters_can_be_any_iterable(filters):
    """`filters=` takes a list, a tuple, a set or an iterator of leaves, also if it is empty."""
    async with raw_server(http()) as server, client(server.url) as galileo:
        assert await galileo.count(PROJECT, filters=filters) == 7


# ---- timedelta -------------------------------------------------------------------------------------------------------


async def each(items: AsyncIterator[object]) -> list[object]:
    """All of some items."""
    return [item async for item in items]


async def streamed(galileo: GalileoSessions, **timeout: Any) -> list[object]:
    """The errors of a stream."""
    async with galileo.count_many([PROJECT], **timeout) as stream:
        return [result.error async for result in stream]


async def of_report(galileo: GalileoSessions, **timeout: Any) -> tuple[object, ...]:
    """The errors of a report."""
    return (await galileo.count_all([PROJECT], **timeout)).errors


async def of_explanation(galileo: GalileoSessions, **timeout: Any) -> list[object]:
    """The errors of an explanation."""
    return [node.error for node in (await galileo.explain(PROJECT, LEAF, **timeout)).nodes]


METHODS: dict[str, Callable[..., Awaitable[Any]]] = {
    "count": lambda galileo, **timeout: galileo.count(PROJECT, **timeout),
    "count, query": lambda galileo, **timeout: galileo.count(CountQuery(PROJECT), **timeout),
    "columns": lambda galileo, **timeout: galileo.columns(PROJECT, **timeout),
    "count_many": streamed,
    "count_all": of_report,
    "count_by": lambda galileo, **timeout: galileo.count_by(PROJECT, PARTS, **timeout),
    "explain": of_explanation,
    "projects": lambda galileo, **timeout: each(galileo.projects(**timeout)),
    "project": lambda galileo, **timeout: galileo.project("chatbot", **timeout),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_can_be_a_timedelta(method):
    """`timeout=` takes a timedelta in every method, and ends the call as the same number of seconds does."""
    async with raw_server(silence) as server, client(server.url) as galileo:
        try:
            (error,) = await method(galileo, timeout=timedelta(milliseconds=30))
        except DeadlineExceededError as raised:
            error = raised
    assert isinstance(error, DeadlineExceededError)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, timedelta(0), -timedelta(days=1), timedelta.max], ids=str)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_is_more_than_0_seconds(method, timeout):
    """Every method refuses 0, a negative number or timedelta, and more seconds than a clock can count."""
    async with nothing_sent() as server, client(server.url) as galileo:
        with pytest.raises(ConfigurationError) as caught:
            await method(galileo, timeout=timeout)
    assert str(caught.value) == TIMEOUT.format(repr(timeout))


async def test_an_infinite_timeout_is_none():
    """`timeout=math.inf` sets no limit."""
    async with raw_server(http()) as server, client(server.url) as galileo:
        assert await galileo.count(UUID(PROJECT), timeout=math.inf) == 7


def test_settings_can_be_timedeltas():
    """The seconds of `Retry` and `Timeouts` can be timedeltas, in the same range."""
    second = timedelta(seconds=1)
    assert Retry(backoff=second, max_backoff=second, max_retry_after=second, patience=second) == Retry(4, 1, 1, 1, 1)
    assert Timeouts(connect=second, attempt=2 * second) == Timeouts(1, 2)
    with pytest.raises(ConfigurationError, match=r"Timeouts\(attempt=-86400.0\): seconds, more than 0"):
        Timeouts(attempt=-timedelta(days=1))
