"""Arguments that can't be: one sentence with what was written, and a hint with what to write, before a request."""

import inspect
import itertools
import math
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.clients import connected
from support.sockets import PROJECT, http, silence

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, CountQuery, DeadlineExceededError, GalileoSessions
from galileo_sessions.display import brief

LEAF = Col("score").gt(3)
PARTS = {"all": LEAF}
TIMEOUT = "timeout must be seconds or a timedelta, more than 0, got {}\nhint: Write timeout=30, or None for no limit"
FILTERS = "filters must be a list of leaves, got {}\nhint: Write where=... for one filter, or for &, | and ~"
TARGETS = "targets must be a list of ids or queries, got {}\nhint: Write [...]"
CONCURRENCY = "concurrency must be a whole number, 1 or more, got {}"
SPACE = "It begins or ends with white space, perhaps a line break from a file. Strip it"
ID = "project_id must be a UUID, got {}\nhint: {}"
ORDER, MANY = "The project comes before the filter", "For several projects write count_all([...])"
NO_FILTER = "{} is not a filter\nhint: Write load_filter(...) to read a filter from the API's JSON"
WHERE = f"where must be a filter, got {{}}\nhint: {ORDER}"

CALLS: dict[str, tuple[Callable[[GalileoSessions], Awaitable[object]], str]] = {
    "timeouts": (lambda _: GalileoSessions("k", timeouts=5), "timeouts must be Timeouts(...), got 5"),
    "retry": (lambda _: GalileoSessions("k", retry=None), "retry must be Retry(...), got None"),
    "limits": (
        lambda _: GalileoSessions("k", limits=10**5000),
        "limits must be Limits(...), got <int too long to show>",
    ),
    "timeout as text": (lambda g: g.count(PROJECT, timeout="30"), TIMEOUT.format("'30'")),
    "one filter as filters": (lambda g: g.count(PROJECT, filters=LEAF), FILTERS.format(brief(LEAF))),
    "text as filters": (lambda g: g.count(PROJECT, filters="x"), FILTERS.format("'x'")),
    "None as filters": (lambda g: g.count(PROJECT, filters=None), FILTERS.format("None")),
    "filters of many": (lambda g: g.count_all([PROJECT], filters=LEAF), FILTERS.format(brief(LEAF))),
    "filters of explain": (lambda g: g.explain(PROJECT, filters=LEAF), FILTERS.format(brief(LEAF))),
    "space": (lambda g: g.count(f"{PROJECT} "), ID.format(f"'{PROJECT} '", SPACE)),
    "space, scope": (
        lambda g: g.count(PROJECT, log_stream_id=f"{PROJECT}\n"),
        f"log_stream_id must be a UUID, got '{PROJECT}\\n'\nhint: {SPACE}",
    ),
    "space, parts": (lambda g: g.count_by(f"{PROJECT} ", PARTS), ID.format(f"'{PROJECT} '", SPACE)),
    "targets as number": (lambda g: g.count_all(5), TARGETS.format("5")),
    "targets as text": (lambda g: g.count_all(PROJECT), TARGETS.format(f"'{PROJECT}'")),
    "one query as targets": (lambda g: g.count_all(CountQuery(PROJECT)), TARGETS.format(brief(CountQuery(PROJECT)))),
    "no targets": (lambda g: g.count_all(None, by=PARTS), TARGETS.format("None")),
    "targets of a stream": (lambda g: g.count_many(PROJECT), TARGETS.format(f"'{PROJECT}'")),
    "where of a stream": (lambda g: g.count_many([PROJECT], {}), NO_FILTER),
    "concurrency of a stream": (lambda g: g.count_many([PROJECT], concurrency=-1), CONCURRENCY.format("-1")),
    "concurrency": (lambda g: g.count_all([PROJECT], concurrency=0), CONCURRENCY.format("0")),
    "concurrency, NaN": (lambda g: g.count_by(PROJECT, PARTS, concurrency=math.nan), CONCURRENCY.format("nan")),
    "concurrency, text": (lambda g: g.count_all([PROJECT], concurrency="5"), CONCURRENCY.format("'5'")),
    "filter as project": (lambda g: g.count(LEAF), ID.format(brief(LEAF), ORDER)),
    "filter as one project": (lambda g: g.count_by(LEAF, PARTS), ID.format(brief(LEAF), ORDER)),
    "filters as targets": (lambda g: g.count_all([LEAF], fail_fast=True), ID.format(brief(LEAF), ORDER)),
    "filter as targets": (
        lambda g: g.count_all(LEAF),
        f"targets must be a list of ids or queries, got {brief(LEAF)}\nhint: The targets come before the filter",
    ),
    "swapped": (lambda g: g.count(LEAF, PROJECT), WHERE.format(f"'{PROJECT}'")),
    "swapped, UUID": (lambda g: g.count(LEAF, UUID(PROJECT)), WHERE.format(repr(UUID(PROJECT)))),
    "swapped, many": (lambda g: g.count_all(LEAF, [PROJECT]), WHERE.format(f"['{PROJECT}']")),
    "name": (
        lambda g: g.count("chatbot"),
        ID.format("'chatbot'", f"Write an id such as {PROJECT}, or await galileo.project('chatbot') for a name"),
    ),
    "number": (lambda g: g.count(3), ID.format("3", f"Write an id such as {PROJECT}")),
    "list": (lambda g: g.count([PROJECT]), ID.format(f"['{PROJECT}']", MANY)),
    "list, parts": (lambda g: g.count_by([PROJECT], PARTS), ID.format(f"['{PROJECT}']", MANY)),
}


@pytest.mark.parametrize(("call", "sentence"), CALLS.values(), ids=CALLS)
async def test_an_argument_of_the_wrong_kind(call, sentence):
    """The error of each argument of a call quotes what was written, and its hint says what to write."""
    async with connected(http()) as (server, galileo):
        with pytest.raises((ConfigurationError, gs.FilterTypeError)) as caught:
            await call(galileo)
    assert (str(caught.value), server.connections) == (sentence, 0)


_SCOPE = ("log_stream_id", "experiment_id", "metrics_testing_id")
_FAN_OUT = ("concurrency", "timeout", "on_progress", "check")
KEYWORDS = {
    "count": {"filters", *_SCOPE, "timeout", "check"},
    "columns": {*_SCOPE, "start_time", "end_time", "timeout"},
    "explain": {"filters", *_SCOPE, "timeout"},
    "count_many": {"filters", *_FAN_OUT, "fail_fast", "ordered"},
    "count_all": {"filters", *_FAN_OUT, "fail_fast", "by"},
    "count_by": {*_SCOPE, *_FAN_OUT},
}
_OTHERS = ("tag", "project_name", "budget", "before", "log_stream", "patience")  # of a query, a stream, or nothing


@pytest.mark.parametrize(("method", "keywords"), KEYWORDS.items(), ids=KEYWORDS)
def test_each_call_spells_its_keywords(method, keywords):
    """`help()` and completion show each with its default. Any other is Python's own TypeError, which names the call."""
    call = getattr(GalileoSessions, method)
    parameters = inspect.signature(call).parameters.values()
    assert keywords == {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert not [each for each in parameters if each.kind is each.VAR_KEYWORD]
    assert all(each.default in (None, (), False) for each in parameters if each.kind is each.KEYWORD_ONLY)
    for name in {*_OTHERS, *itertools.chain(*KEYWORDS.values())} - keywords:
        with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected keyword argument '{name}'"):
            call(GalileoSessions("k"), [PROJECT], **{name: None})


@pytest.mark.parametrize("filters", [[], (), iter(()), {LEAF}, [LEAF]], ids=lambda value: type(value).__name__)
async def test_filters_can_be_any_iterable(filters):
    """`filters=` takes a list, a tuple, a set or an iterator of leaves, also if it is empty."""
    async with connected(http()) as (_, galileo):
        assert await galileo.count(PROJECT, filters=filters) == 7


# ---- timedelta -------------------------------------------------------------------------------------------------------


async def each(items: AsyncIterator[object]) -> list[object]:
    """All of some items."""
    return [item async for item in items]


async def streamed(galileo: GalileoSessions, **timeout: Any) -> gs.CountResult:
    """The result of a stream."""
    async with galileo.count_many([PROJECT], **timeout) as stream:
        return await anext(stream)


METHODS: dict[str, Callable[..., Awaitable[Any]]] = {
    "count": lambda galileo, **timeout: galileo.count(PROJECT, **timeout),
    "count, query": lambda galileo, **timeout: galileo.count(CountQuery(PROJECT), **timeout),
    "columns": lambda galileo, **timeout: galileo.columns(PROJECT, **timeout),
    "count_many": streamed,
    "count_all": lambda galileo, **timeout: galileo.count_all([PROJECT], **timeout),
    "count_by": lambda galileo, **timeout: galileo.count_by(PROJECT, PARTS, **timeout),
    "explain": lambda galileo, **timeout: galileo.explain(PROJECT, LEAF, **timeout),
    "projects": lambda galileo, **timeout: each(galileo.projects(**timeout)),
    "project": lambda galileo, **timeout: galileo.project("chatbot", **timeout),
}


def raise_error_of(outcome: object) -> None:
    """Raises the error in a report, a result or an explanation."""
    match outcome:
        case gs.CountResult(error=error) | gs.CountReport(errors=(error,)):
            raise error
        case gs.Explanation(nodes=(node,)):
            raise node.error


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_can_be_a_timedelta(method):
    """`timeout=` takes a timedelta in every method, and ends the call as the same number of seconds does."""
    async with connected(silence) as (_, galileo):
        with pytest.raises(DeadlineExceededError):
            raise_error_of(await method(galileo, timeout=timedelta(milliseconds=30)))


@pytest.mark.parametrize("timeout", [0, -1, True, math.nan, timedelta(0), -timedelta(days=1)], ids=str)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_is_more_than_0_seconds(method, timeout):
    """Every method refuses 0, a negative number or timedelta, and True."""
    async with connected(http()) as (server, galileo):
        with pytest.raises(ConfigurationError) as caught:
            await method(galileo, timeout=timeout)
    assert (str(caught.value), server.connections) == (TIMEOUT.format(repr(timeout)), 0)


@pytest.mark.parametrize("timeout", [math.inf, 10**400, timedelta.max], ids=["infinite", "huge", "timedelta"])
async def test_a_timeout_can_be_longer_than_a_clock_counts(timeout):
    """Such a timeout never runs out."""
    async with connected(http()) as (_, galileo):
        assert await galileo.count(UUID(PROJECT), timeout=timeout) == 7


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 says more")
async def test_what_python_says_stands_on_the_page_of_errors():
    """The page of errors has what Python itself says of three mistakes."""
    said = []
    async with GalileoSessions("k") as galileo:
        report, stream = galileo.count_all([]), galileo.count_many([])
        with pytest.raises(TypeError) as caught:
            async with report:
                pass
        said.append(str(caught.value))
        report.close()
        with pytest.raises(TypeError) as caught:
            await stream
        said.append(str(caught.value))
        with pytest.raises(TypeError) as caught:
            with galileo:
                pass
        said.append(str(caught.value))
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\* `([^`]*)`: ", page.partition("## Python's own errors")[2], re.MULTILINE)
    assert said == shown
