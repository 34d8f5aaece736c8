"""Arguments of a wrong type: each is refused before a request."""

import functools
import inspect
from collections.abc import AsyncIterable
from typing import Any

import pytest
from support.clients import connected
from support.sockets import PROJECT, http

import galileo_sessions as gs
from galileo_sessions import Col, ConfigurationError, GalileoSessions, Limits, Retry, Timeouts


async def show(_: object) -> None:
    """A callback that would never be awaited."""


class Showing:
    """Another one."""

    async def __call__(self, _: object) -> None:
        pass


LIST = [5]
VALUES = [None, True, 5, 1.5, "x", b"x", "", LIST, {"x": 5}, object(), show, print, Limits]
"""Each has a type that few arguments have."""
FLAG, CALLBACK, TEXT = [True, None], [None, print, Limits], ["x"]
FITTING: dict[str, list[object]] = {
    "api_key": TEXT,
    "trust_env": FLAG,
    "ssl": FLAG,
    "check": FLAG,
    "ordered": FLAG,
    "fail_fast": FLAG,
    "on_attempt": CALLBACK,
    "on_progress": CALLBACK,
    "token": [*TEXT, show, print, Limits],  # a function of a BearerAuth, which isn't called yet
    "key": TEXT,
    "header": [*TEXT, None],
    "username": TEXT,
    "password": TEXT,
    "targets": [LIST],  # the result of each target has its error
    "filters": [],
    "timeout": [None, 5, 1.5],
    "concurrency": [None, 5],
    "above": [5],
    "below": [None, 5],
    "each": [True],
    "allow_empty": [True],
    "type": [*TEXT, "", None],
    "name": [*TEXT, ""],
    "maximum": [5],
    "initial": [5],
    "rate": [None, 5, 1.5],
    "attempts": [5],
    **{name: [5, 1.5] for name in ("backoff", "max_backoff", "max_retry_after", "patience", "connect", "attempt")},
}
"""Those that an argument takes; any other takes no value but its default."""
NEEDED = {
    "project_id": PROJECT,
    "project": PROJECT,
    "targets": [PROJECT],
    "above": 5,
    "partition": {"x": Col("score") > 3},
    "name": "x",
    "key": "x",
    "token": "x",
    "username": "x",
    "password": "x",
}
CALLS: dict[str, Any] = {
    each.__name__: each
    for each in (GalileoSessions, Limits, Retry, Timeouts, gs.ApiKeyAuth, gs.BearerAuth, gs.BasicAuth, gs.PasswordAuth)
} | {name: method for name, method in vars(GalileoSessions).items() if name[0] != "_" and name != "close"}
ARGUMENTS = [
    pytest.param(call, parameter, id=f"{name}-{parameter.name}")
    for name, call in CALLS.items()
    for parameter in inspect.signature(call).parameters.values()
    if parameter.name != "self"
]


async def outcome_of(call: Any, galileo: GalileoSessions, arguments: dict[str, object]) -> object:
    """What a call returns, or a stream or a list at first; or the exception."""
    try:
        value = call(galileo, **arguments) if inspect.isfunction(call) else call(**arguments)
        if isinstance(value, gs.CountStream):
            return await value.__aenter__()
        if isinstance(value, AsyncIterable):
            return await anext(aiter(value))
        return await value if inspect.isawaitable(value) else value
    except Exception as error:  # noqa: BLE001  # which is what is tested
        return error


@pytest.mark.parametrize(("call", "parameter"), ARGUMENTS)
async def test_a_value_of_another_type_is_refused_before_a_request(call, parameter):
    fitting = [*FITTING.get(parameter.name, []), parameter.default]
    wrong = [value for value in VALUES if not any(value is each for each in fitting)]
    others = inspect.signature(call).parameters.keys() & NEEDED.keys()
    async with connected(http()) as (server, galileo):
        for value in wrong:
            arguments = {name: NEEDED[name] for name in others} | {parameter.name: value}
            outcome = await outcome_of(call, galileo, arguments)
            assert isinstance(outcome, ConfigurationError | gs.FilterError), (value, outcome)
    assert server.connections == 0


@pytest.mark.parametrize("callback", [show, functools.partial(show), Showing(), Showing().__call__])
async def test_a_callback_that_would_have_to_be_awaited_is_refused(callback):
    hint = "Write def instead of async def"
    with pytest.raises(ConfigurationError, match=f"^on_attempt isn't awaited, got the async function .*\nhint: {hint}"):
        GalileoSessions("k", on_attempt=callback)
    async with GalileoSessions("k") as galileo:
        with pytest.raises(ConfigurationError, match="^on_progress isn't awaited"):
            galileo.count_many([PROJECT], on_progress=callback)
        with pytest.raises(ConfigurationError, match="^on_progress isn't awaited"):
            await galileo.count_all([PROJECT], on_progress=callback)
