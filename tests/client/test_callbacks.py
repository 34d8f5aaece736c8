"""Callbacks of the user's: `on_attempt` and `on_progress` never lose a count, and are never left unawaited."""

import asyncio

import pytest
from support.projects import ids, numbered
from support.servers import PROJECT, http, raw_server

from galileo_sessions import Attempt, ConfigurationError, GalileoSessions, Progress


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the package has logged."""
    return [record.getMessage() for record in caplog.records if record.name == "galileo_sessions"]


async def test_a_failing_callback_is_logged_once_and_then_counted(caplog):
    """The first failure is logged with its traceback; then the 10th, the 100th and the 1,000th, a line each."""

    def broken(progress: Progress) -> None:
        raise RuntimeError(f"broken at {progress.done}")

    async with numbered() as server, GalileoSessions("k", base_url=server.url) as galileo:
        report = await galileo.count_all(ids(120), on_progress=broken)
    assert report.counts == tuple(range(120))
    assert messages(caplog) == [
        "on_progress raised; the counts go on",
        "on_progress raised 10 times by now",
        "on_progress raised 100 times by now",
    ]
    ours = [record for record in caplog.records if record.name == "galileo_sessions"]
    assert [bool(record.exc_info) for record in ours] == [True, False, False]


class Later:
    """An object whose call makes a coroutine."""

    async def __call__(self, value: object) -> None:
        """Never called."""


async def later(value: object) -> None:
    """Never called."""


@pytest.mark.parametrize("callback", [later, Later()], ids=["function", "object"])
async def test_coroutine_functions_are_refused(callback):
    """Nothing would await what a coroutine function returns, so it is refused where it is given."""
    with pytest.raises(ConfigurationError, match=r"on_attempt=.* is a coroutine function.* Write a plain function"):
        GalileoSessions("k", on_attempt=callback)
    with pytest.raises(ConfigurationError, match="on_progress=.* is a coroutine function"):
        GalileoSessions("k").count_many([PROJECT], on_progress=callback)


async def test_what_is_no_function_is_refused():
    """A value that can't be called is named."""
    with pytest.raises(ConfigurationError, match="on_attempt is a function, got 3"):
        GalileoSessions("k", on_attempt=3)


@pytest.mark.parametrize("kind", ["coroutine", "future"])
async def test_an_awaitable_that_comes_back_is_reported(caplog, kind):
    """A lambda can hide a coroutine function: its coroutine is closed, without a warning, and the log says so."""
    made: list[asyncio.Future[None]] = []

    def hides(attempt: Attempt) -> object:
        if kind == "coroutine":
            return later(attempt)
        made.append(asyncio.get_running_loop().create_future())
        return made[-1]

    async with raw_server(http()) as server, GalileoSessions("k", base_url=server.url, on_attempt=hides) as galileo:
        assert await galileo.count(PROJECT) == 7
    assert messages(caplog) == ["on_attempt returned an awaitable, which nothing awaits; the counts go on"]
    assert "NoneType: None" not in caplog.text, "there is no traceback to show"
