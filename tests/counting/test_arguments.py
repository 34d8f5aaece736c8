"""Arguments that can't be: one sentence with what was written, and a hint with what to write, before a request."""

import inspect
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
PARTITION = (
    "partition must be a mapping of label to filter, got {}\n"
    'hint: Write, for example, Col.date("created_at").days("2026-05-01", "2026-06-01", tz="UTC")'
)
SPACE = "It begins or ends with white space, perhaps a line break from a file. Strip it"
ID = "project_id must be a UUID, got {}\nhint: {}"
ORDER = "The project comes before the filter"
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
    "space": (lambda g: g.count(f"{PROJECT} "), ID.format(f"'{PROJECT} '", SPACE)),
    "space, scope": (
        lambda g: g.count(PROJECT, log_stream_id=f"{PROJECT}\n"),
        f"log_stream_id must be a UUID, got '{PROJECT}\\n'\nhint: {SPACE}",
    ),
    "time of columns": (
        lambda g: g.columns(PROJECT, end_time="yesterday"),
        "'yesterday' is not an ISO 8601 time such as 2026-01-31T09:00:00+00:00",
    ),
    "targets as number": (lambda g: g.count_all(5), TARGETS.format("5")),
    "targets as text": (lambda g: g.count_all(PROJECT), TARGETS.format(f"'{PROJECT}'")),
    "one query as targets": (lambda g: g.count_all(CountQuery(PROJECT)), TARGETS.format(brief(CountQuery(PROJECT)))),
    "where of a stream": (
        lambda g: g.count_many([PROJECT], {}),
        "{} is not a filter\nhint: Write load_filter(...) to read a filter from the API's JSON",
    ),
    "concurrency": (
        lambda g: g.count_many([PROJECT], concurrency=-1),
        "concurrency must be a whole number, 1 or more, got -1",
    ),
    "filter as partition": (lambda g: g.count_by(PROJECT, LEAF), PARTITION.format(brief(LEAF))),
    "column as partition": (lambda g: g.count_all([PROJECT], by=Col("score")), PARTITION.format("Col('score')")),
    "no filter in a partition": (
        lambda g: g.count_by(PROJECT, {"a": None}),
        "None is not a filter\nhint: For no condition write ALWAYS",
    ),
    "filter as project": (lambda g: g.count(LEAF), ID.format(brief(LEAF), ORDER)),
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
    "list": (lambda g: g.count([PROJECT]), ID.format(f"['{PROJECT}']", "For several projects write count_all([...])")),
}


@pytest.mark.parametrize(("call", "sentence"), CALLS.values(), ids=CALLS)
async def test_an_argument_of_the_wrong_kind(call, sentence):
    async with connected(http()) as (server, galileo):
        with pytest.raises((ConfigurationError, gs.FilterError)) as caught:
            await call(galileo)
    assert (str(caught.value), server.connections) == (sentence, 0)


_SCOPE = {"log_stream_id", "experiment_id", "metrics_testing_id"}
_FAN_OUT = {"concurrency", "timeout", "on_progress", "check"}
KEYWORDS = {
    "count": {"filters", *_SCOPE, "timeout", "check"},
    "columns": {*_SCOPE, "start_time", "end_time", "timeout"},
    "explain": {"filters", *_SCOPE, "timeout"},
    "count_many": {"filters", *_FAN_OUT, "fail_fast", "ordered"},
    "count_all": {"filters", *_FAN_OUT, "fail_fast", "by"},
    "count_by": {*_SCOPE, *_FAN_OUT},
}


@pytest.mark.parametrize(("method", "keywords"), KEYWORDS.items(), ids=KEYWORDS)
def test_each_call_spells_its_keywords(method, keywords):
    """`help()` and completion show each with its default, and Python refuses any other."""
    parameters = inspect.signature(getattr(GalileoSessions, method)).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert (keywords, []) == ({*defaults}, [each for each in parameters if each.kind is each.VAR_KEYWORD])
    assert all(default in (None, (), False) for default in defaults.values())


@pytest.mark.parametrize("filters", [[], (), iter(()), {LEAF}, [LEAF]], ids=lambda value: type(value).__name__)
async def test_filters_can_be_any_iterable(filters):
    async with connected(http()) as (_, galileo):
        assert await galileo.count(PROJECT, filters=filters) == 7


# ---- timeouts --------------------------------------------------------------------------------------------------------


async def listed(projects: AsyncIterator[gs.Project]) -> list[gs.Project]:
    """All projects of a listing."""
    return [project async for project in projects]


async def streamed(stream: gs.CountStream) -> None:
    """Raises the error of the first result of a stream."""
    async with stream:
        (await anext(stream)).unwrap()


METHODS: dict[str, Callable[..., Awaitable[Any]]] = {
    "count": lambda galileo, **timeout: galileo.count(PROJECT, **timeout),
    "columns": lambda galileo, **timeout: galileo.columns(PROJECT, **timeout),
    "count_many": lambda galileo, **timeout: streamed(galileo.count_many([PROJECT], **timeout)),
    "count_all": lambda galileo, **timeout: galileo.count_all([PROJECT], **timeout),
    "count_by": lambda galileo, **timeout: galileo.count_by(PROJECT, PARTS, **timeout),
    "explain": lambda galileo, **timeout: galileo.explain(PROJECT, LEAF, **timeout),
    "projects": lambda galileo, **timeout: listed(galileo.projects(**timeout)),
    "project": lambda galileo, **timeout: galileo.project("chatbot", **timeout),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_can_be_a_timedelta(method):
    """`timeout=` takes a timedelta in every method, and ends the call as the same number of seconds does."""
    async with connected(silence) as (_, galileo):
        try:
            outcome = await method(galileo, timeout=timedelta(milliseconds=30))
        except DeadlineExceededError:
            return
    (failed,) = outcome.results if isinstance(outcome, gs.CountReport) else outcome.nodes
    assert type(failed.error) is DeadlineExceededError


@pytest.mark.parametrize("timeout", [0, -1, True, math.nan, timedelta(0), -timedelta(days=1)], ids=str)
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_timeout_is_more_than_0_seconds(method, timeout):
    async with connected(http()) as (server, galileo):
        with pytest.raises(ConfigurationError) as caught:
            await method(galileo, timeout=timeout)
    assert (str(caught.value), server.connections) == (TIMEOUT.format(repr(timeout)), 0)


@pytest.mark.parametrize("timeout", [math.inf, 10**400, timedelta.max], ids=["infinite", "huge", "timedelta"])
async def test_a_timeout_can_be_longer_than_a_clock_counts(timeout):
    async with connected(http()) as (_, galileo):
        assert await galileo.count(UUID(PROJECT), timeout=timeout) == 7


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 says more")
async def test_what_python_says_stands_on_the_page_of_errors():
    async with GalileoSessions("k") as galileo:
        report = galileo.count_all([])
        with pytest.raises(TypeError) as report_entered:
            async with report:
                pass
        with pytest.raises(TypeError) as stream_awaited:
            await galileo.count_many([])
        with pytest.raises(TypeError) as client_entered:
            with galileo:
                pass
        report.close()
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\* `([^`]*)`: ", page.partition("## Python's own errors")[2], re.MULTILINE)
    assert shown == [str(each.value) for each in (report_entered, stream_awaited, client_entered)]
